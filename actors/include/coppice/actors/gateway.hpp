// gateway: a host for browsers and other WebSocket clients. Actors anywhere in the tree, called agents, ask it for a port
// and talk to whoever comes there, each client over a channel of its own. It also serves pages over plain HTTP at the same
// port, and connects to WebSocket servers elsewhere. Runs on its own scheduler's thread alone, and all its clients with it.
//
//     child("web", in_coroutine, actors::gateway, actors::web::gateway_options{})
//
//     auto at = co_await self.ask<web::listen>(web, 5s, web::listen{.port = 8080, .agent = self.me()});
//     while (auto m = co_await self.receive())
//         m.match([&](const web::opened& o)  { self.send<web::send>(web, o.channel, web::text("hello")); },
//                 [&](const web::message& t) { self.send<web::send>(web, t.channel, t.content); },   // an echo
//                 [&](const web::closed& c)  { self.log.info("{} has gone: {}", c.channel, c.reason); },
//                 [&](const web::refused& r) { self.log.warn("{}", r.text); });
//
//        browser ══ channel 17 ══╗            ┌── opened, message ..., closed ──►  agent (any actor, any node)
//        browser ══ channel 18 ══╬══ gateway ─┤
//        server  ══ channel 19 ══╝            └◄─ send, close, broadcast, publish ─
//
// What a message holds is nobody's business but that of the agent and its clients; web_call.hpp has an encoding for those
// that want one. A channel belongs to the agent that listens at its port: others neither hear of it nor reach it without
// that agent's leave. A client that is slow, silent or hostile is closed, and nobody else notices.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/coppice.hpp"

namespace coppice::actors {

namespace web {

// ---- what travels in a channel

/// How a message is framed. The numbers are the opcodes of RFC 6455.
enum class kind : std::uint8_t {
    text = 1,    ///< UTF-8; browsers give it to the page as a string
    binary = 2,  ///< bytes
};

/// One message of a channel: its kind and its bytes, which the gateway does not look into.
struct content {
    web::kind kind = web::kind::binary;
    blob bytes;
    /// The bytes as characters; valid while this content or a copy of its blob lives.
    [[nodiscard]] std::string_view view() const noexcept {
        return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
};
[[nodiscard]] inline content text(std::string characters) {
    return {kind::text, blob{std::move(characters)}};
}
[[nodiscard]] inline content binary(std::vector<std::byte> bytes) {
    return {kind::binary, blob{std::move(bytes)}};
}

// ---- what an agent is told

/// A client has come, or a connection of web::connect is up. The first that its agent hears of the channel. The number is
/// never used again, also by the gateway's next incarnation, as long as the clock is not set back meanwhile.
struct opened {
    std::uint64_t channel = 0;
    std::uint16_t port = 0;   ///< where it came in; 0: outbound
    std::uint64_t dial = 0;   ///< what web::connect answered; 0: it came in
    std::string peer;         ///< "127.0.0.1:40312"
    std::string origin;       ///< of the page, as the browser says; empty from others
    std::string path;         ///< that was asked for, with its query, without the token
    std::string subprotocol;  ///< that was agreed on; empty: none
    std::string
        token{};  ///< the name of the one that was shown, see port_options::tokens; empty: none of them
};
/// What the client has sent, in order. From opened to closed.
struct message {
    std::uint64_t channel = 0;
    web::content content;
};
/// Who ended a channel.
enum class ender : std::uint8_t {
    peer,     ///< the client closed it, with the code and reason here
    agent,    ///< web::close, or the end of its agent
    gateway,  ///< a limit or a broken rule; the client was told the code
    lost,     ///< the connection broke, or gave no sign of life: code 1006
};
/// The last that is heard of a channel; exactly one for every opened. It waits for room in the agent's mailbox, also when the
/// gateway has ended or was killed, then for gateway_options::farewell; the log tells what was not told by then.
struct closed {
    std::uint64_t channel = 0;
    std::uint16_t code = 0;  ///< RFC 6455, 7.4.1; 1005: the client gave none; 1006: no close was heard
    std::string reason;
    ender by = ender::lost;
    std::uint64_t unsent = 0;  ///< messages that were taken for the client and have not left
};
/// Something that was sent to the gateway, not asked, and that it did not do. Who asks gets the same as its error.
struct refused {
    std::string what;  ///< "send", "close", ...
    std::uint64_t channel = 0;
    std::uint16_t port = 0;
    errc code = errc::failed;
    std::string text;
};
/// To an observer that was behind: so many were not delivered to it here, between what it got before and what follows.
struct missed {
    std::uint64_t channel = 0;  ///< 0: to an observer of a port, of all its channels
    std::uint64_t messages = 0;
};

/// What agents handle, and, with missed, observers.
using agent_protocol = protocol<opened, message, closed, refused>;
using observer_protocol = protocol<opened, message, closed, missed>;

// ---- options

/// What is done about a client that does not read what it is sent, when more than queue_bytes wait for it.
enum class when_full : std::uint8_t {
    close,   ///< it is closed, with code 1013
    refuse,  ///< the message is refused, with `mailbox_full`; what waits already stays
};
/// Files for TLS, PEM. Empty `cert`: no TLS.
struct tls_files {
    std::string cert;  ///< the own certificate with its chain
    std::string key;   ///< its key, without a passphrase and not for all users of the machine to read
    std::string ca;    ///< listening: who must have signed clients' certificates, empty: none is asked for.
                       ///< Connecting: who must have signed the server's, empty: whom the system trusts
};
/// Served for GET and HEAD as it is.
struct page {
    std::string path;  ///< "/", "/app.js"
    std::string type;  ///< "text/html; charset=utf-8"
    blob content;
};
/// Limits of each connection.
struct connection_limits {
    /// Bytes of one message from the client, after which it is closed with 1009. What a client may make the gateway hold.
    std::uint64_t message_bytes = 1u << 20;
    /// Bytes that may wait for one client; see when_full. One message is always taken, if nothing else waits.
    std::uint64_t queue_bytes = 1u << 20;
    /// From the connection to the end of the handshake, TLS included; then it is dropped. Browsers need milliseconds.
    std::chrono::nanoseconds handshake = std::chrono::seconds{5};
    /// A client that was silent for so long is pinged; after so many periods of silence it counts as lost. 0: never.
    std::chrono::nanoseconds heartbeat = std::chrono::seconds{10};
    std::uint32_t heartbeat_misses = 2;
    /// From a close to its answer; then the connection is cut.
    std::chrono::nanoseconds close = std::chrono::seconds{2};
};
/// Who shows it is the principal "token:NAME", to whom a role may give rights (docs/rights.md).
struct named_token {
    std::string name;   ///< at least one character
    std::string token;  ///< a secret: at least one character, and another one for each name
};
struct port_options {
    /// To listen at: a numeric address. Beyond loopback use TLS, or something in front of it that does.
    std::string address = "127.0.0.1";
    tls_files tls;
    /// Pages whose scripts may connect: exact origins, "https://example.org". The page's own server is always one of them.
    /// Requests without an origin do not come from a browser's page; they are let in, if they have the token.
    std::vector<std::string> origins;
    /// Names under which the gateway may be asked for, without port. Always allowed: localhost, and numeric addresses.
    /// Another name in a request's Host means a page that was made to believe that its server is here (DNS rebinding).
    std::vector<std::string> hosts;
    /// If not empty, who opens a channel must know it: `Authorization: Bearer TOKEN`, or, from a page, ?token=TOKEN.
    std::string token;
    /// The same, for several: who opens a channel must know one of these, or `token`. The agent is told which.
    std::vector<named_token> tokens;
    /// If not empty, who opens a channel needs the right to inspect that path, on a node with roles; else it gets HTTP status 403.
    std::string inspects;
    /// That the agent speaks, preferred ones first; the first that the client offers too is agreed on.
    std::vector<std::string> subprotocols;
    /// Served before what is in the directory.
    std::vector<page> pages;
    /// A folder whose files are served, and those of folders in it; no hidden ones, and nothing outside. Empty: none.
    std::string directory;
    connection_limits limits;
    when_full full = when_full::close;
    /// Others may observe the port, and each of its channels, without asking its agent.
    bool observable = false;
    /// Channels open at once; more are answered with HTTP status 503. Each costs a descriptor and some kilobytes.
    std::uint32_t connections = 10'000;
    /// Connections whose handshake is not over; more wait in the kernel's queue. A bound for who connects and says nothing.
    std::uint32_t handshakes = 256;
};
struct gateway_options {
    /// Ports at once, and outbound connections; more are refused with `limit_reached`.
    std::uint32_t ports = 64;
    std::uint32_t dials = 256;
    /// State topics of a port, and observers of a port or a channel.
    std::uint32_t topics = 1024;
    std::uint32_t observers = 64;
    /// Pages of a port, those that set_page adds included.
    std::uint32_t pages = 1024;
    /// How long an orderly end takes leave of clients (code 1001), at most an hour; and how long, after that or after a kill, agents
    /// have to make room for `closed`. Keep twice this below the gateway's own shutdown().
    std::chrono::nanoseconds farewell = std::chrono::seconds{2};
};

// ---- requests

struct listening {
    std::uint16_t port = 0;
};
/// Listens. Answered once, when the port is bound: `name_taken` if it is in use, here or by another process; `denied` if the
/// system does not let us have it; `invalid_argument`, `limit_reached`, `io`. The agent gets all channels of the port; when
/// its incarnation ends, the port and its channels are closed (1001).
struct listen {
    std::uint16_t port = 0;  ///< 0: a free one
    port_options options{};
    ref<agent_protocol> agent{};  ///< nobody: who asks
    using reply = listening;
};
/// Stops listening: when it is answered, the port is free. Its channels stay. `not_found`, `denied`.
struct ignore {
    std::uint16_t port = 0;
    using reply = void;
};
/// Sends to the client. ok: it waits to go out, in order. `closed` or `not_found`: there is no such channel (any more), and
/// nobody else gets it; `mailbox_full`: see when_full; `denied`; `too_large`: more than limits::wire_message.
struct send {
    std::uint64_t channel = 0;
    web::content content;
    using reply = void;
};
/// Closes a channel behind what waits for the client, with 1000 or a code from 3000 to 4999, as RFC 6455 wants, and at most
/// 123 bytes of reason. Answered when the close waits to go out; its agent is told by `closed`, once the client has answered.
struct close {
    std::uint64_t channel = 0;
    std::uint16_t code = 1000;
    std::string reason{};
    using reply = void;
};
struct broadcast_report {
    std::uint64_t taken = 0;    ///< channels that it waits for
    std::uint64_t refused = 0;  ///< channels with no room for it: see when_full
};
/// Sends to all channels of a port.
struct broadcast {
    std::uint16_t port = 0;
    web::content content;
    using reply = broadcast_report;
};
/// Sets a port's state of that name. Who opens a channel from now on gets the whole state of every topic first, in the order
/// in which they were set first. Who is there gets `change` if that is not empty, else the whole. A client that
/// is behind gets the present state once, in place of the changes that it has not got yet: states take no queue.
struct publish {
    std::uint16_t port = 0;
    std::string topic;
    content whole;
    content change{};
    using reply = void;
};
/// Serves that page at a port from now on, in place of the one of its path if there is one: what is different each time that
/// somebody looks, as figures of a running program. Requests under way get the one or the other, whole. `not_found`,
/// `denied`; `invalid_argument` for a path that does not begin with '/', or a type of several lines; `too_large` for more
/// than 16 MiB; `limit_reached`, see gateway_options::pages.
struct set_page {
    std::uint16_t port = 0;
    web::page page;
    using reply = void;
};
/// What an agent may allow others.
enum class leave : std::uint8_t {
    talk,   ///< send, close and ping, as itself
    watch,  ///< observe
};
/// The agent's leave for another actor: for a channel, or with channel 0 for all of a port, also those that come.
struct allow {
    std::uint64_t channel = 0;
    std::uint16_t port = 0;
    ref<> who;
    leave may = leave::watch;
    using reply = void;
};
/// From now on that actor gets a copy of what the agent of that channel, or of all channels of that port, is told. Up to 64 copies,
/// of 1 MiB together, wait for room in its mailbox; of more it is told by missed. Until it ends, or unobserve. `denied` without leave.
struct observe {
    std::uint64_t channel = 0;  ///< 0: all of the port
    std::uint16_t port = 0;
    ref<observer_protocol> who{};  ///< nobody: who asks
    using reply = void;
};
struct unobserve {
    std::uint64_t channel = 0;
    std::uint16_t port = 0;
    ref<observer_protocol> who{};
    using reply = void;
};
/// Connects to a WebSocket server, and again whenever the connection is lost or cannot be made, until hang_up or the end of its
/// agent. Answered at once with a number that every `opened` of it bears. `invalid_argument`, `limit_reached`.
struct connect {
    std::string url;              ///< ws://host:port/path, wss://...
    ref<agent_protocol> agent{};  ///< nobody: who asks
    tls_files tls;                ///< of wss
    std::vector<std::string> subprotocols;
    std::string token;  ///< sent as Authorization: Bearer
    connection_limits limits;
    when_full full = when_full::close;
    /// Wait before the first further attempt, doubled each time up to the second; a connection that came up begins anew.
    std::chrono::nanoseconds retry_first = std::chrono::milliseconds{200};
    std::chrono::nanoseconds retry_most = std::chrono::seconds{30};
    using reply = std::uint64_t;
};
/// Ends a connect, and closes its channel if it has one. `not_found`, `denied`.
struct hang_up {
    std::uint64_t dial = 0;
    using reply = void;
};
struct round_trip {
    std::chrono::nanoseconds time{0};
};
/// Measures a client: a ping of RFC 6455, which every browser answers by itself. `closed` if the channel ends meanwhile.
struct ping {
    std::uint64_t channel = 0;
    using reply = round_trip;
};

struct port_status {
    std::uint16_t port = 0;
    ref<> agent;
    bool listening = false;  ///< false: ignored, its channels live on
    std::uint64_t channels = 0;
    std::uint64_t handshakes = 0;  ///< that are not over
    std::uint64_t accepted = 0;    ///< connections, ever
    std::uint64_t rejected = 0;    ///< of these, by the handshake: bad, slow, or not allowed
    std::uint64_t pages = 0;       ///< HTTP requests answered without a channel
};
struct gateway_report {
    std::vector<port_status> ports;
    std::uint64_t channels = 0;      ///< open, outbound ones included
    std::uint64_t queued_bytes = 0;  ///< that wait for clients
    std::uint64_t dials = 0;
};
struct status {
    using reply = gateway_report;
};

}  // namespace web

using gateway_protocol =
    protocol<web::listen, web::ignore, web::send, web::close, web::broadcast, web::publish, web::set_page,
             web::allow, web::observe, web::unobserve, web::connect, web::hang_up, web::ping, web::status>;

/// The gateway, an actor function for child() and spawn(). After stop and shutdown it takes leave of its clients, at most
/// gateway_options::farewell; after kill it does not. It has a child, `herald`, which tells agents of the ends of channels: the sender of
/// `closed`.
task<> gateway(actor<gateway_protocol> self, web::gateway_options options);

}  // namespace coppice::actors
