// The supervisor: an actor that starts its children in order, hears of their ends, and restarts them by its strategy.
//
// Its children's cells stay while they are restarted, so mailboxes, names and refs survive. It ends its children like any
// parent, in reverse start order, when it ends itself: asked to, over its intensity, or by a significant child.
#include "coppice/supervisor.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "cell_ext.hpp"
#include "coppice/race.hpp"
#include "node_core.hpp"
#include "process/findings.hpp"
#include "thread_watch.hpp"

namespace coppice {

namespace detail {

namespace {

using inner_protocol = protocol_union<supervisor_protocol, protocol<child_ended>>;

/// It is time to restart this child.
struct restart_due {
    static constexpr auto lane = coppice::lane::system;
    actor_id child;
    std::uint32_t restarts;  // that it had when the wait began: one that was restarted meanwhile is not meant
};
/// It is time to look whether the handlers of this child return.
struct look_due {
    static constexpr auto lane = coppice::lane::system;
    actor_id child;
};
using full_protocol = protocol_union<inner_protocol, protocol<restart_due, look_due>>;

/// Awaits the restart of a vacant child: null when it is ready again, or why not.
struct restart_operation : pending {
    cell* child;
    strand* waiter = nullptr;
    std::optional<exit_reason> failure;
    std::shared_ptr<restart_operation*> token = std::make_shared<restart_operation*>(nullptr);
    explicit restart_operation(cell* c) : pending{restarts}, child{c} {}
    static void on_cancel(pending* p, strand* s) noexcept {
        if (s->state != strand::waiting) return;
        *static_cast<restart_operation*>(p)->token = nullptr;
        s->sched->make_ready(s);
    }
    static constexpr pending_kind restarts{&on_cancel, "restart"};
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        waiter = h.promise().self;
        waiter->resume = h;
        if (waiter->cancel_requested()) return false;
        waiter->op = this;
        *token = this;  // which a race has moved
        life::restart(child, [t = token](const exit_reason* failed) {
            restart_operation* op = *t;
            if (!op) return;
            *t = nullptr;
            if (failed) op->failure = *failed;
            if (op->waiter->state == strand::waiting) op->waiter->sched->make_ready(op->waiter);
        });
        if (!*token) return false;
        waiter->state = strand::waiting;
        return true;
    }
    std::optional<exit_reason> await_resume() {
        throw_if_cancelled(waiter);
        return std::move(failure);
    }
};

/// Ends a vacant child on another scheduler for good, and awaits that nothing of it is left: its name is free then.
struct discard_operation : pending {
    cell* proxy;
    strand* waiter = nullptr;
    std::shared_ptr<discard_operation*> token = std::make_shared<discard_operation*>(this);
    explicit discard_operation(cell* c) : pending{discards}, proxy{c} {}
    static void on_cancel(pending* p, strand* s) noexcept {
        if (s->state != strand::waiting) return;
        *static_cast<discard_operation*>(p)->token = nullptr;
        s->sched->make_ready(s);
    }
    static constexpr pending_kind discards{&on_cancel, "discard"};
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        waiter = h.promise().self;
        waiter->resume = h;
        proxy->ext->on_gone = [t = token] {
            if (discard_operation* op = std::exchange(*t, nullptr)) op->waiter->sched->make_ready(op->waiter);
        };
        waiter->op = this;
        waiter->state = strand::waiting;
        life::discard(proxy);  // its end is told by a message, not within the call
        if (waiter->cancel_requested()) cancel(waiter);
        return true;
    }
    void await_resume() { throw_if_cancelled(waiter); }
};

struct record {
    child_spec spec;
    cell* where = nullptr;  // its cell, or its proxy
    actor_id id = 0;
    address who;
    bool running = false;
    bool awaiting_restart = false;  // its backoff is under way
    std::uint32_t restarts = 0;
    std::uint32_t in_a_row = 0;
    std::int64_t started_at = 0;
    std::optional<thread_watch> watch;  // of its own thread
};

struct supervisor_state {
    actor<full_protocol> self;
    supervisor_spec spec;
    std::deque<record> children{};
    std::deque<std::int64_t> restarts{};  // times, within the window
    bool over = false;

    [[nodiscard]] scheduler& sched() const { return *self.cell()->sched; }

    record* find(actor_id id) {
        const auto at =
            std::find_if(children.begin(), children.end(), [&](const record& r) { return r.id == id; });
        return at == children.end() ? nullptr : &*at;
    }
    record* find(const std::string& name) {
        const auto at = std::find_if(children.begin(), children.end(),
                                     [&](const record& r) { return r.spec.name == name; });
        return at == children.end() ? nullptr : &*at;
    }

    task<result<ref<>>> start(child_spec child) {
        start_operation starting{self.cell(), child};
        auto started = co_await starting;
        if (!started) co_return started.error();
        // A short-lived child may have ended meanwhile: its cell stays, vacant, until it is judged below.
        cell* const made = starting.child;
        record r;
        r.spec = std::move(child);
        r.where = made;
        r.id = made->self_id();
        r.who = *started;
        r.running = true;
        r.started_at = sched().now;
        if (r.spec.is_watched && made->attention & cell::proxy && made->ext->own_thread) {
            r.watch.emplace(r.spec.beats, sched().now);
            look_later(r);
        }
        children.push_back(std::move(r));
        co_return *started;
    }

    /// The wait before the next restart of a child.
    std::chrono::nanoseconds backoff(record& r) {
        if (spec.backoff_first.count() <= 0) return std::chrono::nanoseconds{0};
        const double most = static_cast<double>(std::max(spec.backoff_most, spec.backoff_first).count());
        double wait = std::min(most, static_cast<double>(spec.backoff_first.count()) *
                                         std::pow(2.0, std::min<std::uint32_t>(r.in_a_row, 40)));
        const double unit = static_cast<double>(self.random() >> 11) * 0x1.0p-53;
        wait *= 1.0 + std::clamp(spec.jitter, 0.0, 1.0) * (2.0 * unit - 1.0);
        return std::chrono::nanoseconds{static_cast<std::int64_t>(wait)};
    }

    /// One restart more; true if that is within the intensity.
    bool count_restart() {
        const std::int64_t now = sched().now;
        restarts.push_back(now);
        while (!restarts.empty() && restarts.front() < now - spec.window.count()) restarts.pop_front();
        return restarts.size() <= spec.most_restarts;
    }

    void forget(record* r) {
        life::discard(r->where);
        std::erase_if(children, [&](const record& c) { return &c == r; });
    }

    /// The same, and waits until its name is free.
    task<> forget_wholly(record* r) {
        cell* where = r->where;
        if (!(where->attention & cell::proxy)) {
            forget(r);
            co_return;
        }
        std::erase_if(children, [&](const record& c) { return &c == r; });
        co_await discard_operation{where};
    }

    void give_up(exit_kind kind, std::string text, const exit_reason& cause) {
        ext_of(self.cell()).verdict = exit_reason{kind, std::move(text), self.path()}.because(cause);
        over = true;
    }

    task<> child_has_ended(child_ended end) {
        record* r = find(end.id);
        if (!r) co_return;  // forgotten meanwhile
        r->running = false;
        if (end.reason.kind() == exit_kind::abandoned) {
            const std::string name = r->spec.name;
            std::erase_if(children, [&](const record& c) { return &c == r; });
            give_up(exit_kind::failed, "child '" + name + "' had to be left behind", end.reason);
            co_return;
        }
        const bool again = r->spec.when == restart::permanent ||
                           (r->spec.when == restart::transient && !end.reason.is_clean());
        if (r->spec.is_significant && !again) {
            const std::string name = r->spec.name;
            give_up(end.reason.is_clean() ? exit_kind::normal : exit_kind::significant,
                    "its significant child '" + name + "' ended", end.reason);
            if (end.reason.is_clean()) ext_of(self.cell()).verdict.reset();
            forget(r);
            co_return;
        }
        if (!again) {
            forget(r);
            co_return;
        }
        if (!count_restart()) {
            give_up(exit_kind::intensity,
                    "more than " + std::to_string(spec.most_restarts) + " restarts within " +
                        std::to_string(
                            std::chrono::duration_cast<std::chrono::milliseconds>(spec.window).count()) +
                        " ms, the last of '" + r->spec.name + "'",
                    end.reason);
            co_return;
        }
        r->in_a_row = sched().now - r->started_at > spec.window.count() ? 0 : r->in_a_row;
        const auto wait = backoff(*r);
        ++r->in_a_row;
        if (wait.count() > 0) {
            r->awaiting_restart = true;
            tell_later(wait, restart_due{r->id, r->restarts});
            co_return;
        }
        co_await restart_by_strategy(end.id);
    }

    /// A message to this supervisor, later.
    template <class M>
    void tell_later(std::chrono::nanoseconds wait, M m) {
        actor_calls::start_timer(
            self.cell(), self.me(), wait, std::chrono::nanoseconds{0},
            [m](actor_id to, actor_id from) { return make_envelope<M>(to, from, M{m}); });
    }
    void look_later(const record& r) { tell_later(r.watch->period(), look_due{r.id}); }

    /// Whether a thread's handlers return. One whose end is on the way is not judged.
    task<> look_at_thread(actor_id id) {
        record* r = find(id);
        if (!r || !r->watch) co_return;  // forgotten meanwhile
        look_later(*r);
        if (!r->running || is_vacant(r->where)) co_return;
        const std::int64_t at = sched().now;
        const scheduler& there =
            *scheduler::table[r->where->ext->remote_scheduler].load(std::memory_order_acquire);
        const auto found = r->watch->look(there, at);
        if (found == thread_watch::found::nothing) co_return;
        node_core& node = *sched().node;
        const std::string path = r->who.to_string();
        const auto tell = [&](finding what, std::chrono::nanoseconds lasted, std::string text) {
            tell_finding(node, {path, static_cast<std::uint32_t>(::getpid()), what, lasted, std::move(text)});
        };
        if (found == thread_watch::found::well) {
            node.log(level::info, path, "its thread is not stuck any more");
            tell(finding::well, {}, {});
            co_return;
        }
        const actor_id running = running_on(there);
        const std::string handler = running ? address{running, nullptr}.to_string() : path;
        const auto lasted = r->watch->still_for(at);
        const reaction how = r->watch->when_stuck();
        tell(finding::stuck, lasted, handler);
        if (how == reaction::wait) co_return;
        const std::string full = "its thread is stuck: a handler of " + handler + " does not return, for " +
                                 std::to_string(lasted.count() / 1'000'000) + " ms";
        node.log(level::warn, path, how == reaction::restart ? full + "; it is killed" : full);
        if (how != reaction::restart) co_return;
        life::kill_child(self.cell(), r->where, exit_reason{exit_kind::unresponsive, full, path});
        if (auto end = co_await end_of(id)) co_await child_has_ended(std::move(*end));
    }

    task<> restart_by_strategy(actor_id id) {
        record* r = find(id);
        if (!r) co_return;
        r->awaiting_restart = false;
        std::vector<actor_id> affected;  // in start order
        const auto strategy = spec.strategy;
        bool after = false;
        for (record& c : children) {
            if (c.id == id) after = true;
            if (c.id == id || strategy == strategy::one_for_all ||
                (strategy == strategy::rest_for_one && after))
                affected.push_back(c.id);
        }
        for (auto i = affected.rbegin(); i != affected.rend(); ++i) {
            if (*i == id) continue;
            if (!co_await end_running(*i, true)) co_return;
            if (record* c = find(*i); c && c->spec.when == restart::temporary) {
                forget(c);
                *i = 0;
            }
        }
        for (const actor_id each : affected)
            if (each && !over) co_await restart_one(each);
    }

    /// Ends a child and waits until its cell is vacant. False if this supervisor is to end meanwhile.
    task<bool> end_running(actor_id id, bool keep_mail) {
        record* r = find(id);
        if (!r || !r->running) co_return true;
        // It may have ended by itself: then its end has been put off, or is in the mailbox.
        const auto put_off = std::find_if(postponed.begin(), postponed.end(),
                                          [&](const child_ended& e) { return e.id == id; });
        if (put_off != postponed.end()) {
            child_ended end = std::move(*put_off);
            postponed.erase(put_off);
            co_return co_await has_ended_meanwhile(std::move(end));
        }
        const bool by_itself = is_vacant(r->where);
        if (!by_itself) life::end_child(self.cell(), r->where, keep_mail);
        auto end = co_await end_of(id);
        if (!end) co_return false;
        if (by_itself || end->reason.kind() == exit_kind::abandoned)
            co_return co_await has_ended_meanwhile(std::move(*end));
        find(id)->running = false;
        co_return true;
    }

    /// Waits for the end of a child; those of others are judged after this. None if this supervisor is to end meanwhile.
    task<std::optional<child_ended>> end_of(actor_id id) {
        for (;;) {
            auto m = co_await self.receive_only<child_ended>();
            if (!m) co_return std::nullopt;
            child_ended end = std::move(*m->get_if<child_ended>());
            if (end.id == id) co_return end;
            postponed.push_back(std::move(end));
        }
    }

    /// A child that was to be ended has ended by itself. What matters to its supervisor matters still; else it is as asked.
    task<bool> has_ended_meanwhile(child_ended end) {
        record* r = find(end.id);
        const bool again = r->spec.when == restart::permanent ||
                           (r->spec.when == restart::transient && !end.reason.is_clean());
        r->running = false;
        if (end.reason.kind() == exit_kind::abandoned || (r->spec.is_significant && !again))
            co_await child_has_ended(std::move(end));
        co_return !over;
    }

    static bool is_vacant(const cell* child) noexcept {
        if (child->attention & cell::proxy) return child->ext->remote_vacant;
        return child->state == strand::vacant && (child->attention & cell::restarting);
    }

    /// Null when it is ready, or why not. A thread that does not come back from the child's first handler tells neither; nobody looks
    /// at it while this waits, so it is killed from here, and judged as any other that ends.
    task<std::optional<exit_reason>> restarted_in_time(cell* child, actor_id id,
                                                       std::chrono::nanoseconds within) {
        auto first = co_await race(restart_operation{child}, self.sleep(within));
        if (first.index() == 0) co_return std::get<0>(std::move(first));
        const exit_reason why{exit_kind::start_failed, "its thread came to no await in time", path_of(child)};
        life::kill_child(self.cell(), child, why);
        if (auto end = co_await end_of(id)) postponed.push_back(std::move(*end));
        co_return why;
    }

    /// The reason if it did not come up.
    task<std::optional<exit_reason>> restart_one(actor_id id) {
        record* r = find(id);
        if (!r || r->running) co_return std::nullopt;
        r->awaiting_restart = false;
        ++r->restarts;
        r->started_at = sched().now;
        r->running = true;
        const address who = r->who;
        if (sched().node->may_log(level::info))
            sched().node->log(level::info, who.to_string(),
                              "restarting, incarnation " + std::to_string(r->restarts + 1));
        const bool is_judged = r->watch && r->watch->when_stuck() == reaction::restart;
        auto failed = is_judged ? co_await restarted_in_time(r->where, id, r->spec.start_within)
                                : co_await restart_operation{r->where};
        if (failed)
            sched().node->log(level::error, who.to_string(),
                              "could not be restarted: " + failed->to_string());
        co_return failed;  // it ends the child again: the child_ended of it is judged like any other
    }

    std::deque<child_ended> postponed{};

    task<> judge_postponed() {
        while (!postponed.empty() && !over) {
            child_ended end = std::move(postponed.front());
            postponed.pop_front();
            co_await child_has_ended(std::move(end));
        }
    }
};

std::vector<child_status> status_of(const supervisor_state& s) {
    std::vector<child_status> list;
    for (const record& r : s.children) list.push_back({r.spec.name, ref<>{r.who}, r.restarts, r.running});
    return list;
}

}  // namespace

task<> run_supervisor(actor<full_protocol> self, supervisor_spec spec) {
    ext_of(self.cell()).supervises = true;
    supervisor_state state{self, std::move(spec)};
    auto initial = std::move(state.spec.children);
    state.spec.children.clear();
    for (child_spec& child : initial) {
        const std::string name = child.name;
        auto started = co_await state.start(std::move(child));
        if (!started) co_return self.fail("child '{}' did not start: {}", name, started.error());
        co_await state.judge_postponed();
    }
    self.ready();
    while (!state.over) {
        auto m = co_await self.receive();
        if (!m) co_return;
        if (auto* end = m.template get_if<child_ended>()) {
            child_ended copy = std::move(*end);
            co_await state.child_has_ended(std::move(copy));
        } else if (auto* due = m.template get_if<restart_due>()) {
            const actor_id id = due->child;
            if (record* r = state.find(id); r && r->awaiting_restart && r->restarts == due->restarts)
                co_await state.restart_by_strategy(id);
        } else if (auto* look = m.template get_if<look_due>()) {
            const actor_id id = look->child;
            co_await state.look_at_thread(id);
        } else if (auto start = m.template take<start_child>()) {
            child_spec child = start->spec;
            auto started = co_await state.start(std::move(child));
            if (started) start.reply(*started);
            else start.fail(started.error());
        } else if (auto end_it = m.template take<terminate_child>()) {
            record* r = state.find(end_it->name);
            if (!r) {
                end_it.fail(error{errc::not_found, end_it->name});
            } else {
                const actor_id id = r->id;
                if (!co_await state.end_running(id, false)) co_return;
                if (record* ended = state.find(id)) co_await state.forget_wholly(ended);
                end_it.reply();
            }
        } else if (auto again = m.template take<restart_child>()) {
            record* r = state.find(again->name);
            if (!r) {
                again.fail(error{errc::not_found, again->name});
            } else {
                const actor_id id = r->id;
                if (!co_await state.end_running(id, true)) co_return;
                const auto failed = co_await state.restart_one(id);
                if (failed) again.fail(error{errc::start_failed, failed->to_string()});
                else again.reply();
            }
        } else if (auto which = m.template take<which_children>()) {
            which.reply(status_of(state));
        }
        co_await state.judge_postponed();
    }
}

}  // namespace detail

child_spec child(std::string name, process_carrier how) {
    child_spec spec;
    spec.name = std::move(name);
    spec.carrier = std::move(how);
    spec.protocol = &detail::info_of_protocol<anything>::value;
    return spec;
}

child_spec supervisor(std::string name, supervisor_spec spec, carrier how) {
    auto tree = std::make_shared<const supervisor_spec>(std::move(spec));
    child_spec made = child(std::move(name), std::move(how), &detail::run_supervisor, *tree);
    made.tree = std::move(tree);
    made.is_supervisor = true;
    made.tells_ready = true;
    made.start_within = std::chrono::nanoseconds::max();  // its children have limits of their own
    return made;
}

}  // namespace coppice
