// browser_frame: the frames between a browser and its host (schemas/browser.capnp), as a struct, and their bytes.
// Decoding takes anything: what is no frame is an error. Plain functions, any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "coppice/blob.hpp"
#include "coppice/error.hpp"

namespace coppice::actors::browser_parts {

/// The protocol's version, which hello and resume say.
inline constexpr std::uint16_t protocol_version = 1;
/// Bytes of a session's token.
inline constexpr std::size_t token_bytes = 16;
/// Bytes of a text of a frame. As long as a path may be.
inline constexpr std::size_t text_bytes = 4'096;
/// Bytes that a frame has beside its payload, at most: the struct, its pointers, a text.
inline constexpr std::size_t frame_overhead = text_bytes + 256;
/// Flag of resume.
inline constexpr std::uint32_t flag_new_page = 1;

enum class frame_kind : std::uint16_t {
    hello = 1,
    resume = 2,
    welcome = 3,
    refused = 4,
    acknowledge = 5,
    ping = 6,
    pong = 7,
    mail = 16,  // numbered from here on
    ask = 17,
    answer = 18,
    failure = 19,
    join = 20,
    leave = 21,
    publish = 22,
    find = 23,
    found = 24,
    monitor = 25,
    demonitor = 26,
    down = 27,
    bye = 28,
};
template <class Enum>
constexpr std::underlying_type_t<Enum> as_number(Enum e) noexcept {
    return static_cast<std::underlying_type_t<Enum>>(e);
}
constexpr bool is_numbered(frame_kind k) noexcept { return k >= frame_kind::mail; }

/// The fields as schemas/browser.capnp describes them.
struct frame {
    frame_kind kind{};
    std::uint16_t code = 0;
    std::uint32_t flags = 0;
    std::uint64_t sequence = 0;
    std::uint64_t acknowledged = 0;
    std::uint64_t taken = 0;
    std::uint64_t correlation = 0;
    std::uint64_t actor = 0;
    std::uint64_t type = 0;
    std::uint64_t time = 0;
    std::uint32_t window = 0;
    std::uint32_t bytes = 0;
    std::string text{};
    std::vector<std::byte> payload{};
};

[[nodiscard]] blob encode(const frame& f);
/// `bad_message` with what is wrong: no frame, an unknown kind, a text that is too long or no UTF-8.
[[nodiscard]] result<frame> decode_frame(std::span<const std::byte> bytes);

/// The words of a text for people, cut to what a frame holds.
[[nodiscard]] std::string cut_text(std::string text);

}  // namespace coppice::actors::browser_parts
