// The gateway's mailbox: what its agents ask, who may ask it, and its end. What it has stands in gateway_host.hpp.
//
// Handlers do not wait: what takes time is a task of its own. Threading: the gateway's scheduler.
#include "coppice/actors/gateway.hpp"

#include <algorithm>
#include <utility>

#include "coppice/await.hpp"
#include "coppice/own_task.hpp"
#include "gateway_host.hpp"

namespace coppice::actors {

namespace web_parts {
namespace {

/// Which channel or port a request is about, for what its sender is told.
struct about {
    const char* what;
    std::uint64_t channel = 0;
    std::uint16_t port = 0;
};

/// Whoever asked gets the error, whoever sent a message that says so.
template <class M>
void refuse(host& h, request<M> r, const error& why, const about& whose) {
    if (r.wants_reply()) return r.fail(why);
    const ref<> sender = r.sender();
    h.self.log.debug("{} is refused: {}", whose.what, why);
    if (sender)
        h.self.send<web::refused>(sender.assume<web::agent_protocol>(), whose.what, whose.channel, whose.port,
                                  why.code(), why.what());
}

error not_allowed(const char* what) {
    return {errc::denied, std::string{what} + ": only the agent may do that, or whom it has allowed"};
}

/// The agent that a request names, or its sender.
ref<web::agent_protocol> agent_of(const ref<web::agent_protocol>& named, const ref<>& sender) {
    return named ? named : sender.assume<web::agent_protocol>();
}

// What is not right is an error of the result.
result<connection_ptr> channel_for(const host& h, std::uint64_t number, const ref<>& who, const char* what) {
    auto found = h.find_channel(number);
    if (found && !host::may_talk(who, **found)) return not_allowed(what);
    return found;
}
result<port_ptr> port_of(const host& h, std::uint16_t number, const ref<>& who, const char* what) {
    port_ptr found = h.find_port(number, who);
    if (!found) return error{errc::not_found, fmt::format("nobody listens at port {} here", number)};
    const auto& talkers = found->around.may_talk;
    if (!(found->agent == who) && std::find(talkers.begin(), talkers.end(), who) == talkers.end())
        return not_allowed(what);
    return found;
}

result<void> fits_close(const web::close& wanted) {
    const bool usable = wanted.code == 1000 || (wanted.code >= 3000 && wanted.code <= 4999);
    if (!usable) return error{errc::invalid_argument, "a close has the code 1000, or one from 3000 to 4999"};
    if (wanted.reason.size() > 123 || !is_utf8(wanted.reason))
        return error{errc::invalid_argument, "the reason of a close is UTF-8 and has at most 123 bytes"};
    return {};
}

result<void> fits_content(const web::content& what) {
    if (what.kind != web::kind::text && what.kind != web::kind::binary)
        return error{errc::invalid_argument, "a message is text or binary"};
    if (what.bytes.size() > limits::wire_message) return errc::too_large;
    if (what.kind == web::kind::text && !is_utf8(what.view()))
        return error{errc::invalid_argument, "a text that is not UTF-8; send it as binary"};
    return {};
}

// ---- ports

void on_listen(const host_ptr& h, request<web::listen> r) {
    const auto agent = agent_of(r->agent, r.sender());
    const about whose{"listen", 0, r->port};
    if (!agent) return refuse(*h, std::move(r), {errc::invalid_argument, "a port needs an agent"}, whose);
    auto opened = open_port(h, *r, agent);
    if (!opened) return refuse(*h, std::move(r), opened.error(), whose);
    h->watch(agent);
    r.reply((*opened)->number);
}

void on_ignore(const host_ptr& h, request<web::ignore> r) {
    auto found = port_of(*h, r->port, r.sender(), "ignore");
    if (found && !(*found)->listening()) found = error{errc::not_found, "it is ignored already"};
    if (!found) {
        const about whose{"ignore", 0, r->port};
        return refuse(*h, std::move(r), found.error(), whose);
    }
    h->close_port(*found);
    r.reply();
}

template <class F>
void for_each_channel(host& h, const port& p, F f) {
    for (const auto& [number, c] : h.channels)
        if (c->at.get() == &p && c->open()) f(*c);
}

void on_broadcast(const host_ptr& h, request<web::broadcast> r) {
    const about whose{"broadcast", 0, r->port};
    auto found = port_of(*h, r->port, r.sender(), whose.what);
    if (!found) return refuse(*h, std::move(r), found.error(), whose);
    if (auto fits = fits_content(r->content); !fits) return refuse(*h, std::move(r), fits.error(), whose);
    web::broadcast_report report;
    for_each_channel(*h, **found,
                     [&](connection& c) { ++(c.offer(h, r->content) ? report.taken : report.refused); });
    r.reply(report);
}

void on_publish(const host_ptr& h, request<web::publish> r) {
    const about whose{"publish", 0, r->port};
    auto found = port_of(*h, r->port, r.sender(), whose.what);
    if (!found) return refuse(*h, std::move(r), found.error(), whose);
    const bool has_change = !r->change.bytes.empty();
    auto fits = fits_content(r->whole);
    if (fits && has_change) fits = fits_content(r->change);
    if (!fits) return refuse(*h, std::move(r), fits.error(), whose);
    auto& topics = (*found)->topics;
    auto at = std::find_if(topics.begin(), topics.end(), [&](const topic& t) { return t.name == r->topic; });
    if (at == topics.end()) {
        if (topics.size() >= h->options.topics)
            return refuse(*h, std::move(r),
                          {errc::limit_reached, "the port has as many topics as a port may have"}, whose);
        at = topics.insert(at, topic{r->topic, {}});
    }
    at->whole = r->whole;
    const web::content* change = has_change ? &r->change : nullptr;
    for_each_channel(*h, **found, [&](connection& c) { c.offer_state(h, r->topic, change); });
    r.reply();
}

void on_set_page(const host_ptr& h, request<web::set_page> r) {
    const about whose{"set_page", 0, r->port};
    auto found = port_of(*h, r->port, r.sender(), whose.what);
    if (!found) return refuse(*h, std::move(r), found.error(), whose);
    if (auto checked = check_page(r->page); !checked) return refuse(*h, std::move(r), checked.error(), whose);
    auto& pages = (*found)->options.pages;
    const auto at = std::find_if(pages.begin(), pages.end(),
                                 [&](const web::page& each) { return each.path == r->page.path; });
    if (at != pages.end()) {
        *at = std::move(r->page);
    } else {
        if (pages.size() >= h->options.pages)
            return refuse(*h, std::move(r),
                          {errc::limit_reached, "the port has as many pages as a port may have"}, whose);
        pages.push_back(std::move(r->page));
    }
    r.reply();
}

// ---- channels

void on_send(const host_ptr& h, request<web::send> r) {
    const about whose{"send", r->channel};
    auto found = channel_for(*h, r->channel, r.sender(), whose.what);
    if (!found) return refuse(*h, std::move(r), found.error(), whose);
    if (auto fits = fits_content(r->content); !fits) return refuse(*h, std::move(r), fits.error(), whose);
    if (auto taken = (*found)->offer(h, std::move(r->content)); !taken)
        return refuse(*h, std::move(r), taken.error(), whose);
    r.reply();
}

void on_close(const host_ptr& h, request<web::close> r) {
    const about whose{"close", r->channel};
    auto found = channel_for(*h, r->channel, r.sender(), whose.what);
    if (!found) return refuse(*h, std::move(r), found.error(), whose);
    if (auto fits = fits_close(*r); !fits) return refuse(*h, std::move(r), fits.error(), whose);
    (*found)->order_close(h, {r->code, std::move(r->reason), web::ender::agent});
    r.reply();
}

void on_ping(const host_ptr& h, request<web::ping> r) {
    const about whose{"ping", r->channel};
    auto found = channel_for(*h, r->channel, r.sender(), whose.what);
    if (!found) return refuse(*h, std::move(r), found.error(), whose);
    (*found)->ask_ping(h, std::move(r));
}

// ---- others than the agent

/// What a request about a channel, or with channel 0 about a port, is about, and its agent.
struct place {
    company* around;
    ref<> agent;
    bool observable;
    company* of_port;  ///< null: it is the port itself, or there is none
};

result<place> place_of(const host& h, std::uint64_t channel, std::uint16_t number, const ref<>& who) {
    if (channel != 0) {
        auto found = h.find_channel(channel);
        if (!found) return found.error();
        const port_ptr& at = (*found)->at;
        return place{&(*found)->around, (*found)->agent, at && at->options.observable,
                     at ? &at->around : nullptr};
    }
    port_ptr found = h.find_port(number, who);
    if (!found) return error{errc::not_found, fmt::format("nobody listens at port {} here", number)};
    return place{&found->around, found->agent, found->options.observable, nullptr};
}

bool may_watch(const place& where, const ref<>& who) {
    const auto in = [&](const company* around) {
        return around &&
               std::find(around->may_watch.begin(), around->may_watch.end(), who) != around->may_watch.end();
    };
    return where.observable || where.agent == who || in(where.around) || in(where.of_port);
}

void on_allow(const host_ptr& h, request<web::allow> r) {
    const about whose{"allow", r->channel, r->port};
    auto where = place_of(*h, r->channel, r->port, r.sender());
    if (where && !(where->agent == r.sender())) where = not_allowed(whose.what);
    if (where && !r->who) where = error{errc::invalid_argument, "allow: nobody is named"};
    if (!where) return refuse(*h, std::move(r), where.error(), whose);
    auto& list = r->may == web::leave::talk ? where->around->may_talk : where->around->may_watch;
    if (std::find(list.begin(), list.end(), r->who) == list.end()) {
        if (list.size() >= h->options.observers)
            return refuse(*h, std::move(r),
                          {errc::limit_reached, "allow: as many as may be are allowed already"}, whose);
        list.push_back(r->who);
        h->watch(r->who);
    }
    r.reply();
}

void on_observe(const host_ptr& h, request<web::observe> r) {
    const about whose{"observe", r->channel, r->port};
    const auto who = r->who ? r->who : r.sender().assume<web::observer_protocol>();
    auto where = place_of(*h, r->channel, r->port, r.sender());
    // Leave is that of whoever asks: nobody is made an observer by those who may not observe.
    if (where && (!who || !may_watch(*where, r.sender()))) where = not_allowed(whose.what);
    if (!where) return refuse(*h, std::move(r), where.error(), whose);
    auto& observers = where->around->observers;
    const auto is_it = [&](const auto& each) { return each->who == who; };
    if (std::none_of(observers.begin(), observers.end(), is_it)) {
        if (observers.size() >= h->options.observers)
            return refuse(*h, std::move(r),
                          {errc::limit_reached, "observe: it has as many observers as it may have"}, whose);
        observers.push_back(std::make_shared<observer>(who, r->channel));
        h->watch(who);
    }
    r.reply();
}

void on_unobserve(const host_ptr& h, request<web::unobserve> r) {
    const about whose{"unobserve", r->channel, r->port};
    const auto who = r->who ? r->who : r.sender().assume<web::observer_protocol>();
    auto where = place_of(*h, r->channel, r->port, r.sender());
    if (where && !(who == r.sender()) && !(where->agent == r.sender())) where = not_allowed(whose.what);
    if (!where) return refuse(*h, std::move(r), where.error(), whose);
    std::erase_if(where->around->observers, [&](const auto& each) { return each->who == who; });
    r.reply();
}

// ---- outbound

void on_connect(const host_ptr& h, request<web::connect> r) {
    const auto agent = agent_of(r->agent, r.sender());
    const about whose{"connect"};
    if (!agent)
        return refuse(*h, std::move(r), {errc::invalid_argument, "a connection needs an agent"}, whose);
    auto begun = start_dial(h, std::move(*r), agent);
    if (!begun) return refuse(*h, std::move(r), begun.error(), whose);
    h->watch(agent);
    r.reply((*begun)->number);
}

void on_hang_up(const host_ptr& h, request<web::hang_up> r) {
    const about whose{"hang_up"};
    const auto found = h->dials.find(r->dial);
    if (found == h->dials.end() || found->second->given_up)
        return refuse(*h, std::move(r), {errc::not_found, "there is no such outbound connection"}, whose);
    if (!(found->second->agent == r.sender()))
        return refuse(*h, std::move(r), not_allowed(whose.what), whose);
    h->hang_up(dialling_ptr{found->second});
    r.reply();
}

void on_status(const host& h, request<web::status> r) {
    web::gateway_report report;
    for (const port_ptr& p : h.ports)
        report.ports.push_back({p->number, p->agent, p->listening(), p->channels, p->greeting.size(),
                                p->accepted, p->rejected, p->pages});
    for (const auto& [number, c] : h.channels) {
        if (!c->over()) ++report.channels;
        report.queued_bytes += c->queued_bytes();
    }
    report.dials = h.dials.size();
    r.reply(std::move(report));
}

// ---- the end

/// An orderly end takes leave for so long at most, whatever the option says: nobody waits for an end of days.
constexpr std::chrono::nanoseconds longest_farewell = std::chrono::hours{1};

/// Everything is cut when the main coroutine is gone, however it went.
struct cut_at_the_end {
    host_ptr h;
    explicit cut_at_the_end(host_ptr of) : h{std::move(of)} {}
    cut_at_the_end(const cut_at_the_end&) = delete;
    cut_at_the_end& operator=(const cut_at_the_end&) = delete;
    ~cut_at_the_end() { h->abandon(); }
};

task<> take_leave(host_ptr h) {
    h->ending = true;
    for (const port_ptr& each : std::vector<port_ptr>{h->ports}) h->close_port(each);
    for (const auto& [number, d] : std::map<std::uint64_t, dialling_ptr>{h->dials}) {
        if (d->greeting) d->greeting->cut();
        d->changed.notify();
    }
    for (const auto& [number, c] : h->channels)
        c->give_up(h, {1001, "the server is going away", web::ender::gateway});
    const auto until = std::chrono::steady_clock::now() + h->options.farewell;
    while (h->held != 0 || !h->dials.empty()) {
        const auto left = until - std::chrono::steady_clock::now();
        if (left.count() <= 0) break;
        co_await h->quiet.wait(left);
    }
}

}  // namespace
}  // namespace web_parts

task<> gateway(actor<gateway_protocol> self, web::gateway_options options) {
    using namespace web_parts;  // NOLINT(google-build-using-namespace): this part's own
    options.farewell = std::clamp(options.farewell, std::chrono::nanoseconds{0}, longest_farewell);
    auto h = std::make_shared<host>(self, options, io_context_of(self));
    // Before all that could end it, so that it is there whenever the gateway ends.
    auto told_by =
        co_await self.start(child("herald", in_coroutine, herald, h->ends).shutdown(options.farewell));
    if (!told_by) co_return self.fail("no herald: {}", told_by.error());
    const cut_at_the_end guard{h};
    const std::uint64_t its_end = self.monitor(*told_by);
    bool can_tell = true;
    self.spawn_task(heartbeats(h));
    while (can_tell) {
        auto m = co_await self.receive();
        if (!m) break;
        m.match([&](request<web::listen> r) { on_listen(h, std::move(r)); },
                [&](request<web::ignore> r) { on_ignore(h, std::move(r)); },
                [&](request<web::send> r) { on_send(h, std::move(r)); },
                [&](request<web::close> r) { on_close(h, std::move(r)); },
                [&](request<web::broadcast> r) { on_broadcast(h, std::move(r)); },
                [&](request<web::publish> r) { on_publish(h, std::move(r)); },
                [&](request<web::set_page> r) { on_set_page(h, std::move(r)); },
                [&](request<web::allow> r) { on_allow(h, std::move(r)); },
                [&](request<web::observe> r) { on_observe(h, std::move(r)); },
                [&](request<web::unobserve> r) { on_unobserve(h, std::move(r)); },
                [&](request<web::connect> r) { on_connect(h, std::move(r)); },
                [&](request<web::hang_up> r) { on_hang_up(h, std::move(r)); },
                [&](request<web::ping> r) { on_ping(h, std::move(r)); },
                [&](request<web::status> r) { on_status(*h, std::move(r)); },
                [&](const down& d) {
                    if (d.monitor == its_end) can_tell = false;
                    else h->forget(d.who);
                });
    }
    if (!can_tell) co_return self.fail("its herald has failed: no agent would hear of the end of a channel");
    bool told_to_hurry = false;
    try {
        co_await take_leave(h);
    } catch (const cancelled&) {
        // Of a shutdown, which is told once: there is still time. Of a kill, the next await throws as well.
        told_to_hurry = true;
    }
    if (told_to_hurry) co_await take_leave(h);
}

}  // namespace coppice::actors
