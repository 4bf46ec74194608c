// Mail of scripts: which mail a script wants, what it sees of it, and its answers; see script_mail.hpp.
// A request is held by an object of Lua, so that one that the script forgets is answered when it is collected.
#include "script_mail.hpp"

#include <algorithm>
#include <new>

#include <fmt/format.h>
#include <lauxlib.h>

#include "coppice/tagged.hpp"
#include "script_machine.hpp"
#include "script_values.hpp"

namespace coppice::actors::script_parts {

namespace {

constexpr const char* mail_table = "coppice.mail";
constexpr const char* owed_table = "coppice.owed";

// What type a script sees a value as, if it is no record of a type.
constexpr std::string_view plain_value = "value";
constexpr std::string_view end_of_another = "down";

using owed_request = std::shared_ptr<request<any_request>>;

std::uint64_t type_of(const value& v) noexcept {
    const auto* r = v.get_if<value::record>();
    return r ? r->type : 0;
}

bool names_it(const std::vector<std::string>& types, std::uint64_t type) {
    return std::ranges::any_of(
        types, [&](const std::string& t) { return type == 0 ? t == plain_value : id_of_type(t) == type; });
}

value of_tagged(const tagged& t) {
    return value::record{{t.tag, value::bytes{t.content}}, type_id(message_name<tagged>)};
}

// ---------------------------------------------------------------- answering

owed_request take_owed(lua_State* l) {
    auto* held = static_cast<owed_request*>(luaL_testudata(l, 1, owed_table));
    if (!held) luaL_error(l, "this mail asks for no answer");
    if (!*held || !**held) luaL_error(l, "this request has been answered");
    return std::move(*held);
}

int reply(lua_State* l) {
    value v = to_value(l, 2);
    auto* held = static_cast<owed_request*>(luaL_testudata(l, 1, owed_table));
    if (held && *held && (*held)->sender().is_remote() && holds_shared(v))
        return push_error(l, cannot_leave());
    take_owed(l)->reply(std::move(v));
    lua_pushboolean(l, 1);
    return 1;
}
int refuse(lua_State* l) {
    std::size_t size = 0;
    const char* text = luaL_checklstring(l, 2, &size);
    std::string why{text, size};
    take_owed(l)->fail(std::move(why));
    return 0;
}
int forget_owed(lua_State* l) {
    static_cast<owed_request*>(luaL_checkudata(l, 1, owed_table))->~owed_request();
    return 0;
}

}  // namespace

bool is_wanted(received<anything>& mail, const std::vector<std::string>& types) {
    if (types.empty()) return true;
    if (mail.is<down>()) return std::ranges::find(types, end_of_another) != types.end();
    if (const auto* r = mail.get_if<any_request>()) return names_it(types, type_of(r->what));
    if (const auto* v = mail.get_if<value>()) return names_it(types, type_of(*v));
    if (mail.is<tagged>()) return names_it(types, type_id(message_name<tagged>));
    return true;  // of no type that a script can name: open_letter refuses it
}

std::uint64_t size_in_lua(received<anything>& mail) {
    if (const auto* r = mail.get_if<any_request>()) return bytes_in_lua(r->what);
    if (const auto* v = mail.get_if<value>()) return bytes_in_lua(*v);
    const auto* t = mail.get_if<tagged>();
    return t ? t->content.size() : 0;
}

void refuse_too_large(received<anything> mail, std::uint64_t memory) {
    if (auto asked = mail.take<any_request>()) return asked.fail(too_large_for(memory));
    received<protocol<>>{mail.release()}.match();
}

error too_large_for(std::uint64_t memory) {
    return {errc::too_large,
            fmt::format("more than the script's {} bytes of memory (script_options::memory)", memory)};
}

std::shared_ptr<letter> open_letter(received<anything> mail) {
    auto made = std::make_shared<letter>();
    made->sender = mail.sender();
    if (const auto* d = mail.get_if<down>()) {
        made->what = letter::kind::down;
        made->sender = d->who;
        made->reason = d->reason;
        made->monitor = d->monitor;
    } else if (auto asked = mail.take<any_request>()) {
        made->content = std::move(asked->what);
        if (asked.wants_reply()) {
            made->what = letter::kind::request;
            made->owed = std::make_shared<request<any_request>>(std::move(asked));
        }
    } else if (auto* v = mail.get_if<value>()) {
        made->content = std::move(*v);
    } else if (const auto* t = mail.get_if<tagged>()) {
        made->content = of_tagged(*t);
    } else {
        mail.match([](const exit_signal&) {});
        return nullptr;
    }
    return made;
}

void open_mail(lua_State* l) {
    luaL_newmetatable(l, owed_table);
    lua_pushcfunction(l, called<&forget_owed>);
    lua_setfield(l, -2, "__gc");
    lua_pushboolean(l, 0);
    lua_setfield(l, -2, "__metatable");
    lua_pop(l, 1);
    luaL_newmetatable(l, mail_table);
    lua_setfield(l, -2, "mail_table");
    static constexpr luaL_Reg functions[] = {
        {"reply", called<&reply>}, {"refuse", called<&refuse>}, {nullptr, nullptr}};
    luaL_setfuncs(l, functions, 0);
}

void push_letter(lua_State* l, const letter& mail) {
    luaL_checkstack(l, 6, "mail");
    lua_createtable(l, 0, 6);
    push_ref(l, {.to = ref<anything>{mail.sender}});
    if (mail.what == letter::kind::down) {
        lua_setfield(l, -2, "who");
        push_text(l, end_of_another);
        lua_setfield(l, -2, "type");
        push_text(l, mail.reason.to_string());
        lua_setfield(l, -2, "reason");
        push_text(l, to_string(mail.reason.kind()));
        lua_setfield(l, -2, "kind");
        lua_pushinteger(l, static_cast<lua_Integer>(mail.monitor));
        lua_setfield(l, -2, "monitor");
    } else {
        lua_setfield(l, -2, "sender");
        if (const std::uint64_t type = type_of(mail.content)) push_type_name(l, type);
        else push_text(l, plain_value);
        lua_setfield(l, -2, "type");
        push_value(l, mail.content, mail.references);
        lua_setfield(l, -2, "value");
        lua_pushboolean(l, mail.what == letter::kind::request);
        lua_setfield(l, -2, "asked");
    }
    if (mail.owed) {
        ::new (lua_newuserdatauv(l, sizeof(owed_request), 0)) owed_request{mail.owed};
        luaL_setmetatable(l, owed_table);
        lua_setfield(l, -2, "owed");
    }
    luaL_setmetatable(l, mail_table);
}

}  // namespace coppice::actors::script_parts
