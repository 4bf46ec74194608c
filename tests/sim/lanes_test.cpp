// The lanes of a flow, from actor to actor: what is urgent passes what is not, and nothing passes what is of its own lane.
// Worlds on virtual time over the simulated network.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "network_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct load {
    std::uint64_t number = 0;
    std::string bytes;
};
struct alarm {
    static constexpr auto lane = lane::priority;
    std::uint64_t number = 0;
    std::string bytes;
};
struct how_many {
    static constexpr auto lane = lane::priority;
    using reply = std::string;
};
struct unheard {
    static constexpr auto lane = lane::priority;
    using reply = std::string;
};
struct flood {};
using slow_protocol = protocol<load, alarm, how_many>;

struct seen {
    std::vector<std::string> events;  // "load 3", "alarm 0"
    std::uint64_t loads_sent = 0;
    bool done = false;

    [[nodiscard]] std::size_t at(const std::string& event) const {
        return static_cast<std::size_t>(std::find(events.begin(), events.end(), event) - events.begin());
    }
};
using log_of = std::shared_ptr<seen>;

// Takes a load a second.
task<> slow_one(actor<slow_protocol> self, log_of log, std::chrono::nanoseconds pause) {
    while (auto m = co_await self.receive()) {
        m.match([&](const load& l) { log->events.push_back("load " + std::to_string(l.number)); },
                [&](const alarm& a) { log->events.push_back("alarm " + std::to_string(a.number)); },
                [&](request<how_many> r) { r.reply(std::string(100, 'x')); });
        if (m.get_if<load>()) co_await self.sleep(pause);
    }
}

network_options at(const std::string& own, const std::string& above = {}) {
    network_options o;
    o.listen = {"sim://" + own};
    if (!above.empty()) o.parent = "sim://" + above + "?from=" + own;
    return o;
}

std::shared_ptr<sim_network> network_for(const testing::world& w) {
    auto net = std::make_shared<sim_network>(w.seed());
    register_transport(net);
    return net;
}

template <class P>
task<ref<P>> find(actor<anything> self, std::string path) {
    for (;;) {
        if (auto found = co_await self.resolve<P>(path)) co_return *found;
        co_await self.sleep(10ms);
    }
}

constexpr std::uint64_t loads = 300;
constexpr std::size_t load_bytes = 20'000;

// Sends megabytes to one that is slow, and once they wait for credit an alarm.
task<> sender(actor<anything> self, log_of log) {
    const auto to = co_await find<slow_protocol>(self, "/slow/actor");
    auto stuffing = self.spawn_task([](actor<anything> me, log_of l, ref<slow_protocol> there) -> task<> {
        for (std::uint64_t i = 0; i < loads; ++i) {
            if (co_await me.send_wait<load>(there, i, std::string(load_bytes, 'l')) != errc::ok) co_return;
            ++l->loads_sent;
        }
    }(self, log, to));
    co_await self.sleep(30s);
    const std::uint64_t before = log->loads_sent;
    EXPECT_LT(before, loads) << "nothing waits";
    EXPECT_GT(before * load_bytes, limits::flow_window) << "nothing waits for credit";
    for (std::uint64_t i = 0; i < 3; ++i) EXPECT_EQ(self.send<alarm>(to, i, std::string{}), errc::ok);
    log->events.push_back("sent");
    while (co_await self.receive()) {
    }
}

TEST(Lanes, AnAlarmPassesMegabytesThatWaitForCreditAndForASlowReceiver) {
    for_each_seed(10, [](testing::world& world) {
        const auto net = network_for(world);
        auto log = std::make_shared<seen>();
        ASSERT_TRUE(
            world.start(supervisor_spec{}.add(child("actor", in_coroutine, slow_one, log, 1s).mailbox(4)),
                        "slow", at("slow")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("sender", in_coroutine, sender, log)), "quick",
                                at("quick", "slow")));
        ASSERT_TRUE(world.run_until([&] { return log->at("alarm 2") < log->events.size(); }, 120s));
        const std::size_t sent = log->at("sent");
        // The one that is being taken, and none of those that wait.
        EXPECT_LE(log->at("alarm 0"), sent + 2);
        EXPECT_LE(log->at("alarm 2"), sent + 4);
        EXPECT_LT(log->at("alarm 0"), log->at("alarm 1"));
        EXPECT_LT(log->at("alarm 1"), log->at("alarm 2"));
    });
}

// Large and small in turn, in both lanes.
task<> sender_of_sizes(actor<anything> self, log_of log) {
    const auto to = co_await find<slow_protocol>(self, "/slow/actor");
    const std::size_t sizes[] = {10, 200'000, 10, 40'000, 600'000, 0, 33'000, 10, 20, 30};
    EXPECT_EQ(self.send<load>(to, 0u, std::string(std::size_t{16} << 20, 'l')), errc::ok);
    for (std::uint64_t i = 0; i < std::size(sizes); ++i) {
        EXPECT_EQ(self.send<alarm>(to, i, std::string(sizes[i], 'a')), errc::ok);
        EXPECT_EQ(self.send<load>(to, i + 1, std::string(sizes[i], 'l')), errc::ok);
    }
    while (co_await self.receive()) {
    }
    static_cast<void>(log);
}

TEST(Lanes, KeepTheirOrderWhateverTheSizes) {
    for_each_seed(10, [](testing::world& world) {
        const auto net = network_for(world);
        auto log = std::make_shared<seen>();
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("actor", in_coroutine, slow_one, log, 0s)),
                                "slow", at("slow")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("sender", in_coroutine, sender_of_sizes, log)),
                                "quick", at("quick", "slow")));
        world.advance(200ms);
        net->cut();
        ASSERT_TRUE(world.run_until([&] { return log->events.size() >= 21; }, 300s));
        for (std::uint64_t i = 0; i + 1 < 10; ++i)
            EXPECT_LT(log->at("alarm " + std::to_string(i)), log->at("alarm " + std::to_string(i + 1)));
        for (std::uint64_t i = 0; i < 10; ++i)
            EXPECT_LT(log->at("load " + std::to_string(i)), log->at("load " + std::to_string(i + 1)));
        EXPECT_LT(log->at("alarm 9"), log->at("load 0")) << "16 MiB of normal mail came first";
    });
}

task<> finder(actor<anything> self, std::shared_ptr<std::optional<ref<slow_protocol>>> place) {
    *place = co_await find<slow_protocol>(self, "/slow/actor");
    while (co_await self.receive()) {
    }
}

// In virtual time: a lane that forgets to resume would be reminded a second later.
TEST(Lanes, AllGoOnAsSoonAsTheLinkIsBack) {
    for_each_seed(20, [](testing::world& world) {
        const auto net = network_for(world);
        auto log = std::make_shared<seen>();
        auto to = std::make_shared<std::optional<ref<slow_protocol>>>();
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("actor", in_coroutine, slow_one, log, 0s)),
                                "slow", at("slow")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("finder", in_coroutine, finder, to)), "quick",
                                at("quick", "slow")));
        ASSERT_TRUE(world.run_until([&] { return to->has_value(); }));
        sim_conditions long_way;
        long_way.least_delay = long_way.most_delay = 20ms;
        net->conditions(long_way);
        world.send<load>(**to, 0u, std::string{});
        world.send<alarm>(**to, 0u, std::string{});
        world.advance(10ms);  // they are under way
        net->cut();
        world.advance(500ms);
        EXPECT_EQ(log->events.size(), 2u);
    });
}

constexpr std::uint64_t burst_loads = 150;

// Sends a burst and then an alarm, once it is told to.
task<> burster(actor<anything> self, log_of log, std::shared_ptr<bool> go) {
    const auto to = co_await find<slow_protocol>(self, "/slow/actor");
    log->done = true;
    while (!*go) co_await self.sleep(10ms);
    for (std::uint64_t i = 0; i < burst_loads; ++i)
        EXPECT_EQ(self.send<load>(to, i, std::string(load_bytes, 'l')), errc::ok);
    co_await self.sleep(500ms);
    EXPECT_EQ(self.send<alarm>(to, 0u, std::string{}), errc::ok);
    while (co_await self.receive()) {
    }
}

TEST(Lanes, AnAlarmPassesWhatWaitsInARelay) {
    testing::world_options options;
    options.level = level::info;
    for_each_seed(20, options, [](testing::world& world) {
        const auto net = network_for(world);
        sim_conditions thin;  // so that frames go in pieces, which nothing may come between
        if (world.seed() % 2) thin.room = 16 * 1024;
        net->conditions(thin);
        auto log = std::make_shared<seen>();
        auto go = std::make_shared<bool>(false);
        const auto in_tree = [](const std::string& own, const std::string& above = {}) {
            network_options o = at(own, above);
            o.shortcuts = false;
            return o;
        };
        ASSERT_TRUE(world.start(supervisor_spec{}, "relay", in_tree("relay")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("actor", in_coroutine, slow_one, log, 0s)),
                                "slow", in_tree("slow", "relay")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("burster", in_coroutine, burster, log, go)),
                                "quick", in_tree("quick", "relay")));
        ASSERT_TRUE(world.run_until([&] { return log->done; }));
        net->isolate({"slow"});
        *go = true;
        world.advance(800ms);
        EXPECT_TRUE(log->events.empty());
        // What waits does so in the relay: the sender has nothing left.
        const node_info quick = world.inspect("quick");
        for (const flow_info& f : quick.flows) EXPECT_EQ(f.at(lane::normal).waiting_messages, 0u);
        EXPECT_GT(world.inspect("relay").links.at(1).relayed, burst_loads * load_bytes / 2);
        net->heal();
        ASSERT_TRUE(world.run_until([&] { return log->events.size() == burst_loads + 1; }));
        for (const auto& line : world.log())
            EXPECT_EQ(line.text.find("is down"), std::string::npos) << line.text;
        // What was with the link already came first.
        EXPECT_LE(log->at("alarm 0"), 256 * 1024 / load_bytes + 2);
        for (std::uint64_t i = 0; i + 1 < burst_loads; ++i)
            EXPECT_LT(log->at("load " + std::to_string(i)), log->at("load " + std::to_string(i + 1)));
    });
}

// Fills the way to /quick/slow, and answers urgent questions meanwhile.
using busy_protocol = protocol<flood, how_many>;
task<> busy(actor<busy_protocol> self, log_of log) {
    while (auto m = co_await self.receive()) {
        if (m.get_if<flood>()) {
            auto to = co_await self.resolve<slow_protocol>("/quick/slow");
            if (!to) co_return self.fail("no receiver: {}", to.error());
            std::uint64_t sent = 0;
            while (self.send<load>(*to, sent, std::string(load_bytes, 'l')) == errc::ok) ++sent;
            log->loads_sent = sent;
        } else {
            m.match([](const flood&) {}, [](request<how_many> r) { r.reply(std::string(100, 'x')); });
        }
    }
}

task<> asker(actor<anything> self, log_of log) {
    const auto to = co_await find<busy_protocol>(self, "/busy/actor");
    self.send<flood>(to);
    while (log->loads_sent == 0) co_await self.sleep(10ms);
    // 8 MiB are on their way here, and one of them is taken in a second.
    auto answer = co_await self.ask<how_many>(to, 1s);
    EXPECT_TRUE(answer) << answer.error().what();
    const auto whoever = co_await find<anything>(self, "/busy/actor");
    auto none = co_await self.ask<unheard>(whoever, 1s);
    EXPECT_EQ(none.error(), errc::no_handler) << none.error().what();
    log->done = true;
    while (co_await self.receive()) {
    }
}

TEST(Lanes, AnAnswerAndARefusalGoTheWayOfTheirRequest) {
    for_each_seed(10, [](testing::world& world) {
        const auto net = network_for(world);
        sim_conditions thin;
        thin.room = 4096;  // bytes on a link at a time
        thin.least_delay = thin.most_delay = 5ms;
        net->conditions(thin);
        auto log = std::make_shared<seen>();
        ASSERT_TRUE(
            world.start(supervisor_spec{}.add(child("actor", in_coroutine, busy, log)), "busy", at("busy")));
        ASSERT_TRUE(world.start(
            supervisor_spec{}
                .add(child("slow", in_coroutine, slow_one, std::make_shared<seen>(), 1s).mailbox(4))
                .add(child("asker", in_coroutine, asker, log)),
            "quick", at("quick", "busy")));
        ASSERT_TRUE(world.run_until([&] { return log->done; }, 60s));
        EXPECT_GT(log->loads_sent * load_bytes, limits::flow_window);
    });
}

}  // namespace
}  // namespace coppice::tests
