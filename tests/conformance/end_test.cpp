// How links end: politely, within events, by the death of the other process; what still arrives, and what is left
// behind.
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conformance/party.hpp"

namespace coppice::tests {
namespace {

class Ending : public transport_test {};
INSTANTIATE_TEST_SUITE_P(S14_OnEvery, Ending, ::testing::ValuesIn(kinds()),
                         [](const auto& info) { return info.param.name; });

TEST_P(Ending, TellsTheOtherSideThatThePeerClosedProperly) {
    join();
    b().close();
    on->run_until([&] { return a().end.has_value(); });
    EXPECT_EQ(*a().end, errc::closed) << a().end->what();
}

TEST_P(Ending, TellsTheListenersSideToo) {
    join();
    a().close();
    on->run_until([&] { return b().end.has_value(); });
    EXPECT_EQ(*b().end, errc::closed) << b().end->what();
}

TEST_P(Ending, OfBothSidesAtOnceGivesNeitherAnEvent) {
    join();
    a().close();
    b().close();
    on->run_for(std::chrono::milliseconds{20});
    EXPECT_FALSE(a().end);
    EXPECT_FALSE(b().end);
}

TEST_P(Ending, TwiceIsOnce) {
    join();
    a().close();
    a().close();
    connected.clear();
    on->run_until([&] { return b().end.has_value(); });
}

TEST_P(Ending, GivesNoRoomAfterwards) {
    join();
    a().close();
    EXPECT_TRUE(a().reserve(8).empty());
    a().flush();
    on->run_until([&] { return b().end.has_value(); });
    EXPECT_TRUE(b().reserve(8).empty());
    b().flush();
    b().close();
}

TEST_P(Ending, OfALinkThatWasNeverStartedIsTold) {
    listen();
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    a().start();
    accepted.clear();
    on->run_until([&] { return a().end.has_value(); });
    EXPECT_EQ(*a().end, errc::closed) << a().end->what();
}

TEST_P(Ending, ComesAfterEverythingThatWasFlushed) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, std::size_t{300'000}}) {
        SCOPED_TRACE(size);
        join();
        const bytes all = pattern(size, size);
        a().send(all);
        on->run_until([&] { return a().sent(); });
        a().close();
        connected.clear();
        on->run_until([&] { return b().end.has_value(); });
        EXPECT_EQ(b().got.size(), size);
        EXPECT_TRUE(b().got == all);
        EXPECT_EQ(*b().end, errc::closed) << b().end->what();
        listening.reset();
        accepted.clear();
        attempts.clear();
        on->run_ready();
    }
}

// Input that the closing side never looked at must not turn what it flushed into a reset.
TEST_P(Ending, LosesNothingFlushedAlthoughTheClosingSideHasInputThatItDidNotRead) {
    join();
    b().send(pattern(100'000, 1));
    const bytes last = pattern(100'000, 2);
    a().send(last);
    on->run_until([&] { return a().sent(); });
    a().close();
    on->run_until([&] { return b().end.has_value(); });
    EXPECT_TRUE(b().got == last) << b().got.size();
    EXPECT_EQ(*b().end, errc::closed) << b().end->what();
}

TEST_P(Ending, ReachesAReaderThatStartsLate) {
    listen();
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
    a().send(pattern(50'000, 9));
    connected.clear();
    on->run_for(std::chrono::milliseconds{20});
    b().start();
    on->run_until([&] { return b().end.has_value(); });
    EXPECT_TRUE(b().got == pattern(50'000, 9)) << b().got.size();
    EXPECT_EQ(*b().end, errc::closed) << b().end->what();
}

TEST_P(Ending, WithinReceivedIsTheLastThatHappens) {
    join();
    int events = 0;
    b().receive = [&](std::span<const std::byte> shown) {
        ++events;
        b().close();
        // What was shown is still there.
        std::size_t sum = 0;
        for (const std::byte x : shown) sum += static_cast<std::size_t>(x);
        EXPECT_NE(sum, 0u);
        return shown.size();
    };
    a().send(pattern(200'000, 5));
    on->run_until([&] { return a().end.has_value(); });
    EXPECT_EQ(events, 1);
}

TEST_P(Ending, WithinReceivedAfterAnAnswerDeliversTheAnswer) {
    join();
    b().receive = [&](std::span<const std::byte> shown) {
        b().send(bytes_of("goodbye"));
        b().close();
        return shown.size();
    };
    a().send(bytes_of("hello"));
    on->run_until([&] { return a().end.has_value(); });
    EXPECT_EQ(a().got, bytes_of("goodbye"));
    EXPECT_EQ(*a().end, errc::closed) << a().end->what();
}

TEST_P(Ending, WithinWritableIsTheLastThatHappens) {
    join();
    bool closed = false;
    a().room = [&] {
        a().close();
        closed = true;
    };
    for (;;) {
        const auto room = a().reserve(4096);
        if (room.empty()) break;
        a().commit(4096);
    }
    a().flush();
    on->run_until([&] { return closed && b().end.has_value(); });
    EXPECT_EQ(a().writable_events, 1u);
}

TEST_P(Ending, WithinReceivedOfBothSidesAtOnceLeavesNothingBehind) {
    for (int n = 0; n < 20; ++n) {
        join();
        bool over[2] = {false, false};
        a().receive = [&](std::span<const std::byte> shown) {
            return a().close(), over[0] = true, shown.size();
        };
        b().receive = [&](std::span<const std::byte> shown) {
            return b().close(), over[1] = true, shown.size();
        };
        a().over = [&] { over[0] = true; };
        b().over = [&] { over[1] = true; };
        a().send(pattern(100, 1));
        b().send(pattern(100, 2));
        on->run_until([&] { return over[0] && over[1]; });
        listening.reset();
        connected.clear();
        accepted.clear();
        attempts.clear();
        on->run_ready();
    }
}

TEST_P(Ending, ByDestructionAtAnyStageOfATalkIsFoundByTheOtherSide) {
    for (int steps = 0; steps < 40; ++steps) {
        join();
        a().send(pattern(1'000'000, 1));
        b().send(pattern(1'000'000, 2));
        for (int i = 0; i < steps && !(a().got.size() == 1'000'000 && b().got.size() == 1'000'000); ++i)
            on->step();
        connected.clear();
        on->run_until([&] { return b().end.has_value(); });
        listening.reset();
        accepted.clear();
        attempts.clear();
        on->run_ready();
    }
}

// ---------------------------------------------------------------- the other process dies

// A child process that runs `body` and must not return into the test.
pid_t in_child(const std::function<void()>& body) {
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::signal(SIGABRT, SIG_DFL);
    body();
    ::_exit(0);
}

void expect_death(const kind& k, const error& why) {
    if (k.tells_death) {
        EXPECT_EQ(why, errc::io) << why.what();
    } else {
        EXPECT_TRUE(why == errc::closed || why == errc::io) << why.what();
    }
}

TEST_P(Ending, ByTheDeathOfTheOtherProcessComesAfterWhatItHadSent) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    for (const bool killed : {true, false}) {
        SCOPED_TRACE(killed ? "SIGKILL" : "_exit");
        listen();
        const endpoint to = target();
        const pid_t child = in_child([&] {
            io_reactor own;
            std::unique_ptr<party> side;
            auto begun = k().how->connect(own, to, [&](result<std::unique_ptr<byte_link>> outcome) {
                if (!outcome) ::_exit(3);
                side = std::make_unique<party>(std::move(*outcome));
                side->start();
                side->send(pattern(50'000, 4));
            });
            own.run_until([&] { return side && side->got.size() == 3; });  // the parent's "die"
            if (killed) ::kill(::getpid(), SIGKILL);
            ::_exit(0);
        });
        ASSERT_GT(child, 0);
        on->run_until([&] { return accepted.size() == 1; });
        b().start();
        on->run_until([&] { return b().got.size() == 50'000; });
        EXPECT_TRUE(b().got == pattern(50'000, 4));
        b().send(bytes_of("die"));
        on->run_until([&] { return b().end.has_value(); });
        expect_death(k(), *b().end);
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(WIFSIGNALED(status), killed) << status;
        listening.reset();
        accepted.clear();
    }
}

TEST_P(Ending, ByADeathInTheMiddleOfWritingShowsAPrefixAndThenTheEnd) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    for (int n = 0; n < 5; ++n) {
        listen();
        const endpoint to = target();
        const pid_t child = in_child([&] {
            io_reactor own;
            std::unique_ptr<party> side;
            auto begun = k().how->connect(own, to, [&](result<std::unique_ptr<byte_link>> outcome) {
                if (!outcome) ::_exit(3);
                side = std::make_unique<party>(std::move(*outcome));
                side->start();
                side->send(pattern(std::size_t{32} << 20, 4));
            });
            own.run_until([] { return false; });
        });
        ASSERT_GT(child, 0);
        on->run_until([&] { return accepted.size() == 1; });
        b().start();
        const std::size_t enough = 1 + static_cast<std::size_t>(n) * 1'000'000;
        on->run_until([&] { return b().got.size() >= enough || b().end; });
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        on->run_until([&] { return b().end.has_value(); });
        expect_death(k(), *b().end);
        const bytes all = pattern(std::size_t{32} << 20, 4);
        ASSERT_LE(b().got.size(), all.size());
        EXPECT_TRUE(std::equal(b().got.begin(), b().got.end(), all.begin()));
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        listening.reset();
        accepted.clear();
    }
}

TEST_P(Ending, IsFoundByAWriterWhosePeerDiedWithoutReading) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    listen();
    const endpoint to = target();
    const pid_t child = in_child([&] {
        io_reactor own;
        std::unique_ptr<byte_link> link;
        auto begun = k().how->connect(own, to, [&](result<std::unique_ptr<byte_link>> outcome) {
            if (!outcome) ::_exit(3);
            link = std::move(*outcome);
        });
        own.run_until([] { return false; });
    });
    ASSERT_GT(child, 0);
    on->run_until([&] { return accepted.size() == 1; });
    b().start();
    b().send(pattern(std::size_t{16} << 20, 1));
    on->run_for(std::chrono::milliseconds{20});
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    on->run_until([&] { return b().end.has_value(); });
    EXPECT_TRUE(b().reserve(8).empty());
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
}

TEST_P(Ending, OfTheListenersProcessLeavesThePlaceFreeForTheNext) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    listen();
    const endpoint where = listening->where();
    listening.reset();
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t child = in_child([&] {
        io_reactor own;
        auto made = k().how->listen(own, where, [](std::unique_ptr<byte_link>) {});
        const char answer = made ? 'y' : 'n';
        if (::write(ready[1], &answer, 1) != 1) ::_exit(3);
        own.run_until([] { return false; });
    });
    char answer = 0;
    ASSERT_EQ(::read(ready[0], &answer, 1), 1);
    ::close(ready[0]);
    ::close(ready[1]);
    EXPECT_EQ(answer, 'y');
    EXPECT_EQ(k().how->listen(*on, where, {}).error(), errc::name_taken);
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    listen(where);
    connect();
    on->run_until([&] { return accepted.size() == 1 && connected.size() == 1; });
}

// ---------------------------------------------------------------- half there

// A peer that is stopped takes nothing and says nothing; it has not gone, so nothing is lost.
TEST_P(Ending, DoesNotComeOfAPeerThatIsStoppedAndGoesOnLater) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    listen();
    const endpoint to = target();
    constexpr std::size_t size = std::size_t{8} << 20;
    const pid_t child = in_child([&] {
        io_reactor own;
        std::unique_ptr<party> side;
        auto begun = k().how->connect(own, to, [&](result<std::unique_ptr<byte_link>> outcome) {
            if (!outcome) ::_exit(3);
            side = std::make_unique<party>(std::move(*outcome));
            side->start();
            side->send(bytes_of("here"));
        });
        own.run_until([&] { return side && side->got.size() == size; });
        side->send(side->got == pattern(size, 6) ? bytes_of("good") : bytes_of("bad!"));
        own.run_until([&] { return side->end.has_value(); });
    });
    ASSERT_GT(child, 0);
    on->run_until([&] { return accepted.size() == 1; });
    b().start();
    on->run_until([&] { return b().got.size() == 4; });
    ASSERT_EQ(::kill(child, SIGSTOP), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, WUNTRACED), child);
    ASSERT_TRUE(WIFSTOPPED(status));
    b().send(pattern(size, 6));
    on->run_for(std::chrono::milliseconds{100});
    EXPECT_FALSE(b().end) << b().end->what();
    EXPECT_FALSE(b().sent()) << "8 MiB are more than may be on the way";
    ASSERT_EQ(::kill(child, SIGCONT), 0);
    on->run_until([&] { return b().got.size() == 8 || b().end; });
    EXPECT_EQ(b().got, bytes_of("heregood"));
    b().close();
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
}

// A peer that has said its last word and still listens, as shutdown(SHUT_WR) makes one: that is the end, after what it
// said.
TEST_P(Ending, ComesWhenThePeerHasFinishedWritingAlthoughItStillReads) {
    const bool by_path = k().name == "unix";
    if (!by_path && k().name != "tcp") GTEST_SKIP() << "has no plain connections";
    listen();
    const endpoint where = target();
    const int fd =
        by_path ? plain_unix(test_directory() + "/" + where.host + ".sock") : plain_tcp(where.port);
    ASSERT_GE(fd, 0);
    const bytes last = bytes_of("last words");
    ASSERT_EQ(::send(fd, last.data(), last.size(), MSG_NOSIGNAL), static_cast<ssize_t>(last.size()));
    ASSERT_EQ(::shutdown(fd, SHUT_WR), 0);
    on->run_until([&] { return accepted.size() == 1; });
    b().start();
    on->run_until([&] { return b().end.has_value(); });
    EXPECT_EQ(b().got, last);
    EXPECT_EQ(*b().end, errc::closed) << b().end->what();
    ::close(fd);
}

// ---------------------------------------------------------------- death while connecting

constexpr int got_through = 7;  // a child's exit code: it was connected before it came to its death

TEST_P(Ending, OfAProcessAtAnyStageOfItsConnectingLeavesTheListenerWell) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    listen();
    const endpoint to = target();
    for (int steps = 0, through = 0; !through; ++steps) {
        ASSERT_LT(steps, 100);
        const pid_t child = in_child([&] {
            io_reactor own;
            std::unique_ptr<byte_link> link;
            auto begun = k().how->connect(own, to, [&](result<std::unique_ptr<byte_link>> outcome) {
                if (!outcome) ::_exit(3);
                link = std::move(*outcome);
            });
            for (int i = 0; i < steps && !link; ++i) own.step();
            if (link) ::_exit(got_through);
            ::kill(::getpid(), SIGKILL);
        });
        ASSERT_GT(child, 0);
        int status = 0;
        pid_t ended = 0;
        while ((ended = ::waitpid(child, &status, WNOHANG)) == 0) on->run_for(std::chrono::milliseconds{1});
        ASSERT_EQ(ended, child);
        through = WIFEXITED(status);
        if (through) EXPECT_EQ(WEXITSTATUS(status), got_through);
        // Some kinds accept before the peer has said anything: then the link ends.
        on->run_ready();
        for (auto& left : accepted) {
            left->start();
            on->run_until([&] { return left->end.has_value(); });
        }
        accepted.clear();
    }
    connect();
    on->run_until([&] { return connected.size() + failures.size() == 1 && !accepted.empty(); });
    EXPECT_TRUE(failures.empty()) << failures[0].what();
}

TEST_P(Ending, OfTheListenersProcessAtAnyStageOfAcceptingIsToldToWhoConnects) {
    if (!k().between_processes) GTEST_SKIP() << "lives in one process";
    for (int steps = 0, through = 0; !through; ++steps) {
        ASSERT_LT(steps, 100);
        listen();  // for a place that is free
        const endpoint where = listening->where();
        listening.reset();
        int ready[2];
        ASSERT_EQ(::pipe(ready), 0);
        const pid_t child = in_child([&] {
            io_reactor own;
            std::unique_ptr<byte_link> link;
            auto made =
                k().how->listen(own, where, [&](std::unique_ptr<byte_link> l) { link = std::move(l); });
            const char answer = made ? 'y' : 'n';
            if (::write(ready[1], &answer, 1) != 1) ::_exit(3);
            for (int i = 0; i < steps && !link; ++i) own.step();
            if (link) ::_exit(got_through);
            ::kill(::getpid(), SIGKILL);
        });
        ASSERT_GT(child, 0);
        char answer = 0;
        ASSERT_EQ(::read(ready[0], &answer, 1), 1);
        ASSERT_EQ(answer, 'y');
        ::close(ready[0]);
        ::close(ready[1]);
        connect(k().to(where));
        on->run_until([&] { return connected.size() + failures.size() == 1; });
        if (!connected.empty()) {
            a().start();
            on->run_until([&] { return a().end.has_value(); });
        } else {
            EXPECT_TRUE(failures[0] == errc::unreachable || failures[0] == errc::io ||
                        failures[0] == errc::closed)
                << failures[0].what();
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        through = WIFEXITED(status);
        if (through) EXPECT_EQ(WEXITSTATUS(status), got_through);
        connected.clear();
        failures.clear();
        attempts.clear();
    }
}

}  // namespace
}  // namespace coppice::tests
