// The program `coppice` beside a tree that runs in the test's own process: what it prints, and how it ends.
#include <cstdint>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
struct fall {};
struct alarm {
    std::string text;
    std::uint32_t degrees = 0;
};
using counter_protocol = protocol<add, get, fall, alarm>;

task<> counter(actor<counter_protocol> self) {
    std::uint64_t sum = 0;
    self.join("alarms");
    self.ready();
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { sum += a.amount, self.log.info("{} more", a.amount); },
                [&](request<get> r) { r.reply(sum); }, [&](const fall&) { self.fail("it fell"); },
                [&](const alarm& a) { sum += a.degrees; });
}

class Command : public ::testing::Test {
protected:
    Command() {
        node_options o = quiet(2);
        o.control = true;
        app_ = std::make_unique<node>("app", o);
        supervisor_spec spec;
        spec.intensity(100, 1s);
        spec.add(child("counter", in_coroutine, counter).awaits_ready());
        auto started = app_->start(std::move(spec));
        EXPECT_TRUE(started) << started.error().what();
    }
    own_run_directory here_;
    std::unique_ptr<node> app_;
};

TEST_F(Command, TreeShowsActorsPlainInAPipe) {
    const auto said = coppice_says({"tree"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_THAT(said.out, HasSubstr("/app  [coroutine on scheduler 0] receiving\n"));
    EXPECT_THAT(said.out, HasSubstr("\n  counter  [coroutine on scheduler "));
    EXPECT_THAT(said.out, Not(HasSubstr("\033")));
    EXPECT_THAT(said.out, Not(HasSubstr("$node")));
    EXPECT_EQ(coppice_says({"tree", "app"}).out, said.out);
}

TEST_F(Command, W13AQueryOnATreeListsPeersWithRelationAndState) {
    node_options o = quiet(1);
    o.network.parent = "unix://app.control";
    node shop{"shop", o};
    ASSERT_TRUE(shop.start(supervisor_spec{}));
    ASSERT_TRUE(shop.resolve<counter_protocol>("/app/counter"));
    const auto said = coppice_says({"tree", "--json"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_THAT(said.out, HasSubstr(R"({"node":"shop","role":"child","state":"up"})"));
    EXPECT_THAT(said.out, HasSubstr(R"("path":"/app/counter")"));
    EXPECT_EQ(std::count(said.out.begin(), said.out.end(), '\n'), 1);
}

TEST_F(Command, SendsAndAsks) {
    auto said = coppice_says({"send", "/app/counter", "add", "5"});
    EXPECT_EQ(said.code, 0) << said.err;
    said = coppice_says({"ask", "/app/counter", "get"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.out, "5\n");
}

TEST_F(Command, EndsWithTheCodeOfWhatWentWrong) {
    EXPECT_EQ(coppice_says({}).code, 2);
    EXPECT_EQ(coppice_says({"dance"}).code, 2);
    EXPECT_EQ(coppice_says({"tree", "nobody"}).code, 3);
    EXPECT_EQ(coppice_says({"ask", "/app/nobody", "get"}).code, 3);
    const auto said = coppice_says({"ask", "/app/counter", "dance"});
    EXPECT_EQ(said.code, 5);
    EXPECT_THAT(said.err, HasSubstr("::get"));
    EXPECT_EQ(coppice_says({"ask", "/app/counter", "get", "--help"}).code, 0);
}

TEST_F(Command, O16ReceivesThreeMessagesAndEndsWithZero) {
    program receiver{{"receive", "alarms", "--count", "3", "--verbose"}};
    await_that([&] { return receiver.err() == "receiving\n"; });
    for (const char* text : {"one", "two", "three"}) {
        const auto said = coppice_says({"publish", "alarms", "alarm", text, "7"});
        EXPECT_EQ(said.code, 0) << said.err;
        EXPECT_EQ(said.out, "sent to 2 of 2\n");
    }
    EXPECT_EQ(receiver.wait(), 0) << receiver.err();
    const std::string type{message_name<alarm>};
    EXPECT_EQ(receiver.out(),
              type + " (\"one\", 7)\n" + type + " (\"two\", 7)\n" + type + " (\"three\", 7)\n");
    EXPECT_EQ(coppice_says({"ask", "/app/counter", "get"}).out, "21\n");
}

TEST_F(Command, O16ReceivesForEverIfTheCountIsZero) {
    program receiver{{"receive", "alarms", "--count", "0", "--verbose"}};
    await_that([&] { return receiver.err() == "receiving\n"; });
    for (std::uint32_t i = 0; i < 50; ++i) app_->publish<alarm>("alarms", "hot", i);
    await_that([&] { return receiver.out().find("(\"hot\", 49)") != std::string::npos; });
    receiver.signal(SIGINT);
    EXPECT_EQ(receiver.wait(), 0);
}

TEST_F(Command, TopShowsTheBusiestFirst) {
    program top{{"top", "--every", "0.2", "--count", "2"}};
    auto c = app_->resolve<counter_protocol>("counter");
    while (!top.has_ended()) app_->send<add>(*c, 1u), std::this_thread::yield();
    EXPECT_EQ(top.wait(), 0) << top.err();
    const std::string last = top.out().substr(top.out().rfind("MESSAGES/S"));
    EXPECT_THAT(last, ::testing::ContainsRegex("^[^\n]*\n +[1-9][0-9.]+ [^\n]*/app/counter "));
    EXPECT_THAT(last, HasSubstr(" 0.0 "));
    EXPECT_THAT(top.out(), Not(HasSubstr("\033")));
    const std::string nodes = top.out().substr(top.out().rfind("TURNS"));
    EXPECT_THAT(nodes, ::testing::ContainsRegex(
                           "\n[0-9.]+ [nu]?m?s / [0-9.]+ [nu]?m?s +[^\n]* app  [0-9.]+ [num]?s /app"));
}

TEST_F(Command, ALogIsFollowedByPathAndLevel) {
    app_->set_level("/", level::info);
    program follower{{"log", "/app/counter", "--level", "info", "--count", "1", "--verbose"}};
    await_that([&] { return follower.err() == "following\n"; });
    auto c = app_->resolve<counter_protocol>("counter");
    app_->send<add>(*c, 3u);
    EXPECT_EQ(follower.wait(), 0) << follower.err();
    EXPECT_EQ(follower.out(), "info /app/counter 3 more\n");
}

TEST_F(Command, RestartsKillsAndStopsAnActor) {
    EXPECT_EQ(coppice_says({"send", "/app/counter", "add", "5"}).code, 0);
    auto said = coppice_says({"restart", "/app/counter"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(coppice_says({"ask", "/app/counter", "get"}).out, "0\n");
    EXPECT_THAT(coppice_says({"tree"}).out, HasSubstr("restarts 1"));
    said = coppice_says({"kill", "/app/counter"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(coppice_says({"ask", "/app/counter", "get"}).out, "0\n");
    EXPECT_THAT(coppice_says({"tree"}).out, HasSubstr("restarts 2"));
    said = coppice_says({"stop", "/app/counter"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_FALSE(app_->inspect().find("/app/counter"));
}

TEST_F(Command, ALogAsJsonHasTheKeysOfOneThatIsWrittenSoAndWhatWasDropped) {
    app_->set_level("/", level::info);
    program follower{{"log", "/app/counter", "--json", "--count", "1", "--verbose"}};
    await_that([&] { return follower.err() == "following\n"; });
    app_->send<add>(*app_->resolve<counter_protocol>("counter"), 3u);
    EXPECT_EQ(follower.wait(), 0) << follower.err();
    EXPECT_THAT(follower.out(),
                ::testing::MatchesRegex(
                    R"(\{"time":"[-0-9]+T[0-9:.]+Z","level":"info","path":"/app/counter","pid":)" +
                    std::to_string(::getpid()) +
                    R"(,"text":"3 more","dropped":0\})"
                    "\n"));
}

// Fails to start from its second incarnation on.
task<> brittle(actor<protocol<get>> self) {
    if (self.incarnation() > 1) throw std::runtime_error{"it is brittle"};
    self.ready();
    while (auto m = co_await self.receive()) m.match([](request<get> r) { r.fail(errc::mailbox_full); });
}

// Takes its time to end, until it is killed.
task<> holds_on(actor<protocol<get>> self) {
    while (co_await self.receive()) {
    }
    while (!self.stopping()) co_await self.yield();
    co_await self.sleep(1h);
}

TEST_F(Command, TellsOnStandardErrorWhatWentWrongAndEndsWithItsCode) {
    const auto root = app_->resolve<supervisor_protocol>("/app");
    ASSERT_TRUE(app_->ask<start_child>(*root, 20s, child("brittle", in_coroutine, brittle).awaits_ready()));
    ASSERT_TRUE(app_->ask<start_child>(*root, 20s, child("late", in_coroutine, holds_on).shutdown(500ms)));
    const struct {
        std::vector<std::string> words;
        int code;
        const char* says;
    } all[] = {
        {{"restart", "/app"}, 2, "/app is a tree's root"},
        {{"log", "app", "--level", "loud"}, 2, "loud is no level"},
        {{"stop", "/app/nobody"}, 3, "/app/nobody: not_found"},
        {{"kill", "/app/nobody"}, 3, "/app/nobody: not_found"},
        {{"restart", "/app/nobody"}, 3, "/app/nobody: not_found"},
        {{"pause", "/app/nobody"}, 3, "/app/nobody: not_found"},
        {{"resume", "/app/nobody"}, 3, "/app/nobody: not_found"},
        {{"publish", "nobodies", "alarm", "hot", "1"}, 3, "nobody is in group nobodies"},
        {{"ask", "/app/brittle", "get"}, 5, "/app/brittle: mailbox_full"},
        {{"stop", "/app/late", "--within", "0.2"}, 4, "/app/late: timeout"},
    };
    for (const auto& one : all) {
        const auto said = coppice_says(one.words);
        const std::string asked = ::testing::PrintToString(one.words);
        EXPECT_EQ(said.code, one.code) << asked;
        EXPECT_THAT(said.err, ::testing::StartsWith(std::string{"coppice: "} + one.says)) << asked;
        EXPECT_EQ(std::count(said.err.begin(), said.err.end(), '\n'), 1) << asked;
        EXPECT_EQ(said.out, "") << asked;
    }
    // Its supervisor tries it again until that is too often, and ends.
    const auto restarted = coppice_says({"restart", "/app/brittle"});
    EXPECT_EQ(restarted.code, 1);
    EXPECT_THAT(restarted.err, HasSubstr("it is brittle"));
    EXPECT_EQ(restarted.out, "");
}

TEST_F(Command, ReachesActorsInProcessesOfTheirOwn) {
    auto root = app_->resolve<supervisor_protocol>("/app");
    auto started = app_->ask<start_child>(*root, 20s, child("worker", in_process.over("unix"), counter));
    ASSERT_TRUE(started) << started.error().what();
    const auto tree = coppice_says({"tree"});
    EXPECT_EQ(tree.code, 0) << tree.err;
    EXPECT_THAT(tree.out, HasSubstr("\n  worker  [process "));
    EXPECT_THAT(tree.out, Not(HasSubstr("does not answer")));
    EXPECT_EQ(coppice_says({"send", "/app/worker", "add", "4"}).code, 0);
    EXPECT_EQ(coppice_says({"ask", "/app/worker", "get"}).out, "4\n");
    const auto published = coppice_says({"publish", "alarms", "alarm", "hot", "30"});
    EXPECT_EQ(published.out, "sent to 2 of 2\n") << published.err;
    EXPECT_EQ(coppice_says({"ask", "/app/worker", "get"}).out, "34\n");
    const auto again = coppice_says({"restart", "/app/worker"});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(coppice_says({"ask", "/app/worker", "get"}).out, "0\n");
}

TEST_F(Command, StopsATreeAndLeavesNoTrace) {
    EXPECT_THAT(here_.files(), Not(IsEmpty()));
    const auto said = coppice_says({"stop", "app"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_TRUE(app_->wait().is_clean());
    app_.reset();
    EXPECT_THAT(here_.files(), IsEmpty());
    EXPECT_EQ(coppice_says({"tree"}).code, 3);
}

TEST_F(Command, ListsTheTreesWhereThereAreSeveral) {
    node_options o = quiet(1);
    o.control = true;
    node other{"other", o};
    ASSERT_TRUE(other.start(supervisor_spec{}));
    // What a crashed tree leaves behind is none.
    std::ofstream{here_.path("gone.control.sock")};
    std::ofstream{here_.path("gone.control.sock.lock")};
    EXPECT_EQ(coppice_says({"tree"}).out, "app\nother\n");
    EXPECT_EQ(coppice_says({"receive", "alarms"}).code, 2);
    EXPECT_THAT(coppice_says({"tree", "other"}).out, HasSubstr("/other"));
}

TEST(CommandTable, HasEverySubcommandInItsManualsAndInCompletion) {
    const auto said = coppice_says({"--help"});
    EXPECT_EQ(said.code, 0);
    const std::string page = content("docs/command_line.md");
    const std::string man = content("tools/coppice/coppice.1");
    const std::string completion = content("tools/coppice/coppice.bash");
    const std::string list = said.out.substr(said.out.find("Subcommands:"));
    const std::regex row{R"re(\n  (\w+) )re"};
    std::size_t rows = 0;
    for (std::sregex_iterator at{list.begin(), list.end(), row}, end; at != end; ++at, ++rows) {
        const std::string name = (*at)[1];
        EXPECT_THAT(page, HasSubstr("`coppice " + name));
        EXPECT_TRUE(std::regex_search(man, std::regex{"\\b" + name + "\\b"})) << name;
        EXPECT_TRUE(std::regex_search(completion, std::regex{"-W \"[^\"]*\\b" + name + "\\b"})) << name;
    }
    EXPECT_GE(rows, 10u);
}

TEST_F(Command, CompletesPathsOfTheTree) {
    const std::string program = COPPICE_COMMAND;
    ::setenv("COPPICE_PROGRAMS", program.substr(0, program.rfind('/')).c_str(), 1);
    const std::string script =
        "PATH=$COPPICE_PROGRAMS:$PATH; . tools/coppice/coppice.bash; COMP_WORDS=(coppice ask /app/c); "
        "COMP_CWORD=2; _coppice; echo \"${COMPREPLY[*]}\"";
    std::FILE* bash = ::popen(("exec bash -c '" + script + "'").c_str(), "r");
    ASSERT_TRUE(bash);
    char line[256] = {};
    EXPECT_TRUE(std::fgets(line, sizeof line, bash));
    EXPECT_EQ(::pclose(bash), 0);
    ::unsetenv("COPPICE_PROGRAMS");
    EXPECT_STREQ(line, "/app/counter\n");
}

// The lines of a block that follow a command, as a shell prints them where the page's reader is.
class shell {
public:
    explicit shell(node& app) : app_{app} {
        const std::string program = COPPICE_COMMAND;
        ::setenv("COPPICE_PROGRAMS", program.substr(0, program.rfind('/')).c_str(), 1);
    }
    ~shell() { ::unsetenv("COPPICE_PROGRAMS"); }
    shell(const shell&) = delete;
    shell& operator=(const shell&) = delete;
    std::string prints(const std::string& command) {
        const bool follows = command.starts_with("coppice log");
        std::ofstream{files_.path("script")} << "PATH=$COPPICE_PROGRAMS:$PATH\n"
                                             << command << (follows ? " --verbose" : "") << " 2>"
                                             << files_.path("err") << "\n";
        std::FILE* run = ::popen(("exec bash " + files_.path("script")).c_str(), "r");
        if (!run) return "popen failed";
        if (follows) {  // somebody has to give it something
            await_that([&] { return content(files_.path("err")) == "following\n"; });
            app_.send<add>(*app_.resolve<counter_protocol>("counter"), 3u);
        }
        std::string out;
        char piece[4096];
        while (const std::size_t n = std::fread(piece, 1, sizeof piece, run)) out.append(piece, n);
        ::pclose(run);
        return out + (follows ? "" : content(files_.path("err")));
    }

private:
    node& app_;
    own_directory files_;
};

// COPPICE_UPDATE_PAGE=1 writes what is printed now into the page.
TEST_F(Command, PrintsWhatItsPageShows) {
    app_->set_level("/", level::info);
    const char* const name = "docs/command_line.md";
    const std::string page = content(name);
    shell sh{*app_};
    std::string now;
    std::istringstream lines{page};
    bool example = false;
    std::size_t commands = 0;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("```")) example = false;
        if (line.starts_with("$ ")) {
            example = true;
            ++commands;
            now += line + "\n" + sh.prints(line.substr(2));
        } else if (!example) {
            now += line + "\n";
        }
    }
    EXPECT_GE(commands, 8u);
    if (const char* update = std::getenv("COPPICE_UPDATE_PAGE"); update && *update)
        std::ofstream{name, std::ios::trunc} << now;
    EXPECT_EQ(page, now) << "COPPICE_UPDATE_PAGE=1 writes it anew";
}

TEST(CommandTable, IsInTheManualAsInTheHeader) {
    const std::string header = content("tools/coppice/exit_code.hpp");
    const std::string page = content("docs/command_line.md");
    const std::regex row{R"re(\w+ = (\d+), +///< ([^\n]+))re"};
    std::size_t rows = 0;
    for (std::sregex_iterator at{header.begin(), header.end(), row}, end; at != end; ++at, ++rows)
        EXPECT_THAT(page, HasSubstr("| " + (*at)[1].str() + " | " + (*at)[2].str() + " |"));
    EXPECT_EQ(rows, 6u);
}

}  // namespace
}  // namespace coppice::tests
