// Values as expressions of Lua: each is written, run by a real script, and comes back as it was.
#include "coppice/actors/script_text.hpp"

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "coppice/actors/script.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using ::testing::HasSubstr;

// What a script sends that has this expression in it.
task<> run_expression(actor<anything> self, std::string text, result<value>* came) {
    auto script =
        self.spawn(actors::script, actors::script_options{.source = "local to = coppice.receive().sender\n"
                                                                    "coppice.send(to, " +
                                                                    text + ")"});
    self.monitor(script);
    self.send<value>(script, value{"begin"});
    auto m = co_await self.receive_only<value>(60s);  // its end would overtake it
    if (m) {
        *came = *m->get_if<value>();
    } else {
        auto ended = co_await self.receive_only<down>(60s);
        *came = ended ? error{errc::failed, ended->get_if<down>()->reason.to_string()} : m.error();
    }
}

result<value> through_lua(const std::string& text) {
    testing::world w;
    result<value> came{errc::timeout};
    play(w, &run_expression, text, &came);
    return came;
}

void expect_comes_back(const value& v, std::string_view type = {}) {
    const auto text = actors::script_text(v, type);
    ASSERT_TRUE(text) << text.error().what();
    EXPECT_EQ(text->find('\n'), std::string::npos) << *text;
    const auto came = through_lua(*text);
    ASSERT_TRUE(came) << *text << ": " << came.error().what();
    EXPECT_EQ(to_string(*came), to_string(v)) << *text;
    EXPECT_EQ(*came, v) << *text;
}

std::string written(const value& v) {
    const auto text = actors::script_text(v);
    return text ? *text : "error: " + std::string{text.error().text()};
}

value::bytes all_bytes() {
    value::bytes b;
    for (int i = 0; i < 256; ++i) b.push_back(static_cast<std::byte>(i));
    return b;
}

TEST(ScriptText, WritesWholeAndRealNumbersSoThatLuaReadsTheSame) {
    for (const std::int64_t n : {std::int64_t{0}, std::int64_t{-1}, INT64_MAX, INT64_MIN, INT64_MIN + 1})
        expect_comes_back(value{n});
    expect_comes_back(value{UINT64_MAX});
    expect_comes_back(value{std::uint64_t{1} << 63});
    for (const double n : {0.0, 1.0, -2.0, 0.1, 1e300, 1e16, 5e-324, 1.7976931348623157e308, 123456789.0,
                           std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()})
        expect_comes_back(value{n});
    EXPECT_EQ(written(value{INT64_MIN}), "math.mininteger");
    EXPECT_EQ(written(value{1.0}), "1.0");
}

TEST(ScriptText, KeepsEachBitOfWhatIsNoNumberAndOfMinusZero) {
    for (const std::uint64_t bits : {0x7ff8000000000000ul, 0xfff8000000000000ul, 0x7ff8000000000123ul}) {
        const auto came = through_lua(written(value{std::bit_cast<double>(bits)}));
        ASSERT_TRUE(came && came->get_if<double>());
        EXPECT_EQ(std::bit_cast<std::uint64_t>(*came->get_if<double>()), bits);
    }
    const auto zero = through_lua(written(value{-0.0}));
    ASSERT_TRUE(zero && zero->get_if<double>());
    EXPECT_TRUE(std::signbit(*zero->get_if<double>()));
}

TEST(ScriptText, WritesTextsAndBytesWithWhateverIsInThem) {
    expect_comes_back(value{std::string{}});
    using namespace std::string_literals;
    expect_comes_back(value{"a\0"
                            "1\"\\\n\r\t\x7f' ]] --[[ \xc3\xa4 \xf0\x9f\x8c\xb3"s});
    expect_comes_back(value{all_bytes()});
    expect_comes_back(value{value::bytes{}});
    for (const char c : actors::script_literal("line\nline\r\x1b[2J")) EXPECT_GE(c, 0x20);
}

TEST(ScriptText, WritesWhatIsNestedAndWhatIsEmpty) {
    expect_comes_back(value{value::list{}});
    expect_comes_back(value{value::map{}});
    expect_comes_back(value{value::record{{}, type_id("shop::close")}}, "shop::close");
    expect_comes_back(value{value::list{value{}, 1, value{value::list{value{}, value{}}}, value{}}});
    expect_comes_back(
        value{value::map{{value{false}, value{}}, {value{1}, value{value::map{}}}, {value{"a b"}, 2.5}}});
    expect_comes_back(value{value::record{{7, value{value::record{{value{"tea"}, value{}}, 0}}, value{}},
                                          type_id("shop::order")}},
                      "shop::order");
    expect_comes_back(value{value::record{{value{1}}, 0}});
    value::record large{{}, type_id("large")};
    for (int i = 0; i < 1000; ++i) large.fields.emplace_back(i % 7 ? value{i} : value{});
    expect_comes_back(value{large}, "large");
}

TEST(ScriptText, WritesWhatIsNestedAsDeepAsAMessageMayBeAndRefusesWhatIsDeeper) {
    value deep{1};
    for (int i = 0; i < limits::wire_nesting; ++i) deep = value{value::list{std::move(deep)}};
    expect_comes_back(deep);
    EXPECT_THAT(written(value{value::list{deep}}), HasSubstr("nested deeper"));
}

TEST(ScriptText, RefusesWhatNoScriptCanSendAndSaysWhat) {
    EXPECT_EQ(written(value{std::string{"\xff\xfe"}}), "error: a text that is no UTF-8");
    EXPECT_EQ(written(value{value::map{{value{1}, value{1}}, {value{1}, value{2}}}}),
              "error: a map that has a key twice");
    EXPECT_EQ(written(value{value::map{{value{1}, value{1}}, {value{1.0}, value{2}}}}),
              "error: a map that has a key twice");
    EXPECT_EQ(written(value{value::map{{value{std::nan("")}, value{1}}}}), "error: a map with NaN as a key");
    EXPECT_THAT(written(value{value::list{wire_reference{1, 2, 0}}}), HasSubstr("a ref of an actor"));
    const auto by_path = actors::script_text(value{value::list{wire_reference{1, 2, 0}}}, {},
                                             [](const wire_reference& r) -> std::optional<std::string> {
                                                 return "at(" + std::to_string(r.actor) + ")";
                                             });
    ASSERT_TRUE(by_path);
    EXPECT_EQ(*by_path, "coppice.list{at(2)}");
}

}  // namespace
}  // namespace coppice::tests
