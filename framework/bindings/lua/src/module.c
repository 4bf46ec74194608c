/*
 * The module `coppice` of Lua 5.4: its classes, its errors, and what they share. Values are in values.c, nodes, actors and mail
 * in actors.c; binding.h says who may do what on which thread.
 */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"

/* ------------------------------------------------------------------------------------------------ classes */

/* object.key: a field, or else a method. Upvalues: the table of fields, that of methods. */
static int index_object(lua_State* L) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TFUNCTION) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    return 1;
}

static void push_functions(lua_State* L, const luaL_Reg* functions) {
    lua_newtable(L);
    if (functions) luaL_setfuncs(L, functions, 0);
}

void define_class(lua_State* L, const struct class* of, const luaL_Reg* fields, const luaL_Reg* methods,
                  const luaL_Reg* meta) {
    lua_newtable(L);
    lua_pushstring(L, of->name);
    lua_setfield(L, -2, "__name");
    lua_pushboolean(L, 0); /* it is nobody else's to look at */
    lua_setfield(L, -2, "__metatable");
    if (fields || methods) {
        push_functions(L, fields);
        push_functions(L, methods);
        lua_pushcclosure(L, index_object, 2);
        lua_setfield(L, -2, "__index");
    }
    if (meta) luaL_setfuncs(L, meta, 0);
    lua_rawsetp(L, LUA_REGISTRYINDEX, of);
}

void set_class(lua_State* L, const struct class* of) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, of);
    lua_setmetatable(L, -2);
}

bool is_object(lua_State* L, int index, const struct class* of) {
    if (!lua_getmetatable(L, index)) return false;
    lua_rawgetp(L, LUA_REGISTRYINDEX, of);
    const bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

void* check_object(lua_State* L, int index, const struct class* of) {
    if (!is_object(L, index, of)) luaL_typeerror(L, index, of->name);
    return lua_touserdata(L, index);
}

/* ------------------------------------------------------------------------------------------------ errors */

const struct class error_class = {"coppice.error"};

/* The line of Lua that called. A field is given by a function that this module calls, hence more than one level. */
static void push_where(lua_State* L) {
    for (int level = 1; level < 3; ++level) {
        luaL_where(L, level);
        if (lua_rawlen(L, -1) > 0) return;
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "");
}

void push_error(lua_State* L, int code, const char* text) {
    if (!text) text = coppice_error_text();
    lua_createtable(L, 0, 4);
    lua_pushstring(L, *text ? text : coppice_code_name(code));
    lua_setfield(L, -2, "text");
    lua_pushinteger(L, code);
    lua_setfield(L, -2, "code");
    lua_pushstring(L, coppice_code_name(code));
    lua_setfield(L, -2, "name");
    push_where(L);
    lua_setfield(L, -2, "where");
    set_class(L, &error_class);
}

_Noreturn void raise_error(lua_State* L, int code, const char* text) {
    push_error(L, code, text);
    lua_error(L);
    abort(); /* never: lua_error does not return, but is not declared so */
}

void check(lua_State* L, int code) {
    if (code != COPPICE_OK) raise_error(L, code, NULL);
}

static int error_to_string(lua_State* L) {
    lua_getfield(L, 1, "where");
    lua_getfield(L, 1, "text");
    if (!lua_isstring(L, -2) || !lua_isstring(L, -1)) lua_pushliteral(L, "an error that was written to");
    else lua_concat(L, 2);
    return 1;
}

/* ------------------------------------------------------------------------------------------------ arguments */

struct owner* new_owner(lua_State* L, const struct class* of) {
    struct owner* made = lua_newuserdatauv(L, sizeof *made, 0);
    made->handle = 0;
    set_class(L, of);
    return made;
}

coppice_handle handle_argument(lua_State* L, int index, const struct class* of) {
    const struct owner* object = check_object(L, index, of);
    if (object->handle == 0) {
        lua_pushfstring(L, "this %s was closed", of->name);
        raise_error(L, COPPICE_CLOSED, lua_tostring(L, -1));
    }
    return object->handle;
}

/* close(), the end of a variable with <close>, and the collector; the first of them counts. */
int close_owner(lua_State* L) {
    if (!is_object(L, 1, &node_class) && !is_object(L, 1, &actor_class) && !is_object(L, 1, &mail_class))
        check_object(L, 1, &ref_class);
    struct owner* object = lua_touserdata(L, 1);
    const coppice_handle open = object->handle;
    object->handle = 0;
    coppice_close(open);
    return 0;
}

const char* name_argument(lua_State* L, int index) {
    size_t size = 0;
    const char* name = luaL_checklstring(L, index, &size);
    luaL_argcheck(L, strlen(name) == size, index, "a name must not have a zero character");
    return name;
}

uint64_t time_argument(lua_State* L, int index, double otherwise) {
    return milliseconds(L, luaL_optnumber(L, index, otherwise));
}

uint64_t milliseconds(lua_State* L, double seconds) {
    if (isnan(seconds)) luaL_error(L, "a time is no number");
    if (seconds <= 0) return 0;
    if (seconds >= 1e15) return COPPICE_FOREVER;
    const uint64_t ms = (uint64_t)(seconds * 1000);
    return ms > 0 ? ms : 1; /* a time that is not nothing is at least a millisecond */
}

/* ------------------------------------------------------------------------------------------------ module */

static int open_handles(lua_State* L) {
    lua_pushinteger(L, (lua_Integer)coppice_open_handles());
    return 1;
}

/* coppice.TIMEOUT and the others: the numbers of the one table. */
static void add_codes(lua_State* L) {
    for (int code = COPPICE_TIMEOUT; code <= COPPICE_TOO_LARGE; ++code) {
        char name[64];
        size_t size = 0;
        for (const char* from = coppice_code_name(code); *from && size < sizeof name; ++from)
            name[size++] = (char)toupper((unsigned char)*from);
        lua_pushlstring(L, name, size);
        lua_pushinteger(L, code);
        lua_rawset(L, -3);
    }
}

LUALIB_API int luaopen_coppice(lua_State* L) {
    if (coppice_check_version(COPPICE_HEADER_MAJOR, COPPICE_HEADER_MINOR) != COPPICE_OK)
        return luaL_error(L, "%s", coppice_error_text());
    const luaL_Reg error_meta[] = {{"__tostring", error_to_string}, {NULL, NULL}};
    define_class(L, &error_class, NULL, NULL, error_meta);
    const luaL_Reg functions[] = {{"open_handles", open_handles}, {NULL, NULL}};
    luaL_newlib(L, functions);
    add_codes(L);
    open_values(L);
    open_actors(L);
    return 1;
}
