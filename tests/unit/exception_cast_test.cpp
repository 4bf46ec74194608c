// What an exception is, asked without throwing it again.
#include <exception>
#include <ios>
#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "exception_cast.hpp"

namespace coppice::tests {
namespace {

using detail::exception_cast;

struct plain {
    int number = 3;
};
struct more : plain {};
struct beside {
    int other = 1;
};
struct second_base : beside, std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct hidden : private std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct left : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct right : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct twice : left, right {
    twice() : left{"left"}, right{"right"} {}
};
struct by_virtue : virtual std::exception {
    [[nodiscard]] const char* what() const noexcept override { return "virtual"; }
};

template <class T>
const T* cast(const std::exception_ptr& p) {
    return exception_cast<T>(p);
}

TEST(ExceptionCast, FindsWhatACatchClauseWouldCatch) {
    const auto failure = std::make_exception_ptr(std::out_of_range{"far out"});
    const auto* e = cast<std::exception>(failure);
    ASSERT_NE(e, nullptr);
    EXPECT_STREQ(e->what(), "far out");
    EXPECT_NE(cast<std::logic_error>(failure), nullptr);
    EXPECT_NE(cast<std::out_of_range>(failure), nullptr);
    EXPECT_EQ(cast<std::runtime_error>(failure), nullptr);
    EXPECT_EQ(cast<plain>(failure), nullptr);
}

TEST(ExceptionCast, FindsABaseThatIsNotAtTheBeginningOrIsVirtual) {
    const auto failure = std::make_exception_ptr(second_base{"beside"});
    ASSERT_NE(cast<std::exception>(failure), nullptr);
    EXPECT_STREQ(cast<std::exception>(failure)->what(), "beside");
    ASSERT_NE(cast<beside>(failure), nullptr);
    EXPECT_EQ(cast<beside>(failure)->other, 1);
    const auto virtually = std::make_exception_ptr(by_virtue{});
    ASSERT_NE(cast<std::exception>(virtually), nullptr);
    EXPECT_STREQ(cast<std::exception>(virtually)->what(), "virtual");
}

TEST(ExceptionCast, FindsNoBaseThatIsPrivateOrAmbiguousNorWhatAPointerPointsTo) {
    EXPECT_EQ(cast<std::exception>(std::make_exception_ptr(hidden{"private"})), nullptr);
    const auto both = std::make_exception_ptr(twice{});
    EXPECT_EQ(cast<std::exception>(both), nullptr);
    ASSERT_NE(cast<right>(both), nullptr);
    EXPECT_STREQ(cast<right>(both)->what(), "right");
    plain one;
    EXPECT_EQ(cast<plain>(std::make_exception_ptr(&one)), nullptr);
    EXPECT_EQ(cast<std::exception>(std::make_exception_ptr(7)), nullptr);
    EXPECT_EQ(cast<std::exception>(std::make_exception_ptr(std::string{"text"})), nullptr);
}

TEST(ExceptionCast, FindsTypesThatAreNoStandardExceptionsAndNothingInNothing) {
    const auto failure = std::make_exception_ptr(more{});
    ASSERT_NE(cast<plain>(failure), nullptr);
    EXPECT_EQ(cast<plain>(failure)->number, 3);
    EXPECT_NE(cast<more>(failure), nullptr);
    EXPECT_EQ(cast<std::exception>(failure), nullptr);
    EXPECT_EQ(cast<std::exception>(std::exception_ptr{}), nullptr);
}

TEST(ExceptionCast, IsTheObjectThatWasThrownAlsoAfterItWasThrownAgain) {
    std::exception_ptr failure;
    const void* thrown = nullptr;
    try {
        try {
            throw std::ios_base::failure{"disk"};
        } catch (const std::exception& e) {
            thrown = &e;
            std::rethrow_exception(std::current_exception());
        }
    } catch (...) {
        failure = std::current_exception();
    }
    EXPECT_EQ(cast<std::exception>(failure), thrown);
}

}  // namespace
}  // namespace coppice::tests
