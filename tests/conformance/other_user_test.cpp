// Processes of other users at the sockets of unix and shm: their uid, as the kernel attests it, is looked at on both sides, and
// not the modes of files alone. Needs root, which can become another user; skipped without.
#include <grp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "coppice/transport/shm.hpp"
#include "coppice/transport/unix.hpp"
#include "support/io_reactor.hpp"
#include "support/own_directory.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

constexpr uid_t nobody = 65534;

sockaddr_un address_of(const std::string& path) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
    return at;
}

// A process of that other user, which does this and ends with what it returns. System calls alone.
template <class F>
pid_t as_another(F what) {
    const pid_t made = ::fork();
    if (made != 0) return made;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::setgroups(0, nullptr) != 0 || ::setgid(nobody) != 0 || ::setuid(nobody) != 0) ::_exit(99);
    ::_exit(what());
}

class OtherUser : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
    }
    [[nodiscard]] std::shared_ptr<const transport> kind() const {
        return std::string_view{GetParam()} == "unix" ? unix_transport() : shm_transport();
    }
    [[nodiscard]] endpoint where() const {
        return endpoint::parse(std::string{GetParam()} + "://door").value();
    }
    [[nodiscard]] std::string socket() const { return directory_.path("door.sock"); }

    own_run_directory directory_;
    io_reactor on_;
};

TEST_P(OtherUser, AtTheDoorIsNotLetInAlthoughTheFilesModeWouldLetHim) {
    int accepted = 0;
    auto listening = kind()->listen(on_, where(), [&](const std::unique_ptr<byte_link>&) { ++accepted; });
    ASSERT_TRUE(listening) << listening.error().what();
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(socket().c_str(), 0666), 0);
    const sockaddr_un at = address_of(socket());
    const pid_t stranger = as_another([&at] {
        const int s = ::socket(AF_UNIX, SOCK_STREAM, 0);
        if (::connect(s, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return 1;
        char heard[256];
        ssize_t all = 0;
        for (ssize_t n = 0; (n = ::read(s, heard, sizeof heard)) > 0;) all += n;  // until it is closed
        return all > 0 ? 10 : 0;
    });
    ASSERT_GT(stranger, 0);
    int status = 0;
    while (::waitpid(stranger, &status, WNOHANG) == 0) on_.run_for(1ms);
    ASSERT_TRUE(WIFEXITED(status));
    // shm tells it `denied` by its answer; unix has no word of its own for it.
    EXPECT_EQ(WEXITSTATUS(status), std::string_view{GetParam()} == "shm" ? 10 : 0);
    EXPECT_EQ(accepted, 0);
}

TEST_P(OtherUser, BehindTheDoorIsNotTalkedTo) {
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0777), 0);
    const sockaddr_un at = address_of(socket());
    int ready[2];
    ASSERT_EQ(::pipe(ready), 0);
    const pid_t stranger = as_another([&at, &ready] {
        const int s = ::socket(AF_UNIX, SOCK_STREAM, 0);
        if (::bind(s, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(s, 5) != 0)
            return 1;
        if (::write(ready[1], "r", 1) != 1) return 2;
        char heard = 0;
        const int one = ::accept(s, nullptr, nullptr);
        return ::read(one, &heard, 1) > 0 ? 10 : 0;  // closed without a word
    });
    ASSERT_GT(stranger, 0);
    ::close(ready[1]);
    char told = 0;
    ASSERT_EQ(::read(ready[0], &told, 1), 1);
    ::close(ready[0]);
    std::optional<error> why;
    ASSERT_EQ(::chmod(directory_.path().c_str(), 0700), 0);
    auto trying = kind()->connect(on_, where(), [&](result<std::unique_ptr<byte_link>> made) {
        why = made ? error{errc::ok} : made.error();
    });
    if (!trying) why = trying.error();
    while (!why) on_.run_for(1ms);
    EXPECT_EQ(why->code(), errc::denied) << why->what();
    EXPECT_NE(why->what().find("uid=any"), std::string::npos) << why->what();
    if (trying) trying->reset();
    int status = 0;
    ASSERT_EQ(::waitpid(stranger, &status, 0), stranger);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0) << "it was told something";
}

INSTANTIATE_TEST_SUITE_P(At, OtherUser, ::testing::Values("unix", "shm"),
                         [](const auto& one) { return std::string{one.param}; });

}  // namespace
}  // namespace coppice::tests
