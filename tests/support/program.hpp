// Programs of others that a test starts: in process groups of their own, and ended with all that they have started; and such
// that a test talks with. From the main thread.
#pragma once
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace coppice::tests {

/// A program, ended with all that it has started.
class program {
public:
    /// With `talks`, that descriptor is its standard input and output.
    explicit program(std::vector<std::string> words, int talks = -1) {
        std::vector<char*> argv;
        for (std::string& each : words) argv.push_back(each.data());
        argv.push_back(nullptr);
        id_ = ::fork();
        if (id_ == 0) {
            ::setpgid(0, 0);
            if (talks >= 0) {
                ::dup2(talks, STDIN_FILENO);
                ::dup2(talks, STDOUT_FILENO);
            }
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
        if (id_ <= 0) return 0;
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

/// A program that says lines and is told lines, and that ends when it is told no more.
class talking_program {
public:
    explicit talking_program(std::vector<std::string> words) {
        int ends[2] = {-1, -1};
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
        own_ = ends[0];
        program_ = std::make_unique<program>(std::move(words), ends[1]);
        ::close(ends[1]);
    }
    /// Waits for its end, so that it can put away what it has started.
    ~talking_program() {
        ::close(own_);
        program_->wait();
    }
    talking_program(const talking_program&) = delete;
    talking_program& operator=(const talking_program&) = delete;

    /// The next line that it says; empty once it has ended.
    std::string hear() {
        for (;;) {
            if (const auto end = heard_.find('\n'); end != std::string::npos) {
                std::string line = heard_.substr(0, end);
                heard_.erase(0, end + 1);
                return line;
            }
            char some[4096];
            const ssize_t n = ::read(own_, some, sizeof some);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return std::exchange(heard_, {});
            heard_.append(some, static_cast<std::size_t>(n));
        }
    }
    void tell(const std::string& line) const {
        const std::string whole = line + "\n";
        static_cast<void>(::send(own_, whole.data(), whole.size(), MSG_NOSIGNAL));
    }
    int wait() { return program_->wait(); }

private:
    int own_ = -1;
    std::string heard_;
    std::unique_ptr<program> program_;
};

inline bool is_installed(const std::string& name) {
    const std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
    for (std::size_t at = 0; at <= path.size();) {
        const auto end = path.find(':', at);
        if (::access((path.substr(at, end - at) + "/" + name).c_str(), X_OK) == 0) return true;
        if (end == std::string::npos) break;
        at = end + 1;
    }
    return false;
}

/// Empty if there is no such file.
inline std::string text_of_file(const std::string& name) {
    std::ifstream in{name};
    return {std::istreambuf_iterator<char>{in}, {}};
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
