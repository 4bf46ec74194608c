// Thread priorities on Linux: SCHED_IDLE, nice values per thread (setpriority on a thread id), SCHED_FIFO.
// See sched(7), setpriority(2): on Linux the nice value is a property of the thread.
#include "thread_priority.hpp"

#include <cerrno>
#include <cstring>

#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace coppice {

std::string_view to_string(priority p) noexcept {
    switch (p) {
    case priority::idle: return "idle";
    case priority::low: return "low";
    case priority::normal: return "normal";
    case priority::high: return "high";
    case priority::realtime: return "realtime";
    }
    return "unknown";
}

namespace detail {

namespace {

constexpr int nice_low = 10;
constexpr int nice_high = -10;

id_t thread_id() noexcept { return static_cast<id_t>(::syscall(SYS_gettid)); }

error refused(priority p, int why) {
    return error{errc::priority_refused, "the operating system refused thread priority '" +
                                             std::string{to_string(p)} + "': " + std::strerror(why) +
                                             "; it takes CAP_SYS_NICE or a higher RLIMIT_NICE/RLIMIT_RTPRIO"};
}

}  // namespace

result<priority> current_thread_priority() {
    const int policy = ::sched_getscheduler(0);
    if (policy < 0) return error{errc::io, std::string{"sched_getscheduler: "} + std::strerror(errno)};
    if (policy == SCHED_IDLE) return priority::idle;
    if (policy == SCHED_FIFO || policy == SCHED_RR) return priority::realtime;
    errno = 0;
    const int nice = ::getpriority(PRIO_PROCESS, thread_id());
    if (nice == -1 && errno != 0) return error{errc::io, std::string{"getpriority: "} + std::strerror(errno)};
    if (nice >= nice_low) return priority::low;
    if (nice <= nice_high) return priority::high;
    return priority::normal;
}

result<void> set_current_thread_priority(priority p) {
    sched_param parameter{};
    if (p == priority::idle || p == priority::realtime) {
        const int policy = p == priority::idle ? SCHED_IDLE : SCHED_FIFO;
        if (p == priority::realtime) parameter.sched_priority = ::sched_get_priority_min(SCHED_FIFO);
        if (::sched_setscheduler(0, policy, &parameter) != 0) return refused(p, errno);
        return {};
    }
    const int before = ::sched_getscheduler(0);
    if (before != SCHED_OTHER && ::sched_setscheduler(0, SCHED_OTHER, &parameter) != 0)
        return refused(p, errno);
    const int nice = p == priority::low ? nice_low : p == priority::high ? nice_high : 0;
    if (::setpriority(PRIO_PROCESS, thread_id(), nice) != 0) return refused(p, errno);
    return {};
}

void set_current_thread_name(const std::string& name) noexcept {
    char text[16] = {};
    const std::size_t from = name.size() > 15 ? name.size() - 15 : 0;
    std::strncpy(text, name.c_str() + from, 15);
    ::pthread_setname_np(::pthread_self(), text);
}

}  // namespace detail
}  // namespace coppice
