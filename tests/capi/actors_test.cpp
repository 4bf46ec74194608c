// Nodes and actors of the C interface in one process: sending, receiving, asking, ends.
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "capi.hpp"

namespace coppice::tests {
namespace {

class CActors : public ::testing::Test {
protected:
    owned node_ = open_node();
};

TEST_F(CActors, P1EachKindIsSentInOneCallAndArrivesExactly) {
    const owned me = open_actor(node_, "me");
    const owned to = self_of(me);
    EXPECT_COPPICE_OK(coppice_send_nothing(me, to));
    EXPECT_COPPICE_OK(coppice_send_bool(me, to, 1));
    EXPECT_COPPICE_OK(coppice_send_int32(me, to, INT32_MIN));
    EXPECT_COPPICE_OK(coppice_send_int64(me, to, INT64_MIN));
    EXPECT_COPPICE_OK(coppice_send_uint64(me, to, UINT64_MAX));
    EXPECT_COPPICE_OK(coppice_send_double(me, to, -0.5));
    EXPECT_COPPICE_OK(coppice_send_text(me, to, "gr\xc3\xbcn", COPPICE_TERMINATED));
    EXPECT_COPPICE_OK(coppice_send_text(me, to, "a\0b", 3));
    EXPECT_COPPICE_OK(coppice_send_text(me, to, "", 0));
    EXPECT_COPPICE_OK(coppice_send_bytes(me, to, "\0\xff", 2));
    EXPECT_COPPICE_OK(coppice_send_pair(me, to, -1, INT64_MAX));
    EXPECT_COPPICE_OK(coppice_send_four(me, to, 1, -2, 3, -4));
    EXPECT_COPPICE_OK(coppice_send_int_text(me, to, -7, "seven", COPPICE_TERMINATED));
    EXPECT_COPPICE_OK(coppice_send_tagged(me, to, 9, "x", 1));
    const char* const expected[] = {"nothing",
                                    "true",
                                    "-2147483648",
                                    "-9223372036854775808",
                                    "18446744073709551615",
                                    "-0.5",
                                    "\"gr\xc3\xbcn\"",
                                    "\"a\\x00b\"",
                                    "\"\"",
                                    "x'00ff'",
                                    "(-1, 9223372036854775807)",
                                    "(1, -2, 3, -4)",
                                    "(-7, \"seven\")",
                                    "(9, x'78')"};
    for (const char* text : expected) EXPECT_EQ(next_text(me), text);
}

TEST_F(CActors, AMailIsReadAndSentOnAsTheValueThatItBrought) {
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    EXPECT_COPPICE_OK(coppice_send_text(you, self_of(me), "a text", COPPICE_TERMINATED));
    EXPECT_COPPICE_OK(coppice_send_pair(you, self_of(me), 7, 8));
    owned mail = receive(me);
    int kind = 0;
    EXPECT_COPPICE_OK(coppice_value_kind_of(mail, &kind));
    EXPECT_EQ(kind, COPPICE_TEXT);
    const char* text = nullptr;
    std::size_t size = 0;
    EXPECT_COPPICE_OK(coppice_get_text(mail, &text, &size));
    EXPECT_EQ(std::string(text, size), "a text");
    std::int64_t n = 0;
    EXPECT_EQ(coppice_get_int64(mail, &n), COPPICE_WRONG_PROTOCOL);
    EXPECT_COPPICE_OK(coppice_send(me, self_of(you), mail, 0));
    EXPECT_EQ(next_text(you), "\"a text\"");
    mail = receive(me);
    char all[32];
    EXPECT_COPPICE_OK(coppice_value_text(mail, all, sizeof all));
    EXPECT_STREQ(all, "(7, 8)");
    owned part;
    coppice_value none = 0;
    EXPECT_COPPICE_OK(coppice_value_at(mail, 1, part.out()));
    EXPECT_EQ(coppice_value_at(mail, 2, &none), COPPICE_NOT_FOUND);
    mail.close();
    EXPECT_COPPICE_OK(coppice_get_int64(part, &n));
    EXPECT_EQ(n, 8) << "a part keeps what the mail brought";
    EXPECT_EQ(coppice_get_int64(mail, &n), COPPICE_INVALID_ARGUMENT);
}

TEST_F(CActors, AMailKnowsItsSender) {
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    const owned to_you = self_of(you);
    EXPECT_COPPICE_OK(coppice_send_int64(me, to_you, 1));
    EXPECT_COPPICE_OK(coppice_send_int64(node_, to_you, 2));
    owned mail = receive(you);
    owned from;
    EXPECT_COPPICE_OK(coppice_mail_sender(mail, from.out()));
    EXPECT_COPPICE_OK(coppice_same(from, self_of(me)));
    EXPECT_EQ(coppice_same(from, to_you), COPPICE_NOT_FOUND);
    EXPECT_COPPICE_OK(coppice_send_text(you, from, "back", COPPICE_TERMINATED));
    EXPECT_EQ(next_text(me), "\"back\"");
    mail = receive(you);
    coppice_ref nobody = 0;
    EXPECT_EQ(coppice_mail_sender(mail, &nobody), COPPICE_NOT_FOUND);
}

TEST_F(CActors, ARefTravelsInAMessage) {
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    owned list;
    ASSERT_COPPICE_OK(coppice_new_list(list.out()));
    coppice_value ref = 0;
    ASSERT_COPPICE_OK(coppice_new_ref(self_of(me), &ref));
    EXPECT_COPPICE_OK(coppice_add(list, ref));
    EXPECT_COPPICE_OK(coppice_send(me, self_of(you), list, 0));
    const owned v = value_of(receive(you));
    owned part;
    EXPECT_COPPICE_OK(coppice_value_at(v, 0, part.out()));
    EXPECT_EQ(kind_of(part), COPPICE_REF);
    owned back;
    EXPECT_COPPICE_OK(coppice_get_ref(part, back.out()));
    EXPECT_COPPICE_OK(coppice_send_text(you, back, "found you", COPPICE_TERMINATED));
    EXPECT_EQ(next_text(me), "\"found you\"");
}

TEST_F(CActors, P2TwoServersOfOneProcessAreFoundByTheirNamesAndATakenNameIsTold) {
    const owned bakery = open_actor(node_, "bakery");
    const owned dairy = open_actor(node_, "dairy");
    const owned client = open_actor(node_);
    EXPECT_COPPICE_OK(coppice_send_int64(client, find(client, path_of(bakery)), 1));
    EXPECT_COPPICE_OK(coppice_send_int64(client, find(client, path_of(dairy)), 2));
    EXPECT_EQ(next_text(bakery), "1");
    EXPECT_EQ(next_text(dairy), "2");
    coppice_actor_options o{};
    o.size = sizeof o;
    o.name = "bakery";
    coppice_actor again = 7;
    EXPECT_EQ(coppice_open_actor(node_, &o, &again), COPPICE_NAME_TAKEN) << coppice_error_text();
    EXPECT_EQ(again, 0u);
    o.name = "no/name";
    EXPECT_EQ(coppice_open_actor(node_, &o, &again), COPPICE_BAD_NAME) << coppice_error_text();
}

TEST_F(CActors, ANameIsFreeOnceItsActorIsClosed) {
    for (int i = 0; i < 20; ++i) {
        const owned one = open_actor(node_, "one");
        EXPECT_COPPICE_OK(coppice_send_int64(node_, self_of(one), i));
        EXPECT_EQ(next_text(one), std::to_string(i));
    }
}

TEST_F(CActors, P7AnEmptyMailboxIsToldAtOnceAndADescriptorSaysWhenThereIsMail) {
    const owned me = open_actor(node_, "me");
    coppice_mail none = 7;
    EXPECT_EQ(coppice_receive(me, 0, &none), COPPICE_TIMEOUT);
    EXPECT_EQ(none, 0u);
    int fd = -1;
    ASSERT_COPPICE_OK(coppice_descriptor(me, &fd));
    pollfd ready{fd, POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 0), 0);
    const owned to = self_of(me);
    for (int i = 0; i < 3; ++i) EXPECT_COPPICE_OK(coppice_send_int64(me, to, i));
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(::poll(&ready, 1, static_cast<int>(long_ms)), 1);
        EXPECT_EQ(next_text(me), std::to_string(i));
    }
    EXPECT_EQ(::poll(&ready, 1, 0), 0);
    EXPECT_COPPICE_OK(coppice_stop(me, to));
    EXPECT_EQ(::poll(&ready, 1, static_cast<int>(long_ms)), 1);
    EXPECT_EQ(coppice_receive(me, 0, &none), COPPICE_STOPPING);
}

TEST_F(CActors, AStopIsToldBehindAllMail) {
    const owned me = open_actor(node_, "me");
    const owned to = self_of(me);
    constexpr int many = 2000;  // more than the inbox takes at once
    for (int i = 0; i < many; ++i) ASSERT_COPPICE_OK(coppice_send_int64(node_, to, i));
    EXPECT_COPPICE_OK(coppice_stop(me, to));
    for (int i = 0; i < many; ++i) ASSERT_EQ(next_text(me), std::to_string(i));
    coppice_mail none = 0;
    EXPECT_EQ(coppice_receive(me, long_ms, &none), COPPICE_STOPPING);
    EXPECT_EQ(coppice_send_int64(node_, to, 1), COPPICE_STOPPING) << coppice_error_text();
}

TEST_F(CActors, ARequestIsAnsweredLaterByAnotherThread) {
    const owned server = open_actor(node_, "server");
    const owned to = self_of(server);
    std::thread serving{[&] {
        const owned mail = receive(server);
        EXPECT_EQ(kind_of_mail(mail), COPPICE_REQUEST);
        const owned v = value_of(mail);
        EXPECT_COPPICE_OK(coppice_reply_int64(mail, int_in(v) + 1));
        EXPECT_EQ(coppice_reply_int64(mail, 1), COPPICE_CLOSED);
    }};
    const owned client = open_actor(node_);
    owned answer;
    EXPECT_COPPICE_OK(coppice_ask(client, to, int_value(41), long_ms, answer.out()));
    EXPECT_EQ(int_in(answer), 42);
    serving.join();
}

TEST_F(CActors, EveryEndOfARequestHasItsCode) {
    owned server = open_actor(node_, "server");
    const owned to = self_of(server);
    coppice_value none = 7;
    EXPECT_EQ(coppice_ask(node_, to, int_value(1), 1, &none), COPPICE_TIMEOUT) << coppice_error_text();
    EXPECT_EQ(none, 0u);
    std::thread failing{[&] {
        // The first request has expired; it may still be here.
        for (std::string text; text != "2";) {
            const owned mail = receive(server);
            text = text_of(value_of(mail));
            if (text == "2") EXPECT_COPPICE_OK(coppice_fail(mail, "no bread", COPPICE_TERMINATED));
        }
        const owned dropped = receive(server);
    }};
    EXPECT_EQ(coppice_ask(node_, to, int_value(2), long_ms, &none), COPPICE_FAILED);
    EXPECT_STREQ(coppice_error_text(), "no bread");
    EXPECT_EQ(coppice_ask(node_, to, int_value(3), long_ms, &none), COPPICE_NO_REPLY) << coppice_error_text();
    failing.join();
    server.close();
    EXPECT_EQ(coppice_ask(node_, to, int_value(4), long_ms, &none), COPPICE_DOWN) << coppice_error_text();
}

TEST_F(CActors, AnAnswerComesAsMailToWhoDoesNotWait) {
    const owned server = open_actor(node_, "server");
    const owned to = self_of(server);
    const owned client = open_actor(node_);
    std::uint64_t first = 0;
    std::uint64_t second = 0;
    EXPECT_COPPICE_OK(coppice_ask_later(client, to, text_value("a"), long_ms, &first));
    EXPECT_COPPICE_OK(coppice_ask_later(client, to, text_value("b"), long_ms, &second));
    EXPECT_NE(first, second);
    {
        const owned a = receive(server);
        EXPECT_COPPICE_OK(coppice_reply_text(a, "A", COPPICE_TERMINATED));
        const owned b = receive(server);
        EXPECT_COPPICE_OK(coppice_fail(b, "not b", COPPICE_TERMINATED));
    }
    for (int i = 0; i < 2; ++i) {
        const owned mail = receive(client);
        EXPECT_EQ(kind_of_mail(mail), COPPICE_ANSWER);
        std::uint64_t number = 0;
        int code = -1;
        EXPECT_COPPICE_OK(coppice_mail_number(mail, &number));
        EXPECT_COPPICE_OK(coppice_mail_code(mail, &code));
        EXPECT_EQ(code, number == first ? COPPICE_OK : COPPICE_FAILED);
        EXPECT_EQ(string_in(value_of(mail)), number == first ? "A" : "not b");
    }
}

TEST_F(CActors, AStreamTellsOnceOfAllThatIsNewForTheActorsOfItsNode) {
    int fd = -1;
    ASSERT_COPPICE_OK(coppice_stream(node_, &fd));
    int again = 7;
    EXPECT_EQ(coppice_stream(node_, &again), COPPICE_INVALID_ARGUMENT) << coppice_error_text();
    EXPECT_EQ(again, -1);
    const auto read_some = [fd] {
        pollfd ready{fd, POLLIN, 0};
        EXPECT_EQ(::poll(&ready, 1, static_cast<int>(long_ms)), 1);
        char bytes[64];
        return ::read(fd, bytes, sizeof bytes);
    };
    const owned a = open_actor(node_, "a");
    const owned b = open_actor(node_, "b");
    for (int i = 0; i < 100; ++i) EXPECT_COPPICE_OK(coppice_send_int64(node_, self_of(a), i));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(next_text(a), std::to_string(i));
    EXPECT_GE(read_some(), 1);
    coppice_mail none = 0;
    EXPECT_EQ(coppice_receive(a, 0, &none), COPPICE_TIMEOUT);
    // What is new after the last look has a byte of its own; what waits unlooked at has one in all.
    for (int i = 0; i < 3; ++i) EXPECT_COPPICE_OK(coppice_send_int64(node_, self_of(b), i));
    EXPECT_EQ(next_text(b), "0");
    EXPECT_GE(read_some(), 1);
    EXPECT_EQ(next_text(b), "1");
    EXPECT_EQ(next_text(b), "2");
    EXPECT_EQ(coppice_receive(b, 0, &none), COPPICE_TIMEOUT);
    char bytes[64];
    while (::read(fd, bytes, sizeof bytes) > 0) {
    }
    EXPECT_COPPICE_OK(coppice_stop(node_, self_of(b)));
    EXPECT_EQ(read_some(), 1);
    EXPECT_EQ(coppice_receive(b, long_ms, &none), COPPICE_STOPPING);
    node_.close();
    while (::read(fd, bytes, sizeof bytes) > 0) {
    }
    EXPECT_EQ(read_some(), 0) << "the node is closed";
    ::close(fd);
}

TEST_F(CActors, AnAnswerIsTakenFromBehindOtherMailWhichStays) {
    const owned me = open_actor(node_, "me");
    const owned to = self_of(me);
    EXPECT_COPPICE_OK(coppice_send_int64(node_, to, 1));
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_find_later(me, "/elsewhere/nobody", &number));
    const owned far = next_answer(me, number, COPPICE_UNREACHABLE);
    EXPECT_NE(string_in(value_of(far)).find("/elsewhere/nobody"), std::string::npos);
    ASSERT_COPPICE_OK(coppice_find_later(me, path_of(me).c_str(), &number));
    const owned found = next_answer(me, number, COPPICE_OK);
    owned ref;
    ASSERT_COPPICE_OK(coppice_mail_sender(found, ref.out()));
    EXPECT_COPPICE_OK(coppice_same(ref, to));
    coppice_mail none = 0;
    EXPECT_EQ(coppice_receive_answer(me, 0, &none), COPPICE_TIMEOUT);
    EXPECT_EQ(next_text(me), "1");
}

// What was taken ahead is full, and its room is taken by an answer, which comes past the mailbox.
TEST_F(CActors, AnAnswerInAFullInboxHoldsUpNoMail) {
    constexpr int all = 400;
    const owned me = open_actor(node_, "me");
    const owned to = self_of(me);
    for (int i = 0; i < all; ++i) EXPECT_COPPICE_OK(coppice_send(node_, to, int_value(i), COPPICE_FOREVER));
    for (int i = 0; i < 2; ++i) EXPECT_EQ(next_text(me), std::to_string(i));
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_find_later(me, path_of(me).c_str(), &number));
    next_answer(me, number, COPPICE_OK);
    for (int i = 2; i < all; ++i) ASSERT_EQ(next_text(me), std::to_string(i));
}

struct counting {
    std::atomic<int> calls{0};
    int closes_at = 0;
    static void note(void* user, coppice_actor actor, coppice_mail) {
        auto* c = static_cast<counting*>(user);
        const int call = ++c->calls;
        if (call == c->closes_at) EXPECT_COPPICE_OK(coppice_close(actor));
        c->calls.notify_all();
    }
    void wait_for(int n) {
        for (int now = calls; now < n; now = calls) calls.wait(now);
    }
};

// Each waits for its kind of mail, and one of them runs the scheduler: news for one are no news for the other, however often
// that one looks.
TEST_F(CActors, TwoWhoWaitForDifferentMailOfOneActorEachGetTheirs) {
    constexpr int rounds = 50;
    constexpr int burst = 200;
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    const owned to_me = self_of(me);
    counting all;
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_INT, &counting::note, &all));
    EXPECT_COPPICE_OK(coppice_serve(me));
    std::atomic<bool> ends{false};
    std::thread other{[&] {
        coppice_mail none = 0;
        while (!ends) EXPECT_EQ(coppice_receive_answer(me, 1, &none), COPPICE_TIMEOUT);
    }};
    for (int i = 0; i < rounds; ++i) {
        for (int n = 0; n < burst; ++n) ASSERT_COPPICE_OK(coppice_send_int64(you, to_me, n));
        all.wait_for((i + 1) * burst);
    }
    ends = true;
    other.join();
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_find_later(me, path_of(you).c_str(), &number));
    next_answer(me, number, COPPICE_OK);
}

// Each mail is taken once, and all threads go home when the actors are closed.
TEST_F(CActors, ManyThreadsTakeMailOfTwoActorsWhileOthersSendAndAsk) {
    constexpr int each = 3000;
    owned actors[] = {open_actor(node_, "a"), open_actor(node_, "b")};
    const owned refs[] = {self_of(actors[0]), self_of(actors[1])};
    std::atomic<std::int64_t> taken{0};
    std::atomic<std::int64_t> sum{0};
    std::vector<std::thread> takers;
    for (int t = 0; t < 4; ++t)
        takers.emplace_back([&, t] {
            const coppice_actor of = actors[t % 2];
            for (;;) {
                owned mail;
                const int code = coppice_receive(of, t < 2 ? COPPICE_FOREVER : 1, mail.out());
                if (code == COPPICE_TIMEOUT) continue;
                if (code != COPPICE_OK) {
                    EXPECT_TRUE(code == COPPICE_STOPPING || code == COPPICE_CLOSED);
                    return;
                }
                int kind = 0;
                EXPECT_COPPICE_OK(coppice_mail_kind_of(mail, &kind));
                std::int64_t n = 0;
                EXPECT_COPPICE_OK(coppice_get_int64(value_of(mail), &n));
                if (kind == COPPICE_REQUEST) EXPECT_COPPICE_OK(coppice_reply_int64(mail, -n));
                sum += n;
                ++taken;
                taken.notify_all();
            }
        });
    std::vector<std::thread> senders;
    for (int t = 0; t < 2; ++t)
        senders.emplace_back([&, t] {
            const owned me = open_actor(node_);
            for (int i = 1; i <= each; ++i) {
                if (i % 4) {
                    ASSERT_COPPICE_OK(coppice_send(me, refs[(t + i) % 2], int_value(i), COPPICE_FOREVER));
                    continue;
                }
                owned answer;
                ASSERT_COPPICE_OK(
                    coppice_ask(me, refs[(t + i) % 2], int_value(i), COPPICE_FOREVER, answer.out()));
                std::int64_t n = 0;
                ASSERT_COPPICE_OK(coppice_get_int64(answer, &n));
                ASSERT_EQ(n, -i);
            }
        });
    for (std::thread& one : senders) one.join();
    for (std::int64_t now = taken; now < 2 * each; now = taken) taken.wait(now);
    for (owned& one : actors) one.close();
    for (std::thread& one : takers) one.join();
    EXPECT_EQ(sum, std::int64_t{each} * (each + 1));
}

TEST(CNode, ThatCannotBeOpenedTellsWhyToWhoeverAskedForTheText) {
    coppice_node_options o{};
    o.size = sizeof o;
    o.tree = "x";
    o.parent = "y";
    std::string text(200, '?');
    coppice_node node = 7;
    EXPECT_EQ(coppice_open_node_telling(&o, &node, text.data(), text.size()), COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(node, 0u);
    EXPECT_NE(text.find("`tree` and `parent` are both set"), std::string::npos) << text.c_str();
    o.tree = o.parent = nullptr;
    o.log_level = COPPICE_OFF;
    EXPECT_COPPICE_OK(coppice_open_node_telling(&o, &node, text.data(), text.size()));
    EXPECT_EQ(text[0], '\0');
    EXPECT_COPPICE_OK(coppice_close(node));
    EXPECT_EQ(coppice_open_node_telling(&o, &node, nullptr, 0), COPPICE_INVALID_ARGUMENT);
}

TEST_F(CActors, AMonitorTellsTheEndOnce) {
    const owned me = open_actor(node_, "me");
    owned you = open_actor(node_, "you");
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_monitor(me, self_of(you), &number));
    std::uint64_t forgotten = 0;
    ASSERT_COPPICE_OK(coppice_monitor(me, self_of(you), &forgotten));
    EXPECT_COPPICE_OK(coppice_forget_monitor(me, forgotten));
    you.close();
    const owned mail = receive(me);
    EXPECT_EQ(kind_of_mail(mail), COPPICE_ENDED);
    std::uint64_t told = 0;
    EXPECT_COPPICE_OK(coppice_mail_number(mail, &told));
    EXPECT_EQ(told, number);
    EXPECT_NE(string_in(value_of(mail)).find("stopped"), std::string::npos) << string_in(value_of(mail));
    coppice_mail none = 0;
    EXPECT_EQ(coppice_receive(me, 0, &none), COPPICE_TIMEOUT);
}

TEST_F(CActors, UrgentMailOvertakesWhatWaits) {
    const owned me = open_actor(node_, "me");
    owned you = open_actor(node_, "you");
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_monitor(me, self_of(you), &number));
    for (int i = 0; i < 3; ++i) EXPECT_COPPICE_OK(coppice_send_int64(node_, self_of(me), i));
    you.close();
    for (int kind = 0; kind != COPPICE_ENDED; std::this_thread::yield()) {
        coppice_mail first = 0;
        ASSERT_COPPICE_OK(coppice_peek(me, long_ms, &first));
        kind = kind_of_mail(first);
    }
    EXPECT_EQ(kind_of_mail(receive(me)), COPPICE_ENDED);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(next_text(me), std::to_string(i));
}

TEST_F(CActors, ARequestThatNobodyTookIsToldDownWhenItsActorIsClosed) {
    owned server = open_actor(node_, "server");
    const owned client = open_actor(node_);
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_ask_later(client, self_of(server), int_value(1), long_ms, &number));
    coppice_mail seen = 0;
    ASSERT_COPPICE_OK(coppice_peek(server, long_ms, &seen));  // it is there
    EXPECT_COPPICE_OK(coppice_close(server.release()));
    const owned answer = receive(client);
    int code = 0;
    EXPECT_COPPICE_OK(coppice_mail_code(answer, &code));
    EXPECT_EQ(code, COPPICE_DOWN);
    EXPECT_COPPICE_OK(coppice_close(seen));
}

TEST_F(CActors, WhatIsPublishedReachesEachMemberButNotThePublisher) {
    const owned a = open_actor(node_, "a");
    const owned b = open_actor(node_, "b");
    const owned c = open_actor(node_, "c");
    for (const owned* one : {&a, &b, &c}) EXPECT_COPPICE_OK(coppice_join(*one, "news"));
    EXPECT_COPPICE_OK(coppice_leave(c, "news"));
    std::size_t members = 0;
    EXPECT_COPPICE_OK(coppice_publish(a, "news", text_value("hello"), &members));
    EXPECT_EQ(members, 1u);
    EXPECT_EQ(next_text(b), "\"hello\"");
    coppice_mail none = 0;
    EXPECT_EQ(coppice_receive(a, 0, &none), COPPICE_TIMEOUT);
    EXPECT_EQ(coppice_receive(c, 0, &none), COPPICE_TIMEOUT);
}

TEST_F(CActors, PeekedMailStaysAndHasTheHandleThatReceiveGives) {
    const owned me = open_actor(node_, "me");
    EXPECT_COPPICE_OK(coppice_send_int64(node_, self_of(me), 5));
    coppice_mail seen = 0;
    coppice_mail again = 0;
    EXPECT_COPPICE_OK(coppice_peek(me, long_ms, &seen));
    EXPECT_COPPICE_OK(coppice_peek(me, 0, &again));
    EXPECT_EQ(seen, again);
    const owned mail = receive(me);
    EXPECT_EQ(mail, seen);
    EXPECT_EQ(coppice_peek(me, 0, &again), COPPICE_TIMEOUT);
}

TEST_F(CActors, BytesAreReceivedInOneCall) {
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    char bytes[8] = {};
    std::size_t size = 99;
    owned sender;
    EXPECT_EQ(coppice_receive_bytes(me, 0, bytes, sizeof bytes, &size, sender.out()), COPPICE_TIMEOUT);
    EXPECT_EQ(size, 0u);
    EXPECT_COPPICE_OK(coppice_send_bytes(you, self_of(me), "a\0b", 3));
    EXPECT_COPPICE_OK(coppice_send_bytes(node_, self_of(me), "", 0));
    EXPECT_COPPICE_OK(coppice_receive_bytes(me, long_ms, bytes, sizeof bytes, &size, sender.out()));
    EXPECT_EQ(std::string(bytes, size), std::string("a\0b", 3));
    EXPECT_COPPICE_OK(coppice_same(sender, self_of(you)));
    coppice_ref nobody = 7;
    EXPECT_COPPICE_OK(coppice_receive_bytes(me, long_ms, NULL, 0, &size, &nobody));
    EXPECT_EQ(size, 0u);
    EXPECT_EQ(nobody, 0u);
    EXPECT_EQ(coppice_receive_bytes(me, 0, NULL, 8, &size, NULL), COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(coppice_receive_bytes(me, 0, bytes, 8, NULL, NULL), COPPICE_INVALID_ARGUMENT);
}

TEST_F(CActors, AMailIsReceivedTogetherWithWhatItBrought) {
    const owned me = open_actor(node_, "me");
    const owned you = open_actor(node_, "you");
    const owned to = self_of(me);
    coppice_view view{};
    view.size = sizeof view;
    view.integer = 7;
    EXPECT_EQ(coppice_receive_view(me, 0, &view, NULL, 0), COPPICE_TIMEOUT);
    EXPECT_EQ(view.integer, 0);
    const auto next = [&] {
        EXPECT_COPPICE_OK(coppice_receive_view(me, long_ms, &view, NULL, 0));
        EXPECT_EQ(view.what, COPPICE_MESSAGE);
        return owned{view.mail};
    };
    EXPECT_COPPICE_OK(coppice_send_text(you, to, "a\0b", 3));
    {
        const owned mail = next();
        EXPECT_EQ(view.kind, COPPICE_TEXT);
        EXPECT_EQ(std::string(static_cast<const char*>(view.bytes), view.length + 1),
                  std::string("a\0b\0", 4));
        owned sender;
        EXPECT_COPPICE_OK(coppice_mail_sender(mail, sender.out()));
        EXPECT_COPPICE_OK(coppice_same(sender, self_of(you)));
    }
    EXPECT_COPPICE_OK(coppice_send_bytes(node_, to, "\xff", 1));
    {
        const owned mail = next();
        EXPECT_EQ(view.kind, COPPICE_BYTES);
        EXPECT_EQ(std::string(static_cast<const char*>(view.bytes), view.length), "\xff");
    }
    EXPECT_COPPICE_OK(coppice_send_bool(node_, to, 1));
    EXPECT_COPPICE_OK(coppice_send_int64(node_, to, INT64_MIN));
    EXPECT_COPPICE_OK(coppice_send_uint64(node_, to, UINT64_MAX));
    EXPECT_COPPICE_OK(coppice_send_double(node_, to, -0.5));
    EXPECT_COPPICE_OK(coppice_send_nothing(node_, to));
    const std::pair<int, std::int64_t> expected[] = {{COPPICE_BOOL, 1},
                                                     {COPPICE_INT, INT64_MIN},
                                                     {COPPICE_UINT, -1},
                                                     {COPPICE_REAL, 0},
                                                     {COPPICE_NOTHING, 0}};
    for (const auto& [kind, integer] : expected) {
        const owned mail = next();
        EXPECT_EQ(view.kind, kind);
        EXPECT_EQ(view.integer, integer);
        EXPECT_EQ(view.real, kind == COPPICE_REAL ? -0.5 : 0.0);
        EXPECT_EQ(view.bytes, nullptr);
        EXPECT_EQ(view.length, 0u);
    }
}

TEST_F(CActors, AViewIsToldOfEachKindOfMailAndHasItsSize) {
    const owned me = open_actor(node_, "me");
    const owned client = open_actor(node_);
    coppice_view view{};
    EXPECT_EQ(coppice_receive_view(me, 0, &view, NULL, 0), COPPICE_INVALID_ARGUMENT);
    EXPECT_EQ(coppice_receive_view(me, 0, NULL, NULL, 0), COPPICE_INVALID_ARGUMENT);
    // A program of a later header, whose struct has grown, finds what it set where this library knows nothing.
    struct {
        coppice_view known;
        std::uint64_t added;
    } later{};
    later.known.size = sizeof later;
    later.added = 7;
    std::uint64_t number = 0;
    owned question;
    ASSERT_COPPICE_OK(coppice_new_list(question.out()));
    ASSERT_COPPICE_OK(coppice_ask_later(client, self_of(me), question, long_ms, &number));
    ASSERT_COPPICE_OK(coppice_receive_view(me, long_ms, &later.known, NULL, 0));
    const owned asked{later.known.mail};
    EXPECT_EQ(later.known.size, sizeof later);
    EXPECT_EQ(later.added, 7u);
    EXPECT_EQ(later.known.what, COPPICE_REQUEST);
    EXPECT_EQ(later.known.kind, COPPICE_LIST);
    EXPECT_COPPICE_OK(coppice_reply_int64(asked, 3));
    view.size = sizeof view;
    ASSERT_COPPICE_OK(coppice_receive_view(client, long_ms, &view, NULL, 0));
    const owned answer{view.mail};
    EXPECT_EQ(view.what, COPPICE_ANSWER);
    EXPECT_EQ(view.integer, 3);
    // What fits is copied, and nothing else.
    char room[4] = {'#', '#', '#', '#'};
    EXPECT_EQ(coppice_receive_view(me, 0, &view, NULL, 1), COPPICE_INVALID_ARGUMENT);
    EXPECT_COPPICE_OK(coppice_send_text(node_, self_of(me), "12", 2));
    EXPECT_COPPICE_OK(coppice_send_bytes(node_, self_of(me), "abcde", 5));
    ASSERT_COPPICE_OK(coppice_receive_view(me, long_ms, &view, room, sizeof room));
    const owned fits{view.mail};
    EXPECT_EQ(view.bytes, room);
    EXPECT_EQ(std::string(room, sizeof room), "12##");
    ASSERT_COPPICE_OK(coppice_receive_view(me, long_ms, &view, room, sizeof room));
    const owned does_not{view.mail};
    EXPECT_EQ(std::string(static_cast<const char*>(view.bytes), view.length), "abcde");
    EXPECT_EQ(std::string(room, sizeof room), "12##");
    // Who has looked at it before has its handle.
    EXPECT_COPPICE_OK(coppice_send_bytes(node_, self_of(me), "1", 1));
    coppice_mail seen = 0;
    ASSERT_COPPICE_OK(coppice_peek(me, long_ms, &seen));
    ASSERT_COPPICE_OK(coppice_receive_view(me, 0, &view, NULL, 0));
    EXPECT_EQ(view.mail, seen);
    EXPECT_COPPICE_OK(coppice_close(seen));
}

TEST_F(CActors, WhatIsNotReceivedInOneCallStaysForAnother) {
    const owned me = open_actor(node_, "me");
    char bytes[4] = {};
    std::size_t size = 0;
    // Too large, and another kind of value.
    EXPECT_COPPICE_OK(coppice_send_bytes(node_, self_of(me), "12345", 5));
    EXPECT_COPPICE_OK(coppice_send_text(node_, self_of(me), "text", COPPICE_TERMINATED));
    coppice_ref sender = 7;
    EXPECT_EQ(coppice_receive_bytes(me, long_ms, bytes, sizeof bytes, &size, &sender), COPPICE_TOO_LARGE);
    EXPECT_EQ(size, 5u);
    EXPECT_EQ(sender, 0u);
    EXPECT_EQ(bytes_in(receive(me)), "12345");
    EXPECT_EQ(coppice_receive_bytes(me, long_ms, bytes, sizeof bytes, &size, NULL), COPPICE_NO_HANDLER);
    EXPECT_EQ(next_text(me), "\"text\"");
    // A request wants an answer, whatever it holds.
    const owned client = open_actor(node_);
    owned question;
    ASSERT_COPPICE_OK(coppice_new_bytes("?", 1, question.out()));
    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_ask_later(client, self_of(me), question, long_ms, &number));
    EXPECT_EQ(coppice_receive_bytes(me, long_ms, bytes, sizeof bytes, &size, NULL), COPPICE_NO_HANDLER);
    EXPECT_COPPICE_OK(coppice_reply_int64(receive(me), 1));
    next_answer(client, number, COPPICE_OK);
    // Who has looked at it before has a handle, which goes with it.
    EXPECT_COPPICE_OK(coppice_send_bytes(node_, self_of(me), "1", 1));
    coppice_mail seen = 0;
    ASSERT_COPPICE_OK(coppice_peek(me, long_ms, &seen));
    EXPECT_COPPICE_OK(coppice_receive_bytes(me, 0, bytes, sizeof bytes, &size, NULL));
    EXPECT_EQ(std::string(bytes, size), "1");
    EXPECT_EQ(coppice_close(seen), COPPICE_CLOSED);
}

TEST_F(CActors, ClosingANodeWakesWhoWaitsForMail) {
    const owned me = open_actor(node_, "me");
    std::thread waiting{[&] {
        coppice_mail none = 0;
        EXPECT_EQ(coppice_receive(me, COPPICE_FOREVER, &none), COPPICE_STOPPING);
    }};
    const owned to = self_of(me);
    node_.close();
    waiting.join();
    EXPECT_EQ(coppice_send_int64(me, to, 1), COPPICE_STOPPING) << coppice_error_text();
}

// What handlers were called with.
struct seen {
    std::string all;
    coppice_mail kept = 0;
    static void note(void* user, coppice_actor, coppice_mail mail) {
        auto* s = static_cast<seen*>(user);
        s->all += text_of(value_of(mail)) + ";";
        if (kind_of_mail(mail) == COPPICE_REQUEST) {
            EXPECT_COPPICE_OK(coppice_keep(mail));
            s->kept = mail;
        }
    }
};

TEST_F(CActors, P3HandlersAreCalledByKindAndMailWithoutOneStays) {
    const owned me = open_actor(node_, "me");
    const owned to = self_of(me);
    seen ints;
    seen texts;
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_INT, &seen::note, &ints));
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_TEXT, &seen::note, &texts));
    EXPECT_COPPICE_OK(coppice_send_int64(me, to, 1));
    EXPECT_COPPICE_OK(coppice_send_bool(me, to, 1));
    EXPECT_COPPICE_OK(coppice_send_text(me, to, "x", 1));
    EXPECT_COPPICE_OK(coppice_send_int64(me, to, 2));
    std::size_t handled = 0;
    for (std::size_t all = 0; all < 3; all += handled)
        ASSERT_COPPICE_OK(coppice_dispatch(me, long_ms, &handled));
    EXPECT_EQ(ints.all, "1;2;");
    EXPECT_EQ(texts.all, "\"x\";");
    EXPECT_EQ(coppice_dispatch(me, 0, &handled), COPPICE_TIMEOUT);
    EXPECT_EQ(next_text(me), "true");
    seen others;
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_OTHERS, &seen::note, &others));
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_INT, nullptr, nullptr));
    EXPECT_COPPICE_OK(coppice_send_int64(me, to, 3));
    EXPECT_COPPICE_OK(coppice_dispatch(me, long_ms, &handled));
    EXPECT_EQ(others.all, "3;");
}

TEST_F(CActors, ARequestThatAHandlerKeepsIsAnsweredLater) {
    const owned me = open_actor(node_, "me");
    seen all;
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_OTHERS, &seen::note, &all));
    std::thread asking{[&, to = self_of(me).release()] {
        owned answer;
        EXPECT_COPPICE_OK(coppice_ask(node_, to, int_value(1), long_ms, answer.out()));
        EXPECT_EQ(string_in(answer), "later");
        EXPECT_COPPICE_OK(coppice_close(to));
    }};
    EXPECT_COPPICE_OK(coppice_dispatch(me, long_ms, nullptr));
    ASSERT_NE(all.kept, 0u);
    EXPECT_COPPICE_OK(coppice_reply_text(all.kept, "later", COPPICE_TERMINATED));
    EXPECT_COPPICE_OK(coppice_close(all.kept));
    asking.join();
}

TEST_F(CActors, P8WhatIsServedInTheBackgroundNeedsNoPollingAndNothingIsLost) {
    const owned me = open_actor(node_, "me");
    counting all;
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_OTHERS, &counting::note, &all));
    EXPECT_COPPICE_OK(coppice_serve(me));
    EXPECT_EQ(coppice_serve(me), COPPICE_INVALID_ARGUMENT);
    const owned to = self_of(me);
    constexpr int many = 5000;
    for (int i = 0; i < many; ++i) ASSERT_COPPICE_OK(coppice_send_int64(node_, to, i));
    all.wait_for(many);
    EXPECT_EQ(all.calls, many);
}

TEST_F(CActors, AHandlerMayCloseItsActor) {
    owned me = open_actor(node_, "me");
    const owned to = self_of(me);
    counting all;
    all.closes_at = 1;
    EXPECT_COPPICE_OK(coppice_handle_kind(me, COPPICE_INT, &counting::note, &all));
    EXPECT_COPPICE_OK(coppice_serve(me.release()));
    EXPECT_COPPICE_OK(coppice_send_int64(node_, to, 1));
    all.wait_for(1);
}

}  // namespace
}  // namespace coppice::tests
