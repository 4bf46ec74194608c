// Blobs, and the memory that they are made in and leave behind.
// What is given back lies in one list a size class, under one mutex: it is held for a few instructions, twice for each
// message of at least a page. The one that came last is taken first, as it is still in some cache.
#include "coppice/blob.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <mutex>
#include <new>

#include "arena.hpp"
#include "coppice/options.hpp"

namespace coppice {

namespace detail {

namespace {

constexpr std::align_val_t alignment{64};
constexpr std::size_t least = 4096;
constexpr std::size_t most = limits::blobs_kept / 2;  // larger ones go back at once

// Four classes a power of two: at most a quarter is wasted.
std::size_t class_bytes(std::size_t bytes) noexcept {
    const std::size_t step = std::bit_floor(std::max(bytes, least)) / 4;
    return (std::max(bytes, least) + step - 1) / step * step;
}
std::size_t class_of(std::size_t bytes) noexcept {
    const auto power = static_cast<unsigned>(std::bit_width(bytes) - 1);
    return std::size_t{power} * 4 + (bytes >> (power - 2)) % 4;
}

// Never destroyed: blobs may outlive everything else of the process.
class kept_memory {
public:
    void* take(std::size_t bytes) noexcept {
        const std::lock_guard lock{mutex_};
        auto& list = lists_[class_of(bytes)];
        if (list.empty()) return nullptr;
        void* last = list.back();
        list.pop_back();
        kept_ -= bytes;
        return last;
    }
    bool give(void* memory, std::size_t bytes) noexcept {
        const std::lock_guard lock{mutex_};
        if (kept_ + bytes > limits::blobs_kept) return false;
        auto& list = lists_[class_of(bytes)];
        if (list.capacity() == list.size()) {
            try {
                list.reserve(std::max<std::size_t>(2 * list.size(), 16));
            } catch (const std::bad_alloc&) {
                return false;
            }
        }
        list.push_back(memory);
        kept_ += bytes;
        return true;
    }

private:
    std::mutex mutex_;
    std::size_t kept_ = 0;
    std::vector<void*> lists_[64 * 4];
};

kept_memory& kept() {
    static auto& all = *new kept_memory;
    return all;
}

// A sanitizer is to see each use after the release.
#if defined(COPPICE_SANITIZED)
constexpr bool keeps = false;
#else
constexpr bool keeps = true;
#endif

}  // namespace

std::shared_ptr<std::byte> bulk_memory(std::size_t bytes) {
    const std::size_t whole = class_bytes(bytes);
    const bool pooled = keeps && whole <= most;
    void* memory = pooled ? kept().take(whole) : nullptr;
    if (!memory) memory = ::operator new(whole, alignment);
    return {static_cast<std::byte*>(memory), [whole](std::byte* left) {
                const bool back = keeps && whole <= most && kept().give(left, whole);
                if (!back) ::operator delete(left, alignment);
            }};
}

}  // namespace detail

blob::blob(std::vector<std::byte> bytes) {
    auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
    bytes_ = *owner;
    holder_ = std::move(owner);
}

blob::blob(std::string text) {
    auto owner = std::make_shared<const std::string>(std::move(text));
    bytes_ = std::as_bytes(std::span{*owner});
    holder_ = std::move(owner);
}

blob blob::copy_of(std::span<const std::byte> bytes) {
    if (bytes.empty()) return {};
    blob_buffer copy{bytes.size()};
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    return std::move(copy).freeze();
}

bool operator==(const blob& a, const blob& b) noexcept {
    if (a.size() != b.size()) return false;
    return a.data() == b.data() || a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0;
}

blob_buffer::blob_buffer(std::size_t size) {
    if (size == 0) return;
    std::shared_ptr<std::byte> memory;
    if (size < detail::least) memory = {new std::byte[size], std::default_delete<std::byte[]>{}};
    else if (detail::arena* own = detail::arena::opened()) memory = own->take(size);
    if (!memory) memory = detail::bulk_memory(size);
    bytes_ = {memory.get(), size};
    holder_ = std::move(memory);
}

}  // namespace coppice
