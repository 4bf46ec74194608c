// What may be a message, and what the runtime knows of each type: id, name, lane, whether it is answered.
//
//     struct add  { std::uint64_t amount = 0; };                    // a message
//     struct get  { using reply = std::uint64_t; };                 // a request: the reply type belongs to the message
//     struct halt { static constexpr auto lane = lane::priority; }; // overtakes normal mail
//
// A message moves inside a process as the C++ object that it is. It must be movable and destructible without throwing.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "coppice/options.hpp"

namespace coppice {

struct demand;  // rights.hpp

/// The three lanes of a mailbox. System mail (down, exit_signal) overtakes priority mail, which overtakes normal mail;
/// within a lane mail of one sender keeps its order.
enum class lane : std::uint8_t { normal = 0, priority = 1, system = 2 };

/// A request: a message whose type names the type of its answer.
template <class M>
concept has_reply = requires { typename M::reply; };

template <has_reply M>
using reply_t = typename M::reply;

/// What can be sent.
template <class M>
concept message =
    std::is_object_v<M> && !std::is_const_v<M> && !std::is_array_v<M> && !std::is_pointer_v<M> &&
    std::is_nothrow_destructible_v<M> && std::is_nothrow_move_constructible_v<M> &&
    sizeof(M) <= limits::message_bytes && alignof(M) <= 64;

namespace detail {

template <class T>
consteval std::string_view declared_name() {
    std::string_view text = __PRETTY_FUNCTION__;
    const auto begin = text.find("T = ") + 4;
    const auto end = text.find_first_of(text.find(';', begin) == std::string_view::npos ? "]" : ";", begin);
    return text.substr(begin, end - begin);
}

// FNV-1a, 64 bits (Fowler, Noll, Vo; draft-eastlake-fnv).
constexpr std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037ull;
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    return hash;
}

template <class M>
consteval coppice::lane lane_of() {
    if constexpr (requires {
                      { M::lane } -> std::convertible_to<coppice::lane>;
                  })
        return M::lane;
    else return coppice::lane::normal;
}

struct envelope;
struct wire_functions;

/// One object per message type and module; compared by address first, by id where modules differ.
struct message_type {
    std::uint64_t id;
    std::string_view name;
    coppice::lane lane;
    bool is_request;
    void (*destroy)(envelope*) noexcept;                        // null where nothing needs destroying
    envelope* (*clone)(const envelope*, std::uint64_t target);  // null where the type cannot be copied
    std::uint32_t offset = 0;                                   // of the message in its envelope, bytes
    std::uint32_t size = 0;                                     // of the message, bytes
    const wire_functions* wire = nullptr;            // null where the message cannot leave its process
    const message_type* reply = nullptr;             // of a request: its answer's; null else
    demand (*needs)(const void* message) = nullptr;  // null: the right to send it, or to ask
};

template <class M>
struct message_type_of;  // defined in detail/envelope.hpp
template <class M>
struct wire_of_message;  // defined in wire.hpp

struct nothing {};  // the body of a reply without a value
template <class R>
using reply_body = std::conditional_t<std::is_void_v<R>, nothing, R>;

}  // namespace detail

/// The name under which a message type is known to logs, dead letters and, hashed, to the wire: its qualified C++ name.
template <class M>
inline constexpr std::string_view message_name = detail::declared_name<M>();

/// A question that no protocol needs to name: every actor refuses it (`no_handler`; `no_reply` if it takes what it does not know),
/// but only when it comes to it. So the refusal says that all mail sent before has been handled, wherever the actor is, also by
/// another incarnation. It takes a place in the mailbox.
struct mail_mark {
    using reply = void;
};

}  // namespace coppice
