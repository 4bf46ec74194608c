// Patterns of browser::host_options, and types that no page may name; see browser_rights.hpp.
// Any thread.
#include "browser_rights.hpp"

#include <algorithm>

#include "coppice/coppice.hpp"
#include "coppice/value.hpp"

namespace coppice::actors::browser_parts {

namespace {

// Of all ways to match, only the last star has to be tried again (Robert A. van Engelen, "Fast String Matching with Wildcards"):
// twice, as there are two kinds of stars. Linear in the product of both lengths at worst.
bool matches(std::string_view pattern, std::string_view text) noexcept {
    constexpr std::size_t none = std::string_view::npos;
    std::size_t p = 0;
    std::size_t t = 0;
    std::size_t one_p = none;  // behind the last `*`, and where it has come to
    std::size_t one_t = 0;
    std::size_t all_p = none;  // behind the last `**`
    std::size_t all_t = 0;
    while (t < text.size() || p < pattern.size()) {
        if (pattern.substr(p).starts_with("**")) {
            all_p = p += 2;
            all_t = t;
            one_p = none;
        } else if (p < pattern.size() && pattern[p] == '*') {
            one_p = ++p;
            one_t = t;
        } else if (p < pattern.size() && t < text.size() && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (one_p != none && one_t < text.size() && text[one_t] != '/') {
            p = one_p;
            t = ++one_t;
        } else if (all_p != none && all_t < text.size()) {
            p = all_p;
            t = ++all_t;
            one_p = none;
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace

bool allows(const std::vector<std::string>& patterns, std::string_view text) noexcept {
    if (text.empty()) return false;
    const bool is_plain = text.find("://") == text.npos && text.find('#') == text.npos;
    return std::ranges::any_of(
        patterns, [&](const std::string& each) { return is_plain ? matches(each, text) : each == text; });
}

bool is_reserved_type(std::uint64_t type) noexcept {
    return type == type_id("coppice.stop") || type == type_id(message_name<down>) ||
           type == type_id(message_name<exit_signal>);
}

}  // namespace coppice::actors::browser_parts
