// coppice::value: its members, its wire form in the order that wire_reader takes, and its print for logs.
// No Cap'n Proto here; bytes in another order are generic.cpp's affair. No state, any thread.
#include "coppice/value.hpp"

#include <bit>

#include <fmt/format.h>

#include "wire/generic.hpp"

namespace coppice {

value::value() noexcept = default;
value::value(std::int64_t n, int) noexcept : held_{n} {}
value::value(std::uint64_t n, int) noexcept : held_{n} {}
value::value(double n) noexcept : held_{n} {}
value::value(std::string text) noexcept : held_{std::move(text)} {}
value::value(std::string_view text) : held_{std::string{text}} {}
value::value(const char* text) : held_{std::string{text}} {}
value::value(bytes b) noexcept : held_{std::move(b)} {}
value::value(list l) noexcept : held_{std::move(l)} {}
value::value(record r) noexcept : held_{std::move(r)} {}
value::value(map m) noexcept : held_{std::move(m)} {}
value::value(wire_reference r) noexcept : held_{r} {}
value::value(const value& other) = default;
value::value(value&& other) noexcept = default;
value& value::operator=(const value& other) = default;
value& value::operator=(value&& other) noexcept = default;
value::~value() = default;

bool operator==(const value& a, const value& b) { return a.held_ == b.held_; }

std::uint64_t type_id(std::string_view message_name) noexcept { return detail::hash_of(message_name); }

std::uint64_t value::number_bits() const noexcept {
    if (const auto* n = get_if<std::int64_t>()) return static_cast<std::uint64_t>(*n);
    if (const auto* n = get_if<std::uint64_t>()) return *n;
    if (const auto* n = get_if<double>()) return std::bit_cast<std::uint64_t>(*n);
    return 0;
}

namespace {

// A value holds the references of the wire as they are: nothing to ask.
class no_context final : public detail::wire_context {
public:
    wire_reference out(const detail::address&) override { return {}; }
    detail::address in(const wire_reference&) override { return {}; }
};

}  // namespace

std::vector<std::byte> value::encode() const {
    no_context context;
    std::vector<std::byte> bytes(detail::wire_message<value>::size(this));
    if (!bytes.empty()) detail::wire_message<value>::write(this, bytes.data(), context);
    return bytes;
}

result<value> value::decode(std::span<const std::byte> bytes) {
    no_context context;
    union room {
        room() noexcept {}
        ~room() {}
        value made;
    } where;
    if (const errc code = detail::wire_message<value>::read(bytes, &where.made, context); code != errc::ok)
        return code;
    result<value> read{std::move(where.made)};
    where.made.~value();
    return read;
}

// ---------------------------------------------------------------- the wire form

namespace detail {

namespace {

std::size_t words_of_values(const std::vector<value>& values, int depth) {
    if (values.empty()) return 1;
    std::size_t words = 1 + value_words * values.size();
    for (const value& v : values) words += words_of_value(v, depth);
    return words;
}
std::size_t words_of_record(const value::record& record, int depth) {
    if (depth > limits::wire_nesting) return words_too_many;
    return record.fields.empty() ? 0 : words_of_values(record.fields, depth);
}

void put_values(std::uint64_t* at, const std::vector<value>& values, wire_writer& w) {
    std::uint64_t* slot = w.add_structs(at, value_struct, values.size(), value_words);
    for (const value& v : values) {
        put_value(slot, v, w);
        slot += value_words;
    }
}
void put_record(std::uint64_t* at, const value::record& record, wire_writer& w) {
    if (record.fields.empty()) *at = 0;
    else put_values(at, record.fields, w);
}

bool get_values(const std::uint64_t* at, std::vector<value>& values, wire_reader& r) {
    const std::uint64_t* slot = nullptr;
    std::size_t count = 0;
    if (!r.enter() || !r.get_structs(at, value_struct, value_words, slot, count)) return false;
    values.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        if (!get_value(slot + i * value_words, values.emplace_back(), r)) return false;
    r.leave();
    return true;
}

bool get_entries(const std::uint64_t* at, value::map& map, wire_reader& r) {
    const std::uint64_t* entry = nullptr;
    std::size_t count = 0;
    if (!r.enter() || !r.get_structs(at, entry_struct, 2, entry, count)) return false;
    map.reserve(count);
    for (std::size_t i = 0; i < count; ++i, entry += 2) {
        value::entry& e = map.emplace_back();
        const std::uint64_t* slot = r.get_struct(entry, value_struct, value_words);
        if (!slot || !get_value(slot, e.key, r)) return false;
        slot = r.get_struct(entry + 1, value_struct, value_words);
        if (!slot || !get_value(slot, e.mapped, r)) return false;
    }
    r.leave();
    return true;
}

template <class T>
bool get_words(const std::uint64_t* slot, value& v, wire_reader& r) {
    std::uint64_t count = 0;
    const std::uint64_t* from = slot;
    if (slot[2] != 0 && !(from = r.get_list(slot + 2, list_of_words, count))) return false;
    value::list list;
    list.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) list.emplace_back(std::bit_cast<T>(from[i]));
    v = std::move(list);
    return true;
}

}  // namespace

namespace {
constexpr std::uint64_t untyped = hash_of(declared_name<value>());
}

std::uint64_t type_of_value(const void* v) noexcept {
    const auto* record = static_cast<const value*>(v)->get_if<value::record>();
    return record && record->type != 0 ? record->type : untyped;
}
void set_type_of_value(void* v, std::uint64_t type) noexcept {
    if (auto* record = static_cast<value*>(v)->get_if<value::record>(); record && type != untyped)
        record->type = type;
}

std::size_t words_of_value(const value& v, int depth) {
    switch (v.kind()) {
    case value_kind::text: return text_words(v.get_if<std::string>()->size());
    case value_kind::bytes: return bytes_words(v.get_if<value::bytes>()->size());
    case value_kind::list:
        if (++depth > limits::wire_nesting) return words_too_many;
        return words_of_values(*v.get_if<value::list>(), depth);
    case value_kind::record: return 1 + words_of_record(*v.get_if<value::record>(), depth + 1);
    case value_kind::map: {
        if (++depth > limits::wire_nesting) return words_too_many;
        const auto& map = *v.get_if<value::map>();
        std::size_t words = 1 + (2 + 2 * value_words) * map.size();
        for (const auto& [key, mapped] : map)
            words += words_of_value(key, depth) + words_of_value(mapped, depth);
        return words;
    }
    case value_kind::reference: return 4;
    default: return 0;
    }
}

void put_value(std::uint64_t* slot, const value& v, wire_writer& w) {
    switch (v.kind()) {
    case value_kind::nothing: return put_slot(slot, wire_kind::nothing);
    case value_kind::boolean: return put_bool(slot, *v.get_if<bool>());
    case value_kind::integer: return put(slot, *v.get_if<std::int64_t>(), w);
    case value_kind::unsigned_integer: return put(slot, *v.get_if<std::uint64_t>(), w);
    case value_kind::real: return put(slot, *v.get_if<double>(), w);
    case value_kind::text: return put_text(slot, *v.get_if<std::string>(), w);
    case value_kind::bytes: {
        const auto& bytes = *v.get_if<value::bytes>();
        return put_bytes(slot, bytes.data(), bytes.size(), w);
    }
    case value_kind::list:
        put_slot(slot, wire_kind::list);
        return put_values(slot + 2, *v.get_if<value::list>(), w);
    case value_kind::record:
        put_slot(slot, wire_kind::record);
        return put_record(w.add_struct(slot + 2, record_struct, 1), *v.get_if<value::record>(), w);
    case value_kind::map: {
        const auto& map = *v.get_if<value::map>();
        put_slot(slot, wire_kind::map);
        std::uint64_t* to = w.add_structs(slot + 2, entry_struct, map.size(), 2);
        for (const auto& [key, mapped] : map) {
            put_value(w.add_struct(to++, value_struct, value_words), key, w);
            put_value(w.add_struct(to++, value_struct, value_words), mapped, w);
        }
        return;
    }
    case value_kind::reference: return put_reference(slot, *v.get_if<wire_reference>(), w);
    }
}

bool get_value(const std::uint64_t* slot, value& v, wire_reader& r) {
    switch (kind_of(slot)) {
    case wire_kind::nothing: v = value{}; return true;
    case wire_kind::boolean: v = (slot[0] >> 16 & 1) != 0; return true;
    case wire_kind::integer: v = static_cast<std::int64_t>(slot[1]); return true;
    case wire_kind::unsigned_integer: v = slot[1]; return true;
    case wire_kind::real: v = std::bit_cast<double>(slot[1]); return true;
    case wire_kind::text: {
        std::string_view text;
        if (!get_text(slot, text, r)) return false;
        v = text;
        return true;
    }
    case wire_kind::loan:
    case wire_kind::bytes: {
        const std::byte* from = nullptr;
        std::size_t size = 0;
        blob lent;
        if (!get_data(slot, from, size, lent, r)) return false;
        v = value::bytes(from, from + size);
        return true;
    }
    case wire_kind::list: {
        value::list list;
        if (!get_values(slot + 2, list, r)) return false;
        v = std::move(list);
        return true;
    }
    case wire_kind::record: {
        value::record record;
        if (slot[2] != 0) {
            const std::uint64_t* from = r.get_struct(slot + 2, record_struct, 1);
            if (!from || !get_values(from, record.fields, r)) return false;
        }
        v = std::move(record);
        return true;
    }
    case wire_kind::map: {
        value::map map;
        if (!get_entries(slot + 2, map, r)) return false;
        v = std::move(map);
        return true;
    }
    case wire_kind::reference: {
        wire_reference reference;
        if (!get_reference(slot, reference, r)) return false;
        v = reference;
        return true;
    }
    case wire_kind::integers: return get_words<std::int64_t>(slot, v, r);
    case wire_kind::unsigned_integers: return get_words<std::uint64_t>(slot, v, r);
    case wire_kind::reals: return get_words<double>(slot, v, r);
    }
    v = value{};  // a kind of a later release
    return true;
}

std::size_t words_of_message(const value& v) {
    if (const auto* record = v.get_if<value::record>()) return 2 + words_of_record(*record, 1);
    return 1 + value_words + words_of_value(v, 0);
}

void put_message(std::uint64_t* out, const value& v, wire_context& context) {
    wire_writer w{out + 1, &context};
    if (const auto* record = v.get_if<value::record>())
        put_record(w.add_struct(out, record_struct, 1), *record, w);
    else put_value(w.add_struct(out, value_struct, value_words), v, w);
}

bool get_message(std::span<const std::uint64_t> words, value& v, wire_context& context) {
    const std::uint64_t* root = words.data();
    wire_reader r{root + 1, root + words.size(), &context};
    if (const std::uint64_t* record = r.get_struct(root, record_struct, 1)) {
        value::record fields;
        if (!get_values(record, fields.fields, r)) return false;
        v = std::move(fields);
        return true;
    }
    const std::uint64_t* slot = r.get_struct(root, value_struct, value_words);
    return slot && get_value(slot, v, r);
}

}  // namespace detail

// ---------------------------------------------------------------- for people

namespace {

class printer {
public:
    explicit printer(std::size_t most) : most_{most} {}

    void print(const value& v, int depth = 0) {
        if (full()) return;
        // Values that were built here may be deeper than any message, and printing must not end a process.
        if (depth > limits::wire_nesting) return add("...");
        switch (v.kind()) {
        case value_kind::nothing: return add("nothing");
        case value_kind::boolean: return add(*v.get_if<bool>() ? "true" : "false");
        case value_kind::integer: return add(fmt::format("{}", *v.get_if<std::int64_t>()));
        case value_kind::unsigned_integer: return add(fmt::format("{}", *v.get_if<std::uint64_t>()));
        case value_kind::real: return add(fmt::format("{}", *v.get_if<double>()));
        case value_kind::text: return quote(*v.get_if<std::string>());
        case value_kind::bytes: return hex(*v.get_if<value::bytes>());
        case value_kind::list: return sequence('[', *v.get_if<value::list>(), ']', depth);
        case value_kind::record: return sequence('(', v.get_if<value::record>()->fields, ')', depth);
        case value_kind::map: return entries(*v.get_if<value::map>(), depth);
        case value_kind::reference: {
            const auto& r = *v.get_if<wire_reference>();
            add(fmt::format("@{:x}.{:x}", r.node, r.actor));
            if (r.incarnation != 0) add(fmt::format(".{}", r.incarnation));
            return;
        }
        }
    }
    std::string take() {
        if (full()) {
            std::size_t end = most_;
            // Not in the middle of a character of UTF-8.
            while (end > 0 && (static_cast<unsigned char>(text_[end]) & 0xc0) == 0x80) --end;
            text_.resize(end);
            text_ += "...";
        }
        return std::move(text_);
    }

private:
    [[nodiscard]] bool full() const { return text_.size() > most_; }
    void add(std::string_view more) { text_ += more; }

    void quote(std::string_view text) {
        text_ += '"';
        for (const char c : text) {
            if (full()) return;
            if (c == '"' || c == '\\') text_ += '\\', text_ += c;
            else if (c == '\n') text_ += "\\n";
            else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
                text_ += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
            else text_ += c;
        }
        text_ += '"';
    }
    void hex(const value::bytes& bytes) {
        text_ += "x'";
        for (const std::byte b : bytes) {
            if (full()) return;
            text_ += fmt::format("{:02x}", static_cast<unsigned>(b));
        }
        text_ += '\'';
    }
    void sequence(char open, const std::vector<value>& values, char close, int depth) {
        text_ += open;
        bool first = true;
        for (const value& v : values) {
            if (full()) return;
            if (!first) text_ += ", ";
            first = false;
            print(v, depth + 1);
        }
        text_ += close;
    }
    void entries(const value::map& map, int depth) {
        text_ += '{';
        bool first = true;
        for (const auto& [key, mapped] : map) {
            if (full()) return;
            if (!first) text_ += ", ";
            first = false;
            print(key, depth + 1);
            text_ += ": ";
            print(mapped, depth + 1);
        }
        text_ += '}';
    }

    std::string text_;
    std::size_t most_;
};

}  // namespace

std::string to_string(const value& v, std::size_t most) {
    printer p{most};
    p.print(v);
    return p.take();
}

}  // namespace coppice
