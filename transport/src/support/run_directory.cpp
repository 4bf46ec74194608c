// The run directory and claims on socket paths; see run_directory.hpp.
// Any thread. Locks are bytes of the lock file, held by an open file description (fcntl, F_OFD_SETLK): they go with the process
// that held them, however that process ended, and asking for one disturbs nobody.
//
//     take:   open ──► name_byte, or taken ──► wait for names_byte ──► still the file of that name? ──► remove leftovers; keep both
//     sweep:  open ──► names_byte, or leave it ──► still the file of that name? ──► remove the socket and the lock file
//
// Invariant: a socket and its lock file are removed only by who holds names_byte of the file that has the lock file's name, and
// who has taken a name holds it. Only another who takes the name holds name_byte: so nobody is refused because somebody sweeps;
// it waits, for a few system calls, and finds that its file has no name any more.
#include "run_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace coppice::detail {
namespace {

std::string lock_path(const std::string& path) { return path + ".lock"; }

constexpr off_t name_byte = 0;   // who has the name, or takes it
constexpr off_t names_byte = 1;  // who may remove the socket and the lock file

// `how`: F_OFD_SETLK, F_OFD_SETLKW, F_OFD_GETLK. False with errno, EAGAIN if another has it.
bool lock_byte(int file, off_t byte, int how) noexcept {
    struct flock wanted{};
    wanted.l_type = F_WRLCK;
    wanted.l_whence = SEEK_SET;
    wanted.l_start = byte;
    wanted.l_len = 1;
    int done = -1;
    do done = ::fcntl(file, how, &wanted);
    while (done != 0 && errno == EINTR);
    if (done == 0 && how == F_OFD_GETLK && wanted.l_type != F_UNLCK) {
        errno = EAGAIN;
        return false;
    }
    return done == 0;
}

// Whether this open lock file is still the one of that name.
bool has_name(int file, int directory, const std::string& name) noexcept {
    struct stat held{};
    struct stat named{};
    return ::fstat(file, &held) == 0 &&
           ::fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

// Whether somebody accepts connections at this socket, although nobody holds our lock: a program that knows no lock files.
bool someone_listens(const std::string& path) {
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0) return true;  // not known: leave the socket alone
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int done = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address);
    const bool refused = done != 0 && (errno == ECONNREFUSED || errno == ENOENT);
    ::close(probe);
    return !refused;
}

// Whether somebody reads this named pipe, although nobody holds our lock.
bool someone_reads(const std::string& path) {
    const int probe = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (probe < 0) return errno != ENXIO && errno != ENOENT;
    ::close(probe);
    return true;
}

// A listener holds the lock on the file beside its socket; what a crashed one left behind is not locked.
bool is_held(const std::string& socket) {
    const int lock = ::open(lock_path(socket).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) return false;
    const bool free = lock_byte(lock, name_byte, F_OFD_GETLK);
    ::close(lock);
    return !free;
}

// In `directory`, or in the run directory if there is none.
result<std::string> path_of(std::string_view name, std::string_view what, std::string_view suffix,
                            std::string_view directory) {
    const auto allowed = [](char c) {
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
               c == '_' || c == '-';
    };
    if (name.empty() || name.size() > 64 || name.front() == '.' || !std::ranges::all_of(name, allowed))
        return error{errc::invalid_argument, "\"" + std::string{name.substr(0, 80)} + "\" is no name of a " +
                                                 std::string{what} +
                                                 ": 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with '.'"};
    auto in = directory.empty() ? run_directory() : result<std::string>{std::string{directory}};
    if (!in) return in.error();
    return *in + "/" + std::string{name} + std::string{suffix};
}

// The socket or pipe first, as in socket_claim::release().
void remove_names(int directory, const std::string& name) {
    ::unlinkat(directory, name.c_str(), 0);
    ::unlinkat(directory, lock_path(name).c_str(), 0);
}

// If its owner has died.
void remove_if_abandoned(int directory, const std::string& name) {
    const std::string beside = lock_path(name);
    const int lock = ::openat(directory, beside.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0) return;
    struct stat is{};
    const bool ours = ::fstat(lock, &is) == 0 && S_ISREG(is.st_mode) && is.st_uid == ::geteuid();
    if (ours && lock_byte(lock, names_byte, F_OFD_SETLK) && has_name(lock, directory, beside))
        remove_names(directory, name);
    ::close(lock);
}

// Nobody comes back to names of one life whose owners were killed: they are removed by those that are like them.
void sweep_names_like(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::size_t dot = path.rfind('.');
    if (slash == std::string::npos || dot == std::string::npos || dot < slash) return;
    const std::string_view name = std::string_view{path}.substr(slash + 1, dot - slash - 1);
    const std::string_view like = beginning_of_passing_name(name);
    if (like.empty()) return;
    const std::string suffix = path.substr(dot);
    DIR* const open = ::opendir(path.substr(0, slash).c_str());
    if (!open) return;
    std::vector<std::string> alike;
    const std::string ending = lock_path(suffix);
    while (const dirent* entry = ::readdir(open)) {
        std::string_view there = entry->d_name;
        if (!there.ends_with(ending)) continue;
        there.remove_suffix(ending.size());
        if (there != name && beginning_of_passing_name(there) == like)
            alike.push_back(std::string{there} + suffix);
    }
    for (const std::string& one : alike) remove_if_abandoned(::dirfd(open), one);
    ::closedir(open);
}

result<void> usable(const std::string& directory) {
    struct stat is{};
    if (::lstat(directory.c_str(), &is) != 0) return system_error_of(errno, "run directory " + directory);
    const auto refuse = [&](std::string_view why) {
        return error{errc::denied, "run directory " + directory + " " + std::string{why} +
                                       "; set COPPICE_RUN_DIR to a directory of your own"};
    };
    if (S_ISLNK(is.st_mode)) return refuse("is a symbolic link");
    if (!S_ISDIR(is.st_mode)) return refuse("is no directory");
    if (is.st_uid != ::geteuid()) return refuse("belongs to another user");
    if ((is.st_mode & (S_IRWXG | S_IRWXO)) != 0) return refuse("is open to others (it must have mode 0700)");
    return {};
}

}  // namespace

std::string_view beginning_of_passing_name(std::string_view name) noexcept {
    constexpr std::size_t digits = 32;
    if (name.size() <= digits ||
        name.substr(name.size() - digits).find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return {};
    return name.substr(0, name.size() - digits);
}

bool ran_out(int number) noexcept {
    return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM ||
           number == ENOSPC || number == EDQUOT;
}

error system_error_of(int number, std::string_view tried) {
    std::string text{tried};
    text += ": ";
    text += std::generic_category().message(number);
    const bool denied = number == EACCES || number == EPERM;
    return {denied ? errc::denied : ran_out(number) ? errc::limit_reached : errc::io, std::move(text)};
}

result<std::string> run_directory() {
    std::string directory;
    if (const char* own = std::getenv("COPPICE_RUN_DIR"); own && *own) directory = own;
    else if (const char* runtime = std::getenv("XDG_RUNTIME_DIR"); runtime && *runtime)
        directory = std::string{runtime} + "/coppice";
    else directory = "/tmp/coppice-" + std::to_string(::geteuid());
    while (directory.size() > 1 && directory.back() == '/')
        directory.pop_back();  // lstat would follow a link
    if (directory.front() != '/')
        return error{errc::invalid_argument, "run directory " + directory + ": the path must begin with '/'"};
    if (::mkdir(directory.c_str(), S_IRWXU) != 0 && errno != EEXIST)
        return system_error_of(errno, "run directory " + directory);
    if (auto good = usable(directory); !good) return good.error();
    return directory;
}

result<std::vector<std::string>> running_trees() {
    constexpr std::string_view ending = ".control.sock";
    const auto directory = run_directory();
    if (!directory) return directory.error();
    std::vector<std::string> names;
    std::error_code failed;
    std::filesystem::directory_iterator all{*directory, failed};
    for (; !failed && all != std::filesystem::directory_iterator{}; all.increment(failed)) {
        const std::string file = all->path().filename().string();
        if (file.size() > ending.size() && file.ends_with(ending) && is_held(all->path().string()))
            names.push_back(file.substr(0, file.size() - ending.size()));
    }
    if (failed) return error{errc::io, *directory + ": " + failed.message()};
    std::sort(names.begin(), names.end());
    return names;
}

result<std::string> socket_path(std::string_view name) { return path_of(name, "socket", ".sock", {}); }

result<std::string> pipe_path(std::string_view name, std::string_view directory) {
    return path_of(name, "pipe", ".pipe", directory);
}

socket_claim::socket_claim(socket_claim&& other) noexcept
    : path_{std::move(other.path_)}, lock_{std::exchange(other.lock_, -1)} {}

socket_claim& socket_claim::operator=(socket_claim&& other) noexcept {
    if (this == &other) return *this;
    release();
    path_ = std::move(other.path_);
    lock_ = std::exchange(other.lock_, -1);
    return *this;
}

void socket_claim::release() noexcept {
    if (lock_ < 0) return;
    // The socket first: whoever gets the lock after us finds nothing, or is told by the inode that its lock file is gone.
    ::unlink(path_.c_str());
    ::unlink(lock_path(path_).c_str());
    ::close(lock_);
    lock_ = -1;
    sweep_names_like(path_);
}

result<socket_claim> socket_claim::take(std::string path) {
    if (path.empty() || path.size() >= sizeof(sockaddr_un::sun_path) || path.find('\0') != std::string::npos)
        return error{errc::invalid_argument, "\"" + path + "\" is no path for a socket: 1 to 107 bytes"};
    return take(std::move(path), kinds::socket);
}

result<socket_claim> socket_claim::take_pipe(std::string path) {
    if (path.empty() || path.size() >= PATH_MAX || path.find('\0') != std::string::npos)
        return error{errc::invalid_argument, "\"" + path + "\" is no path for a pipe"};
    return take(std::move(path), kinds::pipe);
}

result<socket_claim> socket_claim::take(std::string path, kinds kind) {
    const bool pipe = kind == kinds::pipe;
    const std::string beside = lock_path(path);
    const auto taken = [&] { return error{errc::name_taken, "somebody listens at " + path}; };
    for (;;) {
        const int lock = ::open(beside.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
        if (lock < 0) return system_error_of(errno, "lock file " + beside);
        if (!lock_byte(lock, name_byte, F_OFD_SETLK) || !lock_byte(lock, names_byte, F_OFD_SETLKW)) {
            const int why = errno;
            ::close(lock);
            return why == EAGAIN || why == EACCES ? taken() : system_error_of(why, "lock file " + beside);
        }
        // Its former owner, or who swept, may have removed the file between our open and our lock: then this lock protects nothing.
        if (!has_name(lock, AT_FDCWD, beside)) {
            ::close(lock);
            continue;
        }
        struct stat there{};
        if (::lstat(path.c_str(), &there) == 0) {
            const bool ours = pipe ? S_ISFIFO(there.st_mode) : S_ISSOCK(there.st_mode);
            const bool leftover = ours && !(pipe ? someone_reads(path) : someone_listens(path));
            if (!leftover || ::unlink(path.c_str()) != 0) {
                const std::string what = pipe ? "pipe" : "socket";
                const error why = !ours       ? error{errc::name_taken, path + " is there and is no " + what}
                                  : !leftover ? taken()
                                              : system_error_of(errno, "leftover " + what + " " + path);
                ::unlink(beside.c_str());
                ::close(lock);
                return why;
            }
        }
        sweep_names_like(path);
        return socket_claim{std::move(path), lock};
    }
}

}  // namespace coppice::detail
