// What a process child and its parent say to each other over the child's channel (docs/processes.md): who it is, signs of life,
// log records, its end. It works when links do not, and what a child has said before it dies is still heard.
// Each record is one message in the wire form of coppice/wire.hpp. Pure functions; any thread.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/exit_reason.hpp"
#include "coppice/supervisor.hpp"
#include "coppice/wire_reference.hpp"

namespace coppice::detail {

inline constexpr std::uint16_t channel_version = 1;

// ---- to the child

/// The first record: its place in the tree.
struct channel_join {
    std::uint16_t version = channel_version;
    std::uint64_t generation = 0;  // of the child; its records bear it
    std::string path;              // "/app/vision", which is also its node's name
    std::string endpoint;          // where its parent awaits its link
    std::string secret;            // by which both know each other there; of this process alone
    std::uint32_t parent_pid = 0;
    wire_reference parent;  // the parent's actor
    std::chrono::nanoseconds period{};
    std::uint32_t misses = 1;
    std::chrono::nanoseconds hold{};  // how long it waits for a parent that is silent
    std::chrono::nanoseconds shutdown_within{};
    std::optional<std::int32_t> nice;
    std::vector<std::uint32_t> cpus;
    process_limits limits;
    std::uint8_t level = 2;
    std::vector<std::pair<std::string, std::uint8_t>> levels;
    std::vector<std::byte> child;  // write_child() of what is to run; empty: the program knows
    std::string rights;            // to_text() of its parent's; empty: none
};
/// The parent lives.
struct channel_parent_beat {
    std::uint64_t number = 0;
};
/// Its actor is to end.
struct channel_stop {
    bool drain = false;
};

// ---- from the child

/// Its actor is ready.
struct channel_ready {
    std::uint64_t generation = 0;
    std::uint64_t node = 0;
    std::uint64_t actor = 0;
};
/// The child lives, and this is what its schedulers do.
struct channel_beat {
    std::uint64_t generation = 0;
    std::uint64_t number = 0;
    std::chrono::nanoseconds handler_age{};  // of the handler that has been running longest
    std::string handler;                     // whose it is; empty: none runs longer than a period
};
struct channel_log {
    std::uint32_t pid = 0;  // whose it is: the child's, or one's below it
    std::uint8_t level = 0;
    std::string path;
    std::string text;
    std::uint64_t dropped = 0;  // before it, because the parent did not take them
};
/// Where it awaits children of its own: if it dies, its parent removes what stays behind there.
struct channel_place {
    std::string endpoint;
};
/// The child has found its parent silent, or alive again.
struct channel_found_parent {
    bool silent = false;
    std::chrono::nanoseconds for_{};
};
/// Its actor has ended; the process follows. An exit_notice of net::control.
struct channel_ended {
    std::uint64_t generation = 0;
    std::vector<std::byte> notice;
};

struct channel_record_body {
    std::variant<channel_join, channel_parent_beat, channel_stop, channel_ready, channel_beat, channel_log,
                 channel_found_parent, channel_ended, channel_place>
        what;
};

[[nodiscard]] std::vector<std::byte> encode_channel(channel_record_body r);
/// bad_message.
[[nodiscard]] result<channel_record_body> decode_channel(std::span<const std::byte> bytes);

[[nodiscard]] std::vector<std::byte> encode_reason(const exit_reason& reason);
[[nodiscard]] result<exit_reason> decode_reason(std::span<const std::byte> bytes);

}  // namespace coppice::detail
