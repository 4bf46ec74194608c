// The transport "unix": a stream socket of this machine, with the peer's uid attested by the kernel.
//
//     unix://name                  in the directory of this user's nodes ($XDG_RUNTIME_DIR/coppice, mode 0700)
//     unix:///run/app/node.sock    at that path
//
// Any thread. Options: uid=own (default: processes of other users are refused, on both sides) or uid=any (the socket is
// open to all users of the machine; what stands above has to ask who they are).
#pragma once
#include <memory>

#include "coppice/transport.hpp"

namespace coppice {

/// The kind "unix", to be registered. Errors beyond transport.hpp's: denied, if the other process is another user's.
std::shared_ptr<const transport> unix_transport();

}  // namespace coppice
