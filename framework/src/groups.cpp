// The table of groups, and who is told of its changes; see groups.hpp. Lists are copied where they change: they are read far more
// often. What joins and leaves runs on the scheduler of who does; the table itself is behind its mutex.
#include "groups.hpp"

#include <algorithm>
#include <unordered_set>

#include "coppice/network.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::detail {

namespace {

template <class M>
void tell(scheduler& here, const groups::change& c, std::string_view group) {
    if (!c.watchers) return;
    for (const address& to : *c.watchers)
        for (const address& who : c.made)
            here.send(to, make_envelope<M>(to.id(), 0, M{std::string{group}, ref<>{who}}));
}

// The other nodes know of this node's actors, and of the groups that programs name.
void announce(scheduler& here, std::string_view group, const address& who, bool joined) {
    if (who.is_remote() || !valid_name(group)) return;
    const auto tell_router = [group = std::string{group}, who = who.id(), joined](scheduler& home) {
        if (home.node->net) home.node->net->own_member(group, who, joined);
    };
    scheduler& home = *here.node->index_list.front();
    if (&home == &here) tell_router(home);
    else post_control(home.index, tell_router);
}

}  // namespace

std::string watchers_group(std::string_view group) { return "$members " + std::string{group}; }

groups::list& groups::place_of(std::string_view group) {
    auto at = groups_.find(group);
    if (at == groups_.end())
        at = groups_.emplace(std::string{group}, std::make_shared<const members>()).first;
    return at->second;
}

groups::list groups::watchers_of(std::string_view group) const {
    if (!has_watchers_) return nullptr;
    const auto at = groups_.find(watchers_group(group));
    return at == groups_.end() ? nullptr : at->second;
}

// Those who are not in it yet.
bool groups::add(list& to, std::span<const address> who, members& made) {
    if (who.size() == 1) {
        if (std::find(to->begin(), to->end(), who.front()) != to->end()) return false;
        made.push_back(who.front());
    } else {
        const std::unordered_set<address> there{to->begin(), to->end()};
        std::copy_if(who.begin(), who.end(), std::back_inserter(made),
                     [&](const address& a) { return !there.contains(a); });
    }
    if (made.empty()) return false;
    auto more = std::make_shared<members>(*to);
    more->insert(more->end(), made.begin(), made.end());
    to = std::move(more);
    return true;
}

groups::change groups::join(std::string_view group, std::span<const address> who) {
    change c;
    if (who.empty()) return c;
    const std::lock_guard lock{mutex_};
    if (add(place_of(group), who, c.made)) c.watchers = watchers_of(group);
    return c;
}

groups::change groups::leave(std::string_view group, std::span<const address> who) {
    change c;
    if (who.empty()) return c;
    const std::lock_guard lock{mutex_};
    const auto at = groups_.find(group);
    if (at == groups_.end()) return c;
    const std::unordered_set<address> leaving{who.begin(), who.end()};
    auto fewer = std::make_shared<members>();
    for (const address& a : *at->second) (leaving.contains(a) ? c.made : *fewer).push_back(a);
    if (c.made.empty()) return c;
    if (fewer->empty()) groups_.erase(at);
    else at->second = std::move(fewer);
    c.watchers = watchers_of(group);
    return c;
}

groups::list groups::snapshot(std::string_view group) const {
    const std::lock_guard lock{mutex_};
    const auto at = groups_.find(group);
    return at == groups_.end() ? nullptr : at->second;
}

std::vector<std::pair<std::string, std::size_t>> groups::all() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::pair<std::string, std::size_t>> list;
    for (const auto& [name, who] : groups_)
        if (valid_name(name)) list.emplace_back(name, who->size());
    return list;
}

std::vector<std::pair<std::string, actor_id>> groups::own() const {
    const std::lock_guard lock{mutex_};
    std::vector<std::pair<std::string, actor_id>> list;
    for (const auto& [name, who] : groups_) {
        if (!valid_name(name)) continue;
        for (const address& a : *who)
            if (!a.is_remote()) list.emplace_back(name, a.id());
    }
    return list;
}

std::vector<std::string> groups::of(actor_id own) const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> list;
    for (const auto& [name, who] : groups_)
        if (valid_name(name) &&
            std::ranges::any_of(*who, [own](const address& a) { return !a.is_remote() && a.id() == own; }))
            list.push_back(name);
    return list;
}

bool groups::watch(std::string_view group, const address& who, list& there) {
    const std::lock_guard lock{mutex_};
    members made;
    if (!add(place_of(watchers_group(group)), {&who, 1}, made)) return false;
    has_watchers_ = true;
    const auto at = groups_.find(group);
    there = at == groups_.end() ? nullptr : at->second;
    return true;
}

bool join_group(scheduler& here, std::string_view group, const address& who) {
    const groups::change c = here.node->group_table.join(group, {&who, 1});
    if (c.made.empty()) return false;
    tell<member_joined>(here, c, group);
    announce(here, group, who, true);
    return true;
}

bool leave_group(scheduler& here, std::string_view group, const address& who) {
    const groups::change c = here.node->group_table.leave(group, {&who, 1});
    if (c.made.empty()) return false;
    tell<member_left>(here, c, group);
    announce(here, group, who, false);
    return true;
}

void change_group(scheduler& here, std::string_view group, std::span<const address> joined,
                  std::span<const address> left) {
    tell<member_left>(here, here.node->group_table.leave(group, left), group);
    tell<member_joined>(here, here.node->group_table.join(group, joined), group);
}

}  // namespace coppice::detail
