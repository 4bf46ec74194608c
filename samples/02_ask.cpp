// 02_ask: requests and their answers, and all that can happen in place of an answer.
//
// A request is a message that names the type of its reply. An ask always completes: with the reply, or with an error that
// says why there is none. The deadline travels with the request.
#include <chrono>
#include <cstdint>
#include <optional>

#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [counter]
struct add {
    std::uint64_t amount = 0;
};
struct get {
    using reply = std::uint64_t;
};
struct divide {
    std::uint64_t by = 1;
    using reply = std::uint64_t;
};
using counter_protocol = protocol<add, get, divide>;

task<> counter(actor<counter_protocol> self, std::uint64_t value) {
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { value += a.amount; }, [&](request<get> r) { r.reply(value); },
                [&](request<divide> r) {
                    if (r->by == 0) return r.fail("division by zero");
                    r.reply(value / r->by);
                });
}
// [/counter]

// [later]
struct toll {};  // rings the bell that all who asked wait for
struct wait_for_bell {
    using reply = void;
};
using bell_protocol = protocol<toll, wait_for_bell>;

// A request is a value: it can be kept, and answered when the time has come.
task<> bell(actor<bell_protocol> self) {
    std::optional<request<wait_for_bell>> waiting;
    while (auto m = co_await self.receive())
        m.match([&](request<wait_for_bell> r) { waiting = std::move(r); },
                [&](const toll&) {
                    if (waiting) waiting->reply();
                    waiting.reset();
                });
}
// [/later]

// [asker]
task<> asker(actor<protocol<>> self) {
    auto count = self.spawn(counter, 40u);
    self.send<add>(count, 2u);                   // mail of one sender keeps its order,
    auto value = co_await self.ask<get>(count);  // so the counter adds before it answers
    if (value) fmt::print("get: {}\n", *value);

    auto share = co_await self.ask<divide>(count, 1s, 0u);
    if (!share) fmt::print("divide by 0: {}\n", share.error());

    auto tower = self.spawn(bell);
    auto quiet = co_await self.ask<wait_for_bell>(tower, 20ms);
    if (!quiet) fmt::print("nobody rings: {}\n", quiet.error());

    self.send_after<toll>(tower, 10ms);
    auto rung = co_await self.ask<wait_for_bell>(tower, 10s);
    fmt::print("somebody rings: {}\n", rung ? "ding" : "silence");

    self.kill(count);
    auto gone = co_await self.ask<get>(count);
    if (!gone) fmt::print("after its end: {}\n", gone.error());
}
// [/asker]

int main(int argc, char** argv) {
    supervisor_spec tree;
    tree.add(child("asker", in_coroutine, asker).restarts(restart::temporary).significant());
    return node{"ask", argc, argv}.run(tree);
}
