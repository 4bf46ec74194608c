// Messages, protocols, refs and results as values: names, lanes, conversions, and constructors that throw.
#include <memory>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {

struct plain {
    int n = 0;
};
struct urgent {
    static constexpr auto lane = coppice::lane::priority;
};
struct question {
    using reply = std::string;
};

namespace {

struct parcel {
    std::unique_ptr<int> content;
};
struct touchy {
    explicit touchy(int n) {
        if (n < 0) throw std::invalid_argument{"negative"};
    }
};
struct touchy_question {
    using reply = touchy;
};
struct wide {
    alignas(64) unsigned char bytes[4096] = {};
};

using small = protocol<plain>;
using large = protocol<plain, urgent, question, parcel, touchy, touchy_question, wide>;

static_assert(message<plain> && message<parcel> && !message<int&> && !message<const plain> &&
              !message<char*>);
static_assert(has_reply<question> && !has_reply<plain>);
static_assert(takes<large, plain> && !takes<small, urgent> && takes<anything, urgent> && takes<small, down>);
static_assert(std::is_convertible_v<ref<large>, ref<small>> &&
              !std::is_convertible_v<ref<small>, ref<large>>);
static_assert(std::is_convertible_v<ref<small>, ref<>>);
static_assert(std::is_same_v<protocol_union<small, protocol<urgent>>, protocol<plain, urgent>>);

TEST(Message, IsKnownByItsQualifiedName) {
    EXPECT_EQ(message_name<plain>, "coppice::tests::plain");
    EXPECT_NE(detail::type_of<plain>->id, detail::type_of<urgent>->id);
    EXPECT_EQ(detail::type_of<urgent>->lane, lane::priority);
    EXPECT_EQ(detail::type_of<plain>->lane, lane::normal);
    EXPECT_TRUE(detail::type_of<question>->is_request);
}

TEST(Message, MayBeMoveOnly) {
    for_each_seed(20, [](testing::world& world) {
        play<large>(world, [](actor<large> self) -> task<> {
            EXPECT_EQ(self.send<parcel>(self.me(), std::make_unique<int>(7)), errc::ok);
            auto m = co_await self.receive();
            REQUIRE_OR_END(m && m.is<parcel>());
            EXPECT_EQ(*m.get_if<parcel>()->content, 7);
            EXPECT_EQ(self.send<parcel>(self.me(), std::make_unique<int>(8)),
                      errc::ok);  // never read: freed all the same
        });
    });
}

TEST(Message, MayBeLargeAndAligned) {
    for_each_seed(5, [](testing::world& world) {
        play<large>(world, [](actor<large> self) -> task<> {
            EXPECT_EQ(self.send<wide>(self.me()), errc::ok);
            auto m = co_await self.receive();
            REQUIRE_OR_END(m && m.is<wide>());
            EXPECT_EQ(reinterpret_cast<std::uintptr_t>(m.get_if<wide>()) % 64, 0u);
        });
    });
}

TEST(Message, WhoseConstructorThrowsIsNotSentAndLeavesNothing) {
    for_each_seed(5, [](testing::world& world) {
        play<large>(world, [](actor<large> self) -> task<> {
            EXPECT_THROW(static_cast<void>(self.send<touchy>(self.me(), -1)), std::invalid_argument);
            EXPECT_EQ(self.depth().normal, 0u);
            co_return;
        });
    });
}

TEST(Message, AReplyWhoseConstructorThrowsStillAnswersTheAsker) {
    for_each_seed(50, [](testing::world& world) {
        play<large>(world, [](actor<large> self) -> task<> {
            auto callee = self.spawn([](actor<protocol<touchy_question>> s) -> task<> {
                while (auto m = co_await s.receive()) {
                    auto r = m.take<touchy_question>();
                    EXPECT_THROW(r.reply(-1), std::invalid_argument);
                }
            });
            auto answer = co_await self.ask<touchy_question>(callee, 1000s);
            EXPECT_TRUE(answer.error() == errc::no_reply || answer.error() == errc::down)
                << answer.error().what();
        });
    });
}

TEST(Ref, IsAValueThatComparesAndHashesByActor) {
    for_each_seed(5, [](testing::world& world) {
        play<large>(world, [](actor<large> self) -> task<> {
            auto one = self.spawn([](actor<small> s) -> task<> { static_cast<void>(co_await s.receive()); });
            auto two = self.spawn([](actor<small> s) -> task<> { static_cast<void>(co_await s.receive()); });
            const ref<small> copy = one;
            EXPECT_EQ(copy, one);
            EXPECT_FALSE(one == two);
            EXPECT_TRUE(one);
            EXPECT_FALSE(ref<small>{});
            const std::unordered_set<detail::address> set{one, two, copy};
            EXPECT_EQ(set.size(), 2u);
            co_return;
        });
    });
}

TEST(Ref, APinnedOneReportsDownOnceItsIncarnationHasEnded) {
    struct fragile {
        static task<> run(actor<small> self, std::vector<std::uint32_t>* reached) {
            while (auto m = co_await self.receive()) {
                reached->push_back(self.incarnation());
                if (m.get_if<plain>()->n < 0) throw std::runtime_error{"restart"};
            }
        }
    };
    for_each_seed(200, [](testing::world& world) {
        std::vector<std::uint32_t> reached;
        supervisor_spec spec;
        spec.add(child("fragile", on(1, static_cast<std::uint32_t>(1 + world.seed() % 3)), fragile::run,
                       &reached));
        ASSERT_TRUE(world.start(spec));
        auto by_name = *world.resolve<small>("fragile");
        const auto pinned = by_name.pinned();
        world.send<plain>(pinned, 1);
        world.send<plain>(by_name, -1);
        world.run_until_idle();
        ASSERT_EQ(world.restarts("/app/fragile"), 1u);
        play(
            world,
            [](actor<anything> self, ref<small> named, ref<small> tied) -> task<> {
                static_cast<void>(self.send<plain>(tied, 2));  // down here, or a dead letter there
                EXPECT_EQ(self.send<plain>(named, 3), errc::ok);
                EXPECT_EQ(self.send<plain>(named.pinned(), 4), errc::ok);
                co_await self.sleep(1s);
            },
            by_name, pinned);
        EXPECT_EQ(reached, (std::vector<std::uint32_t>{1, 1, 2, 2}));
        EXPECT_EQ(world.inspect().dead_letter_count, 1u);
    });
}

TEST(Result, HoldsAValueOrAnError) {
    result<std::string> good{std::string{"x"}};
    result<std::string> bad{error{errc::timeout, "too late"}};
    EXPECT_TRUE(good);
    EXPECT_EQ(*good, "x");
    EXPECT_EQ(good.error(), errc::ok);
    EXPECT_FALSE(bad);
    EXPECT_EQ(bad.error().what(), "timeout: too late");
    EXPECT_THROW(static_cast<void>(bad.value()), bad_result);
    EXPECT_EQ(result<std::string>{bad}.value_or("other"), "other");
    good = bad;
    EXPECT_EQ(good.error(), errc::timeout);
    bad = result<std::string>{std::string{"y"}};
    EXPECT_EQ(bad.value(), "y");
    result<void> nothing;
    EXPECT_TRUE(nothing);
    nothing = errc::down;
    EXPECT_EQ(nothing.error(), errc::down);
    EXPECT_THROW(nothing.value(), bad_result);
    result<std::unique_ptr<int>> moved{std::make_unique<int>(3)};
    EXPECT_EQ(*std::move(moved).value(), 3);
}

TEST(Result, EveryCodeHasAName) {
    for (int n = 0; n <= static_cast<int>(errc::io); ++n)
        EXPECT_NE(to_string(static_cast<errc>(n)), "unknown") << n;
    EXPECT_EQ(to_string(static_cast<errc>(255)), "unknown");
}

}  // namespace
}  // namespace coppice::tests
