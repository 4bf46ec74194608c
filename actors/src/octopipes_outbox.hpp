// What waits for one client of the Octopipes broker, and how it gets into the client's pipe.
//
//     queue ──► the pipe's buffer ──► the client
//     │          └ written, not read: still the broker's, which can take it back
//     └ whole frames, or pieces of one that its sender has not finished
//
// A frame counts as delivered when the client has read its last byte, not when it lies in the pipe: FIONREAD tells how much
// does. A frame that expires there unread is taken out again: all is read back in one read(), which the kernel does not
// interleave with the client's, and what has not expired is written again, in order. One thread, the broker's; never waits.
#pragma once
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "coppice/blob.hpp"
#include "octopipes_fifo.hpp"

namespace coppice::actors::octopipes::parts {

using clock = std::chrono::steady_clock;

/// A frame on its way to one client.
struct passage {
    std::string from;
    std::string to;
    std::uint64_t size = 0;  ///< bytes of the frame, all of it
    std::optional<clock::time_point> expires{};
    std::deque<blob> pieces{};  ///< not written yet
    std::size_t offset = 0;     ///< in the first of them
    std::uint64_t fed = 0;      ///< bytes that have come
    std::uint64_t written = 0;
    bool cut = false;  ///< no more will come: the rest is filled up, with a wrong end byte
    std::uint64_t number = 0;
    clock::time_point moved = clock::now();  ///< when some of it was written last
};

class outbox {
public:
    enum class loss : std::uint8_t { expired, no_room, left };
    using report =
        std::function<void(const std::string& from, const std::string& to, std::uint64_t bytes, loss why)>;
    struct bounds {
        std::uint32_t frames;
        std::uint64_t bytes;
    };
    /// `pipe` is open for reading and writing, and outlives it.
    outbox(int pipe, bounds most, report tell) : pipe_{pipe}, most_{most}, tell_{std::move(tell)} {}

    /// Takes a frame, whole or as far as it has come; its number, for feed() and cut(). The oldest give way if there is no room.
    std::uint64_t add(passage p);
    void feed(std::uint64_t number, blob piece);
    /// Its sender, or this client, is too slow, or gone. What was not begun is dropped.
    void cut(std::uint64_t number);
    /// Whether a frame in pieces may go on: what waits of it is little.
    [[nodiscard]] bool has_room(std::uint64_t number) const noexcept;
    /// When some of that frame was written last; none: it is not there any more.
    [[nodiscard]] std::optional<clock::time_point> moved(std::uint64_t number) const noexcept;

    enum class progress : std::uint8_t {
        moved,
        idle,  // nothing to write at present
        full   // the pipe is
    };
    /// Writes once. `may_begin`: also the beginning of a frame.
    progress step(bool may_begin);
    /// Drops what has expired, also out of the pipe.
    void expire(clock::time_point now);
    [[nodiscard]] std::optional<clock::time_point> next_expiry() const;
    /// Tells all that was not read, which the client will not read any more.
    void give_up();
    /// Forgets what the client has read.
    void settle();

    [[nodiscard]] std::uint32_t waiting() const noexcept {
        return static_cast<std::uint32_t>(queue_.size() + unread_.size());
    }
    [[nodiscard]] bool queued() const noexcept { return !queue_.empty() || !back_.empty(); }
    [[nodiscard]] bool pipe_is_empty() const noexcept { return back_.empty() && bytes_in(pipe_) == 0; }
    [[nodiscard]] std::uint64_t given() const noexcept { return given_; }
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }
    /// errno of the first write that failed.
    [[nodiscard]] int failure() const noexcept { return failure_; }

private:
    struct written_frame {
        std::string from;
        std::string to;
        std::uint64_t size;
        std::optional<clock::time_point> expires;
        std::uint64_t end;  // in the stream of all bytes for this client
        [[nodiscard]] std::uint64_t begin() const noexcept { return end - size; }
    };
    void make_room(std::uint64_t bytes);
    void lose(const std::string& from, const std::string& to, std::uint64_t bytes, loss why);
    void take_back(clock::time_point now);
    progress write(std::span<const std::byte> bytes, std::size_t& count);
    progress write_back();
    progress write_filler(passage& head);
    passage* find(std::uint64_t number) noexcept;

    int pipe_;
    bounds most_;
    report tell_;
    std::deque<passage> queue_;  // the first may be begun
    std::deque<written_frame> unread_;
    std::vector<std::byte> back_;  // taken out of the pipe, to be written first
    std::uint64_t bytes_ = 0;      // in the queue
    std::uint64_t written_ = 0;    // bytes of the stream
    std::uint64_t given_ = 0;
    std::uint64_t lost_ = 0;
    std::uint64_t numbers_ = 0;
    int failure_ = 0;
};

}  // namespace coppice::actors::octopipes::parts
