// `coppice agent`: a node with nothing but an agent (coppice/agent.hpp), which starts processes here for trees that run elsewhere. The
// one subcommand that is no guest in a tree but a part of one, until it is asked to end. Main thread.
#pragma once
#include <CLI/CLI.hpp>

namespace coppice::command {

/// Its arguments.
void declare_agent(CLI::App& app);
/// Runs it; returns when it has ended in order, by SIGINT, SIGTERM or from afar. Else throws command_failed.
void run_agent();

}  // namespace coppice::command
