// The end of a scheduler beside those who wake it: what they wake is gone when close() has returned, so nobody may be in it then.
#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "node_core.hpp"

namespace coppice::tests {
namespace {

// Wakes nobody, and comes back when it is told to.
struct slow_driver final : detail::driver {
    std::atomic<bool> entered{false};
    std::atomic<bool> may_leave{false};
    std::atomic<bool> left{false};
    void wake() override {
        entered = true;
        while (!may_leave) std::this_thread::yield();
        left = true;
    }
    void arm(std::int64_t) override {}
};

TEST(SchedulerClose, ReturnsWhenNobodyIsInWakeAnyMore) {
    node app{"app"};
    slow_driver drive;
    detail::scheduler sleeping{app.core(), 16};
    sleeping.drive = &drive;
    sleeping.inbox = detail::scheduler::idle_tag();
    std::atomic<bool> ran{false};
    std::thread sender{
        [&] { EXPECT_TRUE(detail::post_control(sleeping.index, [&](detail::scheduler&) { ran = true; })); }};
    while (!drive.entered) std::this_thread::yield();
    std::atomic<bool> closed{false};
    std::thread closer{[&] {
        sleeping.close();
        EXPECT_TRUE(drive.left) << "somebody is in wake()";
        closed = true;
    }};
    while (!ran) std::this_thread::yield();  // it is closed, and runs what came before
    // Time for a close() that does not wait.
    for (int i = 0; i < 10'000 && !closed; ++i) std::this_thread::yield();
    EXPECT_FALSE(closed);
    drive.may_leave = true;
    sender.join();
    closer.join();
    EXPECT_FALSE(detail::post_control(sleeping.index, [](detail::scheduler&) {}));
}

}  // namespace
}  // namespace coppice::tests
