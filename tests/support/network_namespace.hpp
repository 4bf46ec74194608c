// Entering a network namespace that `ip netns` has made: a host of its own, as far as links are concerned. For processes of a test,
// before they have threads.
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <string>

namespace coppice::tests {

/// That of this name; empty: none. False if there is no such.
inline bool enter_namespace(const std::string& name) {
    if (name.empty()) return true;
    const int fd = ::open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const bool entered = ::setns(fd, CLONE_NEWNET) == 0;
    ::close(fd);
    return entered;
}

}  // namespace coppice::tests
