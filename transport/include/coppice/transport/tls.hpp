// The transport "tls": TCP under TLS 1.3, both sides with a certificate. What leaves the machine goes through this one.
//
//     listen   tls://0.0.0.0:4711?cert=node.pem&key=node.key&ca=ca.pem
//     connect  tls://db.example:4711?cert=node.pem&key=node.key&ca=ca.pem&name=db
//
// Any thread; the files are read when listen() or connect() is called. Options:
//   cert, key           PEM files: the own certificate with its chain, and its key, which has no passphrase and is not
//                       for all users of the machine to read or write
//   ca                  PEM file: who must have signed the peer's certificate; nothing else is trusted
//   name                the name that the peer's certificate must have among its alternative names (SAN). When connecting,
//                       the endpoint's host by default; when listening, any name that `ca` vouches for
//   client=required     (default) who connects must show a certificate; client=none lets everybody in, known as nobody
//   user-timeout-ms=0   as for tcp
#pragma once
#include <memory>

#include "coppice/transport.hpp"

namespace coppice {

/// The kind "tls", to be registered. Errors beyond transport.hpp's: invalid_argument with OpenSSL's words for a file
/// that cannot be used; denied, if the listener's certificate is not the one asked for, or if everybody may read the
/// own key. That a listener refuses the own certificate is told after the connection, by closed() with errc::io: TLS
/// 1.3 works so. A peer that goes without taking leave is errc::io, as one that was cut off.
std::shared_ptr<const transport> tls_transport();

}  // namespace coppice
