// When a place without a link is dialled again.
#include "net/retry.hpp"

#include <gtest/gtest.h>

namespace coppice::net {
namespace {

using namespace std::chrono_literals;
using ended = retry::ended;

constexpr std::int64_t start = 1'000'000'000;
constexpr std::uint64_t highest = UINT64_MAX;

// The waits that a thousand dice give lie between these two.
struct span {
    retry::duration least = retry::duration::max();
    retry::duration most = retry::duration::min();
};
span waits(const retry& of, ended how, std::int64_t now) {
    span seen;
    for (std::uint64_t dice = 0; dice < 1000; ++dice) {
        retry copy = of;
        const auto wait = copy.after(how, now, dice * (highest / 1000));
        seen.least = std::min(seen.least, wait);
        seen.most = std::max(seen.most, wait);
    }
    return seen;
}

TEST(Retry, DialsAtOnceAfterALinkThatStood) {
    retry r;
    r.up();
    EXPECT_EQ(r.after(ended::cut, start, highest), 0ns);
}

TEST(Retry, WaitsForAShareOfTheTimeThatTheOtherSideWasAway) {
    retry r;
    r.after(ended::cut, start, 0);
    for (const auto away : {1ms, 100ms, 500ms, 2000ms, 10'000ms, 200'000ms}) {
        const auto most = std::max<retry::duration>(retry::duration{away} / retry::share, retry::shortest);
        const span seen = waits(r, ended::unreachable, start + std::chrono::nanoseconds{away}.count());
        EXPECT_GE(seen.least, most / 2) << away.count();
        EXPECT_LE(seen.most, most) << away.count();
        EXPECT_GT(seen.most - seen.least, most / 3) << "without jitter all come back at one moment";
    }
    EXPECT_LT(waits(r, ended::unreachable, start + std::chrono::nanoseconds{2s}.count()).most, 8ms);
}

TEST(Retry, NeverWaitsForLongerThanASecond) {
    retry r;
    r.after(ended::unreachable, start, 0);
    EXPECT_LE(waits(r, ended::unreachable, start + std::chrono::nanoseconds{24h}.count()).most,
              retry::longest);
    for (int i = 0; i < 40; ++i) EXPECT_LE(r.after(ended::refused, start, highest), retry::longest);
}

TEST(Retry, LeavesWhoRefusesAloneForTwiceAsLongEachTime) {
    retry r;
    for (retry::duration most = retry::shortest; most < retry::longest; most *= 2) {
        const span seen = waits(r, ended::refused, start);
        EXPECT_GE(seen.least, most / 2);
        EXPECT_LE(seen.most, most);
        r.after(ended::refused, start, 0);
    }
}

TEST(Retry, BeginsAnewOnceThereIsALink) {
    retry r;
    for (int i = 0; i < 40; ++i) r.after(ended::refused, start, 0);
    r.after(ended::unreachable, start, 0);
    const std::int64_t later = start + std::chrono::nanoseconds{10min}.count();
    ASSERT_GT(waits(r, ended::unreachable, later).least, retry::shortest);
    ASSERT_GT(waits(r, ended::refused, later).least, retry::shortest);
    r.up();
    EXPECT_LE(waits(r, ended::unreachable, later).most, retry::shortest);
    EXPECT_LE(waits(r, ended::refused, later).most, retry::shortest);
}

TEST(Retry, HasMorePatienceWithAnAttemptTheLongerNobodyIsReached) {
    retry r;
    EXPECT_EQ(r.patience(start), retry::least_patience);
    r.after(ended::unreachable, start, 0);
    EXPECT_EQ(r.patience(start), retry::least_patience);
    EXPECT_EQ(r.patience(start + std::chrono::nanoseconds{3s}.count()), 3s);
    EXPECT_EQ(r.patience(start + std::chrono::nanoseconds{1h}.count()), retry::most_patience);
    r.up();
    EXPECT_EQ(r.patience(start + std::chrono::nanoseconds{1h}.count()), retry::least_patience);
}

}  // namespace
}  // namespace coppice::net
