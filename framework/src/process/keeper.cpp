// The keeper's coroutine; see keeper.hpp.
// Owner thread, but for kept_process::tell_*, which come from the runner's.
#include "process/keeper.hpp"

#include <algorithm>
#include <utility>

#include "coppice/own_task.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::detail {

namespace {

/// There is news in kept_process.
struct process_told {
    static constexpr auto lane = coppice::lane::system;
};

template <class F>
void tell(const std::shared_ptr<kept_process>& k, F change) {
    post_control(scheduler_of(k->keeper), [k, change = std::move(change)](scheduler& s) mutable {
        change(*k);
        cell* c = s.find(k->keeper);
        if (!c) return;
        if (strand* waiter = std::exchange(k->waiter, nullptr)) return s.make_ready(waiter);
        if (!(c->attention & (cell::ended | cell::restarting)))
            s.deliver(make_envelope<process_told>(k->keeper, k->keeper));
    });
}

/// Awaits the end of the process. True; false if the keeper is killed meanwhile, of which it is told once.
struct process_end_operation : pending {
    kept_process& k;
    bool knows_of_kill;
    strand* self = nullptr;
    process_end_operation(kept_process& p, bool killed) : pending{ends}, k{p}, knows_of_kill{killed} {}
    static void on_cancel(pending* p, strand* s) noexcept {
        auto* op = static_cast<process_end_operation*>(p);
        if (s->state != strand::waiting || op->knows_of_kill || !(s->flags & strand::cancel_all)) return;
        op->k.waiter = nullptr;
        s->sched->make_ready(s);
    }
    static constexpr pending_kind ends{&on_cancel, "process end"};
    bool await_ready() const noexcept { return k.ended.has_value(); }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
        self = h.promise().self;
        self->resume = h;
        if (!knows_of_kill && (self->flags & strand::cancel_all)) return false;
        k.waiter = self;
        self->op = this;
        self->state = strand::waiting;
        return true;
    }
    bool await_resume() const noexcept { return k.ended.has_value(); }
};

/// Kills the process if the keeper's coroutine goes without having seen its end.
class hold_process {
public:
    explicit hold_process(std::shared_ptr<kept_process> k) : k_{std::move(k)} { runner().start(k_); }
    ~hold_process() {
        if (!k_->ended) runner().kill(k_);
    }
    hold_process(const hold_process&) = delete;
    hold_process& operator=(const hold_process&) = delete;
    [[nodiscard]] process_runner& runner() const noexcept { return *k_->node->processes; }
    void stop(bool drain) { runner().stop(k_, drain); }
    void terminate() { runner().terminate(k_); }

private:
    std::shared_ptr<kept_process> k_;
};

/// Mail for the process, in order. One message at a time may wait for room there, beside the keeper, which hands on meanwhile
/// what is urgent: it may be what makes the actor there take the rest.
class mail_on {
public:
    mail_on(const actor<anything>& self, const kept_process& k) : self_{self}, k_{k} {}

    /// The next message, or none if the keeper is to end.
    task<received<anything>> next() {
        while (waiting_) {
            if (waiting_->done()) {
                waiting_.reset();
                break;
            }
            auto urgent = co_await select_operation<anything>{self_.cell(), &is_urgent, nanoseconds::max()};
            if (urgent) co_return std::move(*urgent);
            if (!(self_.cell()->attention & cell::draining)) co_return received<anything>{};
            co_await waiting_->join();
        }
        co_return co_await self_.receive();
    }
    /// A request goes on at once, and its asker is told if that cannot be; what was only sent waits for room.
    task<> hand_on(received<anything> m) {
        envelope* const e = m.release();
        if (e->flags & envelope::owes_reply) delegate(e, *k_.there);
        else if (e->lane != lane::normal || k_.node->net->has_room(*k_.there))
            static_cast<void>(co_await send_wait_operation{self_.cell(), *k_.there, e});
        else waiting_ = self_.spawn_task(send_when_room(self_.cell(), e, *k_.there));
    }

private:
    static bool is_urgent(const message_type* t) noexcept { return t->lane != lane::normal; }
    static task<> send_when_room(cell* c, envelope* e, address there) {
        static_cast<void>(co_await send_wait_operation{c, there, e});
        c->sched->deliver(make_envelope<process_told>(c->self_id(), c->self_id()));  // next() looks again
    }

    actor<anything> self_;
    const kept_process& k_;
    std::optional<own_task<void>> waiting_;
};

task<> keep(actor<anything> self, std::shared_ptr<const child_spec> spec) {
    cell* const c = self.cell();
    const auto k = std::make_shared<kept_process>();
    k->node = c->sched->node;
    k->keeper = c->self_id();
    k->parent = actor_calls::parent(c);
    k->path = path_of(c);
    k->generation = self.incarnation();
    k->spec = std::move(spec);
    hold_process process{k};
    try {
        // Mail waits in the mailbox until there is somebody to take it.
        while (!k->there && !k->ended && co_await self.receive_only<process_told>()) {
        }
        if (k->there && !k->ended) self.ready();
        mail_on mail{self, *k};
        while (k->there && !k->ended) {
            auto m = co_await mail.next();
            if (!m) break;
            if (!m.get_if<process_told>()) co_await mail.hand_on(std::move(m));
        }
    } catch (const cancelled&) {  // asked to stop, or killed, in the middle of handing on: below
    }
    bool killed = c->flags & strand::cancel_all;
    if (!k->ended && !killed) {
        // To be drained: after the mail that was handed on, and so by the same way.
        if ((c->attention & (cell::draining | cell::stop_now)) == cell::draining && k->there)
            actor_calls::stop(c->sched, *k->there);
        else process.stop(c->attention & cell::draining);
    }
    while (!k->ended) {
        if (killed) process.terminate();
        if (!co_await process_end_operation{*k, killed}) killed = true;
    }
    ext_of(c).process_id = 0;
    ext_of(c).process_actor = {};
    // Killed, it has ended as its killer said.
    if (!killed && !ext_of(c).verdict) ext_of(c).verdict = *k->ended;
}

}  // namespace

void kept_process::tell_started(const std::shared_ptr<kept_process>& k, std::uint32_t pid) {
    post_control(scheduler_of(k->keeper), [k, pid](scheduler& s) {
        if (cell* c = s.find(k->keeper); c && !k->ended) ext_of(c).process_id = pid;
    });
}

void kept_process::tell_ready(const std::shared_ptr<kept_process>& k, std::uint32_t pid,
                              const address& actor) {
    tell_started(k, pid);
    post_control(scheduler_of(k->keeper), [k, actor](scheduler& s) {
        cell* c = s.find(k->keeper);
        if (!c || k->ended) return;
        ext_of(c).process_actor = actor;
        // The process is another than the one that was paused, or was started by one who is.
        if (c->attention & cell::paused) actor_calls::set_paused(&s, actor, true);
    });
    tell(k, [actor](kept_process& p) { p.there = actor; });
}

void kept_process::tell_ended(const std::shared_ptr<kept_process>& k, exit_reason why) {
    tell(k, [why = std::move(why)](kept_process& p) { p.ended = why; });
}

child_spec keeper_of(child_spec child) {
    child_spec made = child;
    made.carrier = in_coroutine;
    made.tells_ready = true;
    made.start_within = std::max(child.start_within, limits::start_deadline);
    made.portable = nullptr;
    auto spec = std::make_shared<const child_spec>(std::move(child));
    made.start = [spec = std::move(spec)](cell* c) { return keep(actor<anything>{c}, spec); };
    return made;
}

}  // namespace coppice::detail
