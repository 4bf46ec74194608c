// The rows of suite `core` on the C++ Actor Framework 0.17 (Debian's libcaf-dev), written as its manual would: event-based
// actors, behaviours, typed sends. What each row counts is written in ../../README.md, for all programs alike.
//
// An actor system has one scheduler thread in the rows of one thread and two in pairs8. In the cross rows an actor
// that needs a thread of its own is `detached`, CAF's way to give it one. Two departures, both in CAF's favour: the
// polling row uses blocking actors that look at their mailbox before they wait, and the timers row talks to the actor
// clock itself, since a delayed message cannot be taken back.
#include <algorithm>
#include <atomic>
#include <semaphore>
#include <stdexcept>
#include <thread>

#include <caf/all.hpp>

#include "program.hpp"

namespace {

using number = std::int64_t;

// An actor system for one row, and the signal by which its actors tell main() that they are through.
class stage {
public:
    explicit stage(std::size_t threads) : system(configure(config_, threads)) {}

    // What main() measures: from the first message until `count` actors have called finish().
    template <typename Kick>
    bench::clock::duration time_until_finished(int count, Kick&& kick) {
        std::this_thread::sleep_for(std::chrono::milliseconds{50});  // everyone has been initialised
        return bench::time_of([&] {
            std::forward<Kick>(kick)();
            for (int i = 0; i < count; ++i) finished_.acquire();
        });
    }

    void finish() { finished_.release(); }

private:
    static caf::actor_system_config& configure(caf::actor_system_config& config, std::size_t threads) {
        config.set("scheduler.max-threads", threads);
        return config;
    }

    std::counting_semaphore<> finished_{0};
    caf::actor_system_config config_;

public:
    caf::actor_system system;  // last: waits for its actors before what they use is gone
};

void kill(const caf::actor& victim) { caf::anon_send_exit(victim, caf::exit_reason::kill); }

// ---- pingpong, pairs8 ------------------------------------------------------------------------------------------------

caf::behavior echo(caf::event_based_actor*) {
    return {[](number value) { return value; }};
}

struct peer_state {
    caf::actor peer;
};

caf::behavior ponger(caf::stateful_actor<peer_state>* self) {
    return {[self](const caf::actor& peer) { self->state.peer = peer; },
            [self](number value) { self->send(self->state.peer, value); }};
}

caf::behavior pinger(caf::event_based_actor* self, caf::actor peer, stage* on) {
    return {[=](number left) {
        if (left > 0) {
            self->send(peer, left - 1);
            return;
        }
        on->finish();
        self->quit();
    }};
}

void run_pairs(const bench::reporter& out, std::string_view row, std::size_t threads, int pairs,
               number rounds) {
    stage on{threads};
    std::vector<caf::actor> left;
    std::vector<caf::actor> right;
    for (int i = 0; i < pairs; ++i) {
        right.push_back(on.system.spawn(ponger));
        left.push_back(on.system.spawn(pinger, right.back(), &on));
        caf::anon_send(right.back(), left.back());
    }
    const auto taken = on.time_until_finished(pairs, [&] {
        for (auto& each : left) caf::anon_send(each, rounds);
    });
    for (auto& each : right) kill(each);
    out.per_second(row, static_cast<std::uint64_t>(rounds * pairs), taken);
}

void pingpong(const bench::reporter& out) { run_pairs(out, "pingpong", 1, 1, out.count<number>(1'500'000)); }
void pairs8(const bench::reporter& out) { run_pairs(out, "pairs8", 2, 8, out.count<number>(200'000)); }

// ---- ask -------------------------------------------------------------------------------------------------------------

struct asker_state {
    caf::actor server;
    stage* on = nullptr;
    number left = 0;
};

void ask_next(caf::stateful_actor<asker_state>* self) {
    if (self->state.left-- == 0) {
        self->state.on->finish();
        self->quit();
        return;
    }
    self->request(self->state.server, caf::infinite, number{7}).await([self](number) { ask_next(self); });
}

caf::behavior asker(caf::stateful_actor<asker_state>* self, caf::actor server, stage* on) {
    self->state = {std::move(server), on, 0};
    return {[self](number rounds) {
        self->state.left = rounds;
        ask_next(self);
    }};
}

void ask(const bench::reporter& out) {
    const auto rounds = out.count<number>(1'500'000);
    stage on{1};
    auto server = on.system.spawn(echo);
    auto client = on.system.spawn(asker, server, &on);
    const auto taken = on.time_until_finished(1, [&] { caf::anon_send(client, rounds); });
    kill(server);
    out.per_second("ask", static_cast<std::uint64_t>(rounds), taken);
}

// ---- fanin, fanin_cross: mailboxes of CAF have no bound ----------------------------------------------------------------

struct count_state {
    number received = 0;
};

caf::behavior counter(caf::stateful_actor<count_state>* self, number total, stage* on) {
    return {[=](number) {
        if (++self->state.received < total) return;
        on->finish();
        self->quit();
    }};
}

caf::behavior blaster(caf::event_based_actor* self, caf::actor target) {
    return {[=](number count) {
        for (number i = 0; i < count; ++i) self->send(target, i);
        self->quit();
    }};
}

template <caf::spawn_options Receiver>
bench::clock::duration run_fanin(number each) {
    constexpr int senders = 4;
    stage on{1};
    auto target = on.system.spawn<Receiver>(counter, each * senders, &on);
    std::vector<caf::actor> sources;
    for (int i = 0; i < senders; ++i) sources.push_back(on.system.spawn(blaster, target));
    return on.time_until_finished(1, [&] {
        for (auto& source : sources) caf::anon_send(source, each);
    });
}

void fanin(const bench::reporter& out) {
    const auto each = out.count<number>(1'000'000);
    bench::reset_peak();
    const auto taken = run_fanin<caf::no_spawn_options>(each);
    out.per_second("fanin", static_cast<std::uint64_t>(each) * 4, taken);
    out.value("fanin_rss", bench::peak_mib(), "MiB");
}

void fanin_cross(const bench::reporter& out) {
    const auto each = out.count<number>(1'000'000);
    const auto taken = run_fanin<caf::detached>(each);
    out.per_second("fanin_cross", static_cast<std::uint64_t>(each) * 4, taken);
}

// ---- pingpong_cross_sleep, pingpong_cross_poll -------------------------------------------------------------------------

void pingpong_cross_sleep(const bench::reporter& out) {
    const auto rounds = out.count<number>(20'000);
    stage on{1};
    auto right = on.system.spawn<caf::detached>(ponger);
    auto left = on.system.spawn<caf::detached>(pinger, right, &on);
    caf::anon_send(right, left);
    const auto taken = on.time_until_finished(1, [&] { caf::anon_send(left, rounds); });
    kill(right);
    out.per_second("pingpong_cross_sleep", static_cast<std::uint64_t>(rounds), taken);
}

// Looks until a message is there, so that receive() never sleeps and the sender never wakes anyone.
void poll_mailbox(caf::blocking_actor* self) {
    for (std::uint32_t round = 1; self->mailbox().empty(); ++round) {
        if (round % 256 == 0) std::this_thread::yield();
        else __builtin_ia32_pause();
    }
}

void polling_ponger(caf::blocking_actor* self) {
    for (bool running = true; running;) {
        poll_mailbox(self);
        self->receive([&](const caf::actor& peer, number value) {
            self->send(peer, value);
            running = value > 0;
        });
    }
}

void polling_pinger(caf::blocking_actor* self, const caf::actor& peer, number rounds, stage* on) {
    const auto me = caf::actor_cast<caf::actor>(self);
    for (number left = rounds; left-- > 0;) {
        self->send(peer, me, left);
        poll_mailbox(self);
        self->receive([](number) {});
    }
    on->finish();
}

void pingpong_cross_poll(const bench::reporter& out) {
    const auto rounds = out.count<number>(400'000);
    stage on{1};
    auto right = on.system.spawn<caf::detached>(polling_ponger);
    const auto taken = on.time_until_finished(
        1, [&] { on.system.spawn<caf::detached>(polling_pinger, right, rounds, &on); });
    out.per_second("pingpong_cross_poll", static_cast<std::uint64_t>(rounds), taken);
}

// ---- ring ------------------------------------------------------------------------------------------------------------

caf::behavior ring_node(caf::stateful_actor<peer_state>* self, stage* on) {
    return {[self](const caf::actor& next) { self->state.peer = next; },
            [=](number hops_left) {
                if (hops_left > 0) self->send(self->state.peer, hops_left - 1);
                else on->finish();
            }};
}

void ring_of(const bench::reporter& out, std::string_view row, bool against) {
    constexpr std::size_t nodes = 1000;
    const auto hops = out.count<number>(5'000);
    stage on{1};
    std::vector<caf::actor> actors;
    for (std::size_t i = 0; i < nodes; ++i) actors.push_back(on.system.spawn(ring_node, &on));
    for (std::size_t i = 0; i < nodes; ++i) caf::anon_send(actors[i], actors[(i + 1) % nodes]);
    if (against) std::reverse(actors.begin(), actors.end());
    const auto taken = on.time_until_finished(nodes, [&] {
        for (auto& each : actors) caf::anon_send(each, hops);
    });
    for (auto& each : actors) kill(each);
    out.per_second(row, nodes * static_cast<std::uint64_t>(hops), taken);
}

void ring(const bench::reporter& out) { ring_of(out, "ring", false); }
void ring_against(const bench::reporter& out) { ring_of(out, "ring_against", true); }

// ---- spawn, idle -----------------------------------------------------------------------------------------------------

caf::behavior newborn(caf::event_based_actor* self, caf::actor parent) {
    self->send(parent, number{1});
    self->quit();
    return {};
}

caf::behavior breeder(caf::stateful_actor<count_state>* self, number count, stage* on) {
    return {[=](number) {
        if (self->state.received++ < count) {
            self->spawn(newborn, caf::actor_cast<caf::actor>(self));
            return;
        }
        on->finish();
        self->quit();
    }};
}

void spawn(const bench::reporter& out) {
    const auto count = out.count<number>(700'000);
    stage on{1};
    auto parent = on.system.spawn(breeder, count, &on);
    const auto taken = on.time_until_finished(1, [&] { caf::anon_send(parent, number{1}); });
    out.per_second("spawn", static_cast<std::uint64_t>(count), taken);
}

std::atomic<std::size_t> idlers{0};

caf::behavior idler(caf::event_based_actor*) {
    idlers.fetch_add(1, std::memory_order_relaxed);
    return {[](number) {}};
}

void idle(const bench::reporter& out) {
    const auto count = out.count<std::size_t>(1'000'000);
    stage on{1};
    std::vector<caf::actor> actors(count, on.system.spawn(echo));  // written now: not part of the measurement
    const auto echoing = actors.front();
    const auto before = bench::resident_bytes();
    for (auto& each : actors) each = on.system.spawn(idler);
    while (idlers.load(std::memory_order_relaxed) < count)
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    const auto after = bench::resident_bytes();
    kill(echoing);
    for (auto& each : actors) kill(each);
    out.value("idle", static_cast<double>(after - before) / static_cast<double>(count), "B");
}

// ---- skynet ----------------------------------------------------------------------------------------------------------

struct skynet_state {
    number sum = 0;
    number missing = 10;
};

caf::behavior skynet_node(caf::stateful_actor<skynet_state>* self, caf::actor parent, number first,
                          number leaves) {
    if (leaves == 1) {
        self->send(parent, first);
        self->quit();
        return {};
    }
    const auto part = leaves / 10;
    for (number i = 0; i < 10; ++i)
        self->spawn(skynet_node, caf::actor_cast<caf::actor>(self), first + i * part, part);
    return {[=](number value) {
        self->state.sum += value;
        if (--self->state.missing > 0) return;
        self->send(parent, self->state.sum);
        self->quit();
    }};
}

caf::behavior skynet_root(caf::event_based_actor* self, number leaves, stage* on) {
    self->spawn(skynet_node, caf::actor_cast<caf::actor>(self), number{0}, leaves);
    return {[=](number sum) {
        bench::require(sum == leaves * (leaves - 1) / 2, "skynet");
        on->finish();
        self->quit();
    }};
}

void skynet(const bench::reporter& out) {
    stage on{1};
    const auto taken =
        on.time_until_finished(1, [&] { on.system.spawn(skynet_root, number{1'000'000}, &on); });
    out.milliseconds("skynet", taken);
}

// ---- restart: CAF 0.17 has no supervisors; a linked parent takes the exit and spawns the next child ---------------------

constexpr number fatal = 0;

caf::behavior fragile(caf::event_based_actor* self) {
    // The default handler prints a line for every crash.
    self->set_exception_handler([](std::exception_ptr&) -> caf::error { return caf::sec::runtime_error; });
    return {[](number value) -> number {
        if (value == fatal) throw std::runtime_error("crash");
        return value;
    }};
}

struct restarter_state {
    caf::actor child;
    stage* on = nullptr;
    std::size_t left = 0;
    bench::clock::time_point crashed;
    std::vector<bench::clock::duration>* samples = nullptr;
};

void crash_child(caf::stateful_actor<restarter_state>* self) {
    if (self->state.left-- == 0) {
        self->state.on->finish();
        self->quit();
        return;
    }
    self->state.crashed = bench::clock::now();
    caf::anon_send(self->state.child, fatal);
}

void replace_child(caf::stateful_actor<restarter_state>* self) {
    self->state.child = self->spawn<caf::linked>(fragile);
    self->request(self->state.child, caf::infinite, number{7}).then([self](number) {
        self->state.samples->push_back(bench::clock::now() - self->state.crashed);
        crash_child(self);
    });
}

caf::behavior restarter(caf::stateful_actor<restarter_state>* self,
                        std::vector<bench::clock::duration>* samples, stage* on) {
    self->state.on = on;
    self->state.samples = samples;
    self->set_exit_handler([self](caf::exit_msg&) { replace_child(self); });
    return {[self](number rounds) {
        self->state.left = static_cast<std::size_t>(rounds);
        self->state.child = self->spawn<caf::linked>(fragile);
        crash_child(self);
    }};
}

void restart(const bench::reporter& out) {
    const auto rounds = out.count<number>(30'000);
    stage on{1};
    std::vector<bench::clock::duration> samples;
    auto parent = on.system.spawn(restarter, &samples, &on);
    on.time_until_finished(1, [&] { caf::anon_send(parent, rounds); });
    bench::require(samples.size() == static_cast<std::size_t>(rounds), "restart");
    out.median_microseconds("restart", std::move(samples));
}

void restart_supervisor(const bench::reporter& out) {
    out.skip("restart_supervisor", "CAF 0.17 has no supervisors");
}

// ---- timers ----------------------------------------------------------------------------------------------------------

caf::behavior timer_user(caf::event_based_actor* self, stage* on) {
    return {[=](number count) {
        constexpr number pending = 1000;
        auto& clock = self->system().clock();
        const auto start = clock.now();
        std::uint64_t random = 1;
        auto due = [&] {
            random = random * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX generator
            return start + std::chrono::milliseconds{1000 + (random >> 33) % 59'000};
        };
        auto id = [](number i) { return caf::make_message_id(static_cast<std::uint64_t>(i)); };
        for (number i = 1; i <= pending; ++i) clock.set_request_timeout(due(), self, id(i));
        for (number i = 1; i <= count; ++i) {
            clock.cancel_request_timeout(self, id(i));
            clock.set_request_timeout(due(), self, id(i + pending));
        }
        clock.cancel_timeouts(self);
        on->finish();
        self->quit();
    }};
}

void timers(const bench::reporter& out) {
    const auto count = out.count<number>(300'000);
    stage on{1};
    auto user = on.system.spawn(timer_user, &on);
    const auto taken = on.time_until_finished(1, [&] { caf::anon_send(user, count); });
    out.per_second("timers", static_cast<std::uint64_t>(count), taken);
}

constexpr bench::row rows[] = {
    {"pingpong", pingpong},
    {"ask", ask},
    {"fanin", fanin},
    {"ring", ring},
    {"ring_against", ring_against},
    {"spawn", spawn},
    {"idle", idle},
    {"skynet", skynet},
    {"restart", restart},
    {"restart_supervisor", restart_supervisor},
    {"pairs8", pairs8},
    {"fanin_cross", fanin_cross},
    {"pingpong_cross_sleep", pingpong_cross_sleep},
    {"pingpong_cross_poll", pingpong_cross_poll},
    {"timers", timers},
};

}  // namespace

int main(int argc, char** argv) { return bench::main(argc, argv, rows); }
