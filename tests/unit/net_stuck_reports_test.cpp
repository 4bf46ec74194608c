// How often the log says that something is stuck.
#include "net/stuck_reports.hpp"

#include <gtest/gtest.h>

namespace coppice::net {
namespace {

using line = stuck_reports::line;

constexpr std::int64_t second = 1'000'000'000;
constexpr std::int64_t between = limits::stuck_report.count();

TEST(StuckReports, SayTheFirstTimeAndItsEndAtOnce) {
    stuck_reports r;
    EXPECT_EQ(r.look(false, 0), line::none);
    EXPECT_EQ(r.look(true, 5 * second), line::stuck);
    EXPECT_EQ(r.left_out(), 0u);
    EXPECT_EQ(r.look(true, 6 * second), line::none);
    EXPECT_EQ(r.look(false, 7 * second), line::goes_on);
    EXPECT_EQ(r.look(false, 8 * second), line::none);
}

TEST(StuckReports, AreTwoLinesAMinuteForOneThatTogglesAndTellHowManyWereLeftOut) {
    stuck_reports r;
    int said = 0;
    std::uint64_t left_out = 0;
    constexpr int times = 10 * 60;
    for (int n = 0; n < times; ++n) {
        said += r.look(true, n * second) == line::stuck;
        if (n > 0 && n % 60 == 0) left_out += r.left_out();
        said += r.look(false, n * second + second / 2) == line::goes_on;
    }
    EXPECT_EQ(said, 20);
    EXPECT_EQ(left_out, 9u * 59);
}

TEST(StuckReports, SayOneThatStaysStuckWhenTheTimeHasPassed) {
    stuck_reports r;
    EXPECT_EQ(r.look(true, second), line::stuck);
    EXPECT_EQ(r.look(false, 2 * second), line::goes_on);
    for (std::int64_t now = 3 * second; now < second + between; now += second)
        EXPECT_EQ(r.look(true, now), line::none);
    EXPECT_EQ(r.look(true, second + between), line::stuck);
    EXPECT_EQ(r.left_out(), 0u) << "it is this one that was not said until now";
    EXPECT_EQ(r.look(false, second + between + 1), line::goes_on);
}

}  // namespace
}  // namespace coppice::net
