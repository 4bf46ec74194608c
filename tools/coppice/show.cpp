// See show.hpp. An actor in a process of its own is described twice: by its parent's node, which knows its process and restarts,
// and by its own, which knows the rest. It is shown once.
#include "show.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include <fmt/core.h>

#include "fields.hpp"

namespace coppice::command {

namespace {

std::map<std::string, actor_info> actors_of(const guest::whole& all) {
    std::map<std::string, actor_info> by_path;
    for (const node_description& n : all.nodes) {
        for (const actor_info& a : n.seen.actors) {
            const auto [at, is_new] = by_path.emplace(a.path, a);
            if (is_new) continue;
            actor_info& shown = at->second;
            const auto [carrier, restarts] = std::pair{shown.carrier, shown.restarts};
            shown = a;
            shown.carrier = carrier;
            shown.restarts = restarts;
        }
    }
    for (const node_description& n : all.nodes)
        for (const process_info& p : n.seen.processes)
            if (const auto at = by_path.find(p.path); at != by_path.end() && !p.agent.empty())
                at->second.carrier += " on " + p.agent;
    return by_path;
}

std::string painted(const std::string& text, const char* colour, bool wanted) {
    return wanted ? std::string{"\033["} + colour + "m" + text + "\033[0m" : text;
}

std::string number(std::uint64_t n) { return std::to_string(n); }

template <class All, class F>
std::string list_of(const All& all, F one) {
    std::string out = "[";
    for (const auto& each : all) out += (out.size() > 1 ? "," : "") + one(each);
    return out + "]";
}

std::string json_of_actor(const actor_info& a) {
    return "{\"path\":" + json_text(a.path) + ",\"carrier\":" + json_text(a.carrier) +
           ",\"state\":" + json_text(a.state) + ",\"mailbox\":{\"normal\":" + number(a.depth.normal) +
           ",\"priority\":" + number(a.depth.priority) + ",\"system\":" + number(a.depth.system) +
           ",\"capacity\":" + number(a.capacity) + "},\"received\":" + number(a.received) +
           ",\"in_hand\":" + json_text(a.in_hand) + ",\"waits_for\":" + json_text(a.waits_for) +
           ",\"incarnation\":" + number(a.incarnation) + ",\"restarts\":" + number(a.restarts) + "}";
}

std::string json_of_node(const node_description& n) {
    return "{\"name\":" + json_text(n.seen.name) + ",\"pid\":" + number(n.pid) + ",\"schedulers\":" +
           list_of(n.seen.schedulers,
                   [](const scheduler_info& s) {
                       return "{\"index\":" + number(s.index) +
                              ",\"answered\":" + (s.answered ? "true" : "false") +
                              ",\"stuck\":" + (s.stuck ? "true" : "false") +
                              ",\"running\":" + json_text(s.running) + "}";
                   }) +
           ",\"processes\":" +
           list_of(n.seen.processes,
                   [](const process_info& p) {
                       return "{\"path\":" + json_text(p.path) + ",\"pid\":" + number(p.pid) +
                              ",\"state\":" + json_text(p.state) +
                              ",\"transport\":" + json_text(p.transport) +
                              ",\"agent\":" + json_text(p.agent) + "}";
                   }) +
           ",\"links\":" +
           list_of(n.seen.links,
                   [](const link_info& l) {
                       return "{\"node\":" + json_text(l.node) + ",\"role\":" + json_text(l.role) +
                              ",\"state\":" + json_text(l.state) + "}";
                   }) +
           ",\"dead_letters\":" + number(n.seen.dead_letter_count) + "}";
}

}  // namespace

std::string tree_text(const guest::whole& all, bool colour) {
    std::string text;
    for (const auto& [path, a] : actors_of(all)) {
        const auto depth = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/')) - 1;
        const bool bad = a.state == "restarting" || a.state == "ending";
        text += std::string(depth * 2, ' ') +
                painted(depth ? path.substr(path.rfind('/') + 1) : path, "1", colour) + "  " +
                painted("[" + a.carrier + "]", "2", colour) + " " +
                painted(a.state, bad ? "31" : "32", colour);
        if (const auto mail = a.depth.normal + a.depth.priority + a.depth.system)
            text += ", mail " + number(mail) + "/" + number(a.capacity);
        if (a.restarts) text += ", " + painted("restarts " + number(a.restarts), "33", colour);
        if (!a.waits_for.empty()) text += ", waits for " + a.waits_for;
        text += "\n";
    }
    for (const node_description& n : all.nodes)
        for (const scheduler_info& s : n.seen.schedulers)
            if (!s.answered)
                text += painted("scheduler " + number(s.index) + " of " + n.seen.name +
                                    " does not answer: " + s.running + " is running",
                                "31", colour) +
                        "\n";
    for (const auto& [path, why] : all.silent)
        text += painted("process " + path + " does not answer: " + why, "31", colour) + "\n";
    return text;
}

namespace {

// Three digits that say something.
std::string duration(std::chrono::nanoseconds d) {
    const auto ns = static_cast<double>(d.count());
    if (ns < 1e3) return fmt::format("{} ns", d.count());
    const auto [unit, size] = ns < 1e6   ? std::pair{"us", 1e3}
                              : ns < 1e9 ? std::pair{"ms", 1e6}
                                         : std::pair{"s", 1e9};
    const double shown = ns / size;
    return fmt::format("{:.{}f} {}", shown, shown < 9.995 ? 2 : shown < 99.95 ? 1 : 0, unit);
}

std::string quantiles(const latency_histogram& h) {
    return h.total() == 0 ? "-"
                          : fmt::format("{} / {}", duration(h.quantile(0.5)), duration(h.quantile(0.99)));
}

latency_info latency_of(const node_description& n) {
    latency_info sum;
    const auto add = [&](const latency_info& one) {
        sum.turns.add(one.turns);
        sum.delays.add(one.delays);
        sum.slowest.insert(sum.slowest.end(), one.slowest.begin(), one.slowest.end());
    };
    for (const scheduler_info& s : n.seen.schedulers) add(s.latency);
    add(n.seen.threads);
    std::sort(sum.slowest.begin(), sum.slowest.end(),
              [](const slow_turn& a, const slow_turn& b) { return a.took > b.took; });
    return sum;
}

const node_description* same_of(const guest::whole& all, const node_description& n) {
    for (const node_description& each : all.nodes)
        if (each.seen.name == n.seen.name && each.pid == n.pid) return &each;
    return nullptr;  // a process that was restarted is another
}

// A line a node: half and 99 of 100 of its turns since `before` took at most that long, and began at most that late.
std::string latency_text(const guest::whole& before, const guest::whole& now) {
    std::string text = fmt::format("{:<20} {:<22} {}\n", "TURNS 50% / 99%", "LATE BY 50% / 99%",
                                   "NODE AND ITS LONGEST TURN OF LATE");
    for (const node_description& n : now.nodes) {
        latency_info seen = latency_of(n);
        if (const node_description* earlier = same_of(before, n)) {
            const latency_info was = latency_of(*earlier);
            seen.turns = seen.turns.since(was.turns);
            seen.delays = seen.delays.since(was.delays);
        }
        text += fmt::format("{:<20} {:<22} {}", quantiles(seen.turns), quantiles(seen.delays), n.seen.name);
        if (!seen.slowest.empty())
            text += fmt::format("  {} {} {}", duration(seen.slowest.front().took), seen.slowest.front().path,
                                seen.slowest.front().message);
        text += "\n";
    }
    return text;
}

}  // namespace

std::string top_text(const guest::whole& before, const guest::whole& now) {
    struct row {
        const actor_info* who;
        double rate;
    };
    std::vector<row> rows;
    for (const node_description& n : now.nodes) {
        const node_description* earlier = same_of(before, n);
        const double seconds = earlier ? std::chrono::duration<double>(n.at - earlier->at).count() : 0;
        for (const actor_info& a : n.seen.actors) {
            const actor_info* was = earlier ? earlier->seen.find(a.path) : nullptr;
            const bool same = was && was->received <= a.received && seconds > 0;
            rows.push_back({&a, same ? static_cast<double>(a.received - was->received) / seconds : 0});
        }
    }
    std::sort(rows.begin(), rows.end(), [](const row& a, const row& b) {
        return a.rate != b.rate ? a.rate > b.rate : a.who->path < b.who->path;
    });
    std::string text = latency_text(before, now) + "\n";
    text += fmt::format("{:>10} {:>8} {:>10} {:>8}  {:<24} {}\n", "MESSAGES/S", "MAIL", "RECEIVED",
                        "RESTARTS", "STATE", "PATH AND MESSAGE IN HAND");
    for (const auto& [a, rate] : rows)
        text += fmt::format("{:>10.1f} {:>8} {:>10} {:>8}  {:<24} {}  {}\n", rate,
                            a->depth.normal + a->depth.priority + a->depth.system, a->received, a->restarts,
                            a->state, a->path, a->in_hand);
    for (const auto& [path, why] : now.silent) text += "process " + path + " does not answer: " + why + "\n";
    return text;
}

std::string tree_json(const guest::whole& all) {
    return "{\"nodes\":" + list_of(all.nodes, &json_of_node) +
           ",\"actors\":" + list_of(actors_of(all), [](const auto& a) { return json_of_actor(a.second); }) +
           ",\"silent\":" +
           list_of(all.silent,
                   [](const auto& s) {
                       return "{\"path\":" + json_text(s.first) + ",\"why\":" + json_text(s.second) + "}";
                   }) +
           "}\n";
}

}  // namespace coppice::command
