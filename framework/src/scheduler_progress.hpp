// Whether a scheduler gets on with its work, seen from another thread: one that has work, and neither switches to another actor
// nor comes back to its loop from one look to the next, runs a handler that does not return, or its thread is not run.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

#include "coppice/detail/cell.hpp"
#include "coppice/detail/scheduler.hpp"

namespace coppice::detail {

/// What the last look has found. Of one thread, which need not be the scheduler's.
class scheduler_progress {
public:
    /// Looks at time `at` (nanoseconds, steady). True: it got on since the last look, or has nothing to do.
    bool look(const scheduler& s, std::int64_t at) noexcept {
        const std::uint64_t switches = s.switches.load(std::memory_order_relaxed);
        const std::int64_t looked = s.simulated ? 0 : s.last_look.load(std::memory_order_relaxed);
        const envelope* inbox = s.inbox.load(std::memory_order_acquire);
        // One that sleeps with nothing to do makes no progress either. One of the test world never sleeps: its queue tells.
        const bool busy = s.simulated ? s.run_head || s.newest
                                      : inbox != scheduler::idle_tag() && inbox != scheduler::closed_tag();
        if (std::exchange(seen_, true) && busy && switches == switches_ && looked == looked_) return false;
        switches_ = switches;
        looked_ = looked;
        moved_at_ = at;
        return true;
    }
    /// Nanoseconds for which it has not got on.
    [[nodiscard]] std::int64_t still_for(std::int64_t at) const noexcept { return at - moved_at_; }
    /// This process was not run for that long: that is not held against it.
    void forgive(std::int64_t pause) noexcept { moved_at_ += pause; }

private:
    bool seen_ = false;
    std::uint64_t switches_ = 0;
    std::int64_t looked_ = 0;
    std::int64_t moved_at_ = 0;
};

/// Whose handler it is in; 0: in none.
inline actor_id running_on(const scheduler& s) noexcept {
    if (s.simulated && s.run_head) return owner_of(s.run_head)->self_id();
    return s.running.load(std::memory_order_relaxed);
}

}  // namespace coppice::detail
