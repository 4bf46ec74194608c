// What a thread waits for that runs a scheduler meanwhile (drive_lease.hpp): once it is there, the scheduler does not look for more on
// its behalf, so that what there is is taken while it is in the caches. That thread's alone.
#pragma once
#include <atomic>
#include <utility>

namespace coppice::detail {

/// Null: this thread waits for nothing.
inline thread_local const std::atomic<bool>* guest_news = nullptr;

/// `news` is what this thread waits for, as long as this lives.
class waits_for_news {
public:
    explicit waits_for_news(const std::atomic<bool>& news) noexcept
        : outer_{std::exchange(guest_news, &news)} {}
    waits_for_news(const waits_for_news&) = delete;
    waits_for_news& operator=(const waits_for_news&) = delete;
    ~waits_for_news() { guest_news = outer_; }

private:
    const std::atomic<bool>* const outer_;
};

[[nodiscard]] inline bool guest_has_news() noexcept {
    return guest_news && guest_news->load(std::memory_order_relaxed);
}

}  // namespace coppice::detail
