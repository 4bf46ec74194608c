// Pages whose connections are cut, whose gateway ends, and that go away themselves (coppice/actors/browser.hpp): what was sent
// arrives once and in order, or its sender learns that it does not. Real processes and real sockets.
#include "browser_rig.hpp"

#include <signal.h>

#include <algorithm>
#include <atomic>

#include "coppice/process.hpp"
#include "support/cut_proxy.hpp"

namespace coppice::tests {
namespace {

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

TEST_F(BrowserStream, AGatewayThatIsKilledAndStartedAgainWhileMailFlowsLosesNothing) {
    constexpr int times = 10;
    start(friendly());
    stream(port_, [&] {
        for (int i = 0; i < times; ++i) {
            until_heard(50);
            app_.kill(find("/app/web"));
        }
        until_heard(50);
    });
    EXPECT_GE(reconnects(), times);
}

TEST_F(BrowserStream, AGatewayInAProcessOfItsOwnThatIsKilledWithSigkillLosesNothing) {
    constexpr int times = 4;
    start(friendly(), in_process);
    stream(port_, [&] {
        for (int i = 0; i < times; ++i) {
            until_heard(50);
            const auto all = app_.inspect().processes;
            const auto web = std::ranges::find(all, "/app/web", &process_info::path);
            ASSERT_NE(web, all.end());
            ASSERT_EQ(::kill(static_cast<pid_t>(web->pid), SIGKILL), 0);
            // The page is back by way of another one.
        }
        until_heard(50);
    });
    EXPECT_GE(reconnects(), times);
}

TEST_F(BrowserStream, AConnectionThatIsSilentIsGivenUpAndAnotherOneGoesOn) {
    start(friendly());
    cut_proxy proxy{port_};
    const auto ann = page("silence", {"pinging"}, proxy.port());
    judge_->wait(value{"ready"});
    proxy.swallow(cut_proxy::direction::both);
    proxy.until([](const cut_proxy::counts& c) { return c.swallowed > 0; });
    ASSERT_EQ(app_.send<value>(find("/app/browsers/ann"), value{"while it was silent"}), errc::ok);
    proxy.forward();
    EXPECT_EQ(ann->wait(), 0);
}

// ---------------------------------------------------------------- pages that go away

class BrowserLosses : public browser_rig {
protected:
    void come_back_too_late(const std::vector<std::string>& words) {
        browser::host_options options = friendly();
        options.hold = 100ms;
        start(options);
        cut_proxy proxy{port_};
        const auto ann = page("expires", words, proxy.port());
        judge_->wait(value{"ready"});
        proxy.refuse(true);
        proxy.cut(cut_proxy::how::reset);
        until_none_is_left();
        proxy.refuse(false);
        EXPECT_EQ(ann->wait(), 0);
    }
};

/// What an ask of the page came to.
struct outcome {
    std::atomic<int> code{-1};
    void wait() const { code.wait(-1); }
};

task<> ask_ann(actor<anything> self, outcome* told) {
    auto ann = co_await self.resolve<anything>("/app/browsers/ann");
    auto answer = co_await self.ask<any_request>(ann.value(), 60s, value{"do you answer?"});
    told->code = static_cast<int>(answer.error().code());
    told->code.notify_all();
}
task<> watch_ann(actor<anything> self) {
    auto ann = co_await self.resolve<anything>("/app/browsers/ann");
    self.monitor(ann.value());
}

TEST_F(BrowserLosses, ASessionWhosePageStaysAwayEndsAndWhoeverWaitsForItIsTold) {
    browser::host_options options = friendly();
    options.hold = 2s;
    start(options);
    const auto ann = page("vanishes");
    judge_->wait(value{"ready"});
    const ref<> session = find("/app/browsers/ann");
    as("/app/judge", watch_ann);
    outcome had;
    as("/app/echo", [&](actor<anything> self) { return ask_ann(self, &had); });
    judge_->wait(value{"has it"});
    ann->kill();
    for (auto all = report().sessions; !all.empty() && all.front().connected; all = report().sessions) {
    }
    const std::uint64_t before = dead_letters();
    outcome never_there;
    as("/app/echo", [&](actor<anything> self) { return ask_ann(self, &never_there); });
    constexpr int letters = 20;
    for (int i = 0; i < letters; ++i) EXPECT_EQ(app_.send<value>(session, value{i}), errc::ok);
    judge_->wait(value{"down: failed"});
    had.wait();
    never_there.wait();
    EXPECT_EQ(static_cast<errc>(had.code.load()), errc::outcome_unknown);
    EXPECT_EQ(static_cast<errc>(never_there.code.load()), errc::down);
    EXPECT_EQ(app_.send<value>(session, value{"too late"}), errc::down);
    EXPECT_GE(dead_letters() - before, letters);
    until_none_is_left();
}

TEST_F(BrowserLosses, APageThatIsBackTooLateIsToldThatItsSessionIsLost) { come_back_too_late({}); }

TEST_F(BrowserLosses, APageThatWantsItBeginsAnotherSessionWhenItsOwnIsLost) {
    come_back_too_late({"renew"});
    judge_->wait(value{"back"});
}

TEST_F(BrowserLosses, AnotherConnectionWithTheTokenTakesTheSessionOver) {
    start(friendly());
    const auto both = page("takeover");
    judge_->wait(value{"second"});
    const auto all = judge_->all();
    EXPECT_EQ(std::ranges::count(all, value{"sent twice?"}), 1);
    const browser::host_report now = report();
    EXPECT_EQ(now.begun, 1u);
    EXPECT_EQ(now.resumed, 1u);
    // It is in its groups still.
    EXPECT_EQ(app_.publish<value>("news", value{"to the second"}), 1u);
    EXPECT_EQ(both->wait(), 0);
}

TEST_F(BrowserLosses, ASessionThatIsStoppedSaysSoToItsPage) {
    start(friendly());
    const auto ann = page("stopped");
    judge_->wait(value{"ready"});
    app_.stop(find("/app/browsers/ann"));
    EXPECT_EQ(ann->wait(), 0);
}

// ---------------------------------------------------------------- what is full

task<> fill(actor<anything> self, std::atomic<int>* full) {
    auto ann = co_await self.resolve<anything>("/app/browsers/ann");
    int sent = 0;
    while (self.send<value>(ann.value(), value{sent + 1}) == errc::ok) {
        ++sent;
        co_await self.yield();
    }
    *full = sent;
    full->notify_all();
}
task<> finish(actor<anything> self, int sent) {
    auto ann = co_await self.resolve<anything>("/app/browsers/ann");
    EXPECT_GT(sent, 0);
    const errc last = co_await self.send_wait<value>(ann.value(), value{"last"});
    EXPECT_EQ(last, errc::ok);
}

TEST_F(BrowserLosses, APageThatTakesNothingFillsItsMailboxAndItsSendersAreTold) {
    browser::host_options options = friendly();
    options.window = 16;
    options.mailbox = 32;
    start(options);
    const auto ann = page("lazy", {"16"});
    judge_->wait(value{"ready"});
    std::atomic<int> full{0};
    as("/app/echo", [&](actor<anything> self) { return fill(self, &full); });
    full.wait(0);
    EXPECT_GE(full, 32);
    judge_->wait(value{"full"});
    as("/app/echo", [&](actor<anything> self) { return finish(self, full); });
    EXPECT_EQ(ann->wait(), 0);
}

TEST_F(BrowserLosses, WhatAHeldUpConnectionDoesNotTakeIsRefusedAtThePageAndTheRestArrives) {
    start(friendly());
    cut_proxy proxy{port_};
    const auto sender = page("flood", {url()}, proxy.port());
    judge_->wait(value{"ready"});
    proxy.stall(cut_proxy::direction::up);
    ASSERT_EQ(app_.send<value>(find("/app/browsers/signal"), value{"go"}), errc::ok);
    judge_->wait(value{"full"});
    proxy.forward();
    EXPECT_EQ(sender->wait(), 0);
    judge_->wait(value{"behind them"});
}

}  // namespace
}  // namespace coppice::tests
