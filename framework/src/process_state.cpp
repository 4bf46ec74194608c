// Reading /proc/PID/stat; see process_state.hpp.
// Where /proc is not mounted, or hides the process, the existence of the id is asked of the kernel.
#include "process_state.hpp"

#include <cerrno>
#include <csignal>
#include <fstream>
#include <string>

namespace coppice::detail {

char state_of_process(std::uint32_t pid) {
    std::ifstream status{"/proc/" + std::to_string(pid) + "/stat"};
    std::string line;
    if (!std::getline(status, line))
        return ::kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH ? 'X' : '?';
    const auto name_end = line.rfind(')');  // the name may hold anything
    return name_end != std::string::npos && name_end + 2 < line.size() ? line[name_end + 2] : '?';
}

bool process_ended(std::uint32_t pid) {
    const char state = state_of_process(pid);
    return state == 'Z' || state == 'X';
}

}  // namespace coppice::detail
