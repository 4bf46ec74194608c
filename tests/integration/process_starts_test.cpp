// Starts of process children that fail, each with a typed error for the starter; other programs as children; limits; and what
// children write and log.
#include <sys/stat.h>

#include <atomic>
#include <fstream>

#include "process_actors.hpp"

namespace coppice::tests::carried {

namespace {

struct secret {
    using local_only = void;
    std::string key;
};

task<> takes_a_secret(actor<protocol<get>> self, secret) {
    while (co_await self.receive()) {
    }
}
task<> throws_at_once(actor<protocol<get>>) {
    throw std::runtime_error{"no camera there"};
    co_return;
}
task<> leaves_at_once(actor<protocol<get>>) {
    ::_exit(7);
    co_return;
}
task<> is_never_ready(actor<protocol<get>> self) {
    while (co_await self.receive()) {
    }
}

TEST_F(InProcesses, StartsThatFailAreTypedErrorsOfTheStarter) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    const std::string plain = left_.run_directory().path("plain");
    std::ofstream{plain} << "no program\n";
    ::chmod(plain.c_str(), 0644);
    play(
        n,
        [](actor<anything> self, std::string file) -> task<> {
            const auto missing = co_await self.start(child("a", in_process("/no/such/program")));
            EXPECT_EQ(missing.error().code(), errc::not_found) << missing.error().what();
            EXPECT_THAT(missing.error().what(), ::testing::HasSubstr("/no/such/program"));
            const auto unfit = co_await self.start(child("b", in_process(file)));
            EXPECT_EQ(unfit.error().code(), errc::denied) << unfit.error().what();
            const auto nowhere =
                co_await self.start(child("c", in_process("/bin/true").in_directory("/no/such/directory")));
            EXPECT_EQ(nowhere.error().code(), errc::not_found) << nowhere.error().what();
            const auto early = co_await self.start(child("d", in_process("/bin/true")));
            EXPECT_FALSE(early);
            EXPECT_THAT(early.error().what(), ::testing::HasSubstr("exit code 0"));
            const auto left = co_await self.start(child("e", in_process, leaves_at_once));
            EXPECT_FALSE(left);
            EXPECT_THAT(left.error().what(), ::testing::HasSubstr("exit code 7"));
            const auto thrown = co_await self.start(child("f", in_process, throws_at_once));
            EXPECT_FALSE(thrown);
            EXPECT_THAT(thrown.error().what(), ::testing::HasSubstr("no camera there"));
            const auto late = co_await self.start(child("g", in_process, is_never_ready).awaits_ready(100ms));
            EXPECT_EQ(late.error().code(), errc::start_failed) << late.error().what();
            const auto local = co_await self.start(child("h", in_process, takes_a_secret, secret{"x"}));
            EXPECT_EQ(local.error().code(), errc::not_portable) << local.error().what();
            const auto limited = co_await self.start(
                child("i", process_carrier{}.limited({.files = 1ull << 40}), worker, std::uint64_t{0}));
            EXPECT_EQ(limited.error().code(), errc::denied) << limited.error().what();
            const auto over =
                co_await self.start(child("j", in_process.over("pigeon"), worker, std::uint64_t{0}));
            EXPECT_FALSE(over);
        },
        plain);
    std::filesystem::remove(plain);
}

TEST_F(InProcesses, LimitsHoldInTheProcess) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(n, [](actor<anything> self) -> task<> {
        process_carrier how;
        how.niceness(7).on_cpus({0}).limited({.files = 100, .core_bytes = 0});
        const auto made = co_await self.start(child("w", how, worker, std::uint64_t{0}));
        EXPECT_TRUE(made) << made.error().what();
        if (!made) co_return;
        const ref<worker_protocol> w{*made};
        const auto there = co_await self.ask<limits_here>(w, 10s);
        EXPECT_TRUE(there);
        if (there) EXPECT_THAT(*there, ::testing::ElementsAre(7, 1, 100, 0));
    });
}

TEST_F(InProcesses, W2ArgumentsOfAnotherProgramArriveIdentical) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start({}));
    play(n, [](actor<anything> self) -> task<> {
        const std::vector<std::string> arguments{
            "two words", "",         "\"quoted\" 'twice'", "a\nline", "$HOME `id` \\",
            "-x",        "\xc3\xa4", "\xff\x01",           ""};
        std::vector<std::string> all{std::string{as_program}};
        all.insert(all.end(), arguments.begin(), arguments.end());
        const auto made = co_await self.start(child("p", in_process("/proc/self/exe", all)));
        EXPECT_TRUE(made) << made.error().what();
        if (!made) co_return;
        const auto p = co_await self.resolve<program_protocol>(self.path() + "/p");
        EXPECT_TRUE(p) << p.error().what();
        if (!p) co_return;
        const auto there = co_await self.ask<arguments_there>(*p, 10s);
        EXPECT_TRUE(there && *there == arguments) << there.error().what();
    });
}

constexpr std::uint32_t written = 100 * 1024;  // lines of 1 KiB

TEST_F(InProcesses, W2AChildThatWrites100MiBDoesNotStall) {
    std::atomic<std::uint64_t> lines{0};
    node_options o = quiet(2);
    o.log_hook = [&](level, std::string_view, std::string_view text) {
        if (text.starts_with(output_line) && text.size() == 1023) ++lines;
    };
    {
        node n{"app", o};
        ASSERT_TRUE(n.start({}));
        play(n, [](actor<anything> self) -> task<> {
            const auto made =
                co_await self.start(child("w", in_process, worker, std::uint64_t{0}).heartbeat(1s, 1'000));
            EXPECT_TRUE(made) << made.error().what();
            if (!made) co_return;
            const ref<worker_protocol> w{*made};
            EXPECT_TRUE(co_await self.ask<flood_output>(w, 10min, written));
        });
    }
    EXPECT_EQ(lines, written);
}

// Ctrl-C goes to all processes of a terminal. The root ends the tree in order.
TEST_F(InProcesses, LeaveTheInterruptOfATerminalToTheRoot) {
    node n{"app", quiet(2)};
    ASSERT_TRUE(n.start(std::move(supervisor_spec{}.add(child("w", in_process, worker, std::uint64_t{0})))));
    std::uint32_t pid = 0;
    play(
        n,
        [](actor<anything> self, std::uint32_t* at) -> task<> { *at = co_await process_at(self, "/app/w"); },
        &pid);
    std::ifstream status{"/proc/" + std::to_string(pid) + "/status"};
    std::uint64_t ignored = 0;
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("SigIgn:")) ignored = std::stoull(line.substr(7), nullptr, 16);
    EXPECT_TRUE(ignored & std::uint64_t{1} << (SIGINT - 1));
    EXPECT_FALSE(ignored & std::uint64_t{1} << (SIGTERM - 1));
}

TEST_F(InProcesses, TwoHundredAtOnce) {
    node n{"app", quiet(2)};
    supervisor_spec spec;
    for (int i = 0; i < 200; ++i)
        spec.add(child("w" + std::to_string(i), in_process, worker, std::uint64_t{0}));
    const auto started = n.start(std::move(spec));
    ASSERT_TRUE(started) << started.error().what();
    EXPECT_EQ(left_.processes().size(), 200u);
}

TEST_F(InProcesses, W18LastWordsBeforeACrashArriveAndAGrandchildsLinesAreTaggedOnce) {
    own_directory place;
    node_options o = quiet(2);
    o.log_file = place.path("log");
    {
        node n{"app", o};
        supervisor_spec below;
        below.intensity(100, 1s).add(child("leaf", in_process, worker, std::uint64_t{0}));
        ASSERT_TRUE(n.start(std::move(supervisor_spec{}.add(supervisor("sub", below, in_process)))));
        play(n, [](actor<anything> self) -> task<> {
            const auto w = co_await self.resolve<worker_protocol>("/app/sub/leaf");
            REQUIRE_OR_END(w);
            EXPECT_TRUE(co_await self.ask<flood_log>(*w, 30s, 200u));
            const auto pid = co_await process_at(self, "/app/sub/leaf");
            EXPECT_EQ(self.send<crash>(*w, "my last words"), errc::ok);
            while (co_await process_at(self, "/app/sub/leaf") == pid) co_await self.sleep(1ms);
        });
    }
    std::ifstream in{o.log_file};
    int words = 0;
    std::uint32_t next = 0;
    for (std::string line; std::getline(in, line);) {
        if (line.find("my last words") != std::string::npos) ++words;
        if (line.find("flood ") == std::string::npos) continue;
        EXPECT_THAT(line, ::testing::ContainsRegex("/app/sub/leaf\\[[0-9]+\\] flood " + std::to_string(next) +
                                                   " of 200$"));
        ++next;
    }
    EXPECT_EQ(words, 1);
    EXPECT_EQ(next, 200u);
}

}  // namespace

}  // namespace coppice::tests::carried
