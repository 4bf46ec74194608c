// The way in: from a frame to the flow that it belongs to, from its records to mailboxes, answers and control. Everything here
// was made by another process: nothing is used before it was checked, and nothing that is wrong does more than end its link.
#include <algorithm>
#include <cstring>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/log.hpp"
#include "net/foreign.hpp"
#include "net/neighbour.hpp"
#include "net/peer.hpp"
#include "net/router.hpp"
#include "net/wire_addresses.hpp"
#include "node_core.hpp"

namespace coppice::net {

// The scheduler of this node that such an actor is on, if it lives; null: it is none of ours.
scheduler* router::own_scheduler_of(actor_id id) const noexcept {
    const std::uint32_t index = detail::scheduler_of(id);
    if (index == 0 || index > limits::schedulers) return nullptr;
    scheduler* s = scheduler::table[index].load(std::memory_order_acquire);
    return s && s->node == &node_ ? s : nullptr;
}

// Null if no such actor lives here, else it and where it runs. A look from another thread: it may end meanwhile.
detail::cell* router::living(actor_id id, scheduler** where) const noexcept {
    scheduler* s = own_scheduler_of(id);
    if (!s) return nullptr;
    detail::cell* c = s->peek(id);
    if (!c || c->published_id.load(std::memory_order_relaxed) != id) return nullptr;
    *where = s;
    return c;
}

std::uint32_t router::index_of(node_id node) {
    if (const peer* p = known(node)) return p->index;
    return peers_.size() < limits::nodes ? peer_of(node).index : 0;
}

// Pieces of large messages are copied once, to where they are put together; everything else that may still change is copied
// before it is looked into. The canonical form is read in one go, so that what was checked is what is used.
bool router::read_mail(neighbour& from, const parsed_frame& f, wire::envelope_view& view) {
    if (!f.shared) return wire::read_envelope(f.body, view) == errc::ok;
    if (f.body.size() >= 4096 && wire::read_canonical_envelope(f.body, view) &&
        static_cast<record>(view.fields.kind) == record::fragment)
        return true;
    return wire::read_envelope(from.copy_of(f.body), view) == errc::ok;
}

void router::take_frame(neighbour& from, const parsed_frame& f) {
    const bool routed = f.header.flags & frame_header::routed;
    const node_id source = routed ? f.route.source : from.node;
    const standing of_source = from.standing ? from.standing : f.header.standing_said();
    if (routed && from.as == role::shortcut) [[unlikely]] {
        log(level::warn, "node " + from.name + " sent mail in transit over a shortcut; dropped");
        return;
    }
    if (routed) {
        // A neighbour speaks for itself and for what is below it; the parent for everybody else.
        const auto way = routes_.find(source);
        const bool may = &from == parent_ ? (way == routes_.end() || way->second == parent_)
                                          : way != routes_.end() && way->second == &from;
        if (!may || source == id_) {
            log(level::warn,
                "node " + from.name + " sent in the name of a node that is not below it; dropped");
            return;
        }
        if (f.route.destination != id_) return relay(from, f, of_source);
    }
    wire::envelope_view view;
    if (!read_mail(from, f, view)) return from.close(error{errc::bad_message, "an envelope that is none"});
    if (routed && !known(source) && peers_.size() >= limits::nodes) return;
    peer& p = routed ? peer_of(source) : *from.itself;
    const lane l = lane_of(view.fields.flags);
    flow_lane& flow = p.at(l);
    const auto kind = static_cast<record>(view.fields.kind);
    if (kind != record::notice) {  // which a relay sends in the node's name
        p.last_heard = home_.now;
        p.standing = of_source;
        p.in_doubt = false;
        if (p.unreachable_since && way_to(source)) [[unlikely]]
            p.unreachable_since = 0;
    }
    if (kind == record::resume) begin_epoch(p, view.fields.aux);
    if (kind == record::acknowledge || kind == record::resume) {
        if (f.header.epoch == p.epoch_out || f.header.epoch == 0) {
            outgoing& out = flow.out;
            const std::uint64_t before = out.last_acknowledged();
            if (!out.acknowledged(view.fields.sequence, {view.fields.correlation, view.fields.target}))
                return from.close(error{errc::bad_message, "it acknowledges what was never sent"});
            if (out.last_acknowledged() != before) flow.last_progress = home_.now;
            if (kind == record::resume) {
                flow.retransmitted += out.records().unsent() - out.records().first();
                out.rewind();
                flow.held = false;
            }
            pump_bulk(p, l);
            if (l == lane::normal) room_again(p);
            want_out(p);
        }
        if (view.fields.flags & record_flag::answer_me) {
            flow.owes_resume = true;
            want_out(p);
        }
        return;
    }
    if (kind == record::notice) {
        const auto why = static_cast<errc>(view.fields.aux);
        if (why == errc::ok) return resume(p, true);
        const auto number = static_cast<std::uint32_t>(view.fields.correlation);
        if (number) fail_pending(p, number, error{why, "a node on the way could not pass it on"});
        return;
    }
    if (f.header.epoch < p.epoch_in) return;  // of a flow that is over
    begin_epoch(p, f.header.epoch);
    incoming& in = flow.in;
    switch (in.arrive(view.fields.sequence, f.body.size())) {
    case incoming::verdict::take:
        if (l != lane::system && in.overdrawn())
            return from.close(error{errc::bad_message, "it sends more than it was granted"});
        take_record(p, view, {f.body.size(), 1}, l);
        break;
    case incoming::verdict::repeated: in.tell_again(); break;
    case incoming::verdict::gap:
        if (flow.gap_told != in.received()) {
            flow.gap_told = in.received();
            flow.owes_resume = true;
        }
        break;
    }
    if (in.owes_much() || flow.owes_resume) want_out(p);
    else if (in.owes_acknowledgement()) acknowledge_soon();
}

// The other node numbers its flows to this one: a number higher than that of the flow to it means that it gave this node up
// meanwhile, and with it what was asked, watched and sent. So does this node then, and both begin anew, with the same number:
// what the other one hears of that is no news to it, or the two would give each other up for ever.
void router::begin_epoch(peer& p, std::uint32_t epoch) {
    if (epoch <= p.epoch_in) return;
    if (epoch > p.epoch_out) {
        node_lost(p, exit_reason{exit_kind::node_lost, "it was out of reach and has given this node up"});
        p.epoch_out = epoch;
    }
    for (flow_lane& f : p.lanes) {
        f.in.clear();
        f.assembling.clear();
        f.assembling_held = {};
        f.gap_told = UINT64_MAX;
    }
    p.epoch_in = epoch;
    if (!p.lost) return;
    p.lost = false;
    p.seen->lost.store(false, std::memory_order_relaxed);
    p.unreachable_since = 0;
    if (p.borrowed) put_control(p, arena_mapped{p.borrowed->arena()});  // what was said is lost
    resume(p, false);
    believe(p.id);
}

// What only passes through here needs a right of its own.
bool router::may_pass(neighbour& from, const parsed_frame& f, standing of_source) {
    const node_id to = f.route.destination;
    const peer* there = known(to);
    const std::string object = path_of_node(there ? there->name : std::string{});
    if (gate_.allows(of_source, right::transit, object)) return true;
    wire::envelope_view view;
    if (!read_mail(from, f, view)) return false;
    const auto kind = static_cast<record>(view.fields.kind);
    if (kind == record::acknowledge || kind == record::resume) return false;  // not worth to be counted
    gate_.refused(from, of_source, right::transit, object);
    if (kind == record::request) notify(from, {f.route.source, to}, errc::denied, view.fields.correlation);
    return false;
}

void router::relay(neighbour& from, const parsed_frame& f, standing of_source) {
    if (of_source != rights_table::of_the_tree && !may_pass(from, f, of_source)) return;
    const node_id to = f.route.destination;
    neighbour* way = tree_way(to);
    const bool loop = f.header.hops + 1u > limits::hops || way == &from;
    if (!loop && way && way->is_up()) {
        const bool passed =
            way->pass_on(f, of_source);  // the queue is full: the flow's source sends it again
        if (passed && options_.shortcuts && of_source == rights_table::of_the_tree && way->node == to &&
            introductions_.passed(f.route.source, to, f.body.size()))
            way->send_control(introduce{f.route.source});
        return;
    }
    // It may be back in a moment; a relay that was started again knows nobody yet.
    const peer* p = known(to);
    const bool young = home_.now - started_ < limits::route_grace.count() && !(p && p->lost);
    if (!loop && (young || away_.contains(to))) {
        if (missed_.size() < limits::missed) missed_.insert({to, f.route.source});
        return;
    }
    // A notice for requests only, never for a notice; back to where it came from.
    wire::envelope_view view;
    if (!read_mail(from, f, view) || static_cast<record>(view.fields.kind) != record::request) return;
    notify(from, {f.route.source, to}, errc::unreachable, view.fields.correlation);
}

// In the name of the node that could not be reached, or can be again: its flow is what the notice concerns.
void router::notify(neighbour& by, const frame_route& back, errc what, std::uint64_t correlation) {
    if (by.frame_bytes_waiting > limits::relay_queue) return;  // who asks and does not read is not told
    alignas(8) std::byte body[wire::envelope_bytes];
    wire::envelope_fields fields{};
    fields.kind = static_cast<std::uint16_t>(record::notice);
    fields.aux = static_cast<std::uint32_t>(what);
    fields.correlation = correlation;
    wire::write_envelope(body, fields, 0);
    frame_header h;
    h.kind = frame_kind::envelope;
    by.queue_frame(h, &back, body);
    mark_dirty(by);
}

// Tells those who sent meanwhile; they send again what did not get through.
void router::has_returned(node_id node) {
    away_.erase(node);
    for (auto m = missed_.lower_bound({node, 0}); m != missed_.end() && m->first == node;
         m = missed_.erase(m))
        if (neighbour* way = tree_way(m->second); way && way->is_up())
            notify(*way, {m->second, node}, errc::ok, 0);
}

namespace {

// What a record says of whom it is sent for, as long as it is taken. The frame goes before: a stranger has no more rights by that.
class standing_of_record {
public:
    standing_of_record(peer& p, std::uint16_t flags) noexcept : peer_{p}, before_{p.standing} {
        const auto said = static_cast<standing>(flags >> record_flag::standing_at);
        if (before_ != rights_table::of_the_tree || said == rights_table::of_the_tree) return;
        peer_.standing = said;
        peer_.acts_for_another = true;
    }
    standing_of_record(const standing_of_record&) = delete;
    standing_of_record& operator=(const standing_of_record&) = delete;
    ~standing_of_record() {
        peer_.standing = before_;
        peer_.acts_for_another = false;
    }

private:
    peer& peer_;
    const standing before_;
};

}  // namespace

void router::take_record(peer& p, const wire::envelope_view& r, amount held, lane l) {
    const standing_of_record marked{p, r.fields.flags};
    const auto kind = static_cast<record>(r.fields.kind);
    // The system lane has no credit: what could fill this node's memory does not come that way.
    if ((kind == record::control) != (l == lane::system)) {
        log(level::warn, "a record of kind " + std::to_string(r.fields.kind) + " from node " + p.name +
                             " in a lane that is not for it; dropped");
        return p.at(l).in.consumed(held);
    }
    switch (kind) {
    case record::message:
    case record::request: return take_mail(p, r, held, l);
    case record::fragment: return take_fragment(p, r, held, l);
    case record::reply:
    case record::failure: take_reply(p, r); break;
    case record::control: take_control(p, r.payload); break;
    default:
        log(level::warn, "a record of an unknown kind from node " + p.name + "; dropped");
        if (r.fields.flags & record_flag::loans) return_unread(r.payload, p.borrowed);
        break;
    }
    p.at(l).in.consumed(held);
}

// A quarter of the window stands for a large message until an actor has it: what waits for room in mailboxes is bounded, and a
// message that is larger than the window still comes through.
void router::take_fragment(peer& p, const wire::envelope_view& r, amount held, lane l) {
    flow_lane& flow = p.at(l);
    held.bytes += flow.assembling_held.bytes;
    held.records += flow.assembling_held.records;
    const amount most{flow.in.window().bytes / 4, flow.in.window().records / 4};
    const amount stays{std::min(held.bytes, most.bytes), std::min(held.records, most.records)};
    flow.in.consumed({held.bytes - stays.bytes, held.records - stays.records});
    flow.assembling_held = stays;
    const auto drop = [&flow] { flow.in.consumed(std::exchange(flow.assembling_held, {})); };
    const std::uint64_t whole = r.fields.correlation;
    const bool last = r.fields.flags & record_flag::last;
    const std::uint64_t sum = flow.assembling.size() + r.payload.size();
    if (whole > limits::wire_message + wire::envelope_bytes + 8 || sum > whole || last != (sum == whole)) {
        log(level::warn, "pieces from node " + p.name + " that do not fit together; the message is dropped");
        flow.assembling.clear();
        return drop();
    }
    flow.assembling.add(r.payload, whole);
    if (!last) return;
    const blob complete = flow.assembling.finish();
    wire::envelope_view inner;
    if (wire::read_envelope(complete.bytes(), inner) != errc::ok ||
        static_cast<record>(inner.fields.kind) == record::fragment) {
        log(level::warn, "pieces from node " + p.name + " that make no record; dropped");
        return drop();
    }
    struct shown {
        const blob*& within;
        ~shown() { within = nullptr; }
    } while_read{within_ = &complete};
    take_record(p, inner, std::exchange(flow.assembling_held, {}), l);
}

void router::refuse(peer& p, const wire::envelope_view& r, errc why, std::string_view text) {
    node_.bury_named(why, "type " + std::to_string(r.fields.type) + " from node " + p.name);
    tell_refusal(p, r, why, text);
}

void router::deny(peer& p, const wire::envelope_view& r, right what, std::string_view object) {
    tell_refusal(p, r, errc::denied, gate_.refused(p, what, object));
}

void router::tell_refusal(peer& p, const wire::envelope_view& r, errc why, std::string_view text) {
    if (r.fields.flags & record_flag::loans) return_unread(r.payload, p.borrowed);
    if (static_cast<record>(r.fields.kind) != record::request) return;
    wire::envelope_fields fields{};
    fields.kind = static_cast<std::uint16_t>(record::failure);
    fields.flags = r.fields.flags & record_flag::priority;
    fields.correlation = r.fields.correlation & 0xffff'ffffu;
    fields.aux = static_cast<std::uint32_t>(why);
    put_record(p, fields, std::as_bytes(std::span{text}));
}

void router::take_mail(peer& p, const wire::envelope_view& r, amount held, lane l) {
    incoming& in = p.at(l).in;
    scheduler* there = nullptr;
    detail::cell* c = living(r.fields.target, &there);
    const auto incarnation = static_cast<std::uint32_t>(r.fields.correlation >> 32);
    if (!c || (incarnation && c->incarnation.load(std::memory_order_relaxed) != incarnation)) {
        refuse(p, r, errc::down);
        return in.consumed(held);
    }
    if (r.fields.type == stop_in_order) [[unlikely]] {
        if (p.standing && !gate_.allows(p.standing, right::stop, gate_.path_of(r.fields.target))) {
            deny(p, r, right::stop, gate_.path_of(r.fields.target));
            return in.consumed(held);
        }
        if (const auto before = parked_.find(r.fields.target); before != parked_.end()) {
            before->second.push_back({make_stop_order(r.fields.target), p.id, p.epoch_in, {}});
            return in.consumed(held);
        }
        detail::actor_calls::stop(&home_, address{r.fields.target, nullptr});
        return in.consumed(held);
    }
    const bool asked = static_cast<record>(r.fields.kind) == record::request;
    if (r.fields.flags & record_flag::expired) [[unlikely]] {
        refuse(p, r, errc::timeout);
        return in.consumed(held);
    }
    const detail::protocol_info* takes = c->protocol.load(std::memory_order_relaxed);
    const detail::message_type* type = nullptr;
    if (takes)
        for (const detail::message_type* m : takes->messages)
            if (m->id == r.fields.type && (m->is_request || !asked)) type = m;
    if (r.fields.type == detail::type_of<mail_mark>->id) type = detail::type_of<mail_mark>;
    if (!type && takes) type = type_for_unknown(*takes, r.fields.type, asked);
    const right to_send = asked ? right::ask : right::send;
    if (p.standing && !(type && type->needs) && !gate_.allows_mail(p.standing, asked, r.fields.target))
        [[unlikely]] {
        deny(p, r, to_send, gate_.path_of(r.fields.target));
        return in.consumed(held);
    }
    if (!type || !type->wire || (asked && !type->is_request)) {
        refuse(p, r, errc::no_handler);
        return in.consumed(held);
    }
    const std::size_t blocks = (type->offset + type->size + sizeof(detail::origin) + 63) / 64;
    void* block = detail::pool_alloc(blocks * 64);
    auto* e = ::new (block) envelope{};
    wire_addresses context{id_, *this};
    context.within = within_;
    message_loans loans{p.borrowed};
    std::span<const std::byte> payload = r.payload;
    std::vector<std::byte> copied;
    if (r.fields.flags & record_flag::loans) {
        context.borrows = &loans;
        // What is kept as the bytes that came may be read, or passed on, when the loans are over.
        if (type->id == detail::foreign_type) payload = copied = without_loans(payload, p.borrowed);
    }
    const errc read = type->wire->read(payload, static_cast<std::byte*>(block) + type->offset, context);
    if (read != errc::ok) {
        detail::pool_free(block, blocks * 64);
        refuse(p, r, read);
        return in.consumed(held);
    }
    if (type->wire->set_type)
        type->wire->set_type(static_cast<std::byte*>(block) + type->offset, r.fields.type);
    const address sender = address::on_node(p.index, r.fields.sender);
    e->type = type;
    e->target = r.fields.target;
    e->sender = r.fields.sender ? sender.id() : 0;
    e->correlation = 0;
    e->blocks = static_cast<std::uint16_t>(blocks);
    e->flags = static_cast<std::uint8_t>(envelope::from_afar | (type->destroy ? envelope::needs_destroy : 0));
    e->lane = l == lane::priority ? lane::priority : type->lane;
    detail::origin_of(e) = {sender.tag(), (r.fields.correlation & 0xffff'ffffu) |
                                              (l == lane::priority ? asked_with_priority : 0)};
    if (type->is_request) detail::deadline_of(e).deadline = INT64_MAX;
    if (asked) {
        e->flags |= envelope::owes_reply | envelope::is_ask;
        if (r.fields.aux)
            detail::deadline_of(e).deadline = home_.now + std::int64_t{r.fields.aux} * 1'000'000;
    }
    if (p.standing && type->needs) [[unlikely]] {
        const demand needed = type->needs(static_cast<std::byte*>(block) + type->offset);
        const std::string object =
            needed.object.empty() ? gate_.path_of(r.fields.target) : std::string{needed.object};
        if (!gate_.allows(p.standing, needed.what, object)) {
            e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            detail::release(e);
            deny(p, r, needed.what, object);
            return in.consumed(held);
        }
    }
    const auto full = c->full.load(std::memory_order_relaxed);
    const bool behind_others = there == &home_ && !parked_.empty() && parked_.contains(e->target);
    if ((full == detail::cell::at_bound || behind_others) && e->lane == lane::normal) {
        const bool waits = r.fields.flags & record_flag::waits;
        const std::uint64_t part = waits ? 1 : 4;
        if (p.parked.bytes + held.bytes > in.window().bytes / part ||
            p.parked.records + held.records > in.window().records / part) {
            // One slow actor must not hold up all the others that this flow serves.
            e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);
            node_.bury(e, errc::mailbox_full, {});
            detail::release(e);
            if (asked) refuse(p, r, errc::mailbox_full);
            return in.consumed(held);
        }
        p.parked.bytes += held.bytes;
        p.parked.records += held.records;
        e->flags |= envelope::waits_for_room;
        if (there == &home_) {  // poll() looks whenever something has run here
            parked_[e->target].push_back({e, p.id, p.epoch_in, held});
            return;
        }
        detail::deliver_when_room(there->index, e,
                                  [home = home_.index, from = p.id, epoch = p.epoch_in, held](errc) {
                                      detail::post_control(home, [from, epoch, held](scheduler& s) {
                                          if (s.node->net) s.node->net->unparked(from, epoch, held);
                                      });
                                  });
        return;
    }
    e->flags |= envelope::waits_for_room;  // full by the time it arrives there, it is parked
    if (there == &home_) home_.deliver(e);
    else home_.remote(e, there->index);
    in.consumed(held);
}

bool router::has_parked_with_room() const noexcept {
    return std::any_of(parked_.begin(), parked_.end(), [this](const auto& one) {
        const detail::cell* c = home_.find(one.first);
        return !c || one.second.front().mail->type->id == stop_in_order ||
               c->full.load(std::memory_order_relaxed) != detail::cell::at_bound;
    });
}

// What waits for room in mailboxes on home itself. True if there was room for some.
bool router::hand_out() {
    bool found = false;
    for (auto at = parked_.begin(); at != parked_.end();) {
        auto& queue = at->second;
        while (!queue.empty()) {
            const detail::cell* c = home_.find(at->first);
            const parked_mail m = queue.front();
            const bool stops = m.mail->type->id == stop_in_order;  // needs no room
            if (!stops && c && c->full.load(std::memory_order_relaxed) == detail::cell::at_bound) break;
            queue.pop_front();
            if (stops) {
                detail::release(m.mail);
                detail::actor_calls::stop(&home_, address{at->first, nullptr});
            } else {
                home_.deliver(m.mail);
            }
            unparked(m.from, m.epoch, m.held);
            found = true;
        }
        if (queue.empty()) at = parked_.erase(at);
        else ++at;
    }
    return found;
}

void router::unparked(node_id from, std::uint32_t epoch, amount held) {
    peer* p = known(from);
    if (!p) return;
    p->parked.bytes -= std::min(p->parked.bytes, held.bytes);
    p->parked.records -= std::min(p->parked.records, held.records);
    if (p->epoch_in != epoch) return;       // of a flow that is over
    incoming& in = p->at(lane::normal).in;  // priority mail does not wait
    in.consumed(held);
    if (in.owes_much()) want_out(*p);
    else acknowledge_soon();
}

namespace {

// To the ask that waits for it, wherever its actor is.
void deliver_answer(scheduler& home, envelope* e) {
    const std::uint32_t at = detail::scheduler_of(e->target);
    if (at == home.index) home.deliver_reply(e);
    else home.remote(e, at);
}

}  // namespace

void router::fail_pending(peer& p, std::uint32_t number, const error& why) {
    const auto found = p.pending.find(number);
    if (found == p.pending.end()) return;
    const pending_answer a = found->second;
    p.pending.erase(found);
    if (a.passed_on) {
        peer* asker = known(node_table::id_of(address::from_parts(0, a.where.tag).node()));
        if (!asker) return;
        wire::envelope_fields fields{};
        fields.kind = static_cast<std::uint16_t>(record::failure);
        fields.flags = flag_of_answer(a.where);
        fields.correlation = a.where.correlation & 0xffff'ffffu;
        fields.aux = static_cast<std::uint32_t>(why.code());
        return put_record(*asker, fields, std::as_bytes(std::span{why.text()}));
    }
    envelope* e = detail::make_envelope<detail::failure_body>(a.asker, 0, why);
    e->correlation = a.correlation;
    e->flags |= envelope::is_reply | envelope::is_failure;
    deliver_answer(home_, e);
}

void router::take_reply(peer& p, const wire::envelope_view& r) {
    const auto number = static_cast<std::uint32_t>(r.fields.correlation);
    const auto found = p.pending.find(number);
    const bool lent = r.fields.flags & record_flag::loans;
    if (found == p.pending.end()) {  // the asker has gone on
        if (lent) return_unread(r.payload, p.borrowed);
        return;
    }
    if (static_cast<record>(r.fields.kind) == record::failure) {
        const std::string text{reinterpret_cast<const char*>(r.payload.data()), r.payload.size()};
        const auto code = static_cast<errc>(r.fields.aux);
        return fail_pending(p, number, text.empty() ? error{code} : error{code, text});
    }
    const pending_answer a = found->second;
    if (a.passed_on) {
        p.pending.erase(found);
        peer* asker = known(node_table::id_of(address::from_parts(0, a.where.tag).node()));
        wire::envelope_fields fields = r.fields;
        fields.flags = flag_of_answer(a.where);
        fields.correlation = a.where.correlation & 0xffff'ffffu;
        const auto copied = lent ? without_loans(r.payload, p.borrowed) : std::vector<std::byte>{};
        if (asker) put_bytes(*asker, fields, lent ? std::span{copied} : r.payload);
        return;
    }
    const bool takes_any =
        a.type->wire && a.type->wire->set_type;  // who asked wants a value, whatever it stands for
    // Programs without types of C++ answer with a plain value: whether it fits is found when it is read.
    const bool says_no_type = r.fields.type == detail::value_type;
    if ((a.type->id != r.fields.type && !takes_any && !says_no_type) || !a.type->wire) {
        if (lent) return_unread(r.payload, p.borrowed);
        return fail_pending(p, number,
                            error{errc::bad_message, "the answer is of another type than the request's"});
    }
    const std::size_t blocks = (a.type->offset + a.type->size + 63) / 64;
    void* block = detail::pool_alloc(blocks * 64);
    auto* e = ::new (block) envelope{};
    wire_addresses context{id_, *this};
    context.within = within_;
    message_loans loans{p.borrowed};
    if (lent) context.borrows = &loans;
    if (const errc read =
            a.type->wire->read(r.payload, static_cast<std::byte*>(block) + a.type->offset, context);
        read != errc::ok) {
        detail::pool_free(block, blocks * 64);
        if (lent) return_unread(r.payload, p.borrowed);
        return fail_pending(p, number, error{read, "the answer does not hold what it should"});
    }
    if (takes_any) a.type->wire->set_type(static_cast<std::byte*>(block) + a.type->offset, r.fields.type);
    p.pending.erase(number);
    e->type = a.type;
    e->target = a.asker;
    e->sender = 0;
    e->correlation = a.correlation;
    e->blocks = static_cast<std::uint16_t>(blocks);
    e->flags =
        static_cast<std::uint8_t>(envelope::is_reply | (a.type->destroy ? envelope::needs_destroy : 0));
    e->lane = lane::normal;
    deliver_answer(home_, e);
}

}  // namespace coppice::net
