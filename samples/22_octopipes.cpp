// 22_octopipes: programs join a tree through named pipes.
//
// The broker speaks Octopipes' protocol in a private folder. An actor of its tree takes part by messages, under a name; everybody
// else by two pipes of their own, whatever language they are in. Here the other program is a second node, with our client.
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <string>

#include <coppice/actors/octopipes.hpp>
#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;
namespace pipes = actors::octopipes;

std::string text_of(const blob& b) { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

// [member]
// An actor beside the broker: "kitchen" is its name there, and it gets what is sent to it.
task<> kitchen(actor<pipes::member_protocol> self) {
    auto broker = (co_await self.resolve<pipes::broker_protocol>("pipes")).value();
    auto in = co_await self.ask<pipes::join>(broker, 5s, "kitchen", std::vector<std::string>{}, self.me());
    if (!in) co_return self.fail("no place at the broker: {}", in.error());
    self.ready();
    while (auto m = co_await self.receive()) {
        auto* came = m.get_if<pipes::received_frame>();
        if (!came) continue;
        // To the group: to pipes and actors alike, once each, never to itself.
        static_cast<void>(co_await self.ask<pipes::publish>(broker, 5s, "kitchen", "guests",
                                                            blob{text_of(came->frame.data) + " is ready"}));
    }
}
// [/member]

// [client]
// In another program: an actor with a client of its own, which tells it what happens, each event once.
task<> guest(actor<pipes::listener_protocol> self, std::string cap) {
    auto started = co_await self.start(
        child("client", in_coroutine, pipes::client,
              actors::octopipes_client_options{.cap = cap, .id = "guest", .groups = {"guests"}}, self.me())
            .awaits_ready());
    if (!started) co_return self.fail("no way to the broker: {}", started.error());
    auto client = started->assume<pipes::client_protocol>();

    // An ACK is asked for: the answer comes when the kitchen has it, or with a timeout.
    pipes::publish order{.to = "kitchen", .data = blob{std::string{"tea"}}, .within = 5s};
    auto told = co_await self.ask<pipes::publish>(client, 6s, std::move(order));
    fmt::print("{} has the order\n", told.value().acknowledged_by);

    while (auto m = co_await self.receive()) {
        if (auto* came = m.get_if<pipes::received_frame>()) {
            fmt::print("{}: {}\n", came->frame.from, text_of(came->frame.data));
            break;
        }
        if (auto* in = m.get_if<pipes::subscribed>()) fmt::print("{} has joined\n", in->id);
    }
    auto left = co_await self.ask<pipes::leave>(client, 5s, "guest");
    fmt::print("left: {}\n", left ? "in order" : left.error().what());
}
// [/client]

int main() {
    char folder[] = "/tmp/coppice-pipes-XXXXXX";
    if (!mkdtemp(folder)) return 1;
    const std::string directory = folder;
    // [broker]
    supervisor_spec house;
    house
        .add(child("pipes", in_coroutine, pipes::broker, actors::octopipes_options{.directory = directory})
                 .awaits_ready())
        .add(child("kitchen", in_coroutine, kitchen).awaits_ready());
    node restaurant{"restaurant"};
    if (auto open = restaurant.start(house); !open) return 1;
    // [/broker]
    supervisor_spec outside;
    outside.add(
        child("guest", in_coroutine, guest, directory + "/cap").restarts(restart::temporary).significant());
    const int code = node{"street"}.run(outside);
    restaurant.stop();
    restaurant.wait();
    fmt::print("pipes left: {}\n", std::filesystem::is_empty(directory) ? "none" : "some");
    std::filesystem::remove_all(directory);
    return code;
}
