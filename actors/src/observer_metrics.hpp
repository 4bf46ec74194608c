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

enum class metric_type : std::uint8_t { gauge, counter, histogram };

struct metric_family {
    std::string_view name;  ///< without _total
    metric_type type = metric_type::gauge;
    std::string_view help;
    /// By labels, as they stand between braces, escaped. What has equal labels is added up.
    std::map<std::string, std::uint64_t> samples{};
    /// Of a histogram, in place of samples: lines as they are written, buckets in order.
    std::string lines{};

    using labels = std::vector<std::pair<std::string_view, std::string_view>>;
    void add(const labels& of, std::uint64_t value);
    void add_histogram(const labels& of, const answer_times& times);
    /// With a bucket for every second power of two: a node has two of them for each scheduler.
    void add_histogram(const labels& of, const latency_histogram& times);
};

[[nodiscard]] std::vector<metric_family> metrics_of(const tree_seen& seen, const tree_rows& rows,
                                                    const all_answer_times& answers);
[[nodiscard]] std::string metrics_text(const std::vector<metric_family>& families, exposition as);

}  // namespace coppice::actors::observing
