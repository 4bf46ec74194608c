// A process child as its parent's node sees it. An ordinary actor stands in the tree at the child's path, the keeper: supervisors,
// monitors, links and names know it as they know any other. What comes to its mailbox it hands on to the actor in the process;
// how the process ends is how it ends.
//
//     keeper (its scheduler) ──start, stop, kill──► process_runner (home) ──► the process
//     keeper ◄── kept_process: where the actor is; how it ended ◄── process_runner
//
// What runs processes is a seam: child_process.hpp for real ones, the test world for simulated ones.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "cell_ext.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/inspect.hpp"
#include "coppice/supervisor.hpp"

namespace coppice::detail {

/// One process of a keeper's: a restart makes another. The first part is constant, the second is the keeper's scheduler's.
struct kept_process {
    node_core* node = nullptr;
    actor_id keeper = 0;
    address parent;  // the keeper's
    std::string path;
    std::uint64_t generation = 0;
    std::shared_ptr<const child_spec> spec;

    std::optional<address> there;  // the actor in the process, once it is ready
    std::optional<exit_reason> ended;
    strand* waiter = nullptr;  // of process_end_operation

    /// Called by the runner, any thread: the actor there is ready; the process has ended.
    static void tell_ready(const std::shared_ptr<kept_process>& k, std::uint32_t pid, const address& actor);
    static void tell_started(const std::shared_ptr<kept_process>& k, std::uint32_t pid);
    static void tell_ended(const std::shared_ptr<kept_process>& k, exit_reason why);
};

/// Starts and ends processes. Any thread; it tells what comes of it by kept_process::tell_*.
class process_runner {
public:
    virtual ~process_runner() = default;
    virtual void start(std::shared_ptr<kept_process> k) = 0;
    /// Asks the actor there to end. `drain`: it handles what it has been sent first.
    virtual void stop(const std::shared_ptr<kept_process>& k, bool drain) = 0;
    /// SIGTERM, and SIGKILL if that does not help within limits::terminate_grace.
    virtual void terminate(const std::shared_ptr<kept_process>& k) = 0;
    /// SIGKILL.
    virtual void kill(const std::shared_ptr<kept_process>& k) = 0;
    /// Adds the processes that there are. Home.
    virtual void describe(node_info& out) = 0;
    /// The node ends, its actors have: kills and reaps what is left. Home.
    virtual void close() = 0;
};

/// The spec of the keeper for a child whose carrier is a process.
child_spec keeper_of(child_spec child);

}  // namespace coppice::detail
