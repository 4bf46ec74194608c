// What this process has used of processors: for tests of what waits and must not spin.
#pragma once
#include <sys/resource.h>

#include <chrono>

namespace coppice::tests {

inline std::chrono::microseconds processor_time() {
    rusage u{};
    ::getrusage(RUSAGE_SELF, &u);
    return std::chrono::seconds{u.ru_utime.tv_sec + u.ru_stime.tv_sec} +
           std::chrono::microseconds{u.ru_utime.tv_usec + u.ru_stime.tv_usec};
}

}  // namespace coppice::tests
