// Messages of other nodes for actors that do not say which types they take: kept as the bytes that came, until the actor asks
// for a type (received.hpp). So a process needs no table of its types, and what nobody here knows can be passed on as it was.
// Made on home by the router; read on the thread of the actor that has it.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "coppice/protocol.hpp"
#include "coppice/wire.hpp"

namespace coppice {

namespace detail {

struct foreign_message {
    using reply = nothing;  // the layout of a request: the router does not know whether it is one
    std::vector<std::uint64_t> words;
    std::uint64_t type = 0;       // its id on the wire
    std::array<char, 18> name{};  // "#" and the id, for people
};

extern const wire_functions foreign_functions;
template <>
struct wire_of_message<foreign_message> {
    static constexpr const wire_functions* value = &foreign_functions;
};

}  // namespace detail

namespace net {

/// What a message of that type, which the protocol does not name, is kept as: a value, or if it is a request any_request, where it
/// names that; where it takes anything, a value that is of no other type, and else bytes; null where it takes neither.
[[nodiscard]] const detail::message_type* type_for_unknown(const detail::protocol_info& takes,
                                                           std::uint64_t type, bool asked) noexcept;

}  // namespace net
}  // namespace coppice
