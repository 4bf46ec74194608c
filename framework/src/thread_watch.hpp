// What a supervisor finds of a child that runs on a thread of its own and has a heartbeat: whether its handlers return. A thread
// cannot say that it lives while it works, so it is looked at once a period, from outside: a scheduler with work that has got on
// since the last look lives.
//
// One thread at a time: the supervisor's.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

#include "coppice/supervisor.hpp"
#include "scheduler_progress.hpp"

namespace coppice::detail {

class thread_watch {
public:
    enum class found : std::uint8_t { nothing, stuck, well };

    thread_watch(const heartbeat_spec& beats, std::int64_t at) : beats_{beats}, last_look_{at} {}

    [[nodiscard]] std::chrono::nanoseconds period() const noexcept {
        return std::max<std::chrono::nanoseconds>(beats_.period, std::chrono::milliseconds{1});
    }
    [[nodiscard]] reaction when_stuck() const noexcept { return beats_.when_stuck; }

    /// Looks at the child's scheduler at time `at` (nanoseconds, steady). Each change is told once.
    [[nodiscard]] found look(const scheduler& s, std::int64_t at) noexcept {
        const std::int64_t late = at - std::exchange(last_look_, at) - period().count();
        if (progress_.look(s, at)) return std::exchange(stuck_, false) ? found::well : found::nothing;
        // This process did not run, or the supervisor had no time to look: that is no evidence against the child.
        if (late > period().count()) progress_.forgive(late);
        if (stuck_ || still_for(at).count() <= period().count() * beats_.misses) return found::nothing;
        stuck_ = true;
        return found::stuck;
    }
    /// For how long its handler has been running.
    [[nodiscard]] std::chrono::nanoseconds still_for(std::int64_t at) const noexcept {
        return std::chrono::nanoseconds{progress_.still_for(at)};
    }

private:
    heartbeat_spec beats_;
    scheduler_progress progress_;
    std::int64_t last_look_;
    bool stuck_ = false;
};

}  // namespace coppice::detail
