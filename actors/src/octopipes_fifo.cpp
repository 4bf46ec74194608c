// Opening, checking, peeking; octopipes_fifo.hpp. Every open() is O_NONBLOCK, O_NOFOLLOW and O_CLOEXEC, and what it gave is
// looked at before it is used.
#include "octopipes_fifo.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace coppice::actors::octopipes::parts {

namespace {

// What a pipe holds unless somebody enlarges it, and the most that is read at once.
constexpr std::size_t pipe_bytes = std::size_t{64} << 10;

}  // namespace

descriptor::~descriptor() {
    if (fd_ >= 0) ::close(fd_);
}

error failure_of(int number, const std::string& tried) {
    const errc code = number == EACCES || number == EPERM                        ? errc::denied
                      : number == EMFILE || number == ENFILE || number == ENOSPC ? errc::limit_reached
                                                                                 : errc::io;
    return {code, tried + ": " + std::system_category().message(number)};
}

result<descriptor> open_pipe(const std::string& path, int how) {
    descriptor fd{::open(path.c_str(), how | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) {
        if (errno == ENXIO) return error{errc::unreachable, path + ": nobody reads this pipe"};
        if (errno == ENOENT) return error{errc::unreachable, path + ": there is no such pipe"};
        if (errno == ELOOP) return error{errc::denied, path + ": a symbolic link is there"};
        return failure_of(errno, path);
    }
    struct stat is{};
    if (::fstat(fd.get(), &is) != 0) return failure_of(errno, path);
    if (!S_ISFIFO(is.st_mode)) return error{errc::denied, path + ": what is there is no pipe"};
    if (is.st_uid != ::geteuid())
        return error{errc::denied, path + ": it belongs to uid " + std::to_string(is.st_uid)};
    return fd;
}

result<void> make_pipe(const std::string& path) {
    if (::mkfifo(path.c_str(), S_IRUSR | S_IWUSR) != 0) return failure_of(errno, path);
    return {};
}

void remove_pipe(const std::string& path) noexcept {
    struct stat is{};
    if (::lstat(path.c_str(), &is) == 0 && S_ISFIFO(is.st_mode)) ::unlink(path.c_str());
}

std::size_t bytes_in(int pipe) noexcept {
    int count = 0;
    return ::ioctl(pipe, FIONREAD, &count) == 0 && count > 0 ? static_cast<std::size_t>(count) : 0;
}

bool can_write(int pipe) noexcept {
    pollfd look{pipe, POLLOUT, 0};
    return ::poll(&look, 1, 0) == 1 && (look.revents & POLLOUT) != 0;
}

read_result read_some(int fd, std::vector<std::byte>& to, std::size_t most) {
    const std::size_t before = to.size();
    to.resize(before + most);
    ssize_t count = 0;
    do count = ::read(fd, to.data() + before, most);
    while (count < 0 && errno == EINTR);
    const bool empty = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    to.resize(before + (count > 0 ? static_cast<std::size_t>(count) : 0));
    return {to.size() - before, count <= 0 && !empty, empty};
}

write_result write_some(int fd, std::span<const std::byte> bytes) noexcept {
    ssize_t count = 0;
    do count = ::write(fd, bytes.data(), bytes.size());
    while (count < 0 && errno == EINTR);
    if (count >= 0) return {static_cast<std::size_t>(count), 0};
    return {0, errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno};
}

result<peeper> peeper::make() {
    int ends[2];
    if (::pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0) return failure_of(errno, "a pipe to look through");
    peeper made;
    made.in_ = descriptor{ends[0]};
    made.out_ = descriptor{ends[1]};
    return made;
}

std::vector<std::byte> peeper::look(int pipe) const {
    std::vector<std::byte> seen;
    if (::tee(pipe, out_.get(), pipe_bytes, SPLICE_F_NONBLOCK) <= 0) return seen;
    while (read_some(in_.get(), seen, pipe_bytes).count > 0) {
    }
    return seen;
}

result<descriptor> edges_of(int pipe) {
    descriptor edges{::epoll_create1(EPOLL_CLOEXEC)};
    epoll_event what{};
    what.events = EPOLLIN | EPOLLET;
    if (!edges || ::epoll_ctl(edges.get(), EPOLL_CTL_ADD, pipe, &what) != 0)
        return failure_of(errno, "watching a pipe");
    return edges;
}

void take_edges(int edges) noexcept {
    std::array<epoll_event, 4> seen;
    static_cast<void>(::epoll_wait(edges, seen.data(), static_cast<int>(seen.size()), 0));
}

}  // namespace coppice::actors::octopipes::parts
