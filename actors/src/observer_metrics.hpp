// The figures of a tree as Prometheus reads them: the text exposition format 0.0.4, and OpenMetrics 1.0.0.
//
// Written here rather than with prometheus-cpp: its registry wants counters that it counts itself, while these are snapshots of
// counters that the nodes count, and what is left of it, the text, is less than the dependency. Functions of values, any thread.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "observer_tree.hpp"

namespace coppice::actors::observing {

enum class exposition : std::uint8_t { prometheus, openmetrics };
/// Of the answer to GET.
[[nodiscard]] std::string_view media_type_of(exposition e) noexcept;

struct metric_family {
    std::string_view name;  ///< without _total
    bool is_counter = false;
    std::string_view help;
    /// By labels, as they stand between braces, escaped. What has equal labels is added up.
    std::map<std::string, std::uint64_t> samples{};

    using labels = std::vector<std::pair<std::string_view, std::string_view>>;
    void add(const labels& of, std::uint64_t value);
};

[[nodiscard]] std::vector<metric_family> metrics_of(const tree_seen& seen, const tree_rows& rows);
[[nodiscard]] std::string metrics_text(const std::vector<metric_family>& families, exposition as);

}  // namespace coppice::actors::observing
