// What stands close to the misuses of this folder and is right.
#include <memory>
#include <string>

#include "coppice/coppice.hpp"
using namespace coppice;
using namespace std::chrono_literals;

struct add {
    int n = 0;
};
struct get {
    using reply = int;
};
using counter_protocol = protocol<add, get>;

task<> counter(actor<counter_protocol> self, std::string, std::shared_ptr<int>) {
    while (auto m = co_await self.receive())
        m.match([](const add&) {}, [](request<get> r) { r.reply(1); }, [](const down&) {});
}

task<> parent(actor<protocol<>> self) {
    auto one = self.spawn(counter, "literal", std::make_shared<int>(1));
    self.spawn([](actor<protocol<>>, int) -> task<> { co_return; }, 3);
    const ref<protocol<add>> less = one;
    static_cast<void>(self.send<add>(less, 2));
    static_cast<void>(co_await self.ask<get>(one, 1s));
    static_cast<void>(self.send<get>(one));
    const errc sent = co_await with_timeout(1s, self.send_wait<add>(one, 1));
    static_cast<void>(sent);
}

child_spec spec() { return child("counter", in_thread, counter, "x", std::make_shared<int>(2)); }
