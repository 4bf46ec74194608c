// 27_browser: a control panel in a browser whose page is an actor: it hears the states of agents and sends them commands.
//
// `27_browser 8080 framework/bindings/browser/dist` serves it at http://localhost:8080 until Ctrl-C. Without arguments an
// actor of this program does what the page does: to the agents there is no difference.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <coppice/actors/browser.hpp>
#include <coppice/any_request.hpp>
#include <coppice/coppice.hpp>
#include <coppice/value.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [device]
// Its state is a topic: told to the group "states" when it changes, and to whoever asks.
task<> device(actor<protocol<value, any_request>> self, std::string state) {
    const std::string path = self.path();
    const auto report = [&] { return value{value::map{{"agent", path}, {"state", state}}}; };
    while (auto m = co_await self.receive())
        m.match([&](const value&) {},
                [&](request<any_request> r) {
                    const auto* command = r->what.get_if<std::string>();
                    if (!command) return r.fail("a command is a text");
                    if (*command != "state") {
                        state = *command;
                        self.publish<value>("states", report());
                    }
                    r.reply(report());
                });
}
// [/device]

// [page]
constexpr const char* page = R"(<!DOCTYPE html>
<meta charset="utf-8"><title>panel</title>
<table id="agents"></table><p id="link"></p>
<script type="module">
import {connect} from "/index.js";

const me = await connect(`ws://${location.host}/`, {renew: true});
const show = ({agent, state}) => {
    const row = document.getElementById(agent) ?? document.getElementById("agents").insertRow();
    row.id = agent;
    row.innerHTML = "<td></td><td></td><td></td>";
    row.cells[0].textContent = agent;
    row.cells[1].textContent = state;
    for (const command of ["on", "off"]) {
        const button = row.cells[2].appendChild(document.createElement("button"));
        button.textContent = command;
        button.onclick = () => me.ask(agent, command);
    }
};
const enter = async () => {
    await me.join("states");
    for (const agent of ["/panel/engine", "/panel/lights"]) show(await me.ask(agent, "state"));
};
me.addEventListener("state", (event) => (document.getElementById("link").textContent = event.detail));
me.addEventListener("lost", enter);
await enter();
for await (const mail of me) show(mail.value);
</script>)";
// [/page]

// [stand_in]
std::string line(const value& report) {
    const auto& entries = *report.get_if<value::map>();
    return fmt::format("{} is {}", *entries.at(0).mapped.get_if<std::string>(),
                       *entries.at(1).mapped.get_if<std::string>());
}

task<> stand_in(actor<anything> self) {
    self.join("states");
    for (const char* path : {"/panel/engine", "/panel/lights"}) {
        auto who = co_await self.resolve<anything>(path);
        auto state = co_await self.ask<any_request>(who.value(), 5s, value{"state"});
        fmt::print("{}\n", line(state.value()));
    }
    auto lights = co_await self.resolve<anything>("/panel/lights");
    auto done = co_await self.ask<any_request>(lights.value(), 5s, value{"on"});
    fmt::print("done: {}\n", line(done.value()));
    auto heard = co_await self.receive();
    fmt::print("heard: {}\n", line(*heard.get_if<value>()));
}
// [/stand_in]

// [tree]
int main(int argc, char** argv) {
    supervisor_spec tree{strategy::rest_for_one};
    tree.add(child("engine", in_coroutine, device, std::string{"off"}))
        .add(child("lights", in_coroutine, device, std::string{"off"}));
    if (argc > 2) {
        actors::browser::host_options options;
        options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
        options.at.pages = {{"/", "text/html; charset=utf-8", blob{std::string{page}}}};
        options.at.directory = argv[2];
        options.reach = {"/panel/engine", "/panel/lights"};
        options.join = {"states"};
        tree.add(child("web", in_coroutine, actors::gateway, actors::web::gateway_options{}))
            .add(child("browsers", in_coroutine, actors::browser_host, options).awaits_ready());
    } else {
        tree.add(child("visitor", in_coroutine, stand_in).restarts(restart::temporary).significant());
    }
    return node{"panel", argc, argv}.run(tree);
}
// [/tree]
