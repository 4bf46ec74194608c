// A scheduler that polls, and always finds something: the rest of what it has to serve is served all the same.
#include <atomic>

#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include "coppice/await.hpp"
#include "coppice/coppice.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct ball {};
using player = protocol<ball>;

std::atomic<bool> over{false};

// Two of them keep one another's schedulers busy: each always finds the ball before it has polled for long.
task<> second_player(actor<player> self) {
    while (auto m = co_await self.receive()) self.send<ball>(m.sender().assume<player>());
}
task<> first_player(actor<player> self) {
    auto other = co_await self.start(child("second", on_scheduler(1), &second_player));
    REQUIRE_OR_END(other);
    const auto to = other->assume<player>();
    while (!over) {
        self.send<ball>(to);
        if (!co_await self.receive()) co_return;
    }
}

// On the first one's scheduler.
task<> onlooker(actor<protocol<>> self) {
    for (int i = 0; i < 20; ++i) {
        co_await self.sleep(1ms);
        boost::asio::steady_timer timer{io_context_of(self), 1ms};
        co_await timer.async_wait(await);
    }
    over = true;
}

TEST(Polling, ServesTimersAndIoWhileItAlwaysFindsMail) {
    over = false;
    node_options chosen = quiet(2);
    chosen.poll = 100us;
    node n{"app", chosen};
    supervisor_spec tree;
    tree.add(child("player", on_scheduler(0), &first_player).restarts(restart::temporary));
    tree.add(child("onlooker", on_scheduler(0), &onlooker).restarts(restart::temporary).significant());
    ASSERT_TRUE(n.start(std::move(tree)));
    const exit_reason end = n.wait();
    EXPECT_TRUE(end.is_clean()) << end.to_string();
    EXPECT_TRUE(over);
}

}  // namespace
}  // namespace coppice::tests
