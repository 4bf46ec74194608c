// Descriptors 3 and above, as LISTEN_FDS says; see activation.hpp.
// Any thread.
#include "stream/activation.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace coppice::detail {

namespace {

constexpr int first_descriptor = 3;  // SD_LISTEN_FDS_START

int number_in(const char* variable) {
    const char* text = std::getenv(variable);
    int number = 0;
    if (!text) return 0;
    const char* const last = text + std::strlen(text);
    const auto [end, failed] = std::from_chars(text, last, number);
    return failed == std::errc{} && end == last ? number : 0;
}

bool is_option(int fd, int option, int value) {
    int is = 0;
    socklen_t length = sizeof is;
    return ::getsockopt(fd, SOL_SOCKET, option, &is, &length) == 0 && is == value;
}

}  // namespace

std::optional<unique_fd> activated_socket(const socket_address& at) {
    if (number_in("LISTEN_PID") != ::getpid()) return std::nullopt;  // meant for another, as for our parent
    const int count = number_in("LISTEN_FDS");
    for (int fd = first_descriptor; fd < first_descriptor + count; ++fd) {
        socket_address is;
        is.length = sizeof is.storage;
        if (::getsockname(fd, reinterpret_cast<sockaddr*>(&is.storage), &is.length) != 0) continue;
        if (is.length != at.length || std::memcmp(&is.storage, &at.storage, at.length) != 0) continue;
        if (!is_option(fd, SO_TYPE, SOCK_STREAM) || !is_option(fd, SO_ACCEPTCONN, 1)) continue;
        unique_fd own{::fcntl(fd, F_DUPFD_CLOEXEC, first_descriptor + count)};
        if (!own || ::fcntl(own.get(), F_SETFL, ::fcntl(own.get(), F_GETFL) | O_NONBLOCK) != 0) continue;
        return own;
    }
    return std::nullopt;
}

}  // namespace coppice::detail
