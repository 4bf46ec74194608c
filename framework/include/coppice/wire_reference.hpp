// wire_reference: how a message names an actor, for nodes that are not the actor's own. Its numbers are those
// of `Reference` in schemas/value.capnp. A plain value, any thread.
#pragma once
#include <cstdint>

namespace coppice {

/// The address of an actor as it stands in a message.
struct wire_reference {
    std::uint64_t node = 0;         ///< the id of its node
    std::uint64_t actor = 0;        ///< on that node; 0: nobody
    std::uint32_t incarnation = 0;  ///< 0: follows restarts

    friend bool operator==(const wire_reference&, const wire_reference&) = default;
};

}  // namespace coppice
