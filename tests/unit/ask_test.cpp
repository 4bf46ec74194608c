// Requests: replies at once, later, by another actor; every way in which an ask fails; deadlines; deadlocks.
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct twice {
    int n = 0;
    using reply = int;
};
struct ping {
    using reply = void;
};
struct note {
    int n = 0;
};
using doubling = protocol<twice, ping, note>;

task<> doubler(actor<doubling> self) {
    while (auto m = co_await self.receive())
        m.match([](request<twice> r) { r.reply(r->n * 2); }, [](request<ping> r) { r.reply(); },
                [](const note&) {});
}

testing::world_options on_schedulers(std::uint32_t n) {
    testing::world_options o;
    o.schedulers = n;
    return o;
}

// Where the callee lives: with the asker, or elsewhere.
class Ask : public ::testing::TestWithParam<bool> {
protected:
    static supervisor_spec with(child_spec callee) {
        callee.carrier = on_scheduler(GetParam() ? 1 : 0);
        supervisor_spec spec;
        spec.add(std::move(callee));
        return spec;
    }
};
std::string where_title(const ::testing::TestParamInfo<bool>& chosen) {
    return chosen.param ? "AcrossSchedulers" : "OnOneScheduler";
}
INSTANTIATE_TEST_SUITE_P(Callee, Ask, ::testing::Bool(), where_title);

TEST_P(Ask, GivesTheReply) {
    for_each_seed(200, on_schedulers(2), [](testing::world& world) {
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, doubler))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            for (int i = 0; i < 20; ++i) {
                auto answer = co_await self.ask<twice>(to, 1s, i);
                REQUIRE_OR_END(answer);
                EXPECT_EQ(*answer, 2 * i);
            }
            EXPECT_TRUE(co_await self.ask<ping>(to));
        });
    });
}

TEST_P(Ask, TimesOutAtItsDeadlineAndNotBefore) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        ASSERT_TRUE(world.start(with(child(
            "callee", in_coroutine, [](actor<doubling> self) -> task<> { co_await self.sleep(1000s); }))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            const auto before = self.now();
            auto answer = co_await self.ask<twice>(to, 250ms, 1);
            EXPECT_EQ(answer.error(), errc::timeout);
            EXPECT_GE(self.now() - before, 250ms);
        });
    });
}

TEST_P(Ask, FailsAtOnceWhenTheActorHasEnded) {
    for_each_seed(200, on_schedulers(2), [](testing::world& world) {
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, doubler).restarts(restart::temporary))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            self.stop(to);
            co_await self.sleep(1s);
            const auto before = self.now();
            auto answer = co_await self.ask<twice>(to, 1000s, 1);
            EXPECT_EQ(answer.error(), errc::down);
            EXPECT_EQ(self.now(), before);
        });
    });
}

TEST_P(Ask, FailsAtOnceWhenTheActorEndsWithTheRequestInItsMailbox) {
    for_each_seed(300, on_schedulers(2), [](testing::world& world) {
        struct short_lived {
            static task<> run(actor<doubling> self) { co_await self.sleep(1s); }
        };
        ASSERT_TRUE(
            world.start(with(child("callee", in_coroutine, short_lived::run).restarts(restart::temporary))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<twice>(to, 1000s, 1);
            EXPECT_EQ(answer.error(), errc::down);
        });
    });
}

TEST_P(Ask, FailsWithDownWhenTheActorThrowsWhileItHoldsTheRequest) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        struct faulty {
            static task<> run(actor<doubling> self) {
                auto m = co_await self.receive();
                auto r = m.take<twice>();
                throw std::runtime_error{"cannot"};
            }
        };
        ASSERT_TRUE(
            world.start(with(child("callee", in_coroutine, faulty::run).restarts(restart::temporary))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<twice>(to, 1000s, 1);
            EXPECT_EQ(answer.error(), errc::down);
        });
    });
}

TEST_P(Ask, ARequestThatIsDroppedTellsNoReply) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        struct careless {
            static task<> run(actor<doubling> self) {
                while (auto m = co_await self.receive()) {
                }
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, careless::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<twice>(to, 1000s, 1);
            EXPECT_EQ(answer.error(), errc::no_reply);
        });
    });
}

TEST_P(Ask, ARequestThatFailsCarriesTheCalleesText) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        struct refusing {
            static task<> run(actor<doubling> self) {
                while (auto m = co_await self.receive())
                    if (auto r = m.take<twice>()) r.fail("not today");
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, refusing::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<twice>(to, 1000s, 1);
            EXPECT_EQ(answer.error(), errc::failed);
            EXPECT_EQ(answer.error().what(), "failed: not today");
        });
    });
}

struct unknown {
    using reply = int;
};

TEST_P(Ask, OfAMessageThatTheActorDoesNotHandleFailsWithNoHandler) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, doubler))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<unknown>(to.assume<protocol<unknown>>(), 1000s);
            EXPECT_EQ(answer.error(), errc::no_handler);
            EXPECT_TRUE(co_await self.ask<ping>(to)) << "and the callee goes on";
        });
    });
}

TEST_P(Ask, OfAFullMailboxFailsWithMailboxFull) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        struct deaf {
            static task<> run(actor<doubling> self) { co_await self.sleep(1000s); }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, deaf::run).mailbox(1))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            EXPECT_EQ(self.send<note>(to, 1), errc::ok);
            auto answer = co_await self.ask<twice>(to, 1000s, 1);
            EXPECT_EQ(answer.error(), errc::mailbox_full);
        });
    });
}

TEST_P(Ask, MayBeAnsweredLaterAndInAnotherOrder) {
    for_each_seed(200, on_schedulers(2), [](testing::world& world) {
        struct patient {
            static task<> run(actor<doubling> self) {
                std::vector<request<twice>> held;
                while (auto m = co_await self.receive()) {
                    if (auto r = m.take<twice>()) held.push_back(std::move(r));
                    if (held.size() < 3) continue;
                    while (!held.empty()) {
                        held.back().reply(held.back()->n * 2);
                        held.pop_back();
                    }
                }
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, patient::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto [a, b, c] = co_await gather(self.ask<twice>(to, 10s, 1), self.ask<twice>(to, 10s, 2),
                                             self.ask<twice>(to, 10s, 3));
            EXPECT_EQ(a.value() + 10 * b.value() + 100 * c.value(), 2 + 40 + 600);
        });
    });
}

TEST_P(Ask, ADelegatedRequestIsAnsweredByTheOther) {
    for_each_seed(200, on_schedulers(2), [](testing::world& world) {
        struct front {
            static task<> run(actor<doubling> self) {
                auto behind = self.spawn(doubler);
                while (auto m = co_await self.receive()) {
                    if (auto r = m.take<twice>()) EXPECT_EQ(r.delegate(behind), errc::ok);
                }
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, front::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<twice>(to, 10s, 21);
            EXPECT_EQ(answer.value(), 42);
        });
    });
}

TEST_P(Ask, ARequestDelegatedToOneThatHasEndedFailsWithDown) {
    for_each_seed(100, on_schedulers(2), [](testing::world& world) {
        struct front {
            static task<> run(actor<doubling> self) {
                auto gone = self.spawn([](actor<doubling>) -> task<> { co_return; });
                co_await self.sleep(1s);
                while (auto m = co_await self.receive())
                    if (auto r = m.take<twice>()) EXPECT_EQ(r.delegate(gone), errc::down);
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, front::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            auto answer = co_await self.ask<twice>(to, 1000s, 21);
            EXPECT_EQ(answer.error(), errc::down);
        });
    });
}

struct whence {
    using reply = ref<>;
};

TEST_P(Ask, AForwardedRequestKeepsItsSenderAndIsAnsweredByTheOther) {
    for_each_seed(200, on_schedulers(2), [](testing::world& world) {
        using asked = protocol<whence>;
        struct front {
            static task<> run(actor<asked> self) {
                auto behind = self.spawn([](actor<asked> s) -> task<> {
                    while (auto m = co_await s.receive())
                        m.match([](request<whence> r) { r.reply(r.sender()); });
                });
                while (auto m = co_await self.receive())
                    EXPECT_EQ(self.forward(std::move(m), behind), errc::ok);
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, front::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<asked>("/app/callee");
            auto answer = co_await self.ask<whence>(to, 10s);
            REQUIRE_OR_END(answer);
            EXPECT_EQ(*answer, self.me());
        });
    });
}

TEST_P(Ask, AnExpiredRequestInTheMailboxIsSkipped) {
    for_each_seed(200, on_schedulers(2), [](testing::world& world) {
        struct busy {
            static task<> run(actor<doubling> self, int* handled) {
                co_await self.sleep(10s);
                while (auto m = co_await self.receive()) {
                    ++*handled;
                    if (auto r = m.take<twice>()) r.reply(r->n);
                }
            }
        };
        int handled = 0;
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, busy::run, &handled))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            for (int i = 0; i < 5; ++i) {
                auto answer = co_await self.ask<twice>(to, 1s, i);
                EXPECT_EQ(answer.error(), errc::timeout);
            }
            EXPECT_EQ(self.send<note>(to, 1), errc::ok);
            auto answer = co_await self.ask<twice>(to, 100s, 9);
            EXPECT_EQ(answer.value(), 9);
        });
        EXPECT_EQ(handled, 2);
        std::uint64_t expired = 0;
        for (const auto& [why, n] : world.inspect().dead_letter_reasons)
            if (why == errc::timeout) expired = n;
        EXPECT_EQ(expired, 5u);
    });
}

TEST_P(Ask, IsCancelledByTheAskersEndAndTheReplyFindsNobody) {
    for_each_seed(300, on_schedulers(2), [](testing::world& world) {
        struct slow {
            static task<> run(actor<doubling> self) {
                while (auto m = co_await self.receive()) {
                    co_await self.sleep(10ms);
                    if (auto r = m.take<twice>()) r.reply(r->n);
                }
            }
        };
        ASSERT_TRUE(world.start(with(child("callee", in_coroutine, slow::run))));
        play(world, [](actor<anything> self) -> task<> {
            auto to = *co_await self.resolve<doubling>("/app/callee");
            struct asker {
                static task<> run(actor<protocol<note>> s, ref<doubling> callee, std::string* told) {
                    try {
                        auto answer = co_await s.ask<twice>(callee, 1000s, 1);
                        *told = answer ? "answered" : answer.error().what();
                    } catch (const cancelled&) {
                        *told = "cancelled";
                        throw;
                    }
                }
            };
            std::string told;
            auto who = self.spawn(asker::run, to, &told);
            co_await self.sleep(std::chrono::milliseconds{self.random() % 9 + 1});
            self.kill(who);
            co_await self.sleep(1s);
            EXPECT_EQ(told, "cancelled");
            EXPECT_TRUE(co_await self.ask<twice>(to, 10s, 1)) << "the callee is unharmed";
        });
    });
}

TEST(AskErrors, AnAskOfANobodyIsDown) {
    testing::world world{1};
    play(world, [](actor<anything> self) -> task<> {
        const ref<doubling> nobody;
        auto answer = co_await self.ask<twice>(nobody, 1000s, 1);
        EXPECT_EQ(answer.error(), errc::down);
    });
}

// ---- deadlocks

struct ask_next {
    using reply = std::string;
};
struct meet {
    ref<protocol<ask_next>> next{};
};
using ring_protocol = protocol<ask_next, meet>;

// Asks the next when asked, and replies with how that went.
task<> member(actor<ring_protocol> self) {
    ref<protocol<ask_next>> next;
    while (auto m = co_await self.receive()) {
        if (auto* meeting = m.get_if<meet>()) next = meeting->next;
        if (auto r = m.take<ask_next>()) {
            auto answer = co_await self.ask<ask_next>(next, 5s);
            r.reply(answer ? *answer : answer.error().what());
        }
    }
}

class Deadlock : public ::testing::TestWithParam<int> {};
std::string size_title(const ::testing::TestParamInfo<int>& chosen) {
    return "Of" + std::to_string(chosen.param);
}
INSTANTIATE_TEST_SUITE_P(Actors, Deadlock, ::testing::Values(1, 2, 3), size_title);

// A ring of askers: the last ask would close the cycle.
void ring(int size, bool spread_out) {
    for_each_seed(300, on_schedulers(3), [=](testing::world& world) {
        supervisor_spec spec;
        for (int i = 0; i < size; ++i)
            spec.add(child("m" + std::to_string(i),
                           on_scheduler(spread_out ? static_cast<std::uint32_t>(i % 3) : 0), member));
        ASSERT_TRUE(world.start(spec));
        for (int i = 0; i < size; ++i)
            ASSERT_EQ(world.send<meet>(*world.resolve<ring_protocol>("m" + std::to_string(i)),
                                       *world.resolve<ring_protocol>("m" + std::to_string((i + 1) % size))),
                      errc::ok);
        world.run_until_idle();
        const auto before = world.now();
        auto answer = world.ask_within<ask_next>(*world.resolve<ring_protocol>("m0"), 100s);
        ASSERT_TRUE(answer) << answer.error().what();
        std::string path = "deadlock: /app/m" + std::to_string(size - 1);
        for (int i = 0; i < size; ++i) path += " -> /app/m" + std::to_string(i);
        EXPECT_EQ(*answer, path);
        EXPECT_EQ(world.now(), before) << "at once, not at a deadline";
    });
}

TEST_P(Deadlock, OnOneSchedulerNamesThePath) { ring(GetParam(), false); }
TEST_P(Deadlock, AcrossSchedulersNamesThePath) { ring(GetParam(), true); }

TEST(Deadlock, ClosedByAllAtTheSameMomentIsFoundByAtLeastOne) {
    for_each_seed(1000, on_schedulers(3), [](testing::world& world) {
        struct crossing {
            static task<> run(actor<ring_protocol> self, std::vector<std::string>* outcomes) {
                auto m = co_await self.receive();
                if (!m) co_return;
                auto next = m.get_if<meet>()->next;
                auto answer = co_await self.ask<ask_next>(next, 5s);
                outcomes->push_back(answer ? *answer : std::string{to_string(answer.error().code())});
                while (auto more = co_await self.receive())
                    if (auto r = more.take<ask_next>()) r.reply("free");
            }
        };
        std::vector<std::string> outcomes;
        supervisor_spec spec;
        for (std::uint32_t i = 0; i < 3; ++i)
            spec.add(child("m" + std::to_string(i), on_scheduler(i), crossing::run, &outcomes));
        ASSERT_TRUE(world.start(spec));
        for (int i = 0; i < 3; ++i)
            ASSERT_EQ(world.send<meet>(*world.resolve<ring_protocol>("m" + std::to_string(i)),
                                       *world.resolve<ring_protocol>("m" + std::to_string((i + 1) % 3))),
                      errc::ok);
        world.run_until_idle();  // no time passes: no deadline helps
        ASSERT_EQ(outcomes.size(), 3u);
        EXPECT_GE(std::count(outcomes.begin(), outcomes.end(), "deadlock"), 1);
        for (const std::string& o : outcomes) EXPECT_TRUE(o == "deadlock" || o == "free") << o;
    });
}

// The front gives the request away, then asks the asker: that is slow perhaps, but no cycle.
template <bool Forwards>
struct giving_front {
    static task<> run(actor<protocol<twice>> self, ref<protocol<twice>> behind, ref<protocol<ping>> asker,
                      std::optional<errc>* outcome) {
        auto m = co_await self.receive();
        if (!m) co_return;
        if constexpr (Forwards) EXPECT_EQ(self.forward(std::move(m), behind), errc::ok);
        else EXPECT_EQ(m.template take<twice>().delegate(behind), errc::ok);
        auto answer = co_await self.ask<ping>(asker, 100s);
        *outcome = answer.error().code();
    }
};

template <bool Forwards>
void no_false_deadlock() {
    for_each_seed(500, on_schedulers(3), [](testing::world& world) {
        using asked = protocol<twice>;
        struct behind {
            static task<> run(actor<asked> self) {
                while (auto m = co_await self.receive()) {
                    co_await self.sleep(1s);
                    m.match([](request<twice> r) { r.reply(r->n * 2); });
                }
            }
        };
        std::optional<errc> outcome;
        ASSERT_TRUE(world.start(supervisor_spec{}));
        play<protocol<ping>>(
            world,
            [](actor<protocol<ping>> self, std::optional<errc>* out) -> task<> {
                auto back = co_await self.start(child("behind", on_scheduler(1), behind::run));
                REQUIRE_OR_END(back);
                auto front = co_await self.start(child("front", on_scheduler(2), giving_front<Forwards>::run,
                                                       back->template assume<asked>(), self.me(), out));
                REQUIRE_OR_END(front);
                auto answer = co_await self.ask<twice>(front->template assume<asked>(), 50s, 4);
                EXPECT_EQ(answer.value(), 8);
                auto m = co_await self.receive();  // now the front's question is served
                REQUIRE_OR_END(m);
                m.template take<ping>().reply();
                co_await self.sleep(1s);
            },
            &outcome);
        ASSERT_TRUE(outcome);
        EXPECT_EQ(*outcome, errc::ok);
    });
}

TEST(Deadlock, IsNotSeenAfterADelegate) { no_false_deadlock<false>(); }
TEST(Deadlock, IsNotSeenAfterAForward) { no_false_deadlock<true>(); }

TEST(Deadlock, IsNotSeenWhereAnOwnTaskCanAnswer) {
    for_each_seed(500, on_schedulers(2), [](testing::world& world) {
        // The main coroutine asks b, b asks back, and a task of this actor answers.
        struct back_asker {
            static task<> run(actor<protocol<twice>> self, ref<protocol<ping>> asker) {
                while (auto m = co_await self.receive()) {
                    auto r = m.take<twice>();
                    auto answer = co_await self.ask<ping>(asker, 10s);
                    if (answer) r.reply(1);
                    else r.fail(answer.error());
                }
            }
        };
        play<protocol<ping>>(world, [](actor<protocol<ping>> self) -> task<> {
            struct serving {
                static task<> run(actor<protocol<ping>> s) {
                    while (auto m = co_await s.receive()) m.match([](request<ping> r) { r.reply(); });
                }
            };
            auto other = co_await self.start(child("b", on_scheduler(1), back_asker::run, self.me()));
            REQUIRE_OR_END(other);
            auto server = self.spawn_task(serving::run(self));
            auto answer = co_await self.ask<twice>(other->assume<protocol<twice>>(), 50s, 4);
            EXPECT_TRUE(answer) << answer.error().what();
            server.cancel();
        });
    });
}

TEST(Deadlock, IsNotSeenOnceTheReplyIsUnderWay) {
    // a asks b; b replies and then asks a: the reply ends a's wait.
    for_each_seed(1000, on_schedulers(2), [](testing::world& world) {
        struct eager {
            static task<> run(actor<protocol<twice>> self, ref<protocol<ping>> asker,
                              std::optional<errc>* outcome) {
                auto m = co_await self.receive();
                if (!m) co_return;
                m.take<twice>().reply(1);
                auto answer = co_await self.ask<ping>(asker, 10s);
                *outcome = answer.error().code();
            }
        };
        std::optional<errc> outcome;
        play<protocol<ping>>(
            world,
            [](actor<protocol<ping>> self, std::optional<errc>* out) -> task<> {
                auto other = co_await self.start(child("b", on_scheduler(1), eager::run, self.me(), out));
                REQUIRE_OR_END(other);
                EXPECT_TRUE(co_await self.ask<twice>(other->assume<protocol<twice>>(), 50s, 4));
                auto m = co_await self.receive();
                REQUIRE_OR_END(m);
                m.take<ping>().reply();
                co_await self.sleep(1s);
            },
            &outcome);
        EXPECT_EQ(outcome, std::optional{errc::ok});
    });
}

}  // namespace
}  // namespace coppice::tests
