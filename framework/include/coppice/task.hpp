// task<T>: a coroutine that is started by awaiting it, once, and whose result the awaiting coroutine gets.
//
// Lazy, move-only, structured: the frame belongs to the task object, which the awaiting coroutine holds. An exception
// leaves through the await. Frames come from the per-thread block pool.
//
// No symmetric transfer: the awaiting side resumes the child directly, so a child that finishes at once costs no
// suspension; a child that had suspended hands its continuation to the scheduler's loop. So awaiting never grows the
// stack with the number of awaits, in any build and under any sanitizer (symmetric transfer is no tail call in some).
#pragma once
#include <coroutine>
#include <cstddef>
#include <exception>
#include <type_traits>
#include <utility>
#include <variant>

#include "coppice/detail/cell.hpp"
#include "coppice/detail/pool.hpp"

namespace coppice {

template <class T = void>
class task;

namespace detail {

template <class T>
struct is_task : std::false_type {};
template <class T>
struct is_task<task<T>> : std::true_type {};

/// Turns what a user awaits into an awaiter; specialised by coppice/await.hpp for Asio's operations.
template <class T>
struct await_adapter {
    static constexpr bool adapts = false;
};

struct promise_base {
    std::coroutine_handle<>
        continuation{};  // set once the coroutine has been suspended under an awaiting one
    strand* self = nullptr;

    static void* operator new(std::size_t bytes) { return pool_alloc(bytes); }
    static void operator delete(void* frame, std::size_t bytes) noexcept { pool_free(frame, bytes); }

    std::suspend_always initial_suspend() noexcept { return {}; }
    struct final_awaiter {
        bool await_ready() noexcept { return false; }
        template <class Promise>
        void await_suspend(std::coroutine_handle<Promise> finished) noexcept;  // scheduler.hpp
        void await_resume() noexcept {}
    };
    final_awaiter final_suspend() noexcept { return {}; }

    template <class A>
    decltype(auto) await_transform(A&& awaited) {
        if constexpr (await_adapter<std::decay_t<A>>::adapts)
            return await_adapter<std::decay_t<A>>::adapt(std::forward<A>(awaited), self);
        else return static_cast<A&&>(awaited);  // lives to the end of the full expression
    }
};

template <class T>
struct promise : promise_base {
    std::variant<std::monostate, T, std::exception_ptr> outcome;
    task<T> get_return_object() noexcept;
    template <class U>
    requires std::convertible_to<U&&, T>
    void return_value(U&& value) {
        outcome.template emplace<1>(std::forward<U>(value));
    }
    void unhandled_exception() noexcept { outcome.template emplace<2>(std::current_exception()); }
    T take() {
        if (outcome.index() == 2) std::rethrow_exception(std::get<2>(std::move(outcome)));
        return std::move(std::get<1>(outcome));
    }
};
template <>
struct promise<void> : promise_base {
    std::exception_ptr failure;
    task<void> get_return_object() noexcept;
    void return_void() noexcept {}
    void unhandled_exception() noexcept { failure = std::current_exception(); }
    void take() {
        if (failure) std::rethrow_exception(std::move(failure));
    }
};

}  // namespace detail

/// See the file comment. `co_await some_task(...)` inside an actor or another task.
template <class T>
class [[nodiscard("a task runs only when it is awaited")]] task {
    static_assert(!std::is_reference_v<T>, "coppice: task<T&> is not supported; return a value or a pointer");

public:
    using value_type = T;
    using promise_type = detail::promise<T>;
    using handle = std::coroutine_handle<promise_type>;

    explicit task(handle h) noexcept : handle_{h} {}
    task(task&& other) noexcept : handle_{std::exchange(other.handle_, {})} {}
    task& operator=(task&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~task() {
        if (handle_) handle_.destroy();
    }

    struct awaiter {
        handle child;
        bool await_ready() noexcept { return false; }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> parent) noexcept {
            static_assert(std::is_base_of_v<detail::promise_base, Promise>,
                          "coppice: a task can be awaited only inside a coppice::task");
            child.promise().self = parent.promise().self;
            child.resume();
            if (child.done()) return false;
            child.promise().continuation = parent;
            return true;
        }
        T await_resume() { return child.promise().take(); }
    };
    awaiter operator co_await() && noexcept { return {handle_}; }

    /// For the runtime: gives up the frame.
    [[nodiscard]] handle release() noexcept { return std::exchange(handle_, {}); }

private:
    handle handle_{};
};

namespace detail {
template <class T>
task<T> promise<T>::get_return_object() noexcept {
    return task<T>{std::coroutine_handle<promise<T>>::from_promise(*this)};
}
inline task<void> promise<void>::get_return_object() noexcept {
    return task<void>{std::coroutine_handle<promise<void>>::from_promise(*this)};
}
}  // namespace detail

}  // namespace coppice
