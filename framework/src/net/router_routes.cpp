// Who is where: names, peers, the ways to them, what is announced upward and believed of what others announce; and the end of
// a node that is lost. Part of the router, home thread.
#include <algorithm>
#include <set>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/log.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"
#include "process_state.hpp"

namespace coppice::net {

neighbour* router::tree_way(node_id node) const noexcept {
    const auto found = routes_.find(node);
    if (found != routes_.end()) return found->second;
    // One that was below a moment ago is waited for; the parent would send it down here again.
    return away_.contains(node) ? nullptr : parent_;
}

peer* router::known(node_id node) const noexcept {
    const auto found = peers_.find(node);
    return found == peers_.end() ? nullptr : found->second.get();
}

void router::has_name(node_id node, const std::string& name) {
    const node_id before = std::exchange(names_[name], node);
    if (before != node) node_table::set_name(node, name);
}

peer& router::peer_of(node_id node) {
    auto& place = peers_[node];
    if (!place) {
        const std::uint32_t index = node_table::index_of(node);
        auto& chunk = faces_[index / faces_a_chunk];
        if (!chunk.load(std::memory_order_relaxed))
            chunk.store(new std::atomic<face*>[faces_a_chunk] {}, std::memory_order_release);
        auto* f = new face;
        chunk.load(std::memory_order_relaxed)[index % faces_a_chunk].store(f, std::memory_order_release);
        place = std::make_unique<peer>(node, index, f);
        if (by_index_.size() <= index) by_index_.resize(index + 1);
        by_index_[index] = place.get();
        place->last_heard = now();
        for (const lane l : lanes_by_urgency) place->at(l).moved_at = place->last_heard;
        if (!way_to(node)) place->unreachable_since = place->last_heard;
    }
    return *place;
}

face* router::face_of(std::uint32_t index) const noexcept {
    const auto* chunk = faces_[index / faces_a_chunk].load(std::memory_order_acquire);
    return chunk ? chunk[index % faces_a_chunk].load(std::memory_order_acquire) : nullptr;
}

// Flows whose way has come back, over that link, go on; those that have none any more wait.
void router::ways_changed(neighbour& by) {
    for (auto& [id, p] : peers_) {
        neighbour* way = way_to(id);
        if (!way && !p->lost && !p->unreachable_since) p->unreachable_since = now();
        if (way != &by || !p->unreachable_since) continue;
        p->unreachable_since = 0;
        resume(*p, true);
    }
    for (const auto& [node, members] : members_)
        if (tree_way(node) == &by) believe(node);
}

// All that this node can reach below itself, told to the parent as a whole: small, and right after any loss.
void router::announce() {
    if (!parent_ || !parent_->is_up()) return;
    std::vector<named_node> below;
    for (const auto& [node, way] : routes_)
        if (way != parent_ && way->as == role::child) below.push_back({node, {}});
    std::sort(below.begin(), below.end(), [](const auto& a, const auto& b) { return a.node < b.node; });
    for (const auto& [name, id] : names_) {
        const auto at =
            std::lower_bound(below.begin(), below.end(), id,
                             [](const named_node& one, node_id wanted) { return one.node < wanted; });
        if (at != below.end() && at->node == id) at->name = name;
    }
    const auto same = [](const named_node& a, const named_node& b) {
        return a.node == b.node && a.name == b.name;
    };
    if (announced_to_ == parent_ &&
        std::equal(below.begin(), below.end(), announced_.begin(), announced_.end(), same))
        return;
    constexpr std::size_t most = 500;  // of one message
    routes part;
    part.complete = true;
    for (std::size_t i = 0; i < below.size() || part.complete; part.complete = false) {
        const std::size_t end = std::min(below.size(), i + most);
        part.added.assign(below.begin() + static_cast<std::ptrdiff_t>(i),
                          below.begin() + static_cast<std::ptrdiff_t>(end));
        parent_->send_control(part);
        i = end;
    }
    announced_ = std::move(below);
    announced_to_ = parent_;
}

void router::take_routes(neighbour& n, const routes& change) {
    if (n.as != role::child)
        return log(level::warn, "node " + n.name + " announces routes and is no child; they are ignored");
    // Each of a ring of nodes may have seen no ancestor in common when it was greeted; what is below tells.
    if (std::any_of(change.added.begin(), change.added.end(), [this](const auto& one) {
            return one.node == id_ || (parent_ && one.node == parent_->node);
        }))
        return n.refuse(errc::denied, "the two would be each other's ancestors");
    std::vector<node_id> before;
    for (const auto& [node, way] : routes_)
        if (way == &n && node != n.node) before.push_back(node);
    for (const node_id node : before)
        if (change.complete ||
            std::find(change.removed.begin(), change.removed.end(), node) != change.removed.end())
            routes_.erase(node);
    std::erase_if(claims_, [&](const auto& c) {
        return c.second.by == &n &&
               (change.complete ||
                std::find(change.removed.begin(), change.removed.end(), c.first) != change.removed.end());
    });
    for (const named_node& one : change.added) {
        if (one.node == n.node) continue;
        if (!routes_.contains(one.node) && routes_.size() >= limits::nodes)
            return n.refuse(errc::limit_reached, node_.name + " knows ways to " +
                                                     std::to_string(limits::nodes) +
                                                     " nodes, and takes no more (limits::nodes)");
        // What leads to a node is not taken from a neighbour by the word of another one. If it has moved, that neighbour
        // says so, or its link goes down; until then the claim waits.
        const auto earlier = routes_.find(one.node);
        if (earlier != routes_.end() && earlier->second != &n) {
            const auto [at, first] = claims_.insert_or_assign(one.node, claim{&n, one.name});
            if (first)
                log(level::warn, "node " + n.name + " says that " + one.name +
                                     " is below it, which is reached over " + earlier->second->name +
                                     "; it is not believed before that one has lost it");
            continue;
        }
        take_route(n, one);
    }
    std::erase_if(before, [this](node_id node) { return routes_.contains(node); });
    grant_claims(before, n.node);
    ways_changed(n);
    announce();
    searches_again();
}

void router::take_route(neighbour& n, const named_node& one) {
    const auto held = names_.find(one.name);
    if (held != names_.end() && held->second != one.node) {
        if (routes_.contains(held->second)) {
            log(level::warn,
                "two nodes are named " + one.name + "; the one below " + n.name + " is not found by name");
            routes_.emplace(one.node, &n);
            return;
        }
        if (peer* gone = known(held->second))
            node_lost(*gone,
                      exit_reason{exit_kind::node_lost, "node " + one.name + " has been started again"});
    }
    routes_[one.node] = &n;
    has_name(one.node, one.name);
    has_returned(one.node);
}

// Nodes that are not reached any more as they were: the way is that of the neighbour who has claimed them meanwhile, if any.
void router::grant_claims(const std::vector<node_id>& left, node_id from) {
    std::set<neighbour*> by;
    for (const node_id node : left) {
        away_[node] = {now(), from};
        const auto found = claims_.find(node);
        if (found == claims_.end()) continue;
        const claim c = std::move(found->second);
        claims_.erase(found);
        take_route(*c.by, {node, c.name});
        if (peer* p = known(node); p && !p->unreachable_since && way_to(node) == c.by)
            p->unreachable_since = now();
        by.insert(c.by);
    }
    for (neighbour* n : by) ways_changed(*n);
}

// Believed from the neighbour over which that node is reached, or was a moment ago. Who has a shortcut to it hears of its end
// there, behind all that it said.
void router::take_ended(neighbour& n, const ended& m) {
    if (m.node == n.node || m.node == id_ || n.as == role::peer) return;
    const auto left = away_.find(m.node);
    if (left == away_.end() ? tree_way(m.node) != &n : left->second.from != n.node) return;
    pass_on(m, &n);
    if (peer* p = known(m.node); p && (way_to(m.node) == &n || !way_to(m.node))) node_ended(*p, m);
    else away_.erase(m.node);
}

// To all of the tree but that one, behind the mail of the node that has ended.
void router::pass_on(const ended& news, const neighbour* but) {
    for (const auto& n : neighbours_)
        if (n.get() != but && n->is_up() && (n->as == role::child || n->as == role::parent))
            n->send_control(news);
}

void router::node_ended(peer& p, const ended& news) {
    node_lost(p, exit_reason{exit_kind::node_lost, news.text}, news.died ? level::warn : level::info);
}

void router::node_lost(peer& p, const exit_reason& why, level how_bad) {
    if (p.lost) return;
    p.lost = true;
    away_.erase(p.id);
    p.seen->lost.store(true, std::memory_order_relaxed);
    const std::string name = p.name.empty() ? std::to_string(p.id) : p.name;
    if (!stopped_) log_of(name, how_bad, "node " + name + " is lost: " + std::string{why.text()});
    // What was sent and not acknowledged may have arrived, or not.
    std::uint64_t unknown = 0;
    std::uint64_t sent_unknown = 0;
    for (const lane l : mail_lanes) {
        const record_queue& records = p.at(l).out.records();
        unknown += records.next() - records.first();
        sent_unknown += records.unsent() - records.first();
    }
    if (unknown && !stopped_)
        log_of(name, level::warn,
               std::to_string(unknown) + " messages to node " + name + " are not acknowledged: of " +
                   std::to_string(sent_unknown) + " the outcome is unknown, " +
                   std::to_string(unknown - sent_unknown) + " were not sent");
    for (std::uint64_t i = 0; i < unknown; ++i)
        node_.bury_counted(i < sent_unknown ? errc::outcome_unknown : errc::node_lost);
    for (const lane l : lanes_by_urgency)
        if (p.at(l).stalled_since && !stopped_) end_stall(p, l, now());
    for (flow_lane& f : p.lanes) {
        for (const transfer& t : f.bulk)
            node_.bury_counted(t.done() ? errc::outcome_unknown : errc::node_lost);
        f.out.clear();
        f.held = false;
        f.bulk.clear();
        f.bulk_bytes = 0;
        f.bulk_pairs.clear();
        f.assembling.clear();
        f.moved_at = now();
    }
    p.epoch_out = std::max(p.epoch_out, p.epoch_in) + 1;
    if (p.lent.count() && detail::process_ended(p.lent.process())) p.lent.forget();
    tell_room(p);
    for (auto& w : std::exchange(p.waiting, {})) {
        node_.bury(w.mail, errc::node_lost, to_string(w.to));
        w.mail->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
        detail::release(w.mail);
        w.told(errc::node_lost);
    }
    std::vector<std::uint32_t> numbers;
    for (const auto& [number, pending] : p.pending) numbers.push_back(number);
    for (const std::uint32_t number : numbers)
        fail_pending(p, number, error{errc::node_lost, "node " + name + ": " + std::string{why.text()}});
    end_queries([node = p.id](const query& q) { return q.node == node; });
    for (const auto& w : std::exchange(p.watches, {})) {
        const address who = address::on_node(p.index, w.target);
        const address watcher{w.watcher, nullptr};
        home_.send(watcher,
                   detail::make_envelope<down>(w.watcher, who.id(), down{ref<>{who}, why, w.monitor}));
    }
    forget_watches_of(p);
    for (const auto& l : std::exchange(p.links, {}))
        deliver_exit(l.here, address::on_node(p.index, l.there), why);
    forget_members(p.id);
}

}  // namespace coppice::net
