// `coppice script`: runs an actor that is written in Lua (coppice/actors/script.hpp), in a node of its own, or as the
// process child that a deployment file or a supervisor makes of this program. Main thread.
#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace coppice::command {

/// Declares the subcommands of `script`; `file` gets the one that is named.
void declare_script(CLI::App& app, std::string& file);
/// The one that was given. The process's exit code, as node::run's.
int run_script(const std::string& file);

}  // namespace coppice::command
