// The rows of cross.cpp, and what they have in common with fanin in raw_core.cpp.
#pragma once

#include <cstdint>

#include "program.hpp"

namespace raw {

inline constexpr std::uint64_t senders = 4;
inline constexpr std::uint32_t mailbox_limit = 1024;

void fanin_cross(const bench::reporter& out);
void pingpong_cross_sleep(const bench::reporter& out);
void pingpong_cross_poll(const bench::reporter& out);

}  // namespace raw
