// node: the runtime inside one OS process: schedulers, names, groups, log. It runs one tree, whose root is a supervisor.
//
//     int main(int argc, char** argv) { return node{"app", argc, argv}.run(app()); }
//
// In threads of its own by default, or embedded in an io_context of yours (see docs/embedding.md). Command line
// (--coppice-*) and environment (COPPICE_*) override node_options, and so does a deployment file (deployment.hpp),
// which also changes the tree: without a rebuild.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/actor.hpp"
#include "coppice/inspect.hpp"
#include "coppice/log.hpp"
#include "coppice/rights.hpp"
#include "coppice/supervisor.hpp"

namespace boost::asio {
class io_context;
}

namespace coppice {

namespace detail {
struct node_core;
class child_life;

/// What a thread that asks waits for. Destroyed unset, because the node ended first, it answers `stopping`.
template <class R>
struct blocking_answer {
    std::promise<result<R>> promise;
    bool told = false;
    void set(result<R> r) {
        told = true;
        promise.set_value(std::move(r));
    }
    ~blocking_answer() {
        if (!told) promise.set_value(errc::stopping);
    }
};
}  // namespace detail

/// How a node meets others. Endpoints are texts like tcp://127.0.0.1:4711 (endpoint.hpp, docs/transports.md).
struct network_options {
    /// Where it can be reached. Option `listen`, several with commas.
    std::vector<std::string> listen;
    /// The node above it in the tree: the way to all nodes that it does not know. Option `parent`.
    std::string parent;
    /// Nodes beside it, for traffic with them alone. Option `connect`, several with commas.
    std::vector<std::string> connect;
    /// Nodes below it that listen for it, as an agent may (agent.hpp): it dials them and is their parent. Option `children`,
    /// several with commas.
    std::vector<std::string> children;
    /// Both sides prove that they know it. Never on a command line: option `secret-file` names a file with it,
    /// `secret-env` a variable of the environment.
    std::string secret;
    /// Names of nodes that may link; empty: all. Option `allow`, with commas.
    std::vector<std::string> allow;
    /// What nodes may do here that link and are not of the tree: docs/rights.md. Without: what links is of the tree. All nodes
    /// of a tree have the same; process children get their parent's. [[role]] of a deployment file.
    std::optional<rights_table> rights;
    /// How long a node may be out of reach before it counts as lost. Option `hold-ms`.
    std::chrono::nanoseconds hold = std::chrono::seconds{60};
    /// How long the node's end waits for other nodes to acknowledge what was sent to them last; what they have not by then is told
    /// in the log. 0: not at all. Option `linger-ms`.
    std::chrono::nanoseconds linger = limits::linger;
    /// Links directly to nodes that it exchanges much with through a relay, where one of the two listens and the other gets
    /// there; a relay suggests it. Off: it neither offers, takes nor suggests that. Option `shortcuts` (on, off).
    bool shortcuts = true;
    [[nodiscard]] bool wanted() const noexcept {
        return !listen.empty() || !parent.empty() || !connect.empty() || !children.empty();
    }
};

/// How records of the log are written: lines for people; or a JSON object a line, with the keys time, level, path, pid and
/// text, valid whatever the text holds (docs/deployment.md).
enum class log_format : std::uint8_t { text, json };

/// What a deployment may change. Where an option is named, it is --coppice-NAME=VALUE, a variable COPPICE_NAME, and a
/// key of the deployment file. The command line goes before the environment, that before the file, and the file before
/// the program.
struct node_options {
    /// The file that says how this node and its tree run here; it is read by start(). Empty: none. Option `deployment`.
    std::string deployment;
    /// Shared scheduler threads. 0: one a core. Option `schedulers`.
    std::uint32_t schedulers = 0;
    /// Time that a scheduler may look for work before it sleeps; it looks shorter when that has not paid lately. Negative:
    /// 20 us with more than two cores, else 0, where it would only take time from others. Option `poll-us`, in microseconds.
    std::chrono::microseconds poll{-1};
    /// Log level of the whole tree, and of subtrees. Options `log-level` (info), `log-levels` (/app/disk=debug,/app/net=warn).
    coppice::level level = coppice::level::info;
    std::vector<std::pair<std::string, coppice::level>> levels;
    /// Where the log goes: the terminal (standard error), and a file with rotation. Options `log-terminal` (on, off),
    /// `log-file`, `log-file-bytes`, `log-files`.
    bool log_terminal = true;
    std::string log_file;
    std::size_t log_file_bytes = 10u << 20;
    std::size_t log_files = 5;
    /// Of the terminal and the file. Option `log-format` (text, json).
    coppice::log_format log_format = coppice::log_format::text;
    /// Called with each record's line, beside the other places; for tests and tools. Any thread.
    std::function<void(coppice::level, std::string_view path, std::string_view text)> log_hook;
    /// Bound of mailboxes whose spec sets none.
    std::uint32_t mailbox = limits::mailbox;
    std::uint32_t offload_threads = limits::offload_threads;
    /// End the tree on SIGINT and SIGTERM, in run().
    bool handle_signals = true;
    network_options network;
    /// The command `coppice` finds this tree by the node's name, if it runs as the same user: the node listens at
    /// unix://NAME.control in the run directory (docs/command_line.md). Option `control` (on, off).
    bool control = false;
    /// Time that the whole tree may take to end in run() after a signal or stop(); then run() returns and names what is left.
    std::chrono::nanoseconds shutdown_within = std::chrono::seconds{30};
};

/// How run() tells its end, also as a process exit code.
enum class run_result : int {
    ok = 0,            ///< the tree ended cleanly
    failed = 1,        ///< the root ended with a reason that is not clean
    start_failed = 2,  ///< a child of the root did not start
    bad_options = 3,   ///< an option or variable was not understood
    abandoned = 4,     ///< the tree ended, but something had to be left behind
};

class node {
public:
    explicit node(std::string name, node_options options = {});
    /// Reads --coppice-* from the command line and COPPICE_* from the environment; what it takes is removed from argv. A value
    /// that is not understood is told by run() and start() with `invalid_argument`.
    node(std::string name, int& argc, char** argv, node_options options = {});
    /// Inside a user's io_context: one scheduler, no threads but those of in_thread actors. start(); then run the io_context.
    node(std::string name, boost::asio::io_context& context, node_options options = {});
    /// Ends the tree if it still runs, waits for it, and for what it has sent to arrive (network_options::linger), and checks that
    /// nothing is left.
    ~node();
    node(const node&) = delete;
    node& operator=(const node&) = delete;

    /// Starts the tree and waits for its end. Returns the process's exit code (run_result). In a process that a node has started
    /// as a child (process_carrier) it runs that child instead: `spec` is its tree only if another program started it.
    [[nodiscard]] int run(supervisor_spec spec);
    /// Starts the tree and waits until all children are ready; the tree then runs in its threads. Embedded: returns at once,
    /// the start goes on in the io_context and its failure is logged and told by wait().
    result<ref<supervisor_protocol>> start(supervisor_spec spec);
    /// Asks the tree to end, children in reverse start order. Any thread; returns at once.
    void stop();
    /// Waits for the tree's end and gives its reason. Not from an actor.
    exit_reason wait();
    /// As wait, with a limit: `timeout`.
    result<exit_reason> wait_for(std::chrono::nanoseconds limit);
    /// Waits until other nodes have acknowledged all that this thread, or the tree before its end, has sent to them; nodes that
    /// are lost meanwhile have been told as such. `timeout`: the text says how much is left, and for whom. The destructor does so,
    /// for network_options::linger. An ordinary thread; on an actor's: `deadlock`.
    result<void> flush(std::chrono::nanoseconds within);

    // ---- from ordinary threads, while the node lives
    template <message M, any_protocol Q, class... Args>
    errc send(const ref<Q>& to, Args&&... args) {
        static_assert(takes<Q, M>, "coppice: the actor that this ref leads to does not handle the message");
        return detail::scheduler::send_from_outside(
            to, detail::make_envelope<M>(to.id(), 0, std::forward<Args>(args)...), core_.get());
    }
    /// Asks and blocks for the reply. Not from an actor: there it would block its scheduler; it then fails with `deadlock`.
    template <has_reply M, any_protocol Q, class... Args>
    result<reply_t<M>> ask(const ref<Q>& to, std::chrono::nanoseconds within, Args&&... args) {
        static_assert(takes<Q, M>, "coppice: the actor that this ref leads to does not handle the message");
        if (!may_block())
            return error{errc::deadlock, "node::ask called on an actor's thread; use self.ask there"};
        auto answer = std::make_shared<detail::blocking_answer<reply_t<M>>>();
        auto arrival = answer->promise.get_future();
        auto question = std::shared_ptr<M>(new M{std::forward<Args>(args)...});
        run_detached([to, within, answer = std::move(answer), question = std::move(question)](
                         actor<anything> self) { return ask_for<M, Q>(self, to, within, answer, question); });
        // The request has its deadline on the root's scheduler. Should that one be held up, this thread still is not.
        constexpr std::chrono::nanoseconds longest = std::chrono::hours{24 * 365};
        if (within < longest &&
            arrival.wait_for(within + std::chrono::seconds{1}) != std::future_status::ready)
            return error{errc::timeout, "the scheduler of the node's root does not come to an await"};
        return arrival.get();
    }
    /// The actor of that path, as actor::resolve. Of another node: blocks, up to limits::ask_deadline; not from an actor.
    template <any_protocol Q>
    [[nodiscard]] result<ref<Q>> resolve(std::string_view path) const {
        auto found = find(path, &detail::info_of_protocol<Q>::value);
        if (!found) return found.error();
        return ref<Q>{*std::move(found)};
    }
    template <any_protocol Q>
    void stop(const ref<Q>& who) {
        detail::actor_calls::stop(nullptr, who, core_.get());
    }
    template <any_protocol Q>
    void shutdown(const ref<Q>& who, std::chrono::nanoseconds within = limits::shutdown_deadline) {
        detail::actor_calls::shutdown(nullptr, who, within, core_.get());
    }
    template <any_protocol Q>
    void kill(const ref<Q>& who) {
        detail::actor_calls::kill(nullptr, who, core_.get());
    }
    /// As actor::pause and actor::resume. Any thread.
    template <any_protocol Q>
    void pause(const ref<Q>& who) {
        detail::actor_calls::set_paused(nullptr, who, true, core_.get());
    }
    template <any_protocol Q>
    void resume(const ref<Q>& who) {
        detail::actor_calls::set_paused(nullptr, who, false, core_.get());
    }
    /// Sends to every member of a group. Any thread.
    template <message M, class... Args>
    std::size_t publish(std::string_view group, Args&&... args) {
        static_assert(std::is_copy_constructible_v<M>,
                      "coppice: publish<M> copies the message for each member: M must be copyable");
        return publish_envelope(group, detail::make_envelope<M>(0, 0, std::forward<Args>(args)...));
    }
    /// On an actor's thread only the actors of its own scheduler are told; elsewhere all are.
    /// A snapshot; a scheduler that does not answer within the limit is named with the handler that holds it.
    [[nodiscard]] node_info inspect(std::chrono::nanoseconds within = std::chrono::seconds{1}) const;
    /// Log level of a subtree from now on.
    void set_level(std::string subtree, level l);
    [[nodiscard]] const std::string& name() const noexcept;
    /// Where it listens really, e.g. with the port that was given for port 0. Of a started node.
    [[nodiscard]] std::vector<std::string> listening() const;
    [[nodiscard]] std::uint32_t scheduler_count() const noexcept;

    /// For the runtime.
    [[nodiscard]] detail::node_core& core() const noexcept { return *core_; }

private:
    friend class detail::child_life;
    /// Of a process child, whose name is its path. The options have been read.
    struct of_a_child {};
    node(of_a_child, std::string name, node_options options);
    /// Makes the root's spec on the first scheduler, where there is a router by then, and starts it. `deployed`: what a deployment
    /// file changes before; null: there is none for this node, or its parent has read it.
    using make_root = std::function<result<child_spec>(detail::scheduler&)>;
    result<detail::address> start_tree(const make_root& make, supervisor_spec* deployed);
    /// What run() does. `started` is called once the root is ready.
    int run_tree(const make_root& make, const std::function<void(const detail::address&)>& started,
                 supervisor_spec* deployed);
    template <class M, class Q>
    static task<> ask_for(actor<anything> self, ref<Q> to, std::chrono::nanoseconds within,
                          std::shared_ptr<detail::blocking_answer<reply_t<M>>> answer,
                          std::shared_ptr<M> question) {
        auto outcome = co_await self.ask<M>(to, within, std::move(*question));
        answer->set(std::move(outcome));
    }
    void run_detached(std::function<task<>(actor<anything>)> body);
    [[nodiscard]] bool may_block() const noexcept;
    [[nodiscard]] result<detail::address> find(std::string_view path,
                                               const detail::protocol_info* wanted) const;
    std::size_t publish_envelope(std::string_view group, detail::envelope* e);

    struct impl;
    std::unique_ptr<detail::node_core> core_;
    std::unique_ptr<impl> impl_;
};

}  // namespace coppice
