// A peer that writes anything anywhere into the memory that it shares, while the link carries traffic.
// The link has to end with an error, or go on; it must neither crash, hang, nor show more than its ring holds.
#include <thread>

#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::shm;
using namespace coppice::tests;

#ifdef COPPICE_SANITIZED
constexpr int attacks = 100;
#else
constexpr int attacks = 500;
#endif

// The words that a peer may scribble over: all of them.
std::vector<std::atomic<std::uint64_t>*> positions(segment& hand) {
    auto& h = hand.header();
    return {&h.ring[0].tail.value, &h.ring[0].head.value, &h.ring[1].tail.value,
            &h.ring[1].head.value, &h.live[0].progress,   &h.live[1].progress};
}

std::vector<std::atomic<std::uint32_t>*> flags(segment& hand) {
    auto& h = hand.header();
    return {&h.ring[0].rx_wait.value, &h.ring[0].tx_wait.value, &h.ring[1].rx_wait.value,
            &h.ring[1].tx_wait.value, &h.live[0].state,         &h.live[1].state};
}

// A value that a hostile peer would try.
std::uint64_t nasty(std::uint64_t& random, std::uint64_t near) {
    const std::uint64_t r = next_random(random);
    switch (r % 6) {
    case 0: return r;
    case 1: return 0;
    case 2: return ~std::uint64_t{0};
    case 3: return near + (r >> 8) % 10'000;
    case 4: return near - (r >> 8) % 10'000;
    default: return near;
    }
}

TEST(ShmHostile, ScribblingOverAllWordsWhileTrafficRunsEndsTheLinkWithAnErrorAndNothingElse) {
    std::uint64_t random = 11;
    for (int n = 0; n < attacks; ++n) {
        SCOPED_TRACE(n);
        io_reactor on;
        joined_links ends{on};
        recorder owners[2];
        std::uint64_t shown = 0;
        unsigned sum = 0;
        const auto talk = [&](ring_link& mine) {
            for (int k = 0; k < 8; ++k) {
                const auto room = mine.reserve(1 + next_random(random) % 300);
                if (room.empty()) break;
                const std::size_t used = std::min<std::size_t>(room.size(), 300);
                std::memset(room.data(), k, used);
                mine.commit(used);
            }
            mine.flush();
        };
        ring_link* const links[2] = {ends.connector.get(), ends.acceptor.get()};
        for (int i : {0, 1}) {
            owners[i].on_received = [&, i](std::span<const std::byte> bytes) {
                EXPECT_LE(bytes.size(), 4096u);
                for (const std::byte b : bytes) sum += static_cast<unsigned>(b);
                shown += bytes.size();
                talk(*links[i]);
                return bytes.size() - bytes.size() % 3;
            };
            owners[i].on_writable = [&, i] { talk(*links[i]); };
            links[i]->start(owners[i]);
            talk(*links[i]);
        }
        const std::uint64_t quiet = next_random(random) % 20'000;
        on.run_until([&] { return shown >= quiet; });
        std::atomic<bool> over{false};
        const descriptor bells[2] = {descriptor{::dup(ends.connector_socket)},
                                     descriptor{::dup(ends.acceptor_socket)}};
        std::thread scribbler{[&, seed = next_random(random)]() mutable {
            const auto all = positions(ends.hand);
            const auto small = flags(ends.hand);
            const bool gently = seed % 2 == 0;  // values that may pass for a while
            while (!over) {
                auto& p = *all[next_random(seed) % all.size()];
                const std::uint64_t now = p.load(std::memory_order_relaxed);
                p.store(gently ? now + next_random(seed) % 16 : nasty(seed, now), std::memory_order_relaxed);
                small[next_random(seed) % small.size()]->store(static_cast<std::uint32_t>(next_random(seed)),
                                                               std::memory_order_relaxed);
                ends.hand.data(side::connector)[next_random(seed) % 4096] = static_cast<std::byte>(seed);
                ends.hand.data(side::acceptor)[next_random(seed) % 4096] = static_cast<std::byte>(seed);
                // It rings as well, so that links that sleep look at what it wrote.
                const char byte = 0;
                static_cast<void>(
                    ::send(bells[next_random(seed) % 2].get(), &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL));
            }
        }};
        // One of them notices, and the other then sees the end.
        on.run_until([&] { return owners[0].end && owners[1].end; });
        over = true;
        scribbler.join();
        const auto noticed = [&](int i) { return owners[i].end->code() == errc::bad_message; };
        EXPECT_TRUE(noticed(0) || noticed(1)) << owners[0].end->what() << ", " << owners[1].end->what();
        EXPECT_EQ(on.pollers(), 0u);
    }
}

}  // namespace
