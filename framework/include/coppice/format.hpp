// How Coppice's values print with fmt: refs by path, errors and exit reasons as one line. "{}" only, no format options.
// Needs only fmt/core.h; the work is done in format.cpp.
#pragma once
#include <fmt/core.h>

#include "coppice/error.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/ref.hpp"

namespace coppice::detail {

struct plain_formatter {
    constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
};

}  // namespace coppice::detail

template <>
struct fmt::formatter<coppice::detail::address> : coppice::detail::plain_formatter {
    fmt::format_context::iterator format(const coppice::detail::address& a,
                                         fmt::format_context& context) const;
};
template <class P>
struct fmt::formatter<coppice::ref<P>> : fmt::formatter<coppice::detail::address> {};
template <>
struct fmt::formatter<coppice::errc> : coppice::detail::plain_formatter {
    fmt::format_context::iterator format(coppice::errc code, fmt::format_context& context) const;
};
template <>
struct fmt::formatter<coppice::error> : coppice::detail::plain_formatter {
    fmt::format_context::iterator format(const coppice::error& e, fmt::format_context& context) const;
};
template <>
struct fmt::formatter<coppice::exit_kind> : coppice::detail::plain_formatter {
    fmt::format_context::iterator format(coppice::exit_kind kind, fmt::format_context& context) const;
};
template <>
struct fmt::formatter<coppice::exit_reason> : coppice::detail::plain_formatter {
    fmt::format_context::iterator format(const coppice::exit_reason& r, fmt::format_context& context) const;
};
