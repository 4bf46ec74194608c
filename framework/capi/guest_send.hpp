// Sending by a guest of a scheduler: a message for another node goes to the flow that it leaves by within the call, and what comes
// of that, down to the write to a socket, is left to a drain for many of them. On the thread that is inside the scheduler's
// io_context; see drive_lease.hpp for how it gets there.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "coppice/detail/scheduler.hpp"
#include "coppice/value.hpp"

namespace coppice::c {

enum class placed : std::uint8_t {
    taken,      // it goes out, as with send_wait
    full,       // there is no room
    elsewhere,  // it goes another way, or not at all, which detail::outside_send tells
};

/// Behind what this thread has sent to that actor before. What is sent stays the caller's.
placed send_as_guest(detail::scheduler& here, const detail::address& to, detail::actor_id sender,
                     const value& what);
/// Bytes, as a value of them.
placed send_as_guest(detail::scheduler& here, const detail::address& to, detail::actor_id sender,
                     std::span<const std::byte> what);

}  // namespace coppice::c
