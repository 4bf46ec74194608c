// Actions of the observer's page; see observer_actions.hpp. What a page asks is a stranger's: each field is looked at before
// it is used. Threading: the observer's.
#include "observer_actions.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

#include "coppice/any_request.hpp"
#include "observer_json.hpp"

namespace coppice::actors::observing {

namespace {

/// Of an answer that JSON cannot hold, and is shown as text.
constexpr std::size_t most_answer_text = 64 * 1024;

/// What a page asks for, checked.
struct order {
    std::string path;
    std::string type;
    value::list fields;
};

const value* field(const value::map& of, std::string_view name) {
    for (const value::entry& each : of)
        if (const auto* key = each.key.get_if<std::string>(); key && *key == name) return &each.mapped;
    return nullptr;
}

result<std::string> text_field(const value::map& of, std::string_view name) {
    const value* found = field(of, name);
    const auto* text = found ? found->get_if<std::string>() : nullptr;
    if (!text) return error{errc::bad_message, fmt::format("the field \"{}\" is a text", name)};
    return *text;
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string last_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

result<order> order_of(const std::string& tree, const web::call& asked) {
    const auto* with = asked.with.get_if<value::map>();
    if (!with) return error{errc::bad_message, "the field \"with\" is an object"};
    auto path = text_field(*with, "path");
    if (!path) return path.error();
    const bool inside = *path == tree || path->starts_with(tree + "/");
    if (!inside || path->size() > limits::path_bytes)
        return error{errc::invalid_argument, fmt::format("\"path\" is a path in {}", tree)};
    if (last_of(*path) == control_name)
        return error{errc::denied,
                     "control actors are the nodes' own, without which nothing is seen of them"};
    order made{*std::move(path), {}, {}};
    if (asked.name != "send" && asked.name != "ask") return made;
    auto type = text_field(*with, "type");
    if (!type) return type.error();
    made.type = *std::move(type);
    if (const value* fields = field(*with, "fields"); fields && fields->kind() != value_kind::nothing) {
        const auto* list = fields->get_if<value::list>();
        if (!list) return error{errc::bad_message, "the field \"fields\" is a list"};
        made.fields = *list;
    }
    return made;
}

// ---- ends

struct end_it {
    using local_only = void;
    bool kill = false;
    using reply = std::string;
};

/// Asks an actor to end, and waits for that; an actor of its own, because the observer's mail is the observer's.
task<> ends_one(actor<protocol<end_it>> self, ref<anything> who) {
    auto m = co_await self.receive();
    if (!m) co_return;
    std::optional<request<end_it>> asked;
    m.match([&](request<end_it> r) { asked = std::move(r); });
    if (!asked) co_return;
    self.monitor(who);
    if ((*asked)->kill) self.kill(who);
    else self.shutdown(who);
    auto ended = co_await self.receive_only<down>(2 * limits::shutdown_deadline);
    if (ended) asked->reply("ended: " + ended->get_if<down>()->reason.to_string());
    else asked->fail(ended.error());
}

task<result<value>> end_by_itself(observer_actor self, std::string path, bool kill) {
    auto who = co_await self.resolve<anything>(path);
    if (!who) co_return who.error();
    const auto helper = self.spawn(ends_one, *who);
    auto done = co_await self.ask<end_it>(helper, 3 * limits::shutdown_deadline, kill);
    if (!done) co_return done.error();
    co_return value{*std::move(done)};
}

task<result<value>> stop(observer_actor self, std::string path) {
    // By its supervisor, which would start it again otherwise.
    const std::string above = parent_of(path);
    if (!above.empty()) {
        auto by = co_await self.resolve<supervisor_protocol>(above);
        if (!by && by.error() != errc::wrong_protocol) co_return by.error();
        if (by) {
            auto done = co_await self.ask<terminate_child>(*by, 2 * limits::shutdown_deadline, last_of(path));
            if (done) co_return value{"stopped by its supervisor"};
            if (done.error() != errc::not_found && done.error() != errc::no_handler) co_return done.error();
        }
    }
    co_return co_await end_by_itself(self, std::move(path), false);
}

task<result<value>> restart(observer_actor self, std::string path) {
    const std::string above = parent_of(path);
    if (above.empty())
        co_return error{errc::invalid_argument, path + " is the root of the tree, which nobody restarts"};
    auto by = co_await self.resolve<supervisor_protocol>(above);
    if (!by)
        co_return error{by.error().code(), fmt::format("{} is no supervisor that could restart it", above)};
    auto done = co_await self.ask<restart_child>(*by, 2 * limits::shutdown_deadline, last_of(path));
    if (!done) co_return done.error();
    co_return value{"restarted by its supervisor"};
}

// By the node of its parent: there a process is known by its keeper, which is paused with it.
task<result<value>> set_paused(observer_actor self, std::string path, bool paused) {
    const std::string above = parent_of(path);
    auto control = co_await control_of(self, above.empty() ? path : above);
    if (!control) co_return control.error();
    auto done = co_await self.ask<control::set_paused>(*control, limits::ask_deadline, path, paused);
    if (!done) co_return done.error();
    co_return value{paused ? "paused, with all below it" : "goes on, with all below it"};
}

// ---- messages

/// The full name of a type that was given by its last part.
result<std::string> full_type(const std::string& given, const std::vector<std::string>& names) {
    std::vector<std::string> fitting;
    for (const std::string& name : names) {
        if (name == given) return name;
        if (name.ends_with("::" + given)) fitting.push_back(name);
    }
    if (fitting.size() == 1) return fitting.front();
    if (names.empty()) return given;  // it takes anything
    std::string text =
        (fitting.empty() ? "it handles no message " : "it handles several messages ") + given + ":";
    for (const std::string& name : fitting.empty() ? names : fitting) text += " " + name;
    return error{fitting.empty() ? errc::no_handler : errc::invalid_argument, std::move(text)};
}

struct addressed {
    ref<anything> who;
    ref<control_protocol> control;
    value what;
};

task<result<addressed>> message_for(observer_actor self, order wanted) {
    auto who = co_await self.resolve<anything>(wanted.path);
    if (!who) co_return who.error();
    auto control = co_await control_of(self, wanted.path);
    if (!control) co_return control.error();
    auto names = co_await self.ask<control::message_types>(*control, limits::ask_deadline, wanted.path);
    if (!names) co_return names.error();
    auto type = full_type(wanted.type, *names);
    if (!type) co_return type.error();
    value::record fields;
    fields.fields = std::move(wanted.fields);
    fields.type = type_id(*type);
    co_return addressed{*who, *control, value{std::move(fields)}};
}

task<result<value>> send(observer_actor self, on_behalf as, order wanted) {
    const std::string path = wanted.path;
    auto to = co_await message_for(self, std::move(wanted));
    if (!to) co_return to.error();
    if (auto sent = as.send(to->who, std::move(to->what)); !sent)
        co_return sent.error().text().empty() ? error{sent.error().code(), path} : sent.error();
    // Its node has taken what was sent before when it answers what was sent after.
    auto arrived = co_await self.ask<control::message_types>(to->control, limits::ask_deadline, path);
    if (!arrived && arrived.error() != errc::not_found) co_return arrived.error();
    co_return value{"sent"};
}

task<result<value>> ask(observer_actor self, on_behalf as, order wanted) {
    auto to = co_await message_for(self, std::move(wanted));
    if (!to) co_return to.error();
    const bool is_here = !to->who.is_remote();
    auto reply = co_await as.ask(to->who, limits::ask_deadline, std::move(to->what));
    if (!reply && is_here && reply.error() == errc::no_handler)
        co_return error{
            errc::no_handler,
            "of the observer's own process, only actors that take any_request can be asked by it; "
            "the command coppice, and coppice observe, can ask all"};
    if (!reply) co_return reply.error();
    if (web::write_value(*reply, web::kind::text)) co_return *std::move(reply);
    co_return value{to_string(*reply, most_answer_text)};
}

struct action {
    std::string_view name;
    right needed;  ///< for the path that it names
};
constexpr action all_actions[] = {{"stop", right::stop},  {"kill", right::stop},   {"restart", right::stop},
                                  {"pause", right::stop}, {"resume", right::stop}, {"send", right::send},
                                  {"ask", right::ask}};

/// Nothing: there is no such action.
std::optional<right> right_for(std::string_view name) noexcept {
    const auto* at = std::ranges::find(all_actions, name, &action::name);
    return at == std::end(all_actions) ? std::nullopt : std::optional{at->needed};
}

}  // namespace

task<result<ref<control_protocol>>> control_of(observer_actor self, std::string path) {
    for (;;) {
        auto found = co_await self.resolve<control_protocol>(path + "/" + control_name);
        if (found) co_return *found;
        const auto cut = path.rfind('/');
        if (found.error() != errc::not_found || cut == 0 || cut == std::string::npos) co_return found.error();
        path.resize(cut);
    }
}

std::string description_of(const web::call& asked) {
    const auto* with = asked.with.get_if<value::map>();
    const auto path = with ? text_field(*with, "path") : result<std::string>{errc::bad_message};
    if (!right_for(asked.name) || !path || path->size() > limits::path_bytes)
        return "something that is no action";
    return asked.name + " of " + as_utf8(*path);
}

result<value> actions_of(const on_behalf& who, const std::string& tree, const web::call& asked) {
    auto wanted = order_of(tree, asked);
    if (!wanted) return wanted.error();
    value::list allowed;
    for (const action& each : all_actions)
        if (who.allows(each.needed, wanted->path)) allowed.emplace_back(std::string{each.name});
    return value{std::move(allowed)};
}

task<result<value>> perform(observer_actor self, on_behalf who, std::string tree, web::call asked) {
    auto wanted = order_of(tree, asked);
    if (!wanted) co_return wanted.error();
    const auto needed = right_for(asked.name);
    if (!needed)
        co_return error{errc::no_handler, "there is stop, kill, restart, pause, resume, send and ask"};
    if (auto fine = who.may(*needed, wanted->path); !fine) co_return fine.error();
    if (asked.name == "stop") co_return co_await stop(self, wanted->path);
    if (asked.name == "kill") co_return co_await end_by_itself(self, wanted->path, true);
    if (asked.name == "restart") co_return co_await restart(self, wanted->path);
    if (asked.name == "pause") co_return co_await set_paused(self, wanted->path, true);
    if (asked.name == "resume") co_return co_await set_paused(self, wanted->path, false);
    if (asked.name == "send") co_return co_await send(self, std::move(who), *std::move(wanted));
    co_return co_await ask(self, std::move(who), *std::move(wanted));
}

}  // namespace coppice::actors::observing
