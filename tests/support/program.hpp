// Programs of others that a test starts: in process groups of their own, and ended with all that they have started. From the
// main thread.
#pragma once
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

namespace coppice::tests {

/// A program, ended with all that it has started.
class program {
public:
    explicit program(std::vector<std::string> words) {
        std::vector<char*> argv;
        for (std::string& each : words) argv.push_back(each.data());
        argv.push_back(nullptr);
        id_ = ::fork();
        if (id_ == 0) {
            ::setpgid(0, 0);
            ::execvp(argv[0], argv.data());
            ::_exit(127);
        }
        ::setpgid(id_, id_);
    }
    program(const program&) = delete;
    program& operator=(const program&) = delete;
    ~program() { kill(); }
    /// Its exit code, once it has ended.
    int wait() {
        int status = 0;
        while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
        }
        id_ = 0;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    void kill() {
        if (id_ <= 0) return;
        ::kill(-id_, SIGKILL);
        wait();
    }

private:
    pid_t id_ = 0;
};

inline bool is_installed(const std::string& name) {
    std::string path = std::getenv("PATH");
    for (std::size_t at = 0; at != std::string::npos;) {
        const auto end = path.find(':', at);
        if (::access((path.substr(at, end - at) + "/" + name).c_str(), X_OK) == 0) return true;
        at = end == std::string::npos ? end : end + 1;
    }
    return false;
}

/// Chromium, without a screen, at that page; what it keeps goes into a folder of the test's.
inline std::vector<std::string> chromium_at(const std::string& url, const std::string& profile) {
    return {"chromium",
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--remote-debugging-port=0",
            "--log-level=3",
            "--user-data-dir=" + profile,
            url};
}

}  // namespace coppice::tests
