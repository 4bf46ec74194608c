// Rows of the features table between processes of their own, over every transport that leads from one to another; the title
// carries the row's id. The test is one of the nodes, the others are started by it. tests/net/features_test.cpp has the same
// rows for nodes of one process, with more of their corners.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "peers.hpp"
#include "support/echo.hpp"

namespace coppice::tests::processes {
namespace {

// NAME, LISTEN, PARENT, BOARD, PLACE.
int run_echo() {
    const shared<board> seen{word("BOARD")};
    common = &*seen;
    mine = &seen->of[std::stoul(word("PLACE"))];
    node_options o = quiet(2);
    if (!word("LISTEN").empty()) o.network.listen = {word("LISTEN")};
    o.network.parent = word("PARENT");
    o.level = level::info;
    o.log_hook = [](level, std::string_view, std::string_view line) { count_line(line); };
    node here{word("NAME"), o};
    if (!here.start(with_echo(on(1, 2)))) return 1;
    ++mine->up;
    await_that([] { return common->end.load(); });
    here.stop();
    here.wait();
    return 0;
}
const bool echo_role = add_role("echo", run_echo);

class Rows : public Processes {
protected:
    ~Rows() override {
        board_->end = true;
        for (process& p : others_) EXPECT_EQ(p.wait(), 0);
    }
    // Its place is in the order of the starts.
    void start_echo(const std::string& name, const std::string& listen, const std::string& parent) {
        others_.emplace_back("echo",
                             std::map<std::string, std::string>{{"NAME", name},
                                                                {"LISTEN", listen},
                                                                {"PARENT", parent},
                                                                {"BOARD", board_.handle()},
                                                                {"PLACE", std::to_string(others_.size())}});
    }
    // The test's own node, below the one that listens at uri_.
    std::unique_ptr<node> join(const std::string& name, const std::string& parent) {
        node_options o = quiet(2);
        o.network.parent = parent;
        auto own = std::make_unique<node>(name, o);
        EXPECT_TRUE(own->start(with_echo()));
        return own;
    }

    std::vector<process> others_;
};

class W4 : public Rows {};

TEST_P(W4, ChildrenThatKnowOnlyTheParentsAddressReachEachOtherWhicheverStartsFirst) {
    start_echo("c0", "", uri_);  // before there is a parent
    start_echo("parent", uri_, "");
    start_echo("c1", "", uri_);
    const auto own = join("c2", uri_);
    for (const char* name : {"c0", "c1", "parent"})
        play(
            *own,
            [](actor<anything> self, std::string path) -> task<> {
                auto to = co_await when_there(self, path);
                REQUIRE_OR_END(to);
                auto back = co_await self.ask<parcel>(*to, 60s, "hello");
                REQUIRE_OR_END(back);
                EXPECT_EQ(*back, "hello");
                // And from there each of the others.
                for (const char* other : {"/c0/echo", "/c1/echo", "/c2/echo", "/parent/echo"}) {
                    if (path == other) continue;
                    auto further = co_await self.ask<ask_for>(*to, 60s, std::string{other}, "from " + path);
                    REQUIRE_OR_END(further);
                    EXPECT_EQ(*further, "from " + path);
                }
            },
            "/" + std::string{name} + "/echo");
}

class W5 : public Rows {};

TEST_P(W5, AnUnlistedProcessIsRefusedClosedAndReportedAndTheListedOneStillGetsIn) {
    std::atomic<int> reported{0};
    std::atomic<int> let_in{0};
    node_options o = quiet(2);
    o.network.listen = {uri_};
    o.network.allow = {"good", "better"};
    o.level = level::info;
    o.log_hook = [&](level, std::string_view, std::string_view line) {
        const auto has = [line](std::string_view part) { return line.find(part) != std::string_view::npos; };
        reported += has("calls itself bad") && has("name_refused");
        let_in += has("linked to node bad");
    };
    node top{"top", o};
    ASSERT_TRUE(top.start(with_echo()));
    start_echo("bad", "", uri_);
    await_that([&] { return reported > 0 && of(0).names_refused > 0; });
    start_echo("good", "", uri_);
    play(top, [](actor<anything> self) -> task<> {
        auto to = co_await when_there(self, "/good/echo");
        REQUIRE_OR_END(to);
        EXPECT_TRUE(co_await self.ask<parcel>(*to, 60s, "hello"));
    });
    EXPECT_EQ(let_in, 0);
    top.stop();
    top.wait();
}

class W7 : public Rows {};

TEST_P(W7, EverySizeUpTo2048And64MiBArriveByteForByteInAnotherProcess) {
    start_echo("there", uri_, "");
    const auto own = join("here", uri_);
    play(*own, [](actor<anything> self) -> task<> {
        auto to = co_await when_there(self, "/there/echo");
        REQUIRE_OR_END(to);
        for (std::size_t size = 0; size <= 2048; ++size) {
            const std::string what = text_of(size);
            auto back = co_await self.ask<parcel>(*to, 60s, what);
            REQUIRE_OR_END(back);
            if (*back != what) ADD_FAILURE() << size << " bytes came back as others";
        }
        const std::string what = text_of(std::size_t{64} << 20);
        auto back = co_await self.ask<parcel>(*to, 300s, what);
        REQUIRE_OR_END(back);
        EXPECT_TRUE(*back == what);
    });
}

class W8 : public Rows {};

TEST_P(W8, PacksOfNoneOneEightAndAThousandStringsEmptyAndOfAMebibyteSurviveAHopBetweenProcesses) {
    start_echo("there", uri_, "");
    const auto own = join("here", uri_);
    play(*own, [](actor<anything> self) -> task<> {
        auto to = co_await when_there(self, "/there/echo");
        REQUIRE_OR_END(to);
        for (const std::size_t n : {0u, 1u, 8u, 1000u})
            for (const std::size_t large : {0u, 1u, 8u}) {  // of them, so many of 1 MiB
                std::vector<std::string> strings;
                for (std::size_t i = 0; i < n; ++i)
                    strings.push_back(i < large ? text_of((std::size_t{1} << 20) + i)
                                                : text_of(i % 3 == 0 ? 0 : i));
                auto back = co_await self.ask<pack>(*to, 60s, strings);
                REQUIRE_OR_END(back);
                EXPECT_TRUE(*back == strings) << n << " strings, " << large << " large";
            }
    });
}

class W12 : public Rows {};

// Five processes: the root, two below it, and below each a leaf; the test is one of the leaves.
TEST_P(W12, ALeafTalksToACousinThroughTheRootAndIsKnownThereByItsOwnName) {
    const std::string left = another_uri("left");
    const std::string right = another_uri("right");
    start_echo("right_leaf", "", right);
    start_echo("left", left, uri_);
    start_echo("right", right, uri_);
    start_echo("root", uri_, "");
    const auto own = join("left_leaf", left);
    struct asker {
        static task<> run(actor<protocol<down>> self, std::promise<void>* done) {
            struct at_end {
                std::promise<void>* p;
                ~at_end() { p->set_value(); }
            } const guard{done};
            auto to = co_await when_there(actor<anything>{self.cell()}, "/right_leaf/echo");
            REQUIRE_OR_END(to);
            auto back = co_await self.ask<parcel>(*to, 60s, "hello cousin");
            REQUIRE_OR_END(back);
            EXPECT_EQ(*back, "hello cousin");
            auto known = co_await self.ask<who_am_i>(*to, 60s, "/left_leaf/asker");
            REQUIRE_OR_END(known);
            EXPECT_TRUE(*known) << "the sender is not the actor of that name";
            auto other = co_await self.ask<who_am_i>(*to, 60s, "/left_leaf/echo");
            REQUIRE_OR_END(other);
            EXPECT_FALSE(*other);
            auto no_node = co_await self.resolve<echo_protocol>("/nowhere/echo");
            EXPECT_EQ(no_node.error(), errc::unreachable) << no_node.error().what();
            auto no_actor = co_await self.resolve<echo_protocol>("/right_leaf/nobody");
            EXPECT_EQ(no_actor.error(), errc::not_found) << no_actor.error().what();
        }
    };
    std::promise<void> done;
    auto root = own->resolve<supervisor_protocol>("/left_leaf");
    ASSERT_TRUE(root);
    ASSERT_TRUE(own->ask<start_child>(
        *root, 60s, child("asker", in_coroutine, asker::run, &done).restarts(restart::temporary)));
    done.get_future().wait();
}

class S9 : public Rows {};

TEST_P(S9, AHundredMebibytesCrossASmallRingToAnotherProcessWhileSmallMessagesPass) {
    const std::string small_ring = uri_ + "?ring=64KiB";
    start_echo("there", small_ring, "");
    const auto own = join("here", small_ring);
    play(*own, [](actor<anything> self) -> task<> {
        auto to = co_await when_there(self, "/there/echo");
        REQUIRE_OR_END(to);
        co_await expect_small_ones_to_pass_a_large_one(self, *to);
    });
}

const auto by_kind = [](const auto& one) { return std::string{one.param}; };
constexpr std::array kinds{"unix", "tcp", "tls", "shm", "pipe"};
INSTANTIATE_TEST_SUITE_P(Between, W4, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Between, W5, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Between, W7, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Between, W8, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Between, W12, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Between, S9, ::testing::Values("shm"), by_kind);

}  // namespace
}  // namespace coppice::tests::processes
