// Receiving: in order, selectively, with a limit, with a look ahead; putting aside; and what an asked end does to it.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct a {
    int n = 0;
};
struct b {
    int n = 0;
};
struct c {
    int n = 0;
};
struct first {
    static constexpr auto lane = coppice::lane::priority;
    int n = 0;
};
struct question {
    using reply = int;
};
using letters = protocol<a, b, c, first, question>;

std::string name_of(received<letters>& m) {
    if (auto* x = m.get_if<a>()) return "a" + std::to_string(x->n);
    if (auto* x = m.get_if<b>()) return "b" + std::to_string(x->n);
    if (auto* x = m.get_if<c>()) return "c" + std::to_string(x->n);
    if (auto* x = m.get_if<first>()) return "first" + std::to_string(x->n);
    if (m.is<down>()) return "down";
    if (m.is<exit_signal>()) return "exit_signal";
    return "nothing";
}
using names = std::vector<std::string>;

task<names> take_all(actor<letters> self) {
    names seen;
    while (self.depth().normal + self.depth().priority + self.depth().system > 0) {
        auto m = co_await self.receive();
        seen.push_back(name_of(m));
    }
    co_return seen;
}

template <class F, class... A>
void as_reader(testing::world& world, F script, A... arguments) {
    play<letters>(world, script, arguments...);
}

TEST(Receive, GivesTheMailOfOneSenderInTheOrderInWhichItWasSent) {
    for_each_seed(500, [](testing::world& world) {
        as_reader(
            world,
            [](actor<letters> self, std::uint32_t schedulers) -> task<> {
                struct sender {
                    static task<> run(actor<protocol<>> s, ref<letters> to, int from) {
                        for (int i = 0; i < 50; ++i) {
                            EXPECT_EQ(s.send<a>(to, from * 1000 + i), errc::ok);
                            if (s.random() % 8 == 0) co_await s.yield();
                        }
                    }
                };
                for (int i = 0; i < 3; ++i)
                    REQUIRE_OR_END(co_await self.start(child("s" + std::to_string(i),
                                                             on(static_cast<std::uint32_t>(i), schedulers),
                                                             sender::run, self.me(), i)));
                int next[3] = {0, 0, 0};
                for (int i = 0; i < 150; ++i) {
                    auto m = co_await self.receive(10s);
                    REQUIRE_OR_END(m);
                    const int n = m->get_if<a>()->n;
                    EXPECT_EQ(n % 1000, next[n / 1000]++);
                }
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Receive, WithALimitTimesOutNotBeforeItAndTakesNothing) {
    for_each_seed(50, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            const auto before = self.now();
            auto m = co_await self.receive(250ms);
            EXPECT_EQ(m.error(), errc::timeout);
            EXPECT_GE(self.now() - before, 250ms);
            EXPECT_EQ(self.send<a>(self.me(), 1), errc::ok);
            auto again = co_await self.receive(0ns);
            REQUIRE_OR_END(again);
            EXPECT_EQ(again->get_if<a>()->n, 1);
            auto none = co_await self.receive(0ns);
            EXPECT_EQ(none.error(), errc::timeout) << "no limit at all is a look";
        });
    });
}

TEST(Receive, SelectivelyTakesTheFirstThatIsWantedAndLeavesTheRestInOrder) {
    for_each_seed(50, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            for (int i = 0; i < 3; ++i) {
                static_cast<void>(self.send<a>(self.me(), i));
                static_cast<void>(self.send<b>(self.me(), i));
            }
            auto m = co_await self.receive_only<b>();
            REQUIRE_OR_END(m);
            EXPECT_EQ(m->get_if<b>()->n, 0);
            auto last = co_await self.receive_only<b, c>();
            REQUIRE_OR_END(last);
            EXPECT_EQ(last->get_if<b>()->n, 1);
            EXPECT_EQ(co_await take_all(self), (names{"a0", "a1", "a2", "b2"}));
        });
    });
}

TEST(Receive, SelectivelyWaitsForTheOneThatIsWantedWhateverElseComes) {
    for_each_seed(500, [](testing::world& world) {
        as_reader(
            world,
            [](actor<letters> self, std::uint32_t schedulers) -> task<> {
                struct sender {
                    static task<> run(actor<protocol<>> s, ref<letters> to) {
                        for (int i = 0; i < 20; ++i) {
                            static_cast<void>(s.send<a>(to, i));
                            if (i == 12) static_cast<void>(s.send<c>(to, 0));
                            if (s.random() % 3 == 0) co_await s.yield();
                        }
                    }
                };
                REQUIRE_OR_END(co_await self.start(child("s", on(1, schedulers), sender::run, self.me())));
                auto m = co_await self.receive_only<c>(1000s);
                REQUIRE_OR_END(m);
                EXPECT_TRUE(m->is<c>());
                for (int i = 0; i < 20; ++i) {
                    auto next = co_await self.receive(10s);
                    REQUIRE_OR_END(next);
                    EXPECT_EQ(name_of(*next), "a" + std::to_string(i));
                }
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Receive, SelectivelyWithALimitThatPassesLeavesEverythingInOrder) {
    for_each_seed(300, [](testing::world& world) {
        as_reader(
            world,
            [](actor<letters> self, std::uint32_t schedulers) -> task<> {
                struct sender {
                    static task<> run(actor<protocol<>> s, ref<letters> to) {
                        for (int i = 0; i < 10; ++i) {
                            static_cast<void>(s.send<a>(to, i));
                            co_await s.sleep(10ms);
                        }
                    }
                };
                REQUIRE_OR_END(co_await self.start(child("s", on(1, schedulers), sender::run, self.me())));
                const auto before = self.now();
                auto m = co_await self.receive_only<c>(55ms);
                EXPECT_EQ(m.error(), errc::timeout);
                EXPECT_GE(self.now() - before, 55ms);
                for (int i = 0; i < 10; ++i) {
                    auto next = co_await self.receive(10s);
                    REQUIRE_OR_END(next);
                    EXPECT_EQ(name_of(*next), "a" + std::to_string(i));
                }
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

TEST(Receive, SelectivelyFindsSystemAndPriorityMailToo) {
    for_each_seed(50, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            static_cast<void>(self.send<a>(self.me(), 1));
            static_cast<void>(self.send<first>(self.me(), 2));
            static_cast<void>(self.send<first>(self.me(), 3));
            auto gone = self.spawn([](actor<protocol<>>) -> task<> { co_return; });
            self.monitor(gone);
            auto d = co_await self.receive_only<down>(10s);
            REQUIRE_OR_END(d);
            EXPECT_EQ(d->get_if<down>()->reason.kind(), exit_kind::normal);
            auto m = co_await self.receive_only<first>();
            EXPECT_EQ(m.value().get_if<first>()->n, 2);
            EXPECT_EQ(co_await take_all(self), (names{"first3", "a1"}));
        });
    });
}

TEST(Receive, AnExitSignalEndsASelectiveWaitAndStays) {
    for_each_seed(200, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            auto linked =
                self.spawn([](actor<protocol<a>> s) -> task<> { static_cast<void>(co_await s.receive()); });
            self.link(linked);
            self.trap_exits();
            static_cast<void>(self.send<a>(self.me(), 1));
            struct ender {
                static task<> run(actor<protocol<>> s, ref<protocol<a>> who) {
                    co_await s.sleep(1s);
                    s.stop(who);
                }
            };
            self.spawn(ender::run, linked);
            auto m = co_await self.receive_only<b>(1000s);
            EXPECT_EQ(m.error(), errc::down);
            EXPECT_EQ(co_await take_all(self), (names{"exit_signal", "a1"}));
        });
    });
}

// A wanted message that is gone again when the actor gets its turn must not be taken for the end of the actor.
TEST(Receive, AWantedMessageThatIsDroppedMeanwhileIsWaitedForAnew) {
    for_each_seed(300, [](testing::world& world) {
        struct reader {
            static task<> run(actor<letters> self, names* seen) {
                while (!self.stopping()) {
                    auto m = co_await self.receive_only<b>(1000s);
                    if (self.stopping()) co_return;
                    seen->push_back(m ? "b" + std::to_string(m->get_if<b>()->n) : m.error().what());
                }
            }
        };
        names seen;
        supervisor_spec spec;
        spec.add(child("reader", in_coroutine, reader::run, &seen).mailbox(1, overflow::drop_oldest));
        ASSERT_TRUE(world.start(spec));
        auto to = *world.resolve<letters>("reader");
        world.run_until_idle();
        world.send<b>(to, 1);
        world.send<a>(to, 2);  // may drop b1
        world.run_until_idle();
        world.send<b>(to, 3);
        world.run_until_idle();
        EXPECT_TRUE(seen == (names{"b1", "b3"}) || seen == (names{"b3"})) << ::testing::PrintToString(seen);
    });
}

TEST(Receive, AWantedRequestThatExpiresMeanwhileIsWaitedForAnew) {
    for_each_seed(50, [](testing::world& world) {
        struct reader {
            static task<> run(actor<letters> self, names* seen) {
                while (!self.stopping()) {
                    auto m = co_await self.receive_only<question>(1000s);
                    if (self.stopping()) co_return;
                    seen->push_back(m ? "question" : m.error().what());
                    if (m) m->take<question>().reply(1);
                }
            }
        };
        names seen;
        supervisor_spec spec;
        spec.add(child("reader", in_coroutine, reader::run, &seen));
        ASSERT_TRUE(world.start(spec));
        auto to = *world.resolve<letters>("reader");
        world.run_until_idle();
        world.wedge("/app/reader");
        EXPECT_EQ(world.ask_within<question>(to, 1s).error(), errc::timeout);
        world.unwedge("/app/reader");
        world.run_until_idle();
        EXPECT_EQ(world.ask_within<question>(to, 1s).value(), 1);
        EXPECT_EQ(seen, (names{"question"}));
    });
}

TEST(Receive, PeekShowsTheNextMessageAndLeavesIt) {
    for_each_seed(20, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            EXPECT_EQ(self.peek<a>(), nullptr);
            static_cast<void>(self.send<a>(self.me(), 7));
            static_cast<void>(self.send<b>(self.me(), 8));
            REQUIRE_OR_END(self.peek<a>());
            EXPECT_EQ(self.peek<a>()->n, 7);
            EXPECT_EQ(self.peek<b>(), nullptr) << "only the next one";
            static_cast<void>(self.send<first>(self.me(), 9));
            EXPECT_EQ(self.peek<first>()->n, 9);
            EXPECT_EQ(co_await take_all(self), (names{"first9", "a7", "b8"}));
        });
    });
}

TEST(Receive, StashedMailComesBackAtTheFrontInOrder) {
    for_each_seed(20, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            for (int i = 0; i < 4; ++i) static_cast<void>(self.send<a>(self.me(), i));
            self.stash(co_await self.receive());
            self.stash(co_await self.receive());
            EXPECT_EQ(self.depth().stashed, 2u);
            EXPECT_EQ(self.depth().normal, 2u);
            EXPECT_EQ(self.unstash(), 2u);
            EXPECT_EQ(self.unstash(), 0u);
            EXPECT_EQ(co_await take_all(self), (names{"a0", "a1", "a2", "a3"}));
        });
    });
}

TEST(Receive, AStashedRequestIsStillOwedItsReply) {
    for_each_seed(50, [](testing::world& world) {
        struct reader {
            static task<> run(actor<letters> self) {
                self.stash(co_await self.receive());
                co_await self.sleep(1s);
                self.unstash();
                auto m = co_await self.receive();
                if (m) m.take<question>().reply(5);
                co_await self.sleep(1000s);
            }
        };
        supervisor_spec spec;
        spec.add(child("reader", in_coroutine, reader::run));
        ASSERT_TRUE(world.start(spec));
        EXPECT_EQ(world.ask_within<question>(*world.resolve<letters>("reader"), 10s).value(), 5);
    });
}

TEST(Receive, TheStashIsBoundedAndWhatItRefusesIsADeadLetter) {
    for_each_seed(20, [](testing::world& world) {
        struct reader {
            static task<> run(actor<letters> self, names* left) {
                for (int i = 0; i < 5; ++i) self.stash(co_await self.receive());
                self.unstash();
                *left = co_await take_all(self);
                co_await self.sleep(1000s);
            }
        };
        names left;
        supervisor_spec spec;
        spec.add(child("reader", in_coroutine, reader::run, &left).mailbox(3));
        ASSERT_TRUE(world.start(spec));
        for (int i = 0; i < 5; ++i) {
            world.send<a>(*world.resolve<letters>("reader"), i);
            world.run_until_idle();
        }
        EXPECT_EQ(left, (names{"a0", "a1", "a2"}));
        EXPECT_EQ(world.inspect().dead_letter_count, 2u);
    });
}

TEST(Receive, AfterAStopTheMailThatIsThereIsHandledAndMoreIsRefused) {
    for_each_seed(200, [](testing::world& world) {
        struct reader {
            static task<> run(actor<letters> self, names* seen) {
                static_cast<void>(co_await self.receive_only<c>());
                while (auto m = co_await self.receive()) seen->push_back(name_of(m));
                seen->emplace_back("end");
            }
        };
        names seen;
        supervisor_spec spec;
        spec.add(child("reader", in_coroutine, reader::run, &seen).restarts(restart::temporary));
        ASSERT_TRUE(world.start(spec));
        as_reader(world, [](actor<letters> self) -> task<> {
            auto to = *co_await self.resolve<letters>("reader");
            co_await self.sleep(1s);
            for (int i = 0; i < 3; ++i) static_cast<void>(self.send<a>(to, i));
            static_cast<void>(self.send<c>(to, 0));
            self.stop(to);
            EXPECT_EQ(self.send<a>(to, 3), errc::stopping);
        });
        world.run_until_idle();
        EXPECT_EQ(seen, (names{"a0", "a1", "a2", "end"}));
    });
}

TEST(Receive, AfterAShutdownItIsEmptyAtOnceAndTheMailIsReported) {
    for_each_seed(200, [](testing::world& world) {
        struct reader {
            static task<> run(actor<letters> self, names* seen, names* left) {
                self.undelivered([left](const undelivered_mail& m) {
                    left->emplace_back(m.was_request ? "request" : "mail");
                });
                static_cast<void>(co_await self.receive_only<c>());
                while (auto m = co_await self.receive()) seen->push_back(name_of(m));
                seen->emplace_back("end");
            }
        };
        names seen;
        names left;
        supervisor_spec spec;
        spec.add(child("reader", in_coroutine, reader::run, &seen, &left).restarts(restart::temporary));
        ASSERT_TRUE(world.start(spec));
        as_reader(world, [](actor<letters> self) -> task<> {
            auto to = *co_await self.resolve<letters>("reader");
            co_await self.sleep(1s);
            for (int i = 0; i < 3; ++i) static_cast<void>(self.send<a>(to, i));
            static_cast<void>(self.send<c>(to, 0));
            self.shutdown(to);
        });
        world.run_until_idle();
        EXPECT_EQ(seen, (names{"end"}));
        EXPECT_EQ(left.size(), 4u) << "what came after the shutdown, too: the wait for c was ended by it";
        EXPECT_EQ(world.inspect().dead_letter_count, 4u);
    });
}

TEST(Receive, BySeveralCoroutinesOfOneActorAtOnceIsAnErrorThatSaysSo) {
    for_each_seed(50, [](testing::world& world) {
        as_reader(world, [](actor<letters> self) -> task<> {
            struct reading {
                static task<> run(actor<letters> s) { static_cast<void>(co_await s.receive()); }
            };
            auto other = self.spawn_task(reading::run(self));
            co_await self.sleep(1ms);
            std::string text;
            try {
                static_cast<void>(co_await self.receive());
            } catch (const std::logic_error& e) {
                text = e.what();
            }
            EXPECT_NE(text.find("receive() at once"), std::string::npos) << text;
            other.cancel();
            co_await self.sleep(1ms);
        });
    });
}

TEST(Receive, AMessageWithoutAHandlerBecomesADeadLetterAndTheActorGoesOn) {
    for_each_seed(20, [](testing::world& world) {
        struct narrow {
            static task<> run(actor<protocol<a>> self, int* handled) {
                while (auto m = co_await self.receive()) m.match([&](const a&) { ++*handled; });
            }
        };
        int handled = 0;
        supervisor_spec spec;
        spec.add(child("narrow", in_coroutine, narrow::run, &handled));
        ASSERT_TRUE(world.start(spec));
        auto to = *world.resolve<protocol<a>>("narrow");
        world.send<b>(to.assume<protocol<b>>(), 1);
        world.send<a>(to, 1);
        world.run_until_idle();
        EXPECT_EQ(handled, 1);
        const node_info info = world.inspect();
        ASSERT_EQ(info.dead_letters.size(), 1u);
        EXPECT_EQ(info.dead_letters[0].message, message_name<b>);
        EXPECT_EQ(info.dead_letters[0].target, "/app/narrow");
        EXPECT_EQ(info.dead_letters[0].reason, errc::no_handler);
        EXPECT_EQ(world.restarts("/app/narrow"), 0u);
    });
}

}  // namespace
}  // namespace coppice::tests
