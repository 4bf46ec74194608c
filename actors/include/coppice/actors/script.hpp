// script: an actor written in Lua 5.4. It receives, sends and asks, joins groups, has timers and watches others as any actor
// does, is supervised as any, and a restart reads its file anew. What Lua calls waiting is an await: no thread is held.
//
//     tree.add(child("rules", in_coroutine, actors::script, actors::script_options{.file = "rules.lua"}));
//
//     for mail in coppice.mails() do                              -- rules.lua
//         if mail.asked then mail:reply(mail.value * 2) end
//     end
//
// Each actor has a Lua state of its own, with limits on memory and on what it does between two awaits, without files,
// processes, bytecode and debugging. Knows the framework's public headers alone; runs on its own scheduler's thread.
// docs/scripts.md has what a script can call.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "coppice/coppice.hpp"

namespace coppice::actors {

/// Bytes that a script's state may hold if its options do not say otherwise: room for tables of some ten thousand entries,
/// and a hundred such actors still fit into a small machine.
inline constexpr std::uint64_t script_memory = 16u << 20;

/// Lua instructions between two awaits if its options do not say otherwise: about a tenth of a second, in which nobody else
/// on the scheduler runs.
inline constexpr std::uint64_t script_instructions = 10'000'000;

/// Bytes of a script file, and of each module; a larger one is refused. A hundred times what people write by hand.
inline constexpr std::size_t script_file_bytes = 1u << 20;

/// Timers that a script has at a time; one more is an error in the script. Each is a coroutine.
inline constexpr std::size_t script_timers = 1024;

/// What to run, and within which limits. Plain data with a wire form, so that a script can be a process of its own too.
struct script_options {
    /// The script, read at every start. Errors name it as it stands here.
    std::string file;
    /// Its text, where there is no file.
    std::string source;
    /// What the script gets as `...`.
    std::vector<std::string> arguments;
    /// Bytes that its state may hold. At the limit the actor ends with an error that names it.
    std::uint64_t memory = script_memory;
    /// Instructions of Lua between two awaits; copying large strings and tables counts, too. At the limit the actor ends with
    /// an error that names script and line; `pcall` does not hold it up.
    std::uint64_t instructions = script_instructions;
    /// What it may `require`: "rates" is rates.lua beside the script's file. Letters, digits and `_`.
    std::vector<std::string> modules;
};

/// The actor. It has started when the script awaits for the first time: one that cannot be read, has a mistake of syntax or
/// fails before that is a start that failed, with file and line, for whoever starts it. A spec with awaits_ready() is told
/// at the script's first receive, or by coppice.ready(). The script's end is the actor's; an error of it is the exit reason.
///
/// Mail: values, requests by any_request, `tagged` and `down`; of another node all messages, since they come as values. A
/// message of a C++ type of this same process is a dead letter, a request `no_handler`: send it as a value.
task<> script(actor<anything> self, script_options options);

/// Whether a script can be read and has no mistake of syntax; it is not run. `io` for what cannot be read or is too large,
/// `invalid_argument` with file, line and what is wrong. Any thread.
[[nodiscard]] result<void> check_script(const script_options& options);

/// From now on deployment files of this process may name scripts, `script = "rules.lua"` (docs/deployment.md). A file that cannot be
/// read or has a mistake of syntax is a mistake of the deployment file. Any thread; before a node reads its file.
void register_scripts() noexcept;

}  // namespace coppice::actors
