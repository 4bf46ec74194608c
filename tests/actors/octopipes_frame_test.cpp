// Frames of the Octopipes protocol: bytes that were written down by hand from its layout, both ways; and what is wrong with others.
// Plain values, no pipes.
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "actors/octopipes_rig.hpp"

namespace coppice::tests {
namespace {

std::vector<std::byte> hex(std::string_view text) {
    std::vector<std::byte> out;
    unsigned value = 0;
    int digits = 0;
    for (const char c : text) {
        if (c == ' ') continue;
        value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : c - 'a' + 10);
        if (++digits % 2 == 0) out.push_back(static_cast<std::byte>(std::exchange(value, 0)));
    }
    return out;
}

struct golden {
    pipes::frame frame;
    const char* bytes;
};

// The checksums are sums of these very digits, not of a program's.
std::vector<golden> golden_frames() {
    return {
        // 01^01 ^01^61 ^01^62 ^05 ^02(size) ^00 ^02(start) ^68^69 ^03 = 04
        {{"a", "b", 5, 0, blob{std::string{"hi"}}},
         "01 01 01 61 01 62 05 0000000000000002 00 04 02 68 69 03"},
        // From the broker to "a", no data: 01^01 ^00 ^01^61 ^00 ^00 ^00 ^02 ^03 = 61
        {{"", "a", 0, 0, {}}, "01 01 00 01 61 00 0000000000000000 00 61 02 03"},
        // An ACK, options 2: 01^01 ^01^62 ^01^61 ^ff ^00 ^02 ^02 ^03 = ff
        {{"b", "a", 255, pipes::is_ack, {}}, "01 01 01 62 01 61 ff 0000000000000000 02 ff 02 03"},
        // Asks for an ACK, options 1; the data are the very bytes that delimit frames: 01^01 ^01^61 ^01^62 ^00 ^03 ^01 ^02 ^01^02^03 ^03 = 00
        {{"a", "b", 0, pipes::asks_ack, blob{std::string{"\1\2\3"}}},
         "01 01 01 61 01 62 00 0000000000000003 01 00 02 01 02 03 03"},
        // Its checksum is to be ignored, options 4: it is 0
        {{"a", "b", 5, pipes::ignores_checksum, blob{std::string{"hi"}}},
         "01 01 01 61 01 62 05 0000000000000002 04 00 02 68 69 03"},
    };
}

TEST(OctopipesFrame, O8_GoldenFramesAreWrittenAsTheProtocolSays) {
    for (const golden& g : golden_frames())
        EXPECT_EQ(pipes::encode(g.frame).value(), hex(g.bytes)) << g.bytes;
}

TEST(OctopipesFrame, O8_GoldenFramesAreReadWholeAndByteByByte) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{4096}}) {
        pipes::decoder d;
        std::vector<std::byte> all;
        for (const golden& g : golden_frames())
            for (const std::byte b : hex(g.bytes)) all.push_back(b);
        std::vector<pipes::frame> got;
        for (std::size_t at = 0; at < all.size(); at += piece) {
            d.feed(std::span{all}.subspan(at, std::min(piece, all.size() - at)));
            while (auto o = d.next()) {
                ASSERT_EQ(o->why, pipes::fault::none) << pipes::to_string(o->why);
                got.push_back(o->got);
            }
        }
        const auto wanted = golden_frames();
        ASSERT_EQ(got.size(), wanted.size());
        for (std::size_t i = 0; i < got.size(); ++i) {
            EXPECT_EQ(got[i].from, wanted[i].frame.from);
            EXPECT_EQ(got[i].to, wanted[i].frame.to);
            EXPECT_EQ(got[i].ttl, wanted[i].frame.ttl);
            EXPECT_EQ(got[i].options, wanted[i].frame.options);
            EXPECT_EQ(got[i].data, wanted[i].frame.data);
        }
        EXPECT_FALSE(d.within());
    }
}

TEST(OctopipesFrame, O8_RequestsAndAnswersHaveTheirBytesBothWays) {
    const auto groups = hex("01 02 03 616c6c 01 78");
    const auto s = pipes::encode(pipes::subscription{{"all", "x"}}).value();
    EXPECT_EQ(std::vector(s.begin(), s.end()), groups);
    EXPECT_EQ(pipes::read_subscription(groups).value().groups, (std::vector<std::string>{"all", "x"}));

    const auto told = hex("ff 00 02 2f74 02 2f72");
    const auto a = pipes::encode(pipes::assignment{0, "/t", "/r"}).value();
    EXPECT_EQ(std::vector(a.begin(), a.end()), told);
    EXPECT_EQ(pipes::read_assignment(told).value().send_path, "/t");
    EXPECT_EQ(pipes::read_assignment(told).value().receive_path, "/r");
    EXPECT_EQ(pipes::read_assignment(hex("ff 01 00 00")).value().error, pipes::name_is_taken);
    EXPECT_EQ(pipes::read_assignment(hex("ff 01")).value().error, pipes::name_is_taken);

    EXPECT_TRUE(pipes::is_unsubscription(hex("02")));
    for (const char* wrong : {"", "01", "01 01", "01 02 01 61", "01 01 02 61", "02 00", "01 00 00"})
        EXPECT_FALSE(pipes::read_subscription(hex(wrong))) << wrong;
    for (const char* wrong : {"", "ff", "ff 00", "ff 00 02 61", "ff 00 00", "01 00 00 00"})
        EXPECT_FALSE(pipes::read_assignment(hex(wrong))) << wrong;
}

// What the reader says of bytes, in order, behind which a good frame follows.
std::vector<std::string> said_of(std::vector<std::byte> bytes, std::size_t piece, std::uint64_t most = 1000) {
    for (const std::byte b : encoded("x", "y", "good")) bytes.push_back(b);
    pipes::decoder d{most};
    std::vector<std::string> said;
    const auto hear = [&] {
        while (auto o = d.next()) {
            const std::string text =
                o->why == pipes::fault::none ? text_of(o->got.data) : std::string{pipes::to_string(o->why)};
            // Bytes that are no frame are told as they come.
            if (said.empty() || said.back() != text || o->why != pipes::fault::not_a_frame)
                said.push_back(text);
        }
    };
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        d.feed(std::span{bytes}.subspan(at, std::min(piece, bytes.size() - at)));
        hear();
    }
    while (d.within()) d.abandon(), hear();  // what looked like a long frame, and hid the last one
    return said;
}

TEST(OctopipesFrame, O17_WhatIsWrongIsNamedAndTheNextFrameIsFound) {
    auto flipped = encoded("a", "b", "hello");
    flipped[18] ^= std::byte{1};
    auto later = encoded("a", "b", "hello");
    later[1] = std::byte{2};
    auto endless = encoded("a", "b", "hello");
    endless.back() = std::byte{0};
    auto cut = encoded("a", "b", "hello");
    cut.pop_back();
    auto no_start = encoded("a", "b", "hello");
    no_start[17] = std::byte{9};
    struct wrong {
        std::vector<std::byte> bytes;
        const char* said;
    };
    for (const std::size_t piece : {std::size_t{1}, std::size_t{4096}}) {
        for (const wrong& w :
             {wrong{flipped, "bad checksum"}, wrong{later, "unknown version"}, wrong{endless, "no end byte"},
              wrong{cut, "no end byte"}, wrong{bytes_of("rubbish"), "not a frame"},
              wrong{encoded("a", "b", std::string(1001, 'x')), "too large"}, wrong{no_start, "not a frame"}})
            EXPECT_EQ(said_of(w.bytes, piece), (std::vector<std::string>{w.said, "good"}))
                << w.said << " in " << piece;
    }
}

TEST(OctopipesFrame, O8_ACorruptFrameIsTakenIfItSaysThatItsChecksumBeIgnored) {
    auto flipped = encoded("a", "b", "hello", 0, pipes::ignores_checksum);
    flipped[18] ^= std::byte{1};
    EXPECT_EQ(said_of(flipped, 4096), (std::vector<std::string>{"iello", "good"}));
}

TEST(OctopipesFrame, NamesOfMoreThan255BytesAreRefused) {
    EXPECT_TRUE(pipes::encode(pipes::frame{std::string(255, 'a'), std::string(255, 'b'), 0, 0, {}}));
    EXPECT_EQ(pipes::encode(pipes::frame{std::string(256, 'a'), "b", 0, 0, {}}).error(), errc::bad_name);
    EXPECT_EQ(pipes::encode(pipes::subscription{{std::string(256, 'a')}}).error(), errc::bad_name);
    EXPECT_EQ(pipes::encode(pipes::subscription{std::vector<std::string>(256, "g")}).error(),
              errc::invalid_argument);
}

}  // namespace
}  // namespace coppice::tests
