// A request of any type: it holds a value, travels under the id of that value's type, and its reply comes as a value. For those who
// know types only as they run: the C interface and the command. Any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "coppice/message.hpp"
#include "coppice/value.hpp"

namespace coppice::detail {

struct any_request {
    value what;
    using reply = value;
};

// It is only ever sent.
template <>
struct wire_of_message<any_request> {
    static const coppice::value& held(const void* body) noexcept {
        return static_cast<const any_request*>(body)->what;
    }
    static std::size_t size(const void* body) { return wire_message<coppice::value>::size(&held(body)); }
    static void write(const void* body, std::byte* out, wire_context& context) {
        wire_message<coppice::value>::write(&held(body), out, context);
    }
    static errc read(std::span<const std::byte>, void*, wire_context&) { return errc::bad_message; }
    static std::uint64_t type(const void* body) noexcept { return type_of_value(&held(body)); }
    static constexpr wire_functions functions{&size, &write, &read, &type};
    static constexpr const wire_functions* value = &functions;
};

}  // namespace coppice::detail
