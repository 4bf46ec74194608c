// The awaitable operations of an actor: receive, selective receive, ask, sleep, yield, send_wait, join, offload.
// Each lives in the awaiting frame, suspends at most once, resumes on the actor's scheduler, and is cancelled through
// pending_kind::cancel by the actor's stop (once) or kill (always), or when it loses a race.
#pragma once
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <optional>
#include <utility>

#include "coppice/detail/scheduler.hpp"
#include "coppice/error.hpp"
#include "coppice/received.hpp"

namespace coppice {

/// Thrown by an await that was cancelled: by the actor's stop or kill, or because its branch lost a race. Not derived from
/// std::exception, so that `catch (const std::exception&)` does not swallow it; `catch (...)` must rethrow it.
class cancelled {};

namespace detail {

using nanoseconds = std::chrono::nanoseconds;

[[noreturn, gnu::cold]] void throw_cancelled(strand* s);
[[gnu::always_inline]] inline void throw_if_cancelled(strand* s) {
    if (s->cancel_requested()) [[unlikely]]
        throw_cancelled(s);
}

// ---- receive()
struct receive_base : pending {
    cell* owner;
    strand* waiter = nullptr;
    explicit receive_base(cell* c) noexcept : pending{receives}, owner{c} {}

    [[gnu::always_inline]] bool await_ready() const noexcept {
        return plainly() && !(owner->head->flags & envelope::is_ask && owner->sched->expired(owner->head)) &&
               --owner->sched->quantum >= 0;
    }
    /// Mail is there, and nothing else has to be looked at. With side strands this one may be cancelled: it must not take mail then.
    [[gnu::always_inline]] bool plainly() const noexcept {
        return owner->head && owner->attention == 0 && !(owner->flags & strand::has_sides);
    }
    template <class Promise>
    [[gnu::always_inline]] bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        strand* s = h.promise().self;
        s->resume = h;
        if (s != owner || owner->attention != 0 || owner->head) [[unlikely]]
            return suspend_slowly(s);
        s->op = this;
        s->state = strand::receiving;
        return true;
    }
    [[gnu::always_inline]] envelope* take() {
        if (plainly()) [[likely]]
            return owner->sched->take_head(owner);
        return take_slowly();
    }
    bool suspend_slowly(strand* s) noexcept;
    envelope* take_slowly();
    static void on_cancel(pending*, strand*) noexcept;
    static constexpr pending_kind receives{&on_cancel, "receive"};
};
template <class P>
struct [[nodiscard]] receive_operation : receive_base {
    using receive_base::receive_base;
    received<P> await_resume() { return received<P>{take()}; }
};

// ---- receive_only<...>(timeout) and receive(timeout)
struct select_base : pending {
    cell* owner;
    strand* waiter = nullptr;
    bool (*wants)(const message_type*) noexcept;  // null: everything
    nanoseconds within;                           // max(): no limit
    timer_node timer;
    errc ended = errc::ok;
    bool timed_out = false;
    select_base(cell* c, bool (*filter)(const message_type*) noexcept, nanoseconds limit) noexcept
        : pending{selects}, owner{c}, wants{filter}, within{limit} {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        waiter->resume = h;
        return begin();
    }
    bool begin() noexcept;
    envelope* take();
    static void on_cancel(pending*, strand*) noexcept;
    static void on_timeout(timer_node*) noexcept;
    static constexpr pending_kind selects{&on_cancel, "receive_only", true};
};
template <class P>
struct [[nodiscard]] select_operation : select_base {
    using select_base::select_base;
    result<received<P>> await_resume() {
        envelope* e = take();
        if (!e) return ended;
        return received<P>{e};
    }
};

// ---- ask
struct ask_base : ask_wait {
    envelope* request;
    const address* to;  // lives to the end of the full expression that awaits
    nanoseconds within;
    error detail;

    ask_base(cell* c, const address& target, envelope* e, nanoseconds limit) noexcept
        : ask_wait{asks}, request{e}, to{&target}, within{limit} {
        owner = c;
    }
    ask_base(const ask_base&) = delete;
    ask_base(ask_base&& other) noexcept  // before it is awaited
        : ask_wait{other},
          request{std::exchange(other.request, nullptr)},
          to{other.to},
          within{other.within} {}
    ~ask_base() {
        if (request) discard();
    }
    void discard() noexcept;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        strand* s = h.promise().self;
        s->resume = h;
        waiter = s;
        scheduler* sched = owner->sched;
        envelope* e = std::exchange(request, nullptr);
        const actor_id target = to->id();
        correlation = e->correlation = owner->next_correlation++;
        e->flags |= envelope::owes_reply | envelope::is_ask;
        const std::int64_t limit = within.count();
        deadline_of(e).deadline = limit > std::numeric_limits<std::int64_t>::max() - sched->now
                                      ? std::numeric_limits<std::int64_t>::max()
                                      : sched->now + limit;
        if (scheduler_of(target) == sched->index && to->is_plain() && !s->cancel_requested() && s == owner &&
            e->lane == lane::normal) [[likely]] {
            cell* c = sched->find(target);
            if (c && c != owner && scheduler::takes_plainly(c) &&
                c->waits_for.load(std::memory_order_relaxed) == 0) [[likely]] {
                enlist(s, target);
                sched->push_plainly(c, e);
                return true;
            }
        }
        return suspend_slowly(s, e);
    }
    [[gnu::always_inline]] void enlist(strand* s, actor_id target) noexcept {
        next = owner->asks;
        owner->asks = this;
        timer.fire = &on_timeout;
        owner->sched->add_timer(&timer, within.count());
        if (!(owner->flags & strand::has_sides)) owner->waits_for.store(target, std::memory_order_relaxed);
        s->op = this;
        s->state = strand::waiting;
    }
    bool suspend_slowly(strand* s, envelope* e) noexcept;
    [[gnu::cold]] error explain();  // of a failed ask
    static void on_cancel(pending*, strand*) noexcept;
    static void on_timeout(timer_node*) noexcept;
    static constexpr pending_kind asks{&on_cancel, "ask"};
};
template <has_reply M>
struct [[nodiscard]] ask_operation : ask_base {
    using reply = reply_t<M>;
    using ask_base::ask_base;
    result<reply> await_resume() {
        if (waiter->cancel_requested() || !this->ask_wait::reply ||
            (this->ask_wait::reply->flags & envelope::is_failure)) [[unlikely]]
            return explain();
        envelope* e = this->ask_wait::reply;
        if constexpr (std::is_void_v<reply>) {
            release(e);
            return {};
        } else {
            struct owner_of {
                envelope* e;
                ~owner_of() { release(e); }
            } hold{e};
            return result<reply>{std::move(body<reply>(e))};
        }
    }
};

// ---- sleep, yield
struct [[nodiscard]] sleep_operation : pending {
    cell* owner;
    nanoseconds within;
    strand* waiter = nullptr;
    timer_node timer;
    sleep_operation(cell* c, nanoseconds d) noexcept : pending{sleeps}, owner{c}, within{d} {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        waiter->resume = h;
        return begin();
    }
    void await_resume() { throw_if_cancelled(waiter); }
    bool begin() noexcept;
    static void on_cancel(pending*, strand*) noexcept;
    static constexpr pending_kind sleeps{&on_cancel, "sleep"};
};

struct [[nodiscard]] yield_operation {
    strand* waiter = nullptr;
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        waiter->resume = h;
        waiter->op = nullptr;
        waiter->sched->push_run(waiter);
        return true;
    }
    void await_resume() { throw_if_cancelled(waiter); }
};

// ---- send_wait
struct space_wait {  // in the receiver's list of those who wait for room
    space_wait* next = nullptr;
    envelope* mail = nullptr;        // what waits
    strand* sender = nullptr;        // a sender on this scheduler, whose frame this stands in
    std::function<void(errc)> tell;  // else how a sender that waits elsewhere is told; may be empty
    std::uint64_t ticket = 0;        // by which that sender withdraws
};
struct send_wait_base : pending {
    cell* owner;
    const address* to;  // lives to the end of the full expression that awaits
    envelope* mail;
    strand* waiter = nullptr;
    std::optional<space_wait> place;  // once it waits at a receiver on this scheduler
    errc outcome = errc::ok;
    std::uint64_t ticket = 0;
    actor_id at = 0;  // where it was sent

    send_wait_base(cell* c, const address& target, envelope* e) noexcept
        : pending{sends}, owner{c}, to{&target}, mail{e} {}
    send_wait_base(send_wait_base&& other) noexcept  // before it is awaited
        : pending{sends}, owner{other.owner}, to{other.to}, mail{std::exchange(other.mail, nullptr)} {}
    [[gnu::always_inline]] ~send_wait_base() {
        if (mail) [[unlikely]]
            release(mail);
    }
    [[gnu::always_inline]] bool await_ready() {
        scheduler* s = owner->sched;
        if (scheduler_of(to->id()) == s->index && to->is_plain() && mail->lane == lane::normal) [[likely]] {
            cell* c = s->find(to->id());
            if (c && scheduler::takes_plainly(c)) [[likely]] {
                s->push_plainly(c, std::exchange(mail, nullptr));
                return true;
            }
        }
        return false;
    }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        waiter->resume = h;
        return begin();
    }
    bool begin() noexcept;
    errc await_resume() {
        if (waiter) throw_if_cancelled(waiter);
        return outcome;
    }
    static void on_cancel(pending*, strand*) noexcept;
    static constexpr pending_kind sends{&on_cancel, "send_wait"};
};
struct [[nodiscard]] send_wait_operation : send_wait_base {
    using send_wait_base::send_wait_base;
};

// ---- offload
struct offload_base : pending {
    cell* owner;
    strand* waiter = nullptr;
    std::exception_ptr failure;
    errc refused = errc::ok;
    explicit offload_base(cell* c) noexcept : pending{offloads}, owner{c} {}
    // No early end: the job may use the awaiting frame, so the frame waits for it.
    static void on_cancel(pending*, strand*) noexcept {}
    static constexpr pending_kind offloads{&on_cancel, "offload"};
    bool begin(std::function<void()> job) noexcept;
    void check() {
        if (refused != errc::ok)
            throw bad_result{error{refused, "offload: the queue of blocking jobs is full"}};
        if (failure) std::rethrow_exception(std::move(failure));
        throw_if_cancelled(waiter);
    }
};
template <class F>
struct [[nodiscard]] offload_operation : offload_base {
    using value = std::invoke_result_t<F&>;
    F job;
    std::optional<reply_body<value>> outcome;
    offload_operation(cell* c, F f) : offload_base{c}, job{std::move(f)} {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        waiter = h.promise().self;
        waiter->resume = h;
        return begin([this] {
            if constexpr (std::is_void_v<value>) {
                job();
                outcome.emplace();
            } else {
                outcome.emplace(job());
            }
        });
    }
    value await_resume() {
        check();
        if constexpr (!std::is_void_v<value>) return std::move(*outcome);
    }
};

/// A strand that mail had woken gets its turn: false if the mail is gone, and the strand suspended again.
[[gnu::cold]] bool still_woken(strand* s) noexcept;

// ---- side strands: own tasks, race and gather
side_strand* start_side(cell* owner, task<void>::handle h, void (*done)(side_strand*) noexcept,
                        side_strand* storage);
void cancel_side(side_strand* s) noexcept;  // sticky; no effect on a finished one

}  // namespace detail
}  // namespace coppice
