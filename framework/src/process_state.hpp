// What the system tells of a process of this machine: whether it runs, is stopped, or has ended. Any thread. Linux: /proc.
// A process id is used again some time; who cares keeps what else it knows of the process.
#pragma once
#include <cstdint>

namespace coppice::detail {

/// As the system says, a letter of proc(5): 'R' runs, 'S' sleeps, 'T' stopped, 'Z' ended and not reaped, ...; 'X' if there is no
/// such process, '?' if it is not told.
[[nodiscard]] char state_of_process(std::uint32_t pid);

/// True once the process has ended, reaped or not: none of its threads runs any more, and what it had open is closed. A process
/// whose first thread alone has ended has not.
[[nodiscard]] bool process_ended(std::uint32_t pid);

}  // namespace coppice::detail
