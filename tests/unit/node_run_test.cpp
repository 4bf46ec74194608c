// The node as a program meets it: exit codes, signals, options, embedding, several in one process, its destructor, and
// that an idle one sleeps. Programs that end by a signal or a code are run in a child process.
#include <csignal>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "../support/play.hpp"
#include "coppice/coppice.hpp"

namespace coppice::tests {
namespace {

struct poke {};
struct number {
    using reply = int;
};
using simple = protocol<poke, number>;

task<> answers(actor<simple> self, int n) {
    while (auto m = co_await self.receive())
        m.match([](const poke&) { throw std::runtime_error{"poked"}; },
                [&](request<number> r) { r.reply(n); });
}

task<> returns_at_once(actor<simple>) { co_return; }
task<> throws_at_once(actor<simple>) {
    throw std::runtime_error{"it does not start"};
    co_return;
}
task<> crashes_soon(actor<simple> self) {
    co_await self.yield();
    throw std::runtime_error{"it crashed"};
}

child_spec last_of(child_spec c) { return std::move(c).restarts(restart::temporary).significant(); }

// ---------------------------------------------------------------- run and its exit code

TEST(NodeRun, RunReturnsZeroAfterACleanEnd) {
    node n{"app", quiet(2)};
    EXPECT_EQ(n.run(supervisor_spec{}.add(last_of(child("it", in_coroutine, returns_at_once)))),
              static_cast<int>(run_result::ok));
}

TEST(NodeRun, RunReturnsOneWhenTheRootFails) {
    node n{"app", quiet(2)};
    EXPECT_EQ(n.run(supervisor_spec{}.add(child("it", spread, crashes_soon))),
              static_cast<int>(run_result::failed));
    EXPECT_EQ(n.wait().kind(), exit_kind::intensity);
}

TEST(NodeRun, RunReturnsTwoWhenAChildDoesNotStart) {
    node n{"app", quiet(2)};
    EXPECT_EQ(n.run(supervisor_spec{}.add(child("it", spread, throws_at_once))),
              static_cast<int>(run_result::start_failed));
}

TEST(NodeRun, StartTellsWhyAChildDidNotStart) {
    node n{"app", quiet(1)};
    auto started = n.start(supervisor_spec{}
                               .add(child("fine", in_coroutine, answers, 1))
                               .add(child("it", in_thread, throws_at_once)));
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error(), errc::start_failed);
    EXPECT_NE(started.error().what().find("'it'"), std::string::npos) << started.error().what();
    EXPECT_NE(started.error().what().find("it does not start"), std::string::npos) << started.error().what();
    EXPECT_FALSE(n.wait().is_clean());
}

TEST(NodeRun, RunsOneTreeOnly) {
    node n{"app", quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}));
    EXPECT_EQ(n.start(supervisor_spec{}).error(), errc::invalid_argument);
}

TEST(NodeRun, RefusesABadName) {
    EXPECT_THROW(node("a/b", quiet(1)), std::invalid_argument);
    EXPECT_THROW(node("", quiet(1)), std::invalid_argument);
}

// ---------------------------------------------------------------- signals

task<> says_its_end(actor<simple> self, std::string name) {
    while (auto m = co_await self.receive()) {
    }
    std::fprintf(stderr, "end of %s\n", name.c_str());
}

task<> raises(actor<simple> self, int signal) {
    co_await self.yield();
    ::kill(::getpid(), signal);
    while (auto m = co_await self.receive()) {
    }
}

int run_until_signal(int signal) {
    node_options o = quiet(2);
    o.handle_signals = true;
    node n{"app", o};
    supervisor_spec spec;
    for (const char* name : {"a", "b", "c"}) spec.add(child(name, spread, says_its_end, std::string{name}));
    spec.add(child("raises", in_coroutine, raises, signal));
    return n.run(std::move(spec));
}

TEST(NodeRunDeathTest, SigtermEndsTheTreeInReverseStartOrderAndTheProgramCleanly) {
    EXPECT_EXIT(std::_Exit(run_until_signal(SIGTERM)), ::testing::ExitedWithCode(0),
                "end of c.end of b.end of a");
}

TEST(NodeRunDeathTest, SigintDoesTheSame) {
    EXPECT_EXIT(std::_Exit(run_until_signal(SIGINT)), ::testing::ExitedWithCode(0),
                "end of c.end of b.end of a");
}

task<> dawdles(actor<simple> self, bool) {
    while (auto m = co_await self.receive()) {
    }
    for (;;) {
        try {
            co_await self.sleep(1h);
        } catch (const cancelled&) {
            continue;  // deaf to kills as well: it never ends
        }
    }
}

int run_with_a_tree_that_does_not_end() {
    node_options o = quiet(1);
    o.handle_signals = true;
    o.log_terminal = true;
    o.shutdown_within = 50ms;
    int code = -1;
    {
        node n{"app", o};
        supervisor_spec spec;
        spec.add(child("dawdles", in_coroutine, dawdles, true).shutdown(1h))
            .add(child("raises", in_coroutine, raises, SIGTERM));
        code = n.run(std::move(spec));
    }
    return code;
}

TEST(NodeRunDeathTest, ATreeThatDoesNotEndWithinTheNodesLimitIsSaidToBeAbandoned) {
    EXPECT_EXIT(std::_Exit(run_with_a_tree_that_does_not_end()),
                ::testing::ExitedWithCode(static_cast<int>(run_result::abandoned)),
                "did not end within its limit");
}

// ---------------------------------------------------------------- options

struct arguments {
    std::vector<std::string> words;
    std::vector<char*> pointers;
    int count = 0;
    explicit arguments(std::vector<std::string> w) : words{std::move(w)} {
        for (std::string& each : words) pointers.push_back(each.data());
        count = static_cast<int>(words.size());
        pointers.push_back(nullptr);
    }
    [[nodiscard]] std::vector<std::string> left() const {
        std::vector<std::string> l;
        for (int i = 0; i < count; ++i) l.emplace_back(pointers[static_cast<std::size_t>(i)]);
        return l;
    }
};

struct variable {
    const char* name;
    variable(const char* n, const char* value) : name{n} { ::setenv(n, value, 1); }
    ~variable() { ::unsetenv(name); }
    variable(const variable&) = delete;
    variable& operator=(const variable&) = delete;
};

TEST(NodeRun, TakesItsOptionsFromTheCommandLineAndLeavesTheOthers) {
    arguments a{{"program", "--mine", "--coppice-schedulers=3", "file", "--coppice-mailbox=7",
                 "--coppice-log-terminal=off"}};
    node n{"app", a.count, a.pointers.data(), quiet(1)};
    EXPECT_EQ(a.left(), (std::vector<std::string>{"program", "--mine", "file"}));
    EXPECT_EQ(a.pointers[3], nullptr);
    ASSERT_TRUE(n.start(supervisor_spec{}.add(child("it", on_scheduler(2), answers, 1))));
    EXPECT_EQ(n.scheduler_count(), 3u);
    EXPECT_EQ(n.inspect().schedulers.size(), 3u);
}

TEST(NodeRun, TakesItsOptionsFromTheEnvironmentAndTheCommandLineWins) {
    const variable three{"COPPICE_SCHEDULERS", "3"};
    {
        node n{"app", quiet(1)};
        ASSERT_TRUE(n.start(supervisor_spec{}));
        EXPECT_EQ(n.scheduler_count(), 3u);
    }
    arguments a{{"program", "--coppice-schedulers=2"}};
    node n{"app", a.count, a.pointers.data(), quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}));
    EXPECT_EQ(n.scheduler_count(), 2u);
}

TEST(NodeRun, SaysWhichOptionItDoesNotUnderstandAndWhatWouldBeRight) {
    const struct {
        const char* option;
        const char* says;
    } cases[] = {
        {"--coppice-schedulers=many", "0 (one a core) to 512"},
        {"--coppice-schedulers=", "0 (one a core) to 512"},
        {"--coppice-schedulers=513", "0 (one a core) to 512"},
        {"--coppice-schedulers=-1", "0 (one a core) to 512"},
        {"--coppice-log-level=loud", "trace, debug, info"},
        {"--coppice-log-levels=app=info", "/path=level"},
        {"--coppice-log-levels=,", "/path=level"},
        {"--coppice-log-levels=/app", "/path=level"},
        {"--coppice-log-terminal=yes", "on or off"},
        {"--coppice-log-file-bytes=1", "at least 4096"},
        {"--coppice-mailbox=0", "at least 1"},
        {"--coppice-offload-threads=0", "1 to 512"},
        {"--coppice-nonsense=1", "there is no option --coppice-nonsense"},
    };
    for (const auto& c : cases) {
        arguments a{{"program", c.option}};
        node n{"app", a.count, a.pointers.data(), quiet(1)};
        auto started = n.start(supervisor_spec{});
        ASSERT_FALSE(started) << c.option;
        EXPECT_EQ(started.error(), errc::invalid_argument) << c.option;
        EXPECT_NE(started.error().what().find(c.says), std::string::npos)
            << c.option << ": " << started.error().what();
        node again{"app", a.count, a.pointers.data(), quiet(1)};
        EXPECT_EQ(a.left(), (std::vector<std::string>{"program"}));
    }
    const variable bad{"COPPICE_MAILBOX", "lots"};
    node n{"app", quiet(1)};
    auto started = n.start(supervisor_spec{});
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().what().find("COPPICE_MAILBOX"), std::string::npos) << started.error().what();
    EXPECT_NE(started.error().what().find("'lots'"), std::string::npos) << started.error().what();
}

TEST(NodeRun, RunReturnsThreeForABadOption) {
    arguments a{{"program", "--coppice-schedulers=many"}};
    node n{"app", a.count, a.pointers.data(), quiet(1)};
    EXPECT_EQ(n.run(supervisor_spec{}), static_cast<int>(run_result::bad_options));
}

TEST(NodeRun, WorksWithAnEmptyCommandLine) {
    int none = 0;
    char* nothing[] = {nullptr};
    node n{"app", none, nothing, quiet(1)};
    EXPECT_TRUE(n.start(supervisor_spec{}));
}

// ---------------------------------------------------------------- in a user's io_context

TEST(NodeRun, RunsInAUsersIoContextUntilItIsStopped) {
    boost::asio::io_context context{1};
    node n{"app", context, quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}.add(child("it", in_coroutine, answers, 41))));
    std::thread::id where{};
    std::thread other{[&] {  // the user's other threads talk to it while the context runs
        auto found = n.resolve<simple>("/app/it");
        while (!found) {
            std::this_thread::yield();
            found = n.resolve<simple>("/app/it");
        }
        EXPECT_EQ(*n.ask<number>(*found, 60s), 41);
        n.stop();
    }};
    boost::asio::post(context, [&] { where = std::this_thread::get_id(); });
    context.run();  // returns: the ended node keeps it no longer
    other.join();
    EXPECT_EQ(where, std::this_thread::get_id());
    EXPECT_EQ(n.wait().kind(), exit_kind::stopped);
}

TEST(NodeRun, WaitRunsTheUsersIoContextUntilTheTreeHasEnded) {
    boost::asio::io_context context{1};
    node n{"app", context, quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}.add(last_of(child("it", in_coroutine, returns_at_once)))));
    EXPECT_EQ(n.wait().kind(), exit_kind::normal);
}

TEST(NodeRun, TellsByWaitThatAnEmbeddedTreeDidNotStart) {
    boost::asio::io_context context{1};
    node n{"app", context, quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}.add(child("it", in_coroutine, throws_at_once))));
    context.run();
    const exit_reason end = n.wait();
    EXPECT_FALSE(end.is_clean());
    EXPECT_NE(end.to_string().find("it does not start"), std::string::npos) << end.to_string();
}

TEST(NodeRun, AnEmbeddedTreeMayHaveThreads) {
    boost::asio::io_context context{1};
    node n{"app", context, quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}
                            .add(child("t", in_thread, answers, 5))
                            .add(last_of(child("it", in_coroutine, returns_at_once)))));
    context.run();
    EXPECT_EQ(n.wait().kind(), exit_kind::normal);
}

TEST(NodeRun, TheDestructorOfAnEmbeddedNodeEndsItsTree) {
    boost::asio::io_context context{1};
    auto alive = std::make_shared<int>(0);
    {
        node n{"app", context, quiet(1)};
        ASSERT_TRUE(n.start(supervisor_spec{}.add(child(
            "it", in_coroutine,
            [](actor<simple> self, std::shared_ptr<int> held) -> task<> {
                while (auto m = co_await self.receive()) ++*held;
            },
            alive))));
        context.run_one();
    }
    EXPECT_EQ(alive.use_count(), 1);
    context.run();  // handlers that are left find nothing
}

// ---------------------------------------------------------------- several, and the end

TEST(NodeRun, SeveralNodesInOneProcessKnowNothingOfOneAnother) {
    node a{"a", quiet(1)}, b{"b", quiet(2)}, c{"c", quiet(1)};
    int i = 0;
    for (node* n : {&a, &b, &c})
        ASSERT_TRUE(n->start(supervisor_spec{}.add(child("it", spread, answers, ++i))));
    i = 0;
    for (node* n : {&a, &b, &c}) EXPECT_EQ(*n->ask<number>(*n->resolve<simple>("it"), 60s), ++i);
    EXPECT_EQ(a.resolve<simple>("/b/it").error(), errc::unreachable);
    const ref<simple> of_b = *b.resolve<simple>("it");
    play(
        a,
        [](actor<anything> self, ref<simple> to) -> task<> {
            EXPECT_EQ(self.send<poke>(to), errc::unreachable);
            EXPECT_EQ((co_await self.ask<number>(to, 60s)).error(), errc::unreachable);
        },
        of_b);
    b.stop();
    EXPECT_TRUE(b.wait().is_clean());
    EXPECT_EQ(*c.ask<number>(*c.resolve<simple>("it"), 60s), 3);
}

TEST(NodeRun, OneAfterTheOtherWithTheSameNamesIsANewTreeEachTime) {
    ref<simple> old;
    for (int i = 0; i < 20; ++i) {
        node n{"app", quiet(1)};
        ASSERT_TRUE(n.start(supervisor_spec{}.add(child("it", in_coroutine, answers, i))));
        EXPECT_EQ(*n.ask<number>(*n.resolve<simple>("it"), 60s), i);
        if (i > 0) EXPECT_EQ(n.send<poke>(old), errc::down);
        old = *n.resolve<simple>("it");
    }
}

// A ref that is kept beyond its node must not come to mean an actor of a later one, however often its slot was used.
TEST(NodeRun, OneAfterTheOtherNeverHandsOutAnIdTwice) {
    std::set<detail::actor_id> seen;
    for (int n = 0; n < 3; ++n) {
        node where{"app", quiet(1)};
        ASSERT_TRUE(where.start(supervisor_spec{}));
        play(
            where,
            [](actor<anything> self, std::set<detail::actor_id>* all) -> task<> {
                EXPECT_TRUE(all->insert(self.me().id()).second);
                for (int i = 0; i < 10'000; ++i) {
                    const auto who = self.spawn(returns_at_once);
                    EXPECT_TRUE(all->insert(who.id()).second) << "id of an earlier actor, at spawn " << i;
                    if (i % 64 == 0)
                        co_await self.sleep(1ns);  // so that they end, and their slots are used again
                }
            },
            &seen);
    }
}

TEST(NodeRun, ItsDestructorEndsARunningTree) {
    auto held = std::make_shared<int>(0);
    {
        node n{"app", quiet(2)};
        supervisor_spec spec;
        for (int i = 0; i < 50; ++i)
            spec.add(child(
                "it" + std::to_string(i), i % 10 == 0 ? carrier{in_thread} : carrier{spread},
                [](actor<simple> self, std::shared_ptr<int>) -> task<> {
                    while (auto m = co_await self.receive()) {
                    }
                },
                held));
        ASSERT_TRUE(n.start(std::move(spec)));
        EXPECT_GT(held.use_count(), 50);
    }
    EXPECT_EQ(held.use_count(), 1);
}

TEST(NodeRun, CanBeDestroyedUnstarted) { const node n{"app", quiet(1)}; }

TEST(NodeRun, AnAskAfterTheEndIsAnsweredAtOnce) {
    node n{"app", quiet(1)};
    ASSERT_TRUE(n.start(supervisor_spec{}.add(child("it", in_coroutine, answers, 1))));
    const ref<simple> it = *n.resolve<simple>("it");
    n.stop();
    EXPECT_TRUE(n.wait().is_clean());
    EXPECT_FALSE(n.ask<number>(it, 1h));
    EXPECT_EQ(n.send<poke>(it), errc::down);
    EXPECT_EQ(n.resolve<simple>("it").error(), errc::not_found);
}

task<> asks_by_the_node(actor<simple> self, node* n, std::shared_ptr<std::promise<errc>> told) {
    auto answer = n->ask<number>(self.me(), 1h);
    told->set_value(answer ? errc::ok : answer.error().code());
    co_return;
}

TEST(NodeRun, ABlockingAskOnAnActorsThreadIsRefused) {
    node n{"app", quiet(1)};
    auto told = std::make_shared<std::promise<errc>>();
    ASSERT_TRUE(
        n.start(supervisor_spec{}.add(last_of(child("it", in_coroutine, asks_by_the_node, &n, told)))));
    EXPECT_EQ(told->get_future().get(), errc::deadlock);
}

// ---------------------------------------------------------------- rest

task<> only_waits(actor<simple> self) {
    while (auto m = co_await self.receive()) {
    }
}
task<> spawns_idle(actor<simple> self, int many, std::shared_ptr<std::promise<void>> done) {
    for (int i = 0; i < many; ++i) self.spawn(only_waits);
    co_await self.yield();
    done->set_value();
    while (auto m = co_await self.receive()) {
    }
}

long switches_of_this_process() {
    rusage u{};
    ::getrusage(RUSAGE_SELF, &u);
    return u.ru_nvcsw + u.ru_nivcsw;
}

TEST(NodeRun, SleepsWhenTenThousandActorsHaveNothingToDo) {
    node n{"app", quiet(4)};
    supervisor_spec spec;
    std::vector<std::future<void>> ready;
    for (std::uint32_t i = 0; i < 4; ++i) {
        auto done = std::make_shared<std::promise<void>>();
        ready.push_back(done->get_future());
        spec.add(child("p" + std::to_string(i), on_scheduler(i), spawns_idle, 2'500, done));
    }
    spec.add(child("t", in_thread, only_waits));
    ASSERT_TRUE(n.start(std::move(spec)));
    for (auto& r : ready) r.wait();
    ASSERT_EQ(n.wait_for(50ms).error(), errc::timeout);  // the last of them comes to rest
    const long before = switches_of_this_process();
    ASSERT_EQ(n.wait_for(1s).error(), errc::timeout);
    EXPECT_LT(switches_of_this_process() - before, 200);
}

}  // namespace
}  // namespace coppice::tests
