// Timers that send, and sleep: never early, in order, at a fixed rate, ahead of a flood, gone with their owner.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using clock = std::chrono::steady_clock;

struct tick {
    int n = 0;
};
struct flood {
    int n = 0;
};
using ticking = protocol<tick, flood>;

TEST(Timer, FiresOnceAndNeverEarly) {
    for_each_seed(200, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            const auto delay =
                std::chrono::nanoseconds{static_cast<std::int64_t>(self.random() % 5'000'000'000)};
            const auto before = self.now();
            self.send_after<tick>(delay, 1);
            auto m = co_await self.receive(100s);
            REQUIRE_OR_END(m);
            EXPECT_GE(self.now() - before, delay);
            EXPECT_EQ(m->get_if<tick>()->n, 1);
            EXPECT_EQ((co_await self.receive(100s)).error(), errc::timeout) << "once";
        });
    });
}

TEST(Timer, RefusesAPeriodThatIsNotPositive) {
    for_each_seed(5, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            EXPECT_THROW(self.send_every<tick>(0ns, 1), std::invalid_argument);
            EXPECT_THROW(self.send_every<tick>(-1s, 1), std::invalid_argument);
            co_return;
        });
    });
}

TEST(Timer, SleepIsNeverEarlyEvenOfZero) {
    for_each_seed(100, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            for (const auto d : {0ns, 1ns, 65535ns, 65536ns, 65537ns, 1'000'000ns, 3'600'000'000'000ns}) {
                const auto before = self.now();
                co_await self.sleep(d);
                EXPECT_GE(self.now() - before, d);
            }
        });
    });
}

TEST(Timer, ThoseWithEarlierDeadlinesComeFirstAndEqualOnesInTheOrderOfSetting) {
    for_each_seed(200, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            struct set {
                std::chrono::nanoseconds at;
                int n;
            };
            std::vector<set> timers;
            for (int i = 0; i < 40; ++i) {
                timers.push_back(
                    {std::chrono::milliseconds{static_cast<std::int64_t>(self.random() % 10)}, i});
                self.send_after<tick>(timers.back().at, i);
            }
            std::sort(timers.begin(), timers.end(),
                      [](const set& x, const set& y) { return x.at != y.at ? x.at < y.at : x.n < y.n; });
            for (const set& expected : timers) {
                auto m = co_await self.receive(10s);
                REQUIRE_OR_END(m);
                EXPECT_EQ(m->get_if<tick>()->n, expected.n);
            }
        });
    });
}

TEST(Timer, APeriodicOneKeepsItsRateAndSkipsWhatWasMissed) {
    for_each_seed(100, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            const auto before = self.now();
            auto t = self.send_every<tick>(100ms, 1);
            for (int i = 1; i <= 20; ++i) {
                REQUIRE_OR_END(co_await self.receive(10s));
                EXPECT_GE(self.now() - before, i * 100ms);
                EXPECT_LT(self.now() - before, (i + 1) * 100ms) << "virtual time: the rate is fixed";
            }
            t.cancel();
            EXPECT_EQ((co_await self.receive(10s)).error(), errc::timeout);
        });
    });
}

TEST(Timer, ACancelledOneSendsNothing) {
    for_each_seed(100, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            auto t = self.send_after<tick>(100ms, 1);
            auto u = self.send_after<tick>(200ms, 2);
            co_await self.sleep(50ms);
            t.cancel();
            t.cancel();  // has no effect
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            EXPECT_EQ(m->get_if<tick>()->n, 2);
            u.cancel();  // it has fired: no effect
            EXPECT_EQ((co_await self.receive(10s)).error(), errc::timeout);
        });
    });
}

TEST(Timer, EndsWithItsOwner) {
    for_each_seed(100, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            struct setter {
                static task<> run(actor<protocol<tick>> s, ref<ticking> to) {
                    s.send_every<tick>(to, 100ms, 1);
                    s.send_after<tick>(to, 10s, 2);
                    co_await s.sleep(350ms);
                }
            };
            self.spawn(setter::run, self.me());
            int n = 0;
            while (auto m = co_await self.receive(100s)) ++n;
            EXPECT_EQ(n, 3);
        });
    });
}

TEST(Timer, OfAnIncarnationDoesNotReachTheNext) {
    for_each_seed(100, [](testing::world& world) {
        struct fragile {
            static task<> run(actor<ticking> self, std::vector<int>* seen) {
                self.send_every<tick>(100ms, static_cast<int>(self.incarnation()));
                for (int i = 0; i < 3; ++i) {
                    auto m = co_await self.receive();
                    if (!m) co_return;
                    seen->push_back(m.get_if<tick>()->n);
                }
                if (self.incarnation() == 1) throw std::runtime_error{"once"};
                while (auto m = co_await self.receive()) seen->push_back(m.get_if<tick>()->n);
            }
        };
        std::vector<int> seen;
        supervisor_spec spec;
        spec.add(child("fragile", in_coroutine, fragile::run, &seen));
        ASSERT_TRUE(world.start(spec));
        world.advance(1s);
        ASSERT_GE(seen.size(), 8u);
        EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), 3);
        EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    });
}

TEST(Timer, ComesThroughAFullMailbox) {
    for_each_seed(50, [](testing::world& world) {
        struct swamped {
            static task<> run(actor<ticking> self, int* ticks) {
                for (int i = 0; i < 4; ++i) static_cast<void>(self.send<flood>(self.me(), i));
                self.send_after<tick>(1s, 1);
                co_await self.sleep(2s);
                auto m = co_await self.receive();
                if (m && m.is<tick>()) ++*ticks;
                co_await self.sleep(1000s);
            }
        };
        int ticks = 0;
        supervisor_spec spec;
        spec.add(child("swamped", in_coroutine, swamped::run, &ticks).mailbox(4));
        ASSERT_TRUE(world.start(spec));
        world.advance(10s);
        EXPECT_EQ(ticks, 1) << "timer mail comes in the priority lane";
    });
}

TEST(Timer, ANegativeDelayIsRefused) {
    testing::world world{1};
    play<ticking>(world, [](actor<ticking> self) -> task<> {
        EXPECT_THROW(self.send_after<tick>(-1ns, 1), std::invalid_argument);
        EXPECT_THROW(self.send_every<tick>(-1s, 1), std::invalid_argument);
        co_return;
    });
}

TEST(Timer, ToAnActorThatHasEndedIsADeadLetterAndTheOwnerLives) {
    for_each_seed(50, [](testing::world& world) {
        play<ticking>(world, [](actor<ticking> self) -> task<> {
            auto gone = self.spawn([](actor<ticking>) -> task<> { co_return; });
            self.send_after<tick>(gone, 1s, 1);
            co_await self.sleep(2s);
        });
        EXPECT_EQ(world.inspect().dead_letter_count, 1u);
    });
}

TEST(Timer, InARealNodeIsNotEarlyEither) {
    node where{"app", quiet(2)};
    ASSERT_TRUE(where.start(supervisor_spec{}));
    play<ticking>(where, [](actor<ticking> self) -> task<> {
        for (const auto d : {1us, 500us, 1500us, 20000us}) {
            const auto before = clock::now();
            self.send_after<tick>(d, 1);
            REQUIRE_OR_END(co_await self.receive(10s));
            EXPECT_GE(clock::now() - before, d);
            const auto then = clock::now();
            co_await self.sleep(d);
            EXPECT_GE(clock::now() - then, d);
        }
    });
}

}  // namespace
}  // namespace coppice::tests
