// What the tests of the gateway share: a node with a gateway, and agents that write down what they are told and do what
// the test asks, as themselves.
//
// An agent asks the gateway with via<M>: the answer, or the error, is the gateway's. Journals are for any thread; what a
// test waits for is an entry in one.
#pragma once
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/actors/gateway.hpp"
#include "coppice/coppice.hpp"
#include "support/web_client.hpp"

namespace coppice::tests {

namespace web = actors::web;
using namespace std::chrono_literals;

struct web_event {
    enum class what : std::uint8_t { opened, message, closed, refused, missed };
    what kind;
    std::uint64_t channel = 0;
    std::uint16_t port = 0;
    std::string text;      ///< of a message; path; reason
    bool is_text = false;  ///< of a message
    unsigned code = 0;     ///< of a close; errc
    web::ender by = web::ender::lost;
    std::uint64_t number = 0;  ///< unsent; missed; dial
    std::string peer;
    std::string origin;
    std::string subprotocol;
};
using what = web_event::what;

class web_journal {
public:
    void add(web_event e) {
        const std::lock_guard lock{mutex_};
        events_.push_back(std::move(e));
        changed_.notify_all();
    }
    using test = std::function<bool(const web_event&)>;
    /// The n-th entry for which it is so, counted from 1, once there is one.
    web_event wait(const test& is_so, std::size_t n = 1) {
        std::unique_lock lock{mutex_};
        for (;;) {
            std::size_t seen = 0;
            for (const web_event& e : events_)
                if (is_so(e) && ++seen == n) return e;
            changed_.wait(lock);
        }
    }
    web_event wait(what kind, std::size_t n = 1) {
        return wait([kind](const web_event& e) { return e.kind == kind; }, n);
    }
    web_event wait_closed(std::uint64_t channel) {
        return wait([channel](const web_event& e) { return e.kind == what::closed && e.channel == channel; });
    }
    std::vector<web_event> all() {
        const std::lock_guard lock{mutex_};
        return events_;
    }
    std::size_t count(what kind) {
        const auto now = all();
        return static_cast<std::size_t>(
            std::count_if(now.begin(), now.end(), [&](const web_event& e) { return e.kind == kind; }));
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<web_event> events_;
};
using journal_ptr = std::shared_ptr<web_journal>;

/// Asks the gateway that, as the agent.
template <class M>
struct via {
    M what;
    using reply = reply_t<M>;
};
/// Sends the gateway that, as the agent, without asking.
struct tell_send {
    web::send what;
};
/// Runs on the agent's thread.
struct run_there {
    std::function<void()> work;
    using reply = void;
};
struct who_are_you {
    using reply = ref<>;
};
struct end_now {};

using agent_protocol =
    protocol<web::opened, web::message, web::closed, web::refused, web::missed, via<web::listen>,
             via<web::ignore>, via<web::send>, via<web::close>, via<web::broadcast>, via<web::publish>,
             via<web::set_page>, via<web::allow>, via<web::observe>, via<web::unobserve>, via<web::connect>,
             via<web::hang_up>, via<web::ping>, tell_send, run_there, who_are_you, end_now>;
using gateway_ref = ref<actors::gateway_protocol>;

template <class M>
task<> pass_on(actor<agent_protocol> self, gateway_ref gateway, request<via<M>> r) {
    auto answer = co_await self.ask<M>(gateway, 60s, std::move(r->what));
    if (!answer) r.fail(answer.error());
    else if constexpr (std::is_void_v<reply_t<M>>) r.reply();
    else r.reply(*std::move(answer));
}

/// What an agent does with a message; may be empty.
using answer_function =
    std::function<void(const actor<agent_protocol>&, const gateway_ref&, const web::message&)>;

inline void echo_back(const actor<agent_protocol>& self, const gateway_ref& gateway, const web::message& m) {
    self.send<web::send>(gateway, m.channel, m.content);
}

inline task<> web_agent(actor<agent_protocol> self, std::string gateway_path, journal_ptr journal,
                        answer_function answer) {
    auto found = co_await self.resolve<actors::gateway_protocol>(gateway_path);
    if (!found) co_return self.fail("no gateway: {}", found.error());
    const gateway_ref gateway = *found;
    self.ready();
    bool on = true;
    while (on) {
        auto m = co_await self.receive();
        if (!m) break;
        const auto ask = [&](auto r) { self.spawn_task(pass_on(self, gateway, std::move(r))); };
        m.match(
            [&](const web::opened& o) {
                journal->add({.kind = what::opened,
                              .channel = o.channel,
                              .port = o.port,
                              .text = o.path,
                              .number = o.dial,
                              .peer = o.peer,
                              .origin = o.origin,
                              .subprotocol = o.subprotocol});
            },
            [&](const web::message& t) {
                journal->add({.kind = what::message,
                              .channel = t.channel,
                              .text = std::string{t.content.view()},
                              .is_text = t.content.kind == web::kind::text});
                if (answer) answer(self, gateway, t);
            },
            [&](const web::closed& c) {
                journal->add({.kind = what::closed,
                              .channel = c.channel,
                              .text = c.reason,
                              .code = c.code,
                              .by = c.by,
                              .number = c.unsent});
            },
            [&](const web::refused& r) {
                journal->add({.kind = what::refused,
                              .channel = r.channel,
                              .port = r.port,
                              .text = r.text,
                              .code = static_cast<unsigned>(r.code)});
            },
            [&](const web::missed& x) {
                journal->add({.kind = what::missed, .channel = x.channel, .number = x.messages});
            },
            [&](request<via<web::listen>> r) { ask(std::move(r)); },
            [&](request<via<web::ignore>> r) { ask(std::move(r)); },
            [&](request<via<web::send>> r) { ask(std::move(r)); },
            [&](request<via<web::close>> r) { ask(std::move(r)); },
            [&](request<via<web::broadcast>> r) { ask(std::move(r)); },
            [&](request<via<web::publish>> r) { ask(std::move(r)); },
            [&](request<via<web::set_page>> r) { ask(std::move(r)); },
            [&](request<via<web::allow>> r) { ask(std::move(r)); },
            [&](request<via<web::observe>> r) { ask(std::move(r)); },
            [&](request<via<web::unobserve>> r) { ask(std::move(r)); },
            [&](request<via<web::connect>> r) { ask(std::move(r)); },
            [&](request<via<web::hang_up>> r) { ask(std::move(r)); },
            [&](request<via<web::ping>> r) { ask(std::move(r)); },
            [&](const tell_send& t) { self.send<web::send>(gateway, t.what); },
            [&](request<run_there> r) {
                r->work();
                r.reply();
            },
            [&](request<who_are_you> r) { r.reply(self.me()); }, [&](const end_now&) { on = false; });
    }
}

/// A node with a gateway at /app/web and agents beside it.
class gateway_rig : public ::testing::Test {
protected:
    explicit gateway_rig(node_options of_node = quiet()) : app_{"app", std::move(of_node)} {}

    struct agent {
        ref<agent_protocol> who;
        journal_ptr journal;
    };

    static node_options quiet() {
        node_options o;
        o.schedulers = 1;
        o.log_terminal = false;
        return o;
    }
    void start(web::gateway_options options = {}) {
        supervisor_spec tree;
        tree.add(child("web", in_coroutine, actors::gateway, options));
        auto started = app_.start(tree);
        ASSERT_TRUE(started) << started.error().what();
        supervisor_ = *started;
        gateway_ = app_.resolve<actors::gateway_protocol>("web").value();
    }
    agent add_agent(const std::string& name, answer_function answer = echo_back) {
        auto journal = std::make_shared<web_journal>();
        auto made = app_.ask<start_child>(
            supervisor_, 60s,
            child(name, in_coroutine, web_agent, std::string{"/app/web"}, journal, std::move(answer))
                .restarts(restart::temporary)
                .awaits_ready());
        EXPECT_TRUE(made) << made.error().what();
        return {made->assume<agent_protocol>(), journal};
    }
    template <class M>
    result<reply_t<M>> as(const agent& a, M what) {
        return app_.ask<via<M>>(a.who, 60s, via<M>{std::move(what)});
    }
    std::uint16_t listen(const agent& a, web::port_options options = {}, std::uint16_t port = 0) {
        auto at = as(a, web::listen{port, std::move(options), {}});
        EXPECT_TRUE(at) << at.error().what();
        return at ? at->port : 0;
    }
    /// A client whose handshake is over, and its channel.
    static std::pair<web_client, std::uint64_t> join(const agent& a, std::uint16_t port) {
        const std::size_t before = a.journal->count(what::opened);
        web_client c{port};
        EXPECT_NE(c.shake_hands().find(" 101 "), std::string::npos);
        const std::uint64_t channel = a.journal->wait(what::opened, before + 1).channel;
        return {std::move(c), channel};
    }
    struct scene {
        agent a;
        std::uint16_t port;
        web_client c;
        std::uint64_t channel;
    };
    /// A gateway, an agent that sends back what it gets, and a client of it.
    scene start_with_a_client() {
        start();
        const agent a = add_agent("a");
        const std::uint16_t port = listen(a);
        auto [c, channel] = join(a, port);
        return {a, port, std::move(c), channel};
    }
    result<void> send(const agent& a, std::uint64_t channel, std::string text) {
        return as(a, web::send{channel, web::text(std::move(text))});
    }
    web::gateway_report status() { return app_.ask<web::status>(gateway_, 60s).value(); }
    /// After its end: until its supervisor has started it again.
    void wait_until_back() {
        for (;;) {
            const auto answer = app_.ask<web::status>(gateway_, 60s);
            if (answer && answer->ports.empty()) return;
        }
    }
    /// Asks until it is so; the watchdog ends a test for which it never is.
    template <class F>
    web::gateway_report status_when(F is_so) {
        for (;;) {
            auto report = status();
            if (is_so(report)) return report;
        }
    }

    node app_;
    ref<supervisor_protocol> supervisor_;
    gateway_ref gateway_;
};

}  // namespace coppice::tests
