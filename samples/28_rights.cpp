// 28_rights: what others may do in a tree. Two roles: one for a partner's node that links to it, one for a script that runs within.
//
// Usually roles stand in the deployment file (docs/rights.md); here the text form says the same. What no rule allows is denied, who asked is
// told which rule it was, and the node counts it.
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <string>

#include <coppice/actors/script.hpp>
#include <coppice/any_request.hpp>
#include <coppice/coppice.hpp>
#include <coppice/rights.hpp>
#include <coppice/transport/builtin.hpp>
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [roles]
constexpr const char* roles = R"(
role partner
  who name:partner-*
  may ask /shop/orders

role watcher
  who script:watch
  may ask,monitor /shop/*
  never ask /shop/vault
)";
// [/roles]

task<> counts(actor<protocol<any_request>> self, int items) {
    while (auto m = co_await self.receive()) m.match([&](request<any_request> r) { r.reply(value{items}); });
}

// [script]
constexpr const char* watch = R"lua(
for mail in coppice.mails() do
    local who = assert(coppice.find(mail.value))
    local items, why = coppice.ask(who, "how many?")
    mail:reply(items or tostring(why))
end
)lua";
// [/script]

node_options of_shop() {
    node_options o;
    o.log_terminal = false;
    o.network.listen = {"unix://shop"};
    o.network.rights = parse_rights(roles).value();
    return o;
}

supervisor_spec tree_of_shop() {
    supervisor_spec tree;
    tree.add(child("orders", in_coroutine, counts, 3))
        .add(child("vault", in_coroutine, counts, 1))
        .add(child("watch", in_coroutine, actors::script, actors::script_options{.source = watch}));
    return tree;
}

// [asks]
std::string ask(node& from, const std::string& path, value what) {
    const auto who = from.resolve<anything>(path);
    if (!who) return who.error().what();
    const auto told = from.ask<any_request>(*who, 5s, std::move(what));
    return told ? to_string(*told) : told.error().what();
}

void play() {
    node shop{"shop", of_shop()};
    shop.start(tree_of_shop()).value();

    node_options below;
    below.log_terminal = false;
    below.network.parent = "unix://shop";
    node partner{"partner-1", below};  // as this user: else its role has a secret, or it a certificate
    partner.start(supervisor_spec{}).value();

    for (const char* path : {"/shop/orders", "/shop/vault"}) {
        fmt::print("{}\n", path);
        fmt::print("  the partner: {}\n", ask(partner, path, "how many?"));
        fmt::print("  the script:  {}\n", ask(shop, "/shop/watch", path));
    }
    fmt::print("what the shop has counted:\n");
    for (const dead_letter& letter : shop.inspect().dead_letters)
        if (letter.reason == errc::denied) fmt::print("  {}\n", letter.message);
}
// [/asks]

int main() {
    std::string directory = (std::filesystem::temp_directory_path() / "coppice-rights-XXXXXX").string();
    if (!::mkdtemp(directory.data())) return EXIT_FAILURE;
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);  // where the shop's socket lies
    play();
    std::filesystem::remove_all(directory);
}
