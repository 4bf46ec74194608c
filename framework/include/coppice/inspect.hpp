// What a running node tells of itself: the tree, its carriers, mailboxes, the running handler, restarts, who waits for
// whom, dead letters, links, flows and routes. Plain data, a snapshot that each scheduler takes of its own actors between two handlers.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "coppice/actor.hpp"
#include "coppice/error.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/latency.hpp"
#include "coppice/network.hpp"

namespace coppice {

struct dead_letter {
    std::string message;  ///< type name
    std::string target;   ///< path, or number
    std::string sender;
    errc reason;
};

struct actor_info {
    std::string path;
    std::string parent;
    std::string carrier;  ///< "coroutine on scheduler 0", "thread"
    /// "running", "ready", "receiving", "waiting: ask", "pausing", "paused", "restarting", "ending"
    std::string state;
    ref<> who;
    mailbox_depth depth;
    std::uint32_t capacity = 0;
    std::uint64_t received = 0;
    std::string in_hand;    ///< type of the message received last
    std::string waits_for;  ///< path of the actor that its ask waits for
    std::uint32_t incarnation = 1;
    std::uint32_t restarts = 0;
    std::uint32_t scheduler = 0;
    bool is_supervisor = false;
    std::vector<std::string> links;     ///< actors that it is linked to
    std::vector<std::string> monitors;  ///< actors whose end it will be told
};

/// An actor as another one sees it.
struct relation {
    std::string kind;  ///< "parent", "child", "sibling", "link", "monitors", "monitored by"
    actor_info who;
};

struct scheduler_info {
    std::uint32_t index = 0;
    std::uint64_t actors = 0;
    std::uint64_t switches = 0;
    std::uint64_t sleeps = 0;
    /// False: it did not come to an await within the limit; `running` names whose handler runs.
    bool answered = true;
    std::string running;                      ///< the actor on its stack, if it did not answer
    std::chrono::nanoseconds handler_age{0};  ///< at most this long, if it did not answer
    /// It has work, or a handler that does not return, and has made no progress for limits::scheduler_stuck. Of nodes of a
    /// network, but not of their first scheduler, which is the one that looks, nor of actors' own threads, which may block.
    bool stuck = false;
    latency_info latency;  ///< of its turns; empty for actors' own threads, see node_info::threads
};

/// A process child.
struct process_info {
    std::string path;
    std::uint32_t pid = 0;              ///< 0: it has not been started yet
    std::string program;                ///< empty: this program again
    std::string transport;              ///< what its link goes over
    std::uint64_t generation = 0;       ///< 1, and one more with every restart
    std::string state;                  ///< "starting", "running", "silent", "stuck", "ending"
    std::chrono::nanoseconds heard{0};  ///< since its last sign of life
    std::string handler;                ///< of its actor whose handler has been running longest; mostly none
    std::chrono::nanoseconds handler_age{0};  ///< for how long
    std::string agent;                        ///< that has started it, on another node; empty: this node did
};

struct node_info {
    std::string name;
    std::vector<scheduler_info> schedulers;
    std::vector<actor_info> actors;  ///< by path
    std::vector<std::pair<std::string, std::size_t>> groups;
    std::vector<dead_letter> dead_letters;  ///< the first 256, then every 64th; all are counted
    std::uint64_t dead_letter_count = 0;
    std::vector<std::pair<errc, std::uint64_t>> dead_letter_reasons;
    // Of a node of a network; empty if its first scheduler does not answer.
    std::vector<link_info> links;    ///< by the neighbour's name
    std::vector<flow_info> flows;    ///< by the other node's name
    std::vector<route_info> routes;  ///< by the node's name
    std::uint64_t flow_stalls = 0;   ///< of all flows that are listed
    std::vector<process_info> processes;
    latency_info threads;  ///< of the actors in_thread all together, also of those that have ended

    /// The tree as text, a line an actor.
    [[nodiscard]] std::string tree() const;
    [[nodiscard]] const actor_info* find(std::string_view path) const;
    /// Who stands in which relation to that actor.
    [[nodiscard]] std::vector<relation> relations_of(std::string_view path) const;
};

}  // namespace coppice
