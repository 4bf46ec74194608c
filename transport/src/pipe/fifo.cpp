// Opening, checking and making of named pipes; see fifo.hpp.
// Any thread. Every open() is O_NONBLOCK, so none waits for the other side, and O_NOFOLLOW; what it gave is checked before it
// is used.
#include "pipe/fifo.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <memory>
#include <string_view>
#include <tuple>
#include <vector>

#include "support/run_directory.hpp"

namespace coppice::pipes {

using detail::connect_error;
using detail::unique_fd;

namespace {

constexpr std::string_view down_suffix = ".down";
constexpr std::string_view up_suffix = ".up";
constexpr std::size_t hex_digits = 2 * std::tuple_size_v<token>;

constexpr mode_t own_mode = S_IRUSR | S_IWUSR;
constexpr mode_t group_mode = own_mode | S_IRGRP | S_IWGRP;

mode_t mode_of(const location& at) noexcept { return at.group ? group_mode : own_mode; }

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 ? "/" : path.substr(0, slash);
}

std::string private_path(const location& at, const token& id, std::string_view suffix) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string made = at.path + ".";
    for (const std::byte b : id) {
        made += digits[std::to_integer<unsigned>(b) >> 4];
        made += digits[std::to_integer<unsigned>(b) & 15];
    }
    made += suffix;
    return made;
}

error failure(const location& at, std::string_view what, int number) {
    // No reader, or a symbolic link in its place: errno's words would only puzzle.
    if (number == ENXIO) return {errc::unreachable, at.place + ": nobody listens there"};
    if (number == ELOOP) return {errc::denied, at.place + ": a symbolic link is there"};
    const error why = connect_error(number, at.place);
    return {why.code(), std::string{why.text()} + " (" + std::string{what} + ")"};
}

// The directory with its lock, which goes with the object. Null: somebody else has it, or it cannot be had.
struct closer {
    void operator()(DIR* open) const noexcept { ::closedir(open); }
};
using locked_directory = std::unique_ptr<DIR, closer>;

locked_directory lock_directory(const std::string& path, int& number) {
    locked_directory made{::opendir(path.c_str())};
    number = errno;
    if (!made) return {};
    if (::flock(::dirfd(made.get()), LOCK_EX | LOCK_NB) == 0) return made;
    number = errno;
    return {};
}

// Whether the maker of that "down" is gone, or the "down" itself. To open it for reading disturbs nobody.
bool orphaned(int directory, const std::string& name) {
    const unique_fd fd{::openat(directory, name.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) return errno == ENOENT;
    struct stat is{};
    return ::fstat(fd.get(), &is) == 0 && S_ISFIFO(is.st_mode) && abandoned(fd.get());
}

// The access pipe that a private pipe belongs to by its name; empty: it is no private pipe's. `stem`: without the suffix.
std::string_view access_of(std::string_view name, std::string_view& stem) {
    for (const std::string_view suffix : {down_suffix, up_suffix}) {
        if (!name.ends_with(suffix)) continue;
        stem = name.substr(0, name.size() - suffix.size());
        const std::size_t dot = stem.rfind('.');
        if (dot == std::string_view::npos || stem.size() - dot - 1 != hex_digits ||
            stem.find_first_not_of("0123456789abcdef", dot + 1) != std::string_view::npos)
            return {};
        return stem.substr(0, dot);
    }
    return {};
}

// What dead connectors to that place have left. If it is a place of one life, also to those that are like it: nobody else comes
// there any more.
void sweep_locked(const location& at, DIR* directory) {
    const std::string_view place = std::string_view{at.path}.substr(at.path.rfind('/') + 1);
    const auto passing = [](std::string_view access) {
        return detail::beginning_of_passing_name(access.substr(0, access.rfind('.')));
    };
    const std::string_view like = passing(place);
    const int fd = ::dirfd(directory);
    std::vector<std::string> gone;
    while (const dirent* entry = ::readdir(directory)) {
        std::string_view stem;
        const std::string_view access = access_of(entry->d_name, stem);
        if (access.empty() || (access != place && (like.empty() || passing(access) != like))) continue;
        if (orphaned(fd, std::string{stem} + std::string{down_suffix})) gone.emplace_back(stem);
    }
    for (const std::string& stem : gone) {
        ::unlinkat(fd, (stem + std::string{up_suffix}).c_str(), 0);
        ::unlinkat(fd, (stem + std::string{down_suffix}).c_str(), 0);
    }
}

// Makes a pipe of the right mode and group, and opens its reading end. The errno; 0: made.
int make_pipe(const location& at, const std::string& path, int how, const gid_t* group, unique_fd& fd) {
    if (::mkfifo(path.c_str(), own_mode) != 0) return errno;
    unique_fd opened{::open(path.c_str(), how | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)};
    // The group before the rights: never open to another group than the right one. The mode is not the umask's affair.
    if (!opened || (group && ::fchown(opened.get(), static_cast<uid_t>(-1), *group) != 0) ||
        ::fchmod(opened.get(), mode_of(at)) != 0) {
        const int number = errno;
        ::unlink(path.c_str());
        return number;
    }
    fd = std::move(opened);
    return 0;
}

}  // namespace

std::string down_path(const location& at, const token& id) { return private_path(at, id, down_suffix); }
std::string up_path(const location& at, const token& id) { return private_path(at, id, up_suffix); }

result<unique_fd> make_access(const location& at) {
    unique_fd fd;
    if (const int number = make_pipe(at, at.path, O_RDWR, nullptr, fd))
        return failure(at, "the access pipe", number);
    return fd;
}

result<unique_fd> open_pipe(const location& at, const std::string& path, int how) {
    unique_fd fd{::open(path.c_str(), how | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) return failure(at, "opening a pipe", errno);
    struct stat is{};
    if (::fstat(fd.get(), &is) != 0) return failure(at, "looking at a pipe", errno);
    const auto denied = [&](std::string_view why) {
        return error{errc::denied, at.place + ": " + std::string{why}};
    };
    if (!S_ISFIFO(is.st_mode)) return denied("what is there is no pipe");
    if ((is.st_mode & ~mode_of(at) & (S_IRWXU | S_IRWXG | S_IRWXO)) != 0)
        return denied(at.group ? "the pipe is open to all"
                               : "the pipe is open to others; rights=group allows a group");
    if (!at.group && is.st_uid != ::geteuid())
        return denied("the pipe belongs to uid " + std::to_string(is.st_uid) +
                      "; rights=group allows a group's");
    return fd;
}

bool abandoned(int down) noexcept { return ::flock(down, LOCK_EX | LOCK_NB) == 0; }

bool deserted(int access) noexcept {
    pollfd look{.fd = access, .events = 0, .revents = 0};
    return ::poll(&look, 1, 0) == 1 && (look.revents & POLLERR) != 0;
}

bool same_pipe(int a, int b) noexcept {
    struct stat left{};
    struct stat right{};
    return ::fstat(a, &left) == 0 && ::fstat(b, &right) == 0 && left.st_ino == right.st_ino &&
           left.st_dev == right.st_dev;
}

int write_quietly(int fd, const void* bytes, std::size_t size) noexcept {
    sigset_t pipe_signal;
    sigset_t pending;
    sigset_t before;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    // One that was there before is the program's own.
    ::sigpending(&pending);
    const bool foreign = ::sigismember(&pending, SIGPIPE) == 1;
    ssize_t written = 0;
    do written = ::write(fd, bytes, size);
    while (written < 0 && errno == EINTR);
    const int number = written == static_cast<ssize_t>(size) ? 0 : written < 0 ? errno : EIO;
    if (number == EPIPE && !foreign) {
        const timespec now{};
        while (::sigtimedwait(&pipe_signal, nullptr, &now) < 0 && errno == EINTR) {
        }
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return number;
}

result<std::optional<private_pair>> private_pair::make(const location& at, gid_t group) {
    int number = 0;
    const locked_directory locked = lock_directory(directory_of(at.path), number);
    if (!locked) {
        if (number == EWOULDBLOCK || number == EINTR) return std::optional<private_pair>{};
        return failure(at, "locking the directory", number);
    }
    sweep_locked(at, locked.get());

    private_pair made;
    if (::getrandom(made.id_.data(), made.id_.size(), 0) != static_cast<ssize_t>(made.id_.size()))
        return failure(at, "drawing a random number", errno);
    const gid_t* const of = at.group ? &group : nullptr;
    const std::string down = pipes::down_path(at, made.id_);
    const std::string up = pipes::up_path(at, made.id_);
    if ((number = make_pipe(at, down, O_RDONLY, of, made.in)) != 0)
        return failure(at, "making a pipe", number);
    made.down_ = down;
    if (::flock(made.in.get(), LOCK_EX | LOCK_NB) != 0) return failure(at, "locking a pipe", errno);
    made.dummy = unique_fd{::open(down.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)};
    if (!made.dummy) return failure(at, "opening a pipe", errno);
    if ((number = make_pipe(at, up, O_RDONLY, of, made.guard)) != 0)
        return failure(at, "making a pipe", number);
    made.up_ = up;
    made.out = unique_fd{::open(up.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)};
    if (!made.out) return failure(at, "opening a pipe", errno);
    // As far as the user's limit allows: what the kernel gives otherwise does as well.
    for (const int fd : {made.in.get(), made.guard.get()})
        ::fcntl(fd, F_SETPIPE_SZ, static_cast<int>(at.buffer));
    return std::optional<private_pair>{std::move(made)};
}

void private_pair::remove_names() noexcept {
    for (std::string* path : {&up_, &down_}) {
        if (!path->empty()) ::unlink(path->c_str());
        path->clear();
    }
}

void sweep(const location& at) noexcept {
    int ignored = 0;
    if (const locked_directory locked = lock_directory(directory_of(at.path), ignored))
        sweep_locked(at, locked.get());
}

}  // namespace coppice::pipes
