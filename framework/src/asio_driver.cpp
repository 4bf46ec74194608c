// Schedulers on io_contexts and threads; see asio_driver.hpp.
// The only place, with node.cpp and await.hpp, where the framework meets Asio.
#include "asio_driver.hpp"

#include <future>
#include <utility>

#include <boost/asio/post.hpp>

#include "node_core.hpp"
#include "thread_priority.hpp"
#include "timer_wheel.hpp"

namespace coppice::detail {

asio_driver::asio_driver(boost::asio::io_context& context)
    : context_{context}, timer_{context}, target_{std::make_shared<target>()} {}

asio_driver::~asio_driver() { detach(); }

void asio_driver::wake() {
    const auto post_drain = [this] {
        boost::asio::post(context_, [t = target_] {
            if (!t->s) return;
            if (t->lease) t->lease->met();
            t->s->drain();
        });
    };
    // What is posted may be the last that this driver does: then the lease alone is still there.
    if (const auto lease = lease_) lease->ask(post_drain);
    else post_drain();
}

void drain_once(scheduler& s) {
    const std::int64_t limit = std::exchange(s.poll_limit, 0);
    s.idle_since = 0;  // it was not idle
    s.drain();
    s.poll_limit = limit;
}

void asio_driver::drain_later() {
    boost::asio::post(context_, [t = target_] {
        if (t->s) drain_once(*t->s);
    });
    target_->s->awake = true;
    target_->s->look_at_clock();
}

void asio_driver::arm(std::int64_t deadline) {
    if (deadline == armed_) return;
    armed_ = deadline;
    if (deadline == timer_wheel::never) {
        timer_.cancel();
        return;
    }
    timer_.expires_at(std::chrono::steady_clock::time_point{std::chrono::nanoseconds{deadline}});
    timer_.async_wait([t = target_, this](const boost::system::error_code& failure) {
        if (failure || !t->s) return;
        armed_ = 0;
        t->s->drain();
    });
}

std::shared_ptr<const void> keeper_of(scheduler* s) noexcept {
    // Whose driver has an io_context, has this one.
    return s->drive->io_context() ? static_cast<asio_driver*>(s->drive)->keeper() : nullptr;
}

namespace {

// Others may keep it longer than its scheduler, to destroy executors of it, and no handlers.
struct kept_context : boost::asio::io_context {
    using boost::asio::io_context::io_context;
    using boost::asio::io_context::shutdown;
};

}  // namespace

struct scheduler_thread::parts {
    std::shared_ptr<kept_context> kept = std::make_shared<kept_context>(1);
    struct end_of_handlers {
        kept_context& of;
        ~end_of_handlers() { of.shutdown(); }
    } end{*kept};
    boost::asio::io_context& context = *kept;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
    asio_driver driver{context};
    std::shared_ptr<drive_lease> lease = std::make_shared<drive_lease>(context);
};

scheduler_thread::scheduler_thread(node_core& node, const std::string& name, priority wanted,
                                   std::unique_ptr<scheduler> used)
    : parts_{std::make_unique<parts>()}, scheduler_{std::move(used)} {
    if (!scheduler_) scheduler_ = std::make_unique<scheduler>(node, node.options.mailbox);
    parts_->driver.keep(parts_->kept);
    // A thread with a priority of its own is not stood in for.
    if (wanted == priority::normal) parts_->driver.lend(parts_->lease);
    scheduler_->drive = &parts_->driver;
    scheduler_->awake = true;
    // A used one is closed, and markers to one that is closed are lost.
    for (auto* count :
         {&scheduler_->from_outside.sent, &scheduler_->from_outside.marked, &scheduler_->from_outside.passed})
        *count = 0;
    scheduler_->inbox.store(nullptr, std::memory_order_release);
    parts_->driver.attach(*scheduler_);
    std::promise<result<void>> set;
    auto answer = set.get_future();
    thread_ = std::thread{[this, name, wanted, &set] {
        set_current_thread_name(name);
        set.set_value(wanted == priority::normal ? result<void>{} : set_current_thread_priority(wanted));
        parts* p = parts_.get();
        p->driver.wake();
        p->lease->run();
    }};
    priority_set_ = answer.get();
}

scheduler_thread::~scheduler_thread() {
    if (thread_.joinable()) finish();
}

std::unique_ptr<scheduler> scheduler_thread::finish() {
    parts_->lease->ask([this] {
        boost::asio::post(parts_->context, [this] {
            parts_->lease->met();
            scheduler_->close();
            parts_->driver.detach();
            parts_->work.reset();
            parts_->lease->end();
        });
    });
    thread_.join();
    return std::move(scheduler_);
}

void scheduler_thread::leave_behind() noexcept {
    thread_.detach();
    static_cast<void>(parts_.release());  // the thread still uses them
    static_cast<void>(scheduler_.release());
}

}  // namespace coppice::detail
