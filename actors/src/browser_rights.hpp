// browser_rights: whether a list of patterns allows a name, a path or a group, and what no page may send.
// Plain functions, any thread.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace coppice::actors::browser_parts {

/// The patterns are those of rights (coppice::matches). An endpoint (with "://" or '#') is allowed by nothing
/// but itself: a pattern for paths must not make the host connect somewhere.
[[nodiscard]] bool allows(const std::vector<std::string>& patterns, std::string_view text) noexcept;

/// True for ids of types that are no mail but orders to the runtime, which a value must not stand for.
[[nodiscard]] bool is_reserved_type(std::uint64_t type) noexcept;

}  // namespace coppice::actors::browser_parts
