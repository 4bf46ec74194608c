// A heartbeat of a child in_thread: its supervisor finds that its handlers do not return, says so, and does what the spec says. In
// worlds, over seeds, where a thread is wedged and freed at will; then with a thread that blocks.
#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/log_lines.hpp"
#include "../support/play.hpp"
#include "../support/seeds.hpp"
#include "../support/workers.hpp"
#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "coppice/testing/world.hpp"

namespace coppice::tests {
namespace {

using testing::world;

constexpr std::uint64_t seeds = 300;
constexpr auto period = 100ms;
constexpr std::uint32_t misses = 3;
constexpr auto patience = period * misses;
constexpr auto found_by =
    patience + 3 * period;  // it may have got on just before a look, and is found at one

const testing::world_options heard{.schedulers = 2, .level = level::info};

using watcher_protocol = protocol<process_finding>;
task<> watcher(actor<watcher_protocol> self, journal told) {
    self.watch_processes();
    while (auto m = co_await self.receive())
        m.match([&](const process_finding& f) {
            told.add(std::string{to_string(f.what)} + ":" + f.path +
                     (f.what == finding::stuck ? ":" + f.text : std::string{}));
            if (f.what == finding::stuck) EXPECT_GT(f.lasted, patience);
        });
}

struct scene {
    journal log;
    journal told;
    supervisor_spec tree(reaction when_stuck, carrier how = in_thread) const {
        return supervisor_spec{}
            .intensity(2, 1h)
            .add(child("watcher", in_coroutine, watcher, told))
            .add(worker("b", log, {}, std::move(how))
                     .heartbeat(period, misses, reaction::restart, when_stuck));
    }
};

/// With mail in front of a thread that does not run.
struct wedged_scene : scene {
    wedged_scene(world& w, reaction when_stuck) {
        EXPECT_TRUE(w.start(tree(when_stuck)));
        w.run_until_idle();
        w.wedge("/app/b");
        order<note>(w, "/app/b", 1);
    }
};

std::size_t lines(const world& w, std::string_view path, std::string_view part) {
    const auto& all = w.log();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [&](const auto& line) {
        return line.path == path && line.text.find(part) != std::string::npos;
    }));
}

TEST(ThreadWatch, AThreadThatIsStuckIsKilledAndRestartedWithItsMailWhenItComesToAnAwaitInTime) {
    for_each_seed(seeds, heard, [](world& w) {
        const wedged_scene s{w, reaction::restart};
        order<note>(w, "/app/b", 2);
        w.advance(patience);
        EXPECT_EQ(s.told.taken(), "");
        w.advance(found_by - patience);
        EXPECT_EQ(s.told.taken(), "stuck:/app/b:/app/b");
        EXPECT_EQ(lines(w, "/app/b", "its thread is stuck: a handler of /app/b does not return, for "), 1u);
        w.unwedge("/app/b");
        w.advance(found_by);
        EXPECT_EQ(s.log.taken(), "+b1 !b1 +b2 b2:1 b2:2");
        EXPECT_EQ(s.told.taken(), "well:/app/b");
        EXPECT_EQ(lines(w, "/app/b", "ended: unresponsive"), 1u);
        EXPECT_EQ(w.inspect().dead_letter_count, 0u);
    });
}

TEST(ThreadWatch, AThreadThatNeverComesBackIsLeftBehindItsSupervisorEscalatesAndASuccessorTakesItsName) {
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        ::testing::ScopedTrace trace{__FILE__, __LINE__, "seed " + std::to_string(seed)};
        world w{seed, heard};
        const scene s;
        ASSERT_TRUE(
            w.start(supervisor_spec{}.intensity(1, 1h).add(supervisor("s", s.tree(reaction::restart)))));
        w.run_until_idle();
        EXPECT_EQ(s.log.taken(), "+b1");
        w.wedge("/app/s/b");
        order<note>(w, "/app/s/b", 1);
        w.advance(found_by + limits::kill_grace + period);
        EXPECT_EQ(s.log.taken(), "+b1");
        EXPECT_EQ(lines(w, "/app/s", "child 'b' had to be left behind"), 1u);
        EXPECT_EQ(s.told.taken(), "stuck:/app/s/b:/app/s/b");
        order<note>(w, "/app/s/b", 2);
        EXPECT_EQ(s.log.taken(), "b1:2");
        w.advance(10s);
        EXPECT_EQ(s.told.taken(), "");
        const std::vector<std::string> left = w.finish();
        EXPECT_NE(std::find(left.begin(), left.end(), "abandoned /app/s/b"), left.end());
    }
}

TEST(ThreadWatch, OneThatIsOnlyToBeReportedGoesOnAndSoIsOneThatIsWaitedFor) {
    for_each_seed(seeds, heard, [](world& w) {
        const scene s;
        const bool reported = w.seed() % 2 == 0;
        ASSERT_TRUE(w.start(s.tree(reported ? reaction::report : reaction::wait)));
        w.run_until_idle();
        for (int times = 1; times <= 2; ++times) {
            w.wedge("/app/b");
            order<note>(w, "/app/b", times);
            w.advance(10s);
            EXPECT_EQ(s.told.taken(), "stuck:/app/b:/app/b");
            EXPECT_EQ(lines(w, "/app/b", "its thread is stuck"),
                      static_cast<std::size_t>(reported ? times : 0));
            w.unwedge("/app/b");
            w.advance(period);
            EXPECT_EQ(s.told.taken(), "well:/app/b");
        }
        EXPECT_EQ(s.log.taken(), "+b1 b1:1 b1:2");
    });
}

TEST(ThreadWatch, AThreadWithNothingToDoIsNotStuckNorIsOneWithoutAHeartbeatOrACoroutineWatched) {
    for_each_seed(seeds, heard, [](world& w) {
        const scene s;
        supervisor_spec tree = s.tree(reaction::restart);
        tree.add(worker("idle", s.log, {}, in_thread).heartbeat(period, misses))
            .add(worker("free", s.log, {}, in_thread))
            .add(worker("shared", s.log, {}, spread).heartbeat(period, misses));
        ASSERT_TRUE(w.start(std::move(tree)));
        w.run_until_idle();
        EXPECT_EQ(s.log.taken(), "+b1 +idle1 +free1 +shared1");
        w.wedge("/app/free");
        order<note>(w, "/app/free", 1);
        w.wedge("/app/shared");
        order<note>(w, "/app/shared", 2);
        w.advance(2s);
        EXPECT_EQ(s.told.taken(), "");
        w.unwedge("/app/free");
        w.unwedge("/app/shared");
        w.run_until_idle();
        EXPECT_THAT(s.log.taken(), ::testing::AnyOf("free1:1 shared1:2", "shared1:2 free1:1"));
    });
}

TEST(ThreadWatch, TimeInWhichThisProcessDidNotRunIsNotHeldAgainstIt) {
    for_each_seed(seeds, heard, [](world& w) {
        const wedged_scene s{w, reaction::restart};
        w.advance(period);
        w.sigstop("app");
        w.advance(1min);
        w.sigcont("app");
        w.advance(period);
        EXPECT_EQ(s.told.taken(), "");
        w.unwedge("/app/b");
        w.advance(1s);
        EXPECT_EQ(s.told.taken(), "");
        EXPECT_EQ(s.log.taken(), "+b1 b1:1");
    });
}

TEST(ThreadWatch, ItIsWatchedAgainAfterARestartAndNoMoreAfterItsEnd) {
    for_each_seed(seeds, heard, [](world& w) {
        const scene s;
        auto root = w.start(s.tree(reaction::restart));
        ASSERT_TRUE(root);
        order<crash>(w, "/app/b", "boom");
        EXPECT_EQ(s.log.taken(), "+b1 !b1 +b2");
        w.wedge("/app/b");
        order<note>(w, "/app/b", 1);
        w.advance(found_by);
        w.unwedge("/app/b");
        w.advance(found_by);
        EXPECT_EQ(s.told.taken(), "stuck:/app/b:/app/b well:/app/b");
        EXPECT_EQ(s.log.taken(), "!b2 +b3 b3:1");
        ASSERT_TRUE(w.ask<terminate_child>(*root, "b"));
        EXPECT_EQ(s.log.taken(), "-b3");
        w.advance(1h);
        EXPECT_EQ(s.told.taken(), "");
    });
}

TEST(ThreadWatch, ASupervisorThatIsStoppedWhileItWaitsForOneThatIsStuckStopsAllTheSame) {
    for_each_seed(seeds, heard, [](world& w) {
        const wedged_scene s{w, reaction::restart};
        w.advance(found_by);
        w.stop_node();
        w.run_until_idle();
        w.unwedge("/app/b");
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1h));
        EXPECT_EQ(s.log.taken(), "+b1 !b1");
    });
}

// ---------------------------------------------------------------- a thread that blocks

struct block {
    std::shared_future<void> until;
};
struct hold {};
struct incarnation_of {
    using reply = std::uint32_t;
};
using blocker_protocol = protocol<block, hold, incarnation_of>;
task<> blocker(actor<blocker_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([&](const block& b) { b.until.wait(); },
                [&](const hold&) {
                    for (;;) ::pause();
                },
                [&](request<incarnation_of> r) { r.reply(self.incarnation()); });
}

TEST(ThreadWatch, AThreadThatBlocksInItsHandlerIsKilledAndGoesOnAsItsSuccessorWhenItReturns) {
    log_lines lines;
    node_options options = quiet(2);
    lines.listen_to(options);
    node n{"app", options};
    std::promise<void> done;
    ASSERT_TRUE(n.start(supervisor_spec{}.add(child("b", in_thread, blocker).heartbeat(20ms, 2))));
    const auto b = n.resolve<blocker_protocol>("/app/b");
    ASSERT_TRUE(b);
    ASSERT_EQ(n.send<block>(*b, done.get_future().share()), errc::ok);
    lines.wait_for({"/app/b", "its thread is stuck: a handler of /app/b does not return, for "});
    done.set_value();
    const auto now = n.ask<incarnation_of>(*b, 60s);
    ASSERT_TRUE(now) << now.error().what();
    EXPECT_EQ(*now, 2u);
    EXPECT_EQ(lines.count({"/app/b", "ended: unresponsive"}), 1u);
}

int run_with_a_thread_that_holds() {
    node_options o = quiet(2);
    o.log_terminal = true;
    node n{"app", o};
    std::thread asks{[&] {
        for (;;)
            if (auto b = n.resolve<blocker_protocol>("/app/b")) {
                n.send<hold>(*b);
                return;
            }
    }};
    const int code = n.run(supervisor_spec{}.add(child("b", in_thread, blocker).heartbeat(20ms, 2)));
    asks.join();
    return code;
}

TEST(ThreadWatchDeathTest, AThreadThatNeverReturnsEndsItsTreeWithItsNameAndTheCodeOfWhatWasLeftBehind) {
    EXPECT_EXIT(std::_Exit(run_with_a_thread_that_holds()),
                ::testing::ExitedWithCode(static_cast<int>(run_result::abandoned)),
                "/app/b.*its thread is stuck: a handler of /app/b does not return(.|\n)*/app/b.*abandoned");
}

// Takes nothing more after it has been blocked, so that it is killed at an await, with the rest in its mailbox.
task<> blocked_once(actor<blocker_protocol> self) {
    while (auto m = co_await self.receive()) {
        bool waits = false;
        m.match([&](const block& b) { b.until.wait(), waits = true; },
                [&](const hold&) {
                    for (;;) ::pause();
                },
                [](request<incarnation_of>) {});
        if (waits) co_await self.sleep(1h);
    }
}

// What held it up is in its mailbox when it is started again, and it does not come to its first await: nobody tells its supervisor
// that it is there.
int run_with_a_successor_that_holds() {
    log_lines lines;
    node_options o = quiet(2);
    lines.listen_to(o);
    o.log_terminal = true;
    node n{"app", o};
    std::thread asks{[&] {
        std::promise<void> done;
        for (;;)
            if (auto b = n.resolve<blocker_protocol>("/app/b")) {
                n.send<block>(*b, done.get_future().share());
                n.send<hold>(*b);
                lines.wait_for({"/app/b", "does not return, for "});
                done.set_value();
                return;
            }
    }};
    auto b = child("b", in_thread, blocked_once).heartbeat(20ms, 2);
    b.start_within = 200ms;
    const int code = n.run(supervisor_spec{}.add(std::move(b)));
    asks.join();
    return code;
}

TEST(ThreadWatchDeathTest, AThreadThatDoesNotReturnFromItsFirstHandlerAfterARestartEndsItsTree) {
    EXPECT_EXIT(std::_Exit(run_with_a_successor_that_holds()),
                ::testing::ExitedWithCode(static_cast<int>(run_result::abandoned)),
                "/app/b could not be restarted: .*came to no await in time(.|\n)*/app/b.*abandoned");
}

}  // namespace
}  // namespace coppice::tests
