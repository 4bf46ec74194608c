// 06_backpressure: a mailbox has a bound, and what happens at it is the receiver's choice and the sender's business.
//
// By default a full mailbox rejects: send() says so at once, send_wait() waits for room. A receiver for which only the
// newest matters says overflow::keep_latest instead, and no sender ever waits.
#include <chrono>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [consumer]
struct crate {
    int number = 0;
};
struct open_gate {
    static constexpr auto lane = lane::priority;  // not held up by the crates in front of it
};
struct all_done {
    using reply = int;
};
using depot_protocol = protocol<crate, open_gate, all_done>;

task<> depot(actor<depot_protocol> self) {
    int stored = 0;
    if (!co_await self.receive_only<open_gate>()) co_return;  // crates wait in the mailbox meanwhile
    while (auto m = co_await self.receive())
        m.match([&](const crate& c) { fmt::print("stored crate {}\n", c.number), ++stored; },
                [](const open_gate&) {}, [&](request<all_done> r) { r.reply(stored); });
}
// [/consumer]

// [latest]
struct temperature {
    int degrees = 0;
};
using display_protocol = protocol<temperature, open_gate, all_done>;

task<> display(actor<display_protocol> self) {
    if (!co_await self.receive_only<open_gate>()) co_return;
    int shown = 0;
    while (auto m = co_await self.receive())
        m.match([&](const temperature& t) { fmt::print("{} degrees\n", t.degrees), ++shown; },
                [](const open_gate&) {}, [&](request<all_done> r) { r.reply(shown); });
}
// [/latest]

// [producer]
task<> producer(actor<protocol<>> self) {
    auto store = (co_await self.resolve<depot_protocol>("depot")).value();
    for (int n = 1; n <= 3; ++n) fmt::print("crate {}: {}\n", n, self.send<crate>(store, n));

    self.send_after<open_gate>(store, 10ms);
    fmt::print("crate 4 waits: {}\n", co_await self.send_wait<crate>(store, 4));
    auto stored = co_await self.ask<all_done>(store);
    fmt::print("{} crates\n", stored.value());

    auto panel = (co_await self.resolve<display_protocol>("display")).value();
    for (int degrees = 18; degrees <= 21; ++degrees) self.send<temperature>(panel, degrees);
    self.send<open_gate>(panel);
    auto shown = co_await self.ask<all_done>(panel);
    fmt::print("shown {} of 4\n", shown.value());
}
// [/producer]

int main(int argc, char** argv) {
    supervisor_spec tree;
    tree.add(child("depot", in_coroutine, depot).mailbox(2))
        .add(child("display", in_coroutine, display).mailbox(2, overflow::keep_latest))
        .add(child("producer", in_coroutine, producer).restarts(restart::temporary).significant());
    return node{"yard", argc, argv}.run(tree);
}
