// Sockets by system calls, readiness by Asio; see socket.hpp.
// A unix socket whose listener's queue is full refuses with EAGAIN and has no readiness to wait for: hence the retries
// by time, which end when the attempt is given up.
#include "stream/socket.hpp"

#include <netinet/in.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

#include <boost/asio/post.hpp>

#include "support/run_directory.hpp"

namespace coppice::detail {

namespace {

constexpr int accepts_per_turn = 16;
constexpr std::chrono::milliseconds accept_pause{100};  // out of descriptors: time for some to be closed
constexpr std::chrono::milliseconds connect_pause{5};   // the listener's queue is full

// On loopback a socket can meet itself, if the port that it asks for is the one that it was given.
bool met_itself(int fd) noexcept {
    sockaddr_storage own{};
    sockaddr_storage peer{};
    socklen_t own_length = sizeof own;
    socklen_t peer_length = sizeof peer;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_length) != 0) return false;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_length) != 0) return false;
    if (own.ss_family != peer.ss_family) return false;
    if (own.ss_family == AF_INET) {
        const auto& a = reinterpret_cast<const sockaddr_in&>(own);
        const auto& b = reinterpret_cast<const sockaddr_in&>(peer);
        return a.sin_port == b.sin_port && a.sin_addr.s_addr == b.sin_addr.s_addr;
    }
    if (own.ss_family == AF_INET6) {
        const auto& a = reinterpret_cast<const sockaddr_in6&>(own);
        const auto& b = reinterpret_cast<const sockaddr_in6&>(peer);
        return a.sin6_port == b.sin6_port && IN6_ARE_ADDR_EQUAL(&a.sin6_addr, &b.sin6_addr);
    }
    return false;
}

}  // namespace

unique_fd::~unique_fd() {
    if (fd_ >= 0) ::close(fd_);
}

std::string place(const endpoint& where) {
    endpoint bare = where;
    bare.options.clear();
    bare.actor.clear();
    return bare.to_string();
}

error connect_error(int number, const std::string& place) {
    const std::string text = place + ": " + std::generic_category().message(number);
    if (ran_out(number)) return {errc::limit_reached, text};
    switch (number) {
    case EACCES:
    case EPERM: return {errc::denied, text};
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
    case ENOTDIR:
    case ENOTSOCK:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case ETIMEDOUT: return {errc::unreachable, text};
    default: return {errc::io, text};
    }
}

result<boost::asio::io_context*> io_of(reactor& on, const endpoint& where) {
    if (void* io = on.io_context()) return static_cast<boost::asio::io_context*>(io);
    return error{errc::invalid_argument, place(where) + ": this node has no I/O (a test world): use inproc"};
}

result<unique_fd> open_socket(int family, const std::string& place) {
    unique_fd fd{::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!fd) return connect_error(errno, place);
    return fd;
}

result<stream_descriptor> watch(boost::asio::io_context& io, unique_fd fd, const std::string& place) {
    stream_descriptor descriptor{io};
    boost::system::error_code failure;
    descriptor.assign(fd.get(), failure);
    if (failure) return connect_error(failure.value(), place);
    static_cast<void>(fd.release());
    return descriptor;
}

// ---------------------------------------------------------------- accept

void accept_loop::run(function accepted) {
    accepted_ = std::make_shared<function>(std::move(accepted));
    wait();
}

void accept_loop::go_on() {
    held_ = false;
    wait();
}

void accept_loop::stop() noexcept {
    accepted_ = nullptr;
    boost::system::error_code ignored;
    pause_.cancel(ignored);
    listening_.close(ignored);
}

void accept_loop::wait() {
    if (waits_ || held_ || !accepted_) return;
    waits_ = true;
    listening_.async_wait(stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& failure) {
                              self->waits_ = false;
                              if (!failure) self->accept_some();
                          });
}

void accept_loop::accept_some() {
    // The function may stop the loop, and its owner may go: the copy outlives the call.
    const std::shared_ptr<function> accepted = accepted_;
    for (int n = 0; n < accepts_per_turn && accepted_ && !held_; ++n) {
        unique_fd fd{::accept4(listening_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (fd) {
            (*accepted)(std::move(fd));
            continue;
        }
        if (errno == EAGAIN) break;
        if (!ran_out(errno)) continue;  // that connection's own failure: it is gone
        pause_.expires_after(accept_pause);
        waits_ = true;
        pause_.async_wait([self = shared_from_this()](const boost::system::error_code&) {
            self->waits_ = false;
            self->wait();
        });
        return;
    }
    wait();
}

// ---------------------------------------------------------------- connect

void socket_connector::run(std::vector<socket_address> addresses, std::function<void(int)> prepare,
                           function done) {
    addresses_ = std::move(addresses);
    prepare_ = std::move(prepare);
    done_ = std::move(done);
    boost::asio::post(io_, [self = shared_from_this()] { self->try_next(); });
}

void socket_connector::stop() noexcept {
    done_ = nullptr;
    boost::system::error_code ignored;
    retry_.cancel(ignored);
    trying_.reset();
}

void socket_connector::try_next() {
    if (!done_) return;
    auto fd = open_socket(addresses_[next_].storage.ss_family, place_);
    if (!fd) return finish(fd.error());
    if (prepare_) prepare_(fd->get());
    auto descriptor = watch(io_, std::move(*fd), place_);
    if (!descriptor) return finish(descriptor.error());
    trying_ = std::make_unique<stream_descriptor>(std::move(*descriptor));
    connect_now();
}

void socket_connector::connect_now() {
    const socket_address& to = addresses_[next_];
    if (::connect(trying_->native_handle(), reinterpret_cast<const sockaddr*>(&to.storage), to.length) == 0)
        return connected();
    if (errno == EINPROGRESS || errno == EINTR) return wait_until_connected();
    if (errno == EAGAIN && to.storage.ss_family == AF_UNIX) {
        retry_.expires_after(connect_pause);
        retry_.async_wait([self = shared_from_this()](const boost::system::error_code& failure) {
            if (!failure && self->done_) self->connect_now();
        });
        return;
    }
    failed(errno);
}

void socket_connector::wait_until_connected() {
    trying_->async_wait(stream_descriptor::wait_write,
                        [self = shared_from_this()](const boost::system::error_code& failure) {
                            if (!failure && self->done_) self->connected();
                        });
}

void socket_connector::connected() {
    int number = 0;
    socklen_t length = sizeof number;
    if (::getsockopt(trying_->native_handle(), SOL_SOCKET, SO_ERROR, &number, &length) != 0) number = errno;
    if (number == 0 && met_itself(trying_->native_handle())) number = ECONNREFUSED;
    if (number != 0) return failed(number);
    // A wait can end by the event of a descriptor that had the same number and was closed just now.
    sockaddr_storage peer{};
    length = sizeof peer;
    if (::getpeername(trying_->native_handle(), reinterpret_cast<sockaddr*>(&peer), &length) != 0) {
        if (errno == ENOTCONN) return wait_until_connected();
        return failed(errno);
    }
    finish(std::move(*trying_));
}

void socket_connector::failed(int number) {
    trying_.reset();
    if (++next_ < addresses_.size()) return try_next();
    finish(connect_error(number, place_));
}

void socket_connector::finish(result<stream_descriptor> outcome) {
    // The owner may destroy the attempt within the call.
    const auto self = shared_from_this();
    const function done = std::exchange(done_, nullptr);
    trying_.reset();
    done(std::move(outcome));
}

}  // namespace coppice::detail
