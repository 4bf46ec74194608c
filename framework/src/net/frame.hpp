// Frames: what a link carries. A header of 16 bytes, for frames that go further than the neighbour 16 bytes of route, then
// the body, padded to 8. Little endian, written and read as laid out. docs/wire_format.md tells the same byte by byte.
//
//     length u32 | version u8 | kind u8 | flags u8 | hops u8 | epoch u32 | crc32c u32
//     destination u64 | source u64                                            with flag `routed`
//     body, `length` bytes, then zeros up to a multiple of 8
//
// The header is copied once out of memory that a peer may share, then checked, then used.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "coppice/error.hpp"
#include "coppice/options.hpp"
#include "net/control.hpp"
#include "net/crc32c.hpp"

namespace coppice::net {

static_assert(std::endian::native == std::endian::little, "the wire is little endian; add byte swaps here");

enum class frame_kind : std::uint8_t {
    control = 1,   // body: net::control, between neighbours
    ping = 2,      // body: empty
    pong = 3,      // body: empty
    envelope = 4,  // body: wire envelope; from node to node
};

struct frame_header {
    enum flag : std::uint8_t {
        routed = 1,   // destination and source follow the header
        checked = 2,  // the checksum covers route and body, too
        more = 4,     // the body goes on in the next frame of this link
        urgent = 8,   // a relay passes it on before others that wait
        standing =
            0xf0,  // what its source may do (gate.hpp), in these bits: 0, all that nodes of the tree may
    };
    // Above the flags: what its source may do (gate.hpp); 0, all that nodes of the tree may.
    static constexpr int standing_at = 4;
    [[nodiscard]] std::uint8_t standing_said() const noexcept { return flags >> standing_at; }
    std::uint32_t length = 0;
    std::uint8_t version = 1;
    frame_kind kind = frame_kind::ping;
    std::uint8_t flags = 0;
    std::uint8_t hops = 0;
    std::uint32_t epoch = 0;  // of the flow between source and destination
    std::uint32_t crc = 0;
};
static_assert(sizeof(frame_header) == 16 && offsetof(frame_header, crc) == 12);

struct frame_route {
    node_id destination = 0;
    node_id source = 0;
};
static_assert(sizeof(frame_route) == 16);

inline constexpr std::uint8_t frame_version = 1;
inline constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 7) & ~std::size_t{7}; }
inline constexpr std::size_t frame_bytes(std::size_t body, bool with_route) noexcept {
    return sizeof(frame_header) + (with_route ? sizeof(frame_route) : 0) + padded(body);
}

/// Writes header and route; the body's place is returned.
inline std::byte* write_frame(std::byte* out, frame_header h, const frame_route* route) noexcept {
    if (route) h.flags |= frame_header::routed;
    h.crc = crc32c_12(&h);
    std::memcpy(out, &h, sizeof h);
    out += sizeof h;
    if (route) {
        std::memcpy(out, route, sizeof *route);
        out += sizeof *route;
    }
    return out;
}
/// After the body is in place: makes the checksum cover all of it. `frame` is where the header was written.
void seal_frame(std::byte* frame) noexcept;

struct parsed_frame {
    frame_header header;
    frame_route route;                // zeros without the flag
    std::span<const std::byte> body;  // in the peer's memory: not yet to be trusted
    std::size_t size = 0;             // of the whole frame
    bool shared = false;              // the body may still change, or is not aligned
};

/// Looks at the first frame of what a link shows. ok; `timeout` if it is not complete yet; `wrong_version` for a frame of
/// another version, which can be skipped: `out.size` is set; bad_message for anything else, which ends the link.
errc parse_frame(std::span<const std::byte> bytes, std::size_t longest_body, parsed_frame& out) noexcept;

}  // namespace coppice::net
