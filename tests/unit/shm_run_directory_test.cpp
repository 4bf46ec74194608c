// The run directory and claims on socket paths, which the transports shm and unix share.
// Directories and sockets of the file system; children are forked and killed.
#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "../../transport/src/support/run_directory.hpp"
#include "support/shm_rig.hpp"

namespace {

using namespace coppice;
using namespace coppice::tests;
using detail::run_directory;
using detail::running_trees;
using detail::socket_claim;
using detail::socket_path;

// A socket that is bound to the path, and perhaps listens.
shm::descriptor bound(const std::string& path, bool listening) {
    shm::descriptor fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
    if (listening) EXPECT_EQ(::listen(fd.get(), 8), 0);
    return fd;
}

TEST(RunDirectory, IsCreatedForItsOwnerAloneBelowWhatTheEnvironmentNames) {
    const own_run_directory here;
    const std::string wanted = here.path() + "/fresh";
    ::setenv("COPPICE_RUN_DIR", (wanted + "//").c_str(), 1);
    const auto made = run_directory();
    ASSERT_TRUE(made) << made.error().what();
    EXPECT_EQ(*made, wanted);
    struct stat is{};
    ASSERT_EQ(::lstat(wanted.c_str(), &is), 0);
    EXPECT_TRUE(S_ISDIR(is.st_mode));
    EXPECT_EQ(is.st_mode & 07777, 0700u);
    EXPECT_EQ(run_directory().value(), wanted) << "the second time it is there";

    ::unsetenv("COPPICE_RUN_DIR");
    ::setenv("XDG_RUNTIME_DIR", here.path().c_str(), 1);
    EXPECT_EQ(run_directory().value(), here.path() + "/coppice");
    ::unsetenv("XDG_RUNTIME_DIR");
}

TEST(RunDirectory, IsRefusedIfOthersMayEnterOrItIsALinkOrAFileOrRelative) {
    const own_run_directory here;
    const auto refused = [&](const std::string& path, errc code, std::string_view why) {
        ::setenv("COPPICE_RUN_DIR", path.c_str(), 1);
        const auto got = run_directory();
        ASSERT_FALSE(got) << path;
        EXPECT_EQ(got.error().code(), code) << got.error().what();
        EXPECT_NE(got.error().text().find(why), std::string_view::npos) << got.error().what();
    };
    const std::string open = here.path() + "/open";
    ASSERT_EQ(::mkdir(open.c_str(), 0700), 0);
    for (const mode_t mode : {0710u, 0701u, 0777u}) {
        ASSERT_EQ(::chmod(open.c_str(), mode), 0);
        refused(open, errc::denied, "open to others");
    }
    ASSERT_EQ(::chmod(open.c_str(), 0700), 0);
    const std::string link = here.path() + "/link";
    ASSERT_EQ(::symlink(open.c_str(), link.c_str()), 0);
    refused(link, errc::denied, "symbolic link");
    refused(link + "/", errc::denied, "symbolic link");
    const std::string file = here.path() + "/file";
    std::ofstream{file} << "x";
    refused(file, errc::denied, "no directory");
    refused("relative/path", errc::invalid_argument, "begin with '/'");
    refused(here.path() + "/missing/below", errc::io, "missing");
    if (::geteuid() != 0) refused("/", errc::denied, "another user");
}

TEST(RunDirectory, NamesOfSocketsHaveFewCharacters) {
    const own_run_directory here;
    for (const std::string& good : {std::string{"a"}, std::string{"A-z_0.9"}, std::string(64, 'n')})
        EXPECT_EQ(socket_path(good).value(), here.path() + "/" + good + ".sock");
    for (const std::string& bad :
         {std::string{}, std::string(65, 'n'), std::string{"a/b"}, std::string{".."}, std::string{".hidden"},
          std::string{"a b"}, std::string{"a\0b", 3}, std::string{"ü"}})
        EXPECT_EQ(socket_path(bad).error().code(), errc::invalid_argument) << bad;
}

TEST(SocketClaim, HoldsThePathUntilItsEndAndLeavesNothing) {
    const own_run_directory here;
    const std::string path = here.path() + "/a.sock";
    {
        auto claim = socket_claim::take(path);
        ASSERT_TRUE(claim) << claim.error().what();
        EXPECT_EQ(claim->path(), path);
        EXPECT_EQ(socket_claim::take(path).error().code(), errc::name_taken);
        const auto socket = bound(path, true);
        EXPECT_EQ(socket_claim::take(path).error().code(), errc::name_taken);
        socket_claim moved = std::move(*claim);
        EXPECT_EQ(socket_claim::take(path).error().code(), errc::name_taken);
    }
    EXPECT_EQ(here.files(), std::vector<std::string>{});
    EXPECT_TRUE(socket_claim::take(path));
}

TEST(SocketClaim, ReplacesTheLeftoversOfAProcessThatWasKilled) {
    const own_run_directory here;
    const std::string path = here.path() + "/a.sock";
    int told[2];
    ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        auto claim = socket_claim::take(path);
        const auto socket = bound(path, true);
        const char ok = claim ? 'y' : 'n';
        static_cast<void>(::write(told[1], &ok, 1));
        for (;;) ::pause();
    }
    char ok = 0;
    ASSERT_EQ(::read(told[0], &ok, 1), 1);
    EXPECT_EQ(ok, 'y');
    EXPECT_EQ(socket_claim::take(path).error().code(), errc::name_taken) << "it lives";
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    ASSERT_EQ(here.files().size(), 2u) << "the socket and its lock file were left";
    auto claim = socket_claim::take(path);
    ASSERT_TRUE(claim) << claim.error().what();
    const auto socket = bound(path, true);
    ::close(told[0]);
    ::close(told[1]);
}

TEST(SocketClaim, OfANameOfOneLifeRemovesOthersWhoseOwnersWereKilled) {
    const own_run_directory here;
    const auto place = [&](const std::string& beginning, char digit) {
        return here.path() + "/" + beginning + std::string(32, digit) + ".sock";
    };
    // As a process that is killed leaves them.
    const auto leave = [](const std::string& path) {
        static_cast<void>(bound(path, true));
        std::ofstream{path + ".lock"};
    };
    const auto exists = [](const std::string& path) {
        return std::filesystem::exists(path) || std::filesystem::exists(path + ".lock");
    };
    const auto alive = socket_claim::take(place("some-", 'd'));
    ASSERT_TRUE(alive);
    leave(place("some-", 'a'));
    leave(place("some-", 'b'));
    leave(place("others-", 'a'));
    leave(here.path() + "/some-name.sock");

    ASSERT_TRUE(socket_claim::take(here.path() + "/some-thing.sock"));
    EXPECT_TRUE(exists(place("some-", 'b'))) << "a name that can be taken again removes none";
    {
        const auto mine = socket_claim::take(place("some-", 'a'));
        ASSERT_TRUE(mine);
        EXPECT_FALSE(exists(place("some-", 'b')));
        EXPECT_TRUE(exists(place("some-", 'a'))) << "it is held";
        leave(place("some-", 'c'));
    }
    EXPECT_FALSE(exists(place("some-", 'a')));
    EXPECT_FALSE(exists(place("some-", 'c'))) << "who gives its name back is perhaps the last of its tree";
    EXPECT_TRUE(exists(place("some-", 'd'))) << "its owner lives";
    EXPECT_TRUE(exists(place("others-", 'a')));
    EXPECT_TRUE(exists(here.path() + "/some-name.sock"));
}

// Whoever takes a name gets and has it, whatever the others clear up meanwhile.
TEST(SocketClaim, OfANameOfOneLifeIsGivenAndKeptWhileOthersSweep) {
    const own_run_directory here;
    const std::string path = here.path() + "/some-" + std::string(32, 'a') + ".sock";
    constexpr int rounds = 1000;
    std::atomic<bool> over{false};
    std::thread sweeper{[&] {
        while (!over) {
            const auto claim = socket_claim::take(here.path() + "/some-" + std::string(32, 'f') + ".sock");
            EXPECT_TRUE(claim) << claim.error().what();
        }
    }};
    for (int i = 0; i < rounds; ++i) {
        const auto claim = socket_claim::take(path);
        EXPECT_TRUE(claim) << claim.error().what();
        if (!claim) continue;
        const auto socket = bound(path, true);
        EXPECT_EQ(socket_claim::take(path).error().code(), errc::name_taken);
        EXPECT_TRUE(std::filesystem::exists(path));
        EXPECT_TRUE(std::filesystem::exists(path + ".lock"));
    }
    over = true;
    sweeper.join();
    EXPECT_TRUE(here.files().empty());
}

TEST(RunningTrees, AreThoseWhoseControlSocketIsHeld) {
    const own_run_directory here;
    for (const char* name : {"left.control", "held.control", "held.else"}) {
        const auto socket = bound(here.path() + "/" + name + ".sock", true);
        std::ofstream{here.path() + "/" + name + ".sock.lock"};
    }
    std::vector<socket_claim> held;
    for (const char* name : {"held.control", "held.else"})
        held.push_back(socket_claim::take(socket_path(name).value()).value());
    for (const socket_claim& each : held) static_cast<void>(bound(each.path(), true));
    EXPECT_EQ(running_trees().value(), std::vector<std::string>{"held"});
}

TEST(SocketClaim, IsGivenWhileOthersLookWhoRuns) {
    const own_run_directory here;
    constexpr int rounds = 2000;
    std::atomic<bool> over{false};
    std::thread looker{[&] {
        while (!over) EXPECT_TRUE(running_trees());
    }};
    const auto at = socket_path("app.control");
    ASSERT_TRUE(at);
    for (int i = 0; i < rounds; ++i) {
        const auto claim = socket_claim::take(*at);
        EXPECT_TRUE(claim) << claim.error().what();
    }
    over = true;
    looker.join();
}

TEST(SocketClaim, LeavesTheSocketOfAProgramWithoutLockFilesAlone) {
    const own_run_directory here;
    const std::string path = here.path() + "/a.sock";
    auto socket = bound(path, true);
    const auto refused = socket_claim::take(path);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), errc::name_taken);
    EXPECT_EQ(here.files(), std::vector<std::string>{"a.sock"});
    socket.reset();
    EXPECT_TRUE(socket_claim::take(path)) << "nobody listens there any more";
}

TEST(SocketClaim, NeverRemovesWhatIsNoSocket) {
    const own_run_directory here;
    const std::string path = here.path() + "/a.sock";
    std::ofstream{path} << "somebody's data";
    EXPECT_EQ(socket_claim::take(path).error().code(), errc::name_taken);
    EXPECT_EQ(here.files(), std::vector<std::string>{"a.sock"});
    EXPECT_EQ(socket_claim::take(here.path() + "/" + std::string(108, 'x')).error().code(),
              errc::invalid_argument);
    EXPECT_EQ(socket_claim::take("").error().code(), errc::invalid_argument);
    EXPECT_EQ(socket_claim::take(here.path() + "/none/a.sock").error().code(), errc::io);
}

TEST(SocketClaim, IsHeldByOneAtATimeHoweverManyTry) {
    const own_run_directory here;
    const std::string path = here.path() + "/a.sock";
    std::atomic<int> holders{0};
    std::atomic<int> taken{0};
    const auto work = [&] {
        for (int n = 0; n < 2000; ++n) {
            auto claim = socket_claim::take(path);
            if (!claim) {
                EXPECT_EQ(claim.error().code(), errc::name_taken);
                continue;
            }
            EXPECT_EQ(holders.fetch_add(1), 0);
            taken.fetch_add(1);
            holders.fetch_sub(1);
        }
    };
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) threads.emplace_back(work);
    for (auto& t : threads) t.join();
    EXPECT_GT(taken.load(), 0);
    EXPECT_EQ(here.files(), std::vector<std::string>{});
}

}  // namespace
