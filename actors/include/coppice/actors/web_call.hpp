// web_call: an encoding for what travels in a gateway's channels, for agents and pages that bring none: values, and calls
// that are answered. A text is JSON, which every page can write; a binary message is the wire form of values
// (docs/wire_format.md). An answer goes out as its call came in.
//
//     { "id": 7, "call": "ping", "with": { "text": "hello" } }      the page asks
//     { "id": 7, "value": { "text": "hello" } }                     and is answered,
//     { "id": 7, "error": "not_found", "text": "no such room" }     or told why not
//
//     [&](const web::message& m) {
//         auto asked = web::read_call(m.content);
//         if (!asked) self.send<web::send>(gateway, m.channel, web::fault_of(m.content, asked.error()));
//         else if (asked->name == "ping") self.send<web::send>(gateway, m.channel, web::answer_to(*asked, asked->with));
//         else self.send<web::send>(gateway, m.channel, web::answer_to(*asked, error{errc::no_handler, asked->name}));
//     }
//
// Functions of values, any thread. What clients wrote is checked: what is no JSON, too deep or no call is an error.
#pragma once
#include <cstdint>
#include <string>

#include "coppice/actors/gateway.hpp"
#include "coppice/value.hpp"

namespace coppice::actors::web {

/// The value of a message: `bad_message` if it holds none, `too_large` if it is deeper than limits::wire_nesting. JSON's
/// objects are maps with keys of text, its numbers integers where they have neither point nor exponent.
[[nodiscard]] result<value> read_value(const content& from);
/// As JSON for text, else as bytes. `invalid_argument` for what JSON does not have: bytes, references, numbers that are not
/// finite, keys that are no text. A record becomes an array.
[[nodiscard]] result<content> write_value(const value& what, kind as);

/// What a client asks.
struct call {
    std::uint64_t id = 0;  ///< the client's; its answer bears it. 0: it wants none
    std::string name;
    value with;
    web::kind came_as = web::kind::text;
};
/// Errors as read_value; `bad_message` for a value that is no call.
[[nodiscard]] result<call> read_call(const content& from);
/// The answer; an error, if the value cannot be written the way the call came.
[[nodiscard]] content answer_to(const call& asked, const value& answer);
[[nodiscard]] content answer_to(const call& asked, const error& why);
/// For a message that is no call: an error without id, in the message's kind.
[[nodiscard]] content fault_of(const content& message, const error& why);

/// The other side, for agents that connect to servers: a call, and what came back for it.
[[nodiscard]] result<content> write_call(const call& asked);
struct answer {
    std::uint64_t id = 0;  ///< 0: of a message that was no call
    value what;            ///< if `failure` is ok
    error failure;
};
[[nodiscard]] result<answer> read_answer(const content& from);

}  // namespace coppice::actors::web
