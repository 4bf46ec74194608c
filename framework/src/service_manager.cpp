// The protocol of sd_notify(3); see service_manager.hpp.
// The thread of its owner.
#include "service_manager.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace coppice::detail {

namespace {

// A whole number in a variable; none: it is not there, or is something else.
std::optional<std::uint64_t> number_in(const char* variable) {
    const char* text = std::getenv(variable);
    if (!text) return std::nullopt;
    std::uint64_t number = 0;
    const char* const last = text + std::strlen(text);
    const auto [end, failed] = std::from_chars(text, last, number);
    if (failed != std::errc{} || end != last) return std::nullopt;
    return number;
}

}  // namespace

service_manager::service_manager() {
    const char* const where = std::getenv("NOTIFY_SOCKET");
    if (!where || (where[0] != '/' && where[0] != '@') || std::strlen(where) >= sizeof(sockaddr_un::sun_path))
        return;
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) return;
    address_ = where;
    if (address_.front() == '@') address_.front() = '\0';  // of the abstract namespace, unix(7)
    const auto of = number_in("WATCHDOG_PID");
    const auto microseconds = number_in("WATCHDOG_USEC");
    if (microseconds && *microseconds && (!of || *of == static_cast<std::uint64_t>(::getpid())))
        watchdog_ = std::chrono::microseconds{*microseconds};
}

service_manager::~service_manager() {
    if (socket_ >= 0) ::close(socket_);
}

void service_manager::say(std::string_view words) noexcept {
    if (socket_ < 0) return;
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::memcpy(to.sun_path, address_.data(), address_.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address_.size());
    static_cast<void>(::sendto(socket_, words.data(), words.size(), MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&to), length));
}

const scheduler* service_manager::feed(const std::vector<scheduler*>& all, std::int64_t at) {
    const scheduler* still = nullptr;
    std::unordered_map<const scheduler*, scheduler_progress> now;  // without those that are gone
    for (const scheduler* s : all) {
        scheduler_progress& p = now[s] = seen_[s];
        if (!p.look(*s, at) && p.still_for(at) > watchdog_->count() / 2) still = s;
    }
    seen_ = std::move(now);
    if (!still) say("WATCHDOG=1");
    return still;
}

}  // namespace coppice::detail
