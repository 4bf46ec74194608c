// The end of a C program's node: what it sent last arrives though it closes at once, and what cannot arrive is told. The sender is
// a process of its own, on the C interface alone; the receiver a node of C++.
#include <signal.h>
#include <sys/wait.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include <gmock/gmock.h>

#include "capi.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/cut_proxy.hpp"
#include "support/log_lines.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t messages = 1000;
/// A thousand of these are more than a flow grants as long as nobody takes them (limits::flow_window), by less than what waits for
/// that without holding up a sender (limits::flow_ready).
constexpr std::size_t large = 4'200;

// ---------------------------------------------------------------- the sender

// Joins, sends, closes, and is gone. Exit code: what the close came back with.
int send_and_close() {
    coppice_node_options o{};
    o.size = sizeof o;
    const std::string parent = word("PARENT");
    o.parent = parent.c_str();
    o.log_level = COPPICE_OFF;
    o.linger_ms = std::stoull(word("LINGER"));
    const std::string padding(std::stoull(word("BYTES")), 'x');
    coppice_node node = 0;
    coppice_actor me = 0;
    coppice_ref to = 0;
    const auto must = [](int code) {
        if (code == COPPICE_OK) return;
        std::fprintf(stderr, "%s\n", coppice_error_text());
        std::_Exit(95);
    };
    must(coppice_open_node(&o, &node));
    must(coppice_open_actor(node, nullptr, &me));
    must(coppice_find(me, "/above/tally", &to));
    for (std::int64_t i = 0; i < messages; ++i) {
        coppice_value v = 0;
        coppice_value part = 0;
        must(coppice_new_record(nullptr, &v));
        must(coppice_new_int64(i, &part));
        must(coppice_add(v, part));
        must(coppice_new_bytes(padding.data(), padding.size(), &part));
        must(coppice_add(v, part));
        must(coppice_send(me, to, v, COPPICE_FOREVER));
        must(coppice_close(v));
    }
    const shared<std::atomic<int>> closing{word("BOARD")};
    *closing = 1;
    const int code = coppice_close(node);
    if (code != COPPICE_OK) std::fprintf(stderr, "%s\n", coppice_error_text());
    return code;
}
const bool sender_role = add_role("linger_sender", send_and_close);

// ---------------------------------------------------------------- the receiver

struct tally {
    std::atomic<std::int64_t> count{0};
    std::atomic<std::int64_t> wrong{0};
    std::atomic<bool> taking{false};
};

task<> take_count(actor<anything> self, std::shared_ptr<tally> t) {
    // What arrives while this one does not look waits in the mailbox.
    while (!t->taking) co_await self.sleep(1ms);
    while (auto m = co_await self.receive()) {
        const auto* v = m.get_if<value>();
        const auto* r = v ? v->get_if<value::record>() : nullptr;
        if (!r || r->fields.empty() || r->fields[0].as<std::int64_t>() != t->count.load()) ++t->wrong;
        ++t->count;
    }
}

class Linger : public ::testing::TestWithParam<const char*> {
protected:
    Linger() {
        register_builtin_transports();
        node_options o = quiet(2);
        const std::string kind = GetParam();
        o.network.listen = {kind == "tcp" ? "tcp://127.0.0.1:0" : kind + "://above"};
        above_ = std::make_unique<node>("above", o);
        supervisor_spec spec;
        spec.add(child("tally", in_coroutine, take_count, tally_).mailbox(16).restarts(restart::temporary));
        const auto started = above_->start(std::move(spec));
        EXPECT_TRUE(started) << started.error().what();
    }
    [[nodiscard]] process start(std::size_t bytes, int linger_ms, const std::string& parent = {}) const {
        return process{"linger_sender",
                       {{"PARENT", parent.empty() ? above_->listening().at(0) : parent},
                        {"BYTES", std::to_string(bytes)},
                        {"LINGER", std::to_string(linger_ms)},
                        {"BOARD", closing_.handle()}}};
    }
    void expect_all() {
        await_that([&] { return tally_->count == messages; });
        EXPECT_EQ(tally_->wrong, 0);
    }

    own_run_directory directory_;
    shared<std::atomic<int>> closing_;
    std::shared_ptr<tally> tally_ = std::make_shared<tally>();
    std::unique_ptr<node> above_;
};

TEST_P(Linger, AThousandMessagesArriveThoughTheirNodeIsClosedAtOnce) {
    tally_->taking = true;
    process sender = start(100, 0);  // the default
    EXPECT_EQ(sender.wait(), COPPICE_OK);
    expect_all();
}

TEST_P(Linger, WhatWaitsForItsReceiverWhenTheNodeIsClosedArrivesToo) {
    process sender = start(large, 60'000);
    await_that([&] { return *closing_ != 0 || sender.has_ended(); });
    EXPECT_FALSE(sender.has_ended()) << "nobody takes what waits";
    tally_->taking = true;
    EXPECT_EQ(sender.wait(), COPPICE_OK);
    expect_all();
}

INSTANTIATE_TEST_SUITE_P(Transports, Linger, ::testing::Values("unix", "tcp", "shm"),
                         [](const auto& of) { return std::string{of.param}; });

class LingerCut : public Linger {};

TEST_P(LingerCut, WhatWaitsArrivesThoughTheLinkIsCutAgainAndAgainWhileItsNodeLingers) {
    const std::string there = above_->listening().at(0);
    cut_proxy proxy{static_cast<std::uint16_t>(std::stoi(there.substr(there.rfind(':') + 1)))};
    process sender = start(large, 60'000, "tcp://127.0.0.1:" + std::to_string(proxy.port()));
    await_that([&] { return *closing_ != 0 || sender.has_ended(); });
    for (int i = 0; i < 3; ++i) {
        const auto before = proxy.so_far().connections;
        proxy.cut(cut_proxy::how::reset);
        await_that([&] { return proxy.so_far().connections > before || sender.has_ended(); });
        ASSERT_FALSE(sender.has_ended()) << "nobody takes what waits";
    }
    tally_->taking = true;
    EXPECT_EQ(sender.wait(), COPPICE_OK);
    expect_all();
}

INSTANTIATE_TEST_SUITE_P(Transports, LingerCut, ::testing::Values("tcp"),
                         [](const auto& of) { return std::string{of.param}; });

// ---------------------------------------------------------------- when nobody takes it

class LingerLimit : public ::testing::Test {
protected:
    /// It runs no more when this returns: a signal alone may reach its threads one after the other.
    static void stop(const process& p) {
        p.signal(SIGSTOP);
        siginfo_t seen{};
        ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(p.id()), &seen, WSTOPPED), 0);
    }
    own_run_directory directory_;
};

TEST_F(LingerLimit, WhatNobodyTakesIsToldWithItsNumberAndItsReceiver) {
    register_builtin_transports();
    shared<std::atomic<int>> running;
    process receiver{"linger_receiver", {{"BOARD", running.handle()}}};
    await_that([&] { return *running == 1; });
    coppice_node_options o{};
    o.size = sizeof o;
    o.parent = "unix://above";
    o.log_level = COPPICE_OFF;
    o.linger_ms = 50;
    owned node;
    ASSERT_COPPICE_OK(coppice_open_node(&o, node.out()));
    {
        const owned me = open_actor(node);
        const owned to = find(me, "/above/tally");
        stop(receiver);
        for (int i = 0; i < 3; ++i) ASSERT_COPPICE_OK(coppice_send_int64(me, to, i));
        EXPECT_EQ(coppice_flush(node, 20), COPPICE_TIMEOUT);
        EXPECT_THAT(coppice_error_text(), HasSubstr("3 messages for node above"));
    }
    EXPECT_EQ(coppice_close(node.release()), COPPICE_OUTCOME_UNKNOWN);
    EXPECT_THAT(coppice_error_text(),
                HasSubstr("the node is closed; not acknowledged within 50 ms: 3 messages for node above"));
    EXPECT_EQ(coppice_open_handles(), 0u);
    receiver.signal(SIGCONT);
}

int receive_nothing() {
    const shared<std::atomic<int>> told{word("BOARD")};
    register_builtin_transports();
    node_options o = quiet(1);
    o.network.listen = {"unix://above"};
    node above{"above", o};
    supervisor_spec spec;
    auto t = std::make_shared<tally>();
    t->taking = true;
    spec.add(child("tally", in_coroutine, take_count, t).restarts(restart::temporary));
    if (!above.start(std::move(spec))) return 1;
    *told = 1;
    static_cast<void>(above.wait());
    return 0;
}
const bool receiver_role = add_role("linger_receiver", receive_nothing);

TEST_F(LingerLimit, AFlushReturnsWhenWhatWasSentHasArrived) {
    register_builtin_transports();
    node_options o = quiet(1);
    o.network.listen = {"unix://above"};
    node above{"above", o};
    supervisor_spec spec;
    auto t = std::make_shared<tally>();
    t->taking = true;
    spec.add(child("tally", in_coroutine, take_count, t).restarts(restart::temporary));
    ASSERT_TRUE(above.start(std::move(spec)));
    const owned node = open_node("till", nullptr, "unix://above");
    EXPECT_COPPICE_OK(coppice_flush(node, long_ms)) << "nothing but what joining takes was sent";
    const owned me = open_actor(node);
    const owned to = find(me, "/above/tally");
    for (int i = 0; i < 100; ++i) ASSERT_COPPICE_OK(coppice_send_int64(me, to, i));
    EXPECT_COPPICE_OK(coppice_flush(node, long_ms));
    await_that([&] { return t->count == 100; });
    EXPECT_EQ(coppice_flush(me, 0), COPPICE_INVALID_ARGUMENT);
}

// ---------------------------------------------------------------- nodes of C++

task<> send_many(actor<anything> self) {
    const auto to = co_await self.resolve<anything>("/above/tally");
    if (!to) co_return self.fail("no tally: {}", to.error());
    for (std::int64_t i = 0; i < messages; ++i) {
        const errc sent = co_await self.send_wait<value>(*to, value::record{{i, std::string(large, 'x')}});
        if (sent != errc::ok) co_return self.fail("{}", to_string(sent));
    }
}

TEST_P(Linger, ANodeOfCppLosesNothingEither) {
    node_options o = below(above_->listening().at(0), 1);
    o.network.linger = 60s;
    {
        node sender{"sender", o};
        supervisor_spec spec;
        spec.add(child("many", in_coroutine, send_many).restarts(restart::temporary).significant());
        ASSERT_TRUE(sender.start(std::move(spec)));
        EXPECT_TRUE(sender.wait().is_clean());
        tally_->taking = true;
    }
    expect_all();
}

TEST_F(LingerLimit, ANodeOfCppTellsInItsLogWhatMayNotHaveArrived) {
    register_builtin_transports();
    shared<std::atomic<int>> running;
    process receiver{"linger_receiver", {{"BOARD", running.handle()}}};
    await_that([&] { return *running == 1; });
    log_lines log;
    node_options o = below("unix://above", 1);
    o.network.linger = 20ms;
    log.listen_to(o);
    {
        node sender{"sender", o};
        ASSERT_TRUE(sender.start({}));
        const auto to = sender.resolve<anything>("/above/tally");
        ASSERT_TRUE(to) << to.error().what();
        stop(receiver);
        EXPECT_EQ(sender.send<value>(*to, value{1}), errc::ok);
        EXPECT_EQ(sender.flush(0s).error(), errc::timeout);
    }
    log.wait_for({"not acknowledged within 20 ms: 1 message for node above"});
    receiver.signal(SIGCONT);
}

}  // namespace
}  // namespace coppice::tests
