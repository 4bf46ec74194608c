// The supervisor of run_as_child, a program in C, whose path is its argument: it uses it as any other actor, sees it crash, and
// goes on with the next one.
#include <chrono>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/process.hpp>
#include <coppice/transport/builtin.hpp>
#include <coppice/value.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

struct sum {
    using reply = std::int64_t;
};

task<> user(actor<protocol<down>> self) {
    const auto counter = (co_await self.resolve<anything>("counter")).value();
    for (const int n : {1, 2, 3}) self.send<value>(counter, value{n});
    auto got = co_await self.ask<sum>(counter, 30s);
    fmt::print("the sum is {}\n", got.value());

    self.monitor(counter);
    self.send<value>(counter, value{"crash"});
    auto end = co_await self.receive();
    if (const auto* d = end.get_if<down>())
        fmt::print("its process has died: {}\n", to_string(d->reason.kind()));

    self.send<value>(counter, value{7});  // waits for the next one
    got = co_await self.ask<sum>(counter, 30s);
    fmt::print("started again, the sum is {}\n", got.value());
}

int main(int argc, char** argv) {
    if (argc < 2) return fmt::print(stderr, "run_as_child_supervisor PROGRAM\n"), 2;
    register_builtin_transports();
    supervisor_spec tree;
    tree.add(child("counter", in_process(argv[1])))
        .add(child("user", in_coroutine, user).restarts(restart::temporary).significant());
    node_options options;
    options.level = level::error;
    options.levels = {{"/app/counter", level::off}};  // that it crashes is what is shown
    return node{"app", argc, argv, options}.run(tree);
}
