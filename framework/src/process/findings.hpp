// Tells the actors of a node that watch processes what was found.
// Any thread, while the node lives.
#pragma once
#include <chrono>
#include <string_view>

#include "coppice/process.hpp"

namespace coppice::detail {

/// The group of the actors that watch processes. Not a name that an actor could give.
inline constexpr std::string_view process_watchers = "$processes";

void tell_finding(node_core& node, const process_finding& f);
/// This process did not run for a while: logged and told if that was a second or more, once for all who notice it at the same
/// time.
void tell_paused(node_core& node, std::chrono::nanoseconds lasted);

}  // namespace coppice::detail
