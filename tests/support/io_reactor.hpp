// io_reactor: a reactor on an io_context of its own, so that transports can be tested without a node.
//
//     io_reactor on;
//     auto listening = kind->listen(on, where, [&](std::unique_ptr<byte_link> link) { ... });
//     on.run_until([&] { return connected; });
//
// One thread runs it: that which calls run_until() and run_ready(); posts come from any. It looks at its pollers as a
// scheduler does: handlers, then poll() of each, and it sleeps only if every prepare_sleep() agrees. A test that waits for
// what never comes is ended by the watchdog.
#pragma once
#include <chrono>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include "coppice/transport.hpp"

namespace coppice::tests {

class io_reactor final : public reactor {
public:
    io_reactor() = default;
    io_reactor(const io_reactor&) = delete;
    io_reactor& operator=(const io_reactor&) = delete;

    void* io_context() noexcept override { return &context_; }
    [[nodiscard]] std::int64_t now() override {
        return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
    }
    void post(std::function<void()> job) override { boost::asio::post(context_, std::move(job)); }
    [[nodiscard]] std::unique_ptr<pending_timer> after(std::chrono::nanoseconds delay,
                                                       std::function<void()> fire) override {
        return std::make_unique<timer>(context_, delay, std::move(fire));
    }
    void add(poller& p) override { pollers_.push_back(&p); }
    void remove(poller& p) noexcept override {
        for (poller*& known : pollers_)
            if (known == &p) known = nullptr;
    }

    /// Runs until `done()` is true; it is asked first of all and after every turn, so what it looks at must change on this
    /// thread. Not from within a handler.
    template <class Predicate>
    void run_until(Predicate done) {
        while (!done()) turn(true);
    }
    /// Runs what is ready, and what that makes ready, without sleeping.
    void run_ready() {
        while (turn(false)) {
        }
    }
    /// Runs one handler, or what one poller has to do, and sleeps until there is one: for tests that stop anywhere.
    void step() {
        for (;;) {
            if (context_.poll_one() != 0) return;
            if (turn_pollers()) return;
            if (ready_to_sleep()) {
                context_.run_one();
                return;
            }
        }
    }
    /// Runs for that long: for tests that nothing happens, and for lower bounds.
    void run_for(std::chrono::nanoseconds duration) {
        bool over = false;
        const auto end = after(duration, [&over] { over = true; });
        run_until([&over] { return over; });
    }
    /// How often the thread slept. An idle system does not count on.
    [[nodiscard]] std::size_t sleeps() const noexcept { return sleeps_; }
    /// Pollers that were added and not removed.
    [[nodiscard]] std::size_t pollers() const noexcept {
        std::size_t count = 0;
        for (const poller* p : pollers_) count += p != nullptr;
        return count;
    }

private:
    // The handler shares the state, so that destroying the timer while its handler is queued, or within `fire`, is safe.
    class timer final : public pending_timer {
    public:
        timer(boost::asio::io_context& context, std::chrono::nanoseconds delay, std::function<void()> fire)
            : state_{std::make_shared<state>(context)} {
            state_->fire = std::move(fire);
            state_->clock.expires_after(delay);
            state_->clock.async_wait([s = state_](const boost::system::error_code& failure) {
                if (failure || !s->fire) return;
                std::exchange(s->fire, nullptr)();
            });
        }
        ~timer() override {
            state_->fire = nullptr;
            state_->clock.cancel();
        }
        timer(const timer&) = delete;
        timer& operator=(const timer&) = delete;

    private:
        struct state {
            explicit state(boost::asio::io_context& context) : clock{context} {}
            boost::asio::steady_timer clock;
            std::function<void()> fire;  // empty: fired or cancelled
        };
        std::shared_ptr<state> state_;
    };

    // True if something was done.
    bool turn(bool may_sleep) {
        // Some, not all: context_.poll() does not return while each handler makes the next ready, as one does that is flooded.
        bool busy = false;
        for (int some = 64; some > 0 && context_.poll_one() != 0; --some) busy = true;
        if (turn_pollers()) busy = true;
        if (busy || !may_sleep) return busy;
        return !ready_to_sleep() || context_.run_one() != 0;
    }

    // Pollers may add and remove pollers meanwhile: hence the index and the null pointers.
    bool turn_pollers() {
        bool busy = false;
        for (std::size_t i = 0; i < pollers_.size(); ++i)
            if (pollers_[i] && pollers_[i]->poll()) busy = true;
        std::erase(pollers_, nullptr);
        return busy;
    }

    bool ready_to_sleep() {
        bool agreed = true;
        for (std::size_t i = 0; i < pollers_.size(); ++i)
            if (pollers_[i] && !pollers_[i]->prepare_sleep()) agreed = false;
        if (agreed) ++sleeps_;
        return agreed;
    }

    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
    std::vector<poller*> pollers_;
    std::size_t sleeps_ = 0;
};

}  // namespace coppice::tests
