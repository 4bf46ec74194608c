// The game of suite `links` for programs whose links send and receive messages by blocking calls: the raw primitives,
// ZeroMQ, NNG. A program implements `wire` and says how both sides make one.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "links/links.hpp"

namespace links {

/// One side of a connection. Messages have the row's size; a failure is the end of the program.
class wire {
public:
    virtual ~wire() = default;
    /// Sends a message, or collects it until flush().
    virtual void send(std::span<const std::byte> message) = 0;
    virtual void flush() {}
    /// The next message. Valid until the next call.
    virtual std::span<const std::byte> receive() = 0;
};

// The first byte of a message says what the partner is to do with it.
enum class wish : std::uint8_t { swallow, answer, answer_and_end };

/// The partner's side.
inline void answer_until_end(wire& over, std::size_t size) {
    std::vector<std::byte> own(size);
    for (;;) {
        const auto message = over.receive();
        const wish what{static_cast<std::uint8_t>(message[0])};
        touch(message);
        if (what == wish::swallow) continue;
        over.send(own);
        over.flush();
        if (what == wish::answer_and_end) return;
    }
}

/// The measuring side.
inline void play_over(wire& over, const row& of, const bench::reporter& out, pid_t partner) {
    std::vector<std::byte> own(of.size);
    const auto ask = [&](wish what) {
        own[0] = static_cast<std::byte>(what);
        over.send(own);
        over.flush();
        touch(over.receive());
    };
    meter used{partner};
    const duration length{out};
    const int burst = of.size > 1024 ? 4 : 64;  // messages between two looks at the clock
    std::vector<std::uint32_t> samples;
    std::uint64_t sent = 0;
    for (const auto how_long : {length.warm_up, length.measured}) {
        samples.clear();
        ask(wish::answer);
        used.start();
        const auto end = bench::clock::now() + how_long;
        if (of.what == work::round_trip) sample_until(end, samples, [&] { ask(wish::answer); });
        else {
            own[0] = static_cast<std::byte>(wish::swallow);
            for (sent = 0; bench::clock::now() < end; sent += static_cast<std::uint64_t>(burst))
                for (int i = 0; i < burst; ++i) over.send(own);
            ask(wish::answer);
        }
        used.stop();
    }
    if (of.what == work::round_trip) report_round_trips(out, of, std::move(samples), used);
    else report_one_way(out, of, sent, used);
    ask(wish::answer_and_end);
}

}  // namespace links
