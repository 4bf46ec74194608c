// Links of shared memory: delivery, sleeping and waking, ends, and peers that write what cannot be.
// Both ends mostly live on one reactor; where threads or processes matter, they have their own.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::tests;
using namespace std::chrono_literals;
using shm::ring_link;

std::vector<std::byte> pattern(std::size_t size, std::uint64_t seed) {
    std::vector<std::byte> bytes(size);
    for (auto& b : bytes) b = static_cast<std::byte>(next_random(seed));
    return bytes;
}

// Sends all of `bytes` through a link whose recorder this is, as room comes.
void send_all(ring_link& through, recorder& owner, std::span<const std::byte> bytes) {
    auto left = std::make_shared<std::span<const std::byte>>(bytes);
    owner.on_writable = [&through, left] { write_some(through, *left); };
    write_some(through, *left);
}

TEST(ShmLink, DeliversBytesBothWaysInOrderThroughRingsSmallerThanThem) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    ends.acceptor->start(b);
    const auto forth = pattern(1'000'003, 1);
    const auto back = pattern(777'777, 2);
    send_all(*ends.connector, a, forth);
    send_all(*ends.acceptor, b, back);
    on.run_until([&] { return a.bytes.size() >= back.size() && b.bytes.size() >= forth.size(); });
    EXPECT_TRUE(a.bytes == back);
    EXPECT_TRUE(b.bytes == forth);
    EXPECT_GT(a.times_writable, 0u);
}

TEST(ShmLink, ShowsAgainWhatWasNotUsedTogetherWithWhatFollows) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    std::vector<std::size_t> shown;
    std::string seen;
    b.on_received = [&](std::span<const std::byte> bytes) -> std::size_t {
        shown.push_back(bytes.size());
        if (bytes.size() < 10) return 0;
        seen.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        return 4;
    };
    ends.connector->start(a);
    ends.acceptor->start(b);
    ASSERT_TRUE(write_text(*ends.connector, "01234"));
    on.run_ready();
    ASSERT_TRUE(write_text(*ends.connector, "56789"));
    on.run_ready();
    EXPECT_EQ(shown, (std::vector<std::size_t>{5, 10}));
    EXPECT_EQ(seen, "0123456789");
    ASSERT_TRUE(write_text(*ends.connector, "abcd"));
    on.run_ready();
    EXPECT_EQ(seen, "456789abcd");
}

TEST(ShmLink, SendsAFullBatchWithoutAFlushAndTheRestWithIt) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    ends.acceptor->start(b);
    ASSERT_GE(ends.connector->reserve(8).size(), 8u);
    ends.connector->commit(8);
    on.run_ready();
    EXPECT_TRUE(b.bytes.empty());
    EXPECT_EQ(ends.connector->unsent(), 8u);
    ASSERT_GE(ends.connector->reserve(1024).size(), 1024u);
    ends.connector->commit(1024);
    on.run_ready();
    EXPECT_EQ(b.bytes.size(), 1032u);
    EXPECT_EQ(ends.connector->unsent(), 0u);
}

TEST(ShmLink, GrantsRoomForItsLongestReservationOnceTheReaderHasUsedAllButOneByteLess) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    const std::size_t most = ends.connector->max_reserve();
    ASSERT_GE(most, 1024u);
    b.on_received = [&](std::span<const std::byte> bytes) { return bytes.size() < most ? 0 : bytes.size(); };
    ends.connector->start(a);
    ends.acceptor->start(b);
    for (int round = 0; round < 100; ++round) {
        // Two pieces of one record: the reader holds on to the first.
        ASSERT_FALSE(ends.connector->reserve(most).empty()) << round;
        ends.connector->commit(most - 1);
        ends.connector->flush();
        on.run_ready();
        ASSERT_FALSE(ends.connector->reserve(most).empty()) << round;
        ends.connector->commit(1);
        ends.connector->flush();
        on.run_ready();
    }
}

TEST(ShmLink, ShowsAFullRingInPartsSoThatItsWriterGoesOnMeanwhile) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    const std::size_t ring = ends.connector->max_reserve() * 2;
    std::vector<std::size_t> shown;
    std::size_t written = 0;
    const auto write_all_there_is_room_for = [&] {
        while (written < 4 * ring && !ends.connector->reserve(8).empty()) {
            ends.connector->commit(8);
            written += 8;
        }
        ends.connector->flush();
    };
    a.on_writable = write_all_there_is_room_for;
    b.on_received = [&](std::span<const std::byte> bytes) {
        shown.push_back(bytes.size());
        return bytes.size();
    };
    ends.connector->start(a);
    ends.acceptor->start(b);
    write_all_there_is_room_for();
    EXPECT_EQ(written, ring);
    on.run_until([&] { return std::accumulate(shown.begin(), shown.end(), std::size_t{0}) == 4 * ring; });
    EXPECT_LE(*std::ranges::max_element(shown), ring / 8);
}

// ---------------------------------------------------------------- S2

std::chrono::nanoseconds processor_time() {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return std::chrono::seconds{t.tv_sec} + std::chrono::nanoseconds{t.tv_nsec};
}

TEST(Shm, S2_AReaderWithoutDataAndAWriterWithoutRoomSleepAndAreWoken) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    // The acceptor does not read yet: the ring fills up.
    while (!ends.connector->reserve(1024).empty()) ends.connector->commit(1024);
    const auto before = processor_time();
    on.run_for(300ms);
    EXPECT_LT(processor_time() - before, 150ms) << "it spins";
    EXPECT_EQ(a.times_writable, 0u);
    ends.acceptor->start(b);
    on.run_until([&] { return b.bytes.size() == 4096; });
    EXPECT_EQ(a.times_writable, 1u);
    const auto idle = processor_time();
    on.run_for(300ms);
    EXPECT_LT(processor_time() - idle, 150ms) << "it spins";
    ASSERT_TRUE(write_text(*ends.connector, "woken"));
    on.run_until([&] { return b.bytes.size() == 4096 + 5; });
    EXPECT_EQ(ring_link::missed_wakeups(), 0u);
}

TEST(Shm, S2_AMessageOfNoBytesIsDelivered) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    std::vector<std::uint64_t> lengths;  // of messages with a head of 8 bytes that has their length
    b.on_received = [&](std::span<const std::byte> bytes) {
        std::size_t used = 0;
        while (bytes.size() - used >= 8) {
            std::uint64_t length = 0;
            std::memcpy(&length, bytes.data() + used, 8);
            if (bytes.size() - used - 8 < length) break;
            lengths.push_back(length);
            used += 8 + length;
        }
        return used;
    };
    ends.connector->start(a);
    ends.acceptor->start(b);
    on.run_ready();
    for (const std::uint64_t length : {0u, 16u, 0u}) {
        auto room = ends.connector->reserve(8 + length);
        ASSERT_GE(room.size(), 8 + length);
        std::memcpy(room.data(), &length, 8);
        ends.connector->commit(8 + length);
    }
    ends.connector->commit(0);
    ends.connector->flush();
    on.run_until([&] { return lengths.size() == 3; });
    EXPECT_EQ(lengths, (std::vector<std::uint64_t>{0, 16, 0}));
}

// Two threads, each with its reactor and its end.
template <class Body>
void on_two_threads(std::uint64_t ring, Body body) {
    io_reactor one;
    io_reactor two;
    joined_links ends{one, two, ring};
    std::thread other{[&] { body(two, *ends.acceptor, false); }};
    body(one, *ends.connector, true);
    other.join();
}

TEST(Shm, S2_TwoThreadsThatOnlySleepAndWakeEachOtherLoseNoWake) {
#ifdef COPPICE_SANITIZED
    constexpr int rounds = 2'000;
#else
    constexpr int rounds = 20'000;
#endif
    on_two_threads(4096, [](io_reactor& on, ring_link& mine, bool begins) {
        recorder owner;
        int count = 0;
        const auto say = [&] {
            const auto room = mine.reserve(8);
            ASSERT_FALSE(room.empty());
            std::memset(room.data(), count & 127, 8);
            mine.commit(8);
            mine.flush();
        };
        owner.on_received = [&](std::span<const std::byte> bytes) -> std::size_t {
            if (bytes.size() < 8) return 0;
            ++count;
            if (begins ? count < rounds : count <= rounds) say();
            return 8;
        };
        mine.start(owner);
        if (begins) say();
        on.run_until([&] { return count == rounds; });
        EXPECT_FALSE(owner.end);
        EXPECT_EQ(mine.counters().missed_wakeups, 0u);
    });
}

TEST(Shm, S2_AWriterThatAlwaysFillsTheRingAndAReaderThatAlwaysEmptiesItLoseNoWake) {
#ifdef COPPICE_SANITIZED
    constexpr std::size_t total = 4 << 20;
#else
    constexpr std::size_t total = 64 << 20;
#endif
    on_two_threads(4096, [&](io_reactor& on, ring_link& mine, bool begins) {
        recorder owner;
        std::size_t done = 0;
        const auto fill = [&] {
            while (done < total) {
                const auto room = mine.reserve(8);
                if (room.empty()) return;
                const std::size_t n = std::min(room.size(), total - done);
                for (std::size_t i = 0; i < n; ++i) room[i] = static_cast<std::byte>((done + i) * 13 >> 3);
                mine.commit(n);
                done += n;
            }
            mine.flush();
        };
        std::size_t wrong = 0;
        owner.on_writable = fill;
        owner.on_received = [&](std::span<const std::byte> bytes) {
            for (const std::byte b : bytes) wrong += b != static_cast<std::byte>(done++ * 13 >> 3);
            return bytes.size();
        };
        mine.start(owner);
        if (begins) fill();
        on.run_until([&] { return done == total || owner.end; });
        EXPECT_EQ(wrong, 0u);
        EXPECT_EQ(done, total);
        EXPECT_EQ(mine.counters().missed_wakeups, 0u);
    });
}

// ---------------------------------------------------------------- S4

TEST(Shm, S4_ClosingWakesAReaderAndAWriterThatSleepAndBothGetClosed) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    while (!ends.connector->reserve(1024).empty())
        ends.connector->commit(1024);  // it waits for room and for data
    on.run_for(10ms);
    ends.acceptor->close();
    on.run_until([&] { return a.end.has_value(); });
    EXPECT_EQ(a.end->code(), errc::closed) << a.end->what();
    EXPECT_FALSE(b.end) << "who closes hears nothing more";
    EXPECT_TRUE(ends.connector->reserve(8).empty());
    EXPECT_EQ(on.pollers(), 0u);
}

TEST(Shm, S4_WhatWasFlushedBeforeTheCloseIsStillShown) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    ends.acceptor->start(b);
    on.run_ready();
    ASSERT_TRUE(write_text(*ends.connector, "last words"));
    ends.connector->close();
    ends.connector->close();
    on.run_until([&] { return b.end.has_value(); });
    EXPECT_EQ(text_of(b.bytes), "last words");
    EXPECT_EQ(b.end->code(), errc::closed);
}

TEST(Shm, S4_WhatAPeerSentBeforeTheLinkWasStartedAndLeftIsShownFirst) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    ASSERT_TRUE(write_text(*ends.connector, "early"));
    ends.connector.reset();
    ends.acceptor->start(b);
    on.run_until([&] { return b.end.has_value(); });
    EXPECT_EQ(text_of(b.bytes), "early");
    EXPECT_EQ(b.end->code(), errc::closed);
}

TEST(Shm, S4_AnOwnerMayCloseTheLinkWithinAnyEvent) {
    io_reactor on;
    {
        joined_links ends{on};
        recorder a;
        recorder b;
        int shown = 0;
        b.on_received = [&](std::span<const std::byte>) -> std::size_t {
            ++shown;
            ends.acceptor->close();
            return 3;
        };
        ends.connector->start(a);
        ends.acceptor->start(b);
        write_text(*ends.connector, "12345");
        on.run_until([&] { return a.end.has_value(); });
        EXPECT_EQ(shown, 1);
        EXPECT_FALSE(b.end);
    }
    {
        joined_links ends{on};
        recorder a;
        recorder b;
        a.on_writable = [&] { ends.connector->close(); };
        ends.connector->start(a);
        while (!ends.connector->reserve(1024).empty()) ends.connector->commit(1024);
        ends.acceptor->start(b);
        on.run_until([&] { return b.end.has_value(); });
        EXPECT_EQ(b.bytes.size(), 4096u);
        EXPECT_FALSE(a.end);
    }
    EXPECT_EQ(on.pollers(), 0u);
}

TEST(Shm, S4_TheSocketsEndWithoutAWordIsADeath) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    ends.connector->start(a);
    ::shutdown(ends.acceptor_socket, SHUT_RDWR);
    on.run_until([&] { return a.end.has_value(); });
    EXPECT_EQ(a.end->code(), errc::io);
    EXPECT_NE(a.end->text().find("died"), std::string_view::npos) << a.end->what();
}

// ---------------------------------------------------------------- S10: hostile words, and bells

struct hostile {
    const char* what;
    void (*write)(shm::segment_header&);
    const char* text;
};

TEST(Shm, S10_AnImpossibleWordEndsTheLinkWithItsReasonAndThePeerIsToldThatItWasBrokenOff) {
    // Written to the words of the connector's link, whose ring 0 has 2,000 bytes published and 1,000 of ring 1 shown.
    const hostile cases[] = {
        {"tail too far", [](shm::segment_header& h) { h.ring[1].tail.value = 1000 + 4097; },
         "writing position"},
        {"tail back", [](shm::segment_header& h) { h.ring[1].tail.value = 992; }, "writing position"},
        {"tail wild", [](shm::segment_header& h) { h.ring[1].tail.value = ~std::uint64_t{0}; },
         "writing position"},
        {"head too far", [](shm::segment_header& h) { h.ring[0].head.value = 4097; }, "reading position"},
        {"head wild", [](shm::segment_header& h) { h.ring[0].head.value = ~std::uint64_t{0} - 7; },
         "reading position"},
    };
    for (const hostile& one : cases) {
        SCOPED_TRACE(one.what);
        io_reactor on;
        joined_links ends{on};
        recorder a;
        recorder b;
        ends.connector->start(a);
        while (!ends.connector->reserve(1024).empty())
            ends.connector->commit(1024);  // it looks at both positions
        ends.hand.header().ring[1].tail.value = 1000;
        on.run_ready();
        ASSERT_EQ(a.bytes.size(), 1000u);
        one.write(ends.hand.header());
        on.run_until([&] { return a.end.has_value(); });
        EXPECT_EQ(a.end->code(), errc::bad_message);
        EXPECT_NE(a.end->text().find(one.text), std::string_view::npos) << a.end->what();
        EXPECT_EQ(a.bytes.size(), 1000u) << "nothing of it was shown";
        // The other end: its own positions are private, so it notices the end only.
        ends.acceptor->start(b);
        on.run_until([&] { return b.end.has_value(); });
        EXPECT_EQ(b.end->code(), errc::io) << b.end->what();
    }
}

TEST(Shm, S10_APeerThatOnlyRingsIsLeft) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    ends.connector->start(a);
    const char bells[200] = {};
    std::size_t sent = 0;
    on.run_until([&] {
        const ssize_t n = ::send(ends.acceptor_socket, bells, sizeof bells, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) sent += static_cast<std::size_t>(n);
        return a.end.has_value();
    });
    EXPECT_EQ(a.end->code(), errc::bad_message);
    EXPECT_NE(a.end->text().find("bell"), std::string_view::npos) << a.end->what();
    EXPECT_GT(sent, ring_link::most_idle_bells);
}

TEST(Shm, S10_BellsForWaitingFlagsThatNobodySetAreHarmless) {
    io_reactor on;
    joined_links ends{on};
    recorder a;
    recorder b;
    ends.connector->start(a);
    ends.acceptor->start(b);
    for (int n = 0; n < 5000; ++n) {
        ends.hand.header().ring[0].rx_wait.value = ~std::uint32_t{0};
        ends.hand.header().ring[0].tx_wait.value = 77;
        ASSERT_TRUE(write_text(*ends.connector, "12345678"));
        on.run_ready();
    }
    on.run_until([&] { return b.bytes.size() == 40'000; });
    EXPECT_FALSE(a.end);
    EXPECT_FALSE(b.end);
}

}  // namespace
