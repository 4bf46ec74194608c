// A text as JSON: valid whatever bytes it holds.
#include <string>

#include <gtest/gtest.h>

#include "json_text.hpp"

namespace coppice::tests {
namespace {

using detail::json_text;
using namespace std::string_literals;

TEST(JsonText, EscapesWhatJsonDoesNotTakeAsItIs) {
    EXPECT_EQ(json_text(""), R"("")");
    EXPECT_EQ(json_text("a \"b\" \\ /"), R"("a \"b\" \\ /")");
    EXPECT_EQ(json_text("\n\t\x1b\x7f\0"s), R"("\n\u0009\u001b\u007f\u0000")");
}

TEST(JsonText, LeavesUtf8AndReplacesEachByteThatIsNone) {
    for (const char* good :
         {"\xc3\xa4", "\xe2\x82\xac", "\xed\x9f\xbf", "\xf0\x9f\x8c\xb3", "\xf4\x8f\xbf\xbf"})
        EXPECT_EQ(json_text(good), "\"" + std::string{good} + "\"");
    const std::string mark = "\xef\xbf\xbd";
    const struct {
        std::string bytes;
        int replaced;
    } bad[] = {{"\x80", 1},
               {"\xc0\xaf", 2},
               {"\xc3", 1},
               {"\xe0\x80\xaf", 3},
               {"\xe2\x82", 2},
               {"\xed\xa0\x80", 3},
               {"\xf0\x80\x80\x80", 4},
               {"\xf4\x90\x80\x80", 4},
               {"\xff", 1}};
    for (const auto& [bytes, replaced] : bad) {
        std::string expected = "\"a";
        for (int i = 0; i < replaced; ++i) expected += mark;
        EXPECT_EQ(json_text("a" + bytes + "b"), expected + "b\"") << ::testing::PrintToString(bytes);
    }
}

}  // namespace
}  // namespace coppice::tests
