// The router's life, its links and its clock: whom it dials and accepts, and what is looked at now and then. Who is where is in
// router_routes.cpp, mail in router_out.cpp and router_in.cpp, control in router_control.cpp, lookups in router_find.cpp. Home
// thread.
#include "net/router.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/log.hpp"
#include "net/dialer.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "node_core.hpp"
#include "process_state.hpp"

namespace coppice::net {

using namespace std::chrono_literals;

namespace {

constexpr std::int64_t tick_every = std::chrono::nanoseconds{250ms}.count();
constexpr std::int64_t retry_silent_flow = std::chrono::nanoseconds{1s}.count();

// Processes for which this text is equal see one another's process ids.
std::string machine_text() {
    std::ifstream boot{"/proc/sys/kernel/random/boot_id"};
    std::string id;
    std::getline(boot, id);
    struct stat space{};
    if (id.empty() || ::stat("/proc/self/ns/pid", &space) != 0) return {};
    return id + ":" + std::to_string(space.st_ino);
}

// What can be said of a neighbour that is silent, if its process is one of this machine: it is not gone, it is stuck.
std::string state_of_neighbours_process(const neighbour& n) {
    if (!n.itself || !n.itself->local_pid || n.itself->local_pid == static_cast<std::uint32_t>(::getpid()))
        return {};
    const char state = detail::state_of_process(n.itself->local_pid);
    if (state == 'Z' || state == 'X') return {};
    const std::string process = ", but its process " + std::to_string(n.itself->local_pid);
    return state == 'T' || state == 't' ? process + " is stopped by a signal or a debugger"
                                        : process + " lives: its first scheduler is stuck";
}

}  // namespace

// ---------------------------------------------------------------- the reactor

namespace {

class scheduler_timer final : public pending_timer {
public:
    scheduler_timer(scheduler& s, std::chrono::nanoseconds delay, std::function<void()> fire) {
        node_.job = std::move(fire);
        node_.fire = [](detail::timer_node* t) noexcept {
            const auto job = std::move(static_cast<armed*>(t)->job);  // which may destroy the timer
            job();
        };
        s.add_timer(&node_, delay.count());
    }
    ~scheduler_timer() override {
        if (node_.linked()) node_.unlink();
    }

private:
    struct armed : detail::timer_node {
        std::function<void()> job;
    };
    armed node_;
};

}  // namespace

void* router::io_context() noexcept { return home_.drive->io_context(); }
std::int64_t router::now() {
    if (!home_.draining)
        home_.look_at_clock();  // within a handler of Asio's the last look is from before the sleep
    return home_.now;
}

void router::post(std::function<void()> job) {
    detail::post_control(home_.index, [job = std::move(job)](scheduler&) { job(); });
}

std::unique_ptr<pending_timer> router::after(std::chrono::nanoseconds delay, std::function<void()> fire) {
    // From outside a turn nobody would look at the wheel.
    if (!home_.awake) home_.ask_for_drain();
    return std::make_unique<scheduler_timer>(home_, delay, std::move(fire));
}

void router::add(poller& p) { home_.pollers.push_back(&p); }
void router::remove(poller& p) noexcept {
    std::replace(home_.pollers.begin(), home_.pollers.end(), &p, static_cast<poller*>(nullptr));
}

// ---------------------------------------------------------------- life

router::router(detail::node_core& node, scheduler& home, network_options options)
    : node_{node},
      home_{home},
      options_{std::move(options)},
      gate_{node_, options_},
      faces_{new std::atomic<std::atomic<face*>*>[node_table::most / faces_a_chunk] {}} {
    do id_ = node_.random();
    while (id_ == 0);
    add(*this);
}

router::~router() {
    remove(*this);
    for (const auto& [target, queue] : parked_)
        for (const parked_mail& m : queue) {
            m.mail->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            detail::release(m.mail);
        }
    for (std::uint32_t i = 0; i < node_table::most / faces_a_chunk; ++i) {
        std::atomic<face*>* chunk = faces_[i].load();
        if (!chunk) continue;
        for (std::uint32_t k = 0; k < faces_a_chunk; ++k) delete chunk[k].load();
        delete[] chunk;
    }
}

void router::log(level l, std::string text) const { node_.log(l, "/" + node_.name, std::move(text)); }
void router::log_of(const std::string& name, level l, std::string text) const {
    const std::string path = "/" + name;
    node_.log(l, detail::is_path_of(path, node_.name) ? path : "/" + node_.name, std::move(text));
}

result<void> router::start() {
    if (auto read = gate_.start(); !read) return read;
    for (const std::string& text : options_.listen) {
        auto at = place_of(text);
        if (!at) return at.error();
        auto listening =
            at->kind->listen(*this, at->where, [this, all = at->sealed](std::unique_ptr<byte_link> l) {
                accepted(std::move(l), all, {options_.secret});
            });
        if (!listening)
            return error{listening.error().code(),
                         "listen=" + text + ": " + std::string{listening.error().text()}};
        where_.push_back((*listening)->where());
        listeners_.push_back(std::move(*listening));
    }
    if (node_.options.control) listen_for_control();
    const auto begin = [this](const std::string& text, role as) -> result<void> {
        auto at = place_of(text);
        if (!at) return at.error();
        add_dialer(*std::move(at), as);
        return {};
    };
    if (!options_.parent.empty())
        if (auto done = begin(options_.parent, role::parent); !done) return done;
    for (const std::string& text : options_.connect)
        if (auto done = begin(text, role::peer); !done) return done;
    for (const std::string& text : options_.children)
        if (auto done = begin(text, role::child); !done) return done;
    started_ = last_tick_ = now();
    arm_tick();
    return {};
}

void router::stop(parting how) {
    if (!stopped_)
        for (auto& [id, p] : peers_)
            if (p->borrowed && p->borrowed->has_returned() && !p->lost) return_loans(*p);
    if (std::exchange(stopped_, true)) return;
    ticker_.reset();
    clearer_.reset();
    acknowledger_.reset();
    clear_places();
    listeners_.clear();
    children_listeners_.clear();
    control_listener_.reset();
    for (auto& d : dialers_) {
        d->trying.reset();
        d->again.reset();
    }
    approaches_.clear();
    end_flushes();
    // Of what is not acknowledged the others cannot know the outcome.
    if (how == parting::with_farewell) acknowledge_now();
    for (auto& n : neighbours_) {
        if (n->is_closed()) continue;
        if (how == parting::with_farewell) {
            pump(*n);
            if (n->is_up()) n->send_control(farewell{"node " + node_.name + " has ended"});
            pump(*n);
        }
        n->close(error{errc::closed, "this node ends"});
    }
    for (auto& [number, q] : std::exchange(queries_, {})) q.answer(nullptr);
    for (auto& s : std::exchange(searches_, {})) s.answer(error{errc::stopping, "this node ends"});
    for (auto& [id, p] : peers_) {
        node_lost(*p, exit_reason{exit_kind::node_lost, "this node ends"});
        p->lent.leave();
        if (p->borrowed) p->borrowed->leave();
    }
    dirty_.clear();
    neighbours_.clear();
    dialers_.clear();
}

// ---------------------------------------------------------------- links

void router::accepted(std::unique_ptr<byte_link> l, bool sealed, neighbour_trust known_by) {
    const auto pending = std::count_if(neighbours_.begin(), neighbours_.end(), [](const auto& n) {
        return !n->is_up() && !n->is_closed() && !n->connector;
    });
    if (stopped_ || static_cast<std::size_t>(pending) >= limits::handshakes) {
        log(level::warn,
            "a connection from " + l->peer().address + " is refused: too many have not said who they are");
        l->close();
        post([held = std::shared_ptr<byte_link>{std::move(l)}] {});
        return;
    }
    neighbours_.push_back(
        std::make_unique<neighbour>(*this, std::move(l), false, role::peer, nullptr, std::move(known_by)));
    neighbours_.back()->sealed = sealed;
    neighbours_.back()->start();
}

void router::connected(dialer& d, std::unique_ptr<byte_link> l) {
    const bool by_birth = d.as == role::parent && !node_.parent_secret.empty();
    neighbours_.push_back(
        std::make_unique<neighbour>(*this, std::move(l), true, d.as, &d,
                                    neighbour_trust{by_birth ? node_.parent_secret : options_.secret}));
    d.link = neighbours_.back().get();
    d.link->sealed = d.at.sealed;
    d.link->start();
}

result<router::place> router::place_of(std::string_view uri) {
    auto where = endpoint::parse(uri);
    if (!where) return where.error();
    auto kind = find_transport(where->scheme);
    if (!kind) return kind.error();
    // Of the node, not of the kind of link, and so taken out of the endpoint.
    const auto checksum = where->one_of("checksum", "header", {"header", "all"});
    if (!checksum) return checksum.error();
    where->options.erase("checksum");
    return place{*std::move(where), *std::move(kind), *checksum == "all"};
}

router::dialer& router::add_dialer(place at, role as) {
    dialers_.push_back(std::make_unique<dialer>(std::move(at), as));
    dial(*dialers_.back());
    return *dialers_.back();
}

void router::dial(dialer& d) {
    if (stopped_) return;
    const auto failed = [this, &d](const error& why) {
        dial_later(d, why.code() == errc::unreachable ? retry::ended::unreachable : retry::ended::refused,
                   why);
    };
    const auto patience = d.when.patience(now());
    d.again = after(patience, [this, &d, patience] {
        d.trying.reset();
        const auto waited = std::chrono::ceil<std::chrono::milliseconds>(patience);
        dial_later(d, retry::ended::unreachable,
                   error{errc::timeout, "no answer within " + std::to_string(waited.count()) + " ms"});
    });
    auto trying =
        d.at.kind->connect(*this, d.at.where, [this, &d, failed](result<std::unique_ptr<byte_link>> l) {
            post([this, &d] {
                if (!stopped_ && d.link) d.trying.reset();  // not from within its own callback
            });
            if (!l) return failed(l.error());
            d.again.reset();
            connected(d, std::move(*l));
        });
    if (trying) d.trying = std::move(*trying);
    else failed(trying.error());
}

void router::dial_later(dialer& d, retry::ended how, const error& why) {
    if (stopped_) return;
    if (how != retry::ended::cut) {             // which may be back in a moment
        if (why.what() != d.last_error.what())  // said once, not with every attempt
            log(level::warn,
                "no link to " + d.at.where.to_string() + ": " + why.what() + "; it is tried again");
        d.last_error = why;
        fail_searches(d, why);
    }
    d.again = after(d.when.after(how, now(), node_.random()), [this, &d] { dial(d); });
}

hello router::greeting(role as, const nonce& challenge) const {
    static const std::string machine = machine_text();
    hello h;
    h.node = id_;
    h.name = node_.name;
    h.as = as;
    h.challenge = challenge;
    if (parent_) {
        h.ancestors = parent_->ancestors;
        h.ancestors.insert(h.ancestors.begin(), parent_->node);
    }
    h.machine = machine;
    h.pid = static_cast<std::uint32_t>(::getpid());
    return h;
}

result<void> router::may_link(const neighbour& n, const hello& h) {
    if (h.version != protocol_version)
        return error{errc::wrong_version, "it speaks version " + std::to_string(h.version) +
                                              " of the protocol, " + node_.name + " speaks " +
                                              std::to_string(protocol_version)};
    if (h.node == id_) return error{errc::invalid_argument, "this is the same node"};
    if (!detail::valid_node_name(h.name))
        return error{errc::bad_name, "a node's name is a name as of an actor, or a path of such names"};
    if (h.with_secret != n.has_secret())
        return error{errc::wrong_secret,
                     h.with_secret ? node_.name + " has no secret" : node_.name + " wants a secret"};
    if (!known(h.node) && peers_.size() >= limits::nodes)
        return error{errc::limit_reached, node_.name + " knows " + std::to_string(limits::nodes) +
                                              " nodes, and takes no more (limits::nodes)"};
    if (!options_.allow.empty() && !n.any_name_will_do() &&
        std::find(options_.allow.begin(), options_.allow.end(), h.name) == options_.allow.end())
        return error{errc::name_refused, node_.name + " does not allow a node named " + h.name};
    if (auto free = name_is_free(h.name, h.node); !free) return free.error();
    const bool above = n.as == role::parent;
    if (above && !n.connector && parent_ && parent_->node != h.node)
        return error{errc::denied,
                     node_.name + " is below " + parent_->name + " already, and has one parent at a time"};
    const auto known_way = routes_.find(h.node);
    const bool below_a_child = known_way != routes_.end() && known_way->second->node != h.node &&
                               known_way->second->as == role::child;
    if ((above && below_a_child) ||
        (above && std::find(h.ancestors.begin(), h.ancestors.end(), id_) != h.ancestors.end()) ||
        (n.as == role::child && parent_ &&
         (parent_->node == h.node || std::find(parent_->ancestors.begin(), parent_->ancestors.end(),
                                               h.node) != parent_->ancestors.end())))
        return error{errc::denied, "the two would be each other's ancestors"};
    return n.as == role::shortcut ? may_shorten(n, h) : result<void>{};
}

result<void> router::name_is_free(const std::string& name, node_id node) {
    const auto taken = names_.find(name);
    if (name != node_.name &&
        (taken == names_.end() || taken->second == node || !routes_.contains(taken->second)))
        return {};
    // Its process may have died without our having heard of it yet.
    neighbour* holder = name == node_.name ? nullptr : routes_[taken->second];
    const bool dead = holder && holder->node == taken->second && !holder->machine.empty() &&
                      holder->machine == greeting(role::peer, {}).machine &&
                      detail::process_ended(holder->pid);
    if (!dead) return error{errc::name_taken, "a node named " + name + " is alive"};
    holder->close(error{errc::io, "its process has ended"});
    return {};
}

void router::link_up(neighbour& n) {
    // Two links between the same two: a shortcut goes; else that of the node with the lower id stays; of one node's own two
    // the newer one.
    for (auto& other : neighbours_) {
        if (other.get() == &n || !other->is_up() || other->node != n.node) continue;
        const auto dialled_by = [this](const neighbour& l) { return l.connector ? id_ : l.node; };
        const bool mine_first = (n.as == role::shortcut) != (other->as == role::shortcut)
                                    ? other->as == role::shortcut
                                    : dialled_by(n) <= dialled_by(*other);
        neighbour& loser = mine_first ? *other : n;
        loser.close(error{errc::closed, "there is another link between the two"});
        if (&loser == &n) return;
    }
    if (n.as == role::shortcut) return shortcut_up(n);
    // A new incarnation under the name of one that is gone: the old one cannot come back.
    if (const auto old = names_.find(n.name); old != names_.end() && old->second != n.node)
        if (peer* gone = known(old->second))
            node_lost(*gone, exit_reason{exit_kind::node_lost, "node " + n.name + " has been started again"});
    routes_[n.node] = &n;
    has_name(n.node, n.name);
    has_returned(n.node);
    peer& p = peer_of(n.node);
    p.name = n.name;
    n.itself = &p;
    p.local_pid = !n.machine.empty() && n.machine == greeting(role::peer, {}).machine ? n.pid : 0;
    if (const int memory = n.link->take_lent_memory(); memory >= 0) map_memory(p, memory);
    for (auto& d : dialers_) {
        if (d.get() != n.dialer) continue;
        d->when.up();
        d->last_error = {};
    }
    if (n.as == role::parent) parent_ = &n;
    if (n.came_to_children()) child_linked(n);
    log_of(n.name, level::info, "linked to node " + n.name + " (" + n.link->peer().address + ")");
    if (stuck_) n.send_sign(frame_kind::ping);
    announce();
    for (auto& [id, other] : peers_)
        if (way_to(id) == &n)
            other->unreachable_since = other->unreachable_since ? other->unreachable_since : 1;
    ways_changed(n);
    // Searches that wait for this link, or for a parent to ask.
    for (search& s : searches_)
        if (s.over == n.dialer && s.over) s.name = n.name;
    searches_again();
    tell_memberships(n);
    mark_dirty(n);
}

ended router::death_of(node_id node, const std::string& name) {
    return {node, true, "the process of node " + name + " has died"};
}

void router::link_down(neighbour& n, const error& why, bool was_up) {
    if (was_up) {
        log_of(n.name, stopped_ ? level::debug : level::info,
               (n.as == role::shortcut ? "the shortcut to node " : "the link to node ") + n.name +
                   " is down: " + why.what());
        std::vector<node_id> left;
        for (const auto& [node, way] : routes_)
            if (way == &n) left.push_back(node);
        std::erase_if(routes_, [&](const auto& r) { return r.second == &n; });
        std::erase_if(claims_, [&](const auto& c) { return c.second.by == &n; });
        if (parent_ == &n) parent_ = nullptr;
        if (announced_to_ == &n) announced_to_ = nullptr;
        for (peer* p : n.ready) p->in_ready = false;
        n.ready.clear();
        if (n.as == role::shortcut && !stopped_) shortcut_down(n);
        members_are_stale(n);
        if (!stopped_) grant_claims(left, n.node);
        for (auto& [id, p] : peers_)
            if (!p->lost && !p->unreachable_since && !way_to(id)) p->unreachable_since = now();
        peer* gone = known(n.node);
        const bool dead = !n.farewell && !n.machine.empty() &&
                          n.machine == greeting(role::peer, {}).machine && detail::process_ended(n.pid);
        if ((n.farewell || dead) && !stopped_) {
            const ended news =
                dead ? death_of(n.node, n.name) : ended{n.node, false, "node " + n.name + " has ended"};
            if (n.as == role::child || n.as == role::parent) pass_on(news, &n);
            if (gone) node_ended(*gone, news);
        }
        if (!stopped_) announce();
    } else if (n.connector && n.as == role::shortcut) {
        approach_failed(n, why);
    } else if (!n.connector) {
        log(level::warn, "a connection from " + n.link->peer().address +
                             (n.name.empty() ? std::string{} : " that calls itself " + n.name) +
                             " was ended: " + why.what());
    }
    if (stopped_) return;
    std::erase(dirty_, &n);
    for (auto& d : dialers_) {
        if (d->link != &n) continue;
        d->link = nullptr;
        const bool stood = was_up && now() - n.since >= retry::stood.count();
        dial_later(*d, stood ? retry::ended::cut : retry::ended::refused, why);
    }
    // Not from within its own event.
    post([this, gone = &n] {
        if (!stopped_) std::erase_if(neighbours_, [&](const auto& owned) { return owned.get() == gone; });
    });
}

// ---------------------------------------------------------------- time

void router::arm_tick() {
    ticker_ = after(std::chrono::nanoseconds{tick_every}, [this] { tick(); });
}

void router::tick() {
    const std::int64_t at = now();
    // A tick that comes late was held up with this whole process, which then heard nobody: it is no evidence against others.
    const std::int64_t late = at - last_tick_ - tick_every;
    last_tick_ = at;
    const bool paused = late > limits::ping_after.count();
    if (paused)
        log(level::info, "this process did not run for " + std::to_string(late / 1'000'000) +
                             " ms: that it heard nothing meanwhile counts against nobody");
    for (auto& owned : neighbours_) {
        neighbour& n = *owned;
        if (!n.is_up()) continue;
        if (paused) n.last_heard += late;
        if (at - n.last_heard > limits::silence.count()) {
            n.close(error{errc::timeout, "nothing was heard of it for " +
                                             std::to_string((at - n.last_heard) / 1'000'000) + " ms" +
                                             state_of_neighbours_process(n)});
            continue;
        }
        if ((at - n.last_heard > limits::ping_after.count() && !n.pinged) ||
            at - n.last_said > limits::ping_after.count()) {
            n.pinged = true;
            n.send_sign(frame_kind::ping);
        }
        n.tell_stuck();
        if (n.as == role::shortcut) look_after_shortcut(n, at, paused ? late : 0);
    }
    introductions_.sweep(at);
    for (auto& [id, owned] : peers_) {
        peer& p = *owned;
        if (p.lost) {
            // Its process may have lived on, and read what was lent.
            if (p.lent.count() && detail::process_ended(p.lent.process())) p.lent.forget();
            continue;
        }
        if (paused && p.unreachable_since) p.unreachable_since += late;
        if (paused) p.last_heard += late;
        // Links show when neighbours are gone; what is behind a relay has to be asked, if anybody wants to know.
        const neighbour* way = way_to(id);
        if (!p.of_interest()) {
            p.last_heard = at;
            for (flow_lane& f : p.lanes) f.out.records().trim();
        } else if (way && way->node != id) {
            if (at - std::max(p.last_heard, p.last_probe) > limits::ping_after.count()) {
                p.last_probe = at;
                resume(p, true);
            }
            if (at - p.last_heard > limits::silence.count() && !p.unreachable_since)
                p.unreachable_since = p.last_heard;
        }
        // The system closes a dying process's links before the process is gone: not seen when the link went down.
        if (p.unreachable_since && p.local_pid && detail::process_ended(p.local_pid)) {
            const ended news = death_of(id, p.name);
            const auto left = away_.find(id);
            if (left != away_.end() && left->second.from == id) pass_on(news, nullptr);
            node_ended(p, news);
            continue;
        }
        if (p.unreachable_since && at - p.unreachable_since > options_.hold.count()) {
            node_lost(p, exit_reason{exit_kind::node_lost, "out of reach for longer than the hold time"});
            continue;
        }
        look_at_flow(p, at, paused ? late : 0);
        for (flow_lane& f : p.lanes) {
            if (f.out.is_empty() || at - f.last_progress <= retry_silent_flow) continue;
            f.last_progress = at;
            f.owes_resume = f.asks_resume = true;
            want_out(p);
        }
        std::vector<std::uint32_t> late_asks;  // their askers have been told by their own timers
        for (const auto& [number, pending] : p.pending)
            if (pending.deadline < at) late_asks.push_back(number);
        for (const std::uint32_t number : late_asks) p.pending.erase(number);
    }
    look_at_schedulers(at, paused ? late : 0);
    // Away for longer: it may have gone to another place in the tree, which the parent knows.
    if (std::erase_if(away_,
                      [&](const auto& a) { return at - a.second.since > limits::route_grace.count(); }) &&
        parent_)
        ways_changed(*parent_);
    if (at - started_ > limits::route_grace.count())
        std::erase_if(missed_, [&](const auto& m) { return !away_.contains(m.first); });
    end_queries([at](const query& q) { return q.deadline < at; });
    searches_again();
    arm_tick();
}

std::string router::to_string(const address& a) {
    const actor_id there = a.id_there();
    return "/" + node_table::name_of(a.node()) + "#" + std::to_string(detail::scheduler_of(there)) + "." +
           std::to_string(detail::slot_of(there)) + "." + std::to_string(detail::generation_of(there));
}

}  // namespace coppice::net
