// The proxy itself: what it passes on, where it cuts, what it keeps back. Blocking sockets on the test's thread.
#include "support/cut_proxy.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "support/loopback.hpp"

namespace coppice::tests {
namespace {

// A connection through a proxy, both its ends.
class CutProxy : public ::testing::Test {
protected:
    void SetUp() override {
        listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in own = loopback(0);
        ASSERT_EQ(::bind(listening_, reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
        ASSERT_EQ(::listen(listening_, 16), 0);
        socklen_t length = sizeof own;
        ASSERT_EQ(::getsockname(listening_, reinterpret_cast<sockaddr*>(&own), &length), 0);
        proxy = std::make_unique<cut_proxy>(ntohs(own.sin_port));
    }
    void TearDown() override {
        drop();
        ::close(listening_);
    }
    [[nodiscard]] int dial() const {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in to = loopback(proxy->port());
        if (::connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0) return fd;
        ::close(fd);
        return -1;
    }
    void join() {
        drop();
        near = dial();
        ASSERT_GE(near, 0);
        far = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
        ASSERT_GE(far, 0);
    }
    void drop() {
        if (near >= 0) ::close(std::exchange(near, -1));
        if (far >= 0) ::close(std::exchange(far, -1));
    }
    static void say(int fd, const std::string& text) {
        ASSERT_EQ(::send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    }
    // That many bytes, or fewer if it ends before; then errno is 0 for a proper end.
    static std::string hear(int fd, std::size_t bytes) {
        std::string all;
        char piece[4096];
        while (all.size() < bytes) {
            const ssize_t n = ::recv(fd, piece, std::min(sizeof piece, bytes - all.size()), 0);
            if (n == 0) errno = 0;
            if (n <= 0) break;
            all.append(piece, static_cast<std::size_t>(n));
        }
        return all;
    }
    static bool silent(int fd) {
        char byte;
        return ::recv(fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
    }

    std::unique_ptr<cut_proxy> proxy;
    int near = -1;
    int far = -1;
    int listening_ = -1;
};

TEST_F(CutProxy, PassesBothDirectionsOnAndCountsThem) {
    join();
    say(near, "up we go");
    EXPECT_EQ(hear(far, 8), "up we go");
    say(far, "down");
    EXPECT_EQ(hear(near, 4), "down");
    ::shutdown(near, SHUT_WR);
    EXPECT_EQ(hear(far, 1), "");
    EXPECT_EQ(errno, 0);
    say(far, "still");  // one direction has ended, not the other
    EXPECT_EQ(hear(near, 5), "still");
    drop();
    proxy->until([](const cut_proxy::counts& c) { return c.open == 0; });
    const auto seen = proxy->so_far();
    EXPECT_EQ(seen.connections, 1u);
    EXPECT_EQ(seen.up, 8u);
    EXPECT_EQ(seen.down, 9u);
    EXPECT_EQ(seen.cuts, 0u);
}

TEST_F(CutProxy, CutsAfterTheSameBytesWithTheSameSeed) {
    std::vector<std::size_t> passed[2];
    const std::string much(2000, 'x');
    for (auto& run : passed) {
        drop();
        proxy->until([](const cut_proxy::counts& c) { return c.open == 0; });
        proxy->cut_at_random({.seed = 42, .most = 2000, .times = 20, .as = cut_proxy::how::finish});
        for (int n = 0; n < 20; ++n) {
            join();
            say(near, much);
            run.push_back(hear(far, much.size()).size());
            EXPECT_LT(run.back(), much.size());
        }
        join();  // the 21st is left alone
        say(near, much);
        EXPECT_EQ(hear(far, much.size()), much);
    }
    EXPECT_EQ(passed[0], passed[1]);
    EXPECT_GT(*std::max_element(passed[0].begin(), passed[0].end()), 100u);
    EXPECT_LT(*std::min_element(passed[0].begin(), passed[0].end()), 100u);
    EXPECT_EQ(proxy->so_far().cuts, 40u);
}

TEST_F(CutProxy, ResetsOrFinishesAsItIsTold) {
    join();
    say(near, "x");
    EXPECT_EQ(hear(far, 1), "x");
    proxy->cut(cut_proxy::how::reset);
    EXPECT_EQ(hear(far, 1), "");
    EXPECT_EQ(errno, ECONNRESET);
    EXPECT_EQ(hear(near, 1), "");
    EXPECT_EQ(errno, ECONNRESET);
    join();
    say(near, "x");
    EXPECT_EQ(hear(far, 1), "x");
    proxy->cut(cut_proxy::how::finish);
    EXPECT_EQ(hear(far, 1), "");
    EXPECT_EQ(errno, 0);
    EXPECT_EQ(hear(near, 1), "");
    EXPECT_EQ(errno, 0);
}

TEST_F(CutProxy, LosesNothingOfWhatItStalls) {
    join();
    say(near, "a");
    EXPECT_EQ(hear(far, 1), "a");
    proxy->stall(cut_proxy::direction::up);
    say(far, "b");  // the other direction goes on
    EXPECT_EQ(hear(near, 1), "b");
    say(near, "held");
    EXPECT_TRUE(silent(far));
    proxy->forward();
    EXPECT_EQ(hear(far, 4), "held");
}

TEST_F(CutProxy, TakesAndLosesWhatFallsIntoABlackHole) {
    join();
    say(near, "a");
    EXPECT_EQ(hear(far, 1), "a");
    proxy->swallow(cut_proxy::direction::both);
    say(near, "lost");
    proxy->until([](const cut_proxy::counts& c) { return c.swallowed == 4; });
    proxy->forward();
    proxy->cut(cut_proxy::how::reset);
    EXPECT_EQ(hear(far, 4), "");
    join();
    say(near, "healed");
    EXPECT_EQ(hear(far, 6), "healed");
}

TEST_F(CutProxy, TruncatesOneDirectionAndThenResets) {
    join();
    proxy->cut_at_random({.seed = 1, .most = 1, .as = cut_proxy::how::truncate});
    say(near, "abc");
    EXPECT_EQ(hear(far, 3), "a");
    EXPECT_EQ(errno, 0) << "a proper end after the first byte";
    EXPECT_EQ(hear(near, 1), "");
    EXPECT_EQ(errno, ECONNRESET);
}

TEST_F(CutProxy, DelaysWithoutReordering) {
    join();
    proxy->delay(std::chrono::milliseconds{30});
    const auto begun = std::chrono::steady_clock::now();
    for (char c = 'a'; c <= 'j'; ++c) say(near, std::string(1, c));
    EXPECT_EQ(hear(far, 10), "abcdefghij");
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds{30});
}

TEST_F(CutProxy, RefusesForAWhileAtTheSamePort) {
    join();
    proxy->refuse(true);
    EXPECT_LT(dial(), 0);
    EXPECT_EQ(errno, ECONNREFUSED);
    say(near, "present ones go on");
    EXPECT_EQ(hear(far, 18), "present ones go on");
    proxy->refuse(false);
    const int again = dial();
    EXPECT_GE(again, 0);
    ::close(again);
}

TEST_F(CutProxy, StandsInFrontOfUnixSocketsToo) {
    const std::string dir =
        (std::filesystem::temp_directory_path() / ("coppice-proxy-" + std::to_string(::getpid()))).string();
    std::filesystem::create_directories(dir);
    const auto address = [](const std::string& path) {
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        std::memcpy(un.sun_path, path.c_str(), path.size());
        return un;
    };
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un own = address(dir + "/real");
    ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
    ASSERT_EQ(::listen(listener, 4), 0);
    {
        cut_proxy before{dir + "/real", dir + "/cut"};
        near = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un to = address(dir + "/cut");
        ASSERT_EQ(::connect(near, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
        far = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        ASSERT_GE(far, 0);
        say(near, "by path");
        EXPECT_EQ(hear(far, 7), "by path");
        before.cut(cut_proxy::how::finish);
        EXPECT_EQ(hear(far, 1), "");
    }
    ::close(listener);
    EXPECT_FALSE(std::filesystem::exists(dir + "/cut"));
    std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace coppice::tests
