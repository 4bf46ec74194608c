// Trees of process children in the simulated world, over many seeds: processes that are killed, stopped by a signal, slow to start or
// cannot be started, links that are cut; starts, channels and notices that take their time. Whatever happened, the tree is whole
// afterwards, each child runs once, and when the root goes, all go. COPPICE_SEED replays one seed.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;
using testing::process_faults;
using testing::world;

struct where {
    using reply = std::string;
};
struct count_up {
    using reply = std::uint64_t;
};
struct fail_now {};
using worker_protocol = protocol<where, count_up, fail_now>;

task<> worker(actor<worker_protocol> self, std::uint64_t first) {
    std::uint64_t count = first;
    while (auto m = co_await self.receive()) {
        if (m.get_if<fail_now>()) co_return self.fail("as it was told");
        m.match([&](request<where> r) { r.reply(self.path()); },
                [&](request<count_up> r) { r.reply(++count); }, [](const fail_now&) {});
    }
}

constexpr std::uint64_t first_count = 100;

// Three levels: workers and supervisors, in processes, in threads, in coroutines.
supervisor_spec mixed_tree(strategy s, std::chrono::nanoseconds period, std::uint32_t misses) {
    const auto one = [&](std::string name, carrier c) {
        return child(std::move(name), std::move(c), worker, first_count).heartbeat(period, misses);
    };
    supervisor_spec low{s};
    low.intensity(1'000'000, 1s).add(one("x", in_process)).add(one("y", in_process)).add(one("z", in_thread));
    supervisor_spec middle{s};
    middle.intensity(1'000'000, 1s)
        .add(one("leaf", in_process))
        .add(supervisor("low", low, in_process).heartbeat(period, misses));
    supervisor_spec top{s};
    top.intensity(1'000'000, 1s)
        .backoff(1ms, 100ms)
        .add(one("a", in_process))
        .add(supervisor("sub", middle, in_process).heartbeat(period, misses))
        .add(one("b", in_process))
        .add(one("c", in_coroutine));
    return top;
}
const std::set<std::string> processes_of_tree{"app/a",       "app/b",         "app/sub",      "app/sub/leaf",
                                              "app/sub/low", "app/sub/low/x", "app/sub/low/y"};
constexpr std::array workers{"/app/a",         "/app/b",         "/app/c",        "/app/sub/leaf",
                             "/app/sub/low/x", "/app/sub/low/y", "/app/sub/low/z"};

class tree_of_processes {
public:
    explicit tree_of_processes(world& w) : world_{w}, random_{w.seed()} {
        network_ = std::make_shared<sim_network>(w.seed());
        register_transport(network_);
    }
    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    bool chance(unsigned percent) { return below(100) < percent; }

    void some_carrier_faults() {
        process_faults f;
        f.most_start = std::chrono::milliseconds{below(60)};
        f.most_delay = std::chrono::microseconds{below(20'000)};
        f.channel_records = chance(20) ? 4 : 64;
        world_.faults(f);
    }
    [[nodiscard]] bool start(strategy s) {
        const auto started = world_.start(mixed_tree(s, std::chrono::milliseconds{100 + below(1000)},
                                                     static_cast<std::uint32_t>(2 + below(4))));
        if (!started) ADD_FAILURE() << started.error().what();
        return started.has_value();
    }

    void some_fault() {
        const std::vector<std::string> alive = world_.process_children();
        if (alive.empty()) return;
        const std::string& one = alive[below(alive.size())];
        switch (below(8)) {
        case 0:
        case 1: world_.crash(one); break;
        case 2: world_.sigstop(one); break;
        case 3:
            for (const std::string& p : alive) world_.sigcont(p);
            break;
        case 4: network_->cut(1.0); break;
        case 5: {
            sim_conditions c;
            c.most_delay = std::chrono::microseconds{below(30'000)};
            network_->conditions(c);
            break;
        }
        case 6: {
            process_faults f;
            f.most_start = std::chrono::milliseconds{below(60)};
            f.most_delay = std::chrono::microseconds{below(20'000)};
            f.failing_starts = chance(30) ? 0.3 : 0;
            world_.faults(f);
            break;
        }
        default:
            if (const auto w = world_.resolve<worker_protocol>(workers[below(workers.size())]))
                static_cast<void>(world_.send<fail_now>(*w));
        }
    }
    void peace() {
        world_.faults({});
        network_->conditions({});
        network_->heal();
        for (const std::string& p : world_.process_children()) world_.sigcont(p);
    }

    // ---- what must be true
    [[nodiscard]] bool whole() {
        const auto alive = world_.process_children();
        if (alive.size() != processes_of_tree.size() ||
            std::set<std::string>{alive.begin(), alive.end()} != processes_of_tree)
            return false;
        return std::all_of(workers.begin(), workers.end(), [&](const char* path) {
            const auto w = world_.resolve<worker_protocol>(path);
            if (!w) return false;
            const auto answer = world_.ask_within<where>(*w, 2s);
            return answer && *answer == path;
        });
    }
    void must_become_whole() {
        peace();
        for (int second = 0; second < 300; ++second) {
            if (whole()) return;
            world_.advance(1s);
        }
        ADD_FAILURE() << "the tree is not whole after five minutes without faults; alive: "
                      << ::testing::PrintToString(world_.process_children());
        for (const char* path : workers) {
            const auto w = world_.resolve<worker_protocol>(path);
            const auto answer = w ? world_.ask_within<where>(*w, 60s) : result<std::string>{w.error()};
            if (!answer) ADD_FAILURE() << path << ": " << answer.error().what();
        }
    }
    void all_must_go() {
        if (!world_.run_until([&] { return world_.process_children().empty(); }, 10min))
            ADD_FAILURE() << "still there: " << ::testing::PrintToString(world_.process_children());
    }

private:
    world& world_;
    std::mt19937_64 random_;
    std::shared_ptr<sim_network> network_;
};

strategy some_strategy(std::uint64_t seed) {
    return std::array{strategy::one_for_one, strategy::one_for_all, strategy::rest_for_one}[seed % 3];
}

TEST(SimulatedProcesses, StartAnswerByTheirPathsAndGoWithTheirRoot) {
    for_each_seed(number_of_seeds(50), [](world& w) {
        tree_of_processes tree{w};
        tree.some_carrier_faults();
        ASSERT_TRUE(tree.start(some_strategy(w.seed())));
        EXPECT_TRUE(tree.whole());
        w.stop_node("app");
        EXPECT_TRUE(w.run_until([&] { return w.ended("app").has_value(); }, 10min));
        EXPECT_TRUE(w.process_children().empty()) << "its children are joined before it ends";
    });
}

TEST(SimulatedProcesses, AreWholeAgainAfterKillsStopsCutsAndStartsThatFail) {
    for_each_seed(number_of_seeds(200), [](world& w) {
        tree_of_processes tree{w};
        tree.some_carrier_faults();
        ASSERT_TRUE(tree.start(some_strategy(w.seed())));
        for (int i = 0; i < 40; ++i) {
            w.advance(std::chrono::milliseconds{tree.below(i % 10 == 9 ? 8000 : 300)});
            tree.some_fault();
        }
        tree.must_become_whole();
    });
}

TEST(SimulatedProcesses, LeaveARootThatIsKilledAtAnyMoment) {
    for_each_seed(number_of_seeds(100), [](world& w) {
        tree_of_processes tree{w};
        tree.some_carrier_faults();
        ASSERT_TRUE(tree.start(some_strategy(w.seed())));
        for (std::uint64_t i = tree.below(20); i; --i) {
            w.advance(std::chrono::milliseconds{tree.below(300)});
            tree.some_fault();
        }
        w.crash("app");
        w.advance(5min);
        // One that a signal stopped after its parent's end is nobody's: the kernel does not wake it.
        for (const std::string& p : w.process_children()) w.sigcont(p);
        tree.all_must_go();
    });
}

TEST(SimulatedProcesses, LeaveAKilledRootInOrderAsSoonAsTheyKnow) {
    for_each_seed(number_of_seeds(50), [](world& w) {
        const tree_of_processes tree{w};
        ASSERT_TRUE(w.start(mixed_tree(strategy::one_for_one, 10s, 10)));
        w.crash("app");
        w.advance(1s);  // they would be made to leave after a hundred
        EXPECT_TRUE(w.process_children().empty());
    });
}

TEST(SimulatedProcesses, LeaveAKilledRootAlsoIfAHandlerDoesNotReturn) {
    for_each_seed(number_of_seeds(50), [](world& w) {
        const tree_of_processes tree{w};
        ASSERT_TRUE(w.start(mixed_tree(strategy::one_for_one, 1s, 3)));
        w.wedge("/app/sub/low/z");
        w.crash("app");
        w.advance(10s);
        EXPECT_TRUE(w.process_children().empty());
    });
}

TEST(SimulatedProcesses, LeaveARootThatIsKilledWhileAllOfThemAreStopped) {
    for_each_seed(number_of_seeds(50), [](world& w) {
        tree_of_processes tree{w};
        tree.some_carrier_faults();
        ASSERT_TRUE(tree.start(some_strategy(w.seed())));
        w.advance(std::chrono::milliseconds{tree.below(3000)});
        for (const std::string& p : w.process_children()) w.sigstop(p);
        w.crash("app");
        tree.all_must_go();
    });
}

TEST(SimulatedProcesses, LeaveARootThatIsStoppedForLongerThanTheHoldTime) {
    for_each_seed(number_of_seeds(50), [](world& w) {
        tree_of_processes tree{w};
        ASSERT_TRUE(tree.start(strategy::one_for_one));
        w.sigstop("app");
        tree.all_must_go();
        w.sigcont("app");
        tree.must_become_whole();
    });
}

TEST(SimulatedProcesses, OfARootThatWasStoppedForAMomentAreWhatTheyWere) {
    for_each_seed(number_of_seeds(50), [](world& w) {
        tree_of_processes tree{w};
        ASSERT_TRUE(tree.start(strategy::one_for_one));
        std::vector<ref<worker_protocol>> all;
        for (const char* path : workers) {
            all.push_back(w.resolve<worker_protocol>(path).value());
            EXPECT_EQ(w.ask<count_up>(all.back()).value(), first_count + 1);
        }
        w.sigstop("app");
        w.advance(std::chrono::milliseconds{500 + tree.below(10'000)});
        w.sigcont("app");
        w.advance(30s);
        for (const auto& one : all) EXPECT_EQ(w.ask<count_up>(one).value(), first_count + 2);
    });
}

TEST(SimulatedProcesses, TakeTheSameCourseWithTheSameSeed) {
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        std::set<std::uint64_t> prints;
        for (int round = 0; round < 2; ++round) {
            world w{seed};
            tree_of_processes tree{w};
            tree.some_carrier_faults();
            ASSERT_TRUE(tree.start(some_strategy(seed)));
            for (int i = 0; i < 20; ++i) {
                w.advance(std::chrono::milliseconds{tree.below(300)});
                tree.some_fault();
            }
            prints.insert(w.fingerprint());
        }
        EXPECT_EQ(prints.size(), 1u) << "seed " << seed;
    }
}

}  // namespace
}  // namespace coppice::tests
