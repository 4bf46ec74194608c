// What nodes and the test world have in common: starting the root supervisor, running a coroutine under it from outside,
// and looking at the actors of a scheduler.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "node_core.hpp"

namespace coppice::detail {

/// Starts the root on the first scheduler, under the node's name. `told` is called on its thread.
void start_root(node_core& node, child_spec spec, std::function<void(result<address>)> told);
/// Runs a coroutine as a nameless child of the root. Any thread. If the root has ended, the body is dropped.
void run_under_root(node_core& node, std::function<task<>(actor<anything>)> body);
/// Paths of the actors that live there. Owner thread, or after it has ended.
std::vector<std::string> living_paths(scheduler& s);
/// Appends what is known of each actor there. Owner thread.
void collect(scheduler& s, std::vector<actor_info>& out);
/// The parts of a node_info that no scheduler has to be asked for.
void collect_shared(const node_core& node, node_info& out);

}  // namespace coppice::detail
