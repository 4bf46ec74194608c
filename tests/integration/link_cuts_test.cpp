// Links that are cut, stalled and swallowed by a proxy, under load both ways: between two living nodes every message
// arrives once and in order, and every ask is answered, whatever happens to their link; and a node that is gone is
// told as gone.
//
// Each run prints its seed; COPPICE_SEED=<n> takes that one again (the cuts fall after the same bytes; the threads do
// what they want).
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "coppice/endpoint.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/certificates.hpp"
#include "support/cut_proxy.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"
#include "support/sanitizers.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

constexpr std::uint64_t many_cuts = slow_build ? 150 : 1000;

// ---------------------------------------------------------------- what they say to each other

struct numbered {
    std::uint64_t number = 0;
    std::string padding;
};
struct numbered_ask {  // in the same order as `numbered`
    std::uint64_t number = 0;
    std::string padding;
    using reply = std::uint64_t;
};
struct echo {
    std::uint64_t number = 0;
    std::string padding;
    using reply = std::string;
};
struct how_many {
    using reply = std::uint64_t;
};
struct never_answered {
    using reply = std::uint64_t;
};
using sink_protocol = protocol<numbered, numbered_ask, echo, how_many, never_answered>;

std::string padding_of(std::uint64_t number) {
    std::mt19937_64 random{number};
    const std::uint64_t kind = random() % 1000;
    const std::size_t size = kind < 900 ? random() % 64 : kind < 998 ? random() % 4'000 : random() % 150'000;
    return std::string(size, static_cast<char>('a' + number % 26));
}

// What a node's actors tell the test. Outlives the nodes.
struct traffic {
    std::atomic<bool> enough{false};
    std::atomic<std::uint64_t> sent{0};      // told as taken to the numbered sender
    std::atomic<std::uint64_t> answered{0};  // asks of the askers
    std::atomic<std::uint64_t> wrong{0};  // messages that were not the next one, or not what they should hold
    std::atomic<int> at_work{0};          // senders and askers that have not ended
};

void complain(traffic* t, const std::string& what) {
    if (++t->wrong <= 5) ADD_FAILURE() << what;
}

task<> sink(actor<sink_protocol> self, traffic* t) {
    std::uint64_t next = 0;
    std::vector<request<never_answered>> kept;
    const auto take = [&](std::uint64_t number, const std::string& padding) {
        if (number != next)
            complain(t, "number " + std::to_string(number) + " came in place of " + std::to_string(next));
        if (padding != padding_of(number))
            complain(t, "the padding of " + std::to_string(number) + " is another");
        next = number + 1;
    };
    while (auto m = co_await self.receive())
        m.match([&](const numbered& n) { take(n.number, n.padding); },
                [&](request<numbered_ask> r) {
                    take(r->number, r->padding);
                    r.reply(r->number);
                },
                [&](request<echo> r) { r.reply(r->padding + std::to_string(r->number)); },
                [&](request<how_many> r) { r.reply(next); },
                [&](request<never_answered> r) { kept.push_back(std::move(r)); });
}

// The upper node does not know the lower one before it has come, nor its actors before they run.
task<result<ref<sink_protocol>>> find_sink(actor<protocol<>> self, traffic* t, std::string where) {
    for (;;) {
        auto to = co_await self.resolve<sink_protocol>(where);
        if (to || t->enough) co_return to;
        if (to.error() != errc::unreachable && to.error() != errc::not_found)
            complain(t, where + ": " + to.error().what());
        co_await self.sleep(10ms);
    }
}

// Numbered messages as fast as there is room, every 2000th of them an ask, to the sink of the other node.
task<> sender(actor<protocol<>> self, traffic* t, std::string where) {
    auto to = co_await find_sink(self, t, where);
    for (std::uint64_t n = 0; to && !t->enough;) {
        if (n % 2000 == 1999) {
            auto answer = co_await self.ask<numbered_ask>(*to, 300s, n, padding_of(n));
            if (answer.error() == errc::mailbox_full) {  // refused: it was not handled
                co_await self.sleep(1ms);
                continue;
            }
            if (!answer || *answer != n) {
                complain(t, "ask " + std::to_string(n) + ": " + answer.error().what());
                break;
            }
        } else if (const errc outcome = co_await self.send_wait<numbered>(*to, n, padding_of(n));
                   outcome != errc::ok) {
            complain(t, "send_wait " + std::to_string(n) + ": " + std::string{to_string(outcome)});
            break;
        }
        t->sent = ++n;
    }
    --t->at_work;
}

task<> asker(actor<protocol<>> self, traffic* t, std::string where, std::uint64_t salt) {
    auto to = co_await find_sink(self, t, where);
    for (std::uint64_t n = salt; to && !t->enough; ++n) {
        auto answer = co_await self.ask<echo>(*to, 300s, n, padding_of(n));
        if (answer.error() == errc::mailbox_full) {
            co_await self.sleep(1ms);
            continue;
        }
        if (!answer || *answer != padding_of(n) + std::to_string(n)) {
            complain(t, "echo " + std::to_string(n) + ": " +
                            (answer ? "a wrong answer" : answer.error().what()));
            break;
        }
        ++t->answered;
    }
    --t->at_work;
}

// ---------------------------------------------------------------- two nodes and a proxy

const std::string& directory() {
    static const own_directory made;
    return made.path();
}

std::string tls_options() {
    static const std::string options = [] {
        const certificate_authority ca{directory(), "ca"};
        return ca.issue("node", {.name = "node.test", .address = "127.0.0.1"}).options();
    }();
    return options;
}

constexpr int askers = 4;

supervisor_spec tree(traffic* t, const std::string& other) {
    supervisor_spec spec;
    // Away from the scheduler that the links live on, so that mail passes between threads too.
    spec.add(child("sink", on(1, 2), sink, t));
    if (other.empty()) return spec;
    t->at_work = 1 + askers;
    const std::string where = "/" + other + "/sink";
    spec.add(child("sender", on(1, 2), sender, t, where).restarts(restart::temporary));
    for (int n = 0; n < askers; ++n)
        spec.add(child("asker" + std::to_string(n), on(static_cast<std::uint32_t>(n) % 2, 2), asker, t, where,
                       static_cast<std::uint64_t>(n) * 1'000'000)
                     .restarts(restart::temporary));
    return spec;
}

class LinkCuts : public ::testing::TestWithParam<const char*> {
protected:
    [[nodiscard]] std::string options() const {
        return std::string{GetParam()} == "tls" ? "?" + tls_options() : std::string{};
    }
    // Two nodes, the lower one joined to the upper one through the proxy.
    void start(bool load, std::chrono::nanoseconds hold_above = 60s,
               std::chrono::nanoseconds hold_below = 60s) {
        node_options o = quiet(2);
        o.network.listen = {std::string{GetParam()} + "://127.0.0.1:0" + options()};
        o.network.hold = hold_above;
        upper = std::make_unique<node>("upper", o);
        const auto up = upper->start(tree(&at_upper, load ? "lower" : ""));
        ASSERT_TRUE(up) << up.error().what();
        proxy = std::make_unique<cut_proxy>(endpoint::parse(upper->listening().at(0))->port);
        node_options below = quiet(2);
        below.network.parent = through_proxy();
        below.network.hold = hold_below;
        lower = std::make_unique<node>("lower", below);
        const auto down = lower->start(tree(&at_lower, load ? "upper" : ""));
        ASSERT_TRUE(down) << down.error().what();
    }
    [[nodiscard]] std::string through_proxy() const {
        return std::string{GetParam()} + "://127.0.0.1:" + std::to_string(proxy->port()) + options();
    }
    // Both directions are at full load.
    void stall_until_noticed(cut_proxy::direction which, const traffic& held_up) {
        start(true);
        until_busy();
        proxy->stall(which);
        // The silence is noticed, and the next attempt is stalled as well; then all that was held arrives late.
        proxy->until([](const cut_proxy::counts& c) { return c.connections >= 2; });
        proxy->forward();
        const std::uint64_t before = held_up.sent;
        wait([&] { return held_up.sent > before + 1000; });
        settle();
    }
    void until_busy() {
        wait([&] {
            return at_upper.sent > 1000 && at_lower.sent > 1000 && at_upper.answered > 100 &&
                   at_lower.answered > 100;
        });
    }
    // The traffic ends; everything that was sent has arrived, once.
    void settle() {
        proxy->forward();
        at_upper.enough = at_lower.enough = true;
        wait([&] { return at_upper.at_work == 0 && at_lower.at_work == 0; });
        expect_all_at(*lower, "/upper/sink", at_lower);
        expect_all_at(*upper, "/lower/sink", at_upper);
        EXPECT_EQ(at_upper.wrong, 0u);
        EXPECT_EQ(at_lower.wrong, 0u);
        const auto seen = proxy->so_far();
        std::printf(
            "[ LOAD     ] %llu connections, %llu cuts, %llu bytes up, %llu down; sent %llu up, %llu down; "
            "answered %llu up, %llu down\n",
            static_cast<unsigned long long>(seen.connections), static_cast<unsigned long long>(seen.cuts),
            static_cast<unsigned long long>(seen.up), static_cast<unsigned long long>(seen.down),
            static_cast<unsigned long long>(at_lower.sent), static_cast<unsigned long long>(at_upper.sent),
            static_cast<unsigned long long>(at_lower.answered),
            static_cast<unsigned long long>(at_upper.answered));
    }
    static void expect_all_at(node& asking, const std::string& where, const traffic& t) {
        auto to = asking.resolve<sink_protocol>(where);
        ASSERT_TRUE(to) << to.error().what();
        // An ask of another sender may overtake: what is under way is waited for; what is double would come after it.
        std::uint64_t there = 0;
        do {
            auto answer = asking.ask<how_many>(*to, 60s);
            ASSERT_TRUE(answer) << answer.error().what();
            there = *answer;
        } while (there < t.sent);
        EXPECT_EQ(there, t.sent);
    }
    // Until that holds; the watchdog ends what never comes.
    template <class F>
    static void wait(F holds) {
        while (!holds()) std::this_thread::yield(), std::this_thread::sleep_for(1ms);
    }
    static std::uint64_t seed() {
        const std::uint64_t given = seed_to_replay();
        const std::uint64_t taken = given ? given : std::random_device{}() + 1ull;
        std::printf("[ SEED     ] replay with COPPICE_SEED=%llu\n", static_cast<unsigned long long>(taken));
        return taken;
    }

    traffic at_upper;
    traffic at_lower;
    std::unique_ptr<node> upper;
    std::unique_ptr<cut_proxy> proxy;
    std::unique_ptr<node> lower;
};

INSTANTIATE_TEST_SUITE_P(Over, LinkCuts, ::testing::Values("tcp", "tls"),
                         [](const auto& info) { return std::string{info.param}; });

TEST_P(LinkCuts, LoseDoubleAndReorderNothingUnderFullLoad) {
    start(true);
    until_busy();
    proxy->cut_at_random({.seed = seed(), .most = 300'000, .times = many_cuts});
    proxy->until([](const cut_proxy::counts& c) { return c.cuts >= many_cuts; });
    settle();
}

TEST_P(LinkCuts, LoseNothingInABlackHoleOfTwoSecondsThatEndsInAReset) {
    start(true);
    until_busy();
    proxy->swallow(cut_proxy::direction::both);
    std::this_thread::sleep_for(2s);  // the fault itself
    proxy->forward();
    proxy->cut(cut_proxy::how::reset);
    const std::uint64_t before = at_upper.sent;
    wait([&] { return at_upper.sent > before + 1000; });
    settle();
    EXPECT_GT(proxy->so_far().swallowed, 0u);
}

TEST_P(LinkCuts, LoseNothingInAStallThatIsLongerThanTheLeaseAndThenEnds) {
    stall_until_noticed(cut_proxy::direction::both, at_upper);
}

TEST_P(LinkCuts, LoseNothingWhenOneDirectionIsStalledForLongerThanTheLease) {
    stall_until_noticed(cut_proxy::direction::up, at_lower);
}

TEST_P(LinkCuts, LoseNothingWhileConnectionsAreRefusedForAWhile) {
    start(true);
    until_busy();
    for (int n = 0; n < 3; ++n) {
        proxy->refuse(true);
        proxy->cut(cut_proxy::how::reset);
        proxy->until([](const cut_proxy::counts& c) { return c.open == 0; });
        std::this_thread::sleep_for(300ms);  // the fault itself
        proxy->refuse(false);
        const std::uint64_t before = at_upper.sent;
        wait([&] { return at_upper.sent > before + 1000; });
    }
    settle();
}

// ---------------------------------------------------------------- gone, or taken for gone

task<> ask_in_vain(actor<protocol<>> self, std::promise<error>* told, std::string where) {
    auto to = co_await self.resolve<sink_protocol>(where);
    if (!to) {
        told->set_value(to.error());
        co_return;
    }
    auto answer = co_await self.ask<never_answered>(*to, 300s);
    told->set_value(answer.error());
}

TEST_P(LinkCuts, ToldAsLostOnceTheHoldTimeIsOverAndBothCanTalkAgainWhenThePathIsBack) {
    start(false, 500ms, 60s);  // the upper one loses patience, the lower one does not
    std::promise<error> told_above;
    std::promise<error> told_below;
    const auto begin = [](node& where, std::promise<error>* told, const char* whom) {
        auto root = where.resolve<supervisor_protocol>("/" + where.name());
        ASSERT_TRUE(root);
        ASSERT_TRUE(
            where.ask<start_child>(*root, 60s,
                                   child("in_vain", in_coroutine, ask_in_vain, told, std::string{whom})
                                       .restarts(restart::temporary)));
    };
    auto to_upper = lower->resolve<sink_protocol>("/upper/sink");
    ASSERT_TRUE(to_upper) << to_upper.error().what();
    auto to_lower = upper->resolve<sink_protocol>("/lower/sink");
    ASSERT_TRUE(to_lower) << to_lower.error().what();
    begin(*upper, &told_above, "/lower/sink");
    begin(*lower, &told_below, "/upper/sink");
    ASSERT_TRUE(upper->ask<how_many>(*to_lower, 60s));  // all that is above has gone out
    ASSERT_TRUE(lower->ask<how_many>(*to_upper, 60s));

    proxy->refuse(true);
    proxy->cut(cut_proxy::how::reset);
    const error above = told_above.get_future().get();
    EXPECT_EQ(above, errc::node_lost) << above.what();
    proxy->refuse(false);

    // The lower one is told too: what the upper one has given up cannot be answered any more.
    const error below = told_below.get_future().get();
    EXPECT_EQ(below, errc::node_lost) << below.what();
    for (node* from : {upper.get(), lower.get()}) {
        const auto& to = from == upper.get() ? to_lower : to_upper;
        result<std::uint64_t> answer = errc::timeout;
        while (!(answer = from->ask<how_many>(*to, 60s))) {
            ASSERT_TRUE(answer.error() == errc::node_lost || answer.error() == errc::unreachable)
                << answer.error().what();
            std::this_thread::sleep_for(1ms);
        }
        EXPECT_EQ(*answer, 0u);
    }
}

// The lower node of the test below, in a process of its own.
int run_lower() {
    traffic own;
    node_options o = quiet(2);
    o.network.parent = word("PARENT");
    node lower{"lower", o};
    if (!lower.start(tree(&own, ""))) return 1;
    lower.wait();
    return 0;
}
const bool lower_role = add_role("lower", run_lower);

TEST_P(LinkCuts, EndWithNodeLostWhenTheOtherProcessIsKilled) {
    node_options o = quiet(2);
    o.network.listen = {std::string{GetParam()} + "://127.0.0.1:0" + options()};
    upper = std::make_unique<node>("upper", o);
    ASSERT_TRUE(upper->start(tree(&at_upper, "")));
    proxy = std::make_unique<cut_proxy>(endpoint::parse(upper->listening().at(0))->port);
    process child{"lower", {{"PARENT", through_proxy()}}};
    play(
        *upper,
        [](actor<anything> self, pid_t victim, cut_proxy* path) -> task<> {
            result<ref<sink_protocol>> to = errc::timeout;
            while (!(to = co_await self.resolve<sink_protocol>("/lower/sink"))) co_await self.sleep(10ms);
            const auto id = self.monitor(*to);
            auto here = co_await self.ask<how_many>(*to, 60s);
            REQUIRE_OR_END(here);
            path->stall(cut_proxy::direction::down);  // nothing is acknowledged to the sender any more
            for (std::uint64_t n = 0; n < 100; ++n)
                EXPECT_EQ(self.send<numbered>(*to, n, padding_of(n)), errc::ok);
            path->forward();
            ::kill(victim, SIGKILL);
            auto answer = co_await self.ask<never_answered>(*to, 300s);
            EXPECT_EQ(answer.error(), errc::node_lost) << answer.error().what();
            auto m = co_await self.receive(60s);
            REQUIRE_OR_END(m && m->get_if<down>());
            EXPECT_EQ(m->get_if<down>()->monitor, id);
            EXPECT_EQ(m->get_if<down>()->reason.kind(), exit_kind::node_lost);
            EXPECT_EQ(self.send<numbered>(*to, 0u, std::string{}), errc::node_lost);
        },
        child.id(), proxy.get());
    EXPECT_EQ(child.wait(), -SIGKILL);
}

// What was on its way when the process died has an outcome that nobody knows; it is counted as that.
TEST_P(LinkCuts, CountWhatWasUnderWayToAKilledProcessAsOfUnknownOutcome) {
    node_options o = quiet(2);
    o.network.listen = {std::string{GetParam()} + "://127.0.0.1:0" + options()};
    upper = std::make_unique<node>("upper", o);
    ASSERT_TRUE(upper->start(tree(&at_upper, "")));
    proxy = std::make_unique<cut_proxy>(endpoint::parse(upper->listening().at(0))->port);
    process child{"lower", {{"PARENT", through_proxy()}}};
    result<ref<sink_protocol>> to = errc::timeout;
    while (!(to = upper->resolve<sink_protocol>("/lower/sink"))) std::this_thread::sleep_for(10ms);
    ASSERT_TRUE(upper->ask<how_many>(*to, 60s));
    // What was asked until now is acknowledged, a little after its answer.
    wait([&] {
        const auto flows = upper->inspect().flows;
        return std::all_of(flows.begin(), flows.end(), [](const flow_info& f) {
            return std::all_of(f.lanes.begin(), f.lanes.end(),
                               [](const flow_lane_info& l) { return l.unacknowledged == 0; });
        });
    });
    // The messages fall into the hole, so that none of them is acknowledged; then the process dies and the path with
    // it.
    proxy->swallow(cut_proxy::direction::both);
    constexpr std::uint64_t count = 100;
    for (std::uint64_t n = 0; n < count; ++n)
        EXPECT_EQ(upper->send<numbered>(*to, n, std::string(100, 'x')), errc::ok);
    proxy->until([](const cut_proxy::counts& c) { return c.swallowed > count * 100; });
    child.end_at_once();
    proxy->cut(cut_proxy::how::reset);
    const auto unknown = [&] {
        for (const auto& [code, number] : upper->inspect().dead_letter_reasons)
            if (code == errc::outcome_unknown) return number;
        return std::uint64_t{0};
    };
    wait([&] { return unknown() != 0; });
    EXPECT_EQ(unknown(), count);
}

}  // namespace
}  // namespace coppice::tests
