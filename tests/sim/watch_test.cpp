// What a node tells of its network: flows that stall, schedulers that are stuck, links, flows and routes in inspect.
// Worlds on virtual time over the simulated network.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "network_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct tick {
    std::uint64_t number = 0;
};
struct chunk {
    std::string bytes;
};
struct open {
    static constexpr auto lane = lane::priority;
};
using gate_protocol = protocol<tick, chunk, open>;

struct seen {
    std::uint64_t sent = 0;
    std::uint64_t taken = 0;
    std::vector<flow_stalled> stalls;
    std::vector<flow_resumed> ends;
    bool resolved = false;
    std::optional<ref<gate_protocol>> found;
};
using log_of = std::shared_ptr<seen>;

// Takes nothing before it is told to.
task<> gate(actor<gate_protocol> self, log_of log) {
    auto opened = co_await self.receive_only<open>();
    if (!opened) co_return;
    while (auto m = co_await self.receive()) ++log->taken;
}

network_options at(const std::string& own, const std::string& above = {}) {
    network_options o;
    o.listen = {"sim://" + own};
    if (!above.empty()) o.parent = "sim://" + above + "?from=" + own;
    return o;
}

task<ref<gate_protocol>> find_gate(actor<anything> self, std::string path) {
    for (;;) {
        if (auto found = co_await self.resolve<gate_protocol>(path)) co_return *found;
        co_await self.sleep(10ms);
    }
}

task<> filler(actor<anything> self, log_of log, std::uint64_t count, std::size_t bytes, bool wait) {
    const auto to = co_await find_gate(self, "/far/gate");
    log->resolved = true;
    log->found = to;
    for (std::uint64_t i = 0; i < count; ++i) {
        errc outcome = errc::ok;
        if (!wait) {
            outcome = self.send<tick>(to, i);
            if (i % 256 == 255) co_await self.sleep(1ms);
        } else if (bytes) outcome = co_await self.send_wait<chunk>(to, std::string(bytes, 'c'));
        else outcome = co_await self.send_wait<tick>(to, i);
        if (outcome != errc::ok) break;
        ++log->sent;
    }
    while (co_await self.receive()) {
    }
}

task<> watcher(actor<protocol<flow_stalled, flow_resumed>> self, log_of log) {
    self.watch_flows();
    while (auto m = co_await self.receive())
        m.match([&](const flow_stalled& f) { log->stalls.push_back(f); },
                [&](const flow_resumed& f) { log->ends.push_back(f); });
}

std::size_t lines_with(const testing::world& w, std::string_view text) {
    return static_cast<std::size_t>(std::count_if(w.log().begin(), w.log().end(), [&](const auto& line) {
        return line.text.find(text) != std::string::npos;
    }));
}

template <class List>
const typename List::value_type* named(const List& all, std::string_view node) {
    const auto at = std::find_if(all.begin(), all.end(), [&](const auto& one) { return one.node == node; });
    return at == all.end() ? nullptr : &*at;
}

struct two_nodes {
    testing::world& world;
    log_of log = std::make_shared<seen>();
    std::shared_ptr<sim_network> net = std::make_shared<sim_network>(world.seed());

    bool start(std::uint64_t count, std::size_t bytes, bool wait = true) {
        register_transport(net);
        const bool far = world
                             .start(supervisor_spec{}.add(child("gate", in_coroutine, gate, log).mailbox(16)),
                                    "far", at("far"))
                             .has_value();
        const bool near = world
                              .start(supervisor_spec{}
                                         .add(child("watcher", in_coroutine, watcher, log))
                                         .add(child("filler", in_coroutine, filler, log, count, bytes, wait)),
                                     "near", at("near", "far"))
                              .has_value();
        return far && near;
    }
    void open_gate() { world.send<open>(*world.resolve<gate_protocol>("/far/gate")); }
};

testing::world_options with_log() {
    testing::world_options o;
    o.level = level::info;
    return o;
}

TEST(FlowWatch, AStallIsToldOnceWithWhatItWaitsForAndSoIsItsEnd) {
    for_each_seed(10, with_log(), [](testing::world& world) {
        two_nodes two{world};
        ASSERT_TRUE(two.start(400, 20'000));
        world.advance(4s);
        EXPECT_TRUE(two.log->stalls.empty()) << "too early";
        ASSERT_TRUE(world.run_until([&] { return !two.log->stalls.empty(); }));
        world.advance(60s);
        ASSERT_EQ(two.log->stalls.size(), 1u);
        const flow_stalled& told = two.log->stalls.front();
        EXPECT_EQ(told.node, "far");
        EXPECT_EQ(told.of, lane::normal);
        EXPECT_EQ(told.waits_for, flow_wait::credit);
        EXPECT_GE(told.messages, 1u);
        EXPECT_GE(told.bytes, told.messages * 20'000);
        EXPECT_GE(told.waited, limits::flow_stall);
        EXPECT_EQ(lines_with(world, "the flow to node far has stalled"), 1u);
        {
            const node_info info = world.inspect("near");
            const flow_info* flow = named(info.flows, "far");
            ASSERT_NE(flow, nullptr);
            EXPECT_EQ(flow->state, "reached");
            EXPECT_GE(flow->at(lane::normal).stalled, 60s);
            EXPECT_EQ(flow->at(lane::normal).waits_for, flow_wait::credit);
            EXPECT_EQ(flow->at(lane::priority).stalled, 0s);
            EXPECT_EQ(info.flow_stalls, 1u);
        }
        two.open_gate();
        ASSERT_TRUE(world.run_until([&] { return two.log->taken == 400 && !two.log->ends.empty(); }));
        world.advance(20s);
        ASSERT_EQ(two.log->ends.size(), 1u);
        EXPECT_GE(two.log->ends.front().stalled, 60s);
        EXPECT_FALSE(two.log->ends.front().lost);
        EXPECT_EQ(lines_with(world, "the flow to node far goes on"), 1u);
        EXPECT_EQ(two.log->stalls.size(), 1u) << "a flow with nothing to do does not stall";
        EXPECT_EQ(world.inspect("near").flow_stalls, 1u);
    });
}

TEST(FlowWatch, AStallThatEndsWithTheNodeSaysSo) {
    for_each_seed(5, with_log(), [](testing::world& world) {
        two_nodes two{world};
        ASSERT_TRUE(two.start(400, 20'000));
        ASSERT_TRUE(world.run_until([&] { return !two.log->stalls.empty(); }));
        world.crash("far");
        ASSERT_TRUE(world.run_until([&] { return !two.log->ends.empty(); }, 5min));
        EXPECT_TRUE(two.log->ends.front().lost);
        EXPECT_EQ(two.log->stalls.size(), 1u);
    });
}

TEST(FlowWatch, ANodeThatIsOutOfReachIsNoStall) {
    for_each_seed(5, with_log(), [](testing::world& world) {
        two_nodes two{world};
        ASSERT_TRUE(two.start(0, 0));
        ASSERT_TRUE(world.run_until([&] { return two.log->resolved; }));
        two.net->refuse_new(true);
        two.net->cut();
        world.advance(1s);
        for (std::uint64_t i = 0; i < 20; ++i) world.send<tick>(*two.log->found, i);
        world.advance(30s);
        const node_info info = world.inspect("near");
        EXPECT_EQ(named(info.flows, "far")->state, "out of reach");
        EXPECT_EQ(named(info.flows, "far")->at(lane::normal).waiting_messages, 20u);
        EXPECT_TRUE(two.log->stalls.empty());
        two.net->refuse_new(false);
        two.open_gate();
        ASSERT_TRUE(world.run_until([&] { return two.log->taken == 20; }));
        EXPECT_TRUE(two.log->stalls.empty());
    });
}

// ---- what a receiver holds

TEST(FlowCredit, TinyMessagesForAFullMailboxAreHeldUpToTheWindowOfMessages) {
    for_each_seed(2, with_log(), [](testing::world& world) {
        two_nodes two{world};
        constexpr std::uint64_t count = 60'000;
        ASSERT_TRUE(two.start(count, 0));
        world.advance(10s);
        EXPECT_LT(two.log->sent, count);
        const node_info far = world.inspect("far");
        ASSERT_NE(named(far.flows, "near"), nullptr);
        const flow_lane_info held = named(far.flows, "near")->at(lane::normal);
        EXPECT_LE(held.held_messages, limits::flow_window_records);
        EXPECT_GT(held.held_messages, limits::flow_window_records - 100);
        EXPECT_LT(held.held_bytes, limits::flow_window) << "bytes were what was short";
        const node_info near = world.inspect("near");
        ASSERT_NE(named(near.flows, "far"), nullptr);
        EXPECT_EQ(named(near.flows, "far")->at(lane::normal).credit_messages, 0u);
        two.open_gate();
        ASSERT_TRUE(world.run_until([&] { return two.log->taken == count; }, 10min));
        EXPECT_EQ(world.inspect("far").dead_letter_count, 0u);
    });
}

TEST(FlowCredit, TinyMessagesThatDoNotWaitBecomeDeadLettersFromAQuarterOfTheWindowOn) {
    for_each_seed(2, with_log(), [](testing::world& world) {
        two_nodes two{world};
        constexpr std::uint64_t count = 12'000;
        ASSERT_TRUE(two.start(count, 0, false));
        ASSERT_TRUE(world.run_until([&] { return two.log->sent == count; }));
        world.advance(10s);
        const node_info far = world.inspect("far");
        ASSERT_NE(named(far.flows, "near"), nullptr);
        const std::uint64_t held = named(far.flows, "near")->at(lane::normal).held_messages;
        EXPECT_EQ(held, limits::flow_window_records / 4);
        EXPECT_EQ(far.dead_letter_count, count - held - 16);
        two.open_gate();
        ASSERT_TRUE(world.run_until([&] { return two.log->taken == held + 16; }));
    });
}

TEST(FlowCredit, LargeMessagesForAFullMailboxAreHeldUpToTheWindow) {
    for_each_seed(2, with_log(), [](testing::world& world) {
        two_nodes two{world};
        constexpr std::uint64_t count = 60;
        constexpr std::size_t bytes = 3u << 20;
        ASSERT_TRUE(two.start(count, bytes));
        world.advance(30s);
        const node_info far = world.inspect("far");
        ASSERT_NE(named(far.flows, "near"), nullptr);
        const flow_lane_info held = named(far.flows, "near")->at(lane::normal);
        EXPECT_LE(held.held_bytes, limits::flow_window);
        EXPECT_GT(held.held_bytes, limits::flow_window / 2);
        // 16 in the mailbox, as many as may wait, and those on their way.
        EXPECT_LE(held.received * limits::fragment, (16 + 4 + 4) * bytes);
        two.open_gate();
        ASSERT_TRUE(world.run_until([&] { return two.log->taken == count; }, 10min));
        EXPECT_EQ(world.inspect("far").dead_letter_count, 0u);
    });
}

// ---- inspect

TEST(NetworkInspect, ShowsLinksFlowsAndRoutes) {
    for_each_seed(10, [](testing::world& world) {
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        auto log = std::make_shared<seen>();
        ASSERT_TRUE(world.start(supervisor_spec{}, "top", at("top")));
        ASSERT_TRUE(world.start(supervisor_spec{}, "middle", at("middle", "top")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("gate", in_coroutine, gate, log)), "far",
                                at("far", "middle")));
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("filler", in_coroutine, filler, log,
                                                            std::uint64_t{100}, std::size_t{0}, true)),
                                "near", at("near", "top")));
        ASSERT_TRUE(world.run_until([&] { return log->sent == 100; }));
        world.advance(2s);
        const node_info top = world.inspect("top");
        ASSERT_EQ(top.links.size(), 2u);
        const link_info* middle = named(top.links, "middle");
        ASSERT_NE(middle, nullptr);
        EXPECT_EQ(middle->role, "child");
        EXPECT_EQ(middle->state, "up");
        EXPECT_EQ(middle->endpoint, "");
        EXPECT_GT(middle->bytes_out, 100u * 72);
        EXPECT_GT(middle->frames_out, 100u);
        EXPECT_GT(middle->bytes_in, 0u);
        EXPECT_GT(middle->frames_in, 0u);
        EXPECT_GE(middle->age, 2s);
        EXPECT_LE(middle->silent, 2s);
        const route_info* far = named(top.routes, "far");
        ASSERT_NE(far, nullptr);
        EXPECT_EQ(far->over, "middle");
        const node_info below = world.inspect("near");
        ASSERT_EQ(below.links.size(), 1u);
        EXPECT_EQ(below.links.front().role, "parent");
        EXPECT_NE(below.links.front().endpoint.find("sim://top"), std::string::npos);
        EXPECT_EQ(below.links.front().id, named(below.flows, "top")->id);
        const flow_info* flow = named(below.flows, "far");
        ASSERT_NE(flow, nullptr);
        EXPECT_EQ(flow->at(lane::normal).sent, 100u);
        EXPECT_EQ(flow->at(lane::normal).waiting_messages, 0u);
        EXPECT_EQ(flow->at(lane::normal).unacknowledged, 0u);
        EXPECT_EQ(flow->at(lane::normal).retransmitted, 0u);
        EXPECT_EQ(flow->at(lane::normal).waits_for, flow_wait::nothing);
        // That one was never told the name of who sends to it.
        const std::uint64_t id = named(top.links, "near")->id;
        const node_info receiver = world.inspect("far");
        const auto from = std::find_if(receiver.flows.begin(), receiver.flows.end(),
                                       [&](const flow_info& f) { return f.id == id; });
        ASSERT_NE(from, receiver.flows.end());
        EXPECT_EQ(from->at(lane::normal).received, 100u);
    });
}

TEST(NetworkInspect, CountsWhatIsSentAgainAfterACut) {
    std::uint64_t again = 0;  // a cut loses what is under way from somewhere on
    for_each_seed(10, [&again](testing::world& world) {
        two_nodes two{world};
        sim_conditions slow;
        slow.least_delay = slow.most_delay = 100ms;
        ASSERT_TRUE(two.start(0, 0));
        ASSERT_TRUE(world.run_until([&] { return two.log->resolved; }));
        two.net->conditions(slow);
        const auto far = *two.log->found;
        for (std::uint64_t i = 0; i < 20; ++i) world.send<tick>(far, i);
        world.advance(50ms);  // they are under way
        EXPECT_EQ(named(world.inspect("near").flows, "far")->at(lane::normal).unacknowledged, 20u);
        two.net->cut();
        two.open_gate();
        ASSERT_TRUE(world.run_until([&] { return two.log->taken == 20; }));
        world.advance(5s);
        const flow_lane_info lane_of_it = named(world.inspect("near").flows, "far")->at(lane::normal);
        EXPECT_EQ(lane_of_it.sent, 20u);
        EXPECT_EQ(lane_of_it.unacknowledged, 0u);
        EXPECT_LE(lane_of_it.retransmitted, 40u);  // each of the two ends may have doubts once
        again += lane_of_it.retransmitted;
    });
    EXPECT_GT(again, 0u);
}

// ---- schedulers

struct work {};
using worker_protocol = protocol<work>;
task<> worker(actor<worker_protocol> self, log_of log) {
    while (auto m = co_await self.receive()) ++log->taken;
}

// Node "busy" with a worker on its second scheduler, and its neighbour.
void start_busy_and_other(testing::world& world, const log_of& log) {
    register_transport(std::make_shared<sim_network>(world.seed()));
    ASSERT_TRUE(world.start(supervisor_spec{}.add(child("worker", on_scheduler(1), worker, log)), "busy",
                            at("busy")));
    ASSERT_TRUE(world.start(supervisor_spec{}, "other", at("other", "busy")));
}

TEST(StuckSchedulers, AreNamedWithTheirActorAndToldToTheNeighbours) {
    testing::world_options options = with_log();
    options.schedulers = 2;
    for_each_seed(5, options, [](testing::world& world) {
        auto log = std::make_shared<seen>();
        start_busy_and_other(world, log);
        world.advance(60s);
        EXPECT_EQ(lines_with(world, "is stuck"), 0u) << "one that has nothing to do is not stuck";
        world.wedge("/busy/worker");
        world.send<work>(*world.resolve<worker_protocol>("/busy/worker"));
        world.advance(4s);
        EXPECT_EQ(lines_with(world, "is stuck"), 0u) << "too early";
        world.advance(3s);
        EXPECT_EQ(lines_with(world, "scheduler 1 is stuck: the handler of /busy/worker"), 1u);
        EXPECT_EQ(lines_with(world, "node busy says that it is stuck: 1 of its schedulers"), 1u);
        {
            const node_info busy = world.inspect("busy");
            ASSERT_EQ(busy.schedulers.size(), 2u);
            EXPECT_FALSE(busy.schedulers[0].stuck);
            EXPECT_TRUE(busy.schedulers[1].stuck);
            const node_info other = world.inspect("other");
            ASSERT_NE(named(other.links, "busy"), nullptr);
            EXPECT_EQ(named(other.links, "busy")->stuck, 1u);
            EXPECT_EQ(named(other.links, "busy")->state, "up");
        }
        world.advance(60s);
        EXPECT_EQ(lines_with(world, "scheduler 1 is stuck"), 1u) << "said once";
        EXPECT_EQ(lines_with(world, "says that it is stuck"), 1u) << "said once";
        world.unwedge("/busy/worker");
        world.advance(1s);
        EXPECT_EQ(log->taken, 1u);
        EXPECT_EQ(lines_with(world, "scheduler 1 goes on"), 1u);
        EXPECT_EQ(lines_with(world, "node busy is not stuck any more"), 1u);
        EXPECT_EQ(named(world.inspect("other").links, "busy")->stuck, 0u);
    });
}

TEST(StuckSchedulers, ThatGetStuckAndGoOnForAnHourAreLoggedOnceAMinuteWithHowManyWereLeftOut) {
    testing::world_options options = with_log();
    options.schedulers = 2;
    for_each_seed(1, options, [](testing::world& world) {
        auto log = std::make_shared<seen>();
        start_busy_and_other(world, log);
        const auto who = *world.resolve<worker_protocol>("/busy/worker");
        constexpr int times = 360;
        for (int n = 0; n < times; ++n) {
            world.wedge("/busy/worker");
            world.send<work>(who);
            world.advance(9s);
            EXPECT_EQ(world.inspect("busy").schedulers.at(1).stuck, true) << "inspect knows it every time";
            world.unwedge("/busy/worker");
            world.advance(1s);
        }
        EXPECT_EQ(log->taken, static_cast<std::uint64_t>(times));
        for (const char* line : {"scheduler 1 is stuck", "node busy says that it is stuck"}) {
            EXPECT_GE(lines_with(world, line), 50u) << line;
            EXPECT_LE(lines_with(world, line), 61u) << line;
        }
        for (const char* line : {"scheduler 1 goes on", "node busy is not stuck any more"})
            EXPECT_LE(lines_with(world, line), 61u) << line;
        EXPECT_GE(lines_with(world, "since that was last said it was so 5 more times"), 50u);
    });
}

}  // namespace
}  // namespace coppice::tests
