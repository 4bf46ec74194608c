// What only some actors need, made on first use: lanes beyond the normal one, monitors, links, groups, timers, own tasks,
// the spec under a supervisor, the state of an end under way. Owner thread only.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "coppice/actor.hpp"
#include "coppice/detail/operations.hpp"
#include "coppice/detail/scheduler.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/supervisor.hpp"

namespace coppice::net {
class router;
}

namespace coppice::detail {

struct mail_queue {
    envelope* head = nullptr;
    envelope* tail = nullptr;
    std::uint32_t length = 0;
    void push(envelope* e) noexcept {
        e->next = nullptr;
        if (head) tail->next = e;
        else head = e;
        tail = e;
        ++length;
    }
    envelope* pop() noexcept {
        envelope* e = head;
        if (e) {
            head = e->next;
            --length;
        }
        return e;
    }
};

/// A timer that sends: see actor::send_after. Recycled, never freed while its scheduler lives.
struct mail_timer : timer_node {
    cell* owner = nullptr;
    std::uint64_t id = 0;  // 0: not in use
    address to;
    std::int64_t period = 0;
    std::function<envelope*(actor_id, actor_id)> make;
    mail_timer* following = nullptr;
    mail_timer* preceding = nullptr;
};

/// Tells a starter how the start went: null, or the reason.
using start_listener = std::function<void(const exit_reason*)>;

struct mail_taps;  // mail_tap.hpp

struct cell_ext {
    cell_ext() = default;
    cell_ext(const cell_ext&) = delete;
    cell_ext& operator=(const cell_ext&) = delete;
    ~cell_ext() {
        for (timer_node* t : {&start_timer, &child_timer, &own_limit})
            if (t->linked()) t->unlink();
    }

    mail_queue system;
    mail_queue priority;
    mail_queue stashed;
    overflow policy = overflow::reject;
    bool traps_exits = false;
    bool supervises = false;
    // Asked to stop while it was vacant: attention bits of the next incarnation.
    std::uint16_t stop_at_start = 0;
    std::uint32_t restarts = 0;

    space_wait* first_waiter = nullptr;
    space_wait* last_waiter = nullptr;
    strand* receiver = nullptr;  // the side strand in receive(), while attention has side_receiver

    struct watcher {
        address who;
        std::uint64_t id;
    };
    std::vector<watcher> watchers;  // they get a down
    std::unordered_map<std::uint64_t, address>
        watching;  // it gets a down of these, by monitor; until that has come
    std::vector<std::uint64_t> cancelled_monitors;  // a down of these may still be under way
    std::vector<address> links;
    std::vector<std::string> groups;
    mail_timer* timers = nullptr;
    side_strand* side_list = nullptr;  // own tasks and branches that have not finished
    std::function<void(const undelivered_mail&)> undelivered;
    std::shared_ptr<mail_taps> taps;  // of those who follow its mail, while attention has followed

    std::shared_ptr<const child_spec> spec;
    start_listener on_start;
    timer_node start_timer;
    cell* owner = nullptr;  // for timers

    std::optional<exit_reason> verdict;  // how it will have ended: from fail(), link, kill, a task's failure
    exit_reason reason;                  // of the end under way
    timer_node child_timer;              // limit of the child that is being ended
    int child_stage = 0;                 // 1: asked to end, 2: killed
    cell* ending_child = nullptr;
    timer_node own_limit;  // set by shutdown(who, within) from outside its family

    bool discarding = false;     // a vacant child, within the loop that ends children
    bool kill_children = false;  // the rest of its children are killed, not asked

    // A child on another scheduler: there its cell, here a proxy in the parent's list.
    actor_id remote = 0;         // proxy: the actor there; 0 until it has started
    bool remote_vacant = false;  // proxy: the actor there waits for restart or discard
    std::uint32_t remote_scheduler = 0;
    bool responds = false;          // proxy: that scheduler has come to an await since the kill
    bool own_thread = false;        // proxy: that scheduler is the child's alone
    std::function<void()> on_gone;  // proxy: told when nothing of the child is left
    actor_id proxy_id = 0;          // child: its proxy on the parent's scheduler
    std::uint32_t process_id = 0;   // keeper of a process: its number, while it runs
    address process_actor;          // keeper of a process: the actor in it, while that takes mail
    bool supervised = false;        // its end is its supervisor's to judge: the cell stays, vacant
};

/// Takes a timer out of its actor's list and out of the wheel.
void recycle(mail_timer* t) noexcept;

inline cell_ext& ext_of(cell* c) {
    if (!c->ext) {
        c->ext = new cell_ext;
        c->ext->owner = c;
    }
    return *c->ext;
}

// ---- operations.cpp: the senders that wait for room in a mailbox, owner thread
void queue_for_space(cell* c, space_wait* w) noexcept;
void leave_queue(cell* c, space_wait* w) noexcept;
/// Puts mail into a mailbox on that scheduler as soon as it has room, and then tells, on that thread. Any thread.
void deliver_when_room(std::uint32_t target, envelope* mail, std::function<void(errc)> tell);

/// One message, sent as send_wait sends, from a thread that is no scheduler's. Those of one thread to one actor stay in order. While
/// the node lives.
class outside_send {
public:
    outside_send(node_core& sender, const address& to) noexcept;
    /// ok: it goes out, and what takes its room meanwhile does not make it lost. `mailbox_full`: there is none, or so many that other
    /// threads sent there are under way; `mail` is still the caller's. Else it is a dead letter.
    errc if_room(envelope*& mail, std::uint64_t most_under_way);
    /// Waits for room at the receiver. `told` is called once, on a scheduler's thread, with what send_wait would give; it is
    /// destroyed uncalled if the node ends.
    void when_room(envelope* mail, std::function<void(errc)> told);
    /// Of what waits: unless it has just been told otherwise, it is told `cancelled` and the message is gone.
    void withdraw() const;

private:
    node_core* node_;
    address to_;
    net::router* net_;
    actor_id at_;
    std::uint64_t ticket_ = 0;
};

/// It is paused, and to take nothing but system mail. One that is to end takes what it has; a supervisor goes on judging ends and
/// starting children, so that what is below it can be ended and started while it is paused.
inline bool is_held(const cell* c) noexcept {
    return (c->attention & cell::paused) && !(c->attention & cell::asked_to_end) &&
           !(c->ext && c->ext->supervises);
}

/// What a supervisor learns of a child: system mail, internal.
struct child_ended {
    static constexpr auto lane = coppice::lane::system;
    cell* child;
    actor_id id;
    exit_reason reason;
};

/// The strand waits in receive() or a selective one; or it is ready to go on from there.
bool is_in_receive(const strand* s) noexcept;

/// The actor whose extension embeds a timer.
template <timer_node cell_ext::* Member>
cell* owner_of_timer(timer_node* t) noexcept {
    alignas(cell_ext) static std::byte probe[sizeof(cell_ext)];
    auto* base = reinterpret_cast<cell_ext*>(probe);
    const auto offset = reinterpret_cast<std::byte*>(&(base->*Member)) - probe;
    return reinterpret_cast<cell_ext*>(reinterpret_cast<std::byte*>(t) - offset)->owner;
}

/// As exit_reason::from, and tells whether it was a cancellation. Each look into an exception_ptr throws: one look is enough.
exit_reason reason_of(const std::exception_ptr& failure, std::string origin, std::string_view message,
                      bool* was_cancelled);

// ---- life.cpp: starts and ends, owner thread
struct life {
    /// drain: handle what is in the mailbox first. keep_mail: the mailbox is for the next incarnation.
    static void request_stop(cell* c, bool drain, bool keep_mail = false) noexcept;
    static void request_kill(cell* c, exit_reason why) noexcept;
    /// The actor and all below it, wherever that runs.
    static void set_paused(cell* c, bool paused);
    static void begin_end(cell* c, exit_reason reason);
    static void side_finished(side_strand* s);
    static void started(cell* c, const exit_reason* failure);
    static void start_local(cell* c, std::shared_ptr<const child_spec> spec, start_listener told);
    /// Gives a vacant cell, or the one behind a proxy, a new incarnation.
    static void restart(cell* c, start_listener told);
    /// Ends a vacant cell, or the one behind a proxy, for good.
    static void discard(cell* c);
    /// Asks a child to end, within its limit; its parent hears of it by child_ended, or goes on with its own end.
    static void end_child(cell* parent, cell* child, bool keep_mail);
    /// Kills a child that is behind a proxy, to be judged like one that has ended by itself; its parent hears of it by
    /// child_ended, also when its thread does not come to an await and is left behind.
    static void kill_child(cell* parent, cell* proxy, const exit_reason& why);
    static void child_gone(cell* proxy_or_child);
    static void child_is_there(cell* proxy, actor_id id);

private:
    friend struct scheduler;
    static void continue_end(cell* c);
    static void end_next_child(cell* c);
    static void complete_end(cell* c);
    static void vacated(cell* parent, cell* child, const exit_reason& reason);
    static void child_limit_passed(timer_node* t) noexcept;
    static void kill_remote(cell* proxy, const exit_reason& why);
    static void abandon(cell* parent, cell* proxy);
    static void leave_incarnation(cell* c, const exit_reason& reason);
    static void drop_mail(cell* c);
    static void give_up_names(cell* c);
    static void retire(cell* c);
    static void run_incarnation(cell* c, start_listener told);
};

}  // namespace coppice::detail
