// A watched descriptor on Asio; see watch.hpp.
// The handler of a wait shares the state, so that it can come after the watch has been destroyed and do nothing then.
#include "watch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <utility>

namespace coppice::shm {

namespace asio = boost::asio;

struct watch::state {
    state(asio::io_context& context, int fd, std::function<void()> f)
        : stream{context, fd}, readable{std::move(f)} {}
    asio::posix::stream_descriptor stream;
    std::function<void()> readable;
    bool over = false;
};

watch::watch(void* io_context, descriptor fd, std::function<void()> readable)
    : state_{std::make_shared<state>(*static_cast<asio::io_context*>(io_context), fd.release(),
                                     std::move(readable))} {}

watch& watch::operator=(watch&& other) noexcept {
    if (this == &other) return *this;
    reset();
    state_ = std::move(other.state_);
    return *this;
}

void watch::arm() {
    state_->stream.async_wait(asio::posix::stream_descriptor::wait_read,
                              [s = state_](const boost::system::error_code& failure) {
                                  if (!failure && !s->over) s->readable();
                              });
}

int watch::get() const noexcept { return state_ ? state_->stream.native_handle() : -1; }

void watch::reset() noexcept {
    if (!state_) return;
    state_->over = true;
    boost::system::error_code
        ignored;  // close() of a socket has nothing to report that anyone could act upon
    state_->stream.close(ignored);
    state_.reset();
}

descriptor watch::release() {
    if (!state_) return {};
    state_->over = true;
    descriptor fd{state_->stream.release()};
    state_.reset();
    return fd;
}

}  // namespace coppice::shm
