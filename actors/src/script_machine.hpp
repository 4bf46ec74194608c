// script_machine: one actor's Lua state: its limits, what a script can reach, and how its coroutines are resumed.
// It runs Lua and awaits nothing: where a script waits, resume() gives a wish, and script.cpp fulfils it.
//
//     script.cpp  ── resume(thread, answer) ──►  Lua runs, calls coppice.* (script_calls.cpp)
//                 ◄── wish: receive, ask ... ──  it yields
//
// Limits: the allocator counts and refuses; a hook counts instructions. Who has reached a limit is doomed: resume() throws, and
// until then every further instruction of it is an error, so that no pcall goes on. Its scheduler's thread alone.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <lua.h>

#include "coppice/actors/script.hpp"
#include "coppice/on_behalf.hpp"
#include "coppice/own_task.hpp"
#include "coppice/value.hpp"

namespace coppice::actors::script_parts {

/// The script has failed. Its text begins with file and line, where there is one.
class script_failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// What a coroutine of a script waits for.
struct wish {
    enum class kind : std::uint8_t { receive, ask, sleep, find, fail };
    static constexpr std::chrono::nanoseconds for_ever = std::chrono::nanoseconds::max();
    kind what = kind::sleep;
    std::chrono::nanoseconds within = for_ever;
    ref<anything> to{};
    value content{};
    std::vector<std::string> types{};  // of receive; empty: any
    std::string text{};                // of find, the path; of fail
};

/// Pushes what a wish came to and returns how many values; runs protected, on a stack of its own.
using answer = std::function<int(lua_State*)>;

/// A coroutine of the script that C++ resumes: the script itself, or the function of a timer.
struct thread {
    lua_State* lua = nullptr;
    int anchor = 0;  // in the registry
};

class machine : public std::enable_shared_from_this<machine> {
public:
    machine(actor<anything> self, script_options options);
    ~machine();
    machine(const machine&) = delete;
    machine& operator=(const machine&) = delete;

    /// The machine that this state belongs to.
    static machine& of(lua_State* l) noexcept { return **static_cast<machine**>(lua_getextraspace(l)); }

    /// Reads the script. Throws script_failed.
    thread load();
    /// Runs the coroutine until it waits (a wish) or ends (empty). Throws script_failed.
    std::optional<wish> resume(thread t, const answer& with);
    /// Forgets a coroutine that is not resumed any more.
    void drop(thread t) noexcept;

    // ---- for what a script calls
    /// Counts work that is no instruction; the next instruction finds that the limit is reached.
    void charge(std::uint64_t instructions) noexcept { used_ += instructions; }
    /// More than the limit has been done. Whoever loops in C++ for a script looks at it.
    [[nodiscard]] bool is_over() const noexcept { return limited_ && used_ > options_.instructions; }
    /// The coroutine that runs waits for this. Does not return.
    int wait_for(lua_State* l, wish w);
    /// A coroutine around the function on top of that stack, which is popped.
    thread new_thread(lua_State* l);
    [[nodiscard]] const script_options& options() const noexcept { return options_; }
    [[nodiscard]] const actor<anything>& self() const noexcept { return self_; }
    /// What the script does to others goes by way of this: it may have a role.
    [[nodiscard]] const on_behalf& as_script() const noexcept { return as_script_; }
    /// A coroutine more around the function that `function` was made with and has not been resumed with.
    thread thread_for(thread function);
    /// What the address of stands for on Lua's side: a yield that is a wish.
    static void* wait_mark() noexcept;
    /// Text of a module that the script may require. Throws script_failed.
    [[nodiscard]] std::string read_module(const std::string& name) const;

    // ---- what the actor keeps over awaits
    struct timer_state {
        std::optional<own_task<void>> task;
        bool cancelled = false;
        bool runs = false;  // its function does
    };
    std::map<std::uint64_t, timer_state> timers;
    std::uint64_t last_timer = 0;
    std::optional<ref<anything>> ref_reader;  // script_refs.hpp; started when it is needed

private:
    static void* allocate(void* machine, void* block, std::size_t old_size, std::size_t new_size) noexcept;
    static void on_count(lua_State* l, lua_Debug* at);
    static int on_panic(lua_State* l);
    void open(lua_State* l);
    int protect(const answer& body);
    [[nodiscard]] std::string describe_failure(lua_State* l, int status) const;
    [[nodiscard]] std::string memory_text(const std::string& place) const;
    [[nodiscard]] std::string instructions_text(const std::string& place) const;

    actor<anything> self_;
    script_options options_;
    std::string name_;  // in errors
    on_behalf as_script_;
    lua_State* main_ = nullptr;
    lua_State* running_ = nullptr;  // the coroutine that resume() runs

    std::uint64_t held_ = 0;      // bytes
    std::size_t refused_ = 0;     // size of the allocation that was refused last
    std::uint64_t used_ = 0;      // instructions since the last await
    int quantum_ = 1;             // instructions between two looks
    bool limited_ = false;        // Lua of the script runs, so the limits hold
    bool out_of_memory_ = false;  // after a collection, too
    std::string doom_;            // the limit that was reached
    std::optional<wish> wish_;
};

/// Of a state that a script has not touched: what it may use, in place of what Lua comes with. script_sandbox.cpp.
void open_sandbox(lua_State* l);
/// The table `coppice`. script_calls.cpp.
void open_calls(lua_State* l);

/// `where`'s name as Lua has it in errors.
[[nodiscard]] std::string name_in_errors(const script_options& options);
/// What rights know it by, "script:rules": the file's name without .lua; of one without a file the last part of its actor's path.
[[nodiscard]] std::string principal_of(const script_options& options, const std::string& actor_path);
/// A whole file, or the source. Throws script_failed.
[[nodiscard]] std::string read_script(const script_options& options);

/// Calls a function of C++ for Lua: an exception of it becomes an error of Lua's. What Lua itself throws passes.
template <int (*F)(lua_State*)>
int called(lua_State* l) {
    try {
        return F(l);
    } catch (const std::exception& e) {
        lua_pushstring(l, e.what());
    }
    return lua_error(l);
}

}  // namespace coppice::actors::script_parts
