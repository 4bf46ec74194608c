// kill -9 at random moments: what a dead process published arrives whole, and nothing else does.
// The victim is a forked child that writes as fast as it can; the survivor is the test. What the victim had published is
// known from a counter in memory that both have mapped.
#include <sched.h>

#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::shm;
using namespace coppice::tests;

#ifdef COPPICE_SANITIZED
constexpr int kills = 60;
#else
constexpr int kills = 200;
#endif
constexpr std::uint64_t ring_bytes = 64 * 1024;

// What the victim tells by other means than the ring.
struct shared_count {
    std::atomic<std::uint64_t> started{0};    // records begun
    std::atomic<std::uint64_t> published{0};  // records that a publish had covered, when it was over
};

struct shared_memory {
    shared_count* count;
    shared_memory()
        : count{static_cast<shared_count*>(
              ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))} {
        new (count) shared_count;
    }
    ~shared_memory() { ::munmap(count, 4096); }
    shared_memory(const shared_memory&) = delete;
    shared_memory& operator=(const shared_memory&) = delete;
};

// A record is its number, its length in words and words that follow from both.
std::size_t words_of(std::uint64_t number) {
    std::uint64_t random = number;
    const std::uint64_t r = next_random(random);
    return 2 + (r % 16 == 0 ? (r >> 8) % 900 : (r >> 8) % 40);
}

std::uint64_t word(std::uint64_t number, std::size_t i) { return (number + 1) * 0x9e37'79b9'7f4a'7c15 + i; }

void fill(std::byte* room, std::uint64_t number, bool and_die_within) {
    const std::size_t words = words_of(number);
    const std::uint64_t head[2] = {number, words};
    std::memcpy(room, head, sizeof head);
    for (std::size_t i = 2; i < words; ++i) {
        const std::uint64_t w = word(number, i);
        std::memcpy(room + 8 * i, &w, 8);
        if (and_die_within && i == words / 2) ::raise(SIGKILL);
    }
    if (and_die_within) ::raise(SIGKILL);
}

struct check {
    std::uint64_t records = 0;
    std::uint64_t torn = 0;

    // Checks the whole records and returns their length.
    std::size_t take(std::span<const std::byte> bytes) {
        std::size_t used = 0;
        while (bytes.size() - used >= 16 && torn == 0) {
            std::uint64_t head[2];
            std::memcpy(head, bytes.data() + used, sizeof head);
            if (head[0] != records || head[1] != words_of(records)) {
                ++torn;
                break;
            }
            if (bytes.size() - used < 8 * head[1]) break;
            for (std::size_t i = 2; i < head[1]; ++i) {
                std::uint64_t w = 0;
                std::memcpy(&w, bytes.data() + used + 8 * i, 8);
                torn += w != word(records, i);
            }
            used += 8 * head[1];
            ++records;
        }
        return used;
    }
};

// `dies_within`: the record, counted from 1, that it writes half and kills itself; 0: it writes until it is killed.
template <flaw Flaw>
[[noreturn]] void be_the_victim(int memory, shared_count& count, std::uint64_t seed,
                                std::uint64_t dies_within) {
    auto mapped = segment::attach(memory, {{ring_bytes, 4096}}, 1);
    if (!mapped) ::_exit(1);
    basic_ring_writer<Flaw> out{mapped->words(side::connector), mapped->data(side::connector), ring_bytes};
    for (std::uint64_t number = 0;;) {
        for (std::uint64_t batch = 1 + next_random(seed) % 8; batch != 0; --batch) {
            const std::size_t size = 8 * words_of(number);
            auto room = out.reserve(size);
            if (room.empty()) break;
            count.started = number + 1;
            fill(room.data(), number, number + 1 == dies_within);
            out.commit(size);
            ++number;
        }
        static_cast<void>(out.publish());
        count.published = number;
    }
}

struct tally {
    std::uint64_t records = 0;
    std::uint64_t torn = 0;
    std::uint64_t lost = 0;
    std::uint64_t left_over = 0;    // bytes that are no whole record
    std::uint64_t in_progress = 0;  // victims that died with a record that was not published
};

template <flaw Flaw>
tally kill_many(int times) {
    tally all;
    std::uint64_t random = 99;
    for (int n = 0; n < times; ++n) {
        shared_memory shared;
        two_mappings memory{ring_bytes, 4096};
        basic_ring_reader<Flaw> in{memory.acceptor.words(side::connector),
                                   memory.acceptor.data(side::connector), ring_bytes};
        // So many records, and then it dies: a moment that no clock decides. Half of the victims are killed, wherever they
        // are; half kill themselves within a record.
        const std::uint64_t until = next_random(random) % 3000;
        const bool by_own_hand = n % 2 == 0;
        const pid_t victim = ::fork();
        if (victim == 0)
            be_the_victim<Flaw>(memory.memory.get(), *shared.count, static_cast<std::uint64_t>(n),
                                by_own_hand ? until + 1 : 0);
        check checked;
        const auto read = [&] {
            const bool more = in.look();
            static_cast<void>(in.consume(checked.take(in.readable())));
            static_cast<void>(in.settle());
            return more;
        };
        bool dead = false;
        while (!dead && checked.torn == 0 && (by_own_hand || checked.records < until)) {
            if (!read()) ::sched_yield();
            if (by_own_hand) dead = ::waitpid(victim, nullptr, WNOHANG) == victim;
        }
        if (!dead) {
            ::kill(victim, SIGKILL);
            ::waitpid(victim, nullptr, 0);
        }
        while (read()) {
        }
        all.records += checked.records;
        all.torn += checked.torn;
        all.lost += checked.records < shared.count->published;
        all.left_over += checked.torn ? 0 : in.readable().size();
        all.in_progress += shared.count->started > checked.records;
    }
    return all;
}

TEST(ShmKill, WhatADeadWriterPublishedIsWholeAndNothingOfItIsLost) {
    const tally all = kill_many<flaw::none>(kills);
    EXPECT_EQ(all.torn, 0u);
    EXPECT_EQ(all.lost, 0u);
    EXPECT_EQ(all.left_over, 0u);
    EXPECT_GT(all.records, 0u);
    EXPECT_GT(all.in_progress, 0u) << "no victim died while it wrote: this test has met nothing";
    std::cout << kills << " kills, " << all.records << " records, " << all.in_progress
              << " died within one\n";
}

TEST(ShmKill, ARingThatPublishesBeforeItWritesIsCaught) {
    const tally all = kill_many<flaw::tail_before_data>(kills);
    EXPECT_GT(all.torn + all.lost + all.left_over, 0u);
}

// ---------------------------------------------------------------- links

// Connects by its link and writes; flushes now and then.
[[noreturn]] void be_the_linked_victim(int memory, int socket, shared_count& count, std::uint64_t seed) {
    io_reactor on;
    auto mapped = segment::attach(memory, {{ring_bytes, ring_bytes}}, 1);
    if (!mapped) ::_exit(1);
    shm::ring_link mine{on, std::move(*mapped), side::connector, descriptor{socket}, {}};
    recorder owner;
    mine.start(owner);
    std::uint64_t number = 0;
    const auto write = [&] {
        for (;;) {
            const std::size_t size = 8 * words_of(number);
            const auto room = mine.reserve(size);
            if (room.empty()) {
                count.published = number;  // no room: it has flushed
                return;
            }
            count.started = number + 1;
            fill(room.data(), number, false);
            mine.commit(size);
            ++number;
            if (next_random(seed) % 8 == 0) {
                mine.flush();
                count.published = number;
            }
        }
    };
    owner.on_writable = write;
    write();
    on.run_until([] { return false; });
    ::_exit(0);
}

TEST(ShmKill, TheLinkOfADeadPeerShowsAllThatWasPublishedAndThenEnds) {
    const own_run_directory here;
    std::uint64_t random = 5;
    std::uint64_t records = 0;
    for (int n = 0; n < kills; ++n) {
        shared_memory shared;
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        two_mappings memory{ring_bytes};
        const pid_t victim = ::fork();
        if (victim == 0) {
            ::close(ends[0]);
            be_the_linked_victim(memory.memory.get(), ends[1], *shared.count, static_cast<std::uint64_t>(n));
        }
        ::close(ends[1]);
        memory.memory.reset();
        io_reactor on;
        shm::ring_link mine{on, std::move(memory.acceptor), side::acceptor, descriptor{ends[0]}, {}};
        check checked;
        recorder owner;
        std::size_t left = 0;
        const std::uint64_t until = 1 + next_random(random) % 3000;
        bool killed = false;
        owner.on_received = [&](std::span<const std::byte> bytes) {
            const std::size_t used = checked.take(bytes);
            left = bytes.size() - used;
            if (checked.records >= until && !std::exchange(killed, true)) ::kill(victim, SIGKILL);
            return used;
        };
        mine.start(owner);
        on.run_until([&] { return owner.end.has_value(); });
        ASSERT_EQ(::waitpid(victim, nullptr, 0), victim);
        ASSERT_EQ(owner.end->code(), errc::io) << owner.end->what();
        ASSERT_EQ(checked.torn, 0u);
        ASSERT_EQ(left, 0u);
        ASSERT_GE(checked.records, shared.count->published.load());
        ASSERT_LE(checked.records, shared.count->started.load());
        ASSERT_EQ(mine.counters().missed_wakeups, 0u);
        records += checked.records;
    }
    EXPECT_EQ(here.files(), std::vector<std::string>{});
    std::cout << kills << " kills, " << records << " records\n";
}

}  // namespace
