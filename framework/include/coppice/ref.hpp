// ref<P>: the copyable address of an actor of protocol P. Comparing, copying and printing need no lock.
//
// A ref obtained by name (spawn under a name, resolve) follows restarts: after a restart it reaches the new incarnation.
// `pinned()` gives one that reports `down` once the incarnation that lives now has ended. A ref stays valid as a value
// after its actor has ended; sending to it then returns `down`.
#pragma once
#include <atomic>
#include <compare>
#include <cstdint>
#include <string>
#include <utility>

#include "coppice/protocol.hpp"

namespace coppice {

namespace detail {

/// A path and the actor that has it now; shared by the registry and by refs. Freed with the last of them.
struct name_entry {
    std::atomic<std::uint32_t> references{1};
    std::atomic<actor_id> current{0};
    std::string path;
    bool owned = false;  // a living actor has it; under the registry's mutex
};
inline name_entry* retain(name_entry* n) noexcept {
    if (n) n->references.fetch_add(1, std::memory_order_relaxed);
    return n;
}
inline void drop(name_entry* n) noexcept {
    if (n && n->references.fetch_sub(1, std::memory_order_acq_rel) == 1) delete n;
}

/// What all refs are made of.
class address {
public:
    address() noexcept = default;
    address(actor_id id, name_entry* name, std::uint32_t incarnation = 0) noexcept
        : id_{id}, name_{retain(name)}, incarnation_{incarnation} {}
    address(const address& o) noexcept : id_{o.id_}, name_{retain(o.name_)}, incarnation_{o.incarnation_} {}
    address(address&& o) noexcept : id_{o.id_}, name_{std::exchange(o.name_, nullptr)}, incarnation_{o.incarnation_} {}
    address& operator=(address o) noexcept {
        std::swap(id_, o.id_);
        std::swap(name_, o.name_);
        std::swap(incarnation_, o.incarnation_);
        return *this;
    }
    ~address() {
        if (name_) drop(name_);
    }

    [[nodiscard]] actor_id id() const noexcept { return id_; }
    [[nodiscard]] name_entry* name() const noexcept { return name_; }
    /// 0: follows restarts.
    [[nodiscard]] std::uint32_t incarnation() const noexcept { return incarnation_; }
    explicit operator bool() const noexcept { return id_ != 0; }
    /// This address, tied to the incarnation that lives now.
    [[nodiscard]] address pinned() const noexcept;

    /// The path, e.g. "/app/counter"; for an actor without a name "#2.17.1" (scheduler, slot, generation).
    [[nodiscard]] std::string to_string() const;

    friend bool operator==(const address& a, const address& b) noexcept {
        return a.id_ == b.id_ || (a.name_ && a.name_ == b.name_);
    }

private:
    actor_id id_ = 0;
    name_entry* name_ = nullptr;
    std::uint32_t incarnation_ = 0;
};

}  // namespace detail

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

template <>
struct std::hash<coppice::detail::address> {
    std::size_t operator()(const coppice::detail::address& a) const noexcept { return std::hash<std::uint64_t>{}(a.id()); }
};
