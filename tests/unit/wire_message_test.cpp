// Messages to bytes and back: the bytes are those of Cap'n Proto's builder, records grow, numbers convert where they fit.
#include "coppice/wire.hpp"

#include <cmath>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <unordered_map>

#include <gtest/gtest.h>

#include "support/wire_bytes.hpp"

namespace coppice::tests {
namespace {

enum class color : std::uint8_t { red = 1, green = 200 };

struct empty {
    bool operator==(const empty&) const = default;
};
struct add {
    std::uint64_t amount = 0;
    bool operator==(const add&) const = default;
};
struct order {
    std::uint64_t id = 0;
    double price = 0;
    int quantity = 0;
    std::string note;
    std::vector<std::byte> seal;
    bool operator==(const order&) const = default;
};
struct everything {
    bool yes = false;
    char letter = 0;
    std::int8_t tiny = 0;
    std::uint64_t huge = 0;
    std::int64_t low = 0;
    float single = 0;
    double real = 0;
    color paint = color::red;
    std::string text;
    std::vector<std::byte> bytes;
    std::vector<std::uint8_t> octets;
    std::array<std::byte, 5> id{};
    std::array<std::int16_t, 3> three{};
    std::vector<std::string> texts;
    std::vector<bool> flags;
    std::vector<double> reals;
    std::vector<color> paints;
    std::deque<std::int32_t> queue;
    std::list<order> orders;
    std::set<std::string> names;
    std::map<std::string, order> by_name;
    std::unordered_map<int, std::vector<int>> lists;
    std::optional<order> maybe;
    std::optional<int> not_there;
    std::pair<int, std::string> both;
    std::tuple<> none;
    std::tuple<int, empty, std::string> three_things;
    std::variant<int, std::string, order> one_of;
    std::chrono::milliseconds delay{};
    std::chrono::duration<double> seconds{};
    empty nothing;
    ref<> who;
    bool operator==(const everything&) const = default;
};

everything sample() {
    everything e;
    e.yes = true;
    e.letter = 'x';
    e.tiny = -128;
    e.huge = ~std::uint64_t{0};
    e.low = std::numeric_limits<std::int64_t>::min();
    e.single = 1.5f;
    e.real = -0.0;
    e.paint = color::green;
    e.text = std::string("a\0b", 3);
    e.bytes = {std::byte{1}, std::byte{2}};
    e.octets = {1, 2, 3, 4, 5, 6, 7, 8};
    e.id = {std::byte{5}, std::byte{4}, std::byte{3}, std::byte{2}, std::byte{1}};
    e.three = {-1, 0, 1};
    e.texts = {"", "seven77", "eight888", "nine99999"};
    e.flags = {true, false, true};
    e.reals = {1, 2.5, -3};
    e.paints = {color::green, color::red};
    e.queue = {1, -1};
    e.orders = {order{1, 2, 3, "n", {}}, order{}};
    e.names = {"b", "a"};
    e.by_name = {{"x", order{.id = 9}}, {"y", order{.note = "z"}}};
    e.lists = {{1, {}}, {2, {3, 4}}};
    e.maybe = order{.id = 4};
    e.both = {6, "six"};
    e.three_things = {1, {}, "t"};
    e.one_of = order{.id = 8};
    e.delay = std::chrono::milliseconds{-5};
    e.seconds = std::chrono::duration<double>{0.25};
    e.who = ref<>{detail::address{77, 3u}};
    return e;
}

TEST(WireMessage, WithFieldsOfEveryTypeComesBackAsItWas) {
    const everything e = sample();
    const auto back = decode<everything>(encode(e));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, e);
    EXPECT_TRUE(std::signbit(back->real));
    EXPECT_EQ(back->who.incarnation(), 3u);
}

TEST(WireMessage, IsRefusedAtEveryCut) {
    EXPECT_FALSE(accepted_cut<everything>(encode(sample())));
    EXPECT_FALSE(accepted_cut<empty>(encode(empty{})));
    EXPECT_FALSE(accepted_cut<add>(encode(add{7})));
    EXPECT_FALSE(accepted_cut<std::string>(encode(std::string{"0123456789"})));
    EXPECT_FALSE(accepted_cut<std::vector<int>>(encode(std::vector<int>{1, 2, 3})));
}

TEST(WireMessage, WithoutFieldsIsTwoWords) {
    EXPECT_EQ(encode(empty{}), (words{std::uint64_t{1} << 48, 0}));
    EXPECT_EQ(encode(std::tuple<>{}), (words{std::uint64_t{1} << 48, 0}));
    EXPECT_TRUE(decode<empty>(words{std::uint64_t{1} << 48, 0}));
}

TEST(WireMessage, HasTheBytesOfTheBuilder) {
    one_segment message;
    auto fields = message->initRoot<schema::Record>().initFields(5);
    fields[0].setUint(7);
    fields[1].setFloat(2.5);
    fields[2].setInt(-4);
    fields[3].setText("0123456789abcdef");
    const kj::byte seal[] = {1, 2, 3};
    fields[4].setData(kj::arrayPtr(seal, 3));
    EXPECT_EQ(encode(order{7, 2.5, -4, "0123456789abcdef", {std::byte{1}, std::byte{2}, std::byte{3}}}),
              message.take());
}

TEST(WireMessage, OfContainersHasTheBytesOfTheBuilder) {
    struct m {
        std::vector<std::int16_t> signeds;
        std::vector<std::uint32_t> unsigneds;
        std::vector<float> reals;
        std::vector<std::string> texts;
        std::map<std::string, bool> map;
        std::optional<int> none;
        std::variant<int, std::string> one;
        add inner;
        empty nothing;
        std::string no_text;
        std::vector<std::byte> no_bytes;
        std::vector<int> no_numbers;
        std::vector<add> no_list;
        ref<> nobody;
        ref<> somebody;
    };
    one_segment message;
    auto f = message->initRoot<schema::Record>().initFields(15);
    f[0].setInts({-1, 2});
    f[1].setUints({3, 4});
    f[2].setFloats({1.5});
    auto texts = f[3].initList(2);
    texts[0].setText("a");
    texts[1].setText("bcdefghi");
    auto map = f[4].initMap(2);
    map[0].initKey().setText("k");
    map[0].initValue().setBool(true);
    map[1].initKey().setText("l");
    map[1].initValue().setBool(false);
    f[5].setVoid();
    auto one = f[6].initRecord().initFields(2);
    one[0].setUint(1);
    one[1].setText("one");
    f[7].initRecord().initFields(1)[0].setUint(9);
    f[8].initRecord();
    f[9].setText("");
    f[10].setData({});
    f[11].initInts(0);
    f[12].initList(0);
    f[13].initReference();
    auto somebody = f[14].initReference();
    somebody.setNode(9);
    somebody.setActor(55);
    somebody.setIncarnation(2);
    EXPECT_EQ(encode(m{{-1, 2},
                       {3, 4},
                       {1.5f},
                       {"a", "bcdefghi"},
                       {{"k", true}, {"l", false}},
                       {},
                       "one",
                       {9},
                       {},
                       {},
                       {},
                       {},
                       {},
                       {},
                       ref<>{detail::address{55, 2u}}}),
              message.take());
}

TEST(WireMessage, ThatIsNoRecordTravelsAsABareValue) {
    const auto bare = [](auto set) {
        one_segment message;
        set(message->initRoot<schema::Value>());
        return message.take();
    };
    EXPECT_EQ(encode(std::string{"hello"}), bare([](schema::Value::Builder v) { v.setText("hello"); }));
    EXPECT_EQ(encode(true), bare([](schema::Value::Builder v) { v.setBool(true); }));
    EXPECT_EQ(encode(-1), bare([](schema::Value::Builder v) { v.setInt(-1); }));
    EXPECT_EQ(encode(1u), bare([](schema::Value::Builder v) { v.setUint(1); }));
    EXPECT_EQ(encode(0.5), bare([](schema::Value::Builder v) { v.setFloat(0.5); }));
    EXPECT_EQ(encode(std::vector<int>{1, 2}), bare([](schema::Value::Builder v) { v.setInts({1, 2}); }));
    EXPECT_EQ(encode(std::optional<int>{}), bare([](schema::Value::Builder v) { v.setVoid(); }));
    EXPECT_EQ(decode<std::string>(encode(std::string{"hello"})), "hello");
    EXPECT_EQ(decode<std::optional<int>>(encode(std::optional<int>{5})),
              std::optional<std::optional<int>>{5});
}

// ---- records grow

struct first_version {
    int a = 1;
    std::string b = "b";
    bool operator==(const first_version&) const = default;
};
struct second_version {
    int a = 1;
    std::string b = "b";
    std::vector<std::string> c = {"default"};
    std::optional<add> d = add{3};
    bool operator==(const second_version&) const = default;
};
struct holds_first {
    std::vector<first_version> all;
    std::string after;
    bool operator==(const holds_first&) const = default;
};
struct holds_second {
    std::vector<second_version> all;
    std::string after;
    bool operator==(const holds_second&) const = default;
};

TEST(WireMessage, OfAnEarlierDefinitionKeepsTheDefaultsOfWhatIsMissing) {
    EXPECT_EQ(decode<second_version>(encode(first_version{5, "five"})),
              (second_version{5, "five", {"default"}, add{3}}));
    EXPECT_EQ(decode<second_version>(encode(empty{})), second_version{});
    EXPECT_EQ(decode<holds_second>(encode(holds_first{{{1, "x"}, {2, "y"}}, "z"})),
              (holds_second{{{1, "x", {"default"}, add{3}}, {2, "y", {"default"}, add{3}}}, "z"}));
}

TEST(WireMessage, OfALaterDefinitionIsReadWithoutWhatIsNew) {
    EXPECT_EQ(decode<first_version>(encode(second_version{5, "five", {"new", "newer"}, add{1}})),
              (first_version{5, "five"}));
    EXPECT_EQ(decode<empty>(encode(second_version{})), empty{});
    EXPECT_EQ(
        decode<holds_first>(encode(holds_second{{{1, "x", {"n"}, {}}, {2, "y", {"n", "m"}, add{5}}}, "z"})),
        (holds_first{{{1, "x"}, {2, "y"}}, "z"}));
}

TEST(WireMessage, OfAnotherKindIsRefused) {
    EXPECT_FALSE(decode<first_version>(encode(std::tuple<std::string, std::string>{"a", "b"})));
    EXPECT_FALSE(decode<first_version>(encode(5)));
    EXPECT_FALSE(decode<int>(encode(first_version{})));
    EXPECT_FALSE(decode<std::string>(encode(5)));
    EXPECT_FALSE(decode<std::string>(encode(std::vector<std::byte>{std::byte{'a'}, std::byte{0}})));
    EXPECT_FALSE(decode<bool>(encode(1)));
    EXPECT_FALSE((decode<std::array<int, 3>>(encode(std::vector<int>{1, 2}))));
    EXPECT_FALSE((decode<std::array<std::byte, 3>>(encode(std::vector<std::byte>(4)))));
    EXPECT_FALSE((decode<std::map<int, int>>(encode(std::vector<int>{1, 2}))));
    EXPECT_FALSE((decode<std::variant<int, bool>>(encode(std::tuple<int, int>{2, 0}))));
    EXPECT_FALSE((decode<std::variant<int, bool>>(encode(std::tuple<int>{0}))));
}

// ---- numbers

template <class To, class From>
std::optional<To> converted(From from) {
    return decode<To>(encode(from));
}

TEST(WireMessage, WithAnIntegerOfAnotherTypeIsReadIfItIsInRange) {
    EXPECT_EQ(converted<std::uint8_t>(std::int64_t{255}), 255);
    EXPECT_EQ(converted<std::uint8_t>(std::int64_t{256}), std::nullopt);
    EXPECT_EQ(converted<std::uint8_t>(std::int64_t{-1}), std::nullopt);
    EXPECT_EQ(converted<std::int8_t>(std::uint64_t{127}), 127);
    EXPECT_EQ(converted<std::int8_t>(std::uint64_t{128}), std::nullopt);
    EXPECT_EQ(converted<std::int8_t>(std::int64_t{-128}), -128);
    EXPECT_EQ(converted<std::int8_t>(std::int64_t{-129}), std::nullopt);
    EXPECT_EQ(converted<std::int64_t>(std::uint64_t{1} << 63), std::nullopt);
    EXPECT_EQ(converted<std::uint64_t>(std::int64_t{-1}), std::nullopt);
    EXPECT_EQ(converted<std::uint64_t>(std::numeric_limits<std::int64_t>::max()),
              (std::uint64_t{1} << 63) - 1);
    EXPECT_EQ(converted<color>(200), color::green);
    EXPECT_EQ(converted<color>(256), std::nullopt);
    EXPECT_EQ(converted<int>(2.0), std::nullopt);
}

TEST(WireMessage, WithAWholeNumberIsReadAsARealIfItIsExact) {
    const std::int64_t exact = std::int64_t{1} << 53;
    EXPECT_EQ(converted<double>(-3), -3.0);
    EXPECT_EQ(converted<double>(exact), 9007199254740992.0);
    EXPECT_EQ(converted<double>(-exact), -9007199254740992.0);
    EXPECT_EQ(converted<double>(exact + 1), std::nullopt);
    EXPECT_EQ(converted<double>(-exact - 1), std::nullopt);
    EXPECT_EQ(converted<double>(static_cast<std::uint64_t>(exact)), 9007199254740992.0);
    EXPECT_EQ(converted<double>(static_cast<std::uint64_t>(exact) + 1), std::nullopt);
    EXPECT_EQ(converted<float>(1.5), 1.5f);
    EXPECT_EQ(converted<float>(1e300), std::nullopt);
    EXPECT_EQ(converted<float>(-1e300), std::nullopt);
    EXPECT_EQ(converted<float>(std::numeric_limits<double>::infinity()),
              std::numeric_limits<float>::infinity());
    EXPECT_TRUE(std::isnan(converted<float>(std::numeric_limits<double>::quiet_NaN()).value_or(0)));
}

TEST(WireMessage, WithAListOfNumbersIsReadFromEveryListOfNumbers) {
    using ints = std::vector<int>;
    EXPECT_EQ((converted<ints>(std::vector<unsigned>{1, 2})), (ints{1, 2}));
    EXPECT_EQ((converted<ints>(std::vector<std::int64_t>{1, std::int64_t{1} << 40})), std::nullopt);
    EXPECT_EQ((converted<ints>(std::vector<std::optional<int>>{1, 2})), (ints{1, 2}));
    EXPECT_EQ((converted<ints>(std::vector<std::optional<int>>{1, std::nullopt})), std::nullopt);
    EXPECT_EQ((converted<ints>(std::vector<double>{1})), std::nullopt);
    EXPECT_EQ((converted<std::vector<double>>(ints{1, 2})), (std::vector<double>{1, 2}));
    EXPECT_EQ((converted<std::vector<std::uint64_t>>(ints{1, -2})), std::nullopt);
    EXPECT_EQ((converted<std::set<int>>(ints{2, 1, 2})), (std::set<int>{1, 2}));
    EXPECT_EQ((converted<std::array<int, 2>>(std::vector<std::optional<int>>{1, 2})),
              (std::array<int, 2>{1, 2}));
}

// ---- forms of one's own

struct celsius {
    celsius() = default;
    explicit celsius(double d) : degrees_{d} {}
    [[nodiscard]] double degrees() const { return degrees_; }

private:
    double degrees_ = 0;
};
struct reading {
    std::string where;
    celsius temperature;
    std::vector<celsius> earlier;
};

}  // namespace
}  // namespace coppice::tests

template <>
struct coppice::wire_form<coppice::tests::celsius> {
    using type = double;
    static double to_wire(const tests::celsius& c) { return c.degrees(); }
    static std::optional<tests::celsius> from_wire(double d) {
        if (d < -273.15) return {};
        return tests::celsius{d};
    }
};

namespace coppice::tests {
namespace {

TEST(WireMessage, OfATypeWithAFormOfItsOwnTravelsAsThat) {
    EXPECT_EQ(encode(celsius{20}), encode(20.0));
    const auto back = decode<reading>(encode(reading{"roof", celsius{20}, {celsius{1}, celsius{2}}}));
    ASSERT_TRUE(back);
    EXPECT_EQ(back->temperature.degrees(), 20);
    ASSERT_EQ(back->earlier.size(), 2u);
    EXPECT_EQ(back->earlier[1].degrees(), 2);
}

TEST(WireMessage, ThatItsFormRefusesIsRefused) {
    EXPECT_FALSE(decode<celsius>(encode(-300.0)));
    EXPECT_FALSE(decode<reading>(encode(reading{"roof", celsius{20}, {celsius{-300}}})));
}

// ---- what happens to objects

struct counted {
    counted() { ++alive; }
    counted(counted&&) noexcept { ++alive; }
    counted(const counted&) { ++alive; }
    counted& operator=(const counted&) = default;
    ~counted() { --alive; }
    static inline int alive = 0;
};
struct holds_counted {
    counted c;
    std::vector<counted> more;
    int n = 0;
};

}  // namespace
}  // namespace coppice::tests

template <>
struct coppice::wire_form<coppice::tests::counted> {
    using type = int;
    static int to_wire(const tests::counted&) { return 1; }
    static std::optional<tests::counted> from_wire(int) { return tests::counted{}; }
};

namespace coppice::tests {
namespace {

TEST(WireMessage, LeavesNoObjectBehindWhenItIsRefused) {
    holds_counted m;
    m.more.resize(3);
    const words good = encode(m);
    const words bad = encode(std::tuple<int, std::vector<int>, std::string>{1, {1, 1, 1}, "no number"});
    const int before = counted::alive;
    EXPECT_TRUE(decode<holds_counted>(good));
    EXPECT_EQ(counted::alive, before);
    EXPECT_FALSE(decode<holds_counted>(bad));
    EXPECT_EQ(counted::alive, before);
}

TEST(WireMessage, AsksTheContextForEveryReferenceThatIsNotEmpty) {
    const std::vector<ref<>> refs{ref<>{}, ref<>{detail::address{5, 1u}}, ref<>{detail::address{6, nullptr}}};
    one_node context;
    words out(detail::wire_of<std::vector<ref<>>>->size(&refs) / 8);
    detail::wire_of<std::vector<ref<>>>->write(&refs, reinterpret_cast<std::byte*>(out.data()), context);
    EXPECT_EQ(context.asked, 2);
    const auto back = decode<std::vector<ref<>>>(out);
    ASSERT_TRUE(back);
    EXPECT_FALSE((*back)[0]);
    EXPECT_EQ((*back)[1].id(), 5u);
    EXPECT_EQ((*back)[1].incarnation(), 1u);
    EXPECT_EQ((*back)[2].id(), 6u);
}

TEST(WireMessage, IsReadWhereverItLies) {
    const words whole = encode(sample());
    std::vector<std::byte> shifted(whole.size() * 8 + 3);
    std::memcpy(shifted.data() + 3, whole.data(), whole.size() * 8);
    EXPECT_EQ(decode<everything>(std::span<const std::byte>{shifted}.subspan(3)), sample());
}

TEST(WireMessage, TooLongATextHasNoSize) {
    // A text that only claims its length: its bytes are not looked at for the size.
    EXPECT_EQ(detail::text_words(limits::wire_text_bytes - 1), limits::wire_text_bytes / 8 + 1);
    EXPECT_EQ(detail::text_words(limits::wire_text_bytes), detail::words_too_many);
    EXPECT_EQ(detail::bytes_words(limits::wire_text_bytes), detail::words_too_many);
}

}  // namespace
}  // namespace coppice::tests
