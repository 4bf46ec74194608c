// No lost wake: two threads that only sleep and wake each other through a ring, with a doorbell that is a counter.
// A sleeper watches its bell and never the ring, so that a wake that is lost is never healed by chance, and there are
// millions of sleeps in a second. Rings that are wrong on purpose must be caught, else the test is worth nothing.
#include <sched.h>

#include <cstdlib>
#include <thread>

#include "support/sanitizers.hpp"
#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::shm;
using namespace coppice::tests;

// Messages of a test; COPPICE_SHM_MESSAGES asks for more of them (hundreds of millions, once in a while).
std::uint64_t messages() {
    const char* wanted = std::getenv("COPPICE_SHM_MESSAGES");
    return wanted ? std::strtoull(wanted, nullptr, 10) : slow_build ? 200'000 : 2'000'000;
}
constexpr std::size_t ring_bytes = 4096;

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

void idle_for(std::uint64_t steps) {
    for (; steps != 0; --steps) asm volatile("" ::: "memory");
}

struct alignas(line) bell {
    std::atomic<std::uint64_t> rings{0};
    std::byte apart[line - 8];
    std::atomic<std::uint64_t> naps{0};  // odd: its owner waits for it, and has nothing left to ring for
    std::byte apart_too[line - 8];
};

struct outcome {
    std::uint64_t sleeps = 0;
    std::uint64_t aborted = 0;  // sleeps that a last look prevented: the race was met
    std::uint64_t lost = 0;
    std::uint64_t wrong = 0;
};

// Waits for the bell. Returns false if it will never ring: the other side sleeps as well although `due` is true here, and
// what it had to ring for happened before it went to sleep. It has to be the same sleep before and after the looks: one that
// has been woken meanwhile may have made room, and be about to ring. Where the other side has given up, nothing is waited for.
template <class Due>
bool await_bell(bell& own, bell& peers, std::uint64_t heard, const std::atomic<bool>& peer_done, Due due) {
    own.naps.fetch_add(1, std::memory_order_seq_cst);
    bool rang = true;
    for (unsigned spins = 0; own.rings.load(std::memory_order_seq_cst) == heard; ++spins) {
        relax();
        if (spins % 256 == 255) {
            ::sched_yield();
            const bool over = peer_done.load(std::memory_order_seq_cst);
            const std::uint64_t nap = peers.naps.load(std::memory_order_seq_cst);
            if (!over && nap % 2 == 0) continue;
            const bool is_due = due();
            if (over && !is_due) break;  // it has given up, and owes nothing
            if (is_due && own.rings.load(std::memory_order_seq_cst) == heard &&
                peers.naps.load(std::memory_order_seq_cst) == nap) {
                rang = false;
                break;
            }
        }
    }
    own.naps.fetch_add(1, std::memory_order_seq_cst);
    return rang;
}

template <flaw Flaw>
struct party {
    basic_ring_writer<Flaw> out;
    basic_ring_reader<Flaw> in;
    bell& own;
    bell& peers;
    std::atomic<bool>& done;
    std::atomic<bool>& peer_done;
    std::atomic<bool>& give_up;
    std::uint64_t random;
    outcome seen{};

    void ring(bool due) {
        if (due) peers.rings.fetch_add(1, std::memory_order_seq_cst);
    }
    // Until there are `size` bytes to read.
    bool await_data(std::size_t size) {
        while (in.readable().size() < size && !give_up) {
            if (in.look()) continue;
            idle_for(next_random(random) % 128);
            ring(in.settle());
            const std::uint64_t heard = own.rings.load(std::memory_order_seq_cst);
            if (in.ask()) {
                ++seen.sleeps;
                seen.lost += !await_bell(own, peers, heard, peer_done, [&] { return in.look(); });
            } else {
                ++seen.aborted;
            }
            in.awake();
        }
        return !give_up;
    }
    // Until there is room for `size` bytes.
    bool await_room(std::size_t size) {
        while (out.reserve(size).empty() && !give_up) {
            idle_for(next_random(random) % 128);
            const std::uint64_t heard = own.rings.load(std::memory_order_seq_cst);
            if (out.ask(size)) {
                ++seen.sleeps;
                seen.lost += !await_bell(own, peers, heard, peer_done, [&] { return out.look(size); });
            } else {
                ++seen.aborted;
            }
            out.awake();
        }
        return !give_up;
    }
    void send(std::uint64_t number, std::size_t size) {
        const auto room = out.reserve(size);
        std::memcpy(room.data(), &number, 8);
        std::memcpy(room.data() + size - 8, &number, 8);
        out.commit(size);
        ring(out.publish());
    }
    void take(std::uint64_t number, std::size_t size) {
        std::uint64_t first = 0;
        std::uint64_t last = 0;
        std::memcpy(&first, in.readable().data(), 8);
        std::memcpy(&last, in.readable().data() + size - 8, 8);
        seen.wrong += first != number || last != number;
        ring(in.consume(size));
    }
};

struct stage {
    two_mappings memory{ring_bytes};
    bell bells[2];
    std::atomic<bool> done[2]{};
    std::atomic<bool> give_up{false};
};

// Runs both parties on two threads; `stop_at_lost`: enough is seen after the first lost wake.
template <flaw Flaw, class Play>
outcome run_both(Play play) {
    stage s;
    const auto perform = [&](int i, outcome& out) {
        segment& mine = i == 0 ? s.memory.connector : s.memory.acceptor;
        const side me = i == 0 ? side::connector : side::acceptor;
        const side other = i == 0 ? side::acceptor : side::connector;
        party<Flaw> p{.out = {mine.words(me), mine.data(me), ring_bytes},
                      .in = {mine.words(other), mine.data(other), ring_bytes},
                      .own = s.bells[i],
                      .peers = s.bells[1 - i],
                      .done = s.done[i],
                      .peer_done = s.done[1 - i],
                      .give_up = s.give_up,
                      .random = static_cast<std::uint64_t>(i) + 1};
        play(p, i);
        p.done = true;
        out = p.seen;
    };
    outcome results[2];
    std::thread other{[&] { perform(1, results[1]); }};
    perform(0, results[0]);
    other.join();
    return {results[0].sleeps + results[1].sleeps, results[0].aborted + results[1].aborted,
            results[0].lost + results[1].lost, results[0].wrong + results[1].wrong};
}

// Lock-step: one says a number, the other says it again; both sleep for data alone.
template <flaw Flaw>
outcome lock_step_for_data(std::uint64_t count) {
    return run_both<Flaw>([&](party<Flaw>& p, int i) {
        for (std::uint64_t n = 0; n < count; ++n) {
            if (i == 0) p.send(n, 8 + 8 * (n % 5));
            if (!p.await_data(8 + 8 * (n % 5))) return;
            p.take(n, 8 + 8 * (n % 5));
            if (i == 1) p.send(n, 8 + 8 * (n % 5));
            idle_for(next_random(p.random) % 8);
            if (Flaw != flaw::none && p.seen.lost > 0) p.give_up = true;
        }
    });
}

// One fills the ring with each message, the other empties it: the writer sleeps for room, the reader for data.
template <flaw Flaw>
outcome lock_step_for_room(std::uint64_t count) {
    return run_both<Flaw>([&](party<Flaw>& p, int i) {
        for (std::uint64_t n = 0; n < count; ++n) {
            if (i == 0) {
                if (!p.await_room(ring_bytes)) return;
                p.send(n, ring_bytes);
            } else {
                if (!p.await_data(ring_bytes)) return;
                idle_for(next_random(p.random) % 64);
                p.take(n, ring_bytes);
            }
            if (Flaw != flaw::none && p.seen.lost > 0) p.give_up = true;
        }
    });
}

// A stream both ways at once, of messages of any size, with pauses at random on both sides: none, about as long as the other
// side takes to fall asleep, and long enough for it to sleep. Writers sleep for room, readers for data, in any mixture.
template <flaw Flaw>
outcome stream_with_pauses(std::uint64_t count) {
    constexpr std::size_t most = 512;
    const auto size_of = [](std::uint64_t number) {
        return 8 + 8 * ((number * 0x9e37'79b9'7f4a'7c15 >> 40) % (most / 8));
    };
    return run_both<Flaw>([&](party<Flaw>& p, int i) {
        const auto pause = [&] {
            const std::uint64_t kind = next_random(p.random) % 1024;
            if (kind < 8) idle_for(next_random(p.random) % 4096);
            else if (kind < 64) idle_for(next_random(p.random) % 128);
        };
        // One direction a half of the time, so that nobody waits for two things.
        constexpr std::uint64_t batch = 1024;
        for (std::uint64_t n = 0; n < count / 2; n += batch) {
            const bool writes = (n / batch + static_cast<std::uint64_t>(i)) % 2 == 0;
            for (std::uint64_t m = n; m < n + batch; ++m) {
                if (writes) {
                    if (!p.await_room(size_of(m))) return;
                    p.send(m, size_of(m));
                } else {
                    if (!p.await_data(size_of(m))) return;
                    p.take(m, size_of(m));
                }
                pause();
            }
            if (Flaw != flaw::none && p.seen.lost > 0) p.give_up = true;
        }
    });
}

void expect_none_lost(const outcome& o) {
    EXPECT_EQ(o.lost, 0u);
    EXPECT_EQ(o.wrong, 0u);
    EXPECT_GT(o.sleeps, 0u);
    std::cout << o.sleeps << " sleeps, " << o.aborted << " given up at the last look\n";
}

TEST(ShmSleep, LosesNoWakeInMillionsOfSleepsForData) {
    expect_none_lost(lock_step_for_data<flaw::none>(messages()));
}

TEST(ShmSleep, LosesNoWakeInMillionsOfSleepsForRoom) {
    expect_none_lost(lock_step_for_room<flaw::none>(messages()));
}

TEST(ShmSleep, LosesNoWakeInMillionsOfMessagesWithPausesAtRandomOnBothSides) {
    expect_none_lost(stream_with_pauses<flaw::none>(messages() * (slow_build ? 1 : 5)));
}

// A ring without one of the two orders loses wakes. The flawed ring does itself what a processor may do without the order, so
// that it is caught on any machine, whatever else that does.
template <flaw Flaw>
void expect_caught() {
    constexpr std::uint64_t at_most = 10'000'000;
    EXPECT_GT(lock_step_for_data<Flaw>(at_most).lost, 0u) << "for data";
    EXPECT_GT(lock_step_for_room<Flaw>(at_most).lost, 0u) << "for room";
}

TEST(ShmSleep, ARingWhosePublisherDoesNotOrderItsStoreIsCaught) {
    expect_caught<flaw::publisher_unordered>();
}

TEST(ShmSleep, ARingWhoseSleeperDoesNotOrderItsFlagIsCaught) { expect_caught<flaw::sleeper_unordered>(); }

}  // namespace
