// A child process of this one: started by posix_spawn, heard through a channel and its two outputs, its end told with
// its cause.
//
//     this process ──records──► channel (fd 3 of the child, SOCK_SEQPACKET) ◄──records── child
//     this process ◄──lines──── pipes at its fds 1 and 2;  fd 0 is /dev/null;  no other descriptor is open in it
//     pidfd readable ─► reaped ─► what it had written is shown ─► ended(): the last event
//
// It starts with default signals and none blocked. Its own children may keep the channel and the outputs open: that
// delays ended() not, and what they write after it is lost. This process must not ignore SIGCHLD nor reap what it did
// not start.
//
// Knows no actors and no nodes. Threading: as byte_link (coppice/transport.hpp): one reactor's thread, events from
// there and never from within a call. The thread lives as long as its children may: PR_SET_PDEATHSIG is of the thread
// that starts.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/transport.hpp"

namespace coppice::detail {

/// Name of the environment variable that tells a child the number of its channel's descriptor.
inline constexpr const char* channel_variable = "COPPICE_CHANNEL";
/// The descriptor of its channel, in a child.
inline constexpr int channel_descriptor = 3;
/// Bytes of the largest record that either side may send; the smallest has one. Here a larger one is refused with
/// `too_large`; a child that sends a larger one has its channel closed.
inline constexpr std::size_t channel_record = std::size_t{64} << 10;
/// Bytes of the longest line of an output; longer ones are told in pieces of that size.
inline constexpr std::size_t output_line = std::size_t{16} << 10;

/// What the system says of an errno.
inline std::string errno_words(int number) { return std::generic_category().message(number); }

struct process_request {
    /// With a '/': that file, from this process's working directory. Without: looked for in this process's PATH. Empty:
    /// the program that this process runs, even if its file has been replaced or deleted meanwhile.
    std::string program;
    /// As they are, without the program's name: no shell sees them.
    std::vector<std::string> arguments;
    /// Set beside what this process has; an empty value removes the variable, and of two of a name the later one
    /// counts. Read while start() runs: no thread may change this process's environment meanwhile. COPPICE_CHANNEL is
    /// always ours.
    std::vector<std::pair<std::string, std::string>> environment;
    /// Working directory; empty: this process's.
    std::string directory;
};

/// How a process ended.
struct process_end {
    /// The code of a child that something else in this process has reaped.
    static constexpr int unknown = -1;
    int code = 0;  ///< exit code, or the number of the signal
    bool by_signal = false;
    bool dumped_core = false;
    /// "exit code 3", "signal 9 (SIGKILL)", "signal 11 (SIGSEGV), core dumped".
    [[nodiscard]] std::string to_string() const;
};

class process_events {
public:
    virtual ~process_events() = default;
    /// A record that the child has sent, never an empty one. The memory is valid during the call.
    virtual void record(std::span<const std::byte> bytes) = 0;
    /// The child has closed its channel or its sending half, has sent too large a record, or is gone: no record comes
    /// any more, and none can be sent. Once, before ended().
    virtual void channel_closed() = 0;
    /// A line of an output, without its end; the last one may have had none. Bytes that are no text are as they are.
    /// The order of lines of different outputs, and of lines and records, is not kept.
    virtual void line(bool of_standard_error, std::string_view text) = 0;
    /// It has ended and is reaped: its id may be another's by now. The last event.
    virtual void ended(process_end how) = 0;
};

class os_process {
public:
    /// Starts it; returns when the program runs, with no event before. Errors: not_found (no such program, interpreter
    /// or directory), denied (not executable, or may not), invalid_argument (a zero byte in a text, an environment name
    /// that is empty or has a '=', a reactor without I/O), limit_reached (no more processes, descriptors or memory;
    /// arguments and environment too large), io; the text names the program and what to do. `events` lives until
    /// ended() or the destruction, which may take place within an event.
    static result<std::unique_ptr<os_process>> start(reactor& on, const process_request& what,
                                                     process_events& events);
    /// If it has not ended: kills it with SIGKILL, also if it is stopped, and waits until it is reaped. No event comes
    /// any more.
    virtual ~os_process() = default;
    [[nodiscard]] virtual pid_t id() const noexcept = 0;
    /// Sends a record to the child. Never blocks: `mailbox_full` if it does not read, `closed` if it has closed its
    /// channel or is gone, `too_large`; invalid_argument for an empty one, which would look like the end.
    virtual errc send(std::span<const std::byte> record) noexcept = 0;
    /// Sends a signal, unless it has been reaped. Never hits another process.
    virtual void signal(int number) noexcept = 0;
    /// As the system says: a letter of proc(5).
    [[nodiscard]] virtual char state() const = 0;
};

/// What starts the processes of a node: os_process::start, and in the test world something else.
class process_starter {
public:
    virtual ~process_starter() = default;
    /// As os_process::start.
    virtual result<std::unique_ptr<os_process>> start(reactor& on, const process_request& what,
                                                      process_events& events) = 0;
    /// What the links of children go over that are to be reached over that transport.
    [[nodiscard]] virtual std::string links_over(const std::string& transport) = 0;
};
/// For processes of the operating system.
[[nodiscard]] std::unique_ptr<process_starter> make_process_starter();

}  // namespace coppice::detail
