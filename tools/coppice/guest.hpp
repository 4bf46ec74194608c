// The command as a guest: a node of its own for as long as it runs, below the tree's root, so that every actor of the tree can
// be reached. It joins by the control socket in the run directory, which the operating system keeps for this user, and says
// farewell when it leaves. Main thread.
#pragma once
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "coppice/control_actor.hpp"
#include "coppice/coppice.hpp"
#include "exit_code.hpp"

namespace coppice::command {

/// Names of the trees of this user that run and can be found, in order.
std::vector<std::string> running_trees();
/// The one of that name; of an empty name the only one. Throws command_failed: not_found; usage if there are several.
std::string tree_named(const std::string& name);
/// The name of the tree that a path is in: "/app/counter" and "app" are in app.
std::string tree_of(const std::string& path);
/// The path of the root for a tree's name; a path as it is.
std::string path_of(const std::string& path_or_name);

class guest {
public:
    /// Throws command_failed if there is no such tree.
    explicit guest(const std::string& tree);
    [[nodiscard]] const std::string& tree() const noexcept { return tree_; }
    [[nodiscard]] node& self() noexcept { return *node_; }

    /// Throws command_failed if it is not there.
    ref<anything> find(const std::string& path);
    /// The control actor of the node that this path leads to.
    ref<control_protocol> control_of(const std::string& path);
    /// What all nodes of the tree say, the root's first; and for processes that do not answer, what is wrong.
    struct whole {
        std::vector<node_description> nodes;
        std::vector<std::pair<std::string, std::string>> silent;
    };
    whole describe(std::chrono::nanoseconds within);
    /// The control actors of all nodes that answer.
    std::vector<ref<control_protocol>> controls(std::chrono::nanoseconds within);

    /// Starts an actor of this node; it ends with it.
    void start(child_spec spec);
    /// Runs `body(self, arguments...)` as an actor of this node and waits for what it returns.
    template <class R, class P, class... Params, class... A>
    R perform(task<R> (*body)(actor<P>, Params...), A... arguments) {
        auto told = std::make_shared<std::promise<R>>();
        auto answer = told->get_future();
        auto spec = child("command" + std::to_string(++performed_), in_coroutine, &run<R, P, Params...>, body,
                          told, Params{std::move(arguments)}...)
                        .restarts(restart::temporary);
        start(std::move(spec));
        return answer.get();
    }

private:
    template <class R, class P, class... Params>
    static task<> run(actor<P> self, task<R> (*body)(actor<P>, Params...),
                      std::shared_ptr<std::promise<R>> told, Params... arguments) {
        told->set_value(co_await body(self, std::move(arguments)...));
    }
    std::string tree_;
    std::unique_ptr<node> node_;
    unsigned performed_ = 0;
};

}  // namespace coppice::command
