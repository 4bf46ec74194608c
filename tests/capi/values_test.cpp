// Values of the C interface: each kind at its limits, built, read and refused.
#include <cmath>
#include <limits>
#include <string>

#include "capi.hpp"
#include "coppice/options.hpp"
#include "coppice/value.hpp"

namespace coppice::tests {
namespace {

TEST(CValues, EveryScalarComesBackAsItWasMade) {
    owned v;
    ASSERT_COPPICE_OK(coppice_new_nothing(v.out()));
    EXPECT_EQ(kind_of(v), COPPICE_NOTHING);
    v.close();
    for (const int b : {0, 1}) {
        ASSERT_COPPICE_OK(coppice_new_bool(b, v.out()));
        int got = 7;
        EXPECT_COPPICE_OK(coppice_get_bool(v, &got));
        EXPECT_EQ(got, b);
        v.close();
    }
    for (const std::int64_t n : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
        v = int_value(n);
        EXPECT_EQ(kind_of(v), COPPICE_INT);
        EXPECT_EQ(int_in(v), n);
        v.close();
    }
    ASSERT_COPPICE_OK(coppice_new_uint64(UINT64_MAX, v.out()));
    std::uint64_t u = 0;
    std::int64_t n = 7;
    EXPECT_COPPICE_OK(coppice_get_uint64(v, &u));
    EXPECT_EQ(u, UINT64_MAX);
    EXPECT_EQ(coppice_get_int64(v, &n), COPPICE_WRONG_PROTOCOL);
    EXPECT_NE(std::string{coppice_error_text()}.find("does not fit"), std::string::npos)
        << coppice_error_text();
    EXPECT_EQ(n, 7);
    v.close();
    for (const double x : {0.0, -0.0, 2.5, std::numeric_limits<double>::infinity(), std::nan("")}) {
        ASSERT_COPPICE_OK(coppice_new_double(x, v.out()));
        double got = 0;
        EXPECT_COPPICE_OK(coppice_get_double(v, &got));
        EXPECT_EQ(std::memcmp(&got, &x, sizeof x), 0);
        v.close();
    }
}

TEST(CValues, TextsKeepEmptyEmbeddedZerosAndFourByteCharacters) {
    using namespace std::string_literals;
    for (const std::string& text :
         {""s, "a\0b\0"s, "\xf0\x9f\x8c\xb3 gr\xc3\xbcn"s, std::string(16u << 20, 'x')}) {
        const owned v = text_value(text);
        EXPECT_EQ(string_in(v), text);
    }
    owned v;
    ASSERT_COPPICE_OK(coppice_new_text("until its zero", COPPICE_TERMINATED, v.out()));
    EXPECT_EQ(string_in(v), "until its zero");
}

TEST(CValues, ATextThatIsNoUtf8IsRefusedAndItsFirstWrongByteTold) {
    const struct {
        std::string_view text;
        const char* from;
    } all[] = {{"ab\xff", "byte 2"},       {"\xc0\x80", "byte 0"},         {"12345678\xed\xa0\x80", "byte 8"},
               {"\xe2\x82", "byte 0"},     {"\xf4\x90\x80\x80", "byte 0"}, {"\x80", "byte 0"},
               {"\xe0\x9f\xbf", "byte 0"}, {"\xf0\x8f\xbf\xbf", "byte 0"}, {"x\xf5\x80\x80\x80", "byte 1"}};
    for (const auto& one : all) {
        coppice_value v = 7;
        EXPECT_EQ(coppice_new_text(one.text.data(), one.text.size(), &v), COPPICE_INVALID_ARGUMENT)
            << one.from;
        EXPECT_EQ(v, 0u);
        EXPECT_NE(std::string{coppice_error_text()}.find(one.from), std::string::npos)
            << coppice_error_text();
    }
}

TEST(CValues, BytesHoldAnythingAlsoNothing) {
    for (const std::string& bytes :
         {std::string{}, std::string{"\0\xff\x80", 3}, std::string(16u << 20, '\xfe')}) {
        owned v;
        ASSERT_COPPICE_OK(coppice_new_bytes(bytes.data(), bytes.size(), v.out()));
        EXPECT_EQ(bytes_in(v), bytes);
    }
    owned v;
    EXPECT_COPPICE_OK(coppice_new_bytes(nullptr, 0, v.out()));
    coppice_value none = 0;
    EXPECT_EQ(coppice_new_bytes(nullptr, 1, &none), COPPICE_INVALID_ARGUMENT);
}

TEST(CValues, ListsRecordsAndMapsAreBuiltAndReadByIndex) {
    owned list;
    ASSERT_COPPICE_OK(coppice_new_list(list.out()));
    EXPECT_COPPICE_OK(coppice_add(list, int_value(1).release()));
    EXPECT_COPPICE_OK(coppice_add(list, text_value("two").release()));
    owned record;
    ASSERT_COPPICE_OK(coppice_new_record("shop::order", record.out()));
    owned same;
    ASSERT_COPPICE_OK(coppice_new_record_of(coppice_type_id("shop::order"), same.out()));
    std::uint64_t same_type = 0;
    EXPECT_COPPICE_OK(coppice_value_type(same, &same_type));
    EXPECT_EQ(same_type, coppice_type_id("shop::order"));
    EXPECT_COPPICE_OK(coppice_add(record, list.release()));
    owned map;
    ASSERT_COPPICE_OK(coppice_new_map(map.out()));
    EXPECT_COPPICE_OK(coppice_put(map, text_value("key").release(), record.release()));
    EXPECT_EQ(text_of(map), R"({"key": ([1, "two"])})");

    std::size_t size = 0;
    EXPECT_COPPICE_OK(coppice_value_size(map, &size));
    EXPECT_EQ(size, 1u);
    owned key;
    EXPECT_COPPICE_OK(coppice_value_key(map, 0, key.out()));
    EXPECT_EQ(string_in(key), "key");
    EXPECT_COPPICE_OK(coppice_value_at(map, 0, record.out()));
    std::uint64_t type = 0;
    EXPECT_COPPICE_OK(coppice_value_type(record, &type));
    EXPECT_EQ(type, coppice_type_id("shop::order"));
    EXPECT_COPPICE_OK(coppice_value_at(record, 0, list.out()));
    owned second;
    EXPECT_COPPICE_OK(coppice_value_at(list, 1, second.out()));
    map.close();
    record.close();
    list.close();
    EXPECT_EQ(string_in(second), "two");  // lives by its own handle
    coppice_value none = 0;
    EXPECT_EQ(coppice_value_at(second, 0, &none), COPPICE_WRONG_PROTOCOL);
}

TEST(CValues, NothingIsAddedOnceAPartWasLookedAt) {
    owned list;
    ASSERT_COPPICE_OK(coppice_new_list(list.out()));
    EXPECT_COPPICE_OK(coppice_add(list, int_value(1).release()));
    owned part;
    EXPECT_COPPICE_OK(coppice_value_at(list, 0, part.out()));
    const std::size_t open = coppice_open_handles();
    EXPECT_EQ(coppice_add(list, int_value(2).release()), COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(coppice_open_handles(), open) << "the part is taken all the same";
    coppice_value none = 0;
    EXPECT_EQ(coppice_value_at(list, 1, &none), COPPICE_NOT_FOUND);
}

TEST(CValues, APartThatWasGivenAwayIsClosed) {
    owned list;
    ASSERT_COPPICE_OK(coppice_new_list(list.out()));
    const coppice_value part = int_value(1).release();
    EXPECT_COPPICE_OK(coppice_add(list, part));
    std::int64_t n = 0;
    EXPECT_EQ(coppice_get_int64(part, &n), COPPICE_CLOSED);
    EXPECT_EQ(coppice_add(list, part), COPPICE_CLOSED);
    const coppice_value itself = list.release();
    EXPECT_EQ(coppice_add(itself, itself), COPPICE_INVALID_ARGUMENT);
}

TEST(CValues, NestingIsLimitedAsOnTheWire) {
    for (const int kind : {COPPICE_LIST, COPPICE_RECORD, COPPICE_MAP}) {
        owned inner = int_value(1);
        int depth = 0;
        for (;; ++depth) {
            owned outer;
            int added = 0;
            if (kind == COPPICE_LIST) {
                ASSERT_COPPICE_OK(coppice_new_list(outer.out()));
                added = coppice_add(outer, inner.release());
            } else if (kind == COPPICE_RECORD) {
                ASSERT_COPPICE_OK(coppice_new_record(nullptr, outer.out()));
                added = coppice_add(outer, inner.release());
            } else {
                ASSERT_COPPICE_OK(coppice_new_map(outer.out()));
                added = coppice_put(outer, int_value(0).release(), inner.release());
            }
            if (added != COPPICE_OK) {
                EXPECT_EQ(added, COPPICE_TOO_LARGE) << coppice_error_text();
                break;
            }
            inner = std::move(outer);
        }
        EXPECT_EQ(depth, limits::wire_nesting);
    }
    // The limit is that of messages.
    value v{std::int64_t{1}};
    for (int i = 0; i < limits::wire_nesting; ++i) v = value{value::list{v}};
    EXPECT_FALSE(v.encode().empty());
    EXPECT_TRUE(value{value::list{v}}.encode().empty());
}

TEST(CValues, P11TaggedBytesOfAForeignEncodingStayUntouched) {
    const std::string protobuf{"\x0a\x03"
                               "abc\0\xff",
                               7};
    owned v;
    ASSERT_COPPICE_OK(coppice_new_tagged(UINT64_MAX, protobuf.data(), protobuf.size(), v.out()));
    EXPECT_EQ(kind_of(v), COPPICE_TAGGED);
    std::uint64_t tag = 0;
    const void* bytes = nullptr;
    std::size_t size = 0;
    EXPECT_COPPICE_OK(coppice_get_tagged(v, &tag, &bytes, &size));
    EXPECT_EQ(tag, UINT64_MAX);
    EXPECT_EQ(std::string(static_cast<const char*>(bytes), size), protobuf);
}

}  // namespace
}  // namespace coppice::tests
