// ref<P>: the copyable address of an actor of protocol P. Comparing and copying need no lock.
//
// A ref obtained by name (spawn under a name, resolve) follows restarts: after a restart it reaches the new incarnation.
// `pinned()` gives one that reports `down` once the incarnation that lives now has ended. A ref stays valid as a value
// after its actor has ended; sending to it then returns `down`.
#pragma once
#include <concepts>
#include <utility>

#include "coppice/detail/address.hpp"
#include "coppice/protocol.hpp"
#include "coppice/wire.hpp"  // wire_of_message, which envelopes ask for

namespace coppice {

template <any_protocol P = anything>
class ref : public detail::address {
public:
    using protocol_type = P;

    ref() noexcept = default;
    explicit ref(detail::address a) noexcept : detail::address{std::move(a)} {}

    /// A ref that handles more can stand in for one that handles less.
    template <any_protocol Q>
    requires(!std::same_as<P, Q> && detail::covers<Q, P>)
    ref(ref<Q> other) noexcept : detail::address{std::move(other)} {}  // NOLINT(google-explicit-constructor)

    /// The same actor, but only as it lives now: once this incarnation has ended, sending returns `down`.
    [[nodiscard]] ref pinned() const noexcept { return ref{address::pinned()}; }

    /// Takes an unchecked ref at its word. A message that the actor does not handle becomes a dead letter, a request fails
    /// with `no_handler`. `resolve` checks instead.
    template <any_protocol Q>
    [[nodiscard]] ref<Q> assume() const noexcept {
        return ref<Q>{static_cast<const detail::address&>(*this)};
    }
};

}  // namespace coppice
