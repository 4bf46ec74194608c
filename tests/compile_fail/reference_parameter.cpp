// An actor function that takes a reference would look at what its caller no longer has.
// EXPECT: coppice: an actor function takes its parameters by value
#include <string>

#include "coppice/coppice.hpp"
using namespace coppice;

task<> greeter(actor<protocol<>>, const std::string&) { co_return; }

child_spec spec() { return child("greeter", in_coroutine, greeter, std::string{"x"}); }
