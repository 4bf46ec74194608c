// script_mail: what a script receives, as a table: type, value, sender, asked; for an end, who and reason. And how it answers.
// On the actor's thread.
#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <lua.h>

#include "coppice/any_request.hpp"
#include "script_values.hpp"

namespace coppice::actors::script_parts {

/// One mail, opened: all of it that a script sees.
struct letter {
    enum class kind : std::uint8_t { message, request, down };
    kind what = kind::message;
    value content{};
    ref<> sender{};                                // of `down` who ended
    exit_reason reason{};                          // of `down`
    std::uint64_t monitor = 0;                     // the same
    std::shared_ptr<request<any_request>> owed{};  // of a request
    read_references references{};
};

/// The type's name as scripts have it, and whether a script that named these types wants it. The mail stays as it was.
[[nodiscard]] bool is_wanted(received<anything>& mail, const std::vector<std::string>& types);
/// Bytes that its content would take of a script's memory, at least; 0 for what has no value.
[[nodiscard]] std::uint64_t size_in_lua(received<anything>& mail);
/// What is refused so.
[[nodiscard]] error too_large_for(std::uint64_t memory);
/// Refuses mail that no script of that much memory can take: `too_large` to who asks; else a dead letter, as match() makes one.
void refuse_too_large(received<anything> mail, std::uint64_t memory);
/// Empty: of a type that is only known in C++. It has been refused: dead letter, `no_handler`.
[[nodiscard]] std::shared_ptr<letter> open_letter(received<anything> mail);

/// The metatable of mails, and what the prelude answers with; once a state, with `coppice` on top of the stack.
void open_mail(lua_State* l);
/// The table that the script gets.
void push_letter(lua_State* l, const letter& mail);

/// What a message with a ref of this process in it is refused with, where it would go to another node.
[[nodiscard]] error cannot_leave();
/// Seconds, as a script has them. An error of Lua's for what is none.
[[nodiscard]] std::chrono::nanoseconds duration_at(lua_State* l, int index);

}  // namespace coppice::actors::script_parts
