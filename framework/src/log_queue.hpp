// Log records on their way to those who follow the log from afar: put in by whoever logs, taken by the control actor, which sends
// them on. Writing a record must neither wait nor send, since the code that sends logs as well.
// Any thread; start, stop and take are the control actor's.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coppice/control_actor.hpp"
#include "coppice/options.hpp"
#include "log_sink.hpp"

namespace coppice::detail {

class log_queue {
public:
    /// Records are kept from now on; `wake` is called, on the thread that logs, when there are some again.
    void start(std::function<void()> wake) {
        const std::lock_guard lock{mutex_};
        wake_ = std::move(wake);
        followed_.store(true, std::memory_order_relaxed);
    }
    void stop() {
        const std::lock_guard lock{mutex_};
        followed_.store(false, std::memory_order_relaxed);
        waiting_.clear();
        dropped_ = 0;
        told_ = false;
    }
    void put(level l, std::string_view path, std::string_view text, std::uint32_t pid) {
        if (!followed_.load(std::memory_order_relaxed)) return;
        const std::lock_guard lock{mutex_};
        if (!followed_.load(std::memory_order_relaxed)) return;
        if (waiting_.size() >= limits::log_lines_waiting) ++dropped_;
        else waiting_.push_back({l, std::string{path}, std::string{text}, pid, 0, log_time_now()});
        if (!std::exchange(told_, true)) wake_();
    }
    /// All that wait, and how many were dropped since the last time.
    std::pair<std::vector<control::log_line>, std::uint64_t> take() {
        const std::lock_guard lock{mutex_};
        told_ = false;
        return {std::exchange(waiting_, {}), std::exchange(dropped_, 0)};
    }

private:
    std::atomic<bool> followed_{false};  // true: somebody follows; written under the mutex, read without
    std::mutex mutex_;
    std::function<void()> wake_;
    std::vector<control::log_line> waiting_;
    std::uint64_t dropped_ = 0;
    bool told_ = false;  // the control actor has been woken and has not taken yet
};

}  // namespace coppice::detail
