// Recycled memory blocks for coroutine frames and envelopes, per thread, with exchange between threads.
//
//   thread A            depot (one a size class, mutex)          thread B
//   [cur][prev]  <---->  full magazines | empty magazines  <---->  [cur][prev]
//
// A magazine is an array of 63 block pointers, so neither allocation nor release touches the block itself; a thread
// keeps two a size class, so the depot's mutex is taken at most once in 63 operations (Bonwick and Adams, "Magazines
// and Vmem", USENIX 2001). A block may be released on any thread. Under a sanitizer every block comes from malloc, so
// that a use after release is seen.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace coppice::detail {

#if defined(COPPICE_SANITIZED)
void* pool_alloc(std::size_t bytes);
void pool_free(void* block, std::size_t bytes) noexcept;
#else

struct magazine {
    static constexpr std::uint32_t capacity = 63;
    magazine* next;
    std::uint32_t count;
    void* blocks[capacity];
};

/// One thread's share. Zero-initialised, so that its first use needs no guard.
struct thread_pool {
    static constexpr std::size_t step = 32;
    static constexpr std::size_t classes = 1024 / step;
    struct size_class {
        magazine* current;
        magazine* previous;
    };
    size_class of[classes];

    [[gnu::always_inline]] void* alloc(std::size_t index) {
        magazine* m = of[index].current;
        if (!m || m->count == 0) [[unlikely]]
            return alloc_slow(index);
        return m->blocks[--m->count];
    }
    [[gnu::always_inline]] void free(void* block, std::size_t index) noexcept {
        magazine* m = of[index].current;
        if (!m || m->count == magazine::capacity) [[unlikely]]
            return free_slow(block, index);
        m->blocks[m->count++] = block;
    }
    // Of the calling thread: static, so that the way to them needs no address of its share.
    [[gnu::noinline]] static void* alloc_slow(std::size_t index);
    [[gnu::noinline]] static void free_slow(void* block, std::size_t index) noexcept;
};

extern constinit thread_local thread_pool local_pool;

[[gnu::always_inline]] inline void* pool_alloc(std::size_t bytes) {
    const std::size_t index = (bytes - 1) / thread_pool::step;
    if (index >= thread_pool::classes) [[unlikely]]
        return ::operator new(bytes, std::align_val_t{64});
    return local_pool.alloc(index);
}

[[gnu::always_inline]] inline void pool_free(void* block, std::size_t bytes) noexcept {
    const std::size_t index = (bytes - 1) / thread_pool::step;
    if (index >= thread_pool::classes) [[unlikely]]
        return ::operator delete(block, std::align_val_t{64});
    local_pool.free(block, index);
}
#endif

/// pool_free() of so many times 64 bytes.
[[gnu::always_inline]] inline void pool_free_64(void* block, std::size_t times) noexcept {
#if defined(COPPICE_SANITIZED)
    pool_free(block, times * 64);
#else
    constexpr std::size_t steps = 64 / thread_pool::step;
    if (times > thread_pool::classes / steps) [[unlikely]]
        return ::operator delete(block, std::align_val_t{64});
    local_pool.free(block, times * steps - 1);
#endif
}

/// For what the standard library and Asio allocate: from the pool, like the frame that waits for it.
template <class T>
struct pool_allocator {
    using value_type = T;
    static_assert(std::is_void_v<T> || alignof(std::conditional_t<std::is_void_v<T>, char, T>) <= 32);
    pool_allocator() noexcept = default;
    template <class U>
    pool_allocator(const pool_allocator<U>&) noexcept {}  // NOLINT(google-explicit-constructor)
    T* allocate(std::size_t n) { return static_cast<T*>(pool_alloc(n * sizeof(T))); }
    void deallocate(T* block, std::size_t n) noexcept { pool_free(block, n * sizeof(T)); }
    template <class U>
    bool operator==(const pool_allocator<U>&) const noexcept {
        return true;
    }
};

/// Blocks handed out and not yet returned, over all threads; also those that rest in the magazines of other threads.
[[nodiscard]] std::size_t pool_blocks_in_use() noexcept;
/// Whether that number is exact: no other living thread has magazines. Nodes look at both when they end.
[[nodiscard]] bool pool_is_this_threads() noexcept;

}  // namespace coppice::detail
