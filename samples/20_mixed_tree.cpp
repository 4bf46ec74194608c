// 20_mixed_tree: three levels of one tree over processes, threads and coroutines. A supervisor runs in a process of its own,
// with all that is below it; when that process is killed, the supervisor above starts it again, and it starts its children.
//
// Paths lead through the whole tree, wherever an actor happens to run. The carrier is one word in the spec; none of the
// actors knows it.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

struct who {
    using reply = int;  // the process
};
using herd_protocol = protocol<who>;

task<> animal(actor<herd_protocol> self) {
    while (auto m = co_await self.receive()) m.match([](request<who> r) { r.reply(::getpid()); });
}

constexpr const char* everybody[] = {"/ranch/dog", "/ranch/north/cow", "/ranch/north/barn/hen",
                                     "/ranch/north/barn/fox", "/ranch/south/owl"};

// Waits until each of them answers; whose process is whose.
task<std::map<std::string, int>> roll_call(actor<protocol<>> self) {
    std::map<std::string, int> processes;
    for (const std::string path : everybody) {
        result<int> process = errc::not_found;
        while (!process) {  // while it is started again, it cannot be found, or does not answer
            if (const auto one = co_await self.resolve<herd_protocol>(path))
                process = co_await self.ask<who>(*one, 10s);
            if (!process) co_await self.sleep(5ms);
        }
        processes[path] = *process;
    }
    co_return processes;
}

task<> farmer(actor<protocol<>> self) {
    const auto before = co_await roll_call(self);
    for (const std::string path : everybody) {
        std::string with;
        for (const std::string other : everybody)
            if (other != path && before.at(other) == before.at(path)) with += " " + other;
        fmt::print("{} shares its process with{}\n", path, with.empty() ? " nobody" : with);
    }

    ::kill(before.at("/ranch/north/cow"), SIGKILL);  // the process of the supervisor "north"
    for (;;) {
        const auto after = co_await roll_call(self);
        if (after.at("/ranch/north/cow") == before.at("/ranch/north/cow"))
            continue;  // it has not been noticed yet
        for (const std::string path : everybody)
            fmt::print("{} lives in {} process\n", path,
                       after.at(path) == before.at(path) ? "the same" : "another");
        co_return;
    }
}

// [tree]
int main(int argc, char** argv) {
    register_builtin_transports();
    supervisor_spec barn;
    barn.add(child("hen", in_coroutine, animal))  // with its supervisor
        .add(child("fox", in_process, animal));   // alone
    supervisor_spec north;
    north.add(child("cow", in_thread, animal)).add(supervisor("barn", barn));
    supervisor_spec south;
    south.add(child("owl", in_process.over("shm"), animal));
    supervisor_spec ranch;
    ranch.add(child("dog", in_coroutine, animal))
        .add(supervisor("north", north, in_process.over("unix")))  // and with it all that is below
        .add(supervisor("south", south))
        .add(child("farmer", in_coroutine, farmer).restarts(restart::temporary).significant());
    return node{"ranch", argc, argv}.run(ranch);
}
// [/tree]
