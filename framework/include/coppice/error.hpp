// errc, error and result<T>: expected outcomes as values. One table of numbers, the same in C++, on the wire, in the
// C interface and as the command line's reasons; numbers are never reused (docs/errors.md documents each).
// Broken invariants of our own end the process by COPPICE_ASSERT; exceptions end one actor and become its exit reason.
#pragma once
#include <cstdint>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace coppice {

/// What can go wrong that a program is expected to handle.
enum class errc : std::uint8_t {
    ok = 0,
    timeout = 1,            ///< the deadline passed
    down = 2,               ///< the actor has ended, or never existed
    mailbox_full = 3,       ///< the receiver's mailbox is at its bound and its policy rejects
    unreachable = 4,        ///< no link leads to the actor's node
    denied = 5,             ///< the caller lacks the right
    no_handler = 6,         ///< the actor's protocol has no such message
    no_reply = 7,           ///< the request was dropped without an answer
    deadlock = 8,           ///< the ask would close a cycle of asks; the text names the path
    cancelled = 9,          ///< the operation was cancelled by its owner's stop or by a race it lost
    not_found = 10,         ///< nothing has that name
    name_taken = 11,        ///< a living actor has that name
    bad_name = 12,          ///< the name is empty, too long, or has a character that names may not have
    wrong_protocol = 13,    ///< the actor does not take all messages of the protocol asked for
    start_failed = 14,      ///< the actor ended, or was not ready in time, when it was started
    limit_reached = 15,     ///< a limit of options.hpp or of the node's options
    priority_refused = 16,  ///< the operating system refused a thread priority
    stopping = 17,          ///< the node or the actor is ending and takes no new work
    failed = 18,            ///< the callee answered with an error of its own; the text is the callee's
    invalid_argument = 19,  ///< a value out of its documented range
    io = 20,                ///< the operating system reported an I/O error; the text has its words
    closed = 21,            ///< the peer ended the link or the connection properly
    node_lost = 22,         ///< the actor's node has ended, or was out of reach for longer than the hold time
    outcome_unknown = 23,  ///< the message may or may not have been handled: its node was lost before it told
    name_refused = 24,     ///< the node's name is not on the peer's list of allowed names
    wrong_secret = 25,     ///< the two nodes do not share a secret
    wrong_version = 26,    ///< the peer speaks another version of the protocol
    not_portable = 27,     ///< the message holds what cannot leave its process
    bad_message = 28,      ///< bytes that do not hold what they should; they are refused whole
    too_large = 29,        ///< larger than a limit of options.hpp or of the transport
};

/// The number's name as in the table above, e.g. "mailbox_full".
[[nodiscard]] std::string_view to_string(errc code) noexcept;

/// A code, and a text where there is more to say than the code does. Cheap to move; copying shares the text.
class error {
public:
    error() noexcept = default;
    error(errc code) noexcept : code_{code} {}  // NOLINT(google-explicit-constructor): a code is an error
    error(errc code, std::string text)
        : code_{code}, text_{std::make_shared<const std::string>(std::move(text))} {}

    [[nodiscard]] errc code() const noexcept { return code_; }
    [[nodiscard]] std::string_view text() const noexcept {
        return text_ ? std::string_view{*text_} : std::string_view{};
    }
    /// "timeout", or "deadlock: /app/a -> /app/b -> /app/a".
    [[nodiscard]] std::string what() const;

    friend bool operator==(const error& a, errc b) noexcept { return a.code_ == b; }

private:
    errc code_ = errc::ok;
    std::shared_ptr<const std::string> text_;
};

/// Thrown by result<T>::value() when there is none.
class bad_result : public std::runtime_error {
public:
    explicit bad_result(const error& e) : std::runtime_error{e.what()}, error_{e} {}
    [[nodiscard]] const coppice::error& error() const noexcept { return error_; }

private:
    coppice::error error_;
};

/// A value or an error. `if (r) use(*r); else report(r.error());`
template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    result(T value) noexcept(std::is_nothrow_move_constructible_v<T>) : has_{true} {
        ::new (&store_.value) T(std::move(value));
    }
    result(coppice::error e) noexcept : has_{false} { ::new (&store_.error) coppice::error(std::move(e)); }
    result(errc code) noexcept : result{coppice::error{code}} {}
    result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : has_{other.has_} {
        if (has_) ::new (&store_.value) T(std::move(other.store_.value));
        else ::new (&store_.error) coppice::error(std::move(other.store_.error));
    }
    result(const result& other) : has_{other.has_} {
        if (has_) ::new (&store_.value) T(other.store_.value);
        else ::new (&store_.error) coppice::error(other.store_.error);
    }
    result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<T>) {
        this->~result();
        ::new (this) result(std::move(other));
        return *this;
    }
    ~result() {
        if (has_) store_.value.~T();
        else store_.error.~error();
    }

    [[nodiscard]] bool has_value() const noexcept { return has_; }
    explicit operator bool() const noexcept { return has_; }
    T& operator*() & noexcept { return store_.value; }
    const T& operator*() const& noexcept { return store_.value; }
    T&& operator*() && noexcept { return std::move(store_.value); }
    T* operator->() noexcept { return &store_.value; }
    const T* operator->() const noexcept { return &store_.value; }
    /// The value, or throws bad_result.
    T& value() & { return check(), store_.value; }
    T&& value() && { return check(), std::move(store_.value); }
    template <class U>
    [[nodiscard]] T value_or(U&& other) && {
        return has_ ? std::move(store_.value) : static_cast<T>(std::forward<U>(other));
    }
    /// The error; errc::ok when there is a value.
    [[nodiscard]] coppice::error error() const { return has_ ? coppice::error{} : store_.error; }

private:
    void check() const {
        if (!has_) throw bad_result{store_.error};
    }
    union store {
        store() noexcept {}
        ~store() {}
        T value;
        coppice::error error;
    } store_;
    bool has_;
};

template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    result() noexcept = default;
    result(coppice::error e) noexcept : error_{std::move(e)} {}
    result(errc code) noexcept : error_{code} {}

    [[nodiscard]] bool has_value() const noexcept { return error_.code() == errc::ok; }
    explicit operator bool() const noexcept { return has_value(); }
    void value() const {
        if (!has_value()) throw bad_result{error_};
    }
    [[nodiscard]] const coppice::error& error() const noexcept { return error_; }

private:
    coppice::error error_;
};

namespace detail {
/// Ends the process: a broken invariant of Coppice itself. Prints the text and where it stood.
[[noreturn, gnu::cold]] void assert_failed(const char* what, const char* file, int line) noexcept;
}  // namespace detail

}  // namespace coppice

#define COPPICE_ASSERT(condition, what) \
    ((condition) ? static_cast<void>(0) : ::coppice::detail::assert_failed(what, __FILE__, __LINE__))
