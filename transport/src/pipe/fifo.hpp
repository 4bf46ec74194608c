// Named pipes as the transport "pipe" uses them: opened without waiting, checked, written to without SIGPIPE; and the pair
// of them that a connector makes for its link.
//
//     name.pipe                    the access pipe: the listener's, open for reading as long as it lives
//     name.pipe.lock               whoever holds the lock on it is the listener (socket_claim)
//     name.pipe.<32 hex>.down      listener to connector; the connector holds a lock on it as long as it lives
//     name.pipe.<32 hex>.up        connector to listener
//
// The last two have names only from the request until the answer. What a connector left that died in between has no lock on
// it: the next listener or connector at that name removes it; or, if that is a name of one life, at one like it. Pipes are made and removed under a lock on the directory, which
// leaves no file. Plain functions and values, any thread; nothing here waits.
#pragma once
#include <sys/types.h>

#include <optional>
#include <string>

#include "pipe/join.hpp"
#include "stream/socket.hpp"

namespace coppice::pipes {

/// Where a listener's access pipe lies, and who may use it.
struct location {
    std::string path;    ///< of the access pipe
    std::string place;   ///< the endpoint, for errors
    bool group = false;  ///< mode 0660, of the access pipe's group
    std::size_t buffer = std::size_t{64} << 10;
};

/// The names of the two pipes of a link.
std::string down_path(const location& at, const token& id);
std::string up_path(const location& at, const token& id);

/// Makes the access pipe, which is not there, and opens it for reading. There is always a writer, ourselves: so there is
/// no end of file when the last peer has joined. Errors: denied, limit_reached, io.
result<detail::unique_fd> make_access(const location& at);

/// Opens a pipe that is there, `how` O_RDONLY or O_WRONLY. Errors: unreachable (it is not there, or has no reader), denied
/// (what is there is no pipe, or has another owner or more rights than it should), limit_reached, io.
result<detail::unique_fd> open_pipe(const location& at, const std::string& path, int how);

/// Whether the maker of a "down", open here for reading, is gone: nobody holds its lock.
bool abandoned(int down) noexcept;

/// Whether an access pipe, open here for writing, has lost its reader.
bool deserted(int access) noexcept;

/// Whether both are the same pipe.
bool same_pipe(int a, int b) noexcept;

/// One write, whole or not at all, at most PIPE_BUF bytes; SIGPIPE is kept from the process. The errno; 0: written.
///
/// A pipe without a reader raises SIGPIPE in the writing thread, and pipes know no MSG_NOSIGNAL. The library leaves the
/// program's handling of the signal alone: this function blocks it in its thread, and takes it away if it came. Links, which
/// write often, have a cheaper way: they hold a reading end of what they write to (fifo_channel).
int write_quietly(int fd, const void* bytes, std::size_t size) noexcept;

/// What a connector makes for its link.
class private_pair {
public:
    /// Makes the pipes under random names and opens what the connector needs of them. None: somebody else makes pipes in
    /// that directory at this moment; try again a little later. Errors: denied, limit_reached, io.
    static result<std::optional<private_pair>> make(const location& at, gid_t group);

    private_pair(private_pair&&) noexcept = default;
    private_pair& operator=(private_pair&&) = delete;
    private_pair(const private_pair&) = delete;
    private_pair& operator=(const private_pair&) = delete;
    ~private_pair() { remove_names(); }

    [[nodiscard]] const token& id() const noexcept { return id_; }
    /// The names are not needed any more; the pipes stay.
    void remove_names() noexcept;

    detail::unique_fd in;     ///< reads "down", and holds its lock
    detail::unique_fd out;    ///< writes "up"
    detail::unique_fd guard;  ///< reads "up" and is never read from: see fifo_channel
    detail::unique_fd dummy;  ///< writes "down": without it, the time before the answer looks like the end

private:
    private_pair() noexcept = default;
    token id_{};
    std::string down_;  // empty: removed, or never made
    std::string up_;
};

/// Removes what connectors left at that place that are gone. If somebody makes pipes there at this moment, nothing happens.
void sweep(const location& at) noexcept;

}  // namespace coppice::pipes
