// What nodes may do that are not of the tree, in the simulated network: a guest below the root, and a node of the tree beside it.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/rights.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

constexpr const char* secret = "a secret of the tree";

struct status {
    using reply = std::string;
};
struct ring {
    std::uint32_t times = 1;
};
struct open_door {
    std::string door;
    using reply = std::string;
    [[nodiscard]] demand needs() const { return {right::write, door}; }
};
using house = protocol<status, ring, open_door>;
struct who_is_there {
    using reply = std::vector<ref<house>>;
};
using porter_protocol = protocol<who_is_there>;

struct heard {
    int rings = 0;
    std::vector<std::string> said;  // by the guest, in order
    bool done = false;
};
using log_of = std::shared_ptr<heard>;

task<> resident(actor<house> self, log_of log) {
    self.join("bells");
    self.join("alarms");
    while (auto m = co_await self.receive())
        m.match([](request<status> r) { r.reply("well"); },
                [&](const ring& r) { log->rings += static_cast<int>(r.times); },
                [](request<open_door> r) { r.reply("open"); });
}

// Gives refs to who asks, also of those that one may not find.
task<> porter(actor<porter_protocol> self) {
    std::vector<ref<house>> all;
    for (const char* path : {"/app/status", "/app/vault"})
        if (auto found = co_await self.resolve<house>(path)) all.push_back(*found);
    while (auto m = co_await self.receive()) m.match([&](request<who_is_there> r) { r.reply(all); });
}

using guest_protocol = protocol<down>;
using guest_work = task<> (*)(actor<guest_protocol>, log_of);

template <class R>
std::string told(const result<R>& r) {
    return r ? "ok" : std::string{to_string(r.error().code())};
}

struct tree {
    explicit tree(testing::world& w, std::string rights) : world{w}, rights_text{std::move(rights)} {
        net = std::make_shared<sim_network>(w.seed());
        register_transport(net);
        supervisor_spec app;
        app.add(child("status", in_coroutine, resident, log));
        app.add(child("vault", in_coroutine, resident, log));
        app.add(child("porter", in_coroutine, porter));
        start("app", {}, std::move(app));
        supervisor_spec inner;
        inner.add(child("deep", in_coroutine, resident, log));
        inner.add(child("vault", in_coroutine, resident, log));
        start("inner", "app", std::move(inner));
    }
    void start(const std::string& name, const std::string& parent, supervisor_spec spec) {
        network_options o;
        o.listen = {"sim://" + name};
        if (!parent.empty()) o.parent = "sim://" + parent + "?from=" + name;
        o.secret = secret;
        if (name != "guest") o.rights = *parse_rights(rights_text);
        const auto started = world.start(std::move(spec), name, std::move(o));
        ASSERT_TRUE(started) << started.error().what();
    }
    void let_guest(guest_work work, const std::string& parent = "app") {
        supervisor_spec spec;
        spec.add(child("guest", in_coroutine, work, log));
        start("guest", parent, std::move(spec));
        EXPECT_TRUE(world.run_until([&] { return log->done; }, 60s));
        world.advance(1s);
    }
    std::uint64_t denied(const std::string& node) {
        std::uint64_t count = 0;
        for (const auto& [why, n] : world.inspect(node).dead_letter_reasons)
            if (why == errc::denied) count += n;
        return count;
    }

    testing::world& world;
    std::string rights_text;
    std::shared_ptr<sim_network> net;
    log_of log = std::make_shared<heard>();
};

constexpr const char* viewer = "role viewer\n"
                               "who name:guest\n"
                               "may ask /app/status\n"
                               "may ask /app/porter\n";

TEST(RightsOfNodes, AGuestMayAskWhatItsRoleAllowsAndFindsNothingElse) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, viewer};
        t.let_guest([](actor<guest_protocol> self, log_of log) -> task<> {
            auto status_there = co_await self.resolve<house>("/app/status");
            log->said.push_back(told(status_there));
            if (status_there) {
                log->said.push_back(told(co_await self.ask<status>(*status_there, 5s)));
                self.send<ring>(*status_there, 1U);
            }
            log->said.push_back(told(co_await self.resolve<house>("/app/vault")));
            log->said.push_back(told(co_await self.resolve<house>("/app/nobody")));
            log->done = true;
            while (co_await self.receive()) {
            }
        });
        EXPECT_EQ(t.log->said, (std::vector<std::string>{"ok", "ok", "denied", "denied"}));
        EXPECT_EQ(t.log->rings, 0);
        EXPECT_EQ(t.denied("app"), 3u);  // a message, and two that it wanted to find
    });
}

TEST(RightsOfNodes, ARefThatAGuestWasGivenIsNoRight) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, viewer};
        t.let_guest([](actor<guest_protocol> self, log_of log) -> task<> {
            auto porter_there = co_await self.resolve<porter_protocol>("/app/porter");
            if (!porter_there) co_return;
            auto all = co_await self.ask<who_is_there>(*porter_there, 5s);
            if (!all || all->size() != 2) co_return;
            const ref<house> vault = (*all)[1];
            const auto asked_at = self.now();
            const auto answer = co_await self.ask<status>(vault, 50s);
            log->said.push_back(told(answer));
            log->said.push_back(self.now() - asked_at < 40s ? "at once" : "late");
            self.send<ring>(vault, 1U);
            self.monitor(vault);
            self.stop(vault);
            self.kill(vault);
            auto end = co_await self.receive();
            if (end)
                end.match(
                    [&](const down& d) { log->said.push_back(std::string{to_string(d.reason.code())}); });
            log->done = true;
            while (co_await self.receive()) {
            }
        });
        EXPECT_EQ(t.log->said, (std::vector<std::string>{"denied", "at once", "denied"}));
        EXPECT_EQ(t.log->rings, 0);
        EXPECT_EQ(told(world.ask<status>(*world.resolve<house>("/app/vault"))), "ok");  // it lives
        EXPECT_EQ(t.denied("app"), 5u);
    });
}

constexpr const char* traveller = "role traveller\n"
                                  "who name:guest\n"
                                  "may transit /inner\n"
                                  "may ask,inspect /inner/deep\n"
                                  "may write doors/front\n";

TEST(RightsOfNodes, TheNodeWhereTheActorIsDecidesByItsPath) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, traveller};
        t.let_guest([](actor<guest_protocol> self, log_of log) -> task<> {
            auto deep = co_await self.resolve<house>("/inner/deep");
            log->said.push_back(told(deep));
            if (!deep) co_return;
            log->said.push_back(told(co_await self.ask<status>(*deep, 5s)));
            log->said.push_back(told(co_await self.resolve<house>("/inner/vault")));
            log->said.push_back(told(co_await self.ask<open_door>(*deep, 5s, std::string{"doors/front"})));
            log->said.push_back(told(co_await self.ask<open_door>(*deep, 5s, std::string{"doors/back"})));
            log->done = true;
            while (co_await self.receive()) {
            }
        });
        EXPECT_EQ(t.log->said, (std::vector<std::string>{"ok", "ok", "denied", "ok", "denied"}));
        EXPECT_EQ(t.denied("inner"), 2u);
    });
}

TEST(RightsOfNodes, WhatMayNotPassIsRefusedOnItsWay) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, "role viewer\nwho name:guest\nmay ask /inner/deep\n"};
        t.let_guest([](actor<guest_protocol> self, log_of log) -> task<> {
            log->said.push_back(told(co_await self.resolve<house>("/inner/deep")));
            log->done = true;
            while (co_await self.receive()) {
            }
        });
        ASSERT_EQ(t.log->said.size(), 1u);
        EXPECT_NE(t.log->said[0], "ok");
        EXPECT_GT(t.denied("app"), 0u);
        EXPECT_EQ(t.denied("inner"), 0u);
    });
}

std::size_t members_known(testing::world& world, const std::string& node, std::string_view group) {
    for (const auto& [name, count] : world.inspect(node).groups)
        if (name == group) return count;
    return 0;
}

// Every resident is in both groups.
TEST(RightsOfNodes, GroupsAreJoinedAndPublishedToByRight) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, "role member\nwho name:guest\nmay join open\nmay publish bells\nmay transit /inner\n"};
        t.let_guest([](actor<guest_protocol> self, log_of log) -> task<> {
            self.join("open");
            self.join("closed");
            while (self.members("bells").size() < 4) co_await self.sleep(10ms);
            self.publish<ring>("bells", 1U);
            self.publish<ring>("alarms", 100U);
            log->done = true;
            while (co_await self.receive()) {
            }
        });
        EXPECT_EQ(t.log->rings, 4);
        for (const char* node : {"app", "inner"}) {
            EXPECT_EQ(members_known(world, node, "open"), 1u) << node;
            EXPECT_EQ(members_known(world, node, "closed"), 0u) << node;
        }
        EXPECT_EQ(members_known(world, "guest", "alarms"), 0u);
        EXPECT_EQ(t.denied("app"), 1u);
    });
}

TEST(RightsOfNodes, WhoKnowsTheSecretAndHasNoRoleIsOfTheTree) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, "role other\nwho name:somebody\n"};
        t.let_guest([](actor<guest_protocol> self, log_of log) -> task<> {
            auto vault = co_await self.resolve<house>("/inner/vault");
            log->said.push_back(told(vault));
            if (vault) self.send<ring>(*vault, 3U);
            log->done = true;
            while (co_await self.receive()) {
            }
        });
        EXPECT_EQ(t.log->said, (std::vector<std::string>{"ok"}));
        EXPECT_EQ(t.log->rings, 3);
    });
}

// A guest says in its frames that it is of the tree, as nodes of the tree do: the node that it is linked to knows better. Below a guest
// nobody is more than the guest.
TEST(RightsOfNodes, BelowAGuestNobodyIsMoreThanTheGuest) {
    for_each_seed(10, {}, [](testing::world& world) {
        tree t{world, viewer};
        supervisor_spec none;
        t.start("guest", "app", std::move(none));
        supervisor_spec spec;
        spec.add(child(
            "friend", in_coroutine,
            +[](actor<guest_protocol> self, log_of log) -> task<> {
                log->said.push_back(told(co_await self.resolve<house>("/app/vault")));
                auto status_there = co_await self.resolve<house>("/app/status");
                log->said.push_back(told(status_there));
                log->done = true;
                while (co_await self.receive()) {
                }
            },
            t.log));
        t.start("friend", "guest", std::move(spec));
        EXPECT_TRUE(world.run_until([&] { return t.log->done; }, 60s));
        EXPECT_EQ(t.log->said, (std::vector<std::string>{"denied", "ok"}));
    });
}

TEST(RightsOfNodes, AGuestIsNobodysParent) {
    for_each_seed(5, {}, [](testing::world& world) {
        tree t{world, viewer};
        network_options o;
        o.listen = {"sim://guest"};
        o.children = {"sim://app?from=guest"};
        o.secret = secret;
        ASSERT_TRUE(world.start(supervisor_spec{}, "guest", std::move(o)));
        world.advance(10s);
        for (const auto& link : world.inspect("app").links) EXPECT_NE(link.node, "guest");
    });
}

}  // namespace
}  // namespace coppice::tests
