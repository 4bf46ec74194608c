// What is found of processes, to those that watch; see findings.hpp.
// Any thread.
#include "process/findings.hpp"

#include <unistd.h>

#include "node_core.hpp"

namespace coppice {

std::string_view to_string(finding f) noexcept {
    switch (f) {
    case finding::gone: return "gone";
    case finding::silent: return "silent";
    case finding::stuck: return "stuck";
    case finding::paused: return "paused";
    case finding::well: return "well";
    }
    return "unknown";
}

namespace detail {

void tell_finding(node_core& node, const process_finding& f) {
    const auto watchers = node.group_table.snapshot(process_watchers);
    if (!watchers) return;
    for (const address& who : *watchers)
        static_cast<void>(
            scheduler::send_from_outside(who, make_envelope<process_finding>(who.id(), 0, f), &node));
}

void tell_paused(node_core& node, std::chrono::nanoseconds lasted) {
    // A moment is a busy machine's affair, and nothing to be told.
    if (lasted < std::chrono::seconds{1}) return;
    // Each child's timer notices it by itself.
    const std::int64_t at = node.clock();
    std::int64_t before = node.paused_at.load(std::memory_order_relaxed);
    if (before && at - before < lasted.count()) return;
    if (!node.paused_at.compare_exchange_strong(before, at, std::memory_order_relaxed)) return;
    const std::string path = "/" + node.name;
    node.log(level::warn, path,
             "this process did not run for " +
                 std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(lasted).count()) +
                 " ms: nobody is judged by that time");
    tell_finding(node, {path, static_cast<std::uint32_t>(::getpid()), finding::paused, lasted, {}});
}

}  // namespace detail
}  // namespace coppice
