// What a node remembers of shortcuts, without nodes: when a relay introduces, which tokens are taken, how often it is tried.
// Time is a number.
#include "net/introductions.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace coppice::net {
namespace {

constexpr std::int64_t second = 1'000'000'000;
constexpr node_id a = 11;
constexpr node_id b = 22;
constexpr node_id c = 33;

TEST(Introductions, HappenOnceAWindowForAPairThatHasExchangedEnoughFrames) {
    introductions all;
    for (int window = 0; window < 3; ++window) {
        all.sweep((window + 1) * limits::shortcut_window.count());
        for (std::uint32_t i = 1; i <= 3 * limits::shortcut_frames; ++i) {
            EXPECT_EQ(all.passed(a, b, 64), i == limits::shortcut_frames) << i;
            if (i < limits::shortcut_frames) EXPECT_FALSE(all.passed(b, a, 64)) << "the other direction";
        }
    }
}

TEST(Introductions, HappenForFewFramesThatAreLarge) {
    introductions all;
    EXPECT_FALSE(all.passed(a, b, limits::shortcut_bytes - 1));
    EXPECT_FALSE(all.passed(a, c, limits::shortcut_bytes - 1));
    EXPECT_TRUE(all.passed(a, b, 1));
}

TEST(Introductions, ForgetWhatWasExchangedInAnEarlierWindow) {
    introductions all;
    all.sweep(limits::shortcut_window.count());
    for (std::uint32_t i = 1; i < limits::shortcut_frames; ++i) EXPECT_FALSE(all.passed(a, b, 64));
    all.sweep(2 * limits::shortcut_window.count() - 1);
    all.sweep(2 * limits::shortcut_window.count());
    EXPECT_FALSE(all.passed(a, b, 64));
}

TEST(Introductions, CountForBoundedlyManyPairs) {
    introductions all;
    for (node_id n = 1; n <= limits::shortcut_pairs; ++n) EXPECT_FALSE(all.passed(n, b, 64));
    EXPECT_FALSE(all.passed(limits::shortcut_pairs + 1, b, limits::shortcut_bytes)) << "one too many";
    EXPECT_TRUE(all.passed(1, b, limits::shortcut_bytes));
}

TEST(Introductions, TakeATokenOnceAndFromTheNodeThatItIsForOnly) {
    introductions all;
    const token t = all.expect(a, 0);
    EXPECT_NE(t, token{});
    EXPECT_TRUE(all.expects(a));
    EXPECT_EQ(all.redeem(b, t, 1).error().code(), errc::denied);
    EXPECT_TRUE(all.redeem(a, t, 1));
    EXPECT_FALSE(all.expects(a));
    const auto again = all.redeem(a, t, 2);
    EXPECT_EQ(again.error().code(), errc::denied);
    EXPECT_EQ(again.error().text(), "no shortcut was offered to this node");
}

TEST(Introductions, RefuseAnotherTokenAndStillTakeTheRightOne) {
    introductions all;
    const token mine = all.expect(a, 0);
    const token other = all.expect(b, 0);
    EXPECT_NE(mine, other);
    for (const token& wrong : {other, token{}}) {
        const auto refused = all.redeem(a, wrong, 1);
        EXPECT_EQ(refused.error().code(), errc::denied);
        EXPECT_EQ(refused.error().text(), "the token is not that of the shortcut that was offered");
    }
    EXPECT_TRUE(all.redeem(a, mine, 1));
}

TEST(Introductions, RefuseATokenAfterItsTimeAndOneThatANewerOfferHasReplaced) {
    introductions all;
    const token old = all.expect(a, 0);
    EXPECT_TRUE(all.redeem(a, old, limits::shortcut_offer.count()));
    const token late = all.expect(a, 0);
    const auto refused = all.redeem(a, late, limits::shortcut_offer.count() + 1);
    EXPECT_EQ(refused.error().code(), errc::denied);
    EXPECT_EQ(refused.error().text(), "the offer of a shortcut is too old");
    const token first = all.expect(a, 0);
    const token second_one = all.expect(a, 0);
    EXPECT_FALSE(all.redeem(a, first, 1));
    EXPECT_TRUE(all.redeem(a, second_one, 1));
    static_cast<void>(all.expect(a, 0));
    all.sweep(limits::shortcut_offer.count() + 1);
    EXPECT_EQ(all.expected(), 0u);
}

TEST(Introductions, AreRepeatedLaterAndLaterUntilOneWorks) {
    introductions all;
    std::int64_t now = 0;
    std::int64_t last = -1;
    std::int64_t gap = 0;
    int offers = 0;
    for (; now < 12 * 3600 * second; now += second) {
        all.sweep(now);
        if (!all.may_offer(a, now)) continue;
        ++offers;
        if (last >= 0) {
            EXPECT_GE(now - last, limits::shortcut_retry.count());
            EXPECT_GE(now - last, gap) << "sooner than before";
            gap = now - last;
        }
        last = now;
    }
    EXPECT_GE(offers, 15);
    EXPECT_LE(offers, 25);
    EXPECT_EQ(gap, limits::shortcut_longest_retry.count());
    EXPECT_TRUE(all.may_offer(b, now)) << "another node";
    EXPECT_FALSE(all.may_offer(a, now));
    all.worked(a);
    EXPECT_TRUE(all.may_offer(a, now));
}

TEST(Introductions, FollowOffersAtAPaceOfTheirOwnSoThatNobodyIsMadeToDialAtWill) {
    introductions all;
    EXPECT_TRUE(all.may_offer(a, 0));
    int followed = 0;
    for (std::int64_t now = 0; now < 60 * second; now += second / 10) followed += all.may_follow(a, now);
    EXPECT_GE(followed, 2);
    EXPECT_LE(followed, 5);
}

TEST(Introductions, RememberThePaceOfBoundedlyManyNodes) {
    introductions all;
    for (node_id n = 1; n <= limits::shortcut_pairs; ++n) EXPECT_TRUE(all.may_follow(n, 0));
    EXPECT_FALSE(all.may_follow(limits::shortcut_pairs + 1, 0));
    all.sweep(3600 * second);
    EXPECT_TRUE(all.may_follow(limits::shortcut_pairs + 1, 3600 * second));
}

}  // namespace
}  // namespace coppice::net
