// Large messages on their way: out as segments that are cut into fragments without being copied together, in as one piece
// of memory that the blobs of the message then share. Plain state on the home thread; it knows no flows and no links.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "coppice/blob.hpp"
#include "coppice/detail/envelope.hpp"
#include "coppice/wire.hpp"
#include "wire/envelope.hpp"

namespace coppice::net {

/// A message that is larger than a fragment, or behind one from the same sender to the same receiver: a whole record, of
/// envelope and payload, in segments of multiples of 8 bytes.
class transfer {
public:
    /// Writes a message. Bulk data stays where it is, if `keep` is not null; what the message itself holds is kept alive by
    /// taking *keep, the message's envelope, which is null after that. `bytes`: its size(). What the context lends is not
    /// counted in size(), and the record says that there are loans.
    transfer(wire::envelope_fields fields, const detail::wire_functions& form, const void* body,
             std::size_t bytes, detail::wire_context& context, detail::envelope** keep);

    /// What the next record takes: bytes that it copies, then some that it shares.
    struct piece {
        std::size_t copied = 0;
        std::span<const std::byte> shared;
        std::shared_ptr<const void> holder;
        [[nodiscard]] std::size_t size() const noexcept { return copied + shared.size(); }
    };
    /// At most that many bytes that are shared, and as many that are copied before them.
    [[nodiscard]] piece next(std::size_t most) const;
    /// Goes on behind that piece, whose first part is copied to `out`.
    void take(const piece& p, std::byte* out) noexcept;
    /// All of one that is untouched.
    void take_all(std::byte* out) noexcept { take({size_, {}, nullptr}, out); }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t done() const noexcept { return done_; }

    std::uint64_t pair = 0;  // of sender and receiver

private:
    struct segment {
        std::span<const std::byte> bytes;
        std::shared_ptr<const void> holder;
    };
    std::vector<segment> segments_;
    std::size_t size_ = 0;
    std::size_t done_ = 0;
    std::size_t at_ = 0;      // in segments_
    std::size_t offset_ = 0;  // in that one
};

/// The record that comes in as fragments.
class assembly {
public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// Appends. `whole` is what the record will have: allocated as it comes, beyond what a peer may send unasked.
    void add(std::span<const std::byte> bytes, std::size_t whole);
    /// What has come. Empty after it.
    [[nodiscard]] blob finish() noexcept;
    void clear() noexcept { static_cast<void>(finish()); }

private:
    std::shared_ptr<std::byte> memory_;
    std::size_t room_ = 0;
    std::size_t size_ = 0;
};

}  // namespace coppice::net
