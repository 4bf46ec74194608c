// Checks of frames that came from a peer; the writing side is inline in frame.hpp.
// Headers are copied once, checked, then used: a peer that shares the memory may change it meanwhile.
#include "net/frame.hpp"

namespace coppice::net {

namespace {

// The checksum's own place counts as zero: header without it, then all that follows.
std::uint32_t checksum_of(const frame_header& h, const std::byte* rest, std::size_t bytes) noexcept {
    return crc32c(crc32c_12(&h), rest, bytes);
}

}  // namespace

void seal_frame(std::byte* frame) noexcept {
    frame_header h;
    std::memcpy(&h, frame, sizeof h);
    h.flags |= frame_header::checked;
    const std::size_t rest = frame_bytes(h.length, h.flags & frame_header::routed) - sizeof h;
    h.crc = checksum_of(h, frame + sizeof h, rest);
    std::memcpy(frame, &h, sizeof h);
}

errc parse_frame(std::span<const std::byte> bytes, std::size_t longest_body, parsed_frame& out) noexcept {
    if (bytes.size() < sizeof(frame_header)) return errc::timeout;
    frame_header& h = out.header;
    std::memcpy(&h, bytes.data(), sizeof h);
    if (!(h.flags & frame_header::checked) && crc32c_12(&h) != h.crc) return errc::bad_message;
    if (h.length > longest_body) return errc::bad_message;
    const bool with_route = h.flags & frame_header::routed;
    out.size = frame_bytes(h.length, with_route);
    if (bytes.size() < out.size) return errc::timeout;
    const std::byte* at = bytes.data() + sizeof h;
    if ((h.flags & frame_header::checked) && checksum_of(h, at, out.size - sizeof h) != h.crc)
        return errc::bad_message;
    if (h.version != frame_version) return errc::wrong_version;
    if (h.kind < frame_kind::control || h.kind > frame_kind::envelope) return errc::bad_message;
    out.route = {};
    if (with_route) {
        std::memcpy(&out.route, at, sizeof out.route);
        at += sizeof out.route;
    }
    out.body = {at, h.length};
    return errc::ok;
}

}  // namespace coppice::net
