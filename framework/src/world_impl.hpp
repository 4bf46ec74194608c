// The insides of the test world: schedulers without threads, stepped by a seeded generator, on a clock that only advance() moves,
// and simulated processes. For world.cpp and world_processes.cpp alone.
//
// Determinism: every choice comes from one generator; nothing here or in the schedulers depends on addresses, on real
// time or on the numbers that schedulers have in the process.
#pragma once
#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cell_ext.hpp"
#include "coppice/testing/world.hpp"
#include "net/router.hpp"
#include "process/keeper.hpp"
#include "root.hpp"
#include "timer_wheel.hpp"

namespace coppice::testing {

using namespace detail;  // this header is of the world's own sources alone

struct sim_driver final : driver {
    void wake() override {}  // the world looks for itself
    void arm(std::int64_t) override {}
};

/// splitmix64, as in node_core.
struct generator {
    std::uint64_t state;
    std::uint64_t next() noexcept {
        std::uint64_t z = state += 0x9e3779b97f4a7c15ull;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    std::size_t below(std::size_t n) noexcept { return static_cast<std::size_t>(next() % n); }
};

struct sim_offloader final : offloader {
    std::deque<std::function<void()>> jobs;
    bool submit(std::function<void()> job) override {
        jobs.push_back(std::move(job));
        return true;
    }
};

/// One direction between two nodes: what is under way, in order.
struct sim_link final : message_link {
    std::deque<envelope*> under_way;
    message_sink arrive;
    errc carry(envelope* e) override {
        under_way.push_back(e);
        return errc::ok;
    }
    ~sim_link() override {
        for (envelope* e : under_way) {
            e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            release(e);
        }
    }
};

struct sim_transport final : message_transport {
    std::vector<std::shared_ptr<sim_link>> links;
    std::shared_ptr<message_link> connect(std::string_view, std::string_view, message_sink arrive) override {
        auto link = std::make_shared<sim_link>();
        link->arrive = std::move(arrive);
        links.push_back(link);
        return link;
    }
};

struct sim_node {
    node_core core;
    std::vector<scheduler*> active;  // shared ones first, then those of threads
    std::vector<scheduler*> spare;
    std::optional<exit_reason> ended;
    std::vector<std::string> abandoned;
    std::unique_ptr<net::router> network;
    bool paused = false;  // its process is stopped by a signal
    bool dying = false;   // its process has ended; its actors are being destroyed
};

class sim_process;

inline bool inbox_has_mail(const scheduler& s) noexcept {
    const envelope* head = s.inbox.load(std::memory_order_relaxed);
    return head && head != scheduler::idle_tag() && head != scheduler::closed_tag();
}

inline bool is_wedged(strand* s) noexcept { return owner_of(s)->attention & cell::wedged; }

inline bool can_run(const scheduler& s) noexcept {
    for (strand* r = s.run_head; r; r = r->run_next)
        if (!is_wedged(r)) return true;
    for (strand* r = s.newest; r; r = r->run_next)
        if (!is_wedged(r)) return true;
    return false;
}

struct world::impl {
    std::uint64_t seed;
    world_options options;
    generator random;
    sim_driver drive;
    sim_transport transport;
    std::int64_t time = 1'000'000'000;
    std::uint64_t print = 14695981039346656037ull;
    std::vector<std::unique_ptr<sim_node>>
        made;  // also those that have ended: refs to their actors may be kept
    std::map<std::string, sim_node*, std::less<>> nodes;
    std::vector<sim_node*> order;                         // in which they were made
    std::vector<std::unique_ptr<sim_process>> processes;  // also those that have ended
    process_faults faults;
    std::uint64_t places = 0;  // names given to places where children are awaited
    std::vector<log_line> lines;
    std::size_t blocks_at_start = pool_blocks_in_use();
    bool finished = false;

    impl(std::uint64_t with, world_options o);
    ~impl();

    void mix(std::uint64_t value) noexcept { print = (print ^ value) * 1099511628211ull; }

    sim_node* node_named(std::string_view name) {
        if (name.empty()) return order.empty() ? nullptr : order.front();
        const auto at = nodes.find(name);
        return at == nodes.end() ? nullptr : at->second;
    }
    // An actor in a process of its own is looked for where its keeper is; those below it, in that process's node.
    sim_node* node_of(std::string_view path) {
        if (path.empty() || path.front() != '/') return order.empty() ? nullptr : order.front();
        path.remove_prefix(1);
        for (auto cut = path.rfind('/'); cut != std::string_view::npos; cut = path.rfind('/', cut - 1))
            if (const auto at = nodes.find(path.substr(0, cut)); at != nodes.end()) return at->second;
        return node_named(path.substr(0, path.find('/')));
    }
    [[nodiscard]] bool chance(double probability) noexcept {
        return probability > 0 && static_cast<double>(random.next() >> 11) * 0x1p-53 < probability;
    }
    [[nodiscard]] std::int64_t between(std::chrono::nanoseconds least,
                                       std::chrono::nanoseconds most) noexcept {
        return most <= least ? least.count()
                             : least.count() + static_cast<std::int64_t>(random.below(
                                                   static_cast<std::size_t>((most - least).count()) + 1));
    }
    /// A node that runs nothing yet.
    sim_node* new_node(const std::string& name, network_options network);
    static void ask_root_to_stop(sim_node& n);
    /// Its links end without a farewell, its actors at once, its process children lose their parent.
    void end_of_process(sim_node& n);
    sim_process* process_of(const sim_node& n);
    cell* cell_at(std::string_view path) {
        sim_node* n = node_of(path);
        if (!n) return nullptr;
        std::string full{path};
        if (full.empty() || full.front() != '/') full = "/" + n->core.name + "/" + full;
        const address found = n->core.names.find(full);
        return found ? scheduler::table[scheduler_of(found.id())].load()->find(found.id()) : nullptr;
    }
    scheduler* new_scheduler(sim_node& n) {
        if (!n.spare.empty()) {
            scheduler* s = n.spare.back();
            n.spare.pop_back();
            s->inbox.store(nullptr);
            return s;
        }
        n.core.schedulers.push_back(std::make_unique<scheduler>(n.core, options.mailbox));
        scheduler* s = n.core.schedulers.back().get();
        s->drive = &drive;
        s->simulated = true;
        s->simulated_priority = priority::normal;
        s->awake = true;
        return s;
    }

    // A strand chosen by the seed, taken out of the scheduler's queues.
    strand* choose_strand(scheduler& s) {
        std::vector<strand*> ready;
        for (strand* r = s.newest; r; r = r->run_next)
            if (!is_wedged(r)) ready.push_back(r);
        const std::size_t fresh = ready.size();
        for (strand* r = s.run_head; r; r = r->run_next)
            if (!is_wedged(r)) ready.push_back(r);
        if (ready.empty()) return nullptr;
        const std::size_t n = options.fifo ? (fresh < ready.size() ? fresh : 0) : random.below(ready.size());
        return take_out(s, ready[n]);
    }
    static strand* take_out(scheduler& s, strand* chosen) {
        for (strand** place = &s.newest; *place; place = &(*place)->run_next) {
            if (*place != chosen) continue;
            *place = chosen->run_next;
            return chosen;
        }
        strand* before = nullptr;
        for (strand* r = s.run_head; r; before = r, r = r->run_next) {
            if (r != chosen) continue;
            if (before) before->run_next = r->run_next;
            else s.run_head = r->run_next;
            if (s.run_tail == r) s.run_tail = before;
            return r;
        }
        return nullptr;
    }

    void run_chosen(scheduler& s, strand* chosen, int turn) {
        cell* c = owner_of(chosen);
        mix(std::hash<std::string>{}(path_for_print(c)));
        s.budget = turn;
        s.run_strand(chosen);
        s.switches.store(s.switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        s.running.store(0, std::memory_order_relaxed);
    }
    // Named actors by path; others by their slot, which does not depend on the process.
    static std::string path_for_print(const cell* c) {
        return c->name ? c->name->path : std::to_string(slot_of(c->self_id()));
    }

    bool due(scheduler& s) {
        s.now = time;
        return s.next_deadline() <= time;
    }

    enum class deed { timers, accept, run, flush, send };
    struct choice {
        scheduler* s;
        deed what;
    };

    bool step() {
        std::vector<choice> choices;
        for (sim_node* n : order) {
            if (n->paused) continue;
            for (scheduler* s : n->active) {
                if (due(*s)) choices.push_back({s, deed::timers});
                if (inbox_has_mail(*s)) choices.push_back({s, deed::accept});
                if (can_run(*s)) choices.push_back({s, deed::run});
                if (s->first_dirty) choices.push_back({s, deed::flush});
            }
            if (n->network && n->network->has_work()) choices.push_back({n->active.front(), deed::send});
        }
        std::vector<sim_link*> busy;
        for (const auto& link : transport.links)
            if (!link->under_way.empty()) busy.push_back(link.get());
        std::vector<sim_offloader*> jobs;
        for (sim_node* n : order)
            if (auto* pool = static_cast<sim_offloader*>(n->core.workers.get());
                pool && !pool->jobs.empty() && !n->paused)
                jobs.push_back(pool);
        std::vector<sim_process*> processes_due = due_processes();
        const std::size_t all = choices.size() + busy.size() + jobs.size() + processes_due.size();
        if (all == 0) return false;
        std::size_t n = random.below(all);
        mix(n);
        if (n < choices.size()) {
            const choice chosen = choices[n];
            perform(chosen);
        } else if ((n -= choices.size()) < busy.size()) {
            envelope* e = busy[n]->under_way.front();
            busy[n]->under_way.pop_front();
            busy[n]->arrive(e);
        } else if ((n -= busy.size()) < processes_due.size()) {
            perform(*processes_due[n]);
        } else {
            auto* pool = jobs[n - processes_due.size()];
            const std::size_t which = random.below(pool->jobs.size());
            auto job = std::move(pool->jobs[which]);
            pool->jobs.erase(pool->jobs.begin() + static_cast<std::ptrdiff_t>(which));
            job();
        }
        return true;
    }

    void perform(const choice& c) {
        scheduler& s = *c.s;
        const scheduler::as_current here{s};
        s.look_at_clock();
        switch (c.what) {
        case deed::timers: return s.fire_timers();
        case deed::accept: return s.accept();
        case deed::flush: return s.flush_all();
        case deed::send: static_cast<void>(s.node->net->poll()); return;
        case deed::run:
            if (strand* chosen = choose_strand(s))
                run_chosen(s, chosen, 1 + static_cast<int>(random.below(8)));
            return;
        }
    }

    void run_until_idle() {
        for (std::uint64_t steps = 0; step(); ++steps)
            if (steps > options.most_steps)
                throw expectation_failed{
                    "run_until_idle: no end after world_options::most_steps steps: a live-lock?"};
    }

    // The next time at which a timer fires; never if there is none.
    std::int64_t next_deadline() {
        std::int64_t first = next_process_deadline();
        for (sim_node* n : order)
            for (scheduler* s : n->active) {
                if (n->paused) break;
                s->now = time;
                first = std::min(first, s->next_deadline());
            }
        return first;
    }
    std::vector<sim_process*> due_processes();
    std::int64_t next_process_deadline();
    static void perform(sim_process& p);

    /// Moves mail into mailboxes without running an actor.
    void settle() {
        for (bool moved = true; moved;) {
            moved = false;
            for (sim_node* n : order)
                for (scheduler* s : n->active) {
                    if (n->paused) break;
                    if (s->first_dirty) perform({s, deed::flush}), moved = true;
                    if (inbox_has_mail(*s)) perform({s, deed::accept}), moved = true;
                }
            for (const auto& link : transport.links)
                while (!link->under_way.empty()) {
                    envelope* e = link->under_way.front();
                    link->under_way.pop_front();
                    link->arrive(e);
                    moved = true;
                }
        }
    }
};

}  // namespace coppice::testing
