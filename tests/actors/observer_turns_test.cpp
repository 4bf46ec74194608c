// That nobody waits for the observer: on virtual time, in a world of one scheduler, so that what others did while it made ten
// thousand rows can be counted. A stand-in takes the gateway's part, because sockets know no virtual time.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "coppice/actors/observer.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"

namespace coppice::tests::observed {
namespace {

namespace web = actors::web;
using namespace std::chrono_literals;

constexpr std::uint32_t crowd_size = 10'000;
constexpr auto period = 1s;
/// Of asks: the look has not begun with them, and never would.
constexpr std::uint64_t too_many = 100'000;

struct seen_by_gateway {
    std::uint64_t looks = 0;    ///< that have been told to the end
    bool is_looking = false;    ///< the period has passed, and nothing of the next one has been told yet
    std::uint64_t answers = 0;  ///< of asks meanwhile
    std::uint64_t rows = 0;     ///< bytes of rows, of the last look
};
using seen_ptr = std::shared_ptr<seen_by_gateway>;

// Says yes to all, and marks when a look begins to be told, and when it has been.
task<> stand_in(actor<actors::gateway_protocol> self, seen_ptr seen) {
    while (auto m = co_await self.receive()) {
        if (auto listen = m.take<web::listen>()) listen.reply(std::uint16_t{8080});
        if (auto state = m.take<web::publish>()) {
            seen->is_looking = false;
            if (state->topic.starts_with("actors/")) seen->rows += state->whole.view().size();
            state.reply();
        }
        if (auto page = m.take<web::set_page>()) {
            if (page->page.path == "/metrics/openmetrics") ++seen->looks;
            page.reply();
        }
    }
}

struct ping {
    using reply = void;
};
struct nudge {};

task<> echo(actor<protocol<ping>> self) {
    while (auto m = co_await self.receive()) m.match([](request<ping> r) { r.reply(); });
}
task<> idler(actor<protocol<nudge>> self) {
    while (co_await self.receive()) {
    }
}
task<> parent_of_crowd(actor<protocol<nudge>> self) {
    std::vector<ref<protocol<nudge>>> all;
    for (std::uint32_t i = 0; i < crowd_size; ++i) all.push_back(self.spawn(idler));
    self.ready();
    while (co_await self.receive())
        for (const auto& each : all) self.send<nudge>(each);
}

// Asks without a pause from the moment in which the next look begins, until something of it is told. On virtual time that is one
// moment, the one in which the nodes are asked and the rows are made; time does not go on while there are asks.
task<> asker(actor<protocol<nudge>> self, ref<protocol<ping>> whom, seen_ptr seen) {
    while (co_await self.receive()) {
        co_await self.sleep(period);
        seen->is_looking = true;
        while (seen->is_looking && seen->answers < too_many)
            if (co_await self.ask<ping>(whom, 60s)) ++seen->answers;
    }
}

TEST(ObserverTurns, OthersAreAnsweredWhileTheRowsOfTenThousandActorsAreMade) {
    auto seen = std::make_shared<seen_by_gateway>();
    testing::world world{1, {.fifo = true}};
    auto net = std::make_shared<sim_network>(world.seed());
    register_transport(net);
    network_options listens;
    listens.listen = {"sim://app"};
    supervisor_spec tree;
    tree.add(child("web", in_coroutine, stand_in, seen))
        .add(child("crowd", in_coroutine, parent_of_crowd).awaits_ready())
        .add(child("echo", in_coroutine, echo));
    const auto root = world.start(tree, "app", listens);
    ASSERT_TRUE(root) << root.error().what();
    const auto whom = world.resolve<protocol<ping>>("/app/echo");
    ASSERT_TRUE(whom);
    actors::observer_options options;
    options.period = period;
    const auto made = world.ask<start_child>(
        *root, child("observer", in_coroutine, actors::observer, options).awaits_ready());
    ASSERT_TRUE(made) << made.error().what();
    const auto asks = world.ask<start_child>(*root, child("asker", in_coroutine, asker, *whom, seen));
    ASSERT_TRUE(asks) << asks.error().what();
    const auto crowd = *world.resolve<protocol<nudge>>("/app/crowd");
    const auto asking = *world.resolve<protocol<nudge>>("/app/asker");
    ASSERT_TRUE(world.run_until([&] { return seen->looks >= 1; }));
    // At the next look, a period from this moment, each row is different.
    seen->rows = 0;
    world.send<nudge>(crowd);
    world.send<nudge>(asking);
    ASSERT_TRUE(world.run_until([&] { return seen->looks >= 2; }));
    EXPECT_GT(seen->rows, crowd_size * 100) << "all rows were told";
    // The observer says that it lets others run after every 128 rows; an ask and its answer take two turns of others.
    EXPECT_GE(seen->answers, crowd_size / 128 / 3);
    EXPECT_LT(seen->answers, too_many) << "they were no asks during a look";
}

}  // namespace
}  // namespace coppice::tests::observed
