// Fairness: whatever one actor does, short of blocking its thread, its neighbours run, its timers fire, its owner is heard.
#include <atomic>
#include <string>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct note {
    int n = 0;
};
struct urgent {
    static constexpr auto lane = coppice::lane::priority;
};
struct tick {};
struct go {};

// These run in a real node on one scheduler: each waits for something that only an unfair scheduler never lets happen;
// the watchdog turns that into a failure.

template <class Message>
struct self_feeding {
    static task<> run(actor<protocol<Message>> self, std::atomic<bool>* over) {
        static_cast<void>(self.template send<Message>(self.me()));
        while (auto m = co_await self.receive()) {
            if (*over) co_return;
            static_cast<void>(self.template send<Message>(self.me()));
        }
    }
};

template <class Message>
void neighbours_run() {
    auto over = std::make_unique<std::atomic<bool>>(false);
    node where{"app", quiet(1)};
    supervisor_spec spec;
    spec.add(child("greedy", in_coroutine, self_feeding<Message>::run, over.get()));
    ASSERT_TRUE(where.start(spec));
    play<protocol<tick>>(
        where,
        [](actor<protocol<tick>> self, std::atomic<bool>* flag) -> task<> {
            for (int i = 0; i < 100; ++i) co_await self.yield();
            self.send_after<tick>(1ms);
            EXPECT_TRUE(co_await self.receive(60s)) << "a timer fires";
            *flag = true;
        },
        over.get());
}

TEST(Fairness, AnActorThatFeedsItselfNormalMailLeavesItsNeighboursTheirTurn) { neighbours_run<go>(); }
TEST(Fairness, AnActorThatFeedsItselfPriorityMailLeavesItsNeighboursTheirTurn) { neighbours_run<urgent>(); }

TEST(Fairness, AnActorThatYieldsForEverLeavesItsNeighboursTheirTurn) {
    node where{"app", quiet(1)};
    supervisor_spec spec;
    spec.add(child("greedy", in_coroutine, [](actor<protocol<go>> self) -> task<> {
        for (;;) co_await self.yield();
    }));
    ASSERT_TRUE(where.start(spec));
    play<protocol<tick>>(where, [](actor<protocol<tick>> self) -> task<> {
        self.send_after<tick>(1ms);
        EXPECT_TRUE(co_await self.receive(60s));
    });
}

TEST(Fairness, AFloodedActorsOwnTimersFire) {
    node where{"app", quiet(1)};
    supervisor_spec spec;
    using flooded_protocol = protocol<note, tick>;
    struct flooded {
        static task<> run(actor<flooded_protocol> self, std::promise<void>* fired) {
            self.send_after<tick>(1ms);
            bool told = false;
            while (auto m = co_await self.receive()) {
                if (m.is<tick>() && !told) {
                    told = true;
                    fired->set_value();
                }
            }
        }
    };
    struct flooding {
        static task<> run(actor<protocol<>> self) {
            auto to = co_await self.resolve<flooded_protocol>("flooded");
            for (;;) {
                for (int i = 0; i < 100; ++i) static_cast<void>(self.send<note>(*to, i));
                co_await self.yield();
            }
        }
    };
    std::promise<void> fired;
    spec.add(child("flooded", in_coroutine, flooded::run, &fired).mailbox(1000));
    for (int i = 0; i < 4; ++i) spec.add(child("flooding" + std::to_string(i), in_coroutine, flooding::run));
    ASSERT_TRUE(where.start(spec));
    fired.get_future().wait();
    where.stop();
    EXPECT_TRUE(where.wait().is_clean()) << "and it shuts down";
}

TEST(Fairness, AMillionChildrenRunDepthFirstAndStarveNobody) {
    // Newly spawned actors run newest first, but alternate with those that were ready before.
    node where{"app", quiet(1)};
    ASSERT_TRUE(where.start(supervisor_spec{}));
    play(where, [](actor<anything> self) -> task<> {
        struct leaf {
            static task<> run(actor<protocol<>>, int* count) {
                ++*count;
                co_return;
            }
        };
        int count = 0;
        int turns = 0;
        auto other = self.spawn(
            [](actor<protocol<>> s, int* t, int* c) -> task<> {
                while (*c < 100'000) {
                    ++*t;
                    co_await s.yield();
                }
            },
            &turns, &count);
        while (turns == 0) co_await self.yield();
        for (int i = 0; i < 100'000; ++i) {
            self.spawn(leaf::run, &count);
            if (i % 1000 == 0) co_await self.yield();
        }
        while (count < 100'000) co_await self.yield();
        EXPECT_GT(turns, 50);
        static_cast<void>(other);
        co_await self.sleep(1ms);
    });
}

}  // namespace
}  // namespace coppice::tests
