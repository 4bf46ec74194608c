// Messages as records, and the queue in which they wait for the control actor; see mail_tap.hpp. Records are made on the followed
// actor's thread, before its handler sees the message.
#include "mail_tap.hpp"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <utility>

#include "coppice/received.hpp"
#include "coppice/value.hpp"
#include "net/foreign.hpp"
#include "net/wire_addresses.hpp"
#include "node_core.hpp"

namespace coppice {

result<value> control::content_of(const mail_record& r) {
    if (r.content != mail_content::value)
        return error{errc::not_portable, "the record of a " + r.type + " has no value"};
    auto v = value::decode(r.bytes);
    if (!v) return v;
    detail::set_type_of_value(&*v, r.type_id);
    return v;
}

namespace detail {

// ---------------------------------------------------------------- the queue

void mail_tap::wake() {
    if (wake_ && !std::exchange(told_, true)) wake_();
}

void mail_tap::put(control::mail_record r) {
    const std::lock_guard lock{mutex_};
    if (waiting_.size() >= limits::mail_records_waiting ||
        bytes_ + r.bytes.size() > limits::mail_bytes_waiting) {
        ++missed_;
    } else {
        r.missed = std::exchange(missed_, 0);
        bytes_ += r.bytes.size();
        waiting_.push_back(std::move(r));
    }
    wake();
}

void mail_tap::miss() {
    const std::lock_guard lock{mutex_};
    ++missed_;
    wake();
}

void mail_tap::end() {
    const std::lock_guard lock{mutex_};
    ended_ = true;
    wake();
}

void mail_tap::stop() {
    const std::lock_guard lock{mutex_};
    wake_ = nullptr;
}

std::optional<control::mail_batch> mail_tap::take() {
    const std::lock_guard lock{mutex_};
    told_ = false;
    if (waiting_.empty() && missed_ == 0 && !ended_) return std::nullopt;
    control::mail_batch b;
    std::size_t taken = 0;
    std::size_t bytes = 0;
    while (taken < waiting_.size() &&
           (taken == 0 || bytes + waiting_[taken].bytes.size() <= limits::mail_batch))
        bytes += waiting_[taken++].bytes.size();
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(taken);
    b.records.assign(std::move_iterator{waiting_.begin()}, std::move_iterator{end});
    waiting_.erase(waiting_.begin(), end);
    bytes_ -= bytes;
    if (waiting_.empty()) {
        b.missed = std::exchange(missed_, 0);
        b.ended = ended_;
    }
    return b;
}

void mail_tap::give_up(std::uint64_t messages) {
    const std::lock_guard lock{mutex_};
    missed_ += messages;
}

// ---------------------------------------------------------------- the actor's side

namespace {

/// The type under which it travels, by name where this node or the actor knows that.
void tell_type(control::mail_record& r, const cell* c, const envelope* e, const void* body) {
    const message_type* t = e->type;
    r.type_id = t->wire && t->wire->type ? t->wire->type(body) : t->id;
    if (r.type_id == t->id) return r.type.assign(t->name), void();
    if (r.type_id == value_type) return r.type.assign(type_of<value>->name), void();
    if (const protocol_info* knows = c->protocol.load(std::memory_order_relaxed))
        for (const message_type* one : knows->messages)
            if (one->id == r.type_id) return r.type.assign(one->name), void();
    char digits[18];
    std::snprintf(digits, sizeof digits, "#%016llx", static_cast<unsigned long long>(r.type_id));
    r.type = digits;
}

void tell_content(control::mail_record& r, const cell* c, const wire_functions& wire, const void* body) {
    net::router* net = c->sched->node->net;
    if (!net) return;
    r.size = wire.size(body);
    if (r.size == 0 || r.size > limits::mail_content) {
        r.content = control::mail_content::too_large;
        return;
    }
    net::wire_addresses context{net->id(), *net};
    r.bytes.resize(r.size);
    wire.write(body, r.bytes.data(), context);
    r.content = wire.is_native ? control::mail_content::capnp : control::mail_content::value;
}

control::mail_record record_of(const cell* c, const envelope* e, bool again) {
    control::mail_record r;
    r.at = nanoseconds{c->sched->now};
    r.sender = ref_of_sender(e);
    r.asked = e->flags & envelope::owes_reply;
    r.own = e->sender == c->self_id() && !(e->flags & envelope::from_afar);
    r.again = again;
    const void* body = reinterpret_cast<const std::byte*>(e) + e->type->offset;
    tell_type(r, c, e, body);
    if (e->type->wire) tell_content(r, c, *e->type->wire, body);
    return r;
}

}  // namespace

void tell_taken(cell* c, const envelope* e, bool again) noexcept {
    const auto& taps = c->ext->taps->all;
    try {
        control::mail_record r = record_of(c, e, again);
        // Two who follow each other would tell each other for ever that they are told.
        if (r.type_id == type_of<control::mail_batch>->id) return;
        for (const auto& tap : taps) tap->put(r);
    } catch (
        const std::exception&) {  // there is no memory for it: the message itself is handled all the same
        for (const auto& tap : taps) tap->miss();
    }
}

void follow_mail_of(cell* c, std::shared_ptr<mail_tap> tap) {
    cell_ext& x = ext_of(c);
    if (!x.taps) x.taps = std::make_shared<mail_taps>();
    x.taps->all.push_back(std::move(tap));
    c->attention |= cell::followed;
}

void unfollow_mail_of(cell* c, const mail_tap* tap) noexcept {
    if (!(c->attention & cell::followed)) return;
    auto& all = c->ext->taps->all;
    std::erase_if(all, [&](const auto& one) { return one.get() == tap; });
    if (!all.empty()) return;
    c->ext->taps = nullptr;
    c->attention &= static_cast<std::uint16_t>(~cell::followed);
}

}  // namespace detail
}  // namespace coppice
