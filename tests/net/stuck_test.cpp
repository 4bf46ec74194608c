// A handler that does not return, on real threads: the node says whose it is, and a neighbour hears of it while the link is up.
// Nothing here waits for a time: for what the log says, and the handler for the test.
#include <future>

#include "coppice/transport/builtin.hpp"
#include "support/log_lines.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct block {};
using blocker_protocol = protocol<block>;

task<> blocker(actor<blocker_protocol> self, std::shared_future<void> until) {
    while (auto m = co_await self.receive()) until.wait();
}

TEST(StuckSchedulers, OnRealThreadsAreNamedAndToldToANeighbourWhoseLinkStaysUp) {
    log_lines above_log;
    log_lines below_log;
    std::promise<void> release;
    node_options o = listening_at("inproc://stuck-above");
    above_log.listen_to(o);
    node above{"above", o};
    ASSERT_TRUE(above.start(
        supervisor_spec{}.add(child("blocker", on_scheduler(1), blocker, release.get_future().share()))));
    o = below("inproc://stuck-above");
    below_log.listen_to(o);
    node lower{"below", o};
    ASSERT_TRUE(lower.start(supervisor_spec{}));
    below_log.wait_for({"linked to node above"});
    play(above, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<blocker_protocol>("/above/blocker");
        REQUIRE_OR_END(found);
        EXPECT_EQ(self.send<block>(*found), errc::ok);
    });
    above_log.wait_for({"scheduler 1 is stuck: the handler of /above/blocker has not returned"});
    below_log.wait_for({"node above says that it is stuck: 1 of its schedulers"});
    EXPECT_EQ(below_log.count({"is down"}), 0u);
    const node_info info = lower.inspect(20s);
    ASSERT_EQ(info.links.size(), 1u);
    EXPECT_EQ(info.links.front().stuck, 1u);
    EXPECT_EQ(info.links.front().state, "up");
    EXPECT_TRUE(above.inspect(10ms).schedulers.at(1).stuck || !above.inspect(10ms).schedulers.at(1).answered);
    release.set_value();
    above_log.wait_for({"scheduler 1 goes on"});
    below_log.wait_for({"node above is not stuck any more"});
    EXPECT_EQ(above_log.count({"is stuck"}), 1u);
}

}  // namespace
}  // namespace coppice::tests
