// The test world: schedulers without threads, stepped by a seeded generator, on a clock that only advance() moves.
//
// Determinism: every choice comes from one generator; nothing here or in the schedulers depends on addresses, on real
// time or on the numbers that schedulers have in the process.
#include "coppice/testing/world.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include "cell_ext.hpp"
#include "net/router.hpp"
#include "root.hpp"
#include "timer_wheel.hpp"

namespace coppice::testing {

using namespace detail;

namespace {

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
};

bool inbox_has_mail(const scheduler& s) noexcept {
    const envelope* head = s.inbox.load(std::memory_order_relaxed);
    return head && head != scheduler::idle_tag() && head != scheduler::closed_tag();
}

bool is_wedged(strand* s) noexcept { return owner_of(s)->attention & cell::wedged; }

bool can_run(const scheduler& s) noexcept {
    for (strand* r = s.run_head; r; r = r->run_next)
        if (!is_wedged(r)) return true;
    for (strand* r = s.newest; r; r = r->run_next)
        if (!is_wedged(r)) return true;
    return false;
}

}  // namespace

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
    std::vector<sim_node*> order;  // in which they were made
    std::vector<log_line> lines;
    std::size_t blocks_at_start = pool_blocks_in_use();
    bool finished = false;

    impl(std::uint64_t with, world_options o) : seed{with}, options{o}, random{with} {}

    void mix(std::uint64_t value) noexcept { print = (print ^ value) * 1099511628211ull; }

    sim_node* node_named(std::string_view name) {
        if (name.empty()) return order.empty() ? nullptr : order.front();
        const auto at = nodes.find(name);
        return at == nodes.end() ? nullptr : at->second;
    }
    sim_node* node_of(std::string_view path) {
        if (path.empty() || path.front() != '/') return order.empty() ? nullptr : order.front();
        const auto cut = path.find('/', 1);
        return node_named(path.substr(1, cut == std::string_view::npos ? cut : cut - 1));
    }
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
            if (auto* pool = static_cast<sim_offloader*>(n->core.workers.get()); pool && !pool->jobs.empty())
                jobs.push_back(pool);
        const std::size_t all = choices.size() + busy.size() + jobs.size();
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
        } else {
            auto* pool = jobs[n - busy.size()];
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
        std::int64_t first = timer_wheel::never;
        for (sim_node* n : order)
            for (scheduler* s : n->active) {
                s->now = time;
                first = std::min(first, s->next_deadline());
            }
        return first;
    }

    /// Moves mail into mailboxes without running an actor.
    void settle() {
        for (bool moved = true; moved;) {
            moved = false;
            for (sim_node* n : order)
                for (scheduler* s : n->active) {
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

world::world(std::uint64_t seed, world_options options) : impl_{std::make_unique<impl>(seed, options)} {}

world::~world() {
    if (!impl_->finished) static_cast<void>(finish());
}

std::chrono::steady_clock::time_point world::now() const noexcept {
    return std::chrono::steady_clock::time_point{std::chrono::nanoseconds{impl_->time}};
}
std::uint64_t world::seed() const noexcept { return impl_->seed; }
const std::vector<world::log_line>& world::log() const noexcept { return impl_->lines; }
std::uint64_t world::fingerprint() const noexcept { return impl_->print; }

result<ref<supervisor_protocol>> world::start(supervisor_spec spec, std::string name,
                                              network_options network) {
    impl& me = *impl_;
    if (!valid_name(name)) return error{errc::bad_name, name};
    if (const sim_node* before = me.node_named(name); before && !before->ended)
        return error{errc::name_taken, name};
    sim_node* n = me.made.emplace_back(std::make_unique<sim_node>()).get();
    node_core& core = n->core;
    core.name = name;
    core.options.log_terminal = false;
    core.options.level = me.options.level;
    core.options.log_hook = [&me](level l, std::string_view path, std::string_view text) {
        me.lines.push_back({l, std::string{path}, std::string{text},
                            std::chrono::steady_clock::time_point{std::chrono::nanoseconds{me.time}}});
    };
    core.set_level("/", me.options.level);
    core.clock = [&me] { return me.time; };
    core.random_state = me.random.next();
    core.workers = std::make_unique<sim_offloader>();
    for (std::uint32_t i = 0; i < std::max(me.options.schedulers, 1u); ++i) {
        scheduler* s = me.new_scheduler(*n);
        n->active.push_back(s);
        core.index_list.push_back(s);
    }
    core.all_schedulers = [n] { return n->active; };
    core.on_root_end = [n](exit_reason reason) { n->ended = std::move(reason); };
    core.on_abandoned = [n](std::string path) { n->abandoned.push_back(std::move(path)); };
    core.new_thread = [&me, n](const node_core::thread_request& request) -> result<scheduler*> {
        scheduler* s = me.new_scheduler(*n);
        s->simulated_priority = request.priority;
        s->own_thread = true;
        n->active.push_back(s);
        return s;
    };
    core.thread_done = [n](scheduler* s) {
        s->close();
        std::erase(n->active, s);
        n->spare.push_back(s);
    };
    core.options.network = std::move(network);
    core.open_network = [n] {
        if (!n->network) {
            n->network = std::make_unique<net::router>(n->core, *n->active.front(), n->core.options.network);
            n->core.net = n->network.get();
        }
        return n->core.net;
    };
    me.order.push_back(n);
    me.nodes[name] = n;
    if (core.options.network.wanted()) {
        const scheduler::as_current here{*n->active.front()};
        n->active.front()->look_at_clock();
        if (auto joined = core.open_network()->start(); !joined) {
            n->ended = exit_reason{exit_kind::start_failed, joined.error().what(), "/" + name};
            return joined.error();
        }
    }
    std::optional<result<address>> told;
    start_root(core, supervisor(core.name, std::move(spec)),
               [&told](result<address> outcome) { told = std::move(outcome); });
    run_until([&] { return told.has_value(); }, std::chrono::hours{25});
    if (!told) return error{errc::timeout, "the tree did not come up"};
    if (!*told) return told->error();
    return ref<supervisor_protocol>{**std::move(told)};
}

void world::connect(std::string_view a, std::string_view b) {
    impl& me = *impl_;
    sim_node* one = me.node_named(a);
    sim_node* two = me.node_named(b);
    if (!one || !two) throw std::invalid_argument{"world::connect: no such node"};
    const auto arrive = [](envelope* e) { scheduler::post_envelope(scheduler_of(e->target), e); };
    one->core.links[&two->core] = me.transport.connect(a, b, arrive);
    two->core.links[&one->core] = me.transport.connect(b, a, arrive);
}

bool world::step() { return impl_->step(); }
void world::run_until_idle() { impl_->run_until_idle(); }

void world::advance(std::chrono::nanoseconds duration) {
    impl& me = *impl_;
    const std::int64_t target = me.time + std::max<std::int64_t>(duration.count(), 0);
    for (;;) {
        me.run_until_idle();
        const std::int64_t next = me.next_deadline();
        if (next > target) break;
        me.time = std::max(me.time, next);
    }
    me.time = target;
    me.run_until_idle();
}

bool world::run_until(const std::function<bool()>& done, std::chrono::nanoseconds within) {
    impl& me = *impl_;
    const std::int64_t target =
        within.count() > timer_wheel::never - me.time ? timer_wheel::never : me.time + within.count();
    std::uint64_t steps = 0;
    while (!done()) {
        if (me.step()) {
            if (++steps > me.options.most_steps)
                throw expectation_failed{
                    "run_until: no end after world_options::most_steps steps: a live-lock?"};
            continue;
        }
        const std::int64_t next = me.next_deadline();
        if (next > target || next == timer_wheel::never) {
            me.time = target == timer_wheel::never ? me.time : target;
            return done();
        }
        me.time = std::max(me.time, next);
    }
    return true;
}

void world::stop_node(std::string_view name) {
    sim_node* n = impl_->node_named(name);
    if (!n) return;
    if (const actor_id root = n->core.root.load())
        post_control(scheduler_of(root), [root](scheduler& s) {
            if (cell* c = s.find(root)) life::request_stop(c, false);
        });
}

result<address> world::find(std::string_view path, const protocol_info* wanted) {
    sim_node* n = impl_->node_of(path);
    if (!n) return error{errc::not_found, std::string{path}};
    return find_in(n->core, path, wanted);
}

bool world::expect_type(std::string_view path, const message_type* type, bool must) {
    impl& me = *impl_;
    me.settle();
    cell* c = me.cell_at(path);
    const auto fail = [&](const std::string& why) {
        if (must)
            throw expectation_failed{"expected " + std::string{type->name} + " as the next message of " +
                                     std::string{path} + ", but " + why};
        return false;
    };
    if (!c) return fail("there is no such actor");
    envelope* head = actor_calls::next_mail(c);
    if (!head) return fail("it has no mail");
    if (!same_type(head->type, type)) return fail("it is " + std::string{head->type->name});
    const std::uint64_t before = c->received;
    scheduler& s = *c->sched;
    // First to the await at which it would receive, then over it: with a turn of one message it takes just that.
    for (int i = 0; i < 1000 && c->received == before; ++i) {
        const scheduler::as_current here{s};
        s.look_at_clock();
        strand* ready = c->state == strand::queued ? me.take_out(s, c) : nullptr;
        if (!ready)
            return fail("it does not receive: " + std::string{c->op ? c->op->kind->what : "not started"});
        s.single_message = true;
        me.run_chosen(s, ready, 1);
        s.single_message = false;
    }
    return true;
}

std::vector<std::string> world::mail(std::string_view path) {
    impl_->settle();
    std::vector<std::string> names;
    cell* c = impl_->cell_at(path);
    if (!c) return names;
    const auto add = [&](const envelope* e) {
        for (; e; e = e->next) names.emplace_back(e->type->name);
    };
    if (c->ext) {
        add(c->ext->system.head);
        add(c->ext->priority.head);
    }
    if (c->head) add(c->head);
    return names;
}

void world::wedge(std::string_view path) {
    if (cell* c = impl_->cell_at(path)) c->attention |= cell::wedged;
    else throw expectation_failed{"wedge: there is no actor " + std::string{path}};
}

void world::unwedge(std::string_view path) {
    if (cell* c = impl_->cell_at(path)) c->attention &= static_cast<std::uint16_t>(~cell::wedged);
}

node_info world::inspect(std::string_view name) {
    node_info info;
    sim_node* n = impl_->node_named(name);
    if (!n) return info;
    impl_->settle();
    collect_shared(n->core, info);
    for (scheduler* s : n->active) {
        const scheduler::as_current here{*s};
        collect(*s, info.actors);
    }
    for (std::uint32_t i = 0; i < n->core.index_list.size(); ++i) {
        const scheduler* s = n->core.index_list[i];
        scheduler_info& one = info.schedulers.emplace_back();
        one.index = i;
        one.actors = s->live;
        one.switches = s->switches.load(std::memory_order_relaxed);
    }
    if (n->network) {
        const scheduler::as_current here{*n->active.front()};
        n->network->describe(info);
    }
    std::sort(info.actors.begin(), info.actors.end(),
              [](const actor_info& a, const actor_info& b) { return a.path < b.path; });
    return info;
}

void world::crash(std::string_view name) {
    sim_node* n = impl_->node_named(name);
    if (!n) throw expectation_failed{"crash: there is no node " + std::string{name}};
    if (n->network) {
        const scheduler::as_current here{*n->active.front()};
        n->network->stop(net::router::parting::without_a_word);
    }
    if (const actor_id root = n->core.root.load())
        post_control(scheduler_of(root), [root](scheduler& s) {
            if (cell* c = s.find(root))
                life::request_kill(c, exit_reason{exit_kind::killed, "its node crashed"});
        });
    if (!run_until([n] { return n->ended.has_value(); }, std::chrono::hours{1}))
        throw expectation_failed{"crash: node " + std::string{name} + " did not end"};
}

bool world::running(std::string_view path) {
    const cell* c = impl_->cell_at(path);
    return c && c->frame && !(c->attention & (cell::ended | cell::restarting));
}

std::uint32_t world::restarts(std::string_view path) {
    const cell* c = impl_->cell_at(path);
    return c && c->ext ? c->ext->restarts : 0;
}

std::optional<exit_reason> world::ended(std::string_view node) const {
    sim_node* n = impl_->node_named(node);
    return n ? n->ended : std::nullopt;
}

void world::run_under_some_root(std::function<task<>(actor<anything>)> body, std::string_view node) {
    if (sim_node* n = impl_->node_named(node)) run_under_root(n->core, std::move(body));
}

node_core* world::node_that_reaches(const address& to) const {
    if (!to.is_remote()) return nullptr;
    for (sim_node* n : impl_->order)
        if (n->network && n->network->with_peer(to.node(), [](net::router&, net::peer&) {})) return &n->core;
    return nullptr;
}

void world::run_under_root_of(node_core* node, std::function<task<>(actor<anything>)> body) {
    if (node) run_under_root(*node, std::move(body));
    else run_under_some_root(std::move(body));
}

std::vector<std::string> world::finish() {
    impl& me = *impl_;
    std::vector<std::string> left;
    me.finished = true;
    for (sim_node* n : me.order)
        for (scheduler* s : n->active)
            for (strand* r = s->run_head; r; r = r->run_next)
                owner_of(r)->attention &= static_cast<std::uint16_t>(~cell::wedged);
    for (sim_node* n : me.order) stop_node(n->core.name);
    const auto all_ended = [&] {
        return std::all_of(me.order.begin(), me.order.end(),
                           [](sim_node* n) { return n->ended || !n->core.root.load(); });
    };
    if (!run_until(all_ended, std::chrono::hours{1000})) left.push_back("a tree did not end");
    me.run_until_idle();
    for (sim_node* n : me.order) {
        if (!n->network) continue;
        const scheduler::as_current here{*n->active.front()};
        n->network->stop();
    }
    me.run_until_idle();
    for (sim_node* n : me.order) {
        n->core.net = nullptr;
        n->network.reset();
    }
    me.run_until_idle();
    for (sim_node* n : me.order) {
        for (scheduler* s : n->active) {
            for (const std::string& path : living_paths(*s)) left.push_back("actor " + path);
            s->close();
        }
        for (const std::string& path : n->abandoned) left.push_back("abandoned " + path);
    }
    me.transport.links.clear();
    for (sim_node* n : me.order) n->core.links.clear();
    const std::size_t blocks = pool_blocks_in_use();
    if (left.empty() && blocks > me.blocks_at_start)
        left.push_back(std::to_string(blocks - me.blocks_at_start) + " blocks of frames or envelopes");
    return left;
}

}  // namespace coppice::testing
