// The limits of suite `core`: each row with nothing but coroutines, intrusive queues and free lists (bare.hpp). The rows
// in which two threads talk are in cross.cpp. No framework is linked.
//
// A one-thread row runs on the calling thread, a two-thread row starts one more; nothing is pinned. What each row counts
// is written in ../README.md, for all programs alike.
#include <atomic>
#include <bit>
#include <deque>
#include <stdexcept>
#include <thread>

#include "bare.hpp"
#include "cross.hpp"
#include "program.hpp"

namespace {

using bare::actor;
using bare::body;
using bare::letter;
using bare::mail;
using bare::message;
using bare::patience;
using bare::scheduler;

constexpr std::uint64_t stop = 0;

// ---- pingpong, pairs8 ------------------------------------------------------------------------------------------------

body ponger(actor& self, actor& peer) {
    for (;;) {
        const auto value = (co_await self.receive())->value;
        peer.send(letter(value));
        if (value == stop) co_return;
    }
}

body pinger(actor& self, actor& peer) {
    for (;;) {
        const auto value = (co_await self.receive())->value;
        if (value == stop) co_return;
        peer.send(letter(value - 1));
    }
}

struct pair {
    explicit pair(scheduler& home) : left(home), right(home) {
        ping.start(left);
        pong.start(right);
    }

    actor left;
    actor right;
    body ping = pinger(left, right);
    body pong = ponger(right, left);
};

void pingpong(const bench::reporter& out) {
    const auto rounds = out.count<std::uint64_t>(20'000'000);
    scheduler home;
    pair both{home};
    home.run();
    const auto taken = bench::time_of([&] {
        both.right.send(letter(rounds));
        home.run();
    });
    out.per_second("pingpong", rounds, taken);
}

// Four pairs on each of two threads that share nothing: what scaling can reach.
void pairs8(const bench::reporter& out) {
    const auto rounds = out.count<std::uint64_t>(4'000'000);
    std::atomic<int> ready{0};
    auto work = [&] {
        scheduler home;
        std::deque<pair> pairs;
        for (int i = 0; i < 4; ++i) pairs.emplace_back(home);
        home.run();
        ready.fetch_add(1);
        for (patience spin; ready.load() < 2;) spin.wait();
        for (auto& each : pairs) each.right.send(letter(rounds));
        home.run();
    };
    const auto taken = bench::time_of([&] {
        std::thread other{work};
        work();
        other.join();
    });
    out.per_second("pairs8", rounds * 8, taken);
}

// ---- ask -------------------------------------------------------------------------------------------------------------

body server(actor& self) {
    for (;;) {
        const auto question = co_await self.receive();
        if (!question->reply) co_return;
        actor::answer(*question->reply, question->value + 1);
    }
}

body client(actor& self, actor& target, std::uint64_t rounds) {
    for (std::uint64_t i = 0; i < rounds; ++i) {
        const auto answer = co_await self.ask(target, i);
        bench::require(answer == i + 1, "ask");
    }
    target.send(letter(stop));
}

void ask(const bench::reporter& out) {
    const auto rounds = out.count<std::uint64_t>(20'000'000);
    scheduler home;
    actor asked{home};
    actor asking{home};
    auto answers = server(asked);
    auto questions = client(asking, asked, rounds);
    answers.start(asked);
    home.run();
    const auto taken = bench::time_of([&] {
        questions.start(asking);
        home.run();
    });
    out.per_second("ask", rounds, taken);
}

// ---- fanin: a mailbox of 1024 whose senders wait for room --------------------------------------------------------------

using raw::mailbox_limit;
using raw::senders;

struct bounded_actor : actor {
    using actor::actor;

    auto room(actor& sender) {
        struct awaiter {
            bounded_actor& target;
            actor& sender;
            bool await_ready() const { return target.queued < mailbox_limit; }
            void await_suspend(std::coroutine_handle<> frame) const {
                sender.resume_point = frame;
                target.blocked.push_back(sender);
            }
            void await_resume() const {}
        };
        return awaiter{*this, sender};
    }

    // Called once for every message received; an empty mailbox lets all senders continue.
    void took_one() {
        if (--queued > 0) return;
        while (!blocked.empty()) blocked.pop().make_runnable();
    }

    std::uint32_t queued = 0;
    bare::fifo<actor, &actor::next_to_run> blocked;
};

body fanin_sender(actor& self, bounded_actor& target, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        while (target.queued >= mailbox_limit) co_await target.room(self);
        ++target.queued;
        target.send(letter(1));
    }
}

body fanin_receiver(bounded_actor& self, std::uint64_t count, std::uint64_t& sum) {
    for (std::uint64_t i = 0; i < count; ++i) {
        sum += (co_await self.receive())->value;
        self.took_one();
    }
}

void fanin(const bench::reporter& out) {
    const auto each = out.count<std::uint64_t>(10'000'000);
    bench::reset_peak();
    scheduler home;
    bounded_actor target{home};
    std::uint64_t sum = 0;
    auto receiving = fanin_receiver(target, each * senders, sum);
    std::deque<actor> sources;
    std::deque<body> sending;
    for (std::uint64_t i = 0; i < senders; ++i)
        sending.push_back(fanin_sender(sources.emplace_back(home), target, each));
    const auto taken = bench::time_of([&] {
        receiving.start(target);
        for (std::size_t i = 0; i < senders; ++i) sending[i].start(sources[i]);
        home.run();
    });
    bench::require(sum == each * senders, "fanin");
    out.per_second("fanin", sum, taken);
    out.value("fanin_rss", bench::peak_mib(), "MiB");
}

// ---- ring ------------------------------------------------------------------------------------------------------------

body ring_node(actor& self, actor& next, std::uint64_t& finished) {
    for (;;) {
        const auto hops_left = (co_await self.receive())->value;
        if (hops_left == 0) ++finished;
        else next.send(letter(hops_left - 1));
    }
}

void ring_of(const bench::reporter& out, std::string_view row, bool against) {
    constexpr std::size_t nodes = 1000;
    const auto hops = out.count<std::uint64_t>(40'000);
    scheduler home;
    std::deque<actor> actors;
    std::deque<body> bodies;
    std::uint64_t finished = 0;
    for (std::size_t i = 0; i < nodes; ++i) actors.emplace_back(home);
    for (std::size_t i = 0; i < nodes; ++i) {
        bodies.push_back(ring_node(actors[i], actors[(i + 1) % nodes], finished));
        bodies.back().start(actors[i]);
    }
    home.run();
    const auto taken = bench::time_of([&] {
        for (std::size_t i = 0; i < nodes; ++i) actors[against ? nodes - 1 - i : i].send(letter(hops));
        home.run();
    });
    bench::require(finished == nodes, "ring");
    out.per_second(row, nodes * hops, taken);
}

void ring(const bench::reporter& out) { ring_of(out, "ring", false); }
void ring_against(const bench::reporter& out) { ring_of(out, "ring_against", true); }

// ---- spawn, idle -----------------------------------------------------------------------------------------------------

body newborn(actor&, actor& parent) {
    parent.send(letter(1));
    co_return;
}

body breeder(actor& self, std::uint64_t count, std::uint64_t& born) {
    for (std::uint64_t i = 0; i < count; ++i) {
        const auto child = std::make_unique<actor>(*self.run_by);
        auto life = newborn(*child, self);
        life.start(*child);
        born += (co_await self.receive())->value;
    }
}

void spawn(const bench::reporter& out) {
    const auto count = out.count<std::uint64_t>(20'000'000);
    scheduler home;
    actor parent{home};
    std::uint64_t born = 0;
    auto breeding = breeder(parent, count, born);
    const auto taken = bench::time_of([&] {
        breeding.start(parent);
        home.run();
    });
    bench::require(born == count, "spawn");
    out.per_second("spawn", count, taken);
}

body idler(actor& self) { co_await self.receive(); }

void idle(const bench::reporter& out) {
    const auto count = out.count<std::size_t>(1'000'000);
    scheduler home;
    std::vector<actor*> actors(count, nullptr);
    std::vector<body> bodies(count);  // written now, so that neither vector grows into the measurement
    const auto before = bench::resident_bytes();
    for (std::size_t i = 0; i < count; ++i) {
        actors[i] = new actor{home};
        bodies[i] = idler(*actors[i]);
        bodies[i].start(*actors[i]);
    }
    home.run();
    const auto after = bench::resident_bytes();
    out.value("idle", static_cast<double>(after - before) / static_cast<double>(count), "B");
    bodies.clear();
    for (auto* each : actors) delete each;
}

// ---- skynet: whoever became runnable last runs first, so that a branch ends before the next one begins -----------------

body skynet_node(actor& self, actor& parent, std::uint64_t first, std::uint64_t leaves) {
    constexpr std::uint64_t fan_out = 10;
    struct branch {
        std::unique_ptr<actor> self;
        body life;
    };
    if (leaves == 1) {
        parent.send(letter(first));
        co_return;
    }
    std::array<branch, fan_out> branches;
    for (std::uint64_t i = 0; i < fan_out; ++i) {
        auto& [child, life] = branches[i];
        child = std::make_unique<actor>(*self.run_by);
        life = skynet_node(*child, self, first + i * (leaves / fan_out), leaves / fan_out);
        life.start(*child);
    }
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < fan_out; ++i) sum += (co_await self.receive())->value;
    parent.send(letter(sum));
}

void skynet(const bench::reporter& out) {
    constexpr std::uint64_t leaves = 1'000'000;
    scheduler home;
    home.newest_first = true;
    actor parent{home};
    actor root{home};
    auto life = skynet_node(root, parent, 0, leaves);
    const auto taken = bench::time_of([&] {
        life.start(root);
        home.run();
    });
    bench::require(!parent.inbox.empty(), "skynet, no sum");
    const mail sum{&parent.inbox.pop()};
    bench::require(sum->value == leaves * (leaves - 1) / 2, "skynet");
    out.milliseconds("skynet", taken);
}

// ---- restart: a C++ throw, the report to the parent, a new frame, its first answer -----------------------------------------

constexpr std::uint64_t fatal = 0;

body fragile(actor& self, actor& parent) {
    for (;;) {
        const auto value = (co_await self.receive())->value;
        if (value == fatal) throw std::runtime_error("crash");
        parent.send(letter(value));
    }
}

body restarter(actor& self, std::size_t rounds, std::vector<bench::clock::duration>& samples) {
    auto child = std::make_unique<actor>(*self.run_by);
    auto life = fragile(*child, self);
    life.start(*child, &self);
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto start = bench::clock::now();
        child->send(letter(fatal));
        const auto notice = (co_await self.receive())->value;
        bench::require(notice == body::crashed, "crash notice");
        child = std::make_unique<actor>(*self.run_by);
        life = fragile(*child, self);
        life.start(*child, &self);
        child->send(letter(7));
        const auto answer = (co_await self.receive())->value;
        bench::require(answer == 7, "answer after a restart");
        samples.push_back(bench::clock::now() - start);
    }
}

void restart(const bench::reporter& out) {
    const auto rounds = out.count<std::size_t>(200'000);
    scheduler home;
    actor parent{home};
    std::vector<bench::clock::duration> samples;
    samples.reserve(rounds);
    auto restarting = restarter(parent, rounds, samples);
    restarting.start(parent);
    home.run();
    bench::require(samples.size() == rounds, "restart");
    out.median_microseconds("restart", std::move(samples));
}

void restart_supervisor(const bench::reporter& out) {
    out.skip("restart_supervisor", "a supervisor is a framework's");
}

// ---- timers: a wheel of four levels of 256 slots, ticks of a millisecond, doubly linked slots ----------------------------

struct timer {
    timer* previous = this;
    timer* next = this;
};

class wheel {
public:
    void set(timer& item, std::uint64_t due) {
        const auto distance = due - now_;
        const auto level = distance == 0 ? 0U : (static_cast<unsigned>(std::bit_width(distance)) - 1) / 8;
        auto& slot = slots_[level][(due >> (8 * level)) & 255];
        item.previous = slot.previous;
        item.next = &slot;
        item.previous->next = &item;
        slot.previous = &item;
    }

    static void cancel(timer& item) {
        item.previous->next = item.next;
        item.next->previous = item.previous;
    }

private:
    std::array<std::array<timer, 256>, 4> slots_{};
    std::uint64_t now_ = 0;
};

void timers(const bench::reporter& out) {
    constexpr std::size_t pending = 1000;
    const auto count = out.count<std::uint64_t>(50'000'000);
    wheel clock;
    std::vector<timer> all(pending);
    std::uint64_t random = 1;
    auto delay_ms = [&random] {
        random = random * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX generator
        return 1000 + (random >> 33) % 59'000;
    };
    for (auto& each : all) clock.set(each, delay_ms());
    const auto taken = bench::time_of([&] {
        for (std::uint64_t i = 0; i < count; ++i) {
            auto& oldest = all[i % pending];
            wheel::cancel(oldest);
            clock.set(oldest, delay_ms());
        }
    });
    out.per_second("timers", count, taken);
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
    {"fanin_cross", raw::fanin_cross},
    {"pingpong_cross_sleep", raw::pingpong_cross_sleep},
    {"pingpong_cross_poll", raw::pingpong_cross_poll},
    {"timers", timers},
};

}  // namespace

int main(int argc, char** argv) { return bench::main(argc, argv, rows); }
