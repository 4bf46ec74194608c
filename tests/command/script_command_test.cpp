// `coppice script run`: scripts in processes of their own, by hand and by a deployment file. Real processes and sockets; what a
// script does is read from what the command prints. One run directory a test.
#include <signal.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/leftovers.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

class ScriptCommand : public ::testing::Test {
protected:
    std::string file(const std::string& name, const std::string& text) {
        std::ofstream{files_.path(name), std::ios::binary | std::ios::trunc} << text;
        return files_.path(name);
    }
    static std::string ask(const std::string& path, const std::string& type,
                           const std::vector<std::string>& fields) {
        std::vector<std::string> words{"ask", path, type};
        words.insert(words.end(), fields.begin(), fields.end());
        const auto said = coppice_says(words);
        return said.code == 0 ? said.out : "";
    }
    own_directory files_;
};

constexpr const char* rules = R"(
    local greeting = ...
    for mail in coppice.mails{types = {"greet"}} do
        mail:reply((greeting or "hello") .. " " .. mail.value[1])
    end
)";

TEST_F(ScriptCommand, RunsAScriptWithItsArgumentsUntilItIsTold) {
    leftovers left;
    program tree{{"script", "run", file("rules.lua", rules), "good day,", "--not-an-option"}};
    await_that([&] { return tree.has_ended() || !ask("/rules/script", "greet", {"ann"}).empty(); });
    EXPECT_EQ(ask("/rules/script", "greet", {"ann"}), "\"good day, ann\"\n") << tree.err();
    tree.signal(SIGTERM);
    EXPECT_EQ(tree.wait(), 0) << tree.err();
    left.check();
}

TEST_F(ScriptCommand, EndsAsTheScriptDoes) {
    const own_run_directory here;
    const auto mistaken = coppice_says({"script", "run", file("mistaken.lua", "local a =\n= 1")});
    EXPECT_EQ(mistaken.code, 2);
    EXPECT_THAT(mistaken.err, HasSubstr("mistaken.lua:2:"));
    EXPECT_EQ(coppice_says({"script", "run", files_.path("none.lua")}).code, 2);
    EXPECT_EQ(coppice_says({"script", "run", file("ends.lua", "coppice.sleep(0)")}).code, 0);
    const auto failing = coppice_says({"script", "run", "--instructions", "5000",
                                       file("loops.lua", "coppice.sleep(0)\nwhile true do end")});
    EXPECT_EQ(failing.code, 1);
    EXPECT_THAT(failing.err, HasSubstr("loops.lua:2: the script ran more than 5000 instructions"));
}

TEST_F(ScriptCommand, IsTheProgramOfAnActorInADeploymentFileAndReadsItsFileAnewAfterAKill) {
    leftovers left;
    const std::string script = file("rules.lua", rules);
    program tree{{"run", file("app.toml", "name = 'app'\n[supervisor]\nrestarts = 10\nwindow = '10s'\n"
                                          "[[actor]]\npath = '/app/rules'\nprogram = '" COPPICE_COMMAND
                                          "'\narguments = ['script', 'run', '" +
                                              script + "', 'one']\n")}};
    const auto says = [&] { return ask("/app/rules", "greet", {"ann"}); };
    await_that([&] { return tree.has_ended() || !says().empty(); });
    EXPECT_EQ(says(), "\"one ann\"\n") << tree.err();
    file("rules.lua", "for mail in coppice.mails() do mail:reply('new ' .. mail.value[1]) end");
    EXPECT_EQ(says(), "\"one ann\"\n");
    const std::string seen = coppice_says({"tree", "--json"}).out;
    const std::string before = R"("processes":[{"path":"/app/rules","pid":)";
    const auto at = seen.find(before);
    ASSERT_NE(at, std::string::npos) << seen;
    ::kill(std::atoi(seen.c_str() + at + before.size()), SIGKILL);
    await_that([&] { return says() == "\"new ann\"\n"; });
    EXPECT_THAT(coppice_says({"tree"}).out, ContainsRegex("rules  \\[process [^\n]*restarts 1"));
    tree.signal(SIGTERM);
    EXPECT_EQ(tree.wait(), 0) << tree.err();
    left.check();
}

// ---------------------------------------------------------------- scripts of a deployment file, without a program

TEST_F(ScriptCommand, IsAnActorOfADeploymentFileAloneAndReadsItsFileAnewAtARestart) {
    for (const std::string carrier : {"coroutine", "thread", "process"}) {
        SCOPED_TRACE(carrier);
        leftovers left;
        file("rules.lua", rules);
        program tree{{"run", file("app.toml", "name = 'app'\n[supervisor]\nrestarts = 10\nwindow = '10s'\n"
                                              "[[actor]]\npath = '/app/rules'\nscript = 'rules.lua'\n"
                                              "arguments = ['one']\ncarrier = '" +
                                                  carrier + "'\n")}};
        const auto says = [&] { return ask("/app/rules", "greet", {"ann"}); };
        await_that([&] { return tree.has_ended() || !says().empty(); });
        EXPECT_EQ(says(), "\"one ann\"\n") << tree.err();
        file("rules.lua", "for mail in coppice.mails() do\n"
                          "if mail.value[1] == 'fail' then error('told to') end\n"
                          "mail:reply('new ' .. mail.value[1]) end");
        EXPECT_EQ(says(), "\"one ann\"\n");
        EXPECT_EQ(coppice_says({"restart", "/app/rules"}).code, 0);
        await_that([&] { return says() == "\"new ann\"\n"; });
        const int sent = coppice_says({"send", "/app/rules", "greet", "fail"}).code;
        // A process that ends of it may have gone before it says that it took it: "ended meanwhile" (exit_code.hpp).
        EXPECT_TRUE(sent == 0 || (sent == 4 && carrier == "process")) << sent;
        await_that([&] { return tree.err().find("rules.lua:2: told to") != std::string::npos; });
        await_that([&] { return says() == "\"new ann\"\n"; });
        tree.signal(SIGTERM);
        EXPECT_EQ(tree.wait(), 0) << tree.err();
        left.check();
    }
}

TEST_F(ScriptCommand, AMistakeInAScriptIsOneOfTheDeploymentFileWithBothPlaces) {
    const own_run_directory here;
    file("mistaken.lua", "local a =\n= 1");
    const auto of = [&](const std::string& actor) {
        return coppice_says(
            {"run", file("app.toml", "name = 'app'\n[[actor]]\npath = '/app/rules'\n" + actor + "\n")});
    };
    auto said = of("script = 'mistaken.lua'");
    EXPECT_EQ(said.code, 3);
    EXPECT_THAT(
        said.err,
        ContainsRegex(
            "app.toml:4:10: 'script' in \\[\\[actor\\]\\]: [^\n]*/mistaken.lua:2: unexpected symbol"));
    said = of("script = 'none.lua'");
    EXPECT_EQ(said.code, 3);
    EXPECT_THAT(
        said.err,
        ContainsRegex("app.toml:4:10: 'script' in \\[\\[actor\\]\\]: [^\n]*none.lua[^\n]*No such file"));
    const auto checked =
        coppice_says({"check", file("good.toml", "name = 'app'\n[[actor]]\npath = '/app/rules'\nscript = '" +
                                                     file("rules.lua", rules) + "'\n")});
    EXPECT_EQ(checked.code, 0) << checked.err;
    EXPECT_THAT(checked.out, HasSubstr("rules  [coroutine"));
    EXPECT_EQ(checked.err, "");
}

TEST_F(ScriptCommand, AScriptOfADeploymentFileHasTheLimitsThatTheFileSays) {
    const own_run_directory here;
    file("loops.lua", "coppice.receive()\nwhile true do end");
    program tree{
        {"run", file("app.toml", "name = 'app'\n[[actor]]\npath = '/app/loops'\n"
                                 "script = { file = 'loops.lua', instructions = 5000, memory = '1MiB' }\n"
                                 "restart = 'temporary'\nsignificant = true\n")}};
    await_that([&] { return tree.has_ended() || coppice_says({"send", "/app/loops", "go"}).code == 0; });
    tree.wait();
    EXPECT_THAT(tree.err(), HasSubstr("loops.lua:2: the script ran more than 5000 instructions"));
}

// ---------------------------------------------------------------- C++ and scripts, over a socket

struct price_of {
    std::string what;
    using reply = int;
};
struct sold {
    std::string what;
    int pieces = 0;
    ref<> to;
};
struct buy {
    std::string what;
    ref<> report_to;
};
using shop_protocol = protocol<price_of, sold>;

task<> shop(actor<shop_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([&](request<price_of> r) { r.reply(static_cast<int>(r->what.size())); },
                [&](const sold& s) {
                    self.send<value>(ref<anything>{s.to}, value{s.what + " x " + std::to_string(s.pieces)});
                });
}

task<> customer(actor<anything> self, std::set<std::string>* reports) {
    // Until the process has joined.
    auto buyer = co_await self.resolve<anything>("/buyer/script");
    while (!buyer) {
        co_await self.sleep(10ms);
        buyer = co_await self.resolve<anything>("/buyer/script");
    }
    self.send<buy>(*buyer, "tea", ref<>{self.me()});
    for (int i = 0; i < 2; ++i) {  // of two senders, in no order
        auto m = co_await self.receive(60s);
        REQUIRE_OR_END(m);
        if (const auto* v = m->get_if<value>()) reports->insert(to_string(*v));
    }
}

TEST_F(ScriptCommand, AScriptInAnotherProcessSpeaksTheTypesOfCppActorsAndPassesRefsOn) {
    leftovers left;
    register_builtin_transports();
    {
        node app{"shop", listening_at("unix://shop", 1)};
        ASSERT_TRUE(app.start(supervisor_spec{}.add(child("till", in_coroutine, shop))));
        const auto declared = [](const char* name, std::string_view type, const std::string& fields) {
            return std::string{"local "} + name + " = coppice.type('" + std::string{type} + "', " + fields +
                   ")\n";
        };
        const std::string buyer =
            file("buyer.lua", declared("price_of", message_name<price_of>, "'what'") +
                                  declared("sold", message_name<sold>, "'what', 'pieces', 'to'") +
                                  declared("buy", message_name<buy>, "'what', 'report_to'") + R"(
            local till = assert(coppice.find("/shop/till"))
            for mail in coppice.mails() do
                local price = assert(coppice.ask(till, price_of{what = mail.value.what}, 60))
                coppice.send(till, sold{what = mail.value.what, pieces = price, to = mail.value.report_to})
                coppice.send(mail.value.report_to, "straight")
            end
        )");
        ::setenv("COPPICE_PARENT", "unix://shop", 1);
        program tree{{"script", "run", buyer}};
        ::unsetenv("COPPICE_PARENT");
        std::set<std::string> told;
        play<anything>(app, &customer, &told);
        EXPECT_EQ(told, (std::set<std::string>{"\"straight\"", "\"tea x 3\""})) << tree.err();
        tree.signal(SIGTERM);
        EXPECT_EQ(tree.wait(), 0) << tree.err();
    }
    left.check();
}

}  // namespace
}  // namespace coppice::tests
