// control::follow_mail: what an actor takes from its mailbox, told to one on another node. Two nodes with threads of their own, so
// that ThreadSanitizer sees the two sides; a follower that is slow is one that takes nothing until it is told to.
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/any_request.hpp"
#include "coppice/control_actor.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct note {
    std::uint64_t number = 0;
    std::string text;
};
struct urgent_note {
    static constexpr auto lane = lane::priority;
    std::uint64_t number = 0;
};
struct here_only {
    using local_only = void;
    int number = 0;
};
struct large_note {
    std::string text;
};
struct all_taken {
    using reply = std::uint64_t;
};
struct crash {};
struct put_aside {
    std::uint64_t number = 0;
};
struct bring_back {};
using taker_protocol =
    protocol<note, urgent_note, here_only, large_note, all_taken, crash, put_aside, bring_back, value>;

// Counts what it takes. What it puts aside it takes when it is told to bring it back.
task<> taker(actor<taker_protocol> self) {
    std::uint64_t count = 0;
    bool aside = true;
    while (auto m = co_await self.receive()) {
        ++count;
        if (m.get_if<put_aside>() && aside) {
            self.stash(std::move(m));
            continue;
        }
        m.match([](const note&) {}, [](const urgent_note&) {}, [](const here_only&) {},
                [](const large_note&) {}, [&](request<all_taken> r) { r.reply(count); },
                [](const crash&) { throw std::runtime_error{"asked to"}; }, [](const put_aside&) {},
                [&](const bring_back&) {
                    aside = false;
                    self.unstash();
                },
                [](const value&) {});
    }
}

using followed = actor<protocol<control::mail_batch, down>>;

struct seen_mail {
    std::vector<control::mail_record> records;
    std::uint64_t missed = 0;
    bool ended = false;
    [[nodiscard]] std::vector<std::string> types() const {
        std::vector<std::string> all;
        for (const auto& r : records) all.push_back(r.type.substr(r.type.rfind(':') + 1));
        return all;
    }
};

// Until there are so many records, or the actor is gone.
task<> collect(followed self, seen_mail& into, std::size_t count) {
    while (into.records.size() < count && !into.ended) {
        auto m = co_await self.receive(60s);
        REQUIRE_OR_END(m);
        auto b = m->take<control::mail_batch>();
        REQUIRE_OR_END(b);
        for (auto& r : b->records) {
            into.missed += r.missed;
            into.records.push_back(std::move(r));
        }
        into.missed += b->missed;
        into.ended = b->ended;
        b.reply();
    }
}

task<result<ref<control_protocol>>> follow(followed self, std::string path) {
    auto control = co_await self.resolve<control_protocol>("/asked/$node");
    if (!control) co_return control.error();
    auto done = co_await self.ask<control::follow_mail>(*control, 60s, path, ref<>{},
                                                        ref<control::mail_reader>{self.me()});
    if (!done) co_return done.error();
    co_return *control;
}

class FollowMail : public ::testing::Test {
protected:
    FollowMail() {
        node_options o = quiet(2);
        o.network.listen = {"inproc://mail"};
        asked_ = std::make_unique<node>("asked", o);
        auto started =
            asked_->start(supervisor_spec{}
                              .intensity(10, 60s)
                              .add(child("taker", on_scheduler(1), taker))
                              .add(child("passing", on_scheduler(1), taker).restarts(restart::temporary)));
        EXPECT_TRUE(started) << started.error().what();
        guest_ = std::make_unique<node>("guest", below("inproc://mail"));
        EXPECT_TRUE(guest_->start(supervisor_spec{}));
    }
    std::unique_ptr<node> asked_;
    std::unique_ptr<node> guest_;
};

TEST_F(FollowMail, TellsEachMessageThatTheActorTakesWithItsTypeItsContentAndWhoAsks) {
    play<protocol<control::mail_batch, down>>(*guest_, [](followed self) -> task<> {
        const auto to = co_await self.resolve<taker_protocol>("/asked/taker");
        REQUIRE_OR_END(to);
        self.send<note>(*to, 1u, "before it is followed");
        EXPECT_TRUE(co_await self.ask<all_taken>(*to, 60s));
        const auto control = co_await follow(self, "/asked/taker");
        REQUIRE_OR_END(control);
        self.send<note>(*to, 2u, "tea");
        self.send<value>(*to, value{"plain"});
        self.send<value>(*to, value::record{{3, "by value"}, type_id(message_name<note>)});
        EXPECT_TRUE(co_await self.ask<all_taken>(*to, 60s));
        seen_mail seen;
        co_await collect(self, seen, 4);
        EXPECT_THAT(seen.types(), ElementsAre("note", "value", "note", "all_taken"));
        EXPECT_EQ(seen.missed, 0u);
        REQUIRE_OR_END(seen.records.size() == 4);
        for (const auto& r : seen.records) {
            EXPECT_EQ(r.sender, ref<>{self.me()});
            EXPECT_EQ(r.asked, &r == &seen.records.back());
            EXPECT_FALSE(r.own || r.again);
            EXPECT_EQ(r.content, control::mail_content::value);
        }
        EXPECT_EQ(seen.records[0].type, message_name<note>);
        const value first{value::record{{std::uint64_t{2}, "tea"}, type_id(message_name<note>)}};
        EXPECT_EQ(control::content_of(seen.records[0]).value(), first);
        EXPECT_EQ(control::content_of(seen.records[1]).value(), value{"plain"});
        EXPECT_GE(seen.records[3].at, seen.records[0].at);
    });
}

TEST_F(FollowMail, NamesWhatCannotLeaveTheProcessAndWhatIsTooLargeWithoutContent) {
    play<protocol<control::mail_batch, down>>(
        *guest_,
        [](followed self, node* asked) -> task<> {
            const auto control = co_await follow(self, "/asked/taker");
            REQUIRE_OR_END(control);
            co_await self.offload([asked] {
                const auto to = *asked->resolve<taker_protocol>("taker");
                asked->send<here_only>(to, 5);
                asked->send<large_note>(to, std::string(limits::mail_content + 1, 'x'));
            });
            seen_mail seen;
            co_await collect(self, seen, 2);
            EXPECT_THAT(seen.types(), ElementsAre("here_only", "large_note"));
            REQUIRE_OR_END(seen.records.size() == 2);
            EXPECT_EQ(seen.records[0].content, control::mail_content::none);
            EXPECT_FALSE(seen.records[0].sender);
            EXPECT_EQ(seen.records[1].content, control::mail_content::too_large);
            EXPECT_GT(seen.records[1].size, limits::mail_content);
            EXPECT_TRUE(seen.records[1].bytes.empty());
            EXPECT_EQ(control::content_of(seen.records[1]).error(), errc::not_portable);
        },
        asked_.get());
}

TEST_F(FollowMail, TellsMailInTheOrderInWhichTheActorTakesItAndWhatWasPutAsideAsTakenAgain) {
    play<protocol<control::mail_batch, down>>(
        *guest_,
        [](followed self, node* asked) -> task<> {
            const auto control = co_await follow(self, "/asked/taker");
            REQUIRE_OR_END(control);
            // While it is paused mail waits, so that urgent mail overtakes.
            EXPECT_TRUE(co_await self.ask<control::set_paused>(*control, 60s, "/asked/taker", true));
            co_await self.offload([asked] {
                const auto to = *asked->resolve<taker_protocol>("taker");
                asked->send<note>(to, 1u, "");
                asked->send<put_aside>(to, 2u);
                asked->send<put_aside>(to, 3u);
                asked->send<note>(to, 4u, "");
                asked->send<bring_back>(to);
                asked->send<note>(to, 5u, "");
                asked->send<urgent_note>(to, 6u);
            });
            EXPECT_TRUE(co_await self.ask<control::set_paused>(*control, 60s, "/asked/taker", false));
            seen_mail seen;
            co_await collect(self, seen, 9);
            EXPECT_THAT(seen.types(), ElementsAre("urgent_note", "note", "put_aside", "put_aside", "note",
                                                  "bring_back", "put_aside", "put_aside", "note"));
            std::vector<bool> again;
            for (const auto& r : seen.records) again.push_back(r.again);
            EXPECT_THAT(again, ElementsAre(false, false, false, false, false, false, true, true, false));
        },
        asked_.get());
}

TEST_F(FollowMail, GoesOnAfterARestartAndSaysWhenTheActorIsGoneForGood) {
    play<protocol<control::mail_batch, down>>(*guest_, [](followed self) -> task<> {
        for (const char* path : {"/asked/taker", "/asked/passing"}) {
            const auto control = co_await follow(self, path);
            REQUIRE_OR_END(control);
        }
        const auto taker_ref = co_await self.resolve<taker_protocol>("/asked/taker");
        const auto passing = co_await self.resolve<taker_protocol>("/asked/passing");
        REQUIRE_OR_END(taker_ref && passing);
        self.send<crash>(*taker_ref);
        self.send<note>(*taker_ref, 1u, "to the next incarnation");
        seen_mail seen;
        co_await collect(self, seen, 2);
        EXPECT_THAT(seen.types(), ElementsAre("crash", "note"));
        self.send<crash>(*passing);
        seen_mail last;
        co_await collect(self, last, 100);
        EXPECT_TRUE(last.ended);
        EXPECT_THAT(last.types(), ElementsAre("crash"));
    });
}

TEST_F(FollowMail, ToldToNobodyWhoMayNotHaveItAndToNoMoreThanTheLimit) {
    play<protocol<control::mail_batch, down>>(*guest_, [](followed self) -> task<> {
        EXPECT_EQ((co_await follow(self, "/asked/nobody")).error(), errc::not_found);
        EXPECT_EQ((co_await follow(self, "")).error(), errc::invalid_argument);
        EXPECT_EQ((co_await follow(self, "/asked/$node")).error(), errc::denied);
        auto control = co_await self.resolve<control_protocol>("/asked/$node");
        REQUIRE_OR_END(control);
        const ref<control::mail_reader> me{self.me()};
        auto own = co_await self.ask<control::follow_mail>(*control, 60s, "", ref<>{self.me()}, me);
        EXPECT_EQ(own.error(), errc::invalid_argument);
        auto itself = co_await self.ask<control::follow_mail>(*control, 60s, "", ref<>{*control}, me);
        EXPECT_EQ(itself.error(), errc::denied);
        auto to_nobody = co_await self.ask<control::follow_mail>(*control, 60s, "/asked/taker", ref<>{},
                                                                 ref<control::mail_reader>{});
        EXPECT_EQ(to_nobody.error(), errc::invalid_argument);
        auto by_ref = co_await self.resolve<taker_protocol>("/asked/taker");
        REQUIRE_OR_END(by_ref);
        for (std::size_t i = 0; i < limits::mail_followers; ++i) {
            auto done = co_await self.ask<control::follow_mail>(*control, 60s, "", ref<>{*by_ref}, me);
            EXPECT_TRUE(done) << i << ": " << done.error().what();
        }
        EXPECT_EQ((co_await follow(self, "/asked/taker")).error(), errc::limit_reached);
    });
    // Its places are free again once the node has learnt that it is gone.
    play<protocol<control::mail_batch, down>>(*guest_, [](followed self) -> task<> {
        auto again = co_await follow(self, "/asked/taker");
        while (!again && again.error() == errc::limit_reached) {
            co_await self.yield();
            again = co_await follow(self, "/asked/taker");
        }
        EXPECT_TRUE(again) << again.error().what();
    });
}

// ---------------------------------------------------------------- slow followers

struct go {
    static constexpr auto lane = lane::priority;  // its mailbox is full
};
using slow_protocol = protocol<control::mail_batch, go>;

struct slow_report {
    std::promise<result<void>> followed;
    std::promise<void> complete;
    std::uint64_t told = 0;
    std::uint64_t missed = 0;
    std::uint64_t last = 0;
    bool in_order = true;
};

// Takes nothing until it may; then all, until told and missed are as many as there were.
task<> slow_follower(actor<slow_protocol> self, std::shared_ptr<slow_report> report, std::uint64_t count) {
    auto control = co_await self.resolve<control_protocol>("/asked/$node");
    REQUIRE_OR_END(control);
    report->followed.set_value(co_await self.ask<control::follow_mail>(*control, 60s, "/asked/taker", ref<>{},
                                                                       ref<control::mail_reader>{self.me()}));
    auto may = co_await self.receive_only<go>(60s);
    REQUIRE_OR_END(may);
    while (report->told + report->missed < count) {
        auto m = co_await self.receive(60s);
        REQUIRE_OR_END(m);
        m->match(
            [&](request<control::mail_batch> b) {
                for (const auto& r : b->records) {
                    report->missed += r.missed;
                    ++report->told;
                    const auto v = control::content_of(r);
                    const auto* fields = v ? v->get_if<value::record>() : nullptr;
                    if (!fields || fields->fields.empty()) continue;
                    const auto number = fields->fields[0].as<std::uint64_t>().value_or(0);
                    // The number of each says how many there were before it: told or missed, nothing is forgotten.
                    report->in_order &= number == report->told + report->missed && number > report->last;
                    report->last = number;
                }
                report->missed += b->missed;
                b.reply();
            },
            [](const go&) {});
    }
    report->complete.set_value();
}

TEST_F(FollowMail, ASlowFollowerHoldsUpNobodyAndIsToldHowManyItMissed) {
    constexpr std::uint64_t count = 6 * limits::mail_records_waiting;
    auto report = std::make_shared<slow_report>();
    auto root = guest_->resolve<supervisor_protocol>("/guest");
    ASSERT_TRUE(root);
    auto started = guest_->ask<start_child>(*root, 60s,
                                            child("slow", in_coroutine, slow_follower, report, count + 1)
                                                .mailbox(1)
                                                .restarts(restart::temporary));
    ASSERT_TRUE(started) << started.error().what();
    auto followed = report->followed.get_future().get();
    ASSERT_TRUE(followed) << followed.error().what();
    const auto to = asked_->resolve<taker_protocol>("taker");
    ASSERT_TRUE(to);
    for (std::uint64_t i = 1; i <= count; ++i)
        while (asked_->send<note>(*to, i, std::string(300, 'x')) == errc::mailbox_full)
            std::this_thread::yield();
    // It took them all though nobody takes what is told of it.
    EXPECT_EQ(asked_->ask<all_taken>(*to, 60s).value(), count + 1);
    guest_->send<go>(started->assume<slow_protocol>());
    report->complete.get_future().wait();
    EXPECT_TRUE(report->in_order);
    EXPECT_GT(report->missed, 0u);
    EXPECT_GE(report->told, limits::mail_records_waiting);
    EXPECT_EQ(report->told + report->missed, count + 1);
}

TEST_F(FollowMail, EndsWithItsFollowerWhileMailFlows) {
    std::atomic<bool> over{false};
    std::thread sender{[&] {
        const auto to = asked_->resolve<taker_protocol>("taker");
        for (std::uint64_t i = 1; !over; ++i)
            if (asked_->send<note>(*to, i, "") == errc::mailbox_full) std::this_thread::yield();
    }};
    for (int i = 0; i < 20; ++i)
        play<protocol<control::mail_batch, down>>(*guest_, [](followed self) -> task<> {
            EXPECT_TRUE(co_await follow(self, "/asked/taker"));
            seen_mail seen;
            co_await collect(self, seen, 10);
        });
    over = true;
    sender.join();
    const auto to = asked_->resolve<taker_protocol>("taker");
    auto taken = asked_->ask<all_taken>(*to, 60s);
    while (!taken && taken.error() == errc::mailbox_full) {  // what was sent last is still there
        std::this_thread::yield();
        taken = asked_->ask<all_taken>(*to, 60s);
    }
    EXPECT_TRUE(taken) << taken.error().what();
}

TEST_F(FollowMail, TwoWhoFollowEachOtherAreNotToldThatTheyAreTold) {
    play<protocol<control::mail_batch, down>>(*asked_, [](followed self) -> task<> {
        auto control = co_await self.resolve<control_protocol>("/asked/$node");
        REQUIRE_OR_END(control);
        auto done = co_await self.ask<control::follow_mail>(*control, 60s, "", ref<>{self.me()},
                                                            ref<control::mail_reader>{self.me()});
        EXPECT_TRUE(done) << done.error().what();
        auto too = co_await follow(self, "/asked/taker");
        EXPECT_TRUE(too);
        const auto to = co_await self.resolve<taker_protocol>("/asked/taker");
        REQUIRE_OR_END(to);
        self.send<note>(*to, 1u, "");
        seen_mail seen;
        co_await collect(self, seen, 1);
        self.send<note>(*to, 2u, "");
        co_await collect(self, seen, 2);
        EXPECT_THAT(seen.types(), ElementsAre("note", "note"));
    });
}

}  // namespace
}  // namespace coppice::tests
