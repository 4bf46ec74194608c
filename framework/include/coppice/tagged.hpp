// tagged: a message in an encoding that is not Coppice's (Protocol Buffers, JSON, Cap'n Proto, ...), with a number that says which.
// Its bytes arrive as they were sent. It is what coppice_send_tagged sends in every language, and what a C program gets as a value
// of kind COPPICE_TAGGED.
//
//     self.send<tagged>(shop, tagged{order_v2, serialised(order)});
//
// A plain value: threads need what any object needs.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace coppice {

struct tagged {
    std::uint64_t tag = 0;  ///< which encoding or type: a number that its users agree on
    std::vector<std::byte> content;
};

}  // namespace coppice
