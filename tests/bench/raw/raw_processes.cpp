// The limits of suite processes: a child by posix_spawn that is this program again; see spawned.hpp. With --port it speaks over
// standard output and input, as a port program of Erlang's. One thread.
#include <string_view>
#include <utility>
#include <vector>

#include "program.hpp"
#include "spawned.hpp"

namespace {

using raw::child;
using raw::samples;

void process_start(const bench::reporter& out) { raw::start_row(out, "process_start"); }

void rounds_of_kills(const bench::reporter& out, bool restarted, std::string_view row) {
    samples taken;
    for (std::size_t i = out.count<std::size_t>(500); i; --i) {
        child one;
        one.await_word();
        const auto began = bench::clock::now();
        one.kill();
        one.await_end();
        if (!restarted) {
            taken.push_back(bench::clock::now() - began);
            continue;
        }
        const child next;
        next.await_word();
        taken.push_back(bench::clock::now() - began);
    }
    out.median_microseconds(row, std::move(taken));
}
void process_notice(const bench::reporter& out) { rounds_of_kills(out, false, "process_notice"); }
void process_restart(const bench::reporter& out) { rounds_of_kills(out, true, "process_restart"); }

void processes_100(const bench::reporter& out) {
    std::vector<child> all;
    all.reserve(100);
    out.milliseconds("processes_100_start", bench::time_of([&] {
                         for (int i = 0; i < 100; ++i) all.emplace_back();
                         for (const child& one : all) one.await_word();
                     }));
    out.milliseconds("processes_100_end", bench::time_of([&] {
                         for (child& one : all) one.close_channel();
                         for (child& one : all) one.await_end();
                     }));
}

constexpr bench::row rows[] = {
    {"process_start", process_start},
    {"process_notice", process_notice},
    {"process_restart", process_restart},
    {"processes_100_start", processes_100},
};

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string_view{argv[1]} == "--child") return raw::serve(raw::channel, raw::channel);
    if (argc == 2 && std::string_view{argv[1]} == "--port") return raw::serve(STDIN_FILENO, STDOUT_FILENO);
    return bench::main(argc, argv, rows);
}
