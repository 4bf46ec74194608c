// What schedulers say, added up by node; see observer_latency.hpp. The observer's thread alone.
// A node that was started again is told by its pid: its histograms begin anew.
#include "observer_latency.hpp"

#include <algorithm>
#include <utility>

#include "coppice/options.hpp"

namespace coppice::actors::observing {

namespace {

void add_to(latency_info& sum, const latency_info& one) {
    sum.turns.add(one.turns);
    sum.delays.add(one.delays);
    sum.slowest.insert(sum.slowest.end(), one.slowest.begin(), one.slowest.end());
}

}  // namespace

void all_latencies::look(const node_description& n) {
    latency_info now;
    for (const scheduler_info& s : n.seen.schedulers) add_to(now, s.latency);
    add_to(now, n.seen.threads);
    std::sort(now.slowest.begin(), now.slowest.end(),
              [](const slow_turn& a, const slow_turn& b) { return a.took > b.took; });
    if (now.slowest.size() > limits::slow_turns) now.slowest.resize(limits::slow_turns);
    node_latency& known = nodes_[n.seen.name];
    const bool same = known.pid == n.pid;  // a process that was started again has counted nothing before
    known.turns_lately = same ? now.turns.since(known.whole.turns) : now.turns;
    known.delays_lately = same ? now.delays.since(known.whole.delays) : now.delays;
    known.whole = std::move(now);
    known.pid = n.pid;
}

const node_latency* all_latencies::find(const std::string& node) const {
    const auto at = nodes_.find(node);
    return at == nodes_.end() ? nullptr : &at->second;
}

}  // namespace coppice::actors::observing
