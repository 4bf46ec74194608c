// How nodes reach one another. A transport connects two nodes; a link carries to ONE neighbour. Two kinds of link:
// message_link hands over messages as objects, within one address space (the test world, nodes in one process);
// links of bytes, for everything else, stand on top of framing and flows.
//
// An implementation lives in transport/; the framework only declares what it needs.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "coppice/error.hpp"

namespace coppice {

namespace detail {
struct envelope;
struct node_core;
}  // namespace detail

/// One direction of a connection between two nodes in one address space. Order is kept. Called on the sending node's
/// threads; whoever implements it may delay, and delivers through `arrive` of the receiving side.
class message_link {
public:
    virtual ~message_link() = default;
    /// Takes the envelope, or says why not and leaves it with the caller.
    virtual errc carry(detail::envelope* message) = 0;
};

/// Where a link's messages go at the far end: takes ownership of the envelope. Any thread.
using message_sink = std::function<void(detail::envelope*)>;

class message_transport {
public:
    virtual ~message_transport() = default;
    /// Opens the direction from one named node to another.
    virtual std::shared_ptr<message_link> connect(std::string_view from, std::string_view to,
                                                  message_sink arrive) = 0;
};

}  // namespace coppice
