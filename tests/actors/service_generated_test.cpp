// Services that coppice_generate() has made, in use: the math service between two processes over each kind of transport, and one
// that has every type there is.
#include <atomic>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "kinds.coppice.hpp"
#include "math.coppice.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

struct told {
    std::atomic<bool> up, end;
    std::atomic<std::uint16_t> port;
};

class calculator : public demo::math::server {
public:
    using server::server;

protected:
    task<> sum(request<demo::math::Sum> r) override { co_return r.reply(r->a + r->b); }
    task<> difference(request<demo::math::Difference> r) override { co_return r.reply(r->a - r->b); }
    task<> minus(request<demo::math::Minus> r) override { co_return r.reply(r->a - r->b); }
    task<> add(request<demo::math::Add> r) override {
        shapes::Vector all;
        for (const auto& v : r->vectors) all = {all.x + v.x, all.y + v.y};
        co_return r.reply(all);
    }
    task<> round(demo::math::Round m) override {
        how_ = m.how;
        static_cast<void>(co_await roundingChanged({m.how, current_client()}));
        static_cast<void>(co_await roundingChanged({current_client()}, {m.how, 1000}));
    }
    task<> statistics(request<demo::math::Statistics> r) override {
        if (how_ == demo::Rounding::up) co_return r.fail("it is not counted");
        co_return r.reply(7u, how_);
    }

private:
    demo::Rounding how_ = demo::Rounding::exact;
};
task<> math_service(demo::math::service_actor self) {
    calculator all{self};
    co_await all.serve_clients();
}

int run_math_process() {
    const shared<told> board{word("BOARD")};
    node here{"school", listening_at(word("URI"), 1)};
    supervisor_spec tree;
    tree.add(child("math", in_coroutine, math_service));
    if (auto started = here.start(std::move(tree)); !started) return 1;
    const std::string uri = here.listening().at(0);
    if (const auto colon = uri.rfind(':'); uri.starts_with("tcp"))
        board->port = static_cast<std::uint16_t>(std::stoul(uri.substr(colon + 1)));
    board->up = true;
    await_that([&] { return board->end.load(); });
    here.stop();
    here.wait();
    return 0;
}
const bool math_role = add_role("math_service", run_math_process);

class Generated : public ::testing::TestWithParam<std::string> {};

TEST_P(Generated, S13_TheMathServiceOfADescriptionAnswersAnotherProcessByTheSameGeneratedCode) {
    const own_run_directory run;
    shared<told> board;
    process service{"math_service", {{"URI", GetParam()}, {"BOARD", board.handle()}}};
    await_that([&] { return board->up.load() || service.has_ended(); });
    std::string uri = GetParam();
    if (board->port != 0) uri = "tcp://127.0.0.1:" + std::to_string(board->port);

    node here{"home", quiet(1)};
    ASSERT_TRUE(here.start(supervisor_spec{}));
    play<demo::math::notifications>(
        here,
        [](actor<demo::math::notifications> self, std::string where) -> task<> {
            auto service_ref =
                (co_await self.resolve<demo::math::service_protocol>(where + "#/school/math")).value();
            auto math = (co_await demo::math::join(self, service_ref)).value();
            EXPECT_EQ(math.joined_as().number, 1u);

            EXPECT_EQ((co_await math.sum(2, 3.5, 60s)).value().result, 5.5);
            EXPECT_EQ((co_await math.difference(2, 3.5, 60s)).value().result, -1.5);
        // A deprecated endpoint answers as ever; its call is a warning where that is on.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
            EXPECT_EQ((co_await math.minus(5, 3, 60s)).value().result, 2);
#pragma GCC diagnostic pop
            std::vector<shapes::Vector> some{{1, 2}, {3, 4}, {5, 6}};
            const auto sum = (co_await math.add(some, 60s)).value().result;
            EXPECT_EQ(sum.x, 9);
            EXPECT_EQ(sum.y, 12);

            EXPECT_EQ(co_await math.round(demo::Rounding::down), errc::ok);
            for (const std::uint32_t by : {1u, 1000u}) {  // to all; to some
                auto note = co_await self.receive();
                auto* change = note.get_if<demo::math::RoundingChanged>();
                REQUIRE_OR_END(change);
                EXPECT_EQ(change->now, demo::Rounding::down);
                EXPECT_EQ(change->by, by);
            }
            const auto statistics = (co_await math.statistics(60s)).value();
            EXPECT_EQ(statistics.served, 7u);
            EXPECT_EQ(statistics.rounding, demo::Rounding::down);

            static_cast<void>(co_await math.round(demo::Rounding::up));
            const auto refused = co_await math.statistics(60s);
            EXPECT_EQ(refused.error(), errc::failed);
            EXPECT_EQ(refused.error().text(), "it is not counted");

            EXPECT_TRUE(co_await math.leave_service());
            EXPECT_FALSE(co_await math.sum(1, 1, 60s));
        },
        uri);
    board->end = true;
    EXPECT_EQ(service.wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(Over, Generated,
                         ::testing::Values("unix://math", "shm://math", "pipe://math", "tcp://127.0.0.1:0"),
                         [](const auto& info) { return info.param.substr(0, info.param.find(':')); });

// ---------------------------------------------------------------- every type

namespace kinds = ::tests::kinds;

class echo_service : public kinds::kinds_of_things::server {
public:
    using server::server;

protected:
    task<> echo(request<kinds::kinds_of_things::Echo> r) override {
        static_cast<void>(co_await changed({r->what}));
        r.reply(std::move(r->what));
    }
    task<> server_(request<kinds::kinds_of_things::Server> r) override {
        co_return r.reply(r->template_.size() + r->within, r->template_.empty());
    }
    task<> nothing(request<kinds::kinds_of_things::Nothing> r) override { co_return r.reply(); }
    task<> client_(kinds::kinds_of_things::Client) override { co_return; }
};
task<> kinds_service(kinds::kinds_of_things::service_actor self) {
    echo_service all{self};
    co_await all.serve_clients();
}

TEST(GeneratedTypes, DefaultsAreThoseOfTheDescription) {
    const kinds::Everything e;
    EXPECT_TRUE(e.flag);
    EXPECT_EQ(e.i8, std::numeric_limits<std::int8_t>::min());
    EXPECT_EQ(e.i16, std::numeric_limits<std::int16_t>::min());
    EXPECT_EQ(e.i32, std::numeric_limits<std::int32_t>::min());
    EXPECT_EQ(e.i64, std::numeric_limits<std::int64_t>::min());
    EXPECT_EQ(e.u8, 255u);
    EXPECT_EQ(e.u16, 65535u);
    EXPECT_EQ(e.u32, std::numeric_limits<std::uint32_t>::max());
    EXPECT_EQ(e.u64, std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(e.f32, 1.5f);
    EXPECT_EQ(e.f64, -std::numeric_limits<double>::infinity());
    EXPECT_EQ(e.text, "a \"quoted\" text\n\?\? \\");
    EXPECT_EQ(e.colour, kinds::Colour::default_);
}

TEST(GeneratedTypes, EveryTypeGoesToAnotherNodeAndBackUnchangedAndAsANotification) {
    const own_run_directory run;
    node top{"top", listening_at("unix://top", 1)};
    supervisor_spec tree;
    tree.add(child("kinds", in_coroutine, kinds_service));
    ASSERT_TRUE(top.start(tree));
    node here{"home", below(top.listening().at(0), 1)};
    ASSERT_TRUE(here.start(supervisor_spec{}));
    using notes = kinds::kinds_of_things::notifications;
    play<notes>(here, [](actor<notes> self) -> task<> {
        auto to = (co_await self.resolve<kinds::kinds_of_things::service_protocol>("/top/kinds")).value();
        auto things = (co_await kinds::kinds_of_things::join(self, to, 60s)).value();
        kinds::Everything e;
        e.i64 = -5;
        e.u64 = 1u;
        e.f64 = 2.25;
        e.text = "text";
        e.data = {std::byte{1}, std::byte{0}, std::byte{255}};
        e.colour = kinds::Colour::green;
        e.inner = {4, {"deep"}};
        e.bools = {true, false, true};
        e.bytes = {1, 2, 3};
        e.texts = {"a", "", "c"};
        e.colours = {kinds::Colour::red, kinds::Colour::default_};
        e.inners = {{1, {"x"}}, {2, {"y"}}};
        e.lists = {{1, -2}, {}, {3}};
        e.vector = {1.5, -2.5};
        e.class_ = 9;
        e.reply_ = "a field of that name";
        const auto check = [&](const kinds::Everything& b) {
            EXPECT_EQ(b.i64, -5);
            EXPECT_EQ(b.u64, 1u);
            EXPECT_EQ(b.f64, 2.25);
            EXPECT_EQ(b.text, "text");
            EXPECT_EQ(b.data, e.data);
            EXPECT_EQ(b.colour, kinds::Colour::green);
            EXPECT_EQ(b.inner.deeper.text, "deep");
            EXPECT_EQ(b.bools, e.bools);
            EXPECT_EQ(b.bytes, e.bytes);
            EXPECT_EQ(b.texts, e.texts);
            EXPECT_EQ(b.colours, e.colours);
            EXPECT_EQ(b.inners.size(), 2u);
            EXPECT_EQ(b.inners.back().deeper.text, "y");
            EXPECT_EQ(b.lists, e.lists);
            EXPECT_EQ(b.vector.y, -2.5);
            EXPECT_EQ(b.class_, 9);
            EXPECT_EQ(b.reply_, "a field of that name");
        };
        check((co_await things.echo(e, 60s)).value());
        auto note = co_await self.receive();
        REQUIRE_OR_END(note.get_if<kinds::kinds_of_things::Changed>());
        check(note.get_if<kinds::kinds_of_things::Changed>()->what);

        const auto counted = (co_await things.server_("four", 10u, 60s)).value();
        EXPECT_EQ(counted.lengthOf, 14u);
        EXPECT_FALSE(counted.isEmpty);
        EXPECT_TRUE(co_await things.nothing(60s));
        EXPECT_EQ(co_await things.client_(), errc::ok);
    });
}

// ---------------------------------------------------------------- odd names

class odd_service : public kinds::odd_names::server {
public:
    using server::server;

protected:
    task<> turn(request<kinds::odd_names::Turn> r) override { co_return r.reply(r->turn); }
    task<> r1(request<kinds::odd_names::R1> r) override { co_return r.reply(r->r1); }
    task<> m3(kinds::odd_names::M3 m) override { static_cast<void>(co_await notifications_({m.m3})); }
    task<> requests_(request<kinds::odd_names::Requests> r) override { co_return r.reply(r->requests); }
    task<> q(request<kinds::odd_names::Q> r) override { co_return r.reply(r->q); }
    task<> assert_(request<kinds::odd_names::Assert> r) override { co_return r.reply(r->errno_); }
    task<> std(request<kinds::odd_names::Std> r) override { co_return r.reply(); }
    task<> coppice(request<kinds::odd_names::Coppice> r) override { co_return r.reply(); }
    task<> self(request<kinds::odd_names::Self> r) override {
        kinds::Hollow back;
        back.voids = r->voids;
        back.nothings.resize(r->nothings.size());
        back.cube = r->cube;
        back.zero = r->zero;
        co_return r.reply(std::move(back));
    }
    task<> nothing(request<kinds::odd_names::Nothing> r) override { co_return r.reply(kinds::Nothing{}); }
};
task<> odd_names_service(kinds::odd_names::service_actor self) {
    odd_service all{self};
    co_await all.serve_clients();
}

TEST(GeneratedTypes, EndpointsWithNamesThatTheGeneratedCodeHasItselfAnswer) {
    const own_run_directory run;
    node top{"top", listening_at("unix://top", 1)};
    supervisor_spec tree;
    tree.add(child("odd", in_coroutine, odd_names_service));
    ASSERT_TRUE(top.start(tree));
    node here{"home", below(top.listening().at(0), 1)};
    ASSERT_TRUE(here.start(supervisor_spec{}));
    using notes = kinds::odd_names::notifications;
    play<notes>(here, [](actor<notes> self) -> task<> {
        auto to = (co_await self.resolve<kinds::odd_names::service_protocol>("/top/odd")).value();
        auto odd = (co_await kinds::odd_names::join(self, to, 60s)).value();
        EXPECT_EQ((co_await odd.turn("mine", 60s)).value().turn, "mine");
        EXPECT_EQ((co_await odd.r1(1, 60s)).value().r1, 1u);
        EXPECT_EQ((co_await odd.requests_(2, 60s)).value().requests, 2u);
        // The warning is meant.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        EXPECT_EQ((co_await odd.q(3, 60s)).value().q, 3u);
#pragma GCC diagnostic pop
        using enum kinds::Word;
        EXPECT_EQ((co_await odd.assert_(typeof_, linux_, "", "", 0, 60s)).value().errno_, typeof_);
        EXPECT_TRUE(co_await odd.std(60s));
        EXPECT_TRUE(co_await odd.coppice(60s));
        EXPECT_TRUE(co_await odd.nothing(60s));

        const kinds::Hollow fresh;
        EXPECT_EQ(fresh.zero, std::string("a\0b", 3));
        const auto back =
            (co_await odd.self({}, {{}, {}}, {{}, {}, {}}, {}, {}, {{{"x"}, {}}, {}}, "\0", 60s)).value();
        EXPECT_EQ(back.nothings.size(), 2u);
        EXPECT_EQ(back.voids.size(), 3u);
        EXPECT_EQ(back.cube, (std::vector<std::vector<std::vector<std::string>>>{{{"x"}, {}}, {}}));

        EXPECT_EQ(co_await odd.m3(4), errc::ok);
        auto note = co_await self.receive();
        auto* told = note.get_if<kinds::odd_names::Notifications>();
        REQUIRE_OR_END(told);
        EXPECT_EQ(told->notifications, 4u);
    });
}

}  // namespace
}  // namespace coppice::tests
