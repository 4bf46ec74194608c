// A process child on another host, as the supervising node hears of it: an os_process whose every word goes to the agent there and
// comes from it (coppice/agent.hpp). What the two say to each other is agent_talk.hpp.
//
//     child_process ─► remote_process ─ start, tell, signal ─► agent ─► the process
//     child_process ◄─ remote_courier ◄───────── told ──────── agent ◄─ its records, lines, link, end
//
// The courier is one actor of the node, "$agents" below its root, made with the first remote child: the address that agents answer
// to, and who monitors them. Everything here lives on the node's home thread; events as those of os_process.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "coppice/exit_reason.hpp"
#include "net/router.hpp"
#include "process/os_process.hpp"

namespace coppice::detail {

struct node_core;

/// The name of the courier below the root.
inline constexpr const char* courier_name = "$agents";

class remote_events : public process_events {
public:
    /// Its agent is not there, or out of reach, and is looked for; at most once, before all others.
    virtual void sought(const error& why) = 0;
    virtual void started(std::uint32_t pid) = 0;
    /// It could not be started: the agent says so, or was not found in time. The last event.
    virtual void not_started(error why) = 0;
    virtual void linked(net::node_id node) = 0;
    /// The agent lives, as answer to a record that is a beat; state() is what it says of the process.
    virtual void agent_lives() = 0;
    virtual void dropped(std::uint64_t records, std::uint64_t lines) = 0;
    /// The agent is being stopped, and ends the process.
    virtual void agent_ends() = 0;
    /// The agent is gone, or out of reach for longer than the hold time. The last event.
    virtual void lost(exit_reason why) = 0;
};

struct remote_request {
    std::string agent;                     ///< its path
    std::chrono::nanoseconds patience{0};  ///< how long it is looked for
    process_request what;
    std::string transport;
    std::vector<std::byte> join;  ///< as agent_talk::start has it
};

class remote_process : public os_process {
public:
    /// As send(), of a record that the agent answers by agent_lives().
    virtual errc send_beat(std::span<const std::byte> record) noexcept = 0;
    /// The agent's node cannot be reached now, so that nothing which is said arrives.
    [[nodiscard]] virtual bool out_of_reach() const = 0;
};

class remote_courier {
public:
    virtual ~remote_courier() = default;
    /// Looks for the agent and asks it; what comes of it is told by events, never from within this call. Its destruction kills the
    /// process, as soon as the agent hears of it, and waits for nothing.
    virtual std::unique_ptr<remote_process> start(remote_request request, remote_events& events) = 0;
};

[[nodiscard]] std::shared_ptr<remote_courier> make_remote_courier(node_core& node, net::router& router);

}  // namespace coppice::detail
