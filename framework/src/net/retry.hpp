// When a place is dialled again to which there is no link: at once after a link that stood, then often at first and more and
// more rarely the longer it lasts, so that a path which is there again is found within a small share of the time for which it
// was gone. Who answers and refuses, or fails in the handshake, is left alone for twice as long each time.
// Plain state on one thread; it knows no clock, dice or links.
#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>

namespace coppice::net {

class retry {
public:
    using duration = std::chrono::nanoseconds;

    static constexpr duration shortest = std::chrono::milliseconds{2};
    static constexpr duration longest = std::chrono::seconds{1};
    /// Of the time that nobody could be reached, between two attempts: 2 s are over by 8 ms at most, 4 minutes by a second.
    static constexpr int share = 256;
    /// A link that was up for less is taken for one that the other side does not want.
    static constexpr duration stood = std::chrono::milliseconds{100};
    /// For an attempt that hears nothing at all: as long as nobody could be reached, within these. The kernel repeats its
    /// own request after 1, 3, 7, ... seconds.
    static constexpr duration least_patience = std::chrono::seconds{1};
    static constexpr duration most_patience = std::chrono::seconds{5};

    enum class ended : std::uint8_t {
        unreachable,  ///< an attempt found nobody
        refused,      ///< an attempt found somebody, and yet there is no link that works
        cut           ///< a link that had stood
    };

    /// There is a link.
    void up() noexcept {
        since_ = 0;
        refusals_ = shortest;
    }
    /// How long to wait before the next attempt. `now`: nanoseconds, not 0. `dice`: any number; with it a thousand that
    /// lost one server do not come back at one moment.
    duration after(ended how, std::int64_t now, std::uint64_t dice) noexcept {
        if (!since_) since_ = now;
        if (how == ended::cut) return duration{0};
        duration most = std::clamp(duration{now - since_} / share, shortest, longest);
        if (how == ended::refused) {
            most = refusals_;
            refusals_ = std::min(refusals_ * 2, longest);
        }
        const auto half = static_cast<std::uint64_t>(most.count() / 2);
        return duration{static_cast<std::int64_t>(half + dice % (half + 1))};
    }
    /// How long an attempt that begins now may take.
    [[nodiscard]] duration patience(std::int64_t now) const noexcept {
        return std::clamp(duration{since_ ? now - since_ : 0}, least_patience, most_patience);
    }

private:
    std::int64_t since_ = 0;  // nobody could be reached; 0: there is a link, or there was no attempt yet
    duration refusals_ = shortest;
};

}  // namespace coppice::net
