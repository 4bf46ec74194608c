// Monitors across nodes, where what brings their news could be in the way of other mail.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct alarm_bell {
    static constexpr auto lane = lane::priority;
    std::string text;
};
struct end_now {};
using listener_protocol = protocol<alarm_bell, down>;
using mortal_protocol = protocol<end_now>;

struct seen {
    bool watching = false;
    bool full = false;
    std::uint64_t alarms = 0;
    std::uint64_t taken = 0;  // alarms, by the flow
    std::vector<exit_kind> downs;
};
using log_of = std::shared_ptr<seen>;

task<> listener_at_far(actor<listener_protocol> self, log_of log) {
    result<ref<mortal_protocol>> to = errc::timeout;
    while (!(to = co_await self.resolve<mortal_protocol>("/near/mortal"))) co_await self.sleep(10ms);
    self.monitor(*to);
    log->watching = true;
    while (auto m = co_await self.receive())
        m.match([&](const alarm_bell&) { ++log->alarms; },
                [&](const down& d) { log->downs.push_back(d.reason.kind()); });
}

task<> mortal(actor<mortal_protocol> self) { co_await self.receive(); }

struct ring_now {};
task<> ringer(actor<protocol<ring_now>> self, log_of log) {
    result<ref<listener_protocol>> to = errc::timeout;
    while (!(to = co_await self.resolve<listener_protocol>("/far/listener"))) co_await self.sleep(10ms);
    co_await self.receive();
    while (self.send<alarm_bell>(*to, std::string(10'000, 'a')) == errc::ok) {
        ++log->taken;
        co_await self.sleep(1us);
    }
    log->full = true;
    co_await self.receive();
}

// The news travels in a lane of its own, which has no bound that other mail fills.
TEST(MonitorsBetweenNodes, FireAlsoWhenThePriorityLaneIsFullWhicheverSchedulerTheActorEndsOn) {
    for (const std::uint32_t scheduler : {0u, 1u}) {
        testing::world_options options;
        options.schedulers = 2;
        for_each_seed(3, options, [scheduler](testing::world& world) {
            auto net = std::make_shared<sim_network>(world.seed());
            register_transport(net);
            auto log = std::make_shared<seen>();
            network_options far;
            far.listen = {"sim://far"};
            ASSERT_TRUE(world.start(
                supervisor_spec{}.add(child("listener", in_coroutine, listener_at_far, log).mailbox(10'000)),
                "far", far));
            network_options near;
            near.parent = "sim://far?from=near";
            supervisor_spec spec;
            spec.add(child("mortal", on_scheduler(scheduler), mortal).restarts(restart::temporary));
            spec.add(child("ringer", on_scheduler(scheduler), ringer, log).restarts(restart::temporary));
            ASSERT_TRUE(world.start(std::move(spec), "near", near));
            ASSERT_TRUE(world.run_until([&] { return log->watching; }));
            world.advance(1s);
            const auto victim = world.resolve<mortal_protocol>("/near/mortal");
            const auto bell = world.resolve<protocol<ring_now>>("/near/ringer");
            ASSERT_TRUE(victim && bell);
            net->isolate({"far"});
            world.send<ring_now>(*bell);
            ASSERT_TRUE(world.run_until([&] { return log->full; }));
            world.send<end_now>(*victim);
            world.advance(2s);
            EXPECT_TRUE(log->downs.empty());
            net->heal();
            world.advance(20s);
            ASSERT_EQ(log->downs.size(), 1u);
            EXPECT_EQ(log->downs.front(), exit_kind::normal);
            EXPECT_EQ(log->alarms, log->taken);
        });
    }
}

}  // namespace
}  // namespace coppice::tests
