// crc32c: the checksum of frames (Castagnoli polynomial, RFC 3720 appendix B.4), by the processor's instruction where it
// has one. It finds damage and our own mistakes, not malice: whoever can write the bytes can write the checksum.
// Pure functions: any thread. Which way of computing is taken is decided once, before main().
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace coppice::net {

/// The checksum of `bytes` bytes at `data`, at any alignment. `seed` is that of what stands before them, so that
/// crc32c(crc32c(0, a), b) is the checksum of a and b in a row; 0 for a beginning. The checksum of nothing is its seed.
[[nodiscard]] std::uint32_t crc32c(std::uint32_t seed, const void* data, std::size_t bytes) noexcept;

namespace crc {

/// The same by tables, eight bytes a step: for machines without the instruction, and for tests.
[[nodiscard]] std::uint32_t crc32c_table(std::uint32_t seed, const void* data, std::size_t bytes) noexcept;

#if defined(__x86_64__)
/// Whether the processor has SSE 4.2. False until this file's statics are initialised: slower, but as right.
extern const bool crc32c_instruction;
#endif

}  // namespace crc

/// crc32c(0, data, 12), inline: the header of a frame, without its own checksum.
[[nodiscard]] inline std::uint32_t crc32c_12(const void* data) noexcept {
#if defined(__x86_64__)
    if (crc::crc32c_instruction) [[likely]] {
        std::uint64_t first = 0;
        std::uint32_t last = 0;
        std::memcpy(&first, data, sizeof first);
        std::memcpy(&last, static_cast<const std::byte*>(data) + sizeof first, sizeof last);
        // In assembly, because a function with a target attribute cannot be inlined into one without.
        std::uint64_t sum = ~std::uint32_t{0};
        asm("crc32q %1, %0" : "+r"(sum) : "rm"(first));
        auto low = static_cast<std::uint32_t>(sum);
        asm("crc32l %1, %0" : "+r"(low) : "rm"(last));
        return ~low;
    }
#endif
    return crc::crc32c_table(0, data, 12);
}

}  // namespace coppice::net
