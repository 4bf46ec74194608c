// Real threads under load: no wake-up is lost, no message is lost or overtaken, and starts, ends, monitors and links of
// actors on several schedulers at once come out even. COPPICE_STRESS_MESSAGES sets the number of messages.
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "support/play.hpp"

namespace coppice::tests {
namespace {

std::uint64_t messages() {
    const char* wanted = std::getenv("COPPICE_STRESS_MESSAGES");
    return wanted ? std::strtoull(wanted, nullptr, 10) : 2'000'000;
}

node_options without_polling(std::uint32_t schedulers) {
    node_options o = quiet(schedulers);
    o.poll = std::chrono::microseconds{0};
    return o;
}

struct ping {
    std::uint64_t n = 0;
};
struct echo {
    std::uint64_t n = 0;
    using reply = std::uint64_t;
};

node_options polling(std::uint32_t schedulers) {
    node_options o = quiet(schedulers);
    o.poll = std::chrono::microseconds{20};
    return o;
}

void play_in_lock_step(const node_options& options) {
    node where{"app", options};
    ASSERT_TRUE(where.start(supervisor_spec{}));
    play<protocol<ping>>(where, [](actor<protocol<ping>> self) -> task<> {
        struct back {
            static task<> run(actor<protocol<ping>> s, ref<protocol<ping>> to) {
                while (auto m = co_await s.receive())
                    EXPECT_EQ(s.send<ping>(to, m.get_if<ping>()->n), errc::ok);
            }
        };
        auto other = co_await self.start(child("other", on_scheduler(1), back::run, self.me()));
        REQUIRE_OR_END(other);
        auto to = other->assume<protocol<ping>>();
        for (std::uint64_t i = 0; i < 200'000; ++i) {
            EXPECT_EQ(self.send<ping>(to, i), errc::ok);
            auto m = co_await self.receive();
            REQUIRE_OR_END(m && m.get_if<ping>()->n == i);
        }
    });
}

// Without polling each side sleeps before the other one sends: every message needs its wake-up, and one that is lost hangs
// the test. With polling they sleep and poll by turns, as the machine's noise has it.
TEST(WakeUps, AreNeverLostByTwoSchedulersInLockStep) { play_in_lock_step(without_polling(2)); }
TEST(WakeUps, AreNeverLostByTwoSchedulersThatPoll) { play_in_lock_step(polling(2)); }

TEST(WakeUps, AreNeverLostByAsksAcrossThreads) {
    node where{"app", without_polling(2)};
    ASSERT_TRUE(where.start(supervisor_spec{}));
    play(where, [](actor<anything> self) -> task<> {
        struct back {
            static task<> run(actor<protocol<echo>> s) {
                while (auto m = co_await s.receive()) m.match([](request<echo> r) { r.reply(r->n); });
            }
        };
        auto other = co_await self.start(child("other", in_thread, back::run));
        REQUIRE_OR_END(other);
        auto to = other->assume<protocol<echo>>();
        for (std::uint64_t i = 0; i < 50'000; ++i) {
            auto answer = co_await self.ask<echo>(to, 600s, i);
            REQUIRE_OR_END(answer && *answer == i);
        }
    });
}

TEST(WakeUps, AreNeverLostBySendersThatAreNoActors) {
    node where{"app", without_polling(1)};
    supervisor_spec spec;
    spec.add(child("echo", in_coroutine, [](actor<protocol<echo>> s) -> task<> {
        while (auto m = co_await s.receive()) m.match([](request<echo> r) { r.reply(r->n); });
    }));
    ASSERT_TRUE(where.start(std::move(spec)));
    std::vector<std::thread> all;
    for (int t = 0; t < 4; ++t) {
        all.emplace_back([&where] {
            auto to = *where.resolve<protocol<echo>>("echo");
            for (std::uint64_t i = 0; i < 5000; ++i) {
                auto answer = where.ask<echo>(to, 600s, i);
                ASSERT_TRUE(answer) << answer.error().what();
                ASSERT_EQ(*answer, i);
            }
        });
    }
    for (auto& t : all) t.join();
}

// ---- order and completeness under load

struct numbered {
    std::uint32_t from = 0;
    std::uint64_t n = 0;
};
struct seen {
    using reply = std::uint64_t;
};
using sink_protocol = protocol<numbered, seen>;

// `complete`, if any, is counted down when `expected` messages have arrived: a question put to a small mailbox before that
// would be refused, because what was sent last still lies in it.
task<> counting_sink(actor<sink_protocol> self, std::shared_ptr<std::latch> complete,
                     std::uint64_t expected) {
    std::vector<std::uint64_t> next(64, 0);
    std::uint64_t total = 0;
    std::uint64_t wrong = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const numbered& x) {
                wrong += x.n != next[x.from];
                next[x.from] = x.n + 1;
                if (++total == expected && complete) complete->count_down();
            },
            [&](request<seen> r) {
                EXPECT_EQ(wrong, 0u) << "out of order";
                r.reply(total);
            });
}
task<> sink(actor<sink_protocol> self) { return counting_sink(std::move(self), nullptr, 0); }

struct done {
    using reply = void;
};
task<> source(actor<protocol<done>> self, std::uint32_t from, std::uint64_t n) {
    auto to = *co_await self.resolve<sink_protocol>("sink");
    for (std::uint64_t i = 0; i < n; ++i) {
        if (co_await self.send_wait<numbered>(to, from, i) != errc::ok) throw std::runtime_error{"not sent"};
    }
    while (auto m = co_await self.receive()) m.match([](request<done> r) { r.reply(); });
}

void flood(std::uint32_t producers, std::uint64_t all, std::uint32_t capacity) {
    node where{"app", quiet(producers + 1)};
    const std::uint64_t expected = all / producers * producers;
    auto complete = std::make_shared<std::latch>(1);
    supervisor_spec spec;
    spec.add(child("sink", on_scheduler(0), counting_sink, complete, expected).mailbox(capacity));
    for (std::uint32_t i = 0; i < producers; ++i)
        spec.add(child("p" + std::to_string(i), on_scheduler(i + 1), source, i, all / producers));
    ASSERT_TRUE(where.start(std::move(spec)));
    for (std::uint32_t i = 0; i < producers; ++i)
        ASSERT_TRUE(
            where.ask<done>(*where.resolve<protocol<done>>("p" + std::to_string(i)), std::chrono::hours{10}));
    complete->wait();
    EXPECT_EQ(where.ask<seen>(*where.resolve<sink_protocol>("sink"), std::chrono::hours{1}).value(),
              expected);
    EXPECT_EQ(where.inspect(60s).dead_letter_count, 0u);
}

TEST(Flood, OfEightProducersThatWaitForRoomIsCompleteAndInOrder) { flood(8, messages(), limits::mailbox); }
TEST(Flood, IntoATinyMailboxIsCompleteAndInOrder) { flood(8, messages() / 20, 4); }

TEST(Flood, OfEightOrdinaryThreadsIsCompleteAndInOrder) {
    const std::uint64_t each = messages() / 16;
    node where{"app", quiet(1)};
    supervisor_spec spec;
    spec.add(child("sink", in_coroutine, sink).mailbox(static_cast<std::uint32_t>(each * 8 + 100)));
    ASSERT_TRUE(where.start(std::move(spec)));
    auto to = *where.resolve<sink_protocol>("sink");
    std::vector<std::thread> all;
    for (std::uint32_t t = 0; t < 8; ++t)
        all.emplace_back([&where, to, t, each] {
            for (std::uint64_t i = 0; i < each; ++i) ASSERT_EQ(where.send<numbered>(to, t, i), errc::ok);
        });
    for (auto& t : all) t.join();
    EXPECT_EQ(where.ask<seen>(to, std::chrono::hours{1}).value(), each * 8);
}

// ---- lives and deaths on all schedulers at once

struct end_now {};

TEST(Churn, OfStartsEndsMonitorsAndLinksOnThreeSchedulersComesOutEven) {
    node where{"app", quiet(3)};
    struct mortal {
        static task<> run(actor<protocol<end_now>> self, std::uint64_t how) {
            self.join("mortals");
            self.send_every<end_now>(self.me(), 1h);
            if (how % 5 == 0)
                self.spawn_task([](actor<protocol<end_now>> s) -> task<> { co_await s.sleep(1h); }(self));
            auto m = co_await self.receive();
            if (how % 3 == 0 && m) throw std::runtime_error{"churn"};
        }
    };
    struct churner {
        static task<> run(actor<protocol<done>> self, std::uint32_t number, int rounds) {
            self.trap_exits();
            std::vector<request<done>> asked;
            for (int i = 0; i < rounds; ++i) {
                const auto how = self.random();
                const std::string name = "m" + std::to_string(i);
                carrier where_to = on_scheduler(static_cast<std::uint32_t>(how % 3));
                if (how % 50 == 7) where_to = in_thread;
                auto made = co_await self.start(child(name, where_to, mortal::run, how / 64));
                REQUIRE_OR_END(made);
                auto to = made->assume<protocol<end_now>>();
                const auto id = self.monitor(to);
                const bool linked = how % 2 == 0;
                if (linked) self.link(to);
                static_cast<void>(self.publish<end_now>("churn" + std::to_string(number)));
                switch (how / 8 % 4) {
                case 0: static_cast<void>(self.send<end_now>(to)); break;
                case 1: self.stop(to); break;
                case 2: self.kill(to); break;
                default: self.shutdown(to, 10s); break;
                }
                bool told = false;
                bool signalled = !linked;
                while (!told || !signalled) {
                    auto m = co_await self.receive(600s);
                    REQUIRE_OR_END(m);
                    if (m->is<done>()) {
                        asked.push_back(m->take<done>());
                    } else if (auto* d = m->get_if<down>()) {
                        EXPECT_EQ(d->monitor, id);
                        EXPECT_FALSE(told);
                        told = true;
                    } else if (m->is<exit_signal>()) {
                        EXPECT_FALSE(signalled);
                        signalled = true;
                    }
                }
            }
            for (auto& r : asked) r.reply();
            while (auto m = co_await self.receive()) m.match([](request<done> r) { r.reply(); });
        }
    };
    supervisor_spec spec;
    for (std::uint32_t i = 0; i < 3; ++i)
        spec.add(child("churner" + std::to_string(i), on_scheduler(i), churner::run, i, 1000));
    ASSERT_TRUE(where.start(std::move(spec)));
    std::atomic<bool> over{false};
    std::thread looker{[&] {
        while (!over) static_cast<void>(where.inspect(1s).tree());
    }};
    for (int i = 0; i < 3; ++i)
        EXPECT_TRUE(where.ask<done>(*where.resolve<protocol<done>>("churner" + std::to_string(i)),
                                    std::chrono::hours{1}));
    over = true;
    looker.join();
    where.stop();
    EXPECT_TRUE(where.wait().is_clean());
}

TEST(Churn, OfNodesLeavesNothing) {
    for (int i = 0; i < 50; ++i) {
        node where{"app", quiet(static_cast<std::uint32_t>(1 + i % 3))};
        supervisor_spec spec;
        spec.add(child("sink", in_coroutine, sink));
        spec.add(child("threaded", in_thread, sink));
        ASSERT_TRUE(where.start(std::move(spec)));
        auto to = *where.resolve<sink_protocol>("threaded");
        for (std::uint64_t n = 0; n < 100; ++n) EXPECT_EQ(where.send<numbered>(to, 0u, n), errc::ok);
        if (i % 2) EXPECT_EQ(where.ask<seen>(to, 600s).value(), 100u);
    }
}

}  // namespace
}  // namespace coppice::tests
