// The bytes of a pipe link, for stream_link: one pipe in, one pipe out.
//
// A write to a pipe without a reader would raise SIGPIPE. So the channel itself holds a reading end of the pipe that it writes
// to, and never reads from it: the pipe always has a reader, and a write costs no more than a write. The price is that writing
// does not tell of the peer's death. The other pipe does, by its end of file: the peer is its only writer, whether it closed or
// died, and what it had written before is read first. Reactor thread.
#pragma once
#include "stream/socket.hpp"

namespace coppice::pipes {

class fifo_channel final : public detail::stream_channel {
public:
    /// `in` is the connection's. `guard` reads the pipe of `out`.
    fifo_channel(int in, detail::stream_descriptor out, detail::unique_fd guard) noexcept
        : in_{in}, out_{std::move(out)}, guard_{std::move(guard)} {}
    outcome read(std::span<std::byte> into, std::size_t& count, error& why) override;
    outcome write(std::span<const iovec> parts, std::size_t& count, error& why) override;
    [[nodiscard]] detail::stream_descriptor* output() noexcept override { return &out_; }
    bool finish() noexcept override;

private:
    int in_;
    detail::stream_descriptor out_;
    detail::unique_fd guard_;
};

}  // namespace coppice::pipes
