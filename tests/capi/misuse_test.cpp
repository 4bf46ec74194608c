// The C interface used wrongly: null, closed, of the wrong kind, overlong, after a fork, by threads that do not know of each other.
// Codes and texts, never a crash.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "capi.hpp"

namespace coppice::tests {
namespace {

bool text_has(std::string_view words) {
    return std::string_view{coppice_error_text()}.find(words) != std::string_view::npos;
}

TEST(CMisuse, P4EveryWrongArgumentHasACodeAndATextThatNamesIt) {
    const owned node = open_node();
    const owned me = open_actor(node);
    const owned to = self_of(me);
    const owned v = int_value(1);
    const struct {
        int got;
        int code;
        std::string text;
        const char* words;
    } all[] = {
        {coppice_send_int64(0, to, 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "`from` is 0"},
        {coppice_send_int64(to, to, 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(),
         "the handle of a ref"},
        {coppice_send_int64(me, me, 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(),
         "the handle of an actor"},
        {coppice_send_int64(me, 12345, 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(),
         "`to` is no handle"},
        {coppice_send(me, to, me, 0), COPPICE_INVALID_ARGUMENT, coppice_error_text(),
         "`v` is the handle of an actor"},
        {coppice_send_text(me, to, nullptr, 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(),
         "`text` is NULL"},
        {coppice_send_text(me, to, nullptr, COPPICE_TERMINATED), COPPICE_INVALID_ARGUMENT,
         coppice_error_text(), "`text`"},
        {coppice_send_bytes(me, to, "", SIZE_MAX), COPPICE_TOO_LARGE, coppice_error_text(),
         "send it in pieces"},
        {coppice_receive(me, 0, nullptr), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "`out` is NULL"},
        {coppice_receive(node, 0, nullptr), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "`out` is NULL"},
        {coppice_reply_int64(v, 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(),
         "`request` is the handle of a value"},
        {coppice_open_node(nullptr, nullptr), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "`out`"},
        {coppice_join(me, nullptr), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "`group` is NULL"},
        {coppice_handle_kind(me, 99, nullptr, nullptr), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "99"},
        {coppice_log(me, 17, "x", 1), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "17"},
        {coppice_close(0x1234), COPPICE_INVALID_ARGUMENT, coppice_error_text(), "no handle"},
        {coppice_check_version(2, 0), COPPICE_WRONG_VERSION, coppice_error_text(), "2.0"},
    };
    for (const auto& one : all) {
        EXPECT_EQ(one.got, one.code) << one.text;
        EXPECT_NE(one.text.find(one.words), std::string::npos) << one.text << " has no " << one.words;
    }
    EXPECT_COPPICE_OK(coppice_close(0));
    EXPECT_EQ(coppice_check_version(COPPICE_HEADER_MAJOR, COPPICE_HEADER_MINOR), COPPICE_OK);
    EXPECT_EQ(coppice_version(), 65536u * COPPICE_HEADER_MAJOR + COPPICE_HEADER_MINOR);
}

TEST(CMisuse, EveryCodeHasItsName) {
    EXPECT_STREQ(coppice_code_name(COPPICE_OK), "ok");
    EXPECT_STREQ(coppice_code_name(COPPICE_MAILBOX_FULL), "mailbox_full");
    EXPECT_STREQ(coppice_code_name(COPPICE_TOO_LARGE), "too_large");
    EXPECT_STREQ(coppice_code_name(-1), "unknown");
    EXPECT_STREQ(coppice_code_name(1000), "unknown");
    for (int code = 0; code <= COPPICE_TOO_LARGE; ++code)
        EXPECT_STRNE(coppice_code_name(code), "unknown") << code;
}

TEST(CMisuse, WhatWasClosedIsToldAlsoWhenItsPlaceIsTakenAgain) {
    const coppice_value first = int_value(1).release();
    EXPECT_COPPICE_OK(coppice_close(first));
    std::int64_t n = 0;
    EXPECT_EQ(coppice_get_int64(first, &n), COPPICE_CLOSED);
    EXPECT_TRUE(text_has("`v` was closed before")) << coppice_error_text();
    EXPECT_EQ(coppice_close(first), COPPICE_CLOSED);
    const owned second = int_value(2);
    EXPECT_NE(first, second);
    EXPECT_EQ(coppice_get_int64(first, &n), COPPICE_CLOSED);
    EXPECT_EQ(int_in(second), 2);
}

TEST(CMisuse, AFailureIsKeptForItsThreadAndItsHandle) {
    const owned a = int_value(1);
    const owned b = text_value("b");
    int truth = 0;
    std::int64_t n = 0;
    EXPECT_EQ(coppice_get_bool(a, &truth), COPPICE_WRONG_PROTOCOL);
    EXPECT_EQ(coppice_get_int64(b, &n), COPPICE_WRONG_PROTOCOL);
    EXPECT_COPPICE_OK(coppice_get_int64(a, &n));
    EXPECT_TRUE(text_has("coppice_get_int64: ")) << coppice_error_text();
    EXPECT_NE(std::string{coppice_error_text_of(a)}.find("coppice_get_bool: "), std::string::npos);
    EXPECT_STREQ(coppice_error_text_of(0), "");
    std::thread other{[&] {
        EXPECT_STREQ(coppice_error_text(), "");
        EXPECT_STREQ(coppice_error_text_of(a), "");
    }};
    other.join();
}

TEST(CMisuse, OverlongNamesAreRefused) {
    const owned node = open_node();
    const std::string name(1000, 'x');
    coppice_actor_options o{};
    o.size = sizeof o;
    o.name = name.c_str();
    coppice_actor a = 0;
    EXPECT_EQ(coppice_open_actor(node, &o, &a), COPPICE_BAD_NAME) << coppice_error_text();
    coppice_ref r = 0;
    EXPECT_EQ(coppice_find(node, std::string(10'000, '/').c_str(), &r), COPPICE_BAD_NAME)
        << coppice_error_text();
    coppice_node_options n{};
    n.size = sizeof n;
    n.name = name.c_str();
    coppice_node none = 0;
    EXPECT_NE(coppice_open_node(&n, &none), COPPICE_OK);
    const owned me = open_actor(node);
    EXPECT_EQ(coppice_join(me, name.c_str()), COPPICE_BAD_NAME) << coppice_error_text();
}

TEST(CMisuse, OptionsOfAnotherHeaderAreTakenOrRefusedByTheirSize) {
    struct newer {
        coppice_node_options known;
        std::uint64_t later;
    } o{};
    o.known.size = sizeof o;
    o.known.log_level = COPPICE_OFF;
    owned node;
    EXPECT_COPPICE_OK(coppice_open_node(&o.known, node.out()));  // at its default
    node.close();
    o.known.linger_ms = 1'000'000'000;  // not of a program of header 1.0, whose struct ends before it
    o.known.size = offsetof(coppice_node_options, linger_ms);
    EXPECT_COPPICE_OK(coppice_open_node(&o.known, node.out()));
    o.known.size = sizeof o;
    o.later = 1;
    coppice_node none = 0;
    EXPECT_EQ(coppice_open_node(&o.known, &none), COPPICE_WRONG_VERSION) << coppice_error_text();
    for (const std::size_t size :
         {std::size_t{0}, sizeof(std::size_t) + 2, sizeof o.known - 1, std::size_t{1} << 40}) {
        o.known.size = size;
        EXPECT_EQ(coppice_open_node(&o.known, &none), COPPICE_INVALID_ARGUMENT) << coppice_error_text();
    }
}

TEST(CMisuse, AForkedProcessIsRefusedByEveryCall) {
    const owned node = open_node();
    const owned me = open_actor(node);
    const owned to = self_of(me);
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);  // it must not outlive a failure of what is tested
        coppice_mail mail = 0;
        const char results[] = {static_cast<char>(coppice_send_int64(me, to, 1)),
                                static_cast<char>(coppice_receive(me, 0, &mail)),
                                static_cast<char>(coppice_close(node)),
                                static_cast<char>(text_has("fork()") ? 1 : 0)};
        const bool written = ::write(told[1], results, sizeof results) == sizeof results;
        ::_exit(written ? 0 : 1);
    }
    char results[4] = {};
    EXPECT_EQ(::read(told[0], results, sizeof results), 4);
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(results[i], COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(results[3], 1);
    EXPECT_COPPICE_OK(coppice_send_int64(me, to, 2));
    EXPECT_EQ(next_text(me), "2");
    ::close(told[0]);
    ::close(told[1]);
}

TEST(CMisuse, ThreadsUseAndCloseTheSameHandles) {
    constexpr int rounds = 2000;
    std::atomic<coppice_value> shared[4] = {};
    std::atomic<int> closed{0};
    const std::size_t before = coppice_open_handles();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            for (int i = 0; i < rounds; ++i) {
                auto& place = shared[(i + t) % 4];
                coppice_value mine = 0;
                EXPECT_COPPICE_OK(coppice_new_int64(i, &mine));
                if (const coppice_value old = place.exchange(mine)) {
                    // Others may be using it, and may have closed it.
                    const int got = coppice_close(old);
                    EXPECT_TRUE(got == COPPICE_OK || got == COPPICE_CLOSED) << coppice_error_text();
                    closed += got == COPPICE_OK;
                }
                std::int64_t n = -1;
                const coppice_value theirs = shared[i % 4];
                const int got = theirs ? coppice_get_int64(theirs, &n) : COPPICE_CLOSED;
                if (got == COPPICE_OK) EXPECT_TRUE(n >= 0 && n < rounds);
                else EXPECT_EQ(got, COPPICE_CLOSED) << coppice_error_text();
                if (i % 7 == 0 && theirs) closed += coppice_close(theirs) == COPPICE_OK;
            }
        });
    for (auto& t : threads) t.join();
    for (auto& place : shared) closed += coppice_close(place) == COPPICE_OK;
    EXPECT_EQ(closed, 4 * rounds);
    EXPECT_EQ(coppice_open_handles(), before);
}

// A thread has some places for handles to itself: what it leaves is for others.
TEST(CMisuse, ThePlacesOfHandlesOfAThreadThatHasEndedAreUsedAgain) {
    constexpr int threads = 300;
    std::set<coppice_value> places;
    for (int i = 0; i < threads; ++i)
        std::thread{[&] {
            const owned v = int_value(i);
            places.insert(v & 0xff'ffff);
        }}.join();
    EXPECT_LT(places.size(), threads / 2u);
}

TEST(CMisuse, HandlesAreCountedWhicheverThreadsMakeAndCloseThem) {
    constexpr int each = 5000;
    const std::size_t before = coppice_open_handles();
    std::vector<coppice_value> made(each);
    std::thread{[&] {
        for (coppice_value& one : made) ASSERT_COPPICE_OK(coppice_new_int64(7, &one));
    }}.join();
    EXPECT_EQ(coppice_open_handles(), before + each);
    for (const coppice_value one : made) {
        ASSERT_EQ(int_in(one), 7);
        ASSERT_COPPICE_OK(coppice_close(one));
        std::int64_t n = -1;
        ASSERT_EQ(coppice_get_int64(one, &n), COPPICE_CLOSED);
    }
    EXPECT_EQ(coppice_open_handles(), before);
}

TEST(CMisuse, ThreadsSendReceiveAndCloseOneActor) {
    for (int round = 0; round < 30; ++round) {
        const owned node = open_node();
        const coppice_actor me = open_actor(node).release();
        const owned to = self_of(me);
        std::vector<std::thread> threads;
        for (int t = 0; t < 2; ++t) {
            threads.emplace_back([&] {
                for (int i = 0; i < 200; ++i) {
                    const int sent = coppice_send_int64(node, to, i);
                    if (sent != COPPICE_OK) {
                        EXPECT_TRUE(sent == COPPICE_DOWN || sent == COPPICE_STOPPING) << coppice_error_text();
                        return;
                    }
                }
            });
            threads.emplace_back([&] {
                for (;;) {
                    owned mail;
                    const int got = coppice_receive(me, COPPICE_FOREVER, mail.out());
                    if (got == COPPICE_OK) continue;
                    EXPECT_TRUE(got == COPPICE_STOPPING || got == COPPICE_CLOSED) << coppice_error_text();
                    return;
                }
            });
        }
        EXPECT_COPPICE_OK(coppice_close(me));
        for (auto& t : threads) t.join();
    }
}

}  // namespace
}  // namespace coppice::tests
