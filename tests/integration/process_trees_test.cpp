// Trees of several processes, one below the other: paths lead across them, each that is killed is healed, and when the root
// goes, whatever takes it away, all of them go.
#include <sys/prctl.h>

#include <algorithm>
#include <atomic>
#include <random>

#include "process_actors.hpp"

namespace coppice::tests::carried {

namespace {

struct W14 : InProcess {};
INSTANTIATE_TEST_SUITE_P(Over, W14, transports(), name_of_transport);

// Three levels, of processes, threads and coroutines. Which transport leads to whom is said by name.
template <class Carrier>
supervisor_spec mixed_tree_over(Carrier how, strategy s = strategy::one_for_one) {
    const auto one = [&](std::string name, coppice::carrier c) {
        return child(std::move(name), std::move(c), worker, std::uint64_t{0});
    };
    supervisor_spec below{s};
    below.intensity(1'000'000, 1s).add(one("x", how("x"))).add(one("y", how("y"))).add(one("z", in_thread));
    supervisor_spec middle{s};
    middle.intensity(1'000'000, 1s).add(one("leaf", how("leaf"))).add(supervisor("low", below, how("low")));
    supervisor_spec top;  // one_for_one: the scripts are its children, too
    top.intensity(1'000'000, 1s)
        .add(one("a", how("a")))
        .add(supervisor("sub", middle, how("sub")))
        .add(one("b", how("b")))
        .add(one("c", in_coroutine));
    return top;
}
supervisor_spec mixed_tree(const process_carrier& how, strategy s = strategy::one_for_one) {
    return mixed_tree_over([&](std::string_view) { return how; }, s);
}
constexpr std::size_t processes_of_tree = 7;  // a, sub, b, leaf, low, x, y
const std::vector<std::string> workers{"/a",         "/b",         "/c",        "/sub/leaf",
                                       "/sub/low/x", "/sub/low/y", "/sub/low/z"};

TEST_P(W14, PathsLeadAcrossProcessesFromEverywhere) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(mixed_tree(carrier())));
    EXPECT_EQ(left_.processes().size(), processes_of_tree);
    play(n, [](actor<anything> self) -> task<> {
        for (const std::string& from : workers) {
            const auto asker = co_await self.resolve<worker_protocol>("/app" + from);
            EXPECT_TRUE(asker) << from << ": " << asker.error().what();
            if (!asker) continue;
            const auto at = co_await self.ask<where>(*asker, 10s);
            EXPECT_TRUE(at && *at == "/app" + from) << (at ? *at : at.error().what());
            for (const std::string& to : workers) {
                if (to == from) continue;  // it would wait for itself
                const auto direct = co_await process_at(self, "/app" + to);
                const auto there = co_await self.ask<ask_another>(*asker, 20s, "/app" + to);
                EXPECT_TRUE(there && *there == static_cast<std::int64_t>(direct))
                    << from << " to " << to << ": "
                    << (there ? std::to_string(*there) : there.error().what());
            }
            const auto none = co_await self.ask<ask_another>(*asker, 20s, "/app/sub/low/nobody");
            EXPECT_TRUE(none && *none == -static_cast<std::int64_t>(errc::not_found))
                << from << ": " << (none ? std::to_string(*none) : none.error().what());
        }
    });
}

TEST_P(W14, AStoppedRootTakesAllWithIt) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(mixed_tree(carrier())));
    n.stop();
    const exit_reason r = n.wait();
    EXPECT_EQ(r.kind(), exit_kind::stopped) << r.to_string();
    EXPECT_TRUE(left_.processes().empty()) << "its children are joined before it ends";
}

// ---------------------------------------------------------------- the root as a process of its own

struct root_board {
    std::atomic<int> up, silent, paused, well;
};

using watcher_protocol = protocol<process_finding>;
task<> watcher(actor<watcher_protocol> self, shared<root_board>* board) {
    self.watch_processes();
    while (auto m = co_await self.receive())
        m.match([&](const process_finding& f) {
            if (f.what == finding::silent) ++(*board)->silent;
            if (f.what == finding::paused) ++(*board)->paused;
            if (f.what == finding::well) ++(*board)->well;
        });
}

int run_root() {
    shared<root_board> board{word("BOARD")};
    node n{"app", quiet(2)};
    supervisor_spec tree = mixed_tree(in_process.over(word("KIND")));
    tree.add(child("watcher", in_coroutine, watcher, &board));
    if (!n.start(tree)) return 1;
    board->up = 1;
    n.wait();
    return 0;
}
const bool root_role = add_role("root_of_processes", run_root);

TEST_P(W14, ARootThatIsKilledTakesAllWithIt) {
    for (int round = 0; round < 5; ++round) {
        shared<root_board> board;
        process root{"root_of_processes", {{"BOARD", board.handle()}, {"KIND", over()}}};
        await_that([&] { return board->up || root.has_ended(); });
        EXPECT_EQ(left_.processes().size(), processes_of_tree + 1);
        root.end_at_once();
        await_that([&] { return left_.processes().empty(); });
    }
}

// Stopped processes notice nothing by themselves: the kernel makes them go on when their parents die, level by level.
TEST_P(W14, ARootThatIsKilledTakesAStoppedTreeWithIt) {
    shared<root_board> board;
    process root{"root_of_processes", {{"BOARD", board.handle()}, {"KIND", over()}}};
    await_that([&] { return board->up || root.has_ended(); });
    for (const pid_t one : left_.processes()) ::kill(one, SIGSTOP);
    root.end_at_once();
    await_that([&] { return left_.processes().empty(); });
    left_.ignore_names();  // each was gone before its children went on
}

// ---------------------------------------------------------------- killed, round after round

struct Healing : InProcess {};
INSTANTIATE_TEST_SUITE_P(Over, Healing, transports(), name_of_transport);

task<> traffic(actor<anything> self, std::string path, std::shared_ptr<std::atomic<bool>> end) {
    const auto w = co_await self.resolve<worker_protocol>(path);
    REQUIRE_OR_END(w);
    for (std::uint64_t i = 0; !*end; ++i) {
        static_cast<void>(self.send<add>(*w, i));
        if (i % 64 == 0) co_await self.sleep(1ms);
    }
}

// One or two of them at random; or the oldest, and so each in turn: who is started again is the youngest.
enum class victims : std::uint8_t { random, oldest };

task<> kill_and_heal(actor<anything> self, leftovers* left, int rounds, victims which, unsigned seed,
                     int* healed) {
    std::mt19937 random{seed};
    const auto end = std::make_shared<std::atomic<bool>>(false);
    std::vector<own_task<void>> senders;
    for (const char* path : {"/app/a", "/app/sub", "/app/b"})
        if (std::string_view{path} != "/app/sub")
            senders.push_back(self.spawn_task(traffic(self, path, end)));
    for (int round = 0; round < rounds; ++round) {
        std::vector<pid_t> alive = left->processes();
        if (which == victims::oldest) {
            while (alive.size() != processes_of_tree) {
                co_await self.sleep(1ms);
                alive = left->processes();
            }
            std::sort(alive.begin(), alive.end());
            alive.resize(1);
        } else {
            std::shuffle(alive.begin(), alive.end(), random);
            alive.resize(std::min<std::size_t>(1 + random() % 2, alive.size()));
        }
        for (const pid_t one : alive) ::kill(one, SIGKILL);
        for (const std::string& path : workers) co_await process_at(self, "/app" + path);
        ++*healed;
    }
    *end = true;
    for (auto& one : senders) co_await one.join();
}

TEST_P(Healing, OneForOneAfterEveryKill) {
    const auto seed = static_cast<unsigned>(seed_to_replay() ? seed_to_replay() : std::random_device{}());
    SCOPED_TRACE("COPPICE_SEED=" + std::to_string(seed));
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(mixed_tree(carrier())));
    const int rounds = slow_build ? 40 : 300;
    int healed = 0;
    play(n, kill_and_heal, &left_, rounds, victims::random, seed, &healed);
    EXPECT_EQ(healed, rounds);
    // One that answered may still be restarted for another's sake.
    await_that([&] { return left_.processes().size() == processes_of_tree; });
}

TEST_P(Healing, RestForOneAfterEveryKill) {
    const auto seed = static_cast<unsigned>(seed_to_replay() ? seed_to_replay() : std::random_device{}());
    SCOPED_TRACE("COPPICE_SEED=" + std::to_string(seed));
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(mixed_tree(carrier(), strategy::rest_for_one)));
    const int rounds = slow_build ? 20 : 200;
    int healed = 0;
    play(n, kill_and_heal, &left_, rounds, victims::random, seed, &healed);
    EXPECT_EQ(healed, rounds);
    // One that answered may still be restarted for another's sake.
    await_that([&] { return left_.processes().size() == processes_of_tree; });
}

TEST_P(Healing, AfterEachOfThemWasKilledInTurn) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(mixed_tree(carrier())));
    const int rounds = 2 * static_cast<int>(processes_of_tree);
    int healed = 0;
    play(n, kill_and_heal, &left_, rounds, victims::oldest, 0u, &healed);
    EXPECT_EQ(healed, rounds);
    await_that([&] { return left_.processes().size() == processes_of_tree; });
}

TEST_F(InProcesses, OfOneTreeAreReachedOverDifferentTransports) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(mixed_tree_over([](std::string_view name) {
        return in_process.over(name == "a" || name == "low"    ? "shm"
                               : name == "sub" || name == "x"  ? "tcp"
                               : name == "leaf" || name == "y" ? "pipe"
                                                               : "unix");
    })));
    int healed = 0;
    play(n, kill_and_heal, &left_, 7, victims::oldest, 0u, &healed);
    EXPECT_EQ(healed, 7);
    await_that([&] { return left_.processes().size() == processes_of_tree; });
}

// ---------------------------------------------------------------- pauses

TEST_F(InProcesses, ARootThatWasStoppedGoesOnAndHoldsNothingAgainstItsChildren) {
    shared<root_board> board;
    process root{"root_of_processes", {{"BOARD", board.handle()}, {"KIND", "unix"}}};
    await_that([&] { return board->up || root.has_ended(); });
    std::vector<pid_t> before = left_.processes();
    root.signal(SIGSTOP);
    std::this_thread::sleep_for(limits::heartbeat * (limits::heartbeat_misses + 1));  // the pause itself
    root.signal(SIGCONT);
    await_that([&] { return board->paused > 0; });
    EXPECT_EQ(board->silent, 0) << "it took its own pause for its children's silence";
    std::vector<pid_t> after = left_.processes();
    std::sort(before.begin(), before.end());
    std::sort(after.begin(), after.end());
    EXPECT_EQ(before, after);
    root.end_at_once();
}

}  // namespace

}  // namespace coppice::tests::carried
