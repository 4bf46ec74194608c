// Children that come and go at run time, what survives a restart (mail, names, refs) and what is reported, and supervisors
// under supervisors: escalation, other schedulers, threads. In worlds, over seeds.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/seeds.hpp"
#include "../support/workers.hpp"
#include "coppice/coppice.hpp"
#include "coppice/testing/probe.hpp"
#include "coppice/testing/world.hpp"

namespace coppice::tests {
namespace {

using testing::probe;
using testing::world;

constexpr std::uint64_t seeds = 1000;

carrier carrier_for(std::uint64_t seed) {
    switch (seed % 3) {
    case 0: return in_thread;
    case 1: return spread;
    default: return in_coroutine;
    }
}

ref<worker_protocol> at(world& w, std::string_view path) {
    auto found = w.resolve<worker_protocol>(path);
    EXPECT_TRUE(found) << path;
    return found ? *found : ref<worker_protocol>{};
}

// ---------------------------------------------------------------- dynamic children

TEST(SupervisorChildren, ChildrenAreStartedListedRestartedAndTerminatedByName) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        const carrier how = carrier_for(w.seed());
        auto root = w.start(supervisor_spec{strategy::dynamic}.intensity(0, 1h));
        ASSERT_TRUE(root);
        for (const char* name : {"a", "b", "c"}) {
            auto started = w.ask<start_child>(*root, worker(name, log, {}, how));
            ASSERT_TRUE(started) << started.error().what();
            EXPECT_EQ(started->to_string(), std::string{"/app/"} + name);
            EXPECT_EQ(*w.ask<which>(started->assume<worker_protocol>()), 1u);
        }
        EXPECT_EQ(log.taken(), "+a1 +b1 +c1");
        ASSERT_TRUE(w.ask<restart_child>(*root, "b"));  // does not count against an intensity of 0
        EXPECT_EQ(log.taken(), "-b1 +b2");
        ASSERT_TRUE(w.ask<terminate_child>(*root, "a"));
        EXPECT_EQ(log.taken(), "-a1");
        EXPECT_EQ(w.resolve<worker_protocol>("/app/a").error(), errc::not_found);
        auto listed = w.ask<which_children>(*root);
        ASSERT_TRUE(listed);
        ASSERT_EQ(listed->size(), 2u);
        EXPECT_EQ((*listed)[0].name, "b");
        EXPECT_EQ((*listed)[0].restarts, 1u);
        EXPECT_TRUE((*listed)[0].running);
        EXPECT_EQ((*listed)[0].who, at(w, "/app/b"));
        EXPECT_EQ((*listed)[1].name, "c");
        EXPECT_EQ((*listed)[1].restarts, 0u);
        EXPECT_EQ(w.ask<terminate_child>(*root, "a").error(), errc::not_found);
        EXPECT_EQ(w.ask<restart_child>(*root, "nobody").error(), errc::not_found);
        ASSERT_TRUE(w.ask<start_child>(*root, worker("a", log, {}, how)));
        EXPECT_EQ(log.taken(), "+a1");
    });
}

TEST(SupervisorChildren, AChildInBackoffCanBeListedRestartedAtOnceAndTerminated) {
    for_each_seed(300, [](world& w) {
        journal log;
        const carrier how = carrier_for(w.seed());
        auto root = w.start(
            supervisor_spec{}.backoff(1h, 1h).add(worker("a", log, {}, how)).add(worker("b", log, {}, how)));
        ASSERT_TRUE(root);
        order<crash>(w, "/app/a");
        order<crash>(w, "/app/b");
        auto listed = w.ask<which_children>(*root);
        ASSERT_TRUE(listed);
        EXPECT_FALSE((*listed)[0].running);
        static_cast<void>(log.taken());
        ASSERT_TRUE(w.ask<restart_child>(*root, "a"));
        EXPECT_EQ(log.taken(), "+a2");
        ASSERT_TRUE(w.ask<terminate_child>(*root, "b"));
        EXPECT_EQ(w.resolve<worker_protocol>("/app/b").error(), errc::not_found);
        w.advance(3h);
        EXPECT_EQ(log.taken(), "");  // the backoffs that were under way restart nothing
        EXPECT_EQ(w.restarts("/app/a"), 1u);
    });
}

TEST(SupervisorChildren, AStartThatFailsIsToldToTheStarterAndLeavesTheSupervisorAlone) {
    for_each_seed(300, [](world& w) {
        journal log;
        manners bad;
        bad.fail_starts_from = 1;
        auto root = w.start(supervisor_spec{}.intensity(0, 1h).add(worker("a", log)));
        ASSERT_TRUE(root);
        auto started = w.ask<start_child>(*root, worker("b", log, bad, carrier_for(w.seed())));
        EXPECT_EQ(started.error(), errc::start_failed);
        EXPECT_NE(started.error().what().find("it does not start"), std::string::npos)
            << started.error().what();
        EXPECT_EQ(log.taken(), "+a1 +b1 !b1");
        EXPECT_EQ(w.ask<which_children>(*root)->size(), 1u);
        EXPECT_FALSE(w.ended());
    });
}

TEST(SupervisorChildren, StartsSucceedWhileOtherChildrenOfTheSupervisorComeAndGo) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        auto root = w.start(supervisor_spec{});
        ASSERT_TRUE(root);
        // Each ask from outside is a nameless child of the root, which takes the place of an earlier one.
        int answered = 0;
        for (int i = 0; i < 6; ++i) {
            w.run_under_some_root([root = *root, log, i, &answered](actor<anything> self) {
                return [](actor<anything> me, ref<supervisor_protocol> to, child_spec spec,
                          int* n) -> task<> {
                    for (std::uint64_t k = me.random() % 4; k > 0; --k) co_await me.yield();
                    auto started = co_await me.ask<start_child>(to, 10s, std::move(spec));
                    EXPECT_TRUE(started);
                    ++*n;
                }(self, root,
                                  worker("w" + std::to_string(i), log, {},
                                         i % 2 ? carrier{spread} : carrier{in_thread}),
                                  &answered);
            });
            for (std::uint64_t k = w.seed() % 7; k > 0; --k) w.step();
        }
        w.run_until_idle();
        EXPECT_EQ(answered, 6);
        for (int i = 0; i < 6; ++i) EXPECT_TRUE(w.running("/app/w" + std::to_string(i)));
    });
}

// An actor that is no supervisor can start children too; it does not restart them.
task<> plain_parent(actor<protocol<note>> self, journal log) {
    auto started = co_await self.start(worker("kid", log, {}, spread));
    EXPECT_TRUE(started);
    auto taken = co_await self.start(worker("kid", log));
    EXPECT_EQ(taken.error(), errc::name_taken);
    while (auto m = co_await self.receive()) {
    }
}

TEST(SupervisorChildren, AnActorThatIsNoSupervisorStartsChildrenThatEndWithItAndAreNotRestarted) {
    for_each_seed(300, [](world& w) {
        journal log;
        auto root = w.start(supervisor_spec{}.add(child("p", in_coroutine, plain_parent, log)));
        ASSERT_TRUE(root);
        w.run_until_idle();
        EXPECT_TRUE(w.running("/app/p/kid"));
        order<crash>(w, "/app/p/kid");
        EXPECT_EQ(w.resolve<worker_protocol>("/app/p/kid").error(), errc::not_found);
        ASSERT_TRUE(w.ask<restart_child>(*root, "p"));
        w.run_until_idle();
        EXPECT_TRUE(w.running("/app/p/kid"));
        ASSERT_TRUE(w.ask<terminate_child>(*root, "p"));
        EXPECT_EQ(log.taken(), "+kid1 !kid1 +kid1 -kid1");
    });
}

// ---------------------------------------------------------------- what survives a restart

TEST(SupervisorChildren, MailThatIsSentDuringABackoffIsHandledByTheNextIncarnation) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        ASSERT_TRUE(
            w.start(supervisor_spec{}.backoff(1s, 1s).add(worker("a", log, {}, carrier_for(w.seed())))));
        const ref<worker_protocol> by_name = at(w, "/app/a");
        order<note>(w, "/app/a", 1);
        w.send<crash>(by_name, "boom");
        w.send<note>(by_name, 2);  // behind the crash
        w.run_until_idle();
        EXPECT_FALSE(w.running("/app/a"));
        EXPECT_EQ(w.send<note>(by_name, 3), errc::ok);
        order<note>(w, "/app/a", 4);
        w.advance(2s);
        EXPECT_EQ(log.taken(), "+a1 a1:1 !a1 +a2 a2:2 a2:3 a2:4");
        EXPECT_EQ(w.inspect().dead_letter_count, 0u);
    });
}

TEST(SupervisorChildren, MailSurvivesARestartThatASiblingCausedAndOneThatWasAskedFor) {
    for_each_seed(300, [](world& w) {
        journal log;
        auto root = w.start(supervisor_spec{strategy::one_for_all}
                                .add(worker("a", log))
                                .add(worker("b", log, {}, carrier_for(w.seed()))));
        ASSERT_TRUE(root);
        static_cast<void>(log.taken());
        w.wedge("/app/b");
        for (int i = 1; i <= 3; ++i) order<note>(w, "/app/b", i);
        w.send<crash>(at(w, "/app/a"), "boom");
        w.run_until_idle();
        w.unwedge("/app/b");
        w.run_until_idle();
        EXPECT_EQ(log.taken(), "!a1 -b1 +a2 +b2 b2:1 b2:2 b2:3");
        EXPECT_EQ(w.inspect().dead_letter_count, 0u);
    });
}

TEST(SupervisorChildren, ARefByNameFollowsRestartsAndAMonitorTellsOfEachIncarnation) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        ASSERT_TRUE(
            w.start(supervisor_spec{}.intensity(10, 1s).add(worker("a", log, {}, carrier_for(w.seed())))));
        const ref<worker_protocol> by_name = at(w, "/app/a");
        probe<protocol<>> watcher{w};
        for (std::uint32_t incarnation = 1; incarnation <= 3; ++incarnation) {
            EXPECT_EQ(*w.ask<which>(by_name), incarnation);
            const std::uint64_t monitor = watcher.handle().monitor(by_name);
            w.run_until_idle();
            w.send<crash>(by_name, "boom " + std::to_string(incarnation));
            const down told = watcher.expect<down>();
            EXPECT_EQ(told.monitor, monitor);
            EXPECT_EQ(told.reason.text(), "boom " + std::to_string(incarnation));
            EXPECT_EQ(told.who, by_name);
            w.run_until_idle();
        }
        watcher.expect_nothing();
    });
}

TEST(SupervisorChildren, ARefByNameFindsTheActorThatASuperiorsRestartHasMadeAnew) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        const carrier how = carrier_for(w.seed());
        supervisor_spec inner;
        inner.intensity(0, 1s).add(worker("a", log, {}, how)).add(worker("b", log, {}, how));
        ASSERT_TRUE(w.start(supervisor_spec{}.add(
            supervisor("s", std::move(inner), w.seed() % 2 ? carrier{spread} : carrier{in_coroutine}))));
        const ref<worker_protocol> a = at(w, "/app/s/a");
        const ref<worker_protocol> b = at(w, "/app/s/b");
        w.send<crash>(a, "over the intensity of 0");
        w.run_until_idle();
        EXPECT_EQ(w.restarts("/app/s"), 1u);
        EXPECT_EQ(log.taken(), "+a1 +b1 !a1 -b1 +a1 +b1");  // new actors, so incarnation 1
        EXPECT_EQ(w.send<note>(a, 1), errc::ok);
        EXPECT_EQ(w.send<note>(b, 2), errc::ok);
        EXPECT_EQ(*w.ask<which>(a), 1u);
        EXPECT_EQ(*w.ask<which>(b), 1u);
        w.run_until_idle();
        const std::string after = log.taken();
        EXPECT_NE(after.find("a1:1"), std::string::npos) << after;
        EXPECT_NE(after.find("b1:2"), std::string::npos) << after;
    });
}

task<> keeps_note(actor<protocol<note, crash>> self, journal log) {
    self.undelivered([log](const undelivered_mail& m) {
        log.add("left " + std::string{m.type.substr(m.type.rfind(':') + 1)});
    });
    while (auto m = co_await self.receive()) {
        if (m.get_if<crash>()) throw std::runtime_error{"boom"};
    }
}

TEST(SupervisorChildren, WhatIsInTheMailboxOfAChildThatIsGivenUpIsReportedAndItsAskersAreToldAtOnce) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        const carrier how = carrier_for(w.seed());
        ASSERT_TRUE(w.start(supervisor_spec{}
                                .add(child("a", how, keeps_note, log).restarts(restart::temporary))
                                .add(worker("b", log, {}, how).restarts(restart::temporary))));
        w.run_until_idle();
        auto a = w.resolve<protocol<note, crash>>("/app/a");
        ASSERT_TRUE(a);
        w.send<crash>(*a, "boom");
        w.send<note>(*a, 1);
        w.send<note>(*a, 2);
        w.run_until_idle();
        // b crashes at its first message; a request stands behind it.
        static_cast<void>(log.taken() == "+b1 left note left note");
        const auto begin = w.now();
        w.send<crash>(at(w, "/app/b"), "boom");
        auto answer = w.ask<which>(at(w, "/app/b"));
        EXPECT_TRUE(answer.error() == errc::down) << answer.error().what();
        EXPECT_EQ(w.now(), begin);
        const node_info seen = w.inspect();
        EXPECT_EQ(seen.dead_letter_count, 3u);
        std::size_t notes = 0;
        for (const dead_letter& d : seen.dead_letters)
            if (d.message.ends_with("note") && d.reason == errc::down && d.target == "/app/a") ++notes;
        EXPECT_EQ(notes, 2u);
    });
}

TEST(SupervisorChildren, TheHookForUndeliveredMailIsCalledInOrder) {
    for_each_seed(200, [](world& w) {
        journal log;
        ASSERT_TRUE(w.start(supervisor_spec{}.add(
            child("a", carrier_for(w.seed()), keeps_note, log).restarts(restart::temporary))));
        w.run_until_idle();
        auto a = w.resolve<protocol<note, crash>>("/app/a");
        ASSERT_TRUE(a);
        w.wedge("/app/a");
        w.send<crash>(*a, "boom");
        w.send<note>(*a, 1);
        w.send<crash>(*a, "never");
        w.send<note>(*a, 2);
        w.run_until_idle();
        w.unwedge("/app/a");
        w.run_until_idle();
        EXPECT_EQ(log.taken(), "left note left crash left note");
    });
}

TEST(SupervisorChildren, ARequestInHandAtACrashFailsAtOnceAtTheAskerWhateverTheChildsKind) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        const restart kind = w.seed() % 2 ? restart::permanent : restart::temporary;
        ASSERT_TRUE(w.start(supervisor_spec{}.backoff(1h, 1h).add(
            worker("a", log, {}, carrier_for(w.seed())).restarts(kind))));
        const auto begin = w.now();
        auto answer = w.ask<crash_in_hand>(at(w, "/app/a"));
        EXPECT_EQ(answer.error(), errc::down) << answer.error().what();
        EXPECT_EQ(w.now(), begin);
    });
}

TEST(SupervisorChildren, ANameIsFreeOnceItsOwnerHasEndedForGoodAndNotBefore) {
    for_each_seed(300, [](world& w) {
        journal log;
        auto root =
            w.start(supervisor_spec{}.backoff(1h, 1h).add(worker("a", log, {}, carrier_for(w.seed()))));
        ASSERT_TRUE(root);
        order<crash>(w, "/app/a");
        EXPECT_FALSE(w.running("/app/a"));
        EXPECT_EQ(w.ask<start_child>(*root, worker("a", log)).error(), errc::name_taken);
        ASSERT_TRUE(w.ask<terminate_child>(*root, "a"));
        EXPECT_TRUE(w.ask<start_child>(*root, worker("a", log)));
    });
}

// ---------------------------------------------------------------- supervisors under supervisors

supervisor_spec three_levels(const journal& log, carrier how, std::uint32_t most) {
    supervisor_spec lowest;
    lowest.intensity(most, 1s).add(worker("x", log, {}, how)).add(worker("y", log, {}, how));
    supervisor_spec middle;
    middle.intensity(most, 1s).add(supervisor("low", std::move(lowest), how)).add(worker("z", log, {}, how));
    supervisor_spec top;
    top.intensity(most, 1s).add(supervisor("mid", std::move(middle), how)).add(worker("t", log, {}, how));
    return top;
}

TEST(SupervisorChildren, AFailureThatNobodyCanRepairEscalatesThroughThreeLevelsWithItsWholeCause) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        const carrier how = w.seed() % 2 ? carrier{spread} : carrier{in_coroutine};
        ASSERT_TRUE(w.start(three_levels(log, how, 0)));
        EXPECT_EQ(log.taken(), "+x1 +y1 +z1 +t1");
        order<crash>(w, "/app/mid/low/x", "the first cause");
        ASSERT_TRUE(w.ended());
        EXPECT_EQ(log.taken(), "!x1 -y1 -z1 -t1");
        const exit_reason end = *w.ended();
        EXPECT_EQ(end.kind(), exit_kind::intensity);
        std::vector<std::string> origins;
        for (const exit_reason* r = &end; r; r = r->cause()) origins.emplace_back(r->origin());
        EXPECT_EQ(origins, (std::vector<std::string>{"/app", "/app/mid", "/app/mid/low", "/app/mid/low/x"}))
            << end.to_string();
        EXPECT_NE(end.to_string().find("the first cause"), std::string::npos);
    });
}

TEST(SupervisorChildren, AnEscalationRestartsTheSubtreeAndSparesTheRest) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        const carrier how = w.seed() % 2 ? carrier{spread} : carrier{in_coroutine};
        ASSERT_TRUE(w.start(three_levels(log, how, 1)));
        static_cast<void>(log.taken());
        order<crash>(w, "/app/mid/low/x");
        EXPECT_EQ(log.taken(), "!x1 +x2");
        order<crash>(w, "/app/mid/low/x");
        EXPECT_EQ(log.taken(), "!x2 -y1 +x1 +y1");
        EXPECT_EQ(w.restarts("/app/mid/low"), 1u);
        order<crash>(w, "/app/mid/low/y");
        order<crash>(w, "/app/mid/low/y");  // low again, so mid as well
        EXPECT_EQ(log.taken(), "!y1 +y2 !y2 -x1 -z1 +x1 +y1 +z1");
        EXPECT_EQ(w.restarts("/app/mid"), 1u);
        EXPECT_TRUE(w.running("/app/t"));
        EXPECT_EQ(w.restarts("/app/t"), 0u);
        EXPECT_FALSE(w.ended());
    });
}

TEST(SupervisorChildren, ASupervisorThatIsKilledEndsItsChildrenWithinTheirLimitsAndIsRestarted) {
    for_each_seed(seeds, [](world& w) {
        journal log;
        manners deaf;
        deaf.ignores_stop = true;
        const carrier how = carrier_for(w.seed());
        supervisor_spec inner;
        inner.add(worker("a", log, {}, how)).add(worker("b", log, deaf, how).shutdown(2s));
        ASSERT_TRUE(w.start(supervisor_spec{}.add(
            supervisor("s", std::move(inner), w.seed() % 2 ? carrier{spread} : carrier{in_coroutine}))));
        static_cast<void>(log.taken());
        const auto begin = w.now();
        auto s = w.resolve<supervisor_protocol>("/app/s");
        ASSERT_TRUE(s);
        w.kill(*s);
        ASSERT_TRUE(w.run_until([&] { return w.running("/app/s/b") && w.restarts("/app/s") == 1; }, 1h));
        w.run_until_idle();
        EXPECT_GE(w.now() - begin, 2s);
        EXPECT_EQ(log.taken(), "~b1 !b1 -a1 +a1 +b1");
        w.kill(*s);
        w.run_until_idle();
        w.kill(*s);  // killed again while it ends its children, it kills them
        const auto again = w.now();
        w.run_until_idle();
        EXPECT_EQ(w.now(), again);
        EXPECT_EQ(w.restarts("/app/s"), 2u);
        EXPECT_EQ(log.taken(), "~b1 !b1 !a1 +a1 +b1");
    });
}

TEST(SupervisorChildren, ASupervisorInAThreadOfItsOwnSupervisesLikeAnyOther) {
    for_each_seed(300, [](world& w) {
        journal log;
        supervisor_spec inner{strategy::one_for_all};
        inner.intensity(1, 1s)
            .add(worker("a", log))
            .add(worker("b", log, {}, in_thread))
            .add(worker("c", log, {}, spread));
        ASSERT_TRUE(w.start(supervisor_spec{}.add(supervisor("s", std::move(inner), in_thread))));
        static_cast<void>(log.taken());
        order<crash>(w, "/app/s/b");
        EXPECT_EQ(log.taken(), "!b1 -c1 -a1 +a2 +b2 +c2");
        order<crash>(w, "/app/s/c");
        EXPECT_EQ(log.taken(), "!c2 -b2 -a2 +a1 +b1 +c1");
        EXPECT_EQ(w.restarts("/app/s"), 1u);
    });
}

TEST(SupervisorChildren, AChildThatDoesNotReachAnAwaitIsAbandonedByNameAndItsParentGoesOn) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        world w{seed, {.schedulers = 2, .level = level::error}};
        journal log;
        auto root = w.start(
            supervisor_spec{}.add(worker("a", log)).add(worker("b", log, {}, in_thread).shutdown(1s)));
        ASSERT_TRUE(root);
        static_cast<void>(log.taken());
        w.wedge("/app/b");
        const auto begin = w.now();
        w.stop_node();
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1h)) << "seed " << seed;
        EXPECT_GE(w.now() - begin, 1s + limits::kill_grace);
        EXPECT_EQ(log.taken(), "-a1");
        bool named = false;
        for (const auto& line : w.log())
            named = named || (line.path == "/app/b" && line.text.starts_with("abandoned"));
        EXPECT_TRUE(named) << "seed " << seed;
        const std::vector<std::string> left = w.finish();
        EXPECT_NE(std::find(left.begin(), left.end(), "abandoned /app/b"), left.end()) << "seed " << seed;
    }
}

TEST(SupervisorChildren, ASupervisorWhoseChildHadToBeAbandonedEscalates) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        world w{seed};
        journal log;
        supervisor_spec inner{strategy::one_for_all};
        inner.add(worker("a", log)).add(worker("b", log, {}, in_thread).shutdown(1s));
        ASSERT_TRUE(w.start(supervisor_spec{}.intensity(0, 1s).add(supervisor("s", std::move(inner)))));
        w.wedge("/app/s/b");
        w.send<crash>(at(w, "/app/s/a"), "boom");
        ASSERT_TRUE(w.run_until([&] { return w.ended().has_value(); }, 1h)) << "seed " << seed;
        bool abandoned = false;
        const exit_reason end = *w.ended();
        for (const exit_reason* r = &end; r; r = r->cause())
            abandoned = abandoned || r->kind() == exit_kind::abandoned;
        EXPECT_TRUE(abandoned) << end.to_string();
        static_cast<void>(w.finish());
    }
}

}  // namespace
}  // namespace coppice::tests
