// Listening, connecting, refusing and giving up: what every kind of transport does before a link is there.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "conformance/party.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {
namespace {

class Connecting : public transport_test {};
INSTANTIATE_TEST_SUITE_P(S14_OnEvery, Connecting, ::testing::ValuesIn(kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Connecting, GivesALinkToBothSidesThatCarriesBytesBothWays) {
    join();
    a().send(bytes_of("there"));
    b().send(bytes_of("and back"));
    on->run_until([&] { return a().got.size() == 8 && b().got.size() == 5; });
    EXPECT_EQ(b().got, bytes_of("there"));
    EXPECT_EQ(a().got, bytes_of("and back"));
}

TEST_P(Connecting, CallsBackNeitherWithinListenNorWithinConnect) {
    listen();
    connect();
    EXPECT_TRUE(connected.empty());
    EXPECT_TRUE(accepted.empty());
    EXPECT_TRUE(failures.empty());
    on->run_until([&] { return connected.size() == 1 && accepted.size() == 1; });
}

TEST_P(Connecting, TellsWhoIsAtTheOtherEndAndHowWellThatIsKnown) {
    join();
    for (party* side : {&a(), &b()}) {
        const peer_identity& peer = side->link().peer();
        EXPECT_EQ(peer.by, k().proof);
        EXPECT_TRUE(peer.same_machine);
        EXPECT_FALSE(peer.address.empty());
        if (peer.by == peer_identity::proof::kernel || peer.by == peer_identity::proof::same_process) {
            EXPECT_EQ(peer.uid, ::geteuid());
            EXPECT_EQ(peer.pid, ::getpid());
        }
        if (peer.by == peer_identity::proof::certificate) {
            EXPECT_EQ(peer.subject, "node.test");
        }
    }
}

TEST_P(Connecting, KeepsWhatCameBeforeStart) {
    listen();
    connect();
    on->run_until([&] { return connected.size() == 1 && accepted.size() == 1; });
    a().send(bytes_of("early"));
    on->run_ready();
    b().start();
    on->run_until([&] { return b().got.size() == 5; });
    EXPECT_EQ(b().got, bytes_of("early"));
}

TEST_P(Connecting, IsUnreachableWhereNobodyListensAndNamesThePlace) {
    listen();
    const endpoint gone = target();
    listening.reset();
    connect(gone);
    EXPECT_TRUE(failures.empty()) << "told within connect()";
    on->run_until([&] { return !failures.empty() || !connected.empty(); });
    ASSERT_EQ(failures.size(), 1u);
    EXPECT_EQ(failures[0], errc::unreachable);
    EXPECT_NE(failures[0].text().find(gone.scheme + "://"), std::string_view::npos) << failures[0].what();
}

TEST_P(Connecting, RefusesASecondListenerAtTheSamePlaceAndTheFirstGoesOn) {
    listen();
    auto second = k().how->listen(*on, listening->where(), [](std::unique_ptr<byte_link>) { FAIL(); });
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error(), errc::name_taken) << second.error().what();
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
}

TEST_P(Connecting, CanListenAgainAtOnceWhereALinkStillLives) {
    join();
    const endpoint where = listening->where();
    listening.reset();
    listen(where);
    a().send(bytes_of("still here"));
    on->run_until([&] { return b().got.size() == 10; });
    connect();
    on->run_until([&] { return accepted.size() == 2 && connected.size() == 2; });
}

TEST_P(Connecting, RefusesAnOptionThatItDoesNotKnow) {
    for (const bool listens : {true, false}) {
        endpoint where = k().fresh();
        if (where.port == 0 && !where.options.contains("x") &&
            where.host.find_first_of(".:") != std::string::npos)
            where.port = 1;
        where.options["colour"] = "green";
        const error why =
            listens ? k().how->listen(*on, where, {}).error() : k().how->connect(*on, where, {}).error();
        EXPECT_EQ(why, errc::invalid_argument);
        EXPECT_NE(why.text().find("colour"), std::string_view::npos) << why.what();
    }
}

TEST_P(Connecting, MakesAHundredLinksAtOnceAndMixesNoneUp) {
    listen();
    constexpr std::size_t count = 100;
    for (std::size_t i = 0; i < count; ++i) connect();
    on->run_until([&] { return accepted.size() == count && connected.size() + failures.size() == count; });
    ASSERT_TRUE(failures.empty()) << failures[0].what();
    for (std::size_t i = 0; i < count; ++i) {
        accepted[i]->start();
        connected[i]->start();
        connected[i]->send(pattern(3000, i));
    }
    const auto all_got = [&](auto& side) {
        return std::all_of(side.begin(), side.end(), [](const auto& p) { return p->got.size() == 3000; });
    };
    on->run_until([&] { return all_got(accepted); });
    for (const auto& p : accepted) p->send(p->got);
    on->run_until([&] { return all_got(connected); });
    for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(connected[i]->got, pattern(3000, i));
}

// Every step of connecting is one handler, so giving up after each number of them meets every stage.
TEST_P(Connecting, ForgetsAnAttemptThatIsGivenUpAtAnyStage) {
    listen();
    bool through = false;
    for (int steps = 0; !through; ++steps) {
        ASSERT_LT(steps, 1000);
        const std::size_t before = connected.size();
        connect();
        for (int i = 0; i < steps && connected.size() == before; ++i) on->step();
        through = connected.size() != before;
        const std::size_t told = connected.size();
        attempts.clear();
        on->run_ready();
        EXPECT_EQ(connected.size(), told)
            << "called after the attempt was given up, after " << steps << " steps";
    }
    EXPECT_TRUE(failures.empty());
    // The listener has not suffered.
    const std::size_t before = connected.size();
    connect();
    on->run_until([&] { return connected.size() == before + 1; });
}

TEST_P(Connecting, ForgetsAListenerThatIsDestroyedAtAnyStage) {
    bool through = false;
    for (int steps = 0; !through; ++steps) {
        ASSERT_LT(steps, 1000);
        listen();
        connect();
        for (int i = 0; i < steps && accepted.empty(); ++i) on->step();
        through = !accepted.empty();
        const std::size_t told = accepted.size();
        listening.reset();
        on->run_until([&] { return connected.size() + failures.size() == 1; });
        on->run_ready();
        EXPECT_EQ(accepted.size(), told)
            << "called after the listener was destroyed, after " << steps << " steps";
        connected.clear();
        failures.clear();
        attempts.clear();
        accepted.clear();
        on->run_ready();
    }
}

TEST_P(Connecting, LetsTheListenerAndTheAttemptBeDestroyedWithinTheirOwnCallbacks) {
    auto made = k().how->listen(*on, k().fresh(), [this](std::unique_ptr<byte_link> link) {
        listening.reset();
        accepted.push_back(std::make_unique<party>(std::move(link)));
    });
    ASSERT_TRUE(made) << made.error().what();
    listening = std::move(*made);
    std::unique_ptr<attempt> trying;
    auto begun = k().how->connect(*on, target(), [&](result<std::unique_ptr<byte_link>> outcome) {
        trying.reset();
        ASSERT_TRUE(outcome) << outcome.error().what();
        connected.push_back(std::make_unique<party>(std::move(*outcome)));
    });
    ASSERT_TRUE(begun);
    trying = std::move(*begun);
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    a().start();
    b().start();
    a().send(bytes_of("still"));
    on->run_until([&] { return b().got.size() == 5; });
}

TEST_P(Connecting, LetsALinkBeDroppedWithinTheCallbackThatBringsIt) {
    auto made = k().how->listen(*on, k().fresh(), [](std::unique_ptr<byte_link>) {});
    ASSERT_TRUE(made);
    listening = std::move(*made);
    connect();
    on->run_until([&] { return connected.size() + failures.size() == 1; });
    if (connected.empty()) return;
    a().start();
    on->run_until([&] { return a().end.has_value(); });
}

// ---------------------------------------------------------------- strangers

// What a stranger sends before it is known: nothing, little, much; text, zeros, ones, noise.
std::vector<bytes> garbage() {
    std::vector<bytes> all{
        {}, bytes_of("x"), bytes_of("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), bytes(64), bytes(4096)};
    all.push_back(bytes(4096, std::byte{0xff}));
    for (std::size_t size = 1; size < 40'000; size = size * 3 + 1) all.push_back(pattern(size, size));
    return all;
}

bool gone(int fd) {
    char byte;
    const ssize_t n = ::recv(fd, &byte, 1, MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

// Reads what the listener has to say until it ends the connection.
void run_until_gone(io_reactor& on, int fd) {
    while (!gone(fd)) on.run_for(std::chrono::milliseconds{1});
}

TEST_P(Connecting, ClosesStrangersWhoSendGarbageWithoutAnEventAndServesTheNext) {
    if (!k().stranger) GTEST_SKIP() << "asks for nothing";
    listen();
    for (const bytes& what : garbage()) {
        const int fd = k().stranger(target());
        ASSERT_GE(fd, 0);
        on->run_ready();
        // The listener may have had enough before all is sent.
        static_cast<void>(::send(fd, what.data(), what.size(), MSG_NOSIGNAL));
        ::shutdown(fd, SHUT_WR);
        run_until_gone(*on, fd);
        ::close(fd);
    }
    EXPECT_TRUE(accepted.empty());
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
}

TEST_P(Connecting, EndsAStrangerWhoSaysNothing) {
    if (!k().stranger) GTEST_SKIP() << "asks for nothing";
    listen();
    const int fd = k().stranger(target());
    ASSERT_GE(fd, 0);
    run_until_gone(*on, fd);
    ::close(fd);
    EXPECT_TRUE(accepted.empty());
}

TEST_P(Connecting, ServesOthersOnceACrowdOfSilentStrangersHasLeft) {
    if (!k().stranger) GTEST_SKIP() << "asks for nothing";
    listen();
    std::vector<int> crowd;
    for (int i = 0; i < 100; ++i) {
        crowd.push_back(k().stranger(target()));
        ASSERT_GE(crowd.back(), 0);
        on->run_ready();
    }
    for (const int fd : crowd) ::close(fd);
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() + failures.size() == 1; });
    EXPECT_TRUE(failures.empty()) << failures[0].what();
}

// ---------------------------------------------------------------- no descriptors left

TEST_P(Connecting, GoesOnAcceptingOnceThereAreDescriptorsAgain) {
    if (sanitizer_needs_descriptors) GTEST_SKIP() << "the sanitizer itself needs descriptors";
    if (k().proof == peer_identity::proof::same_process) GTEST_SKIP() << "needs no descriptors";
    listen();
    // Whatever a link needs has been used once, so that only descriptors are missing below.
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    std::vector<int> crowd;
    const bool plain = !k().stranger;
    const endpoint where = target();
    for (int i = 0; plain && i < 4; ++i)
        crowd.push_back(where.scheme == "unix" ? plain_unix(test_directory() + "/" + where.host + ".sock")
                        : where.host == "127.0.0.1" ? plain_tcp(where.port)
                                                    : -1);
    if (!plain || crowd[0] < 0) GTEST_SKIP() << "has no plain connections";

    rlimit limit{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
    rlimit low = limit;
    low.rlim_cur = static_cast<rlim_t>(crowd.back()) + 1;
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    on->run_for(std::chrono::milliseconds{250});
    const std::size_t meanwhile = accepted.size();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
    EXPECT_EQ(meanwhile, 1u);
    on->run_until([&] { return accepted.size() == 5; });
    for (const int fd : crowd) ::close(fd);
}

// Lets this process have only so many more descriptors, for as long as it lives.
class few_descriptors {
public:
    explicit few_descriptors(unsigned more) {
        const int next = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        ::close(next);
        EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
        rlimit low = before_;
        low.rlim_cur = static_cast<rlim_t>(next) + more;
        EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &low), 0);
    }
    ~few_descriptors() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
    few_descriptors(const few_descriptors&) = delete;
    few_descriptors& operator=(const few_descriptors&) = delete;

private:
    rlimit before_{};
};

void expect_out_of_descriptors(const error& why) {
    EXPECT_EQ(why, errc::limit_reached) << why.what();
    EXPECT_NE(why.text().find("open files"), std::string_view::npos) << why.what();
}

TEST_P(Connecting, TellsThatDescriptorsRanOutWhenItIsToListenAndLeavesNothing) {
    if (sanitizer_needs_descriptors) GTEST_SKIP() << "the sanitizer itself needs descriptors";
    if (k().proof == peer_identity::proof::same_process) GTEST_SKIP() << "needs no descriptors";
    const endpoint where = k().fresh();
    unsigned more = 0;
    for (bool made = false; !made; ++more) {
        ASSERT_LT(more, 20u);
        const std::size_t before = open_descriptors();
        {
            const few_descriptors limited{more};
            auto outcome = k().how->listen(*on, where, [](std::unique_ptr<byte_link>) {});
            made = outcome.has_value();
            if (!made) expect_out_of_descriptors(outcome.error());
        }
        EXPECT_EQ(open_descriptors(), before);
    }
    EXPECT_GT(more, 1u) << "nothing was tried";
    listen(where);  // what was begun in vain is in nobody's way
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
}

// Both ends are in this process: with some of the limits the connector has enough and the listener has not.
TEST_P(Connecting, TellsThatDescriptorsRanOutWhenItIsToConnectOrWaitsWithoutSpinningUntilThereAreSome) {
    if (sanitizer_needs_descriptors) GTEST_SKIP() << "the sanitizer itself needs descriptors";
    if (k().proof == peer_identity::proof::same_process) GTEST_SKIP() << "needs no descriptors";
    listen();
    connect();  // whatever is opened once is opened
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    for (unsigned more = 0; more < 12; ++more) {
        const std::size_t before = connected.size();
        failures.clear();
        {
            const few_descriptors limited{more};
            auto begun = k().how->connect(*on, target(), [this](result<std::unique_ptr<byte_link>> outcome) {
                if (outcome) connected.push_back(std::make_unique<party>(std::move(*outcome)));
                else failures.push_back(outcome.error());
            });
            if (begun) attempts.push_back(std::move(*begun));
            else failures.push_back(begun.error());
            const std::size_t slept = on->sleeps();
            on->run_for(std::chrono::milliseconds{300});
            EXPECT_LT(on->sleeps() - slept, 200u) << "it spins";
        }
        on->run_until([&] { return connected.size() > before || !failures.empty(); });
        if (connected.size() > before) continue;
        // Without any the connector itself says so; else the listener may have, in its way.
        if (more == 0) expect_out_of_descriptors(failures[0]);
        EXPECT_TRUE(failures[0] == errc::limit_reached || failures[0] == errc::io ||
                    failures[0] == errc::unreachable)
            << failures[0].what();
    }
    const std::size_t before = connected.size();
    const std::size_t taken = accepted.size();
    failures.clear();
    connect();
    on->run_until(
        [&] { return (connected.size() > before && accepted.size() > taken) || !failures.empty(); });
    EXPECT_TRUE(failures.empty()) << failures[0].what();
}

}  // namespace
}  // namespace coppice::tests
