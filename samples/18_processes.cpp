// 18_processes: the same actor as a coroutine, on a thread of its own, and in a process of its own; and what a supervisor
// does when that process is killed.
//
// A process child costs a process start, and messages to it cross a link. In return nothing that it does to its memory, its
// heap or its standard output reaches anybody else. Its main is this same main: node::run() sees that it was started as a child.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [counter]
struct add {
    std::uint64_t amount = 0;
};
struct total {
    using reply = std::uint64_t;
};
struct whereabouts {
    using reply = std::pair<std::string, int>;  // path, process
};
using counter_protocol = protocol<add, total, whereabouts>;

task<> counter(actor<counter_protocol> self, std::uint64_t value) {
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { value += a.amount; },  //
                [&](request<total> r) { r.reply(value); },
                [&](request<whereabouts> r) { r.reply(self.path(), ::getpid()); });
}
// [/counter]

// [visitor]
task<> visitor(actor<protocol<down>> self) {
    for (const std::string name : {"coroutine", "thread", "process"}) {
        const auto one = co_await self.resolve<counter_protocol>("/app/" + name);
        if (!one) co_return self.fail("no {}: {}", name, one.error());
        self.send<add>(*one, 5u);
        const auto sum = co_await self.ask<total>(*one);
        const auto where = co_await self.ask<whereabouts>(*one);
        if (!sum || !where) co_return self.fail("{} does not answer", name);
        const auto& [path, pid] = *where;
        fmt::print("{} has {}, {}\n", path, *sum,
                   pid == ::getpid() ? "in this process" : "in a process of its own");
    }

    const auto victim = co_await self.resolve<counter_protocol>("/app/process");
    const auto before = co_await self.ask<whereabouts>(*victim);
    if (!before) co_return self.fail("no process: {}", before.error());
    self.monitor(*victim);
    ::kill(before->second, SIGKILL);  // as the kernel does when memory is short
    auto m = co_await self.receive();
    if (auto* d = m.get_if<down>()) fmt::print("it is down: {}\n", to_string(d->reason.kind()));

    const auto after = co_await self.ask<whereabouts>(*victim, 30s);  // waits in the mailbox until it is back
    const auto fresh = co_await self.ask<total>(*victim, 30s);
    if (!after || !fresh) co_return self.fail("it did not come back");
    fmt::print("it is back in {} process, and counts from {}\n",
               after->second == before->second ? "the same" : "another", *fresh);
}
// [/visitor]

// [tree]
int main(int argc, char** argv) {
    register_builtin_transports();  // in the children, too: each of them begins here
    supervisor_spec tree;
    tree.add(child("coroutine", in_coroutine, counter, std::uint64_t{100}))
        .add(child("thread", in_thread, counter, std::uint64_t{100}))
        .add(child("process", in_process.over("shm"), counter, std::uint64_t{100}).heartbeat(500ms, 4))
        .add(child("visitor", in_coroutine, visitor).restarts(restart::temporary).significant());
    return node{"app", argc, argv}.run(tree);
}
// [/tree]
