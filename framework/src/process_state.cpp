// Reading /proc/PID/stat; see process_state.hpp.
// Where /proc is not mounted, or hides the process, the existence of the id is asked of the kernel.
#include "process_state.hpp"

#include <cerrno>
#include <csignal>
#include <fstream>
#include <sstream>
#include <string>

namespace coppice::detail {

namespace {

struct status {
    char state = '?';
    long threads = 0;
};

status status_of(std::uint32_t pid) {
    std::ifstream file{"/proc/" + std::to_string(pid) + "/stat"};
    std::string line;
    if (!std::getline(file, line))
        return {::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH ? 'X' : '?'};
    status found;
    const auto name_end = line.rfind(')');  // the name may hold anything
    if (name_end == std::string::npos) return found;
    std::istringstream fields{line.substr(name_end + 1)};
    fields >> found.state;
    constexpr int num_threads = 20;  // the number of the field, proc(5); the state is the third
    std::string skipped;
    for (int field = 4; field < num_threads; ++field) fields >> skipped;
    fields >> found.threads;
    return found;
}

}  // namespace

char state_of_process(std::uint32_t pid) { return status_of(pid).state; }

bool process_ended(std::uint32_t pid) {
    const status now = status_of(pid);
    // The first thread is a zombie for as long as others of the process run.
    return now.state == 'X' || (now.state == 'Z' && now.threads <= 1);
}

}  // namespace coppice::detail
