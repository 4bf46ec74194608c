// Groups across nodes. Each node of the tree knows all members of all groups, so that who publishes sends to each directly, over the
// flow to its node: a slow one holds up nobody, and what a flow promises holds for each copy. Part of the router, home thread.
//
// Memberships travel from neighbour to neighbour along the tree, as `ended` does. A node says to each neighbour what it does not
// believe from that one: all of it when the link comes up, later what changes. Of a node it believes the neighbour over which it
// reaches it, and who led there last while nobody does; what others say is kept for the case that the way changes.
//
// Invariants. What a node has passed on to a neighbour is what it believes itself, but for what is on its way. A way that is away
// for a while changes nothing: mail for the members there waits in their flow. They go when their node is lost, or when a neighbour
// that had named them is back and does not name them any more.
#include <algorithm>
#include <utility>
#include <vector>

#include "groups.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

namespace {

bool is_of_the_tree(const neighbour& n) noexcept { return n.as == role::child || n.as == role::parent; }

std::vector<membership> all_of(const std::set<membership>& set) { return {set.begin(), set.end()}; }

std::vector<membership> those_not_in(const std::set<membership>& of, const std::set<membership>& other) {
    std::vector<membership> rest;
    std::set_difference(of.begin(), of.end(), other.begin(), other.end(), std::back_inserter(rest));
    return rest;
}

}  // namespace

// ---------------------------------------------------------------- said

// In parts, of which the first one alone can be complete.
void router::send_memberships(neighbour& n, memberships m) const {
    if (n.standing) {
        const auto hidden = [&](const membership& one) {
            return !gate_.allows(n.standing, right::join, one.group) &&
                   !gate_.allows(n.standing, right::publish, one.group);
        };
        std::erase_if(m.joined, hidden);
        std::erase_if(m.left, hidden);
    }
    const auto part = [](const std::vector<membership>& all, std::size_t from) {
        const std::size_t end = std::min(all.size(), from + most_memberships);
        const auto at = [&](std::size_t i) { return all.begin() + static_cast<std::ptrdiff_t>(i); };
        return from < end ? std::vector<membership>{at(from), at(end)} : std::vector<membership>{};
    };
    const std::size_t most = std::max(m.joined.size(), m.left.size());
    for (std::size_t from = 0; from < most || from == 0; from += most_memberships)
        n.send_control(
            memberships{m.node, m.complete && from == 0, part(m.joined, from), part(m.left, from)});
}

// A link is up.
void router::tell_memberships(neighbour& n) {
    if (!is_of_the_tree(n)) return;
    memberships mine{id_, true, {}, {}};
    for (auto& [group, actor] : node_.group_table.own()) mine.joined.push_back({std::move(group), actor});
    send_memberships(n, std::move(mine));
    for (const auto& [node, known] : members_)
        if (node != n.node && !known.in.empty() && known.over != n.node)
            send_memberships(n, {node, true, all_of(known.in), {}});
    send_memberships(n, {});
}

void router::pass_on_members(node_id node, bool complete, std::vector<membership> joined,
                             std::vector<membership> left, const neighbour* but) {
    const memberships news{node, complete, std::move(joined), std::move(left)};
    for (const auto& n : neighbours_)
        if (n.get() != but && n->node != node && n->is_up() && is_of_the_tree(*n)) send_memberships(*n, news);
}

// Many actors join at a time, as when a tree starts: they are told together, as soon as this turn is over.
void router::own_member(const std::string& group, actor_id who, bool joined) {
    if (stopped_) return;
    if (own_changes_.empty())
        post([this] {
            if (!stopped_) own_members_changed();
        });
    own_changes_[{group, who}] = joined;
}

void router::own_members_changed() {
    std::vector<membership> joined;
    std::vector<membership> left;
    for (const auto& [one, is_in] : std::exchange(own_changes_, {})) (is_in ? joined : left).push_back(one);
    pass_on_members(id_, false, std::move(joined), std::move(left), nullptr);
}

// ---------------------------------------------------------------- heard

// A child does for what is below it, or what it claims to be; also for what was below it last and is away.
bool router::speaks_for(const neighbour& child, node_id node) const {
    const auto way = routes_.find(node);
    if (way != routes_.end() && way->second == &child) return true;
    if (const auto claimed = claims_.find(node); claimed != claims_.end() && claimed->second.by == &child)
        return true;
    const auto at = members_.find(node);
    return way == routes_.end() && at != members_.end() && at->second.over == child.node;
}

void router::take_memberships(neighbour& n, const memberships& m) {
    if (!is_of_the_tree(n)) return;
    if (m.node == 0) return all_is_said(n);
    if (m.node == id_) return;
    if (n.as == role::child && !speaks_for(n, m.node)) return;
    said_members& said = members_[m.node].said[n.node];
    const std::size_t before = said.in.size();
    said.stale = false;
    if (m.complete) said.in.clear();
    for (const membership& one : m.left) said.in.erase(one);
    bool is_full = false;
    for (const membership& one : m.joined) {
        is_full = members_said_ - before + said.in.size() >= limits::memberships;
        if (is_full) break;
        if (!detail::valid_name(one.group)) continue;
        if (gate_.allows(n.standing, right::join, one.group)) said.in.insert(one);
        else gate_.refused(n, n.standing, right::join, one.group);
    }
    members_said_ += said.in.size() - before;
    if (is_full)
        log(level::error, "more than " + std::to_string(limits::memberships) +
                              " memberships of groups are known here: of those that node " + n.name +
                              " tells some get nothing of what is published here (limits::memberships)");
    if (peer* p = known(m.node)) {
        p->in_doubt = false;
        // Given up here, and alive as it seems: if it is, both begin anew, and then it is believed.
        if (p->lost && !m.joined.empty() && tree_way(m.node) == &n) resume(*p, true);
    }
    believe(m.node);
    forget_if_empty(m.node, n.node);
}

void router::forget_if_empty(node_id node, node_id by) {
    const auto at = members_.find(node);
    if (at == members_.end()) return;
    if (const auto said = at->second.said.find(by); said != at->second.said.end() && said->second.in.empty())
        at->second.said.erase(said);
    if (at->second.in.empty() && at->second.said.empty()) members_.erase(at);
}

// What the neighbour said before its link was down, and did not say again, is over. Of other nodes behind it that it does not know it
// may just have begun to hear: they are asked for a sign of life.
void router::all_is_said(neighbour& n) {
    std::vector<node_id> behind;
    for (auto& [node, known] : members_) {
        const auto said = known.said.find(n.node);
        if (said != known.said.end() && said->second.stale) {
            members_said_ -= said->second.in.size();
            said->second = {};
        }
        if (tree_way(node) != &n) continue;
        behind.push_back(node);
        if (said == known.said.end())
            if (peer* p = this->known(node)) p->in_doubt = true;
    }
    for (const node_id node : behind) {
        believe(node, true);
        forget_if_empty(node, n.node);
    }
}

// The link is down: what was said over it counts on until the neighbour is back and says what is so, or is lost.
void router::members_are_stale(const neighbour& n) {
    for (auto& [node, known] : members_)
        if (const auto said = known.said.find(n.node); said != known.said.end()) said->second.stale = true;
}

// Takes over what the neighbour says over which that node is reached now, if it has said anything. `tells_all`: to those who have
// given the node up for lost meanwhile that may be news, though it is none here.
void router::believe(node_id node, bool tells_all) {
    const auto at = members_.find(node);
    const neighbour* way = tree_way(node);
    if (at == members_.end() || !way) return;
    node_members& known = at->second;
    const auto said = known.said.find(way->node);
    if (said == known.said.end()) return;
    if (const peer* p = this->known(node); p && p->lost) return;
    std::vector<membership> joined = those_not_in(said->second.in, known.in);
    std::vector<membership> left = those_not_in(known.in, said->second.in);
    tells_all |= std::exchange(known.over, way->node) != way->node;
    if (!joined.empty() || !left.empty()) members_are(node, joined, left);
    known.in = said->second.in;
    if (tells_all) pass_on_members(node, true, all_of(known.in), {}, way);
    else if (!joined.empty() || !left.empty())
        pass_on_members(node, false, std::move(joined), std::move(left), way);
}

// Into the table, group by group.
void router::members_are(node_id node, const std::vector<membership>& joined,
                         const std::vector<membership>& left) {
    const std::uint32_t index = index_of(node);
    if (!index)
        return log(level::error,
                   "members of groups on a node get nothing of what is published here: more than " +
                       std::to_string(limits::nodes) + " nodes are known (limits::nodes)");
    struct change {
        std::vector<address> joined;
        std::vector<address> left;
    };
    std::map<std::string_view, change> by_group;
    for (const membership& one : joined)
        by_group[one.group].joined.push_back(address::on_node(index, one.actor));
    for (const membership& one : left) by_group[one.group].left.push_back(address::on_node(index, one.actor));
    for (const auto& [group, c] : by_group) detail::change_group(home_, group, c.joined, c.left);
}

// The node is lost: so are its members, and who does not know of its end is told that. What others say of it is kept: if it was
// given up in error, both begin anew, and it is believed again.
void router::forget_members(node_id node) {
    const bool is_linked = std::any_of(neighbours_.begin(), neighbours_.end(),
                                       [node](const auto& n) { return n->node == node && n->is_up(); });
    for (auto at = members_.begin(); at != members_.end() && !is_linked;) {
        const auto said = at->second.said.find(node);
        if (said != at->second.said.end()) {
            members_said_ -= said->second.in.size();
            at->second.said.erase(said);
        }
        const bool is_over = at->first != node && at->second.in.empty() && at->second.said.empty();
        at = is_over ? members_.erase(at) : std::next(at);
    }
    const auto at = members_.find(node);
    if (at == members_.end()) return;
    const member_set were = std::exchange(at->second.in, {});
    at->second.over = 0;
    if (at->second.said.empty()) members_.erase(at);
    members_are(node, {}, all_of(were));
    if (!were.empty() && !stopped_) pass_on_members(node, true, {}, {}, nullptr);
}

}  // namespace coppice::net
