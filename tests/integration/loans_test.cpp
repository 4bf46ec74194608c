// Blobs that another process reads where they are: what is lent comes back when that process is killed, and not before it has
// ended; and what it reads stays as it is when the lender is killed.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "arena.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

struct frame {
    std::uint64_t number = 0;
    blob pixels;
};
struct how_many {
    using reply = std::uint64_t;
};
using keeper_protocol = protocol<frame, how_many>;

constexpr std::size_t frame_bytes = 100'000;

coppice::detail::arena* own_arena() { return coppice::detail::arena::open(); }

blob pixels_of(std::uint64_t number) {
    blob_buffer room{frame_bytes};
    for (std::size_t i = 0; i < frame_bytes; ++i)
        room.data()[i] = static_cast<std::byte>(i * 31 + number * 7);
    return std::move(room).freeze();
}

struct told {
    std::atomic<std::uint64_t> kept, wrong, looks, end;
};

bool all_right(const std::vector<frame>& frames) {
    return std::ranges::all_of(frames, [](const frame& f) { return f.pixels == pixels_of(f.number); });
}

// Keeps what it gets, and looks at it again and again.
task<> keeper(actor<keeper_protocol> self, told* say) {
    std::vector<frame> frames;
    while (!say->end) {
        auto m = co_await self.receive(20ms);
        if (self.stopping()) break;
        if (m)
            m->match([&](frame& f) { frames.push_back(std::move(f)); },
                     [&](request<how_many> r) { r.reply(frames.size()); });
        if (!all_right(frames)) ++say->wrong;
        say->kept = frames.size();
        ++say->looks;
    }
}

node_options options_of(const std::string& directory) {
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);
    node_options o = quiet(1);
    o.network.hold = 200ms;
    return o;
}

int run_borrower() {
    const shared<told> say{word("TOLD")};
    node_options o = options_of(word("RUN"));
    o.network.parent = "shm://lender";
    node here{"borrower", o};
    supervisor_spec tree;
    tree.add(child("keeper", in_coroutine, keeper, &*say).restarts(restart::temporary).significant());
    if (!here.start(std::move(tree))) return 1;
    here.wait();
    return 0;
}
const bool borrower_role = add_role("borrower", run_borrower);

task<> lend_frames(actor<anything> self, std::string to_whom, std::uint64_t count) {
    result<ref<keeper_protocol>> to = errc::timeout;
    while (!(to = co_await self.resolve<keeper_protocol>(to_whom))) co_await self.sleep(5ms);
    // Until it has said that it reads here, copies are sent; those it keeps as well.
    std::uint64_t number = 0;
    const std::size_t before = own_arena()->used();
    for (std::uint64_t lent = 0; lent < count;) {
        const std::size_t used = own_arena()->used();
        EXPECT_EQ(co_await self.send_wait<frame>(*to, number, pixels_of(number)), errc::ok);
        ++number;
        auto kept = co_await self.ask<how_many>(*to, 60s);
        if (!kept) ADD_FAILURE() << kept.error().what();
        REQUIRE_OR_END(kept);
        EXPECT_EQ(*kept, number);
        if (own_arena()->used() > used) ++lent;
    }
    EXPECT_GE(own_arena()->used(), before + count * frame_bytes);
}

class LoansBetweenProcesses : public ::testing::Test {
protected:
    [[nodiscard]] process borrower() const {
        return {"borrower", {{"RUN", directory_}, {"TOLD", say_.handle()}}};
    }

    const own_directory own_;
    const std::string directory_ = own_.path();
    shared<told> say_;
};

TEST_F(LoansBetweenProcesses, ComeBackWhenTheBorrowerIsKilledAndNotBefore) {
    node_options o = options_of(directory_);
    o.network.listen = {"shm://lender"};
    node lender{"lender", o};
    ASSERT_TRUE(lender.start(supervisor_spec{}));
    for (const bool stopped : {false, true}) {
        const std::size_t before = own_arena()->used();
        process peer = borrower();
        play(lender, lend_frames, std::string{"/borrower/keeper"}, std::uint64_t{10});
        EXPECT_EQ(say_->wrong, 0u);
        const std::size_t held = own_arena()->used();
        if (stopped) {
            // It counts as lost after a while, but it may go on at any time, and look at what it has.
            play(
                lender,
                [](actor<anything> self, const process* it) -> task<> {
                    auto to = co_await self.resolve<keeper_protocol>("/borrower/keeper");
                    REQUIRE_OR_END(to);
                    it->signal(SIGSTOP);
                    siginfo_t stopped_now{};  // a signal takes effect some time after it was sent
                    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(it->id()), &stopped_now, WSTOPPED), 0);
                    auto kept = co_await self.ask<how_many>(*to, 1h);
                    EXPECT_EQ(kept.error(), errc::node_lost);
                },
                &peer);
            EXPECT_GE(own_arena()->used(), held) << "its process lives";
            std::vector<blob> others;
            for (std::uint64_t n = 0; n < 20; ++n) others.push_back(pixels_of(n + 1000));
            const std::uint64_t looks = say_->looks;
            peer.signal(SIGCONT);
            await_that([&] { return say_->looks > looks + 2; });
            EXPECT_EQ(say_->wrong, 0u);
        }
        peer.end_at_once();
        await_that([&] { return own_arena()->used() == before; });
    }
}

}  // namespace
}  // namespace coppice::tests
