// What an agent (coppice/agent.hpp) and a supervising node say to each other of one process: plain messages between the agent and
// the supervising node's courier (remote_process.hpp), in order, each way in one lane. Records of the process's channel travel
// within them as they are. A process is named by a number of the courier's, together with who that is.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/protocol.hpp"
#include "coppice/rights.hpp"

namespace coppice::agent_talk {

// ---- to the agent

struct start {
    std::uint64_t number = 0;
    std::string program;
    std::vector<std::string> arguments;
    std::vector<std::pair<std::string, std::string>> environment;
    std::string directory;
    std::string transport;
    /// The first record of its channel (a channel_join), but for where the agent awaits its link and by which secret: those never
    /// leave the agent's host.
    std::vector<std::byte> join;
    [[nodiscard]] demand needs() const { return {right::spawn, {}}; }
};
/// A record for its channel. That the supervising node lives is answered by `lives`.
struct tell {
    std::uint64_t number = 0;
    bool is_beat = false;
    std::vector<std::byte> record;
    [[nodiscard]] demand needs() const { return {right::spawn, {}}; }
};
/// SIGTERM or SIGKILL; others are not passed on.
struct signal {
    std::uint64_t number = 0;
    std::int32_t what = 0;
    [[nodiscard]] demand needs() const { return {right::spawn, {}}; }
};
/// So much of what was told has been taken: there is room for as much.
struct took {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    [[nodiscard]] demand needs() const { return {right::spawn, {}}; }
};

using protocol = coppice::protocol<start, tell, signal, took>;

// ---- to the supervising node

struct started {
    std::uint32_t pid = 0;
};
/// It was not. The last that is told.
struct refused {
    std::uint16_t code = 0;
    std::string text;
};
/// Its node has linked to the agent's.
struct linked {
    std::uint64_t node = 0;
};
struct record {
    std::vector<std::byte> bytes;
};
struct channel_closed {};
struct line {
    bool of_standard_error = false;
    std::string text;
};
/// So many records of its log and lines of its outputs were not told, for want of room.
struct dropped {
    std::uint64_t records = 0;
    std::uint64_t lines = 0;
};
/// The agent lives, and its process is in that state, by the letter of /proc/PID/stat.
struct lives {
    std::uint8_t state = 0;
};
/// The agent is being stopped, and with it the process.
struct agent_ends {};
/// How it ended. The last that is told.
struct over {
    std::int32_t code = 0;
    bool by_signal = false;
    bool dumped_core = false;
};

struct told {
    std::uint64_t number = 0;
    std::variant<started, refused, linked, record, channel_closed, line, dropped, lives, agent_ends, over>
        what;
};

/// What a `told` of so many bytes of record or line counts for.
constexpr std::uint64_t weight(std::size_t bytes) noexcept { return bytes + 64; }

using courier_protocol = coppice::protocol<told>;

}  // namespace coppice::agent_talk
