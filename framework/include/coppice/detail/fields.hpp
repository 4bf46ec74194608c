// The fields of an aggregate by position: how many there are, and a call with a reference to each. Templates only, no
// state. Everything is found out where a wrong guess is a substitution failure, so that a type whose fields cannot be
// named (it has a base, an array, a field that cannot be made from {}) counts as having none, and does not stop the
// compiler.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>

namespace coppice::detail {

/// The most fields that are looked at. A larger aggregate is not taken apart.
inline constexpr std::size_t fields_most = 64;

/// Becomes whatever a field is initialised with. Neither copied nor called: a field of type std::any or std::function is
/// then made by the conversion, not from the probe itself. It never runs; it has a body because the compiler may
/// instantiate a constructor that names it.
struct field_probe {
    field_probe() = default;
    field_probe(const field_probe&) = delete;
    field_probe& operator=(const field_probe&) = delete;
    template <class T>
    operator T() const noexcept {  // NOLINT(google-explicit-constructor)
        __builtin_trap();
    }
};
/// Becomes an lvalue, for a field that is a reference.
struct field_reference_probe {
    template <class T>
    operator T&() const noexcept {  // NOLINT(google-explicit-constructor)
        __builtin_trap();
    }
};
/// Becomes a base class of T only.
template <class T>
struct base_probe {
    base_probe() = default;
    base_probe(const base_probe&) = delete;
    base_probe& operator=(const base_probe&) = delete;
    template <class Base>
    requires(std::is_base_of_v<Base, T> && !std::is_same_v<Base, T>)
    operator Base() const noexcept {  // NOLINT(google-explicit-constructor)
        __builtin_trap();
    }
};

template <std::size_t>
using field_probe_at = field_probe;

#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wmissing-braces"
#pragma clang diagnostic ignored "-Wmissing-field-initializers"
#endif
// In braces an array takes as many probes as it has elements; in parentheses, where braces are not left out, it takes
// none. Both counts are equal only where there is no array.
template <class T, std::size_t... I>
consteval bool takes_in_braces(std::index_sequence<I...>) {
    return requires { T{field_probe_at<I>{}...}; };
}
template <class T, std::size_t... I>
consteval bool takes_in_parentheses(std::index_sequence<I...>) {
    if constexpr (sizeof...(I) == 0) return true;
    else return requires { T(field_probe_at<I>{}...); };
}
// After that many fields there is none that the probe only failed to become.
template <class T, std::size_t... I>
consteval bool ends_after(std::index_sequence<I...>) {
    return !requires { T{field_probe_at<I>{}..., {}}; } &&
           !requires { T{field_probe_at<I>{}..., field_reference_probe{}}; };
}
template <class T>
consteval bool has_base() {
    return requires { T{base_probe<T>{}}; };
}
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

template <class T, std::size_t N = 0>
consteval std::size_t count_in_braces() {
    if constexpr (N > fields_most) return N;
    else if constexpr (takes_in_braces<T>(std::make_index_sequence<N + 1>{}))
        return count_in_braces<T, N + 1>();
    else return N;
}

inline constexpr std::size_t no_fields = ~std::size_t{0};

/// The number of T's fields, or no_fields if T cannot be taken apart.
template <class T>
consteval std::size_t count_fields() {
    if constexpr (!std::is_aggregate_v<T> || std::is_union_v<T> || std::is_array_v<T>) return no_fields;
    else if constexpr (!requires { T{}; }) return no_fields;
    else if constexpr (has_base<T>()) return no_fields;
    else if constexpr (std::is_empty_v<T>) return count_in_braces<T>() == 0 ? 0 : no_fields;
    else {
        constexpr std::size_t count = count_in_braces<T>();
        if constexpr (count == 0 || count > fields_most) return no_fields;
        else if constexpr (!takes_in_parentheses<T>(std::make_index_sequence<count>{})) return no_fields;
        else if constexpr (!ends_after<T>(std::make_index_sequence<count>{})) return no_fields;
        else return count;
    }
}
template <class T>
inline constexpr std::size_t field_count = count_fields<T>();

// clang-format off
#define COPPICE_8(d) d##0, d##1, d##2, d##3, d##4, d##5, d##6, d##7
#define COPPICE_FIELDS(count, ...)                                          \
    else if constexpr (Count == count) {                                    \
        auto& [__VA_ARGS__] = object;                                       \
        if constexpr (requires { visit(__VA_ARGS__); }) return visit(__VA_ARGS__); \
        else return field_without_address{};                                \
    }
#define COPPICE_P1 COPPICE_8(a)
#define COPPICE_P2 COPPICE_P1, COPPICE_8(b)
#define COPPICE_P3 COPPICE_P2, COPPICE_8(c)
#define COPPICE_P4 COPPICE_P3, COPPICE_8(d)
#define COPPICE_P5 COPPICE_P4, COPPICE_8(e)
#define COPPICE_P6 COPPICE_P5, COPPICE_8(f)
#define COPPICE_P7 COPPICE_P6, COPPICE_8(g)

/// The result of with_fields() for a type with bit-fields, to which there are no references.
struct field_without_address {};

/// visit(field...) with a reference to each field of an object that has exactly Count of them.
template <std::size_t Count, class T, class Visit>
[[gnu::always_inline]] constexpr decltype(auto) with_fields(T& object, Visit&& visit) {
    static_assert(Count <= fields_most);
    if constexpr (Count == 0) return visit();
    COPPICE_FIELDS(1, a0)
    COPPICE_FIELDS(2, a0, a1)
    COPPICE_FIELDS(3, a0, a1, a2)
    COPPICE_FIELDS(4, a0, a1, a2, a3)
    COPPICE_FIELDS(5, a0, a1, a2, a3, a4)
    COPPICE_FIELDS(6, a0, a1, a2, a3, a4, a5)
    COPPICE_FIELDS(7, a0, a1, a2, a3, a4, a5, a6)
    COPPICE_FIELDS(8, COPPICE_P1)
    COPPICE_FIELDS(9, COPPICE_P1, b0)
    COPPICE_FIELDS(10, COPPICE_P1, b0, b1)
    COPPICE_FIELDS(11, COPPICE_P1, b0, b1, b2)
    COPPICE_FIELDS(12, COPPICE_P1, b0, b1, b2, b3)
    COPPICE_FIELDS(13, COPPICE_P1, b0, b1, b2, b3, b4)
    COPPICE_FIELDS(14, COPPICE_P1, b0, b1, b2, b3, b4, b5)
    COPPICE_FIELDS(15, COPPICE_P1, b0, b1, b2, b3, b4, b5, b6)
    COPPICE_FIELDS(16, COPPICE_P2)
    COPPICE_FIELDS(17, COPPICE_P2, c0)
    COPPICE_FIELDS(18, COPPICE_P2, c0, c1)
    COPPICE_FIELDS(19, COPPICE_P2, c0, c1, c2)
    COPPICE_FIELDS(20, COPPICE_P2, c0, c1, c2, c3)
    COPPICE_FIELDS(21, COPPICE_P2, c0, c1, c2, c3, c4)
    COPPICE_FIELDS(22, COPPICE_P2, c0, c1, c2, c3, c4, c5)
    COPPICE_FIELDS(23, COPPICE_P2, c0, c1, c2, c3, c4, c5, c6)
    COPPICE_FIELDS(24, COPPICE_P3)
    COPPICE_FIELDS(25, COPPICE_P3, d0)
    COPPICE_FIELDS(26, COPPICE_P3, d0, d1)
    COPPICE_FIELDS(27, COPPICE_P3, d0, d1, d2)
    COPPICE_FIELDS(28, COPPICE_P3, d0, d1, d2, d3)
    COPPICE_FIELDS(29, COPPICE_P3, d0, d1, d2, d3, d4)
    COPPICE_FIELDS(30, COPPICE_P3, d0, d1, d2, d3, d4, d5)
    COPPICE_FIELDS(31, COPPICE_P3, d0, d1, d2, d3, d4, d5, d6)
    COPPICE_FIELDS(32, COPPICE_P4)
    COPPICE_FIELDS(33, COPPICE_P4, e0)
    COPPICE_FIELDS(34, COPPICE_P4, e0, e1)
    COPPICE_FIELDS(35, COPPICE_P4, e0, e1, e2)
    COPPICE_FIELDS(36, COPPICE_P4, e0, e1, e2, e3)
    COPPICE_FIELDS(37, COPPICE_P4, e0, e1, e2, e3, e4)
    COPPICE_FIELDS(38, COPPICE_P4, e0, e1, e2, e3, e4, e5)
    COPPICE_FIELDS(39, COPPICE_P4, e0, e1, e2, e3, e4, e5, e6)
    COPPICE_FIELDS(40, COPPICE_P5)
    COPPICE_FIELDS(41, COPPICE_P5, f0)
    COPPICE_FIELDS(42, COPPICE_P5, f0, f1)
    COPPICE_FIELDS(43, COPPICE_P5, f0, f1, f2)
    COPPICE_FIELDS(44, COPPICE_P5, f0, f1, f2, f3)
    COPPICE_FIELDS(45, COPPICE_P5, f0, f1, f2, f3, f4)
    COPPICE_FIELDS(46, COPPICE_P5, f0, f1, f2, f3, f4, f5)
    COPPICE_FIELDS(47, COPPICE_P5, f0, f1, f2, f3, f4, f5, f6)
    COPPICE_FIELDS(48, COPPICE_P6)
    COPPICE_FIELDS(49, COPPICE_P6, g0)
    COPPICE_FIELDS(50, COPPICE_P6, g0, g1)
    COPPICE_FIELDS(51, COPPICE_P6, g0, g1, g2)
    COPPICE_FIELDS(52, COPPICE_P6, g0, g1, g2, g3)
    COPPICE_FIELDS(53, COPPICE_P6, g0, g1, g2, g3, g4)
    COPPICE_FIELDS(54, COPPICE_P6, g0, g1, g2, g3, g4, g5)
    COPPICE_FIELDS(55, COPPICE_P6, g0, g1, g2, g3, g4, g5, g6)
    COPPICE_FIELDS(56, COPPICE_P7)
    COPPICE_FIELDS(57, COPPICE_P7, h0)
    COPPICE_FIELDS(58, COPPICE_P7, h0, h1)
    COPPICE_FIELDS(59, COPPICE_P7, h0, h1, h2)
    COPPICE_FIELDS(60, COPPICE_P7, h0, h1, h2, h3)
    COPPICE_FIELDS(61, COPPICE_P7, h0, h1, h2, h3, h4)
    COPPICE_FIELDS(62, COPPICE_P7, h0, h1, h2, h3, h4, h5)
    COPPICE_FIELDS(63, COPPICE_P7, h0, h1, h2, h3, h4, h5, h6)
    COPPICE_FIELDS(64, COPPICE_P7, COPPICE_8(h))
}
#undef COPPICE_FIELDS
#undef COPPICE_8
#undef COPPICE_P1
#undef COPPICE_P2
#undef COPPICE_P3
#undef COPPICE_P4
#undef COPPICE_P5
#undef COPPICE_P6
#undef COPPICE_P7
// clang-format on

}  // namespace coppice::detail
