// What the gateway's requests and tasks share: who is meant by a number, who may what, and what goes with whom. See
// gateway_host.hpp. Threading: the gateway's scheduler; new_number() any thread.
#include "gateway_host.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <utility>

namespace coppice::actors::web_parts {

std::uint64_t new_number() {
    // Nanoseconds since 1970, or one more than the last: a gateway that is started again, also in a new process, gives
    // no number twice, unless the clock is set back.
    static std::atomic<std::uint64_t> last{0};
    const auto now = static_cast<std::uint64_t>(
        std::chrono::nanoseconds{std::chrono::system_clock::now().time_since_epoch()}.count());
    std::uint64_t before = last.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        next = std::max(before + 1, now);
    } while (!last.compare_exchange_weak(before, next, std::memory_order_relaxed));
    return next;
}

result<void> check(const web::connection_limits& limits) {
    // Longer ones than anybody means cannot be added to the present.
    constexpr std::chrono::nanoseconds most = std::chrono::hours{24 * 365};
    const auto wrong = [](const char* what) { return error{errc::invalid_argument, what}; };
    if (limits.message_bytes == 0) return wrong("the limit message_bytes of connections is at least 1");
    if (limits.handshake.count() <= 0 || limits.handshake > most)
        return wrong("the limit handshake of connections is a time above 0, and at most a year");
    if (limits.close.count() <= 0 || limits.close > most)
        return wrong("the limit close of connections is a time above 0, and at most a year");
    if (limits.heartbeat > most)
        return wrong("the limit heartbeat of connections is at most a year; 0: never");
    return {};
}

void company::forget(const ref<>& who) {
    std::erase(may_talk, who);
    std::erase(may_watch, who);
    std::erase_if(observers, [&](const auto& each) { return each->who == who; });
}

host::host(gateway_actor s, web::gateway_options o, boost::asio::io_context& context)
    : self{s},
      options{o},
      io{context},
      ends{std::make_shared<partings>(context)},
      quiet{context},
      pulse{context} {}

port_ptr host::find_port(std::uint16_t number, const ref<>& by) const {
    const auto fitness = [&](const port& p) { return (p.agent == by ? 2 : 0) + (p.listening() ? 1 : 0); };
    port_ptr best;
    for (const port_ptr& each : ports)
        if (each->number == number && (!best || fitness(*each) > fitness(*best))) best = each;
    return best;
}

result<connection_ptr> host::find_channel(std::uint64_t number) const {
    const auto found = channels.find(number);
    if (found == channels.end())
        return error{errc::closed, fmt::format("channel {} has ended, or never was", number)};
    if (!found->second->open()) return error{errc::closed, fmt::format("channel {} is being closed", number)};
    return found->second;
}

bool host::may_talk(const ref<>& who, const connection& c) {
    if (!who) return false;
    const auto in = [&](const std::vector<ref<>>& list) {
        return std::find(list.begin(), list.end(), who) != list.end();
    };
    return c.agent == who || in(c.around.may_talk) || (c.at && in(c.at->around.may_talk));
}

void host::watch(const ref<>& who) {
    if (!monitored_.contains(who)) monitored_.emplace(who, self.monitor(who));
}

void host::forget(const ref<>& who) {
    monitored_.erase(who);
    for (const port_ptr& each : std::vector<port_ptr>{ports}) {
        each->around.forget(who);
        if (each->agent == who) close_port(each);
    }
    const host_ptr me = shared_from_this();
    for (const auto& [number, c] : channels) {
        c->around.forget(who);
        if (c->agent == who)
            c->give_up(me, {1001, "the server's side of this channel has ended", web::ender::agent});
    }
    for (const auto& [number, d] : std::map<std::uint64_t, dialling_ptr>{dials})
        if (d->agent == who) hang_up(d);
}

void host::close_port(const port_ptr& p) {
    p->stop_listening();
    drop_idle_ports();
}

void host::drop_idle_ports() {
    std::erase_if(
        ports, [](const port_ptr& p) { return !p->listening() && p->channels == 0 && p->greeting.empty(); });
    quiet.notify();
}

void host::hang_up(const dialling_ptr& d) {
    d->given_up = true;
    if (d->greeting) d->greeting->cut();
    if (d->up) d->up->order_close(shared_from_this(), {1000, "", web::ender::agent});
    d->changed.notify();
}

void host::part(const connection_ptr& c, web::closed last) {
    if (std::exchange(c->parted, true)) return;
    auto give_up_place = [me = shared_from_this(), c] {
        me->channels.erase(c->number);
        if (c->at) --c->at->channels;
        me->drop_idle_ports();
    };
    if (!c->introduced) return give_up_place();
    ends->waiting.push_back({c->agent, std::move(last), std::move(give_up_place)});
    ends->changed.notify();
}

void host::abandon() noexcept {
    ending = abandoned = true;
    try {
        for (const port_ptr& each : ports) each->stop_listening();
        for (const auto& [number, d] : dials) {
            if (d->greeting) d->greeting->cut();
            d->changed.notify();
        }
        for (const auto& [number, c] : std::unordered_map<std::uint64_t, connection_ptr>{channels}) {
            c->wire->cut();
            if (!c->parted) part(c, c->finish({ending::how::lost, 1006, "the gateway has ended"}));
        }
    } catch (const std::exception& e) {
        self.log.error("not all agents were told of the gateway's end: {}", e.what());
    }
}

}  // namespace coppice::actors::web_parts
