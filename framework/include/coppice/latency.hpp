// How long turns take and how late they begin: a histogram of fixed size, and what a scheduler tells of its turns. Plain data, which
// travels; each value is one thread's. Gathered in framework/src/turn_meter.hpp.
//
// A *turn* begins when an actor is resumed and ends when it awaits again. One that finds mail waiting takes several messages.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace coppice {

/// Counts of durations by buckets, of which each is at most a quarter wider than its lower bound: four to a power of two, from 128 ns
/// to 137 s, one for what is below and one for what is above. The idea is that of HdrHistogram (hdrhistogram.org): the leading
/// bits of a number are its bucket, so that the error is relative, the size fixed, and the sum of two an addition.
struct latency_histogram {
    static constexpr unsigned lowest_power = 7;  ///< 2^7 ns: below it the clock itself is what is measured
    static constexpr unsigned highest_power = 37;
    static constexpr unsigned steps = 4;  ///< buckets to a power of two
    static constexpr std::size_t buckets = (highest_power - lowest_power) * steps + 2;

    /// The bucket of a duration in nanoseconds; what is negative counts as 0.
    [[nodiscard]] static std::size_t bucket_of(std::int64_t ns) noexcept;
    /// The longest duration of a bucket, in nanoseconds; of the last one the most there is.
    [[nodiscard]] static std::int64_t longest_of(std::size_t bucket) noexcept;

    /// Of the bucket that counts[0] is of. Those before it and behind the last are 0.
    std::uint32_t first = 0;
    std::vector<std::uint64_t> counts;
    std::uint64_t samples = 0;  ///< measured; a count is of as many turns as a sample stands for
    std::uint64_t sum_ns = 0;   ///< of all that is counted
    std::uint64_t max_ns = 0;   ///< of what was measured

    /// Zero for a bucket that there is not, whatever a peer has said.
    [[nodiscard]] std::uint64_t at(std::size_t bucket) const noexcept;
    /// All that is counted.
    [[nodiscard]] std::uint64_t total() const noexcept;
    /// How many took at most as long as the longest of that bucket.
    [[nodiscard]] std::uint64_t up_to(std::size_t bucket) const noexcept;
    /// So long or shorter is that share (0 to 1) of what is counted: the longest duration of its bucket, which is at most a quarter
    /// above it, and never more than max_ns. 0 if nothing is counted.
    [[nodiscard]] std::chrono::nanoseconds quantile(double share) const noexcept;
    [[nodiscard]] std::chrono::nanoseconds longest() const noexcept;
    void add(std::int64_t ns, std::uint64_t weight = 1);
    void add(const latency_histogram& other);
    /// What was counted since `before`, an earlier state of the same. A state of another one, which counted more, is as none; max_ns
    /// stays.
    [[nodiscard]] latency_histogram since(const latency_histogram& before) const;
};

/// One of the longest turns of late.
struct slow_turn {
    std::string path;     ///< of the actor
    std::string message;  ///< type of the one that it handled last in that turn; empty: none
    std::chrono::nanoseconds took{0};
    std::uint64_t messages = 0;      ///< taken in that turn; 0: it went on after another await
    std::chrono::nanoseconds at{0};  ///< when it ended, by the node's clock
};

/// What a scheduler knows of its turns. Busy ones measure some of their turns, and count each for as many as it stands for; those
/// that run less than about ten thousand turns a second measure all.
struct latency_info {
    latency_histogram turns;   ///< how long they took
    latency_histogram delays;  ///< how long actors that mail or a reply had made ready waited for their turn
    /// The longest that were measured in the last limits::slow_turn_window, or up to twice that; one an actor, longest first.
    std::vector<slow_turn> slowest;
};

}  // namespace coppice
