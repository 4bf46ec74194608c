// actor<P>: an actor's handle on itself, the first parameter of its function. Copyable, 8 bytes; valid while the actor
// lives, on its own scheduler's thread only. Everything that suspends is awaited: `co_await self.receive()`.
//
//     task<> counter(actor<protocol<add, get>> self, std::uint64_t value) {
//         while (auto m = co_await self.receive())
//             m.match([&](const add& a)   { value += a.amount; },
//                     [&](request<get> r) { r.reply(value); });
//     }
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "coppice/detail/operations.hpp"
#include "coppice/format.hpp"
#include "coppice/log.hpp"
#include "coppice/network.hpp"
#include "coppice/supervisor.hpp"
#include "coppice/wire.hpp"

namespace coppice {

struct process_finding;  // process.hpp

/// Message that an actor ends with, undelivered. The view is valid during the call.
struct undelivered_mail {
    std::string_view type;
    ref<> sender;
    bool was_request;
};

namespace detail {
struct mail_timer;
}

/// A timer that sends messages; a value. Cancelling one that has fired for the last time has no effect. An actor's timers
/// are cancelled with it.
class [[maybe_unused]] timer {
public:
    timer() noexcept = default;
    explicit timer(detail::mail_timer* t, std::uint64_t id) noexcept : timer_{t}, id_{id} {}
    void cancel() noexcept;

private:
    detail::mail_timer* timer_ =
        nullptr;  // type-stable storage of the scheduler; another's once its id differs
    std::uint64_t id_ = 0;
};

/// Depth of a mailbox by lane, and what it has seen.
struct mailbox_depth {
    std::uint32_t normal = 0;
    std::uint32_t priority = 0;
    std::uint32_t system = 0;
    std::uint32_t stashed = 0;
};

template <class T>
class own_task;
template <has_reply M>
struct group_answer;

namespace detail {

// Cold parts of actor<P>, independent of the protocol (actor.cpp).
struct actor_calls {
    static void monitor(cell* self, const address& to, std::uint64_t id);
    static std::uint64_t new_monitor_id(cell* self);
    static void demonitor(cell* self, std::uint64_t id);
    static void link(cell* self, const address& to);
    static void unlink(cell* self, const address& to);
    static void trap_exits(cell* self, bool on);
    static errc join(cell* self, std::string_view group);
    static void watch_flows(cell* self);
    static void unwatch_flows(cell* self);
    static void watch_processes(cell* self, bool on);
    static void leave(cell* self, std::string_view group);
    static std::vector<ref<>> members(const cell* self, std::string_view group);
    static errc watch_group(cell* self, std::string_view group);
    static void unwatch_group(cell* self, std::string_view group);
    static std::size_t publish(cell* self, std::string_view group, envelope* prototype);
    static timer start_timer(cell* self, const address& to, nanoseconds delay, nanoseconds period,
                             std::function<envelope*(actor_id target, actor_id sender)> make);
    static result<address> find(cell* self, std::string_view path, const protocol_info* wanted);
    // `s` is the scheduler that this runs on; null from outside, and then an actor of another node is reached from `from`.
    static void stop(scheduler* s, const address& to, node_core* from = nullptr);
    static void shutdown(scheduler* s, const address& to, nanoseconds within, node_core* from = nullptr);
    static void kill(scheduler* s, const address& to, node_core* from = nullptr);
    static void set_paused(scheduler* s, const address& to, bool paused, node_core* from = nullptr);
    static void stop_self(cell* self);
    static void fail(cell* self, fmt::string_view format, fmt::format_args args);
    static void stash(cell* self, envelope* e);
    static std::size_t unstash(cell* self);
    static void ready(cell* self);
    static void undelivered(cell* self, std::function<void(const undelivered_mail&)> hook);
    static mailbox_depth depth(const cell* self) noexcept;
    static envelope* next_mail(cell* self) noexcept;
    static address parent(cell* self) noexcept;
    static std::string path(const cell* self);
    static std::chrono::steady_clock::time_point now(const cell* self) noexcept;
    static std::uint64_t random(cell* self) noexcept;
    static result<priority> thread_priority(cell* self);
    static result<void> set_thread_priority(cell* self, priority p);
    static errc forward(cell* self, const address& to, envelope* e);
    static wire_reference reference_to(const cell* self, const address& who);
    static void check_period(nanoseconds period);
    [[noreturn]] static void too_many_actors();
};

/// Finds an actor, here or on another node. Resumes at once for one of this node.
struct [[nodiscard]] find_operation : pending {
    struct shared {  // with the router, which may answer after the await was cancelled
        find_operation* op = nullptr;
    };
    cell* owner;
    std::string path;
    const protocol_info* wanted;
    strand* waiter = nullptr;
    result<address> outcome{errc::cancelled};
    std::shared_ptr<shared> link;
    find_operation(cell* c, std::string p, const protocol_info* w)
        : pending{resolves}, owner{c}, path{std::move(p)}, wanted{w} {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        waiter = h.promise().self;
        waiter->resume = h;
        return begin();
    }
    bool begin();
    result<address> await_resume() {
        throw_if_cancelled(waiter);
        return std::move(outcome);
    }
    static void on_cancel(pending*, strand*) noexcept;
    static constexpr pending_kind resolves{&on_cancel, "resolve"};
};

/// The awaitable part of start(): the child runs, or the reason why not.
struct [[nodiscard]] start_operation : pending {
    cell* owner;
    child_spec spec;
    strand* waiter = nullptr;
    result<address> outcome{errc::start_failed};
    std::function<void()> forget;  // after a cancellation: the start's outcome finds nobody
    cell* child = nullptr;         // the child's cell, or its proxy
    start_operation(cell* c, child_spec s) : pending{starts}, owner{c}, spec{std::move(s)} {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        waiter = h.promise().self;
        waiter->resume = h;
        return begin();
    }
    bool begin();
    result<ref<>> await_resume() {
        throw_if_cancelled(waiter);
        if (!outcome) return outcome.error();
        return ref<>{*std::move(outcome)};
    }
    static void on_cancel(pending*, strand*) noexcept;
    static constexpr pending_kind starts{&on_cancel, "start"};
};

}  // namespace detail

template <any_protocol P>
class actor {
public:
    using protocol_type = P;

    explicit actor(detail::cell* c) noexcept : log{c} {}

    /// Records with this actor's path.
    struct own_logger : logger {
        using logger::logger;
        friend class actor;
    } log;

    // ---- receiving

    /// Awaits the next message: system mail first, then priority, then normal. Empty once the actor is to stop: at once
    /// after shutdown, when the mailbox is drained after stop. Kill makes it throw `cancelled`. Within a race that it loses,
    /// the message stays in the mailbox. One coroutine of an actor receives at a time.
    [[nodiscard]] auto receive() const noexcept { return detail::receive_operation<P>{cell()}; }
    /// The same with a limit: `timeout`, or `stopping` in place of an empty message.
    [[nodiscard]] auto receive(std::chrono::nanoseconds within) const noexcept {
        return detail::select_operation<P>{cell(), nullptr, within};
    }
    /// Awaits a message of one of the types Ms, wherever it stands in the mailbox; all others stay, in order.
    /// Errors: `timeout`; `stopping` when the actor is to stop; `down` when an exit_signal has come, which stays as well.
    template <message... Ms>
    [[nodiscard]] auto
    receive_only(std::chrono::nanoseconds within = std::chrono::nanoseconds::max()) const noexcept {
        static_assert((takes<P, Ms> && ...),
                      "coppice: receive_only<M> of a message that the actor's protocol does not name");
        return detail::select_operation<protocol<Ms...>>{
            cell(),
            [](const detail::message_type* t) noexcept {
                return (detail::same_type(t, detail::type_of<Ms>) || ...);
            },
            within};
    }
    /// The message that receive() would give now if it is an M, left where it is; else null. Valid until the next await.
    template <message M>
    [[nodiscard]] const M* peek() const noexcept {
        const detail::envelope* e = detail::actor_calls::next_mail(cell());
        return e && detail::same_type(e->type, detail::type_of<M>) ? &detail::body<M>(e) : nullptr;
    }
    /// Puts a message aside; unstash() puts all of them back at the front, in the order in which they were stashed.
    void stash(received<P> m) const { detail::actor_calls::stash(cell(), m.release()); }
    std::size_t unstash() const { return detail::actor_calls::unstash(cell()); }
    [[nodiscard]] mailbox_depth depth() const noexcept { return detail::actor_calls::depth(cell()); }

    // ---- sending

    /// Sends M{args...}. Never suspends. ok, `mailbox_full`, `stopping`, `down`, `unreachable`. To an actor on another
    /// scheduler ok means handed over; what is then not taken becomes a dead letter.
    template <message M, any_protocol Q, class... Args>
    errc send(const ref<Q>& to, Args&&... args) const {
        check_taken<Q, M>();
        detail::scheduler* s = cell()->sched;
        // The ref is read first: it may stand in what `args` give away.
        const detail::actor_id id = to.id();
        const bool plain = to.is_plain();
        detail::envelope* e = detail::make_envelope<M>(id, cell()->self_id(), std::forward<Args>(args)...);
        if (detail::lane_of<M>() == lane::normal && detail::scheduler_of(id) == s->index && plain)
            [[likely]] {
            detail::cell* c = s->find(id);
            if (c && detail::scheduler::takes_plainly(c)) [[likely]] {
                s->push_plainly(c, e);
                return errc::ok;
            }
        }
        return s->send(to, e);
    }
    /// As send, but waits for room in the mailbox. Result as send's; `mailbox_full` only for the priority lane, and for itself.
    template <message M, any_protocol Q, class... Args>
    [[nodiscard]] auto send_wait(const ref<Q>& to, Args&&... args) const {
        check_taken<Q, M>();
        return detail::send_wait_operation{
            cell(), to, detail::make_envelope<M>(to.id(), cell()->self_id(), std::forward<Args>(args)...)};
    }
    /// Asks with M{args...} and awaits the reply. Always completes: with the reply, or `timeout`, `down`, `mailbox_full`,
    /// `no_handler`, `no_reply`, `failed`, `deadlock`, `unreachable`, `denied`. The deadline travels with the request; an
    /// actor that comes to an expired one skips it. `to` must live until the await ends.
    template <has_reply M, any_protocol Q, class... Args>
    [[nodiscard]] auto ask(const ref<Q>& to, std::chrono::nanoseconds within, Args&&... args) const {
        check_taken<Q, M>();
        return detail::ask_operation<M>{
            cell(), to, detail::make_envelope<M>(to.id(), cell()->self_id(), std::forward<Args>(args)...),
            within};
    }
    template <has_reply M, any_protocol Q>
    [[nodiscard]] auto ask(const ref<Q>& to) const {
        return ask<M>(to, limits::ask_deadline);
    }
    template <class M, any_protocol Q, class... Args>
    requires(message<M> && !has_reply<M>)
    void ask(const ref<Q>&, Args&&...) const {
        static_assert(
            has_reply<M>,
            "coppice: ask<M> needs a message with a reply: add `using reply = ...;` to M, or use send<M>");
    }
    /// Sends a received message on, as it is; its sender stays the sender, a pending request is answered by the new receiver.
    template <any_protocol Q>
    errc forward(received<P> m, const ref<Q>& to) const {
        return detail::actor_calls::forward(cell(), to, m.release());
    }

    // ---- time

    /// Sends M{args...} to itself, or to another, after a delay or again and again at a fixed rate; a period that was missed
    /// is not made up for; one that is not positive throws std::invalid_argument. Timer mail comes in the priority lane, so that no flood holds it up. Cancelled with the actor.
    template <message M, class... Args>
    timer send_after(std::chrono::nanoseconds delay, Args&&... args) const {
        return start_timer<M>(me(), delay, std::chrono::nanoseconds{0}, std::forward<Args>(args)...);
    }
    template <message M, class... Args>
    timer send_every(std::chrono::nanoseconds period, Args&&... args) const {
        detail::actor_calls::check_period(period);
        return start_timer<M>(me(), period, period, std::forward<Args>(args)...);
    }
    template <message M, any_protocol Q, class... Args>
    timer send_after(const ref<Q>& to, std::chrono::nanoseconds delay, Args&&... args) const {
        return start_timer<M>(to, delay, std::chrono::nanoseconds{0}, std::forward<Args>(args)...);
    }
    template <message M, any_protocol Q, class... Args>
    timer send_every(const ref<Q>& to, std::chrono::nanoseconds period, Args&&... args) const {
        detail::actor_calls::check_period(period);
        return start_timer<M>(to, period, period, std::forward<Args>(args)...);
    }
    /// Awaits at least that time. Throws `cancelled` when the actor is shut down or killed; a stop waits for it.
    [[nodiscard]] auto sleep(std::chrono::nanoseconds duration) const noexcept {
        return detail::sleep_operation{cell(), duration};
    }
    /// Lets the others on this scheduler run.
    [[nodiscard]] auto yield() const noexcept { return detail::yield_operation{}; }
    /// The node's clock, as of this turn of the scheduler. Virtual in the test world.
    [[nodiscard]] std::chrono::steady_clock::time_point now() const noexcept {
        return detail::actor_calls::now(cell());
    }
    /// 64 random bits from the node's generator. Seeded in the test world.
    [[nodiscard]] std::uint64_t random() const noexcept { return detail::actor_calls::random(cell()); }

    // ---- children, tasks, blocking work

    /// Starts an actor without a name as this one's child, on the same scheduler. It ends at the latest with its parent.
    /// Throws bad_result (`limit_reached`) if there is no room for another actor.
    template <class F, class... Args>
    auto spawn(F function, Args&&... args) const -> ref<detail::protocol_of<F>> {
        using Q = detail::protocol_of<F>;
        detail::scheduler* s = cell()->sched;
        detail::cell* c = s->new_cell(cell());
        if (!c) [[unlikely]]
            detail::actor_calls::too_many_actors();
        c->protocol.store(&detail::info_of_protocol<Q>::value, std::memory_order_relaxed);
        struct undo {
            detail::scheduler* s;
            detail::cell* c;
            ~undo() {
                if (c) [[unlikely]]
                    s->recycle(c);
            }
        } guard{s, c};
        task<> body = function(actor<Q>{c}, std::forward<Args>(args)...);
        guard.c = nullptr;
        s->launch(c, body.release());
        return ref<Q>{detail::address{c->self_id(), nullptr}};
    }
    /// Starts a child by its spec, under its name, with its carrier; awaits until it is ready. The reason if it failed.
    /// An actor that is no supervisor does not restart it.
    [[nodiscard]] auto start(child_spec spec) const {
        return detail::start_operation{cell(), std::move(spec)};
    }
    /// Runs a coroutine of this actor beside its main one, on the same scheduler. Joined when the actor ends: cancelled, and
    /// waited for. An exception that nobody joins ends the actor. own_task.hpp.
    template <class T>
    own_task<T> spawn_task(task<T> work) const;
    /// Runs `f()` on a worker thread and awaits its result; for calls that block. f must not touch the actor's state that
    /// other coroutines of it use. An actor that is stopped or killed waits for f to return.
    template <class F>
    [[nodiscard]] auto offload(F f) const {
        return detail::offload_operation<F>{cell(), std::move(f)};
    }
    /// Tells the starter that this actor is ready (child_spec::awaits_ready).
    void ready() const { detail::actor_calls::ready(cell()); }

    // ---- others

    /// Asks for a `down` when the incarnation that lives now ends; at once, with `no_actor`, if there is none.
    template <any_protocol Q>
    std::uint64_t monitor(const ref<Q>& who) const {
        const auto id = detail::actor_calls::new_monitor_id(cell());
        detail::actor_calls::monitor(cell(), who, id);
        return id;
    }
    /// No `down` of that monitor is delivered after this.
    void demonitor(std::uint64_t id) const { detail::actor_calls::demonitor(cell(), id); }
    /// Ties two actors: when one ends with a reason that is not clean, the other is killed with `linked`, unless it traps.
    template <any_protocol Q>
    void link(const ref<Q>& who) const {
        detail::actor_calls::link(cell(), who);
    }
    template <any_protocol Q>
    void unlink(const ref<Q>& who) const {
        detail::actor_calls::unlink(cell(), who);
    }
    /// From now on ends of linked actors come as exit_signal messages, clean ones too.
    void trap_exits(bool on = true) const { detail::actor_calls::trap_exits(cell(), on); }

    /// From now on this actor is told when a flow from this node to another one stalls, and when it goes on: flow_stalled and
    /// flow_resumed of network.hpp. Not of flows that have stalled already (inspect shows them). Twice is once; over restarts,
    /// until the actor ends for good or unwatch_flows().
    void watch_flows() const {
        static_assert(takes<P, flow_stalled> && takes<P, flow_resumed>,
                      "coppice: who watches flows has flow_stalled and flow_resumed in its protocol");
        detail::actor_calls::watch_flows(cell());
    }
    void unwatch_flows() const { detail::actor_calls::unwatch_flows(cell()); }

    /// From now on this actor is told what this node finds of its process children, and of its parent's process: process_finding of
    /// process.hpp. Over restarts, until the actor ends for good or unwatch_processes().
    void watch_processes() const {
        static_assert(takes<P, process_finding>,
                      "coppice: who watches processes has process_finding in its protocol");
        detail::actor_calls::watch_processes(cell(), true);
    }
    void unwatch_processes() const { detail::actor_calls::watch_processes(cell(), false); }

    /// Joins a group of the tree; joining twice is joining once. `bad_name`, or ok. Left when the actor ends for good. Who publishes
    /// on another node reaches it as soon as that node has heard of it.
    errc join(std::string_view group) const { return detail::actor_calls::join(cell(), group); }
    void leave(std::string_view group) const { detail::actor_calls::leave(cell(), group); }
    /// Who is in the group, on all nodes of the tree, as this node knows. In no order.
    [[nodiscard]] std::vector<ref<>> members(std::string_view group) const {
        return detail::actor_calls::members(cell(), group);
    }
    /// This actor is told who is in the group, member_joined for each, and from then on who joins and leaves it. Twice is once; over
    /// restarts, until the actor ends for good or unwatch_group(). `bad_name`, or ok.
    errc watch_group(std::string_view group) const {
        static_assert(takes<P, member_joined> && takes<P, member_left>,
                      "coppice: who watches a group has member_joined and member_left in its protocol");
        return detail::actor_calls::watch_group(cell(), group);
    }
    void unwatch_group(std::string_view group) const { detail::actor_calls::unwatch_group(cell(), group); }
    /// Sends M{args...} to each member of the group once, on all nodes of the tree, never to itself. Returns how many took it; one
    /// on another node has when it is on its way there. Waits for nobody: what a full mailbox or flow does not take is a dead letter.
    template <message M, class... Args>
    std::size_t publish(std::string_view group, Args&&... args) const {
        static_assert(std::is_copy_constructible_v<M>,
                      "coppice: publish<M> copies the message for each member: M must be copyable");
        return detail::actor_calls::publish(
            cell(), group, detail::make_envelope<M>(0, cell()->self_id(), std::forward<Args>(args)...));
    }
    /// Asks each member of the group that this node knows of, but itself, with M{args...}, side by side, and awaits all answers, in no order. `within` is the
    /// message's time to live with each of them: a member that comes to it later skips it, a dead letter there, and its outcome is
    /// `timeout`. So a message that has to be acknowledged is one with a reply. None keeps another one waiting. group_ask.hpp.
    template <has_reply M, class... Args>
    [[nodiscard]] task<std::vector<group_answer<M>>>
    ask_group(std::string_view group, std::chrono::nanoseconds within, Args&&... args) const;
    /// The actor of that path ("/app/counter", or relative to the node's root: "counter"): `not_found`, `wrong_protocol`. A
    /// path that begins with another node's name, or an endpoint with an actor ("tcp://host:port#/app/counter"), leads
    /// there; then also `unreachable`, within limits::ask_deadline.
    template <any_protocol Q>
    [[nodiscard]] task<result<ref<Q>>> resolve(std::string path) const {
        return resolve_in<Q>(cell(), std::move(path));
    }

    // ---- ends

    /// Asks an actor to stop: it takes no more mail, handles what it has, then its receive() is empty.
    template <any_protocol Q>
    void stop(const ref<Q>& who) const {
        detail::actor_calls::stop(cell()->sched, who);
    }
    /// Asks an actor to end: its receive() is empty at once, what it awaits is cancelled once; killed if it takes longer.
    template <any_protocol Q>
    void shutdown(const ref<Q>& who, std::chrono::nanoseconds within = limits::shutdown_deadline) const {
        detail::actor_calls::shutdown(cell()->sched, who, within);
    }
    /// Every await of that actor throws `cancelled` from now on.
    template <any_protocol Q>
    void kill(const ref<Q>& who) const {
        detail::actor_calls::kill(cell()->sched, who);
    }
    /// Pauses an actor, and all below it, also what is started there later, on whatever thread, node or process. From its next
    /// receive on it takes system mail alone; all else waits in its mailbox, with its bound and its policy, until resume().
    /// Replies to its own asks, and the limits of its awaits, are not held: what it has begun it can finish. A supervisor goes on
    /// judging ends and starting children. Whoever is asked to end is paused no more; a restarted actor is. Returns at once.
    template <any_protocol Q>
    void pause(const ref<Q>& who) const {
        detail::actor_calls::set_paused(cell()->sched, who, true);
    }
    /// Ends the pause of an actor and of all below it, whoever paused them: they go on with what waits, in order.
    template <any_protocol Q>
    void resume(const ref<Q>& who) const {
        detail::actor_calls::set_paused(cell()->sched, who, false);
    }
    /// Asks itself to stop, as stop(me()).
    void stop() const { detail::actor_calls::stop_self(cell()); }
    /// Ends with `failed` and this text: `co_return self.fail("no counter at {}", path);`
    template <class... Args>
    void fail(fmt::format_string<Args...> format, Args&&... args) const {
        detail::actor_calls::fail(cell(), format, fmt::make_format_args(args...));
    }
    /// The hook runs after the coroutine is gone: it must own what it uses. A restart forgets it.
    /// Called for each message that the actor leaves behind when it ends for good; the message becomes a dead letter as well.
    void undelivered(std::function<void(const undelivered_mail&)> hook) const {
        detail::actor_calls::undelivered(cell(), std::move(hook));
    }
    /// True once it was asked to stop, shut down or killed.
    [[nodiscard]] bool stopping() const noexcept { return cell()->attention & detail::cell::asked_to_end; }

    // ---- itself
    [[nodiscard]] ref<P> me() const noexcept {
        return ref<P>{detail::address{cell()->self_id(), cell()->name}};
    }
    /// How a message for other nodes names that actor, for a `value` that holds a ref. Nobody (actor 0) for an empty ref, and on a
    /// node without a network.
    template <any_protocol Q>
    [[nodiscard]] wire_reference reference_to(const ref<Q>& who) const {
        return detail::actor_calls::reference_to(cell(), who);
    }
    [[nodiscard]] ref<> parent() const noexcept { return ref<>{detail::actor_calls::parent(cell())}; }
    /// "/app/counter"; an actor without a name has its parent's path and a number.
    [[nodiscard]] std::string path() const { return detail::actor_calls::path(cell()); }
    /// 1, and one more with every restart.
    [[nodiscard]] std::uint32_t incarnation() const noexcept {
        return cell()->incarnation.load(std::memory_order_relaxed);
    }
    /// Priority of the thread that it runs on, as the operating system says.
    [[nodiscard]] result<priority> thread_priority() const {
        return detail::actor_calls::thread_priority(cell());
    }
    /// For an actor in_thread: `priority_refused` if the operating system does, `invalid_argument` on a shared scheduler.
    result<void> set_thread_priority(priority p) const {
        return detail::actor_calls::set_thread_priority(cell(), p);
    }

    /// For the runtime.
    [[nodiscard]] detail::cell* cell() const noexcept { return log.cell_; }

private:
    template <class Q, class M>
    static constexpr void check_taken() {
        static_assert(detail::lane_of<M>() != lane::system || detail::is_system_message<M>,
                      "coppice: the system lane is for down and exit_signal; use lane::priority");
        static_assert(takes<Q, M>,
                      "coppice: the actor that this ref leads to does not handle the message: its "
                      "protocol<...> does not name "
                      "it. Add the message to the protocol, or send through a ref of the right actor");
    }
    template <message M, class... Args>
    timer start_timer(const detail::address& to, std::chrono::nanoseconds delay,
                      std::chrono::nanoseconds period, Args&&... args) const {
        static_assert(std::is_copy_constructible_v<M>,
                      "coppice: a timer copies its message: M must be copyable");
        return detail::actor_calls::start_timer(
            cell(), to, delay, period, [m = M{std::forward<Args>(args)...}](auto target, auto sender) {
                detail::envelope* e = detail::make_envelope<M>(target, sender, m);
                if (e->lane == lane::normal) e->lane = lane::priority;
                return e;
            });
    }
    template <class Q>
    static task<result<ref<Q>>> resolve_in(detail::cell* c, std::string path) {
        auto found = co_await detail::find_operation{c, std::move(path), &detail::info_of_protocol<Q>::value};
        if (!found) co_return found.error();
        co_return ref<Q>{*std::move(found)};
    }
};

namespace detail {

/// What another process of the same program makes of it.
struct arrived_start {
    start_function start;
    const protocol_info* protocol = nullptr;
    as_portable portable = nullptr;
};
/// Reads the arguments there. `function`: what is started, if it is no class.
using arrive_function = result<arrived_start> (*)(void (*function)(), std::span<const std::byte> arguments,
                                                  wire_context& context);
struct portable_start {
    arrive_function arrive = nullptr;
    void (*function)() = nullptr;
    std::vector<std::byte> arguments;
};

/// The start of one function with its arguments: kept in a child_spec, called for every start.
template <class F, class... Args>
struct starter {
    using held = std::tuple<Args...>;
    F function;
    held arguments;

    task<void> operator()(cell* c) const {
        return std::apply([&](const auto&... a) { return function(actor<protocol_of<F>>{c}, a...); },
                          arguments);
    }

    static result<portable_start> portable(const start_function& start,
                                           [[maybe_unused]] wire_context& context) {
        const auto* me = start.target<starter>();
        COPPICE_ASSERT(me, "a start is made portable by its own type");
        if constexpr ((has_wire_form<Args> && ...)) {
            portable_start p{&arrive, nullptr, {}};
            if constexpr (std::is_pointer_v<F>) p.function = reinterpret_cast<void (*)()>(me->function);
            if constexpr (sizeof...(Args) != 0) {
                using form = wire_message<held>;
                p.arguments.resize(form::size(&me->arguments));
                if (p.arguments.empty()) return error{errc::too_large, "the arguments of the child"};
                form::write(&me->arguments, p.arguments.data(), context);
            }
            return p;
        } else {
            std::string types;
            ((types += has_wire_form<Args> ? std::string{} : " " + std::string{declared_name<Args>()}), ...);
            return error{errc::not_portable,
                         "arguments without a wire form (coppice/wire.hpp), which another process cannot be "
                         "given:" +
                             types};
        }
    }

    static result<arrived_start> arrive([[maybe_unused]] void (*function)(),
                                        [[maybe_unused]] std::span<const std::byte> arguments,
                                        [[maybe_unused]] wire_context& context) {
        if constexpr ((has_wire_form<Args> && ...)) {
            alignas(held) std::byte raw[sizeof(held)];
            if constexpr (sizeof...(Args) != 0) {
                if (const errc read = wire_message<held>::read(arguments, raw, context); read != errc::ok)
                    return error{read, "the arguments of the child"};
            } else {
                ::new (raw) held{};
            }
            held& got = *std::launder(reinterpret_cast<held*>(raw));
            starter made{as_function(function), std::move(got)};
            got.~held();
            return arrived_start{std::move(made), &info_of_protocol<protocol_of<F>>::value, &portable};
        } else {
            return error{errc::not_portable};
        }
    }

private:
    static F as_function([[maybe_unused]] void (*function)()) {
        if constexpr (std::is_pointer_v<F>) return reinterpret_cast<F>(function);
        else return F{};
    }
};

}  // namespace detail

}  // namespace coppice
