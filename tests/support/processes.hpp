// Processes of a test: the test program itself, started anew in a role, so that a peer can be killed, stopped and
// started again.
//
//     int run_peer() { ...; return 0; }                           // the role; ends the process with this code
//     const bool peer_role = add_role("peer", run_peer);
//     process peer{"peer", {{"NAME", "b"}}};                       // there word("NAME") is "b"
//     peer.end_at_once();                                          // kill -9
//
// A role runs before any test of that process and prints to standard error only. It dies with the thread that started
// it, which is therefore the main thread of the test program. What processes tell each other beside the nodes' links,
// they tell by a shared<T>, which outlives whoever is killed. All of it from one thread of a process.
#pragma once
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace coppice::tests {

/// What the starter of this process said under that name; empty: nothing.
inline std::string word(const std::string& name) {
    const char* text = std::getenv(("COPPICE_TEST_" + name).c_str());
    return text ? text : "";
}

using role_function = int (*)();

namespace detail {

inline std::map<std::string, role_function>& all_roles() {
    static std::map<std::string, role_function> all;
    return all;
}

// GoogleTest sets it up before the first test; a process that has a role never comes to that.
class role_environment : public ::testing::Environment {
public:
    void SetUp() override {
        const std::string role = word("ROLE");
        if (role.empty()) return;
        const auto found = all_roles().find(role);
        if (found == all_roles().end()) std::fprintf(stderr, "no role %s\n", role.c_str());
        std::_Exit(found == all_roles().end() ? 97 : found->second());
    }
};

}  // namespace detail

/// Before main().
inline bool add_role(const std::string& name, role_function run) {
    if (detail::all_roles().empty())
        ::testing::AddGlobalTestEnvironment(new detail::role_environment);  // GoogleTest's from now on
    detail::all_roles()[name] = run;
    return true;
}

/// Ends with its owner at the latest.
class process {
public:
    process() noexcept = default;
    process(const std::string& role, const std::map<std::string, std::string>& words) {
        EXPECT_EQ(::gettid(), ::getpid()) << role << " would end with this thread";
        std::vector<std::string> variables{"COPPICE_TEST_ROLE=" + role};
        for (const auto& [name, text] : words) variables.push_back("COPPICE_TEST_" + name + "=" + text);
        for (char** v = environ; *v; ++v) {
            const std::string_view one{*v};  // not what decides which tests run
            if (!one.starts_with("COPPICE_TEST_ROLE=") && !one.starts_with("GTEST_"))
                variables.emplace_back(one);
        }
        std::vector<char*> environment;
        for (std::string& v : variables) environment.push_back(v.data());
        environment.push_back(nullptr);
        std::string program = "/proc/self/exe";
        char* arguments[] = {program.data(), nullptr};
        const pid_t starter = ::getpid();
        const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
        pid_ = ::fork();
        if (pid_ == 0) {  // nothing but system calls until the program is another
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (::getppid() != starter) ::_exit(98);
            ::dup2(nowhere, STDIN_FILENO);
            ::dup2(nowhere, STDOUT_FILENO);
            ::execve(program.c_str(), arguments, environment.data());
            ::_exit(99);
        }
        ::close(nowhere);
        EXPECT_GT(pid_, 0) << std::strerror(errno);
    }
    process(process&& other) noexcept : pid_{std::exchange(other.pid_, -1)} {}
    process& operator=(process&& other) noexcept {
        end_at_once();
        pid_ = std::exchange(other.pid_, -1);
        return *this;
    }
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process() { end_at_once(); }

    [[nodiscard]] bool runs() const noexcept { return pid_ > 0; }
    [[nodiscard]] pid_t id() const noexcept { return pid_; }
    void signal(int number) const {
        if (runs()) ::kill(pid_, number);
    }
    /// kill -9. Returns when it is gone.
    void end_at_once() noexcept {
        if (!runs()) return;
        ::kill(pid_, SIGKILL);
        wait();
    }
    /// Until it has ended: its exit code, or minus the signal that ended it.
    int wait() noexcept {
        int status = 0;
        while (runs() && ::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
    }
    /// True once it has ended; wait() then returns at once.
    [[nodiscard]] bool has_ended() const noexcept {
        siginfo_t seen{};
        return !runs() ||
               (::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOHANG | WNOWAIT) == 0 &&
                seen.si_pid == pid_);
    }

private:
    pid_t pid_ = -1;
};

/// A T of atomics, in memory that the starter and all that it starts share. It has no name and goes with the last of
/// them.
template <class T>
class shared {
public:
    /// A new one, all zeros.
    shared() : fd_{::memfd_create("coppice-test", 0)} {
        EXPECT_GE(fd_, 0);
        EXPECT_EQ(::ftruncate(fd_, sizeof(T)), 0);
        map();
        ::new (static_cast<void*>(place_)) T{};
    }
    /// That of the starter, by what its handle() or its path() said.
    explicit shared(const std::string& handle)
        : fd_{handle.starts_with('/') ? ::open(handle.c_str(), O_RDWR | O_CLOEXEC)
                                      : std::atoi(handle.c_str())},
          own_{handle.starts_with('/')} {
        map();
    }
    ~shared() {
        ::munmap(place_, sizeof(T));
        if (own_) ::close(fd_);
    }
    shared(const shared&) = delete;
    shared& operator=(const shared&) = delete;
    [[nodiscard]] std::string handle() const { return std::to_string(fd_); }
    /// For processes that do not inherit its descriptor, while the starter lives.
    [[nodiscard]] std::string path() const {
        return "/proc/" + std::to_string(::getpid()) + "/fd/" + handle();
    }
    T* operator->() const noexcept { return place_; }
    T& operator*() const noexcept { return *place_; }

private:
    void map() {
        void* at = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
        if (at == MAP_FAILED) std::abort();
        place_ = static_cast<T*>(at);
    }
    int fd_;
    bool own_ = true;
    T* place_ = nullptr;
};

/// Returns when that is so; the watchdog's time is the limit. Looks often.
template <class F>
void await_that(F is_so) {
    while (!is_so()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
}

}  // namespace coppice::tests
