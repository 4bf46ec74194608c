// The way out: from a message to a record of its flow, from the flow to the link that leads there.
// Part of the router, home thread; send() alone is called from any thread.
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "cell_ext.hpp"
#include "net/marked_mail.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "net/wire_addresses.hpp"
#include "node_core.hpp"

namespace coppice::net {

namespace {

std::uint64_t pair_of(actor_id sender, actor_id target) noexcept {
    return (sender * 0x9e3779b97f4a7c15ull) ^ target;
}

// A record that was written before its number is known. False: there is no room.
bool append_whole(record_queue& records, transfer& t) {
    std::byte* at = records.append(t.size());
    if (!at) return false;
    t.take_all(at);
    wire::envelope_view view;
    const errc fine = wire::read_envelope({at, t.size()}, view);
    COPPICE_ASSERT(fine == errc::ok, "a record that waited in a queue is what was written");
    view.fields.sequence = records.next() - 1;
    wire::write_envelope(at, view.fields, static_cast<std::uint32_t>(view.payload.size()));
    return true;
}

// As a request says it; never 0, which is none.
std::uint32_t milliseconds_left(std::int64_t nanoseconds) noexcept {
    constexpr std::int64_t in_one = 1'000'000;
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(nanoseconds / in_one + 1, 1, UINT32_MAX));
}

struct outgoing_mail {  // on its way to home, from another scheduler
    address to;
    envelope* mail;
    outgoing_mail(const address& a, envelope* e) noexcept : to{a}, mail{e} {}
    outgoing_mail(outgoing_mail&& o) noexcept : to{o.to}, mail{std::exchange(o.mail, nullptr)} {}
    outgoing_mail(const outgoing_mail&) = delete;
    outgoing_mail& operator=(const outgoing_mail&) = delete;
    ~outgoing_mail() {
        if (mail) detail::release(mail);
    }
};

}  // namespace

// Writes frames into the room that a link gives, as many as fit before they are committed.
struct router::sending {
    explicit sending(neighbour& n) : to{n} {}
    ~sending() { commit(); }
    sending(const sending&) = delete;
    sending& operator=(const sending&) = delete;

    // Room for that many bytes, to be filled in; null: none now.
    std::byte* room_for(std::size_t bytes) {
        if (room.size() - used < bytes) {
            commit();
            room = to.link->reserve(bytes);
            if (room.empty()) {
                to.blocked = true;
                return nullptr;
            }
        }
        std::byte* at = room.data() + used;
        used += bytes;
        return at;
    }
    void commit() {
        if (used) to.link->commit(used);
        to.bytes_out += used;
        used = 0;
        room = {};
    }
    // Signs of life, then what is queued as whole frames. False if it does not all go.
    bool queued() {
        for (const frame_kind kind : {frame_kind::pong, frame_kind::ping}) {
            bool& owed = kind == frame_kind::pong ? to.owes_pong : to.owes_ping;
            if (!owed) continue;
            const std::vector<std::byte> sign = to.sign(kind);
            std::byte* at = room_for(sign.size());
            if (!at) return false;
            std::memcpy(at, sign.data(), sign.size());
            ++to.frames_out;
            owed = false;
        }
        while (to.has_frames()) {
            auto& queue = to.in_pieces               ? *to.in_pieces
                          : to.urgent_frames.empty() ? to.frames
                                                     : to.urgent_frames;
            const std::vector<std::byte>& f = queue.front();
            std::byte* at = room_for(f.size());
            if (!at) return false;
            std::memcpy(at, f.data(), f.size());
            ++to.frames_out;
            to.frame_bytes_waiting -= f.size();
            frame_header h;
            std::memcpy(&h, f.data(), sizeof h);
            to.in_pieces = h.flags & frame_header::more ? &queue : nullptr;
            if (&queue == &to.frames)
                to.not_to_be_passed -=
                    h.kind == frame_kind::control || h.flags & frame_header::urgent ? 1 : 0;
            queue.pop_front();
        }
        return true;
    }
    // A frame whose body is that record, a multiple of 8. False if it has to wait.
    bool frame(frame_header h, const frame_route* route, std::span<const std::byte> head,
               std::span<const std::byte> tail = {}) {
        // Nothing comes between the pieces of a frame, even if it is small enough for what room there is.
        if (to.has_frames() && !queued()) return false;
        const std::size_t size = head.size() + tail.size();
        const std::size_t whole = frame_bytes(size, route != nullptr);
        if (whole > to.link->max_reserve()) [[unlikely]] {
            std::vector<std::byte> body{head.begin(), head.end()};
            body.insert(body.end(), tail.begin(), tail.end());
            to.queue_frame(h, route, body);
            queued();
            return true;
        }
        std::byte* at = room_for(whole);
        if (!at) return false;
        h.length = static_cast<std::uint32_t>(size);
        ++to.frames_out;
        std::byte* place = write_frame(at, h, route);
        std::memcpy(place, head.data(), head.size());
        if (!tail.empty()) std::memcpy(place + head.size(), tail.data(), tail.size());
        if (to.sealed) seal_frame(at);
        // In parts, so that the link can hand over one while the next is written.
        constexpr std::size_t part = 32 * 1024;
        if (used >= part) commit();
        return true;
    }

    neighbour& to;
    std::span<std::byte> room;
    std::size_t used = 0;
};

// ---------------------------------------------------------------- from actors

errc router::send(const address& to, envelope* e) {
    if (scheduler::current() == &home_) return send_home(to, e);
    face* f = face_of(to.node());
    if (!f) return errc::unreachable;
    if (f->lost.load(std::memory_order_relaxed)) return errc::node_lost;
    const bool urgent = e->lane != lane::normal;
    const bool is_down =
        detail::same_type(e->type, detail::type_of<down>);  // it has a lane that is not bounded
    if (!is_down && f->waiting[urgent].load(std::memory_order_relaxed) >= limits::flow_queue &&
        !(e->flags & envelope::waits_for_room && !urgent))
        return errc::mailbox_full;
    if (!e->type->wire && !is_down) return errc::not_portable;
    detail::post_control(home_.index, [m = outgoing_mail{to, e}](scheduler& s) mutable {
        envelope* mail = std::exchange(m.mail, nullptr);
        router* r = s.node->net;
        peer* p = r ? r->at_index(m.to.node()) : nullptr;
        // Of send_wait, which saw room that others have taken meanwhile: it was told that its mail is sent, so it is.
        const bool waits =
            (mail->flags & envelope::waits_for_room) && mail->lane == lane::normal && p && !p->lost;
        errc outcome = errc::stopping;
        if (waits && !p->waiting.empty()) outcome = errc::mailbox_full;
        else if (r) outcome = r->send_home(m.to, mail);
        if (outcome == errc::mailbox_full && waits) {
            p->waiting.push_back({m.to, mail, 0, [](errc) {}});
            r->tell_room(*p);
        } else if (outcome != errc::ok) {
            s.undeliverable(mail, outcome);
        }
    });
    return errc::ok;
}

bool router::has_room(const address& to) const noexcept {
    const face* f = face_of(to.node());
    return !f || f->lost.load(std::memory_order_relaxed) ||
           f->unsent.load(std::memory_order_relaxed) < limits::flow_ready;
}

bool router::has_room(const peer& p) const noexcept {
    const flow_lane& normal = p.at(lane::normal);
    return normal.unsent_bytes() < limits::flow_ready &&
           normal.out.records().bytes() < limits::flow_queue / 2 && !has_its_share(p, lane::normal);
}

void router::send_when_room(const address& to, envelope* e, std::uint64_t ticket,
                            std::function<void(errc)> told) {
    e->flags |= envelope::waits_for_room;
    const auto park = [ticket](scheduler& s, const address& target, envelope* mail,
                               std::function<void(errc)> tell) {
        router* r = s.node->net;
        peer* p = r ? r->at_index(target.node()) : nullptr;
        errc outcome = errc::stopping;
        if (r) {
            if (p && (!p->waiting.empty() || !r->has_room(*p))) outcome = errc::mailbox_full;  // behind those
            else outcome = r->send_home(target, mail);
        }
        if (outcome == errc::mailbox_full && p && !p->lost) {
            p->waiting.push_back({target, mail, ticket, std::move(tell)});
            r->tell_room(*p);
            return;
        }
        if (outcome != errc::ok) {
            s.node->bury(mail, outcome, to_string(target));
            mail->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            detail::release(mail);
        }
        tell(outcome);
    };
    if (scheduler::current() == &home_) return park(home_, to, e, std::move(told));
    detail::post_control(home_.index,
                         [park, m = outgoing_mail{to, e}, told = std::move(told)](scheduler& s) mutable {
                             park(s, m.to, std::exchange(m.mail, nullptr), std::move(told));
                         });
}

void router::withdraw(const address& to, std::uint64_t ticket) {
    const auto take_back = [index = to.node(), ticket](scheduler& s) {
        peer* p = s.node->net ? s.node->net->at_index(index) : nullptr;
        if (!p) return;
        std::erase_if(p->waiting, [ticket](peer::waiting_mail& w) {
            if (w.ticket != ticket) return false;
            detail::release(w.mail);
            w.told(errc::cancelled);
            return true;
        });
    };
    if (scheduler::current() == &home_) take_back(home_);
    else detail::post_control(home_.index, take_back);
}

void router::room_again(peer& p) {
    // All at once, and not one for every record that leaves: a sender that goes on has many to send.
    if (p.waiting.empty() || p.at(lane::normal).unsent_bytes() > limits::flow_ready / 2) return;
    while (!p.waiting.empty() && has_room(p)) {
        auto w = std::move(p.waiting.front());
        const errc outcome = send_home(w.to, w.mail);
        if (outcome == errc::mailbox_full) {
            p.waiting.front() = std::move(w);
            return;
        }
        p.waiting.pop_front();
        if (outcome != errc::ok) {
            node_.bury(w.mail, outcome, to_string(w.to));
            w.mail->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            detail::release(w.mail);
        }
        w.told(outcome);
    }
    tell_room(p);
}

// Home. Takes the envelope if ok.
errc router::send_home(const address& to, envelope* e) {
    peer* p = at_index(to.node());
    if (stopped_) return errc::stopping;
    if (!p) return errc::unreachable;
    if (p->lost) return errc::node_lost;
    if (detail::same_type(e->type, detail::type_of<down>)) {
        const down& d = detail::body<down>(e);
        p->watched_from.erase({to.id_there(), d.monitor});
        put_control(*p, down_notice{d.monitor, to.id_there(), d.who.id(), d.reason});
        detail::release(e);
        return errc::ok;
    }
    const detail::wire_functions* form = e->type->wire;
    if (!form) return errc::not_portable;
    wire::envelope_fields fields{};
    const bool asked = e->flags & envelope::owes_reply;
    fields.kind = static_cast<std::uint16_t>(asked ? record::request : record::message);
    fields.target = to.id_there();
    fields.sender = e->flags & envelope::from_afar ? 0 : e->sender;
    fields.type = e->type->id;
    fields.correlation = std::uint64_t{to.incarnation()} << 32;
    if (e->lane == lane::priority) fields.flags |= record_flag::priority;
    if (e->flags & envelope::waits_for_room) fields.flags |= record_flag::waits;
    fields.flags |= static_cast<std::uint16_t>(standing_of_mail(e) << record_flag::standing_at);
    if (asked) {
        const std::int64_t deadline =
            e->flags & envelope::is_ask ? detail::deadline_of(e).deadline : INT64_MAX;
        if (deadline != INT64_MAX) {
            fields.aux = milliseconds_left(deadline - home_.now);
        }
        pending_answer a{
            e->sender, e->correlation, e->type->reply, deadline, (e->flags & envelope::from_afar) != 0, {}};
        if (a.passed_on) a.where = detail::origin_of(e);
        do ++p->last_number;
        while (p->last_number == 0 || p->pending.contains(p->last_number));
        fields.correlation |= p->last_number;
        p->pending.emplace(p->last_number, a);
    }
    const void* body = reinterpret_cast<const std::byte*>(e) + e->type->offset;
    if (form->type) fields.type = form->type(body);
    const std::size_t bytes = form->size(body);  // 0: nothing that can be written
    const errc outcome = bytes == 0 ? errc::too_large : put_mail(*p, fields, form, body, bytes, &e);
    if (outcome != errc::ok) {
        if (asked) p->pending.erase(p->last_number);
        return outcome;
    }
    if (!e) return errc::ok;                                       // its bytes are sent from where they are
    e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);  // the pending answer owes it now
    detail::release(e);
    return errc::ok;
}

// Takes *keep, if that is not null and the message has to live on.
errc router::put_mail(peer& p, const wire::envelope_fields& fields, const detail::wire_functions* form,
                      const void* body, std::size_t bytes, envelope** keep) {
    if (bytes > limits::wire_message) return errc::too_large;
    const std::size_t whole = wire::envelope_bytes + padded(bytes);
    const std::uint64_t pair = pair_of(fields.sender, fields.target);
    wire_addresses context{id_, *this};
    const lane l = lane_of(fields.flags);
    flow_lane& flow = p.at(l);
    if (has_its_share(p, l)) [[unlikely]]
        return errc::mailbox_full;
    // Mail between the same two; a stop, which is for all that its target was sent.
    const bool behind =
        !flow.bulk.empty() && (flow.bulk_pairs.contains(pair) || fields.type == stop_in_order);
    const bool lends =
        p.lent.lends() && keep && form->bulk && bytes >= limits::bulk_piece && form->bulk(body).cuts != 0;
    const bool large = bytes > limits::fragment || behind || lends;
    if (!large) [[likely]] {
        std::byte* at = flow.out.records().append(whole);
        if (!at) return errc::mailbox_full;
        wire::envelope_fields numbered = fields;
        numbered.sequence = flow.out.records().next() - 1;
        wire::write_envelope(at, numbered, static_cast<std::uint32_t>(bytes));
        if (bytes & 7) std::memset(at + whole - 8, 0, 8);
        form->write(body, at + wire::envelope_bytes, context);
    } else {
        if (!flow.bulk.empty() && flow.bulk_bytes + whole > limits::flow_bulk) return errc::mailbox_full;
        constexpr std::size_t small = wire::envelope_bytes + limits::fragment;
        if (lends && !flow.out.records().has_room(small)) return errc::mailbox_full;
        if (lends) context.lends = &p.lent;
        transfer t{fields, *form, body, bytes, context, keep};
        t.pair = pair;
        if (t.size() <= small && !behind) {  // what is large in it is lent
            const bool appended = append_whole(flow.out.records(), t);
            COPPICE_ASSERT(appended, "there is the room that was seen before");
            want_out(p);
            return errc::ok;
        }
        flow.bulk_bytes += t.size();
        ++flow.bulk_pairs[pair];
        flow.bulk.push_back(std::move(t));
        pump_bulk(p, l);
    }
    want_out(p);
    return errc::ok;
}

// Feeds pieces of large messages into the flow, few at a time: small mail that comes meanwhile waits for few of them.
void router::pump_bulk(peer& p, lane l) {
    constexpr std::uint64_t ahead = 8;  // pieces
    flow_lane& flow = p.at(l);
    while (!flow.bulk.empty()) {
        record_queue& records = flow.out.records();
        if (records.next() - records.unsent() >= ahead) return;
        transfer& t = flow.bulk.front();
        const bool whole = t.done() == 0 && t.size() <= wire::envelope_bytes + limits::fragment;
        if (whole) {
            if (!append_whole(records, t)) return;
        } else {
            const transfer::piece piece = t.next(limits::fragment);
            const std::size_t head = wire::envelope_bytes + piece.copied;
            std::byte* at = piece.shared.empty() ? records.append(head)
                                                 : records.append(head, piece.shared, piece.holder);
            if (!at) return;
            t.take(piece, at + wire::envelope_bytes);
            wire::envelope_fields fields{};
            fields.kind = static_cast<std::uint16_t>(record::fragment);
            fields.correlation = t.size();
            fields.sequence = records.next() - 1;
            fields.flags = flag_of(l);
            if (t.done() == t.size()) fields.flags |= record_flag::last;
            wire::write_envelope(at, fields, static_cast<std::uint32_t>(piece.size()));
        }
        if (t.done() < t.size()) continue;
        flow.bulk_bytes -= t.size();
        if (--flow.bulk_pairs[t.pair] == 0) flow.bulk_pairs.erase(t.pair);
        flow.bulk.pop_front();
    }
}

// Of the lane that its flags tell.
void router::put_record(peer& p, wire::envelope_fields fields, std::span<const std::byte> payload) {
    if (p.lost || stopped_) return;
    record_queue& records = p.at(lane_of(fields.flags)).out.records();
    std::byte* at = records.append(wire::envelope_bytes + padded(payload.size()));
    if (!at) {
        // Only a peer that takes nothing for as long as it takes to fill the queue with control records.
        node_lost(p, exit_reason{exit_kind::node_lost, "it takes no control records"});
        return;
    }
    fields.sequence = records.next() - 1;
    wire::write_envelope(at, fields, static_cast<std::uint32_t>(payload.size()));
    std::memset(at + wire::envelope_bytes, 0, padded(payload.size()));
    if (!payload.empty()) std::memcpy(at + wire::envelope_bytes, payload.data(), payload.size());
    want_out(p);
}

// A payload of any size that is encoded already.
void router::put_bytes(peer& p, const wire::envelope_fields& fields, std::span<const std::byte> payload) {
    static constexpr detail::wire_functions as_is{
        [](const void* body) { return static_cast<const std::span<const std::byte>*>(body)->size(); },
        [](const void* body, std::byte* out, detail::wire_context&) {
            const auto& bytes = *static_cast<const std::span<const std::byte>*>(body);
            if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
        },
        nullptr};
    if (const errc outcome = put_mail(p, fields, &as_is, &payload, payload.size()); outcome != errc::ok)
        node_.bury_named(outcome, "an answer that is passed on to node " + p.name);
}

void router::reply(actor_id asker, const detail::origin& where, envelope* mail) {
    struct answer {
        actor_id asker;
        detail::origin where;
        outgoing_mail m;
    };
    const auto on_home = [](scheduler& s, actor_id, const detail::origin& to, envelope* e) {
        struct holder {
            envelope* e;
            ~holder() {
                if (e) detail::release(e);
            }
        } hold{e};
        router* r = s.node->net;
        const address asker_address = address::from_parts(0, to.tag);
        peer* p = r ? r->known(node_table::id_of(asker_address.node())) : nullptr;
        if (!p || p->lost) return;
        wire::envelope_fields fields{};
        fields.correlation = to.correlation & 0xffff'ffffu;
        fields.flags = flag_of_answer(to);
        const auto fail = [&](const error& why) {
            fields.kind = static_cast<std::uint16_t>(record::failure);
            fields.aux = static_cast<std::uint32_t>(why.code());
            r->put_record(*p, fields, std::as_bytes(std::span{why.text()}));
        };
        if (e->flags & envelope::is_failure) return fail(detail::body<detail::failure_body>(e).why);
        if (!e->type->wire) return fail(error{errc::not_portable, std::string{e->type->name}});
        fields.kind = static_cast<std::uint16_t>(record::reply);
        const void* body = reinterpret_cast<const std::byte*>(e) + e->type->offset;
        fields.type = e->type->wire->type ? e->type->wire->type(body) : e->type->id;
        const std::size_t bytes = e->type->wire->size(body);
        errc outcome =
            bytes == 0 ? errc::too_large : r->put_mail(*p, fields, e->type->wire, body, bytes, &hold.e);
        if (outcome == errc::mailbox_full) {
            // Replies are bounded by the requests that are answered: they may pass the bound of what is sent unasked.
            wire_addresses context{r->id_, *r};
            transfer t{fields, *e->type->wire, body, bytes, context, &hold.e};
            flow_lane& flow = p->at(lane_of(fields.flags));
            flow.bulk_bytes += t.size();
            ++flow.bulk_pairs[t.pair];
            flow.bulk.push_back(std::move(t));
            outcome = errc::ok;
        }
        if (outcome != errc::ok) fail(outcome);
    };
    if (scheduler::current() == &home_) return on_home(home_, asker, where, mail);
    detail::post_control(home_.index,
                         [on_home, a = answer{asker, where, outgoing_mail{{}, mail}}](scheduler& s) mutable {
                             on_home(s, a.asker, a.where, std::exchange(a.m.mail, nullptr));
                         });
}

// ---------------------------------------------------------------- onto the links

void router::want_out(peer& p) {
    tell_room(p);
    if (p.in_ready) return;  // of a neighbour that is dirty, or waits for room
    neighbour* n = way_to(p.id);
    if (!n || !n->is_up()) return;
    p.in_ready = true;
    n->ready.push_back(&p);
    mark_dirty(*n);
}

// Keeps the sum over all flows, and shows other threads whether this one has room.
void router::tell_room(peer& p) noexcept {
    const flow_lane& normal = p.at(lane::normal);
    const flow_lane& urgent = p.at(lane::priority);
    const std::size_t held = normal.bytes() + urgent.bytes();
    waiting_bytes_ += held - p.counted;
    p.counted = held;
    // Full is what has no room for a message of any size that is not cut: then `send` says so, whichever thread it is on, and
    // what it takes does not become a dead letter here.
    const auto waiting = [](const flow_lane& f) {
        return f.out.records().has_room(wire::envelope_bytes + limits::fragment) ? f.bytes()
                                                                                 : limits::flow_queue;
    };
    p.seen->waiting[0].store(has_its_share(p, lane::normal) ? limits::flow_queue : waiting(normal),
                             std::memory_order_relaxed);
    p.seen->waiting[1].store(waiting(urgent), std::memory_order_relaxed);
    p.seen->unsent.store(has_room(p) && p.waiting.empty() ? normal.unsent_bytes() : limits::flow_ready,
                         std::memory_order_relaxed);
}

// Maps the memory that the node's process lends from, and says so.
void router::map_memory(peer& p, int descriptor) {
    const auto mapped = detail::mapped_arena::map(descriptor);
    ::close(descriptor);
    if (!mapped) return log(level::warn, "node " + p.name + " cannot lend: " + mapped.error().what());
    if (!p.borrowed || p.borrowed->arena() != (*mapped)->id()) {
        if (p.borrowed) p.borrowed->leave();
        const auto wake = [home = home_.index, of = p.id] {
            detail::post_control(home, [of](scheduler& s) {
                if (s.node->net) s.node->net->loans_came_back(of);
            });
        };
        p.borrowed = std::make_shared<borrowed_blobs>(*mapped, wake);
    }
    put_control(p, arena_mapped{p.borrowed->arena()});
}

void router::loans_came_back(node_id of) {
    peer* p = known(of);
    if (!p || !p->borrowed) return;
    if (p->borrowed->is_urgent()) want_out(*p);
    else acknowledge_soon();
}

void router::return_loans(peer& p) {
    while (!p.lost && !stopped_ && p.borrowed->has_returned())
        put_control(p, loans_returned{p.borrowed->take_returned()});
}

bool router::has_its_share(const peer& p, lane l) const noexcept {
    return waiting_bytes_ >= limits::flows_all && p.at(l).bytes() >= limits::flow_share;
}

void router::mark_dirty(neighbour& n) {
    if (n.dirty || n.is_closed() || stopped_) return;
    n.dirty = true;
    dirty_.push_back(&n);
    if (!home_.awake) home_.ask_for_drain();
}

bool router::poll() {
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
        neighbour* n = dirty_[i];
        n->dirty = false;
        pump(*n);
    }
    dirty_.clear();
    if (!flushes_.empty()) [[unlikely]]
        look_at_flushes();
    return !parked_.empty() && hand_out();
}

bool router::prepare_sleep() { return !poll() && dirty_.empty(); }

void router::resume(peer& p, bool answer_me) {
    for (flow_lane& f : p.lanes) {
        f.owes_resume = true;
        f.asks_resume = f.asks_resume || answer_me;
    }
    want_out(p);
}

void router::acknowledge_soon() {
    if (acknowledger_) return;
    acknowledger_ = after(limits::acknowledge_after, [this] {
        post([this] {
            acknowledger_.reset();
            if (stopped_) return;
            acknowledge_now();
        });
    });
}

void router::acknowledge_now() {
    for (auto& [id, p] : peers_) {
        if (!(p->borrowed && p->borrowed->has_returned()) &&
            std::none_of(p->lanes.begin(), p->lanes.end(),
                         [](const flow_lane& f) { return f.in.owes_acknowledgement(); }))
            continue;
        p->acknowledges = true;
        want_out(*p);
    }
}

void router::pump(neighbour& n) {
    if (n.is_closed() || n.blocked) return;
    {
        sending out{n};
        if (!out.queued()) {
            out.commit();
            n.last_said = home_.now;
            n.link->flush();
            return;
        }
        while (!n.ready.empty() && !n.blocked && n.is_up()) {
            peer& p = *n.ready.front();
            const bool done = pump_peer(n, p, out);
            if (n.blocked) break;
            n.ready.erase(n.ready.begin());
            if (!done) {
                n.ready.push_back(&p);
                continue;
            }
            p.in_ready = false;
            tell_room(p);
            room_again(p);
            if (way_to(p.id) != &n) want_out(p);  // it is reached another way by now
        }
    }
    n.last_said = home_.now;
    n.link->flush();
}

// A request may have waited for credit or for a link, and goes out again after a cut: what it says of its time is to be true when
// it goes, as whoever takes it cannot know how long it took.
void router::renew_deadline(const peer& p, std::byte* record_head) const {
    auto fields = wire::written_fields(record_head);
    if (fields.aux == 0) return;
    const auto asked = p.pending.find(static_cast<std::uint32_t>(fields.correlation));
    const std::int64_t left = asked == p.pending.end() ? 0 : asked->second.deadline - home_.now;
    if (left > 0) fields.aux = milliseconds_left(left);
    else fields.flags |= record_flag::expired;
    wire::rewrite_fields(record_head, fields);
}

// True if there is nothing more to send now.
bool router::pump_peer(neighbour& n, peer& p, sending& out) {
    constexpr std::size_t share =
        256 * 1024;  // bytes of one lane of one peer before the next peer has its turn
    if (way_to(p.id) != &n) return true;
    if (p.borrowed) return_loans(p);
    const frame_route beyond{p.id, id_};
    const frame_route* route = n.node == p.id ? nullptr : &beyond;
    frame_header h;
    h.kind = frame_kind::envelope;
    h.flags = frame_header::urgent;
    for (const lane l : lanes_by_urgency) {
        flow_lane& f = p.at(l);
        // Not beside each message that goes the other way: it would cost both sides as much as the message.
        const bool acknowledges = p.acknowledges ? f.in.owes_acknowledgement() : f.in.owes_much();
        if (!acknowledges && !f.owes_resume) continue;
        alignas(8) std::byte body[wire::envelope_bytes];
        wire::envelope_fields fields{};
        fields.kind = static_cast<std::uint16_t>(f.owes_resume ? record::resume : record::acknowledge);
        fields.flags = static_cast<std::uint16_t>(flag_of(l) | (f.asks_resume ? record_flag::answer_me : 0));
        fields.sequence = f.in.received();
        fields.correlation = f.in.credit().bytes;
        fields.target = f.in.credit().records;
        if (f.owes_resume) fields.aux = p.epoch_out;
        wire::write_envelope(body, fields, 0);
        h.epoch = p.epoch_in;
        if (!out.frame(h, route, body)) return false;
        f.in.told();
        f.owes_resume = f.asks_resume = false;
    }
    p.acknowledges = false;
    h.epoch = p.epoch_out;
    bool done = true;
    for (const lane l : lanes_by_urgency) {
        flow_lane& f = p.at(l);
        if (!f.out.outstanding()) {
            f.last_progress = home_.now;
            f.held = false;
        }
        h.flags = l == lane::normal ? 0 : frame_header::urgent;
        pump_bulk(p, l);
        if (f.held) continue;
        // Each lane has a share of the turn: a flood in one in front holds up the others, but does not starve them.
        std::size_t left = share;
        while (f.out.may_send()) {
            const record_bytes record = f.out.records().next_unsent();
            if (wire::written_fields(record.head.data()).kind == static_cast<std::uint16_t>(record::request))
                renew_deadline(p, record.head.data());
            if (!out.frame(h, route, record.head, record.tail)) return false;
            f.out.sent();
            if (!f.bulk.empty()) pump_bulk(p, l);
            if (record.size() >= left) {
                done = false;
                break;
            }
            left -= record.size();
        }
    }
    return done;
}

}  // namespace coppice::net
