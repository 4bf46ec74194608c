// The program `coppice`, run by tests: what it prints, and how it ends. From one thread of a test.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/own_directory.hpp"

namespace coppice::tests {

inline std::string content(const std::string& path) {
    std::ostringstream all;
    all << std::ifstream{path}.rdbuf();
    return all.str();
}

/// One run of the program. Its output goes to files of its own.
class program {
public:
    explicit program(std::vector<std::string> words) {
        words.insert(words.begin(), COPPICE_COMMAND);
        std::vector<char*> arguments;
        for (std::string& w : words) arguments.push_back(w.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_addopen(&files, 1, files_.path("out").c_str(), O_CREAT | O_WRONLY, 0600);
        posix_spawn_file_actions_addopen(&files, 2, files_.path("err").c_str(), O_CREAT | O_WRONLY, 0600);
        EXPECT_EQ(::posix_spawn(&pid_, COPPICE_COMMAND, &files, nullptr, arguments.data(), environ), 0);
        posix_spawn_file_actions_destroy(&files);
    }
    ~program() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        wait();
    }
    program(const program&) = delete;
    program& operator=(const program&) = delete;
    int wait() {
        int status = 0;
        while (pid_ > 0 && ::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    [[nodiscard]] bool has_ended() const {
        siginfo_t seen{};
        return ::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               seen.si_pid == pid_;
    }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    void signal(int number) const { ::kill(pid_, number); }
    [[nodiscard]] std::string out() const { return content(files_.path("out")); }
    [[nodiscard]] std::string err() const { return content(files_.path("err")); }

private:
    own_directory files_;
    pid_t pid_ = -1;
};

struct outcome {
    int code;
    std::string out;
    std::string err;
};
inline outcome coppice_says(std::vector<std::string> words) {
    program p{std::move(words)};
    const int code = p.wait();
    return {code, p.out(), p.err()};
}

}  // namespace coppice::tests
