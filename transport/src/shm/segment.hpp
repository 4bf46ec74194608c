// A segment: the memory of one shm link as one process has it mapped.
// It has no name and goes with its last mapping, so nothing is left behind by a process that dies. The connector creates it
// and hands its descriptor over; the acceptor trusts nothing of it that it has not checked, and the seals keep its size as it
// was checked. A child that is forked does not inherit the mapping. Belongs to one thread; knows no sockets.
#pragma once
#include <cstddef>
#include <cstdint>

#include "coppice/error.hpp"
#include "descriptor.hpp"
#include "layout.hpp"

namespace coppice::shm {

/// Bytes of the two rings, by the side that writes.
struct ring_sizes {
    std::uint64_t bytes[2] = {0, 0};
};

/// Whether a ring may have that size: a power of two from 4 KiB to 64 MiB.
bool valid_ring(std::uint64_t bytes) noexcept;

class segment {
public:
    segment() noexcept = default;
    segment(segment&& other) noexcept;
    segment& operator=(segment&& other) noexcept;
    segment(const segment&) = delete;
    segment& operator=(const segment&) = delete;
    ~segment() { unmap(); }

    /// Creates a segment of valid sizes, all its memory allocated, sealed; `handle` is what the peer attaches by.
    /// Errors: limit_reached (no memory, no descriptor), io.
    static result<segment> create(ring_sizes sizes, std::uint64_t nonce, descriptor& handle);
    /// Maps a segment of a peer that is said to have these sizes. `handle` may be closed afterwards.
    /// Errors: bad_message (not what it should be; the text says in which way), wrong_version, io.
    static result<segment> attach(int handle, ring_sizes sizes, std::uint64_t nonce);

    [[nodiscard]] segment_header& header() const noexcept { return *header_; }
    [[nodiscard]] ring_words& words(side writer) const noexcept {
        return header_->ring[static_cast<std::size_t>(writer)];
    }
    [[nodiscard]] liveness& live(side of) const noexcept {
        return header_->live[static_cast<std::size_t>(of)];
    }
    /// The data of the ring that this side writes, mapped twice in a row.
    [[nodiscard]] std::byte* data(side writer) const noexcept {
        return data_[static_cast<std::size_t>(writer)];
    }
    [[nodiscard]] std::size_t size(side writer) const noexcept {
        return sizes_.bytes[static_cast<std::size_t>(writer)];
    }

private:
    result<void> map(int handle, ring_sizes sizes);
    void unmap() noexcept;

    segment_header* header_ = nullptr;
    std::byte* data_[2] = {nullptr, nullptr};
    ring_sizes sizes_;
};

}  // namespace coppice::shm
