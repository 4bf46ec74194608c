// A handler that does not return, on real threads: the node says whose it is, and a neighbour hears of it while the link is up.
// Nothing here waits for a time: for what the log says, and the handler for the test.
#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

// Lines of a node's log, and who waits for one.
class heard {
public:
    void add(std::string_view text) {
        const std::lock_guard lock{mutex_};
        lines_.emplace_back(text);
        came_.notify_all();
    }
    void wait_for(std::string_view part) {
        std::unique_lock lock{mutex_};
        came_.wait(lock, [&] { return count_locked(part) > 0; });
    }
    std::size_t count(std::string_view part) {
        const std::lock_guard lock{mutex_};
        return count_locked(part);
    }

private:
    std::size_t count_locked(std::string_view part) const {
        std::size_t n = 0;
        for (const std::string& l : lines_) n += l.find(part) != std::string::npos;
        return n;
    }
    std::mutex mutex_;
    std::condition_variable came_;
    std::vector<std::string> lines_;
};

struct block {};
using blocker_protocol = protocol<block>;

task<> blocker(actor<blocker_protocol> self, std::shared_future<void> until) {
    while (auto m = co_await self.receive()) until.wait();
}

node_options listening_to(heard& log) {
    node_options o = quiet(2);
    o.level = level::info;
    o.log_hook = [&log](level, std::string_view, std::string_view text) { log.add(text); };
    return o;
}

TEST(StuckSchedulers, OnRealThreadsAreNamedAndToldToANeighbourWhoseLinkStaysUp) {
    heard above_log;
    heard below_log;
    std::promise<void> release;
    node_options o = listening_to(above_log);
    o.network.listen = {"inproc://stuck-above"};
    node above{"above", o};
    ASSERT_TRUE(above.start(
        supervisor_spec{}.add(child("blocker", on_scheduler(1), blocker, release.get_future().share()))));
    node_options p = listening_to(below_log);
    p.network.parent = "inproc://stuck-above";
    node below{"below", p};
    ASSERT_TRUE(below.start(supervisor_spec{}));
    below_log.wait_for("linked to node above");
    play(above, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<blocker_protocol>("/above/blocker");
        REQUIRE_OR_END(found);
        EXPECT_EQ(self.send<block>(*found), errc::ok);
    });
    above_log.wait_for("scheduler 1 is stuck: the handler of /above/blocker has not returned");
    below_log.wait_for("node above says that it is stuck: 1 of its schedulers");
    EXPECT_EQ(below_log.count("is down"), 0u);
    const node_info info = below.inspect(20s);
    ASSERT_EQ(info.links.size(), 1u);
    EXPECT_EQ(info.links.front().stuck, 1u);
    EXPECT_EQ(info.links.front().state, "up");
    EXPECT_TRUE(above.inspect(10ms).schedulers.at(1).stuck || !above.inspect(10ms).schedulers.at(1).answered);
    release.set_value();
    above_log.wait_for("scheduler 1 goes on");
    below_log.wait_for("node above is not stuck any more");
    EXPECT_EQ(above_log.count("is stuck"), 1u);
}

}  // namespace
}  // namespace coppice::tests
