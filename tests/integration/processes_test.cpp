// Nodes in processes of their own, over every transport that leads from one process to another: kill -9 of either peer
// and of a relay under load, kill -STOP for longer than a link keeps silent, names that are free again at once,
// nothing left behind.
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <set>
#include <string>

#include "peers.hpp"

namespace coppice::tests::processes {
namespace {

constexpr int rounds_of_kills = slow_build ? 8 : 24;

TEST(ReservedPorts, AreAListenersAndNoOtherTests) {
    const std::uint16_t port = reserved_port();
    const sockaddr_in at = loopback(port);
    const int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_NE(::bind(other, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ::close(other);
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int shared = 1;
    EXPECT_EQ(::setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &shared, sizeof shared), 0);
    EXPECT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(listener, 1), 0);
    ::close(listener);
    EXPECT_NE(reserved_port(), port);
}

TEST_P(Processes, TalkBothWaysAndEndTidily) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, false);
    start(1);  // the lower one first: it waits for the other
    await_up(1);
    start(0);
    await_traffic({0, 1}, 5000);
    be_quiet({0, 1});
    await_that([&] { return of(1).arrived == of(0).sent && of(0).arrived == of(1).sent; });
    end_all();
    check_wrong();
    check_nothing_left();
}

// The one that was killed is started again under its name at once.
TEST_P(Processes, SurviveKillsOfEitherPeerUnderLoadAndTheSurvivorIsToldEachTime) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, true);
    start(0);
    start(1);
    await_up(0);
    await_up(1);
    for (int round = 0; round < rounds_of_kills; ++round) {
        await_traffic({0, 1});
        pause(30);
        const std::size_t victim = random_() % 2;
        const std::size_t survivor = 1 - victim;
        place& s = of(survivor);
        const std::uint64_t downs = s.downs;
        const std::uint64_t silent = s.silent_ended;
        const bool at_once = random_() % 2 == 0;
        peers_[victim].end_at_once();
        if (at_once) start(victim);
        // Told by the death itself, or by the next one of that name: in any case long before the hold time.
        await_that([&] { return s.downs > downs && s.silent_ended > silent; });
        if (!at_once) start(victim);
        await_up(victim);
        if (HasFailure()) break;
    }
    await_traffic({0, 1});
    EXPECT_EQ(of(0).names_taken + of(1).names_taken, 0u) << "a name was not free at once";
    be_quiet({0, 1});
    end_all();
    for (const std::size_t i : {0u, 1u})
        std::printf(
            "%s: lives %llu, arrived %llu, answered %llu, asks lost %llu, downs %llu\n",
            plan_[i].name.c_str(), static_cast<unsigned long long>(of(i).lives),
            static_cast<unsigned long long>(of(i).arrived), static_cast<unsigned long long>(of(i).answered),
            static_cast<unsigned long long>(of(i).lost), static_cast<unsigned long long>(of(i).downs));
    check_wrong();
    check_nothing_left();
}

TEST_P(Processes, LoseNothingWhenOneIsStoppedForLongerThanALinkKeepsSilent) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, false);
    start(0);
    start(1);
    await_traffic({0, 1});
    for (const std::size_t stopped : {0u, 1u}) {
        const std::uint64_t before = of(1 - stopped).links_down;
        peers_[stopped].signal(SIGSTOP);
        await_that([&] { return of(1 - stopped).links_down > before; });
        pause(500);
        peers_[stopped].signal(SIGCONT);
        await_traffic({0, 1});
    }
    be_quiet({0, 1});
    await_that([&] { return of(1).arrived == of(0).sent && of(0).arrived == of(1).sent; });
    end_all();
    check_wrong();
    EXPECT_EQ(of(0).refused + of(1).refused, 0u);
    check_nothing_left();
}

TEST_P(Processes, LoseNothingBetweenTwoLeavesWhileTheirRelayIsKilledAgainAndAgain) {
    plan({{"relay", true, ""}, {"left", false, "right"}, {"right", false, "left"}}, false);
    for (const std::size_t i : {0u, 1u, 2u}) start(i);
    for (int round = 0; round < rounds_of_kills / 2; ++round) {
        await_traffic({1, 2});
        pause(30);
        peers_[0].end_at_once();
        if (random_() % 2) pause(100);
        start(0);
        if (HasFailure()) break;
    }
    await_traffic({1, 2});
    be_quiet({1, 2});
    await_that([&] { return of(1).arrived == of(2).sent && of(2).arrived == of(1).sent; });
    end_all();
    std::printf("arrived %llu and %llu; asks that were told `unreachable`: %llu\n",
                static_cast<unsigned long long>(of(1).arrived),
                static_cast<unsigned long long>(of(2).arrived),
                static_cast<unsigned long long>(of(1).unreachable + of(2).unreachable));
    check_wrong();
    EXPECT_EQ(of(1).refused + of(2).refused, 0u);
    EXPECT_EQ(of(0).lives, static_cast<std::uint64_t>(rounds_of_kills / 2 + 1));
    check_nothing_left();
}

// Their relay sees the death, and tells the whole tree; who depends on the dead one does not wait for the hold time.
TEST_P(Processes, AreToldAtOnceWhenOneDiesBehindARelay) {
    plan({{"relay", true, ""}, {"left", false, "right"}, {"right", false, "left"}}, true);
    for (const std::size_t i : {0u, 1u, 2u}) start(i);
    for (int round = 0; round < rounds_of_kills / 2; ++round) {
        await_traffic({1, 2});
        pause(30);
        const std::size_t victim = 1 + random_() % 2;
        place& s = of(3 - victim);
        const std::uint64_t downs = s.downs;
        const std::uint64_t silent = s.silent_ended;
        peers_[victim].end_at_once();
        await_that([&] { return s.downs > downs && s.silent_ended > silent; });
        start(victim);
        await_up(victim);
        if (HasFailure()) break;
    }
    await_traffic({1, 2});
    be_quiet({1, 2});
    end_all();
    check_wrong();
    check_nothing_left();
}

// What the relay listened on stays until the next one of its name comes.
TEST_P(Processes, GoOnByTheirShortcutWithoutLossWhenTheirRelayIsKilledForGood) {
    plan({{"relay", true, ""},
          {"left", false, "right", "", "", another_uri("left")},
          {"right", false, "left", "", "", another_uri("right")}},
         false);
    for (const std::size_t i : {0u, 1u, 2u}) start(i);
    await_traffic({1, 2});
    await_that([&] { return of(1).shortcuts > 0 && of(2).shortcuts > 0; });
    pause(30);
    peers_[0].end_at_once();
    await_traffic({1, 2}, 5000);
    be_quiet({1, 2});
    await_that([&] { return of(1).arrived == of(2).sent && of(2).arrived == of(1).sent; });
    end_all();
    check_wrong();
    EXPECT_EQ(of(1).refused + of(2).refused, 0u);
}

TEST_P(Processes, LoseNothingWhileRelaysAreKilledAndShortcutsAreMadeAnew) {
    plan({{"relay", true, ""},
          {"left", false, "right", "", "", another_uri("left")},
          {"right", false, "left", "", "", another_uri("right")}},
         false);
    for (const std::size_t i : {0u, 1u, 2u}) start(i);
    for (int round = 0; round < rounds_of_kills / 4; ++round) {
        await_traffic({1, 2});
        pause(30);
        peers_[0].end_at_once();  // before, while or after the two are introduced
        start(0);
        if (HasFailure()) break;
    }
    await_that([&] { return of(1).shortcuts > 0 && of(2).shortcuts > 0; });
    await_traffic({1, 2});
    be_quiet({1, 2});
    await_that([&] { return of(1).arrived == of(2).sent && of(2).arrived == of(1).sent; });
    end_all();
    check_wrong();
    EXPECT_EQ(of(1).refused + of(2).refused, 0u);
    check_nothing_left();
}

class O2 : public Processes {};

TEST_P(O2, ADuplicateOfALivingProcessIsRefusedAndTakesItsPlaceAtOnceAfterAKill) {
    plan({{"upper", true, ""}, {"lower", false, "upper"}, {"lower", false, "upper"}}, true);
    start(0);
    start(1);
    await_that([&] { return of(1).answered >= 3; });
    start(2);
    await_that([&] { return of(2).names_taken > 0; });
    const std::uint64_t answered = of(1).answered + 3;
    await_that([&] { return of(1).answered >= answered; });  // the first one is not disturbed
    EXPECT_EQ(of(2).answered, 0u);
    peers_[1].end_at_once();
    await_that([&] { return of(2).answered >= 3; });
    peers_[2].end_at_once();
    for (int round = 0; round < 5; ++round) {
        const std::uint64_t refused_before = of(1).names_taken;
        const std::uint64_t before = of(1).answered + 3;
        start(1);
        await_that([&] { return of(1).answered >= before; });
        EXPECT_EQ(of(1).names_taken, refused_before) << "it was not free at once";
        peers_[1].end_at_once();
    }
    end_all();
    check_wrong();
    check_nothing_left();
}

class O11 : public Processes {};

TEST_P(O11, AStartAfterKillsAtAnyMomentNeedsNoCleaningUpAndTouchesNothingOfOthers) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, true);
    for (int round = 0; round < rounds_of_kills; ++round) {  // from before they listen to after they talk
        start(random_() % 2);
        pause(10);
        for (const std::size_t i : {0u, 1u})
            if (!peers_[i].runs()) start(i);
        pause(60);
        for (process& p : peers_) p.end_at_once();
    }
    start(0);
    start(1);
    await_traffic({0, 1});
    be_quiet({0, 1});
    end_all();
    check_wrong();
    check_nothing_left();
}

const auto by_kind = [](const auto& one) { return std::string{one.param}; };
constexpr std::array kinds{"unix", "tcp", "tls", "shm", "pipe"};
INSTANTIATE_TEST_SUITE_P(Over, Processes, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Over, O2, ::testing::ValuesIn(kinds), by_kind);
INSTANTIATE_TEST_SUITE_P(Over, O11, ::testing::ValuesIn(kinds), by_kind);

class LeftPipes : public Processes {
protected:
    // A connector's own two pipes are named after the access pipe that it came to; a living one has "down" locked.
    [[nodiscard]] std::string pipe_of(const std::string& place, char who, const char* suffix) const {
        return run_ / (place + ".pipe." + std::string(32, who) + suffix);
    }
    void leave_pipes(const std::string& place, char who) const {
        for (const char* suffix : {".up", ".down"})
            ASSERT_EQ(::mkfifo(pipe_of(place, who, suffix).c_str(), 0600), 0);
    }
    [[nodiscard]] int pipes_there(const std::string& place, char who) const {
        return std::filesystem::exists(pipe_of(place, who, ".up")) +
               std::filesystem::exists(pipe_of(place, who, ".down"));
    }
};

TEST_P(LeftPipes, O11_AStartRemovesThePipesOfADeadConnectorToItsPlaceAndNoOthers) {
    plan({{"upper", true, "lower"}, {"lower", false, "upper"}}, false);
    leave_pipes("middle", 'a');
    leave_pipes("middle", 'b');
    leave_pipes("elsewhere", 'a');
    const int living = ::open(pipe_of("middle", 'b', ".down").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ASSERT_EQ(::flock(living, LOCK_EX | LOCK_NB), 0);
    start(0);
    start(1);
    await_traffic({0, 1});
    EXPECT_EQ(pipes_there("middle", 'a'), 0);
    EXPECT_EQ(pipes_there("middle", 'b'), 2);
    EXPECT_EQ(pipes_there("elsewhere", 'a'), 2);
    be_quiet({0, 1});
    end_all();
    EXPECT_EQ(pipes_there("middle", 'b'), 2);
    EXPECT_EQ(pipes_there("elsewhere", 'a'), 2);
    ::close(living);
    check_wrong();
}

INSTANTIATE_TEST_SUITE_P(Over, LeftPipes, ::testing::Values("pipe"), by_kind);

}  // namespace
}  // namespace coppice::tests::processes
