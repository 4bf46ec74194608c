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
