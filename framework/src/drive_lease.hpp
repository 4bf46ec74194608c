// Who runs a scheduler's io_context: the scheduler's own thread, or for a while a thread of the program that waits for what the
// scheduler brings, a guest. A message that comes is then taken by the thread that wants it, and a switch of threads on the way in
// and one on the way out are saved, which cost more than all the rest of a round trip within a machine.
//
//          ┌──────────── enter: the own thread gives way ───────────┐
//          │                                                        ▼
//        own ◄── kick, or nobody came for a moment ── idle ◄──── guest
//                                                       │  leave    ▲
//                                                       └── enter ──┘
//
// Invariant: only the thread that made `state_` `own` or `guest` is inside the context, until it makes it `idle`, or the own thread
// makes it `guest` for one that waits. From `idle` a state is made by a compare-and-swap. So handlers run one at a time, each after the
// one before it.
//
// What was asked for does not wait while it is idle: who asks counts it and then looks at the state, who leaves sets the state and
// then looks at the count, so one of them sees the other and has the own thread take over. What comes by itself (I/O, timers) waits
// for two moments at most: the own thread looks again after a moment as long as guests come and go, and takes over when none of them
// has run what was ready, however many have stepped in and out; a guest that has been inside for long wakes it when it leaves.
//
// A thread that sends much steps in and out for each message: two atomic operations, no lock, no look at the clock. What it leaves
// to be done together, a drain of the scheduler, is posted and not counted as asked for: the thread serves it itself after some
// messages; if it stays away, the own thread does, as with what comes by itself.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

#include <boost/asio/io_context.hpp>

namespace coppice::detail {

class drive_lease {
public:
    using clock = std::chrono::steady_clock;
    /// How long a context may wait for a guest to come back.
    static constexpr std::chrono::milliseconds moment{1};

    explicit drive_lease(boost::asio::io_context& context) noexcept : context_{context} {}
    drive_lease(const drive_lease&) = delete;
    drive_lease& operator=(const drive_lease&) = delete;

    /// The own thread: until end(). No guest is inside then, and none comes any more.
    void run();
    /// In a handler of the context.
    void end();

    // ---- any other thread
    /// False, at once or at that time: another guest is inside, threads wait that are none, or it is over.
    bool enter(clock::time_point until);
    /// What a thread enters for that gives the scheduler something to do.
    enum class errand : std::uint8_t {
        send,  // if it comes often without an enter() between, the own thread is to do it
        take,  // makes room for more of what this thread has enough of, so that it comes back soon
    };
    /// False if the own thread is inside, or is to be.
    bool enter_if_idle(errand what);
    /// The same for a visit that is so short, and comes so often, that a lock would cost more than what it is for.
    bool step_in() noexcept;
    /// By a thread that finds the own one inside: once in many times it waits, shortly, for that one to give way. True: it has stepped
    /// in.
    bool ask_for_way();
    /// Around the posting of a handler that is not to wait; met() is called in it. The context may be gone when this returns, the lease
    /// must not be.
    template <class F>
    void ask(F post) {
        asked_.fetch_add(1);
        post();
        if (state_.load() == state::idle) take_over();
    }
    void met() noexcept { asked_.fetch_sub(1); }
    /// Makes a guest look at whether it is done.
    void interrupt();
    /// A thread that waits outside for what comes, until it does not any more: guests let the own thread run for its sake.
    void stand_by(bool waits);

    // ---- a guest
    /// Runs handlers until done() or that time. What one throws ends the process, as it does on the own thread.
    template <class F>
    void run_until(clock::time_point until, F done) noexcept {
        while (!done() && context_.run_one_until(until) != 0) {
        }
    }
    /// The first of what is ready, and of what that makes ready.
    void poll(int handlers) noexcept {
        while (handlers-- > 0 && context_.poll_one() != 0) {
        }
    }
    /// Somebody who comes back soon leaves what is asked for to itself, for a moment.
    void leave(bool comes_back = false);
    /// Of who has stepped in: it has given the scheduler one more message, or none, to do something about when it is served.
    void step_out(bool sent) noexcept;
    /// Runs what is ready, also what was left for later.
    void serve() noexcept;
    /// It stays after all, for run_until(); leave() ends that, in place of step_out().
    void begin_stay() noexcept;

private:
    enum class state : std::uint8_t { own, idle, guest, over };
    void take_over() noexcept;
    void begin_visit() noexcept;
    void was_served() noexcept;
    void set(state s) noexcept { state_.store(s); }
    [[nodiscard]] bool is(state s) const noexcept { return state_.load() == s; }
    bool become(state s) noexcept {
        state free = state::idle;
        return state_.compare_exchange_strong(free, s);
    }
    /// Somebody needs the own thread.
    [[nodiscard]] bool is_own_wanted() const noexcept { return kicked_ || bystanders_ != 0 || ended_; }
    void give_way(std::unique_lock<std::mutex>& lock);
    void tell_own() noexcept;

    boost::asio::io_context& context_;  // there unless it is over
    std::mutex mutex_;
    std::condition_variable own_;    // the own thread: it is its turn
    std::condition_variable guest_;  // the guest that waits: the own thread has given way
    std::atomic<state> state_{state::idle};
    std::atomic<int> asked_{0};        // handlers that are not to wait
    std::atomic<bool> wanted_{false};  // a guest waits, and nobody has let it in; written under the mutex
    std::atomic<bool> ended_{false};
    // Written under the mutex, and looked at by who has just stepped in or out, after the state.
    std::atomic<bool> kicked_{true};       // the own thread is to take over
    std::atomic<bool> own_sleeps_{false};  // until it is woken
    std::atomic<int> bystanders_{0};
    // Written by whom the state lets in; the own thread counts with it.
    std::atomic<std::uint64_t> entries_{0};
    std::atomic<std::uint64_t> services_{0};  // how often what was ready was run by another thread
    std::atomic<bool> stays_{false};          // a guest is inside to run what comes
    std::atomic<std::uint64_t> taken_{0};     // sends, between steps
    std::uint64_t services_seen_ = 0;         // under the mutex, as is
    clock::time_point left_{};                // when the last guest left, or a service was seen
    // Under the mutex or by whom the state lets in, who then has it: of sends, how they are served.
    std::atomic<int> sends_{0};  // errands since the last enter()
    int unserved_ = 0;
    int batch_ = 1;  // so many are served together
    clock::time_point served_{};
    // Sends that found the own thread inside, how many of them are patient, and when it was asked for way last; by guess, as several
    // threads write them.
    std::atomic<std::uint32_t> missed_{0};
    std::atomic<std::uint32_t> patience_{0};
    std::atomic<std::uint64_t> taken_at_way_{0};
};

/// Around what a thread of the program gives the scheduler to do, if the lease is not null: does that here and now where no other
/// thread would have it done sooner.
class guest_turn {
public:
    guest_turn(drive_lease* lease, drive_lease::errand what)
        : lease_{lease && lease->enter_if_idle(what) ? lease : nullptr}, what_{what} {}
    guest_turn(guest_turn&&) = delete;
    ~guest_turn() {
        if (!lease_) return;
        lease_->poll(what_ == drive_lease::errand::send ? 16 : 1);
        lease_->leave(what_ == drive_lease::errand::take);
    }

private:
    drive_lease* const lease_;
    const drive_lease::errand what_;
};

/// Runs the scheduler until done() or that time. Then another thread goes on, if this one is not back in a moment: also with what is
/// left to do, as a scheduler under load has always more. False, without it, if that is another thread's work now.
template <class F>
bool run_as_guest(drive_lease& lease, drive_lease::clock::time_point until, F done) {
    if (!lease.enter(until)) return false;
    struct leaver {
        drive_lease& of;
        ~leaver() { of.leave(true); }
    } leaves{lease};
    lease.run_until(until, std::move(done));
    return true;
}

}  // namespace coppice::detail
