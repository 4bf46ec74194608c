// observer: shows a running tree to people, as a page in a browser, and to Prometheus. It asks the control actors of all
// nodes of its tree (control_actor.hpp) what runs there, again and again, and tells what is different; a gateway serves it.
//
//     supervisor_spec tree{strategy::rest_for_one};
//     tree.add(child("web", in_coroutine, actors::gateway, actors::web::gateway_options{}))
//         .add(child("observer", in_coroutine, actors::observer, actors::observer_options{.port = 8080}).awaits_ready());
//
//        control actors ── describe, follow_log ──► observer ── listen, publish, set_page ──► gateway ══► browsers, Prometheus
//
// GET / is the page, GET /metrics the figures, and a WebSocket at any path gets what the page shows, as JSON (docs/observer.md).
// The nodes need control actors: each that others can link to has one, others with node_options::control. Who reaches the port
// reads all of it: it is on loopback by default; a token (port_options::token) guards the page's data, but not the metrics.
// What the observer does runs on its own scheduler's thread alone; it knows no HTTP, and none of the tree's messages.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "coppice/actors/gateway.hpp"
#include "coppice/control_actor.hpp"
#include "coppice/coppice.hpp"

namespace coppice::actors {

struct observer_options {
    /// Path of the gateway that serves it.
    std::string gateway = "web";
    /// To listen at; 0: a free one, see where_observed.
    std::uint16_t port = 0;
    /// How. The observer's pages are put before those that stand here already; one of the same path stays as it is.
    web::port_options at{};
    /// Path of the root of the tree that is shown. Empty: the root of the tree that the observer is in.
    std::string tree{};
    /// From the end of one look at the tree to the next. At least 10 ms: a look costs each scheduler some microseconds for each
    /// of its actors.
    std::chrono::nanoseconds period = std::chrono::seconds{1};
    /// What is waited for a node to describe itself; one that does not is shown as silent.
    std::chrono::nanoseconds within = std::chrono::seconds{1};
    /// The page may stop, kill, restart, pause and resume actors, and send to them and ask them. Set a token as well: whoever
    /// may open the port's channel may do that.
    bool actions = false;
    /// If not empty, a page acts only once it has said this as well: others who know the port's token may look, and no more.
    std::string actions_token{};
    /// Actions under way at once; more are refused with `limit_reached`.
    std::uint32_t actions_at_once = 16;
    /// Actors that are shown, by path; how many are not is told. About 300 bytes each, and as much in each browser.
    std::uint32_t actors = 50'000;
    /// Of the log: records at that level and above, of that subtree (empty: of the whole tree), and how many are kept for who
    /// comes later. level::off: none.
    level log_level = level::info;
    std::string log_subtree{};
    std::uint32_t log_lines = 500;
    /// Restarts, and processes and nodes that came and went, that are kept for who comes later.
    std::uint32_t events = 500;
};

/// The port that the observer listens at. Asked before, it is answered when it does.
struct where_observed {
    using reply = web::listening;
};

using observer_protocol =
    protocol_union<protocol_union<web::agent_protocol, control::log_reader>, protocol<where_observed>>;

/// The observer, an actor function for child() and spawn(); it says ready() when it listens. It fails if there is no gateway, if
/// it does not get its port, and if the root of the tree has no control actor. Nodes that come and go, and are silent, are no
/// failures. It ends with its gateway: make both children of a rest_for_one supervisor, the gateway first.
task<> observer(actor<observer_protocol> self, observer_options options);

}  // namespace coppice::actors
