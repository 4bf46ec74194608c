// The arithmetic of histograms; see coppice/latency.hpp. Any thread.
//
// A duration of d ns is in the bucket of d - 1, so that a bucket holds its upper bound, as those of Prometheus do. Of d - 1 the
// power is the place of its highest bit and the step the two bits below that.
#include "coppice/latency.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

namespace coppice {

namespace {

constexpr unsigned step_bits = 2;
static_assert(1u << step_bits == latency_histogram::steps);

std::uint64_t saturated_sum(std::uint64_t a, std::uint64_t b) noexcept {
    return b > std::numeric_limits<std::uint64_t>::max() - a ? std::numeric_limits<std::uint64_t>::max()
                                                             : a + b;
}

}  // namespace

std::size_t latency_histogram::bucket_of(std::int64_t ns) noexcept {
    const auto below = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 1) - 1);
    const auto power = static_cast<unsigned>(std::bit_width(below | 1)) - 1;
    if (power < lowest_power) return 0;
    if (power >= highest_power) return buckets - 1;
    const std::uint64_t step = (below >> (power - step_bits)) & (steps - 1);
    return 1 + (power - lowest_power) * steps + static_cast<std::size_t>(step);
}

std::int64_t latency_histogram::longest_of(std::size_t bucket) noexcept {
    if (bucket + 1 >= buckets) return std::numeric_limits<std::int64_t>::max();
    const std::size_t power = lowest_power + bucket / steps;
    return static_cast<std::int64_t>((steps + bucket % steps) << (power - step_bits));
}

std::uint64_t latency_histogram::at(std::size_t bucket) const noexcept {
    return bucket < buckets && bucket >= first && bucket - first < counts.size() ? counts[bucket - first] : 0;
}

std::uint64_t latency_histogram::up_to(std::size_t bucket) const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i <= std::min(bucket, buckets - 1); ++i) sum = saturated_sum(sum, at(i));
    return sum;
}

std::uint64_t latency_histogram::total() const noexcept { return up_to(buckets - 1); }

std::chrono::nanoseconds latency_histogram::longest() const noexcept {
    return std::chrono::nanoseconds{
        static_cast<std::int64_t>(std::min<std::uint64_t>(max_ns, std::numeric_limits<std::int64_t>::max()))};
}

std::chrono::nanoseconds latency_histogram::quantile(double share) const noexcept {
    const std::uint64_t all = total();
    if (all == 0) return {};
    const double wanted = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(all));
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < buckets; ++i) {
        sum = saturated_sum(sum, at(i));
        if (sum != 0 && static_cast<double>(sum) >= wanted)
            return std::min(std::chrono::nanoseconds{longest_of(i)}, longest());
    }
    return longest();
}

void latency_histogram::add(std::int64_t ns, std::uint64_t weight) {
    latency_histogram one;
    one.first = static_cast<std::uint32_t>(bucket_of(ns));
    one.counts = {weight};
    one.samples = 1;
    one.max_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
    one.sum_ns = one.max_ns * weight;
    add(one);
}

void latency_histogram::add(const latency_histogram& other) {
    latency_histogram both;
    both.first = static_cast<std::uint32_t>(buckets);
    for (std::size_t i = 0; i < buckets; ++i) {
        const std::uint64_t count = saturated_sum(at(i), other.at(i));
        if (count == 0) continue;
        both.first = std::min(both.first, static_cast<std::uint32_t>(i));
        both.counts.resize(i - both.first + 1);
        both.counts.back() = count;
    }
    first = both.counts.empty() ? 0 : both.first;
    counts = std::move(both.counts);
    samples = saturated_sum(samples, other.samples);
    sum_ns = saturated_sum(sum_ns, other.sum_ns);
    max_ns = std::max(max_ns, other.max_ns);
}

latency_histogram latency_histogram::since(const latency_histogram& before) const {
    for (std::size_t i = 0; i < buckets; ++i)
        if (before.at(i) > at(i)) return *this;
    if (before.samples > samples || before.sum_ns > sum_ns) return *this;
    latency_histogram rest = *this;
    for (std::size_t i = 0; i < rest.counts.size(); ++i) rest.counts[i] -= before.at(first + i);
    rest.samples -= before.samples;
    rest.sum_ns -= before.sum_ns;
    return rest;
}

}  // namespace coppice
