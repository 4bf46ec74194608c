// 11_pool: several workers of one kind behind one ref.
//
// The pool takes the workers' own messages and routes each to a worker, which answers the asker directly. It restarts
// workers that crash and can grow and shrink while it runs. The first of the ready-made actors (coppice/actors).
#include <chrono>
#include <stdexcept>
#include <string>

#include <coppice/actors/pool.hpp>
#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [worker]
struct cook {
    std::string dish;
    using reply = std::string;
};
using cook_protocol = protocol<cook>;

// An actor like any other: it does not know that it has colleagues.
task<> chef(actor<cook_protocol> self, int stars) {
    while (auto m = co_await self.receive())
        m.match([&](request<cook> r) {
            if (r->dish == "flambé") throw std::runtime_error{"the kitchen is on fire"};
            const auto path = self.path();
            r.reply(fmt::format("{} by {} ({} stars)", r->dish, path.substr(path.rfind('/') + 1), stars));
        });
}
// [/worker]

// [guest]
task<> guest(actor<protocol<>> self) {
    auto kitchen = (co_await self.resolve<actors::pool_protocol<cook_protocol>>("kitchen")).value();
    for (const char* dish : {"soup", "fish", "tart", "tea"}) {
        auto served = co_await self.ask<cook>(kitchen, 5s, dish);
        fmt::print("{}\n", served.value());
    }

    auto burnt = co_await self.ask<cook>(kitchen, 5s, "flambé");  // fails at once, not at the deadline
    fmt::print("flambé: {}\n", burnt.error());

    auto size = co_await self.ask<actors::resize_pool>(kitchen, 5s, 5u);
    fmt::print("now {} chefs\n", size.value());
    auto report = co_await self.ask<actors::pool_status>(kitchen);
    for (const auto& each : report.value().workers)
        fmt::print("{}: {} orders, {} restarts\n", each.name, each.handed_out, each.restarts);
}
// [/guest]

// [tree]
int main(int argc, char** argv) {
    supervisor_spec tree;
    tree.add(child("kitchen", in_coroutine, actors::pool<cook_protocol>,
                   actors::pool_options{.workers = 3, .route = actors::round_robin},
                   child("chef", spread, chef, 2))  // spread: on the scheduler with the fewest actors
                 .awaits_ready())
        .add(child("guest", in_coroutine, guest).restarts(restart::temporary).significant());
    return node{"restaurant", argc, argv}.run(tree);
}
// [/tree]
