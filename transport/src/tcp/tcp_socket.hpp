// TCP connections below links, for tcp and tls: addresses, options, listening, resolving and connecting.
// Threading: the reactor's thread; names are resolved by a thread of Asio's.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "stream/socket.hpp"

namespace coppice::detail {

struct tcp_settings {
    bool beyond_loopback = false;               ///< other addresses are allowed
    std::chrono::milliseconds user_timeout{0};  ///< 0: the kernel's
};

/// The option user-timeout-ms. invalid_argument.
result<std::chrono::milliseconds> user_timeout_of(const endpoint& where);

/// A socket that listens at `where`, whose port becomes the real one. Errors: invalid_argument, name_taken, denied, io.
result<stream_descriptor> tcp_listen(boost::asio::io_context& io, endpoint& where,
                                     const tcp_settings& settings);

/// Sets what every TCP connection of ours has.
void set_tcp_options(int fd, const tcp_settings& settings) noexcept;

/// What a connection's socket knows of the peer: its address, and whether that is this machine.
peer_identity tcp_peer(int fd);

/// Of a connection within this machine: bounds what the kernel keeps of our output, so that it is still in the caches when
/// the peer reads it. What TCP takes by itself is made for long ways: megabytes collect, and are copied from memory.
void bound_send_buffer(int fd, const peer_identity& peer) noexcept;

/// Resolves a name, then connects to its addresses in turn.
class tcp_connector final : public std::enable_shared_from_this<tcp_connector> {
public:
    using function = socket_connector::function;
    /// invalid_argument or denied, if the endpoint itself tells. `done` as in socket_connector.
    static result<std::shared_ptr<tcp_connector>> run(boost::asio::io_context& io, const endpoint& where,
                                                      const tcp_settings& settings, function done);
    /// Nobody is called after that.
    void stop() noexcept;

private:
    struct resolving;
    void connect(boost::asio::io_context& io, std::vector<socket_address> addresses);

    std::string place_;
    tcp_settings settings_;
    function done_;
    std::shared_ptr<resolving> resolving_;
    std::shared_ptr<socket_connector> connector_;
};

}  // namespace coppice::detail
