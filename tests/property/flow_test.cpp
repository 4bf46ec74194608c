// A flow against a path that loses, repeats and cuts: what was appended comes out once, in order, whatever happens, and
// never more is under way than was granted. Seeded; a failing seed is printed.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/flow.hpp"

namespace coppice::tests {
namespace {

struct packet {
    std::uint64_t number = 0;
    std::vector<std::byte> bytes;
};
struct answer {
    std::uint64_t number = 0;
    net::amount credit;
    bool resume = false;
};

std::size_t size_of(std::uint64_t number, std::uint64_t seed) {
    return 8 * (1 + (number * 0x9e3779b97f4a7c15ull ^ seed) % 200);
}

std::byte byte_of(std::uint64_t number, std::size_t at) {
    return static_cast<std::byte>((number * 31 + at) & 0xff);
}

// One direction of a path: keeps order, like a link; a cut loses all that is on it.
template <class T>
struct path {
    std::deque<T> on_it;
    void cut() { on_it.clear(); }
};

struct wishes {
    double lose;
    double repeat;
    double cut;
    std::uint64_t window_records = 1'000'000;  // so many that bytes are what is short
};

void play_flow(std::uint64_t seed, wishes w, std::uint64_t wanted) {
    std::mt19937_64 random{seed};
    const auto chance = [&](double p) { return std::uniform_real_distribution<>{0, 1}(random) < p; };
    const net::amount window{16 * 1024, w.window_records};
    net::outgoing out{64 * 1024, window};
    net::incoming in{window};
    path<packet> there;
    path<answer> back;
    std::uint64_t appended = 0;
    std::uint64_t delivered = 0;
    std::deque<std::size_t> held;  // received, not consumed
    // The model of the credit, kept by counting: what went out for the first time, and the most that the receiver has told.
    net::amount out_once;
    net::amount granted = window;
    std::uint64_t idle = 0;
    for (std::uint64_t step = 0; delivered < wanted; ++step) {
        ASSERT_LT(step, wanted * 2000) << "it does not come to an end";
        const std::uint64_t before = delivered;
        if (appended < wanted && chance(0.5)) {
            const std::size_t n = size_of(appended + 1, seed);
            // Some with a tail that lies elsewhere.
            const std::size_t head = n >= 16 && chance(0.4) ? 8 : n;
            auto tail = std::make_shared<std::vector<std::byte>>(n - head);
            for (std::size_t i = head; i < n; ++i) (*tail)[i - head] = byte_of(appended + 1, i);
            if (std::byte* at =
                    head == n ? out.records().append(n) : out.records().append(head, *tail, tail)) {
                ++appended;
                ASSERT_EQ(out.records().next() - 1, appended);
                for (std::size_t i = 0; i < head; ++i) at[i] = byte_of(appended, i);
            } else {
                EXPECT_GT(out.records().bytes(), 60u * 1024);
            }
        }
        if (out.may_send() && chance(0.7)) {
            const auto record = out.records().next_unsent();
            packet p{out.records().unsent(), {record.head.begin(), record.head.end()}};
            p.bytes.insert(p.bytes.end(), record.tail.begin(), record.tail.end());
            out.sent();
            if (p.number > out_once.records) {
                out_once.bytes += p.bytes.size();
                out_once.records = p.number;
                ASSERT_LE(out_once.bytes, granted.bytes) << "more bytes than were granted";
                ASSERT_LE(out_once.records, granted.records) << "more records than were granted";
            }
            if (chance(w.repeat)) there.on_it.push_back(p);
            if (!chance(w.lose)) there.on_it.push_back(std::move(p));
        }
        if (!there.on_it.empty() && chance(0.7)) {
            const packet p = std::move(there.on_it.front());
            there.on_it.pop_front();
            const auto verdict = in.arrive(p.number, p.bytes.size());
            if (verdict == net::incoming::verdict::take) {
                ASSERT_EQ(p.number, delivered + 1);
                ASSERT_EQ(p.bytes.size(), size_of(p.number, seed));
                for (std::size_t i = 0; i < p.bytes.size(); ++i) ASSERT_EQ(p.bytes[i], byte_of(p.number, i));
                ++delivered;
                held.push_back(p.bytes.size());
                ASSERT_FALSE(in.overdrawn()) << "more under way than was granted";
                ASSERT_EQ(in.held().records, held.size());
            } else if (verdict == net::incoming::verdict::repeated) {
                ASSERT_LE(p.number, delivered);
            } else {
                ASSERT_GT(p.number, delivered + 1);
                back.on_it.push_back({in.received(), in.credit(), true});
            }
        }
        if (!held.empty() && chance(0.6)) {
            in.consumed({held.front(), 1});
            held.pop_front();
        }
        if (in.owes_acknowledgement() && chance(in.owes_much() ? 0.5 : 0.05)) {
            back.on_it.push_back({in.received(), in.credit(), false});
            in.told();
            if (chance(w.lose)) back.on_it.pop_back();
        }
        if (!back.on_it.empty() && chance(0.7)) {
            const answer a = back.on_it.front();
            back.on_it.pop_front();
            granted.bytes = std::max(granted.bytes, a.credit.bytes);
            granted.records = std::max(granted.records, a.credit.records);
            ASSERT_TRUE(out.acknowledged(a.number, a.credit));
            if (a.resume) out.rewind();
        }
        const bool cut = chance(w.cut);
        if (cut) {
            there.cut();
            back.cut();
        }
        idle = delivered == before ? idle + 1 : 0;
        if (cut || idle % 400 == 399) {  // the link is back, or silence: both tell where they are
            back.on_it.push_back({in.received(), in.credit(), true});
            in.told();
        }
    }
    EXPECT_EQ(delivered, wanted);
    ASSERT_TRUE(out.acknowledged(in.received(), in.credit()));
    EXPECT_FALSE(out.outstanding());
    EXPECT_EQ(out.records().bytes(), 0u);
}

template <class F>
void over_seeds(std::uint64_t count, F run) {
    const char* one = std::getenv("COPPICE_SEED");
    const std::uint64_t first = one ? std::strtoull(one, nullptr, 10) : 1;
    for (std::uint64_t seed = first; seed < (one ? first + 1 : count + 1); ++seed) {
        SCOPED_TRACE("replay with COPPICE_SEED=" + std::to_string(seed));
        run(seed);
        if (::testing::Test::HasFatalFailure()) return;
    }
}

TEST(Flow, DeliversOnceAndInOrderOverAPathThatLosesAndRepeats) {
    over_seeds(60, [](std::uint64_t seed) { play_flow(seed, {0.05, 0.05, 0}, 2000); });
}

TEST(Flow, DeliversOnceAndInOrderOverAPathThatIsCut) {
    over_seeds(60, [](std::uint64_t seed) { play_flow(seed, {0, 0, 0.002}, 2000); });
}

TEST(Flow, DeliversOnceAndInOrderWithEverythingAtOnce) {
    over_seeds(60, [](std::uint64_t seed) { play_flow(seed, {0.2, 0.2, 0.01}, 500); });
}

TEST(Flow, DeliversOnceAndInOrderWhereMessagesAreShortRatherThanBytes) {
    over_seeds(60, [](std::uint64_t seed) { play_flow(seed, {0.05, 0.05, 0.005, 1 + seed % 9}, 500); });
}

TEST(Flow, SendsNoMoreRecordsThanWereGrantedHoweverSmallTheyAre) {
    net::outgoing out{64 * 1024, {64 * 1024, 3}};
    for (int i = 0; i < 10; ++i) ASSERT_NE(out.records().append(8), nullptr);
    std::uint64_t went = 0;
    for (; out.may_send(); ++went) out.sent();
    EXPECT_EQ(went, 3u);
    EXPECT_TRUE(out.starved());
    EXPECT_EQ(out.credit_left(), (net::amount{64 * 1024 - 24, 0}));
    ASSERT_TRUE(out.acknowledged(2, {64 * 1024, 5}));
    for (; out.may_send(); ++went) out.sent();
    EXPECT_EQ(went, 5u);
    out.rewind();  // repetitions are not counted
    for (; out.may_send(); ++went) out.sent();
    EXPECT_EQ(went, 8u);
}

TEST(Flow, SeesAPeerThatSendsMoreRecordsThanItWasGranted) {
    net::incoming in{{64 * 1024, 3}};
    for (std::uint64_t n = 1; n <= 3; ++n) ASSERT_EQ(in.arrive(n, 8), net::incoming::verdict::take);
    EXPECT_FALSE(in.overdrawn());
    in.consumed({8, 1});
    ASSERT_EQ(in.arrive(4, 8), net::incoming::verdict::take);
    EXPECT_FALSE(in.overdrawn());
    ASSERT_EQ(in.arrive(5, 8), net::incoming::verdict::take);
    EXPECT_TRUE(in.overdrawn());
}

TEST(Flow, KeepsWhatWasGrantedWhenAnOlderWordComesAfterIt) {
    net::outgoing out{1 << 20, {1024, 8}};
    for (int i = 0; i < 4; ++i) {
        ASSERT_NE(out.records().append(64), nullptr);
        out.sent();
    }
    ASSERT_TRUE(out.acknowledged(2, {4096, 32}));
    const net::amount granted = out.credit_left();
    ASSERT_TRUE(out.acknowledged(2, {2048, 16})) << "of the same number, said earlier";
    EXPECT_EQ(out.credit_left(), granted);
    ASSERT_TRUE(out.acknowledged(1, {1024, 8})) << "of an older number";
    EXPECT_EQ(out.credit_left(), granted);
    EXPECT_EQ(granted, (net::amount{4096 - 4 * 64, 32 - 4}));
}

TEST(Flow, DoesNotBelieveAnAcknowledgementOfWhatWasNeverAppended) {
    net::outgoing out{1024, {1024, 100}};
    ASSERT_NE(out.records().append(64), nullptr);
    EXPECT_FALSE(out.acknowledged(2, {1024, 100}));
    EXPECT_TRUE(out.acknowledged(0, {1024, 100}));
}

TEST(Flow, TakesOneRecordOfAnySizeIntoAnEmptyQueue) {
    net::record_queue q{1024};
    std::byte* at = q.append(1 << 20);
    ASSERT_NE(at, nullptr);
    std::memset(at, 7, 1 << 20);
    EXPECT_EQ(q.append(8), nullptr);
    q.sent();
    EXPECT_EQ(q.drop(2), std::size_t{1 << 20});
    EXPECT_NE(q.append(8), nullptr);
}

}  // namespace
}  // namespace coppice::tests
