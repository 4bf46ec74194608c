// The memory that blobs are lent from: how it is divided, what a receiver of it checks, and how loans come back.
#include "arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <map>
#include <thread>

#include <gtest/gtest.h>

#include "../../transport/src/shm/descriptor.hpp"
#include "net/control.hpp"
#include "net/loans.hpp"
#include "support/shm_rig.hpp"

namespace coppice::tests {
namespace {

using detail::arena;
using detail::arena_header;
using detail::mapped_arena;

blob in(arena& a, std::size_t size, int fill) {
    auto memory = a.take(size);
    if (!memory) return {};
    std::memset(memory.get(), fill, size);
    const std::byte* at = memory.get();
    return blob::of({at, size}, std::move(memory));
}

TEST(Arena, GivesWholePagesThatDoNotOverlapAndTakesThemBack) {
    const auto a = arena::create(64 * arena::page).value();
    std::uint64_t seed = 7;
    std::map<const std::byte*, blob> held;
    std::size_t pages = 0;
    for (int i = 0; i < 3000; ++i) {
        const std::size_t size = 1 + next_random(seed) % (20 * arena::page);
        if (blob b = in(*a, size, i & 0xff); !b.empty()) {
            pages += (size + arena::page - 1) / arena::page;
            const auto after = held.lower_bound(b.data());
            if (after != held.end()) ASSERT_LE(b.data() + b.size(), after->first);
            if (after != held.begin())
                ASSERT_GE(b.data(), std::prev(after)->first + std::prev(after)->second.size());
            held.emplace(b.data(), std::move(b));
        }
        ASSERT_EQ(a->used(), pages * arena::page);
        while (!held.empty() && next_random(seed) % 2 == 0) {
            const auto one =
                std::next(held.begin(), static_cast<std::ptrdiff_t>(next_random(seed) % held.size()));
            pages -= (one->second.size() + arena::page - 1) / arena::page;
            held.erase(one);
        }
    }
    held.clear();
    EXPECT_EQ(a->used(), 0u);
    EXPECT_TRUE(a->take(64 * arena::page)) << "what was returned in pieces is one again";
    EXPECT_FALSE(a->take(65 * arena::page));
}

TEST(Arena, IsAnotherProcesssToReadAndNotToWrite) {
    const auto a = arena::create(1 << 20).value();
    const blob b = in(*a, 5000, 0x5a);
    std::uint64_t offset = 0;
    ASSERT_TRUE(a->holds(b.bytes(), offset));
    const auto mapped = mapped_arena::map(a->descriptor()).value();
    EXPECT_EQ(mapped->id(), a->id());
    const auto there = mapped->bytes(offset, 5000);
    ASSERT_EQ(there.size(), 5000u);
    EXPECT_NE(there.data(), b.data());
    EXPECT_EQ(blob::copy_of(there), b);
    // Seals: neither its size nor its contents are others' to change.
    EXPECT_NE(::ftruncate(a->descriptor(), 4096), 0);
    EXPECT_NE(::ftruncate(a->descriptor(), 8 << 20), 0);
    EXPECT_EQ(::pwrite(a->descriptor(), "x", 1, 5000), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, a->descriptor(), 0), MAP_FAILED);
}

TEST(Arena, ALoanOutsideOfItIsNone) {
    const auto a = arena::create(1 << 20).value();
    const auto mapped = mapped_arena::map(a->descriptor()).value();
    const std::uint64_t size = (1 << 20) + arena::page;
    const std::uint64_t most = ~std::uint64_t{0};
    EXPECT_EQ(mapped->bytes(arena::page, size - arena::page).size(), size - arena::page);
    EXPECT_EQ(mapped->bytes(size - 1, 1).size(), 1u);
    for (const auto& [offset, bytes] : {std::pair{std::uint64_t{0}, std::uint64_t{1}},
                                        {arena::page - 1, 1},
                                        {size, 1},
                                        {size - 1, 2},
                                        {arena::page, size},
                                        {most, 1},
                                        {arena::page, most},
                                        {most, most},
                                        {size, 0},
                                        {most - 4, 8},
                                        {8192, most - 8191}})
        EXPECT_TRUE(mapped->bytes(offset, bytes).empty()) << offset << ' ' << bytes;
    std::uint64_t offset = 0;
    const std::vector<std::byte> elsewhere(100);
    EXPECT_FALSE(a->holds(elsewhere, offset));
}

shm::descriptor memory_with(std::uint64_t size, int seals,
                            const std::function<void(arena_header&)>& spoil = {}) {
    shm::descriptor memory{::memfd_create("strange", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    EXPECT_EQ(::ftruncate(memory.get(), static_cast<off_t>(size)), 0);
    arena_header header;
    header.size = size;
    header.id = 1;
    if (spoil) spoil(header);
    EXPECT_EQ(::pwrite(memory.get(), &header, sizeof header, 0), static_cast<ssize_t>(sizeof header));
    if (seals) EXPECT_EQ(::fcntl(memory.get(), F_ADD_SEALS, seals), 0);
    return memory;
}

TEST(Arena, OfAPeerIsCheckedBeforeItIsMapped) {
    constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW;
    constexpr std::uint64_t size = 64 * 4096;
    EXPECT_TRUE(mapped_arena::map(memory_with(size, seals).get()));
    const auto refused = [](const char* what, const shm::descriptor& memory) {
        const auto mapped = mapped_arena::map(memory.get());
        EXPECT_TRUE(!mapped && mapped.error() == errc::bad_message) << what;
    };
    refused("unsealed", memory_with(size, 0));
    refused("may shrink", memory_with(size, F_SEAL_GROW));
    refused("may grow", memory_with(size, F_SEAL_SHRINK));
    refused("half a page more", memory_with(size + 2048, seals));
    refused("a page", memory_with(4096, seals));
    refused("too large", memory_with((std::uint64_t{2} << 30), seals));
    refused("magic", memory_with(size, seals, [](arena_header& h) { h.magic += 1; }));
    refused("version", memory_with(size, seals, [](arena_header& h) { h.version = 2; }));
    refused("header", memory_with(size, seals, [](arena_header& h) { h.header_bytes = 64; }));
    refused("size inside", memory_with(size, seals, [](arena_header& h) { h.size = size * 2; }));
    refused("no id", memory_with(size, seals, [](arena_header& h) { h.id = 0; }));
    refused("a socket", shm::descriptor{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)});
    refused("a file", shm::descriptor{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)});
}

TEST(Arena, KeepsWhatAProcessMayReadUntilThatHasEnded) {
    const auto a = arena::create(16 * arena::page).value();
    int release[2];
    ASSERT_EQ(::pipe(release), 0);
    const pid_t reader = ::fork();
    if (reader == 0) {
        char c = 0;
        ::close(release[1]);
        ::_exit(::read(release[0], &c, 1) == 0 ? 0 : 1);
    }
    ::close(release[0]);
    {
        std::vector<blob> lent;
        lent.push_back(in(*a, 10 * arena::page, 1));
        a->keep_while_alive(static_cast<std::uint32_t>(reader), std::move(lent));
    }
    EXPECT_FALSE(a->take(10 * arena::page)) << "it lives";
    EXPECT_TRUE(a->take(5 * arena::page));
    ::close(release[1]);
    siginfo_t ended{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(reader), &ended, WEXITED | WNOWAIT), 0);
    EXPECT_TRUE(a->take(10 * arena::page)) << "it has ended, though nobody has reaped it";
    ::waitpid(reader, nullptr, 0);
}

// ---------------------------------------------------------------- loans

struct borrower {
    std::shared_ptr<arena> lender = std::shared_ptr<arena>{arena::create(1 << 20).value()};
    int woken = 0;
    std::shared_ptr<net::borrowed_blobs> borrowed = std::make_shared<net::borrowed_blobs>(
        mapped_arena::map(lender->descriptor()).value(), [this] { ++woken; });

    detail::wire_loan loan(const blob& b, std::uint64_t number) const {
        std::uint64_t offset = 0;
        EXPECT_TRUE(lender->holds(b.bytes(), offset));
        return {lender->id(), offset, b.size(), number};
    }
};

TEST(Loans, AreGivenBackOnceByTheLastCopyOnAnyThread) {
    borrower here;
    const blob b = in(*here.lender, 9000, 3);
    blob read;
    ASSERT_TRUE(here.borrowed->borrow(here.loan(b, 17), read));
    EXPECT_EQ(read, b);
    EXPECT_NE(read.data(), b.data());
    blob copy = read.part(1, 5);
    read = {};
    EXPECT_FALSE(here.borrowed->has_returned());
    std::thread{[&] { copy = {}; }}.join();
    EXPECT_EQ(here.woken, 1);
    EXPECT_EQ(here.borrowed->take_returned(), std::vector<std::uint64_t>{17});
    EXPECT_FALSE(here.borrowed->has_returned());
}

TEST(Loans, OfOneMessageAreTheSameHoweverOftenTheyAreRead) {
    borrower here;
    const blob b = in(*here.lender, 9000, 3);
    const auto loan = here.loan(b, 4);
    {
        net::message_loans loans{here.borrowed};
        {
            blob first;
            ASSERT_TRUE(loans.borrow(loan, first));
        }
        EXPECT_FALSE(here.borrowed->has_returned()) << "it may be read again";
        blob second;
        ASSERT_TRUE(loans.borrow(loan, second));
        auto other = loan;
        other.size -= 1;
        EXPECT_FALSE(loans.borrow(other, second)) << "one number, two places";
    }
    EXPECT_EQ(here.borrowed->take_returned(), std::vector<std::uint64_t>{4});
}

TEST(Loans, ThatDoNotLieInTheMemoryAreRefusedAndGivenBack) {
    borrower here;
    const blob b = in(*here.lender, 9000, 3);
    for (const auto& spoil : std::vector<std::function<void(detail::wire_loan&)>>{
             [](auto& l) { l.arena += 1; }, [](auto& l) { l.offset = ~std::uint64_t{0}; },
             [](auto& l) { l.size = ~std::uint64_t{0}; }, [](auto& l) { l.offset = 0; },
             [](auto& l) { l.size = 0; }}) {
        net::message_loans loans{here.borrowed};
        auto loan = here.loan(b, 8);
        spoil(loan);
        blob read;
        EXPECT_FALSE(loans.borrow(loan, read));
        EXPECT_TRUE(read.empty());
        EXPECT_EQ(here.borrowed->take_returned(), std::vector<std::uint64_t>{8});
    }
    const std::shared_ptr<net::borrowed_blobs> none;
    net::message_loans loans{none};
    blob read;
    EXPECT_FALSE(loans.borrow(here.loan(b, 8), read)) << "nobody lends to this node";
}

TEST(Loans, AreToldInPartsAndUrgentlyWhenTheyAreMany) {
    borrower here;
    const blob b = in(*here.lender, 4096, 3);
    for (std::uint64_t n = 1; n <= 5000; ++n) {
        blob read;
        ASSERT_TRUE(here.borrowed->borrow(here.loan(b, n), read));
        EXPECT_EQ(here.borrowed->is_urgent(), n > 128) << n;  // half a MiB
    }
    EXPECT_EQ(here.woken, 2) << "the first, and when it became urgent";
    std::vector<std::uint64_t> all;
    while (here.borrowed->has_returned()) {
        const auto some = here.borrowed->take_returned();
        ASSERT_LE(some.size(), net::most_returned);
        all.insert(all.end(), some.begin(), some.end());
    }
    std::ranges::sort(all);
    ASSERT_EQ(all.size(), 5000u);
    for (std::uint64_t n = 1; n <= 5000; ++n) ASSERT_EQ(all[n - 1], n);
    blob late;
    ASSERT_TRUE(here.borrowed->borrow(here.loan(b, 1), late));
    here.borrowed->leave();
    late = {};
    EXPECT_FALSE(here.borrowed->has_returned()) << "nobody is left to tell";
}

TEST(Loans, AreBoundedAndOnlyOfWhatLiesInTheArenaForAProcessWhoseEndIsSeen) {
    arena* const own = arena::open();
    ASSERT_TRUE(own);
    const auto pid = static_cast<std::uint32_t>(::getpid());
    const blob b = in(*own, 4096, 1);
    net::lent_blobs lent;
    detail::wire_loan loan;
    EXPECT_FALSE(lent.lend(b, loan)) << "nobody has mapped it";
    lent.may_lend(own->id() + 1, pid);
    EXPECT_FALSE(lent.lend(b, loan)) << "that is another memory";
    lent.may_lend(own->id(), 0);
    EXPECT_FALSE(lent.lend(b, loan)) << "nobody would see that process end";
    lent.may_lend(own->id(), pid);
    EXPECT_FALSE(lent.lend(blob{std::vector<std::byte>(5000)}, loan)) << "it lies elsewhere";
    std::uint64_t last = 0;
    for (std::size_t n = 0; n < limits::loans; ++n) {
        ASSERT_TRUE(lent.lend(b, loan));
        ASSERT_GT(loan.number, last);
        last = loan.number;
    }
    EXPECT_FALSE(lent.lend(b, loan));
    lent.returned({last, last, last + 1, 0});
    EXPECT_EQ(lent.count(), limits::loans - 1) << "what nobody lent is ignored";
    EXPECT_TRUE(lent.lend(b, loan));
    EXPECT_GT(loan.number, last) << "a number is never used again";
    lent.forget();
    EXPECT_EQ(lent.count(), 0u);
}

TEST(Loans, OfLargeBlobsFromElsewhereAreCopiesOfWhichFewAreOut) {
    arena* const own = arena::open();
    ASSERT_TRUE(own);
    const std::size_t before = own->used();
    net::lent_blobs lent;
    lent.may_lend(own->id(), static_cast<std::uint32_t>(::getpid()));
    const blob elsewhere{std::vector<std::byte>(std::size_t{1} << 20, std::byte{7})};
    const auto mapped = mapped_arena::map(own->descriptor()).value();
    std::vector<std::uint64_t> numbers;
    for (detail::wire_loan loan; lent.lend(elsewhere, loan); numbers.push_back(loan.number))
        EXPECT_EQ(blob::copy_of(mapped->bytes(loan.offset, loan.size)), elsewhere);
    EXPECT_EQ(numbers.size(), 2u);
    EXPECT_EQ(own->used(), before + (std::size_t{2} << 20));
    detail::wire_loan loan;
    lent.returned({numbers[0], numbers[0]});
    EXPECT_TRUE(lent.lend(elsewhere, loan));
    EXPECT_FALSE(lent.lend(elsewhere, loan));
    lent.forget();
    EXPECT_EQ(own->used(), before);
    EXPECT_TRUE(lent.lend(elsewhere, loan));
    EXPECT_TRUE(lent.lend(elsewhere, loan)) << "what was forgotten does not count";
    lent.forget();
}

}  // namespace
}  // namespace coppice::tests
