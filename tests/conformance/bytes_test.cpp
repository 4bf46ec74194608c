// What links carry: every byte, once, in order, whatever the sizes; and how they hold back a writer whose reader does
// not read.
#include <atomic>
#include <future>
#include <thread>

#include "conformance/party.hpp"

namespace coppice::tests {
namespace {

class Carrying : public transport_test {};
INSTANTIATE_TEST_SUITE_P(S14_OnEvery, Carrying, ::testing::ValuesIn(kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Carrying, DeliversMessagesOfZeroTo2048BytesAndOneOf64MiB) {
    join();
    std::size_t next = 0;
    bool large = false;
    message_reader reader;
    constexpr std::size_t most = std::size_t{64} << 20;
    reader.take = [&](const bytes& message) {
        if (next <= 2048) {
            ASSERT_EQ(message, pattern(next, next));
            ++next;
        } else {
            EXPECT_TRUE(message == pattern(most, 64));
            large = true;
        }
    };
    b().receive = [&](std::span<const std::byte> shown) { return reader(shown); };
    bytes all;
    for (std::size_t size = 0; size <= 2048; ++size) append_frames(all, pattern(size, size));
    append_frames(all, pattern(most, 64));
    a().batch = 16 * 1024;
    a().send(all);
    on->run_until([&] { return large || b().end; });
    EXPECT_EQ(next, 2049u);
}

TEST_P(Carrying, DeliversThousandsOfFramesThatAreFlushedOnce) {
    join();
    constexpr std::size_t count = 5000;
    std::uint64_t expected = 0;
    b().receive = [&](std::span<const std::byte> shown) {
        std::size_t used = 0;
        for (; shown.size() - used >= 64; used += 64) {
            std::uint64_t number = 0;
            std::memcpy(&number, shown.data() + used, sizeof number);
            EXPECT_EQ(number, expected++);
        }
        return used;
    };
    std::uint64_t number = 0;
    const auto fill = [&](std::uint64_t until) {
        while (number < until) {
            const auto room = a().reserve(64);
            if (room.empty()) return;
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room.data()) % 8, 0u);
            std::memcpy(room.data(), &number, sizeof number);
            a().commit(64);
            ++number;
        }
        a().flush();
    };
    for (std::uint64_t round = 1; round <= 10; ++round) {
        a().room = [&fill, round] { fill(round * count); };
        fill(round * count);
        on->run_until([&] { return expected == round * count || b().end; });
        ASSERT_EQ(expected, round * count);
    }
    EXPECT_EQ(a().link().unsent(), 0u);
}

TEST_P(Carrying, GrantsAllThatItPromisesAndKeepsItContiguous) {
    join();
    const std::size_t most = a().link().max_reserve();
    ASSERT_GE(most, 1024u);
    const bytes whole = pattern(most, 3);
    for (int n = 0; n < 20; ++n) {
        auto room = a().reserve(most);
        if (room.empty()) {
            on->run_until([&] { return a().writable_events != 0; });
            a().writable_events = 0;
            room = a().reserve(most);
        }
        ASSERT_GE(room.size(), most);
        std::copy(whole.begin(), whole.end(), room.begin());
        a().commit(most);
        a().flush();
    }
    on->run_until([&] { return b().got.size() == 20 * most; });
    for (std::size_t n = 0; n < 20; ++n)
        EXPECT_TRUE(
            std::equal(whole.begin(), whole.end(), b().got.begin() + static_cast<std::ptrdiff_t>(n * most)));
}

TEST_P(Carrying, SendsNothingOfWhatWasReservedAndNotCommitted) {
    join();
    auto room = a().reserve(1000);
    ASSERT_GE(room.size(), 1000u);
    std::memset(room.data(), 'x', 1000);
    a().commit(0);
    room = a().reserve(8);
    std::memset(room.data(), 'y', 8);
    a().commit(3);
    a().flush();
    on->run_until([&] { return !b().got.empty(); });
    on->run_ready();
    EXPECT_EQ(b().got, bytes_of("yyy"));
}

TEST_P(Carrying, ShowsAgainWhatWasNotUsedTogetherWithWhatFollows) {
    join();
    std::size_t shown_last = 0;
    b().receive = [&](std::span<const std::byte> shown) {
        shown_last = shown.size();
        if (shown.size() < 24) return std::size_t{0};
        b().got.assign(shown.begin(), shown.end());
        return shown.size();
    };
    a().send(pattern(8, 1));
    on->run_until([&] { return shown_last == 8; });
    a().send(pattern(8, 2));
    on->run_until([&] { return shown_last == 16; });
    a().send(pattern(8, 3));
    on->run_until([&] { return shown_last == 24; });
    bytes all = pattern(8, 1);
    for (const std::uint64_t salt : {2u, 3u}) {
        const bytes more = pattern(8, salt);
        all.insert(all.end(), more.begin(), more.end());
    }
    EXPECT_EQ(b().got, all);
}

// The bound of what a transport, and the kernel under it, may hold for a reader that does not read.
constexpr std::size_t held_at_most = std::size_t{64} << 20;

TEST_P(Carrying, HoldsBackAWriterWhoseReaderDoesNotReadAndLetsItGoOnLater) {
    listen();
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    a().start();
    a().room = [] {};
    std::uint64_t written = 0;
    const auto fill = [&] {
        for (;;) {
            const auto room = a().reserve(1024);
            if (room.empty()) return;
            const bytes block = pattern(1024, written / 1024);
            std::copy(block.begin(), block.end(), room.begin());
            a().commit(1024);
            written += 1024;
            if (written > held_at_most) return;
        }
    };
    // Whoever reserves in vain gets writable(), as long as the kernel still takes something; in the end it does not.
    do {
        fill();
        on->run_for(std::chrono::milliseconds{20});
    } while (written <= held_at_most && !a().reserve(1024).empty());
    ASSERT_LE(written, held_at_most) << "the writer is never held back";
    EXPECT_GT(a().link().unsent(), 0u);
    EXPECT_LE(a().link().unsent(), std::size_t{2} << 20);

    const std::size_t events = a().writable_events;
    b().start();
    on->run_until([&] { return a().writable_events > events; });
    a().flush();
    on->run_until([&] { return b().got.size() == written; });
    for (std::uint64_t n = 0; n < written / 1024; ++n) {
        const auto from = b().got.begin() + static_cast<std::ptrdiff_t>(n * 1024);
        const bytes block = pattern(1024, n);
        ASSERT_TRUE(std::equal(block.begin(), block.end(), from)) << "block " << n;
    }
    EXPECT_EQ(a().link().unsent(), 0u);
}

// Reserving in vain is enough: who has committed and not flushed is not forgotten.
TEST_P(Carrying, TellsOfRoomEvenIfNobodyFlushes) {
    join();
    a().room = [] {};
    std::size_t written = 0;
    for (int n = 0; n < 50; ++n) {
        for (;;) {
            const auto room = a().reserve(4096);
            if (room.empty()) break;
            a().commit(4096);
            written += 4096;
            if (written % (std::size_t{8} << 20) == 0) break;
        }
        const std::size_t events = a().writable_events;
        if (a().reserve(4096).empty()) on->run_until([&] { return a().writable_events > events; });
    }
    a().flush();
    on->run_until([&] { return b().got.size() == written; });
}

TEST_P(Carrying, EndsALinkWhosePeerSendsWhatCanNeverBeUsed) {
    join();
    b().receive = [](std::span<const std::byte>) { return std::size_t{0}; };
    a().room = [] {};
    bool over = false;
    b().over = [&] { over = true; };
    for (int n = 0; !over && n < 100'000; ++n) {
        for (int i = 0; i < 16 && !a().end; ++i) {
            const auto room = a().reserve(4096);
            if (room.empty()) break;
            std::memset(room.data(), 0, 4096);
            a().commit(4096);
        }
        a().flush();
        on->run_ready();
    }
    ASSERT_TRUE(over);
    EXPECT_EQ(*b().end, errc::bad_message) << b().end->what();
    on->run_until([&] { return a().end.has_value(); });
}

// Both directions at once, each side on a thread of its own, sizes from a seed.
class half_of_a_talk {
public:
    half_of_a_talk(std::uint64_t seed, std::size_t total, std::size_t expected)
        : random_{seed}, total_{total}, expected_{expected} {}

    void attach(std::unique_ptr<byte_link> link) {
        side_ = std::make_unique<party>(std::move(link));
        side_->receive = [this](std::span<const std::byte> shown) {
            // Sometimes less than there is: it comes again with what follows, so not if nothing does.
            const bool last = got_ + shown.size() >= expected_;
            const std::size_t used = random_() % 4 == 0 && !last
                                         ? shown.size() - random_() % (shown.size() / 2 + 1)
                                         : shown.size();
            for (const std::byte b : shown.first(used))
                got_sum_ = (got_sum_ ^ static_cast<std::uint64_t>(b)) * 0x100000001b3u;
            got_ += used;
            return used;
        };
        side_->room = [this] { write(); };
        side_->over = [this] { ended_ = true; };
        side_->start();
    }
    void write() {
        while (written_ < total_) {
            const std::size_t size =
                std::min<std::size_t>(total_ - written_, 1 + random_() % (random_() % 8 ? 300 : 40'000));
            const auto room = side_->reserve(size);
            if (room.empty()) return;
            for (std::size_t i = 0; i < size; ++i) {
                room[i] = static_cast<std::byte>(random_());
                sum_ = (sum_ ^ static_cast<std::uint64_t>(room[i])) * 0x100000001b3u;
            }
            side_->commit(size);
            written_ += size;
            if (random_() % 32 == 0) side_->flush();
        }
        side_->flush();
    }
    [[nodiscard]] bool done() const { return (written_ == total_ && got_ >= expected_) || ended_; }

    std::unique_ptr<party> side_;
    std::mt19937_64 random_;
    std::size_t total_;
    std::size_t expected_;
    std::size_t written_ = 0;
    std::size_t got_ = 0;
    std::uint64_t sum_ = 1;
    std::uint64_t got_sum_ = 1;
    bool ended_ = false;
};

// That the other side has taken the rest is no event here: hence the looks.
void run_until_sent(io_reactor& on, half_of_a_talk& talk) {
    on.run_until([&] { return talk.side_ && talk.done(); });
    while (talk.side_->link().unsent() != 0) on.run_for(std::chrono::milliseconds{1});
}

TEST_P(Carrying, KeepsBothDirectionsRightBetweenTwoThreads) {
    constexpr std::size_t total = std::size_t{3} << 20;
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        half_of_a_talk here{seed, total + 17, total};
        half_of_a_talk there{seed + 1000, total, total + 17};
        // What each side may tell the other thread only once both are through.
        std::atomic<int> through{0};
        std::promise<endpoint> where;
        std::thread other{[&] {
            io_reactor own;
            auto made = k().how->listen(own, k().fresh(), [&](std::unique_ptr<byte_link> link) {
                there.attach(std::move(link));
                there.write();
            });
            where.set_value(made ? k().to((*made)->where()) : endpoint{});
            if (!made) return;
            run_until_sent(own, there);
            ++through;
            while (through != 2) own.run_for(std::chrono::milliseconds{1});
            there.side_.reset();
            own.run_ready();
        }};
        const endpoint to = where.get_future().get();
        auto begun = k().how->connect(*on, to, [&](result<std::unique_ptr<byte_link>> outcome) {
            ASSERT_TRUE(outcome) << outcome.error().what();
            here.attach(std::move(*outcome));
            here.write();
        });
        ASSERT_TRUE(begun) << begun.error().what();
        run_until_sent(*on, here);
        ++through;
        while (through != 2) on->run_for(std::chrono::milliseconds{1});
        other.join();
        EXPECT_EQ(here.got_, there.written_);
        EXPECT_EQ(there.got_, here.written_);
        EXPECT_EQ(here.got_sum_, there.sum_);
        EXPECT_EQ(there.got_sum_, here.sum_);
        here.side_.reset();
    }
}

}  // namespace
}  // namespace coppice::tests
