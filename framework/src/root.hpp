// What nodes and the test world have in common: starting the root supervisor, running a coroutine under it from outside,
// and looking at the actors of a scheduler.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/inspect.hpp"
#include "node_core.hpp"

namespace coppice::detail {

/// Starts the root on the first scheduler, under the node's name. `told` is called on its thread.
void start_root(node_core& node, child_spec spec, std::function<void(result<address>)> told);
/// Runs a coroutine as a nameless child of the root. Any thread. If the root has ended, the body is dropped.
void run_under_root(node_core& node, std::function<task<>(actor<anything>)> body);
/// Paths of the actors that live there. Owner thread, or after it has ended.
std::vector<std::string> living_paths(scheduler& s);
/// Appends what is known of each actor there. Owner thread.
void collect(scheduler& s, std::vector<actor_info>& out);
/// The parts of a node_info that no scheduler has to be asked for.
void collect_shared(const node_core& node, node_info& out);

/// A node_info in the making: what each scheduler saw of its own, put together. One thread, but for look().
class inspection {
public:
    explicit inspection(node_core& node);
    /// Those to be asked.
    [[nodiscard]] const std::vector<scheduler*>& schedulers() const noexcept { return all_; }
    /// What one sees: its actors, and the first one the network. Owner thread of that scheduler.
    static void look(scheduler& here, node_info& seen);
    /// `from`: its index.
    void add(std::uint32_t from, node_info seen);
    [[nodiscard]] std::size_t answers() const noexcept { return answered_.size(); }
    /// Once; who has not been added has not answered.
    [[nodiscard]] node_info finish();

private:
    node_core& node_;
    std::vector<scheduler*> all_;
    std::vector<std::uint32_t> answered_;
    std::vector<scheduler_info> network_;  // what the router says of the shared schedulers
    node_info info_;
};

/// The control actor of a node (coppice/control_actor.hpp), if it is to have one: a child of the root, which it outlives all others
/// of. Owner thread of the root, before that runs.
void start_control_actor(scheduler& s, cell* root);
/// Whether a path is that of a node's control actor, or of another one of the runtime's own that is not shown.
bool is_control_path(std::string_view path) noexcept;

}  // namespace coppice::detail
