// What single operations of the core cost, for those who change them: Google Benchmark, one operation an iteration.
// Nothing here is compared with peers; that is what ours_core.cpp is for.
//
// All but the first run inside an actor: the benchmark's loop is the actor's, on its scheduler's thread, while the main
// thread waits for the node's end. So the CPU column, which the main thread's start would not explain, is the actor's.
#include <chrono>
#include <cstdint>
#include <string>

#include <benchmark/benchmark.h>

#include "coppice/coppice.hpp"

namespace {

using namespace std::chrono_literals;
using namespace coppice;

struct number {
    std::uint64_t value = 0;
};
struct other {
    std::uint64_t value = 0;
};
using both = protocol<number, other>;

// Runs `row` as the only child of a node; it ends the node with its own end.
void run_node(benchmark::State& state, child_spec row, std::uint32_t schedulers = 1) {
    node_options options;
    options.schedulers = schedulers;
    options.level = level::off;
    options.log_terminal = false;
    options.handle_signals = false;
    node on{"bench", options};
    supervisor_spec tree;
    tree.add(std::move(row).restarts(restart::temporary).significant());
    if (on.run(std::move(tree)) != 0) state.SkipWithError("the tree did not end cleanly");
}

template <task<> (*Row)(actor<both>, benchmark::State*)>
void in_actor(benchmark::State& state) {
    run_node(state, child("row", in_coroutine, Row, &state));
}

// ---- messages --------------------------------------------------------------------------------------------------------

void envelope_make_match_free(benchmark::State& state) {
    std::uint64_t sum = 0;
    for (auto _ : state) {
        received<both> m{detail::make_envelope<number>(1, 1, 1U)};
        benchmark::DoNotOptimize(m);
        m.match([&](const number& n) { sum += n.value; }, [&](const other& n) { sum -= n.value; });
    }
    benchmark::DoNotOptimize(sum);
}
BENCHMARK(envelope_make_match_free);

// To itself and back out of the mailbox, through a ref that bears the actor's name.
task<> send_named(actor<both> self, benchmark::State* state) {
    const auto me = co_await self.resolve<both>("row");
    for (auto _ : *state) {
        self.send<number>(*me, 1U);
        benchmark::DoNotOptimize(co_await self.receive());
    }
}
BENCHMARK(in_actor<send_named>)->Name("send_named");

// The one that is wanted stands behind `range` others.
task<> select_behind(actor<both> self, benchmark::State* state) {
    const auto me = self.me();
    for (std::int64_t i = 0; i < state->range(); ++i) self.send<number>(me, 1U);
    for (auto _ : *state) {
        self.send<other>(me, 1U);
        benchmark::DoNotOptimize(co_await self.receive_only<other>());
    }
}
BENCHMARK(in_actor<select_behind>)->Name("select_behind")->Arg(0)->Arg(10)->Arg(100);

task<> member(actor<both> self) {
    self.join("all");
    while (co_await self.receive()) {
    }
}

// To 100 members, which handle it before the next one; the cost of one member's share is a hundredth.
task<> publish_100(actor<both> self, benchmark::State* state) {
    for (int i = 0; i < 100; ++i) self.spawn(&member);
    co_await self.yield();
    while (self.publish<number>("all", 1U) < 100) co_await self.yield();
    for (auto _ : *state) {
        benchmark::DoNotOptimize(self.publish<number>("all", 1U));
        co_await self.yield();
    }
    state->SetItemsProcessed(state->iterations() * 100);
}
BENCHMARK(in_actor<publish_100>)->Name("publish_100");

// ---- coroutines ------------------------------------------------------------------------------------------------------

task<std::uint64_t> leaf(std::uint64_t value) { co_return value + 1; }

task<std::uint64_t> branch(std::int64_t depth, std::uint64_t value) {
    if (depth == 0) co_return co_await leaf(value);
    co_return co_await branch(depth - 1, value);
}

// A chain of `range` tasks that each await the next; none suspends.
task<> nested_await(actor<both>, benchmark::State* state) {
    std::uint64_t value = 0;
    for (auto _ : *state) value = co_await branch(state->range() - 1, value);
    benchmark::DoNotOptimize(value);
    state->SetItemsProcessed(state->iterations() * (state->range() + 1));
}
BENCHMARK(in_actor<nested_await>)->Name("nested_await")->Arg(1)->Arg(10);

task<int> at_once() { co_return 1; }

// Between a task that is done at once and one that has to be cancelled.
task<> race_two(actor<both> self, benchmark::State* state) {
    for (auto _ : *state) benchmark::DoNotOptimize(co_await race(at_once(), self.sleep(1h)));
}
BENCHMARK(in_actor<race_two>)->Name("race_two");

// ---- time ------------------------------------------------------------------------------------------------------------

// Set, due at once, fired, received.
task<> timer_fire(actor<both> self, benchmark::State* state) {
    for (auto _ : *state) {
        self.send_after<number>(0ns, 1U);
        benchmark::DoNotOptimize(co_await self.receive());
    }
}
BENCHMARK(in_actor<timer_fire>)->Name("timer_fire");

// ---- two threads -------------------------------------------------------------------------------------------------------

task<> sink(actor<both> self) {
    while (co_await self.receive()) {
    }
}

// Into a mailbox of 1024 on another scheduler, faster than it is emptied.
task<> send_wait_cross(actor<both> self, benchmark::State* state) {
    const auto there = co_await self.start(child("sink", on_scheduler(1), &sink).mailbox(1024));
    if (!there) co_return state->SkipWithError("the sink did not start");
    const auto target = there->assume<both>();
    for (auto _ : *state) co_await self.send_wait<number>(target, 1U);
}
void cross(benchmark::State& state) {
    run_node(state, child("row", on_scheduler(0), &send_wait_cross, &state), 2);
}
BENCHMARK(cross)->Name("send_wait_cross")->UseRealTime();

}  // namespace
