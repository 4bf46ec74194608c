// match() must handle every message of the protocol; the message is named.
// EXPECT: coppice: a message of the actor's protocol has no handler in match
// EXPECT: message_without_handler<.*get
#include "coppice/coppice.hpp"
using namespace coppice;

struct add {};
struct get {
    using reply = int;
};

task<> counter(actor<protocol<add, get>> self) {
    while (auto m = co_await self.receive()) m.match([](const add&) {});
}
