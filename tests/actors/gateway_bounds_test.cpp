// The bounds of the gateway of coppice/actors/gateway.hpp, and what is promised at them: places of a port, pings, observers without
// room, ends of channels that an agent has no room for, names that nobody answers for. Over real sockets of this machine.
#include <atomic>
#include <chrono>
#include <future>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "actors/gateway_rig.hpp"

namespace coppice::tests {
namespace {

class GatewayBounds : public gateway_rig {
protected:
    /// An agent whose thread is its own, with room for so many messages.
    agent add_narrow_agent(const std::string& name, std::uint32_t room) {
        auto journal = std::make_shared<web_journal>();
        auto made = app_.ask<start_child>(
            supervisor_, 60s,
            child(name, in_thread, web_agent, std::string{"/app/web"}, journal, answer_function{})
                .mailbox(room)
                .restarts(restart::temporary)
                .awaits_ready());
        EXPECT_TRUE(made) << made.error().what();
        return {made->assume<agent_protocol>(), journal};
    }
    /// An agent that takes no mail, and holds its scheduler, until this ends.
    class hold {
    public:
        hold(node& app, const agent& a) {
            waiter_ = std::thread{[&app, who = a.who, this] {
                static_cast<void>(app.ask<run_there>(who, 600s, [this] {
                    begun_.set_value();
                    go_.get_future().wait();
                }));
            }};
            begun_.get_future().wait();
        }
        hold(const hold&) = delete;
        hold& operator=(const hold&) = delete;
        ~hold() {
            go_.set_value();
            waiter_.join();
        }

    private:
        std::promise<void> begun_;
        std::promise<void> go_;
        std::thread waiter_;
    };
};

TEST_F(GatewayBounds, APortTakesNoMoreClientsThanItSaysHoweverManyShakeHandsAtOnce) {
    start();
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a, {.connections = 2});
    std::vector<web_client> all;
    {
        // While the gateway's thread is held, all of them write their handshakes.
        const hold here{app_, a};
        for (int i = 0; i < 20; ++i) {
            all.emplace_back(port);
            all.back().write(all.back().handshake());
        }
    }
    int inside = 0;
    int refused = 0;
    for (web_client& c : all) {
        const std::string head = c.read_head();
        inside += head.find(" 101 ") != std::string::npos;
        refused += head.find(" 503 ") != std::string::npos;
    }
    EXPECT_EQ(inside, 2);
    EXPECT_EQ(refused, 18);
    a.journal->wait(what::opened, 2);
    EXPECT_EQ(status().ports.at(0).channels, 2u);
}

TEST_F(GatewayBounds, PingsOfAClientThatDoesNotReadFillNoQueue) {
    start();
    const agent a = add_agent("a", nullptr);
    web::port_options options;
    options.limits.heartbeat = 0ns;
    options.limits.queue_bytes = 64u << 20;
    const std::uint16_t port = listen(a, options);
    web_client stuck{port, 4096};
    stuck.shake_hands();
    const std::uint64_t channel = a.journal->wait(what::opened).channel;
    // More than the system takes on: what follows waits in the gateway.
    ASSERT_TRUE(send(a, channel, std::string(std::size_t{16} << 20, 'x')));
    constexpr int pings = 500;
    std::vector<std::thread> asking;
    std::atomic<int> late = 0;
    for (int t = 0; t < 2; ++t)
        asking.emplace_back([&] {
            for (int i = 0; i < pings; ++i) {
                const auto answer = app_.ask<via<web::ping>>(a.who, 1ms, via<web::ping>{{channel}});
                late += !answer;
            }
        });
    for (std::thread& t : asking) t.join();
    EXPECT_EQ(late.load(), 2 * pings);
    ASSERT_TRUE(send(a, channel, "end"));
    int came = 0;
    for (web_frame f = stuck.next_frame(); f.text != "end"; f = stuck.next_frame()) {
        ASSERT_NE(f.opcode, -1);
        came += f.opcode == 9;
    }
    EXPECT_GT(came, 0);
    EXPECT_LE(came, 17) << "as many as may wait, and one that was on its way";
}

TEST_F(GatewayBounds, AnObserverOfAnotherSchedulerIsToldHowManyMessagesItHasMissed) {
    start();
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a, {.observable = true});
    auto [c, channel] = join(a, port);
    const agent narrow = add_narrow_agent("narrow", 4);
    ASSERT_TRUE(as(narrow, web::observe{channel, 0}));
    constexpr std::size_t said = 3000;  // more than may be under way to another scheduler
    {
        const hold here{app_, narrow};
        for (std::size_t i = 0; i < said; ++i) {
            c.say(std::to_string(i));
            ASSERT_EQ(c.next().text, std::to_string(i)) << "its agent is held up";
        }
    }
    const web_event missed = narrow.journal->wait(what::missed);
    EXPECT_EQ(missed.channel, channel);
    c.say("after");
    narrow.journal->wait([](const web_event& e) { return e.kind == what::message && e.text == "after"; });
    EXPECT_EQ(narrow.journal->count(what::missed), 1u);
    EXPECT_EQ(narrow.journal->count(what::message) - 1 + missed.number, said);
    EXPECT_EQ(app_.inspect().dead_letter_count, 0u) << "what it got was in its mailbox";
}

TEST_F(GatewayBounds, AnObserverHearsOfWhatItHasMissedAlsoWhenTheChannelHasEnded) {
    start();
    const agent a = add_agent("a");
    const std::uint16_t port = listen(a, {.observable = true});
    const agent narrow = add_narrow_agent("narrow", 4);
    ASSERT_TRUE(as(narrow, web::observe{0, port}));
    auto [c, channel] = join(a, port);
    constexpr std::size_t said = 3000;
    {
        const hold here{app_, narrow};
        for (std::size_t i = 0; i < said; ++i) {
            c.say(std::to_string(i));
            ASSERT_EQ(c.next().text, std::to_string(i));
        }
        c.leave();
        a.journal->wait_closed(channel);
    }
    const web_event missed = narrow.journal->wait(what::missed);
    EXPECT_EQ(missed.channel, 0u) << "of a port";
    // All that was said, and the end.
    EXPECT_EQ(narrow.journal->count(what::message) + missed.number, said + 1);
}

TEST_F(GatewayBounds, AnAgentWithoutRoomHearsOfEachEndExactlyOnceAlsoOfAKilledGateway) {
    start({.farewell = 60s});
    const agent narrow = add_narrow_agent("narrow", 4);
    const std::uint16_t port = listen(narrow);
    std::vector<web_client> clients;
    std::vector<std::uint64_t> channels;
    for (int i = 0; i < 3; ++i) {
        auto [c, channel] = join(narrow, port);
        clients.push_back(std::move(c));
        channels.push_back(channel);
    }
    {
        const hold here{app_, narrow};
        for (int i = 0; i < 3000; ++i) clients[0].say(std::to_string(i));
        clients[1].drop();  // this end waits for room before the kill
        status_when([](const auto& r) { return r.channels == 2; });
        app_.kill(gateway_);
        EXPECT_EQ(clients[2].next().opcode, -1);
    }
    for (const std::uint64_t channel : channels) EXPECT_EQ(narrow.journal->wait_closed(channel).code, 1006u);
    wait_until_back();
    EXPECT_EQ(narrow.journal->count(what::closed), channels.size());
    EXPECT_EQ(app_.inspect().dead_letter_count, 0u);
}

TEST_F(GatewayBounds, AnAgentWithoutRoomHoldsTheEndOfAGatewayUpNoLongerThanItsLimit) {
    start({.farewell = 100ms});
    const agent narrow = add_narrow_agent("narrow", 2);
    const std::uint16_t port = listen(narrow);
    auto [c, channel] = join(narrow, port);
    {
        const hold here{app_, narrow};
        for (int i = 0; i < 3000; ++i) c.say(std::to_string(i));
        app_.shutdown(gateway_);
        wait_until_back();  // while it is still held
    }
    const agent b = add_agent("b");
    EXPECT_EQ(listen(b, {}, port), port);
}

TEST_F(GatewayBounds, TimesThatCannotBeAddedToThePresentAreRefused) {
    start();
    const agent a = add_agent("a");
    static constexpr auto most = std::chrono::nanoseconds::max();
    for (const auto change : {+[](web::connection_limits& l) { l.handshake = most; },
                              +[](web::connection_limits& l) { l.close = most; },
                              +[](web::connection_limits& l) { l.heartbeat = most; },
                              +[](web::connection_limits& l) { l.handshake = -1ns; },
                              +[](web::connection_limits& l) { l.message_bytes = 0; }}) {
        web::port_options options;
        change(options.limits);
        EXPECT_EQ(as(a, web::listen{0, options, {}}).error(), errc::invalid_argument);
        web::connect outward{.url = "ws://127.0.0.1:1/"};
        change(outward.limits);
        EXPECT_EQ(as(a, outward).error(), errc::invalid_argument);
    }
    web::connect seldom{.url = "ws://127.0.0.1:1/"};
    seldom.retry_most = most;
    EXPECT_EQ(as(a, seldom).error(), errc::invalid_argument);
}

}  // namespace
}  // namespace coppice::tests
