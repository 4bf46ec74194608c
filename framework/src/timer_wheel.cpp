// The timing wheel: placing, cascading, and finding the next deadline by bitmaps.
// The layout and its invariant stand in timer_wheel.hpp.
#include "timer_wheel.hpp"

#include <algorithm>
#include <bit>
#include <vector>

namespace coppice::detail {

int timer_wheel::level_for(std::uint64_t tick, std::uint64_t current) noexcept {
    const std::uint64_t differing = tick ^ current;
    if (differing == 0) return 0;
    const int level = (63 - std::countl_zero(differing)) / slot_bits;
    return level < levels ? level : levels - 1;
}

void timer_wheel::add(timer_node* t) noexcept {
    if (t->order == 0) t->order = ++order_;
    const std::uint64_t tick = std::max(tick_of(t->when), current_);
    const int level = level_for(tick, current_);
    // Beyond the horizon of the highest level a node waits in the last slot before the current one and is placed again.
    const std::uint64_t horizon = std::uint64_t{1} << (slot_bits * levels);
    std::size_t slot;
    if ((tick ^ current_) >= horizon) slot = ((current_ >> (slot_bits * level)) + 63) & 63;
    else slot = (tick >> (slot_bits * level)) & 63;
    slots_[static_cast<std::size_t>(level)][slot].push_back(t);
    occupied_[static_cast<std::size_t>(level)] |= std::uint64_t{1} << slot;
}

std::int64_t timer_wheel::next() noexcept {
    for (int level = 0; level < levels; ++level) {
        auto& bits = occupied_[static_cast<std::size_t>(level)];
        while (bits) {
            const auto at = static_cast<int>((current_ >> (slot_bits * level)) & 63);
            const int distance = std::countr_zero(std::rotr(bits, at));
            const auto slot = static_cast<std::size_t>((at + distance) & 63);
            timer_list& list = slots_[static_cast<std::size_t>(level)][slot];
            if (list.empty()) {
                bits &= ~(std::uint64_t{1} << slot);
                continue;
            }
            if (level == 0) {
                std::int64_t first = never;
                for (timer_node* t = list.sentinel.next; t != &list.sentinel; t = t->next)
                    first = std::min(first, t->when);
                return first;
            }
            const int shift = slot_bits * level;
            const std::uint64_t begin = ((current_ >> shift) + static_cast<std::uint64_t>(distance)) << shift;
            return static_cast<std::int64_t>(std::max(begin, current_ + 1) << tick_bits);
        }
    }
    return never;
}

void timer_wheel::expire(std::int64_t now, timer_list& due) noexcept {
    const std::uint64_t target = std::max(tick_of(now), current_);
    for (;;) {
        // The slot of the current tick: some of it may be due, some later within the tick.
        timer_list& list = slots_[0][current_ & 63];
        for (timer_node* t = list.sentinel.next; t != &list.sentinel;) {
            timer_node* following = t->next;
            if (t->when <= now) {
                t->unlink();
                due.push_back(t);
            }
            t = following;
        }
        if (current_ == target) break;
        // Go to the next tick at which something happens, at most to `target`.
        const std::int64_t next_at = next();
        std::uint64_t step = next_at == never ? target : std::min(target, tick_of(next_at));
        if (step <= current_) step = current_ + 1;
        const std::uint64_t before = current_;
        current_ = step;
        // Every level whose slot changed: what stands in the slot of the new time moves down.
        for (int level = levels - 1; level > 0; --level) {
            const int shift = slot_bits * level;
            if ((before >> shift) == (current_ >> shift)) continue;
            const auto slot = static_cast<std::size_t>((current_ >> shift) & 63);
            timer_list& moving = slots_[static_cast<std::size_t>(level)][slot];
            if (moving.empty()) continue;
            timer_list taken;
            while (!moving.empty()) taken.push_back(moving.pop_front());
            occupied_[static_cast<std::size_t>(level)] &= ~(std::uint64_t{1} << slot);
            while (!taken.empty()) add(taken.pop_front());
        }
    }
    sort_due(due);
}

void timer_wheel::sort_due(timer_list& due) noexcept {
    if (due.empty() || due.sentinel.next->next == &due.sentinel) return;
    std::vector<timer_node*> nodes;
    while (!due.empty()) nodes.push_back(due.pop_front());
    std::sort(nodes.begin(), nodes.end(), [](const timer_node* a, const timer_node* b) {
        return a->when != b->when ? a->when < b->when : a->order < b->order;
    });
    for (timer_node* t : nodes) {
        t->order = 0;
        due.push_back(t);
    }
}

}  // namespace coppice::detail
