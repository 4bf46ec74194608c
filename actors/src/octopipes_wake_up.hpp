// wake_up: what one coroutine of an actor waits for and others of the same actor give, or a point in time does. One waiter; one
// thread, the actor's. A notice that comes while nobody waits is kept, once.
#pragma once
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "coppice/await.hpp"

namespace coppice::actors::octopipes::parts {

class wake_up {
public:
    using clock = std::chrono::steady_clock;
    explicit wake_up(boost::asio::io_context& context) : timer_{context} {}
    void notify() {
        noticed_ = true;
        timer_.cancel();
    }
    /// Until notified, or that time has come. Throws `cancelled` with the actor.
    task<> wait(clock::time_point until = clock::time_point::max()) {
        if (!noticed_) {
            timer_.expires_at(until);
            co_await timer_.async_wait(boost::asio::as_tuple(await));
        }
        noticed_ = false;
    }

private:
    boost::asio::steady_timer timer_;
    bool noticed_ = false;
};

}  // namespace coppice::actors::octopipes::parts
