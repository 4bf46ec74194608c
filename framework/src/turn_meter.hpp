// How a scheduler measures its turns: how long they take, how long those that are ready wait for them, and whose were the longest.
// What is gathered has a fixed size and is read by other threads without stopping anybody: read() on any thread, also when
// the scheduler is in a handler that does not return. All else is the scheduler's thread's.
//
//   run_some() ── one turn in `distance` ──► begin() ─ the turn ─ end() ──► turns, slowest; the next distance
//                                              │ the first strand that it makes ready is marked, with the time
//   another thread's push(), if asked to, leaves the time ──► accept() marks the first that its mail makes ready
//                                              └──► marked, it begins its turn ──► delays
//
// The distance is chosen so that measuring takes less than a hundredth of the time, whatever turns cost: it grows while samples follow one another
// within sample_gap, and shrinks while they are further apart, so that a scheduler with little to do measures all of its turns. A
// sample counts for as many turns as its distance, so that counts and sums are, in the mean, those of all turns. Single distances
// are drawn at random about it: work with a period of its own is met at all its places.
//
// It costs the turns between two samples nothing: the mark stands in a flag that is looked at anyway, and for the first strand that is made
// ready the scheduler pretends to sleep, which is the way out of the fast path that is there already.
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <vector>

#include "coppice/detail/scheduler.hpp"
#include "coppice/latency.hpp"
#include "coppice/options.hpp"

namespace coppice::detail {

/// A latency_histogram that several threads write and read.
class live_histogram {
public:
    void add(std::int64_t ns, std::uint64_t weight) noexcept;
    [[nodiscard]] latency_histogram read() const;

private:
    std::array<std::atomic<std::uint64_t>, latency_histogram::buckets> counts_{};
    std::atomic<std::uint64_t> samples_{0};
    std::atomic<std::uint64_t> sum_{0};
    std::atomic<std::uint64_t> max_{0};
};

/// The few longest turns of the present window and of the one before it, one an actor. Any thread.
class slow_turns {
public:
    /// Whether a turn that ends then is to be kept: mostly not, and then nobody has to find out whose it was.
    [[nodiscard]] bool wants(std::int64_t took, std::int64_t at) const noexcept {
        return took > shortest_.load(std::memory_order_relaxed) ||
               at >= window_ends_.load(std::memory_order_relaxed);
    }
    void keep(slow_turn one);
    [[nodiscard]] std::vector<slow_turn> read(std::int64_t at) const;

private:
    using list = std::vector<slow_turn>;
    static void put(list& into, slow_turn one);

    mutable std::mutex mutex_;
    list present_;
    list past_;
    std::atomic<std::int64_t> shortest_{
        -1};  // that are kept, once there are as many as may be; -1: there is room
    std::atomic<std::int64_t> window_ends_{0};
};

/// What is gathered, of one scheduler or of several.
struct live_latency {
    live_histogram turns;
    live_histogram delays;
    slow_turns slowest;
    /// Any thread. `at`: the node's clock.
    [[nodiscard]] latency_info read(std::int64_t at) const;
};

class turn_meter {
public:
    /// Between two samples at least, mostly: three looks at the clock, some 100 ns, are then two thousandths of the time.
    static constexpr std::int64_t sample_gap = 50'000;
    static constexpr std::uint32_t most_distance = 4096;
    /// Without a sample for that long, the first turn of the next round is one: the distance is of a time when there was more to do.
    static constexpr std::int64_t longest_gap = 1'000'000;
    /// A marked strand that has not run for that long is gone.
    static constexpr std::int64_t mark_lasts = 100'000'000'000;

    /// In scheduler::arrived: who pushes next is to leave the time there.
    static constexpr std::int64_t wanted = -1;

    /// A turn that is being measured.
    struct turn {
        std::int64_t at = 0;
        name_entry* name = nullptr;
        actor_id who = 0;
        actor_id parent = 0;
        std::uint64_t received = 0;
    };
    turn begin(scheduler& s, strand* ready);
    /// How many turns from here the next one is measured.
    std::uint32_t end(scheduler& s, const turn& t);

    /// Whether the next turn should be measured, whatever the distance.
    [[nodiscard]] bool is_overdue(std::int64_t at) const noexcept { return at - sampled_at_ > longest_gap; }
    void come_close() noexcept { distance_ = 1; }

    /// The scheduler pretends to sleep: the next strand that is made ready is to be marked.
    [[nodiscard]] bool is_armed() const noexcept { return armed_; }
    /// Marks it, if so. `s` is awake again then.
    bool mark(scheduler& s, strand* ready);
    /// What another thread pushed has come; true: disarm() follows, once it is delivered.
    bool expect_marks_of_mail(scheduler& s);
    void disarm(scheduler& s) noexcept;
    /// A marked strand begins its turn.
    void begins_marked(scheduler& s, strand* marked) noexcept;
    /// No strand is ready: a mark that has not been seen again is lost.
    void nothing_is_ready() noexcept { is_marked_ = false; }

    live_latency of_scheduler;

private:
    void arm(scheduler& s, std::int64_t since) noexcept;
    live_latency& gathered(scheduler& s) noexcept;
    void keep(scheduler& s, const turn& t, std::int64_t took, std::int64_t at);
    std::uint32_t next_distance(std::int64_t gap) noexcept;

    std::uint32_t distance_ = 1;
    std::int64_t sampled_at_ = 0;
    bool armed_ = false;
    bool is_marked_ = false;
    std::int64_t since_ = 0;  // when the marked one became ready; while armed 0: the moment it does
    std::uint64_t random_ =
        0x9e3779b97f4a7c15ull;  // not the node's: what is measured must not change what a world does
};

}  // namespace coppice::detail
