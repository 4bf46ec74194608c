// The layout of a shared segment: every byte that the two processes of a shm link agree on, and nothing else.
// One page of fixed fields and shared words, then the data of two rings. Fixed-size fields, no pointers, explicit padding;
// each word that one side writes while the other reads lies on a line of its own, of 128 bytes because processors fetch
// neighbouring 64-byte lines in pairs. Which side writes what, when, and in which order: docs/shm_layout.md and ring.hpp.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace coppice::shm {

/// "coppshm" and a zero byte, read as a little-endian number.
inline constexpr std::uint64_t magic = 0x006d'6873'7070'6f63;
/// Of the layout and of the protocol on it; both sides must have the same.
inline constexpr std::uint32_t version = 2;
inline constexpr std::size_t line = 128;
/// Where the data of the first ring begins; that of the second follows it.
inline constexpr std::size_t header_bytes = 4096;

/// The two ends of a link. Ring n is written by side n.
enum class side : std::uint8_t { connector = 0, acceptor = 1 };

struct alignas(line) word64 {
    std::atomic<std::uint64_t> value{0};
    std::byte padding[line - 8]{};
};

struct alignas(line) word32 {
    std::atomic<std::uint32_t> value{0};
    std::byte padding[line - 4]{};
};

/// The words of one ring. Positions are counts of bytes since the beginning; they only grow.
struct ring_words {
    word64 tail;     ///< bytes published. Stored by the writer, pairs with the reader's loads of it
    word64 head;     ///< bytes released. Stored by the reader, pairs with the writer's loads of it
    word32 rx_wait;  ///< 1: the reader sleeps and wants the bell. Set by the reader, taken (0) by the writer
    word32 tx_wait;  ///< 1: the writer sleeps and wants the bell. Set by the writer, taken (0) by the reader
};

/// What each side says of itself, beside its data.
struct alignas(line) liveness {
    /// Grows about once a second while the side's thread gets to run.
    std::atomic<std::uint64_t> progress{0};
    /// A `side_state`; stored once, after the side's last publish.
    std::atomic<std::uint32_t> state{0};
    std::byte padding[line - 12]{};
};

/// Values of liveness::state. Only looked at when the socket has ended.
enum side_state : std::uint32_t {
    side_open = 0,       ///< and if the socket has ended: the process has died
    side_closed = 1,     ///< it closed the link properly
    side_broken_off = 2  ///< it gave the link up, because of what its peer did
};

/// Written once by the connector, before the acceptor sees the segment; copied at the attach and not looked at again.
struct fixed_fields {
    std::uint64_t magic = 0;
    std::uint32_t version = 0;
    std::uint32_t header_bytes = 0;
    std::uint64_t ring_bytes[2] = {0, 0};  ///< powers of two
    std::uint64_t nonce = 0;  ///< the same as in the hello: this segment belongs to this connection
    std::byte padding[line - 40]{};
};

struct segment_header {
    fixed_fields fixed;
    ring_words ring[2];
    liveness live[2];
};

static_assert(std::atomic<std::uint64_t>::is_always_lock_free && sizeof(std::atomic<std::uint64_t>) == 8);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free && sizeof(std::atomic<std::uint32_t>) == 4);
static_assert(sizeof(word64) == line && sizeof(word32) == line && sizeof(liveness) == line);
static_assert(offsetof(fixed_fields, magic) == 0 && offsetof(fixed_fields, version) == 8);
static_assert(offsetof(fixed_fields, header_bytes) == 12 && offsetof(fixed_fields, ring_bytes) == 16);
static_assert(offsetof(fixed_fields, nonce) == 32 && sizeof(fixed_fields) == line);
static_assert(offsetof(ring_words, tail) == 0 && offsetof(ring_words, head) == 128);
static_assert(offsetof(ring_words, rx_wait) == 256 && offsetof(ring_words, tx_wait) == 384);
static_assert(sizeof(ring_words) == 512);
static_assert(offsetof(liveness, progress) == 0 && offsetof(liveness, state) == 8);
static_assert(offsetof(segment_header, ring) == 128 && offsetof(segment_header, live) == 1152);
static_assert(sizeof(segment_header) == 1408 && sizeof(segment_header) <= header_bytes);

/// The connector's first and only message on the socket, with the segment's descriptor beside it, and behind that one the
/// descriptor of the memory that it lends from, if it `lends`.
struct hello {
    std::uint64_t magic = 0;
    std::uint32_t version = 0;
    std::uint32_t size = 0;  ///< of this struct
    std::uint64_t ring_bytes[2] = {0, 0};
    std::uint64_t nonce = 0;
    std::uint32_t lends = 0;  ///< 1: two descriptors came
    std::byte padding[20]{};
};
static_assert(sizeof(hello) == 64 && offsetof(hello, lends) == 40 && offsetof(hello, version) == 8 &&
              offsetof(hello, size) == 12);
static_assert(offsetof(hello, ring_bytes) == 16 && offsetof(hello, nonce) == 32);

/// The acceptor's answer, with the descriptor of the memory that it lends from beside it, if it has any. After it the socket
/// carries bells only: bytes without a meaning.
struct answer {
    std::uint64_t magic = 0;
    std::uint32_t version = 0;
    std::uint32_t code = 0;   ///< an errc; ok: the link stands
    std::uint64_t limit = 0;  ///< the largest ring that the acceptor takes
    std::uint64_t nonce = 0;  ///< the hello's
};
static_assert(sizeof(answer) == 32 && offsetof(answer, code) == 12 && offsetof(answer, limit) == 16);

}  // namespace coppice::shm
