// The values of coppice.h: made, put together, and read; see values.hpp for who may touch what.
#include "values.hpp"

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "coppice/options.hpp"
#include "resources.hpp"

namespace coppice::c {

namespace {

constexpr std::uint64_t tagged_type = detail::hash_of(message_name<tagged>);

// The two fields of a tagged value; null if it is none. Within another value its type is not said.
const value::record* as_tagged(const value& v) noexcept {
    const auto* r = v.get_if<value::record>();
    if (!r || r->fields.size() != 2 || (r->type != tagged_type && r->type != 0)) return nullptr;
    return r->fields[0].as<std::uint64_t>() && r->fields[1].get_if<value::bytes>() ? r : nullptr;
}

int depth_of(const value& v) noexcept {
    int most = 0;
    if (const auto* list = v.get_if<value::list>())
        for (const value& one : *list) most = std::max(most, depth_of(one));
    else if (const auto* record = v.get_if<value::record>())
        for (const value& one : record->fields) most = std::max(most, depth_of(one));
    else if (const auto* map = v.get_if<value::map>())
        for (const auto& [key, mapped] : *map) most = std::max({most, depth_of(key), depth_of(mapped)});
    else return 0;
    return most + 1;
}

const char* kind_name(const value& v) noexcept {
    constexpr const char* names[] = {"nothing",       "a boolean", "an integer", "an unsigned integer",
                                     "a real number", "a text",    "bytes",      "a list",
                                     "a record",      "a map",     "a ref",      "tagged"};
    return names[kind_of(v)];
}

[[noreturn]] void wrong_kind(const value& v, const char* wanted) {
    refuse(errc::wrong_protocol, std::string{"the value is "} + kind_name(v) + ", not " + wanted);
}

template <class T>
const T& held(const value& v, const char* wanted) {
    const T* one = v.get_if<T>();
    if (!one) wrong_kind(v, wanted);
    return *one;
}

template <class T>
T number(const value& v, const char* wanted) {
    const bool is_number = v.kind() == value_kind::integer || v.kind() == value_kind::unsigned_integer ||
                           v.kind() == value_kind::real;
    if (!is_number) wrong_kind(v, wanted);
    const auto n = v.as<T>();
    if (!n) refuse(errc::wrong_protocol, to_string(v) + " does not fit into " + wanted);
    return *n;
}

// Gives the handle of a part to the value that it becomes a part of: closed, whatever happens then.
struct taken_part {
    pin<value_resource> from;
    explicit taken_part(coppice_value h, const char* argument) : from{use<value_resource>(h, argument)} {}
    taken_part(taken_part&&) noexcept = default;
    ~taken_part() {
        if (from) give_back(from);
    }
    // Of what nobody else has the content is moved.
    value take(int& depth) {
        whole_value* root = from->root();
        if (root && !root->frozen.load(std::memory_order_acquire)) {
            const std::lock_guard lock{root->mutex};
            depth = root->depth;
            return std::move(root->root);
        }
        return from->read([&](const value& v) {
            depth = depth_of(v);
            return v;
        });
    }
};

void check_depth(int depth) {
    if (depth > limits::wire_nesting)
        refuse(errc::too_large, "lists, records and maps within one another are limited to " +
                                    std::to_string(limits::wire_nesting) + ": flatten what you send");
}

// The whole under its lock; refuses a part, and what is frozen.
class building {
public:
    explicit building(const pin<value_resource>& of) : whole_{of->root()} {
        if (whole_) lock_ = std::unique_lock{whole_->mutex};
        if (!whole_ || whole_->frozen.load(std::memory_order_relaxed))
            refuse(errc::invalid_argument, "nothing can be added to a value that was received, is a part of "
                                           "another one, or whose parts were "
                                           "looked at: build a new one");
    }
    value& root() noexcept { return whole_->root; }
    void grow(int part_depth) {
        check_depth(part_depth + 1);
        whole_->depth = std::max(whole_->depth, part_depth + 1);
    }

private:
    whole_value* whole_;
    std::unique_lock<std::mutex> lock_;
};

template <class F>
int made(const char* function, coppice_value* out, F make) {
    return call(function, 0, [&] {
        need(out, "out");
        *out = 0;
        *out = handle_of(make());
        return error{};
    });
}

template <class F>
int looked_at(const char* function, coppice_handle v, const void* out, F look) {
    return call(function, v, [&] {
        need(out, "out");
        read_value(v, "v", [&](const value& one) { look(one); });
        return error{};
    });
}

// What has parts with handles of their own does not change any more.
struct frozen_value {
    std::shared_ptr<const void> holder;
    whole_value* whole;
};
frozen_value freeze(coppice_value v) {
    if (handle_table::is_kind(v, kind::mail)) return {use<mail_resource>(v, "v").share(), nullptr};
    const auto from = use<value_resource>(v, "v");
    from->freeze();
    return {value_resource::holder(from), from->whole()};
}

int part_of(const char* function, coppice_handle v, std::size_t index, coppice_value* out, bool key) {
    return call(function, v, [&] {
        need(out, "out");
        *out = 0;
        auto frozen = freeze(v);
        const value* part = read_value(v, "v", [&](const value& one) -> const value* {
            const auto at = [&](const auto& all, auto get) {
                if (index >= all.size())
                    refuse(errc::not_found, "there is no element " + std::to_string(index) + ", only " +
                                                std::to_string(all.size()) + " from 0 on");
                return get(all[index]);
            };
            const auto itself = [](const value& each) { return &each; };
            if (const auto* map = one.get_if<value::map>())
                return at(*map, [&](const value::entry& e) { return key ? &e.key : &e.mapped; });
            if (key) wrong_kind(one, "a map");
            if (const auto* list = one.get_if<value::list>()) return at(*list, itself);
            if (const auto* record = one.get_if<value::record>()) return at(record->fields, itself);
            wrong_kind(one, "a list, a record or a map");
        });
        *out = handle_table::add(
            kind::value, std::make_shared<value_resource>(std::move(frozen.holder), frozen.whole, part));
        return error{};
    });
}

}  // namespace

coppice_value handle_of(value v, bool frozen) {
    const int depth = frozen ? 0 : depth_of(v);
    auto built = std::allocate_shared<built_value>(detail::pool_allocator<built_value>{}, std::move(v));
    built->whole()->depth = depth;
    built->whole()->frozen.store(frozen, std::memory_order_relaxed);
    return handle_table::add(kind::value, std::move(built));
}

value value_of(coppice_handle v, const char* argument) {
    return read_value(v, argument, [](const value& one) { return one; });
}

int kind_of(const value& v) noexcept {
    if (const auto* r = v.get_if<value::record>(); r && r->type == tagged_type && as_tagged(v))
        return COPPICE_TAGGED;
    return static_cast<int>(v.kind());
}

value tagged_value(std::uint64_t tag, std::string_view bytes) {
    const auto content = std::as_bytes(std::span{bytes.data(), bytes.size()});
    return value::record{{tag, value::bytes(content.begin(), content.end())}, tagged_type};
}

void check_size(std::size_t bytes, const char* argument) {
    if (bytes > limits::wire_message)
        refuse(errc::too_large, std::string{"`"} + argument + "` has " + std::to_string(bytes) +
                                    " bytes, of at most " + std::to_string(limits::wire_message) +
                                    ": send it in pieces");
}

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;
using coppice::value;

int coppice_new_nothing(coppice_value* out) {
    return made("coppice_new_nothing", out, [] { return value{}; });
}
int coppice_new_bool(int b, coppice_value* out) {
    return made("coppice_new_bool", out, [&] { return value{b != 0}; });
}
int coppice_new_int64(int64_t n, coppice_value* out) {
    return made("coppice_new_int64", out, [&] { return value{n}; });
}
int coppice_new_uint64(uint64_t n, coppice_value* out) {
    return made("coppice_new_uint64", out, [&] { return value{n}; });
}
int coppice_new_double(double x, coppice_value* out) {
    return made("coppice_new_double", out, [&] { return value{x}; });
}
int coppice_new_text(const char* text, size_t size, coppice_value* out) {
    return made("coppice_new_text", out, [&] {
        const auto all = text_of(text, size, "text");
        check_size(all.size(), "text");
        return value{all};
    });
}
int coppice_new_bytes(const void* bytes, size_t size, coppice_value* out) {
    return made("coppice_new_bytes", out, [&] {
        check_size(size, "bytes");
        const auto all = bytes_of(bytes, size, "bytes");
        const auto content = std::as_bytes(std::span{all.data(), all.size()});
        return value{value::bytes(content.begin(), content.end())};
    });
}
int coppice_new_tagged(uint64_t tag, const void* bytes, size_t size, coppice_value* out) {
    return made("coppice_new_tagged", out, [&] {
        check_size(size, "bytes");
        return tagged_value(tag, bytes_of(bytes, size, "bytes"));
    });
}
int coppice_new_ref(coppice_ref ref, coppice_value* out) {
    return made("coppice_new_ref", out, [&] { return value{use<ref_resource>(ref, "ref")->reference()}; });
}
int coppice_new_list(coppice_value* out) {
    return made("coppice_new_list", out, [] { return value{value::list{}}; });
}
int coppice_new_map(coppice_value* out) {
    return made("coppice_new_map", out, [] { return value{value::map{}}; });
}
int coppice_new_record(const char* type_name, coppice_value* out) {
    return made("coppice_new_record", out, [&] {
        value::record r;
        if (type_name) r.type = coppice::type_id(name_of(type_name, "type_name"));
        return value{std::move(r)};
    });
}

int coppice_new_record_of(uint64_t type, coppice_value* out) {
    return made("coppice_new_record_of", out, [&] { return value{value::record{{}, type}}; });
}

int coppice_add(coppice_value list, coppice_value part) {
    return call("coppice_add", list, [&] {
        taken_part one{part, "part"};
        if (list == part) refuse(errc::invalid_argument, "`part` is the value that it is added to");
        const auto to = use<value_resource>(list, "list");
        int depth = 0;
        value v = one.take(depth);
        building whole{to};
        auto* all = whole.root().get_if<value::list>();
        if (auto* record = whole.root().get_if<value::record>()) all = &record->fields;
        if (!all) wrong_kind(whole.root(), "a list or a record");
        whole.grow(depth);
        all->push_back(std::move(v));
        return error{};
    });
}
int coppice_put(coppice_value map, coppice_value key, coppice_value mapped) {
    return call("coppice_put", map, [&] {
        std::optional<taken_part> first;
        std::optional<taken_part> second;
        std::optional<refused> wrong;
        const auto take = [&](std::optional<taken_part>& into, coppice_value h, const char* argument) {
            try {
                into.emplace(h, argument);
            } catch (const refused& why) {
                if (!wrong) wrong = why;  // the other one is taken all the same
            }
        };
        take(first, key, "key");
        take(second, mapped, "mapped");
        if (wrong) throw *wrong;
        if (map == key || map == mapped || key == mapped)
            refuse(errc::invalid_argument, "`map`, `key` and `mapped` are not three values");
        const auto to = use<value_resource>(map, "map");
        int depth = 0;
        int mapped_depth = 0;
        value k = first->take(depth);
        value m = second->take(mapped_depth);
        building whole{to};
        auto* all = whole.root().get_if<value::map>();
        if (!all) wrong_kind(whole.root(), "a map");
        whole.grow(std::max(depth, mapped_depth));
        all->push_back({std::move(k), std::move(m)});
        return error{};
    });
}

int coppice_value_kind_of(coppice_value v, int* out) {
    return looked_at("coppice_value_kind_of", v, out, [&](const value& one) { *out = kind_of(one); });
}
int coppice_get_bool(coppice_value v, int* out) {
    return looked_at("coppice_get_bool", v, out,
                     [&](const value& one) { *out = held<bool>(one, "a boolean") ? 1 : 0; });
}
int coppice_get_int64(coppice_value v, int64_t* out) {
    return looked_at("coppice_get_int64", v, out,
                     [&](const value& one) { *out = number<std::int64_t>(one, "an integer of 64 bits"); });
}
int coppice_get_uint64(coppice_value v, uint64_t* out) {
    return looked_at("coppice_get_uint64", v, out, [&](const value& one) {
        *out = number<std::uint64_t>(one, "an unsigned integer of 64 bits");
    });
}
int coppice_get_double(coppice_value v, double* out) {
    return looked_at("coppice_get_double", v, out,
                     [&](const value& one) { *out = number<double>(one, "a real number"); });
}
int coppice_get_text(coppice_value v, const char** text, size_t* size) {
    return looked_at("coppice_get_text", v, text, [&](const value& one) {
        const auto& held_text = held<std::string>(one, "a text");
        *text = held_text.c_str();
        if (size) *size = held_text.size();
    });
}
int coppice_get_bytes(coppice_value v, const void** bytes, size_t* size) {
    return looked_at("coppice_get_bytes", v, bytes, [&](const value& one) {
        need(size, "size");
        const auto& content = held<value::bytes>(one, "bytes");
        *bytes = content.data();
        *size = content.size();
    });
}
int coppice_get_tagged(coppice_value v, uint64_t* tag, const void** bytes, size_t* size) {
    return looked_at("coppice_get_tagged", v, tag, [&](const value& one) {
        need(bytes, "bytes");
        need(size, "size");
        const auto* r = as_tagged(one);
        if (!r) wrong_kind(one, "tagged");
        *tag = *r->fields[0].as<std::uint64_t>();
        const auto* content = r->fields[1].get_if<value::bytes>();
        *bytes = content->data();
        *size = content->size();
    });
}
int coppice_get_ref(coppice_value v, coppice_ref* out) {
    return looked_at("coppice_get_ref", v, out, [&](const value& one) {
        *out = 0;
        *out = handle_of(std::make_shared<ref_resource>(held<coppice::wire_reference>(one, "a ref")));
    });
}
int coppice_value_size(coppice_value v, size_t* out) {
    return looked_at("coppice_value_size", v, out, [&](const value& one) {
        if (const auto* list = one.get_if<value::list>()) *out = list->size();
        else if (const auto* record = one.get_if<value::record>()) *out = record->fields.size();
        else if (const auto* map = one.get_if<value::map>()) *out = map->size();
        else wrong_kind(one, "a list, a record or a map");
    });
}
int coppice_value_at(coppice_value v, size_t index, coppice_value* out) {
    return part_of("coppice_value_at", v, index, out, false);
}
int coppice_value_key(coppice_value map, size_t index, coppice_value* out) {
    return part_of("coppice_value_key", map, index, out, true);
}
int coppice_value_type(coppice_value v, uint64_t* out) {
    return looked_at("coppice_value_type", v, out,
                     [&](const value& one) { *out = held<value::record>(one, "a record").type; });
}
uint64_t coppice_type_id(const char* type_name) {
    if (!type_name) return 0;
    return coppice::type_id(type_name);
}
int coppice_value_text(coppice_value v, char* text, size_t room) {
    return call("coppice_value_text", v, [&] {
        copy_text(read_value(v, "v", [&](const value& one) { return to_string(one, room); }), text, room);
        return error{};
    });
}
