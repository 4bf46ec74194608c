// How somebody who waits for a lock of a space hears that it may be free: the kernel tells when a description of a file is
// closed (inotify), also by the end of a process. One thread of this process reads that and rings the bells of those who
// wait, each on its own scheduler.
//
//     kernel: closed ──► thread of `wakeups` ──► bell::ring() ──► post to the waiter's io_context ──► its timer ends
//                                                          └──► condition variable of a waiting thread
//
// A ring means "look again", no more. It can come a moment before the kernel has freed the lock, and not at all where inotify
// is used up; so each wait has a limit of its own, which grows from first_look to last_look.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "coppice/actor.hpp"
#include "space_system.hpp"

namespace coppice::actors::space_parts {

/// Between the looks of a waiter: what a ring that came too early costs, and what a ring that never comes costs.
inline constexpr std::chrono::milliseconds first_look{1};
inline constexpr std::chrono::milliseconds last_look{50};

/// Rung from any thread, awaited by one actor, or by one ordinary thread.
class bell {
public:
    explicit bell(const actor<anything>& self);
    /// Of an ordinary thread, which waits by wait_here().
    bell();
    /// Until it rings, at once if it has rung since the last wait, or `at_most`. True if it rang. Cancelled as a sleep.
    task<bool> wait(actor<anything> self, std::chrono::nanoseconds at_most);
    /// The same, blocking.
    bool wait_here(std::chrono::nanoseconds at_most);
    /// In a test world, whose time is the actor's.
    [[nodiscard]] bool is_virtual() const noexcept;

    struct shared;
    [[nodiscard]] const std::shared_ptr<shared>& rope() const noexcept { return shared_; }

private:
    std::shared_ptr<shared> shared_;
};

class wakeups : public std::enable_shared_from_this<wakeups> {
public:
    /// That of this process; it ends, with its thread, with the last who has it.
    static std::shared_ptr<wakeups> of_this_process();
    wakeups();
    ~wakeups();
    wakeups(const wakeups&) = delete;
    wakeups& operator=(const wakeups&) = delete;

    /// The bell rings when a description of that file is closed, or the file is removed; until destruction.
    class subscription {
    public:
        subscription() noexcept = default;
        subscription(std::shared_ptr<wakeups> from, int watch, std::shared_ptr<bell::shared> rope) noexcept;
        subscription(subscription&& other) noexcept;
        subscription& operator=(subscription&& other) noexcept;
        subscription(const subscription&) = delete;
        subscription& operator=(const subscription&) = delete;
        ~subscription();
        /// False: it never rings.
        explicit operator bool() const noexcept { return from_ != nullptr; }

    private:
        std::shared_ptr<wakeups> from_;
        int watch_ = -1;
        std::shared_ptr<bell::shared> rope_;
    };
    /// An empty one, which never rings, if the kernel gives no more of them.
    subscription subscribe(int fd, const bell& who);

private:
    void run();
    void handle(int watch, bool all);
    void unsubscribe(int watch, const std::shared_ptr<bell::shared>& rope) noexcept;

    descriptor events_;  // inotify
    descriptor end_;     // eventfd
    std::mutex mutex_;
    std::map<int, std::vector<std::shared_ptr<bell::shared>>> bells_;  // guarded by mutex_
    std::thread thread_;                                               // last: it uses what stands above
};

}  // namespace coppice::actors::space_parts
