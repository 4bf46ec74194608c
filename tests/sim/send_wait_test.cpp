// send_wait to another node from a scheduler that is not the one of the links, while that one is held up and cannot say that the
// flow is full: what was taken waits in order, and nothing of it is lost.
#include <cstdint>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct numbered {
    std::uint64_t number = 0;
    std::string padding;
};
struct go {};
using sink_protocol = protocol<numbered>;
using sender_protocol = protocol<go>;

struct seen {
    bool found = false;
    std::uint64_t sent = 0;
    std::uint64_t arrived = 0;
    std::uint64_t out_of_order = 0;
};
using log_of = std::shared_ptr<seen>;

task<> sink(actor<sink_protocol> self, log_of log) {
    while (auto m = co_await self.receive())
        m.match([&](const numbered& n) { log->out_of_order += n.number != log->arrived++; });
}

// Large ones and small ones: those still have room where the large ones have none any more.
constexpr std::uint64_t messages = 2000;
std::string padding_of(std::uint64_t number) { return std::string(number % 3 == 0 ? 10 : 10'000, 'p'); }

task<> sender(actor<sender_protocol> self, log_of log) {
    result<ref<sink_protocol>> to = errc::timeout;
    while (!(to = co_await self.resolve<sink_protocol>("/far/sink"))) co_await self.sleep(10ms);
    log->found = true;
    co_await self.receive();
    for (std::uint64_t n = 0; n < messages; ++n) {
        if (co_await self.send_wait<numbered>(*to, n, padding_of(n)) != errc::ok) break;
        ++log->sent;
    }
    co_await self.receive();
}

task<> blocker(actor<sender_protocol> self) {
    while (co_await self.receive()) {
    }
}

TEST(SendWait, LosesAndReordersNothingThatItTookWhileTheSchedulerOfTheLinksWasHeldUp) {
    testing::world_options options;
    options.schedulers = 2;
    for_each_seed(5, options, [](testing::world& world) {
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        auto log = std::make_shared<seen>();
        network_options far;
        far.listen = {"sim://far"};
        ASSERT_TRUE(world.start(supervisor_spec{}.add(child("sink", in_coroutine, sink, log)), "far", far));
        network_options near;
        near.parent = "sim://far?from=near";
        ASSERT_TRUE(world.start(supervisor_spec{}
                                    .add(child("sender", on_scheduler(1), sender, log))
                                    .add(child("blocker", on_scheduler(0), blocker)),
                                "near", near));
        ASSERT_TRUE(world.run_until([&] { return log->found; }));
        const auto who = world.resolve<sender_protocol>("/near/sender");
        const auto held = world.resolve<sender_protocol>("/near/blocker");
        ASSERT_TRUE(who && held);
        net->isolate({"far"});  // so that nothing leaves the flow
        world.wedge("/near/blocker");
        world.send<go>(*held);
        world.advance(1ms);
        world.send<go>(*who);
        world.advance(100ms);
        ASSERT_EQ(log->sent, messages) << "it waited: nothing is taken that has no room";
        ASSERT_EQ(log->arrived, 0u);
        world.unwedge("/near/blocker");
        world.advance(1s);
        net->heal();
        world.advance(30s);
        EXPECT_EQ(log->arrived, messages);
        EXPECT_EQ(log->out_of_order, 0u);
    });
}

}  // namespace
}  // namespace coppice::tests
