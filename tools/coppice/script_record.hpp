// `coppice script record`: follows the mail of an actor in a running tree and writes a script that sends it again. Main thread.
#pragma once
#include <CLI/CLI.hpp>

namespace coppice::command {

void declare_record(CLI::App& app);
/// The exit code. Throws command_failed.
int run_record();

}  // namespace coppice::command
