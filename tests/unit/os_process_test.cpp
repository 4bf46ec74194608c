// Child processes: what they are given, what is heard of them, how their end is told, and that nothing is left of them.
// The children are programs of the system, or this test program in a role (support/processes.hpp), which talks by its
// channel. One reactor, one thread; after every test there is no child, no zombie and no descriptor more than before.
#include "process/os_process.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/io_reactor.hpp"
#include "support/own_directory.hpp"
#include "support/processes.hpp"
#include "support/sanitizers.hpp"

namespace {
int pidfd_failure = 0;  // what the next pidfd_open() fails with; 0: nothing
}

// In place of the C library's, so that it can fail after a spawn that succeeded.
extern "C" int pidfd_open(pid_t id, unsigned flags) noexcept {
    if (const int failure = std::exchange(pidfd_failure, 0)) {
        errno = failure;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_pidfd_open, id, flags));
}

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;
using coppice::detail::channel_descriptor;
using coppice::detail::channel_record;
using coppice::detail::os_process;
using coppice::detail::output_line;
using coppice::detail::process_end;
using coppice::detail::process_events;
using coppice::detail::process_request;
using strings = std::vector<std::string>;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::set<int> open_descriptors() {
    std::set<int> found;
    DIR* listed = ::opendir("/proc/self/fd");
    if (!listed) throw std::system_error{errno, std::system_category(), "/proc/self/fd"};
    while (const dirent* entry = ::readdir(listed))
        if (entry->d_name[0] != '.') found.insert(std::atoi(entry->d_name));
    found.erase(::dirfd(listed));
    ::closedir(listed);
    return found;
}

std::string own_file() { return std::filesystem::read_symlink("/proc/self/exe").string(); }

/// What the test says is made of bytes; what goes over a channel too.
std::span<const std::byte> as_record(std::string_view text) { return std::as_bytes(std::span{text}); }

/// Bytes that depend on their place and on `salt`; no line end among them.
std::string pattern(std::size_t size, std::uint64_t salt) {
    std::string made(size, '\0');
    std::uint64_t x = salt * 0x9e3779b97f4a7c15u + 1;
    for (char& c : made) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        c = static_cast<char>('0' + (x >> 32) % 64);
    }
    return made;
}

// ---------------------------------------------------------------- what children do

bool tell(std::string_view record) {
    return ::send(channel_descriptor, record.data(), record.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(record.size());
}

/// Empty: the channel's end.
std::string hear() {
    std::string room(channel_record, '\0');
    const ssize_t n = ::recv(channel_descriptor, room.data(), room.size(), 0);
    room.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return room;
}

void write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t n = ::write(fd, text.data(), text.size());
        if (n <= 0) std::_Exit(90);
        text.remove_prefix(static_cast<std::size_t>(n));
    }
}

std::string content(const char* file) {
    std::ifstream in{file, std::ios::binary};
    std::ostringstream all;
    all << in.rdbuf();
    return all.str();
}

int tell_arguments() { return tell(content("/proc/self/cmdline")) ? 0 : 1; }

int echo_records() {
    for (std::string record = hear(); !record.empty(); record = hear())
        if (!tell(record)) return 1;
    return 42;
}

// Their numbers, and what they are.
int tell_descriptors() {
    std::string text;
    for (int fd = 0; fd < 4096; ++fd)
        if (::fcntl(fd, F_GETFD) >= 0) text += std::to_string(fd) + " ";
    struct stat is{};
    const bool null = ::fstat(0, &is) == 0 && S_ISCHR(is.st_mode) && is.st_rdev == makedev(1, 3);
    text += null ? "null " : "no null ";
    for (const int fd : {1, 2}) {
        text += ::fstat(fd, &is) == 0 && S_ISFIFO(is.st_mode) ? "pipe " : "no pipe ";
        text += (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0 ? "blocks " : "does not block ";
    }
    int type = 0;
    socklen_t size = sizeof type;
    const bool packets = ::getsockopt(3, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
    text += packets ? "packets " : "no packets ";
    text += (::fcntl(3, F_GETFL) & O_NONBLOCK) == 0 ? "blocks" : "does not block";
    return tell(text) ? 0 : 1;
}

int send_too_large() {
    const std::string large(channel_record + 1, 'x');
    if (!tell("first") || !tell(large)) return 1;
    return hear().empty() ? 0 : 2;  // the other side has closed
}

// All that one wakeup reads, then that.
int send_too_large_and_end() {
    for (int n = 0; n < 4; ++n)
        if (!tell(std::string(channel_record, 'a'))) return 1;
    return tell(std::string(channel_record + 1, 'x')) ? 0 : 2;
}

int send_empty_ones() {
    for (const char* text : {"", "a", "", "", "b", ""})
        if (!tell(text)) return 1;
    if (hear() != "go on") return 2;
    for (const char* text : {"", "c", ""})
        if (!tell(text)) return 1;
    return 0;
}

int close_outputs() {
    ::close(STDOUT_FILENO);
    ::close(STDERR_FILENO);
    if (!tell("closed")) return 1;
    return hear() == "go" ? 5 : 2;
}

constexpr std::size_t long_lines[] = {0,
                                      1,
                                      output_line - 1,
                                      output_line,
                                      output_line,
                                      0,
                                      output_line + 1,
                                      2 * output_line - 1,
                                      5,
                                      2 * output_line,
                                      3 * output_line + 7,
                                      output_line};

int write_long_lines() {
    std::string text;
    for (const std::size_t size : long_lines) text += pattern(size, size + 1) + "\n";
    text.pop_back();  // the last one has no end
    write_all(STDOUT_FILENO, text);
    return 0;
}

// A line of just the largest size, whose end comes later.
int write_line_in_two() {
    write_all(STDOUT_FILENO, std::string(output_line, 'x'));
    if (!tell("written") || hear() != "go") return 1;
    write_all(STDOUT_FILENO, "\nnext\n");
    return 0;
}

// Many lines, known to both sides.
constexpr std::size_t flood_bytes = (slow_build ? 10u : 100u) << 20;

class flood {
public:
    [[nodiscard]] bool over() const noexcept { return made_ >= flood_bytes; }
    std::string_view next() {
        x_ ^= x_ << 13;
        x_ ^= x_ >> 7;
        x_ ^= x_ << 17;
        const std::size_t begin = x_ % 512;
        const std::string_view line = std::string_view{text_}.substr(begin, (x_ >> 20) % 512);
        made_ += line.size() + 1;
        return line;
    }

private:
    const std::string text_ = pattern(1024, 7);
    std::uint64_t x_ = 88172645463325252u;
    std::size_t made_ = 0;
};

int write_flood() {
    std::string text;
    for (flood lines; !lines.over();) {
        text += lines.next();
        text += '\n';
        if (text.size() < 100'000) continue;
        write_all(STDOUT_FILENO, text);
        text.clear();
    }
    write_all(STDOUT_FILENO, text);
    return 0;
}

// More than one wakeup reads, of everything: what is left when the end is seen is known.
constexpr std::size_t last_records = 6;
constexpr std::size_t last_lines = 600;
constexpr std::size_t last_line_size = 1000;

int write_much_and_end() {
    const std::string how = word("END");
    if (hear() != "go") return 1;
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(fd, F_SETPIPE_SZ, 1 << 20) < 0) return 2;
    for (std::size_t n = 0; n < last_records; ++n)
        if (!tell(pattern(channel_record, n))) return 3;
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
        std::string text;
        for (std::size_t n = 0; n < last_lines; ++n) text += pattern(last_line_size, n) + "\n";
        write_all(fd, text + "the last words");
    }
    if (how == "signal") ::kill(::getpid(), SIGKILL);
    ::_exit(7);
}

const bool roles = add_role("arguments", tell_arguments) && add_role("echo", echo_records) &&
                   add_role("descriptors", tell_descriptors) && add_role("too_large", send_too_large) &&
                   add_role("too_large_and_end", send_too_large_and_end) &&
                   add_role("line_in_two", write_line_in_two) && add_role("empty_ones", send_empty_ones) &&
                   add_role("close_outputs", close_outputs) && add_role("long_lines", write_long_lines) &&
                   add_role("flood", write_flood) && add_role("write_much", write_much_and_end);

// ---------------------------------------------------------------- what is heard of them

/// Owns a child, writes down what it tells, and holds it to its rules.
class watched final : public process_events {
public:
    watched(reactor& on, const process_request& what) {
        const inside noted{calls_};
        auto made = os_process::start(on, what, *this);
        if (made) child_ = std::move(*made);
        else failure = made.error();
    }
    watched(const watched&) = delete;
    watched& operator=(const watched&) = delete;

    std::optional<error> failure;
    strings records;
    strings out;
    strings err;
    int closed = 0;
    std::optional<process_end> end;
    std::function<void()> after_each;                 // event
    std::function<void(std::string_view)> take_line;  // in place of `out` and `err`

    os_process* operator->() const noexcept { return child_.get(); }
    errc send(std::string_view text) {
        const inside noted{calls_};
        return child_->send(as_record(text));
    }
    void destroy() {
        child_.reset();
        destroyed_ = true;
    }

    void record(std::span<const std::byte> bytes) override {
        check();
        EXPECT_EQ(closed, 0) << "a record after the channel's end";
        EXPECT_FALSE(bytes.empty());
        records.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (after_each) after_each();
    }
    void channel_closed() override {
        check();
        ++closed;
        if (after_each) after_each();
    }
    void line(bool of_standard_error, std::string_view text) override {
        check();
        EXPECT_LE(text.size(), output_line);
        if (take_line) take_line(text);
        else (of_standard_error ? err : out).emplace_back(text);
        if (after_each) after_each();
    }
    void ended(process_end how) override {
        check();
        EXPECT_EQ(closed, 1) << "the channel's end is told once, before the child's";
        end = how;
        if (after_each) after_each();
    }

private:
    // The owner is inside a function of the child, where no event may come.
    struct inside {
        explicit inside(int& d) : depth{d} { ++depth; }
        inside(const inside&) = delete;
        inside& operator=(const inside&) = delete;
        ~inside() { --depth; }
        int& depth;
    };
    void check() const {
        EXPECT_EQ(calls_, 0) << "an event within a call";
        EXPECT_FALSE(destroyed_) << "an event after the destruction";
        EXPECT_FALSE(end.has_value()) << "an event after ended()";
    }
    int calls_ = 0;
    bool destroyed_ = false;
    std::unique_ptr<os_process> child_;
};

process_request program(std::string name, strings arguments = {}) {
    process_request made;
    made.program = std::move(name);
    made.arguments = std::move(arguments);
    return made;
}

process_request shell(std::string script) { return program("/bin/sh", {"-c", std::move(script)}); }

/// This program in a role, which prints nothing by itself.
process_request in_role(const std::string& role, const std::map<std::string, std::string>& words = {}) {
    process_request made;
    for (char** variable = environ; *variable; ++variable) {
        const std::string_view text{*variable};
        if (text.starts_with("GTEST_")) made.environment.emplace_back(text.substr(0, text.find('=')), "");
    }
    made.environment.emplace_back("GTEST_BRIEF", "1");
    made.environment.emplace_back("COPPICE_TEST_ROLE", role);
    for (const auto& [name, text] : words) made.environment.emplace_back("COPPICE_TEST_" + name, text);
    return made;
}

/// A file with that content.
std::string file_with(const std::string& path, std::string_view text, mode_t mode) {
    std::ofstream{path, std::ios::binary} << text;
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
}

/// Waits, without reaping, until that child has ended, or has been stopped.
void await_state(pid_t id, int what) {
    siginfo_t seen{};
    ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(id), &seen, what | WNOWAIT), 0) << std::strerror(errno);
}

class Process : public ::testing::Test {
protected:
    void SetUp() override {
        on.run_for(1ns);  // Asio opens its own descriptors with the first wait
        descriptors_ = open_descriptors();
    }
    void TearDown() override {
        on.run_ready();  // handlers of destroyed objects
        EXPECT_EQ(open_descriptors(), descriptors_) << "descriptors are left";
        EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "a child is left, alive or as a zombie";
        EXPECT_EQ(errno, ECHILD);
    }

    /// Until it has ended.
    void finish(watched& w) {
        if (w.failure) {
            ADD_FAILURE() << w.failure->what();
            w.end = process_end{.code = process_end::unknown};
            return;
        }
        on.run_until([&] { return w.end.has_value(); });
    }
    /// The standard output of a program that ends well.
    strings output(const process_request& what) {
        watched w{on, what};
        finish(w);
        EXPECT_THAT(w.err, ElementsAre());
        EXPECT_EQ(w.end->to_string(), "exit code 0");
        return w.out;
    }
    /// That it is refused so, with a text that has all of these, and nothing is left.
    void refused(const process_request& what, errc code, const strings& texts) {
        const watched w{on, what};
        ASSERT_TRUE(w.failure) << what.program << " runs";
        EXPECT_EQ(w.failure->code(), code) << w.failure->what();
        for (const std::string& text : texts) EXPECT_THAT(w.failure->what(), HasSubstr(text));
        EXPECT_EQ(open_descriptors(), descriptors_) << w.failure->what();
    }

    /// What was open when the test began.
    [[nodiscard]] const std::set<int>& before() const noexcept { return descriptors_; }

    io_reactor on;

private:
    std::set<int> descriptors_;
};

// ---------------------------------------------------------------- what it is given

TEST_F(Process, ArgumentsArriveAsTheyAre) {
    const strings arguments = {"",
                               "two words",
                               "'single' \"double\" \\ back",
                               "one\ntwo\n",
                               "$HOME `id` * ; &",
                               "žluťoučký kůň 木",
                               "\x80\xfe\xff\x01",
                               "-v",
                               "",
                               std::string(100'000, 'x')};
    process_request what = in_role("arguments");
    what.arguments = arguments;
    what.arguments.back().resize(10'000);
    watched w{on, what};
    finish(w);
    std::string expected = own_file() + '\0';
    for (const std::string& text : what.arguments) expected += text + '\0';
    EXPECT_THAT(w.records, ElementsAre(expected));
    EXPECT_THAT(output(program("/bin/echo", {"a  b", "c"})), ElementsAre("a  b c"));
}

TEST_F(Process, TheProgramIsLookedForInThePathIfItIsNoPath) {
    EXPECT_THAT(output(program("echo", {"found"})), ElementsAre("found"));
    refused(program("coppice-no-such-program"), errc::not_found, {"coppice-no-such-program", "PATH"});
}

TEST_F(Process, TheEnvironmentIsOursWithWhatWasSetAndWithoutWhatWasRemoved) {
    ::setenv("COPPICE_TEST_KEPT", "kept", 1);
    ::setenv("COPPICE_TEST_CHANGED", "before", 1);
    ::setenv("COPPICE_TEST_REMOVED", "still there", 1);
    process_request what = program("/usr/bin/env");
    what.environment = {{"COPPICE_TEST_CHANGED", "first"}, {"COPPICE_TEST_CHANGED", "a=b c"},
                        {"COPPICE_TEST_REMOVED", ""},      {"COPPICE_TEST_NEW", "\xff new"},
                        {"COPPICE_TEST_NEVER_THERE", ""},  {"COPPICE_CHANNEL", "77"}};
    strings seen = output(what);
    std::erase_if(seen, [](const std::string& text) { return !text.starts_with("COPPICE_"); });
    std::erase_if(seen, [](const std::string& text) { return text.starts_with("COPPICE_TEST_WATCHDOG="); });
    EXPECT_THAT(seen, ::testing::UnorderedElementsAre("COPPICE_TEST_KEPT=kept", "COPPICE_TEST_CHANGED=a=b c",
                                                      "COPPICE_TEST_NEW=\xff new", "COPPICE_CHANNEL=3"));
    EXPECT_STREQ(std::getenv("COPPICE_TEST_REMOVED"), "still there") << "this process keeps its own";
    for (const char* name : {"COPPICE_TEST_KEPT", "COPPICE_TEST_CHANGED", "COPPICE_TEST_REMOVED"})
        ::unsetenv(name);
}

TEST_F(Process, ItStartsInTheDirectoryThatWasAskedFor) {
    const own_directory there;
    process_request what = program("/bin/pwd", {"-P"});
    const std::string here = std::filesystem::current_path();
    EXPECT_THAT(output(what), ElementsAre(here));
    what.directory = there.path();
    EXPECT_THAT(output(what), ElementsAre(std::filesystem::canonical(there.path()).string()));
    what.program = "pwd";
    EXPECT_THAT(output(what), ElementsAre(std::filesystem::canonical(there.path()).string()));
    EXPECT_EQ(std::filesystem::current_path(), here) << "this process stays where it is";
}

TEST_F(Process, ARelativePathOfItsProgramIsFromOurDirectoryNotFromItsOwn) {
    const own_directory ours;
    const own_directory its;
    file_with(ours.path("tool"), "#!/bin/sh\necho ours; pwd -P\n", 0700);
    file_with(its.path("tool"), "#!/bin/sh\necho another\n", 0700);
    const std::filesystem::path here = std::filesystem::current_path();
    std::filesystem::current_path(ours.path());
    process_request what = program("./tool");
    what.directory = its.path();
    const strings seen = output(what);
    std::filesystem::current_path(here);
    EXPECT_THAT(seen, ElementsAre("ours", std::filesystem::canonical(its.path()).string()));
}

TEST_F(Process, ItSeesExactlyFourDescriptorsWhateverWeHaveOpen) {
    const int low = ::open("/dev/zero", O_RDONLY);  // not closed on exec
    const int high = ::fcntl(low, F_DUPFD, 700);
    ASSERT_GE(high, 700);
    watched w{on, in_role("descriptors")};
    finish(w);
    ::close(low);
    ::close(high);
    EXPECT_THAT(w.records, ElementsAre("0 1 2 3 null pipe blocks pipe blocks packets blocks"));
}

// Closes some of 0, 1 and 2 for a while.
class closed_standard_descriptors {
public:
    explicit closed_standard_descriptors(unsigned which) {
        for (int fd = 0; fd < 3; ++fd)
            if ((which >> fd & 1) != 0) kept_[fd] = ::fcntl(fd, F_DUPFD_CLOEXEC, channel_descriptor + 1);
        for (const auto& [fd, copy] : kept_) ::close(fd);
    }
    ~closed_standard_descriptors() {
        for (const auto& [fd, copy] : kept_) {
            ::dup2(copy, fd);
            ::close(copy);
        }
    }
    closed_standard_descriptors(const closed_standard_descriptors&) = delete;
    closed_standard_descriptors& operator=(const closed_standard_descriptors&) = delete;

private:
    std::map<int, int> kept_;
};

TEST_F(Process, ItIsGivenTheRightDescriptorsEvenIfOurOwnStandardOnesAreClosed) {
    for (const char* directory : {"", "/"}) {
        for (unsigned which = 1; which < 8; ++which) {
            process_request what = in_role("descriptors");
            what.directory = directory;
            strings records;
            {
                const closed_standard_descriptors for_a_while{which};
                watched w{on, what};
                if (!w.failure) on.run_until([&] { return w.end.has_value(); });
                records = w.records;
            }
            EXPECT_THAT(records, ElementsAre("0 1 2 3 null pipe blocks pipe blocks packets blocks"))
                << which << directory;
        }
    }
}

TEST_F(Process, OurSideOfItIsClosedInWhatElseIsExecuted) {
    watched w{on, program("/bin/sleep", {"1000"})};
    ASSERT_FALSE(w.failure) << w.failure->what();
    std::size_t ours = 0;
    for (const int fd : open_descriptors()) {
        if (before().contains(fd)) continue;
        ++ours;
        EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
    }
    EXPECT_EQ(ours, 4u) << "channel, two outputs, and what tells its end";
}

TEST_F(Process, ItsSignalsAreDefaultAndNoneIsBlocked) {
    sigset_t some;
    sigset_t before;
    ::sigemptyset(&some);
    for (const int number : {SIGTERM, SIGUSR1, SIGCHLD, SIGPIPE}) ::sigaddset(&some, number);
    ::pthread_sigmask(SIG_BLOCK, &some, &before);
    std::map<int, sighandler_t> dispositions;
    for (const int number : {SIGPIPE, SIGHUP, SIGINT, SIGTSTP})
        dispositions[number] = ::signal(number, SIG_IGN);
    const strings seen = output(program("/bin/grep", {"-E", "^Sig(Blk|Ign):", "/proc/self/status"}));
    for (const auto& [number, disposition] : dispositions) ::signal(number, disposition);
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    EXPECT_THAT(seen, ElementsAre("SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"));
}

// The role of a program whose file is gone: it starts itself nevertheless.
int start_itself() {
    std::filesystem::remove(own_file());
    io_reactor on;
    watched w{on, in_role("echo")};
    if (w.failure || w.send("still") != errc::ok) return 1;
    on.run_until([&] { return !w.records.empty() || w.end; });
    return w.records == strings{"still"} ? 11 : 2;
}
const bool start_itself_role = add_role("start_itself", start_itself);

TEST_F(Process, WithoutANameItIsThisProgramEvenIfItsFileIsGone) {
    const std::string copy = own_file() + ".another-" + std::to_string(::getpid());
    std::filesystem::create_hard_link(own_file(), copy);
    process_request what = in_role("start_itself");
    what.program = copy;
    watched w{on, what};
    finish(w);
    EXPECT_FALSE(std::filesystem::exists(copy));
    EXPECT_EQ(w.end->to_string(), "exit code 11");
}

// ---------------------------------------------------------------- what is refused

TEST_F(Process, WhatDoesNotRunIsRefusedWithItsNameAndTheReason) {
    const own_directory d;
    const std::string missing = d.path("missing");
    const std::string plain = file_with(d.path("plain"), "#!/bin/sh\n", 0600);
    const std::string bare = file_with(d.path("bare"), "echo no first line\n", 0700);
    const std::string orphan = file_with(d.path("orphan"), "#!/no/such/interpreter\n", 0700);
    refused(program(missing), errc::not_found, {missing, "no such file"});
    refused(program(plain + "/inside"), errc::not_found, {plain + "/inside"});
    refused(program(d.path(std::string(300, 'x'))), errc::not_found, {d.path("xxx")});
    refused(program(orphan), errc::not_found, {orphan, "interpreter"});
    refused(program(plain), errc::denied, {plain, "not executable"});
    refused(program(d.path()), errc::denied, {d.path(), "directory"});
    refused(program(bare), errc::denied, {bare, "#!"});
    refused(program("/bin/echo", strings(8, std::string(1 << 20, 'x'))), errc::limit_reached,
            {"/bin/echo", "arguments"});
}

TEST_F(Process, AMissingDirectoryIsToldFromAMissingProgram) {
    const own_directory d;
    process_request what = program("/bin/pwd");
    what.directory = d.path("missing");
    refused(what, errc::not_found, {"/bin/pwd", "working directory " + what.directory});
    what.directory = file_with(d.path("plain"), "", 0600);
    refused(what, errc::not_found, {"/bin/pwd", "working directory " + what.directory, "no directory"});
    what = program(d.path("missing"));
    what.directory = d.path();
    refused(what, errc::not_found, {what.program, "no such file"});
}

TEST_F(Process, TextsThatASystemCallWouldCutAreRefused) {
    using namespace std::string_literals;
    refused(program("/bin/ec\0ho"s), errc::invalid_argument, {"zero byte"});
    refused(program("/bin/echo", {"fine", "not\0fine"s}), errc::invalid_argument,
            {"/bin/echo", "argument 2"});
    process_request what = program("/bin/echo");
    what.directory = "/\0"s;
    refused(what, errc::invalid_argument, {"/bin/echo", "directory"});
    what.directory.clear();
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"A=B", "c"}, {"", "c"}, {"A\0B"s, "c"}, {"A", "b\0c"s}}) {
        what.environment = {{name, value}};
        refused(what, errc::invalid_argument, {"/bin/echo", "environment"});
    }
}

class world_without_io final : public reactor {
public:
    void* io_context() noexcept override { return nullptr; }
    [[nodiscard]] std::int64_t now() override { return 0; }
    void post(std::function<void()>) override {}
    [[nodiscard]] std::unique_ptr<pending_timer> after(std::chrono::nanoseconds,
                                                       std::function<void()>) override {
        return nullptr;
    }
    void add(poller&) override {}
    void remove(poller&) noexcept override {}
};

TEST_F(Process, AWorldWithoutIoRefusesIt) {
    world_without_io nowhere;
    const watched w{nowhere, program("/bin/echo")};
    ASSERT_TRUE(w.failure);
    EXPECT_EQ(w.failure->code(), errc::invalid_argument);
}

// Lets go of all that it has taken.
class no_descriptors {
public:
    /// But for `spare` of them.
    explicit no_descriptors(int spare) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit few = before_;
        few.rlim_cur = static_cast<rlim_t>(*open_descriptors().rbegin()) + 20;
        ::setrlimit(RLIMIT_NOFILE, &few);
        for (int fd = ::dup(STDERR_FILENO); fd >= 0; fd = ::dup(STDERR_FILENO)) taken_.push_back(fd);
        for (; spare > 0; --spare) {
            ::close(taken_.back());
            taken_.pop_back();
        }
    }
    ~no_descriptors() {
        for (const int fd : taken_) ::close(fd);
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }
    no_descriptors(const no_descriptors&) = delete;
    no_descriptors& operator=(const no_descriptors&) = delete;

private:
    rlimit before_{};
    std::vector<int> taken_;
};

TEST_F(Process, WithoutDescriptorsItIsRefusedAndNothingIsLeft) {
    if (sanitizer_needs_descriptors) GTEST_SKIP() << "this build's checks need descriptors";
    process_request what = program("/bin/echo", {"at last"});
    what.directory = "/";
    int spare = 0;
    for (bool refused = true; refused; ++spare) {
        std::optional<error> failure;
        strings out;
        {
            const no_descriptors taken{spare};  // the expectations below may need some
            watched w{on, what};
            failure = w.failure;
            if (!failure) on.run_until([&] { return w.end.has_value(); });
            out = w.out;
        }
        ASSERT_EQ(open_descriptors(), before()) << spare;
        refused = failure.has_value();
        if (refused) {
            ASSERT_EQ(failure->code(), errc::limit_reached) << spare << ": " << failure->what();
            ASSERT_THAT(failure->what(), HasSubstr("/bin/echo"));
        } else {
            EXPECT_THAT(out, ElementsAre("at last"));
        }
    }
    EXPECT_GT(spare, 5);
}

TEST_F(Process, IfItsEndCouldNotBeHeardItIsKilledAndNothingIsLeft) {
    pidfd_failure = EMFILE;
    refused(program("/bin/sleep", {"1000"}), errc::limit_reached, {"/bin/sleep", "ulimit -n"});
    EXPECT_EQ(pidfd_failure, 0);
}

// ---------------------------------------------------------------- its outputs

TEST_F(Process, LinesOfBothOutputsComeAndTheLastOneMayHaveNoEnd) {
    watched w{on, shell(R"(printf 'one\n\ntwo\r\nlast'; printf 'e\377\001\nlast e' >&2)")};
    finish(w);
    EXPECT_THAT(w.out, ElementsAre("one", "", "two\r", "last"));
    EXPECT_THAT(w.err, ElementsAre("e\377\001", "last e"));
}

TEST_F(Process, ALineThatIsTooLongComesInPieces) {
    strings expected;
    for (const std::size_t size : long_lines) {
        std::string line = pattern(size, size + 1);
        for (; line.size() > output_line; line.erase(0, output_line))
            expected.push_back(line.substr(0, output_line));
        expected.push_back(line);
    }
    EXPECT_TRUE(output(in_role("long_lines")) == expected);
}

TEST_F(Process, ALineOfJustThatSizeIsNotInPiecesEvenIfItsEndComesLater) {
    watched w{on, in_role("line_in_two")};
    on.run_until([&] { return !w.records.empty(); });
    on.run_ready();
    EXPECT_THAT(w.out, ElementsAre()) << "whether it goes on is not known yet";
    EXPECT_EQ(w.send("go"), errc::ok);
    finish(w);
    EXPECT_THAT(w.out, ElementsAre(std::string(output_line, 'x'), "next"));
}

std::size_t memory_in_use() {
    std::ifstream in{"/proc/self/statm"};
    std::size_t size = 0;
    std::size_t resident = 0;
    in >> size >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

TEST_F(Process, AFloodOfLinesComesWholeWithoutFillingMemory) {
    flood expected;
    std::size_t lines = 0;
    std::size_t wrong = 0;
    std::size_t most = 0;
    watched w{on, in_role("flood")};
    const std::size_t before = memory_in_use();
    w.take_line = [&](std::string_view text) {
        wrong += expected.over() || text != expected.next();
        if (++lines % 4096 == 0) most = std::max(most, memory_in_use());
    };
    finish(w);
    EXPECT_EQ(wrong, 0u);
    EXPECT_TRUE(expected.over()) << "lines are missing after " << lines;
    EXPECT_EQ(w.end->to_string(), "exit code 0");
    if (!slow_build) {  // a sanitizer keeps what is freed
        EXPECT_LT(most, before + (std::size_t{16} << 20));
    }
}

TEST_F(Process, AFloodTakesNoMoreThanItsShareOfATurn) {
    watched w{on, program("yes", {std::string(1000, 'y')})};
    std::size_t turn = 0;
    std::size_t all = 0;
    w.take_line = [&](std::string_view text) { turn += text.size() + 1; };
    ASSERT_FALSE(w.failure) << w.failure->what();
    while (all < (std::size_t{slow_build ? 8 : 64} << 20)) {
        turn = 0;
        on.step();
        all += turn;
        ASSERT_LE(turn, (std::size_t{256} << 10) + output_line);
    }
}

TEST_F(Process, ClosedOutputsAreNotItsEnd) {
    watched w{on, in_role("close_outputs")};
    on.run_until([&] { return !w.records.empty(); });
    on.run_ready();
    EXPECT_THAT(w.records, ElementsAre("closed"));
    EXPECT_FALSE(w.end);
    EXPECT_EQ(w.closed, 0);
    EXPECT_EQ(w.send("go"), errc::ok);
    finish(w);
    EXPECT_EQ(w.end->to_string(), "exit code 5");
}

// ---------------------------------------------------------------- its channel

TEST_F(Process, RecordsGoBothWaysAndKeepTheirBoundaries) {
    watched w{on, in_role("echo")};
    strings sent;
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{4096},
                                   channel_record - 1, channel_record}) {
        sent.push_back(pattern(size, size));
        ASSERT_EQ(w.send(sent.back()), errc::ok);
        on.run_until([&] { return w.records.size() == sent.size(); });
    }
    for (int n = 0; n < 20; ++n) {
        sent.push_back("small " + std::to_string(n));
        ASSERT_EQ(w.send(sent.back()), errc::ok);
    }
    EXPECT_EQ(w.send(std::string(channel_record + 1, 'x')), errc::too_large);
    EXPECT_EQ(w.send(""), errc::invalid_argument);
    on.run_until([&] { return w.records.size() == sent.size(); });
    EXPECT_TRUE(w.records == sent);
    EXPECT_FALSE(w.end);
}

TEST_F(Process, ItsChannelClosesWithOurObjectOnly) {
    // The role ends with that code when it hears the end of its channel, which must be by its own hand here.
    watched w{on, in_role("echo")};
    ASSERT_EQ(w.send("x"), errc::ok);
    on.run_until([&] { return !w.records.empty(); });
    EXPECT_EQ(w.closed, 0);
    w->signal(SIGTERM);
    finish(w);
    EXPECT_EQ(w.end->to_string(), "signal 15 (SIGTERM)");
    EXPECT_EQ(w.send("x"), errc::closed);
    w->signal(SIGTERM);  // nobody is hit
}

TEST_F(Process, AChildThatDoesNotReadFillsItsChannelAndLosesNothing) {
    watched w{on, in_role("echo")};
    ASSERT_EQ(w.send("first"), errc::ok);
    on.run_until([&] { return w.records.size() == 1; });
    w->signal(SIGSTOP);
    await_state(w->id(), WSTOPPED);
    strings sent = {"first"};
    for (;; sent.push_back(pattern(1 + sent.size() * 1000 % channel_record, sent.size()))) {
        if (sent.size() == 1) continue;
        const errc outcome = w.send(sent.back());
        if (outcome == errc::mailbox_full) break;
        ASSERT_EQ(outcome, errc::ok);
        ASSERT_LT(sent.size(), 100'000u) << "its queue has no bound";
    }
    sent.pop_back();
    EXPECT_GT(sent.size(), 4u);
    w->signal(SIGCONT);
    on.run_until([&] { return w.records.size() == sent.size(); });
    EXPECT_TRUE(w.records == sent);
    EXPECT_EQ(w.send("there is room again"), errc::ok);
    on.run_until([&] { return w.records.size() == sent.size() + 1; });
}

TEST_F(Process, ASendToOneThatIsGoneSaysSoBeforeItsEndIsTold) {
    watched w{on, program("/bin/true")};
    await_state(w->id(), WEXITED);
    EXPECT_EQ(w.send("x"), errc::closed);
    EXPECT_EQ(w.closed, 0);
    finish(w);
    EXPECT_EQ(w.end->to_string(), "exit code 0");
}

TEST_F(Process, ATooLargeRecordClosesTheChannelAndIsNotShownCut) {
    watched w{on, in_role("too_large")};
    finish(w);
    EXPECT_THAT(w.records, ElementsAre("first"));
    EXPECT_EQ(w.end->to_string(), "exit code 0") << "the child has seen its channel end";
}

TEST_F(Process, ATooLargeRecordFoundAfterTheEndClosesTheChannelOnce) {
    watched w{on, in_role("too_large_and_end")};
    await_state(w->id(), WEXITED);
    finish(w);
    EXPECT_EQ(w.records.size(), 4u);
    EXPECT_EQ(w.end->to_string(), "exit code 0");
}

TEST_F(Process, EmptyRecordsAreNotTheEndOfTheChannel) {
    watched w{on, in_role("empty_ones")};
    on.run_until([&] { return w.records.size() == 2; });
    on.run_ready();
    EXPECT_EQ(w.closed, 0);
    EXPECT_EQ(w.send("go on"), errc::ok);
    await_state(w->id(), WEXITED);  // the next empty one is read when its channel is closed
    finish(w);
    EXPECT_THAT(w.records, ElementsAre("a", "b", "c"));
    EXPECT_EQ(w.end->to_string(), "exit code 0");
}

TEST_F(Process, ItMayCloseItsChannelAndLiveOn) {
    watched w{on, shell("exec 3>&-; exec sleep 1000")};
    on.run_until([&] { return w.closed == 1; });
    on.run_ready();
    EXPECT_FALSE(w.end);
    EXPECT_EQ(w.send("x"), errc::closed);
    EXPECT_EQ(::kill(w->id(), 0), 0);
    w->signal(SIGKILL);
    finish(w);
    EXPECT_EQ(w.end->to_string(), "signal 9 (SIGKILL)");
}

// ---------------------------------------------------------------- its end

TEST_F(Process, ExitCodesAreTold) {
    for (const int code : {0, 1, 3, 127, 255}) {
        watched w{on, shell("exit " + std::to_string(code))};
        finish(w);
        EXPECT_EQ(w.end->code, code);
        EXPECT_FALSE(w.end->by_signal);
        EXPECT_EQ(w.end->to_string(), "exit code " + std::to_string(code));
    }
}

TEST_F(Process, EndsBySignalsAreToldWithTheirNames) {
    const std::pair<int, std::string> signals[] = {{SIGKILL, "signal 9 (SIGKILL)"},
                                                   {SIGTERM, "signal 15 (SIGTERM)"},
                                                   {SIGPIPE, "signal 13 (SIGPIPE)"},
                                                   {40, "signal 40"}};
    for (const auto& [number, text] : signals) {
        watched w{on, program("/bin/sleep", {"1000"})};
        ASSERT_FALSE(w.failure) << w.failure->what();
        w->signal(number);
        finish(w);
        EXPECT_EQ(w.end->code, number);
        EXPECT_TRUE(w.end->by_signal);
        EXPECT_EQ(w.end->to_string(), text);
    }
    watched w{on, shell("ulimit -c 0; kill -SEGV $$")};
    finish(w);
    EXPECT_EQ(w.end->to_string(), "signal 11 (SIGSEGV)");
    EXPECT_EQ((process_end{.code = SIGSEGV, .by_signal = true, .dumped_core = true}.to_string()),
              "signal 11 (SIGSEGV), core dumped");
}

void much_was_shown(const watched& w) {
    EXPECT_EQ(w.records.size(), last_records);
    for (std::size_t n = 0; n < w.records.size(); ++n)
        EXPECT_TRUE(w.records[n] == pattern(channel_record, n)) << n;
    for (const strings* lines : {&w.out, &w.err}) {
        ASSERT_EQ(lines->size(), last_lines + 1);
        for (std::size_t n = 0; n < last_lines; ++n)
            EXPECT_TRUE((*lines)[n] == pattern(last_line_size, n)) << n;
        EXPECT_EQ(lines->back(), "the last words");
    }
}

TEST_F(Process, WhatItHadWrittenBeforeItsEndIsShown) {
    for (const char* how : {"exit", "signal"}) {
        SCOPED_TRACE(how);
        watched w{on, in_role("write_much", {{"END", how}})};
        ASSERT_EQ(w.send("go"), errc::ok);
        // What it leaves unread makes the kernel tell of a broken connection before what it has sent.
        ASSERT_EQ(w.send("never read"), errc::ok);
        await_state(w->id(), WEXITED);
        finish(w);
        much_was_shown(w);
        EXPECT_EQ(w.end->to_string(), how == std::string{"exit"} ? "exit code 7" : "signal 9 (SIGKILL)");
    }
}

TEST_F(Process, AGrandchildThatHoldsTheOutputsDoesNotDelayItsEnd) {
    watched w{on, shell("sleep 1000 & echo $!; echo begun; printf 'no end'; exit 4")};
    finish(w);
    ASSERT_EQ(w.out.size(), 3u);
    EXPECT_EQ(w.out[1], "begun");
    EXPECT_EQ(w.out[2], "no end");
    EXPECT_EQ(w.end->to_string(), "exit code 4");
    const pid_t grandchild = std::atoi(w.out[0].c_str());
    ASSERT_GT(grandchild, 1);
    EXPECT_EQ(::kill(grandchild, SIGKILL), 0) << "it should still run";
}

TEST_F(Process, AGrandchildThatFloodsDoesNotDelayItsEnd) {
    // It ends by SIGPIPE when the output is closed.
    watched w{on, shell("yes & head -c 1 <&3 >/dev/null; exit 6")};
    std::size_t lines = 0;
    std::size_t turn = 0;
    w.take_line = [&](std::string_view text) {
        ++lines;
        turn += text.size() + 1;
    };
    ASSERT_FALSE(w.failure) << w.failure->what();
    on.run_until([&] { return lines > 100'000; });
    ASSERT_EQ(w.send("go"), errc::ok);
    while (!w.end) {
        turn = 0;
        on.step();
    }
    EXPECT_LE(turn, std::size_t{64} << 10) << "more than the pipe held was read after the end";
    EXPECT_EQ(w.end->to_string(), "exit code 6");
}

TEST_F(Process, TwoHundredAtOnceEndEachWithItsOwn) {
    constexpr int count = 200;
    std::vector<std::unique_ptr<watched>> all;
    for (int n = 0; n < count; ++n) {
        all.push_back(std::make_unique<watched>(
            on, program("/bin/sh", {"-c", "echo out $0; echo err $0 >&2; exit $0", std::to_string(n)})));
        ASSERT_FALSE(all.back()->failure) << all.back()->failure->what();
    }
    on.run_until([&] { return std::ranges::all_of(all, [](const auto& w) { return w->end.has_value(); }); });
    for (int n = 0; n < count; ++n) {
        const watched& w = *all[static_cast<std::size_t>(n)];
        EXPECT_THAT(w.out, ElementsAre("out " + std::to_string(n)));
        EXPECT_THAT(w.err, ElementsAre("err " + std::to_string(n)));
        EXPECT_EQ(w.end->to_string(), "exit code " + std::to_string(n));
    }
}

TEST_F(Process, IfSomethingElseReapsItItsCodeIsUnknown) {
    watched w{on, program("/bin/sleep", {"1000"})};
    w->signal(SIGKILL);
    EXPECT_EQ(::waitpid(w->id(), nullptr, 0), w->id());
    finish(w);
    EXPECT_EQ(w.end->code, process_end::unknown);
    EXPECT_THAT(w.end->to_string(), HasSubstr("unknown"));
}

// ---------------------------------------------------------------- its destruction

TEST_F(Process, ItIsKilledAndReapedWithItsOwner) {
    watched never_run{on, program("/bin/sleep", {"1000"})};
    watched busy{on, program("yes")};
    busy.take_line = [](std::string_view) {};
    watched deaf{on, shell("trap '' TERM INT HUP; echo ready; while :; do :; done")};
    on.run_until([&] { return !deaf.out.empty(); });
    for (watched* w : {&never_run, &busy, &deaf}) {
        const pid_t id = (*w)->id();
        w->destroy();
        EXPECT_EQ(::kill(id, 0), -1) << "it runs, or is a zombie";
    }
    on.run_ready();
}

TEST_F(Process, AStoppedOneIsKilledAndReapedWithItsOwner) {
    watched w{on, program("/bin/sleep", {"1000"})};
    w->signal(SIGSTOP);
    await_state(w->id(), WSTOPPED);
    on.run_ready();
    EXPECT_FALSE(w.end) << "to be stopped is no end";
    w.destroy();
    on.run_ready();
}

TEST_F(Process, OneThatHasEndedUnseenIsReapedWithItsOwner) {
    watched w{on, shell("echo unseen")};
    await_state(w->id(), WEXITED);
    w.destroy();
    on.run_ready();
    EXPECT_FALSE(w.end);
}

TEST_F(Process, ItMayBeDestroyedWithinAnyEvent) {
    using moment = bool (*)(const watched&);
    const std::pair<const char*, moment> moments[] = {
        {"the first record", [](const watched& w) { return w.records.size() == 1; }},
        {"the last record", [](const watched& w) { return w.records.size() == last_records; }},
        {"the channel's end", [](const watched& w) { return w.closed == 1; }},
        {"the first line", [](const watched& w) { return w.out.size() == 1; }},
        {"a line among others", [](const watched& w) { return w.err.size() == 2; }},
        {"the last line", [](const watched& w) { return w.out.size() == last_lines + 1; }},
        {"the last line of the other output",
         [](const watched& w) { return w.err.size() == last_lines + 1; }},
        {"its end", [](const watched& w) { return w.end.has_value(); }},
    };
    for (const auto& [name, now] : moments) {
        SCOPED_TRACE(name);
        watched w{on, in_role("write_much", {{"END", "exit"}})};
        ASSERT_EQ(w.send("go"), errc::ok);
        await_state(w->id(), WEXITED);
        bool destroyed = false;
        w.after_each = [&] {
            if (!now(w)) return;
            destroyed = true;
            w.destroy();
        };
        on.run_until([&] { return destroyed || w.end; });
        on.run_ready();
        EXPECT_TRUE(destroyed);
    }
}

}  // namespace
}  // namespace coppice::tests
