// How a process child ends, and what comes after: by itself, by a signal, because it was asked to. Whoever monitors it
// learns the cause; its supervisor starts it again, with the same name and the mail that waited.
#include "process_actors.hpp"

namespace coppice::tests::carried {

namespace {

struct W15 : InProcess {};
INSTANTIATE_TEST_SUITE_P(Over, W15, transports(), name_of_transport);

supervisor_spec one(process_carrier how, std::chrono::nanoseconds backoff = 0ns) {
    supervisor_spec spec;
    spec.intensity(1'000, 1s).add(child("w", std::move(how), worker, std::uint64_t{0}));
    if (backoff.count()) spec.backoff(backoff, backoff, 0);
    return spec;
}

TEST_P(W15, AKilledProcessIsToldWithItsSignalAndItsNameAndMailboxSurvive) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how) -> task<> {
            // It waits before the restart: what is sent in between has nobody but the mailbox.
            REQUIRE_OR_END(co_await self.start(supervisor("sup", one(how, 100ms))));
            const std::string path = self.path() + "/sup/w";
            const auto found = co_await self.resolve<worker_protocol>(path);
            REQUIRE_OR_END(found);
            for (unsigned round = 1; round <= 3; ++round) {
                const auto pid = co_await self.ask<which_process>(*found, 10s);
                REQUIRE_OR_END(pid);
                self.monitor(*found);
                ::kill(static_cast<pid_t>(*pid), SIGKILL);
                const exit_reason r = co_await next_down(self);
                EXPECT_EQ(r.kind(), exit_kind::process_ended);
                EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr("signal 9 (SIGKILL)"));
                EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr(std::to_string(*pid)));
                EXPECT_EQ(r.origin(), path);
                for (unsigned i = 0; i < 100; ++i) EXPECT_EQ(self.send<add>(*found, 1u), errc::ok);
                const auto sum = co_await self.ask<get>(*found, 10s);
                EXPECT_TRUE(sum && *sum == 100) << (sum ? std::to_string(*sum) : sum.error().what());
                const auto again = co_await self.ask<which_process>(*found, 10s);
                EXPECT_TRUE(again && *again != *pid);
                const auto life = co_await self.ask<which_life>(*found, 10s);
                EXPECT_TRUE(life && *life == round + 1)
                    << (life ? std::to_string(*life) : life.error().what());
            }
        },
        carrier());
}

TEST_P(W15, AskersOfAKilledProcessLearnOfItAtOnce) {
    log_lines lines;
    node_options o = quiet(2);
    lines.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how, log_lines* lines) -> task<> {
            const auto made = co_await self.start(child("w", how, worker, std::uint64_t{0}));
            REQUIRE_OR_END(made);
            const ref<worker_protocol> w{*made};
            const auto pid = co_await self.ask<which_process>(w, 10s);
            REQUIRE_OR_END(pid);
            EXPECT_EQ(self.send<hang>(w), errc::ok);
            self.monitor(w);
            struct killer {
                static task<> run(actor<anything> me, log_lines* log, std::uint32_t victim) {
                    // The question goes there behind it.
                    co_await logged(me, log, "hangs");
                    ::kill(static_cast<pid_t>(victim), SIGKILL);
                }
            };
            auto later = self.spawn_task(killer::run(self, lines, *pid));
            const auto none = co_await self.ask<get>(w, 1h);
            EXPECT_FALSE(none);
            EXPECT_NE(none.error().code(), errc::timeout);
            EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::process_ended);
        },
        carrier(), &lines);
}

TEST_P(W15, ExitCodesSignalsFailuresAndExceptionsArriveAsReasons) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how) -> task<> {
            REQUIRE_OR_END(co_await self.start(supervisor("sup", one(how))));
            const std::string path = self.path() + "/sup/w";
            const auto found = co_await self.resolve<worker_protocol>(path);
            REQUIRE_OR_END(found);
            const ref<worker_protocol> w = *found;
            for (const int code : {0, 3, 255}) {
                co_await process_at(self, path);  // between two lives there is nothing to monitor
                self.monitor(w);
                EXPECT_EQ(self.send<leave>(w, code), errc::ok);
                const exit_reason r = co_await next_down(self);
                EXPECT_EQ(r.kind(), exit_kind::process_ended) << r.to_string();
                EXPECT_THAT(std::string{r.text()}, ::testing::EndsWith("exit code " + std::to_string(code)));
            }
            co_await process_at(self, path);
            self.monitor(w);
            EXPECT_EQ(self.send<crash>(w, "bye"), errc::ok);
            exit_reason r = co_await next_down(self);
            EXPECT_EQ(r.kind(), exit_kind::process_ended);
            EXPECT_THAT(std::string{r.text()}, ::testing::HasSubstr("(SIGABRT)"));
            co_await process_at(self, path);
            self.monitor(w);
            EXPECT_EQ(self.send<fail>(w, "out of paper"), errc::ok);
            r = co_await next_down(self);
            EXPECT_EQ(r.kind(), exit_kind::failed);
            EXPECT_EQ(r.text(), "out of paper");
            EXPECT_EQ(r.origin(), path);
            EXPECT_THAT(std::string{r.in_hand()}, ::testing::HasSubstr("fail"));
            co_await process_at(self, path);
            self.monitor(w);
            EXPECT_EQ(self.send<throw_it>(w, "thrown there"), errc::ok);
            r = co_await next_down(self);
            EXPECT_EQ(r.kind(), exit_kind::error);
            EXPECT_EQ(r.text(), "thrown there");
            co_await process_at(self, path);
            self.monitor(w);
            EXPECT_EQ(self.send<quit>(w), errc::ok);
            EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::normal);
        },
        carrier());
}

// ---------------------------------------------------------------- asked to end

struct Asked : InProcess {};
INSTANTIATE_TEST_SUITE_P(Over, Asked, transports(), name_of_transport);

struct noted {
    std::uint64_t value = 0;
};
using notebook_protocol = protocol<noted>;

// Adds up, and tells the sum when it is to stop.
task<> adder(actor<protocol<add>> self, ref<notebook_protocol> book) {
    std::uint64_t sum = 0;
    while (auto m = co_await self.receive()) m.match([&](const add& a) { sum += a.amount; });
    EXPECT_EQ(self.send<noted>(book, sum), errc::ok);
}

TEST_P(Asked, AStoppedOneHandlesFirstWhatItWasSent) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play<notebook_protocol>(
        n,
        [](actor<notebook_protocol> self, process_carrier how) -> task<> {
            for (unsigned round = 0; round < 10; ++round) {
                const std::string name = "adder" + std::to_string(round);
                const auto made = co_await self.start(child(name, how, adder, self.me()));
                REQUIRE_OR_END(made);
                const ref<protocol<add>> a{*made};
                self.monitor(a);
                for (unsigned i = 0; i < 5'000; ++i) EXPECT_EQ(self.send<add>(a, 1u), errc::ok);
                self.stop(a);
                auto sum = co_await self.receive_only<noted>();
                REQUIRE_OR_END(sum);
                EXPECT_EQ(sum->get_if<noted>()->value, 5'000u);
                auto d = co_await self.receive_only<down>();
                REQUIRE_OR_END(d);
                EXPECT_EQ(d->get_if<down>()->reason.kind(), exit_kind::stopped)
                    << d->get_if<down>()->reason.to_string();
            }
        },
        carrier());
}

TEST_P(Asked, AKilledOneWhoseHandlerDoesNotReturnIsGone) {
    log_lines log;
    node_options o = quiet(2);
    log.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how, log_lines* log) -> task<> {
            const auto made = co_await self.start(child("w", how, worker, std::uint64_t{0}));
            REQUIRE_OR_END(made);
            const ref<worker_protocol> w{*made};
            EXPECT_EQ(self.send<hang>(w), errc::ok);
            co_await logged(self, log, "hangs");
            self.monitor(w);
            self.kill(w);
            EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::killed);
        },
        carrier(), &log);
}

TEST_P(Asked, OneThatDoesNotEndInItsTimeIsKilled) {
    log_lines log;
    node_options o = quiet(2);
    log.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how, log_lines* log) -> task<> {
            supervisor_spec spec;
            spec.add(child("w", how, worker, std::uint64_t{0}).shutdown(100ms));
            const auto sup = co_await self.start(supervisor("sup", spec));
            REQUIRE_OR_END(sup);
            const auto w = co_await self.resolve<worker_protocol>(self.path() + "/sup/w");
            REQUIRE_OR_END(w);
            EXPECT_EQ(self.send<hang>(*w), errc::ok);
            co_await logged(self, log, "hangs");
            self.monitor(*w);
            const ref<supervisor_protocol> s{*sup};
            EXPECT_TRUE(co_await self.ask<terminate_child>(s, 30s, "w"));
            EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::killed);
        },
        carrier(), &log);
}

TEST_P(Asked, AProcessThatASignalHasStoppedGoesOnToEndInOrder) {
    log_lines log;
    node_options o = quiet(2);
    log.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start(std::move(supervisor_spec{}.add(
        child("w", carrier(), worker, std::uint64_t{0}).shutdown(1h).heartbeat(1h, 1)))));
    for (const pid_t pid : left_.processes()) ::kill(pid, SIGSTOP);
    n.stop();
    n.wait();
    EXPECT_EQ(log.count({"kill"}), 0u);
}

// ---------------------------------------------------------------- again and again

struct start_board {
    std::atomic<std::uint32_t> count;
    std::atomic<std::int64_t> at[8];  // of the first ones, nanoseconds, steady
};

// Ends its process: the first one when it is told to, so that its supervisor starts, the others at once.
task<> start_and_exit(actor<worker_protocol> self, std::string board_path) {
    const shared<start_board> board{board_path};
    const std::uint32_t number = board->count++;
    if (number < std::size(board->at))
        board->at[number] = std::chrono::steady_clock::now().time_since_epoch().count();
    if (number == 0) static_cast<void>(co_await self.receive());
    ::_exit(9);
}

// A child that fails at once, below a supervisor with that spec: how that one ends.
exit_reason end_of_fork_bomb(supervisor_spec spec, const process_carrier& how,
                             const shared<start_board>& board) {
    exit_reason end;
    node n{"app", quiet(2)};
    EXPECT_TRUE(n.start({}));
    spec.add(child("a", how, start_and_exit, board.path()));
    play(
        n,
        [](actor<anything> self, supervisor_spec bomb, exit_reason* told) -> task<> {
            const auto sup = co_await self.start(supervisor("sup", std::move(bomb)));
            REQUIRE_OR_END(sup);
            self.monitor(*sup);
            const auto first = co_await self.resolve<worker_protocol>(self.path() + "/sup/a");
            REQUIRE_OR_END(first);
            EXPECT_EQ(self.send<add>(*first, 1u), errc::ok);
            *told = co_await next_down(self);
        },
        std::move(spec), &end);
    return end;
}

TEST_P(Asked, AForkBombOfFailingChildrenIsEndedByTheIntensity) {
    const shared<start_board> board;
    const exit_reason r = end_of_fork_bomb(std::move(supervisor_spec{}.intensity(20, 1h)), carrier(), board);
    EXPECT_EQ(r.kind(), exit_kind::intensity) << r.to_string();
    EXPECT_THAT(r.to_string(), ::testing::HasSubstr("exit code 9")) << "the cause is told";
    EXPECT_EQ(board->count, 21u) << "the first start, and twenty more";
}

TEST_P(Asked, AForkBombOfFailingChildrenIsSlowedByTheBackoff) {
    const shared<start_board> board;
    supervisor_spec spec;
    spec.intensity(5, 1h).backoff(20ms, 80ms, 0.0);
    EXPECT_EQ(end_of_fork_bomb(std::move(spec), carrier(), board).kind(), exit_kind::intensity);
    ASSERT_EQ(board->count, 6u);
    constexpr std::array<std::chrono::milliseconds, 5> waits{20ms, 40ms, 80ms, 80ms, 80ms};
    for (std::size_t i = 0; i < waits.size(); ++i)
        EXPECT_GE(std::chrono::nanoseconds{board->at[i + 1] - board->at[i]}, waits[i]) << i;
}

}  // namespace

}  // namespace coppice::tests::carried
