// exit_reason: how an actor ended, as a value: kind, text, the message in hand, where it began, and the chain of causes.
// Copying shares; a normal end allocates nothing. Also the two system messages that carry one: down and exit_signal.
#pragma once
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "coppice/error.hpp"
#include "coppice/message.hpp"
#include "coppice/ref.hpp"

namespace coppice {

enum class exit_kind : std::uint8_t {
    normal = 0,          ///< the actor's function returned
    stopped = 1,         ///< it ended after it was asked to stop or to shut down
    killed = 2,          ///< it was killed: at its time limit, or by kill()
    error = 3,           ///< an exception left it
    failed = 4,          ///< it ended itself with self.fail()
    linked = 5,          ///< an actor that it was linked to ended; the cause says how
    start_failed = 6,    ///< it ended, or was not ready in time, while it was being started
    intensity = 7,       ///< a supervisor met more ends of children in its window than it restarts
    abandoned = 8,       ///< it did not reach an await after it was killed, and was left behind
    no_actor = 9,        ///< there was no such actor (any more) when it was monitored or linked
    significant = 10,    ///< a supervisor ended because its significant child did
    node_lost = 11,      ///< its node has ended, or was out of reach for longer than the hold time
    limit_reached = 12,  ///< its node takes no more monitors or links from this one; it may well be alive
    process_ended = 13,  ///< its process ended before the actor did; the text has the exit code or the signal
    unresponsive = 14,  ///< its process gave no sign of life, or a handler there did not return, for too long
    not_started =
        15,  ///< its process could not be started; code() says why: not_found, denied, limit_reached
};

[[nodiscard]] std::string_view to_string(exit_kind kind) noexcept;

class exit_reason {
public:
    exit_reason() noexcept = default;
    exit_reason(exit_kind kind) noexcept : kind_{kind} {}  // NOLINT(google-explicit-constructor)
    exit_reason(exit_kind kind, std::string text, std::string origin = {}, std::string_view message = {});

    /// The reason for an exception: its what(), and its nested exceptions as causes.
    static exit_reason from(std::exception_ptr failure, std::string origin, std::string_view message);

    /// The same reason with `cause` at the end of its chain.
    [[nodiscard]] exit_reason because(const exit_reason& cause) const;

    [[nodiscard]] exit_kind kind() const noexcept { return kind_; }
    /// What happened, in words; empty for a normal end.
    [[nodiscard]] std::string_view text() const noexcept {
        return more_ ? std::string_view{more_->text} : std::string_view{};
    }
    /// Path of the actor in which it happened.
    [[nodiscard]] std::string_view origin() const noexcept {
        return more_ ? std::string_view{more_->origin} : std::string_view{};
    }
    /// Type name of the message that the actor had received last; empty if none.
    [[nodiscard]] std::string_view in_hand() const noexcept {
        return more_ ? more_->message : std::string_view{};
    }
    /// What led to it, or null.
    [[nodiscard]] const exit_reason* cause() const noexcept { return more_ ? more_->cause.get() : nullptr; }

    /// True for `normal` and `stopped`: the ends after which a transient child is not restarted.
    [[nodiscard]] bool is_clean() const noexcept {
        return kind_ == exit_kind::normal || kind_ == exit_kind::stopped;
    }

    /// A code for what happened, where there is one: of a process that could not be started, of a start that took too long.
    [[nodiscard]] errc code() const noexcept { return more_ ? more_->code : errc::ok; }
    /// The same reason with that code.
    [[nodiscard]] exit_reason coded(errc code) const;

    /// One line: "error: disk full (in /app/store, at store::put), because ...".
    [[nodiscard]] std::string to_string() const;

private:
    struct detail {
        std::string text;
        std::string origin;
        std::string_view message;  // names of types live as long as the process
        std::shared_ptr<const exit_reason> cause;
        errc code = errc::ok;
    };
    exit_kind kind_ = exit_kind::normal;
    std::shared_ptr<const detail> more_;
};

/// Told to whoever monitors an actor, once, when the incarnation that it monitored ends. System lane.
struct down {
    static constexpr auto lane = coppice::lane::system;
    ref<> who;
    exit_reason reason;
    std::uint64_t monitor = 0;  ///< what self.monitor() returned
};

/// Told to an actor that traps exits when an actor linked to it ends. System lane.
struct exit_signal {
    static constexpr auto lane = coppice::lane::system;
    ref<> who;
    exit_reason reason;
};

}  // namespace coppice
