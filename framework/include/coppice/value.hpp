// value: a message, or a part of one, whose C++ type is not known: what a script, a C program or a browser sent, or a
// type of another program. It has a wire form (schemas/value.capnp) and is itself a message.
//
//     value v = value::record{{std::uint64_t{7}, "seven", value::list{1, 2.5, true}}};
//     if (const auto* r = v.get_if<value::record>()) use(r->fields[0].as<int>());
//     log("{}", to_string(v));   // (7, "seven", [1, 2.5, true])
//
// A record can say as which message type it travels: sent to another node, it arrives there as that type. And an actor of
// protocol<..., value>, or of `anything`, gets messages of other nodes whose types it does not name as values:
//
//     self.send<value>(shop, value::record{{std::uint64_t{7}, "seven"}, type_id("shop::order")});
//
// A plain value: copies are deep, threads need what any object needs. Where a number stood in a typed list, each is a
// value.
#pragma once
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/wire.hpp"

namespace coppice {

/// What a value holds. The numbers are the union's tags of `Value` in schemas/value.capnp.
enum class value_kind : std::uint8_t {
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
};

/// The id on the wire of the message type of that name: its qualified C++ name (coppice::message_name), e.g. "shop::order".
/// FNV-1a, 64 bits.
[[nodiscard]] std::uint64_t type_id(std::string_view message_name) noexcept;

class value {
public:
    struct entry;
    using bytes = std::vector<std::byte>;
    using list = std::vector<value>;
    /// Fields in order, as of an aggregate.
    struct record {
        std::vector<value> fields;
        /// Of a whole message: the id of the type that it travels as, or came as; 0 for value itself. Within another
        /// value it has no meaning, and is not sent.
        std::uint64_t type = 0;
        bool operator==(const record&) const = default;
    };
    /// Pairs in the order in which they came; a key may stand twice.
    using map = std::vector<entry>;
    /// In the order of value_kind.
    using storage = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string,
                                 bytes, list, record, map, wire_reference>;

    value() noexcept;
    template <std::same_as<bool> B>  // no pointer becomes true
    value(B b) noexcept : held_{b} {}
    template <std::signed_integral T>
    value(T n) noexcept : value{std::int64_t{n}, 0} {}
    template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
    value(T n) noexcept : value{std::uint64_t{n}, 0} {}
    value(double n) noexcept;
    value(std::string text) noexcept;
    value(std::string_view text);
    value(const char* text);
    value(bytes b) noexcept;
    value(list l) noexcept;
    value(record r) noexcept;
    value(map m) noexcept;
    value(wire_reference r) noexcept;
    value(const value& other);
    value(value&& other) noexcept;
    value& operator=(const value& other);
    value& operator=(value&& other) noexcept;
    ~value();

    [[nodiscard]] value_kind kind() const noexcept { return static_cast<value_kind>(held_.index()); }
    /// The held object if it is exactly a T, one of storage's types; else null.
    template <class T>
    [[nodiscard]] const T* get_if() const noexcept {
        return std::get_if<T>(&held_);
    }
    template <class T>
    [[nodiscard]] T* get_if() noexcept {
        return std::get_if<T>(&held_);
    }
    /// A number of any kind as a T; empty if it is none, or out of T's range. 2.5 is no integer, and neither is 2.0.
    template <class T>
    requires detail::wire_number<T>
    [[nodiscard]] std::optional<T> as() const noexcept {
        T number{};
        if (!detail::get_number(static_cast<detail::wire_kind>(held_.index()), number_bits(), number))
            return {};
        return number;
    }
    [[nodiscard]] const storage& held() const noexcept { return held_; }
    [[nodiscard]] storage& held() noexcept { return held_; }

    /// Equal in kind and content: 1 is not 1.0, and signed 1 is not unsigned 1.
    friend bool operator==(const value& a, const value& b);

    /// The wire form: a Record for a record, else a Value. Empty if the value is too large, or deeper than
    /// limits::wire_nesting.
    [[nodiscard]] std::vector<std::byte> encode() const;
    /// Reads any message in a wire form of values. bad_message for everything else. A kind that this release does not
    /// know is read as nothing.
    static result<value> decode(std::span<const std::byte> bytes);

private:
    value(std::int64_t n, int) noexcept;
    value(std::uint64_t n, int) noexcept;
    [[nodiscard]] std::uint64_t number_bits() const noexcept;

    storage held_;
};

struct value::entry {
    value key;
    value mapped;
    friend bool operator==(const entry& a, const entry& b) { return a.key == b.key && a.mapped == b.mapped; }
};

/// For people: nothing, true, 12, 2.5, "text", x'00ff' (bytes), [list], (record), {key: mapped}, @node.actor. What is
/// longer than about `most` bytes is cut, and ends in "...". Control characters are escaped.
std::string to_string(const value& v, std::size_t most = 256);

}  // namespace coppice
