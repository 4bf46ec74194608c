// The inbox of a C program's actor: what its coroutine has received and the program has not taken yet.
//
//     scheduler's thread                              the program's threads
//     ┌────────────────────────┐  put    ┌───────┐   take / peek
//     │ mailbox ─► coroutine   │────────►│ inbox │──────────────► coppice_receive, coppice_dispatch
//     └────────────────────────┘         └───────┘
//          ▲ waits at the gate while it is full; opened when half of it was taken
//
// What the coroutine finds in its mailbox is handed over together, so that the two threads meet less often. It is bounded, so that
// the mailbox's own bound and what it tells senders hold. One mutex; `gate_` is the scheduler's thread's alone.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cell_ext.hpp"
#include "coppice/coppice.hpp"
#include "drive_lease.hpp"
#include "resources.hpp"

namespace coppice::c {

/// In order; taken from the front as a rule. A std::deque would take and give back memory all along.
class unseen_mails {
public:
    using iterator = std::vector<unseen_mail>::iterator;
    void push_back(unseen_mail m) { all_.push_back(std::move(m)); }
    iterator begin() noexcept { return all_.begin() + static_cast<std::ptrdiff_t>(first_); }
    iterator end() noexcept { return all_.end(); }
    [[nodiscard]] std::size_t size() const noexcept { return all_.size() - first_; }
    [[nodiscard]] bool empty() const noexcept { return first_ == all_.size(); }
    [[nodiscard]] unseen_mail& front() noexcept { return all_[first_]; }
    void pop_front() {
        if (front()) front() = {};
        ++first_;
        // What is left moves once for each that has gone, at most.
        if (first_ * 2 >= all_.size()) [[unlikely]]
            forget_those_gone();
    }
    /// Those that are taken next come nearer: they were made in a crowd, and are in a cache that is farther away.
    void look_ahead() const noexcept {
        constexpr std::size_t distance = 3;
        if (all_.size() - first_ <= distance) return;
        all_[first_ + distance].prefetch();
        all_[first_ + 1].prefetch_bytes();
    }
    /// Where what followed it stands then.
    iterator erase(iterator at) {
        if (at != begin()) return all_.erase(at);
        pop_front();
        return begin();
    }
    /// Leaves the vector empty.
    void append(std::vector<unseen_mail>& more) {
        if (empty()) all_.swap(more), first_ = 0;
        else std::move(more.begin(), more.end(), std::back_inserter(all_));
        more.clear();
    }
    /// Those for which f(mail) holds go.
    template <class F>
    void erase_if(F f) {
        for (auto m = begin(); m != end();) m = f(*m) ? erase(m) : m + 1;
    }

private:
    void forget_those_gone() {
        all_.erase(all_.begin(), begin());
        first_ = 0;
    }
    std::vector<unseen_mail> all_;
    std::size_t first_ = 0;  // those before it are gone
};

class inbox : public std::enable_shared_from_this<inbox> {
public:
    /// Mails with which the coroutine waits: large enough that the two threads need not wake each other for each, and small beside
    /// the mailbox, whose bound and policy do not hold for them. A large mailbox has room for all that one look at a link brings:
    /// what would wait in it is better taken while it is in the caches.
    static constexpr std::size_t least_ahead = 256;
    static constexpr std::size_t most_ahead = 4096;

    explicit inbox(std::shared_ptr<node_resource> n) : node_{std::move(n)} {}
    ~inbox();

    // ---- the coroutine
    void started(actor<anything> self);
    /// Leaves the vector empty. Closes the gate if there is enough for the program.
    void put(std::vector<unseen_mail>& mails, bool some_are_urgent);
    void set_stopping();
    void set_ended();
    /// Suspends while it is full; until_closed: until the program gives the actor back. Cancelled by the actor's end.
    struct gate_operation : detail::pending {
        inbox* box;
        bool until_closed;
        detail::strand* waiter = nullptr;
        gate_operation(inbox* b, bool c) noexcept : pending{waits}, box{b}, until_closed{c} {}
        bool await_ready() const noexcept { return box->is_open(until_closed); }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
            waiter = h.promise().self;
            if (waiter->cancel_requested()) return false;
            waiter->resume = h;
            waiter->op = this;
            waiter->state = detail::strand::waiting;
            box->gate_ = waiter;
            return true;
        }
        void await_resume() const {
            if (waiter) detail::throw_if_cancelled(waiter);
        }
        static void on_cancel(detail::pending* p, detail::strand* s) noexcept;
        static constexpr detail::pending_kind waits{&on_cancel, "the program to take mail"};
    };
    [[nodiscard]] gate_operation gate(bool until_closed) noexcept { return {this, until_closed}; }
    [[nodiscard]] std::string give_up_text() const;

    // ---- any thread
    /// An answer, which comes past the gate.
    void put(std::shared_ptr<mail_resource> m);
    /// The next mail that `wanted` takes (empty: any), waited for; `timeout`, or `stopping` if none will come.
    errc take(std::chrono::nanoseconds within, const std::function<bool(const mail_resource&)>& wanted,
              std::shared_ptr<mail_resource>& out);
    /// Shows the mails in order to look(unseen_mail&), and waits for more, until it returns an errc in place of nothing. What it
    /// moves away is taken; a mail for which it returns nothing may be shown to it twice.
    template <class F>
    errc look_through(std::chrono::nanoseconds within, F look) {
        std::unique_lock lock{mutex_};
        if (!is_closed_ && urgent_.empty() && !normal_.empty() && !normal_.front().seen()) [[likely]] {
            if (const std::optional<errc> found = look(normal_.front())) {
                if (!normal_.front()) normal_.pop_front();
                normal_.look_ahead();
                has_woken_ = false;
                if (is_full_.load(std::memory_order_relaxed) || descriptor_ >= 0) [[unlikely]]
                    settle(lock);
                return *found;
            }
        }
        return wait_for_mail(
            lock, within,
            {[](void* f, unseen_mail& m) -> std::optional<errc> { return (*static_cast<F*>(f))(m); }, &look});
    }
    /// The handle that it will have when it is taken.
    errc peek(std::chrono::nanoseconds within, coppice_handle& out);
    /// Readable while there is something to take.
    int descriptor();
    /// The program takes nothing any more: what is left becomes dead letters, and the coroutine ends.
    void close();
    void give_up(std::string text);
    /// Handlers have changed: who waits for mail that has one looks at all again.
    void look_again();
    /// A send of the actor's waits for room: it is withdrawn when the actor is closed or has ended. Until remove_send(), which says
    /// whether that is so.
    void add_send(const detail::outside_send& one);
    bool remove_send(const detail::outside_send& one);
    /// An end that waits here is not told any more.
    void forget_end(std::uint64_t number);
    [[nodiscard]] bool is_closed() const;
    /// Waits until the coroutine runs, or has ended.
    bool wait_started();
    /// Runs f(scheduler, cell) on its scheduler. False, without it, when the node has ended.
    template <class F>
    bool post(F f) {
        const detail::actor_id to = id();
        bool posted = false;
        node_->if_running([&](detail::node_core&) {
            posted = detail::post_control(
                detail::scheduler_of(to),
                [to, f = std::move(f)](detail::scheduler& s) mutable { f(s, s.find(to)); });
        });
        return posted;
    }
    [[nodiscard]] detail::actor_id id() const noexcept { return id_; }
    [[nodiscard]] const ref<anything>& me() const noexcept { return me_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] const std::shared_ptr<node_resource>& node() const noexcept { return node_; }
    /// Of its scheduler; null if no thread but the scheduler's own may run it.
    [[nodiscard]] const std::shared_ptr<detail::drive_lease>& lease() const noexcept { return lease_; }
    /// Of which that is the lease. For its guests.
    [[nodiscard]] detail::scheduler& lent() const noexcept { return *lent_; }

private:
    struct looker {
        std::optional<errc> (*look)(void*, unseen_mail&);
        void* with;
    };
    bool is_open(bool until_closed) const noexcept;
    void open_gate() noexcept;
    std::optional<errc> look(looker by, std::vector<unseen_mail>& dropped);
    errc wait_for_mail(std::unique_lock<std::mutex>& lock, std::chrono::nanoseconds within, looker by);
    void wait(std::unique_lock<std::mutex>& lock, std::chrono::steady_clock::time_point until);
    void settle(std::unique_lock<std::mutex>& lock);
    void tell();
    void tell_outside() noexcept;
    void cut_sends();

    const std::shared_ptr<node_resource> node_;
    // Constant once the coroutine has started, which whoever uses them has waited for.
    detail::actor_id id_ = 0;
    ref<anything> me_;
    std::string path_;
    std::shared_ptr<detail::drive_lease> lease_;
    detail::scheduler* lent_ = nullptr;
    std::size_t ahead_ = least_ahead;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    unseen_mails urgent_;
    unseen_mails normal_;
    bool has_started_ = false;
    bool is_stopping_ = false;
    bool has_ended_ = false;
    bool is_closed_ = false;
    std::atomic<bool> is_full_{false};  // the coroutine waits, or is about to; written under the mutex
    std::string failure_;
    bool has_node_ =
        false;  // of a process child: its node lives as long as it does; the scheduler's thread alone
    int descriptor_ = -1;
    bool has_woken_ = false;  // the node's stream has told of what is new since the program looked last

    std::vector<const detail::outside_send*> sends_;
    bool is_over_ = false;               // closed, or ended
    bool is_driving_ = false;            // who waits runs the scheduler meanwhile
    std::atomic<bool> has_news_{false};  // what it looks at then; set under the mutex

    detail::strand* gate_ = nullptr;
};

/// What the actor runs.
task<> take_mail(actor<anything> self, std::shared_ptr<inbox> box);

/// f(self) on the actor's scheduler, waited for. `down`, `stopping` when the actor or its node has ended.
template <class R, class F>
result<R> on_actor(inbox& box, F f) {
    waiting<R> told;
    const bool posted =
        box.post([answer = told.answer, f = std::move(f)](detail::scheduler&, detail::cell* c) mutable {
            if (!c || (c->attention & detail::cell::ended)) return answer->set(errc::down);
            try {
                answer->set(f(actor<anything>{c}));
            } catch (const std::exception& e) {
                answer->set(error{errc::failed, e.what()});
            }
        });
    if (!posted) return error{errc::stopping, "the node has ended"};
    return told.get();
}

/// Runs `body(self)`, a coroutine, beside the actor's own. It must keep nothing but what it was given.
void run_beside(inbox& box, std::function<task<>(actor<anything>)> body);

}  // namespace coppice::c
