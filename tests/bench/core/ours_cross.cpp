// The rows of suite `core` in which two scheduler threads take part, and the actors that they share with the rows of one.
// Each node has two schedulers; actors are put on them by name, since where they run is what these rows are about.
#include "ours_core.hpp"

namespace ours {

using namespace std::chrono_literals;
using namespace coppice;

using counted = protocol<number>;

// ---- ping-pong -------------------------------------------------------------------------------------------------------

task<> ponger(actor<counted> self, ref<counted> peer) {
    while (auto m = co_await self.receive())
        m.match([&](const number& n) { self.send<number>(peer, n.value); });
}

// Suspends once for a round: receive() is what a ping-pong waits in.
static task<bool> play(actor<counted> self, ref<counted> peer, std::uint64_t rounds) {
    self.send<number>(peer, rounds);
    while (auto m = co_await self.receive()) {
        const auto left = m.get_if<number>()->value - 1;
        if (left == 0) co_return true;
        self.send<number>(peer, left);
    }
    co_return false;
}

task<> timed_pinger(actor<counted> self, std::uint64_t rounds, bench::clock::duration* taken) {
    const auto peer = self.spawn(&ponger, self.me());
    const auto start = bench::clock::now();
    if (!co_await play(self, peer, rounds)) co_return;
    *taken = bench::clock::now() - start;
}

// ---- pairs8: pairs that share nothing, four on each scheduler ----------------------------------------------------------

static task<> pair(actor<counted> self, std::uint64_t rounds, ref<counted> referee) {
    const auto peer = self.spawn(&ponger, self.me());
    if (!co_await self.receive()) co_return;
    if (co_await play(self, peer, rounds)) self.send<number>(referee, 1U);
}

static task<> four_pairs(actor<counted> self, std::uint64_t rounds, ref<counted> referee) {
    std::vector<ref<counted>> pairs;
    for (int i = 0; i < 4; ++i) pairs.push_back(self.spawn(&pair, rounds, referee));
    while (co_await self.receive())
        for (const auto& each : pairs) self.send<number>(each, 1U);
}

static task<> pairs_referee(actor<counted> self, std::uint64_t rounds, bench::clock::duration* taken) {
    const auto here = co_await self.start(child("here", on_scheduler(0), &four_pairs, rounds, self.me()));
    const auto there = co_await self.start(child("there", on_scheduler(1), &four_pairs, rounds, self.me()));
    bench::require(here && there, "pairs start");
    const auto start = bench::clock::now();
    self.send<number>(there->assume<counted>(), 1U);
    self.send<number>(here->assume<counted>(), 1U);
    for (int finished = 0; finished < 8; ++finished)
        if (!co_await self.receive()) co_return;
    *taken = bench::clock::now() - start;
}

void pairs8(const bench::reporter& out) {
    const auto rounds = out.count<std::uint64_t>(3'000'000);
    bench::clock::duration taken{};
    run_node(2, child("referee", on_scheduler(0), &pairs_referee, rounds, &taken));
    out.per_second("pairs8", rounds * 8, taken);
}

// ---- fanin_cross -----------------------------------------------------------------------------------------------------

task<> sender(actor<protocol<>> self, ref<counted> target, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) co_await self.send_wait<number>(target, 1U);
}

static task<> sources(actor<protocol<>> self, ref<counted> target, std::uint64_t each) {
    for (std::uint64_t i = 0; i < senders; ++i) self.spawn(&sender, target, each);
    while (co_await self.receive()) {
    }
}

static task<> cross_receiver(actor<counted> self, std::uint64_t each, bench::clock::duration* taken) {
    const auto start = bench::clock::now();
    const auto others = co_await self.start(child("sources", on_scheduler(1), &sources, self.me(), each));
    bench::require(others.has_value(), "sources start");
    std::uint64_t sum = 0;
    while (sum < each * senders) {
        auto m = co_await self.receive();
        if (!m) co_return;
        m.match([&](const number& n) { sum += n.value; });
    }
    *taken = bench::clock::now() - start;
}

void fanin_cross(const bench::reporter& out) {
    const auto each = out.count<std::uint64_t>(2'000'000);
    bench::clock::duration taken{};
    run_node(2, child("receiver", on_scheduler(0), &cross_receiver, each, &taken).mailbox(mailbox_limit));
    out.per_second("fanin_cross", each * senders, taken);
}

// ---- pingpong_cross_sleep, pingpong_cross_poll -------------------------------------------------------------------------

static task<> cross_pinger(actor<counted> self, std::uint64_t rounds, bench::clock::duration* taken) {
    const auto peer = co_await self.start(child("ponger", on_scheduler(1), &ponger, self.me()));
    bench::require(peer.has_value(), "ponger starts");
    const auto start = bench::clock::now();
    if (!co_await play(self, peer->assume<counted>(), rounds)) co_return;
    *taken = bench::clock::now() - start;
}

static void pingpong_cross(const bench::reporter& out, std::string_view row, std::uint64_t rounds,
                           std::chrono::microseconds poll) {
    bench::clock::duration taken{};
    run_node(options(2, poll), child("pinger", on_scheduler(0), &cross_pinger, rounds, &taken));
    out.per_second(row, rounds, taken);
}

void pingpong_cross_sleep(const bench::reporter& out) {
    pingpong_cross(out, "pingpong_cross_sleep", out.count<std::uint64_t>(40'000), 0us);
}

void pingpong_cross_poll(const bench::reporter& out) {
    pingpong_cross(out, "pingpong_cross_poll", out.count<std::uint64_t>(400'000), 50us);
}

}  // namespace ours
