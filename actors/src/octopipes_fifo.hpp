// Named pipes as the Octopipes broker and its client use them: opened without waiting, checked, peeked at, watched.
// Plain functions and owners of descriptors; any thread; nothing here waits. Linux.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "coppice/error.hpp"

namespace coppice::actors::octopipes::parts {

/// A file descriptor, closed with its owner.
class descriptor {
public:
    descriptor() noexcept = default;
    explicit descriptor(int fd) noexcept : fd_{fd} {}
    descriptor(descriptor&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    descriptor& operator=(descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor();
    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

/// `io`, `denied` or `limit_reached`, with what was tried and the operating system's words.
[[nodiscard]] error failure_of(int number, const std::string& tried);

/// Opens a pipe that is there; `how` is O_RDONLY, O_WRONLY or O_RDWR. `unreachable`: it is not there, or nobody reads it. `denied`:
/// it is no pipe, or somebody else's.
[[nodiscard]] result<descriptor> open_pipe(const std::string& path, int how);

/// Makes a pipe of mode 0600 that is not there yet.
[[nodiscard]] result<void> make_pipe(const std::string& path);
/// Removes the pipe at that path, if it is one.
void remove_pipe(const std::string& path) noexcept;

/// Bytes in a pipe that nobody has read.
[[nodiscard]] std::size_t bytes_in(int pipe) noexcept;
/// Whether a write to it would be taken.
[[nodiscard]] bool can_write(int pipe) noexcept;
/// Reads what is there, up to `most` bytes, appended to `to`. How many: 0 at the end of the file or with nothing there.
struct read_result {
    std::size_t count = 0;
    bool ended = false;  // no writer
    bool empty = false;  // would block
};
read_result read_some(int fd, std::vector<std::byte>& to, std::size_t most);
/// Writes what goes in at once. SIGPIPE is no concern: whoever calls it holds a reading end of the pipe.
struct write_result {
    std::size_t count = 0;
    int failure = 0;  // errno, but for a full pipe
};
[[nodiscard]] write_result write_some(int fd, std::span<const std::byte> bytes) noexcept;

/// The content of a pipe, left where it is.
class peeper {
public:
    /// Errors: limit_reached, io.
    static result<peeper> make();
    [[nodiscard]] std::vector<std::byte> look(int pipe) const;

private:
    descriptor in_;
    descriptor out_;
};

/// A descriptor that becomes readable once for each time that bytes are written to the pipe, not for as long as there are some:
/// who may not take what is there would spin on the pipe itself.
[[nodiscard]] result<descriptor> edges_of(int pipe);
void take_edges(int edges) noexcept;

}  // namespace coppice::actors::octopipes::parts
