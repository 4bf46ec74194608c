// Timers of scripts; see script_timers.hpp. What a timer has in the registry and in the machine goes with its task, however
// that ends: it may be cancelled, fail, or end with the actor.
#include "script_timers.hpp"

#include <algorithm>
#include <string>

#include <lauxlib.h>

#include "script_mail.hpp"

namespace coppice::actors::script_parts {

namespace {

using nanoseconds = std::chrono::nanoseconds;

// Takes the timer out of the table, and the function out of the registry, however the task ends.
struct timer_end {
    std::shared_ptr<machine> m;
    std::uint64_t number;
    thread function;
    timer_end(std::shared_ptr<machine> of, std::uint64_t n, thread f) noexcept
        : m{std::move(of)}, number{n}, function{f} {}
    timer_end(timer_end&&) = delete;
    ~timer_end() {
        m->drop(function);
        m->timers.erase(number);
    }
};

task<> run_timer(actor<anything> self, std::shared_ptr<machine> m, std::uint64_t number, thread function,
                 nanoseconds delay, nanoseconds period) {
    const timer_end end{m, number, function};
    for (auto due = self.now() + delay;;) {
        co_await self.sleep(due - self.now());
        auto state = m->timers.find(number);
        if (state->second.cancelled) co_return;
        state->second.runs = true;
        auto failure = std::make_shared<std::string>();
        // `function` holds the function itself; each run has a coroutine of its own.
        const thread t = m->thread_for(function);
        if (!co_await run_to_end(self, m, t, {}, false, failure)) throw script_failed{*failure};
        state = m->timers.find(number);
        state->second.runs = false;
        if (state->second.cancelled || period.count() == 0) co_return;
        // A fixed rate; what was missed is skipped.
        due += period;
        if (const auto now = self.now(); due < now) due += (now - due) / period * period + period;
    }
}

int start(lua_State* l, nanoseconds delay, nanoseconds period) {
    luaL_checktype(l, 2, LUA_TFUNCTION);
    machine& m = machine::of(l);
    if (m.timers.size() >= script_timers)
        return luaL_error(l, "a script has at most %d timers", static_cast<int>(script_timers));
    lua_settop(l, 2);
    const thread function = m.new_thread(l);
    const std::uint64_t number = ++m.last_timer;
    m.timers.try_emplace(number);
    m.timers[number].task =
        m.self().spawn_task(run_timer(m.self(), m.shared_from_this(), number, function, delay, period));
    lua_pushinteger(l, static_cast<lua_Integer>(number));
    return 1;
}

int after(lua_State* l) { return start(l, duration_at(l, 1), nanoseconds{0}); }
int every(lua_State* l) {
    const nanoseconds period = duration_at(l, 1);
    if (period < shortest_period) return luaL_error(l, "coppice.every: a period is at least a millisecond");
    return start(l, period, period);
}

// One whose function runs ends with that run.
int cancel(lua_State* l) {
    auto& timers = machine::of(l).timers;
    const auto at = timers.find(static_cast<std::uint64_t>(luaL_checkinteger(l, 1)));
    if (at == timers.end()) return 0;
    at->second.cancelled = true;
    if (!at->second.runs && at->second.task) at->second.task->cancel();
    return 0;
}

}  // namespace

void open_timers(lua_State* l) {
    static constexpr luaL_Reg functions[] = {{"after", called<&after>},
                                             {"every", called<&every>},
                                             {"cancel", called<&cancel>},
                                             {nullptr, nullptr}};
    luaL_setfuncs(l, functions, 0);
}

}  // namespace coppice::actors::script_parts
