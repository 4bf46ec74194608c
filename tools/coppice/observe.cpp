// The gateway and the observer in the guest's own node; see observe.hpp.
#include "observe.hpp"

#include <fmt/format.h>

#include <fstream>

#include "coppice/actors/observer.hpp"

namespace coppice::command {

namespace {

struct observe_arguments {
    std::uint16_t port = 0;
    std::string address = "127.0.0.1";
    double every = 1;
    bool actions = false;
    std::string token_file;
    std::string actions_token_file;
    std::string certificate;
    std::string key;
} observe_said;

// The first line, so that an editor's line end is no part of it.
std::string token_in(const std::string& file) {
    if (file.empty()) return {};
    std::ifstream in{file};
    std::string token;
    if (!std::getline(in, token) || token.empty())
        throw command_failed{exit_code::not_found, file + " has no token in its first line"};
    return token;
}

actors::observer_options options_for(const std::string& tree) {
    actors::observer_options o;
    o.port = observe_said.port;
    o.tree = "/" + tree;
    o.at.address = observe_said.address;
    o.at.token = token_in(observe_said.token_file);
    o.at.tls.cert = observe_said.certificate;
    o.at.tls.key = observe_said.key;
    o.period = std::chrono::nanoseconds{static_cast<std::int64_t>(observe_said.every * 1e9)};
    o.actions = observe_said.actions;
    o.actions_token = token_in(observe_said.actions_token_file);
    return o;
}

// A page without its observer would stand still and look alive.
task<> watch_page(actor<anything> self, ref<anything> gateway, ref<anything> observer, ref<anything> tree,
                  std::string name, ended_function ended) {
    self.monitor(gateway);
    self.monitor(observer);
    const std::uint64_t of_tree = self.monitor(tree);
    auto m = co_await self.receive_only<down>();
    if (!m) co_return;  // the command ends
    const down& d = *m->get_if<down>();
    ended(d.monitor == of_tree ? "the tree " + name + " has ended"
                               : fmt::format("the page is served no longer: {}", d.reason.to_string()));
}

}  // namespace

void declare_observe(CLI::App& app) {
    auto& o = observe_said;
    app.add_option("--port", o.port, "to serve the page at; 0: a free one, which is printed")
        ->capture_default_str();
    app.add_option("--address", o.address, "to listen at; beyond loopback give it a certificate and a token")
        ->capture_default_str();
    app.add_option("--every", o.every, "seconds from one look to the next")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 3600.0));
    app.add_flag("--actions", o.actions, "the page may stop, restart and pause actors, and send to them");
    app.add_option("--token-file", o.token_file,
                   "a file with the token that the page is opened with: /?token=TOKEN");
    app.add_option("--actions-token-file", o.actions_token_file,
                   "a file with the token that the page asks for before it acts");
    app.add_option("--certificate", o.certificate, "of the page's server, PEM; with --key");
    app.add_option("--key", o.key, "of the certificate, PEM");
}

std::string serve_page(guest& g, ended_function ended) {
    const auto tree = g.control_of("/" + g.tree());
    g.start(child("web", in_coroutine, actors::gateway, actors::web::gateway_options{}));
    const auto options = options_for(g.tree());
    g.start(child("observer", in_coroutine, actors::observer, options).awaits_ready());
    const std::string own = "/" + g.self().name();
    const auto gateway = g.find(own + "/web");
    const auto observer = g.self().resolve<actors::observer_protocol>(own + "/observer");
    if (!observer) throw command_failed{"the observer", observer.error()};
    const auto at = g.self().ask<actors::where_observed>(*observer, limits::ask_deadline);
    if (!at) throw command_failed{"the observer", at.error()};
    g.start(child("watch", in_coroutine, &watch_page, gateway, ref<anything>{*observer}, ref<anything>{tree},
                  g.tree(), std::move(ended)));
    return fmt::format("{}://{}:{}/", options.at.tls.cert.empty() ? "http" : "https",
                       options.at.address == "127.0.0.1" ? "localhost" : options.at.address, at->port);
}

}  // namespace coppice::command
