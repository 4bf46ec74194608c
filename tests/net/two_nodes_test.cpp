// Actors of different nodes talk by ref, over every kind of transport: in one process, so that a failure is easy to look at.
// The same between processes is in tests/integration.
#include <algorithm>
#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct add {
    std::uint64_t amount = 0;
};
struct total {
    using reply = std::uint64_t;
};
struct text {
    std::string what;
    using reply = std::string;
};
struct crash {};
using counter_protocol = protocol<add, total, text, crash>;

task<> counter(actor<counter_protocol> self) {
    std::uint64_t sum = 0;
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { sum += a.amount; }, [&](request<total> r) { r.reply(sum); },
                [&](request<text> r) { r.reply(r->what + "!"); },
                [](const crash&) { throw std::runtime_error{"asked to crash"}; });
}

// Texts of many sizes, in order; answers how many were what they should be.
struct piece {
    std::uint32_t number = 0;
    std::string what;
    static std::string of(std::uint32_t number) {
        return std::string((number * 37) % 9001, static_cast<char>('a' + number % 26));
    }
};
using collector_protocol = protocol<piece, total>;

task<> collector(actor<collector_protocol> self) {
    std::uint32_t right = 0;
    while (auto m = co_await self.receive())
        m.match([&](const piece& p) { right += p.number == right && p.what == piece::of(right); },
                [&](request<total> r) { r.reply(right); });
}

struct pebble {
    std::uint64_t number = 0;
};
struct hold {
    using local_only = void;
};
using sink_protocol = protocol<pebble, hold, total>;

constexpr std::uint64_t a_flood = 20'000;

struct sink_state {
    std::latch is_held{1};
    std::latch may_go_on{1};
    // Mail that waited behind one that was handled; written by the actor.
    std::atomic<std::uint32_t> deepest{0};
};

task<> sink(actor<sink_protocol> self, std::shared_ptr<sink_state> state) {
    std::uint64_t count = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const pebble&) {
                state->deepest = std::max(state->deepest.load(), self.cell()->length);
                ++count;
            },
            [&](const hold&) {
                state->is_held.count_down();
                state->may_go_on.wait();
            },
            [&](request<total> r) { r.reply(count); });
}

struct place {
    std::string name;
    std::string listen;
};

class TwoNodes : public ::testing::TestWithParam<const char*> {
protected:
    node_options listening(std::uint32_t schedulers = 2) const {
        return listening_at(GetParam(), schedulers);
    }
    static node_options below(const node& parent, std::uint32_t schedulers = 2) {
        const std::string uri = GetParam();
        const auto options = uri.find('?');
        return tests::below(parent.listening().at(0) + (options == uri.npos ? "" : uri.substr(options)),
                            schedulers);
    }
    static supervisor_spec with_counter() {
        supervisor_spec spec;
        spec.add(child("counter", in_coroutine, counter));
        return spec;
    }
    own_run_directory here_;
};

TEST_P(TwoNodes, ResolveSendAndAsk) {
    node above{"above", listening()};
    auto started = above.start(with_counter());
    ASSERT_TRUE(started) << started.error().what();
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    play(below_it, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<counter_protocol>("/above/counter");
        if (!found) ADD_FAILURE() << found.error().what();
        REQUIRE_OR_END(found);
        for (std::uint64_t i = 1; i <= 1000; ++i) EXPECT_EQ(self.send<add>(*found, i), errc::ok);
        auto sum = co_await self.ask<total>(*found, 20s);
        if (!sum) ADD_FAILURE() << sum.error().what();
        REQUIRE_OR_END(sum);
        EXPECT_EQ(*sum, 500'500u);
        auto answer = co_await self.ask<text>(*found, 20s, "hello");
        REQUIRE_OR_END(answer);
        EXPECT_EQ(*answer, "hello!");
    });
}

TEST_P(TwoNodes, ParentReachesChildByItsName) {
    node above{"above", listening()};
    ASSERT_TRUE(above.start(supervisor_spec{}));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(with_counter()));
    play(above, [](actor<anything> self) -> task<> {
        result<ref<counter_protocol>> found = errc::timeout;
        for (int i = 0; i < 100 && !found; ++i) {  // until the child has come up
            found = co_await self.resolve<counter_protocol>("/below/counter");
            if (!found) co_await self.sleep(20ms);
        }
        REQUIRE_OR_END(found);
        EXPECT_EQ(found->to_string().substr(0, 7), "/below#") << "named by its node, for people";
        EXPECT_EQ(self.send<add>(*found, 7u), errc::ok);
        auto sum = co_await self.ask<total>(*found, 20s);
        REQUIRE_OR_END(sum);
        EXPECT_EQ(*sum, 7u);
    });
}

TEST_P(TwoNodes, TellWhatIsNotThere) {
    node above{"above", listening()};
    ASSERT_TRUE(above.start(with_counter()));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    play(below_it, [](actor<anything> self) -> task<> {
        auto no_actor = co_await self.resolve<counter_protocol>("/above/nobody");
        EXPECT_EQ(no_actor.error(), errc::not_found) << no_actor.error().what();
        auto no_node = co_await self.resolve<counter_protocol>("/nowhere/counter");
        EXPECT_EQ(no_node.error(), errc::unreachable) << no_node.error().what();
        auto other = co_await self.resolve<protocol<down>>("/above/counter");
        static_cast<void>(other);
        struct unheard {};
        auto wrong = co_await self.resolve<protocol<unheard>>("/above/counter");
        EXPECT_EQ(wrong.error(), errc::wrong_protocol) << wrong.error().what();
    });
}

// What a flood brings at once is what is handled at once: else it would pile up to the mailbox's bound.
TEST_P(TwoNodes, AFloodThatWaitsInTheLinkDoesNotPileUpInAMailbox) {
    node above{"above", listening(1)};
    const auto state = std::make_shared<sink_state>();
    supervisor_spec spec;
    spec.add(child("sink", in_coroutine, sink, state));
    ASSERT_TRUE(above.start(spec));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    ref<sink_protocol> to;
    play(
        below_it,
        [](actor<anything> self, ref<sink_protocol>* found) -> task<> {
            auto there = co_await self.resolve<sink_protocol>("/above/sink");
            REQUIRE_OR_END(there);
            *found = *there;
        },
        &to);
    ASSERT_EQ(above.send<hold>(above.resolve<sink_protocol>("sink").value()), errc::ok);
    state->is_held.wait();
    play(
        below_it,
        [](actor<anything> self, ref<sink_protocol> there, std::shared_ptr<sink_state> held) -> task<> {
            for (std::uint64_t i = 0; i < a_flood; ++i) EXPECT_EQ(self.send<pebble>(there, i), errc::ok);
            co_await self.sleep(1ms);  // a turn for the link, which takes what it can before
            held->may_go_on.count_down();
            auto count = co_await self.ask<total>(there, 60s);
            REQUIRE_OR_END(count);
            EXPECT_EQ(*count, a_flood);
        },
        to, state);
    EXPECT_LE(state->deepest.load(), 2u * limits::turn_budget);
    EXPECT_GT(state->deepest.load(), 0u);
}

TEST_P(TwoNodes, CarryLargeMessagesWhileSmallOnesPass) {
    node above{"above", listening()};
    ASSERT_TRUE(above.start(with_counter()));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    play(below_it, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<counter_protocol>("/above/counter");
        REQUIRE_OR_END(found);
        for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{255}, std::size_t{256},
                                       std::size_t{32 * 1024}, std::size_t{1} << 20, std::size_t{16} << 20}) {
            std::string what(size, 'x');
            for (std::size_t i = 0; i < size; i += 97) what[i] = static_cast<char>('a' + i % 26);
            auto answer = co_await self.ask<text>(*found, 60s, what);
            if (!answer) ADD_FAILURE() << size << ": " << answer.error().what();
            REQUIRE_OR_END(answer);
            EXPECT_EQ(answer->size(), size + 1);
            EXPECT_TRUE(answer->compare(0, size, what) == 0);
        }
    });
}

TEST_P(TwoNodes, CarryMessagesOfAllSizesInOneStream) {
    node above{"above", listening()};
    supervisor_spec spec;
    spec.add(child("collector", in_coroutine, collector));
    ASSERT_TRUE(above.start(std::move(spec)));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    play(below_it, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<collector_protocol>("/above/collector");
        REQUIRE_OR_END(found);
        constexpr std::uint32_t n = 5000;
        for (std::uint32_t i = 0; i < n; ++i)
            REQUIRE_OR_END(co_await self.send_wait<piece>(*found, i, piece::of(i)) == errc::ok);
        auto right = co_await self.ask<total>(*found, 60s);
        REQUIRE_OR_END(right);
        EXPECT_EQ(*right, n);
    });
}

TEST_P(TwoNodes, MonitorsAndLinksFireAcross) {
    node above{"above", listening()};
    supervisor_spec spec;
    spec.add(child("counter", in_coroutine, counter).restarts(restart::temporary));
    spec.add(child("other", in_coroutine, counter).restarts(restart::temporary));
    ASSERT_TRUE(above.start(std::move(spec)));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    play(below_it, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<counter_protocol>("/above/counter");
        auto other = co_await self.resolve<counter_protocol>("/above/other");
        REQUIRE_OR_END(found && other);
        const auto id = self.monitor(*found);
        self.trap_exits();
        self.link(*other);
        self.send<crash>(*found);
        auto first = co_await self.receive(20s);
        REQUIRE_OR_END(first);
        REQUIRE_OR_END(first->get_if<down>());
        EXPECT_EQ(first->get_if<down>()->monitor, id);
        EXPECT_EQ(first->get_if<down>()->reason.kind(), exit_kind::error);
        EXPECT_EQ(first->get_if<down>()->reason.text(), "asked to crash");
        self.send<crash>(*other);
        auto second = co_await self.receive(20s);
        REQUIRE_OR_END(second);
        REQUIRE_OR_END(second->get_if<exit_signal>());
        EXPECT_EQ(second->get_if<exit_signal>()->reason.text(), "asked to crash");
        self.monitor(*found);
        auto third = co_await self.receive(20s);
        REQUIRE_OR_END(third && third->get_if<down>());
        EXPECT_EQ(third->get_if<down>()->reason.kind(), exit_kind::no_actor);
        auto answer = co_await self.ask<total>(*found, 20s);
        EXPECT_EQ(answer.error(), errc::down) << answer.error().what();
    });
}

TEST_P(TwoNodes, HearAtOnceThatTheOtherNodeHasEnded) {
    auto above = std::make_unique<node>("above", listening());
    ASSERT_TRUE(above->start(with_counter()));
    node below_it{"below", below(*above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    std::promise<void> watching;
    std::thread ender{[&] {
        watching.get_future().wait();
        above.reset();
    }};
    play(
        below_it,
        [](actor<anything> self, std::promise<void>* go) -> task<> {
            auto found = co_await self.resolve<counter_protocol>("/above/counter");
            if (!found) go->set_value();
            REQUIRE_OR_END(found);
            self.monitor(*found);
            auto sum = co_await self.ask<total>(*found, 20s);
            EXPECT_TRUE(sum);
            go->set_value();
            auto m = co_await self.receive(30s);
            REQUIRE_OR_END(m && m->get_if<down>());
            EXPECT_TRUE(m->get_if<down>()->reason.kind() == exit_kind::node_lost ||
                        m->get_if<down>()->reason.kind() == exit_kind::stopped)
                << m->get_if<down>()->reason.to_string();
            for (int i = 0; i < 1000; ++i) {  // the farewell may still be on its way
                auto again = co_await self.ask<total>(*found, 20s);
                EXPECT_FALSE(again);
                if (again.error() == errc::node_lost) break;
                co_await self.sleep(1ms);
            }
            EXPECT_EQ(self.send<add>(*found, 1u), errc::node_lost);
        },
        &watching);
    ender.join();
}

TEST_P(TwoNodes, SendWaitLosesNothingToASlowReceiver) {
    node above{"above", listening()};
    supervisor_spec spec;
    spec.add(child("counter", in_coroutine, counter).mailbox(16));
    ASSERT_TRUE(above.start(std::move(spec)));
    node below_it{"below", below(above)};
    ASSERT_TRUE(below_it.start(supervisor_spec{}));
    play(below_it, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<counter_protocol>("/above/counter");
        REQUIRE_OR_END(found);
        constexpr std::uint64_t n = 100'000;
        for (std::uint64_t i = 0; i < n; ++i)
            if (const errc sent = co_await self.send_wait<add>(*found, 1u); sent != errc::ok) {
                ADD_FAILURE() << to_string(sent) << " at " << i;
                co_return;
            }
        std::uint64_t seen = 0;
        for (int i = 0; i < 2000 && seen != n; ++i) {
            auto sum = co_await self.ask<total>(*found, 30s);
            if (!sum) EXPECT_EQ(sum.error(), errc::mailbox_full);  // an ask does not wait for room
            seen = sum ? *sum : 0;
            if (seen != n) co_await self.sleep(5ms);
        }
        EXPECT_EQ(seen, n);
    });
}

struct go_on {};
using step_protocol = protocol<go_on>;

constexpr int all_steps = 300;

// Each is ready when it is told to be, and only then the next one is started.
task<> step(actor<step_protocol> self) {
    static_cast<void>(co_await self.receive());
    self.ready();
    while (co_await self.receive()) {
    }
}

task<> climber(actor<anything> self, std::shared_ptr<std::atomic<int>> reached) {
    for (int i = 0; i < all_steps; ++i) {
        auto next = co_await self.resolve<step_protocol>(fmt::format("inproc://stairs#/stairs/step{}", i));
        if (!next) co_return self.fail("step {}: {}", i, next.error());
        *reached = i + 1;
        EXPECT_EQ(self.send<go_on>(*next), errc::ok);
    }
}

// The one looked up is named by one thread while another one is about to hold the lookup. Were that not seen by either, the lookup
// would end without an answer, and the tree would not start.
TEST(TwoNodesOnThreads, WhoIsLookedUpIsFoundAsSoonAsItIsThereWhileItsTreeStarts) {
    const auto reached = std::make_shared<std::atomic<int>>(0);
    node_options below;
    below.schedulers = 1;
    supervisor_spec climbers;
    climbers.add(child("climber", in_coroutine, climber, reached).restarts(restart::temporary));
    node person{"person", below};
    ASSERT_TRUE(person.start(std::move(climbers)));
    supervisor_spec stairs_of;
    for (int i = 0; i < all_steps; ++i)
        stairs_of.add(child("step" + std::to_string(i), on_scheduler(1), step).awaits_ready());
    node stairs{"stairs", listening_at("inproc://stairs", 2)};
    auto started = stairs.start(std::move(stairs_of));
    ASSERT_TRUE(started) << started.error().what();
    EXPECT_EQ(*reached, all_steps);
}

INSTANTIATE_TEST_SUITE_P(Kinds, TwoNodes,
                         ::testing::Values("inproc://above", "tcp://127.0.0.1:0", "unix://above",
                                           "shm://above", "pipe://above", "shm://above?checksum=all"),
                         [](const auto& one) {
                             const std::string uri = one.param;
                             return uri.substr(0, uri.find(':')) +
                                    (uri.find("checksum") == std::string::npos ? "" : "_sealed");
                         });

}  // namespace
}  // namespace coppice::tests
