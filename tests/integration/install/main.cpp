// An outside program: compiled and linked against the installed Coppice only, by CMake and by pkg-config.
//
// One actor, one node, one request from an ordinary thread: enough to need the headers, the library, and what the
// library itself links.
#include <chrono>
#include <cstdio>
#include <string>

#include <coppice/coppice.hpp>

using namespace std::chrono_literals;

struct greet {
    using reply = std::string;
};
using greeter_protocol = coppice::protocol<greet>;

coppice::task<> greeter(coppice::actor<greeter_protocol> self) {
    while (auto m = co_await self.receive()) {
        m.match([](coppice::request<greet> r) { r.reply("hello from outside"); });
    }
}

int main() {
    coppice::supervisor_spec spec{coppice::strategy::one_for_one};
    spec.add(coppice::child("greeter", coppice::in_coroutine, greeter));

    coppice::node node{"outside"};
    if (auto started = node.start(spec); !started) {
        std::fprintf(stderr, "start: %s\n", std::string(started.error().text()).c_str());
        return 1;
    }
    auto found = node.resolve<greeter_protocol>("/outside/greeter");
    if (!found) {
        std::fprintf(stderr, "resolve: %s\n", std::string(found.error().text()).c_str());
        return 1;
    }
    auto answer = node.ask<greet>(*found, 10s);
    if (!answer) {
        std::fprintf(stderr, "ask: %s\n", std::string(answer.error().text()).c_str());
        return 1;
    }
    std::puts(answer->c_str());

    node.stop();
    return node.wait().is_clean() ? 0 : 1;
}
