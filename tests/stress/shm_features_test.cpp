// Rows of the features that shm links have to show, as far as they are not played elsewhere: S1, S2, S3, S4, S6 and S10 each
// have scenes at the level of rings and links in tests/unit/shm_*_test.cpp (Shm.S1_... and so on; S1 with ten million messages
// between two processes). Here are those that need a node, a frame's checksum, or a crowd that is held up.
#include <cstring>

#include "coppice/transport/shm.hpp"
#include "net/frame.hpp"
#include "support/play.hpp"
#include "support/shm_rig.hpp"

namespace coppice::tests {
namespace {

struct note {
    std::string text;
    using reply = std::uint64_t;  // its length
};
struct ponder {
    using reply = void;  // never comes
};
using slow_protocol = protocol<note, ponder>;

task<> slow(actor<slow_protocol> self) {
    std::vector<request<ponder>> kept;
    while (auto m = co_await self.receive())
        m.match([](request<note> r) { r.reply(r->text.size()); },
                [&](request<ponder> r) { kept.push_back(std::move(r)); });
}

TEST(S2, AnAnswerThatDoesNotComeInTimeIsATypedErrorAndAnEmptyMessageIsDelivered) {
    const own_run_directory here;
    register_transport(shm_transport());
    node upper{"above", listening_at("shm://above?max-ring=4KiB", 1)};
    supervisor_spec spec;
    spec.add(child("slow", in_coroutine, slow));
    ASSERT_TRUE(upper.start(std::move(spec)));
    node lower{"below", below("shm://above?ring=4KiB", 1)};
    ASSERT_TRUE(lower.start(supervisor_spec{}));
    play(lower, [](actor<anything> self) -> task<> {
        auto found = co_await self.resolve<slow_protocol>("/above/slow");
        if (!found) ADD_FAILURE() << found.error().what();
        REQUIRE_OR_END(found);
        const auto before = std::chrono::steady_clock::now();
        auto nothing = co_await self.ask<ponder>(*found, 50ms);
        EXPECT_FALSE(nothing);
        EXPECT_EQ(nothing.error(), errc::timeout) << nothing.error().what();
        EXPECT_GE(std::chrono::steady_clock::now() - before, 50ms);
        // The link is none the worse for it: nothing at all, and far more than the ring holds.
        for (const std::size_t size :
             {std::size_t{0}, std::size_t{1}, std::size_t{100'000}, std::size_t{0}}) {
            auto length = co_await self.ask<note>(*found, 60s, std::string(size, 'x'));
            REQUIRE_OR_END(length);
            EXPECT_EQ(*length, size);
        }
    });
}

#ifdef COPPICE_SANITIZED
constexpr std::size_t crowd = 25;
#else
constexpr std::size_t crowd = 100;
#endif

TEST(S6, AClientThatIsHeldUpWithAFullRingDelaysNoneOfTheOthers) {
    const own_run_directory here;
    io_reactor servers;
    io_reactor clients;
    std::vector<std::unique_ptr<byte_link>> served;
    std::vector<std::unique_ptr<recorder>> owners;
    auto listening =
        shm_transport()->listen(servers, shm_endpoint("shm://app"), [&](std::unique_ptr<byte_link> link) {
            served.push_back(std::move(link));
            owners.push_back(std::make_unique<recorder>());
            byte_link* const own = served.back().get();
            owners.back()->on_received = [own](std::span<const std::byte> bytes) {
                auto rest = bytes;
                write_some(*own, rest);  // an echo
                return bytes.size() - rest.size();
            };
            own->start(*owners.back());
        });
    ASSERT_TRUE(listening) << listening.error().what();
    std::vector<std::unique_ptr<attempt>> attempts;
    std::vector<std::unique_ptr<byte_link>> links;
    for (std::size_t n = 0; n < crowd; ++n)
        attempts.push_back(shm_transport()
                               ->connect(clients, shm_endpoint("shm://app?ring=4KiB"),
                                         [&](result<std::unique_ptr<byte_link>> made) {
                                             links.push_back(std::move(made.value()));
                                         })
                               .value());
    while (links.size() != crowd || served.size() != crowd) {
        clients.run_for(1ms);
        servers.run_for(1ms);
    }
    // One never starts: it reads nothing. What comes back to it fills its ring, and what it sends waits for that.
    byte_link& held_up = *links[0];
    for (int n = 0; n < 8; ++n) {
        const std::string much(1024, 'm');
        static_cast<void>(write_text(held_up, much));
        servers.run_for(1ms);
    }
    EXPECT_TRUE(held_up.reserve(2048).empty()) << "it is not held up";
    std::vector<recorder> talkers(crowd);
    for (std::size_t n = 1; n < crowd; ++n) links[n]->start(talkers[n]);
    for (std::size_t round = 1; round <= 50; ++round) {
        for (std::size_t n = 1; n < crowd; ++n) ASSERT_TRUE(write_text(*links[n], std::to_string(n) + ";"));
        const auto answered = [&](std::size_t n) {
            return talkers[n].bytes.size() == round * (std::to_string(n).size() + 1);
        };
        for (std::size_t n = 1; n < crowd; ++n)
            while (!answered(n)) {
                servers.run_ready();
                clients.run_for(1ms);
            }
    }
    for (std::size_t n = 1; n < crowd; ++n) {
        std::string expected;
        for (int round = 0; round < 50; ++round) expected += std::to_string(n) + ";";
        EXPECT_EQ(text_of(talkers[n].bytes), expected);
        EXPECT_FALSE(talkers[n].end);
    }
}

// Every bit of frames in a segment, flipped by a third hand after they were published and before they are read.
TEST(S10, AFlippedBitInTheSegmentIsDetectedAndItsFrameNeverDelivered) {
    const own_run_directory here;
    io_reactor on;
    constexpr std::size_t ring = 4096;
    joined_links both{on, ring};
    recorder from;
    recorder to;
    std::optional<errc> seen;
    to.on_received = [&](std::span<const std::byte> shown) {
        net::parsed_frame frame;
        seen = net::parse_frame(shown, 1024, frame);
        return shown.size();
    };
    both.connector->start(from);
    both.acceptor->start(to);

    constexpr std::size_t body = 100;
    constexpr std::size_t size = net::frame_bytes(body, true);
    std::size_t position = 0;
    const auto play_one = [&](std::optional<std::size_t> flipped) {
        const auto room = both.connector->reserve(size);
        ASSERT_GE(room.size(), size);
        const net::frame_route route{.destination = 1, .source = 2};
        std::memset(room.data(), 0, size);
        std::byte* const at = net::write_frame(
            room.data(), {.length = body, .kind = net::frame_kind::envelope, .flags = 0}, &route);
        std::memset(at, 0x3c, body);
        net::seal_frame(room.data());
        both.connector->commit(size);
        both.connector->flush();
        if (flipped) {
            std::byte& hit = both.hand.data(shm::side::connector)[(position + *flipped / 8) % ring];
            hit ^= std::byte{1} << static_cast<int>(*flipped % 8);
        }
        position += size;
        seen.reset();
        on.run_until([&] { return seen.has_value(); });
    };
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
        play_one(bit);
        ASSERT_TRUE(seen);
        // A length that has grown waits for bytes that do not come; all else is refused at once.
        EXPECT_NE(*seen, errc::ok) << "bit " << bit;
        if (bit >= 32) {
            EXPECT_EQ(*seen, errc::bad_message) << "bit " << bit;
        }
        if (bit % 64 == 0) {
            play_one({});
            ASSERT_TRUE(seen);
            EXPECT_EQ(*seen, errc::ok) << "a whole frame after bit " << bit;
        }
    }
}

}  // namespace
}  // namespace coppice::tests
