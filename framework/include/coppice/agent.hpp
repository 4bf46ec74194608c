// An agent: lets supervisors on other nodes start processes on this one (docs/processes.md). It stands in a tree as any child, by
// the name "agent" right below the root, where process_carrier::on(node) looks for it; `coppice agent` is a node with nothing else.
//
//     supervisor_spec tree;                                       // on host b, in a node named "b"
//     tree.add(agent({.programs = {"/opt/app/bin/vision"}}));
//
//     child("vision", in_process("/opt/app/bin/vision").on("b"))  // on host a
//
// It starts what its list allows and nothing else. It is the parent process of what it starts: their outputs, records and end go by
// way of it, their node links to its node, and they go with it.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coppice/options.hpp"
#include "coppice/supervisor.hpp"

namespace coppice {

/// A program that an agent may start. Whoever may change that file, or a directory above it, decides what runs.
struct allowed_program {
    std::string path;  ///< absolute; symbolic links in it are followed once, when the agent starts
    /// What it must be started with, exactly; none: with whatever is asked for. A shell or an interpreter on the list with
    /// arguments at will allows everything.
    std::optional<std::vector<std::string>> arguments;

    allowed_program(const char* p) : path{p} {}  // NOLINT(google-explicit-constructor): a path is one
    allowed_program(std::string p) : path{std::move(p)} {}  // NOLINT(google-explicit-constructor)
    allowed_program(std::string p, std::vector<std::string> exactly)
        : path{std::move(p)}, arguments{std::move(exactly)} {}
};

/// What an agent allows. By default nothing.
struct agent_options {
    std::vector<allowed_program> programs;
    /// This program again, for functions of its own: for agents in nodes of a program that others run elsewhere.
    bool own_program = false;
    /// Names of variables that may be set or removed for a process, beside those of the agent. Those that change what a program
    /// loads or runs (LD_*, PATH, IFS, ENV, BASH_ENV and their like) and COPPICE_* are refused even if they stand here.
    std::vector<std::string> environment;
    /// Where processes run, and the directory that those that are asked for must be in. Empty: the agent's own, and no other.
    std::string directory;
    /// Processes at once.
    std::uint32_t most = limits::agent_processes;
};

/// The agent as a child. It ends its processes, in order, when it is stopped; killed, it takes them with it.
[[nodiscard]] child_spec agent(agent_options options, std::string name = "agent");

}  // namespace coppice
