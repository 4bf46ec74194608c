// 26_observer: a tree that shows itself: as a page in a browser, and as figures for Prometheus.
//
// `26_observer 8080` saws until Ctrl-C; http://localhost:8080 shows it, with actions. Without an argument a visitor comes, who is
// an actor of this program: what the page is told, everybody can read.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include <coppice/actors/gateway.hpp>
#include <coppice/actors/observer.hpp>
#include <coppice/actors/web_call.hpp>
#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;
namespace web = coppice::actors::web;

struct cut {
    bool nail = false;
};

task<> saw(actor<protocol<cut>> self) {
    while (auto m = co_await self.receive())
        m.match([](const cut& c) {
            if (c.nail) throw std::runtime_error{"hit a nail"};
        });
}

// Some logs a second, and a nail in every hundredth.
task<> feeder(actor<protocol<cut>> self) {
    auto mill = (co_await self.resolve<protocol<cut>>("saw")).value();
    for (std::uint32_t log = 1;; ++log) {
        self.send<cut>(mill, log % 100 == 0);
        co_await self.sleep(20ms);
    }
}

// [visitor]
// The value of a field of a JSON object.
value field(const value& object, std::string_view name) {
    if (const auto* fields = object.get_if<value::map>())
        for (const auto& [key, mapped] : *fields)
            if (*key.get_if<std::string>() == name) return mapped;
    return {};
}

task<> visitor(actor<web::agent_protocol> self) {
    auto gateway = (co_await self.resolve<actors::gateway_protocol>("page/web")).value();
    auto observer = (co_await self.resolve<actors::observer_protocol>("page/observer")).value();
    auto mill = (co_await self.resolve<protocol<cut>>("saw")).value();
    auto at = co_await self.ask<actors::where_observed>(observer);
    const auto url = fmt::format("ws://localhost:{}/live", at.value().port);
    static_cast<void>((co_await self.ask<web::connect>(gateway, 5s, web::connect{.url = url})).value());

    // First the whole of every topic; from then on what is different.
    while (auto m = co_await self.receive()) {
        const auto* said = m.get_if<web::message>();
        if (!said) continue;
        const value told = web::read_value(said->content).value();
        const value topic = field(told, "topic");
        if (topic == value{"observer"}) fmt::print("shown: {}\n", to_string(field(told, "tree")));
        if (topic == value{"nodes"} && field(told, "silent") == value{value::list{}}) {
            self.send<cut>(mill, true);  // once the first look has been told: a nail
        }
        const value news = field(told, "add");
        if (topic != value{"events"} || !news.get_if<value::list>()) continue;
        const value event = news.get_if<value::list>()->front();
        fmt::print("{}: {}\n", to_string(field(event, "kind")), to_string(field(event, "path")));
        co_return;
    }
}
// [/visitor]

// [tree]
supervisor_spec page(std::uint16_t port) {
    supervisor_spec both{strategy::rest_for_one};  // the observer ends with its gateway
    both.add(child("web", in_coroutine, actors::gateway, web::gateway_options{}))
        .add(child("observer", in_coroutine, actors::observer,
                   actors::observer_options{
                       .gateway = "page/web", .port = port, .period = 100ms, .actions = port != 0})
                 .awaits_ready());
    return both;
}

int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
    supervisor_spec tree;
    tree.intensity(1000, 10s).add(supervisor("page", page(port))).add(child("saw", in_coroutine, saw));
    if (port != 0) tree.add(child("feeder", in_coroutine, feeder));
    else tree.add(child("visitor", in_coroutine, visitor).restarts(restart::temporary).significant());
    node_options options;
    options.control = true;  // its control actor tells the observer what runs there
    return node{"mill", argc, argv, options}.run(tree);
}
// [/tree]
