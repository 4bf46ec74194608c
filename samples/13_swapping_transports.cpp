// 13_swapping_transports: the same two nodes and actors over one kind of transport after the other.
//
// Only the URI changes. Here both nodes live in one process, which every kind allows; as processes of their own they
// would be joined in the same way. Which kind serves where: docs/transports.md.
#include <stdlib.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [actors]
struct reading {
    std::uint32_t sensor = 0;
    double celsius = 0;
};
struct hottest {
    using reply = reading;
};
using store_protocol = protocol<reading, hottest>;

task<> store(actor<store_protocol> self) {
    reading top;
    while (auto m = co_await self.receive())
        m.match(
            [&](const reading& r) {
                if (r.celsius > top.celsius) top = r;
            },
            [&](request<hottest> r) { r.reply(top); });
}

task<> sensors(actor<protocol<>> self, std::string kind) {
    auto there = (co_await self.resolve<store_protocol>("/plant/store")).value();
    for (std::uint32_t n = 0; n < 10'000; ++n)
        co_await self.send_wait<reading>(there, n, static_cast<double>(n % 997) / 10);
    auto top = (co_await self.ask<hottest>(there, 10s)).value();
    fmt::print("{:<6} 10000 readings, the hottest: sensor {} with {} degrees\n", kind, top.sensor,
               top.celsius);
}
// [/actors]

// [join]
int measure_over(const std::string& uri) {
    node_options upper;
    upper.log_terminal = false;
    upper.network.listen = {uri};
    node plant{"plant", upper};
    supervisor_spec of_plant;
    of_plant.add(child("store", in_coroutine, store));
    if (auto started = plant.start(of_plant); !started) {
        fmt::print("{}: {}\n", uri, started.error());
        return EXIT_FAILURE;
    }

    node_options lower;
    lower.log_terminal = false;
    lower.network.parent = plant.listening().at(0);  // with the port that was given for port 0
    supervisor_spec of_field;
    of_field.add(child("sensors", in_coroutine, sensors, uri.substr(0, uri.find(':')))
                     .restarts(restart::temporary)
                     .significant());
    return node{"field", lower}.run(of_field);
}
// [/join]

int main() {
    std::string directory = (std::filesystem::temp_directory_path() / "coppice-plant-XXXXXX").string();
    if (!::mkdtemp(directory.data())) return EXIT_FAILURE;
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);  // where unix and shm have their sockets
    int worst = 0;
    for (const char* uri : {"inproc://plant", "shm://plant?ring=1MiB", "unix://plant", "tcp://127.0.0.1:0"})
        worst = std::max(worst, measure_over(uri));
    std::filesystem::remove_all(directory);
    return worst;
}
