// The transport "pipe": named pipes (FIFOs) of one machine, for systems where processes meet in a directory. Peers join by
// one request on a common access pipe; every link then has two pipes of its own, whose names are gone as soon as it stands.
//
//     pipe://name                                    in the directory of this user's nodes ($XDG_RUNTIME_DIR/coppice)
//     pipe://name?dir=/run/app&rights=group          in that directory, for all members of its group
//
// A pipe tells nothing of who is at its other end (peer_identity::proof::none); unix and shm do, and are quicker.
// Any thread. Options, the same on both sides:
//   dir=/run/app     the directory in which the peers meet, in place of the run directory. It must be there
//   rights=own       (default) pipes have mode 0600 and belong to this user, or they are refused
//   rights=group     mode 0660, of the access pipe's group: for a directory that the group may write to
//   buffer=64KiB     bytes of each pipe of a link, 4 KiB to 1 MiB; the connector's. The kernel grants less to a user who
//                    has many pipes (fs.pipe-user-pages-soft)
#pragma once
#include <memory>

#include "coppice/transport.hpp"

namespace coppice {

/// The kind "pipe", to be registered. Errors beyond transport.hpp's: denied, if what lies at the path is no pipe, is another
/// user's, or is open to more than `rights` says; wrong_version, if the listener's Coppice joins differently.
std::shared_ptr<const transport> pipe_transport();

}  // namespace coppice
