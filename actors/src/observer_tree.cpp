// The rows of a tree and their differences; see observer_tree.hpp. Threading: the observer's.
//
// An actor in a process of its own is described twice: by its parent's node, which knows its carrier and its restarts, and by
// its own, which knows the rest. Nodes come parents first, so the second one of a look is the own one.
#include "observer_tree.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "observer_json.hpp"

namespace coppice::actors::observing {

namespace {

void put_related(json_object& into, std::string& out, std::string_view name,
                 const std::vector<std::string>& who) {
    if (who.empty()) return;
    const std::size_t listed = std::min(who.size(), most_related);
    into.key(name);
    put_list(out,
             std::vector<std::string_view>{who.begin(), who.begin() + static_cast<std::ptrdiff_t>(listed)},
             [](std::string& to, std::string_view path) { put_json(to, path); });
    into.number_if_any(std::string{name} + "_more", who.size() - listed);
}

}  // namespace

void tree_rows::begin(const tree_seen& seen) {
    ++look_;
    hidden_ = 0;
    next_node_ = 0;
    next_actor_ = 0;
    seconds_.clear();
    hosts_.clear();
    own_nodes_.clear();
    restarts_.clear();
    for (const node_description& n : seen.nodes) {
        own_nodes_.insert("/" + n.seen.name);
        const auto last = last_looks_.find(n.seen.name);
        // A process that was restarted is another one, with another clock.
        const bool same = last != last_looks_.end() && last->second.pid == n.pid && last->second.at < n.at;
        seconds_[n.seen.name] = same ? std::chrono::duration<double>(n.at - last->second.at).count() : 0;
        for (const process_info& p : n.seen.processes)
            if (!p.agent.empty()) hosts_[p.path] = p.agent;
    }
}

bool tree_rows::take(const tree_seen& seen, std::size_t count) {
    while (next_node_ < seen.nodes.size()) {
        const auto& actors = seen.nodes[next_node_].seen.actors;
        while (next_actor_ < actors.size()) {
            if (count == 0) return true;
            --count;
            take_one(seen.nodes[next_node_], actors[next_actor_++]);
        }
        ++next_node_;
        next_actor_ = 0;
    }
    return false;
}

// What an own node does not know of its actor.
void tree_rows::count(row& r, const node_description& node, const actor_info& a) {
    const std::uint32_t more = a.restarts >= r.restarts ? a.restarts - r.restarts : a.restarts;
    totals_[node.seen.name].restarts += more;
    if (more != 0 && look_ > 1) restarts_.push_back({a.path, more, a.restarts});
    r.restarts = a.restarts;
    r.carrier = a.carrier;
}

void tree_rows::take_one(const node_description& node, const actor_info& a) {
    auto at = rows_.find(a.path);
    if (at == rows_.end()) {
        if (rows_.size() >= most_) {
            ++hidden_;
            return;
        }
        at = rows_.try_emplace(a.path).first;
        buckets_[bucket_of(a.path)].rows.push_back(&*at);
    }
    row& r = at->second;
    const bool is_own = std::string_view{a.path}.substr(1) == node.seen.name;
    if (!(is_own && r.parent_seen_in == look_)) count(r, node, a);
    if (!is_own && own_nodes_.contains(a.path)) {
        r.parent_seen_in = look_;
        return;
    }
    // An actor that was restarted counts from 0 again.
    const std::uint64_t more = a.received >= r.received ? a.received - r.received : a.received;
    const double seconds = seconds_[node.seen.name];
    const bool is_known = r.seen_in != 0 && seconds > 0;
    r.rate = is_known ? static_cast<std::uint64_t>(std::llround(static_cast<double>(more) / seconds)) : 0;
    totals_[node.seen.name].received += more;
    r.received = a.received;
    r.seen_in = look_;
    std::string made = json_of(r, node, a);
    if (made == r.json) return;
    r.json = std::move(made);
    if (!std::exchange(r.is_changed, true)) buckets_[bucket_of(a.path)].changed.push_back(&*at);
}

std::string tree_rows::json_of(const row& r, const node_description& node, const actor_info& a) const {
    std::string made;
    made.reserve(r.json.size() + 16);
    json_object o{made};
    o.text("path", a.path);
    const auto host = hosts_.find(a.path);
    o.text("carrier", host == hosts_.end() ? r.carrier : r.carrier + " on " + host->second);
    o.text("state", a.state).text("node", node.seen.name);
    o.number_if_any("normal", a.depth.normal).number_if_any("priority", a.depth.priority);
    o.number_if_any("system", a.depth.system).number_if_any("stashed", a.depth.stashed);
    o.number_if_any("capacity", a.capacity).number_if_any("received", a.received);
    o.number_if_any("rate", r.rate).number_if_any("restarts", r.restarts);
    if (a.incarnation != 1) o.number("incarnation", a.incarnation);
    o.text_if_any("in_hand", a.in_hand).text_if_any("waits_for", a.waits_for);
    o.flag_if_set("supervisor", a.is_supervisor);
    put_related(o, made, "links", a.links);
    put_related(o, made, "monitors", a.monitors);
    o.end();
    return made;
}

bool is_below_silent(const tree_seen& seen, std::string_view path) {
    return std::any_of(seen.silent.begin(), seen.silent.end(), [&](const auto& silent) {
        const std::string_view top = silent.first;
        return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
    });
}

void tree_rows::end(const tree_seen& seen) {
    // Nobody knows whether they still live; their counters go on where they stood when their node is heard again.
    const auto has_gone = [&](const row_map::value_type* each) {
        return each->second.seen_in != look_ && !is_below_silent(seen, each->first);
    };
    for (bucket& b : buckets_) {
        std::vector<const row_map::value_type*> gone;
        for (const auto* each : b.rows)
            if (has_gone(each)) gone.push_back(each);
        if (gone.empty()) continue;
        std::erase_if(b.rows, has_gone);
        std::erase_if(b.changed, has_gone);
        for (const auto* each : gone) {
            b.gone.push_back(each->first);
            rows_.erase(b.gone.back());
        }
        // Nobody could be told for long: then the whole will do.
        if (b.gone.size() > b.rows.size() + gone.size()) {
            b.gone.clear();
            b.told = false;
        }
    }
    for (const node_description& n : seen.nodes) last_looks_[n.seen.name] = {n.pid, n.at};
    std::erase_if(last_looks_, [&](const auto& each) { return !seconds_.contains(each.first); });
    // Nodes come under ever new names, too: what nobody asks for any more is not kept.
    std::erase_if(totals_, [&](const auto& each) {
        return !seconds_.contains(each.first) && !is_below_silent(seen, "/" + each.first);
    });
}

std::string tree_rows::whole(std::size_t number) const {
    std::string out;
    json_object o{out};
    o.text("topic", "actors").number("part", number).key("whole");
    put_list(out, buckets_[number].rows, [](std::string& to, const auto* each) { to += each->second.json; });
    o.end();
    return out;
}

std::string tree_rows::change(std::size_t number) const {
    const bucket& b = buckets_[number];
    if (!b.told || (b.changed.size() + b.gone.size()) * 2 > b.rows.size() + 1) return {};
    std::string out;
    json_object o{out};
    o.text("topic", "actors").number("part", number).key("gone");
    put_list(out, b.gone, [](std::string& to, const std::string& path) { put_json(to, path); });
    // Behind what has gone: an actor of the same path may be there again.
    o.key("set");
    put_list(out, b.changed, [](std::string& to, const auto* each) { to += each->second.json; });
    o.end();
    return out;
}

void tree_rows::told(std::size_t number) {
    bucket& b = buckets_[number];
    for (const auto* each : b.changed) rows_.find(each->first)->second.is_changed = false;
    b.changed.clear();
    b.gone.clear();
    b.told = true;
}

namespace {

void put_scheduler(std::string& out, const scheduler_info& s) {
    json_object o{out};
    o.number("index", s.index).number("actors", s.actors).flag("answered", s.answered);
    o.flag_if_set("stuck", s.stuck).text_if_any("running", s.running);
    o.end();
}

void put_process(std::string& out, const process_info& p) {
    json_object o{out};
    o.text("path", p.path).number("pid", p.pid).text("state", p.state).text_if_any("program", p.program);
    o.text("transport", p.transport).number("generation", p.generation).text_if_any("agent", p.agent);
    o.text_if_any("handler", p.handler);
    o.end();
}

void put_link(std::string& out, const link_info& l) {
    json_object o{out};
    o.text("node", l.node).text("role", l.role).text("state", l.state).text_if_any("address", l.address);
    o.number("bytes_in", l.bytes_in).number("bytes_out", l.bytes_out).number_if_any("unsent", l.unsent);
    o.number_if_any("relayed", l.relayed).number_if_any("stuck", l.stuck);
    o.end();
}

void put_flow(std::string& out, const flow_info& f) {
    json_object o{out};
    o.text("node", f.node).text("state", f.state).key("lanes");
    put_list(out, f.lanes, [](std::string& to, const flow_lane_info& l) {
        json_object lane{to};
        lane.number_if_any("waiting_bytes", l.waiting_bytes).number_if_any("waiting", l.waiting_messages);
        lane.number_if_any("sent", l.sent).number_if_any("received", l.received);
        lane.number_if_any("stalls", l.stalls).flag_if_set("stalled", l.stalled.count() != 0);
        if (l.waits_for != flow_wait::nothing) lane.text("waits_for", to_string(l.waits_for));
        lane.end();
    });
    o.end();
}

std::uint64_t ns_of(std::chrono::nanoseconds d) noexcept {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(d.count(), 0));
}

// Counts by columns, from the first that is not 0 to the last; quantiles of the time since the last look.
void put_histogram(json_object& node, std::string& out, const char* name, const latency_histogram& whole,
                   const latency_histogram& lately) {
    std::vector<std::uint64_t> counts;
    std::size_t first = 0;
    std::uint64_t before = 0;
    for (std::size_t column = 0; column <= columns_of_latency; ++column) {
        const bool is_last = column == columns_of_latency;
        const std::uint64_t up_to = is_last ? whole.total() : whole.up_to(last_bucket_of_column(column));
        if (counts.empty()) first = column;
        if (up_to != before || !counts.empty()) counts.push_back(up_to - before);
        before = up_to;
    }
    while (!counts.empty() && counts.back() == 0) counts.pop_back();
    node.key(name);
    json_object o{out};
    o.number("p50_ns", ns_of(lately.quantile(0.5))).number("p99_ns", ns_of(lately.quantile(0.99)));
    o.number("lately", lately.total()).number("longest_ns", ns_of(whole.longest()));
    o.number("first", counts.empty() ? 0 : first).key("counts");
    put_list(out, counts, [](std::string& to, std::uint64_t count) { to += std::to_string(count); });
    o.end();
}

void put_slow_turn(std::string& out, const slow_turn& t) {
    json_object o{out};
    o.text("path", t.path).text_if_any("message", t.message).number("took_ns", ns_of(t.took));
    o.number_if_any("messages", t.messages);
    o.end();
}

void put_node(std::string& out, const node_description& n, const all_answer_times& answers,
              const all_latencies& latencies) {
    json_object o{out};
    o.text("name", n.seen.name).number("pid", n.pid).number("dead_letters", n.seen.dead_letter_count);
    if (const auto times = answers.find(n.seen.name); times != answers.end()) {
        o.number("answer_us", times->second.last_us).key("answers");
        put_list(out, times->second.counts,
                 [](std::string& to, std::uint64_t count) { to += std::to_string(count); });
    }
    if (const node_latency* l = latencies.find(n.seen.name)) {
        put_histogram(o, out, "turns", l->whole.turns, l->turns_lately);
        put_histogram(o, out, "delays", l->whole.delays, l->delays_lately);
        o.key("slowest");
        put_list(out, l->whole.slowest, &put_slow_turn);
    }
    o.key("reasons");
    json_object reasons{out};
    for (const auto& [code, count] : n.seen.dead_letter_reasons) reasons.number(to_string(code), count);
    reasons.end();
    o.key("schedulers");
    put_list(out, n.seen.schedulers, &put_scheduler);
    o.key("processes");
    put_list(out, n.seen.processes, &put_process);
    o.key("links");
    put_list(out, n.seen.links, &put_link);
    o.key("flows");
    put_list(out, n.seen.flows, &put_flow);
    o.key("routes");
    put_list(out, n.seen.routes, [](std::string& to, const route_info& r) {
        json_object route{to};
        route.text("node", r.node).text("over", r.over);
        route.end();
    });
    o.key("groups");
    put_list(out, n.seen.groups, [](std::string& to, const auto& group) {
        json_object one{to};
        one.text("name", group.first).number("members", group.second);
        one.end();
    });
    o.end();
}

}  // namespace

std::string nodes_json(const tree_seen& seen, const tree_rows& rows, const all_answer_times& answers,
                       const all_latencies& latencies) {
    std::string out;
    json_object o{out};
    o.text("topic", "nodes").number("shown", rows.shown()).number("hidden", rows.hidden()).key("nodes");
    put_list(out, seen.nodes,
             [&](std::string& to, const node_description& n) { put_node(to, n, answers, latencies); });
    o.key("silent");
    put_list(out, seen.silent, [](std::string& to, const auto& each) {
        json_object one{to};
        one.text("path", each.first).text("why", each.second);
        one.end();
    });
    o.end();
    return out;
}

std::string dead_letters_json(const tree_seen& seen) {
    std::vector<std::pair<const node_description*, const dead_letter*>> last;
    std::uint64_t count = 0;
    for (const node_description& n : seen.nodes) {
        count += n.seen.dead_letter_count;
        for (const dead_letter& d : n.seen.dead_letters) last.emplace_back(&n, &d);
    }
    if (last.size() > most_dead_letters) last.erase(last.begin(), last.end() - most_dead_letters);
    std::string out;
    json_object o{out};
    o.text("topic", "dead_letters").number("count", count).key("last");
    put_list(out, last, [](std::string& to, const auto& each) {
        json_object one{to};
        one.text("node", each.first->seen.name).text("message", each.second->message);
        one.text("target", each.second->target).text_if_any("sender", each.second->sender);
        one.text("reason", to_string(each.second->reason));
        one.end();
    });
    o.end();
    return out;
}

}  // namespace coppice::actors::observing
