// Coppice's rows of suite processes: what an actor in a process of its own costs at its start, its death and its end, and a
// large tree of ordinary actors for scale. This program is its own child. tests/bench/README.md says what the rows mean.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"

#include "program.hpp"
#include "raw/spawned.hpp"

namespace {

using namespace coppice;
using namespace std::chrono_literals;

using samples = std::vector<bench::clock::duration>;

struct which_process {
    using reply = std::uint32_t;
};
using worker_protocol = protocol<which_process>;

task<> worker(actor<worker_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([](request<which_process> r) { r.reply(static_cast<std::uint32_t>(::getpid())); });
}

using row_protocol = protocol<>;

node_options options() {
    node_options chosen;
    chosen.schedulers = 1;
    chosen.level = level::off;
    chosen.log_terminal = false;
    chosen.handle_signals = false;
    return chosen;
}

// Runs a node until `row` has ended by itself.
void run_node(child_spec row, supervisor_spec others = {}) {
    node on{"bench", options()};
    others.add(std::move(row).restarts(restart::temporary).significant());
    bench::require(on.run(std::move(others)) == 0, "the tree ends cleanly");
}

task<std::uint32_t> process_of(actor<row_protocol> self, ref<worker_protocol> who) {
    const auto pid = co_await self.ask<which_process>(who, 30s);
    bench::require(pid && *pid != static_cast<std::uint32_t>(::getpid()), "an answer from another process");
    co_return *pid;
}

// ---- process_start: from the request to start a child to its first answer

task<> starter(actor<row_protocol> self, std::string transport, std::size_t rounds, samples* taken) {
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto began = bench::clock::now();
        const auto started = co_await self.start(
            child("worker", in_process.over(transport), &worker).restarts(restart::temporary));
        bench::require(started.has_value(), "a child that starts");
        const ref<worker_protocol> there{*started};
        static_cast<void>(co_await process_of(self, there));
        taken->push_back(bench::clock::now() - began);
        self.monitor(there);
        self.stop(there);
        bench::require((co_await self.receive_only<down>()).has_value(), "its end");
    }
}

void start_over(const bench::reporter& out, std::string_view row, const std::string& transport) {
    samples taken;
    run_node(child("row", in_coroutine, &starter, transport, out.count<std::size_t>(200), &taken));
    out.median_microseconds(row, std::move(taken));
}
void process_start(const bench::reporter& out) { start_over(out, "process_start", "unix"); }
void process_start_shm(const bench::reporter& out) { start_over(out, "process_start_shm", "shm"); }
void process_start_tcp(const bench::reporter& out) { start_over(out, "process_start_tcp", "tcp"); }

// A process with the same libraries that does nothing: what lies between it and process_start is the node's.
void bare_process_start(const bench::reporter& out) { raw::start_row(out, "bare_process_start"); }

// ---- process_notice: from kill -9 to the notice of it; process_restart: to the first answer of its replacement

task<> killer(actor<row_protocol> self, std::size_t rounds, samples* noticed, samples* restarted) {
    const auto found = co_await self.resolve<worker_protocol>("/bench/family/worker");
    bench::require(found.has_value(), "a child by its name");
    for (std::size_t i = 0; i < rounds; ++i) {
        const std::uint32_t before = co_await process_of(self, *found);
        self.monitor(*found);
        const auto began = bench::clock::now();
        ::kill(static_cast<pid_t>(before), SIGKILL);
        bench::require((co_await self.receive_only<down>()).has_value(), "its end");
        noticed->push_back(bench::clock::now() - began);
        bench::require(co_await process_of(self, *found) != before, "another process");
        restarted->push_back(bench::clock::now() - began);
    }
}

void kill_rounds(const bench::reporter& out, samples& noticed, samples& restarted) {
    supervisor_spec family;
    family.intensity(1'000'000, 1s).add(child("worker", in_process, &worker));
    supervisor_spec tree;
    tree.add(supervisor("family", std::move(family)));
    run_node(child("row", in_coroutine, &killer, out.count<std::size_t>(200), &noticed, &restarted),
             std::move(tree));
}
void process_notice(const bench::reporter& out) {
    samples noticed, restarted;
    kill_rounds(out, noticed, restarted);
    out.median_microseconds("process_notice", std::move(noticed));
}
void process_restart(const bench::reporter& out) {
    samples noticed, restarted;
    kill_rounds(out, noticed, restarted);
    out.median_microseconds("process_restart", std::move(restarted));
}

// ---- trees: so many children below so many supervisors, from their start to the last one ready, and from stop to the end

task<> tree_player(actor<row_protocol> self, std::size_t supervisors, std::size_t each, bool processes,
                   bench::clock::duration* starting, bench::clock::duration* ending) {
    supervisor_spec all;
    for (std::size_t s = 0; s < supervisors; ++s) {
        supervisor_spec family;
        for (std::size_t c = 0; c < each; ++c)
            family.add(child("c" + std::to_string(c), processes ? carrier{in_process} : carrier{in_coroutine},
                             &worker));
        all.add(supervisor("s" + std::to_string(s), std::move(family)));
    }
    auto began = bench::clock::now();
    const auto tree = co_await self.start(supervisor("tree", std::move(all)));
    bench::require(tree.has_value(), "a tree that starts");
    *starting = bench::clock::now() - began;
    self.monitor(*tree);
    began = bench::clock::now();
    self.stop(*tree);
    bench::require((co_await self.receive_only<down>()).has_value(), "its end");
    *ending = bench::clock::now() - began;
}

struct tree_times {
    bench::clock::duration starting{}, ending{};
};
tree_times play_tree(std::size_t supervisors, std::size_t each, bool processes) {
    tree_times taken;
    run_node(child("row", in_coroutine, &tree_player, supervisors, each, processes, &taken.starting,
                   &taken.ending));
    return taken;
}
void processes_100(const bench::reporter& out) {
    const tree_times taken = play_tree(1, 100, true);
    out.milliseconds("processes_100_start", taken.starting);
    out.milliseconds("processes_100_end", taken.ending);
}
void actors_10000(const bench::reporter& out) {
    const tree_times taken = play_tree(100, 100, false);
    out.milliseconds("actors_10000_start", taken.starting);
    out.milliseconds("actors_10000_end", taken.ending);
}

constexpr bench::row rows[] = {
    {"process_start", process_start},           {"process_start_shm", process_start_shm},
    {"bare_process_start", bare_process_start}, {"process_start_tcp", process_start_tcp},
    {"process_notice", process_notice},         {"process_restart", process_restart},
    {"processes_100_start", processes_100},     {"actors_10000_start", actors_10000},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string_view{argv[1]} == "--child") return raw::serve(raw::channel, raw::channel);
    register_builtin_transports();
    if (const auto code = run_if_child(argc, argv)) return *code;
    return bench::main(argc, argv, rows);
}
