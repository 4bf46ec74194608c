// Scripts (coppice/actors/script.hpp): what a script can do, and what it cannot. Worlds on virtual time where no file or process
// is needed; a script tells the test what it saw by answering requests, and by its log.
#include "coppice/actors/script.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "coppice/any_request.hpp"
#include "coppice/tagged.hpp"
#include "coppice/testing/probe.hpp"
#include "coppice/testing/world.hpp"
#include "support/own_directory.hpp"
#include "support/play.hpp"

namespace coppice::tests {
namespace {

using actors::script_options;
using testing::world;

class Script : public ::testing::Test {
protected:
    static testing::world_options with_log() {
        testing::world_options o;
        o.level = level::debug;
        return o;
    }
    static script_options source(std::string text) {
        script_options o;
        o.source = std::move(text);
        return o;
    }
    static child_spec spec(const std::string& name, script_options o) {
        return child(name, in_coroutine, actors::script, std::move(o)).restarts(restart::temporary);
    }
    /// A tree with that one script.
    result<ref<supervisor_protocol>> start(script_options o) {
        supervisor_spec tree;
        tree.add(spec("s", std::move(o)));
        return world_.start(tree);
    }
    ref<anything> script(std::string_view path = "/app/s") {
        auto found = world_.resolve<anything>(path);
        EXPECT_TRUE(found) << path << ": " << found.error().what();
        return found ? *found : ref<anything>{};
    }
    value ask(value v, std::string_view path = "/app/s") {
        auto told = world_.ask<any_request>(script(path), std::move(v));
        EXPECT_TRUE(told) << told.error().what();
        return told ? *std::move(told) : value{};
    }
    /// What a script without awaits returns by answering the one request that it waits for.
    value result_of(const std::string& body) {
        auto started = start(source("local function run() " + body +
                                    " end\nlocal m = coppice.receive()\nm:reply(run())\ncoppice.receive()"));
        EXPECT_TRUE(started) << started.error().what();
        return ask(value{});
    }
    bool logged(const std::string& part) {
        return std::ranges::any_of(
            world_.log(), [&](const auto& line) { return line.text.find(part) != std::string::npos; });
    }
    std::string all_log() {
        std::string all;
        for (const auto& line : world_.log()) all += line.path + ": " + line.text + "\n";
        return all;
    }
    /// Starts it, lets it go on, and expects that it failed with this in its reason.
    void expect_failure(script_options o, const std::vector<std::string>& parts) {
        o.source = "coppice.sleep(1)\n" + o.source;
        auto started = start(std::move(o));
        ASSERT_TRUE(started) << started.error().what();
        world_.advance(2s);
        EXPECT_FALSE(world_.running("/app/s")) << "it goes on";
        for (const std::string& part : parts)
            EXPECT_TRUE(logged(part)) << part << " is not in:\n" << all_log();
    }

    world world_{1, with_log()};
};

// ---------------------------------------------------------------- mail

TEST_F(Script, AnswersRequestsAndTakesMessagesInOrder) {
    ASSERT_TRUE(start(source(R"(
        local sum = 0
        for mail in coppice.mails() do
            if mail.asked then mail:reply(sum) else sum = sum * 10 + mail.value end
        end
    )")));
    for (int i = 1; i <= 3; ++i) world_.send<value>(script(), value{i});
    EXPECT_EQ(ask(value{}), value{std::int64_t{123}});
}

TEST_F(Script, RefusesARequestWithATextThatTheAskerGets) {
    ASSERT_TRUE(start(source("for mail in coppice.mails() do mail:fail('not today') end")));
    auto told = world_.ask<any_request>(script(), value{});
    ASSERT_FALSE(told);
    EXPECT_EQ(told.error(), errc::failed);
    EXPECT_EQ(told.error().text(), "not today");
}

TEST_F(Script, AsksAnotherScriptAndGetsItsAnswerOrWhatCameInItsPlace) {
    supervisor_spec tree;
    tree.add(spec("double", source("for mail in coppice.mails() do mail:reply(mail.value * 2) end")))
        .add(spec("silent",
                  source("local kept = {} for mail in coppice.mails() do kept[#kept + 1] = mail end")))
        .add(spec("s", source(R"(
            local double, silent = coppice.find("/app/double"), coppice.find("silent")
            local nobody, why = coppice.find("/app/nobody")
            for mail in coppice.mails() do
                local twice = coppice.ask(double, mail.value, 1)
                local nothing, late = coppice.ask(silent, 1, 0.5)
                mail:reply{twice = twice, late = late.code, why = why.code, nobody = nobody == nil}
            end
        )")));
    ASSERT_TRUE(world_.start(tree));
    const auto before = world_.now();
    EXPECT_EQ(to_string(ask(value{21})),
              R"({"late": "timeout", "nobody": true, "twice": 42, "why": "not_found"})");
    EXPECT_GE(world_.now() - before, 500ms);
}

TEST_F(Script, ReceivesByTypeAndLeavesOtherMailInOrder) {
    ASSERT_TRUE(start(source(R"(
        local seen = {}
        local function take(mail) seen[#seen + 1] = mail.type .. ":" .. tostring(mail.value[1] or mail.value) end
        coppice.sleep(1)
        take(coppice.receive{types = {"shop::order"}})
        take(coppice.receive()) take(coppice.receive()) take(coppice.receive())
        local none, why = coppice.receive{types = "shop::order", within = 2}
        seen[#seen + 1] = why.code
        coppice.receive():reply(table.concat(seen, " "))
        coppice.receive()
    )")));
    const auto order = [](int n) { return value{value::record{{n}, type_id("shop::order")}}; };
    world_.send<value>(script(), value::record{{7}, type_id("shop::bill")});
    world_.send<value>(script(), value::list{std::int64_t{1}});
    world_.send<value>(script(), order(2));
    world_.send<value>(script(), order(3));
    world_.advance(4s);
    char bill[32];
    std::snprintf(bill, sizeof bill, "#%016lx", type_id("shop::bill"));
    EXPECT_EQ(to_string(ask(value{})),
              "\"shop::order:2 " + std::string{bill} + ":7 value:1 shop::order:3 timeout\"");
}

// Types of this file, for scripts by the names that they have in C++.
struct order {
    int number = 0;
    std::string what;
};
struct bill {
    int amount = 0;
};

TEST_F(Script, SendsToCppActorsAsTheTypeThatItNames) {
    ASSERT_TRUE(start(source("local order = coppice.type('" + std::string{message_name<order>} +
                             "', 'number', 'what')\n"
                             "local mail = coppice.receive()\n"
                             "coppice.send(mail.sender, order{what = 'tea', number = 7})\n"
                             "coppice.receive()")));
    std::string seen;
    play<protocol<order>>(
        world_,
        [](actor<protocol<order>> self, ref<anything> to, std::string* told) -> task<> {
            self.send<value>(to, value{"which?"});
            auto m = co_await self.receive(5s);
            REQUIRE_OR_END(m);
            m->match([&](const order& o) { *told = std::to_string(o.number) + o.what; });
        },
        script(), &seen);
    EXPECT_EQ(seen, "7tea");
}

TEST_F(Script, AMessageOfACppTypeOfThisProcessIsADeadLetterAndTheScriptGoesOn) {
    ASSERT_TRUE(start(source("for mail in coppice.mails() do mail:reply('still here') end")));
    world_.send<bill>(script(), 5);
    EXPECT_EQ(ask(value{}), value{"still here"});
    EXPECT_EQ(world_.inspect().dead_letter_count, 1u);
}

// ---------------------------------------------------------------- groups, timers, ends of others

TEST_F(Script, JoinsGroupsPublishesAndLeaves) {
    supervisor_spec tree;
    tree.add(spec("listener", source(R"(
            coppice.join("news")
            local n = 0
            for mail in coppice.mails() do
                if mail.asked then mail:reply(n) else n = n + mail.value end
                if n == 5 then coppice.leave("news") end
            end
        )")))
        .add(spec("s", source(R"(
            for mail in coppice.mails() do mail:reply(coppice.publish("news", mail.value)) end
        )")));
    ASSERT_TRUE(world_.start(tree));
    world_.run_until_idle();
    EXPECT_EQ(ask(value{5}), value{std::int64_t{1}});
    world_.run_until_idle();
    EXPECT_EQ(ask(value{1}), value{std::int64_t{0}});
    EXPECT_EQ(ask(value{}, "/app/listener"), value{std::int64_t{5}});
}

TEST_F(Script, RunsTimersBesideTheScriptAtAFixedRateUntilTheyAreCancelled) {
    ASSERT_TRUE(start(source(R"(
        local ticks, late = 0, nil
        local tick = coppice.every(1, function() ticks = ticks + 1 coppice.sleep(0.5) end)
        coppice.after(3.25, function() late = ticks end)
        local never = coppice.after(1, function() error("cancelled") end)
        never:cancel()
        for mail in coppice.mails() do
            mail:reply{ticks, late or -1}
            if mail.value == "cancel" then tick:cancel() end
        end
    )")));
    world_.advance(2600ms);
    EXPECT_EQ(to_string(ask(value{"how many"})), "[2, -1]");
    world_.advance(1s);
    EXPECT_EQ(to_string(ask(value{"cancel"})), "[3, 3]");
    world_.advance(10s);
    EXPECT_EQ(to_string(ask(value{"after"})), "[3, 3]");
    EXPECT_TRUE(world_.running("/app/s")) << all_log();
}

TEST_F(Script, AnErrorInATimerEndsTheActor) {
    expect_failure(source("coppice.after(0.5, function() error('tick failed') end) coppice.receive()"),
                   {"script:2: tick failed"});
}

TEST_F(Script, HearsOfTheEndOfWhomItMonitors) {
    supervisor_spec tree;
    tree.add(spec("mortal", source("coppice.receive() error('struck')"))).add(spec("s", source(R"(
            local mortal = coppice.find("/app/mortal")
            local number = coppice.monitor(mortal)
            coppice.send(mortal, "die")
            local mail = coppice.receive{types = {"down"}}
            local same = mail.who == mortal and mail.monitor == number
            coppice.receive():reply(mail.kind .. " " .. tostring(same) .. " " .. mail.reason)
            coppice.receive()
        )")));
    ASSERT_TRUE(world_.start(tree));
    const auto told = to_string(ask(value{}));
    EXPECT_TRUE(told.starts_with("\"error true ")) << told;
    EXPECT_NE(told.find("script:1: struck"), std::string::npos) << told;
}

// ---------------------------------------------------------------- start, stop, reload

TEST_F(Script, IsToldToStopAndMayCleanUpWhatItHolds) {
    ASSERT_TRUE(start(source(R"(
        local mail, why = coppice.receive()
        mail, why = coppice.receive()
        coppice.log.info("told " .. why.code .. " " .. tostring(coppice.stopping()))
    )")));
    world_.run_until_idle();
    world_.send<value>(script(), value{1});
    world_.stop(script());
    world_.advance(1s);
    EXPECT_FALSE(world_.running("/app/s"));
    EXPECT_TRUE(logged("told stopping true")) << all_log();
}

TEST_F(Script, AScriptThatIgnoresBeingStoppedEndsAllTheSame) {
    ASSERT_TRUE(start(source("while true do coppice.receive() end")));
    world_.run_until_idle();
    world_.stop(script());
    world_.advance(1s);
    EXPECT_FALSE(world_.running("/app/s"));
    EXPECT_TRUE(logged("goes on receiving after it was asked to stop")) << all_log();
}

TEST_F(Script, MayEndItselfWithATextOfItsOwn) {
    expect_failure(source("coppice.fail('no rules')"), {"failed: no rules"});
}

TEST_F(Script, AMistakeOfSyntaxIsAFailedStartWithFileAndLine) {
    const own_directory files;
    std::ofstream{files.path("rules.lua")} << "local a = 1\nlocal b = = 2\n";
    script_options o;
    o.file = files.path("rules.lua");
    auto checked = actors::check_script(o);
    ASSERT_FALSE(checked);
    EXPECT_NE(checked.error().text().find("rules.lua:2:"), std::string::npos) << checked.error().what();
    auto started = start(o);
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().what().find("rules.lua:2:"), std::string::npos) << started.error().what();
}

TEST_F(Script, AFileThatIsNotThereOrIsNoneIsAFailedStart) {
    script_options o;
    o.file = "/nowhere/rules.lua";
    auto started = start(o);
    ASSERT_FALSE(started);
    EXPECT_NE(started.error().what().find("/nowhere/rules.lua: No such file"), std::string::npos)
        << started.error().what();
    o.file = "/dev/null";
    EXPECT_NE(actors::check_script(o).error().what().find("not a file"), std::string::npos);
}

TEST_F(Script, ARestartReadsTheFileAnewAndMailWaitsForIt) {
    const own_directory files;
    const auto write = [&](int version) {
        std::ofstream{files.path("rules.lua")} << "local version = " << version << R"(
            for mail in coppice.mails() do
                if mail.value == "crash" then error("told to crash") end
                mail:reply(version)
            end)";
    };
    write(1);
    script_options o;
    o.file = files.path("rules.lua");
    supervisor_spec tree;
    tree.add(child("s", in_coroutine, actors::script, o));
    ASSERT_TRUE(world_.start(tree));
    EXPECT_EQ(ask(value{}), value{std::int64_t{1}});
    write(2);
    EXPECT_EQ(ask(value{}), value{std::int64_t{1}});
    world_.send<value>(script(), value{"crash"});
    EXPECT_EQ(ask(value{}), value{std::int64_t{2}});
    EXPECT_EQ(world_.restarts("/app/s"), 1u);
    EXPECT_TRUE(logged("rules.lua:3: told to crash")) << all_log();
}

TEST_F(Script, AShutdownIsToldOnceAndTheScriptMayStillAskAndSend) {
    supervisor_spec tree;
    tree.add(spec("other", source("for mail in coppice.mails() do mail:reply('saved ' .. mail.value) end")))
        .add(spec("s", source(R"(
            local other = coppice.find("other")
            local slept, why = coppice.sleep(3600)
            coppice.log.info(tostring(slept) .. " " .. tostring(why) .. " " .. coppice.ask(other, "it", 1))
        )")));
    ASSERT_TRUE(world_.start(tree));
    world_.run_until_idle();
    play<anything>(
        world_, [](actor<anything> self, ref<anything> who) -> task<> { co_return self.shutdown(who, 5s); },
        script());
    world_.advance(1s);
    EXPECT_FALSE(world_.running("/app/s"));
    EXPECT_TRUE(logged("nil stopping saved it")) << all_log();
}

TEST_F(Script, AKillEndsItWhateverItWaitsFor) {
    ASSERT_TRUE(start(
        source("coppice.every(1, function() coppice.sleep(5) end) while true do coppice.sleep(3600) end")));
    world_.advance(3s);
    world_.kill(script());
    world_.advance(1s);
    EXPECT_FALSE(world_.running("/app/s"));
}

// A script can be a process child: what it is started with travels.
static_assert(has_wire_form<script_options>);

// ---------------------------------------------------------------- limits

TEST_F(Script, AnEndlessLoopEndsWithScriptLineAndLimit) {
    script_options o = source("local n = 0\nwhile true do\nn = n + 1\nend");
    o.instructions = 100'000;
    expect_failure(
        o, {"script:4: the script ran more than 100000 instructions", "script_options::instructions"});
}

TEST_F(Script, NoPcallHoldsALimitUp) {
    for (const char* body :
         {"while true do pcall(function() while true do end end) end",
          "local function f() pcall(f) f() end pcall(f) while true do pcall(f) end",
          "while true do xpcall(function() while true do end end, function() while true do end end) end",
          "table.sort({3, 2, 1}, function() while true do pcall(function() while true do end end) end end)",
          "table.sort({3, 2, 1}, function() xpcall(function() while true do end end, function() while true "
          "do end end) end)",
          // The stack has been deeper, so that the handler needs no memory, which it would not get.
          "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 0 end deep(50) "
          "table.sort({3, 2, 1}, function() xpcall(function() while true do end end, function() while true "
          "do end end) "
          "end)",
          "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
          "while true do coroutine.wrap(function() while true do end end)() end",
          "while true do pcall(coroutine.wrap(function() while true do pcall(error) end end)) end",
          "setmetatable({}, {__index = function() while true do end end}).x = nil local _ = setmetatable({}, "
          "{__index = function() while true do end end}).x",
          "load('while true do end')()", "while true do pcall(string.rep, 'x', 1e9) end",
          "string.find(('a'):rep(5000), ('.-'):rep(30) .. 'b')",
          "while true do pcall(string.gsub, ('a'):rep(5000), ('.-'):rep(30) .. 'b', '') end",
          "string.find(('a'):rep(1000000), ('a'):rep(500000) .. 'b', 1, true) while true do end",
          "string.rep('', 1 << 60) while true do end", "table.move({}, 1, 1 << 60, 2)",
          "table.insert(setmetatable({}, {__len = function() return 1 << 60 end}), 1, 1)",
          "while true do load(('x = 1 '):rep(10000)) end"}) {
        world fresh{1, with_log()};
        script_options o = source(std::string{"coppice.sleep(1)\n"} + body);
        o.instructions = 100'000;
        supervisor_spec tree;
        tree.add(spec("s", o));
        ASSERT_TRUE(fresh.start(tree));
        fresh.advance(2s);
        EXPECT_FALSE(fresh.running("/app/s")) << body;
        EXPECT_TRUE(std::ranges::any_of(fresh.log(), [](const auto& line) {
            return line.text.find("(script_options::") != std::string::npos;
        })) << body;
    }
}

TEST_F(Script, MemoryBeyondTheLimitIsAnErrorThatNamesIt) {
    for (const char* body :
         {"local t = {} for i = 1, 1e9 do t[i] = 'element ' .. i end", "string.rep('x', 1e9)",
          "local s = 'x' while true do s = s .. s end",
          "local t = {} while true do pcall(function() for i = 1, 1e9 do t[#t + 1] = {} end end) end",
          "local t = {} pcall(function() for i = 1, 1e9 do t[i] = {} end end) t = nil coppice.sleep(100)"}) {
        world fresh{1, with_log()};
        script_options o = source(std::string{"coppice.sleep(1)\n"} + body);
        o.memory = 1u << 20;
        supervisor_spec tree;
        tree.add(spec("s", o));
        ASSERT_TRUE(fresh.start(tree));
        fresh.advance(2s);
        EXPECT_FALSE(fresh.running("/app/s")) << body;
        EXPECT_TRUE(std::ranges::any_of(fresh.log(), [](const auto& line) {
            return line.text.find("script:2: the script needs more than 1048576 bytes of memory") !=
                   std::string::npos;
        })) << body;
    }
}

TEST_F(Script, PatternsDoWhatLuasManualSays) {
    EXPECT_EQ(
        to_string(result_of(R"lua(
        local function all(...) return {...} end
        local words = {}
        for k, v in ("a=1, b=22"):gmatch("(%w+)=(%w+)") do words[#words + 1] = k .. v end
        for p in ("abc"):gmatch("()") do words[#words + 1] = p end
        return {
            all(("hello world"):find("o w")), all(("hello"):find("l+")), all(("hello"):find("xyz")),
            all(("a.b"):find(".", 1, true)), all(("hello"):find("", 10)), all(("hello"):find("", 6)),
            all(("key = value"):match("^(%w+)%s*=%s*(%w+)$")), all(("  x "):match("^%s*(.-)%s*$")),
            all(("f(a(b)c)d"):match("%b()")), all(("THE (quick) fox"):find("%f[%a]%a+%f[%A]", 5)),
            all(("say 'it' and \"that\""):match("(['\"])(.-)%1")), all(("-12"):match("^[+-]?%d+$")),
            all(("]a-b^"):gsub("[]^-]", "")), all(("hello"):gsub("l", {l = "L"})), all(("hello"):gsub("", "-")),
            all(("abc"):gsub("%w", "%0%0", 2)), all(("abc"):gsub("b", function() return false end)),
            all(("a b"):gsub("(%w) (%w)", "%2 %1")), all(("x\0y"):find("\0")), words,
            pcall(string.find, "a", "[a"), pcall(string.find, "a", "%"), (pcall(string.gsub, "a", "a", "%9"))}
    )lua"),
                  4000),
        R"x([[5, 7], [3, 4], [], [2, 2], [], [6, 5], ["key", "value"], ["x"], ["(a(b)c)"], [6, 10], ["'", "it"], )x"
        R"x(["-12"], ["ab", 3], ["heLLo", 2], ["-h-e-l-l-o-", 6], ["aabbc", 2], ["abc", 1], ["b a", 1], [2, 2], )x"
        R"x(["a1", "b22", 1, 2, 3, 4], false, false, false])x");
}

TEST_F(Script, WhatLuasLibraryDoesToLargeTablesAndTextsCountsAsInstructions) {
    const std::string large =
        "local t = {} for i = 1, 20000 do t[i] = i end\n"
        "local s = ('x'):rep(1000000)\nlocal none = {} for i = 1, 20000 do none[i] = '' end\n";
    supervisor_spec tree;
    const std::vector<std::string> calls{"table.sort(t)",   "table.concat(none)",
                                         "table.unpack(t)", "string.byte(s, 1, 20000)",
                                         "utf8.len(s)",     "utf8.codepoint(s, 1, 20000)"};
    for (const std::string& call : calls) {
        auto o = source("coppice.sleep(1)\n" + large + "while true do " + call + " end");
        o.instructions = 1'000'000;
        tree.add(spec("s" + std::to_string(&call - calls.data()), std::move(o)));
    }
    ASSERT_TRUE(world_.start(tree));
    world_.advance(2s);
    for (std::size_t i = 0; i < calls.size(); ++i) {
        const std::string path = "/app/s" + std::to_string(i);
        EXPECT_FALSE(world_.running(path)) << calls[i];
        EXPECT_TRUE(std::ranges::any_of(world_.log(),
                                        [&](const auto& line) {
                                            return line.path == path &&
                                                   line.text.find("ran more than 1000000 instructions") !=
                                                       std::string::npos;
                                        }))
            << calls[i] << "\n"
            << all_log();
    }
}

TEST_F(Script, MailThatIsLargerThanItsMemoryIsRefusedAndTheScriptGoesOn) {
    auto o = source("for mail in coppice.mails() do if mail.asked then mail:reply(#mail.value) end end");
    o.memory = 1'000'000;
    ASSERT_TRUE(start(std::move(o)));
    const std::string large(2'000'000, 'x');
    value::list many;
    for (int i = 0; i < 100'000; ++i) many.emplace_back(i);
    for (const value& v : {value{large}, value{many}}) {
        const auto refused = world_.ask<any_request>(script(), v);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error(), errc::too_large) << refused.error().what();
    }
    const auto dead = world_.inspect().dead_letter_count;
    world_.send<value>(script(), value{large});
    EXPECT_EQ(ask(value{"small"}), value{std::int64_t{5}});
    EXPECT_EQ(world_.inspect().dead_letter_count, dead + 1);
    EXPECT_TRUE(logged("is refused"));
}

TEST_F(Script, AnAnswerThatIsLargerThanItsMemoryIsAnErrorThatItGets) {
    supervisor_spec tree;
    auto o = source("local peer = coppice.find('large')\nlocal m = coppice.receive()\n"
                    "local v, e = coppice.ask(peer, 1)\nm:reply(e.code)\ncoppice.receive()");
    o.memory = 1'000'000;
    tree.add(spec("large", source("for m in coppice.mails() do m:reply(('x'):rep(2000000)) end")))
        .add(spec("s", std::move(o)));
    ASSERT_TRUE(world_.start(tree));
    EXPECT_EQ(ask(value{}), value{"too_large"});
}

TEST_F(Script, TheLimitIsOfEachActivationNotOfALife) {
    script_options o = source(R"(
        for mail in coppice.mails() do
            local n = 0
            for i = 1, 1000 do n = n + i end
            mail:reply(n)
        end
    )");
    o.instructions = 10'000;
    ASSERT_TRUE(start(o));
    for (int i = 0; i < 100; ++i) EXPECT_EQ(ask(value{}), value{std::int64_t{500'500}});
}

TEST_F(Script, DeepRecursionIsAnErrorOfTheScriptAlone) {
    script_options o = source("local function f(n) return 1 + f(n + 1) end f(1)");
    o.memory = 64u << 20;
    expect_failure(o, {"script:2:", "stack overflow"});
}

TEST_F(Script, ErrorObjectsThatAreNoTextsAreToldToo) {
    expect_failure(source("error({text = 'from a table'})"), {"script:2: from a table"});
    for (const auto& [body, told] : std::vector<std::pair<const char*, const char*>>{
             {"error({})", "script:2: error object is a table"},
             {"error(nil)", "script:2: error object is a nil value"},
             {"error(setmetatable({}, {__tostring = function() while true do end end}))",
              "script:2: error object is a table"},
             {"error(function() end)", "script:2: error object is a function value"}}) {
        world fresh{1, with_log()};
        supervisor_spec tree;
        tree.add(spec("s", source(std::string{"coppice.sleep(1)\n"} + body)));
        ASSERT_TRUE(fresh.start(tree));
        fresh.advance(2s);
        EXPECT_TRUE(std::ranges::any_of(fresh.log(), [&](const auto& line) {
            return line.text.find(told) != std::string::npos;
        })) << body;
    }
}

// ---------------------------------------------------------------- the sandbox

TEST_F(Script, HasNothingThatReachesFilesProcessesBytecodeOrTheInterpreter) {
    EXPECT_EQ(to_string(result_of(R"(
        local there = {}
        for _, name in ipairs{"io", "debug", "package", "dofile", "loadfile", "os.execute", "os.exit", "os.getenv",
                              "os.remove", "os.tmpname", "string.dump"} do
            local at = _G
            for part in name:gmatch("[^.]+") do at = at and at[part] end
            if at ~= nil then there[#there + 1] = name end
        end
        local compiled = "\27Lua"
        local code, why = load(compiled, "x", "b")
        local by_function = pcall(load, function() return compiled end)
        return {#there, code == nil, tostring(why):find("binary") ~= nil, by_function,
                getmetatable("") == false, pcall(setmetatable, {}, {__gc = function() end}),
                pcall(require, "io"), pcall(require, "../secret"), (pcall(collectgarbage, "stop"))}
    )")),
              "[0, true, true, false, true, false, false, false, false]");
}

TEST_F(Script, RequiresWhatItIsPermittedFromBesideItsFile) {
    const own_directory files;
    std::ofstream{files.path("rates.lua")} << "return {tea = 3}";
    std::ofstream{files.path("secret.lua")} << "return 1";
    std::ofstream{files.path("rules.lua")}
        << "local rates = require('rates')\nlocal ok, why = pcall(require, 'secret')\n"
           "for mail in coppice.mails() do mail:reply{rates.tea, require('rates') == rates, ok, why} end";
    script_options o;
    o.file = files.path("rules.lua");
    o.modules = {"rates"};
    ASSERT_TRUE(start(o));
    EXPECT_EQ(to_string(ask(value{})),
              R"([3, true, false, "module 'secret' is not among those that this script may require"])");
}

// ---------------------------------------------------------------- values

TEST_F(Script, ValuesOfEveryKindComeBackAsTheyWent) {
    ASSERT_TRUE(start(source("for mail in coppice.mails() do mail:reply(mail.value) end")));
    const value::bytes bytes{std::byte{0}, std::byte{0xff}, std::byte{'a'}};
    const std::vector<value> all{
        value{},
        value{true},
        value{std::int64_t{-5}},
        value{INT64_MIN},
        value{UINT64_MAX},
        value{2.5},
        value{2.0},
        value{"text with \0 inside, and \u00fc"},
        value{std::string{"a\0b", 3}},
        value{bytes},
        value{value::bytes{}},
        value{value::list{}},
        value{value::map{}},
        value{value::record{}},
        value{value::list{value{}, value{1}, value{}}},
        value{
            value::record{{value{1}, value{"two"}, value{value::list{value{3.0}}}}, type_id("shop::order")}},
        value{value::record{{value{UINT64_MAX}, value{bytes}}, type_id(message_name<tagged>)}},
        value{
            value::map{{value{1}, value{"one"}}, {value{"b"}, value{value::map{}}}, {value{"c"}, value{}}}}};
    for (const value& one : all) EXPECT_EQ(ask(one), one) << to_string(one);
}

TEST_F(Script, TablesBecomeListsMapsAndRecords) {
    EXPECT_EQ(
        to_string(result_of(R"(
        local point = coppice.type("geo::point", "x", "y")
        local p = point{y = 2}
        p.x = 1
        local wrong, why = pcall(point, {z = 1})
        return {{1, 2, "three"}, {a = 1, [10] = {}}, coppice.map{}, coppice.record(nil, 1, nil, "x"), p, p.y, wrong,
                coppice.bytes("\255"), coppice.unsigned("18446744073709551615")}
    )")),
        R"([[1, 2, "three"], {10: [], "a": 1}, {}, (1, nothing, "x"), (1, 2), 2, false, x'ff', 18446744073709551615])");
}

TEST_F(Script, WhatCannotBeSentIsAnErrorOfTheScript) {
    EXPECT_EQ(to_string(result_of(R"(
        local me, said = coppice.self(), {}
        local loop = {} loop[1] = loop
        local wide = {1} for i = 1, 40 do wide = {wide, wide} end
        local half = {1} for i = 1, 28 do half = {half, half} end
        for i, what in ipairs{print, loop, wide, half, "\255", coroutine.create(print)} do
            local ok, why = pcall(coppice.send, me, what)
            said[i] = tostring(ok) .. " " .. why
        end
        return table.concat(said, "; ")
    )"),
                        4000),
              "\"false a function cannot be sent; false nested more than 32 deep (limits::wire_nesting), or "
              "a table that "
              "holds itself; false nested more than 32 deep (limits::wire_nesting), or a table that holds "
              "itself; false the "
              "message takes more than 16777216 bytes of memory (script_options::memory); false a string "
              "that is no UTF-8 "
              "text cannot be sent: make it coppice.bytes(...); false a thread cannot be sent\"");
}

TEST_F(Script, RefsTravelInMessagesBetweenScriptsOfAProcess) {
    supervisor_spec tree;
    tree.add(spec("registry", source(R"(
            local known = {}
            for mail in coppice.mails() do
                if mail.asked then mail:reply(known[mail.value]) else known[mail.value.name] = mail.value.who end
            end
        )")))
        .add(spec("service", source(R"(
            local registry = coppice.find("registry")
            coppice.send(registry, {name = "adder", who = coppice.self()})
            for mail in coppice.mails() do mail:reply(mail.value + 1) end
        )")))
        .add(spec("s", source(R"(
            for mail in coppice.mails() do
                local who = coppice.ask(coppice.find("registry"), "adder")
                mail:reply{coppice.ask(who, mail.value), who == coppice.find("service"), tostring(who)}
            end
        )")));
    ASSERT_TRUE(world_.start(tree));
    world_.run_until_idle();
    EXPECT_EQ(to_string(ask(value{41})), R"([42, true, "/app/service"])");
}

// ---------------------------------------------------------------- coroutines

TEST_F(Script, CoroutinesOfAScriptMayWait) {
    EXPECT_EQ(to_string(result_of(R"(
        local steps = {}
        local co = coroutine.wrap(function(a)
            coppice.sleep(1)
            local b = coroutine.yield(a + 1)
            local inner = coroutine.wrap(function() coppice.sleep(1) coroutine.yield("inner") end)
            return b .. inner()
        end)
        return {co(1), co("x")}
    )")),
              R"([2, "xinner"])");
}

TEST_F(Script, YieldingWhereThereIsNoCoroutineIsAnError) {
    expect_failure(source("coroutine.yield(1)"), {"script:2: coroutine.yield outside of a coroutine"});
}

TEST_F(Script, GetsItsArgumentsAndThePathThatItRunsAt) {
    script_options o =
        source("local a, b = ... for mail in coppice.mails() do mail:reply{a, b, coppice.path()} end");
    o.arguments = {"one", ""};
    ASSERT_TRUE(start(o));
    EXPECT_EQ(to_string(ask(value{})), R"(["one", "", "/app/s"])");
}

}  // namespace
}  // namespace coppice::tests
