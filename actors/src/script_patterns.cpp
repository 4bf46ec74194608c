// Patterns for scripts; see script_patterns.hpp. A matcher by recursion over pattern and subject, which charges the machine for
// each step; past its limit the next look at it ends the activation, and here the match is given up with an error.
#include "script_patterns.hpp"

#include <array>
#include <cctype>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include <lauxlib.h>
#include <lualib.h>

#include "script_machine.hpp"

namespace coppice::actors::script_parts {

namespace {

constexpr char escape = '%';
constexpr std::size_t most_captures = 32;  // as Lua
constexpr int most_depth = 200;  // of recursion, as Lua; each costs a frame of the scheduler's stack

class matcher {
public:
    matcher(lua_State* l, std::string_view subject, std::string_view pattern) noexcept
        : l_{l}, machine_{machine::of(l)}, s_{subject}, p_{pattern} {}

    /// The end of the match that begins at `at`, if there is one.
    std::optional<std::size_t> match_at(std::size_t at) {
        level_ = 0;
        depth_ = 0;
        return match(at, 0);
    }
    /// Captures, or the whole match where the pattern has none. How many were pushed.
    int push_captures(std::size_t begin, std::size_t end, bool whole) {
        const std::size_t n = level_ == 0 && whole ? 1 : level_;
        luaL_checkstack(l_, static_cast<int>(n), "too many captures");
        for (std::size_t i = 0; i < n; ++i) push_capture(i, begin, end);
        return static_cast<int>(n);
    }
    void push_capture(std::size_t i, std::size_t begin, std::size_t end) {
        if (i >= level_) {
            if (i != 0) luaL_error(l_, "invalid capture index %%%d", static_cast<int>(i + 1));
            return push(begin, end - begin);
        }
        const capture& c = captures_[i];
        if (c.is_position) lua_pushinteger(l_, static_cast<lua_Integer>(c.begin + 1));
        else if (c.is_open) luaL_error(l_, "unfinished capture");
        else push(c.begin, c.size);
    }

private:
    using end = std::optional<std::size_t>;
    struct capture {
        std::size_t begin = 0;
        std::size_t size = 0;
        bool is_open = false;
        bool is_position = false;
    };

    void push(std::size_t begin, std::size_t size) { lua_pushlstring(l_, s_.data() + begin, size); }
    void fail(const char* why) { luaL_error(l_, "%s", why); }
    void step() {
        machine_.charge(1);
        if (machine_.is_over()) fail("the pattern takes too long");
    }

    // ---- single characters: a class, a set, or one

    // Behind the class that begins there.
    std::size_t class_end(std::size_t p) {
        const char c = p_[p++];
        if (c == escape) {
            if (p == p_.size()) fail("malformed pattern (ends with '%')");
            return p + 1;
        }
        if (c != '[') return p;
        if (p < p_.size() && p_[p] == '^') ++p;
        do {  // a ']' that comes first is one of the set
            if (p == p_.size()) fail("malformed pattern (missing ']')");
            if (p_[p++] == escape) {
                if (p == p_.size()) fail("malformed pattern (missing ']')");
                ++p;
            }
        } while (p == p_.size() || p_[p] != ']');
        return p + 1;
    }
    static bool is_of_class(unsigned char c, char name) noexcept {
        bool is = false;
        switch (std::tolower(static_cast<unsigned char>(name))) {
        case 'a': is = std::isalpha(c) != 0; break;
        case 'c': is = std::iscntrl(c) != 0; break;
        case 'd': is = std::isdigit(c) != 0; break;
        case 'g': is = std::isgraph(c) != 0; break;
        case 'l': is = std::islower(c) != 0; break;
        case 'p': is = std::ispunct(c) != 0; break;
        case 's': is = std::isspace(c) != 0; break;
        case 'u': is = std::isupper(c) != 0; break;
        case 'w': is = std::isalnum(c) != 0; break;
        case 'x': is = std::isxdigit(c) != 0; break;
        default: return static_cast<unsigned char>(name) == c;
        }
        return is != (std::isupper(static_cast<unsigned char>(name)) != 0);
    }
    // `p` at '[', `last` at its ']'.
    bool is_in_set(unsigned char c, std::size_t p, std::size_t last) {
        bool wanted = true;
        if (p_[p + 1] == '^') {
            wanted = false;
            ++p;
        }
        while (++p < last) {
            step();
            if (p_[p] == escape) {
                ++p;
                if (is_of_class(c, p_[p])) return wanted;
            } else if (p + 2 < last && p_[p + 1] == '-') {
                if (static_cast<unsigned char>(p_[p]) <= c && c <= static_cast<unsigned char>(p_[p + 2]))
                    return wanted;
                p += 2;
            } else if (static_cast<unsigned char>(p_[p]) == c) {
                return wanted;
            }
        }
        return !wanted;
    }
    bool matches_one(std::size_t s, std::size_t p, std::size_t class_ends) {
        if (s >= s_.size()) return false;
        const auto c = static_cast<unsigned char>(s_[s]);
        switch (p_[p]) {
        case '.': return true;
        case escape: return is_of_class(c, p_[p + 1]);
        case '[': return is_in_set(c, p, class_ends - 1);
        default: return static_cast<unsigned char>(p_[p]) == c;
        }
    }

    // ---- sequences

    end match(std::size_t s, std::size_t p) {
        if (++depth_ > most_depth) fail("pattern too complex");
        const end found = match_from(s, p);
        --depth_;
        return found;
    }
    end match_from(std::size_t s, std::size_t p) {
        while (p < p_.size()) {
            step();
            switch (p_[p]) {
            case '(':
                return p + 1 < p_.size() && p_[p + 1] == ')' ? open(s, p + 2, true) : open(s, p + 1, false);
            case ')': return close(s, p + 1);
            case '$':
                if (p + 1 == p_.size()) return s == s_.size() ? end{s} : end{};
                break;
            case escape:
                if (p + 1 < p_.size()) {
                    const char kind = p_[p + 1];
                    if (kind == 'b') {
                        const end after = balanced(s, p + 2);
                        if (!after) return {};
                        s = *after;
                        p += 4;
                        continue;
                    }
                    if (kind == 'f') {
                        p += 2;
                        if (p >= p_.size() || p_[p] != '[') fail("missing '[' after '%f' in pattern");
                        const std::size_t behind = class_end(p);
                        const auto before = static_cast<unsigned char>(s == 0 ? '\0' : s_[s - 1]);
                        const auto here = static_cast<unsigned char>(s < s_.size() ? s_[s] : '\0');
                        if (is_in_set(before, p, behind - 1) || !is_in_set(here, p, behind - 1)) return {};
                        p = behind;
                        continue;
                    }
                    if (std::isdigit(static_cast<unsigned char>(kind))) {
                        const end after = same_again(s, kind);
                        if (!after) return {};
                        s = *after;
                        p += 2;
                        continue;
                    }
                }
                break;
            default: break;
            }
            const std::size_t behind = class_end(p);
            const char how = behind < p_.size() ? p_[behind] : '\0';
            if (how == '*') return longest(s, p, behind, 0);
            if (how == '+') return matches_one(s, p, behind) ? longest(s + 1, p, behind, 0) : end{};
            if (how == '-') return shortest(s, p, behind);
            const bool is_one = matches_one(s, p, behind);
            if (how == '?') {
                if (is_one)
                    if (const end found = match(s + 1, behind + 1)) return found;
                p = behind + 1;
                continue;
            }
            if (!is_one) return {};
            ++s;
            p = behind;
        }
        return s;
    }
    end longest(std::size_t s, std::size_t p, std::size_t behind, std::size_t n) {
        for (; matches_one(s + n, p, behind); ++n) step();
        for (;; --n) {
            if (const end found = match(s + n, behind + 1)) return found;
            if (n == 0) return {};
        }
    }
    end shortest(std::size_t s, std::size_t p, std::size_t behind) {
        for (;; ++s) {
            if (const end found = match(s, behind + 1)) return found;
            if (!matches_one(s, p, behind)) return {};
        }
    }
    end balanced(std::size_t s, std::size_t p) {
        if (p + 1 >= p_.size()) fail("malformed pattern (missing arguments to '%b')");
        if (s >= s_.size() || s_[s] != p_[p]) return {};
        for (std::size_t open_ones = 1; ++s < s_.size();) {
            step();
            if (s_[s] == p_[p + 1]) {
                if (--open_ones == 0) return s + 1;
            } else if (s_[s] == p_[p]) {
                ++open_ones;
            }
        }
        return {};
    }

    // ---- captures

    end open(std::size_t s, std::size_t p, bool is_position) {
        if (level_ >= most_captures) fail("too many captures");
        captures_[level_++] = {s, 0, !is_position, is_position};
        const end found = match(s, p);
        if (!found) --level_;
        return found;
    }
    end close(std::size_t s, std::size_t p) {
        std::size_t i = level_;
        while (i > 0 && !captures_[i - 1].is_open) --i;
        if (i == 0) fail("invalid pattern capture");
        capture& c = captures_[i - 1];
        c.is_open = false;
        c.size = s - c.begin;
        const end found = match(s, p);
        if (!found) c.is_open = true;
        return found;
    }
    end same_again(std::size_t s, char digit) {
        const auto i = static_cast<std::size_t>(digit - '1');
        if (i >= level_ || captures_[i].is_open || captures_[i].is_position)
            fail("invalid capture index in pattern");
        const capture& c = captures_[i];
        machine_.charge(c.size / 32);
        const bool is_same =
            s_.size() - s >= c.size && std::memcmp(s_.data() + c.begin, s_.data() + s, c.size) == 0;
        return is_same ? end{s + c.size} : end{};
    }

    lua_State* l_;
    machine& machine_;
    std::string_view s_;
    std::string_view p_;
    std::array<capture, most_captures> captures_{};
    std::size_t level_ = 0;
    int depth_ = 0;
};

std::string_view string_at(lua_State* l, int index) {
    std::size_t size = 0;
    const char* s = luaL_checklstring(l, index, &size);
    return {s, size};
}

// Where a search begins, from 0; empty: behind the end.
std::optional<std::size_t> begin_at(lua_State* l, int index, std::size_t size) {
    const lua_Integer from = luaL_optinteger(l, index, 1);
    const auto all = static_cast<lua_Integer>(size);
    const lua_Integer begin = from > 0 ? from - 1 : from == 0 ? 0 : from < -all ? 0 : all + from;
    if (begin > all) return {};
    return static_cast<std::size_t>(begin);
}

bool has_specials(std::string_view pattern) noexcept {
    return pattern.find_first_of("^$*+?.([%-") != std::string_view::npos;
}

// memmem's time grows with the subject alone.
int find_plain(lua_State* l, std::string_view s, std::string_view wanted, std::size_t from) {
    machine::of(l).charge((s.size() - from + wanted.size()) / 8);
    const void* at = ::memmem(s.data() + from, s.size() - from, wanted.data(), wanted.size());
    if (!at && !wanted.empty()) {
        lua_pushnil(l);
        return 1;
    }
    const auto begin =
        wanted.empty() ? from : static_cast<std::size_t>(static_cast<const char*>(at) - s.data());
    lua_pushinteger(l, static_cast<lua_Integer>(begin + 1));
    lua_pushinteger(l, static_cast<lua_Integer>(begin + wanted.size()));
    return 2;
}

int search(lua_State* l, bool is_find) {
    const std::string_view s = string_at(l, 1);
    std::string_view pattern = string_at(l, 2);
    const auto from = begin_at(l, 3, s.size());
    if (!from) {
        lua_pushnil(l);
        return 1;
    }
    if (is_find && (lua_toboolean(l, 4) || !has_specials(pattern))) return find_plain(l, s, pattern, *from);
    const bool is_anchored = pattern.starts_with('^');
    if (is_anchored) pattern.remove_prefix(1);
    matcher m{l, s, pattern};
    for (std::size_t at = *from; at <= s.size(); ++at) {
        if (const auto found = m.match_at(at)) {
            if (!is_find) return m.push_captures(at, *found, true);
            lua_pushinteger(l, static_cast<lua_Integer>(at + 1));
            lua_pushinteger(l, static_cast<lua_Integer>(*found));
            return 2 + m.push_captures(at, *found, false);
        }
        if (is_anchored) break;
    }
    lua_pushnil(l);
    return 1;
}
int find_pattern(lua_State* l) { return search(l, true); }
int match_pattern(lua_State* l) { return search(l, false); }

// Upvalues: subject, pattern, where to go on, where the last match ended (0: there was none).
int next_match(lua_State* l) {
    const std::string_view s = string_at(l, lua_upvalueindex(1));
    matcher m{l, s, string_at(l, lua_upvalueindex(2))};
    const auto last = lua_tointeger(l, lua_upvalueindex(4));
    for (auto at = static_cast<std::size_t>(lua_tointeger(l, lua_upvalueindex(3))); at <= s.size(); ++at) {
        const auto found = m.match_at(at);
        if (!found || static_cast<lua_Integer>(*found) + 1 == last) continue;
        lua_pushinteger(l, static_cast<lua_Integer>(*found));
        lua_replace(l, lua_upvalueindex(3));
        lua_pushinteger(l, static_cast<lua_Integer>(*found) + 1);
        lua_replace(l, lua_upvalueindex(4));
        return m.push_captures(at, *found, true);
    }
    return 0;
}
int gmatch(lua_State* l) {
    const std::string_view s = string_at(l, 1);
    static_cast<void>(string_at(l, 2));
    const auto from = begin_at(l, 3, s.size());
    lua_settop(l, 2);
    lua_pushinteger(l, static_cast<lua_Integer>(from.value_or(s.size() + 1)));
    lua_pushinteger(l, 0);
    lua_pushcclosure(l, called<&next_match>, 4);
    return 1;
}

// What stands in the place of a match, if it is not kept.
std::optional<std::string> replacement(lua_State* l, matcher& m, std::string_view s, std::size_t begin,
                                       std::size_t end) {
    const int kind = lua_type(l, 3);
    if (kind == LUA_TSTRING || kind == LUA_TNUMBER) {
        const std::string_view form = string_at(l, 3);
        std::string made;
        for (std::size_t i = 0; i < form.size(); ++i) {
            if (form[i] != escape) {
                made += form[i];
                continue;
            }
            const char c = ++i < form.size() ? form[i] : '\0';
            if (c == escape) made += c;
            else if (c == '0') made += s.substr(begin, end - begin);
            else if (std::isdigit(static_cast<unsigned char>(c))) {
                m.push_capture(static_cast<std::size_t>(c - '1'), begin, end);
                made += string_at(l, -1);
                lua_pop(l, 1);
            } else luaL_error(l, "invalid use of '%%' in replacement string");
        }
        return made;
    }
    if (kind == LUA_TFUNCTION) {
        lua_pushvalue(l, 3);
        lua_call(l, m.push_captures(begin, end, true), 1);
    } else {
        m.push_capture(0, begin, end);
        lua_gettable(l, 3);
    }
    std::optional<std::string> made;
    if (lua_toboolean(l, -1)) {
        if (!lua_isstring(l, -1)) luaL_error(l, "invalid replacement value (a %s)", luaL_typename(l, -1));
        made = std::string{string_at(l, -1)};
    }
    lua_pop(l, 1);
    return made;
}

int gsub(lua_State* l) {
    const std::string_view s = string_at(l, 1);
    std::string_view pattern = string_at(l, 2);
    const int kind = lua_type(l, 3);
    luaL_argexpected(
        l, kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TFUNCTION || kind == LUA_TTABLE, 3,
        "string/function/table");
    const lua_Integer most = luaL_optinteger(l, 4, static_cast<lua_Integer>(s.size()) + 1);
    lua_settop(l, 3);
    const bool is_anchored = pattern.starts_with('^');
    if (is_anchored) pattern.remove_prefix(1);
    machine& owner = machine::of(l);
    matcher m{l, s, pattern};
    std::string made;
    std::size_t at = 0;
    std::optional<std::size_t> last;  // where the last match ended: an empty one there is none
    lua_Integer count = 0;
    while (count < most) {
        const auto found = m.match_at(at);
        if (found && found != last) {
            ++count;
            const auto in_place = replacement(l, m, s, at, *found);
            const auto part = in_place ? std::string_view{*in_place} : s.substr(at, *found - at);
            owner.charge(part.size() / 32);
            made += part;
            at = *found;
            last = found;
        } else if (at < s.size()) {
            made += s[at++];
        } else {
            break;
        }
        if (made.size() > owner.options().memory) luaL_error(l, "not enough memory");
        if (is_anchored) break;
    }
    if (at < s.size()) made += s.substr(at);
    lua_pushlstring(l, made.data(), made.size());
    lua_pushinteger(l, count);
    return 2;
}

}  // namespace

void open_patterns(lua_State* l) {
    static constexpr luaL_Reg functions[] = {{"find", called<&find_pattern>},
                                             {"match", called<&match_pattern>},
                                             {"gmatch", called<&gmatch>},
                                             {"gsub", called<&gsub>},
                                             {nullptr, nullptr}};
    lua_getglobal(l, LUA_STRLIBNAME);
    luaL_setfuncs(l, functions, 0);
    lua_pop(l, 1);
}

}  // namespace coppice::actors::script_parts
