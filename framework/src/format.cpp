// The formatters of format.hpp, for fmt's one type-erased context.
// No state; any thread.
#include "coppice/format.hpp"

#include <fmt/format.h>

namespace {

fmt::format_context::iterator put(std::string_view text, fmt::format_context& context) {
    return fmt::format_to(context.out(), "{}", text);
}

}  // namespace

fmt::format_context::iterator
fmt::formatter<coppice::detail::address>::format(const coppice::detail::address& a,
                                                 fmt::format_context& context) const {
    return put(a.to_string(), context);
}
fmt::format_context::iterator fmt::formatter<coppice::errc>::format(coppice::errc code,
                                                                    fmt::format_context& context) const {
    return put(to_string(code), context);
}
fmt::format_context::iterator fmt::formatter<coppice::error>::format(const coppice::error& e,
                                                                     fmt::format_context& context) const {
    return put(e.what(), context);
}
fmt::format_context::iterator fmt::formatter<coppice::exit_kind>::format(coppice::exit_kind kind,
                                                                         fmt::format_context& context) const {
    return put(to_string(kind), context);
}
fmt::format_context::iterator
fmt::formatter<coppice::exit_reason>::format(const coppice::exit_reason& r,
                                             fmt::format_context& context) const {
    return put(r.to_string(), context);
}
