// The bytes that docs/wire_format.md shows. A change of one of them is a change of the protocol.
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/frame.hpp"
#include "support/wire_bytes.hpp"
#include "wire/envelope.hpp"

namespace coppice::tests {
namespace {

struct order {
    std::uint64_t id = 7;
    std::string what = "seven";
};

constexpr std::string_view order_bytes =
    "00 00 00 00 00 00 01 00  01 00 00 00 37 00 00 00  08 00 00 00 02 00 01 00  03 00 00 00 00 00 00 00 "
    "07 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  05 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 "
    "01 00 00 00 32 00 00 00  73 65 76 65 6e 00 00 00";

std::vector<std::byte> bytes_from(std::string_view hex) {
    std::istringstream in{std::string{hex}};
    std::vector<std::byte> bytes;
    for (unsigned b = 0; in >> std::hex >> b;) bytes.push_back(static_cast<std::byte>(b));
    return bytes;
}
std::vector<std::byte> copy_of(std::span<const std::byte> b) { return {b.begin(), b.end()}; }

TEST(WireGolden, ARecordHasTheBytesOfTheDocumentation) {
    EXPECT_EQ(copy_of(bytes_of(encode(order{}))), bytes_from(order_bytes));
    const auto read = decode<order>(std::span<const std::byte>{bytes_from(order_bytes)});
    ASSERT_TRUE(read);
    EXPECT_EQ(read->id, 7u);
    EXPECT_EQ(read->what, "seven");
}

TEST(WireGolden, ATextHasTheBytesOfTheDocumentation) {
    EXPECT_EQ(copy_of(bytes_of(encode(std::string{"hi"}))),
              bytes_from("00 00 00 00 02 00 01 00  05 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00 "
                         "01 00 00 00 1a 00 00 00  68 69 00 00 00 00 00 00"));
}

TEST(WireGolden, AnEnvelopeHasTheBytesOfTheDocumentation) {
    std::vector<std::byte> out(wire::envelope_bytes);
    const wire::envelope_fields fields{
        1, 0, 0, 0x0040'0001'0000'0002, 0x0040'0003'0000'0004, type_id("shop::order"), 0, 1};
    wire::write_envelope(out.data(), fields, 80);
    EXPECT_EQ(out, bytes_from("00 00 00 00 06 00 01 00  01 00 00 00 00 00 00 00  02 00 00 00 01 00 40 00 "
                              "04 00 00 00 03 00 40 00  fb 77 bc c3 97 69 dc 5b  00 00 00 00 00 00 00 00 "
                              "01 00 00 00 00 00 00 00  01 00 00 00 82 02 00 00"));
}

TEST(WireGolden, FramesHaveTheBytesOfTheDocumentation) {
    std::vector<std::byte> ping(net::frame_bytes(0, false));
    net::write_frame(ping.data(), net::frame_header{}, nullptr);
    EXPECT_EQ(ping, bytes_from("00 00 00 00 01 02 00 00 00 00 00 00 ea 91 5a b2"));

    std::vector<std::byte> mail(net::frame_bytes(144, true));
    net::frame_header h;
    h.kind = net::frame_kind::envelope;
    h.epoch = 1;
    h.length = 144;
    const net::frame_route route{0x1111, 0x2222};
    std::byte* body = net::write_frame(mail.data(), h, &route);
    EXPECT_EQ(copy_of(std::span{mail}.first(32)),
              bytes_from("90 00 00 00 01 04 01 00 01 00 00 00 81 d4 ae 25 11 11 00 00 00 00 00 00 22 22 00 "
                         "00 00 00 00 00"));
    const wire::envelope_fields fields{
        1, 0, 0, 0x0040'0001'0000'0002, 0x0040'0003'0000'0004, type_id("shop::order"), 0, 1};
    wire::write_envelope(body, fields, 80);
    const std::vector<std::byte> message = bytes_from(order_bytes);
    std::memcpy(body + wire::envelope_bytes, message.data(), message.size());
    net::seal_frame(mail.data());
    EXPECT_EQ(copy_of(std::span{mail}.first(32)),
              bytes_from("90 00 00 00 01 04 03 00 01 00 00 00 6d b7 cd 1e 11 11 00 00 00 00 00 00 22 22 00 "
                         "00 00 00 00 00"));
}

}  // namespace
}  // namespace coppice::tests
