// crc32c: the vectors of RFC 3720, and the two ways of computing against each other and against one bit at a time.
// Threads: one.
#include "net/crc32c.hpp"

#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace coppice::net {
namespace {

// By definition: one bit at a time, nothing prepared.
std::uint32_t by_bits(std::uint32_t seed, const unsigned char* data, std::size_t bytes) {
    std::uint32_t sum = ~seed;
    for (std::size_t i = 0; i < bytes; ++i) {
        sum ^= data[i];
        for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) ? 0x82f63b78u : 0u);
    }
    return ~sum;
}

std::vector<unsigned char> random_bytes(std::mt19937_64& random, std::size_t bytes) {
    std::vector<unsigned char> all(bytes);
    for (unsigned char& b : all) b = static_cast<unsigned char>(random());
    return all;
}

struct vector_of_rfc3720 {
    std::vector<unsigned char> bytes;
    std::uint32_t sum;
};

// Appendix B.4, whose sums are printed there byte by byte, the lowest first.
std::vector<vector_of_rfc3720> vectors() {
    std::vector<unsigned char> up(32);
    std::vector<unsigned char> down(32);
    for (unsigned i = 0; i < 32; ++i) {
        up[i] = static_cast<unsigned char>(i);
        down[i] = static_cast<unsigned char>(31 - i);
    }
    const std::vector<unsigned char> read_command{
        0x01, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x14, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x14, 0x00, 0x00, 0x00, 0x18,
        0x28, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    return {{std::vector<unsigned char>(32, 0x00), 0x8a9136aa},
            {std::vector<unsigned char>(32, 0xff), 0x62a8ab43},
            {up, 0x46dd794e},
            {down, 0x113fdb5c},
            {read_command, 0xd9963a56}};
}

TEST(Crc32c, GivesTheSumsOfRfc3720) {
    for (const vector_of_rfc3720& v : vectors()) {
        EXPECT_EQ(crc32c(0, v.bytes.data(), v.bytes.size()), v.sum);
        EXPECT_EQ(crc::crc32c_table(0, v.bytes.data(), v.bytes.size()), v.sum);
        EXPECT_EQ(by_bits(0, v.bytes.data(), v.bytes.size()), v.sum);
    }
    constexpr std::string_view digits = "123456789";
    EXPECT_EQ(crc32c(0, digits.data(), digits.size()), 0xe3069283u);
}

TEST(Crc32c, LeavesTheSeedAsItIsForNoBytes) {
    for (const std::uint32_t seed : {0u, 1u, 0xffffffffu, 0x8a9136aau}) {
        EXPECT_EQ(crc32c(seed, nullptr, 0), seed);
        EXPECT_EQ(crc::crc32c_table(seed, nullptr, 0), seed);
    }
}

TEST(Crc32c, IsTheSameByInstructionAndByTableAtEveryShortLengthAndAlignment) {
    std::mt19937_64 random{1};
    const auto bytes = random_bytes(random, 512 + 16);
    for (std::size_t offset = 0; offset < 16; ++offset) {
        for (std::size_t length = 0; length <= 512; ++length) {
            const auto seed = static_cast<std::uint32_t>(random());
            const auto sum = crc32c(seed, bytes.data() + offset, length);
            ASSERT_EQ(sum, crc::crc32c_table(seed, bytes.data() + offset, length)) << offset << " " << length;
            ASSERT_EQ(sum, by_bits(seed, bytes.data() + offset, length)) << offset << " " << length;
        }
    }
}

// Around the borders of the interleaved blocks (3 x 256 and 3 x 4096 bytes), and anywhere.
TEST(Crc32c, IsTheSameByInstructionAndByTableForLongBuffers) {
    std::mt19937_64 random{2};
    const auto bytes = random_bytes(random, 100'000);
    std::vector<std::size_t> lengths;
    for (const std::size_t border : {768u, 2u * 768u, 12'288u, 12'288u + 768u, 2u * 12'288u})
        for (std::size_t n = border - 9; n <= border + 9; ++n) lengths.push_back(n);
    for (int i = 0; i < 300; ++i) lengths.push_back(random() % (bytes.size() - 64));
    for (const std::size_t length : lengths) {
        const std::size_t offset = random() % 64;
        const auto seed = static_cast<std::uint32_t>(random());
        ASSERT_EQ(crc32c(seed, bytes.data() + offset, length),
                  crc::crc32c_table(seed, bytes.data() + offset, length))
            << offset << " " << length;
    }
}

TEST(Crc32c, ContinuesWhereAnotherSumEnded) {
    std::mt19937_64 random{3};
    const auto bytes = random_bytes(random, 30'000);
    const std::uint32_t whole = crc32c(0, bytes.data(), bytes.size());
    for (int i = 0; i < 200; ++i) {
        const std::size_t cut = random() % (bytes.size() + 1);
        ASSERT_EQ(crc32c(crc32c(0, bytes.data(), cut), bytes.data() + cut, bytes.size() - cut), whole) << cut;
    }
}

TEST(Crc32c, HasAShortWayForTwelveBytes) {
    std::mt19937_64 random{4};
    const auto bytes = random_bytes(random, 1024 + 12);
    for (std::size_t at = 0; at <= 1024; ++at)
        ASSERT_EQ(crc32c_12(bytes.data() + at), by_bits(0, bytes.data() + at, 12)) << at;
}

TEST(Crc32c, ChangesWithEveryBit) {
    std::mt19937_64 random{5};
    auto bytes = random_bytes(random, 3 * 256 + 5);
    const std::uint32_t sum = crc32c(0, bytes.data(), bytes.size());
    for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
        ASSERT_NE(crc32c(0, bytes.data(), bytes.size()), sum) << bit;
        bytes[bit / 8] ^= static_cast<unsigned char>(1u << (bit % 8));
    }
}

}  // namespace
}  // namespace coppice::net
