// The transport "tcp": plain sockets, IPv4 and IPv6. It knows nothing of who is at the other end and hides nothing on
// the way; beyond loopback it therefore asks for an option, and "tls" is the better choice.
//
//     tcp://127.0.0.1:4711    tcp://[::1]:4711    tcp://localhost:4711    tcp://10.0.0.7:4711?insecure=allow
//
// Any thread. To listen, the host is an address or localhost, and port 0 stands for any free one. Options:
//   insecure=refuse        (default) an address that is not loopback is denied, on both sides; insecure=allow permits
//   user-timeout-ms=0      sent data that stays unacknowledged for so long ends the link (0: the kernel's 15 minutes;
//                          the heartbeats above the link are quicker)
#pragma once
#include <memory>

#include "coppice/transport.hpp"

namespace coppice {

/// The kind "tcp", to be registered. Errors beyond transport.hpp's: denied, beyond loopback without insecure=allow.
std::shared_ptr<const transport> tcp_transport();

}  // namespace coppice
