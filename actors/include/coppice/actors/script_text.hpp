// script_text: values as expressions of Lua, as scripts write them (docs/scripts.md): for programs that write scripts, as
// `coppice script record` does.
//
//     actors::script_text(value::record{{7, "tea"}}, "shop::order")    // coppice.record("shop::order", 7, "tea")
//
// Pure functions; any thread. Knows neither Lua nor actors.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "coppice/value.hpp"

namespace coppice::actors {

/// Gives the expression for an actor that a value names; empty if there is none.
using script_ref_text = std::function<std::optional<std::string>(const wire_reference&)>;

/// Fields of a record, or elements, that stand in one call; of more a table is unpacked. A call of Lua has at most about 250 arguments.
inline constexpr std::size_t script_text_arguments = 50;

/// An expression, in one line, that a script may send: what arrives equals `v`, but that an unsigned number below 2^63 arrives as
/// a signed one, and a key of a map that is 2.0 as 2. `type`: of a record, by name; empty: of none. The same value gives the same
/// text, which is UTF-8.
/// `not_portable` for what a script cannot send: a text that is no UTF-8, a map that has a key twice or NaN as one, a ref for which
/// `refs` has nothing, and what is nested deeper than limits::wire_nesting. The error's text says which.
[[nodiscard]] result<std::string> script_text(const value& v, std::string_view type = {},
                                              const script_ref_text& refs = {});

/// A text as a literal of Lua, in double quotes, whatever its bytes are.
[[nodiscard]] std::string script_literal(std::string_view text);

}  // namespace coppice::actors
