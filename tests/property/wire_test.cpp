// Random values and aggregates to bytes and back, and random damage to the bytes: nothing crashes, and nothing comes out
// that is larger than what the limits say. Seeded; a failing seed is printed.
#include <bit>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "support/wire_bytes.hpp"
#include "wire/envelope.hpp"
#include "wire/generic.hpp"

namespace coppice::tests {
namespace {

struct inner {
    std::int32_t number = 0;
    std::string text;
    std::vector<std::byte> bytes;
    bool operator==(const inner&) const = default;
};
struct outer {
    bool yes = false;
    double real = 0;
    std::uint64_t large = 0;
    std::vector<inner> list;
    std::map<std::string, std::vector<std::int16_t>> map;
    std::optional<inner> maybe;
    std::variant<int, std::string, inner> one_of;
    std::pair<std::uint8_t, float> both;
    std::vector<outer> more;
    value any;
    bool operator==(const outer&) const = default;
};

struct source {
    std::mt19937_64 random;

    std::size_t below(std::size_t end) { return static_cast<std::size_t>(random() % end); }
    bool coin() { return random() & 1; }
    std::uint64_t number() { return random() >> random() % 64; }
    double real() { return static_cast<double>(static_cast<std::int64_t>(random())) / 1024; }
    std::string text() {
        std::string s(below(4) == 0 ? below(100) : below(9), '\0');
        for (char& c : s) c = static_cast<char>(random());
        return s;
    }
    std::vector<std::byte> bytes() {
        std::vector<std::byte> b(below(20));
        for (std::byte& each : b) each = static_cast<std::byte>(random());
        return b;
    }
    inner an_inner() { return {static_cast<std::int32_t>(random()), text(), bytes()}; }
    value a_value(int depth) {
        switch (below(depth > 0 ? 11 : 8)) {
        case 0: return {};
        case 1: return coin();
        case 2: return static_cast<std::int64_t>(number()) * (coin() ? 1 : -1);
        case 3: return number();
        case 4: return real();
        case 5: return text();
        case 6: return bytes();
        case 7: return wire_reference{number(), number(), static_cast<std::uint32_t>(number())};
        case 8: return value{values(depth)};
        case 9: return value::record{values(depth)};
        default: {
            value::map m(below(4));
            for (auto& [key, mapped] : m) key = a_value(depth - 1), mapped = a_value(depth - 1);
            return m;
        }
        }
    }
    std::vector<value> values(int depth) {
        std::vector<value> all(below(5));
        for (value& v : all) v = a_value(depth - 1);
        return all;
    }
    outer an_outer(int depth) {
        outer o{coin(), real(), number(), {}, {}, {}, {}, {}, {}, a_value(3)};
        for (std::size_t n = below(4); n > 0; --n) o.list.push_back(an_inner());
        for (std::size_t n = below(4); n > 0; --n)
            o.map[text()] = std::vector<std::int16_t>(below(6), static_cast<std::int16_t>(random()));
        if (coin()) o.maybe = an_inner();
        switch (below(3)) {
        case 0: o.one_of = static_cast<int>(random()); break;
        case 1: o.one_of = text(); break;
        default: o.one_of = an_inner(); break;
        }
        o.both = {static_cast<std::uint8_t>(random()), static_cast<float>(below(1000))};
        if (depth > 0)
            for (std::size_t n = below(3); n > 0; --n) o.more.push_back(an_outer(depth - 1));
        return o;
    }
    // One to three blows: a bit, a whole word, a word of elsewhere, a cut, words in between.
    void damage(words& w) {
        for (std::size_t blows = 1 + below(3); blows > 0 && !w.empty(); --blows) {
            const std::size_t at = below(w.size());
            switch (below(6)) {
            case 0:
            case 1: w[at] ^= std::uint64_t{1} << below(64); break;
            case 2: w[at] = number(); break;
            case 3: w[at] = w[below(w.size())]; break;
            case 4: w.resize(at); break;
            default: w.insert(w.begin() + static_cast<std::ptrdiff_t>(at), below(3), number()); break;
            }
        }
    }
};

// What may come out of so many words: each, and up to 1,024 beside them, becomes a value at most, a slot of three words, and
// for a pair of a map two pointers more.
std::size_t most_words(std::size_t in) { return 4 * in + 5 * 1024; }

TEST(WireProperty, RandomValuesComeBackAsTheyWere) {
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        source s{std::mt19937_64{seed}};
        const value v = s.a_value(5);
        const auto back = value::decode(v.encode());
        ASSERT_TRUE(back) << "seed " << seed;
        ASSERT_TRUE(*back == v) << "seed " << seed << ": " << to_string(v);
        // Cap'n Proto's own reader sees the same.
        value general;
        const words w = encode(v);
        ASSERT_TRUE(wire::read_any_order(w, general)) << "seed " << seed;
        ASSERT_TRUE(general == v) << "seed " << seed;
    }
}

TEST(WireProperty, RandomAggregatesComeBackAsTheyWere) {
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        source s{std::mt19937_64{seed}};
        const outer o = s.an_outer(3);
        const words w = encode(o);
        const auto back = decode<outer>(w);
        ASSERT_TRUE(back) << "seed " << seed;
        ASSERT_TRUE(*back == o) << "seed " << seed;
        // As a value it is the same message, and written in the general reader's order it is still one.
        const auto as_value = value::decode(bytes_of(w));
        ASSERT_TRUE(as_value) << "seed " << seed;
        ASSERT_TRUE(decode<outer>(std::span<const std::byte>{as_value->encode()}) == o) << "seed " << seed;
    }
}

template <class M>
bool survives(const words& damaged) {
    const auto read = decode<M>(damaged);
    if (!read) return false;
    const std::size_t size = detail::wire_of<M>->size(&*read);
    EXPECT_GT(size, 0u);
    EXPECT_LE(size, std::size_t{8} * limits::wire_words);
    return true;
}

TEST(WireProperty, DamagedBytesNeverCrashAndNeverGrow) {
    std::size_t taken = 0;
    constexpr std::uint64_t seeds = 20'000;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        source s{std::mt19937_64{seed}};
        words w = s.coin() ? encode(s.an_outer(1)) : encode(s.a_value(4));
        s.damage(w);
        SCOPED_TRACE("seed " + std::to_string(seed));
        if (const auto read = decode<value>(w)) {
            ++taken;
            const std::size_t size = detail::wire_of<value>->size(&*read);
            ASSERT_GT(size, 0u);
            ASSERT_LE(size, 8 * most_words(w.size()));
        }
        survives<outer>(w);
        survives<std::vector<outer>>(w);
        survives<std::map<std::string, value>>(w);
        survives<capnp_message<schema::Record>>(w);
        survives<capnp_message<schema::Value>>(w);
        ASSERT_FALSE(HasFailure());
    }
    // Else the damage is so heavy that nothing behind the first check is reached, or so light that nothing is refused.
    EXPECT_GT(taken, seeds / 100);
    EXPECT_LT(taken, seeds);
}

TEST(WireProperty, EnvelopesAreTheSameToBothReaders) {
    std::size_t taken = 0;
    for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
        source s{std::mt19937_64{seed}};
        const wire::envelope_fields fields{static_cast<std::uint16_t>(s.number()),
                                           static_cast<std::uint16_t>(s.number()),
                                           static_cast<std::uint32_t>(s.number()),
                                           s.number(),
                                           s.number(),
                                           s.number(),
                                           s.number(),
                                           s.number()};
        const auto payload = static_cast<std::uint32_t>(s.below(64));
        words w(8 + wire::padded_payload(payload) / 8, s.number());
        wire::write_envelope(reinterpret_cast<std::byte*>(w.data()), fields, payload);
        s.damage(w);
        wire::envelope_view direct{};
        wire::envelope_view general{};
        const errc outcome = wire::read_envelope(bytes_of(w), direct);
        ASSERT_EQ(outcome, wire::read_any_envelope(bytes_of(w), general)) << "seed " << seed;
        if (outcome != errc::ok) continue;
        ++taken;
        ASSERT_EQ(std::memcmp(&direct.fields, &general.fields, sizeof direct.fields), 0) << "seed " << seed;
        ASSERT_EQ(direct.payload.size(), general.payload.size()) << "seed " << seed;
    }
    EXPECT_GT(taken, 1000u);
}

}  // namespace
}  // namespace coppice::tests
