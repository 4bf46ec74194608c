// cut_proxy: stands between two ends of a TCP or unix connection and does to it what networks do, when a test says so
// or at random bytes by a seed. Plain sockets and poll() on a thread of its own: it shares no code with what it tests.
//
//     cut_proxy proxy{port_of_the_listener};          // connect to 127.0.0.1:proxy.port()
//     proxy.cut_at_random({.seed = 7, .most = 300'000, .times = 1000});
//     proxy.until([](const cut_proxy::counts& c) { return c.cuts == 1000; });
//
// Any thread may steer it; what it is told holds, once the call returns, for present and later connections. "Up" is
// from who connects to the listener. A listener that is not there ends the connection that came for it.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace coppice::tests {

class cut_proxy {
public:
    enum class how : std::uint8_t {
        reset,   ///< RST to both sides: what they had not read yet is lost (unix: closed with input unread)
        finish,  ///< FIN to both sides after an arbitrary byte: both read a proper end in the middle
        truncate,  ///< FIN to a direction's reader, its writer's further bytes are thrown away; reset 10 ms later
        either  ///< one of the three, by the seed
    };
    enum class direction : std::uint8_t { up = 1, down = 2, both = 3 };

    struct random_cuts {
        std::uint64_t seed = 1;
        /// A connection passes 1 to so many bytes, both ways together, before its cut. All magnitudes are as likely,
        /// so that handshakes are cut as often as full streams.
        std::uint64_t most = 100'000;
        /// After so many cuts connections are left alone.
        std::uint64_t times = UINT64_MAX;
        how as = how::either;
    };
    struct counts {
        std::uint64_t connections = 0;  ///< accepted
        std::uint64_t cuts = 0;         ///< by cut() and cut_at_random()
        std::uint64_t open = 0;         ///< connections now
        std::uint64_t up = 0;           ///< bytes passed on
        std::uint64_t down = 0;
        std::uint64_t swallowed = 0;  ///< bytes taken and not passed on
    };

    /// In front of address:target (IPv4), at a port of its own of 127.0.0.1.
    explicit cut_proxy(std::uint16_t target, const std::string& address = "127.0.0.1");
    /// In front of a unix socket, at `own_path`, which it removes in the end.
    cut_proxy(std::string target_path, std::string own_path);
    ~cut_proxy();
    cut_proxy(const cut_proxy&) = delete;
    cut_proxy& operator=(const cut_proxy&) = delete;

    /// Where it listens (TCP).
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

    /// Everything passes, what is held first. Ends all that follows here.
    void forward();
    void cut_at_random(const random_cuts& wanted);
    /// Ends all present connections.
    void cut(how as);
    /// Takes nothing more from that direction: the writer fills the kernel's buffers and then waits. Nothing is lost.
    void stall(direction d);
    /// A black hole: takes everything from that direction and passes nothing on. Such a connection cannot be healed,
    /// only cut; forward() spares those that come later.
    void swallow(direction d);
    /// Everything is passed on so much later. 0: at once.
    void delay(std::chrono::milliseconds by);
    /// Refuses connections (ECONNREFUSED), or takes them again. Present ones go on.
    void refuse(bool refused);

    [[nodiscard]] counts so_far() const;
    /// Waits until that holds; the caller's watchdog ends what never comes.
    void until(const std::function<bool(const counts&)>& holds) const;

private:
    struct connection;
    struct state;
    void begin();

    std::unique_ptr<state> state_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

}  // namespace coppice::tests
