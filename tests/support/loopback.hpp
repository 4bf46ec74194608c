// The address of a port on this machine, for sockets that tests and benchmarks open by themselves. Needs nothing of
// Coppice.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>

namespace coppice::tests {

/// Port 0: any, to bind to.
inline sockaddr_in loopback(std::uint16_t port) noexcept {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(port);
    return where;
}

}  // namespace coppice::tests
