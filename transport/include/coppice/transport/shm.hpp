// shm: links through memory that two processes of one machine share, for endpoints of the form shm://NAME.
// The listener's socket, NAME.sock, lies in the run directory ($COPPICE_RUN_DIR, else $XDG_RUNTIME_DIR/coppice, else
// /tmp/coppice-<uid>), which only its owner may enter. Nothing else has a name: the memory itself goes with the two
// processes. docs/shm_layout.md has the layout and the protocol. Threading: as transport.hpp says.
#pragma once
#include <cstdint>
#include <memory>

#include "coppice/transport.hpp"

namespace coppice {

/// The options of a shm endpoint. Both sides take all of them and look at their own.
///
///     shm://app?ring=2MiB                 connect with rings of 2 MiB
///     shm://app?max-ring=1MiB&uid=any     listen; take rings of up to 1 MiB from any user
struct shm_options {
    /// "ring": bytes of each of the two rings, a power of two from smallest_ring to largest_ring. The connector's. 256 KiB
    /// lie in a core's cache beside the rest; 2 MiB carry more per second where bulk goes one way.
    std::uint64_t ring = 256 * 1024;
    /// "max-ring": the largest ring that the listener takes; a connector with a larger one gets limit_reached.
    std::uint64_t max_ring = 16 * 1024 * 1024;
    /// "uid": "own" refuses a peer of another user (denied), "any" does not. Another user gets as far as that only if the
    /// run directory lets it, so in practice this lets root in.
    bool any_uid = false;

    static constexpr std::uint64_t smallest_ring = 4096;
    static constexpr std::uint64_t largest_ring = 64 * 1024 * 1024;

    /// invalid_argument for an option that is unknown or out of range.
    static result<shm_options> of(const endpoint& where);
};

/// The transport shm. Errors of listen() and connect(), beside those that transport.hpp names: denied, if the run directory
/// is not the user's alone or the peer is another user's process; limit_reached, if the listener takes no ring of that size;
/// wrong_version, if the other side's Coppice lays out the memory differently. A link ends with bad_message when its peer
/// writes what cannot be into the shared words.
std::shared_ptr<const transport> shm_transport();

}  // namespace coppice
