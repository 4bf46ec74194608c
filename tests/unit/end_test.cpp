// The walk: an actor that goes through every kind of await is ended at each of its await points, in each way.
//
// The seed chooses the point, the way and the moment. Whatever they are: the destructors of the frames run, every request
// that the actor holds is completed, its monitors are told, its children and tasks are gone, and nothing is left.
#include <algorithm>
#include <memory>
#include <optional>
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
struct question {
    using reply = int;
};
struct hold_this {
    using reply = int;
};
using walker_protocol = protocol<note, question, hold_this>;
using helper_protocol = protocol<note, question>;

constexpr int points = 16;

struct record {
    int frames = 0;     // that are alive
    int reached = 0;    // the last await point that was begun
    int ends_at = -1;   // it ends itself there, by `by_itself`
    int by_itself = 0;  // 0: not, 1: exception, 2: early return, 3: fail
    bool ran_to_end = false;
};

struct frame {
    record* r;
    explicit frame(record* rec) : r{rec} { ++r->frames; }
    frame(const frame&) = delete;
    frame& operator=(const frame&) = delete;
    ~frame() { --r->frames; }
};

struct early_return {};

void point(actor<walker_protocol> self, record* r, int n) {
    r->reached = n;
    if (r->ends_at != n) return;
    if (r->by_itself == 1) throw std::runtime_error{"at point " + std::to_string(n)};
    if (r->by_itself == 2) throw early_return{};
    if (r->by_itself == 3) {
        self.fail("at point {}", n);
        throw early_return{};
    }
}

task<int> in_a_task(actor<walker_protocol> self, record* r) {
    const frame here{r};
    co_await self.sleep(3ms);
    co_return 1;
}

task<> answers_slowly(actor<helper_protocol> self) {
    while (auto m = co_await self.receive()) {
        co_await self.sleep(2ms);
        m.match([](const note&) {}, [](request<question> q) { q.reply(1); });
    }
}

task<> reads_never(actor<helper_protocol> self) { co_await self.sleep(1000h); }

task<> walk(actor<walker_protocol> self, record* r, ref<helper_protocol> slow, ref<helper_protocol> full) {
    const frame here{r};
    std::vector<request<hold_this>> held;  // answered never: completed by the end
    for (int i = 0; i < 2; ++i) {
        auto m = co_await self.receive();
        if (!m) co_return;
        if (auto q = m.take<hold_this>()) held.push_back(std::move(q));
    }
    auto beside = self.spawn_task(in_a_task(self, r));
    self.send_every<note>(1s, 0);
    self.spawn([](actor<helper_protocol> s) -> task<> {
        while (auto m = co_await s.receive()) {
        }
    });
    try {
        point(self, r, 0);
        co_await self.yield();
        point(self, r, 1);
        co_await self.sleep(5ms);
        point(self, r, 2);
        if (auto m = co_await self.receive(); !m) co_return;
        point(self, r, 3);
        static_cast<void>(co_await self.receive_only<question>(5ms));
        point(self, r, 4);
        static_cast<void>(co_await self.ask<question>(slow, 100ms));
        point(self, r, 5);
        static_cast<void>(co_await self.send_wait<note>(slow, 1));
        point(self, r, 6);
        static_cast<void>(co_await with_timeout(3ms, self.send_wait<note>(full, 1)));
        point(self, r, 7);
        static_cast<void>(co_await self.offload([] { return 5; }));
        point(self, r, 8);
        static_cast<void>(co_await race(self.receive(), self.sleep(4ms), in_a_task(self, r)));
        point(self, r, 9);
        static_cast<void>(
            co_await gather(in_a_task(self, r), self.sleep(4ms), self.ask<question>(slow, 100ms)));
        point(self, r, 10);
        EXPECT_EQ(co_await beside.join(), 1);
        point(self, r, 11);
        static_cast<void>(
            co_await self.start(child("late", in_coroutine, [](actor<helper_protocol> s) -> task<> {
                                    co_await s.sleep(4ms);
                                    s.ready();
                                    while (auto m = co_await s.receive()) {
                                    }
                                }).awaits_ready()));
        point(self, r, 12);
        static_cast<void>(
            co_await self.start(child("away", on_scheduler(1), [](actor<helper_protocol> s) -> task<> {
                while (auto m = co_await s.receive()) {
                }
            })));
        point(self, r, 13);
        static_cast<void>(co_await self.resolve<helper_protocol>("/app/slow"));
        static_cast<void>(co_await in_a_task(self, r));
        point(self, r, 14);
        static_cast<void>(co_await self.send_wait<note>(full, 2));  // waits until the end
        point(self, r, 15);
    } catch (const early_return&) {
        co_return;
    }
    r->ran_to_end = true;
}

enum way : int { stopped, shut_down, killed, threw, returned, failed, parent_ended, ways };

TEST(End, AtEveryAwaitPointInEveryWayLeavesNothing) {
    testing::world_options options;
    options.schedulers = 2;
    int points_hit[points] = {};
    for_each_seed(2000, options, [&](testing::world& world) {
        // In a shared block: the walker may outlive a body that has failed.
        auto kept = std::make_shared<record>();
        record* r = kept.get();
        const int how = static_cast<int>(world.seed() % ways);
        int where = static_cast<int>(world.seed() / ways % points);
        if (how == threw) r->by_itself = 1;
        if (how == returned) r->by_itself = 2;
        if (how == failed) r->by_itself = 3;
        if (r->by_itself)
            r->ends_at = where = std::min(where, points - 2);  // the last wait ends from outside only
        supervisor_spec spec;
        spec.add(
            child("slow", on_scheduler(static_cast<std::uint32_t>(world.seed() / 3 % 2)), answers_slowly));
        spec.add(child("full", on_scheduler(static_cast<std::uint32_t>(world.seed() / 5 % 2)), reads_never)
                     .mailbox(1)
                     .shutdown(0ns));
        ASSERT_TRUE(world.start(spec));
        play(
            world,
            [](actor<anything> self, record* rec, int end, int at, std::uint64_t seed) -> task<> {
                auto slow = *co_await self.resolve<helper_protocol>("slow");
                auto full = *co_await self.resolve<helper_protocol>("full");
                EXPECT_EQ(self.send<note>(full, 0), errc::ok);
                struct parent {
                    static task<> run(actor<protocol<note>> s, record* rr, ref<helper_protocol> sl,
                                      ref<helper_protocol> fu, ref<walker_protocol>* out,
                                      std::uint32_t scheduler) {
                        auto made =
                            co_await s.start(child("walker", on_scheduler(scheduler), walk, rr, sl, fu));
                        *out = made.value().assume<walker_protocol>();
                        static_cast<void>(co_await s.receive());
                    }
                };
                ref<walker_protocol> walker;
                auto above = self.spawn(parent::run, rec, slow, full, &walker,
                                        static_cast<std::uint32_t>(seed / 11 % 2));
                co_await self.sleep(1ms);
                REQUIRE_OR_END(walker);
                const auto monitor = self.monitor(walker);
                struct asking {
                    static task<errc> run(actor<anything> s, ref<walker_protocol> to) {
                        auto answer = co_await s.ask<hold_this>(to, 1000h);
                        co_return answer.error().code();
                    }
                };
                auto one = self.spawn_task(asking::run(self, walker));
                auto two = self.spawn_task(asking::run(self, walker));
                for (int i = 0; i < 3; ++i) static_cast<void>(self.send<note>(walker, i));
                // Ended from outside: once the point is reached, after a moment that the seed chooses.
                if (end == stopped || end == shut_down || end == killed || end == parent_ended) {
                    for (int i = 0; i < 10000 && rec->reached < at; ++i) co_await self.sleep(100us);
                    for (std::uint64_t n = seed / 13 % 4; n > 0; --n) co_await self.yield();
                    if (seed % 5 == 0) co_await self.sleep(std::chrono::microseconds{seed % 5000});
                    if (end == stopped) {
                        self.stop(walker);
                        // A stop lets it go on until it receives; what never ends by itself is then killed.
                        co_await self.sleep(1s);
                        self.kill(walker);
                    }
                    if (end == shut_down) self.shutdown(walker, 1s);
                    if (end == killed) self.kill(walker);
                    if (end == parent_ended) self.kill(above);
                } else {
                    for (int i = 0; i < 10000 && rec->reached < at; ++i) co_await self.sleep(100us);
                }
                auto m = co_await self.receive_only<down>(1000s);
                REQUIRE_OR_END(m);
                auto* d = m->template get_if<down>();
                EXPECT_EQ(d->monitor, monitor);
                EXPECT_EQ(rec->frames, 0) << "destructors";
                EXPECT_FALSE(rec->ran_to_end && at < points - 1 && rec->by_itself);
                const exit_kind kind = d->reason.kind();
                switch (end) {
                case threw:
                    EXPECT_EQ(kind, exit_kind::error);
                    EXPECT_EQ(d->reason.text(), "at point " + std::to_string(at));
                    break;
                case failed: EXPECT_EQ(kind, exit_kind::failed); break;
                case returned: EXPECT_EQ(kind, exit_kind::normal); break;
                case killed: EXPECT_EQ(kind, exit_kind::killed); break;
                case stopped: EXPECT_TRUE(kind == exit_kind::stopped || kind == exit_kind::killed); break;
                default:
                    EXPECT_TRUE(kind == exit_kind::stopped || kind == exit_kind::killed) << to_string(kind);
                }
                // The requests that it held, or that were in its mailbox, are completed.
                for (auto& each : {one, two}) {
                    const errc told = co_await each.join();
                    EXPECT_TRUE(told == errc::no_reply || told == errc::down || told == errc::stopping)
                        << to_string(told);
                }
                static_cast<void>(self.send<note>(above, 0));
                co_await self.sleep(10s);
            },
            r, how, where, world.seed());
        ++points_hit[where];
        EXPECT_TRUE(world.finish().empty());
        EXPECT_EQ(kept->frames, 0);
    });
    if (!seed_to_replay())
        for (const int n : points_hit) EXPECT_GT(n, 0);
}

TEST(End, HappensInReverseStartOrderForChildren) {
    for_each_seed(200, [](testing::world& world) {
        auto order = std::make_shared<std::vector<int>>();
        struct ending {
            static task<> run(actor<protocol<note>> self, std::shared_ptr<std::vector<int>> out, int n) {
                while (auto m = co_await self.receive()) {
                }
                co_await self.sleep(10ms);
                out->push_back(n);
            }
        };
        supervisor_spec spec;
        const auto n = static_cast<std::uint32_t>(1 + world.seed() % 3);
        for (int i = 0; i < 4; ++i)
            spec.add(
                child("c" + std::to_string(i), on(static_cast<std::uint32_t>(i), n), ending::run, order, i));
        ASSERT_TRUE(world.start(spec));
        EXPECT_TRUE(world.finish().empty());
        EXPECT_EQ(*order, (std::vector<int>{3, 2, 1, 0}));
    });
}

TEST(End, AnActorThatIsFloodedStillShutsDownAtOnce) {
    for_each_seed(300, [](testing::world& world) {
        struct flooded {
            static task<> run(actor<protocol<note>> self) {
                while (auto m = co_await self.receive()) {
                }
            }
        };
        struct flooding {
            static task<> run(actor<protocol<>> self, ref<protocol<note>> to) {
                for (;;) {
                    for (int i = 0; i < 10; ++i) static_cast<void>(self.send<note>(to, i));
                    co_await self.yield();
                }
            }
        };
        play(
            world,
            [](actor<anything> self, std::uint32_t schedulers) -> task<> {
                auto victim = co_await self.start(child("victim", on(1, schedulers), flooded::run));
                REQUIRE_OR_END(victim);
                auto to = victim->assume<protocol<note>>();
                std::vector<ref<>> floods;
                for (int i = 0; i < 3; ++i) floods.push_back(self.spawn(flooding::run, to));
                self.monitor(to);
                for (int i = 0; i < 20; ++i) co_await self.yield();
                const auto before = self.now();
                self.shutdown(to);
                auto m = co_await self.receive_only<down>();
                REQUIRE_OR_END(m);
                EXPECT_EQ(m->get_if<down>()->reason.kind(), exit_kind::stopped);
                EXPECT_EQ(self.now(), before) << "no limit had to pass";
                for (const auto& f : floods) self.kill(f);
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

}  // namespace
}  // namespace coppice::tests
