// What a deployment file changes in a tree: in the specs of the actors that it names, before they start. An entry that fits nothing
// there is told with its place, and then nothing is changed. Any thread.
#include <algorithm>
#include <atomic>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "coppice/deployment.hpp"
#include "deployment_mistakes.hpp"

namespace coppice {

namespace {

using detail::joined;
using detail::mistakes;
using detail::quote;
using detail::refuse_other_carriers;
using detail::shown;
using detail::suggestion;

std::atomic<script_maker> makes_scripts{nullptr};  // null: nobody has registered any

class changing {
public:
    explicit changing(const deployment& d) : wrong_{d.file} {}

    void root(const supervisor_changes& changes, supervisor_spec& tree) { set(changes, tree); }

    void actor(const actor_changes& a, const std::string& node_name, supervisor_spec& tree) {
        const std::string_view path = a.path;
        const std::string root = "/" + node_name;
        if (!path.starts_with(root + "/"))
            return wrong_.add(a.at, "there is no " + quote(shown(path)) + ": this node is '" + node_name +
                                        "', so its paths begin with '" + root + "/'");
        below(tree, root, path.substr(root.size() + 1), a);
    }
    mistakes& wrong() { return wrong_; }

private:
    // `rest` is the path from the supervisor at `here` on.
    void below(supervisor_spec& supervisor_here, const std::string& here, std::string_view rest,
               const actor_changes& a) {
        const auto slash = rest.find('/');
        const std::string_view name = rest.substr(0, slash);
        auto& children = supervisor_here.children;
        const auto found = std::find_if(children.begin(), children.end(),
                                        [&](const child_spec& c) { return c.name == name; });
        const std::string path = here + "/" + std::string{name};
        if (slash == std::string_view::npos) {
            if (a.script && (found == children.end() || !found->is_supervisor))
                run_script(children, found, name, a);
            else if (found != children.end()) change(*found, a);
            else add(children, here, name, a);
        } else if (found == children.end()) {
            missing(children, here, name, a);
        } else if (!found->is_supervisor || !found->tree) {
            wrong_.add(a.at, quote(shown(path)) + " is no supervisor: there is no " + quote(shown(a.path)) +
                                 " in the tree that is known at the start");
        } else {
            supervisor_spec inner = *found->tree;
            below(inner, path, rest.substr(slash + 1), a);
            rebuild(*found, std::move(inner));
        }
    }

    // No child of that name at `here`, which is what the entry is about or on the way there.
    void missing(const std::vector<child_spec>& children, const std::string& here, std::string_view name,
                 const actor_changes& a) {
        constexpr std::size_t most = 20;
        std::vector<std::string_view> all;
        for (const child_spec& c : children) all.push_back(c.name);
        const std::string meant = suggestion(name, all, "");
        if (all.size() > most) all.erase(all.begin() + most, all.end()), all.push_back("...");
        wrong_.add(a.at, "there is no " + quote(shown(here + "/" + std::string{name})) + "; " + quote(here) +
                             (all.empty() ? " has no children" : " has the children " + joined(all)) + meant);
    }

    void add(std::vector<child_spec>& children, const std::string& here, std::string_view name,
             const actor_changes& a) {
        if (!a.program && !a.supervisor && !a.script) return missing(children, here, name, a);
        child_spec made = a.supervisor ? supervisor(std::string{name}, supervisor_spec{})
                                       : child(std::string{name}, process_carrier{});
        // Whoever writes the limit knows that the program calls ready(); of an actor that is there, its code says it.
        if (a.program && a.ready_within) made.tells_ready = true;
        change(made, a);
        children.push_back(std::move(made));
    }

    // The child at `found`, or a new one, runs the script.
    void run_script(std::vector<child_spec>& children, std::vector<child_spec>::iterator found,
                    std::string_view name, const actor_changes& a) {
        const script_maker maker = makes_scripts.load(std::memory_order_acquire);
        if (!maker)
            return wrong_.add(a.script->at,
                              "'script' in [[actor]]: this program runs no scripts: its main calls "
                              "actors::register_scripts() for that, and `coppice run` runs them in any case");
        auto made = maker(std::string{name}, *a.script);
        if (!made)
            return wrong_.add(a.script->at, "'script' in [[actor]]: " + std::string{made.error().text()});
        if (found == children.end()) found = children.insert(found, child_spec{*made});
        found->start = std::move(made->start);
        found->protocol = made->protocol;
        found->portable = made->portable;
        found->tells_ready = a.ready_within.has_value();
        if (auto* process = std::get_if<process_carrier>(&found->carrier))
            process->program = {}, process->arguments = {};
        change(*found, a);
    }

    void change(child_spec& c, const actor_changes& a) {
        const auto is = static_cast<carrier_kind>(c.carrier.index());
        const carrier_kind kind = a.carrier.value_or(is);
        refuse_other_carriers(wrong_, a, kind, quote(shown(a.path)) + " has");
        if (!c.start && kind != carrier_kind::process)
            return wrong_.add(a.at, quote(shown(a.path)) +
                                        " is another program's: it has no function that this one could run");
        if (a.script && c.is_supervisor)
            return wrong_.add(a.script->at,
                              quote(shown(a.path)) + " is a supervisor, but the entry has 'script'");
        if (a.supervisor && !c.is_supervisor)
            return wrong_.add(a.at,
                              quote(shown(a.path)) + " is no supervisor, but the entry has 'supervisor'");
        if (c.is_supervisor)
            for (const auto& [key, at] : a.keys)
                if (key == "shutdown" || key == "ready-within" || key == "program")
                    wrong_.add(at, quote(key) + " is not for supervisors" +
                                       (key == "program" ? ": a program has its own tree"
                                                         : ": their children have limits, which add up"));

        if (kind != is) {
            if (kind == carrier_kind::coroutine) c.carrier = coroutine_carrier{};
            else if (kind == carrier_kind::thread) c.carrier = thread_carrier{};
            else c.carrier = process_carrier{};
        }
        if (auto* coroutine = std::get_if<coroutine_carrier>(&c.carrier)) {
            if (a.scheduler) coroutine->scheduler = *a.scheduler;
        } else if (auto* thread = std::get_if<thread_carrier>(&c.carrier)) {
            if (a.priority) thread->priority = *a.priority;
        } else {
            change(std::get<process_carrier>(c.carrier), a);
        }
        if (a.period || a.misses || a.silent || a.stuck) c.is_watched = true;
        if (a.period) c.beats.period = *a.period;
        if (a.misses) c.beats.misses = *a.misses;
        if (a.silent) c.beats.when_silent = *a.silent;
        if (a.stuck) c.beats.when_stuck = *a.stuck;
        if (a.restart) c.when = *a.restart;
        if (a.shutdown) c.shutdown_within = *a.shutdown;
        if (a.mailbox) c.capacity = *a.mailbox;
        if (a.overflow) c.policy = *a.overflow;
        if (a.significant) c.is_significant = *a.significant;
        if (a.ready_within && !c.is_supervisor) c.start_within = *a.ready_within;
        if (c.is_supervisor) {
            supervisor_spec inner = c.tree ? *c.tree : supervisor_spec{};
            if (a.supervisor) set(*a.supervisor, inner);
            rebuild(c, std::move(inner));
        }
    }

    static void change(process_carrier& p, const actor_changes& a) {
        if (a.program) p.program = *a.program;
        if (a.arguments) p.arguments = *a.arguments;
        if (a.directory) p.directory = *a.directory;
        if (a.over) p.transport = *a.over;
        if (a.on) p.agent = *a.on;
        if (a.nice) p.nice = *a.nice;
        if (a.cpus) p.cpus = *a.cpus;
        for (const auto& [name, text] : a.environment) {
            const auto found = std::find_if(p.environment.begin(), p.environment.end(),
                                            [&](const auto& variable) { return variable.first == name; });
            if (found != p.environment.end()) found->second = text;
            else p.environment.emplace_back(name, text);
        }
        for (auto limit : {&process_limits::memory, &process_limits::files, &process_limits::cpu_seconds,
                           &process_limits::core_bytes, &process_limits::processes})
            if (a.limits.*limit != process_limits::unset) p.limits.*limit = a.limits.*limit;
    }

    static void set(const supervisor_changes& changes, supervisor_spec& s) {
        if (changes.strategy) s.strategy = *changes.strategy;
        if (changes.restarts) s.most_restarts = *changes.restarts;
        if (changes.window) s.window = *changes.window;
        if (changes.backoff_first) s.backoff_first = *changes.backoff_first;
        if (changes.backoff_most) s.backoff_most = *changes.backoff_most;
        if (changes.jitter) s.jitter = *changes.jitter;
    }

    // A supervisor's function has its children as an argument: with other children it is made anew.
    static void rebuild(child_spec& c, supervisor_spec inner) {
        child_spec made = supervisor(c.name, std::move(inner), c.carrier);
        c.start = std::move(made.start);
        c.tree = std::move(made.tree);
        c.portable = made.portable;
    }

    mistakes wrong_;
};

}  // namespace

void register_script_maker(script_maker maker) noexcept {
    makes_scripts.store(maker, std::memory_order_release);
}

result<void> apply(const deployment& file, const std::string& node_name, supervisor_spec& tree) {
    changing work{file};
    if (file.name && *file.name != node_name)
        work.wrong().add(file.name_at,
                         "the file is for node '" + *file.name + "', and this is '" + node_name + "'");
    supervisor_spec changed = tree;
    work.root(file.root, changed);
    for (const actor_changes& a : file.actors) work.actor(a, node_name, changed);
    auto outcome = work.wrong().outcome();
    if (outcome) tree = std::move(changed);
    return outcome;
}

result<supervisor_spec> tree_of(const deployment& file) {
    if (!file.name)
        return error{errc::invalid_argument,
                     file.file + ":1:1: the file has no 'name', which a tree of programs alone needs"};
    supervisor_spec tree;
    if (auto applied = apply(file, *file.name, tree); !applied) return applied.error();
    return tree;
}

}  // namespace coppice
