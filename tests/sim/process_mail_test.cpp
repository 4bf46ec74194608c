// Mail for process children that take none for a while: what is urgent overtakes what waits, and a pool knows what each of its workers
// has finished, as of those in coroutines. In simulated worlds.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "coppice/actors/pool.hpp"
#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/sanitizers.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;
using testing::world;

const std::uint64_t seeds = slow_build ? 10 : 100;

struct job {
    std::string text;
};
struct hold {};  // it takes nothing more until it is let go
struct let_go {
    static constexpr auto lane = coppice::lane::priority;
};
struct done_so_far {
    using reply = std::uint64_t;
};
using worker_protocol = protocol<job, hold, let_go, done_so_far>;

task<> worker(actor<worker_protocol> self) {
    std::uint64_t done = 0;
    while (auto m = co_await self.receive()) {
        if (m.is<hold>()) {
            if (!co_await self.receive_only<let_go>()) co_return;
            continue;
        }
        m.match([&](const job&) { ++done; }, [](const hold&) {}, [](const let_go&) {},
                [&](request<done_so_far> r) { r.reply(done); });
    }
}

// More than the flow to a process takes, so that some of it waits in the parent.
constexpr std::uint64_t many = 300;
task<> feeder(actor<protocol<>> self, ref<worker_protocol> to, std::shared_ptr<std::uint64_t> refused) {
    for (std::uint64_t i = 0; i < many && *refused == 0; ++i)
        if (co_await self.send_wait<job>(to, std::string(60'000, 'x')) != errc::ok) ++*refused;
    while (co_await self.receive()) {
    }
}

task<> closer(actor<protocol<>> self, ref<worker_protocol> who) {
    self.shutdown(who, 1s);
    co_return;
}

struct held_up {
    world& w;
    ref<supervisor_protocol> root;
    ref<worker_protocol> who;
    std::shared_ptr<std::uint64_t> refused = std::make_shared<std::uint64_t>(0);

    explicit held_up(world& in) : w{in} {
        register_transport(std::make_shared<sim_network>(w.seed()));
        root =
            w.start(supervisor_spec{}.add(
                        child("w", in_process, worker).mailbox(10).shutdown(1s).restarts(restart::temporary)))
                .value();
        // As its siblings know it: a path would lead the world to the process itself.
        who = w.ask<which_children>(root).value().at(0).who.assume<worker_protocol>();
        w.send<hold>(who);
        EXPECT_TRUE(w.ask<start_child>(root, child("feeder", in_coroutine, feeder, who, refused)));
        w.advance(10s);
    }
};

TEST(SimulatedProcesses, GetUrgentMailWhileTheRestOfItWaitsForRoom) {
    for_each_seed(seeds, [](world& w) {
        const held_up s{w};
        EXPECT_EQ(w.send<let_go>(s.who), errc::ok);
        w.advance(10s);
        EXPECT_EQ(w.ask<done_so_far>(s.who).value(), many);
        EXPECT_EQ(w.inspect().dead_letter_count, 0u);
    });
}

TEST(SimulatedProcesses, HandleWhatWaitsForRoomBeforeTheyStop) {
    for_each_seed(seeds, [](world& w) {
        const held_up s{w};
        EXPECT_EQ(w.send<let_go>(s.who), errc::ok);
        w.stop(s.who);
        w.advance(10s);
        EXPECT_FALSE(w.running("/app/w"));
        EXPECT_EQ(w.inspect().dead_letter_count, *s.refused) << "lost without a word";
    });
}

TEST(SimulatedProcesses, AreShutDownOrKilledWhileTheirMailWaitsForRoom) {
    for_each_seed(seeds, [](world& w) {
        const held_up s{w};
        if (w.seed() % 2 == 0) w.kill(s.who);
        else
            EXPECT_TRUE(w.ask<start_child>(
                s.root, child("closer", in_coroutine, closer, s.who).restarts(restart::temporary)));
        w.advance(10s);
        EXPECT_FALSE(w.running("/app/w"));
        EXPECT_TRUE(w.process_children().empty());
    });
}

TEST(SimulatedProcesses, InAPoolByLoadTakeNothingWhileTheyAreHeldUpAndAreKnownToBeIdleAfter) {
    for_each_seed(100, [](world& w) {
        register_transport(std::make_shared<sim_network>(w.seed()));
        const auto spec = child("w", in_process, worker).mailbox(100);
        ASSERT_TRUE(w.start(supervisor_spec{}.add(
            child("pool", in_coroutine, actors::pool<worker_protocol>,
                  actors::pool_options{.workers = 2, .route = actors::least_loaded}, spec)
                .awaits_ready())));
        const auto pool = *w.resolve<actors::pool_protocol<worker_protocol>>("/app/pool");
        const auto load = [&](std::size_t i) {
            return w.ask<actors::pool_status>(pool).value().workers.at(i).unfinished;
        };
        w.send<hold>(pool);
        w.advance(1s);
        EXPECT_EQ(load(0), 1u);
        for (int i = 0; i < 10; ++i) {
            w.send<job>(pool, "");
            w.advance(1s);
        }
        EXPECT_EQ(load(0), 1u);
        EXPECT_EQ(load(1), 0u);
        const auto first = *w.resolve<worker_protocol>("/app/pool/workers/w-1");
        const auto second = *w.resolve<worker_protocol>("/app/pool/workers/w-2");
        EXPECT_EQ(w.ask<done_so_far>(second).value(), 10u);
        w.send<let_go>(first);
        EXPECT_EQ(w.ask<done_so_far>(first).value(), 0u);
        w.advance(1s);
        EXPECT_EQ(load(0), 0u);
    });
}

}  // namespace
}  // namespace coppice::tests
