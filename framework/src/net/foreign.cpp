// Foreign messages: how they are kept, and how they become what an actor asks for; see foreign.hpp.
// Reading bytes happens on home, where nodes are met; everything else on the thread of the actor that has the message.
#include "net/foreign.hpp"

#include <cstdio>
#include <cstring>
#include <new>

#include "coppice/received.hpp"
#include "coppice/value.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice {

namespace detail {

namespace {

// Asks `context` for every reference: the router then knows the nodes that they name, and mail can be sent there whenever
// the message is read.
void tell_references(const value& v, wire_context& context) {
    if (const auto* r = v.get_if<wire_reference>()) {
        if (r->actor != 0) static_cast<void>(context.in(*r));
    } else if (const auto* list = v.get_if<value::list>()) {
        for (const value& each : *list) tell_references(each, context);
    } else if (const auto* record = v.get_if<value::record>()) {
        for (const value& each : record->fields) tell_references(each, context);
    } else if (const auto* map = v.get_if<value::map>()) {
        for (const auto& [key, mapped] : *map) {
            tell_references(key, context);
            tell_references(mapped, context);
        }
    }
}

const foreign_message& foreign(const void* body) noexcept {
    return *static_cast<const foreign_message*>(body);
}

errc read_bytes(std::span<const std::byte> in, void* where, wire_context& context) {
    if (in.empty() || in.size() % 8 != 0 || in.size() / 8 > limits::wire_words) return errc::bad_message;
    std::vector<std::uint64_t> words(in.size() / 8);
    std::memcpy(words.data(), in.data(), in.size());
    // A struct that Cap'n Proto generated is no value, and holds no references.
    if (const auto contents = value::decode(in)) tell_references(*contents, context);
    ::new (where) foreign_message{std::move(words), 0, {}};
    return errc::ok;
}

// On any thread of a node, after its router has met all the nodes that the references name.
class met_nodes final : public wire_context {
public:
    wire_reference out(const address&) override { return {}; }
    address in(const wire_reference& r) override {
        const scheduler* here = scheduler::current();
        if (r.node == 0 || r.actor == 0 || !here || !here->node->net) return {};
        if (r.node == here->node->net->id())
            return r.incarnation ? address{r.actor, r.incarnation} : address{r.actor, nullptr};
        return address::on_node(net::node_table::index_of(r.node), r.actor, r.incarnation);
    }
};

}  // namespace

const wire_functions foreign_functions{
    [](const void* body) { return foreign(body).words.size() * 8; },
    [](const void* body, std::byte* out, wire_context&) {
        std::memcpy(out, foreign(body).words.data(), foreign(body).words.size() * 8);
    },
    &read_bytes, [](const void* body) noexcept { return foreign(body).type; },
    [](void* body, std::uint64_t type) noexcept {
        auto& f = *static_cast<foreign_message*>(body);
        f.type = type;
        f.name[0] = '#';
        for (std::size_t i = 16; i > 0; --i, type >>= 4) f.name[i] = "0123456789abcdef"[type & 15];
    }};

bool stands_for(const envelope* e, const message_type* t) noexcept {
    if (!t->wire) return false;
    if (t->id == any_request_type) return e->type->id == foreign_type && e->flags & envelope::owes_reply;
    if (e->type->id == foreign_type) return t->id == value_type || body<foreign_message>(e).type == t->id;
    return e->type->id == value_type && t->id != value_type && type_of_value(&body<value>(e)) == t->id;
}

envelope* read_foreign(envelope* e, const message_type* t) {
    const bool asked = e->flags & envelope::owes_reply;
    if (asked && !t->is_request && t->id != value_type) return nullptr;
    std::vector<std::byte> encoded;
    std::span<const std::byte> bytes;
    std::uint64_t type = t->id;
    if (e->type->id == foreign_type) {
        bytes = std::as_bytes(std::span{body<foreign_message>(e).words});
        type = body<foreign_message>(e).type;
    } else {
        encoded = body<value>(e).encode();
        bytes = encoded;
    }
    const std::size_t blocks = (t->offset + t->size + sizeof(origin) + 63) / 64;
    struct room {
        std::size_t bytes;
        void* block = pool_alloc(bytes);
        ~room() {
            if (block) pool_free(block, bytes);
        }
    } room{blocks * 64};
    met_nodes context;
    void* made = static_cast<std::byte*>(room.block) + t->offset;
    if (t->wire->read(bytes, made, context) != errc::ok) return nullptr;
    if (t->wire->set_type) t->wire->set_type(made, type);
    auto* read = ::new (std::exchange(room.block, nullptr)) envelope{*e};
    read->type = t;
    read->blocks = static_cast<std::uint16_t>(blocks);
    read->flags &= static_cast<std::uint8_t>(~envelope::needs_destroy);
    if (t->destroy) read->flags |= envelope::needs_destroy;
    if (t->is_request) deadline_of(read).deadline = e->type->is_request ? deadline_of(e).deadline : INT64_MAX;
    else read->flags &= static_cast<std::uint8_t>(~envelope::is_ask);
    if (e->flags & envelope::from_afar) origin_of(read) = origin_of(e);
    e->flags &= static_cast<std::uint8_t>(~envelope::owes_reply);  // the new one owes it
    release(e);
    return read;
}

void unreadable(envelope* e) noexcept {
    if (scheduler* here = scheduler::current()) here->undeliverable(e, errc::bad_message);
    else send_failure(e, errc::bad_message);
}

std::string_view foreign_name(const envelope* e) noexcept {
    const auto& name = body<foreign_message>(e).name;
    return {name.data(), std::strlen(name.data())};
}

}  // namespace detail

namespace net {

const detail::message_type* type_for_unknown(const detail::protocol_info& takes, std::uint64_t type,
                                             bool asked) noexcept {
    if (takes.any && !asked && type == detail::value_type) return detail::type_of<value>;
    if (takes.any) return detail::type_of<detail::foreign_message>;
    const detail::message_type* best = nullptr;
    for (const detail::message_type* m : takes.messages)
        if (asked ? m->id == detail::any_request_type : m->id == detail::value_type) best = m;
    return best;
}

}  // namespace net
}  // namespace coppice
