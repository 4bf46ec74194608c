// strand and cell: what the runtime keeps of a chain of coroutines and of an actor. Touched by the owning scheduler's
// thread alone, except for the members marked "any thread". Cells live in type-stable storage: they are recycled, never
// freed while their scheduler lives, so a stale actor_id is recognised by its generation without a reference count.
//
// A cell is the logical actor: it keeps mailbox, name and id while a supervisor puts one incarnation after another into
// it. What few actors need (lanes, monitors, links, groups, timers, own tasks) stands in cell_ext, made on first use.
#pragma once
#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>

#include "coppice/detail/envelope.hpp"
#include "coppice/detail/timer.hpp"
#include "coppice/protocol.hpp"

namespace coppice::detail {

struct cell;
struct cell_ext;
struct scheduler;
struct strand;
struct name_entry;

struct pending;
/// What all operations of one sort have in common.
struct pending_kind {
    /// Runs on the owner thread while the strand is suspended; it either makes the strand ready again, or hastens the
    /// operation, whose completion then does so.
    void (*cancel)(pending*, strand*) noexcept;
    const char* what;      // for inspect: "receive", "ask", "sleep", ...
    bool selects = false;  // a select_base
};
/// An operation that a strand is suspended on. One word: it stands in every frame that awaits.
struct pending {
    const pending_kind* kind;
    explicit pending(const pending_kind& k) noexcept : kind{&k} {}
    void cancel(strand* s) noexcept { kind->cancel(this, s); }
};

/// One chain of coroutines that runs by itself: an actor's main one, or a task or race branch of it.
struct strand {
    enum run_state : std::uint8_t {
        none,     // not in use
        queued,   // in the run queue, exactly once
        running,  // on the scheduler's stack
        waiting,  // suspended on `op`
        vacant,   // main strand only: no coroutine; ended, or between two incarnations
        // from here on mail is looked at when it arrives
        receiving,  // main strand only: suspended in receive(); any mail makes it ready
        filtering,  // main strand only: suspended in a selective receive; mail that it takes makes it ready
    };
    enum flag : std::uint8_t {
        is_main = 1,
        cancel_once = 2,     // the next or current await is cancelled, once
        cancel_all = 4,      // every await throws
        starting = 8,        // its starter waits to hear how the start went
        has_sides = 32,      // main: own tasks or branches run beside it
        woken_by_mail = 64,  // the mail may be gone again when its turn comes: looked at then
        timed = 128,         // queued: how long it waits for its turn is measured
        finished = 16,       // its outermost coroutine is done; the scheduler clears up after it
    };
    strand() noexcept {}
    std::coroutine_handle<> resume{};
    strand* run_next = nullptr;
    pending* op = nullptr;
    scheduler* sched = nullptr;
    run_state state = none;
    std::uint8_t flags = 0;
    [[nodiscard]] bool cancel_requested() const noexcept { return flags & (cancel_once | cancel_all); }
};

/// A strand that is not an actor's main one: own task, race or gather branch. Freed by its owner after `done`.
struct side_strand : strand {
    cell* owner = nullptr;
    std::coroutine_handle<> frame{};
    std::exception_ptr failure;
    void (*done)(side_strand*) noexcept = nullptr;  // on the owner thread, once; may free the strand
    side_strand* next = nullptr;                    // in cell_ext::side_list
    side_strand* prev = nullptr;
};

struct ask_wait;

struct alignas(64) cell : strand {
    // Bits of `attention`: anything that takes receive() or delivery off its fast path.
    enum attention_bit : std::uint16_t {
        stop_now = 1,        // receive() is empty from now on
        draining = 2,        // no new mail; receive() is empty once the mailbox is
        kill = 4,            // every await throws
        has_system = 8,      // mail in the system lane
        has_priority = 16,   // mail in the priority lane
        side_receiver = 32,  // a side strand is in receive()
        ended = 64,          // its coroutine is done: joins tasks, timers, children
        restarting = 128,    // vacant, but its supervisor will put a new incarnation in
        wedged = 256,        // the test world keeps it from running
        awaits_ready = 512,  // ready is told by self.ready(), not by the first suspension
        proxy = 1024,        // stands in its parent's list for a child on another scheduler; runs nothing
        closed = 2048,       // takes no new mail: it will not come back
        has_policy = 4096,   // its overflow policy is not reject: delivery looks at the mailbox first
        has_waiters = 8192,  // mail of send_wait waits for room: what is sent plainly would overtake it
        paused =
            16384,  // what is not system mail waits, until the actor is to end; of a supervisor: only below it
        followed = 32768,  // what it takes is told to those who follow its mail: src/mail_tap.hpp
        outlives_incarnation = has_system | has_priority | has_policy | has_waiters | paused | followed,
        refuses = draining | closed,
        asked_to_end = stop_now | draining | kill,
    };
    enum fullness : std::uint8_t {
        open = 0,
        at_bound = 1,
        refusing = 2,  // takes no new mail: it is asked to end
    };
    // -- first cache line: what a send and a switch touch
    std::uint16_t attention = 0;
    std::uint32_t length = 0;  // mail in the normal lane
    envelope* head = nullptr;
    envelope* tail = nullptr;
    std::atomic<actor_id> id{0};
    // -- second: what asks, receives and spawns touch
    std::uint32_t capacity = 0;
    std::uint32_t next_correlation = 1;
    ask_wait* asks = nullptr;
    std::coroutine_handle<> frame{};
    const message_type* in_hand = nullptr;
    std::uint64_t received = 0;
    cell* parent = nullptr;  // outlives its children
    cell* last_child = nullptr;
    cell* previous_sibling = nullptr;
    // -- third: what other threads read, with little beside it that changes, or every switch here would cost every sender there
    // the line
    std::atomic<actor_id> published_id{0};  // any thread may read: id
    cell* next_sibling = nullptr;
    cell_ext* ext = nullptr;
    name_entry* name = nullptr;  // constant from start to end
    std::atomic<const protocol_info*> protocol{
        nullptr};  // any thread may read: resolve() does, by a path that may lead here no more
    std::atomic<actor_id> waits_for{0};  // any thread: callee of the ask that the main strand is suspended on
    std::atomic<std::uint32_t> incarnation{1};  // any thread may read
    std::atomic<std::uint8_t> full{0};          // any thread may read: a fullness
    std::uint8_t level_cache = 0;               // log level of its subtree ...
    std::uint32_t level_version = 0;            // ... as of this version of the node's table

    [[nodiscard]] actor_id self_id() const noexcept { return id.load(std::memory_order_relaxed); }
    void set_id(actor_id value) noexcept {
        id.store(value, std::memory_order_relaxed);
        published_id.store(value, std::memory_order_relaxed);
    }
};
static_assert(sizeof(cell) == 192);

inline cell* owner_of(strand* s) noexcept {
    return s->flags & strand::is_main ? static_cast<cell*>(s) : static_cast<side_strand*>(s)->owner;
}

}  // namespace coppice::detail
