// Feature S12: the serialiser. Nested, empty and huge values come back as they were, and what was cut is refused.
#include <map>
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/wire_bytes.hpp"

namespace coppice::tests {
namespace {

struct leaf {
    std::string name;
    std::vector<std::byte> bytes;
    std::vector<std::int64_t> numbers;
    std::vector<std::string> texts;
    std::map<std::string, int> map;
    std::optional<int> maybe;
    bool operator==(const leaf&) const = default;
};
struct tree {
    leaf fruit;
    std::vector<tree> branches;
    bool operator==(const tree&) const = default;
};

// A tree whose innermost record lies in that many lists and records; an odd number at least 1.
tree nested(int depth) {
    tree t{leaf{"at " + std::to_string(depth), {}, {}, {}, {}, {}}, {}};
    if (depth > 2) t.branches.push_back(nested(depth - 2));
    return t;
}

// Deeper in the same way as the encoder counts: record, list, record, ... and the leaf's record, and its list or map.
int nesting_of(const tree& t) { return 1 + (t.branches.empty() ? 1 : 1 + nesting_of(t.branches.front())); }

TEST(S12Serialiser, NestedValuesComeBackAsTheyWere) {
    for (int depth = 1; depth <= limits::wire_nesting - 2; depth += 2) {
        const tree t = nested(depth);
        const auto back = decode<tree>(encode(t));
        ASSERT_TRUE(back) << depth;
        EXPECT_EQ(*back, t);
    }
    value v = 1;
    for (int depth = 1; depth <= limits::wire_nesting; ++depth) {
        v = depth % 2 ? value{value::list{v}} : value{value::record{{v}}};
        const auto back = value::decode(v.encode());
        ASSERT_TRUE(back) << depth;
        EXPECT_EQ(*back, v);
    }
}

TEST(S12Serialiser, ValuesThatAreNestedTooDeepAreNotWritten) {
    tree t = nested(1);
    int last = 0;
    for (int depth = 3; depth < 200; depth += 2) {
        t = nested(depth);
        const std::size_t size = detail::wire_of<tree>->size(&t);
        // The leaf holds lists and a map of its own, one level below its record.
        EXPECT_EQ(size != 0, nesting_of(t) + 1 <= limits::wire_nesting) << depth;
        if (size != 0) last = depth;
    }
    EXPECT_GE(last, limits::wire_nesting - 4);
    value v = 1;
    for (int depth = 0; depth < limits::wire_nesting; ++depth) v = value::list{v};
    EXPECT_FALSE(v.encode().empty());
    EXPECT_TRUE(value{value::list{v}}.encode().empty());
    EXPECT_TRUE((value{value::map{{1, v}}}.encode().empty()));
    EXPECT_TRUE((value{value::record{{v}}}.encode().empty()));
    for (const value& innermost : {value{value::list{}}, value{value::map{}}, value{value::record{}}}) {
        value deepest = innermost;
        for (int depth = 1; depth < limits::wire_nesting; ++depth) deepest = value::list{deepest};
        EXPECT_EQ(value::decode(deepest.encode()).value(), deepest);
        EXPECT_TRUE(value{value::list{deepest}}.encode().empty());
    }
    const std::vector<value> field{v};  // in a list of its own
    EXPECT_EQ(detail::wire_of<std::vector<value>>->size(&field), 0u);
}

TEST(S12Serialiser, ValuesThatAreNestedTooDeepAreRefused) {
    // As another program could write it: a list of one list of one list ...
    for (const int depth : {limits::wire_nesting, limits::wire_nesting + 1, 1000}) {
        one_segment message{1 << 16};
        schema::Value::Builder at = message->initRoot<schema::Value>();
        for (int i = 0; i < depth; ++i) at = at.initList(1)[0];
        at.setInt(5);
        const auto read = value::decode(bytes_of(message.take()));
        EXPECT_EQ(read.has_value(), depth <= limits::wire_nesting) << depth;
        if (!read) EXPECT_EQ(read.error(), errc::bad_message);
    }
}

TEST(S12Serialiser, EmptyValuesComeBackAsTheyWere) {
    EXPECT_EQ(decode<leaf>(encode(leaf{})), leaf{});
    EXPECT_EQ(decode<tree>(encode(tree{})), tree{});
    EXPECT_EQ(decode<std::string>(encode(std::string{})), "");
    EXPECT_EQ(decode<std::tuple<>>(encode(std::tuple<>{})), std::tuple<>{});
    EXPECT_EQ((decode<std::vector<std::vector<int>>>(encode(std::vector<std::vector<int>>{{}, {}}))),
              (std::vector<std::vector<int>>{{}, {}}));
    for (const value& v :
         {value{}, value{""}, value{value::bytes{}}, value{value::list{}}, value{value::record{}},
          value{value::map{}}, value{wire_reference{}}, value{value::list{value{}, value::list{}}}}) {
        const auto back = value::decode(v.encode());
        ASSERT_TRUE(back);
        EXPECT_EQ(*back, v);
    }
}

TEST(S12Serialiser, HugeValuesComeBackAsTheyWere) {
    leaf huge;
    huge.name.assign(std::size_t{8} << 20, 'n');
    huge.bytes.assign((std::size_t{16} << 20) + 3, std::byte{7});
    huge.numbers.assign(std::size_t{1} << 20, -5);
    huge.texts.assign(200'000, "text that is longer than a word");
    for (int i = 0; i < 50'000; ++i) huge.map.emplace("key " + std::to_string(i), i);
    const auto back = decode<leaf>(encode(huge));
    ASSERT_TRUE(back);
    EXPECT_TRUE(*back == huge);
}

TEST(S12Serialiser, TheLengthOfATextOrOfBytesIsBounded) {
    // Only the length is looked at: no such memory is touched.
    EXPECT_LT(detail::bytes_words(limits::wire_text_bytes - 1), limits::wire_words);
    EXPECT_GT(detail::bytes_words(limits::wire_text_bytes), limits::wire_words);
    EXPECT_GT(detail::text_words(limits::wire_text_bytes), limits::wire_words);
}

TEST(S12Serialiser, TruncatedInputIsRefusedAtEveryCut) {
    const leaf l{
        "a name", std::vector<std::byte>(13, std::byte{9}), {1, -2, 3}, {"", "t", "eight888"}, {{"k", 1}}, 4};
    EXPECT_FALSE(accepted_cut<leaf>(encode(l)));
    EXPECT_FALSE(accepted_cut<tree>(encode(tree{l, {tree{l, {}}, tree{}}})));
    EXPECT_FALSE(
        (accepted_cut<std::variant<int, std::string>>(encode(std::variant<int, std::string>{"one of two"}))));
    const value v =
        value::record{{value::list{1, 2.5, "text"}, value::map{{"k", value::record{{true, value{}}}}},
                       wire_reference{1, 2, 3}, value::bytes(5)}};
    EXPECT_FALSE(accepted_cut<value>(encode(v)));
    const auto order = capnp_message<schema::Record>::build([](schema::Record::Builder r) {
        auto fields = r.initFields(2);
        fields[0].setText("an order");
        fields[1].initList(1)[0].setFloat(2.5);
    });
    EXPECT_FALSE(accepted_cut<capnp_message<schema::Record>>(encode(order)));
}

TEST(S12Serialiser, AListOfBytesDoesNotBecomeAListOfAsManyValues) {
    // Cap'n Proto takes it for a list of structs with a byte of data each: eight values, or pairs, out of a word.
    for (const std::uint64_t kind : {7u, 9u}) {  // list, map
        for (const std::uint64_t count : {std::uint64_t{1024}, std::uint64_t{1} << 20}) {
            words w(4 + count / 8);
            w[0] = std::uint64_t{2} << 32 | std::uint64_t{1} << 48;
            w[1] = kind;
            w[3] = 1 | std::uint64_t{2} << 32 | count << 35;
            const auto read = value::decode(bytes_of(w));
            EXPECT_EQ(read.has_value(), count == 1024 && kind == 7) << kind << ", " << count;
        }
    }
}

// ---- forms of one's own that throw

struct parsed {
    int n = 0;
};

}  // namespace
}  // namespace coppice::tests

template <>
struct coppice::wire_form<coppice::tests::parsed> {
    using type = std::string;
    static std::string to_wire(const tests::parsed& p) { return std::to_string(p.n); }
    static std::optional<tests::parsed> from_wire(const std::string& text) {
        return tests::parsed{std::stoi(text)};
    }
};

namespace coppice::tests {
namespace {

TEST(S12Serialiser, AFormThatThrowsAtWhatAPeerSentRefusesTheMessage) {
    EXPECT_EQ(decode<parsed>(encode(parsed{12}))->n, 12);
    errc code = errc::ok;
    EXPECT_FALSE(decode<parsed>(encode(std::string{"no number"}), &code));
    EXPECT_EQ(code, errc::bad_message);
    EXPECT_FALSE(decode<std::vector<parsed>>(encode(std::vector<std::string>{"1", "99999999999999"}), &code));
    EXPECT_EQ(code, errc::bad_message);
}

TEST(S12Serialiser, APointerDoesNotBecomeAValue) {
    static_assert(!std::is_constructible_v<value, void*> && !std::is_constructible_v<value, const int*>);
    static_assert(std::is_constructible_v<value, bool> && std::is_constructible_v<value, const char*>);
    EXPECT_EQ(value{true}.kind(), value_kind::boolean);
}

}  // namespace
}  // namespace coppice::tests
