// Timer nodes, intrusive: owned by whoever embeds them, linked into their scheduler's wheel. Owner thread only.
//
// A new timer stands in a `fresh` list with its duration, not its deadline; the scheduler reads the clock once per turn
// and turns durations into deadlines then. So an ask that is answered within the turn costs two list operations and no
// look at the clock, and a timer never fires early.
#pragma once
#include <cstdint>

namespace coppice::detail {

struct timer_node {
    timer_node* next = nullptr;  // null: not linked
    timer_node* prev = nullptr;
    std::int64_t when = 0;    // duration while fresh, then deadline; nanoseconds
    std::uint64_t order = 0;  // ties fire in the order in which they were set
    void (*fire)(timer_node*) noexcept = nullptr;

    [[nodiscard]] bool linked() const noexcept { return next != nullptr; }
    void unlink() noexcept {
        next->prev = prev;
        prev->next = next;
        next = nullptr;
    }
};

/// A circular list with a sentinel.
struct timer_list {
    timer_node sentinel;
    timer_list() noexcept { sentinel.next = sentinel.prev = &sentinel; }
    timer_list(const timer_list&) = delete;
    timer_list& operator=(const timer_list&) = delete;
    [[nodiscard]] bool empty() const noexcept { return sentinel.next == &sentinel; }
    void push_back(timer_node* t) noexcept {
        t->next = &sentinel;
        t->prev = sentinel.prev;
        sentinel.prev->next = t;
        sentinel.prev = t;
    }
    timer_node* pop_front() noexcept {
        timer_node* t = sentinel.next;
        t->unlink();
        return t;
    }
};

}  // namespace coppice::detail
