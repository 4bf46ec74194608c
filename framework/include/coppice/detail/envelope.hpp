// The envelope: 40 bytes of header with the message inline behind it, in 64-byte size classes of the block pool.
// Ownership: exactly one of a mailbox, an outbox, a received<P>, a request<M> or a pending operation owns an envelope;
// who frees it answers for a reply that is still owed (see release()). Any thread may free one.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>

#include "coppice/detail/pool.hpp"
#include "coppice/message.hpp"

namespace coppice::detail {

/// Address of an actor within the process: [scheduler 10 | slot 22 | generation 32]. A slot is never reused with the same
/// generation: one whose generations are used up is retired. 0 is nobody.
using actor_id = std::uint64_t;
constexpr actor_id make_id(std::uint32_t scheduler, std::uint32_t slot, std::uint32_t generation) noexcept {
    return (actor_id{scheduler} << 54) | (actor_id{slot} << 32) | generation;
}
constexpr std::uint32_t scheduler_of(actor_id id) noexcept { return static_cast<std::uint32_t>(id >> 54); }
constexpr std::uint32_t slot_of(actor_id id) noexcept {
    return static_cast<std::uint32_t>(id >> 32) & 0x3f'ffffu;
}
constexpr std::uint32_t generation_of(actor_id id) noexcept { return static_cast<std::uint32_t>(id); }

/// The scheduler in ids of actors of other nodes: no scheduler of this process has that index.
inline constexpr std::uint32_t elsewhere = 1023;
static_assert(limits::schedulers < elsewhere);

struct envelope {
    enum flag : std::uint8_t {
        needs_destroy = 1,    // the body has a destructor to run
        owes_reply = 2,       // a request that nobody has answered yet
        is_reply = 4,         // goes to a pending ask, not to the mailbox
        is_failure = 8,       // a reply whose body is an error
        is_control = 16,      // run by the scheduler on arrival, never seen by actors
        is_ask = 32,          // sent by ask: carries a deadline
        waits_for_room = 64,  // sent by send_wait: where there is no room it is parked, not refused
        from_afar = 128,      // came from another node: an `origin` stands at the end of its block
    };
    envelope* next;
    const message_type* type;
    actor_id target;
    actor_id sender;
    std::uint32_t correlation;
    std::uint16_t blocks;  // size in 64-byte blocks
    std::uint8_t flags;
    coppice::lane lane;
};
static_assert(sizeof(envelope) == 40);

// What an envelope from another node tells of its sender, beside its id; the last bytes of its block.
struct origin {
    std::uint64_t tag;          // of the sender's address
    std::uint64_t correlation;  // of a request, at the asker's node
};

// A request carries its deadline between header and body: nanoseconds of the node's clock.
struct request_header {
    std::int64_t deadline;
};

template <class M>
inline constexpr std::size_t body_offset = [] {
    const std::size_t head = sizeof(envelope) + (has_reply<M> ? sizeof(request_header) : 0);
    return (head + alignof(M) - 1) & ~(alignof(M) - 1);
}();

template <class M>
inline constexpr std::size_t envelope_bytes = (body_offset<M> + sizeof(M) + 63) & ~std::size_t{63};

template <class M>
[[gnu::always_inline]] inline M& body(envelope* e) noexcept {
    return *std::launder(reinterpret_cast<M*>(reinterpret_cast<std::byte*>(e) + body_offset<M>));
}
template <class M>
[[gnu::always_inline]] inline const M& body(const envelope* e) noexcept {
    return *std::launder(reinterpret_cast<const M*>(reinterpret_cast<const std::byte*>(e) + body_offset<M>));
}
inline origin& origin_of(const envelope* e) noexcept {
    auto* end = reinterpret_cast<std::byte*>(const_cast<envelope*>(e)) + std::size_t{e->blocks} * 64;
    return *std::launder(reinterpret_cast<origin*>(end - sizeof(origin)));
}
inline request_header& deadline_of(envelope* e) noexcept { return *reinterpret_cast<request_header*>(e + 1); }

template <class M, class... Args>
[[gnu::always_inline]] inline envelope* make_envelope(actor_id target, actor_id sender, Args&&... args);

template <class M>
consteval const message_type* reply_of();

template <class M>
auto ask_needs(const void* message) -> decltype(std::declval<const M&>().needs()) {
    return static_cast<const M*>(message)->needs();
}
template <class M>
consteval auto needs_of() -> demand (*)(const void*) {
    if constexpr (requires(const M& m) { m.needs(); }) return &ask_needs<M>;
    else return nullptr;
}

template <class M>
struct message_type_of {
    static void destroy(envelope* e) noexcept { body<M>(e).~M(); }
    static envelope* clone(const envelope* e, actor_id target) {
        if constexpr (std::is_copy_constructible_v<M>) return make_envelope<M>(target, e->sender, body<M>(e));
        else return nullptr;
    }
    static constexpr message_type value{hash_of(declared_name<M>()),
                                        declared_name<M>(),
                                        lane_of<M>(),
                                        has_reply<M>,
                                        std::is_trivially_destructible_v<M> ? nullptr : &destroy,
                                        std::is_copy_constructible_v<M> ? &clone : nullptr,
                                        static_cast<std::uint32_t>(body_offset<M>),
                                        static_cast<std::uint32_t>(sizeof(M)),
                                        wire_of_message<M>::value,
                                        reply_of<M>(),
                                        needs_of<M>()};
};
template <class M>
inline constexpr const message_type* type_of = &message_type_of<M>::value;

template <class M>
consteval const message_type* reply_of() {
    if constexpr (has_reply<M>) return &message_type_of<reply_body<reply_t<M>>>::value;
    else return nullptr;
}

inline bool same_type(const message_type* a, const message_type* b) noexcept {
    return a == b || a->id == b->id;
}

/// Makes an envelope and builds the message in it. Throws what the message's constructor throws, or std::bad_alloc.
template <class M, class... Args>
[[gnu::always_inline]] inline envelope* make_envelope(actor_id target, actor_id sender, Args&&... args) {
    static_assert(envelope_bytes<M> / 64 < 65536);
    void* block = pool_alloc(envelope_bytes<M>);
    auto* e = static_cast<envelope*>(block);
    if constexpr (!std::is_nothrow_constructible_v<M, Args...> && requires { M{std::declval<Args>()...}; }) {
        struct guard {
            void* block;
            ~guard() {
                if (block) pool_free(block, envelope_bytes<M>);
            }
        } undo{block};
        ::new (static_cast<void*>(static_cast<std::byte*>(block) + body_offset<M>))
            M{std::forward<Args>(args)...};
        undo.block = nullptr;
    } else {
        ::new (static_cast<void*>(static_cast<std::byte*>(block) + body_offset<M>))
            M{std::forward<Args>(args)...};
    }
    e->type = type_of<M>;
    e->target = target;
    e->sender = sender;
    e->correlation = 0;
    e->blocks = static_cast<std::uint16_t>(envelope_bytes<M> / 64);
    e->flags = std::is_trivially_destructible_v<M> ? 0 : envelope::needs_destroy;
    e->lane = lane_of<M>();
    return e;
}

/// Answers a request that is freed unanswered with `code`. Any thread.
void fail_owed_reply(envelope* e, std::uint8_t code) noexcept;

/// Destroys the body and returns the block; a reply still owed is answered with no_reply first.
[[gnu::always_inline]] inline void release(envelope* e) noexcept {
    if (e->flags & (envelope::needs_destroy | envelope::owes_reply)) [[unlikely]] {
        if (e->flags & envelope::owes_reply) fail_owed_reply(e, 7);
        if (e->flags & envelope::needs_destroy) e->type->destroy(e);
    }
    pool_free_64(e, e->blocks);
}

}  // namespace coppice::detail
