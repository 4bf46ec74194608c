// TCP sockets; see tcp_socket.hpp.
// A name that leads beyond loopback is found out only once it is resolved, so both the literal and the resolved
// addresses are checked.
#include "tcp/tcp_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "stream/activation.hpp"
#include "support/run_directory.hpp"

namespace coppice::detail {

namespace {

namespace ip = boost::asio::ip;

bool loopback(const ip::address& a) {
    if (a.is_v4()) return a.to_v4().is_loopback();
    if (a.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, a.to_v6()).is_loopback();
    return a.to_v6().is_loopback();
}

error beyond(const std::string& place, const ip::address& a) {
    return {errc::denied,
            place + ": plain tcp to or at " + a.to_string() +
                " would leave this machine unprotected: use tls, or add the option insecure=allow"};
}

socket_address socket_address_of(const ip::tcp::endpoint& e) {
    socket_address address;
    std::memcpy(&address.storage, e.data(), e.size());
    address.length = static_cast<socklen_t>(e.size());
    return address;
}

ip::tcp::endpoint endpoint_of(const sockaddr_storage& storage, socklen_t length) {
    ip::tcp::endpoint e;
    if (length > e.capacity()) return e;
    std::memcpy(e.data(), &storage, length);
    e.resize(length);
    return e;
}

std::string text_of(const ip::tcp::endpoint& e) {
    const std::string address = e.address().to_string();
    const std::string port = ":" + std::to_string(e.port());
    return e.address().is_v6() ? "[" + address + "]" + port : address + port;
}

error wrong(const endpoint& where, const char* what) {
    return {errc::invalid_argument, place(where) + ": " + what};
}

result<void> check_form(const endpoint& where) {
    if (where.host.empty()) return wrong(where, "a host is missing");
    if (!where.path.empty()) return wrong(where, "there is no path, only host and port");
    return {};
}

}  // namespace

result<std::chrono::milliseconds> user_timeout_of(const endpoint& where) {
    const auto value = where.number("user-timeout-ms", 0);
    if (!value) return value.error();
    if (*value > static_cast<std::uint64_t>(std::numeric_limits<int>::max()))
        return wrong(where, "user-timeout-ms is at most 2147483647");
    return std::chrono::milliseconds{static_cast<std::int64_t>(*value)};
}

void set_tcp_options(int fd, const tcp_settings& settings) noexcept {
    // A refused option costs latency or patience, not correctness: so nobody is told.
    const int on = 1;
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    if (settings.user_timeout.count() == 0) return;
    const auto timeout = static_cast<unsigned>(settings.user_timeout.count());
    static_cast<void>(::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout));
}

result<stream_descriptor> tcp_listen(boost::asio::io_context& io, endpoint& where,
                                     const tcp_settings& settings) {
    if (auto good = check_form(where); !good) return good.error();
    boost::system::error_code failure;
    const ip::address address =
        ip::make_address(where.host == "localhost" ? "127.0.0.1" : where.host, failure);
    if (failure)
        return wrong(where, "to listen, the host is an address (127.0.0.1, ::1, 0.0.0.0) or localhost");
    if (!settings.beyond_loopback && !loopback(address)) return beyond(place(where), address);

    const std::string at = place(where);
    const socket_address own = socket_address_of({address, where.port});
    if (auto given = activated_socket(own)) return watch(io, *std::move(given), at);
    auto fd = open_socket(address.is_v6() ? AF_INET6 : AF_INET, at);
    if (!fd) return fd.error();
    const int on = 1;
    if (::setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return system_error_of(errno, at);
    if (::bind(fd->get(), reinterpret_cast<const sockaddr*>(&own.storage), own.length) != 0 ||
        ::listen(fd->get(), SOMAXCONN) != 0) {
        if (errno == EADDRINUSE) return error{errc::name_taken, at + ": somebody listens there"};
        return system_error_of(errno, at);
    }
    sockaddr_storage real{};
    socklen_t length = sizeof real;
    if (::getsockname(fd->get(), reinterpret_cast<sockaddr*>(&real), &length) != 0)
        return system_error_of(errno, at);
    where.port = endpoint_of(real, length).port();
    return watch(io, std::move(*fd), at);
}

peer_identity tcp_peer(int fd) {
    peer_identity peer;
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    // Fails if the peer is gone already; then its address is not known, and reading will tell the rest.
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &length) != 0) {
        peer.address = "unknown";
        return peer;
    }
    const ip::tcp::endpoint e = endpoint_of(storage, length);
    peer.same_machine = loopback(e.address());
    peer.address = text_of(e);
    return peer;
}

void bound_send_buffer(int fd, const peer_identity& peer) noexcept {
    if (!peer.same_machine) return;
    const int bytes = 128 * 1024;  // the kernel doubles it, for what it keeps beside the data
    // Refused, it costs speed alone.
    static_cast<void>(::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes));
}

// ---------------------------------------------------------------- connect

struct tcp_connector::resolving {
    explicit resolving(boost::asio::io_context& io) : resolver{io} {}
    ip::tcp::resolver resolver;
};

result<std::shared_ptr<tcp_connector>> tcp_connector::run(boost::asio::io_context& io, const endpoint& where,
                                                          const tcp_settings& settings, function done) {
    if (auto good = check_form(where); !good) return good.error();
    if (where.port == 0) return wrong(where, "a port is missing");
    boost::system::error_code failure;
    const ip::address literal = ip::make_address(where.host, failure);
    if (!failure && !settings.beyond_loopback && !loopback(literal)) return beyond(place(where), literal);

    auto self = std::make_shared<tcp_connector>();
    self->place_ = place(where);
    self->settings_ = settings;
    self->done_ = std::move(done);
    if (!failure) {
        self->connect(io, {socket_address_of({literal, where.port})});
        return self;
    }
    self->resolving_ = std::make_shared<resolving>(io);
    self->resolving_->resolver.async_resolve(
        where.host, std::to_string(where.port), ip::resolver_base::numeric_service,
        [self, &io](const boost::system::error_code& unresolved,
                    const ip::tcp::resolver::results_type& found) {
            if (!self->done_) return;
            if (unresolved || found.empty()) {
                const std::string why = unresolved ? unresolved.message() : "no address";
                return std::exchange(self->done_, nullptr)(
                    error{errc::unreachable, self->place_ + ": the name is not resolved: " + why});
            }
            std::vector<socket_address> addresses;
            for (const auto& entry : found) {
                const ip::tcp::endpoint e = entry.endpoint();
                if (!self->settings_.beyond_loopback && !loopback(e.address()))
                    return std::exchange(self->done_, nullptr)(beyond(self->place_, e.address()));
                addresses.push_back(socket_address_of(e));
            }
            self->connect(io, std::move(addresses));
        });
    return self;
}

void tcp_connector::stop() noexcept {
    done_ = nullptr;
    if (resolving_) resolving_->resolver.cancel();
    if (connector_) connector_->stop();
}

void tcp_connector::connect(boost::asio::io_context& io, std::vector<socket_address> addresses) {
    connector_ = std::make_shared<socket_connector>(io, place_);
    connector_->run(
        std::move(addresses), [settings = settings_](int fd) { set_tcp_options(fd, settings); },
        std::exchange(done_, nullptr));
}

}  // namespace coppice::detail
