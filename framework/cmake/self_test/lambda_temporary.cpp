// Self-test: a capturing lambda written inside an expression with co_await must be destroyed once.
//
// To g++ 12.2 a lambda with captures is one more aggregate temporary: what it captured by value is destroyed twice.
// This is how callbacks, predicates and visitors are passed in any asynchronous program.
#include "coroutine.hpp"

template <class Function>
static later call(Function function) {
    return later{function()};
}

static int got = 0;

static routine caller() {
    counted token;
    got = co_await call([token] { return token.self != nullptr ? 7 : 0; });
}

int main() {
    const bool ended = caller().run_to_end();
    return ended && got == 7 && counted::alive == 0 && counted::destroyed_elsewhere == 0 ? 0 : 1;
}
