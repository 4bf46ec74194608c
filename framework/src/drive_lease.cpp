// The own thread's loop, and how guests come and go; see drive_lease.hpp.
// All of it under the mutex, but for what runs handlers and for stepping in and out.
#include "drive_lease.hpp"

#include <algorithm>

#include <boost/asio/post.hpp>

namespace coppice::detail {

void drive_lease::run() {
    std::unique_lock lock{mutex_};
    for (;;) {
        if (!is(state::own)) give_way(lock);
        kicked_ = false;
        lock.unlock();
        // Again for a guest that gave up.
        for (context_.run(); !wanted_ && !ended_; context_.run()) context_.restart();
        lock.lock();
        if (ended_) break;
        context_.restart();
        if (!wanted_) continue;  // that guest waits no more
        begin_visit();           // for the guest that waits, however late its thread wakes
        left_ = clock::now();
        set(state::guest);
        wanted_ = false;
        guest_.notify_one();
    }
    set(state::over);
    wanted_ = false;
    guest_.notify_one();
}

// By whom the state lets in.
void drive_lease::begin_visit() noexcept {
    entries_.store(entries_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sends_.store(0, std::memory_order_relaxed);
    begin_stay();
}

void drive_lease::begin_stay() noexcept {
    stays_ = true;
    unserved_ = 0;
    batch_ = 1;
}

void drive_lease::was_served() noexcept {
    services_.store(services_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

// Until the state is `own`.
void drive_lease::give_way(std::unique_lock<std::mutex>& lock) {
    constexpr int quiet_moments =
        10;  // of a guest that stays: looking after it once a moment is not worth it any more
    int quiet = 0;
    for (;;) {
        if (kicked_) {
            if (become(state::own)) return;
            own_.wait(lock);  // that guest sees that it was kicked when it leaves
            continue;
        }
        if (const std::uint64_t services = services_; services != services_seen_) {
            services_seen_ = services;
            left_ = clock::now();  // who has served between two steps did not say when
        }
        if (stays_) {
            const std::uint64_t seen = entries_;
            if (quiet < quiet_moments) {
                own_.wait_for(lock, moment);
                quiet = stays_ && entries_ == seen ? quiet + 1 : 0;
            } else {
                own_sleeps_ = true;
                own_.wait(lock, [&] { return !stays_ || kicked_ || entries_ != seen; });
                own_sleeps_ = false;
                quiet = 0;
            }
        } else {
            // Nobody came, or who steps in and out serves nothing: then it is told to stay out.
            const auto until = left_ + moment;
            own_.wait_until(lock, until);
            if (services_ == services_seen_ && !stays_ && clock::now() >= left_ + moment) kicked_ = true;
        }
    }
}

bool drive_lease::enter(clock::time_point until) {
    std::unique_lock lock{mutex_};
    if (is(state::guest) || ended_ || wanted_ || bystanders_) return false;
    if (!is(state::own)) {
        if (!become(state::guest)) return false;  // another one has stepped in
        begin_visit();
        return true;
    }
    wanted_ = true;
    try {
        boost::asio::post(context_, [this] {
            if (wanted_) context_.stop();
        });
    } catch (...) {
        wanted_ = false;
        throw;
    }
    if (guest_.wait_until(lock, until, [&] { return !wanted_; })) return is(state::guest);
    wanted_ = false;
    return false;
}

bool drive_lease::enter_if_idle(errand what) {
    // One that sends again and again is better served by two threads: what is sent then goes out together.
    constexpr int most_sends = 8;
    if (!is(state::idle)) return false;
    const std::lock_guard lock{mutex_};
    if (!is(state::idle) || is_own_wanted()) return false;
    if (what == errand::send) {
        if (sends_.load(std::memory_order_relaxed) >= most_sends) return false;
        sends_.fetch_add(1);
    }
    if (!become(state::guest)) return false;
    entries_.store(entries_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return true;
}

void drive_lease::leave(bool comes_back) {
    const std::lock_guard lock{mutex_};
    left_ = served_ = clock::now();
    was_served();
    stays_ = false;
    set(state::idle);
    if ((asked_ && !comes_back) || bystanders_ || ended_) kicked_ = true;
    if (kicked_ || own_sleeps_) own_.notify_one();
}

void drive_lease::take_over() noexcept {
    const std::lock_guard lock{mutex_};
    if (!is(state::idle)) return;
    kicked_ = true;
    own_.notify_one();
}

// ---------------------------------------------------------------- stepping in and out

bool drive_lease::step_in() noexcept {
    if (!is(state::idle) || kicked_ || !become(state::guest)) return false;
    entries_.store(entries_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (!is_own_wanted()) [[likely]]
        return true;
    step_out(false);
    return false;
}

void drive_lease::step_out(bool sent) noexcept {
    if (sent) {
        // The first ones since it waited for something may be all that somebody else waits for.
        constexpr int at_once = 8;
        taken_.store(taken_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        const int sends = sends_.load(std::memory_order_relaxed);
        if (sends < at_once) sends_.store(sends + 1, std::memory_order_relaxed);
        if (++unserved_ >= batch_ || sends < at_once) serve();
    }
    set(state::idle);
    if (asked_ || is_own_wanted() || own_sleeps_) [[unlikely]]
        tell_own();
}

void drive_lease::serve() noexcept {
    // As many together as come within the time for which each may wait, as far as the last ones tell.
    constexpr int most = 256;
    constexpr std::chrono::microseconds together{100};
    const auto each = (clock::now() - served_) / std::max(unserved_, 1);
    const auto fit = together / std::max(each, clock::duration{1});
    batch_ = static_cast<int>(std::clamp<std::int64_t>(fit, 1, std::min(batch_ * 2, most)));
    unserved_ = 0;
    poll(16);
    served_ = clock::now();
    was_served();
}

// By who has made it idle, and has seen that the own thread has to know.
void drive_lease::tell_own() noexcept {
    const std::lock_guard lock{mutex_};
    if (is(state::idle) && (asked_ || bystanders_ || ended_)) kicked_ = true;
    own_.notify_one();
}

bool drive_lease::ask_for_way() {
    // A thread that gets its way and does not make much of it, because others want the own thread, asks less often.
    constexpr std::uint32_t least = 64;
    constexpr std::uint32_t longest = 1u << 16;
    constexpr std::chrono::microseconds most_waited{200};
    std::uint32_t patience = patience_.load(std::memory_order_relaxed);
    const std::uint32_t missed = missed_.load(std::memory_order_relaxed) + 1;
    missed_.store(missed, std::memory_order_relaxed);
    if (missed < std::max(patience, least)) return false;
    missed_.store(0, std::memory_order_relaxed);
    const std::uint64_t taken = taken_;
    const bool was_worth_it =
        patience == 0 || taken - taken_at_way_.load(std::memory_order_relaxed) >= patience;
    taken_at_way_.store(taken, std::memory_order_relaxed);
    patience = was_worth_it ? least : std::min(std::max(patience, least) * 2, longest);
    patience_.store(patience, std::memory_order_relaxed);
    if (!is(state::own) || !enter(clock::now() + most_waited)) return false;
    stays_ = false;
    return true;
}

void drive_lease::end() {
    ended_ = true;
    context_.stop();
}

void drive_lease::interrupt() {
    const std::lock_guard lock{mutex_};
    if (is(state::guest)) boost::asio::post(context_, [] {});
}

void drive_lease::stand_by(bool waits) {
    const std::lock_guard lock{mutex_};
    bystanders_ += waits ? 1 : -1;  // before the look at the state: who steps out looks the other way round
    if (!waits || !is(state::idle)) return;
    kicked_ = true;
    own_.notify_one();
}

}  // namespace coppice::detail
