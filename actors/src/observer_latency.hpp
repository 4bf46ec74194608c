// How long the turns of each node took, and how late they began: what its schedulers say, added up, and what of it is of the time
// since the last look. Plain data; the observer's thread alone.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "coppice/control_actor.hpp"
#include "coppice/latency.hpp"

namespace coppice::actors::observing {

/// The buckets, of latency_histogram, that end at a power of two: what the page draws a column of, 256 ns to 137 s.
inline constexpr std::size_t columns_of_latency =
    latency_histogram::highest_power - latency_histogram::lowest_power + 1;
[[nodiscard]] constexpr std::size_t last_bucket_of_column(std::size_t column) noexcept {
    return column * latency_histogram::steps;
}

struct node_latency {
    latency_info whole;  ///< of its shared schedulers and of the threads of actors; the longest of all
    latency_histogram turns_lately;
    latency_histogram delays_lately;
    std::uint32_t pid = 0;
};

/// By the node's name.
class all_latencies {
public:
    /// Takes what a node has said now.
    void look(const node_description& n);
    /// Forgets those that are not among what `stay` knows.
    template <class Known>
    void keep(const Known& stay) {
        std::erase_if(nodes_, [&](const auto& each) { return !stay.contains(each.first); });
    }
    /// Null for a node that has said nothing yet.
    [[nodiscard]] const node_latency* find(const std::string& node) const;

private:
    std::map<std::string, node_latency> nodes_;
};

}  // namespace coppice::actors::observing
