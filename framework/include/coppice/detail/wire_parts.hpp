// What stands in one slot of a message and needs no template of its own kind: numbers, text, bytes, loans and
// references, each put and got. `slot` is the first of its three words (wire_words.hpp). A false says that a
// slot holds something else, or what does not fit; nothing then depends on what was read. No state.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "coppice/blob.hpp"
#include "coppice/detail/wire_types.hpp"
#include "coppice/detail/wire_words.hpp"
#include "coppice/options.hpp"

namespace coppice::detail {

template <class T>
consteval wire_kind number_kind() {
    if constexpr (std::is_floating_point_v<T>) return wire_kind::real;
    else if constexpr (std::is_enum_v<T>) return number_kind<std::underlying_type_t<T>>();
    else return std::is_signed_v<T> ? wire_kind::integer : wire_kind::unsigned_integer;
}
/// The kind of a list of such numbers.
consteval wire_kind list_of(wire_kind number) {
    return static_cast<wire_kind>(static_cast<int>(number) - static_cast<int>(wire_kind::integer) +
                                  static_cast<int>(wire_kind::integers));
}
constexpr wire_kind element_of(wire_kind list) noexcept {
    return static_cast<wire_kind>(static_cast<int>(list) - static_cast<int>(wire_kind::integers) +
                                  static_cast<int>(wire_kind::integer));
}

template <wire_number T>
std::uint64_t number_bits(T number) noexcept {
    if constexpr (std::is_floating_point_v<T>)
        return std::bit_cast<std::uint64_t>(static_cast<double>(number));
    else if constexpr (std::is_enum_v<T>)
        return static_cast<std::uint64_t>(static_cast<std::underlying_type_t<T>>(number));
    else return static_cast<std::uint64_t>(number);  // sign-extended
}

/// False if the number is of no kind that fits, or out of T's range.
template <class T>
[[nodiscard]] bool get_number(wire_kind kind, std::uint64_t bits, T& number) noexcept {
    const auto as_signed = static_cast<std::int64_t>(bits);
    if constexpr (std::is_enum_v<T>) {
        std::underlying_type_t<T> n{};
        if (!get_number(kind, bits, n)) return false;
        number = static_cast<T>(n);
        return true;
    } else if constexpr (std::is_same_v<T, bool>) {
        number = bits == 1;
        return bits <= 1 && (kind == wire_kind::integer || kind == wire_kind::unsigned_integer);
    } else if constexpr (std::is_floating_point_v<T>) {
        constexpr std::uint64_t exact = std::uint64_t{1} << 53;
        if (kind == wire_kind::real) {
            const auto n = std::bit_cast<double>(bits);
            if constexpr (sizeof(T) < sizeof(double)) {
                constexpr auto most = static_cast<double>(std::numeric_limits<T>::max());
                if ((n > most || n < -most) && n - n == 0) return false;  // finite, and too large
            }
            number = static_cast<T>(n);
            return true;
        }
        if (kind == wire_kind::unsigned_integer) {
            number = static_cast<T>(bits);
            return bits <= exact;
        }
        number = static_cast<T>(as_signed);
        return kind == wire_kind::integer && bits + exact <= 2 * exact;
    } else {
        using range = std::numeric_limits<T>;
        number = static_cast<T>(bits);
        if (kind == wire_kind::unsigned_integer) return bits <= static_cast<std::uint64_t>(range::max());
        if (kind != wire_kind::integer) return false;
        if constexpr (range::is_signed) return as_signed >= range::min() && as_signed <= range::max();
        else return as_signed >= 0 && bits <= range::max();
    }
}

inline std::size_t text_words(std::size_t bytes) noexcept {
    return bytes < limits::wire_text_bytes ? bytes / 8 + 1 : words_too_many;
}
inline std::size_t bytes_words(std::size_t bytes) noexcept {
    return bytes < limits::wire_text_bytes ? (bytes + 7) / 8 : words_too_many;
}
inline void put_text(std::uint64_t* slot, std::string_view text, wire_writer& w) noexcept {
    put_slot(slot, wire_kind::text);
    const std::size_t words = text.size() / 8 + 1;
    std::uint64_t* to = w.add_list(slot + 2, list_of_bytes, text.size() + 1, words);
    to[words - 1] = 0;
    std::memcpy(to, text.data(), text.size());
}
/// Bytes of which all whole words are left out. `left`: those of the list, a text's zero included.
inline void put_apart(std::uint64_t* slot, wire_kind kind, std::span<const std::byte> bytes, std::size_t left,
                      std::shared_ptr<const void> holder, wire_writer& w) {
    put_slot(slot, kind);
    const std::size_t words = bytes.size() / 8;
    w.add_list(slot + 2, list_of_bytes, left, 0);
    w.cuts->add(w.next, bytes.first(words * 8), std::move(holder));
    if (left == words * 8) return;
    *w.next = 0;
    if (bytes.size() > words * 8) std::memcpy(w.next, bytes.data() + words * 8, bytes.size() - words * 8);
    ++w.next;
}
inline void put_bytes(std::uint64_t* slot, const void* from, std::size_t size, wire_writer& w) noexcept {
    put_slot(slot, wire_kind::bytes);
    const std::size_t words = (size + 7) / 8;
    std::uint64_t* to = w.add_list(slot + 2, list_of_bytes, size, words);
    if (size == 0) return;
    to[words - 1] = 0;
    std::memcpy(to, from, size);
}
[[nodiscard]] inline bool get_text(const std::uint64_t* slot, std::string_view& text,
                                   wire_reader& r) noexcept {
    if (kind_of(slot) != wire_kind::text) return false;
    text = {};
    if (slot[2] == 0) return true;
    std::uint64_t count = 0;
    const auto* at = reinterpret_cast<const char*>(r.get_list(slot + 2, list_of_bytes, count));
    if (!at || count == 0 || at[count - 1] != 0) return false;
    text = {at, static_cast<std::size_t>(count) - 1};
    return true;
}
[[nodiscard]] inline bool get_bytes(const std::uint64_t* slot, const std::byte*& from, std::size_t& size,
                                    wire_reader& r) noexcept {
    if (kind_of(slot) != wire_kind::bytes) return false;
    size = 0;
    if (slot[2] == 0) return true;
    std::uint64_t count = 0;
    from = reinterpret_cast<const std::byte*>(r.get_list(slot + 2, list_of_bytes, count));
    size = static_cast<std::size_t>(count);
    return from != nullptr;
}
inline void put_loan(std::uint64_t* slot, const wire_loan& loan, wire_writer& w) noexcept {
    put_slot(slot, wire_kind::loan);
    std::uint64_t* to = w.add_struct(slot + 2, loan_struct, loan_words);
    to[0] = loan.arena;
    to[1] = loan.offset;
    to[2] = loan.size;
    to[3] = loan.number;
}
/// Bytes, or what was lent in their place: `lent` has them then, and another process may change them.
[[nodiscard]] inline bool get_data(const std::uint64_t* slot, const std::byte*& from, std::size_t& size,
                                   blob& lent, wire_reader& r) {
    if (kind_of(slot) != wire_kind::loan) return get_bytes(slot, from, size, r);
    const std::uint64_t* at = r.get_struct(slot + 2, loan_struct, loan_words);
    if (!at || !r.context->borrow({at[0], at[1], at[2], at[3]}, lent)) return false;
    from = lent.data();
    size = lent.size();
    return true;
}
inline void put_reference(std::uint64_t* slot, const wire_reference& reference, wire_writer& w) noexcept {
    put_slot(slot, wire_kind::reference);
    std::uint64_t* to = w.add_struct(slot + 2, reference_struct, 4);
    to[0] = reference.node;
    to[1] = reference.actor;
    to[2] = reference.incarnation;
    to[3] = 0;
}
[[nodiscard]] inline bool get_reference(const std::uint64_t* slot, wire_reference& reference,
                                        wire_reader& r) noexcept {
    reference = {};
    if (kind_of(slot) == wire_kind::nothing) return true;
    if (kind_of(slot) != wire_kind::reference) return false;
    if (slot[2] == 0) return true;
    const std::uint64_t* from = r.get_struct(slot + 2, reference_struct, 4);
    if (!from) return false;
    reference = {from[0], from[1], static_cast<std::uint32_t>(from[2])};
    return true;
}

}  // namespace coppice::detail
