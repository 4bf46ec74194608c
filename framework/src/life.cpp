// Starts and ends of actors: the order in which an end happens, restarts in the same cell, children across schedulers.
//
//   main coroutine done ─► own tasks cancelled and joined ─► timers cancelled ─► children ended, newest first, each within
//   its limit ─► down to monitors, exit to links ─► supervised: vacant, child_ended to the supervisor, which restarts or
//   discards ─► else, or discarded: undelivered mail, name and groups released, parent told, cell recycled
//
// All of it runs on the owner's scheduler. A child on another scheduler is a proxy cell in its parent's list; the two
// sides speak by control messages, which name each other by id, so that a late one finds nobody rather than a stranger.
#include <algorithm>
#include <utility>
#include <vector>

#include "cell_ext.hpp"
#include "mail_tap.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "process/keeper.hpp"
#include "root.hpp"

namespace coppice::detail {

namespace {

std::int64_t count_of(std::chrono::nanoseconds d) noexcept { return d.count(); }

void cancel_operation(strand* s) noexcept {
    if (s->state == strand::waiting || s->state >= strand::receiving) {
        if (s->op) s->op->cancel(s);
    }
}

void cancel_sides(cell* c) noexcept {
    if (!c->ext) return;
    for (side_strand* s = c->ext->side_list; s;) {
        side_strand* following = s->next;
        cancel_side(s);
        s = following;
    }
}

void cancel_timers(cell_ext& x) noexcept {
    while (x.timers) recycle(x.timers);
}

bool is_proxy(const cell* c) noexcept { return c->attention & cell::proxy; }

// Runs f on the actor behind a proxy, if it is still that one.
template <class F>
void at_remote(const cell* proxy, F f) {
    post_control(proxy->ext->remote_scheduler,
                 [id = proxy->ext->remote, f = std::move(f)](scheduler& there) mutable {
                     if (cell* c = there.find(id)) f(there, c);
                 });
}

}  // namespace

// ---------------------------------------------------------------- asking to end

void life::request_stop(cell* c, bool drain, bool keep_mail) noexcept {
    if (c->attention & cell::ended) {
        if (!keep_mail) c->attention |= cell::closed;
        return;
    }
    if (c->attention & cell::restarting) {  // for the next incarnation, if there is one
        ext_of(c).stop_at_start |= (drain ? cell::draining : cell::stop_now) | cell::closed;
        return;
    }
    c->attention |= drain ? cell::draining : cell::stop_now;
    if (!keep_mail) {
        c->attention |= cell::closed;
        c->full.store(cell::refusing, std::memory_order_relaxed);
    }
    if (drain) {
        if (c->state >= strand::receiving) c->sched->make_ready(c);
        else if ((c->attention & cell::side_receiver) && c->ext->receiver->state == strand::waiting)
            c->sched->make_ready(c->ext->receiver);
        return;
    }
    if (c->state == strand::vacant) return;
    c->flags |= strand::cancel_once;
    cancel_operation(c);
}

void life::request_kill(cell* c, exit_reason why) noexcept {
    cell_ext& x = ext_of(c);
    if (!x.verdict) x.verdict = std::move(why);
    c->attention |= cell::kill;
    if (!x.supervised) c->attention |= cell::closed;
    if (c->attention & cell::ended) {
        x.kill_children = true;
        if (x.ending_child && x.child_stage == 1) {
            if (x.child_timer.linked()) x.child_timer.unlink();
            child_limit_passed(&x.child_timer);
        }
        return;
    }
    if (c->state == strand::vacant) return;
    c->flags |= strand::cancel_all;
    cancel_operation(c);
    cancel_sides(c);
}

// ---------------------------------------------------------------- pause

namespace {

// A receive that is under way looks again at what it may take: it waits on while the actor is held, and goes on after.
void look_again(strand* s) noexcept {
    const bool waits = s->state == strand::waiting || s->state >= strand::receiving;
    if (!(waits || s->state == strand::queued) || !is_in_receive(s)) return;
    s->flags |= strand::woken_by_mail;
    if (waits) s->sched->make_ready(s);
}

}  // namespace

void life::set_paused(cell* top, bool paused) {
    std::vector<cell*> left{top};
    while (!left.empty()) {
        cell* const c = left.back();
        left.pop_back();
        c->attention =
            static_cast<std::uint16_t>(paused ? c->attention | cell::paused : c->attention & ~cell::paused);
        if (is_proxy(c)) {  // one whose cell has not been made yet hears of it in child_is_there
            if (c->ext->remote)
                at_remote(c, [paused](scheduler&, cell* there) { set_paused(there, paused); });
            continue;
        }
        if (c->state != strand::vacant && !(c->attention & cell::ended)) {
            look_again(c);
            for (side_strand* s = c->ext ? c->ext->side_list : nullptr; s; s = s->next) look_again(s);
        }
        if (c->ext && c->ext->process_actor) actor_calls::set_paused(c->sched, c->ext->process_actor, paused);
        for (cell* child = c->last_child; child; child = child->previous_sibling)
            if (!child->name || !is_control_path(child->name->path)) left.push_back(child);
    }
}

// ---------------------------------------------------------------- the end, step by step

void scheduler::main_finished(cell* c) {
    c->flags &= static_cast<std::uint8_t>(~strand::finished);
    c->op = nullptr;
    c->state = strand::vacant;
    auto handle = std::coroutine_handle<promise<void>>::from_address(c->frame.address());
    std::exception_ptr failure = std::move(handle.promise().failure);
    c->frame = {};
    handle.destroy();
    if (!failure && !c->ext && !c->last_child && c->parent) [[likely]]
        return finish_plain(c);
    exit_reason reason;
    const bool asked = c->attention & cell::asked_to_end;
    if (c->ext && c->ext->verdict) {
        reason = std::move(*c->ext->verdict);
        c->ext->verdict.reset();
    } else if (failure) {
        bool was_cancelled = false;
        reason = reason_of(failure, path_of(c), c->in_hand ? c->in_hand->name : std::string_view{},
                           &was_cancelled);
        if (was_cancelled && asked) reason = exit_kind::stopped;
    } else if (asked) {
        reason = exit_kind::stopped;
    }
    life::begin_end(c, std::move(reason));
}

// An actor without name, children, monitors, tasks: most of a million.
void scheduler::finish_plain(cell* c) noexcept {
    while (c->head) [[unlikely]] {
        envelope* e = c->head;
        c->head = e->next;
        undeliverable(e, errc::down);
    }
    cell* parent = c->parent;
    if (parent->attention & cell::ended) [[unlikely]] {
        if (parent->ext->ending_child == c) {
            parent->ext->ending_child = nullptr;
            if (parent->ext->child_timer.linked()) parent->ext->child_timer.unlink();
        }
        recycle(c);
        return life::continue_end(parent);
    }
    // As recycle(), without what this actor never had.
    unlink_child(c);
    c->state = strand::none;
    c->parent = nullptr;
    if (c->full.load(std::memory_order_relaxed)) [[unlikely]]
        c->full.store(cell::open, std::memory_order_relaxed);
    free_cell(c);
}

void life::begin_end(cell* c, exit_reason reason) {
    cell_ext& x = ext_of(c);
    x.reason = std::move(reason);
    c->attention |= cell::ended;
    if (!x.supervised) c->attention |= cell::closed;
    if (!x.reason.is_clean() && c->sched->node) {
        const auto kind = x.reason.kind();
        const auto severity =
            kind == exit_kind::killed || kind == exit_kind::linked ? level::warn : level::error;
        if (c->sched->node->may_log(severity))
            c->sched->node->log(severity, path_of(c), "ended: " + x.reason.to_string());
    }
    cancel_timers(x);
    if (x.side_list) return cancel_sides(c);  // side_finished goes on
    continue_end(c);
}

void life::side_finished(side_strand* s) {
    cell* c = s->owner;
    cell_ext& x = *c->ext;
    s->flags |= strand::finished;
    s->state = strand::none;
    auto handle = std::coroutine_handle<promise<void>>::from_address(s->frame.address());
    s->failure = std::move(handle.promise().failure);
    s->frame = {};
    handle.destroy();
    if (s->next) s->next->prev = s->prev;
    if (s->prev) s->prev->next = s->next;
    else x.side_list = s->next;
    if (!x.side_list) c->flags &= static_cast<std::uint8_t>(~strand::has_sides);
    if ((c->attention & cell::side_receiver) && x.receiver == s) {
        c->attention &= static_cast<std::uint16_t>(~cell::side_receiver);
        x.receiver = nullptr;
    }
    s->done(s);  // may free it
    if ((c->attention & cell::ended) && !x.side_list) continue_end(c);
}

// Called when something that the end waits for has ended.
void life::continue_end(cell* c) {
    if (c->ext->side_list || c->ext->ending_child || c->ext->discarding) return;
    end_next_child(c);
}

void life::end_next_child(cell* c) {
    while (cell* child = c->last_child) {
        if (!is_proxy(child) && child->state == strand::vacant && (child->attention & cell::restarting)) {
            c->ext->discarding = true;  // its end does not call back here
            discard(child);
            c->ext->discarding = false;
            continue;
        }
        return end_child(c, child, false);
    }
    complete_end(c);
}

void life::end_child(cell* parent, cell* child, bool keep_mail) {
    cell_ext& x = ext_of(parent);
    const auto limit =
        child->ext && child->ext->spec ? child->ext->spec->shutdown_within : limits::shutdown_deadline;
    const bool unlimited = child->ext && child->ext->spec && child->ext->spec->is_supervisor;
    x.ending_child = child;
    x.child_stage = 1;
    x.child_timer.fire = &child_limit_passed;
    if (is_proxy(child) && child->ext->remote_vacant) {  // it has ended already; only its cell is to go
        x.child_stage = 2;
        parent->sched->add_timer(&x.child_timer, count_of(std::max(limit, limits::kill_grace)));
        return discard(child);
    }
    const bool at_once = x.kill_children || limit.count() <= 0;
    if (!at_once && !unlimited) parent->sched->add_timer(&x.child_timer, count_of(limit));
    if (at_once) {
        child_limit_passed(&x.child_timer);
    } else if (is_proxy(child)) {
        if (!child->ext->remote) return;  // the rest follows when its cell has been made there
        at_remote(child, [keep_mail](scheduler&, cell* there) { request_stop(there, false, keep_mail); });
    } else {
        request_stop(child, false, keep_mail);
    }
}

void life::kill_child(cell* parent, cell* proxy, const exit_reason& why) {
    cell_ext& x = ext_of(parent);
    x.ending_child = proxy;
    x.child_stage = 2;
    x.child_timer.fire = &child_limit_passed;
    parent->sched->add_timer(&x.child_timer, count_of(limits::kill_grace));
    kill_remote(proxy, why);
}

void life::child_limit_passed(timer_node* t) noexcept {
    cell* parent = owner_of_timer<&cell_ext::child_timer>(t);
    cell_ext& x = *parent->ext;
    cell* child = x.ending_child;
    if (!child) return;
    const std::string path = path_of(child);
    node_core& node = *parent->sched->node;
    if (x.child_stage == 1) {
        x.child_stage = 2;
        exit_reason why{exit_kind::killed, "it did not end within its limit", path};
        parent->sched->add_timer(&x.child_timer, count_of(limits::kill_grace));
        if (!is_proxy(child)) request_kill(child, std::move(why));
        else if (child->ext->remote) kill_remote(child, why);
        return;
    }
    if (is_proxy(child) && !child->ext->responds) return abandon(parent, child);
    // Its scheduler has come to an await, and this thread's is here: it can only be waiting for something that must complete first, such as an offloaded call.
    node.log(level::warn, path,
             "killed, but still waits for blocking work to return; its parent waits with it");
    parent->sched->add_timer(&x.child_timer, 10 * count_of(limits::kill_grace));
}

// Kills the actor behind a proxy, and learns whether its scheduler comes to an await at all.
void life::kill_remote(cell* proxy, const exit_reason& why) {
    ext_of(proxy).responds = false;  // that it did in an earlier life says nothing
    at_remote(proxy, [why, proxy_id = proxy->self_id()](scheduler&, cell* there) {
        request_kill(there, why);
        if (there->attention & cell::wedged) return;  // in the test world: as if this had not been run
        post_control(scheduler_of(proxy_id), [proxy_id](scheduler& home) {
            if (cell* p = home.find(proxy_id)) p->ext->responds = true;
        });
    });
}

// The child's thread does not come to an await: its actor cannot be ended. It is left behind, by name.
void life::abandon(cell* parent, cell* proxy) {
    cell_ext& x = *parent->ext;
    node_core& node = *parent->sched->node;
    const std::string path = path_of(proxy);
    node.log(level::error, path,
             "abandoned: its thread did not reach an await after it was killed. It is left behind until the "
             "process ends");
    if (node.on_abandoned) node.on_abandoned(path);
    x.ending_child = nullptr;
    const bool told = proxy->ext->supervised;
    const exit_reason reason{exit_kind::abandoned, "its thread does not reach an await", path};
    node.names.release(proxy->name, proxy->ext->remote);
    if (told && !(parent->attention & cell::ended)) {
        envelope* e = make_envelope<child_ended>(parent->self_id(), parent->self_id(),
                                                 child_ended{proxy, proxy->self_id(), reason});
        parent->sched->recycle(proxy);
        parent->sched->deliver(e);
        return;
    }
    parent->sched->recycle(proxy);
    if (parent->attention & cell::ended) continue_end(parent);
}

void life::leave_incarnation(cell* c, const exit_reason& reason) {
    cell_ext& x = *c->ext;
    const ref<> who{address{c->self_id(), c->name}};
    for (auto& w : std::exchange(x.watchers, {}))
        c->sched->send(w.who, make_envelope<down>(w.who.id(), c->self_id(), down{who, reason, w.id}));
    for (auto& peer : std::exchange(x.links, {})) {
        if (peer.is_remote()) {
            if (net::router* net = c->sched->node->net) net->tell_exit(c->self_id(), peer, reason);
            continue;
        }
        const auto notify = [peer_id = peer.id(), who, reason](scheduler& there) {
            cell* p = there.find(peer_id);
            if (!p || !p->ext) return;
            auto& links = p->ext->links;
            const auto mine = std::find_if(links.begin(), links.end(),
                                           [&](const address& a) { return a.id() == who.id(); });
            if (mine == links.end()) return;  // unlinked meanwhile
            links.erase(mine);
            if (p->ext->traps_exits) {
                there.deliver(make_envelope<exit_signal>(peer_id, who.id(), exit_signal{who, reason}));
            } else if (!reason.is_clean()) {
                life::request_kill(
                    p, exit_reason{exit_kind::linked, "linked to " + who.to_string(), path_of(p)}.because(
                           reason));
            }
        };
        if (scheduler_of(peer.id()) == c->sched->index) notify(*c->sched);
        else post_control(scheduler_of(peer.id()), notify);
    }
    for (const auto& [number, whom] : std::exchange(x.watching, {})) {
        if (whom.is_remote()) {
            if (net::router* net = c->sched->node->net) net->unwatch(c->self_id(), number, whom);
            continue;
        }
        const auto forget = [target = whom.id(), id = number](scheduler& there) {
            if (cell* t = there.find(target); t && t->ext)
                std::erase_if(t->ext->watchers, [&](const auto& v) { return v.id == id; });
        };
        if (scheduler_of(whom.id()) == c->sched->index) forget(*c->sched);
        else post_control(scheduler_of(whom.id()), forget);
    }
    x.traps_exits = false;
}

void life::complete_end(cell* c) {
    cell_ext& x = *c->ext;
    // Who hears of the end may take the name at once.
    if (!x.supervised) give_up_names(c);
    leave_incarnation(c, x.reason);
    if (c->flags & strand::starting) {  // it ended before it was ready
        if (x.reason.is_clean() && !(c->attention & (cell::asked_to_end | cell::awaits_ready))) {
            started(c, nullptr);  // a short life, but a good one
        } else {
            exit_reason why{exit_kind::start_failed, "it ended before it was ready", path_of(c)};
            why = why.because(x.reason);
            start_listener told = std::move(x.on_start);
            c->flags &= static_cast<std::uint8_t>(~strand::starting);
            if (x.start_timer.linked()) x.start_timer.unlink();
            if (x.restarts == 0) {
                retire(c);
                if (told) told(&why);
                return;
            }
            if (told) told(&why);  // a restart that failed: it stays vacant, its supervisor hears of it below
        }
    }
    if (!x.supervised) return retire(c);
    c->attention = static_cast<std::uint16_t>((c->attention & (cell::outlives_incarnation | cell::closed)) |
                                              cell::restarting);
    c->flags = strand::is_main;
    c->waits_for.store(0, std::memory_order_relaxed);
    if (x.own_limit.linked()) x.own_limit.unlink();
    const exit_reason reason = x.reason;
    if (!x.proxy_id) return vacated(c->parent, c, reason);
    post_control(scheduler_of(x.proxy_id),
                 [proxy_id = x.proxy_id, id = c->self_id(), reason](scheduler& home) {
                     cell* proxy = home.find(proxy_id);
                     if (!proxy) {  // given up by its parent
                         post_control(scheduler_of(id), [id](scheduler& there) {
                             if (cell* late = there.find(id)) discard(late);
                         });
                         return;
                     }
                     proxy->ext->remote_vacant = true;
                     vacated(proxy->parent, proxy, reason);
                 });
}

// A supervised child has ended and waits for its supervisor's word.
void life::vacated(cell* parent, cell* child, const exit_reason& reason) {
    cell_ext& x = ext_of(parent);
    if (x.ending_child == child) {
        x.ending_child = nullptr;
        if (x.child_timer.linked()) x.child_timer.unlink();
    }
    if (parent->attention & cell::ended) {
        if (!is_proxy(child)) return continue_end(parent);
        x.ending_child = child;  // its cell is gone once the other side says so
        return discard(child);
    }
    parent->sched->deliver(make_envelope<child_ended>(parent->self_id(), child->self_id(),
                                                      child_ended{child, child->self_id(), reason}));
}

void life::drop_mail(cell* c) {
    cell_ext& x = *c->ext;
    const auto leave = [&](envelope* e) {
        if (x.undelivered && e->lane != lane::system) {
            try {
                x.undelivered(undelivered_mail{e->type->name, ref_of_sender(e),
                                               (e->flags & envelope::owes_reply) != 0});
            } catch (const std::exception& failure) {
                c->sched->node->log(level::error, path_of(c),
                                    std::string{"its undelivered hook threw: "} + failure.what());
            }
        }
        if (e->lane == lane::system) release(e);
        else c->sched->undeliverable(e, errc::down);
    };
    while (envelope* e = x.system.pop()) leave(e);
    while (envelope* e = x.priority.pop()) leave(e);
    while (envelope* e = x.stashed.pop()) leave(e);
    while (c->head) {
        envelope* e = c->head;
        c->head = e->next;
        leave(e);
    }
    c->tail = nullptr;
    c->length = 0;
    while (space_wait* w = x.first_waiter) {
        x.first_waiter = w->next;
        if (w->sender) {
            // Its own send finds nobody: the outcome is down.
            auto* op = static_cast<send_wait_base*>(w->sender->op);
            op->outcome = errc::down;
            op->mail = std::exchange(w->mail, nullptr);
            c->sched->node->bury(op->mail, errc::down, path_of(c));
            c->sched->make_ready(w->sender);
        } else {
            c->sched->undeliverable(w->mail, errc::down);
            if (w->tell) w->tell(errc::down);
            delete w;
        }
    }
    x.last_waiter = nullptr;
    c->attention &= static_cast<std::uint16_t>(~cell::has_waiters);
}

void life::give_up_names(cell* c) {
    for (const auto& group : std::exchange(c->ext->groups, {}))
        leave_group(*c->sched, group, address{c->self_id(), nullptr});
    if (c->name) c->sched->node->names.release(c->name, c->self_id());
}

// The end for good.
void life::retire(cell* c) {
    cell_ext& x = *c->ext;
    node_core& node = *c->sched->node;
    c->attention |= cell::closed;
    drop_mail(c);
    give_up_names(c);
    const actor_id proxy_id = x.proxy_id;
    cell* parent = c->parent;
    scheduler* s = c->sched;
    const bool is_root = node.root.load(std::memory_order_relaxed) == c->self_id();
    exit_reason reason = x.reason;
    if (parent && parent->ext && parent->ext->ending_child == c) {
        parent->ext->ending_child = nullptr;
        if (parent->ext->child_timer.linked()) parent->ext->child_timer.unlink();
    }
    s->recycle(c);
    if (proxy_id) {
        post_control(scheduler_of(proxy_id), [proxy_id](scheduler& home) {
            if (cell* proxy = home.find(proxy_id)) child_gone(proxy);
        });
    }
    if (is_root && node.on_root_end) node.on_root_end(std::move(reason));
    if (parent && (parent->attention & cell::ended)) continue_end(parent);
}

// The actor behind a proxy is gone.
void life::child_gone(cell* proxy) {
    cell* parent = proxy->parent;
    cell_ext& x = ext_of(parent);
    scheduler* s = parent->sched;
    if (proxy->ext->own_thread && s->node->thread_done)
        s->node->thread_done(scheduler::table[proxy->ext->remote_scheduler].load());
    if (x.ending_child == proxy) {
        x.ending_child = nullptr;
        if (x.child_timer.linked()) x.child_timer.unlink();
    }
    if (const auto told = std::move(proxy->ext->on_gone)) told();
    s->recycle(proxy);
    if (parent->attention & cell::ended) continue_end(parent);
}

// The cell behind a proxy has been made.
void life::child_is_there(cell* proxy, actor_id id) {
    const auto kill = [id](scheduler& there) {
        if (cell* c = there.find(id))
            request_kill(c, exit_reason{exit_kind::killed, "it did not end within its limit", path_of(c)});
    };
    if (!proxy) {  // given up meanwhile
        post_control(scheduler_of(id), kill);
        return;
    }
    proxy->ext->remote = id;
    // What it was when its start was sent may have changed on the way.
    at_remote(proxy, [paused = (proxy->attention & cell::paused) != 0](scheduler&, cell* there) {
        if (paused != ((there->attention & cell::paused) != 0)) set_paused(there, paused);
    });
    const cell_ext* x = proxy->parent->ext;
    if (!x || x->ending_child != proxy) return;
    if (x->child_stage == 2) post_control(scheduler_of(id), kill);
    else at_remote(proxy, [](scheduler&, cell* late) { request_stop(late, false); });
}

void life::discard(cell* c) {
    if (is_proxy(c)) return at_remote(c, [](scheduler&, cell* there) { discard(there); });
    retire(c);
}

// ---------------------------------------------------------------- starts

void life::started(cell* c, const exit_reason* failure) {
    c->flags &= static_cast<std::uint8_t>(~strand::starting);
    c->attention &= static_cast<std::uint16_t>(~cell::awaits_ready);
    if (!c->ext) return;
    if (c->ext->start_timer.linked()) c->ext->start_timer.unlink();
    if (start_listener told = std::move(c->ext->on_start)) told(failure);
}

void life::run_incarnation(cell* c, start_listener told) {
    cell_ext& x = *c->ext;
    x.on_start = std::move(told);
    c->flags |= strand::starting;
    if (x.spec->tells_ready) {
        c->attention |= cell::awaits_ready;
        x.start_timer.fire = [](timer_node* t) noexcept {
            cell* late = owner_of_timer<&cell_ext::start_timer>(t);
            request_kill(late,
                         exit_reason{exit_kind::killed, "it was not ready in time", path_of(late)}.coded(
                             errc::timeout));
        };
        if (x.spec->start_within != std::chrono::nanoseconds::max())
            c->sched->add_timer(&x.start_timer, count_of(x.spec->start_within));
    }
    try {
        c->sched->launch(c, x.spec->start(c).release());
    } catch (...) {
        // Its arguments could not be copied, or there is no memory: it never ran.
        c->state = strand::vacant;
        begin_end(c, exit_reason::from(std::current_exception(), path_of(c), {}));
    }
}

void life::start_local(cell* c, std::shared_ptr<const child_spec> spec, start_listener told) {
    cell_ext& x = ext_of(c);
    c->protocol.store(spec->protocol, std::memory_order_relaxed);
    if (spec->capacity) c->capacity = spec->capacity;
    x.policy = spec->policy;
    if (spec->policy != overflow::reject) c->attention |= cell::has_policy;
    x.spec = std::move(spec);
    run_incarnation(c, std::move(told));
}

void life::restart(cell* c, start_listener told) {
    if (is_proxy(c)) {
        c->ext->remote_vacant = false;
        at_remote(c, [told = std::move(told), home = c->sched->index](scheduler&, cell* there) {
            restart(there, [told, home](const exit_reason* failed) {
                post_control(home,
                             [told, failed = failed ? std::optional<exit_reason>{*failed} : std::nullopt](
                                 scheduler&) { told(failed ? &*failed : nullptr); });
            });
        });
        return;
    }
    cell_ext& x = *c->ext;
    c->incarnation.store(c->incarnation.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    ++x.restarts;
    x.verdict.reset();
    x.kill_children = false;
    x.undelivered = nullptr;
    x.reason = {};
    c->in_hand = nullptr;
    c->attention = static_cast<std::uint16_t>((c->attention & cell::outlives_incarnation) |
                                              std::exchange(x.stop_at_start, std::uint16_t{0}));
    c->flags = strand::is_main;
    const bool full = (c->length >= c->capacity && !(c->attention & cell::has_policy)) ||
                      (c->attention & cell::has_waiters);
    c->full.store(full ? cell::at_bound : cell::open, std::memory_order_relaxed);
    if (x.stashed.head) {  // what the last incarnation put aside is its mail still
        x.stashed.tail->next = c->head;
        if (!c->head) c->tail = x.stashed.tail;
        c->head = x.stashed.head;
        c->length += x.stashed.length;
        come_back(c, x.stashed.length);
        x.stashed = {};
    }
    run_incarnation(c, std::move(told));
}

// ---------------------------------------------------------------- start_operation

namespace {

// The outcome of a start finds its operation through this, or nobody if that was cancelled.
using start_token = std::shared_ptr<start_operation*>;

void tell_starter(const start_token& token, result<address> outcome) {
    start_operation* op = *token;
    if (!op) return;
    *token = nullptr;
    op->outcome = std::move(outcome);
    if (op->waiter->state == strand::waiting) op->waiter->sched->make_ready(op->waiter);
}

error start_error(const exit_reason& why) {
    errc code = errc::start_failed;
    for (const exit_reason* r = &why; r; r = r->cause())
        if (r->kind() == exit_kind::not_started && r->code() != errc::ok) code = r->code();
    return error{code, why.to_string()};
}

}  // namespace

void start_operation::on_cancel(pending* p, strand* w) noexcept {
    auto* op = static_cast<start_operation*>(p);
    if (w->state != strand::waiting) return;
    op->outcome = errc::cancelled;
    if (op->forget) op->forget();
    w->sched->make_ready(w);
}

bool start_operation::begin() {
    scheduler* s = owner->sched;
    node_core& node = *s->node;
    const auto refuse = [&](error why) {
        outcome = std::move(why);
        return false;
    };
    if (waiter->cancel_requested()) return refuse(errc::cancelled);
    if (owner->attention & (cell::ended | cell::kill | cell::stop_now)) return refuse(errc::stopping);
    if (!valid_name(spec.name))
        return refuse(
            error{errc::bad_name,
                  "'" + spec.name + "': a name has 1 to 255 bytes, none of / : ? # $ or control characters"});
    std::string path = path_of(owner) + "/" + spec.name;
    if (path.size() > limits::path_bytes)
        return refuse(error{errc::bad_name, "the path is longer than limits::path_bytes"});

    if (std::holds_alternative<process_carrier>(spec.carrier)) {
        if (!node.processes)
            return refuse(error{errc::invalid_argument, path + ": this node cannot run processes"});
        if (path.size() > limits::name_bytes)
            return refuse(
                error{errc::bad_name, path + ": the path of a process, which is its node's name, has at most "
                                             "255 bytes"});
        spec = keeper_of(std::move(spec));
    }
    std::uint32_t target = s->index;
    bool own_thread = false;
    if (const auto* c = std::get_if<coroutine_carrier>(&spec.carrier)) {
        if (c->scheduler == coroutine_carrier::least_loaded) target = node.least_loaded();
        else if (c->scheduler != coroutine_carrier::with_parent) {
            if (c->scheduler >= node.index_list.size())
                return refuse(error{errc::invalid_argument, "scheduler " + std::to_string(c->scheduler) +
                                                                " of a node that has " +
                                                                std::to_string(node.index_list.size())});
            target = node.index_list[c->scheduler]->index;
        }
    }
    auto claimed = node.names.claim(path, 0);
    if (!claimed) return refuse(claimed.error());
    name_entry* entry = *claimed;
    const auto unclaim = [&] { node.names.release(entry, 0); };
    if (const auto* t = std::get_if<thread_carrier>(&spec.carrier)) {
        auto made = node.new_thread({spec.name, t->priority});
        if (!made) {
            unclaim();
            return refuse(made.error());
        }
        target = (*made)->index;
        own_thread = true;
    }
    const bool supervised = owner->ext && owner->ext->supervises;
    auto shared = std::make_shared<const child_spec>(std::move(spec));
    cell* c = s->new_cell(owner);
    if (!c) {
        unclaim();
        return refuse(error{errc::limit_reached, "no room for another actor on this scheduler"});
    }
    c->name = entry;
    child = c;
    const auto token = std::make_shared<start_operation*>(this);
    cell_ext& x = ext_of(c);
    x.supervised = supervised;
    waiter->op = this;
    forget = [token] { *token = nullptr; };

    if (target == s->index) {
        const actor_id id = c->self_id();
        c->protocol.store(shared->protocol, std::memory_order_relaxed);  // before others find it by name
        node.named(entry, id);
        life::start_local(c, std::move(shared), [token, id, entry](const exit_reason* failed) {
            tell_starter(token, failed ? result<address>{start_error(*failed)}
                                       : result<address>{address{id, entry}});
        });
    } else {
        c->attention |= cell::proxy;
        ++s->proxies;
        c->state = strand::none;
        c->protocol.store(shared->protocol, std::memory_order_relaxed);
        x.spec = shared;
        x.remote_scheduler = target;
        x.own_thread = own_thread;
        post_control(target, [shared, token, entry, supervised, home = s->index, proxy_id = c->self_id(),
                              paused = c->attention & cell::paused](scheduler& there) {
            // What is told at home: null and the id, or why it failed.
            const auto tell_home = [token, entry, proxy_id, home](std::optional<exit_reason> failed,
                                                                  actor_id id) {
                post_control(home, [token, entry, proxy_id, failed = std::move(failed), id](scheduler& here) {
                    cell* proxy = here.find(proxy_id);
                    tell_starter(token, failed ? result<address>{start_error(*failed)}
                                               : result<address>{address{id, entry}});
                    if (proxy && failed) life::child_gone(proxy);
                });
            };
            cell* child = there.new_cell(nullptr);
            if (!child) {
                there.node->names.release(entry, 0);
                return tell_home(
                    exit_reason{exit_kind::start_failed, "no room for another actor on its scheduler"}, 0);
            }
            child->name = entry;
            child->attention = static_cast<std::uint16_t>(paused);
            child->protocol.store(shared->protocol,
                                  std::memory_order_relaxed);  // before others find it by name
            there.node->named(entry, child->self_id());
            cell_ext& y = ext_of(child);
            y.proxy_id = proxy_id;
            y.supervised = supervised;
            const actor_id id = child->self_id();
            // Known at home before it is ready, so that it can be ended while it starts.
            post_control(home,
                         [proxy_id, id](scheduler& here) { life::child_is_there(here.find(proxy_id), id); });
            life::start_local(child, shared, [tell_home, id](const exit_reason* failed) {
                tell_home(failed ? std::optional<exit_reason>{*failed} : std::nullopt, id);
            });
        });
    }
    if (!*token) return false;  // it could not even begin
    waiter->state = strand::waiting;
    return true;
}

}  // namespace coppice::detail
