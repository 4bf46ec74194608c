// A child by posix_spawn, a socket, a pidfd, and nothing else: what starting and ending a process costs at least. The child is this
// program with the argument --child, for which main() calls serve(): it writes a byte and ends when the other side closes. Used
// by raw_processes, and by ours_processes for a child with the same libraries. One thread.
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>
#include <utility>
#include <vector>

#include "program.hpp"

extern char** environ;

namespace raw {

inline constexpr int channel = 3;

class child {
public:
    child() {
        int ends[2];
        bench::require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0, "a socket pair");
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        // Onto itself it would stay closed at exec: never that number here.
        const int there = ::fcntl(ends[1], F_DUPFD_CLOEXEC, 10);
        ::posix_spawn_file_actions_adddup2(&actions, there, channel);
        char program[] = "/proc/self/exe";
        char argument[] = "--child";
        char* arguments[] = {program, argument, nullptr};
        bench::require(::posix_spawn(&pid_, program, &actions, nullptr, arguments, environ) == 0,
                       "posix_spawn");
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        ::close(there);
        fd_ = ends[0];
        pidfd_ = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
        bench::require(pidfd_ >= 0, "a pidfd");
    }
    child(child&& other) noexcept
        : pid_{other.pid_}, fd_{std::exchange(other.fd_, -1)}, pidfd_{std::exchange(other.pidfd_, -1)} {}
    child& operator=(child&&) = delete;
    ~child() {
        if (pidfd_ < 0) return;
        close_channel();
        await_end();
    }
    void await_word() const {
        char byte = 0;
        bench::require(::read(fd_, &byte, 1) == 1, "a byte");
    }
    void kill() const { ::kill(pid_, SIGKILL); }
    void close_channel() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    void await_end() {
        pollfd end{pidfd_, POLLIN, 0};
        bench::require(::poll(&end, 1, -1) == 1, "its end");
        ::waitpid(pid_, nullptr, 0);
        ::close(std::exchange(pidfd_, -1));
    }

private:
    pid_t pid_ = 0;
    int fd_ = -1;
    int pidfd_ = -1;
};

inline int serve(int in, int out) {
    char byte = 'r';
    if (::write(out, &byte, 1) != 1) return 1;
    while (::read(in, &byte, 1) > 0) {
    }
    return 0;
}

using samples = std::vector<bench::clock::duration>;

/// From the spawn to the first byte.
inline void start_row(const bench::reporter& out, std::string_view row) {
    samples taken;
    for (std::size_t i = out.count<std::size_t>(500); i; --i) {
        const auto began = bench::clock::now();
        const child one;
        one.await_word();
        taken.push_back(bench::clock::now() - began);
    }
    out.median_microseconds(row, std::move(taken));
}

}  // namespace raw
