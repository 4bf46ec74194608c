// descriptor: owns a file descriptor and closes it. Moved, not copied; belongs to whoever holds it, on any thread. Private to
// the ready-made actors; it knows nothing of what the number stands for.
#pragma once
#include <unistd.h>

#include <utility>

namespace coppice::actors {

class descriptor {
public:
    descriptor() noexcept = default;
    /// Takes it over; negative is none.
    explicit descriptor(int fd) noexcept : fd_{fd} {}
    descriptor(descriptor&& other) noexcept : fd_{other.release()} {}
    descriptor& operator=(descriptor&& other) noexcept {
        if (this == &other) return *this;
        reset();
        fd_ = other.release();
        return *this;
    }
    descriptor(const descriptor&) = delete;
    descriptor& operator=(const descriptor&) = delete;
    ~descriptor() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    /// The caller's from now on.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
    void reset() noexcept {
        if (fd_ >= 0) ::close(release());
    }

private:
    int fd_ = -1;
};

}  // namespace coppice::actors
