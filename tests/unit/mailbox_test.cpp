// The mailbox: its bound, its three lanes, and what each overflow policy does at the bound, for senders on the same
// scheduler, on another one, and outside.
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "coppice/testing/probe.hpp"
#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct note {
    int n = 0;
};
struct other {
    int n = 0;
};
struct urgent {
    static constexpr auto lane = coppice::lane::priority;
    int n = 0;
};
struct open {
    static constexpr auto lane = coppice::lane::priority;
};
struct total {
    using reply = int;
};
using box_protocol = protocol<note, other, urgent, open, total>;

struct journal {
    std::vector<std::string> seen;
};

// Takes nothing until `open` comes (selectively), then writes down all it receives.
task<> box(actor<box_protocol> self, journal* j) {
    if (!co_await self.receive_only<open>()) co_return;
    while (auto m = co_await self.receive())
        m.match([&](const note& n) { j->seen.push_back("note " + std::to_string(n.n)); },
                [&](const other& n) { j->seen.push_back("other " + std::to_string(n.n)); },
                [&](const urgent& n) { j->seen.push_back("urgent " + std::to_string(n.n)); },
                [](const open&) {},
                [&](request<total> r) {
                    j->seen.emplace_back("total");
                    r.reply(1);
                },
                [&](const down&) { j->seen.emplace_back("down"); });
}

using names = std::vector<std::string>;

supervisor_spec tree(journal* j, std::uint32_t capacity, overflow policy, carrier where = in_coroutine) {
    supervisor_spec spec;
    spec.add(child("box", where, box, j).mailbox(capacity, policy));
    return spec;
}

testing::world_options two_schedulers() {
    testing::world_options o;
    o.schedulers = 2;
    return o;
}

std::uint64_t dead(testing::world& world, errc why) {
    for (const auto& [code, n] : world.inspect().dead_letter_reasons)
        if (code == why) return n;
    return 0;
}

TEST(Mailbox, RejectsWhenFullAndTellsTheSender) {
    for_each_seed(50, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 4, overflow::reject)));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            REQUIRE_OR_END(found);
            for (int i = 0; i < 4; ++i) EXPECT_EQ(self.send<note>(*found, i), errc::ok);
            EXPECT_EQ(self.send<note>(*found, 4), errc::mailbox_full);
            EXPECT_EQ(self.send<note>(*found, 5), errc::mailbox_full);
        });
        EXPECT_EQ(dead(world, errc::mailbox_full), 2u);
        world.send<open>(*world.resolve<box_protocol>("/app/box"));
        world.run_until_idle();
        EXPECT_EQ(j.seen, (names{"note 0", "note 1", "note 2", "note 3"}));
    });
}

TEST(Mailbox, OneThatWasFullTakesMailAgainOnceRead) {
    for_each_seed(50, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 2, overflow::reject)));
        auto to = *world.resolve<box_protocol>("/app/box");
        for (int i = 0; i < 5; ++i) {
            world.send<note>(to, i);
            world.run_until_idle();
        }
        world.send<open>(to);
        world.run_until_idle();
        EXPECT_EQ(world.send<note>(to, 9), errc::ok);
        world.run_until_idle();
        EXPECT_EQ(j.seen, (names{"note 0", "note 1", "note 9"}));
        EXPECT_EQ(dead(world, errc::mailbox_full), 3u);
    });
}

TEST(Mailbox, AFullOneOnAnotherSchedulerIsNeverExceededAndWhatItRefusesIsCounted) {
    for_each_seed(200, two_schedulers(), [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 4, overflow::reject, on_scheduler(1))));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            REQUIRE_OR_END(found);
            for (int i = 0; i < 20; ++i) {
                static_cast<void>(self.send<note>(*found, i));
                if (i % 3 == 0) co_await self.yield();
            }
        });
        world.run_until_idle();
        EXPECT_EQ(world.mail("/app/box").size(), 4u);
        EXPECT_EQ(dead(world, errc::mailbox_full), 16u);
        world.send<open>(*world.resolve<box_protocol>("/app/box"));
        world.run_until_idle();
        EXPECT_EQ(j.seen, (names{"note 0", "note 1", "note 2", "note 3"}));
    });
}

TEST(Mailbox, SystemMailOvertakesPriorityMailWhichOvertakesNormalMail) {
    for_each_seed(200, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            journal j;
            auto watched = self.spawn(
                [](actor<protocol<note>> s) -> task<> { static_cast<void>(co_await s.receive()); });
            auto reader = self.spawn(
                [](actor<box_protocol> s, ref<protocol<note>> who, journal* out) -> task<> {
                    s.monitor(who);
                    static_cast<void>(co_await s.receive_only<open>());
                    for (int i = 0; i < 7; ++i) {
                        auto m = co_await s.receive();
                        if (!m) co_return;
                        if (auto* n = m.get_if<note>()) out->seen.push_back("note " + std::to_string(n->n));
                        if (auto* u = m.get_if<urgent>())
                            out->seen.push_back("urgent " + std::to_string(u->n));
                        if (m.is<down>()) out->seen.emplace_back("down");
                    }
                },
                watched, &j);
            co_await self.yield();
            for (int i = 0; i < 4; ++i) static_cast<void>(self.send<note>(reader, i));
            for (int i = 0; i < 2; ++i) static_cast<void>(self.send<urgent>(reader, i));
            co_await self.sleep(1s);
            static_cast<void>(self.send<note>(watched, 0));  // it ends: a down
            co_await self.sleep(1s);
            static_cast<void>(self.send<open>(reader));
            co_await self.sleep(1s);
            EXPECT_EQ(j.seen,
                      (names{"down", "urgent 0", "urgent 1", "note 0", "note 1", "note 2", "note 3"}));
        });
    });
}

TEST(Mailbox, ThePriorityLaneIsBoundedToo) {
    for_each_seed(20, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 3, overflow::reject)));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            for (int i = 0; i < 3; ++i) EXPECT_EQ(self.send<urgent>(*found, i), errc::ok);
            EXPECT_EQ(self.send<urgent>(*found, 3), errc::mailbox_full);
            EXPECT_EQ(self.send<note>(*found, 0), errc::ok) << "the lanes have bounds of their own";
        });
    });
}

// The policies, for each kind of sender. 0: same scheduler; 1: another scheduler; 2: outside.
class MailboxPolicy : public ::testing::TestWithParam<int> {
protected:
    static void fill(testing::world& world, int from) {
        if (from == 2) {
            auto to = *world.resolve<box_protocol>("/app/box");
            for (int i = 0; i < 6; ++i) {
                static_cast<void>(world.send<note>(to, i));
                world.run_until_idle();
            }
            return;
        }
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            REQUIRE_OR_END(found);
            for (int i = 0; i < 6; ++i) {
                EXPECT_EQ(self.send<note>(*found, i), errc::ok);
                co_await self.sleep(1ms);
            }
        });
    }
    static names after_fill(testing::world& world, journal& j) {
        EXPECT_EQ(world.send<open>(*world.resolve<box_protocol>("/app/box")), errc::ok);
        world.run_until_idle();
        return j.seen;
    }
    static carrier where(int from) { return from == 1 ? on_scheduler(1) : on_scheduler(0); }
};

TEST_P(MailboxPolicy, DropOldestKeepsTheNewest) {
    for_each_seed(20, two_schedulers(), [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 3, overflow::drop_oldest, where(GetParam()))));
        fill(world, GetParam());
        EXPECT_EQ(after_fill(world, j), (names{"note 3", "note 4", "note 5"}));
        EXPECT_EQ(dead(world, errc::mailbox_full), 3u);
    });
}

TEST_P(MailboxPolicy, DropNewestKeepsTheOldestAndTheSenderIsNotTold) {
    for_each_seed(20, two_schedulers(), [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 3, overflow::drop_newest, where(GetParam()))));
        fill(world, GetParam());
        EXPECT_EQ(after_fill(world, j), (names{"note 0", "note 1", "note 2"}));
        EXPECT_EQ(dead(world, errc::mailbox_full), 3u);
    });
}

TEST_P(MailboxPolicy, KeepLatestKeepsOneOfEachTypeAlsoBelowTheBound) {
    for_each_seed(20, two_schedulers(), [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 100, overflow::keep_latest, where(GetParam()))));
        fill(world, GetParam());
        EXPECT_EQ(after_fill(world, j), (names{"note 5"}));
        EXPECT_EQ(dead(world, errc::mailbox_full), 5u);
    });
}

std::string sender_title(const ::testing::TestParamInfo<int>& chosen) {
    if (chosen.param == 0) return "OnTheSameScheduler";
    return chosen.param == 1 ? "OnAnotherScheduler" : "Outside";
}
INSTANTIATE_TEST_SUITE_P(Sender, MailboxPolicy, ::testing::Values(0, 1, 2), sender_title);

TEST(Mailbox, KeepLatestPutsTheNewerOneInTheOldOnesPlace) {
    for_each_seed(20, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 100, overflow::keep_latest)));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            static_cast<void>(self.send<note>(*found, 1));
            static_cast<void>(self.send<other>(*found, 1));
            static_cast<void>(self.send<note>(*found, 2));
            static_cast<void>(self.send<other>(*found, 2));
        });
        world.send<open>(*world.resolve<box_protocol>("/app/box"));
        world.run_until_idle();
        EXPECT_EQ(j.seen, (names{"note 2", "other 2"}));
    });
}

TEST(Mailbox, KeepLatestNeverReplacesARequestAndRejectsOneWhenFull) {
    for_each_seed(50, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 2, overflow::keep_latest)));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            REQUIRE_OR_END(found);
            struct asking {
                static task<result<int>> run(actor<anything> s, ref<box_protocol> to) {
                    co_return co_await s.ask<total>(to, 10s);
                }
            };
            auto first = self.spawn_task(asking::run(self, *found));
            auto second = self.spawn_task(asking::run(self, *found));
            co_await self.sleep(1ms);
            auto third = co_await self.ask<total>(*found, 10s);
            EXPECT_EQ(third.error(), errc::mailbox_full);
            EXPECT_EQ(self.send<open>(*found), errc::ok);
            auto a = co_await first.join();
            auto b = co_await second.join();
            EXPECT_TRUE(a && b) << a.error().what() << ", " << b.error().what();
        });
    });
}

TEST(Mailbox, AnAskThatIsDroppedByThePolicyFailsAtOnce) {
    for_each_seed(50, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 1, overflow::drop_oldest)));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            REQUIRE_OR_END(found);
            struct asking {
                static task<result<int>> run(actor<anything> s, ref<box_protocol> to) {
                    co_return co_await s.ask<total>(to, 1000s);
                }
            };
            auto asked = self.spawn_task(asking::run(self, *found));
            co_await self.sleep(1ms);
            const auto before = self.now();
            EXPECT_EQ(self.send<note>(*found, 1), errc::ok);
            auto answer = co_await asked.join();
            EXPECT_EQ(answer.error(), errc::mailbox_full);
            EXPECT_EQ(self.now(), before) << "not at its deadline";
        });
    });
}

TEST(Mailbox, DropNewestRejectsARequestSoThatItsAskerHearsOfIt) {
    for_each_seed(20, [](testing::world& world) {
        journal j;
        ASSERT_TRUE(world.start(tree(&j, 1, overflow::drop_newest)));
        play(world, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<box_protocol>("/app/box");
            static_cast<void>(self.send<note>(*found, 1));
            auto answer = co_await self.ask<total>(*found, 1000s);
            EXPECT_EQ(answer.error(), errc::mailbox_full);
        });
    });
}

TEST(Mailbox, MailSurvivesARestart) {
    struct fragile {
        static task<> run(actor<protocol<note>> self, journal* j) {
            while (auto m = co_await self.receive()) {
                const int n = m.get_if<note>()->n;
                if (n == 1) throw std::runtime_error{"one"};
                j->seen.push_back(std::to_string(n));
            }
        }
    };
    for_each_seed(100, [](testing::world& world) {
        journal j;
        supervisor_spec spec;
        spec.add(child("fragile", in_coroutine, fragile::run, &j));
        ASSERT_TRUE(world.start(spec));
        auto to = *world.resolve<protocol<note>>("/app/fragile");
        for (int i = 0; i < 5; ++i) EXPECT_EQ(world.send<note>(to, i), errc::ok);
        world.run_until_idle();
        EXPECT_EQ(j.seen, (names{"0", "2", "3", "4"}));
        EXPECT_EQ(world.restarts("/app/fragile"), 1u);
    });
}

}  // namespace
}  // namespace coppice::tests
