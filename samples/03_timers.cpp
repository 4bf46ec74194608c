// 03_timers: messages later, messages again and again, and waiting with a limit.
//
// A timer sends a message: what happens at its time is handled like all other mail, one at a time, without locks. A timer
// belongs to the actor that set it, and is cancelled with it.
#include <chrono>
#include <string>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

struct tick {};
struct reminder {
    std::string text;
};
using clock_protocol = protocol<tick, reminder>;

task<std::string> slow_answer(actor<clock_protocol> self) {
    co_await self.sleep(1h);  // suspends this actor, not its thread
    co_return "too late";
}

// [timers]
task<> clockwork(actor<clock_protocol> self) {
    auto ticking = self.send_every<tick>(5ms);  // to itself
    self.send_after<reminder>(1ms, "the kettle");
    int ticks = 0;
    while (ticks < 3) {
        auto m = co_await self.receive();
        if (!m) co_return;
        m.match([&](const tick&) { fmt::print("tick {}\n", ++ticks); },
                [&](const reminder& r) { fmt::print("remember {}\n", r.text); });
    }
    ticking.cancel();
    // [/timers]

    // [limits]
    // A receive with a limit: an error in place of an empty message.
    auto late = co_await self.receive(20ms);
    fmt::print("after cancel: {}\n", late ? "another tick" : to_string(late.error().code()));

    // Any task with a limit; it is cancelled, and has ended, when the await is over.
    auto answer = co_await with_timeout(10ms, slow_answer(self));
    fmt::print("slow_answer: {}\n", answer ? *answer : answer.error().what());

    // The first of several.
    auto first = co_await race(self.sleep(1h), self.sleep(1ms), self.receive());
    fmt::print("branch {} was first\n", first.index());
    // [/limits]
}

int main(int argc, char** argv) {
    supervisor_spec tree;
    tree.add(child("clockwork", in_coroutine, clockwork).restarts(restart::temporary).significant());
    return node{"timers", argc, argv}.run(tree);
}
