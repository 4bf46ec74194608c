// Shortcuts: links between two nodes that talk much through a relay. A relay introduces, the one who can be reached offers, the
// other one dials; introductions.hpp has the picture. Home thread.
//
// A shortcut is no route: it carries what the two nodes send each other, and nothing of others. Failing costs nothing, the way
// through the relay is always there to fall back to. The flow keeps the order: whichever way is taken from now on, nothing new
// goes out before the other side has told what came over the old one (change_way).
#include <arpa/inet.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "coppice/log.hpp"
#include "net/dialer.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice::net {

namespace {

constexpr std::size_t most_tried = 8;  // endpoints of one offer

bool is_loopback(std::string_view host) {
    return host.starts_with("127.") || host == "::1" || host == "localhost";
}

bool is_wildcard(std::string_view host) { return host == "0.0.0.0" || host == "::"; }

// The host of "10.0.0.7:34712" or "[fe80::1]:34712"; empty if the text is something else.
std::string host_of(const std::string& address) {
    const auto colon = address.rfind(':');
    if (colon == std::string::npos) return {};
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    in6_addr any{};
    const bool is_one = ::inet_pton(AF_INET, host.c_str(), &any) == 1 ||  //
                        ::inet_pton(AF_INET6, host.c_str(), &any) == 1;
    return is_one ? host : std::string{};
}

}  // namespace

// ---------------------------------------------------------------- offering

// Only the relay over which that node is reached may say so.
void router::take_introduction(neighbour& by, const introduce& m) {
    peer* p = known(m.node);
    if (!options_.shortcuts || by.standing || !p || p->standing || p->lost || m.node == by.node ||
        way_to(m.node) != &by)
        return;
    if (approaches_.contains(m.node)) return;  // it was quicker
    if (introductions_.may_offer(m.node, now())) send_offer(*p, false);
}

bool router::has_room_for_a_shortcut() const noexcept {
    return shortcuts_.size() + approaches_.size() + introductions_.expected() < limits::shortcuts;
}

void router::send_offer(peer& p, bool is_answer) {
    if (!has_room_for_a_shortcut()) return;
    const hello me = greeting(role::peer, {});
    offer o{{}, offered_endpoints(p.id), me.machine, me.pid, is_answer};
    if (o.endpoints.empty() && is_answer) return;  // neither of the two can be reached
    if (!o.endpoints.empty()) o.token = introductions_.expect(p.id, now());
    put_control(p, o);
}

// Without options: they are this node's affair, and may name its files.
std::vector<std::string> router::offered_endpoints(node_id to) const {
    std::vector<std::string> all;
    for (const endpoint& where : where_) {
        const auto kind = find_transport(where.scheme);
        if (!kind) continue;
        endpoint e = where;
        e.options.clear();
        std::vector<std::string> hosts{e.host};
        if ((*kind)->reach() == reach::network && is_wildcard(e.host)) {
            // On all addresses: by that which others know it by, and for who is on this machine.
            const neighbour* way = tree_way(to);
            hosts = {"127.0.0.1"};
            if (const std::string host = way ? host_of(way->seen_as) : std::string{}; !host.empty())
                hosts.insert(hosts.begin(), host);
        }
        for (const std::string& host : hosts) {
            e.host = host;
            if (all.size() < most_endpoints) all.push_back(e.to_string());
        }
    }
    return all;
}

// ---------------------------------------------------------------- following an offer

// Nearest first. With the options of this node's own way to others of that kind, e.g. its certificate.
std::vector<router::place> router::usable(const offer& o) const {
    const hello me = greeting(role::peer, {});
    const bool same_machine = !me.machine.empty() && me.machine == o.machine;
    std::vector<std::string> own{options_.parent};
    own.insert(own.end(), options_.connect.begin(), options_.connect.end());
    own.insert(own.end(), options_.listen.begin(), options_.listen.end());
    std::vector<place> places;
    for (const std::string& text : o.endpoints) {
        auto at = place_of(text);
        if (!at) continue;
        const reach far = at->kind->reach();
        const bool near_enough = far == reach::process   ? same_machine && o.pid == me.pid
                                 : far == reach::machine ? same_machine
                                                         : same_machine || !is_loopback(at->where.host);
        if (!near_enough) continue;
        at->where.options.clear();
        at->where.actor.clear();
        for (const std::string& uri : own) {
            auto mine = place_of(uri);
            if (!mine || mine->where.scheme != at->where.scheme) continue;
            at->where.options = mine->where.options;
            at->where.options.erase("name");  // of the peer that this one is for
            at->where.options.erase("client");
            at->sealed = mine->sealed;
            break;
        }
        places.push_back(*std::move(at));
    }
    std::vector<place> sorted;
    for (const reach far : {reach::process, reach::machine, reach::network})
        for (const place& one : places)
            if (one.kind->reach() == far && sorted.size() < most_tried &&
                std::none_of(sorted.begin(), sorted.end(),
                             [&](const place& p) { return p.where == one.where; }))
                sorted.push_back(one);
    return sorted;
}

void router::take_offer(peer& p, const offer& o) {
    const neighbour* way = way_to(p.id);
    if (!options_.shortcuts || p.standing || (way && way->node == p.id) || approaches_.contains(p.id)) return;
    // Both have offered: the one with the higher id comes to the other.
    if (!o.is_answer && !o.endpoints.empty() && introductions_.expects(p.id) && id_ < p.id) return;
    if (!introductions_.may_follow(p.id, now()) || !has_room_for_a_shortcut()) return;
    std::vector<place> places = usable(o);
    if (places.empty()) {
        if (!o.is_answer && introductions_.may_offer(p.id, now())) send_offer(p, true);
        return;
    }
    std::reverse(places.begin(), places.end());
    auto& a = approaches_[p.id];
    a = std::make_unique<approach>();
    a->with = p.id;
    a->token = o.token;
    a->answers = !o.is_answer;
    a->left = std::move(places);
    try_next(*a);
}

void router::try_next(approach& a) {
    // Neither an attempt nor a timer is ended from within its own callback.
    if (a.trying) post([ended = std::shared_ptr<attempt>{std::move(a.trying)}] {});
    a.limit.reset();
    a.link = nullptr;
    while (!a.left.empty()) {
        const place at = std::move(a.left.back());
        a.left.pop_back();
        auto trying = at.kind->connect(
            *this, at.where, [this, with = a.with, sealed = at.sealed](result<std::unique_ptr<byte_link>> l) {
                const auto found = approaches_.find(with);
                if (stopped_ || found == approaches_.end()) return;
                approach& to = *found->second;
                to.limit.reset();
                if (!l) {
                    to.last_error = l.error().what();
                    return try_next(to);
                }
                neighbours_.push_back(std::make_unique<neighbour>(*this, std::move(*l), true, role::shortcut,
                                                                  nullptr, neighbour_trust{options_.secret}));
                to.link = neighbours_.back().get();
                to.link->sealed = sealed;
                to.link->awaited = with;
                to.link->token = to.token;
                to.link->start();
            });
        if (!trying) {
            a.last_error = trying.error().what();
            continue;
        }
        a.trying = std::move(*trying);
        a.limit = after(limits::handshake_deadline, [this, with = a.with] {
            const auto found = approaches_.find(with);
            if (found == approaches_.end()) return;
            found->second->last_error = "nobody answers";
            try_next(*found->second);
        });
        return;
    }
    peer& p = peer_of(a.with);
    log(level::info, "no shortcut to node " + p.name + ": " + a.last_error);
    const bool answers = a.answers;
    approaches_.erase(a.with);
    if (answers && !p.lost && introductions_.may_offer(p.id, now())) send_offer(p, true);
}

void router::approach_failed(const neighbour& n, const error& why) {
    for (auto& [with, a] : approaches_) {
        if (a->link != &n) continue;
        a->link = nullptr;
        a->last_error = why.what();
        post([this, node = with] {  // not from within the link's own event
            const auto found = approaches_.find(node);
            if (!stopped_ && found != approaches_.end() && !found->second->link) try_next(*found->second);
        });
        return;
    }
}

// ---------------------------------------------------------------- up and down

result<void> router::may_shorten(const neighbour& n, const hello& h) {
    if (n.connector)
        return h.node == n.awaited
                   ? result<void>{}
                   : error{errc::denied, "this is not the node that has offered the shortcut"};
    if (!options_.shortcuts) return error{errc::denied, node_.name + " wants no shortcuts"};
    if (shortcuts_.size() >= limits::shortcuts)
        return error{errc::limit_reached, node_.name + " has " + std::to_string(limits::shortcuts) +
                                              " shortcuts and takes no more"};
    return introductions_.redeem(h.node, h.token, now());
}

void router::shortcut_up(neighbour& n) {
    introductions_.worked(n.node);
    if (const auto a = approaches_.find(n.node); a != approaches_.end()) {
        post([ended = std::shared_ptr<approach>{std::move(a->second)}] {});
        approaches_.erase(a);
    }
    peer& p = peer_of(n.node);
    if (p.name.empty()) p.name = n.name;
    n.itself = &p;
    p.local_pid = !n.machine.empty() && n.machine == greeting(role::peer, {}).machine ? n.pid : 0;
    if (const int memory = n.link->take_lent_memory(); memory >= 0) map_memory(p, memory);
    if (stuck_) n.send_sign(frame_kind::ping);
    n.mail_at = now();
    neighbour* before = way_to(n.node);
    shortcuts_[n.node] = &n;
    log(level::info, "linked to node " + n.name + " by a shortcut (" + n.link->peer().address + ")");
    change_way(p, before);
    searches_again();
    mark_dirty(n);
}

// Back to the way through the tree. What was under way on the shortcut may be lost: both ends tell what they have.
void router::shortcut_down(neighbour& n) {
    const auto held = shortcuts_.find(n.node);
    if (held == shortcuts_.end() || held->second != &n) return;
    shortcuts_.erase(held);
    if (peer* p = known(n.node); p && !p->lost) change_way(*p, nullptr);
}

// `before`: the link that led there until now, if it still does. Then the question goes to the end of what is under way on it,
// and the answer says that nothing is.
void router::change_way(peer& p, neighbour* before) {
    for (flow_lane& f : p.lanes) f.held = f.out.outstanding();
    if (!before || !before->is_up() || p.unreachable_since) {
        if (way_to(p.id)) p.unreachable_since = 0;
        return resume(p, true);
    }
    if (std::erase(before->ready, &p) > 0) p.in_ready = false;
    const frame_route beyond{p.id, id_};
    for (const lane l : lanes_by_urgency) {
        const flow_lane& f = p.at(l);
        if (!f.held) continue;
        alignas(8) std::byte body[wire::envelope_bytes];
        wire::envelope_fields fields{};
        fields.kind = static_cast<std::uint16_t>(record::acknowledge);
        fields.flags = static_cast<std::uint16_t>(record_flag::answer_me | flag_of(l));
        fields.sequence = f.in.received();
        fields.correlation = f.in.credit().bytes;
        fields.target = f.in.credit().records;
        wire::write_envelope(body, fields, 0);
        frame_header h;
        h.kind = frame_kind::envelope;
        h.flags = l == lane::normal ? 0 : frame_header::urgent;  // as the mail that it follows
        h.epoch = p.epoch_in;
        before->queue_frame(h, before->node == p.id ? nullptr : &beyond, body);
    }
    mark_dirty(*before);
    want_out(p);
}

void router::look_after_shortcut(neighbour& n, std::int64_t at, std::int64_t paused) {
    const peer& p = *n.itself;
    std::uint64_t mail = 0;
    bool waits = false;
    for (const flow_lane& f : p.lanes) {
        mail += f.out.records().next() + f.in.received();
        waits = waits || !f.out.is_empty() || !f.bulk.empty();
    }
    n.mail_at += paused;
    if (mail != n.mail || waits) {
        n.mail = mail;
        n.mail_at = at;
    }
    const neighbour* other = tree_way(n.node);
    if (at - n.mail_at > limits::shortcut_idle.count() && other && other->is_up())
        n.close(error{errc::closed, "the shortcut was not used for a while"});
}

}  // namespace coppice::net
