// The host of sessions: it listens by way of a gateway, hears what connections say first, and brings each to its session.
// Handlers do not wait: what takes time is a task of its own. See browser_host.hpp.
#include "coppice/actors/browser.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <openssl/sha.h>

#include "browser_host.hpp"
#include "browser_rights.hpp"
#include "coppice/own_task.hpp"
#include "gateway_http.hpp"

namespace coppice::actors {

namespace browser_parts {

namespace {

using browser::close_code;

/// For an answer of the gateway's.
constexpr std::chrono::nanoseconds gateway_patience = std::chrono::seconds{10};
/// Waits before the next attempt to listen, doubled each time up to the second.
constexpr std::chrono::nanoseconds first_retry = std::chrono::milliseconds{20};
constexpr std::chrono::nanoseconds longest_retry = std::chrono::seconds{2};
/// A name may be that of a session which has just said bye and is not gone yet: how often it is asked for, and the wait between.
constexpr int name_attempts = 20;
constexpr std::chrono::nanoseconds name_retry = std::chrono::milliseconds{10};

token_key key_of(const std::vector<std::byte>& token) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
    ::SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), hash.data());
    return {reinterpret_cast<const char*>(hash.data()), hash.size()};
}

// What would make no sense is raised to what does: a window of nothing, a gateway that closes whom the host still serves.
browser::host_options sound(browser::host_options o) {
    o.window = std::max(o.window, 1u);
    o.mailbox = std::max(o.mailbox, 1u);
    o.actors = std::max(o.actors, 16u);
    o.at.full = web::when_full::refuse;
    o.at.limits.queue_bytes = std::max(o.at.limits.queue_bytes, most_queued(o));
    o.at.limits.message_bytes =
        std::max(o.at.limits.message_bytes, std::uint64_t{o.value_bytes} + frame_overhead);
    return o;
}

}  // namespace

// ---------------------------------------------------------------- the port

task<result<void>> host::listen() {
    auto found = co_await self.resolve<gateway_protocol>(options->gateway);
    if (!found) co_return found.error();
    web::listen wanted{port_ != 0 ? port_ : options->port};
    wanted.options = options->at;
    const gateway_ref gateway = *found;
    auto at = co_await self.ask<web::listen>(gateway, gateway_patience, std::move(wanted));
    if (!at) co_return at.error();
    gateway_ = gateway;
    gateway_monitor_ = self.monitor(gateway);
    port_ = at->port;
    is_listening_ = true;
    co_return result<void>{};
}

task<> host::listen_again() {
    const auto keep = shared_from_this();
    std::chrono::nanoseconds wait = first_retry;
    for (;;) {
        auto listening = co_await listen();
        if (listening) break;
        self.log.info("the gateway {} is asked again: {}", options->gateway, listening.error());
        co_await self.sleep(wait);
        wait = std::min(2 * wait, longest_retry);
    }
    self.log.info("port {} is open again", port_);
}

void host::on_down(const down& d) {
    if (d.monitor == gateway_monitor_) {
        gateway_monitor_ = 0;
        is_listening_ = false;
        self.log.warn("the gateway has ended: {}; {} sessions wait for its return", d.reason,
                      sessions_.size());
        while (!callers_.empty()) forget_channel(callers_.begin()->first);
        self.spawn_task(listen_again());
        return;
    }
    const auto at = monitors_.find(d.monitor);
    if (at == monitors_.end()) return;
    self.log.debug("a session has ended: {}", d.reason);
    const std::uint64_t channel = sessions_[at->second].channel;
    sessions_.erase(at->second);
    monitors_.erase(at);
    if (channel != 0) close(channel, close_code::over, "the session has ended");
}

// ---------------------------------------------------------------- connections

void host::on_opened(const web::opened& o) {
    callers_[o.channel].token = o.token;
    self.spawn_task(expect_greeting(o.channel));
}

task<> host::expect_greeting(std::uint64_t channel) {
    const auto keep = shared_from_this();
    co_await self.sleep(options->greeting);
    const auto at = callers_.find(channel);
    if (at != callers_.end() && !at->second.is_greeted)
        turn_away(channel, {errc::timeout, "it has said neither hello nor resume"}, close_code::not_kept_to);
}

void host::on_closed(const web::closed& c) { forget_channel(c.channel); }

void host::forget_channel(std::uint64_t channel) {
    const auto at = callers_.find(channel);
    if (at == callers_.end()) return;
    if (const ref<> session = at->second.session; session) {
        self.send<detach>(session, channel);
        for (auto& [key, each] : sessions_)
            if (each.channel == channel) each.channel = 0;
    }
    callers_.erase(at);
}

void host::on_message(const web::message& m) {
    const auto at = callers_.find(m.channel);
    if (at == callers_.end()) return;  // it has been closed, and what was under way comes to nothing
    caller& c = at->second;
    if (m.content.kind != web::kind::binary)
        return close(m.channel, close_code::bad_frame, "frames are binary");
    if (!c.is_greeted) return greet(m.channel, c, m.content);
    if (!c.session) return close(m.channel, close_code::bad_frame, "a frame before the welcome");
    // It has as much room as it has window; whoever does not keep to that sends again what was not acknowledged.
    if (self.send<arrived>(c.session, m.channel, m.content.bytes) != errc::ok)
        close(m.channel, close_code::come_again, "the session does not come to what is sent");
}

void host::greet(std::uint64_t channel, caller& c, const web::content& content) {
    c.is_greeted = true;
    auto f = decode_frame(content.bytes.bytes());
    if (!f) return turn_away(channel, f.error(), close_code::bad_frame);
    if (f->kind != frame_kind::hello && f->kind != frame_kind::resume)
        return turn_away(channel, {errc::bad_message, "the first frame is hello or resume"},
                         close_code::bad_frame);
    if (f->code != protocol_version)
        return turn_away(channel,
                         {errc::wrong_version, fmt::format("the host speaks version {}", protocol_version)},
                         close_code::refused);
    if (f->payload.size() != token_bytes)
        return turn_away(channel, {errc::invalid_argument, "a token has 16 bytes"}, close_code::bad_frame);
    const token_key key = key_of(f->payload);
    const auto at = sessions_.find(key);
    if (at != sessions_.end() && at->second.token != c.token)
        return turn_away(channel, {errc::denied, "this session was begun with another token of the port"},
                         close_code::refused);
    if (at != sessions_.end() && at->second.who) return connect(channel, key, *std::move(f));
    // The hello before is on its way: this page has heard nothing of it, and comes again.
    if (at != sessions_.end()) return close(channel, close_code::come_again, "the session is being started");
    if (f->kind == frame_kind::resume)
        return turn_away(channel, {errc::not_found, "there is no session with this token (any more)"},
                         close_code::session_unknown);
    if (auto may = may_begin(*f); !may) return turn_away(channel, may.error(), close_code::refused);
    sessions_[key].token = c.token;
    self.spawn_task(begin(channel, key, *std::move(f)));
}

result<void> host::may_begin(const frame& hello) const {
    if (!hello.text.empty() && !allows(options->names, hello.text))
        return error{
            errc::name_refused,
            fmt::format("pages may not have the name {} (browser::host_options::names)", hello.text)};
    if (sessions_.size() >= options->sessions)
        return error{
            errc::limit_reached,
            fmt::format("there are {} sessions (browser::host_options::sessions)", options->sessions)};
    return {};
}

task<> host::begin(std::uint64_t channel, token_key key, frame hello) {
    const auto keep = shared_from_this();
    const std::string name = hello.text.empty() ? std::to_string(++last_number_) : hello.text;
    const std::string principal = web_parts::principal_of_token(sessions_.at(key).token);
    const child_spec spec = child(name, in_coroutine, &session, options, principal)
                                .restarts(restart::temporary)
                                .mailbox(std::max(options->mailbox, 2 * options->window));
    auto started = co_await self.start(spec);
    for (int i = 1; !started && started.error() == errc::name_taken && i < name_attempts; ++i) {
        co_await self.sleep(name_retry);
        started = co_await self.start(spec);
    }
    if (!started) {
        sessions_.erase(key);
        const error why{started.error().code(),
                        started.error().text().empty() ? name : std::string{started.error().text()}};
        turn_away(channel, why, close_code::refused);
        co_return;
    }
    known_session& s = sessions_[key];
    s.who = *started;
    s.path = self.path() + "/" + name;
    monitors_.emplace(self.monitor(s.who), key);
    ++counts_.begun;
    if (callers_.contains(channel)) connect(channel, key, std::move(hello));
    // Else the page has gone meanwhile. It says hello with the same token again, or the session ends when it has been held.
}

void host::connect(std::uint64_t channel, const token_key& key, frame greeting) {
    known_session& s = sessions_.at(key);
    if (s.channel != 0) {
        // The session closes it, and says that it has been taken over.
        if (const auto at = callers_.find(s.channel); at != callers_.end()) callers_.erase(at);
    }
    if (greeting.kind == frame_kind::resume) ++counts_.resumed;
    s.channel = channel;
    caller& c = callers_[channel];
    c.is_greeted = true;
    c.session = s.who;
    self.send<web::allow>(gateway_, channel, std::uint16_t{0}, s.who, web::leave::talk);
    if (self.send<attach>(s.who, gateway_, channel, std::move(greeting)) != errc::ok)
        close(channel, close_code::come_again, "the session is busy or ends");
}

void host::turn_away(std::uint64_t channel, const error& why, close_code code) {
    ++counts_.turned_away;
    self.log.debug("channel {} is turned away: {}", channel, why);
    frame f{.kind = frame_kind::refused, .code = as_number(why.code())};
    f.text = cut_text(std::string{why.text()});
    if (callers_.contains(channel))
        self.send<web::send>(gateway_, channel, web::content{web::kind::binary, encode(f)});
    close(channel, code, f.text);
}

void host::close(std::uint64_t channel, close_code code, std::string reason) {
    constexpr std::size_t most = 100;  // RFC 6455 lets it have 123 bytes
    if (reason.size() > most || std::ranges::any_of(reason, [](char c) { return c < ' ' || c > '~'; }))
        reason = "see the frame before";
    self.send<web::close>(gateway_, channel, as_number(code), std::move(reason));
    forget_channel(channel);
}

browser::host_report host::report() const {
    browser::host_report r = counts_;
    r.port = is_listening_ ? port_ : std::uint16_t{0};
    for (const auto& [key, each] : sessions_)
        if (each.who) r.sessions.push_back({each.path, each.channel != 0});
    return r;
}

}  // namespace browser_parts

task<> browser_host(actor<browser_host_protocol> self, browser::host_options options) {
    const auto h = std::make_shared<browser_parts::host>(self, browser_parts::sound(std::move(options)));
    auto listening = co_await h->listen();
    if (!listening) co_return self.fail("no port for browsers: {}", listening.error());
    self.ready();
    while (auto m = co_await self.receive())
        m.match(
            [&](const web::opened& o) { h->on_opened(o); }, [&](const web::message& t) { h->on_message(t); },
            [&](const web::closed& c) { h->on_closed(c); },
            [&](const web::refused& r) { self.log.debug("{} is refused: {}", r.what, r.text); },
            [&](request<browser::status> r) { r.reply(h->report()); }, [&](const down& d) { h->on_down(d); });
}

}  // namespace coppice::actors
