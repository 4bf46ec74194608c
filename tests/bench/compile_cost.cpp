// What a small actor costs to compile: tools/compile_cost times this file; it is not run.
//
// The whole public surface and one actor with two messages, as in a file of a user's program. Asio, Cap'n Proto and
// spdlog must not show up in the figure.
#include <coppice/coppice.hpp>

#include <cstdint>

namespace {

struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
using counter_protocol = coppice::protocol<add, get>;

coppice::task<> counter(coppice::actor<counter_protocol> self, std::uint64_t value) {
    while (auto m = co_await self.receive()) {
        m.match([&](const add& a) { value += a.amount; }, [&](coppice::request<get> r) { r.reply(value); });
    }
}

}  // namespace

// What a user writes to have it spawned, and what instantiates all that is behind it.
coppice::child_spec counter_child() {
    return coppice::child("counter", coppice::in_coroutine, counter, std::uint64_t{0});
}
