// The pool of coppice/actors/pool.hpp: routing, restarts, resizing, back-pressure, and that no mail is lost by any of it.
// Real nodes, one or two schedulers; every wait is for a message or an answer, none for a time.
#include "coppice/actors/pool.hpp"

#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace coppice {
namespace {

using namespace std::chrono_literals;

struct add {
    std::uint64_t amount = 0;
};
struct who_are_you {
    std::string key;
    using reply = std::string;
};
struct who_asks {
    using reply = ref<>;
};
struct crash {};
struct hold {};  // the worker takes nothing more until it is let go, unless it has been already
struct let_go {
    static constexpr auto lane = coppice::lane::priority;
};
using worker_protocol = protocol<add, who_are_you, who_asks, crash, hold, let_go>;
using test_pool_protocol = actors::pool_protocol<worker_protocol>;

using total = std::shared_ptr<std::atomic<std::uint64_t>>;

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

task<> worker(actor<worker_protocol> self, total sum) {
    int early = 0;
    while (auto m = co_await self.receive()) {
        if (m.is<hold>()) {
            if (early > 0) {
                --early;
                continue;
            }
            auto go = co_await self.receive_only<let_go>();
            if (!go) co_return;
            continue;
        }
        m.match([&](const add& a) { sum->fetch_add(a.amount); },
                [&](request<who_are_you> r) { r.reply(last_part(self.path())); },
                [&](request<who_asks> r) { r.reply(r.sender()); },
                [&](const crash&) { throw std::runtime_error{"told to crash"}; }, [&](const hold&) {},
                [&](const let_go&) { ++early; });
    }
}

class pool_test : public ::testing::TestWithParam<std::uint32_t> {
protected:
    node_options quiet() const {
        node_options options;
        options.schedulers = GetParam();
        options.log_terminal = false;
        return options;
    }
    void start(actors::pool_options options, std::uint32_t worker_mailbox = 1000,
               std::uint32_t pool_mailbox = 1000) {
        supervisor_spec tree;
        tree.intensity(5, 10s).add(child("pool", in_coroutine, actors::pool<worker_protocol>, options,
                                         child("w", spread, worker, sum_).mailbox(worker_mailbox))
                                       .mailbox(pool_mailbox)
                                       .restarts(restart::transient)
                                       .significant()
                                       .awaits_ready());
        auto started = app_.start(tree);
        ASSERT_TRUE(started) << started.error().what();
        auto found = app_.resolve<test_pool_protocol>("pool");
        ASSERT_TRUE(found) << found.error().what();
        pool_ = *found;
    }
    std::string ask_name(std::string key = {}) {
        return app_.ask<who_are_you>(pool_, 60s, std::move(key)).value();
    }
    actors::pool_report status() { return app_.ask<actors::pool_status>(pool_, 60s).value(); }
    ref<worker_protocol> worker_named(const std::string& name) {
        return app_.resolve<worker_protocol>("pool/workers/" + name).value();
    }
    // Asks until it is so; the watchdog ends a test for which it never is.
    template <class F>
    actors::pool_report status_when(F is_so) {
        for (;;) {
            auto report = status();
            if (is_so(report)) return report;
        }
    }

    total sum_ = std::make_shared<std::atomic<std::uint64_t>>(0);
    node app_{"app", quiet()};
    ref<test_pool_protocol> pool_;
};

TEST_P(pool_test, round_robin_gives_each_worker_its_turn) {
    start({.workers = 3});
    std::vector<std::string> answers;
    for (int i = 0; i < 6; ++i) answers.push_back(ask_name());
    EXPECT_EQ(answers, (std::vector<std::string>{"w-1", "w-2", "w-3", "w-1", "w-2", "w-3"}));
}

task<> asker(actor<protocol<>> self, ref<test_pool_protocol> pool, std::shared_ptr<std::promise<bool>> same) {
    auto sender = co_await self.ask<who_asks>(pool);
    same->set_value(sender && *sender == static_cast<const detail::address&>(self.me()));
}

TEST_P(pool_test, a_worker_sees_the_first_sender_and_answers_it_directly) {
    start({.workers = 2});
    auto same = std::make_shared<std::promise<bool>>();
    auto keeper = app_.resolve<supervisor_protocol>("/app");
    ASSERT_TRUE(keeper);
    ASSERT_TRUE(app_.ask<start_child>(
        *keeper, 60s, child("asker", spread, asker, pool_, same).restarts(restart::temporary)));
    EXPECT_TRUE(same->get_future().get());
}

TEST_P(pool_test, least_loaded_passes_over_the_worker_that_is_held_up) {
    start({.workers = 2, .route = actors::least_loaded});
    app_.send<hold>(pool_);
    std::set<std::string> answered;
    for (int i = 0; i < 20; ++i) answered.insert(ask_name());
    EXPECT_EQ(answered, std::set<std::string>{"w-2"});
    app_.send<let_go>(worker_named("w-1"));
    status_when([](const auto& r) { return r.workers[0].unfinished == 0 && r.workers[1].unfinished == 0; });
}

actors::routing by_name() {
    return actors::by_key<worker_protocol>([](const add& a) { return a.amount; },
                                           [](const who_are_you& w) { return w.key; },
                                           [](const who_asks&) { return 0; }, [](const crash&) { return 0; },
                                           [](const hold&) { return 0; }, [](const let_go&) { return 0; });
}

TEST_P(pool_test, one_key_leads_to_one_worker_and_a_new_worker_takes_keys_only_to_itself) {
    start({.workers = 4, .route = by_name()});
    std::map<std::string, std::string> before;
    std::set<std::string> used;
    for (int i = 0; i < 200; ++i) used.insert(before[std::to_string(i)] = ask_name(std::to_string(i)));
    EXPECT_EQ(used.size(), 4u);
    for (const auto& [key, name] : before) EXPECT_EQ(ask_name(key), name) << key;

    ASSERT_EQ(app_.ask<actors::resize_pool>(pool_, 60s, 5u).value(), 5u);
    int moved = 0;
    for (const auto& [key, name] : before) {
        const auto now = ask_name(key);
        if (now == name) continue;
        ++moved;
        EXPECT_EQ(now, "w-5") << key;
    }
    EXPECT_GT(moved, 0);
    EXPECT_LT(moved, 100);
}

TEST_P(pool_test, a_worker_that_crashes_is_restarted_and_keeps_its_mail) {
    start({.workers = 2});
    app_.send<crash>(pool_);  // worker 1
    for (int i = 0; i < 100; ++i) app_.send<add>(pool_, 1u);
    auto report = status_when([&](const auto&) { return sum_->load() == 100; });
    EXPECT_EQ(ask_name().substr(0, 2), "w-");
    report = status_when([](const auto& r) { return r.workers[0].restarts == 1; });
    EXPECT_EQ(report.workers[1].restarts, 0u);
    EXPECT_EQ(report.workers[0].handed_out + report.workers[1].handed_out, report.handed_out);
}

TEST_P(pool_test, workers_that_leave_finish_what_they_have) {
    start({.workers = 4});
    for (int i = 0; i < 4; ++i) app_.send<hold>(pool_);
    for (int i = 0; i < 100; ++i) app_.send<add>(pool_, 1u);
    status_when([](const auto& r) { return r.handed_out == 104; });
    EXPECT_EQ(app_.ask<actors::resize_pool>(pool_, 60s, 1u).value(), 1u);
    EXPECT_EQ(status().workers.size(), 4u) << "they are held up, so they are still leaving";
    EXPECT_EQ(sum_->load(), 0u);
    for (const char* name : {"w-1", "w-2", "w-3", "w-4"}) app_.send<let_go>(worker_named(name));
    status_when([](const auto& r) { return r.workers.size() == 1; });
    for (int i = 0; i < 4; ++i) EXPECT_EQ(ask_name(), "w-1");  // behind the last of its own mail
    EXPECT_EQ(sum_->load(), 100u);
    EXPECT_FALSE(app_.resolve<worker_protocol>("pool/workers/w-4"));
}

TEST_P(pool_test, a_worker_that_leaves_finishes_what_it_has_also_over_a_crash) {
    start({.workers = 2});
    for (int i = 0; i < 2; ++i) app_.send<hold>(pool_);
    for (int i = 0; i < 2; ++i) app_.send<crash>(pool_);
    for (int i = 0; i < 10; ++i) app_.send<add>(pool_, 1u);
    EXPECT_EQ(app_.ask<actors::resize_pool>(pool_, 60s, 1u).value(), 1u);
    for (const char* name : {"w-1", "w-2"}) app_.send<let_go>(worker_named(name));
    status_when([](const auto& r) { return r.workers.size() == 1; });
    EXPECT_EQ(ask_name(), "w-1");
    EXPECT_EQ(sum_->load(), 10u);
}

TEST_P(pool_test, resizing_up_and_down_under_load_loses_nothing) {
    start({.workers = 1, .route = actors::least_loaded}, 8);
    std::uint64_t taken = 0;
    for (std::uint32_t round = 0; round < 30; ++round) {
        for (int i = 0; i < 50; ++i)
            if (app_.send<add>(pool_, 1u) == errc::ok) ++taken;
        ASSERT_EQ(app_.ask<actors::resize_pool>(pool_, 60s, round % 5 + 1).value(), round % 5 + 1);
    }
    status_when([&](const auto& r) { return r.workers.size() == 5 && sum_->load() == taken; });
}

TEST_P(pool_test, full_workers_make_the_pool_wait_and_its_own_bound_is_felt_by_the_senders) {
    start({.workers = 2}, 2, 3);
    for (int i = 0; i < 2; ++i) app_.send<hold>(pool_);
    status_when([](const auto& r) { return r.handed_out == 2; });
    std::uint64_t taken = 0;
    while (app_.send<add>(pool_, 1u) == errc::ok) {
        ++taken;
        status();  // the pool has looked at it
    }
    // One more in each worker besides what holds it up, one in the pool's hand, at most three in its mailbox (fewer, if
    // the question for its status took the last place).
    EXPECT_GT(taken, 2u + 1u);
    EXPECT_LE(taken, 2u + 1u + 3u);
    EXPECT_EQ(status().handed_out, 2u + 2u);
    EXPECT_EQ(sum_->load(), 0u);
    for (const char* name : {"w-1", "w-2"}) app_.send<let_go>(worker_named(name));
    status_when([&](const auto& r) { return sum_->load() == taken && r.waiting == 0; });
}

TEST_P(pool_test, a_pool_that_stops_hands_out_what_it_has_and_lets_its_workers_finish) {
    start({.workers = 2}, 4);
    std::uint64_t taken = 0;
    for (int i = 0; i < 500; ++i)
        if (app_.send<add>(pool_, 1u) == errc::ok) ++taken;
    app_.stop(pool_);
    EXPECT_TRUE(app_.wait().is_clean());
    EXPECT_EQ(sum_->load(), taken);
}

TEST_P(pool_test, sizes_out_of_range_are_refused_and_change_nothing) {
    start({.workers = 2});
    EXPECT_TRUE(app_.ask<actors::resize_pool>(pool_, 60s, 0u).error() == errc::invalid_argument);
    EXPECT_TRUE(app_.ask<actors::resize_pool>(pool_, 60s, actors::most_pool_workers + 1).error() ==
                errc::limit_reached);
    EXPECT_EQ(status().workers.size(), 2u);
}

TEST_P(pool_test, workers_over_their_intensity_end_the_pool_and_its_supervisor_starts_it_again) {
    start({.workers = 1, .restarts = 2});
    for (int i = 0; i < 3; ++i) app_.send<crash>(pool_);
    // The fourth life of the worker is in the second life of the pool: its count of restarts begins again.
    for (;;) {
        auto report = app_.ask<actors::pool_status>(pool_, 60s);
        if (report && report->handed_out < 3 && report->workers.size() == 1) break;
    }
    EXPECT_EQ(ask_name(), "w-1");
}

TEST_P(pool_test, keys_of_another_protocol_are_refused_at_the_start) {
    supervisor_spec tree;
    tree.add(child("pool", in_coroutine, actors::pool<worker_protocol>,
                   actors::pool_options{
                       .route = actors::by_key<protocol<add>>([](const add& a) { return a.amount; })},
                   child("w", in_coroutine, worker, sum_))
                 .awaits_ready());
    auto started = app_.start(tree);
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().what().find("by_key of another protocol"), std::string::npos)
        << started.error().what();
}

INSTANTIATE_TEST_SUITE_P(on, pool_test, ::testing::Values(1u, 2u), [](const auto& info) {
    return info.param == 1 ? std::string{"one_scheduler"} : std::string{"two_schedulers"};
});

}  // namespace
}  // namespace coppice
