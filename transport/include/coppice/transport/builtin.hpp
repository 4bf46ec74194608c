// Makes all kinds of transport that come with Coppice known to a program that includes this header: inproc, unix, shm,
// pipe, tcp and tls. Without it a program registers those that it wants, and links nothing of the others.
// Registration happens before main(), on the thread that initialises the program.
#pragma once

namespace coppice {

/// Registers them again; a kind of the program's own that has one of their schemes is replaced. Any thread.
void register_builtin_transports();

namespace detail {
// One for the whole program, whichever files include this.
inline const bool builtin_transports = (register_builtin_transports(), true);
}  // namespace detail

}  // namespace coppice
