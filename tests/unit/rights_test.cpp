// Rights: patterns, the text form, and what a role may.
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/deployment.hpp"
#include "coppice/on_behalf.hpp"
#include "coppice/rights.hpp"

namespace coppice::tests {
namespace {

using role_number = rights_table::role_number;

std::string error_of(std::string_view text) {
    const auto read = parse_rights(text, "app");
    return read ? std::string{} : std::string{read.error().text()};
}

rights_table table_of(std::string_view text) {
    auto read = parse_rights(text, "app");
    EXPECT_TRUE(read) << read.error().what();
    return read ? *std::move(read) : rights_table{};
}

TEST(Rights, APatternMeansPartsAndAnyNumberOfParts) {
    const struct {
        const char* pattern;
        const char* name;
        bool matches;
    } cases[] = {
        {"/app/store", "/app/store", true},
        {"/app/store", "/app/stores", false},
        {"/app/store", "/app/store/disk", false},
        {"/app/*", "/app/store", true},
        {"/app/*", "/app", false},
        {"/app/*", "/app/store/disk", false},
        {"/app/**", "/app", true},
        {"/app/**", "/app/store/disk", true},
        {"/app/**", "/apple", false},
        {"/**/disk", "/disk", true},
        {"/**/disk", "/app/store/disk", true},
        {"/**/disk", "/app/disk/store", false},
        {"/**/a/**/b", "/x/a/a/y/b/b", true},
        {"/**/a/**/b", "/x/a/a/y/b/c", false},
        {"/app/w*-?", "/app/w1-?", true},
        {"/app/w*-2", "/app/worker-2", true},
        {"/app/w*-2", "/app/worker-12", false},
        {"/app/w*-2", "/app/worker-21", false},
        {"**", "", true},
        {"**", "/any/thing", true},
        {"news.*", "news.today", true},
        {"news.*", "news", false},
        {"", "/app", false},
        {"*", "a/b", false},
    };
    for (const auto& one : cases)
        EXPECT_EQ(matches(one.pattern, one.name), one.matches) << one.pattern << " and " << one.name;
}

// Each star could take any number of characters: tried in all combinations, this would take longer than anybody waits.
TEST(Rights, APatternOfManyStarsIsDecidedAtOnce) {
    std::string stars;
    std::string parts;
    for (int i = 0; i < 60; ++i) {
        stars += "*a";
        parts += "/**/a";
    }
    const std::string name(200, 'a');
    EXPECT_FALSE(matches(stars + "b", name));
    std::string path;
    for (int i = 0; i < 200; ++i) path += "/a";
    EXPECT_FALSE(matches(parts + "/b", path));
    EXPECT_TRUE(matches(parts, path));
}

constexpr const char* example = "# who may look\n"
                                "role operator\n"
                                "  who uid:0\n"
                                "  who certificate:ops-*\n"
                                "  may all /app/**\n"
                                "  never stop,monitor /app/vault/**\n"
                                "role viewer\n"
                                "  who anyone\n"
                                "  may ask,inspect /app/status   # only that\n"
                                "  may join news.*\n";

TEST(Rights, ARoleMayWhatARuleAllowsAndNoneDenies) {
    const rights_table t = table_of(example);
    EXPECT_TRUE(t.allows(1, right::stop, "/app/store"));
    EXPECT_FALSE(t.allows(1, right::stop, "/app/vault/door"));
    EXPECT_TRUE(t.allows(1, right::send, "/app/vault/door"));
    EXPECT_FALSE(t.allows(1, right::send, "/other"));
    EXPECT_TRUE(t.allows(2, right::ask, "/app/status"));
    EXPECT_FALSE(t.allows(2, right::send, "/app/status"));
    EXPECT_TRUE(t.allows(2, right::join, "news.today"));
    EXPECT_FALSE(t.allows(2, right::publish, "news.today"));
}

TEST(Rights, WhoHasNoRoleMayNothingAndTheTreeEverything) {
    const rights_table t = table_of(example);
    for (const role_number unknown : {role_number{3}, role_number{14}, rights_table::nobody})
        EXPECT_FALSE(t.allows(unknown, right::inspect, "/app/status"));
    EXPECT_TRUE(t.allows(rights_table::of_the_tree, right::stop, "/app/vault/door"));
}

TEST(Rights, TheFirstRoleThatFitsIsTheOne) {
    const rights_table t = table_of(example);
    const std::vector<std::string> root{"uid:0", "name:guest"};
    const std::vector<std::string> ops{"certificate:ops-7"};
    const std::vector<std::string> other{"uid:1000"};
    EXPECT_EQ(t.role_of(root), 1);
    EXPECT_EQ(t.role_of(ops), 1);
    EXPECT_EQ(t.role_of(other), 2);
    EXPECT_EQ(table_of("role a\nwho uid:7\n").role_of(other), rights_table::nobody);
}

TEST(Rights, ADecisionNamesTheRule) {
    const rights_table t = table_of(example);
    EXPECT_EQ(t.decide(1, right::stop, "/app/vault/door").because,
              "role operator may never monitor,stop /app/vault/** (app:6)");
    EXPECT_EQ(t.decide(2, right::ask, "/app/status").because,
              "role viewer may ask,inspect /app/status (app:9)");
    EXPECT_EQ(t.decide(2, right::ask, "/app/x").because,
              "no rule of who is role viewer allows to ask /app/x");
    EXPECT_EQ(t.decide(rights_table::nobody, right::ask, "/app/x").because,
              "no rule of who is without a role allows to ask /app/x");
}

TEST(Rights, OnlyARoleThatMayAllIsOfTheTree) {
    EXPECT_TRUE(table_of("role a\nmay all **\n").is_of_the_tree(1));
    EXPECT_FALSE(table_of("role a\nmay all /**\n").is_of_the_tree(1));
    EXPECT_FALSE(table_of("role a\nmay all **\nnever stop /x\n").is_of_the_tree(1));
    EXPECT_FALSE(table_of("role a\nmay send,ask **\n").is_of_the_tree(1));
    EXPECT_FALSE(table_of("").is_of_the_tree(1));
}

TEST(Rights, TheTextFormGoesThereAndBack) {
    const rights_table t =
        table_of(std::string{example} + "role keeper\nwho name:k\nsecret-file /etc/k.secret\n");
    const rights_table again = table_of(to_text(t));
    EXPECT_EQ(to_text(again), to_text(t));
    ASSERT_EQ(again.roles.size(), 3U);
    EXPECT_EQ(again.roles[0].who, t.roles[0].who);
    EXPECT_EQ(again.roles[0].rules.size(), 2U);
    EXPECT_EQ(again.roles[2].secret_file, "/etc/k.secret");
}

TEST(Rights, AScriptHasTheRoleThatNamesItAndIsOfTheTreeWithout) {
    const rights_table t = table_of("role all\nwho anyone\nmay send /x\n"
                                    "role watcher\nwho script:wa*\nmay ask /x\n"
                                    "role owner\nwho script:boss\nmay all **\n"
                                    "role kiosk\nwho token:kiosk-*\n");
    EXPECT_EQ(role_on_behalf(t, "script:watch"), 2);
    EXPECT_EQ(role_on_behalf(t, "script:till"), rights_table::of_the_tree);
    EXPECT_EQ(role_on_behalf(t, "script:boss"), 3);
}

TEST(Rights, WhoShowsATokenHasItsRoleAndElseThatOfAnyoneOrNone) {
    const rights_table open =
        table_of("role kiosk\nwho token:kiosk-*\nrole owner\nwho token:boss\nmay all **\n"
                 "role all\nwho anyone\n");
    EXPECT_EQ(role_on_behalf(open, "token:kiosk-1"), 1);
    EXPECT_EQ(role_on_behalf(open, "token:boss"), 2);
    EXPECT_EQ(role_on_behalf(open, "token:other"), 3);
    EXPECT_EQ(role_on_behalf(open, ""), 3);
    const rights_table closed = table_of("role kiosk\nwho token:kiosk\n");
    EXPECT_EQ(role_on_behalf(closed, "token:other"), rights_table::nobody);
    EXPECT_EQ(role_on_behalf(closed, ""), rights_table::nobody);
}

TEST(Rights, AMistakeIsToldWithItsLine) {
    EXPECT_EQ(error_of("role a\nmay snd /x\n").substr(0, 32), "app:2: there is no right 'snd'; ");
    EXPECT_EQ(error_of("may send /x\n"), "app:1: 'may' before the first role");
    EXPECT_EQ(error_of("role a\nrole a\n"), "app:2: there are two roles 'a'");
    EXPECT_EQ(error_of("role a/b\n"), "app:1: 'a/b' is no name of a role");
    EXPECT_EQ(error_of("role a\nmay send\n"), "app:2: no pattern after 'send'");
    EXPECT_EQ(error_of("role a\nmay , /x\n").substr(0, 30), "app:2: there is no right ''; t");
    EXPECT_EQ(error_of("role a\nwho joe\n").substr(0, 27), "app:2: 'joe' is nobody: any");
    EXPECT_EQ(error_of("role a\nwho uid:\n").substr(0, 28), "app:2: 'uid:' is nobody: any");
    EXPECT_EQ(error_of("role a\nmight send /x\n").substr(0, 30), "app:2: 'might' is no statement");
    EXPECT_EQ(error_of("role a\nsecret-file\n"), "app:2: secret-file names no file");
    std::string many;
    for (int i = 0; i < 15; ++i) many += "role r" + std::to_string(i) + "\n";
    EXPECT_EQ(error_of(many), "app:15: more than 14 roles");
}

TEST(Rights, ADeploymentFileHasThemAsRoles) {
    const auto file = parse_deployment("[[role]]\n"
                                       "name = \"operator\"\n"
                                       "who = [\"uid:0\"]\n"
                                       "may = [\"all /app/**\", \"transit **\"]\n"
                                       "never = [\"stop /app/vault/**\"]\n"
                                       "secret-file = \"ops.secret\"\n",
                                       "/etc/app.toml");
    ASSERT_TRUE(file) << file.error().what();
    ASSERT_TRUE(file->rights);
    EXPECT_EQ(to_text(*file->rights), "role operator\nwho uid:0\nmay all /app/**\nmay transit **\nnever stop "
                                      "/app/vault/**\nsecret-file /etc/ops.secret\n");
    EXPECT_EQ(file->rights->decide(1, right::stop, "/app/vault/x").because,
              "role operator may never stop /app/vault/** (app.toml:5)");
    EXPECT_FALSE(parse_deployment("name = \"app\"\n", "app.toml")->rights);
}

TEST(Rights, ADeploymentFileTellsWhatIsWrongWithARole) {
    const auto error_in = [](std::string_view text) {
        const auto file = parse_deployment(text, "app.toml");
        return file ? std::string{} : std::string{file.error().text()};
    };
    EXPECT_EQ(error_in("[[role]]\nwho = [\"anyone\"]\n"), "app.toml:1:1: a [[role]] without 'name'");
    EXPECT_EQ(error_in("[role]\nname = \"a\"\n"),
              "app.toml:1:1: 'role': roles are a list: each begins with [[role]], in two brackets");
    EXPECT_NE(error_in("[[role]]\nname = \"a\"\nmay = [\"fly /x\"]\n").find("there is no right 'fly'"),
              std::string::npos);
    EXPECT_NE(error_in("[[role]]\nname = \"a\"\nmay = [\"send\"]\n").find("no pattern after 'send'"),
              std::string::npos);
    EXPECT_NE(error_in("[[role]]\nname = \"a\"\nwhoo = [\"anyone\"]\n").find("did you mean 'who'?"),
              std::string::npos);
}

}  // namespace
}  // namespace coppice::tests
