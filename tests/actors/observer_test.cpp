// The observer of coppice/actors/observer.hpp: a real node with a gateway, watched over a real WebSocket and over HTTP; and
// its page in Chromium, if that is installed. What a test waits for is a message of the observer; the watchdog ends a test that
// waits in vain.
#include "coppice/actors/observer.hpp"

#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <stdexcept>

#include "actors/gateway_rig.hpp"
#include "coppice/actors/web_call.hpp"
#include "coppice/transport/builtin.hpp"
#include "support/own_directory.hpp"
#include "support/program.hpp"

namespace coppice::tests {
namespace {

struct crash_now {};
struct count_one {
    std::uint64_t amount = 0;
};
struct count_of {
    using reply = std::uint64_t;
};
using crasher_protocol = protocol<crash_now, count_one, count_of>;

task<> crasher(actor<crasher_protocol> self) {
    std::uint64_t count = 0;
    while (auto m = co_await self.receive())
        m.match([](const crash_now&) { throw std::runtime_error{"told to crash"}; },
                [&](const count_one& c) { count += c.amount; }, [&](request<count_of> r) { r.reply(count); });
}

struct spawn_many {
    std::uint64_t count = 0;
    using reply = void;
};
struct poke_all {};
struct turns_taken {
    using reply = std::uint64_t;
};
using crowd_protocol = protocol<spawn_many, poke_all, turns_taken>;

task<> one_of_many(actor<protocol<poke_all>> self) {
    while (co_await self.receive()) {
    }
}
task<> takes_turns(actor<crowd_protocol> self, std::shared_ptr<std::uint64_t> turns) {
    for (;;) {
        ++*turns;
        co_await self.sleep(1ms);
    }
}
/// Has thousands of children, and counts how often it comes to run.
task<> crowd(actor<crowd_protocol> self) {
    std::vector<ref<protocol<poke_all>>> all;
    auto turns = std::make_shared<std::uint64_t>(0);
    self.spawn_task(takes_turns(self, turns));
    while (auto m = co_await self.receive())
        m.match(
            [&](request<spawn_many> r) {
                for (std::uint64_t i = 0; i < r->count; ++i) all.push_back(self.spawn(one_of_many));
                r.reply();
            },
            [&](const poke_all&) {
                for (const auto& each : all) self.send<poke_all>(each);
            },
            [&](request<turns_taken> r) { r.reply(*turns); });
}

// ---- a page's view of the tree, built from what the observer says

const value* field(const value& of, std::string_view name) {
    const auto* map = of.get_if<value::map>();
    if (!map) return nullptr;
    for (const value::entry& e : *map)
        if (*e.key.get_if<std::string>() == name) return &e.mapped;
    return nullptr;
}
std::string text_of(const value& of, std::string_view name) {
    const value* found = field(of, name);
    return found && found->get_if<std::string>() ? *found->get_if<std::string>() : std::string{};
}
std::uint64_t number_of(const value& of, std::string_view name) {
    const value* found = field(of, name);
    return found ? found->as<std::uint64_t>().value_or(0) : 0;
}
const value::list& list_of(const value& of, std::string_view name) {
    static const value::list none;
    const value* found = field(of, name);
    return found && found->get_if<value::list>() ? *found->get_if<value::list>() : none;
}

class view {
public:
    explicit view(std::uint16_t port) : client_{port} {
        if (client_.shake_hands("/live").find(" 101 ") == std::string::npos)
            throw std::runtime_error{"no handshake"};
    }
    /// The next message, taken into the view.
    value next() {
        const web_frame f = client_.next();
        if (f.opcode != 1) throw std::runtime_error{"the observer closed the channel: " + f.reason()};
        bytes += f.text.size();
        ++messages;
        value m = web::read_value(web::text(f.text)).value();
        take(m);
        return m;
    }
    template <class F>
    void until(F is_so) {
        while (!is_so()) next();
    }
    [[nodiscard]] const value* actor_at(const std::string& path) const {
        const auto found = actors.find(path);
        return found == actors.end() ? nullptr : &found->second.second;
    }
    value call(std::uint64_t id, const std::string& name, value::map with) {
        client_.say(
            std::string{web::write_call({id, name, std::move(with), web::kind::text}).value().view()});
        for (;;) {
            value m = next();
            if (number_of(m, "id") == id) return m;
        }
    }

    std::map<std::string, std::pair<std::uint64_t, value>> actors;  ///< by path; with its part
    std::set<std::uint64_t> whole_parts;
    std::map<std::string, value> topics;  ///< the last message of each
    std::vector<value> log;
    std::uint64_t bytes = 0;
    std::uint64_t messages = 0;

private:
    void take(const value& m) {
        const std::string topic = text_of(m, "topic");
        if (topic == "actors") take_actors(m);
        else if (!topic.empty()) topics[topic] = m;
        if (topic != "log") return;
        if (field(m, "whole")) log = list_of(m, "whole");
        for (const value& line : list_of(m, "add")) log.push_back(line);
    }
    void take_actors(const value& m) {
        const std::uint64_t part = number_of(m, "part");
        const bool is_whole = field(m, "whole") != nullptr;
        if (is_whole) {
            whole_parts.insert(part);
            std::erase_if(actors, [&](const auto& each) { return each.second.first == part; });
        }
        for (const value& path : list_of(m, "gone")) actors.erase(*path.get_if<std::string>());
        for (const value& a : list_of(m, is_whole ? "whole" : "set")) actors[text_of(a, "path")] = {part, a};
    }
    web_client client_;
};

class Observer : public gateway_rig {
protected:
    Observer() : gateway_rig{seen_by_others()} {}
    static node_options seen_by_others() {
        node_options o = quiet();
        o.network.listen = {"tcp://127.0.0.1:0"};
        return o;
    }
    static actors::observer_options often() {
        actors::observer_options o;
        o.gateway = "/app/web";
        o.period = 20ms;
        return o;
    }
    std::uint16_t observe(actors::observer_options options = often()) {
        start();
        add(child("crasher", in_coroutine, crasher));
        add(child("crowd", in_coroutine, crowd));
        const auto who =
            add(child("observer", in_coroutine, actors::observer, std::move(options)).awaits_ready());
        auto at = app_.ask<actors::where_observed>(who.assume<actors::observer_protocol>(), 60s);
        EXPECT_TRUE(at) << at.error().what();
        return at ? at->port : 0;
    }
    ref<> add(child_spec spec) {
        auto made = app_.ask<start_child>(supervisor_, 60s, std::move(spec));
        EXPECT_TRUE(made) << made.error().what();
        return made ? *made : ref<>{};
    }
    template <class Q>
    ref<Q> at(const std::string& path) {
        return app_.resolve<Q>(path).value();
    }
    static std::string get(std::uint16_t port, const std::string& path) {
        web_client c{port};
        c.write(fmt::format("GET {} HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", path, port));
        return c.read_all();
    }
};

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

TEST_F(Observer, TenThousandActorsCostAChangeAndNotTheWholeAndOthersRunMeanwhile) {
    const std::uint16_t port = observe();
    const auto many = at<crowd_protocol>("/app/crowd");
    ASSERT_TRUE(app_.ask<spawn_many>(many, 60s, 10'000u));
    view v{port};
    v.until([&] { return v.whole_parts.size() == 64 && v.actors.size() > 10'000; });
    EXPECT_LT(v.bytes, 10'000u * 600);
    // Until the tree stands still but for who watches: then one actor's change is told, and not its part.
    std::uint64_t before = v.bytes;
    const auto crasher_ref = at<crasher_protocol>("/app/crasher");
    app_.send<count_one>(crasher_ref, 1u);
    v.until([&] { return number_of(*v.actor_at("/app/crasher"), "received") == 1; });
    EXPECT_LT(v.bytes - before, 1'000'000u);
    const std::uint64_t turns = app_.ask<turns_taken>(many, 60s).value();
    app_.send<poke_all>(many);
    std::size_t poked = 0;
    v.until([&] {
        poked =
            static_cast<std::size_t>(std::count_if(v.actors.begin(), v.actors.end(), [](const auto& each) {
                return each.first.starts_with("/app/crowd/") &&
                       number_of(each.second.second, "received") == 1;
            }));
        return poked == 10'000;
    });
    EXPECT_GT(app_.ask<turns_taken>(many, 60s).value(), turns);
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

// ---- the metrics, read as strictly as the formats are written

struct scraped {
    std::map<std::string, std::string> types;      // by family, as TYPE names it
    std::map<std::string, std::uint64_t> samples;  // by name and labels
    std::string failure;
};

scraped parse_metrics(const std::string& text, bool open) {
    scraped all;
    const std::regex head{R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))"};
    const std::regex sample{
        R"(([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\\\|\\"|\\n)*",?)*)\} ([0-9]+))"};
    std::istringstream lines{text};
    std::string family;
    bool ended = false;
    const auto fail = [&](const std::string& why) { all.failure = why; };
    if (!text.empty() && text.back() != '\n') fail("the last line has no end");
    for (std::string line; std::getline(lines, line);) {
        std::smatch m;
        if (ended) return fail("something follows # EOF"), all;
        if (open && line == "# EOF") {
            ended = true;
        } else if (std::regex_match(line, m, head)) {
            if (m[1] == "HELP" && all.types.contains(m[2])) return fail("a family twice: " + line), all;
            if (m[1] == "TYPE") {
                if (m[2] != family || (m[3] != "counter" && m[3] != "gauge")) return fail(line), all;
                all.types[m[2]] = m[3];
            }
            family = m[2];
        } else if (std::regex_match(line, m, sample)) {
            const bool is_counter = all.types.contains(family) && all.types[family] == "counter";
            if (m[1] != (open && is_counter ? family + "_total" : family)) return fail(line), all;
            if (is_counter && !m[1].str().ends_with("_total")) return fail(line), all;
            if (m[2].str().ends_with(",")) return fail(line), all;
            if (!all.samples.emplace(fmt::format("{}{{{}}}", m[1].str(), m[2].str()), std::stoull(m[3]))
                     .second)
                return fail("a sample twice: " + line), all;
        } else {
            return fail("not understood: " + line), all;
        }
    }
    if (open && !ended) fail("no # EOF");
    return all;
}

TEST_F(Observer, MetricsAreServedInBothFormatsAndCount) {
    const std::uint16_t port = observe();
    view v{port};
    v.until([&] { return v.actor_at("/app/crasher") != nullptr; });
    app_.send<crash_now>(at<crasher_protocol>("/app/crasher"));
    v.until([&] { return number_of(*v.actor_at("/app/crasher"), "restarts") == 1; });
    for (const auto& [path, type, open] :
         {std::tuple{"/metrics", "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n", false},
          std::tuple{"/metrics/openmetrics",
                     "Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n", true}}) {
        for (;;) {
            const std::string answer = get(port, path);
            ASSERT_NE(answer.find(type), std::string::npos) << answer.substr(0, 400);
            const scraped all = parse_metrics(answer.substr(answer.find("\r\n\r\n") + 4), open);
            ASSERT_EQ(all.failure, "");
            const auto restarts = all.samples.find("coppice_restarts_total{node=\"app\"}");
            // Pages are set behind what the channel was told.
            if (restarts == all.samples.end() || restarts->second == 0) {
                v.next();
                continue;
            }
            EXPECT_EQ(restarts->second, 1u);
            EXPECT_EQ(all.samples.at("coppice_node_up{node=\"app\"}"), 1u);
            EXPECT_GE(all.samples.at("coppice_actors{node=\"app\"}"), 5u);
            EXPECT_GE(all.samples.at("coppice_messages_received_total{node=\"app\"}"), 1u);
            EXPECT_TRUE(all.samples.contains("coppice_mailbox_messages{node=\"app\",lane=\"priority\"}"));
            break;
        }
    }
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

TEST_F(Observer, ThePageShowsTheTreeInARealBrowserWithoutAnError) {
    if (!is_installed("chromium"))
        GTEST_SKIP() << "not run: Chromium is not installed; tools/setup --browser";
    std::ifstream file{"tests/actors/browser/observer_probe.html"};
    const std::string probe{std::istreambuf_iterator<char>{file}, {}};
    ASSERT_FALSE(probe.empty());
    actors::observer_options options = often();
    options.at.pages = {{"/probe", "text/html; charset=utf-8", blob{probe}}};
    const std::uint16_t port = observe(options);
    app_.send<crash_now>(at<crasher_protocol>("/app/crasher"));
    ASSERT_TRUE(app_.ask<spawn_many>(at<crowd_protocol>("/app/crowd"), 60s, 1'000u));
    const agent reporter = add_agent("reporter");
    const std::uint16_t report_port =
        listen(reporter, {.origins = {fmt::format("http://localhost:{}", port)}});
    const own_directory profile;
    program browser{
        chromium_at(fmt::format("http://localhost:{}/probe#{}", port, report_port), profile.path())};
    const std::string verdict = reporter.journal->wait(what::message).text;
    EXPECT_TRUE(verdict.starts_with("seen: 1,") || verdict.starts_with("seen: 10")) << verdict;
    EXPECT_NE(verdict.find("few rows, link live"), std::string::npos) << verdict;
}

}  // namespace
}  // namespace coppice::tests
