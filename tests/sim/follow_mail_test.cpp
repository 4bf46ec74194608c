// Following the mail of an actor of another node (control::follow_mail) over the simulated network, on virtual time: what the
// follower is told, with what it is told that it missed, is exactly what the actor took, in that order, also where links break.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "coppice/control_actor.hpp"
#include "network_rig.hpp"
#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct parcel {
    std::uint64_t number = 0;
    std::string load;
};
struct express {
    static constexpr auto lane = lane::priority;
    std::uint64_t number = 0;
};
struct query {
    std::uint64_t number = 0;
    using reply = std::uint64_t;
};
using office_protocol = protocol<parcel, express, query>;

struct told_mail {
    std::vector<std::uint64_t> taken;     // numbers, by the actor itself
    std::vector<std::uint64_t> recorded;  // the same, as the follower was told; 0: one that it missed
    bool follows = false;
};
using told = std::shared_ptr<told_mail>;

task<> office(actor<office_protocol> self, told log) {
    while (auto m = co_await self.receive()) {
        m.match([&](const parcel& p) { log->taken.push_back(p.number); },
                [&](const express& e) { log->taken.push_back(e.number); },
                [&](request<query> r) {
                    log->taken.push_back(r->number);
                    r.reply(r->number);
                });
        if (self.random() % 16 == 0) co_await self.sleep(1ms);
    }
}

task<> sender(actor<anything> self, told log, std::uint64_t count) {
    while (!log->follows) co_await self.sleep(10ms);
    auto to = co_await self.resolve<office_protocol>("/far/office");
    while (!to) {
        co_await self.sleep(10ms);
        to = co_await self.resolve<office_protocol>("/far/office");
    }
    for (std::uint64_t n = 1; n <= count; ++n) {
        const std::uint64_t kind = self.random() % 8;
        if (kind == 0) self.send<express>(*to, n);
        else if (kind == 1) {
            static_cast<void>(co_await self.ask<query>(*to, 600s, n));
        } else co_await self.send_wait<parcel>(*to, n, std::string(self.random() % 2000, 'p'));
    }
    while (co_await self.receive()) {
    }
}

task<> follower(actor<protocol<control::mail_batch>> self, told log, bool slow) {
    for (;;) {
        auto control = co_await self.resolve<control_protocol>("/far/$node");
        if (control) {
            const auto done = co_await self.ask<control::follow_mail>(*control, 60s, "/far/office", ref<>{},
                                                                      ref<control::mail_reader>{self.me()});
            if (done) break;
        }
        co_await self.sleep(10ms);
    }
    log->follows = true;
    while (auto m = co_await self.receive()) {
        auto b = m.take<control::mail_batch>();
        REQUIRE_OR_END(b);
        for (const auto& r : b->records) {
            log->recorded.insert(log->recorded.end(), r.missed, 0);
            const auto v = control::content_of(r);
            const auto* fields = v ? v->get_if<value::record>() : nullptr;
            log->recorded.push_back(fields ? fields->fields.at(0).as<std::uint64_t>().value_or(0) : 0);
        }
        log->recorded.insert(log->recorded.end(), b->missed, 0);
        if (slow) co_await self.sleep(10s);
        b.reply();
    }
}

network_options joined(const std::string& own, const std::string& above = {}) {
    network_options o;
    o.listen = {"sim://" + own};
    if (!above.empty()) o.parent = "sim://" + above + "?from=" + own;
    return o;
}

struct post {
    testing::world& world;
    told log = std::make_shared<told_mail>();
    std::shared_ptr<sim_network> net = std::make_shared<sim_network>(world.seed());

    void start(std::uint64_t count, bool slow) {
        expected = count;
        register_transport(net);
        ASSERT_TRUE(
            world.start(supervisor_spec{}.add(child("office", spread, office, log)), "far", joined("far")));
        ASSERT_TRUE(
            world.start(supervisor_spec{}
                            .add(child("follower", spread, follower, log, slow).mailbox(slow ? 1 : 100))
                            .add(child("sender", spread, sender, log, count)),
                        "near", joined("near", "far")));
    }
    std::uint64_t expected = 0;
    bool complete() const { return log->taken.size() == expected && log->recorded.size() == expected; }
    void check(bool may_miss) const {
        ASSERT_EQ(log->recorded.size(), log->taken.size());
        for (std::size_t i = 0; i < log->taken.size(); ++i) {
            if (may_miss && log->recorded[i] == 0) continue;
            ASSERT_EQ(log->recorded[i], log->taken[i]) << "at " << i;
        }
    }
};

TEST(FollowMailOverTheNetwork, TheFollowerIsToldWhatTheActorTookInThatOrder) {
    for_each_seed(number_of_seeds(60), [](testing::world& world) {
        post p{world};
        p.start(300, false);
        ASSERT_TRUE(world.run_until([&] { return p.complete(); }, 10min));
        p.check(false);
    });
}

TEST(FollowMailOverTheNetwork, NothingIsForgottenOrToldTwiceWhereLinksBreak) {
    for_each_seed(number_of_seeds(40), [](testing::world& world) {
        post p{world};
        p.start(300, false);
        for (int i = 0; i < 20 && !p.complete(); ++i) {
            world.advance(std::chrono::milliseconds{1 + world.seed() % 7});
            p.net->cut(0.5);
        }
        ASSERT_TRUE(world.run_until([&] { return p.complete(); }, 30min));
        p.check(true);
    });
}

TEST(FollowMailOverTheNetwork, ASlowFollowerKnowsWhereItMissedHowMany) {
    for_each_seed(number_of_seeds(3), [](testing::world& world) {
        post p{world};
        constexpr std::uint64_t count = 3 * limits::mail_records_waiting;
        p.start(count, true);
        ASSERT_TRUE(world.run_until([&] { return p.complete(); }, 60min))
            << p.log->taken.size() << " taken, " << p.log->recorded.size() << " told or missed";
        p.check(true);
        EXPECT_GT(std::count(p.log->recorded.begin(), p.log->recorded.end(), 0u), 0);
    });
}

}  // namespace
}  // namespace coppice::tests
