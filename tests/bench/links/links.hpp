// What the programs of suite `links` share: the names of rows, the process at the other end, and what both processes used.
//
//     shm_rtt_64_poll     kind _ work _ size, and "_poll" where both sides look for messages instead of sleeping; "_loan"
//                         where payloads are not copied at all
//
// A program measures in the process that was started; for each row it starts itself once more as the partner, by
// `PROGRAM --partner CORE ROW ARGUMENT...`. The partner says on its standard output how it is reached, ends when its standard
// input does, and never outlives the process that started it. Used from main() alone; it starts no thread.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "program.hpp"

namespace links {

// ---- rows

enum class work : std::uint8_t {
    round_trip,  // "rtt": one message under way; its figure is the median time
    one_way,     // "oneway": as many as fit; its figure is the rate, until the last has been answered
    outage,      // "cut": the path is cut meanwhile; outage.hpp
};

struct row {
    std::string name;
    std::string kind;
    work what = work::round_trip;
    std::size_t size = 0;  // bytes of a message's payload
    bool polls = false;
    std::function<void(const row&, const bench::reporter&)> play;
    bool lends = false;  // "_loan": the payload is read where the sender has it

    void run(const bench::reporter& out) const { play(*this, out); }
};

struct named_size {
    std::string_view name;
    std::size_t bytes;
};
inline constexpr named_size sizes[] = {
    {"8", 8}, {"64", 64}, {"1k", 1024}, {"64k", 64 * 1024}, {"1m", 1024 * 1024}};

/// Adds all rows of a kind to `rows`. `largest`: the largest size that it can carry.
inline void add_rows(std::vector<row>& rows, std::string_view kind, bool may_poll,
                     std::function<void(const row&, const bench::reporter&)> play,
                     std::size_t largest = SIZE_MAX) {
    for (const work what : {work::round_trip, work::one_way})
        for (const auto& size : sizes)
            for (const bool polls : {false, true}) {
                if (size.bytes > largest || (polls && !may_poll)) continue;
                std::string name{kind};
                name += what == work::round_trip ? "_rtt_" : "_oneway_";
                name += size.name;
                if (polls) name += "_poll";
                rows.push_back({std::move(name), std::string{kind}, what, size.bytes, polls, play});
            }
}

// ---- how long

/// Warming up, then measuring. A quick run takes a tenth of it.
struct duration {
    bench::clock::duration warm_up;
    bench::clock::duration measured;

    explicit duration(const bench::reporter& out)
        : warm_up{std::chrono::milliseconds{out.count(100)}},
          measured{std::chrono::milliseconds{out.count(600)}} {}
};

/// Reads a word of each cache line, as a receiver that looks at its message would.
inline void touch(std::span<const std::byte> bytes) {
    unsigned sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 64) sum += static_cast<unsigned>(bytes[i]);
    asm volatile("" : : "r"(sum));  // it is used, as far as the compiler knows
}

// ---- what processes use

struct usage {
    double cpu_s = 0;
    double wakeups = 0;  // voluntary context switches: how often a thread slept and was woken
};

/// Of all threads of a process that live now.
inline usage usage_of(pid_t process) {
    usage sum;
    clockid_t its_clock{};
    timespec cpu{};
    if (clock_getcpuclockid(process, &its_clock) == 0 && clock_gettime(its_clock, &cpu) == 0)
        sum.cpu_s = static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;
    constexpr std::string_view key = "voluntary_ctxt_switches:";
    std::error_code gone;
    for (const auto& thread :
         std::filesystem::directory_iterator{"/proc/" + std::to_string(process) + "/task", gone}) {
        std::ifstream status{thread.path() / "status"};
        for (std::string line; std::getline(status, line);)
            if (line.starts_with(key)) sum.wakeups += std::strtod(line.c_str() + key.size(), nullptr);
    }
    return sum;
}

/// What this process and its partner use from start() to stop().
class meter {
public:
    /// 0: there is no partner, all happens in this process.
    explicit meter(pid_t partner) : partner_{partner} {}

    void start() {
        used_ = both();
        since_ = bench::clock::now();
    }
    void stop() {
        elapsed_ = bench::clock::now() - since_;
        const usage now = both();
        used_ = {now.cpu_s - used_.cpu_s, now.wakeups - used_.wakeups};
    }
    [[nodiscard]] const usage& used() const { return used_; }
    [[nodiscard]] bench::clock::duration elapsed() const { return elapsed_; }

private:
    [[nodiscard]] usage both() const {
        usage here = usage_of(getpid());
        if (!partner_) return here;
        const usage there = usage_of(partner_);
        return {here.cpu_s + there.cpu_s, here.wakeups + there.wakeups};
    }
    pid_t partner_;
    usage used_;
    bench::clock::time_point since_;
    bench::clock::duration elapsed_{};
};

// ---- results

/// Of a round trip: two messages each. `samples` in nanoseconds.
inline void report_round_trips(const bench::reporter& out, const row& of, std::vector<std::uint32_t> samples,
                               const meter& m) {
    bench::require(!samples.empty(), "there were round trips");
    std::ranges::sort(samples);
    const double messages = static_cast<double>(samples.size()) * 2;
    out.value(of.name, samples[samples.size() / 2] * 1e-3, "us",
              {{"p99", samples[samples.size() * 99 / 100] * 1e-3},
               {"cpu_s", m.used().cpu_s * 1e6 / messages},
               {"wakeups", m.used().wakeups * 1e6 / messages}});
}

inline void report_one_way(const bench::reporter& out, const row& of, std::uint64_t messages,
                           const meter& m) {
    const auto count = static_cast<double>(messages);
    out.value(of.name, count / std::chrono::duration<double>(m.elapsed()).count(), "1/s",
              {{"cpu_s", m.used().cpu_s * 1e6 / count}, {"wakeups", m.used().wakeups * 1e6 / count}});
}

/// Plays round trips until the time is over, and samples them.
template <typename RoundTrip>
void sample_until(bench::clock::time_point end, std::vector<std::uint32_t>& samples, RoundTrip&& round_trip) {
    auto last = bench::clock::now();
    do {
        round_trip();
        const auto now = bench::clock::now();
        samples.push_back(static_cast<std::uint32_t>(
            std::min<std::int64_t>(std::chrono::nanoseconds{now - last}.count(), UINT32_MAX)));
        last = now;
    } while (last < end);
}

// ---- the other process

// Both processes stay on cores of their own, with all their threads: the kernel's choice between one core and two moves a
// round trip several times over, and would be another one for each program.

/// The first and the last core that this process may use; -1 if there is but one.
struct two_cores {
    int first = -1;
    int last = -1;

    two_cores() {
        cpu_set_t mine;
        CPU_ZERO(&mine);
        sched_getaffinity(0, sizeof mine, &mine);
        if (CPU_COUNT(&mine) < 2) return;
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (!CPU_ISSET(static_cast<unsigned>(cpu), &mine)) continue;
            if (first < 0) first = cpu;
            last = cpu;
        }
    }
};

/// Keeps this thread, and those that it starts from now on, on a core, for as long as the object lives. -1: anywhere.
class staying_on {
public:
    explicit staying_on(int cpu) {
        sched_getaffinity(0, sizeof before_, &before_);
        if (cpu < 0) return;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(static_cast<unsigned>(cpu), &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    ~staying_on() { sched_setaffinity(0, sizeof before_, &before_); }
    staying_on(const staying_on&) = delete;
    staying_on& operator=(const staying_on&) = delete;

private:
    cpu_set_t before_{};
};

/// A program that this one starts and talks to in lines over its standard input and output. Its end is waited for; it is
/// ended by its number if it does not end by itself once its input has ended.
class helper {
public:
    /// Descriptors without FD_CLOEXEC are inherited.
    explicit helper(std::vector<std::string> words) {
        int to[2];
        int from[2];
        bench::require(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipes are made");
        in_ = to[1];
        out_ = from[0];
        std::vector<char*> argv;
        for (auto& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_adddup2(&actions, to[0], STDIN_FILENO);
        posix_spawn_file_actions_adddup2(&actions, from[1], STDOUT_FILENO);
        const int failed = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
        posix_spawn_file_actions_destroy(&actions);
        close(to[0]);
        close(from[1]);
        bench::require(failed == 0, "a program starts");
    }
    ~helper() {
        close(in_);
        close(out_);
        pollfd ended{static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)), POLLIN, 0};
        constexpr int patience_ms = 5000;
        if (ended.fd < 0 || ::poll(&ended, 1, patience_ms) <= 0) kill(pid_, SIGKILL);
        if (ended.fd >= 0) close(ended.fd);
        while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    helper(const helper&) = delete;
    helper& operator=(const helper&) = delete;

    [[nodiscard]] pid_t id() const { return pid_; }
    /// The next line that it says.
    [[nodiscard]] std::string heard() const {
        std::string line;
        for (char c = 0; read(out_, &c, 1) == 1 && c != '\n';) line += c;
        bench::require(!line.empty(), "a program says what it was asked for");
        return line;
    }
    void tell(std::string line) const {
        line += '\n';
        bench::require(write(in_, line.data(), line.size()) == static_cast<ssize_t>(line.size()),
                       "a program can be told something");
    }
    /// Tells it something, and returns its answer.
    [[nodiscard]] std::string ask(std::string line) const {
        tell(std::move(line));
        return heard();
    }

private:
    pid_t pid_ = 0;
    int in_ = -1;
    int out_ = -1;
};

/// This program, started once more, on the last core; this process is on the first one meanwhile. Make it before any
/// other thread.
class partner : two_cores, staying_on, public helper {
public:
    explicit partner(const row& of, const std::vector<std::string>& arguments = {})
        : staying_on{first}, helper{command(of, arguments)} {}

    /// The line that it said first.
    [[nodiscard]] std::string greeting() const { return heard(); }

private:
    [[nodiscard]] std::vector<std::string> command(const row& of,
                                                   const std::vector<std::string>& arguments) const {
        std::vector<std::string> words{"/proc/self/exe", "--partner", std::to_string(last), of.name};
        words.insert(words.end(), arguments.begin(), arguments.end());
        return words;
    }
};

/// In a partner: says how it is reached.
inline void greet(std::string_view line) {
    std::printf("%.*s\n", static_cast<int>(line.size()), line.data());
    std::fflush(stdout);
}
/// In a partner: until it is no longer needed.
inline void wait_until_released() {
    char unused = 0;
    while (read(STDIN_FILENO, &unused, 1) > 0) {
    }
}

using partner_function = void (*)(const row&, std::span<char* const> arguments);

/// main() of a program of this suite.
inline int main(int argc, char** argv, const std::vector<row>& rows, partner_function as_partner) {
    signal(SIGPIPE, SIG_IGN);
    const std::span arguments{argv, static_cast<std::size_t>(argc)};
    if (arguments.size() < 4 || std::string_view{arguments[1]} != "--partner")
        return bench::main(argc, argv, rows);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == 1) return 1;  // it ended before we asked
    const auto found = std::ranges::find(rows, std::string_view{arguments[3]}, &row::name);
    bench::require(found != rows.end(), "the partner knows the row");
    const staying_on there{std::atoi(arguments[2])};
    as_partner(*found, arguments.subspan(4));
    return 0;
}

}  // namespace links
