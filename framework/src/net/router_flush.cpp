// Waiting for what was sent to arrive: until the other nodes have acknowledged all of it, or are lost, or a time limit has passed.
// Part of the router, home thread; flush_network() alone is called from any thread.
#include <algorithm>
#include <utility>

#include "coppice/log.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

namespace {

// Mail that is in a lane: its records, what is cut into pieces, and what waits to get in.
std::uint64_t messages_in(const peer& p) {
    std::uint64_t all = p.waiting.size();
    for (const lane l : mail_lanes) {
        const flow_lane& f = p.at(l);
        all += f.out.records().next() - f.out.records().first() + f.bulk.size();
    }
    return all;
}

bool is_settled(const peer& p) noexcept {
    return p.lost ||
           (p.all_out() && p.waiting.empty() &&
            std::all_of(p.lanes.begin(), p.lanes.end(), [](const flow_lane& f) { return f.bulk.empty(); }));
}

// Control: monitors, ends of actors, and so on.
std::string what_is_left(const router::unsettled& of) {
    if (of.messages == 0) return "control";
    return std::to_string(of.messages) + (of.messages == 1 ? " message" : " messages");
}

}  // namespace

std::vector<router::unsettled> router::all_unsettled() const {
    std::vector<unsettled> all;
    for (const auto& [id, p] : peers_) {
        if (is_settled(*p)) continue;
        const std::string name = p->name.empty() ? node_table::name_of(p->index) : p->name;
        all.push_back({name, messages_in(*p), p->unreachable_since == 0});
    }
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.node < b.node; });
    return all;
}

void router::flush(std::chrono::nanoseconds within, flushed_function told) {
    flushes_.push_back({std::move(told), nullptr});
    auto& mine = flushes_.back();
    mine.limit = after(std::max(within, std::chrono::nanoseconds{0}), [this, at = &mine] {
        const auto over =
            std::find_if(flushes_.begin(), flushes_.end(), [at](const flushing& one) { return &one == at; });
        flushing ended = std::move(*over);
        flushes_.erase(over);
        ended.told(all_unsettled());
    });
    look_at_flushes();
}

void router::look_at_flushes() {
    if (flushes_.empty()) return;
    if (!std::all_of(peers_.begin(), peers_.end(), [](const auto& p) { return is_settled(*p.second); }))
        return;
    end_flushes();
}

void router::end_flushes() {
    for (flushing& one : std::exchange(flushes_, {})) one.told(all_unsettled());
}

void flush_network(detail::node_core& node, std::chrono::nanoseconds within,
                   std::function<void(result<void>)> told) {
    detail::post_control(node.index_list.front()->index, [within, told = std::move(told)](scheduler& s) {
        router* const r = s.node->net;
        if (!r) return told({});
        r->flush(within, [within, told](const std::vector<router::unsettled>& left) {
            if (left.empty()) return told({});
            std::string text;
            for (const router::unsettled& one : left)
                text += (text.empty() ? "" : ", ") + what_is_left(one) + " for node " + one.node +
                        (one.reachable ? "" : ", which is out of reach");
            const auto waited = std::chrono::ceil<std::chrono::milliseconds>(within);
            told(error{errc::timeout,
                       "not acknowledged within " + std::to_string(waited.count()) + " ms: " + text});
        });
    });
}

}  // namespace coppice::net
