// Shortcuts between real nodes, and what a hostile node gets out of them: nothing. What needs time, faults or many seeds
// is in tests/sim/shortcuts_test.cpp; three processes and a relay that dies, in tests/integration.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "coppice/transport/builtin.hpp"
#include "net/control.hpp"
#include "net/frame.hpp"
#include "net/router.hpp"
#include "support/log_lines.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "wire/envelope.hpp"

namespace coppice::tests::shortcuts {
namespace {

// ---------------------------------------------------------------- nodes

struct add {
    std::uint64_t amount = 0;
};
struct total {
    using reply = std::uint64_t;
};
using counter_protocol = protocol<add, total>;

task<> counter(actor<counter_protocol> self) {
    std::uint64_t sum = 0;
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { sum += a.amount; }, [&](request<total> r) { r.reply(sum); });
}

supervisor_spec with_counter() {
    supervisor_spec spec;
    spec.add(child("counter", in_coroutine, counter));
    return spec;
}

// Sends until the log says that there is a shortcut, then checks the sum: all of it has arrived.
void talk_until_linked(node& from, log_lines& seen, const std::string& to) {
    play(
        from,
        [](actor<anything> self, log_lines* log, std::string other) -> task<> {
            result<ref<counter_protocol>> there = errc::unreachable;
            while (!there) {
                there = co_await self.resolve<counter_protocol>("/" + other + "/counter");
                if (!there) co_await self.sleep(5ms);
            }
            std::uint64_t sent = 0;
            while (log->count({"linked to node " + other + " by a shortcut"}) == 0)
                for (int i = 0; i < 100; ++i) {
                    REQUIRE_OR_END(co_await self.send_wait<add>(*there, 1u) == errc::ok);
                    ++sent;
                }
            for (int i = 0; i < 1000; ++i, ++sent)
                REQUIRE_OR_END(co_await self.send_wait<add>(*there, 1u) == errc::ok);
            auto sum = co_await self.ask<total>(*there, 60s);
            REQUIRE_OR_END(sum);
            EXPECT_EQ(*sum, sent);
        },
        &seen, to);
}

struct places {
    const char* relay;
    const char* right;
    const char* expected;  // of the line that tells of the shortcut
};

class Kinds : public ::testing::TestWithParam<places> {};

TEST_P(Kinds, OfEndpointsThatLeadToANodeAreUsedForAShortcut) {
    const own_run_directory here;
    node relay{"relay", listening_at(GetParam().relay)};
    ASSERT_TRUE(relay.start(supervisor_spec{}));
    log_lines at_left;
    log_lines at_right;
    node_options o = below(relay.listening().at(0));
    at_right.listen_to(o);
    o.network.listen = {GetParam().right};
    node right{"right", o};
    ASSERT_TRUE(right.start(with_counter()));
    o = below(relay.listening().at(0));
    at_left.listen_to(o);
    node left{"left", o};
    ASSERT_TRUE(left.start(supervisor_spec{}));
    talk_until_linked(left, at_left, "right");
    const std::string line = at_left.wait_for({"linked to node right by a shortcut"});
    EXPECT_NE(line.find(GetParam().expected), std::string::npos) << line;
    at_right.wait_for({"linked to node left by a shortcut"});
    EXPECT_EQ(at_left.count({"transit"}) + at_right.count({"transit"}), 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Shortcuts, Kinds,
    ::testing::Values(places{"unix://relay", "inproc://right", "inproc"},
                      places{"unix://relay", "unix://right", "unix"},
                      places{"tcp://127.0.0.1:0", "shm://right", "shm"},
                      places{"unix://relay", "tcp://127.0.0.1:0", "127.0.0.1:"},
                      places{"tcp://127.0.0.1:0", "tcp://0.0.0.0:0?insecure=allow", "127.0.0.1:"},
                      places{"unix://relay", "tcp://0.0.0.0:0?insecure=allow", "127.0.0.1:"}),
    [](const auto& one) { return "n" + std::to_string(one.index); });

// ---------------------------------------------------------------- a node of the test's own making

// Speaks the protocol over a unix socket, byte by byte, and keeps to no rule.
class forged {
public:
    forged(const own_run_directory& where, const std::string& listener) {
        fd_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, where.path(listener + ".sock").c_str(), sizeof at.sun_path - 1);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0) << at.sun_path;
    }
    ~forged() { ::close(fd_); }
    forged(const forged&) = delete;
    forged& operator=(const forged&) = delete;

    void say(const net::control& message) { write(net::frame_kind::control, nullptr, net::encode(message)); }
    void send(const net::frame_route* route, wire::envelope_fields fields,
              std::span<const std::byte> payload = {}, std::uint32_t epoch = 1) {
        std::vector<std::byte> body(wire::envelope_bytes + net::padded(payload.size()));
        wire::write_envelope(body.data(), fields, static_cast<std::uint32_t>(payload.size()));
        if (!payload.empty()) std::memcpy(body.data() + wire::envelope_bytes, payload.data(), payload.size());
        write(net::frame_kind::envelope, route, body, epoch);
    }
    // A control message in a flow.
    void send_control(const net::frame_route* route, std::uint64_t sequence, const net::control& message) {
        wire::envelope_fields f{};
        f.kind = static_cast<std::uint16_t>(net::record::control);
        f.flags = net::record_flag::system;
        f.sequence = sequence;
        send(route, f, net::encode(message));
    }
    struct frame {
        net::frame_header header;
        net::frame_route route;
        std::vector<std::byte> body;
    };
    // The next one that is no sign of life; nothing when the link has ended.
    std::optional<frame> next() {
        for (;;) {
            net::parsed_frame f;
            if (net::parse_frame(heard_, 256 * 1024, f) == errc::ok) {
                frame out{f.header, f.route, {f.body.begin(), f.body.end()}};
                heard_.erase(heard_.begin(), heard_.begin() + static_cast<std::ptrdiff_t>(f.size));
                if (out.header.kind == net::frame_kind::ping || out.header.kind == net::frame_kind::pong)
                    continue;
                return out;
            }
            std::byte piece[4096];
            const ssize_t n = ::read(fd_, piece, sizeof piece);
            if (n <= 0) return {};
            heard_.insert(heard_.end(), piece, piece + n);
        }
    }
    // The next control message between neighbours of that kind; nothing when the link has ended.
    template <class T>
    std::optional<T> hear() {
        while (auto f = next()) {
            if (f->header.kind != net::frame_kind::control) continue;
            auto message = net::decode(f->body);
            EXPECT_TRUE(message);
            if (message)
                if (auto* m = std::get_if<T>(&*message)) return *m;
        }
        return {};
    }
    // The next control message of that kind from a node, over any number of hops.
    template <class T>
    std::optional<T> hear_from(net::node_id source) {
        while (auto message = hear_first_from(source))
            if (auto* m = std::get_if<T>(&*message)) return *m;
        return {};
    }
    // The next control message from a node, whichever.
    std::optional<net::control> hear_first_from(net::node_id source) {
        while (auto f = next()) {
            if (f->header.kind != net::frame_kind::envelope || f->route.source != source) continue;
            wire::envelope_view view;
            EXPECT_EQ(wire::read_envelope(f->body, view), errc::ok);
            if (static_cast<net::record>(view.fields.kind) != net::record::control) continue;
            std::vector<std::byte> payload{view.payload.begin(), view.payload.end()};
            auto message = net::decode(payload);
            EXPECT_TRUE(message);
            if (message) return *message;
        }
        return {};
    }
    // Both hellos and both welcomes. The refusal, if there is one.
    std::optional<net::refusal> join(const net::hello& mine, net::hello* theirs = nullptr) {
        say(mine);
        while (auto f = next()) {
            auto message = net::decode(f->body);
            EXPECT_TRUE(message);
            if (!message) break;
            if (auto* h = std::get_if<net::hello>(&*message); h && theirs) *theirs = *h;
            if (auto* r = std::get_if<net::refusal>(&*message)) return *r;
            if (std::get_if<net::welcome>(&*message)) {
                say(net::welcome{});
                return {};
            }
        }
        return net::refusal{errc::closed, "the link ended"};
    }

private:
    void write(net::frame_kind kind, const net::frame_route* route, std::span<const std::byte> body,
               std::uint32_t epoch = 0) {
        std::vector<std::byte> out(net::frame_bytes(body.size(), route != nullptr));
        net::frame_header h;
        h.kind = kind;
        h.epoch = epoch;
        h.length = static_cast<std::uint32_t>(body.size());
        std::memcpy(net::write_frame(out.data(), h, route), body.data(), body.size());
        for (std::size_t done = 0; done < out.size();) {
            const ssize_t n = ::send(fd_, out.data() + done, out.size() - done, MSG_NOSIGNAL);
            if (n <= 0) return;  // it was cut off: what is read tells why
            done += static_cast<std::size_t>(n);
        }
    }
    int fd_ = -1;
    std::vector<std::byte> heard_;
};

net::hello hello_of(net::node_id node, const std::string& name, net::role as, const net::token& token = {}) {
    net::hello h;
    h.node = node;
    h.name = name;
    h.as = as;
    h.token = token;
    return h;
}

wire::envelope_fields plain_message(std::uint64_t sequence) {
    wire::envelope_fields f{};
    f.kind = static_cast<std::uint16_t>(net::record::message);
    f.sequence = sequence;
    return f;
}

constexpr net::node_id forged_id = 0x4711;

// A relay, a real leaf "right" with its log, and a forged leaf below the relay.
class Hostile : public ::testing::Test {
protected:
    void SetUp() override {
        node_options o = listening_at("unix://relay");
        at_relay_.listen_to(o);
        relay_.emplace("relay", o);
        ASSERT_TRUE(relay_->start(supervisor_spec{}));
        o = below("unix://relay");
        o.network.listen = {"unix://right"};
        log_.listen_to(o);
        right_.emplace("right", o);
        ASSERT_TRUE(right_->start(with_counter()));
        at_relay_.wait_for({"linked to node right"});
        leaf_.emplace(here_, "relay");
        ASSERT_FALSE(leaf_->join(hello_of(forged_id, "forged", net::role::child), &relay_hello_));
        // By the name: where right is.
        leaf_->send_control(nullptr, 1, net::locate{1, "right"});
        const auto located = leaf_->hear_from<net::located>(0);
        ASSERT_TRUE(located);
        right_id_ = located->node;
        ASSERT_NE(right_id_, 0u);
    }
    // So much that the relay introduces the two; what right then offers.
    net::offer get_offer() {
        const net::frame_route to_right{right_id_, forged_id};
        for (std::uint64_t n = 1; n <= limits::shortcut_frames + 1; ++n)
            leaf_->send(&to_right, plain_message(++sent_));
        auto offered = leaf_->hear_from<net::offer>(right_id_);
        EXPECT_TRUE(offered);
        wire::envelope_fields taken{};
        taken.kind = static_cast<std::uint16_t>(net::record::acknowledge);
        taken.flags = net::record_flag::system;
        taken.sequence = 1;
        leaf_->send(&to_right, taken);
        return offered.value_or(net::offer{});
    }
    void say_to_right(const net::control& message) {
        const net::frame_route to_right{right_id_, forged_id};
        leaf_->send_control(&to_right, ++said_, message);
    }
    // What a node that says it is on this machine offers in return.
    net::offer answer_with(std::vector<std::string> endpoints) const {
        net::offer o;
        o.token.fill(std::byte{1});
        o.machine = relay_hello_.machine;
        o.is_answer = true;
        o.endpoints = std::move(endpoints);
        return o;
    }
    void ask_right() { say_to_right(net::find{1, "/right/counter", {}}); }
    // What a connection to right with that greeting is told.
    net::refusal refused(const net::hello& h) {
        forged link{here_, "right"};
        return link.join(h).value_or(net::refusal{errc::ok, "it was accepted"});
    }

    own_run_directory here_;
    log_lines at_relay_;
    log_lines log_;
    std::optional<node> relay_;
    std::optional<node> right_;
    std::optional<forged> leaf_;
    net::hello relay_hello_;
    net::node_id right_id_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t said_ = 0;
};

TEST_F(Hostile, AShortcutThatWasNotOfferedIsRefusedAndToldWhy) {
    net::token guess;
    guess.fill(std::byte{7});
    for (const net::token& t : {net::token{}, guess}) {
        const auto told = refused(hello_of(forged_id, "forged", net::role::shortcut, t));
        EXPECT_EQ(told.code, errc::denied);
        EXPECT_EQ(told.text, "no shortcut was offered to this node");
    }
    log_.wait_for({"calls itself forged", "no shortcut was offered"});
}

TEST_F(Hostile, ATokenIsTakenOnceAndOnlyFromTheNodeThatItWasGivenTo) {
    const net::offer o = get_offer();
    ASSERT_EQ(o.endpoints, std::vector<std::string>{"unix://right"});
    EXPECT_EQ(o.machine, relay_hello_.machine);
    const auto other = refused(hello_of(0x4712, "other", net::role::shortcut, o.token));
    EXPECT_EQ(other.code, errc::denied);
    EXPECT_EQ(other.text, "no shortcut was offered to this node");
    net::token wrong = o.token;
    wrong[15] ^= std::byte{1};
    EXPECT_EQ(refused(hello_of(forged_id, "forged", net::role::shortcut, wrong)).text,
              "the token is not that of the shortcut that was offered");
    forged link{here_, "right"};
    EXPECT_FALSE(link.join(hello_of(forged_id, "forged", net::role::shortcut, o.token)));
    log_.wait_for({"linked to node forged by a shortcut"});
    const auto again = refused(hello_of(forged_id, "forged", net::role::shortcut, o.token));
    EXPECT_EQ(again.code, errc::denied);
    EXPECT_EQ(again.text, "no shortcut was offered to this node");
}

TEST_F(Hostile, MailInTransitOverAShortcutIsDropped) {
    const net::offer o = get_offer();
    forged link{here_, "right"};
    ASSERT_FALSE(link.join(hello_of(forged_id, "forged", net::role::shortcut, o.token)));
    log_.wait_for({"linked to node forged by a shortcut"});
    const net::frame_route onwards{relay_hello_.node, forged_id};  // by way of right
    link.send(&onwards, plain_message(1));
    log_.wait_for({"node forged sent mail in transit over a shortcut"});
    const net::frame_route in_the_name_of_another{right_id_, relay_hello_.node};
    link.send(&in_the_name_of_another, plain_message(1));
    // The link lives on, and carries what is its own.
    link.send_control(nullptr, 1, net::find{1, "/right/counter", {}});
    const auto found = link.hear_from<net::found>(0);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->code, errc::ok);
    EXPECT_EQ(log_.count({"node forged sent mail in transit over a shortcut"}), 2u);
}

TEST_F(Hostile, AnIntroductionFromWhereThatNodeIsNotReachedIsIgnored) {
    forged peer{here_, "right"};  // a neighbour, but not on the way to the other
    ASSERT_FALSE(peer.join(hello_of(0x4713, "third", net::role::peer)));
    log_.wait_for({"linked to node third"});
    ask_right();  // by now right has heard of the one that is introduced
    ASSERT_TRUE(leaf_->hear_from<net::found>(right_id_));
    for (const net::node_id whoever : {forged_id, net::node_id{0x4713}, right_id_, net::node_id{0}})
        peer.say(net::introduce{whoever});
    // Behind these on the same link, and answered.
    peer.send_control(nullptr, 1, net::find{1, "/right/counter", {}});
    ASSERT_TRUE(peer.hear_from<net::found>(0));
    ask_right();
    const auto first = leaf_->hear_first_from(right_id_);  // an offer would come before the answer
    ASSERT_TRUE(first);
    EXPECT_TRUE(std::holds_alternative<net::found>(*first));
}

// A listener of the test's own, which counts who comes.
class trap {
public:
    explicit trap(const std::string& path)
        : fd_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)} {
        sockaddr_un at{};
        at.sun_family = AF_UNIX;
        std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
        EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
        EXPECT_EQ(::listen(fd_, 64), 0);
    }
    ~trap() { ::close(fd_); }
    trap(const trap&) = delete;
    trap& operator=(const trap&) = delete;
    std::size_t waiting() {
        std::size_t n = 0;
        for (int c = 0; (c = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0; ++n) ::close(c);
        return n;
    }

private:
    int fd_;
};

TEST_F(Hostile, EndpointsOfAnotherMachineAreNotDialledIfTheyAreOfOneMachineOnly) {
    trap nobody{here_.path("trap.sock")};
    net::offer o;
    o.token.fill(std::byte{1});
    o.machine = "another machine";
    o.endpoints = {"unix://trap", "shm://trap", "inproc://relay", "tcp://127.0.0.1:9", "tcp://localhost:9"};
    say_to_right(o);
    // It cannot come, and offers that the other one comes.
    const auto answer = leaf_->hear_from<net::offer>(right_id_);
    ASSERT_TRUE(answer);
    EXPECT_TRUE(answer->is_answer);
    EXPECT_EQ(nobody.waiting(), 0u);
}

TEST_F(Hostile, ManyOffersMakeANodeDialOnlyNowAndThen) {
    const net::offer o = answer_with({"unix://nobody"});
    for (int i = 0; i < 200; ++i) say_to_right(o);
    log_.wait_for({"no shortcut to node", "unreachable"});
    for (int i = 0; i < 200; ++i) say_to_right(o);
    // Behind these in the flow, and answered.
    ask_right();
    ASSERT_TRUE(leaf_->hear_from<net::found>(right_id_));
    EXPECT_LE(log_.count({"no shortcut to node"}), 4u) << "one in 5 s, then later and later";
}

TEST_F(Hostile, TheNodeAtTheEndpointMustBeTheOneThatHasOffered) {
    say_to_right(answer_with({"unix://relay"}));
    log_.wait_for({"no shortcut to node", "this is not the node that has offered"});
}

}  // namespace
}  // namespace coppice::tests::shortcuts
