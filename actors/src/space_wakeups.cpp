// The thread that hears of closed files, and the bells that it rings; see space_wakeups.hpp.
// It only posts: all else happens on the waiters' own threads. It takes no signals, so that they go to the program's threads.
#include "space_wakeups.hpp"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <tuple>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>

#include "coppice/await.hpp"

namespace coppice::actors::space_parts {

namespace {

constexpr std::uint32_t wanted_events = IN_CLOSE | IN_ATTRIB | IN_DELETE_SELF;

boost::asio::io_context* context_of(const actor<anything>& self) {
    try {
        return &io_context_of(self);
    } catch (const std::logic_error&) {
        return nullptr;  // a test world: its waits are those of its clock
    }
}

}  // namespace

struct bell::shared {
    // True: it has rung, and the waiter has not looked. Set by ring(), which then posts; taken by the waiter. The post runs on
    // the waiter's thread, so it comes either before wait() looks, which sees the mark, or after its timer has begun.
    std::atomic<bool> rang{false};
    std::optional<boost::asio::steady_timer> timer;  // of an actor's thread; none in a test world
    std::mutex mutex;                                // an ordinary thread waits with it for `rang`
    std::condition_variable changed;
};

namespace {

void ring(const std::shared_ptr<bell::shared>& rope) {
    if (rope->rang.exchange(true, std::memory_order_acq_rel)) return;
    if (rope->timer) {
        boost::asio::post(rope->timer->get_executor(), [rope] { rope->timer->cancel(); });
        return;
    }
    // Who waits has either not looked yet, and sees it, or has let go of the mutex to wait.
    {
        const std::lock_guard waits{rope->mutex};
    }
    rope->changed.notify_all();
}

}  // namespace

bell::bell(const actor<anything>& self) : shared_{std::make_shared<shared>()} {
    if (auto* context = context_of(self)) shared_->timer.emplace(*context);
}

bell::bell() : shared_{std::make_shared<shared>()} {}

bool bell::is_virtual() const noexcept { return !shared_->timer; }

bool bell::wait_here(std::chrono::nanoseconds at_most) {
    std::unique_lock waits{shared_->mutex};
    shared_->changed.wait_for(waits, at_most,
                              [this] { return shared_->rang.load(std::memory_order_acquire); });
    return shared_->rang.exchange(false, std::memory_order_acq_rel);
}

task<bool> bell::wait(actor<anything> self, std::chrono::nanoseconds at_most) {
    const auto rope = shared_;
    if (rope->rang.exchange(false, std::memory_order_acq_rel)) co_return true;
    if (!rope->timer) {
        co_await self.sleep(at_most);
        co_return rope->rang.exchange(false, std::memory_order_acq_rel);
    }
    rope->timer->expires_after(at_most);
    static_cast<void>(co_await rope->timer->async_wait(boost::asio::as_tuple(coppice::await)));
    co_return rope->rang.exchange(false, std::memory_order_acq_rel);
}

std::shared_ptr<wakeups> wakeups::of_this_process() {
    static std::mutex guards;
    static std::weak_ptr<wakeups> there;
    const std::lock_guard lock{guards};
    auto found = there.lock();
    if (!found) there = found = std::make_shared<wakeups>();
    return found;
}

wakeups::wakeups()
    : events_{::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)}, end_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
    if (!events_ || !end_) return;  // it is deaf: its subscribers look by themselves
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the program's own threads
    thread_ = std::thread{[this] { run(); }};
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

wakeups::~wakeups() {
    if (!thread_.joinable()) return;
    const std::uint64_t one = 1;
    static_cast<void>(::write(end_.get(), &one, sizeof one));
    thread_.join();
}

void wakeups::run() {
    ::pthread_setname_np(::pthread_self(), "space-wakeups");
    std::array<pollfd, 2> watched{{{events_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}}};
    for (;;) {
        if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) return;
        if (watched[1].revents) return;
        alignas(inotify_event) std::array<char, 4096> room;
        const ssize_t n = ::read(events_.get(), room.data(), room.size());
        for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= n;) {
            inotify_event event;
            std::memcpy(&event, room.data() + at, sizeof event);
            at += static_cast<ssize_t>(sizeof event + event.len);
            handle(event.wd, (event.mask & IN_Q_OVERFLOW) != 0);
        }
    }
}

void wakeups::handle(int watch, bool all) {
    const std::lock_guard lock{mutex_};
    const auto one = bells_.find(watch);
    for (auto at = all ? bells_.begin() : one; at != bells_.end(); ++at) {
        for (const auto& rope : at->second) ring(rope);
        if (!all) return;
    }
}

wakeups::subscription wakeups::subscribe(int fd, const bell& who) {
    if (!thread_.joinable()) return {};
    const std::lock_guard lock{mutex_};
    const std::string path = fmt::format("/proc/self/fd/{}", fd);
    const int watch = ::inotify_add_watch(events_.get(), path.c_str(), wanted_events);
    if (watch < 0) return {};
    bells_[watch].push_back(who.rope());
    return {shared_from_this(), watch, who.rope()};
}

void wakeups::unsubscribe(int watch, const std::shared_ptr<bell::shared>& rope) noexcept {
    const std::lock_guard lock{mutex_};
    const auto found = bells_.find(watch);
    if (found == bells_.end()) return;
    auto& ropes = found->second;
    if (const auto at = std::find(ropes.begin(), ropes.end(), rope); at != ropes.end()) ropes.erase(at);
    if (!ropes.empty()) return;
    bells_.erase(found);
    ::inotify_rm_watch(events_.get(), watch);  // fails if the file is gone: so is the watch then
}

wakeups::subscription::subscription(std::shared_ptr<wakeups> from, int watch,
                                    std::shared_ptr<bell::shared> rope) noexcept
    : from_{std::move(from)}, watch_{watch}, rope_{std::move(rope)} {}

wakeups::subscription::subscription(subscription&& other) noexcept
    : from_{std::move(other.from_)}, watch_{other.watch_}, rope_{std::move(other.rope_)} {}

wakeups::subscription& wakeups::subscription::operator=(subscription&& other) noexcept {
    if (this == &other) return *this;
    if (from_) from_->unsubscribe(watch_, rope_);
    from_ = std::move(other.from_);
    watch_ = other.watch_;
    rope_ = std::move(other.rope_);
    return *this;
}

wakeups::subscription::~subscription() {
    if (from_) from_->unsubscribe(watch_, rope_);
}

}  // namespace coppice::actors::space_parts
