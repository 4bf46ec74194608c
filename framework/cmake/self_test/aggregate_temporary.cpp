// Self-test: an aggregate temporary inside an expression with co_await must be destroyed once.
//
// g++ 12.2 copies such a temporary bitwise into the coroutine's frame and destroys both copies: a message with a
// string in it, built where it is sent, is freed twice. Whether the callee is a coroutine does not matter.
#include "coroutine.hpp"

struct message {
    counted body;
    int number = 0;
};

static later by_value(message m) { return later{m.number}; }
static later by_reference(const message& m) { return later{m.number}; }
static int plain(message m) { return m.number; }

static int sum = 0;

static routine sender() {
    int local = co_await by_value({.body = {}, .number = 1});
    local += co_await by_value(message{counted(), 2});
    local += co_await by_reference({.body = counted(), .number = 3});
    local += plain(message{counted(), 4}) + co_await later{5};
    local += co_await (local == 15 ? by_value(message{counted(), 6}) : by_reference(message{counted(), 0}));
    sum = local;
}

int main() {
    const bool ended = sender().run_to_end();
    return ended && sum == 21 && counted::alive == 0 && counted::destroyed_elsewhere == 0 ? 0 : 1;
}
