// race, gather, with_timeout, own tasks, offload: several things at once within one actor.
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
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
    int n = 0;
};
struct question {
    using reply = int;
};
using noting = protocol<note, urgent, question>;

task<int> at_once(int n) { co_return n; }
task<int> after(actor<noting> self, std::chrono::nanoseconds d, int n) {
    co_await self.sleep(d);
    co_return n;
}
task<int> failing(actor<noting> self, std::chrono::nanoseconds d) {
    co_await self.sleep(d);
    throw std::runtime_error{"failed"};
}

TEST(Race, GivesTheFirstAndCancelsTheOthers) {
    for_each_seed(200, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            const auto before = self.now();
            auto won = co_await race(after(self, 3s, 3), after(self, 1s, 1), after(self, 2s, 2));
            EXPECT_EQ(won.index(), 1u);
            EXPECT_EQ(std::get<1>(won), 1);
            EXPECT_EQ(self.now() - before, 1s) << "the losers are not waited for until their time";
        });
    });
}

TEST(Race, ALosingReceiveLeavesItsMessage) {
    for_each_seed(5000, [](testing::world& world) {
        play<noting>(
            world,
            [](actor<noting> self, std::uint32_t schedulers) -> task<> {
                struct sender {
                    static task<> run(actor<protocol<>> s, ref<noting> to) {
                        for (int i = 0; i < 20; ++i) {
                            if (s.random() % 4 == 0) static_cast<void>(s.send<urgent>(to, i));
                            else static_cast<void>(s.send<note>(to, i));
                            co_await s.sleep(std::chrono::microseconds{s.random() % 200});
                        }
                    }
                };
                REQUIRE_OR_END(co_await self.start(child("s", on(1, schedulers), sender::run, self.me())));
                int notes = -1;
                int urgents = -1;
                int seen = 0;
                const auto take = [&](received<noting> m) {
                    if (!m) return;
                    ++seen;
                    if (auto* n = m.get_if<note>()) {
                        EXPECT_GT(n->n, notes);
                        notes = n->n;
                    } else if (auto* u = m.get_if<urgent>()) {
                        EXPECT_GT(u->n, urgents);
                        urgents = u->n;
                    }
                };
                for (int i = 0; i < 300 && seen < 20; ++i) {
                    const auto limit = std::chrono::microseconds{self.random() % 100};
                    switch (self.random() % 6) {
                    case 0: {
                        auto won = co_await race(self.receive(), self.sleep(limit));
                        if (won.index() == 0) take(std::move(std::get<0>(won)));
                        break;
                    }
                    case 1: {
                        auto won = co_await race(at_once(1), self.receive());
                        if (won.index() == 1) take(std::move(std::get<1>(won)));
                        break;
                    }
                    case 2: {
                        auto won = co_await race(self.receive(), at_once(1));
                        if (won.index() == 0) take(std::move(std::get<0>(won)));
                        break;
                    }
                    case 3: {
                        auto won = co_await with_timeout(limit, self.receive());
                        if (won) take(std::move(*won));
                        break;
                    }
                    case 4: {
                        auto won = co_await race(self.receive_only<note>(limit), self.sleep(limit));
                        if (won.index() == 0 && std::get<0>(won)) {
                            ++seen;
                            EXPECT_GT((*std::get<0>(won)).get_if<note>()->n, notes);
                            notes = (*std::get<0>(won)).get_if<note>()->n;
                        }
                        break;
                    }
                    default: {
                        auto m = co_await self.receive(limit);
                        if (m) take(std::move(*m));
                    }
                    }
                }
                EXPECT_EQ(seen, 20) << "mail was lost";
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Race, ALosingAskForgetsItsReply) {
    for_each_seed(300, [](testing::world& world) {
        struct slow {
            static task<> run(actor<protocol<question>> self) {
                while (auto m = co_await self.receive()) {
                    co_await self.sleep(10ms);
                    m.match([](request<question> r) { r.reply(7); });
                }
            }
        };
        play<noting>(world, [](actor<noting> self) -> task<> {
            auto callee = self.spawn(slow::run);
            auto won = co_await race(self.ask<question>(callee, 1s), self.sleep(5ms));
            EXPECT_EQ(won.index(), 1u);
            auto answer = co_await self.ask<question>(callee, 1s);
            EXPECT_EQ(answer.value(), 7);
            EXPECT_EQ(self.depth().normal, 0u);
        });
    });
}

TEST(Race, AnExceptionOfTheFirstToFinishLeavesTheAwait) {
    for_each_seed(50, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            std::string text;
            try {
                static_cast<void>(co_await race(after(self, 3s, 3), failing(self, 1s)));
            } catch (const std::runtime_error& e) {
                text = e.what();
            }
            EXPECT_EQ(text, "failed");
        });
    });
}

TEST(Gather, GivesAll) {
    for_each_seed(100, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            const auto before = self.now();
            auto [a, b, c, d] =
                co_await gather(after(self, 3s, 3), at_once(1), self.sleep(2s), after(self, 2s, 2));
            EXPECT_EQ(a * 100 + b * 10 + d, 312);
            static_cast<void>(c);
            EXPECT_EQ(self.now() - before, 3s) << "side by side";
        });
    });
}

TEST(Gather, GivesAllOfAsManyAsThereAre) {
    for_each_seed(100, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            const auto before = self.now();
            std::vector<task<int>> all;
            for (int i = 0; i < 20; ++i)
                all.push_back(i % 3 == 0 ? at_once(i) : after(self, std::chrono::seconds{20 - i}, i));
            const std::vector<int> values = co_await gather(std::move(all));
            REQUIRE_OR_END(values.size() == 20);
            for (int i = 0; i < 20; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
            EXPECT_EQ(self.now() - before, 19s) << "side by side";
            EXPECT_TRUE((co_await gather(std::vector<task<int>>{})).empty());
            EXPECT_EQ(self.now() - before, 19s);

            std::vector<task<int>> some;
            some.push_back(after(self, 100s, 1));
            some.push_back(failing(self, 1s));
            some.push_back(after(self, 100s, 2));
            bool caught = false;
            try {
                static_cast<void>(co_await gather(std::move(some)));
            } catch (const std::runtime_error&) {
                caught = true;
            }
            EXPECT_TRUE(caught);
            EXPECT_EQ(self.now() - before, 20s) << "the first exception cancels the others";
        });
    });
}

TEST(Gather, TheFirstExceptionCancelsTheOthers) {
    for_each_seed(100, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            const auto before = self.now();
            EXPECT_EQ(self.send<note>(self.me(), 1), errc::ok);
            bool caught = false;
            try {
                static_cast<void>(co_await gather(after(self, 100s, 3), failing(self, 1s)));
            } catch (const std::runtime_error&) {
                caught = true;
            }
            EXPECT_TRUE(caught);
            EXPECT_EQ(self.now() - before, 1s);
            EXPECT_EQ(self.depth().normal, 1u);
        });
    });
}

TEST(WithTimeout, GivesTheValueOrTimeout) {
    for_each_seed(50, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            auto in_time = co_await with_timeout(2s, after(self, 1s, 5));
            EXPECT_EQ(in_time.value(), 5);
            auto late = co_await with_timeout(1s, after(self, 2s, 5));
            EXPECT_EQ(late.error(), errc::timeout);
            auto nothing = co_await with_timeout(1s, self.sleep(500ms));
            EXPECT_TRUE(nothing);
        });
    });
}

TEST(Race, MayBeNested) {
    for_each_seed(200, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            auto won = co_await race(gather(after(self, 1s, 1), after(self, 2s, 2)),
                                     race(after(self, 4s, 4), with_timeout(3s, after(self, 9s, 9))));
            REQUIRE_OR_END(won.index() == 0);
            EXPECT_EQ(std::get<1>(std::get<0>(won)), 2);
        });
    });
}

// ---- own tasks

TEST(OwnTask, GivesItsValueOnce) {
    for_each_seed(100, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            auto early = self.spawn_task(after(self, 1s, 1));
            auto late = self.spawn_task(after(self, 2s, 2));
            EXPECT_FALSE(early.done());
            EXPECT_EQ(co_await late.join(), 2);
            EXPECT_TRUE(early.done());
            EXPECT_EQ(co_await early.join(), 1);
        });
    });
}

TEST(OwnTask, ItsExceptionGoesToTheOneThatJoins) {
    for_each_seed(100, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            auto t = self.spawn_task(failing(self, 1s));
            bool caught = false;
            try {
                static_cast<void>(co_await t.join());
            } catch (const std::runtime_error&) {
                caught = true;
            }
            EXPECT_TRUE(caught);
        });
    });
}

TEST(OwnTask, AFailureThatNobodyJoinsEndsTheActorWithThatReason) {
    for_each_seed(100, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            auto victim = self.spawn([](actor<noting> s) -> task<> {
                s.spawn_task(failing(s, 1s));
                co_await s.sleep(1000s);
            });
            self.monitor(victim);
            auto m = co_await self.receive(100s);
            REQUIRE_OR_END(m);
            const auto& reason = m->get_if<down>()->reason;
            EXPECT_EQ(reason.kind(), exit_kind::error);
            EXPECT_EQ(reason.text(), "failed");
        });
    });
}

TEST(OwnTask, IsCancelledAndJoinedBeforeTheActorIsGone) {
    for_each_seed(200, [](testing::world& world) {
        struct traces {
            bool cleaned = false;
        };
        struct guard {
            traces* t;
            ~guard() { t->cleaned = true; }
        };
        struct work {
            static task<> run(actor<noting> s, traces* t) {
                const guard g{t};
                try {
                    co_await s.sleep(1000s);
                } catch (const cancelled&) {
                    throw;
                }
            }
        };
        play(world, [](actor<anything> self) -> task<> {
            traces t;
            auto who = self.spawn(
                [](actor<noting> s, traces* out) -> task<> {
                    s.spawn_task(work::run(s, out));
                    co_await s.sleep(1s);
                },
                &t);
            self.monitor(who);
            auto m = co_await self.receive(100s);
            REQUIRE_OR_END(m);
            EXPECT_TRUE(t.cleaned) << "the down comes after the tasks are joined";
            EXPECT_EQ(m->get_if<down>()->reason.kind(), exit_kind::normal);
        });
    });
}

TEST(OwnTask, MayReceiveForItsActorAndPassOnWhatItIsNotFor) {
    for_each_seed(100, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            struct reading {
                static task<int> run(actor<noting> s) {
                    int sum = 0;
                    for (int i = 0; i < 3; ++i) {
                        auto m = co_await s.receive();
                        if (auto* n = m.get_if<note>()) sum += n->n;
                    }
                    co_return sum;
                }
            };
            auto t = self.spawn_task(reading::run(self));
            for (int i = 1; i <= 4; ++i) {
                EXPECT_EQ(self.send<note>(self.me(), i), errc::ok);
                co_await self.yield();
            }
            EXPECT_EQ(co_await t.join(), 6);
            auto rest = co_await self.receive();
            EXPECT_EQ(rest.get_if<note>()->n, 4);
        });
    });
}

TEST(OwnTask, ADemonitorWhileTheMainCoroutineReceivesDoesNotDisturbIt) {
    for_each_seed(300, [](testing::world& world) {
        play<noting>(world, [](actor<noting> self) -> task<> {
            struct disturbing {
                static task<> run(actor<noting> s) {
                    for (int i = 0; i < 20; ++i) {
                        auto gone = s.spawn([](actor<noting>) -> task<> { co_return; });
                        const auto id = s.monitor(gone);
                        for (std::uint64_t n = s.random() % 4; n > 0; --n) co_await s.yield();
                        s.demonitor(id);
                    }
                    EXPECT_EQ(s.send<note>(s.me(), 1), errc::ok);
                }
            };
            auto t = self.spawn_task(disturbing::run(self));
            for (;;) {
                auto m = co_await self.receive();
                REQUIRE_OR_END(m);
                if (m.is<note>()) break;  // a down that came before its demonitor is no fault
            }
            co_await t.join();
        });
    });
}

// ---- offload

TEST(Offload, GivesTheValueOfABlockingCallAndItsException) {
    for_each_seed(100, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            EXPECT_EQ(co_await self.offload([] { return 6 * 7; }), 42);
            co_await self.offload([] {});
            auto moved =
                co_await self.offload([p = std::make_shared<int>(3)] { return std::make_unique<int>(*p); });
            EXPECT_EQ(*moved, 3);
            std::string text;
            try {
                co_await self.offload([] { throw std::runtime_error{"no such file"}; });
            } catch (const std::runtime_error& e) {
                text = e.what();
            }
            EXPECT_EQ(text, "no such file");
        });
    });
}

TEST(Offload, OfAStoppedActorIsWaitedForAndThenCancelled) {
    for_each_seed(300, [](testing::world& world) {
        struct blocker {
            static task<> run(actor<protocol<>> self, bool* returned, std::string* told) {
                try {
                    co_await self.offload([returned] { *returned = true; });
                    *told = "went on";
                } catch (const cancelled&) {
                    *told = *returned ? "cancelled after the job" : "cancelled before the job";
                    throw;
                }
            }
        };
        play(world, [](actor<anything> self) -> task<> {
            bool returned = false;
            std::string told;
            auto who = self.spawn(blocker::run, &returned, &told);
            for (std::uint64_t n = self.random() % 3; n > 0; --n) co_await self.yield();
            self.kill(who);
            self.monitor(who);
            REQUIRE_OR_END(co_await self.receive(1000s));
            // Killed before it began, the job was never handed over.
            EXPECT_TRUE(told.empty() || told == "went on" || told == "cancelled after the job" ||
                        (told == "cancelled before the job" && !returned))
                << told;
        });
    });
}

TEST(Offload, RunsOnAnotherThreadWhileTheActorsNeighboursGoOn) {
    node where{"app", quiet(1)};
    ASSERT_TRUE(where.start(supervisor_spec{}));
    play<noting>(where, [](actor<noting> self) -> task<> {
        std::promise<void> release;
        auto neighbour = self.spawn(
            [](actor<protocol<>>, std::promise<void>* let_go) -> task<> {
                let_go->set_value();  // only a neighbour that runs meanwhile lets the job end
                co_return;
            },
            &release);
        const auto here = std::this_thread::get_id();
        auto there = co_await self.offload([&release] {
            release.get_future().wait();
            return std::this_thread::get_id();
        });
        EXPECT_NE(here, there);
        EXPECT_EQ(std::this_thread::get_id(), here) << "back on its own thread";
        static_cast<void>(neighbour);
    });
}

}  // namespace
}  // namespace coppice::tests
