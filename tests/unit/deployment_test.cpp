// Deployment files: every key, every kind of mistake with its place, what changes in a tree, and which of file,
// environment and command line wins. The page docs/deployment.md is held against the keys that the reader knows.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/own_directory.hpp"
#include "../support/play.hpp"
#include "../support/seeds.hpp"
#include "coppice/coppice.hpp"
#include "coppice/deployment.hpp"
#include "deployment_keys.hpp"
#include "node_core.hpp"
#include "units.hpp"

namespace coppice::tests {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;
using ::testing::StartsWith;

// What is wrong with a file; empty if nothing is.
std::string wrong(std::string_view text) {
    const auto read = parse_deployment(text, "app.toml");
    if (read) return {};
    EXPECT_EQ(read.error(), errc::invalid_argument);
    return std::string{read.error().text()};
}

deployment right(std::string_view text, std::string file = "/etc/app/app.toml") {
    return parse_deployment(text, std::move(file)).value();
}

std::string contents(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    EXPECT_TRUE(file) << path;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::string written(const own_directory& in, const std::string& name, std::string_view text) {
    std::ofstream{in.path(name), std::ios::binary} << text;
    return in.path(name);
}

using options = std::vector<std::pair<std::string, std::string>>;

options options_of(const deployment& d) {
    options all;
    for (const deployment_option& o : d.options) all.emplace_back(o.name, o.value);
    return all;
}

// ---------------------------------------------------------------- every key

TEST(Deployment, AnEmptyFileChangesNothing) {
    const deployment d = right("");
    EXPECT_FALSE(d.name);
    EXPECT_TRUE(d.options.empty());
    EXPECT_TRUE(d.actors.empty());
}

TEST(Deployment, OptionsOfTheNodeBecomeThoseOfTheCommandLine) {
    EXPECT_THAT(options_of(right(R"(
[node]
schedulers = 2
poll-us = 0
mailbox = 100
listen = ["tcp://127.0.0.1:0", "unix:///run/app.sock"]
connect = "tcp://127.0.0.1:4711"
children = ["unix://a", "unix://b"]
parent = "unix:///run/parent.sock"
allow = ["a", "b"]
hold-ms = 5000
linger-ms = 0
shortcuts = false
offload-threads = 3
secret = { file = "secret.txt" }
)")),
                ElementsAre(Pair("schedulers", "2"), Pair("poll-us", "0"), Pair("mailbox", "100"),
                            Pair("listen", "tcp://127.0.0.1:0,unix:///run/app.sock"),
                            Pair("connect", "tcp://127.0.0.1:4711"), Pair("children", "unix://a,unix://b"),
                            Pair("parent", "unix:///run/parent.sock"), Pair("allow", "a,b"),
                            Pair("hold-ms", "5000"), Pair("linger-ms", "0"), Pair("shortcuts", "off"),
                            Pair("offload-threads", "3"), Pair("secret-file", "/etc/app/secret.txt")));
    EXPECT_THAT(options_of(right("node.secret.env = 'APP_SECRET'")),
                ElementsAre(Pair("secret-env", "APP_SECRET")));
}

TEST(Deployment, OptionsOfTheLogBecomeThoseOfTheCommandLine) {
    EXPECT_THAT(options_of(right(R"(
[log]
level = "warn"
levels = { "/app/disk" = "debug", "/app/net" = "off" }
terminal = true
format = "json"
file = "logs/../app.log"
file-bytes = "10MiB"
files = 3
)")),
                ElementsAre(Pair("log-level", "warn"), Pair("log-levels", "/app/disk=debug,/app/net=off"),
                            Pair("log-terminal", "on"), Pair("log-format", "json"),
                            Pair("log-file", "/etc/app/app.log"), Pair("log-file-bytes", "10485760"),
                            Pair("log-files", "3")));
    EXPECT_THAT(options_of(right("log.file = '/var/log/app.log'")),
                ElementsAre(Pair("log-file", "/var/log/app.log")));
}

TEST(Deployment, ReadsTheSupervisorOfTheRoot) {
    const deployment d = right(R"(
name = "app"
[supervisor]
strategy = "rest_for_one"
restarts = 7
window = "1m30s"
backoff = { first = "100ms", most = "5s", jitter = 0.5 }
)");
    EXPECT_EQ(d.name, "app");
    EXPECT_EQ(d.root.strategy, strategy::rest_for_one);
    EXPECT_EQ(d.root.restarts, 7u);
    EXPECT_EQ(d.root.window, 90s);
    EXPECT_EQ(d.root.backoff_first, 100ms);
    EXPECT_EQ(d.root.backoff_most, 5s);
    EXPECT_EQ(d.root.jitter, 0.5);
    EXPECT_EQ(right("supervisor.backoff.jitter = 1").root.jitter, 1.0);
}

TEST(Deployment, ReadsAllThatAnActorMayHave) {
    const deployment d = right(R"(
[[actor]]
path = "/app/vision"
carrier = "process"
program = "bin/vision"
arguments = ["--camera", "0"]
directory = "data"
environment = { B = "2", A = "" }
over = "shm?ring=1MiB"
on = "hostb"
nice = -5
cpus = [0, 3]
limits = { memory = "1GiB", files = 256, cpu-seconds = 10, core-bytes = 0, processes = 11 }
heartbeat = { period = "500ms", misses = 4, silent = "report", stuck = "wait" }
restart = "transient"
shutdown = "2s"
mailbox = 1024
overflow = "keep-latest"
significant = true
ready-within = "5s"

[[actor]]
path = "/app/disk"
carrier = "thread"
priority = "high"

[[actor]]
path = "/app/io"
scheduler = 1
supervisor = { strategy = "dynamic", restarts = 1, window = "2s", backoff = { first = "1s" } }
)");
    ASSERT_EQ(d.actors.size(), 3u);
    const actor_changes& a = d.actors[0];
    EXPECT_EQ(a.path, "/app/vision");
    EXPECT_EQ(a.at, (file_place{3, 8}));
    EXPECT_EQ(a.carrier, carrier_kind::process);
    EXPECT_EQ(a.program, "/etc/app/bin/vision");
    EXPECT_EQ(a.arguments, (std::vector<std::string>{"--camera", "0"}));
    EXPECT_EQ(a.directory, "/etc/app/data");
    EXPECT_THAT(a.environment, ElementsAre(Pair("B", "2"), Pair("A", "")));
    EXPECT_EQ(a.over, "shm?ring=1MiB");
    EXPECT_EQ(a.on, "hostb");
    EXPECT_EQ(a.nice, -5);
    EXPECT_EQ(a.cpus, (std::vector<std::uint32_t>{0, 3}));
    EXPECT_EQ(a.limits.memory, 1u << 30);
    EXPECT_EQ(a.limits.files, 256u);
    EXPECT_EQ(a.limits.cpu_seconds, 10u);
    EXPECT_EQ(a.limits.core_bytes, 0u);
    EXPECT_EQ(a.limits.processes, 11u);
    EXPECT_EQ(a.period, 500ms);
    EXPECT_EQ(a.misses, 4u);
    EXPECT_EQ(a.silent, reaction::report);
    EXPECT_EQ(a.stuck, reaction::wait);
    EXPECT_EQ(a.restart, restart::transient);
    EXPECT_EQ(a.shutdown, 2s);
    EXPECT_EQ(a.mailbox, 1024u);
    EXPECT_EQ(a.overflow, overflow::keep_latest);
    EXPECT_EQ(a.significant, true);
    EXPECT_EQ(a.ready_within, 5s);
    EXPECT_EQ(d.actors[1].carrier, carrier_kind::thread);
    EXPECT_EQ(d.actors[1].priority, priority::high);
    EXPECT_EQ(d.actors[2].carrier, std::nullopt);
    EXPECT_EQ(d.actors[2].scheduler, 1u);
    ASSERT_TRUE(d.actors[2].supervisor);
    EXPECT_EQ(d.actors[2].supervisor->strategy, strategy::dynamic);
    EXPECT_EQ(d.actors[2].supervisor->restarts, 1u);
    EXPECT_EQ(d.actors[2].supervisor->backoff_first, 1s);
}

TEST(Deployment, ReadsEachWordOfEachChoice) {
    const auto entry = [](const std::string& line) {
        return right("[[actor]]\npath = '/app/a'\n" + line).actors.at(0);
    };
    EXPECT_EQ(entry("carrier = 'coroutine'").carrier, carrier_kind::coroutine);
    EXPECT_EQ(entry("scheduler = 'spread'").scheduler, spread.scheduler);
    EXPECT_EQ(entry("scheduler = 'parent'").scheduler, in_coroutine.scheduler);
    EXPECT_EQ(entry("priority = 'idle'").priority, priority::idle);
    EXPECT_EQ(entry("priority = 'low'").priority, priority::low);
    EXPECT_EQ(entry("priority = 'normal'").priority, priority::normal);
    EXPECT_EQ(entry("priority = 'realtime'").priority, priority::realtime);
    EXPECT_EQ(entry("restart = 'permanent'").restart, restart::permanent);
    EXPECT_EQ(entry("restart = 'temporary'").restart, restart::temporary);
    EXPECT_EQ(entry("overflow = 'reject'").overflow, overflow::reject);
    EXPECT_EQ(entry("overflow = 'drop-oldest'").overflow, overflow::drop_oldest);
    EXPECT_EQ(entry("overflow = 'drop-newest'").overflow, overflow::drop_newest);
    EXPECT_EQ(entry("heartbeat.silent = 'restart'").silent, reaction::restart);
    EXPECT_EQ(right("supervisor.strategy = 'one_for_one'").root.strategy, strategy::one_for_one);
    EXPECT_EQ(right("supervisor.strategy = 'one_for_all'").root.strategy, strategy::one_for_all);
    for (const char* word : {"trace", "debug", "info", "warn", "error", "off"})
        EXPECT_THAT(options_of(right(std::string{"log.level = '"} + word + "'")),
                    ElementsAre(Pair("log-level", word)));
}

TEST(Deployment, AProgramIsAProcessAndIsFoundInPathWithoutASlash) {
    const deployment d = right("[[actor]]\npath = '/app/a'\nprogram = 'worker'");
    EXPECT_EQ(d.actors[0].carrier, carrier_kind::process);
    EXPECT_EQ(d.actors[0].program, "worker");
    EXPECT_EQ(right("[[actor]]\npath='/app/a'\nprogram='./worker'").actors[0].program, "/etc/app/worker");
}

TEST(Deployment, TheProgramThatHasTheActorsIsFoundFromTheFileOrInPath) {
    EXPECT_EQ(right("[node]\nprogram = './app'").program, "/etc/app/app");
    EXPECT_EQ(right("[node]\nprogram = 'app'").program, "app");
    EXPECT_EQ(right("[node]\nprogram = 'app'").program_at, (file_place{2, 11}));
    EXPECT_FALSE(right("[node]\nschedulers = 1").program);
    EXPECT_THAT(wrong("[node]\nprogram = ''"), HasSubstr("app.toml:2:11: 'program' in [node]: is empty"));
}

TEST(Deployment, DurationsAreWholeNumbersWithUnitsFromTheLargestOn) {
    using detail::read_duration;
    EXPECT_EQ(read_duration("1h2m3s4ms5us6ns"), 1h + 2min + 3s + 4ms + 5us + 6ns);
    EXPECT_EQ(read_duration("0s"), 0s);
    EXPECT_EQ(read_duration("9223372036854775807ns"), std::chrono::nanoseconds::max());
    for (const char* bad : {"", "5", "s", "-1s", "1.5s", "1s1m", "1s1s", "1 s", "1s ", "1d", "2562048h",
                            "9223372036s854775808ns", "9223372036854775808ns", "1s2"})
        EXPECT_EQ(read_duration(bad), std::nullopt) << bad;
}

TEST(Deployment, BytesAreWholeNumbersWithAUnitOfTwosPowers) {
    using detail::read_bytes;
    EXPECT_EQ(read_bytes("7"), 7u);
    EXPECT_EQ(read_bytes("7KiB"), 7u << 10);
    EXPECT_EQ(read_bytes("7MiB"), 7u << 20);
    EXPECT_EQ(read_bytes("17179869183GiB"), UINT64_MAX - (1u << 30) + 1);
    for (const char* bad : {"", "KiB", "1kB", "1.5MiB", "-1", " 1", "1 KiB", "17179869184GiB"})
        EXPECT_EQ(read_bytes(bad), std::nullopt) << bad;
}

// ---------------------------------------------------------------- mistakes

TEST(Deployment, ToldWithFileLineColumnAndWhatWasMeant) {
    const struct {
        const char* text;
        const char* says;
    } cases[] = {
        // keys
        {"nmae = 'app'", "app.toml:1:1: unknown key 'nmae' outside of any table; did you mean 'name'?"},
        {"\n\n  [nodes]", "app.toml:3:4: unknown key 'nodes' outside of any table; did you mean 'node'?"},
        {"[[actor]]\npath = '/app/a'\n  carier = 'thread'",
         "app.toml:3:3: unknown key 'carier' in [[actor]]; did you mean 'carrier'?"},
        {"[node]\nschedulesr = 1",
         "app.toml:2:1: unknown key 'schedulesr' in [node]; did you mean 'schedulers'?"},
        {"[node]\nzebra = 1",
         "app.toml:2:1: unknown key 'zebra' in [node]; there are schedulers, poll-us, "
         "mailbox, offload-threads, "
         "listen, connect, children, parent, allow, hold-ms, linger-ms, shortcuts, control, program, secret"},
        {"[log]\nzebra = 1",
         "app.toml:2:1: unknown key 'zebra' in [log]; there are level, levels, terminal, format, "
         "file, file-bytes, files"},
        {"[node]\nterminal = true", "app.toml:2:1: unknown key 'terminal' in [node]; it belongs in [log]"},
        {"[node]\nlog-level = 'info'",
         "app.toml:2:1: unknown key 'log-level' in [node]; it belongs in [log], "
         "without 'log-'"},
        {"[node]\nsecret-file = 'x'",
         "it belongs in [node], as secret = { file = \"...\" } or { env = \"...\" }"},
        {"[node]\ndeployment = 'other.toml'", "app.toml:2:1: unknown key 'deployment' in [node]"},
        {"schedulers = 2",
         "app.toml:1:1: unknown key 'schedulers' outside of any table; it belongs in [node]"},
        {"[supervisor]\nbackoff = { frist = '1s' }",
         "app.toml:2:13: unknown key 'frist' in backoff of [supervisor]; did you mean 'first'?"},
        {"[[actor]]\npath = '/app/a'\nlimits.memroy = 1",
         "app.toml:3:8: unknown key 'memroy' in limits of [[actor]]; did you mean 'memory'?"},
        {"[[actor]]\npath = '/app/a'\nheartbeat.silnet = 'wait'",
         "unknown key 'silnet' in heartbeat of [[actor]]; did you mean 'silent'?"},
        {"[[actor]]\npath = '/app/a'\nsupervisor.strat = 'x'",
         "unknown key 'strat' in supervisor of [[actor]]"},
        {"[[actor]]\npath = '/app/a'\nmemory = 1",
         "unknown key 'memory' in [[actor]]; it belongs in limits of"},
        {"[[actor]]\npath = '/app/a'\nmisses = 1",
         "unknown key 'misses' in [[actor]]; it belongs in heartbeat"},
        {"[[actor]]\npath = '/app/x'\nmodules = ['a']",
         "app.toml:3:1: unknown key 'modules' in [[actor]]; it belongs in script of [[actor]]"},
        {"[[actor]]\npath = '/app/x'\nscript = {}", "app.toml:3:10: 'script' in [[actor]]: has no 'file'"},
        {"[[actor]]\npath = '/app/x'\nscript = 5", "'script' in [[actor]]: expected the path of a script, or "
                                                   "a table with its file, not a whole number"},
        {"[[actor]]\npath = '/app/x'\nscript = { file = 'x.lua', memory = 0 }",
         "'memory' in script of [[actor]]: must be more than 0"},
        {"[[actor]]\npath = '/app/x'\nscript = 'x.lua'\nprogram = 'x'",
         "app.toml:3:10: an [[actor]] is a script or a program, not both"},
        {"[[actor]]\npath = '/app/x'\nscript = 'x.lua'\nnice = 3\ncarrier = 'thread'",
         "app.toml:4:1: 'nice' is for carrier = \"process\""},
        // types
        {"name = 1", "app.toml:1:8: 'name': expected a text, not a whole number"},
        {"node = 1", "app.toml:1:8: 'node': expected a table, not a whole number"},
        {"log = []", "app.toml:1:7: 'log': expected a table, not an array"},
        {"supervisor = 'x'", "app.toml:1:14: 'supervisor': expected a table, not a text"},
        {"[actor]\npath = '/app/a'", "actors are a list: each begins with [[actor]], in two brackets"},
        {"actor = [1]", "app.toml:1:10: 'actor': expected a table, not a whole number"},
        {"[node]\nschedulers = '2'",
         "app.toml:2:14: 'schedulers' in [node]: expected a whole number from 0, not a text"},
        {"[node]\nschedulers = 1.5", "not a number with a fraction"},
        {"[node]\nschedulers = 1979-05-27", "not a date or time"},
        {"[node]\nshortcuts = 'on'",
         "app.toml:2:13: 'shortcuts' in [node]: expected true or false, not a text"},
        {"[node]\nlisten = 1", "app.toml:2:10: 'listen' in [node]: expected a text or an array of texts"},
        {"[node]\nlisten = ['tcp://a:1', 2]",
         "app.toml:2:24: 'listen' in [node]: expected a text, not a whole"},
        {"[node]\nallow = ['a,b']", "app.toml:2:10: 'allow' in [node]: a comma separates"},
        {"[node]\nallow = []", "app.toml:2:9: 'allow' in [node]: names nobody"},
        {"[node]\nparent = \"tcp://a:\\n\\u001b\"", "app.toml:2:10: 'parent' in [node]: endpoint 'tcp://a:?"
                                                    "?': a port"},
        {"[node]\nallow = ['']", "app.toml:2:10: 'allow' in [node]: is empty"},
        {"[log]\nlevels = 'x'",
         "app.toml:2:10: 'levels' in [log]: expected a table of levels by path, not a text"},
        {"[[actor]]\npath = '/app/a'\narguments = 'x'",
         "app.toml:3:13: 'arguments' in [[actor]]: expected an array"},
        {"[[actor]]\npath = '/app/a'\narguments = [0]",
         "app.toml:3:14: 'arguments' in [[actor]]: expected a text"},
        {"[[actor]]\npath = '/app/a'\nenvironment = 'x'", "expected a table of texts, not a text"},
        {"[[actor]]\npath = '/app/a'\nenvironment = { A = 1 }",
         "app.toml:3:21: 'A' in environment of [[actor]]: expected a text, not a whole number"},
        {"[[actor]]\npath = '/app/a'\nenvironment = { 'A=B' = '' }",
         "a variable's name is not empty and has no '='"},
        {"[[actor]]\npath = '/app/a'\nsignificant = 1",
         "app.toml:3:15: 'significant' in [[actor]]: expected true"},
        {"[[actor]]\npath = '/app/a'\nlimits = 1", "app.toml:3:10: 'limits' in [[actor]]: expected a table"},
        {"[[actor]]\npath = '/app/a'\ndirectory = \"a\\u0000b\"", "a text without zero bytes"},
        {"[[actor]]\npath = '/app/a'\nscheduler = true", "a scheduler's number, \"parent\" or \"spread\""},
        // values
        {"name = 'a/b'", "app.toml:1:8: 'name': a node's name has 1 to 255 bytes"},
        {"[node]\nschedulers = 513",
         "app.toml:2:14: option schedulers='513': expected a number from 0 (one a core) to 512"},
        {"[node]\nschedulers = -1",
         "app.toml:2:14: 'schedulers' in [node]: expected a whole number from 0, not -1"},
        {"[node]\nmailbox = 0", "app.toml:2:11: option mailbox='0': expected messages, at least 1"},
        {"[node]\nlisten = 'localhost'",
         "app.toml:2:10: 'listen' in [node]: endpoint 'localhost': expected scheme://"},
        {"[node]\nparent = 'tcp://a:x'",
         "app.toml:2:10: 'parent' in [node]: endpoint 'tcp://a:x': a port is"},
        {"[log]\nlevel = 'inof'", "app.toml:2:9: 'level' in [log]: there is no 'inof'; did you mean 'info'?"},
        {"[log]\nlevels = { '/app' = 'dbug' }",
         "app.toml:2:21: '/app' in levels of [log]: there is no 'dbug'; did you"},
        {"[log]\nlevels = { 'app' = 'debug' }", "app.toml:2:20: 'app' in levels of [log]: is no path"},
        {"[log]\nfile-bytes = '10MB'", "app.toml:2:14: 'file-bytes' in [log]: expected bytes, as 65536, "
                                       "\"64KiB\", \"10MiB\" or \"1GiB\", not '10MB'"},
        {"[log]\nfile-bytes = 1", "app.toml:2:14: option log-file-bytes='1': expected bytes, at least 4096"},
        {"[log]\nfile-bytes = -1", "not less than 0"},
        {"[supervisor]\nstrategy = 'one-for-all'",
         "app.toml:2:12: 'strategy' in [supervisor]: there is no 'one-for-all'; did you mean 'one_for_all'?"},
        {"[supervisor]\nstrategy = 'chaos'",
         "there is no 'chaos'; there are one_for_one, one_for_all, rest_for_one, dynamic"},
        {"[supervisor]\nwindow = '0s'", "app.toml:2:10: 'window' in [supervisor]: must be longer than 0s"},
        {"[supervisor]\nwindow = 5",
         "expected a duration with its unit, as \"250ms\", \"2s\" or \"1m30s\", not a whole number"},
        {"[supervisor]\nwindow = '5'",
         "expected a duration with its unit, as \"250ms\", \"2s\" or \"1m30s\", not '5'"},
        {"[supervisor]\nbackoff = { first = '2s', most = '1s' }",
         "app.toml:2:11: 'backoff' in [supervisor]: 'most' is shorter"},
        {"[supervisor]\nbackoff.jitter = 1.5",
         "app.toml:2:18: 'jitter' in backoff of [supervisor]: expected a share from 0 to 1"},
        {"[supervisor]\nbackoff.jitter = nan", "expected a share from 0 to 1"},
        {"[supervisor]\nbackoff.jitter = 'much'", "expected a share from 0 to 1, not a text"},
        {"[[actor]]\nmailbox = 1", "app.toml:1:1: an [[actor]] without 'path'"},
        {"[[actor]]\npath = 'app/a'",
         "app.toml:2:8: 'path' in [[actor]]: begins with '/' and the node's name"},
        {"[[actor]]\npath = '/app//a'", "app.toml:2:8: 'path' in [[actor]]: '' is no name"},
        {"[[actor]]\npath = '/app/a:b'", "'a:b' is no name"},
        {"[[actor]]\npath = '/app'", "app.toml:2:8: 'path' in [[actor]]: is that of the root"},
        {"[[actor]]\npath = '/app/a'\ncarrier = 'proces'",
         "app.toml:3:11: 'carrier' in [[actor]]: there is no 'proces'; did you mean 'process'?"},
        {"[[actor]]\npath = '/app/a'\npriority = 'hihg'", "there is no 'hihg'; did you mean 'high'?"},
        {"[[actor]]\npath = '/app/a'\nscheduler = 'parnet'", "there is no 'parnet'; did you mean 'parent'?"},
        {"[[actor]]\npath = '/app/a'\nscheduler = 1022", "expected a whole number from 0 to 1021, not 1022"},
        {"[[actor]]\npath = '/app/a'\nmailbox = 0", "expected a whole number from 1 to 4294967295, not 0"},
        {"[[actor]]\npath = '/app/a'\nnice = 20",
         "app.toml:3:8: 'nice' in [[actor]]: expected a whole number from -20 to 19, not 20"},
        {"[[actor]]\npath = '/app/a'\ncpus = [-1]",
         "app.toml:3:9: 'cpus' in [[actor]]: expected a whole number from 0 to 1023, not -1"},
        {"[[actor]]\npath = '/app/a'\nheartbeat.misses = 0",
         "expected a whole number from 1 to 4294967295, not 0"},
        {"[[actor]]\npath = '/app/a'\nheartbeat.period = '0ms'", "must be longer than 0s"},
        {"[[actor]]\npath = '/app/a'\nlimits.files = -1", "expected a whole number from 0, not -1"},
        {"[[actor]]\npath = '/app/a'\nprogram = ''", "app.toml:3:11: 'program' in [[actor]]: is empty"},
        {"[[actor]]\npath = '/app/a'\nover = 'shm://x'",
         "app.toml:3:8: 'over' in [[actor]]: expected a kind of transport"},
        {"[[actor]]\npath = '/app/a'\nover = 'shm?ring'", "an option is name=value, not 'ring'"},
        {"[[actor]]\npath = '/app/a'\non = ''", "app.toml:3:6: 'on' in [[actor]]: is empty"},
        {"[[actor]]\npath = '/app/a'\non = 'host:b'",
         "app.toml:3:6: 'on' in [[actor]]: expected the name of a node"},
        // together
        {"[[actor]]\npath = '/app/a'\ncarrier = 'thread'\nscheduler = 1",
         "app.toml:4:1: 'scheduler' is for carrier = \"coroutine\"; this entry says \"thread\""},
        {"[[actor]]\npath = '/app/a'\ncarrier = 'process'\npriority = 'low'",
         "app.toml:4:1: 'priority' is for carrier = \"thread\"; this entry says \"process\""},
        {"[[actor]]\npath = '/app/a'\nprogram = 'x'\npriority = 'low'",
         "'priority' is for carrier = \"thread\""},
        {"[[actor]]\npath = '/app/a'\nprogram = 'x'\nsupervisor.restarts = 1",
         "a program or a supervisor, not both"},
        {"[[actor]]\npath = '/app/a'\n[[actor]]\npath = '/app/a'",
         "app.toml:4:8: a second entry for '/app/a'; the first is in line 2"},
        // syntax
        {"name = ", "app.toml:1:"},
        {"name = 'a'\nname = 'b'", "app.toml:2:"},
        {"a = [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "app.toml:1:"},
    };
    for (const auto& c : cases) {
        const std::string says = wrong(c.text);
        EXPECT_THAT(says, StartsWith("app.toml:")) << c.text;
        EXPECT_THAT(says, HasSubstr(c.says)) << c.text;
        EXPECT_THAT(says, Not(HasSubstr("\n"))) << c.text;
    }
}

TEST(Deployment, EachKeyOfAProcessIsRefusedUnderAnotherCarrier) {
    for (const char* line : {"program = 'x'", "arguments = []", "directory = 'x'", "environment = {}",
                             "over = 'unix'", "on = 'b'", "nice = 1", "cpus = []", "limits = {}"})
        for (const char* carrier : {"coroutine", "thread"}) {
            const std::string text =
                std::string{"[[actor]]\npath = '/app/a'\ncarrier = '"} + carrier + "'\n" + line;
            EXPECT_THAT(
                wrong(text),
                HasSubstr(std::string{"is for carrier = \"process\"; this entry says \""} + carrier + "\""))
                << text;
        }
}

TEST(Deployment, AHeartbeatIsForProcessesAndThreads) {
    constexpr const char* beginning = "[[actor]]\npath = '/app/a'\nheartbeat.stuck = 'report'\n";
    for (const char* more :
         {"", "carrier = 'thread'", "carrier = 'process'", "priority = 'low'", "over = 'shm'"})
        EXPECT_EQ(right(std::string{beginning} + more).actors.size(), 1u) << more;
    EXPECT_THAT(
        wrong(std::string{beginning} + "carrier = 'coroutine'"),
        HasSubstr("'heartbeat' is for carrier = \"process\" or \"thread\"; this entry says \"coroutine\""));
}

TEST(Deployment, ASecretIsGivenByReferenceOnlyAndNotRepeatedInTheError) {
    const std::string says = wrong("[node]\nsecret = 'correct horse battery staple'");
    EXPECT_THAT(
        says, StartsWith("app.toml:2:10: 'secret' in [node]: a secret does not stand in a deployment file"));
    EXPECT_THAT(says, HasSubstr("{ file = \"...\" } or { env = \"...\" }"));
    EXPECT_THAT(says, Not(HasSubstr("horse")));
    EXPECT_THAT(wrong("[node]\nsecret = {}"),
                HasSubstr("app.toml:2:10: 'secret' in [node]: expected one of"));
    EXPECT_THAT(wrong("[node]\nsecret = { file = 'a', env = 'B' }"), HasSubstr("expected one of"));
    EXPECT_THAT(wrong("[node]\nsecret = { flie = 'a' }"), HasSubstr("did you mean 'file'?"));
    EXPECT_THAT(wrong("[node]\nsecret = { env = '' }"), HasSubstr("'env' in secret of [node]: is empty"));
}

TEST(Deployment, TellsAllMistakesInTheOrderOfTheFile) {
    EXPECT_EQ(wrong("nmae = 'app'\n"
                    "[node]\n"
                    "schedulers = 'two'\n"
                    "listen = [1, 'x']\n"
                    "[[actor]]\n"
                    "path = '/app/a'\n"
                    "restart = 'always'\n"
                    "carier = 'thread'\n"),
              "app.toml:1:1: unknown key 'nmae' outside of any table; did you mean 'name'?\n"
              "app.toml:3:14: 'schedulers' in [node]: expected a whole number from 0, not a text\n"
              "app.toml:4:11: 'listen' in [node]: expected a text, not a whole number\n"
              "app.toml:4:14: 'listen' in [node]: endpoint 'x': expected scheme://..., for instance "
              "tcp://127.0.0.1:4711\n"
              "app.toml:7:11: 'restart' in [[actor]]: there is no 'always'; there are permanent, transient, "
              "temporary\n"
              "app.toml:8:1: unknown key 'carier' in [[actor]]; did you mean 'carrier'?");
}

TEST(Deployment, TellsTheFirstTwentyMistakesAndTheNumberOfTheOthers) {
    std::string text = "[node]\n";
    for (int i = 99; i >= 1; --i) text += "key_" + std::to_string(i) + " = 1\n";
    const std::string says = wrong(text);
    EXPECT_EQ(std::count(says.begin(), says.end(), '\n'), 20);
    EXPECT_THAT(says, StartsWith("app.toml:2:1: unknown key 'key_99'"));
    EXPECT_THAT(says, HasSubstr("app.toml:21:1: unknown key 'key_80'"));
    EXPECT_THAT(says, HasSubstr("\napp.toml: and 79 more"));
}

TEST(Deployment, AMistakeBetweenActorsIsToldInItsPlaceAlsoWhenThereAreTooMany) {
    std::string text = "[[actor]]\npath = '/app/a'\n[log]\nfiels = 1\n";
    for (int i = 0; i < 30; ++i) text += "[[actor]]\n";
    const std::string says = wrong(text);
    EXPECT_THAT(says, StartsWith("app.toml:4:1: unknown key 'fiels' in [log]; did you mean 'files'?\n"
                                 "app.toml:5:1: an [[actor]] without 'path'\n"));
    EXPECT_THAT(says, HasSubstr("app.toml: and 11 more"));
}

TEST(Deployment, ColumnsCountCharacters) {
    EXPECT_THAT(wrong("[log]\nlevels = { '/app/\xc3\xa9' = 'debug', '/x' = 'loud' }"),
                HasSubstr("app.toml:2:39: '/x'"));
}

// ---------------------------------------------------------------- hostile files

TEST(Deployment, RefusesWhatIsTooLargeOrTooDeepOrNoText) {
    EXPECT_THAT(wrong(std::string(10u << 20, ' ')), HasSubstr("app.toml:1:1: larger than 1048576 bytes"));
    EXPECT_THAT(wrong("a = " + std::string(500'000, '[')), StartsWith("app.toml:1:"));
    std::string tables = "a = ";
    for (int i = 0; i < 200'000; ++i) tables += "{a=";
    EXPECT_THAT(wrong(tables), StartsWith("app.toml:1:"));
    std::string dots = "\n\n a";
    for (int i = 0; i < 500'000; ++i) dots += ".a";
    EXPECT_EQ(wrong(dots + " = 1"), "app.toml:3:131: a key with too many dots");
    EXPECT_EQ(wrong("x = \"\\\"\"\n['\"'." + dots.substr(3) + "]"),
              "app.toml:2:133: a key with too many dots");
    EXPECT_EQ(wrong("x = '''\n'''''\n" + dots.substr(3) + " = 1"),
              "app.toml:3:130: a key with too many dots");
    // A long text may end with quotes of its own: they begin no other text.
    EXPECT_THAT(wrong("x = { a = '''y'''', " + dots.substr(3) + " = 1 }"), HasSubstr("too many dots"));
    EXPECT_THAT(wrong("x = { a = \"\"\"y\"\"\"\"\", " + dots.substr(3) + " = 1 }"),
                HasSubstr("too many dots"));
    EXPECT_EQ(wrong("[node]\n\n[;log]\nlevel = 'info'\n"), "app.toml:3:1: this line is no TOML");
    EXPECT_EQ(wrong("name = '\xc3\xa9' \xce\x86 = 1"), "app.toml:1:12: Error while parsing key-value pair: "
                                                       "expected a comment or whitespace, saw '\xce\x86'");
    EXPECT_EQ(wrong("[log]\npriori\xce\x86 = 1"),
              "app.toml:2:7: Error while parsing key-value pair: expected '=', saw '\xce\x86'");
    EXPECT_THAT(wrong("a = [1x'\xc9\xb7"), StartsWith("app.toml:1:"));
    EXPECT_EQ(wrong("\xef\xbb\xbfname = '\xc3\xa9' # \xce\x86\n'\xc3\xa9' = 1"),
              "app.toml:2:1: unknown key '\xc3\xa9' outside of any table; there are name, node, log, "
              "supervisor, role, actor");
    EXPECT_EQ(wrong("[;"), "app.toml:1:1: this line is no TOML");
    EXPECT_THAT(wrong(std::string("name = 'a\0'", 11)), StartsWith("app.toml:1:"));
    EXPECT_THAT(wrong("name = '\xff\xfe'"), StartsWith("app.toml:1:"));
    std::string actors;
    for (int i = 0; i <= 4096; ++i) actors += "[[actor]]\n";
    EXPECT_THAT(wrong(actors), HasSubstr("more than 4096 entries"));
}

TEST(Deployment, DotsInTextsAndCommentsAreNotCounted) {
    const std::string many(1000, '.');
    EXPECT_EQ(wrong("# " + many + "\n[[actor]]\npath = '/app/a'\narguments = ['" + many + "', \"\\\"" + many +
                    "\", '''" + many + "''', \"\"\"\n'" + many + "\"\"\"\"]"),
              "");
}

TEST(Deployment, AnyBytesAreReadOrRefusedWithALine) {
    const auto first = seed_to_replay();
    for (std::uint64_t seed = first ? first : 1; seed <= (first ? first : 2000); ++seed) {
        std::mt19937_64 random{seed};
        std::string text;
        for (std::uint64_t left = random() % 300; left > 0; --left)
            text += random() % 3 ? static_cast<char>(random() % 256) : "[]{}=.,\"'#\n\\ "[random() % 13];
        const auto read = parse_deployment(text, "app.toml");
        if (!read)
            ASSERT_THAT(std::string{read.error().text()}, StartsWith("app.toml:")) << "COPPICE_SEED=" << seed;
    }
}

// ---------------------------------------------------------------- the example

std::string example() { return contents("docs/snippets/deployment.toml"); }

TEST(Deployment, TheExampleOfThePageIsRight) {
    const deployment d = right(example(), "docs/snippets/deployment.toml");
    EXPECT_EQ(d.name, "app");
    EXPECT_THAT(contents("docs/deployment.md"), HasSubstr("```toml\n" + example() + "```\n"));
    ASSERT_TRUE(tree_of(right(R"(name = "app"
[[actor]]
path = "/app/a"
program = "x")")));
}

TEST(Deployment, AnExampleWithoutAnyOneCharacterStillParsesOrSaysInWhichLineItDoesNot) {
    const std::string whole = example();
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string text = whole;
        text.erase(i, 1);
        const auto read = parse_deployment(text, "app.toml");
        if (read) continue;
        const std::string says{read.error().text()};
        ASSERT_THAT(says, StartsWith("app.toml:")) << "without character " << i;
        const std::string line = says.substr(9, says.find(':', 9) - 9);
        ASSERT_FALSE(line.empty()) << says;
        ASSERT_TRUE(std::all_of(line.begin(), line.end(), [](char c) { return c >= '0' && c <= '9'; }))
            << says;
        const auto lines = std::count(text.begin(), text.end(), '\n') + 1;
        ASSERT_GE(std::stol(line), 1) << says;
        ASSERT_LE(std::stol(line), lines) << says;
    }
}

TEST(Deployment, AKeyWithoutOneOfItsCharactersIsNeverTakenForNothing) {
    // Each key in a file of its own: it is refused, and where only one is near, that one is suggested.
    for (const std::string& key : detail::deployment_keys()) {
        const auto dot = key.find('.');
        if (dot == std::string::npos) continue;
        const std::string table = key.substr(0, dot);
        const std::string section = table == "actor"  ? "[[actor]]\npath = '/app/a'\n"
                                    : table == "role" ? "[[role]]\nname = 'a'\n"
                                                      : "[" + table + "]\n";
        const std::string name = key.substr(dot + 1);
        const auto last = name.rfind('.') == std::string::npos ? 0 : name.rfind('.') + 1;
        for (std::size_t i = last; i < name.size(); ++i) {
            std::string less = name;
            less.erase(i, 1);
            if (less.size() == last) continue;
            const std::string says = wrong(section + less + " = 1");
            EXPECT_THAT(says, HasSubstr("app.toml:" +
                                        std::to_string(std::count(section.begin(), section.end(), '\n') + 1)))
                << less;
        }
    }
}

// ---------------------------------------------------------------- the page

TEST(Deployment, ThePageHasEveryKeyAndNoOther) {
    std::istringstream page{contents("docs/deployment.md")};
    std::set<std::string> documented;
    std::string section;
    for (std::string line; std::getline(page, line);) {
        if (line.starts_with("#")) {
            const auto open = line.find("`[");
            section.clear();
            if (open != std::string::npos) {
                section = line.substr(open + 1, line.rfind('`') - open - 1);
                std::erase_if(section, [](char c) { return c == '[' || c == ']'; });
                section += ".";
            }
        } else if (line.starts_with("| `")) {
            const std::string key = section + line.substr(3, line.find('`', 3) - 3);
            EXPECT_TRUE(documented.insert(key).second) << key << " is there twice";
            EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 5)
                << "key, type, default, meaning: " << line;
        }
    }
    const auto known = detail::deployment_keys();
    EXPECT_EQ(documented, std::set<std::string>(known.begin(), known.end()));
}

// ---------------------------------------------------------------- what changes in a tree

struct ask_thread {
    using reply = bool;
};
using plain = protocol<ask_thread>;

task<> idles(actor<plain> self) {
    while (auto m = co_await self.receive()) m.match([](request<ask_thread> r) { r.reply(true); });
}

supervisor_spec tree() {
    supervisor_spec io{strategy::one_for_all};
    io.add(child("disk", in_thread({.priority = priority::low}), idles).mailbox(10, overflow::drop_oldest))
        .add(child("net", in_coroutine, idles));
    supervisor_spec s;
    s.intensity(3, 5s)
        .add(child("store", on_scheduler(1), idles).shutdown(1s))
        .add(supervisor("io", io).restarts(restart::transient))
        .add(child("vision", in_process("vision", {"-v"}).env("A", "1").env("B", "2").limited({.files = 10}))
                 .heartbeat(100ms, 7));
    return s;
}

const child_spec& at(const supervisor_spec& s, std::string_view name) {
    for (const child_spec& c : s.children)
        if (c.name == name) return c;
    throw std::runtime_error{"no such child"};
}

std::string refused(std::string_view text, const std::string& node_name = "app") {
    supervisor_spec s = tree();
    const auto before = s.children.size();
    const auto done = apply(parse_deployment(text, "app.toml").value(), node_name, s);
    EXPECT_FALSE(done);
    EXPECT_EQ(s.children.size(), before);
    return std::string{done.error().text()};
}

TEST(Deployment, ChangesOnlyWhatIsGiven) {
    supervisor_spec s = tree();
    ASSERT_TRUE(apply(right(R"(
[supervisor]
restarts = 9
[[actor]]
path = "/app/store"
mailbox = 5
[[actor]]
path = "/app/vision"
environment = { B = "3", C = "4" }
limits.memory = "1MiB"
heartbeat.misses = 2
nice = 3
)"),
                      "app", s));
    EXPECT_EQ(s.most_restarts, 9u);
    EXPECT_EQ(s.window, 5s);
    const child_spec& store = at(s, "store");
    EXPECT_EQ(std::get<coroutine_carrier>(store.carrier).scheduler, 1u);
    EXPECT_EQ(store.shutdown_within, 1s);
    EXPECT_EQ(store.capacity, 5u);
    const child_spec& vision = at(s, "vision");
    const auto& p = std::get<process_carrier>(vision.carrier);
    EXPECT_EQ(p.program, "vision");
    EXPECT_EQ(p.arguments, std::vector<std::string>{"-v"});
    EXPECT_THAT(p.environment, ElementsAre(Pair("A", "1"), Pair("B", "3"), Pair("C", "4")));
    EXPECT_EQ(p.limits.memory, 1u << 20);
    EXPECT_EQ(p.limits.files, 10u);
    EXPECT_EQ(p.limits.processes, process_limits::unset);
    EXPECT_EQ(p.nice, 3);
    EXPECT_EQ(vision.beats.misses, 2u);
    EXPECT_EQ(vision.beats.period, 100ms);
}

TEST(Deployment, ChangesEachThingOfAChild) {
    supervisor_spec s = tree();
    ASSERT_TRUE(apply(right(R"(
supervisor = { strategy = "dynamic", window = "3s", backoff = { first = "1s", most = "2s", jitter = 0 } }
[[actor]]
path = "/app/store"
restart = "temporary"
shutdown = "3s"
overflow = "drop-newest"
significant = true
ready-within = "4s"
scheduler = "spread"
[[actor]]
path = "/app/vision"
program = "/bin/other"
arguments = []
directory = "/data"
over = "shm"
on = "/hostb/agent"
cpus = [1]
limits = { files = 1, cpu-seconds = 2, core-bytes = 3, processes = 4 }
heartbeat = { period = "1ms", silent = "wait", stuck = "report" }
)"),
                      "app", s));
    EXPECT_EQ(s.strategy, strategy::dynamic);
    EXPECT_EQ(s.window, 3s);
    EXPECT_EQ(s.backoff_first, 1s);
    EXPECT_EQ(s.backoff_most, 2s);
    EXPECT_EQ(s.jitter, 0);
    const child_spec& store = at(s, "store");
    EXPECT_EQ(store.when, restart::temporary);
    EXPECT_EQ(store.shutdown_within, 3s);
    EXPECT_EQ(store.policy, overflow::drop_newest);
    EXPECT_TRUE(store.is_significant);
    EXPECT_EQ(store.start_within, 4s);
    EXPECT_FALSE(store.tells_ready) << "its code says whether it calls ready()";
    EXPECT_EQ(std::get<coroutine_carrier>(store.carrier).scheduler, spread.scheduler);
    const child_spec& vision = at(s, "vision");
    const auto& p = std::get<process_carrier>(vision.carrier);
    EXPECT_EQ(p.program, "/bin/other");
    EXPECT_EQ(p.agent, "/hostb/agent");
    EXPECT_TRUE(p.arguments.empty());
    EXPECT_EQ(p.directory, "/data");
    EXPECT_EQ(p.transport, "shm");
    EXPECT_EQ(p.cpus, std::vector<std::uint32_t>{1});
    EXPECT_EQ(p.limits.files, 1u);
    EXPECT_EQ(p.limits.cpu_seconds, 2u);
    EXPECT_EQ(p.limits.core_bytes, 3u);
    EXPECT_EQ(p.limits.processes, 4u);
    EXPECT_EQ(vision.beats.period, 1ms);
    EXPECT_EQ(vision.beats.when_silent, reaction::wait);
    EXPECT_EQ(vision.beats.when_stuck, reaction::report);
}

TEST(Deployment, AHeartbeatInAFileMakesAThreadOneThatIsWatched) {
    supervisor_spec s = tree();
    ASSERT_FALSE(at(*at(s, "io").tree, "disk").is_watched);
    ASSERT_TRUE(apply(right("[[actor]]\npath = '/app/io/disk'\nheartbeat = { period = '2s' }"), "app", s));
    const child_spec& disk = at(*at(s, "io").tree, "disk");
    EXPECT_TRUE(disk.is_watched);
    EXPECT_EQ(disk.beats.period, 2s);
    EXPECT_THAT(describe_tree("app", s, tree_form::json),
                HasSubstr(R"("heartbeat":{"period":"2s","misses":5)"));
    EXPECT_FALSE(at(*at(s, "io").tree, "net").is_watched);
}

TEST(Deployment, ChangesCarriers) {
    supervisor_spec s = tree();
    ASSERT_TRUE(apply(right("[[actor]]\npath='/app/store'\ncarrier='thread'\npriority='high'\n"
                            "[[actor]]\npath='/app/io/disk'\ncarrier='coroutine'\n"
                            "[[actor]]\npath='/app/io/net'\ncarrier='process'\nover='shm'\n"),
                      "app", s));
    EXPECT_EQ(std::get<thread_carrier>(at(s, "store").carrier).priority, priority::high);
    const supervisor_spec& io = *at(s, "io").tree;
    EXPECT_EQ(std::get<coroutine_carrier>(at(io, "disk").carrier).scheduler, in_coroutine.scheduler);
    EXPECT_EQ(at(io, "disk").capacity, 10u);
    EXPECT_EQ(at(io, "disk").policy, overflow::drop_oldest);
    EXPECT_EQ(std::get<process_carrier>(at(io, "net").carrier).transport, "shm");
    EXPECT_TRUE(std::get<process_carrier>(at(io, "net").carrier).program.empty());
}

TEST(Deployment, ChangesASupervisorAndWhatIsBelowIt) {
    supervisor_spec s = tree();
    ASSERT_TRUE(apply(right(R"(
[[actor]]
path = "/app/io/disk"
mailbox = 99
[[actor]]
path = "/app/io"
carrier = "thread"
significant = true
supervisor.restarts = 8
[[actor]]
path = "/app/io/net"
shutdown = "9s"
)"),
                      "app", s));
    const child_spec& io = at(s, "io");
    EXPECT_TRUE(io.is_supervisor);
    EXPECT_TRUE(io.is_significant);
    EXPECT_EQ(io.when, restart::transient);
    EXPECT_TRUE(std::holds_alternative<thread_carrier>(io.carrier));
    EXPECT_EQ(io.tree->strategy, strategy::one_for_all);
    EXPECT_EQ(io.tree->most_restarts, 8u);
    EXPECT_EQ(at(*io.tree, "disk").capacity, 99u);
    EXPECT_EQ(at(*io.tree, "net").shutdown_within, 9s);
}

TEST(Deployment, AddsProgramsAndSupervisorsInTheOrderOfTheFile) {
    const auto made = tree_of(right(R"(
name = "app"
[supervisor]
strategy = "one_for_all"
[[actor]]
path = "/app/group"
supervisor = { restarts = 1 }
[[actor]]
path = "/app/group/b"
program = "b"
ready-within = "7s"
[[actor]]
path = "/app/group/a"
program = "a"
arguments = ["x"]
restart = "temporary"
[[actor]]
path = "/app/last"
program = "last"
)"));
    ASSERT_TRUE(made) << made.error().what();
    EXPECT_EQ(made->strategy, strategy::one_for_all);
    ASSERT_EQ(made->children.size(), 2u);
    const child_spec& group = made->children[0];
    EXPECT_EQ(group.name, "group");
    EXPECT_TRUE(group.is_supervisor);
    EXPECT_TRUE(group.start);
    ASSERT_EQ(group.tree->children.size(), 2u);
    EXPECT_EQ(group.tree->most_restarts, 1u);
    EXPECT_EQ(group.tree->children[0].name, "b");
    EXPECT_EQ(group.tree->children[0].start_within, 7s);
    EXPECT_TRUE(group.tree->children[0].tells_ready);
    const child_spec& a = group.tree->children[1];
    EXPECT_EQ(std::get<process_carrier>(a.carrier).program, "a");
    EXPECT_EQ(std::get<process_carrier>(a.carrier).arguments, std::vector<std::string>{"x"});
    EXPECT_EQ(a.when, restart::temporary);
    EXPECT_FALSE(a.tells_ready);
    EXPECT_EQ(made->children[1].name, "last");
}

task<> scripted(actor<protocol<>>, std::string) { co_return; }
std::vector<deployment_script> asked_for;
result<child_spec> script_for_test(const std::string& name, const deployment_script& what) {
    asked_for.push_back(what);
    if (what.file.ends_with("bad.lua")) return error{errc::invalid_argument, what.file + ":7: '=' expected"};
    return child(name, in_coroutine, scripted, what.file);
}

TEST(Deployment, AScriptIsMadeByWhoeverHasRegisteredItselfForThem) {
    const auto file =
        right("[[actor]]\npath = '/app/rules'\nscript = 'rules.lua'\narguments = ['--x']\n"
              "[[actor]]\npath = '/app/more'\ncarrier = 'thread'\nready-within = '2s'\nscript = "
              "{ file = '/lib/more.lua', memory = '2MiB', instructions = 500, modules = ['a', 'b'] }\n"
              "[[actor]]\npath = '/app/there'\nscript = 'there.lua'\n");
    supervisor_spec tree;
    tree.add(child("there", in_process("other", {"with", "arguments"})));
    register_script_maker(nullptr);
    const auto nobody = apply(file, "app", tree);
    EXPECT_THAT(std::string{nobody.error().text()},
                StartsWith("/etc/app/app.toml:3:10: 'script' in [[actor]]: this program runs no scripts"));
    register_script_maker(&script_for_test);
    asked_for.clear();
    ASSERT_TRUE(apply(file, "app", tree));
    ASSERT_EQ(tree.children.size(), 3u);
    EXPECT_EQ(tree.children[1].name, "rules");
    EXPECT_TRUE(tree.children[1].start);
    EXPECT_FALSE(tree.children[1].tells_ready);
    EXPECT_TRUE(std::holds_alternative<thread_carrier>(tree.children[2].carrier));
    EXPECT_TRUE(tree.children[2].tells_ready);
    EXPECT_EQ(tree.children[2].start_within, std::chrono::seconds{2});
    // What it ran before is forgotten; how it runs is not.
    const auto* there = std::get_if<process_carrier>(&tree.children[0].carrier);
    ASSERT_TRUE(there);
    EXPECT_TRUE(there->program.empty() && there->arguments.empty());
    EXPECT_TRUE(tree.children[0].portable);
    ASSERT_EQ(asked_for.size(), 3u);
    EXPECT_EQ(asked_for[0].file, "/etc/app/rules.lua");
    EXPECT_THAT(asked_for[0].arguments, ElementsAre("--x"));
    EXPECT_EQ(asked_for[1].file, "/lib/more.lua");
    EXPECT_EQ(asked_for[1].memory, 2u << 20);
    EXPECT_EQ(asked_for[1].instructions, 500u);
    EXPECT_THAT(asked_for[1].modules, ElementsAre("a", "b"));
    ASSERT_TRUE(apply(file, "app", tree));
    EXPECT_EQ(tree.children.size(), 3u);

    const auto bad = apply(right("[[actor]]\npath = '/app/bad'\nscript = 'bad.lua'"), "app", tree);
    EXPECT_EQ(bad.error().text(),
              "/etc/app/app.toml:3:10: 'script' in [[actor]]: /etc/app/bad.lua:7: '=' expected");
    register_script_maker(nullptr);
}

TEST(Deployment, ATreeOfProgramsAloneNeedsAName) {
    const auto made = tree_of(right("[[actor]]\npath='/app/a'\nprogram='a'"));
    ASSERT_FALSE(made);
    EXPECT_THAT(made.error().what(), HasSubstr("has no 'name'"));
}

TEST(Deployment, AppliedTwiceIsAppliedOnce) {
    const deployment d = right("name='app'\n[[actor]]\npath='/app/a'\nprogram='a'\n[[actor]]\npath='/app/s'\n"
                               "supervisor={}\n[[actor]]\npath='/app/s/b'\nprogram='b'");
    supervisor_spec s = tree_of(d).value();
    ASSERT_TRUE(apply(d, "app", s));
    EXPECT_EQ(s.children.size(), 2u);
    EXPECT_EQ(at(s, "s").tree->children.size(), 1u);
}

TEST(Deployment, RefusesWhatTheTreeDoesNotHave) {
    const auto entry = [](std::string_view path, std::string_view line = "mailbox = 1") {
        return "[[actor]]\npath = '" + std::string{path} + "'\n" + std::string{line};
    };
    EXPECT_EQ(refused(entry("/app/stroe")), "app.toml:2:8: there is no '/app/stroe'; '/app' has the children "
                                            "store, io, vision; did you mean 'store'?");
    EXPECT_EQ(refused(entry("/app/io/tape")),
              "app.toml:2:8: there is no '/app/io/tape'; '/app/io' has the children disk, net");
    EXPECT_THAT(refused(entry("/app/oi/disk")), HasSubstr("there is no '/app/oi'; '/app' has the children"));
    EXPECT_EQ(refused(entry("/app/store/x", "program = 'x'")),
              "app.toml:2:8: '/app/store' is no supervisor: there is no '/app/store/x' in the tree that is "
              "known at "
              "the start");
    EXPECT_EQ(refused(entry("/ap/store")),
              "app.toml:2:8: there is no '/ap/store': this node is 'app', so its paths "
              "begin with '/app/'");
    EXPECT_THAT(
        refused(entry("/app/store", "priority = 'low'")),
        HasSubstr("app.toml:3:1: 'priority' is for carrier = \"thread\"; '/app/store' has \"coroutine\""));
    EXPECT_THAT(refused(entry("/app/io/disk", "scheduler = 0")), HasSubstr("'/app/io/disk' has \"thread\""));
    EXPECT_THAT(refused(entry("/app/store", "heartbeat.misses = 1")),
                HasSubstr("is for carrier = \"process\""));
    EXPECT_THAT(refused(entry("/app/vision", "carrier = 'thread'")),
                HasSubstr("is another program's: it has no function"));
    EXPECT_THAT(refused(entry("/app/store", "supervisor = {}")), HasSubstr("is no supervisor"));
    EXPECT_THAT(refused(entry("/app/io", "shutdown = '1s'")),
                HasSubstr("app.toml:3:1: 'shutdown' is not for supervisors"));
    EXPECT_THAT(refused(entry("/app/io", "ready-within = '1s'")),
                HasSubstr("'ready-within' is not for supervisors"));
    EXPECT_THAT(refused(entry("/app/io", "program = 'x'")), HasSubstr("'program' is not for supervisors"));
    EXPECT_EQ(refused("\nname = 'mill'"), "app.toml:2:8: the file is for node 'mill', and this is 'app'");
}

TEST(Deployment, RefusesTheWholeFileWithAllMistakesAndLeavesTheTreeAsItWas) {
    supervisor_spec s = tree();
    const auto done = apply(right("[supervisor]\nrestarts=9\n[[actor]]\npath='/app/store'\nmailbox=5\n"
                                  "[[actor]]\npath='/app/x'\n[[actor]]\npath='/app/y'\n",
                                  "app.toml"),
                            "app", s);
    ASSERT_FALSE(done);
    EXPECT_THAT(std::string{done.error().text()}, HasSubstr("'/app/x'"));
    EXPECT_THAT(std::string{done.error().text()}, HasSubstr("\napp.toml:9:6: there is no '/app/y'"));
    EXPECT_EQ(s.most_restarts, 3u);
    EXPECT_EQ(at(s, "store").capacity, 0u);
}

// ---------------------------------------------------------------- a node with a file

class variable {
public:
    variable(const char* name, const std::string& value) : name_{name} { ::setenv(name, value.c_str(), 1); }
    ~variable() { ::unsetenv(name_); }
    variable(const variable&) = delete;
    variable& operator=(const variable&) = delete;

private:
    const char* name_;
};

// A node with a command line.
struct started_node {
    std::vector<std::string> words;
    std::vector<char*> pointers;
    int count = 0;
    std::unique_ptr<node> n;
    explicit started_node(std::vector<std::string> arguments, node_options o = quiet(1))
        : words{std::move(arguments)} {
        words.insert(words.begin(), "program");
        for (std::string& word : words) pointers.push_back(word.data());
        count = static_cast<int>(words.size());
        pointers.push_back(nullptr);
        n = std::make_unique<node>("app", count, pointers.data(), std::move(o));
    }
};

TEST(Deployment, TheFileGoesBeforeTheProgramTheEnvironmentBeforeItAndTheCommandLineBeforeAll) {
    const own_directory here;
    const std::string file = written(here, "app.toml", "[node]\nschedulers = 2\n");
    const std::string option = "--coppice-deployment=" + file;
    started_node by_file{{option}};
    ASSERT_TRUE(by_file.n->start(supervisor_spec{}));
    EXPECT_EQ(by_file.n->scheduler_count(), 2u);
    {
        const variable three{"COPPICE_SCHEDULERS", "3"};
        started_node by_environment{{option}};
        ASSERT_TRUE(by_environment.n->start(supervisor_spec{}));
        EXPECT_EQ(by_environment.n->scheduler_count(), 3u);
        started_node by_command_line{{"--coppice-schedulers=4", option}};
        ASSERT_TRUE(by_command_line.n->start(supervisor_spec{}));
        EXPECT_EQ(by_command_line.n->scheduler_count(), 4u);
    }
    node_options o = quiet(1);
    o.deployment = file;
    node by_program{"app", o};
    ASSERT_TRUE(by_program.start(supervisor_spec{}));
    EXPECT_EQ(by_program.scheduler_count(), 2u);
    const variable from{"COPPICE_DEPLOYMENT", file};
    node by_variable{"app", quiet(1)};
    ASSERT_TRUE(by_variable.start(supervisor_spec{}));
    EXPECT_EQ(by_variable.scheduler_count(), 2u);
    started_node without{{"--coppice-deployment="}};
    ASSERT_TRUE(without.n->start(supervisor_spec{}));
    EXPECT_EQ(without.n->scheduler_count(), 1u);
}

TEST(Deployment, LevelsOfTheLogAddUpInTheSameOrder) {
    const own_directory here;
    const std::string file = written(
        here, "app.toml", "[log]\nlevels = { '/app/a' = 'error', '/app/b' = 'error', '/app/c' = 'error' }\n");
    node_options o = quiet(1);
    o.levels = {{"/app/a", level::trace}, {"/app/d", level::trace}};
    const variable b{"COPPICE_LOG_LEVELS", "/app/b=warn,/app/c=warn"};
    started_node n{{"--coppice-deployment=" + file, "--coppice-log-levels=/app/c=debug"}, std::move(o)};
    ASSERT_TRUE(n.n->start(supervisor_spec{}));
    std::vector<std::pair<std::string, level>> last;
    for (const char* path : {"/app/a", "/app/b", "/app/c", "/app/d"})
        for (const auto& [at, l] : n.n->core().options.levels)
            if (at == path) {
                if (last.empty() || last.back().first != path) last.emplace_back(path, l);
                else last.back().second = l;
            }
    EXPECT_THAT(last, ElementsAre(Pair("/app/a", level::error), Pair("/app/b", level::warn),
                                  Pair("/app/c", level::debug), Pair("/app/d", level::trace)));
}

TEST(Deployment, RunsTheSameTreeUnderAnotherCarrier) {
    const own_directory here;
    node_options o = quiet(1);
    o.deployment = written(here, "app.toml",
                           "[[actor]]\npath = '/app/it'\ncarrier = 'thread'\n"
                           "[[actor]]\npath = '/app/io/more/it'\ncarrier = 'thread'\n"
                           "[[actor]]\npath = '/app/added'\nsupervisor = {}\n");
    node n{"app", o};
    const supervisor_spec more = supervisor_spec{}.add(child("it", in_coroutine, idles));
    ASSERT_TRUE(n.start(supervisor_spec{}
                            .add(child("it", in_coroutine, idles))
                            .add(supervisor("io", supervisor_spec{}.add(supervisor("more", more))))));
    for (const char* path : {"/app/it", "/app/io/more/it"}) {
        auto it = n.resolve<plain>(path);
        ASSERT_TRUE(it);
        EXPECT_TRUE(*n.ask<ask_thread>(*it, 60s));
    }
    EXPECT_TRUE(n.resolve<supervisor_protocol>("/app/added"));
    EXPECT_EQ(n.inspect().schedulers.size(), 3u) << "one of the node, two of actors' threads";
}

TEST(Deployment, TakesSecretsFromAFileOrAVariable) {
    const own_directory here;
    written(here, "secret", "of sixteen bytes and more\n");
    const std::string by_file = written(here, "file.toml", "node.secret.file = 'secret'\n");
    const std::string by_variable = written(here, "env.toml", "node.secret.env = 'COPPICE_TEST_SECRET'\n");
    const std::string missing = written(here, "missing.toml", "\nnode.secret.file = 'no such file'\n");
    EXPECT_TRUE(read_deployment(missing)) << "a file is checked without its secrets";
    {
        started_node n{{"--coppice-deployment=" + by_file}};
        ASSERT_TRUE(n.n->start(supervisor_spec{}));
        EXPECT_EQ(n.n->core().options.network.secret, "of sixteen bytes and more");
    }
    {
        const variable secret{"COPPICE_TEST_SECRET", "another one of sixteen bytes"};
        started_node n{{"--coppice-deployment=" + by_variable}};
        ASSERT_TRUE(n.n->start(supervisor_spec{}));
        EXPECT_EQ(n.n->core().options.network.secret, "another one of sixteen bytes");
    }
    {
        started_node n{{"--coppice-deployment=" + by_variable}};
        EXPECT_THAT(n.n->start(supervisor_spec{}).error().what(), HasSubstr("COPPICE_TEST_SECRET"));
    }
    {
        node_options o = quiet(1);
        o.network.secret = "a secret that the program has";
        started_node n{{"--coppice-deployment=" + missing}, std::move(o)};
        const auto started = n.n->start(supervisor_spec{});
        EXPECT_EQ(started.error(), errc::invalid_argument);
        EXPECT_THAT(started.error().what(), HasSubstr("missing.toml:2:20: option secret-file="));
    }
    {
        started_node n{{"--coppice-deployment=" + missing, "--coppice-secret-file=" + here.path("secret")}};
        ASSERT_TRUE(n.n->start(supervisor_spec{})) << "what is overridden is not looked at";
        EXPECT_EQ(n.n->core().options.network.secret, "of sixteen bytes and more");
    }
}

TEST(Deployment, ANodeThatIsToTellItsTreeStartsNothing) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const std::string words[] = {"app", "--coppice-check=json:" + std::to_string(ends[1]),
                                 "--coppice-check=yaml"};
    char* good[] = {const_cast<char*>(words[0].c_str()), const_cast<char*>(words[1].c_str()), nullptr};
    int argc = 2;
    node app{"app", argc, good, quiet(1)};
    EXPECT_EQ(argc, 1);
    supervisor_spec spec;
    spec.add(child("a", in_coroutine, [](actor<plain>) -> task<> {
        ADD_FAILURE() << "it was started";
        co_return;
    }));
    EXPECT_EQ(app.start(spec).error(), errc::stopping);
    EXPECT_EQ(app.run(spec), static_cast<int>(run_result::ok));
    const std::string expected = describe_tree("app", spec, tree_form::json);
    std::string told(expected.size() * 2, '\0');
    EXPECT_EQ(::read(ends[0], told.data(), told.size()), static_cast<ssize_t>(told.size()));
    EXPECT_EQ(told, expected + expected);
    ::close(ends[0]);
    ::close(ends[1]);
    char* bad[] = {const_cast<char*>(words[0].c_str()), const_cast<char*>(words[2].c_str()), nullptr};
    argc = 2;
    node other{"app", argc, bad, quiet(1)};
    EXPECT_EQ(other.start(spec).error(), errc::invalid_argument);
}

TEST(Deployment, ABadFileIsABadOptionAndNothingStarts) {
    const own_directory here;
    const std::string bad = written(here, "bad.toml", "x = 1\n[node]\ny = 1\n");
    const std::string other_tree = written(here, "other.toml", "[[actor]]\npath='/app/x'\n");
    for (const auto& [file, says] : {std::pair{bad, bad + ":3:1: unknown key 'y'"},
                                     std::pair{other_tree, other_tree + ":2:6: there is no '/app/x'"},
                                     std::pair{here.path("none.toml"), std::string{"No such file"}},
                                     std::pair{here.path(), std::string{"cannot be read"}}}) {
        started_node n{{"--coppice-deployment=" + file}};
        const auto started = n.n->start(supervisor_spec{});
        ASSERT_FALSE(started);
        EXPECT_EQ(started.error(), errc::invalid_argument);
        EXPECT_THAT(started.error().what(), HasSubstr(says));
        EXPECT_EQ(n.n->run(supervisor_spec{}), static_cast<int>(run_result::bad_options));
    }
}

}  // namespace
}  // namespace coppice::tests
