// Programs of others that tests run: clients, browsers. Each in a process group of its own, ended with all that it has started.
//
//     program client{{"node", "client.mjs", "8080"}};
//     EXPECT_EQ(client.wait(), 0);
//
// From the main thread.
#pragma once
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace coppice::tests {

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

/// Whether PATH leads to it.
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

}  // namespace coppice::tests
