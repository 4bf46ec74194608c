// C++'s side of suite languages, beside which the C interface is measured: the same messages, actors in coroutines.
// languages.py says what a side does. One scheduler.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include <unistd.h>

#include "coppice/coppice.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"

namespace {

using namespace coppice;
using clock_type = std::chrono::steady_clock;
using ball = protocol<value>;

constexpr std::size_t size = 64;

void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "%s\n", what);
    std::_Exit(1);
}

node_options options() {
    node_options o;
    o.schedulers = 1;
    o.log_file.clear();
    o.level = level::warn;
    return o;
}

value::bytes with_wish(std::uint8_t wish) {
    value::bytes b(size);
    b[0] = std::byte{wish};
    return b;
}

task<> far_end(actor<ball> self) {
    std::uint64_t seen = 0;
    while (auto m = co_await self.receive()) {
        value* v = m.get_if<value>();
        auto* bytes = v->get_if<value::bytes>();
        must(bytes && bytes->size() == size, "64 bytes come");
        ++seen;
        if ((*bytes)[0] == std::byte{}) continue;
        std::memcpy(bytes->data() + 8, &seen, sizeof seen);
        seen = 0;
        must(co_await self.send_wait<value>(m.sender().assume<ball>(), std::move(*v)) == errc::ok,
             "an answer goes out");
    }
}

task<std::uint64_t> ask(actor<ball>& self, ref<ball> to) {
    must(co_await self.send_wait<value>(to, value{with_wish(1)}) == errc::ok, "a message goes out");
    auto m = co_await self.receive();
    must(static_cast<bool>(m), "it comes back");
    const auto* bytes = m.get_if<value>()->get_if<value::bytes>();
    must(bytes && bytes->size() == size, "64 bytes come");
    std::uint64_t seen = 0;
    std::memcpy(&seen, bytes->data() + 8, sizeof seen);
    co_return seen;
}

task<> near_end(actor<ball> self, bool round_trips, double seconds) {
    const auto to = co_await self.resolve<ball>("/far/end");
    must(static_cast<bool>(to), "the far end is found");
    double figure = 0;
    for (const double length : {0.3 * seconds, seconds}) {
        const auto begun = clock_type::now();
        const auto end =
            begun + std::chrono::duration_cast<clock_type::duration>(std::chrono::duration<double>{length});
        if (round_trips) {
            std::vector<std::uint32_t> samples;
            for (auto last = begun; last < end;) {
                co_await ask(self, *to);
                const auto now = clock_type::now();
                samples.push_back(static_cast<std::uint32_t>(std::chrono::nanoseconds{now - last}.count()));
                last = now;
            }
            std::ranges::sort(samples);
            figure = samples[samples.size() / 2] / 1e3;
        } else {
            std::uint64_t sent = 0;
            while (clock_type::now() < end)
                for (int i = 0; i < 64; ++i, ++sent)
                    must(co_await self.send_wait<value>(*to, value{with_wish(0)}) == errc::ok,
                         "a message goes out");
            must(co_await ask(self, *to) == sent + 1, "messages were lost");
            figure =
                static_cast<double>(sent) / std::chrono::duration<double>(clock_type::now() - begun).count();
        }
    }
    std::printf("%.6g\n", figure);
}

}  // namespace

int main(int argc, char** argv) {
    must(argc > 2, "far PLACE, or near PLACE rtt|oneway SECONDS");
    register_builtin_transports();
    node_options chosen = options();
    supervisor_spec tree;
    if (std::string_view{argv[1]} == "far") {
        chosen.network.listen = {argv[2]};
        tree.add(child("end", in_coroutine, far_end));
        node far{"far", chosen};
        const auto started = far.start(std::move(tree));
        must(static_cast<bool>(started), started ? "" : started.error().what().c_str());
        std::puts("ready");
        std::fflush(stdout);
        char none = 0;
        while (::read(STDIN_FILENO, &none, 1) > 0) {
        }
        std::_Exit(0);
    }
    chosen.network.parent = argv[2];
    tree.add(child("end", in_coroutine, near_end, std::string_view{argv[3]} == "rtt", std::atof(argv[4]))
                 .restarts(restart::temporary)
                 .significant());
    node near{"near", chosen};
    return near.run(std::move(tree));
}
