// What a space wants of the operating system: descriptors, locks, names of processes, and errors in its words.
//
// Locks are ranges of a file, locked by an open file description (fcntl, F_OFD_SETLK): the kernel frees them when the last
// descriptor of the description is closed, so also when its process is killed, and no content of the memory can break
// them. Each guard opens a description of its own, so actors of one process exclude each other like those of two. Nothing
// here waits. Any thread.
#pragma once
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coppice/error.hpp"
#include "descriptor.hpp"

namespace coppice::actors::space_parts {

enum class lock_kind : std::uint8_t { shared, exclusive };

/// True if the byte is locked now; false if another description has it, or the kernel has no more locks.
[[nodiscard]] bool try_lock(int fd, std::int64_t byte, lock_kind kind) noexcept;
void unlock(int fd, std::int64_t byte) noexcept;
/// True if another description keeps this one from locking the byte so.
[[nodiscard]] bool is_locked(int fd, std::int64_t byte, lock_kind kind) noexcept;

/// A second open file description of the same file.
result<descriptor> open_again(int fd);

struct process_identity {
    std::uint32_t pid = 0;
    std::uint64_t start = 0;
};
[[nodiscard]] const process_identity& this_process() noexcept;

/// The letter of its state in /proc ('T': stopped by a signal); nothing if that process does not live.
[[nodiscard]] std::optional<char> state_of(const process_identity& who);

/// errc::io with what was tried and the operating system's words for `number`; denied for EACCES and EPERM, limit_reached
/// if there is no more of something.
[[nodiscard]] error system_error_of(int number, std::string_view tried);

/// Names of spaces and slots: 1 to `most` of A-Z a-z 0-9 . _ -, not beginning with a '.'. Else bad_name.
result<void> check_name(std::string_view what, std::string_view name, std::size_t most);

/// Where the spaces of this user lie: `wanted`, else $COPPICE_RUN_DIR, else /dev/shm/coppice-UID; created if it is
/// missing. denied, if it is open to others; io.
result<std::string> base_directory(std::string_view wanted);
/// Removes it if it is the one in /dev/shm and nothing is in it.
void leave_base_directory(const std::string& base) noexcept;

}  // namespace coppice::actors::space_parts
