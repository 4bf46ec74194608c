// 14_relay: two nodes that know nothing of each other but a name, and a relay between them that both know.
//
// The leaves know the relay's address only. What one sends to the other's actor passes through it, and when the relay
// is gone for a while, that waits: here the relay ends and is started again while a column is half way through, and
// nothing is lost, doubled or out of order. As processes of their own the three would be joined in the same way:
// 12_two_processes.
#include <stdlib.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <memory>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [actors]
struct wagon {
    std::uint32_t number = 0;
};
struct report {
    struct text {
        std::uint32_t wagons = 0;
        std::uint32_t out_of_order = 0;
    };
    using reply = text;
};
using yard_protocol = protocol<wagon, report>;

task<> yard(actor<yard_protocol> self) {
    report::text so_far;
    while (auto m = co_await self.receive())
        m.match(
            [&](const wagon& w) {
                if (w.number != so_far.wagons) ++so_far.out_of_order;
                ++so_far.wagons;
            },
            [&](request<report> r) { r.reply(so_far); });
}

// What the program and the engine tell each other.
struct timetable {
    std::promise<void> half_way;
    std::promise<void> relay_has_gone;
    std::promise<void> all_on_their_way;
};

task<> engine(actor<protocol<>> self, timetable* when) {
    // By name: the relay knows who is below it. Until the other leaf has joined there is nobody of that name.
    auto yard = co_await self.resolve<yard_protocol>("/south/yard");
    while (!yard) {
        co_await self.sleep(10ms);
        yard = co_await self.resolve<yard_protocol>("/south/yard");
    }
    for (std::uint32_t n = 0; n < 1000; ++n) {
        if (n == 500) {
            when->half_way.set_value();
            co_await self.offload([=] { when->relay_has_gone.get_future().wait(); });
        }
        co_await self.send_wait<wagon>(*yard, n);
    }
    fmt::print("1000 wagons are on their way, 500 of them without a relay\n");
    when->all_on_their_way.set_value();
    auto there = co_await self.ask<report>(*yard, 60s);
    fmt::print("the yard has {}, {} out of order\n", there.value().wagons, there.value().out_of_order);
}
// [/actors]

// [nodes]
node_options below_the_relay() {
    node_options o;
    o.log_terminal = false;
    o.network.parent = "unix://relay";  // all that a leaf knows
    return o;
}

std::unique_ptr<node> start_relay() {
    node_options o;
    o.log_terminal = false;
    o.network.listen = {"unix://relay"};
    auto relay = std::make_unique<node>("relay", o);
    relay->start(supervisor_spec{}).value();  // no actors: passing on is the node's own work
    return relay;
}

void play() {
    node south{"south", below_the_relay()};  // before the relay: the order does not matter
    supervisor_spec of_south;
    of_south.add(child("yard", in_coroutine, yard));
    south.start(of_south).value();

    auto relay = start_relay();
    timetable when;
    node north{"north", below_the_relay()};
    supervisor_spec of_north;
    of_north.add(child("engine", in_coroutine, engine, &when).restarts(restart::temporary).significant());
    north.start(of_north).value();

    when.half_way.get_future().wait();
    relay.reset();
    fmt::print("half way: the relay has gone\n");
    when.relay_has_gone.set_value();
    when.all_on_their_way.get_future().wait();
    fmt::print("the relay comes back\n");
    relay = start_relay();
    north.wait();  // for the engine's end
}
// [/nodes]

int main() {
    std::string directory = (std::filesystem::temp_directory_path() / "coppice-relay-XXXXXX").string();
    if (!::mkdtemp(directory.data())) return EXIT_FAILURE;
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);  // where the relay's socket lies
    play();
    std::filesystem::remove_all(directory);
}
