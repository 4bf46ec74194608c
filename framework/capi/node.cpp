// Versions, codes, nodes and the actors of this process: what a program begins and ends with.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "inbox.hpp"
#include "net/router.hpp"
#include "options.hpp"
#include "resources.hpp"
#include "root.hpp"
#include "support/run_directory.hpp"

namespace coppice::c {

namespace {

// Nobody else's: of this process, and of no other that has its number on another machine or had it before.
std::string own_name(const char* begin) {
    static std::atomic<unsigned> count{0};
    std::array<char, 64> text{};
    std::random_device dice;
    std::snprintf(text.data(), text.size(), "%s-%ld-%u-%08x", begin, static_cast<long>(::getpid()), ++count,
                  static_cast<unsigned>(dice()));
    return text.data();
}

std::string secret_of(const coppice_node_options& o) {
    if (has(o.secret_file) && has(o.secret_env))
        refuse(errc::invalid_argument, "`secret_file` and `secret_env` are both set: one of them");
    if (has(o.secret_env)) {
        const char* text = std::getenv(o.secret_env);
        if (!has(text)) refuse(errc::not_found, std::string{"the variable "} + o.secret_env + " is not set");
        return text;
    }
    if (!has(o.secret_file)) return {};
    std::ifstream file{o.secret_file};
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (!file.good() && !file.eof()) refuse(errc::io, std::string{"cannot read "} + o.secret_file);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (text.empty()) refuse(errc::not_found, std::string{"there is no secret in "} + o.secret_file);
    return text;
}

level level_of(int of) {
    if (of == COPPICE_OFF) return level::off;
    if (of < COPPICE_TRACE || of > COPPICE_OFF)
        refuse(errc::invalid_argument,
               std::to_string(of) + " is no level: COPPICE_TRACE (1) to COPPICE_OFF (6)");
    return static_cast<level>(of - 1);
}

std::vector<std::string> parts_of(const char* text) {
    std::vector<std::string> all;
    std::string rest = text ? text : "";
    while (!rest.empty()) {
        const auto cut = rest.find(',');
        if (cut != 0) all.push_back(rest.substr(0, cut));
        rest.erase(0, cut == std::string::npos ? cut : cut + 1);
    }
    return all;
}

std::string joined(const std::vector<std::string>& names) {
    std::string all;
    for (const auto& n : names) all += (all.empty() ? "" : ", ") + n;
    return all;
}

bool runs(const std::string& tree, std::vector<std::string>* all = nullptr) {
    auto running = detail::running_trees();
    if (!running) throw refused{running.error()};
    if (all) *all = *running;
    return std::find(running->begin(), running->end(), tree) != running->end();
}

// Waits for the link to the parent: who looks for an actor over it is told when it stands, or why it does not.
void wait_joined(node_resource& node, const std::string& parent, std::chrono::nanoseconds within) {
    const auto until = std::chrono::steady_clock::now() + within;
    for (;;) {
        const auto found = find_actor(node, parent + "#/-");
        const errc code = found.error().code();
        const bool may_come = code == errc::unreachable || code == errc::timeout || code == errc::name_taken;
        const bool refused_for_good = code == errc::name_refused || code == errc::wrong_secret ||
                                      code == errc::wrong_version || code == errc::bad_name ||
                                      code == errc::denied || code == errc::invalid_argument ||
                                      code == errc::stopping;
        if (!may_come && !refused_for_good) return;
        if (refused_for_good || std::chrono::steady_clock::now() >= until)
            throw refused{error{code, "joining " + parent + ": " + std::string{found.error().text()}}};
    }
}

coppice_node_options node_options_of(const coppice_node_options* given) {
    constexpr std::size_t before_linger = offsetof(coppice_node_options, linger_ms);  // of header 1.0
    return known(given, {before_linger});
}

coppice_node open_node(const coppice_node_options& given) {
    if (has(given.tree) && has(given.parent))
        refuse(errc::invalid_argument, "`tree` and `parent` are both set: one of them says what is joined");
    register_builtin_transports();
    watch_forks();
    node_options o;
    o.schedulers = 1;
    o.handle_signals = false;  // they are the program's
    if (given.log_level) o.level = level_of(given.log_level);
    o.network.listen = parts_of(given.listen);
    o.network.secret = secret_of(given);
    if (given.hold_ms) o.network.hold = limit_of(given.hold_ms);
    if (given.linger_ms) o.network.linger = limit_of(given.linger_ms);
    const std::string name =
        has(given.name) ? std::string{name_of(given.name, "options.name")} : own_name("c");
    const bool begins = !has(given.tree) && !has(given.parent);
    if (has(given.parent)) {
        o.network.parent = given.parent;
        if (o.network.parent.find('#') != std::string::npos)
            refuse(errc::invalid_argument, "`parent` names an actor: an endpoint ends before the #");
    } else if (has(given.tree)) {
        std::vector<std::string> all;
        if (!runs(given.tree, &all))
            refuse(errc::not_found, std::string{"no tree named "} + given.tree + " runs here" +
                                        (all.empty() ? "" : "; there is " + joined(all)) +
                                        " (a tree is found if it runs with --coppice-control=on)");
        o.network.parent = std::string{"unix://"} + given.tree + ".control";
    } else if (has(given.name)) {
        // It can be joined by its name.
        if (runs(name)) refuse(errc::name_taken, "a tree named " + name + " runs here");
        o.control = true;
    }
    const std::string parent = o.network.parent;
    auto opened = node_resource::open(name, std::move(o));
    if (!opened) throw refused{opened.error()};
    if (!begins) {
        try {
            wait_joined(**opened, parent, std::max(limit_of(given.join_ms), limits::ask_deadline));
        } catch (...) {
            static_cast<void>((*opened)->given_back());
            throw;
        }
    }
    return handle_table::add(kind::node, *std::move(opened));
}

task<> start_below(actor<anything> self, child_spec spec,
                   std::shared_ptr<detail::blocking_answer<ref<>>> answer) {
    answer->set(co_await self.start(std::move(spec)));
}
task<> start_by(actor<anything> self, ref<anything> root, child_spec spec,
                std::shared_ptr<detail::blocking_answer<ref<>>> answer) {
    answer->set(co_await self.ask<start_child>(root, 2 * limits::start_deadline, std::move(spec)));
}

coppice_actor open_actor(const pin<node_resource>& node, std::shared_ptr<node_resource> shared,
                         const coppice_actor_options& given) {
    const std::string name =
        has(given.name) ? std::string{name_of(given.name, "options.name")} : own_name("actor");
    if (name.size() > limits::name_bytes)
        refuse(errc::bad_name, "`options.name` has " + std::to_string(name.size()) + " bytes, of at most " +
                                   std::to_string(limits::name_bytes));
    auto box = std::make_shared<inbox>(shared);
    auto spec = child(name, in_coroutine, &take_mail, box).restarts(restart::temporary);
    if (given.mailbox) spec.mailbox(given.mailbox);
    if (given.stops_node) spec.significant();
    auto made =
        std::make_shared<actor_resource>(shared, box);  // before the actor: what is there can be undone
    waiting<ref<>> started;
    node->with([&](detail::node_core& core) {
        const detail::actor_id root = core.root.load(std::memory_order_acquire);
        if (node->has_supervisor()) {
            const ref<anything> by{detail::address{root, nullptr}};
            detail::run_under_root(core, [by, spec, answer = started.answer](actor<anything> self) {
                return start_by(self, by, spec, answer);
            });
        } else {
            detail::post_control(
                detail::scheduler_of(root), [root, spec, answer = started.answer](detail::scheduler& s) {
                    if (detail::cell* c = s.find(root); c && !(c->attention & detail::cell::ended)) {
                        const actor<anything> self{c};
                        self.spawn_task(start_below(self, spec, answer));
                    }
                });
        }
    });
    if (auto outcome = started.get(); !outcome)
        throw refused{
            error{outcome.error().code(), "actor " + name + ": " + std::string{outcome.error().text()}}};
    node->remember(box);
    return handle_table::add(kind::actor, std::move(made));
}

// The resource itself, for what lives as long as it does.
std::shared_ptr<node_resource> shared(const pin<node_resource>& node) { return node->shared_from_this(); }

}  // namespace

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;

uint32_t coppice_version(void) { return COPPICE_HEADER_MAJOR * 65536u + COPPICE_HEADER_MINOR; }

int coppice_check_version(uint32_t header_major, uint32_t header_minor) {
    return call("coppice_check_version", 0, [&] {
        if (header_major == COPPICE_HEADER_MAJOR && header_minor <= COPPICE_HEADER_MINOR) return error{};
        return error{errc::wrong_version,
                     "the program was compiled with coppice.h " + std::to_string(header_major) + "." +
                         std::to_string(header_minor) + ", the library is of " +
                         std::to_string(COPPICE_HEADER_MAJOR) + "." + std::to_string(COPPICE_HEADER_MINOR)};
    });
}

const char* coppice_code_name(int code) {
    if (code < 0 || code > COPPICE_TOO_LARGE) return "unknown";
    return coppice::to_string(static_cast<errc>(code)).data();  // literals, which end in a zero
}
const char* coppice_error_text(void) { return last_text(); }
const char* coppice_error_text_of(coppice_handle handle) { return last_text_of(handle); }
size_t coppice_open_handles(void) { return handle_table::open(); }

int coppice_close(coppice_handle handle) {
    return call("coppice_close", handle, [&] {
        if (handle == 0) return error{};
        resource* what = nullptr;
        const found how = handle_table::enter(handle, what);
        if (how != found::open) refuse_handle(handle, how, "handle", "a handle");
        const pin<resource> one{handle, what};
        if (!handle_table::close(handle)) refuse_handle(handle, found::closed, "handle", "a handle");
        return one->given_back();
    });
}

int coppice_open_node(const coppice_node_options* options, coppice_node* out) {
    return call("coppice_open_node", 0, [&] {
        need(out, "out");
        *out = 0;
        *out = open_node(node_options_of(options));
        return error{};
    });
}

int coppice_open_node_telling(const coppice_node_options* options, coppice_node* out, char* text,
                              size_t room) {
    const int code = call("coppice_open_node_telling", 0, [&] {
        copy_text("", text, room);
        need(out, "out");
        *out = 0;
        *out = open_node(node_options_of(options));
        return error{};
    });
    if (code != COPPICE_OK && text && room) copy_text(last_text(), text, room);
    return code;
}

int coppice_open_actor(coppice_node node, const coppice_actor_options* options, coppice_actor* out) {
    return call("coppice_open_actor", node, [&] {
        need(out, "out");
        *out = 0;
        const auto in = use<node_resource>(node, "node");
        *out = open_actor(in, shared(in), known(options));
        return error{};
    });
}

int coppice_join_tree(const char* tree, const char* actor_name, coppice_node* node, coppice_actor* actor) {
    return call("coppice_join_tree", 0, [&] {
        need(tree, "tree");
        need(node, "node");
        need(actor, "actor");
        *node = *actor = 0;
        coppice_node_options joins{};
        joins.tree = tree;
        coppice_actor_options named{};
        named.name = actor_name;
        const coppice_node opened = open_node(joins);
        const auto in = use<node_resource>(opened, "node");
        try {
            *actor = open_actor(in, shared(in), named);
        } catch (...) {
            give_back(in);
            throw;
        }
        *node = opened;
        return error{};
    });
}

int coppice_flush(coppice_node node, uint64_t wait_ms) {
    return call("coppice_flush", node, [&] {
        const auto n = use<node_resource>(node, "node");
        waiting<void> told;
        n->with([&](coppice::detail::node_core& core) {
            coppice::net::flush_network(
                core, limit_of(wait_ms),
                [answer = told.answer](coppice::result<void> outcome) { answer->set(std::move(outcome)); });
        });
        return told.get().error();
    });
}

int coppice_path(coppice_actor actor, const char** text, size_t* size) {
    return call("coppice_path", actor, [&] {
        need(text, "text");
        const auto a = use<actor_resource>(actor, "actor");
        *text = a->box->path().c_str();
        if (size) *size = a->box->path().size();
        return error{};
    });
}
