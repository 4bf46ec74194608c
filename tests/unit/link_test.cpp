// Monitors, links, exit reasons: who learns of an end, when, and what it says.
#include <algorithm>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

#include "cell_ext.hpp"
#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct go {};
struct note {
    int n = 0;
};
using going = protocol<go>;

task<> waits_then_ends(actor<going> self) { static_cast<void>(co_await self.receive()); }
task<> waits_then_throws(actor<going> self) {
    if (co_await self.receive()) throw std::runtime_error{"disk full"};
}
task<> waits_then_fails(actor<going> self) {
    if (co_await self.receive()) co_return self.fail("no {} at {}", "counter", 7);
}

testing::world_options two() {
    testing::world_options o;
    o.schedulers = 2;
    return o;
}

using any_going = task<> (*)(actor<going>);

// Starts a child on the same scheduler or on another, by the seed.
task<ref<going>> start(actor<anything> self, std::string name, any_going f) {
    const std::uint32_t scheduler = static_cast<std::uint32_t>(self.random() % 2);
    auto started = co_await self.start(child(std::move(name), on_scheduler(scheduler), f));
    co_return started.value().assume<going>();
}

TEST(Monitor, TellsOfTheEndOnceWithItsReason) {
    for_each_seed(300, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            struct expected {
                any_going run;
                exit_kind kind;
                std::string text;
            };
            int n = 0;
            for (const auto& e : {expected{waits_then_ends, exit_kind::normal, ""},
                                  expected{waits_then_throws, exit_kind::error, "disk full"},
                                  expected{waits_then_fails, exit_kind::failed, "no counter at 7"}}) {
                auto who = co_await start(self, "w" + std::to_string(n++), e.run);
                const auto id = self.monitor(who);
                EXPECT_EQ(self.send<go>(who), errc::ok);
                auto m = co_await self.receive(10s);
                REQUIRE_OR_END(m);
                auto* d = m->get_if<down>();
                REQUIRE_OR_END(d);
                EXPECT_EQ(d->monitor, id);
                EXPECT_EQ(d->who, who);
                EXPECT_EQ(d->reason.kind(), e.kind);
                EXPECT_EQ(d->reason.text(), e.text);
                if (e.kind != exit_kind::normal) {
                    EXPECT_EQ(d->reason.origin(), who.to_string());
                    EXPECT_EQ(d->reason.in_hand(), message_name<go>);
                }
                EXPECT_EQ((co_await self.receive(10s)).error(), errc::timeout) << "once";
            }
        });
    });
}

TEST(Monitor, OfADeadActorTellsAtOnceWithNoActor) {
    for_each_seed(200, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto who = co_await start(self, "w", waits_then_ends);
            static_cast<void>(self.send<go>(who));
            co_await self.sleep(1s);
            const auto before = self.now();
            self.monitor(who);
            self.monitor(ref<going>{});
            for (int i = 0; i < 2; ++i) {
                auto m = co_await self.receive(10s);
                REQUIRE_OR_END(m);
                EXPECT_EQ(m->get_if<down>()->reason.kind(), exit_kind::no_actor);
            }
            EXPECT_EQ(self.now(), before);
        });
    });
}

TEST(Monitor, SeveralOfOneActorEachTell) {
    for_each_seed(100, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto who = co_await start(self, "w", waits_then_ends);
            std::vector<std::uint64_t> set{self.monitor(who), self.monitor(who), self.monitor(who)};
            static_cast<void>(self.send<go>(who));
            std::vector<std::uint64_t> told;
            for (int i = 0; i < 3; ++i) {
                auto m = co_await self.receive(10s);
                REQUIRE_OR_END(m);
                told.push_back(m->get_if<down>()->monitor);
            }
            std::sort(told.begin(), told.end());
            EXPECT_EQ(told, set);
        });
    });
}

TEST(Monitor, ACancelledOneLeavesNoLateDown) {
    for_each_seed(1000, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto who = co_await start(self, "w", waits_then_ends);
            const auto id = self.monitor(who);
            const auto other = self.monitor(who);
            if (self.random() % 2) static_cast<void>(self.send<go>(who));
            for (std::uint64_t n = self.random() % 6; n > 0; --n) co_await self.yield();
            self.demonitor(id);
            static_cast<void>(self.send<go>(who));
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            EXPECT_EQ(m->get_if<down>()->monitor, other);
            EXPECT_EQ((co_await self.receive(10s)).error(), errc::timeout);
        });
    });
}

TEST(Monitor, OfARestartedActorTellsOfThatIncarnation) {
    struct fragile {
        static task<> run(actor<going> self) {
            while (auto m = co_await self.receive()) throw std::runtime_error{"again"};
        }
    };
    for_each_seed(200, two(), [](testing::world& world) {
        supervisor_spec spec;
        spec.add(
            child("fragile", on_scheduler(static_cast<std::uint32_t>(world.seed() / 7 % 2)), fragile::run));
        ASSERT_TRUE(world.start(spec));
        play(world, [](actor<anything> self) -> task<> {
            auto who = *co_await self.resolve<going>("fragile");
            const auto pinned = who.pinned();
            self.monitor(who);
            EXPECT_EQ(self.send<go>(who), errc::ok);
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            auto* d = m->get_if<down>();
            EXPECT_EQ(d->reason.text(), "again");
            co_await self.sleep(1s);
            // By name it is the next incarnation; who told of its end was the first.
            auto next = co_await self.ask<which_children>(self.parent().assume<supervisor_protocol>(), 1s);
            REQUIRE_OR_END(next && next->size() == 1);
            EXPECT_EQ(next->front().restarts, 1u);
            const errc through_pinned = self.send<go>(pinned);
            co_await self.sleep(1s);
            // To another scheduler ok means handed over: the incarnation is looked at there, and nothing ends.
            EXPECT_TRUE(through_pinned == errc::down || through_pinned == errc::ok);
            next = co_await self.ask<which_children>(self.parent().assume<supervisor_protocol>(), 1s);
            EXPECT_EQ(next->front().restarts, 1u) << "the pinned ref did not reach the second incarnation";
            EXPECT_EQ(self.send<go>(who), errc::ok);
            co_await self.sleep(1s);
            next = co_await self.ask<which_children>(self.parent().assume<supervisor_protocol>(), 1s);
            EXPECT_EQ(next->front().restarts, 2u) << "a ref by name follows";
        });
    });
}

TEST(Monitor, WhatHasBeenToldIsForgotten) {
    for_each_seed(3, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            for (int i = 0; i < 100; ++i) {
                auto who = co_await start(self, "w" + std::to_string(i), waits_then_ends);
                const auto id = self.monitor(who);
                static_cast<void>(self.send<go>(who));
                REQUIRE_OR_END(co_await self.receive(10s));
                self.demonitor(id);  // late, as clean-up code does it
            }
            EXPECT_TRUE(self.cell()->ext->watching.empty());
            EXPECT_TRUE(self.cell()->ext->cancelled_monitors.empty());
        });
    });
}

TEST(Link, AnUncleanEndKillsTheOtherWithTheChainOfCauses) {
    for_each_seed(300, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto one = co_await start(self, "one", waits_then_throws);
            struct linked {
                static task<> run(actor<going> s, ref<going> to) {
                    s.link(to);
                    co_await s.sleep(1000s);
                }
            };
            auto two_ = co_await self.start(
                child("two", on_scheduler(static_cast<std::uint32_t>(self.random() % 2)), linked::run, one));
            REQUIRE_OR_END(two_);
            auto three =
                co_await self.start(child("three", on_scheduler(0), linked::run, two_->assume<going>()));
            REQUIRE_OR_END(three);
            co_await self.sleep(1s);
            self.monitor(*three);
            static_cast<void>(self.send<go>(one));
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            const exit_reason& reason = m->get_if<down>()->reason;
            EXPECT_EQ(reason.kind(), exit_kind::linked);
            REQUIRE_OR_END(reason.cause() && reason.cause()->cause());
            EXPECT_EQ(reason.cause()->kind(), exit_kind::linked);
            EXPECT_EQ(reason.cause()->cause()->kind(), exit_kind::error);
            EXPECT_EQ(reason.cause()->cause()->text(), "disk full");
        });
    });
}

TEST(Link, ACleanEndLeavesTheOtherAlone) {
    for_each_seed(200, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto one = co_await start(self, "one", waits_then_ends);
            self.link(one);
            static_cast<void>(self.send<go>(one));
            co_await self.sleep(1s);
            EXPECT_FALSE(self.stopping());
        });
    });
}

TEST(Link, OneThatTrapsGetsAnExitSignalInsteadAlsoOfACleanEnd) {
    for_each_seed(300, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            self.trap_exits();
            int n = 0;
            for (const any_going f : {any_going{waits_then_ends}, any_going{waits_then_throws}}) {
                auto one = co_await start(self, "one" + std::to_string(n++), f);
                self.link(one);
                self.link(one);  // twice is once
                co_await self.yield();
                static_cast<void>(self.send<go>(one));
                auto m = co_await self.receive(10s);
                REQUIRE_OR_END(m);
                auto* e = m->get_if<exit_signal>();
                REQUIRE_OR_END(e);
                EXPECT_EQ(e->who, one);
                EXPECT_EQ(e->reason.kind(), f == waits_then_ends ? exit_kind::normal : exit_kind::error);
                EXPECT_EQ((co_await self.receive(10s)).error(), errc::timeout) << "once";
            }
        });
    });
}

TEST(Link, MadeFromBothSidesAtTheSameMomentTellsOnce) {
    for_each_seed(1000, two(), [](testing::world& world) {
        struct mutual {
            static task<> run(actor<protocol<note>> s, std::string peer, int* signals) {
                s.trap_exits();
                auto first = co_await s.receive();
                if (!first) co_return;
                auto to = co_await s.resolve<protocol<note>>(peer);
                s.link(*to);
                while (auto m = co_await s.receive()) {
                    if (m.is<exit_signal>()) ++*signals;
                    if (auto* n = m.get_if<note>(); n && n->n == 2) co_return;
                }
            }
        };
        int signals[2] = {0, 0};
        supervisor_spec spec;
        spec.add(child("a", on_scheduler(0), mutual::run, std::string{"b"}, &signals[0])
                     .restarts(restart::temporary));
        spec.add(child("b", on_scheduler(1), mutual::run, std::string{"a"}, &signals[1])
                     .restarts(restart::temporary));
        ASSERT_TRUE(world.start(spec));
        auto a = *world.resolve<protocol<note>>("a");
        auto b = *world.resolve<protocol<note>>("b");
        world.send<note>(a, 1);
        world.send<note>(b, 1);
        world.run_until_idle();
        world.send<note>(a, 2);
        world.run_until_idle();
        EXPECT_EQ(signals[1], 1);
        world.send<note>(b, 2);
        world.run_until_idle();
        EXPECT_EQ(signals[0], 0);
    });
}

TEST(Link, AfterUnlinkAnEndIsNoConcern) {
    for_each_seed(300, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto one = co_await start(self, "one", waits_then_throws);
            self.link(one);
            for (std::uint64_t n = self.random() % 3; n > 0; --n) co_await self.yield();
            self.unlink(one);
            static_cast<void>(self.send<go>(one));
            co_await self.sleep(1s);
            EXPECT_FALSE(self.stopping());
        });
    });
}

TEST(Link, ToADeadActorKills) {
    for_each_seed(200, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto gone = co_await start(self, "gone", waits_then_ends);
            static_cast<void>(self.send<go>(gone));
            co_await self.sleep(1s);
            auto victim = self.spawn(
                [](actor<going> s, ref<going> to) -> task<> {
                    s.link(to);
                    co_await s.sleep(1000s);
                },
                gone);
            self.monitor(victim);
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            EXPECT_EQ(m->get_if<down>()->reason.kind(), exit_kind::linked);
            EXPECT_EQ(m->get_if<down>()->reason.cause()->kind(), exit_kind::no_actor);
        });
    });
}

// ---- reasons

TEST(ExitReason, OfNestedExceptionsHasThemAsItsCauses) {
    for_each_seed(5, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto who = self.spawn([](actor<going>) -> task<> {
                try {
                    try {
                        throw std::invalid_argument{"port -1"};
                    } catch (...) {
                        std::throw_with_nested(std::runtime_error{"cannot connect"});
                    }
                } catch (...) {
                    std::throw_with_nested(std::runtime_error{"cannot start"});
                }
                co_return;
            });
            self.monitor(who);
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            const exit_reason& r = m->get_if<down>()->reason;
            EXPECT_EQ(r.text(), "cannot start");
            REQUIRE_OR_END(r.cause() && r.cause()->cause());
            EXPECT_EQ(r.cause()->text(), "cannot connect");
            EXPECT_EQ(r.cause()->cause()->text(), "port -1");
            EXPECT_EQ(r.cause()->cause()->cause(), nullptr);
            EXPECT_EQ(r.to_string(), "error: cannot start (in " + std::string{r.origin()} +
                                         "), because error: cannot connect, because error: port -1");
        });
    });
}

struct own_exception {
    int code;
};

TEST(ExitReason, OfAnExceptionOfAnyTypeNamesTheType) {
    for_each_seed(1, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto who = self.spawn([](actor<going>) -> task<> {
                throw own_exception{3};
                co_return;
            });
            self.monitor(who);
            auto m = co_await self.receive(10s);
            REQUIRE_OR_END(m);
            EXPECT_NE(m->get_if<down>()->reason.text().find("own_exception"), std::string::npos);
        });
    });
}

TEST(ExitReason, AChainLongerThanItsLimitIsCutWhenPrinted) {
    exit_reason r{exit_kind::error, "0"};
    for (std::size_t i = 1; i < limits::cause_depth + 10; ++i)
        r = r.because(exit_reason{exit_kind::error, std::to_string(i)});
    const std::string text = r.to_string();
    EXPECT_TRUE(text.ends_with(", because ..."));
    EXPECT_NE(text.find("error: " + std::to_string(limits::cause_depth)), std::string::npos);
}

TEST(ExitReason, StoppedKilledAndShutDownAreToldApart) {
    for_each_seed(100, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            struct sleeper {
                static task<> run(actor<going> s) {
                    while (auto m = co_await s.receive()) {
                    }
                }
            };
            auto stopped = co_await start(self, "stopped", sleeper::run);
            auto shut = co_await start(self, "shut", sleeper::run);
            auto killed = co_await start(self, "killed", sleeper::run);
            const auto reason_of = [](actor<anything> s, ref<going> who) -> task<exit_kind> {
                auto m = co_await s.receive(100s);
                EXPECT_EQ(m.value().get_if<down>()->who, who);
                co_return m.value().get_if<down>()->reason.kind();
            };
            self.monitor(stopped);
            self.stop(stopped);
            EXPECT_EQ(co_await reason_of(self, stopped), exit_kind::stopped);
            self.monitor(shut);
            self.shutdown(shut, 1s);
            EXPECT_EQ(co_await reason_of(self, shut), exit_kind::stopped);
            self.monitor(killed);
            self.kill(killed);
            EXPECT_EQ(co_await reason_of(self, killed), exit_kind::killed);
        });
    });
}

TEST(ExitReason, AShutdownThatIsNotFollowedWithinItsLimitKills) {
    for_each_seed(50, two(), [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            struct slow {
                static task<> run(actor<going> s) {
                    try {
                        co_await s.sleep(1000s);
                    } catch (const cancelled&) {
                    }
                    co_await s.sleep(1000s);  // cancelled once only: this one waits
                }
            };
            auto who = co_await start(self, "slow", slow::run);
            self.monitor(who);
            const auto before = self.now();
            self.shutdown(who, 2s);
            auto m = co_await self.receive(100s);
            REQUIRE_OR_END(m);
            EXPECT_EQ(m->get_if<down>()->reason.kind(), exit_kind::killed);
            EXPECT_GE(self.now() - before, 2s);
        });
    });
}

}  // namespace
}  // namespace coppice::tests
