// A whole deployment with rights: `coppice run` with a file that has roles, scripts, a process child with actors below it, and a stranger
// that links over a socket by its name and a secret. What each may do, what it is told else, what is counted, and that
// `coppice rights explain` says the same. Real processes; one run directory a test.
#include <signal.h>

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "coppice/any_request.hpp"
#include "coppice/control_actor.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/leftovers.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

/// Answers with how much mail it has got beside.
constexpr const char* till = R"lua(
    local sum = 0
    for mail in coppice.mails() do
        if mail.asked then mail:reply(sum) else sum = sum + mail.value[1] end
    end
)lua";

/// Asks whom it is told to, and tells what became of it.
constexpr const char* watch = R"lua(
    for mail in coppice.mails() do
        local who, why = coppice.find(mail.value[1])
        local ok
        if who then ok, why = coppice.ask(who, 0) end
        mail:reply(ok and "ok" or why.code .. ": " .. why.text)
    end
)lua";

constexpr const char* deployment = R"toml(
name = "app"
[node]
listen = ["unix://app-of-rights"]
secret = { file = "tree.secret" }

[[role]]
name = "partner"
who = ["name:partner-*"]
secret-file = "partner.secret"
may = ["ask /app/till", "ask /app/shed/till", "transit /app/shed"]

[[role]]
name = "watcher"
who = ["script:watch"]
may = ["ask /app/*/till", "ask /app/till", "monitor /app/shed/vault"]
never = ["ask /app/shed/vault"]

[[actor]]
path = "/app/till"
script = "till.lua"
[[actor]]
path = "/app/vault"
script = "till.lua"
[[actor]]
path = "/app/watch"
script = "watch.lua"
[[actor]]
path = "/app/free"
script = "free.lua"
[[actor]]
path = "/app/shed"
supervisor = { strategy = "one_for_one" }
carrier = "process"
[[actor]]
path = "/app/shed/till"
script = "till.lua"
[[actor]]
path = "/app/shed/vault"
script = "till.lua"
)toml";

class RightsDeployment : public ::testing::Test {
protected:
    RightsDeployment() {
        register_builtin_transports();
        file("till.lua", till);
        file("watch.lua", watch);
        file("free.lua", watch);
        file("tree.secret", "the secret of the tree\n");
        file("partner.secret", "the secret of partners\n");
        file("app.toml", deployment);
    }
    void file(const std::string& name, const std::string& text) {
        std::ofstream{files_.path(name), std::ios::binary | std::ios::trunc} << text;
    }
    /// What a script of the tree is told when it asks that actor.
    static std::string script(const std::string& name, const std::string& path) {
        const auto said = coppice_says({"ask", "/app/" + name, "asks", path});
        return said.code == 0 ? said.out : said.err;
    }
    /// The exit code, and what it says.
    std::string explain(const std::string& who, const std::string& what, const std::string& path) {
        return coppice_says({"rights", "explain", "--file", files_.path("app.toml"), who, what, path}).out;
    }
    static node_options of_partner() {
        node_options o = below("unix://app-of-rights");
        o.network.secret = "the secret of partners";
        return o;
    }
    /// What the tree's nodes have refused, as a node of the tree is told that has its secret.
    static std::vector<std::string> denied() {
        std::vector<std::string> all;
        node_options o = below("unix://app-of-rights");
        o.network.secret = "the secret of the tree";
        node looker{"looker", std::move(o)};
        EXPECT_TRUE(looker.start({}));
        play(
            looker,
            [](actor<anything> self, std::vector<std::string>* found) -> task<> {
                for (const char* path : {"/app/$node", "/app/shed/$node"}) {
                    const auto there = co_await self.resolve<control_protocol>(path);
                    REQUIRE_OR_END(there);
                    const auto told = co_await self.ask<control::describe>(*there, 60s, 30s);
                    REQUIRE_OR_END(told);
                    for (const dead_letter& d : told->seen.dead_letters)
                        if (d.reason == errc::denied) found->push_back(d.message);
                }
            },
            &all);
        return all;
    }
    own_directory files_;
};

TEST_F(RightsDeployment, ScriptsAndAStrangerMayWhatTheFileSaysInTheTreeAndBelowAProcessChild) {
    leftovers left;
    program tree{{"run", files_.path("app.toml")}};
    await_that([&] { return tree.has_ended() || script("free", "/app/shed/vault") == "\"ok\"\n"; });
    ASSERT_FALSE(tree.has_ended()) << tree.err();

    // Scripts: one that a role names, and one that none does.
    EXPECT_EQ(script("watch", "/app/till"), "\"ok\"\n");
    EXPECT_EQ(script("watch", "/app/shed/till"), "\"ok\"\n");
    EXPECT_THAT(script("watch", "/app/vault"), HasSubstr("role watcher allows to inspect /app/vault"));
    EXPECT_THAT(
        script("watch", "/app/shed/vault"),
        HasSubstr("denied: node app/shed does not allow that: role watcher may never ask /app/shed/vault"));
    EXPECT_THAT(explain("script:watch", "ask", "/app/shed/till"),
                HasSubstr("allowed: role watcher may ask /app/*/till"));
    EXPECT_THAT(explain("script:watch", "ask", "/app/shed/vault"),
                HasSubstr("denied: role watcher may never ask /app/shed/vault"));
    EXPECT_THAT(explain("script:free", "ask", "/app/vault"), HasSubstr("allowed: no role names it"));

    // A stranger, by its name and its role's secret.
    {
        node partner{"partner-1", of_partner()};
        ASSERT_TRUE(partner.start({}));
        play(partner, [](actor<anything> self) -> task<> {
            for (const char* path : {"/app/till", "/app/shed/till"}) {
                const auto there = co_await self.resolve<anything>(path);
                REQUIRE_OR_END(there);
                const auto sum = co_await self.ask<any_request>(*there, 60s, value{});
                REQUIRE_OR_END(sum);
                EXPECT_EQ(*sum, value{std::int64_t{0}}) << path;
                self.send<value>(*there, value{value::list{value{5}}});  // not its right: nothing is added
                const auto again = co_await self.ask<any_request>(*there, 60s, value{});
                REQUIRE_OR_END(again);
                EXPECT_EQ(*again, value{std::int64_t{0}}) << path;
            }
            for (const char* path : {"/app/vault", "/app/shed/vault"}) {
                const auto hidden = co_await self.resolve<anything>(path);
                EXPECT_FALSE(hidden) << path;
                EXPECT_EQ(hidden.error().code(), errc::denied) << path;
            }
        });
    }
    EXPECT_THAT(explain("partner", "ask", "/app/shed/till"), HasSubstr("allowed: role partner may ask"));
    EXPECT_THAT(explain("name:partner-1", "send", "/app/till"),
                HasSubstr("denied: no rule of who is role partner"));
    EXPECT_THAT(explain("partner", "inspect", "/app/vault"), HasSubstr("denied"));

    // Each is counted, by the node that has refused it.
    const auto seen = denied();
    EXPECT_THAT(seen, Contains("inspect /app/vault by script:watch, role watcher"));
    EXPECT_THAT(seen, Contains("ask /app/shed/vault by somebody for whom node app acts, role watcher"));
    EXPECT_THAT(seen, Contains("send /app/till by node partner-1, role partner"));
    EXPECT_THAT(seen, Contains(::testing::MatchesRegex("send /app/shed/till by node .*, role partner")));

    // Who has but the name of a partner is none.
    {
        node_options o = of_partner();
        o.network.secret = "a guess of some length";
        node impostor{"partner-2", std::move(o)};
        ASSERT_TRUE(impostor.start({}));
        play(impostor, [](actor<anything> self) -> task<> {
            const auto found = co_await self.resolve<anything>("/app/till");
            EXPECT_EQ(found.error().code(), errc::wrong_secret);
        });
    }
    tree.signal(SIGTERM);
    EXPECT_EQ(tree.wait(), 0) << tree.err();
    left.check();
}

}  // namespace
}  // namespace coppice::tests
