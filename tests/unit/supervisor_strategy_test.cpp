// What a supervisor does when a child ends: strategies, restart kinds, significant children, intensity, backoff; the order
// of starts and ends, and their limits. In worlds, over seeds: what holds must hold in any order of events.
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/seeds.hpp"
#include "../support/workers.hpp"
#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"

namespace coppice::tests {
namespace {

using testing::world;

constexpr std::uint64_t seeds = 1000;

std::chrono::nanoseconds since(world& w, std::chrono::steady_clock::time_point begin) {
    return w.now() - begin;
}

// ---------------------------------------------------------------- strategies

supervisor_spec four(strategy s, const journal& log, carrier how = in_coroutine) {
    supervisor_spec spec{s};
    spec.intensity(100, 1s);
    for (const char* name : {"a", "b", "c", "d"}) spec.add(worker(name, log, {}, how));
    return spec;
}

TEST(SupervisorStrategy, OneForOneRestartsTheChildThatEndedAndNoOther) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        ASSERT_TRUE(w.start(
            four(strategy::one_for_one, log, w.seed() % 2 ? carrier{spread} : carrier{in_coroutine})));
        EXPECT_EQ(log.taken(), "+a1 +b1 +c1 +d1");
        order<crash>(w, "/app/b");
        EXPECT_EQ(log.taken(), "!b1 +b2");
        order<leave>(w, "/app/d");
        EXPECT_EQ(log.taken(), "-d1 +d2");
        EXPECT_EQ(w.restarts("/app/b"), 1u);
        EXPECT_EQ(w.restarts("/app/a"), 0u);
    });
}

TEST(SupervisorStrategy, OneForAllEndsTheOthersInReverseAndStartsAllInOrder) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        ASSERT_TRUE(w.start(
            four(strategy::one_for_all, log, w.seed() % 2 ? carrier{spread} : carrier{in_coroutine})));
        static_cast<void>(log.taken());
        order<crash>(w, "/app/b");
        EXPECT_EQ(log.taken(), "!b1 -d1 -c1 -a1 +a2 +b2 +c2 +d2");
    });
}

TEST(SupervisorStrategy, RestForOneEndsThoseAfterItInReverseAndStartsThemInOrder) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        ASSERT_TRUE(w.start(
            four(strategy::rest_for_one, log, w.seed() % 2 ? carrier{in_thread} : carrier{in_coroutine})));
        static_cast<void>(log.taken());
        order<crash>(w, "/app/b");
        EXPECT_EQ(log.taken(), "!b1 -d1 -c1 +b2 +c2 +d2");
        order<crash>(w, "/app/d");
        EXPECT_EQ(log.taken(), "!d2 +d3");
        order<crash>(w, "/app/a");
        EXPECT_EQ(log.taken(), "!a1 -d3 -c2 -b2 +a2 +b3 +c3 +d4");
    });
}

TEST(SupervisorStrategy, DynamicRestartsTheChildAlone) {
    for_each_seed(100, [](world& w) {
        journal log;
        ASSERT_TRUE(w.start(four(strategy::dynamic, log)));
        static_cast<void>(log.taken());
        order<crash>(w, "/app/c");
        EXPECT_EQ(log.taken(), "!c1 +c2");
    });
}

TEST(SupervisorStrategy, SeveralCrashesAtOnceAreEachHandledAndLeaveAllChildrenRunning) {
    for_each_seed(seeds, [](world& w) {
        for (const strategy s : {strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one}) {
            journal log;
            const std::string name = "n" + std::to_string(static_cast<int>(s));
            ASSERT_TRUE(w.start(four(s, log, spread), name));
            for (const char* child : {"a", "b", "c", "d"}) {
                auto found = w.resolve<worker_protocol>("/" + name + "/" + child);
                ASSERT_TRUE(found);
                w.send<crash>(*found, "all at once");
            }
            w.run_until_idle();
            for (const char* child : {"a", "b", "c", "d"}) {
                EXPECT_TRUE(w.running("/" + name + "/" + child)) << child;
                EXPECT_GE(w.restarts("/" + name + "/" + child),
                          s == strategy::rest_for_one && child[0] == 'a' ? 1u : 1u);
            }
        }
    });
}

// ---------------------------------------------------------------- restart kinds

struct kind_case {
    restart kind;
    const char* how;  // "crash", "leave", "give_up", "kill", "stop"
    bool again;
};

void end_as(world& w, const std::string& path, std::string_view how) {
    auto found = w.resolve<worker_protocol>(path);
    ASSERT_TRUE(found);
    if (how == "crash") w.send<crash>(*found, "boom");
    else if (how == "leave") w.send<leave>(*found);
    else if (how == "give_up") w.send<give_up>(*found);
    else if (how == "kill") w.kill(*found);
    else w.stop(*found);
    w.run_until_idle();
}

TEST(SupervisorStrategy, PermanentTransientAndTemporaryChildrenAreRestartedAsTheirKindSays) {
    const kind_case cases[] = {
        {restart::permanent, "crash", true},    {restart::permanent, "leave", true},
        {restart::permanent, "give_up", true},  {restart::permanent, "kill", true},
        {restart::permanent, "stop", true},     {restart::transient, "crash", true},
        {restart::transient, "leave", false},   {restart::transient, "give_up", true},
        {restart::transient, "kill", true},     {restart::transient, "stop", false},
        {restart::temporary, "crash", false},   {restart::temporary, "leave", false},
        {restart::temporary, "kill", false},    {restart::temporary, "stop", false},
        {restart::temporary, "give_up", false},
    };
    for_each_seed(200, [&](world& w) {
        journal log;
        supervisor_spec spec;
        spec.intensity(100, 1s);
        int i = 0;
        for (const kind_case& c : cases)
            spec.add(worker("w" + std::to_string(i++), log, {},
                            w.seed() % 2 ? carrier{spread} : carrier{in_coroutine})
                         .restarts(c.kind));
        ASSERT_TRUE(w.start(std::move(spec)));
        i = 0;
        for (const kind_case& c : cases) {
            const std::string path = "/app/w" + std::to_string(i++);
            end_as(w, path, c.how);
            EXPECT_EQ(w.running(path), c.again) << static_cast<int>(c.kind) << ' ' << c.how;
            if (c.again) EXPECT_EQ(w.restarts(path), 1u);
            else EXPECT_EQ(w.resolve<worker_protocol>(path).error(), errc::not_found);
        }
        EXPECT_FALSE(w.ended());
    });
}

TEST(SupervisorStrategy, ATemporarySiblingThatOneForAllEndsIsNotStartedAgain) {
    for_each_seed(200, [](world& w) {
        journal log;
        supervisor_spec spec{strategy::one_for_all};
        spec.add(worker("a", log, {}, spread))
            .add(worker("b", log).restarts(restart::temporary))
            .add(worker("c", log).restarts(restart::transient));
        auto root = w.start(std::move(spec));
        ASSERT_TRUE(root);
        static_cast<void>(log.taken());
        order<crash>(w, "/app/a");
        EXPECT_EQ(log.taken(), "!a1 -c1 -b1 +a2 +c2");
        auto listed = w.ask<which_children>(*root);
        ASSERT_TRUE(listed);
        ASSERT_EQ(listed->size(), 2u);
        EXPECT_EQ((*listed)[0].name, "a");
        EXPECT_EQ((*listed)[1].name, "c");
    });
}

// ---------------------------------------------------------------- significant children

TEST(SupervisorStrategy, ASignificantChildsCleanEndEndsItsSupervisorCleanly) {
    for_each_seed(200, [](world& w) {
        journal log;
        supervisor_spec spec;
        spec.add(worker("a", log))
            .add(worker("b", log, {}, spread).restarts(restart::transient).significant())
            .add(worker("c", log));
        ASSERT_TRUE(w.start(std::move(spec)));
        static_cast<void>(log.taken());
        order<leave>(w, "/app/b");
        EXPECT_EQ(log.taken(), "-b1 -c1 -a1");
        ASSERT_TRUE(w.ended());
        EXPECT_EQ(w.ended()->kind(), exit_kind::normal) << w.ended()->to_string();
    });
}

TEST(SupervisorStrategy, ASignificantChildsCrashIsItsSupervisorsReasonToEnd) {
    for_each_seed(200, [](world& w) {
        journal log;
        supervisor_spec spec;
        spec.add(worker("a", log)).add(worker("b", log).restarts(restart::temporary).significant());
        ASSERT_TRUE(w.start(std::move(spec)));
        order<crash>(w, "/app/b", "it was important");
        ASSERT_TRUE(w.ended());
        EXPECT_EQ(w.ended()->kind(), exit_kind::significant);
        ASSERT_NE(w.ended()->cause(), nullptr);
        EXPECT_EQ(w.ended()->cause()->text(), "it was important");
        EXPECT_EQ(w.ended()->cause()->origin(), "/app/b");
    });
}

TEST(SupervisorStrategy, ASignificantTransientChildThatCrashesIsRestarted) {
    for_each_seed(50, [](world& w) {
        journal log;
        ASSERT_TRUE(
            w.start(supervisor_spec{}.add(worker("a", log).restarts(restart::transient).significant())));
        order<crash>(w, "/app/a");
        EXPECT_TRUE(w.running("/app/a"));
        EXPECT_FALSE(w.ended());
    });
}

// ---------------------------------------------------------------- intensity

TEST(SupervisorStrategy, MoreRestartsThanItsIntensityWithinTheWindowEndIt) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        supervisor_spec spec;
        const auto most = static_cast<std::uint32_t>(w.seed() % 4);
        spec.intensity(most, 10s).add(worker("a", log, {}, spread)).add(worker("b", log));
        ASSERT_TRUE(w.start(std::move(spec)));
        for (std::uint32_t i = 0; i < most; ++i) {
            order<crash>(w, i % 2 ? "/app/a" : "/app/b");
            w.advance(1s);
            EXPECT_FALSE(w.ended());
        }
        order<crash>(w, "/app/a", "once too often");
        ASSERT_TRUE(w.ended());
        EXPECT_EQ(w.ended()->kind(), exit_kind::intensity) << w.ended()->to_string();
        ASSERT_NE(w.ended()->cause(), nullptr);
        EXPECT_EQ(w.ended()->cause()->text(), "once too often");
    });
}

TEST(SupervisorStrategy, RestartsOutsideOfTheWindowDoNotCount) {
    for_each_seed(200, [](world& w) {
        journal log;
        supervisor_spec spec;
        spec.intensity(2, 1s).add(worker("a", log, {}, spread));
        ASSERT_TRUE(w.start(std::move(spec)));
        for (int i = 0; i < 50; ++i) {
            order<crash>(w, "/app/a");
            w.advance(600ms);  // never three within a second
        }
        EXPECT_EQ(w.restarts("/app/a"), 50u);
        EXPECT_FALSE(w.ended());
        order<crash>(w, "/app/a");
        order<crash>(w, "/app/a");
        EXPECT_TRUE(w.ended());
    });
}

TEST(SupervisorStrategy, EndsThatAreNotFollowedByARestartDoNotCount) {
    for_each_seed(100, [](world& w) {
        journal log;
        supervisor_spec spec;
        spec.intensity(0, 1h);
        for (int i = 0; i < 5; ++i)
            spec.add(worker("t" + std::to_string(i), log)
                         .restarts(i % 2 ? restart::temporary : restart::transient));
        ASSERT_TRUE(w.start(std::move(spec)));
        for (int i = 0; i < 5; ++i) {
            if (i % 2) order<crash>(w, "/app/t" + std::to_string(i));
            else order<leave>(w, "/app/t" + std::to_string(i));
        }
        EXPECT_FALSE(w.ended());
    });
}

TEST(SupervisorStrategy, RestartsThatFailCountAndEndTheSupervisorInTheEnd) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners m;
        m.fail_starts_from = 2;
        supervisor_spec spec;
        spec.intensity(3, 10s).add(
            worker("a", log, m, w.seed() % 2 ? carrier{in_thread} : carrier{in_coroutine}));
        ASSERT_TRUE(w.start(std::move(spec)));
        order<crash>(w, "/app/a");
        ASSERT_TRUE(w.ended());
        EXPECT_EQ(w.ended()->kind(), exit_kind::intensity);
        EXPECT_EQ(log.taken(), "+a1 !a1 +a2 !a2 +a3 !a3 +a4 !a4");
    });
}

// ---------------------------------------------------------------- backoff

TEST(SupervisorStrategy, BackoffBeginsAtFirstDoublesUpToMostAndStaysWithinItsJitter) {
    for_each_seed(300, [](world& w) {
        journal log;
        supervisor_spec spec;
        spec.intensity(100, 1h).backoff(100ms, 1s, 0.2).add(worker("a", log, {}, spread));
        ASSERT_TRUE(w.start(std::move(spec)));
        double expected = 100e6;
        for (std::uint32_t i = 1; i <= 7; ++i) {
            const auto begin = w.now();
            order<crash>(w, "/app/a");
            EXPECT_FALSE(w.running("/app/a"));
            ASSERT_TRUE(w.run_until([&] { return w.running("/app/a"); }, 1h));
            const auto waited = static_cast<double>(since(w, begin).count());
            EXPECT_GE(waited, expected * 0.8);
            EXPECT_LE(waited, expected * 1.2 + 1e6)
                << "virtual time: the wheel's resolution is the only excess";
            expected = std::min(expected * 2, 1e9);
            w.run_until_idle();
        }
    });
}

TEST(SupervisorStrategy, BackoffWithoutJitterIsExactAndBeginsAnewForAChildThatLivedAWindow) {
    for_each_seed(50, [](world& w) {
        journal log;
        supervisor_spec spec;
        spec.intensity(100, 10s).backoff(50ms, 1s, 0.0).add(worker("a", log));
        ASSERT_TRUE(w.start(std::move(spec)));
        const auto waits = [&] {
            const auto begin = w.now();
            order<crash>(w, "/app/a");
            EXPECT_TRUE(w.run_until([&] { return w.running("/app/a"); }, 1h));
            return since(w, begin);
        };
        for (const auto expected : {50ms, 100ms, 200ms}) EXPECT_GE(waits(), expected);
        w.advance(11s);
        const auto anew = waits();
        EXPECT_GE(anew, 50ms);
        EXPECT_LT(anew, 100ms);
    });
}

TEST(SupervisorStrategy, JitterSpreadsTheWaits) {
    std::set<std::int64_t> waits;
    for_each_seed(40, [&](world& w) {
        journal log;
        ASSERT_TRUE(w.start(supervisor_spec{}.backoff(100ms, 1s, 0.5).add(worker("a", log))));
        const auto begin = w.now();
        order<crash>(w, "/app/a");
        ASSERT_TRUE(w.run_until([&] { return w.running("/app/a"); }, 1h));
        waits.insert(since(w, begin).count() / 1'000'000);
    });
    if (!seed_to_replay()) EXPECT_GT(waits.size(), 20u);
}

TEST(SupervisorStrategy, ATreeCanEndWhileAChildIsInBackoff) {
    for_each_seed(200, [](world& w) {
        journal log;
        ASSERT_TRUE(w.start(supervisor_spec{}
                                .backoff(1h, 1h)
                                .add(worker("a", log, {}, spread))
                                .add(worker("b", log))
                                .add(worker("c", log, {}, in_thread))));
        order<crash>(w, "/app/a");
        order<crash>(w, "/app/c");
        w.stop_node();
        w.run_until_idle();
        ASSERT_TRUE(w.ended());
        EXPECT_TRUE(w.ended()->is_clean());
    });
}

// ---------------------------------------------------------------- order and limits of starts and ends

TEST(SupervisorStrategy, ChildrenStartInOrderEachWhenTheOneBeforeIsReady) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners slow;
        slow.tells_ready = true;
        slow.ready_after = 1s;
        supervisor_spec spec;
        spec.add(worker("a", log, slow, spread).awaits_ready(5s))
            .add(worker("b", log, slow).awaits_ready(5s))
            .add(worker("c", log, {}, spread));
        const auto begin = w.now();
        ASSERT_TRUE(w.start(std::move(spec)));
        EXPECT_GE(since(w, begin), 2s);
        EXPECT_EQ(log.taken(), "+a1 +b1 +c1");
    });
}

TEST(SupervisorStrategy, ATreeEndsInReverseStartOrderEachChildAfterTheOneBefore) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        manners slow;
        slow.lingers = 1s;
        supervisor_spec inner;
        inner.add(worker("x", log, slow, spread)).add(worker("y", log, slow));
        supervisor_spec spec;
        spec.add(worker("a", log, slow, spread))
            .add(supervisor("s", std::move(inner), spread))
            .add(worker("b", log, slow))
            .add(worker("c", log, slow, in_thread));
        ASSERT_TRUE(w.start(std::move(spec)));
        static_cast<void>(log.taken());
        const auto begin = w.now();
        w.stop_node();
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1h));
        EXPECT_EQ(log.taken(), "-c1 -b1 -y1 -x1 -a1");
        EXPECT_GE(since(w, begin), 5s);
        EXPECT_EQ(w.ended()->kind(), exit_kind::stopped);
    });
}

TEST(SupervisorStrategy, AChildThatIgnoresTheStopIsKilledAfterItsOwnLimit) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners deaf;
        deaf.ignores_stop = true;
        supervisor_spec spec;
        const carrier how = w.seed() % 3 == 0   ? carrier{in_thread}
                            : w.seed() % 3 == 1 ? carrier{spread}
                                                : carrier{in_coroutine};
        spec.add(worker("a", log))
            .add(worker("b", log, deaf, how).shutdown(3s))
            .add(worker("c", log, deaf, how).shutdown(700ms));
        ASSERT_TRUE(w.start(std::move(spec)));
        static_cast<void>(log.taken());
        const auto begin = w.now();
        w.stop_node();
        ASSERT_TRUE(w.run_until([&] { return log.entries().size() == 2; }, 1h));
        EXPECT_GE(since(w, begin), 700ms);
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1h));
        EXPECT_GE(since(w, begin), 3700ms);
        EXPECT_EQ(log.taken(), "~c1 !c1 ~b1 !b1 -a1");
    });
}

TEST(SupervisorStrategy, AShutdownLimitOfZeroKillsAtOnce) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners deaf;
        deaf.ignores_stop = true;
        const carrier how = w.seed() % 2 ? carrier{spread} : carrier{in_coroutine};
        ASSERT_TRUE(w.start(supervisor_spec{}
                                .add(worker("a", log, deaf, how).shutdown(0ns))
                                .add(worker("b", log, {}, how).shutdown(0ns))));
        static_cast<void>(log.taken());
        const auto begin = w.now();
        w.stop_node();
        w.run_until_idle();
        ASSERT_TRUE(w.ended());
        EXPECT_EQ(since(w, begin), 0ns);
        EXPECT_EQ(log.taken(), "!b1 !a1");  // neither was asked first
    });
}

TEST(SupervisorStrategy, AChildOfOneForAllThatIgnoresTheStopIsKilledAndRestartedWithTheOthers) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners deaf;
        deaf.ignores_stop = true;
        const carrier how = w.seed() % 2 ? carrier{spread} : carrier{in_coroutine};
        supervisor_spec spec{strategy::one_for_all};
        spec.add(worker("a", log, {}, how)).add(worker("b", log, deaf, how).shutdown(2s));
        ASSERT_TRUE(w.start(std::move(spec)));
        static_cast<void>(log.taken());
        const auto begin = w.now();
        order<crash>(w, "/app/a");
        ASSERT_TRUE(w.run_until([&] { return w.running("/app/b") && w.restarts("/app/b") == 1; }, 1h));
        w.run_until_idle();
        EXPECT_GE(since(w, begin), 2s);
        EXPECT_EQ(log.taken(), "!a1 ~b1 !b1 +a2 +b2");
    });
}

// ---------------------------------------------------------------- starts that fail

TEST(SupervisorStrategy, ATreeOfWhichAChildDoesNotStartIsEndedAndTheStarterIsToldWhy) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners bad;
        bad.fail_starts_from = 1;
        const carrier how = w.seed() % 2 ? carrier{spread} : carrier{in_coroutine};
        auto started = w.start(supervisor_spec{}
                                   .add(worker("a", log, {}, how))
                                   .add(worker("b", log, bad, how))
                                   .add(worker("c", log, {}, how)));
        ASSERT_FALSE(started);
        EXPECT_EQ(started.error(), errc::start_failed);
        EXPECT_NE(started.error().what().find("it does not start"), std::string::npos)
            << started.error().what();
        EXPECT_NE(started.error().what().find("'b'"), std::string::npos) << started.error().what();
        w.run_until_idle();
        EXPECT_EQ(log.taken(), "+a1 +b1 !b1 -a1");
        EXPECT_TRUE(w.ended());
    });
}

TEST(SupervisorStrategy, AChildThatIsNotReadyInTimeIsKilledAndItsStartFails) {
    for_each_seed(200, [](world& w) {
        journal log;
        manners slow;
        slow.tells_ready = true;
        slow.ready_after = 1h;
        const carrier how = w.seed() % 3 == 0   ? carrier{in_thread}
                            : w.seed() % 3 == 1 ? carrier{spread}
                                                : carrier{in_coroutine};
        auto root = w.start(supervisor_spec{}.add(worker("a", log)));
        ASSERT_TRUE(root);
        const auto begin = w.now();
        auto started = w.ask_within<start_child>(*root, 1min, worker("b", log, slow, how).awaits_ready(2s));
        ASSERT_FALSE(started);
        EXPECT_EQ(started.error(), errc::start_failed);
        EXPECT_NE(started.error().what().find("not ready in time"), std::string::npos)
            << started.error().what();
        EXPECT_GE(since(w, begin), 2s);
        EXPECT_EQ(w.resolve<worker_protocol>("/app/b").error(), errc::not_found);
        EXPECT_TRUE(w.ask<start_child>(*root, worker("b", log, {}, how)));  // the name is free again
    });
}

TEST(SupervisorStrategy, ATreeThatIsAskedToEndWhileAChildIsStartingEndsWithinThatChildsLimit) {
    for_each_seed(300, [](world& w) {
        journal log;
        manners slow;
        slow.tells_ready = true;
        slow.ready_after = 1h;
        slow.ignores_stop = true;
        const carrier how = w.seed() % 3 == 0   ? carrier{in_thread}
                            : w.seed() % 3 == 1 ? carrier{spread}
                                                : carrier{in_coroutine};
        auto root = w.start(supervisor_spec{}.add(worker("a", log)));
        ASSERT_TRUE(root);
        w.run_under_some_root([root = *root, log, slow, how](actor<anything> self) -> task<> {
            return [](actor<anything> me, ref<supervisor_protocol> to, child_spec spec) -> task<> {
                static_cast<void>(co_await me.ask<start_child>(to, 2h, std::move(spec)));
            }(self, root, worker("b", log, slow, how).awaits_ready(2h).shutdown(3s));
        });
        w.run_until([&] { return log.entries().size() == 2; });
        ASSERT_EQ(log.taken(), "+a1 +b1");
        w.stop_node();
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1min));
        EXPECT_EQ(log.taken(), "!b1 -a1");
    });
}

TEST(SupervisorStrategy, ATreeThatIsAskedToEndWhileASupervisorStartsItsChildrenEndsWithinTheirLimits) {
    for_each_seed(300, [](world& w) {
        journal log;
        manners slow;
        slow.tells_ready = true;
        slow.ready_after = 1h;
        const carrier how = w.seed() % 2 ? carrier{spread} : carrier{in_coroutine};
        auto root = w.start(supervisor_spec{}.add(worker("a", log)));
        ASSERT_TRUE(root);
        supervisor_spec inner;
        inner.add(worker("x", log)).add(worker("y", log, slow, how).awaits_ready(2h));
        w.run_under_some_root(
            [root = *root, spec = supervisor("s", std::move(inner), how)](actor<anything> self) -> task<> {
                return [](actor<anything> me, ref<supervisor_protocol> to, child_spec c) -> task<> {
                    static_cast<void>(co_await me.ask<start_child>(to, 2h, std::move(c)));
                }(self, root, spec);
            });
        w.run_until([&] { return log.entries().size() == 3; });
        ASSERT_EQ(log.taken(), "+a1 +x1 +y1");
        w.stop_node();
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1min));
        EXPECT_EQ(log.taken(), "!y1 -x1 -a1");
    });
}

TEST(SupervisorStrategy, StartsWithATakenNameABadNameOrNoSuchSchedulerAreRefusedWithTheReason) {
    for_each_seed(100, [](world& w) {
        journal log;
        auto root = w.start(supervisor_spec{}.add(worker("a", log)));
        ASSERT_TRUE(root);
        EXPECT_EQ(w.ask<start_child>(*root, worker("a", log)).error(), errc::name_taken);
        for (const char* name : {"", "a/b", "a:b", "a?b", "a#b", "$1", "a\nb"}) {
            EXPECT_EQ(w.ask<start_child>(*root, worker(name, log)).error(), errc::bad_name) << name;
        }
        EXPECT_EQ(w.ask<start_child>(*root, worker(std::string(256, 'x'), log)).error(), errc::bad_name);
        EXPECT_TRUE(w.ask<start_child>(*root, worker(std::string(255, 'x'), log)));
        const auto nowhere = w.ask<start_child>(*root, worker("b", log, {}, on_scheduler(99)));
        EXPECT_EQ(nowhere.error(), errc::invalid_argument);
        EXPECT_NE(nowhere.error().what().find("99"), std::string::npos);
        EXPECT_EQ(log.entries().size(), 2u);  // none of the refused ran
        EXPECT_FALSE(w.ended());
    });
}

// ---------------------------------------------------------------- replays

std::uint64_t story(std::uint64_t seed) {
    world w{seed, {.schedulers = 3}};
    journal log;
    supervisor_spec inner{strategy::rest_for_one};
    inner.intensity(100, 1s).backoff(10ms, 50ms);
    for (const char* name : {"x", "y", "z"}) inner.add(worker(name, log, {}, spread));
    EXPECT_TRUE(
        w.start(four(strategy::one_for_all, log, spread).add(supervisor("s", std::move(inner), spread))));
    for (const char* path : {"/app/a", "/app/s/x", "/app/s/z", "/app/c"}) {
        if (auto found = w.resolve<worker_protocol>(path)) w.send<crash>(*found, "boom");
        w.advance(7ms);
    }
    w.advance(1s);
    EXPECT_TRUE(w.finish().empty());
    return w.fingerprint();
}

TEST(SupervisorStrategy, ASeedReplaysAndSeedsDiffer) {
    std::set<std::uint64_t> prints;
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        const std::uint64_t print = story(seed);
        EXPECT_EQ(print, story(seed)) << "seed " << seed;
        prints.insert(print);
    }
    EXPECT_EQ(prints.size(), 50u);
}

}  // namespace
}  // namespace coppice::tests
