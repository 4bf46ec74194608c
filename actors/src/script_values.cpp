// Conversions between value and Lua; see script_values.hpp. Tables are read raw: nothing of the script runs meanwhile, so what
// was checked stays as it was.
#include "script_values.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>
#include <lauxlib.h>

#include "coppice/format.hpp"
#include "script_machine.hpp"

namespace coppice::actors::script_parts {

namespace {

// Names of metatables in the registry.
constexpr const char* list_table = "coppice.list";
constexpr const char* map_table = "coppice.map";
constexpr const char* record_table = "coppice.record";
constexpr const char* bytes_table = "coppice.bytes";
constexpr const char* unsigned_table = "coppice.unsigned";
constexpr const char* ref_table = "coppice.ref";
constexpr const char* error_table = "coppice.error";
// Tables in the registry, both by a record type's id: its name; the metatable that the script has declared for it.
constexpr const char* type_names = "coppice.type_names";
constexpr const char* type_tables = "coppice.type_tables";

const char nothing_key = 0;  // its address is coppice.nothing

// What one more value of a message counts as.
constexpr std::size_t bytes_a_value = sizeof(value);

std::span<const char> content_of(lua_State* l, int index) {
    return {static_cast<const char*>(lua_touserdata(l, index)), lua_rawlen(l, index)};
}

// ---------------------------------------------------------------- to Lua

void set_table(lua_State* l, const char* name) {
    luaL_getmetatable(l, name);
    lua_setmetatable(l, -2);
}

class pusher {
public:
    pusher(lua_State* l, const read_references& refs) noexcept : l_{l}, refs_{refs} {}

    void push(const value& v, int depth) {
        luaL_checkstack(l_, 6, "value");
        std::visit([&](const auto& held) { one(held, depth); }, v.held());
    }

private:
    void one(std::monostate, int depth) {
        if (depth == 0) lua_pushnil(l_);
        else lua_pushlightuserdata(l_, const_cast<char*>(&nothing_key));
    }
    void one(bool b, int) { lua_pushboolean(l_, b); }
    void one(std::int64_t n, int) { lua_pushinteger(l_, n); }
    void one(std::uint64_t n, int) {
        if (n <= static_cast<std::uint64_t>(INT64_MAX))
            return lua_pushinteger(l_, static_cast<lua_Integer>(n));
        std::memcpy(lua_newuserdatauv(l_, sizeof n, 0), &n, sizeof n);
        set_table(l_, unsigned_table);
    }
    void one(double n, int) { lua_pushnumber(l_, n); }
    void one(const std::string& s, int) { push_text(l_, s); }
    void one(const value::bytes& b, int) {
        void* to = lua_newuserdatauv(l_, b.size(), 0);
        if (!b.empty()) std::memcpy(to, b.data(), b.size());
        set_table(l_, bytes_table);
    }
    void one(const value::list& list, int depth) {
        fields(list, depth);
        set_table(l_, list_table);
    }
    void one(const value::record& r, int depth) {
        fields(r.fields, depth);
        if (r.type != 0) {
            push_type_name(l_, r.type);
            lua_setfield(l_, -2, "type");
            luaL_getsubtable(l_, LUA_REGISTRYINDEX, type_tables);
            lua_rawgeti(l_, -1, static_cast<lua_Integer>(r.type));
            lua_remove(l_, -2);
            if (!lua_isnil(l_, -1)) return static_cast<void>(lua_setmetatable(l_, -2));
            lua_pop(l_, 1);
        }
        set_table(l_, record_table);
    }
    void one(const value::map& map, int depth) {
        lua_createtable(l_, 0, static_cast<int>(std::min<std::size_t>(map.size(), INT_MAX)));
        for (const auto& [key, mapped] : map) {
            push(key, depth + 1);
            // A key of Lua's cannot be NaN.
            if (const auto* real = key.get_if<double>(); real && *real != *real) {
                lua_pop(l_, 1);
                push_text(l_, "nan");
            }
            push(mapped, depth + 1);
            lua_rawset(l_, -3);
        }
        set_table(l_, map_table);
    }
    void one(const wire_reference& r, int) {
        held_ref held{.to = {}, .known = r};
        if (is_shared(r)) held = {.to = shared(r), .known = {}};
        for (std::size_t i = 0; i < refs_.known.size(); ++i)
            if (refs_.known[i] == r) held.to = refs_.refs[i];
        push_ref(l_, held);
    }
    void fields(const std::vector<value>& all, int depth) {
        lua_createtable(l_, static_cast<int>(std::min<std::size_t>(all.size(), INT_MAX)), 0);
        for (std::size_t i = 0; i < all.size(); ++i) {
            push(all[i], depth + 1);
            lua_rawseti(l_, -2, static_cast<lua_Integer>(i + 1));
        }
    }

    lua_State* l_;
    const read_references& refs_;
};

// ---------------------------------------------------------------- from Lua

// What stands before what among the keys of a map: the same table gives the same message, whatever order Lua has it in.
bool is_before(const value::entry& a, const value::entry& b) {
    if (a.key.kind() != b.key.kind()) return a.key.kind() < b.key.kind();
    return std::visit(
        [&]<class T>(const T& key) {
            if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string> ||
                          std::is_same_v<T, value::bytes>)
                return key < *b.key.get_if<T>();
            else return false;
        },
        a.key.held());
}

class reader {
public:
    explicit reader(lua_State* l) noexcept : l_{l}, machine_{machine::of(l)} {}

    value read(int index, int depth) {
        luaL_checkstack(l_, 6, "value");
        take(bytes_a_value);
        machine_.charge(10);
        switch (lua_type(l_, index)) {
        case LUA_TNIL: return {};
        case LUA_TBOOLEAN: return value{lua_toboolean(l_, index) != 0};
        case LUA_TNUMBER:
            if (lua_isinteger(l_, index)) return value{std::int64_t{lua_tointeger(l_, index)}};
            return value{lua_tonumber(l_, index)};
        case LUA_TSTRING: return text(index);
        case LUA_TLIGHTUSERDATA:
            if (lua_touserdata(l_, index) == &nothing_key) return {};
            break;
        case LUA_TUSERDATA: return userdata(index);
        case LUA_TTABLE: return table(lua_absindex(l_, index), depth + 1);
        default: break;
        }
        refuse(fmt::format("a {} cannot be sent", luaL_typename(l_, index)));
    }

private:
    [[noreturn]] void refuse(const std::string& why) {
        luaL_error(l_, "%s", why.c_str());
        std::abort();  // luaL_error does not return, which its declaration does not say
    }
    void take(std::size_t bytes) {
        taken_ += bytes;
        if (taken_ > machine_.options().memory)
            refuse(fmt::format("the message takes more than {} bytes of memory (script_options::memory)",
                               machine_.options().memory));
    }
    value text(int index) {
        std::size_t size = 0;
        const char* s = lua_tolstring(l_, index, &size);
        take(size);
        machine_.charge(size / 32);
        if (!is_text({s, size}))
            refuse("a string that is no UTF-8 text cannot be sent: make it coppice.bytes(...)");
        return value{std::string{s, size}};
    }
    value userdata(int index) {
        if (luaL_testudata(l_, index, bytes_table)) {
            const auto content = std::as_bytes(content_of(l_, index));
            take(content.size());
            return value{value::bytes(content.begin(), content.end())};
        }
        if (const void* n = luaL_testudata(l_, index, unsigned_table)) {
            std::uint64_t number = 0;
            std::memcpy(&number, n, sizeof number);
            return value{number};
        }
        if (luaL_testudata(l_, index, ref_table)) {
            const held_ref& r = check_ref(l_, index);
            if (r.known.actor != 0) return value{r.known};
            if (!r.to) return value{wire_reference{}};
            if (!r.to.is_remote()) return value{share(r.to)};
            return value{machine_.self().reference_to(r.to)};
        }
        refuse("this object cannot be sent");
    }
    [[nodiscard]] bool has_table(int index, const char* name) {
        if (!lua_getmetatable(l_, index)) return false;
        luaL_getmetatable(l_, name);
        const bool is = lua_rawequal(l_, -1, -2);
        lua_pop(l_, 2);
        return is;
    }
    // The metatable of a record: the common one, or one that was declared, which has a field for that.
    [[nodiscard]] bool is_record(int index) {
        if (!lua_getmetatable(l_, index)) return false;
        lua_pushstring(l_, "coppice_record");
        lua_rawget(l_, -2);
        const bool is = lua_toboolean(l_, -1);
        lua_pop(l_, 2);
        return is;
    }
    value table(int index, int depth) {
        if (depth > limits::wire_nesting)
            refuse(
                fmt::format("nested more than {} deep (limits::wire_nesting), or a table that holds itself",
                            limits::wire_nesting));
        if (is_record(index)) return record(index, depth);
        if (has_table(index, map_table)) return map(index, depth);
        if (has_table(index, list_table)) return value{sequence(index, depth)};
        return is_sequence(index) ? value{sequence(index, depth)} : map(index, depth);
    }
    [[nodiscard]] bool is_sequence(int index) {
        lua_Integer entries = 0;
        lua_Integer highest = 0;
        for (lua_pushnil(l_); lua_next(l_, index); lua_pop(l_, 1)) {
            if (!lua_isinteger(l_, -2) || lua_tointeger(l_, -2) < 1) return lua_pop(l_, 2), false;
            highest = std::max<lua_Integer>(highest, lua_tointeger(l_, -2));
            ++entries;
        }
        machine_.charge(static_cast<std::uint64_t>(entries));
        return highest == entries;
    }
    value::list sequence(int index, int depth) {
        value::list all;
        const lua_Unsigned size = lua_rawlen(l_, index);
        take(0);
        for (lua_Unsigned i = 1; i <= size; ++i) {
            lua_rawgeti(l_, index, static_cast<lua_Integer>(i));
            all.push_back(read(-1, depth));
            lua_pop(l_, 1);
        }
        return all;
    }
    value record(int index, int depth) {
        value::record r{sequence(index, depth), 0};
        lua_pushstring(l_, "type");
        lua_rawget(l_, index);
        if (std::size_t size = 0; lua_type(l_, -1) == LUA_TSTRING) {
            const char* name = lua_tolstring(l_, -1, &size);
            r.type = id_of_type({name, size});
        }
        lua_pop(l_, 1);
        return value{std::move(r)};
    }
    value map(int index, int depth) {
        value::map all;
        for (lua_pushnil(l_); lua_next(l_, index); lua_pop(l_, 1)) {
            value key = read(-2, depth);
            value mapped = read(-1, depth);
            all.push_back({std::move(key), std::move(mapped)});
        }
        std::sort(all.begin(), all.end(), &is_before);
        return value{std::move(all)};
    }

    lua_State* l_;
    machine& machine_;
    std::size_t taken_ = 0;
};

// ---------------------------------------------------------------- what userdata can do

int bytes_length(lua_State* l) {
    luaL_checkudata(l, 1, bytes_table);
    lua_pushinteger(l, static_cast<lua_Integer>(lua_rawlen(l, 1)));
    return 1;
}
int bytes_text(lua_State* l) {
    luaL_checkudata(l, 1, bytes_table);
    const auto content = content_of(l, 1);
    push_text(l, {content.data(), content.size()});
    return 1;
}
int bytes_equal(lua_State* l) {
    const bool both = luaL_testudata(l, 1, bytes_table) && luaL_testudata(l, 2, bytes_table);
    lua_pushboolean(l, both && std::ranges::equal(content_of(l, 1), content_of(l, 2)));
    return 1;
}
int bytes_name(lua_State* l) {
    luaL_checkudata(l, 1, bytes_table);
    lua_pushfstring(l, "bytes (%I)", static_cast<LUAI_UACINT>(lua_rawlen(l, 1)));
    return 1;
}
int new_bytes(lua_State* l) {
    std::size_t size = 0;
    const char* s = luaL_checklstring(l, 1, &size);
    void* to = lua_newuserdatauv(l, size, 0);
    if (size != 0) std::memcpy(to, s, size);
    set_table(l, bytes_table);
    return 1;
}

std::uint64_t unsigned_at(lua_State* l, int index) {
    std::uint64_t n = 0;
    std::memcpy(&n, luaL_checkudata(l, index, unsigned_table), sizeof n);
    return n;
}
int unsigned_name(lua_State* l) {
    push_text(l, std::to_string(unsigned_at(l, 1)));
    return 1;
}
int unsigned_equal(lua_State* l) {
    const bool both = luaL_testudata(l, 1, unsigned_table) && luaL_testudata(l, 2, unsigned_table);
    lua_pushboolean(l, both && unsigned_at(l, 1) == unsigned_at(l, 2));
    return 1;
}
// From its digits.
int new_unsigned(lua_State* l) {
    std::size_t size = 0;
    const char* digits = luaL_checklstring(l, 1, &size);
    std::uint64_t n = 0;
    const auto read = std::from_chars(digits, digits + size, n);
    if (read.ec != std::errc{} || read.ptr != digits + size)
        return luaL_error(l, "coppice.unsigned: expected digits of a number below 2^64");
    if (n <= static_cast<std::uint64_t>(INT64_MAX)) {
        lua_pushinteger(l, static_cast<lua_Integer>(n));
        return 1;
    }
    std::memcpy(lua_newuserdatauv(l, sizeof n, 0), &n, sizeof n);
    set_table(l, unsigned_table);
    return 1;
}

int ref_name(lua_State* l) {
    const held_ref& r = check_ref(l, 1);
    if (r.to) push_text(l, fmt::format("{}", r.to));
    else push_text(l, r.known.actor != 0 ? to_string(value{r.known}) : "nobody");
    return 1;
}
int ref_equal(lua_State* l) {
    const auto* a = static_cast<const held_ref*>(luaL_testudata(l, 1, ref_table));
    const auto* b = static_cast<const held_ref*>(luaL_testudata(l, 2, ref_table));
    lua_pushboolean(l, a && b && a->to == b->to && (a->to || a->known == b->known));
    return 1;
}

// (name, metatable or nil)
int name_type_for_prelude(lua_State* l) {
    std::size_t size = 0;
    const char* name = luaL_checklstring(l, 1, &size);
    const auto id = static_cast<lua_Integer>(type_id({name, size}));
    name_type(l, {name, size});
    if (lua_istable(l, 2)) {
        luaL_getsubtable(l, LUA_REGISTRYINDEX, type_tables);
        lua_pushvalue(l, 2);
        lua_rawseti(l, -2, id);
    }
    return 0;
}

void make_table(lua_State* l, const char* name, const luaL_Reg* functions, const luaL_Reg* methods) {
    luaL_newmetatable(l, name);
    lua_pushboolean(l, 0);
    lua_setfield(l, -2, "__metatable");  // getmetatable() gives false, and nobody sets another
    if (functions) luaL_setfuncs(l, functions, 0);
    if (methods) {
        lua_newtable(l);
        luaL_setfuncs(l, methods, 0);
        lua_setfield(l, -2, "__index");
    }
    lua_pop(l, 1);
}

}  // namespace

void open_values(lua_State* l) {
    static constexpr luaL_Reg of_bytes[] = {{"__len", called<&bytes_length>},
                                            {"__eq", called<&bytes_equal>},
                                            {"__tostring", called<&bytes_name>},
                                            {nullptr, nullptr}};
    static constexpr luaL_Reg bytes_methods[] = {{"text", called<&bytes_text>}, {nullptr, nullptr}};
    static constexpr luaL_Reg of_unsigned[] = {
        {"__eq", called<&unsigned_equal>}, {"__tostring", called<&unsigned_name>}, {nullptr, nullptr}};
    static constexpr luaL_Reg of_ref[] = {
        {"__eq", called<&ref_equal>}, {"__tostring", called<&ref_name>}, {nullptr, nullptr}};
    make_table(l, list_table, nullptr, nullptr);
    make_table(l, map_table, nullptr, nullptr);
    make_table(l, record_table, nullptr, nullptr);
    make_table(l, bytes_table, of_bytes, bytes_methods);
    make_table(l, unsigned_table, of_unsigned, nullptr);
    make_table(l, ref_table, of_ref, nullptr);
    luaL_getmetatable(l, record_table);
    lua_pushboolean(l, 1);
    lua_setfield(l, -2, "coppice_record");
    lua_pop(l, 1);

    // For the prelude, which takes them away from `coppice` again.
    for (const char* name : {list_table, map_table, record_table}) {
        luaL_getmetatable(l, name);
        lua_setfield(l, -2, std::strchr(name, '.') + 1);
    }
    lua_pushlightuserdata(l, const_cast<char*>(&nothing_key));
    lua_setfield(l, -2, "nothing");
    static constexpr luaL_Reg functions[] = {{"bytes", called<&new_bytes>},
                                             {"unsigned", called<&new_unsigned>},
                                             {"name_type", called<&name_type_for_prelude>},
                                             {nullptr, nullptr}};
    luaL_setfuncs(l, functions, 0);
    luaL_newmetatable(l, error_table);
    lua_setfield(l, -2, "error_table");
}

void push_text(lua_State* l, std::string_view text) { lua_pushlstring(l, text.data(), text.size()); }

void push_ref(lua_State* l, const held_ref& r) {
    static_assert(std::is_trivially_copyable_v<held_ref>, "it is left to the collector as it is");
    ::new (lua_newuserdatauv(l, sizeof(held_ref), 0)) held_ref{r};
    set_table(l, ref_table);
}

int push_error(lua_State* l, const error& e) {
    lua_pushnil(l);
    lua_createtable(l, 0, 2);
    push_text(l, to_string(e.code()));
    lua_setfield(l, -2, "code");
    push_text(l, e.text().empty() ? to_string(e.code()) : e.text());
    lua_setfield(l, -2, "text");
    set_table(l, error_table);
    return 2;
}

void push_value(lua_State* l, const value& v, const read_references& refs) { pusher{l, refs}.push(v, 0); }

std::uint64_t bytes_in_lua(const value& v) {
    // A place in a list, or in a map with its key; a table and a userdata beside what they hold.
    constexpr std::uint64_t place = 16;
    constexpr std::uint64_t entry = 40;
    constexpr std::uint64_t object = 56;
    if (const auto* text = v.get_if<std::string>()) return text->size();
    if (const auto* bytes = v.get_if<value::bytes>()) return bytes->size();
    const auto of_fields = [](const std::vector<value>& all) {
        std::uint64_t sum = object;
        for (const value& each : all) sum += place + bytes_in_lua(each);
        return sum;
    };
    if (const auto* list = v.get_if<value::list>()) return of_fields(*list);
    if (const auto* record = v.get_if<value::record>()) return of_fields(record->fields);
    const auto* map = v.get_if<value::map>();
    if (!map) return 0;
    std::uint64_t sum = object;
    for (const auto& [key, mapped] : *map) sum += entry + bytes_in_lua(key) + bytes_in_lua(mapped);
    return sum;
}

value to_value(lua_State* l, int index) { return reader{l}.read(index, 0); }

held_ref& check_ref(lua_State* l, int index) {
    return *static_cast<held_ref*>(luaL_checkudata(l, index, ref_table));
}

bool holds_shared(const value& v) {
    if (const auto* r = v.get_if<wire_reference>()) return is_shared(*r);
    if (const auto* list = v.get_if<value::list>()) return std::ranges::any_of(*list, &holds_shared);
    if (const auto* record = v.get_if<value::record>())
        return std::ranges::any_of(record->fields, &holds_shared);
    if (const auto* map = v.get_if<value::map>())
        return std::ranges::any_of(
            *map, [](const value::entry& e) { return holds_shared(e.key) || holds_shared(e.mapped); });
    return false;
}

void name_type(lua_State* l, std::string_view name) {
    luaL_getsubtable(l, LUA_REGISTRYINDEX, type_names);
    push_text(l, name);
    lua_rawseti(l, -2, static_cast<lua_Integer>(id_of_type(name)));
    lua_pop(l, 1);
}

void push_type_name(lua_State* l, std::uint64_t type) {
    luaL_getsubtable(l, LUA_REGISTRYINDEX, type_names);
    lua_rawgeti(l, -1, static_cast<lua_Integer>(type));
    lua_remove(l, -2);
    if (!lua_isnil(l, -1)) return;
    lua_pop(l, 1);
    push_text(l, fmt::format("#{:016x}", type));
}

bool is_text(std::string_view s) noexcept {
    for (std::size_t i = 0; i < s.size();) {
        const auto c = static_cast<unsigned char>(s[i]);
        const std::size_t n = c < 0x80                ? 1
                              : c >= 0xc2 && c < 0xe0 ? 2
                              : c >= 0xe0 && c < 0xf0 ? 3
                              : c >= 0xf0 && c < 0xf5 ? 4
                                                      : 0;
        if (n == 0 || i + n > s.size()) return false;
        for (std::size_t k = 1; k < n; ++k)
            if ((static_cast<unsigned char>(s[i + k]) & 0xc0) != 0x80) return false;
        const auto second = n > 1 ? static_cast<unsigned char>(s[i + 1]) : 0;
        if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second >= 0xa0) || (c == 0xf0 && second < 0x90) ||
            (c == 0xf4 && second >= 0x90))
            return false;
        i += n;
    }
    return true;
}

std::uint64_t id_of_type(std::string_view name) {
    std::uint64_t id = 0;
    if (name.size() == 17 && name.front() == '#') {
        const auto read = std::from_chars(name.data() + 1, name.data() + name.size(), id, 16);
        if (read.ec == std::errc{} && read.ptr == name.data() + name.size()) return id;
    }
    return type_id(name);
}

}  // namespace coppice::actors::script_parts
