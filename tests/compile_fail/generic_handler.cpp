// A handler's parameter type must be written out: it is what selects the handler.
// EXPECT: coppice: a handler given to match\(\) is a function or lambda with exactly one parameter
#include "coppice/coppice.hpp"
using namespace coppice;

struct add {};

task<> counter(actor<protocol<add>> self) {
    while (auto m = co_await self.receive()) m.match([](const auto&) {});
}
