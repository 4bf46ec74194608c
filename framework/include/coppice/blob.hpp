// blob: bulk data in messages. Bytes that do not change any more and that many can hold: a copy shares them, a
// hand-over inside a process moves a pointer, and on the way to another process they are not copied together with
// the message.
//
//     struct frame { std::uint64_t number = 0; coppice::blob pixels; };   // on the wire the same as a vector of bytes
//
//     coppice::blob_buffer room{1 << 20};          // memory to be written, once
//     camera.read(room.bytes());
//     self.send<frame>(viewer, n, std::move(room).freeze());
//
// Any thread may copy and drop a blob; one object is one thread's at a time. What needs memory throws
// std::bad_alloc. Sizes are in bytes. Knows no wire and no links (wire.hpp).
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coppice/error.hpp"

namespace coppice {

/// Immutable bytes with shared ownership. What a peer's message held may keep the memory of that whole message:
/// copy_of() a small part that is to live long.
class blob {
public:
    /// No bytes.
    blob() noexcept = default;
    /// Takes the bytes over, without copying them.
    explicit blob(std::vector<std::byte> bytes);
    explicit blob(std::string text);
    /// Its own copy of bytes, which may change or go afterwards.
    [[nodiscard]] static blob copy_of(std::span<const std::byte> bytes);
    /// Bytes of somebody else's, which `holder` keeps alive and which do not change while it does; without one, for
    /// good. It is dropped on whichever thread drops the last copy.
    [[nodiscard]] static blob of(std::span<const std::byte> bytes,
                                 std::shared_ptr<const void> holder) noexcept {
        blob b;
        b.bytes_ = bytes;
        b.holder_ = std::move(holder);
        return b;
    }

    /// Valid while this blob or a copy of it lives.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return bytes_; }
    [[nodiscard]] const std::byte* data() const noexcept { return bytes_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] auto begin() const noexcept { return bytes_.begin(); }
    [[nodiscard]] auto end() const noexcept { return bytes_.end(); }
    /// Some of the bytes, sharing the memory. What is beyond the end is not there.
    [[nodiscard]] blob part(std::size_t offset, std::size_t size) const noexcept {
        offset = offset < bytes_.size() ? offset : bytes_.size();
        return of(bytes_.subspan(offset, size < bytes_.size() - offset ? size : bytes_.size() - offset),
                  holder_);
    }
    /// What keeps the bytes alive; null for what needs nothing.
    [[nodiscard]] const std::shared_ptr<const void>& holder() const noexcept { return holder_; }

    /// Equal bytes, wherever they lie.
    friend bool operator==(const blob& a, const blob& b) noexcept;

private:
    std::span<const std::byte> bytes_;
    std::shared_ptr<const void> holder_;
};

/// Memory that is written before it becomes a blob, by one thread at a time. Large ones come from memory that blobs
/// have left: what stands in it is unspecified until it is written.
class blob_buffer {
public:
    blob_buffer() noexcept = default;
    /// Throws std::bad_alloc.
    explicit blob_buffer(std::size_t size);
    blob_buffer(blob_buffer&& other) noexcept
        : bytes_{std::exchange(other.bytes_, {})}, holder_{std::move(other.holder_)} {}
    blob_buffer& operator=(blob_buffer&& other) noexcept {
        bytes_ = std::exchange(other.bytes_, {});
        holder_ = std::move(other.holder_);
        return *this;
    }
    blob_buffer(const blob_buffer&) = delete;
    blob_buffer& operator=(const blob_buffer&) = delete;
    ~blob_buffer() = default;

    [[nodiscard]] std::span<std::byte> bytes() noexcept { return bytes_; }
    [[nodiscard]] std::byte* data() noexcept { return bytes_.data(); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }

    /// From now on nobody writes: `std::move(buffer).freeze()`. The buffer is empty after it.
    [[nodiscard]] blob freeze() && noexcept {
        return blob::of(std::exchange(bytes_, {}), std::move(holder_));
    }
    /// The first `size` bytes of it, if less was needed than was asked for. All of its memory stays with the blob.
    [[nodiscard]] blob freeze(std::size_t size) && noexcept {
        return std::move(*this).freeze().part(0, size);
    }

private:
    std::span<std::byte> bytes_;
    std::shared_ptr<const void> holder_;
};

namespace detail {

/// Memory for bulk data, from what was given back where there is some: fresh memory costs a page fault every 4 KiB,
/// more than to copy what lies there. Any thread; returned by the last owner. Throws std::bad_alloc.
[[nodiscard]] std::shared_ptr<std::byte> bulk_memory(std::size_t bytes);

}  // namespace detail
}  // namespace coppice
