// Self-test: a coroutine body that declares nothing and awaits inside a condition must run.
//
// g++ 12.2 builds a coroutine that returns from resume() at once, never runs its body and never ends, without a
// diagnostic. Any local variable in the body hides the fault, so there must be none here.
#include "coroutine.hpp"

static int ran = 0;

static routine in_while() {
    while (co_await later{ran < 3 ? 1 : 0}) {
        ++ran;
    }
}

static routine in_if() {
    if (co_await later{1}) {
        ++ran;
    }
}

int main() {
    const bool looped = in_while().run_to_end() && ran == 3;
    const bool branched = in_if().run_to_end() && ran == 4;
    return looped && branched ? 0 : 1;
}
