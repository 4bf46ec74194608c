// A space between processes: children of a tree that see its slots, crashed owners, holders that are killed and stopped at
// any moment, and memory that somebody has damaged. Real processes, real time; each test counts what it leaves behind.
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <numeric>
#include <random>
#include <span>

#include "space_rig.hpp"

namespace coppice::tests::spaces {
namespace {

using actors::slot;
using actors::space_options;

// This program is also what runs the process children of its tests.
class child_environment : public ::testing::Environment {
public:
    void SetUp() override {
        std::string name = "tests_actors";
        char* arguments[] = {name.data(), nullptr};
        int count = 1;
        if (const auto code = run_if_child(count, arguments)) std::_Exit(*code);
    }
};
const auto* const children = ::testing::AddGlobalTestEnvironment(new child_environment);

// ---------------------------------------------------------------- children of a tree

struct seen {
    std::uint32_t pid = 0;
    std::uint64_t thread = 0;
    std::uint64_t address = 0;  // of the first object
    std::uint64_t sum = 0;
    std::string error;
};
/// Adds 1 to each number, if it writes, and tells what it saw before.
struct look {
    slot_ptr<std::uint64_t> numbers;
    std::uint64_t not_at = 0;  // an address where the slot is not to be mapped
    bool write = false;
    using reply = seen;
};
using looker_protocol = protocol<look>;

seen seen_in(std::span<const std::uint64_t> numbers) {
    return {static_cast<std::uint32_t>(::getpid()),
            static_cast<std::uint64_t>(::gettid()),
            reinterpret_cast<std::uintptr_t>(numbers.data()),
            std::accumulate(numbers.begin(), numbers.end(), std::uint64_t{0}),
            {}};
}

// Opens the slot until it is mapped somewhere else than the asker has it.
task<seen> look_at(actor<looker_protocol> self, space in, std::string name, look what) {
    std::vector<slot> opened;
    for (;;) {
        auto found = in.open_slot(name);
        if (!found) co_return seen{.error = found.error().what()};
        opened.push_back(*found);
        auto got = co_await opened.back().write(self, 60s);
        if (!got) co_return seen{.error = got.error().what()};
        auto numbers = got->all(what.numbers);
        if (!numbers) co_return seen{.error = numbers.error().what()};
        const seen told = seen_in(*numbers);
        if (told.address == what.not_at) continue;
        if (what.write)
            for (auto& n : *numbers) ++n;
        co_return told;
    }
}

task<> looker(actor<looker_protocol> self, std::string name) {
    auto opened = space::open(name);
    if (!opened) co_return self.fail("{}", opened.error());
    while (auto m = co_await self.receive()) {
        auto r = m.take<look>();
        if (!r) continue;
        auto told = co_await look_at(self, *opened, "image", *r);
        r.reply(std::move(told));
    }
}

task<> master(actor<anything> self, process_carrier how) {
    const auto here = space::create("studio").value();
    auto image = (co_await here.reserve(self, "image", 1 << 20)).value();
    slot_ptr<std::uint64_t> numbers;
    std::uint64_t address = 0;
    {
        auto page = (co_await image.write(self, 60s)).value();
        numbers = page.allocate<std::uint64_t>(1000).value();
        const auto all = page.all(numbers).value();
        std::iota(all.begin(), all.end(), std::uint64_t{1});
        address = reinterpret_cast<std::uintptr_t>(all.data());
    }
    auto thread = co_await self.start(child("thread", in_thread, looker, std::string{"studio"}));
    auto process = co_await self.start(child("process", how, looker, std::string{"studio"}));
    REQUIRE_OR_END(thread && process);
    const ref<looker_protocol> a{*thread};
    const ref<looker_protocol> b{*process};
    const auto by_thread = co_await self.ask<look>(a, 60s, numbers, address, true);
    REQUIRE_OR_END(by_thread);
    EXPECT_EQ(by_thread->error, "");
    EXPECT_EQ(by_thread->pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_NE(by_thread->thread, static_cast<std::uint64_t>(::gettid()));
    EXPECT_EQ(by_thread->sum, 500'500u);
    const auto by_process = co_await self.ask<look>(b, 60s, numbers, address, true);
    REQUIRE_OR_END(by_process);
    EXPECT_EQ(by_process->error, "");
    EXPECT_NE(by_process->pid, static_cast<std::uint32_t>(::getpid()));
    EXPECT_NE(by_process->address, address);
    EXPECT_EQ(by_process->sum, 501'500u) << "with what the thread added";
    auto page = (co_await image.read(self, 60s)).value();
    EXPECT_EQ(seen_in(*page.all(numbers)).sum, 502'500u);
    page.release();
    auto wrong = numbers;
    wrong.count = 1 << 20;
    const auto refused = co_await self.ask<look>(b, 60s, wrong, address, true);
    REQUIRE_OR_END(refused);
    EXPECT_THAT(refused->error, HasSubstr("8000 bytes are in use"));
    const auto released = co_await here.release(self, "image");
    EXPECT_TRUE(released);
    const auto gone = co_await self.ask<look>(b, 60s, numbers, address, false);
    REQUIRE_OR_END(gone);
    EXPECT_THAT(gone->error, HasSubstr("not_found"));
}

TEST_F(Space, W16_W17_AThreadChildAndABinaryChildSeeTheMastersSlotAndUseItsOffsetsAtOtherAddresses) {
    node here{"app", quiet(2)};
    ASSERT_TRUE(here.start({}));
    play(here, master, in_process);
}

// ---------------------------------------------------------------- owners that crash

int run_owner() {
    const shared<board> told{word("BOARD")};
    auto made = space::create(word("SPACE"), {.owner = "role"});
    if (!made) return 1;
    std::vector<slot> all;
    for (int i = 0; i < 3; ++i) all.push_back(made->try_reserve("slot" + std::to_string(i), 1000).value());
    {
        auto page = all[0].try_write().value();
        *page.at(*page.allocate<int>()).value() = 42;
    }
    ++told->ready;
    await_that([&] { return told->go != 0; });
    return 0;
}
const bool owner_role = add_role("space_owner", run_owner);

TEST_F(Space, W16_StaleSlotsOfACrashedRunAreGoneAndThoseOfALivingTreeStay) {
    process crashed = start("space_owner", "studio");
    await_ready(1);
    process living = start("space_owner", "other");
    await_ready(2);
    const auto taken = space::create("studio");
    EXPECT_EQ(taken.error(), errc::name_taken);
    EXPECT_THAT(taken.error().what(), HasSubstr("role[" + std::to_string(crashed.id()) + "]"));
    auto survivor = space::open("studio").value();
    auto old_slot = survivor.open_slot("slot0").value();

    crashed.end_at_once();
    EXPECT_EQ(space::open("studio").error(), errc::not_found);
    EXPECT_THAT(survivor.try_reserve("more", 1).error().what(), HasSubstr("is gone"));
    EXPECT_EQ(files_of("studio").size(), 4u) << "what a crash leaves";
    {
        auto again = space::create("studio");
        ASSERT_TRUE(again) << again.error().what();
        EXPECT_EQ(again->wiped(), 1u);
        EXPECT_TRUE(again->list().empty());
        EXPECT_THAT(files_of("studio"), ::testing::ElementsAre("control"));
        auto fresh = again->try_reserve("slot0", 1000).value();
        EXPECT_EQ(fresh.try_write()->used(), 0u);
        EXPECT_EQ(old_slot.try_read()->used(), sizeof(int))
            << "who still has the old one sees no other memory";
        EXPECT_EQ(survivor.open_slot("slot0").error(), errc::closed);
        auto there = space::open("other");
        ASSERT_TRUE(there) << there.error().what();
        EXPECT_EQ(there->list().size(), 3u);
        EXPECT_TRUE(there->open_slot("slot0")->try_read());
    }
    board_->go = 1;
    EXPECT_EQ(living.wait(), 0);
    EXPECT_FALSE(std::filesystem::exists(path_of("other"))) << "nothing is left after an orderly end";
}

TEST_F(Space, W16_LeftoversOfCrashedOwnersAreWipedWhateverTheNewSpaceIsCalled) {
    {
        process one = start("space_owner", "one");
        process two = start("space_owner", "two");
        await_ready(2);
    }
    const auto made = space::create("three");
    ASSERT_TRUE(made);
    EXPECT_EQ(made->wiped(), 2u);
    EXPECT_FALSE(std::filesystem::exists(path_of("one")));
    EXPECT_FALSE(std::filesystem::exists(path_of("two")));
}

TEST_F(Space, W16_WhatIsNoFileOfASpaceStaysWhereALeftoverIsWiped) {
    {
        process one = start("space_owner", "one");
        await_ready(1);
    }
    const std::string notes = path_of("one") + "/notes";
    std::ofstream{notes} << "somebody's own";
    {
        const auto made = space::create("two");
        ASSERT_TRUE(made);
        EXPECT_EQ(made->wiped(), 1u);
        ASSERT_TRUE(std::filesystem::exists(notes));
        EXPECT_THAT(files_of("one"), ::testing::ElementsAre("notes"));
    }
    EXPECT_TRUE(space::create("one")) << "which ends at once";
    ASSERT_TRUE(std::filesystem::exists(notes));
    EXPECT_THAT(files_of("one"), ::testing::ElementsAre("notes"));
    std::filesystem::remove_all(path_of("one"));
}

// ---------------------------------------------------------------- holders that are killed and stopped

task<> hold_for_ever(actor<anything> self, board* told, bool write) {
    const slot of = open_or_end(word("SPACE"), word("SLOT"));
    if (write) {
        auto page = (co_await of.write(self, 60s)).value();
        *page.at(*page.allocate<int>()).value() = 1;
        ++told->ready;
        while (told->go == 0) co_await self.sleep(1ms);
    } else {
        const auto page = (co_await of.read(self, 60s)).value();
        ++told->ready;
        while (told->go == 0) co_await self.sleep(1ms);
    }
}
int run_writing_holder() {
    const shared<board> told{word("BOARD")};
    return run_script(hold_for_ever, &*told, true);
}
int run_reading_holder() {
    const shared<board> told{word("BOARD")};
    return run_script(hold_for_ever, &*told, false);
}
const bool writing_role = add_role("space_writing", run_writing_holder);
const bool reading_role = add_role("space_reading", run_reading_holder);

using watcher_protocol = protocol<actors::slot_damaged>;

task<> see_it_die(actor<watcher_protocol> self, process* victim, shared<board>* told) {
    const auto keeper = (co_await self.resolve<actors::space_protocol>("/app/space")).value();
    const auto watching = co_await self.ask<actors::watch_slots>(keeper, 60s, self.me());
    EXPECT_TRUE(watching);
    const slot of = space::open("studio").value().open_slot("image").value();
    const std::string name = "/role/script1[" + std::to_string(victim->id()) + "]";

    const auto in_vain = co_await of.write(self, 20ms);
    EXPECT_EQ(in_vain.error(), errc::timeout);
    EXPECT_THAT(in_vain.error().what(), HasSubstr("written by " + name));
    EXPECT_FALSE(of.report().damaged);

    // This one waits when the writer dies; its limit is the watchdog's affair.
    auto waits = self.spawn_task([](actor<watcher_protocol> s, slot o) -> task<error> {
        const auto got = co_await o.read(s, 10min);
        co_return got.error();
    }(self, of));
    (*told)->go = 0;
    victim->end_at_once();
    const error end = co_await waits.join();
    EXPECT_EQ(end, errc::bad_message);
    EXPECT_THAT(end.what(), HasSubstr(name));
    auto m = co_await self.receive();
    const auto* damage = m.get_if<actors::slot_damaged>();
    REQUIRE_OR_END(damage);
    EXPECT_EQ(damage->slot, "image");
    EXPECT_THAT(damage->by.who, HasSubstr("/role/script1"));
    const auto all = co_await self.ask<actors::list_slots>(keeper, 60s);
    REQUIRE_OR_END(all && all->size() == 1);
    EXPECT_TRUE((*all)[0].damaged);
    const auto refused = co_await of.write(self, 60s);
    EXPECT_EQ(refused.error(), errc::bad_message);
    const auto whole = co_await of.reset(self, 60s);
    EXPECT_TRUE(whole) << whole.error().what();
    const auto again = co_await of.write(self, 60s);
    EXPECT_TRUE(again) << again.error().what();
    EXPECT_FALSE(of.report().damaged);
}

TEST_F(Space, W17_AWriterThatIsKilledIsToldToWhoWaitsAndToWhoWatchesAndItsSlotIsMadeWholeAgain) {
    node here{"app", quiet(2)};
    supervisor_spec tree;
    tree.add(child("space", in_coroutine, actors::space_keeper, std::string{"studio"}, space_options{})
                 .awaits_ready());
    ASSERT_TRUE(here.start(std::move(tree)));
    const auto keeper = here.resolve<actors::space_protocol>("/app/space").value();
    ASSERT_TRUE(here.ask<actors::reserve_slot>(keeper, 60s, "image", std::uint64_t{1000}));
    process victim = start("space_writing", "studio", "image");
    await_ready(1);
    play<watcher_protocol>(here, see_it_die, &victim, &board_);
}

TEST_F(Space, W17_AReaderThatIsKilledNeverBlocksAWriter) {
    const auto here = space::create("studio").value();
    const slot image = here.try_reserve("image", 1000).value();
    node app{"app", quiet(1)};
    ASSERT_TRUE(app.start({}));
    for (std::uint64_t round = 1; round <= 10; ++round) {
        process victim = start("space_reading", "studio", "image");
        process other = start("space_reading", "studio", "image");
        await_ready(2 * round);
        EXPECT_EQ(image.try_write().error(), errc::timeout);
        EXPECT_EQ(image.report().holders.size(), 2u);
        play(
            app,
            [](actor<anything> self, slot of, process* one, process* two) -> task<> {
                auto waits = self.spawn_task([](actor<anything> s, slot o) -> task<errc> {
                    const auto got = co_await o.write(s, 10min);
                    co_return got.error().code();
                }(self, of));
                one->end_at_once();
                two->end_at_once();
                EXPECT_EQ(co_await waits.join(), errc::ok);
            },
            image, &victim, &other);
        EXPECT_FALSE(image.report().damaged);
    }
}

TEST_F(Space, NamesAHolderThatIsStoppedBySignalInTheTimeoutAndGoesOnWhenItDoes) {
    const auto here = space::create("studio").value();
    const slot image = here.try_reserve("image", 1000).value();
    process holder = start("space_writing", "studio", "image");
    await_ready(1);
    holder.signal(SIGSTOP);
    siginfo_t seen{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(holder.id()), &seen, WSTOPPED | WNOWAIT), 0);
    node app{"app", quiet(1)};
    ASSERT_TRUE(app.start({}));
    play(
        app,
        [](actor<anything> self, slot of, process* stopped, shared<board>* told) -> task<> {
            const auto got = co_await of.read(self, 20ms);
            EXPECT_EQ(got.error(), errc::timeout);
            EXPECT_THAT(got.error().what(),
                        HasSubstr("written by /role/script1[" + std::to_string(stopped->id()) +
                                  "], which is stopped by a signal"));
            EXPECT_FALSE(of.report().damaged);
            (*told)->go = 1;
            stopped->signal(SIGCONT);
            const auto after = co_await of.read(self, 10min);
            EXPECT_TRUE(after) << after.error().what();
        },
        image, &holder, &board_);
    EXPECT_EQ(holder.wait(), 0);
}

// ---------------------------------------------------------------- kill -9 at random moments

constexpr std::uint64_t numbers_of_a_slot = 16'384;

bool all_the_same(std::span<const std::uint64_t> all) {
    return std::all_of(all.begin(), all.end(), [&](std::uint64_t n) { return n == all[0]; });
}

// All numbers are the same, but for a moment within a write. Who finds the slot damaged puts them right.
task<> write_again_and_again(actor<anything> self, board* told) {
    const slot of = open_or_end(word("SPACE"), word("SLOT"));
    ++told->ready;
    while (told->go == 0) {
        auto page = co_await of.write(self, 10min);
        const bool damaged = page.error() == errc::bad_message;
        if (damaged) page = co_await of.repair(self, 10min);
        auto all = page ? page->all(told->numbers) : result<std::span<std::uint64_t>>{page.error()};
        if (!all) {
            complain(*told, all.error().what());
            continue;
        }
        if (!damaged && !all_the_same(*all)) complain(*told, "a torn write that nobody told of");
        const std::uint64_t next = *std::max_element(all->begin(), all->end()) + 1;
        for (auto& n : *all) n = next;
        ++(damaged ? told->repairs : told->writes);
    }
}
int run_busy_writer() {
    const shared<board> told{word("BOARD")};
    return run_script(write_again_and_again, &*told);
}
const bool busy_role = add_role("space_busy", run_busy_writer);

TEST_F(Space, W17_IsNeitherTornNorStuckWhenWritersAreKilledAtRandomMoments) {
    const memory_run_directory memory;
    const auto here = space::create("studio").value();
    const slot image = here.try_reserve("image", numbers_of_a_slot * 8).value();
    board_->numbers = image.try_write()->allocate<std::uint64_t>(numbers_of_a_slot).value();
    std::mt19937_64 random{std::random_device{}()};
    std::vector<process> writers(3);
    for (auto& w : writers) w = start("space_busy", "studio", "image");
    std::uint64_t ready = 3;
    std::uint64_t seen_whole = 0;
    for (int round = 0; round < (slow_build ? 20 : 60) || board_->repairs == 0; ++round) {
        await_ready(ready);
        const std::uint64_t until = board_->writes + board_->repairs + 1 + random() % 20;
        await_that([&] { return board_->writes + board_->repairs >= until; });
        process& victim = writers[random() % writers.size()];
        victim.end_at_once();
        victim = start("space_busy", "studio", "image");
        ++ready;
        const auto page = image.try_read();  // if nobody writes at this moment
        if (!page) continue;
        ++seen_whole;
        ASSERT_TRUE(all_the_same(page->all(board_->numbers).value()));
    }
    board_->go = 1;
    for (auto& w : writers) EXPECT_EQ(w.wait(), 0);
    EXPECT_EQ(board_->wrong, 0u);
    std::printf(
        "writes %llu, repairs %llu, seen whole %llu\n", static_cast<unsigned long long>(board_->writes),
        static_cast<unsigned long long>(board_->repairs), static_cast<unsigned long long>(seen_whole));
}

task<> reserve_again_and_again(actor<anything> self, board* told) {
    const auto opened = space::open(word("SPACE")).value();
    const std::string name = "of-" + std::to_string(::getpid());
    ++told->ready;
    while (told->go == 0) {
        const auto made = co_await opened.reserve(self, name, 100'000, 10min);
        if (!made) complain(*told, made.error().what());
        const auto gone = co_await opened.release(self, name, 10min);
        if (!gone) complain(*told, gone.error().what());
        ++told->cycles;
    }
}
int run_reserver() {
    const shared<board> told{word("BOARD")};
    return run_script(reserve_again_and_again, &*told);
}
const bool reserver_role = add_role("space_reserver", run_reserver);

TEST_F(Space, W16_ATableWhoseReserversAreKilledAtRandomMomentsStaysUsableAndLosesNoPlace) {
    const memory_run_directory memory;
    const auto here = space::create("studio", {.slots = 256}).value();
    std::mt19937_64 random{std::random_device{}()};
    std::vector<process> reservers(2);
    for (auto& r : reservers) r = start("space_reserver", "studio");
    std::uint64_t ready = 2;
    for (int round = 0; round < (slow_build ? 15 : 50); ++round) {
        await_ready(ready);
        const std::uint64_t until = board_->cycles + 1 + random() % 20;
        await_that([&] { return board_->cycles >= until; });
        process& victim = reservers[random() % reservers.size()];
        victim.end_at_once();
        victim = start("space_reserver", "studio");
        ++ready;
    }
    board_->go = 1;
    for (auto& r : reservers) EXPECT_EQ(r.wait(), 0);
    EXPECT_EQ(board_->wrong, 0u);
    // What killed ones had reserved is theirs no more than anybody's: it can be released by its name.
    for (const slot_report& left : here.list()) EXPECT_TRUE(here.try_release(left.name)) << left.name;
    std::vector<slot> all;
    for (int i = 0; i < 256; ++i) {
        auto made = here.try_reserve("slot" + std::to_string(i), 1);
        ASSERT_TRUE(made) << i << ": " << made.error().what();
        all.push_back(*made);
    }
    EXPECT_EQ(memory.files("studio.space").size(), 257u);
}

// ---------------------------------------------------------------- damaged memory

// A whole file in this process's memory, to put anything there.
class scribbler {
public:
    explicit scribbler(const std::string& file) : bytes_{std::filesystem::file_size(file)} {
        const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC);
        void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ::close(fd);
        if (at == MAP_FAILED) throw std::runtime_error{"mmap " + file};
        at_ = static_cast<unsigned char*>(at);
    }
    ~scribbler() { ::munmap(at_, bytes_); }
    scribbler(const scribbler&) = delete;
    scribbler& operator=(const scribbler&) = delete;
    [[nodiscard]] std::span<unsigned char> all() const noexcept { return {at_, bytes_}; }

private:
    std::size_t bytes_;
    unsigned char* at_ = nullptr;
};

// Any outcome but a crash, a hang, or memory outside of the slot.
void use_everything(const space& in, const slot& of, const slot_ptr<std::uint64_t>& p) {
    static_cast<void>(in.list());
    if (auto opened = in.open_slot("image")) {
        EXPECT_EQ(opened->capacity(), 4000u);
        static_cast<void>(opened->report());
    }
    static_cast<void>(in.try_reserve("more", 100));
    static_cast<void>(in.try_release("more"));
    static_cast<void>(of.report());
    if (auto page = of.try_read()) {
        EXPECT_LE(page->used(), 4000u);
        if (auto all = page->all(p)) static_cast<void>(seen_in(*all));
    }
    if (auto page = of.try_repair()) {
        EXPECT_LE(page->used(), 4000u);
        if (auto made = page->allocate<std::uint64_t>(3)) {
            const auto all = page->all(*made).value();
            std::fill(all.begin(), all.end(), 1u);
        }
    }
}

TEST_F(Space, GivesErrorsAndNeverCrashesWhateverStandsInItsTableAndItsSlots) {
    const memory_directory memory;
    const auto here = space::create("studio", {.directory = memory.path(), .slots = 8}).value();
    const slot image = here.try_reserve("image", 4000).value();
    slot_ptr<std::uint64_t> p;
    {
        auto page = image.try_write();
        p = page->allocate<std::uint64_t>(500).value();
    }
    const std::uint64_t seed = std::random_device{}();
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    std::mt19937_64 random{seed};
    // The table last: after what stood there, anything may have been released.
    for (const char* file : {"slot-0-1", "control"}) {
        const scribbler there{memory.path() + "/studio.space/" + file};
        const std::size_t header = std::min<std::size_t>(there.all().size(), 4096);
        const std::vector<unsigned char> good(there.all().begin(),
                                              there.all().begin() + static_cast<long>(header));
        for (int round = 0; round < (slow_build ? 200 : 2000); ++round) {
            for (int n = 1 + static_cast<int>(random() % 16); n > 0; --n) {
                const std::size_t at = random() % header;
                constexpr std::array<unsigned char, 4> edges{0, 1, 0x7f, 0xff};
                there.all()[at] = random() % 2 ? edges[random() % 4] : static_cast<unsigned char>(random());
            }
            use_everything(here, image, p);
            if (auto other = space::open("studio", memory.path())) use_everything(*other, image, p);
            std::copy(good.begin(), good.end(), there.all().begin());
        }
        if (std::string_view{file} == "slot-0-1")
            EXPECT_TRUE(image.try_read()) << image.try_read().error().what();
    }
}

TEST_F(Space, RefusesFilesThatSomebodyHasCut) {
    const auto here = space::create("studio").value();
    const slot image = here.try_reserve("image", 100'000).value();
    std::filesystem::resize_file(path_of("studio") + "/slot-0-1", 5000);
    EXPECT_EQ(image.try_read().error(), errc::bad_message);
    EXPECT_EQ(here.open_slot("image").error(), errc::bad_message);
    ASSERT_EQ(here.list().size(), 1u);
    EXPECT_TRUE(here.list()[0].damaged);
    EXPECT_TRUE(here.try_release("image"));
    EXPECT_TRUE(here.try_reserve("image", 100'000));
    std::filesystem::resize_file(path_of("studio") + "/control", 100);
    EXPECT_EQ(space::open("studio").error(), errc::bad_message);
}

}  // namespace
}  // namespace coppice::tests::spaces
