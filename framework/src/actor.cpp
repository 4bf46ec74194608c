// The cold half of actor<P>: monitors, links, groups, timers, lookups. Owner thread, but for stop, shutdown, kill and pause.
// Starts and ends are in life.cpp, what is awaited in operations.cpp.
#include "coppice/actor.hpp"

#include <algorithm>
#include <exception>
#include <memory>
#include <stdexcept>

#include "cell_ext.hpp"
#include "mail_tap.hpp"
#include "net/router.hpp"
#include "net/wire_addresses.hpp"
#include "node_core.hpp"
#include "process/findings.hpp"
#include "thread_priority.hpp"

namespace coppice {

void timer::cancel() noexcept {
    detail::mail_timer* t = std::exchange(timer_, nullptr);
    if (t && t->id == id_) detail::recycle(t);
}

namespace detail {

void recycle(mail_timer* t) noexcept {
    if (t->linked()) t->unlink();
    if (t->preceding) t->preceding->following = t->following;
    else t->owner->ext->timers = t->following;
    if (t->following) t->following->preceding = t->preceding;
    t->id = 0;
    t->to = {};
    t->make = nullptr;
    scheduler* s = t->owner->sched;
    t->following = s->free_mail_timers;
    s->free_mail_timers = t;
}

// ---------------------------------------------------------------- replies

namespace {

// The asker no longer waits for the actor that has this request: seen as an edge, it would close a cycle that is none.
// An asker that has gone on and asks the same actor again may lose the edge of that ask; then a cycle ends by its deadline.
const origin* origin_if_any(const envelope* e) noexcept {
    return e->flags & envelope::from_afar ? &origin_of(e) : nullptr;
}

void clear_edge(const envelope* request) noexcept {
    if (request->flags & envelope::from_afar) return;
    scheduler* home = scheduler::table[scheduler_of(request->sender)].load(std::memory_order_acquire);
    if (cell* asker = home ? home->peek(request->sender) : nullptr) {
        actor_id callee = request->target;
        asker->waits_for.compare_exchange_strong(callee, 0, std::memory_order_relaxed);
    }
}

// `from`: of a request that came from another node.
void route_reply(envelope* reply, const envelope* request, const origin* from) noexcept {
    reply->target = request->sender;
    reply->correlation = request->correlation;
    reply->flags |= envelope::is_reply;
    const std::uint32_t home = scheduler_of(reply->target);
    scheduler* here = scheduler::current();
    if (from) {
        // The callee's scheduler knows the node; a thread that is no actor's finds it by the callee's id.
        scheduler* callee =
            here ? here : scheduler::table[scheduler_of(request->target)].load(std::memory_order_acquire);
        if (callee && callee->node->net) callee->node->net->reply(request->sender, *from, reply);
        else release(reply);
        return;
    }
    if (here && here->index == home) return here->deliver_reply(reply);
    clear_edge(request);
    if (here) {
        scheduler* there = scheduler::table[home].load(std::memory_order_acquire);
        if (there && there->node != here->node) {
            const auto link = here->node->links.find(there->node);
            if (link == here->node->links.end() || link->second->carry(reply) != errc::ok) release(reply);
            return;
        }
        return here->remote(reply, home);
    }
    scheduler::post_envelope(home, reply);
}

}  // namespace

void send_reply(envelope* request, envelope* reply) noexcept {
    route_reply(reply, request, origin_if_any(request));
    request->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
    release(request);
}

void send_failure(envelope* request, error why) noexcept {
    if (request->flags & envelope::owes_reply) {
        envelope* reply = make_envelope<failure_body>(0, request->target, std::move(why));
        reply->flags |= envelope::is_failure;
        route_reply(reply, request, origin_if_any(request));
        request->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
    }
    release(request);
}

void fail_owed_reply(envelope* e, std::uint8_t code) noexcept {
    // Dropped by an exception on its way out, the actor is about to be down; dropped otherwise, it chose not to answer.
    const errc why = std::uncaught_exceptions() > 0 ? errc::down : static_cast<errc>(code);
    envelope* reply = make_envelope<failure_body>(0, e->target, error{why});
    reply->flags |= envelope::is_failure;
    route_reply(reply, e, origin_if_any(e));
    e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
}

errc delegate(envelope* request, const address& to) noexcept {
    clear_edge(request);
    scheduler* here = scheduler::current();
    request->target = to.id();
    // Refused, the asker must hear of it: send() would leave that to its caller.
    const bool owed = request->flags & envelope::owes_reply;
    envelope* notice = nullptr;
    const envelope before = *request;
    const bool far = request->flags & envelope::from_afar;
    const origin where = far ? origin_of(request) : origin{};
    if (owed) notice = make_envelope<failure_body>(0, request->target, error{errc::down});
    const errc outcome = here ? here->send(to, request) : scheduler::send_from_outside(to, request);
    if (!notice) return outcome;
    if (outcome == errc::ok) {
        release(notice);
    } else {
        body<failure_body>(notice).why = error{outcome};
        notice->flags |= envelope::is_failure;
        route_reply(notice, &before, far ? &where : nullptr);
    }
    return outcome;
}

void unhandled(envelope* e) noexcept {
    if (scheduler* here = scheduler::current()) here->undeliverable(e, errc::no_handler);
    else send_failure(e, errc::no_handler);
}

ref<> ref_of_sender(const envelope* e) noexcept {
    if (e->flags & envelope::from_afar)
        return ref<>{address::from_parts(e->sender, e->sender ? origin_of(e).tag : 0)};
    return ref<>{address{e->sender, nullptr}};
}

// ---------------------------------------------------------------- monitors and links

std::uint64_t actor_calls::new_monitor_id(cell* self) {
    return self->sched->node->next_monitor.fetch_add(1, std::memory_order_relaxed) + 1;
}

namespace {

actor_id current_id(const address& a) noexcept {
    const actor_id now = a.current();
    return now ? now : a.id();
}

bool living(const cell* c, std::uint32_t incarnation) noexcept {
    return c && !(c->attention & (cell::restarting | cell::ended)) &&
           (!incarnation || c->incarnation == incarnation);
}

template <class F>
void on_scheduler_of(scheduler* here, actor_id id, F f) {
    if (here && here->index == scheduler_of(id)) f(*here);
    else post_control(scheduler_of(id), std::move(f));
}

}  // namespace

void actor_calls::monitor(cell* self, const address& to, std::uint64_t id) {
    const actor_id target = current_id(to);
    const address me{self->self_id(), nullptr};
    if (to.is_remote() && self->sched->node->net) {
        ext_of(self).watching.emplace(id, to);
        return self->sched->node->net->watch(me.id(), id, to);
    }
    ext_of(self).watching.emplace(id, address{target, nullptr});
    const auto tell_none = [me, to, id](scheduler& s) {
        exit_reason why{exit_kind::no_actor, "there is no such actor",
                        to.name() ? to.to_string() : std::string{}};
        s.send(me, make_envelope<down>(me.id(), to.id(), down{ref<>{to}, std::move(why), id}));
    };
    scheduler* there =
        target ? scheduler::table[scheduler_of(target)].load(std::memory_order_acquire) : nullptr;
    if (!there || there->node != self->sched->node) return tell_none(*self->sched);
    on_scheduler_of(self->sched, target,
                    [target, me, id, tell_none, incarnation = to.incarnation()](scheduler& s) {
                        cell* c = s.find(target);
                        if (!living(c, incarnation)) return tell_none(s);
                        ext_of(c).watchers.push_back({me, id});
                    });
}

void actor_calls::demonitor(cell* self, std::uint64_t id) {
    if (!self->ext) return;
    cell_ext& x = *self->ext;
    const auto at = x.watching.find(id);
    actor_id target = 0;
    address far;
    if (at != x.watching.end()) {
        target = at->second.id();
        if (at->second.is_remote()) far = at->second;
        x.watching.erase(at);
    }
    // One that has come already is taken out of the mailbox.
    mail_queue kept;
    while (envelope* e = x.system.pop()) {
        if (same_type(e->type, type_of<down>) && body<down>(e).monitor == id) release(e);
        else kept.push(e);
    }
    x.system = kept;
    if (!kept.head) self->attention &= static_cast<std::uint16_t>(~cell::has_system);
    if (!target) return;  // told already
    x.cancelled_monitors.push_back(id);
    if (far) {
        if (net::router* net = self->sched->node->net) net->unwatch(self->self_id(), id, far);
        return;
    }
    on_scheduler_of(self->sched, target, [target, id, me = self->self_id()](scheduler& s) {
        if (cell* c = s.find(target); c && c->ext)
            std::erase_if(c->ext->watchers, [&](const auto& w) { return w.id == id; });
        // After this message nothing of that monitor is under way from there any more.
        on_scheduler_of(&s, me, [me, id](scheduler& home) {
            if (cell* c = home.find(me); c && c->ext) std::erase(c->ext->cancelled_monitors, id);
        });
    });
}

void actor_calls::link(cell* self, const address& to) {
    const actor_id target = current_id(to);
    const address me{self->self_id(), self->name};
    if (target == me.id()) return;
    cell_ext& x = ext_of(self);
    if (to.is_remote() && self->sched->node->net) {
        if (std::find(x.links.begin(), x.links.end(), to) != x.links.end()) return;
        x.links.push_back(to);
        return self->sched->node->net->link(me.id(), to);
    }
    if (std::any_of(x.links.begin(), x.links.end(), [&](const address& a) { return a.id() == target; }))
        return;
    x.links.push_back(to.id() == target ? to : address{target, nullptr});
    const auto refuse = [me, target, to](scheduler& s) {
        exit_reason why{exit_kind::no_actor, "there is no such actor", to.to_string()};
        on_scheduler_of(&s, me.id(), [me, target, to, why](scheduler& home) {
            cell* c = home.find(me.id());
            if (!c || !c->ext ||
                !std::erase_if(c->ext->links, [&](const address& a) { return a.id() == target; }))
                return;
            if (c->ext->traps_exits)
                home.deliver(make_envelope<exit_signal>(me.id(), target, exit_signal{ref<>{to}, why}));
            else
                life::request_kill(
                    c,
                    exit_reason{exit_kind::linked, "linked to " + to.to_string(), path_of(c)}.because(why));
        });
    };
    scheduler* there =
        target ? scheduler::table[scheduler_of(target)].load(std::memory_order_acquire) : nullptr;
    if (!there || there->node != self->sched->node) return refuse(*self->sched);
    on_scheduler_of(self->sched, target, [target, me, refuse, incarnation = to.incarnation()](scheduler& s) {
        cell* c = s.find(target);
        if (!living(c, incarnation)) return refuse(s);
        auto& links = ext_of(c).links;  // both may have linked at the same moment
        if (std::none_of(links.begin(), links.end(), [&](const address& a) { return a.id() == me.id(); }))
            links.push_back(me);
    });
}

void actor_calls::unlink(cell* self, const address& to) {
    if (!self->ext) return;
    if (to.is_remote()) {
        if (std::erase(self->ext->links, to) && self->sched->node->net)
            self->sched->node->net->unlink(self->self_id(), to);
        return;
    }
    const actor_id target = current_id(to);
    if (!std::erase_if(self->ext->links, [&](const address& a) { return a.id() == target; })) return;
    on_scheduler_of(self->sched, target, [target, me = self->self_id()](scheduler& s) {
        if (cell* c = s.find(target); c && c->ext)
            std::erase_if(c->ext->links, [&](const address& a) { return a.id() == me; });
    });
}

void actor_calls::trap_exits(cell* self, bool on) { ext_of(self).traps_exits = on; }

// ---------------------------------------------------------------- groups

namespace {

void become_member(cell* self, std::string_view group) {
    if (join_group(*self->sched, group, address{self->self_id(), self->name}))
        ext_of(self).groups.emplace_back(group);
}

void be_no_member(cell* self, std::string_view group) {
    if (self->ext && std::erase(self->ext->groups, group))
        leave_group(*self->sched, group, address{self->self_id(), nullptr});
}

}  // namespace

errc actor_calls::join(cell* self, std::string_view group) {
    if (!valid_name(group)) return errc::bad_name;
    become_member(self, group);
    return errc::ok;
}

void actor_calls::leave(cell* self, std::string_view group) { be_no_member(self, group); }

std::vector<ref<>> actor_calls::members(const cell* self, std::string_view group) {
    std::vector<ref<>> all;
    if (const auto list = self->sched->node->group_table.snapshot(group))
        for (const address& who : *list) all.emplace_back(who);
    return all;
}

errc actor_calls::watch_group(cell* self, std::string_view group) {
    if (!valid_name(group)) return errc::bad_name;
    const address me{self->self_id(), self->name};
    groups::list there;
    if (!self->sched->node->group_table.watch(group, me, there)) return errc::ok;
    ext_of(self).groups.push_back(watchers_group(group));
    if (!there) return errc::ok;
    for (const address& who : *there)
        self->sched->send(
            me, make_envelope<member_joined>(me.id(), 0, member_joined{std::string{group}, ref<>{who}}));
    return errc::ok;
}

void actor_calls::unwatch_group(cell* self, std::string_view group) {
    be_no_member(self, watchers_group(group));
}

void actor_calls::watch_flows(cell* self) { become_member(self, flow_watchers); }
void actor_calls::unwatch_flows(cell* self) { be_no_member(self, flow_watchers); }
void actor_calls::watch_processes(cell* self, bool on) {
    if (on) become_member(self, process_watchers);
    else be_no_member(self, process_watchers);
}

std::size_t actor_calls::publish(cell* self, std::string_view group, envelope* prototype) {
    const auto members = self->sched->node->group_table.snapshot(group);
    std::size_t taken = 0;
    const std::unique_ptr<envelope, void (*)(envelope*)> original{
        prototype, [](envelope* e) { release(e); }};  // a copy may throw
    if (members) {
        for (const address& who : *members) {
            if (who.id() == self->self_id()) continue;
            envelope* copy = prototype->type->clone(prototype, who.id());
            copy->sender = self->self_id();
            if (self->sched->send(who, copy) == errc::ok) ++taken;
        }
    }
    return taken;
}

// ---------------------------------------------------------------- timers

timer actor_calls::start_timer(cell* self, const address& to, nanoseconds delay, nanoseconds period,
                               std::function<envelope*(actor_id, actor_id)> make) {
    if (period < nanoseconds::zero() || (period == nanoseconds::zero() && delay < nanoseconds::zero()))
        throw std::invalid_argument{"coppice: a timer's delay or period is negative"};
    cell_ext& x = ext_of(self);
    scheduler* const sched = self->sched;
    mail_timer* t = sched->free_mail_timers;
    if (t) sched->free_mail_timers = t->following;
    else t = new mail_timer;
    t->owner = self;
    t->id = ++sched->last_mail_timer;
    t->order = 0;
    t->preceding = nullptr;
    t->to = to;
    t->period = period.count();
    t->make = std::move(make);
    t->following = x.timers;
    if (x.timers) x.timers->preceding = t;
    x.timers = t;
    t->fire = [](timer_node* node) noexcept {
        auto* fired = static_cast<mail_timer*>(node);
        scheduler* s = fired->owner->sched;
        try {
            s->send(fired->to, fired->make(fired->to.id(), fired->owner->self_id()));
        } catch (
            const std::exception& failure) {  // the message could not be copied: this time nothing is sent
            s->node->log(level::error, path_of(fired->owner),
                         std::string{"a timer could not make its message: "} + failure.what());
        }
        if (fired->period > 0) {
            // At a fixed rate from the first deadline; what was missed is skipped.
            const std::int64_t behind = s->now - fired->when;
            s->add_deadline(fired, fired->when + (behind / fired->period + 1) * fired->period);
        } else {
            recycle(fired);
        }
    };
    self->sched->add_timer(t, delay.count());
    return timer{t, t->id};
}

// ---------------------------------------------------------------- lookups

result<address> actor_calls::find(cell* self, std::string_view path, const protocol_info* wanted) {
    return find_in(*self->sched->node, path, wanted);
}

bool leads_elsewhere(const node_core& node, std::string_view path) noexcept {
    if (path.find("://") != std::string_view::npos) return true;
    if (path.empty() || path.front() != '/') return false;
    // Below an actor here that is a process of its own, an actor is another node's.
    if (is_path_of(path, node.name)) return node.has_processes && !node.names.find(path);
    return std::none_of(node.links.begin(), node.links.end(),
                        [&](const auto& l) { return is_path_of(path, l.first->name); });
}

bool find_operation::begin() {
    node_core& node = *owner->sched->node;
    if (waiter->cancel_requested()) return false;
    if (!leads_elsewhere(node, path)) {
        outcome = find_in(node, path, wanted);
        return false;
    }
    link = std::make_shared<shared>();
    link->op = this;
    waiter->op = this;
    waiter->state = strand::waiting;
    find_far(node, path, wanted, [shared = link, home = owner->sched->index](result<address> found) {
        post_control(home, [shared, found = std::move(found)](scheduler& s) mutable {
            find_operation* op = std::exchange(shared->op, nullptr);
            if (!op) return;
            op->outcome = std::move(found);
            s.make_ready(op->waiter);
        });
    });
    return true;
}

void find_operation::on_cancel(pending* p, strand* s) noexcept {
    if (s->state != strand::waiting) return;
    static_cast<find_operation*>(p)->link->op = nullptr;
    s->sched->make_ready(s);
}

void find_far(node_core& node, std::string path, const protocol_info* wanted,
              std::function<void(result<address>)> answer) {
    post_control(node.index_list.front()->index,
                 [path = std::move(path), wanted, answer = std::move(answer)](scheduler& s) mutable {
                     net::router* r = s.node->net;
                     if (!r && s.node->open_network) {
                         r = s.node->open_network();
                         // Without endpoints of its own it only begins to tick: heartbeats, limits of time.
                         if (r) static_cast<void>(r->start());
                     }
                     if (!r) return answer(error{errc::unreachable, "no link leads to " + path});
                     r->find(std::move(path), wanted, std::move(answer));
                 });
}

result<address> find_in(node_core& node, std::string_view path, const protocol_info* wanted) {
    std::string full{path};
    if (path.empty() || path.front() != '/') full = "/" + node.name + "/" + full;
    node_core* where = &node;
    if (!is_path_of(full, node.name)) {
        where = nullptr;
        for (auto& [other, link] : node.links)
            if (is_path_of(full, other->name)) where = const_cast<node_core*>(other);
        if (!where)
            return error{errc::unreachable,
                         "no link leads to a node named " + full.substr(1, full.find('/', 1) - 1)};
    }
    address found = where->names.find(full);
    if (!found) return error{errc::not_found, full};
    scheduler* s = scheduler::table[scheduler_of(found.id())].load(std::memory_order_acquire);
    const cell* c = s ? s->peek(found.id()) : nullptr;
    const protocol_info* has = c ? c->protocol.load(std::memory_order_relaxed) : nullptr;
    if (has && !wanted->any)
        for (const message_type* m : wanted->messages)
            if (!has->takes(m))
                return error{errc::wrong_protocol, full + " does not take " + std::string{m->name}};
    return found;
}

// ---------------------------------------------------------------- ends

namespace {

void end_there(scheduler* s, node_core* from, const address& to, net::ending how, nanoseconds within) {
    if (s) from = s->node;
    if (from && from->net) from->net->end(to, how, within);
}

}  // namespace

void actor_calls::stop(scheduler* s, const address& to, node_core* from) {
    if (to.is_remote()) return end_there(s, from, to, net::ending::stop, {});
    const actor_id id = current_id(to);
    if (!id) return;
    on_scheduler_of(s, id, [id](scheduler& there) {
        if (cell* c = there.find(id)) life::request_stop(c, true);
    });
}

void actor_calls::shutdown(scheduler* s, const address& to, nanoseconds within, node_core* from) {
    if (to.is_remote()) return end_there(s, from, to, net::ending::shutdown, within);
    const actor_id id = current_id(to);
    if (!id) return;
    on_scheduler_of(s, id, [id, within](scheduler& there) {
        cell* c = there.find(id);
        if (!c) return;
        life::request_stop(c, false);
        cell_ext& x = ext_of(c);
        if (x.own_limit.linked()) return;
        x.own_limit.fire = [](timer_node* t) noexcept {
            cell* late = owner_of_timer<&cell_ext::own_limit>(t);
            life::request_kill(
                late, exit_reason{exit_kind::killed, "it did not end within its limit", path_of(late)});
        };
        there.add_timer(&x.own_limit, within.count());
    });
}

void actor_calls::kill(scheduler* s, const address& to, node_core* from) {
    if (to.is_remote()) return end_there(s, from, to, net::ending::kill, {});
    const actor_id id = current_id(to);
    if (!id) return;
    on_scheduler_of(s, id, [id](scheduler& there) {
        if (cell* c = there.find(id))
            life::request_kill(c, exit_reason{exit_kind::killed, "killed", path_of(c)});
    });
}

void actor_calls::set_paused(scheduler* s, const address& to, bool paused, node_core* from) {
    if (to.is_remote()) return end_there(s, from, to, paused ? net::ending::pause : net::ending::resume, {});
    const actor_id id = current_id(to);
    if (!id) return;
    on_scheduler_of(s, id, [id, paused](scheduler& there) {
        if (cell* c = there.find(id)) life::set_paused(c, paused);
    });
}

void actor_calls::stop_self(cell* self) { life::request_stop(self, true); }

void actor_calls::fail(cell* self, fmt::string_view format, fmt::format_args args) {
    ext_of(self).verdict = exit_reason{exit_kind::failed, fmt::vformat(format, args), path_of(self),
                                       self->in_hand ? self->in_hand->name : std::string_view{}};
}

// ---------------------------------------------------------------- the rest

void actor_calls::stash(cell* self, envelope* e) {
    if (!e) return;
    cell_ext& x = ext_of(self);
    if (x.stashed.length >= self->capacity) {  // bounded like the mailbox
        self->sched->undeliverable(e, errc::mailbox_full);
        return;
    }
    x.stashed.push(e);
}

std::size_t actor_calls::unstash(cell* self) {
    if (!self->ext || !self->ext->stashed.head) return 0;
    mail_queue& q = self->ext->stashed;
    const std::size_t n = q.length;
    q.tail->next = self->head;
    if (!self->head) self->tail = q.tail;
    self->head = q.head;
    self->length += q.length;
    come_back(self, q.length);
    q = {};
    if (self->length >= self->capacity && !(self->attention & cell::has_policy))
        self->full.store(cell::at_bound, std::memory_order_relaxed);
    return n;
}

void actor_calls::ready(cell* self) {
    if (self->flags & strand::starting) life::started(self, nullptr);
}

void actor_calls::undelivered(cell* self, std::function<void(const undelivered_mail&)> hook) {
    ext_of(self).undelivered = std::move(hook);
}

mailbox_depth actor_calls::depth(const cell* self) noexcept {
    mailbox_depth d;
    d.normal = self->length;
    if (self->ext) {
        d.priority = self->ext->priority.length;
        d.system = self->ext->system.length;
        d.stashed = self->ext->stashed.length;
    }
    return d;
}

envelope* actor_calls::next_mail(cell* self) noexcept {
    if (self->attention & (cell::stop_now | cell::kill)) return nullptr;
    if (self->attention & cell::has_system) return self->ext->system.head;
    if (is_held(self)) return nullptr;
    if (self->attention & cell::has_priority) return self->ext->priority.head;
    return self->head;
}

address actor_calls::parent(cell* self) noexcept {
    if (self->parent) return address{self->parent->self_id(), self->parent->name};
    if (const node_core& node = *self->sched->node;
        self->self_id() == node.root.load(std::memory_order_relaxed))
        return node.parent_of_root;
    if (!self->name) return {};
    const auto cut = self->name->path.rfind('/');
    return cut == 0 || cut == std::string::npos
               ? address{}
               : self->sched->node->names.find(std::string_view{self->name->path}.substr(0, cut));
}

std::string actor_calls::path(const cell* self) { return path_of(self); }

std::chrono::steady_clock::time_point actor_calls::now(const cell* self) noexcept {
    return std::chrono::steady_clock::time_point{nanoseconds{self->sched->now}};
}

std::uint64_t actor_calls::random(cell* self) noexcept { return self->sched->node->random(); }

// In the test world there is no thread of the actor's own: its priority is only remembered.
result<priority> actor_calls::thread_priority(cell* self) {
    if (self->sched->simulated) return self->sched->simulated_priority;
    return current_thread_priority();
}

result<void> actor_calls::set_thread_priority(cell* self, priority p) {
    if (!self->sched->own_thread)
        return error{errc::invalid_argument,
                     path_of(self) +
                         " shares its scheduler; only an actor in_thread may change the thread's priority"};
    if (self->sched->simulated) {
        self->sched->simulated_priority = p;
        return {};
    }
    return set_current_thread_priority(p);
}

errc actor_calls::forward(cell* self, const address& to, envelope* e) {
    if (!e) return errc::invalid_argument;
    if (e->flags & envelope::owes_reply) return delegate(e, to);  // which looks at whom it was sent to
    e->target = to.id();
    return self->sched->send(to, e);
}

wire_reference actor_calls::reference_to(const cell* self, const address& who) {
    net::router* net = self->sched->node->net;
    return net ? net::wire_addresses{net->id(), *net}.out(who) : wire_reference{};
}

void actor_calls::check_period(nanoseconds period) {
    if (period <= nanoseconds::zero())
        throw std::invalid_argument{"coppice: send_every needs a period greater than zero"};
}

void actor_calls::too_many_actors() {
    throw bad_result{
        error{errc::limit_reached, "more actors on one scheduler than limits::actors_per_scheduler"}};
}

}  // namespace detail
}  // namespace coppice
