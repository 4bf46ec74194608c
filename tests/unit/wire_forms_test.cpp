// Which types have a wire form, and that the others compile all the same.
#include "coppice/wire.hpp"

#include <any>
#include <atomic>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include <gtest/gtest.h>

#include "coppice/coppice.hpp"
#include "coppice/value.hpp"

namespace coppice::tests {
namespace {

struct nothing_in_it {};
struct request_of_nothing {
    using reply = std::uint64_t;
};
struct with_statics {
    [[maybe_unused]] static constexpr int most = 3;
    [[maybe_unused]] static constexpr auto lane = coppice::lane::priority;
    int a = 1;
};
struct with_defaults {
    std::string text = "unnamed";
    double factor = 1.5;
};
struct nested {
    with_defaults inner;
    std::vector<with_defaults> more;
    nothing_in_it none;
};
struct tree {
    int leaf = 0;
    std::vector<tree> branches;
    std::map<std::string, tree> named;
};
struct mutual_b;
struct mutual_a {
    std::vector<mutual_b> others;
};
struct mutual_b {
    std::vector<mutual_a> others;
};
enum class color : std::uint8_t { red, green };

template <class T>
struct beside_an_int {
    int a;
    T t;
    int b;
};

// As a message by itself, as a field among others, and as an element.
template <class T>
constexpr bool has_everywhere =
    has_wire_form<T> && has_wire_form<beside_an_int<T>> && has_wire_form<std::vector<T>>;
template <class T>
constexpr bool has_nowhere =
    !has_wire_form<T> && !has_wire_form<beside_an_int<T>> && !has_wire_form<std::vector<T>> &&
    detail::wire_of<T> == nullptr && detail::wire_of<beside_an_int<T>> == nullptr;

TEST(WireForms, PlainTypesHaveOne) {
    EXPECT_TRUE((has_everywhere<bool> && has_everywhere<char> && has_everywhere<signed char> &&
                 has_everywhere<short> && has_everywhere<unsigned long long> && has_everywhere<wchar_t> &&
                 has_everywhere<char8_t>));
    EXPECT_TRUE((has_everywhere<float> && has_everywhere<double> && has_everywhere<color> &&
                 has_everywhere<std::byte>));
    EXPECT_TRUE((has_everywhere<std::string> && has_everywhere<std::vector<std::byte>> &&
                 has_everywhere<std::vector<std::uint8_t>> && has_everywhere<std::array<std::byte, 16>>));
    EXPECT_TRUE((has_everywhere<std::chrono::milliseconds> && has_everywhere<std::chrono::duration<double>>));
    EXPECT_TRUE(
        (has_everywhere<ref<>> && has_everywhere<ref<protocol<with_statics>>> && has_everywhere<value>));
}

TEST(WireForms, ContainersOfThemHaveOne) {
    EXPECT_TRUE((has_everywhere<std::vector<bool>> && has_everywhere<std::deque<int>> &&
                 has_everywhere<std::list<color>>));
    EXPECT_TRUE((has_everywhere<std::set<std::string>> && has_everywhere<std::unordered_set<int>>));
    EXPECT_TRUE((has_everywhere<std::map<int, nested>> &&
                 has_everywhere<std::unordered_map<std::string, std::vector<int>>>));
    EXPECT_TRUE((has_everywhere<std::optional<nested>> && has_everywhere<std::pair<int, std::string>>));
    EXPECT_TRUE((has_everywhere<std::tuple<>> && has_everywhere<std::tuple<int, nested, bool>>));
    EXPECT_TRUE((has_everywhere<std::variant<int, nested>> && has_everywhere<std::array<nested, 3>>));
}

TEST(WireForms, AggregatesOfThemHaveOne) {
    EXPECT_TRUE((has_everywhere<nothing_in_it> && has_everywhere<request_of_nothing> &&
                 has_everywhere<with_statics>));
    EXPECT_TRUE((has_everywhere<with_defaults> && has_everywhere<nested>));
    EXPECT_EQ(detail::field_count<nothing_in_it>, 0u);
    EXPECT_EQ(detail::field_count<with_statics>, 1u);
    EXPECT_EQ(detail::field_count<nested>, 3u);
}

TEST(WireForms, TypesThatContainThemselvesHaveOne) {
    EXPECT_TRUE((has_everywhere<tree> && has_everywhere<mutual_a> && has_everywhere<mutual_b>));
}

TEST(WireForms, WhatPointsIntoItsProcessHasNone) {
    EXPECT_TRUE((has_nowhere<int*> && has_nowhere<void*> && has_nowhere<void (*)()> &&
                 has_nowhere<std::nullptr_t> && has_nowhere<const char*>));
    EXPECT_TRUE((has_nowhere<std::unique_ptr<int>> && has_nowhere<std::shared_ptr<int>>));
    EXPECT_TRUE((has_nowhere<std::string_view> && has_nowhere<std::span<int>> &&
                 has_nowhere<std::reference_wrapper<int>>));
    EXPECT_TRUE(
        (has_nowhere<std::function<void()>> && has_nowhere<std::exception_ptr> && has_nowhere<std::any>));
    EXPECT_TRUE((has_nowhere<std::thread> && has_nowhere<std::mutex> && has_nowhere<std::atomic<int>>));
    EXPECT_TRUE((has_nowhere<exit_reason> && has_nowhere<error> && has_nowhere<long double>));
}

struct base {
    int a;
};
struct derived : base {};
struct derived_with_field : base {
    int b;
};
struct empty_base_derived : nothing_in_it {
    int b;
};
struct bits {
    int a : 3;
    unsigned b : 5;
};
struct c_array {
    int b;
    int a[3];
};
struct c_array_of_one {
    char a[1];
    int b;
};
struct constant {
    const int a = 1;
};
int referred_to = 0;
struct refers {
    int& a = referred_to;
    int b = 0;
};
union either {
    int a;
    float b;
};
struct not_default {
    explicit not_default(int n) : n_{n} {}
    int n_;
};
struct holds_not_default {
    not_default inner{1};
    int b = 0;
};
class not_an_aggregate {
public:
    not_an_aggregate() = default;
    [[nodiscard]] int n() const { return n_; }

private:
    int n_ = 0;
};
struct abstract {
    virtual ~abstract() = default;
    virtual void f() = 0;
};
struct opted_out {
    using local_only = void;
    int a = 0;
};
struct takes_anything {
    takes_anything() = default;
    template <class T>
    takes_anything(T&&) {}  // NOLINT: greedy on purpose
};
struct incomplete;

TEST(WireForms, StructsThatCannotBeTakenApartHaveNone) {
    EXPECT_TRUE((has_nowhere<derived> && has_nowhere<derived_with_field> && has_nowhere<empty_base_derived>));
    EXPECT_TRUE((has_nowhere<bits> && has_nowhere<c_array> && has_nowhere<c_array_of_one>));
    EXPECT_TRUE((has_nowhere<either> && has_nowhere<not_an_aggregate> && has_nowhere<takes_anything>));
    EXPECT_FALSE(has_wire_form<constant>);
    EXPECT_FALSE(has_wire_form<refers>);
    EXPECT_FALSE(has_wire_form<not_default>);
    EXPECT_FALSE(has_wire_form<holds_not_default>);
    EXPECT_FALSE(has_wire_form<abstract>);
    EXPECT_FALSE(has_wire_form<std::vector<incomplete>>);
    EXPECT_FALSE(has_wire_form<void>);
    EXPECT_FALSE(has_wire_form<int[3]>);
    EXPECT_FALSE(has_wire_form<int&>);
    EXPECT_FALSE(has_wire_form<int()>);
}

TEST(WireForms, AMessageCanOptOut) { EXPECT_TRUE(has_nowhere<opted_out>); }

TEST(WireForms, AnOptionalOfWhatMayBeNothingHasNone) {
    EXPECT_TRUE((has_nowhere<std::optional<std::optional<int>>> && has_nowhere<std::optional<value>>));
}

TEST(WireForms, MixturesWithoutOneCompileAsMessages) {
    struct mixture {
        std::unique_ptr<int> p;
        std::function<void()> f;
        std::exception_ptr e;
        std::any a;
        std::vector<std::any> v;
        std::string s;
    };
    struct inside {
        int before;
        mixture m;
        std::optional<mixture> o;
    };
    EXPECT_FALSE(has_wire_form<mixture>);
    EXPECT_FALSE(has_wire_form<inside>);
    EXPECT_EQ(detail::field_count<mixture>, 6u);
    static_assert(message<mixture>);
}

}  // namespace
}  // namespace coppice::tests
