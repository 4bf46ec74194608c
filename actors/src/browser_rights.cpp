// Patterns of browser::host_options, and types that no page may name; see browser_rights.hpp.
// Any thread.
#include "browser_rights.hpp"

#include <algorithm>

#include "coppice/coppice.hpp"
#include "coppice/rights.hpp"
#include "coppice/value.hpp"

namespace coppice::actors::browser_parts {

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
