// coppice: checks and runs deployment files, looks at a running tree and acts on it. One function a subcommand, one table of them; docs/command_line.md is the manual.
// The main thread asks and prints. What has to wait for messages (receive, log, the end of an actor) is an actor in
// this command's own node, which tells the main thread by a pipe, as a signal does.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "agent.hpp"
#include "broker.hpp"
#include "coppice/any_request.hpp"
#include "coppice/process.hpp"
#include "coppice/value.hpp"
#include "deploy.hpp"
#include "fields.hpp"
#include "guest.hpp"
#include "log_sink.hpp"
#include "observe.hpp"
#include "rights.hpp"
#include "script.hpp"
#include "show.hpp"

namespace coppice::command {

namespace {

using namespace std::chrono_literals;

// ---------------------------------------------------------------- what wakes the main thread

int wake_pipe[2] = {-1, -1};
constexpr char by_signal = 's';
constexpr char by_message = 'm';
constexpr char by_end = 'e';

void wake(char why) { static_cast<void>(::write(wake_pipe[1], &why, 1)); }
void on_signal(int) { wake(by_signal); }

/// Lines that an actor has for the main thread to print.
struct lines {
    std::mutex mutex;
    std::deque<std::string> waiting;
    void put(std::string line) {
        {
            const std::lock_guard lock{mutex};
            waiting.push_back(std::move(line));
        }
        wake(by_message);
    }
    std::string take() {
        const std::lock_guard lock{mutex};
        std::string line = std::move(waiting.front());
        waiting.pop_front();
        return line;
    }
};

void take_signals() {
    struct sigaction act{};
    act.sa_handler = &on_signal;
    ::sigaction(SIGINT, &act, nullptr);
    ::sigaction(SIGTERM, &act, nullptr);
}

// Prints until there were `count` lines (0: endless) or a signal comes; a tree that ends meanwhile is an error.
void print_lines(const std::string& tree, lines& from, std::uint64_t count) {
    take_signals();
    for (std::uint64_t printed = 0; count == 0 || printed < count;) {
        char why = 0;
        if (::read(wake_pipe[0], &why, 1) != 1) continue;  // interrupted by a signal, which has written
        if (why == by_signal) return;
        if (why == by_end) throw command_failed{exit_code::unreachable, "the tree " + tree + " has ended"};
        std::fputs((from.take() + "\n").c_str(), stdout);
        std::fflush(stdout);
        ++printed;
    }
}

// ---------------------------------------------------------------- the subcommands

struct options {
    std::string target;  // a tree's name or a path
    std::string tree;
    std::string type;
    std::vector<std::string> fields;
    std::vector<std::string> arguments;  // behind --
    std::vector<std::string> groups;
    std::string file;
    std::optional<std::string> program;
    std::uint64_t count = 0;
    double within = 5;
    double every = 1;
    bool json = false;
    bool verbose = false;
    std::string level = "trace";
    std::string set;
    int code = 0;  // with which the command ends, if nothing is thrown

    [[nodiscard]] std::chrono::nanoseconds limit() const {
        return std::chrono::nanoseconds{static_cast<std::int64_t>(within * 1e9)};
    }
};

void show_tree(const options& o) {
    std::string name = tree_of(o.target);
    const auto all = running_trees();
    if (name.empty() && all.size() > 1) {
        for (const std::string& one : all) std::printf("%s\n", one.c_str());
        return;
    }
    guest g{name};
    const auto whole = g.describe(o.limit() / 2);
    const bool colour = ::isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
    std::fputs((o.json ? tree_json(whole) : tree_text(whole, colour)).c_str(), stdout);
}

// Waits for that long. False once a signal has come.
bool pause_for(double seconds) {
    pollfd told{wake_pipe[0], POLLIN, 0};
    const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0) return true;
        if (::poll(&told, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 1'000'000))) > 0)
            return false;
    }
}

void show_top(const options& o) {
    guest g{tree_of(o.target)};
    take_signals();
    const bool terminal = ::isatty(STDOUT_FILENO);
    auto before = g.describe(o.limit() / 2);
    for (std::uint64_t shown = 0; o.count == 0 || shown < o.count; ++shown) {
        if (!pause_for(o.every)) return;
        auto now = g.describe(o.limit() / 2);
        std::fputs(
            ((terminal ? "\033[H\033[J" : "") + top_text(before, now) + (terminal ? "" : "\n")).c_str(),
            stdout);
        std::fflush(stdout);
        before = std::move(now);
    }
}

void check(const options& o) { check_file(o.file, o.program, o.json, o.limit()); }

// Ends as node::run does, in all cases: whoever supervises it knows no other codes.
void run_deployment(options& o) { o.code = run_file(o.file, o.fields, o.arguments); }

void show_version(const options&) { std::puts("coppice " COPPICE_VERSION); }

// Monitors it, ends it by `how`, and waits for the end.
task<result<std::string>> end_and_wait(actor<anything> self, ref<anything> who, bool kill,
                                       std::chrono::nanoseconds within) {
    self.monitor(who);
    if (kill) self.kill(who);
    else self.shutdown(who, within);
    auto ended = co_await self.receive_only<down>(within + limits::shutdown_deadline);
    if (!ended) co_return ended.error();
    co_return ended->get_if<down>()->reason.to_string();
}

void end_one(const options& o, bool kill) {
    const std::string path = path_of(o.target);
    guest g{tree_of(path)};
    const auto who = g.find(path);
    const std::string above = parent_of(path);
    if (!kill && !above.empty()) {
        // By its supervisor, which would start it again otherwise.
        auto by = g.self().resolve<supervisor_protocol>(above);
        if (by) {
            const auto done = g.self().ask<terminate_child>(*by, o.limit(), path.substr(above.size() + 1));
            if (done) return;
            if (done.error() != errc::not_found && done.error() != errc::no_handler)
                throw command_failed{path, done.error()};
        } else if (by.error() != errc::wrong_protocol) {
            throw command_failed{above, by.error()};
        }
    }
    const auto ended = g.perform(&end_and_wait, who, kill, o.limit());
    if (!ended) throw command_failed{path, ended.error()};
}

void restart_one(const options& o) {
    const std::string path = path_of(o.target);
    const std::string above = parent_of(path);
    if (above.empty())
        throw command_failed{exit_code::usage, path + " is a tree's root, which nobody restarts"};
    guest g{tree_of(path)};
    static_cast<void>(g.find(path));
    auto by = g.self().resolve<supervisor_protocol>(above);
    if (!by) throw command_failed{above + " cannot restart it", by.error()};
    const auto done = g.self().ask<restart_child>(*by, o.limit(), path.substr(above.size() + 1));
    if (!done) throw command_failed{path, done.error()};
}

// By the node of its parent: there a process is known by its keeper, which is paused with it.
void set_paused(const options& o, bool paused) {
    const std::string path = path_of(o.target);
    guest g{tree_of(path)};
    static_cast<void>(g.find(path));
    const std::string above = parent_of(path);
    const auto control = g.control_of(above.empty() ? path : above);
    const auto done = g.self().ask<control::set_paused>(control, o.limit(), path, paused);
    if (!done) throw command_failed{path, done.error()};
}

// The full name of a type that was given by its last part.
std::string full_type(const std::string& given, const std::vector<std::string>& names,
                      const std::string& of) {
    std::vector<std::string> fitting;
    for (const std::string& name : names) {
        if (name == given) return name;
        if (name.size() > given.size() + 2 && name.ends_with("::" + given)) fitting.push_back(name);
    }
    if (fitting.size() == 1) return fitting.front();
    if (names.empty()) return given;  // it takes anything
    std::string text =
        of + (fitting.empty() ? " handles no message " : " handles several messages ") + given + ":";
    for (const std::string& name : fitting.empty() ? names : fitting) text += " " + name;
    throw command_failed{fitting.empty() ? exit_code::refused : exit_code::usage, text};
}

struct addressed {
    ref<anything> who;
    ref<control_protocol> control;
    value what;
};

addressed message_for(guest& g, const std::string& path, const options& o) {
    const auto who = g.find(path);
    const auto control = g.control_of(path);
    const auto names = g.self().ask<control::message_types>(control, o.limit(), path);
    if (!names) throw command_failed{path, names.error()};
    return {who, control, message_of(full_type(o.type, *names, path), o.fields)};
}

void send(const options& o) {
    const std::string path = path_of(o.target);
    guest g{tree_of(path)};
    auto [who, control, what] = message_for(g, path, o);
    if (const errc sent = g.self().send<value>(who, std::move(what)); sent != errc::ok)
        throw command_failed{path, error{sent}};
    // Its node has taken what was sent before when it answers what was sent after.
    const auto arrived = g.self().ask<control::message_types>(control, o.limit(), path);
    if (!arrived && arrived.error() != errc::not_found) throw command_failed{path, arrived.error()};
}

void ask(const options& o) {
    const std::string path = path_of(o.target);
    guest g{tree_of(path)};
    auto [who, control, what] = message_for(g, path, o);
    const auto reply = g.self().ask<any_request>(who, o.limit(), std::move(what));
    if (!reply) throw command_failed{path, reply.error()};
    std::puts((o.json ? json_of(*reply) : to_string(*reply, 1 << 20)).c_str());
}

void publish(const options& o) {
    guest g{o.tree};
    std::vector<ref<>> members;
    std::vector<std::string> names;
    for (const auto& control : g.controls(o.limit() / 2)) {
        auto there = g.self().ask<control::group_members>(control, o.limit(), o.target);
        auto types = g.self().ask<control::message_types>(control, o.limit());
        if (!there || !types) throw command_failed{o.target, there ? types.error() : there.error()};
        for (const ref<>& one : *there)
            if (std::find(members.begin(), members.end(), one) == members.end()) members.push_back(one);
        names.insert(names.end(), types->begin(), types->end());
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    if (members.empty()) throw command_failed{exit_code::not_found, "nobody is in group " + o.target};
    const value what = message_of(full_type(o.type, names, "tree " + g.tree()), o.fields);
    std::size_t taken = 0;
    for (const ref<>& one : members) taken += g.self().send<value>(ref<anything>{one}, what) == errc::ok;
    static_cast<void>(g.controls(o.limit() / 2));  // the nodes have taken it when they answer
    std::printf("sent to %zu of %zu\n", taken, members.size());
    if (taken < members.size()) throw command_failed{exit_code::refused, "some did not take it"};
}

using type_names = std::map<std::uint64_t, std::string>;
using told = std::shared_ptr<std::promise<result<void>>>;

// Joins the groups on all nodes, tells that, and then hands on what comes.
task<> collector(actor<anything> self, std::vector<ref<control_protocol>> of, std::vector<std::string> groups,
                 std::shared_ptr<lines> to, std::shared_ptr<const type_names> names, bool json, told joined) {
    self.monitor(of.front());
    for (const auto& control : of) {
        for (const std::string& group : groups) {
            auto in = co_await self.ask<control::join_group>(control, limits::ask_deadline, group,
                                                             ref<>{self.me()});
            if (!in) co_return joined->set_value(error{in.error().code(), group});
        }
    }
    joined->set_value({});
    while (auto m = co_await self.receive()) {
        if (m.get_if<down>()) {
            wake(by_end);
            continue;
        }
        std::string type{m.type_name()};
        const auto* v = m.get_if<value>();
        if (!v) continue;
        if (const auto* r = v->get_if<value::record>())
            if (const auto name = names->find(r->type); name != names->end()) type = name->second;
        to->put(json ? "{\"type\":" + json_text(type) + ",\"value\":" + json_of(*v) + "}"
                     : type + " " + to_string(*v, 1 << 20));
    }
}

void receive(const options& o) {
    guest g{o.tree};
    const auto controls = g.controls(o.limit() / 2);
    auto names = std::make_shared<type_names>();
    for (const auto& control : controls) {
        auto types = g.self().ask<control::message_types>(control, o.limit());
        if (!types) throw command_failed{g.tree(), types.error()};
        for (const std::string& name : *types) names->emplace(type_id(name), name);
    }
    auto printed = std::make_shared<lines>();
    auto joined = std::make_shared<std::promise<result<void>>>();
    g.start(child("receive", in_coroutine, &collector, controls, o.groups, printed,
                  std::shared_ptr<const type_names>{names}, o.json, joined));
    if (auto in = joined->get_future().get(); !in) throw command_failed{"group", in.error()};
    if (o.verbose) std::fputs("receiving\n", stderr);
    print_lines(g.tree(), *printed, o.count);
}

// A line of JSON has the keys of a log that is written as JSON, and how many records before it were dropped. `pid`: the node's.
std::string json_of_record(const control::log_line& l, std::uint32_t pid) {
    std::string line = detail::log_record_as_json(l.time, l.level, l.path, l.pid ? l.pid : pid, l.text);
    line.back() = ',';
    return line + "\"dropped\":" + std::to_string(l.dropped) + "}";
}

task<> log_reader(actor<control::log_reader> self, ref<control_protocol> control, std::string subtree,
                  level least, std::shared_ptr<lines> to, bool json, std::uint32_t pid, told followed) {
    self.monitor(control);
    auto done =
        co_await self.ask<control::follow_log>(control, limits::ask_deadline, subtree, least, self.me());
    followed->set_value(done);
    while (auto m = co_await self.receive()) {
        if (m.get_if<down>()) {
            wake(by_end);
            continue;
        }
        const auto* l = m.get_if<control::log_line>();
        if (!l) continue;
        if (l->dropped && !json) to->put("(" + std::to_string(l->dropped) + " records were dropped)");
        to->put(json ? json_of_record(*l, pid)
                     : std::string{to_string(l->level)} + " " + (l->path.empty() ? "-" : l->path) +
                           (l->pid ? "[" + std::to_string(l->pid) + "] " : " ") + l->text);
    }
}

level level_named(const std::string& name) {
    bool known = false;
    const level l = level_of(name, known);
    if (!known)
        throw command_failed{exit_code::usage, name + " is no level: trace, debug, info, warn, error or off"};
    return l;
}

void follow_log(const options& o) {
    const level least = level_named(o.level);
    guest g{tree_of(o.target)};
    const std::string subtree = o.target.empty() ? "/" + g.tree() : path_of(o.target);
    const auto control = g.control_of("/" + g.tree());
    if (!o.set.empty()) {
        for (const auto& one : g.controls(o.limit() / 2)) {
            const auto done = g.self().ask<control::set_level>(one, o.limit(), subtree, level_named(o.set));
            if (!done) throw command_failed{subtree, done.error()};
        }
        return;
    }
    const std::uint32_t pid = g.describe(o.limit() / 2).nodes.front().pid;
    auto printed = std::make_shared<lines>();
    auto followed = std::make_shared<std::promise<result<void>>>();
    g.start(child("log", in_coroutine, &log_reader, control, subtree, least, printed, o.json, pid, followed));
    if (auto done = followed->get_future().get(); !done) throw command_failed{subtree, done.error()};
    if (o.verbose) std::fputs("following\n", stderr);
    print_lines(g.tree(), *printed, o.count);
}

// Until a signal comes; a page that is served no longer is an error.
void observe(const options& o) {
    guest g{tree_of(o.target)};
    take_signals();
    auto why = std::make_shared<std::string>();  // written before the pipe, read behind it
    const std::string address = serve_page(g, [why](std::string text) {
        *why = std::move(text);
        wake(by_end);
    });
    std::printf("%s shows %s\n", address.c_str(), g.tree().c_str());
    std::fflush(stdout);
    for (;;) {
        char what = 0;
        if (::read(wake_pipe[0], &what, 1) != 1) continue;  // interrupted by a signal, which has written
        if (what == by_signal) return;
        throw command_failed{exit_code::unreachable, *why};
    }
}

// ---------------------------------------------------------------- the table

struct subcommand {
    const char* name;
    const char* help;
    std::function<void(CLI::App&, options&)> declare;
    std::function<void(options&)> run;
};

void wants_path(CLI::App& a, options& o) {
    a.add_option("PATH", o.target, "of an actor: /app/counter")->required();
}
void wants_message(CLI::App& a, options& o) {
    a.add_option("TYPE", o.type, "name of the message type; its last part will do if that is clear")
        ->required();
    // What is left over: CLI11 would take a JSON list apart, and -5 for an option.
    a.allow_extras();
    a.footer("and then its fields in order: JSON, (a, b) for a struct within it, or plain text");
}
void takes_json(CLI::App& a, options& o) {
    a.add_flag("--json", o.json, "one line of JSON for each document");
}
void takes_tree(CLI::App& a, options& o) {
    a.add_option("--tree", o.tree, "name of the tree; needed if several run");
}
void takes_count(CLI::App& a, options& o) {
    a.add_option("--count", o.count, "end after so many; 0: endless")->capture_default_str();
    a.add_flag("--verbose", o.verbose, "tell on standard error when it has begun");
}

// Whoever adds a subcommand adds a line.
const std::vector<subcommand>& subcommands() {
    static const std::vector<subcommand> all{
        {"check", "check a deployment file, and show the tree that it describes",
         [](CLI::App& a, options& o) {
             a.add_option("FILE", o.file, "the deployment file")->required();
             a.add_option(
                  "--program", o.program,
                  "ask this program, which has the actors; without a value the one that the file names")
                 ->expected(0, 1);
             takes_json(a, o);
         },
         &check},
        {"run", "run the tree of a deployment file; -- ARGUMENTS are the program's that the file names",
         [](CLI::App& a, options& o) {
             a.add_option("FILE", o.file, "the deployment file")->required();
             a.add_option("NAME=VALUE", o.fields,
                          "options of the node, which go before the file: schedulers=2");
         },
         &run_deployment},
        {"tree", "show the actors of a tree; without a name, of the only one, or the names of all",
         [](CLI::App& a, options& o) {
             a.add_option("NAME", o.target, "name of the tree");
             takes_json(a, o);
         },
         &show_tree},
        {"top", "show the busiest actors, again and again",
         [](CLI::App& a, options& o) {
             a.add_option("NAME", o.target, "name of the tree");
             a.add_option("--every", o.every, "seconds between two looks")->capture_default_str();
             a.add_option("--count", o.count, "end after so many looks; 0: endless")->capture_default_str();
         },
         &show_top},
        {"observe", "serve a page that shows a tree live, and its figures for Prometheus",
         [](CLI::App& a, options& o) {
             a.add_option("NAME", o.target, "name of the tree");
             declare_observe(a);
         },
         &observe},
        {"send", "send a message to an actor",
         [](CLI::App& a, options& o) {
             wants_path(a, o);
             wants_message(a, o);
         },
         &send},
        {"ask", "ask an actor, and print the reply",
         [](CLI::App& a, options& o) {
             wants_path(a, o);
             wants_message(a, o);
             takes_json(a, o);
         },
         &ask},
        {"receive", "print what is published to groups",
         [](CLI::App& a, options& o) {
             a.add_option("GROUP", o.groups, "names of groups")->required();
             takes_count(a, o);
             takes_tree(a, o);
             takes_json(a, o);
         },
         &receive},
        {"publish", "send a message to all members of a group",
         [](CLI::App& a, options& o) {
             a.add_option("GROUP", o.target, "name of the group")->required();
             wants_message(a, o);
             takes_tree(a, o);
         },
         &publish},
        {"log", "follow the log of a tree or subtree, or set its level",
         [](CLI::App& a, options& o) {
             a.add_option("PATH", o.target, "of a subtree, or the tree's name");
             a.add_option("--level", o.level, "print this level and above")->capture_default_str();
             a.add_option("--set", o.set, "log this level and above from now on, and end");
             takes_count(a, o);
             takes_json(a, o);
         },
         &follow_log},
        {"stop", "end an actor, which its supervisor then forgets; or a whole tree, by its name", &wants_path,
         [](const options& o) { end_one(o, false); }},
        {"kill", "end an actor at once; its supervisor judges that like any failure", &wants_path,
         [](const options& o) { end_one(o, true); }},
        {"restart", "end an actor and start it again, by its supervisor", &wants_path, &restart_one},
        {"pause", "have an actor, and all below it, take no more mail; or a whole tree, by its name",
         &wants_path, [](const options& o) { set_paused(o, true); }},
        {"resume", "have them go on with the mail that waits", &wants_path,
         [](const options& o) { set_paused(o, false); }},
        {"agent", "start processes here for trees that run elsewhere, as far as it is allowed",
         [](CLI::App& a, options&) { declare_agent(a); }, [](options&) { run_agent(); }},
        {"script", "run an actor that is written in Lua",
         [](CLI::App& a, options& o) { declare_script(a, o.file); },
         [](options& o) { o.code = run_script(o.file); }},
        {"rights", "tell who may do what, by a deployment file",
         [](CLI::App& a, options& o) { declare_rights(a, o.file); },
         [](options& o) { o.code = explain_rights(o.file); }},
        {"broker", "pass messages on between programs that are no part of any tree",
         [](CLI::App& a, options&) { declare_broker(a); }, [](options&) { run_broker(); }},
        {"version", "print the version", [](CLI::App&, options&) {}, &show_version},
    };
    return all;
}

// What a deployment says to its nodes is not meant for this one.
void forget_node_options() {
    std::vector<std::string> names;
    for (char** v = environ; *v; ++v) {
        const std::string_view one{*v};
        if (one.starts_with("COPPICE_") && !one.starts_with("COPPICE_RUN_DIR="))
            names.emplace_back(one.substr(0, one.find('=')));
    }
    for (const std::string& name : names) ::unsetenv(name.c_str());
}

int run(int argc, char** argv) {
    // An actor of a deployment file, a script, whose carrier is a process.
    if (argc == 1)
        if (const auto code = run_if_child(argc, argv)) return *code;
    if (::pipe2(wake_pipe, O_CLOEXEC) != 0) {
        std::perror("coppice: pipe");
        return static_cast<int>(exit_code::failed);
    }
    CLI::App app{
        "Checks and runs deployment files; looks at a running tree of Coppice actors and acts on it.",
        "coppice"};
    app.require_subcommand(1);
    app.set_version_flag("--version", "coppice " COPPICE_VERSION);
    options o;
    const subcommand* chosen = nullptr;
    for (const subcommand& one : subcommands()) {
        CLI::App* a = app.add_subcommand(one.name, one.help);
        one.declare(*a, o);
        if (one.name != std::string_view{"run"})
            a->add_option("--within", o.within, "seconds to wait for an answer")->capture_default_str();
        a->callback([&chosen, &one, &o, a] {
            chosen = &one;
            if (!a->remaining().empty()) o.fields = a->remaining();
        });
    }
    const bool is_run = argc > 1 && argv[1] == std::string_view{"run"};
    if (is_run) {
        const auto end = argv + argc;
        const auto dashes = std::find(argv, end, std::string_view{"--"});
        if (dashes != end) o.arguments.assign(dashes + 1, end);
        argc = static_cast<int>(dashes - argv);
    }
    // As run tells it, and as all others do.
    const int not_understood =
        is_run ? static_cast<int>(run_result::bad_options) : static_cast<int>(exit_code::usage);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& why) {
        return app.exit(why) == 0 ? 0 : not_understood;
    }
    // Files are checked and run as the environment has it; a guest has none of it.
    if (o.file.empty()) forget_node_options();
    try {
        chosen->run(o);
    } catch (const mistaken_file& why) {
        if (*why.what()) std::fprintf(stderr, "%s\n", why.what());
        return not_understood;
    } catch (const command_failed& why) {
        std::fprintf(stderr, "coppice: %s\n", why.what());
        return is_run ? not_understood : static_cast<int>(why.code());
    }
    return o.code;
}

}  // namespace
}  // namespace coppice::command

int main(int argc, char** argv) { return coppice::command::run(argc, argv); }
