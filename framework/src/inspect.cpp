// inspect: asks each scheduler of a node for its actors, waits for the answers, and names who does not answer.
// Called on an ordinary thread.
#include "coppice/inspect.hpp"

#include <algorithm>
#include <condition_variable>
#include <mutex>

#include "net/router.hpp"
#include "process/keeper.hpp"
#include "root.hpp"

namespace coppice {

node_info node::inspect(std::chrono::nanoseconds within) const {
    struct answers {
        std::mutex mutex;
        std::condition_variable came;
        std::vector<actor_info> actors;
        std::vector<std::uint32_t> from;
        node_info network;  // of the first scheduler
        bool closed = false;
    };
    auto gathered = std::make_shared<answers>();
    node_info info;
    detail::collect_shared(*core_, info);
    std::vector<detail::scheduler*> all = core_->all_schedulers();
    std::size_t asked = 0;
    // The router lives on the first scheduler.
    const auto look_at_network = [first = core_->index_list.empty() ? nullptr : core_->index_list.front(),
                                  count = core_->index_list.size()](detail::scheduler& s, node_info& out) {
        if (&s != first || !s.node->net) return;
        if (s.node->processes) s.node->processes->describe(out);
        for (std::uint32_t i = 0; i < count; ++i) out.schedulers.emplace_back().index = i;
        s.node->net->describe(out);
    };
    detail::scheduler* const here = detail::scheduler::current();
    if (here) {  // on an actor's thread nobody is waited for: it would block its own scheduler
        detail::collect(*here, gathered->actors);
        gathered->from.push_back(here->index);
        look_at_network(*here, gathered->network);
    }
    for (detail::scheduler* s : all) {
        if (here) break;
        asked += detail::post_control(s->index, [gathered, look_at_network](detail::scheduler& here) {
            std::vector<actor_info> mine;
            detail::collect(here, mine);
            node_info network;
            look_at_network(here, network);
            const std::lock_guard lock{gathered->mutex};
            if (gathered->closed) return;
            std::move(mine.begin(), mine.end(), std::back_inserter(gathered->actors));
            gathered->from.push_back(here.index);
            if (!network.schedulers.empty()) gathered->network = std::move(network);
            gathered->came.notify_all();
        });
    }
    std::unique_lock lock{gathered->mutex};
    gathered->came.wait_for(lock, within, [&] { return gathered->from.size() >= asked; });
    gathered->closed = true;
    info.actors = std::move(gathered->actors);
    info.processes = std::move(gathered->network.processes);
    info.links = std::move(gathered->network.links);
    info.flows = std::move(gathered->network.flows);
    info.routes = std::move(gathered->network.routes);
    info.flow_stalls = gathered->network.flow_stalls;
    for (std::size_t i = 0; i < all.size(); ++i) {
        detail::scheduler* s = all[i];
        scheduler_info one;
        one.index = static_cast<std::uint32_t>(i);
        one.actors = static_cast<std::uint64_t>(
            std::count_if(info.actors.begin(), info.actors.end(),
                          [&](const actor_info& a) { return detail::scheduler_of(a.who.id()) == s->index; }));
        one.switches = s->switches.load(std::memory_order_relaxed);
        one.sleeps = s->sleeps.load(std::memory_order_relaxed);
        one.answered =
            std::find(gathered->from.begin(), gathered->from.end(), s->index) != gathered->from.end();
        if (!one.answered) {
            one.running = detail::address{s->running.load(std::memory_order_relaxed), nullptr}.to_string();
            one.handler_age =
                std::chrono::nanoseconds{core_->clock() - s->last_look.load(std::memory_order_relaxed)};
        }
        if (i < gathered->network.schedulers.size()) one.stuck = gathered->network.schedulers[i].stuck;
        info.schedulers.push_back(std::move(one));
    }
    std::sort(info.actors.begin(), info.actors.end(),
              [](const actor_info& a, const actor_info& b) { return a.path < b.path; });
    return info;
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
