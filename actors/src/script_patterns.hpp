// script_patterns: find, match, gmatch and gsub for scripts, as Lua's manual has them (section 6.4.1), with one difference: what
// a pattern does is counted as the script's work. Lua's own count nothing, and a short pattern can keep them busy for years.
// On the actor's thread.
#pragma once
#include <lua.h>

namespace coppice::actors::script_parts {

/// Puts them into the table `string`, in place of Lua's.
void open_patterns(lua_State* l);

}  // namespace coppice::actors::script_parts
