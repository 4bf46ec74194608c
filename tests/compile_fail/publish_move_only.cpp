// A publish copies the message for each member.
// EXPECT: coppice: publish<M> copies the message for each member: M must be copyable
#include <memory>

#include "coppice/coppice.hpp"
using namespace coppice;

struct parcel {
    std::unique_ptr<int> content;
};

task<> publisher(actor<protocol<>> self) {
    self.publish<parcel>("group", std::make_unique<int>(1));
    co_return;
}
