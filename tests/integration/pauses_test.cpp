// Processes that are stopped for longer than a link keeps silent. The others name the one that is stopped; it, when it goes on,
// notices first that it was itself that did not run, and holds nothing against its neighbours.
#include <string>
#include <thread>

#include "coppice/options.hpp"
#include "peers.hpp"

namespace coppice::tests::processes {
namespace {

class Pauses : public Processes {};

TEST_P(Pauses, OfOneProcessAreNamedByTheOtherAndNoticedByItselfBeforeItDeclaresAnybodyLost) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, false);
    start(0);
    start(1);
    await_traffic({0, 1});
    for (const std::size_t it : {0u, 1u}) {
        place& itself = of(it);
        place& other = of(1 - it);
        const std::uint64_t named = other.stopped;
        const std::uint64_t noticed = itself.pauses;
        const std::uint64_t silent = itself.silent;
        peers_[it].signal(SIGSTOP);
        await_that([&] { return other.stopped > named; });
        peers_[it].signal(SIGCONT);
        await_that([&] { return itself.pauses > noticed; });
        await_traffic({0, 1});
        EXPECT_EQ(itself.silent, silent) << "it took its own pause for the other's silence";
    }
    be_quiet({0, 1});
    await_that([&] { return of(1).arrived == of(0).sent && of(0).arrived == of(1).sent; });
    end_all();
    check_wrong();
    EXPECT_EQ(of(0).refused + of(1).refused, 0u);
    EXPECT_EQ(of(0).lives + of(1).lives, 2u);
}

// As of a machine that is suspended, or of a debugger that stops all.
TEST_P(Pauses, OfAllProcessesAtOnceLeaveTheirLinksUp) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, false);
    start(0);
    start(1);
    await_traffic({0, 1});
    const std::uint64_t down = of(0).links_down + of(1).links_down;
    for (const process& p : peers_) p.signal(SIGSTOP);
    std::this_thread::sleep_for(limits::silence + 2s);  // the pause itself, longer than a link may be silent
    for (const process& p : peers_) p.signal(SIGCONT);
    await_that([&] { return of(0).pauses > 0 && of(1).pauses > 0; });
    await_traffic({0, 1});
    EXPECT_EQ(of(0).silent + of(1).silent, 0u);
    EXPECT_EQ(of(0).links_down + of(1).links_down, down);
    be_quiet({0, 1});
    await_that([&] { return of(1).arrived == of(0).sent && of(0).arrived == of(1).sent; });
    end_all();
    check_wrong();
    EXPECT_EQ(of(0).refused + of(1).refused, 0u);
}

INSTANTIATE_TEST_SUITE_P(Over, Pauses, ::testing::Values("unix", "tcp", "tls", "shm", "pipe"),
                         [](const auto& one) { return std::string{one.param}; });

}  // namespace
}  // namespace coppice::tests::processes
