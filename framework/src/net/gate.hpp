// The gate: what the nodes beyond it may do here that are not of the tree (rights.hpp). It tells a link's standing by what its other
// end can show, and decides on what comes with that standing.
//
// The node that a stranger links to says its standing in every frame that it passes on for it, in place of what stood there; nodes of the tree
// believe one another. So it is decided where the actor is that mail is for, by the path that it has there; and the nodes
// of a tree must have the same rights_table. A standing that a node does not know may do nothing there.
//
// Threading: home, but for what is const of a rights_table.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "coppice/detail/cell.hpp"
#include "coppice/detail/scheduler.hpp"
#include "coppice/node.hpp"
#include "coppice/rights.hpp"

namespace coppice::net {

class neighbour;
struct peer;
using standing = rights_table::role_number;

/// The path that the paths of its actors begin with.
[[nodiscard]] std::string path_of_node(const std::string& name);
/// The path of an actor here; of one without a name that of the node and "/$". Looks at all names. Any thread, as the next ones.
[[nodiscard]] std::string path_of_actor(const detail::node_core& node, detail::actor_id id);
/// Whether it may be told that there is such an actor: it may do something with it.
[[nodiscard]] bool allows_any(const rights_table& table, standing s, std::string_view path) noexcept;
/// Of mail for the actor of that id here, which has that path.
[[nodiscard]] bool allows_mail(const detail::node_core& node, const rights_table& table, standing s,
                               bool asked, detail::actor_id target, std::string_view path);
/// Counts a refusal among the dead letters, by whom it was wanted. Gives what was wanted: "ask /app/vault".
std::string count_refusal(detail::node_core& node, standing s, right what, std::string_view object,
                          const std::string& by);

class gate {
public:
    gate(detail::node_core& node, const network_options& options) : node_{node}, options_{options} {}

    /// Reads the secrets of roles. The error names the file.
    result<void> start();
    /// The secret of a node of that name, if a role has it by its name and has one of its own; else null.
    [[nodiscard]] const std::string* secret_of(std::string_view node_name) const;
    /// What the other end of a link may do. It has shown what it can.
    [[nodiscard]] standing standing_of(const neighbour& n) const;

    [[nodiscard]] bool allows(standing s, right what, std::string_view object) const noexcept {
        return s == rights_table::of_the_tree ||
               (options_.rights && options_.rights->allows(s, what, object));
    }
    [[nodiscard]] bool allows_any(standing s, std::string_view path) const noexcept {
        return options_.rights && net::allows_any(*options_.rights, s, path);
    }
    /// Of mail for the actor of that id here.
    [[nodiscard]] bool allows_mail(standing s, bool asked, detail::actor_id target) {
        return options_.rights &&
               net::allows_mail(node_, *options_.rights, s, asked, target, path_of(target));
    }
    /// Counts a refusal among the dead letters. What who asked is told.
    std::string refused(const peer& by, right what, std::string_view object);
    std::string refused(const neighbour& by, standing s, right what, std::string_view object);

    /// The path of an actor here; of one without a name that of the node and "/$".
    std::string path_of(detail::actor_id id);

private:
    detail::node_core& node_;
    const network_options& options_;
    std::vector<std::string> secrets_;  // by role; empty: the tree's
    // An id is never used again and its name is its own until it ends.
    std::unordered_map<detail::actor_id, std::string> paths_;
};

}  // namespace coppice::net
