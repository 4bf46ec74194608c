// A ref knows what its actor handles.
// EXPECT: coppice: the actor that this ref leads to does not handle the message
#include "coppice/coppice.hpp"
using namespace coppice;

struct add {};
struct other {};

task<> sender(actor<protocol<>> self, ref<protocol<add>> to) {
    static_cast<void>(self.send<other>(to));
    co_return;
}
