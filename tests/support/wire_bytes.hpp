// For tests of wire forms: a message to its bytes and back as the router does it, and Cap'n Proto's own builder beside it.
//
// Bytes are kept in vectors of exactly their size, so that AddressSanitizer sees a read beyond them.
#pragma once
#include "coppice/capnp.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <capnp/any.h>
#include <capnp/message.h>

#include "coppice/value.hpp"
#include "coppice/wire.hpp"
#include "value.capnp.h"

namespace coppice::tests {

/// Knows one node, 9, whose actors are those of this process; and memory 9, of 64 KiB, in which byte n is n.
class one_node final : public detail::wire_context {
public:
    wire_reference out(const detail::address& a) override {
        ++asked;
        return {9, a.id(), a.incarnation()};
    }
    detail::address in(const wire_reference& r) override {
        ++asked;
        if (r.node != 9) return {};
        return r.incarnation ? detail::address{r.actor, r.incarnation} : detail::address{r.actor, nullptr};
    }
    bool borrow(const detail::wire_loan& loan, blob& out) override {
        static const blob memory = [] {
            blob_buffer room{64 * 1024};
            for (std::size_t n = 0; n < room.size(); ++n) room.data()[n] = static_cast<std::byte>(n);
            return std::move(room).freeze();
        }();
        if (loan.arena != 9 || loan.offset > memory.size() || loan.size > memory.size() - loan.offset)
            return false;
        out = memory.part(static_cast<std::size_t>(loan.offset), static_cast<std::size_t>(loan.size));
        return true;
    }
    int asked = 0;
};

using words = std::vector<std::uint64_t>;

inline std::span<const std::byte> bytes_of(std::span<const std::uint64_t> w) { return std::as_bytes(w); }

template <class M>
words encode(const M& m) {
    const detail::wire_functions* form = detail::wire_of<M>;
    one_node context;
    const std::size_t size = form->size(&m);
    // What is not written stays visible.
    words out(size / 8, 0xeeee'eeee'eeee'eeee);
    form->write(&m, reinterpret_cast<std::byte*>(out.data()), context);
    return out;
}

template <class M>
std::optional<M> decode(std::span<const std::byte> bytes, errc* code = nullptr) {
    one_node context;
    alignas(M) std::byte room[sizeof(M)];
    const errc outcome = detail::wire_of<M>->read(bytes, room, context);
    if (code) *code = outcome;
    if (outcome != errc::ok) return {};
    M* made = std::launder(reinterpret_cast<M*>(room));
    std::optional<M> m{std::move(*made)};
    made->~M();
    return m;
}
template <class M>
std::optional<M> decode(std::span<const std::uint64_t> w, errc* code = nullptr) {
    return decode<M>(bytes_of(w), code);
}

/// The number of bytes at which a cut message was accepted; nothing if it was refused at every cut.
template <class M>
std::optional<std::size_t> accepted_cut(std::span<const std::uint64_t> whole) {
    for (std::size_t cut = 0; cut < whole.size_bytes(); ++cut) {
        // operator new aligns to 16, so the fast path is taken where the cut is a multiple of 8.
        const std::vector<std::byte> part(bytes_of(whole).begin(),
                                          bytes_of(whole).begin() + static_cast<std::ptrdiff_t>(cut));
        errc code = errc::ok;
        if (decode<M>(part, &code) || code != errc::bad_message) return cut;
    }
    return {};
}

// ---- the same by Cap'n Proto's builder

/// A builder whose message stays in one segment.
class one_segment {
public:
    explicit one_segment(std::size_t most_words = 1 << 14) : builder_{static_cast<unsigned>(most_words)} {}
    capnp::MallocMessageBuilder& operator*() { return builder_; }
    capnp::MallocMessageBuilder* operator->() { return &builder_; }
    words take() {
        const auto segments = builder_.getSegmentsForOutput();
        if (segments.size() != 1) throw std::length_error{"the message did not fit one segment"};
        words out(segments[0].size());
        std::memcpy(out.data(), segments[0].begin(), out.size() * 8);
        return out;
    }

private:
    capnp::MallocMessageBuilder builder_;
};

/// Fills what `order` says: given n, the numbers below n in the order in which to fill.
template <class Order>
class value_builder {
public:
    explicit value_builder(Order order) : order_{std::move(order)} {}

    void fill(schema::Value::Builder to, const value& v) {
        switch (v.kind()) {
        case value_kind::nothing: return to.setVoid();
        case value_kind::boolean: return to.setBool(*v.get_if<bool>());
        case value_kind::integer: return to.setInt(*v.get_if<std::int64_t>());
        case value_kind::unsigned_integer: return to.setUint(*v.get_if<std::uint64_t>());
        case value_kind::real: return to.setFloat(*v.get_if<double>());
        case value_kind::text: {
            const auto& text = *v.get_if<std::string>();
            std::memcpy(to.initText(static_cast<unsigned>(text.size())).begin(), text.data(), text.size());
            return;
        }
        case value_kind::bytes: {
            const auto& bytes = *v.get_if<value::bytes>();
            return to.setData(kj::arrayPtr(reinterpret_cast<const kj::byte*>(bytes.data()), bytes.size()));
        }
        case value_kind::list: {
            const auto& list = *v.get_if<value::list>();
            return fill(to.initList(static_cast<unsigned>(list.size())), list);
        }
        case value_kind::record: return fill(to.initRecord(), *v.get_if<value::record>());
        case value_kind::map: {
            const auto& map = *v.get_if<value::map>();
            auto entries = to.initMap(static_cast<unsigned>(map.size()));
            for (const std::size_t i : order_(map.size())) {
                auto entry = entries[static_cast<unsigned>(i)];
                fill(entry.initKey(), map[i].key);
                fill(entry.initValue(), map[i].mapped);
            }
            return;
        }
        case value_kind::reference: {
            auto r = to.initReference();
            r.setNode(v.get_if<wire_reference>()->node);
            r.setActor(v.get_if<wire_reference>()->actor);
            r.setIncarnation(v.get_if<wire_reference>()->incarnation);
            return;
        }
        }
    }
    void fill(schema::Record::Builder to, const value::record& record) {
        if (!record.fields.empty())
            fill(to.initFields(static_cast<unsigned>(record.fields.size())), record.fields);
    }
    void fill(capnp::List<schema::Value>::Builder to, const std::vector<value>& values) {
        for (const std::size_t i : order_(values.size())) fill(to[static_cast<unsigned>(i)], values[i]);
    }

private:
    Order order_;
};

inline std::vector<std::size_t> first_to_last(std::size_t count) {
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    return order;
}

template <class Order>
words build(const value& v, Order order) {
    one_segment message;
    value_builder builder{order};
    if (const auto* record = v.get_if<value::record>())
        builder.fill(message->initRoot<schema::Record>(), *record);
    else builder.fill(message->initRoot<schema::Value>(), v);
    return message.take();
}
inline words build(const value& v) { return build(v, first_to_last); }

}  // namespace coppice::tests
