// web_client: a WebSocket client of a test's own, on a blocking socket, that can also do what no client should.
//
//     web_client c{port};
//     c.shake_hands();
//     c.say("hello");
//     EXPECT_EQ(c.next().text, "hello");
//
// It shares no code with what it tests: frames are written and read here, by RFC 6455. One thread. A test that waits for
// what never comes is ended by the watchdog.
#pragma once
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "support/loopback.hpp"

namespace coppice::tests {

struct web_frame {
    int opcode = -1;  ///< 1 text, 2 binary, 8 close, 9 ping, 10 pong; -1: the connection is over
    bool last = true;
    std::string text;
    /// Of a close; 0: it has none.
    [[nodiscard]] unsigned code() const {
        return text.size() < 2
                   ? 0u
                   : static_cast<unsigned char>(text[0]) * 256u + static_cast<unsigned char>(text[1]);
    }
    [[nodiscard]] std::string reason() const { return text.size() < 2 ? std::string{} : text.substr(2); }
};

class web_client {
public:
    explicit web_client(std::uint16_t port, int receive_buffer = 0) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receive_buffer > 0)
            ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        const int on = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        const sockaddr_in where = loopback(port);
        port_ = port;
        if (::connect(fd_, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0) {
            const int number = errno;
            ::close(std::exchange(fd_, -1));
            throw std::system_error{number, std::generic_category(), "connect"};
        }
    }
    web_client(web_client&& other) noexcept
        : fd_{std::exchange(other.fd_, -1)}, port_{other.port_}, in_{std::move(other.in_)} {}
    web_client& operator=(web_client&& other) noexcept {
        std::swap(fd_, other.fd_);
        std::swap(port_, other.port_);
        std::swap(in_, other.in_);
        return *this;
    }
    ~web_client() { drop(); }

    // ---- the handshake

    /// The request's text, with the key of RFC 6455, 1.3.
    [[nodiscard]] std::string handshake(const std::string& path = "/", const std::string& more = {}) const {
        return "GET " + path + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port_) +
               "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
               more + "\r\n";
    }
    /// The answer's head.
    std::string shake_hands(const std::string& path = "/", const std::string& more = {}) {
        write(handshake(path, more));
        return read_head();
    }
    /// Up to the empty line; empty if the connection ends before.
    std::string read_head() {
        for (;;) {
            const auto end = in_.find("\r\n\r\n");
            if (end != std::string::npos) {
                std::string head = in_.substr(0, end + 4);
                in_.erase(0, end + 4);
                return head;
            }
            if (!read_more()) return {};
        }
    }
    /// All that comes until the other side closes.
    std::string read_all() {
        while (read_more()) {
        }
        return std::exchange(in_, {});
    }

    // ---- frames

    /// One frame: opcode, FIN and reserved bits as they are given.
    static std::string frame(int opcode, std::string_view payload, bool last = true, bool masked = true,
                             int reserved = 0) {
        std::string bytes;
        bytes += static_cast<char>((last ? 0x80 : 0) | reserved << 4 | opcode);
        const char mask_bit = masked ? '\x80' : '\0';
        const std::uint64_t size = payload.size();
        if (size < 126) {
            bytes += static_cast<char>(mask_bit | static_cast<char>(size));
        } else {
            const int count = size < 65536 ? 2 : 8;
            bytes += static_cast<char>(mask_bit | (count == 2 ? 126 : 127));
            for (int i = count - 1; i >= 0; --i) bytes += static_cast<char>(size >> (8 * i));
        }
        if (!masked) return bytes.append(payload);
        constexpr char mask[4] = {0x37, '\xfa', 0x21, 0x3d};
        bytes.append(mask, 4);
        const std::size_t at = bytes.size();
        bytes.append(payload);
        for (std::size_t i = 0; i < payload.size(); ++i)
            bytes[at + i] = static_cast<char>(bytes[at + i] ^ mask[i % 4]);
        return bytes;
    }
    void say(std::string_view text) { write(frame(1, text)); }
    void send(int opcode, std::string_view payload) { write(frame(opcode, payload)); }
    void say_close(unsigned code, std::string_view reason = {}) {
        std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
        write(frame(8, payload.append(reason)));
    }
    /// The next frame, whatever it is. The server's are not masked; one that is, is an error.
    web_frame next_frame() {
        if (!need(2)) return {};
        web_frame f;
        f.last = (in_[0] & 0x80) != 0;
        f.opcode = in_[0] & 0x0f;
        if ((in_[1] & 0x80) != 0) throw std::runtime_error{"a server's frame is masked"};
        if ((in_[0] & 0x70) != 0) throw std::runtime_error{"a server's frame has reserved bits"};
        std::uint64_t size = static_cast<unsigned char>(in_[1]);
        std::size_t head = 2;
        if (size >= 126) {
            const std::size_t count = size == 126 ? 2 : 8;
            if (!need(2 + count)) return {};
            size = 0;
            for (std::size_t i = 0; i < count; ++i) size = size << 8 | static_cast<unsigned char>(in_[2 + i]);
            head += count;
        }
        if (!need(head + size)) return {};
        f.text = in_.substr(head, size);
        in_.erase(0, head + size);
        return f;
    }
    /// The next whole message or close; pings are answered on the way.
    web_frame next() {
        web_frame whole;
        for (;;) {
            web_frame f = next_frame();
            if (f.opcode == 9) {
                send(10, f.text);
                continue;
            }
            if (f.opcode == 10) continue;
            if (f.opcode == 8 || f.opcode == -1) return f;
            if (f.opcode != 0) whole.opcode = f.opcode;
            whole.text += f.text;
            if (f.last) return whole;
        }
    }
    /// Closes politely from this side: says so, and waits for the answer and for the end.
    void leave(unsigned code = 1000, std::string_view reason = {}) {
        say_close(code, reason);
        while (next().opcode > 0 && in_.size() < (1u << 30)) {
        }
        drop();
    }

    // ---- the connection

    void write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw std::system_error{errno, std::generic_category(), "send"};
            bytes.remove_prefix(static_cast<std::size_t>(n));
        }
    }
    /// As write, but the other side may have closed before: false.
    bool try_write(std::string_view bytes) {
        try {
            write(bytes);
            return true;
        } catch (const std::system_error&) {
            return false;
        }
    }
    /// Ends it without a word, as a program that crashes.
    void drop() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    /// Ends it with a reset.
    void reset() {
        const linger now{1, 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        drop();
    }
    /// Whether something has come that was not read yet, also an end.
    [[nodiscard]] bool has_more() const {
        pollfd p{fd_, POLLIN, 0};
        return !in_.empty() || ::poll(&p, 1, 0) > 0;
    }
    [[nodiscard]] int fd() const noexcept { return fd_; }

private:
    bool read_more() {
        char some[65536];
        for (;;) {
            const ssize_t n = ::recv(fd_, some, sizeof some, 0);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            in_.append(some, static_cast<std::size_t>(n));
            return true;
        }
    }
    bool need(std::uint64_t size) {
        while (in_.size() < size)
            if (!read_more()) return false;
        return true;
    }

    int fd_ = -1;
    std::uint16_t port_ = 0;
    std::string in_;
};

}  // namespace coppice::tests
