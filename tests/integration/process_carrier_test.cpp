// Actors in processes of their own, of this same program: they live, answer, end and are restarted as any others do.
// Real processes, real time; each test counts what it leaves behind (support/leftovers.hpp).
#include <signal.h>

#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/process.hpp"
#include "support/play.hpp"

namespace coppice::tests {

namespace {

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
struct which_process {
    using reply = std::uint32_t;
};
struct where {
    using reply = std::string;
};
using counter_protocol = protocol<add, get, which_process, where>;

task<> counter(actor<counter_protocol> self, std::uint64_t value) {
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { value += a.amount; }, [&](request<get> r) { r.reply(value); },
                [&](request<which_process> r) { r.reply(static_cast<std::uint32_t>(::getpid())); },
                [&](request<where> r) { r.reply(self.path()); });
}

class InProcess : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Over, InProcess, ::testing::Values("unix", "shm", "pipe", "tcp"),
                         [](const auto& tested) { return tested.param; });

TEST_P(InProcess, RunAnActorAsAnyOtherIsRun) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(
        n,
        [](actor<anything> self, std::string over) -> task<> {
            auto made =
                co_await self.start(child("counter", in_process.over(over), counter, std::uint64_t{7}));
            EXPECT_TRUE(made) << made.error().what();
            if (!made) co_return;
            const ref<counter_protocol> c{*made};
            EXPECT_EQ(self.send<add>(c, 5u), errc::ok);
            const auto sum = co_await self.ask<get>(c, 10s);
            EXPECT_TRUE(sum) << sum.error().what();
            if (sum) EXPECT_EQ(*sum, 12u);
            const auto pid = co_await self.ask<which_process>(c, 10s);
            EXPECT_TRUE(pid && *pid != static_cast<std::uint32_t>(::getpid()));
            const auto path = co_await self.ask<where>(c, 10s);
            EXPECT_TRUE(path && *path == self.path() + "/counter") << *path;
        },
        GetParam());
}

}  // namespace

}  // namespace coppice::tests
