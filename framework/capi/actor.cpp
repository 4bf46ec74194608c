// What an actor does in its tree beside sending and receiving: groups, monitors, ends of others, the log.
// What it has to do itself is done on its scheduler and waited for.
#include <chrono>
#include <string>
#include <utility>

#include "inbox.hpp"
#include "resources.hpp"

namespace coppice::c {

namespace {

using self_type = actor<anything>;

template <class F>
int ending(const char* function, coppice_handle from, coppice_ref who, F end) {
    return call(function, from, [&] {
        const sender s = sender_of(from);
        const auto to = use<ref_resource>(who, "who")->seen_from(s.node());
        s.node().with([&](detail::node_core& core) { end(to, core); });
        return error{};
    });
}

std::string group_of(const char* group) { return std::string{name_of(group, "group")}; }

}  // namespace

}  // namespace coppice::c

using namespace coppice::c;
using coppice::errc;
using coppice::error;
using coppice::result;
using coppice::value;
using coppice::detail::actor_calls;

int coppice_join(coppice_actor actor, const char* group) {
    return call("coppice_join", actor, [&] {
        const auto a = use<actor_resource>(actor, "actor");
        const auto name = group_of(group);
        auto done = on_actor<void>(*a->box, [name](self_type self) { return result<void>{self.join(name)}; });
        return done ? error{} : error{done.error().code(), "group " + name};
    });
}

int coppice_leave(coppice_actor actor, const char* group) {
    return call("coppice_leave", actor, [&] {
        const auto a = use<actor_resource>(actor, "actor");
        return on_actor<void>(*a->box,
                              [name = group_of(group)](self_type self) {
                                  self.leave(name);
                                  return result<void>{};
                              })
            .error();
    });
}

int coppice_publish(coppice_actor from, const char* group, coppice_value v, size_t* members) {
    return call("coppice_publish", from, [&] {
        if (members) *members = 0;
        const auto a = use<actor_resource>(from, "from");
        const auto name = group_of(group);
        const auto what = std::make_shared<value>(value_of(v, "v"));
        const auto taken = on_actor<std::size_t>(*a->box, [name, what](self_type self) {
            return result<std::size_t>{self.publish<value>(name, std::move(*what))};
        });
        if (!taken) return taken.error();
        if (members) *members = *taken;
        return error{};
    });
}

int coppice_monitor(coppice_actor actor, coppice_ref who, uint64_t* number) {
    return call("coppice_monitor", actor, [&] {
        need(number, "number");
        const auto a = use<actor_resource>(actor, "actor");
        const auto to = use<ref_resource>(who, "who")->seen_from(*a->node);
        const auto done = on_actor<std::uint64_t>(
            *a->box, [to](self_type self) { return result<std::uint64_t>{self.monitor(to)}; });
        if (!done) return done.error();
        *number = *done;
        return error{};
    });
}

int coppice_forget_monitor(coppice_actor actor, uint64_t number) {
    return call("coppice_forget_monitor", actor, [&] {
        const auto a = use<actor_resource>(actor, "actor");
        auto done = on_actor<void>(*a->box, [number](self_type self) {
            self.demonitor(number);
            return result<void>{};
        });
        if (done) a->box->forget_end(number);
        return done.error();
    });
}

int coppice_stop(coppice_handle from, coppice_ref who) {
    return ending("coppice_stop", from, who,
                  [](const auto& to, auto& core) { actor_calls::stop(nullptr, to, &core); });
}
int coppice_shutdown(coppice_handle from, coppice_ref who, uint64_t within_ms) {
    return ending("coppice_shutdown", from, who, [&](const auto& to, auto& core) {
        actor_calls::shutdown(nullptr, to, limit_of(within_ms), &core);
    });
}
int coppice_kill(coppice_handle from, coppice_ref who) {
    return ending("coppice_kill", from, who,
                  [](const auto& to, auto& core) { actor_calls::kill(nullptr, to, &core); });
}

int coppice_log(coppice_actor actor, int level, const char* text, size_t size) {
    return call("coppice_log", actor, [&] {
        if (level < COPPICE_TRACE || level > COPPICE_ERROR)
            refuse(errc::invalid_argument,
                   std::to_string(level) +
                       " is no level of a record: COPPICE_TRACE (1) to COPPICE_ERROR (5)");
        const auto a = use<actor_resource>(actor, "actor");
        const std::string all{text_of(text, size, "text")};
        a->node->with([&](coppice::detail::node_core& core) {
            core.log(static_cast<coppice::level>(level - 1), a->box->path(), all);
        });
        return error{};
    });
}

int coppice_ready(coppice_actor actor) {
    return call("coppice_ready", actor, [&] {
        const auto a = use<actor_resource>(actor, "actor");
        return on_actor<void>(*a->box,
                              [](self_type self) {
                                  self.ready();
                                  return result<void>{};
                              })
            .error();
    });
}

int coppice_give_up(coppice_actor actor, const char* text, size_t size) {
    return call("coppice_give_up", actor, [&] {
        const auto a = use<actor_resource>(actor, "actor");
        const auto why = text_of(text, size, "text");
        a->box->give_up(why.empty() ? "the program gave up" : std::string{why});
        return error{};
    });
}
