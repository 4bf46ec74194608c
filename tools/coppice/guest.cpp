// Finding trees, and joining one; see guest.hpp.
#include "guest.hpp"

#include <unistd.h>

#include <algorithm>

#include "coppice/transport/builtin.hpp"
#include "support/run_directory.hpp"

namespace coppice::command {

namespace {

std::string directory() {
    auto found = detail::run_directory();
    if (!found) throw command_failed{"the run directory", found.error()};
    return *found;
}

std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& n : names) all += (all.empty() ? "" : ", ") + n;
    return all;
}

}  // namespace

std::vector<std::string> running_trees() {
    auto names = detail::running_trees();
    if (!names) throw command_failed{"the run directory", names.error()};
    return *std::move(names);
}

std::string tree_named(const std::string& name) {
    const auto all = running_trees();
    if (!name.empty()) {
        if (std::find(all.begin(), all.end(), name) != all.end()) return name;
        throw command_failed{exit_code::not_found,
                             "there is no tree named " + name + " in " + directory() +
                                 (all.empty() ? "" : "; there is " + joined(all)) +
                                 " (a tree is found if it runs with --coppice-control=on)"};
    }
    if (all.empty())
        throw command_failed{exit_code::not_found,
                             "no tree runs in " + directory() +
                                 " (one is found if it runs with --coppice-control=on)"};
    if (all.size() > 1)
        throw command_failed{exit_code::usage, "several trees run, name one of them: " + joined(all)};
    return all.front();
}

std::string tree_of(const std::string& path) {
    if (path.empty() || path.front() != '/') return path.substr(0, path.find('/'));
    return path.substr(1, path.find('/', 1) - 1);
}

std::string path_of(const std::string& path_or_name) {
    return path_or_name.starts_with('/') ? path_or_name : "/" + path_or_name;
}

guest::guest(const std::string& tree) : tree_{tree_named(tree)} {
    node_options o;
    o.schedulers = 1;
    o.level = level::off;
    o.log_terminal = false;
    o.handle_signals = false;
    o.network.parent = "unix://" + tree_ + ".control";
    o.network.shortcuts = false;
    node_ = std::make_unique<node>("coppice-" + std::to_string(::getpid()), o);
    if (auto started = node_->start(supervisor_spec{}); !started)
        throw command_failed{"this command's own node", started.error()};
}

void guest::start(child_spec spec) {
    auto root = node_->resolve<supervisor_protocol>("/" + node_->name());
    const auto started = root ? node_->ask<start_child>(*root, limits::start_deadline,
                                                        std::move(spec.restarts(restart::temporary)))
                              : result<ref<>>{root.error()};
    if (!started) throw command_failed{"this command's own node", started.error()};
}

ref<anything> guest::find(const std::string& path) {
    auto found = node_->resolve<anything>(path);
    if (!found) throw command_failed{path, found.error()};
    return *found;
}

ref<control_protocol> guest::control_of(const std::string& path) {
    for (std::string at = path;;) {
        auto found = node_->resolve<control_protocol>(at + "/" + control_name);
        if (found) return *found;
        const auto cut = at.rfind('/');
        if (found.error() != errc::not_found || cut == 0 || cut == std::string::npos)
            throw command_failed{path, found.error()};
        at.resize(cut);
    }
}

guest::whole guest::describe(std::chrono::nanoseconds within) {
    whole all;
    std::vector<std::string> wanted{"/" + tree_};
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        const std::string path = wanted[i];
        auto there = node_->resolve<control_protocol>(path + "/" + control_name);
        auto told = there ? node_->ask<control::describe>(*there, within * 2, within)
                          : result<node_description>{there.error()};
        if (!told) {
            if (i == 0) throw command_failed{path, told.error()};
            all.silent.emplace_back(path, told.error().what());
            continue;
        }
        for (const process_info& p : told->seen.processes) wanted.push_back(p.path);
        all.nodes.push_back(*std::move(told));
    }
    return all;
}

std::vector<ref<control_protocol>> guest::controls(std::chrono::nanoseconds within) {
    std::vector<ref<control_protocol>> all;
    for (const node_description& n : describe(within).nodes) all.push_back(control_of("/" + n.seen.name));
    return all;
}

}  // namespace coppice::command
