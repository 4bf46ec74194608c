// Groups across processes: members that are processes of their own, on every transport of children, and killed ones among them.
#include "process_actors.hpp"

namespace coppice::tests::carried {

namespace {

struct note {
    std::uint64_t number = 0;
};
struct enter {
    std::string group;
};
struct go_out {
    std::string group;
};
struct publish_some {
    std::string group;
    std::uint64_t count = 0;
    using reply = std::uint64_t;  // copies that were taken
};
struct members_known {
    std::string group;
    using reply = std::uint64_t;
};
struct seen_notes {
    std::uint64_t count = 0;
    std::uint64_t last = 0;    // its number
    std::uint64_t broken = 0;  // that came again or out of order
};
struct what_came {
    using reply = seen_notes;
};
using member_protocol = protocol<note, enter, go_out, publish_some, members_known, what_came, which_process>;

task<> group_member(actor<member_protocol> self, std::string group) {
    if (!group.empty()) self.join(group);
    seen_notes seen;
    std::uint64_t published = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const note& n) {
                if (seen.count && n.number <= seen.last) ++seen.broken;
                ++seen.count;
                seen.last = n.number;
            },
            [&](const enter& e) { self.join(e.group); }, [&](const go_out& g) { self.leave(g.group); },
            [&](request<publish_some> r) {
                std::uint64_t taken = 0;
                for (std::uint64_t i = 0; i < r->count; ++i)
                    taken += self.publish<note>(r->group, ++published);
                r.reply(taken);
            },
            [&](request<members_known> r) { r.reply(self.members(r->group).size()); },
            [&](request<what_came> r) { r.reply(seen); },
            [](request<which_process> r) { r.reply(static_cast<std::uint32_t>(::getpid())); });
}

using member_ref = ref<member_protocol>;

// Until that one knows so many members.
task<> known(actor<anything> self, member_ref who, std::string group, std::uint64_t members) {
    for (;;) {
        const auto n = co_await self.ask<members_known>(who, 10s, group);
        if (n && *n == members) co_return;
        co_await self.sleep(1ms);
    }
}

// Until that one has got so many.
task<seen_notes> came(actor<anything> self, member_ref who, std::uint64_t count) {
    for (;;) {
        const auto seen = co_await self.ask<what_came>(who, 10s);
        if (!seen || seen->count >= count) co_return seen ? *seen : seen_notes{};
        co_await self.sleep(1ms);
    }
}

task<member_ref> member(actor<anything> self, process_carrier how, std::string name, std::string group) {
    const auto made = co_await self.start(child(name, how, group_member, group).restarts(restart::temporary));
    if (!made) {
        ADD_FAILURE() << name << ": " << made.error().what();
        co_return member_ref{};
    }
    co_return member_ref{*made};
}

struct Groups : InProcess {};
INSTANTIATE_TEST_SUITE_P(Over, Groups, transports(), name_of_transport);

TEST_P(Groups, O4_FiveMembersGetOneCopyEachTheSenderNoneAndAnEmptyGroupIsNoError) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how) -> task<> {
            std::vector<member_ref> all;
            for (int i = 0; i < 6; ++i)
                all.push_back(co_await member(self, how, "m" + std::to_string(i), "five"));
            for (const member_ref& one : all) co_await known(self, one, "five", 6);
            const auto taken = co_await self.ask<publish_some>(all[0], 10s, "five", 1u);
            REQUIRE_OR_END(taken);
            EXPECT_EQ(*taken, 5u);
            for (int i = 1; i < 6; ++i)
                EXPECT_EQ((co_await came(self, all[static_cast<std::size_t>(i)], 1)).count, 1u);
            // What is published by the parent reaches all six: they answer behind it, so that copies too many would show.
            EXPECT_EQ(self.publish<note>("five", 9u), 6u);
            for (std::size_t i = 0; i < 6; ++i) {
                const seen_notes seen = co_await came(self, all[i], i == 0 ? 1 : 2);
                EXPECT_EQ(seen.count, i == 0 ? 1u : 2u);
                EXPECT_EQ(seen.last, 9u);
            }
            const auto nobody = co_await self.ask<publish_some>(all[0], 10s, "empty", 3u);
            REQUIRE_OR_END(nobody);
            EXPECT_EQ(*nobody, 0u);
        },
        carrier());
}

TEST_P(Groups, O5_MembersThatComeAndGoMeanwhileLoseAndRepeatNothingForThoseWhoStay) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how) -> task<> {
            constexpr std::uint64_t rounds = 100;
            constexpr std::uint64_t each = 20;
            const member_ref sender = co_await member(self, how, "sender", "");
            const member_ref stays = co_await member(self, how, "stays", "news");
            const member_ref moves = co_await member(self, how, "moves", "");
            co_await known(self, sender, "news", 1);
            for (std::uint64_t i = 0; i < rounds; ++i) {
                EXPECT_EQ(i % 2 ? self.send<go_out>(moves, "news") : self.send<enter>(moves, "news"),
                          errc::ok);
                if (i % 10 < 2) co_await known(self, sender, "news", i % 2 ? 1 : 2);
                const auto taken = co_await self.ask<publish_some>(sender, 10s, "news", each);
                REQUIRE_OR_END(taken);
            }
            const seen_notes all = co_await came(self, stays, rounds * each);
            EXPECT_EQ(all.count, rounds * each);
            EXPECT_EQ(all.broken, 0u);
            const seen_notes some = co_await came(self, moves, rounds / 10 * each);
            EXPECT_LT(some.count, rounds * each);
            EXPECT_EQ(some.broken, 0u);
            // Who has left gets nothing more.
            co_await known(self, sender, "news", 1);
            const seen_notes before = co_await came(self, moves, 0);
            const auto last = co_await self.ask<publish_some>(sender, 10s, "news", each);
            EXPECT_TRUE(last && *last == each);
            co_await came(self, stays, (rounds + 1) * each);
            EXPECT_EQ((co_await came(self, moves, 0)).count, before.count);
        },
        carrier());
}

TEST_P(Groups, AKilledMemberIsNoneAnyMoreAnywhereAndItsNextLifeIs) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, process_carrier how) -> task<> {
            supervisor_spec spec;
            spec.intensity(1'000, 1s).add(child("dies", how, group_member, std::string{"mortal"}));
            REQUIRE_OR_END(co_await self.start(supervisor("sup", std::move(spec))));
            const auto dies = co_await self.resolve<member_protocol>(self.path() + "/sup/dies");
            REQUIRE_OR_END(dies);
            const member_ref other = co_await member(self, how, "other", "mortal");
            co_await known(self, other, "mortal", 2);
            for (int round = 0; round < 3; ++round) {
                const auto pid = co_await self.ask<which_process>(*dies, 10s);
                REQUIRE_OR_END(pid);
                self.monitor(*dies);
                ::kill(static_cast<pid_t>(*pid), SIGKILL);
                EXPECT_EQ((co_await next_down(self)).kind(), exit_kind::process_ended);
                // Until the other one has heard of the next life.
                for (seen_notes seen; seen.count == 0; seen = co_await came(self, *dies, 0)) {
                    const auto taken = co_await self.ask<publish_some>(other, 10s, "mortal", 1u);
                    EXPECT_TRUE(taken && *taken <= 1);
                }
                co_await known(self, other, "mortal", 2);
            }
        },
        carrier());
}

}  // namespace

}  // namespace coppice::tests::carried
