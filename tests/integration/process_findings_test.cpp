// What a process and its parent find of each other: gone, silent, stuck, paused; and what is done about it. Signals are the
// faults: SIGSTOP is silence, a handler that hangs is a stuck process, SIGKILL is the end.
#include <map>
#include <mutex>

#include "process_actors.hpp"
#include "process_state.hpp"

namespace coppice::tests::carried {

namespace {

constexpr auto period = 20ms;  // of the heartbeats here
constexpr std::uint32_t misses = 10;

struct Findings : InProcess {};
INSTANTIATE_TEST_SUITE_P(Over, Findings, transports(), name_of_transport);

/// All that was found, in order.
struct findings {
    std::mutex mutex;
    std::vector<process_finding> all;

    [[nodiscard]] std::vector<process_finding> of(finding what) {
        const std::lock_guard lock{mutex};
        std::vector<process_finding> found;
        for (const process_finding& f : all)
            if (f.what == what) found.push_back(f);
        return found;
    }
};

using watcher_protocol = protocol<process_finding>;
task<> watcher(actor<watcher_protocol> self, findings* found) {
    self.watch_processes();
    while (auto m = co_await self.receive())
        m.match([&](const process_finding& f) {
            const std::lock_guard lock{found->mutex};
            found->all.push_back(f);
        });
}

task<process_finding> told(actor<anything> self, findings* found, finding what) {
    for (;;) {
        if (const auto all = found->of(what); !all.empty()) co_return all.back();
        co_await self.sleep(1ms);
    }
}

node_options heard_by(log_lines& lines) {
    node_options o = quiet(2);
    lines.listen_to(o);
    return o;
}

supervisor_spec watched(const process_carrier& how, findings* found, reaction when_silent,
                        reaction when_stuck) {
    supervisor_spec tree;
    tree.add(child("watcher", in_coroutine, watcher, found))
        .add(child("x", how, worker, std::uint64_t{0}).heartbeat(period, misses, when_silent, when_stuck));
    return tree;
}

TEST_P(Findings, W15AStoppedChildIsSilentIsKilledAndStartedAgain) {
    findings found;
    log_lines lines;
    node n{"app", heard_by(lines)};
    ASSERT_TRUE(n.start(watched(carrier(), &found, reaction::restart, reaction::restart)));
    play(
        n,
        [](actor<anything> self, findings* all, log_lines* log) -> task<> {
            const auto before = co_await process_at(self, "/app/x");
            const auto x = co_await self.resolve<worker_protocol>("/app/x");
            self.monitor(*x);
            ::kill(static_cast<pid_t>(before), SIGSTOP);
            const auto f = co_await told(self, all, finding::silent);
            EXPECT_EQ(f.path, "/app/x");
            EXPECT_EQ(f.pid, before);
            EXPECT_GE(f.lasted, period * misses);
            EXPECT_EQ(f.text, "it is stopped by a signal or a debugger");
            const exit_reason why = co_await next_down(self);
            EXPECT_EQ(why.kind(), exit_kind::unresponsive) << why.to_string();
            EXPECT_THAT(std::string{why.text()}, ::testing::HasSubstr("stopped by a signal"));
            EXPECT_NE(co_await process_at(self, "/app/x"), before);
            EXPECT_EQ((co_await told(self, all, finding::gone)).pid, before);
            co_await logged(self, log, "it is killed");
        },
        &found, &lines);
}

TEST_P(Findings, AStoppedChildThatIsOnlyReportedGoesOnWhereItWas) {
    findings found;
    log_lines lines;
    node n{"app", heard_by(lines)};
    ASSERT_TRUE(n.start(watched(carrier(), &found, reaction::report, reaction::report)));
    play(
        n,
        [](actor<anything> self, findings* all, log_lines* log) -> task<> {
            const auto before = co_await process_at(self, "/app/x");
            const auto x = co_await self.resolve<worker_protocol>("/app/x");
            ::kill(static_cast<pid_t>(before), SIGSTOP);
            co_await told(self, all, finding::silent);
            EXPECT_EQ(self.send<add>(*x, std::uint64_t{5}), errc::ok);
            ::kill(static_cast<pid_t>(before), SIGCONT);
            EXPECT_EQ((co_await told(self, all, finding::well)).pid, before);
            EXPECT_EQ(co_await process_at(self, "/app/x"), before);
            const auto value = co_await self.ask<get>(*x, 20s);
            EXPECT_TRUE(value && *value == 5) << "what was sent meanwhile has come";
            co_await logged(self, log, "gives no sign of life");
            co_await logged(self, log, "gives signs of life again");
            EXPECT_TRUE(all->of(finding::gone).empty());
        },
        &found, &lines);
}

TEST_P(Findings, AChildThatIsWaitedForIsFoundAndNothingIsSaidInTheLog) {
    findings found;
    log_lines lines;
    node n{"app", heard_by(lines)};
    ASSERT_TRUE(n.start(watched(carrier(), &found, reaction::wait, reaction::wait)));
    play(
        n,
        [](actor<anything> self, findings* all, log_lines* log) -> task<> {
            const auto before = co_await process_at(self, "/app/x");
            ::kill(static_cast<pid_t>(before), SIGSTOP);
            co_await told(self, all, finding::silent);
            ::kill(static_cast<pid_t>(before), SIGCONT);
            co_await told(self, all, finding::well);
            EXPECT_EQ(co_await process_at(self, "/app/x"), before);
            EXPECT_EQ(log->count({"gives no sign of life"}), 0u);
        },
        &found, &lines);
}

TEST_P(Findings, AHandlerThatDoesNotReturnIsStuckIsNamedAndItsProcessIsKilled) {
    findings found;
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(watched(carrier(), &found, reaction::restart, reaction::restart)));
    play(
        n,
        [](actor<anything> self, findings* all) -> task<> {
            const auto before = co_await process_at(self, "/app/x");
            const auto x = co_await self.resolve<worker_protocol>("/app/x");
            self.monitor(*x);
            EXPECT_EQ(self.send<hang>(*x), errc::ok);
            const auto f = co_await told(self, all, finding::stuck);
            EXPECT_EQ(f.path, "/app/x");
            EXPECT_EQ(f.pid, before);
            EXPECT_THAT(f.text, ::testing::HasSubstr("/app/x"));
            const exit_reason why = co_await next_down(self);
            EXPECT_EQ(why.kind(), exit_kind::unresponsive) << why.to_string();
            EXPECT_THAT(std::string{why.text()}, ::testing::HasSubstr("does not return"));
            EXPECT_NE(co_await process_at(self, "/app/x"), before);
            EXPECT_TRUE(all->of(finding::silent).empty()) << "it was stuck, and said so";
        },
        &found);
}

TEST_P(Findings, AStuckChildThatIsOnlyReportedStays) {
    findings found;
    log_lines lines;
    node n{"app", heard_by(lines)};
    ASSERT_TRUE(n.start(watched(carrier(), &found, reaction::restart, reaction::report)));
    play(
        n,
        [](actor<anything> self, findings* all, log_lines* log) -> task<> {
            const auto before = co_await process_at(self, "/app/x");
            const auto x = co_await self.resolve<worker_protocol>("/app/x");
            EXPECT_EQ(self.send<hang>(*x), errc::ok);
            co_await told(self, all, finding::stuck);
            co_await logged(self, log, "is stuck: a handler of /app/x does not return");
            EXPECT_EQ(::kill(static_cast<pid_t>(before), 0), 0);
            EXPECT_TRUE(all->of(finding::gone).empty());
        },
        &found, &lines);
}

// ---------------------------------------------------------------- what a child finds of its parent

struct parent_board {
    std::atomic<int> up, child, silent, stopped, well, gone;
};

// Lives in the child's process.
task<> watcher_below(actor<watcher_protocol> self, std::string board_handle) {
    shared<parent_board> board{board_handle};
    self.watch_processes();
    board->child = ::getpid();
    while (auto m = co_await self.receive())
        m.match([&](const process_finding& f) {
            if (f.path != "/app") return;
            if (f.what == finding::silent) {
                board->stopped = f.text == "it is stopped by a signal or a debugger";
                ++board->silent;
            }
            if (f.what == finding::well) ++board->well;
            if (f.what == finding::gone) ++board->gone;
        });
}

int run_watched_parent() {
    shared<parent_board> board{word("BOARD")};
    node_options options = quiet(2);
    options.network.hold = std::chrono::milliseconds{std::stoi(word("HOLD"))};
    node n{"app", options};
    supervisor_spec tree;
    tree.add(
        child("x", in_process.over(word("KIND")), watcher_below, word("BOARD")).heartbeat(period, misses));
    if (!n.start(tree)) return 1;
    board->up = 1;
    n.wait();
    return 0;
}
const bool watched_parent_role = add_role("watched_parent", run_watched_parent);

struct watched_parent {
    shared<parent_board> board;
    process parent;
    watched_parent(const std::string& kind, std::chrono::milliseconds hold)
        : parent{"watched_parent",
                 {{"BOARD", board.path()}, {"KIND", kind}, {"HOLD", std::to_string(hold.count())}}} {
        await_that([&] { return (board->up && board->child) || parent.has_ended(); });
        EXPECT_FALSE(parent.has_ended());
    }
};

TEST_P(Findings, W15AStoppedParentIsReportedByItsChildThatGoesOn) {
    watched_parent p{over(), 60s};
    p.parent.signal(SIGSTOP);
    await_that([&] { return p.board->silent > 0; });
    EXPECT_EQ(p.board->stopped, 1);
    p.parent.signal(SIGCONT);
    await_that([&] { return p.board->well > 0; });
    EXPECT_EQ(p.board->gone, 0);
    EXPECT_EQ(::kill(p.board->child, 0), 0);
    p.parent.end_at_once();
}

TEST_P(Findings, W15AChildLeavesAParentThatIsStoppedForLongerThanTheHoldTime) {
    watched_parent p{over(), 300ms};
    p.parent.signal(SIGSTOP);
    // Its parent cannot reap it.
    await_that(
        [&] { return coppice::detail::process_ended(static_cast<std::uint32_t>(p.board->child.load())); });
    EXPECT_GT(p.board->silent, 0);
    p.parent.signal(SIGCONT);
    p.parent.end_at_once();
    left_.ignore_names();  // there was nobody any more to remove its place
}

TEST_P(Findings, W15AChildLeavesAKilledParent) {
    watched_parent p{over(), 60s};
    p.parent.end_at_once();
    await_that([&] { return left_.processes().empty(); });
}

}  // namespace

}  // namespace coppice::tests::carried
