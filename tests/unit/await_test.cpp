// Asio's operations in actors: what an await gives, where it resumes, how it is cancelled, and that nothing is left.
// Real sockets and clocks, so no world; what a test waits for is an event, never a length of time.
#include "coppice/await.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/connect_pair.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using namespace coppice;
using asio::experimental::as_tuple;
using asio::ip::tcp;
using boost::system::error_code;
using boost::system::system_error;
using local_socket = asio::local::stream_protocol::socket;
using plain = protocol<>;

node_options quiet(std::uint32_t schedulers = 1) {
    node_options o;
    o.schedulers = schedulers;
    o.log_terminal = false;
    o.handle_signals = false;
    return o;
}

child_spec only_child(child_spec c) { return std::move(c).restarts(restart::temporary).significant(); }

/// Runs an actor as the only child of a node until it has ended by itself. A failure of it fails the test.
template <class F, class... Args>
void run_actor(F body, Args... args) {
    node n{"app", quiet()};
    ASSERT_TRUE(
        n.start(supervisor_spec{}.add(only_child(child("it", in_coroutine, body, std::move(args)...)))));
    const exit_reason end = n.wait();
    EXPECT_TRUE(end.is_clean()) << end.to_string();
}

/// What a test and its actors share.
struct shared_notes {
    std::atomic<int> began{0};
    std::atomic<int> was_cancelled{0};
    std::atomic<int> unwound{0};
    std::atomic<int> other{0};
    std::promise<void> ready;
    std::promise<void> go;
};
using notes = std::shared_ptr<shared_notes>;

struct on_unwind {
    notes n;
    explicit on_unwind(notes of) : n{std::move(of)} {}
    on_unwind(const on_unwind&) = delete;
    on_unwind& operator=(const on_unwind&) = delete;
    ~on_unwind() { ++n->unwound; }
};

/// An operation that a test completes by hand: `begin` gets the handler.
template <class Signature, class Begin, class Token>
auto by_hand(Begin begin, Token&& token) {
    return asio::async_initiate<Token, Signature>(
        [begin = std::move(begin)](auto handler) mutable { begin(std::move(handler)); }, token);
}

/// A move-only handler of no arguments, kept by the test.
struct kept_handler {
    virtual ~kept_handler() = default;
    virtual void run() = 0;
};
template <class H>
struct kept final : kept_handler {
    H handler;
    explicit kept(H h) : handler{std::move(h)} {}
    void run() override { std::move(handler)(); }
};
using handler_place = std::shared_ptr<std::unique_ptr<kept_handler>>;

// ---------------------------------------------------------------- what an await gives

task<> awaits_timers(actor<plain> self) {
    asio::steady_timer timer{io_context_of(self)};
    const auto begin = std::chrono::steady_clock::now();
    timer.expires_after(3ms);
    co_await timer.async_wait(coppice::await);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 3ms);
    timer.expires_after(1ms);
    co_await timer.async_wait(asio::deferred);
    timer.expires_after(1ms);
    auto later = timer.async_wait(asio::deferred);
    co_await later;
    auto bound = await_t::as_default_on(asio::steady_timer{io_context_of(self), 1ms});
    co_await bound.async_wait();
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 5ms);
}

TEST(Await, ResumesItsActorWhenATimerHasFired) { run_actor(awaits_timers); }

task<> awaits_errors(actor<plain> self) {
    local_socket a{io_context_of(self)}, b{io_context_of(self)};
    asio::local::connect_pair(a, b);
    std::array<char, 8> bytes{};
    b.close();
    std::optional<error_code> thrown;
    try {
        co_await a.async_read_some(asio::buffer(bytes), coppice::await);
    } catch (const system_error& failure) {
        thrown = failure.code();
    }
    EXPECT_EQ(thrown, error_code{asio::error::eof});
    auto [as_value, count] = co_await a.async_read_some(asio::buffer(bytes), as_tuple(coppice::await));
    EXPECT_EQ(as_value, asio::error::eof);
    EXPECT_EQ(count, 0u);
}

TEST(Await, ThrowsAnErrorCodeAsSystemErrorUnlessTheTokenAsksForAValue) { run_actor(awaits_errors); }

task<> awaits_values(actor<plain>) {
    const int one = co_await by_hand<void(int)>([](auto h) { std::move(h)(7); }, coppice::await);
    EXPECT_EQ(one, 7);
    const auto [number, text] = co_await by_hand<void(error_code, int, std::string)>(
        [](auto h) { std::move(h)(error_code{}, 8, std::string{"eight"}); }, coppice::await);
    EXPECT_EQ(number, 8);
    EXPECT_EQ(text, "eight");
    const auto owned = co_await by_hand<void(std::exception_ptr, std::unique_ptr<int>)>(
        [](auto h) { std::move(h)(nullptr, std::make_unique<int>(9)); }, coppice::await);
    EXPECT_EQ(*owned, 9);
    std::string thrown;
    try {
        co_await by_hand<void(std::exception_ptr)>(
            [](auto h) { std::move(h)(std::make_exception_ptr(std::runtime_error{"no"})); }, coppice::await);
    } catch (const std::runtime_error& failure) {
        thrown = failure.what();
    }
    EXPECT_EQ(thrown, "no");
    thrown.clear();
    try {
        co_await by_hand<void()>([](auto) { throw std::runtime_error{"it does not begin"}; }, coppice::await);
    } catch (const std::runtime_error& failure) {
        thrown = failure.what();
    }
    EXPECT_EQ(thrown, "it does not begin");
}

TEST(Await, GivesNothingOrAValueOrATupleAndRethrowsExceptions) { run_actor(awaits_values); }

task<> completes_at_once(actor<plain>) {
    long sum = 0;
    for (int i = 0; i < 200'000; ++i)
        sum += co_await by_hand<void(int)>([i](auto h) { std::move(h)(i); }, coppice::await);
    EXPECT_EQ(sum, 199'999L * 100'000);
}

TEST(Await, DoesNotGrowTheStackWhenOperationsCompleteWithinTheirInitiation) { run_actor(completes_at_once); }

// ---------------------------------------------------------------- where it resumes

task<> comes_home(actor<plain> self, std::shared_ptr<asio::thread_pool> elsewhere) {
    const auto home = std::this_thread::get_id();
    for (int i = 0; i < 200; ++i) {
        co_await asio::post(elsewhere->get_executor(), coppice::await);
        EXPECT_EQ(std::this_thread::get_id(), home);
        co_await asio::post(asio::bind_executor(elsewhere->get_executor(), coppice::await));
        EXPECT_EQ(std::this_thread::get_id(), home);
        co_await asio::post(asio::bind_executor(elsewhere->get_executor(), asio::deferred));
        EXPECT_EQ(std::this_thread::get_id(), home);
        EXPECT_EQ(detail::scheduler::current(), self.cell()->sched);
    }
}

TEST(Await, ResumesOnTheActorsSchedulerWhereverTheOperationCompleted) {
    auto elsewhere = std::make_shared<asio::thread_pool>(2);
    run_actor(comes_home, elsewhere);
    elsewhere->join();
}

struct elsewhere_late {
    std::promise<void> node_has_ended;
    std::thread thread;
};

// As Asio's threads do: what completes an operation has its executor, counted as work, in hand a moment longer, and then the handler that
// was moved from.
task<> completed_by_one_who_is_late(actor<plain>, std::shared_ptr<elsewhere_late> late) {
    co_await by_hand<void()>(
        [late](auto handler) {
            late->thread = std::thread{[late, handler = std::move(handler)]() mutable {
                const auto executor = asio::prefer(asio::get_associated_executor(handler),
                                                   asio::execution::outstanding_work.tracked);
                executor.execute(std::move(handler));
                late->node_has_ended.get_future().wait();
            }};
        },
        coppice::await);
}

TEST(Await, WhoCompletedAnOperationMayLetGoOfItWhenTheNodeHasEnded) {
    const auto late = std::make_shared<elsewhere_late>();
    run_actor(completed_by_one_who_is_late, late);
    late->node_has_ended.set_value();
    late->thread.join();
}

task<> spins(actor<plain> self, notes n) {
    for (;;) {
        co_await self.yield();
        ++n->other;
    }
}

task<> does_io_beside(actor<plain> self, notes n, int times) {
    auto busy = self.spawn_task(spins(self, n));
    for (int i = 0; i < times; ++i) co_await asio::post(io_context_of(self), coppice::await);
    busy.cancel();
}

// A drain that each completion asked for would ask for the next at its end: turns per operation would grow without bound.
TEST(Await, CostsABusySchedulerOneTurnAnOperation) {
    constexpr int times = 400;
    auto n = std::make_shared<shared_notes>();
    run_actor(does_io_beside, n, times);
    EXPECT_GT(n->other, 0);
    EXPECT_LT(n->other, 4 * times * limits::turn_budget);
}

// ---------------------------------------------------------------- sockets

task<std::size_t> echo_once(tcp::socket* socket) {
    std::array<char, 64> bytes{};
    const std::size_t count = co_await socket->async_read_some(asio::buffer(bytes), coppice::await);
    co_await asio::async_write(*socket, asio::buffer(bytes, count), coppice::await);
    co_return count;
}

task<> echo_session(actor<plain>, std::shared_ptr<tcp::socket> socket, notes n) {
    try {
        for (;;) n->other += static_cast<int>(co_await echo_once(socket.get()));
    } catch (const system_error& failure) {
        EXPECT_EQ(failure.code(), asio::error::eof);
    }
}

task<> echo_server(actor<plain> self, notes n, std::shared_ptr<std::promise<tcp::endpoint>> where) {
    tcp::acceptor acceptor{io_context_of(self), {asio::ip::address_v4::loopback(), 0}};
    where->set_value(acceptor.local_endpoint());
    for (;;) {
        auto accepted = std::make_shared<tcp::socket>(co_await acceptor.async_accept(coppice::await));
        self.spawn(echo_session, accepted, n);
    }
}

task<> echo_client(actor<plain> self, tcp::endpoint server, int times, notes n) {
    tcp::socket socket{io_context_of(self)};
    co_await socket.async_connect(server, coppice::await);
    for (int i = 0; i < times; ++i) {
        std::array<char, 5> bytes{};
        co_await asio::async_write(socket, asio::buffer("hello", 5), coppice::await);
        const std::size_t count = co_await asio::async_read(socket, asio::buffer(bytes), asio::deferred);
        EXPECT_EQ(std::string(bytes.data(), count), "hello");
    }
    if (n->was_cancelled.fetch_add(1) + 1 == n->began) n->ready.set_value();
}

TEST(Await, CarriesAnEchoOverTcpWithManyClientsOnSeveralSchedulers) {
    constexpr int clients = 40;
    constexpr int times = 25;
    auto n = std::make_shared<shared_notes>();
    n->began = clients;
    auto where = std::make_shared<std::promise<tcp::endpoint>>();
    node app{"app", quiet(2)};
    auto root = app.start(supervisor_spec{}.add(child("server", in_coroutine, echo_server, n, where)));
    ASSERT_TRUE(root);
    const tcp::endpoint server = where->get_future().get();
    for (int i = 0; i < clients; ++i) {
        const child_spec client =
            i % 8 == 0 ? child("client" + std::to_string(i), in_thread, echo_client, server, times, n)
                       : child("client" + std::to_string(i), spread, echo_client, server, times, n);
        ASSERT_TRUE(app.ask<start_child>(*root, 10s, child_spec{client}.restarts(restart::temporary)));
    }
    n->ready.get_future().wait();
    app.stop();  // the server is in accept
    const exit_reason end = app.wait();
    EXPECT_TRUE(end.is_clean()) << end.to_string();
    EXPECT_EQ(n->other, clients * times * 5);
}

task<> waits_for_timers(actor<plain> self, notes n) {
    for (int i = 0; i < 4; ++i) {
        asio::steady_timer timer{io_context_of(self), 1ms};
        co_await timer.async_wait(coppice::await);
    }
    ++n->other;
}

task<> starts_many(actor<plain> self, notes n, int many) {
    for (int i = 0; i < many; ++i) self.spawn(waits_for_timers, n);
    while (n->other < many) co_await self.sleep(1ms);
}

TEST(Await, ServesThousandsOfOperationsAtOnce) {
    auto n = std::make_shared<shared_notes>();
    run_actor(starts_many, n, 3'000);
    EXPECT_EQ(n->other, 3'000);
}

// ---------------------------------------------------------------- cancellation

task<> reads_for_ever(actor<plain> self, notes n) {
    const on_unwind guard{n};
    local_socket a{io_context_of(self)}, b{io_context_of(self)};
    asio::local::connect_pair(a, b);
    std::array<char, 8> bytes{};
    n->ready.set_value();
    try {
        co_await a.async_read_some(asio::buffer(bytes), coppice::await);
    } catch (const cancelled&) {
        ++n->was_cancelled;
        throw;
    }
}

TEST(Await, IsCancelledByTheEndOfItsTree) {
    auto n = std::make_shared<shared_notes>();
    node app{"app", quiet()};
    ASSERT_TRUE(app.start(supervisor_spec{}.add(child("it", in_coroutine, reads_for_ever, n))));
    n->ready.get_future().wait();
    app.stop();
    EXPECT_TRUE(app.wait().is_clean());
    EXPECT_EQ(n->was_cancelled, 1);
    EXPECT_EQ(n->unwound, 1);
}

TEST(Await, IsCancelledByKillInACoroutineAndInAThread) {
    for (const carrier& how : {carrier{in_coroutine}, carrier{in_thread}}) {
        auto n = std::make_shared<shared_notes>();
        node app{"app", quiet()};
        auto root = app.start(supervisor_spec{});
        ASSERT_TRUE(root);
        auto it = app.ask<start_child>(
            *root, 10s, child("it", how, reads_for_ever, n).restarts(restart::temporary).significant());
        ASSERT_TRUE(it) << it.error().what();
        n->ready.get_future().wait();
        app.kill(*it);
        const exit_reason end = app.wait();
        EXPECT_EQ(end.kind(), exit_kind::significant);
        ASSERT_NE(end.cause(), nullptr);
        EXPECT_EQ(end.cause()->kind(), exit_kind::killed) << end.to_string();
        EXPECT_EQ(n->was_cancelled, 1);
        EXPECT_EQ(n->unwound, 1);
    }
}

TEST(Await, IsCancelledByAShutdownOfItsActor) {
    auto n = std::make_shared<shared_notes>();
    node app{"app", quiet()};
    auto root = app.start(supervisor_spec{});
    ASSERT_TRUE(root);
    auto it = app.ask<start_child>(*root, 10s, only_child(child("it", in_coroutine, reads_for_ever, n)));
    ASSERT_TRUE(it);
    n->ready.get_future().wait();
    app.shutdown(*it, 1h);
    EXPECT_EQ(app.wait().kind(), exit_kind::normal);
    EXPECT_EQ(n->was_cancelled, 1);
}

task<> awaits_after_cancellation(actor<plain> self, notes n) {
    asio::steady_timer timer{io_context_of(self), 1h};
    n->ready.set_value();
    try {
        co_await timer.async_wait(coppice::await);
    } catch (const cancelled&) {
        ++n->was_cancelled;
    }
    // A shutdown cancels one await; what cleans up may await again.
    timer.expires_after(1ms);
    co_await timer.async_wait(coppice::await);
    ++n->other;
}

TEST(Await, WorksAgainInTheCleanUpOfAnActorThatWasAskedToEnd) {
    auto n = std::make_shared<shared_notes>();
    node app{"app", quiet()};
    ASSERT_TRUE(app.start(
        supervisor_spec{}.add(child("it", in_coroutine, awaits_after_cancellation, n).shutdown(1h))));
    n->ready.get_future().wait();
    app.stop();
    EXPECT_TRUE(app.wait().is_clean());
    EXPECT_EQ(n->was_cancelled, 1);
    EXPECT_EQ(n->other, 1);
}

task<std::size_t> reads_in_a_task(local_socket* from, notes n) {
    const on_unwind guard{n};
    std::array<char, 8> bytes{};
    co_return co_await from->async_read_some(asio::buffer(bytes), coppice::await);
}

task<> races(actor<plain> self, notes n) {
    local_socket a{io_context_of(self)}, b{io_context_of(self)};
    asio::local::connect_pair(a, b);
    std::array<char, 8> bytes{};
    for (int i = 0; i < 20; ++i) {
        // The loser is cancelled and waited for: its task is gone when the race is over, and the socket can be used.
        auto first = co_await race(reads_in_a_task(&a, n), self.sleep(100us));
        EXPECT_EQ(first.index(), 1u);
        EXPECT_EQ(n->unwound, 2 * i + 1);
        auto limited = co_await with_timeout(100us, a.async_read_some(asio::buffer(bytes), coppice::await));
        EXPECT_EQ(limited.error(), errc::timeout);
        EXPECT_EQ(co_await b.async_write_some(asio::buffer("x", 1), coppice::await), 1u);
        auto won = co_await race(self.sleep(1h), reads_in_a_task(&a, n));
        EXPECT_EQ(std::get<1>(won), 1u);
    }
    auto [first, second] =
        co_await gather(asio::async_write(b, asio::buffer("twelve bytes", 8), coppice::await),
                        asio::async_read(a, asio::buffer(bytes), asio::deferred));
    EXPECT_EQ(first, 8u);
    EXPECT_EQ(second, 8u);
}

TEST(Await, CanLoseARaceAndLeavesItsSocketUsable) { run_actor(races, std::make_shared<shared_notes>()); }

task<> task_of_io(actor<plain> self, notes n) {
    const on_unwind guard{n};
    asio::steady_timer timer{io_context_of(self), 1h};
    try {
        co_await timer.async_wait(coppice::await);
    } catch (const cancelled&) {
        ++n->was_cancelled;
        throw;
    }
}

task<> owns_tasks(actor<plain> self, notes n) {
    auto explicitly = self.spawn_task(task_of_io(self, n));
    auto joined = self.spawn_task(task_of_io(self, n));
    static_cast<void>(self.spawn_task(task_of_io(self, n)));  // cancelled with the actor
    co_await self.sleep(1ms);
    explicitly.cancel();
    joined.cancel();
    bool threw = false;
    try {
        co_await joined.join();
    } catch (const cancelled&) {
        threw = true;
    }
    EXPECT_TRUE(threw);
}

TEST(Await, IsCancelledWithTheOwnTaskThatItStandsIn) {
    auto n = std::make_shared<shared_notes>();
    run_actor(owns_tasks, n);
    EXPECT_EQ(n->was_cancelled, 3);
    EXPECT_EQ(n->unwound, 3);
}

task<> waits_by_hand(actor<plain>, notes n, handler_place place) {
    const on_unwind guard{n};
    ++n->began;
    co_await by_hand<void()>(
        [&](auto h) {
            *place = std::make_unique<kept<decltype(h)>>(std::move(h));
            n->ready.set_value();
        },
        coppice::await);
    ++n->other;
}

TEST(Await, KeepsTheFrameUntilAnOperationThatIgnoresCancellationHasCompleted) {
    auto n = std::make_shared<shared_notes>();
    auto place = std::make_shared<std::unique_ptr<kept_handler>>();
    node app{"app", quiet()};
    ASSERT_TRUE(app.start(supervisor_spec{}.add(child("it", in_coroutine, waits_by_hand, n, place))));
    n->ready.get_future().wait();
    app.stop();
    EXPECT_EQ(app.wait_for(20ms).error(), errc::timeout);
    EXPECT_EQ(n->unwound, 0);
    (*place)->run();  // on this thread: it is no thread of the node
    EXPECT_TRUE(app.wait().is_clean());
    EXPECT_EQ(n->unwound, 1);
    EXPECT_EQ(n->other, 0);
    place->reset();
}

// ---------------------------------------------------------------- handlers that never run

task<> finds_it_dropped(actor<plain>, notes n, handler_place place) {
    try {
        co_await by_hand<void()>([](auto) {}, coppice::await);  // dropped within the initiation
    } catch (const system_error& failure) {
        if (failure.code() == asio::error::operation_aborted) ++n->other;
    }
    try {
        co_await by_hand<void()>(
            [&](auto h) {
                *place = std::make_unique<kept<decltype(h)>>(std::move(h));
                n->ready.set_value();
            },
            coppice::await);
    } catch (const system_error& failure) {
        if (failure.code() == asio::error::operation_aborted) ++n->other;
    }
}

TEST(Await, FailsWithOperationAbortedWhenTheHandlerIsDropped) {
    auto n = std::make_shared<shared_notes>();
    auto place = std::make_shared<std::unique_ptr<kept_handler>>();
    node app{"app", quiet()};
    ASSERT_TRUE(
        app.start(supervisor_spec{}.add(only_child(child("it", in_coroutine, finds_it_dropped, n, place)))));
    n->ready.get_future().wait();
    place->reset();  // by a thread that is none of the node's
    EXPECT_TRUE(app.wait().is_clean());
    EXPECT_EQ(n->other, 2);
}

task<> holds_the_context(actor<plain>, std::shared_ptr<std::unique_ptr<asio::io_context>> anothers, notes n) {
    try {
        co_await by_hand<void()>(
            [&](auto h) {
                asio::post(**anothers,
                           [h = std::move(h)]() mutable { std::move(h)(); });  // nobody runs that context
                n->ready.set_value();
            },
            coppice::await);
    } catch (const system_error& failure) {
        if (failure.code() == asio::error::operation_aborted) ++n->other;
    }
}

TEST(Await, SurvivesTheEndOfAForeignIoContextThatHasItsHandler) {
    auto n = std::make_shared<shared_notes>();
    auto anothers = std::make_shared<std::unique_ptr<asio::io_context>>(std::make_unique<asio::io_context>());
    node app{"app", quiet()};
    ASSERT_TRUE(app.start(
        supervisor_spec{}.add(only_child(child("it", in_coroutine, holds_the_context, anothers, n)))));
    n->ready.get_future().wait();
    anothers->reset();
    EXPECT_TRUE(app.wait().is_clean());
    EXPECT_EQ(n->other, 1);
}

// ---------------------------------------------------------------- boost::asio::awaitable

asio::awaitable<int> doubled(int value) {
    asio::steady_timer timer{co_await asio::this_coro::executor, 1ms};
    co_await timer.async_wait(asio::use_awaitable);
    co_return value * 2;
}
asio::awaitable<std::string> text_at_once() { co_return "at once"; }
asio::awaitable<void> throws_at_once() {
    throw std::runtime_error{"boo"};
    co_return;
}
asio::awaitable<void> waits_for_ever(notes n) {
    const on_unwind guard{n};
    asio::steady_timer timer{co_await asio::this_coro::executor, 1h};
    co_await timer.async_wait(asio::use_awaitable);
}

task<> awaits_awaitables(actor<plain> self, notes n) {
    EXPECT_EQ(co_await doubled(21), 42);
    EXPECT_EQ(co_await text_at_once(), "at once");
    std::string thrown;
    try {
        co_await throws_at_once();
    } catch (const std::runtime_error& failure) {
        thrown = failure.what();
    }
    EXPECT_EQ(thrown, "boo");
    auto limited = co_await with_timeout(1ms, waits_for_ever(n));
    EXPECT_EQ(limited.error(), errc::timeout);
    EXPECT_EQ(n->unwound, 1);
    auto [a, b] = co_await gather(doubled(1), doubled(2));
    EXPECT_EQ(a + b, 6);
    auto first = co_await race(doubled(5), self.sleep(1h));
    EXPECT_EQ(std::get<0>(first), 10);
}

TEST(Await, TakesAnAsioAwaitableForItsValueItsExceptionAndItsCancellation) {
    run_actor(awaits_awaitables, std::make_shared<shared_notes>());
}

task<> awaits_for_ever(actor<plain>, notes n) {
    n->ready.set_value();
    try {
        co_await waits_for_ever(n);
    } catch (const cancelled&) {
        ++n->was_cancelled;
        throw;
    }
}

TEST(Await, UnwindsAnAsioAwaitableBeforeTheActorThatAwaitsIt) {
    auto n = std::make_shared<shared_notes>();
    node app{"app", quiet()};
    ASSERT_TRUE(app.start(supervisor_spec{}.add(child("it", in_coroutine, awaits_for_ever, n))));
    n->ready.get_future().wait();
    app.stop();
    EXPECT_TRUE(app.wait().is_clean());
    EXPECT_EQ(n->unwound, 1);
    EXPECT_EQ(n->was_cancelled, 1);
}

// ---------------------------------------------------------------- in a user's io_context, and in none

task<> says_when(actor<plain> self, notes n) {
    for (int i = 0; i < 10; ++i) {
        asio::steady_timer timer{io_context_of(self), 1ms};
        co_await timer.async_wait(coppice::await);
        ++n->other;
    }
}

asio::awaitable<void> beside_the_node(int* count) {
    for (int i = 0; i < 10; ++i) {
        asio::steady_timer timer{co_await asio::this_coro::executor, 1ms};
        co_await timer.async_wait(asio::use_awaitable);
        ++*count;
    }
}

TEST(Await, WorksInANodeInsideAUsersIoContextBesideTheUsersOwnCoroutines) {
    asio::io_context context{1};
    auto n = std::make_shared<shared_notes>();
    int beside = 0;
    {
        node app{"app", context, quiet()};
        ASSERT_TRUE(app.start(supervisor_spec{}.add(only_child(child("it", in_coroutine, says_when, n)))));
        asio::co_spawn(context, beside_the_node(&beside),
                       [](std::exception_ptr failure) { EXPECT_FALSE(failure); });
        context.run();
        EXPECT_TRUE(app.wait().is_clean());
    }
    EXPECT_EQ(n->other, 10);
    EXPECT_EQ(beside, 10);
}

TEST(Await, IsCancelledByTheDestructorOfAnEmbeddedNode) {
    auto n = std::make_shared<shared_notes>();
    auto context = std::make_unique<asio::io_context>(1);
    {
        node app{"app", *context, quiet()};
        ASSERT_TRUE(app.start(supervisor_spec{}.add(child("it", in_coroutine, reads_for_ever, n))));
        auto ready = n->ready.get_future();
        while (ready.wait_for(0s) != std::future_status::ready) context->run_one();
    }
    EXPECT_EQ(n->was_cancelled, 1);
    EXPECT_EQ(n->unwound, 1);
    context.reset();
}

TEST(Await, IsCancelledByTheDestructorOfANode) {
    auto n = std::make_shared<shared_notes>();
    {
        node app{"app", quiet()};
        ASSERT_TRUE(app.start(supervisor_spec{}.add(child("it", in_coroutine, reads_for_ever, n))));
        n->ready.get_future().wait();
    }
    EXPECT_EQ(n->unwound, 1);
}

task<> looks_for_io(actor<plain> self, notes n) {
    std::string text;
    try {
        static_cast<void>(io_context_of(self));
    } catch (const std::logic_error& failure) {
        text = failure.what();
    }
    EXPECT_NE(text.find("test world"), std::string::npos) << text;
    try {
        co_await doubled(1);
    } catch (const std::logic_error&) {
        ++n->other;
    }
    asio::io_context context;
    asio::steady_timer timer{context, 1ms};
    try {
        co_await timer.async_wait(coppice::await);
    } catch (const std::logic_error&) {
        ++n->other;
    }
}

TEST(Await, SaysInTheTestWorldThatThereIsNoIo) {
    coppice::testing::world world{1};
    auto n = std::make_shared<shared_notes>();
    ASSERT_TRUE(world.start(
        supervisor_spec{}.add(child("it", in_coroutine, looks_for_io, n).restarts(restart::temporary))));
    world.run_until_idle();
    EXPECT_EQ(n->other, 2);
    EXPECT_TRUE(world.finish().empty());
}

}  // namespace
