// Messages with bulk data between nodes: over every kind of transport, in one process; and over shared memory, where blobs
// are lent and not copied. A peer that is killed while it holds loans has a process of its own: tests/integration.
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "arena.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct frame {
    std::uint64_t number = 0;
    blob pixels;
    std::string note;
};
struct twice {  // is answered with the bytes, and the bytes once more
    blob bytes;
    std::vector<std::byte> plain;
    using reply = std::vector<blob>;
};
struct unexpected {
    blob bytes;
};
struct count_them {
    using reply = std::uint64_t;
};
using viewer_protocol = protocol<frame, twice, count_them>;

blob filled(std::size_t size, std::uint64_t number) {
    blob_buffer room{size};
    for (std::size_t i = 0; i < size; ++i)
        room.data()[i] = static_cast<std::byte>((i * 0x9e37'79b9'7f4a'7c15u + number) >> 13);
    return std::move(room).freeze();
}

// What a viewer has got, for the test to look at; on any thread.
struct seen {
    std::mutex mutex;
    std::vector<frame> frames;
    bool keeps = false;

    void keep(bool on) {
        const std::lock_guard lock{mutex};
        keeps = on;
    }
};

task<> viewer(actor<viewer_protocol> self, seen* what) {
    std::uint64_t count = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](frame& f) {
                EXPECT_EQ(f.pixels, filled(f.pixels.size(), f.number));
                EXPECT_EQ(f.note, "frame " + std::to_string(f.number));
                EXPECT_EQ(f.number, count++);
                const std::lock_guard lock{what->mutex};
                if (what->keeps) what->frames.push_back(std::move(f));
            },
            [&](request<twice> r) {
                const blob bytes = r->bytes;
                EXPECT_EQ(blob{r->plain}, bytes);
                r.reply(std::vector<blob>{bytes, bytes});
            },
            [&](request<count_them> r) { r.reply(count); });
}

class BlobsBetweenNodes : public ::testing::TestWithParam<const char*> {
protected:
    // Two nodes with a link of that kind; on the upper one what the tree says.
    void start(const node_options& upper, supervisor_spec tree) {
        above_.emplace("above", upper);
        ASSERT_TRUE(above_->start(std::move(tree)));
        below_.emplace("below", below(above_->listening().at(0)));
        ASSERT_TRUE(below_->start(supervisor_spec{}));
    }
    supervisor_spec with_viewer() {
        supervisor_spec spec;
        spec.add(child("viewer", in_coroutine, viewer, &seen_).restarts(restart::temporary));
        return spec;
    }
    own_run_directory here_;
    seen seen_;
    std::optional<node> above_;
    std::optional<node> below_;
};

TEST_P(BlobsBetweenNodes, ArriveWholeInOrderAndComeBack) {
    ASSERT_NO_FATAL_FAILURE(start(listening_at(GetParam()), with_viewer()));
    play(*below_, [](actor<anything> self) -> task<> {
        auto to = co_await self.resolve<viewer_protocol>("/above/viewer");
        REQUIRE_OR_END(to);
        std::uint64_t number = 0;
        for (const std::size_t size : {0u, 1u, 4095u, 4096u, 5001u, 32'000u, 32'768u, 40'000u, 65'536u,
                                       300'001u, 1u << 20, 6'000'000u}) {
            const auto name = "frame " + std::to_string(number);
            EXPECT_EQ(co_await self.send_wait<frame>(*to, number, filled(size, number), name), errc::ok);
            ++number;
            const blob b = filled(size, number);
            auto both = co_await self.ask<twice>(*to, 60s, b, std::vector<std::byte>(b.begin(), b.end()));
            if (!both) ADD_FAILURE() << size << ": " << both.error().what();
            REQUIRE_OR_END(both && both->size() == 2);
            EXPECT_EQ(both->front(), b);
            EXPECT_EQ(both->back(), b);
        }
        auto count = co_await self.ask<count_them>(*to, 20s);
        REQUIRE_OR_END(count);
        EXPECT_EQ(*count, number);
    });
}

INSTANTIATE_TEST_SUITE_P(Kinds, BlobsBetweenNodes,
                         ::testing::Values("inproc://blobs", "unix://blobs", "tcp://127.0.0.1:0",
                                           "shm://blobs", "shm://blobs?ring=4KiB"));

// ---------------------------------------------------------------- lent

std::size_t base = 0;  // bytes of the arena that tests before this one have left lent for good

class Loans : public BlobsBetweenNodes {
protected:
    Loans() { base = detail::arena::open()->used(); }
    // Until all that was lent has come back, as `used` was before.
    static task<> until_back(actor<anything> self, std::size_t used) {
        while (detail::arena::open()->used() > used) co_await self.sleep(1ms);
    }
    struct viewing {
        ref<viewer_protocol> to;
        std::uint64_t number = 0;  // of the next frame
    };
    // The viewer, once its node has said that it reads here.
    static task<result<viewing>> until_lent(actor<anything> self, seen* what) {
        auto found = co_await self.resolve<viewer_protocol>("/above/viewer");
        if (!found) co_return found.error();
        const ref<viewer_protocol> to = *found;
        what->keep(true);
        std::uint64_t number = 0;
        for (bool lent = false; !lent;) {
            const std::size_t before = detail::arena::open()->used();
            const auto name = "frame " + std::to_string(number);
            EXPECT_EQ(self.send<frame>(to, number, filled(8192, number), name), errc::ok);
            ++number;
            auto count = co_await self.ask<count_them>(to, 20s);
            EXPECT_TRUE(count && *count == number);
            const std::lock_guard lock{what->mutex};
            lent = detail::arena::open()->used() > before;  // it is still held
            what->frames.clear();
        }
        co_await until_back(self, base);
        co_return viewing{to, number};
    }
};

TEST_F(Loans, AreReadWhereTheyWereWrittenAndComeBackWhenTheyAreDropped) {
    ASSERT_NO_FATAL_FAILURE(start(listening_at("shm://loans"), with_viewer()));
    play(
        *below_,
        [](actor<anything> self, seen* what) -> task<> {
            auto lent = co_await until_lent(self, what);
            REQUIRE_OR_END(lent);
            auto [to, number] = *lent;

            blob_buffer room{std::size_t{1} << 20};
            std::byte* const own = room.data();
            const blob pixels = filled(1 << 20, number);
            std::memcpy(own, pixels.data(), pixels.size());
            const auto name = "frame " + std::to_string(number);
            EXPECT_EQ(self.send<frame>(to, number, std::move(room).freeze(), name), errc::ok);
            auto count = co_await self.ask<count_them>(to, 20s);
            REQUIRE_OR_END(count);
            {
                const std::lock_guard lock{what->mutex};
                REQUIRE_OR_END(what->frames.size() == 1);
                const blob& there = what->frames[0].pixels;
                EXPECT_NE(there.data(), own) << "a mapping of its own";
                EXPECT_EQ(there, pixels);
                own[77] = ~own[77];  // which nobody should do, but a test
                EXPECT_EQ(there.data()[77], own[77]) << "it is the same memory";
            }
            const std::size_t held = detail::arena::open()->used();
            EXPECT_GE(held, std::size_t{2} << 20) << "what is lent is not used again";
            {
                const std::lock_guard lock{what->mutex};
                what->frames.clear();
            }
            co_await until_back(self, held - (std::size_t{1} << 20));
        },
        &seen_);
}

TEST_F(Loans, OfMessagesThatNobodyTakesComeBack) {
    ASSERT_NO_FATAL_FAILURE(start(listening_at("shm://loans"), with_viewer()));
    play(
        *below_,
        [](actor<anything> self, seen* what) -> task<> {
            auto lent = co_await until_lent(self, what);
            REQUIRE_OR_END(lent);
            auto [to, number] = *lent;
            what->keep(false);
            // No handler; and nobody there.
            const auto wrong = to.assume<protocol<unexpected, down>>();
            for (int i = 0; i < 10; ++i) EXPECT_EQ(self.send<unexpected>(wrong, filled(50'000, 1)), errc::ok);
            co_await until_back(self, base);
            self.kill(to);
            while (co_await self.ask<count_them>(to, 20s)) {
            }
            for (int i = 0; i < 10; ++i)
                EXPECT_EQ(self.send<frame>(to, 0u, filled(50'000, 1), "nobody"), errc::ok);
            co_await until_back(self, base);
        },
        &seen_);
}

task<> takes_anything(actor<anything> self, std::vector<std::string>* got, ref<viewer_protocol>* next) {
    while (auto m = co_await self.receive()) {
        if (const auto* f = m.get_if<frame>()) {
            got->push_back(f->pixels == filled(f->pixels.size(), f->number) ? "frame" : "other bytes");
            if (*next) EXPECT_EQ(self.send<frame>(*next, f->number, f->pixels, f->note), errc::ok);
        }
    }
}
task<> takes_values(actor<protocol<value>> self, std::vector<std::string>* got) {
    while (auto m = co_await self.receive())
        m.match([&](const value& v) {
            const auto* fields = v.get_if<value::record>();
            const auto* bytes = fields ? fields->fields.at(1).get_if<value::bytes>() : nullptr;
            const auto number = fields ? fields->fields.at(0).as<std::uint64_t>() : std::nullopt;
            const bool same = bytes && number && filled(bytes->size(), *number) == blob{*bytes};
            got->push_back(same ? "value" : "other bytes");
        });
}

TEST_F(Loans, ReachActorsThatNameNoTypesAsBytes) {
    std::vector<std::string> got_any;
    std::vector<std::string> got_values;
    ref<viewer_protocol> none;
    supervisor_spec spec = with_viewer();
    spec.add(child("any", in_coroutine, takes_anything, &got_any, &none));
    spec.add(child("values", in_coroutine, takes_values, &got_values));
    ASSERT_NO_FATAL_FAILURE(start(listening_at("shm://loans"), std::move(spec)));
    play(
        *below_,
        [](actor<anything> self, seen* what) -> task<> {
            auto lent = co_await until_lent(self, what);
            REQUIRE_OR_END(lent);
            auto [to, number] = *lent;
            auto any = co_await self.resolve<anything>("/above/any");
            auto values = co_await self.resolve<anything>("/above/values");
            REQUIRE_OR_END(any && values);
            for (int i = 0; i < 3; ++i) {
                EXPECT_EQ(self.send<frame>(*any, 9u, filled(70'000, 9), "a"), errc::ok);
                EXPECT_EQ(self.send<frame>(*values, 9u, filled(70'000, 9), "b"), errc::ok);
            }
            auto count = co_await self.ask<count_them>(to, 20s);
            EXPECT_TRUE(count);
            co_await until_back(self, base);
        },
        &seen_);
    below_->stop();
    above_->stop();
    EXPECT_EQ(got_any, (std::vector<std::string>{"frame", "frame", "frame"}));
    EXPECT_EQ(got_values, (std::vector<std::string>{"value", "value", "value"}));
}

TEST_F(Loans, AreCopiedWhenTheArenaIsFull) {
    ASSERT_NO_FATAL_FAILURE(start(listening_at("shm://loans"), with_viewer()));
    play(
        *below_,
        [](actor<anything> self, seen* what) -> task<> {
            auto lent = co_await until_lent(self, what);
            REQUIRE_OR_END(lent);
            auto [to, number] = *lent;
            std::vector<blob> all;
            std::uint64_t offset = 0;
            do all.push_back(filled(std::size_t{5} << 20, 0));
            while (detail::arena::open()->holds(all.back().bytes(), offset));
            while (detail::arena::open()->holds(all.emplace_back(filled(100'000, 0)).bytes(), offset)) {
            }
            // Wherever they lie, they arrive.
            for (int i = 0; i < 10; ++i, ++number) {
                const blob pixels = filled(100'000, number);
                EXPECT_FALSE(detail::arena::open()->holds(pixels.bytes(), offset));
                const auto name = "frame " + std::to_string(number);
                EXPECT_EQ(co_await self.send_wait<frame>(to, number, pixels, name), errc::ok);
            }
            auto count = co_await self.ask<count_them>(to, 20s);
            EXPECT_TRUE(count && *count == number);
            all.clear();
            {
                const std::lock_guard lock{what->mutex};
                what->frames.clear();
            }
            co_await until_back(self, base);
        },
        &seen_);
}

TEST_F(Loans, GoOnOverAnotherTransportWhenTheLinkIsSwapped) {
    node_options o = listening_at("shm://loans");
    o.network.listen.push_back("tcp://127.0.0.1:0");
    ASSERT_NO_FATAL_FAILURE(start(o, with_viewer()));
    play(
        *below_,
        [](actor<anything> self, seen* what, std::string by_tcp) -> task<> {
            auto lent = co_await until_lent(self, what);
            REQUIRE_OR_END(lent);
            auto [to, number] = *lent;
            const auto send_one = [&]() -> errc {
                const auto name = "frame " + std::to_string(number);
                const errc went = self.send<frame>(to, number, filled(200'000, number), name);
                ++number;
                return went;
            };
            // Lent while the first link is there, some of them before the second one takes over, some behind it.
            for (int i = 0; i < 20; ++i) EXPECT_EQ(send_one(), errc::ok);
            auto again = co_await self.resolve<viewer_protocol>(by_tcp + "/above/viewer");
            if (!again) ADD_FAILURE() << again.error().what();
            for (int i = 0; i < 20; ++i) EXPECT_EQ(send_one(), errc::ok);
            auto count = co_await self.ask<count_them>(to, 20s);
            if (!count) ADD_FAILURE() << count.error().what();
            EXPECT_TRUE(count && *count == number);
            EXPECT_GE(detail::arena::open()->used(), 40u * 200'000u) << "all of them are lent";
            {
                const std::lock_guard lock{what->mutex};
                EXPECT_EQ(what->frames.size(), 40u);
                what->frames.clear();
            }
            co_await until_back(self, base);
        },
        &seen_, above_->listening().at(1));
}

TEST_F(Loans, ThatAreHeldWhenTheLenderEndsStayAsTheyAre) {
    ASSERT_NO_FATAL_FAILURE(start(listening_at("shm://loans"), with_viewer()));
    std::uint64_t sent = 0;  // number of the frame that is held
    play(
        *below_,
        [](actor<anything> self, seen* what, std::uint64_t* held) -> task<> {
            auto lent = co_await until_lent(self, what);
            REQUIRE_OR_END(lent);
            auto [to, number] = *lent;
            const auto name = "frame " + std::to_string(number);
            EXPECT_EQ(self.send<frame>(to, number, filled(100'000, number), name), errc::ok);
            *held = number++;
            auto count = co_await self.ask<count_them>(to, 20s);
            EXPECT_TRUE(count && *count == number);
        },
        &seen_, &sent);
    below_.reset();
    std::vector<blob> more;  // would take that memory, if it were free
    for (int i = 0; i < 20; ++i) more.push_back(filled(100'000, 99));
    const std::lock_guard lock{seen_.mutex};
    ASSERT_EQ(seen_.frames.size(), 1u);
    EXPECT_EQ(seen_.frames[0].pixels, filled(100'000, sent));
    seen_.frames.clear();
}

}  // namespace
}  // namespace coppice::tests
