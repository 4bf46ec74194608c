// `coppice broker`: a node with nothing but a broker, for programs that are no part of any tree. It is no guest, and ends on SIGINT
// or SIGTERM. Main thread.
#pragma once
#include <CLI/CLI.hpp>

namespace coppice::command {

/// Its arguments.
void declare_broker(CLI::App& app);
/// Runs it; returns when it has ended in order. Else throws command_failed.
void run_broker();

}  // namespace coppice::command
