// The bytes of an Envelope (schemas/envelope.capnp), written and read by hand in the layout that a builder makes: 64
// bytes, then the payload. A store and a load of one cache line, and two compares; every other encoding goes through
// Cap'n Proto's own reader. No state, any thread.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "coppice/error.hpp"

namespace coppice::wire {

/// The fields of an Envelope but its payload; the schema says what they mean.
struct envelope_fields {
    std::uint16_t kind;
    std::uint16_t flags;
    std::uint32_t aux;
    std::uint64_t target;
    std::uint64_t sender;
    std::uint64_t type;
    std::uint64_t correlation;
    std::uint64_t sequence;
};

/// What stands before the payload.
inline constexpr std::size_t envelope_bytes = 64;
/// The largest payload: a list of Cap'n Proto has no more elements. Messages are cut into fragments far below.
inline constexpr std::uint32_t envelope_payload_most = (1u << 29) - 1;

/// The payload with the zeros behind it.
constexpr std::size_t padded_payload(std::size_t bytes) noexcept { return (bytes + 7) & ~std::size_t{7}; }

namespace detail {

/// root   struct, at once behind: 6 data words, 1 pointer
/// fields the data section
/// list   of bytes, at once behind: [1 | 0 | element size 2 | count 29]
struct envelope_line {
    std::uint64_t root;
    envelope_fields fields;
    std::uint64_t list;
};
static_assert(sizeof(envelope_fields) == 48);
static_assert(sizeof(envelope_line) == envelope_bytes);
static_assert(std::endian::native == std::endian::little, "fields lie on the wire as they lie in memory");

inline constexpr std::uint64_t envelope_root = std::uint64_t{6} << 32 | std::uint64_t{1} << 48;
inline constexpr std::uint64_t envelope_list = 1 | std::uint64_t{2} << 32;

}  // namespace detail

/// Writes the 64 bytes before a payload of that size. The caller appends the payload and the zeros up to a multiple
/// of 8.
inline void write_envelope(std::byte* out, const envelope_fields& fields,
                           std::uint32_t payload_bytes) noexcept {
    COPPICE_ASSERT(payload_bytes <= envelope_payload_most, "an envelope's payload is larger than it can say");
    const detail::envelope_line line{detail::envelope_root, fields,
                                     detail::envelope_list | std::uint64_t{payload_bytes} << 35};
    std::memcpy(out, &line, sizeof line);
}

/// The fields that write_envelope() has written there.
inline envelope_fields written_fields(const std::byte* at) noexcept {
    envelope_fields fields;
    std::memcpy(&fields, at + offsetof(detail::envelope_line, fields), sizeof fields);
    return fields;
}
/// Others in their place.
inline void rewrite_fields(std::byte* at, const envelope_fields& fields) noexcept {
    std::memcpy(at + offsetof(detail::envelope_line, fields), &fields, sizeof fields);
}

struct envelope_view {
    envelope_fields fields;
    std::span<const std::byte> payload;  ///< in the bytes that were read
};

/// Any valid encoding, by Cap'n Proto's reader, within its limits. 8-aligned.
errc read_any_envelope(std::span<const std::byte> bytes, envelope_view& out) noexcept;

/// Reads an Envelope in its canonical form, looking at it once: also where a peer can change it meanwhile. What is not
/// canonical is left to read_envelope().
inline bool read_canonical_envelope(std::span<const std::byte> bytes, envelope_view& out) noexcept {
    if (bytes.size() < envelope_bytes) return false;
    detail::envelope_line line;
    std::memcpy(&line, bytes.data(), sizeof line);
    const std::uint64_t size = line.list >> 35;
    if (line.root != detail::envelope_root || (line.list & 0x7'ffff'ffff) != detail::envelope_list ||
        padded_payload(size) > bytes.size() - envelope_bytes) [[unlikely]]
        return false;
    out.fields = line.fields;
    out.payload = bytes.subspan(envelope_bytes, static_cast<std::size_t>(size));
    return true;
}

/// Reads an Envelope from one raw segment: 8-aligned, and already copied from where the peer can change it. What
/// stands behind the payload is not looked at, but its last word must be whole. `bad_message` for what is no Envelope;
/// `out` is then unspecified.
inline errc read_envelope(std::span<const std::byte> bytes, envelope_view& out) noexcept {
    return read_canonical_envelope(bytes, out) ? errc::ok : read_any_envelope(bytes, out);
}

}  // namespace coppice::wire
