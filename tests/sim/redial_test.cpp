// When a node dials its parent again, in virtual time: at once after a link that stood, more and more rarely where somebody
// answers and there is no link that works, and from the beginning once there was one. net/retry.hpp has the policy; here is
// what the node makes of it.
#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "net/retry.hpp"
#include "support/frame_bytes.hpp"
#include "support/hostile_link.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

// A node "leaf"; its parent is the test.
struct leaf_and_parent {
    explicit leaf_and_parent(testing::world& w) : world{w}, kind{std::make_shared<hostile_transport>()} {
        register_transport(kind);
        network_options o;
        o.parent = "hostile://top";
        EXPECT_TRUE(world.start(supervisor_spec{}, "leaf", o));
    }
    // How long until it dials.
    std::chrono::nanoseconds wait() {
        const auto before = world.now();
        world.run_until_idle();
        while (!kind->connected) world.advance(100us);
        return world.now() - before;
    }
    // The dialled connection is there; it may become a link.
    void take(bool link) {
        end = std::make_shared<wire_end>();
        std::exchange(kind->connected,
                      nullptr)(std::unique_ptr<byte_link>{std::make_unique<hostile_link>(end)});
        if (link) {
            net::hello h;
            h.node = 0x9a9e;
            h.name = "top";
            h.as = net::role::parent;
            feed(*kind, end, control_frame(h));
            feed(*kind, end, control_frame(net::welcome{}));
        }
        world.run_until_idle();
    }
    void end_it() { hang_up(*kind, end); }

    testing::world& world;
    std::shared_ptr<hostile_transport> kind;
    std::shared_ptr<wire_end> end;
};

TEST(Redial, IsAtOnceAfterALinkThatStoodAndRarerEachTimeWhereNoneStandsAndBeginsAnewWithALink) {
    for_each_seed(5, [](testing::world& world) {
        leaf_and_parent two{world};
        EXPECT_EQ(two.wait(), 0ns);
        for (int round = 0; round < 2; ++round) {
            two.take(true);
            world.advance(net::retry::stood * 2);
            two.end_it();
            EXPECT_EQ(two.wait(), 0ns) << "after a link that stood";
            // It answers, and leaves.
            net::retry::duration most = net::retry::shortest;
            for (int n = 0; n < 14; ++n) {
                two.take(false);
                two.end_it();
                const auto waited = two.wait();
                EXPECT_GE(waited, most / 2) << "refusal " << n << ", round " << round;
                EXPECT_LE(waited, most + 100us) << "refusal " << n << ", round " << round;
                most = std::min(most * 2, net::retry::longest);
            }
        }
    });
}

TEST(Redial, IsNotAtOnceAfterALinkThatWasEndedAsSoonAsItStood) {
    for_each_seed(5, [](testing::world& world) {
        leaf_and_parent two{world};
        EXPECT_EQ(two.wait(), 0ns);
        for (int n = 0; n < 20; ++n) {
            two.take(true);
            world.advance(net::retry::stood / 2);
            two.end_it();
            EXPECT_GE(two.wait(), net::retry::shortest / 2);
        }
    });
}

}  // namespace
}  // namespace coppice::tests
