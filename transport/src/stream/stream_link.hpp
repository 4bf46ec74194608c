// byte_link over a connected, non-blocking descriptor: what unix, tcp, tls and pipe have in common. How bytes pass
// through it is a stream_channel's affair; buffers, pressure, events and the end are here.
//
// Threading: the reactor's thread. The connection behind a link is shared by its pending waits and by the time it
// lingers after close(), so that no handler ever finds it gone; it knows the io_context, not the reactor, which may
// end before.
#pragma once
#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "coppice/transport.hpp"

namespace coppice::detail {

using stream_descriptor = boost::asio::posix::stream_descriptor;

/// How bytes pass through a descriptor that does not block. The descriptor is the connection's and outlives the
/// channel.
class stream_channel {
public:
    enum class outcome : std::uint8_t {
        moved,    ///< some bytes, told in `count`
        blocked,  ///< none now: wait until the descriptor is ready
        ended,    ///< the peer ended it properly
        failed    ///< told in `why`
    };

    virtual ~stream_channel() = default;
    virtual outcome read(std::span<std::byte> into, std::size_t& count, error& why) = 0;
    /// Sends a part of `parts`. After `blocked` the same bytes come again, perhaps with more behind them.
    virtual outcome write(std::span<const iovec> parts, std::size_t& count, error& why) = 0;
    /// True if read() may have bytes of which the descriptor's readiness does not tell.
    [[nodiscard]] virtual bool buffered() const noexcept { return false; }
    /// The descriptor that output waits for, if it is not the connection's own: the channel's, closed when the link
    /// ends.
    [[nodiscard]] virtual stream_descriptor* output() noexcept { return nullptr; }
    /// Tells the peer that nothing follows. False: not possible now, again when the descriptor takes output.
    virtual bool finish() noexcept = 0;
};

/// read(2) as a channel's read: of sockets and pipes.
stream_channel::outcome read_descriptor(int fd, std::span<std::byte> into, std::size_t& count, error& why);

/// read and sendmsg on a socket.
class socket_channel final : public stream_channel {
public:
    explicit socket_channel(int socket) noexcept : socket_{socket} {}
    outcome read(std::span<std::byte> into, std::size_t& count, error& why) override;
    outcome write(std::span<const iovec> parts, std::size_t& count, error& why) override;
    bool finish() noexcept override;

private:
    int socket_;
};

struct stream_limits {
    /// What one read can bring and what the owner can leave unused. At least four frames of the greatest size.
    static constexpr std::size_t input = std::size_t{256} << 10;
    /// Output that is not sent yet: above it, reserve() gives none; writable() comes at half of it.
    static constexpr std::size_t high_water = std::size_t{512} << 10;
    static constexpr std::size_t max_reserve = std::size_t{64} << 10;
    /// Output that is sent without waiting for flush(), while it is still in the cache.
    static constexpr std::size_t eager = std::size_t{64} << 10;
    /// Bytes read in one turn before other handlers of the thread get theirs, at most, if the owner has the appetite; and at least: a
    /// turn costs a microsecond.
    static constexpr std::size_t turn = std::size_t{1} << 20;
    static constexpr std::size_t least_turn = std::size_t{16} << 10;
    /// How long a closed link may take to hand over what was flushed.
    static constexpr std::chrono::seconds linger{5};
};

/// A link over a connected, non-blocking descriptor.
std::unique_ptr<byte_link> make_stream_link(stream_descriptor descriptor,
                                            std::unique_ptr<stream_channel> channel, peer_identity peer);

}  // namespace coppice::detail
