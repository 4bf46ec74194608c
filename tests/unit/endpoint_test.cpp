// Endpoints: what their text means, that text and endpoint are the same thing, and what is said of a text that is none.
#include "coppice/endpoint.hpp"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace coppice::tests {
namespace {

endpoint parsed(std::string_view uri) {
    auto e = endpoint::parse(uri);
    EXPECT_TRUE(e) << e.error().what();
    return e ? *e : endpoint{};
}

std::string refused(std::string_view uri) {
    const auto e = endpoint::parse(uri);
    EXPECT_FALSE(e) << uri << " is taken for " << (e ? e->to_string() : "");
    if (e) return {};
    EXPECT_EQ(e.error(), errc::invalid_argument);
    return std::string{e.error().text()};
}

TEST(Endpoint, ReadsHostPortAndActor) {
    const endpoint e = parsed("tcp://127.0.0.1:4711/app/counter");
    EXPECT_EQ(e.scheme, "tcp");
    EXPECT_EQ(e.host, "127.0.0.1");
    EXPECT_EQ(e.port, 4711);
    EXPECT_EQ(e.path, "");
    EXPECT_EQ(e.actor, "/app/counter");
}

TEST(Endpoint, ReadsAnIpv6AddressInBrackets) {
    const endpoint e = parsed("tcp://[fe80::1%25lo]:80");
    EXPECT_EQ(e.host, "fe80::1%lo");
    EXPECT_EQ(e.port, 80);
    EXPECT_EQ(parsed(e.to_string()), e);
}

TEST(Endpoint, ReadsASocketsPathAndAnActorBehindIt) {
    const endpoint e = parsed("unix:///run/app/node.sock#/app/counter");
    EXPECT_EQ(e.host, "");
    EXPECT_EQ(e.path, "/run/app/node.sock");
    EXPECT_EQ(e.actor, "/app/counter");
}

TEST(Endpoint, ReadsOptionsWithPercentSigns) {
    const endpoint e = parsed("tls://h:1?cert=/a%20b/c%26d.pem&x%3Dy=");
    EXPECT_EQ(e.options.at("cert"), "/a b/c&d.pem");
    EXPECT_EQ(e.options.at("x=y"), "");
    EXPECT_EQ(parsed(e.to_string()), e);
}

TEST(Endpoint, NamesWhatIsWrong) {
    const struct {
        std::string_view uri;
        std::string_view says;
    } cases[] = {
        {"", "scheme://"},
        {"tcp:/x", "scheme://"},
        {"://x", "scheme://"},
        {"TCP://x", "small letters"},
        {"t cp://x", "small letters"},
        {"tcp://x:", "without a port"},
        {"tcp://x:65536", "from 0 to 65535"},
        {"tcp://x:-1", "from 0 to 65535"},
        {"tcp://x:+1", "from 0 to 65535"},
        {"tcp://x: 1", "from 0 to 65535"},
        {"tcp://x:1x", "from 0 to 65535"},
        {"tcp://::1:80", "brackets"},
        {"tcp://[::1", "without ']'"},
        {"tcp://[::1]80", "after ']'"},
        {"tcp://[::1]:", "without a port"},
        {"tcp://x%2", "hexadecimal"},
        {"tcp://x%zz", "hexadecimal"},
        {"tcp://x%", "hexadecimal"},
        {"tcp://x%00y", "zero byte"},
        {"unix:///a%00b", "zero byte"},
        {"tcp://x?a%00=b", "zero byte"},
        {"tcp://x?a=%00", "zero byte"},
        {"tcp://x#/a%00", "zero byte"},
        {"tcp://x?a", "name=value"},
        {"tcp://x?=a", "name=value"},
        {"tcp://x?a=1&&b=2", "name=value"},
        {"tcp://x?a=1&a=2", "twice"},
        {"tcp://x#app", "begins with '/'"},
        {"tcp://x#", "begins with '/'"},
        {"tcp://x/a#/b", "two actors"},
        {"tcp://[]:1", "empty"},
    };
    for (const auto& c : cases) {
        const std::string text = refused(c.uri);
        EXPECT_NE(text.find(c.says), std::string::npos) << c.uri << " gives: " << text;
    }
}

TEST(Endpoint, RefusesWhatIsLongerThanAnyPathAndDoesNotRepeatIt) {
    const std::string text = refused("tcp://" + std::string(5000, 'x'));
    EXPECT_NE(text.find("4096"), std::string::npos);
    EXPECT_LT(text.size(), 200u);
}

TEST(Endpoint, WritesEveryPartSoThatItIsReadAsTheSame) {
    for (const std::string_view uri :
         {"tcp://127.0.0.1:4711", "tcp://[::1]:4711/app/counter", "unix:///run/app/node.sock#/app/counter",
          "shm://app?checksum=all&ring=1MiB", "inproc://a%20b#/x%23y", "nats://host/a%3Fb?c=d", "unix://name",
          "tcp://host", "wss://host:443/app"})
        EXPECT_EQ(parsed(parsed(uri).to_string()), parsed(uri)) << uri;
}

// Any bytes in any part that may have them.
TEST(Endpoint, IsTheSameAfterBeingWrittenAndReadWhateverItsPartsHold) {
    std::mt19937_64 random{7};
    const auto any = [&](std::size_t most) {
        std::string s;
        for (std::size_t n = random() % (most + 1); n-- > 0;) s += static_cast<char>(1 + random() % 255);
        return s;
    };
    const std::vector<std::string> schemes{"tcp", "unix", "inproc", "nats", "x-1+2"};
    for (int n = 0; n < 20'000; ++n) {
        endpoint e;
        e.scheme = schemes[random() % schemes.size()];
        e.host = any(6);
        e.port = static_cast<std::uint16_t>(random() % 3 == 0 ? 0 : random());
        // For the kinds whose authority says it all, a path is an actor.
        if ((e.scheme == "unix" || e.scheme == "nats" || e.scheme == "x-1+2") && random() % 2)
            e.path = "/" + any(6);
        if (random() % 2) e.actor = "/" + any(6);
        for (std::size_t i = random() % 3; i-- > 0;) e.options.emplace("o" + any(4), any(6));
        const std::string text = e.to_string();
        const auto again = endpoint::parse(text);
        ASSERT_TRUE(again) << text << ": " << again.error().what();
        ASSERT_EQ(*again, e) << text;
    }
}

// Whatever is read can be written and read again; nothing is read twice differently. Bytes around the ones that mean something.
TEST(Endpoint, ReadsRandomTextsOrRefusesThemAndNeverReadsOneTwoWays) {
    std::mt19937_64 random{11};
    constexpr std::string_view letters = "abz019:/?#[]&=%-+._ \x80\xff";
    std::size_t taken = 0;
    for (int n = 0; n < 200'000; ++n) {
        std::string uri = random() % 2 ? "tcp://" : "unix://";
        for (std::size_t i = random() % 16; i-- > 0;) uri += letters[random() % letters.size()];
        const auto first = endpoint::parse(uri);
        if (!first) continue;
        ++taken;
        const auto second = endpoint::parse(first->to_string());
        ASSERT_TRUE(second) << uri << " -> " << first->to_string() << ": " << second.error().what();
        ASSERT_EQ(*second, *first) << uri << " -> " << first->to_string();
    }
    EXPECT_GT(taken, 1000u);
}

// ---------------------------------------------------------------- options

TEST(Endpoint, ReadsANumberOfBytesWithASuffix) {
    const endpoint e = parsed("shm://a?plain=65536&k=64KiB&m=1MiB&g=2GiB&zero=0");
    EXPECT_EQ(e.bytes("plain", 1).value(), 65536u);
    EXPECT_EQ(e.bytes("k", 1).value(), 65536u);
    EXPECT_EQ(e.bytes("m", 1).value(), 1u << 20);
    EXPECT_EQ(e.bytes("g", 1).value(), 2ull << 30);
    EXPECT_EQ(e.bytes("zero", 1).value(), 0u);
    EXPECT_EQ(e.bytes("absent", 17).value(), 17u);
}

TEST(Endpoint, RefusesANumberOfBytesThatIsNoneOrTooLarge) {
    for (const std::string value : {"", "KiB", "1kib", "1 MiB", "-1", "1.5MiB", "0x10", "1MB",
                                    "99999999999999999999", "18446744073709551615GiB", "17179869184GiB"}) {
        endpoint e = parsed("shm://a");
        e.options["ring"] = value;
        const auto n = e.bytes("ring", 1);
        ASSERT_FALSE(n) << value << " is taken for " << *n;
        EXPECT_EQ(n.error(), errc::invalid_argument);
        EXPECT_NE(n.error().text().find("ring"), std::string_view::npos);
    }
}

TEST(Endpoint, ReadsACountAndRefusesWhatIsNone) {
    EXPECT_EQ(parsed("x://a?n=12").number("n", 1).value(), 12u);
    EXPECT_EQ(parsed("x://a").number("n", 5).value(), 5u);
    EXPECT_FALSE(parsed("x://a?n=1KiB").number("n", 1));
    EXPECT_FALSE(parsed("x://a?n=").number("n", 1));
}

TEST(Endpoint, TakesOneOfFewWordsAndNamesThemOtherwise) {
    EXPECT_EQ(parsed("x://a?mode=all").one_of("mode", "off", {"off", "all"}).value(), "all");
    EXPECT_EQ(parsed("x://a").one_of("mode", "off", {"off", "all"}).value(), "off");
    const auto wrong = parsed("x://a?mode=al").one_of("mode", "off", {"off", "all"});
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().text().find("off, all"), std::string_view::npos) << wrong.error().what();
}

TEST(Endpoint, NamesAnOptionThatIsNotKnownAndThoseThatAre) {
    EXPECT_TRUE(parsed("x://a?b=1").only({"b", "c"}));
    const auto misspelt = parsed("x://a?bb=1").only({"b", "c"});
    ASSERT_FALSE(misspelt);
    EXPECT_EQ(misspelt.error(), errc::invalid_argument);
    EXPECT_NE(misspelt.error().text().find("bb"), std::string_view::npos);
    EXPECT_NE(misspelt.error().text().find("b, c"), std::string_view::npos) << misspelt.error().what();
    EXPECT_NE(parsed("x://a?b=1").only({}).error().text().find("none"), std::string_view::npos);
}

}  // namespace
}  // namespace coppice::tests
