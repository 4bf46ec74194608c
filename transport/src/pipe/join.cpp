// Requests and answers; see join.hpp.
// The scanner takes what looks like a request only if its checksum agrees; else it looks on from the very next byte, so that
// garbage, or a request that was cut, never hides the one behind it. Any thread.
#include "pipe/join.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace coppice::pipes {

static_assert(std::endian::native == std::endian::little, "requests are written as they lie in memory");

namespace {

// What all versions have in common.
constexpr std::size_t head_bytes = 32;

template <class Message>
std::uint32_t checksum_of(const Message& m) noexcept {
    return checksum(std::as_bytes(std::span{&m, 1}).first(sizeof m - 4));
}

}  // namespace

std::uint32_t checksum(std::span<const std::byte> bytes) noexcept {
    std::uint32_t crc = ~0u;
    for (const std::byte b : bytes) {
        crc ^= static_cast<std::uint32_t>(b);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (0x82f6'3b78u & (0u - (crc & 1u)));
    }
    return ~crc;
}

request sealed(request r) noexcept {
    r.checksum = checksum_of(r);
    return r;
}

answer sealed(answer a) noexcept {
    a.checksum = checksum_of(a);
    return a;
}

result<void> read(const answer& said, const token& asked) {
    if (said.magic != answer_magic || said.checksum != checksum_of(said) || said.id != asked)
        return error{errc::io, "what came back is no answer to the request"};
    if (said.version != version || said.code == static_cast<std::uint32_t>(errc::wrong_version))
        return errc::wrong_version;
    if (said.code == static_cast<std::uint32_t>(errc::ok)) return {};
    return error{errc::io, "the listener refused, code " + std::to_string(said.code)};
}

std::span<std::byte> request_scanner::room() noexcept {
    // At most the beginning of one request is left.
    if (begin_ != 0) {
        std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    return {bytes_.data() + end_, capacity - end_};
}

std::optional<request> request_scanner::next(bool pipe_is_empty) noexcept {
    std::array<std::byte, sizeof request_magic> wanted;
    std::memcpy(wanted.data(), &request_magic, sizeof request_magic);
    for (;;) {
        const auto first = bytes_.begin() + static_cast<std::ptrdiff_t>(begin_);
        const auto last = bytes_.begin() + static_cast<std::ptrdiff_t>(end_);
        const auto found = std::search(first, last, wanted.begin(), wanted.end());
        if (found == last) {
            // The last bytes may be the beginning of a magic number.
            const std::size_t kept = pipe_is_empty ? 0 : std::min(end_ - begin_, wanted.size() - 1);
            begin_ = end_ - kept;
            return {};
        }
        begin_ = static_cast<std::size_t>(found - bytes_.begin());
        const std::span<const std::byte> rest{bytes_.data() + begin_, end_ - begin_};
        request r;
        if (rest.size() >= head_bytes) {
            std::memcpy(static_cast<void*>(&r), rest.data(), head_bytes);
            const bool sized = r.size >= sizeof r && r.size <= largest_request &&
                               (r.version != version || r.size == sizeof r);
            if (sized && rest.size() >= r.size) {
                const std::size_t size = r.size;
                std::memcpy(&r.checksum, rest.data() + size - 4, 4);
                if (r.checksum == checksum(rest.first(size - 4))) {
                    std::memcpy(&r.pid, rest.data() + offsetof(request, pid), sizeof r.pid);
                    begin_ += size;
                    return r;
                }
            } else if (sized && !pipe_is_empty) {
                return {};
            }
        } else if (!pipe_is_empty) {
            return {};
        }
        ++begin_;  // not one, or cut
    }
}

}  // namespace coppice::pipes
