// Messages without their bulk data: the rest is written in one piece, the head; the bulk stays where it lies,
// and each cut says where in the message it belongs. Sent in that order, the bytes are those of a message that
// was written whole. Defined in src/wire/cuts.cpp. Values; one thread at a time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace coppice::detail {

/// A piece of a message that is not written with the rest of it: after `at` words of that.
struct wire_cut {
    std::size_t at = 0;
    std::span<const std::byte> bytes;    // a multiple of 8
    std::shared_ptr<const void> holder;  // keeps them alive; null: the message itself does
};

/// All of one message, in the order of their places.
struct wire_cuts {
    const std::uint64_t* head = nullptr;
    std::vector<wire_cut> all;
    std::vector<std::size_t> words_before;  // of all cuts before each

    /// Words of the cuts that lie behind a word of the head.
    [[nodiscard]] std::size_t words_behind(const std::uint64_t* word) const noexcept;
    /// The next bytes are not in the head: they follow what was written up to `next`.
    void add(const std::uint64_t* next, std::span<const std::byte> bytes, std::shared_ptr<const void> holder);
    [[nodiscard]] std::size_t words() const noexcept {
        return all.empty() ? 0 : words_before.back() + all.back().bytes.size() / 8;
    }
};

/// How much of a message can be left out of it.
struct wire_bulk {
    std::size_t cuts = 0;
    std::size_t words = 0;
};

}  // namespace coppice::detail
