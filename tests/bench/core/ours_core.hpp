// What the rows of Coppice share: the node that a row runs on, the message, the ping-pong and the fan-in actors that the
// rows of one thread and of two have in common. Included by ours_core.cpp and ours_cross.cpp alone.
#pragma once

#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "coppice/coppice.hpp"

#include "program.hpp"

namespace ours {

inline constexpr std::uint64_t senders = 4;
inline constexpr std::uint32_t mailbox_limit = 1024;

struct number {
    std::uint64_t value = 0;
};

/// Of a node that a row runs on: so many schedulers, silent, sleeping when there is nothing to do unless told to poll.
inline coppice::node_options options(std::uint32_t schedulers, std::chrono::microseconds poll = {}) {
    coppice::node_options chosen;
    chosen.schedulers = schedulers;
    chosen.poll = poll;
    chosen.level = coppice::level::off;
    chosen.log_terminal = false;
    chosen.handle_signals = false;
    return chosen;
}

/// Runs a node until `row` has ended by itself. `others` are started before it.
inline void run_node(const coppice::node_options& chosen, coppice::child_spec row,
                     coppice::supervisor_spec others = {}) {
    coppice::node on{"bench", chosen};
    others.add(std::move(row).restarts(coppice::restart::temporary).significant());
    bench::require(on.run(std::move(others)) == 0, "the tree ends cleanly");
}
inline void run_node(std::uint32_t schedulers, coppice::child_spec row,
                     coppice::supervisor_spec others = {}) {
    run_node(options(schedulers), std::move(row), std::move(others));
}

// ---- actors of several rows (ours_cross.cpp)

/// Returns each number to `peer`.
coppice::task<> ponger(coppice::actor<coppice::protocol<number>> self,
                       coppice::ref<coppice::protocol<number>> peer);
/// Plays so many rounds with a ponger that it spawns, and writes down how long that took.
coppice::task<> timed_pinger(coppice::actor<coppice::protocol<number>> self, std::uint64_t rounds,
                             bench::clock::duration* taken);
/// Sends `count` ones to `target`, waiting for room in its mailbox.
coppice::task<> sender(coppice::actor<coppice::protocol<>> self,
                       coppice::ref<coppice::protocol<number>> target, std::uint64_t count);

// ---- rows of two threads (ours_cross.cpp)

void pairs8(const bench::reporter& out);
void fanin_cross(const bench::reporter& out);
void pingpong_cross_sleep(const bench::reporter& out);
void pingpong_cross_poll(const bench::reporter& out);

}  // namespace ours
