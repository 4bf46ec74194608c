// Spaces by the C interface: slots that C programs make, fill and look into, also those of C++ actors; who holds them and who died
// with them. Real processes: this program in other roles, each on the C interface alone.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "capi.hpp"
#include "coppice/actors/space.hpp"
#include "coppice_space.h"
#include "support/leftovers.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using actors::slot_ptr;
using actors::space;
using ::testing::HasSubstr;

// ---------------------------------------------------------------- short ways

owned create(const char* name, const coppice_space_options* o = nullptr, coppice_handle by = 0) {
    owned made;
    EXPECT_COPPICE_OK(coppice_create_space(by, name, o, made.out()));
    return made;
}
owned open_space(const char* name, coppice_handle by = 0) {
    owned made;
    EXPECT_COPPICE_OK(coppice_open_space(by, name, nullptr, made.out()));
    return made;
}
owned reserve(coppice_space in, const char* name, std::uint64_t bytes) {
    owned made;
    EXPECT_COPPICE_OK(coppice_reserve_slot(in, name, bytes, long_ms, made.out()));
    return made;
}
owned open_slot(coppice_space in, const char* name) {
    owned made;
    EXPECT_COPPICE_OK(coppice_open_slot(in, name, made.out()));
    return made;
}
owned writing(coppice_slot in) {
    owned made;
    EXPECT_COPPICE_OK(coppice_write_slot(in, long_ms, made.out()));
    return made;
}
owned reading(coppice_slot in) {
    owned made;
    EXPECT_COPPICE_OK(coppice_read_slot(in, long_ms, made.out()));
    return made;
}
template <class T>
coppice_slot_pointer allocated(coppice_guard page, std::uint64_t count) {
    coppice_slot_pointer p{};
    EXPECT_COPPICE_OK(coppice_allocate(page, count, sizeof(T), alignof(T), &p));
    return p;
}
template <class T>
T* written(coppice_guard page, const coppice_slot_pointer& p) {
    void* at = nullptr;
    EXPECT_COPPICE_OK(coppice_objects_to_write(page, &p, sizeof(T), alignof(T), &at));
    return static_cast<T*>(at);
}
template <class T>
const T* seen(coppice_guard page, const coppice_slot_pointer& p) {
    const void* at = nullptr;
    EXPECT_COPPICE_OK(coppice_objects(page, &p, sizeof(T), alignof(T), &at));
    return static_cast<const T*>(at);
}
std::string report_of(coppice_slot of) {
    owned told;
    EXPECT_COPPICE_OK(coppice_slot_report(of, told.out()));
    return text_of(told);
}
// What the last failed call of this thread said.
std::string why() { return coppice_error_text(); }

// In memory that the test and its processes share.
struct progress {
    std::atomic<int> ready;
    std::atomic<int> go;
    coppice_slot_pointer numbers;  // written before `ready`
};

class CSpace : public ::testing::Test {
protected:
    void TearDown() override {
        EXPECT_EQ(coppice_open_handles(), 0u);
        left_.check();
    }
    [[nodiscard]] process start(const std::string& role) const {
        return process{role, {{"BOARD", board_.handle()}}};
    }
    shared<progress> board_;  // before what counts descriptors
    leftovers left_;
};

// ---------------------------------------------------------------- one process

TEST_F(CSpace, W16ASlotThatOneHandleFillsIsSeenByAnotherOne) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 4096);
    coppice_slot_pointer p{};
    {
        const owned page = writing(image);
        p = allocated<double>(page, 3);
        EXPECT_EQ(p.count, 3u);
        EXPECT_EQ(p.object_bytes, sizeof(double));
        double* const numbers = written<double>(page, p);
        for (int i = 0; i < 3; ++i) numbers[i] = i + 0.5;
    }
    const owned there = open_space("studio");
    const owned again = open_slot(there, "image");
    const owned page = reading(again);
    const double* const numbers = seen<double>(page, p);
    EXPECT_EQ(numbers[2], 2.5);
    std::uint64_t used = 0;
    std::uint64_t capacity = 0;
    int was_damaged = 1;
    EXPECT_COPPICE_OK(coppice_guard_state(page, &used, &capacity, &was_damaged));
    EXPECT_EQ(used, 24u);
    EXPECT_EQ(capacity, 4096u);
    EXPECT_EQ(was_damaged, 0);
}

TEST_F(CSpace, W17TheArenaIsFilledExactlyToItsCapacityAndWhatIsTooMuchSaysHowMuchIsLeft) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 100);
    const owned page = writing(image);
    const auto first = allocated<std::uint64_t>(page, 12);
    const auto rest = allocated<char>(page, 4);
    EXPECT_EQ(rest.offset, 96u);
    coppice_slot_pointer none{1, 2, 3, 4, 5, 6, 7};
    EXPECT_EQ(coppice_allocate(page, 1, 1, 1, &none), COPPICE_LIMIT_REACHED);
    EXPECT_THAT(why(), HasSubstr("0 of the slot's 100 bytes are left"));
    EXPECT_EQ(none.count, 0u) << "an error leaves nothing";
    EXPECT_COPPICE_OK(coppice_clear(page));
    const void* at = &none;
    EXPECT_EQ(coppice_objects(page, &first, 8, 8, &at), COPPICE_NOT_FOUND) << why();
    EXPECT_THAT(why(), HasSubstr("emptied"));
    EXPECT_EQ(at, nullptr);
}

TEST_F(CSpace, PointersAreCheckedAtEachUse) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 4096);
    const owned other = reserve(here, "other", 4096);
    const owned page = writing(image);
    const auto good = allocated<std::uint32_t>(page, 8);
    const void* at = nullptr;
    const auto refused = [&](auto change, std::uint32_t bytes, std::uint32_t alignment, int code) {
        coppice_slot_pointer p = good;
        change(p);
        EXPECT_EQ(coppice_objects(page, &p, bytes, alignment, &at), code) << why();
        EXPECT_EQ(at, nullptr);
    };
    const auto as_it_is = [](coppice_slot_pointer&) {};
    refused([](auto& p) { p = {}; }, 4, 4, COPPICE_INVALID_ARGUMENT);
    refused([](auto& p) { ++p.space; }, 4, 4, COPPICE_INVALID_ARGUMENT);
    refused([](auto& p) { ++p.slot; }, 4, 4, COPPICE_INVALID_ARGUMENT);
    refused([](auto& p) { ++p.generation; }, 4, 4, COPPICE_NOT_FOUND);
    refused([](auto& p) { ++p.filling; }, 4, 4, COPPICE_NOT_FOUND);
    refused([](auto& p) { ++p.count; }, 4, 4, COPPICE_BAD_MESSAGE);
    refused([](auto& p) { p.count = UINT64_MAX; }, 4, 4, COPPICE_BAD_MESSAGE);
    refused([](auto& p) { p.offset = UINT64_MAX - 3; }, 4, 4, COPPICE_BAD_MESSAGE);
    refused([](auto& p) { p.offset = 2; }, 4, 4, COPPICE_BAD_MESSAGE);
    refused([](auto& p) { p.object_bytes = 0; }, 0, 1, COPPICE_INVALID_ARGUMENT);
    refused(as_it_is, 8, 4, COPPICE_BAD_MESSAGE);
    refused(as_it_is, 4, 0, COPPICE_INVALID_ARGUMENT);
    refused(as_it_is, 4, 3, COPPICE_INVALID_ARGUMENT);
    refused(as_it_is, 4, 8192, COPPICE_INVALID_ARGUMENT);
    EXPECT_COPPICE_OK(coppice_objects(page, &good, 0, 1, &at));
    EXPECT_NE(at, nullptr) << "of whatever size it says";
    coppice_slot_pointer none{};
    EXPECT_EQ(coppice_allocate(page, 1, 0, 1, &none), COPPICE_INVALID_ARGUMENT) << why();
    EXPECT_EQ(coppice_allocate(page, 1, 4, 6, &none), COPPICE_INVALID_ARGUMENT) << why();
    EXPECT_EQ(coppice_allocate(page, 0, 4, 4, &none), COPPICE_INVALID_ARGUMENT) << why();
    EXPECT_EQ(coppice_allocate(page, UINT64_MAX, UINT32_MAX, 1, &none), COPPICE_LIMIT_REACHED) << why();
}

TEST_F(CSpace, AGuardThatReadsChangesNothing) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 64);
    coppice_slot_pointer p{};
    {
        const owned page = writing(image);
        p = allocated<int>(page, 1);
    }
    const owned page = reading(image);
    void* at = nullptr;
    EXPECT_EQ(coppice_objects_to_write(page, &p, 4, 4, &at), COPPICE_DENIED);
    EXPECT_THAT(why(), HasSubstr("coppice_write_slot"));
    EXPECT_EQ(coppice_allocate(page, 1, 4, 4, &p), COPPICE_DENIED);
    EXPECT_EQ(coppice_clear(page), COPPICE_DENIED);
    EXPECT_EQ(coppice_abandon(page), COPPICE_DENIED);
    std::uint64_t used = 0;
    EXPECT_COPPICE_OK(coppice_guard_state(page, &used, nullptr, nullptr));
    EXPECT_EQ(used, 4u);
}

TEST_F(CSpace, WhoWaitsGetsTheSlotWhenItIsFreeAndIsToldWhoHasItWhenItIsNot) {
    const owned node = open_node("till");
    const owned clerk = open_actor(node, "clerk");
    const owned here = create("studio", nullptr, clerk);
    const owned image = reserve(here, "image", 64);
    owned page = writing(image);
    coppice_guard none = 7;
    EXPECT_EQ(coppice_read_slot(image, 20, &none), COPPICE_TIMEOUT);
    EXPECT_EQ(none, 0u);
    EXPECT_THAT(why(), HasSubstr("written by /till/clerk[" + std::to_string(::getpid()) + "]"));
    EXPECT_EQ(coppice_write_slot(image, 0, &none), COPPICE_TIMEOUT);
    EXPECT_THAT(report_of(image), HasSubstr(R"("who": "/till/clerk")"));

    page.close();
    owned seen_page = reading(image);
    std::atomic<bool> got{false};
    std::thread writer{[&] {
        const owned mine = writing(image);
        got = true;
    }};
    await_that([&] { return report_of(image).find("waiting_to_write") != std::string::npos; });
    EXPECT_FALSE(got);
    EXPECT_EQ(coppice_read_slot(image, 0, &none), COPPICE_TIMEOUT) << "a writer that waits lets nobody in";
    seen_page.close();
    writer.join();
    EXPECT_TRUE(got);
}

TEST_F(CSpace, AWaitEndsWithTheActorInWhoseNameItIs) {
    const owned node = open_node("till");
    owned clerk = open_actor(node, "clerk");
    const owned here = create("studio", nullptr, clerk);
    const owned image = reserve(here, "image", 64);
    const owned page = reading(image);
    int code = -1;
    std::string text;
    std::thread waits{[&] {
        coppice_guard none = 0;
        code = coppice_write_slot(image, COPPICE_FOREVER, &none);
        text = why();
    }};
    await_that([&] { return report_of(image).find("waiting_to_write") != std::string::npos; });
    clerk.close();
    waits.join();
    EXPECT_EQ(code, COPPICE_STOPPING) << text;
    EXPECT_THAT(text, HasSubstr("slot image of space studio"));
}

TEST_F(CSpace, ASpaceEndsWithItsOwnersHandleAndSlotsThatAreOpenStay) {
    owned here = create("studio");
    const owned image = reserve(here, "image", 64);
    const owned guest = open_space("studio");
    here.close();
    coppice_slot none = 0;
    EXPECT_EQ(coppice_open_slot(guest, "image", &none), COPPICE_CLOSED) << why();
    EXPECT_EQ(coppice_reserve_slot(guest, "more", 64, 0, &none), COPPICE_CLOSED) << why();
    EXPECT_EQ(coppice_open_space(0, "studio", nullptr, &none), COPPICE_NOT_FOUND) << why();
    EXPECT_EQ(coppice_open_slot(here, "image", &none), COPPICE_INVALID_ARGUMENT) << why();
    const owned page = writing(image);
    static_cast<void>(allocated<int>(page, 1));
}

TEST_F(CSpace, ReleasingAndListingAndLimitsAreAsInCpp) {
    coppice_space_options o{};
    o.size = sizeof o;
    o.slots = 2;
    o.slot_bytes = 1000;
    o.total_bytes = 1500;
    const owned here = create("studio", &o);
    const owned a = reserve(here, "a", 1000);
    coppice_slot none = 0;
    EXPECT_EQ(coppice_reserve_slot(here, "a", 10, 0, &none), COPPICE_NAME_TAKEN) << why();
    EXPECT_EQ(coppice_reserve_slot(here, "b", 1001, 0, &none), COPPICE_TOO_LARGE) << why();
    EXPECT_EQ(coppice_reserve_slot(here, "b", 501, 0, &none), COPPICE_LIMIT_REACHED) << why();
    EXPECT_EQ(coppice_reserve_slot(here, "b", 0, 0, &none), COPPICE_INVALID_ARGUMENT) << why();
    EXPECT_EQ(coppice_reserve_slot(here, "b/c", 1, 0, &none), COPPICE_BAD_NAME) << why();
    EXPECT_EQ(coppice_reserve_slot(here, nullptr, 1, 0, &none), COPPICE_INVALID_ARGUMENT) << why();
    const owned b = reserve(here, "b", 500);
    EXPECT_EQ(coppice_reserve_slot(here, "c", 1, 0, &none), COPPICE_LIMIT_REACHED) << why();
    owned list;
    ASSERT_COPPICE_OK(coppice_list_slots(here, list.out()));
    std::size_t slots = 0;
    EXPECT_COPPICE_OK(coppice_value_size(list, &slots));
    EXPECT_EQ(slots, 2u);
    EXPECT_THAT(text_of(list), HasSubstr(R"("name": "a", "bytes": 1000, "used": 0)"));
    EXPECT_COPPICE_OK(coppice_release_slot(here, "a", 0));
    EXPECT_EQ(coppice_release_slot(here, "a", 0), COPPICE_NOT_FOUND);
    EXPECT_EQ(coppice_read_slot(a, 0, &none), COPPICE_NOT_FOUND) << why();
    coppice_space taken = 0;
    EXPECT_EQ(coppice_create_space(0, "studio", nullptr, &taken), COPPICE_NAME_TAKEN) << why();
    o.size = 3;
    EXPECT_EQ(coppice_create_space(0, "other", &o, &taken), COPPICE_INVALID_ARGUMENT) << why();
}

TEST_F(CSpace, HandlesOfOtherKindsAndClosedOnesAreTold) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 64);
    const owned v = int_value(1);
    coppice_handle none = 0;
    EXPECT_EQ(coppice_read_slot(here, 0, &none), COPPICE_INVALID_ARGUMENT);
    EXPECT_THAT(why(), HasSubstr("`slot` is the handle of a space, where a slot is needed"));
    EXPECT_EQ(coppice_open_slot(image, "image", &none), COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(coppice_clear(image), COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(coppice_open_space(v, "studio", nullptr, &none), COPPICE_INVALID_ARGUMENT);
    EXPECT_THAT(why(), HasSubstr("`from` is the handle of a value"));
    EXPECT_EQ(coppice_read_slot(image, 0, nullptr), COPPICE_INVALID_ARGUMENT);
    coppice_guard page = writing(image).release();
    EXPECT_COPPICE_OK(coppice_close(page));
    EXPECT_EQ(coppice_clear(page), COPPICE_CLOSED);
    EXPECT_EQ(coppice_close(page), COPPICE_CLOSED);
    coppice_slot_pointer p{};
    EXPECT_EQ(coppice_get_slot_pointer(v, &p), COPPICE_WRONG_PROTOCOL) << why();
}

TEST_F(CSpace, ManyThreadsThatShareOneGuardAndCloseItNeverMeetFreedMemory) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 1 << 20);
    for (int round = 0; round < 20; ++round) {
        const coppice_guard page = writing(image).release();
        std::vector<std::thread> all;
        for (int t = 0; t < 4; ++t)
            all.emplace_back([&, t] {
                coppice_slot_pointer p{};
                int code = COPPICE_OK;
                for (int i = 0; i < 100 && code == COPPICE_OK; ++i)
                    code = coppice_allocate(page, 8, 4, 4, &p);
                if (t == 0) EXPECT_COPPICE_OK(coppice_close(page));
                else EXPECT_TRUE(code == COPPICE_OK || code == COPPICE_CLOSED) << why();
            });
        for (std::thread& one : all) one.join();
        EXPECT_COPPICE_OK(coppice_reset_slot(image, long_ms));
    }
}

TEST_F(CSpace, AForkedProcessIsRefused) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 64);
    const pid_t child = ::fork();
    if (child == 0) {
        coppice_guard none = 0;
        const bool refused = coppice_write_slot(image, 0, &none) == COPPICE_INVALID_ARGUMENT &&
                             why().find("fork()") != std::string::npos;
        ::_exit(refused ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

// ---------------------------------------------------------------- other processes

coppice_slot open_or_end() {
    coppice_space in = 0;
    coppice_slot of = 0;
    if (coppice_open_space(0, "studio", nullptr, &in) != COPPICE_OK ||
        coppice_open_slot(in, "image", &of) != COPPICE_OK) {
        std::fprintf(stderr, "%s\n", coppice_error_text());
        std::_Exit(95);
    }
    return of;
}

// Half of what it writes is there when it stops.
int write_half() {
    const shared<progress> told{word("BOARD")};
    const coppice_slot image = open_or_end();
    coppice_guard page = 0;
    coppice_slot_pointer p{};
    void* at = nullptr;
    if (coppice_write_slot(image, long_ms, &page) != COPPICE_OK ||
        coppice_allocate(page, 1000, 8, 8, &p) != COPPICE_OK ||
        coppice_objects_to_write(page, &p, 8, 8, &at) != COPPICE_OK)
        return 1;
    for (int i = 0; i < 500; ++i) static_cast<std::uint64_t*>(at)[i] = 7;
    told->numbers = p;
    ++told->ready;
    await_that([&] { return told->go != 0; });
    return 0;  // without closing it
}
const bool writer_role = add_role("c_space_writer", write_half);

// Adds 1 to each number again and again, until it is killed.
int count_up() {
    const shared<progress> told{word("BOARD")};
    const coppice_slot image = open_or_end();
    for (;;) {
        coppice_guard page = 0;
        void* at = nullptr;
        const int code = coppice_write_slot(image, long_ms, &page);
        if (code == COPPICE_BAD_MESSAGE) continue;
        if (code != COPPICE_OK || coppice_objects_to_write(page, &told->numbers, 8, 8, &at) != COPPICE_OK) {
            std::fprintf(stderr, "%s\n", coppice_error_text());
            return 1;
        }
        for (int i = 0; i < 1000; ++i) ++static_cast<std::uint64_t*>(at)[i];
        if (coppice_close(page) != COPPICE_OK) return 1;
        ++told->ready;
    }
}
const bool counter_role = add_role("c_space_counter", count_up);

void expect_damage_by(coppice_slot image, pid_t who) {
    coppice_guard none = 0;
    EXPECT_EQ(coppice_read_slot(image, long_ms, &none), COPPICE_BAD_MESSAGE);
    EXPECT_THAT(why(), HasSubstr("its writer [" + std::to_string(who) + "] died"));
    EXPECT_EQ(coppice_write_slot(image, long_ms, &none), COPPICE_BAD_MESSAGE);
    EXPECT_THAT(report_of(image), HasSubstr(R"("damaged": true)"));
    EXPECT_THAT(report_of(image), HasSubstr(R"("pid": )" + std::to_string(who)));
}

TEST_F(CSpace, W17AWriterThatIsKilledIsReportedByNameAndItsSlotIsRepaired) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 8000);
    process writer = start("c_space_writer");
    const pid_t who = writer.id();
    await_that([&] { return board_->ready == 1; });
    coppice_guard none = 0;
    EXPECT_EQ(coppice_read_slot(image, 20, &none), COPPICE_TIMEOUT);
    EXPECT_THAT(why(), HasSubstr("written by [" + std::to_string(who) + "]"));

    int code = -1;  // this one waits when the writer dies
    std::thread waits{[&] {
        coppice_guard never = 0;
        code = coppice_read_slot(image, COPPICE_FOREVER, &never);
    }};
    writer.end_at_once();
    waits.join();
    EXPECT_EQ(code, COPPICE_BAD_MESSAGE);
    expect_damage_by(image, who);

    owned page;
    ASSERT_COPPICE_OK(coppice_repair_slot(image, long_ms, page.out()));
    std::uint64_t used = 1;
    int was_damaged = 0;
    EXPECT_COPPICE_OK(coppice_guard_state(page, &used, nullptr, &was_damaged));
    EXPECT_EQ(was_damaged, 1);
    EXPECT_EQ(used, 0u) << "what its last whole write left";
    const auto p = allocated<std::uint64_t>(page, 1000);
    EXPECT_EQ(written<std::uint64_t>(page, p)[499], 7u) << "the bytes that the dead one wrote";
    EXPECT_EQ(written<std::uint64_t>(page, p)[500], 0u);
    page.close();
    const owned whole = reading(image);
    EXPECT_NE(seen<std::uint64_t>(whole, p), nullptr);
}

TEST_F(CSpace, AGuardThatIsOpenWhenItsProcessEndsLeavesTheSlotDamaged) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 8000);
    process writer = start("c_space_writer");
    const pid_t who = writer.id();
    board_->go = 1;
    EXPECT_EQ(writer.wait(), 0);
    expect_damage_by(image, who);
    EXPECT_COPPICE_OK(coppice_reset_slot(image, long_ms));
    const owned page = reading(image);
}

TEST_F(CSpace, AnAbandonedWriteLeavesTheSlotDamaged) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 64);
    owned page = writing(image);
    EXPECT_COPPICE_OK(coppice_abandon(page));
    EXPECT_EQ(coppice_clear(page), COPPICE_CLOSED) << "it is closed";
    static_cast<void>(page.release());
    expect_damage_by(image, ::getpid());
}

// Two that write until one of them is killed, at whatever moment: no half of an update is ever seen as a whole one.
TEST_F(CSpace, W17NoReaderEverSeesHalfOfAWriteWheneverItsWriterIsKilled) {
    const owned here = create("studio");
    const owned image = reserve(here, "image", 8000);
    {
        const owned page = writing(image);
        board_->numbers = allocated<std::uint64_t>(page, 1000);
        std::uint64_t* const numbers = written<std::uint64_t>(page, board_->numbers);
        for (int i = 0; i < 1000; ++i) numbers[i] = 0;
    }
    for (int round = 0; round < 10; ++round) {
        const int before = board_->ready;
        process a = start("c_space_counter");
        process b = start("c_space_counter");
        await_that([&] { return board_->ready > before + 50 + round * 7; });
        a.end_at_once();
        b.end_at_once();
        owned page;
        const int code = coppice_read_slot(image, long_ms, page.out());
        if (code == COPPICE_OK) {
            const auto* numbers = seen<std::uint64_t>(page, board_->numbers);
            for (int i = 1; i < 1000; ++i) ASSERT_EQ(numbers[i], numbers[0]) << "in round " << round;
            continue;
        }
        ASSERT_EQ(code, COPPICE_BAD_MESSAGE) << why();
        ASSERT_COPPICE_OK(coppice_repair_slot(image, long_ms, page.out()));
        std::uint64_t* const numbers = written<std::uint64_t>(page, board_->numbers);
        for (int i = 1; i < 1000; ++i) numbers[i] = numbers[0];
    }
}

// ---------------------------------------------------------------- actors of C++

struct where_is {
    using reply = slot_ptr<double>;
};
struct add_up {
    slot_ptr<double> numbers;
    using reply = double;
};

task<> sums(actor<protocol<where_is, add_up>> self) {
    const auto image = space::open("studio").value().open_slot("image").value();
    while (auto m = co_await self.receive()) {
        if (auto r = m.take<where_is>()) {
            auto page = (co_await image.write(self, 60s)).value();
            const auto p = page.allocate<double>(4).value();
            for (double& x : page.all(p).value()) x = 1.25;
            page.release();
            r.reply(p);
        } else if (auto q = m.take<add_up>()) {
            const auto page = (co_await image.read(self, 60s)).value();
            const auto all = page.all(q->numbers);
            double sum = 0;
            if (all)
                for (const double x : *all) sum += x;
            if (all) q.reply(sum);
            else q.fail(all.error());
        }
    }
}

TEST_F(CSpace, PointersTravelBetweenCAndActorsOfCppInMessages) {
    node_options o = quiet(1);
    o.network.listen = {"unix://above"};
    node above{"above", o};
    supervisor_spec tree;
    tree.add(
        child("space", in_coroutine, actors::space_keeper, std::string{"studio"}, actors::space_options{})
            .awaits_ready());
    ASSERT_TRUE(above.start(std::move(tree)));
    const owned node = open_node("till", nullptr, "unix://above");
    const owned clerk = open_actor(node, "clerk");
    const owned studio = open_space("studio", clerk);
    const owned image = reserve(studio, "image", 4096);
    const auto root = above.resolve<supervisor_protocol>("/above").value();
    ASSERT_TRUE(above.ask<start_child>(root, 60s, child("sums", in_coroutine, sums)));
    const owned to = find(clerk, "/above/sums");

    owned question;
    owned answer;
    ASSERT_COPPICE_OK(coppice_new_record(std::string{message_name<where_is>}.c_str(), question.out()));
    ASSERT_COPPICE_OK(coppice_ask(clerk, to, question, long_ms, answer.out()));
    coppice_slot_pointer p{};
    ASSERT_COPPICE_OK(coppice_get_slot_pointer(answer, &p));
    {
        const owned page = writing(image);
        EXPECT_EQ(seen<double>(page, p)[3], 1.25);
        written<double>(page, p)[0] = 100;
    }
    owned request;
    ASSERT_COPPICE_OK(coppice_new_record(std::string{message_name<add_up>}.c_str(), request.out()));
    coppice_value part = 0;
    ASSERT_COPPICE_OK(coppice_new_slot_pointer(&p, &part));
    ASSERT_COPPICE_OK(coppice_add(request, part));
    owned sum;
    ASSERT_COPPICE_OK(coppice_ask(clerk, to, request, long_ms, sum.out()));
    double total = 0;
    EXPECT_COPPICE_OK(coppice_get_double(sum, &total));
    EXPECT_EQ(total, 103.75);

    owned wrong;
    ASSERT_COPPICE_OK(coppice_new_record(std::string{message_name<add_up>}.c_str(), wrong.out()));
    p.count = 1 << 20;
    ASSERT_COPPICE_OK(coppice_new_slot_pointer(&p, &part));
    ASSERT_COPPICE_OK(coppice_add(wrong, part));
    coppice_value none = 0;
    EXPECT_EQ(coppice_ask(clerk, to, wrong, long_ms, &none), COPPICE_BAD_MESSAGE);
    EXPECT_THAT(why(), HasSubstr("bytes are in use"));
}

// The keeper's word comes as mail: a C actor that watches is told of the dead writer by name.
TEST_F(CSpace, W17TheKeeperTellsAnActorOfCThatAWriterHasDied) {
    node_options o = quiet(1);
    o.network.listen = {"unix://above"};
    node above{"above", o};
    supervisor_spec tree;
    tree.add(
        child("space", in_coroutine, actors::space_keeper, std::string{"studio"}, actors::space_options{})
            .awaits_ready());
    ASSERT_TRUE(above.start(std::move(tree)));
    const owned node = open_node("till", nullptr, "unix://above");
    const owned clerk = open_actor(node, "clerk");
    const owned studio = open_space("studio", clerk);
    const owned image = reserve(studio, "image", 8000);

    owned watch;
    ASSERT_COPPICE_OK(coppice_new_record("coppice::actors::watch_slots", watch.out()));
    coppice_value me = 0;
    ASSERT_COPPICE_OK(coppice_new_ref(self_of(clerk), &me));
    ASSERT_COPPICE_OK(coppice_add(watch, me));
    owned watching;
    ASSERT_COPPICE_OK(coppice_ask(clerk, find(clerk, "/above/space"), watch, long_ms, watching.out()));

    process writer = start("c_space_writer");
    const pid_t who = writer.id();
    await_that([&] { return board_->ready == 1; });
    writer.end_at_once();
    const owned mail = receive(clerk);
    std::uint64_t type = 0;
    EXPECT_COPPICE_OK(coppice_value_type(mail, &type));
    EXPECT_EQ(type, coppice_type_id("coppice::actors::slot_damaged"));
    const std::string told = text_of(mail);
    EXPECT_THAT(told, HasSubstr(R"(("studio", "image")"));
    EXPECT_THAT(told, HasSubstr(std::to_string(who)));
}

}  // namespace
}  // namespace coppice::tests
