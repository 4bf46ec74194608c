// The slow half of the block pool: carving, exchange of magazines through the depots, return at a thread's end.
// A thread's magazines go back to the depots when the thread ends; carved memory is kept for the process.
#include "coppice/detail/pool.hpp"

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <utility>

namespace coppice::detail {

#if defined(COPPICE_SANITIZED)
namespace {
std::atomic<std::size_t> in_use{0};
}

void* pool_alloc(std::size_t bytes) {
    void* block = ::operator new(bytes, std::align_val_t{64});
    in_use.fetch_add(1, std::memory_order_relaxed);
    return block;
}

void pool_free(void* block, std::size_t) noexcept {
    in_use.fetch_sub(1, std::memory_order_relaxed);
    ::operator delete(block, std::align_val_t{64});
}

std::size_t pool_blocks_in_use() noexcept { return in_use.load(std::memory_order_relaxed); }
bool pool_is_this_threads() noexcept { return true; }
#else
namespace {

struct depot {
    std::mutex mutex;
    magazine* full = nullptr;
    magazine* empty = nullptr;
    std::size_t carved = 0;   // blocks ever made
    std::size_t resting = 0;  // blocks in `full`
};

// Never destroyed: threads may return blocks while the process ends.
depot* depots() noexcept {
    static depot* const all = new depot[thread_pool::classes];
    return all;
}

magazine* new_magazine() {
    auto* m = static_cast<magazine*>(::operator new(sizeof(magazine)));
    m->next = nullptr;
    m->count = 0;
    return m;
}

// Puts a magazine, full, partly filled or empty, on its depot. The depot's mutex is held.
void shelve(depot& d, magazine* m) noexcept {
    if (m->count) {
        m->next = d.full;
        d.full = m;
        d.resting += m->count;
    } else {
        m->next = d.empty;
        d.empty = m;
    }
}

std::atomic<std::size_t> threads_with_magazines{0};

struct returns_at_thread_end {
    bool armed = false;
    void arm() noexcept {
        if (!std::exchange(armed, true)) threads_with_magazines.fetch_add(1, std::memory_order_relaxed);
    }
    ~returns_at_thread_end() {
        for (std::size_t i = 0; i < thread_pool::classes; ++i) {
            auto& mine = local_pool.of[i];
            depot& d = depots()[i];
            const std::lock_guard lock{d.mutex};
            if (mine.current) shelve(d, std::exchange(mine.current, nullptr));
            if (mine.previous) shelve(d, std::exchange(mine.previous, nullptr));
        }
        if (armed) threads_with_magazines.fetch_sub(1, std::memory_order_relaxed);
    }
};
thread_local returns_at_thread_end returner;

void equip(thread_pool::size_class& mine) {
    returner.arm();  // first touch registers the thread's clean-up
    mine.current = new_magazine();
    mine.previous = new_magazine();
}

}  // namespace

constinit thread_local thread_pool local_pool{};

void* thread_pool::alloc_slow(std::size_t index) {
    auto& mine = local_pool.of[index];
    if (!mine.current) equip(mine);
    if (mine.previous->count) {
        std::swap(mine.current, mine.previous);
    } else {
        depot& d = depots()[index];
        const std::lock_guard lock{d.mutex};
        if (d.full) {
            magazine* filled = std::exchange(d.full, d.full->next);
            d.resting -= filled->count;
            shelve(d, mine.previous);
            mine.previous = std::exchange(mine.current, filled);
        } else {
            const std::size_t bytes = (index + 1) * step;
            auto* chunk =
                static_cast<std::byte*>(::operator new(bytes * magazine::capacity, std::align_val_t{64}));
            d.carved += magazine::capacity;
            for (std::size_t i = magazine::capacity; i-- > 0;)
                mine.current->blocks[mine.current->count++] = chunk + i * bytes;
        }
    }
    return mine.current->blocks[--mine.current->count];
}

void thread_pool::free_slow(void* block, std::size_t index) noexcept {
    auto& mine = local_pool.of[index];
    if (!mine.current) {
        equip(mine);
    } else if (mine.previous->count == 0) {
        std::swap(mine.current, mine.previous);
    } else {
        depot& d = depots()[index];
        const std::lock_guard lock{d.mutex};
        shelve(d, mine.previous);
        mine.previous = mine.current;
        mine.current = d.empty ? std::exchange(d.empty, d.empty->next) : new_magazine();
    }
    mine.current->blocks[mine.current->count++] = block;
}

std::size_t pool_blocks_in_use() noexcept {
    std::size_t used = 0;
    for (std::size_t i = 0; i < thread_pool::classes; ++i) {
        depot& d = depots()[i];
        const std::lock_guard lock{d.mutex};
        const auto& mine = local_pool.of[i];
        used += d.carved - d.resting - (mine.current ? mine.current->count : 0) -
                (mine.previous ? mine.previous->count : 0);
    }
    return used;
}
bool pool_is_this_threads() noexcept {
    return threads_with_magazines.load(std::memory_order_relaxed) <= (returner.armed ? 1u : 0u);
}
#endif

}  // namespace coppice::detail
