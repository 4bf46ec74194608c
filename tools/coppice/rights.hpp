// `coppice rights`: tells what a deployment file's roles let somebody do, and which rule decides. Main thread.
#pragma once
#include <string>

#include <CLI/CLI.hpp>

namespace coppice::command {

/// Declares the subcommands of `rights`; `file` gets the deployment file.
void declare_rights(CLI::App& app, std::string& file);
/// Prints the decision. The exit code: ok if it is allowed, refused if not.
int explain_rights(const std::string& file);

}  // namespace coppice::command
