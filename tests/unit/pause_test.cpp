// Pause and resume: what an actor takes meanwhile, what waits, what ends a pause, and that it is of all that is below.
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/transport/sim.hpp"
#include "support/play.hpp"
#include "support/seeds.hpp"
#include "support/workers.hpp"

namespace coppice::tests {
namespace {

using ::testing::ElementsAre;

struct urgent {
    static constexpr auto lane = coppice::lane::priority;
    int number = 0;
};
struct begin {};
struct question {
    using reply = int;
};
using clerk_protocol = protocol<note, urgent, begin, question>;

// Writes down what it is told.
task<> clerk(actor<clerk_protocol> self, journal log) {
    while (auto m = co_await self.receive())
        m.match([&](const note& n) { log.add("n" + std::to_string(n.number)); },
                [&](const urgent& u) { log.add("u" + std::to_string(u.number)); }, [](const begin&) {},
                [](request<question> r) { r.reply(7); }, [&](const down&) { log.add("down"); });
    log.add("end");
}

result<ref<clerk_protocol>> start_clerk(testing::world& world, const journal& log,
                                        std::uint32_t mailbox = 100) {
    supervisor_spec spec;
    spec.add(child("clerk", in_coroutine, clerk, log).mailbox(mailbox));
    if (const auto started = world.start(std::move(spec)); !started) return started.error();
    return world.resolve<clerk_protocol>("/app/clerk");
}

std::string state(testing::world& world, std::string_view path, std::string_view node = {}) {
    world.run_until_idle();
    const node_info seen = world.inspect(node);
    const actor_info* const a = seen.find(path);
    return a ? a->state : "none";
}

TEST(Pause, HoldsOrdinaryAndUrgentMailAndResumeGoesOnInOrder) {
    for_each_seed(300, [](testing::world& world) {
        const journal log;
        const auto c = start_clerk(world, log);
        ASSERT_TRUE(c);
        world.send<note>(*c, 1);
        world.run_until_idle();
        world.pause(*c);
        EXPECT_EQ(state(world, "/app/clerk"), "paused");
        world.send<note>(*c, 2);
        world.send<urgent>(*c, 3);
        world.send<note>(*c, 4);
        EXPECT_EQ(state(world, "/app/clerk"), "paused");
        EXPECT_EQ(log.taken(), "n1");
        EXPECT_EQ(world.mail("/app/clerk").size(), 3u);
        EXPECT_EQ(world.ask_within<question>(*c, 1s).error(), errc::timeout);
        world.resume(*c);
        EXPECT_EQ(state(world, "/app/clerk"), "receiving");
        EXPECT_EQ(log.taken(), "u3 n2 n4");
        EXPECT_EQ(world.ask<question>(*c).value(), 7);
    });
}

TEST(Pause, ComesBetweenTwoMessagesAlsoWhenTheActorIsReadyForMany) {
    for_each_seed(300, [](testing::world& world) {
        const journal log;
        const auto c = start_clerk(world, log, 1000);
        ASSERT_TRUE(c);
        std::string all;
        for (int i = 0; i < 200; ++i) {
            world.send<note>(*c, i);
            all += (i ? " n" : "n") + std::to_string(i);
        }
        for (std::uint64_t i = 0; i < world.seed() % 20; ++i) world.step();
        world.pause(*c);
        EXPECT_EQ(state(world, "/app/clerk"), "paused");
        const auto before = log.entries().size();
        world.advance(1s);
        EXPECT_EQ(log.entries().size(), before);
        world.resume(*c);
        world.run_until_idle();
        EXPECT_EQ(log.taken(), all);
    });
}

TEST(Pause, KeepsTheBoundOfTheMailboxAndThoseWhoWaitForRoom) {
    for_each_seed(100, [](testing::world& world) {
        const journal log;
        const auto c = start_clerk(world, log, 2);
        ASSERT_TRUE(c);
        world.pause(*c);
        play(
            world,
            [](actor<anything> self, ref<clerk_protocol> who, journal) -> task<> {
                co_await self.yield();
                EXPECT_EQ(self.send<note>(who, 1), errc::ok);
                EXPECT_EQ(self.send<note>(who, 2), errc::ok);
            },
            *c, log);
        world.run_until_idle();
        EXPECT_EQ(world.send<note>(*c, 9), errc::mailbox_full);
        world.run_under_some_root([who = *c](actor<anything> self) {
            return [](actor<anything> me, ref<clerk_protocol> to) -> task<> {
                EXPECT_EQ(co_await me.send_wait<note>(to, 3), errc::ok);
            }(self, who);
        });
        world.run_until_idle();
        EXPECT_EQ(log.taken(), "");
        world.resume(*c);
        world.run_until_idle();
        EXPECT_EQ(log.taken(), "n1 n2 n3");
    });
}

TEST(Pause, SystemMailAndEndsAreNotHeld) {
    for_each_seed(200, [](testing::world& world) {
        const journal log;
        const auto c = start_clerk(world, log);
        ASSERT_TRUE(c);
        world.pause(*c);
        world.send<note>(*c, 1);
        world.run_until_idle();
        // Asked to stop it handles what it has: whoever ends is paused no more.
        world.stop(*c);
        world.run_until_idle();
        EXPECT_EQ(log.taken(), "n1 end");
        // Its supervisor has started it again, and it is paused as before.
        EXPECT_EQ(state(world, "/app/clerk"), "paused");
        EXPECT_EQ(world.restarts("/app/clerk"), 1u);
        world.send<note>(*c, 2);
        world.kill(*c);
        EXPECT_EQ(state(world, "/app/clerk"), "paused");
        EXPECT_EQ(world.restarts("/app/clerk"), 2u);
        EXPECT_EQ(log.taken(), "");
        world.resume(*c);
        world.run_until_idle();
        EXPECT_EQ(log.taken(), "n2");
    });
}

TEST(Pause, ADownIsTakenByAPausedActor) {
    for_each_seed(100, [](testing::world& world) {
        const journal log;
        ASSERT_TRUE(world.start(supervisor_spec{}));
        play(
            world,
            [](actor<anything> self, journal told) -> task<> {
                auto watcher = [](actor<clerk_protocol> me, ref<anything> whom, journal to) -> task<> {
                    me.monitor(whom);
                    while (auto m = co_await me.receive())
                        m.match([&](const note&) { to.add("note"); }, [](const urgent&) {},
                                [](const begin&) {}, [](request<question> r) { r.reply(1); },
                                [&](const down&) { to.add("down"); });
                };
                auto sleeper = [](actor<anything> me) -> task<> { co_await me.sleep(1s); };
                const auto s = self.spawn(sleeper);
                const auto w = self.spawn(watcher, ref<anything>{s}, told);
                self.pause(w);
                self.send<note>(w, 1);
                co_await self.sleep(2s);
                EXPECT_EQ(told.taken(), "down");
                self.resume(w);
                co_await self.sleep(1s);
                EXPECT_EQ(told.taken(), "note");
            },
            log);
    });
}

TEST(Pause, WhatIsUnderWayIsFinishedAndLimitsOfTimeHold) {
    for_each_seed(200, [](testing::world& world) {
        const journal log;
        auto busy = [](actor<clerk_protocol> self, journal to, ref<clerk_protocol> other) -> task<> {
            EXPECT_TRUE(co_await self.receive_only<begin>());
            co_await self.sleep(1s);
            to.add("slept");
            const auto answer = co_await self.ask<question>(other, 10s);
            to.add(answer ? "answered" : "failed");
            const auto none = co_await self.receive(1s);
            to.add(none ? "mail" : none.error() == errc::timeout ? "timeout" : "other");
            const auto chosen = co_await self.receive_only<urgent>(5s);
            to.add(chosen ? "urgent" : "no urgent");
            co_await self.receive();
            to.add("note");
            co_await self.receive();
        };
        const auto other = start_clerk(world, log);
        ASSERT_TRUE(other);
        play(
            world,
            [](actor<anything> self, journal to, ref<clerk_protocol> asked, decltype(busy) body) -> task<> {
                const auto b = self.spawn(body, to, asked);
                self.send<begin>(b);
                co_await self.sleep(1ms);
                self.pause(b);
                self.send<note>(b, 1);
                co_await self.sleep(4s);
                EXPECT_EQ(to.taken(), "slept answered timeout");
                self.send<urgent>(b, 2);
                co_await self.sleep(1s);
                EXPECT_EQ(to.taken(), "");
                self.resume(b);
                co_await self.sleep(1s);
                EXPECT_EQ(to.taken(), "urgent note");
            },
            log, *other, busy);
    });
}

TEST(Pause, HoldsTheReceiveOfABranchAndOfAnOwnTask) {
    for_each_seed(200, [](testing::world& world) {
        const journal log;
        ASSERT_TRUE(world.start(supervisor_spec{}));
        play(
            world,
            [](actor<anything> self, journal to) -> task<> {
                auto body = [](actor<clerk_protocol> me, journal told) -> task<> {
                    auto branch = [](actor<clerk_protocol> mine) -> task<bool> {
                        auto m = co_await mine.receive_only<note>();
                        co_return m.has_value();
                    };
                    auto first = co_await with_timeout(10s, branch(me));
                    told.add(first ? "first" : "late");
                    auto reader = [](actor<clerk_protocol> self_, journal to_) -> task<int> {
                        auto m = co_await self_.receive();
                        to_.add(m ? "task" : "empty");
                        co_return 1;
                    };
                    auto t = me.spawn_task(reader(me, told));
                    static_cast<void>(co_await t.join());
                    co_await me.receive();
                };
                const auto b = self.spawn(body, to);
                co_await self.sleep(1s);
                self.pause(b);
                self.send<note>(b, 1);
                self.send<note>(b, 2);
                co_await self.sleep(1s);
                EXPECT_EQ(to.taken(), "");
                self.resume(b);
                co_await self.sleep(1s);
                EXPECT_EQ(to.taken(), "first task");
                self.kill(b);
            },
            log);
    });
}

// A tree over several schedulers: /app/top/{a, b, inner/c}.
supervisor_spec branching(const journal& log, std::uint32_t schedulers) {
    supervisor_spec inner;
    inner.intensity(100, 1s).add(worker("c", log, {}, on(1, schedulers)));
    supervisor_spec top;
    top.intensity(100, 1s)
        .add(worker("a", log))
        .add(worker("b", log, {}, on(1, schedulers)))
        .add(supervisor("inner", inner, on(2, schedulers)));
    supervisor_spec all;
    all.add(supervisor("top", top)).add(worker("free", log));
    return all;
}

TEST(Pause, OfASupervisorIsOfItsWholeSubtreeWhoeverIsStartedInIt) {
    for_each_seed(200, [](testing::world& world) {
        const journal log;
        ASSERT_TRUE(
            world.start(branching(log, static_cast<std::uint32_t>(world.inspect().schedulers.size()))));
        static_cast<void>(log.taken());
        const auto top = world.resolve<supervisor_protocol>("/app/top");
        ASSERT_TRUE(top);
        world.pause(*top);
        for (const char* path :
             {"/app/top", "/app/top/a", "/app/top/b", "/app/top/inner", "/app/top/inner/c"})
            EXPECT_EQ(state(world, path), "paused") << path;
        EXPECT_EQ(state(world, "/app/free"), "receiving");
        order<note>(world, "/app/top/inner/c", 1);
        order<note>(world, "/app/free", 2);
        EXPECT_EQ(log.taken(), "free1:2");
        // It judges ends and starts children as ever; what it starts is paused.
        const auto c = world.resolve<worker_protocol>("/app/top/inner/c");
        world.kill(*c);
        world.run_until_idle();
        EXPECT_EQ(log.taken(), "!c1 +c2");
        EXPECT_TRUE(
            world.ask<start_child>(*top, worker("new", log, {}, world.seed() % 2 ? in_coroutine : spread)));
        EXPECT_EQ(log.taken(), "+new1");
        order<note>(world, "/app/top/new", 3);
        EXPECT_EQ(log.taken(), "");
        EXPECT_EQ(state(world, "/app/top/new"), "paused");
        world.resume(*top);
        world.run_until_idle();
        const auto said = log.entries();
        EXPECT_THAT(said, ::testing::UnorderedElementsAre("c2:1", "new1:3"));
    });
}

TEST(Pause, OfATreeLetsItEnd) {
    for_each_seed(100, [](testing::world& world) {
        const journal log;
        ASSERT_TRUE(world.start(branching(log, 1)));
        const auto root = world.resolve<supervisor_protocol>("/app");
        world.pause(*root);
        order<note>(world, "/app/top/a", 1);
        world.stop_node();
        EXPECT_TRUE(world.run_until([&] { return world.ended().has_value(); }));
        EXPECT_TRUE(world.ended()->is_clean());
    });
}

TEST(Pause, ReachesAnActorOfAnotherNodeAndSoDoesResumeThoughItsMailboxIsFull) {
    for_each_seed(100, [](testing::world& world) {
        const journal log;
        register_transport(std::make_shared<sim_network>(world.seed()));
        network_options far;
        far.listen = {"sim://far"};
        supervisor_spec there;
        there.add(child("clerk", in_coroutine, clerk, log).mailbox(4));
        ASSERT_TRUE(world.start(there, "far", far));
        network_options near;
        near.parent = "sim://far?from=near";
        ASSERT_TRUE(world.start(supervisor_spec{}, "near", near));
        auto script = [](actor<anything> self, journal to, std::shared_ptr<bool> ended) -> task<> {
            result<ref<clerk_protocol>> c = errc::timeout;
            while (!(c = co_await self.resolve<clerk_protocol>("/far/clerk"))) co_await self.sleep(10ms);
            self.pause(*c);
            co_await self.sleep(1s);  // on its way it may be overtaken by mail
            EXPECT_EQ((co_await self.ask<question>(*c, 1s)).error(), errc::timeout);
            for (int i = 0; i < 4; ++i) EXPECT_EQ(self.send<note>(*c, i), errc::ok);
            co_await self.sleep(1s);
            EXPECT_EQ(to.taken(), "");
            self.resume(*c);
            EXPECT_EQ((co_await self.ask<question>(*c, 10s)).value(), 7);
            EXPECT_EQ(to.taken(), "n0 n1 n2 n3");
            *ended = true;
        };
        auto ended = std::make_shared<bool>(false);
        world.run_under_some_root([=](actor<anything> self) { return script(self, log, ended); }, "near");
        EXPECT_TRUE(world.run_until([&] { return *ended; }));
    });
}

TEST(Pause, HoldsThreadsOfANodeAndLosesNothing) {
    struct counted {
        std::atomic<std::uint64_t> taken{0};
        std::atomic<std::uint64_t> wrong{0};
    };
    const auto seen = std::make_shared<counted>();
    auto taker = [](actor<clerk_protocol> self, std::shared_ptr<counted> all) -> task<> {
        int expected = 0;
        while (auto m = co_await self.receive())
            m.match([&](const note& n) { all->wrong += n.number != expected++, ++all->taken; },
                    [](const urgent&) {}, [](const begin&) {}, [](request<question> r) { r.reply(7); });
    };
    node app{"app", quiet(2)};
    supervisor_spec spec;
    spec.add(child("thread", in_thread, taker, seen).mailbox(1 << 20))
        .add(child("shared", on_scheduler(1), taker, seen).mailbox(1 << 20));
    const auto root = app.start(spec);
    ASSERT_TRUE(root) << root.error().what();
    const ref<clerk_protocol> both[] = {*app.resolve<clerk_protocol>("thread"),
                                        *app.resolve<clerk_protocol>("shared")};
    constexpr int messages = 20'000;
    for (int i = 0; i < messages; ++i) {
        for (const auto& to : both) ASSERT_EQ(app.send<note>(to, i), errc::ok);
        if (i % 1000 == 500) app.pause(*root);
        if (i % 1000 == 700) app.resume(*root);
    }
    for (const auto& to : both) EXPECT_EQ(app.ask<question>(to, 60s).value(), 7);
    EXPECT_EQ(seen->taken, 2u * messages);
    EXPECT_EQ(seen->wrong, 0u);
    app.pause(*root);
    EXPECT_EQ(app.ask<question>(both[0], 50ms).error(), errc::timeout);
    app.stop();
    EXPECT_TRUE(app.wait().is_clean());
}

}  // namespace
}  // namespace coppice::tests
