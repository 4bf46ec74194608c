// What a node answers to tools: its control actor, asked from another node, as the command line does.
#include <future>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/control_actor.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::Not;

struct note {
    std::string text;
};
struct say {
    std::string text;
};
struct wait_here {
    using reply = bool;
};
struct all_said {
    using reply = bool;
};
using talker_protocol = protocol<say, note, wait_here, all_said>;

// Logs what it is told to say, and blocks its scheduler for as long as the test wants.
task<> talker(actor<talker_protocol> self, std::shared_ptr<std::promise<void>> entered,
              std::shared_future<void> gate) {
    while (auto m = co_await self.receive())
        m.match([&](const say& s) { self.log.info("{}", s.text); }, [](const note&) {},
                [](request<all_said> r) { r.reply(true); },
                [&](request<wait_here> r) {
                    entered->set_value();
                    gate.wait();
                    r.reply(true);
                });
}

class ControlActor : public ::testing::Test {
protected:
    ControlActor() {
        node_options o = quiet(2);
        o.network.listen = {"inproc://control"};
        asked_ = std::make_unique<node>("asked", o);
        supervisor_spec spec;
        spec.add(child("talker", on_scheduler(1), talker, entered_, gate_.get_future().share()));
        auto started = asked_->start(std::move(spec));
        EXPECT_TRUE(started) << started.error().what();
        guest_ = std::make_unique<node>("guest", below("inproc://control"));
        EXPECT_TRUE(guest_->start(supervisor_spec{}));
    }
    ref<control_protocol> control() {
        auto found = guest_->resolve<control_protocol>("/asked/$node");
        EXPECT_TRUE(found) << found.error().what();
        return *found;
    }
    std::shared_ptr<std::promise<void>> entered_ = std::make_shared<std::promise<void>>();
    std::promise<void> gate_;
    std::unique_ptr<node> asked_;
    std::unique_ptr<node> guest_;
};

TEST_F(ControlActor, DescribesAllActorsOfItsNodeButItself) {
    const auto told = guest_->ask<control::describe>(control(), 20s);
    ASSERT_TRUE(told) << told.error().what();
    EXPECT_EQ(told->seen.name, "asked");
    EXPECT_EQ(told->pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_TRUE(told->seen.find("/asked"));
    EXPECT_TRUE(told->seen.find("/asked/talker"));
    EXPECT_EQ(told->seen.schedulers.size(), 2u);
    EXPECT_THAT(told->seen.schedulers, Each(Field(&scheduler_info::answered, true)));
    EXPECT_THAT(told->seen.links, Contains(Field(&link_info::node, "guest")));
    EXPECT_THAT(told->seen.actors, Each(Field(&actor_info::path, Not(HasSubstr("$node")))));
    EXPECT_FALSE(asked_->inspect().find("/asked/$node"));
}

TEST_F(ControlActor, TellsHowLongTurnsTakeAlsoOfASchedulerThatDoesNotAnswer) {
    auto t = asked_->resolve<talker_protocol>("talker");
    // Turns that come at once are not all measured: again, until one of these has been.
    while (asked_->inspect().schedulers.at(1).latency.delays.total() == 0)
        ASSERT_TRUE(asked_->ask<all_said>(*t, 20s));
    asked_->send<wait_here>(*t);
    entered_->get_future().wait();
    const auto blocked = guest_->ask<control::describe>(control(), 20s, 20ms);
    gate_.set_value();
    ASSERT_TRUE(blocked) << blocked.error().what();
    EXPECT_FALSE(blocked->seen.schedulers.at(1).answered);
    EXPECT_GT(blocked->seen.schedulers.at(1).latency.turns.total(), 0u);
    ASSERT_TRUE(asked_->ask<all_said>(*t, 20s));
    const auto after = guest_->ask<control::describe>(control(), 20s);
    ASSERT_TRUE(after) << after.error().what();
    const latency_info& told = after->seen.schedulers.at(1).latency;
    EXPECT_GE(told.turns.total(), blocked->seen.schedulers.at(1).latency.turns.total());
    EXPECT_GT(told.delays.total(), 0u);
}

TEST_F(ControlActor, NamesASchedulerThatDoesNotAnswer) {
    auto t = asked_->resolve<talker_protocol>("talker");
    asked_->send<wait_here>(*t);
    entered_->get_future().wait();
    const auto told = guest_->ask<control::describe>(control(), 20s, 20ms);
    gate_.set_value();
    ASSERT_TRUE(told) << told.error().what();
    EXPECT_TRUE(told->seen.schedulers.at(0).answered);
    EXPECT_FALSE(told->seen.schedulers.at(1).answered);
    EXPECT_EQ(told->seen.schedulers.at(1).running, "/asked/talker");
    EXPECT_FALSE(told->seen.find("/asked/talker"));
}

TEST_F(ControlActor, KnowsTheMessagesThatActorsHandle) {
    const auto one = guest_->ask<control::message_types>(control(), 20s, "/asked/talker");
    ASSERT_TRUE(one) << one.error().what();
    EXPECT_EQ(one->size(), 4u);
    EXPECT_THAT(*one, Contains(std::string{message_name<note>}));
    const auto all = guest_->ask<control::message_types>(control(), 20s);
    ASSERT_TRUE(all) << all.error().what();
    EXPECT_THAT(*all, Contains(std::string{message_name<note>}));
    EXPECT_THAT(*all, Contains(std::string{message_name<restart_child>}));
    EXPECT_THAT(*all, Not(Contains(std::string{message_name<control::describe>})));
    const auto none = guest_->ask<control::message_types>(control(), 20s, "/asked/nobody");
    EXPECT_EQ(none.error(), errc::not_found);
}

TEST_F(ControlActor, TakesActorsOfOtherNodesIntoGroupsUntilTheyEnd) {
    asked_->publish<note>("room", "before");
    play<protocol<note>>(*guest_, [](actor<protocol<note>> self) -> task<> {
        auto c = co_await self.resolve<control_protocol>("/asked/$node");
        REQUIRE_OR_END(c);
        const auto joined = co_await self.ask<control::join_group>(*c, 20s, "room", ref<>{self.me()});
        EXPECT_TRUE(joined) << joined.error().what();
        const auto refused = co_await self.ask<control::join_group>(*c, 20s, "$flows", ref<>{self.me()});
        EXPECT_EQ(refused.error(), errc::bad_name);
        auto members = co_await self.ask<control::group_members>(*c, 20s, "room");
        REQUIRE_OR_END(members);
        EXPECT_EQ(members->size(), 1u);
        EXPECT_EQ(members->at(0), ref<>{self.me()});
    });
    const auto publish = [&] { return asked_->publish<note>("room", "hello"); };
    // The script's actor has ended, of which the group's node learns when it does.
    while (!guest_->ask<control::group_members>(control(), 20s, "room").value().empty())
        std::this_thread::yield();
    EXPECT_EQ(publish(), 0u);
}

TEST_F(ControlActor, DeliversWhatIsPublishedToAMemberOnAnotherNode) {
    play<protocol<note>>(
        *guest_,
        [](actor<protocol<note>> self, node* other) -> task<> {
            auto c = co_await self.resolve<control_protocol>("/asked/$node");
            REQUIRE_OR_END(c);
            auto joined = co_await self.ask<control::join_group>(*c, 20s, "room", ref<>{self.me()});
            EXPECT_TRUE(joined);
            co_await self.offload([other] { EXPECT_EQ(other->publish<note>("room", "hello"), 1u); });
            auto m = co_await self.receive();
            REQUIRE_OR_END(m.get_if<note>());
            EXPECT_EQ(m.get_if<note>()->text, "hello");
        },
        asked_.get());
}

TEST_F(ControlActor, SendsTheLogOfASubtreeAtALevel) {
    play<control::log_reader>(*guest_, [](actor<control::log_reader> self) -> task<> {
        auto c = co_await self.resolve<control_protocol>("/asked/$node");
        auto t = co_await self.resolve<talker_protocol>("/asked/talker");
        REQUIRE_OR_END(c && t);
        auto followed =
            co_await self.ask<control::follow_log>(*c, 20s, "/asked/talker", level::info, self.me());
        EXPECT_TRUE(followed) << followed.error().what();
        self.send<say>(*t, "one");
        auto m = co_await self.receive();
        REQUIRE_OR_END(m.get_if<control::log_line>());
        EXPECT_EQ(m.get_if<control::log_line>()->path, "/asked/talker");
        EXPECT_EQ(m.get_if<control::log_line>()->text, "one");
        auto quieter = co_await self.ask<control::set_level>(*c, 20s, "/asked/talker", level::warn);
        EXPECT_TRUE(quieter);
        self.send<say>(*t, "not logged");
        EXPECT_TRUE(co_await self.ask<all_said>(*t, 20s));
        auto louder = co_await self.ask<control::set_level>(*c, 20s, "/asked/talker", level::info);
        EXPECT_TRUE(louder);
        self.send<say>(*t, "two");
        m = co_await self.receive();
        REQUIRE_OR_END(m.get_if<control::log_line>());
        EXPECT_EQ(m.get_if<control::log_line>()->text, "two");
        auto bad = co_await self.ask<control::set_level>(*c, 20s, "talker", level::warn);
        EXPECT_EQ(bad.error(), errc::invalid_argument);
    });
}

TEST(ControlSocket, LetsTheCommandLineInWhereOthersNeedASecretAndAName) {
    own_run_directory here;
    node_options o = quiet(2);
    o.control = true;
    o.network.secret = "a secret of sixteen bytes or more";
    o.network.allow = {"nobody"};
    node asked{"asked", o};
    ASSERT_TRUE(asked.start(supervisor_spec{}));
    EXPECT_TRUE(asked.listening().empty());
    node guest{"guest", below("unix://asked.control")};
    ASSERT_TRUE(guest.start(supervisor_spec{}));
    auto found = guest.resolve<control_protocol>("/asked/$node");
    ASSERT_TRUE(found) << found.error().what();
    EXPECT_TRUE(guest.ask<control::describe>(*found, 20s));
}

TEST(ControlSocket, IsNotThereUnlessItIsWanted) {
    own_run_directory here;
    node asked{"asked", quiet(2)};
    ASSERT_TRUE(asked.start(supervisor_spec{}));
    EXPECT_FALSE(asked.resolve<control_protocol>("/asked/$node"));
    EXPECT_TRUE(here.files().empty());
}

TEST(ControlSocket, KeepsNoTreeFromStartingThatHasTheNameOfAnother) {
    own_run_directory here;
    node_options o = quiet(1);
    o.control = true;
    node first{"app", o};
    ASSERT_TRUE(first.start(supervisor_spec{}));
    node second{"app", o};
    EXPECT_TRUE(second.start(supervisor_spec{}));
}

}  // namespace
}  // namespace coppice::tests
