// The test world itself: that a seed replays, that time is virtual and exact, that one message can be stepped, and that
// several nodes in one world reach one another through links.
// What it finds in other parts is tested with those.
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/seeds.hpp"
#include "coppice/coppice.hpp"
#include "coppice/testing/probe.hpp"
#include "coppice/testing/world.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;
using testing::expectation_failed;
using testing::probe;
using testing::world;

struct note {
    int number = 0;
};
struct sum {
    using reply = int;
};
struct tick {};
using adder_protocol = protocol<note, sum>;

task<> adder(actor<adder_protocol> self) {
    int total = 0;
    while (auto m = co_await self.receive())
        m.match([&](const note& n) { total += n.number; }, [&](request<sum> r) { r.reply(total); });
}

task<> relay(actor<protocol<note>> self, std::string target) {
    auto found = co_await self.resolve<adder_protocol>(target);
    if (!found) co_return self.fail("{}", found.error());
    while (auto m = co_await self.receive())
        m.match([&](const note& n) { self.send<note>(*found, n.number); });
}

task<> shouter(actor<protocol<tick>> self, int number) {
    const auto period = std::chrono::milliseconds{number};
    self.send_every<tick>(period);
    while (auto m = co_await self.receive()) self.log.info("tick of {}", number);
}

supervisor_spec adders(int count) {
    supervisor_spec spec{strategy::one_for_one};
    for (int i = 0; i < count; ++i) spec.add(child("adder" + std::to_string(i), spread, adder));
    return spec;
}

// A run with many choices: five shouters on three schedulers.
std::vector<std::string> shouted(std::uint64_t seed, std::uint64_t& print) {
    world w{seed, {.schedulers = 3, .level = level::info}};
    supervisor_spec spec{strategy::one_for_one};
    for (const int n : {3, 4, 5, 6, 12}) spec.add(child("s" + std::to_string(n), spread, shouter, n));
    EXPECT_TRUE(w.start(std::move(spec)).has_value());
    w.advance(60ms);
    std::vector<std::string> lines;
    for (const auto& line : w.log()) lines.push_back(line.path + " " + line.text);
    print = w.fingerprint();
    return lines;
}

TEST(World, ReplaysTheSameRunFromTheSameSeed) {
    for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        std::uint64_t first = 0;
        std::uint64_t second = 0;
        EXPECT_EQ(shouted(seed, first), shouted(seed, second)) << "seed " << seed;
        EXPECT_EQ(first, second) << "seed " << seed;
    }
}

TEST(World, RunsReadyActorsInAnotherOrderForAnotherSeed) {
    std::set<std::vector<std::string>> runs;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        std::uint64_t print = 0;
        runs.insert(shouted(seed, print));
    }
    EXPECT_GT(runs.size(), 10u);
}

TEST(World, LetsNoTimePassUnlessAsked) {
    world w{7};
    const auto begin = w.now();
    ASSERT_TRUE(w.start(adders(1)));
    w.run_until_idle();
    EXPECT_EQ(w.now(), begin);
    w.advance(36h);
    EXPECT_EQ(w.now() - begin, 36h);
}

TEST(World, FiresTimersAtTheirExactTimeInOrder) {
    world w{3, {.level = level::info}};
    supervisor_spec spec{strategy::one_for_one};
    spec.add(child("seven", in_coroutine, shouter, 7)).add(child("five", in_coroutine, shouter, 5));
    const auto begin = w.now();
    ASSERT_TRUE(w.start(std::move(spec)));
    w.advance(21ms);
    std::vector<std::pair<std::int64_t, std::string>> seen;
    for (const auto& line : w.log()) seen.emplace_back((line.at - begin) / 1ms, line.path);
    const std::vector<std::pair<std::int64_t, std::string>> expected{
        {5, "/app/five"},  {7, "/app/seven"}, {10, "/app/five"}, {14, "/app/seven"},
        {15, "/app/five"}, {20, "/app/five"}, {21, "/app/seven"}};
    EXPECT_EQ(seen, expected);
}

TEST(World, StepsOneMessageAtATime) {
    for_each_seed(200, [](world& w) {
        ASSERT_TRUE(w.start(adders(1)));
        const auto target = *w.resolve<adder_protocol>("/app/adder0");
        w.send<note>(target, 1);
        w.send<note>(target, 2);
        EXPECT_EQ(w.mail("/app/adder0").size(), 2u);
        w.expect<note>("/app/adder0");
        EXPECT_EQ(w.mail("/app/adder0").size(), 1u);
        EXPECT_THROW(w.expect<sum>("/app/adder0"), expectation_failed);
        EXPECT_FALSE(w.allow<sum>("/app/adder0"));
        EXPECT_TRUE(w.allow<note>("/app/adder0"));
        EXPECT_THROW(w.expect<note>("/app/adder0"), expectation_failed);
        EXPECT_EQ(*w.ask<sum>(target), 3);
    });
}

TEST(World, KeepsAWedgedActorFromRunningAndItsMailForLater) {
    for_each_seed(200, [](world& w) {
        ASSERT_TRUE(w.start(adders(2)));
        const auto stuck = *w.resolve<adder_protocol>("/app/adder0");
        const auto other = *w.resolve<adder_protocol>("/app/adder1");
        w.wedge("/app/adder0");
        w.send<note>(stuck, 5);
        w.send<note>(other, 6);
        EXPECT_EQ(*w.ask<sum>(other), 6);
        EXPECT_EQ(w.ask_within<sum>(stuck, 1s).error(), errc::timeout);
        w.unwedge("/app/adder0");
        EXPECT_EQ(*w.ask<sum>(stuck), 5);
    });
}

TEST(World, NamesTheMessageThatAProbeGotInPlaceOfTheExpectedOne) {
    world w{1};
    ASSERT_TRUE(w.start(adders(1)));
    probe<protocol<note, tick>> listener{w};
    w.send<tick>(listener.ref());
    try {
        static_cast<void>(listener.expect<note>());
        FAIL() << "it expected a note and got a tick";
    } catch (const expectation_failed& failure) {
        EXPECT_NE(std::string{failure.what()}.find("tick"), std::string::npos) << failure.what();
    }
    EXPECT_THROW(static_cast<void>(listener.expect<note>(1s)), expectation_failed);
    listener.expect_nothing(10s);
}

TEST(World, JoinsSeveralNodesWhoseActorsAskOneAnotherByPath) {
    for_each_seed(300, [](world& w) {
        supervisor_spec relays{strategy::one_for_one};
        ASSERT_TRUE(w.start(adders(1), "store"));
        relays.add(child("relay", in_coroutine, relay, std::string{"/store/adder0"}));
        ASSERT_TRUE(w.start(supervisor_spec{}, "edge"));
        EXPECT_EQ(w.resolve<adder_protocol>("/nowhere/adder0").error(), errc::not_found);
        w.connect("store", "edge");
        probe<protocol<note>> at_edge{w, "edge"};
        auto start = [](actor<anything> self, child_spec spec) -> task<> {
            static_cast<void>(co_await self.start(std::move(spec)));
            while (auto m = co_await self.receive()) {
            }
        };
        w.run_under_some_root([&](actor<anything> self) { return start(self, relays.children[0]); }, "edge");
        w.run_until_idle();
        const auto store = *w.resolve<adder_protocol>("/store/adder0");
        for (int i = 1; i <= 10; ++i) at_edge.handle().send<note>(store, i);
        w.run_until_idle();
        EXPECT_EQ(*w.ask<sum>(store), 55);
    });
}

TEST(World, TellsUnreachableWhereNoLinkLeads) {
    world w{1};
    ASSERT_TRUE(w.start(adders(1), "one"));
    ASSERT_TRUE(w.start(adders(1), "two"));
    const auto far = *w.resolve<adder_protocol>("/two/adder0");
    probe<protocol<note>> near{w, "one"};
    EXPECT_EQ(near.handle().send<note>(far, 1), errc::unreachable);
    w.connect("one", "two");
    EXPECT_EQ(near.handle().send<note>(far, 1), errc::ok);
    EXPECT_EQ(*w.ask<sum>(far), 1);
}

TEST(World, NamesWhatIsLeftBehind) {
    world w{1};
    ASSERT_TRUE(w.start(adders(1)));
    probe<protocol<sum>> keeper{w};
    std::optional<request<sum>> kept;
    w.run_under_some_root([to = keeper.ref()](actor<anything> self) {
        return [](actor<anything> me, ref<protocol<sum>> whom) -> task<> {
            static_cast<void>(co_await me.ask<sum>(whom, 1h));
        }(self, to);
    });
    kept.emplace(keeper.expect_request<sum>());
    const auto left = w.finish();
    ASSERT_EQ(left.size(), 1u);
    EXPECT_NE(left[0].find("blocks"), std::string::npos) << left[0];
}

TEST(World, StartReportsTheChildThatDidNotComeUp) {
    world w{1};
    supervisor_spec spec{strategy::one_for_one};
    spec.add(child("bad", in_coroutine, [](actor<protocol<note>>) -> task<> {
        throw std::runtime_error{"no disk"};
        co_return;
    }));
    const auto started = w.start(std::move(spec));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error(), errc::start_failed);
    EXPECT_NE(started.error().what().find("no disk"), std::string::npos) << started.error().what();
}

}  // namespace
}  // namespace coppice::tests
