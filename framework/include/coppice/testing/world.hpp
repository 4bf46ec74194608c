// world: any number of nodes in one thread, on virtual time, in an order that a seed decides. For tests.
//
//     testing::world world{seed};                              // print the seed; the same seed replays the same run
//     ASSERT_TRUE(world.start(app()));
//     auto c = *world.resolve<counter_protocol>("/app/counter");
//     world.send<add>(c, 2u);
//     EXPECT_EQ(*world.ask<get>(c), 2u);
//     world.advance(10s);                                      // takes no real time
//     EXPECT_EQ(world.restarts("/app/counter"), 0u);
//
// Several nodes are joined by connect(), or as in life: by endpoints, over the simulated network of coppice/transport/sim.hpp.
//
// Nothing runs but inside a call of a world's function. Each step the seed chooses a scheduler of some node and what it
// does next: take mail from others, run one of its ready actors for a turn of seeded length, hand on its own mail. Threads
// of in_thread actors are schedulers like the others; offloaded jobs run as steps. Clock, random numbers, transport and
// threads are the seams that the world replaces; actors run the same code as in a node.
//
// A world belongs to one thread. Worlds in different threads are independent.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/inspect.hpp"
#include "coppice/node.hpp"
#include "coppice/supervisor.hpp"

namespace coppice::testing {

/// What expect and its kin throw when something else is the case; the text says what was there instead.
class expectation_failed : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct world_options {
    std::uint32_t schedulers = 1;                ///< of each node
    bool fifo = false;                           ///< run ready actors in order instead of by the seed
    coppice::level level = coppice::level::off;  ///< of what is kept in log()
    std::uint32_t mailbox = limits::mailbox;
    /// Steps that run_until_idle may take before it throws: a live-lock.
    std::uint64_t most_steps = 50'000'000;
};

/// What befalls process children in a world, decided by the seed.
struct process_faults {
    std::chrono::nanoseconds least_start{0};  ///< from the spawn to the child's main
    std::chrono::nanoseconds most_start{0};
    /// What a record of the channel takes at most, and the notice that a process has ended.
    std::chrono::nanoseconds most_delay{0};
    double failing_starts = 0;         ///< the share of them that fail, with limit_reached
    std::size_t channel_records = 64;  ///< room in the channel, each way
};

template <any_protocol P>
class probe;

class world {
public:
    explicit world(std::uint64_t seed = 1, world_options options = {});
    /// Ends all nodes. Does not throw; call finish() to hear what was left.
    ~world();
    world(const world&) = delete;
    world& operator=(const world&) = delete;

    /// Makes a node with this tree and runs until its children are ready, or one did not start. With `network` it joins
    /// others over transports that need no threads of their own: sim (coppice/transport/sim.hpp). The name of a node that has
    /// ended may be used again.
    result<ref<supervisor_protocol>> start(supervisor_spec spec, std::string name = "app",
                                           network_options network = {});
    /// Joins two nodes directly, without a network: each resolves the other's paths ("/other/...") and sends to its actors.
    void connect(std::string_view a, std::string_view b);

    // ---- time and steps
    [[nodiscard]] std::chrono::steady_clock::time_point now() const noexcept;
    [[nodiscard]] std::uint64_t seed() const noexcept;
    /// One step; false if nothing can run at the present time.
    bool step();
    /// Runs until nothing can run at the present time.
    void run_until_idle();
    /// Lets virtual time pass, firing timers in order and running what they wake.
    void advance(std::chrono::nanoseconds duration);
    /// From a handler: it takes that long, as if it had worked or blocked. Time passes, and nobody runs meanwhile.
    void take_time(std::chrono::nanoseconds duration);
    /// Runs, and lets time pass, until `done()` or the limit. True if done.
    bool run_until(const std::function<bool()>& done,
                   std::chrono::nanoseconds within = std::chrono::seconds{60});

    // ---- talking to actors, from outside
    template <any_protocol Q>
    [[nodiscard]] result<ref<Q>> resolve(std::string_view path) {
        auto found = find(path, &detail::info_of_protocol<Q>::value);
        if (!found) return found.error();
        return ref<Q>{*std::move(found)};
    }
    template <message M, any_protocol Q, class... Args>
    errc send(const ref<Q>& to, Args&&... args) {
        static_assert(takes<Q, M>, "coppice: the actor that this ref leads to does not handle the message");
        return detail::scheduler::send_from_outside(
            to, detail::make_envelope<M>(to.id(), 0, std::forward<Args>(args)...), node_that_reaches(to));
    }
    /// Asks, and runs the world until there is an answer: at the latest after `within` of virtual time.
    template <has_reply M, any_protocol Q, class... Args>
    result<reply_t<M>> ask_within(const ref<Q>& to, std::chrono::nanoseconds within, Args&&... args) {
        std::optional<result<reply_t<M>>> answer;
        auto question = std::make_shared<M>(M{std::forward<Args>(args)...});
        run_under_root_of(node_that_reaches(to), [&answer, to, within, question](actor<anything> self) {
            return ask_for<M, Q>(self, to, within, question, &answer);
        });
        run_until([&] { return answer.has_value(); }, within + std::chrono::seconds{1});
        if (!answer) return errc::stopping;
        return *std::move(answer);
    }
    template <has_reply M, any_protocol Q, class... Args>
    result<reply_t<M>> ask(const ref<Q>& to, Args&&... args) {
        return ask_within<M>(to, limits::ask_deadline, std::forward<Args>(args)...);
    }
    template <any_protocol Q>
    void stop(const ref<Q>& who) {
        detail::actor_calls::stop(nullptr, who, node_that_reaches(who));
    }
    template <any_protocol Q>
    void kill(const ref<Q>& who) {
        detail::actor_calls::kill(nullptr, who, node_that_reaches(who));
    }
    template <any_protocol Q>
    void pause(const ref<Q>& who) {
        detail::actor_calls::set_paused(nullptr, who, true, node_that_reaches(who));
    }
    template <any_protocol Q>
    void resume(const ref<Q>& who) {
        detail::actor_calls::set_paused(nullptr, who, false, node_that_reaches(who));
    }
    /// Asks a node's tree to end; run on to see it end.
    void stop_node(std::string_view name = {});

    // ---- one message at a time
    /// The next message of that actor is an M: lets the actor handle just that one. Throws expectation_failed otherwise.
    template <message M>
    void expect(std::string_view path) {
        expect_type(path, detail::type_of<M>, true);
    }
    /// As expect, if the next message is an M; else does nothing and returns false.
    template <message M>
    bool allow(std::string_view path) {
        return expect_type(path, detail::type_of<M>, false);
    }
    /// Type names of the mail that waits at that actor, in the order in which it would receive it.
    [[nodiscard]] std::vector<std::string> mail(std::string_view path);

    // ---- faults
    /// That actor does not run any more: its mail piles up, as if its handler did not return.
    void wedge(std::string_view path);
    void unwedge(std::string_view path);
    /// The node's process dies: its links end without a farewell, its actors at once. Its name can be started again.
    void crash(std::string_view node);
    /// The node's process is stopped by a signal, and goes on: SIGSTOP, SIGCONT. All of that name go on, also one whose place
    /// another has taken.
    void sigstop(std::string_view node);
    void sigcont(std::string_view node);
    /// From now on, for process children. Their carrier's transport means the simulated network here, which has to be registered
    /// (coppice/transport/sim.hpp); there a child connects from its path with dots for slashes. A child runs this program.
    void faults(const process_faults& f);
    /// Names of the nodes of process children whose processes live, in the order of their starts.
    [[nodiscard]] std::vector<std::string> process_children() const;

    // ---- looking
    [[nodiscard]] node_info inspect(std::string_view node = {});
    [[nodiscard]] bool running(std::string_view path);
    [[nodiscard]] std::uint32_t restarts(std::string_view path);
    /// The reason of the root's end, once it has ended.
    [[nodiscard]] std::optional<exit_reason> ended(std::string_view node = {}) const;
    struct log_line {
        coppice::level level;
        std::string path;
        std::string text;
        std::chrono::steady_clock::time_point at;
    };
    [[nodiscard]] const std::vector<log_line>& log() const noexcept;
    /// A number made of every choice and every message handled so far: equal for equal runs.
    [[nodiscard]] std::uint64_t fingerprint() const noexcept;
    /// Ends all nodes and tells what they left behind: actors by path, blocks of memory. Empty if nothing.
    [[nodiscard]] std::vector<std::string> finish();

    /// Runs a coroutine as a child of the first node's root. For probes and tests.
    void run_under_some_root(std::function<task<>(actor<anything>)> body, std::string_view node = {});

    struct impl;  // of the implementation

private:
    /// For an actor of another node, a node here that knows a way to it; for one of a process child's, that; null for others.
    [[nodiscard]] detail::node_core* node_that_reaches(const detail::address& to) const;
    void run_under_root_of(detail::node_core* node,
                           std::function<task<>(actor<anything>)> body);  // null: the first

    template <class M, class Q>
    static task<> ask_for(actor<anything> self, ref<Q> to, std::chrono::nanoseconds within,
                          std::shared_ptr<M> question, std::optional<result<reply_t<M>>>* answer) {
        auto outcome = co_await self.ask<M>(to, within, std::move(*question));
        answer->emplace(std::move(outcome));
    }
    [[nodiscard]] result<detail::address> find(std::string_view path, const detail::protocol_info* wanted);
    bool expect_type(std::string_view path, const detail::message_type* type, bool must);

    std::unique_ptr<impl> impl_;
};

}  // namespace coppice::testing
