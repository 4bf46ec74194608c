// Signs of life, seen from the child; see child_watch.hpp and docs/processes.md.
// As its owner calls it.
#include "process/child_watch.hpp"

#include <algorithm>
#include <utility>

#include "cell_ext.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "process/findings.hpp"

namespace coppice::detail {

child_watch::child_watch(const channel_join& join, surroundings& in)
    : join_{join}, in_{in}, next_beat_{in.now()}, next_look_{next_beat_}, heard_at_{next_beat_} {}

std::int64_t child_watch::period() const noexcept {
    return std::max<std::int64_t>(join_.period.count(), 1'000'000);
}

void child_watch::look() {
    const std::int64_t at = in_.now();
    if (at >= next_beat_) {
        // It was not run, and the parent may have spoken meanwhile: that is no silence.
        if (const std::int64_t late = at - next_beat_; late > period()) {
            heard_at_ += late;
            if (running_) tell_paused(*running_, std::chrono::nanoseconds{late});
        }
        beat(at);
        next_beat_ = at + period();
    }
    if (parent_gone_ && at >= leave_at_) return in_.leave(static_cast<int>(run_result::abandoned));
    if (!parent_gone_ && at - heard_at_ > patience()) parent_is_silent(at);
    if (stop_wanted_) pass_on_stop();
    // Where there is something to be done that nothing wakes it for, it looks again soon.
    next_look_ = stop_wanted_ || parent_gone_ ? std::min(next_beat_, at + 10'000'000) : next_beat_;
}

void child_watch::heard(std::span<const std::byte> bytes) {
    heard_at_ = in_.now();
    if (std::exchange(parent_silent_, false) && running_)
        tell_finding(*running_, {parent_path(), join_.parent_pid, finding::well, {}, {}});
    const std::vector<std::byte> aligned{bytes.begin(), bytes.end()};
    const auto record = decode_channel(aligned);
    if (!record) return;
    if (const auto* stop = std::get_if<channel_stop>(&record->what)) {
        stop_wanted_ = true;
        drain_ = stop->drain;
        next_look_ = heard_at_;
    }
}

void child_watch::closed() {
    if (std::exchange(parent_gone_, true)) return;
    closed_at_ = in_.now();
    leave_at_ = closed_at_ + patience();
    stop_wanted_ = true;
    next_look_ = closed_at_;
}

void child_watch::pass_on_stop() {
    if (!running_) return;  // it starts; soon
    // The channel of a process that dies may close before what else it has open: its claim to a place, among others.
    constexpr std::int64_t while_dying = 1'000'000'000;
    if (closed_at_ && in_.now() - closed_at_ < while_dying && !in_.parent_has_ended()) return;
    if (parent_gone_ && !std::exchange(cleared_, true))
        post_control(running_->index_list.front()->index, [place = join_.endpoint](scheduler& s) {
            if (s.node->net) s.node->net->clear_place(place);
        });
    const actor_id root = running_->root.load(std::memory_order_acquire);
    if (!root) return;
    stop_wanted_ = false;
    post_control(scheduler_of(root), [root, drain = drain_](scheduler& s) {
        if (cell* c = s.find(root)) life::request_stop(c, drain);
    });
}

void child_watch::parent_is_silent(std::int64_t at) {
    const std::int64_t silence = at - heard_at_;
    if (!std::exchange(parent_silent_, true)) {
        in_.say_if_room({channel_found_parent{true, std::chrono::nanoseconds{silence}}});
        const char state = in_.state_of_parent();
        const bool stopped = state == 'T' || state == 't';
        if (running_)
            tell_finding(*running_,
                         {parent_path(), join_.parent_pid, finding::silent, std::chrono::nanoseconds{silence},
                          stopped ? "it is stopped by a signal or a debugger" : "it says nothing"});
    }
    if (silence <= join_.hold.count()) return;
    parent_gone_ = true;  // for all that can be known here
    leave_at_ = at + patience();
    stop_wanted_ = true;
}

// What the schedulers do, as far as can be seen from here: whose handler is still the one of the last look.
void child_watch::beat(std::int64_t at) {
    channel_beat b{join_.generation, ++number_, {}, {}};
    if (running_) {
        const auto& all = running_->index_list;
        seen_.resize(all.size());
        for (std::size_t i = 0; i < all.size(); ++i) {
            const scheduler& s = *all[i];
            if (seen_[i].look(s, at)) continue;
            const std::chrono::nanoseconds age{seen_[i].still_for(at)};
            if (age <= b.handler_age) continue;
            b.handler_age = age;
            const actor_id who = running_on(s);
            b.handler = who ? address{who, nullptr}.to_string() : "scheduler " + std::to_string(i);
        }
    }
    // Without room the parent does not read, and hears of this process when it does.
    in_.say_if_room({std::move(b)});
}

}  // namespace coppice::detail
