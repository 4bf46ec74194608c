// Scripts (coppice/actors/script.hpp): whatever the text is, it runs within its limits or fails as an actor does; and whatever value is
// sent to a script, it is taken, answered or refused. The text stands before the first zero byte, behind it the wire form of a value.
// On virtual time, so that a script that sleeps costs nothing.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "coppice/actors/script.hpp"
#include "coppice/actors/web_call.hpp"
#include "coppice/any_request.hpp"
#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "support/fuzz_input.hpp"

namespace {

using namespace coppice;
using namespace std::chrono_literals;

// Gives back what it gets.
constexpr const char* echo = "for mail in coppice.mails() do mail:reply(mail.value) end";

// Limits that a text of a few lines reaches, so that they are tried.
actors::script_options limited(std::string source) {
    return {.source = std::move(source), .memory = 400'000, .instructions = 20'000};
}

result<value> ask(testing::world& world, std::string_view path, const value& what) {
    const auto who = world.resolve<anything>(path);
    if (!who) return who.error();
    return world.ask_within<any_request>(*who, 1s, what);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all{reinterpret_cast<const char*>(data), size};
    const std::string text{all.substr(0, all.find('\0'))};
    const std::string_view rest = all.substr(std::min(all.size(), text.size() + 1));
    const auto sent = actors::web::read_value({actors::web::kind::binary, blob{std::string{rest}}});

    static_cast<void>(actors::check_script({.source = text}));
    testing::world world{1, {.most_steps = 20'000}};
    try {
        supervisor_spec tree;
        tree.add(child("echo", in_coroutine, actors::script, limited(echo)).restarts(restart::temporary));
        tree.add(child("fuzzed", in_coroutine, actors::script, limited(text)).restarts(restart::temporary));
        static_cast<void>(world.start(tree));
        if (sent) {
            const auto back = ask(world, "/app/echo", *sent);
            // Too large for the script, or answered; it does not just end.
            coppice::tests::expect(back || back.error() != errc::down);
        }
        static_cast<void>(ask(world, "/app/fuzzed", sent ? *sent : value{text}));
        world.advance(1s);
    } catch (const std::exception&) {  // more steps than that: a script that never waits for long
    }
    return 0;
}
