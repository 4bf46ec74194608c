/*
 * Values of Lua as values of Coppice, and back:
 *
 *     nil, coppice.null                nothing        string                        text
 *     boolean                          boolean        coppice.bytes(string)         bytes
 *     integer                          integer        {a, b, ...}, {}               list
 *     coppice.uint(...)                unsigned       any other plain table         map
 *     float                            real           coppice.map, .record, .tagged what they say
 *     ref                              ref
 *
 * What arrives is given back as it came: bytes, maps and records are objects, so that they are not taken for texts and lists, and
 * so that a map keeps the order of its pairs, and keys that no table can have (nothing, not a number).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding.h"

const struct class null_class = {"coppice.null"};
const struct class uint_class = {"coppice.uint"};
const struct class bytes_class = {"coppice.bytes"};
const struct class tagged_class = {"coppice.tagged"};
const struct class record_class = {"coppice.record"};
const struct class map_class = {"coppice.map"};
static const struct class reading_class = {"coppice.reading"};

/* ------------------------------------------------------------------------------------------------ nothing */

static const char null_object; /* its address is the key of coppice.null in the registry */

static void push_null(lua_State* L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &null_object); }

static int null_to_string(lua_State* L) {
    lua_pushliteral(L, "coppice.null");
    return 1;
}

/* ------------------------------------------------------------------------------------------------ unsigned */

static void push_uint(lua_State* L, uint64_t n) {
    *(uint64_t*)lua_newuserdatauv(L, sizeof n, 0) = n;
    set_class(L, &uint_class);
}

/* An integer where it is one of Lua's. */
static void push_unsigned(lua_State* L, uint64_t n) {
    if (n <= INT64_MAX) lua_pushinteger(L, (lua_Integer)n);
    else push_uint(L, n);
}

static uint64_t unsigned_argument(lua_State* L, int index) {
    if (is_object(L, index, &uint_class)) return *(const uint64_t*)lua_touserdata(L, index);
    const lua_Integer n = luaL_checkinteger(L, index);
    luaL_argcheck(L, n >= 0, index, "negative: coppice.uint(n) has numbers above the integers");
    return (uint64_t)n;
}

/* coppice.uint(18446744073709551615 as text), or of an integer, whose 64 bits are taken as math.ult takes them. */
static int make_uint(lua_State* L) {
    if (lua_type(L, 1) == LUA_TNUMBER) {
        push_uint(L, (uint64_t)luaL_checkinteger(L, 1));
        return 1;
    }
    size_t size = 0;
    const char* digits = luaL_checklstring(L, 1, &size);
    luaL_argcheck(L, size > 0 && strspn(digits, "0123456789") == size, 1, "not a number in digits");
    errno = 0;
    const unsigned long long n = strtoull(digits, NULL, 10);
    luaL_argcheck(L, errno == 0, 1, "beyond 64 bits");
    push_uint(L, n);
    return 1;
}

static int uint_bits(lua_State* L) {
    lua_pushinteger(L, (lua_Integer) * (const uint64_t*)check_object(L, 1, &uint_class));
    return 1;
}

static int uint_to_string(lua_State* L) {
    char digits[32];
    snprintf(digits, sizeof digits, "%" PRIu64, *(const uint64_t*)check_object(L, 1, &uint_class));
    lua_pushstring(L, digits);
    return 1;
}

static int uint_equal(lua_State* L) {
    lua_pushboolean(L, is_object(L, 1, &uint_class) && is_object(L, 2, &uint_class) &&
                           *(const uint64_t*)lua_touserdata(L, 1) == *(const uint64_t*)lua_touserdata(L, 2));
    return 1;
}

/* ------------------------------------------------------------------------------------------------ bytes, tagged bytes */

/* The content is the user value of both; the block of a tagged one is its tag. */
static void push_content(lua_State* L, int index) { lua_getiuservalue(L, index, 1); }

/* Takes the string from the top of the stack. */
static void wrap_content(lua_State* L, const uint64_t* tag) {
    uint64_t* block = lua_newuserdatauv(L, tag ? sizeof *tag : 0, 1);
    if (tag) *block = *tag;
    lua_rotate(L, -2, 1);
    lua_setiuservalue(L, -2, 1);
    set_class(L, tag ? &tagged_class : &bytes_class);
}

static int make_bytes(lua_State* L) {
    luaL_checkstring(L, 1);
    lua_settop(L, 1);
    wrap_content(L, NULL);
    return 1;
}

static int bytes_to_string(lua_State* L) {
    check_object(L, 1, &bytes_class);
    push_content(L, 1);
    return 1;
}

static int bytes_length(lua_State* L) {
    check_object(L, 1, &bytes_class);
    push_content(L, 1);
    lua_len(L, -1);
    return 1;
}

static int bytes_equal(lua_State* L) {
    if (!is_object(L, 1, &bytes_class) || !is_object(L, 2, &bytes_class)) return 0;
    push_content(L, 1);
    push_content(L, 2);
    lua_pushboolean(L, lua_rawequal(L, -1, -2));
    return 1;
}

static int make_tagged(lua_State* L) {
    const uint64_t tag = unsigned_argument(L, 1);
    luaL_checkstring(L, 2);
    lua_settop(L, 2);
    wrap_content(L, &tag);
    return 1;
}

static int tagged_tag(lua_State* L) {
    push_unsigned(L, *(const uint64_t*)check_object(L, 1, &tagged_class));
    return 1;
}

static int tagged_content(lua_State* L) {
    check_object(L, 1, &tagged_class);
    push_content(L, 1);
    return 1;
}

static int tagged_equal(lua_State* L) {
    if (!is_object(L, 1, &tagged_class) || !is_object(L, 2, &tagged_class)) return 0;
    push_content(L, 1);
    push_content(L, 2);
    const bool same_tag = *(const uint64_t*)lua_touserdata(L, 1) == *(const uint64_t*)lua_touserdata(L, 2);
    lua_pushboolean(L, same_tag && lua_rawequal(L, -1, -2));
    return 1;
}

/* ------------------------------------------------------------------------------------------------ records */

static const char type_key; /* its address is the key of the text "type" in the registry */

/* A table of the fields, with the class, and the type as `type`. */
static int make_record(lua_State* L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    const int type = lua_type(L, 2);
    luaL_argexpected(L, type <= LUA_TNIL || type == LUA_TSTRING || lua_isinteger(L, 2), 2,
                     "name or number of a type");
    lua_settop(L, 2);
    const lua_Unsigned size = lua_rawlen(L, 1);
    lua_newtable(L);
    for (lua_Unsigned i = 1; i <= size; ++i) {
        if (lua_rawgeti(L, 1, (lua_Integer)i) == LUA_TNIL) {
            lua_pop(L, 1);
            push_null(L);
        }
        lua_rawseti(L, -2, (lua_Integer)i);
    }
    lua_pushvalue(L, 2);
    lua_setfield(L, -2, "type");
    set_class(L, &record_class);
    return 1;
}

/* ------------------------------------------------------------------------------------------------ maps */

/* User values: key and mapped value of each pair in turn; and where a key is, for keys that tables can have as they are. */
enum { map_pairs = 1, map_places = 2 };

static void push_map(lua_State* L) {
    lua_newuserdatauv(L, 0, 2);
    lua_newtable(L);
    lua_setiuservalue(L, -2, map_pairs);
    lua_newtable(L);
    lua_setiuservalue(L, -2, map_places);
    set_class(L, &map_class);
}

static bool is_simple_key(lua_State* L, int index) {
    const int type = lua_type(L, index);
    if (type == LUA_TNUMBER) return lua_compare(L, index, index, LUA_OPEQ); /* not NaN */
    return type == LUA_TSTRING || type == LUA_TBOOLEAN || is_object(L, index, &null_class);
}

/* Adds a pair of the two values on top of the stack, which it takes. */
static void add_pair(lua_State* L, int map) {
    lua_getiuservalue(L, map, map_pairs);
    const lua_Integer last = (lua_Integer)lua_rawlen(L, -1);
    lua_rotate(L, -3, 1); /* pairs key mapped */
    lua_pushvalue(L, -2);
    lua_rawseti(L, -4, last + 1);
    lua_rawseti(L, -3, last + 2);
    if (is_simple_key(L, -1)) {
        lua_getiuservalue(L, map, map_places);
        lua_pushvalue(L, -2);
        if (lua_rawget(L, -2) == LUA_TNIL) { /* the first of a key is the one that is found */
            lua_pushvalue(L, -3);
            lua_pushinteger(L, last + 1);
            lua_rawset(L, -4);
        }
        lua_pop(L, 2);
    }
    lua_pop(L, 2);
}

static void null_for_nil(lua_State* L, int index) {
    if (!lua_isnil(L, index)) return;
    push_null(L);
    lua_replace(L, index);
}

/* coppice.map{{key, mapped}, ...}, in that order. */
static int make_map(lua_State* L) {
    lua_settop(L, 1);
    if (!lua_isnil(L, 1)) luaL_checktype(L, 1, LUA_TTABLE);
    push_map(L);
    const lua_Unsigned size = lua_isnil(L, 1) ? 0 : lua_rawlen(L, 1);
    for (lua_Unsigned i = 1; i <= size; ++i) {
        luaL_argexpected(L, lua_rawgeti(L, 1, (lua_Integer)i) == LUA_TTABLE, 1, "list of {key, value}");
        lua_rawgeti(L, 3, 1);
        lua_rawgeti(L, 3, 2);
        null_for_nil(L, 4);
        null_for_nil(L, 5);
        add_pair(L, 2);
        lua_pop(L, 1);
    }
    return 1;
}

/* Where the key at index 2 of the map at index 1 is in the pairs; 0: nowhere. */
static lua_Integer place_of_key(lua_State* L) {
    null_for_nil(L, 2);
    lua_Integer place = 0;
    if (is_simple_key(L, 2)) {
        lua_getiuservalue(L, 1, map_places);
        lua_pushvalue(L, 2);
        lua_rawget(L, -2);
        place = lua_tointeger(L, -1);
        lua_pop(L, 2);
        return place;
    }
    lua_getiuservalue(L, 1, map_pairs);
    const lua_Integer size = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i < size && place == 0; i += 2) {
        lua_rawgeti(L, -1, i);
        if (lua_compare(L, 2, -1, LUA_OPEQ)) place = i;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return place;
}

static int map_index(lua_State* L) {
    check_object(L, 1, &map_class);
    const lua_Integer place = place_of_key(L);
    if (place == 0) return 0;
    lua_getiuservalue(L, 1, map_pairs);
    lua_rawgeti(L, -1, place + 1);
    return 1;
}

/* All pairs but one are put into new tables: the places of those behind it change. */
static void remove_pair(lua_State* L, lua_Integer place) {
    lua_getiuservalue(L, 1, map_pairs);
    const int old = lua_gettop(L);
    lua_newtable(L);
    lua_setiuservalue(L, 1, map_pairs);
    lua_newtable(L);
    lua_setiuservalue(L, 1, map_places);
    const lua_Integer size = (lua_Integer)lua_rawlen(L, old);
    for (lua_Integer i = 1; i < size; i += 2) {
        if (i == place) continue;
        lua_rawgeti(L, old, i);
        lua_rawgeti(L, old, i + 1);
        add_pair(L, 1);
    }
}

static int map_assign(lua_State* L) {
    check_object(L, 1, &map_class);
    lua_settop(L, 3);
    const lua_Integer place = place_of_key(L);
    if (lua_isnil(L, 3)) {
        if (place != 0) remove_pair(L, place);
    } else if (place == 0) {
        add_pair(L, 1);
    } else {
        lua_getiuservalue(L, 1, map_pairs);
        lua_pushvalue(L, 3);
        lua_rawseti(L, -2, place + 1);
    }
    return 0;
}

static int map_length(lua_State* L) {
    check_object(L, 1, &map_class);
    lua_getiuservalue(L, 1, map_pairs);
    lua_pushinteger(L, (lua_Integer)(lua_rawlen(L, -1) / 2));
    return 1;
}

/* Upvalues: the pairs, and how many of them there were so far, keys and values. */
static int next_pair(lua_State* L) {
    const lua_Integer at = lua_tointeger(L, lua_upvalueindex(2));
    lua_rawgeti(L, lua_upvalueindex(1), at + 1);
    if (lua_isnil(L, -1)) return 1;
    lua_rawgeti(L, lua_upvalueindex(1), at + 2);
    lua_pushinteger(L, at + 2);
    lua_replace(L, lua_upvalueindex(2));
    return 2;
}

static int map_walk(lua_State* L) {
    check_object(L, 1, &map_class);
    lua_getiuservalue(L, 1, map_pairs);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_pair, 2);
    return 1;
}

/* ------------------------------------------------------------------------------------------------ to the library */

/* Why something is no value: nothing may be raised while handles are open, so it is written down. */
struct refusal {
    int code;
    char text[160]; /* "": the library has it */
};

/* More than the library takes, so that it refuses; without it a table within itself would have no end. */
enum { most_nested = 100 };

static int refuse(struct refusal* why, int code, const char* text, const char* detail) {
    why->code = code;
    snprintf(why->text, sizeof why->text, text, detail);
    return code;
}

static int told(struct refusal* why, int code) {
    why->code = code;
    why->text[0] = 0;
    return code;
}

static int build(lua_State* L, int index, int depth, coppice_value* out, struct refusal* why);

/* Adds the value on top of the stack, which it pops, to a list or record. */
static int build_part(lua_State* L, int depth, coppice_value whole, struct refusal* why) {
    coppice_value part = 0;
    const int code = build(L, lua_gettop(L), depth, &part, why);
    lua_pop(L, 1);
    return code != COPPICE_OK ? code : told(why, coppice_add(whole, part));
}

static int build_parts(lua_State* L, int table, lua_Unsigned size, int depth, coppice_value whole,
                       struct refusal* why) {
    int code = COPPICE_OK;
    for (lua_Unsigned i = 1; i <= size && code == COPPICE_OK; ++i) {
        lua_rawgeti(L, table, (lua_Integer)i);
        code = build_part(L, depth, whole, why);
    }
    return code;
}

/* Adds key and mapped value, the two on top of the stack, which stay there. */
static int build_pair(lua_State* L, int depth, coppice_value whole, struct refusal* why) {
    coppice_value key = 0;
    coppice_value mapped = 0;
    const int top = lua_gettop(L);
    int code = build(L, top - 1, depth, &key, why);
    if (code != COPPICE_OK) return code;
    code = build(L, top, depth, &mapped, why);
    if (code != COPPICE_OK) {
        coppice_close(key);
        return code;
    }
    return told(why, coppice_put(whole, key, mapped));
}

/* How many elements the table has if its keys are 1 to that number, `others` apart; else -1. */
static lua_Integer size_of_list(lua_State* L, int table, lua_Integer others) {
    const lua_Integer size = (lua_Integer)lua_rawlen(L, table);
    lua_Integer count = 0;
    lua_pushnil(L);
    while (lua_next(L, table)) {
        lua_pop(L, 1);
        ++count;
    }
    if (count != size + others) return -1;
    for (lua_Integer i = 1; i <= size; ++i) {
        const int type = lua_rawgeti(L, table, i);
        lua_pop(L, 1);
        if (type == LUA_TNIL) return -1;
    }
    return size;
}

static int build_table(lua_State* L, int table, int depth, coppice_value* out, struct refusal* why) {
    const lua_Integer size = size_of_list(L, table, 0);
    int code = told(why, size >= 0 ? coppice_new_list(out) : coppice_new_map(out));
    if (code != COPPICE_OK) return code;
    if (size >= 0) return build_parts(L, table, (lua_Unsigned)size, depth, *out, why);
    lua_pushnil(L);
    while (code == COPPICE_OK && lua_next(L, table)) {
        code = build_pair(L, depth, *out, why);
        lua_pop(L, 1);
    }
    return code;
}

/* lua_getfield would make a string of the name, which needs memory. */
static int push_type_of_record(lua_State* L, int record) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &type_key);
    return lua_rawget(L, record);
}

static int build_record(lua_State* L, int record, int depth, coppice_value* out, struct refusal* why) {
    const int type = push_type_of_record(L, record);
    int code = COPPICE_OK;
    if (type == LUA_TSTRING) {
        size_t size = 0;
        const char* name = lua_tolstring(L, -1, &size);
        if (strlen(name) != size)
            code = refuse(why, COPPICE_INVALID_ARGUMENT, "the name of a record's type has a zero%s", "");
        else code = told(why, coppice_new_record(name, out));
    } else if (type == LUA_TNIL || lua_isinteger(L, -1)) {
        code = told(why, coppice_new_record_of((uint64_t)lua_tointeger(L, -1), out));
    } else {
        code = refuse(why, COPPICE_INVALID_ARGUMENT,
                      "the type of a record is a %s, not its name or its number", lua_typename(L, type));
    }
    lua_pop(L, 1);
    if (code != COPPICE_OK) return code;
    const lua_Integer size = size_of_list(L, record, type == LUA_TNIL ? 0 : 1);
    if (size < 0)
        return refuse(why, COPPICE_INVALID_ARGUMENT,
                      "a record has fields from 1 on without holes: coppice.null is nothing%s", "");
    return build_parts(L, record, (lua_Unsigned)size, depth, *out, why);
}

static int build_map(lua_State* L, int map, int depth, coppice_value* out, struct refusal* why) {
    int code = told(why, coppice_new_map(out));
    lua_getiuservalue(L, map, map_pairs);
    const int pairs = lua_gettop(L);
    const lua_Integer size = (lua_Integer)lua_rawlen(L, pairs);
    for (lua_Integer i = 1; i < size && code == COPPICE_OK; i += 2) {
        lua_rawgeti(L, pairs, i);
        lua_rawgeti(L, pairs, i + 1);
        code = build_pair(L, depth, *out, why);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
    return code;
}

static int build_content(lua_State* L, int index, const uint64_t* tag, coppice_value* out,
                         struct refusal* why) {
    size_t size = 0;
    push_content(L, index);
    const char* content = lua_tolstring(L, -1, &size);
    const int code =
        tag ? coppice_new_tagged(*tag, content, size, out) : coppice_new_bytes(content, size, out);
    lua_pop(L, 1); /* the object keeps it */
    return told(why, code);
}

static int build_object(lua_State* L, int index, int depth, coppice_value* out, struct refusal* why) {
    if (is_object(L, index, &null_class)) return told(why, coppice_new_nothing(out));
    if (is_object(L, index, &bytes_class)) return build_content(L, index, NULL, out, why);
    if (is_object(L, index, &tagged_class))
        return build_content(L, index, lua_touserdata(L, index), out, why);
    if (is_object(L, index, &uint_class))
        return told(why, coppice_new_uint64(*(const uint64_t*)lua_touserdata(L, index), out));
    if (is_object(L, index, &map_class)) return build_map(L, index, depth, out, why);
    if (is_object(L, index, &ref_class)) {
        const struct owner* ref = lua_touserdata(L, index);
        if (ref->handle == 0) return refuse(why, COPPICE_CLOSED, "this %s was closed", ref_class.name);
        return told(why, coppice_new_ref(ref->handle, out));
    }
    return refuse(why, COPPICE_INVALID_ARGUMENT, "a %s cannot be sent: it is no value of Coppice",
                  "userdata");
}

static int build_any_table(lua_State* L, int index, int depth, coppice_value* out, struct refusal* why) {
    if (is_object(L, index, &record_class)) return build_record(L, index, depth, out, why);
    if (lua_getmetatable(L, index)) {
        lua_pop(L, 1);
        return refuse(why, COPPICE_INVALID_ARGUMENT,
                      "a %s of a class of its own cannot be sent: send one without a metatable", "table");
    }
    return build_table(L, index, depth, out, why);
}

/* Calls nothing of Lua that can raise. `out` is 0 unless it returns COPPICE_OK. */
static int build(lua_State* L, int index, int depth, coppice_value* out, struct refusal* why) {
    if (depth > most_nested || !lua_checkstack(L, 12))
        return refuse(why, COPPICE_TOO_LARGE, "lists, records and maps are too deep within one another%s",
                      "");
    int code = COPPICE_OK;
    size_t size = 0;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL: return told(why, coppice_new_nothing(out));
    case LUA_TBOOLEAN: return told(why, coppice_new_bool(lua_toboolean(L, index), out));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index)) return told(why, coppice_new_int64(lua_tointeger(L, index), out));
        return told(why, coppice_new_double(lua_tonumber(L, index), out));
    case LUA_TSTRING: {
        const char* text = lua_tolstring(L, index, &size);
        return told(why, coppice_new_text(text, size, out));
    }
    case LUA_TUSERDATA: code = build_object(L, index, depth + 1, out, why); break;
    case LUA_TTABLE: code = build_any_table(L, index, depth + 1, out, why); break;
    default:
        return refuse(why, COPPICE_INVALID_ARGUMENT, "a %s cannot be sent: it is no value of Coppice",
                      lua_typename(L, lua_type(L, index)));
    }
    if (code != COPPICE_OK) {
        coppice_close(*out);
        *out = 0;
    }
    return code;
}

coppice_value value_argument(lua_State* L, int index) {
    coppice_value made = 0;
    struct refusal why;
    const int top = lua_gettop(L);
    if (build(L, index, 0, &made, &why) != COPPICE_OK) {
        lua_settop(L, top);
        raise_error(L, why.code, why.text[0] ? why.text : NULL);
    }
    return made;
}

/* ------------------------------------------------------------------------------------------------ from the library */

struct reading {
    int count; /* how many are open, the whole first */
    coppice_value open[most_nested];
};

struct reading* new_reading(lua_State* L) {
    struct reading* made = lua_newuserdatauv(L, sizeof *made, 0);
    made->count = 0;
    made->open[0] = 0;
    set_class(L, &reading_class);
    return made;
}

coppice_value* value_to_read(struct reading* reading) {
    reading->count = 1;
    return &reading->open[0];
}

static void close_last(struct reading* reading) { coppice_close(reading->open[--reading->count]); }

static int close_reading(lua_State* L) {
    struct reading* reading = lua_touserdata(L, 1);
    while (reading->count > 0) close_last(reading);
    return 0;
}

static void push_last(lua_State* L, struct reading* reading, bool within);

/* Pushes one part of the last value. */
static void push_part(lua_State* L, struct reading* reading,
                      int (*part)(coppice_value, size_t, coppice_value*), size_t index) {
    if (reading->count == most_nested)
        raise_error(L, COPPICE_TOO_LARGE, "lists, records and maps are too deep within one another");
    coppice_value* at = &reading->open[reading->count];
    check(L, part(reading->open[reading->count - 1], index, at));
    ++reading->count;
    push_last(L, reading, true);
}

static void push_parts(lua_State* L, struct reading* reading) {
    size_t size = 0;
    check(L, coppice_value_size(reading->open[reading->count - 1], &size));
    lua_createtable(L, size < 1024 ? (int)size : 1024, 0);
    for (size_t i = 0; i < size; ++i) {
        push_part(L, reading, coppice_value_at, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_pairs(lua_State* L, struct reading* reading) {
    size_t size = 0;
    check(L, coppice_value_size(reading->open[reading->count - 1], &size));
    push_map(L);
    const int map = lua_gettop(L);
    for (size_t i = 0; i < size; ++i) {
        push_part(L, reading, coppice_value_key, i);
        push_part(L, reading, coppice_value_at, i);
        add_pair(L, map);
    }
}

static void push_record(lua_State* L, struct reading* reading) {
    uint64_t type = 0;
    check(L, coppice_value_type(reading->open[reading->count - 1], &type));
    push_parts(L, reading);
    if (type != 0) {
        lua_pushinteger(L, (lua_Integer)type);
        lua_setfield(L, -2, "type");
    }
    set_class(L, &record_class);
}

static void push_bytes(lua_State* L, coppice_value v, bool has_tag) {
    const void* content = NULL;
    size_t size = 0;
    uint64_t tag = 0;
    check(L, has_tag ? coppice_get_tagged(v, &tag, &content, &size) : coppice_get_bytes(v, &content, &size));
    lua_pushlstring(L, size ? content : "", size);
    wrap_content(L, has_tag ? &tag : NULL);
}

static void push_number(lua_State* L, coppice_value v, int kind) {
    if (kind == COPPICE_REAL) {
        double x = 0;
        check(L, coppice_get_double(v, &x));
        lua_pushnumber(L, x);
    } else if (kind == COPPICE_UINT) {
        uint64_t n = 0;
        check(L, coppice_get_uint64(v, &n));
        push_unsigned(L, n);
    } else {
        int64_t n = 0;
        check(L, coppice_get_int64(v, &n));
        lua_pushinteger(L, n);
    }
}

static void push_text(lua_State* L, coppice_value v) {
    const char* text = NULL;
    size_t size = 0;
    check(L, coppice_get_text(v, &text, &size));
    lua_pushlstring(L, text, size);
}

/* Pushes the last value, and closes it. */
static void push_last(lua_State* L, struct reading* reading, bool within) {
    luaL_checkstack(L, 12, "a value has too many parts within one another");
    const coppice_value v = reading->open[reading->count - 1];
    int kind = COPPICE_NOTHING;
    int b = 0;
    check(L, coppice_value_kind_of(v, &kind));
    switch (kind) {
    case COPPICE_BOOL:
        check(L, coppice_get_bool(v, &b));
        lua_pushboolean(L, b);
        break;
    case COPPICE_INT:
    case COPPICE_UINT:
    case COPPICE_REAL: push_number(L, v, kind); break;
    case COPPICE_TEXT: push_text(L, v); break;
    case COPPICE_BYTES: push_bytes(L, v, false); break;
    case COPPICE_TAGGED: push_bytes(L, v, true); break;
    case COPPICE_LIST: push_parts(L, reading); break;
    case COPPICE_RECORD: push_record(L, reading); break;
    case COPPICE_MAP: push_pairs(L, reading); break;
    case COPPICE_REF: check(L, coppice_get_ref(v, &new_owner(L, &ref_class)->handle)); break;
    default:
        if (within) push_null(L);
        else lua_pushnil(L);
    }
    close_last(reading);
}

void push_value(lua_State* L, struct reading* reading) { push_last(L, reading, false); }

/* ------------------------------------------------------------------------------------------------ module */

/* coppice.as_tagged(value): within another value a tagged one arrives as a record, for which this gives it; nil of others. */
static int as_tagged(lua_State* L) {
    struct reading* reading = new_reading(L);
    coppice_value* at = value_to_read(reading);
    *at = value_argument(L, 1);
    uint64_t tag = 0;
    const void* content = NULL;
    size_t size = 0;
    const int code = coppice_get_tagged(*at, &tag, &content, &size);
    if (code == COPPICE_OK) push_bytes(L, *at, true);
    else lua_pushnil(L);
    close_last(reading);
    return 1;
}

static const char* kind_of_object(lua_State* L, int index) {
    const struct {
        const struct class* of;
        const char* kind;
    } kinds[] = {{&null_class, "nothing"},  {&uint_class, "unsigned"}, {&bytes_class, "bytes"},
                 {&tagged_class, "tagged"}, {&record_class, "record"}, {&map_class, "map"},
                 {&ref_class, "ref"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; ++i)
        if (is_object(L, index, kinds[i].of)) return kinds[i].kind;
    if (lua_type(L, index) != LUA_TTABLE || lua_getmetatable(L, index)) return NULL;
    return size_of_list(L, index, 0) >= 0 ? "list" : "map";
}

/* coppice.kind(value): what it is sent as, as math.type and io.type tell; nil of what cannot be sent. */
static int kind(lua_State* L) {
    const char* is = NULL;
    switch (lua_type(L, 1)) {
    case LUA_TNIL: is = "nothing"; break;
    case LUA_TBOOLEAN: is = "boolean"; break;
    case LUA_TNUMBER: is = lua_isinteger(L, 1) ? "integer" : "real"; break;
    case LUA_TSTRING: is = "text"; break;
    default: is = kind_of_object(L, 1);
    }
    lua_pushstring(L, is);
    return 1;
}

/* coppice.show(value): as text, for people. */
static int show(lua_State* L) {
    char text[4096];
    const coppice_value v = value_argument(L, 1);
    const int code = coppice_value_text(v, text, sizeof text);
    coppice_close(v);
    check(L, code);
    lua_pushstring(L, text);
    return 1;
}

static int type_id(lua_State* L) {
    lua_pushinteger(L, (lua_Integer)coppice_type_id(name_argument(L, 1)));
    return 1;
}

void open_values(lua_State* L) {
    const luaL_Reg null_meta[] = {{"__tostring", null_to_string}, {NULL, NULL}};
    define_class(L, &null_class, NULL, NULL, null_meta);
    const luaL_Reg uint_fields[] = {{"bits", uint_bits}, {NULL, NULL}};
    const luaL_Reg uint_meta[] = {{"__tostring", uint_to_string}, {"__eq", uint_equal}, {NULL, NULL}};
    define_class(L, &uint_class, uint_fields, NULL, uint_meta);
    const luaL_Reg bytes_meta[] = {
        {"__tostring", bytes_to_string}, {"__len", bytes_length}, {"__eq", bytes_equal}, {NULL, NULL}};
    define_class(L, &bytes_class, NULL, NULL, bytes_meta);
    const luaL_Reg tagged_fields[] = {{"tag", tagged_tag}, {"content", tagged_content}, {NULL, NULL}};
    const luaL_Reg tagged_meta[] = {{"__eq", tagged_equal}, {"__tostring", show}, {NULL, NULL}};
    define_class(L, &tagged_class, tagged_fields, NULL, tagged_meta);
    const luaL_Reg record_meta[] = {{"__tostring", show}, {NULL, NULL}};
    define_class(L, &record_class, NULL, NULL, record_meta);
    const luaL_Reg map_meta[] = {{"__index", map_index}, {"__newindex", map_assign}, {"__len", map_length},
                                 {"__pairs", map_walk},  {"__tostring", show},       {NULL, NULL}};
    define_class(L, &map_class, NULL, NULL, map_meta);
    const luaL_Reg reading_meta[] = {{"__gc", close_reading}, {NULL, NULL}};
    define_class(L, &reading_class, NULL, NULL, reading_meta);

    lua_pushliteral(L, "type");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &type_key);
    lua_newuserdatauv(L, 0, 0);
    set_class(L, &null_class);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &null_object);
    lua_setfield(L, -2, "null");
    const luaL_Reg functions[] = {{"uint", make_uint},     {"bytes", make_bytes},
                                  {"tagged", make_tagged}, {"record", make_record},
                                  {"map", make_map},       {"as_tagged", as_tagged},
                                  {"show", show},          {"kind", kind},
                                  {"type_id", type_id},    {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
