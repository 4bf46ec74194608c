// A view does not own what it looks at.
// EXPECT: coppice: an actor function must not take a view
#include <string_view>

#include "coppice/coppice.hpp"
using namespace coppice;

task<> greeter(actor<protocol<>>, std::string_view) { co_return; }

child_spec spec() { return child("greeter", in_coroutine, greeter, "x"); }
