// Figures and their text; see observer_metrics.hpp. The formats: prometheus.io/docs/instrumenting/exposition_formats and the
// OpenMetrics specification, 1.0.0. Any thread.
#include "observer_metrics.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <string>

#include <fmt/format.h>

#include "observer_json.hpp"
#include "observer_latency.hpp"

namespace coppice::actors::observing {

std::string_view media_type_of(exposition e) noexcept {
    return e == exposition::prometheus ? "text/plain; version=0.0.4; charset=utf-8"
                                       : "application/openmetrics-text; version=1.0.0; charset=utf-8";
}

namespace {

std::string label_text(const metric_family::labels& of) {
    std::string key;
    for (const auto& [label, text] : of) {
        if (!key.empty()) key += ',';
        (key += label) += "=\"";
        for (const char c : as_utf8(text)) {
            if (c == '\n') key += "\\n";
            else if (c == '"' || c == '\\') (key += '\\') += c;
            else key += c;
        }
        key += '"';
    }
    return key;
}

// As OpenMetrics wants the bounds of buckets: "0.001", "1.0".
std::string seconds_text(std::uint64_t ns) {
    std::string text = fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
    while (text.back() == '0' && text[text.size() - 2] != '.') text.pop_back();
    return text;
}

}  // namespace

void metric_family::add(const labels& of, std::uint64_t value) { samples[label_text(of)] += value; }

void metric_family::add_histogram(const labels& of, const answer_times& times) {
    const std::string key = label_text(of);
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < times.counts.size(); ++i) {
        below += times.counts[i];
        const bool is_last = i == answer_bounds_us.size();
        lines +=
            fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, key,
                        is_last ? "+Inf" : seconds_text(answer_bounds_us[i] * std::uint64_t{1000}), below);
    }
    lines += fmt::format("{}_sum{{{}}} {}\n", name, key, seconds_text(times.sum_us * 1000));
    lines += fmt::format("{}_count{{{}}} {}\n", name, key, times.count);
}

void metric_family::add_histogram(const labels& of, const latency_histogram& times) {
    constexpr std::size_t columns_a_bucket = 2;
    const std::string key = label_text(of);
    for (std::size_t column = 1; column < columns_of_latency; column += columns_a_bucket) {
        const std::size_t last = last_bucket_of_column(column);
        const auto bound = static_cast<std::uint64_t>(latency_histogram::longest_of(last));
        lines +=
            fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, key, seconds_text(bound), times.up_to(last));
    }
    lines += fmt::format("{}_bucket{{{},le=\"+Inf\"}} {}\n", name, key, times.total());
    lines += fmt::format("{}_sum{{{}}} {}\n", name, key, seconds_text(times.sum_ns));
    lines += fmt::format("{}_count{{{}}} {}\n", name, key, times.total());
}

namespace {

constexpr std::array<lane, 3> all_lanes{lane::normal, lane::priority, lane::system};

struct figures {
    metric_family up{"coppice_node_up", metric_type::gauge,
                     "Whether the node has described itself when it was asked last."};
    metric_family actors{"coppice_actors", metric_type::gauge, "Actors that live on the node."};
    metric_family received{
        "coppice_messages_received", metric_type::counter,
        "Messages that actors of the node have received, as far as the observer has seen them."};
    metric_family waiting{"coppice_mailbox_messages", metric_type::gauge,
                          "Messages that wait in mailboxes, by lane."};
    metric_family deepest{"coppice_mailbox_deepest", metric_type::gauge,
                          "Messages that wait in the fullest mailbox."};
    metric_family restarts{"coppice_restarts", metric_type::counter,
                           "Restarts of actors by supervisors of the node."};
    metric_family dead{"coppice_dead_letters", metric_type::counter,
                       "Messages that could not be delivered, by reason."};
    metric_family stuck{"coppice_schedulers_stuck", metric_type::gauge, "Schedulers that make no progress."};
    metric_family silent{"coppice_schedulers_silent", metric_type::gauge,
                         "Schedulers that did not come to an await in time."};
    metric_family links{"coppice_links", metric_type::gauge, "Links to other nodes, by state."};
    metric_family link_bytes{"coppice_link_bytes", metric_type::counter,
                             "Bytes over links, since each was made."};
    metric_family link_unsent{"coppice_link_unsent_bytes", metric_type::gauge,
                              "Bytes that wait in links' transports."};
    metric_family flow_bytes{"coppice_flow_waiting_bytes", metric_type::gauge,
                             "Bytes that wait to be sent to a node, by lane."};
    metric_family flow_stalls{"coppice_flow_stalls", metric_type::counter,
                              "Times that flows made no progress."};
    metric_family answers{"coppice_node_answer_seconds", metric_type::histogram,
                          "Time that the node took to describe itself, with all its schedulers."};
    metric_family turns{
        "coppice_handler_seconds", metric_type::histogram,
        "Time of turns, from when an actor is resumed to its next await. Sampled where turns are many."};
    metric_family delays{
        "coppice_ready_delay_seconds", metric_type::histogram,
        "Time that actors waited for their turn once mail or a reply had made them ready. Sampled."};
    std::set<std::string> with_latencies;
};

void add_actors(figures& f, const node_description& n) {
    const std::string_view node = n.seen.name;
    std::array<std::uint64_t, 3> waiting{};
    std::uint64_t deepest = 0;
    for (const actor_info& a : n.seen.actors) {
        waiting[0] += a.depth.normal;
        waiting[1] += a.depth.priority;
        waiting[2] += a.depth.system;
        deepest = std::max(deepest, std::uint64_t{a.depth.normal} + a.depth.priority + a.depth.system);
    }
    f.actors.add({{"node", node}}, n.seen.actors.size());
    for (std::size_t i = 0; i < all_lanes.size(); ++i)
        f.waiting.add({{"node", node}, {"lane", to_string(all_lanes[i])}}, waiting[i]);
    f.deepest.add({{"node", node}}, deepest);
}

void add_latencies(figures& f, const node_description& n) {
    if (!f.with_latencies.insert(n.seen.name).second)
        return;  // names are the nodes' own, a histogram told twice is none
    const auto add = [&](std::string_view scheduler, const latency_info& of) {
        if (of.turns.total() == 0) return;
        f.turns.add_histogram({{"node", n.seen.name}, {"scheduler", scheduler}}, of.turns);
        f.delays.add_histogram({{"node", n.seen.name}, {"scheduler", scheduler}}, of.delays);
    };
    for (std::size_t i = 0; i < n.seen.schedulers.size(); ++i)
        add(std::to_string(i), n.seen.schedulers[i].latency);
    add("threads", n.seen.threads);
}

void add_network(figures& f, const node_description& n) {
    const std::string_view node = n.seen.name;
    for (const link_info& l : n.seen.links) {
        f.links.add({{"node", node}, {"to", l.node}, {"state", l.state}}, 1);
        f.link_bytes.add({{"node", node}, {"to", l.node}, {"direction", "in"}}, l.bytes_in);
        f.link_bytes.add({{"node", node}, {"to", l.node}, {"direction", "out"}}, l.bytes_out);
        f.link_unsent.add({{"node", node}, {"to", l.node}}, l.unsent);
    }
    for (const flow_info& each : n.seen.flows)
        for (const lane l : all_lanes)
            f.flow_bytes.add({{"node", node}, {"to", each.node}, {"lane", to_string(l)}},
                             each.at(l).waiting_bytes);
    f.flow_stalls.add({{"node", node}}, n.seen.flow_stalls);
}

void add_node(figures& f, const node_description& n) {
    const std::string_view node = n.seen.name;
    f.up.add({{"node", node}}, 1);
    add_actors(f, n);
    add_network(f, n);
    add_latencies(f, n);
    std::uint64_t known = 0;
    for (const auto& [code, count] : n.seen.dead_letter_reasons) {
        f.dead.add({{"node", node}, {"reason", to_string(code)}}, count);
        known += count;
    }
    // Counted between the reading of the two.
    if (known < n.seen.dead_letter_count)
        f.dead.add({{"node", node}, {"reason", "unknown"}}, n.seen.dead_letter_count - known);
    const auto& s = n.seen.schedulers;
    const auto number_of = [&](auto test) {
        return static_cast<std::uint64_t>(std::count_if(s.begin(), s.end(), test));
    };
    f.stuck.add({{"node", node}}, number_of([](const scheduler_info& each) { return each.stuck; }));
    f.silent.add({{"node", node}}, number_of([](const scheduler_info& each) { return !each.answered; }));
}

}  // namespace

std::vector<metric_family> metrics_of(const tree_seen& seen, const tree_rows& rows,
                                      const all_answer_times& answers) {
    figures f;
    for (const node_description& n : seen.nodes) add_node(f, n);
    for (const auto& [path, why] : seen.silent) f.up.add({{"node", std::string_view{path}.substr(1)}}, 0);
    for (const auto& [node, totals] : rows.totals()) {
        f.received.add({{"node", node}}, totals.received);
        f.restarts.add({{"node", node}}, totals.restarts);
    }
    for (const auto& [node, times] : answers) f.answers.add_histogram({{"node", node}}, times);
    std::vector<metric_family> all;
    for (metric_family* each : {&f.up, &f.actors, &f.received, &f.waiting, &f.deepest, &f.restarts, &f.dead,
                                &f.stuck, &f.silent, &f.links, &f.link_bytes, &f.link_unsent, &f.flow_bytes,
                                &f.flow_stalls, &f.answers, &f.turns, &f.delays})
        all.push_back(std::move(*each));
    return all;
}

std::string metrics_text(const std::vector<metric_family>& families, exposition as) {
    std::string out;
    for (const metric_family& f : families) {
        if (f.samples.empty() && f.lines.empty()) continue;
        const bool is_counter = f.type == metric_type::counter;
        const std::string sample = std::string{f.name} + (is_counter ? "_total" : "");
        // OpenMetrics names the family, the older format the samples.
        const std::string head = as == exposition::openmetrics ? std::string{f.name} : sample;
        const char* type = f.type == metric_type::gauge ? "gauge" : is_counter ? "counter" : "histogram";
        out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", head, f.help, head, type) + f.lines;
        for (const auto& [labels, value] : f.samples)
            out += sample + '{' + labels + "} " + std::to_string(value) + '\n';
    }
    if (as == exposition::openmetrics) out += "# EOF\n";
    return out;
}

}  // namespace coppice::actors::observing
