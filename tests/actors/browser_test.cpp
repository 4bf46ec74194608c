// Pages as actors (coppice/actors/browser.hpp) with real clients: Node.js with the package coppice-browser, in processes of their
// own, and Chromium. Where one is not installed, its tests say so and are skipped.
//
// A page's part of each scene stands in tests/actors/browser/peer.mjs; what it finds wrong is its exit code, and on standard error.
#include "browser_rig.hpp"

#include <limits>

namespace coppice::tests {
namespace {

class Browser : public browser_rig {};

value text(const char* words) { return value{words}; }

TEST_F(Browser, ValuesOfEveryKindComeBackAsAPageHasSentThem) {
    start(friendly());
    EXPECT_EQ(page("values")->wait(), 0);
    judge_->wait(text("done"));
    const auto all = judge_->all();
    ASSERT_EQ(all.size(), 2u) << "what could not be sent was not";
    EXPECT_EQ(all[0], value{std::numeric_limits<std::int64_t>::min()});
}

TEST_F(Browser, APageAsksAndIsAskedUnderTheNameThatItHasAskedFor) {
    start(friendly());
    const auto ann = page("asks");
    judge_->wait(text("ready"));
    const ref<> who = find("/app/browsers/ann");
    const auto answer = app_.ask<any_request>(who, 60s, any_request{value{"hello"}});
    ASSERT_TRUE(answer) << answer.error().what();
    EXPECT_EQ(*answer, (value{value::map{{value{"got"}, value{"hello"}}}}));
    const auto refused = app_.ask<any_request>(who, 60s, any_request{value{"refuse me"}});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error(), errc::failed);
    EXPECT_EQ(refused.error().text(), "as you wish");
    ASSERT_EQ(app_.send<value>(who, value{"over"}), errc::ok);
    EXPECT_EQ(ann->wait(), 0);
    until_none_is_left();
    EXPECT_EQ(app_.send<value>(who, value{"too late"}), errc::down);
}

TEST_F(Browser, APageIsAMemberOfGroupsAndPublishesToOthers) {
    start(friendly());
    const auto member = page("groups");
    judge_->wait(text("joined"));
    as("/app/judge", [](actor<anything> self) -> task<> {
        self.join("talk");
        EXPECT_EQ(self.publish<value>("news", value{"from the judge"}), 1u);
        co_return;
    });
    judge_->wait(value{value::map{{value{"all"}, value{"hear"}}}});
    judge_->wait(text("left"));
    as("/app/judge", [](actor<anything> self) -> task<> {
        EXPECT_EQ(self.publish<value>("news", value{"nobody reads it"}), 0u);
        EXPECT_EQ(self.publish<value>("talk", value{"behind it"}), 1u);
        co_return;
    });
    EXPECT_EQ(member->wait(), 0);
}

TEST_F(Browser, APageIsToldHowAnActorThatItMonitorsHasEnded) {
    start(friendly());
    EXPECT_EQ(page("monitors")->wait(), 0);
}

TEST_F(Browser, APageMayDoNothingUnlessTheHostSaysSo) {
    start({});
    const auto stranger = page("refusals");
    for (;;) {
        const auto sessions = report().sessions;
        if (sessions.empty()) continue;
        const auto answer = app_.ask<any_request>(find(sessions.front().path), 60s, any_request{value{1}});
        ASSERT_TRUE(answer) << answer.error().what();
        EXPECT_EQ(*answer, value{"heard"});
        break;
    }
    EXPECT_EQ(stranger->wait(), 0);
    EXPECT_TRUE(judge_->all().empty());
    EXPECT_EQ(report().turned_away, 1u);
}

TEST_F(Browser, ANameIsOneSessionsAloneAndFreeAsSoonAsThatIsClosed) {
    browser::host_options options = friendly();
    options.names = {"*"};
    start(options);
    EXPECT_EQ(page("names")->wait(), 0);
    until_none_is_left();
}

}  // namespace
}  // namespace coppice::tests
