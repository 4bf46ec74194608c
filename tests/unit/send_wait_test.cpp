// send_wait: the sender waits for room. Nothing is lost, nothing overtakes, the bound holds, and nobody is forgotten.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct item {
    int from = 0;
    int n = 0;
};
using sink_protocol = protocol<item>;

struct tally {
    std::map<int, std::vector<int>> by_sender;
    std::uint32_t deepest = 0;
    int total = 0;
};

task<> slow_sink(actor<sink_protocol> self, tally* t) {
    while (auto m = co_await self.receive()) {
        const item& i = *m.get_if<item>();
        t->by_sender[i.from].push_back(i.n);
        t->deepest = std::max(t->deepest, self.depth().normal + 1);
        ++t->total;
        if (t->total % 3 == 0) co_await self.sleep(1ms);
        else if (t->total % 3 == 1) co_await self.yield();
    }
}

task<> producer(actor<protocol<>> self, ref<sink_protocol> to, int from, int count, int* done) {
    for (int i = 0; i < count; ++i) {
        const errc sent = co_await self.send_wait<item>(to, from, i);
        EXPECT_EQ(sent, errc::ok);
        if (self.random() % 4 == 0) co_await self.yield();
    }
    ++*done;
}

testing::world_options three() {
    testing::world_options o;
    o.schedulers = 3;
    return o;
}

void expect_in_order(const tally& t, int how_many, int count) {
    EXPECT_EQ(t.by_sender.size(), static_cast<std::size_t>(how_many));
    for (const auto& [from, seen] : t.by_sender) {
        EXPECT_EQ(seen.size(), static_cast<std::size_t>(count)) << "of sender " << from;
        EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end())) << "of sender " << from;
    }
}

constexpr int senders = 10;
constexpr int each = 20;

// capacity, and whether the producers live on other schedulers
class SendWait : public ::testing::TestWithParam<std::tuple<int, bool>> {};
std::string case_title(const ::testing::TestParamInfo<std::tuple<int, bool>>& chosen) {
    return "Capacity" + std::to_string(std::get<0>(chosen.param)) +
           (std::get<1>(chosen.param) ? "AcrossSchedulers" : "OnOneScheduler");
}
INSTANTIATE_TEST_SUITE_P(Mailbox, SendWait,
                         ::testing::Combine(::testing::Values(1, 2, 4, 7), ::testing::Bool()), case_title);

TEST_P(SendWait, ManySendersLoseNothingKeepTheirOrderAndTheBound) {
    const int capacity = std::get<0>(GetParam());
    const bool across = std::get<1>(GetParam());
    for_each_seed(100, three(), [=](testing::world& world) {
        tally t;
        int done = 0;
        supervisor_spec spec;
        spec.add(child("sink", in_coroutine, slow_sink, &t).mailbox(static_cast<std::uint32_t>(capacity)));
        ASSERT_TRUE(world.start(spec));
        auto to = *world.resolve<sink_protocol>("sink");
        play(
            world,
            [](actor<anything> self, ref<sink_protocol> sink, bool elsewhere, int* ended) -> task<> {
                for (int i = 0; i < senders; ++i) {
                    const auto at = on_scheduler(elsewhere ? 1 + static_cast<std::uint32_t>(i) % 2 : 0);
                    auto started =
                        co_await self.start(child("p" + std::to_string(i), at, producer, sink, i, each, ended)
                                                .restarts(restart::temporary));
                    REQUIRE_OR_END(started);
                }
                while (*ended < senders) co_await self.sleep(1s);
            },
            to, across, &done);
        world.advance(10s);
        EXPECT_EQ(t.total, senders * each);
        expect_in_order(t, senders, each);
        EXPECT_LE(t.deepest, static_cast<std::uint32_t>(capacity) + 1);  // with the one in hand
        EXPECT_EQ(world.inspect().dead_letter_count, 0u);
    });
}

TEST(SendWaitRules, ItDoesNotWaitWhereThereIsRoom) {
    for_each_seed(20, [](testing::world& world) {
        play<sink_protocol>(world, [](actor<sink_protocol> self) -> task<> {
            const auto before = self.now();
            EXPECT_EQ(co_await self.send_wait<item>(self.me(), 1, 1), errc::ok);
            EXPECT_EQ(self.now(), before);
            EXPECT_EQ(self.depth().normal, 1u);
        });
    });
}

TEST(SendWaitRules, WaitingForOneselfWouldNeverEndSoAFullOwnMailboxIsAnError) {
    for_each_seed(20, [](testing::world& world) {
        supervisor_spec spec;
        struct selfish {
            static task<> run(actor<sink_protocol> self, errc* told) {
                EXPECT_EQ(co_await self.send_wait<item>(self.me(), 0, 0), errc::ok);
                *told = co_await self.send_wait<item>(self.me(), 0, 1);
                co_await self.sleep(1000s);
            }
        };
        errc told = errc::ok;
        spec.add(child("selfish", in_coroutine, selfish::run, &told).mailbox(1));
        ASSERT_TRUE(world.start(spec));
        world.run_until_idle();
        EXPECT_EQ(told, errc::mailbox_full);
    });
}

// The receiver ends while senders wait for it.
TEST(SendWaitRules, ThoseWhoWaitForAnActorThatEndsAreTold) {
    for (const bool across : {false, true}) {
        for_each_seed(200, three(), [across](testing::world& world) {
            struct deaf {
                static task<> run(actor<sink_protocol> self) { co_await self.sleep(1s); }
            };
            struct sender {
                static task<> run(actor<protocol<>> self, ref<sink_protocol> to, std::vector<errc>* told) {
                    for (int i = 0; i < 3; ++i) {
                        const errc sent = co_await self.send_wait<item>(to, 0, i);
                        if (sent == errc::ok) continue;
                        told->push_back(sent);
                        co_return;
                    }
                    told->push_back(errc::ok);
                }
            };
            std::vector<errc> told;
            supervisor_spec spec;
            spec.add(child("deaf", in_coroutine, deaf::run).mailbox(1).restarts(restart::temporary));
            for (int i = 0; i < 4; ++i) {
                spec.add(child(
                             "s" + std::to_string(i), on_scheduler(across ? 1 : 0),
                             [](actor<protocol<>> self, std::vector<errc>* out) -> task<> {
                                 auto to = co_await self.resolve<sink_protocol>("/app/deaf");
                                 co_await sender::run(self, *to, out);
                             },
                             &told)
                             .restarts(restart::temporary));
            }
            ASSERT_TRUE(world.start(spec));
            world.advance(10s);
            // Nobody waits for ever. What was on its way to the other scheduler was not refused: it became dead letters.
            ASSERT_EQ(told.size(), 4u);
            for (const errc e : told)
                EXPECT_TRUE(e == errc::down || e == errc::stopping || (across && e == errc::ok))
                    << to_string(e);
            EXPECT_GE(world.inspect().dead_letter_count, 1u);
        });
    }
}

TEST(SendWaitRules, ASenderThatIsCancelledLeavesTheOthersTheirPlace) {
    for (const bool across : {false, true}) {
        for_each_seed(300, three(), [across](testing::world& world) {
            tally t;
            struct gated {
                static task<> run(actor<sink_protocol> self, tally* out) {
                    co_await self.sleep(1s);  // the mailbox fills up, senders queue
                    co_await slow_sink(self, out);
                }
            };
            int done = 0;
            supervisor_spec spec;
            spec.add(child("sink", in_coroutine, gated::run, &t).mailbox(2));
            ASSERT_TRUE(world.start(spec));
            auto to = *world.resolve<sink_protocol>("sink");
            play(
                world,
                [](actor<anything> self, ref<sink_protocol> sink, bool elsewhere, int* ended) -> task<> {
                    std::vector<ref<>> waiting;
                    for (int i = 0; i < 8; ++i) {
                        auto started = co_await self.start(
                            child("p" + std::to_string(i),
                                  on_scheduler(elsewhere ? 1 + static_cast<std::uint32_t>(i) % 2 : 0),
                                  producer, sink, i, 5, ended)
                                .restarts(restart::temporary));
                        REQUIRE_OR_END(started);
                        waiting.push_back(*started);
                    }
                    co_await self.sleep(std::chrono::milliseconds{self.random() % 1010});
                    for (std::size_t i = 0; i < 8; i += 2) self.kill(waiting[i]);  // every other one
                    while (*ended < 4) co_await self.sleep(1s);
                },
                to, across, &done);
            world.advance(10s);
            for (int i = 1; i < 8; i += 2) EXPECT_EQ(t.by_sender[i], (std::vector<int>{0, 1, 2, 3, 4})) << i;
            for (int i = 0; i < 8; i += 2)
                EXPECT_TRUE(std::is_sorted(t.by_sender[i].begin(), t.by_sender[i].end())) << i;
        });
    }
}

TEST(SendWaitRules, WhatIsSentPlainlyDoesNotOvertakeWhatWaits) {
    for (const bool across : {false, true}) {
        for_each_seed(300, three(), [across](testing::world& world) {
            tally t;
            supervisor_spec spec;
            spec.add(child("sink", in_coroutine, slow_sink, &t).mailbox(4));
            ASSERT_TRUE(world.start(spec));
            struct mixing {
                static task<> run(actor<protocol<>> self, int from, int* done) {
                    auto to = *co_await self.resolve<sink_protocol>("/app/sink");
                    for (int i = 0; i < 30; ++i) {
                        if (self.random() % 2)
                            static_cast<void>(self.send<item>(to, from, i));  // may be refused
                        else EXPECT_EQ(co_await self.send_wait<item>(to, from, i), errc::ok);
                    }
                    ++*done;
                }
            };
            int done = 0;
            play(
                world,
                [](actor<anything> self, bool elsewhere, int* ended) -> task<> {
                    for (int i = 0; i < 4; ++i)
                        REQUIRE_OR_END(co_await self.start(child("p" + std::to_string(i),
                                                                 on_scheduler(elsewhere ? 1 : 0), mixing::run,
                                                                 i, ended)));
                    while (*ended < 4) co_await self.sleep(1s);
                },
                across, &done);
            world.advance(10s);
            for (const auto& [from, seen] : t.by_sender)
                EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end())) << "of sender " << from;
        });
    }
}

TEST(SendWaitRules, AMailboxThatDropsIsNotWaitedFor) {
    // Where the policy drops, there is always room.
    for_each_seed(50, three(), [](testing::world& world) {
        struct deaf {
            static task<> run(actor<sink_protocol> self) { co_await self.sleep(1000s); }
        };
        supervisor_spec spec;
        spec.add(child("deaf", on_scheduler(world.seed() % 2), deaf::run).mailbox(1, overflow::drop_oldest));
        ASSERT_TRUE(world.start(spec));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<sink_protocol>("deaf");
            const auto before = self.now();
            for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await self.send_wait<item>(to, 0, i), errc::ok);
            EXPECT_EQ(self.now(), before);
        });
    });
}

}  // namespace
}  // namespace coppice::tests
