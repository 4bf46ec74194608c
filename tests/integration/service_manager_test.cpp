// A root under a service manager, whose part the test plays: readiness, the watchdog, the stop; and sockets that it was given.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/log_lines.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

struct service_board {
    std::atomic<int> hang, warned;
};

struct tick {};
struct ping {
    using reply = std::uint32_t;
};

// Does not return from its handler while the board says so.
task<> busy_body(actor<protocol<tick, ping>> self, shared<service_board>* board) {
    const auto ticking = self.send_every<tick>(1ms);
    while (auto m = co_await self.receive())
        m.match([](request<ping> r) { r.reply(static_cast<std::uint32_t>(::getpid())); },
                [&](const tick&) {
                    while ((*board)->hang) std::this_thread::sleep_for(1ms);
                });
}

// The main function of the service.
int run_service() {
    shared<service_board> board{word("BOARD")};
    if (!word("FD").empty()) {  // as the service manager leaves it
        ::dup2(std::stoi(word("FD")), 3);
        ::setenv("LISTEN_FDS", "1", 1);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    }
    node_options o = quiet(1);
    o.handle_signals = true;
    o.level = level::warn;
    o.log_hook = [&](level, std::string_view, std::string_view line) {
        if (line.find("is not told that this process gets on") != std::string_view::npos) ++board->warned;
    };
    if (!word("LISTEN").empty()) o.network.listen = {word("LISTEN")};
    supervisor_spec tree;
    tree.add(child("busy", in_coroutine, busy_body, &board));
    return node{"service", o}.run(tree);
}
const bool service_role = add_role("service", run_service);

/// A datagram socket of the service manager's, and the environment that names it.
class manager {
public:
    explicit manager(const std::string& path, bool watches) {
        fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        path.copy(at.sun_path, sizeof at.sun_path - 1);
        if (at.sun_path[0] == '@') at.sun_path[0] = '\0';
        EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at),
                         static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size())),
                  0);
        ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
        if (watches) ::setenv("WATCHDOG_USEC", "200000", 1);
    }
    ~manager() {
        ::unsetenv("NOTIFY_SOCKET");
        ::unsetenv("WATCHDOG_USEC");
        ::close(fd_);
    }
    manager(const manager&) = delete;
    manager& operator=(const manager&) = delete;
    std::string next() const {
        char words[256];
        const ssize_t n = ::recv(fd_, words, sizeof words, 0);
        return {words, n > 0 ? static_cast<std::size_t>(n) : 0};
    }
    /// What has come and was not read.
    void drop_all() const {
        char words[256];
        while (::recv(fd_, words, sizeof words, MSG_DONTWAIT) > 0) {
        }
    }
    [[nodiscard]] bool has_none() const {
        char words[256];
        return ::recv(fd_, words, sizeof words, MSG_DONTWAIT | MSG_PEEK) < 0;
    }

private:
    int fd_;
};

void tells_ready_and_stopping(const std::string& path) {
    const manager m{path, false};
    const shared<service_board> board;
    process service{"service", {{"BOARD", board.handle()}}};
    EXPECT_EQ(m.next(), "READY=1");
    service.signal(SIGTERM);
    EXPECT_EQ(m.next(), "STOPPING=1");
    EXPECT_EQ(service.wait(), 0);
    EXPECT_TRUE(m.has_none());
}

TEST(ServiceManager, IsToldWhenTheTreeIsReadyAndWhenItStops) {
    const own_directory here;
    tells_ready_and_stopping(here.path("notify"));
}
TEST(ServiceManager, IsToldAtASocketWithoutAFile) {
    tells_ready_and_stopping("@coppice-test-" + std::to_string(::getpid()));
}

TEST(ServiceManager, IsToldThatTheProcessGetsOnAsLongAsNoHandlerHangs) {
    const own_directory here;
    const manager m{here.path("notify"), true};
    const shared<service_board> board;
    process service{"service", {{"BOARD", board.handle()}}};
    EXPECT_EQ(m.next(), "READY=1");
    for (int i = 0; i < 5; ++i) EXPECT_EQ(m.next(), "WATCHDOG=1");
    board->hang = 1;
    await_that([&] { return board->warned > 0; });
    m.drop_all();
    EXPECT_TRUE(m.has_none()) << "it hangs, and is not fed";
    board->hang = 0;
    EXPECT_EQ(m.next(), "WATCHDOG=1");
    service.signal(SIGTERM);
    std::string last;
    while ((last = m.next()) == "WATCHDOG=1") {
    }
    EXPECT_EQ(last, "STOPPING=1");
    EXPECT_EQ(service.wait(), 0);
}

// ---------------------------------------------------------------- sockets that were opened before

int listening_at(int family, const sockaddr* at, socklen_t length) {
    const int fd = ::socket(family, SOCK_STREAM, 0);  // inherited on purpose
    EXPECT_EQ(::bind(fd, at, length), 0);
    EXPECT_EQ(::listen(fd, 16), 0);
    return fd;
}

// The service is started after the client has connected, and is asked.
void serves_at_what_it_was_given(const std::string& endpoint, int fd) {
    const shared<service_board> board;
    node_options o = quiet(1);
    o.network.connect = {endpoint};
    node client{"client", o};
    ASSERT_TRUE(client.start({}));
    const process service{"service",
                          {{"BOARD", board.handle()}, {"LISTEN", endpoint}, {"FD", std::to_string(fd)}}};
    play(
        client,
        [](actor<anything> self, std::uint32_t wanted) -> task<> {
            for (;;) {
                const auto busy = co_await self.resolve<protocol<tick, ping>>("/service/busy");
                if (busy)
                    if (const auto pid = co_await self.ask<ping>(*busy, 20s)) {
                        EXPECT_EQ(*pid, wanted);
                        co_return;
                    }
                co_await self.sleep(1ms);
            }
        },
        static_cast<std::uint32_t>(service.id()));
}

TEST(SocketActivation, ServesAtATcpSocketThatWasOpenedBeforeItsStart) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = listening_at(AF_INET, reinterpret_cast<const sockaddr*>(&at), sizeof at);
    socklen_t length = sizeof at;
    ASSERT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &length), 0);
    serves_at_what_it_was_given("tcp://127.0.0.1:" + std::to_string(ntohs(at.sin_port)), fd);
    ::close(fd);
}

TEST(SocketActivation, ServesAtAUnixSocketThatWasOpenedBeforeItsStartAndLeavesItsFile) {
    const own_directory here;
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    here.path("service.sock").copy(at.sun_path, sizeof at.sun_path - 1);
    const int fd = listening_at(
        AF_UNIX, reinterpret_cast<const sockaddr*>(&at),
        static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + here.path("service.sock").size() + 1));
    serves_at_what_it_was_given("unix://" + here.path("service.sock"), fd);
    EXPECT_EQ(here.files(), std::vector<std::string>{"service.sock"}) << "it is the service manager's";
    ::close(fd);
}

}  // namespace
}  // namespace coppice::tests
