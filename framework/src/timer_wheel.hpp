// A hierarchical timing wheel over intrusive nodes: set and cancel in constant time (Varghese and Lauck, "Hashed and
// Hierarchical Timing Wheels", SOSP 1987). Owner thread only; knows no clock: it is told the time.
//
// Eight levels of 64 slots; a tick is 2^16 ns. The level of a deadline is where its highest bit differs from the current
// tick, so all of a lower level is due before anything of a higher one, and the next deadline is found by bitmaps.
// Within a slot of level 0 nodes fire by deadline, ties in the order in which they were set: exact to the nanosecond.
#pragma once
#include <array>
#include <cstdint>
#include <limits>

#include "coppice/detail/timer.hpp"

namespace coppice::detail {

struct timer_wheel {
    static constexpr int tick_bits = 16;
    static constexpr int slot_bits = 6;
    static constexpr int levels = 8;
    static constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();

    explicit timer_wheel(std::int64_t now) noexcept : current_{tick_of(now)} {}

    /// Takes a node whose `when` is its deadline. A deadline in the past fires at the next expire().
    void add(timer_node* t) noexcept;
    /// Moves all nodes with deadline <= now to `due`, in firing order.
    void expire(std::int64_t now, timer_list& due) noexcept;
    /// A time at or before the next deadline, at which expire() should be called; never if there is none.
    [[nodiscard]] std::int64_t next() noexcept;

private:
    static std::uint64_t tick_of(std::int64_t t) noexcept {
        return static_cast<std::uint64_t>(t < 0 ? 0 : t) >> tick_bits;
    }
    static int level_for(std::uint64_t tick, std::uint64_t current) noexcept;
    void sort_due(timer_list& due) noexcept;

    std::uint64_t current_;
    std::uint64_t order_ = 0;
    std::array<std::uint64_t, levels> occupied_{};  // a set bit may be stale: its slot may have emptied
    std::array<std::array<timer_list, 64>, levels> slots_;
};

}  // namespace coppice::detail
