/*
 * What the parts of the binding share: classes of Lua objects, errors, and values of Lua as values of the library.
 *
 * Everything here belongs to one Lua state and is used by its thread alone; nothing is kept beside the states, so a process may
 * have many of them, each on a thread of its own. A call that fails leaves by lua_error, which jumps: handles that are open then
 * are in an object of Lua that closes them.
 */
#ifndef COPPICE_LUA_BINDING_H
#define COPPICE_LUA_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lauxlib.h>
#include <lua.h>

#include "coppice.h"

/* What other libraries of the program call so is not ours. */
#pragma GCC visibility push(hidden)

#if LUA_VERSION_NUM < 504
#error "Coppice needs Lua 5.4: it has integers, and variables that are closed"
#endif

/* ------------------------------------------------------------------------------------------------ classes */

/* Its address is the key of the metatable in the registry: looking it up needs no memory, so it cannot fail. */
struct class {
    const char* name;
};
extern const struct class node_class, actor_class, ref_class, mail_class, error_class;
extern const struct class null_class, uint_class, bytes_class, tagged_class, record_class, map_class;

/* `fields`, `methods` and `meta` end with a NULL name, or are NULL. A field is a function that gives what `object.field` is. */
void define_class(lua_State* L, const struct class* of, const luaL_Reg* fields, const luaL_Reg* methods,
                  const luaL_Reg* meta);
void set_class(lua_State* L, const struct class* of);
bool is_object(lua_State* L, int index, const struct class* of);
/* The block of the object, or an error that names the argument. */
void* check_object(lua_State* L, int index, const struct class* of);

/* ------------------------------------------------------------------------------------------------ errors */

/* Raises an error of the library, with the text of this thread's last failing call if `text` is NULL. */
_Noreturn void raise_error(lua_State* L, int code, const char* text);
void push_error(lua_State* L, int code, const char* text);
/* Raises what a call came back with, if that is not COPPICE_OK. */
void check(lua_State* L, int code);

/* ------------------------------------------------------------------------------------------------ arguments */

/* Every object that owns a handle begins with it; 0: it was closed. */
struct owner {
    coppice_handle handle;
};
/* An object without a handle yet: it is made first, so that what the call then opens has an owner. */
struct owner* new_owner(lua_State* L, const struct class* of);
coppice_handle handle_argument(lua_State* L, int index, const struct class* of);
int close_owner(lua_State* L);

/* For arguments that end at their terminating zero. */
const char* name_argument(lua_State* L, int index);
/* Seconds as milliseconds; math.huge: for ever. */
uint64_t milliseconds(lua_State* L, double seconds);
/* `otherwise` in seconds, for nil. */
uint64_t time_argument(lua_State* L, int index, double otherwise);

/* ------------------------------------------------------------------------------------------------ values */

/* Makes a value of what is at `index`, or raises why it is none; whoever calls closes it, before anything can raise. */
coppice_value value_argument(lua_State* L, int index);
/* Holds values that are being read; it closes them if Lua's memory ends meanwhile. */
struct reading;
struct reading* new_reading(lua_State* L);
/* Where a call puts the value that is to be read. */
coppice_value* value_to_read(struct reading* reading);
/* Pushes what it holds. Nothing is nil, but coppice.null within another value. */
void push_value(lua_State* L, struct reading* reading);

void open_values(lua_State* L); /* adds to the module on top of the stack */
void open_actors(lua_State* L);

#pragma GCC visibility pop

#endif
