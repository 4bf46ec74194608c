// Monitors and links that actors of other nodes have of actors here: how many, and who is let go of when such a node is lost.
// Part of the router, home thread. What they look like to the watched actor is in its cell, on its own scheduler.
#include <algorithm>
#include <utility>

#include "cell_ext.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

namespace {

exit_reason too_many(const std::string& node) {
    return exit_reason{exit_kind::limit_reached, "node " + node + " takes no more than " +
                                                     std::to_string(limits::watches) +
                                                     " monitors, or links, from one node (limits::watches)"};
}

}  // namespace

bool router::may_watch(peer& p, const watch_actor& m) {
    const peer::watch_number number{m.watcher, m.monitor};
    if (p.watched_from.contains(number)) return false;  // said twice
    if (p.watched_from.size() >= limits::watches) {
        put_control(p, down_notice{m.monitor, m.watcher, m.target, too_many(node_.name)});
        return false;
    }
    p.watched_from.emplace(number, m.target);
    return true;
}

bool router::may_link_actors(peer& p, const link_actors& m) {
    if (p.links.size() < limits::watches) return true;
    put_control(p, exit_notice{m.to, m.from, too_many(node_.name)});
    return false;
}

// What is left of their monitors would be found by no `unwatch`: who comes back begins anew.
void router::forget_watches_of(peer& p) {
    for (const auto& [number, target] : std::exchange(p.watched_from, {})) {
        const auto forget = [target, number, from = p.index](scheduler& s) {
            if (detail::cell* c = s.find(target); c && c->ext)
                std::erase_if(c->ext->watchers, [&](const auto& w) {
                    return w.id == number.second && w.who.is_remote() && w.who.node() == from;
                });
        };
        scheduler* there = own_scheduler_of(target);
        if (there == &home_) forget(home_);
        else if (there) detail::post_control(there->index, forget);
    }
}

}  // namespace coppice::net
