// What unix, tcp and tls share below their links: a descriptor that closes itself, a loop that accepts, an attempt that
// connects. They work on plain, non-blocking sockets, of which Asio tells the readiness.
// Threading: the reactor's thread. accept_loop and socket_connector are shared by their pending waits; after stop()
// they call nobody.
#pragma once
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "stream/stream_link.hpp"

namespace coppice::detail {

/// A descriptor of ours.
class unique_fd {
public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept : fd_{fd} {}
    unique_fd(unique_fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~unique_fd();
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// scheme://host:port/path, without options and actor: how errors name a place.
std::string place(const endpoint& where);
/// The error that a failed connect() or socket() is: unreachable, denied, limit_reached, io; the text names the place.
error connect_error(int number, const std::string& place);
/// The reactor's io_context, or invalid_argument: a test world has no sockets.
result<boost::asio::io_context*> io_of(reactor& on, const endpoint& where);
/// A stream socket that does not block and is closed on exec. Errors as connect_error.
result<unique_fd> open_socket(int family, const std::string& place);
/// Makes the io_context watch it. Errors: io, limit_reached.
result<stream_descriptor> watch(boost::asio::io_context& io, unique_fd fd, const std::string& place);

/// Accepts connections, a few a turn. Out of descriptors or memory, it waits 100 ms and goes on: what waits to be
/// accepted stays in the kernel's queue.
class accept_loop final : public std::enable_shared_from_this<accept_loop> {
public:
    using function = std::function<void(unique_fd)>;
    accept_loop(boost::asio::io_context& io, stream_descriptor listening)
        : listening_{std::move(listening)}, pause_{io} {}
    /// Calls `accepted` for every connection, from handlers. Once.
    void run(function accepted);
    /// Accepts nothing until go_on().
    void hold() noexcept { held_ = true; }
    void go_on();
    void stop() noexcept;

private:
    void wait();
    void accept_some();

    stream_descriptor listening_;
    boost::asio::steady_timer pause_;
    std::shared_ptr<function> accepted_;  // null: stopped
    bool held_ = false;
    bool waits_ = false;
};

struct socket_address {
    sockaddr_storage storage{};
    socklen_t length = 0;
};

/// Connects to the first of some addresses that answers, and calls `done` once, from a handler, with a connected,
/// non-blocking descriptor, or with the last address's error.
class socket_connector final : public std::enable_shared_from_this<socket_connector> {
public:
    using function = std::function<void(result<stream_descriptor>)>;
    socket_connector(boost::asio::io_context& io, std::string place)
        : io_{io}, place_{std::move(place)}, retry_{io} {}
    /// `prepare` sets options of a new socket before it connects; may be empty.
    void run(std::vector<socket_address> addresses, std::function<void(int)> prepare, function done);
    void stop() noexcept;

private:
    void try_next();
    void connect_now();
    void wait_until_connected();
    void connected();
    void failed(int number);
    void finish(result<stream_descriptor> outcome);

    boost::asio::io_context& io_;
    std::string place_;
    boost::asio::steady_timer retry_;
    std::vector<socket_address> addresses_;
    std::size_t next_ = 0;
    std::function<void(int)> prepare_;
    function done_;  // empty: told or stopped
    std::unique_ptr<stream_descriptor> trying_;
};

}  // namespace coppice::detail
