// The observer of coppice/actors/observer.hpp: a real node with a gateway, watched over a real WebSocket; and, on virtual time,
// that nobody waits for it.
#include "coppice/actors/observer.hpp"

#include <signal.h>

#include <algorithm>
#include <mutex>

#include "actors/observer_rig.hpp"

namespace coppice::tests::observed {
namespace {

class Observer : public observer_rig {};

TEST_F(Observer, ASnapshotComesFirstAndThenWhatIsDifferent) {
    const std::uint16_t port = observe();
    view v{port};
    v.until([&] { return v.whole_parts.size() == 64 && v.topics.contains("nodes"); });
    for (const char* path : {"/app", "/app/web", "/app/observer", "/app/crasher", "/app/crowd"})
        ASSERT_NE(v.actor_at(path), nullptr) << path;
    EXPECT_EQ(text_of(*v.actor_at("/app/crasher"), "carrier"), "coroutine on scheduler 0");
    EXPECT_EQ(text_of(v.topics["observer"], "tree"), "/app");
    // An actor more, some mail, and an actor less.
    add(child("late", in_coroutine, crasher).restarts(restart::temporary));
    v.until([&] { return v.actor_at("/app/late") != nullptr; });
    const auto late = at<crasher_protocol>("/app/late");
    for (int i = 0; i < 7; ++i) app_.send<count_one>(late, 1u);
    v.until([&] { return number_of(*v.actor_at("/app/late"), "received") == 7; });
    app_.shutdown(late);
    v.until([&] { return v.actor_at("/app/late") == nullptr; });
}

TEST_F(Observer, AnActorThatCrashesShowsItsRestartAndItsLog) {
    const std::uint16_t port = observe();
    view v{port};
    v.until([&] { return v.actor_at("/app/crasher") != nullptr; });
    EXPECT_EQ(number_of(*v.actor_at("/app/crasher"), "restarts"), 0u);
    app_.send<crash_now>(at<crasher_protocol>("/app/crasher"));
    v.until([&] { return number_of(*v.actor_at("/app/crasher"), "restarts") == 1; });
    v.until([&] { return v.has_event("restart", "/app/crasher", "was restarted, 1 in all"); });
    const auto told = [](const value& line) {
        return text_of(line, "text").find("told to crash") != std::string::npos;
    };
    v.until([&] { return std::any_of(v.log.begin(), v.log.end(), told); });
}

TEST_F(Observer, ADeadLetterIsShownWithItsTargetAndReason) {
    const std::uint16_t port = observe();
    view v{port};
    v.until([&] { return v.topics.contains("dead_letters"); });
    const auto late =
        add(child("late", in_coroutine, crasher).restarts(restart::temporary)).assume<crasher_protocol>();
    app_.shutdown(late);
    v.until([&] { return v.actor_at("/app/late") == nullptr && v.topics.contains("nodes"); });
    while (app_.resolve<crasher_protocol>("/app/late")) v.next();
    app_.send<count_one>(late, 1u);
    const auto is_there = [&] {
        const auto& last = list_of(v.topics["dead_letters"], "last");
        return std::any_of(last.begin(), last.end(), [](const value& d) {
            return text_of(d, "message").ends_with("count_one") && text_of(d, "reason") == "down";
        });
    };
    v.until(is_there);
    EXPECT_GE(number_of(v.topics["dead_letters"], "count"), 1u);
}

TEST_F(Observer, TenThousandActorsCostAChangeAndNotTheWhole) {
    const std::uint16_t port = observe(now_and_then());
    const auto many = at<crowd_protocol>("/app/crowd");
    ASSERT_TRUE(app_.ask<spawn_many>(many, 60s, 10'000u));
    view v{port};
    v.until_look([&] { return v.whole_parts.size() == 64 && v.actors.size() > 10'000; });
    EXPECT_LT(v.bytes, 10'000u * 600);
    // Until the tree stands still but for who watches: then one actor's change is told, and not its part.
    std::uint64_t before = v.bytes;
    const auto crasher_ref = at<crasher_protocol>("/app/crasher");
    app_.send<count_one>(crasher_ref, 1u);
    v.until([&] { return number_of(*v.actor_at("/app/crasher"), "received") == 1; });
    EXPECT_LT(v.bytes - before, 1'000'000u);
    app_.send<poke_all>(many);
    v.until_look([&] {
        const auto poked = std::count_if(v.actors.begin(), v.actors.end(), [](const auto& each) {
            return each.first.starts_with("/app/crowd/") && number_of(each.second.second, "received") == 1;
        });
        return poked == 10'000;
    });
}

TEST_F(Observer, ActionsAreRefusedUnlessTheyAreAllowed) {
    const std::uint16_t port = observe();
    view v{port};
    for (const char* name : {"stop", "kill", "restart", "pause", "send"}) {
        const value answer = v.call(7, name, {{"path", "/app/crasher"}});
        EXPECT_EQ(text_of(answer, "error"), "denied") << name;
    }
    EXPECT_TRUE(app_.ask<count_of>(at<crasher_protocol>("/app/crasher"), 60s));
}

TEST_F(Observer, ActionsThatAreAllowedAreDoneAndAnswered) {
    actors::observer_options options = often();
    options.actions = true;
    const std::uint16_t port = observe(options);
    view v{port};
    v.until([&] { return v.actor_at("/app/crasher") != nullptr; });
    const auto done = [&](const value& answer) { return field(answer, "value") != nullptr; };
    const value::map crasher_path{{"path", "/app/crasher"}};
    EXPECT_TRUE(done(
        v.call(1, "send", {{"path", "/app/crasher"}, {"type", "count_one"}, {"fields", value::list{5u}}})));
    EXPECT_EQ(app_.ask<count_of>(at<crasher_protocol>("/app/crasher"), 60s).value(), 5u);
    EXPECT_TRUE(done(v.call(2, "pause", crasher_path)));
    v.until([&] { return text_of(*v.actor_at("/app/crasher"), "state") == "paused"; });
    EXPECT_TRUE(done(v.call(3, "resume", crasher_path)));
    EXPECT_TRUE(done(v.call(4, "restart", crasher_path)));
    EXPECT_EQ(app_.ask<count_of>(at<crasher_protocol>("/app/crasher"), 60s).value(), 0u);
    EXPECT_TRUE(done(v.call(5, "stop", crasher_path)));
    v.until([&] { return v.actor_at("/app/crasher") == nullptr; });
    // What is wrong is said.
    EXPECT_EQ(text_of(v.call(6, "stop", {{"path", "/elsewhere/x"}}), "error"), "invalid_argument");
    EXPECT_EQ(text_of(v.call(7, "kill", {{"path", "/app/$node"}}), "error"), "denied");
    EXPECT_EQ(text_of(v.call(8, "restart", {{"path", "/app/nobody"}}), "error"), "not_found");
    EXPECT_EQ(text_of(v.call(9, "explode", {{"path", "/app"}}), "error"), "no_handler");
    EXPECT_EQ(text_of(v.call(10, "send", {{"path", "/app/crowd"}, {"type", "nonsense"}}), "error"),
              "no_handler");
    EXPECT_EQ(text_of(v.call(11, "stop", {{"path", 7}}), "error"), "bad_message");
}

TEST_F(Observer, WhoDoesNotSayTheTokenForActionsMayLookAndNoMore) {
    actors::observer_options options = often();
    options.actions = true;
    options.actions_token = "let me";
    const std::uint16_t port = observe(options);
    view v{port};
    const value::map crasher_path{{"path", "/app/crasher"}};
    v.until([&] { return v.actor_at("/app/crasher") != nullptr; });
    EXPECT_EQ(text_of(v.call(1, "pause", crasher_path), "error"), "denied");
    EXPECT_EQ(text_of(v.call_with(2, "unlock", value{"let m"}), "error"), "denied");
    EXPECT_EQ(text_of(v.call(3, "unlock", crasher_path), "error"), "denied");
    EXPECT_EQ(text_of(v.call(4, "pause", crasher_path), "error"), "denied");
    EXPECT_NE(field(v.call_with(5, "unlock", value{"let me"}), "value"), nullptr);
    EXPECT_NE(field(v.call(6, "pause", crasher_path), "value"), nullptr);
    EXPECT_NE(field(v.call(7, "resume", crasher_path), "value"), nullptr);
    // It is the channel's leave, and nobody else's.
    view other{port};
    EXPECT_EQ(text_of(other.call(1, "pause", crasher_path), "error"), "denied");
    // Who acted, and on whom, is in the log.
    const auto told = [](const value& line) {
        return text_of(line, "text").find("asked for pause of /app/crasher: done") != std::string::npos;
    };
    v.until([&] { return std::any_of(v.log.begin(), v.log.end(), told); });
}

TEST_F(Observer, EachNodeTellsHowLongItTookToAnswer) {
    const std::uint16_t port = observe();
    view v{port};
    const auto answers = [&] {
        const auto& nodes = list_of(v.topics["nodes"], "nodes");
        std::uint64_t sum = 0;
        if (nodes.size() == 1)
            for (const value& count : list_of(nodes.front(), "answers"))
                sum += count.as<std::uint64_t>().value_or(0);
        return sum;
    };
    v.until([&] { return answers() >= 3; });
    EXPECT_EQ(list_of(v.topics["observer"], "answer_bounds_us").size() + 1,
              list_of(list_of(v.topics["nodes"], "nodes").front(), "answers").size());
}

// ---- another process

task<> below_another_process(actor<crasher_protocol> self) {
    while (co_await self.receive()) {
    }
}
task<> another_process(actor<crasher_protocol> self) {
    auto below = co_await self.start(child("inner", in_coroutine, below_another_process));
    if (!below) co_return self.fail("{}", below.error());
    self.ready();
    while (co_await self.receive()) {
    }
}

TEST_F(Observer, AProcessIsShownWithWhatIsBelowItAndTheEndsOfItAreTold) {
    const std::uint16_t port = observe();
    add(child("worker", in_process, another_process).restarts(restart::transient).awaits_ready());
    view v{port};
    v.until(
        [&] { return v.actor_at("/app/worker/inner") != nullptr && v.actor_at("/app/worker") != nullptr; });
    EXPECT_EQ(text_of(*v.actor_at("/app/worker"), "carrier").find("process "), 0u);
    const auto pid_now = [&] { return app_.inspect().processes.at(0).pid; };
    const std::uint32_t first = pid_now();
    ::kill(static_cast<pid_t>(first), SIGKILL);
    v.until([&] {
        return v.has_event("process", "/app/worker", fmt::format("process {} has gone", first)) &&
               v.has_event("restart", "/app/worker", "was restarted");
    });
    v.until([&] { return v.actor_at("/app/worker/inner") != nullptr; });
    EXPECT_NE(pid_now(), first);
    ASSERT_TRUE(app_.ask<terminate_child>(supervisor_, 60s, std::string{"worker"}));
    v.until(
        [&] { return v.actor_at("/app/worker/inner") == nullptr && v.actor_at("/app/worker") == nullptr; });
    v.until([&] { return v.has_event("process", "/app/worker", " has gone"); });
}

TEST(ObserverAlone, ItSaysWhyItCannotSeeATreeWithoutAControlActor) {
    node_options o;
    o.schedulers = 1;
    o.log_terminal = false;
    std::mutex mutex;
    std::string said;
    o.log_hook = [&](level, std::string_view, std::string_view text) {
        const std::lock_guard lock{mutex};
        said += text;
    };
    node app{"app", o};
    supervisor_spec tree;
    tree.add(child("web", in_coroutine, actors::gateway, web::gateway_options{}))
        .add(child("observer", in_coroutine, actors::observer, actors::observer_options{}).awaits_ready());
    const auto started = app.start(tree);
    ASSERT_FALSE(started);
    const std::lock_guard lock{mutex};
    EXPECT_NE((said + started.error().what()).find("--coppice-control=on"), std::string::npos) << said;
}

}  // namespace
}  // namespace coppice::tests::observed
