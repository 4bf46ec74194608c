// script_timers: coppice.after and coppice.every. A timer is a task of the actor that sleeps and then runs a coroutine of
// the script, which may wait itself; the next run of an `every` comes when the last one has ended. On the actor's thread.
#pragma once
#include <chrono>
#include <memory>
#include <optional>

#include <lua.h>

#include "script_machine.hpp"

namespace coppice::actors::script_parts {

/// The shortest period: a timer is no way to keep a scheduler busy.
inline constexpr std::chrono::nanoseconds shortest_period = std::chrono::milliseconds{1};

/// What the prelude makes coppice.after and coppice.every of; once a state, with `coppice` on top of the stack.
void open_timers(lua_State* l);

/// Runs a coroutine of the script to its end, fulfilling what it waits for. In script.cpp. False: it asked the actor to fail,
/// with the text in `failure`.
task<bool> run_to_end(actor<anything> self, std::shared_ptr<machine> m, thread t, answer first, bool is_main,
                      std::shared_ptr<std::string> failure);

}  // namespace coppice::actors::script_parts
