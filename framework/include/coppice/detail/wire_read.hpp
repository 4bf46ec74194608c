// Any type from words, which a peer made up: each layer takes only what its shape can be, and false says that
// it was something else. Objects come in the order in which they were written; coppice/wire.hpp has the way
// round for all others. Templates without state; what is read must not change meanwhile.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include "coppice/blob.hpp"
#include "coppice/detail/wire_parts.hpp"
#include "coppice/detail/wire_types.hpp"
#include "coppice/detail/wire_words.hpp"
#include "coppice/wire_reference.hpp"

namespace coppice::detail {

// Of coppice::value; defined in src/wire/value.cpp.
[[nodiscard]] bool get_value(const std::uint64_t* slot, value& v, wire_reader& r);

/// Fills a value that was made by its default constructor.
template <class T>
[[nodiscard]] bool get(const std::uint64_t* slot, T& v, wire_reader& r);

template <class T>
bool get_fields(const std::uint64_t* at, T& v, wire_reader& r) {
    const std::uint64_t* slot = nullptr;
    std::size_t count = 0;
    if (!r.enter() || !r.get_structs(at, value_struct, value_words, slot, count)) return false;
    const bool all = with_elements(v, [&](auto&... f) {
        std::size_t i = 0;
        // Fields that are missing keep what the default constructor gave them.
        return ((i == count || (++i, slot += value_words, get(slot - value_words, f, r))) && ...);
    });
    r.leave();
    return all;
}

/// A list of numbers, in words or in slots: take.begin(count), then take(number) for each; or take.copy(words,
/// count).
template <class Element, class Take>
[[nodiscard]] bool get_numbers(const std::uint64_t* slot, std::size_t& count, wire_reader& r, Take&& take) {
    const wire_kind kind = kind_of(slot);
    if (kind == wire_kind::list) {
        const std::uint64_t* from = nullptr;
        if (!r.enter() || !r.get_structs(slot + 2, value_struct, value_words, from, count) ||
            !take.begin(count))
            return false;
        for (std::size_t i = 0; i < count; ++i, from += value_words) {
            Element e{};
            if (!get_number(kind_of(from), from[1], e)) return false;
            take(e);
        }
        r.leave();
        return true;
    }
    if (kind < wire_kind::integers || kind > wire_kind::reals) return false;
    std::uint64_t all = 0;
    const std::uint64_t* from = slot;
    if (slot[2] != 0 && !(from = r.get_list(slot + 2, list_of_words, all))) return false;
    count = static_cast<std::size_t>(all);
    const wire_kind each = element_of(kind);
    if constexpr (requires { take.copy(from, count); })
        if (each == number_kind<Element>()) return take.copy(from, count);
    if (!take.begin(count)) return false;
    for (std::size_t i = 0; i < count; ++i) {
        Element e{};
        if (!get_number(each, from[i], e)) return false;
        take(e);
    }
    return true;
}

template <class T>
struct take_into_container {
    T& to;
    bool begin(std::size_t count) {
        to.clear();
        if constexpr (requires { to.reserve(count); }) to.reserve(count);
        return true;
    }
    void operator()(typename T::value_type e) {
        if constexpr (wire_shape_v<T> == wire_shape::set) to.insert(std::move(e));
        else to.emplace_back(e);
    }
    /// Numbers that lie in memory as they do on the wire.
    bool copy(const std::uint64_t* from, std::size_t count)
        requires(sizeof(typename T::value_type) == 8 && requires { to.resize(count), to.data(); })
    {
        to.resize(count);
        if (count != 0) std::memcpy(to.data(), from, count * 8);
        return true;
    }
};
template <class T>
struct take_into_array {
    T& to;
    std::size_t at = 0;
    bool begin(std::size_t count) const { return count == to.size(); }
    void operator()(typename T::value_type e) { to[at++] = e; }
};

template <class T>
bool get_elements(const std::uint64_t* slot, T& v, wire_reader& r) {
    constexpr wire_shape shape = wire_shape_v<T>;
    using element = typename T::value_type;
    const std::uint64_t* from = nullptr;
    std::size_t count = 0;
    if constexpr (wire_shape_v<element> == wire_shape::number) {
        if constexpr (shape == wire_shape::array)
            return get_numbers<element>(slot, count, r, take_into_array<T>{v});
        else return get_numbers<element>(slot, count, r, take_into_container<T>{v});
    } else {
        if (kind_of(slot) != wire_kind::list || !r.enter() ||
            !r.get_structs(slot + 2, value_struct, value_words, from, count))
            return false;
        if constexpr (shape == wire_shape::array) {
            if (count != v.size()) return false;
            for (std::size_t i = 0; i < count; ++i)
                if (!get(from + i * value_words, v[i], r)) return false;
        } else {
            v.clear();
            if constexpr (requires { v.reserve(count); }) v.reserve(count);
            for (std::size_t i = 0; i < count; ++i) {
                if constexpr (shape == wire_shape::sequence && !std::is_same_v<element, bool>) {
                    v.emplace_back();
                    if (!get(from + i * value_words, v.back(), r)) return false;
                } else {
                    element e{};
                    if (!get(from + i * value_words, e, r)) return false;
                    if constexpr (shape == wire_shape::set) v.insert(std::move(e));
                    else v.push_back(e);
                }
            }
        }
        r.leave();
        return true;
    }
}

template <class T>
bool get_map(const std::uint64_t* slot, T& v, wire_reader& r) {
    const std::uint64_t* entry = nullptr;
    std::size_t count = 0;
    if (kind_of(slot) != wire_kind::map || !r.enter() ||
        !r.get_structs(slot + 2, entry_struct, 2, entry, count))
        return false;
    v.clear();
    for (std::size_t i = 0; i < count; ++i, entry += 2) {
        typename T::key_type key{};
        typename T::mapped_type mapped{};
        const std::uint64_t* from = r.get_struct(entry, value_struct, value_words);
        if (!from || !get(from, key, r)) return false;
        from = r.get_struct(entry + 1, value_struct, value_words);
        if (!from || !get(from, mapped, r)) return false;
        v.emplace(std::move(key), std::move(mapped));
    }
    r.leave();
    return true;
}

template <class T>
bool get_variant(const std::uint64_t* slot, T& v, wire_reader& r) {
    if (kind_of(slot) != wire_kind::record || !r.enter()) return false;
    const std::uint64_t* record = r.get_struct(slot + 2, record_struct, 1);
    const std::uint64_t* from = nullptr;
    std::size_t count = 0;
    std::size_t index = 0;
    if (!record || !r.get_structs(record, value_struct, value_words, from, count) || count < 2 ||
        !get_number(kind_of(from), from[1], index))
        return false;
    const bool known = [&]<std::size_t... I>(std::index_sequence<I...>) {
        bool got = false;
        static_cast<void>(
            ((I == index && (got = get(from + value_words, v.template emplace<I>(), r), true)) || ...));
        return got;
    }(std::make_index_sequence<std::variant_size_v<T>>{});
    r.leave();
    return known;
}

template <class T>
bool take_form(T& v, typename wire_form<T>::type form) {
    try {
        auto made = wire_form<T>::from_wire(std::move(form));
        if (!made) return false;
        v = std::move(*made);
        return true;
    } catch (const std::bad_alloc&) {
        throw;
    } catch (const std::exception&) {
        return false;  // a parser that throws at what a peer made up: the message is refused, nobody ends
    }
}

template <class T>
bool get(const std::uint64_t* slot, T& v, wire_reader& r) {
    constexpr wire_shape shape = wire_shape_v<T>;
    if constexpr (shape == wire_shape::custom) {
        typename wire_form<T>::type form{};
        return get(slot, form, r) && take_form(v, std::move(form));
    } else if constexpr (shape == wire_shape::native) {
        const std::byte* from = nullptr;
        std::size_t size = 0;
        blob lent;
        if (!get_data(slot, from, size, lent, r) || size % 8 != 0) return false;
        if (!lent.empty()) from = (lent = blob::copy_of(lent.bytes())).data();
        return wire_native<T>::read({reinterpret_cast<const std::uint64_t*>(from), size / 8}, v);
    } else if constexpr (shape == wire_shape::boolean) {
        v = slot[0] >> 16 & 1;
        return kind_of(slot) == wire_kind::boolean;
    } else if constexpr (shape == wire_shape::number) return get_number(kind_of(slot), slot[1], v);
    else if constexpr (shape == wire_shape::text) {
        std::string_view text;
        if (!get_text(slot, text, r)) return false;
        v.assign(text);
        return true;
    } else if constexpr (shape == wire_shape::bytes || shape == wire_shape::byte_array) {
        const std::byte* from = nullptr;
        std::size_t size = 0;
        blob lent;
        if (!get_data(slot, from, size, lent, r)) return false;
        if constexpr (shape == wire_shape::byte_array) {
            if (size != v.size()) return false;
            if (size != 0) std::memcpy(v.data(), from, size);
        } else if (size != 0) {  // without zeros first
            const auto* first = reinterpret_cast<const typename T::value_type*>(from);
            v.assign(first, first + size);
        } else v.clear();
        return true;
    } else if constexpr (shape == wire_shape::blob) {
        const std::byte* from = nullptr;
        std::size_t size = 0;
        if (kind_of(slot) == wire_kind::loan) return get_data(slot, from, size, v, r);
        if (!get_bytes(slot, from, size, r)) return false;
        v = r.context->taken({from, size});
        return true;
    } else if constexpr (shape == wire_shape::array || shape == wire_shape::sequence ||
                         shape == wire_shape::set)
        return get_elements(slot, v, r);
    else if constexpr (shape == wire_shape::map) return get_map(slot, v, r);
    else if constexpr (shape == wire_shape::optional) {
        if (kind_of(slot) != wire_kind::nothing) return get(slot, v.emplace(), r);
        v.reset();
        return true;
    } else if constexpr (shape == wire_shape::variant) return get_variant(slot, v, r);
    else if constexpr (shape == wire_shape::duration) {
        typename T::rep count{};
        if (!get(slot, count, r)) return false;
        v = T{count};
        return true;
    } else if constexpr (shape == wire_shape::reference) {
        wire_reference reference;
        if (!get_reference(slot, reference, r)) return false;
        v = reference.actor != 0 ? T{r.context->in(reference)} : T{};
        return true;
    } else if constexpr (shape == wire_shape::dynamic) return get_value(slot, v, r);
    else {
        if (kind_of(slot) != wire_kind::record) return false;
        if (slot[2] == 0) return true;
        const std::uint64_t* record = r.get_struct(slot + 2, record_struct, 1);
        return record && get_fields(record, v, r);
    }
}

}  // namespace coppice::detail
