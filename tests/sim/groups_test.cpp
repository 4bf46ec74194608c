// Groups across nodes, in the simulated network: whoever is a member throughout gets what is published, once and in order, whatever
// happens to links meanwhile; in the end every node knows the same members, and watchers' lists are right all along.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct note {
    std::uint32_t from = 0;  // node of the publisher
    std::uint64_t number = 0;
};
struct change_groups {};
struct publish_now {};
struct question {
    std::uint32_t from = 0;
    std::uint64_t number = 0;
    using reply = std::uint32_t;  // the node that answers
};
struct ask_now {
    std::chrono::nanoseconds within{};
};
using member_protocol = protocol<note, change_groups, publish_now, question, ask_now>;
using watcher_protocol = protocol<member_joined, member_left>;

constexpr const char* steady_group = "steady";
constexpr const char* moving_group = "moving";

struct seen {
    std::map<std::uint32_t, std::map<std::uint32_t, std::uint64_t>> next;  // by member's node, by publisher's
    std::map<std::uint32_t, std::uint64_t> published;
    std::map<std::uint32_t, std::multiset<std::string>> watched;  // by node, who is in the moving group
    std::uint64_t asked = 0;                                      // in the whole network
    std::uint64_t ended = 0;
    std::map<std::uint64_t, std::chrono::steady_clock::time_point> until;  // by question
    std::map<std::uint64_t, std::set<std::uint32_t>> handled;              // by question, the nodes
    std::map<errc, std::uint64_t> outcomes;                                // of all answers
    std::vector<std::string> wrong;
    void complain(std::string what) {
        if (wrong.size() < 10) wrong.push_back(std::move(what));
    }
};
using log_of = std::shared_ptr<seen>;

// Asks all others. Whoever answered has handled the question, and nobody did so when its time was over.
task<> ask_all(actor<member_protocol> self, log_of log, std::uint32_t node, std::chrono::nanoseconds within) {
    const std::uint64_t number = log->asked++;
    log->until[number] = self.now() + within;
    std::set<std::uint32_t> heard_of;
    for (const auto& [who, outcome] : co_await self.ask_group<question>(steady_group, within, node, number)) {
        ++log->outcomes[outcome ? errc::ok : outcome.error().code()];
        if (!outcome) continue;
        if (*outcome == node) log->complain("the asker asked itself");
        if (!heard_of.insert(*outcome).second) log->complain("one member answered twice");
        if (!log->handled[number].contains(*outcome)) log->complain("an answer of who was not asked");
    }
    ++log->ended;
}

// In the steady group for good, and now and then in the other one.
task<> member(actor<member_protocol> self, log_of log, std::uint32_t node) {
    self.join(steady_group);
    bool moves = false;
    while (auto m = co_await self.receive())
        m.match(
            [&](const note& n) {
                std::uint64_t& next = log->next[node][n.from];
                if (n.from == node) log->complain("the sender got its own message");
                if (n.number < next)
                    log->complain("node " + std::to_string(node) + " got number " + std::to_string(n.number) +
                                  " of node " + std::to_string(n.from) + " again or out of order");
                next = n.number + 1;
            },
            [&](const change_groups&) {
                if ((moves = !moves)) self.join(moving_group);
                else self.leave(moving_group);
            },
            [&](const publish_now&) { self.publish<note>(steady_group, node, log->published[node]++); },
            [&](const ask_now& a) { self.spawn_task(ask_all(self, log, node, a.within)); },
            [&](request<question> r) {
                // Its time is told in milliseconds, and what it spends within the network is not known to anybody.
                if (self.now() > log->until[r->number] + 10ms)
                    log->complain("a question was handled too late");
                if (!log->handled[r->number].insert(node).second) log->complain("a question came twice");
                r.reply(node);
            });
}

task<> watcher(actor<watcher_protocol> self, log_of log, std::uint32_t node) {
    self.watch_group(moving_group);
    auto& list = log->watched[node];
    while (auto m = co_await self.receive())
        m.match([&](const member_joined& j) { list.insert(j.who.to_string()); },
                [&](const member_left& l) {
                    const auto at = list.find(l.who.to_string());
                    if (at == list.end()) log->complain("who was not in the group left it");
                    else list.erase(at);
                });
}

class forest {
public:
    forest(testing::world& world, std::uint32_t nodes, bool chain) : world_{world}, random_{world.seed()} {
        net = std::make_shared<sim_network>(world.seed());
        register_transport(net);
        for (std::uint32_t i = 0; i < nodes; ++i)
            parents_.push_back(i == 0 ? 0 : chain ? i - 1 : static_cast<std::uint32_t>(below(i)));
    }
    std::uint64_t below(std::uint64_t n) { return random_() % n; }
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(parents_.size()); }
    static std::string name(std::uint32_t i) { return "n" + std::to_string(i); }

    void start(std::uint32_t i) {
        network_options o;
        o.listen = {"sim://" + name(i)};
        if (i != 0) o.parent = "sim://" + name(parents_[i]) + "?from=" + name(i);
        supervisor_spec spec;
        spec.add(child("member", in_coroutine, member, log, i));
        spec.add(child("watcher", in_coroutine, watcher, log, i));
        const auto started = world_.start(std::move(spec), name(i), std::move(o));
        ASSERT_TRUE(started) << started.error().what();
    }
    void start_all() {
        for (std::uint32_t i = 0; i < size(); ++i) start(i);
    }
    ref<member_protocol> member_of(std::uint32_t i) {
        return *world_.resolve<member_protocol>("/" + name(i) + "/member");
    }
    /// How many members that node knows of a group.
    std::size_t known(std::uint32_t i, std::string_view group) {
        for (const auto& [name_of_group, count] : world_.inspect(name(i)).groups)
            if (name_of_group == group) return count;
        return 0;
    }
    bool all_know(std::string_view group, std::size_t members) {
        for (std::uint32_t i = 0; i < size(); ++i)
            if (known(i, group) != members) return false;
        return true;
    }
    std::shared_ptr<sim_network> net;
    log_of log = std::make_shared<seen>();

private:
    testing::world& world_;
    std::mt19937_64 random_;
    std::vector<std::uint32_t> parents_;
};

TEST(GroupsAcrossNodes, O4_EachMemberOfAnyNodeGetsWhatIsPublishedOnceAndTheSenderDoesNot) {
    for_each_seed(20, {}, [](testing::world& world) {
        forest f{world, 6, world.seed() % 2 == 0};
        f.start_all();
        ASSERT_TRUE(world.run_until([&] { return f.all_know(steady_group, 6); }, 60s));
        for (int i = 0; i < 50; ++i) world.send<publish_now>(f.member_of(0));
        for (int i = 0; i < 50; ++i) world.send<publish_now>(f.member_of(5));
        world.advance(10s);
        for (std::uint32_t i = 0; i < 6; ++i) {
            EXPECT_EQ(f.log->next[i][0], i == 0 ? 0u : 50u) << i;
            EXPECT_EQ(f.log->next[i][5], i == 5 ? 0u : 50u) << i;
        }
        EXPECT_TRUE(f.log->wrong.empty()) << f.log->wrong.front();
    });
}

TEST(GroupsAcrossNodes, O5_ChangesUnderFaultsLoseAndRepeatNothingForThoseWhoStay) {
    for_each_seed(60, {}, [](testing::world& world) {
        forest f{world, static_cast<std::uint32_t>(2 + world.seed() % 6), world.seed() % 3 == 0};
        f.start_all();
        ASSERT_TRUE(world.run_until([&] { return f.all_know(steady_group, f.size()); }, 60s));
        std::set<std::uint32_t> moving;
        for (int i = 0; i < 120; ++i) {
            const auto who = static_cast<std::uint32_t>(f.below(f.size()));
            world.send<publish_now>(f.member_of(static_cast<std::uint32_t>(f.below(f.size()))));
            if (f.below(3) == 0) {
                world.send<change_groups>(f.member_of(who));
                if (!moving.erase(who)) moving.insert(who);
            }
            if (f.below(8) == 0) f.net->cut(f.below(2) ? 1.0 : 0.3);
            if (f.below(16) == 0) f.net->isolate({forest::name(who)});
            if (f.below(4) == 0) f.net->heal();
            world.advance(std::chrono::milliseconds{f.below(400)});
        }
        f.net->heal();
        EXPECT_TRUE(world.run_until([&] { return f.all_know(moving_group, moving.size()); }, 120s));
        world.advance(60s);
        EXPECT_TRUE(f.all_know(moving_group, moving.size()));
        EXPECT_TRUE(f.all_know(steady_group, f.size()));
        for (std::uint32_t to = 0; to < f.size(); ++to)
            for (std::uint32_t from = 0; from < f.size(); ++from)
                if (from != to)
                    EXPECT_EQ(f.log->next[to][from], f.log->published[from]) << from << " to " << to;
        for (std::uint32_t i = 0; i < f.size(); ++i)
            EXPECT_EQ(f.log->watched[i].size(), moving.size()) << "node " << i;
        EXPECT_TRUE(f.log->wrong.empty()) << f.log->wrong.front();
    });
}

// A question has its time to live with each of those who are asked, also where it waited for a link.
TEST(GroupsAcrossNodes, AQuestionToAllIsAnsweredOrToldByEachAndHandledByNobodyWhenItsTimeIsOver) {
    std::map<errc, std::uint64_t> outcomes;
    for_each_seed(60, {}, [&](testing::world& world) {
        forest f{world, static_cast<std::uint32_t>(2 + world.seed() % 6), world.seed() % 3 == 0};
        f.start_all();
        ASSERT_TRUE(world.run_until([&] { return f.all_know(steady_group, f.size()); }, 60s));
        std::uint64_t asked = 0;
        for (int i = 0; i < 60; ++i, ++asked) {
            const auto who = static_cast<std::uint32_t>(f.below(f.size()));
            world.send<ask_now>(f.member_of(who), std::chrono::milliseconds{100 + f.below(3000)});
            // For a while there is no link: what is asked meanwhile, or was on its way, waits.
            const auto fate = f.below(6);
            if (fate == 0) f.net->cut(f.below(2) ? 1.0 : 0.3);
            if (fate < 3) f.net->refuse_new(fate == 0);
            world.advance(std::chrono::milliseconds{f.below(1000)});
        }
        f.net->refuse_new(false);
        EXPECT_TRUE(world.run_until([&] { return f.log->ended == asked; }, 120s)) << f.log->ended;
        for (const auto& [code, count] : f.log->outcomes) outcomes[code] += count;
        EXPECT_TRUE(f.log->wrong.empty()) << f.log->wrong.front();
    });
    EXPECT_GT(outcomes[errc::ok], 0u);
    EXPECT_GT(outcomes[errc::timeout], 0u) << "no question met a fault";
}

TEST(GroupsAcrossNodes, MembersGoWithTheirNodeAndItsNextLifeHasItsOwn) {
    for_each_seed(40, {}, [](testing::world& world) {
        forest f{world, static_cast<std::uint32_t>(3 + world.seed() % 5), world.seed() % 2 == 0};
        f.start_all();
        ASSERT_TRUE(world.run_until([&] { return f.all_know(steady_group, f.size()); }, 60s));
        for (int round = 0; round < 4; ++round) {
            const auto who = static_cast<std::uint32_t>(f.below(f.size()));
            world.send<publish_now>(f.member_of(static_cast<std::uint32_t>(f.below(f.size()))));
            world.crash(forest::name(who));
            f.log->watched[who].clear();
            f.log->next[who].clear();
            for (auto& [to, next] : f.log->next) next.erase(who);
            f.log->published[who] = 0;
            if (f.below(2)) world.advance(std::chrono::seconds{f.below(90)});
            f.start(who);
            world.advance(std::chrono::milliseconds{f.below(3000)});
        }
        EXPECT_TRUE(world.run_until([&] { return f.all_know(steady_group, f.size()); }, 300s));
        world.advance(100s);
        EXPECT_TRUE(f.all_know(steady_group, f.size()));
        EXPECT_TRUE(f.log->wrong.empty()) << f.log->wrong.front();
    });
}

TEST(GroupsAcrossNodes, AWatcherIsToldWhoIsThereAlreadyAndANodeThatComesLaterHearsOfAll) {
    for_each_seed(10, {}, [](testing::world& world) {
        forest f{world, 3, true};
        f.start(0);
        f.start(1);
        world.advance(1s);
        world.send<change_groups>(f.member_of(0));
        world.send<change_groups>(f.member_of(1));
        world.advance(5s);
        f.start(2);
        world.advance(5s);
        EXPECT_EQ(f.log->watched[2].size(), 2u);
        EXPECT_EQ(f.known(2, moving_group), 2u);
        world.send<change_groups>(f.member_of(0));
        world.advance(5s);
        EXPECT_EQ(f.log->watched[2].size(), 1u);
    });
}

}  // namespace
}  // namespace coppice::tests
