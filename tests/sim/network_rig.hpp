// What the simulations of the network share: a tree of nodes over the simulated network, drivers that send numbered mail and
// ask, sinks that check what arrives, and a bringer of faults. All decided by one seed; one thread.
//
// The checks: what a sender was told is sent arrives once, in order, unharmed; every ask is answered; no more is under way
// than the network was told to hold; in the end nothing is left (for_each_seed looks).
#pragma once
#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"

namespace coppice::tests::network {

using namespace std::chrono_literals;

struct item {
    std::uint64_t stream = 0;  // from one life of a driver to one life of a sink
    std::uint64_t number = 0;
    std::string load;
};
struct urgent_item {
    static constexpr auto lane = lane::priority;
    std::uint64_t stream = 0;
    std::uint64_t number = 0;
    std::string load;
};
struct question {
    std::uint64_t number = 0;
    using reply = std::uint64_t;
};
struct urgent_question {
    static constexpr auto lane = lane::priority;
    std::uint64_t number = 0;
    using reply = std::uint64_t;
};
using sink_protocol = protocol<item, urgent_item, question, urgent_question>;

inline std::string load_of(std::uint64_t number, std::size_t size) {
    std::string s(size, '\0');
    for (std::size_t i = 0; i < size; ++i) s[i] = static_cast<char>(number * 31 + i * 7);
    return s;
}

/// What happened, seen from outside. Everything is told here, and looked at between steps.
struct book {
    struct stream {
        std::uint32_t from = 0;
        std::uint32_t to = 0;
        std::uint64_t told_sent = 0;  // numbers below this were accepted by send_wait
        std::uint64_t arrived = 0;    // the next number that may arrive
        bool urgent = false;
    };
    std::map<std::uint64_t, stream> streams;
    std::uint64_t asked = 0;
    std::uint64_t answered = 0;
    std::map<std::string, std::uint64_t> refusals;  // of asks and sends, by error
    std::uint32_t finished = 0;
    bool may_lose = false;  // nodes crash
    std::vector<std::string> wrong;

    void complain(std::string what) {
        if (wrong.size() < 10) wrong.push_back(std::move(what));
    }
};

/// What a driver knows of a sink: the streams to it, one a lane.
struct known_sink {
    ref<sink_protocol> who;
    std::uint64_t streams[2];  // normal, urgent
};

struct settings {
    std::uint32_t nodes = 3;
    std::uint64_t messages = 100;  // of each driver
    std::size_t largest = 2000;    // bytes of most; now and then one is a hundred times larger
    bool slow = false;             // sinks pause
    bool favourites = false;  // most of what a node says is for one other, so that the two get a shortcut
    bool shortcuts = true;
};

inline task<> sink(actor<sink_protocol> self, std::shared_ptr<book> log, bool slow) {
    while (auto m = co_await self.receive()) {
        bool pause = false;
        const auto check = [&](const auto& i) {
            book::stream& s = log->streams[i.stream];
            if (log->may_lose ? i.number < s.arrived : i.number != s.arrived)
                log->complain("node " + std::to_string(s.to) + " got number " + std::to_string(i.number) +
                              " of node " + std::to_string(s.from) + " in place of " +
                              std::to_string(s.arrived) + (s.urgent ? ", urgent" : ""));
            s.arrived = i.number + 1;
            if (i.load != load_of(i.number, i.load.size())) log->complain("a message was harmed");
            pause = slow && i.number % 16 == 3;
        };
        m.match([&](const item& i) { check(i); }, [&](const urgent_item& i) { check(i); },
                [&](request<question> r) { r.reply(r->number * 2 + 1); },
                [&](request<urgent_question> r) { r.reply(r->number * 2 + 1); });
        if (pause) co_await self.sleep(3ms);
    }
}

inline task<> driver(actor<anything> self, std::shared_ptr<book> log, settings with, std::uint32_t me) {
    std::map<std::uint32_t, known_sink> known;  // by node
    const auto refused = [&](errc why, const char* what) {
        ++log->refusals[std::string{what} + ": " + std::string{to_string(why)}];
    };
    for (std::uint64_t n = 0; n < with.messages; ++n) {
        std::uint32_t to = static_cast<std::uint32_t>(self.random() % (with.nodes - 1));
        if (to >= me) ++to;
        if (with.favourites && self.random() % 8) to = (me + with.nodes / 2) % with.nodes;
        if (!known.contains(to)) {
            auto found = co_await self.resolve<sink_protocol>("/n" + std::to_string(to) + "/sink");
            if (!found) {
                refused(found.error().code(), "resolve");
                co_await self.sleep(50ms);
                --n;
                continue;
            }
            const std::uint64_t next = log->streams.size();
            known[to] = {*found, {next, next + 1}};
            log->streams[next] = {me, to, 0, 0, false};
            log->streams[next + 1] = {me, to, 0, 0, true};
        }
        const ref<sink_protocol> sink_ref = known[to].who;
        const bool urgent = self.random() % 4 == 0;
        // Urgent mail does not wait for room in a mailbox, and those of slow sinks have little.
        if (self.random() % 4 == 0 || (urgent && with.slow)) {
            ++log->asked;
            const std::uint64_t number = self.random() % 1'000'000;
            auto answer = urgent ? co_await self.ask<urgent_question>(sink_ref, 300s, number)
                                 : co_await self.ask<question>(sink_ref, 300s, number);
            if (answer) {
                ++log->answered;
                if (*answer != number * 2 + 1) log->complain("a wrong answer");
            } else {
                refused(answer.error().code(), "ask");
                known.erase(to);
            }
        } else {
            const std::uint64_t stream = known[to].streams[urgent];
            book::stream& s = log->streams[stream];
            std::size_t size = static_cast<std::size_t>(self.random() % (with.largest + 1));
            if (self.random() % 32 == 0) size *= 100;
            const std::uint64_t number = s.told_sent;
            // Counted before: it may have arrived by the time that this actor goes on.
            ++s.told_sent;
            const errc outcome =
                urgent ? self.send<urgent_item>(sink_ref, stream, number, load_of(number, size))
                       : co_await self.send_wait<item>(sink_ref, stream, number, load_of(number, size));
            if (urgent && outcome == errc::mailbox_full) {  // it does not wait for room in the flow either
                --s.told_sent;
                co_await self.sleep(50ms);
            } else if (outcome != errc::ok) {
                --s.told_sent;
                refused(outcome, "send");
                known.erase(to);
            }
        }
        if (self.random() % (with.favourites ? 32 : 4) == 0)
            co_await self.sleep(std::chrono::milliseconds{self.random() % 20});
    }
    ++log->finished;
    while (co_await self.receive()) {
    }
}

/// Nodes n0, n1, ... in a tree, n0 at its top.
class tree_of_nodes {
public:
    enum class shape { chain, star, random };

    tree_of_nodes(testing::world& world, std::uint64_t seed, settings with, shape form)
        : world_{world}, random_{seed}, with_{with} {
        network_ = std::make_shared<sim_network>(seed);
        register_transport(network_);
        for (std::uint32_t i = 0; i < with_.nodes; ++i)
            parents_.push_back(i == 0 || form == shape::star ? 0
                               : form == shape::chain        ? i - 1
                                                             : static_cast<std::uint32_t>(below(i)));
    }

    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    bool chance(unsigned percent) { return below(100) < percent; }

    [[nodiscard]] bool start(std::uint32_t i) {
        network_options o;
        const std::string name = "n" + std::to_string(i);
        o.listen = {"sim://" + name};
        o.shortcuts = with_.shortcuts;
        if (i != 0) o.parent = "sim://n" + std::to_string(parents_[i]) + "?from=" + name;
        supervisor_spec spec;
        spec.add(child("sink", in_coroutine, sink, log, with_.slow).mailbox(with_.slow ? 8 : 1000));
        spec.add(child("driver", in_coroutine, driver, log, with_, i));
        auto started = world_.start(std::move(spec), name, std::move(o));
        if (!started) ADD_FAILURE() << name << ": " << started.error().what();
        return started.has_value();
    }
    [[nodiscard]] bool start_all() {
        std::vector<std::uint32_t> order;
        for (std::uint32_t i = 0; i < with_.nodes; ++i) order.push_back(i);
        std::shuffle(order.begin(), order.end(), random_);  // children may be there before their parents
        return std::all_of(order.begin(), order.end(), [&](std::uint32_t i) { return start(i); });
    }
    void crash(std::uint32_t i) { world_.crash("n" + std::to_string(i)); }
    [[nodiscard]] bool crash_and_start_again() {
        const auto i = static_cast<std::uint32_t>(below(with_.nodes));
        crash(i);
        if (chance(50)) world_.advance(std::chrono::milliseconds{below(3000)});
        return start(i);
    }

    /// One fault, or the end of one.
    void some_fault() {
        switch (below(7)) {
        case 0: network_->cut(1.0); break;
        case 1: network_->cut(0.3); break;
        case 2: {
            std::set<std::string> some;
            for (std::uint32_t i = 0; i < with_.nodes; ++i)
                if (chance(40)) some.insert("n" + std::to_string(i));
            network_->isolate(std::move(some));
            break;
        }
        case 3: {
            sim_conditions c;
            c.least_delay = std::chrono::microseconds{below(5000)};
            c.most_delay = c.least_delay + std::chrono::microseconds{below(30'000)};
            c.piece = 1 + below(chance(50) ? 100 : 100'000);
            c.room = 4096 + below(200'000);
            most_room_ = std::max(most_room_, c.room);
            network_->conditions(c);
            break;
        }
        case 4: network_->refuse_new(chance(50)); break;
        default: heal(); break;
        }
    }
    void heal() {
        network_->heal();
        network_->refuse_new(false);
    }
    /// Faults until all drivers have finished, then peace until nothing is under way. False if they do not finish.
    [[nodiscard]] bool run_with_faults(bool crashes = false) {
        log->may_lose = crashes;
        for (int i = 0; i < 100 && log->finished < with_.nodes; ++i) {
            world_.advance(std::chrono::milliseconds{below(i % 10 == 9 ? 8000 : 300)});
            some_fault();
            if (crashes && chance(10) && !crash_and_start_again()) return false;
        }
        return settle();
    }
    bool settle() {
        heal();
        network_->conditions({});
        const bool done = world_.run_until([&] { return log->finished >= with_.nodes; }, 1h);
        world_.advance(60s);
        return done;
    }
    void check() {
        for (const std::string& w : log->wrong) ADD_FAILURE() << w;
        if (!log->may_lose) {
            for (const auto& [id, s] : log->streams)
                EXPECT_EQ(s.told_sent, s.arrived) << "from node " << s.from << " to node " << s.to;
            // A relay that has waited for route_grace says so to the ask; nothing else is an excuse.
            EXPECT_EQ(log->asked, log->answered + log->refusals["ask: unreachable"]);
            for (const auto& [what, times] : log->refusals)
                if (!what.starts_with("resolve") && what != "ask: unreachable")
                    ADD_FAILURE() << what << ", " << times << " times";
        }
        EXPECT_LE(network_->most_under_way(), most_room_);
        EXPECT_EQ(logged("mail in transit over a shortcut"), 0u);
    }
    /// Lines of all nodes' logs that have that text. Of a world that keeps warnings.
    [[nodiscard]] std::size_t logged(std::string_view what) const {
        return static_cast<std::size_t>(
            std::count_if(world_.log().begin(), world_.log().end(),
                          [&](const auto& line) { return line.text.find(what) != std::string::npos; }));
    }

    std::shared_ptr<book> log = std::make_shared<book>();

private:
    testing::world& world_;
    std::mt19937_64 random_;
    settings with_;
    std::shared_ptr<sim_network> network_;
    std::vector<std::uint32_t> parents_;
    std::size_t most_room_ = sim_conditions{}.room;
};

}  // namespace coppice::tests::network
