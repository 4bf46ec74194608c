// 04_supervision: an actor crashes, its supervisor starts it again, and the others hardly notice.
//
// An exception that leaves an actor ends that actor only. What a restart keeps: name, refs, mailbox. What it loses: the
// actor's variables, and the message that it had in hand. The log of the crash goes to standard error.
#include <chrono>
#include <stdexcept>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [saw]
struct cut {
    int log = 0;
    bool nail = false;
};
struct report {
    using reply = int;
};
using saw_protocol = protocol<cut, report>;

task<> saw(actor<saw_protocol> self) {
    int logs = 0;  // of this incarnation
    while (auto m = co_await self.receive())
        m.match(
            [&](const cut& c) {
                if (c.nail) throw std::runtime_error{"hit a nail"};
                fmt::print("incarnation {} cuts log {}\n", self.incarnation(), c.log);
                ++logs;
            },
            [&](request<report> r) { r.reply(logs); });
}
// [/saw]

// [foreman]
task<> foreman(actor<protocol<down>> self) {
    auto mill = co_await self.resolve<saw_protocol>("saw");
    if (!mill) co_return self.fail("no saw: {}", mill.error());
    self.monitor(*mill);
    for (int log = 1; log <= 5; ++log) self.send<cut>(*mill, log, log == 3);
    auto done =
        co_await self.ask<report>(*mill);  // waits in the mailbox behind the logs, also over the restart
    if (done) fmt::print("the saw that answers has cut {} logs\n", *done);

    auto m = co_await self.receive();  // what the monitor tells
    if (auto* d = m.get_if<down>()) fmt::print("{} was down: {}\n", d->who, d->reason.text());
}
// [/foreman]

// [tree]
int main(int argc, char** argv) {
    supervisor_spec tree{strategy::one_for_one};
    tree.intensity(3, 10s)  // a fourth restart within 10 s would end the tree: the fault is not in the child
        .add(child("saw", in_coroutine, saw).restarts(restart::permanent))
        .add(child("foreman", in_coroutine, foreman).restarts(restart::temporary).significant());
    return node{"mill", argc, argv}.run(tree);
}
// [/tree]
