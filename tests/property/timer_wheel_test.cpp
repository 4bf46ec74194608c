// The timing wheel against a sorted list: whatever is added, cancelled and expired, both give the same timers in the same
// order, over deadlines from nanoseconds to centuries.
#include "timer_wheel.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using detail::timer_list;
using detail::timer_node;
using detail::timer_wheel;

struct model_timer {
    std::int64_t when;
    std::uint64_t order;
    timer_node* node;
};

class model {
public:
    void add(timer_node* t) { timers_.push_back({t->when, ++order_, t}); }
    void cancel(const timer_node* t) {
        std::erase_if(timers_, [&](const model_timer& m) { return m.node == t; });
    }
    std::vector<timer_node*> expire(std::int64_t now) {
        std::vector<model_timer> due;
        for (const auto& m : timers_)
            if (m.when <= now) due.push_back(m);
        std::erase_if(timers_, [&](const model_timer& m) { return m.when <= now; });
        std::sort(due.begin(), due.end(), [](const auto& x, const auto& y) {
            return x.when != y.when ? x.when < y.when : x.order < y.order;
        });
        std::vector<timer_node*> nodes;
        for (const auto& m : due) nodes.push_back(m.node);
        return nodes;
    }
    [[nodiscard]] std::int64_t next() const {
        std::int64_t first = timer_wheel::never;
        for (const auto& m : timers_) first = std::min(first, m.when);
        return first;
    }
    [[nodiscard]] const std::vector<model_timer>& timers() const { return timers_; }

private:
    std::vector<model_timer> timers_;
    std::uint64_t order_ = 0;
};

class generator {
public:
    explicit generator(std::uint64_t seed) : engine_{seed} {}
    std::uint64_t below(std::uint64_t n) { return engine_() % n; }
    /// As often short as long: the number of bits is drawn first.
    std::int64_t duration(int most_bits) {
        const auto bits = below(static_cast<std::uint64_t>(most_bits) + 1);
        return static_cast<std::int64_t>(bits == 0 ? 0 : engine_() & ((std::uint64_t{1} << bits) - 1));
    }

private:
    std::mt19937_64 engine_;
};

void hold_against_the_model(std::uint64_t seed, int most_bits, int steps) {
    ::testing::ScopedTrace trace{__FILE__, __LINE__, "replay with COPPICE_SEED=" + std::to_string(seed)};
    generator random{seed};
    std::int64_t now = random.duration(most_bits);
    timer_wheel wheel{now};
    model naive;
    std::vector<std::unique_ptr<timer_node>> nodes;
    for (int step = 0; step < steps; ++step) {
        const auto what = random.below(10);
        if (what < 5) {
            nodes.push_back(std::make_unique<timer_node>());
            timer_node* t = nodes.back().get();
            const std::int64_t ahead = random.duration(most_bits);
            t->when = ahead > timer_wheel::never - 1 - now ? timer_wheel::never - 1 : now + ahead;
            if (random.below(20) == 0)
                t->when = std::max<std::int64_t>(0, now - random.duration(20));  // in the past already
            if (random.below(10) == 0 && !naive.timers().empty())
                t->when = naive.timers()[random.below(naive.timers().size())].when;  // a tie
            naive.add(t);
            wheel.add(t);
        } else if (what < 7) {
            if (naive.timers().empty()) continue;
            timer_node* t = naive.timers()[random.below(naive.timers().size())].node;
            naive.cancel(t);
            t->unlink();
            t->order = 0;
        } else {
            const std::int64_t next = wheel.next();
            ASSERT_EQ(next == timer_wheel::never, naive.next() == timer_wheel::never);
            ASSERT_LE(next, std::max(now, naive.next())) << "a wake-up that comes after a deadline is late";
            // To the time that the wheel names, or anywhere.
            const std::int64_t step_ahead = random.duration(most_bits);
            std::int64_t to =
                step_ahead > timer_wheel::never - 1 - now ? timer_wheel::never - 1 : now + step_ahead;
            if (what == 7 && next != timer_wheel::never) to = std::max(now, next);
            now = to;
            timer_list due;
            wheel.expire(now, due);
            const auto expected = naive.expire(now);
            for (timer_node* t : expected) {
                ASSERT_FALSE(due.empty()) << "one is missing";
                ASSERT_EQ(due.pop_front(), t);
            }
            ASSERT_TRUE(due.empty()) << "one too many";
        }
    }
    // What is left comes out by following next() alone, in a bounded number of wake-ups.
    for (int wakes = 0; !naive.timers().empty(); ++wakes) {
        ASSERT_LT(wakes, 100'000);
        now = std::max(now, wheel.next());
        timer_list due;
        wheel.expire(now, due);
        for (timer_node* t : naive.expire(now)) ASSERT_EQ(due.pop_front(), t);
        ASSERT_TRUE(due.empty());
    }
    EXPECT_EQ(wheel.next(), timer_wheel::never);
}

void many(int most_bits) {
    if (const std::uint64_t only = seed_to_replay()) return hold_against_the_model(only, most_bits, 400);
    for (std::uint64_t seed = 1; seed <= 1000 && !::testing::Test::HasFailure(); ++seed)
        hold_against_the_model(seed, most_bits, 400);
}

TEST(TimerWheel, EqualsASortedListWithinMilliseconds) { many(22); }
TEST(TimerWheel, EqualsASortedListWithinHours) { many(42); }
TEST(TimerWheel, EqualsASortedListBeyondThreeDays) { many(52); }
TEST(TimerWheel, EqualsASortedListOverCenturies) { many(62); }

TEST(TimerWheel, FiresAtTheVeryNanosecondOfADeadlineAndNotOneBefore) {
    for (const std::int64_t when :
         {std::int64_t{1}, std::int64_t{65535}, std::int64_t{65536}, std::int64_t{1} << 22,
          (std::int64_t{1} << 48) + 1, (std::int64_t{1} << 58) - 1, timer_wheel::never - 1}) {
        timer_wheel wheel{0};
        timer_node t;
        t.when = when;
        wheel.add(&t);
        timer_list due;
        wheel.expire(when - 1, due);
        EXPECT_TRUE(due.empty()) << when;
        wheel.expire(when, due);
        ASSERT_FALSE(due.empty()) << when;
        EXPECT_EQ(due.pop_front(), &t);
    }
}

}  // namespace
}  // namespace coppice::tests
