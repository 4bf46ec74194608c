// 12_two_processes: two programs and one URI between them.
//
// In two terminals, in either order:
//
//     12_two_processes bank     unix://bank
//     12_two_processes customer unix://bank
//
// Any other kind does as well, e.g. shm://bank or tcp://127.0.0.1:4711 (docs/transports.md). Without arguments the
// program starts the bank itself as a second process, which is how it runs as a test.
#include <spawn.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>

#include <coppice/coppice.hpp>
#include <coppice/transport/builtin.hpp>  // inproc, unix, shm, pipe, tcp, tls by their names
#include <fmt/core.h>

using namespace coppice;
using namespace std::chrono_literals;

// [protocol]
// What both programs share. Nothing in it says that there are two.
struct deposit {
    std::string who;
    std::int64_t amount = 0;
};
struct balance {
    std::string who;
    using reply = std::int64_t;
};
struct close_for_today {};
using bank_protocol = protocol<deposit, balance, close_for_today>;
// [/protocol]

// [bank]
task<> teller(actor<bank_protocol> self) {
    std::map<std::string, std::int64_t> accounts;
    bool open = true;
    while (open) {
        auto m = co_await self.receive();
        if (!m) break;
        m.match([&](const deposit& d) { accounts[d.who] += d.amount; },
                [&](request<balance> r) {
                    if (!accounts.contains(r->who)) return r.fail(r->who + " has no account");
                    r.reply(accounts[r->who]);
                },
                [&](const close_for_today&) { open = false; });
    }
}

int bank(const std::string& uri) {
    node_options options;
    options.network.listen = {uri};
    supervisor_spec tree;
    tree.add(child("teller", in_coroutine, teller).restarts(restart::temporary).significant());
    return node{"bank", options}.run(tree);
}
// [/bank]

// [customer]
task<> customer(actor<protocol<down>> self, std::string uri) {
    // An endpoint, then the actor's path there. If the bank has not opened yet, this waits for it.
    auto teller = co_await self.resolve<bank_protocol>(uri + "#/bank/teller");
    if (!teller) co_return self.fail("no bank at {}: {}", uri, teller.error());

    // From here on it is a ref like any other.
    self.monitor(*teller);
    for (int day = 1; day <= 1000; ++day) self.send<deposit>(*teller, "ann", day);
    auto ann = co_await self.ask<balance>(*teller, 10s, "ann");
    fmt::print("ann has {}\n", ann.value());
    auto bob = co_await self.ask<balance>(*teller, 10s, "bob");
    fmt::print("bob: {}\n", bob.error().text());

    self.send<close_for_today>(*teller);
    auto end = co_await self.receive();
    if (end.get_if<down>()) fmt::print("the teller has gone home\n");
    auto late = co_await self.ask<balance>(*teller, 10s, "ann");  // fails at once
    fmt::print("after that: {}\n", late ? "an answer" : "no answer");
}

int customer_of(const std::string& uri) {
    node_options options;
    options.log_terminal = false;
    supervisor_spec tree;
    tree.add(child("customer", in_coroutine, customer, uri).restarts(restart::temporary).significant());
    return node{"town", options}.run(tree);
}
// [/customer]

// Both, with the bank's process as a child of this one.
int both(const char* program) {
    // A directory for the socket that nothing else uses.
    std::string directory = (std::filesystem::temp_directory_path() / "coppice-bank-XXXXXX").string();
    if (!::mkdtemp(directory.data())) return EXIT_FAILURE;
    ::setenv("COPPICE_RUN_DIR", directory.c_str(), 1);
    std::string words[] = {program, "bank", "unix://bank"};
    char* arguments[] = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    pid_t child = 0;
    if (::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, arguments, environ) != 0)
        return EXIT_FAILURE;
    const int code = customer_of("unix://bank");
    int status = 0;
    ::waitpid(child, &status, 0);
    fmt::print("the bank's process ended with status {}\n", status);
    std::filesystem::remove_all(directory);
    return code;
}

int main(int argc, char** argv) {
    const std::string role = argc > 2 ? argv[1] : "";
    if (role == "bank") return bank(argv[2]);
    if (role == "customer") return customer_of(argv[2]);
    if (argc == 1) return both(argv[0]);
    fmt::print(stderr, "usage: {} [bank URI | customer URI]\n", argv[0]);
    return EXIT_FAILURE;
}
