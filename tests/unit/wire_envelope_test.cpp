// The envelope's 64 bytes by hand against those of Cap'n Proto's builder, and every other encoding through its reader.
#include "wire/envelope.hpp"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "envelope.capnp.h"
#include "support/wire_bytes.hpp"

namespace coppice::tests {
namespace {

using wire::envelope_fields;

envelope_fields random_fields(std::mt19937_64& random) {
    const auto number = [&] { return random() >> random() % 64; };
    return {static_cast<std::uint16_t>(number()),
            static_cast<std::uint16_t>(number()),
            static_cast<std::uint32_t>(number()),
            number(),
            number(),
            number(),
            number(),
            number()};
}

void fill(schema::Envelope::Builder to, const envelope_fields& f) {
    to.setKind(f.kind);
    to.setFlags(f.flags);
    to.setAux(f.aux);
    to.setTarget(f.target);
    to.setSender(f.sender);
    to.setType(f.type);
    to.setCorrelation(f.correlation);
    to.setSequence(f.sequence);
}

words by_hand(const envelope_fields& fields, std::span<const std::byte> payload) {
    words out(8 + wire::padded_payload(payload.size()) / 8);
    wire::write_envelope(reinterpret_cast<std::byte*>(out.data()), fields,
                         static_cast<std::uint32_t>(payload.size()));
    if (!payload.empty()) std::memcpy(out.data() + 8, payload.data(), payload.size());
    return out;
}

std::vector<std::byte> random_payload(std::mt19937_64& random, std::size_t size) {
    std::vector<std::byte> payload(size);
    for (std::byte& b : payload) b = static_cast<std::byte>(random());
    return payload;
}

void expect_same(const envelope_fields& a, const envelope_fields& b) {
    EXPECT_EQ(std::memcmp(&a, &b, sizeof a), 0);
}

TEST(WireEnvelope, HasTheBytesOfTheBuilderForEveryKindAndLength) {
    std::mt19937_64 random{1};
    for (std::size_t size = 0; size < 300; ++size) {
        envelope_fields fields = random_fields(random);
        fields.kind = static_cast<std::uint16_t>(size % 64);
        const auto payload = random_payload(random, size);
        one_segment message;
        auto root = message->initRoot<schema::Envelope>();
        fill(root, fields);
        root.setPayload(kj::arrayPtr(reinterpret_cast<const kj::byte*>(payload.data()), payload.size()));
        EXPECT_EQ(by_hand(fields, payload), message.take()) << size << " bytes";
    }
}

TEST(WireEnvelope, IsReadByTheGeneratedReader) {
    std::mt19937_64 random{2};
    for (const std::size_t size : {0u, 1u, 7u, 8u, 9u, 64u, 1000u, 65536u}) {
        const envelope_fields fields = random_fields(random);
        const auto payload = random_payload(random, size);
        const words bytes = by_hand(fields, payload);
        const kj::ArrayPtr<const capnp::word> segment{reinterpret_cast<const capnp::word*>(bytes.data()),
                                                      bytes.size()};
        capnp::SegmentArrayMessageReader reader{kj::arrayPtr(&segment, 1)};
        const auto root = reader.getRoot<schema::Envelope>();
        EXPECT_EQ(root.getKind(), fields.kind);
        EXPECT_EQ(root.getFlags(), fields.flags);
        EXPECT_EQ(root.getAux(), fields.aux);
        EXPECT_EQ(root.getTarget(), fields.target);
        EXPECT_EQ(root.getSender(), fields.sender);
        EXPECT_EQ(root.getType(), fields.type);
        EXPECT_EQ(root.getCorrelation(), fields.correlation);
        EXPECT_EQ(root.getSequence(), fields.sequence);
        ASSERT_EQ(root.getPayload().size(), size);
        EXPECT_TRUE(std::equal(payload.begin(), payload.begin() + static_cast<std::ptrdiff_t>(size),
                               reinterpret_cast<const std::byte*>(root.getPayload().begin())));
    }
}

TEST(WireEnvelope, IsReadBackAsItWasWritten) {
    std::mt19937_64 random{3};
    for (std::size_t size = 0; size < 100; ++size) {
        const envelope_fields fields = random_fields(random);
        const auto payload = random_payload(random, size);
        const words bytes = by_hand(fields, payload);
        wire::envelope_view view{};
        ASSERT_EQ(wire::read_envelope(bytes_of(bytes), view), errc::ok);
        expect_same(view.fields, fields);
        EXPECT_TRUE(std::equal(view.payload.begin(), view.payload.end(), payload.begin(), payload.end()));
    }
}

TEST(WireEnvelope, OfALaterSchemaIsReadWithoutWhatIsNew) {
    std::mt19937_64 random{4};
    for (int round = 0; round < 500; ++round) {
        const envelope_fields fields = random_fields(random);
        const auto payload = random_payload(random, random() % 100);
        const auto data = static_cast<std::uint16_t>(6 + random() % 5);
        const auto pointers = static_cast<std::uint16_t>(1 + random() % 3);
        one_segment message;
        auto any = message->getRoot<capnp::AnyPointer>().initAsAnyStruct(data, pointers);
        for (auto& byte : any.getDataSection()) byte = static_cast<kj::byte>(random());
        if (pointers > 1 && random() % 2) any.getPointerSection()[1].setAs<capnp::Text>("something new");
        auto root = any.as<schema::Envelope>();
        fill(root, fields);
        root.setPayload(kj::arrayPtr(reinterpret_cast<const kj::byte*>(payload.data()), payload.size()));
        const words bytes = message.take();
        wire::envelope_view view{};
        ASSERT_EQ(wire::read_envelope(bytes_of(bytes), view), errc::ok);
        expect_same(view.fields, fields);
        EXPECT_TRUE(std::equal(view.payload.begin(), view.payload.end(), payload.begin(), payload.end()));
    }
}

TEST(WireEnvelope, OfAnEarlierSchemaHasZerosForWhatIsMissing) {
    one_segment message;
    auto any = message->getRoot<capnp::AnyPointer>().initAsAnyStruct(2, 0);
    any.getDataSection()[0] = 5;  // kind
    any.getDataSection()[8] = 7;  // target
    wire::envelope_view view{};
    ASSERT_EQ(wire::read_envelope(bytes_of(message.take()), view), errc::ok);
    expect_same(view.fields, {5, 0, 0, 7, 0, 0, 0, 0});
    EXPECT_TRUE(view.payload.empty());
}

TEST(WireEnvelope, IsRefusedAtEveryCut) {
    std::mt19937_64 random{5};
    const words whole = by_hand(random_fields(random), random_payload(random, 21));
    for (std::size_t cut = 0; cut < whole.size() * 8; ++cut) {
        const std::vector<std::byte> part(bytes_of(whole).begin(),
                                          bytes_of(whole).begin() + static_cast<std::ptrdiff_t>(cut));
        wire::envelope_view view{};
        EXPECT_EQ(wire::read_envelope(part, view), errc::bad_message) << "cut at " << cut;
    }
}

TEST(WireEnvelope, WithAPointerThatLeadsAstrayIsRefused) {
    std::mt19937_64 random{6};
    const words whole = by_hand(random_fields(random), random_payload(random, 16));
    const std::uint64_t roots[] = {
        std::uint64_t{6} << 32 | std::uint64_t{1} << 48 | 100 << 2,     // beyond the end
        std::uint64_t{6} << 32 | std::uint64_t{1} << 48 | 0xffff'fff0,  // before the beginning
        std::uint64_t{0xffff} << 32 | std::uint64_t{1} << 48,           // larger than the segment
        2 | std::uint64_t{7} << 32,                                     // far, to a segment that there is not
        3,                                                              // a capability
        1 | std::uint64_t{2} << 32 | std::uint64_t{8} << 35,            // a list
    };
    for (const std::uint64_t root : roots) {
        words damaged = whole;
        damaged[0] = root;
        wire::envelope_view view{};
        EXPECT_EQ(wire::read_envelope(bytes_of(damaged), view), errc::bad_message) << std::hex << root;
    }
    const std::uint64_t lists[] = {
        1 | std::uint64_t{2} << 32 | std::uint64_t{17} << 35,           // a byte too many
        1 | std::uint64_t{2} << 32 | std::uint64_t{0x1fff'ffff} << 35,  // as long as can be said
        1 | 50 << 2 | std::uint64_t{2} << 32 | std::uint64_t{1} << 35,  // beyond the end
        1 | std::uint64_t{5} << 32 | std::uint64_t{1} << 35,            // of words
        1 | std::uint64_t{0} << 32 | std::uint64_t{0x1fff'ffff} << 35,  // of nothing, half a billion times
        std::uint64_t{1} << 32,                                         // a struct
    };
    for (const std::uint64_t list : lists) {
        words damaged = whole;
        damaged[7] = list;
        wire::envelope_view view{};
        EXPECT_EQ(wire::read_envelope(bytes_of(damaged), view), errc::bad_message) << std::hex << list;
    }
}

TEST(WireEnvelope, NeverReadsBeyondDamagedBytes) {
    std::mt19937_64 random{7};
    int accepted = 0;
    for (int round = 0; round < 20000; ++round) {
        words damaged = by_hand(random_fields(random), random_payload(random, random() % 64));
        for (std::uint64_t flips = 1 + random() % 3; flips > 0; --flips)
            damaged[random() % 2 ? 0 : 7] ^= std::uint64_t{1} << random() % 64;
        wire::envelope_view view{};
        if (wire::read_envelope(bytes_of(damaged), view) != errc::ok) continue;
        ++accepted;
        const auto* begin = reinterpret_cast<const std::byte*>(damaged.data());
        ASSERT_TRUE(view.payload.empty() ||
                    (view.payload.data() >= begin &&
                     view.payload.data() + view.payload.size() <= begin + damaged.size() * 8));
    }
    EXPECT_GT(accepted, 0);
}

}  // namespace
}  // namespace coppice::tests
