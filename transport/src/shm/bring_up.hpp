// The two messages by which a shm link comes into being: the connector's hello, with the segment beside it, and the answer.
// Plain functions on non-blocking sockets, each one system call or two; any thread. What a peer sends is checked for its form
// here, and for its sense in segment.cpp.
#pragma once
#include <cstdint>
#include <string>

#include "coppice/error.hpp"
#include "coppice/transport.hpp"
#include "descriptor.hpp"
#include "layout.hpp"

namespace coppice::shm {

/// A non-blocking unix stream socket. Errors: limit_reached (no descriptor), io.
result<descriptor> open_socket();

/// Who is at the other end, by the kernel: for the connector it is who listens.
result<peer_identity> identify(int socket);

/// Whether there is something to read, the end included. Asio's waits end too soon at times: a new descriptor may get the
/// events of a closed one.
bool something_to_read(int socket) noexcept;

/// `lends`: the memory that this process lends from, -1 for none. Errors: io. A fresh socket has room for it.
result<void> send_hello(int socket, hello message, int memory, int lends);

/// Errors: bad_message (not a whole hello with the descriptors beside it that it speaks of), wrong_version, io (the peer is
/// gone).
result<hello> receive_hello(int socket, descriptor& memory, descriptor& lends);

/// What can be said of a failure is sent, as far as the peer takes it. `lends`: as of the hello, or -1.
void send_answer(int socket, errc code, std::uint64_t largest_ring, std::uint64_t nonce,
                 int lends = -1) noexcept;

/// The listener's yes, or its reason: denied, limit_reached, wrong_version, bad_message; io, if there is no answer.
/// `largest_ring` is what it says that it takes.
result<void> receive_answer(int socket, std::uint64_t nonce, std::uint64_t& largest_ring, descriptor& lends);

/// The memory that this process lends from, for a peer that may read it: one of the same user. Else -1.
int lent_to(const peer_identity& peer) noexcept;

}  // namespace coppice::shm
