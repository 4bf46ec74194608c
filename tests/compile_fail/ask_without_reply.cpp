// Only a message that names its reply can be asked.
// EXPECT: coppice: ask<M> needs a message with a reply
#include "coppice/coppice.hpp"
using namespace coppice;

struct add {};

task<> asker(actor<protocol<>> self, ref<protocol<add>> to) {
    self.ask<add>(to);
    co_return;
}
