// inspect: asks each scheduler of a node for its actors, waits for the answers, and names who does not answer.
// Called on an ordinary thread. The control actor gathers the same without waiting (control_actor.cpp).
#include "coppice/inspect.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "net/router.hpp"
#include "process/keeper.hpp"
#include "root.hpp"

namespace coppice {

namespace detail {

inspection::inspection(node_core& node) : node_{node}, all_{node.all_schedulers()} {
    collect_shared(node, info_);
}

void inspection::look(scheduler& here, node_info& seen) {
    collect(here, seen.actors);
    node_core& node = *here.node;
    // The router lives on the first scheduler.
    if (node.index_list.empty() || &here != node.index_list.front() || !node.net) return;
    if (node.processes) node.processes->describe(seen);
    for (std::uint32_t i = 0; i < node.index_list.size(); ++i) seen.schedulers.emplace_back().index = i;
    node.net->describe(seen);
}

void inspection::add(std::uint32_t from, node_info seen) {
    answered_.push_back(from);
    std::move(seen.actors.begin(), seen.actors.end(), std::back_inserter(info_.actors));
    if (seen.schedulers.empty()) return;
    network_ = std::move(seen.schedulers);
    info_.processes = std::move(seen.processes);
    info_.links = std::move(seen.links);
    info_.flows = std::move(seen.flows);
    info_.routes = std::move(seen.routes);
    info_.flow_stalls = seen.flow_stalls;
}

node_info inspection::finish() {
    for (std::size_t i = 0; i < all_.size(); ++i) {
        scheduler* s = all_[i];
        scheduler_info one;
        one.index = static_cast<std::uint32_t>(i);
        one.actors = static_cast<std::uint64_t>(
            std::count_if(info_.actors.begin(), info_.actors.end(),
                          [&](const actor_info& a) { return scheduler_of(a.who.id()) == s->index; }));
        one.switches = s->switches.load(std::memory_order_relaxed);
        one.sleeps = s->sleeps.load(std::memory_order_relaxed);
        one.answered = std::find(answered_.begin(), answered_.end(), s->index) != answered_.end();
        if (!one.answered) {
            one.running = address{s->running.load(std::memory_order_relaxed), nullptr}.to_string();
            one.handler_age =
                std::chrono::nanoseconds{node_.clock() - s->last_look.load(std::memory_order_relaxed)};
        }
        if (i < network_.size()) one.stuck = network_[i].stuck;
        if (i < node_.index_list.size()) one.latency = s->meter->of_scheduler.read(node_.clock());
        info_.schedulers.push_back(std::move(one));
    }
    info_.threads = node_.own_threads.read(node_.clock());
    std::sort(info_.actors.begin(), info_.actors.end(),
              [](const actor_info& a, const actor_info& b) { return a.path < b.path; });
    return std::move(info_);
}

}  // namespace detail

node_info node::inspect(std::chrono::nanoseconds within) const {
    detail::inspection all{*core_};
    if (detail::scheduler* const here = detail::scheduler::current()) {
        // On an actor's thread nobody is waited for: it would block its own scheduler.
        node_info seen;
        detail::inspection::look(*here, seen);
        all.add(here->index, std::move(seen));
        return all.finish();
    }
    struct answers {
        std::mutex mutex;
        std::condition_variable came;
        std::vector<std::pair<std::uint32_t, node_info>> seen;
        bool closed = false;
    };
    auto gathered = std::make_shared<answers>();
    std::size_t asked = 0;
    for (detail::scheduler* s : all.schedulers()) {
        asked += detail::post_control(s->index, [gathered](detail::scheduler& there) {
            node_info seen;
            detail::inspection::look(there, seen);
            const std::lock_guard lock{gathered->mutex};
            if (gathered->closed) return;
            gathered->seen.emplace_back(there.index, std::move(seen));
            gathered->came.notify_all();
        });
    }
    std::unique_lock lock{gathered->mutex};
    gathered->came.wait_for(lock, within, [&] { return gathered->seen.size() >= asked; });
    gathered->closed = true;
    for (auto& [from, seen] : gathered->seen) all.add(from, std::move(seen));
    return all.finish();
}

const actor_info* node_info::find(std::string_view path) const {
    const auto at =
        std::find_if(actors.begin(), actors.end(), [&](const actor_info& a) { return a.path == path; });
    return at == actors.end() ? nullptr : &*at;
}

std::vector<relation> node_info::relations_of(std::string_view path) const {
    std::vector<relation> list;
    const actor_info* self = find(path);
    if (!self) return list;
    const auto names = [](const std::vector<std::string>& paths, const std::string& p) {
        return std::find(paths.begin(), paths.end(), p) != paths.end();
    };
    for (const actor_info& a : actors) {
        if (&a == self) continue;
        if (a.path == self->parent) list.push_back({"parent", a});
        if (a.parent == self->path) list.push_back({"child", a});
        if (a.parent == self->parent) list.push_back({"sibling", a});
        if (names(self->links, a.path)) list.push_back({"link", a});
        if (names(self->monitors, a.path)) list.push_back({"monitors", a});
        if (names(a.monitors, self->path)) list.push_back({"monitored by", a});
    }
    return list;
}

std::string node_info::tree() const {
    std::string text;
    for (const actor_info& a : actors) {
        const auto depth = static_cast<std::size_t>(std::count(a.path.begin(), a.path.end(), '/')) - 1;
        const auto cut = a.path.rfind('/');
        text += std::string(depth * 2, ' ') + (depth ? a.path.substr(cut + 1) : a.path) + "  [" + a.carrier +
                "] " + a.state;
        if (a.depth.normal + a.depth.priority + a.depth.system)
            text += ", mail " + std::to_string(a.depth.normal) + "+" + std::to_string(a.depth.priority) +
                    "+" + std::to_string(a.depth.system);
        if (a.restarts) text += ", restarts " + std::to_string(a.restarts);
        if (!a.waits_for.empty()) text += ", waits for " + a.waits_for;
        text += "\n";
    }
    return text;
}

}  // namespace coppice
