// Standings, and decisions by them; see gate.hpp. What a role may is a rights_table's affair; here it is told who has which, by what a
// link's other end has shown, and which path an actor has. Home thread.
#include "net/gate.hpp"

#include <algorithm>

#include <unistd.h>

#include "groups.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "node_core.hpp"
#include "option_table.hpp"

namespace coppice::net {

namespace {

// Paths that are kept; who sends to more actors than that has them looked up again.
constexpr std::size_t most_paths = 4096;

// What the node at the other end of a link has shown. Its name is worth something only if it could not have taken any.
std::vector<std::string> shown_by(const neighbour& n) {
    using proof = peer_identity::proof;
    const peer_identity& peer = n.link->peer();
    std::vector<std::string> all;
    if (peer.by == proof::kernel) all.push_back("uid:" + std::to_string(peer.uid));
    if (peer.by == proof::certificate) all.push_back("certificate:" + peer.subject);
    if (n.has_secret() || peer.by == proof::certificate || peer.by == proof::same_process ||
        (peer.by == proof::kernel && peer.uid == ::geteuid()))
        all.push_back("name:" + n.name);
    return all;
}

}  // namespace

std::string path_of_node(const std::string& name) { return name.starts_with('/') ? name : "/" + name; }

result<void> gate::start() {
    if (!options_.rights) return {};
    for (const rights_role& role : options_.rights->roles) {
        std::string secret;
        if (!role.secret_file.empty()) {
            auto read = detail::secret_in_file(role.secret_file);
            if (!read)
                return error{errc::invalid_argument,
                             "rights: secret-file of role " + role.name + ": " + role.secret_file +
                                 " is no readable file whose first line has at least 16 bytes"};
            if (options_.secret.empty())
                return error{errc::invalid_argument,
                             "rights: role " + role.name +
                                 " has a secret, but this node has none (option secret-file): "
                                 "who links could not know that one is asked for"};
            secret = *std::move(read);
        }
        secrets_.push_back(std::move(secret));
    }
    return {};
}

const std::string* gate::secret_of(std::string_view node_name) const {
    const rights_role* role = options_.rights ? options_.rights->role_by_name(node_name) : nullptr;
    if (!role) return nullptr;
    const std::string& secret = secrets_[static_cast<std::size_t>(role - options_.rights->roles.data())];
    return secret.empty() ? nullptr : &secret;
}

standing gate::standing_of(const neighbour& n) const {
    // Whom this tree has started or looked for, and who runs its command line as this user.
    const bool dialled = n.connector && n.as != role::peer;
    if (!options_.rights || dialled || n.as == role::shortcut || n.any_name_will_do())
        return rights_table::of_the_tree;
    const standing by_role = options_.rights->role_of(shown_by(n));
    const bool knows_the_secret = by_role == rights_table::nobody && n.has_secret();
    return knows_the_secret || options_.rights->is_of_the_tree(by_role) ? rights_table::of_the_tree : by_role;
}

std::string gate::path_of(detail::actor_id id) {
    if (const auto at = paths_.find(id); at != paths_.end()) return at->second;
    std::string path = path_of_actor(node_, id);
    if (paths_.size() >= most_paths) paths_.clear();
    return paths_.emplace(id, std::move(path)).first->second;
}

std::string gate::refused(const peer& by, right what, std::string_view object) {
    if (by.acts_for_another && options_.rights) {  // of the tree: it may know what the roles say
        count_refusal(node_, by.standing, what, object, "somebody for whom node " + by.name + " acts");
        return "node " + node_.name +
               " does not allow that: " + options_.rights->decide(by.standing, what, object).because;
    }
    return "node " + node_.name +
           " does not allow that: " + count_refusal(node_, by.standing, what, object, "node " + by.name);
}

std::string gate::refused(const neighbour& by, standing s, right what, std::string_view object) {
    return "node " + node_.name +
           " does not allow that: " + count_refusal(node_, s, what, object, "node " + by.name);
}

std::string path_of_actor(const detail::node_core& node, detail::actor_id id) {
    std::string path = node.names.path_of(id);
    return path.empty() ? path_of_node(node.name) + "/$" : path;
}

bool allows_any(const rights_table& table, standing s, std::string_view path) noexcept {
    for (const right what :
         {right::send, right::ask, right::spawn, right::monitor, right::inspect, right::stop})
        if (table.allows(s, what, path)) return true;
    return false;
}

// What is published goes to the members one by one, as other mail does.
bool allows_mail(const detail::node_core& node, const rights_table& table, standing s, bool asked,
                 detail::actor_id target, std::string_view path) {
    if (table.allows(s, asked ? right::ask : right::send, path)) return true;
    return !asked && std::ranges::any_of(node.group_table.of(target), [&](const std::string& group) {
        return table.allows(s, right::publish, group);
    });
}

std::string count_refusal(detail::node_core& node, standing s, right what, std::string_view object,
                          const std::string& by) {
    const auto& rights = node.options.network.rights;
    std::string action = std::string{to_string(what)} + " " + std::string{object};
    node.bury_named(errc::denied, action + " by " + by + ", " +
                                      (rights ? rights->name_of(s) : "with a role that is not known here"));
    return action;
}

}  // namespace coppice::net
