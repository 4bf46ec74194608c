// Runs the processes of a node's keepers as real ones: starts them, gives them their place in the tree, hears their beats and
// their log, and tells their keepers when they are ready and how they ended. Lives on the home thread of the node.
#pragma once
#include <memory>

#include "process/keeper.hpp"
#include "process/os_process.hpp"

namespace coppice::detail {

[[nodiscard]] std::unique_ptr<process_runner> make_process_runner(node_core& node,
                                                                  std::unique_ptr<process_starter> starter);

}  // namespace coppice::detail
