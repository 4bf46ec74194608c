// What all refs are made of: an id, and what tells a ref by name, a pinned one and one to another node from
// each other. It has a header of its own for the wire form of messages, which ref.hpp needs. Values; the
// comments of name_entry say who may touch what.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

#include "coppice/detail/envelope.hpp"
#include "coppice/protocol.hpp"

namespace coppice {

template <any_protocol P>
class ref;

namespace detail {

class registry;

/// A path and the actor that has it now. Type-stable: entries are reused for other paths, never freed, so refs to them
/// need no reference count; a ref of an earlier use is told by the generation (node_core.cpp).
struct alignas(8) name_entry {
    // One more with every use for another path; at the last it is used no more.
    std::atomic<std::uint16_t> generation{1};
    std::atomic<actor_id> current{0};  // 0: nobody now; a successor may come
    std::string path;                  // constant while owned; else under the lock of all names
    bool owned = false;                // a living actor has it; under the registry's mutex
    std::uint32_t queued = 0;          // times it stands in the queue of released ones; under the same
};

/// What all refs are made of: trivially copyable, 16 bytes, so that it travels in registers.
///
///     id   | scheduler 10 | slot 22 | generation 32 |
///     tag  | generation of the name 16 | name_entry* 48 |      follows restarts
///          | incarnation 32            | 0 31    | 1 |         pinned
///
/// An actor of another node has the scheduler `elsewhere` in its id, and its own in the tag, with the node, as its
/// index in net::node_table:
///
///     tag  | incarnation or 0 32 | its scheduler 10 | node 20 | 2 |
class address {
public:
    address() noexcept = default;
    address(actor_id id, name_entry* name) noexcept : id_{id}, tag_{tag_of(name)} {}
    /// Pinned to that incarnation.
    address(actor_id id, std::uint32_t incarnation) noexcept
        : id_{id}, tag_{(std::uint64_t{incarnation} << 32) | pinned_bit} {}

    [[nodiscard]] actor_id id() const noexcept { return id_; }
    [[nodiscard]] name_entry* name() const noexcept {
        return tag_ & (pinned_bit | remote_bit) ? nullptr
                                                : reinterpret_cast<name_entry*>(tag_ & pointer_mask);
    }
    /// 0: follows restarts.
    [[nodiscard]] std::uint32_t incarnation() const noexcept {
        return tag_ & (pinned_bit | remote_bit) ? static_cast<std::uint32_t>(tag_ >> 32) : 0;
    }

    /// Neither pinned nor of another node: for such a one the id is all that has to be looked at.
    [[nodiscard]] bool is_plain() const noexcept { return (tag_ & (pinned_bit | remote_bit)) == 0; }
    /// True for an actor of another node.
    [[nodiscard]] bool is_remote() const noexcept { return tag_ & remote_bit; }
    /// The actor with id `there` on the node of that index.
    static address on_node(std::uint32_t node, actor_id there, std::uint32_t incarnation = 0) noexcept {
        address a;
        a.id_ = make_id(elsewhere, slot_of(there), generation_of(there));
        a.tag_ = (std::uint64_t{incarnation} << 32) | (std::uint64_t{scheduler_of(there)} << 22) |
                 (std::uint64_t{node} << 2) | remote_bit;
        return a;
    }
    /// Of a remote one: the index of its node, and its id there.
    [[nodiscard]] std::uint32_t node() const noexcept {
        return static_cast<std::uint32_t>(tag_ >> 2) & 0xf'ffffu;
    }
    [[nodiscard]] actor_id id_there() const noexcept {
        return make_id(static_cast<std::uint32_t>(tag_ >> 22) & 0x3ffu, slot_of(id_), generation_of(id_));
    }
    /// All of a remote address beside its id, and back: for envelopes, which have room for an id only.
    [[nodiscard]] std::uint64_t tag() const noexcept { return tag_; }
    static address from_parts(actor_id id, std::uint64_t tag) noexcept {
        address a;
        a.id_ = id;
        a.tag_ = tag;
        return a;
    }
    explicit operator bool() const noexcept { return id_ != 0; }
    /// The actor that has the name now; the id itself for a ref without a name or a pinned one; 0 if nobody has it.
    [[nodiscard]] actor_id current() const noexcept {
        const name_entry* entry = name();
        if (!entry) return id_;
        // The generation is looked at after the id: an entry's next use raises it before it stores an id of its own.
        const actor_id now = entry->current.load(std::memory_order_acquire);
        return entry->generation.load(std::memory_order_acquire) == tag_ >> 48 ? now : 0;
    }
    /// This address, tied to the incarnation that lives now.
    [[nodiscard]] address pinned() const noexcept;

    /// The path, e.g. "/app/counter"; for an actor without a name, or a pinned one that has ended, "#2.17.1"
    /// (scheduler, slot, generation).
    [[nodiscard]] std::string to_string() const;

    /// The same actor, whichever of its incarnations.
    friend bool operator==(const address& a, const address& b) noexcept {
        return a.id_ == b.id_ && (!a.is_remote() || ((a.tag_ ^ b.tag_) & 0xffff'fffful) == 0);
    }

private:
    static constexpr std::uint64_t pinned_bit = 1;
    static constexpr std::uint64_t remote_bit = 2;
    static constexpr std::uint64_t pointer_mask = (std::uint64_t{1} << 48) - 1;
    static std::uint64_t tag_of(const name_entry* name) noexcept {
        if (!name) return 0;
        return (std::uint64_t{name->generation.load(std::memory_order_acquire)} << 48) |
               reinterpret_cast<std::uintptr_t>(name);
    }
    actor_id id_ = 0;
    std::uint64_t tag_ = 0;
};
static_assert(sizeof(address) == 16);
static_assert(std::is_trivially_copyable_v<address>);

}  // namespace detail
}  // namespace coppice

template <>
struct std::hash<coppice::detail::address> {
    std::size_t operator()(const coppice::detail::address& a) const noexcept {
        return std::hash<std::uint64_t>{}(a.id());
    }
};
