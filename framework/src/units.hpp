// Quantities as people write them: bytes with their unit ("64KiB"), and durations with theirs ("250ms", "1m30s").
// Pure functions; nothing is rounded, and what does not fit is refused.
#pragma once
#include <charconv>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace coppice::detail {

/// Digits and nothing else.
template <class Integer>
[[nodiscard]] bool whole_number(std::string_view text, Integer& out) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc{} && end == text.data() + text.size() && !text.empty();
}

/// "65536", "64KiB", "1MiB", "2GiB".
[[nodiscard]] inline std::optional<std::uint64_t> read_bytes(std::string_view text) {
    unsigned shift = 0;
    for (const auto& [suffix, bits] : {std::pair{"KiB", 10u}, {"MiB", 20u}, {"GiB", 30u}}) {
        if (!text.ends_with(suffix)) continue;
        shift = bits;
        text.remove_suffix(3);
        break;
    }
    std::uint64_t value = 0;
    if (!whole_number(text, value) || value > (UINT64_MAX >> shift)) return std::nullopt;
    return value << shift;
}

/// "250ms", "2s", "1m30s": whole numbers with units, from the largest to the smallest.
[[nodiscard]] inline std::optional<std::chrono::nanoseconds> read_duration(std::string_view text) {
    constexpr std::pair<std::string_view, std::int64_t> units[] = {
        {"h", 3'600'000'000'000}, {"m", 60'000'000'000}, {"s", 1'000'000'000},
        {"ms", 1'000'000},        {"us", 1'000},         {"ns", 1}};
    if (text.empty()) return std::nullopt;
    std::int64_t sum = 0;
    std::int64_t smaller_than = INT64_MAX;
    while (!text.empty()) {
        const std::size_t digits = text.find_first_not_of("0123456789");
        if (digits == std::string_view::npos) return std::nullopt;
        const std::string_view unit = text.substr(digits, text.find_first_of("0123456789", digits) - digits);
        std::int64_t count = 0;
        if (!whole_number(text.substr(0, digits), count)) return std::nullopt;
        std::int64_t size = 0;
        for (const auto& [name, nanoseconds] : units)
            if (name == unit) size = nanoseconds;
        if (size == 0 || size >= smaller_than) return std::nullopt;
        std::int64_t part = 0;
        if (__builtin_mul_overflow(count, size, &part) || __builtin_add_overflow(sum, part, &sum))
            return std::nullopt;
        smaller_than = size;
        text.remove_prefix(digits + unit.size());
    }
    return std::chrono::nanoseconds{sum};
}

}  // namespace coppice::detail
