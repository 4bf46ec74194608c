// Many clients, agents and observers at one gateway (coppice/actors/gateway.hpp): who gets what, states, clients that do not
// read, calls, and outbound connections.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "actors/gateway_rig.hpp"
#include "coppice/actors/web_call.hpp"
#include "support/certificates.hpp"
#include "support/own_directory.hpp"
#include "support/processor_time.hpp"
#include "support/sanitizers.hpp"

namespace coppice::tests {
namespace {

class GatewayAgents : public gateway_rig {};

// Waits until the next message that is not a ping is that, and nothing else came before.
void expect_text(web_client& c, const std::string& text) {
    const web_frame f = c.next();
    EXPECT_EQ(f.opcode, 1);
    EXPECT_EQ(f.text, text);
}

TEST_F(GatewayAgents, F4_FiveHundredClientsOnTwoPortsServedByThreeAgentsGetTheirOwnAnswersOnly) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b", nullptr);
    const agent c = add_agent("c");
    const std::uint16_t first = listen(a);
    const std::uint16_t second = listen(b);
    // b's clients are answered by c, which has its leave.
    ASSERT_TRUE(as(b, web::allow{0, second, c.who, web::leave::talk}));
    constexpr std::size_t clients = 500;
    std::vector<web_client> all;
    all.reserve(clients);
    for (std::size_t i = 0; i < clients; ++i) {
        all.emplace_back(i % 2 ? second : first);
        ASSERT_NE(all.back().shake_hands("/" + std::to_string(i)).find(" 101 "), std::string::npos);
    }
    b.journal->wait(what::opened, clients / 2);
    EXPECT_EQ(status().channels, clients);
    for (std::size_t round = 0; round < 3; ++round) {
        for (std::size_t i = 0; i < clients; ++i) all[i].say(fmt::format("{}:{}", i, round));
        b.journal->wait(what::message, clients / 2 * (round + 1));
        std::map<std::uint64_t, std::string> path_of;
        for (const web_event& e : b.journal->all())
            if (e.kind == what::opened) path_of[e.channel] = e.text;
        for (const auto& [channel, path] : path_of)
            ASSERT_TRUE(send(c, channel, fmt::format("{}:{}", path.substr(1), round)));
        for (std::size_t i = 0; i < clients; ++i) expect_text(all[i], fmt::format("{}:{}", i, round));
    }
    for (const web_client& each : all) EXPECT_FALSE(each.has_more());

    // The second that is measured; its time is the subject, not a way to wait for something.
    const auto before = processor_time();
    std::this_thread::sleep_for(1s);
    const auto used = processor_time() - before;
    std::printf("500 clients, 2 ports, 3 agents, idle: %.2f %% of one processor\n",
                static_cast<double>(used.count()) / 10'000);
    EXPECT_LT(used, 200ms);
}

std::size_t resident_bytes() {
    std::size_t pages = 0;
    std::ifstream in{"/proc/self/statm"};
    in >> pages >> pages;
    return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Both ends of each connection are in this process: as many clients as its descriptors allow.
std::size_t as_many_as(std::size_t wanted) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    const std::size_t room = files.rlim_cur > 400 ? (files.rlim_cur - 200) / 2 : 100;
    return std::min(wanted, room);
}

TEST_F(GatewayAgents, FiveThousandClientsAreThereAtOnceAndEachIsServed) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.heartbeat = 0ns;  // these clients answer no pings: they are not read all the time
    const std::uint16_t port = listen(a, options);
    const std::size_t clients = as_many_as(slow_build ? 500 : 5000);
    std::vector<web_client> all;
    all.reserve(clients);
    const std::size_t before = resident_bytes();
    for (std::size_t i = 0; i < clients; ++i) {
        all.emplace_back(port);
        ASSERT_NE(all.back().shake_hands().find(" 101 "), std::string::npos) << i;
    }
    a.journal->wait(what::opened, clients);
    std::printf("%zu clients: %.1f KiB of memory each, both ends and the test's own journal included\n",
                clients,
                static_cast<double>(resident_bytes() - before) / 1024 / static_cast<double>(clients));
    EXPECT_EQ(status().channels, clients);
    for (std::size_t i = 0; i < clients; ++i) all[i].say(std::to_string(i));
    for (std::size_t i = 0; i < clients; ++i) expect_text(all[i], std::to_string(i));
    const auto report = as(a, web::broadcast{port, web::text("all of you")});
    ASSERT_TRUE(report);
    EXPECT_EQ(report->taken, clients);
    for (web_client& each : all) expect_text(each, "all of you");
    all.clear();
    status_when([](const auto& r) { return r.channels == 0; });
}

TEST_F(GatewayAgents, F6_AChannelIsPrivateUntilItsAgentLetsOthersObserveIt) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b", nullptr);
    const agent d = add_agent("d", nullptr);
    const std::uint16_t port = listen(a);
    auto [one, first] = join(a, port);
    auto [two, second] = join(a, port);
    const ref<web::observer_protocol> of_b{b.who};
    EXPECT_EQ(as(b, web::observe{first, 0}).error().code(), errc::denied);
    EXPECT_EQ(as(b, web::observe{0, port}).error().code(), errc::denied);
    EXPECT_EQ(as(d, web::observe{first, 0, of_b}).error().code(), errc::denied);
    one.say("private");
    expect_text(one, "private");

    ASSERT_TRUE(as(a, web::allow{first, 0, b.who, web::leave::watch}));
    ASSERT_TRUE(as(b, web::observe{first, 0}));
    ASSERT_TRUE(as(b, web::observe{first, 0}));  // twice is once
    EXPECT_EQ(as(d, web::observe{first, 0}).error().code(), errc::denied);
    EXPECT_EQ(send(b, first, "x").error().code(), errc::denied);  // who watches does not talk
    one.say("seen by two");
    two.say("seen by one");
    expect_text(one, "seen by two");
    expect_text(two, "seen by one");
    const web_event seen = b.journal->wait(what::message);
    EXPECT_EQ(seen.channel, first);
    EXPECT_EQ(seen.text, "seen by two");

    // All of the port, also who comes later.
    ASSERT_TRUE(as(a, web::allow{0, port, d.who, web::leave::watch}));
    ASSERT_TRUE(as(d, web::observe{0, port}));
    auto [three, third] = join(a, port);
    three.say("hello");
    expect_text(three, "hello");
    EXPECT_EQ(d.journal->wait(what::opened).channel, third);
    EXPECT_EQ(d.journal->wait(what::message).channel, third);
    three.leave();
    EXPECT_EQ(d.journal->wait(what::closed).channel, third);

    ASSERT_TRUE(as(b, web::unobserve{first, 0}));
    one.say("seen by a and d");
    expect_text(one, "seen by a and d");
    d.journal->wait(what::message, 2);
    EXPECT_EQ(b.journal->all().size(), 1u);
    EXPECT_EQ(d.journal->all().size(), 4u) << "each of the four was told it once";
}

TEST_F(GatewayAgents, F6_APortMayBeObservableForAll) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b", nullptr);
    const std::uint16_t port = listen(a, {.observable = true});
    ASSERT_TRUE(as(b, web::observe{0, port}));
    auto [c, channel] = join(a, port);
    c.say("x");
    expect_text(c, "x");
    EXPECT_EQ(b.journal->wait(what::message).channel, channel);
    // An observer that ends is forgotten.
    app_.send<end_now>(b.who);
    c.say("y");
    expect_text(c, "y");
}

TEST_F(GatewayAgents, F7_ANewClientGetsTheSnapshotFirstThenTheChangesAndAStuckOneDelaysNobody) {
    start();
    const agent a = add_agent("a");
    web::port_options options;
    options.limits.heartbeat = 0ns;
    const std::uint16_t port = listen(a, options);
    ASSERT_TRUE(as(a, web::publish{port, "weather", web::text("weather: sun"), {}}));
    ASSERT_TRUE(as(a, web::publish{port, "time", web::text("time: 1"), {}}));
    ASSERT_TRUE(as(a, web::publish{port, "weather", web::text("weather: rain"), web::text("rain begins")}));

    auto [early, first] = join(a, port);
    ASSERT_TRUE(send(a, first, "welcome"));
    expect_text(early, "weather: rain");
    expect_text(early, "time: 1");
    expect_text(early, "welcome");
    ASSERT_TRUE(as(a, web::publish{port, "weather", web::text("weather: snow"), web::text("snow begins")}));
    expect_text(early, "snow begins");

    // It reads nothing, while the state changes by megabytes.
    web_client stuck{port, 4096};
    stuck.shake_hands("/stuck");
    a.journal->wait(what::opened, 2);
    const std::string padding(100'000, '.');
    constexpr int changes = 200;
    for (int i = 1; i <= changes; ++i) {
        ASSERT_TRUE(as(a, web::publish{port, "time", web::text(fmt::format("time: {}{}", i, padding)),
                                       web::text(fmt::format("tick {}{}", i, padding))}));
        expect_text(early, fmt::format("tick {}{}", i, padding));  // at once, whoever is stuck
    }
    auto [late, third] = join(a, port);
    expect_text(late, "weather: snow");
    expect_text(late, fmt::format("time: {}{}", changes, padding));
    EXPECT_EQ(status().channels, 3u);  // states do not fill a queue
    EXPECT_EQ(status().queued_bytes, 0u);

    // When it reads again, it has the present state before long, and did not get all the changes.
    int got = 0;
    for (;; ++got) {
        const web_frame f = stuck.next();
        ASSERT_EQ(f.opcode, 1);
        if (f.text.starts_with(fmt::format("time: {}.", changes)) ||
            f.text.starts_with(fmt::format("tick {}.", changes)))
            break;
    }
    EXPECT_LT(got, changes);
}

TEST_F(GatewayAgents, F7_ABroadcastReachesEveryClientOfThePortAndOneThatDoesNotReadIsClosedOrRefused) {
    start();
    const agent a = add_agent("a");
    for (const web::when_full full : {web::when_full::close, web::when_full::refuse}) {
        web::port_options options;
        options.full = full;
        options.limits.queue_bytes = 1u << 20;
        options.limits.heartbeat = 0ns;
        options.limits.close = 100ms;
        const std::uint16_t port = listen(a, options);
        auto [good, first] = join(a, port);
        const std::size_t before = a.journal->count(what::opened);
        web_client stuck{port, 4096};
        stuck.shake_hands();
        const std::uint64_t second = a.journal->wait(what::opened, before + 1).channel;
        const std::string big(200'000, 'b');
        std::uint64_t refused = 0;
        for (int i = 0; i < 100; ++i) {
            const auto report = as(a, web::broadcast{port, web::text(big)});
            ASSERT_TRUE(report);
            refused += report->refused;
            expect_text(good, big);
        }
        EXPECT_GT(refused, 0u);
        if (full == web::when_full::refuse) {
            EXPECT_EQ(send(a, second, std::string(900'000, 'x')).error().code(), errc::mailbox_full);
            EXPECT_EQ(status().channels, 2u);
            // What the good one has read may still count as on its way to it.
            EXPECT_LE(status().queued_bytes, options.limits.queue_bytes + big.size());
            stuck.drop();
        }
        const web_event end = a.journal->wait_closed(second);
        if (full == web::when_full::close) {
            EXPECT_EQ(end.code, 1013u);
            EXPECT_EQ(end.by, web::ender::gateway);
        }
        EXPECT_GT(end.number, 0u);  // so many messages it never got
        good.say("still here");
        expect_text(good, "still here");
        ASSERT_TRUE(as(a, web::ignore{port}));
        good.leave();
        a.journal->wait_closed(first);
    }
}

TEST_F(GatewayAgents, AnAgentsEndClosesItsChannelsAndFreesItsPort) {
    start();
    const agent a = add_agent("a");
    const agent b = add_agent("b");
    const std::uint16_t port = listen(a);
    auto [c, channel] = join(a, port);
    app_.send<end_now>(a.who);
    const web_frame end = c.next();
    EXPECT_EQ(end.opcode, 8);
    EXPECT_EQ(end.code(), 1001u);
    EXPECT_EQ(listen(b, {}, port), port);
}

// ---- F11, F14

// Answers calls; whatever is none gets an error.
void answer_calls(const actor<agent_protocol>& self, const gateway_ref& gateway, const web::message& m) {
    auto asked = web::read_call(m.content);
    web::content answer;
    if (!asked) answer = web::fault_of(m.content, asked.error());
    else if (asked->name == "ping") answer = web::answer_to(*asked, asked->with);
    else answer = web::answer_to(*asked, error{errc::no_handler, "no call \"" + asked->name + "\" here"});
    self.send<web::send>(gateway, m.channel, std::move(answer));
}

TEST_F(GatewayAgents, F14_ATypedPingComesBackWithItsTimeAndMalformedInputIsAnsweredWithAnError) {
    start();
    const agent a = add_agent("a", answer_calls);
    auto [c, channel] = join(a, listen(a));
    const auto asked = [&page = c](const std::string& text) {
        page.say(text);
        return page.next().text;
    };
    const auto sent = std::chrono::steady_clock::now().time_since_epoch().count();
    const std::string pong =
        asked(fmt::format(R"({{"id":7,"call":"ping","with":{{"text":"h\u00e9","sent":{}}}}})", sent));
    EXPECT_EQ(pong, fmt::format("{{\"id\":7,\"value\":{{\"text\":\"h\xc3\xa9\",\"sent\":{}}}}}", sent));
    EXPECT_GT(std::chrono::steady_clock::now().time_since_epoch().count() - sent, 0);
    EXPECT_EQ(asked(R"({"id":8,"call":"fly"})"),
              R"({"id":8,"error":"no_handler","text":"no call \"fly\" here"})");

    for (const std::string& wrong :
         {std::string{}, std::string{"{"}, std::string{"[1,2"}, std::string{"nul"}, std::string{"7"},
          std::string{"{}"}, std::string{R"({"call":7})"}, std::string{R"({"id":-1,"call":"ping"})"},
          std::string{R"({"id":1.5,"call":"ping"})"}, std::string{R"({"id":1,"call":"ping"} and more)"},
          std::string{R"({"id":1,"call":"\ud800"})"}, std::string(100'000, '['),
          std::string{"{\"a\":\"\0\"}", 9}}) {
        const std::string back = asked(wrong);
        EXPECT_TRUE(back.starts_with(R"({"id":null,"error":")")) << wrong.substr(0, 50) << " -> " << back;
    }
    // The same as bytes: the wire form of values.
    const web::call binary{9, "ping", value{value::list{1, "two", value::bytes{std::byte{3}}}},
                           web::kind::binary};
    c.send(2, web::write_call(binary)->view());
    const web_frame f = c.next();
    EXPECT_EQ(f.opcode, 2);
    const auto answer = web::read_answer({web::kind::binary, blob{f.text}});
    ASSERT_TRUE(answer) << answer.error().what();
    EXPECT_EQ(answer->id, 9u);
    EXPECT_EQ(answer->what, binary.with);
    c.send(2, "no value at all");
    const auto fault = web::read_answer({web::kind::binary, blob{c.next().text}});
    ASSERT_TRUE(fault);
    EXPECT_EQ(fault->failure.code(), errc::bad_message);
    EXPECT_EQ(asked(R"({"id":10,"call":"ping","with":null})"),
              R"({"id":10,"value":null})");  // it is none the worse
}

TEST_F(GatewayAgents, F14_TheGatewayMeasuresTheRoundTripToAClient) {
    start();
    const agent a = add_agent("a");
    auto [c, channel] = join(a, listen(a));
    std::thread client{[&page = c] {
        for (int answered = 0; answered < 2;) {
            const web_frame f = page.next_frame();
            if (f.opcode != 9) continue;
            page.send(10, "another one's");
            if (++answered == 1) page.send(10, f.text);
        }
        page.drop();
    }};
    const auto time = as(a, web::ping{channel});
    ASSERT_TRUE(time) << time.error().what();
    EXPECT_GT(time->time.count(), 0);
    EXPECT_EQ(as(a, web::ping{channel}).error().code(), errc::closed);  // it goes without an answer
    client.join();
}

TEST(WebCall, F11_ValuesOfEveryKindSurviveBothEncodings) {
    const value all{value::map{{"nothing", value{}},
                               {"yes", true},
                               {"small", std::int64_t{-5}},
                               {"large", std::uint64_t{18'446'744'073'709'551'615u}},
                               {"real", 2.5},
                               {"text", "Gr\xc3\xbc\xc3\x9f"
                                        "e \"\\\n"},
                               {"list", value::list{1, "two", value::list{}}},
                               {"map", value::map{}}}};
    for (const web::kind as : {web::kind::text, web::kind::binary}) {
        const auto written = web::write_value(all, as);
        ASSERT_TRUE(written) << written.error().what();
        const auto back = web::read_value(*written);
        ASSERT_TRUE(back) << back.error().what();
        EXPECT_EQ(to_string(*back, 4096), to_string(all, 4096));
    }
    EXPECT_EQ(web::write_value(value::bytes{}, web::kind::text).error().code(), errc::invalid_argument);
    EXPECT_EQ(web::write_value(std::numeric_limits<double>::infinity(), web::kind::text).error().code(),
              errc::invalid_argument);
    EXPECT_EQ(web::write_value(value::map{{1, 2}}, web::kind::text).error().code(), errc::invalid_argument);
    value deep;
    for (int i = 0; i < 100; ++i) deep = value::list{deep};
    for (const web::kind as : {web::kind::text, web::kind::binary}) EXPECT_FALSE(web::write_value(deep, as));
    EXPECT_EQ(web::read_value(web::text(std::string(40, '[') + std::string(40, ']'))).error().code(),
              errc::too_large);
    // No text brings what no text can hold.
    for (const char* text : {"1e309", "[-1e309]", "{\"a\":[313e3132]}"})
        EXPECT_EQ(web::read_value(web::text(text)).error().code(), errc::bad_message) << text;
    EXPECT_EQ(web::read_value(web::text("1e308")).value(), value{1e308});
}

TEST(WebCall, F11_CallsAndAnswersSurviveBothEncodings) {
    for (const web::kind as : {web::kind::text, web::kind::binary}) {
        const web::call asked{7, "paint", value{value::map{{"colour", "red"}}}, as};
        const auto written = web::write_call(asked);
        ASSERT_TRUE(written) << written.error().what();
        EXPECT_EQ(written->kind, as);
        const auto came = web::read_call(*written);
        ASSERT_TRUE(came) << came.error().what();
        EXPECT_EQ(came->id, 7u);
        EXPECT_EQ(came->name, "paint");
        EXPECT_EQ(came->with, asked.with);
        const auto done = web::read_answer(web::answer_to(*came, value{"done"}));
        ASSERT_TRUE(done) << done.error().what();
        EXPECT_EQ(done->id, 7u);
        EXPECT_EQ(done->what, value{"done"});
        EXPECT_EQ(done->failure, errc::ok);
        const auto refused = web::read_answer(web::answer_to(*came, error{errc::denied, "not yours"}));
        ASSERT_TRUE(refused) << refused.error().what();
        EXPECT_EQ(refused->id, 7u);
        EXPECT_EQ(refused->failure, errc::denied);
        EXPECT_EQ(refused->failure.text(), "not yours");
    }
}

// ---- outbound, and TLS

TEST_F(GatewayAgents, AnOutboundConnectionComesBackAfterEveryLossUntilItIsHungUp) {
    start();
    const agent server = add_agent("server");
    const agent client = add_agent("client", nullptr);
    const std::uint16_t port = listen(server, {.token = "key", .subprotocols = {"one", "two"}});
    web::connect wanted{.url = fmt::format("ws://localhost:{}/from?here=1", port)};
    wanted.token = "key";
    wanted.subprotocols = {"two", "one"};
    wanted.retry_first = 1ms;
    wanted.retry_most = 20ms;
    const auto dial = as(client, wanted);
    ASSERT_TRUE(dial) << dial.error().what();
    for (std::size_t n = 1; n <= 3; ++n) {
        const web_event up = client.journal->wait(what::opened, n);
        EXPECT_EQ(up.number, *dial);
        EXPECT_EQ(up.port, 0u);
        EXPECT_EQ(up.subprotocol, "one");
        ASSERT_TRUE(send(client, up.channel, "hello"));
        EXPECT_EQ(client.journal->wait(what::message, n).text, "hello");
        const web_event there = server.journal->wait(what::opened, n);
        EXPECT_EQ(there.text, "/from?here=1");
        ASSERT_TRUE(as(server, web::close{there.channel, 4000, "again"}));
        const web_event end = client.journal->wait_closed(up.channel);
        EXPECT_EQ(end.code, 4000u);
        EXPECT_EQ(end.by, web::ender::peer);
    }
    client.journal->wait(what::opened, 4);
    EXPECT_EQ(as(server, web::hang_up{*dial}).error().code(), errc::denied);
    ASSERT_TRUE(as(client, web::hang_up{*dial}));
    EXPECT_EQ(client.journal->wait(what::closed, 4).by, web::ender::agent);
    status_when([](const auto& r) { return r.dials == 0 && r.channels == 0; });
    EXPECT_EQ(as(client, web::hang_up{*dial}).error().code(), errc::not_found);
    for (const char* url :
         {"", "http://localhost:1/", "ws://", "ws://a:b/", "ws://a:99999/", "ws://a b/", "ws://u@h/"})
        EXPECT_EQ(as(client, web::connect{.url = url}).error().code(), errc::invalid_argument) << url;
}

TEST_F(GatewayAgents, AnOutboundConnectionWaitsForItsServerAndIsForgottenWithItsAgent) {
    start();
    const agent server = add_agent("server");
    const agent client = add_agent("client", nullptr);
    const std::uint16_t port = listen(server);
    ASSERT_TRUE(as(server, web::ignore{port}));
    web::connect wanted{.url = fmt::format("ws://127.0.0.1:{}", port)};
    wanted.retry_first = 1ms;
    wanted.retry_most = 5ms;
    ASSERT_TRUE(as(client, wanted));
    EXPECT_EQ(listen(server, {}, port), port);
    client.journal->wait(what::opened);
    server.journal->wait(what::opened);
    app_.send<end_now>(client.who);
    server.journal->wait(what::closed);
    status_when([](const auto& r) { return r.dials == 0; });
}

TEST_F(GatewayAgents, OverTLSBothSidesProveWhoTheyAre) {
    const own_directory files;
    const certificate_authority ca{files.path(), "ca"};
    const certificate_authority strangers{files.path(), "strangers"};
    const auto own = ca.issue("server", {.name = "localhost"});
    const auto known = ca.issue("client", {.name = "client"});
    const auto unknown = strangers.issue("other", {.name = "client"});
    start();
    const agent server = add_agent("server");
    const agent client = add_agent("client", nullptr);
    web::port_options options;
    options.tls = {own.cert, own.key, own.ca};
    const std::uint16_t port = listen(server, options);
    web::connect wanted{.url = fmt::format("wss://localhost:{}/", port)};
    wanted.tls = {known.cert, known.key, known.ca};
    wanted.retry_first = 1ms;
    wanted.retry_most = 10ms;
    ASSERT_TRUE(as(client, wanted));
    const web_event up = client.journal->wait(what::opened);
    const std::string big(300'000, 's');
    ASSERT_TRUE(send(client, up.channel, big));
    EXPECT_EQ(client.journal->wait(what::message).text, big);
    ASSERT_TRUE(as(server, web::close{server.journal->wait(what::opened).channel, 4002, "over TLS"}));
    EXPECT_EQ(client.journal->wait_closed(up.channel).text, "over TLS");

    // Who is not signed by whom the port trusts does not get in; nor does one without TLS, who is answered nothing.
    const agent stranger = add_agent("stranger", nullptr);
    web::connect uninvited = wanted;
    uninvited.tls = {unknown.cert, unknown.key, known.ca};
    ASSERT_TRUE(as(stranger, uninvited));
    status_when([](const auto& r) { return r.ports.at(0).rejected >= 3; });
    EXPECT_EQ(stranger.journal->count(what::opened), 0u);
    web_client plain{port};
    plain.try_write(plain.handshake());
    EXPECT_EQ(plain.read_all().find("HTTP"), std::string::npos);
    // And a server that is not the one that was asked for is not talked to.
    web::connect elsewhere = wanted;
    elsewhere.url = fmt::format("wss://127.0.0.1:{}/", port);
    ASSERT_TRUE(as(stranger, elsewhere));
    const auto rejected = status().ports.at(0).rejected;
    status_when([&](const auto& r) { return r.ports.at(0).rejected >= rejected + 3; });
    EXPECT_EQ(stranger.journal->count(what::opened), 0u);

    web::port_options wrong = options;
    wrong.tls.key = files.path("nothing.pem");
    EXPECT_EQ(as(server, web::listen{0, wrong}).error().code(), errc::invalid_argument);
}

}  // namespace
}  // namespace coppice::tests
