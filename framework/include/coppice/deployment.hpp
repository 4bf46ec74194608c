// deployment: what a file says about a node and its tree, so that the same program runs elsewhere without a rebuild.
//
//     name = "app"
//     [node]
//     schedulers = 2
//     [[actor]]
//     path = "/app/disk"
//     carrier = "thread"
//
// A node reads its file by itself: node_options::deployment, --coppice-deployment=FILE, COPPICE_DEPLOYMENT. What stands
// here is for tools that check a file or run a tree that consists of other programs alone, and for tests. Plain data;
// any thread. docs/deployment.md has every key.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/rights.hpp"
#include "coppice/supervisor.hpp"

namespace coppice {

/// Where something stands in a file. Both count from 1; columns count characters, not bytes.
struct file_place {
    std::uint32_t line = 1;
    std::uint32_t column = 1;
    friend auto operator<=>(const file_place&, const file_place&) = default;
};

/// An option of the node by its name on the command line, and its value in the same form (node.hpp).
struct deployment_option {
    std::string name;
    std::string value;
    file_place at;
};

/// What a file says of a supervisor; what it does not say stays as it is.
struct supervisor_changes {
    std::optional<coppice::strategy> strategy;
    std::optional<std::uint32_t> restarts;
    std::optional<std::chrono::nanoseconds> window;
    std::optional<std::chrono::nanoseconds> backoff_first;
    std::optional<std::chrono::nanoseconds> backoff_most;
    std::optional<double> jitter;
};

/// A script that an entry names: the actor runs it. What is 0 or empty is left to whoever runs scripts.
struct deployment_script {
    std::string file;
    file_place at;
    std::uint64_t memory = 0;        ///< bytes that it may hold
    std::uint64_t instructions = 0;  ///< that it may run without awaiting anything
    std::vector<std::string> modules;
    std::vector<std::string> arguments;
};

/// Makes a child of that name that runs the script; an error's text says what is wrong with it, and where.
using script_maker = result<child_spec> (*)(const std::string& name, const deployment_script& what);
/// From now on entries may name scripts: `maker` makes their actors. The framework itself runs none; actors::register_scripts()
/// (coppice/actors/script.hpp) calls this. One for the process; any thread, before files are applied.
void register_script_maker(script_maker maker) noexcept;

/// The alternatives of `carrier`, in their order.
enum class carrier_kind : std::uint8_t { coroutine, thread, process };

/// What a file says of one actor; what it does not say stays as it is.
struct actor_changes {
    std::string path;
    file_place at;                                         ///< of its path
    std::vector<std::pair<std::string, file_place>> keys;  ///< that its entry has
    std::optional<carrier_kind> carrier;                   ///< `process` also where it names a program

    std::optional<std::uint32_t> scheduler;     // of a coroutine
    std::optional<coppice::priority> priority;  // of a thread

    std::optional<deployment_script> script;  ///< it runs that, whatever it ran before

    std::optional<std::string> program;  // of a process, to `stuck`
    std::optional<std::vector<std::string>> arguments;
    std::optional<std::string> directory;
    std::vector<std::pair<std::string, std::string>> environment;
    std::optional<std::string> over;
    std::optional<std::string> on;
    std::optional<int> nice;
    std::optional<std::vector<std::uint32_t>> cpus;
    process_limits limits;
    std::optional<std::chrono::nanoseconds> period;
    std::optional<std::uint32_t> misses;
    std::optional<reaction> silent;
    std::optional<reaction> stuck;

    std::optional<coppice::restart> restart;
    std::optional<std::chrono::nanoseconds> shutdown;
    std::optional<std::uint32_t> mailbox;
    std::optional<coppice::overflow> overflow;
    std::optional<bool> significant;
    std::optional<std::chrono::nanoseconds> ready_within;
    std::optional<supervisor_changes> supervisor;  ///< it is a supervisor
};

/// A whole file. Its relative paths are absolute here: they are meant from the directory of the file.
struct deployment {
    std::string file;  ///< as it was named; errors begin with it
    std::optional<std::string> name;
    file_place name_at;
    std::optional<std::string>
        program;  ///< of [node]: what has the actors; a path, or a name to look for in PATH
    file_place program_at;
    std::vector<deployment_option> options;
    std::optional<rights_table> rights;  ///< of [[role]]s
    supervisor_changes root;
    std::vector<actor_changes> actors;  ///< in the order of the file
};

/// Reads a file and checks all that can be checked without the program. The error is `invalid_argument`; its text has a
/// line for each mistake, up to limits::deployment_errors: "app.toml:12:3: unknown key 'carier' in [[actor]]; did you
/// mean 'carrier'?". Files of secrets are not opened.
[[nodiscard]] result<deployment> read_deployment(std::string path);
/// The same for a text; `file_name` stands in errors, and its directory is where relative paths begin.
[[nodiscard]] result<deployment> parse_deployment(std::string_view text, std::string file_name);

/// Changes the tree of a node of that name as the file says. An entry changes the child with its path; if there is
/// none, an entry with a program, a script or a supervisor adds it, last. With an error, of the form above, the tree is as it
/// was.
[[nodiscard]] result<void> apply(const deployment& file, const std::string& node_name, supervisor_spec& tree);

/// The tree that the file alone describes: programs, scripts and supervisors. The file must have a name.
[[nodiscard]] result<supervisor_spec> tree_of(const deployment& file);

/// How describe_tree writes.
enum class tree_form : std::uint8_t { text, json };

/// What a node of that name would start: for people a line an actor, children below their supervisors; or a line of JSON,
/// with keys and values as a deployment file has them (docs/command_line.md). Of a path for which `elsewhere` is true
/// only the path is told, since what it is, another knows.
[[nodiscard]] std::string describe_tree(const std::string& node_name, const supervisor_spec& tree,
                                        tree_form form,
                                        const std::function<bool(std::string_view path)>& elsewhere = {});

}  // namespace coppice
