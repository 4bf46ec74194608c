// A descriptor watched by an io_context: tells once, each time it is armed, that there is something to read.
// Lives on the io_context's thread. Destroying it closes the descriptor and keeps the function from being called; that may
// happen within the function, which stays alive until it returns. It knows nothing of what is read.
#pragma once
#include <functional>
#include <memory>

#include "descriptor.hpp"

namespace coppice::shm {

class watch {
public:
    watch() noexcept = default;
    /// `io_context`: a boost::asio::io_context, as reactor::io_context() gives it. `readable` is called after arm().
    watch(void* io_context, descriptor fd, std::function<void()> readable);
    watch(watch&&) noexcept = default;
    watch& operator=(watch&& other) noexcept;
    watch(const watch&) = delete;
    watch& operator=(const watch&) = delete;
    ~watch() { reset(); }

    /// Calls `readable` once when there is something to read: bytes, a connection, the end, an error.
    void arm();
    [[nodiscard]] int get() const noexcept;
    explicit operator bool() const noexcept { return state_ != nullptr; }
    void reset() noexcept;
    /// Gives the descriptor up, unwatched.
    [[nodiscard]] descriptor release();

private:
    struct state;
    std::shared_ptr<state> state_;
};

}  // namespace coppice::shm
