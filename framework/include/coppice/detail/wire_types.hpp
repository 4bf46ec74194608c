// Which C++ types have a wire form, found out at compile time: the shape of a type's outermost layer, then
// those of what it is made of. coppice/wire.hpp lists them for users. Templates only, no state.
#pragma once
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/blob.hpp"
#include "coppice/detail/address.hpp"
#include "coppice/detail/fields.hpp"

namespace coppice {

class value;
struct any_request;
template <class T>
struct wire_form;

namespace detail {

/// What a type's outermost layer is.
enum class wire_shape : std::uint8_t {
    none,
    custom,  // a wire_form
    native,  // a wire_native: words of its own
    boolean,
    number,
    text,
    bytes,       // vector of bytes
    blob,        // bytes with shared ownership
    byte_array,  // std::array of bytes
    array,       // any other std::array
    sequence,
    set,
    map,
    optional,
    tuple,  // std::tuple, std::pair
    variant,
    duration,
    reference,
    dynamic,  // coppice::value
    record,   // an aggregate
};

/// For types that bring words of their own, a whole segment each (coppice/capnp.hpp).
template <class T>
struct wire_native;

template <class T>
concept wire_byte = std::same_as<T, std::byte> || std::same_as<T, unsigned char>;
template <class T>
concept wire_number =
    sizeof(T) <= 8 && ((std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) || std::is_enum_v<T>);

template <class T>
concept wire_container = requires(const T& c, T& m) {
    typename T::value_type;
    c.begin() != c.end();
    { c.size() } -> std::convertible_to<std::size_t>;
    m.clear();
} && !std::same_as<typename T::value_type, T>;
template <class T>
concept wire_sequence = wire_container<T> && requires(T& c) { c.emplace_back(); };
template <class T>
concept wire_set = wire_container<T> && !wire_sequence<T> && requires(T& c, typename T::value_type&& v) {
    typename T::key_type;
    c.insert(std::move(v));
} && std::same_as<typename T::key_type, typename T::value_type>;
template <class T>
concept wire_map =
    wire_container<T> && requires(T& c, typename T::key_type&& k, typename T::mapped_type&& v) {
        c.emplace(std::move(k), std::move(v));
    };

template <class T>
inline constexpr wire_shape wire_template_shape = wire_shape::none;
template <class T, class A>
inline constexpr wire_shape wire_template_shape<std::vector<T, A>> =
    wire_byte<T> ? wire_shape::bytes : wire_shape::sequence;
template <class T, std::size_t N>
inline constexpr wire_shape wire_template_shape<std::array<T, N>> =
    wire_byte<T> ? wire_shape::byte_array : wire_shape::array;
template <class T>
inline constexpr wire_shape wire_template_shape<std::optional<T>> = wire_shape::optional;
template <class... T>
inline constexpr wire_shape wire_template_shape<std::tuple<T...>> = wire_shape::tuple;
template <class A, class B>
inline constexpr wire_shape wire_template_shape<std::pair<A, B>> = wire_shape::tuple;
template <class... T>
inline constexpr wire_shape wire_template_shape<std::variant<T...>> = wire_shape::variant;
template <class R, class P>
inline constexpr wire_shape wire_template_shape<std::chrono::duration<R, P>> = wire_shape::duration;
template <class P>
inline constexpr wire_shape wire_template_shape<ref<P>> = wire_shape::reference;

template <class T>
consteval wire_shape wire_shape_of() {
    if constexpr (!std::is_object_v<T> || std::is_const_v<T> || std::is_volatile_v<T>)
        return wire_shape::none;
    else if constexpr (!requires { sizeof(T); }) return wire_shape::none;
    else if constexpr (requires { typename wire_form<T>::type; }) return wire_shape::custom;
    else if constexpr (requires { wire_native<T>::words; }) return wire_shape::native;
    else if constexpr (requires { typename T::local_only; }) return wire_shape::none;
    else if constexpr (std::is_same_v<T, bool>) return wire_shape::boolean;
    else if constexpr (wire_number<T>) return wire_shape::number;
    else if constexpr (std::is_same_v<T, std::string>) return wire_shape::text;
    else if constexpr (std::is_same_v<T, coppice::blob>) return wire_shape::blob;
    else if constexpr (std::is_same_v<T, value>) return wire_shape::dynamic;
    else if constexpr (std::is_same_v<T, address>) return wire_shape::reference;
    else if constexpr (wire_template_shape<T> != wire_shape::none) return wire_template_shape<T>;
    else if constexpr (!std::is_class_v<T>) return wire_shape::none;
    else if constexpr (wire_map<T>) return wire_shape::map;
    else if constexpr (wire_sequence<T>) return wire_shape::sequence;
    else if constexpr (wire_set<T>) return wire_shape::set;
    else if constexpr (field_count<T> != no_fields) return wire_shape::record;
    else return wire_shape::none;
}
template <class T>
inline constexpr wire_shape wire_shape_v = wire_shape_of<T>();

template <class... T>
struct wire_types {};
template <class... T>
consteval wire_types<T...> wire_elements_of(std::type_identity<std::tuple<T...>>) {
    return {};
}
template <class A, class B>
consteval wire_types<A, B> wire_elements_of(std::type_identity<std::pair<A, B>>) {
    return {};
}
template <class... T>
consteval wire_types<T...> wire_elements_of(std::type_identity<std::variant<T...>>) {
    return {};
}

/// The types of an aggregate's fields, or of a tuple's or variant's elements; field_without_address for bit-fields.
template <class T>
consteval auto wire_fields_of() {
    if constexpr (wire_shape_v<T> == wire_shape::record)
        return decltype(with_fields<field_count<T>>(std::declval<T&>(),
                                                    []<class... F>(F&...) { return wire_types<F...>{}; })){};
    else return wire_elements_of(std::type_identity<T>{});
}

/// True if nothing can stand for a T itself, so that an optional of it could not be told from an empty one.
template <class T>
consteval bool wire_may_be_nothing() {
    if constexpr (wire_shape_v<T> == wire_shape::custom)
        return wire_may_be_nothing<typename wire_form<T>::type>();
    else return wire_shape_v<T> == wire_shape::optional || wire_shape_v<T> == wire_shape::dynamic;
}

template <class T, class... Seen>
consteval bool wire_forms();

template <class... Seen, class... F>
consteval bool wire_all_form(wire_types<F...>) {
    return (wire_forms<F, Seen...>() && ...);
}
template <class... Seen>
consteval bool wire_all_form(field_without_address) {
    return false;
}

/// Whether T has a wire form. Seen: the types that it was reached through, for types that contain themselves.
template <class T, class... Seen>
consteval bool wire_forms() {
    constexpr wire_shape shape = wire_shape_v<T>;
    if constexpr ((std::is_same_v<T, Seen> || ...)) return true;
    else if constexpr (shape == wire_shape::none) return false;
    else if constexpr (shape == wire_shape::dynamic) return true;  // may be incomplete here
    else if constexpr (!std::is_default_constructible_v<T>) return false;
    else if constexpr (shape == wire_shape::custom)
        return std::is_move_assignable_v<T> && wire_forms<typename wire_form<T>::type, T, Seen...>();
    else if constexpr (shape == wire_shape::map)
        return std::is_move_constructible_v<typename T::key_type> &&
               std::is_move_constructible_v<typename T::mapped_type> &&
               wire_forms<typename T::key_type, T, Seen...>() &&
               wire_forms<typename T::mapped_type, T, Seen...>();
    else if constexpr (shape == wire_shape::set)
        return std::is_move_constructible_v<typename T::value_type> &&
               wire_forms<typename T::value_type, T, Seen...>();
    else if constexpr (shape == wire_shape::sequence || shape == wire_shape::array)
        return wire_forms<typename T::value_type, T, Seen...>();
    else if constexpr (shape == wire_shape::optional)
        return !wire_may_be_nothing<typename T::value_type>() &&
               wire_forms<typename T::value_type, T, Seen...>();
    else if constexpr (shape == wire_shape::duration) return wire_number<typename T::rep>;
    else if constexpr (shape == wire_shape::tuple || shape == wire_shape::variant ||
                       shape == wire_shape::record)
        return wire_all_form<T, Seen...>(wire_fields_of<T>());
    else return true;
}

template <class T, class... Seen>
consteval bool wire_holds_bulk();
template <class... Seen, class... F>
consteval bool wire_any_bulk(wire_types<F...>) {
    return (wire_holds_bulk<F, Seen...>() || ...);
}

/// Whether a T may hold bytes that can be left out of the written message. What a wire_form makes is gone by then.
template <class T, class... Seen>
consteval bool wire_holds_bulk() {
    constexpr wire_shape shape = wire_shape_v<T>;
    if constexpr ((std::is_same_v<T, Seen> || ...)) return false;
    else if constexpr (shape == wire_shape::blob || shape == wire_shape::bytes || shape == wire_shape::text)
        return true;
    else if constexpr (shape == wire_shape::map)
        return wire_holds_bulk<typename T::key_type, T, Seen...>() ||
               wire_holds_bulk<typename T::mapped_type, T, Seen...>();
    else if constexpr (shape == wire_shape::set || shape == wire_shape::sequence ||
                       shape == wire_shape::array || shape == wire_shape::optional)
        return wire_holds_bulk<typename T::value_type, T, Seen...>();
    else if constexpr (shape == wire_shape::tuple || shape == wire_shape::variant ||
                       shape == wire_shape::record)
        return wire_any_bulk<T, Seen...>(wire_fields_of<T>());
    else return false;
}

/// visit(element...) of a record: an aggregate, a tuple or a pair.
template <class T, class Visit>
[[gnu::always_inline]] inline decltype(auto) with_elements(T& v, Visit&& visit) {
    if constexpr (wire_shape_v<std::remove_const_t<T>> == wire_shape::tuple)
        return std::apply(std::forward<Visit>(visit), v);
    else return with_fields<field_count<std::remove_const_t<T>>>(v, std::forward<Visit>(visit));
}

}  // namespace detail
}  // namespace coppice
