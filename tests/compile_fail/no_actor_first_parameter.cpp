// The first parameter of an actor function is the actor's handle on itself.
// EXPECT: coppice: the first parameter of an actor function is its actor<protocol<...>> self
#include "coppice/coppice.hpp"
using namespace coppice;

task<> lonely(int) { co_return; }

child_spec spec() { return child("lonely", in_coroutine, lonely, 3); }
