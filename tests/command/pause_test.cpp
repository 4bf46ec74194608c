// `coppice pause` and `resume`, of an actor, of a process and of a whole tree; and that what waited goes on.
#include <cstdint>
#include <memory>
#include <string>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "command/programs.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
using counter_protocol = protocol<add, get>;

task<> counter(actor<counter_protocol> self) {
    std::uint64_t sum = 0;
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { sum += a.amount; }, [&](request<get> r) { r.reply(sum); });
}

/// Starts a program as a plugin, and says where it is.
struct load {
    std::string name;
    std::string program;
    using reply = std::string;
};

task<> loader(actor<protocol<load>> self) {
    while (auto m = co_await self.receive()) {
        auto asked = m.take<load>();
        if (!asked) continue;
        auto plugin = in_process(asked->program, {"7"});
        plugin.env("COPPICE_TEST_PROGRAM", "plugin");
        const auto started = co_await self.start(child(asked->name, plugin));
        if (started) asked.reply(self.path() + "/" + asked->name);
        else asked.fail(started.error());
    }
}

class PauseCommand : public ::testing::Test {
protected:
    PauseCommand() {
        node_options o = quiet(2);
        o.control = true;
        app_ = std::make_unique<node>("app", o);
        supervisor_spec spec;
        spec.add(child("counter", in_coroutine, counter))
            .add(child("worker", in_process, counter))
            .add(child("loader", in_coroutine, loader));
        auto started = app_->start(std::move(spec));
        EXPECT_TRUE(started) << started.error().what();
    }
    static int done(std::vector<std::string> words) {
        const auto said = coppice_says(std::move(words));
        EXPECT_EQ(said.err, "");
        return said.code;
    }
    own_run_directory here_;
    std::unique_ptr<node> app_;
};

TEST_F(PauseCommand, F13ARemoteToolListsActorsPausesAndResumesTheSystemLoadsAPluginAndGetsAnAnswerForEach) {
    EXPECT_THAT(coppice_says({"tree"}).out, HasSubstr("\n  counter  [coroutine on scheduler 0] receiving\n"));
    EXPECT_EQ(done({"pause", "app"}), 0);
    // The process hears of it a moment later.
    await_that([] { return coppice_says({"tree"}).out.find("receiving") == std::string::npos; });
    const std::string tree = coppice_says({"tree"}).out;
    EXPECT_THAT(tree, HasSubstr("/app  [coroutine on scheduler 0] paused\n"));
    EXPECT_THAT(tree, HasSubstr("\n  counter  [coroutine on scheduler 0] paused\n"));
    EXPECT_THAT(tree, ContainsRegex("\n  worker  \\[process [0-9]+\\] paused\n"));
    for (const char* path : {"/app/counter", "/app/worker"}) {
        EXPECT_EQ(done({"send", path, "add", "5"}), 0);
        const auto asked = coppice_says({"ask", path, "get", "--within", "0.2"});
        EXPECT_EQ(asked.code, 4);
        EXPECT_THAT(asked.err, HasSubstr("timeout"));
    }
    EXPECT_THAT(coppice_says({"tree"}).out, HasSubstr("counter  [coroutine on scheduler 0] paused, mail "));
    EXPECT_EQ(done({"resume", "app"}), 0);
    for (const char* path : {"/app/counter", "/app/worker"})
        EXPECT_EQ(coppice_says({"ask", path, "get"}).out, "5\n");
    EXPECT_THAT(coppice_says({"tree"}).out, Not(HasSubstr("paus")));
    const auto loaded = coppice_says({"ask", "/app/loader", "load", "plugin", this_program()});
    EXPECT_EQ(loaded.out, "\"/app/loader/plugin\"\n") << loaded.err;
    EXPECT_EQ(coppice_says({"ask", "/app/loader/plugin", "get"}).out, "7\n");
    EXPECT_EQ(coppice_says({"pause", "/app/nobody"}).code, 3);
    EXPECT_EQ(coppice_says({"resume", "/app/nobody"}).code, 3);
}

TEST_F(PauseCommand, AProcessStaysPausedWhenItIsStartedAgainAndIsEndedAsAnyOther) {
    EXPECT_EQ(done({"pause", "/app/worker"}), 0);
    EXPECT_EQ(done({"send", "/app/worker", "add", "3"}), 0);
    EXPECT_EQ(coppice_says({"ask", "/app/counter", "get"}).out, "0\n");
    EXPECT_EQ(done({"kill", "/app/worker"}), 0);
    await_that([] {
        const std::string tree = coppice_says({"tree"}).out;
        return ::testing::Matches(ContainsRegex("worker  \\[process [0-9]+\\] paused[^\n]*restarts 1"))(
                   tree) &&
               tree.find("does not answer") == std::string::npos;
    });
    EXPECT_EQ(coppice_says({"ask", "/app/worker", "get", "--within", "0.2"}).code, 4);
    // Mail that no process had taken is there for the next one.
    EXPECT_EQ(done({"resume", "/app/worker"}), 0);
    EXPECT_EQ(coppice_says({"ask", "/app/worker", "get"}).out, "3\n");
    EXPECT_EQ(done({"pause", "app"}), 0);
    EXPECT_EQ(done({"stop", "/app/worker"}), 0);
    EXPECT_FALSE(app_->inspect().find("/app/worker"));
    EXPECT_EQ(done({"stop", "app"}), 0);
    EXPECT_TRUE(app_->wait().is_clean());
}

}  // namespace
}  // namespace coppice::tests
