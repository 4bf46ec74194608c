// The handshake of two nodes that have a secret, with somebody between them or in the place of one: no byte of it can be changed,
// nothing of it can be sent back or left out, and no two are alike. Byte by byte, on virtual time.
#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/testing/world.hpp"
#include "support/frame_bytes.hpp"
#include "support/hostile_link.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

using namespace std::chrono_literals;

std::size_t lines_with(const testing::world& w, std::string_view text) {
    return static_cast<std::size_t>(std::count_if(w.log().begin(), w.log().end(), [&](const auto& line) {
        return line.text.find(text) != std::string::npos;
    }));
}

template <class F>
void in_a_world(F body) {
    testing::world_options options;
    options.level = level::info;
    for_each_seed(1, options, body);
}

// A node "top" with a secret, and what a connection to it is told.
class Handshake : public ::testing::Test {
protected:
    void begin(testing::world& world) {
        world_ = &world;
        above_ = std::make_shared<hostile_transport>();
        register_transport(above_);
        network_options o;
        o.listen = {"hostile://top"};
        o.secret = "known to both";
        ASSERT_TRUE(world.start(supervisor_spec{}, "top", o));
    }
    std::shared_ptr<wire_end> connect() {
        auto end = std::make_shared<wire_end>();
        above_->accepted(std::make_unique<hostile_link>(end));
        world_->run_until_idle();
        return end;
    }
    void say(const std::shared_ptr<wire_end>& end, std::span<const std::byte> what) {
        feed(*above_, end, what);
        world_->run_until_idle();
    }
    static bool is_open(const std::shared_ptr<wire_end>& end) { return end->link && end->link->events; }
    // The last control message of that kind that was said to it.
    template <class T>
    static std::optional<T> told(const std::shared_ptr<wire_end>& end) {
        std::optional<T> last;
        std::size_t at = 0;
        net::parsed_frame f;
        while (net::parse_frame(std::span{end->from_node}.subspan(at), 1u << 20, f) == errc::ok) {
            at += f.size;
            if (f.header.kind != net::frame_kind::control) continue;
            const bytes copy{f.body.begin(), f.body.end()};
            auto message = net::decode(copy);
            if (auto* m = message ? std::get_if<T>(&*message) : nullptr) last = std::move(*m);
        }
        return last;
    }
    static net::hello stranger() {
        net::hello h;
        h.node = 0xbad;
        h.name = "bad";
        h.as = net::role::peer;
        h.with_secret = true;
        return h;
    }
    void expect_out(const std::shared_ptr<wire_end>& end) {
        EXPECT_FALSE(is_open(end));
        EXPECT_EQ(lines_with(*world_, "linked to node"), 0u);
    }

    testing::world* world_ = nullptr;
    std::shared_ptr<hostile_transport> above_;
};

// Two nodes with the secret, "top" and "leaf", and somebody between them who changes one byte of what one of them says.
class Between : public Handshake {
protected:
    void begin_both(testing::world& world) {
        begin(world);
        below_ = std::make_shared<hostile_transport>();
        register_transport(below_);
        network_options o;
        o.parent = "hostile://top";
        o.secret = "known to both";
        ASSERT_TRUE(world.start(supervisor_spec{}, "leaf", o));
    }
    // Passes on what the two say, until nothing more comes. True if they are linked then.
    template <class Change>
    bool join(Change change) {
        while (!below_->connected) world_->advance(10ms);
        const auto top = connect();
        const auto leaf = std::make_shared<wire_end>();
        std::exchange(below_->connected,
                      nullptr)(std::unique_ptr<byte_link>{std::make_unique<hostile_link>(leaf)});
        world_->run_until_idle();
        for (int round = 0; round < 6; ++round)
            for (const bool leaf_speaks : {true, false}) {
                bytes said = std::exchange((leaf_speaks ? leaf : top)->from_node, {});
                net::parsed_frame f;
                std::size_t at = 0;
                bytes passed;
                while (net::parse_frame(std::span{said}.subspan(at), 1u << 20, f) == errc::ok) {
                    at += f.size;
                    bytes body{f.body.begin(), f.body.end()};
                    if (f.header.kind == net::frame_kind::control) change(leaf_speaks, body);
                    append_frame(passed, f.header, body);
                }
                feed(leaf_speaks ? *above_ : *below_, leaf_speaks ? top : leaf, passed);
                world_->run_until_idle();
            }
        const bool linked = is_open(top) && is_open(leaf) && lines_with(*world_, "linked to node") == 2;
        hang_up(*above_, top);
        hang_up(*below_, leaf);
        world_->run_until_idle();
        return linked;
    }

    std::shared_ptr<hostile_transport> below_;
};

// Whatever the byte means, and if it means nothing: both sides prove what they have said and heard.
TEST_F(Between, NobodyChangesAByteOfAHelloUnnoticed) {
    for (const bool of_leaf : {true, false})
        in_a_world([&](testing::world& world) {
            begin_both(world);
            std::size_t size = 1;
            for (std::size_t byte = 0; byte < size; ++byte) {
                const bool linked = join([&](bool leaf_speaks, bytes& body) {
                    const auto message = net::decode(body);
                    if (leaf_speaks != of_leaf || !message || !std::get_if<net::hello>(&*message)) return;
                    size = body.size();
                    body[byte] ^= std::byte{1};
                });
                ASSERT_FALSE(linked) << "byte " << byte;
                ASSERT_EQ(lines_with(world, "linked to node"), 0u) << "byte " << byte;
            }
            EXPECT_GT(size, 100u);
            EXPECT_TRUE(join([](bool, bytes&) {}));
        });
}

TEST_F(Between, NobodyChangesAByteOfAProofUnnoticed) {
    for (const bool of_leaf : {true, false})
        in_a_world([&](testing::world& world) {
            begin_both(world);
            std::size_t hit = 0;
            for (std::size_t byte = 0; byte < net::mac{}.size(); ++byte) {
                const bool linked = join([&](bool leaf_speaks, bytes& body) {
                    const auto message = net::decode(body);
                    const auto* p = message ? std::get_if<net::proof>(&*message) : nullptr;
                    if (leaf_speaks != of_leaf || !p) return;
                    net::proof wrong = *p;
                    wrong.code[byte] ^= std::byte{0x80};
                    body = net::encode(wrong);
                    ++hit;
                });
                ASSERT_FALSE(linked) << "byte " << byte;
            }
            EXPECT_EQ(hit, net::mac{}.size());
            EXPECT_TRUE(join([](bool, bytes&) {}));
        });
}

// ---------------------------------------------------------------- a stranger who does not know the secret

TEST_F(Handshake, IsNotPassedByThatWhichTheNodeItselfHasProved) {
    in_a_world([&](testing::world& world) {
        begin(world);
        const auto end = connect();
        say(end, control_frame(stranger()));
        const auto proof = told<net::proof>(end);
        ASSERT_TRUE(proof);
        say(end, control_frame(*proof));
        expect_out(end);
        const auto told_why = told<net::refusal>(end);
        ASSERT_TRUE(told_why);
        EXPECT_EQ(told_why->code, errc::wrong_secret);
    });
}

TEST_F(Handshake, IsNotPassedWithoutAProofWhateverElseIsSaid) {
    const bytes hello = control_frame(stranger());
    const bytes welcome = control_frame(net::welcome{});
    const bytes proof = control_frame(net::proof{});
    bytes mail;
    append_frame(mail, {.kind = net::frame_kind::envelope, .epoch = 1},
                 envelope_of(net::record::message, 0, 1));
    const bytes routes = control_frame(net::routes{});
    const std::vector<std::vector<bytes>> all{
        {hello, welcome},
        {hello, welcome, welcome},
        {welcome, hello},
        {proof},
        {proof, hello, welcome},
        {hello, proof, welcome},
        {mail},
        {hello, mail},
        {hello, welcome, mail},
        {routes},
        {hello, welcome, routes},
        {hello, hello, welcome, welcome},
    };
    for (std::size_t n = 0; n < all.size(); ++n)
        in_a_world([&](testing::world& world) {
            SCOPED_TRACE(n);
            begin(world);
            const auto end = connect();
            for (const bytes& one : all[n]) say(end, one);
            EXPECT_FALSE(told<net::welcome>(end));
            world.advance(limits::handshake_deadline + 1s);
            expect_out(end);
        });
}

// Else what was heard once could be said again.
TEST_F(Handshake, BeginsEachTimeWithAnotherChallenge) {
    in_a_world([&](testing::world& world) {
        begin(world);
        const auto first = told<net::hello>(connect());
        const auto second = told<net::hello>(connect());
        ASSERT_TRUE(first && second);
        EXPECT_NE(first->challenge, second->challenge);
        EXPECT_NE(first->challenge, net::nonce{});
    });
}

// ---------------------------------------------------------------- limits, before anybody is believed

TEST_F(Handshake, ReadsNoFrameThatIsLongerThanAHandshake) {
    in_a_world([&](testing::world& world) {
        begin(world);
        for (const std::uint32_t length : {std::uint32_t{limits::handshake_bytes} + 8, 200'000u}) {
            const auto end = connect();
            net::frame_header h;
            h.kind = net::frame_kind::control;
            h.length = length;
            bytes frame(sizeof h);
            net::write_frame(frame.data(), h, nullptr);
            say(end, frame);  // no more than its beginning is needed to know
            expect_out(end);
        }
    });
}

}  // namespace
}  // namespace coppice::tests
