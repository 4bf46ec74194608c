// What the service manager that has started this process wants to hear: that it is ready, that it stops, and, if it watches, that
// it gets on with its work. The protocol is that of sd_notify(3) and sd_watchdog_enabled(3): one datagram a word to the unix
// socket that NOTIFY_SOCKET names. Without that variable nothing is said. One thread at a time.
#pragma once
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "scheduler_progress.hpp"

namespace coppice::detail {

class service_manager {
public:
    /// As the environment says now.
    service_manager();
    ~service_manager();
    service_manager(const service_manager&) = delete;
    service_manager& operator=(const service_manager&) = delete;

    /// "READY=1"; several lines are several words. Lost if the manager does not read: it judges by its own limits then.
    void say(std::string_view words) noexcept;
    /// How long it waits for a sign of life before it ends this process; none: it does not watch.
    [[nodiscard]] std::optional<std::chrono::nanoseconds> watchdog() const noexcept { return watchdog_; }
    /// Says that the process gets on, if each of these schedulers has gone on, or had nothing to do, within the last half of
    /// watchdog(). Else the one that has not. To be called several times in that time. `at`: nanoseconds, steady.
    const scheduler* feed(const std::vector<scheduler*>& all, std::int64_t at);

private:
    std::string address_;
    int socket_ = -1;
    std::optional<std::chrono::nanoseconds> watchdog_;
    std::unordered_map<const scheduler*, scheduler_progress> seen_;
};

}  // namespace coppice::detail
