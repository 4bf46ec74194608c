// Messages whose type the receiver does not name: as values, as bytes that are passed on, or refused. Types are known to a
// whole process, so what another program would send is sent here as a value that says which type it is.
#include <string>
#include <vector>

#include "coppice/any_request.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct order {
    std::uint64_t id = 0;
    std::string what;
    ref<> who;
};
struct question {
    std::string text;
    using reply = std::string;
};
struct show {
    using reply = std::string;
};

constexpr const char* stranger = "elsewhere::order";  // no type of this process

std::string shown(const value& v) {
    const auto* r = v.get_if<value::record>();
    return to_string(v) + (r && r->type == type_id(stranger) ? " of the stranger" : "");
}

// Takes orders as such and everything else as values.
task<> collector(actor<protocol<order, show, value>> self) {
    std::string all;
    while (auto m = co_await self.receive())
        m.match([&](const order& o) { all += "order " + std::to_string(o.id) + " " + o.what + ";"; },
                [&](request<show> r) { r.reply(all); }, [&](const value& v) { all += shown(v) + ";"; });
}

task<> clerk(actor<protocol<order, show>> self) {
    std::string all;
    while (auto m = co_await self.receive())
        m.match([&](const order& o) { all += "order " + std::to_string(o.id) + " " + o.what + ";"; },
                [&](request<show> r) { r.reply(all); });
}

// Takes anything, by asking.
task<> gateway(actor<anything> self) {
    std::string all;
    while (auto m = co_await self.receive()) {
        if (auto* o = m.get_if<order>()) {
            all += "order " + std::to_string(o->id) + " " + o->what + ";";
            if (o->who) self.send<value>(o->who, value{"thanks"});
        } else if (auto r = m.take<show>()) {
            r.reply(all);
        } else if (auto q = m.take<question>()) {
            q.reply(q->text + "?");
        } else {
            const std::string name{m.type_name()};
            auto* v = m.get_if<value>();
            all += name.substr(0, 1) + (v ? shown(*v) : "nothing") + ";";
        }
    }
}

// The same by handlers.
task<> matcher(actor<anything> self) {
    std::string all;
    while (auto m = co_await self.receive())
        m.match([&](const order& o) { all += "order " + std::to_string(o.id) + " " + o.what + ";"; },
                [&](request<show> r) { r.reply(all); }, [&](request<question> q) { q.reply(q->text + "!"); },
                [&](const value& v) { all += shown(v) + ";"; });
}

// Handles orders and nothing else, although anything may be sent to it.
task<> picky(actor<anything> self) {
    while (auto m = co_await self.receive())
        m.match([](const order&) {}, [](request<show> r) { r.reply("picky"); });
}

// Answers any request; those that it names by name. What nobody waits for it takes as a value.
task<> oracle(actor<protocol<question, show, any_request, value>> self) {
    std::string all;
    while (auto m = co_await self.receive())
        m.match([](request<question> q) { q.reply(q->text + "!!"); }, [&](request<show> r) { r.reply(all); },
                [&](const value& v) { all += shown(v) + ";"; },
                [](request<any_request> r) { r.reply(value::list{shown(r->what), 1}); });
}
task<> seer(actor<anything> self) {
    while (auto m = co_await self.receive()) {
        if (auto q = m.take<question>()) q.reply(q->text + "??");
        else if (auto r = m.take<any_request>()) r.reply(value{r->what});
    }
}

// Passes on what it does not know to whoever it was told of.
task<> relay(actor<anything> self, std::string to) {
    auto next = co_await self.resolve<anything>(to);
    while (auto m = co_await self.receive())
        if (next) self.cell()->sched->send(*next, m.release());
}

class UnknownTypes : public ::testing::Test {
protected:
    UnknownTypes() {
        node_options o = quiet(2);
        o.network.listen = {"inproc://unknown_types"};
        above_ = std::make_unique<node>("above", o);
        supervisor_spec spec;
        spec.add(child("collector", in_coroutine, collector))
            .add(child("clerk", in_coroutine, clerk))
            .add(child("gateway", in_coroutine, gateway))
            .add(child("matcher", in_coroutine, matcher))
            .add(child("picky", in_coroutine, picky))
            .add(child("oracle", in_coroutine, oracle))
            .add(child("seer", in_coroutine, seer));
        auto started = above_->start(std::move(spec));
        EXPECT_TRUE(started) << started.error().what();
        o = quiet(2);
        o.network.parent = above_->listening().at(0);
        below_ = std::make_unique<node>("below", o);
        EXPECT_TRUE(below_->start(supervisor_spec{}));
    }
    std::unique_ptr<node> above_;
    std::unique_ptr<node> below_;
};

value an_order(std::uint64_t id, std::string_view what, std::uint64_t type) {
    return value::record{{id, what, value{}}, type};
}

task<std::string> told(actor<anything> self, ref<anything> who) {
    auto all = co_await self.ask<show>(who, 20s);
    co_return all ? *all : all.error().what();
}

// When there is something to tell.
task<std::string> told_at_last(actor<anything> self, ref<anything> who) {
    std::string all;
    for (int i = 0; i < 1000 && all.empty(); ++i) {
        all = co_await told(self, who);
        if (all.empty()) co_await self.sleep(5ms);
    }
    co_return all;
}

// Until the actor's node has come up.
task<result<ref<anything>>> when_up(actor<anything> self, std::string path) {
    result<ref<anything>> found = errc::timeout;
    for (int i = 0; i < 1000 && !found; ++i) {
        found = co_await self.resolve<anything>(path);
        if (!found) co_await self.sleep(20ms);
    }
    co_return found;
}

TEST_F(UnknownTypes, AValueThatNamesAnAggregateArrivesAsThat) {
    play(*below_, [](actor<anything> self) -> task<> {
        for (const char* path : {"/above/clerk", "/above/collector", "/above/gateway", "/above/matcher"}) {
            auto found = co_await self.resolve<anything>(path);
            REQUIRE_OR_END(found);
            self.send<value>(*found, an_order(7, "seven", type_id(message_name<order>)));
            EXPECT_EQ(co_await told(self, *found), "order 7 seven;") << path;
        }
    });
}

TEST_F(UnknownTypes, ATypeThatIsNotKnownArrivesAsAValueWhereValuesAreTaken) {
    play(*below_, [](actor<anything> self) -> task<> {
        for (const char* path : {"/above/collector", "/above/matcher", "/above/gateway"}) {
            auto found = co_await self.resolve<anything>(path);
            REQUIRE_OR_END(found);
            self.send<value>(*found, an_order(8, "eight", type_id(stranger)));
            self.send<value>(*found, value{value::list{1, "two"}});
            const bool by_name = std::string_view{path} == "/above/gateway";
            EXPECT_EQ(co_await told(self, *found),
                      by_name ? "#(8, \"eight\", nothing) of the stranger;c[1, \"two\"];"
                              : "(8, \"eight\", nothing) of the stranger;[1, \"two\"];")
                << path;
        }
    });
}

TEST_F(UnknownTypes, ATypeThatIsNotTakenBecomesADeadLetter) {
    play(*below_, [](actor<anything> self) -> task<> {
        for (const char* path : {"/above/clerk", "/above/picky"}) {
            auto found = co_await self.resolve<anything>(path);
            REQUIRE_OR_END(found);
            self.send<value>(*found, an_order(9, "nine", type_id(stranger)));
            EXPECT_EQ(co_await told(self, *found), path == std::string_view{"/above/picky"} ? "picky" : "");
            // The asker hears of it.
            auto answer = co_await self.ask<question>(*found, 20s, "what");
            EXPECT_EQ(answer.error(), errc::no_handler) << path;
        }
    });
    const auto seen = above_->inspect();
    EXPECT_EQ(seen.dead_letter_count, 4u);
}

TEST_F(UnknownTypes, BytesThatAreNotWhatTheirTypeSaysAreRefused) {
    play(*below_, [](actor<anything> self) -> task<> {
        for (const char* path : {"/above/clerk", "/above/matcher", "/above/picky"}) {
            auto found = co_await self.resolve<anything>(path);
            REQUIRE_OR_END(found);
            self.send<value>(*found, value::record{{"no number"}, type_id(message_name<order>)});
            const std::string all = co_await told(self, *found);
            EXPECT_TRUE(all.empty() || all == "picky") << all;
        }
        // One that asks for types hears that it is none of them, and can still have it as a value.
        auto found = co_await self.resolve<anything>("/above/gateway");
        REQUIRE_OR_END(found);
        self.send<value>(*found, value::record{{"no number"}, type_id(message_name<order>)});
        EXPECT_EQ(co_await told(self, *found), "#(\"no number\");");
    });
    const auto seen = above_->inspect();
    EXPECT_EQ(seen.dead_letter_count, 3u);
    for (const dead_letter& d : seen.dead_letters) EXPECT_EQ(d.reason, errc::bad_message);
}

TEST_F(UnknownTypes, AnActorOfAnythingTakesPartAcrossNodesAsItDoesAtHome) {
    play(*below_, [](actor<anything> self) -> task<> {
        for (const auto& [path, answered] :
             {std::pair{"/above/gateway", "what?"}, std::pair{"/above/matcher", "what!"}}) {
            auto found = co_await self.resolve<anything>(path);
            REQUIRE_OR_END(found);
            EXPECT_EQ(self.send<order>(*found, 1u, "book", ref<>{}), errc::ok);
            auto answer = co_await self.ask<question>(*found, 20s, "what");
            REQUIRE_OR_END(answer);
            EXPECT_EQ(*answer, answered);
            EXPECT_EQ(co_await told(self, *found), "order 1 book;");
        }
    });
}

task<> ask_what_is_not_known(actor<anything> self) {
    const auto found = co_await self.resolve<anything>("/above/oracle");
    REQUIRE_OR_END(found);
    const auto ask = [](actor<anything> me, ref<anything> to, value what) -> task<std::string> {
        auto answer = co_await me.ask<any_request>(to, 20s, std::move(what));
        co_return answer ? to_string(*answer) : answer.error().what();
    };
    EXPECT_EQ(co_await ask(self, *found, value{"tea"}), "[\"\\\"tea\\\"\", 1]");
    EXPECT_EQ(co_await ask(self, *found, an_order(8, "eight", type_id(stranger))),
              "[\"(8, \\\"eight\\\", nothing) of the stranger\", 1]");
    // One that it names arrives as that; at home as it was asked.
    EXPECT_EQ(co_await ask(self, *found, value::record{{"what"}, type_id(message_name<question>)}),
              self.path().starts_with("/below") ? "\"what!!\"" : "[\"(\\\"what\\\")\", 1]");
    const auto answer = co_await self.ask<question>(*found, 20s, "what");
    EXPECT_TRUE(answer && *answer == "what!!");
    // Nobody waits for an answer: that is no request.
    self.send<value>(*found, an_order(9, "nine", type_id(stranger)));
    EXPECT_EQ(co_await told(self, *found), "(9, \"nine\", nothing) of the stranger;");

    const auto other = co_await self.resolve<anything>("/above/seer");
    REQUIRE_OR_END(other);
    EXPECT_EQ(co_await ask(self, *other, an_order(8, "eight", type_id(stranger))), "(8, \"eight\", nothing)");
    EXPECT_EQ(co_await ask(self, *other, value::record{{"what"}, type_id(message_name<question>)}),
              self.path().starts_with("/below") ? "\"what??\"" : "(\"what\")");
    // Within a process nobody takes it for what it stands for: whoever asked so waits for a value.
    const auto clerk_there = co_await self.resolve<anything>("/above/matcher");
    REQUIRE_OR_END(clerk_there);
    EXPECT_EQ(co_await ask(self, *clerk_there, value::record{{"what"}, type_id(message_name<question>)}),
              self.path().starts_with("/below") ? "\"what!\"" : "no_handler");
}

TEST_F(UnknownTypes, RequestsAreAnsweredByWhoTakesAnyFromAnotherNode) {
    play(*below_, ask_what_is_not_known);
}

TEST_F(UnknownTypes, RequestsAreAnsweredByWhoTakesAnyAtHome) { play(*above_, ask_what_is_not_known); }

TEST_F(UnknownTypes, RefsInMessagesForAnythingLeadBack) {
    play(*below_, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<anything>("/above/gateway");
        REQUIRE_OR_END(found);
        self.send<order>(*found, 1u, "book", self.me());
        auto m = co_await self.receive(20s);
        REQUIRE_OR_END(m && m->get_if<value>());
        EXPECT_EQ(*m->get_if<value>(), value{"thanks"});
    });
}

TEST_F(UnknownTypes, RefsInMessagesForAnythingLeadToTheReceiversOwnNode) {
    play(*below_, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<anything>("/above/gateway");
        auto other = co_await self.resolve<anything>("/above/matcher");
        REQUIRE_OR_END(found && other);
        self.send<order>(*found, 1u, "book", *other);
        EXPECT_EQ(co_await told_at_last(self, *other), "\"thanks\";");
    });
}

TEST_F(UnknownTypes, RefsInMessagesForAnythingLeadToNodesThatTheReceiverNeverMet) {
    node_options o = quiet(2);
    o.network.parent = above_->listening().at(0);
    o.network.listen = {"inproc://unknown_types_between"};
    node between{"between", o};
    ASSERT_TRUE(between.start(supervisor_spec{}));
    o = quiet(2);
    o.network.parent = between.listening().at(0);
    node far{"far", o};
    supervisor_spec spec;
    spec.add(child("matcher", in_coroutine, matcher));
    ASSERT_TRUE(far.start(std::move(spec)));
    play(*below_, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<anything>("/above/gateway");
        REQUIRE_OR_END(found);
        const auto other = co_await when_up(self, "/far/matcher");
        REQUIRE_OR_END(other);
        self.send<order>(*found, 1u, "book", *other);
        EXPECT_EQ(co_await told_at_last(self, *other), "\"thanks\";");
    });
}

TEST_F(UnknownTypes, WhatNobodyOnTheWayKnowsIsPassedOnAsItWas) {
    node_options o = quiet(2);
    o.network.parent = above_->listening().at(0);
    node middle{"middle", o};
    supervisor_spec spec;
    spec.add(child("relay", in_coroutine, relay, std::string{"/above/collector"}));
    ASSERT_TRUE(middle.start(std::move(spec)));
    play(*below_, [](actor<anything> self) -> task<> {
        auto collecting = co_await self.resolve<anything>("/above/collector");
        REQUIRE_OR_END(collecting);
        const auto found = co_await when_up(self, "/middle/relay");
        REQUIRE_OR_END(found);
        self.send<value>(*found, an_order(3, "three", type_id(stranger)));
        self.send<order>(*found, 4u, "four", ref<>{});
        std::string all;
        for (int i = 0; i < 1000 && all.find("four") == std::string::npos; ++i) {
            all = co_await told(self, *collecting);
            co_await self.sleep(5ms);
        }
        EXPECT_EQ(all, "(3, \"three\", nothing) of the stranger;order 4 four;");
    });
}

TEST(UnknownTypesAtHome, AValueThatNamesAnAggregateIsTakenAsThatInOneProcess) {
    node here{"here", quiet(1)};
    supervisor_spec spec;
    spec.add(child("clerk", in_coroutine, clerk)).add(child("gateway", in_coroutine, gateway));
    ASSERT_TRUE(here.start(std::move(spec)));
    play(here, [](actor<anything> self) -> task<> {
        for (const char* path : {"/here/clerk", "/here/gateway"}) {
            auto found = co_await self.resolve<anything>(path);
            REQUIRE_OR_END(found);
            self.send<value>(*found, an_order(7, "seven", type_id(message_name<order>)));
            EXPECT_EQ(co_await told(self, *found), "order 7 seven;") << path;
        }
    });
}

}  // namespace
}  // namespace coppice::tests
