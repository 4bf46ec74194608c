// What nodes say to each other in flows beside mail: actors of other nodes are watched, linked and ended, found by
// name, told of ends; and what is agreed on shortcuts and loans. What is taken was made by another process: an
// actor that it names may not live, an answer may be to no question. Part of the router, home thread.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include "cell_ext.hpp"
#include "coppice/log.hpp"
#include "net/marked_mail.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

void router::put_control(peer& p, const control& message, standing as) {
    wire::envelope_fields fields{};
    fields.kind = static_cast<std::uint16_t>(record::control);
    fields.flags = static_cast<std::uint16_t>(record_flag::system | as << record_flag::standing_at);
    put_record(p, fields, encode(message));
}

// ---------------------------------------------------------------- told

namespace {

// Runs f(router, peer) on home, if the node is known and not lost; else or_else(scheduler&).
template <class F, class G>
void at_peer(scheduler& home, std::uint32_t index, F f, G or_else) {
    detail::post_control(home.index,
                         [index, f = std::move(f), or_else = std::move(or_else)](scheduler& s) mutable {
                             router* r = s.node->net;
                             if (!r || !r->with_peer(index, f)) or_else(s);
                         });
}

}  // namespace

bool router::with_peer(std::uint32_t index, const std::function<void(router&, peer&)>& f) {
    peer* p = known(node_table::id_of(index));
    if (!p || p->lost || stopped_) return false;
    f(*this, *p);
    return true;
}

void router::watch(actor_id watcher, std::uint64_t monitor, const address& target, standing as) {
    at_peer(
        home_, target.node(),
        [=](router& r, peer& p) {
            p.watches.push_back({watcher, monitor, target.id_there()});
            r.put_control(p, watch_actor{monitor, watcher, target.id_there(), target.incarnation()}, as);
        },
        [=](scheduler& s) {
            exit_reason why{exit_kind::node_lost, "its node is lost or was never reached"};
            s.send(address{watcher, nullptr},
                   detail::make_envelope<down>(watcher, target.id(),
                                               down{ref<>{target}, std::move(why), monitor}));
        });
}

void router::unwatch(actor_id watcher, std::uint64_t monitor, const address& target) {
    at_peer(
        home_, target.node(),
        [=](router& r, peer& p) {
            std::erase_if(p.watches,
                          [&](const auto& w) { return w.monitor == monitor && w.watcher == watcher; });
            r.put_control(p, unwatch_actor{monitor, watcher, target.id_there()});
        },
        [](scheduler&) {});
}

void router::link(actor_id from, const address& to) {
    at_peer(
        home_, to.node(),
        [=](router& r, peer& p) {
            p.links.push_back({from, to.id_there()});
            r.put_control(p, link_actors{from, to.id_there(), to.incarnation()});
        },
        [=](scheduler& s) {
            if (s.node->net)
                s.node->net->deliver_exit(
                    from, to, exit_reason{exit_kind::node_lost, "its node is lost or was never reached"});
        });
}

void router::unlink(actor_id from, const address& to) {
    at_peer(
        home_, to.node(),
        [=](router& r, peer& p) {
            std::erase_if(p.links, [&](const auto& l) { return l.here == from && l.there == to.id_there(); });
            r.put_control(p, unlink_actors{from, to.id_there()});
        },
        [](scheduler&) {});
}

void router::tell_exit(actor_id from, const address& to, const exit_reason& reason) {
    at_peer(
        home_, to.node(),
        [=](router& r, peer& p) {
            std::erase_if(p.links, [&](const auto& l) { return l.here == from && l.there == to.id_there(); });
            r.put_control(p, exit_notice{from, to.id_there(), reason});
        },
        [](scheduler&) {});
}

envelope* make_stop_order(actor_id target, standing as) {
    static const detail::message_type type = [] {
        detail::message_type t = *detail::type_of<marked_stop>;
        t.id = stop_in_order;
        t.name = "coppice.stop";
        return t;
    }();
    envelope* e = detail::make_envelope<marked_stop>(target, 0, as);
    e->type = &type;
    return e;
}

void router::end(const address& target, ending how, std::chrono::nanoseconds within, standing as) {
    at_peer(
        home_, target.node(),
        [=](router& r, peer& p) {
            if (how == ending::stop && !p.lost && !r.stopped_)
                return r.send_when_room(target, make_stop_order(target.id(), as), 0, [](errc) {});
            r.put_control(p, end_actor{target.id_there(), how, static_cast<std::uint64_t>(within.count())},
                          as);
        },
        [](scheduler&) {});
}

void router::deliver_exit(actor_id to, const address& from, const exit_reason& why) {
    const auto tell = [to, from, why](scheduler& s) {
        detail::cell* c = s.find(to);
        if (!c || !c->ext || !std::erase_if(c->ext->links, [&](const address& a) { return a == from; }))
            return;
        if (c->ext->traps_exits) {
            s.deliver(detail::make_envelope<exit_signal>(to, from.id(), exit_signal{ref<>{from}, why}));
        } else if (!why.is_clean()) {
            detail::life::request_kill(
                c, exit_reason{exit_kind::linked, "linked to " + to_string(from), detail::path_of(c)}.because(
                       why));
        }
    };
    if (detail::scheduler_of(to) == home_.index) tell(home_);
    else detail::post_control(detail::scheduler_of(to), tell);
}

// ---------------------------------------------------------------- taken

namespace {

// These come between neighbours only, in frames of their own (neighbour::take_control).
template <class M, class... Of>
constexpr bool is_one_of = (std::is_same_v<M, Of> || ...);
template <class M>
constexpr bool between_neighbours =
    is_one_of<M, hello, proof, refusal, welcome, farewell, routes, introduce, ended, memberships>;

exit_reason no_such_actor() { return {exit_kind::no_actor, "there is no such actor"}; }

// Whether that actor is there to be watched or linked: in that incarnation, if one is named.
bool lives(const detail::cell* c, std::uint32_t incarnation) noexcept {
    return c && !(c->attention & (detail::cell::restarting | detail::cell::ended)) &&
           (!incarnation || c->incarnation == incarnation);
}

}  // namespace

void router::take_control(peer& p, std::span<const std::byte> payload) {
    const result<control> message = decode(payload);
    if (!message) return log(level::warn, "from node " + p.name + ": " + message.error().what());
    std::visit(
        [&]<class M>(const M& m) {
            if constexpr (between_neighbours<M>)
                log(level::warn,
                    "a control message from node " + p.name + " that does not belong into a flow; dropped");
            else take_control(p, m);
        },
        *message);
}

// Runs f(scheduler&) where that actor is; false if it does not live here.
template <class F>
bool router::on_scheduler_of(actor_id id, F f) {
    scheduler* there = nullptr;
    if (!living(id, &there)) return false;
    if (there == &home_) f(home_);
    else detail::post_control(there->index, f);
    return true;
}

void router::take_control(peer& p, const net::find& m) {
    struct found answer;
    answer.query = m.query;
    if (p.standing && !gate_.allows_any(p.standing, m.path)) {
        answer.code = errc::denied;
        answer.text = gate_.refused(p, right::inspect, m.path);
        return put_control(p, answer);
    }
    // Below an actor here that is a process of its own: its node is asked, and answers for itself.
    const node_id place =
        m.path.size() > 1 && m.path.front() == '/' && !node_.names.find(m.path) ? node_of_path(m.path) : 0;
    const auto below = place && place != id_ && place != p.id ? routes_.find(place) : routes_.end();
    if (below != routes_.end() && below->second->as == role::child && queries_.size() < limits::searches) {
        return ask_node(place, m.path, m.types, now() + limits::ask_deadline.count(),
                        [this, asker = p.id, number = m.query](result<address> found_there) {
                            peer* to = known(asker);
                            if (!to || to->lost) return;
                            struct found told;
                            told.query = number;
                            told.code = found_there.error().code();
                            told.text = std::string{found_there.error().text()};
                            if (found_there) {
                                told.actor = found_there->id_there();
                                told.incarnation = found_there->incarnation();
                                told.node = node_table::id_of(found_there->node());
                            }
                            put_control(*to, told);
                        });
    }
    const bool may_hold = node_.is_starting && held_lookups_.size() < limits::searches;
    if (may_hold) node_.lookups_wait = true;  // before it is looked for: node_core::named
    const address at = node_.names.find(m.path);
    if (!at && may_hold) return held_lookups_.push_back({p.id, m});
    scheduler* there = nullptr;
    detail::cell* c = at ? living(at.id(), &there) : nullptr;
    const detail::protocol_info* has = c ? c->protocol.load(std::memory_order_relaxed) : nullptr;
    answer.code = c ? errc::ok : errc::not_found;
    answer.text = c ? std::string{} : m.path;
    for (const std::uint64_t type : m.types) {
        if (!has || has->any) break;
        if (std::none_of(has->messages.begin(), has->messages.end(),
                         [&](const auto* one) { return one->id == type; })) {
            answer.code = errc::wrong_protocol;
            answer.text = m.path + " does not take all messages of the protocol asked for";
        }
    }
    if (answer.code == errc::ok) answer.actor = at.id();
    put_control(p, answer);
}

void router::answer_held_lookups() {
    for (const auto& [asker, what] : std::exchange(held_lookups_, {}))
        if (peer* p = known(asker); p && !p->lost) take_control(*p, what);
}

void router::take_control(peer& p, const net::found& m) {
    const auto q = queries_.find(m.query);
    if (q == queries_.end() || q->second.node != p.id) return;
    auto answer = std::move(q->second.answer);
    queries_.erase(q);
    answer(&m);
}

void router::take_control(peer& p, const locate& m) {
    if (searches_.size() >= limits::searches) return put_control(p, located{m.query, 0, m.name});
    find_node(m.name, nullptr, now() + limits::ask_deadline.count(),
              [this, id = p.id, number = m.query, name = m.name](result<node_id> node) {
                  if (peer* asker = known(id); asker && !asker->lost)
                      put_control(*asker, located{number, node && *node != id ? *node : 0, name});
              });
}

void router::take_control(peer& p, const located& m) {
    const auto s = std::find_if(searches_.begin(), searches_.end(), [&](const search& one) {
        return one.asked == p.id && one.number == m.query;  // nobody else was asked
    });
    if (s == searches_.end()) return;
    auto answer = std::move(s->answer);
    searches_.erase(s);
    if (!m.node || !index_of(m.node))
        return answer(error{errc::unreachable, "no node that is reached from the parent is named " + m.name});
    has_name(m.node, m.name);
    peer& there = peer_of(m.node);
    there.name = m.name;
    if (there.lost) resume(there, true);  // given up here, and alive: both begin anew
    answer(m.node);
}

// Why not, for who wants to know of that actor's end; nothing if it may.
std::optional<exit_reason> router::may_not_monitor(peer& p, actor_id target) {
    if (p.standing == rights_table::of_the_tree) return std::nullopt;
    const std::string path = gate_.path_of(target);
    if (gate_.allows(p.standing, right::monitor, path)) return std::nullopt;
    return exit_reason{exit_kind::no_actor, gate_.refused(p, right::monitor, path)}.coded(errc::denied);
}

void router::take_control(peer& p, const watch_actor& m) {
    if (auto why = may_not_monitor(p, m.target))
        return put_control(p, down_notice{m.monitor, m.watcher, m.target, *std::move(why)});
    if (!may_watch(p, m)) return;
    const auto tell_none = [there = p.index, m](scheduler& s) {
        if (!s.node->net) return;
        s.node->net->with_peer(there, [&](router& r, peer& to) {
            to.watched_from.erase({m.watcher, m.monitor});
            r.put_control(to, down_notice{m.monitor, m.watcher, m.target, no_such_actor()});
        });
    };
    const address watcher = address::on_node(p.index, m.watcher);
    const bool sent = on_scheduler_of(m.target, [watcher, m, home = home_.index, tell_none](scheduler& s) {
        detail::cell* c = s.find(m.target);
        if (lives(c, m.incarnation)) detail::ext_of(c).watchers.push_back({watcher, m.monitor});
        else detail::post_control(home, tell_none);
    });
    if (!sent) tell_none(home_);
}

void router::take_control(peer& p, const unwatch_actor& m) {
    if (!p.watched_from.erase({m.watcher, m.monitor})) return;
    on_scheduler_of(m.target, [m, there = p.index](scheduler& s) {
        if (detail::cell* c = s.find(m.target); c && c->ext)
            std::erase_if(c->ext->watchers, [&](const auto& v) {
                return v.id == m.monitor && v.who.is_remote() && v.who.node() == there;
            });
    });
}

// Only to one that watches there; who does is known here.
void router::take_control(peer& p, const down_notice& m) {
    if (!std::erase_if(p.watches,
                       [&](const auto& w) { return w.monitor == m.monitor && w.watcher == m.watcher; }))
        return;
    const address who = address::on_node(p.index, m.target);
    home_.send(address{m.watcher, nullptr},
               detail::make_envelope<down>(m.watcher, who.id(), down{ref<>{who}, m.reason, m.monitor}));
}

void router::take_control(peer& p, const link_actors& m) {
    if (auto why = may_not_monitor(p, m.to))
        return put_control(p, exit_notice{m.to, m.from, *std::move(why)});
    if (!may_link_actors(p, m)) return;
    const auto refuse_link = [there = p.index, m](scheduler& s) {
        if (!s.node->net) return;
        s.node->net->with_peer(there, [&](router& r, peer& to) {
            std::erase_if(to.links, [&](const auto& one) { return one.here == m.to && one.there == m.from; });
            r.put_control(to, exit_notice{m.to, m.from, no_such_actor()});
        });
    };
    const address from = address::on_node(p.index, m.from);
    const bool sent = on_scheduler_of(m.to, [from, m, home = home_.index, refuse_link](scheduler& s) {
        detail::cell* c = s.find(m.to);
        if (!lives(c, m.incarnation)) return static_cast<void>(detail::post_control(home, refuse_link));
        auto& links = detail::ext_of(c).links;
        if (std::none_of(links.begin(), links.end(), [&](const address& a) { return a == from; }))
            links.push_back(from);
    });
    if (!sent) return refuse_link(home_);
    if (std::none_of(p.links.begin(), p.links.end(),
                     [&](const auto& one) { return one.here == m.to && one.there == m.from; }))
        p.links.push_back({m.to, m.from});
}

void router::take_control(peer& p, const unlink_actors& m) {
    std::erase_if(p.links, [&](const auto& one) { return one.here == m.to && one.there == m.from; });
    on_scheduler_of(m.to, [from = address::on_node(p.index, m.from), to = m.to](scheduler& s) {
        if (detail::cell* c = s.find(to); c && c->ext)
            std::erase_if(c->ext->links, [&](const address& a) { return a == from; });
    });
}

void router::take_control(peer& p, const exit_notice& m) {
    if (!std::erase_if(p.links, [&](const auto& one) { return one.here == m.to && one.there == m.from; }))
        return;  // no actor here is linked to it
    deliver_exit(m.to, address::on_node(p.index, m.from), m.reason);
}

void router::take_control(peer& p, const end_actor& m) {
    scheduler* there = nullptr;
    if (!living(m.target, &there)) return;
    if (p.standing && !gate_.allows(p.standing, right::stop, gate_.path_of(m.target)))
        return static_cast<void>(gate_.refused(p, right::stop, gate_.path_of(m.target)));
    const address target{m.target, nullptr};
    switch (m.how) {
    case ending::stop: return detail::actor_calls::stop(&home_, target);
    case ending::kill: return detail::actor_calls::kill(&home_, target);
    case ending::pause: return detail::actor_calls::set_paused(&home_, target, true);
    case ending::resume: return detail::actor_calls::set_paused(&home_, target, false);
    case ending::shutdown:
        detail::actor_calls::shutdown(&home_, target,
                                      std::chrono::nanoseconds{static_cast<std::int64_t>(m.within_ns)});
    }
}

void router::take_control(peer& p, const offer& m) { take_offer(p, m); }
void router::take_control(peer& p, const arena_mapped& m) { p.lent.may_lend(m.arena, p.local_pid); }
void router::take_control(peer& p, const loans_returned& m) { p.lent.returned(m.numbers); }

}  // namespace coppice::net
