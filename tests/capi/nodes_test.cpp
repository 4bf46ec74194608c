// C programs' nodes among nodes of C++: what each kind of message is on the other side, and how trees, names and ends are told.
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "capi.hpp"
#include "coppice/tagged.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct order {
    std::uint64_t id = 0;
    std::string what;
    ref<> who;
};
struct price_of {
    std::string what;
    using reply = std::int64_t;
};
struct stock {
    using reply = std::vector<std::string>;
};
// Takes typed messages, tagged bytes and everything else as values, and says what came, as text, to whoever sent it.
task<> shop(actor<anything> self) {
    while (auto m = co_await self.receive()) {
        const ref<> from = m.sender();
        if (auto r = m.take<price_of>()) {
            if (r->what == "bread") r.reply(3);
            else if (r->what == "gold") r.fail("no gold here");
            continue;  // dropped
        }
        if (auto r = m.take<stock>()) {
            r.reply(std::vector<std::string>{"bread", "milk"});
            continue;
        }
        std::string said;
        if (const auto* o = m.get_if<order>()) {
            said = "order " + std::to_string(o->id) + " " + o->what;
            if (o->who) self.send<value>(ref<anything>{o->who}, value{"for you"});
        } else if (const auto* t = m.get_if<tagged>()) {
            said = "tagged " + std::to_string(t->tag) + " " + std::to_string(t->content.size());
        } else if (const auto* v = m.get_if<value>()) {
            said = to_string(*v);
        }
        if (from) self.send<value>(ref<anything>{from}, value{said});
    }
}

// Counts what comes, which each sender has numbered from 0 on.
struct tally {
    static constexpr std::int64_t most = 1'000'000;  // of one sender
    std::int64_t expected[4]{};
    std::atomic<std::int64_t> count{0};
    void wait_for(std::int64_t n) {
        for (std::int64_t now = count; now < n; now = count) count.wait(now);
    }
};
task<> take_count(actor<anything> self, std::shared_ptr<tally> t) {
    while (auto m = co_await self.receive()) {
        std::int64_t n = -1;
        if (const auto* g = m.get_if<tagged>()) n = static_cast<std::int64_t>(g->tag);
        else if (const auto* v = m.get_if<value>()) n = v->as<std::int64_t>().value_or(-1);
        EXPECT_GE(n, 0);
        if (n >= 0) {
            auto& next = t->expected[n / tally::most];
            EXPECT_EQ(n % tally::most, next) << "of sender " << n / tally::most;
            next = n % tally::most + 1;
        }
        ++t->count;
        t->count.notify_all();
    }
}

task<> mirror(actor<anything> self) {
    while (auto m = co_await self.receive()) {
        const auto* v = m.get_if<value>();
        EXPECT_TRUE(v);
        if (v) EXPECT_EQ(co_await self.send_wait<value>(m.sender().assume<anything>(), *v), errc::ok);
    }
}

class CNodes : public ::testing::TestWithParam<const char*> {
protected:
    CNodes() {
        register_builtin_transports();
        node_options o = quiet(2);
        o.network.listen = {GetParam() == std::string{"tcp"} ? "tcp://127.0.0.1:0"
                                                             : GetParam() + std::string{"://above"}};
        o.control = true;
        above_ = std::make_unique<node>("above", o);
        supervisor_spec spec;
        spec.add(child("shop", in_coroutine, shop));
        spec.add(child("mirror", in_coroutine, mirror));
        spec.add(child("tally", in_coroutine, take_count, tally_).restarts(restart::temporary));
        const auto started = above_->start(std::move(spec));
        EXPECT_TRUE(started) << started.error().what();
        node_ = open_node("till", nullptr, above_->listening().at(0).c_str());
        me_ = open_actor(node_, "clerk");
        shop_ = find(me_, "/above/shop");
    }
    /// What the shop says of the next message.
    std::string said() { return string_in(value_of(receive(me_))); }

    own_run_directory directory_;
    std::shared_ptr<tally> tally_ = std::make_shared<tally>();
    std::unique_ptr<node> above_;
    owned node_;
    owned me_;
    owned shop_;
};

TEST_P(CNodes, P1EachKindThatIsSentInOneCallArrivesAtAnotherNodeExactly) {
    EXPECT_COPPICE_OK(coppice_send_nothing(me_, shop_));
    EXPECT_EQ(said(), "nothing");
    EXPECT_COPPICE_OK(coppice_send_bool(me_, shop_, 0));
    EXPECT_EQ(said(), "false");
    EXPECT_COPPICE_OK(coppice_send_int64(me_, shop_, INT64_MIN));
    EXPECT_EQ(said(), "-9223372036854775808");
    EXPECT_COPPICE_OK(coppice_send_int64(me_, shop_, INT64_MAX));
    EXPECT_EQ(said(), "9223372036854775807");
    EXPECT_COPPICE_OK(coppice_send_double(me_, shop_, 2.5));
    EXPECT_EQ(said(), "2.5");
    EXPECT_COPPICE_OK(coppice_send_text(me_, shop_, "\xf0\x9f\x8c\xb3", COPPICE_TERMINATED));
    EXPECT_EQ(said(), "\"\xf0\x9f\x8c\xb3\"");
    EXPECT_COPPICE_OK(coppice_send_bytes(me_, shop_, "\0\xff", 2));
    EXPECT_EQ(said(), "x'00ff'");
    EXPECT_COPPICE_OK(coppice_send_pair(me_, shop_, -1, 2));
    EXPECT_EQ(said(), "(-1, 2)");
    EXPECT_COPPICE_OK(coppice_send_four(me_, shop_, 1, 2, 3, -4));
    EXPECT_EQ(said(), "(1, 2, 3, -4)");
    EXPECT_COPPICE_OK(coppice_send_int_text(me_, shop_, 7, "x", 1));
    EXPECT_EQ(said(), "(7, \"x\")");
    EXPECT_COPPICE_OK(coppice_send_tagged(me_, shop_, 9, "abc", 3));
    EXPECT_EQ(said(), "tagged 9 3");
}

// Small ones are written where the flow's records stand, large ones in pieces.
TEST_P(CNodes, BytesOfEachSizeComeBackAsTheyWereSent) {
    const owned to = find(me_, "/above/mirror");
    std::vector<std::size_t> sizes(80);
    std::iota(sizes.begin(), sizes.end(), 0);
    for (std::size_t size = limits::fragment - 48; size <= limits::fragment + 8; ++size)
        sizes.push_back(size);
    sizes.push_back(3 * limits::fragment + 1);
    std::string back(sizes.back(), '\0');
    for (const std::size_t size : sizes) {
        std::string sent(size, '\0');
        for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<char>(i * 31 + size);
        ASSERT_COPPICE_OK(coppice_send_bytes(me_, to, sent.data(), sent.size()));
        std::size_t length = 0;
        ASSERT_COPPICE_OK(coppice_receive_bytes(me_, long_ms, back.data(), back.size(), &length, nullptr));
        ASSERT_EQ(std::string_view(back).substr(0, length), sent) << "of " << size;
    }
}

TEST_P(CNodes, ARecordOfATypeArrivesAsThatType) {
    owned r;
    ASSERT_COPPICE_OK(coppice_new_record(std::string{message_name<order>}.c_str(), r.out()));
    EXPECT_COPPICE_OK(coppice_add(r, int_value(7).release()));
    EXPECT_COPPICE_OK(coppice_add(r, text_value("bread").release()));
    coppice_value me = 0;
    EXPECT_COPPICE_OK(coppice_new_ref(self_of(me_), &me));
    EXPECT_COPPICE_OK(coppice_add(r, me));
    EXPECT_COPPICE_OK(coppice_send(me_, shop_, r, 0));
    EXPECT_EQ(said(), "for you");
    EXPECT_EQ(said(), "order 7 bread");
}

// In place, through the scheduler's own thread, past what waits, in pieces: whichever way a message goes out.
TEST_P(CNodes, WhatOneThreadSendsToAnotherNodeComesInOrderWhicheverWayItGoes) {
    constexpr int threads = 3;
    constexpr std::int64_t each = 20'000;
    const owned to = find(me_, "/above/tally");
    const owned other =
        open_actor(node_, "other");  // that sends nothing large, which would be overtaken by nobody's
    const std::string large(100'000, 'x');
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t)
        all.emplace_back([&, t] {
            const coppice_actor mine = t == 2 ? other : me_;
            for (std::int64_t i = 0; i < each; ++i) {
                const std::int64_t n = t * tally::most + i;
                if (t != 2 && i % 997 == 1) {
                    owned v;
                    ASSERT_COPPICE_OK(coppice_new_tagged(static_cast<std::uint64_t>(n), large.data(),
                                                         large.size(), v.out()));
                    ASSERT_COPPICE_OK(coppice_send(mine, to, v, COPPICE_FOREVER));
                    continue;
                }
                const coppice_handle from = t == 2 && i % 1009 == 2 ? node_ : mine;  // nobody's, and its own
                int code = COPPICE_MAILBOX_FULL;
                if (i % 3) code = coppice_send_int64(from, to, n);
                if (code == COPPICE_MAILBOX_FULL)
                    code = coppice_send(from, to, int_value(n), COPPICE_FOREVER);
                ASSERT_EQ(code, COPPICE_OK) << coppice_error_text();
                if (i % 4001 == 3) {  // now and then it waits for something, and is a guest
                    owned mail;
                    ASSERT_EQ(coppice_receive(mine, 1, mail.out()), COPPICE_TIMEOUT);
                }
            }
        });
    for (std::thread& one : all) one.join();
    tally_->wait_for(threads * each);
}

TEST_P(CNodes, WhatAThreadSentLastArrivesThoughItNeverCallsAgain) {
    constexpr std::int64_t rounds = 20;
    constexpr std::int64_t each = 1000;
    const owned to = find(me_, "/above/tally");
    for (std::int64_t r = 0; r < rounds; ++r) {
        for (std::int64_t i = 0; i < each; ++i)
            ASSERT_COPPICE_OK(coppice_send(me_, to, int_value(r * each + i), COPPICE_FOREVER));
        tally_->wait_for((r + 1) * each);
    }
}

// Each try that finds it full has the scheduler served, by which the other side's word that there is room is heard.
TEST_P(CNodes, ASenderThatTriesAgainAndAgainInsteadOfWaitingGetsThrough) {
    const owned to = find(me_, "/above/tally");
    const std::string some(20'000, 'x');
    int full = 0;
    for (std::uint64_t n = 0; n < 5000; ++n) {
        int code = COPPICE_OK;
        while ((code = coppice_send_tagged(me_, to, n, some.data(), some.size())) == COPPICE_MAILBOX_FULL) {
            ++full;
            ::usleep(100);
        }
        ASSERT_COPPICE_OK(code);
    }
    EXPECT_GT(full, 0);
    tally_->wait_for(5000);
}

TEST_P(CNodes, WhatIsSentWithoutWaitingArrivesExactlyIfItIsSaidToBeOnItsWay) {
    const owned to = find(me_, "/above/tally");
    const std::string some(2000, 'x');
    std::int64_t sent = 0;
    for (int i = 0; i < 50'000; ++i) {
        const int code =
            coppice_send_tagged(me_, to, static_cast<std::uint64_t>(sent), some.data(), some.size());
        if (code == COPPICE_OK) ++sent;
        else ASSERT_EQ(code, COPPICE_MAILBOX_FULL) << coppice_error_text();
    }
    ASSERT_COPPICE_OK(coppice_send(me_, to, int_value(sent), COPPICE_FOREVER));
    tally_->wait_for(sent + 1);
    EXPECT_EQ(tally_->count, sent + 1);
}

TEST_P(CNodes, ARequestOfATypeIsAnsweredAndItsFailuresAreTold) {
    const auto ask = [&](const char* type, std::vector<const char*> fields, coppice_value* answer) {
        owned r;
        EXPECT_COPPICE_OK(coppice_new_record(type, r.out()));
        for (const char* f : fields) EXPECT_COPPICE_OK(coppice_add(r, text_value(f).release()));
        return coppice_ask(me_, shop_, r, long_ms, answer);
    };
    const std::string price{message_name<price_of>};
    owned answer;
    EXPECT_COPPICE_OK(ask(price.c_str(), {"bread"}, answer.out()));
    EXPECT_EQ(int_in(answer), 3);
    answer.close();
    EXPECT_COPPICE_OK(ask(std::string{message_name<stock>}.c_str(), {}, answer.out()));
    EXPECT_EQ(text_of(answer), R"(["bread", "milk"])");
    coppice_value none = 0;
    EXPECT_EQ(ask(price.c_str(), {"gold"}, &none), COPPICE_FAILED);
    EXPECT_STREQ(coppice_error_text(), "no gold here");
    EXPECT_EQ(ask(price.c_str(), {"air"}, &none), COPPICE_NO_REPLY) << coppice_error_text();
}

// The same within a node and between two.
TEST_P(CNodes, P11TaggedBytesAndRecordsOfATypeComeBackAsTheyWereAsked) {
    const owned far = open_node("far", nullptr, above_->listening().at(0).c_str());
    const owned there = open_actor(far, "echo");
    const owned here = open_actor(node_, "echo");
    for (const char* path : {"/far/echo", "/till/echo"}) {
        const coppice_actor echo = path == std::string{"/far/echo"} ? there : here;
        std::thread answering{[&] {
            for (int i = 0; i < 2; ++i) {
                const owned m = receive(echo);
                EXPECT_COPPICE_OK(coppice_reply(m, value_of(m)));
            }
        }};
        const owned to = find(me_, path);
        owned bytes, record, answer;
        EXPECT_COPPICE_OK(coppice_new_tagged(UINT64_MAX, "\0{}", 3, bytes.out()));
        EXPECT_COPPICE_OK(coppice_ask(me_, to, bytes, long_ms, answer.out()));
        EXPECT_EQ(kind_of(answer), COPPICE_TAGGED) << path;
        answer.close();
        EXPECT_COPPICE_OK(coppice_new_record("elsewhere::order", record.out()));
        EXPECT_COPPICE_OK(coppice_ask(me_, to, record, long_ms, answer.out()));
        std::uint64_t type = 0;
        EXPECT_COPPICE_OK(coppice_value_type(answer, &type));
        EXPECT_EQ(type, coppice_type_id("elsewhere::order")) << path;
        answering.join();
    }
}

TEST_P(CNodes, MessagesAndRequestsOfCppArriveAsRecordsAndAreAnswered) {
    std::thread asking{[&] {
        play(*above_, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<anything>("/till/clerk");
            REQUIRE_OR_END(found);
            self.send<order>(*found, std::uint64_t{7}, "bread", ref<>{self.me()});
            self.send<tagged>(*found, std::uint64_t{3}, std::vector<std::byte>(2));
            self.send<std::string>(*found, "plain");
            auto price = co_await self.ask<price_of>(*found, 20s, "bread");
            EXPECT_TRUE(price && *price == 5) << (price ? "" : price.error().what());
            auto goods = co_await self.ask<stock>(*found, 20s);
            EXPECT_TRUE(goods && goods->size() == 1 && goods->front() == "air");
            auto failed = co_await self.ask<stock>(*found, 20s);
            EXPECT_TRUE(failed.error() == errc::failed && failed.error().text() == "closed today");
            auto done = co_await self.receive();
            EXPECT_TRUE(done.is<value>());
        });
    }};
    owned back;
    {
        const owned m = receive(me_);
        EXPECT_EQ(kind_of_mail(m), COPPICE_MESSAGE);
        const owned v = value_of(m);
        std::uint64_t type = 0;
        EXPECT_COPPICE_OK(coppice_value_type(v, &type));
        EXPECT_EQ(type, coppice_type_id(std::string{message_name<order>}.c_str()));
        owned part;
        EXPECT_COPPICE_OK(coppice_value_at(v, 2, part.out()));
        EXPECT_COPPICE_OK(coppice_get_ref(part, back.out()));
    }
    EXPECT_EQ(kind_of(value_of(receive(me_))), COPPICE_TAGGED);
    EXPECT_EQ(next_text(me_), "\"plain\"");
    {
        const owned m = receive(me_);
        EXPECT_EQ(kind_of_mail(m), COPPICE_REQUEST);
        EXPECT_EQ(text_of(value_of(m)), R"(("bread"))");
        EXPECT_COPPICE_OK(coppice_reply_int64(m, 5));
    }
    {
        const owned m = receive(me_);
        owned list;
        EXPECT_COPPICE_OK(coppice_new_list(list.out()));
        EXPECT_COPPICE_OK(coppice_add(list, text_value("air").release()));
        EXPECT_COPPICE_OK(coppice_reply(m, list));
    }
    EXPECT_COPPICE_OK(coppice_fail(receive(me_), "closed today", COPPICE_TERMINATED));
    EXPECT_COPPICE_OK(coppice_send_text(me_, back, "done", COPPICE_TERMINATED));
    asking.join();
}

TEST_P(CNodes, AMarkIsRefusedWhenTheProgramHasTakenWhatCameBefore) {
    std::thread marking{[&] {
        play(*above_, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<anything>("/till/clerk");
            REQUIRE_OR_END(found);
            self.send<value>(*found, value{1});
            auto refused = co_await self.ask<mail_mark>(*found, 20s);
            EXPECT_EQ(refused.error().code(), errc::no_reply);
            self.send<value>(*found, value{2});
        });
    }};
    EXPECT_EQ(next_text(me_), "1");
    EXPECT_EQ(next_text(me_), "2");
    marking.join();
}

TEST_P(CNodes, SixteenMebibytesPassBothWays) {
    const std::string large(16u << 20, '\x7f');
    owned v;
    ASSERT_COPPICE_OK(coppice_new_bytes(large.data(), large.size(), v.out()));
    std::thread echoing{[&] {
        play(*above_, [](actor<anything> self) -> task<> {
            auto found = co_await self.resolve<anything>("/till/clerk");
            REQUIRE_OR_END(found);
            self.send<value>(*found, value{1});
            auto m = co_await self.receive();
            const auto* came = m.get_if<value>();
            REQUIRE_OR_END(came);
            self.send<value>(*found, *came);
        });
    }};
    owned from;
    EXPECT_COPPICE_OK(coppice_mail_sender(receive(me_), from.out()));
    EXPECT_COPPICE_OK(coppice_send(me_, from, v, long_ms));
    EXPECT_EQ(bytes_in(value_of(receive(me_))), large);
    echoing.join();
}

TEST_P(CNodes, P5BeforeItStartsAfterItEndsAndWhileItIsBusyAreToldApart) {
    coppice_ref none = 0;
    EXPECT_EQ(coppice_find(me_, "/above/later", &none), COPPICE_NOT_FOUND) << coppice_error_text();
    owned other = open_node("other", nullptr, above_->listening().at(0).c_str());
    owned later = open_actor(other, "later");
    const owned to = find(me_, "/other/later");
    coppice_value answer = 0;
    // It is there and does not answer: as while it is being restarted.
    EXPECT_EQ(coppice_ask(me_, to, int_value(1), 50, &answer), COPPICE_TIMEOUT) << coppice_error_text();
    later.close();
    EXPECT_EQ(coppice_ask(me_, to, int_value(1), long_ms, &answer), COPPICE_DOWN) << coppice_error_text();
    std::uint64_t number = 0;
    EXPECT_COPPICE_OK(coppice_monitor(me_, find(me_, "/above/shop"), &number));
    other.close();
    // That it has left is known to its neighbour at once, and here when the routes have come. What was asked before that is under way
    // to a node that may come back, and waits for its own limit.
    int code = COPPICE_TIMEOUT;
    while (code == COPPICE_TIMEOUT) code = coppice_ask(me_, to, int_value(1), 50, &answer);
    EXPECT_TRUE(code == COPPICE_NODE_LOST || code == COPPICE_DOWN || code == COPPICE_UNREACHABLE)
        << coppice_error_text();
    above_.reset();
    const owned ended = receive(me_);
    EXPECT_EQ(kind_of_mail(ended), COPPICE_ENDED);
}

TEST_P(CNodes, P2ATreeIsJoinedByItsNameAloneAndWhatIsWrongIsToldByItsCode) {
    owned node;
    owned client;
    ASSERT_COPPICE_OK(coppice_join_tree("above", "client", node.out(), client.out()));
    const owned to = find(client, "/above/shop");
    EXPECT_COPPICE_OK(coppice_send_text(client, to, "hello", COPPICE_TERMINATED));
    EXPECT_EQ(next_text(client), R"("\"hello\"")");
    coppice_node no_node = 7;
    coppice_actor no_actor = 7;
    EXPECT_EQ(coppice_join_tree("nowhere", "client", &no_node, &no_actor), COPPICE_NOT_FOUND);
    EXPECT_NE(std::string{coppice_error_text()}.find("there is above"), std::string::npos)
        << coppice_error_text();
    EXPECT_EQ(no_node, 0u);
    EXPECT_EQ(no_actor, 0u);
    coppice_node_options o{};
    o.size = sizeof o;
    o.log_level = COPPICE_OFF;
    o.name = "till";
    o.tree = "above";
    EXPECT_EQ(coppice_open_node(&o, &no_node), COPPICE_NAME_TAKEN) << coppice_error_text();
}

INSTANTIATE_TEST_SUITE_P(Over, CNodes, ::testing::Values("unix", "shm", "tcp"),
                         [](const auto& info) { return std::string{info.param}; });

class CTrees : public ::testing::Test {
protected:
    own_run_directory directory_;
};

TEST_F(CTrees, P2ATreeThatACProgramBeginsIsJoinedByItsName) {
    const owned root = open_node("market");
    const owned server = open_actor(root, "server");
    owned node;
    owned client;
    ASSERT_COPPICE_OK(coppice_join_tree("market", "client", node.out(), client.out()));
    EXPECT_COPPICE_OK(coppice_send_int64(client, find(client, "/market/server"), 5));
    EXPECT_EQ(next_text(server), "5");
    coppice_node_options o{};
    o.size = sizeof o;
    o.name = "market";
    coppice_node none = 0;
    EXPECT_EQ(coppice_open_node(&o, &none), COPPICE_NAME_TAKEN) << coppice_error_text();
}

TEST_F(CTrees, P1AClientOfThreeLinesFindsAServerByItsNameFromAProcessOfItsOwn) {
    const owned root = open_node("market");
    const owned server = open_actor(root, "server");
    std::thread client{[] {
        EXPECT_EQ(std::system(C_SAMPLE " client market /market/server 'gr\xc3\xbc\xc3\x9f dich'"), 0);
    }};
    EXPECT_EQ(next_text(server), "\"gr\xc3\xbc\xc3\x9f dich\"");
    EXPECT_COPPICE_OK(coppice_reply_text(receive(server), "all", COPPICE_TERMINATED));
    client.join();
}

TEST_F(CTrees, ASecretIsAskedForAndNobodyThereIsTold) {
    ::setenv("C_TREES_SECRET", "open sesame", 1);
    coppice_node_options o{};
    o.size = sizeof o;
    o.log_level = COPPICE_OFF;
    o.listen = "unix://cave";
    o.secret_env = "C_TREES_SECRET";
    owned root;
    ASSERT_COPPICE_OK(coppice_open_node(&o, root.out()));
    coppice_node_options joins{};
    joins.size = sizeof joins;
    joins.log_level = COPPICE_OFF;
    joins.parent = "unix://cave";
    coppice_node none = 0;
    EXPECT_EQ(coppice_open_node(&joins, &none), COPPICE_WRONG_SECRET) << coppice_error_text();
    joins.secret_env = "C_TREES_SECRET";
    owned inside;
    EXPECT_COPPICE_OK(coppice_open_node(&joins, inside.out()));
    joins.parent = "unix://nobody";
    EXPECT_EQ(coppice_open_node(&joins, &none), COPPICE_UNREACHABLE) << coppice_error_text();
    joins.parent = "nonsense";
    EXPECT_EQ(coppice_open_node(&joins, &none), COPPICE_INVALID_ARGUMENT) << coppice_error_text();
    joins.tree = "both";
    EXPECT_EQ(coppice_open_node(&joins, &none), COPPICE_INVALID_ARGUMENT) << coppice_error_text();
    ::unsetenv("C_TREES_SECRET");
}

}  // namespace
}  // namespace coppice::tests
