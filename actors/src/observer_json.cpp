// Texts as JSON; see observer_json.hpp. What programs have written into the log, or given as names, may be any bytes, and
// a browser closes a connection over which it gets what is no UTF-8. Any thread.
#include "observer_json.hpp"

#include "gateway_http.hpp"

namespace coppice::actors::observing {

std::string as_utf8(std::string_view text) {
    if (web_parts::is_utf8(text)) return std::string{text};
    std::string made;
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x80) made += c;
        else made += "\xef\xbf\xbd";
    }
    return made;
}

void put_json(std::string& out, std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += '"';
    for (const char c : as_utf8(text)) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') (out += '\\') += c;
        else if (byte < 0x20 || byte == 0x7f) ((out += "\\u00") += digits[byte >> 4]) += digits[byte & 15];
        else out += c;
    }
    out += '"';
}

}  // namespace coppice::actors::observing
