// Regions shown in docs/testing.md and docs/tour.md: a counter and its tests in the test w.
//
// Written with GoogleTest; the world itself needs no test framework.
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/testing/probe.hpp>
#include <coppice/testing/world.hpp>
#include <coppice/transport/sim.hpp>
#include <gtest/gtest.h>

namespace snippets {

using namespace coppice;
using coppice::testing::probe;  // GoogleTest has a namespace testing, too: name what you use
using coppice::testing::world;
using namespace std::chrono_literals;

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
struct crash {};
struct limit_passed {
    std::uint64_t value = 0;
};
struct watch {
    ref<protocol<limit_passed>> who;
};
struct check {};
using counter_protocol = protocol<add, get, crash, watch, check>;

// [subject]
task<> counter(actor<counter_protocol> self, std::uint64_t limit) {
    std::uint64_t value = 0;
    ref<protocol<limit_passed>> watcher;
    auto checking = self.send_every<check>(10s);
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { value += a.amount; }, [&](request<get> r) { r.reply(value); },
                [&](const watch& w) { watcher = w.who; },
                [&](const check&) {
                    if (watcher && value > limit) self.send<limit_passed>(watcher, value);
                },
                [](const crash&) { throw std::runtime_error{"asked to"}; });
}

supervisor_spec app() {
    supervisor_spec spec{strategy::one_for_one};
    spec.intensity(3, 1min).backoff(100ms, 5s, 0.0);
    spec.add(child("counter", in_coroutine, counter, std::uint64_t{100}));
    return spec;
}
// [/subject]

// [first]
TEST(Counter, CountsAfterARestartFromZero) {
    world w{1};  // the seed
    ASSERT_TRUE(w.start(app()));
    auto c = *w.resolve<counter_protocol>("/app/counter");

    w.send<add>(c, 2u);
    w.send<add>(c, 3u);
    EXPECT_EQ(*w.ask<get>(c), 5u);

    w.send<crash>(c);
    w.send<add>(c, 1u);  // waits in the mailbox, which the restart keeps
    w.advance(100ms);    // the backoff; takes no real time
    EXPECT_EQ(w.restarts("/app/counter"), 1u);
    EXPECT_EQ(*w.ask<get>(c), 1u);  // the same ref reaches the new incarnation
    EXPECT_TRUE(w.finish().empty());
}
// [/first]

// [probe]
TEST(Counter, TellsItsWatcherOnTheNextCheck) {
    world w{1};
    ASSERT_TRUE(w.start(app()));
    auto c = *w.resolve<counter_protocol>("/app/counter");

    probe<protocol<limit_passed>> watcher{w};
    w.send<watch>(c, watcher.ref());
    w.send<add>(c, 101u);
    watcher.expect_nothing(9s);  // virtual seconds
    EXPECT_EQ(watcher.expect<limit_passed>(2s).value, 101u);
}
// [/probe]

// [seeds]
TEST(Counter, LosesNoMailInAnyOrder) {
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));  // printed with a failure; the same seed replays it
        world w{seed, {.schedulers = 2}};
        ASSERT_TRUE(w.start(app()));
        auto c = *w.resolve<counter_protocol>("/app/counter");
        for (int i = 0; i < 20; ++i) w.send<add>(c, 1u);
        EXPECT_EQ(*w.ask<get>(c), 20u);
        for (const std::string& left : w.finish()) ADD_FAILURE() << "left behind: " << left;
    }
}
// [/seeds]

// [stepping]
TEST(Counter, IsSteppedOneMessageAtATime) {
    world w{1};
    ASSERT_TRUE(w.start(app()));
    auto c = *w.resolve<counter_protocol>("/app/counter");
    w.run_until_idle();

    w.send<add>(c, 2u);
    w.send<crash>(c);
    EXPECT_EQ(w.mail("/app/counter").size(), 2u);
    w.expect<add>("/app/counter");               // handles just that one; throws if another one is next
    EXPECT_FALSE(w.allow<get>("/app/counter"));  // the next is no get: nothing happens
    EXPECT_TRUE(w.running("/app/counter"));
    w.expect<crash>("/app/counter");
    EXPECT_FALSE(w.running("/app/counter"));
}
// [/stepping]

// [wedge]
TEST(Counter, IsMissedByItsAskerWhenItIsStuck) {
    world w{1};
    ASSERT_TRUE(w.start(app()));
    auto c = *w.resolve<counter_protocol>("/app/counter");

    w.wedge("/app/counter");  // from now on it does not run, as if a handler did not return
    EXPECT_EQ(w.ask_within<get>(c, 250ms).error(), errc::timeout);
    w.unwedge("/app/counter");
    EXPECT_EQ(*w.ask<get>(c), 0u);
}
// [/wedge]

// [replay]
TEST(World, ReplaysARunFromItsSeed) {
    const auto run = [](std::uint64_t seed) {
        world w{seed};
        EXPECT_TRUE(w.start(app()));
        w.advance(1min);
        return w.fingerprint();  // made of every choice and every actor that ran
    };
    EXPECT_EQ(run(7), run(7));
}
// [/replay]

// [nodes]
task<> reader(actor<protocol<>> self) {
    auto far = co_await self.resolve<counter_protocol>("/store/counter");
    if (!far) co_return self.fail("no counter: {}", far.error());
    self.send<add>(*far, 1u);
    auto value = co_await self.ask<get>(*far, 1s);
    self.log.info("the other node has {}", value.value());
}

TEST(Nodes, ReachOneAnotherThroughALink) {
    world w{1, {.level = level::info}};
    ASSERT_TRUE(w.start(app(), "store"));
    ASSERT_TRUE(w.start(supervisor_spec{}, "front"));
    w.connect("store", "front");
    auto root = *w.resolve<supervisor_protocol>("/front");
    auto started =
        w.ask<start_child>(root, child("reader", in_coroutine, reader).restarts(restart::temporary));
    ASSERT_TRUE(started) << started.error().what();
    w.run_until_idle();
    EXPECT_EQ(w.log().back().text, "the other node has 1");
}
// [/nodes]

// [network]
task<> writer(actor<protocol<>> self) {
    auto far = co_await self.resolve<counter_protocol>("/store/counter");
    for (int i = 0; far && i < 100; ++i) {
        if (co_await self.send_wait<add>(*far, 1u) != errc::ok)
            co_return self.fail("number {} was not sent", i);
        co_await self.sleep(1ms);
    }
}

TEST(Networks, LoseNothingWhenALinkIsCut) {
    world w{1};
    auto network = std::make_shared<sim_network>(w.seed());
    register_transport(network);
    network_options store;
    network_options front;
    store.listen = {"sim://store"};
    front.parent = "sim://store?from=front";
    ASSERT_TRUE(w.start(app(), "store", store));
    auto once = child("writer", in_coroutine, writer).restarts(restart::temporary);
    ASSERT_TRUE(w.start(supervisor_spec{}.add(std::move(once)), "front", front));
    w.advance(50ms);
    network->cut();
    w.advance(10s);
    EXPECT_EQ(*w.ask<get>(*w.resolve<counter_protocol>("/store/counter")), 100u);
}
// [/network]

// [processes]
TEST(Processes, AreStartedAgainAfterTheyWereKilled) {
    world w{1};
    register_transport(std::make_shared<sim_network>(w.seed()));
    w.faults({.most_start = 50ms, .most_delay = 5ms});
    supervisor_spec tree;
    tree.add(child("counter", in_process, counter, std::uint64_t{100}).heartbeat(500ms, 4));
    ASSERT_TRUE(w.start(std::move(tree)));
    w.crash("app/counter");  // kill -9
    w.advance(1s);
    EXPECT_EQ(w.restarts("/app/counter"), 1u);
    w.sigstop("app/counter");
    w.advance(10s);
    EXPECT_EQ(w.restarts("/app/counter"), 2u) << "silent for two seconds: killed, and started again";
}
// [/processes]

}  // namespace snippets
