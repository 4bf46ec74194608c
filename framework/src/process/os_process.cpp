// A child process by posix_spawn, on an io_context; see os_process.hpp.
//
// Everything that can run out is had before the spawn: both ends of the channel and of the outputs, their places in
// epoll, the memory. Only the pidfd comes after it; it takes the place of a descriptor that served the spawn alone. The
// pid is never used once there is a pidfd, and before that the child is not reaped: no signal meets another process.
//
// The end is told by the pidfd, never by an end of file: a grandchild may hold the channel and the outputs for as long
// as it likes. So when the child is dead, what lies in them at that moment is read, and not more. Reactor thread: the
// object that the owner holds shares `spawned_child` with the handlers of its waits, which look whether there is still somebody
// to tell.
#include "process/os_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// The header of glibc 2.36 does not say by itself that these are C's.
extern "C" {
#include <sys/pidfd.h>
}

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <map>
#include <system_error>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "process_state.hpp"

namespace coppice::detail {

namespace {

using stream_descriptor = boost::asio::posix::stream_descriptor;

// What one wakeup reads of one channel or output, so that a child that floods holds nobody up.
constexpr std::size_t bytes_per_wakeup = std::size_t{256} << 10;
// What a record costs of that beside its bytes: small ones are bounded in number.
constexpr std::size_t record_cost = 256;
constexpr std::size_t read_size = std::size_t{64} << 10;
// Room for some records before mailbox_full; the kernel doubles it for its own accounts.
constexpr int channel_buffer = 4 * static_cast<int>(channel_record);

// ---------------------------------------------------------------- descriptors

class descriptor {
public:
    descriptor() noexcept = default;
    explicit descriptor(int fd) noexcept : fd_{fd} {}
    descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~descriptor() { close(); }
    void close() noexcept {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// One end of a pair for each side.
struct two_ends {
    descriptor ours;    // does not block
    descriptor theirs;  // blocks, and its number is none that the child uses
};

bool unblock(const descriptor& fd) noexcept {
    const int flags = ::fcntl(fd.get(), F_GETFL);
    return flags >= 0 && ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) == 0;
}

// A dup2 in the child must neither overwrite what a later one copies, nor copy a number to itself, which would leave it
// to be closed by the exec.
bool move_above(descriptor& fd) noexcept {
    if (fd.get() > channel_descriptor) return true;
    descriptor higher{::fcntl(fd.get(), F_DUPFD_CLOEXEC, channel_descriptor + 1)};
    fd = std::move(higher);
    return static_cast<bool>(fd);
}

// All of these: false, errno says why.
bool make_channel(two_ends& made) noexcept {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) return false;
    made = {.ours = descriptor{fds[0]}, .theirs = descriptor{fds[1]}};
    for (const int fd : fds)
        if (::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &channel_buffer, sizeof channel_buffer) != 0)
            return false;
    return unblock(made.ours) && move_above(made.theirs);
}

bool make_output(two_ends& made) noexcept {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    made = {.ours = descriptor{fds[0]}, .theirs = descriptor{fds[1]}};
    return unblock(made.ours) && move_above(made.theirs);
}

bool open_above(descriptor& made, const char* path, int how) noexcept {
    made = descriptor{::open(path, how | O_CLOEXEC)};
    return made && move_above(made);
}

// From then on the io_context closes it.
bool watch(stream_descriptor& by, descriptor& fd) noexcept {
    boost::system::error_code failure;
    static_cast<void>(by.assign(fd.get(), failure));
    if (failure) {
        errno = failure.value();
        return false;
    }
    static_cast<void>(fd.release());
    return true;
}

void close(stream_descriptor& open) noexcept {
    boost::system::error_code ignored;  // it is closed whatever close() says
    static_cast<void>(open.close(ignored));
}

// How many bytes lie in a pipe, or in all the records of a socket.
std::size_t bytes_pending(stream_descriptor& in) noexcept {
    int bytes = 0;
    return ::ioctl(in.native_handle(), FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes)
                                                                           : 0;
}

// ---------------------------------------------------------------- errors

bool ran_out(int number) noexcept {
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM ||
           number == EAGAIN || number == ENOSPC;
}

std::string cannot_start(const std::string& name) { return "cannot start " + name + ": "; }

// What had to be there before the spawn, or right after it.
error resource_error(int number, const std::string& name, std::string_view tried) {
    std::string text = cannot_start(name) + std::string{tried} + ": " + errno_words(number);
    if (number == EMFILE) text += "; raise the limit of descriptors of this process (ulimit -n)";
    else if (ran_out(number)) text += "; the system has no more of it";
    return {ran_out(number) ? errc::limit_reached : errc::io, std::move(text)};
}

error directory_error(int number, const std::string& name, const std::string& directory) {
    const std::string text = cannot_start(name) + "its working directory " + directory;
    switch (number) {
    case ENOENT:
    case ENAMETOOLONG: return {errc::not_found, text + " is not there; make it, or name another"};
    case ENOTDIR: return {errc::not_found, text + " is no directory; name one"};
    case EACCES:
    case EPERM:
        return {errc::denied,
                text + " may not be entered; this process needs the right to search it and what is above"};
    default: return resource_error(number, name, "opening its working directory " + directory);
    }
}

// What a program is started by.
struct program {
    std::string name;     // for people, and its argv[0]
    std::string file;     // for posix_spawn
    bool search = false;  // along PATH
};

error spawn_error(int number, const program& what) {
    const std::string text = cannot_start(what.name);
    struct stat is{};
    const bool there = !what.search && ::stat(what.file.c_str(), &is) == 0;
    switch (number) {
    case ENOENT:
        if (what.search)
            return {errc::not_found,
                    text + "no directory of PATH has it; install it, or name its file by a path with a '/'"};
        if (there)
            return {
                errc::not_found,
                text +
                    "the interpreter that its first line names, or its loader, is not there; install that"};
        return {errc::not_found, text + "there is no such file; check the path"};
    case ENOTDIR: return {errc::not_found, text + "a part of the path is no directory; check the path"};
    case ENAMETOOLONG: return {errc::not_found, text + "no file has a name of that length; check the path"};
    case EACCES:
        if (there && S_ISDIR(is.st_mode))
            return {errc::denied, text + "it is a directory; name a program in it"};
        if (there && (is.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
            return {errc::denied, text + "it is not executable; make it so (chmod +x)"};
        [[fallthrough]];
    case EPERM:
        return {errc::denied,
                text + "this process may not execute it (" + errno_words(number) +
                    "); check its rights, those of the directories above it, and of its file system"};
    case ENOEXEC:
        return {errc::denied,
                text + "the system does not know what it is; a script begins with a line like #!/bin/sh, "
                       "a binary is made for this machine"};
    case E2BIG:
        return {errc::limit_reached,
                text + "its arguments and environment are larger than the system allows; pass "
                       "them by a file or by the channel"};
    case EAGAIN:
        return {errc::limit_reached, text +
                                         "the system allows no more processes; end some, or raise the limit "
                                         "(ulimit -u, pids.max of the cgroup)"};
    default: return resource_error(number, what.name, "starting it");
    }
}

// ---------------------------------------------------------------- what the child is given

bool has_zero(std::string_view text) noexcept { return text.find('\0') != std::string_view::npos; }

result<void> check(const process_request& what) {
    const auto refuse = [&](const std::string& why) {
        const std::string name{what.program.empty() ? "this program" : what.program.c_str()};
        return error{errc::invalid_argument, cannot_start(name) + why};
    };
    if (has_zero(what.program)) return refuse("there is a zero byte in its name");
    if (has_zero(what.directory)) return refuse("there is a zero byte in the name of its working directory");
    for (std::size_t n = 0; n < what.arguments.size(); ++n)
        if (has_zero(what.arguments[n]))
            return refuse("there is a zero byte in argument " + std::to_string(n + 1));
    for (const auto& [name, value] : what.environment) {
        if (name.empty()) return refuse("a variable of its environment has no name");
        if (name.find('=') != std::string::npos)
            return refuse("a variable of its environment has a '=' in its name: " +
                          std::string{name.c_str()});
        if (has_zero(name) || has_zero(value))
            return refuse("there is a zero byte in the variable " + std::string{name.c_str()} +
                          " of its environment");
    }
    return {};
}

result<program> find(const process_request& what) {
    if (what.program.empty()) {
        static constexpr const char* own =
            "/proc/self/exe";  // of the child: before the exec it runs this program too
        std::string name(PATH_MAX, '\0');
        const ssize_t size = ::readlink(own, name.data(), name.size());
        if (size < 0)
            return resource_error(errno, "this program", "reading /proc/self/exe (is /proc mounted?)");
        name.resize(static_cast<std::size_t>(size));
        return program{.name = std::move(name), .file = own};
    }
    const bool path = what.program.find('/') != std::string::npos;
    if (!path) return program{.name = what.program, .file = what.program, .search = true};
    if (what.directory.empty() || what.program.starts_with('/'))
        return program{.name = what.program, .file = what.program};
    // The child is in its working directory when it looks for the file.
    std::string here(PATH_MAX, '\0');
    if (!::getcwd(here.data(), here.size()))
        return resource_error(errno, what.program, "asking for the working directory of this process");
    here.resize(std::strlen(here.c_str()));
    here += "/" + what.program;
    return program{.name = here, .file = here};
}

std::vector<std::string> environment_of(const process_request& what) {
    const std::string channel = std::to_string(channel_descriptor);
    std::map<std::string_view, std::string_view> changed;
    for (const auto& [name, value] : what.environment) changed[name] = value;
    changed[channel_variable] = channel;
    std::vector<std::string> made;
    for (char** variable = environ; variable && *variable; ++variable) {
        const std::string_view text{*variable};
        if (!changed.contains(text.substr(0, text.find('=')))) made.emplace_back(text);
    }
    for (const auto& [name, value] : changed)
        if (!value.empty()) made.push_back(std::string{name} + "=" + std::string{value});
    return made;
}

// What the child's side is made of. Ours to close after the spawn.
struct child_side {
    descriptor nothing;  // /dev/null
    descriptor directory;
    descriptor channel;
    descriptor outputs[2];
};

class spawn_attributes {
public:
    spawn_attributes() noexcept : number_{::posix_spawnattr_init(&of_)} {}
    ~spawn_attributes() { ::posix_spawnattr_destroy(&of_); }
    spawn_attributes(const spawn_attributes&) = delete;
    spawn_attributes& operator=(const spawn_attributes&) = delete;

    // Of this process the child inherits neither blocked nor ignored signals. The errno; 0: done.
    int reset_signals() noexcept {
        sigset_t none;
        sigset_t all;
        ::sigemptyset(&none);
        // sigfillset leaves out the two that the C library uses itself, which posix_spawn then makes ignored.
        std::memset(&all, 0xff, sizeof all);
        note(::posix_spawnattr_setsigmask(&of_, &none));
        note(::posix_spawnattr_setsigdefault(&of_, &all));
        note(::posix_spawnattr_setflags(&of_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
        return number_;
    }
    [[nodiscard]] const posix_spawnattr_t* get() const noexcept { return &of_; }

private:
    void note(int number) noexcept {
        if (number_ == 0) number_ = number;
    }
    posix_spawnattr_t of_{};
    int number_;
};

class spawn_actions {
public:
    spawn_actions() noexcept : number_{::posix_spawn_file_actions_init(&of_)} {}
    ~spawn_actions() { ::posix_spawn_file_actions_destroy(&of_); }
    spawn_actions(const spawn_actions&) = delete;
    spawn_actions& operator=(const spawn_actions&) = delete;

    // The errno; 0: done.
    int hand_over(const child_side& side) noexcept {
        if (side.directory) note(::posix_spawn_file_actions_addfchdir_np(&of_, side.directory.get()));
        copy(side.nothing, STDIN_FILENO);
        copy(side.outputs[0], STDOUT_FILENO);
        copy(side.outputs[1], STDERR_FILENO);
        copy(side.channel, channel_descriptor);
        // Whatever else is open in this process, closed on exec or not.
        note(::posix_spawn_file_actions_addclosefrom_np(&of_, channel_descriptor + 1));
        return number_;
    }
    [[nodiscard]] const posix_spawn_file_actions_t* get() const noexcept { return &of_; }

private:
    void copy(const descriptor& from, int to) noexcept {
        note(::posix_spawn_file_actions_adddup2(&of_, from.get(), to));
    }
    void note(int number) noexcept {
        if (number_ == 0) number_ = number;
    }
    posix_spawn_file_actions_t of_{};
    int number_;
};

// The errno; 0: it runs.
int spawn(const program& what, const process_request& request, const child_side& side, pid_t& id) {
    std::vector<std::string> variables = environment_of(request);
    std::vector<char*> environment;
    environment.reserve(variables.size() + 1);
    for (std::string& text : variables) environment.push_back(text.data());
    environment.push_back(nullptr);
    std::vector<char*> arguments;
    arguments.reserve(request.arguments.size() + 2);
    arguments.push_back(const_cast<char*>(what.name.c_str()));  // posix_spawn only reads them
    for (const std::string& text : request.arguments) arguments.push_back(const_cast<char*>(text.c_str()));
    arguments.push_back(nullptr);

    spawn_attributes attributes;
    if (const int number = attributes.reset_signals()) return number;
    spawn_actions actions;
    if (const int number = actions.hand_over(side)) return number;
    return (what.search ? ::posix_spawnp : ::posix_spawn)(
        &id, what.file.c_str(), actions.get(), attributes.get(), arguments.data(), environment.data());
}

// ---------------------------------------------------------------- the child as we hear it

class spawned_child final : public std::enable_shared_from_this<spawned_child> {
public:
    spawned_child(boost::asio::io_context& io, process_events& events)
        : events_{&events}, death_{io}, channel_{io}, outputs_{{io, false}, {io, true}} {}

    // Starts it. If that fails, it may run nevertheless: stop() follows.
    result<void> start(const process_request& what) {
        const auto program = find(what);
        if (!program) return program.error();
        child_side side;
        if (auto got = prepare(program->name, what.directory, side); !got) return got.error();
        if (const int number = spawn(*program, what, side, id_)) {
            id_ = 0;
            return spawn_error(number, *program);
        }
        runs_ = true;
        side = {};
        descriptor death{::pidfd_open(id_, 0)};
        if (!death || !watch(death_, death))
            return resource_error(errno, program->name, "a descriptor that tells of its end");
        wait_for_death();
        wait_for_records();
        for (output& o : outputs_) wait_for_lines(o);
        return {};
    }

    void stop() noexcept {
        events_ = nullptr;
        // Closed first: a child that SIGKILL may not reach, having another user's rights, is told to end by that.
        close(channel_);
        for (output& o : outputs_) close(o.pipe);
        if (runs_) {
            send_signal(SIGKILL);
            siginfo_t ignored{};
            const bool by_pidfd = death_.is_open();
            // Asio's waits switch it on, and with it waitid would not wait.
            boost::system::error_code cannot_fail;
            if (by_pidfd) static_cast<void>(death_.native_non_blocking(false, cannot_fail));
            while (::waitid(by_pidfd ? P_PIDFD : P_PID,
                            static_cast<id_t>(by_pidfd ? death_.native_handle() : id_), &ignored,
                            WEXITED) != 0 &&
                   errno == EINTR) {
            }
            runs_ = false;
        }
        close(death_);
    }

    [[nodiscard]] pid_t id() const noexcept { return id_; }

    errc send(std::span<const std::byte> record) noexcept {
        if (record.empty()) return errc::invalid_argument;
        if (record.size() > channel_record) return errc::too_large;
        if (!runs_ || !channel_.is_open()) return errc::closed;
        for (;;) {
            if (::send(channel_.native_handle(), record.data(), record.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >=
                0)
                return errc::ok;
            if (errno == EINTR) continue;
            if (errno == EMSGSIZE) return errc::too_large;  // the system allows no buffer of that size
            return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? errc::mailbox_full : errc::closed;
        }
    }

    void send_signal(int number) noexcept {
        if (!runs_) return;
        if (death_.is_open()) ::pidfd_send_signal(death_.native_handle(), number, nullptr, 0);
        else ::kill(id_, number);
    }

private:
    struct output {
        output(boost::asio::io_context& io, bool error) : pipe{io}, of_standard_error{error} {}
        stream_descriptor pipe;
        bool of_standard_error;
        std::string begun;  // a line whose end has not come; at most output_line
    };

    // All that is needed before the spawn; our side is watched.
    result<void> prepare(const std::string& name, const std::string& directory, child_side& side) {
        if (!directory.empty()) {
            if (!open_above(side.directory, directory.c_str(), O_PATH | O_DIRECTORY) ||
                ::faccessat(side.directory.get(), ".", X_OK, AT_EACCESS) != 0)
                return directory_error(errno, name, directory);
        }
        if (!open_above(side.nothing, "/dev/null", O_RDONLY))
            return resource_error(errno, name, "opening /dev/null");
        two_ends made;
        if (!make_channel(made) || !watch(channel_, made.ours))
            return resource_error(errno, name, "making a channel to it");
        side.channel = std::move(made.theirs);
        for (output& o : outputs_) {
            made = {};
            if (!make_output(made) || !watch(o.pipe, made.ours))
                return resource_error(errno, name, "making a pipe for its output");
            side.outputs[o.of_standard_error ? 1 : 0] = std::move(made.theirs);
        }
        return {};
    }

    void wait_for_death() {
        death_.async_wait(stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& failure) {
                              if (!failure && self->events_) self->look_for_death();
                          });
    }
    void wait_for_records() {
        if (!events_ || !channel_.is_open()) return;
        channel_.async_wait(stream_descriptor::wait_read,
                            [self = shared_from_this()](const boost::system::error_code& failure) {
                                if (failure || !self->events_ || !self->channel_.is_open()) return;
                                self->read_records(bytes_per_wakeup, record_cost);
                                self->wait_for_records();
                            });
    }
    void wait_for_lines(output& o) {
        if (!events_ || !o.pipe.is_open()) return;
        o.pipe.async_wait(stream_descriptor::wait_read,
                          [self = shared_from_this(), &o](const boost::system::error_code& failure) {
                              if (failure || !self->events_ || !o.pipe.is_open()) return;
                              self->read_lines(o, bytes_per_wakeup);
                              self->wait_for_lines(o);
                          });
    }

    // Every event may destroy the owner's object: events_ is looked at after each.

    void look_for_death() {
        siginfo_t told{};
        int outcome = 0;
        do outcome = ::waitid(P_PIDFD, static_cast<id_t>(death_.native_handle()), &told, WEXITED | WNOHANG);
        while (outcome != 0 && errno == EINTR);
        if (outcome == 0 && told.si_pid == 0) return wait_for_death();
        process_end how{.code = process_end::unknown};  // somebody else has reaped it
        if (outcome == 0)
            how = {.code = told.si_status,
                   .by_signal = told.si_code != CLD_EXITED,
                   .dumped_core = told.si_code == CLD_DUMPED};
        runs_ = false;
        close(death_);
        if (channel_.is_open()) {
            read_records(bytes_pending(channel_), 0);
            if (channel_.is_open()) end_channel();
        }
        for (output& o : outputs_) {
            if (!events_ || !o.pipe.is_open()) continue;
            read_lines(o, bytes_pending(o.pipe));
            if (o.pipe.is_open()) end_output(o);
        }
        if (process_events* const events = std::exchange(events_, nullptr)) events->ended(how);
    }

    // Until there is none, or those that were read weigh `limit`, each its size and `cost`.
    void read_records(std::size_t limit, std::size_t cost) {
        const auto room = std::make_unique_for_overwrite<std::byte[]>(channel_record);
        for (std::size_t used = 0; used < limit && events_ && channel_.is_open();) {
            // With MSG_TRUNC the answer is the record's real size.
            const ssize_t n =
                ::recv(channel_.native_handle(), room.get(), channel_record, MSG_DONTWAIT | MSG_TRUNC);
            if (n < 0) {
                // ECONNRESET: the other end was closed with records in it that it had not read. Told once, before what
                // it had sent itself.
                if (errno == EINTR || errno == ECONNRESET) continue;
                if (errno == EAGAIN) return;
                return end_channel();
            }
            const auto size = static_cast<std::size_t>(n);
            used += size + cost;
            // A larger one is cut by now. There is nobody to refuse it to.
            if (size > channel_record) return end_channel();
            if (size != 0) events_->record({room.get(), size});
            else if (channel_is_over()) return end_channel();
        }
    }

    // An empty record looks like the end. At the end, nobody sends any more, and nothing but empty ones can be left.
    [[nodiscard]] bool channel_is_over() noexcept {
        pollfd look{.fd = channel_.native_handle(), .events = POLLRDHUP, .revents = 0};
        return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLRDHUP | POLLHUP)) != 0 &&
               bytes_pending(channel_) == 0;
    }

    void end_channel() {
        close(channel_);
        if (events_) events_->channel_closed();
    }

    void read_lines(output& o, std::size_t limit) {
        const auto room = std::make_unique_for_overwrite<char[]>(read_size);
        for (std::size_t used = 0; used < limit && events_ && o.pipe.is_open();) {
            const ssize_t n = ::read(o.pipe.native_handle(), room.get(), std::min(read_size, limit - used));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && errno == EAGAIN) return;
            if (n <= 0) return end_output(o);
            used += static_cast<std::size_t>(n);
            tell_lines(o, {room.get(), static_cast<std::size_t>(n)});
        }
    }

    // A full piece is told only when it is certain that its line goes on: a line of just that size is no two.
    void tell_lines(output& o, std::string_view text) {
        while (!text.empty() && events_) {
            const std::size_t room = output_line - o.begun.size();
            const std::string_view piece = text.substr(0, room + 1);
            const std::size_t end = piece.find('\n');
            if (end == std::string_view::npos && piece.size() <= room) {
                o.begun += piece;
                return;
            }
            const std::size_t size = std::min(end, room);
            text.remove_prefix(end == std::string_view::npos ? size : size + 1);
            if (o.begun.empty()) {
                events_->line(o.of_standard_error, piece.substr(0, size));
            } else {
                o.begun += piece.substr(0, size);
                events_->line(o.of_standard_error, o.begun);
                o.begun.clear();
            }
        }
    }

    void end_output(output& o) {
        close(o.pipe);
        const std::string last = std::exchange(o.begun, {});
        if (events_ && !last.empty()) events_->line(o.of_standard_error, last);
    }

    process_events* events_;   // null: nobody is told any more
    stream_descriptor death_;  // the pidfd; closed once it is reaped
    stream_descriptor channel_;
    output outputs_[2];
    pid_t id_ = 0;
    bool runs_ = false;  // it is not reaped
};

// What the owner holds.
class held_child final : public os_process {
public:
    explicit held_child(std::shared_ptr<spawned_child> held) noexcept : held_{std::move(held)} {}
    ~held_child() override { held_->stop(); }
    held_child(const held_child&) = delete;
    held_child& operator=(const held_child&) = delete;

    [[nodiscard]] pid_t id() const noexcept override { return held_->id(); }
    errc send(std::span<const std::byte> record) noexcept override { return held_->send(record); }
    void signal(int number) noexcept override { held_->send_signal(number); }
    [[nodiscard]] char state() const override {
        return state_of_process(static_cast<std::uint32_t>(held_->id()));
    }

private:
    std::shared_ptr<spawned_child> held_;
};

}  // namespace

std::string process_end::to_string() const {
    if (!by_signal)
        return code == unknown
                   ? "exit code unknown: another part of this program has reaped it, or SIGCHLD is ignored"
                   : "exit code " + std::to_string(code);
    std::string text = "signal " + std::to_string(code);
    if (const char* name = ::sigabbrev_np(code)) text += " (SIG" + std::string{name} + ")";
    return dumped_core ? text + ", core dumped" : text;
}

result<std::unique_ptr<os_process>> os_process::start(reactor& on, const process_request& what,
                                                      process_events& events) {
    if (auto good = check(what); !good) return good.error();
    void* const io = on.io_context();
    if (!io)
        return error{errc::invalid_argument,
                     "cannot start a process: this node has no I/O (a test world); use a node with threads"};
    const auto made = std::make_shared<spawned_child>(*static_cast<boost::asio::io_context*>(io), events);
    std::unique_ptr<os_process> held = std::make_unique<held_child>(made);
    if (auto started = made->start(what); !started) return started.error();
    return held;
}

std::unique_ptr<process_starter> make_process_starter() {
    class of_system final : public process_starter {
        result<std::unique_ptr<os_process>> start(reactor& on, const process_request& what,
                                                  process_events& events) override {
            return os_process::start(on, what, events);
        }
        std::string links_over(const std::string& transport) override { return transport; }
    };
    return std::make_unique<of_system>();
}

}  // namespace coppice::detail
