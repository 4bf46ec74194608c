// A program in C as a process child of a supervisor in C++: its start, its mail, its ends and its restart. Real processes.
#include <signal.h>

#include <string>

#include "capi.hpp"
#include "coppice/process.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/log_lines.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

struct which_process {
    using reply = std::int64_t;
};

class CChildren : public ::testing::Test {
protected:
    CChildren() { register_builtin_transports(); }
    own_run_directory directory_;
};

process_carrier sample(std::vector<std::string> arguments = {}) {
    return in_process(C_SAMPLE, std::move(arguments));
}

task<exit_reason> end_of(actor<anything> self) {
    auto m = co_await self.receive_only<down>(30s);
    co_return m ? m->get_if<down>()->reason : exit_reason{exit_kind::failed, m.error().what()};
}

TEST_F(CChildren, AProgramInCIsAChildLikeAnyOther) {
    log_lines log;
    node_options o = quiet(2);
    log.listen_to(o);
    node n{"app", o};
    ASSERT_TRUE(n.start({}));
    play(n, [](actor<anything> self) -> task<> {
        for (const char* when : {"at once", "late"}) {
            auto made = co_await self.start(child("till", sample({when})));
            REQUIRE_OR_END(made);
            const ref<anything> till{*made};
            const auto pid = co_await self.ask<which_process>(till, 20s);
            EXPECT_TRUE(pid && *pid > 0 && *pid != ::getpid()) << pid.error().what();
            auto found = co_await self.resolve<anything>(self.path() + "/till");
            EXPECT_TRUE(found);
            self.monitor(till);
            self.stop(till);
            const exit_reason r = co_await end_of(self);
            EXPECT_EQ(r.kind(), exit_kind::stopped) << r.to_string();
        }
    });
    log.wait_for({"open for business"});
}

TEST_F(CChildren, WhatItGivesUpWithIsItsReason) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(n, [](actor<anything> self) -> task<> {
        auto made = co_await self.start(child("till", sample()));
        REQUIRE_OR_END(made);
        self.monitor(*made);
        self.send<value>(ref<anything>{*made}, value{"no flour"});
        const exit_reason r = co_await end_of(self);
        EXPECT_EQ(r.kind(), exit_kind::failed) << r.to_string();
        EXPECT_EQ(r.text(), "no flour");
    });
}

TEST_F(CChildren, P5BeforeItStartsWhileItIsRestartedAndAfterItEndsAreToldApart) {
    node_options o = quiet(2);
    o.network.listen = {"unix://app"};
    node n{"app", o};
    const auto started = n.start(supervisor_spec{strategy::dynamic}.intensity(100, 1s).backoff(1h, 1h));
    ASSERT_TRUE(started) << started.error().what();
    const owned guest = open_node(nullptr, nullptr, "unix://app");
    const owned me = open_actor(guest);
    coppice_ref none = 0;
    EXPECT_EQ(coppice_find(me, "/app/till", &none), COPPICE_NOT_FOUND) << coppice_error_text();

    const auto made = n.ask<start_child>(*started, 20s, child("till", sample()));
    ASSERT_TRUE(made) << made.error().what();
    const owned till = find(me, "/app/till");
    owned answer;
    ASSERT_COPPICE_OK(coppice_ask(me, till, int_value(1), long_ms, answer.out()));
    const std::int64_t first = int_in(answer);
    answer.close();

    std::uint64_t number = 0;
    ASSERT_COPPICE_OK(coppice_monitor(me, till, &number));
    ASSERT_EQ(::kill(static_cast<pid_t>(first), SIGKILL), 0);
    const owned ended = receive(me);
    EXPECT_EQ(kind_of_mail(ended), COPPICE_ENDED);
    EXPECT_NE(string_in(value_of(ended)).find("SIGKILL"), std::string::npos) << string_in(value_of(ended));
    EXPECT_EQ(coppice_ask(me, till, int_value(1), 50, answer.out()), COPPICE_TIMEOUT) << coppice_error_text();
    const auto again = n.ask<restart_child>(*started, 20s, "till");
    ASSERT_TRUE(again) << again.error().what();
    EXPECT_COPPICE_OK(coppice_ask(me, till, int_value(1), long_ms, answer.out()));
    EXPECT_NE(int_in(answer), first);

    ASSERT_TRUE(n.ask<terminate_child>(*started, 20s, "till"));
    coppice_value nothing = 0;
    EXPECT_EQ(coppice_ask(me, till, int_value(1), long_ms, &nothing), COPPICE_DOWN) << coppice_error_text();
}

TEST_F(CChildren, AProcessThatNobodyStartedIsNoChild) {
    EXPECT_EQ(coppice_is_child(), 0);
    coppice_node node = 7;
    coppice_actor actor = 7;
    EXPECT_EQ(coppice_open_child(1, &node, &actor), COPPICE_NOT_FOUND);
    EXPECT_EQ(node, 0u);
    EXPECT_EQ(actor, 0u);
    EXPECT_EQ(coppice_exit_code(), 0);
}

}  // namespace
}  // namespace coppice::tests
