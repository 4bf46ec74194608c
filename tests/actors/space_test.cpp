// A space in one process: slots, arenas, pointers, limits, locks between its actors, and the actor that owns one. What
// happens between processes is in space_processes_test.cpp.
#include <fcntl.h>

#include <algorithm>
#include <numeric>

#include "coppice/testing/world.hpp"
#include "space_rig.hpp"

namespace coppice::tests::spaces {
namespace {

using actors::slot;
using actors::space_options;

static_assert(has_wire_form<slot_ptr<double>> && has_wire_form<slot_report> &&
                  has_wire_form<actors::slot_damaged> && has_wire_form<actors::watch_slots> &&
                  has_wire_form<actors::reserve_slot> && has_wire_form<actors::space_options>,
              "what the keeper is told, and tells, goes between processes");

space make(const std::string& name = "studio", const space_options& options = {}) {
    auto made = space::create(name, options);
    if (!made) throw std::runtime_error{made.error().what()};
    return *std::move(made);
}

template <class F, class... A>
void play_here(F script, A... arguments) {
    node here{"app", quiet(1)};
    ASSERT_TRUE(here.start({}));
    play(here, script, arguments...);
}

// With a slot of 100 bytes.
template <class F>
void play_with_a_slot(F script) {
    const space here = make();
    play_here(script, std::make_shared<slot>(here.try_reserve("image", 100).value()));
}

// ---------------------------------------------------------------- slots and arenas

TEST_F(Space, W16_TenThousandReservationsAndReleasesLeaveNothingBehindInTheSlot) {
    const memory_directory memory;
    space here = make("studio", {.directory = memory.path()});
    slot_ptr<std::uint32_t> last;
    for (std::uint32_t i = 0; i < (slow_build ? 1'000u : 10'000u); ++i) {
        auto made = here.try_reserve("image", 1 + i % 5000);
        ASSERT_TRUE(made) << i << ": " << made.error().what();
        auto page = made->try_write();
        ASSERT_TRUE(page) << page.error().what();
        ASSERT_EQ(page->capacity(), 1 + i % 5000);
        ASSERT_EQ(page->used(), 0u);
        if (last) ASSERT_EQ(page->all(last).error(), errc::not_found);
        if (page->capacity() >= 4) {
            const auto number = page->allocate<std::uint32_t>();
            ASSERT_TRUE(number);
            ASSERT_EQ(number->offset, 0u);
            ASSERT_EQ(*page->at(*number).value(), 0u);  // nothing of the one before
            *page->at(*number).value() = ~0u;
            last = *number;
        }
        page->release();
        ASSERT_TRUE(here.try_release("image"));
    }
    EXPECT_TRUE(here.list().empty());
    EXPECT_THAT(memory.files("studio.space"), ::testing::ElementsAre("control"));
}

TEST_F(Space, W16_The65thSlotIsLikeThe64thAndTheOneAboveTheLimitIsATypedError) {
    space here = make("studio", {.slots = 200});
    std::vector<slot> all;
    for (int i = 0; i < 200; ++i) {
        auto made = here.try_reserve("slot" + std::to_string(i), 100);
        ASSERT_TRUE(made) << i << ": " << made.error().what();
        auto page = made->try_write();
        *page->at(*page->allocate<int>()).value() = i;
        all.push_back(*made);
    }
    const auto one_more = here.try_reserve("more", 100);
    EXPECT_EQ(one_more.error(), errc::limit_reached);
    EXPECT_THAT(one_more.error().what(), HasSubstr("all 200 slots of space studio are in use"));
    for (int i = 0; i < 200; ++i) {
        auto seen = all[static_cast<std::size_t>(i)].try_read();
        ASSERT_TRUE(seen);
        EXPECT_EQ(seen->used(), sizeof(int));
    }
    EXPECT_TRUE(here.try_release("slot64"));
    EXPECT_TRUE(here.try_reserve("more", 100));
    EXPECT_EQ(here.list().size(), 200u);
}

TEST_F(Space, W16_TheMemoryThatOneWhoWasKilledWithinAReleaseLeavesGoesWithTheNextSlotOfItsPlace) {
    const memory_directory memory;
    space here = make("studio", {.directory = memory.path()});
    ASSERT_TRUE(here.try_reserve("image", 100));
    const std::string file = memory.path() + "/studio.space/slot-0-1";
    const std::string kept = memory.path() + "/kept";
    std::filesystem::create_hard_link(file, kept);
    ASSERT_TRUE(here.try_release("image"));
    std::filesystem::rename(kept, file);  // its place is free, and its file is there
    ASSERT_TRUE(here.try_reserve("image", 100));
    EXPECT_THAT(memory.files("studio.space"), ::testing::UnorderedElementsAre("control", "slot-0-2"));
}

TEST_F(Space, W17_ASlotIsFilledToItsLastByteInOnePieceAndInMany) {
    space here = make();
    for (const std::uint64_t bytes : {std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{4096},
                                      std::uint64_t{65'537}, std::uint64_t{3} << 20}) {
        auto made = here.try_reserve("full", bytes);
        ASSERT_TRUE(made) << made.error().what();
        auto page = made->try_write();
        auto whole = page->allocate<unsigned char>(bytes);
        ASSERT_TRUE(whole) << whole.error().what();
        const auto all = page->all(*whole).value();
        std::fill(all.begin(), all.end(), static_cast<unsigned char>(0xa5));
        const auto more = page->allocate<unsigned char>();
        EXPECT_EQ(more.error(), errc::limit_reached);
        EXPECT_THAT(more.error().what(),
                    HasSubstr("0 of the slot's " + std::to_string(bytes) + " bytes are left"));
        page->clear();
        for (std::uint64_t i = 0; i < std::min<std::uint64_t>(bytes, 10'000); ++i)
            ASSERT_EQ(page->allocate<unsigned char>()->offset, i);
        EXPECT_TRUE(bytes <= 10'000 ? !page->allocate<char>() : !!page->allocate<char>(bytes - 10'000));
        EXPECT_EQ(page->used(), bytes);
        page->release();
        EXPECT_EQ(made->try_read()->used(), bytes);
        EXPECT_TRUE(here.try_release("full"));
    }
}

TEST_F(Space, GivesObjectsTheirAlignmentAndNeverMoreThanThereIs) {
    space here = make();
    auto made = here.try_reserve("mixed", 64);
    auto page = made->try_write();
    EXPECT_EQ(page->allocate<char>(3)->offset, 0u);
    EXPECT_EQ(page->allocate<double>()->offset, 8u);
    EXPECT_EQ(page->allocate<double>(7).error(), errc::limit_reached);
    EXPECT_EQ(page->allocate<double>(std::uint64_t{1} << 61).error(), errc::limit_reached);  // times 8 is 0
    EXPECT_EQ(page->allocate<char>(0).error(), errc::invalid_argument);
    EXPECT_EQ(page->allocate<double>(6)->offset, 16u);
    EXPECT_EQ(page->used(), 64u);
}

struct pair_of_numbers {
    std::uint32_t a = 0, b = 0;
};

TEST_F(Space, RefusesEveryPointerThatLeadsElsewhereWithTheReason) {
    space here = make();
    auto image = here.try_reserve("image", 1000).value();
    auto other = here.try_reserve("other", 1000).value();
    slot_ptr<pair_of_numbers> good;
    {
        auto page = image.try_write();
        good = page->allocate<pair_of_numbers>(10).value();
        EXPECT_EQ(page->all(good)->size(), 10u);
    }
    {
        auto seen = image.try_read();
        EXPECT_EQ(seen->all(good)->size(), 10u);
        EXPECT_EQ(seen->all(slot_ptr<int>{}).error(), errc::invalid_argument);
        auto far = good;
        far.offset = 8;  // one object too far
        EXPECT_EQ(seen->all(far).error(), errc::bad_message);
        far = good, far.offset = ~std::uint64_t{7};
        EXPECT_EQ(seen->all(far).error(), errc::bad_message);
        far = good, far.count = std::uint64_t{1} << 61;
        EXPECT_EQ(seen->all(far).error(), errc::bad_message);
        far = good, far.count = 1, far.offset = 2;  // not aligned
        EXPECT_EQ(seen->all(far).error(), errc::bad_message);
        far = good, far.object_bytes = 4;
        EXPECT_EQ(seen->all(far).error(), errc::bad_message);
        far = good, far.count = 0;
        EXPECT_EQ(seen->at(far).error(), errc::bad_message);
        far = good, far.space ^= 1;
        EXPECT_EQ(seen->all(far).error(), errc::invalid_argument);
        EXPECT_EQ(other.try_read()->all(good).error(), errc::invalid_argument);
    }
    image.try_write()->clear();
    EXPECT_EQ(image.try_read()->all(good).error(), errc::not_found);
    EXPECT_TRUE(here.try_release("image"));
    EXPECT_EQ(image.try_read().error(), errc::not_found);
    auto again = here.try_reserve("image", 1000).value();
    EXPECT_EQ(again.try_read()->all(good).error(), errc::not_found);
}

TEST_F(Space, KeepsTheMemoryOfAGuardThatIsHeldWhenItsSlotIsReleased) {
    space here = make();
    auto image = here.try_reserve("image", 100).value();
    auto page = image.try_write();
    const auto number = page->allocate<int>().value();
    *page->at(number).value() = 7;
    EXPECT_TRUE(here.try_release("image"));
    EXPECT_EQ(*page->at(number).value(), 7);
    EXPECT_EQ(here.open_slot("image").error(), errc::not_found);
    EXPECT_TRUE(here.try_reserve("image", 100));
}

TEST_F(Space, RefusesNamesAndSizesOutOfItsLimits) {
    space here = make("studio", {.slot_bytes = 1 << 20, .total_bytes = 3 << 20});
    EXPECT_EQ(here.try_reserve("", 1).error(), errc::bad_name);
    EXPECT_EQ(here.try_reserve("a/b", 1).error(), errc::bad_name);
    EXPECT_EQ(here.try_reserve("..", 1).error(), errc::bad_name);
    EXPECT_EQ(here.try_reserve(std::string(65, 'x'), 1).error(), errc::bad_name);
    EXPECT_TRUE(here.try_reserve(std::string(64, 'x'), 1));
    EXPECT_TRUE(here.open_slot(std::string(64, 'x')));
    EXPECT_EQ(here.try_reserve("a", 0).error(), errc::invalid_argument);
    EXPECT_EQ(here.try_reserve("a", (1 << 20) + 1).error(), errc::too_large);
    EXPECT_TRUE(here.try_reserve("a", 1 << 20));
    EXPECT_EQ(here.try_reserve("a", 1).error(), errc::name_taken);
    EXPECT_TRUE(here.try_reserve("b", 1 << 20));
    EXPECT_EQ(here.try_reserve("c", 1 << 20).error(), errc::limit_reached);
    EXPECT_TRUE(here.try_reserve("c", (1 << 20) - 1)) << "to the last byte";
    EXPECT_EQ(here.try_reserve("d", 1).error(), errc::limit_reached);
    EXPECT_EQ(here.try_release("d").error(), errc::not_found);
    EXPECT_EQ(space::create("no/name").error(), errc::bad_name);
    EXPECT_EQ(space::create("none", {.slots = 0}).error(), errc::invalid_argument);
    EXPECT_EQ(space::create("none", {.slots = actors::most_slots + 1}).error(), errc::invalid_argument);
    EXPECT_EQ(space::create("none", {.directory = "relative"}).error(), errc::invalid_argument);
    EXPECT_EQ(space::open("none").error(), errc::not_found);
}

TEST_F(Space, EndsWithItsOwnerAndLeavesNoName) {
    std::optional<space> owner{make()};
    std::optional<space> copy{*owner};
    auto opened = space::open("studio").value();
    auto image = owner->try_reserve("image", 100).value();
    EXPECT_EQ(space::create("studio").error(), errc::name_taken);
    owner.reset();
    EXPECT_TRUE(opened.open_slot("image")) << "a copy of the owner's lives";
    copy.reset();
    EXPECT_EQ(opened.open_slot("image").error(), errc::closed);
    EXPECT_EQ(opened.try_reserve("more", 1).error(), errc::closed);
    EXPECT_EQ(space::open("studio").error(), errc::not_found);
    EXPECT_FALSE(std::filesystem::exists(path_of("studio")));
}

TEST_F(Space, LiesInSharedMemoryIfNothingElseIsSaidAndLeavesNoNameThere) {
    ::unsetenv("COPPICE_RUN_DIR");  // put back by the next fixture
    const std::string name = "test-" + std::to_string(::getpid());
    const std::string path = "/dev/shm/coppice-" + std::to_string(::geteuid()) + "/" + name + ".space";
    {
        space here = make(name);
        auto image = here.try_reserve("image", 1 << 20).value();
        EXPECT_TRUE(std::filesystem::exists(path + "/control"));
        EXPECT_TRUE(space::open(name).value().open_slot("image"));
    }
    EXPECT_FALSE(std::filesystem::exists(path));
}

// ---------------------------------------------------------------- the lock between actors

struct take_it {
    bool write = false;
    using reply = void;
};
struct let_it_go {
    using reply = void;
};
struct are_you_there {
    using reply = bool;
};
using holder_protocol = protocol<take_it, let_it_go, are_you_there>;

// Holds its slot from one request to the other.
task<> holder(actor<holder_protocol> self, std::shared_ptr<slot> of) {
    std::optional<actors::read_guard> reads;
    std::optional<actors::write_guard> writes;
    while (auto m = co_await self.receive()) {
        if (auto r = m.take<take_it>()) {
            if (r->write) writes.emplace((co_await of->write(self, 60s)).value());
            else reads.emplace((co_await of->read(self, 60s)).value());
            r.reply();
            continue;
        }
        m.match([](request<take_it>) {},
                [&](request<let_it_go> r) {
                    reads.reset();
                    writes.reset();
                    r.reply();
                },
                [](request<are_you_there> r) { r.reply(true); });
    }
}

task<ref<holder_protocol>> start_holder(actor<anything> self, std::shared_ptr<slot> of, std::string name) {
    auto made = co_await self.start(child(name, in_coroutine, holder, of));
    co_return ref<holder_protocol>{made.value()};
}

TEST_F(Space, HasManyReadersOrOneWriterAlsoAmongActorsOfOneScheduler) {
    play_with_a_slot([](actor<anything> self, std::shared_ptr<slot> of) -> task<> {
        const auto a = co_await start_holder(self, of, "a");
        const auto b = co_await start_holder(self, of, "b");
        const auto one = co_await self.ask<take_it>(a, 60s, false);
        const auto two = co_await self.ask<take_it>(b, 60s, false);
        EXPECT_TRUE(one && two);
        const auto third = co_await of->read(self, 60s);
        EXPECT_TRUE(third);
        EXPECT_EQ(of->report().holders.size(), 3u);
        const auto before = std::chrono::steady_clock::now();
        const auto refused = co_await of->write(self, 20ms);
        EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
        EXPECT_EQ(refused.error(), errc::timeout);
        EXPECT_THAT(refused.error().what(), HasSubstr("read by " + self.path() + "/a["));
        EXPECT_THAT(refused.error().what(), HasSubstr("read by " + self.path() + "/b["));
    });
}

TEST_F(Space, WakesWhoWaitsWhenAGuardEndsAndHoldsUpNobodyElseOfTheSchedulerMeanwhile) {
    play_with_a_slot([](actor<anything> self, std::shared_ptr<slot> of) -> task<> {
        const auto a = co_await start_holder(self, of, "a");
        const auto b = co_await start_holder(self, of, "b");
        const auto c = co_await start_holder(self, of, "c");
        for (int round = 0; round < 50; ++round) {
            const auto taken = co_await self.ask<take_it>(a, 60s, true);
            EXPECT_TRUE(taken);
            EXPECT_EQ(of->try_read().error(), errc::timeout);
            self.send<take_it>(b, round % 2 == 0);  // b waits, on this very scheduler
            const auto there = co_await self.ask<are_you_there>(c, 60s);
            EXPECT_TRUE(there);
            const auto freed = co_await self.ask<let_it_go>(a, 60s);
            EXPECT_TRUE(freed);
            const auto got = co_await self.ask<let_it_go>(b, 60s);  // it comes to that when it had the slot
            EXPECT_TRUE(got) << got.error().what();
        }
        EXPECT_EQ(of->report().writes, 75u);
    });
}

TEST_F(Space, LetsNoNewReaderPassAWriterThatWaits) {
    play_with_a_slot([](actor<anything> self, std::shared_ptr<slot> of) -> task<> {
        const auto reader = co_await start_holder(self, of, "reader");
        const auto writer = co_await start_holder(self, of, "writer");
        const auto reads = co_await self.ask<take_it>(reader, 60s, false);
        EXPECT_TRUE(reads);
        self.send<take_it>(writer, true);
        const auto waits = [&] {
            for (const auto& h : of->report().holders)
                if (h.use == actors::slot_use::waiting_to_write) return true;
            return false;
        };
        while (!waits()) co_await self.sleep(1ms);
        const auto late = co_await of->read(self, 20ms);
        EXPECT_EQ(late.error(), errc::timeout);
        EXPECT_THAT(late.error().what(), HasSubstr("waited for by the writer " + self.path() + "/writer["));
        const auto freed = co_await self.ask<let_it_go>(reader, 60s);
        EXPECT_TRUE(freed);
        const auto written = co_await self.ask<let_it_go>(writer, 60s);
        EXPECT_TRUE(written);
        EXPECT_EQ(of->report().writes, 1u);
        const auto at_last = co_await of->read(self, 60s);
        EXPECT_TRUE(at_last);
    });
}

task<> writes_and_throws(actor<protocol<>> self, std::shared_ptr<slot> of) {
    auto page = (co_await of->write(self, 60s)).value();
    *page.at(*page.allocate<int>()).value() = 13;
    throw std::runtime_error{"out of ink"};
}
task<> writes_for_ever(actor<protocol<>> self, std::shared_ptr<slot> of) {
    auto page = (co_await of->write(self, 60s)).value();
    *page.at(*page.allocate<int>()).value() = 13;
    co_await self.sleep(1h);
}

TEST_F(Space, IsDamagedByAWriterThatEndsByAnExceptionOrIsKilledAndWholeAgainByRepairOrReset) {
    play_with_a_slot([](actor<anything> self, std::shared_ptr<slot> of) -> task<> {
        slot_ptr<int> kept;
        {
            auto page = co_await of->write(self, 60s);
            kept = page->allocate<int>().value();
            *page->at(kept).value() = 1;
        }
        static_cast<void>(co_await self.start(child("clumsy", in_coroutine, writes_and_throws, of)));
        while (!of->report().damaged) co_await self.sleep(1ms);
        EXPECT_EQ(of->report().damaged_by.who, self.path() + "/clumsy");
        const auto unread = co_await of->read(self, 60s);
        EXPECT_EQ(unread.error(), errc::bad_message);
        EXPECT_THAT(unread.error().what(), HasSubstr(self.path() + "/clumsy["));
        const auto unwritten = co_await of->write(self, 60s);
        EXPECT_EQ(unwritten.error(), errc::bad_message);
        {
            auto page = co_await of->repair(self, 60s);
            REQUIRE_OR_END(page);
            EXPECT_TRUE(page->was_damaged());
            EXPECT_EQ(*page->at(kept).value(), 1);
            EXPECT_EQ(page->used(), sizeof(int)) << "what was allocated and not published is gone";
        }
        EXPECT_TRUE(of->try_read());

        const auto doomed = co_await self.start(child("doomed", in_coroutine, writes_for_ever, of));
        while (of->report().holders.empty()) co_await self.sleep(1ms);
        EXPECT_EQ(of->try_write().error(), errc::timeout);
        self.kill(*doomed);
        while (!of->report().damaged) co_await self.sleep(1ms);
        const auto reset = co_await of->reset(self, 60s);
        EXPECT_TRUE(reset);
        auto seen = co_await of->read(self, 60s);
        REQUIRE_OR_END(seen);
        EXPECT_EQ(seen->used(), 0u);
        EXPECT_EQ(seen->at(kept).error(), errc::not_found);
    });
}

TEST_F(Space, FreesWhatIsWaitedForWhenTheWaiterIsKilled) {
    play_with_a_slot([](actor<anything> self, std::shared_ptr<slot> of) -> task<> {
        auto reads = co_await of->read(self, 60s);
        const auto doomed = co_await self.start(child("doomed", in_coroutine, writes_for_ever, of));
        while (of->report().holders.size() < 2) co_await self.sleep(1ms);
        EXPECT_EQ(of->try_read().error(), errc::timeout) << "a writer waits";
        self.kill(*doomed);
        const auto second = co_await of->read(self, 60s);
        EXPECT_TRUE(second) << second.error().what();
        EXPECT_FALSE(of->report().damaged);
    });
}

TEST_F(Space, HasMoreReadersThanItNames) {
    space here = make();
    auto image = here.try_reserve("image", 100).value();
    std::vector<actors::read_guard> all;
    for (int i = 0; i < 100; ++i) all.push_back(image.try_read().value());
    EXPECT_EQ(image.report().holders.size(), 24u);
    EXPECT_EQ(image.try_write().error(), errc::timeout);
    all.clear();
    EXPECT_TRUE(image.report().holders.empty());
    EXPECT_TRUE(image.try_write());
}

// As a process does that is stopped in the middle of a reservation.
TEST_F(Space, WaitsForItsTableNoLongerThanItIsToldAndGoesOnWhenThatIsFree) {
    space here = make();
    const int table = ::open((path_of("studio") + "/control").c_str(), O_RDWR | O_CLOEXEC);
    struct flock second_byte{};
    second_byte.l_type = F_WRLCK;
    second_byte.l_start = 1;
    second_byte.l_len = 1;
    ASSERT_EQ(::fcntl(table, F_OFD_SETLK, &second_byte), 0);
    EXPECT_EQ(here.try_reserve("image", 100).error(), errc::timeout);
    EXPECT_EQ(here.try_release("image").error(), errc::timeout);
    play_here(
        [](actor<anything> self, space in, int held) -> task<> {
            const auto before = std::chrono::steady_clock::now();
            const auto late = co_await in.reserve(self, "image", 100, 20ms);
            EXPECT_EQ(late.error(), errc::timeout);
            EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
            auto waits = self.spawn_task([](actor<anything> s, space of) -> task<errc> {
                const auto made = co_await of.reserve(s, "image", 100, 10min);
                co_return made.error().code();
            }(self, in));
            co_await self.yield();
            ::close(held);
            EXPECT_EQ(co_await waits.join(), errc::ok);
        },
        here, table);
}

TEST_F(Space, WaitsOnVirtualTimeInAWorld) {
    space here = make();
    auto image = std::make_shared<slot>(here.try_reserve("image", 100).value());
    testing::world world{1};
    ASSERT_TRUE(world.start({}));
    play(
        world,
        [](actor<anything> self, std::shared_ptr<slot> of, space in) -> task<> {
            const auto a = co_await start_holder(self, of, "a");
            const auto taken = co_await self.ask<take_it>(a, 60s, true);
            EXPECT_TRUE(taken);
            const auto before = self.now();
            const auto refused = co_await of->read(self, 10s);
            EXPECT_EQ(refused.error(), errc::timeout);
            EXPECT_GE(self.now() - before, 10s);
            const auto freed = co_await self.ask<let_it_go>(a, 60s);
            EXPECT_TRUE(freed);
            const auto got = co_await of->read(self, 10s);
            EXPECT_TRUE(got);
            const auto large = co_await in.reserve(self, "large", 8 << 20);  // by a worker
            EXPECT_TRUE(large) << large.error().what();
        },
        image, here);
    EXPECT_TRUE(world.finish().empty());
}

// ---------------------------------------------------------------- the keeper

using watcher_protocol = protocol<actors::slot_damaged>;

TEST_F(Space, IsKeptByAnActorThatAnswersForItAndTellsOfDamage) {
    node here{"app", quiet(2)};
    supervisor_spec tree;
    tree.add(child("space", in_coroutine, actors::space_keeper, std::string{"studio"}, space_options{})
                 .awaits_ready());
    ASSERT_TRUE(here.start(std::move(tree)));
    play<watcher_protocol>(here, [](actor<watcher_protocol> self) -> task<> {
        const auto keeper = (co_await self.resolve<actors::space_protocol>("/app/space")).value();
        const auto made = co_await self.ask<actors::reserve_slot>(keeper, 60s, "image", std::uint64_t{100});
        EXPECT_TRUE(made) << made.error().what();
        const auto twice = co_await self.ask<actors::reserve_slot>(keeper, 60s, "image", std::uint64_t{100});
        EXPECT_EQ(twice.error(), errc::name_taken);
        const auto watching = co_await self.ask<actors::watch_slots>(keeper, 60s, self.me());
        EXPECT_TRUE(watching);
        auto of = std::make_shared<slot>(space::open("studio").value().open_slot("image").value());
        for (int round = 0; round < 5; ++round) {
            const std::string name = "clumsy" + std::to_string(round);
            static_cast<void>(co_await self.start(child(name, in_coroutine, writes_and_throws, of)));
            auto told = co_await self.receive();  // without anybody who wants the slot
            const auto* damage = told.get_if<actors::slot_damaged>();
            REQUIRE_OR_END(damage);
            EXPECT_EQ(damage->space, "studio");
            EXPECT_EQ(damage->slot, "image");
            EXPECT_EQ(damage->by.who, self.path() + "/" + name);
            const auto reset = co_await of->reset(self, 60s);
            EXPECT_TRUE(reset);
        }
        const auto all = co_await self.ask<actors::list_slots>(keeper, 60s);
        REQUIRE_OR_END(all && all->size() == 1);
        EXPECT_FALSE((*all)[0].damaged);
        const auto gone = co_await self.ask<actors::release_slot>(keeper, 60s, "image");
        EXPECT_TRUE(gone);
        const auto none = co_await self.ask<actors::release_slot>(keeper, 60s, "image");
        EXPECT_EQ(none.error(), errc::not_found);
    });
}

TEST_F(Space, OfANameThatIsTakenMakesItsKeeperFailWithTheOwnersName) {
    const space first = make("studio", {.owner = "the other one"});
    node here{"app", quiet(1)};
    supervisor_spec tree;
    tree.add(child("space", in_coroutine, actors::space_keeper, std::string{"studio"}, space_options{})
                 .awaits_ready());
    const auto started = here.start(std::move(tree));
    ASSERT_FALSE(started);
    EXPECT_THAT(started.error().what(), HasSubstr("the other one[" + std::to_string(::getpid()) + "]"));
}

}  // namespace
}  // namespace coppice::tests::spaces
