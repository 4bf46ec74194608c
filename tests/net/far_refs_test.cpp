// What is done with the ref of an actor on another node from outside an actor, and what is taken back before it has left.
// In the world, where time is virtual and a receiver can be held up for as long as the test likes.
#include <array>
#include <optional>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "coppice/transport/sim.hpp"
#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct block {
    std::uint64_t number = 0;
    std::string padding;
};
struct how_many {
    using reply = std::vector<std::uint64_t>;
};
using store_protocol = protocol<block, how_many>;

task<> store(actor<store_protocol> self) {
    std::vector<std::uint64_t> numbers;
    while (auto m = co_await self.receive())
        m.match([&](const block& b) { numbers.push_back(b.number); },
                [&](request<how_many> r) { r.reply(numbers); });
}

supervisor_spec with_store() {
    supervisor_spec spec;
    spec.add(child("store", in_coroutine, store).mailbox(4).restarts(restart::temporary));
    return spec;
}

void start_two(testing::world& world) {
    register_transport(std::make_shared<sim_network>(world.seed()));
    network_options here;  // the first, whose root is the parent of what is played
    here.parent = "sim://there?from=here";
    ASSERT_TRUE(world.start(supervisor_spec{}, "here", here));
    network_options there;
    there.listen = {"sim://there"};
    ASSERT_TRUE(world.start(with_store(), "there", there));
}

void find_store(testing::world& world, std::optional<ref<store_protocol>>& to) {
    play(
        world,
        [](actor<anything> self, std::optional<ref<store_protocol>>* place) -> task<> {
            auto found = co_await self.resolve<store_protocol>("/there/store");
            if (!found) ADD_FAILURE() << found.error().what();
            else *place = *found;
        },
        &to);
}

TEST(FarRefs, ReachTheirActorFromOutsideAsThoseOfItsOwnNodeDo) {
    for_each_seed(20, [](testing::world& world) {
        start_two(world);
        std::optional<ref<store_protocol>> to;
        find_store(world, to);
        ASSERT_TRUE(to);
        EXPECT_EQ(world.send<block>(*to, 1u, ""), errc::ok);
        EXPECT_EQ(world.send<block>(*to, 2u, ""), errc::ok);
        const auto seen = world.ask<how_many>(*to);
        ASSERT_TRUE(seen) << seen.error().what();
        EXPECT_EQ(*seen, (std::vector<std::uint64_t>{1, 2}));
        if (world.seed() % 2) world.stop(*to);
        else world.kill(*to);
        EXPECT_TRUE(world.run_until([&] { return !world.running("/there/store"); }));
    });
}

TEST(FarRefs, ASendWaitThatWasCancelledBeforeItsMailLeftSendsNothing) {
    for_each_seed(20, [](testing::world& world) {
        start_two(world);
        std::optional<ref<store_protocol>> to;
        find_store(world, to);
        ASSERT_TRUE(to);
        world.wedge("/there/store");
        std::vector<std::uint64_t> sent;
        play(
            world,
            [](actor<anything> self, ref<store_protocol> far, std::vector<std::uint64_t>* numbers) -> task<> {
                errc outcome = errc::ok;
                for (std::uint64_t n = 1; outcome == errc::ok; ++n) {
                    outcome =
                        co_await with_timeout(1s, self.send_wait<block>(far, n, std::string(8'000, 'x')));
                    if (outcome == errc::ok) numbers->push_back(n);
                }
                EXPECT_EQ(outcome, errc::timeout);
            },
            *to, &sent);
        EXPECT_GT(sent.size(), 4u);
        world.unwedge("/there/store");
        result<std::vector<std::uint64_t>> seen = errc::timeout;
        // A mailbox of four refuses an ask while what waited fills it.
        for (int i = 0; i < 1000 && (!seen || seen->size() < sent.size()); ++i) {
            world.advance(10ms);
            seen = world.ask<how_many>(*to);
        }
        world.advance(1s);  // for one too many
        seen = world.ask<how_many>(*to);
        ASSERT_TRUE(seen) << seen.error().what();
        EXPECT_EQ(*seen, sent);
    });
}

TEST(FarRefs, AStopComesBehindAllMailThatWasSentBeforeIt) {
    for_each_seed(60, [](testing::world& world) {
        start_two(world);
        std::optional<ref<store_protocol>> to;
        find_store(world, to);
        ASSERT_TRUE(to);
        world.wedge("/there/store");
        constexpr std::array<std::size_t, 3> sizes{1, 8'000, 100'000};
        play(
            world,
            [](actor<anything> self, ref<store_protocol> far, std::size_t bytes) -> task<> {
                for (std::uint64_t n = 1; n <= 30; ++n)
                    EXPECT_EQ(co_await self.send_wait<block>(far, n, std::string(bytes, 'x')), errc::ok);
                self.stop(far);
            },
            *to, sizes[world.seed() % sizes.size()]);
        world.unwedge("/there/store");
        ASSERT_TRUE(world.run_until([&] { return !world.running("/there/store"); }));
        world.advance(1s);
        EXPECT_EQ(world.inspect("there").dead_letter_count, 0u);
        EXPECT_EQ(world.inspect("here").dead_letter_count, 0u);
    });
}

}  // namespace
}  // namespace coppice::tests
