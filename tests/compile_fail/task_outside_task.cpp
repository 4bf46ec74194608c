// A coroutine of another library has no strand on which a task could run.
// EXPECT: coppice: a task can be awaited only inside a coppice::task
#include <coroutine>

#include "coppice/coppice.hpp"
using namespace coppice;

struct foreign {
    struct promise_type {
        foreign get_return_object() { return {}; }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

task<> work() { co_return; }
foreign outside() { co_await work(); }
