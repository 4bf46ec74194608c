// protocol<Ms...>: the set of messages that an actor handles, checked at compile time wherever a ref of it is used.
// System messages (down, exit_signal) belong to every protocol without being named; naming one makes its handler
// obligatory. `anything` is the protocol of refs that are not checked.
#pragma once
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>

#include "coppice/detail/envelope.hpp"
#include "coppice/message.hpp"

namespace coppice {

struct down;
struct exit_signal;

template <message... Ms>
struct protocol {};

/// The protocol of an unchecked ref: anything may be sent; what the actor does not handle becomes a dead letter, or
/// fails with `no_handler` if it was a request.
struct anything {};

/// Two protocols as one.
template <class A, class B>
struct join_protocols;
template <class... As, class... Bs>
struct join_protocols<protocol<As...>, protocol<Bs...>> {
    using type = protocol<As..., Bs...>;
};
template <class A, class B>
using protocol_union = typename join_protocols<A, B>::type;

namespace detail {

template <class M>
inline constexpr bool is_system_message = std::same_as<M, down> || std::same_as<M, exit_signal>;

template <class P, class M>
inline constexpr bool in_protocol = false;
template <class M, class... Ms>
inline constexpr bool in_protocol<protocol<Ms...>, M> = (std::same_as<M, Ms> || ...);
template <class M>
inline constexpr bool in_protocol<anything, M> = true;

template <class P, class Q>
inline constexpr bool covers = false;  // P handles all that Q names
template <class P, class... Ms>
inline constexpr bool covers<P, protocol<Ms...>> = (in_protocol<P, Ms> && ...);
template <class P>
inline constexpr bool covers<P, anything> = true;

/// What the runtime knows of a protocol, for resolve and inspect.
struct protocol_info {
    std::span<const message_type* const> messages;
    bool any = false;
    [[nodiscard]] bool takes(const message_type* t) const noexcept {
        if (any) return true;
        for (const auto* m : messages)
            if (same_type(m, t)) return true;
        return false;
    }
};

template <class P>
struct info_of_protocol;
template <class... Ms>
struct info_of_protocol<protocol<Ms...>> {
    static constexpr const message_type* list[sizeof...(Ms) + 1] = {type_of<Ms>..., nullptr};
    static constexpr protocol_info value{std::span<const message_type* const>{list, sizeof...(Ms)}, false};
};
template <>
struct info_of_protocol<anything> {
    static constexpr protocol_info value{{}, true};
};

template <class P>
inline constexpr bool is_protocol = std::same_as<P, anything>;
template <class... Ms>
inline constexpr bool is_protocol<protocol<Ms...>> = true;

}  // namespace detail

template <class P>
concept any_protocol = detail::is_protocol<P>;

/// M may be sent to an actor of protocol P.
template <class P, class M>
concept takes = message<M> && (detail::in_protocol<P, M> || detail::is_system_message<M>);

}  // namespace coppice
