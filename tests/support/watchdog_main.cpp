// main() of every test program: GoogleTest and GoogleMock, plus a watchdog that turns a hang into a failure.
//
// A thread watches how long the current test has been running. After COPPICE_TEST_WATCHDOG seconds (environment; the
// default is 60, five times that under sanitizers; 0 switches it off, for a debugger) it names the test, has every
// thread print its stack and aborts the process. It knows nothing of Coppice.
#include <dirent.h>
#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using clock_type = std::chrono::steady_clock;

constexpr int dump_signal = SIGUSR2;

// How many threads have printed their stack. Written by the signal handlers, read by the watchdog, which waits for it.
std::atomic<int> dumped{0};

// backtrace() is not on the list of async-signal-safe functions, but works once libgcc is loaded (see main) unless the
// thread was interrupted inside malloc; the process is about to abort, so that is a price worth paying.
void print_own_stack(int) {
    void* frames[64];
    const int count = backtrace(frames, 64);
    char title[64];
    const int length = std::snprintf(title, sizeof title, "--- thread %ld\n", syscall(SYS_gettid));
    if (length > 0 && write(STDERR_FILENO, title, static_cast<std::size_t>(length)) >= 0) {
        backtrace_symbols_fd(frames, count, STDERR_FILENO);
    }
    dumped.fetch_add(1, std::memory_order_release);
}

// One thread after the other, so that the stacks do not interleave.
void print_all_stacks() {
    const long self = syscall(SYS_gettid);
    DIR* tasks = opendir("/proc/self/task");
    if (tasks == nullptr) {
        return;
    }
    while (const dirent* entry = readdir(tasks)) {
        const long thread = std::atol(entry->d_name);
        if (thread <= 0 || thread == self) {
            continue;
        }
        const int before = dumped.load(std::memory_order_acquire);
        if (syscall(SYS_tgkill, getpid(), thread, dump_signal) != 0) {
            continue;
        }
        for (int n = 0; n < 100 && dumped.load(std::memory_order_acquire) == before; ++n) {
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
    }
    closedir(tasks);
}

// Owned by main(); on_test_* run on the thread that runs the tests, watch() on the watchdog's own thread.
class watchdog {
public:
    explicit watchdog(std::chrono::seconds limit) : limit_(limit), thread_([this] { watch(); }) {}

    ~watchdog() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }

    watchdog(const watchdog&) = delete;
    watchdog& operator=(const watchdog&) = delete;

    // An empty name means that no test is running.
    void running(std::string test) {
        {
            const std::lock_guard lock(mutex_);
            test_ = std::move(test);
            since_ = clock_type::now();
        }
        changed_.notify_one();
    }

private:
    void watch() {
        std::unique_lock lock(mutex_);
        while (!stopping_) {
            if (test_.empty()) {
                changed_.wait(lock);
                continue;
            }
            const auto deadline = since_ + limit_;
            changed_.wait_until(lock, deadline);
            if (!stopping_ && !test_.empty() && clock_type::now() >= since_ + limit_) {
                bite();
            }
        }
    }

    [[noreturn]] void bite() {
        std::fprintf(stderr,
                     "\nWATCHDOG: %s has been running for more than %lld s: taken as hung, aborting.\n"
                     "Stacks of all threads follow (addr2line -Cfe <program> <address> gives lines). "
                     "COPPICE_TEST_WATCHDOG=<seconds> sets the limit, 0 switches it off.\n",
                     test_.c_str(), static_cast<long long>(limit_.count()));
        std::fflush(nullptr);
        print_all_stacks();
        std::abort();
    }

    const std::chrono::seconds limit_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string test_;              // guarded by mutex_
    clock_type::time_point since_;  // guarded by mutex_
    bool stopping_ = false;         // guarded by mutex_
    std::thread thread_;            // last: it uses what stands above
};

class reporter : public testing::EmptyTestEventListener {
public:
    explicit reporter(watchdog& dog) : dog_(dog) {}
    void OnTestStart(const testing::TestInfo& test) override {
        dog_.running(std::string(test.test_suite_name()) + "." + test.name());
    }
    void OnTestEnd(const testing::TestInfo&) override { dog_.running({}); }

private:
    watchdog& dog_;
};

std::chrono::seconds limit_from_environment() {
    const char* text = std::getenv("COPPICE_TEST_WATCHDOG");
    return std::chrono::seconds(text != nullptr ? std::atol(text) : COPPICE_TEST_WATCHDOG_DEFAULT);
}

}  // namespace

// A test program may have been started for something else than its tests: what does that defines this, and returns the process's
// exit code, or -1 if it is to run its tests.
[[gnu::weak]] int run_other_role(int& argc, char** argv);

int main(int argc, char** argv) {
    if (run_other_role)
        if (const int code = run_other_role(argc, argv); code >= 0) return code;
    testing::InitGoogleMock(&argc, argv);
    // A death test forks; with the watchdog's thread around, only the form that starts the program anew is safe.
    testing::GTEST_FLAG(death_test_style) = "threadsafe";

    const auto limit = limit_from_environment();
    if (limit.count() <= 0 || testing::GTEST_FLAG(list_tests)) {
        return RUN_ALL_TESTS();
    }

    void* frame[1];
    backtrace(frame, 1);  // loads libgcc now: in a signal handler it would be too late
    struct sigaction action = {};
    action.sa_handler = print_own_stack;
    action.sa_flags = SA_RESTART;
    sigaction(dump_signal, &action, nullptr);

    watchdog dog(limit);
    // GoogleTest owns the listener.
    testing::UnitTest::GetInstance()->listeners().Append(std::make_unique<reporter>(dog).release());
    return RUN_ALL_TESTS();
}
