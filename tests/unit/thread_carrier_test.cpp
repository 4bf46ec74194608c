// Actors in threads of their own: name, arguments and priority as the operating system sees them, refusals, and a thread
// that does not come back. What changes the process (another user, a thread left behind) happens in a child process.
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "../support/play.hpp"
#include "coppice/coppice.hpp"

namespace coppice::tests {
namespace {

/// What a thread is, told by the operating system.
struct thread_facts {
    std::string name;
    int policy = -1;
    int nice = 0;
    std::thread::id id;
    result<priority> told = errc::not_found;
    std::string text;
    std::vector<int> numbers;
};
struct describe {
    using reply = thread_facts;
};
struct change {
    priority to;
    using reply = result<void>;
};
using threaded = protocol<describe, change>;

task<> describes_itself(actor<threaded> self, std::string text, std::vector<int> numbers) {
    while (auto m = co_await self.receive()) {
        m.match(
            [&](request<describe> r) {
                thread_facts f;
                char name[16] = {};
                ::pthread_getname_np(::pthread_self(), name, sizeof name);
                f.name = name;
                f.policy = ::sched_getscheduler(0);
                f.nice = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)));
                f.id = std::this_thread::get_id();
                f.told = self.thread_priority();
                f.text = text;
                f.numbers = numbers;
                r.reply(std::move(f));
            },
            [&](request<change> r) { r.reply(self.set_thread_priority(r->to)); });
    }
}

child_spec describing(const std::string& name, carrier how) {
    return child(name, how, describes_itself, std::string{"words with spaces"}, std::vector<int>{1, 2, 3});
}

struct running_node {
    node n{"app", quiet(1)};
    ref<supervisor_protocol> root;
    running_node() {
        auto started = n.start(supervisor_spec{});
        EXPECT_TRUE(started);
        if (started) root = *started;
    }
    result<ref<threaded>> start(child_spec c) {
        auto made = n.ask<start_child>(root, 60s, std::move(c));
        if (!made) return made.error();
        return made->assume<threaded>();
    }
};

TEST(ThreadCarrier, W1_OneActorRunsAtTwoPrioritiesInThreadsThatBearItsNameWithItsArgumentsIntact) {
    running_node r;
    auto low = r.start(describing("disk_a", in_thread({.priority = priority::low})));
    auto idle = r.start(describing("disk_b", in_thread({.priority = priority::idle})));
    auto shared = r.start(describing("disk_c", in_coroutine));
    ASSERT_TRUE(low && idle && shared);
    const auto a = r.n.ask<describe>(*low, 60s);
    const auto b = r.n.ask<describe>(*idle, 60s);
    const auto c = r.n.ask<describe>(*shared, 60s);
    ASSERT_TRUE(a && b && c);
    EXPECT_EQ(a->name, "disk_a");
    EXPECT_EQ(a->policy, SCHED_OTHER);
    EXPECT_EQ(a->nice, 10);
    EXPECT_EQ(*a->told, priority::low);
    EXPECT_EQ(b->name, "disk_b");
    EXPECT_EQ(b->policy, SCHED_IDLE);
    EXPECT_EQ(*b->told, priority::idle);
    EXPECT_EQ(*c->told, priority::normal);
    for (const auto* f : {&*a, &*b, &*c}) {
        EXPECT_EQ(f->text, "words with spaces");
        EXPECT_EQ(f->numbers, (std::vector<int>{1, 2, 3}));
    }
    EXPECT_NE(a->id, b->id);
    EXPECT_NE(a->id, c->id);
}

TEST(ThreadCarrier, TheThreadBearsTheLastFifteenBytesOfALongName) {
    running_node r;
    auto it = r.start(describing("a_name_of_more_than_fifteen_bytes", in_thread));
    ASSERT_TRUE(it);
    EXPECT_EQ(r.n.ask<describe>(*it, 60s)->name, "n_fifteen_bytes");
}

TEST(ThreadCarrier, W1_AHighPriorityReadsBackOrIsRefusedWithATypedError) {
    running_node r;
    for (const priority wanted : {priority::high, priority::realtime}) {
        auto it = r.start(describing("urgent", in_thread({.priority = wanted})));
        if (it) {
            EXPECT_EQ(*r.n.ask<describe>(*it, 60s)->told, wanted);
            ASSERT_TRUE(r.n.ask<terminate_child>(r.root, 60s, "urgent"));
        } else {
            EXPECT_EQ(it.error(), errc::priority_refused) << it.error().what();
        }
    }
}

TEST(ThreadCarrier, AnActorChangesThePriorityOfItsOwnThreadAndOfNoSharedOne) {
    running_node r;
    auto alone = r.start(describing("alone", in_thread));
    auto shared = r.start(describing("shared", in_coroutine));
    ASSERT_TRUE(alone && shared);
    EXPECT_EQ(*r.n.ask<describe>(*alone, 60s)->told, priority::normal);
    auto changed = r.n.ask<change>(*alone, 60s, priority::low);
    ASSERT_TRUE(changed && *changed);
    EXPECT_EQ(*r.n.ask<describe>(*alone, 60s)->told, priority::low);
    auto refused = r.n.ask<change>(*shared, 60s, priority::low);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->error(), errc::invalid_argument);
}

TEST(ThreadCarrier, ARestartKeepsTheThreadAndItsPriority) {
    running_node r;
    auto it = r.start(describing("again", in_thread({.priority = priority::low})));
    ASSERT_TRUE(it);
    const auto before = r.n.ask<describe>(*it, 60s);
    ASSERT_TRUE(r.n.ask<restart_child>(r.root, 60s, "again"));
    const auto after = r.n.ask<describe>(*it, 60s);
    ASSERT_TRUE(before && after);
    EXPECT_EQ(*after->told, priority::low);
    EXPECT_EQ(after->name, "again");
}

TEST(ThreadCarrier, ThreadsThatHaveEndedGiveTheirPlaceToOthers) {
    running_node r;
    for (
        int i = 0; i < 100;
        ++i) {  // many more in a row than the process may have schedulers would be slow; their place is reused
        auto it = r.start(describing("t" + std::to_string(i), in_thread));
        ASSERT_TRUE(it) << it.error().what();
        ASSERT_TRUE(r.n.ask<terminate_child>(r.root, 60s, "t" + std::to_string(i)));
    }
}

struct arrived {};

task<> tells_the_test(actor<protocol<arrived>> self, std::shared_ptr<std::promise<void>> told) {
    while (auto m = co_await self.receive())
        if (m.get_if<arrived>()) told->set_value();
}

task<> sends_and_blocks(actor<protocol<>> self, std::shared_ptr<std::promise<void>> told,
                        std::shared_ptr<std::promise<void>> done) {
    auto to = co_await self.resolve<protocol<arrived>>("listener");
    if (!to) co_return self.fail("{}", to.error());
    self.send<arrived>(*to);
    told->get_future().wait();  // blocks the thread until the mail has arrived
    done->set_value();
}

TEST(ThreadCarrier, WhatAnActorSendsLeavesItsThreadBeforeItBlocks) {
    running_node r;
    auto told = std::make_shared<std::promise<void>>();
    auto done = std::make_shared<std::promise<void>>();
    ASSERT_TRUE(r.n.ask<start_child>(r.root, 60s, child("listener", in_coroutine, tells_the_test, told)));
    ASSERT_TRUE(r.n.ask<start_child>(
        r.root, 60s, child("blocks", in_thread, sends_and_blocks, told, done).restarts(restart::temporary)));
    done->get_future().wait();
}

// ---------------------------------------------------------------- without the right

void become_nobody() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_NICE, &none);
    ::setrlimit(RLIMIT_RTPRIO, &none);
    if (::geteuid() == 0 && (::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0)) {
        std::perror("become_nobody");
        std::_Exit(99);
    }
}

int refusals_of_nobody() {
    become_nobody();
    running_node r;
    int found = 0;
    for (const priority wanted : {priority::high, priority::realtime}) {
        auto it = r.start(describing("urgent", in_thread({.priority = wanted})));
        if (it) return 1;
        std::fprintf(stderr, "%s\n", it.error().what().c_str());
        if (it.error() == errc::priority_refused &&
            it.error().what().find("CAP_SYS_NICE") != std::string::npos)
            ++found;
    }
    if (found != 2) return 2;
    auto it = r.start(describing("urgent", in_thread));  // the name is free, and a thread can be had
    if (!it) return 3;
    auto changed = r.n.ask<change>(*it, 60s, priority::high);
    if (!changed || *changed || changed->error() != errc::priority_refused) return 4;
    if (*r.n.ask<describe>(*it, 60s)->told != priority::normal) return 5;
    return 0;
}

TEST(ThreadCarrierDeathTest, APriorityThatTheOperatingSystemRefusesIsATypedErrorAndTheTreeGoesOn) {
    EXPECT_EXIT(std::_Exit(refusals_of_nobody()), ::testing::ExitedWithCode(0),
                "priority_refused: .*'high'.*CAP_SYS_NICE.*'realtime'");
}

// ---------------------------------------------------------------- a thread that does not come back

task<> never_awaits(actor<protocol<>> self, std::shared_ptr<std::promise<void>> began) {
    co_await self.sleep(1ms);  // its start has been told by then
    began->set_value();
    for (;;) ::pause();  // no await from here on
}

node_options on_terminal(std::uint32_t schedulers) {
    node_options o = quiet(schedulers);
    o.log_terminal = true;
    return o;
}

enum class ended_by { stop_of_the_node, terminate_child };

int run_with_a_stuck_child(carrier how, ended_by by) {
    int code = -1;
    {
        auto began = std::make_shared<std::promise<void>>();
        node n{"app", on_terminal(2)};
        supervisor_spec spec;
        spec.add(describing("bystander", in_coroutine))
            .add(child("stuck", how, never_awaits, began).shutdown(20ms));
        std::thread asks{[&] {
            began->get_future().wait();
            auto root = n.resolve<supervisor_protocol>("/app");
            if (!root || !n.ask<which_children>(*root, 60s))
                std::_Exit(98);  // it answers once all are started
            if (by == ended_by::stop_of_the_node) n.stop();
            else n.send<terminate_child>(*root, "stuck");
        }};
        code = n.run(std::move(spec));
        asks.join();
    }
    return code;
}

constexpr int abandoned_code = static_cast<int>(run_result::abandoned);

TEST(ThreadCarrierDeathTest, AThreadThatNeverAwaitsIsReportedByNameAndLeftBehindAndTheNodeEndsAndSaysSo) {
    EXPECT_EXIT(std::_Exit(run_with_a_stuck_child(in_thread, ended_by::stop_of_the_node)),
                ::testing::ExitedWithCode(abandoned_code), "/app/stuck.*abandoned");
}

TEST(ThreadCarrierDeathTest, AThreadThatNeverAwaitsEndsItsSupervisorWhenItIsTerminatedByName) {
    EXPECT_EXIT(std::_Exit(run_with_a_stuck_child(in_thread, ended_by::terminate_child)),
                ::testing::ExitedWithCode(abandoned_code), "/app/stuck.*abandoned");
}

TEST(ThreadCarrierDeathTest, AnActorThatHoldsASharedSchedulerForEverIsLeftBehindAsWell) {
    EXPECT_EXIT(std::_Exit(run_with_a_stuck_child(on_scheduler(1), ended_by::stop_of_the_node)),
                ::testing::ExitedWithCode(abandoned_code), "/app/stuck.*abandoned");
}

}  // namespace
}  // namespace coppice::tests
