// The root of a node's tree, and what inspect reads of it.
// The root is a supervisor without a parent; its end is the node's end.
#include "root.hpp"

#include <algorithm>

#include "cell_ext.hpp"
#include "net/router.hpp"

namespace coppice::detail {

void start_root(node_core& node, child_spec spec, std::function<void(result<address>)> told) {
    scheduler& first = *node.index_list.front();
    auto shared = std::make_shared<const child_spec>(std::move(spec));
    post_control(first.index, [&node, shared, told = std::move(told)](scheduler& s) {
        auto claimed = node.names.claim("/" + node.name, 0);
        COPPICE_ASSERT(claimed.has_value(), "the root's name is free in a new node");
        cell* c = s.new_cell(nullptr);
        COPPICE_ASSERT(c, "a new scheduler has room for the root");
        name_entry* entry = *claimed;
        c->name = entry;
        c->incarnation.store(node.incarnation_of_root, std::memory_order_relaxed);
        c->protocol.store(shared->protocol, std::memory_order_relaxed);  // before others find it by name
        node.names.move(entry, c->self_id());
        node.root.store(c->self_id(), std::memory_order_release);
        address me{c->self_id(), entry};
        start_control_actor(s, c);
        life::start_local(c, shared, [&node, told, me](const exit_reason* failed) {
            node.is_starting = false;
            if (node.net) node.net->answer_held_lookups();
            told(failed ? result<address>{error{errc::start_failed, failed->to_string()}}
                        : result<address>{me});
        });
    });
}

void run_under_root(node_core& node, std::function<task<>(actor<anything>)> body) {
    const actor_id root = node.root.load(std::memory_order_acquire);
    if (!root) return;
    post_control(scheduler_of(root), [root, body = std::move(body)](scheduler& s) {
        cell* parent = s.find(root);
        if (!parent || (parent->attention & cell::ended)) return;
        cell* c = s.new_cell(parent);
        if (!c) return;
        c->attention = 0;  // a question from outside is nothing of the tree, which may be paused
        c->protocol.store(&info_of_protocol<anything>::value, std::memory_order_relaxed);
        s.launch(c, body(actor<anything>{c}).release());
    });
}

namespace {

template <class F>
void each_cell(scheduler& s, F f) {
    for (std::uint32_t i = 0; i < s.chunks_made; ++i) {
        cell* chunk = s.chunks[i].load(std::memory_order_relaxed);
        for (std::uint32_t k = 0; k < scheduler::chunk_size; ++k)
            if (chunk[k].state != strand::none && !(chunk[k].attention & cell::proxy)) f(&chunk[k]);
    }
}

std::string state_of(const cell* c) {
    if (c->attention & cell::restarting) return "restarting";
    if (c->attention & cell::ended) return "ending";
    if ((c->attention & cell::paused) && !(c->attention & cell::asked_to_end)) {
        // What it has begun it finishes first.
        const bool waits = c->state >= strand::receiving || c->state == strand::vacant;
        return waits ? "paused" : "pausing";
    }
    switch (c->state) {
    case strand::queued: return "ready";
    case strand::running: return "running";
    case strand::receiving: return "receiving";
    case strand::filtering: return "receiving selectively";
    case strand::waiting: return std::string{"waiting: "} + (c->op ? c->op->kind->what : "?");
    case strand::vacant: return "ended";
    case strand::none: break;
    }
    return "none";
}

}  // namespace

std::vector<std::string> living_paths(scheduler& s) {
    std::vector<std::string> list;
    each_cell(s, [&](cell* c) { list.push_back(path_of(c)); });
    return list;
}

void collect(scheduler& s, std::vector<actor_info>& out) {
    const auto& all = s.node->index_list;
    const auto place = static_cast<std::size_t>(std::find(all.begin(), all.end(), &s) - all.begin());
    each_cell(s, [&](cell* c) {
        actor_info i;
        i.path = path_of(c);
        if (is_control_path(i.path)) return;  // the one that looks is no part of what is seen
        const auto cut = i.path.rfind('/');
        if (cut != 0 && cut != std::string::npos) i.parent = i.path.substr(0, cut);
        i.carrier = s.own_thread ? "thread" : "coroutine on scheduler " + std::to_string(place);
        if (c->ext && c->ext->process_id) i.carrier = "process " + std::to_string(c->ext->process_id);
        i.state = state_of(c);
        i.who = ref<>{address{c->self_id(), c->name}};
        i.depth = actor_calls::depth(c);
        i.capacity = c->capacity;
        i.received = c->received;
        if (c->in_hand) i.in_hand = c->in_hand->name;
        if (const actor_id on = c->waits_for.load(std::memory_order_relaxed))
            i.waits_for = address{on, nullptr}.to_string();
        i.incarnation = c->incarnation.load(std::memory_order_relaxed);
        if (c->ext) {
            i.restarts = c->ext->restarts;
            i.is_supervisor = c->ext->supervises;
            for (const address& a : c->ext->links) i.links.push_back(a.to_string());
            for (const auto& [id, whom] : c->ext->watching) i.monitors.push_back(whom.to_string());
            std::sort(i.monitors.begin(), i.monitors.end());
        }
        i.scheduler = static_cast<std::uint32_t>(place);
        out.push_back(std::move(i));
    });
}

void collect_shared(const node_core& node, node_info& out) {
    out.name = node.name;
    out.groups = node.group_table.all();
    const std::lock_guard lock{node.dead_mutex};
    out.dead_letters.assign(node.dead_recent.begin(), node.dead_recent.end());
    out.dead_letter_count = node.dead_total;
    for (std::size_t i = 0; i < node.dead_counts.size(); ++i)
        if (node.dead_counts[i])
            out.dead_letter_reasons.emplace_back(static_cast<errc>(i), node.dead_counts[i]);
}

}  // namespace coppice::detail
