// Deployment files on the command line: told before they are used, and run. What only a program can know of its actors, the
// program is asked for. Main thread; nothing of it joins a tree.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace coppice::command {

/// Prints the tree that the file describes; its mistakes, each with its place, throw. With a program, that one tells
/// what it would start by the file, within the time; empty: the file's.
void check_file(const std::string& file, const std::optional<std::string>& program, bool json,
                std::chrono::nanoseconds within);

/// Runs the tree: as the program that the file names, which this process becomes; or, if its actors are programs and
/// supervisors alone, here. `options` are NAME=VALUE of the node, which go before the file. Returns run_result.
int run_file(const std::string& file, const std::vector<std::string>& options,
             const std::vector<std::string>& arguments);

}  // namespace coppice::command
