// `coppice rights explain`: the decision, the rule that it comes from, and the exit code.
#include <fstream>
#include <string>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "support/own_directory.hpp"

namespace coppice::tests {

namespace {

struct RightsExplain : ::testing::Test {
    RightsExplain() {
        std::ofstream{file_} << "name = \"app\"\n"
                                "[[role]]\n"
                                "name = \"operator\"\n"
                                "who = [\"uid:0\"]\n"
                                "may = [\"all /app/**\"]\n"
                                "never = [\"stop /app/vault/**\"]\n"
                                "[[role]]\n"
                                "name = \"owner\"\n"
                                "who = [\"certificate:boss\"]\n"
                                "may = [\"all **\"]\n"
                                "[[role]]\n"
                                "name = \"watcher\"\n"
                                "who = [\"script:watch\", \"token:kiosk\"]\n"
                                "may = [\"ask /app/store\"]\n";
    }
    // What it prints, and how it ends.
    std::string explain(const std::string& who, const std::string& what, const std::string& path, int code) {
        program p{{"rights", "explain", "--file", file_, who, what, path}};
        EXPECT_EQ(p.wait(), code) << p.err();
        return p.out();
    }
    own_directory files_;
    std::string file_ = files_.path("app.toml");
};

TEST_F(RightsExplain, TellsWhatIsAllowedAndByWhichRule) {
    EXPECT_EQ(explain("uid:0", "send", "/app/store", 0),
              "allowed: role operator may all /app/** (app.toml:5)\n");
    EXPECT_EQ(explain("operator", "send", "/app/store", 0),
              "allowed: role operator may all /app/** (app.toml:5)\n");
    EXPECT_EQ(explain("uid:0,name:x", "stop", "/app/vault/door", 5),
              "denied: role operator may never stop /app/vault/** (app.toml:6)\n");
    EXPECT_EQ(explain("uid:7", "ask", "/app/x", 5),
              "denied: no rule of who is without a role allows to ask /app/x\n");
    EXPECT_EQ(explain("certificate:boss", "transit", "/other", 0),
              "allowed: role owner may all, as nodes of the tree may\n");
}

TEST_F(RightsExplain, KnowsScriptsAndTokens) {
    for (const std::string who : {"script:watch", "token:kiosk"}) {
        EXPECT_EQ(explain(who, "ask", "/app/store", 0),
                  "allowed: role watcher may ask /app/store (app.toml:14)\n");
        EXPECT_EQ(explain(who, "stop", "/app/store", 5),
                  "denied: no rule of who is role watcher allows to stop /app/store\n");
    }
    EXPECT_EQ(explain("script:other", "stop", "/app/store", 0),
              "allowed: no role names it, and scripts of the tree may everything\n");
    EXPECT_EQ(explain("token:other", "ask", "/app/store", 5),
              "denied: no rule of who is without a role allows to ask /app/store\n");
}

TEST_F(RightsExplain, WhatItDoesNotUnderstandItSays) {
    program right{{"rights", "explain", "--file", file_, "uid:0", "fly", "/app"}};
    EXPECT_EQ(right.wait(), 2);
    EXPECT_THAT(right.err(), ::testing::HasSubstr("there is no right 'fly'; there are send, ask"));
    program who{{"rights", "explain", "--file", file_, "joe", "send", "/app"}};
    EXPECT_EQ(who.wait(), 2);
    EXPECT_THAT(who.err(), ::testing::HasSubstr("'joe' is nobody"));
    program missing{{"rights", "explain", "uid:0", "send", "/app"}};
    EXPECT_EQ(missing.wait(), 2);
    EXPECT_THAT(missing.err(), ::testing::HasSubstr("no deployment file"));
    std::ofstream{files_.path("none.toml")} << "name = \"app\"\n";
    program none{{"rights", "explain", "--file", files_.path("none.toml"), "uid:0", "send", "/app"}};
    EXPECT_EQ(none.wait(), 3);
    EXPECT_THAT(none.err(), ::testing::HasSubstr("has no [[role]]"));
    std::ofstream{files_.path("bad.toml")} << "[[role]]\nname = \"a\"\nmay = [\"fly /\"]\n";
    program bad{{"rights", "explain", "--file", files_.path("bad.toml"), "uid:0", "send", "/app"}};
    EXPECT_EQ(bad.wait(), 2);
    EXPECT_THAT(bad.err(), ::testing::HasSubstr("bad.toml:3"));
}

}  // namespace

}  // namespace coppice::tests
