// Any type to words: how many a value takes, how much of it can be left out, and writing it. The three walk a
// value the same way, layer by layer, as detail/wire_types.hpp sees its shape. Templates without state; what is
// written must not change between counting and writing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

#include "coppice/detail/wire_parts.hpp"
#include "coppice/detail/wire_types.hpp"
#include "coppice/detail/wire_words.hpp"
#include "coppice/options.hpp"

namespace coppice::detail {

// Of coppice::value; defined in src/wire/value.cpp.
std::size_t words_of_value(const value& v, int depth);
void put_value(std::uint64_t* slot, const value& v, wire_writer& w);

/// Words of the objects that a value points to, without its own slot, which lies in `depth` lists, records and maps;
/// words_too_many if there are too many of either.
template <class T>
std::size_t words_of(const T& v, int depth);
/// Fills the slot and appends the objects.
template <class T>
void put(std::uint64_t* slot, const T& v, wire_writer& w);

template <class T>
std::size_t words_of_fields(const T& v, int depth) {
    if (depth > limits::wire_nesting) return words_too_many;
    return with_elements(v, [depth](const auto&... f) -> std::size_t {
        if constexpr (sizeof...(f) == 0) return 0;
        else return 1 + value_words * sizeof...(f) + (words_of(f, depth) + ...);
    });
}
/// The fields of a Record, whose one pointer is at `at`.
template <class T>
void put_fields(std::uint64_t* at, const T& v, wire_writer& w) {
    with_elements(v, [&](const auto&... f) {
        if constexpr (sizeof...(f) == 0) *at = 0;
        else {
            std::uint64_t* slot = w.add_structs(at, value_struct, sizeof...(f), value_words);
            ((put(slot, f, w), slot += value_words), ...);
        }
    });
}

template <class T>
std::size_t words_of(const T& v, int depth) {
    constexpr wire_shape shape = wire_shape_v<T>;
    if constexpr (shape == wire_shape::custom) {
        using form = typename wire_form<T>::type;
        return words_of<form>(wire_form<T>::to_wire(v), depth);
    } else if constexpr (shape == wire_shape::native) return bytes_words(wire_native<T>::words(v) * 8);
    else if constexpr (shape == wire_shape::text) return text_words(v.size());
    else if constexpr (shape == wire_shape::bytes || shape == wire_shape::byte_array ||
                       shape == wire_shape::blob)
        return bytes_words(v.size());
    else if constexpr (shape == wire_shape::array || shape == wire_shape::sequence ||
                       shape == wire_shape::set) {
        using element = typename T::value_type;
        if constexpr (wire_shape_v<element> == wire_shape::number) return v.size();
        else {
            if (++depth > limits::wire_nesting) return words_too_many;
            std::size_t words = 1 + value_words * v.size();
            if constexpr (wire_shape_v<element> != wire_shape::boolean)
                for (const auto& e : v) words += words_of<element>(e, depth);
            return words;
        }
    } else if constexpr (shape == wire_shape::map) {
        if (++depth > limits::wire_nesting) return words_too_many;
        std::size_t words = 1 + (2 + 2 * value_words) * v.size();
        for (const auto& [key, mapped] : v)
            words +=
                words_of<typename T::key_type>(key, depth) + words_of<typename T::mapped_type>(mapped, depth);
        return words;
    } else if constexpr (shape == wire_shape::optional)
        return v ? words_of<typename T::value_type>(*v, depth) : 0;
    else if constexpr (shape == wire_shape::variant) {
        if (v.valueless_by_exception()) return 0;
        if (++depth > limits::wire_nesting) return words_too_many;
        return 2 + 2 * value_words + std::visit([depth](const auto& a) { return words_of(a, depth); }, v);
    } else if constexpr (shape == wire_shape::reference) return 4;
    else if constexpr (shape == wire_shape::dynamic) return words_of_value(v, depth);
    else if constexpr (shape == wire_shape::tuple || shape == wire_shape::record)
        return 1 + words_of_fields(v, depth + 1);
    else return 0;
}

/// What put() leaves out of a message that is written apart.
template <class T>
void bulk_of(const T& v, wire_bulk& sum) {
    constexpr wire_shape shape = wire_shape_v<T>;
    if constexpr (!wire_holds_bulk<T>()) return;
    else if constexpr (shape == wire_shape::blob || shape == wire_shape::bytes || shape == wire_shape::text) {
        if (v.size() < limits::bulk_piece) return;
        ++sum.cuts;
        sum.words += v.size() / 8;
    } else if constexpr (shape == wire_shape::map) {
        for (const auto& [key, mapped] : v) {
            bulk_of<typename T::key_type>(key, sum);
            bulk_of<typename T::mapped_type>(mapped, sum);
        }
    } else if constexpr (shape == wire_shape::set || shape == wire_shape::sequence ||
                         shape == wire_shape::array) {
        for (const auto& each : v) bulk_of<typename T::value_type>(each, sum);
    } else if constexpr (shape == wire_shape::optional) {
        if (v) bulk_of<typename T::value_type>(*v, sum);
    } else if constexpr (shape == wire_shape::variant) {
        if (!v.valueless_by_exception()) std::visit([&](const auto& a) { bulk_of(a, sum); }, v);
    } else with_elements(v, [&](const auto&... f) { (bulk_of(f, sum), ...); });
}

template <class T>
void put(std::uint64_t* slot, const T& v, wire_writer& w) {
    constexpr wire_shape shape = wire_shape_v<T>;
    if constexpr (shape == wire_shape::custom) {
        using form = typename wire_form<T>::type;
        const bool before = std::exchange(w.keeps_all, true);  // the form is gone after this
        put<form>(slot, wire_form<T>::to_wire(v), w);
        w.keeps_all = before;
    } else if constexpr (shape == wire_shape::native) {
        const std::size_t words = wire_native<T>::words(v);
        put_slot(slot, wire_kind::bytes);
        wire_native<T>::write(v, w.add_list(slot + 2, list_of_bytes, words * 8, words));
    } else if constexpr (shape == wire_shape::boolean) put_bool(slot, v);
    else if constexpr (shape == wire_shape::number) put_slot(slot, number_kind<T>(), number_bits(v));
    else if constexpr (shape == wire_shape::text) {
        if (w.leaves_out(v.size())) [[unlikely]]
            put_apart(slot, wire_kind::text, std::as_bytes(std::span{v}), v.size() + 1, nullptr, w);
        else put_text(slot, v, w);
    } else if constexpr (shape == wire_shape::bytes) {
        if (w.leaves_out(v.size())) [[unlikely]]
            put_apart(slot, wire_kind::bytes, std::as_bytes(std::span{v}), v.size(), nullptr, w);
        else put_bytes(slot, v.data(), v.size(), w);
    } else if constexpr (shape == wire_shape::byte_array) put_bytes(slot, v.data(), v.size(), w);
    else if constexpr (shape == wire_shape::blob) {
        wire_loan loan;
        if (!w.leaves_out(v.size())) put_bytes(slot, v.data(), v.size(), w);
        else if (w.context->lend(v, loan)) put_loan(slot, loan, w);
        else put_apart(slot, wire_kind::bytes, v.bytes(), v.size(), v.holder(), w);
    } else if constexpr (shape == wire_shape::array || shape == wire_shape::sequence ||
                         shape == wire_shape::set) {
        using element = typename T::value_type;
        if constexpr (wire_shape_v<element> == wire_shape::number) {
            put_slot(slot, list_of(number_kind<element>()));
            std::uint64_t* to = w.add_list(slot + 2, list_of_words, v.size(), v.size());
            for (const element e : v) *to++ = number_bits(e);
        } else {
            put_slot(slot, wire_kind::list);
            std::uint64_t* to = w.add_structs(slot + 2, value_struct, v.size(), value_words);
            for (const auto& e : v) put<element>(to, e, w), to += value_words;
        }
    } else if constexpr (shape == wire_shape::map) {
        put_slot(slot, wire_kind::map);
        std::uint64_t* to = w.add_structs(slot + 2, entry_struct, v.size(), 2);
        for (const auto& [key, mapped] : v) {
            put<typename T::key_type>(w.add_struct(to++, value_struct, value_words), key, w);
            put<typename T::mapped_type>(w.add_struct(to++, value_struct, value_words), mapped, w);
        }
    } else if constexpr (shape == wire_shape::optional) {
        if (v) put<typename T::value_type>(slot, *v, w);
        else put_slot(slot, wire_kind::nothing);
    } else if constexpr (shape == wire_shape::variant) {
        if (v.valueless_by_exception()) return put_slot(slot, wire_kind::nothing);
        put_slot(slot, wire_kind::record);
        std::uint64_t* record = w.add_struct(slot + 2, record_struct, 1);
        std::uint64_t* to = w.add_structs(record, value_struct, 2, value_words);
        put_slot(to, wire_kind::unsigned_integer, v.index());
        std::visit([&](const auto& a) { put(to + value_words, a, w); }, v);
    } else if constexpr (shape == wire_shape::duration) put<typename T::rep>(slot, v.count(), w);
    else if constexpr (shape == wire_shape::reference)
        put_reference(slot, v ? w.context->out(v) : wire_reference{}, w);
    else if constexpr (shape == wire_shape::dynamic) put_value(slot, v, w);
    else {
        put_slot(slot, wire_kind::record);
        put_fields(w.add_struct(slot + 2, record_struct, 1), v, w);
    }
}

}  // namespace coppice::detail
