// One connection of the gateway, from its first byte to its last, whatever lies under it: TLS, HTTP's head, WebSocket.
//
// The rest of the gateway sees this interface alone. Beast is what implements it, one file a kind of stream, because each
// costs a minute to compile (gateway_plain.cpp, gateway_tls.cpp). It knows no channels and no agents. Owner thread: the
// gateway's scheduler. The coroutines are awaited by the gateway's tasks, each of which holds the stream.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/actors/gateway.hpp"

namespace coppice::actors::web_parts {

/// How a connection, or a step of it, came to its end; false: it did not.
struct ending {
    enum class how : std::uint8_t {
        not_yet,
        peer,  ///< it closed with that code and reason
        broken_rule,  ///< the peer's fault: it was told the code, or, before WebSocket, is to be told that HTTP status
        lost,
    };
    how what = how::not_yet;
    std::uint16_t code = 0;
    std::string text;
    explicit operator bool() const noexcept { return what != how::not_yet; }
};

/// What the head of an HTTP request says, as far as the gateway asks. Views into the stream, until it answers or accepts.
struct http_head {
    ending failure;
    std::string_view method;
    std::string_view target;
    std::string_view host;
    std::string_view origin;
    std::string_view authorization;
    std::string_view subprotocols;
    bool upgrade = false;      ///< asks for WebSocket
    bool has_body = false;     ///< says that more follows
    bool ahead = false;        ///< more has come than the head
    unsigned host_fields = 0;  ///< how often Host stands in it
};

struct http_answer {
    unsigned status = 200;
    std::string type = "text/plain; charset=utf-8";
    blob body;
    bool head_only = false;
    std::string more;  ///< further fields, each with its line end
};

/// What a client says in its handshake.
struct client_hello {
    std::string host;
    std::string target;
    std::string token;
    std::string subprotocols;
};
struct client_welcome {
    ending failure;
    std::string subprotocol;
};

struct arrival {
    ending failure;
    web::content content;
};

class stream : public std::enable_shared_from_this<stream> {
public:
    stream() = default;
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;
    virtual ~stream() = default;

    // One at a time of these, before WebSocket.
    virtual task<ending> secure() = 0;
    virtual task<http_head> read_head() = 0;
    /// Answers and takes leave: the connection is over.
    virtual task<ending> answer(http_answer with) = 0;
    virtual task<ending> accept(std::string subprotocol, std::uint64_t most_message_bytes) = 0;
    virtual task<client_welcome> greet(client_hello with, std::uint64_t most_message_bytes) = 0;

    // WebSocket: one coroutine reads, one other writes, closes and pings.
    /// The next message. After a failure there is none any more.
    virtual task<arrival> read() = 0;
    virtual task<ending> write(web::content what) = 0;
    /// Tells the peer, and waits for its answer.
    virtual task<ending> close(std::uint16_t code, std::string reason) = 0;
    virtual task<ending> ping(std::string payload) = 0;

    /// Waits until the peer has ended the connection, too, after an end that it has been told: closed at once, with something
    /// unread, its system would throw away what it was told.
    virtual task<> linger() = 0;

    /// Ends the connection at once: what is awaited fails.
    virtual void cut() noexcept = 0;
    /// Cuts it then, unless there is another limit or none by then.
    virtual void limit(std::chrono::nanoseconds within) = 0;
    virtual void unlimit() noexcept = 0;
    /// That a limit has cut it.
    [[nodiscard]] bool late() const noexcept { return late_; }

    /// Whether anything has come since it was asked last.
    [[nodiscard]] bool heard() noexcept { return std::exchange(heard_, false); }
    /// Called with the payload of each pong, by whoever reads; it must not end the stream.
    std::function<void(std::string_view)> on_pong;

protected:
    bool late_ = false;
    bool heard_ = false;
};

/// Over an open, non-blocking TCP socket, which it takes.
std::shared_ptr<stream> make_plain_stream(boost::asio::io_context& io, int socket);

/// Certificates as OpenSSL has read them; shared by the streams of a port.
class tls_context;
result<std::shared_ptr<tls_context>> make_tls_context(const web::tls_files& files, bool listening);
/// `expected`: connecting, the name or address that the server's certificate must have; listening, empty.
std::shared_ptr<stream> make_tls_stream(boost::asio::io_context& io, int socket,
                                        std::shared_ptr<tls_context> context, std::string expected);

/// Lets one coroutine wait until another one, of the same thread, says that something has changed.
class event {
public:
    explicit event(boost::asio::io_context& io);
    event(const event&) = delete;
    event& operator=(const event&) = delete;
    ~event();
    /// Until notify(), or at most so long. Who waits looks again whether it is so.
    task<> wait(std::chrono::nanoseconds at_most = std::chrono::nanoseconds::max());
    void notify() noexcept;

private:
    struct parts;
    std::unique_ptr<parts> parts_;
};

}  // namespace coppice::actors::web_parts
