// The own thread's loop, and how guests come and go; see drive_lease.hpp.
// All of it under the mutex, but for what runs handlers.
#include "drive_lease.hpp"

#include <boost/asio/post.hpp>

namespace coppice::detail {

void drive_lease::run() {
    std::unique_lock lock{mutex_};
    for (;;) {
        if (!is(state::own)) give_way(lock);
        kicked_ = false;
        set(state::own);
        lock.unlock();
        for (context_.run(); !wanted_ && !ended_; context_.run()) context_.restart();  // a guest that gave up
        lock.lock();
        if (ended_) break;
        context_.restart();
        if (!wanted_) continue;
        begin_visit();  // for that guest, however late its thread wakes
        wanted_ = false;
        guest_.notify_one();
    }
    set(state::over);
    wanted_ = false;
    guest_.notify_one();
}

void drive_lease::begin_visit() noexcept {
    set(state::guest);
    ++entries_;
    sends_ = 0;
}

void drive_lease::give_way(std::unique_lock<std::mutex>& lock) {
    constexpr int quiet_moments =
        10;  // of a guest that stays: looking after it once a moment is not worth it any more
    int quiet = 0;
    while (!kicked_) {
        if (is(state::guest)) {
            const std::uint64_t seen = entries_;
            if (quiet < quiet_moments) {
                own_.wait_for(lock, moment);
                quiet = is(state::guest) && entries_ == seen ? quiet + 1 : 0;
            } else {
                own_sleeps_ = true;
                own_.wait(lock, [&] { return !is(state::guest) || kicked_; });
                own_sleeps_ = false;
                quiet = 0;
            }
        } else {
            const auto until = left_ + moment;
            own_.wait_until(lock, until);
            if (is(state::idle) && clock::now() >= left_ + moment) break;
        }
    }
    while (is(state::guest)) own_.wait(lock);  // kicked before that guest came
}

bool drive_lease::enter(clock::time_point until) {
    std::unique_lock lock{mutex_};
    if (is(state::guest) || ended_ || wanted_ || bystanders_) return false;
    if (is(state::idle)) {
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
    if (!is(state::idle) || bystanders_ || kicked_ || ended_) return false;
    if (what == errand::send && ++sends_ > most_sends) return false;
    set(state::guest);
    ++entries_;
    return true;
}

void drive_lease::leave(bool comes_back) {
    const std::lock_guard lock{mutex_};
    left_ = clock::now();
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
    bystanders_ += waits ? 1 : -1;
    if (!waits || !is(state::idle)) return;
    kicked_ = true;
    own_.notify_one();
}

}  // namespace coppice::detail
