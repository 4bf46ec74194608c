// What is done for others, and how it is decided; see on_behalf.hpp. For actors of this node here, by the same functions as the gate
// decides for strangers (net/gate.hpp); for those of other nodes there: what leaves is marked (net/marked_mail.hpp).
#include "coppice/on_behalf.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "cell_ext.hpp"
#include "coppice/any_request.hpp"
#include "net/gate.hpp"
#include "net/marked_mail.hpp"
#include "net/router.hpp"
#include "node_core.hpp"

namespace coppice {

namespace {

constexpr std::string_view of_scripts = "script:";

// Paths that one keeps; who sends to more actors than that has them looked up again.
constexpr std::size_t most_paths_kept = 1024;

detail::node_core& node_of(const actor<anything>& self) noexcept { return *self.cell()->sched->node; }

struct needed {
    right what;
    std::string object;
};

// The handlers of an actor here; null: it has gone, or runs none of this program's.
const detail::protocol_info* handlers_of(const ref<>& who) noexcept {
    const detail::actor_id id = who.current();
    detail::scheduler* there =
        id ? detail::scheduler::table[detail::scheduler_of(id)].load(std::memory_order_acquire) : nullptr;
    const detail::cell* c = there ? there->peek(id) : nullptr;
    return c && c->published_id.load(std::memory_order_relaxed) == id
               ? c->protocol.load(std::memory_order_relaxed)
               : nullptr;
}

// A value that stands for a message of a type which asks for a right of its own: its receiver takes it as that.
std::optional<needed> needed_by(const ref<>& to, const value& what) {
    const std::uint64_t type = detail::type_of_value(&what);
    const detail::protocol_info* has = type ? handlers_of(to) : nullptr;
    if (!has) return std::nullopt;
    const auto handles = [&](std::uint64_t id) {
        return std::ranges::find_if(has->messages, [id](const auto* m) { return m->id == id; });
    };
    if (handles(detail::value_type) != has->messages.end()) return std::nullopt;  // it takes it as it is
    const auto at = handles(type);
    if (at == has->messages.end() || !(*at)->needs || !(*at)->wire) return std::nullopt;
    detail::envelope* e = detail::make_envelope<value>(to.id(), 0, what);
    detail::envelope* read = detail::read_foreign(e, *at);
    std::optional<needed> asks_for;
    if (read) {
        const demand d = (*at)->needs(reinterpret_cast<const std::byte*>(read) + (*at)->offset);
        asks_for = needed{d.what, std::string{d.object}};
    }
    detail::release(read ? read : e);
    return asks_for;
}

result<void> as_result(errc outcome) {
    if (outcome != errc::ok) return outcome;
    return {};
}

}  // namespace

rights_table::role_number role_on_behalf(const rights_table& table, const std::string& shown) {
    const auto all = shown.empty() ? principals{} : principals{&shown, 1};
    if (!shown.starts_with(of_scripts)) return table.role_of(all);
    const auto names_it = [&](const rights_role& role) {
        return std::ranges::any_of(role.who, [&](const std::string& who) { return matches(who, shown); });
    };
    const auto at = std::ranges::find_if(table.roles, names_it);
    if (at == table.roles.end()) return rights_table::of_the_tree;
    return static_cast<rights_table::role_number>(at - table.roles.begin() + 1);
}

on_behalf::on_behalf(detail::cell* self, std::string shown)
    : self_{self}, shown_{std::move(shown)}, as_{rights_table::of_the_tree} {
    const auto& rights = node_of(self_).options.network.rights;
    if (!rights) return;
    const auto role = role_on_behalf(*rights, shown_);
    if (!rights->is_of_the_tree(role)) as_ = role;
}

bool on_behalf::allows(right what, std::string_view object) const noexcept {
    return is_of_the_tree() || node_of(self_).options.network.rights->allows(as_, what, object);
}

error on_behalf::refused(right what, std::string_view object) const {
    detail::node_core& node = node_of(self_);
    const std::string who = shown_.empty() ? "somebody without a token" : shown_;
    net::count_refusal(node, as_, what, object, who);
    return {errc::denied, who + ": " + node.options.network.rights->decide(as_, what, object).because};
}

result<void> on_behalf::may(right what, std::string_view object) const {
    if (allows(what, object)) return {};
    return refused(what, object);
}

const std::string& on_behalf::path_of(const ref<>& who) const {
    const detail::actor_id now = who.current();
    const detail::actor_id id = now ? now : who.id();
    if (const auto at = paths_.find(id); at != paths_.end()) return at->second;
    std::string path = who.name() ? who.to_string() : std::string{};
    if (!path.starts_with('/')) path = net::path_of_actor(node_of(self_), id);
    if (paths_.size() >= most_paths_kept) paths_.clear();
    return paths_.emplace(id, std::move(path)).first->second;
}

// Of an actor here.
result<void> on_behalf::may_mail(const ref<>& to, bool asked, const value& what) const {
    if (to == self_.me()) return {};
    const std::string& path = path_of(to);
    if (!asked) {  // a request arrives as any_request, whatever it holds
        if (const auto own = needed_by(to, what))
            return may(own->what, own->object.empty() ? path : own->object);
    }
    detail::node_core& node = node_of(self_);
    if (net::allows_mail(node, *node.options.network.rights, as_, asked, to.current(), path)) return {};
    return refused(asked ? right::ask : right::send, path);
}

task<result<ref<>>> on_behalf::find(std::string path) const {
    if (!is_of_the_tree()) {
        const detail::node_core& node = node_of(self_);
        const bool leads_out = path.find("://") != std::string::npos || path.find('#') != std::string::npos;
        const std::string whole =
            leads_out || path.starts_with('/') ? path : net::path_of_node(node.name) + "/" + path;
        if (leads_out || !net::allows_any(*node.options.network.rights, as_, whole))
            co_return refused(right::inspect, whole);
    }
    co_return co_await self_.resolve<anything>(std::move(path));
}

result<void> on_behalf::send(const ref<>& to, value what) const {
    if (is_of_the_tree()) return as_result(self_.send<value>(to, std::move(what)));
    if (to.is_remote()) return as_result(self_.send<net::marked_value>(to, std::move(what), as_));
    if (auto fine = may_mail(to, false, what); !fine) return fine;
    return as_result(self_.send<value>(to, std::move(what)));
}

task<result<value>> on_behalf::ask(ref<> to, std::chrono::nanoseconds within, value what) const {
    if (!is_of_the_tree()) {
        if (to.is_remote())
            co_return co_await self_.ask<net::marked_request>(to, within, std::move(what), as_);
        if (auto fine = may_mail(to, true, what); !fine) co_return fine.error();
    }
    co_return co_await self_.ask<any_request>(to, within, std::move(what));
}

result<std::uint64_t> on_behalf::monitor(const ref<>& who) const {
    if (!is_of_the_tree() && !who.is_remote())
        if (auto fine = may(right::monitor, path_of(who)); !fine) return fine.error();
    const std::uint64_t id = detail::actor_calls::new_monitor_id(self_.cell());
    net::router* net = node_of(self_).net;
    if (is_of_the_tree() || !who.is_remote() || !net) {
        detail::actor_calls::monitor(self_.cell(), who, id);
    } else {
        detail::ext_of(self_.cell()).watching.emplace(id, who);
        net->watch(self_.cell()->self_id(), id, who, as_);
    }
    return id;
}

result<void> on_behalf::stop(const ref<>& who) const {
    net::router* net = node_of(self_).net;
    if (!is_of_the_tree() && who.is_remote() && net) {
        net->end(who, net::ending::stop, {}, as_);
        return {};
    }
    if (!is_of_the_tree() && who != self_.me())
        if (auto fine = may(right::stop, path_of(who)); !fine) return fine;
    self_.stop(who);
    return {};
}

result<void> on_behalf::join(std::string_view group) const {
    if (auto fine = may(right::join, group); !fine) return fine;
    return as_result(self_.join(group));
}

// To others one by one: what its members take may ask for a right of its own.
result<std::size_t> on_behalf::publish(std::string_view group, const value& what) const {
    if (is_of_the_tree()) return self_.publish<value>(group, what);
    if (auto fine = may(right::publish, group); !fine) return fine.error();
    std::size_t taken = 0;
    for (const ref<>& member : self_.members(group))
        if (member != self_.me() && send(member, what)) ++taken;
    return taken;
}

}  // namespace coppice
