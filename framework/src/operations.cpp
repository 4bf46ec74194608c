// The slow halves of the awaitable operations: what happens when an await is not served at once.
// All of it runs on the owner's scheduler thread.
#include "coppice/detail/operations.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "cell_ext.hpp"
#include "mail_tap.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::detail {

namespace {

// A one-time cancellation has been told; a kill stays.
void cancellation_told(strand* s) noexcept { s->flags &= static_cast<std::uint8_t>(~strand::cancel_once); }

template <class Operation, timer_node Operation::* Member>
Operation* around(timer_node* t) noexcept {
    alignas(Operation) static std::byte probe[sizeof(Operation)];
    auto* base = reinterpret_cast<Operation*>(probe);
    const auto offset = reinterpret_cast<std::byte*>(&(base->*Member)) - probe;
    return reinterpret_cast<Operation*>(reinterpret_cast<std::byte*>(t) - offset);
}

void wake_waiter(pending*, strand* s) noexcept {
    if (s->state == strand::waiting || s->state >= strand::receiving) s->sched->make_ready(s);
}

// What a receive gives.
envelope* taken(cell* c, envelope* e, bool again = false) noexcept {
    if (c->attention & cell::followed) tell_taken(c, e, again);
    return e;
}

envelope* pop_lane(cell* c, mail_queue& q, cell::attention_bit bit) {
    envelope* e = q.pop();
    if (!q.head) c->attention &= static_cast<std::uint16_t>(~bit);
    c->in_hand = e->type;
    ++c->received;
    return taken(c, e);
}

void drop_expired(cell* c) noexcept {
    if (c->attention & cell::has_priority) {
        mail_queue& q = c->ext->priority;
        while (q.head && c->sched->expired(q.head)) {
            envelope* e = q.pop();
            c->sched->node->bury(e, errc::timeout, path_of(c));
            e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);  // as below
            release(e);
        }
        if (!q.head) c->attention &= static_cast<std::uint16_t>(~cell::has_priority);
    }
    while (c->head && c->sched->expired(c->head)) {
        envelope* e = c->sched->take_head(c);
        leaves_mailbox(c, 0);
        --c->received;
        c->sched->node->bury(e, errc::timeout, path_of(c));
        e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);  // its asker's own timer tells it
        release(e);
    }
}

// What a receive would find now.
bool has_mail(const cell* c) noexcept {
    if (is_held(c)) return c->attention & cell::has_system;
    return (c->attention & (cell::has_system | cell::has_priority)) || c->head;
}
bool is_over(const cell* c) noexcept {
    return (c->attention & (cell::stop_now | cell::kill)) ||
           ((c->attention & cell::draining) && !has_mail(c));
}

bool someone_else_receives(const cell* c, const strand* s) noexcept {
    if (s != c && c->op && (c->state >= strand::receiving)) return true;
    return (c->attention & cell::side_receiver) && c->ext->receiver != s;
}

constexpr const char* two_receivers =
    "two coroutines of one actor are in receive() at once: let one receive and hand the message on";

}  // namespace

void throw_cancelled(strand* s) {
    cancellation_told(s);
    throw cancelled{};
}

// ---------------------------------------------------------------- receive

bool receive_base::suspend_slowly(strand* s) noexcept {
    waiter = s;
    s->op = this;
    if (is_over(owner) && !(owner->attention & cell::kill) && --owner->sched->quantum < 0) {
        owner->sched->push_run(
            s);  // an actor that goes on asking after it was told to stop must not hold its scheduler
        return true;
    }
    if (s->cancel_requested() || is_over(owner) || someone_else_receives(owner, s)) return false;
    drop_expired(owner);
    const bool held = is_held(owner);
    if (owner->attention & (held ? cell::has_system : cell::has_system | cell::has_priority)) {
        if (--owner->sched->quantum >= 0) return false;
        owner->sched->push_run(s);  // its turn is used up
        return true;
    }
    drop_expired(owner);
    if (owner->head && !held) {
        if (owner->sched->quantum > 0) {
            --owner->sched->quantum;
            return false;
        }
        // The turn is used up. If the scheduler's is too, go on first after I/O; else behind the others.
        if (owner->sched->budget - owner->sched->granted <= 0) owner->sched->push_run_first(s);
        else owner->sched->push_run(s);
        return true;
    }
    if (is_over(owner)) return false;
    if (s == owner) {
        s->state = strand::receiving;
    } else {
        owner->attention |= cell::side_receiver;
        ext_of(owner).receiver = s;
        s->state = strand::waiting;
    }
    return true;
}

envelope* receive_base::take_slowly() {
    cell* c = owner;
    strand* s = waiter ? waiter : c;
    if ((c->attention & cell::side_receiver) && c->ext->receiver == s) {
        c->attention &= static_cast<std::uint16_t>(~cell::side_receiver);
        c->ext->receiver = nullptr;
    }
    if (s != c && s->cancel_requested()) throw_cancelled(s);
    if (c->attention & cell::kill) throw cancelled{};
    if (c->attention & cell::stop_now) {
        cancellation_told(c);
        return nullptr;
    }
    if (someone_else_receives(c, s)) throw std::logic_error{two_receivers};
    if (c->attention & cell::has_system) return pop_lane(c, c->ext->system, cell::has_system);
    if (c->attention & cell::has_priority) return pop_lane(c, c->ext->priority, cell::has_priority);
    if (c->head) {
        envelope* e = c->sched->take_head(c);
        return taken(c, e, leaves_mailbox(c, 0));
    }
    if (c->attention & cell::draining) return nullptr;
    throw std::logic_error{two_receivers};
}

void receive_base::on_cancel(pending* p, strand* s) noexcept { wake_waiter(p, s); }

// ---------------------------------------------------------------- selective receive

namespace {

// Finds and unlinks the first message that `wants` takes, by lane.
envelope* select_from(cell* c, bool (*wants)(const message_type*) noexcept) {
    std::uint32_t place = 0;
    const auto from = [&](envelope*& head, envelope*& tail, std::uint32_t& length) -> envelope* {
        envelope* before = nullptr;
        place = 0;
        for (envelope* e = head; e; before = e, e = e->next, ++place) {
            if (wants && !wants(e->type)) continue;
            if (before) before->next = e->next;
            else head = e->next;
            if (tail == e) tail = before;
            --length;
            return e;
        }
        return nullptr;
    };
    envelope* found = nullptr;
    if (c->attention & cell::has_system) {
        mail_queue& q = c->ext->system;
        found = from(q.head, q.tail, q.length);
        if (!q.head) c->attention &= static_cast<std::uint16_t>(~cell::has_system);
    }
    const bool held = is_held(c);
    bool again = false;
    if (!found && !held && (c->attention & cell::has_priority)) {
        mail_queue& q = c->ext->priority;
        found = from(q.head, q.tail, q.length);
        if (!q.head) c->attention &= static_cast<std::uint16_t>(~cell::has_priority);
    }
    if (!found && !held) {
        drop_expired(c);
        found = from(c->head, c->tail, c->length);
        if (found) again = leaves_mailbox(c, place);
        if (found && c->length == c->capacity / 2) c->sched->low_mark(c);
    }
    if (!found) return nullptr;
    c->in_hand = found->type;
    ++c->received;
    return taken(c, found, again);
}

bool can_select(const cell* c, bool (*wants)(const message_type*) noexcept) noexcept {
    const auto in = [&](const envelope* e) {
        for (; e; e = e->next)
            if (!wants || wants(e->type)) return true;
        return false;
    };
    if ((c->attention & cell::has_system) && in(c->ext->system.head)) return true;
    if (is_held(c)) return false;
    return ((c->attention & cell::has_priority) && in(c->ext->priority.head)) || in(c->head);
}

bool exit_waits(const cell* c) noexcept {
    if (!(c->attention & cell::has_system)) return false;
    for (const envelope* e = c->ext->system.head; e; e = e->next)
        if (same_type(e->type, type_of<exit_signal>)) return true;
    return false;
}

}  // namespace

bool select_base::begin() noexcept {
    cell* c = owner;
    strand* s = waiter;
    s->op = this;
    if (s->cancel_requested() || (c->attention & (cell::kill | cell::stop_now)) ||
        someone_else_receives(c, s))
        return false;
    drop_expired(c);
    if (can_select(c, wants)) {
        if (--c->sched->quantum >= 0) return false;
        c->sched->push_run(s);  // its turn is used up
        return true;
    }
    if ((c->attention & cell::draining) || exit_waits(c)) return false;
    if (within <= nanoseconds::zero()) {
        timed_out = true;
        return false;
    }
    if (within != nanoseconds::max()) {
        timer.fire = &on_timeout;
        c->sched->add_timer(&timer, within.count());
    }
    if (s == c) {
        s->state = strand::filtering;
    } else {
        c->attention |= cell::side_receiver;
        ext_of(c).receiver = s;
        s->state = strand::waiting;
    }
    return true;
}

envelope* select_base::take() {
    cell* c = owner;
    strand* s = waiter;
    if (timer.linked()) timer.unlink();
    if ((c->attention & cell::side_receiver) && c->ext->receiver == s) {
        c->attention &= static_cast<std::uint16_t>(~cell::side_receiver);
        c->ext->receiver = nullptr;
    }
    if (s != c && s->cancel_requested()) throw_cancelled(s);
    if (c->attention & cell::kill) throw cancelled{};
    if (c->attention & cell::stop_now) {
        cancellation_told(c);
        ended = errc::stopping;
        return nullptr;
    }
    if (someone_else_receives(c, s)) throw std::logic_error{two_receivers};
    if (envelope* e = select_from(c, wants)) return e;
    if (timed_out) ended = errc::timeout;
    else if (exit_waits(c)) ended = errc::down;
    else ended = errc::stopping;
    return nullptr;
}

void select_base::on_cancel(pending* p, strand* s) noexcept { wake_waiter(p, s); }

void select_base::on_timeout(timer_node* t) noexcept {
    auto* op = around<select_base, &select_base::timer>(t);
    op->timed_out = true;
    wake_waiter(op, op->waiter);
}

bool still_woken(strand* s) noexcept {
    cell* c = owner_of(s);
    if (s->cancel_requested() || (c->attention & cell::asked_to_end)) return true;
    if (someone_else_receives(c, s)) return true;  // which is told as the mistake that it is
    const auto wait_again = [&](strand::run_state of_main) {
        s->state = s == c ? of_main : strand::waiting;
        if (s == c) return;
        c->attention |= cell::side_receiver;  // unless it was
        ext_of(c).receiver = s;
    };
    if (s->op->kind->selects) {
        const auto* op = static_cast<const select_base*>(s->op);
        if (op->timed_out || exit_waits(c)) return true;
        drop_expired(c);
        if (can_select(c, op->wants)) return true;
        wait_again(strand::filtering);
    } else {
        if (has_mail(c)) return true;
        wait_again(strand::receiving);
    }
    return false;
}

bool is_in_receive(const strand* s) noexcept {
    return s->op && (s->op->kind == &receive_base::receives || s->op->kind->selects);
}

// ---------------------------------------------------------------- ask

void ask_base::discard() noexcept { release(std::exchange(request, nullptr)); }

namespace {

// Follows the edges "main strand of a waits for b", from `from`. True if they lead back to `goal`; fills the path.
// Edges of other schedulers are read between two full fences: of two actors that close a cycle at the same moment at
// least one sees the other's edge.
bool leads_to(scheduler* here, actor_id from, actor_id goal, std::string* path) {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    actor_id at = from;
    for (int i = 0; i < limits::deadlock_depth; ++i) {
        scheduler* s = scheduler::table[scheduler_of(at)].load(std::memory_order_acquire);
        cell* c = s && s->node == here->node ? s->peek(at) : nullptr;
        if (!c || c->published_id.load(std::memory_order_relaxed) != at) return false;
        if (path) *path += " -> " + address{at, nullptr}.to_string();
        if (at == goal) return true;
        at = c->waits_for.load(std::memory_order_relaxed);
        if (at == 0) return false;
    }
    return false;
}

}  // namespace

bool ask_base::suspend_slowly(strand* s, envelope* e) noexcept {
    scheduler* sched = owner->sched;
    next = nullptr;
    if (s->cancel_requested()) {
        e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
        release(e);
        failure = errc::cancelled;
        return false;
    }
    const actor_id self = owner->self_id();
    actor_id target = to->id();
    if (const actor_id current = to->current()) target = current;
    const bool alone = s == owner && !(owner->flags & strand::has_sides);
    if (alone) {
        owner->waits_for.store(target, std::memory_order_relaxed);
        if (leads_to(sched, target, self, nullptr)) {
            std::string path = address{self, nullptr}.to_string();
            leads_to(sched, target, self, &path);
            owner->waits_for.store(0, std::memory_order_relaxed);
            e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            release(e);
            failure = errc::deadlock;
            detail = error{errc::deadlock, std::move(path)};
            return false;
        }
    }
    // The wait is listed first: a failure may come back while the request is being sent.
    enlist(s, target);
    const errc outcome = sched->send(*to, e);
    if (outcome == errc::ok) return true;
    for (ask_wait** place = &owner->asks; *place; place = &(*place)->next) {
        if (*place == this) {
            *place = next;
            break;
        }
    }
    if (timer.linked()) timer.unlink();
    owner->waits_for.store(0, std::memory_order_relaxed);
    s->state = strand::running;
    failure = outcome;
    return false;
}

error ask_base::explain() {
    owner->waits_for.store(0, std::memory_order_relaxed);
    envelope* e = std::exchange(reply, nullptr);
    if (waiter->cancel_requested()) {
        if (e) release(e);
        throw_cancelled(waiter);
    }
    if (e) {
        error why = std::move(body<failure_body>(e).why);
        release(e);
        return why;
    }
    if (failure == errc::deadlock) return detail;
    return failure == errc::ok ? error{errc::cancelled} : error{failure};
}

void ask_base::on_cancel(pending* p, strand* s) noexcept {
    auto* w = static_cast<ask_base*>(p);
    if (s->state != strand::waiting) return;
    for (ask_wait** place = &w->owner->asks; *place; place = &(*place)->next) {
        if (*place == w) {
            *place = w->next;
            break;
        }
    }
    if (w->timer.linked()) w->timer.unlink();
    w->owner->waits_for.store(0, std::memory_order_relaxed);
    w->failure = errc::cancelled;
    s->sched->make_ready(s);
}

void ask_base::on_timeout(timer_node* t) noexcept {
    auto* w = static_cast<ask_base*>(around<ask_wait, &ask_wait::timer>(t));
    on_cancel(w, w->waiter);
    w->failure = errc::timeout;
}

// ---------------------------------------------------------------- sleep

void sleep_operation::on_cancel(pending* p, strand* s) noexcept {
    auto* op = static_cast<sleep_operation*>(p);
    if (s->state != strand::waiting) return;
    if (op->timer.linked()) op->timer.unlink();
    s->sched->make_ready(s);
}

bool sleep_operation::begin() noexcept {
    if (waiter->cancel_requested()) return false;
    timer.fire = [](timer_node* t) noexcept {
        auto* op = around<sleep_operation, &sleep_operation::timer>(t);
        op->waiter->sched->make_ready(op->waiter);
    };
    waiter->op = this;
    waiter->state = strand::waiting;
    waiter->sched->add_timer(&timer, within.count());
    return true;
}

// ---------------------------------------------------------------- send_wait

void queue_for_space(cell* c, space_wait* w) noexcept {
    cell_ext& x = ext_of(c);
    w->next = nullptr;
    if (x.last_waiter) x.last_waiter->next = w;
    else x.first_waiter = w;
    x.last_waiter = w;
    c->attention |= cell::has_waiters;
    c->full.store(cell::at_bound, std::memory_order_relaxed);
}

void leave_queue(cell* c, space_wait* w) noexcept {
    cell_ext& x = *c->ext;
    space_wait* before = nullptr;
    for (space_wait* at = x.first_waiter; at; before = at, at = at->next) {
        if (at != w) continue;
        if (before) before->next = at->next;
        else x.first_waiter = at->next;
        if (x.last_waiter == at) x.last_waiter = before;
        break;
    }
    if (x.first_waiter) return;
    c->attention &= static_cast<std::uint16_t>(~cell::has_waiters);
    if (c->length < c->capacity && !(c->attention & cell::closed))
        c->full.store(cell::open, std::memory_order_relaxed);
}

namespace {

// Mail under way to a full mailbox on another scheduler, whose sender waits until it is in.
struct waiting_mail {
    actor_id target;
    envelope* mail;
    std::uint64_t ticket;
    std::function<void(errc)> tell;

    waiting_mail(actor_id to, envelope* e, std::uint64_t number, std::function<void(errc)> answer)
        : target{to}, mail{e}, ticket{number}, tell{std::move(answer)} {}
    waiting_mail(waiting_mail&& o) noexcept
        : target{o.target}, mail{std::exchange(o.mail, nullptr)}, ticket{o.ticket}, tell{std::move(o.tell)} {}
    waiting_mail(const waiting_mail&) = delete;
    waiting_mail& operator=(const waiting_mail&) = delete;
    ~waiting_mail() {
        if (!mail) return;  // run, or moved from
        release(mail);
        tell(errc::down);  // that scheduler has closed
    }
    void operator()(scheduler& there) {
        envelope* e = std::exchange(mail, nullptr);
        cell* c = there.find(target);
        if (c && !(c->attention & cell::refuses) && (!c->ext || c->ext->policy == overflow::reject) &&
            (c->length >= c->capacity || (c->attention & cell::has_waiters))) {
            auto* w = new space_wait;
            w->mail = e;
            w->tell = std::move(tell);
            w->ticket = ticket;
            queue_for_space(c, w);
            return;
        }
        const errc outcome = !c ? errc::down : c->attention & cell::refuses ? errc::stopping : errc::ok;
        there.deliver(e);  // refused it becomes a dead letter there
        tell(outcome);
    }
};

}  // namespace

void deliver_when_room(std::uint32_t target, envelope* mail, std::function<void(errc)> tell) {
    post_control(target, waiting_mail{mail->target, mail, 0, std::move(tell)});
}

namespace {

std::uint64_t next_ticket() noexcept {
    static std::atomic<std::uint64_t> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

// In order with what this thread has sent there: controls and mail go the same way. `at` is whom `to` leads to in this process.
void send_in_order(net::router* net, const address& to, actor_id at, envelope* mail, std::uint64_t ticket,
                   std::function<void(errc)> tell) {
    mail->flags &= static_cast<std::uint8_t>(~envelope::waits_for_room);
    if (net) net->send_when_room(to, mail, ticket, std::move(tell));
    else post_control(scheduler_of(at), waiting_mail{at, mail, ticket, std::move(tell)});
}

// What waits under that ticket, if it still does. Who sent it is told `cancelled`.
void withdraw(net::router* net, const address& to, actor_id at, std::uint64_t ticket) {
    if (net) return net->withdraw(to, ticket);
    post_control(scheduler_of(at), [at, ticket](scheduler& there) {
        cell* c = there.find(at);
        if (!c || !c->ext) return;
        for (space_wait* w = c->ext->first_waiter; w; w = w->next) {
            if (w->ticket != ticket) continue;
            leave_queue(c, w);
            release(w->mail);
            if (w->tell) w->tell(errc::cancelled);
            delete w;
            return;
        }
    });
}

}  // namespace

bool send_wait_base::begin() noexcept {
    scheduler* s = owner->sched;
    if (waiter->cancel_requested()) return false;
    actor_id id = to->id();
    if (const actor_id current = to->current()) id = current;
    mail->target = at = id;
    mail->flags |= envelope::waits_for_room;
    if (id && scheduler_of(id) == s->index) {
        cell* c = s->find(id);
        const bool full = c && mail->lane == lane::normal && !(c->attention & cell::refuses) &&
                          (c->length >= c->capacity || (c->attention & cell::has_waiters)) &&
                          (!c->ext || c->ext->policy == overflow::reject);
        if (!full || c == owner) {  // waiting for oneself to receive would never end: full is an error then
            mail->flags &= static_cast<std::uint8_t>(~envelope::waits_for_room);
            outcome = s->send(*to, std::exchange(mail, nullptr));
            return false;
        }
        place.emplace();
        place->mail = std::exchange(mail, nullptr);
        place->sender = waiter;
        queue_for_space(c, &*place);
        waiter->op = this;
        waiter->state = strand::waiting;
        return true;
    }
    const std::uint32_t target = scheduler_of(id);
    scheduler* there = id ? scheduler::table[target].load(std::memory_order_acquire) : nullptr;
    const cell* c = there && there->node == s->node ? there->peek(id) : nullptr;
    net::router* const net = to->is_remote() ? s->node->net : nullptr;
    const bool plain =
        net ? net->has_room(*to) || mail->lane != lane::normal
            : !c || mail->lane != lane::normal || to->incarnation() ||
                  (!c->full.load(std::memory_order_relaxed) &&
                   s->outboxes[target].sent - s->outboxes[target].passed.load(std::memory_order_relaxed) <
                       limits::remote_window);
    if (plain) {
        // It may still come to a full mailbox, where it is parked. The window bounds how much of that there can be.
        outcome = s->send(*to, std::exchange(mail, nullptr));
        return false;
    }
    waiter->op = this;
    waiter->state = strand::waiting;
    ticket = next_ticket();
    const actor_id self = owner->self_id();
    auto answer = [op = this, self, number = ticket, home = s->index](errc told) {
        post_control(home, [op, self, number, told](scheduler& here) {
            cell* asker = here.find(self);
            if (!asker) return;
            // The operation is alive exactly while its strand waits on it with this ticket.
            const auto waits = [&](strand* w) {
                return w->state == strand::waiting && w->op == op && op->ticket == number;
            };
            strand* w = nullptr;
            if (waits(asker)) w = asker;
            else if (asker->ext)
                for (side_strand* t = asker->ext->side_list; t && !w; t = t->next)
                    if (waits(t)) w = t;
            if (!w) return;
            op->outcome = told;
            here.make_ready(w);
        });
    };
    send_in_order(net, *to, id, std::exchange(mail, nullptr), ticket, std::move(answer));
    return true;
}

void send_wait_base::on_cancel(pending* p, strand* s) noexcept {
    auto* op = static_cast<send_wait_base*>(p);
    if (s->state != strand::waiting) return;
    if (op->place && op->place->mail) {  // parked at a receiver on this scheduler
        if (cell* c = s->sched->find(op->place->mail->target)) leave_queue(c, &*op->place);
        op->mail = std::exchange(op->place->mail, nullptr);
    } else if (op->ticket) {  // parked elsewhere, or on its way there
        withdraw(op->to->is_remote() ? s->sched->node->net : nullptr, *op->to, op->at, op->ticket);
    }
    op->ticket = 0;
    s->sched->make_ready(s);
}

// ---------------------------------------------------------------- the same from threads of the program's own

namespace {

// One more message to that scheduler from threads that are no scheduler's, unless so many are under way. Every quarter of a window a
// marker follows them, which says how far it has come.
bool enter_window(scheduler& s, std::uint64_t most) noexcept {
    auto& window = s.from_outside;
    std::uint64_t sent = window.sent.load(std::memory_order_relaxed);
    do {
        if (sent - window.passed.load(std::memory_order_relaxed) >= most) return false;
    } while (!window.sent.compare_exchange_weak(sent, sent + 1, std::memory_order_relaxed));
    return true;
}

void mark_window(scheduler& s) {
    const std::uint64_t sent = s.from_outside.sent.load(std::memory_order_relaxed);
    std::uint64_t marked = s.from_outside.marked.load(std::memory_order_relaxed);
    if (sent - marked < limits::remote_window / 4 ||
        !s.from_outside.marked.compare_exchange_strong(marked, sent, std::memory_order_relaxed))
        return;
    // Those that another thread has counted and not posted yet are let pass early: at most one for each thread.
    post_control(s.index, [sent](scheduler& there) {
        auto& passed = there.from_outside.passed;
        if (sent > passed.load(std::memory_order_relaxed)) passed.store(sent, std::memory_order_relaxed);
    });
}

}  // namespace

outside_send::outside_send(node_core& sender, const address& to) noexcept
    : node_{&sender}, to_{to}, net_{to.is_remote() ? sender.net : nullptr}, at_{to.id()} {
    if (const actor_id current = to.current()) at_ = current;
}

errc outside_send::if_room(envelope*& mail, std::uint64_t most_under_way) {
    const std::uint32_t target = net_ ? net_->home() : scheduler_of(at_);
    scheduler* const there = at_ || net_ ? scheduler::table[target].load(std::memory_order_acquire) : nullptr;
    if (there) {
        const cell* c = net_ ? nullptr : there->peek(at_);
        const bool room =
            net_ ? net_->has_room(to_) : !c || c->full.load(std::memory_order_relaxed) != cell::at_bound;
        if (!room || !enter_window(*there, most_under_way)) return errc::mailbox_full;
    }
    mail->target = at_;
    mail->flags |=
        envelope::waits_for_room;  // others may take its room meanwhile: it waits for the next then
    const errc outcome = scheduler::send_from_outside(to_, std::exchange(mail, nullptr), node_);
    if (there) mark_window(*there);
    return outcome;
}

void outside_send::when_room(envelope* mail, std::function<void(errc)> told) {
    mail->target = at_;
    if (!net_ && to_.incarnation()) {  // it waits where it comes to, as long as that incarnation lives
        mail->flags |= envelope::waits_for_room;
        return told(scheduler::send_from_outside(to_, mail, node_));
    }
    ticket_ = next_ticket();
    send_in_order(net_, to_, at_, mail, ticket_, std::move(told));
}

void outside_send::withdraw() const { detail::withdraw(net_, to_, at_, ticket_); }

// ---------------------------------------------------------------- offload

bool offload_base::begin(std::function<void()> job) noexcept {
    if (waiter->cancel_requested()) return false;
    strand* s = waiter;
    const std::uint32_t home = s->sched->index;
    s->op = this;
    s->state = strand::waiting;
    auto run = [this, s, home, job = std::move(job)] {
        try {
            job();
        } catch (...) {
            failure = std::current_exception();  // handed to the awaiting coroutine
        }
        post_control(home, [s](scheduler& here) { here.make_ready(s); });
    };
    if (s->sched->node->workers && s->sched->node->workers->submit(std::move(run))) return true;
    refused = errc::limit_reached;
    s->state = strand::running;
    return false;
}

// ---------------------------------------------------------------- side strands

side_strand* start_side(cell* owner, task<void>::handle h, void (*done)(side_strand*) noexcept,
                        side_strand* storage) {
    storage->owner = owner;
    storage->sched = owner->sched;
    storage->done = done;
    storage->frame = storage->resume = h;
    storage->flags = owner->flags & strand::cancel_all;
    h.promise().self = storage;
    h.promise().continuation = h;
    cell_ext& x = ext_of(owner);
    storage->prev = nullptr;
    storage->next = x.side_list;
    if (x.side_list) x.side_list->prev = storage;
    x.side_list = storage;
    owner->flags |= strand::has_sides;
    owner->sched->make_ready(storage);
    return storage;
}

void cancel_side(side_strand* s) noexcept {
    if (s->flags & strand::finished) return;
    s->flags |= strand::cancel_all;
    if (s->state == strand::waiting && s->op) s->op->cancel(s);
}

}  // namespace coppice::detail
