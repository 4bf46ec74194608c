/*
 * Nodes, actors, refs and mail, and the life of a process child. Each is an object that owns its handle; close(), the end of a
 * variable with <close> and the collector give it back. A call that waits blocks its Lua state, and no other one.
 */
#include <math.h>
#include <string.h>

#include "binding.h"

const struct class node_class = {"coppice.node"};
const struct class actor_class = {"coppice.actor"};
const struct class ref_class = {"coppice.ref"};
const struct class mail_class = {"coppice.mail"};

static const char* const levels[] = {"trace", "debug", "info", "warn", "error", "off", NULL};

/* Who sends: an actor, or a node. */
static coppice_handle from_argument(lua_State* L) {
    return handle_argument(L, 1, is_object(L, 1, &node_class) ? &node_class : &actor_class);
}

static coppice_handle actor_argument(lua_State* L) { return handle_argument(L, 1, &actor_class); }
static coppice_handle ref_argument(lua_State* L, int index) { return handle_argument(L, index, &ref_class); }

static int push_number(lua_State* L, uint64_t number) {
    lua_pushinteger(L, (lua_Integer)number);
    return 1;
}

/* ------------------------------------------------------------------------------------------------ refs */

static int ref_equal(lua_State* L) {
    if (!is_object(L, 1, &ref_class) || !is_object(L, 2, &ref_class)) return 0;
    const struct owner* a = lua_touserdata(L, 1);
    const struct owner* b = lua_touserdata(L, 2);
    lua_pushboolean(L, coppice_same(a->handle, b->handle) == COPPICE_OK);
    return 1;
}

static int ref_to_string(lua_State* L) {
    char text[1024];
    const struct owner* ref = check_object(L, 1, &ref_class);
    if (coppice_ref_text(ref->handle, text, sizeof text) == COPPICE_OK) lua_pushstring(L, text);
    else lua_pushliteral(L, "a ref that was closed");
    return 1;
}

/* ------------------------------------------------------------------------------------------------ mail */

struct mail {
    struct owner owner; /* first, as in every object that owns a handle */
    int kind;
    bool is_read;   /* the user value is what was sent */
    bool is_peeked; /* it is still in the mailbox, whose handle it is */
};

static struct mail* new_mail(lua_State* L) {
    struct mail* made = lua_newuserdatauv(L, sizeof *made, 1);
    *made = (struct mail){0};
    set_class(L, &mail_class);
    return made;
}

static int mail_close(lua_State* L) {
    const struct mail* mail = check_object(L, 1, &mail_class);
    return mail->is_peeked ? 0 : close_owner(L);
}

/* Once; then also of mail that was closed. */
static int mail_value(lua_State* L) {
    struct mail* mail = check_object(L, 1, &mail_class);
    if (!mail->is_read) {
        const coppice_mail handle = handle_argument(L, 1, &mail_class);
        struct reading* reading = new_reading(L);
        coppice_value* at = value_to_read(reading);
        check(L, coppice_mail_value(handle, at));
        push_value(L, reading);
        lua_setiuservalue(L, 1, 1);
        mail->is_read = true;
    }
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int mail_kind(lua_State* L) {
    static const char* const kinds[] = {"", "message", "request", "answer", "ended"};
    const struct mail* mail = check_object(L, 1, &mail_class);
    lua_pushstring(L, kinds[mail->kind]);
    return 1;
}

static int mail_sender(lua_State* L) {
    const coppice_mail mail = handle_argument(L, 1, &mail_class);
    const int code = coppice_mail_sender(mail, &new_owner(L, &ref_class)->handle);
    if (code == COPPICE_NOT_FOUND) lua_pushnil(L);
    else check(L, code);
    return 1;
}

static int mail_number(lua_State* L) {
    uint64_t number = 0;
    check(L, coppice_mail_number(handle_argument(L, 1, &mail_class), &number));
    return push_number(L, number);
}

/* Why there is no answer; nil if there is one. */
static int mail_error(lua_State* L) {
    int outcome = COPPICE_OK;
    check(L, coppice_mail_code(handle_argument(L, 1, &mail_class), &outcome));
    if (outcome == COPPICE_OK) return 0;
    mail_value(L);
    push_error(L, outcome, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "");
    return 1;
}

static int mail_reply(lua_State* L) {
    const coppice_mail mail = handle_argument(L, 1, &mail_class);
    const coppice_value v = value_argument(L, 2);
    const int code = coppice_reply(mail, v);
    coppice_close(v);
    check(L, code);
    return 0;
}

static int mail_fail(lua_State* L) {
    size_t size = 0;
    const char* text = luaL_checklstring(L, 2, &size);
    check(L, coppice_fail(handle_argument(L, 1, &mail_class), text, size));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ send and ask */

static int find(lua_State* L) {
    const coppice_handle from = from_argument(L);
    const char* path = name_argument(L, 2);
    check(L, coppice_find(from, path, &new_owner(L, &ref_class)->handle));
    return 1;
}

static int find_later(lua_State* L) {
    uint64_t number = 0;
    check(L, coppice_find_later(actor_argument(L), name_argument(L, 2), &number));
    return push_number(L, number);
}

static int send(lua_State* L) {
    const coppice_handle from = from_argument(L);
    const coppice_ref to = ref_argument(L, 2);
    const uint64_t wait = time_argument(L, 4, 0);
    const coppice_value v = value_argument(L, 3);
    const int code = coppice_send(from, to, v, wait);
    coppice_close(v);
    check(L, code);
    return 0;
}

static int send_later(lua_State* L) {
    const coppice_actor from = actor_argument(L);
    const coppice_ref to = ref_argument(L, 2);
    const uint64_t wait = time_argument(L, 4, HUGE_VAL);
    const coppice_value v = value_argument(L, 3);
    uint64_t number = 0;
    const int code = coppice_send_later(from, to, v, wait, &number);
    coppice_close(v);
    check(L, code);
    return push_number(L, number);
}

static int ask(lua_State* L) {
    const coppice_handle from = from_argument(L);
    const coppice_ref to = ref_argument(L, 2);
    const uint64_t within = time_argument(L, 4, 5);
    lua_settop(L, 3);
    struct reading* reading = new_reading(L);
    coppice_value* answer = value_to_read(reading);
    const coppice_value v = value_argument(L, 3);
    const int code = coppice_ask(from, to, v, within, answer);
    coppice_close(v);
    check(L, code);
    push_value(L, reading);
    return 1;
}

static int ask_later(lua_State* L) {
    const coppice_actor from = actor_argument(L);
    const coppice_ref to = ref_argument(L, 2);
    const uint64_t within = time_argument(L, 4, 5);
    const coppice_value v = value_argument(L, 3);
    uint64_t number = 0;
    const int code = coppice_ask_later(from, to, v, within, &number);
    coppice_close(v);
    check(L, code);
    return push_number(L, number);
}

static int stop(lua_State* L) {
    check(L, coppice_stop(from_argument(L), ref_argument(L, 2)));
    return 0;
}

static int shut_down(lua_State* L) {
    check(L, coppice_shutdown(from_argument(L), ref_argument(L, 2), time_argument(L, 3, 5)));
    return 0;
}

static int kill_actor(lua_State* L) {
    check(L, coppice_kill(from_argument(L), ref_argument(L, 2)));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ actors */

/* The user value: mail that was peeked at and is still in the mailbox, by handle. Its object is given out again when it is
 * received: there is one owner of a handle. */
static struct owner* new_actor(lua_State* L) {
    struct owner* made = lua_newuserdatauv(L, sizeof *made, 1);
    made->handle = 0;
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    set_class(L, &actor_class);
    return made;
}

static int actor_close(lua_State* L) {
    check_object(L, 1, &actor_class);
    close_owner(L);
    lua_settop(L, 1);
    if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) return 0;
    lua_pushnil(L);
    while (lua_next(L, 2)) { /* what was only peeked at has lost its mailbox */
        lua_pushcfunction(L, close_owner);
        lua_rotate(L, -2, 1);
        lua_call(L, 1, 0);
    }
    lua_newtable(L);
    lua_setiuservalue(L, 1, 1);
    return 0;
}

static int actor_path(lua_State* L) {
    const char* text = NULL;
    size_t size = 0;
    check(L, coppice_path(actor_argument(L), &text, &size));
    lua_pushlstring(L, text, size);
    return 1;
}

static int actor_ref(lua_State* L) {
    const coppice_actor actor = actor_argument(L);
    check(L, coppice_self(actor, &new_owner(L, &ref_class)->handle));
    return 1;
}

typedef int take_mail(coppice_actor, uint64_t, coppice_mail*);

/* The mail, or nil and the error where there is none in time, or the actor is asked to end. */
static int take(lua_State* L, take_mail* by, bool peeks) {
    const coppice_actor actor = actor_argument(L);
    const uint64_t wait = time_argument(L, 2, HUGE_VAL);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    struct mail* mail = new_mail(L);
    coppice_mail handle = 0;
    const int code = by(actor, wait, &handle);
    if (code == COPPICE_TIMEOUT || code == COPPICE_STOPPING) {
        lua_pushnil(L);
        push_error(L, code, NULL);
        return 2;
    }
    check(L, code);
    const lua_Integer place = (lua_Integer)handle;
    if (lua_rawgeti(L, 2, place) == LUA_TUSERDATA) {
        mail = lua_touserdata(L, -1);
    } else {
        lua_pop(L, 1);
        mail->owner.handle = handle;
        check(L, coppice_mail_kind_of(handle, &mail->kind));
    }
    if (peeks) lua_pushvalue(L, -1);
    else lua_pushnil(L);
    if (peeks || mail->is_peeked) lua_rawseti(L, 2, place);
    else lua_pop(L, 1);
    mail->is_peeked = peeks;
    return 1;
}

static int receive(lua_State* L) { return take(L, coppice_receive, false); }
static int receive_answer(lua_State* L) { return take(L, coppice_receive_answer, false); }
static int peek(lua_State* L) { return take(L, coppice_peek, true); }

static int next_mail(lua_State* L) {
    lua_settop(L, 1);
    return receive(L) == 1 ? 1 : 0; /* it waits for ever: asked to end */
}

/* for mail in actor:mails() do ... end, until the actor is asked to end. */
static int mails(lua_State* L) {
    actor_argument(L);
    lua_pushcfunction(L, next_mail);
    lua_pushvalue(L, 1);
    return 2;
}

static int descriptor(lua_State* L) {
    int fd = -1;
    check(L, coppice_descriptor(actor_argument(L), &fd));
    lua_pushinteger(L, fd);
    return 1;
}

static int join(lua_State* L) {
    check(L, coppice_join(actor_argument(L), name_argument(L, 2)));
    return 0;
}

static int leave(lua_State* L) {
    check(L, coppice_leave(actor_argument(L), name_argument(L, 2)));
    return 0;
}

static int publish(lua_State* L) {
    const coppice_actor actor = actor_argument(L);
    const char* group = name_argument(L, 2);
    const coppice_value v = value_argument(L, 3);
    size_t members = 0;
    const int code = coppice_publish(actor, group, v, &members);
    coppice_close(v);
    check(L, code);
    return push_number(L, members);
}

static int monitor(lua_State* L) {
    uint64_t number = 0;
    check(L, coppice_monitor(actor_argument(L), ref_argument(L, 2), &number));
    return push_number(L, number);
}

static int forget_monitor(lua_State* L) {
    check(L, coppice_forget_monitor(actor_argument(L), (uint64_t)luaL_checkinteger(L, 2)));
    return 0;
}

static int ready(lua_State* L) {
    check(L, coppice_ready(actor_argument(L)));
    return 0;
}

static int give_up(lua_State* L) {
    size_t size = 0;
    const char* text = luaL_checklstring(L, 2, &size);
    check(L, coppice_give_up(actor_argument(L), text, size));
    return 0;
}

static int log_text(lua_State* L) {
    size_t size = 0;
    const char* text = luaL_checklstring(L, 2, &size);
    const int level = COPPICE_TRACE + luaL_checkoption(L, 3, "info", levels);
    check(L, coppice_log(actor_argument(L), level, text, size));
    return 0;
}

/* ------------------------------------------------------------------------------------------------ nodes */

/* Pushes a field of the options at `index`, so that what it gives lives as long as the stack. */
static const char* name_option(lua_State* L, int index, const char* name) {
    if (lua_getfield(L, index, name) == LUA_TNIL) return NULL;
    size_t size = 0;
    const char* text = lua_tolstring(L, -1, &size);
    if (!text || strlen(text) != size) luaL_error(L, "option '%s' is not a text without zeros", name);
    return text;
}

static uint64_t time_option(lua_State* L, int index, const char* name) {
    const int type = lua_getfield(L, index, name);
    if (type != LUA_TNIL && type != LUA_TNUMBER)
        luaL_error(L, "option '%s' is not a number of seconds", name);
    return milliseconds(L, lua_tonumber(L, -1));
}

static int level_option(lua_State* L, int index, const char* name) {
    if (lua_getfield(L, index, name) == LUA_TNIL) return 0;
    for (int i = 0; levels[i] && lua_isstring(L, -1); ++i)
        if (strcmp(lua_tostring(L, -1), levels[i]) == 0) return COPPICE_TRACE + i;
    return luaL_error(L, "option '%s' is none of trace, debug, info, warn, error, off", name);
}

static void refuse_other_options(lua_State* L, int index, const char* const known[]) {
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        bool is_known = false;
        for (int i = 0; known[i] && lua_type(L, -1) == LUA_TSTRING; ++i)
            is_known = is_known || strcmp(lua_tostring(L, -1), known[i]) == 0;
        if (!is_known) luaL_error(L, "there is no option '%s'", luaL_tolstring(L, -1, NULL));
    }
}

/* Several endpoints, in a table, are one text with commas. */
static const char* endpoints_option(lua_State* L, int index, const char* name) {
    if (lua_getfield(L, index, name) != LUA_TTABLE) {
        lua_pop(L, 1);
        return name_option(L, index, name);
    }
    const int table = lua_gettop(L);
    const lua_Unsigned size = lua_rawlen(L, table);
    luaL_Buffer all;
    luaL_buffinit(L, &all);
    for (lua_Unsigned i = 1; i <= size; ++i) {
        if (i > 1) luaL_addchar(&all, ',');
        lua_rawgeti(L, table, (lua_Integer)i);
        if (!lua_isstring(L, -1)) luaL_error(L, "option '%s' is not a list of texts", name);
        luaL_addvalue(&all);
    }
    luaL_pushresult(&all);
    return size > 0 ? lua_tostring(L, -1) : NULL;
}

/* coppice.node{tree = ...}: joins a tree, or begins one. */
static int open_node(lua_State* L) {
    static const char* const known[] = {"name",       "tree", "parent",      "listen",    "secret_file",
                                        "secret_env", "hold", "join_within", "log_level", NULL};
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    luaL_checkstack(L, 24, NULL);
    refuse_other_options(L, 1, known);
    coppice_node_options options = {0};
    options.size = sizeof options;
    options.name = name_option(L, 1, "name");
    options.tree = name_option(L, 1, "tree");
    options.parent = name_option(L, 1, "parent");
    options.listen = endpoints_option(L, 1, "listen");
    options.secret_file = name_option(L, 1, "secret_file");
    options.secret_env = name_option(L, 1, "secret_env");
    options.hold_ms = time_option(L, 1, "hold");
    options.join_ms = time_option(L, 1, "join_within");
    options.log_level = level_option(L, 1, "log_level");
    check(L, coppice_open_node(&options, &new_owner(L, &node_class)->handle));
    return 1;
}

/* node:actor(name, {mailbox = ..., stops_node = ...}) */
static int open_actor(lua_State* L) {
    static const char* const known[] = {"mailbox", "stops_node", NULL};
    const coppice_node node = handle_argument(L, 1, &node_class);
    coppice_actor_options options = {0};
    options.size = sizeof options;
    if (!lua_isnoneornil(L, 2)) options.name = name_argument(L, 2);
    if (!lua_isnoneornil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        refuse_other_options(L, 3, known);
        lua_getfield(L, 3, "mailbox");
        const lua_Integer mailbox = luaL_optinteger(L, -1, 0);
        luaL_argcheck(L, mailbox >= 0 && mailbox <= UINT32_MAX, 3, "mailbox is not a number of messages");
        options.mailbox = (uint32_t)mailbox;
        lua_getfield(L, 3, "stops_node");
        options.stops_node = lua_toboolean(L, -1);
    }
    check(L, coppice_open_actor(node, &options, &new_actor(L)->handle));
    return 1;
}

/* ------------------------------------------------------------------------------------------------ a process child */

static int is_child(lua_State* L) {
    lua_pushboolean(L, coppice_is_child());
    return 1;
}

static int words_of(lua_State* L) {
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* Tells the reason in the words of the error on top of the stack. */
static void give_up_with(lua_State* L, coppice_actor actor) {
    lua_pushcfunction(L, words_of);
    lua_pushvalue(L, -2);
    size_t size = 0;
    const char* words = lua_pcall(L, 1, 1, 0) == LUA_OK ? lua_tolstring(L, -1, &size) : NULL;
    if (!words || coppice_give_up(actor, words, size) == COPPICE_INVALID_ARGUMENT)
        coppice_give_up(actor, "an error of Lua that has no words", COPPICE_TERMINATED);
    lua_pop(L, 1);
}

static bool is_stopping(lua_State* L) {
    if (!is_object(L, -1, &error_class)) return false;
    lua_getfield(L, -1, "code");
    const bool is = lua_tointeger(L, -1) == COPPICE_STOPPING;
    lua_pop(L, 1);
    return is;
}

static void close_at(lua_State* L, int index, lua_CFunction by) {
    lua_pushcfunction(L, by);
    lua_pushvalue(L, index);
    lua_call(L, 1, 0);
}

/* coppice.run_as_child(f, {announce = false}): takes the place that a supervisor has for this process, calls f(actor), and gives
 * the process's exit code. An error ends the actor in failure, with its words as the reason, and is raised. */
static int run_as_child(lua_State* L) {
    static const char* const known[] = {"announce", NULL};
    bool announce = true;
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 2);
    if (!lua_isnil(L, 2)) {
        luaL_checktype(L, 2, LUA_TTABLE);
        refuse_other_options(L, 2, known);
        announce = lua_getfield(L, 2, "announce") == LUA_TNIL || lua_toboolean(L, -1);
        lua_settop(L, 2);
    }
    struct owner* node = new_owner(L, &node_class);
    struct owner* actor = new_actor(L);
    check(L, coppice_open_child(announce, &node->handle, &actor->handle));
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 4);
    const bool failed = lua_pcall(L, 1, 0, 0) != LUA_OK && !is_stopping(L);
    if (failed && actor->handle) give_up_with(L, actor->handle);
    close_at(L, 4, actor_close);
    close_at(L, 3, close_owner);
    const int code = coppice_exit_code(); /* when the reason has been told */
    if (failed) return lua_error(L);
    lua_pushinteger(L, code);
    return 1;
}

/* ------------------------------------------------------------------------------------------------ module */

void open_actors(lua_State* L) {
    const luaL_Reg ref_methods[] = {{"close", close_owner}, {NULL, NULL}};
    const luaL_Reg ref_meta[] = {{"__gc", close_owner},
                                 {"__close", close_owner},
                                 {"__eq", ref_equal},
                                 {"__tostring", ref_to_string},
                                 {NULL, NULL}};
    define_class(L, &ref_class, NULL, ref_methods, ref_meta);

    const luaL_Reg mail_fields[] = {{"kind", mail_kind},     {"value", mail_value}, {"sender", mail_sender},
                                    {"number", mail_number}, {"error", mail_error}, {NULL, NULL}};
    const luaL_Reg mail_methods[] = {
        {"reply", mail_reply}, {"fail", mail_fail}, {"close", mail_close}, {NULL, NULL}};
    const luaL_Reg mail_meta[] = {{"__gc", mail_close}, {"__close", mail_close}, {NULL, NULL}};
    define_class(L, &mail_class, mail_fields, mail_methods, mail_meta);

    const luaL_Reg actor_fields[] = {{"path", actor_path}, {"ref", actor_ref}, {NULL, NULL}};
    const luaL_Reg actor_methods[] = {{"find", find},
                                      {"find_later", find_later},
                                      {"send", send},
                                      {"send_later", send_later},
                                      {"ask", ask},
                                      {"ask_later", ask_later},
                                      {"stop", stop},
                                      {"shutdown", shut_down},
                                      {"kill", kill_actor},
                                      {"receive", receive},
                                      {"receive_answer", receive_answer},
                                      {"peek", peek},
                                      {"mails", mails},
                                      {"descriptor", descriptor},
                                      {"join", join},
                                      {"leave", leave},
                                      {"publish", publish},
                                      {"monitor", monitor},
                                      {"forget_monitor", forget_monitor},
                                      {"ready", ready},
                                      {"give_up", give_up},
                                      {"log", log_text},
                                      {"close", actor_close},
                                      {NULL, NULL}};
    const luaL_Reg actor_meta[] = {{"__gc", actor_close}, {"__close", actor_close}, {NULL, NULL}};
    define_class(L, &actor_class, actor_fields, actor_methods, actor_meta);

    const luaL_Reg node_methods[] = {{"actor", open_actor}, {"find", find},         {"send", send},
                                     {"ask", ask},          {"stop", stop},         {"shutdown", shut_down},
                                     {"kill", kill_actor},  {"close", close_owner}, {NULL, NULL}};
    const luaL_Reg node_meta[] = {{"__gc", close_owner}, {"__close", close_owner}, {NULL, NULL}};
    define_class(L, &node_class, NULL, node_methods, node_meta);

    const luaL_Reg functions[] = {
        {"node", open_node}, {"is_child", is_child}, {"run_as_child", run_as_child}, {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
