// Sends of the C interface that find a mailbox full: what is told, what waits, in which order, and when that ends.
// Several threads, as programs have them.
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "capi.hpp"

namespace coppice::tests {
namespace {

class CSends : public ::testing::Test {
protected:
    owned node_ = open_node();
};

std::int64_t next_int(coppice_actor from) {
    const owned v = value_of(receive(from));
    std::int64_t n = -1;
    EXPECT_COPPICE_OK(coppice_get_int64(v, &n));
    return n;
}

TEST_F(CSends, AFullMailboxIsToldToItsSenderAndNothingThatWasTakenIsLost) {
    const owned me = open_actor(node_, "me", 8);
    const owned to = self_of(me);
    int sent = 0;
    int last = COPPICE_OK;
    while (sent < 100'000 && (last = coppice_send(node_, to, int_value(sent), 1000)) == COPPICE_OK) ++sent;
    EXPECT_EQ(last, COPPICE_TIMEOUT) << coppice_error_text();
    EXPECT_GT(sent, 8);
    EXPECT_EQ(coppice_send_int64(node_, to, -2), COPPICE_MAILBOX_FULL) << coppice_error_text();
    std::thread patient{[&] { EXPECT_COPPICE_OK(coppice_send(node_, to, int_value(-1), COPPICE_FOREVER)); }};
    for (int i = 0; i < sent; ++i) EXPECT_EQ(next_text(me), std::to_string(i));
    EXPECT_EQ(next_text(me), "-1");
    patient.join();
}

TEST_F(CSends, ASendThatWaitsForRoomTellsItsOutcomeAsMail) {
    const owned me = open_actor(node_, "me");
    const owned small = open_actor(node_, "small", 1);
    const owned to = self_of(small);
    int sent = 0;
    while (coppice_send(me, to, int_value(sent), 500) == COPPICE_OK) ++sent;
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_send_later(me, to, int_value(-1), 20, &number));
    next_answer(me, number, COPPICE_TIMEOUT);
    ASSERT_COPPICE_OK(coppice_send_later(me, to, int_value(sent), COPPICE_FOREVER, &number));
    for (int i = 0; i <= sent; ++i) EXPECT_EQ(next_text(small), std::to_string(i));
    next_answer(me, number, COPPICE_OK);
}

// What waits comes behind what went at once, also where each call may have to wait.
TEST_F(CSends, WhatOneThreadSendsComesInOrderWhetherItWaitsForRoomOrNot) {
    constexpr int threads = 2;
    constexpr int each = 20'000;
    const owned to = open_actor(node_, "to", 16);
    const owned ref = self_of(to);
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            const owned me = open_actor(node_);
            for (int i = 0; i < each; ++i) {
                const std::int64_t n = std::int64_t{t} * each + i;
                const int at_once = i % 3 ? coppice_send_int64(me, ref, n) : COPPICE_MAILBOX_FULL;
                if (at_once == COPPICE_MAILBOX_FULL)
                    ASSERT_COPPICE_OK(coppice_send(me, ref, int_value(n), COPPICE_FOREVER));
                else ASSERT_EQ(at_once, COPPICE_OK) << coppice_error_text();
            }
        });
    std::int64_t expected[threads]{};
    for (int i = 0; i < threads * each; ++i) {
        const std::int64_t n = next_int(to);
        ASSERT_EQ(n % each, expected[n / each]++) << "of thread " << n / each;
    }
    for (std::thread& one : all) one.join();
}

// One outcome for each: it arrives exactly if the call said that it is on its way.
TEST_F(CSends, ASendWhoseTimeIsOverIsTakenBackOrArrives) {
    const owned me = open_actor(node_, "me");
    const owned to = open_actor(node_, "to", 2);
    const owned ref = self_of(to);
    constexpr int all = 3000;
    std::vector<std::int64_t> sent;
    std::atomic<bool> ends{false};
    std::thread sender{[&] {
        int timeouts = 0;
        for (int i = 0; i < all || timeouts == 0; ++i) {
            const int code = coppice_send(me, ref, int_value(i), 1);
            if (code == COPPICE_OK) sent.push_back(i);
            else {
                ++timeouts;
                ASSERT_EQ(code, COPPICE_TIMEOUT) << coppice_error_text();
            }
        }
        ends = true;
    }};
    std::vector<std::int64_t> arrived;
    for (bool last = false; !last;) {
        last = ends;
        for (;;) {
            owned mail;
            const int code = coppice_receive(to, last ? 50 : 3, mail.out());
            if (code == COPPICE_TIMEOUT) break;
            ASSERT_COPPICE_OK(code);
            std::int64_t n = -1;
            ASSERT_COPPICE_OK(coppice_get_int64(value_of(mail), &n));
            arrived.push_back(n);
            if (arrived.size() % 400 == 0) break;
        }
    }
    sender.join();
    for (;;) {
        owned mail;
        if (coppice_receive(to, 50, mail.out()) != COPPICE_OK) break;
        std::int64_t n = -1;
        ASSERT_COPPICE_OK(coppice_get_int64(value_of(mail), &n));
        arrived.push_back(n);
    }
    EXPECT_EQ(arrived, sent);
}

TEST_F(CSends, ASendThatWaitsEndsWithItsSender) {
    owned me = open_actor(node_, "me");
    const owned to = open_actor(node_, "to", 1);
    const owned ref = self_of(to);
    while (coppice_send_int64(me, ref, 0) == COPPICE_OK) {
    }
    std::thread sender{[&, from = static_cast<coppice_actor>(me)] {
        int code = COPPICE_OK;
        while (code == COPPICE_OK) code = coppice_send(from, ref, int_value(1), COPPICE_FOREVER);
        EXPECT_TRUE(code == COPPICE_STOPPING || code == COPPICE_INVALID_ARGUMENT || code == COPPICE_CLOSED)
            << coppice_code_name(code);
    }};
    me.close();
    sender.join();
}

TEST_F(CSends, ASendThatWaitsEndsWithItsNode) {
    owned node = open_node();
    owned to = open_actor(node, "to", 1);
    const owned ref = self_of(to);
    while (coppice_send_int64(node, ref, 0) == COPPICE_OK) {
    }
    std::thread sender{[&, from = static_cast<coppice_node>(node)] {
        int code = COPPICE_OK;
        while (code == COPPICE_OK) code = coppice_send(from, ref, int_value(1), COPPICE_FOREVER);
        EXPECT_TRUE(code == COPPICE_STOPPING || code == COPPICE_INVALID_ARGUMENT || code == COPPICE_CLOSED ||
                    code == COPPICE_DOWN)
            << coppice_code_name(code);
    }};
    node.close();
    sender.join();
}

TEST_F(CSends, WhoWouldWaitForItselfIsToldThatItsMailboxIsFull) {
    const owned me = open_actor(node_, "me", 1);
    const owned to = self_of(me);
    int code = COPPICE_OK;
    while (code == COPPICE_OK) code = coppice_send(me, to, int_value(1), COPPICE_FOREVER);
    EXPECT_EQ(code, COPPICE_MAILBOX_FULL);
}

TEST_F(CSends, ASendThatWaitsEndsWithItsReceiver) {
    const owned me = open_actor(node_, "me");
    owned to = open_actor(node_, "to", 1);
    const owned ref = self_of(to);
    while (coppice_send_int64(me, ref, 0) == COPPICE_OK) {
    }
    std::thread sender{[&] {
        int code = COPPICE_OK;
        while (code == COPPICE_OK) code = coppice_send(me, ref, int_value(1), COPPICE_FOREVER);
        EXPECT_TRUE(code == COPPICE_DOWN || code == COPPICE_STOPPING) << coppice_code_name(code);
    }};
    to.close();
    sender.join();
}

// What stands behind it in the mailbox is a request whose time is over, and nothing comes after that.
TEST_F(CSends, TheLastMailBeforeARequestThatIsTooLateArrives) {
    constexpr int all = 400;  // more than the library takes ahead
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    const owned to = self_of(me);
    for (int i = 0; i < all; ++i) ASSERT_COPPICE_OK(coppice_send_int64(you, to, i));
    coppice_value none = 0;
    EXPECT_EQ(coppice_ask(you, to, int_value(-1), 1, &none), COPPICE_TIMEOUT);
    for (int i = 0; i < all; ++i) ASSERT_EQ(next_int(me), i);
}

}  // namespace
}  // namespace coppice::tests
