// What the tests of the observer share: a node with a gateway and an observer, actors to be looked at, and a page's view of the
// tree, built from what the observer says over a real WebSocket.
//
// What a test waits for is a message of the observer; the watchdog ends a test that waits in vain. One thread.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "actors/gateway_rig.hpp"
#include "coppice/actors/observer.hpp"
#include "coppice/actors/web_call.hpp"
#include "coppice/transport/builtin.hpp"

namespace coppice::tests::observed {

struct crash_now {};
struct count_one {
    std::uint64_t amount = 0;
};
struct count_of {
    using reply = std::uint64_t;
};
using crasher_protocol = protocol<crash_now, count_one, count_of>;

inline task<> crasher(actor<crasher_protocol> self) {
    std::uint64_t count = 0;
    while (auto m = co_await self.receive())
        m.match([](const crash_now&) { throw std::runtime_error{"told to crash"}; },
                [&](const count_one& c) { count += c.amount; }, [&](request<count_of> r) { r.reply(count); });
}

struct spawn_many {
    std::uint64_t count = 0;
    using reply = void;
};
struct poke_all {};
struct turns_taken {
    using reply = std::uint64_t;
};
using crowd_protocol = protocol<spawn_many, poke_all, turns_taken>;

inline task<> one_of_many(actor<protocol<poke_all>> self) {
    while (co_await self.receive()) {
    }
}
inline task<> takes_turns(actor<crowd_protocol> self, std::shared_ptr<std::uint64_t> turns) {
    for (;;) {
        ++*turns;
        co_await self.sleep(1ms);
    }
}
/// Has thousands of children, and counts how often it comes to run.
inline task<> crowd(actor<crowd_protocol> self) {
    std::vector<ref<protocol<poke_all>>> all;
    auto turns = std::make_shared<std::uint64_t>(0);
    self.spawn_task(takes_turns(self, turns));
    while (auto m = co_await self.receive())
        m.match(
            [&](request<spawn_many> r) {
                for (std::uint64_t i = 0; i < r->count; ++i) all.push_back(self.spawn(one_of_many));
                r.reply();
            },
            [&](const poke_all&) {
                for (const auto& each : all) self.send<poke_all>(each);
            },
            [&](request<turns_taken> r) { r.reply(*turns); });
}

// ---- a page's view of the tree, built from what the observer says

inline const value* field(const value& of, std::string_view name) {
    const auto* map = of.get_if<value::map>();
    if (!map) return nullptr;
    for (const value::entry& e : *map)
        if (*e.key.get_if<std::string>() == name) return &e.mapped;
    return nullptr;
}
inline std::string text_of(const value& of, std::string_view name) {
    const value* found = field(of, name);
    return found && found->get_if<std::string>() ? *found->get_if<std::string>() : std::string{};
}
inline std::uint64_t number_of(const value& of, std::string_view name) {
    const value* found = field(of, name);
    return found ? found->as<std::uint64_t>().value_or(0) : 0;
}
inline const value::list& list_of(const value& of, std::string_view name) {
    static const value::list none;
    const value* found = field(of, name);
    return found && found->get_if<value::list>() ? *found->get_if<value::list>() : none;
}

class view {
public:
    explicit view(std::uint16_t port, const std::string& path = "/live") : client_{port} {
        if (client_.shake_hands(path).find(" 101 ") == std::string::npos)
            throw std::runtime_error{"no handshake"};
    }
    /// The next message, taken into the view.
    value next() {
        const web_frame f = client_.next();
        if (f.opcode != 1) throw std::runtime_error{"the observer closed the channel: " + f.reason()};
        bytes += f.text.size();
        ++messages;
        value m = web::read_value(web::text(f.text)).value();
        take(m);
        return m;
    }
    template <class F>
    void until(F is_so) {
        while (!is_so()) next();
    }
    /// As until, but asks only when a look has been told.
    template <class F>
    void until_look(F is_so) {
        while (!is_so())
            while (text_of(next(), "topic") != "nodes") {
            }
    }
    [[nodiscard]] const value* actor_at(const std::string& path) const {
        const auto found = actors.find(path);
        return found == actors.end() ? nullptr : &found->second.second;
    }
    [[nodiscard]] bool has_event(const std::string& kind, const std::string& path,
                                 const std::string& part) const {
        return std::any_of(events.begin(), events.end(), [&](const value& e) {
            return text_of(e, "kind") == kind && text_of(e, "path") == path &&
                   text_of(e, "text").find(part) != std::string::npos;
        });
    }
    value call(std::uint64_t id, const std::string& name, value::map with) {
        return call_with(id, name, value{std::move(with)});
    }
    value call_with(std::uint64_t id, const std::string& name, value with) {
        client_.say(
            std::string{web::write_call({id, name, std::move(with), web::kind::text}).value().view()});
        for (;;) {
            value m = next();
            if (number_of(m, "id") == id) return m;
        }
    }

    std::map<std::string, std::pair<std::uint64_t, value>> actors;  ///< by path; with its part
    std::set<std::uint64_t> whole_parts;
    std::map<std::string, value> topics;  ///< the last message of each
    std::vector<value> log;
    std::vector<value> events;
    std::uint64_t bytes = 0;
    std::uint64_t messages = 0;

private:
    void take(const value& m) {
        const std::string topic = text_of(m, "topic");
        if (topic == "actors") take_actors(m);
        else if (!topic.empty()) topics[topic] = m;
        if (topic != "log" && topic != "events") return;
        auto& lines = topic == "log" ? log : events;
        if (field(m, "whole")) lines = list_of(m, "whole");
        for (const value& line : list_of(m, "add")) lines.push_back(line);
    }
    void take_actors(const value& m) {
        const std::uint64_t part = number_of(m, "part");
        const bool is_whole = field(m, "whole") != nullptr;
        if (is_whole) {
            whole_parts.insert(part);
            std::erase_if(actors, [&](const auto& each) { return each.second.first == part; });
        }
        for (const value& path : list_of(m, "gone")) actors.erase(*path.get_if<std::string>());
        for (const value& a : list_of(m, is_whole ? "whole" : "set")) actors[text_of(a, "path")] = {part, a};
    }
    web_client client_;
};

class observer_rig : public gateway_rig {
protected:
    explicit observer_rig(node_options of_node = seen_by_others()) : gateway_rig{std::move(of_node)} {}
    static node_options seen_by_others() {
        node_options o = quiet();
        o.network.listen = {"tcp://127.0.0.1:0"};
        return o;
    }
    static actors::observer_options often() {
        actors::observer_options o;
        o.gateway = "/app/web";
        o.period = 20ms;
        return o;
    }
    /// Of thousands of actors: the machine has other things to do as well.
    static actors::observer_options now_and_then() {
        actors::observer_options o = often();
        o.period = 250ms;
        return o;
    }
    // Who may look, and who may act as well.
    static node_options with_roles() {
        node_options o = seen_by_others();
        o.network.rights = *parse_rights("role viewer\n"
                                         "who token:viewer\n"
                                         "may inspect /app/**\n"
                                         "role guard\n"
                                         "who token:guard\n"
                                         "may inspect,stop /app/**\n"
                                         "may send,ask /app/crasher\n"
                                         "never stop /app/web\n");
        return o;
    }
    static actors::observer_options with_tokens() {
        actors::observer_options o = often();
        o.actions = true;
        o.at.tokens = {{"viewer", "viewer-secret"}, {"guard", "guard-secret"}, {"stray", "stray-secret"}};
        return o;
    }
    std::uint16_t observe(actors::observer_options options = often()) {
        start();
        add(child("crasher", in_coroutine, crasher));
        add(child("crowd", in_coroutine, crowd));
        const auto who =
            add(child("observer", in_coroutine, actors::observer, std::move(options)).awaits_ready());
        auto at = app_.ask<actors::where_observed>(who.assume<actors::observer_protocol>(), 60s);
        EXPECT_TRUE(at) << at.error().what();
        return at ? at->port : 0;
    }
    ref<> add(child_spec spec) {
        auto made = app_.ask<start_child>(supervisor_, 60s, std::move(spec));
        EXPECT_TRUE(made) << made.error().what();
        return made ? *made : ref<>{};
    }
    template <class Q>
    ref<Q> at(const std::string& path) {
        return app_.resolve<Q>(path).value();
    }
    static std::string get(std::uint16_t port, const std::string& path) {
        web_client c{port};
        c.write(fmt::format("GET {} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", path, port));
        return c.read_all();
    }
};

}  // namespace coppice::tests::observed
