// The parts of net::prove() (control.hpp), for tests against known vectors: HMAC-SHA-256, and the transcript that it is
// computed of. Pure functions: any thread.
#pragma once
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "net/control.hpp"

namespace coppice::net::handshake {

/// HMAC-SHA-256 (RFC 2104, RFC 4231).
[[nodiscard]] mac hmac_sha256(std::string_view key, std::span<const std::byte> data);

/// What is proved: label, connector's hello, acceptor's hello, each after its length in bytes as 64 bits, little
/// endian. Two different triples thus never give the same bytes.
[[nodiscard]] std::vector<std::byte> transcript(bool by_connector, std::span<const std::byte> connector_hello,
                                                std::span<const std::byte> acceptor_hello);

}  // namespace coppice::net::handshake
