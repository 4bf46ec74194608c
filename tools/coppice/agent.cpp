// The arguments of `coppice agent`, and the node that they make; see agent.hpp.
// Main thread; before the node there are no others, so that the environment may be changed.
#include "agent.hpp"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "coppice/agent.hpp"
#include "coppice/log.hpp"
#include "coppice/node.hpp"
#include "coppice/transport/builtin.hpp"
#include "exit_code.hpp"

namespace coppice::command {

namespace {

struct arguments {
    std::string name;
    std::string parent;
    std::vector<std::string> listen;
    std::vector<std::string> programs;
    std::vector<std::string> environment;
    std::vector<std::string> nodes;
    std::string directory;
    std::string secret_env;
    std::string secret_file;
    std::uint32_t most = limits::agent_processes;
    std::uint32_t hold_ms = 60'000;
    std::string level = "info";
} said;

constexpr std::size_t shortest_secret = 16;

// Neither in what is started, nor to be read from this process's environment by others of its user.
std::string secret() {
    std::string text;
    if (!said.secret_env.empty()) {
        const char* const value = std::getenv(said.secret_env.c_str());
        if (value) text = value;
        ::unsetenv(said.secret_env.c_str());
    } else if (!said.secret_file.empty()) {
        std::ifstream file{said.secret_file};
        std::getline(file, text);
    } else {
        return {};
    }
    if (text.size() < shortest_secret)
        throw command_failed{
            exit_code::usage,
            said.secret_env.empty()
                ? "--secret-file " + said.secret_file +
                      ": expected a readable file whose first line has at least 16 bytes"
                : "--secret-env " + said.secret_env +
                      ": expected a variable, whose name does not begin with COPPICE_, of at least 16 bytes"};
    return text;
}

}  // namespace

void declare_agent(CLI::App& app) {
    app.add_option("NAME", said.name,
                   "of its node: children say on(\"NAME\"), deployment files on = \"NAME\"")
        ->required();
    app.add_option("--parent", said.parent, "where the tree listens");
    app.add_option("--listen", said.listen, "where the tree's root dials it (--coppice-children)");
    app.add_option("--allow", said.programs, "a program that may be started; by default none")->required();
    app.add_option("--allow-env", said.environment, "a variable that may be set for what is started");
    app.add_option("--allow-node", said.nodes, "a node that may link; by default all that know the secret");
    app.add_option("--directory", said.directory, "where it is started; other directories must be in it");
    app.add_option("--most", said.most, "processes at once")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--secret-env", said.secret_env, "the variable that holds the secret of the links");
    app.add_option("--secret-file", said.secret_file, "the file whose first line is that secret")
        ->excludes("--secret-env");
    app.add_option("--hold-ms", said.hold_ms, "how long the tree may be out of reach")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--level", said.level, "log this level and above, to standard error")
        ->capture_default_str()
        ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));
}

void run_agent() {
    if (said.parent.empty() && said.listen.empty())
        throw command_failed{exit_code::usage,
                             "an agent has --parent or --listen: else no tree can ask it for anything"};
    node_options o;
    o.network.parent = said.parent;
    o.network.listen = said.listen;
    o.network.allow = said.nodes;
    o.network.secret = secret();
    o.network.hold = std::chrono::milliseconds{said.hold_ms};
    bool known = true;
    o.level = level_of(said.level, known);  // declare_agent() lets no others pass
    agent_options allowed;
    for (std::string& path : said.programs) allowed.programs.emplace_back(std::move(path));
    allowed.environment = std::move(said.environment);
    allowed.directory = std::move(said.directory);
    allowed.most = said.most;
    register_builtin_transports();
    supervisor_spec tree;
    tree.add(agent(std::move(allowed)));
    const int code = node{said.name, o}.run(std::move(tree));
    if (code == static_cast<int>(run_result::bad_options))
        throw command_failed{exit_code::usage, "agent " + said.name + " has options that are not understood"};
    if (code != static_cast<int>(run_result::ok))
        throw command_failed{exit_code::failed,
                             "agent " + said.name + " did not start, or did not end in order"};
}

}  // namespace coppice::command
