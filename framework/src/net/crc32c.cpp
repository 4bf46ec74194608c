// crc32c: SSE 4.2 with three interleaved streams for long buffers, and tables for machines without.
// No state but constants: any thread.
//
// The instruction takes three cycles and a new one can start in each, so one stream uses a third of what the processor
// has. A long buffer is therefore cut in blocks of three equal parts, whose sums are computed side by side:
//
//     | a: n bytes | b: n bytes | c: n bytes |        sum(abc) = shift(shift(sum(a), n) ^ sum(b), n) ^ sum(c)
//
// where b and c start from zero, and shift(s, n) is what the sum s becomes after n further zero bytes. That is a linear
// map of s, a multiplication by x^8n modulo the polynomial, so four tables of 256 entries hold it for a fixed n: the
// method of zlib's crc32_combine and of Mark Adler's crc32c.c.
#include "net/crc32c.hpp"

#include <array>
#include <bit>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace coppice::net {

namespace {

static_assert(std::endian::native == std::endian::little, "the words below are read as they lie");

// Bit 31 is x^0, as everywhere here: the polynomial 0x1EDC6F41 with its bits in reverse.
constexpr std::uint32_t polynomial = 0x82f63b78;

template <class T>
T load(const std::byte* at) noexcept {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// ---- tables: "slicing by 8" (Kounavis and Berry, 2005)

// step[k][v]: the sum of byte v followed by k zero bytes.
using step_tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr step_tables make_steps() {
    step_tables t{};
    for (std::uint32_t v = 0; v < 256; ++v) {
        std::uint32_t sum = v;
        for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) ? polynomial : 0);
        t[0][v] = sum;
    }
    for (std::size_t k = 1; k < t.size(); ++k)
        for (std::size_t v = 0; v < 256; ++v) t[k][v] = (t[k - 1][v] >> 8) ^ t[0][t[k - 1][v] & 0xff];
    return t;
}

constexpr step_tables step = make_steps();

}  // namespace

namespace crc {

std::uint32_t crc32c_table(std::uint32_t seed, const void* data, std::size_t bytes) noexcept {
    const auto* at = static_cast<const std::byte*>(data);
    std::uint32_t sum = ~seed;
    for (; bytes >= 8; at += 8, bytes -= 8) {
        const std::uint64_t w = load<std::uint64_t>(at) ^ sum;
        sum = step[7][w & 0xff] ^ step[6][(w >> 8) & 0xff] ^ step[5][(w >> 16) & 0xff] ^
              step[4][(w >> 24) & 0xff] ^ step[3][(w >> 32) & 0xff] ^ step[2][(w >> 40) & 0xff] ^
              step[1][(w >> 48) & 0xff] ^ step[0][w >> 56];
    }
    for (; bytes > 0; ++at, --bytes)
        sum = (sum >> 8) ^ step[0][(sum ^ std::to_integer<std::uint32_t>(*at)) & 0xff];
    return ~sum;
}

}  // namespace crc

#if defined(__x86_64__)

namespace {

// Product of two polynomials modulo `polynomial`.
constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
    std::uint32_t product = 0;
    for (std::uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        if (a & bit) product ^= b;
        b = (b >> 1) ^ ((b & 1) ? polynomial : 0);
    }
    return product;
}

// shift(s, n) = t[0][s & 0xff] ^ t[1][(s >> 8) & 0xff] ^ t[2][(s >> 16) & 0xff] ^ t[3][s >> 24]
using shift_tables = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr shift_tables make_shift(std::size_t n) {
    std::uint32_t power = 1u << 31;   // x^0
    std::uint32_t square = 1u << 23;  // x^8
    for (; n != 0; n >>= 1) {
        if (n & 1) power = multiply(power, square);
        square = multiply(square, square);
    }
    shift_tables t{};
    for (std::size_t k = 0; k < t.size(); ++k) {
        for (std::uint32_t v = 1; v < 256; ++v) {
            // The map is linear: only the single bits are multiplied out.
            const std::uint32_t rest = v & (v - 1);
            t[k][v] = rest ? t[k][rest] ^ t[k][v ^ rest] : multiply(power, v << (8 * k));
        }
    }
    return t;
}

// Bytes of one stream of a block. Two sizes: long blocks make the shifts' cost vanish, short ones serve small frames.
constexpr std::size_t long_stream = 4096;
constexpr std::size_t short_stream = 256;
constexpr shift_tables long_shift = make_shift(long_stream);
constexpr shift_tables short_shift = make_shift(short_stream);

std::uint32_t shift(const shift_tables& t, std::uint64_t sum) noexcept {
    return t[0][sum & 0xff] ^ t[1][(sum >> 8) & 0xff] ^ t[2][(sum >> 16) & 0xff] ^ t[3][(sum >> 24) & 0xff];
}

template <std::size_t Stream>
[[gnu::target("sse4.2")]] std::uint64_t blocks(std::uint64_t sum, const shift_tables& t, const std::byte*& at,
                                               std::size_t& bytes) noexcept {
    static_assert(Stream % 8 == 0);
    for (; bytes >= 3 * Stream; at += 3 * Stream, bytes -= 3 * Stream) {
        std::uint64_t b = 0;
        std::uint64_t c = 0;
        for (std::size_t i = 0; i < Stream; i += 8) {
            sum = _mm_crc32_u64(sum, load<std::uint64_t>(at + i));
            b = _mm_crc32_u64(b, load<std::uint64_t>(at + Stream + i));
            c = _mm_crc32_u64(c, load<std::uint64_t>(at + 2 * Stream + i));
        }
        sum = shift(t, shift(t, sum) ^ b) ^ c;
    }
    return sum;
}

[[gnu::target("sse4.2")]] std::uint32_t by_instruction(std::uint32_t seed, const void* data,
                                                       std::size_t bytes) noexcept {
    const auto* at = static_cast<const std::byte*>(data);
    std::uint64_t sum = ~seed;
    if (bytes >= 3 * short_stream) {
        sum = blocks<long_stream>(sum, long_shift, at, bytes);
        sum = blocks<short_stream>(sum, short_shift, at, bytes);
    }
    for (; bytes >= 8; at += 8, bytes -= 8) sum = _mm_crc32_u64(sum, load<std::uint64_t>(at));
    auto low = static_cast<std::uint32_t>(sum);
    if (bytes & 4) {
        low = _mm_crc32_u32(low, load<std::uint32_t>(at));
        at += 4;
    }
    if (bytes & 2) {
        low = _mm_crc32_u16(low, load<std::uint16_t>(at));
        at += 2;
    }
    if (bytes & 1) low = _mm_crc32_u8(low, std::to_integer<std::uint8_t>(*at));
    return ~low;
}

}  // namespace

namespace crc {

const bool crc32c_instruction = [] {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2") != 0;
}();

}  // namespace crc

#endif

std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t bytes) noexcept {
#if defined(__x86_64__)
    if (crc::crc32c_instruction) [[likely]]
        return by_instruction(seed, data, bytes);
#endif
    return crc::crc32c_table(seed, data, bytes);
}

}  // namespace coppice::net
