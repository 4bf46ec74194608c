// A lookup from another node comes while the tree still starts, as it does when a service and its clients are started together: it
// is answered when the actor is there, or with not_found once the tree has started. On virtual time.
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "coppice/transport/sim.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct answer {
    errc code = errc::ok;
    std::chrono::nanoseconds at{};
};
using answers = std::shared_ptr<std::map<std::string, answer>>;

task<> pupil(actor<anything> self, std::string path, answers all, const testing::world* world) {
    auto found = co_await self.resolve<anything>("sim://school#" + path);
    (*all)[path] = {found.error().code(), world->now().time_since_epoch()};
}

// Is ready after a second, or does not start then.
task<> slow(actor<anything> self, bool well) {
    co_await self.sleep(1s);
    if (!well) co_return self.fail("no room");
    self.ready();
    while (co_await self.receive()) {
    }
}
task<> quick(actor<anything> self) {
    while (co_await self.receive()) {
    }
}

class LookupWhileTheTreeStarts : public ::testing::Test {
protected:
    // Lookups of all of them, and then a tree that starts for two seconds.
    answers play(testing::world& world, bool well) {
        register_transport(std::make_shared<sim_network>(world.seed()));
        auto all = std::make_shared<std::map<std::string, answer>>();
        supervisor_spec pupils;
        for (const char* path : {"/school/first", "/school/late", "/school/last", "/school/nobody"})
            pupils.add(child(std::string{"of_"} + (path + 8), in_coroutine, pupil, path, all, &world)
                           .restarts(restart::temporary));
        network_options home;
        EXPECT_TRUE(world.start(std::move(pupils), "home", home));

        begun = world.now().time_since_epoch();
        supervisor_spec tree;
        tree.add(child("first", in_coroutine, slow, true).awaits_ready());
        tree.add(child("late", in_coroutine, quick));
        tree.add(child("second", in_coroutine, slow, well).awaits_ready());
        tree.add(child("last", in_coroutine, quick));
        network_options school;
        school.listen = {"sim://school"};
        EXPECT_EQ(static_cast<bool>(world.start(std::move(tree), "school", school)), well);
        world.advance(1s);
        return all;
    }
    std::chrono::nanoseconds begun{};
};

TEST_F(LookupWhileTheTreeStarts, IsAnsweredWhenTheActorIsThereAndOtherwiseWhenTheTreeHasStarted) {
    for_each_seed(20, [&](testing::world& world) {
        answers all = play(world, true);
        EXPECT_EQ(all->size(), 4u);
        const auto after = [&](const char* path) { return (*all)[path].at - begun; };
        for (const char* path : {"/school/first", "/school/late", "/school/last"})
            EXPECT_EQ((*all)[path].code, errc::ok) << path;
        EXPECT_EQ((*all)["/school/nobody"].code, errc::not_found);
        EXPECT_LT(after("/school/first"), 1s) << "it is there before it is ready";
        EXPECT_GE(after("/school/late"), 1s);
        EXPECT_LT(after("/school/late"), 2s) << "the rest of the tree is not waited for";
        EXPECT_GE(after("/school/last"), 2s);
        EXPECT_GE(after("/school/nobody"), 2s);
        EXPECT_LT(after("/school/nobody"), 3s);
    });
}

TEST_F(LookupWhileTheTreeStarts, IsAnsweredAlsoWhereItDoesNotStart) {
    for_each_seed(20, [&](testing::world& world) {
        answers all = play(world, false);
        EXPECT_EQ((*all)["/school/late"].code, errc::ok);
        for (const char* path : {"/school/last", "/school/nobody"})
            EXPECT_TRUE((*all)[path].code == errc::not_found) << to_string((*all)[path].code);
    });
}

}  // namespace
}  // namespace coppice::tests
