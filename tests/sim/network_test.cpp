// Trees of two to eight nodes on a simulated network, under all faults at once, over many seeds: nothing that was sent is lost,
// doubled or overtaken, every ask is answered. COPPICE_SEED replays one seed; tools/sim runs as many as one likes.
#include "network_rig.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using network::settings;
using network::tree_of_nodes;

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
    for_each_seed(number_of_seeds(20), [](testing::world& world) {
        tree_of_nodes tree{world, world.seed(), some_settings(world.seed()), tree_of_nodes::shape::random};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.settle());
        tree.check();
    });
}

TEST(SimulatedNetwork, LosesDoublesAndReordersNothingUnderCutsPartitionsAndDelays) {
    for_each_seed(number_of_seeds(100), [](testing::world& world) {
        const auto form = static_cast<tree_of_nodes::shape>(world.seed() % 3);
        tree_of_nodes tree{world, world.seed(), some_settings(world.seed()), form};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.run_with_faults());
        tree.check();
    });
}

TEST(SimulatedNetwork, DoublesAndReordersNothingAndAnswersEveryAskWhileNodesCrashAndComeBack) {
    for_each_seed(number_of_seeds(100), [](testing::world& world) {
        const auto form = static_cast<tree_of_nodes::shape>(world.seed() % 3);
        tree_of_nodes tree{world, world.seed(), some_settings(world.seed()), form};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.run_with_faults(true));
        tree.check();
    });
}

// Links by shortcuts come and go while mail for the same node is under way over relays, in both directions.
void with_shortcuts(std::uint64_t few, bool crashes) {
    testing::world_options options;
    options.schedulers = 2;
    options.level = level::info;
    std::size_t made = 0;
    std::size_t ended = 0;
    for_each_seed(number_of_seeds(few), options, [&](testing::world& world) {
        settings with = some_settings(world.seed());
        with.nodes = std::max(with.nodes, 3u);
        with.favourites = true;
        with.messages = crashes ? 600 : 1000;
        const auto form = static_cast<tree_of_nodes::shape>(world.seed() % 3);
        tree_of_nodes tree{world, world.seed(), with, form};
        ASSERT_TRUE(tree.start_all());
        ASSERT_TRUE(tree.run_with_faults(crashes));
        tree.check();
        made += tree.logged("by a shortcut");
        ended += tree.logged("the shortcut to node");
    });
    std::printf("shortcuts: %zu times told that one is there, %zu times that one is gone\n", made, ended);
    EXPECT_GT(made, 0u);
    EXPECT_GT(ended, 0u);
}

TEST(SimulatedNetwork, KeepsOrderAndCarriesNoTransitWhereShortcutsComeAndGo) { with_shortcuts(15, false); }

TEST(SimulatedNetwork, KeepsOrderWhereShortcutsComeAndGoAndNodesCrash) { with_shortcuts(10, true); }

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

TEST(SimulatedNetwork, FindsANodeThatWasStartedAgainByItsNameAlsoWhereTheOldOneWasKnown) {
    for_each_seed(20, [](testing::world& world) {
        auto net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        auto book = std::make_shared<network::book>();
        const auto start = [&](std::string name, supervisor_spec tree) {
            network_options o;
            o.listen = {"sim://" + name};
            if (name != "top") o.parent = "sim://top?from=" + name;
            o.hold = std::chrono::seconds{5};
            ASSERT_TRUE(world.start(std::move(tree), name, o));
        };
        const auto with_sink = [&] {
            return supervisor_spec{}.add(child("sink", in_coroutine, network::sink, book, false));
        };
        auto found = std::make_shared<int>(0);
        const auto seeker = [](actor<anything> self, std::shared_ptr<int> times) -> task<> {
            for (;;) {
                auto far = co_await self.resolve<network::sink_protocol>("/far/sink");
                if (far && co_await self.ask<network::question>(*far, std::chrono::seconds{1}, 3u)) ++*times;
                co_await self.sleep(std::chrono::milliseconds{100});
            }
        };
        start("top", supervisor_spec{});
        start("far", with_sink());
        start("near", supervisor_spec{}.add(child("seeker", in_coroutine, seeker, found)));
        for (int life = 0; life < 3; ++life) {
            const int before = *found;
            ASSERT_TRUE(world.run_until([&] { return *found > before; }));
            world.crash("far");
            world.advance(std::chrono::seconds{life == 1 ? 1 : 20});
            start("far", with_sink());
        }
        // And one that was only out of reach, for longer than it is waited for.
        net->isolate({"far"});
        world.advance(std::chrono::seconds{30});
        net->heal();
        const int before = *found;
        ASSERT_TRUE(world.run_until([&] { return *found > before; }));
    });
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
