// Histograms of durations: against exact sorted values, added up, read while another thread writes, and as a peer may have made them up.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/latency.hpp"
#include "turn_meter.hpp"

namespace coppice::tests {
namespace {

using histogram = latency_histogram;
using std::chrono::nanoseconds;

constexpr std::int64_t second = 1'000'000'000;

/// From a nanosecond to what the last bucket but one holds, as often short as long.
std::vector<std::int64_t> some_durations(std::mt19937_64& random, std::size_t count) {
    std::vector<std::int64_t> all(count);
    for (auto& each : all) {
        const auto bits = random() % histogram::highest_power;
        each = static_cast<std::int64_t>((std::uint64_t{1} << bits) |
                                         (random() & ((std::uint64_t{1} << bits) - 1)));
    }
    return all;
}
histogram of(const std::vector<std::int64_t>& all) {
    histogram h;
    for (const std::int64_t each : all) h.add(each);
    return h;
}

TEST(LatencyHistogram, HasBucketsThatMeetAndAreAtMostAQuarterWide) {
    EXPECT_EQ(histogram::longest_of(0), 128);
    EXPECT_EQ(histogram::bucket_of(-5), 0u);
    EXPECT_EQ(histogram::bucket_of(0), 0u);
    for (std::size_t b = 0; b + 1 < histogram::buckets; ++b) {
        const std::int64_t longest = histogram::longest_of(b);
        EXPECT_EQ(histogram::bucket_of(longest), b) << "a bucket holds its upper bound";
        EXPECT_EQ(histogram::bucket_of(longest + 1), b + 1);
        if (b > 0) {
            EXPECT_LE(4 * (longest - histogram::longest_of(b - 1)), histogram::longest_of(b - 1));
        }
    }
    EXPECT_GT(histogram::longest_of(histogram::buckets - 2), 100 * second);
    EXPECT_EQ(histogram::bucket_of(std::numeric_limits<std::int64_t>::max()), histogram::buckets - 1);
}

TEST(LatencyHistogram, GivesTheQuantilesOfTheSortedValuesAtMostAQuarterAbove) {
    std::mt19937_64 random{7};
    for (int round = 0; round < 300; ++round) {
        std::vector<std::int64_t> all = some_durations(random, 1 + random() % 2000);
        const histogram h = of(all);
        std::sort(all.begin(), all.end());
        EXPECT_EQ(h.total(), all.size());
        EXPECT_EQ(h.longest().count(), all.back());
        for (const double share : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
            const auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(all.size())));
            const std::int64_t exact = all[std::max<std::size_t>(rank, 1) - 1];
            const std::int64_t told = h.quantile(share).count();
            ASSERT_GE(told, exact) << share << " of " << all.size();
            ASSERT_LE(told, std::max<std::int64_t>(exact + exact / 4, 128)) << share << " of " << all.size();
        }
    }
}

TEST(LatencyHistogram, OfTwoHalvesAddedIsThatOfTheWhole) {
    std::mt19937_64 random{11};
    for (int round = 0; round < 100; ++round) {
        const auto one = some_durations(random, random() % 50);
        const auto two = some_durations(random, random() % 50);
        std::vector<std::int64_t> both = one;
        both.insert(both.end(), two.begin(), two.end());
        histogram sum = of(one);
        sum.add(of(two));
        const histogram whole = of(both);
        EXPECT_EQ(sum.first, whole.first);
        EXPECT_EQ(sum.counts, whole.counts);
        EXPECT_EQ(sum.samples, both.size());
        EXPECT_EQ(sum.sum_ns, whole.sum_ns);
        EXPECT_EQ(sum.max_ns, whole.max_ns);
        const histogram rest = whole.since(of(one));
        for (std::size_t b = 0; b < histogram::buckets; ++b) ASSERT_EQ(rest.at(b), of(two).at(b));
        EXPECT_EQ(of(one).since(whole).total(), of(one).total() - (two.empty() ? one.size() : 0))
            << "what counted more before is another one";
    }
}

TEST(LatencyHistogram, OfAPeerIsReadWithoutTrust) {
    histogram made_up;
    made_up.first = 4'000'000'000u;
    made_up.counts.assign(500, 1);
    EXPECT_EQ(made_up.total(), 0u);
    EXPECT_EQ(made_up.quantile(0.5).count(), 0);
    made_up.first = 100;
    made_up.max_ns = made_up.sum_ns = made_up.samples = std::numeric_limits<std::uint64_t>::max();
    made_up.counts.assign(500, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(made_up.total(), std::numeric_limits<std::uint64_t>::max()) << "sums stop at the most there is";
    EXPECT_GE(made_up.quantile(0.99).count(), 0);
    histogram h = of({100, 200});
    h.add(made_up);
    EXPECT_EQ(h.at(0), 1u);
    EXPECT_LE(h.counts.size(), histogram::buckets);
    EXPECT_GE(h.quantile(1.0).count(), 0);
    EXPECT_EQ(h.quantile(std::nan("")).count(), h.quantile(std::nan("")).count()) << "no crash";
}

TEST(LatencyHistogram, CountsAllThatSeveralThreadsWriteWhileItIsRead) {
    detail::live_histogram live;
    constexpr std::uint64_t each = 20'000;
    std::vector<std::thread> writers;
    for (int t = 0; t < 3; ++t)
        writers.emplace_back([&live, t] {
            for (std::uint64_t i = 0; i < each; ++i) live.add(static_cast<std::int64_t>(i << t), 2);
        });
    std::uint64_t before = 0;
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t seen = live.read().total();
        EXPECT_GE(seen, before);
        before = seen;
    }
    for (auto& t : writers) t.join();
    const histogram h = live.read();
    EXPECT_EQ(h.total(), 3 * 2 * each);
    EXPECT_EQ(h.samples, 3 * each);
    EXPECT_EQ(h.sum_ns, 2 * (each * (each - 1) / 2) * (1 + 2 + 4));
    EXPECT_EQ(h.max_ns, (each - 1) << 2);
}

// ---- the longest turns

slow_turn turn_of(std::string path, std::int64_t took, std::int64_t at) {
    slow_turn t;
    t.path = std::move(path);
    t.took = nanoseconds{took};
    t.at = nanoseconds{at};
    return t;
}

TEST(SlowTurns, AreTheLongestOneAnActorAndNoMoreThanTheLimit) {
    detail::slow_turns kept;
    for (int i = 1; i <= 100; ++i)
        if (const auto t = turn_of("/app/" + std::to_string(i % 10), i, i); kept.wants(i, i)) kept.keep(t);
    EXPECT_FALSE(kept.wants(90, 100)) << "it would not be one of them";
    const auto seen = kept.read(100);
    ASSERT_EQ(seen.size(), limits::slow_turns);
    for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i].took.count(), static_cast<int>(100 - i));
}

TEST(SlowTurns, AreForgottenAfterTwoWindows) {
    detail::slow_turns kept;
    constexpr std::int64_t window = limits::slow_turn_window.count();
    kept.keep(turn_of("/app/old", 1000, 5));
    EXPECT_EQ(kept.read(window).size(), 1u);
    ASSERT_TRUE(kept.wants(1, window + 5)) << "a new window begins with whatever comes";
    kept.keep(turn_of("/app/new", 1, window + 5));
    ASSERT_EQ(kept.read(window + 6).size(), 2u);
    EXPECT_EQ(kept.read(window + 6)[0].path, "/app/old") << "the one before is told, too";
    kept.keep(turn_of("/app/last", 1, 2 * window + 6));
    const auto seen = kept.read(2 * window + 7);
    EXPECT_TRUE(
        std::none_of(seen.begin(), seen.end(), [](const slow_turn& t) { return t.path == "/app/old"; }));
    EXPECT_TRUE(kept.read(10 * window).empty()) << "nothing was measured for long";
}

}  // namespace
}  // namespace coppice::tests
