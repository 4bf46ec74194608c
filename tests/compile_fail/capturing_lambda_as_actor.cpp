// A lambda that captures must not run as an actor: its captures die with the call that spawned it.
// EXPECT: coppice: a lambda used as an actor must not capture
#include "coppice/coppice.hpp"
using namespace coppice;

task<> parent(actor<protocol<>> self) {
    int n = 3;
    self.spawn([n](actor<protocol<>>) -> task<> {
        static_cast<void>(n);
        co_return;
    });
    co_return;
}
