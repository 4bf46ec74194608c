// How long nodes took to describe themselves, as histograms: each look asks every node, and its answer needs a turn of each of its
// schedulers and the way there and back. So it tells of busy handlers, wedged schedulers and slow links, and costs no
// message anything. Plain data; the observer's thread alone.
#pragma once
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace coppice::actors::observing {

/// Microseconds. From a turn of an idle scheduler to what people take for a hang.
inline constexpr std::array<std::uint32_t, 14> answer_bounds_us{
    100,    200,    500,     1'000,   2'000,   5'000,     10'000,
    20'000, 50'000, 100'000, 200'000, 500'000, 1'000'000, 2'000'000};

struct answer_times {
    std::array<std::uint64_t, answer_bounds_us.size() + 1> counts{};  ///< by bounds; the last one: more
    std::uint64_t count = 0;
    std::uint64_t sum_us = 0;
    std::uint64_t last_us = 0;

    void add(std::chrono::nanoseconds took) {
        last_us = static_cast<std::uint64_t>(std::max<std::int64_t>(took.count(), 0)) / 1'000;
        const auto bound = std::lower_bound(answer_bounds_us.begin(), answer_bounds_us.end(), last_us);
        ++counts[static_cast<std::size_t>(bound - answer_bounds_us.begin())];
        ++count;
        sum_us += last_us;
    }
};

/// By the node's name.
using all_answer_times = std::map<std::string, answer_times>;

}  // namespace coppice::actors::observing
