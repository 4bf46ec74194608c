// A handler of a message that can never come is a mistake; protocol and message are named.
// EXPECT: coppice: match\(\) has a handler for a message that the actor's protocol does not name
// EXPECT: handler_outside_protocol<.*other
#include "coppice/coppice.hpp"
using namespace coppice;

struct add {};
struct other {};

task<> counter(actor<protocol<add>> self) {
    while (auto m = co_await self.receive()) m.match([](const add&) {}, [](const other&) {});
}
