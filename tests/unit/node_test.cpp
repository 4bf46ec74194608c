// A node in threads: talking to it from ordinary threads, inspect, its log, its end.

#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <mutex>

#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

#include "support/play.hpp"
#include "support/seeds.hpp"

namespace coppice::tests {
namespace {

struct add {
    std::uint64_t amount = 0;
};
struct total {
    using reply = std::uint64_t;
};
struct say {
    std::string text;
};
struct block {
    std::shared_future<void> until;
};
using counter_protocol = protocol<add, total>;

task<> counter(actor<counter_protocol> self) {
    std::uint64_t sum = 0;
    while (auto m = co_await self.receive())
        m.match([&](const add& a) { sum += a.amount; }, [&](request<total> r) { r.reply(sum); });
}

supervisor_spec counters(std::uint32_t n) {
    supervisor_spec spec;
    for (std::uint32_t i = 0; i < n; ++i)
        spec.add(child("counter" + std::to_string(i), on_scheduler(i), counter));
    return spec;
}

TEST(Node, IsTalkedToFromManyOrdinaryThreads) {
    node where{"app", quiet(2)};
    ASSERT_TRUE(where.start(counters(2)));
    constexpr int threads = 8;
    constexpr int each = 2000;
    std::vector<std::thread> all;
    for (int t = 0; t < threads; ++t) {
        all.emplace_back([&where, t] {
            auto to = where.resolve<counter_protocol>("counter" + std::to_string(t % 2));
            ASSERT_TRUE(to);
            for (int i = 0; i < each; ++i) {
                while (where.send<add>(*to, std::uint64_t{1}) == errc::mailbox_full)
                    std::this_thread::yield();
                if (i % 100 == 0) {
                    auto sum = where.ask<total>(*to, 60s);
                    ASSERT_TRUE(sum) << sum.error().what();
                    EXPECT_GE(*sum, static_cast<std::uint64_t>(i + 1))
                        << "what this thread sent before is counted";
                }
            }
        });
    }
    for (auto& t : all) t.join();
    for (int i = 0; i < 2; ++i) {
        auto sum = where.ask<total>(*where.resolve<counter_protocol>("counter" + std::to_string(i)), 60s);
        ASSERT_TRUE(sum);
        EXPECT_EQ(*sum, static_cast<std::uint64_t>(threads / 2 * each));
    }
}

TEST(Node, AskFromAnActorsThreadFailsWithDeadlock) {
    node where{"app", quiet(1)};
    ASSERT_TRUE(where.start(counters(1)));
    play(
        where,
        [](actor<anything> self, node* n) -> task<> {
            auto to = *co_await self.resolve<counter_protocol>("counter0");
            auto answer = n->ask<total>(to, 60s);
            EXPECT_EQ(answer.error(), errc::deadlock);
            EXPECT_NE(answer.error().text().find("self.ask"), std::string_view::npos) << "says what to use";
        },
        &where);
}

TEST(Node, AskFromAThreadTellsEveryFailure) {
    node where{"app", quiet(2)};
    supervisor_spec spec = counters(1);
    spec.add(child("mute", on_scheduler(1), [](actor<counter_protocol> self) -> task<> {
        std::vector<request<total>> held;
        while (auto m = co_await self.receive())
            if (auto r = m.take<total>()) held.push_back(std::move(r));
    }));
    ASSERT_TRUE(where.start(std::move(spec)));
    EXPECT_EQ(where.resolve<counter_protocol>("none").error(), errc::not_found);
    struct unknown {
        using reply = int;
    };
    auto to = *where.resolve<counter_protocol>("counter0");
    EXPECT_EQ(where.ask<unknown>(to.assume<protocol<unknown>>(), 60s).error(), errc::no_handler);
    EXPECT_EQ(where.ask<total>(*where.resolve<counter_protocol>("mute"), 10ms).error(), errc::timeout);
    EXPECT_EQ(where.ask<total>(ref<counter_protocol>{}, 60s).error(), errc::down);
    where.stop();
    where.wait();
    EXPECT_EQ(where.ask<total>(to, 60s).error(), errc::stopping) << "after the tree's end";
    EXPECT_EQ(where.send<add>(to, std::uint64_t{1}), errc::down);
}

TEST(Node, RunsTwoAtOnceEachWithItsOwnNames) {
    node one{"app", quiet(1)};
    node two{"app", quiet(2)};
    ASSERT_TRUE(one.start(counters(1)));
    ASSERT_TRUE(two.start(counters(1)));
    one.send<add>(*one.resolve<counter_protocol>("counter0"), std::uint64_t{1});
    two.send<add>(*two.resolve<counter_protocol>("counter0"), std::uint64_t{2});
    EXPECT_EQ(one.ask<total>(*one.resolve<counter_protocol>("counter0"), 60s).value(), 1u);
    EXPECT_EQ(two.ask<total>(*two.resolve<counter_protocol>("counter0"), 60s).value(), 2u);
}

TEST(Node, AChildThatDoesNotStartIsToldToTheStarter) {
    node where{"app", quiet(1)};
    supervisor_spec spec;
    spec.add(child("faulty", in_coroutine, [](actor<protocol<>>) -> task<> {
                 throw std::runtime_error{"no licence"};
                 co_return;
             }).awaits_ready());
    auto started = where.start(std::move(spec));
    EXPECT_EQ(started.error(), errc::start_failed);
    EXPECT_NE(started.error().text().find("no licence"), std::string_view::npos) << started.error().what();
}

TEST(Node, InspectShowsTheRunningTree) {
    node where{"app", quiet(2)};
    ASSERT_TRUE(where.start(counters(2)));
    where.send<add>(*where.resolve<counter_protocol>("counter1"), std::uint64_t{1});
    EXPECT_TRUE(where.ask<total>(*where.resolve<counter_protocol>("counter1"), 60s));
    const node_info info = where.inspect(60s);
    EXPECT_EQ(info.name, "app");
    ASSERT_EQ(info.schedulers.size(), 2u);
    for (const auto& s : info.schedulers) EXPECT_TRUE(s.answered);
    const actor_info* seen = info.find("/app/counter1");
    ASSERT_NE(seen, nullptr);
    EXPECT_EQ(seen->parent, "/app");
    EXPECT_EQ(seen->carrier, "coroutine on scheduler 1");
    EXPECT_EQ(seen->state, "receiving");
    EXPECT_EQ(seen->received, 2u);
    EXPECT_EQ(seen->in_hand, message_name<total>);
    EXPECT_EQ(seen->depth.normal, 0u);
    EXPECT_NE(info.tree().find("counter0"), std::string::npos);
    EXPECT_TRUE(info.find("/app")->is_supervisor);
}

TEST(Node, InspectNamesTheHandlerOfASchedulerThatDoesNotAnswer) {
    node where{"app", quiet(2)};
    supervisor_spec spec = counters(1);
    std::promise<void> release;
    std::promise<void> blocked;
    spec.add(child(
        "blocker", on_scheduler(1),
        [](actor<protocol<block>> self, std::promise<void>* told) -> task<> {
            while (auto m = co_await self.receive()) {
                told->set_value();
                m.get_if<block>()->until.wait();  // what an actor must not do
            }
        },
        &blocked));
    ASSERT_TRUE(where.start(std::move(spec)));
    where.send<block>(*where.resolve<protocol<block>>("blocker"), release.get_future().share());
    blocked.get_future().wait();
    const node_info info = where.inspect(50ms);
    release.set_value();
    ASSERT_EQ(info.schedulers.size(), 2u);
    EXPECT_TRUE(info.schedulers[0].answered);
    EXPECT_FALSE(info.schedulers[1].answered);
    EXPECT_EQ(info.schedulers[1].running, "/app/blocker");
    EXPECT_GE(info.schedulers[1].handler_age, 50ms);
    EXPECT_NE(info.find("/app/counter0"), nullptr) << "the others are shown";
    const node_info after = where.inspect(60s);
    EXPECT_TRUE(after.schedulers[1].answered);
}

TEST(Node, AskOfABlockedNodeEndsByItsDeadline) {
    node where{"app", quiet(1)};
    std::promise<void> release;
    std::promise<void> blocked;
    supervisor_spec spec = counters(1);
    spec.add(child(
        "blocker", in_coroutine,
        [](actor<protocol<block>> self, std::promise<void>* told) -> task<> {
            while (auto m = co_await self.receive()) {
                told->set_value();
                m.get_if<block>()->until.wait();
            }
        },
        &blocked));
    ASSERT_TRUE(where.start(std::move(spec)));
    auto to = *where.resolve<counter_protocol>("counter0");
    where.send<block>(*where.resolve<protocol<block>>("blocker"), release.get_future().share());
    blocked.get_future().wait();
    EXPECT_EQ(where.ask<total>(to, 10ms).error(), errc::timeout);
    release.set_value();
    EXPECT_TRUE(where.ask<total>(to, 60s));
}

TEST(Node, DeadLettersAreCountedAndNamed) {
    for_each_seed(20, [](testing::world& world) {
        ASSERT_TRUE(world.start(supervisor_spec{}));
        play(world, [](actor<anything> self) -> task<> {
            auto made = co_await self.start(child("gone", in_coroutine, counter));
            auto gone = made.value().assume<counter_protocol>();
            self.monitor(gone);
            self.stop(gone);
            REQUIRE_OR_END(co_await self.receive(10s));
            co_await self.sleep(1ms);
            for (int i = 0; i < 3; ++i) EXPECT_EQ(self.send<add>(gone, std::uint64_t{1}), errc::down);
        });
        const node_info info = world.inspect();
        EXPECT_EQ(info.dead_letter_count, 3u);
        ASSERT_EQ(info.dead_letters.size(), 3u);
        EXPECT_EQ(info.dead_letters[0].message, message_name<add>);
        EXPECT_TRUE(info.dead_letters[0].target.ends_with("/gone")) << info.dead_letters[0].target;
        EXPECT_TRUE(info.dead_letters[0].sender.starts_with("/app/")) << info.dead_letters[0].sender;
        EXPECT_EQ(info.dead_letters[0].reason, errc::down);
    });
}

TEST(Node, DeadLettersBeyondTheLimitRemainInTheCounters) {
    for_each_seed(1, [](testing::world& world) {
        ASSERT_TRUE(world.start(supervisor_spec{}));
        play(world, [](actor<anything> self) -> task<> {
            for (int i = 0; i < 10'000; ++i)
                static_cast<void>(self.send<add>(ref<counter_protocol>{}, std::uint64_t{1}));
            co_return;
        });
        const node_info info = world.inspect();
        EXPECT_EQ(info.dead_letter_count, 10'000u);
        EXPECT_EQ(info.dead_letters.size(), limits::dead_letters_kept);
    });
}

// ---- the log

struct lines {
    std::mutex mutex;
    std::vector<std::string> all;
    std::function<void(level, std::string_view, std::string_view)> hook() {
        return [this](level l, std::string_view path, std::string_view text) {
            const std::lock_guard lock{mutex};
            all.push_back(std::string{to_string(l)} + "|" + std::string{path} + "|" + std::string{text});
        };
    }
    std::vector<std::string> of(std::string_view path) {
        const std::lock_guard lock{mutex};
        std::vector<std::string> found;
        for (const auto& line : all)
            if (line.find("|" + std::string{path} + "|") != std::string::npos) found.push_back(line);
        return found;
    }
};

task<> talker(actor<protocol<say, total>> self) {
    while (auto m = co_await self.receive())
        m.match(
            [&](const say& s) {
                self.log.trace("{}", s.text);
                self.log.debug("{}", s.text);
                self.log.info("{}", s.text);
                self.log.warn("{}", s.text);
            },
            [&](request<total> r) { r.reply(std::uint64_t{0}); });
}

// A thread of the program's keeps what it has recycled for as long as it lives.
TEST(Node, TakesNothingForLeftThatRestsWithAThreadWhichHasUsedIt) {
    lines seen;
    std::promise<void> used, over;
    std::thread user;
    {
        node_options options = quiet(1);
        options.log_hook = seen.hook();
        node where{"app", options};
        supervisor_spec spec;
        spec.add(child("talker", in_coroutine, talker));
        ASSERT_TRUE(where.start(std::move(spec)));
        user = std::thread{[&] {
            const auto to = *where.resolve<protocol<say, total>>("talker");
            for (int i = 0; i < 200; ++i) EXPECT_TRUE(where.ask<total>(to, 60s));
            used.set_value();
            over.get_future().wait();
        }};
        used.get_future().wait();
    }
    over.set_value();
    user.join();
    for (const std::string& line : seen.of("/app"))
        EXPECT_EQ(line.find("are left"), std::string::npos) << line;
}

TEST(Log, ARecordCarriesItsActorsPathOnceAndLevelsAreSetPerSubtree) {
    lines seen;
    {
        node_options options = quiet(1);
        options.level = level::warn;
        options.levels = {{"/app/loud", level::debug}};
        options.log_hook = seen.hook();
        node where{"app", options};
        supervisor_spec inner;
        inner.add(child("leaf", in_coroutine, talker));
        supervisor_spec spec;
        spec.add(supervisor("loud", inner)).add(supervisor("quiet", inner));
        ASSERT_TRUE(where.start(std::move(spec)));
        using talking = protocol<say, total>;
        auto loud = *where.resolve<talking>("loud/leaf");
        auto still = *where.resolve<talking>("quiet/leaf");
        const auto speak = [&](const char* text) {
            where.send<say>(loud, text);
            where.send<say>(still, text);
            EXPECT_TRUE(where.ask<total>(loud, 60s) && where.ask<total>(still, 60s));
        };
        speak("one");
        where.set_level("/app/quiet", level::info);
        where.set_level("/app/loud/leaf", level::off);
        speak("two");
        EXPECT_EQ(seen.of("/app/loud/leaf"),
                  (std::vector<std::string>{"debug|/app/loud/leaf|one", "info|/app/loud/leaf|one",
                                            "warn|/app/loud/leaf|one"}));
        EXPECT_EQ(seen.of("/app/quiet/leaf"),
                  (std::vector<std::string>{"warn|/app/quiet/leaf|one", "info|/app/quiet/leaf|two",
                                            "warn|/app/quiet/leaf|two"}));
    }
}

struct folder {
    std::filesystem::path path;
    folder() : path{std::filesystem::temp_directory_path() / ("coppice_log_" + std::to_string(::getpid()))} {
        std::filesystem::remove_all(path);
        std::filesystem::create_directories(path);
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    ~folder() { std::filesystem::remove_all(path); }
};

TEST(Log, GoesToAFileThatRotatesAndEveryLineIsWhole) {
    const folder here;
    {
        node_options options = quiet(2);
        options.log_file = (here.path / "app.log").string();
        options.log_file_bytes = 4096;
        options.log_files = 3;
        node where{"app", options};
        supervisor_spec spec;
        for (std::uint32_t i = 0; i < 2; ++i)
            spec.add(child("t" + std::to_string(i), on_scheduler(i), talker));
        ASSERT_TRUE(where.start(std::move(spec)));
        using talking = protocol<say, total>;
        for (int i = 0; i < 100; ++i)
            for (const char* name : {"t0", "t1"})
                where.send<say>(*where.resolve<talking>(name), std::string(50, 'x') + "\nsecond line");
        for (const char* name : {"t0", "t1"})
            EXPECT_TRUE(where.ask<total>(*where.resolve<talking>(name), 60s));
    }
    std::size_t files = 0;
    std::size_t read = 0;
    for (const auto& file : std::filesystem::directory_iterator(here.path)) {
        ++files;
        EXPECT_LE(std::filesystem::file_size(file.path()), 4096u + 200u);
        std::ifstream in{file.path()};
        for (std::string line; std::getline(in, line); ++read) {
            EXPECT_NE(line.find(" /app/t"), std::string::npos) << line;
            EXPECT_TRUE(line.ends_with("x\\nsecond line")) << line;
        }
    }
    EXPECT_EQ(files, 4u) << "the current one and the three before it";
    EXPECT_GT(read, 30u);
}

TEST(Log, AFileThatCannotBeOpenedIsAnErrorOfTheStart) {
    node_options options = quiet(1);
    options.log_file = "/proc/no/such/folder/app.log";
    node where{"app", options};
    auto started = where.start(supervisor_spec{});
    EXPECT_EQ(started.error(), errc::io);
    EXPECT_NE(started.error().text().find("app.log"), std::string_view::npos) << started.error().what();
}

}  // namespace
}  // namespace coppice::tests
