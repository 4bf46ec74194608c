// What a script has of Lua's own libraries: all that computes, nothing that reaches files, processes, bytecode or the
// interpreter itself. The rest of the sandbox is written in Lua: script_prelude.hpp.
#include <lauxlib.h>
#include <lualib.h>

#include "script_machine.hpp"
#include "script_patterns.hpp"

namespace coppice::actors::script_parts {

namespace {

void remove(lua_State* l, const char* table, std::initializer_list<const char*> names) {
    lua_getglobal(l, table);
    for (const char* name : names) {
        lua_pushnil(l);
        lua_setfield(l, -2, name);
    }
    lua_pop(l, 1);
}

// `os` is made anew, so that nothing comes with it that a later Lua may add.
void make_os(lua_State* l) {
    luaL_requiref(l, LUA_OSLIBNAME, &luaopen_os, 0);
    lua_newtable(l);
    for (const char* name : {"time", "date", "clock", "difftime"}) {
        lua_getfield(l, -2, name);
        lua_setfield(l, -2, name);
    }
    lua_setglobal(l, LUA_OSLIBNAME);
    lua_pop(l, 1);
    luaL_getsubtable(l, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_pushnil(l);
    lua_setfield(l, -2, LUA_OSLIBNAME);
    lua_pop(l, 1);
}

// ---- functions of Lua's whose work grows with what they are given, though they are one call: they are paid for

int call_lua(lua_State* l) {
    lua_pushvalue(l, lua_upvalueindex(1));
    lua_insert(l, 1);
    lua_call(l, lua_gettop(l) - 1, LUA_MULTRET);
    return lua_gettop(l);
}
// By what it gives: it may be asked for hundreds of thousands of values.
int paid_by_results(lua_State* l) {
    const int results = call_lua(l);
    machine::of(l).charge(static_cast<std::uint64_t>(results));
    return results;
}
// By its text, which it goes through.
int paid_by_text(lua_State* l) {
    constexpr std::uint64_t text_bytes_an_instruction = 8;
    if (lua_type(l, 1) == LUA_TSTRING) machine::of(l).charge(lua_rawlen(l, 1) / text_bytes_an_instruction);
    return call_lua(l);
}

void make_paid(lua_State* l, const char* table, lua_CFunction how, std::initializer_list<const char*> names) {
    lua_getglobal(l, table);
    for (const char* name : names) {
        lua_getfield(l, -1, name);
        lua_pushcclosure(l, how, 1);
        lua_setfield(l, -2, name);
    }
    lua_pop(l, 1);
}

}  // namespace

void open_sandbox(lua_State* l) {
    static constexpr luaL_Reg libraries[] = {
        {LUA_GNAME, &luaopen_base},        {LUA_TABLIBNAME, &luaopen_table},
        {LUA_STRLIBNAME, &luaopen_string}, {LUA_MATHLIBNAME, &luaopen_math},
        {LUA_UTF8LIBNAME, &luaopen_utf8},  {LUA_COLIBNAME, &luaopen_coroutine}};
    for (const luaL_Reg& library : libraries) {
        luaL_requiref(l, library.name, library.func, 1);
        lua_pop(l, 1);
    }
    make_os(l);
    remove(l, LUA_GNAME, {"dofile", "loadfile", "warn"});
    remove(l, LUA_STRLIBNAME, {"dump"});
    open_patterns(l);
    make_paid(l, LUA_STRLIBNAME, &paid_by_results, {"byte"});
    make_paid(l, LUA_TABLIBNAME, &paid_by_results, {"unpack"});
    make_paid(l, LUA_UTF8LIBNAME, &paid_by_results, {"codepoint"});
    make_paid(l, LUA_UTF8LIBNAME, &paid_by_text, {"len"});
    // Garbage is collected when there is a fifth more than at the last time: what waits to be collected counts as held.
    lua_gc(l, LUA_GCINC, 120, 400, 0);
    // The node's generator, which a test world seeds.
    lua_getglobal(l, LUA_MATHLIBNAME);
    lua_getfield(l, -1, "randomseed");
    lua_pushinteger(l, static_cast<lua_Integer>(machine::of(l).self().random()));
    lua_call(l, 1, 0);
    lua_pop(l, 1);
}

}  // namespace coppice::actors::script_parts
