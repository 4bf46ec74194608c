// 08_testing: tests of actors on virtual time: an hour passes at once, and every run can be had again.
//
// A world runs any number of nodes in one thread. Nothing happens but within its calls; a seed decides in which order
// ready actors run. A probe stands for whoever the actor under test talks to. In GoogleTest one would write EXPECT_EQ.
#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <coppice/coppice.hpp>
#include <coppice/testing/probe.hpp>
#include <coppice/testing/world.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [subject]
struct silence {
    int silent_minutes = 0;
};
struct beat {
    bool is_garbled = false;
};
struct watch {
    ref<protocol<silence>> listener;
};
using monitor_protocol = protocol<beat, watch>;

// Tells its listener of every minute that passes without a beat.
task<> heart_monitor(actor<monitor_protocol> self, ref<protocol<silence>> listener) {
    int silent = 0;
    for (;;) {
        auto m = co_await self.receive(1min);
        if (!m) {
            if (m.error() == errc::stopping) co_return;
            self.send<silence>(listener, ++silent);
            continue;
        }
        m->match(
            [&](const beat& b) {
                if (b.is_garbled) throw std::runtime_error{"garbled beat"};
                silent = 0;
            },
            [&](const watch& w) { listener = w.listener; });
    }
}
// [/subject]

supervisor_spec ward() {
    supervisor_spec spec;
    spec.add(child("monitor", in_coroutine, heart_monitor, ref<protocol<silence>>{}));
    return spec;
}

// [test]
std::uint64_t test_run(std::uint64_t seed, bool speak) {
    testing::world world{seed};  // print the seed when a test fails: it replays the failure
    if (!world.start(ward())) throw std::runtime_error{"the tree did not start"};
    testing::probe<protocol<silence>> nurse{world};
    auto monitor = world.resolve<monitor_protocol>("/app/monitor").value();
    world.send<watch>(monitor, nurse.ref());

    for (int i = 0; i < 120; ++i) {
        world.send<beat>(monitor);
        world.advance(30s);
    }
    nurse.expect_nothing();
    if (speak) fmt::print("an hour with a beat every 30 s: no alarm\n");

    const auto before = world.now();
    const auto first = nurse.expect<silence>(10min);
    const auto second = nurse.expect<silence>(10min);
    const auto waited = std::chrono::duration_cast<std::chrono::seconds>(world.now() - before);
    if (speak)
        fmt::print("silence: alarms {} and {}, {} s later\n", first.silent_minutes, second.silent_minutes,
                   waited.count());

    world.send<beat>(monitor, true);
    world.run_until_idle();
    if (speak)
        fmt::print("a garbled beat: {} restart, running: {}\n", world.restarts("/app/monitor"),
                   world.running("/app/monitor"));

    for (const auto& left : world.finish()) fmt::print("left behind: {}\n", left);
    return world.fingerprint();
}
// [/test]

int main() {
    const auto once = test_run(7, true);
    fmt::print("the same seed, the same run: {}\n", test_run(7, false) == once);
}
