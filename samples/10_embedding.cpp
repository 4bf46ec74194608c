// 10_embedding: actors inside a program that has an io_context of its own.
//
// The node makes no threads: its one scheduler is drained by handlers on the program's io_context, between the program's
// own handlers and on its thread. So actors and handlers may share data without a lock.
#include <chrono>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [actor]
struct pulse {
    int number = 0;
};
using monitor_protocol = protocol<pulse>;

task<> heart_monitor(actor<monitor_protocol> self,
                     int* seen) {  // one thread for all: a plain pointer is safe here
    while (auto m = co_await self.receive()) {
        m.match([&](const pulse& p) {
            fmt::print("actor: pulse {}\n", p.number);
            ++*seen;
            if (p.number == 3) self.stop();
        });
    }
}
// [/actor]

// [embedding]
int main() {
    boost::asio::io_context context;
    int seen = 0;

    node app{"embedded", context};
    supervisor_spec tree;
    tree.add(child("monitor", in_coroutine, heart_monitor, &seen).restarts(restart::transient).significant());
    if (auto started = app.start(tree); !started) {  // returns at once; the start goes on in context.run()
        fmt::print(stderr, "{}\n", started.error());
        return 1;
    }

    // The program's own life: a timer that beats three times.
    boost::asio::steady_timer timer{context};
    int beats = 0;
    auto beat = [&](auto& again) -> void {
        timer.expires_after(5ms);
        timer.async_wait([&](boost::system::error_code) {
            fmt::print("handler: beat {}, the actor has seen {}\n", ++beats, seen);
            if (auto monitor = app.resolve<monitor_protocol>("monitor")) app.send<pulse>(*monitor, beats);
            if (beats < 3) again(again);
        });
    };
    beat(beat);

    context.run();  // ends when the timer and the tree have ended
    fmt::print("seen {}\n", seen);
    return app.wait().is_clean() ? 0 : 1;
}
// [/embedding]
