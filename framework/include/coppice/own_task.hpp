// own_task<T>: a coroutine that an actor runs beside its main one, on the same scheduler.
//
//     auto download = self.spawn_task(fetch(self, url));
//     ...
//     auto page = co_await download.join();       // its value, or its exception
//
// Copyable handle; the task belongs to the actor, which cancels and joins it when it ends. An exception of a task that
// nobody joins ends the actor, as one that leaves its main coroutine does.
#pragma once
#include <memory>
#include <optional>
#include <utility>

#include "coppice/actor.hpp"

namespace coppice {

namespace detail {

struct own_task_base : side_strand {
    strand* joiner = nullptr;
    bool is_done = false;
    bool joined = false;
    std::shared_ptr<own_task_base> keeps_alive;  // while it runs
    /// Nobody waits for this failure: the actor ends with it.
    static void unjoined_failure(cell* owner, std::exception_ptr failure);
    static void finished(side_strand* s) noexcept;
};

template <class T>
struct own_task_state : own_task_base {
    std::optional<reply_body<T>> outcome;
};

template <class T>
task<> run_own_task(std::shared_ptr<own_task_state<T>> state, task<T> work) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(work);
        state->outcome.emplace();
    } else {
        state->outcome.emplace(co_await std::move(work));
    }
}

template <class T>
struct [[nodiscard]] join_operation : pending {
    std::shared_ptr<own_task_state<T>> state;
    strand* waiter = nullptr;
    explicit join_operation(std::shared_ptr<own_task_state<T>> s) : pending{joins}, state{std::move(s)} {
        state->joined = true;
    }
    bool await_ready() const noexcept { return state->is_done; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        if (waiter->cancel_requested()) return false;
        waiter->resume = h;
        state->joiner = waiter;
        waiter->op = this;
        waiter->state = strand::waiting;
        return true;
    }
    T await_resume() {
        if (waiter) throw_if_cancelled(waiter);
        if (state->failure) std::rethrow_exception(state->failure);
        if constexpr (!std::is_void_v<T>) return std::move(*state->outcome);
    }
    static void on_cancel(pending* p, strand* s) noexcept {
        if (s->state != strand::waiting) return;
        static_cast<join_operation*>(p)->state->joiner = nullptr;
        s->sched->make_ready(s);
    }
    static constexpr pending_kind joins{&on_cancel, "join"};
};

}  // namespace detail

template <class T>
class own_task {
public:
    explicit own_task(std::shared_ptr<detail::own_task_state<T>> s) noexcept : state_{std::move(s)} {}
    /// Awaits its end: its value, or its exception; `cancelled` if it was cancelled. Once, by one coroutine.
    [[nodiscard]] auto join() const { return detail::join_operation<T>{state_}; }
    /// Every await of it throws `cancelled` from now on.
    void cancel() const noexcept { detail::cancel_side(state_.get()); }
    [[nodiscard]] bool done() const noexcept { return state_->is_done; }

private:
    std::shared_ptr<detail::own_task_state<T>> state_;
};

template <any_protocol P>
template <class T>
own_task<T> actor<P>::spawn_task(task<T> work) const {
    auto state = std::make_shared<detail::own_task_state<T>>();
    auto body = detail::run_own_task<T>(state, std::move(work));
    state->keeps_alive = state;
    detail::start_side(cell(), body.release(), &detail::own_task_base::finished, state.get());
    return own_task<T>{std::move(state)};
}

}  // namespace coppice
