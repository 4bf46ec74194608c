// What the router sees of itself: flows and schedulers that make no progress, and what inspect shows of links, flows and routes.
// Home thread; looks at each tick, so that the ways of messages pay for none of it.
//
// A lane of a flow stalls when its node can be reached and something waits, but nothing was acknowledged for
// limits::flow_stall. A scheduler is stuck when it has work, or a handler that does not return, and its counters have
// stood still for limits::scheduler_stuck. Both clocks stand still while this process was paused: that is no evidence.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/log.hpp"
#include "coppice/network.hpp"
#include "net/dialer.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice {

std::string_view to_string(flow_wait w) noexcept {
    switch (w) {
    case flow_wait::link: return "link";
    case flow_wait::credit: return "credit";
    case flow_wait::acknowledgement: return "acknowledgement";
    case flow_wait::nothing: break;
    }
    return "nothing";
}

std::string_view to_string(lane l) noexcept {
    return l == lane::system ? "system" : l == lane::priority ? "priority" : "normal";
}

}  // namespace coppice

namespace coppice::net {

namespace {

std::string in_hexadecimal(node_id id) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(id));
    return text;
}

std::string name_of(const peer& p) { return p.name.empty() ? in_hexadecimal(p.id) : p.name; }

flow_wait wait_of(const flow_lane& f) noexcept {
    if (f.out.is_empty()) return flow_wait::nothing;
    if (f.out.outstanding()) return flow_wait::acknowledgement;
    return f.out.starved() ? flow_wait::credit : flow_wait::link;
}

const char* role_name(role as) noexcept {
    switch (as) {
    case role::parent: return "parent";
    case role::child: return "child";
    case role::shortcut: return "shortcut";
    case role::peer: break;
    }
    return "peer";
}

std::string milliseconds(std::int64_t ns) { return std::to_string(ns / 1'000'000) + " ms"; }

}  // namespace

// ---------------------------------------------------------------- flows

template <class M>
void router::tell_flow_watchers(const M& event) {
    const auto watchers = node_.group_table.snapshot(detail::flow_watchers);
    if (!watchers) return;
    for (const address& who : *watchers) home_.send(who, detail::make_envelope<M>(who.id(), 0, event));
}

void router::look_at_flow(peer& p, std::int64_t at, std::int64_t pause) {
    const bool reached = !p.lost && !p.unreachable_since && way_to(p.id);
    for (const lane l : lanes_by_urgency) {
        flow_lane& f = p.at(l);
        if (f.out.is_empty() || f.out.last_acknowledged() != f.seen_acknowledged) {
            f.seen_acknowledged = f.out.last_acknowledged();
            f.moved_at = at;
            if (f.stalled_since) end_stall(p, l, at);
        } else if (!reached && !f.stalled_since) {
            f.moved_at = at;
        } else if (pause) {
            f.moved_at += pause;
        } else if (!f.stalled_since && at - f.moved_at > limits::flow_stall.count()) {
            const flow_stalled event{name_of(p),
                                     l,
                                     f.bytes(),
                                     f.out.records().next() - f.out.records().first() + f.bulk.size(),
                                     std::chrono::nanoseconds{at - f.moved_at},
                                     wait_of(f)};
            f.stalled_since = f.moved_at;
            ++f.stalls;
            log(level::warn, "the flow to node " + event.node + " has stalled: in the " +
                                 std::string{coppice::to_string(l)} + " lane " +
                                 std::to_string(event.messages) + " messages, " +
                                 std::to_string(event.bytes) + " bytes, have waited for " +
                                 milliseconds(event.waited.count()) + " for " +
                                 (event.waits_for == flow_wait::link ? "the link to take them"
                                  : event.waits_for == flow_wait::credit
                                      ? "credit: its actors do not take what they were sent"
                                      : "an acknowledgement"));
            tell_flow_watchers(event);
        }
    }
}

void router::end_stall(peer& p, lane l, std::int64_t at) {
    flow_lane& f = p.at(l);
    const flow_resumed event{name_of(p), l, std::chrono::nanoseconds{at - std::exchange(f.stalled_since, 0)},
                             p.lost};
    if (!p.lost)
        log(level::info, "the flow to node " + event.node + " goes on: its " +
                             std::string{coppice::to_string(l)} + " lane had stalled for " +
                             milliseconds(event.stalled.count()));
    tell_flow_watchers(event);
}

// ---------------------------------------------------------------- schedulers

std::string not_said(std::uint64_t times) {
    return times == 0 ? std::string{}
                      : "; since that was last said it was so " + std::to_string(times) +
                            (times == 1 ? " more time" : " more times");
}

void router::look_at_schedulers(std::int64_t at, std::int64_t pause) {
    const auto& all = node_.index_list;
    seen_schedulers_.resize(all.size());
    std::uint32_t stuck = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        scheduler& s = *all[i];
        if (&s == &home_) continue;
        seen_scheduler& seen = seen_schedulers_[i];
        if (seen.progress.look(s, at)) seen.stuck = false;
        else if (pause) seen.progress.forgive(pause);
        else if (seen.progress.still_for(at) > limits::scheduler_stuck.count()) seen.stuck = true;
        stuck += seen.stuck;
        switch (seen.reports.look(seen.stuck, at)) {
        case stuck_reports::line::none: break;
        case stuck_reports::line::goes_on:
            log(level::info, "scheduler " + std::to_string(i) + " goes on");
            break;
        case stuck_reports::line::stuck: {
            const actor_id running = detail::running_on(s);
            log(level::warn,
                "scheduler " + std::to_string(i) + " is stuck: " +
                    (running ? "the handler of " + address{running, nullptr}.to_string() + " has not returned"
                             : std::string{"its thread has not come back to it"}) +
                    " for " + milliseconds(seen.progress.still_for(at)) + not_said(seen.reports.left_out()));
            break;
        }
        }
    }
    if (stuck == stuck_) return;
    stuck_ = stuck;
    for (auto& n : neighbours_)
        if (n->is_up()) n->send_sign(frame_kind::ping);
}

// ---------------------------------------------------------------- inspect

void router::describe(node_info& out) {
    const std::int64_t at = now();
    const auto since = [at](std::int64_t then) { return std::chrono::nanoseconds{at - then}; };
    std::unordered_map<node_id, std::string_view> names;
    for (const auto& [name, id] : names_) names.emplace(id, name);
    const auto named = [&](node_id id) {
        const auto found = names.find(id);
        const peer* p = known(id);
        return found != names.end() ? std::string{found->second} : p ? name_of(*p) : in_hexadecimal(id);
    };
    for (const auto& owned : neighbours_) {
        const neighbour& n = *owned;
        if (n.is_closed()) continue;
        link_info i;
        i.node = n.name;
        i.id = n.node;
        for (const auto& d : dialers_)
            if (d->link == &n) i.endpoint = d->at.where.to_string();
        i.address = n.link->peer().address;
        i.role = role_name(n.as);
        i.state = n.state_name();
        i.age = since(n.since);
        i.silent = since(n.last_heard);
        i.bytes_in = n.bytes_in;
        i.bytes_out = n.bytes_out;
        i.frames_in = n.frames_in;
        i.frames_out = n.frames_out;
        i.unsent = n.link->unsent();
        i.relayed = n.frame_bytes_waiting;
        i.stuck = n.stuck;
        out.links.push_back(std::move(i));
    }
    for (const auto& [id, owned] : peers_) {
        const peer& p = *owned;
        flow_info i;
        i.node = named(id);
        i.id = id;
        i.state = p.lost ? "lost" : p.unreachable_since ? "out of reach" : "reached";
        if (p.unreachable_since) i.out_of_reach = since(p.unreachable_since);
        for (const lane l : lanes_by_urgency) {
            const flow_lane& f = p.at(l);
            const record_queue& records = f.out.records();
            flow_lane_info& lane_of_it = i.lanes[static_cast<std::size_t>(l)];
            lane_of_it.waiting_bytes = f.unsent_bytes();
            lane_of_it.waiting_messages = records.next() - records.unsent() + f.bulk.size();
            lane_of_it.unacknowledged = records.unsent() - records.first();
            if (l != lane::system) {
                lane_of_it.credit_bytes = f.out.credit_left().bytes;
                lane_of_it.credit_messages = f.out.credit_left().records;
            }
            lane_of_it.sent = records.unsent() - 1;
            lane_of_it.received = f.in.received();
            lane_of_it.held_bytes = f.in.held().bytes;
            lane_of_it.held_messages = f.in.held().records;
            lane_of_it.retransmitted = f.retransmitted;
            lane_of_it.stalls = f.stalls;
            if (f.stalled_since) lane_of_it.stalled = since(f.stalled_since);
            lane_of_it.waits_for = wait_of(f);
            out.flow_stalls += f.stalls;
        }
        out.flows.push_back(std::move(i));
    }
    for (const auto& [id, way] : routes_) out.routes.push_back({named(id), id, way->name});
    for (const auto& [id, way] : shortcuts_)
        if (!routes_.contains(id)) out.routes.push_back({named(id), id, way->name});
    const auto by_name = [](const auto& a, const auto& b) { return a.node < b.node; };
    std::sort(out.links.begin(), out.links.end(), by_name);
    std::sort(out.flows.begin(), out.flows.end(), by_name);
    std::sort(out.routes.begin(), out.routes.end(), by_name);
    for (scheduler_info& s : out.schedulers)
        s.stuck = s.index < seen_schedulers_.size() && seen_schedulers_[s.index].stuck;
}

}  // namespace coppice::net
