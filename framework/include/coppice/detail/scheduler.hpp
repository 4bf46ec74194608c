// The scheduler: one thread's run queue and the actors that are pinned to it. This header holds the hot paths that user
// code inlines (delivery, run queue, spawn); the rest is framework/src/scheduler.cpp.
//
//        other threads                      owner thread
//   push() ──► inbox (newest-first) ──► accept() ──► deliver() ──► mailbox of a cell ──► run queue ──► resume
//                         ▲ one wake() per sleep                  self.send() ──┘
//
// Invariants (tests/unit, tests/stress):
//  1. A strand is in the run queue at most once: only states waiting, receiving and filtering are made ready.
//  2. Mail of one sender to one receiver is FIFO: a sender is on one scheduler, its outbox and the inbox keep order.
//  3. A wake-up is never lost: whoever finds idle_tag in the inbox wakes the driver, and the owner puts idle_tag there only
//     by a compare-exchange from empty.
//  4. A sleeping scheduler is woken once, however many senders find it: only the one that replaces idle_tag does.
//  5. A frame is freed only after its pending operations have completed.
//  6. Nobody is in wake() once close() has returned: what it wakes may be gone then.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "coppice/detail/cell.hpp"
#include "coppice/error.hpp"
#include "coppice/ref.hpp"
#include "coppice/task.hpp"

namespace coppice {
enum class priority : std::uint8_t;
class poller;
}  // namespace coppice

namespace coppice::detail {

struct node_core;
struct timer_wheel;
class turn_meter;
struct mail_timer;
struct scheduler;

/// The scheduler that this thread is draining, or null.
extern constinit thread_local scheduler* current_scheduler;

class drive_lease;

/// What a scheduler stands on: an io_context of its own or of the user, or the test world.
struct driver {
    virtual ~driver() = default;
    /// Have scheduler::drain() called on the owner thread, soon. Any thread.
    virtual void wake() = 0;
    /// Have scheduler::drain() called at `deadline` (clock of the node) or earlier; max() for never. Owner thread.
    virtual void arm(std::int64_t deadline) = 0;
    /// The io_context, for Asio's operations; null where there is none.
    virtual void* io_context() noexcept { return nullptr; }
    /// By which other threads run it for a while; null where that cannot be. Owner thread.
    virtual std::shared_ptr<drive_lease> lease() noexcept { return nullptr; }
};

/// A reply that an ask waits for.
struct ask_wait : pending {
    using pending::pending;
    ask_wait* next = nullptr;
    envelope* reply = nullptr;
    strand* waiter = nullptr;
    cell* owner = nullptr;
    timer_node timer;
    std::uint32_t correlation = 0;
    errc failure = errc::ok;
};

/// A closure that runs on another scheduler's thread.
template <class F>
struct control_body {
    F run;
};
struct control_type : message_type {
    void (*run)(scheduler&, envelope*);
};

struct failure_body {
    error why;
};

struct alignas(64) scheduler {
    static constexpr std::uint32_t chunk_bits = 10;
    static constexpr std::uint32_t chunk_size = 1u << chunk_bits;
    static constexpr std::uint32_t max_chunks = limits::actors_per_scheduler / chunk_size;
    static constexpr std::uint32_t last_generation = 0xffff'ffffu;
    static constexpr int least_turn = 16;  // messages that a woken actor may always take
    static constexpr int longest_turn = 8192;

    // -- the run queue
    strand* run_head = nullptr;
    strand* run_tail = nullptr;
    strand* newest = nullptr;  // stack of strands that have not run yet
    int budget = 0;            // resumptions and messages left of this turn
    int quantum = 0;  // messages left that the running actor may take without going to the queue's end
    int granted = 0;
    std::uint32_t index = 0;
    std::uint32_t sample_in = 1;  // turns until the next one that is measured
    bool awake = false;           // a drain is running or asked for; false also while turn_meter is armed
    bool draining = false;
    bool again = false;       // resume the same strand once more: its child finished. False between turns
    bool own_thread = false;  // of one actor in_thread, alone
    bool old_turn = false;    // alternates between run queue and newest
    cell* free_cells = nullptr;
    std::int64_t now = 0;  // the node's clock as of this turn's last look, nanoseconds
    std::uint64_t live = 0;
    std::uint64_t proxies = 0;  // of these, cells that stand for a child on another scheduler
    timer_list fresh_timers;
    mail_timer* free_mail_timers =
        nullptr;  // kept until the scheduler ends, so that a stale handle is recognised by its id
    std::uint64_t last_mail_timer = 0;
    std::uint32_t default_capacity = limits::mailbox;
    std::unique_ptr<timer_wheel> wheel;
    std::unique_ptr<turn_meter> meter;
    std::vector<poller*>
        pollers;  // looked at after turns and before sleeps; null: removed, not yet forgotten

    // -- towards other schedulers
    struct outbox {
        envelope* held = nullptr;  // one message, or a batch of them
        outbox* next_dirty = nullptr;
        int count = 0;
        std::uint32_t target = 0;
        bool dirty = false;
        // The window of send_wait: what was sent, up to where a marker was put in, and what the far end has passed.
        std::uint64_t sent = 0;
        std::uint64_t marked = 0;
        std::atomic<std::uint64_t> passed{0};
    };
    outbox* first_dirty = nullptr;
    std::unique_ptr<outbox[]> outboxes;

    // -- from threads that are no scheduler's: the window of what they send as send_wait does (outside_send)
    struct {
        std::atomic<std::uint64_t> sent{0};
        std::atomic<std::uint64_t> marked{0};
        std::atomic<std::uint64_t> passed{0};  // written by the owner only
    } from_outside;
    bool simulated = false;  // of the test world: it has no thread
    priority simulated_priority{};
    bool single_message = false;  // the test world lets an actor take one message only

    // -- what other threads watch (inspect, tests)
    std::atomic<std::uint64_t> switches{0};  // written by the owner only
    std::atomic<actor_id> running{0};
    std::atomic<std::int64_t> last_look{0};  // `now`, published
    std::atomic<std::uint64_t> sleeps{0};
    std::atomic<std::uint64_t> live_published{0};
    std::atomic<std::uint64_t> placed{0};  // starts that chose this one as the least loaded
    // Polling before sleep. An idle time that was shorter than the limit is one that polling covers, whether it was polled
    // or slept through: a scheduler that sleeps learns so that it should poll.
    std::int64_t poll_limit = 0;  // nanoseconds; 0: never
    std::int64_t idle_since = 0;  // when it last ran out of work; 0: it has some
    int poll_score = 256;         // moving average of the idle times that were short, of 256

    // nullptr: awake, nothing there. idle_tag: asleep, whoever pushes must wake. closed_tag: takes nothing any more.
    // Else a chain of envelopes, newest first.
    static envelope* idle_tag() noexcept { return reinterpret_cast<envelope*>(std::uintptr_t{1}); }
    static envelope* closed_tag() noexcept { return reinterpret_cast<envelope*>(std::uintptr_t{2}); }
    alignas(64) std::atomic<envelope*> inbox{nullptr};
    std::atomic<int> wakers{0};  // who has found idle_tag: in wake(), or came too late for it
    // When some mail was pushed; 0: nobody wants to know; turn_meter::wanted: who pushes next is to tell.
    std::atomic<std::int64_t> arrived{0};
    // A line that every sender reads, and nobody writes while messages flow.
    alignas(64) node_core* node = nullptr;
    driver* drive = nullptr;
    std::unique_ptr<std::atomic<cell*>[]> chunks;  // fixed directory: other threads may read it
    std::uint32_t chunks_made = 0;

    explicit scheduler(node_core& owner, std::uint32_t default_mailbox);
    ~scheduler();
    scheduler(const scheduler&) = delete;
    scheduler& operator=(const scheduler&) = delete;

    /// All schedulers of the process, by index. The last place is that of ids of other nodes, and stays empty.
    static std::atomic<scheduler*> table[limits::schedulers + 2];
    /// The scheduler that this thread is draining, or null.
    static scheduler* current() noexcept { return current_scheduler; }
    /// Makes a scheduler the current one of this thread, for what runs on its thread outside a drain (the test world).
    class as_current {
    public:
        explicit as_current(scheduler& s) noexcept;
        ~as_current();
        as_current(const as_current&) = delete;
        as_current& operator=(const as_current&) = delete;

    private:
        scheduler* outer_;
    };

    // ---- turns (owner thread)
    void drain();
    bool run_some();  // one budget; true if more is ready
    /// Takes no more mail: what comes from now on is undeliverable. The last thing that its thread does.
    void close();
    /// Runs a strand whose Asio operation has completed, on the owner thread, outside or inside a turn.
    void resume_from_io(strand* s) noexcept;
    void run_strand(strand* s);
    void run_one(strand* s, int longest);
    std::uint32_t run_measured(strand* s, int longest);
    bool may_begin(strand* s);
    void accept();
    void look_at_clock();
    bool poll();
    bool look_at_pollers();
    bool pollers_agree_to_sleep();
    void end_idle() noexcept;
    void fire_timers();
    void add_timer(timer_node* t, std::int64_t duration) noexcept {
        t->when = duration;
        fresh_timers.push_back(t);
    }
    void add_deadline(timer_node* t, std::int64_t deadline) noexcept;
    std::int64_t next_deadline();
    void settle_fresh_timers();
    void ask_for_drain();
    void make_ready_slowly(strand* s);  // it is in a queue: asks for a drain, or marks it
    void tell_arrival() noexcept;

    // ---- the run queue (owner thread)
    [[gnu::always_inline]] void push_run(strand* s) noexcept {
        s->state = strand::queued;
        s->run_next = nullptr;
        if (run_tail) run_tail->run_next = s;
        else run_head = s;
        run_tail = s;
    }
    [[gnu::always_inline]] void push_run_first(strand* s) noexcept {
        s->state = strand::queued;
        s->run_next = run_head;
        run_head = s;
        if (!run_tail) run_tail = s;
    }
    // With a thousand actors in turn, what the next one touches first is not in the nearest cache any more. Its own line
    // was asked for when it became the next but one.
    [[gnu::always_inline]] static void look_ahead(const strand* next) noexcept {
        const auto* frame = static_cast<const char*>(next->resume.address());
        __builtin_prefetch(frame);
        __builtin_prefetch(frame + 64);
        if (next->flags & strand::is_main) __builtin_prefetch(static_cast<const cell*>(next)->head);
        if (const auto* then = reinterpret_cast<const char*>(next->run_next)) {
            __builtin_prefetch(then);
            __builtin_prefetch(then + 64);
        }
    }
    [[gnu::always_inline]] strand* pop_run() noexcept {
        // The newest of those that never ran alternate with the queue: a fan-out of a million lives depth first, in
        // little memory, and starves nobody.
        if (newest && (old_turn || !run_head)) {
            strand* s = newest;
            newest = s->run_next;
            old_turn = false;
            return s;
        }
        strand* s = run_head;
        if (s) {
            run_head = s->run_next;
            if (!run_head) run_tail = nullptr;
            else look_ahead(run_head);
            old_turn = true;
        }
        return s;
    }
    [[gnu::always_inline]] void make_ready(strand* s) noexcept {
        push_run(s);
        if (!awake) [[unlikely]]
            make_ready_slowly(s);
    }

    // ---- cells (owner thread, but for peek)
    [[gnu::always_inline]] cell* at(std::uint32_t slot) noexcept {
        return &chunks[slot >> chunk_bits].load(std::memory_order_relaxed)[slot & (chunk_size - 1)];
    }
    /// The living actor of that id, or null. The id must be of this scheduler.
    [[gnu::always_inline]] cell* find(actor_id id) noexcept {
        const std::uint32_t slot = slot_of(id);
        static_assert(std::uint64_t{max_chunks} * chunk_size == slot_of(~actor_id{0}) + std::uint64_t{1});
        cell* chunk = chunks[slot >> chunk_bits].load(std::memory_order_relaxed);
        if (!chunk) [[unlikely]]
            return nullptr;
        cell* c = &chunk[slot & (chunk_size - 1)];
        return c->self_id() == id ? c : nullptr;
    }
    /// Any thread: the cell of that slot, of which only the members marked so may be read.
    cell* peek(actor_id id) noexcept {
        const std::uint32_t slot = slot_of(id);
        if ((slot >> chunk_bits) >= max_chunks) return nullptr;
        cell* chunk = chunks[slot >> chunk_bits].load(std::memory_order_acquire);
        return chunk ? &chunk[slot & (chunk_size - 1)] : nullptr;
    }
    bool grow();
    [[gnu::always_inline]] cell* new_cell(cell* parent) {
        if (!free_cells && !grow()) [[unlikely]]
            return nullptr;
        cell* c = free_cells;
        free_cells = c->next_sibling;
        c->attention = 0;
        c->length = 0;
        c->head = nullptr;
        c->capacity = default_capacity;
        c->asks = nullptr;
        c->in_hand = nullptr;
        c->received = 0;
        c->parent = parent;
        c->last_child = nullptr;
        c->next_sibling = nullptr;
        c->previous_sibling = nullptr;
        c->incarnation.store(1, std::memory_order_relaxed);
        c->level_version = 0;
        c->op = nullptr;
        c->flags = strand::is_main;
        if (parent) {
            c->previous_sibling = parent->last_child;
            if (parent->last_child) parent->last_child->next_sibling = c;
            parent->last_child = c;
            c->attention = parent->attention & cell::paused;
        }
        ++live;
        return c;
    }
    /// Gives the actor its coroutine and makes it ready, as the newest.
    [[gnu::always_inline]] void launch(cell* c, task<void>::handle h) noexcept {
        h.promise().self = c;
        h.promise().continuation = h;
        c->frame = c->resume = h;
        c->state = strand::queued;
        c->run_next = newest;
        newest = c;
        if (!awake) [[unlikely]]
            make_ready_slowly(c);
    }
    void recycle(cell* c) noexcept;
    [[gnu::always_inline]] void free_cell(cell* c) noexcept {
        --live;
        const actor_id old = c->self_id();
        if (generation_of(old) == last_generation) [[unlikely]]
            return;  // retired: its ids are used up
        c->set_id(old + 1);
        c->next_sibling = free_cells;
        free_cells = c;
    }
    void unlink_child(cell* c) noexcept {
        if (c->next_sibling) c->next_sibling->previous_sibling = c->previous_sibling;
        else if (c->parent) c->parent->last_child = c->previous_sibling;
        if (c->previous_sibling) c->previous_sibling->next_sibling = c->next_sibling;
        c->next_sibling = c->previous_sibling = nullptr;
    }

    // ---- delivery (owner thread)
    void push_mail(cell* c, envelope* e) noexcept {
        e->next = nullptr;
        if (c->head) c->tail->next = e;
        else c->head = e;
        c->tail = e;
        if (++c->length >= c->capacity) [[unlikely]]
            c->full.store(c->attention & cell::has_policy ? cell::open : cell::at_bound,
                          std::memory_order_relaxed);
        if (c->state >= strand::receiving) {
            if (c->state == strand::receiving && !(c->attention & cell::paused)) [[likely]]
                make_ready(c);
            else filter_mail(c, e);
        } else if (c->attention & cell::side_receiver) [[unlikely]] {
            filter_mail(c, e);
        }
    }
    /// The actor takes normal mail without further ado: push_plainly() will do. What fills the mailbox does not count.
    [[gnu::always_inline]] static bool takes_plainly(const cell* c) noexcept {
        return c->attention == 0 && c->length + 1 < c->capacity;
    }
    [[gnu::always_inline]] void push_plainly(cell* c, envelope* e) noexcept {
        e->next = nullptr;
        if (c->head) c->tail->next = e;
        else c->head = e;
        c->tail = e;
        ++c->length;
        if (c->state == strand::receiving) [[likely]]
            make_ready(c);
        else if (c->state == strand::filtering) [[unlikely]] filter_mail(c, e);
    }
    void deliver(envelope* e);  // what arrived from another scheduler, or by an unusual way
    /// What a sender on another thread is told, by what it can see; ok if nothing is in the way.
    static errc refusal(const cell* c, const envelope* e) noexcept;
    errc deliver_checked(cell* c, envelope* e);  // bounds, policy, lanes, refusal
    void filter_mail(cell* c, envelope* e) noexcept;
    void deliver_reply(envelope* e) noexcept;
    void push_lane(cell* c, envelope* e) noexcept;
    void low_mark(cell* c) noexcept;           // room again: takes parked mail
    void park(cell* c, envelope* e) noexcept;  // mail of send_wait that finds no room
    void undeliverable(envelope* e, errc why) noexcept;

    /// Takes the first of the normal lane. Precondition: there is one.
    [[gnu::always_inline]] envelope* take_head(cell* c) noexcept {
        envelope* e = c->head;
        c->head = e->next;
        if (--c->length == c->capacity / 2) [[unlikely]]
            low_mark(c);
        c->in_hand = e->type;
        ++c->received;
        return e;
    }
    [[nodiscard]] bool expired(envelope* e) const noexcept {
        return (e->flags & envelope::is_ask) && deadline_of(e).deadline <= now;
    }

    // ---- sending
    /// The general way to send: remote, pinned, refused, full, by name, priority. Owner thread. Takes the envelope.
    errc send(const address& to, envelope* e);
    void remote(envelope* e, std::uint32_t target);
    void put_marker(outbox& o);
    void flush(outbox& o);
    void flush_all() {
        while (first_dirty) flush(*first_dirty);
    }
    /// Into the inbox; any thread. False if closed: the envelope is still the caller's.
    bool push(envelope* e) noexcept;
    /// Any thread, also none of ours. `sender`: the node in whose name it is sent, for actors of other nodes.
    static errc send_from_outside(const address& to, envelope* e, node_core* sender = nullptr);
    static bool post_envelope(std::uint32_t target, envelope* e) noexcept;

    // ---- ends and starts (life.cpp)
    void main_finished(cell* c);
    void finish_plain(cell* c) noexcept;
};

/// Runs `f(scheduler&)` on the thread of scheduler `target`, in order with the mail that this thread sends there. If that
/// scheduler is closed, f is destroyed without having run and false is returned.
template <class F>
bool post_control(std::uint32_t target, F f) {
    using body_type = control_body<F>;
    static constexpr control_type type{{0, "control", lane::system, false,
                                        [](envelope* e) noexcept { body<body_type>(e).~body_type(); },
                                        nullptr},
                                       [](scheduler& s, envelope* e) { body<body_type>(e).run(s); }};
    void* block = pool_alloc(envelope_bytes<body_type>);
    auto* e = ::new (block) envelope{nullptr,
                                     &type,
                                     actor_id{target} << 54,
                                     0,
                                     0,
                                     static_cast<std::uint16_t>(envelope_bytes<body_type> / 64),
                                     envelope::is_control | envelope::needs_destroy,
                                     lane::system};
    ::new (static_cast<void*>(static_cast<std::byte*>(block) + body_offset<body_type>))
        body_type{std::move(f)};
    return scheduler::post_envelope(target, e);
}

template <class Promise>
void promise_base::final_awaiter::await_suspend(std::coroutine_handle<Promise> finished) noexcept {
    auto& p = finished.promise();
    if (!p.continuation) return;  // finished within the await that started it
    strand* s = p.self;
    if (p.continuation == finished) {
        s->flags |= strand::finished;  // outermost: the scheduler clears up
    } else {
        s->resume = p.continuation;
        s->sched->again = true;
    }
}

}  // namespace coppice::detail
