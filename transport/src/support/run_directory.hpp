// Where the sockets and named pipes of this user's nodes lie, and who owns the path of one: shared by the transports unix,
// shm and pipe.
// A path is owned by whoever holds the lock on the file beside it, so that the leftovers of a crashed process are told from
// a living listener without trusting process ids. Everything here is synchronous and quick; any thread. It knows nothing of
// reactors and links.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "coppice/error.hpp"

namespace coppice::detail {

/// The directory that this user's nodes put their sockets into, without a '/' at the end: $COPPICE_RUN_DIR, else
/// $XDG_RUNTIME_DIR/coppice, else /tmp/coppice-<uid>. It is created if it is missing (its parent has to be there).
/// Errors: denied, if it is a symbolic link, no directory, another user's, or open to others; invalid_argument, if the
/// environment names a relative path; io.
result<std::string> run_directory();

/// run_directory() + "/" + name + ".sock". A name is 1 to 64 of A-Z a-z 0-9 . _ - and does not begin with a '.'.
/// Errors: invalid_argument for another name, and those of run_directory().
result<std::string> socket_path(std::string_view name);

/// directory + "/" + name + ".pipe", with run_directory() for an empty one; otherwise as socket_path().
result<std::string> pipe_path(std::string_view name, std::string_view directory);

/// Of a name of one life, which nobody takes again (children-0123456789abcdef0123456789abcdef): what comes before its 32
/// hexadecimal digits. Empty: it is another name.
std::string_view beginning_of_passing_name(std::string_view name) noexcept;

/// Names of the trees of this user that run and can be joined, in order: those whose root listens at unix://NAME.control, as
/// with node_options::control. Errors: those of run_directory(), io.
result<std::vector<std::string>> running_trees();

/// The right to bind a socket, or to make a named pipe, at a path, held until destruction.
///
///     auto claim = socket_claim::take(path);  // the path is free now: bind and listen
///
/// take() removes the socket that a crashed process left there. Destruction removes the socket or pipe and the lock file,
/// path + ".lock". Of a name that ends in 32 hexadecimal digits both remove also what the dead left that differs from it in these
/// alone: names of one life, which nobody takes again. Who takes a name is never refused because others look or clear up at the
/// same time. The lock belongs to the open file: a child that is forked without exec shares it.
class socket_claim {
public:
    /// Errors: name_taken, if a living listener has the path (or what lies there is no socket); invalid_argument, if the
    /// path is empty or too long for a socket (107 bytes); denied, io.
    static result<socket_claim> take(std::string path);
    /// The same for a named pipe: what is left there is removed if it is a pipe that nobody reads.
    static result<socket_claim> take_pipe(std::string path);

    socket_claim() noexcept = default;
    socket_claim(socket_claim&& other) noexcept;
    socket_claim& operator=(socket_claim&& other) noexcept;
    socket_claim(const socket_claim&) = delete;
    socket_claim& operator=(const socket_claim&) = delete;
    ~socket_claim() { release(); }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Removes the socket or pipe and the lock file; nothing to do if there is no claim.
    void release() noexcept;

private:
    enum class kinds : bool { socket, pipe };
    static result<socket_claim> take(std::string path, kinds kind);
    socket_claim(std::string path, int lock) noexcept : path_{std::move(path)}, lock_{lock} {}
    std::string path_;
    int lock_ = -1;  // the locked file; -1: no claim
};

/// True for what the operating system says when it has no more of something: descriptors, memory, disk.
bool ran_out(int number) noexcept;
/// errc::io with what was tried and the operating system's words for `number`; denied for EACCES and EPERM, limit_reached for
/// what ran_out().
error system_error_of(int number, std::string_view tried);

}  // namespace coppice::detail
