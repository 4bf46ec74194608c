// script_values: values of messages as Lua has them, and back.
//
//     nothing      nil; within others coppice.nothing        record   table of its fields in order, with `type`
//     bool         boolean                                   map      table by its keys
//     integer      integer; above 2^63-1 an unsigned         list     table 1..n
//     real, text   float, string                             ref      ref (userdata)
//     bytes        bytes (userdata)
//
// Tables that came as list, map or record keep their metatable, so that they go as what they came, empty ones too. Bounded
// both ways: in depth by limits::wire_nesting, in size by the script's memory. Within protected calls, on the actor's thread.
#pragma once
#include <span>
#include <string_view>

#include <lua.h>

#include "coppice/value.hpp"
#include "script_refs.hpp"

namespace coppice::actors::script_parts {

/// References that read_refs() has read, for push_value.
struct read_references {
    std::vector<wire_reference> known;
    std::vector<ref<>> refs;
};

/// Makes the metatables; once a state, with the table `coppice` on top of the stack.
void open_values(lua_State* l);

/// One value more on the stack. Throws what Lua throws.
void push_value(lua_State* l, const value& v, const read_references& refs);
/// About what push_value would take of the state's memory: never more than it does.
[[nodiscard]] std::uint64_t bytes_in_lua(const value& v);
void push_text(lua_State* l, std::string_view text);
void push_ref(lua_State* l, const held_ref& r);
/// nil and a table with `code` and `text`: two values.
int push_error(lua_State* l, const error& e);

/// The value at that place. An error of Lua's for what cannot be sent.
[[nodiscard]] value to_value(lua_State* l, int index);
/// The ref at that place, or an error of Lua's.
[[nodiscard]] held_ref& check_ref(lua_State* l, int index);
/// Refs of this process are in there, which no other can read.
[[nodiscard]] bool holds_shared(const value& v);

/// UTF-8 as RFC 3629 has it: no surrogates, no over-long forms.
[[nodiscard]] bool is_text(std::string_view s) noexcept;

/// Remembers a type's name, so that records of it that come have it.
void name_type(lua_State* l, std::string_view name);
/// The name of a record's type, if the script has named it, else "#" and its id in 16 digits. Pushed.
void push_type_name(lua_State* l, std::uint64_t type);
/// The id of a name as push_type_name makes them.
[[nodiscard]] std::uint64_t id_of_type(std::string_view name);

}  // namespace coppice::actors::script_parts
