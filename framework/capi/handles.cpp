// The table of handles: chunks of slots that are made on demand and kept; see handles.hpp for the invariant of a slot.
// A lock is taken where a batch of slots is taken or given back, never where one is used.
#include "handles.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <utility>
#include <vector>

#include "coppice/error.hpp"

namespace coppice::c {

namespace {

constexpr std::uint32_t slot_bits = 24;
constexpr std::uint32_t chunk_bits = 12;
constexpr std::uint32_t chunk_slots = 1u << chunk_bits;
constexpr std::uint32_t chunks = 1u << (slot_bits - chunk_bits);
constexpr std::uint64_t closed_bit = std::uint64_t{1} << 31;
constexpr std::uint64_t uses_mask = closed_bit - 1;

struct slot {
    // A slot that was never used is closed, in generation 0, which no handle has.
    std::atomic<std::uint64_t> state{closed_bit};
    std::uint8_t kind = 0;  // written before its generation is opened
    std::shared_ptr<resource> what;
};
using chunk = std::array<slot, chunk_slots>;

// Each made under the mutex of the table, and never freed.
constinit std::array<std::atomic<chunk*>, chunks> all_chunks{};

struct slots {
    std::mutex mutex;
    std::vector<std::uint32_t> free;
    std::uint32_t made = 0;
};
// Never destroyed: threads may give handles back while the process ends.
slots& table() {
    static slots& one = *new slots;
    return one;
}

constexpr std::uint32_t slot_of(coppice_handle h) { return h & ((1u << slot_bits) - 1); }
constexpr std::uint32_t generation_of(coppice_handle h) { return static_cast<std::uint32_t>(h >> slot_bits); }

slot* at(std::uint32_t index) noexcept {
    chunk* c = all_chunks[index >> chunk_bits].load(std::memory_order_acquire);
    return c ? &(*c)[index & (chunk_slots - 1)] : nullptr;
}

// A thread's share of the free slots. Zero-initialised, so that its use needs no guard; `returner` is armed on the way to the table.
struct thread_share {
    static constexpr std::uint32_t most = 64;
    std::uint32_t count;
    bool is_over;  // the thread ends: what it still gives back is not kept
    std::uint32_t free[most];
};
constinit thread_local thread_share share_here{};

// Puts the last `count` of the thread's share back.
void unload(thread_share& mine, std::uint32_t count) noexcept {
    slots& t = table();
    const std::lock_guard lock{t.mutex};
    while (count-- > 0) t.free.push_back(mine.free[--mine.count]);
}

struct returns_at_thread_end {
    bool armed = false;
    ~returns_at_thread_end() {
        unload(share_here, share_here.count);
        share_here.is_over = true;
    }
};
thread_local returns_at_thread_end returner;

// Half a share, or one slot for a thread that ends.
void load(thread_share& mine) {
    if (!mine.is_over) returner.armed = true;
    slots& t = table();
    const std::lock_guard lock{t.mutex};
    if (t.free.empty()) {
        const std::uint32_t first = t.made << chunk_bits;
        if (t.made == chunks)
            throw bad_result{
                error{errc::limit_reached, "16,777,216 handles are open: close what is not needed"}};
        t.free.reserve(std::size_t{t.made + 1} << chunk_bits);  // so that giving one back never allocates
        all_chunks[t.made].store(new chunk, std::memory_order_release);
        ++t.made;
        for (std::uint32_t i = chunk_slots; i-- > 0;) t.free.push_back(first + i);
    }
    const std::size_t wanted = mine.is_over ? 1 : thread_share::most / 2;
    for (std::size_t n = std::min(wanted, t.free.size()); n > 0; --n) {
        mine.free[mine.count++] = t.free.back();
        t.free.pop_back();
    }
}

std::uint32_t take_slot() {
    thread_share& mine = share_here;
    if (mine.count == 0) [[unlikely]]
        load(mine);
    return mine.free[--mine.count];
}

void free_slot(std::uint32_t index) noexcept {
    thread_share& mine = share_here;
    if (mine.count == thread_share::most) unload(mine, thread_share::most / 2);
    mine.free[mine.count++] = index;
    if (mine.is_over) [[unlikely]]
        unload(mine, 1);
    else if (mine.count == 1) returner.armed = true;
}

}  // namespace

const char* name_of(kind k) noexcept {
    switch (k) {
    case kind::node: return "a node";
    case kind::actor: return "an actor";
    case kind::ref: return "a ref";
    case kind::mail: return "a mail";
    case kind::value: return "a value";
    case kind::space: return "a space";
    case kind::slot: return "a slot";
    case kind::guard: return "a guard";
    }
    return "nothing";
}

coppice_handle handle_table::add(kind k, std::shared_ptr<resource> what) {
    const std::uint32_t index = take_slot();
    slot* s = at(index);
    const std::uint64_t generation = (s->state.load(std::memory_order_acquire) >> 32) + 1;
    s->kind = static_cast<std::uint8_t>(k);
    s->what = std::move(what);
    s->state.store(generation << 32, std::memory_order_release);  // pairs with enter()
    return std::uint64_t{s->kind} << 56 | (generation & 0xffff'ffff) << slot_bits | index;
}

found handle_table::enter(coppice_handle h, resource*& what) noexcept {
    slot* s = h ? at(slot_of(h)) : nullptr;
    const std::uint32_t wanted = generation_of(h);
    if (!s || wanted == 0) return found::no_handle;
    std::uint64_t now = s->state.load(std::memory_order_acquire);
    for (;;) {
        const auto generation = static_cast<std::uint32_t>(now >> 32);
        if (generation < wanted) return found::no_handle;  // none that was ever given out
        if (generation > wanted || (now & closed_bit)) return found::closed;
        if (s->state.compare_exchange_weak(now, now + 1, std::memory_order_acquire,
                                           std::memory_order_acquire))
            break;
    }
    if (s->kind != h >> 56) {
        leave(h);
        return found::no_handle;
    }
    what = s->what.get();
    return found::open;
}

void handle_table::leave(coppice_handle h) noexcept {
    slot* s = at(slot_of(h));
    const std::uint64_t before = s->state.fetch_sub(1, std::memory_order_acq_rel);
    if (!(before & closed_bit) || (before & uses_mask) != 1) return;
    const std::shared_ptr<resource> object = std::move(s->what);  // it ends when the slot is free
    if (before >> 32 != 0xffff'ffff) free_slot(slot_of(h));       // else its generations are used up
}

std::shared_ptr<resource> handle_table::share(coppice_handle h) noexcept { return at(slot_of(h))->what; }

bool handle_table::close(coppice_handle h) noexcept {
    const std::uint64_t before = at(slot_of(h))->state.fetch_or(closed_bit, std::memory_order_acq_rel);
    return !(before & closed_bit);
}

std::size_t handle_table::open() noexcept {
    std::size_t count = 0;
    for (const auto& made : all_chunks) {
        const chunk* c = made.load(std::memory_order_acquire);
        if (!c) break;
        count += static_cast<std::size_t>(std::count_if(c->begin(), c->end(), [](const slot& s) {
            return !(s.state.load(std::memory_order_relaxed) & closed_bit);
        }));
    }
    return count;
}

}  // namespace coppice::c
