// `coppice check` and `coppice run`: what they say of a deployment file, and the tree that runs by it.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "command/programs.hpp"
#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/leftovers.hpp"
#include "support/own_directory.hpp"
#include "support/processes.hpp"

namespace coppice::tests {

namespace {

using namespace std::chrono_literals;

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
using plugin_protocol = protocol<add, get>;

task<> plugin(actor<plugin_protocol> self, std::uint64_t sum) {
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { sum += a.amount; }, [&](request<get> r) { r.reply(sum); });
}

}  // namespace

int library_main(int& argc, char** argv) {
    register_builtin_transports();
    supervisor_spec shelf;
    shelf.add(child("left", in_coroutine, plugin, std::uint64_t{1}))
        .add(child("right", in_coroutine, plugin, std::uint64_t{2}));
    supervisor_spec tree;
    tree.add(supervisor("shelf", shelf)).add(child("desk", in_coroutine, plugin, std::uint64_t{3}));
    std::printf("a main that prints\n");
    std::fflush(stdout);
    node_options o;
    o.control = true;
    node library{"library", argc, argv, o};
    if (argc > 1 && argv[1] == std::string_view{"--hang"})
        for (;;) ::pause();
    return library.run(tree);
}

int plugin_main(int& argc, char** argv) {
    register_builtin_transports();
    return run_as_child(argc, argv, plugin, std::uint64_t{argc > 1 ? std::stoul(argv[1]) : 0});
}

namespace {

using ::testing::ContainsRegex;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// What the programs are that files name, while it lives.
class as_program {
public:
    explicit as_program(const char* name) { ::setenv("COPPICE_TEST_PROGRAM", name, 1); }
    ~as_program() { ::unsetenv("COPPICE_TEST_PROGRAM"); }
    as_program(const as_program&) = delete;
    as_program& operator=(const as_program&) = delete;
};

class Deploy : public ::testing::Test {
protected:
    std::string file(const std::string& text, const std::string& name = "app.toml") {
        std::ofstream{files_.path(name), std::ios::binary | std::ios::trunc} << text;
        return files_.path(name);
    }
    /// A file whose only actor is the plugin, in a process.
    std::string file_with_plugin(const std::string& more = "") {
        return file("name = 'app'\n" + more + "\n[[actor]]\npath = '/app/plugin'\nprogram = '" +
                    this_program() +
                    "'\narguments = ['7']\nenvironment = { COPPICE_TEST_PROGRAM = 'plugin' }\n");
    }
    own_directory files_;
};

// ---------------------------------------------------------------- check

TEST_F(Deploy, CheckTellsEveryMistakeWithItsPlace) {
    const std::string path = file("name = 'app'\n[[actor]]\npath = '/app/disk'\ncarier = 'thread'\n"
                                  "shutdown = '2 seconds'\n");
    const auto said = coppice_says({"check", path});
    EXPECT_EQ(said.code, 2);
    EXPECT_EQ(said.out, "");
    EXPECT_THAT(said.err,
                StartsWith(path + ":4:1: unknown key 'carier' in [[actor]]; did you mean 'carrier'?\n" +
                           path + ":5:12: 'shutdown' in [[actor]]: "));
    EXPECT_EQ(coppice_says({"check", files_.path("none.toml")}).code, 3);
    EXPECT_EQ(coppice_says({"check"}).code, 2);
}

TEST_F(Deploy, CheckShowsTheTreeThatTheFileDescribes) {
    const std::string path = file(R"(
name = "app"
[supervisor]
backoff = { first = "100ms", most = "5s" }
[[actor]]
path = "/app/cameras"
supervisor = { strategy = "rest_for_one", restarts = 20, window = "90s" }
[[actor]]
path = "/app/cameras/front"
program = "/bin/camera"
arguments = ["--name", "the \u001b[31m front", ""]
over = "shm?ring=1MiB"
limits = { files = 256 }
restart = "transient"
shutdown = "2s"
)");
    const auto said = coppice_says({"check", path});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.err, "");
    EXPECT_EQ(said.out, "/app  [supervisor, one_for_one, 3 restarts in 5s, after 100ms to 5s]\n"
                        "  cameras  [coroutine] permanent, supervisor, rest_for_one, 20 restarts in 90s\n"
                        "    front  [process /bin/camera --name \"the \\u001b[31m front\" \"\", over "
                        "shm?ring=1MiB, files 256] "
                        "transient, ends within 2s\n");
    const auto json = coppice_says({"check", path, "--json"});
    EXPECT_EQ(json.code, 0);
    EXPECT_THAT(json.out,
                StartsWith(R"({"path":"/app","supervisor":{"strategy":"one_for_one","restarts":3,)"));
    EXPECT_THAT(json.out, HasSubstr(R"("arguments":["--name","the \u001b[31m front",""])"));
    EXPECT_THAT(json.out,
                HasSubstr(R"("heartbeat":{"period":"1s","misses":5,"silent":"restart","stuck":"restart"})"));
    EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 1);
}

TEST_F(Deploy, CheckLeavesToTheProgramWhatOnlyItKnows) {
    const std::string path =
        file("[[actor]]\npath = '/library/shelf/left'\npriority = 'low'\n[[actor]]\npath = '/library/extra'\n"
             "supervisor = {}\n[[actor]]\npath = '/library/extra/one'\nprogram = 'one'\n");
    const auto said = coppice_says({"check", path});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.out, "/library  [supervisor, one_for_one, 3 restarts in 5s]\n"
                        "  shelf  [as the program has it]\n"
                        "    left  [as the program has it]\n"
                        "  extra  [coroutine] permanent, supervisor, one_for_one, 3 restarts in 5s\n"
                        "    one  [process one, over unix] permanent, ends within 5s\n");
    EXPECT_THAT(said.err, HasSubstr("--program"));
    EXPECT_THAT(coppice_says({"check", path, "--json"}).out,
                HasSubstr(R"({"path":"/library/shelf/left","known":false})"));
}

TEST_F(Deploy, CheckRefusesWhatIsWrongWithEveryProgram) {
    const std::string of_two = file("[[actor]]\npath = '/app/a'\nscheduler = 1\npriority = 'low'\n");
    EXPECT_THAT(coppice_says({"check", of_two}).err,
                HasSubstr(":4:1: 'priority' is for carrier = \"thread\"; 'scheduler' is for \"coroutine\""));
    const std::string below_program =
        file("[[actor]]\npath = '/app/a'\nprogram = 'a'\n[[actor]]\npath = '/app/a/b'\nprogram = 'b'\n");
    EXPECT_THAT(coppice_says({"check", below_program}).err, HasSubstr(":5:8: '/app/a' is no supervisor"));
    const std::string of_another = file("name = 'app'\n[[actor]]\npath = '/other/a'\nprogram = 'a'\n");
    EXPECT_THAT(coppice_says({"check", of_another}).err, HasSubstr(":3:8: there is no '/other/a'"));
}

TEST_F(Deploy, CheckAsksTheProgramWhichActorsItHas) {
    const as_program is{"library"};
    const std::string right = file("[node]\nprogram = '" + this_program() +
                                   "'\n[[actor]]\npath = '/library/shelf/left'\npriority = 'low'\n"
                                   "carrier = 'thread'\n");
    for (const auto& words : {std::vector<std::string>{"check", right, "--program", this_program()},
                              std::vector<std::string>{"check", right, "--program"}}) {
        const auto said = coppice_says(words);
        EXPECT_EQ(said.code, 0) << said.err;
        EXPECT_EQ(said.out, "/library  [supervisor, one_for_one, 3 restarts in 5s]\n"
                            "  shelf  [coroutine] permanent, supervisor, one_for_one, 3 restarts in 5s\n"
                            "    left  [thread of low priority] permanent, ends within 5s\n"
                            "    right  [coroutine] permanent, ends within 5s\n"
                            "  desk  [coroutine] permanent, ends within 5s\n");
        EXPECT_THAT(said.err, HasSubstr("a main that prints"));
    }
    EXPECT_THAT(
        coppice_says({"check", right, "--program", this_program(), "--json"}).out,
        HasSubstr(R"({"path":"/library/shelf/left","known":true,"carrier":"thread","priority":"low")"));
    const std::string wrong = file("[[actor]]\npath = '/library/shelf/lefd'\npriority = 'low'\n");
    EXPECT_EQ(coppice_says({"check", wrong}).code, 0);
    const auto said = coppice_says({"check", wrong, "--program", this_program()});
    EXPECT_EQ(said.code, 2);
    EXPECT_EQ(said.out, "");
    EXPECT_THAT(said.err,
                EndsWith("\n" + wrong +
                         ":2:8: there is no '/library/shelf/lefd'; '/library/shelf' has the children left, "
                         "right; did you mean 'left'?\n"));
    EXPECT_THAT(coppice_says({"check", wrong, "--program"}).err, HasSubstr("names no program"));
}

TEST_F(Deploy, CheckTellsOfAProgramThatDoesNotTellItsTree) {
    leftovers left;
    const std::string path = file("");
    const auto script = [&](const char* name, const std::string& text) {
        const std::string at = file("#!/bin/sh\n" + text + "\n", name);
        std::filesystem::permissions(at, std::filesystem::perms::owner_all);
        return at;
    };
    EXPECT_EQ(coppice_says({"check", path, "--program", files_.path("none")}).code, 3);
    const auto silent = coppice_says({"check", path, "--program", script("silent", "exit 0")});
    EXPECT_EQ(silent.code, 1);
    EXPECT_THAT(silent.err, HasSubstr("did not tell its tree"));
    const auto failing = coppice_says({"check", path, "--program", script("failing", "exit 7")});
    EXPECT_EQ(failing.code, 1);
    EXPECT_THAT(failing.err, HasSubstr("ended with code 7"));
    const auto hanging =
        coppice_says({"check", path, "--within", "0.1", "--program", script("hanging", "exec sleep 1000")});
    EXPECT_EQ(hanging.code, 4);
    EXPECT_THAT(hanging.err, HasSubstr("does not tell its tree"));
    left.check();
}

// ---------------------------------------------------------------- run

TEST_F(Deploy, O15StartsFromTheFileAloneEachOptionOverridesItAndSigintLeavesNothing) {
    leftovers left;
    const std::string path =
        file_with_plugin("[node]\nschedulers = 2\nlisten = 'unix://one'\n[log]\nlevel = 'info'\nfile = "
                         "'one.log'\nterminal = false\n");
    const auto runs = [&](const std::vector<std::string>& options, auto look) {
        std::vector<std::string> words{"run", path};
        words.insert(words.end(), options.begin(), options.end());
        program tree{words};
        await_that([&] { return tree.has_ended() || coppice_says({"ask", "/app/plugin", "get"}).code == 0; });
        look(tree);
        tree.signal(SIGINT);
        EXPECT_EQ(tree.wait(), 0) << tree.err();
    };
    const auto described = [] { return coppice_says({"tree", "--json"}).out; };
    runs({}, [&](program&) {
        EXPECT_EQ(coppice_says({"ask", "/app/plugin", "get"}).out, "7\n");
        EXPECT_THAT(described(), ContainsRegex(R"("name":"app"[^]]*"index":1,)"));
        EXPECT_THAT(left.run_directory().files(), ::testing::Contains("one.sock"));
    });
    EXPECT_TRUE(std::filesystem::exists(files_.path("one.log")));
    std::filesystem::remove(files_.path("one.log"));
    runs({"schedulers=1", "listen=unix://two", "log-file=" + files_.path("two.log"), "log-terminal=on",
          "log-level=trace", "mailbox=9"},
         [&](program&) {
             EXPECT_THAT(described(), Not(ContainsRegex(R"("name":"app"[^]]*"index":1,)")));
             EXPECT_THAT(described(), ContainsRegex(R"("path":"/app",[^}]*"capacity":9)"));
             EXPECT_THAT(left.run_directory().files(), ::testing::Contains("two.sock"));
             EXPECT_THAT(left.run_directory().files(), Not(::testing::Contains("one.sock")));
         });
    EXPECT_FALSE(std::filesystem::exists(files_.path("one.log")));
    EXPECT_TRUE(std::filesystem::exists(files_.path("two.log")));
    ::setenv("COPPICE_SCHEDULERS", "3", 1);
    runs({}, [&](program&) { EXPECT_THAT(described(), ContainsRegex(R"("name":"app"[^]]*"index":2,)")); });
    runs({"schedulers=1"},
         [&](program&) { EXPECT_THAT(described(), Not(ContainsRegex(R"("name":"app"[^]]*"index":1,)"))); });
    ::unsetenv("COPPICE_SCHEDULERS");
    left.check();
}

TEST_F(Deploy, P10PluginsArePrograms) {
    leftovers left;
    program host{{"run", file_with_plugin("[supervisor]\nrestarts = 10\nwindow = '10s'\n")}};
    const auto ask = [] { return coppice_says({"ask", "/app/plugin", "get"}); };
    await_that([&] { return host.has_ended() || ask().code == 0; });
    const auto pid_of_plugin = [] {
        const std::string tree = coppice_says({"tree", "--json"}).out;
        const std::string before = R"("processes":[{"path":"/app/plugin","pid":)";
        const auto at = tree.find(before);
        return at == std::string::npos ? 0 : std::atoi(tree.c_str() + at + before.size());
    };
    EXPECT_EQ(coppice_says({"send", "/app/plugin", "add", "5"}).code, 0);
    EXPECT_EQ(ask().out, "12\n");
    // It crashes, and the host goes on.
    const pid_t first = pid_of_plugin();
    ASSERT_GT(first, 0);
    ::kill(first, SIGKILL);
    await_that([&] { return pid_of_plugin() != first && ask().out == "7\n"; });
    EXPECT_THAT(coppice_says({"tree"}).out, ContainsRegex("plugin  \\[process [^\n]*restarts 1"));
    // It is started again because somebody wants that.
    const pid_t second = pid_of_plugin();
    const auto again = coppice_says({"restart", "/app/plugin"});
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(ask().out, "7\n");
    EXPECT_NE(pid_of_plugin(), second);
    EXPECT_FALSE(host.has_ended());
    host.signal(SIGTERM);
    EXPECT_EQ(host.wait(), 0) << host.err();
    // The sockets of a process that is killed are removed by its parent.
    left.check();
}

TEST_F(Deploy, RunBecomesTheProgramThatTheFileNames) {
    leftovers left;
    const as_program is{"library"};
    program tree{
        {"run", file("[node]\nprogram = '" + this_program() + "'\nschedulers = 2\n"), "schedulers=1"}};
    await_that([&] { return tree.has_ended() || coppice_says({"ask", "/library/desk", "get"}).code == 0; });
    const auto told = coppice_says({"tree", "--json"}).out;
    EXPECT_THAT(told, StartsWith(R"({"nodes":[{"name":"library","pid":)" + std::to_string(tree.pid()) + ","));
    EXPECT_THAT(told, Not(HasSubstr(R"("index":1,)")));
    tree.signal(SIGTERM);
    EXPECT_EQ(tree.wait(), 0) << tree.err();
    program hanging{{"run", file("[node]\nprogram = '" + this_program() + "'\n"), "--", "--hang"}};
    await_that([&] { return hanging.out() == "a main that prints\n"; });
    hanging.signal(SIGTERM);
    EXPECT_EQ(hanging.wait(), -SIGTERM);
    left.check();
}

TEST_F(Deploy, RunEndsAsANodeDoes) {
    const own_run_directory here;
    const std::string right = file_with_plugin();
    EXPECT_EQ(coppice_says({"run"}).code, 3);
    EXPECT_EQ(coppice_says({"run", files_.path("none.toml")}).code, 3);
    EXPECT_EQ(coppice_says({"run", right, "schedulers"}).code, 3);
    EXPECT_EQ(coppice_says({"run", right, "deployment=x"}).code, 3);
    EXPECT_EQ(coppice_says({"run", right, "--", "x"}).code, 3);
    const auto misspelt = coppice_says({"run", right, "schedlers=1"});
    EXPECT_EQ(misspelt.code, 3);
    EXPECT_THAT(misspelt.err, HasSubstr("there is no option --coppice-schedlers"));
    const auto nameless = coppice_says({"run", file("")});
    EXPECT_EQ(nameless.code, 3);
    EXPECT_THAT(nameless.err, HasSubstr("app.toml:1:1: the file has no 'name'"));
    const auto unknown = coppice_says({"run", file("name = 'app'\n[[actor]]\npath = '/app/a'\n")});
    EXPECT_EQ(unknown.code, 3);
    EXPECT_THAT(unknown.err, HasSubstr("app.toml:3:8: there is no '/app/a'"));
    EXPECT_EQ(coppice_says({"run", file("[node]\nprogram = './none'\n")}).code, 2);
    const std::string failing = file("name = 'app'\n[[actor]]\npath = '/app/a'\nprogram = '/bin/false'\n");
    EXPECT_EQ(coppice_says({"run", failing}).code, 2);
}

}  // namespace
}  // namespace coppice::tests
