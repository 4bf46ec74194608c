// The keys of a deployment file, for the test that holds docs/deployment.md against them.
// Keys of [[actor]] stand under "actor"; where a table has keys of its own choice, or is like one elsewhere, it stands alone.
#pragma once
#include <string>
#include <vector>

namespace coppice::detail {

/// "name", "node.schedulers", "actor.limits.memory": sorted.
[[nodiscard]] std::vector<std::string> deployment_keys();

}  // namespace coppice::detail
