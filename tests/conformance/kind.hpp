// The transports that the conformance suite is stamped onto. A new kind is one more entry in kinds.cpp.
#pragma once
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/transport.hpp"

namespace coppice::tests {

/// A kind, and what it can.
struct kind {
    std::string name;
    std::shared_ptr<const transport> how;
    /// A place where nobody listens.
    std::function<endpoint()> fresh;
    /// How to connect to a listener that says it is there.
    std::function<endpoint(const endpoint&)> to;
    peer_identity::proof proof = peer_identity::proof::none;
    /// The other side can be another process.
    bool between_processes = true;
    /// The descriptor of a plain connection that has shown nothing of what the listener asks for before it accepts.
    /// Empty: it asks for nothing.
    std::function<int(const endpoint&)> stranger;
    /// A peer that died is told from one that closed.
    bool tells_death = false;

    friend void PrintTo(const kind& k, std::ostream* out) { *out << k.name; }
};

std::vector<kind> kinds();

/// A directory of this run's own, removed at its end. Nodes' sockets are in it too (COPPICE_RUN_DIR).
const std::string& test_directory();

/// parse(), for texts that are endpoints.
endpoint at(const std::string& uri);
/// A blocking connection to a TCP port of 127.0.0.1, or to a socket's path. -1 with errno.
int plain_tcp(std::uint16_t port);
int plain_unix(const std::string& path);

}  // namespace coppice::tests
