// Pages as actors (coppice/actors/browser.hpp) with real clients: Node.js with the package coppice-browser, in processes of their
// own, and Chromium. Where one is not installed, its tests say so and are skipped.
//
// A page's part of each scene stands in tests/actors/browser/peer.mjs; what it finds wrong is its exit code, and on standard error.
#include "browser_rig.hpp"

#include <atomic>

#include "support/cut_proxy.hpp"
#include "support/web_client.hpp"

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
    EXPECT_TRUE(report().sessions.empty());
}

// ---------------------------------------------------------------- connections that break

/// What the tree says to the page, and what both have counted in the end.
struct stream_end {
    std::atomic<bool> is_enough{false};
    std::atomic<std::int64_t> sent{0};
    std::atomic<bool> is_over{false};
};

task<> stream_to_page(actor<anything> self, stream_end* end) {
    auto found = co_await self.resolve<anything>("/app/browsers/ann");
    const ref<> page = found.value();
    std::int64_t number = 0;
    while (!end->is_enough) {
        const errc sent = co_await self.send_wait<value>(page, value{++number});
        EXPECT_EQ(to_string(sent), "ok");
        if (sent != errc::ok) break;
        if (number % 16 != 0) continue;
        auto answer = co_await self.ask<any_request>(page, 60s, value{number});
        EXPECT_TRUE(answer) << answer.error().what();
        if (answer) EXPECT_EQ(*answer, value{number});
    }
    const errc last = co_await self.send_wait<value>(page, value{"last"});
    EXPECT_EQ(last, errc::ok);
    end->sent = number;
    end->is_over = true;
    end->is_over.notify_all();
}

class BrowserStream : public browser_rig {
protected:
    /// Mail flows both ways while that is done to the connection; then all of it has arrived once and in order.
    void stream(std::uint16_t port, const std::function<void()>& harm) {
        const auto ann = page("stream", {}, port);
        judge_->wait(value{"ready"});
        stream_end end;
        as("/app/echo", [&end](actor<anything> self) { return stream_to_page(self, &end); });
        harm();
        end.is_enough = true;
        ASSERT_EQ(ann->wait(), 0);
        end.is_over.wait(false);
        check(end.sent);
    }
    [[nodiscard]] std::int64_t reconnects() const { return reconnects_; }
    /// So many numbers have come from the page.
    void until_heard(std::int64_t more) {
        const auto so_far = static_cast<std::int64_t>(judge_->all().size());
        judge_->wait([&](const value& v) { return number_of(v) >= so_far + more; });
    }

private:
    static std::int64_t field(const value& v, const char* name) {
        const auto* map = v.get_if<value::map>();
        if (map)
            for (const auto& [key, mapped] : *map)
                if (key == value{name}) return mapped.as<std::int64_t>().value_or(-1);
        return -1;
    }
    static std::int64_t number_of(const value& v) { return field(v, "number"); }
    void check(std::int64_t sent_to_page) {
        std::int64_t last = 0;
        for (const value& v : judge_->all()) {
            if (const auto n = number_of(v); n > 0) {
                ASSERT_EQ(n, last + 1) << "lost, doubled or out of order";
                last = n;
            } else if (field(v, "sent") >= 0) {
                EXPECT_EQ(field(v, "sent"), last);
                EXPECT_EQ(field(v, "got"), sent_to_page);
                reconnects_ = field(v, "reconnects");
                EXPECT_GT(last, 0);
                EXPECT_GT(sent_to_page, 0);
                return;
            }
        }
        ADD_FAILURE() << "the page has not told what it has sent and got";
    }
    std::int64_t reconnects_ = -1;
};

TEST_F(BrowserStream, AConnectionThatIsCutAHundredTimesLosesDoublesAndReordersNothing) {
    start(friendly());
    cut_proxy proxy{port_};
    stream(proxy.port(), [&] {
        proxy.cut_at_random({.seed = 17, .most = 200'000, .times = 100});
        proxy.until([](const cut_proxy::counts& c) { return c.cuts >= 100; });
    });
    EXPECT_GT(reconnects(), 10);
}

}  // namespace
}  // namespace coppice::tests
