// The rows of the features table that one process can play. The title carries the row's id.
#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct numbered {
    std::uint32_t from = 0;
    std::uint64_t n = 0;
};
struct text {
    std::string body;
};
struct size_of_pack {
    std::vector<std::string> strings;
    using reply = std::vector<std::string>;
};
struct count {
    using reply = std::uint64_t;
};
struct a {};
struct b {};
struct r {};
struct c {};

// ---- W6

task<> counting(actor<protocol<numbered, count>> self) {
    std::map<std::uint32_t, std::uint64_t> next;
    std::uint64_t total = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const numbered& x) {
                EXPECT_EQ(x.n, next[x.from]++);
                ++total;
            },
            [&](request<count> q) { q.reply(total); });
}

struct sent_all {
    using reply = void;
};
task<> sending(actor<protocol<sent_all>> self, std::uint32_t from, std::uint64_t messages) {
    auto to = *co_await self.resolve<protocol<numbered, count>>("counting");
    while (auto m = co_await self.receive()) {
        auto done = m.take<sent_all>();
        for (std::uint64_t i = 0; i < messages; ++i)
            EXPECT_EQ(self.send<numbered>(to, from, i), errc::ok);  // no wait in between
        done.reply();
    }
}

TEST(Features, W6_AMillionSendsWithoutWaitingAreCountedInOrderAndHandedOverInBatches) {
    constexpr std::uint32_t senders = 4;
    constexpr std::uint64_t each = 250'000;
    node_options options = quiet(2);
    options.mailbox = 2'000'000;
    node where{"app", options};
    supervisor_spec spec;
    spec.add(child("counting", on_scheduler(0), counting).mailbox(2'000'000));
    for (std::uint32_t i = 0; i < senders; ++i)
        spec.add(child("s" + std::to_string(i), on_scheduler(1), sending, i, each));
    ASSERT_TRUE(where.start(std::move(spec)));
    const node_info before = where.inspect(60s);
    std::vector<std::thread> all;
    for (std::uint32_t i = 0; i < senders; ++i)
        all.emplace_back([&where, i] {
            EXPECT_TRUE(
                where.ask<sent_all>(*where.resolve<protocol<sent_all>>("s" + std::to_string(i)), 300s));
        });
    for (auto& t : all) t.join();
    auto to = *where.resolve<protocol<numbered, count>>("counting");
    EXPECT_EQ(where.ask<count>(to, 300s).value(), senders * each);
    const node_info after = where.inspect(60s);
    // Within a process a batch is what one hand-over carries: the receiver sleeps and switches far less often than it gets mail.
    const auto woken = after.schedulers[0].sleeps - before.schedulers[0].sleeps;
    const auto switched = after.schedulers[0].switches - before.schedulers[0].switches;
    EXPECT_LE(woken, senders * each / static_cast<std::uint64_t>(limits::remote_batch) + 1000);
    EXPECT_LE(switched, senders * each / 4);
    EXPECT_EQ(after.dead_letter_count, 0u);
}

// ---- W8, W11

TEST(Features, W8_PacksOfStringsSurviveAHopBetweenSchedulers) {
    node where{"app", quiet(2)};
    supervisor_spec spec;
    spec.add(child("echo", on_scheduler(1), [](actor<protocol<size_of_pack>> self) -> task<> {
        while (auto m = co_await self.receive())
            if (auto q = m.take<size_of_pack>()) q.reply(q->strings);
    }));
    ASSERT_TRUE(where.start(std::move(spec)));
    auto to = *where.resolve<protocol<size_of_pack>>("echo");
    for (const std::size_t n : {0u, 1u, 8u, 1000u}) {
        std::vector<std::string> strings;
        for (std::size_t i = 0; i < n; ++i)
            strings.push_back(i % 3 == 0 ? std::string{} : std::string(i, static_cast<char>(i)));
        if (n == 8) strings[3] = std::string(std::size_t{1} << 20, '\0');
        auto back = where.ask<size_of_pack>(to, 60s, strings);
        ASSERT_TRUE(back);
        EXPECT_EQ(*back, strings);
    }
}

TEST(Features, W11_ASelfSendArrivesExactlyOnceAlsoWhenLarge) {
    for_each_seed(50, [](testing::world& world) {
        play<protocol<text>>(world, [](actor<protocol<text>> self) -> task<> {
            for (const std::size_t bytes :
                 {std::size_t{0}, std::size_t{1}, std::size_t{65536}, std::size_t{8} << 20}) {
                EXPECT_EQ(self.send<text>(self.me(), std::string(bytes, 'x')), errc::ok);
                auto m = co_await self.receive(10s);
                REQUIRE_OR_END(m);
                EXPECT_EQ(m->get_if<text>()->body.size(), bytes);
                EXPECT_EQ((co_await self.receive(1s)).error(), errc::timeout);
            }
        });
    });
}

// ---- W9

struct from_owner {
    static constexpr auto lane = coppice::lane::priority;
    using reply = std::map<std::string, std::uint64_t>;
};

TEST(Features, W9_EightFloodingSendersDoNotStarveTheOwnerAndDepthAndKindsAreQueryable) {
    using swamped_protocol = protocol<a, b, from_owner>;
    struct swamped {
        static task<> run(actor<swamped_protocol> self) {
            std::map<std::string, std::uint64_t> kinds;
            while (auto m = co_await self.receive())
                m.match([&](const a&) { ++kinds["a"]; }, [&](const b&) { ++kinds["b"]; },
                        [&](request<from_owner> q) {
                            kinds["deepest"] = std::max<std::uint64_t>(kinds["deepest"], self.depth().normal);
                            q.reply(kinds);
                        });
        }
    };
    struct flooding {
        static task<> run(actor<protocol<>> self, bool kind) {
            auto to = *co_await self.resolve<swamped_protocol>("swamped");
            for (;;) {
                for (int i = 0; i < 50; ++i) {
                    if (kind) static_cast<void>(self.send<a>(to));
                    else static_cast<void>(self.send<b>(to));
                }
                co_await self.yield();
            }
        }
    };
    node where{"app", quiet(2)};
    supervisor_spec spec;
    spec.add(child("swamped", on_scheduler(0), swamped::run).mailbox(500));
    for (std::uint32_t i = 0; i < 8; ++i)
        spec.add(child("f" + std::to_string(i), on_scheduler(i % 2), flooding::run, i % 2 == 0));
    ASSERT_TRUE(where.start(std::move(spec)));
    auto to = *where.resolve<swamped_protocol>("swamped");
    std::map<std::string, std::uint64_t> kinds;
    for (int i = 0; i < 200 || kinds["a"] == 0 || kinds["b"] == 0; ++i) {
        auto answer = where.ask<from_owner>(to, 300s);
        ASSERT_TRUE(answer) << answer.error().what();
        kinds = *answer;
    }
    const node_info info = where.inspect(60s);
    const actor_info* seen = info.find("/app/swamped");
    ASSERT_NE(seen, nullptr);
    EXPECT_LE(seen->depth.normal, 500u);
    EXPECT_EQ(seen->capacity, 500u);
    EXPECT_GT(seen->received, 200u);
}

// ---- W10

TEST(Features, W10_WaitForOneNamedInstruction) {
    using letters = protocol<a, b, r, c>;
    for_each_seed(300, [](testing::world& world) {
        play<letters>(
            world,
            [](actor<letters> self, std::uint32_t schedulers) -> task<> {
                auto sender = co_await self.start(child(
                    "sender", on(1, schedulers),
                    [](actor<protocol<>> s, ref<letters> to) -> task<> {
                        static_cast<void>(s.send<a>(to));
                        co_await s.yield();
                        static_cast<void>(s.send<b>(to));
                        static_cast<void>(s.send<r>(to));
                        co_await s.sleep(1ms);
                        static_cast<void>(s.send<c>(to));
                    },
                    self.me()));
                REQUIRE_OR_END(sender);
                auto wanted = co_await self.receive_only<r>(10s);
                REQUIRE_OR_END(wanted);
                EXPECT_TRUE(wanted->is<r>());
                EXPECT_TRUE((co_await self.receive()).is<a>());
                EXPECT_TRUE((co_await self.receive()).is<b>());
                EXPECT_TRUE((co_await self.receive()).is<c>());
                const auto before = self.now();
                EXPECT_EQ((co_await self.receive_only<r>(250ms)).error(), errc::timeout);
                EXPECT_GE(self.now() - before, 250ms);
                // An exit ends the wait and is delivered all the same.
                self.trap_exits();
                self.link(self.spawn([](actor<protocol<>> s) -> task<> {
                    co_await s.sleep(1s);
                    s.fail("gone");
                }));
                EXPECT_EQ((co_await self.receive_only<r>()).error(), errc::down);
                auto left = co_await self.receive();
                REQUIRE_OR_END(left.is<exit_signal>());
                EXPECT_EQ(left.get_if<exit_signal>()->reason.text(), "gone");
            },
            static_cast<std::uint32_t>(1 + world.seed() % 3));
    });
}

// ---- W13

TEST(Features, W13_AQueryListsPeersWithRelationAndState) {
    struct peer {
        static task<> run(actor<protocol<a>> self) {
            while (auto m = co_await self.receive()) {
            }
        }
        static task<> curious(actor<protocol<a>> self) {
            self.spawn(peer::run);
            auto monitored = co_await self.resolve<protocol<a>>("branch/monitored");
            self.monitor(*monitored);
            auto linked = co_await self.resolve<protocol<a>>("branch/linked");
            self.link(*linked);
            self.ready();
            co_await run(self);
        }
    };
    node where{"app", quiet(2)};
    supervisor_spec inner;
    inner.add(child("monitored", on_scheduler(0), peer::run));
    inner.add(child("linked", on_scheduler(1), peer::run));
    inner.add(child("curious", on_scheduler(1), peer::curious).awaits_ready());
    supervisor_spec spec;
    spec.add(supervisor("branch", inner));
    ASSERT_TRUE(where.start(std::move(spec)));
    const node_info info = where.inspect(60s);
    std::map<std::string, std::string> found;
    for (const relation& one : info.relations_of("/app/branch/curious")) {
        const std::string name =
            one.who.path.starts_with("/app/branch/curious/") ? "nameless child" : one.who.path;
        found[one.kind] += (found[one.kind].empty() ? "" : " ") + name + "=" + one.who.state;
    }
    EXPECT_EQ(found["parent"], "/app/branch=receiving");
    EXPECT_EQ(found["child"], "nameless child=receiving");
    EXPECT_EQ(found["sibling"], "/app/branch/linked=receiving /app/branch/monitored=receiving");
    EXPECT_EQ(found["link"], "/app/branch/linked=receiving");
    EXPECT_EQ(found["monitors"], "/app/branch/monitored=receiving");
    bool monitored_by = false;
    for (const relation& one : info.relations_of("/app/branch/monitored"))
        monitored_by |= one.kind == "monitored by" && one.who.path == "/app/branch/curious";
    EXPECT_TRUE(monitored_by);
}

// ---- W18

TEST(Features, W18_AGrandchildsLinesAppearTaggedOnceWholeAndInOrder) {
    struct speaker {
        static task<> run(actor<protocol<a>> self) {
            while (auto m = co_await self.receive())
                for (int i = 0; i < 200; ++i) self.log.info("line {} of {}", i, std::string(100, '.'));
        }
    };
    std::mutex mutex;
    std::map<std::string, std::vector<std::string>> lines;
    {
        node_options options = quiet(2);
        options.log_hook = [&](level, std::string_view path, std::string_view line) {
            const std::lock_guard lock{mutex};
            lines[std::string{path}].emplace_back(line);
        };
        node where{"app", options};
        supervisor_spec leaves;
        for (std::uint32_t i = 0; i < 3; ++i)
            leaves.add(child("leaf" + std::to_string(i), on_scheduler(i % 2), speaker::run));
        supervisor_spec spec;
        spec.add(supervisor("branch", leaves));
        ASSERT_TRUE(where.start(std::move(spec)));
        for (int i = 0; i < 3; ++i) {
            auto to = *where.resolve<protocol<a>>("branch/leaf" + std::to_string(i));
            EXPECT_EQ(where.send<a>(to), errc::ok);
            where.stop(to);
        }
        while (true) {
            const std::lock_guard lock{mutex};
            std::size_t all = 0;
            for (const auto& [path, its] : lines)
                if (path.find("leaf") != std::string::npos) all += its.size();
            if (all >= 600) break;
            std::this_thread::yield();
        }
    }
    for (int i = 0; i < 3; ++i) {
        std::vector<std::string> spoken;
        for (const auto& line : lines["/app/branch/leaf" + std::to_string(i)])
            if (line.starts_with("line ")) spoken.push_back(line);
        ASSERT_EQ(spoken.size(), 200u);
        for (int k = 0; k < 200; ++k)
            EXPECT_EQ(spoken[static_cast<std::size_t>(k)],
                      "line " + std::to_string(k) + " of " + std::string(100, '.'));
    }
}

// ---- W19

TEST(Features, W19_TwoActorsSendByRefAloneAndNestedNodesBalance) {
    struct bouncing {
        static task<> run(actor<protocol<numbered, count>> self, std::string peer) {
            std::uint64_t seen = 0;
            while (auto m = co_await self.receive()) {
                if (auto* n = m.get_if<numbered>()) {
                    ++seen;
                    auto to = co_await self.resolve<protocol<numbered, count>>(peer);
                    if (n->n > 0 && to) static_cast<void>(self.send<numbered>(*to, 0u, n->n - 1));
                } else if (auto q = m.take<count>()) {
                    q.reply(seen);
                }
            }
        }
    };
    using bounce = protocol<numbered, count>;
    const auto pair = [] {
        supervisor_spec spec;
        spec.add(child("one", on_scheduler(0), bouncing::run, std::string{"two"}));
        spec.add(child("two", on_scheduler(1), bouncing::run, std::string{"one"}));
        return spec;
    };
    const auto bounced = [](node& where) {
        where.send<numbered>(*where.resolve<bounce>("one"), 0u, std::uint64_t{99});
        std::uint64_t seen = 0;
        while (seen < 100)
            seen = where.ask<count>(*where.resolve<bounce>("one"), 60s).value() +
                   where.ask<count>(*where.resolve<bounce>("two"), 60s).value();
        return seen;
    };
    node outer{"outer", quiet(2)};
    ASSERT_TRUE(outer.start(pair()));
    for (int i = 0; i < 5; ++i) {
        node middle{"middle", quiet(2)};
        ASSERT_TRUE(middle.start(pair()));
        {
            node inner{"inner", quiet(2)};
            ASSERT_TRUE(inner.start(pair()));
            EXPECT_EQ(bounced(inner), 100u);
        }
        EXPECT_EQ(bounced(middle), 100u);
    }
    EXPECT_EQ(bounced(outer), 100u) << "the ends of the others did not touch it";
}

// ---- P3

TEST(Features, P3_AHandlerByTypeAndAMessageWithoutOneIsNeitherLostNorFatalAndPeekLeavesIt) {
    for_each_seed(50, [](testing::world& world) {
        using taking = protocol<a, b>;
        play<taking>(world, [](actor<taking> self) -> task<> {
            EXPECT_EQ(self.send<a>(self.me()), errc::ok);
            EXPECT_EQ(self.send<text>(self.me().assume<protocol<text>>(), "unasked"), errc::ok);
            EXPECT_EQ(self.send<b>(self.me()), errc::ok);
            REQUIRE_OR_END(self.peek<a>());
            REQUIRE_OR_END(self.peek<a>());
            int as = 0;
            int bs = 0;
            for (int i = 0; i < 3; ++i) {
                auto m = co_await self.receive();
                REQUIRE_OR_END(m);
                m.match([&](const a&) { ++as; }, [&](const b&) { ++bs; });
            }
            EXPECT_EQ(as, 1);
            EXPECT_EQ(bs, 1);
        });
        const node_info info = world.inspect();
        ASSERT_EQ(info.dead_letters.size(), 1u) << "not lost: it is visible, with type, receiver and reason";
        EXPECT_EQ(info.dead_letters[0].message, message_name<text>);
        EXPECT_EQ(info.dead_letters[0].reason, errc::no_handler);
    });
}

}  // namespace
}  // namespace coppice::tests
