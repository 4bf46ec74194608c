// Trees of two to eight nodes on a simulated network, under all faults at once, over many seeds: nothing that was sent is lost,
// doubled or overtaken, every ask is answered. COPPICE_SEED replays one seed; tools/sim runs as many as one likes.
#include "network_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using network::settings;
using network::tree_of_nodes;

std::uint64_t seeds(std::uint64_t few) {
    const char* wanted = std::getenv("COPPICE_SEEDS");
    return wanted ? std::strtoull(wanted, nullptr, 10) : few;
}

settings some_settings(std::uint64_t seed) {
    settings s;
    s.nodes = 2 + static_cast<std::uint32_t>(seed % 7);
    s.slow = seed % 3 == 0;
    s.largest = seed % 5 == 0 ? 0 : 2000;
    if (const char* wanted = std::getenv("COPPICE_NODES"))
        s.nodes = static_cast<std::uint32_t>(std::stoul(wanted));
    return s;
}

TEST(SimulatedNetwork, WithoutFaultsDeliversEverythingInOrder) {
    for_each_seed(seeds(20), [](testing::world& world) {
        tree_of_nodes tree{world, world.seed(), some_settings(world.seed()), tree_of_nodes::shape::random};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.settle());
        tree.check();
    });
}

TEST(SimulatedNetwork, LosesDoublesAndReordersNothingUnderCutsPartitionsAndDelays) {
    for_each_seed(seeds(100), [](testing::world& world) {
        const auto form = static_cast<tree_of_nodes::shape>(world.seed() % 3);
        tree_of_nodes tree{world, world.seed(), some_settings(world.seed()), form};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.run_with_faults());
        tree.check();
    });
}

TEST(SimulatedNetwork, DoublesAndReordersNothingAndAnswersEveryAskWhileNodesCrashAndComeBack) {
    for_each_seed(seeds(100), [](testing::world& world) {
        const auto form = static_cast<tree_of_nodes::shape>(world.seed() % 3);
        tree_of_nodes tree{world, world.seed(), some_settings(world.seed()), form};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.run_with_faults(true));
        tree.check();
    });
}

// ---- memory

constexpr std::uint32_t peers = 48;

task<> filler(actor<anything> self, std::shared_ptr<std::uint64_t> accepted) {
    std::vector<ref<network::sink_protocol>> all;
    while (all.size() < peers) {
        auto to = co_await self.resolve<network::sink_protocol>("/p" + std::to_string(all.size()) + "/sink");
        if (to) all.push_back(*to);
        else co_await self.sleep(std::chrono::milliseconds{10});
    }
    co_await self.sleep(std::chrono::seconds{1});  // by now nobody reads any more
    const std::string load(20'000, 'x');
    for (const auto& to : all)
        while (self.send<network::item>(to, 0u, 0u, load) == errc::ok) *accepted += load.size();
    *accepted += 1;  // done
    while (co_await self.receive()) {
    }
}

// Without a bound on all flows together each peer would be good for limits::flow_queue.
TEST(SimulatedNetwork, HoldsBoundedMemoryForManyPeersThatNeverRead) {
    static_assert(peers * limits::flow_queue > limits::flows_all + peers * limits::flow_share);
    for_each_seed(1, [](testing::world& world) {
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        auto accepted = std::make_shared<std::uint64_t>();
        auto book = std::make_shared<network::book>();
        network_options top;
        top.listen = {"sim://top"};
        ASSERT_TRUE(
            world.start(supervisor_spec{}.add(child("filler", in_coroutine, filler, accepted)), "top", top));
        for (std::uint32_t i = 0; i < peers; ++i) {
            network_options o;
            o.parent = "sim://top?from=p";
            ASSERT_TRUE(
                world.start(supervisor_spec{}.add(child("sink", in_coroutine, network::sink, book, false)),
                            "p" + std::to_string(i), o));
        }
        world.advance(std::chrono::milliseconds{500});
        net->isolate({"top"});
        ASSERT_TRUE(world.run_until([&] { return *accepted % 20'000 == 1; }));
        EXPECT_GT(*accepted, limits::flows_all / 2);
        EXPECT_LE(*accepted, limits::flows_all + peers * (limits::flow_share + 40'000));
    });
}

// ---- what is told when the middle of a path dies

struct told {
    std::vector<std::string> events;
};

task<> watcher(actor<anything> self, std::shared_ptr<told> log, std::string path) {
    self.trap_exits();
    auto far = co_await self.resolve<network::sink_protocol>(path);
    if (!far) co_return;
    self.monitor(*far);
    self.link(*far);
    log->events.push_back("watching");
    while (auto m = co_await self.receive()) {
        if (auto* d = m.get_if<down>())
            log->events.push_back("down " + std::string{to_string(d->reason.kind())});
        if (auto* x = m.get_if<exit_signal>())
            log->events.push_back("exit " + std::string{to_string(x->reason.kind())});
    }
}

TEST(W12, MonitorsAndLinksOverSeveralHopsFireWhenTheMiddleDies) {
    for_each_seed(20, [](testing::world& world) {
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        auto log = std::make_shared<told>();
        const auto at = [](std::string own, std::string above) {
            network_options o;
            o.listen = {"sim://" + own};
            if (!above.empty()) o.parent = "sim://" + above + "?from=" + own;
            o.hold = std::chrono::seconds{10};
            return o;
        };
        auto book = std::make_shared<network::book>();
        ASSERT_TRUE(world.start(supervisor_spec{}, "top", at("top", "")));
        ASSERT_TRUE(world.start(supervisor_spec{}, "middle", at("middle", "top")));
        ASSERT_TRUE(
            world.start(supervisor_spec{}.add(child("sink", in_coroutine, network::sink, book, false)),
                        "leaf", at("leaf", "middle")));
        ASSERT_TRUE(world.start(
            supervisor_spec{}.add(child("watcher", in_coroutine, watcher, log, std::string{"/leaf/sink"})),
            "cousin", at("cousin", "top")));
        ASSERT_TRUE(world.run_until([&] { return !log->events.empty(); }));
        world.advance(std::chrono::seconds{1});
        EXPECT_EQ(log->events, std::vector<std::string>{"watching"});
        world.crash("middle");
        world.advance(std::chrono::seconds{30});
        std::sort(log->events.begin() + 1, log->events.end());
        EXPECT_EQ(log->events, (std::vector<std::string>{"watching", "down node_lost", "exit node_lost"}));
    });
}

}  // namespace
}  // namespace coppice::tests
