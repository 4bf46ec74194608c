// The test world: its calls; see world_impl.hpp for how it runs.
// The thread that it belongs to.
#include "coppice/testing/world.hpp"

#include <signal.h>

#include <algorithm>

#include "process/child_process.hpp"
#include "world_impl.hpp"
#include "world_processes.hpp"

namespace coppice::testing {

world::impl::impl(std::uint64_t with, world_options o) : seed{with}, options{o}, random{with} {}
world::impl::~impl() = default;

sim_node* world::impl::new_node(const std::string& name, network_options network) {
    sim_node* n = made.emplace_back(std::make_unique<sim_node>()).get();
    node_core& core = n->core;
    core.name = name;
    core.options.log_terminal = false;
    core.options.level = options.level;
    core.options.log_hook = [this](level l, std::string_view path, std::string_view text) {
        lines.push_back({l, std::string{path}, std::string{text},
                         std::chrono::steady_clock::time_point{std::chrono::nanoseconds{time}}});
    };
    core.set_level("/", options.level);
    core.clock = [this] { return time; };
    core.random_state = random.next();
    core.workers = std::make_unique<sim_offloader>();
    for (std::uint32_t i = 0; i < std::max(options.schedulers, 1u); ++i) {
        scheduler* s = new_scheduler(*n);
        n->active.push_back(s);
        core.index_list.push_back(s);
    }
    core.all_schedulers = [n] { return n->active; };
    core.on_root_end = [n](exit_reason reason) { n->ended = std::move(reason); };
    core.on_abandoned = [n](std::string path) { n->abandoned.push_back(std::move(path)); };
    core.new_thread = [this, n](const node_core::thread_request& request) -> result<scheduler*> {
        scheduler* s = new_scheduler(*n);
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
    core.processes = make_process_runner(core, make_sim_starter(*this, *n));
    order.push_back(n);
    nodes[name] = n;
    return n;
}

void world::impl::ask_root_to_stop(sim_node& n) {
    if (const actor_id root = n.core.root.load())
        post_control(scheduler_of(root), [root](scheduler& s) {
            if (cell* c = s.find(root)) life::request_stop(c, false);
        });
}

void world::impl::end_of_process(sim_node& n) {
    n.paused = false;  // the kernel ends it all the same
    n.dying = true;
    for (const auto& p : processes)
        if (p->parent() == &n) p->orphan();
    if (n.network) {
        const scheduler::as_current here{*n.active.front()};
        n.active.front()->look_at_clock();
        n.network->stop(net::router::parting::without_a_word);
    }
    if (const actor_id root = n.core.root.load())
        post_control(scheduler_of(root), [root](scheduler& s) {
            if (cell* c = s.find(root))
                life::request_kill(c, exit_reason{exit_kind::killed, "its node crashed"});
        });
}

sim_process* world::impl::process_of(const sim_node& n) {
    const auto p =
        std::find_if(processes.begin(), processes.end(), [&](const auto& one) { return one->node() == &n; });
    return p == processes.end() ? nullptr : p->get();
}

std::vector<sim_process*> world::impl::due_processes() {
    std::vector<sim_process*> due;
    for (const auto& p : processes)
        if (p->next_deadline() <= time) due.push_back(p.get());
    return due;
}

std::int64_t world::impl::next_process_deadline() {
    std::int64_t first = timer_wheel::never;
    for (const auto& p : processes) first = std::min(first, p->next_deadline());
    return first;
}

void world::impl::perform(sim_process& p) { p.perform(); }

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
    sim_node* n = me.new_node(name, std::move(network));
    node_core& core = n->core;
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
    me.time = std::max(me.time, target);
    me.run_until_idle();
}

void world::take_time(std::chrono::nanoseconds duration) {
    impl_->time += std::max<std::int64_t>(duration.count(), 0);
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
            me.time = target == timer_wheel::never ? me.time : std::max(me.time, target);
            return done();
        }
        me.time = std::max(me.time, next);
    }
    return true;
}

void world::stop_node(std::string_view name) {
    if (sim_node* n = impl_->node_named(name)) impl_->ask_root_to_stop(*n);
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
        one.latency = s->meter->of_scheduler.read(impl_->time);
    }
    info.threads = n->core.own_threads.read(impl_->time);
    if (n->network) {
        const scheduler::as_current here{*n->active.front()};
        n->network->describe(info);
    }
    std::sort(info.actors.begin(), info.actors.end(),
              [](const actor_info& a, const actor_info& b) { return a.path < b.path; });
    return info;
}

namespace {

sim_node& must_be_there(sim_node* n, std::string_view what, std::string_view name) {
    if (!n) throw expectation_failed{std::string{what} + ": there is no node " + std::string{name}};
    return *n;
}

}  // namespace

void world::crash(std::string_view name) {
    sim_node* n = &must_be_there(impl_->node_named(name), "crash", name);
    if (sim_process* p = impl_->process_of(*n)) p->die({SIGKILL, true, false});
    else impl_->end_of_process(*n);
    if (!run_until([n] { return n->ended.has_value(); }, std::chrono::hours{1}))
        throw expectation_failed{"crash: node " + std::string{name} + " did not end"};
}

void world::sigstop(std::string_view name) {
    sim_node& n = must_be_there(impl_->node_named(name), "sigstop", name);
    if (sim_process* p = impl_->process_of(n)) p->pause(true);
    else n.paused = true;
}

void world::sigcont(std::string_view name) {
    sim_node& n = must_be_there(impl_->node_named(name), "sigcont", name);
    n.paused = false;
    for (const auto& p : impl_->processes)
        if (p->node() && p->node()->core.name == name) p->pause(false);
}

void world::faults(const process_faults& f) { impl_->faults = f; }

std::vector<std::string> world::process_children() const {
    std::vector<std::string> names;
    for (const auto& p : impl_->processes)
        if (p->node() && !p->is_dead()) names.push_back(p->node()->core.name);
    return names;
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
    if (!to.is_remote()) {
        // The nodes of process children are not joined to the first one by connect().
        scheduler* s = to ? scheduler::table[scheduler_of(to.id())].load() : nullptr;
        const auto owner = std::find_if(impl_->processes.begin(), impl_->processes.end(), [&](const auto& p) {
            return s && p->node() && &p->node()->core == s->node;
        });
        return owner == impl_->processes.end() ? nullptr : s->node;
    }
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
    for (const auto& p : me.processes)
        if (p->node()) p->pause(false);
    for (sim_node* n : me.order) {
        n->paused = false;
        if (!me.process_of(*n)) me.ask_root_to_stop(*n);  // children go with their parents
    }
    const auto all_ended = [&] {
        return std::all_of(me.order.begin(), me.order.end(),
                           [](sim_node* n) { return n->ended || !n->core.root.load(); });
    };
    if (!run_until(all_ended, std::chrono::hours{1000})) left.push_back("a tree did not end");
    me.run_until_idle();
    for (sim_node* n : me.order) {
        if (!n->network) continue;
        const scheduler::as_current here{*n->active.front()};
        n->core.processes->close();
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
        if (n->dying) continue;  // what was left behind in a process that is gone is gone
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
