// The gateway's stream on Boost.Beast, for whatever lies under WebSocket: a socket, or TLS over one.
//
// A template, so that each kind is compiled in a file of its own. No limit of Beast's own runs: it would count a client
// as silent that is not read because its agent is slow. Owner thread: the gateway's scheduler.
#pragma once
#include <algorithm>
#include <array>
#include <type_traits>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_allocator.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "coppice/await.hpp"
#include "gateway_http.hpp"
#include "gateway_stream.hpp"

namespace coppice::actors::web_parts {

using executor = boost::asio::io_context::executor_type;
using tcp_socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, executor>;
using limit_timer =
    boost::asio::basic_waitable_timer<std::chrono::steady_clock,
                                      boost::asio::wait_traits<std::chrono::steady_clock>, executor>;

/// Bytes of a request's head: browsers send one, their cookies included.
inline constexpr std::uint32_t most_head_bytes = 8 * 1024;
/// Room for one read of a message: what an idle connection holds, and what one read of a large message takes at most.
inline constexpr std::size_t least_read = 512;
inline constexpr std::size_t most_read = 64 * 1024;
/// Beast's way to end a connection waits for the peer to end it, too, and so long nobody is told that the handshake of the
/// close is over. These layers leave that waiting to stream::linger().
struct plain_layer : tcp_socket {
    using tcp_socket::tcp_socket;
    explicit plain_layer(tcp_socket socket) : tcp_socket{std::move(socket)} {}
};
inline void shut(tcp_socket& socket) noexcept {
    boost::system::error_code ignored;
    socket.shutdown(tcp_socket::shutdown_send, ignored);
}
template <class Handler>
void async_teardown(boost::beast::role_type, plain_layer& layer, Handler&& done) {
    shut(layer);
    boost::asio::post(layer.get_executor(), boost::beast::bind_front_handler(std::forward<Handler>(done),
                                                                             boost::system::error_code{}));
}

/// Up to here a message is copied out of the room, which then serves the next.
inline constexpr std::size_t copied_message = 4 * 1024;

/// The token of all awaits here: errors are values.
inline constexpr auto outcome = boost::asio::as_tuple(coppice::await);

/// Awaits what `start` does with the handler that it is given, which completes with an error and R. For Beast, which asks of
/// a token what only Asio's own have, and of a handler's allocator that it can be named for an incomplete type.
template <class... R, class Start>
auto started(Start start) {
    auto token = outcome;
    return boost::asio::async_initiate<decltype(token), void(boost::system::error_code, R...)>(
        [start = std::move(start)](auto handler) mutable {
            start(boost::asio::bind_allocator(std::allocator<void>{}, std::move(handler)));
        },
        token);
}

/// What a failed operation of Beast means for the connection; `reason` of one that the peer has closed.
ending ending_of(const boost::system::error_code& failure,
                 const boost::beast::websocket::close_reason& reason);

/// The socket of that number, or a closed one if the system does not let it be watched.
tcp_socket adopt(boost::asio::io_context& io, int socket) noexcept;

template <class Next>
class beast_stream final : public stream {
    static constexpr bool is_tls = !std::is_same_v<Next, plain_layer>;
    using error_code = boost::system::error_code;
    using web_socket = boost::beast::websocket::stream<Next, false>;

public:
    /// What is left of the arguments makes the layer below; `held` lives as long as that.
    template <class... Args>
    explicit beast_stream(boost::asio::io_context& io, std::shared_ptr<tls_context> held, Args&&... args)
        : held_{std::move(held)}, socket_{std::forward<Args>(args)...}, limit_{io.get_executor()} {
        if constexpr (is_tls) role_ = Next::server;
    }

    [[nodiscard]] Next& below() noexcept { return socket_.next_layer(); }

    task<ending> secure() override {
        if constexpr (is_tls) {
            auto [failure] =
                co_await started([this](auto done) { below().async_handshake(role_, std::move(done)); });
            if (failure) co_return ending_of(failure, {});
        }
        co_return ending{};
    }

    task<http_head> read_head() override {
        boost::beast::http::request_parser<boost::beast::http::empty_body> parser;
        parser.header_limit(most_head_bytes);
        auto [failure, bytes] = co_await started<std::size_t>([&](auto done) {
            boost::beast::http::async_read_header(below(), room_, parser, std::move(done));
        });
        if (failure) {
            ending why = ending_of(failure, {});
            why.code = status_of(failure);
            if (why.code != 0) why.what = ending::how::broken_rule;
            co_return http_head{.failure = std::move(why)};
        }
        const bool has_body = parser.chunked() || parser.content_length().value_or(0) != 0;
        asked_ = parser.release();
        co_return head_of(has_body);
    }

    task<ending> answer(http_answer with) override {
        const std::string head = http_text(with);
        const std::array<boost::asio::const_buffer, 2> all{
            boost::asio::buffer(head),
            boost::asio::buffer(with.body.data(), with.head_only ? 0 : with.body.size())};
        auto [failure, bytes] = co_await boost::asio::async_write(below(), all, outcome);
        if (failure) co_return ending_of(failure, {});
        if constexpr (!is_tls) shut(below());
        co_await linger();
        co_return ending{};
    }

    task<> linger() override {
        if constexpr (is_tls) {
            auto [ignored] = co_await started([this](auto done) { below().async_shutdown(std::move(done)); });
            static_cast<void>(ignored);
            shut(boost::beast::get_lowest_layer(socket_));
        }
        std::array<std::byte, 1024> thrown_away{};
        for (;;) {
            auto [failure, bytes] = co_await boost::beast::get_lowest_layer(socket_).async_read_some(
                boost::asio::buffer(thrown_away), outcome);
            if (failure) co_return;
        }
    }

    task<ending> accept(std::string subprotocol, std::uint64_t most_message_bytes) override {
        prepare(most_message_bytes);
        if (!subprotocol.empty())
            socket_.set_option(boost::beast::websocket::stream_base::decorator(
                [subprotocol](boost::beast::websocket::response_type& answer) {
                    answer.set(boost::beast::http::field::sec_websocket_protocol, subprotocol);
                }));
        auto [failure] =
            co_await started([this](auto done) { socket_.async_accept(asked_, std::move(done)); });
        forget_head();
        if (failure) co_return ending_of(failure, {});
        co_return ending{};
    }

    task<client_welcome> greet(client_hello with, std::uint64_t most_message_bytes) override {
        prepare(most_message_bytes);
        socket_.set_option(boost::beast::websocket::stream_base::decorator(
            [token = with.token, offered = with.subprotocols](boost::beast::websocket::request_type& asked) {
                if (!token.empty()) asked.set(boost::beast::http::field::authorization, "Bearer " + token);
                if (!offered.empty()) asked.set(boost::beast::http::field::sec_websocket_protocol, offered);
            }));
        boost::beast::websocket::response_type got;
        auto [failure] = co_await started(
            [&](auto done) { socket_.async_handshake(got, with.host, with.target, std::move(done)); });
        client_welcome welcome;
        welcome.subprotocol = std::string{got[boost::beast::http::field::sec_websocket_protocol]};
        if (failure) {
            welcome.failure = ending_of(failure, {});
            if (got.result_int() != 101)
                welcome.failure.text += " (HTTP status " + std::to_string(got.result_int()) + ")";
        }
        co_return welcome;
    }

    task<arrival> read() override {
        std::size_t used = 0;
        do {
            const std::size_t wanted = used + std::clamp(used, least_read, most_read);
            if (message_.size() < wanted) message_.resize(wanted);
            auto [failure, bytes] = co_await started<std::size_t>([&](auto done) {
                socket_.async_read_some(boost::asio::buffer(message_.data() + used, wanted - used),
                                        std::move(done));
            });
            if (failure) co_return arrival{ending_of(failure, socket_.reason()), {}};
            heard_ = true;
            used += bytes;
        } while (!socket_.is_message_done());
        co_return arrival{{}, {socket_.got_text() ? web::kind::text : web::kind::binary, taken(used)}};
    }

    task<ending> write(web::content what) override {
        socket_.text(what.kind == web::kind::text);
        auto [failure, bytes] = co_await started<std::size_t>([&](auto done) {
            socket_.async_write(boost::asio::buffer(what.bytes.data(), what.bytes.size()), std::move(done));
        });
        if (failure) co_return ending_of(failure, {});
        co_return ending{};
    }

    task<ending> close(std::uint16_t code, std::string reason) override {
        boost::beast::websocket::close_reason told{code};
        told.reason.assign(reason.data(), std::min(reason.size(), told.reason.max_size()));
        auto [failure] = co_await started([&](auto done) { socket_.async_close(told, std::move(done)); });
        if (failure) co_return ending_of(failure, {});
        co_return ending{};
    }

    task<ending> ping(std::string payload) override {
        const boost::beast::websocket::ping_data data{payload};
        auto [failure] = co_await started([&](auto done) { socket_.async_ping(data, std::move(done)); });
        if (failure) co_return ending_of(failure, {});
        co_return ending{};
    }

    void cut() noexcept override {
        error_code ignored;
        boost::beast::get_lowest_layer(socket_).close(ignored);
    }
    void limit(std::chrono::nanoseconds within) override {
        limit_.expires_after(within);
        limit_.async_wait([weak = weak_from_this()](const error_code& failure) {
            const auto self = failure ? nullptr : weak.lock();
            if (!self) return;
            auto& me = static_cast<beast_stream&>(*self);
            // A limit that was set anew while this handler was on its way.
            if (me.limit_.expiry() > std::chrono::steady_clock::now()) return;
            me.late_ = true;
            me.cut();
        });
    }
    void unlimit() noexcept override { limit_.expires_at(std::chrono::steady_clock::time_point::max()); }

    void is_client() noexcept {
        if constexpr (is_tls) role_ = Next::client;
    }

private:
    void prepare(std::uint64_t most_message_bytes) {
        using boost::beast::websocket::stream_base;
        socket_.set_option(stream_base::timeout{stream_base::none(), stream_base::none(), false});
        socket_.read_message_max(most_message_bytes);
        socket_.auto_fragment(false);
        socket_.control_callback(
            [this](boost::beast::websocket::frame_type type, boost::beast::string_view payload) {
                heard_ = true;
                if (type == boost::beast::websocket::frame_type::pong && on_pong)
                    on_pong({payload.data(), payload.size()});
            });
    }

    http_head head_of(bool has_body) const {
        using boost::beast::http::field;
        const auto text = [&](field name) {
            const auto found = asked_[name];
            return std::string_view{found.data(), found.size()};
        };
        http_head head;
        head.method = {asked_.method_string().data(), asked_.method_string().size()};
        head.target = {asked_.target().data(), asked_.target().size()};
        head.host = text(field::host);
        head.origin = text(field::origin);
        head.authorization = text(field::authorization);
        head.subprotocols = text(field::sec_websocket_protocol);
        head.upgrade = boost::beast::websocket::is_upgrade(asked_);
        head.has_body = has_body;
        head.ahead = room_.size() != 0;
        head.host_fields = static_cast<unsigned>(asked_.count(field::host));
        return head;
    }

    // The status for a head that is no head; 0: nobody waits for an answer.
    static std::uint16_t status_of(const error_code& failure) {
        using boost::beast::http::error;
        if (failure == error::header_limit || failure == error::buffer_overflow) return 431;
        if (failure.category() != make_error_code(error::bad_version).category()) return 0;
        return failure == error::end_of_stream || failure == error::partial_message ? 0 : 400;
    }

    void forget_head() {
        room_ = boost::beast::flat_buffer{};
        asked_ = {};
    }

    blob taken(std::size_t used) {
        if (used <= copied_message) {
            blob copy = blob::copy_of({message_.data(), used});
            if (message_.size() > copied_message) {
                message_.clear();
                message_.shrink_to_fit();
            }
            return copy;
        }
        message_.resize(used);
        if (message_.capacity() > used + used / 4) message_.shrink_to_fit();
        return blob{std::exchange(message_, {})};
    }

    struct no_role {};
    template <class T>
    struct role_of {
        using type = no_role;
    };
    template <class T>
    requires requires { typename T::handshake_type; }
    struct role_of<T> {
        using type = typename T::handshake_type;
    };

    std::shared_ptr<tls_context> held_;
    web_socket socket_;
    limit_timer limit_;
    boost::beast::flat_buffer room_{2 * most_head_bytes};
    boost::beast::http::request<boost::beast::http::empty_body> asked_;
    std::vector<std::byte> message_;
    typename role_of<Next>::type role_{};
};

}  // namespace coppice::actors::web_parts
