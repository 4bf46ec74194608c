// Names, paths and groups: who is found by which name, and whom a publish reaches.
#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct note {
    int n = 0;
};
struct get {
    using reply = int;
};
struct other {
    using reply = int;
};
using small = protocol<note>;
using large = protocol<note, get>;

task<> idle(actor<large> self) {
    while (auto m = co_await self.receive()) m.match([](const note&) {}, [](request<get> r) { r.reply(1); });
}

TEST(Registry, FindsAnActorByPathAndRelativeToTheRoot) {
    for_each_seed(20, [](testing::world& world) {
        supervisor_spec inner;
        inner.add(child("leaf", in_coroutine, idle));
        supervisor_spec spec;
        spec.add(supervisor("branch", inner));
        ASSERT_TRUE(world.start(spec));
        play(world, [](actor<anything> self) -> task<> {
            auto full = co_await self.resolve<large>("/app/branch/leaf");
            auto relative = co_await self.resolve<large>("branch/leaf");
            REQUIRE_OR_END(full && relative);
            EXPECT_EQ(*full, *relative);
            EXPECT_EQ(full->to_string(), "/app/branch/leaf");
            EXPECT_TRUE(co_await self.resolve<small>("branch/leaf")) << "a part of what it takes is enough";
            auto wrong = co_await self.resolve<protocol<other>>("branch/leaf");
            EXPECT_EQ(wrong.error(), errc::wrong_protocol);
            auto none = co_await self.resolve<large>("branch/root");
            EXPECT_EQ(none.error(), errc::not_found);
            EXPECT_NE(none.error().text().find("/app/branch/root"), std::string_view::npos)
                << "says what was not found";
            auto far = co_await self.resolve<large>("/elsewhere/leaf");
            EXPECT_EQ(far.error(), errc::unreachable);
        });
    });
}

TEST(Registry, RefusesBadNames) {
    for_each_seed(3, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            for (const std::string& bad :
                 {std::string{}, std::string{"a/b"}, std::string{"a:b"}, std::string{"a?b"},
                  std::string{"a#b"}, std::string{"$1"}, std::string{"a\nb"}, std::string{"."},
                  std::string{".."}, std::string(256, 'x')}) {
                auto started = co_await self.start(child(bad, in_coroutine, idle));
                EXPECT_EQ(started.error(), errc::bad_name) << '\'' << bad << '\'';
            }
            auto longest = co_await self.start(child(std::string(255, 'x'), in_coroutine, idle));
            EXPECT_TRUE(longest);
            auto spaced = co_await self.start(child("with space \xc3\xa4", in_coroutine, idle));
            EXPECT_TRUE(spaced);
        });
    });
}

TEST(Registry, ANameOfALivingActorIsTakenAndFreeAgainAfterItsEnd) {
    for_each_seed(200, [](testing::world& world) {
        play(
            world,
            [](actor<anything> self, std::uint32_t schedulers) -> task<> {
                auto first = co_await self.start(child("x", on(1, schedulers), idle));
                REQUIRE_OR_END(first);
                auto second = co_await self.start(child("x", on(0, schedulers), idle));
                EXPECT_EQ(second.error(), errc::name_taken);
                self.monitor(*first);
                self.stop(*first);
                REQUIRE_OR_END(co_await self.receive_only<down>(10s));
                co_await self.sleep(1ms);  // the name is free once its parent knows of the end
                auto third = co_await self.start(child("x", on(2, schedulers), idle));
                EXPECT_TRUE(third) << third.error().what();
                auto answer = co_await self.ask<get>(first->assume<large>(), 1s);
                EXPECT_TRUE(answer) << "a ref by name finds the successor: " << answer.error().what();
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Registry, AStartThatFailsGivesTheNameBack) {
    for_each_seed(100, [](testing::world& world) {
        play(
            world,
            [](actor<anything> self, std::uint32_t schedulers) -> task<> {
                struct faulty {
                    static task<> run(actor<large> s) {
                        co_await s.yield();
                        throw std::runtime_error{"not today"};
                    }
                };
                auto failed = co_await self.start(child("x", on(1, schedulers), faulty::run).awaits_ready());
                EXPECT_EQ(failed.error(), errc::start_failed);
                EXPECT_NE(failed.error().text().find("not today"), std::string_view::npos)
                    << failed.error().what();
                co_await self.sleep(1ms);
                EXPECT_TRUE(co_await self.start(child("x", on(0, schedulers), idle)));
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Registry, OneThatIsNotReadyInTimeFailsToStart) {
    for_each_seed(100, [](testing::world& world) {
        play(
            world,
            [](actor<anything> self, std::uint32_t schedulers) -> task<> {
                struct late {
                    static task<> run(actor<large> s) {
                        co_await s.sleep(10s);
                        s.ready();
                    }
                };
                const auto before = self.now();
                auto failed =
                    co_await self.start(child("late", on(1, schedulers), late::run).awaits_ready(2s));
                EXPECT_EQ(failed.error(), errc::start_failed);
                EXPECT_GE(self.now() - before, 2s);
                auto in_time =
                    co_await self.start(child("in_time", on(1, schedulers), late::run).awaits_ready(20s));
                EXPECT_TRUE(in_time);
                EXPECT_GE(self.now() - before, 12s) << "started means ready";
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Registry, AnActorKnowsItsPathItsParentAndItself) {
    for_each_seed(10, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            struct told {
                std::string path;
                ref<> parent;
            };
            struct asks {
                static task<> run(actor<protocol<>> s, told* out) {
                    out->path = s.path();
                    out->parent = s.parent();
                    co_return;
                }
            };
            told t;
            REQUIRE_OR_END(co_await self.start(child("x", in_coroutine, asks::run, &t)));
            EXPECT_EQ(t.path, self.path() + "/x");
            EXPECT_EQ(t.parent, self.me());
        });
    });
}

// ---- groups

struct alarm {
    int n = 0;
};

TEST(Group, APublishReachesEachMemberOnceAndNeverTheSender) {
    for_each_seed(300, [](testing::world& world) {
        struct member {
            static task<> run(actor<protocol<alarm>> self, int* seen) {
                EXPECT_EQ(self.join("alarms"), errc::ok);
                EXPECT_EQ(self.join("alarms"), errc::ok);  // twice is once
                self.ready();
                while (auto m = co_await self.receive()) ++*seen;
            }
        };
        int seen[4] = {};
        supervisor_spec spec;
        const auto n = static_cast<std::uint32_t>(1 + world.seed() % 3);
        for (int i = 0; i < 4; ++i)
            spec.add(
                child("m" + std::to_string(i), on(static_cast<std::uint32_t>(i), n), member::run, &seen[i])
                    .awaits_ready());
        ASSERT_TRUE(world.start(spec));
        play<protocol<alarm>>(world, [](actor<protocol<alarm>> self) -> task<> {
            self.join("alarms");
            EXPECT_EQ(self.publish<alarm>("alarms", 1), 4u);
            co_await self.sleep(1s);
            EXPECT_EQ(self.depth().normal, 0u) << "not to itself";
            EXPECT_EQ(self.publish<alarm>("nobody here", 1), 0u);
            self.leave("alarms");
            self.leave("alarms");
        });
        for (const int s : seen) EXPECT_EQ(s, 1);
    });
}

TEST(Group, AMemberThatEndsLeavesAndOneThatRestartsStays) {
    for_each_seed(200, [](testing::world& world) {
        struct member {
            static task<> run(actor<protocol<alarm, note>> self, bool throws) {
                self.join("alarms");
                self.ready();
                while (auto m = co_await self.receive())
                    if (m.is<note>()) {
                        if (throws) throw std::runtime_error{"restart me"};
                        co_return;
                    }
            }
        };
        supervisor_spec spec;
        spec.add(child("ends", in_coroutine, member::run, false).restarts(restart::temporary).awaits_ready());
        spec.add(child("restarts", in_coroutine, member::run, true).awaits_ready());
        ASSERT_TRUE(world.start(spec));
        play(world, [](actor<anything> self) -> task<> {
            for (const char* name : {"ends", "restarts"}) {
                auto to = *co_await self.resolve<small>(name);
                EXPECT_EQ(self.send<note>(to, 1), errc::ok);
            }
            co_await self.sleep(1s);
            EXPECT_EQ(self.publish<alarm>("alarms", 1), 1u);
        });
        const node_info info = world.inspect();
        ASSERT_EQ(info.groups.size(), 1u);
        EXPECT_EQ(info.groups[0].second, 1u);
    });
}

TEST(Group, ABadNameIsRefused) {
    testing::world world{1};
    play(world, [](actor<anything> self) -> task<> {
        EXPECT_EQ(self.join(""), errc::bad_name);
        EXPECT_EQ(self.join("a/b"), errc::bad_name);
        co_return;
    });
}

TEST(Group, APublishFromOneActorKeepsItsOrder) {
    for_each_seed(300, [](testing::world& world) {
        struct member {
            static task<> run(actor<protocol<alarm>> self, std::vector<int>* seen) {
                self.join("alarms");
                self.ready();
                while (auto m = co_await self.receive()) seen->push_back(m.get_if<alarm>()->n);
            }
        };
        std::vector<int> seen[2];
        supervisor_spec spec;
        const auto n = static_cast<std::uint32_t>(1 + world.seed() % 3);
        for (int i = 0; i < 2; ++i)
            spec.add(
                child("m" + std::to_string(i), on(static_cast<std::uint32_t>(i), n), member::run, &seen[i])
                    .awaits_ready());
        ASSERT_TRUE(world.start(spec));
        play(world, [](actor<anything> self) -> task<> {
            for (int i = 0; i < 20; ++i) {
                if (i % 2) static_cast<void>(self.publish<alarm>("alarms", i));
                else
                    for (const char* to : {"m0", "m1"})
                        static_cast<void>(self.send<alarm>(*co_await self.resolve<protocol<alarm>>(to), i));
                if (self.random() % 3 == 0) co_await self.yield();
            }
        });
        world.run_until_idle();
        for (const auto& s : seen) {
            EXPECT_EQ(s.size(), 20u);
            EXPECT_TRUE(std::is_sorted(s.begin(), s.end()));
        }
    });
}

}  // namespace
}  // namespace coppice::tests
