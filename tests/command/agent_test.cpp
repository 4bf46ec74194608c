// `coppice agent` beside a tree that runs in the test's own process: it starts what its options allow, by this test program, and says
// what is wrong with them.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/process.hpp"
#include "support/leftovers.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

constexpr const char* secret_variable = "AGENT_TEST_SECRET";
constexpr const char* secret = "known to both of them";

struct variable {
    std::string name;
    using reply = std::string;
};
using reader_protocol = protocol<variable>;
task<> reader(actor<reader_protocol> self, std::string prefix) {
    while (auto m = co_await self.receive())
        m.match([&](request<variable> r) {
            const char* const text = std::getenv(r->name.c_str());
            r.reply(prefix + (text ? text : ""));
        });
}

/// One run of the command. What it prints to standard error goes to a file.
class agent_command {
public:
    agent_command(std::vector<std::string> words, std::string errors) : errors_{std::move(errors)} {
        words.insert(words.begin(), {COPPICE_COMMAND, "agent"});
        std::vector<char*> arguments;
        for (std::string& w : words) arguments.push_back(w.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 2, errors_.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
        EXPECT_EQ(::posix_spawn(&pid_, COPPICE_COMMAND, &files, nullptr, arguments.data(), environ), 0);
        posix_spawn_file_actions_destroy(&files);
    }
    ~agent_command() {
        if (pid_ > 0) end();
    }
    agent_command(const agent_command&) = delete;
    agent_command& operator=(const agent_command&) = delete;
    int end() {
        ::kill(pid_, SIGTERM);
        return wait();
    }
    int wait() {
        int status = 0;
        while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    [[nodiscard]] std::string err() const {
        std::ostringstream all;
        all << std::ifstream{errors_}.rdbuf();
        return all.str();
    }

private:
    std::string errors_;
    pid_t pid_ = -1;
};

std::string this_program() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

std::string output_of(const char* command) {
    std::string text;
    FILE* const out = ::popen(command, "r");
    char piece[512];
    while (const std::size_t n = std::fread(piece, 1, sizeof piece, out)) text.append(piece, n);
    ::pclose(out);
    return text;
}

class CommandAgent : public ::testing::Test {
protected:
    void TearDown() override {
        ::unsetenv(secret_variable);
        left_.check();
    }
    [[nodiscard]] std::string errors() const { return place_.path("err"); }
    leftovers left_;
    own_directory place_;
};

TEST_F(CommandAgent, StartsProcessesForATreeUntilItIsAskedToEnd) {
    ::setenv(secret_variable, secret, 1);
    for (const bool dials : {true, false}) {
        node_options o = quiet(2);
        o.network.secret = secret;
        o.control = true;
        if (dials) o.network.listen = {"unix://top"};
        else o.network.children = {"unix://agent-b"};
        node n{"app", o};
        ASSERT_TRUE(n.start({}));
        agent_command there{{"b", dials ? "--parent" : "--listen", dials ? "unix://top" : "unix://agent-b",
                             "--allow", this_program(), "--allow-env", "LENS", "--secret-env",
                             secret_variable},
                            errors()};
        await_that([&] { return n.resolve<anything>("/b/agent").has_value(); });
        play(n, [](actor<anything> self) -> task<> {
            const auto made = co_await self.start(child(
                "w", in_process(this_program()).env("LENS", "wide").on("b"), reader, std::string{"it is "}));
            EXPECT_TRUE(made) << made.error().what();
            if (!made) co_return;
            const ref<reader_protocol> w{*made};
            const auto lens = co_await self.ask<variable>(w, 10s, "LENS");
            EXPECT_TRUE(lens && *lens == "it is wide") << lens.error().what();
            const auto none = co_await self.ask<variable>(w, 10s, secret_variable);
            EXPECT_TRUE(none && *none == "it is ") << "the secret of the links is not for what is started";
            const auto shown = co_await self.offload([] { return output_of(COPPICE_COMMAND " tree app"); });
            EXPECT_THAT(shown, ::testing::ContainsRegex("w  \\[process [0-9]+ on b\\]"));
            const auto other = co_await self.start(child("v", in_process("/bin/true").on("b")));
            EXPECT_EQ(other.error().code(), errc::denied) << other.error().what();
        });
        EXPECT_EQ(there.end(), 0) << there.err();
        EXPECT_THAT(there.err(), ::testing::HasSubstr("refused to start /bin/true for"));
        EXPECT_THAT(there.err(), ::testing::Not(::testing::HasSubstr(secret)));
    }
}

TEST_F(CommandAgent, SaysWhatIsWrongWithItsOptions) {
    ::setenv(secret_variable, "too short", 1);
    const struct {
        std::vector<std::string> words;
        int code;
        std::string says;
    } cases[] = {
        {{"b", "--parent", "unix://top"}, 2, "--allow is required"},
        {{"b", "--allow", "/bin/true"}, 2, "--parent or --listen"},
        {{"b", "--parent", "unix://top", "--allow", "/bin/true", "--secret-env", secret_variable},
         2,
         "at least 16 bytes"},
        {{"b", "--parent", "unix://top", "--allow", "/bin/true", "--secret-file", "/no/such"},
         2,
         "at least 16 bytes"},
        {{"b", "--parent", "unix://top", "--allow", "/bin/true", "--most", "0"}, 2, "--most"},
        {{"b", "--parent", "unix://top", "--allow", "/bin/true", "--level", "loud"}, 2, "--level"},
        {{"b", "--parent", "unix://top", "--allow", "true"}, 1, "expected an absolute path"},
        {{"b", "--parent", "unix://top", "--allow", "/bin/true", "--allow-env", "LD_PRELOAD"},
         1,
         "cannot be allowed"},
        {{"b", "--parent", "unix://top", "--allow", "/bin/true", "--directory", "/no/such"},
         1,
         "is not there"},
    };
    for (const auto& c : cases) {
        agent_command one{c.words, errors()};
        EXPECT_EQ(one.wait(), c.code) << c.says;
        EXPECT_THAT(one.err(), ::testing::HasSubstr(c.says));
    }
}

}  // namespace
}  // namespace coppice::tests
