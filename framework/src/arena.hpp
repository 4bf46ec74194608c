// The memory that a process lends blobs from, and that of another process as it is mapped here.
//
//     [ header page | blob | blob | free | ...                      ]  one memfd, sealed against change of its size
//       id, sizes     whole pages; allocated before they are used, so that no reader meets a missing one
//
// There is one a process, made when the first link is set up that can hand it over. Any thread: a mutex around the list of
// what is free, held for a few instructions. Who has lent what to whom is told in net/loans.hpp.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "coppice/blob.hpp"
#include "coppice/error.hpp"

namespace coppice::detail {

/// At the beginning of an arena; written once, before anybody else can see it. docs/shm_layout.md.
struct arena_header {
    static constexpr std::uint64_t its_magic =
        0x00656e'6572'6163'63;  // "ccarene" and a zero byte, little endian
    std::uint64_t magic = its_magic;
    std::uint32_t version = 1;
    std::uint32_t header_bytes = 4096;
    std::uint64_t size = 0;  ///< of all, in bytes
    std::uint64_t id = 0;    ///< random, not 0
};
static_assert(sizeof(arena_header) == 32 && offsetof(arena_header, size) == 16);

class arena {
public:
    static constexpr std::size_t page = 4096;

    /// An arena of its own. Errors: io, limit_reached (no descriptor, no address space).
    static result<std::unique_ptr<arena>> create(std::size_t bytes);
    /// This process's; made on the first call. Null if the system gives none.
    static arena* open() noexcept;
    /// The same, if it was made. Never destroyed: blobs may outlive everything else.
    static arena* opened() noexcept { return own_.load(std::memory_order_acquire); }

    ~arena();
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;

    /// Memory for that many bytes; null if there is no room. The last owner gives it back.
    std::shared_ptr<std::byte> take(std::size_t bytes) noexcept;
    [[nodiscard]] int descriptor() const noexcept { return fd_; }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    /// Whether these bytes lie in it; then `offset` is where.
    bool holds(std::span<const std::byte> bytes, std::uint64_t& offset) const noexcept;
    /// Keeps blobs for as long as that process lives: it may read them, and nobody will say when it does not any more.
    void keep_while_alive(std::uint32_t process, std::vector<blob> blobs);
    /// Bytes that are taken, whole pages.
    [[nodiscard]] std::size_t used() noexcept;

private:
    arena() = default;
    void give(std::uint64_t offset, std::size_t pages) noexcept;
    [[nodiscard]] std::uint64_t find(std::size_t pages);
    void join_all();
    bool allocate(std::uint64_t until) noexcept;

    static std::atomic<arena*> own_;
    int fd_ = -1;
    std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t id_ = 0;

    std::mutex mutex_;
    std::map<std::uint64_t, std::size_t> free_;  // offset, pages; no two touch
    // What came back, by its pages: the next blob of that size takes the last one, which is still in some cache.
    std::unordered_map<std::size_t, std::vector<std::uint64_t>> returned_;
    std::uint64_t allocated_ = 0;  // bytes from the beginning that the system has given
    std::size_t used_ = 0;         // pages
    struct kept {
        std::uint32_t process;
        std::vector<blob> blobs;
    };
    std::vector<kept> kept_;
};

/// The arena of another process, for reading only. What stands in it that process may change at any time.
class mapped_arena {
public:
    /// Checks seals, size and header, then maps. The descriptor stays the caller's. Errors: bad_message (it is not what it
    /// should be; the text says in which way), io, limit_reached.
    static result<std::shared_ptr<const mapped_arena>> map(int descriptor);
    ~mapped_arena();
    mapped_arena(const mapped_arena&) = delete;
    mapped_arena& operator=(const mapped_arena&) = delete;

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    /// Those bytes; empty if they do not all lie in it.
    [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t offset, std::uint64_t size) const noexcept;

private:
    mapped_arena() = default;
    const std::byte* memory_ = nullptr;
    std::size_t size_ = 0;
    std::uint64_t id_ = 0;
};

}  // namespace coppice::detail
