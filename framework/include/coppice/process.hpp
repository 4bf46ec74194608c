// Actors in OS processes of their own, seen from the process: the main function of a program that a supervisor elsewhere starts,
// and what a node tells of the processes below and above it.
//
//     int main(int argc, char** argv) { return run_as_child(argc, argv, vision); }   // a program for one actor
//
// A program that runs its own children in_process needs nothing but node::run; or, if its main does other things first, as its
// first statement
//
//     if (const auto code = run_if_child(argc, argv)) return *code;
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "coppice/actor.hpp"
#include "coppice/node.hpp"

namespace coppice {

/// What a process and its parent find of each other, from heartbeats and from the operating system. Four facts that are never
/// taken for one another.
enum class finding : std::uint8_t {
    gone,    ///< the child's process has ended. Of a parent it is not told: all actors are stopped then
    silent,  ///< no sign of life for as long as heartbeat_spec allows: it is stopped by a signal, or cut off
    stuck,  ///< it lives, but one of its handlers does not return; of a child in_thread, too, that has a heartbeat
    paused,  ///< this process itself did not run for a while: nobody is judged by that time
    well,    ///< silent or stuck no more
};
[[nodiscard]] std::string_view to_string(finding f) noexcept;

/// Told to actors that watch processes (actor::watch_processes).
struct process_finding {
    static constexpr auto lane = coppice::lane::priority;
    std::string path;       ///< of the child, or of the parent; of the own node if `paused`
    std::uint32_t pid = 0;  ///< of that process; of this one if the child is a thread
    finding what = finding::well;
    std::chrono::nanoseconds lasted{0};  ///< for how long so far; of `well`: it had been
    std::string text;  ///< how it ended; whose handler it is; "stopped by a signal or a debugger"
};

namespace detail {
/// Runs this process as the child that it was started as. `own`: what its program runs; null: what its parent says.
int run_child(int& argc, char** argv, const child_spec* own);
}  // namespace detail

/// True if this process was started as a child by a Coppice node and has not taken its place yet.
[[nodiscard]] bool is_child() noexcept;

/// The main function of a program that runs one actor as a child: takes its place in the tree, runs `function(self, args...)`,
/// and returns the process's exit code (run_result) when the actor has ended. Node options are taken from the command line
/// and the environment, but for those of the network and of where the log goes, which the parent decides. Started by anybody
/// else than a Coppice node it prints how it is meant to be started and returns bad_options.
template <class F, class... Args>
int run_as_child(int& argc, char** argv, F function, Args&&... args) {
    const child_spec own = child("child", in_coroutine, function, std::forward<Args>(args)...);
    return detail::run_child(argc, argv, &own);
}

/// If this process was started as a child of this same program: runs it, and returns its exit code. Else nothing.
[[nodiscard]] inline std::optional<int> run_if_child(int& argc, char** argv) {
    if (!is_child()) return std::nullopt;
    return detail::run_child(argc, argv, nullptr);
}

}  // namespace coppice
