// What is gathered of turns, and when it is measured; the picture is in turn_meter.hpp. What is read is read on any thread, the rest is
// the scheduler's thread's.
#include "turn_meter.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "cell_ext.hpp"
#include "node_core.hpp"

namespace coppice::detail {

// ---------------------------------------------------------------- what is gathered

void live_histogram::add(std::int64_t ns, std::uint64_t weight) noexcept {
    const auto took = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
    counts_[latency_histogram::bucket_of(ns)].fetch_add(weight, std::memory_order_relaxed);
    samples_.fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(took * weight, std::memory_order_relaxed);
    std::uint64_t most = max_.load(std::memory_order_relaxed);
    while (most < took && !max_.compare_exchange_weak(most, took, std::memory_order_relaxed)) {
    }
}

latency_histogram live_histogram::read() const {
    latency_histogram h;
    std::size_t first = 0;
    std::size_t end = latency_histogram::buckets;
    std::array<std::uint64_t, latency_histogram::buckets> seen;
    for (std::size_t i = 0; i < seen.size(); ++i) seen[i] = counts_[i].load(std::memory_order_relaxed);
    while (first < end && seen[first] == 0) ++first;
    while (end > first && seen[end - 1] == 0) --end;
    h.first = first == end ? 0 : static_cast<std::uint32_t>(first);
    h.counts.assign(seen.begin() + static_cast<std::ptrdiff_t>(first),
                    seen.begin() + static_cast<std::ptrdiff_t>(end));
    h.samples = samples_.load(std::memory_order_relaxed);
    h.sum_ns = sum_.load(std::memory_order_relaxed);
    h.max_ns = max_.load(std::memory_order_relaxed);
    return h;
}

// One an actor: the longer of two.
void slow_turns::put(list& into, slow_turn one) {
    const auto same =
        std::find_if(into.begin(), into.end(), [&](const slow_turn& t) { return t.path == one.path; });
    if (same != into.end()) {
        if (same->took >= one.took) return;
        into.erase(same);
    }
    const auto place =
        std::find_if(into.begin(), into.end(), [&](const slow_turn& t) { return t.took < one.took; });
    into.insert(place, std::move(one));
    if (into.size() > limits::slow_turns) into.pop_back();
}

void slow_turns::keep(slow_turn one) {
    const std::lock_guard lock{mutex_};
    const std::int64_t at = one.at.count();
    constexpr std::int64_t window = limits::slow_turn_window.count();
    if (const std::int64_t ends = window_ends_.load(std::memory_order_relaxed); at >= ends) {
        past_ = at - ends < window ? std::move(present_) : list{};
        present_.clear();
        window_ends_.store(at + window, std::memory_order_relaxed);
    }
    put(present_, std::move(one));
    shortest_.store(present_.size() < limits::slow_turns ? -1 : present_.back().took.count(),
                    std::memory_order_relaxed);
}

std::vector<slow_turn> slow_turns::read(std::int64_t at) const {
    const std::lock_guard lock{mutex_};
    constexpr std::int64_t window = limits::slow_turn_window.count();
    const std::int64_t ends = window_ends_.load(std::memory_order_relaxed);
    list all;
    if (at - ends < window) all = present_;  // else nothing was measured for a whole window
    if (at < ends)
        for (const slow_turn& t : past_) put(all, t);
    return all;
}

latency_info live_latency::read(std::int64_t at) const {
    return {turns.read(), delays.read(), slowest.read(at)};
}

// ---------------------------------------------------------------- measuring

namespace {

// Shorter turns are never among the longest: on a scheduler of few actors each sample would find out its actor's path.
constexpr std::int64_t least_slow_turn = 10'000;  // nanoseconds

}  // namespace

live_latency& turn_meter::gathered(scheduler& s) noexcept {
    // Threads of single actors come and go, and may block: their turns are told of all together.
    return s.own_thread ? s.node->own_threads : of_scheduler;
}

turn_meter::turn turn_meter::begin(scheduler& s, strand* ready) {
    if (ready->flags & strand::timed) begins_marked(s, ready);
    const cell* c = owner_of(ready);
    turn t{s.node->clock(), c->name, c->self_id(), 0, c->received};
    if (c->parent) t.parent = c->parent->self_id();
    if (is_marked_ && t.at - since_ > mark_lasts) is_marked_ = false;
    if (!is_marked_) {
        arm(s, 0);
        if (s.arrived.load(std::memory_order_relaxed) == 0)
            s.arrived.store(wanted, std::memory_order_relaxed);
    }
    return t;
}

std::uint32_t turn_meter::end(scheduler& s, const turn& t) {
    const std::int64_t at = s.node->clock();
    disarm(s);
    live_latency& to = gathered(s);
    const std::int64_t took = at - t.at;
    to.turns.add(took, distance_);
    if (took >= least_slow_turn && to.slowest.wants(took, at)) keep(s, t, took, at);
    // Of virtual time there is enough: all are measured.
    return s.simulated ? 1 : next_distance(t.at - std::exchange(sampled_at_, t.at));
}

std::uint32_t turn_meter::next_distance(std::int64_t gap) noexcept {
    if (gap < sample_gap) distance_ = std::min(distance_ * 2, most_distance);
    else if (gap > 2 * sample_gap) distance_ = std::max(distance_ / 2, 1u);
    // xorshift64 (Marsaglia, 2003).
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return 1 + static_cast<std::uint32_t>(random_ % (2 * distance_ - 1));
}

// The actor may have ended in its turn.
void turn_meter::keep(scheduler& s, const turn& t, std::int64_t took, std::int64_t at) {
    slow_turn one;
    one.took = std::chrono::nanoseconds{took};
    one.at = std::chrono::nanoseconds{at};
    if (cell* c = s.find(t.who)) {
        one.path = path_of(c);
        if (c->in_hand) one.message = c->in_hand->name;
        one.messages = c->received - t.received;
    } else if (t.name) {
        one.path = address{t.who, t.name}.to_string();
    } else {
        const cell* parent = scheduler_of(t.parent) == s.index ? s.find(t.parent) : nullptr;
        one.path = parent ? path_of(parent) + "/$" + std::to_string(slot_of(t.who)) + "." +
                                std::to_string(generation_of(t.who))
                          : address{t.who, nullptr}.to_string();
    }
    gathered(s).slowest.keep(std::move(one));
}

void turn_meter::arm(scheduler& s, std::int64_t since) noexcept {
    since_ = since;
    armed_ = true;
    s.awake = false;
}

void turn_meter::disarm(scheduler& s) noexcept {
    if (std::exchange(armed_, false)) s.awake = true;
}

bool turn_meter::mark(scheduler& s, strand* ready) {
    if (!armed_) return false;
    disarm(s);
    if (since_ == 0) since_ = s.node->clock();
    ready->flags |= strand::timed;
    is_marked_ = true;
    return true;
}

bool turn_meter::expect_marks_of_mail(scheduler& s) {
    const std::int64_t since = s.arrived.exchange(0, std::memory_order_relaxed);
    if (since <= 0 || is_marked_) return false;
    arm(s, since);
    return true;
}

void turn_meter::begins_marked(scheduler& s, strand* marked) noexcept {
    marked->flags &= static_cast<std::uint8_t>(~strand::timed);
    // One that was given up may be the mark's of a later one.
    if (std::exchange(is_marked_, false)) gathered(s).delays.add(s.node->clock() - since_, distance_);
}

}  // namespace coppice::detail
