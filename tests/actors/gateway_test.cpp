// The gateway of coppice/actors/gateway.hpp: ports, channels, who hears of what, and its end. Over real sockets of this
// machine; every wait is for a frame, an answer or an entry in an agent's journal.
#include "coppice/actors/gateway.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>

#include <fstream>
#include <map>
#include <random>
#include <set>

#include "actors/gateway_rig.hpp"

namespace coppice::tests {
namespace {

static_assert(has_wire_form<web::listen> && has_wire_form<web::opened> && has_wire_form<web::message> &&
              has_wire_form<web::closed> && has_wire_form<web::send> && has_wire_form<web::connect> &&
              has_wire_form<web::publish> && has_wire_form<web::gateway_report>);

class Gateway : public gateway_rig {};

// From now on the calling thread may not bind ports below 1024, whoever runs the tests.
void give_up_low_ports() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1u << CAP_NET_BIND_SERVICE);
    ASSERT_EQ(::syscall(SYS_capset, &header, data), 0);
}

int first_free_port_for_all() {
    int first = 1024;
    std::ifstream{"/proc/sys/net/ipv4/ip_unprivileged_port_start"} >> first;
    return first;
}

TEST_F(Gateway, F1_TwoAgentsListenOnTwoPortsAndEveryRequestHasOneResult) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b");
    const std::uint16_t first = listen(a);
    const std::uint16_t second = listen(b);
    ASSERT_NE(first, second);
    web_client at_first{first};
    web_client at_second{second};
    at_first.shake_hands("/one");
    at_second.shake_hands("/two");
    EXPECT_EQ(a.journal->wait(what::opened).text, "/one");
    EXPECT_EQ(b.journal->wait(what::opened).text, "/two");

    // In use: by this gateway, whoever asks, and by another program.
    for (const agent& each : {a, b}) {
        const auto twice = as(each, web::listen{first, {}, {}});
        ASSERT_FALSE(twice);
        EXPECT_EQ(twice.error().code(), errc::name_taken);
        EXPECT_NE(twice.error().text().find(std::to_string(first)), std::string::npos)
            << twice.error().what();
    }
    const auto nowhere = as(a, web::listen{0, {.address = "192.0.2.1"}, {}});
    EXPECT_EQ(nowhere.error().code(), errc::invalid_argument);
    const auto a_name = as(a, web::listen{0, {.address = "example.org"}, {}});
    EXPECT_EQ(a_name.error().code(), errc::invalid_argument);

    // Nothing of that has disturbed those who listen, or is listened at.
    EXPECT_EQ(status().ports.size(), 2u);
    at_first.say("still there?");
    EXPECT_EQ(at_first.next().text, "still there?");
    EXPECT_EQ(a.journal->count(what::opened), 1u);
    EXPECT_EQ(b.journal->count(what::opened), 1u);
}

TEST_F(Gateway, F1_APortThatTheSystemKeepsForItselfGivesNoPermission) {
    if (first_free_port_for_all() <= 80) GTEST_SKIP() << "this machine lets everybody bind port 80";
    start();
    const agent a = add_agent("a");
    ASSERT_TRUE(app_.ask<run_there>(a.who, 60s, give_up_low_ports));  // the gateway's thread, too
    const auto low = as(a, web::listen{80, {}, {}});
    ASSERT_FALSE(low);
    EXPECT_EQ(low.error().code(), errc::denied) << low.error().what();
    EXPECT_NE(listen(a), 0);
}

TEST_F(Gateway, F2_AnIgnoredPortIsFreeAtOnceAndItsClientsTalkOn) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b", [](const auto& self, const auto& gateway, const web::message& m) {
        self.template send<web::send>(gateway, m.channel, web::text("b: " + std::string{m.content.view()}));
    });
    const std::uint16_t port = listen(a);
    auto [old, channel] = join(a, port);
    web_client half_way{port};
    const std::string handshake = half_way.handshake();
    half_way.write(handshake.substr(0, 40));
    status_when([](const auto& r) { return r.ports.at(0).handshakes == 1; });

    EXPECT_EQ(as(b, web::ignore{port}).error().code(), errc::denied);
    ASSERT_TRUE(as(a, web::ignore{port}));
    EXPECT_THROW(web_client{port}, std::system_error);
    half_way.try_write(handshake.substr(40));
    EXPECT_EQ(half_way.read_head(), "");  // who was not in yet does not get in
    EXPECT_EQ(as(a, web::ignore{port}).error().code(), errc::not_found);
    old.say("hello");
    EXPECT_EQ(old.next().text, "hello");

    // Reopened at once, by another agent; each has its own clients.
    EXPECT_EQ(listen(b, {}, port), port);
    auto [young, of_b] = join(b, port);
    young.say("hello");
    EXPECT_EQ(young.next().text, "b: hello");
    old.say("and me?");
    EXPECT_EQ(old.next().text, "and me?");
    EXPECT_EQ(as(a, web::broadcast{port, web::text("to the old")})->taken, 1u);
    EXPECT_EQ(old.next().text, "to the old");
    old.leave(1000, "bye");
    EXPECT_EQ(a.journal->wait_closed(channel).by, web::ender::peer);
    status_when([](const auto& r) { return r.ports.size() == 1; });
}

// What one client does, and what its agent must have heard of it.
struct visit {
    std::uint64_t sent = 0;
    bool all_must_arrive = false;
};

TEST_F(Gateway, F3_AThousandVisitsInAnyOrderAreHeardOfFromOpenedToExactlyOneClosed) {
    start();
    const agent a = add_agent("a", nullptr);
    // Who is silent is found within three periods.
    web::port_options options;
    options.limits.heartbeat = 100ms;
    options.limits.heartbeat_misses = 2;
    const std::uint16_t port = listen(a, options);
    constexpr int visits = 1000;
    std::mt19937 random{2026};
    std::map<std::string, visit> made;
    std::vector<web_client> silent;
    for (int i = 0; i < visits; ++i) {
        web_client c{port};
        const std::string path = "/" + std::to_string(i);
        ASSERT_NE(c.shake_hands(path).find(" 101 "), std::string::npos);
        visit& v = made[path];
        v.sent = random() % 4;
        for (std::uint64_t n = 0; n < v.sent; ++n) c.say(std::to_string(n));
        switch (random() % 4) {
        case 0:  // polite
            c.leave(1001, "going away");
            v.all_must_arrive = true;
            break;
        case 1: c.drop(); break;   // the tab crashes
        case 2: c.reset(); break;  // and its system says so
        default:                   // the cable is out: it neither ends nor answers
            v.all_must_arrive = true;
            silent.push_back(std::move(c));
        }
    }
    a.journal->wait(what::closed, visits);
    std::map<std::uint64_t, std::string> path_of;
    std::map<std::string, std::uint64_t> heard;
    std::set<std::uint64_t> over;
    for (const web_event& e : a.journal->all()) {
        if (e.kind == what::opened) {
            EXPECT_TRUE(path_of.emplace(e.channel, e.text).second) << "a channel's number came twice";
            continue;
        }
        ASSERT_TRUE(path_of.contains(e.channel)) << "heard of before it was opened";
        ASSERT_FALSE(over.contains(e.channel)) << "heard of after it was closed";
        if (e.kind == what::message) {
            EXPECT_EQ(e.text, std::to_string(heard[path_of[e.channel]]++)) << "out of order";
            continue;
        }
        over.insert(e.channel);
    }
    EXPECT_EQ(path_of.size(), std::size_t{visits});
    EXPECT_EQ(over.size(), std::size_t{visits});
    for (const auto& [path, v] : made) {
        if (v.all_must_arrive) EXPECT_EQ(heard[path], v.sent) << path;
        else EXPECT_LE(heard[path], v.sent) << path;
    }
    EXPECT_EQ(status_when([](const auto& r) { return r.channels == 0; }).queued_bytes, 0u);
}

TEST_F(Gateway, F3_EachWayOfAnEndIsToldAsWhatItWas) {
    start();
    const agent a = add_agent("a", nullptr);
    web::port_options options;
    options.limits.heartbeat = 50ms;
    const std::uint16_t port = listen(a, options);
    {
        auto [c, channel] = join(a, port);
        c.leave(4321, "had enough");
        const auto end = a.journal->wait_closed(channel);
        EXPECT_EQ(end.code, 4321u);
        EXPECT_EQ(end.text, "had enough");
        EXPECT_EQ(end.by, web::ender::peer);
    }
    {
        auto [c, channel] = join(a, port);
        c.send(8, "");
        EXPECT_EQ(c.next().opcode, 8);
        EXPECT_EQ(a.journal->wait_closed(channel).code, 1005u);
    }
    {
        auto [c, channel] = join(a, port);
        c.reset();
        const auto end = a.journal->wait_closed(channel);
        EXPECT_EQ(end.code, 1006u);
        EXPECT_EQ(end.by, web::ender::lost);
    }
    {
        auto [c, channel] = join(a, port);
        const auto end = a.journal->wait_closed(channel);  // it does nothing, not even answer a ping
        EXPECT_EQ(end.code, 1006u);
        EXPECT_NE(end.text.find("no sign of life"), std::string::npos) << end.text;
    }
}

TEST_F(Gateway, AClientThatAnswersPingsIsNotLostHoweverSilent) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.heartbeat = 20ms;
    auto [c, channel] = join(a, listen(a, options));
    for (int answered = 0; answered < 10;) {
        const web_frame f = c.next_frame();
        ASSERT_EQ(f.opcode, 9);
        c.send(10, f.text);
        ++answered;
    }
    c.say("here");
    web_frame got = c.next();
    EXPECT_EQ(got.text, "here");
    EXPECT_EQ(a.journal->count(what::closed), 0u);
}

TEST_F(Gateway, F5_WhatIsSentToAClosedChannelIsAnErrorAndReachesNoNewcomer) {
    auto [a, port, gone, old] = start_with_a_client();
    gone.leave();
    a.journal->wait_closed(old);
    auto [here, young] = join(a, port);
    EXPECT_NE(old, young);

    const auto late = send(a, old, "for who is gone");
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), errc::closed);
    EXPECT_NE(late.error().text().find(std::to_string(old)), std::string::npos);
    EXPECT_EQ(as(a, web::close{old}).error().code(), errc::closed);
    EXPECT_EQ(send(a, 12345, "nobody").error().code(), errc::closed);
    // Who does not ask is told all the same.
    app_.send<tell_send>(a.who, web::send{old, web::text("for who is gone")});
    const auto told = a.journal->wait(what::refused);
    EXPECT_EQ(told.channel, old);
    EXPECT_EQ(told.code, static_cast<unsigned>(errc::closed));

    ASSERT_TRUE(send(a, young, "for you"));
    EXPECT_EQ(here.next().text, "for you");  // the first that it gets
}

TEST_F(Gateway, F5_AnAgentCannotTouchTheChannelsOfAnother) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b");
    const std::uint16_t port = listen(a);
    auto [c, channel] = join(a, port);
    EXPECT_EQ(send(b, channel, "from a stranger").error().code(), errc::denied);
    EXPECT_EQ(as(b, web::close{channel}).error().code(), errc::denied);
    EXPECT_EQ(as(b, web::ping{channel}).error().code(), errc::denied);
    EXPECT_EQ(as(b, web::broadcast{port, web::text("x")}).error().code(), errc::denied);
    EXPECT_EQ(as(b, web::publish{port, "t", web::text("x"), {}}).error().code(), errc::denied);
    EXPECT_EQ(as(b, web::allow{channel, 0, b.who, web::leave::talk}).error().code(), errc::denied);
    EXPECT_EQ(app_.ask<web::send>(gateway_, 60s, channel, web::text("from nobody")).error().code(),
              errc::denied);

    ASSERT_TRUE(as(a, web::allow{channel, 0, b.who, web::leave::talk}));
    ASSERT_TRUE(send(b, channel, "with leave"));
    EXPECT_EQ(c.next().text, "with leave");
}

TEST_F(Gateway, F8_AnAgentsCloseReachesTheClientWithItsCodeAndReasonBehindWhatWaits) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.queue_bytes = 32u << 20;
    web_client c{listen(a, options), 4096};
    c.shake_hands();
    const std::uint64_t channel = a.journal->wait(what::opened).channel;
    // More than the system takes for a client that does not read yet.
    const std::string big(1u << 20, 'x');
    constexpr int messages = 20;
    for (int i = 0; i < messages; ++i) ASSERT_TRUE(send(a, channel, big));
    ASSERT_TRUE(as(a, web::close{channel, 4001, "come back tomorrow"}));
    EXPECT_EQ(send(a, channel, "too late").error().code(), errc::closed);
    EXPECT_EQ(as(a, web::close{channel}).error().code(), errc::closed);
    for (int i = 0; i < messages; ++i) EXPECT_EQ(c.next().text.size(), big.size());
    const web_frame end = c.next();
    EXPECT_EQ(end.opcode, 8);
    EXPECT_EQ(end.code(), 4001u);
    EXPECT_EQ(end.reason(), "come back tomorrow");
    c.say_close(4001);
    EXPECT_EQ(c.next().opcode, -1);
    const auto told = a.journal->wait_closed(channel);
    EXPECT_EQ(told.by, web::ender::agent);
    EXPECT_EQ(told.code, 4001u);
    EXPECT_EQ(told.number, 0u);  // nothing unsent
    status_when([](const auto& r) { return r.channels == 0; });
    EXPECT_EQ(a.journal->count(what::closed), 1u);

    EXPECT_EQ(as(a, web::close{1, 1006, ""}).error().code(), errc::closed);
}

TEST_F(Gateway, F8_AClientThatDoesNotAnswerACloseIsCutInTime) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.close = 50ms;
    auto [c, channel] = join(a, listen(a, options));
    const auto asked = as(a, web::close{channel, 999, ""});
    EXPECT_EQ(asked.error().code(), errc::invalid_argument);
    EXPECT_EQ(as(a, web::close{channel, 1000, std::string(124, 'x')}).error().code(), errc::invalid_argument);
    ASSERT_TRUE(as(a, web::close{channel}));
    EXPECT_EQ(a.journal->wait_closed(channel).by, web::ender::agent);
    EXPECT_EQ(c.next().opcode, 8);
    EXPECT_EQ(c.next().opcode, -1);
}

TEST_F(Gateway, F12_TheGatewayEndsInBoundedTimeWithClientsConnectedAndHalfWayThroughAHandshake) {
    start({.farewell = 300ms});
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a);
    auto [polite, first] = join(a, port);
    auto [mute, second] = join(a, port);
    web_client half_way{port};
    half_way.write(half_way.handshake().substr(0, 30));
    web_client no_word{port};
    status_when([](const auto& r) { return r.ports.at(0).handshakes == 2; });

    app_.shutdown(gateway_);
    const web_frame end = polite.next();
    EXPECT_EQ(end.opcode, 8);
    EXPECT_EQ(end.code(), 1001u);
    polite.say_close(1001);
    EXPECT_EQ(polite.next().opcode, -1);
    EXPECT_EQ(half_way.read_all(), "");
    EXPECT_EQ(no_word.read_all(), "");
    for (const std::uint64_t channel : {first, second}) {
        const auto told = a.journal->wait_closed(channel);
        EXPECT_EQ(told.code, 1001u);
        EXPECT_EQ(told.by, web::ender::gateway);
    }
    EXPECT_EQ(mute.next().opcode, 8);
    EXPECT_EQ(mute.next().opcode, -1);  // it never answered

    // Its supervisor has put the next one in, which knows nothing of the old channels and can have the port.
    wait_until_back();
    EXPECT_EQ(send(a, first, "x").error().code(), errc::closed);
    EXPECT_EQ(listen(a, {}, port), port);
    auto [next, third] = join(a, port);
    EXPECT_GT(third, second);
    next.say("again");
    EXPECT_EQ(next.next().text, "again");
    EXPECT_EQ(a.journal->count(what::closed), 2u);
}

TEST_F(Gateway, F12_AKilledGatewayLeavesNoConnectionAndEveryAgentHearsOfIt) {
    auto [a, port, c, channel] = start_with_a_client();
    web_client half_way{port};
    status_when([](const auto& r) { return r.ports.at(0).handshakes == 1; });
    app_.kill(gateway_);
    EXPECT_EQ(c.next().opcode, -1);
    EXPECT_EQ(half_way.read_all(), "");
    EXPECT_EQ(a.journal->wait_closed(channel).code, 1006u);
    wait_until_back();
    EXPECT_EQ(listen(a, {}, port), port);
}

}  // namespace
}  // namespace coppice::tests
