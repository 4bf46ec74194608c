// 19_two_hosts: a supervisor on one host, its child on another, and what happens when that host's agent dies.
//
// On two hosts, in either order (over networks that others can reach take tls, docs/transports.md):
//
//     19_two_hosts tree  "tcp://hosta:4711?insecure=allow"     # on hosta
//     19_two_hosts agent "tcp://hosta:4711?insecure=allow"     # on hostb
//
// Without arguments the program plays both on loopback, which is how it runs as a test. It allows its own program to be started; an
// agent for other programs is the command `coppice agent` (docs/processes.md).
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <utility>

#include <coppice/coppice.hpp>
#include <coppice/process.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

struct look {
    using reply = std::pair<int, int>;  // its process, and the one that has started it
};
using sensor_protocol = protocol<look>;

task<> sensor(actor<sensor_protocol> self) {
    while (auto m = co_await self.receive())
        m.match([](request<look> r) { r.reply(::getpid(), ::getppid()); });
}

// [agent]
int agent_on_hostb(const std::string& uri) {
    node_options options;
    options.log_terminal = false;
    options.network.parent = uri;
    supervisor_spec tree;
    tree.add(agent({.own_program = true}));  // and nothing else
    return node{"hostb", options}.run(tree);
}
// [/agent]

// The other host, played by a process of this one.
pid_t start_agent(const std::string& uri) {
    std::string words[] = {"19_two_hosts", "agent", uri};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t id = 0;
    return ::posix_spawn(&id, "/proc/self/exe", nullptr, nullptr, arguments, environ) == 0 ? id : -1;
}

// [spec]
supervisor_spec sensors() {
    supervisor_spec spec;
    spec.intensity(1'000, 1s)
        .backoff(10ms, 100ms)
        .add(child("sensor", in_process.on("hostb"), sensor).heartbeat(500ms, 4));
    return spec;
}
// [/spec]

task<> visitor(actor<protocol<down>> self, std::string uri, bool plays_both) {
    pid_t there = plays_both ? start_agent(uri) : 0;
    // A start waits for the agent for a while; then it says that there is none.
    for (;;) {
        const auto started = co_await self.start(supervisor("sensors", sensors()));
        if (started) break;
        if (started.error().code() != errc::start_failed) co_return self.fail("{}", started.error());
    }
    const auto one = co_await self.resolve<sensor_protocol>(self.path() + "/sensors/sensor");
    if (!one) co_return self.fail("no sensor: {}", one.error());
    const auto first = co_await self.ask<look>(*one, 30s);
    if (!first) co_return self.fail("no answer: {}", first.error());
    fmt::print("{}/sensors/sensor runs on hostb\n", self.path());
    if (plays_both) fmt::print("its agent has started it: {}\n", first->second == there);

    const auto other = co_await self.start(child("shell", in_process("/bin/sh", {"-c", "id"}).on("hostb")));
    fmt::print("/bin/sh is refused: {}\n", to_string(other.error().code()));
    if (!plays_both) co_return;

    // [loss]
    self.monitor(*one);
    ::kill(there, SIGKILL);  // the agent, as when its host loses its power
    auto m = co_await self.receive();
    const auto* d = m.get_if<down>();
    if (!d || !d->reason.cause()) co_return self.fail("not told of the loss");
    fmt::print("it is down: {}, because {}\n", to_string(d->reason.kind()), d->reason.cause()->text());
    ::waitpid(there, nullptr, 0);
    there = start_agent(uri);
    const auto again = co_await self.ask<look>(*one, 60s);  // waits in the mailbox until there is a sensor
    if (!again) co_return self.fail("it did not come back: {}", again.error());
    fmt::print("it is back, in {} process\n", again->first == first->first ? "the same" : "another");
    // [/loss]
    ::kill(there, SIGTERM);  // in order: what it has started ends before it
    ::waitpid(there, nullptr, 0);
}

int tree_on_hosta(const std::string& uri, bool plays_both) {
    node_options options;
    options.log_terminal = false;
    options.network.listen = {uri};
    node n{"hosta", options};
    const auto root = n.start(supervisor_spec{});
    if (!root) return std::fprintf(stderr, "%s\n", root.error().what().c_str()), 1;
    const auto started =
        n.ask<start_child>(*root, 60s,
                           child("visitor", in_coroutine, visitor, n.listening().front(), plays_both)
                               .restarts(restart::temporary)
                               .significant());
    return started && n.wait().is_clean() ? 0 : 1;
}

int main(int argc, char** argv) {
    register_builtin_transports();
    if (const auto code = run_if_child(argc, argv)) return *code;  // the sensor, on hostb
    const std::string what = argc > 1 ? argv[1] : "";
    if (argc == 3 && what == "agent") return agent_on_hostb(argv[2]);
    if (argc == 3 && what == "tree") return tree_on_hosta(argv[2], false);
    return tree_on_hosta("tcp://127.0.0.1:0", true);
}
