// The wire form of messages: which C++ types can leave their process, and the functions that write and read them. The
// bytes are one raw segment of Cap'n Proto with a Record or a Value of schemas/value.capnp as its root
// (docs/wire_format.md).
//
//     struct order {                               // an aggregate travels as a Record of its fields, in order
//         std::uint64_t id = 0;
//         std::vector<std::string> tags;
//         std::optional<double> price;
//     };
//     static_assert(coppice::has_wire_form<order>);
//     struct job { std::function<void()> run; };   // has none: it can be sent within its process only
//
// Records grow at the end: a reader keeps the default of a field that is missing, and ignores fields that it does not
// know. Nothing here has state or locks; what is written must not change meanwhile. No header of Cap'n Proto is
// needed.
#pragma once
#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <limits>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/blob.hpp"
#include "coppice/detail/fields.hpp"
#include "coppice/error.hpp"
#include "coppice/ref.hpp"

namespace coppice {

class value;

/// Specialise it to give a type of your own a wire form: that of another type, which travels in its place.
///
///     template <>
///     struct coppice::wire_form<url> {
///         using type = std::string;                              // has a wire form itself
///         static std::string to_wire(const url& u);              // called for the size, then to write
///         static std::optional<url> from_wire(std::string text); // empty: bad_message, nothing is delivered
///     };
///
/// The type itself must have a default constructor and move assignment. to_wire() gives the same both times and does not
/// throw. from_wire() gets what a peer made up; it may return a result<T>, too, and an exception of it, but for
/// std::bad_alloc, counts as empty. It may be called twice for one message. Any thread.
template <class T>
struct wire_form;

/// The address of an actor as it stands in a message.
struct wire_reference {
    std::uint64_t node = 0;         ///< the id of its node
    std::uint64_t actor = 0;        ///< on that node; 0: nobody
    std::uint32_t incarnation = 0;  ///< 0: follows restarts

    friend bool operator==(const wire_reference&, const wire_reference&) = default;
};

namespace limits {
/// Lists, records and maps within one another that a message may hold, its own record counted. A deeper one is refused
/// with `too_large` where it is sent, and with `bad_message` where it comes from a peer. Deep enough for data that
/// people wrote, shallow enough for the stack.
inline constexpr int wire_nesting = 32;
/// Bytes of one text or one array of bytes in a message, exclusive: a list of Cap'n Proto has at most 2^29 - 1
/// elements, and a text has its zero.
inline constexpr std::uint64_t wire_text_bytes = (std::uint64_t{1} << 29) - 1;
/// 8-byte words of a whole message: 4 GiB. Pointers of Cap'n Proto reach no further.
inline constexpr std::uint64_t wire_words = (std::uint64_t{1} << 29) - 1;
}  // namespace limits

namespace detail {

using coppice::wire_reference;

/// Turns addresses into what other nodes understand, and back. The router implements it. It is called on the thread
/// that writes or reads, for every reference in a message that is not empty; reading may ask twice for the same
/// reference.
struct wire_loan;

class wire_context {
public:
    virtual ~wire_context() = default;
    virtual wire_reference out(const address& local) = 0;
    virtual address in(const wire_reference& remote) = 0;
    /// Whether the receiver can read a blob where it lies; then only where that is gets written.
    virtual bool lend(const blob&, wire_loan&) { return false; }
    /// What was lent. It may ask twice for the same, and gets the same then. False: it was not lent to this node.
    virtual bool borrow(const wire_loan&, blob&) { return false; }

    /// The memory that a message is read from, if blobs in it may share it: it does not change while the blob is held.
    const blob* within = nullptr;
    /// Bytes that were read, as a blob: sharing `within` where they lie in it and are no small part of it, else a copy.
    [[nodiscard]] blob taken(std::span<const std::byte> bytes) const;
};

/// Bytes that lie in memory of the sender's process which the receiver has mapped.
struct wire_loan {
    std::uint64_t arena = 0;   // which memory
    std::uint64_t offset = 0;  // there
    std::uint64_t size = 0;
    std::uint64_t number = 0;  // under which it is given back
    friend bool operator==(const wire_loan&, const wire_loan&) = default;
};

/// A piece of a message that is not written with the rest of it: after `at` words of that.
struct wire_cut {
    std::size_t at = 0;
    std::span<const std::byte> bytes;    // a multiple of 8
    std::shared_ptr<const void> holder;  // keeps them alive; null: the message itself does
};
struct wire_cuts {
    const std::uint64_t* head = nullptr;
    std::vector<wire_cut> all;
    std::vector<std::size_t> words_before;  // of all cuts before each

    /// Words of the cuts that lie behind a word of the head.
    [[nodiscard]] std::size_t words_behind(const std::uint64_t* word) const noexcept;
    /// The next bytes are not in the head: they follow what was written up to `next`.
    void add(const std::uint64_t* next, std::span<const std::byte> bytes, std::shared_ptr<const void> holder);
    [[nodiscard]] std::size_t words() const noexcept {
        return all.empty() ? 0 : words_before.back() + all.back().bytes.size() / 8;
    }
};
/// How much of a message can be left out of it.
struct wire_bulk {
    std::size_t cuts = 0;
    std::size_t words = 0;
};

/// How messages of one type get to bytes and back. Any thread.
struct wire_functions {
    /// Exact size of the bytes, a multiple of 8; 0 for a message that is too large for any wire form
    /// (limits::wire_*).
    std::size_t (*size)(const void* body);
    /// Writes exactly size() bytes to `out`, which is 8-aligned. The message must not have changed since size().
    void (*write)(const void* body, std::byte* out, wire_context& context);
    /// Reads a message of a peer. `in` must not change meanwhile (copy what a peer can reach); it is 8-aligned where
    /// speed matters. On `ok` there is a message at `where`, raw storage for one; else there is none, and the code is
    /// bad_message. Throws what the message's default constructor throws, and std::bad_alloc.
    errc (*read)(std::span<const std::byte> in, void* where, wire_context& context);
    /// For bodies that stand for messages of other types, else null: the type that this one travels as, and telling one
    /// that was read as which type it came.
    std::uint64_t (*type)(const void* body) noexcept = nullptr;
    void (*set_type)(void* body, std::uint64_t type) noexcept = nullptr;
    /// For messages that may hold bulk data, else null: how much there is, in pieces of at least limits::bulk_piece, and
    /// writing the rest to `out`, which has room for size() without that. The same bytes as of write(), with the cuts
    /// at their places; but for blobs that the context lends, which take 4 words each. Gives the bytes written.
    wire_bulk (*bulk)(const void* body) = nullptr;
    std::size_t (*write_apart)(const void* body, std::byte* out, wire_context& context,
                               wire_cuts& cuts) = nullptr;
};

// ---------------------------------------------------------------- which types

/// The union's tags of `Value` in schemas/value.capnp.
enum class wire_kind : std::uint16_t {
    nothing = 0,
    boolean = 1,
    integer = 2,
    unsigned_integer = 3,
    real = 4,
    text = 5,
    bytes = 6,
    list = 7,
    record = 8,
    map = 9,
    reference = 10,
    integers = 11,
    unsigned_integers = 12,
    reals = 13,
    loan = 14,
};

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

}  // namespace detail

/// True for types whose values can leave their process:
///  * bool, integers and floating-point numbers of at most 8 bytes, std::string, std::chrono::duration (its count)
///  * enums, by number: one from a peer can have a number that is none of its enumerators
///  * std::vector and std::array of std::byte or unsigned char, and coppice::blob, as bytes
///  * vectors and other sequences, sets, maps, std::array, optional, pair, tuple, variant of such types
///  * ref<P>; coppice::value; capnp_message<S> (coppice/capnp.hpp); types with a wire_form of their own
///  * aggregates of at most 64 such fields, without bases, arrays (take std::array), bit-fields and const fields
/// An optional of an optional or of a value has none. A type with a member type `local_only` has none either:
///
///     struct secret { using local_only = void; std::string key; };
///
/// An aggregate with an anonymous union needs that to compile as a message at all.
template <class T>
inline constexpr bool has_wire_form = detail::wire_forms<T>();

namespace detail {

// ---------------------------------------------------------------- words of Cap'n Proto
// https://capnproto.org/encoding.html. A Value is three words: [tag 16 | bool 1 | 0], [number], [pointer].

static_assert(std::endian::native == std::endian::little, "words are copied as they lie in memory");

inline constexpr std::size_t value_words = 3;
inline constexpr std::uint64_t struct_shape(std::uint64_t data_words, std::uint64_t pointers) noexcept {
    return data_words | pointers << 16;
}
inline constexpr std::uint64_t value_struct = struct_shape(2, 1);
inline constexpr std::uint64_t record_struct = struct_shape(0, 1);
inline constexpr std::uint64_t entry_struct = struct_shape(0, 2);
inline constexpr std::uint64_t reference_struct = struct_shape(3, 1);
inline constexpr std::uint64_t loan_struct = struct_shape(4, 0);
inline constexpr std::size_t loan_words = 4;
enum : std::uint64_t { list_of_bytes = 2, list_of_words = 5, list_of_structs = 7 };
/// The words of something too large: more than any sum of others makes up for.
inline constexpr std::size_t words_too_many = std::size_t{1} << 40;

struct wire_writer {
    std::uint64_t* next;  // where the next object goes
    wire_context* context;
    wire_cuts* cuts = nullptr;  // of a message that is written without its bulk data
    bool keeps_all = false;     // with bulk data all the same, for now

    [[nodiscard]] bool leaves_out(std::size_t bytes) const noexcept {
        return cuts && !keeps_all && bytes >= limits::bulk_piece;
    }

    /// Room for an object of that size, and at `at` the pointer to it: of a struct ...
    std::uint64_t* add_struct(std::uint64_t* at, std::uint64_t shape, std::size_t words) noexcept {
        *at = distance(at) << 2 | shape << 32;
        return take(words);
    }
    /// ... and of a list. `count` is the number of elements; of words, for a list of structs, whose tag is not
    /// counted.
    std::uint64_t* add_list(std::uint64_t* at, std::uint64_t element, std::size_t count,
                            std::size_t words) noexcept {
        *at = 1 | distance(at) << 2 | element << 32 | std::uint64_t{count} << 35;
        return take(words);
    }
    /// A list of structs: the first of them.
    std::uint64_t* add_structs(std::uint64_t* at, std::uint64_t shape, std::size_t count,
                               std::size_t words) noexcept {
        std::uint64_t* tag = add_list(at, list_of_structs, count * words, 1 + count * words);
        *tag = std::uint64_t{count} << 2 | shape << 32;
        return tag + 1;
    }

private:
    // From the word behind a pointer to the next object.
    [[nodiscard]] std::uint64_t distance(const std::uint64_t* at) const noexcept {
        const auto here = static_cast<std::uint64_t>(next - (at + 1));
        if (cuts) [[unlikely]]
            return here + cuts->words_behind(at);
        return here;
    }
    std::uint64_t* take(std::size_t words) noexcept {
        std::uint64_t* taken = next;
        next += words;
        return taken;
    }
};

/// Reads objects in the order in which they are written. A pointer may lead forward only, past all that was read
/// before, so no word is read twice: what comes out is bounded by what went in. Bytes in another order are put in
/// order first (wire_read_reordered). Every false means: these bytes are not in order, or not what they should be.
struct wire_reader {
    const std::uint64_t* next;
    const std::uint64_t* end;
    wire_context* context;
    int depth = 0;

    /// Where the pointer at `at` leads, if that and `words` words there lie ahead; else null.
    const std::uint64_t* follow(const std::uint64_t* at, std::uint64_t words) noexcept {
        const std::int64_t offset = static_cast<std::int32_t>(static_cast<std::uint32_t>(*at)) >> 2;
        const std::int64_t ahead = (at + 1 - next) + offset;
        const std::int64_t room = end - next;
        if (ahead < 0 || ahead > room || words > static_cast<std::uint64_t>(room - ahead)) return nullptr;
        const std::uint64_t* found = next + ahead;
        next = found + words;
        return found;
    }
    const std::uint64_t* get_struct(const std::uint64_t* at, std::uint64_t shape,
                                    std::size_t words) noexcept {
        if ((*at & 3) != 0 || *at >> 32 != shape) return nullptr;
        return follow(at, words);
    }
    /// A list of bytes or words; null pointers are the caller's to tell.
    const std::uint64_t* get_list(const std::uint64_t* at, std::uint64_t element,
                                  std::uint64_t& count) noexcept {
        if ((*at & 3) != 1 || (*at >> 32 & 7) != element) return nullptr;
        count = *at >> 35;
        return follow(at, element == list_of_bytes ? (count + 7) / 8 : count);
    }
    /// A list of structs: its first. A null pointer is an empty list.
    bool get_structs(const std::uint64_t* at, std::uint64_t shape, std::size_t words,
                     const std::uint64_t*& first, std::size_t& count) noexcept {
        count = 0;
        if (*at == 0) return true;
        if ((*at & 3) != 1 || (*at >> 32 & 7) != list_of_structs) return false;
        const std::uint64_t all = *at >> 35;
        const std::uint64_t* tag = follow(at, all + 1);
        if (!tag || (*tag & 3) != 0 || *tag >> 32 != shape) return false;
        count = static_cast<std::uint32_t>(*tag) >> 2;
        first = tag + 1;
        return count * words == all;
    }
    bool enter() noexcept { return ++depth <= limits::wire_nesting; }
    void leave() noexcept { --depth; }
};

inline wire_kind kind_of(const std::uint64_t* slot) noexcept {
    return static_cast<wire_kind>(*slot & 0xffff);
}
inline void put_slot(std::uint64_t* slot, wire_kind kind, std::uint64_t bits = 0) noexcept {
    slot[0] = static_cast<std::uint64_t>(kind);
    slot[1] = bits;
    slot[2] = 0;
}
inline void put_bool(std::uint64_t* slot, bool b) noexcept {
    slot[0] = static_cast<std::uint64_t>(wire_kind::boolean) | std::uint64_t{b} << 16;
    slot[1] = slot[2] = 0;
}

// ---------------------------------------------------------------- numbers, text, bytes

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

// Of coppice::value; defined in value.cpp.
std::size_t words_of_value(const value& v, int depth);
void put_value(std::uint64_t* slot, const value& v, wire_writer& w);
[[nodiscard]] bool get_value(const std::uint64_t* slot, value& v, wire_reader& r);
std::uint64_t type_of_value(const void* v) noexcept;
void set_type_of_value(void* v, std::uint64_t type) noexcept;
std::size_t words_of_message(const value& v);  // as a root: a Record for a record, else a Value
void put_message(std::uint64_t* out, const value& v, wire_context& context);
[[nodiscard]] bool get_message(std::span<const std::uint64_t> words, value& v, wire_context& context);

// ---------------------------------------------------------------- any type: words_of, put, get
// words_of: of the objects that a value points to, without its own slot, which lies in `depth` lists, records and maps;
// words_too_many if there are too many of either. put: fills the slot and appends the objects.

template <class T>
std::size_t words_of(const T& v, int depth);
template <class T>
void put(std::uint64_t* slot, const T& v, wire_writer& w);
template <class T>
[[nodiscard]] bool get(const std::uint64_t* slot, T& v, wire_reader& r);

/// visit(element...) of a record: an aggregate, a tuple or a pair.
template <class T, class Visit>
[[gnu::always_inline]] inline decltype(auto) with_elements(T& v, Visit&& visit) {
    if constexpr (wire_shape_v<std::remove_const_t<T>> == wire_shape::tuple)
        return std::apply(std::forward<Visit>(visit), v);
    else return with_fields<field_count<std::remove_const_t<T>>>(v, std::forward<Visit>(visit));
}

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

// ---------------------------------------------------------------- whole messages

using wire_attempt = bool (*)(std::span<const std::uint64_t> words, void* where, wire_context& context);
/// Reads what `attempt` did not take as it was: bytes that are not aligned; unless they are `native`, values in an
/// order or with extensions that wire_reader does not know, which are put in order by way of the general reader; and
/// what is wrong.
errc wire_read_reordered(std::span<const std::byte> in, void* where, wire_context& context,
                         wire_attempt attempt, bool native);

/// The functions of one message type.
template <class M>
struct wire_message {
    static constexpr wire_shape shape = wire_shape_v<M>;
    static constexpr bool is_record = shape == wire_shape::record || shape == wire_shape::tuple;

    static std::size_t size(const void* body) {
        const M& m = *static_cast<const M*>(body);
        std::size_t words = 0;
        if constexpr (shape == wire_shape::native) words = wire_native<M>::words(m);
        else if constexpr (shape == wire_shape::dynamic) words = words_of_message(m);
        else if constexpr (is_record) words = 2 + words_of_fields(m, 1);
        else words = 1 + value_words + words_of(m, 0);
        return words <= limits::wire_words ? words * 8 : 0;
    }

    static void write(const void* body, std::byte* out, wire_context& context) {
        const M& m = *static_cast<const M*>(body);
        auto* to = reinterpret_cast<std::uint64_t*>(out);
        if constexpr (shape == wire_shape::native) wire_native<M>::write(m, to);
        else if constexpr (shape == wire_shape::dynamic) put_message(to, m, context);
        else {
            wire_writer w{to + 1, &context};
            if constexpr (is_record) put_fields(w.add_struct(to, record_struct, 1), m, w);
            else put(w.add_struct(to, value_struct, value_words), m, w);
        }
    }

    static wire_bulk bulk(const void* body) {
        wire_bulk sum;
        bulk_of(*static_cast<const M*>(body), sum);
        return sum;
    }

    static std::size_t write_apart(const void* body, std::byte* out, wire_context& context, wire_cuts& cuts) {
        const M& m = *static_cast<const M*>(body);
        auto* to = reinterpret_cast<std::uint64_t*>(out);
        cuts.head = to;
        wire_writer w{to + 1, &context, &cuts};
        if constexpr (is_record) put_fields(w.add_struct(to, record_struct, 1), m, w);
        else put(w.add_struct(to, value_struct, value_words), m, w);
        return static_cast<std::size_t>(w.next - to) * 8;
    }

    static errc read(std::span<const std::byte> in, void* where, wire_context& context) {
        if ((reinterpret_cast<std::uintptr_t>(in.data()) & 7) == 0 && in.size() % 8 == 0 && !in.empty()) {
            if (attempt({reinterpret_cast<const std::uint64_t*>(in.data()), in.size() / 8}, where, context))
                return errc::ok;
        }
        return wire_read_reordered(in, where, context, &attempt, shape == wire_shape::native);
    }

    static constexpr wire_functions functions = [] {
        wire_functions f{&size, &write, &read};
        if constexpr (shape == wire_shape::dynamic) f.type = &type_of_value, f.set_type = &set_type_of_value;
        if constexpr (wire_holds_bulk<M>()) f.bulk = &bulk, f.write_apart = &write_apart;
        return f;
    }();

private:
    static bool attempt(std::span<const std::uint64_t> words, void* where, wire_context& context) {
        struct guard {
            M* made;
            ~guard() {
                if (made) made->~M();
            }
        } undo{::new (where) M{}};
        if (!fill(words, *undo.made, context)) return false;
        undo.made = nullptr;
        return true;
    }
    static bool fill(std::span<const std::uint64_t> words, M& m, wire_context& context) {
        if constexpr (shape == wire_shape::native) return wire_native<M>::read(words, m);
        else if constexpr (shape == wire_shape::dynamic) return get_message(words, m, context);
        else {
            const std::uint64_t* root = words.data();
            wire_reader r{root + 1, root + words.size(), &context};
            if constexpr (is_record) {
                if ((*root & 3) == 0 && *root >> 32 == 0)
                    return true;  // a Record of which nothing was written
                const std::uint64_t* record = r.get_struct(root, record_struct, 1);
                return record && get_fields(record, m, r);
            } else {
                const std::uint64_t* slot = r.get_struct(root, value_struct, value_words);
                return slot && get(slot, m, r);
            }
        }
    }
};

/// The functions of M; null where M cannot leave its process.
template <class M>
inline constexpr const wire_functions* wire_of = [] {
    if constexpr (has_wire_form<M>) return &wire_message<M>::functions;
    else return static_cast<const wire_functions*>(nullptr);
}();
template <class M>
struct wire_of_message {
    static constexpr const wire_functions* value = wire_of<M>;
};

}  // namespace detail
}  // namespace coppice
