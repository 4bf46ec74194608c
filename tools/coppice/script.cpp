// The arguments of `coppice script run`, and the node or the process child that they make; see script.hpp.
// Main thread, before any other.
#include "script.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <vector>

#include "coppice/actors/script.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "guest.hpp"
#include "script_record.hpp"

namespace coppice::command {

namespace {

struct script_arguments {
    std::string node;
    std::string tree;
    bool records = false;
    actors::script_options script;
    bool supervised = false;
} asked;

// Of a file's name what a node's may have.
std::string node_named_after(const std::string& file) {
    std::string name = std::filesystem::path{file}.stem().string();
    std::erase_if(name, [](unsigned char c) { return !std::isalnum(c) && c != '-' && c != '_'; });
    return name.empty() ? "script" : name;
}

}  // namespace

void declare_script(CLI::App& app, std::string& file) {
    app.require_subcommand(1);
    CLI::App* run = app.add_subcommand("run", "run a script as an actor, until it ends");
    run->add_option("FILE", file, "the script, in Lua 5.4; what follows it are its arguments")->required();
    run->prefix_command();
    run->add_option(
        "--tree", asked.tree,
        "name of a tree that runs here, whose actors it can find; its node is then below that one's");
    run->add_option("--node", asked.node, "name of its node, and of the tree; else the file's");
    run->add_option("--memory", asked.script.memory, "bytes that it may hold")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    run->add_option("--instructions", asked.script.instructions,
                    "of Lua, that it may run without awaiting anything")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    run->add_option("--module", asked.script.modules,
                    "what it may require, from beside the file; any number");
    run->add_flag("--supervised", asked.supervised,
                  "start it again, and read it anew, whenever it ends: coppice restart /NODE/script");
    run->callback([run] { asked.script.arguments = run->remaining(); });
    CLI::App* record =
        app.add_subcommand("record", "write a script that sends again what an actor takes from now on");
    declare_record(*record);
    record->callback([] { asked.records = true; });
}

int run_script(const std::string& file) {
    if (asked.records) return run_record();
    asked.script.file = file;
    register_builtin_transports();
    std::string name = asked.node.empty() ? node_named_after(file) : asked.node;
    std::string words[] = {"coppice"};
    char* argv[] = {words[0].data(), nullptr};
    int argc = 1;
    if (is_child()) return run_as_child(argc, argv, actors::script, asked.script);
    if (const auto readable = actors::check_script(asked.script); !readable) {
        std::fprintf(stderr, "coppice: %s\n", std::string{readable.error().text()}.c_str());
        return static_cast<int>(run_result::start_failed);
    }
    node_options o;
    o.control = true;  // it is run to be looked at and talked to
    if (!asked.tree.empty()) o.network.parent = "unix://" + tree_named(asked.tree) + ".control";
    auto script = child("script", in_coroutine, actors::script, asked.script);
    if (!asked.supervised) script.restarts(restart::temporary).significant();
    return node{std::move(name), argc, argv, o}.run(supervisor_spec{}.add(std::move(script)));
}

}  // namespace coppice::command
