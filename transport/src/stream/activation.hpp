// Sockets that the service manager has opened for this process before it started it: "socket activation", sd_listen_fds(3).
// Any thread; the environment is read at the call.
#pragma once
#include <optional>

#include "stream/socket.hpp"

namespace coppice::detail {

/// A listening stream socket bound to exactly that address, if this process was given one: a descriptor of its own, which shares
/// its queue. Closing it closes nothing for the next one that asks. None: bind one.
std::optional<unique_fd> activated_socket(const socket_address& at);

}  // namespace coppice::detail
