// What is said in the log of something that gets stuck and goes on, again and again: each report costs a line at most every
// limits::stuck_report, however often it happens between, and the next one tells how often that was.
// Plain state on one thread; it knows no clock and no log.
#pragma once
#include <cstdint>
#include <string>

#include "coppice/options.hpp"

namespace coppice::net {

class stuck_reports {
public:
    enum class line : std::uint8_t { none, stuck, goes_on };

    /// What to say now, nanoseconds since some start. Called at each change, and now and then: one that stays stuck is said
    /// as soon as the time has passed. The end of what was said is said at once; of what was not said there is none.
    line look(bool stuck, std::int64_t now) noexcept {
        if (!stuck) {
            counted_ = false;
            if (!said_) return line::none;
            said_ = false;
            return line::goes_on;
        }
        if (said_) return line::none;
        if (ever_ && now - last_ < limits::stuck_report.count()) {
            unsaid_ += !counted_;
            counted_ = true;
            return line::none;
        }
        said_ = ever_ = true;
        last_ = now;
        left_out_ = unsaid_ - counted_;
        unsaid_ = 0;
        counted_ = false;
        return line::stuck;
    }
    /// How often it got stuck between the last two lines that said so without a line of its own.
    [[nodiscard]] std::uint64_t left_out() const noexcept { return left_out_; }

private:
    std::int64_t last_ = 0;
    std::uint64_t unsaid_ = 0;
    std::uint64_t left_out_ = 0;
    bool ever_ = false;     // there is a last one
    bool said_ = false;     // that it is stuck now
    bool counted_ = false;  // the present time is in unsaid_
};

/// The end of a line that says it: how many were left out; empty if none was.
[[nodiscard]] std::string not_said(std::uint64_t times);

}  // namespace coppice::net
