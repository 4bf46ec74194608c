// The service of coppice/actors/service.hpp: turns under a flood, bounds, notifications and their outcomes, numbers, ends of
// clients. One node, or several in processes of their own over each kind of transport. No test waits for a time.
#include "coppice/actors/service.hpp"

#include <atomic>
#include <deque>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using actors::client_change;
using actors::client_event;
using actors::notified;

struct twice {
    std::uint64_t n = 0;
    using reply = std::uint64_t;
};
struct push {  // not answered
    std::uint64_t n = 0;
};
struct broadcast {
    std::uint64_t n = 0;
    using reply = std::vector<notified>;
};
struct tell_some {
    std::vector<std::uint32_t> to;
    std::uint64_t n = 0;
    using reply = std::vector<notified>;
};
struct crash {};
using requests = protocol<twice, push, broadcast, tell_some, crash>;
struct price {
    std::uint64_t n = 0;
};
using notes = protocol<price>;
using shop_protocol = actors::service_protocol<requests, notes>;
using place_in_shop = actors::membership<requests, notes>;

// Answers when it is opened; who asks it waits meanwhile.
struct pass {
    using reply = void;
};
struct waiting_there {
    using reply = std::uint64_t;
};
struct open {};
using door_protocol = protocol<pass, waiting_there, open>;
task<> door(actor<door_protocol> self) {
    std::vector<request<pass>> waiting;
    bool is_open = false;
    while (auto m = co_await self.receive())
        m.match(
            [&](request<pass> r) {
                if (is_open) r.reply();
                else waiting.push_back(std::move(r));
            },
            [&](request<waiting_there> r) { r.reply(waiting.size()); },
            [&](const open&) {
                is_open = true;
                for (auto& r : waiting) r.reply();
                waiting.clear();
            });
}

// What the service did, seen by the test's thread.
struct record {
    std::mutex mutex;
    std::vector<std::uint32_t> turns;  // whose they were
    std::vector<client_event> events;
    std::map<std::uint32_t, std::vector<std::uint64_t>> pushed;
    std::vector<std::uint32_t> taken() {
        const std::lock_guard lock{mutex};
        return turns;
    }
    std::size_t all_pushed() {
        const std::lock_guard lock{mutex};
        std::size_t sum = 0;
        for (const auto& [client, numbers] : pushed) sum += numbers.size();
        return sum;
    }
    std::vector<client_event> changes() {
        const std::lock_guard lock{mutex};
        return events;
    }
    [[nodiscard]] bool told(client_change what, const std::string& part_of_path) {
        for (const client_event& e : changes())
            if (e.what == what && e.path.find(part_of_path) != std::string::npos) return true;
        return false;
    }
};
using shared_record = std::shared_ptr<record>;

task<> shop(actors::service_actor<requests, notes> self, actors::service_options options, shared_record seen,
            std::string closed_by) {
    actors::service<requests, notes> clients{self, options};
    clients.on_client([&](const client_event& e) {
        const std::lock_guard lock{seen->mutex};
        seen->events.push_back(e);
    });
    ref<door_protocol> gate;
    if (!closed_by.empty()) gate = (co_await self.resolve<door_protocol>(closed_by)).value();
    while (auto turn = co_await clients.next()) {
        {
            const std::lock_guard lock{seen->mutex};
            seen->turns.push_back(turn.client());
        }
        if (gate) static_cast<void>(co_await self.ask<pass>(gate, 1h));
        // The work of a turn takes as long as others need to line up again.
        for (int n = 0; n < 3; ++n) co_await self.yield();
        if (auto all = turn.take<broadcast>()) {
            all.reply(co_await clients.notify_all(price{all->n}));
            continue;
        }
        if (auto some = turn.take<tell_some>()) {
            some.reply(co_await clients.notify(some->to, price{some->n}));
            continue;
        }
        turn.match([&](request<twice> r) { r.reply(r->n * 2); },
                   [&](const push& p) {
                       const std::lock_guard lock{seen->mutex};
                       seen->pushed[turn.client()].push_back(p.n);
                   },
                   [&](request<broadcast>) {}, [&](request<tell_some>) {},
                   [&](const crash&) { throw std::runtime_error{"told to crash"}; });
    }
}

// ---- clients, in the test's process or in others

struct board {
    std::atomic<bool> flood, end;
    std::atomic<std::uint64_t> flooding, refused, joined, done, wrong, received, sum;
    std::atomic<std::uint64_t> stuck;
};

constexpr std::uint64_t questions = 60;

// Four questions at any time, while the flood goes on.
task<> ask_on(actor<notes> self, ref<requests> to, std::uint64_t times, board* common) {
    for (std::uint64_t n = 1; n <= times; ++n) {
        auto answer = co_await self.ask<twice>(to, 60s, n);
        if (!answer || *answer != 2 * n) ++common->wrong;
    }
}
task<> polite(actor<notes> self, std::string where, board* common) {
    auto to = (co_await self.resolve<shop_protocol>(where)).value();
    auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
    ++common->joined;
    co_await self.offload([common] { await_that([&] { return common->refused > 0 || common->end; }); });
    std::vector<own_task<void>> asking;
    for (int n = 0; n < 4; ++n)
        asking.push_back(self.spawn_task(ask_on(self, at.requests, questions / 4, common)));
    for (auto& each : asking) co_await each.join();
    ++common->done;
    while (auto m = co_await self.receive()) m.match([](const price&) {});
}

// As much as it can, without a pause, never waiting for room.
task<> flooding(actor<notes> self, std::string where, board* common) {
    auto to = (co_await self.resolve<shop_protocol>(where)).value();
    auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
    ++common->joined;
    co_await self.offload([common] { await_that([&] { return common->flood || common->end; }); });
    // What its node would take without asking is more than all others together ask. What the gate refuses is told to those
    // who ask, so every hundredth is a question.
    auto count_refusals = [](actor<notes> me, ref<requests> gate, board* b) -> task<> {
        auto answer = co_await me.ask<twice>(gate, 1h, 1u);
        if (answer.error() == errc::mailbox_full) ++b->refused;
    };
    for (std::uint64_t n = 0; !common->end; ++n) {
        if (self.send<push>(at.requests, n) == errc::mailbox_full) ++common->refused;
        if (n % 100 == 0) self.spawn_task(count_refusals(self, at.requests, common));
        if (n % 100 == 0) co_await self.yield();
        ++common->flooding;
    }
}

// Hears what it is told.
task<> listener(actor<notes> self, std::string where, board* common) {
    auto to = (co_await self.resolve<shop_protocol>(where)).value();
    auto at = co_await actors::join<requests, notes>(self, to, 60s);
    ++common->joined;
    while (auto m = co_await self.receive())
        m.match([&](const price& p) { ++common->received, common->sum += p.n; });
}

// Does not come to its mail before the end.
task<> busy(actor<notes> self, std::string where, board* common) {
    auto to = (co_await self.resolve<shop_protocol>(where)).value();
    auto at = co_await actors::join<requests, notes>(self, to, 60s);
    ++common->joined;
    co_await self.offload([common] { await_that([&] { return common->end.load(); }); });
}

// Joins and leaves politely.
task<> visitor(actor<notes> self, std::string where, board* common) {
    auto to = (co_await self.resolve<shop_protocol>(where)).value();
    auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
    ++common->joined;
    for (std::uint64_t n = 0; n < 3; ++n) self.send<push>(at.requests, n);
    if (!co_await actors::leave(self, at, 60s)) ++common->wrong;
    auto late = co_await self.ask<twice>(at.requests, 60s, 1u);
    if (late) ++common->wrong;  // stopping or down, by how far the gate is
    ++common->done;
    while (co_await self.receive()) {
    }
}

using client_function = task<> (*)(actor<notes>, std::string, board*);
client_function client_of_kind(const std::string& kind) {
    static const std::map<std::string, client_function> all{{"polite", polite},
                                                            {"flooding", flooding},
                                                            {"listener", listener},
                                                            {"busy", busy},
                                                            {"visitor", visitor}};
    return all.at(kind);
}

// KIND, COUNT, NAME, URI, BOARD
int run_client_process() {
    const shared<board> common{word("BOARD")};
    node here{word("NAME"), below(word("URI"), 1)};
    supervisor_spec tree;
    for (int n = 0; n < std::stoi(word("COUNT")); ++n)
        tree.add(child(word("KIND") + std::to_string(n), in_coroutine, client_of_kind(word("KIND")),
                       word("URI") + "#/top/shop", &*common)
                     .mailbox(word("KIND") == "busy" ? 2 : 1000)
                     .restarts(restart::temporary));
    if (auto started = here.start(std::move(tree)); !started) return 1;
    await_that([&] { return common->end.load(); });
    here.stop();
    here.wait();
    return 0;
}
const bool client_role = add_role("service_client", run_client_process);

class Service : public ::testing::TestWithParam<std::string> {
protected:
    ~Service() override { common_->end = true; }
    void start(actors::service_options options = {}, bool closed = false, bool listens = true) {
        top_ = std::make_unique<node>("top", listens ? listening_at(GetParam(), 2) : quiet(2));
        supervisor_spec tree;
        tree.intensity(10, 10s);
        tree.add(child("door", in_coroutine, door));
        tree.add(child("shop", in_coroutine, shop, options, seen_, closed ? "door" : "").shutdown(60s));
        auto started = top_->start(tree);
        ASSERT_TRUE(started) << started.error().what();
        if (listens) uri_ = top_->listening().at(0);
        shop_ = top_->resolve<shop_protocol>("shop").value();
        door_ = top_->resolve<door_protocol>("door").value();
    }
    // Clients in a process of their own.
    process& clients(const std::string& kind, int count) {
        const std::string name = kind + "s" + std::to_string(processes_.size());
        processes_.push_back(process{"service_client",
                                     {{"KIND", kind},
                                      {"COUNT", std::to_string(count)},
                                      {"NAME", name},
                                      {"URI", uri_},
                                      {"BOARD", common_.handle()}}});
        return processes_.back();
    }
    std::vector<actors::service_client> listed() {
        return top_->ask<actors::list_clients>(shop_, 60s).value();
    }
    void end_all() {
        common_->end = true;
        for (process& p : processes_)
            if (p.runs()) EXPECT_EQ(p.wait(), 0);
        EXPECT_EQ(common_->wrong, 0u);
    }

    const own_run_directory run_;
    shared<board> common_;
    shared_record seen_ = std::make_shared<record>();
    std::string uri_;
    std::unique_ptr<node> top_;
    ref<shop_protocol> shop_;
    ref<door_protocol> door_;
    std::deque<process> processes_;
};

// ---------------------------------------------------------------- turns

TEST_P(Service, S7_OneOfTenClientsFloodsAndEachOfTheOthersIsServedOnceATurn) {
    start({.queue = 16});
    clients("flooding", 1);
    for (int n = 0; n < 3; ++n) clients("polite", 3);
    await_that([&] { return common_->joined == 10; });
    common_->flood = true;
    await_that([&] { return common_->done == 9; });  // each got its answers, though the flood never ended

    std::uint64_t of_the_flood = 0;
    const auto all = listed();
    ASSERT_EQ(all.size(), 10u);
    for (const auto& c : all) {
        // While a request was first of its own, each of the nine others had one turn at most.
        EXPECT_LE(c.longest_wait, 9u) << c.path;
        if (c.path.find("polite") != std::string::npos) EXPECT_EQ(c.served, questions) << c.path;
        else of_the_flood = c.served;
        EXPECT_LE(c.queued, 16u + 1u) << c.path;
    }
    EXPECT_GT(of_the_flood, 0u);
    EXPECT_GT(common_->refused, 0u) << "the flood was told that it is one";
    end_all();
}

TEST_P(Service, S8_ABroadcastReachesEachClientOnceAndASlowOneDelaysNobody) {
    start({.notify_within = 1h});  // nobody gets its own because the time of another is over
    process& stopped = clients("listener", 1);
    await_that([&] { return common_->joined == 1; });  // so it is the first that is sent to
    clients("listener", 3);
    clients("busy", 1);  // has room for two
    await_that([&] { return common_->joined == 5; });
    std::uint32_t slow = 0;
    std::uint32_t frozen = 0;
    for (const auto& c : listed()) {
        if (c.path.find("busy") != std::string::npos) slow = c.number;
        if (c.path.find("listeners0") != std::string::npos) frozen = c.number;
    }
    ASSERT_TRUE(slow && frozen);

    for (std::uint64_t n = 1; n <= 4; ++n) {
        const auto told = top_->ask<actors::notify_all<price>>(shop_, 60s, price{n}).value();
        ASSERT_EQ(told.size(), 5u);
        for (const notified& each : told)
            EXPECT_EQ(each.outcome, each.client == slow && n > 2 ? errc::mailbox_full : errc::ok) << n;
        await_that([&] { return common_->received == 4 * n; });
    }
    EXPECT_EQ(common_->sum, 4u * (1 + 2 + 3 + 4));

    // To some: each once, however often it is named; a number that nobody has is told.
    std::vector<std::uint32_t> some{frozen, 77, slow, frozen};
    const auto told = top_->ask<actors::notify<price>>(shop_, 60s, some, price{100}).value();
    ASSERT_EQ(told.size(), 3u);
    for (const notified& each : told)
        EXPECT_EQ(each.outcome, each.client == 77     ? errc::not_found
                                : each.client == slow ? errc::mailbox_full
                                                      : errc::ok);
    await_that([&] { return common_->received == 17; });

    // A process that does not run holds up its own outcome only: the others have got theirs when it is still awaited.
    stopped.signal(SIGSTOP);
    siginfo_t seen{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(stopped.id()), &seen, WSTOPPED), 0);  // it runs no more
    auto outcome = std::async(std::launch::async, [&] {
        return top_->ask<actors::notify_all<price>>(shop_, 60s, price{1000}).value();
    });
    await_that([&] { return common_->received == 20; });
    stopped.signal(SIGCONT);
    for (const notified& each : outcome.get())
        if (each.client != slow && each.client != frozen) EXPECT_EQ(each.outcome, errc::ok);

    // One that is killed is lost, and is told of no more.
    stopped.end_at_once();
    await_that([&] { return seen_->told(client_change::lost, "listeners0"); });
    EXPECT_EQ(top_->ask<actors::notify_all<price>>(shop_, 60s, price{1}).value().size(), 4u);
    end_all();
}

TEST_P(Service, TellsAPoliteEndFromACrash) {
    start();
    clients("visitor", 2);
    process& victim = clients("listener", 1);
    await_that([&] { return common_->done == 2 && common_->joined == 3; });
    victim.end_at_once();
    await_that([&] { return seen_->told(client_change::lost, "listener"); });
    EXPECT_TRUE(seen_->told(client_change::left, "visitor0"));
    EXPECT_TRUE(seen_->told(client_change::left, "visitor1"));
    EXPECT_FALSE(seen_->told(client_change::lost, "visitor"));
    // What they had sent before they left was served.
    await_that([&] { return seen_->all_pushed() == 6u; });
    end_all();
}

INSTANTIATE_TEST_SUITE_P(Over, Service,
                         ::testing::Values("unix://top", "shm://top", "pipe://top", "tcp://127.0.0.1:0"),
                         [](const auto& info) { return info.param.substr(0, info.param.find(':')); });

// ---------------------------------------------------------------- in one process, where each step is decided by the test

class ServiceHere : public Service {};

TEST_P(ServiceHere, S7_WhatTenClientsHaveWaitingIsServedInRoundsOfOneEach) {
    start({.queue = 20}, true, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<door_protocol> gate, std::string where) -> task<> {
            // Ten clients of one actor's: each is one of its children.
            struct sent {
                using reply = std::uint64_t;
            };
            auto one = [](actor<protocol<sent, price>> me, std::string path,
                          std::uint64_t messages) -> task<> {
                auto to = (co_await me.resolve<shop_protocol>(path)).value();
                auto at = (co_await actors::join<requests, notes>(me, to, 60s)).value();
                std::uint64_t taken = 0;
                while (auto m = co_await me.receive())
                    m.match(
                        [&](request<sent> r) {
                            for (std::uint64_t n = 0; n < messages; ++n)
                                taken += me.send<push>(at.requests, n) == errc::ok;
                            r.reply(taken);
                        },
                        [](const price&) {});
            };
            std::vector<ref<protocol<sent, price>>> all;
            for (std::uint64_t n = 0; n < 10; ++n) all.push_back(self.spawn(one, where, n == 0 ? 1000u : 5u));
            std::uint64_t flood = 0;
            for (std::size_t n = 0; n < all.size(); ++n) {
                const auto taken = (co_await self.ask<sent>(all[n], 60s)).value();
                if (n == 0) flood = taken;
                else EXPECT_EQ(taken, 5u);
            }
            EXPECT_GE(flood, 20u);
            EXPECT_LE(flood, 20u + 1u) << "its mailbox's bound, and the one that waits for its turn";
            self.send<open>(gate);
            // Behind all of them: its gate's queue is longer than the others'.
            auto to = (co_await self.resolve<shop_protocol>(where)).value();
            for (;;) {
                const auto list = (co_await self.ask<actors::list_clients>(to, 60s)).value();
                std::uint64_t left = 0;
                for (const auto& c : list) left += c.queued;
                if (list.size() != 10 || left != 0) continue;
                for (const auto& c : list) EXPECT_EQ(c.longest_wait, 9u) << "the turns of the nine others";
                break;
            }
        },
        door_, std::string{"/top/shop"});

    const auto turns = seen_->taken();
    ASSERT_GE(turns.size(), 10u * 5u);
    // The first turn began before the others had sent anything. From then on each has one of every ten, while all have any.
    for (std::size_t round = 0; round < 4; ++round) {
        const auto begin = turns.begin() + 1 + static_cast<std::ptrdiff_t>(round * 10);
        EXPECT_EQ((std::set<std::uint32_t>{begin, begin + 10}).size(), 10u) << "round " << round;
    }
}

TEST_P(ServiceHere, NumbersAreSmallAndTheLowestFreeOneIsUsedAgain) {
    start({.clients = 3}, false, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to) -> task<> {
            auto one = [](actor<notes> me, ref<shop_protocol> where,
                          std::shared_ptr<std::vector<place_in_shop>> in,
                          std::shared_ptr<std::vector<error>> errors) -> task<> {
                auto at = co_await actors::join<requests, notes>(me, where, 60s);
                if (at) in->push_back(*at);
                else errors->push_back(at.error());
                while (co_await me.receive()) {
                }
            };
            auto in = std::make_shared<std::vector<place_in_shop>>();
            auto errors = std::make_shared<std::vector<error>>();
            std::vector<ref<notes>> all;
            const auto join_one = [&] { all.push_back(self.spawn(one, to, in, errors)); };
            for (int n = 0; n < 4; ++n) {
                join_one();
                while (in->size() + errors->size() < all.size()) co_await self.yield();
            }
            for (std::uint32_t n = 0; n < 3; ++n) EXPECT_EQ(in->at(n).number, n + 1);
            REQUIRE_OR_END(errors->size() == 1);
            EXPECT_EQ(errors->at(0).code(), errc::limit_reached);

            self.stop(all[1]);
            for (;;) {
                const auto list = (co_await self.ask<actors::list_clients>(to, 60s)).value();
                if (list.size() == 2) break;
            }
            join_one();
            while (in->size() < 4) co_await self.yield();
            EXPECT_EQ(in->back().number, 2u);
            const auto list = (co_await self.ask<actors::list_clients>(to, 60s)).value();
            REQUIRE_OR_END(list.size() == 3);
            EXPECT_EQ(list[1].number, 2u);
            EXPECT_NE(list[1].path.find("/top/"), std::string::npos);
        },
        shop_);
}

TEST_P(ServiceHere, OnlyTheClientItselfLeavesAndAStrangersNumberIsRefused) {
    start({}, false, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to) -> task<> {
            auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            auto stranger = [](actor<protocol<>> me, ref<shop_protocol> where, std::uint32_t number,
                               std::shared_ptr<std::vector<errc>> said) -> task<> {
                said->push_back((co_await me.ask<actors::leave_service>(where, 60s, number)).error().code());
                said->push_back((co_await me.ask<actors::leave_service>(where, 60s, 99u)).error().code());
            };
            auto said = std::make_shared<std::vector<errc>>();
            self.spawn(stranger, to, at.number, said);
            while (said->size() < 2) co_await self.yield();
            EXPECT_EQ(said->at(0), errc::denied);
            EXPECT_EQ(said->at(1), errc::not_found);
            EXPECT_EQ((co_await self.ask<twice>(at.requests, 60s, 4u)).value(), 8u);
            // A path that no actor can have.
            auto bad = co_await self.ask<actors::join_service<requests, notes>>(
                to, 60s, std::string(5000, 'x'), at.inbox);
            EXPECT_EQ(bad.error(), errc::bad_name);
        },
        shop_);
}

TEST_P(ServiceHere, AClientThatJoinsAnewHasOnePlaceAndWhatItHadWaitingIsServed) {
    start({}, true, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to, ref<door_protocol> gate) -> task<> {
            auto before = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            for (std::uint64_t n = 0; n < 3; ++n) EXPECT_EQ(self.send<push>(before.requests, n), errc::ok);
            self.send<open>(gate);
            auto after = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            EXPECT_NE(before.requests, after.requests);
            EXPECT_EQ((co_await self.ask<twice>(after.requests, 60s, 1u)).value(), 2u);
            const auto told = (co_await self.ask<broadcast>(after.requests, 60s, 7u)).value();
            REQUIRE_OR_END(told.size() == 1);
            EXPECT_EQ(told[0].outcome, errc::ok);
            auto note = co_await self.receive();
            EXPECT_EQ(note.get_if<price>()->n, 7u);
        },
        shop_, door_);
    await_that([&] { return seen_->all_pushed() == 3u; });
}

TEST_P(ServiceHere, OneThatEndedAMomentAgoIsToldAsDown) {
    start({}, true, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to, ref<door_protocol> gate) -> task<> {
            auto mayfly = [](actor<protocol<price>> me, ref<shop_protocol> where,
                             std::shared_ptr<std::uint32_t> number) -> task<> {
                *number = (co_await actors::join<requests, notes>(me, where, 60s)).value().number;
                while (co_await me.receive()) {
                }
            };
            auto number = std::make_shared<std::uint32_t>(0);
            auto short_lived = self.spawn(mayfly, to, number);
            while (*number == 0) co_await self.yield();
            auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            // The service is before the closed door with this request in its hand when the other client ends.
            auto asking = [](actor<notes> me, ref<requests> service) -> task<std::vector<notified>> {
                co_return (co_await me.ask<broadcast>(service, 60s, 1u)).value();
            };
            auto asked = self.spawn_task(asking(self, at.requests));
            while ((co_await self.ask<waiting_there>(gate, 60s)).value() == 0) {
            }
            self.monitor(short_lived);
            self.kill(short_lived);
            while (auto m = co_await self.receive())
                if (m.get_if<down>()) break;
            self.send<open>(gate);
            const auto told = co_await asked.join();
            REQUIRE_OR_END(told.size() == 2);
            for (const notified& each : told)
                EXPECT_EQ(each.outcome, each.client == *number ? errc::down : errc::ok);
        },
        shop_, door_);
}

TEST_P(ServiceHere, ASilentClientsNotificationsAreBoundedAndTheirOutcomeIsATimeout) {
    start({.notifications = 4, .notify_within = 100ms}, false, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to) -> task<> {
            auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            self.pause(at.inbox);  // as in a process that is stopped
            auto tell = [](actor<notes> me, ref<shop_protocol> service, std::uint32_t number) -> task<errc> {
                std::vector<std::uint32_t> one{number};
                co_return (co_await me.ask<actors::notify<price>>(service, 60s, one, price{1}))
                    .value()
                    .at(0)
                    .outcome;
            };
            std::vector<own_task<errc>> outcomes;
            for (int n = 0; n < 6; ++n) outcomes.push_back(self.spawn_task(tell(self, to, at.number)));
            for (int n = 0; n < 6; ++n)
                EXPECT_EQ(co_await outcomes[static_cast<std::size_t>(n)].join(),
                          n < 4 ? errc::timeout : errc::mailbox_full);
            self.resume(at.inbox);
            EXPECT_EQ(co_await self.spawn_task(tell(self, to, at.number)).join(), errc::ok)
                << "what has timed out is over";
        },
        shop_);
}

TEST_P(ServiceHere, AServiceThatStopsServesWhatItsClientsHaveWaitingInTurn) {
    start({}, true, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to, ref<door_protocol> gate) -> task<> {
            auto one = [](actor<notes> me, ref<shop_protocol> where, std::shared_ptr<int> sent) -> task<> {
                auto at = (co_await actors::join<requests, notes>(me, where, 60s)).value();
                for (std::uint64_t n = 0; n < 5; ++n) EXPECT_EQ(me.send<push>(at.requests, n), errc::ok);
                ++*sent;
                while (co_await me.receive()) {
                }
            };
            auto sent = std::make_shared<int>(0);
            self.spawn(one, to, sent);
            while (*sent == 0) co_await self.yield();
            // From now on the service is before the closed door, so the second client's joining waits in its mailbox.
            self.spawn(one, to, sent);
            while ((co_await self.ask<waiting_there>(gate, 60s)).value() == 0) {
            }
            self.stop(to);
            self.monitor(to);
            self.send<open>(gate);
            while (auto m = co_await self.receive())
                if (m.get_if<down>()) break;
        },
        shop_, door_);
    const std::lock_guard lock{seen_->mutex};
    EXPECT_EQ(seen_->pushed[1], (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
}

TEST_P(ServiceHere, WatchersHearOfEachClientUntilTheyEnd) {
    start({}, false, false);
    using watching = protocol<client_event, price>;
    play<watching>(
        *top_,
        [](actor<watching> self, ref<shop_protocol> to) -> task<> {
            EXPECT_TRUE(co_await self.ask<actors::watch_clients>(to, 60s, self.me()));
            auto failing = [](actor<notes> me, ref<shop_protocol> where) -> task<> {
                static_cast<void>((co_await actors::join<requests, notes>(me, where, 60s)).value());
                co_return me.fail("no reason");
            };
            self.spawn(failing, to);
            auto first = co_await self.receive();
            EXPECT_EQ(first.get_if<client_event>()->what, client_change::joined);
            auto second = co_await self.receive();
            EXPECT_EQ(second.get_if<client_event>()->what, client_change::lost);
            EXPECT_NE(second.get_if<client_event>()->text.find("no reason"), std::string::npos);
        },
        shop_);
}

TEST_P(ServiceHere, AServiceThatCrashesTellsItsClientsAtOnceAndTheyJoinAnew) {
    start({}, false, false);
    play<notes>(
        *top_,
        [](actor<notes> self, ref<shop_protocol> to) -> task<> {
            auto at = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            self.monitor(at.requests);
            self.send<crash>(at.requests);
            auto m = co_await self.receive();
            EXPECT_TRUE(m.get_if<down>());
            auto again = (co_await actors::join<requests, notes>(self, to, 60s)).value();
            EXPECT_EQ(again.number, 1u);
            EXPECT_EQ((co_await self.ask<twice>(again.requests, 60s, 4u)).value(), 8u);
        },
        shop_);
}

INSTANTIATE_TEST_SUITE_P(In, ServiceHere, ::testing::Values("inproc://top"),
                         [](const auto&) { return "OneProcess"; });

}  // namespace
}  // namespace coppice::tests
