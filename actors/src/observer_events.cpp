// Comparing looks; see observer_events.hpp. Processes are told apart by their ids, because one that was started again has the path
// of the one before; of what is below a node that is silent nothing is said. Threading: the observer's.
#include "observer_events.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "observer_json.hpp"

namespace coppice::actors::observing {

struct tree_events::teller {
    std::vector<std::string>& into;
    std::uint64_t time;
    void operator()(const char* kind, const std::string& path, const std::string& text) const {
        std::string made;
        json_object o{made};
        o.number("time", time).text("kind", kind).text("path", path).text("text", text);
        o.end();
        into.push_back(std::move(made));
    }
};

std::vector<std::string> tree_events::look(const tree_seen& seen, const tree_rows& rows, std::uint64_t time) {
    std::vector<std::string> all;
    const teller tell{all, time};
    for (const restart_seen& r : rows.restarts())
        tell("restart", r.path,
             r.times == 1 ? fmt::format("was restarted, {} in all", r.in_all)
                          : fmt::format("was restarted {} times, {} in all", r.times, r.in_all));
    compare_processes(seen, tell);
    compare_silence(seen, tell);
    if (!std::exchange(has_looked_, true)) all.clear();
    return all;
}

void tree_events::compare_processes(const tree_seen& seen, const teller& tell) {
    auto before = std::exchange(processes_, {});
    for (const node_description& n : seen.nodes) {
        for (const process_info& p : n.seen.processes) {
            if (p.pid == 0) continue;
            processes_[p.path] = {p.pid, p.generation};
            const auto last = before.find(p.path);
            if (last == before.end()) tell("process", p.path, fmt::format("process {} has started", p.pid));
            else if (last->second.pid != p.pid)
                tell("process", p.path,
                     fmt::format("process {} has gone, {} is in its place, generation {}", last->second.pid,
                                 p.pid, p.generation));
            if (last != before.end()) before.erase(last);
        }
    }
    for (auto& [path, process] : before) {
        // Who would know of it does not answer.
        if (is_below_silent(seen, path)) processes_[path] = process;
        else tell("process", path, fmt::format("process {} has gone", process.pid));
    }
}

void tree_events::compare_silence(const tree_seen& seen, const teller& tell) {
    auto before = std::exchange(silent_, {});
    for (const auto& [path, why] : seen.silent) {
        silent_.insert(path);
        if (before.erase(path) == 0) tell("silent", path, "does not answer: " + why);
    }
    for (const node_description& n : seen.nodes)
        if (before.contains("/" + n.seen.name)) tell("heard", "/" + n.seen.name, "answers again");
}

}  // namespace coppice::actors::observing
