// The gateway's streams over TCP, what streams of both kinds share, and the event. One of the two files that pay for
// Beast. Threading: the gateway's scheduler.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/beast/websocket/error.hpp>

#include "gateway_beast.hpp"

namespace coppice::actors::web_parts {

ending ending_of(const boost::system::error_code& failure,
                 const boost::beast::websocket::close_reason& reason) {
    namespace ws = boost::beast::websocket;
    using how = ending::how;
    if (failure == ws::error::closed) {
        const bool none = reason.code == ws::close_code::none;
        return {how::peer, none ? std::uint16_t{1005} : reason.code,
                std::string{reason.reason.data(), reason.reason.size()}};
    }
    if (failure == ws::error::message_too_big)
        return {how::broken_rule, ws::close_code::too_big, "a message larger than the port takes"};
    if (failure == ws::error::bad_frame_payload)
        return {how::broken_rule, ws::close_code::bad_payload, "a text that is not UTF-8"};
    if (failure == ws::condition::protocol_violation)
        return {how::broken_rule, ws::close_code::protocol_error, failure.message()};
    return {how::lost, 1006, failure.message()};
}

tcp_socket adopt(boost::asio::io_context& io, int socket) noexcept {
    tcp_socket made{io.get_executor()};
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    boost::system::error_code failure;
    const bool known = ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length) == 0;
    const auto protocol =
        known && own.ss_family == AF_INET6 ? boost::asio::ip::tcp::v6() : boost::asio::ip::tcp::v4();
    made.assign(protocol, socket, failure);
    if (failure) ::close(socket);
    else made.set_option(boost::asio::ip::tcp::no_delay{true}, failure);
    return made;
}

std::shared_ptr<stream> make_plain_stream(boost::asio::io_context& io, int socket) {
    return std::make_shared<beast_stream<plain_layer>>(io, nullptr, adopt(io, socket));
}

struct event::parts {
    limit_timer timer;
};

event::event(boost::asio::io_context& io)
    : parts_{std::make_unique<parts>(parts{limit_timer{io.get_executor()}})} {}
event::~event() = default;

task<> event::wait(std::chrono::nanoseconds at_most) {
    if (at_most == std::chrono::nanoseconds::max())
        parts_->timer.expires_at(std::chrono::steady_clock::time_point::max());
    else parts_->timer.expires_after(at_most);
    auto [notified] = co_await parts_->timer.async_wait(outcome);
    static_cast<void>(notified);
}

void event::notify() noexcept { parts_->timer.expires_at(std::chrono::steady_clock::time_point::max()); }

}  // namespace coppice::actors::web_parts
