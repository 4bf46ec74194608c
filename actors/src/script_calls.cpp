// The table `coppice` of scripts: each function checks its arguments and acts by the actor's handle, or makes a wish and yields.
// Errors that a program is expected to handle come back as nil and a table with code and text; wrong arguments are errors of Lua's.
#include <cmath>
#include <memory>

#include <fmt/format.h>
#include <lauxlib.h>

#include "coppice/any_request.hpp"
#include "script_machine.hpp"
#include "script_mail.hpp"
#include "script_prelude.hpp"
#include "script_timers.hpp"
#include "script_values.hpp"

namespace coppice::actors::script_parts {

namespace {

using nanoseconds = std::chrono::nanoseconds;

const actor<anything>& self_of(lua_State* l) { return machine::of(l).self(); }
const on_behalf& script_of(lua_State* l) { return machine::of(l).as_script(); }

std::string_view text_at(lua_State* l, int index) {
    std::size_t size = 0;
    const char* s = luaL_checklstring(l, index, &size);
    return {s, size};
}

int tell(lua_State* l, const result<void>& outcome) {
    if (!outcome) return push_error(l, outcome.error());
    lua_pushboolean(l, 1);
    return 1;
}
template <class T>
int tell_number(lua_State* l, const result<T>& outcome) {
    if (!outcome) return push_error(l, outcome.error());
    lua_pushinteger(l, static_cast<lua_Integer>(*outcome));
    return 1;
}

// ---------------------------------------------------------------- sending

int send(lua_State* l) {
    const held_ref& to = check_ref(l, 1);
    value what = to_value(l, 2);
    if (to.to.is_remote() && holds_shared(what)) return push_error(l, cannot_leave());
    if (!to.to) return push_error(l, error{errc::unreachable, "this ref leads nowhere"});
    return tell(l, script_of(l).send(to.to, std::move(what)));
}

int publish(lua_State* l) {
    const std::string group{text_at(l, 1)};
    return tell_number(l, script_of(l).publish(group, to_value(l, 2)));
}

int ask(lua_State* l) {
    wish w{.what = wish::kind::ask, .within = limits::ask_deadline, .to = check_ref(l, 1).to};
    w.content = to_value(l, 2);
    if (!lua_isnoneornil(l, 3)) w.within = duration_at(l, 3);
    if (w.to.is_remote() && holds_shared(w.content)) return push_error(l, cannot_leave());
    if (!w.to) return push_error(l, error{errc::unreachable, "this ref leads nowhere"});
    return machine::of(l).wait_for(l, std::move(w));
}

// ---------------------------------------------------------------- waiting

std::vector<std::string> types_at(lua_State* l, int table) {
    std::vector<std::string> types;
    lua_getfield(l, table, "types");
    if (lua_isstring(l, -1)) types.emplace_back(text_at(l, -1));
    else if (!lua_isnil(l, -1)) {
        luaL_checktype(l, -1, LUA_TTABLE);
        const lua_Unsigned size = lua_rawlen(l, -1);
        constexpr lua_Unsigned most = 256;  // more than people write; each is compared with each mail
        if (size > most) luaL_error(l, "receive: more than %d types", static_cast<int>(most));
        for (lua_Unsigned i = 1; i <= size; ++i) {
            lua_rawgeti(l, -1, static_cast<lua_Integer>(i));
            types.emplace_back(text_at(l, -1));
            lua_pop(l, 1);
        }
    }
    lua_pop(l, 1);
    for (const std::string& type : types) name_type(l, type);
    return types;
}

int receive(lua_State* l) {
    wish w{.what = wish::kind::receive};
    if (!lua_isnoneornil(l, 1)) {
        luaL_checktype(l, 1, LUA_TTABLE);
        lua_getfield(l, 1, "within");
        if (!lua_isnil(l, -1)) w.within = duration_at(l, -1);
        w.types = types_at(l, 1);
    }
    return machine::of(l).wait_for(l, std::move(w));
}

int sleep(lua_State* l) {
    return machine::of(l).wait_for(l, wish{.what = wish::kind::sleep, .within = duration_at(l, 1)});
}

int find(lua_State* l) {
    return machine::of(l).wait_for(l, wish{.what = wish::kind::find, .text = std::string{text_at(l, 1)}});
}

int fail(lua_State* l) {
    return machine::of(l).wait_for(l, wish{.what = wish::kind::fail, .text = std::string{text_at(l, 1)}});
}

// ---------------------------------------------------------------- itself and others

int self_ref(lua_State* l) {
    push_ref(l, {.to = self_of(l).me()});
    return 1;
}
int path(lua_State* l) {
    push_text(l, self_of(l).path());
    return 1;
}
int join(lua_State* l) { return tell(l, script_of(l).join(text_at(l, 1))); }
int leave(lua_State* l) {
    self_of(l).leave(text_at(l, 1));
    return 0;
}
int monitor(lua_State* l) {
    const held_ref& who = check_ref(l, 1);
    if (!who.to) return push_error(l, error{errc::unreachable, "this ref leads nowhere"});
    return tell_number(l, script_of(l).monitor(who.to));
}
int demonitor(lua_State* l) {
    self_of(l).demonitor(static_cast<std::uint64_t>(luaL_checkinteger(l, 1)));
    return 0;
}
int stop(lua_State* l) {
    if (!lua_isnoneornil(l, 1)) return tell(l, script_of(l).stop(check_ref(l, 1).to));
    self_of(l).stop();
    return tell(l, {});
}
int stopping(lua_State* l) {
    lua_pushboolean(l, self_of(l).stopping());
    return 1;
}
int ready(lua_State* l) {
    self_of(l).ready();
    return 0;
}
// Seconds of the node's clock; from when is not said. Virtual in a test world.
int now(lua_State* l) {
    lua_pushnumber(l, std::chrono::duration<double>(self_of(l).now().time_since_epoch()).count());
    return 1;
}

template <level Level>
int log(lua_State* l) {
    const auto text = text_at(l, 1);
    const auto& log = self_of(l).log;
    if constexpr (Level == level::debug) log.debug("{}", text);
    else if constexpr (Level == level::info) log.info("{}", text);
    else if constexpr (Level == level::warn) log.warn("{}", text);
    else log.error("{}", text);
    return 0;
}

// ---------------------------------------------------------------- for the prelude

int charge(lua_State* l) {
    machine::of(l).charge(static_cast<std::uint64_t>(std::max<lua_Integer>(luaL_checkinteger(l, 1), 0)));
    return 0;
}
int read_module(lua_State* l) {
    push_text(l, machine::of(l).read_module(std::string{text_at(l, 1)}));
    return 1;
}

constexpr luaL_Reg script_calls[] = {
    {"send", called<&send>},           {"publish", called<&publish>}, {"ask", called<&ask>},
    {"receive", called<&receive>},     {"sleep", called<&sleep>},     {"find", called<&find>},
    {"fail", called<&fail>},           {"self", called<&self_ref>},   {"path", called<&path>},
    {"join", called<&join>},           {"leave", called<&leave>},     {"monitor", called<&monitor>},
    {"demonitor", called<&demonitor>}, {"stop", called<&stop>},       {"stopping", called<&stopping>},
    {"ready", called<&ready>},         {"now", called<&now>},         {nullptr, nullptr}};

constexpr luaL_Reg for_prelude[] = {{"charge", called<&charge>},
                                    {"read_module", called<&read_module>},
                                    {"debug", called<&log<level::debug>>},
                                    {"info", called<&log<level::info>>},
                                    {"warn", called<&log<level::warn>>},
                                    {"error", called<&log<level::error>>},
                                    {nullptr, nullptr}};

// These are made by other files into `coppice`, and are the prelude's alone.
constexpr const char* private_names[] = {"list",        "map",        "record", "name_type",
                                         "error_table", "mail_table", "reply",  "refuse",
                                         "after",       "every",      "cancel"};

}  // namespace

error cannot_leave() {
    return error{errc::not_portable,
                 "a ref of this process that a script put into the message means nothing to another node"};
}

nanoseconds duration_at(lua_State* l, int index) {
    const double seconds = luaL_checknumber(l, index);
    constexpr double longest = 100.0 * 365 * 24 * 3600;  // nanoseconds have room for three times that
    if (!(seconds >= 0)) luaL_error(l, "expected seconds, 0 or more");
    if (seconds > longest) return wish::for_ever;
    return nanoseconds{static_cast<std::int64_t>(std::ceil(seconds * 1e9))};
}

void open_calls(lua_State* l) {
    luaL_newlib(l, script_calls);
    lua_newtable(l);
    lua_setfield(l, -2, "log");
    open_values(l);
    open_mail(l);
    open_timers(l);
    const int coppice = lua_gettop(l);
    luaL_newlib(l, for_prelude);
    for (const char* name : private_names) {
        lua_getfield(l, coppice, name);
        lua_setfield(l, -2, name);
        lua_pushnil(l);
        lua_setfield(l, coppice, name);
    }
    lua_pushlightuserdata(l, machine::wait_mark());
    lua_setfield(l, -2, "wait");
    lua_pushvalue(l, coppice);
    lua_setglobal(l, "coppice");
    if (luaL_loadbufferx(l, prelude, std::char_traits<char>::length(prelude), prelude_name, "t") != LUA_OK)
        lua_error(l);
    lua_insert(l, -2);
    lua_call(l, 1, 0);
}

}  // namespace coppice::actors::script_parts
