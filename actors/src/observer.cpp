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
#include <array>
#include <deque>
#include <memory>
#include <set>
#include <utility>

#include "coppice/own_task.hpp"
#include "gateway_http.hpp"
#include "observer_actions.hpp"
#include "observer_events.hpp"
#include "observer_json.hpp"
#include "observer_metrics.hpp"
#include "observer_page.hpp"
#include "observer_tail.hpp"
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
    watcher(observer_actor s, observer_options o)
        : self{s},
          options{std::move(o)},
          rows{options.actors},
          log{"log", options.log_lines},
          events{"events", options.events} {}

    observer_actor self;
    observer_options options;
    std::string tree;  ///< path of its root
    ref<gateway_protocol> gateway;
    std::uint16_t port = 0;
    tree_rows rows;
    tree_events changes;
    all_answer_times answers;
    all_latencies latencies;
    std::map<std::string, std::string> states;  ///< topics beside the rows, as they were told last
    last_lines log;
    last_lines events;
    std::uint64_t log_monitor = 0;  ///< of the control actor whose log is followed; 0: none is
    std::uint32_t acting = 0;
    std::set<std::uint64_t> unlocked;                 ///< channels that have said options.actions_token
    std::map<std::uint64_t, std::string> principals;  ///< what rights know channels by; empty: nothing
    bool has_complained = false;                      ///< of the gateway: once until it works again
};
using watcher_ptr = std::shared_ptr<watcher>;

// ---- asking the tree

struct described {
    std::string path;
    result<node_description> told;
    std::chrono::nanoseconds took{0};
};

task<described> describe_one(observer_actor self, std::string path, std::chrono::nanoseconds within) {
    auto there = co_await self.resolve<control_protocol>(path + "/" + control_name);
    if (!there) co_return described{std::move(path), there.error()};
    const auto asked_at = self.now();
    auto told = co_await self.ask<control::describe>(*there, 2 * within, within);
    co_return described{std::move(path), std::move(told), self.now() - asked_at};
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
            described one = co_await each.join();
            if (!one.told) {
                seen.silent.emplace_back(std::move(one.path), one.told.error().what());
                continue;
            }
            for (const process_info& p : one.told->seen.processes)
                if (p.pid != 0 && p.state != "starting") wanted.push_back(p.path);
            seen.nodes.push_back(*std::move(one.told));
            seen.took.push_back(one.took);
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

task<> tell_lines(watcher_ptr w, last_lines& lines) {
    if (!lines.is_different()) co_return;
    std::string whole = lines.whole();
    std::string change = lines.take_change();
    lines.told(co_await publish(w, lines.topic(), std::move(whole), std::move(change)));
}

task<> tell_metrics(watcher_ptr w, tree_seen seen) {
    const auto families = metrics_of(seen, w->rows, w->answers);
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

std::string shortened(const std::string& text) {
    if (text.size() <= most_log_text) return text;
    // Not within a character: what is no UTF-8 would lose all that is not ASCII.
    std::size_t end = most_log_text;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return fmt::format("{} ... ({} bytes more)", std::string_view{text}.substr(0, end), text.size() - end);
}

void keep(const watcher_ptr& w, const control::log_line& l) {
    std::string line;
    json_object o{line};
    // Milliseconds: what a page's Date takes, and a double holds.
    o.number("time", static_cast<std::uint64_t>(std::max<std::int64_t>(l.time, 0)) / 1'000'000);
    o.text("level", to_string(l.level)).text("path", l.path);
    o.text("text", shortened(l.text));
    o.number_if_any("pid", l.pid).number_if_any("dropped", l.dropped);
    o.end();
    w->log.add(line);
}

// ---- the look

std::uint64_t milliseconds_since_1970() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(now / std::chrono::milliseconds{1});
}

void take_events(const watcher_ptr& w, const tree_seen& seen) {
    for (std::size_t i = 0; i < seen.nodes.size(); ++i) w->answers[seen.nodes[i].seen.name].add(seen.took[i]);
    for (const node_description& n : seen.nodes) w->latencies.look(n);
    w->latencies.keep(w->rows.totals());
    std::erase_if(w->answers, [&](const auto& each) { return !w->rows.totals().contains(each.first); });
    for (const std::string& each : w->changes.look(seen, w->rows, milliseconds_since_1970()))
        w->events.add(each);
}

task<> look(watcher_ptr w) {
    co_await follow_log(w);
    tree_seen seen = co_await describe_all(w->self, w->tree, w->options.within);
    w->rows.begin(seen);
    while (w->rows.take(seen, rows_a_turn)) co_await w->self.yield();
    w->rows.end(seen);
    take_events(w, seen);
    co_await tell_rows(w);
    co_await tell_lines(w, w->events);
    co_await tell_state(w, "nodes", nodes_json(seen, w->rows, w->answers, w->latencies));
    co_await tell_state(w, "dead_letters", dead_letters_json(seen));
    co_await tell_lines(w, w->log);
    co_await tell_metrics(w, std::move(seen));
}

std::string about_json(const watcher& w) {
    std::string about;
    json_object o{about};
    o.text("topic", "observer").text("tree", w.tree).flag("actions", w.options.actions);
    o.flag("locked", w.options.actions && !w.options.actions_token.empty());
    o.flag("named", w.options.actions && !w.options.at.tokens.empty());
    o.number("period_ms", static_cast<std::uint64_t>(w.options.period / std::chrono::milliseconds{1}));
    o.number("log_lines", w.options.log_lines).number("events", w.options.events).key("answer_bounds_us");
    put_list(about, answer_bounds_us, [](std::string& to, std::uint32_t us) { to += std::to_string(us); });
    std::array<std::int64_t, columns_of_latency> bounds_ns{};
    for (std::size_t i = 0; i < bounds_ns.size(); ++i)
        bounds_ns[i] = latency_histogram::longest_of(last_bucket_of_column(i));
    o.key("latency_bounds_ns");
    put_list(about, bounds_ns, [](std::string& to, std::int64_t ns) { to += std::to_string(ns); });
    o.end();
    return about;
}

task<> look_again(watcher_ptr w) {
    for (;;) {
        co_await tell_state(w, "observer", about_json(*w));
        co_await look(w);
        co_await w->self.sleep(std::max(w->options.period, shortest_period));
    }
}

// ---- the page's calls

void answer(const watcher_ptr& w, std::uint64_t channel, web::content what) {
    const errc sent = w->self.send<web::send>(w->gateway, channel, std::move(what));
    if (sent != errc::ok) w->self.log.warn("an answer to channel {} is lost: {}", channel, to_string(sent));
}

void answer(const watcher_ptr& w, std::uint64_t channel, const web::call& asked, const result<value>& with) {
    answer(w, channel, with ? web::answer_to(asked, *with) : web::answer_to(asked, with.error()));
}

on_behalf whoever_has(const watcher_ptr& w, std::uint64_t channel) {
    const auto shown = w->principals.find(channel);
    return {w->self, shown == w->principals.end() ? std::string{} : shown->second};
}

task<> act(watcher_ptr w, std::uint64_t channel, web::call asked) {
    const on_behalf who = whoever_has(w, channel);
    auto done = co_await perform(w->self, who, w->tree, asked);
    --w->acting;
    w->self.log.info("channel {} asked for {}: {}", channel, description_of(asked),
                     done ? std::string{"done"} : done.error().what());
    answer(w, channel, asked, done);
}

// With the token for actions, or one that has a name: then that one acts from now on.
result<value> unlock(const watcher_ptr& w, std::uint64_t channel, const web::call& asked) {
    const std::string& wanted = w->options.actions_token;
    const bool has_names = !w->options.at.tokens.empty();
    if (!w->options.actions || (wanted.empty() && !has_names))
        return error{errc::invalid_argument, "there is nothing to be unlocked"};
    const auto* text = asked.with.get_if<std::string>();
    const std::string said = text ? *text : std::string{};
    const auto name = has_names ? web_parts::shown_token(w->options.at, {}, said) : std::nullopt;
    if (name && !name->empty()) {
        const std::string& who = w->principals[channel] = web_parts::principal_of_token(*name);
        w->self.log.info("channel {} is {} from now on", channel, who);
        return value{who};
    }
    if (!wanted.empty() && web_parts::token_is_right(wanted, {}, said)) {
        w->unlocked.insert(channel);
        return value{true};
    }
    w->self.log.warn("channel {} said a wrong token for actions", channel);
    return error{errc::denied, "this is no token for actions"};
}

error why_not(const watcher& w, std::uint64_t channel) {
    if (!w.options.actions)
        return {errc::denied, "this observer only shows: observer_options::actions is off"};
    if (!w.options.actions_token.empty() && !w.unlocked.contains(channel))
        return {errc::denied, "say the token for actions first"};
    if (w.acting >= w.options.actions_at_once)
        return {errc::limit_reached, "as many actions as may be are under way; try again"};
    return {};
}

void on_message(const watcher_ptr& w, const web::message& m) {
    auto asked = web::read_call(m.content);
    if (!asked) return answer(w, m.channel, web::fault_of(m.content, asked.error()));
    if (asked->name == "unlock") return answer(w, m.channel, *asked, unlock(w, m.channel, *asked));
    if (asked->name == "may")
        return answer(w, m.channel, *asked, actions_of(whoever_has(w, m.channel), w->tree, *asked));
    if (const error why = why_not(*w, m.channel); why.code() != errc::ok)
        return answer(w, m.channel, web::answer_to(*asked, why));
    ++w->acting;
    w->self.spawn_task(act(w, m.channel, *std::move(asked)));
}

// ---- the beginning

web::listen listen_of(const observer_options& o, const std::string& tree) {
    web::listen wanted{o.port, o.at, {}};
    wanted.options.inspects = tree;
    const tree_rows none{0};
    const auto nothing = [&](exposition as) { return blob{metrics_text(metrics_of({}, none, {}), as)}; };
    std::vector<web::page> own;
    for (const page_file& each : page_files())
        own.push_back({each.path, each.type, blob::of(each.bytes, nullptr)});
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
    auto at =
        co_await w->self.ask<web::listen>(w->gateway, limits::ask_deadline, listen_of(w->options, w->tree));
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
        m.match(
            [&](const web::opened& o) { w->principals[o.channel] = web_parts::principal_of_token(o.token); },
            [&](const web::closed& c) {
                w->unlocked.erase(c.channel);
                w->principals.erase(c.channel);
            },
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
