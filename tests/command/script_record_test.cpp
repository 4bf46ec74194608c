// `coppice script record`: real trees in real processes are recorded, and what was recorded is sent to others by `coppice script
// run`. What an actor took the second time is held against the first. One run directory a test.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>

#include "command/command.hpp"
#include "command/programs.hpp"
#include "coppice/any_request.hpp"
#include "coppice/transport/builtin.hpp"
#include "coppice/value.hpp"
#include "support/leftovers.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"
#include "support/processes.hpp"

namespace coppice::tests {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

class ScriptRecord : public ::testing::Test {
protected:
    static void await_recording(const program& recorder) {
        await_that(
            [&] { return recorder.has_ended() || recorder.err().find("recording\n") != std::string::npos; });
    }
    static outcome replay(const std::string& tree, const std::string& script,
                          std::vector<std::string> more = {}) {
        std::vector<std::string> words{"script", "run", "--tree", tree, script};
        words.insert(words.end(), more.begin(), more.end());
        return coppice_says(words);
    }
    own_directory files_;
    std::string script_ = files_.path("replay.lua");
};

// ---------------------------------------------------------------- a tree of processes

/// A tree whose only actor is the counting plugin, in a process of its own, by a deployment file.
class plugin_tree {
public:
    plugin_tree() {
        std::ofstream{files_.path("app.toml")} << "name = 'app'\n[[actor]]\npath = '/app/plugin'\nprogram = '"
                                               << this_program()
                                               << "'\nenvironment = { COPPICE_TEST_PROGRAM = 'plugin' }\n";
        tree_ = std::make_unique<program>(std::vector<std::string>{"run", files_.path("app.toml")});
        await_that(
            [&] { return tree_->has_ended() || coppice_says({"ask", "/app/plugin", "get"}).code == 0; });
    }
    [[nodiscard]] std::string sum() const { return coppice_says({"ask", "/app/plugin", "get"}).out; }
    void end() {
        tree_->signal(SIGTERM);
        EXPECT_EQ(tree_->wait(), 0) << tree_->err();
    }

private:
    own_directory files_;
    std::unique_ptr<program> tree_;
};

TEST_F(ScriptRecord, WhatOneTreeTookIsSentToAnotherAndItsActorAnswersTheSame) {
    leftovers left;
    std::string sum;
    {
        plugin_tree tree;
        program recorder{
            {"script", "record", "/app/plugin", "--output", script_, "--count", "3", "--verbose"}};
        await_recording(recorder);
        EXPECT_EQ(coppice_says({"send", "/app/plugin", "add", "5"}).code, 0);
        EXPECT_EQ(coppice_says({"send", "/app/plugin", "add", "37"}).code, 0);
        sum = tree.sum();
        EXPECT_EQ(recorder.wait(), 0) << recorder.err();
        tree.end();
    }
    EXPECT_EQ(sum, "42\n");
    const std::string text = content(script_);
    EXPECT_THAT(text, ContainsRegex("\nsend\\(coppice.record\\(\"[^\"]*::add\", 5\\)\\)\n"));
    EXPECT_THAT(text, ContainsRegex(
                          "\npause\\([0-9]+\\.[0-9]{6}\\)\nask\\(coppice.record\\(\"[^\"]*::get\"\\)\\)\n"));
    EXPECT_THAT(text, HasSubstr("-- 3 messages\n"));
    {
        plugin_tree tree;
        EXPECT_EQ(tree.sum(), "0\n");
        const outcome replayed = replay("app", script_);
        EXPECT_EQ(replayed.code, 0) << replayed.err;
        EXPECT_THAT(replayed.err, HasSubstr("request 1: 42"));
        EXPECT_EQ(tree.sum(), sum);
        const outcome to_another = replay("app", script_, {"/app/nobody"});
        EXPECT_EQ(to_another.code, 1);
        EXPECT_THAT(to_another.err, HasSubstr("not_found"));
        tree.end();
    }
    left.check();
}

TEST_F(ScriptRecord, EndsWithASignalAfterATimeAndWithTheTree) {
    leftovers left;
    plugin_tree tree;
    {
        program recorder{{"script", "record", "/app/plugin", "--no-pauses", "--verbose"}};
        await_recording(recorder);
        EXPECT_EQ(coppice_says({"send", "/app/plugin", "add", "5"}).code, 0);
        await_that([&] { return recorder.out().find("::add\", 5))\n") != std::string::npos; });
        recorder.signal(SIGINT);
        EXPECT_EQ(recorder.wait(), 0) << recorder.err();
        EXPECT_THAT(recorder.out(), HasSubstr("-- 1 message\n"));
        EXPECT_THAT(recorder.out(), Not(HasSubstr("\npause(")));
    }
    const outcome timed = coppice_says({"script", "record", "/app/plugin", "--for", "20ms"});
    EXPECT_EQ(timed.code, 0) << timed.err;
    EXPECT_THAT(timed.out, HasSubstr("-- 0 messages\n"));
    program recorder{{"script", "record", "/app/plugin", "--verbose"}};
    await_recording(recorder);
    tree.end();
    EXPECT_EQ(recorder.wait(), 4) << recorder.err();
    EXPECT_THAT(recorder.err(), HasSubstr("/app/plugin has ended"));
    EXPECT_THAT(recorder.out(), HasSubstr("-- 0 messages\n"));
    left.check();
}

TEST_F(ScriptRecord, SaysWhatIsWrong) {
    leftovers left;
    plugin_tree tree;
    EXPECT_EQ(coppice_says({"script", "record", "/app/nobody"}).code, 3);
    EXPECT_EQ(coppice_says({"script", "record", "/none/plugin"}).code, 3);
    EXPECT_EQ(coppice_says({"script", "record", "/app/plugin", "--for", "10"}).code, 2);
    const outcome no_file =
        coppice_says({"script", "record", "/app/plugin", "--output", files_.path("no/file")});
    EXPECT_EQ(no_file.code, 1);
    EXPECT_THAT(no_file.err, HasSubstr("cannot be written: No such file or directory"));
    const outcome full = coppice_says({"script", "record", "/app/plugin", "--output", "/dev/full"});
    EXPECT_EQ(full.code, 1);
    EXPECT_THAT(full.err, HasSubstr("/dev/full cannot be written: No space left on device"));
    tree.end();
    left.check();
}

// ---------------------------------------------------------------- whatever a message holds

struct parcel {
    std::string text;
    ref<> to;
};
struct own_tick {
    std::uint64_t number = 0;
};
using keeper_protocol = protocol<parcel, own_tick, any_request, value>;

struct kept {
    std::mutex mutex;
    std::vector<std::string> all;  // what came, as text: of each value its kind and all of its bits
    void add(std::string text) {
        const std::lock_guard lock{mutex};
        all.push_back(std::move(text));
    }
    std::vector<std::string> get() {
        const std::lock_guard lock{mutex};
        return all;
    }
};

std::string exactly(const value& v) {
    if (const auto* real = v.get_if<double>())
        return fmt::format("bits {:x}", std::bit_cast<std::uint64_t>(*real));
    return fmt::format("{} {}", static_cast<int>(v.kind()), to_string(v, 1 << 20));
}

task<> keeper(actor<keeper_protocol> self, std::shared_ptr<kept> into) {
    self.send_after<own_tick>(std::chrono::nanoseconds{1}, 1u);
    while (auto m = co_await self.receive())
        m.match(
            [&](const parcel& p) {
                into->add("parcel " + p.text + (p.to == ref<>{self.me()} ? " to itself" : " to another"));
            },
            [](const own_tick&) {},
            [&](request<any_request> r) {
                into->add("asked " + exactly(r->what));
                r.reply(value{"answer"});
            },
            [&](const value& v) { into->add(exactly(v)); });
}

/// A tree in this process that the command can find.
class keeper_tree {
public:
    keeper_tree() {
        node_options o = quiet(2);
        o.control = true;
        node_ = std::make_unique<node>("shop", o);
        EXPECT_TRUE(node_->start(supervisor_spec{}.add(child("keeper", in_coroutine, keeper, into_))));
    }
    [[nodiscard]] ref<keeper_protocol> keeper_ref() const {
        return *node_->resolve<keeper_protocol>("keeper");
    }
    [[nodiscard]] node& self() { return *node_; }
    [[nodiscard]] std::vector<std::string> kept_now() { return into_->get(); }

private:
    std::shared_ptr<kept> into_ = std::make_shared<kept>();
    std::unique_ptr<node> node_;
};

std::vector<value> unusual_values() {
    using limit = std::numeric_limits<double>;
    value deep{1};
    for (int i = 0; i < 20; ++i)
        deep = i % 2 ? value{value::list{deep}} : value{value::map{{value{"in"}, deep}}};
    value::bytes all;
    for (int i = 0; i < 256; ++i) all.push_back(static_cast<std::byte>(i));
    return {value{},
            value{true},
            value{INT64_MIN},
            value{UINT64_MAX},
            value{limit::quiet_NaN()},
            value{-limit::infinity()},
            value{-0.0},
            value{0.1},
            value{std::string{"nul \0 digit 1 \" \\ ]] \n \x1b \xc3\xa4", 25}},
            value{all},
            value{value::list{value{}, value{}}},
            value{value::map{}},
            value{value::record{{value{1}, value{"two"}}, type_id("shop::unknown")}},
            deep};
}

TEST_F(ScriptRecord, EveryValueArrivesTheSecondTimeAsTheFirst) {
    leftovers left;
    register_builtin_transports();
    std::vector<std::string> first;
    const std::vector<value> values = unusual_values();
    {
        keeper_tree tree;
        program recorder{{"script", "record", "/shop/keeper", "--no-pauses", "--output", script_, "--count",
                          std::to_string(values.size() + 2), "--verbose"}};
        await_recording(recorder);
        for (const value& v : values) tree.self().send<value>(tree.keeper_ref(), v);
        EXPECT_TRUE(tree.self().ask<any_request>(tree.keeper_ref(), 60s, value{"question"}));
        tree.self().send<parcel>(tree.keeper_ref(), "box", ref<>{tree.keeper_ref()});
        EXPECT_EQ(recorder.wait(), 0) << recorder.err();
        await_that([&] { return tree.kept_now().size() == values.size() + 2; });
        first = tree.kept_now();
    }
    {
        keeper_tree tree;
        const outcome replayed = replay("shop", script_);
        EXPECT_EQ(replayed.code, 0) << replayed.err << content(script_);
        EXPECT_THAT(replayed.err, HasSubstr("request 1: \"answer\""));
        await_that([&] { return tree.kept_now().size() >= first.size(); });
        EXPECT_EQ(tree.kept_now(), first) << content(script_);
    }
    left.check();
}

TEST_F(ScriptRecord, SaysInPlaceOfAMessageWhyItIsNotSentAgain) {
    leftovers left;
    register_builtin_transports();
    keeper_tree tree;
    program recorder{{"script", "record", "/shop/keeper", "--output", script_, "--count", "3", "--verbose"}};
    await_recording(recorder);
    tree.self().send<value>(tree.keeper_ref(), value{std::string{"\xff"}});
    tree.self().send<value>(tree.keeper_ref(), value{value::map{{value{1}, value{1}}, {value{1}, value{2}}}});
    tree.self().send<value>(tree.keeper_ref(), value{std::string(limits::mail_content + 1, 'x')});
    EXPECT_EQ(recorder.wait(), 0);
    EXPECT_THAT(recorder.err(), HasSubstr("3 messages are not sent again"));
    const std::string text = content(script_);
    EXPECT_THAT(text, HasSubstr("-- not sent again: coppice::value: it holds a text that is no UTF-8\n"));
    EXPECT_THAT(text, HasSubstr("it holds a map that has a key twice\n"));
    EXPECT_THAT(text, ContainsRegex("it has [0-9]+ bytes, more than limits::mail_content\n"));
    EXPECT_EQ(replay("shop", script_).code, 0);
}

struct messages_of_script {
    std::size_t told = 0;
    std::size_t missed = 0;
};
messages_of_script messages_in(const std::string& text) {
    messages_of_script all;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        all.told += line.starts_with("-- not sent again: ");
        if (line.starts_with("-- missed: ")) all.missed += std::strtoull(line.c_str() + 11, nullptr, 10);
    }
    return all;
}

// A reader that takes nothing: what waits for it has its bounds, and what was missed stands in the script.
TEST_F(ScriptRecord, WhatComesFasterThanItCanBeWrittenIsMissedAndTold) {
    leftovers left;
    register_builtin_transports();
    keeper_tree tree;
    const std::string fifo = files_.path("fifo");
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    const int end = ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    ASSERT_GE(end, 0);
    const std::string junk(4096, '-');
    while (::write(end, junk.data(), junk.size()) > 0) {
    }
    program recorder{{"script", "record", "/shop/keeper", "--output", fifo, "--verbose"}};
    await_recording(recorder);
    constexpr std::size_t count = 200;
    const value large{std::string(200'000, '\xff')};
    for (std::size_t i = 0; i < count; ++i) tree.self().send<value>(tree.keeper_ref(), large);
    await_that([&] { return tree.kept_now().size() == count; });  // it waits for nobody
    std::string text;
    char piece[4096];
    await_that([&] {
        for (ssize_t n = 0; (n = ::read(end, piece, sizeof piece)) > 0;)
            text.append(piece, static_cast<std::size_t>(n));
        return recorder.has_ended() || messages_in(text).told + messages_in(text).missed >= count;
    });
    recorder.signal(SIGINT);
    EXPECT_EQ(recorder.wait(), 1);
    EXPECT_THAT(recorder.err(), HasSubstr("messages came faster than they could be recorded"));
    EXPECT_GT(messages_in(text).missed, 0u);
    EXPECT_EQ(messages_in(text).told + messages_in(text).missed, count);
    ::close(end);
    ::unlink(fifo.c_str());
}

}  // namespace
}  // namespace coppice::tests
