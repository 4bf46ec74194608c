// How a peer joins over the access pipe: one request on it, one answer on the new link's pipe.
// A request is a single write of at most PIPE_BUF bytes, so the kernel never mixes it with another's; still everybody who may
// join can write anything there, so the reader takes nothing on trust and finds the next request behind any garbage.
// Plain data, any thread; it opens nothing.
//
//     request   0 magic 8 | 8 version 4 | 12 size 4 | 16 token 16 | 32 pid 4 | ... zeros ... | size - 4 checksum 4
//     answer    0 magic 8 | 8 version 4 | 12 code 4 | 16 token 16 | 32 zeros 4 | 36 checksum 4
//
// Little-endian. The first 32 bytes and the place of the checksum (CRC-32C of all before it) are the same in all versions,
// so that a listener can refuse a later version by name. Numbers that a request holds name no paths: its pipes lie beside
// the access pipe, under names made from the token.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "coppice/error.hpp"

namespace coppice::pipes {

inline constexpr std::uint64_t request_magic = 0x6e69'6f6a'7070'6f63;  // "coppjoin"
inline constexpr std::uint64_t answer_magic = 0x7265'7773'6e61'7063;   // "cpanswer"
inline constexpr std::uint32_t version = 1;
/// Of a request of any version: the rest of PIPE_BUF would only be work for whoever has to check it.
inline constexpr std::uint32_t largest_request = 256;

/// Drawn at random for each attempt to connect: what the names of its pipes are made of.
using token = std::array<std::byte, 16>;

struct request {
    std::uint64_t magic = request_magic;
    std::uint32_t version = pipes::version;
    std::uint32_t size = 64;  ///< of the whole request
    token id{};
    std::int32_t pid = 0;  ///< what the peer says that it is: for people
    std::byte padding[24]{};
    std::uint32_t checksum = 0;
};
static_assert(sizeof(request) == 64 && offsetof(request, id) == 16 && offsetof(request, checksum) == 60);

struct answer {
    std::uint64_t magic = answer_magic;
    std::uint32_t version = pipes::version;
    std::uint32_t code = 0;  ///< an errc; ok: the link stands, and what follows on this pipe is the link's
    token id{};              ///< the request's
    std::uint32_t padding = 0;
    std::uint32_t checksum = 0;
};
static_assert(sizeof(answer) == 40 && offsetof(answer, id) == 16 && offsetof(answer, checksum) == 36);

/// CRC-32C (Castagnoli), bit by bit: it is computed once a join.
std::uint32_t checksum(std::span<const std::byte> bytes) noexcept;
/// A request or an answer with its checksum in place.
request sealed(request r) noexcept;
answer sealed(answer a) noexcept;

/// The listener's word: ok, or the reason in `code`. Errors: wrong_version; io, if these are not the bytes of an answer to
/// that request.
result<void> read(const answer& said, const token& asked);

/// Finds requests in what is read from the access pipe.
///
///     scanner.filled(read(fd, scanner.room()));
///     while (auto r = scanner.next(pipe_is_empty)) ...
class request_scanner {
public:
    /// Where the next read goes: at least 4 KiB.
    std::span<std::byte> room() noexcept;
    void filled(std::size_t bytes) noexcept { end_ += bytes; }
    /// The next whole request; its id and version are what counts. `pipe_is_empty`: a request that is not whole now never
    /// will be, since requests are written in one piece.
    std::optional<request> next(bool pipe_is_empty) noexcept;

private:
    static constexpr std::size_t capacity = std::size_t{16} << 10;
    std::array<std::byte, capacity> bytes_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace coppice::pipes
