// See deploy.hpp. A program is asked by starting it with --coppice-check: its node tells the tree and does not start it.
//
// Without a program, actors that are neither programs nor supervisors of the file are taken to be there: each gets a stand-in, so
// that everything else about the file can be checked by the reader that will take it.
#include "deploy.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>

#include "coppice/actors/script.hpp"
#include "coppice/coppice.hpp"
#include "coppice/deployment.hpp"
#include "coppice/transport/builtin.hpp"
#include "exit_code.hpp"
#include "fields.hpp"

namespace coppice::command {

namespace {

using std::chrono::nanoseconds;

deployment readable(const std::string& file) {
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored))
        throw command_failed{exit_code::not_found, "there is no file " + file};
    auto read = read_deployment(file);
    if (!read) throw mistaken_file{std::string{read.error().text()}};
    return *std::move(read);
}

// ---------------------------------------------------------------- without a program

task<> stand_in(actor<anything>) { co_return; }

/// The tree that the program must have for the file to be right, as far as the file tells: a stand-in for each actor that it
/// changes and does not add, and for the supervisors above.
class assumed {
public:
    explicit assumed(const deployment& d) : d_{d}, node_{d.name.value_or(node_of_first(d))} {
        std::set<std::string> added;  // by an entry so far
        for (const actor_changes& a : d.actors) {
            if (!a.path.starts_with("/" + node_ + "/")) continue;  // refused when the file is applied
            const bool adds = a.program || a.supervisor || a.script;
            std::string missing = adds ? parent_of(a.path) : a.path;
            while (added.contains(missing)) missing = parent_of(missing);
            if (!adds) missing = a.path;
            stands_for(missing);
            has_below_.insert(parent_of(a.path));
            if (adds) added.insert(a.path);
        }
    }
    [[nodiscard]] const std::string& node() const noexcept { return node_; }
    [[nodiscard]] supervisor_spec tree() const { return below("/" + node_); }
    [[nodiscard]] bool has(std::string_view path) const { return stand_ins_.contains(path); }
    [[nodiscard]] bool is_empty() const noexcept { return stand_ins_.empty(); }

private:
    static std::string node_of_first(const deployment& d) {
        if (d.actors.empty()) return "app";
        const std::string& path = d.actors.front().path;
        return path.substr(1, path.find('/', 1) - 1);
    }
    void stands_for(const std::string& path) {
        if (path == "/" + node_ || !stand_ins_.insert(path).second) return;
        stands_for(parent_of(path));
        children_[parent_of(path)].push_back(path);
        has_below_.insert(parent_of(path));
    }
    [[nodiscard]] supervisor_spec below(const std::string& path) const {
        supervisor_spec tree;
        const auto children = children_.find(path);
        if (children == children_.end()) return tree;
        for (const std::string& one : children->second) {
            const std::string name = one.substr(path.size() + 1);
            tree.add(has_below_.contains(one) ? supervisor(name, below(one), carrier_of(one))
                                              : child(name, carrier_of(one), &stand_in));
        }
        return tree;
    }
    // One that the keys of its entry are for: whether it is so, the program knows.
    [[nodiscard]] carrier carrier_of(const std::string& path) const {
        const auto a = std::find_if(d_.actors.begin(), d_.actors.end(),
                                    [&](const actor_changes& one) { return one.path == path; });
        if (a == d_.actors.end() || a->carrier) return in_coroutine;  // the entry says it itself
        for (const auto& [key, at] : a->keys) {
            if (key == "priority") return thread_carrier{};
            for (const char* of_process :
                 {"arguments", "directory", "environment", "over", "nice", "cpus", "limits", "heartbeat"})
                if (key == of_process) return process_carrier{};
        }
        return in_coroutine;
    }

    const deployment& d_;
    std::string node_;
    std::set<std::string, std::less<>> stand_ins_;
    std::set<std::string> has_below_;
    std::map<std::string, std::vector<std::string>> children_;  // by their parent, in the order of the file
};

void check_alone(const deployment& d, bool json) {
    const assumed what{d};
    supervisor_spec tree = what.tree();
    if (auto applied = apply(d, what.node(), tree); !applied)
        throw mistaken_file{std::string{applied.error().text()}};
    const auto elsewhere = [&](std::string_view path) { return what.has(path); };
    std::fputs(describe_tree(what.node(), tree, json ? tree_form::json : tree_form::text, elsewhere).c_str(),
               stdout);
    if (!what.is_empty())
        std::fputs("Which actors the program has, only the program knows: ask it by --program.\n", stderr);
}

// ---------------------------------------------------------------- with one

struct descriptor {
    int fd = -1;
    ~descriptor() { close(); }
    void close() {
        if (fd >= 0) ::close(fd);
        fd = -1;
    }
};

// All that is written there, until all who could write have closed it. False if that takes too long.
bool read_all(int from, std::string& text, nanoseconds within) {
    const auto until = std::chrono::steady_clock::now() + within;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        pollfd ready{from, POLLIN, 0};
        const int seen =
            left.count() <= 0
                ? 0
                : ::poll(&ready, 1, static_cast<int>(std::min<std::int64_t>(left.count(), INT32_MAX)));
        if (seen == 0) return false;
        if (seen < 0) continue;  // a signal
        char piece[4096];
        const ssize_t n = ::read(from, piece, sizeof piece);
        if (n == 0) return true;
        if (n > 0) text.append(piece, static_cast<std::size_t>(n));
    }
}

void ask_program(const std::string& program, const std::string& file, bool json, nanoseconds within) {
    constexpr int told_at = 3;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        throw command_failed{exit_code::failed, std::string{"pipe: "} + std::strerror(errno)};
    descriptor out{ends[0]};
    descriptor in{ends[1]};
    std::string words[] = {program, "--coppice-deployment=" + file,
                           std::string{"--coppice-check="} + (json ? "json:" : "text:") +
                               std::to_string(told_at)};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, 2, 1);  // what its main prints is not the answer
    // To itself it would stay as it is, closed on exec.
    if (in.fd == told_at) {
        in.fd = ::fcntl(ends[1], F_DUPFD_CLOEXEC, told_at + 1);
        ::close(ends[1]);
    }
    posix_spawn_file_actions_adddup2(&files, in.fd, told_at);
    pid_t pid = -1;
    const int failed = ::posix_spawnp(&pid, words[0].c_str(), &files, nullptr, arguments, environ);
    posix_spawn_file_actions_destroy(&files);
    if (failed)
        throw command_failed{failed == ENOENT ? exit_code::not_found : exit_code::failed,
                             "the program " + program + " cannot be started: " + std::strerror(failed)};
    in.close();
    std::string text;
    const bool in_time = read_all(out.fd, text, within);
    if (!in_time) ::kill(pid, SIGKILL);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    const std::string hint = "; does its main take --coppice-* by node{name, argc, argv}, and come to run()?";
    if (!in_time) throw command_failed{exit_code::unreachable, program + " does not tell its tree" + hint};
    const int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    if (code == static_cast<int>(run_result::bad_options)) throw mistaken_file{""};  // it has told them
    if (code != 0)
        throw command_failed{exit_code::failed,
                             program + (code < 0 ? " was ended by signal " + std::to_string(WTERMSIG(status))
                                                 : " ended with code " + std::to_string(code))};
    if (text.empty())
        throw command_failed{exit_code::failed, program + " ended and did not tell its tree" + hint};
    std::fputs(text.c_str(), stdout);
}

}  // namespace

void check_file(const std::string& file, const std::optional<std::string>& program, bool json,
                nanoseconds within) {
    actors::register_scripts();
    const deployment d = readable(file);
    if (!program) return check_alone(d, json);
    if (program->empty() && !d.program)
        throw command_failed{exit_code::usage, file + " names no program; name one: --program PROGRAM"};
    ask_program(program->empty() ? *d.program : *program, file, json, within);
}

int run_file(const std::string& file, const std::vector<std::string>& options,
             const std::vector<std::string>& arguments) {
    actors::register_scripts();
    const deployment d = readable(file);
    std::vector<std::string> words{d.program.value_or("coppice"), "--coppice-deployment=" + file};
    for (const std::string& one : options) {
        const auto equals = one.find('=');
        if (equals == std::string::npos || equals == 0)
            throw command_failed{exit_code::usage,
                                 "'" + one + "' is no NAME=VALUE; arguments of the program follow after --"};
        if (const std::string name = one.substr(0, equals); name == "deployment" || name == "check")
            throw command_failed{exit_code::usage,
                                 name + " is not for run: the file is the one that it was given"};
        words.push_back("--coppice-" + one);
    }
    if (!d.program && !arguments.empty())
        throw command_failed{
            exit_code::usage,
            "there is nobody to take the arguments after --: the file names no program in [node]"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& w : words) argv.push_back(w.data());
    argv.push_back(nullptr);
    if (d.program) {
        ::execvp(argv[0], argv.data());
        std::fprintf(stderr, "coppice: %s:%u:%u: the program %s cannot be started: %s\n", file.c_str(),
                     d.program_at.line, d.program_at.column, d.program->c_str(), std::strerror(errno));
        return static_cast<int>(run_result::start_failed);
    }
    if (const auto alone = tree_of(d); !alone) throw mistaken_file{std::string{alone.error().text()}};
    register_builtin_transports();
    node_options o;
    o.control = true;  // unless the file says otherwise: it is run to be looked at, too
    int argc = static_cast<int>(words.size());
    return node{*d.name, argc, argv.data(), o}.run(supervisor_spec{});
}

}  // namespace coppice::command
