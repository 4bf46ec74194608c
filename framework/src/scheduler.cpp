// Turns of a scheduler, delivery of mail, and the traffic between schedulers.
// Its invariants stand in detail/scheduler.hpp; starts and ends of actors are in life.cpp.
#include "coppice/detail/scheduler.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "cell_ext.hpp"
#include "coppice/transport.hpp"
#include "guest_news.hpp"
#include "mail_tap.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "timer_wheel.hpp"
#include "turn_meter.hpp"

namespace coppice::detail {

namespace {

// The first generation not yet handed out, by slot, of the ended schedulers of each index: their successors go on from
// there, so that an id kept from an ended node never comes to mean another actor in this process. Who holds an index in
// scheduler::table has the entry to itself. Never destroyed: a node may be static.
std::vector<std::uint32_t>& unused_generations(std::uint32_t index) {
    static auto& all = *new std::array<std::vector<std::uint32_t>, limits::schedulers + 1>;
    return all[index];
}

constexpr std::int64_t polling_moment = 10'000;  // nanoseconds; I/O and timers wait as long

inline void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

}  // namespace

constinit thread_local scheduler* current_scheduler = nullptr;
constinit std::atomic<scheduler*> scheduler::table[limits::schedulers + 2] = {};

scheduler::as_current::as_current(scheduler& s) noexcept : outer_{std::exchange(current_scheduler, &s)} {}
scheduler::as_current::~as_current() { current_scheduler = outer_; }

scheduler::scheduler(node_core& owner, std::uint32_t default_mailbox)
    : default_capacity{default_mailbox}, node{&owner}, chunks{new std::atomic<cell*>[max_chunks] {}} {
    now = owner.clock();
    wheel = std::make_unique<timer_wheel>(now);
    meter = std::make_unique<turn_meter>();
    outboxes.reset(new outbox[limits::schedulers + 1]);
    for (std::uint32_t i = 0; i <= limits::schedulers; ++i) outboxes[i].target = i;
    for (std::uint32_t i = 1; i <= limits::schedulers; ++i) {  // 0 is nobody's, so that no id is 0
        scheduler* free_place = nullptr;
        if (table[i].load(std::memory_order_relaxed) == nullptr &&
            table[i].compare_exchange_strong(free_place, this)) {
            index = i;
            break;
        }
    }
    if (index == 0)
        throw bad_result{
            error{errc::limit_reached, "more schedulers in one process than limits::schedulers"}};
}

scheduler::~scheduler() {
    auto& unused = unused_generations(index);
    unused.resize(std::max<std::size_t>(unused.size(), std::size_t{chunks_made} * chunk_size), 1);
    for (std::uint32_t slot = 0; slot < chunks_made * chunk_size; ++slot)
        unused[slot] = std::min(generation_of(at(slot)->self_id()), last_generation - 1) + 1;
    table[index].store(nullptr, std::memory_order_release);
    while (mail_timer* t = free_mail_timers) {
        free_mail_timers = t->following;
        delete t;
    }
    for (std::uint32_t i = 0; i < chunks_made; ++i) {
        cell* chunk = chunks[i].load(std::memory_order_relaxed);
        for (std::uint32_t k = 0; k < chunk_size; ++k) delete chunk[k].ext;
        delete[] chunk;
    }
}

bool scheduler::grow() {
    const auto& unused = unused_generations(index);
    while (!free_cells && chunks_made < max_chunks) {
        auto* chunk = new cell[chunk_size];
        for (std::uint32_t k = chunk_size; k-- > 0;) {
            const std::uint32_t slot = chunks_made * chunk_size + k;
            const std::uint32_t generation = slot < unused.size() ? unused[slot] : 1;
            chunk[k].set_id(make_id(index, slot, generation));
            chunk[k].sched = this;
            chunk[k].flags = strand::is_main;
            if (generation == last_generation) continue;  // retired: its ids are used up
            chunk[k].next_sibling = free_cells;
            free_cells = &chunk[k];
        }
        chunks[chunks_made].store(chunk, std::memory_order_release);
        ++chunks_made;
    }
    return free_cells != nullptr;
}

void scheduler::recycle(cell* c) noexcept {
    unlink_child(c);
    delete c->ext;
    c->ext = nullptr;
    if (c->attention & cell::proxy) --proxies;
    c->state = strand::none;
    c->flags = strand::is_main;
    c->attention = 0;
    c->frame = {};
    c->parent = nullptr;
    c->full.store(cell::open, std::memory_order_relaxed);
    c->waits_for.store(0, std::memory_order_relaxed);
    c->name = nullptr;
    free_cell(c);
}

// ---------------------------------------------------------------- turns

void scheduler::ask_for_drain() {
    if (meter->is_armed()) return;  // it is in a drain
    awake = true;
    drive->wake();
}

void scheduler::make_ready_slowly(strand* s) {
    if (!meter->mark(*this, s)) ask_for_drain();
}

void scheduler::look_at_clock() {
    now = node->clock();
    last_look.store(now, std::memory_order_relaxed);
}

void scheduler::settle_fresh_timers() {
    // A duration counts from now, not from when it was set: a timer may be late by a turn, never early.
    while (!fresh_timers.empty()) {
        timer_node* t = fresh_timers.pop_front();
        const std::int64_t duration = std::max<std::int64_t>(t->when, 0);
        t->when = duration > timer_wheel::never - now ? timer_wheel::never - 1 : now + duration;
        wheel->add(t);
    }
}

void scheduler::add_deadline(timer_node* t, std::int64_t deadline) noexcept {
    t->when = deadline;
    wheel->add(t);
}

void scheduler::fire_timers() {
    settle_fresh_timers();
    timer_list due;
    wheel->expire(now, due);
    while (!due.empty()) {
        timer_node* t = due.pop_front();
        t->order = 0;
        t->fire(t);
    }
}

std::int64_t scheduler::next_deadline() {
    settle_fresh_timers();
    return wheel->next();
}

// Of the test world, which decides itself how many messages a turn may take.
void scheduler::run_strand(strand* s) {
    budget = std::max(budget, 1);
    run_measured(s, single_message ? 0 : budget);
}

bool scheduler::may_begin(strand* s) {
    if (s->flags & strand::timed) meter->begins_marked(*this, s);
    if (!(s->flags & strand::woken_by_mail)) return true;
    s->flags &= static_cast<std::uint8_t>(~strand::woken_by_mail);
    return still_woken(s);
}

[[gnu::always_inline]] inline void scheduler::run_one(strand* s, int longest) {
    if (s->flags & (strand::woken_by_mail | strand::timed)) [[unlikely]] {
        if (!may_begin(s)) return;
    }
    s->state = strand::running;
    int turn = least_turn;
    if (s->flags & strand::is_main) [[likely]] {
        auto* c = static_cast<cell*>(s);
        running.store(c->self_id(), std::memory_order_relaxed);
        if (c->length > least_turn) [[unlikely]]
            turn = static_cast<int>(std::min<std::uint32_t>(c->length, longest_turn));
    } else {
        running.store(owner_of(s)->self_id(), std::memory_order_relaxed);
    }
    if (turn > longest) [[unlikely]]
        turn = longest;
    quantum = granted = turn;
    s->resume.resume();
    while (again) {
        again = false;
        s->resume.resume();
    }
    budget -= turn - std::max(quantum, 0) + 1;
    if (s->flags & (strand::finished | strand::starting)) [[unlikely]] {
        if (s->flags & strand::finished) {
            if (s->flags & strand::is_main) main_finished(static_cast<cell*>(s));
            else life::side_finished(static_cast<side_strand*>(s));
        } else if (!(static_cast<cell*>(s)->attention & cell::awaits_ready)) {
            life::started(static_cast<cell*>(s), nullptr);
        }
    }
}

[[gnu::noinline]] std::uint32_t scheduler::run_measured(strand* s, int longest) {
    const turn_meter::turn t = meter->begin(*this, s);
    run_one(s, longest);
    return meter->end(*this, t);
}

bool scheduler::run_some() {
    constexpr std::uint32_t look_every = 32;
    std::uint32_t switched = 0;
    std::uint32_t sample_at = sample_in;
    budget = limits::turn_budget;
    while (budget > 0) {
        strand* s = pop_run();
        if (!s) {
            if (first_dirty) flush_all();
            if (inbox.load(std::memory_order_relaxed)) {
                accept();
                if (run_head || newest) continue;
            }
            break;
        }
        if (++switched == sample_at) [[unlikely]]
            sample_at += run_measured(s, budget);
        else run_one(s, budget);
        if (switched % look_every == 0 && inbox.load(std::memory_order_relaxed)) accept();
    }
    sample_in = sample_at - switched;
    if (first_dirty) flush_all();
    switches.store(switches.load(std::memory_order_relaxed) + switched, std::memory_order_relaxed);
    running.store(0, std::memory_order_relaxed);
    return run_head || newest;
}

void scheduler::drain() {
    if (draining) return;
    scheduler* const outer = std::exchange(current_scheduler, this);
    draining = true;
    awake = true;
    accept();
    bool sleep = false;
    int rounds = 0;
    // Rounds that begin with what polling has found may be shorter than a look at the clock: timers then wait for a moment,
    // as they do while it looks. A round without actors looks at no clock at all, so these rounds are counted, too.
    constexpr int most_untimed = 8;
    constexpr int most_polled = 128;  // before the driver serves I/O
    bool polling_found = false;
    int untimed = 0;
    int polled = 0;
    std::int64_t timed = 0;
    while (!sleep) {
        if (!std::exchange(polling_found, false) || ++untimed > most_untimed ||
            now - timed >= polling_moment) {
            look_at_clock();
            fire_timers();
            timed = now;
            untimed = 0;
        }
        if (idle_since && (run_head || newest)) end_idle();
        if (meter->is_overdue(now)) {
            meter->come_close();
            sample_in = 1;
        }
        const bool more = run_some();
        const bool found = !pollers.empty() && look_at_pollers();
        constexpr int most_rounds = 16;  // of pollers that always find something
        // The budget is used up, or a guest has what it waits for: let the driver serve I/O.
        if (more || (found && (++rounds == most_rounds || guest_has_news()))) {
            drive->wake();
            break;
        }
        if (found || run_head || newest) continue;
        if (inbox.load(std::memory_order_relaxed)) {
            accept();
            continue;
        }
        if (poll_limit) {
            if (!idle_since) {
                look_at_clock();
                idle_since = now;
            }
            if (poll_score >= 64 && now - idle_since < poll_limit) {
                if ((polling_found = poll()) && ++polled < most_polled) continue;
                drive->wake();  // let it serve I/O between two looks
                break;
            }
        }
        look_at_clock();
        const std::int64_t next = next_deadline();
        if (next <= now) continue;
        if (!pollers.empty() && !pollers_agree_to_sleep()) continue;
        meter->nothing_is_ready();
        live_published.store(live - proxies, std::memory_order_relaxed);
        placed.store(0, std::memory_order_relaxed);  // they are among the published now
        // Invariant 3: from empty to asleep by compare-exchange; a sender that comes first makes it fail.
        envelope* empty = nullptr;
        if (inbox.compare_exchange_strong(empty, idle_tag(), std::memory_order_acq_rel,
                                          std::memory_order_acquire)) {
            drive->arm(next);
            awake = false;
            sleeps.fetch_add(1, std::memory_order_relaxed);
            sleep = true;
        } else {
            accept();
        }
    }
    draining = false;
    current_scheduler = outer;
}

// Looks at the inbox and the pollers for a moment. True if something came.
bool scheduler::poll() {
    constexpr int looks_a_clock = 8;
    const std::int64_t until = now + polling_moment;
    while (now < until) {
        for (int i = 0; i < looks_a_clock; ++i) {
            if (inbox.load(std::memory_order_relaxed)) {
                accept();
                return true;
            }
            // Pollers take as long as a pause, which may be as long as a message is under way.
            if (pollers.empty()) pause();
            else if (look_at_pollers()) return true;
        }
        look_at_clock();
    }
    return false;
}

bool scheduler::look_at_pollers() {
    bool found = false;
    bool removed = false;
    for (std::size_t i = 0; i < pollers.size(); ++i) {  // one may add others
        if (pollers[i]) found = pollers[i]->poll() || found;
        else removed = true;
    }
    if (removed) std::erase(pollers, nullptr);
    return found;
}

// False if one has found something, or made an actor ready.
bool scheduler::pollers_agree_to_sleep() {
    for (std::size_t i = 0; i < pollers.size(); ++i)
        if (pollers[i] && !pollers[i]->prepare_sleep()) return false;
    if (first_dirty) flush_all();
    return !run_head && !newest && next_deadline() > now;
}

// There is work again: was the time without it one to poll through? The wake-up from a sleep, which polling would have
// spared, is part of what was measured, so a sleep may have taken twice the limit.
void scheduler::end_idle() noexcept {
    const std::int64_t idle = now - std::exchange(idle_since, 0);
    const bool short_one = idle <= poll_limit * 2;
    poll_score += ((short_one ? 256 : 0) - poll_score) / 8;
}

void scheduler::close() {
    scheduler* const outer = std::exchange(current_scheduler, this);
    envelope* chain = inbox.exchange(closed_tag(), std::memory_order_acq_rel);
    if (chain == idle_tag() || chain == closed_tag()) chain = nullptr;
    envelope* oldest = nullptr;
    while (chain) {
        envelope* following = chain->next;
        chain->next = oldest;
        oldest = chain;
        chain = following;
    }
    while (oldest) {
        envelope* e = oldest;
        oldest = e->next;
        deliver(e);
    }
    flush_all();
    // Invariant 6. There is at most one, and nothing that it waits for.
    while (wakers.load(std::memory_order_acquire) != 0) std::this_thread::yield();
    current_scheduler = outer;
}

void scheduler::resume_from_io(strand* s) noexcept {
    push_run(s);
    // Awake, a drain runs or is asked for: one more would ask for another at its end, and so on, and crowd out the I/O.
    if (!awake && !meter->is_armed()) drain();
}

void scheduler::accept() {
    envelope* chain = inbox.load(std::memory_order_relaxed);
    if (chain == closed_tag()) return;
    chain = inbox.exchange(nullptr, std::memory_order_acquire);
    if (chain == idle_tag() || !chain) return;
    envelope* oldest = nullptr;
    while (chain) {  // newest first: turn it round
        envelope* following = chain->next;
        chain->next = oldest;
        oldest = chain;
        chain = following;
    }
    const bool marks = arrived.load(std::memory_order_relaxed) > 0 && meter->expect_marks_of_mail(*this);
    while (oldest) {
        envelope* e = oldest;
        oldest = e->next;
        deliver(e);
    }
    if (!marks) return;
    // It made nobody ready, as the controls of who looks at the node do not: the next that comes is to tell.
    if (meter->is_armed()) arrived.store(turn_meter::wanted, std::memory_order_relaxed);
    meter->disarm(*this);
}

// ---------------------------------------------------------------- delivery

void scheduler::deliver(envelope* e) {
    if (e->flags & (envelope::is_control | envelope::is_reply)) [[unlikely]] {
        if (e->flags & envelope::is_reply) return deliver_reply(e);
        static_cast<const control_type*>(e->type)->run(*this, e);
        return release(e);
    }
    cell* c = find(e->target);
    if (!c) return undeliverable(e, errc::down);
    if (takes_plainly(c) && e->lane == lane::normal) [[likely]]
        return push_plainly(c, e);
    const errc refused = deliver_checked(c, e);
    if (refused != errc::ok) undeliverable(e, refused);
}

// ok: taken, or disposed of by the policy. Else the envelope is still the caller's.
errc scheduler::deliver_checked(cell* c, envelope* e) {
    if (e->lane == lane::system) {
        if (c->ext && same_type(e->type, type_of<down>)) {
            const std::uint64_t monitor = body<down>(e).monitor;
            c->ext->watching.erase(monitor);
            if (std::erase(c->ext->cancelled_monitors, monitor)) {  // cancelled while its down was under way
                release(e);
                return errc::ok;
            }
        }
        push_lane(c, e);
        return errc::ok;
    }
    if (c->attention & cell::refuses)
        return c->attention & (cell::kill | cell::ended) ? errc::down : errc::stopping;
    if (e->lane == lane::priority) {
        if (c->ext && c->ext->priority.length >= c->capacity) return errc::mailbox_full;
        push_lane(c, e);
        return errc::ok;
    }
    const overflow policy = c->ext ? c->ext->policy : overflow::reject;
    if (policy == overflow::keep_latest && !(e->flags & envelope::owes_reply)) {
        envelope* before = nullptr;
        std::uint32_t place = 0;
        for (envelope* m = c->head; m; before = m, m = m->next, ++place) {
            if (!same_type(m->type, e->type) || (m->flags & envelope::owes_reply)) continue;
            replaced_in_mailbox(c, place);
            e->next = m->next;
            if (before) before->next = e;
            else c->head = e;
            if (c->tail == m) c->tail = e;
            undeliverable(m, errc::mailbox_full);
            return errc::ok;
        }
    }
    if (c->length >= c->capacity || (c->attention & cell::has_waiters)) {
        if (policy == overflow::reject && (e->flags & envelope::waits_for_room)) {
            park(c, e);
            return errc::ok;
        }
        if (policy == overflow::drop_newest && !(e->flags & envelope::owes_reply)) {
            undeliverable(e, errc::mailbox_full);
            return errc::ok;
        }
        if (policy != overflow::drop_oldest && policy != overflow::keep_latest) return errc::mailbox_full;
        if (policy == overflow::keep_latest && (e->flags & envelope::owes_reply)) return errc::mailbox_full;
        envelope* oldest = c->head;
        c->head = oldest->next;
        --c->length;
        leaves_mailbox(c, 0);
        undeliverable(oldest, errc::mailbox_full);
    }
    push_mail(c, e);
    return errc::ok;
}

void scheduler::push_lane(cell* c, envelope* e) noexcept {
    cell_ext& x = ext_of(c);
    if (e->lane == lane::system) {
        x.system.push(e);
        c->attention |= cell::has_system;
    } else {
        x.priority.push(e);
        c->attention |= cell::has_priority;
    }
    if (c->state != strand::receiving) return filter_mail(c, e);
    c->flags |= strand::woken_by_mail;
    make_ready(c);
}

// Mail has come while the actor waits selectively or is paused, or while a side strand receives.
void scheduler::filter_mail(cell* c, envelope* e) noexcept {
    if (c->state == strand::receiving) {  // paused; a supervisor takes its mail all the same
        if (is_held(c)) return;
        c->flags |= strand::woken_by_mail;
        return make_ready(c);
    }
    if (c->state == strand::filtering) {
        auto* op = static_cast<select_base*>(c->op);
        if (op->wants && !op->wants(e->type) && !same_type(e->type, type_of<exit_signal>)) return;
        c->flags |= strand::woken_by_mail;
        return make_ready(c);
    }
    if (!(c->attention & cell::side_receiver)) return;
    strand* s = c->ext->receiver;
    if (s->state != strand::waiting) return;  // ready already
    auto* select = s->op->kind->selects ? static_cast<select_base*>(s->op) : nullptr;
    if (select && select->wants && !select->wants(e->type) && !same_type(e->type, type_of<exit_signal>))
        return;
    s->flags |= strand::woken_by_mail;
    make_ready(s);
}

void scheduler::deliver_reply(envelope* e) noexcept {
    cell* c = find(e->target);
    if (c) {
        for (ask_wait** place = &c->asks; *place; place = &(*place)->next) {
            ask_wait* w = *place;
            if (w->correlation != e->correlation) continue;
            *place = w->next;
            if (w->timer.linked()) w->timer.unlink();
            w->reply = e;
            c->waits_for.store(0, std::memory_order_relaxed);
            make_ready(w->waiter);
            return;
        }
    }
    release(e);  // the asker has gone on: its deadline passed, or it was cancelled
}

// Invariant: while mail is parked, the mailbox has been full since, so its length comes down to half of its capacity, where
// this is called. Parked mail goes first: what is sent plainly meanwhile is refused, or it would overtake its own sender's.
void scheduler::low_mark(cell* c) noexcept {
    if (c->full.load(std::memory_order_relaxed) != cell::at_bound) return;
    if (c->attention & cell::has_waiters) {
        cell_ext& x = *c->ext;
        while (x.first_waiter && c->length < c->capacity) {
            space_wait* w = x.first_waiter;
            x.first_waiter = w->next;
            push_mail(c, std::exchange(w->mail, nullptr));
            if (w->sender) {
                make_ready(w->sender);
            } else {
                if (w->tell) w->tell(errc::ok);
                delete w;
            }
        }
        if (x.first_waiter) return;
        x.last_waiter = nullptr;
        c->attention &= static_cast<std::uint16_t>(~cell::has_waiters);
    }
    if (c->length < c->capacity) c->full.store(cell::open, std::memory_order_relaxed);
}

void scheduler::park(cell* c, envelope* e) noexcept {
    auto* w = new space_wait;
    w->mail = e;
    queue_for_space(c, w);
}

void scheduler::undeliverable(envelope* e, errc why) noexcept {
    std::string path;
    if (scheduler_of(e->target) == index) {
        if (cell* c = find(e->target)) path = path_of(c);
    }
    node->bury(e, why, path);
    if (e->flags & envelope::owes_reply) send_failure(e, why);
    else release(e);
}

// ---------------------------------------------------------------- sending

namespace {

// True for any incarnation if it is 0; else only while that very one lives.
bool lives_as(const cell* c, std::uint32_t incarnation) noexcept {
    return incarnation == 0 || (c->incarnation.load(std::memory_order_relaxed) == incarnation &&
                                !(c->attention & cell::restarting));
}

// Mail for one incarnation on another scheduler: which one lives is looked at there, where it changes.
struct pinned_mail {
    envelope* e;
    std::uint32_t incarnation;
    pinned_mail(envelope* m, std::uint32_t n) noexcept : e{m}, incarnation{n} {}
    pinned_mail(pinned_mail&& o) noexcept : e{std::exchange(o.e, nullptr)}, incarnation{o.incarnation} {}
    pinned_mail(const pinned_mail&) = delete;
    pinned_mail& operator=(const pinned_mail&) = delete;
    ~pinned_mail() {
        if (e) release(e);
    }
    void operator()(scheduler& s) {
        envelope* m = std::exchange(e, nullptr);
        cell* target = s.find(m->target);
        if (target && lives_as(target, incarnation)) s.deliver(m);
        else s.undeliverable(m, errc::down);
    }
};

}  // namespace

errc scheduler::refusal(const cell* c, const envelope* e) noexcept {
    if (e->lane == lane::system) return errc::ok;
    const auto seen = c->full.load(std::memory_order_relaxed);
    if (seen == cell::refusing) return errc::stopping;
    if (seen == cell::at_bound && e->lane == lane::normal && !(e->flags & envelope::waits_for_room))
        return errc::mailbox_full;
    return errc::ok;
}

errc scheduler::send(const address& to, envelope* e) {
    actor_id id = to.id();
    const auto refuse = [&](errc why) {
        node->bury(e, why, to.name() ? to.to_string() : std::string{});
        e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);  // the caller is told by the result
        release(e);
        return why;
    };
    if (to.is_remote()) [[unlikely]] {
        const errc outcome = node->net ? node->net->send(to, e) : errc::unreachable;
        return outcome == errc::ok ? errc::ok : refuse(outcome);
    }
    if (id == 0) return refuse(errc::down);
    if (scheduler_of(id) == index) {
        cell* c = find(id);
        if (!c && to.name() && !to.incarnation()) {
            id = to.current();
            e->target = id;
            if (id == 0) return refuse(errc::down);
            if (scheduler_of(id) != index) return remote(e, scheduler_of(id)), errc::ok;
            c = find(id);
        }
        if (!c || !lives_as(c, to.incarnation())) return refuse(errc::down);
        const errc outcome = deliver_checked(c, e);
        return outcome == errc::ok ? errc::ok : refuse(outcome);
    }
    std::uint32_t target = scheduler_of(id);
    scheduler* there = table[target].load(std::memory_order_acquire);
    const cell* c = there ? there->peek(id) : nullptr;
    if (!c || c->published_id.load(std::memory_order_relaxed) != id) {
        // Ended, as far as this thread can see. By name its successor is found.
        id = to.name() && !to.incarnation() ? to.current() : 0;
        if (id == 0 || id == to.id()) return refuse(errc::down);
        e->target = id;
        if (scheduler_of(id) == index) return send(address{id, nullptr}, e);
        target = scheduler_of(id);
        there = table[target].load(std::memory_order_acquire);
        c = there ? there->peek(id) : nullptr;
        if (!c) return refuse(errc::down);
    }
    if (there->node != node) [[unlikely]] {
        const auto link = node->links.find(there->node);
        if (link == node->links.end()) return refuse(errc::unreachable);
        const errc outcome = link->second->carry(e);
        return outcome == errc::ok ? errc::ok : refuse(outcome);
    }
    if (const errc outcome = refusal(c, e); outcome != errc::ok) return refuse(outcome);
    if (to.incarnation()) {
        return post_control(target, pinned_mail{e, to.incarnation()}) ? errc::ok : errc::down;
    }
    remote(e, target);
    return errc::ok;
}

namespace {

// Messages on their way to another scheduler, as one control envelope: the far end can ask memory for all of them at once, where
// of a list it would learn of each from the one before it.
struct mail_batch {
    std::uint32_t count = 0;
    envelope* held[limits::remote_batch];
};

void deliver_batch(scheduler& s, envelope* e) {
    const mail_batch& batch = body<mail_batch>(e);
    for (std::uint32_t i = 0; i < batch.count; ++i) __builtin_prefetch(batch.held[i]);
    for (std::uint32_t i = 0; i < batch.count; ++i) s.deliver(batch.held[i]);
}

envelope* make_batch(std::uint32_t target, envelope* first) {
    static constexpr control_type type{{0, "batch", lane::system, false, nullptr, nullptr}, &deliver_batch};
    void* block = pool_alloc(envelope_bytes<mail_batch>);
    auto* e = ::new (block) envelope{nullptr,
                                     &type,
                                     actor_id{target} << 54,
                                     0,
                                     0,
                                     static_cast<std::uint16_t>(envelope_bytes<mail_batch> / 64),
                                     envelope::is_control,
                                     lane::system};
    auto* batch =
        ::new (static_cast<void*>(static_cast<std::byte*>(block) + body_offset<mail_batch>)) mail_batch;
    batch->held[batch->count++] = first;
    return e;
}

}  // namespace

void scheduler::remote(envelope* e, std::uint32_t target) {
    outbox& o = outboxes[target];
    if (o.count == 0) {
        o.held = e;
        o.next_dirty = first_dirty;
        first_dirty = &o;
    } else {
        if (o.count == 1) o.held = make_batch(target, o.held);
        mail_batch& batch = body<mail_batch>(o.held);
        batch.held[batch.count++] = e;
    }
    ++o.count;
    ++o.sent;
    // An actor in a thread of its own may block before its next await: what it sends leaves at once.
    if (o.count == limits::remote_batch || own_thread) flush(o);
    if (o.sent - o.marked >= limits::remote_window / 4) [[unlikely]]
        put_marker(o);
}

// Tells this side how far the other has come, in order with the mail.
void scheduler::put_marker(outbox& o) {
    o.marked = o.sent;
    post_control(o.target, [&o, n = o.sent](scheduler&) { o.passed.store(n, std::memory_order_relaxed); });
}

void scheduler::flush(outbox& o) {
    outbox** place = &first_dirty;
    while (*place != &o) place = &(*place)->next_dirty;
    *place = o.next_dirty;
    const int count = std::exchange(o.count, 0);
    envelope* const held = std::exchange(o.held, nullptr);
    scheduler* there = table[o.target].load(std::memory_order_acquire);
    if (there && there->push(held)) return;
    if (count == 1) return undeliverable(held, errc::down);
    const mail_batch& batch = body<mail_batch>(held);
    for (std::uint32_t i = 0; i < batch.count; ++i) undeliverable(batch.held[i], errc::down);
    release(held);
}

// Before the push: once that is done it may be too late for the look that it is meant for, and the next one may be far.
[[gnu::noinline]] void scheduler::tell_arrival() noexcept {
    std::int64_t asked = turn_meter::wanted;
    arrived.compare_exchange_strong(asked, node->clock(), std::memory_order_relaxed);
}

bool scheduler::push(envelope* e) noexcept {
    if (arrived.load(std::memory_order_relaxed) == turn_meter::wanted) [[unlikely]]
        tell_arrival();
    envelope* head = inbox.load(std::memory_order_relaxed);
    for (;;) {
        if (head == closed_tag()) return false;
        const bool wakes = head == idle_tag();
        e->next = wakes ? nullptr : head;
        if (wakes) [[unlikely]]
            wakers.fetch_add(1, std::memory_order_relaxed);  // told with the exchange
        const bool pushed =
            inbox.compare_exchange_weak(head, e, std::memory_order_acq_rel, std::memory_order_relaxed);
        if (pushed && wakes) drive->wake();  // invariant 4: only the one that replaced the tag
        if (wakes) [[unlikely]]
            wakers.fetch_sub(1, std::memory_order_release);
        if (pushed) return true;
    }
}

bool scheduler::post_envelope(std::uint32_t target, envelope* e) noexcept {
    scheduler* here = current_scheduler;
    if (here && scheduler_of(e->target) == target) {
        if (here->index == target) {
            // To itself: in its turn, not within the caller's.
            if (here->push(e)) return true;
            release(e);
            return false;
        }
        here->remote(e, target);
        return true;
    }
    scheduler* there = target <= limits::schedulers ? table[target].load(std::memory_order_acquire) : nullptr;
    if (there && there->push(e)) return true;
    if (e->flags & envelope::owes_reply) send_failure(e, errc::down);
    else release(e);
    return false;
}

errc scheduler::send_from_outside(const address& to, envelope* e, node_core* sender) {
    if (scheduler* here = current_scheduler) return here->send(to, e);
    if (to.is_remote()) {
        const errc outcome = sender && sender->net ? sender->net->send(to, e) : errc::unreachable;
        if (outcome == errc::ok) return outcome;
        if (sender) sender->bury(e, outcome, to.to_string());
        e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
        release(e);
        return outcome;
    }
    actor_id id = to.id();
    node_core* last_known = nullptr;
    for (int attempt = 0; attempt < 2; ++attempt) {
        scheduler* there = id ? table[scheduler_of(id)].load(std::memory_order_acquire) : nullptr;
        const cell* c = there ? there->peek(id) : nullptr;
        if (c && c->published_id.load(std::memory_order_relaxed) == id) {
            e->target = id;
            if (const errc outcome = refusal(c, e); outcome != errc::ok) {
                there->node->bury(e, outcome, {});
                e->flags &=
                    static_cast<std::uint8_t>(~envelope::owes_reply);  // the caller is told by the result
                release(e);
                return outcome;
            }
            if (to.incarnation())
                return post_control(scheduler_of(id), pinned_mail{e, to.incarnation()}) ? errc::ok
                                                                                        : errc::down;
            return post_envelope(scheduler_of(id), e) ? errc::ok : errc::down;
        }
        if (there) last_known = there->node;
        id = to.name() && !to.incarnation() ? to.current() : 0;
    }
    if (last_known) last_known->bury(e, errc::down, to.name() ? to.to_string() : std::string{});
    e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
    release(e);
    return errc::down;
}

}  // namespace coppice::detail
