// The smallest coroutine type and awaitables that the self-test programs share.
//
// Nothing here is Coppice: the programs must compile and run before anything else does, and must show a fault of the
// compiler and not one of ours. One thread; a coroutine runs until it suspends, resume_all() drives it to its end.
#pragma once

#include <coroutine>
#include <exception>

struct routine {
    struct promise_type {
        routine get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };

    // Resumes until the coroutine has ended; false if it has not after `most` resumptions.
    bool run_to_end(int most = 100) {
        for (int n = 0; n < most && !handle.done(); ++n) {
            handle.resume();
        }
        const bool done = handle.done();
        handle.destroy();
        return done;
    }

    std::coroutine_handle<promise_type> handle;
};

// Suspends once, then gives `value`.
struct later {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<>) const noexcept {}
    int await_resume() const noexcept { return value; }
    int value;
};

// Counts its own constructions and destructions. It has constructors, so it is not an aggregate itself.
struct counted {
    static inline int alive = 0;
    static inline int destroyed_elsewhere = 0;

    counted() { ++alive; }
    counted(const counted&) { ++alive; }
    ~counted() {
        --alive;
        // A bitwise copy, which no constructor made, still carries the address of the original.
        destroyed_elsewhere += self != this ? 1 : 0;
    }
    counted& operator=(const counted&) = delete;

    counted* self = this;
};
