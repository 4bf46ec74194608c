// leftovers: what a test of processes has left behind: processes of any depth, zombies, threads, descriptors, files,
// sockets, FIFOs and segments. Each is told by name.
//
//     leftovers left;                       // before the first node
//     { node app{...}; ... }
//     left.check();                         // a failure of the test for each thing that does not go
//
// While it lives, COPPICE_RUN_DIR is a directory of its own, and a variable marks all processes that are started, by
// whomever: those below a process that is gone are found by it. From the thread that runs the test.
#pragma once
#include <dirent.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/own_directory.hpp"

namespace coppice::tests {

class leftovers {
public:
    leftovers() {
        // An own number for each in one process: what an earlier one has left is its own failure, not ours.
        static int number = 0;
        value_ = std::to_string(::getpid()) + "." + std::to_string(++number) + ";";
        ::setenv(variable, value_.c_str(), 1);
        descriptors_ = descriptors();
        threads_ = threads();
        children_ = children();
    }
    ~leftovers() { ::unsetenv(variable); }
    leftovers(const leftovers&) = delete;
    leftovers& operator=(const leftovers&) = delete;

    /// Returns when nothing is left. What does not go within the limit is a failure; nothing that works comes near it.
    void check(std::chrono::seconds limit = std::chrono::seconds{30}) {
        const auto until = std::chrono::steady_clock::now() + limit;
        std::vector<std::string> left = all();
        while (!left.empty() && std::chrono::steady_clock::now() < until) {
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
            left = all();
        }
        for (const std::string& one : left) ADD_FAILURE() << "left behind: " << one;
    }

    /// A process that listened was killed: the names of its sockets stay in the run directory.
    void ignore_names() noexcept { names_count_ = false; }

    /// The processes below this test that live, whoever started them. Not those that run in their parent's memory: they
    /// are between fork and exec, or LeakSanitizer's tracer of a process that ends, which waits for it forever if
    /// somebody kills it.
    [[nodiscard]] std::vector<pid_t> processes() const {
        const std::string wanted = std::string{variable} + "=" + value_;
        std::vector<pid_t> found;
        each_process([&](pid_t pid) {
            if (pid != ::getpid() && text_of(pid, "environ").find(wanted) != std::string::npos &&
                !shares_memory(pid, parent_of(pid)))
                found.push_back(pid);
        });
        return found;
    }
    [[nodiscard]] const own_run_directory& run_directory() const noexcept { return directory_; }

private:
    static constexpr const char* variable = "COPPICE_TEST_MARK";

    // Empty if the process is gone, which may happen between opening and reading.
    static std::string text_of(pid_t pid, const char* file) {
        const int fd = ::open(("/proc/" + std::to_string(pid) + "/" + file).c_str(), O_RDONLY | O_CLOEXEC);
        std::string text;
        char piece[4096];
        for (ssize_t n = 0; fd >= 0 && (n = ::read(fd, piece, sizeof piece)) > 0;)
            text.append(piece, static_cast<std::size_t>(n));
        if (fd >= 0) ::close(fd);
        return text;
    }
    static std::string name_of(pid_t pid) {
        std::string line = text_of(pid, "cmdline");
        std::replace(line.begin(), line.end(), '\0', ' ');
        const std::string stat = text_of(pid, "stat");
        return std::to_string(pid) + " (" + line + stat.substr(0, stat.find(')') + 3) + ")";
    }
    // 0: it is gone.
    static pid_t parent_of(pid_t pid) {
        const std::string stat = text_of(pid, "stat");
        const auto name_end = stat.rfind(')');
        if (name_end == std::string::npos || name_end + 4 > stat.size()) return 0;
        return std::atoi(stat.c_str() + name_end + 4);
    }
    // False if the kernel does not say.
    static bool shares_memory(pid_t one, pid_t other) noexcept {
        return ::syscall(SYS_kcmp, one, other, KCMP_VM, 0, 0) == 0;
    }
    static void each_name(const std::string& directory, const std::function<void(const std::string&)>& f) {
        DIR* const open = ::opendir(directory.c_str());
        if (!open) return;  // a process that is gone
        while (const dirent* entry = ::readdir(open))
            if (entry->d_name[0] != '.') f(entry->d_name);
        ::closedir(open);
    }
    static void each_process(const std::function<void(pid_t)>& f) {
        each_name("/proc", [&](const std::string& name) {
            if (name.find_first_not_of("0123456789") == std::string::npos) f(std::atoi(name.c_str()));
        });
    }
    // By number and what it leads to.
    static std::set<std::string> descriptors() {
        std::set<std::string> found;
        each_name("/proc/self/fd", [&](const std::string& number) {
            std::error_code gone;  // the directory that is being read
            const auto to = std::filesystem::read_symlink("/proc/self/fd/" + number, gone);
            // The memory that blobs are lent from is the process's, not a node's.
            const bool stays = to.string().starts_with("/memfd:coppice-arena");
            if (!gone && !stays && !to.string().ends_with("/fd"))
                found.insert("descriptor " + number + " -> " + to.string());
        });
        return found;
    }
    static std::set<std::string> threads() {
        std::set<std::string> found;
        each_name("/proc/self/task", [&](const std::string& number) {
            std::string name;
            std::ifstream in{"/proc/self/task/" + number + "/comm"};
            if (std::getline(in, name)) found.insert("thread " + number + " (" + name + ")");
        });
        return found;
    }
    // Zombies too.
    static std::set<std::string> children() {
        std::set<std::string> found;
        each_process([&](pid_t pid) {
            if (parent_of(pid) == ::getpid()) found.insert("child " + name_of(pid));
        });
        return found;
    }

    [[nodiscard]] std::vector<std::string> all() const {
        std::vector<std::string> left;
        const auto more = [&](const std::set<std::string>& now, const std::set<std::string>& before) {
            std::set_difference(now.begin(), now.end(), before.begin(), before.end(),
                                std::back_inserter(left));
        };
        more(descriptors(), descriptors_);
        more(threads(), threads_);
        more(children(), children_);
        for (const pid_t pid : processes()) left.push_back("process " + name_of(pid));
        // Directories may stay: they are as cheap to keep as to make, and the next node uses them.
        std::error_code gone;
        for (std::filesystem::recursive_directory_iterator at{directory_.path(), gone}, end;
             names_count_ && at != end; at.increment(gone))
            if (!at->is_directory(gone)) left.push_back("file " + at->path().string());
        return left;
    }

    own_run_directory directory_;
    std::string value_;
    std::set<std::string> descriptors_, threads_, children_;
    bool names_count_ = true;
};

}  // namespace coppice::tests
