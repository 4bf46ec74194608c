// A scheduler on an io_context: its own, run by a thread of its own, or the user's.
// Drains are posted handlers; the next timer is one steady_timer. Handlers that come after the scheduler's end find
// nothing: they share a cell that is emptied first.
#pragma once
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "coppice/detail/scheduler.hpp"
#include "coppice/supervisor.hpp"
#include "drive_lease.hpp"

namespace coppice::detail {

/// Without looking for a while whether more comes: for a guest, which has other things to do.
void drain_once(scheduler& s);

class asio_driver final : public driver {
public:
    explicit asio_driver(boost::asio::io_context& context);
    ~asio_driver() override;
    void attach(scheduler& s) { target_->s = &s; }
    void detach() noexcept { target_->s = nullptr; }
    void wake() override;
    /// A drain that the thread inside comes to by itself: nobody is asked for it. By that thread, of a scheduler that sleeps.
    void drain_later();
    void arm(std::int64_t deadline) override;
    void* io_context() noexcept override { return &context_; }
    std::shared_ptr<drive_lease> lease() noexcept override { return lease_; }
    /// Before it is used: what keeps the context in memory.
    void keep(std::shared_ptr<const void> context) { keeper_ = std::move(context); }
    [[nodiscard]] const std::shared_ptr<const void>& keeper() const noexcept { return keeper_; }
    /// Before it is used: guests may run it.
    void lend(std::shared_ptr<drive_lease> lease) {
        target_->lease = lease.get();
        lease_ = std::move(lease);
    }

private:
    struct target {
        scheduler* s = nullptr;
        drive_lease* lease = nullptr;  // there while s is
    };
    boost::asio::io_context& context_;
    boost::asio::steady_timer timer_;
    std::int64_t armed_ = 0;  // 0: not
    std::shared_ptr<target> target_;
    std::shared_ptr<drive_lease> lease_;  // null: one thread runs it
    std::shared_ptr<const void> keeper_;  // null: the context is the user's
};

/// A thread that runs one scheduler on an io_context of its own.
class scheduler_thread {
public:
    scheduler_thread(node_core& node, const std::string& name, priority wanted,
                     std::unique_ptr<scheduler> used);
    ~scheduler_thread();
    scheduler_thread(const scheduler_thread&) = delete;
    scheduler_thread& operator=(const scheduler_thread&) = delete;

    [[nodiscard]] scheduler& get() noexcept { return *scheduler_; }
    /// How the thread's priority was set: the error if the operating system refused.
    [[nodiscard]] const result<void>& priority_set() const noexcept { return priority_set_; }
    /// Closes the scheduler, ends the thread and waits for it. Returns the scheduler, for another thread to use.
    std::unique_ptr<scheduler> finish();
    /// Gives the thread up: it does not come back from an actor's code. It and its scheduler stay until the process ends.
    void leave_behind() noexcept;

private:
    void run(const std::string& name, priority wanted);
    struct parts;
    std::unique_ptr<parts> parts_;
    std::unique_ptr<scheduler> scheduler_;
    result<void> priority_set_;
    std::thread thread_;
};

}  // namespace coppice::detail
