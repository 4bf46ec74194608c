// Spaces by ordinary threads, which wait in place of actors: they take turns, give up when they are told to, and share slots with
// actors. And what other languages need of guards: objects of a size that only the program that runs knows, and giving a write up.
#include <atomic>
#include <thread>
#include <vector>

#include "space_rig.hpp"

namespace coppice::tests::spaces {
namespace {

using actors::slot;
using actors::space_thread;

TEST_F(Space, ThreadsThatWaitForOneAnotherAddUpExactly) {
    constexpr int threads = 4;
    constexpr int each = slow_build ? 100 : 500;
    const auto here = space::create("studio").value();
    const slot image = here.reserve(space_thread{}, "image", 64).value();
    slot_ptr<std::uint64_t> sum;
    {
        auto page = image.write(space_thread{}, 60s).value();
        sum = page.allocate<std::uint64_t>().value();
    }
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            const space_thread me{"thread " + std::to_string(t), {}};
            const slot mine = space::open("studio").value().open_slot("image").value();
            for (int i = 0; i < each; ++i) {
                auto page = mine.write(me, 60s);
                ASSERT_TRUE(page) << page.error().what();
                ++*page->at(sum).value();
            }
        });
    for (std::thread& one : all) one.join();
    const auto page = image.read(space_thread{}, 60s).value();
    EXPECT_EQ(*page.at(sum).value(), std::uint64_t{threads * each});
}

TEST_F(Space, ThreadsReserveAndReleaseAtOnce) {
    const auto here = space::create("studio").value();
    std::vector<std::thread> all;
    for (int t = 0; t < 4; ++t)
        all.emplace_back([&, t] {
            const std::string name = "slot" + std::to_string(t);
            for (int i = 0; i < 50; ++i) {
                const auto made = here.reserve(space_thread{}, name, 100, 60s);
                ASSERT_TRUE(made) << made.error().what();
                const auto gone = here.release(space_thread{}, name, 60s);
                ASSERT_TRUE(gone) << gone.error().what();
            }
        });
    for (std::thread& one : all) one.join();
    EXPECT_TRUE(here.list().empty());
}

TEST_F(Space, AThreadThatHasToEndWaitsNoLonger) {
    const auto here = space::create("studio").value();
    const slot image = here.reserve(space_thread{}, "image", 64).value();
    auto held = image.read(space_thread{}, 0s).value();
    std::atomic<bool> over{false};
    const space_thread me{"the one that waits", [&] { return over.load(); }};
    error told;
    std::thread waits{[&] { told = image.write(me, std::chrono::nanoseconds::max()).error(); }};
    await_that([&] { return image.report().holders.size() == 2; });
    EXPECT_EQ(image.report().holders[0].who, "the one that waits");
    over = true;
    waits.join();
    EXPECT_EQ(told, errc::cancelled);
    EXPECT_THAT(told.what(), HasSubstr("slot image of space studio"));
    held.release();
    EXPECT_TRUE(image.try_write()) << "it has let go of the gate";
}

TEST_F(Space, AThreadGetsWhatAnActorHasHeldAndTheOtherWayRound) {
    const auto studio = space::create("studio").value();
    const slot image = studio.reserve(space_thread{}, "image", 64).value();
    node here{"app", quiet(1)};
    ASSERT_TRUE(here.start({}));
    play(here, [](actor<anything> self) -> task<> {
        const slot mine = space::open("studio").value().open_slot("image").value();
        for (int i = 0; i < 20; ++i) {
            auto page = (co_await mine.write(self, 60s)).value();
            std::atomic<bool> waits{false};
            std::thread other{[&] {
                waits = true;
                auto got = mine.write({"other", {}}, 60s);
                EXPECT_TRUE(got) << got.error().what();
            }};
            await_that([&] { return waits.load(); });
            page.release();
            auto again = co_await mine.write(self, 60s);
            EXPECT_TRUE(again) << again.error().what();
            if (again) again->release();
            other.join();
        }
    });
}

TEST_F(Space, AWriteThatIsGivenUpLeavesTheSlotDamaged) {
    const auto here = space::create("studio").value();
    const slot image = here.reserve(space_thread{}, "image", 64).value();
    auto page = image.write({"the careless one", {}}, 0s).value();
    page.abandon();
    EXPECT_EQ(page.capacity(), 0u) << "it has ended";
    const auto refused = image.read(space_thread{}, 60s);
    EXPECT_EQ(refused.error(), errc::bad_message);
    EXPECT_THAT(refused.error().what(), HasSubstr("the careless one"));
    EXPECT_TRUE(image.reset(space_thread{}, 60s));
    EXPECT_TRUE(image.read(space_thread{}, 0s));
}

TEST_F(Space, ObjectsOfASizeThatIsKnownLateAreThoseOfTheirType) {
    const auto here = space::create("studio").value();
    const slot image = here.reserve(space_thread{}, "image", 64).value();
    auto page = image.write(space_thread{}, 0s).value();
    static_cast<void>(page.allocate<char>().value());
    const auto late = page.allocate_objects(3, sizeof(double), alignof(double)).value();
    EXPECT_EQ(late.offset, 8u);
    EXPECT_EQ(page.objects(late, sizeof(double), alignof(double)).value().size(), 24u);
    const slot_ptr<double> typed{late.space,      late.offset,  late.count,       late.slot,
                                 late.generation, late.filling, late.object_bytes};
    *page.at(typed).value() = 2.5;
    EXPECT_EQ(page.objects(late, 0, 1).value().data(),
              reinterpret_cast<const std::byte*>(page.all(typed).value().data()));
    EXPECT_EQ(page.objects(late, 4, 4).error(), errc::bad_message);
    EXPECT_EQ(page.objects(late, sizeof(double), 3).error(), errc::invalid_argument);
    EXPECT_EQ(page.allocate_objects(1, 0, 1).error(), errc::invalid_argument);
    EXPECT_EQ(page.allocate_objects(5, sizeof(double), 8).error(), errc::limit_reached);
}

}  // namespace
}  // namespace coppice::tests::spaces
