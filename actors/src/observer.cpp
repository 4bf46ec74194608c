// The observer: it looks at the tree, tells what is different, keeps the log's last records, and has done what the page asks.
//
//   look_again(): describe_all ─► tree_rows ─► publish what is different ─► set_page ─► sleep ─┐
//        └───────────────────────────────────◄────────────────────────────────────────────────┘
//   mailbox: calls of the page ─► act(), a task each; records of the log ─► told by the next look
//
// Nothing here is bounded by the tree but the rows: there is one look at a time, and one request to the gateway at a time, so a
// gateway that is slow makes looks rare and nothing pile up. Threading: the observer's scheduler.
#include "coppice/actors/observer.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <utility>

#include "coppice/own_task.hpp"
#include "observer_actions.hpp"
#include "observer_json.hpp"
#include "observer_metrics.hpp"
#include "observer_page.hpp"
#include "observer_tree.hpp"

namespace coppice::actors {

namespace observing {
namespace {

/// Rows that are made before others on the thread come to run: some hundred microseconds.
constexpr std::size_t rows_a_turn = 128;
/// Nodes that are asked at once. More would come to the same on one thread, and hold as many descriptions at once.
constexpr std::size_t nodes_at_once = 32;
constexpr std::chrono::nanoseconds shortest_period = std::chrono::milliseconds{10};
/// Bytes of one record of the log that is shown; what is longer is cut, and says so.
constexpr std::size_t most_log_text = 4096;

struct watcher {
    watcher(observer_actor s, observer_options o) : self{s}, options{std::move(o)}, rows{options.actors} {}

    observer_actor self;
    observer_options options;
    std::string tree;  ///< path of its root
    ref<gateway_protocol> gateway;
    std::uint16_t port = 0;
    tree_rows rows;
    std::map<std::string, std::string> states;  ///< topics beside the rows, as they were told last
    std::deque<std::string> log;                ///< the last records, as JSON
    std::deque<std::string> log_news;           ///< of these, those that have not been told
    bool log_owed = false;          ///< the last change was not told: who is there needs the whole
    std::uint64_t log_monitor = 0;  ///< of the control actor whose log is followed; 0: none is
    std::uint32_t acting = 0;
    bool has_complained = false;  ///< of the gateway: once until it works again
};
using watcher_ptr = std::shared_ptr<watcher>;

// ---- asking the tree

using described = std::pair<std::string, result<node_description>>;

task<described> describe_one(observer_actor self, std::string path, std::chrono::nanoseconds within) {
    auto there = co_await self.resolve<control_protocol>(path + "/" + control_name);
    if (!there) co_return described{std::move(path), there.error()};
    auto told = co_await self.ask<control::describe>(*there, 2 * within, within);
    co_return described{std::move(path), std::move(told)};
}

// Level by level: the processes below a node are known by what it says.
task<tree_seen> describe_all(observer_actor self, std::string root, std::chrono::nanoseconds within) {
    tree_seen seen;
    std::deque<std::string> wanted{std::move(root)};
    while (!wanted.empty()) {
        std::vector<own_task<described>> asked;
        for (; !wanted.empty() && asked.size() < nodes_at_once; wanted.pop_front())
            asked.push_back(self.spawn_task(describe_one(self, wanted.front(), within)));
        for (const auto& each : asked) {
            described told = co_await each.join();
            if (!told.second) {
                seen.silent.emplace_back(std::move(told.first), told.second.error().what());
                continue;
            }
            for (const process_info& p : told.second->seen.processes)
                if (p.pid != 0) wanted.push_back(p.path);
            seen.nodes.push_back(*std::move(told.second));
        }
    }
    co_return seen;
}

// ---- telling the gateway

void complain(const watcher_ptr& w, const char* what, const error& why) {
    if (std::exchange(w->has_complained, true)) return;
    w->self.log.warn("{}: the gateway refuses: {}; it is tried again", what, why);
}

task<bool> publish(watcher_ptr w, std::string topic, std::string whole, std::string change) {
    web::publish state{w->port, std::move(topic), web::text(std::move(whole)), web::text(std::move(change))};
    auto done = co_await w->self.ask<web::publish>(w->gateway, limits::ask_deadline, std::move(state));
    if (done) w->has_complained = false;
    else complain(w, "publish", done.error());
    co_return done.has_value();
}

task<> tell_rows(watcher_ptr w) {
    for (std::size_t n = 0; n < buckets; ++n) {
        if (!w->rows.is_different(n)) continue;
        const bool told =
            co_await publish(w, "actors/" + std::to_string(n), w->rows.whole(n), w->rows.change(n));
        if (told) w->rows.told(n);
    }
}

task<> tell_state(watcher_ptr w, std::string topic, std::string whole) {
    if (w->states[topic] == whole) co_return;
    if (co_await publish(w, topic, whole, {})) w->states[topic] = std::move(whole);
}

std::string log_json(const char* field, const std::deque<std::string>& lines) {
    std::string out;
    json_object o{out};
    o.text("topic", "log").key(field);
    put_list(out, lines, [](std::string& to, const std::string& line) { to += line; });
    o.end();
    return out;
}

task<> tell_log(watcher_ptr w) {
    if (w->log_news.empty() && !w->log_owed) co_return;
    const std::string whole = log_json("whole", w->log);
    const std::string change = w->log_owed ? std::string{} : log_json("add", w->log_news);
    w->log_news.clear();
    w->log_owed = !co_await publish(w, "log", whole, change);
}

task<> tell_metrics(watcher_ptr w, tree_seen seen) {
    const auto families = metrics_of(seen, w->rows);
    const std::pair<const char*, exposition> pages[] = {{"/metrics", exposition::prometheus},
                                                        {"/metrics/openmetrics", exposition::openmetrics}};
    for (const auto& [path, as] : pages) {
        web::page page{path, std::string{media_type_of(as)}, blob{metrics_text(families, as)}};
        auto done =
            co_await w->self.ask<web::set_page>(w->gateway, limits::ask_deadline, w->port, std::move(page));
        if (!done) complain(w, path, done.error());
    }
}

// ---- the log

// The root's has the records of all processes.
task<> follow_log(watcher_ptr w) {
    if (w->log_monitor != 0 || w->options.log_level == level::off) co_return;
    auto there = co_await w->self.resolve<control_protocol>(w->tree + "/" + control_name);
    if (!there) co_return;  // the look says that it is silent
    const std::uint64_t monitor = w->self.monitor(*there);
    w->log_monitor = monitor;
    const std::string& subtree = w->options.log_subtree.empty() ? w->tree : w->options.log_subtree;
    auto done = co_await w->self.ask<control::follow_log>(*there, limits::ask_deadline, subtree,
                                                          w->options.log_level, w->self.me());
    if (done) co_return;
    w->self.log.warn("the log of {} cannot be followed: {}; it is tried again", w->tree, done.error());
    w->self.demonitor(monitor);
    if (w->log_monitor == monitor) w->log_monitor = 0;
}

void keep(const watcher_ptr& w, const control::log_line& l) {
    std::string line;
    json_object o{line};
    // Milliseconds: what a page's Date takes, and a double holds.
    o.number("time", static_cast<std::uint64_t>(std::max<std::int64_t>(l.time, 0)) / 1'000'000);
    o.text("level", to_string(l.level)).text("path", l.path);
    const std::size_t cut = l.text.size() > most_log_text ? l.text.size() - most_log_text : 0;
    o.text("text",
           cut == 0 ? l.text : fmt::format("{} ... ({} bytes more)", l.text.substr(0, most_log_text), cut));
    o.number_if_any("pid", l.pid).number_if_any("dropped", l.dropped);
    o.end();
    for (auto* into : {&w->log, &w->log_news}) {
        into->push_back(line);
        if (into->size() > w->options.log_lines) into->pop_front();
    }
}

// ---- the look

task<> look(watcher_ptr w) {
    co_await follow_log(w);
    const tree_seen seen = co_await describe_all(w->self, w->tree, w->options.within);
    w->rows.begin(seen);
    while (w->rows.take(seen, rows_a_turn)) co_await w->self.yield();
    w->rows.end(seen);
    co_await tell_rows(w);
    co_await tell_state(w, "nodes", nodes_json(seen, w->rows));
    co_await tell_state(w, "dead_letters", dead_letters_json(seen));
    co_await tell_log(w);
    co_await tell_metrics(w, seen);
}

task<> look_again(watcher_ptr w) {
    std::string about;
    json_object o{about};
    o.text("topic", "observer").text("tree", w->tree).flag("actions", w->options.actions);
    o.number("period_ms", static_cast<std::uint64_t>(w->options.period / std::chrono::milliseconds{1}));
    o.number("log_lines", w->options.log_lines);
    o.end();
    for (;;) {
        co_await tell_state(w, "observer", about);
        co_await look(w);
        co_await w->self.sleep(std::max(w->options.period, shortest_period));
    }
}

// ---- the page's calls

void answer(const watcher_ptr& w, std::uint64_t channel, web::content what) {
    const errc sent = w->self.send<web::send>(w->gateway, channel, std::move(what));
    if (sent != errc::ok) w->self.log.warn("an answer to channel {} is lost: {}", channel, to_string(sent));
}

task<> act(watcher_ptr w, std::uint64_t channel, web::call asked) {
    auto done = co_await perform(w->self, w->tree, asked);
    --w->acting;
    w->self.log.info("channel {} asked for {}: {}", channel, asked.name,
                     done ? std::string{"done"} : done.error().what());
    answer(w, channel, done ? web::answer_to(asked, *done) : web::answer_to(asked, done.error()));
}

void on_message(const watcher_ptr& w, const web::message& m) {
    auto asked = web::read_call(m.content);
    if (!asked) return answer(w, m.channel, web::fault_of(m.content, asked.error()));
    error why;
    if (!w->options.actions)
        why = {errc::denied, "this observer only shows: observer_options::actions is off"};
    else if (w->acting >= w->options.actions_at_once)
        why = {errc::limit_reached, "as many actions as may be are under way; try again"};
    if (why.code() != errc::ok) return answer(w, m.channel, web::answer_to(*asked, why));
    ++w->acting;
    w->self.spawn_task(act(w, m.channel, *std::move(asked)));
}

// ---- the beginning

web::listen listen_of(const observer_options& o) {
    web::listen wanted{o.port, o.at, {}};
    const tree_rows none{0};
    const auto nothing = [&](exposition as) { return blob{metrics_text(metrics_of({}, none), as)}; };
    std::vector<web::page> own;
    own.push_back({"/", "text/html; charset=utf-8", blob::of(page_bytes(), nullptr)});
    for (const auto& [path, as] : {std::pair{"/metrics", exposition::prometheus},
                                   std::pair{"/metrics/openmetrics", exposition::openmetrics}})
        own.push_back({path, std::string{media_type_of(as)}, nothing(as)});
    for (web::page& each : own) {
        const auto same = [&](const web::page& p) { return p.path == each.path; };
        if (std::none_of(wanted.options.pages.begin(), wanted.options.pages.end(), same))
            wanted.options.pages.push_back(std::move(each));
    }
    return wanted;
}

std::string root_of(const std::string& path) { return path.substr(0, path.find('/', 1)); }

// Nothing if all is well; else why not.
task<std::string> begin(watcher_ptr w) {
    auto gateway = co_await w->self.resolve<gateway_protocol>(w->options.gateway);
    if (!gateway) co_return fmt::format("no gateway at {}: {}", w->options.gateway, gateway.error());
    w->gateway = *gateway;
    w->tree = w->options.tree.empty() ? root_of(w->self.path()) : w->options.tree;
    auto root = co_await w->self.resolve<control_protocol>(w->tree + "/" + control_name);
    if (!root && root.error() == errc::not_found)
        co_return fmt::format("{} cannot be seen: it has no control actor; run it with --coppice-control=on "
                              "(node_options::control), or let it listen",
                              w->tree);
    auto at = co_await w->self.ask<web::listen>(w->gateway, limits::ask_deadline, listen_of(w->options));
    if (!at) co_return fmt::format("no port to be observed at: {}", at.error());
    w->port = at->port;
    co_return std::string{};
}

}  // namespace
}  // namespace observing

task<> observer(actor<observer_protocol> self, observer_options options) {
    using namespace observing;  // NOLINT(google-build-using-namespace): this part's own
    auto w = std::make_shared<watcher>(self, std::move(options));
    const std::string failure = co_await begin(w);
    if (!failure.empty()) co_return self.fail("{}", failure);
    const std::uint64_t gateway_monitor = self.monitor(w->gateway);
    bool has_gateway = true;
    self.spawn_task(look_again(w));
    self.ready();
    while (has_gateway) {
        auto m = co_await self.receive();
        if (!m) break;
        m.match([](const web::opened&) {}, [](const web::closed&) {},
                [&](const web::message& asked) { on_message(w, asked); },
                [&](const web::refused& r) { self.log.debug("{}: {}", r.what, r.text); },
                [&](const control::log_line& l) { keep(w, l); },
                [&](request<where_observed> r) { r.reply(w->port); },
                [&](const down& d) {
                    if (d.monitor == gateway_monitor) has_gateway = false;
                    if (d.monitor == w->log_monitor) w->log_monitor = 0;
                });
    }
    if (!has_gateway) self.fail("the gateway {} has ended", w->options.gateway);
}

}  // namespace coppice::actors
