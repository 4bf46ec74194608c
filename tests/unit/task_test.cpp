// task<T>: results, exceptions, ownership of frames, and that awaiting never grows the stack.
#include "coppice/task.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

std::uintptr_t stack_position() {
    volatile char here = 0;
    return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) + static_cast<std::uintptr_t>(here);
}

struct stack_span {
    std::uintptr_t lowest = ~std::uintptr_t{0};
    std::uintptr_t highest = 0;
    void look() {
        const auto at = stack_position();
        lowest = std::min(lowest, at);
        highest = std::max(highest, at);
    }
    [[nodiscard]] std::uintptr_t bytes() const { return highest - lowest; }
};

// A sanitizer's frames are larger; a stack that grew with a million awaits would be tens of megabytes.
constexpr std::uintptr_t flat = 64 * 1024;

task<std::uint64_t> at_once(std::uint64_t n) { co_return n; }
task<std::uint64_t> after_yield(actor<anything> self, std::uint64_t n, stack_span* span) {
    co_await self.yield();
    span->look();
    co_return n;
}

TEST(Task, GivesItsResultToTheAwaitingCoroutine) {
    testing::world world{1};
    play(world, [](actor<anything> self) -> task<> {
        EXPECT_EQ(co_await at_once(42), 42u);
        stack_span ignored;
        EXPECT_EQ(co_await after_yield(self, 43, &ignored), 43u);
    });
    EXPECT_TRUE(world.finish().empty());
}

TEST(Task, GivesAMoveOnlyResult) {
    testing::world world{1};
    play(world, [](actor<anything> self) -> task<> {
        auto make = [](actor<anything> s, bool suspends) -> task<std::unique_ptr<int>> {
            if (suspends) co_await s.yield();
            co_return std::make_unique<int>(7);
        };
        auto first = co_await make(self, false);
        auto second = co_await make(self, true);
        REQUIRE_OR_END(first && second);
        EXPECT_EQ(*first + *second, 14);
    });
}

TEST(Task, ThrowsItsExceptionAtTheAwait) {
    testing::world world{1};
    play(world, [](actor<anything> self) -> task<> {
        auto fail = [](actor<anything> s, bool suspends) -> task<int> {
            if (suspends) co_await s.yield();
            throw std::runtime_error{"disk full"};
        };
        for (const bool suspends : {false, true}) {
            std::string text;
            try {
                static_cast<void>(co_await fail(self, suspends));
            } catch (const std::runtime_error& e) {
                text = e.what();
            }
            EXPECT_EQ(text, "disk full") << suspends;
        }
    });
}

TEST(Task, AnExceptionPassesThroughAChainAndDestroysEachFrame) {
    struct counted {
        int* alive;
        explicit counted(int* n) : alive{n} { ++*alive; }
        counted(const counted&) = delete;
        counted& operator=(const counted&) = delete;
        ~counted() { --*alive; }
    };
    struct chain {
        static task<int> run(actor<anything> self, int depth, int* alive) {
            counted here{alive};
            if (depth == 0) {
                co_await self.yield();
                EXPECT_EQ(*alive, 101);
                throw std::logic_error{"the end of the chain"};
            }
            co_return co_await run(self, depth - 1, alive);
        }
    };
    for_each_seed(20, [](testing::world& world) {
        play(world, [](actor<anything> self) -> task<> {
            int alive = 0;
            bool caught = false;
            try {
                static_cast<void>(co_await chain::run(self, 100, &alive));
            } catch (const std::logic_error&) {
                caught = true;
            }
            EXPECT_TRUE(caught);
            EXPECT_EQ(alive, 0);
        });
    });
}

TEST(Task, OneThatIsNeverAwaitedNeverRunsAndIsFreed) {
    for_each_seed(1, [](testing::world& world) {
        play(world, [](actor<anything>) -> task<> {
            bool ran = false;
            auto note = [](bool* flag) -> task<> {
                *flag = true;
                co_return;
            };
            {
                const task<> never = note(&ran);
            }
            EXPECT_FALSE(ran);
            co_return;
        });
    });
}

TEST(Task, AMillionAwaitsOfAChildThatFinishesAtOnceKeepTheStackFlat) {
    testing::world world{1};
    play(world, [](actor<anything>) -> task<> {
        stack_span span;
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < 1'000'000; ++i) {
            sum += co_await at_once(i);
            if (i % 1000 == 0) span.look();
        }
        EXPECT_EQ(sum, 1'000'000ull * 999'999 / 2);
        EXPECT_LT(span.bytes(), flat);
    });
}

TEST(Task, AMillionAwaitsOfAChildThatSuspendsKeepTheStackFlat) {
    node where{"app", quiet(1)};
    ASSERT_TRUE(where.start(supervisor_spec{}));
    play(where, [](actor<anything> self) -> task<> {
        stack_span span;
        std::uint64_t sum = 0;
        for (std::uint64_t i = 0; i < 1'000'000; ++i) {
            sum += co_await after_yield(self, i, &span);
            span.look();
        }
        EXPECT_EQ(sum, 1'000'000ull * 999'999 / 2);
        EXPECT_LT(span.bytes(), flat);
    });
}

TEST(Task, ADeepChainUnwindsWithoutGrowingTheStack) {
    // Each level suspends once after its child has: its continuation comes from the run queue, not from the child's frame.
    struct chain {
        static task<int> run(actor<anything> self, int depth, stack_span* span) {
            if (depth == 0) {
                co_await self.yield();
                co_return 0;
            }
            const int below = co_await run(self, depth - 1, span);
            span->look();
            co_return below + 1;
        }
    };
    testing::world world{1};
    play(world, [](actor<anything> self) -> task<> {
        stack_span span;
        EXPECT_EQ(co_await chain::run(self, 1000, &span), 1000);
        EXPECT_LT(span.bytes(), std::uintptr_t{4096});
    });
}

}  // namespace
}  // namespace coppice::tests
