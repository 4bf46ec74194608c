// The rows of suite `core` on Coppice, written as a user would write them: actors that receive and match, children by
// spawn, a supervisor where one is asked for. What each row counts is written in ../README.md, for all programs alike.
//
// Each row runs a node of its own, with one scheduler thread in the rows of one thread and two in the others. The row is
// the tree's only child; it takes the time itself, and the node ends with it. The rows of two threads are in ours_cross.cpp.
#include "ours_core.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

#include <sys/resource.h>

namespace {

using namespace std::chrono_literals;
using namespace coppice;
using namespace ours;

using counted = protocol<number>;

// ---- pingpong --------------------------------------------------------------------------------------------------------

void pingpong(const bench::reporter& out) {
    const auto rounds = out.count<std::uint64_t>(20'000'000);
    bench::clock::duration taken{};
    run_node(1, child("pinger", in_coroutine, &timed_pinger, rounds, &taken));
    out.per_second("pingpong", rounds, taken);
}

// ---- ask -------------------------------------------------------------------------------------------------------------

struct next {
    std::uint64_t value = 0;
    using reply = std::uint64_t;
};
using server_protocol = protocol<next>;

task<> server(actor<server_protocol> self) {
    while (auto m = co_await self.receive()) m.match([](request<next> r) { r.reply(r->value + 1); });
}

task<> asker(actor<counted> self, std::uint64_t rounds, bench::clock::duration* taken) {
    const auto target = self.spawn(&server);
    const auto start = bench::clock::now();
    for (std::uint64_t i = 0; i < rounds; ++i) {
        const auto answer = co_await self.ask<next>(target, 5s, i);
        bench::require(answer && *answer == i + 1, "ask");
    }
    *taken = bench::clock::now() - start;
}

void ask(const bench::reporter& out) {
    const auto rounds = out.count<std::uint64_t>(20'000'000);
    bench::clock::duration taken{};
    run_node(1, child("asker", in_coroutine, &asker, rounds, &taken));
    out.per_second("ask", rounds, taken);
}

// ---- fanin: a mailbox of 1024 whose senders wait for room ------------------------------------------------------------

task<> fanin_receiver(actor<counted> self, std::uint64_t each, bench::clock::duration* taken) {
    const auto start = bench::clock::now();
    for (std::uint64_t i = 0; i < senders; ++i) self.spawn(&sender, self.me(), each);
    std::uint64_t sum = 0;
    while (sum < each * senders) {
        auto m = co_await self.receive();
        if (!m) co_return;
        m.match([&](const number& n) { sum += n.value; });
    }
    *taken = bench::clock::now() - start;
}

void fanin(const bench::reporter& out) {
    const auto each = out.count<std::uint64_t>(10'000'000);
    bench::reset_peak();
    bench::clock::duration taken{};
    run_node(1, child("receiver", in_coroutine, &fanin_receiver, each, &taken).mailbox(mailbox_limit));
    out.per_second("fanin", each * senders, taken);
    out.value("fanin_rss", bench::peak_mib(), "MiB");
}

// ---- ring ------------------------------------------------------------------------------------------------------------

struct neighbour {
    ref<protocol<number>> who;
};
using ring_protocol = protocol<number, neighbour>;

task<> ring_node(actor<ring_protocol> self, ref<counted> referee) {
    ref<counted> successor;
    while (auto m = co_await self.receive())
        m.match(
            [&](const number& hops_left) {
                if (hops_left.value == 0) self.send<number>(referee, 1U);
                else self.send<number>(successor, hops_left.value - 1);
            },
            [&](const neighbour& n) {
                successor = n.who;
                self.send<number>(referee, 1U);
            });
}

// So many answers have come.
task<bool> heard(actor<counted> self, std::size_t answers) {
    for (std::size_t i = 0; i < answers; ++i)
        if (!co_await self.receive()) co_return false;
    co_return true;
}

task<> ring_referee(actor<counted> self, std::size_t nodes, std::uint64_t hops, bool against,
                    bench::clock::duration* taken) {
    std::vector<ref<ring_protocol>> ring;
    for (std::size_t i = 0; i < nodes; ++i) ring.push_back(self.spawn(&ring_node, self.me()));
    for (std::size_t i = 0; i < nodes; ++i) self.send<neighbour>(ring[i], ring[(i + 1) % nodes]);
    if (!co_await heard(self, nodes))
        co_return;  // the ring stands before its time begins, as those of the peers do
    if (against) std::ranges::reverse(ring);
    const auto start = bench::clock::now();
    for (const auto& each : ring) self.send<number>(each, hops);
    if (!co_await heard(self, nodes)) co_return;
    *taken = bench::clock::now() - start;
}

void ring_of(const bench::reporter& out, std::string_view row, bool against) {
    constexpr std::size_t nodes = 1000;
    const auto hops = out.count<std::uint64_t>(40'000);
    bench::clock::duration taken{};
    run_node(1, child("referee", in_coroutine, &ring_referee, nodes, hops, against, &taken));
    out.per_second(row, nodes * hops, taken);
}

void ring(const bench::reporter& out) { ring_of(out, "ring", false); }
void ring_against(const bench::reporter& out) { ring_of(out, "ring_against", true); }

// ---- spawn -----------------------------------------------------------------------------------------------------------

task<> newborn(actor<protocol<>> self, ref<counted> parent) {
    self.send<number>(parent, 1U);
    co_return;
}

task<> breeder(actor<counted> self, std::uint64_t count, bench::clock::duration* taken) {
    const auto start = bench::clock::now();
    for (std::uint64_t i = 0; i < count; ++i) {
        self.spawn(&newborn, self.me());
        if (!co_await self.receive()) co_return;
    }
    *taken = bench::clock::now() - start;
}

void spawn(const bench::reporter& out) {
    const auto count = out.count<std::uint64_t>(20'000'000);
    bench::clock::duration taken{};
    run_node(1, child("breeder", in_coroutine, &breeder, count, &taken));
    out.per_second("spawn", count, taken);
}

// ---- idle, idle_cpu --------------------------------------------------------------------------------------------------

// Written by the scheduler's thread, read after the tree is ready.
std::size_t idler_frame_bytes = 0;
std::size_t idlers = 0;

task<> idler(actor<counted> self) {
    ++idlers;
#if __has_builtin(__builtin_coro_size)
    idler_frame_bytes = __builtin_coro_size();
#endif
    while (auto m = co_await self.receive()) m.match([](const number&) {});
}

// Ready when all its children wait for mail.
task<> crowd(actor<counted> self, std::size_t count) {
    idlers = 0;
    for (std::size_t i = 0; i < count; ++i) self.spawn(&idler);
    while (idlers < count) co_await self.sleep(1ms);
    self.ready();
    while (co_await self.receive()) {
    }
}

void with_crowd(std::size_t count, auto&& measure) {
    node on{"bench", options(1)};
    supervisor_spec tree;
    tree.add(child("crowd", in_coroutine, &crowd, count).awaits_ready(60s).shutdown(60s));
    const auto before = bench::resident_bytes();
    bench::require(on.start(std::move(tree)).has_value(), "idle, the tree starts");
    measure(before);
    on.stop();
    on.wait();
}

void idle(const bench::reporter& out) {
    const auto count = out.count<std::size_t>(1'000'000);
    with_crowd(count, [&](std::uint64_t before) {
        const auto bytes = static_cast<double>(bench::resident_bytes() - before) / static_cast<double>(count);
        out.value("idle", bytes, "B");
        if (idler_frame_bytes)
            out.value("idle_beyond_frame", bytes - static_cast<double>(idler_frame_bytes), "B");
        else out.skip("idle_beyond_frame", "this compiler does not tell the size of a frame");
    });
}

double cpu_seconds() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

void idle_cpu(const bench::reporter& out) {
    const auto count = out.count<std::size_t>(1'000'000);
    with_crowd(count, [&](std::uint64_t) {
        constexpr auto watched = 2s;
        const auto before = cpu_seconds();
        std::this_thread::sleep_for(watched);
        out.value("idle_cpu", (cpu_seconds() - before) / static_cast<double>(watched.count()) * 100, "%");
    });
}

// ---- skynet ----------------------------------------------------------------------------------------------------------

task<> skynet_node(actor<counted> self, ref<counted> parent, std::uint64_t first, std::uint64_t leaves) {
    constexpr std::uint64_t fan_out = 10;
    if (leaves == 1) {
        self.send<number>(parent, first);
        co_return;
    }
    for (std::uint64_t i = 0; i < fan_out; ++i)
        self.spawn(&skynet_node, self.me(), first + i * (leaves / fan_out), leaves / fan_out);
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < fan_out; ++i) {
        auto m = co_await self.receive();
        if (!m) co_return;
        m.match([&](const number& n) { sum += n.value; });
    }
    self.send<number>(parent, sum);
}

task<> skynet_root(actor<counted> self, std::uint64_t leaves, bench::clock::duration* taken) {
    const auto start = bench::clock::now();
    self.spawn(&skynet_node, self.me(), std::uint64_t{0}, leaves);
    auto m = co_await self.receive();
    if (!m) co_return;
    *taken = bench::clock::now() - start;
    bench::require(m.get_if<number>()->value == leaves * (leaves - 1) / 2, "skynet");
}

void skynet(const bench::reporter& out) {
    bench::clock::duration taken{};
    run_node(1, child("root", in_coroutine, &skynet_root, std::uint64_t{1'000'000}, &taken));
    out.milliseconds("skynet", taken);
}

// ---- restart: by a linked parent that traps exits; restart_supervisor: by a supervisor, through a name that stays ------

struct crash {};
using fragile_protocol = protocol<next, crash>;

task<> fragile(actor<fragile_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([](request<next> r) { r.reply(r->value + 1); },
                [](const crash&) { throw std::runtime_error{"crash"}; });
}

using samples = std::vector<bench::clock::duration>;

task<> restarter(actor<counted> self, std::size_t rounds, samples* taken) {
    self.trap_exits();
    auto fosterling = self.spawn(&fragile);
    self.link(fosterling);
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto start = bench::clock::now();
        self.send<crash>(fosterling);
        const auto end = co_await self.receive();
        if (!end) co_return;
        bench::require(end.sender() == fosterling, "crash notice");
        fosterling = self.spawn(&fragile);
        self.link(fosterling);
        const auto answer = co_await self.ask<next>(fosterling, 5s, 7U);
        bench::require(answer && *answer == 8, "answer after a restart");
        taken->push_back(bench::clock::now() - start);
    }
}

void restart(const bench::reporter& out) {
    const auto rounds = out.count<std::size_t>(100'000);
    samples taken;
    taken.reserve(rounds);
    run_node(1, child("restarter", in_coroutine, &restarter, rounds, &taken));
    bench::require(taken.size() == rounds, "restart");
    out.median_microseconds("restart", std::move(taken));
}

task<> crasher(actor<counted> self, std::size_t rounds, samples* taken) {
    const auto found = co_await self.resolve<fragile_protocol>("family/fragile");
    bench::require(found.has_value(), "the supervised child is known by name");
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto start = bench::clock::now();
        self.send<crash>(*found);
        const auto answer = co_await self.ask<next>(*found, 5s, 7U);
        bench::require(answer && *answer == 8, "answer after a restart");
        taken->push_back(bench::clock::now() - start);
    }
}

void restart_supervisor(const bench::reporter& out) {
    const auto rounds = out.count<std::size_t>(100'000);
    samples taken;
    taken.reserve(rounds);
    supervisor_spec family{strategy::one_for_one};
    family.intensity(1'000'000'000, 1s)
        .add(child("fragile", in_coroutine, &fragile).restarts(restart::permanent));
    supervisor_spec tree{strategy::one_for_one};
    tree.add(supervisor("family", std::move(family)));
    run_node(1, child("crasher", in_coroutine, &crasher, rounds, &taken), std::move(tree));
    bench::require(taken.size() == rounds, "restart_supervisor");
    out.median_microseconds("restart_supervisor", std::move(taken));
}

// ---- timers ----------------------------------------------------------------------------------------------------------

task<> timer_user(actor<counted> self, std::uint64_t count, bench::clock::duration* taken) {
    constexpr std::size_t pending = 1000;
    std::uint64_t random = 1;
    auto delay = [&random] {
        random = random * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX generator
        return std::chrono::milliseconds{1000 + (random >> 33) % 59'000};
    };
    std::array<timer, pending> all;
    for (auto& each : all) each = self.send_after<number>(delay(), 1U);
    const auto start = bench::clock::now();
    for (std::uint64_t i = 0; i < count; ++i) {
        auto& oldest = all[i % pending];
        oldest.cancel();
        oldest = self.send_after<number>(delay(), 1U);
        if (i % 64 == 0)
            co_await self.sleep(0ns);  // the scheduler goes on: what was set moves into its wheel
    }
    *taken = bench::clock::now() - start;
}

void timers(const bench::reporter& out) {
    const auto count = out.count<std::uint64_t>(2'000'000);
    bench::clock::duration taken{};
    run_node(1, child("user", in_coroutine, &timer_user, count, &taken));
    out.per_second("timers", count, taken);
}

constexpr bench::row rows[] = {
    {"pingpong", pingpong},
    {"ask", ask},
    {"fanin", fanin},
    {"ring", ring},
    {"ring_against", ring_against},
    {"spawn", spawn},
    {"idle", idle},
    {"idle_cpu", idle_cpu},
    {"skynet", skynet},
    {"restart", restart},
    {"restart_supervisor", restart_supervisor},
    {"pairs8", pairs8},
    {"fanin_cross", fanin_cross},
    {"pingpong_cross_sleep", pingpong_cross_sleep},
    {"pingpong_cross_poll", pingpong_cross_poll},
    {"timers", timers},
};

}  // namespace

int main(int argc, char** argv) { return bench::main(argc, argv, rows); }
