// The judgement of what an agent is asked to start; see agent_list.hpp.
//
// Names are compared as texts, after all symbolic links of the list have been followed once: a link that leads to an allowed program
// allows nothing, and one that is put in the place of a part of an allowed path afterwards is found before the start. Against those
// who may write there nothing helps; that is said in coppice/agent.hpp.
#include "process/agent_list.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace coppice::detail {

namespace {

namespace fs = std::filesystem;

// Variables by which a loader, a shell or an interpreter is made to load or run something else; with a '*' all that begin so.
constexpr std::array never{
    "LD_*",          "COPPICE_*",   "GCONV_PATH",  "GLIBC_TUNABLES", "LOCPATH",
    "NLSPATH",       "HOSTALIASES", "RES_OPTIONS", "PATH",           "IFS",
    "ENV",           "BASH_ENV",    "BASHOPTS",    "SHELLOPTS",      "BASH_FUNC_*",
    "PS4",           "PYTHON*",     "PERL5*",      "PERLLIB",        "RUBY*",
    "NODE_*",        "JAVA_*",      "_JAVA_*",     "JDK_JAVA_*",     "OPENSSL_*",
    "SSLKEYLOGFILE", "MALLOC_*",    "ASAN_*",      "LSAN_*",         "TSAN_*",
    "UBSAN_*",       "MSAN_*",      "LUA_*",       "GIT_*",          "XDG_RUNTIME_DIR"};

bool fits(std::string_view name, std::string_view pattern) noexcept {
    return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
}

// Without symbolic links, as far as there is something; empty if that cannot be found out.
std::string real_path(const std::string& path) {
    std::error_code failure;
    const fs::path real = fs::weakly_canonical(path, failure);
    return failure ? std::string{} : real.string();
}

bool is_below(const std::string& path, const std::string& directory) {
    return path == directory || path.starts_with(directory.ends_with('/') ? directory : directory + '/');
}

error denied(std::string text) { return {errc::denied, std::move(text)}; }

}  // namespace

agent_list::agent_list(const agent_options& options) : options_{options} {
    for (const allowed_program& one : options_.programs)
        entries_.push_back({one.path, real_path(one.path), &one});
    if (!options_.directory.empty()) directory_ = real_path(options_.directory);
}

result<void> agent_list::check() const {
    const auto wrong = [](const std::string& what, const std::string& why) {
        return error{errc::invalid_argument, what + ": " + why};
    };
    for (const entry& e : entries_) {
        if (!e.listed.starts_with('/'))
            return wrong("allowed program '" + e.listed + "'", "expected an absolute path");
        if (e.real.empty())
            return wrong("allowed program '" + e.listed + "'", "its symbolic links lead nowhere");
    }
    for (const std::string& name : options_.environment) {
        if (name.empty() || name.find('=') != std::string::npos)
            return wrong("allowed variable '" + name + "'", "expected the name of a variable");
        if (std::any_of(never.begin(), never.end(), [&](std::string_view one) { return fits(name, one); }))
            return wrong("allowed variable '" + name + "'",
                         "it decides what a program loads or runs, and cannot be allowed");
    }
    std::error_code failure;
    if (!options_.directory.empty() && !fs::is_directory(directory_, failure))
        return error{errc::not_found, "directory " + options_.directory + " is not there, or no directory"};
    return {};
}

result<process_request> agent_list::judge(process_request wanted) const {
    if (wanted.program.empty()) {
        if (!options_.own_program)
            return denied("it starts no functions of its own program; name a program that its list allows: "
                          "in_process(\"/path/of/program\").on(...)");
    } else {
        const auto e = program_of(wanted);
        if (!e) return e.error();
        wanted.program = (*e)->real;
    }
    if (auto good = judge_environment(wanted); !good) return good.error();
    auto directory = directory_of(wanted);
    if (!directory) return directory.error();
    wanted.directory = *std::move(directory);
    return wanted;
}

result<const agent_list::entry*> agent_list::program_of(const process_request& wanted) const {
    const std::string& name = wanted.program;
    const bool bare = name.find('/') == std::string::npos;
    const entry* found = nullptr;
    bool with_other_arguments = false;
    for (const entry& e : entries_) {
        const bool same = bare ? fs::path{e.listed}.filename() == name : name == e.listed || name == e.real;
        if (!same) continue;
        if (e.allowed->arguments && *e.allowed->arguments != wanted.arguments) {
            with_other_arguments = true;
            continue;
        }
        if (bare && found && found->real != e.real)
            return denied("two programs of its list are named " + name + "; name one by its path");
        found = &e;
    }
    if (!found && with_other_arguments)
        return denied("it may not start " + name +
                      " with these arguments; allow them there, or ask with those that are");
    if (!found)
        return denied("it may not start " + name + "; allow it there (agent_options::programs, --allow " +
                      (bare ? "/path/of/" + name : name) + ")");
    if (const std::string now = real_path(found->real); now != found->real)
        return denied(found->listed + " has become a symbolic link to " + now +
                      " since the agent was started; start the agent again if that is meant");
    return found;
}

result<void> agent_list::judge_environment(const process_request& wanted) const {
    for (const auto& [name, value] : wanted.environment) {
        if (std::any_of(never.begin(), never.end(), [&](std::string_view one) { return fits(name, one); }))
            return denied("it lets nobody set " + name + ", which decides what a program loads or runs");
        if (std::find(options_.environment.begin(), options_.environment.end(), name) ==
            options_.environment.end())
            return denied("it may not set the variable " + name +
                          "; allow it there (agent_options::environment, --allow-env " + name + ")");
    }
    return {};
}

result<std::string> agent_list::directory_of(const process_request& wanted) const {
    if (wanted.directory.empty()) return directory_;
    if (directory_.empty())
        return denied("it may not choose the directory " + wanted.directory +
                      "; name one there that it must be in (agent_options::directory, --directory)");
    if (!wanted.directory.starts_with('/'))
        return error{errc::invalid_argument,
                     "the directory " + wanted.directory + ": expected an absolute path"};
    const std::string real = real_path(wanted.directory);
    if (real.empty() || !is_below(real, directory_))
        return denied("the directory " + wanted.directory + " is not within " + directory_);
    return real;
}

}  // namespace coppice::detail
