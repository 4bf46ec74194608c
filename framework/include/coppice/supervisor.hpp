// What runs, and what happens when it ends: child_spec, supervisor_spec, child(...), supervisor(...). Plain data: built in
// code, shown by inspect, copied to where the child starts. The vocabulary is Erlang/OTP's.
//
//     supervisor_spec spec{strategy::rest_for_one};
//     spec.intensity(5, 10s).backoff(100ms, 5s)
//         .add(child("counter", in_coroutine, counter, std::uint64_t{0}).mailbox(1024))
//         .add(child("disk", in_thread({.priority = priority::high}), disk).shutdown(2s));
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/options.hpp"
#include "coppice/protocol.hpp"
#include "coppice/ref.hpp"
#include "coppice/task.hpp"

namespace coppice {

template <any_protocol P>
class actor;

/// What a supervisor does with the others when one child ends and is to be restarted.
enum class strategy : std::uint8_t {
    one_for_one,   ///< nothing
    one_for_all,   ///< stops all, in reverse start order, and starts all again
    rest_for_one,  ///< stops those started after it, in reverse, and starts them again
    dynamic,       ///< children come and go at run time and do not depend on one another; as one_for_one
};

/// When a child that has ended is started again.
enum class restart : std::uint8_t {
    permanent,  ///< always
    transient,  ///< unless it ended with a clean reason (normal, stopped)
    temporary,  ///< never
};

/// What a full mailbox does with one message more.
enum class overflow : std::uint8_t {
    reject,       ///< the sender gets `mailbox_full`
    drop_oldest,  ///< the oldest normal mail becomes a dead letter
    drop_newest,  ///< the new one becomes a dead letter; the sender is not told
    keep_latest,  ///< at most one message of each type waits: a newer one takes its place; full of others, the oldest goes; requests are rejected
};

/// Priority of an actor's thread, on a scale that every operating system maps to its own.
enum class priority : std::uint8_t {
    idle,      ///< only when nothing else wants to run (Linux: SCHED_IDLE)
    low,       ///< nice +10
    normal,    ///< nice 0
    high,      ///< nice -10; needs a right
    realtime,  ///< SCHED_FIFO, lowest; needs a right
};
[[nodiscard]] std::string_view to_string(priority p) noexcept;

// ---- carriers: how an actor runs

/// A coroutine on a scheduler that it shares: its parent's, a chosen one, or the one with the fewest actors.
struct coroutine_carrier {
    static constexpr std::uint32_t with_parent = ~0u;
    static constexpr std::uint32_t least_loaded = ~0u - 1;
    std::uint32_t scheduler = with_parent;
};
inline constexpr coroutine_carrier in_coroutine{};
/// On the node's n-th scheduler, counted from 0.
constexpr coroutine_carrier on_scheduler(std::uint32_t n) noexcept { return {n}; }
/// Where the fewest actors live when it starts.
inline constexpr coroutine_carrier spread{coroutine_carrier::least_loaded};

/// A thread of its own, on which it may block. The thread bears the actor's name (its last 15 bytes).
struct thread_carrier {
    coppice::priority priority = coppice::priority::normal;
};
struct in_thread_type {
    constexpr thread_carrier operator()(thread_carrier c = {}) const noexcept { return c; }
    constexpr operator thread_carrier() const noexcept { return {}; }
};
/// `in_thread` or `in_thread({.priority = priority::high})`.
inline constexpr in_thread_type in_thread{};

/// What the operating system lets a process use; `unset` leaves what its parent has.
struct process_limits {
    static constexpr std::uint64_t unset = ~std::uint64_t{0};
    std::uint64_t memory = unset;       ///< bytes of address space (RLIMIT_AS)
    std::uint64_t files = unset;        ///< open descriptors (RLIMIT_NOFILE)
    std::uint64_t cpu_seconds = unset;  ///< of processor time, then SIGXCPU and SIGKILL (RLIMIT_CPU)
    std::uint64_t core_bytes = unset;   ///< of a core dump; 0: none (RLIMIT_CORE)
    std::uint64_t processes = unset;    ///< and threads of its user (RLIMIT_NPROC)
};

/// An OS process of its own. Coppice starts it, gives it its place in the tree by an inherited descriptor, drains its outputs
/// into the log, and learns of its end. The actor's path is the same as under any other carrier (docs/processes.md).
struct process_carrier {
    /// Empty: this program again, which must have a main that calls node::run, or run_if_child (process.hpp). Else a program
    /// whose main calls run_as_child: a file if there is a '/' in it, otherwise looked for in PATH.
    std::string program;
    std::vector<std::string> arguments;  ///< as they are: no shell, no quoting
    /// What the link to its parent goes over: unix, shm, pipe, tcp, with options as in endpoints: "shm?ring=1MiB".
    std::string transport = "unix";
    std::vector<std::pair<std::string, std::string>>
        environment;                  ///< beside this process's; empty value: without
    std::string directory;            ///< working directory; empty: this process's
    std::optional<int> nice;          ///< -20 (first) to 19; below 0 needs a right
    std::vector<std::uint32_t> cpus;  ///< that it may run on; empty: all
    process_limits limits;
    /// Name of the node whose agent starts it (agent.hpp), or the path of that agent; empty: this process does.
    std::string agent;

    process_carrier& over(std::string kind) & { return transport = std::move(kind), *this; }
    process_carrier& env(std::string name, std::string value) & {
        return environment.emplace_back(std::move(name), std::move(value)), *this;
    }
    process_carrier& in_directory(std::string path) & { return directory = std::move(path), *this; }
    process_carrier& niceness(int value) & { return nice = value, *this; }
    process_carrier& on_cpus(std::vector<std::uint32_t> numbers) & {
        return cpus = std::move(numbers), *this;
    }
    process_carrier& limited(process_limits l) & { return limits = l, *this; }
    process_carrier& on(std::string of) & { return agent = std::move(of), *this; }
    process_carrier&& over(std::string kind) && { return std::move(over(std::move(kind))); }
    process_carrier&& env(std::string name, std::string value) && {
        return std::move(env(std::move(name), std::move(value)));
    }
    process_carrier&& in_directory(std::string path) && { return std::move(in_directory(std::move(path))); }
    process_carrier&& niceness(int value) && { return std::move(niceness(value)); }
    process_carrier&& on_cpus(std::vector<std::uint32_t> numbers) && {
        return std::move(on_cpus(std::move(numbers)));
    }
    process_carrier&& limited(process_limits l) && { return std::move(limited(l)); }
    process_carrier&& on(std::string of) && { return std::move(on(std::move(of))); }
};
struct in_process_type {
    process_carrier operator()(std::string program = {}, std::vector<std::string> arguments = {}) const {
        process_carrier c;
        c.program = std::move(program);
        c.arguments = std::move(arguments);
        return c;
    }
    process_carrier over(std::string kind) const { return (*this)().over(std::move(kind)); }
    process_carrier on(std::string of) const { return (*this)().on(std::move(of)); }
    operator process_carrier() const { return (*this)(); }
};
/// `in_process`: this program again, for the child's function. `in_process("worker", {"--camera", "0"}).over("shm")`.
inline constexpr in_process_type in_process{};

using carrier = std::variant<coroutine_carrier, thread_carrier, process_carrier>;

/// What is done about a child without a sign of life, or with a handler that does not return.
enum class reaction : std::uint8_t {
    restart,  ///< ends the process, with SIGKILL, or kills the actor in_thread; its supervisor judges that like any end
    report,  ///< logs it, and its end
    wait,    ///< nothing; inspect shows it
};

/// How a process child and its parent watch each other. Both say every `period` that they live; what is said carries for how long
/// a handler has been running. After `misses` periods of silence the child is found silent (or its process stopped), after as
/// many with the same handler it is found stuck.
struct heartbeat_spec {
    std::chrono::nanoseconds period = limits::heartbeat;
    std::uint32_t misses = limits::heartbeat_misses;
    reaction when_silent = reaction::restart;
    reaction when_stuck = reaction::restart;
};

namespace detail {

struct cell;

template <class F>
struct function_parameters : function_parameters<decltype(&F::operator())> {
    static constexpr bool stateless = std::is_empty_v<F> && std::is_default_constructible_v<F>;
};
template <class R, class... A>
struct function_parameters<R (*)(A...)> {
    using result = R;
    using parameters = std::tuple<A...>;
    template <template <class...> class To>
    using into = To<A...>;
    static constexpr bool stateless = true;
};
template <class R, class... A>
struct function_parameters<R (*)(A...) noexcept> : function_parameters<R (*)(A...)> {};
template <class C, class R, class... A>
struct function_parameters<R (C::*)(A...) const> : function_parameters<R (*)(A...)> {};
template <class C, class R, class... A>
struct function_parameters<R (C::*)(A...)> : function_parameters<R (*)(A...)> {};

template <class T>
inline constexpr bool is_view = false;
template <class C, class T>
inline constexpr bool is_view<std::basic_string_view<C, T>> = true;
template <class T, std::size_t N>
inline constexpr bool is_view<std::span<T, N>> = true;
template <>
inline constexpr bool is_view<const char*> = true;

template <class T>
struct actor_protocol {
    using type = void;
};
template <class P>
struct actor_protocol<actor<P>> {
    using type = P;
};

template <class F>
concept plain_callable = std::is_pointer_v<F> || requires { &F::operator(); };

// Checks an actor function at the place where it is spawned, with texts that say what to write instead.
template <class... A>
struct parameter_check {
    static constexpr bool by_value = (!std::is_reference_v<A> && ...);
    static constexpr bool owns = (!is_view<std::remove_cvref_t<A>> && ...);
};
template <class... A>
struct first_of {
    using type = void;
};
template <class A, class... B>
struct first_of<A, B...> {
    using type = A;
};

template <class F>
struct actor_function {
    using function = std::decay_t<F>;
    static_assert(plain_callable<function>,
                  "coppice: an actor is a function or a captureless lambda with written-out parameter types: "
                  "task<> name(actor<my_protocol> self, ...)");
    using traits = function_parameters<function>;
    static_assert(!std::is_class_v<function> || traits::stateless,
                  "coppice: a lambda used as an actor must not capture: its captures would die before the "
                  "actor does. Pass "
                  "what it needs as arguments: spawn([](actor<P> self, int n) -> task<> { ... }, 42)");
    static_assert(traits::template into<parameter_check>::by_value,
                  "coppice: an actor function takes its parameters by value: a reference would dangle once "
                  "the caller is "
                  "gone. Write std::string instead of const std::string&; to share, pass a std::shared_ptr");
    static_assert(
        traits::template into<parameter_check>::owns,
        "coppice: an actor function must not take a view (std::string_view, std::span, const char*): what it "
        "looks at may be gone. Take std::string or std::vector");
    static_assert(std::is_same_v<typename traits::result, task<void>>,
                  "coppice: an actor function returns coppice::task<>");
    using self = std::remove_cvref_t<typename traits::template into<first_of>::type>;
    using protocol = typename actor_protocol<self>::type;
    static_assert(!std::is_void_v<protocol>,
                  "coppice: the first parameter of an actor function is its actor<protocol<...>> self");
};

template <class F>
using protocol_of = typename actor_function<F>::protocol;

using start_function = std::function<task<void>(cell*)>;

/// How another process that runs this program makes the same start: places in its code, and the arguments in their wire form.
struct portable_start;
class wire_context;
using as_portable = result<portable_start> (*)(const start_function& start, wire_context& context);

}  // namespace detail

class supervisor_spec;

/// A child: what to run, how, and what to do when it ends. Copyable; its arguments are copied for every start.
class child_spec {
public:
    std::string name;
    coppice::carrier carrier = in_coroutine;
    detail::start_function start;
    const detail::protocol_info* protocol = nullptr;
    coppice::restart when = coppice::restart::permanent;
    std::chrono::nanoseconds shutdown_within = limits::shutdown_deadline;
    std::chrono::nanoseconds start_within = limits::start_deadline;
    std::uint32_t capacity = 0;  // 0: node_options::mailbox
    coppice::overflow policy = coppice::overflow::reject;
    bool is_significant = false;
    bool tells_ready = false;
    bool is_supervisor = false;
    bool is_watched = false;                      // heartbeat() was called
    heartbeat_spec beats;                         // of one in_process; of one in_thread that is watched
    std::shared_ptr<const supervisor_spec> tree;  // of a supervisor: what it runs
    detail::as_portable portable = nullptr;       // null: its function is another program's

    child_spec& restarts(coppice::restart r) & { return when = r, *this; }
    /// Time it may take to end when it is asked to; then it is killed. 0 kills at once.
    child_spec& shutdown(std::chrono::nanoseconds limit) & { return shutdown_within = limit, *this; }
    /// Bound of its mailbox, in messages of the normal lane, and of the priority lane; and what happens at it.
    child_spec& mailbox(std::uint32_t messages, coppice::overflow at_bound = overflow::reject) & {
        return capacity = messages ? messages : 1, policy = at_bound, *this;
    }
    /// Its supervisor ends when it ends and is not started again.
    child_spec& significant() & { return is_significant = true, *this; }
    /// It counts as started when it calls self.ready(), not at its first suspension; within `limit`.
    child_spec& awaits_ready(std::chrono::nanoseconds limit = limits::start_deadline) & {
        return tells_ready = true, start_within = limit, *this;
    }
    /// Of one in_process: how often it and its parent say that they live, after how many periods of silence one counts as gone or
    /// stuck, and what is done about it. One in_thread is watched only if it is called: its supervisor looks once a period
    /// whether its handlers return, so `when_silent` means nothing there, and `restart` kills the actor, or, if its thread
    /// reaches no await within limits::kill_grace, abandons it and ends the supervisor (docs/semantics.md). One in_coroutine
    /// shares its scheduler, which the node watches.
    child_spec& heartbeat(std::chrono::nanoseconds period, std::uint32_t misses,
                          reaction when_silent = reaction::restart,
                          reaction when_stuck = reaction::restart) & {
        is_watched = true;
        return beats = {period, misses ? misses : 1, when_silent, when_stuck}, *this;
    }
    child_spec&& heartbeat(std::chrono::nanoseconds period, std::uint32_t misses,
                           reaction when_silent = reaction::restart,
                           reaction when_stuck = reaction::restart) && {
        return std::move(heartbeat(period, misses, when_silent, when_stuck));
    }
    child_spec&& restarts(coppice::restart r) && { return std::move(restarts(r)); }
    child_spec&& shutdown(std::chrono::nanoseconds limit) && { return std::move(shutdown(limit)); }
    child_spec&& mailbox(std::uint32_t messages, coppice::overflow at_bound = overflow::reject) && {
        return std::move(mailbox(messages, at_bound));
    }
    child_spec&& significant() && { return std::move(significant()); }
    child_spec&& awaits_ready(std::chrono::nanoseconds limit = limits::start_deadline) && {
        return std::move(awaits_ready(limit));
    }
};

namespace detail {
template <class F, class... Args>
struct starter;  // actor.hpp: calls F with copies of its arguments
}

/// A child that runs `function(self, args...)`.
template <class F, class... Args>
[[nodiscard]] child_spec child(std::string name, carrier how, F function, Args&&... args) {
    child_spec spec;
    spec.name = std::move(name);
    spec.carrier = std::move(how);
    spec.protocol = &detail::info_of_protocol<detail::protocol_of<F>>::value;
    using starter = detail::starter<F, std::decay_t<Args>...>;
    spec.start = starter{function, {std::forward<Args>(args)...}};
    spec.portable = &starter::portable;
    return spec;
}

/// A child that another program runs, by run_as_child (process.hpp).
[[nodiscard]] child_spec child(std::string name, process_carrier how);

/// A supervisor: its strategy, its limits, its children in start order.
class supervisor_spec {
public:
    coppice::strategy strategy = coppice::strategy::one_for_one;
    std::uint32_t most_restarts = 3;
    std::chrono::nanoseconds window = std::chrono::seconds{5};
    std::chrono::nanoseconds backoff_first{0};
    std::chrono::nanoseconds backoff_most{0};
    double jitter = 0.2;
    std::vector<child_spec> children;

    supervisor_spec() = default;
    explicit supervisor_spec(coppice::strategy s) : strategy{s} {}

    /// More than `restarts` restarts within `window` and the supervisor ends all children and itself: escalation.
    supervisor_spec& intensity(std::uint32_t restarts, std::chrono::nanoseconds per) & {
        return most_restarts = restarts, window = per, *this;
    }
    /// Waits before a restart: `first`, doubled for each further restart of the child up to `most`, each made longer or
    /// shorter by up to `jitter` of itself. A child that lived for a window begins at `first` again. Default: no wait.
    supervisor_spec& backoff(std::chrono::nanoseconds first, std::chrono::nanoseconds most,
                             double jitter_share = 0.2) & {
        return backoff_first = first, backoff_most = most, jitter = jitter_share, *this;
    }
    supervisor_spec& add(child_spec c) & { return children.push_back(std::move(c)), *this; }
    supervisor_spec&& intensity(std::uint32_t restarts, std::chrono::nanoseconds per) && {
        return std::move(intensity(restarts, per));
    }
    supervisor_spec&& backoff(std::chrono::nanoseconds first, std::chrono::nanoseconds most,
                              double jitter_share = 0.2) && {
        return std::move(backoff(first, most, jitter_share));
    }
    supervisor_spec&& add(child_spec c) && { return std::move(add(std::move(c))); }
};

/// A supervisor as a child of another. It restarts as `permanent`, and its shutdown has no limit of its own: those of its
/// children add up.
[[nodiscard]] child_spec supervisor(std::string name, supervisor_spec spec, carrier how = in_coroutine);

// ---- what a running supervisor answers

/// Starts a child under a running supervisor; the reply is its ref, or why it did not start.
struct start_child {
    child_spec spec;
    using reply = ref<>;
};
/// Ends a child by name and forgets it.
struct terminate_child {
    std::string name;
    using reply = void;
};
/// Restarts a child by name, now, without counting against the intensity.
struct restart_child {
    std::string name;
    using reply = void;
};
struct child_status {
    std::string name;
    ref<> who;
    std::uint32_t restarts = 0;
    bool running = false;
};
struct which_children {
    using reply = std::vector<child_status>;
};

using supervisor_protocol = protocol<start_child, terminate_child, restart_child, which_children>;

}  // namespace coppice
