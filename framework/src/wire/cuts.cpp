// Messages without their bulk data, and blobs that share the memory that a message came in; see
// coppice/detail/wire_cuts.hpp and wire_context.hpp. No state, any thread.
#include <algorithm>
#include <functional>

#include "coppice/detail/wire_context.hpp"
#include "coppice/detail/wire_cuts.hpp"
#include "coppice/options.hpp"

namespace coppice::detail {

std::size_t wire_cuts::words_behind(const std::uint64_t* word) const noexcept {
    if (all.empty()) return 0;
    const auto at = static_cast<std::size_t>(word - head);
    // The first cut behind it; they stand in the order of their places.
    const auto first = std::upper_bound(
        all.begin(), all.end(), at, [](std::size_t place, const wire_cut& cut) { return place < cut.at; });
    if (first == all.end()) return 0;
    return words() - words_before[static_cast<std::size_t>(first - all.begin())];
}

void wire_cuts::add(const std::uint64_t* next, std::span<const std::byte> bytes,
                    std::shared_ptr<const void> holder) {
    words_before.push_back(words());
    all.push_back({static_cast<std::size_t>(next - head), bytes, std::move(holder)});
}

blob wire_context::taken(std::span<const std::byte> bytes) const {
    if (within && bytes.size() >= limits::bulk_piece && bytes.size() >= within->size() / 8) {
        const std::less<const std::byte*> before;  // they may be of different objects
        if (!before(bytes.data(), within->data()) &&
            !before(within->data() + within->size(), bytes.data() + bytes.size()))
            return within->part(static_cast<std::size_t>(bytes.data() - within->data()), bytes.size());
    }
    return blob::copy_of(bytes);
}

}  // namespace coppice::detail
