// Who runs an io_context: its own thread, and guests for a while.
#include "drive_lease.hpp"

#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

namespace coppice::detail {
namespace {

using namespace std::chrono_literals;
using clock_type = drive_lease::clock;

class DriveLease : public ::testing::Test {
protected:
    DriveLease() {
        own_ = std::thread{[this] { lease_.run(); }};
    }
    ~DriveLease() override { end(); }
    void end() {
        if (!own_.joinable()) return;
        ask([this] { lease_.end(); });
        own_.join();
    }
    void ask(std::function<void()> what) {
        lease_.ask([&] {
            boost::asio::post(context_, [this, what] {
                lease_.met();
                what();
            });
        });
    }
    // Which thread runs a handler that is posted now, as I/O comes: nobody asked for it.
    std::future<std::thread::id> posted() {
        auto told = std::make_shared<std::promise<std::thread::id>>();
        boost::asio::post(context_, [told] { told->set_value(std::this_thread::get_id()); });
        return told->get_future();
    }
    bool visit() {
        return run_as_guest(lease_, clock_type::time_point::max(), [] { return true; });
    }
    void step_in() {
        while (!try_in()) {
        }
    }
    bool try_in() { return lease_.step_in() || lease_.ask_for_way(); }
    void step_in_and_out() {
        if (try_in()) lease_.step_out(false);
    }
    static clock_type::time_point far() { return clock_type::now() + 1h; }

    boost::asio::io_context context_{1};
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
    drive_lease lease_{context_};
    std::thread own_;
};

TEST_F(DriveLease, TheOwnThreadRunsItWithoutGuests) { EXPECT_EQ(posted().get(), own_.get_id()); }

TEST_F(DriveLease, AGuestRunsWhatComesWhileItIsInside) {
    ASSERT_TRUE(lease_.enter(far()));
    auto one = posted();
    lease_.run_until(far(), [&] { return one.wait_for(0s) == std::future_status::ready; });
    EXPECT_EQ(one.get(), std::this_thread::get_id());
    lease_.leave();
}

TEST_F(DriveLease, WhatComesWhenAGuestHasLeftIsRunByTheOwnThreadWithoutBeingAskedTo) {
    ASSERT_TRUE(visit());
    EXPECT_EQ(posted().get(), own_.get_id());
}

TEST_F(DriveLease, AGuestThatStayedLongWakesTheOwnThreadWhenItLeaves) {
    ASSERT_TRUE(lease_.enter(far()));
    lease_.run_until(clock_type::now() + 30 * drive_lease::moment, [] { return false; });
    lease_.leave();
    EXPECT_EQ(posted().get(), own_.get_id());
}

TEST_F(DriveLease, WhatIsAskedForBetweenTwoVisitsIsDoneAtOnceByTheOwnThread) {
    for (int i = 0; i < 1000; ++i) {
        ASSERT_TRUE(visit());
        std::promise<std::thread::id> told;
        ask([&] { told.set_value(std::this_thread::get_id()); });
        ASSERT_FALSE(lease_.enter_if_idle(drive_lease::errand::take)) << "it waits for no moment to pass";
        ASSERT_EQ(told.get_future().get(), own_.get_id());
    }
}

TEST_F(DriveLease, WhatIsAskedForWhileAGuestLeavesIsDoneByTheOwnThread) {
    ASSERT_TRUE(lease_.enter(far()));
    std::promise<std::thread::id> told;
    ask([&] { told.set_value(std::this_thread::get_id()); });
    lease_.leave();
    EXPECT_FALSE(lease_.enter_if_idle(drive_lease::errand::take)) << "it is the own thread's turn";
    EXPECT_EQ(told.get_future().get(), own_.get_id());
}

TEST_F(DriveLease, OneGuestIsInsideAndOthersAreToldSo) {
    ASSERT_TRUE(lease_.enter(far()));
    std::thread{[&] {
        EXPECT_FALSE(lease_.enter(far()));
        EXPECT_FALSE(lease_.enter_if_idle(drive_lease::errand::send));
    }}.join();
    lease_.leave();
}

TEST_F(DriveLease, ABystanderHasTheOwnThreadRunIt) {
    ASSERT_TRUE(visit());
    lease_.stand_by(true);
    EXPECT_FALSE(lease_.enter(far()));
    EXPECT_EQ(posted().get(), own_.get_id());
    lease_.stand_by(false);
    EXPECT_TRUE(visit());
}

TEST_F(DriveLease, AGuestWaitsNoLongerThanItWantsForAThreadThatIsBusy) {
    std::promise<void> goes_on;
    std::promise<void> is_busy;
    boost::asio::post(context_, [&] {
        is_busy.set_value();
        goes_on.get_future().wait();
    });
    is_busy.get_future().wait();
    EXPECT_FALSE(lease_.enter(clock_type::now() + 5ms));
    goes_on.set_value();
    EXPECT_EQ(posted().get(), own_.get_id()) << "a guest that gave up is not waited for";
    EXPECT_TRUE(visit());
}

TEST_F(DriveLease, ManySendsInARowAreLeftToTheOwnThread) {
    ASSERT_TRUE(visit());
    int turns = 0;
    while (lease_.enter_if_idle(drive_lease::errand::send)) {
        lease_.leave();
        ASSERT_LT(++turns, 1000);
    }
    ASSERT_TRUE(visit()) << "who waits again has turns again";
}

// ---------------------------------------------------------------- stepping in and out

TEST_F(DriveLease, WhoHasSteppedInIsAloneInside) {
    step_in();
    std::thread{[&] {
        EXPECT_FALSE(lease_.step_in());
        EXPECT_FALSE(lease_.enter(far()));
        EXPECT_FALSE(lease_.enter_if_idle(drive_lease::errand::take));
    }}.join();
    lease_.step_out(false);
    EXPECT_TRUE(visit());
}

TEST_F(DriveLease, WhatIsLeftByWhoStepsInAndStaysAwayIsDoneByTheOwnThread) {
    for (int i = 0; i < 5; ++i) {
        step_in();
        auto left = posted();
        lease_.step_out(false);
        ASSERT_EQ(left.get(), own_.get_id());
    }
}

TEST_F(DriveLease, TheFirstSendsAreServedAtOnceAndLaterOnesTogether) {
    ASSERT_TRUE(visit());
    int served = 0;
    int sends = 0;
    const auto send = [&] {
        if (!try_in()) return false;
        ++sends;
        boost::asio::post(context_, [&] { ++served; });
        lease_.step_out(true);
        return true;
    };
    for (int i = 0; i < 8; ++i) {
        if (!send()) break;
        EXPECT_EQ(served, sends);
    }
    // Until some wait for others: sends that follow one another at once.
    bool waited = false;
    while (!waited)
        if (send()) waited = served < sends;
    end();
    EXPECT_EQ(served, sends);
}

TEST_F(DriveLease, WhatIsAskedForIsDoneThoughAThreadStepsInAgainAndAgainAndServesNothing) {
    std::atomic<bool> ends{false};
    std::atomic<std::uint64_t> steps{0};
    std::thread stepper{[&] {
        while (!ends) {
            if (!try_in()) continue;
            ++steps;
            lease_.step_out(false);
        }
    }};
    for (int i = 0; i < 300; ++i) {
        for (const std::uint64_t before = steps; steps < before + 10;) std::this_thread::yield();
        std::promise<std::thread::id> told;
        ask([&] { told.set_value(std::this_thread::get_id()); });
        ASSERT_EQ(told.get_future().get(), own_.get_id());
    }
    ends = true;
    stepper.join();
}

// Nobody asks for it, and no step serves it: the thread has to be told to stay out.
TEST_F(DriveLease, WhatComesByItselfIsRunThoughAThreadStepsInAgainAndAgainAndServesNothing) {
    for (int i = 0; i < 20; ++i) {
        step_in();
        auto one = posted();
        lease_.step_out(false);
        while (one.wait_for(0s) != std::future_status::ready)
            if (lease_.step_in()) lease_.step_out(false);
        EXPECT_EQ(one.get(), own_.get_id());
    }
}

TEST_F(DriveLease, ABystanderIsServedThoughAThreadStepsInAgainAndAgain) {
    std::atomic<bool> ends{false};
    std::thread stepper{[&] {
        while (!ends) step_in_and_out();
    }};
    for (int i = 0; i < 100; ++i) {
        lease_.stand_by(true);
        ASSERT_EQ(posted().get(), own_.get_id());
        lease_.stand_by(false);
    }
    ends = true;
    stepper.join();
}

TEST_F(DriveLease, AGuestThatStayedLongWakesTheOwnThreadWhenItHasSteppedOut) {
    step_in();
    lease_.run_until(clock_type::now() + 30 * drive_lease::moment, [] { return false; });
    lease_.step_out(false);
    EXPECT_EQ(posted().get(), own_.get_id());
}

TEST_F(DriveLease, TheOwnThreadGivesWayWhenItIsAskedOftenEnough) {
    EXPECT_EQ(posted().get(), own_.get_id());
    step_in();
    lease_.step_out(false);
    EXPECT_EQ(posted().get(), own_.get_id()) << "and takes over again";
}

// What it asks for meanwhile is no reason to keep it out.
TEST_F(DriveLease, WhoAsksForSomethingEachTimeThatItFindsTheOwnThreadInsideGetsItsWay) {
    constexpr int rounds = 30;
    constexpr int sends = 1000;
    int missed = 0;
    for (int i = 0; i < rounds; ++i) {
        EXPECT_EQ(posted().get(), own_.get_id());
        for (int sent = 0; sent < sends;) {
            if (try_in()) {
                lease_.step_out(true);
                ++sent;
            } else {
                ask([] {});
                ++missed;
            }
        }
    }
    EXPECT_GT(missed, 0);
}

TEST_F(DriveLease, NobodyStepsInWhenItIsOver) {
    ASSERT_TRUE(visit());
    end();
    EXPECT_FALSE(lease_.step_in());
    for (int i = 0; i < 1000; ++i) EXPECT_FALSE(lease_.ask_for_way());
}

TEST_F(DriveLease, AnInterruptMakesAGuestLookAgain) {
    std::atomic<bool> done{false};
    std::atomic<bool> inside{false};
    std::thread guest{[&] {
        run_as_guest(lease_, far(), [&] {
            inside = true;
            inside.notify_all();
            return done.load();
        });
    }};
    inside.wait(false);
    done = true;
    lease_.interrupt();
    guest.join();
}

TEST_F(DriveLease, EndsWhileAGuestIsInside) {
    std::promise<void> inside;
    std::thread guest{[&] {
        ASSERT_TRUE(lease_.enter(far()));
        inside.set_value();
        lease_.run_until(far(), [] { return false; });
        lease_.leave();
        EXPECT_FALSE(lease_.enter(far()));
    }};
    inside.get_future().wait();
    end();
    guest.join();
    EXPECT_FALSE(lease_.enter(far()));
    lease_.interrupt();
}

// Handlers add to what is no atomic, each looks whether it is alone, and nothing that is posted is left out.
TEST_F(DriveLease, HandlersRunOneAtATimeWhoeverRunsThem) {
    constexpr int rounds = 2000;
    constexpr int threads = 4;
    std::atomic<int> inside{0};
    std::uint64_t sum = 0;
    std::atomic<std::uint64_t> stepped{0};
    const auto work = [&] {
        EXPECT_EQ(inside.fetch_add(1), 0);
        ++sum;
        inside.fetch_sub(1);
    };
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            for (int i = 0; i < rounds; ++i) {
                boost::asio::post(context_, work);
                switch ((i + t) % 5) {
                case 4:
                    if (!try_in()) break;
                    work();
                    ++stepped;
                    lease_.step_out(i % 2 == 0);
                    break;
                case 0: {
                    int left = 3;
                    run_as_guest(lease_, clock_type::now() + 100us, [&] { return --left < 0; });
                    break;
                }
                case 1: {
                    const guest_turn turn{&lease_, drive_lease::errand::take};
                    boost::asio::post(context_, work);
                    break;
                }
                case 2: ask(work); break;
                case 3:
                    lease_.stand_by(true);
                    lease_.interrupt();
                    lease_.stand_by(false);
                    break;
                default: break;
                }
            }
        });
    for (std::thread& one : all) one.join();
    posted().wait();  // behind all
    end();
    EXPECT_EQ(sum, static_cast<std::uint64_t>(threads) * (rounds + 2 * rounds / 5) + stepped);
}

}  // namespace
}  // namespace coppice::detail
