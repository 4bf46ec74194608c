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
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>

#include "coppice/detail/wire_context.hpp"
#include "coppice/detail/wire_read.hpp"
#include "coppice/detail/wire_types.hpp"
#include "coppice/detail/wire_write.hpp"
#include "coppice/error.hpp"
#include "coppice/options.hpp"
#include "coppice/ref.hpp"

namespace coppice {

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

// Of coppice::value, as a root: a Record for a record, else a Value. Defined in src/wire/value.cpp.
std::size_t words_of_message(const value& v);
void put_message(std::uint64_t* out, const value& v, wire_context& context);
[[nodiscard]] bool get_message(std::span<const std::uint64_t> words, value& v, wire_context& context);
std::uint64_t type_of_value(const void* v) noexcept;
void set_type_of_value(void* v, std::uint64_t type) noexcept;

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
        f.is_native = shape == wire_shape::native;
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
