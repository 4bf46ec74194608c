// One channel of the gateway: the queue towards its client, its end, and the task that reads it. See gateway_host.hpp.
//
// All events of a channel are told by the one task that reads it, hold(), which waits for room in its agent's mailbox: so
// they keep their order, and an agent that is slow slows its client, by TCP, and nobody else. Threading: the gateway's
// scheduler.
#include <algorithm>
#include <exception>
#include <utility>

#include "coppice/own_task.hpp"
#include "gateway_host.hpp"

namespace coppice::actors::web_parts {

connection::connection(std::uint64_t n, stream_ptr w, ref<web::agent_protocol> a, web::connection_limits l,
                       web::when_full f, port_ptr p)
    : number{n}, wire{std::move(w)}, agent{a}, limits{l}, full{f}, at{std::move(p)} {}

result<void> connection::offer(const host_ptr& h, web::content what) {
    if (!open()) return error{errc::closed, "the channel is being closed"};
    const std::uint64_t size = what.bytes.size();
    if (queued_bytes_ != 0 && queued_bytes_ + size > limits.queue_bytes) {
        std::string why =
            fmt::format("{} bytes wait for the client, which does not read them", queued_bytes_);
        if (full == web::when_full::refuse) return error{errc::mailbox_full, std::move(why)};
        ++unsent_;
        give_up(h, {1013, why, web::ender::gateway});
        return error{errc::mailbox_full, why + ": the channel is closed"};
    }
    // One byte at least, so that empty messages fill the queue too.
    queued_bytes_ += std::max<std::uint64_t>(size, 1);
    queue_.push_back({outgoing::form::message, std::move(what)});
    flush(h);
    return {};
}

void connection::offer_state(const host_ptr& h, const std::string& topic, const web::content* change) {
    if (!open()) return;
    const auto [at_topic, is_new] = states_.try_emplace(topic);
    if (!is_new) {
        at_topic->second.reset();  // it is behind: the whole, when its turn comes
        return;
    }
    if (change) at_topic->second = *change;
    queue_.push_back({outgoing::form::state, {}, topic});
    flush(h);
}

void connection::ask_ping(const host_ptr& h, request<web::ping> asked) {
    if (pings_.size() >= most_pings) {
        pings_.front().asked.fail(error{errc::timeout, "later pings went out before it was answered"});
        pings_.pop_front();
    }
    std::string payload = std::to_string(new_number());
    pings_.push_back({payload, std::chrono::steady_clock::now(), std::move(asked)});
    queue_.push_front({outgoing::form::ping, {}, std::move(payload)});
    flush(h);
}

void connection::beat(const host_ptr& h) {
    // Who is not read, because its agent is slow, is not silent.
    if (wire->heard() || !is_reading) {
        silent = 0;
        return;
    }
    if (++silent > limits.heartbeat_misses) return wire->cut();
    if (!over_ && silent == 1) {
        queue_.push_front({outgoing::form::ping, {}, {}});
        flush(h);
    }
}

void connection::order_close(const host_ptr& h, close_order order) {
    if (!open()) return;
    order_ = std::move(order);
    // For the message that is under way; each further one, and the close, has the same time.
    wire->limit(limits.close);
    flush(h);
}

void connection::give_up(const host_ptr& h, close_order order) {
    if (!open()) return;
    drop_queue();
    order_close(h, std::move(order));
}

void connection::drop_queue() {
    for (const outgoing& each : queue_)
        if (each.what == outgoing::form::message) {
            ++unsent_;
            queued_bytes_ -= std::max<std::uint64_t>(each.content.bytes.size(), 1);
        }
    queue_.clear();
    states_.clear();
}

void connection::pong(std::string_view payload) {
    const auto found = std::find_if(pings_.begin(), pings_.end(),
                                    [&](const waiting_ping& p) { return p.payload == payload; });
    if (found == pings_.end()) return;
    found->asked.reply(web::round_trip{std::chrono::steady_clock::now() - found->sent});
    pings_.erase(found);
}

web::closed connection::finish(const ending& end) {
    over_ = true;
    drop_queue();
    wire->on_pong = nullptr;
    for (waiting_ping& each : pings_) each.asked.fail(error{errc::closed, "the channel has ended"});
    pings_.clear();
    web::closed last{.channel = number, .unsent = unsent_};
    if (order_) {
        last.code = order_->code;
        last.reason = order_->reason;
        last.by = order_->by;
        return last;
    }
    last.code = end.code;
    last.reason = end.text;
    if (end.what == ending::how::peer) last.by = web::ender::peer;
    if (end.what == ending::how::broken_rule) last.by = web::ender::gateway;
    if (end.what == ending::how::lost && silent > limits.heartbeat_misses)
        last.reason = "no sign of life for several periods of the heartbeat";
    return last;
}

void connection::flush(const host_ptr& h) {
    if (writing_ || over_ || h->abandoned) return;
    writing_ = true;
    h->self.spawn_task(write_all(h, shared_from_this()));
}

web::content connection::content_of(outgoing& next) {
    if (next.what == outgoing::form::message) return std::move(next.content);
    auto state = states_.extract(next.name);
    if (state.mapped()) return *std::move(state.mapped());
    const auto found = std::find_if(at->topics.begin(), at->topics.end(),
                                    [&](const topic& t) { return t.name == next.name; });
    return found->whole;
}

task<ending> connection::write_one(host_ptr h, std::shared_ptr<connection> c) {
    outgoing next = std::move(c->queue_.front());
    c->queue_.pop_front();
    if (next.what == outgoing::form::ping) {
        for (waiting_ping& each : c->pings_)
            if (each.payload == next.name) each.sent = std::chrono::steady_clock::now();
        ending end = co_await c->wire->ping(std::move(next.name));
        co_return end;
    }
    web::content what = c->content_of(next);
    const std::uint64_t counted =
        next.what == outgoing::form::message ? std::max<std::uint64_t>(what.bytes.size(), 1) : 0;
    ending end = co_await c->wire->write(std::move(what));
    c->queued_bytes_ -= counted;
    if (end && counted != 0) ++c->unsent_;
    co_return end;
}

task<> connection::write_all(host_ptr h, std::shared_ptr<connection> c) {
    try {
        ending failed;
        while (!failed && !c->over_ && !c->queue_.empty()) {
            failed = co_await write_one(h, c);
            if (c->order_ && !c->over_) c->wire->limit(c->limits.close);
        }
        if (failed) {
            // The reader may be at the farewell that made this fail; it has the time of one.
            c->drop_queue();
            if (!c->over_) c->wire->limit(c->limits.close);
        } else if (c->order_ && !c->over_) {
            co_await c->wire->close(c->order_->code, c->order_->reason);
        }
    } catch (const std::exception& e) {
        h->self.log.error("channel {}: cannot write: {}", c->number, e.what());
        c->wire->cut();
    }
    // After a close it stays: nothing goes out any more.
    c->writing_ = c->order_ && !c->over_;
}

namespace {

task<ending> read_all(host_ptr h, connection_ptr c) {
    for (;;) {
        c->is_reading = true;
        arrival next = co_await c->wire->read();
        c->is_reading = false;
        if (next.failure) co_return std::move(next.failure);
        web::message what{c->number, std::move(next.content)};
        h->copy_to_observers(*c, what);
        const errc told = co_await h->self.send_wait<web::message>(c->agent, std::move(what));
        if (told != errc::ok)
            c->order_close(
                h, {1001, "the server's side has gone: " + std::string{to_string(told)}, web::ender::agent});
    }
}

task<ending> read_to_the_end(host_ptr h, connection_ptr c, web::opened first) {
    try {
        h->copy_to_observers(*c, first);
        const errc told = co_await h->self.send_wait<web::opened>(c->agent, std::move(first));
        if (told != errc::ok)
            co_return ending{ending::how::lost, 1006,
                             "its agent cannot be told: " + std::string{to_string(told)}};
        ending end = co_await read_all(h, c);
        co_return end;
    } catch (const std::exception& e) {
        co_return ending{ending::how::lost, 1006, e.what()};
    }
}

}  // namespace

task<> hold(host_ptr h, connection_ptr c, web::opened first) {
    c->wire->on_pong = [weak = std::weak_ptr{c}](std::string_view payload) {
        if (const auto self = weak.lock()) self->pong(payload);
    };
    ending end = co_await read_to_the_end(h, c, std::move(first));
    if (end.what == ending::how::lost) c->wire->cut();
    else c->wire->limit(c->limits.close);
    web::closed last = c->finish(end);
    h->copy_to_observers(*c, last);
    // If the gateway ends now, its guard has told it already, or takes it as told.
    if (!std::exchange(c->told, true)) co_await h->self.send_wait<web::closed>(c->agent, std::move(last));
    h->channels.erase(c->number);
    if (c->at) --c->at->channels;
    h->drop_idle_ports();
    h->quiet.notify();
    if (end.what != ending::how::lost) co_await c->wire->linger();
    c->wire->cut();
}

void host::expect_beat(const connection_ptr& c) {
    if (c->limits.heartbeat.count() <= 0) return;
    const auto at = beats.emplace(std::chrono::steady_clock::now() + c->limits.heartbeat, c);
    if (at == beats.begin()) pulse.notify();
}

task<> heartbeats(host_ptr h) {
    using clock = std::chrono::steady_clock;
    for (;;) {
        while (!h->beats.empty() && h->beats.begin()->first <= clock::now()) {
            const connection_ptr c = h->beats.begin()->second.lock();
            h->beats.erase(h->beats.begin());
            if (!c || c->over()) continue;
            c->beat(h);
            h->expect_beat(c);
        }
        co_await h->pulse.wait(h->beats.empty() ? std::chrono::nanoseconds::max()
                                                : h->beats.begin()->first - clock::now());
    }
}

}  // namespace coppice::actors::web_parts
