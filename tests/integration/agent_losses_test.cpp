// What becomes of process children on other hosts when something on the way to them dies, stops or is cut: the process, the agent, its
// node, the link, the supervising node. The child's end is told with its cause, its supervisor heals it, and no process stays behind.
#include <algorithm>
#include <atomic>
#include <future>
#include <mutex>
#include <optional>
#include <thread>

#include "agents.hpp"
#include "process_state.hpp"
#include "support/cut_proxy.hpp"

namespace coppice::tests::carried {

namespace {

/// "app/w", by the agent of b, started again for ever.
child_spec healed(child_spec w) {
    supervisor_spec spec;
    spec.intensity(1'000'000, 1s).backoff(10ms, 50ms).add(std::move(w));
    return supervisor("sup", std::move(spec));
}
child_spec by_agent() { return child("w", in_process.on("b"), worker, std::uint64_t{0}).heartbeat(100ms, 3); }
constexpr const char* path = "/app/sup/w";

bool lives(pid_t pid) { return ::kill(pid, 0) == 0; }

/// The worker's process, and the monitor of its present life.
struct life {
    std::uint32_t pid = 0;
    std::uint64_t monitor = 0;
};
task<life> watched(actor<anything> self) {
    for (;;) {
        const auto pid = co_await process_at(self, path);
        const auto w = co_await self.resolve<worker_protocol>(path);
        if (!w) continue;
        const auto monitor = self.monitor(*w);
        const auto still = co_await self.ask<which_process>(*w, 10s);
        if (still && *still == pid) co_return life{pid, monitor};
        self.demonitor(monitor);
    }
}
task<exit_reason> end_of(actor<anything> self, life one) {
    for (;;) {
        auto d = co_await self.receive_only<down>();
        if (!d) co_return exit_reason{};
        const down& told = *d->get_if<down>();
        if (told.monitor == one.monitor)
            co_return told.reason;  // else of a monitor that came between two lives
    }
}

struct LostAgents : Agents {
    /// A supervising node and an agent, which has started the worker.
    struct scene {
        explicit scene(node_options o) : n{"app", std::move(o)} {
            if (!n.start({})) return;
            there = agent_named("b");
            await_agent(n, "b");
            has_begun = start_in(n, healed(by_agent())).has_value();
        }
        /// Plays a script that has the agent started again. That does the test's own thread, with which the agent would end.
        template <class F>
        void play_with_restarts(F script) {
            auto played = std::async(std::launch::async, [&] { play(n, script, this); });
            while (played.wait_for(1ms) != std::future_status::ready) {
                if (!restart_wanted) continue;
                there = agent_named("b");
                restart_wanted = false;
            }
        }
        task<> restart_agent(actor<anything> self) {
            restart_wanted = true;
            while (restart_wanted) co_await self.sleep(1ms);
        }
        node n;
        agent_process there;
        bool has_begun = false;
        std::atomic<bool> restart_wanted{false};
    };
};

TEST_F(LostAgents, AChildThatIsKilledIsToldWithItsSignalAndHealed) {
    scene s{supervising()};
    ASSERT_TRUE(s.has_begun);
    play(s.n, [](actor<anything> self) -> task<> {
        for (int round = 0; round < 3; ++round) {
            const auto before = co_await watched(self);
            const auto pid = before.pid;
            ::kill(static_cast<pid_t>(pid), SIGKILL);
            const exit_reason r = co_await end_of(self, before);
            EXPECT_EQ(r.kind(), exit_kind::process_ended) << r.to_string();
            EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr("signal 9 (SIGKILL)"));
            EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr(std::to_string(pid) + " on b"));
            EXPECT_NE((co_await watched(self)).pid, pid);
        }
        const auto before = co_await watched(self);
        const auto w = co_await self.resolve<worker_protocol>(path);
        REQUIRE_OR_END(w);
        EXPECT_EQ(self.send<fail>(*w, "out of paper"), errc::ok);
        const exit_reason r = co_await end_of(self, before);
        EXPECT_EQ(r.kind(), exit_kind::failed) << r.to_string();
        EXPECT_EQ(r.text(), "out of paper");
        EXPECT_EQ(r.origin(), path);
    });
}

TEST_F(LostAgents, AChildThatIsStoppedByASignalOrStuckIsFoundAndKilledByTheAgent) {
    scene s{supervising()};
    ASSERT_TRUE(s.has_begun);
    play(s.n, [](actor<anything> self) -> task<> {
        const auto before = co_await watched(self);
        ::kill(static_cast<pid_t>(before.pid), SIGSTOP);
        exit_reason r = co_await end_of(self, before);
        EXPECT_EQ(r.kind(), exit_kind::unresponsive) << r.to_string();
        EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr("stopped by a signal"));
        const auto next = co_await watched(self);
        EXPECT_NE(next.pid, before.pid);
        const auto w = co_await self.resolve<worker_protocol>(path);
        REQUIRE_OR_END(w);
        EXPECT_EQ(self.send<hang>(*w), errc::ok);
        r = co_await end_of(self, next);
        EXPECT_EQ(r.kind(), exit_kind::unresponsive) << r.to_string();
        EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr("does not return"));
        EXPECT_NE((co_await watched(self)).pid, next.pid);
    });
}

TEST_F(LostAgents, AnAgentThatIsKilledIsItsChildsDeathAndWhenItIsBackTheChildIs) {
    scene s{supervising()};
    ASSERT_TRUE(s.has_begun);
    s.play_with_restarts([](actor<anything> self, scene* in) -> task<> {
        for (int round = 0; round < 3; ++round) {
            const auto before = co_await watched(self);
            const auto pid = before.pid;
            in->there->end_at_once();
            const exit_reason r = co_await end_of(self, before);
            EXPECT_EQ(r.kind(), exit_kind::node_lost) << r.to_string();
            EXPECT_THAT(std::string{r.text()},
                        ::testing::HasSubstr(std::to_string(pid) + " on b is lost with its agent"));
            EXPECT_TRUE(r.cause()) << r.to_string();
            if (r.cause())
                EXPECT_THAT(std::string{r.cause()->text()}, ::testing::HasSubstr("node b has died"));
            while (lives(static_cast<pid_t>(pid))) co_await self.sleep(1ms);
            co_await in->restart_agent(self);
            EXPECT_NE((co_await watched(self)).pid, pid);
        }
    });
    left_.ignore_names();  // those of an agent that was killed
}

TEST_F(LostAgents, AnAgentsActorThatIsKilledTakesItsProcessesWithItAndServesAgain) {
    scene s{supervising()};
    ASSERT_TRUE(s.has_begun);
    play(s.n, [](actor<anything> self) -> task<> {
        const auto before = co_await watched(self);
        const auto pid = before.pid;
        const auto agent = co_await self.resolve<anything>("/b/agent");
        REQUIRE_OR_END(agent);
        self.kill(*agent);
        const exit_reason r = co_await end_of(self, before);
        EXPECT_EQ(r.kind(), exit_kind::process_ended) << r.to_string();
        EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr("is lost with its agent"));
        EXPECT_TRUE(r.cause() && r.cause()->kind() == exit_kind::killed) << r.to_string();
        EXPECT_NE((co_await watched(self)).pid, pid);
        EXPECT_FALSE(lives(static_cast<pid_t>(pid)));
    });
}

TEST_F(LostAgents, AnAgentThatIsAskedToEndEndsItsProcessesFirst) {
    scene s{supervising()};
    ASSERT_TRUE(s.has_begun);
    s.play_with_restarts([](actor<anything> self, scene* in) -> task<> {
        const auto before = co_await watched(self);
        const auto pid = before.pid;
        in->there.end();
        EXPECT_FALSE(lives(static_cast<pid_t>(pid)));
        const exit_reason r = co_await end_of(self, before);
        EXPECT_EQ(r.kind(), exit_kind::node_lost) << r.to_string();
        co_await in->restart_agent(self);
        EXPECT_NE((co_await watched(self)).pid, pid);
    });
}

TEST_F(LostAgents, AnAgentThatIsStoppedByASignalIsLostAfterTheHoldTimeAndItsChildLeavesByItself) {
    scene s{supervising(1s)};
    ASSERT_TRUE(s.has_begun);
    play(
        s.n,
        [](actor<anything> self, agent_process* agent) -> task<> {
            const auto before = co_await watched(self);
            const auto pid = before.pid;
            (*agent)->signal(SIGSTOP);
            const exit_reason r = co_await end_of(self, before);
            EXPECT_EQ(r.kind(), exit_kind::node_lost) << r.to_string();
            EXPECT_TRUE(r.cause()) << r.to_string();
            // It is a zombie until its parent goes on.
            while (!coppice::detail::process_ended(pid)) co_await self.sleep(1ms);
            (*agent)->signal(SIGCONT);
            EXPECT_NE((co_await watched(self)).pid, pid);
        },
        &s.there);
}

// ---------------------------------------------------------------- a cut between the two hosts

class CutAgents : public Agents {
protected:
    /// The node of the test listens at TCP, and the agent reaches it through a proxy.
    void begin(std::chrono::milliseconds hold) {
        node_options o = listening_at("tcp://127.0.0.1:0");
        o.network.hold = hold;
        o.network.shortcuts = false;
        lines_.listen_to(o);
        node_.emplace("app", o);
        ASSERT_TRUE(node_->start({}));
        const std::string at = node_->listening().front();
        proxy_.emplace(static_cast<std::uint16_t>(std::stoul(at.substr(at.rfind(':') + 1))));
        there_ = agent_named("b", {{"PARENT", "tcp://127.0.0.1:" + std::to_string(proxy_->port())},
                                   {"HOLD_MS", std::to_string(hold.count())}});
        await_agent(*node_, "b");
        ASSERT_TRUE(start_in(*node_, healed(by_agent())));
    }
    void TearDown() override {
        proxy_->forward();
        proxy_->refuse(false);
        node_.reset();
        there_.end();
        proxy_.reset();
        Agents::TearDown();
    }
    log_lines lines_;
    std::optional<node> node_;
    std::optional<cut_proxy> proxy_;
    agent_process there_;
};

TEST_F(CutAgents, ALinkThatIsCutForLongerThanTheChildMayBeSilentIsNobodysEnd) {
    begin(60s);
    play(
        *node_,
        [](actor<anything> self, cut_proxy* proxy) -> task<> {
            const auto before = co_await watched(self);
            const auto pid = before.pid;
            proxy->refuse(true);
            proxy->cut(cut_proxy::how::reset);
            co_await self.sleep(1s);  // the fault itself: three times what the child may be silent for
            proxy->refuse(false);
            const auto w = co_await self.resolve<worker_protocol>(path);
            REQUIRE_OR_END(w);
            const auto now = co_await self.ask<which_process>(*w, 1h);
            EXPECT_TRUE(now && *now == pid) << now.error().what();
            // It is watched as before.
            ::kill(static_cast<pid_t>(pid), SIGSTOP);
            const exit_reason r = co_await end_of(self, before);
            EXPECT_EQ(r.kind(), exit_kind::unresponsive) << r.to_string();
        },
        &*proxy_);
    EXPECT_EQ(lines_.count({"gives no sign of life", "it is killed"}), 1u);
}

TEST_F(CutAgents, ACutForLongerThanTheHoldTimeIsTheChildsEndAndTheOldProcessLeaves) {
    begin(1s);
    play(
        *node_,
        [](actor<anything> self, cut_proxy* proxy) -> task<> {
            for (const bool silently : {false, true}) {
                const auto before = co_await watched(self);
                const auto pid = before.pid;
                proxy->refuse(true);
                if (silently) proxy->swallow(cut_proxy::direction::both);
                else proxy->cut(cut_proxy::how::reset);
                const exit_reason r = co_await end_of(self, before);
                EXPECT_EQ(r.kind(), exit_kind::node_lost) << r.to_string();
                EXPECT_TRUE(r.cause()) << r.to_string();
                if (r.cause())
                    EXPECT_THAT(std::string{r.cause()->text()}, ::testing::HasSubstr("out of reach"));
                while (lives(static_cast<pid_t>(pid))) co_await self.sleep(1ms);
                proxy->forward();
                proxy->refuse(false);
                EXPECT_NE((co_await watched(self)).pid, pid);
            }
        },
        &*proxy_);
}

TEST_F(CutAgents, ATreeThatIsStoppedDuringACutEndsWithoutWaitingForTheHoldTime) {
    begin(1h);
    proxy_->refuse(true);
    proxy_->cut(cut_proxy::how::reset);
    lines_.wait_for({"the link to node b is down"});
    node_->stop();
    EXPECT_NE(node_->wait().kind(), exit_kind::abandoned);
    lines_.wait_for({"was to be killed, but its agent is out of reach"});
}

// ---------------------------------------------------------------- the supervising node

struct root_board {
    std::atomic<int> up;
};
int run_root_with_agent() {
    shared<root_board> board{word("BOARD")};
    node n{"app", listening_at("unix://top")};
    if (!n.start({})) return 1;
    for (const char* agent : {"/b/agent"})
        while (!n.resolve<anything>(agent)) std::this_thread::sleep_for(1ms);
    supervisor_spec below;
    below.add(child("leaf", in_process, worker, std::uint64_t{0}));
    const auto root = n.resolve<supervisor_protocol>("/app");
    if (!n.ask<start_child>(*root, 10min, supervisor("sub", below, in_process.on("b")))) return 2;
    if (!n.ask<start_child>(*root, 10min, by_agent())) return 3;
    board->up = 1;
    n.wait();
    return 0;
}
const bool root_role = add_role("root_with_agent", run_root_with_agent);

TEST_F(LostAgents, ARootThatIsKilledTakesItsProcessesOnOtherHostsWithItAndTheAgentStays) {
    agent_process there = agent_named("b");
    for (int round = 0; round < 3; ++round) {
        shared<root_board> board;
        process root{"root_with_agent", {{"BOARD", board.handle()}}};
        await_that([&] { return board->up || root.has_ended(); });
        EXPECT_EQ(board->up, 1) << root.wait();
        EXPECT_EQ(left_.processes().size(), 5u) << "agent, root, w, sub and leaf";
        root.end_at_once();
        await_that([&] { return left_.processes().size() == 1; });
        EXPECT_FALSE(there->has_ended());
    }
    left_.ignore_names();  // those of a root that was killed
}

// ---------------------------------------------------------------- time limits, and what it says

TEST_F(LostAgents, AChildThatDoesNotEndInTimeIsKilledByTheAgent) {
    log_lines lines;
    node_options o = supervising();
    lines.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start({}));
    agent_process there = agent_named("b");
    await_agent(n, "b");
    ASSERT_TRUE(start_in(n, healed(child("w", in_process.on("b"), worker, std::uint64_t{0})
                                       .heartbeat(100ms, 3, reaction::wait, reaction::wait)
                                       .shutdown(50ms))));
    play(
        n,
        [](actor<anything> self, log_lines* log) -> task<> {
            const auto before = co_await watched(self);
            const auto pid = before.pid;
            const auto w = co_await self.resolve<worker_protocol>(path);
            REQUIRE_OR_END(w);
            EXPECT_EQ(self.send<hang>(*w), errc::ok);
            co_await logged(self, log, "hangs");
            const auto sup = co_await self.resolve<supervisor_protocol>("/app/sup");
            REQUIRE_OR_END(sup);
            EXPECT_TRUE(co_await self.ask<terminate_child>(*sup, 1h, "w"));
            EXPECT_FALSE(lives(static_cast<pid_t>(pid)));
            EXPECT_EQ((co_await end_of(self, before)).kind(), exit_kind::killed);
        },
        &lines);
}

constexpr std::uint32_t written = 20'000;  // lines of 1 KiB: many times the window

TEST_F(LostAgents, LinesAndRecordsOfAFloodArriveInOrderOrAreCountedAndNothingWaitsForThem) {
    std::mutex mutex;
    std::uint32_t seen = 0;
    std::uint64_t dropped = 0;
    std::int64_t last = -1;
    bool in_order = true;
    node_options o = supervising();
    o.log_hook = [&](level, std::string_view, std::string_view line) {
        const std::lock_guard lock{mutex};
        const std::string text{line};
        if (const auto at = text.find(output_line); at != std::string::npos) {
            const std::int64_t number = std::atoll(text.c_str() + at + output_line.size());
            in_order &= number > last;
            last = number;
            ++seen;
        }
        constexpr std::string_view before = "log records and ";
        if (const auto at = text.find(before); at != std::string::npos)
            dropped += std::stoull(text.substr(at + before.size()));
    };
    {
        node n{"app", o};
        ASSERT_TRUE(n.start({}));
        agent_process there = agent_named("b");
        await_agent(n, "b");
        ASSERT_TRUE(start_in(
            n, healed(child("w", in_process.on("b"), worker, std::uint64_t{0}).heartbeat(1s, 1'000))));
        play(n, [](actor<anything> self) -> task<> {
            const auto w = co_await self.resolve<worker_protocol>(path);
            REQUIRE_OR_END(w);
            EXPECT_TRUE(co_await self.ask<flood_output>(*w, 1h, written));
            EXPECT_TRUE(co_await self.ask<flood_log>(*w, 1h, 1'000u));
        });
    }
    const std::lock_guard lock{mutex};
    EXPECT_TRUE(in_order);
    EXPECT_GT(seen, 0u);
    EXPECT_EQ(seen + dropped, written);
}

}  // namespace

}  // namespace coppice::tests::carried
