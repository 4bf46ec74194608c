// any_request: a request of whatever type, for those who know types only as they run.
//
//     using counter_protocol = protocol<add, any_request>;              // also takes requests of types that it does not name
//     [&](request<any_request> r) { r.reply(value{...}); }              // r->what: the request, as a value
//     auto price = co_await self.ask<any_request>(shop, 5s, value{"tea"});   // as Python or the command line would ask
//
// It holds a value, travels under the id of that value's type, and its reply comes as a value: on another node it arrives as
// that type where the actor takes it, within a process as any_request only. Programs in other languages ask so. Any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "coppice/message.hpp"
#include "coppice/value.hpp"
#include "coppice/wire.hpp"

namespace coppice {

struct any_request {
    value what;
    using reply = value;
};

namespace detail {

template <>
struct wire_of_message<any_request> {
    static const wire_functions functions;
    static constexpr const wire_functions* value = &functions;
};

}  // namespace detail
}  // namespace coppice
