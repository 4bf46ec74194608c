// Descriptors, locks and processes for spaces; see space_system.hpp.
// The start of a process, beside its number, tells it from a later one with the same number. Any thread; nothing waits.
#include "space_system.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <fmt/format.h>

namespace coppice::actors::space_parts {

namespace {

struct flock range(std::int64_t byte, short type) noexcept {
    struct flock wanted{};
    wanted.l_type = type;
    wanted.l_whence = SEEK_SET;
    wanted.l_start = byte;
    wanted.l_len = 1;
    return wanted;
}
short type_of(lock_kind kind) noexcept { return kind == lock_kind::shared ? F_RDLCK : F_WRLCK; }

std::string shm_directory() { return fmt::format("/dev/shm/coppice-{}", ::geteuid()); }

// What stands behind the name in /proc/PID/stat: the state and, 20 words later (field 22), the start. Empty: it is gone.
std::string stat_of(std::uint32_t pid) {
    const descriptor file{::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC)};
    std::array<char, 1024> room{};
    const ssize_t n = file ? ::read(file.get(), room.data(), room.size()) : 0;
    const std::string text(room.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    const auto name_end = text.rfind(") ");
    return name_end == std::string::npos ? std::string{} : text.substr(name_end + 2);
}
std::uint64_t start_in(const std::string& stat) {
    std::size_t at = 0;
    for (int word = 0; word < 19 && at != std::string::npos; ++word) at = stat.find(' ', at + 1);
    return at == std::string::npos ? 0 : std::strtoull(stat.c_str() + at, nullptr, 10);
}

}  // namespace

bool try_lock(int fd, std::int64_t byte, lock_kind kind) noexcept {
    struct flock wanted = range(byte, type_of(kind));
    return ::fcntl(fd, F_OFD_SETLK, &wanted) == 0;
}

void unlock(int fd, std::int64_t byte) noexcept {
    struct flock wanted = range(byte, F_UNLCK);
    static_cast<void>(::fcntl(fd, F_OFD_SETLK, &wanted));
}

bool is_locked(int fd, std::int64_t byte, lock_kind kind) noexcept {
    struct flock wanted = range(byte, type_of(kind));
    return ::fcntl(fd, F_OFD_GETLK, &wanted) == 0 && wanted.l_type != F_UNLCK;
}

result<descriptor> open_again(int fd) {
    descriptor made{::open(fmt::format("/proc/self/fd/{}", fd).c_str(), O_RDWR | O_CLOEXEC)};
    if (!made) return system_error_of(errno, "open a file of a space again, for a lock");
    return made;
}

const process_identity& this_process() noexcept {
    static const process_identity own{static_cast<std::uint32_t>(::getpid()),
                                      start_in(stat_of(static_cast<std::uint32_t>(::getpid())))};
    return own;
}

std::optional<char> state_of(const process_identity& who) {
    const std::string stat = who.pid ? stat_of(who.pid) : std::string{};
    // A zombie holds no lock any more.
    if (stat.empty() || start_in(stat) != who.start || stat.front() == 'Z') return {};
    return stat.front();
}

error system_error_of(int number, std::string_view tried) {
    const bool denied = number == EACCES || number == EPERM;
    const bool ran_out = number == EMFILE || number == ENFILE || number == ENOMEM || number == ENOSPC ||
                         number == EDQUOT || number == ENOLCK;
    return {denied    ? errc::denied
            : ran_out ? errc::limit_reached
                      : errc::io,
            fmt::format("{}: {}", tried, std::generic_category().message(number))};
}

result<void> check_name(std::string_view what, std::string_view name, std::size_t most) {
    constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    if (!name.empty() && name.size() <= most && name.front() != '.' &&
        name.find_first_not_of(allowed) == std::string_view::npos)
        return {};
    return error{errc::bad_name,
                 fmt::format("a {} has 1 to {} of A-Z a-z 0-9 . _ - as its name and does not begin with a "
                             "'.'; this one has {}",
                             what, most, name.size())};
}

result<std::string> base_directory(std::string_view wanted) {
    std::string base{wanted};
    const char* run = std::getenv("COPPICE_RUN_DIR");
    if (base.empty() && run) base = run;
    if (base.empty()) base = shm_directory();
    while (base.size() > 1 && base.back() == '/') base.pop_back();  // lstat would follow a link
    if (base.front() != '/')
        return error{errc::invalid_argument, fmt::format("{}: the path must begin with '/'", base)};
    if (::mkdir(base.c_str(), S_IRWXU) != 0 && errno != EEXIST)
        return system_error_of(errno, "directory of spaces " + base);
    struct stat is{};
    if (::lstat(base.c_str(), &is) != 0) return system_error_of(errno, "directory of spaces " + base);
    if (!S_ISDIR(is.st_mode) || is.st_uid != ::geteuid() || (is.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return error{errc::denied, fmt::format("{} is not a directory of this user's alone (mode 0700); name "
                                               "another in space_options::directory",
                                               base)};
    return base;
}

void leave_base_directory(const std::string& base) noexcept {
    if (base == shm_directory()) ::rmdir(base.c_str());
}

}  // namespace coppice::actors::space_parts
