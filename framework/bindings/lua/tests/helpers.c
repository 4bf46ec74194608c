/*
 * What the tests need and Lua has not: further Lua states, each on a thread of its own, and poll().
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

enum { most_arguments = 4 };

struct thread {
    pthread_t id;
    lua_State* state; /* NULL: it was joined */
    int failed;
};

static void* run(void* of) {
    struct thread* thread = of;
    thread->failed = lua_pcall(thread->state, lua_gettop(thread->state) - 1, 0, 0) != LUA_OK;
    return NULL;
}

/* helpers.start(file, arguments...): runs the file in a state of its own, with these texts. */
static int start(lua_State* L) {
    const int arguments = lua_gettop(L) - 1;
    struct thread* thread = lua_newuserdatauv(L, sizeof *thread, 0);
    thread->failed = 0;
    thread->state = luaL_newstate();
    luaL_openlibs(thread->state);
    if (luaL_loadfile(thread->state, luaL_checkstring(L, 1)) != LUA_OK)
        return luaL_error(L, "%s", lua_tostring(thread->state, -1));
    for (int i = 0; i < arguments && i < most_arguments; ++i)
        lua_pushstring(thread->state, luaL_checkstring(L, i + 2));
    if (pthread_create(&thread->id, NULL, run, thread) != 0) return luaL_error(L, "no thread");
    return 1;
}

/* helpers.join(thread): waits for its end, and raises the error that it ended with. */
static int join(lua_State* L) {
    struct thread* thread = lua_touserdata(L, 1);
    if (!thread || !thread->state) return luaL_error(L, "joined twice");
    pthread_join(thread->id, NULL);
    if (thread->failed) lua_pushstring(L, luaL_tolstring(thread->state, -1, NULL));
    lua_close(thread->state);
    thread->state = NULL;
    return thread->failed ? lua_error(L) : 0;
}

/* helpers.is_readable(descriptor, milliseconds) */
static int is_readable(lua_State* L) {
    struct pollfd one = {(int)luaL_checkinteger(L, 1), POLLIN, 0};
    lua_pushboolean(L, poll(&one, 1, (int)luaL_checkinteger(L, 2)) == 1);
    return 1;
}

LUALIB_API int luaopen_helpers(lua_State* L) {
    const luaL_Reg functions[] = {
        {"start", start}, {"join", join}, {"is_readable", is_readable}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
