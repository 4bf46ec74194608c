// Regions shown in docs/tour.md, docs/semantics.md and docs/embedding.md that no sample holds.
//
// Compiled, not run: small pieces, each of which stands alone.
#include <chrono>
#include <exception>
#include <string>
#include <thread>
#include <utility>

#include <coppice/coppice.hpp>

namespace snippets {

using namespace coppice;
using namespace std::chrono_literals;

struct job {
    std::string text;
};
struct result_of {
    std::string text;
    using reply = std::string;
};
struct flush {
    using reply = void;
};
using worker_protocol = protocol<job>;
using store_protocol = protocol<job, flush>;

// [trap]
task<> keeper(actor<protocol<exit_signal>> self, ref<worker_protocol> partner) {
    self.link(partner);
    self.trap_exits();  // without it, an unclean end of the partner would kill this actor
    while (auto m = co_await self.receive())
        m.match([&](const exit_signal& e) { self.log.warn("{} ended: {}", e.who, e.reason); });
}
// [/trap]

// [tasks]
task<std::string> fetch(actor<worker_protocol> self, std::string url) {
    co_await self.sleep(50ms);  // stands for I/O
    co_return "the page of " + url;
}

task<> browser(actor<worker_protocol> self) {
    auto page = self.spawn_task(fetch(self, "a"));  // runs beside this coroutine, joined when the actor ends
    auto [b, c] = co_await gather(fetch(self, "b"), fetch(self, "c"));
    auto d = co_await with_timeout(10ms, fetch(self, "d"));
    self.log.info("{}, {}, {}, {}", co_await page.join(), b, c, d ? *d : d.error().what());
}
// [/tasks]

// [cleanup]
task<> careful(actor<worker_protocol> self, ref<store_protocol> store) {
    bool asked_to_end = false;
    try {
        co_await self.sleep(1h);
    } catch (const cancelled&) {  // shutdown: told once; the next awaits work again
        asked_to_end = true;
    }
    if (asked_to_end) static_cast<void>(co_await self.ask<flush>(store, 500ms));
}
// [/cleanup]

// [stash]
struct opened {};
using door_protocol = protocol<job, opened>;

task<> door(actor<door_protocol> self) {
    while (auto m = co_await self.receive()) {
        if (m.is<opened>()) break;
        self.stash(std::move(m));  // not now
    }
    self.unstash();  // back at the front of the mailbox, in order
    while (auto m = co_await self.receive())
        m.match([&](const job& j) { self.log.info("{}", j.text); }, [](const opened&) {});
}
// [/stash]

// [undelivered]
task<> postman(actor<worker_protocol> self) {
    // Called after this coroutine's variables are gone: capture by value.
    self.undelivered(
        [self](const undelivered_mail& m) { self.log.warn("left behind: a {} from {}", m.type, m.sender); });
    while (auto m = co_await self.receive()) m.match([](const job&) {});
}
// [/undelivered]

// [asked_to_stop]
task<> parent_of_two(actor<protocol<down>> self) {
    auto named = co_await self.start(child("helper", spread, [](actor<worker_protocol> me) -> task<> {
        while (auto m = co_await me.receive()) m.match([&](const job& j) { me.log.info("{}", j.text); });
    }));
    if (!named) co_return self.fail("no helper: {}", named.error());
    self.monitor(*named);
    self.stop(*named);  // drains its mailbox, then ends; shutdown() and kill() are less patient
    auto m = co_await self.receive(5s);
    if (m && m->is<down>()) self.log.info("it ended: {}", m->get_if<down>()->reason);
}
// [/asked_to_stop]

// [outside]
int talk_from_a_thread(node& app) {
    auto store = app.resolve<store_protocol>("store");
    if (!store) return 1;
    if (app.send<job>(*store, "from outside") != errc::ok) return 1;  // any thread, never blocks
    auto done = app.ask<flush>(*store, 2s);  // blocks this thread, so not on an actor's
    return done ? 0 : 1;
}
// [/outside]

// [levels]
int main_with_options(int argc, char** argv, supervisor_spec tree) {
    node_options options;
    options.schedulers = 2;
    options.levels = {{"/app/store", level::debug}};
    options.log_file = "app.log";
    return node{"app", argc, argv, options}.run(std::move(tree));  // --coppice-log-level=warn overrides
}
// [/levels]

// [inspect]
void print_tree(node& app) {
    const node_info info = app.inspect(200ms);
    fmt::print("{}", info.tree());
    for (const scheduler_info& s : info.schedulers)
        if (!s.answered) fmt::print("scheduler {} is held by {}\n", s.index, s.running);
    for (const dead_letter& d : info.dead_letters)
        fmt::print("{} to {}: {}\n", d.message, d.target, d.reason);
}
// [/inspect]

// [ask_group]
struct prepare {
    std::uint64_t order = 0;
    using reply = bool;
};

task<bool> all_are_ready(actor<protocol<>> self, std::uint64_t order) {
    for (const auto& [who, outcome] : co_await self.ask_group<prepare>("stores", 2s, order)) {
        if (!outcome) self.log.warn("{} says nothing: {}", who, outcome.error());
        if (!outcome || !*outcome) co_return false;
    }
    co_return true;
}
// [/ask_group]

// [group]
task<> roll_call(actor<protocol<member_joined, member_left>> self) {
    self.watch_group("alarms");
    while (auto m = co_await self.receive())
        m.match([&](const member_joined& j) { self.log.info("{} listens to {}", j.who, j.group); },
                [&](const member_left& l) { self.log.info("{} does not any more", l.who); });
}
// [/group]

// [network]
task<> flow_alarm(actor<protocol<flow_stalled, flow_resumed>> self) {
    self.watch_flows();
    while (auto m = co_await self.receive())
        m.match(
            [&](const flow_stalled& f) {
                self.log.warn("{} messages for {} wait for {}", f.messages, f.node, to_string(f.waits_for));
            },
            [&](const flow_resumed& f) { self.log.info("{} {}", f.node, f.lost ? "is lost" : "goes on"); });
}

void print_network(node& app) {
    const node_info info = app.inspect(200ms);
    for (const link_info& l : info.links)
        fmt::print("{} {} at {}: {} in, {} out\n", l.role, l.node, l.address, l.bytes_in, l.bytes_out);
    for (const flow_info& f : info.flows)
        fmt::print("{} is {}, {} bytes wait\n", f.node, f.state, f.at(lane::normal).waiting_bytes);
    for (const route_info& r : info.routes) fmt::print("{} over {}\n", r.node, r.over);
}
// [/network]

}  // namespace snippets
