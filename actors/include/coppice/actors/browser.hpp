// browser: pages in browsers as actors of the tree. A page with the package coppice-browser (framework/bindings/browser)
// sends, asks, receives, answers, joins groups and monitors, and so does Node.js with a WebSocket of its own. Each such peer
// is an actor here, its session: the session's mailbox is the page's mailbox, and others find, monitor and stop it as any.
//
//     tree.add(child("web", in_coroutine, actors::gateway, actors::web::gateway_options{}))
//         .add(child("browsers", in_coroutine, actors::browser_host,
//                    actors::browser::host_options{.port = 8080, .names = {"*"}, .reach = {"/app/shop"}}).awaits_ready());
//
//        page ══ WebSocket ══ gateway ── frames ── browser_host ── session "/app/browsers/ann" ── the tree
//
// A connection may break, and the gateway may end, in a process of its own too: the session stays, and the page resumes it
// with nothing lost, doubled or reordered. What a page may reach is a list; by default it is empty. Runs on its own
// scheduler's thread, its sessions with it. docs/browser.md
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "coppice/actors/gateway.hpp"
#include "coppice/coppice.hpp"

namespace coppice::actors {

namespace browser {

/// How the host closes a connection (RFC 6455, 7.4.2: 4000 to 4999 are an application's; an application may not say 1002,
/// 1008 and 1009, whose numbers the last digits recall).
enum class close_code : std::uint16_t {
    over = 4000,             ///< the session has ended; there is nothing to come back to
    bad_frame = 4002,        ///< what came is no frame, or none that may come here: RFC 6455's 1002
    refused = 4003,          ///< the session was not begun; a frame `refused` before it says why
    session_unknown = 4004,  ///< there is no session with that token (any more)
    not_kept_to = 4008,      ///< a limit was not kept to; the reason says which: RFC 6455's 1008
    taken_over = 4010,       ///< another connection with the session's token has come
    come_again = 4011,       ///< the connection is of no use any more; the session waits
};

/// What pages may do, and how much of it. Patterns are those of rights (coppice/rights.hpp).
struct host_options {
    /// Path of the gateway, as resolve() takes it, and the port that it is to listen at; 0: a free one, kept after its restart.
    std::string gateway = "web";
    std::uint16_t port = 0;
    /// Pages, TLS, origins, token and limits of the port. What happens to a client that does not read is the host's affair:
    /// `full` is not looked at, and limits.queue_bytes and limits.message_bytes are raised to what sessions need.
    web::port_options at{};

    /// Names that a page may ask for; its session then is this actor's child by that name. Without a name it gets a number.
    std::vector<std::string> names{};
    /// Actors that a page may find, send to, ask and monitor, by path, as the page writes it.
    std::vector<std::string> reach{};
    /// Groups that it may join, and publish to.
    std::vector<std::string> join{};
    std::vector<std::string> publish{};
    /// Whoever has sent a page mail may be sent to, asked and monitored by it. Answers to asks need no leave.
    bool answer_senders = false;

    /// How long a session without a connection is held; then it ends in failure.
    std::chrono::nanoseconds hold = std::chrono::seconds{60};
    /// From a connection to its hello or resume; then it is closed. Pages need milliseconds.
    std::chrono::nanoseconds greeting = std::chrono::seconds{5};
    /// The longest deadline of a page's ask, and how long a page may take to answer one before its place is given to another.
    std::chrono::nanoseconds ask_within = std::chrono::seconds{60};
    /// Sessions at once; one more is refused. Each costs some kilobytes, and what waits in it.
    std::uint32_t sessions = 1'000;
    /// Messages that wait in a session's mailbox, while its page has no room, before its senders get `mailbox_full`. At least
    /// twice the window: what a page sends comes through the same mailbox, in another lane.
    std::uint32_t mailbox = 1'024;
    /// Pieces of mail at a page that it has not taken, and frames of it that are not acknowledged.
    std::uint32_t window = 256;
    /// Bytes of one value, either way; a larger one is refused with `too_large`.
    std::uint32_t value_bytes = 1u << 20;
    /// Bytes that a session keeps for its page before its mail waits. One message is always taken.
    std::uint64_t queue_bytes = 4u << 20;
    /// Of one page at a time: asks each way, monitors, groups, actors that it knows by number (the oldest is forgotten).
    std::uint32_t asks = 64;
    std::uint32_t monitors = 64;
    std::uint32_t groups = 64;
    std::uint32_t actors = 1'024;
};

struct session_status {
    std::string path;
    bool connected = false;
};
struct host_report {
    std::uint16_t port = 0;  ///< 0: the gateway is away
    std::vector<session_status> sessions;
    std::uint64_t begun = 0;        ///< sessions, ever
    std::uint64_t resumed = 0;      ///< connections that went on with one
    std::uint64_t turned_away = 0;  ///< connections that came to no session
};
struct status {
    using reply = host_report;
};

}  // namespace browser

using browser_host_protocol = protocol_union<web::agent_protocol, protocol<browser::status>>;

/// The host, an actor function for child() and spawn(). Ready when the gateway listens. A gateway that ends is asked to listen
/// again as soon as it is back; sessions wait meanwhile. The sessions are the host's children and end with it.
task<> browser_host(actor<browser_host_protocol> self, browser::host_options options);

}  // namespace coppice::actors
