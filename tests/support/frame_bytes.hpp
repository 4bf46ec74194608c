// What a node of a test's own making says, byte by byte: frames, control messages, envelopes.
//
//     bytes out;
//     append_frame(out, {.kind = net::frame_kind::envelope, .epoch = 1}, envelope_of(net::record::request, 7, 1));
//
// Pure functions; any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "net/control.hpp"
#include "net/frame.hpp"
#include "net/router.hpp"
#include "wire/envelope.hpp"

namespace coppice::tests {

using bytes = std::vector<std::byte>;

inline void append_frame(bytes& to, net::frame_header h, std::span<const std::byte> body,
                         const net::frame_route* route = nullptr) {
    h.length = static_cast<std::uint32_t>(body.size());
    const std::size_t at = to.size();
    to.resize(at + net::frame_bytes(body.size(), route != nullptr));
    std::byte* place = net::write_frame(to.data() + at, h, route);
    if (!body.empty()) std::memcpy(place, body.data(), body.size());
}
inline bytes control_frame(const net::control& message) {
    bytes out;
    append_frame(out, {.kind = net::frame_kind::control}, net::encode(message));
    return out;
}
inline bytes envelope_of(net::record kind, std::uint64_t correlation, std::uint64_t sequence,
                         std::span<const std::byte> payload = {}, std::uint16_t flags = 0) {
    wire::envelope_fields f{};
    f.kind = static_cast<std::uint16_t>(kind);
    f.correlation = correlation;
    f.sequence = sequence;
    f.flags = flags;
    bytes out(wire::envelope_bytes + net::padded(payload.size()));
    wire::write_envelope(out.data(), f, static_cast<std::uint32_t>(payload.size()));
    if (!payload.empty()) std::memcpy(out.data() + wire::envelope_bytes, payload.data(), payload.size());
    return out;
}

}  // namespace coppice::tests
