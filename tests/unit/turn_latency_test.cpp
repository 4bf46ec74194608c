// What a scheduler tells of its turns: exact figures on virtual time, and lower bounds on real threads.
#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct work {
    std::chrono::nanoseconds takes{0};
};
struct work_done {
    using reply = void;
};
using worker_protocol = protocol<work, work_done>;

// On virtual time: it works for as long as it is told.
task<> worker(actor<worker_protocol> self, testing::world* world) {
    while (auto m = co_await self.receive())
        m.match([&](const work& w) { world->take_time(w.takes); }, [](request<work_done> r) { r.reply(); });
}

latency_info all_of(const node_info& seen) {
    latency_info all;
    for (const scheduler_info& s : seen.schedulers) {
        all.turns.add(s.latency.turns);
        all.delays.add(s.latency.delays);
        all.slowest.insert(all.slowest.end(), s.latency.slowest.begin(), s.latency.slowest.end());
    }
    std::sort(all.slowest.begin(), all.slowest.end(),
              [](const slow_turn& a, const slow_turn& b) { return a.took > b.took; });
    return all;
}
latency_info all_of(testing::world& world) { return all_of(world.inspect()); }

// ---------------------------------------------------------------- on virtual time

TEST(TurnLatency, HandlersAreSeenToTakeAsLongAsTheyDo) {
    for_each_seed(200, [](testing::world& world) {
        supervisor_spec spec;
        for (const char* name : {"quick", "slow", "idle"})
            spec.add(child(name, in_coroutine, worker, &world));
        ASSERT_TRUE(world.start(std::move(spec)));
        const auto quick = *world.resolve<worker_protocol>("/app/quick");
        const auto slow = *world.resolve<worker_protocol>("/app/slow");
        for (int i = 0; i < 99; ++i) {
            world.send<work>(quick, 1ms);
            world.run_until_idle();
        }
        const latency_info before = all_of(world);
        world.send<work>(slow, 70ms);
        world.run_until_idle();
        const latency_info seen = all_of(world);
        EXPECT_EQ(seen.turns.longest(), 70ms);
        EXPECT_EQ(seen.turns.sum_ns, 99u * 1'000'000 + 70'000'000);
        EXPECT_EQ(seen.turns.samples, seen.turns.total())
            << "of virtual time there is enough: all are measured";
        const latency_histogram last = seen.turns.since(before.turns);
        EXPECT_EQ(last.sum_ns, 70'000'000u);
        EXPECT_EQ(last.quantile(1.0), 70ms);
        const auto of_a_ms = latency_histogram::bucket_of(1'000'000);
        EXPECT_EQ(seen.turns.at(of_a_ms), 99u);
        ASSERT_GE(seen.slowest.size(), 2u);
        EXPECT_EQ(seen.slowest[0].path, "/app/slow");
        EXPECT_EQ(seen.slowest[0].took, 70ms);
        EXPECT_EQ(seen.slowest[0].message, message_name<work>);
        EXPECT_EQ(seen.slowest[0].messages, 1u);
        EXPECT_EQ(seen.slowest[0].at, world.now().time_since_epoch());
        EXPECT_EQ(seen.slowest[1].path, "/app/quick");
    });
}

// Tells another and then works on: the other one is ready for as long.
task<> teller(actor<protocol<work>> self, testing::world* world, ref<worker_protocol> other) {
    while (auto m = co_await self.receive())
        m.match([&](const work& w) {
            self.send<work>(other, 0ns);
            world->take_time(w.takes);
        });
}

TEST(TurnLatency, AnActorThatIsMadeReadyWhileAnotherWorksOnIsSeenToBeginLate) {
    for_each_seed(200, {.schedulers = 1}, [](testing::world& world) {
        supervisor_spec spec;
        spec.add(child("other", in_coroutine, worker, &world));
        ASSERT_TRUE(world.start(std::move(spec)));
        const auto other = *world.resolve<worker_protocol>("/app/other");
        play(
            world,
            [](actor<anything> self, testing::world* w, ref<worker_protocol> to) -> task<> {
                auto t = co_await self.start(child("teller", in_coroutine, teller, w, to));
                REQUIRE_OR_END(t);
                self.send<work>(t->assume<protocol<work>>(), 40ms);
                co_await self.sleep(1s);
            },
            &world, other);
        EXPECT_EQ(all_of(world).delays.longest(), 40ms);
    });
}

TEST(TurnLatency, MailOfAnotherThreadCountsFromWhenItWasSent) {
    for_each_seed(200, {.schedulers = 1}, [](testing::world& world) {
        supervisor_spec spec;
        spec.add(child("worker", in_coroutine, worker, &world));
        ASSERT_TRUE(world.start(std::move(spec)));
        const auto w = *world.resolve<worker_protocol>("/app/worker");
        world.send<work>(w, 0ns);
        world.run_until_idle();
        world.wedge("/app/worker");
        world.send<work>(w, 0ns);
        world.advance(250ms);
        world.unwedge("/app/worker");
        world.run_until_idle();
        EXPECT_EQ(all_of(world).delays.longest(), 250ms);
    });
}

TEST(TurnLatency, IsTheSameForTheSameSeed) {
    const auto run = [](std::uint64_t seed) {
        testing::world world{seed, {.schedulers = 2}};
        supervisor_spec spec;
        for (std::uint32_t i = 0; i < 4; ++i)
            spec.add(child("w" + std::to_string(i), on_scheduler(i % 2), worker, &world));
        EXPECT_TRUE(world.start(std::move(spec)));
        for (int i = 0; i < 100; ++i)
            world.send<work>(*world.resolve<worker_protocol>("/app/w" + std::to_string(i % 4)),
                             std::chrono::microseconds{i * i});
        world.advance(1s);
        latency_info seen = all_of(world);
        EXPECT_TRUE(world.finish().empty());
        return seen;
    };
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const latency_info one = run(seed);
        const latency_info two = run(seed);
        EXPECT_EQ(one.turns.counts, two.turns.counts);
        EXPECT_EQ(one.delays.counts, two.delays.counts);
        EXPECT_EQ(one.delays.sum_ns, two.delays.sum_ns);
        EXPECT_GT(one.delays.total(), 0u);
    }
}

// It ends in the turn that is measured.
task<> ends_at_once(actor<protocol<>> self, testing::world* world) {
    world->take_time(90ms);
    static_cast<void>(self);
    co_return;
}

TEST(TurnLatency, OfAnActorThatEndsInItsTurnIsToldByItsParentsName) {
    for_each_seed(50, {.schedulers = 1}, [](testing::world& world) {
        supervisor_spec spec;
        spec.add(child(
            "parent", in_coroutine,
            [](actor<protocol<>> self, testing::world* w) -> task<> {
                self.spawn(ends_at_once, w);
                co_await self.sleep(1h);
            },
            &world));
        ASSERT_TRUE(world.start(std::move(spec)));
        world.run_until_idle();
        const latency_info seen = all_of(world);
        ASSERT_FALSE(seen.slowest.empty());
        EXPECT_EQ(seen.slowest[0].took, 90ms);
        EXPECT_TRUE(seen.slowest[0].path.starts_with("/app/parent/$")) << seen.slowest[0].path;
    });
}

// ---------------------------------------------------------------- on real threads

struct block {
    std::chrono::milliseconds and_longer{0};
    std::shared_ptr<std::promise<void>> entered{};
    std::shared_future<void> until{};
};
struct poke {
    using reply = void;
};
using blocker_protocol = protocol<block, poke>;

// Blocks until it is told, and then for as long as it is told: what an actor must not do.
task<> blocker(actor<blocker_protocol> self) {
    while (auto m = co_await self.receive())
        m.match(
            [&](const block& b) {
                if (b.entered) b.entered->set_value();
                if (b.until.valid()) b.until.wait();
                const auto end = std::chrono::steady_clock::now() + b.and_longer;
                while (std::chrono::steady_clock::now() < end) std::this_thread::sleep_until(end);
            },
            [](request<poke> r) { r.reply(); });
}

TEST(TurnLatency, OfAHandlerThatBlocksIsSeenWithItsNameAndWithWhoHadToWait) {
    node where{"app", quiet(1)};
    supervisor_spec spec;
    for (const char* name : {"blocker", "waits"}) spec.add(child(name, in_coroutine, blocker));
    ASSERT_TRUE(where.start(std::move(spec)));
    const auto blocks = *where.resolve<blocker_protocol>("blocker");
    const auto waits = *where.resolve<blocker_protocol>("waits");
    latency_info told;
    // Not every turn is measured when some came at once before it: again, until one has been.
    while (told.turns.longest() < 100ms || told.delays.longest() < 100ms) {
        auto entered = std::make_shared<std::promise<void>>();
        std::promise<void> sent;
        ASSERT_EQ(where.send<block>(blocks, 50ms, entered, sent.get_future().share()), errc::ok);
        entered->get_future().wait();
        ASSERT_EQ(where.send<block>(waits, 0ms), errc::ok);
        // The scheduler does not answer now, and yet the figures are there.
        const node_info blocked = where.inspect(50ms);
        sent.set_value();
        ASSERT_EQ(blocked.schedulers.size(), 1u);
        EXPECT_FALSE(blocked.schedulers[0].answered);
        EXPECT_GT(blocked.schedulers[0].latency.turns.total(), 0u);
        ASSERT_TRUE(where.ask<poke>(waits, 60s));
        const node_info seen = where.inspect(60s);
        EXPECT_EQ(seen.threads.turns.total(), 0u);
        told = seen.schedulers.at(0).latency;
    }
    ASSERT_FALSE(told.slowest.empty());
    EXPECT_EQ(told.slowest[0].path, "/app/blocker");
    EXPECT_EQ(told.slowest[0].message, message_name<block>);
    EXPECT_GE(told.slowest[0].took, 100ms);
}

TEST(TurnLatency, OfActorsInThreadsIsToldOfAllTogetherAlsoWhenTheyHaveEnded) {
    node where{"app", quiet(1)};
    supervisor_spec spec;
    for (const char* name : {"one", "two"}) spec.add(child(name, in_thread, blocker));
    auto root = where.start(std::move(spec));
    ASSERT_TRUE(root);
    const auto told_of = [&] { return where.inspect(60s).threads; };
    for (std::size_t i = 0; i < 2; ++i) {
        const std::string name = i == 0 ? "one" : "two";
        const auto b = *where.resolve<blocker_protocol>(name);
        const auto is_told = [&] {
            const auto slowest = told_of().slowest;
            return std::any_of(slowest.begin(), slowest.end(), [&](const slow_turn& t) {
                return t.path == "/app/" + name && t.took >= 20ms;
            });
        };
        while (!is_told()) {
            ASSERT_EQ(where.send<block>(b, 20ms), errc::ok);
            ASSERT_TRUE(where.ask<poke>(b, 60s));
        }
    }
    ASSERT_TRUE(where.ask<terminate_child>(*root, 60s, std::string{"one"}));
    EXPECT_GE(told_of().turns.sum_ns, 2u * 20'000'000);
    ASSERT_EQ(told_of().slowest.size(), 2u);
    const node_info seen = where.inspect(60s);
    const auto& others = seen.schedulers.at(0).latency.slowest;
    EXPECT_TRUE(std::none_of(others.begin(), others.end(), [](const slow_turn& t) {
        return t.path == "/app/one" || t.path == "/app/two";
    })) << "theirs are not the shared scheduler's";
    for (std::size_t i = 1; i < seen.schedulers.size(); ++i)
        EXPECT_EQ(seen.schedulers[i].latency.turns.total(), 0u);
}

task<> yields(actor<protocol<poke>> self) {
    while (auto m = co_await self.receive()) {
        auto r = m.take<poke>();
        for (int i = 0; i < 300'000; ++i) co_await self.yield();
        if (r) r.reply();
    }
}

TEST(TurnLatency, OfMillionsOfTurnsMeasuresFewAndCountsAll) {
    node where{"app", quiet(1)};
    supervisor_spec spec;
    spec.add(child("yields", in_coroutine, yields));
    ASSERT_TRUE(where.start(std::move(spec)));
    ASSERT_TRUE(where.ask<poke>(*where.resolve<protocol<poke>>("yields"), 300s));
    const node_info seen = where.inspect(60s);
    const latency_histogram& turns = seen.schedulers.at(0).latency.turns;
    EXPECT_LT(turns.samples, turns.total() / 2);
    // In the mean each stands for as many as it is counted for.
    EXPECT_GT(turns.total(), 100'000u);
    EXPECT_LT(turns.total(), 900'000u);
}

}  // namespace
}  // namespace coppice::tests
