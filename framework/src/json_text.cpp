// See json_text.hpp. Which byte sequences are UTF-8 is The Unicode Standard's table 3-7: no overlong forms, no surrogates,
// nothing beyond U+10FFFF. No state; any thread.
#include "json_text.hpp"

#include <algorithm>

namespace coppice::detail {

namespace {

// The length of the character at the beginning of the text, which is not empty; 0 if there is none.
std::size_t character(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || text.size() < size) return 0;
    const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < least || byte(1) > most) return 0;
    for (std::size_t i = 2; i < size; ++i)
        if (byte(i) < 0x80 || byte(i) > 0xbf) return 0;
    return size;
}

}  // namespace

std::string json_text(std::string_view text) {
    static constexpr char digits[] = "0123456789abcdef";
    static constexpr std::string_view replacement = "\xef\xbf\xbd";
    std::string out = "\"";
    while (!text.empty()) {
        const char c = text.front();
        const std::size_t size = character(text);
        if (size == 0) out += replacement;
        else if (c == '"' || c == '\\') out += {'\\', c};
        else if (c == '\n') out += "\\n";
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += {'\\', 'u', '0', '0', digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]};
        else out += text.substr(0, size);
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    return out += '"';
}

}  // namespace coppice::detail
