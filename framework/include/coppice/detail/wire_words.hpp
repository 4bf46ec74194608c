// The words of Cap'n Proto that messages are made of (https://capnproto.org/encoding.html): the shapes of the
// structs in schemas/value.capnp, a writer that appends objects in the order in which they are met, and a
// reader that takes them in that order only. A Value is a slot of three words: [tag 16 | bool 1 | 0], [number],
// [pointer]. No state beyond the two objects.
#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>

#include "coppice/detail/wire_context.hpp"
#include "coppice/options.hpp"

namespace coppice::detail {

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

/// Appends objects to a message, each behind all that were written before.
struct wire_writer {
    std::uint64_t* next;  // where the next object goes
    wire_context* context;
    wire_cuts* cuts = nullptr;  // of a message that is written without its bulk data
    // Inside a wire_form: what that made is gone once it is written, so nothing of it can be left out.
    bool keeps_all = false;

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

}  // namespace coppice::detail
