// 23_gateway: a chat with browsers: a host for WebSocket clients, and the agent behind it.
//
// `23_gateway 8080` serves the page at http://localhost:8080 until Ctrl-C. Without an argument two guests come, who are
// actors of this program: the gateway connects outward, too.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

#include <coppice/actors/gateway.hpp>
#include <coppice/coppice.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;
namespace web = coppice::actors::web;

// [page]
constexpr const char* page = R"(<!DOCTYPE html>
<meta charset="utf-8"><title>chat</title>
<ul id="said"></ul><form id="form"><input id="text" autofocus></form>
<script>
const socket = new WebSocket(`ws://${location.host}/`);
const show = text => document.getElementById("said").appendChild(document.createElement("li")).textContent = text;
socket.onmessage = event => show(event.data);
socket.onclose = event => show(`closed: ${event.code} ${event.reason}`);
document.getElementById("form").onsubmit = event => {
    event.preventDefault();
    const text = document.getElementById("text");
    socket.send(text.value);
    text.value = "";
};
</script>)";
// [/page]

// [room]
struct get_port {
    using reply = std::uint16_t;
};
using room_protocol = protocol_union<web::agent_protocol, protocol<get_port>>;

task<> room(actor<room_protocol> self, std::uint16_t wanted) {
    auto gateway = (co_await self.resolve<actors::gateway_protocol>("web")).value();
    web::listen here{wanted};
    here.options.pages = {{"/", "text/html; charset=utf-8", blob{std::string{page}}}};
    auto at = co_await self.ask<web::listen>(gateway, 5s, here);
    if (!at) co_return self.fail("no port: {}", at.error());
    self.ready();

    // A state: who is here reads the change, who comes later gets the whole first.
    const auto set_last = [&](const std::string& whole, const std::string& change) {
        self.send<web::publish>(gateway, at->port, "last", web::text(whole), web::text(change));
    };
    set_last("nobody has said anything yet", "");
    while (auto m = co_await self.receive())
        m.match([&](const web::opened& who) { self.log.debug("{} has come", who.peer); },
                [&](const web::message& said) {
                    set_last(fmt::format("earlier: {}", said.content.view()),
                             fmt::format("somebody says: {}", said.content.view()));
                },
                [&](const web::closed& who) { self.log.debug("{} has gone: {}", who.channel, who.reason); },
                [&](const web::refused& r) { self.log.warn("{}: {}", r.what, r.text); },
                [&](request<get_port> r) { r.reply(at->port); });
}
// [/room]

// [guests]
task<std::uint64_t> enter(actor<web::agent_protocol> self, ref<actors::gateway_protocol> gateway,
                          std::string url) {
    static_cast<void>((co_await self.ask<web::connect>(gateway, 5s, web::connect{.url = url})).value());
    auto up = co_await self.receive_only<web::opened>();
    co_return up->get_if<web::opened>()->channel;
}

// The next message of that channel; all else stays in the mailbox.
task<> expect(actor<web::agent_protocol> self, std::string who, std::uint64_t channel) {
    while (auto m = co_await self.receive()) {
        if (const auto* said = m.get_if<web::message>(); said && said->channel == channel) {
            fmt::print("{} reads: {}\n", who, said->content.view());
            break;
        }
        self.stash(std::move(m));
    }
    self.unstash();
}

task<> guests(actor<web::agent_protocol> self) {
    auto gateway = (co_await self.resolve<actors::gateway_protocol>("web")).value();
    auto chat = (co_await self.resolve<room_protocol>("room")).value();
    auto port = co_await self.ask<get_port>(chat);
    const auto url = fmt::format("ws://localhost:{}/", port.value());

    const auto ann = co_await enter(self, gateway, url);
    co_await expect(self, "ann", ann);
    self.send<web::send>(gateway, ann, web::text("is anybody here?"));
    co_await expect(self, "ann", ann);
    const auto bob = co_await enter(self, gateway, url);
    co_await expect(self, "bob", bob);
    self.send<web::send>(gateway, bob, web::text("good morning"));
    co_await expect(self, "ann", ann);
    co_await expect(self, "bob", bob);

    static_cast<void>(co_await self.ask<web::close>(gateway, 5s, ann, std::uint16_t{1000}, "good night"));
    auto late = co_await self.ask<web::send>(gateway, 5s, ann, web::text("one more thing"));
    fmt::print("ann is heard: {}\n", late ? "yes" : to_string(late.error().code()));
}
// [/guests]

// [tree]
int main(int argc, char** argv) {
    const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
    supervisor_spec tree{strategy::rest_for_one};
    tree.add(child("web", in_coroutine, actors::gateway, web::gateway_options{}))
        .add(child("room", in_coroutine, room, port).awaits_ready());
    if (port == 0) tree.add(child("guests", in_coroutine, guests).restarts(restart::temporary).significant());
    return node{"chat", argc, argv}.run(tree);
}
// [/tree]
