// Agents of the gateway (coppice/actors/gateway.hpp) in processes of their own: their clients are served over the node's link, and
// notice when such a process is killed; one that is stopped holds up nobody else's clients. Real processes and sockets.
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/actors/gateway.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/leftovers.hpp"
#include "support/loopback.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"
#include "support/web_client.hpp"

namespace coppice::tests {
namespace {

namespace web = actors::web;

/// What an agent says of itself.
struct agent_report {
    std::atomic<std::uint64_t> port;
    std::atomic<std::uint64_t> opened;
    std::atomic<std::uint64_t> messages;
    std::atomic<std::uint64_t> closed;
    std::atomic<std::uint64_t> out_of_order;
};

// Listens at the gateway of the node above, and sends back what comes.
task<> far_agent(actor<web::agent_protocol> self, shared<agent_report>* said) {
    auto gateway = (co_await self.resolve<actors::gateway_protocol>("/shop/web")).value();
    web::listen wanted;
    wanted.agent = self.me();
    wanted.options.limits.heartbeat = 0ns;
    auto at = co_await self.ask<web::listen>(gateway, 60s, std::move(wanted));
    agent_report& report = **said;
    report.port = at.value().port;
    std::uint64_t open = 0;
    while (auto m = co_await self.receive())
        m.match(
            [&](const web::opened&) {
                ++open;
                ++report.opened;
            },
            [&](const web::message& t) {
                report.out_of_order += open == 0;
                ++report.messages;
                self.send<web::send>(gateway, t.channel, t.content);
            },
            [&](const web::closed&) {
                report.out_of_order += open == 0;
                --open;
                ++report.closed;
            },
            [](const web::refused&) {});
}

int run_far_agent() {
    register_builtin_transports();
    shared<agent_report> said{word("SAID")};
    node here{word("NAME"), below(word("URI"), 1)};
    supervisor_spec tree;
    tree.add(child("agent", in_coroutine, far_agent, &said));
    if (!here.start(tree)) return 1;
    here.wait();
    return 0;
}
const bool far_role = add_role("gateway_far_agent", run_far_agent);

// ---- a server of names that never answers

constexpr int cannot_be_played = 77;

// This process has a network of its own from now on, and asks a server of names on its loopback: the socket that is given.
int become_a_host_with_a_silent_name_server(const std::string& configuration) {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) return -1;
    if (::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return -1;
    std::ofstream{configuration} << "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n";
    if (::mount(configuration.c_str(), "/etc/resolv.conf", nullptr, MS_BIND, nullptr) != 0) return -1;
    const int server = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ifreq loopback_up{};
    std::strcpy(loopback_up.ifr_name, "lo");
    loopback_up.ifr_flags = IFF_UP;
    const sockaddr_in at = loopback(53);
    if (::ioctl(server, SIOCSIFFLAGS, &loopback_up) != 0 ||
        ::bind(server, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
        return -1;
    return server;
}

bool has_thread(const std::string& name) {
    for (const auto& each : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::string its_name;
        std::getline(std::ifstream{each.path() / "comm"}, its_name);
        if (its_name == name) return true;
    }
    return false;
}

task<> caller_of_nobody(actor<web::agent_protocol> self) {
    auto gateway = (co_await self.resolve<actors::gateway_protocol>("web")).value();
    static_cast<void>(
        co_await self.ask<web::connect>(gateway, 60s, web::connect{.url = "ws://nobody.example:80/"}));
    while (co_await self.receive()) {
    }
}

int run_lookup() {
    const int server = become_a_host_with_a_silent_name_server(word("FILE"));
    if (server < 0) return cannot_be_played;
    {
        node here{"here", quiet(1)};
        supervisor_spec tree;
        tree.add(child("web", in_coroutine, actors::gateway, web::gateway_options{}))
            .add(child("caller", in_coroutine, caller_of_nobody));
        if (!here.start(tree)) return 1;
        char query[512];
        if (::recv(server, query, sizeof query, 0) <= 0) return 2;  // the look-up is under way
        here.stop();
        here.wait();
    }
    return has_thread("name lookup") ? 0 : 3;
}
const bool lookup_role = add_role("gateway_lookup", run_lookup);

TEST(GatewayLookup, TheEndOfANodeDoesNotWaitForAServerOfNamesThatDoesNotAnswer) {
    const own_directory files;
    process p{"gateway_lookup", {{"FILE", files.path("resolv.conf")}}};
    const int code = p.wait();
    if (code == cannot_be_played) GTEST_SKIP() << "this user may make no network of its own";
    EXPECT_EQ(code, 0) << "3: the node's end has waited until the look-up was over";
}

class GatewayProcesses : public ::testing::Test {
protected:
    GatewayProcesses() {
        register_builtin_transports();
        shop_.emplace("shop", listening_at("unix://shop", 1));
        supervisor_spec tree;
        tree.add(child("web", in_coroutine, actors::gateway, web::gateway_options{}));
        const auto started = shop_->start(tree);
        EXPECT_TRUE(started) << started.error().what();
    }
    process start(const std::string& name, const shared<agent_report>& said) {
        process p{"gateway_far_agent",
                  {{"NAME", name}, {"URI", shop_->listening().at(0)}, {"SAID", said.path()}}};
        await_that([&] { return said->port.load() != 0 || p.has_ended(); });
        return p;
    }
    static web_client join(const shared<agent_report>& said) {
        web_client c{static_cast<std::uint16_t>(said->port.load())};
        EXPECT_NE(c.shake_hands().find(" 101 "), std::string::npos);
        return c;
    }
    web::gateway_report status() {
        const auto gateway = shop_->resolve<actors::gateway_protocol>("web").value();
        return shop_->ask<web::status>(gateway, 60s).value();
    }

    leftovers left_;
    std::optional<node> shop_;
};

TEST_F(GatewayProcesses, F4_AnAgentOfAnotherProcessServesItsClientsAndHearsOfEachEnd) {
    shared<agent_report> said;
    process far = start("far", said);
    const std::string big(100'000, 'b');
    for (int i = 0; i < 20; ++i) {
        web_client c = join(said);
        for (int n = 0; n < 10; ++n) {
            c.say(std::to_string(n));
            EXPECT_EQ(c.next().text, std::to_string(n));
        }
        c.send(2, big);
        EXPECT_EQ(c.next().text, big);
        if (i % 2) c.leave();
        else c.drop();
    }
    await_that([&] { return said->closed.load() == 20; });
    EXPECT_EQ(said->opened.load(), 20u);
    EXPECT_EQ(said->messages.load(), 20u * 11);
    EXPECT_EQ(said->out_of_order.load(), 0u);
    EXPECT_EQ(status().channels, 0u);
}

TEST_F(GatewayProcesses, AKilledProcessOfAnAgentClosesItsClientsAndFreesItsPort) {
    shared<agent_report> said;
    process far = start("far", said);
    web_client c = join(said);
    far.end_at_once();
    const web_frame end = c.next();
    EXPECT_EQ(end.opcode, 8);
    EXPECT_EQ(end.code(), 1001u);
    await_that([&] { return status().ports.empty(); });
}

TEST_F(GatewayProcesses, AStoppedProcessOfAnAgentHoldsUpNoClientOfAnotherAndLosesNoMessage) {
    shared<agent_report> said_far;
    shared<agent_report> said_near;
    process far = start("far", said_far);
    process near = start("near", said_near);
    web_client of_far = join(said_far);
    web_client of_near = join(said_near);
    of_far.say("before");
    EXPECT_EQ(of_far.next().text, "before");
    far.signal(SIGSTOP);
    constexpr int messages = 200;
    for (int i = 0; i < messages; ++i) of_far.say(std::to_string(i));
    for (int i = 0; i < messages; ++i) {
        of_near.say(std::to_string(i));
        ASSERT_EQ(of_near.next().text, std::to_string(i));
    }
    far.signal(SIGCONT);
    for (int i = 0; i < messages; ++i) ASSERT_EQ(of_far.next().text, std::to_string(i));
}

}  // namespace
}  // namespace coppice::tests
