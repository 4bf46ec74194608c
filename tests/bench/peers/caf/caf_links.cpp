// The rows of suite `links` on the C++ Actor Framework 0.17 (Debian's libcaf-dev): remote actors over its I/O module, which
// has TCP alone. One scheduler thread each, beside CAF's own for I/O. Nothing bounds what waits to be sent, so one way the
// sender waits for an answer after every 1000 messages, 16 large ones. Where the path is cut, it looks the far end up anew, at
// most every 50 ms, once it hears that it is down: by itself CAF makes no link again.
#include <future>

#include <caf/all.hpp>
#include <caf/io/all.hpp>

#include "links/outage.hpp"

namespace {

using links::row;

enum wish : std::uint8_t { swallow, answer };

// CAF's own serialisation of strings is its quickest way for bytes.
caf::behavior far_end(caf::event_based_actor* self) {
    return {[self](std::uint8_t what, const std::string& bytes) {
        links::touch(std::as_bytes(std::span{bytes}));
        if (what == answer) self->send(caf::actor_cast<caf::actor>(self->current_sender()), what, bytes);
    }};
}

struct game {
    const row* of = nullptr;
    const bench::reporter* out = nullptr;
    pid_t partner = 0;
    std::promise<void>* over = nullptr;
};

struct near_state {
    game played;
    caf::actor to;
    std::string bytes;
    std::vector<std::uint32_t> samples;
    std::uint64_t sent = 0;
    bench::clock::time_point last;
    bench::clock::time_point end;
    std::unique_ptr<links::meter> used;
    bool warm = false;
};

using near_actor = caf::stateful_actor<near_state>;

void send_next(near_actor* self) {
    auto& s = self->state;
    if (s.played.of->what == links::work::one_way) {
        const int burst = s.played.of->size > 1024 ? 16 : 1000;
        for (int i = 1; i < burst; ++i) self->send(s.to, std::uint8_t{swallow}, s.bytes);
        s.sent += static_cast<std::uint64_t>(burst);
    }
    self->send(s.to, std::uint8_t{answer}, s.bytes);
}

void begin(near_actor* self, bench::clock::duration how_long) {
    auto& s = self->state;
    s.samples.clear();
    s.sent = 0;
    s.used->start();
    s.last = bench::clock::now();
    s.end = s.last + how_long;
    send_next(self);
}

caf::behavior near_end(near_actor* self, const caf::actor& to, const game& played) {
    auto& s = self->state;
    s.played = played;
    s.to = to;
    s.bytes.assign(played.of->size, 'x');
    s.used = std::make_unique<links::meter>(played.partner);
    begin(self, links::duration{*played.out}.warm_up);
    return {[self](std::uint8_t, const std::string& bytes) {
        auto& at = self->state;
        links::touch(std::as_bytes(std::span{bytes}));
        const auto now = bench::clock::now();
        at.samples.push_back(static_cast<std::uint32_t>(std::chrono::nanoseconds{now - at.last}.count()));
        at.last = now;
        if (now < at.end) return send_next(self);
        at.used->stop();
        if (!std::exchange(at.warm, true)) return begin(self, links::duration{*at.played.out}.measured);
        if (at.played.of->what == links::work::round_trip)
            links::report_round_trips(*at.played.out, *at.played.of, std::move(at.samples), *at.used);
        else links::report_one_way(*at.played.out, *at.played.of, at.sent, *at.used);
        at.played.over->set_value();
        self->quit();
    }};
}

caf::actor_system_config& configure(caf::actor_system_config& config) {
    config.set("scheduler.max-threads", std::size_t{1});
    config.load<caf::io::middleman>();
    return config;
}

void play(const row& of, const bench::reporter& out) {
    const links::partner far{of};
    const auto port = static_cast<std::uint16_t>(std::stoi(far.greeting()));
    caf::actor_system_config config;
    caf::actor_system system{configure(config)};
    const auto to = system.middleman().remote_actor("127.0.0.1", port);
    bench::require(static_cast<bool>(to), "the far end is found");
    std::promise<void> over;
    system.spawn(near_end, *to, game{&of, &out, far.id(), &over});
    over.get_future().wait();
}

// ---- a path that is cut

caf::behavior outage_end(caf::event_based_actor*, links::arrivals* seen) {
    return {[seen](std::uint64_t number, const std::string&) { seen->came(number); }};
}

void play_outage(const row& of, const bench::reporter& out) {
    using namespace std::chrono_literals;
    const links::cut_path way;
    const links::partner far{of};
    const auto port = static_cast<std::uint16_t>(std::stoi(way.in_front_of(far.greeting())));
    caf::actor_system_config config;
    caf::actor_system system{configure(config)};
    caf::scoped_actor self{system};
    caf::actor to;
    const auto look_up = [&] {
        const auto found = system.middleman().remote_actor("127.0.0.1", port);
        if (!found) return;
        to = *found;
        self->monitor(to);
    };
    look_up();
    bench::require(static_cast<bool>(to), "the far end is found");
    const std::string rest(links::outage_size - sizeof(std::uint64_t), 'x');
    auto next_try = bench::clock::now();
    links::play_outage(of, out, far, way, [&](std::span<const std::byte> message) {
        while (self->has_next_message())
            self->receive([&](const caf::down_msg& down) {
                if (down.source == to.address()) to = nullptr;
            });
        if (!to && bench::clock::now() >= next_try) {
            look_up();
            next_try = bench::clock::now() + 50ms;
        }
        if (!to) return false;
        std::uint64_t number = 0;
        std::memcpy(&number, message.data(), sizeof number);
        self->send(to, number, rest);
        return true;
    });
}

void as_partner(const row& of, std::span<char* const>) {
    caf::actor_system_config config;
    caf::actor_system system{configure(config)};
    links::arrivals seen;
    const bool cut = of.what == links::work::outage;
    const auto end = cut ? system.spawn(outage_end, &seen) : system.spawn(far_end);
    const auto port = system.middleman().publish(end, 0, "127.0.0.1");
    bench::require(static_cast<bool>(port), "the far end can be reached");
    links::greet(std::to_string(*port));
    if (cut) seen.tell_until_released();
    else links::wait_until_released();
    system.middleman().unpublish(end);
    caf::anon_send_exit(end, caf::exit_reason::kill);
}

std::vector<row> all_rows() {
    std::vector<row> rows;
    links::add_rows(rows, "tcp", false, &play);
    links::add_outage_rows(rows, &play_outage);
    return rows;
}

}  // namespace

int main(int argc, char** argv) { return links::main(argc, argv, all_rows(), &as_partner); }
