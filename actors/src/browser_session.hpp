// browser_session: the actor that stands for one page, whether it is connected or not. What it and the host say to each other.
//
//     host  ── attach(channel), arrived(bytes) ..., detach ──►  session  ── web::send, web::close ──►  gateway
//
// Only the host attaches a channel; the session writes to it by itself, with the leave that the host has given it at the
// gateway. Its scheduler's thread alone; host and sessions share one.
#pragma once
#include <cstdint>
#include <memory>

#include "browser_frame.hpp"
#include "coppice/actors/browser.hpp"

namespace coppice::actors::browser_parts {

using gateway_ref = ref<gateway_protocol>;

/// A connection for the session. It takes the place of the one before, which is closed.
struct attach {
    using local_only = void;  // of no other node
    static constexpr auto lane = coppice::lane::priority;
    gateway_ref gateway;
    std::uint64_t channel = 0;
    frame greeting;  ///< hello or resume
};
/// That connection is gone.
struct detach {
    using local_only = void;
    static constexpr auto lane = coppice::lane::priority;
    std::uint64_t channel = 0;
};
/// Bytes that came over it.
struct arrived {
    using local_only = void;
    static constexpr auto lane = coppice::lane::priority;
    std::uint64_t channel = 0;
    blob bytes;
};

/// The actor. It ends when the page says bye (clean), when it is stopped (clean), and in failure when it has been without a
/// connection for options->hold. Without one it begins.
/// `principal`: what rights know the page by; empty: nothing.
task<> session(actor<anything> self, std::shared_ptr<const browser::host_options> options,
               std::string principal);

/// Bytes that wait for one page at most: what the port of the gateway must have room for.
[[nodiscard]] std::uint64_t most_queued(const browser::host_options& options) noexcept;

}  // namespace coppice::actors::browser_parts
