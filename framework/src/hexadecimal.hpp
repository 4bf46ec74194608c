// Bytes as text: two lower-case hexadecimal digits for each, for names and secrets that are drawn at random.
// Any thread.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace coppice::detail {

[[nodiscard]] inline std::string hexadecimal(std::span<const std::byte> bytes) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::byte b : bytes) {
        text += digits[std::to_integer<unsigned>(b) >> 4];
        text += digits[std::to_integer<unsigned>(b) & 15];
    }
    return text;
}

}  // namespace coppice::detail
