// What a page does in the tree; see browser_calls.hpp. Each call looks at the host's lists first, and then at the node's rights.
// What takes time is a task of the session's own; the rest is done at once, on its scheduler.
#include "browser_calls.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "browser_rights.hpp"
#include "coppice/own_task.hpp"

namespace coppice::actors::browser_parts {

namespace {

using page_ptr = std::shared_ptr<page>;

error not_allowed(std::string_view what, std::string_view whom, std::string_view option) {
    return {errc::denied, fmt::format("pages may not {} {} (browser::host_options::{})", what, whom, option)};
}
error at_limit(std::string_view what, std::uint32_t most, std::string_view option) {
    return {errc::limit_reached,
            fmt::format("{} {} at a time (browser::host_options::{})", most, what, option)};
}

// The same hint that scripts get: who asks cannot see it.
error explained(const error& why, const ref<>& who) {
    if (why == errc::no_handler && !who.is_remote())
        return {errc::no_handler, "an actor of the host's process takes a page's requests if its protocol "
                                  "names coppice::any_request"};
    return why;
}

void send(page& p, const frame& f) {
    const auto to = p.reachable(f.actor);
    if (!to) return p.fail(f.correlation, to.error());
    auto content = p.content_of(f);
    if (!content) return p.fail(f.correlation, content.error());
    if (auto sent = p.as_page.send(*to, *std::move(content)); !sent) p.fail(f.correlation, sent.error());
}

/// Counts an ask while it is under way.
struct one_more_ask {
    page_ptr p;
    explicit one_more_ask(page_ptr of) : p{std::move(of)} { ++p->asks; }
    one_more_ask(one_more_ask&& other) noexcept : p{std::exchange(other.p, nullptr)} {}
    one_more_ask& operator=(one_more_ask&&) = delete;
    ~one_more_ask() {
        if (p) --p->asks;
    }
};

task<> run_ask(one_more_ask held, std::uint64_t correlation, ref<> to, std::chrono::nanoseconds within,
               value content) {
    page& p = *held.p;
    auto answer = co_await p.as_page.ask(to, within, std::move(content));
    if (answer) p.answer(correlation, *answer);
    else p.fail(correlation, explained(answer.error(), to));
}

void ask(const page_ptr& p, const frame& f) {
    const auto to = p->reachable(f.actor);
    if (!to) return p->fail(f.correlation, to.error());
    auto content = p->content_of(f);
    if (!content) return p->fail(f.correlation, content.error());
    if (p->asks >= p->options->asks)
        return p->fail(f.correlation, at_limit("asks of a page are under way", p->options->asks, "asks"));
    const auto most = std::chrono::duration_cast<std::chrono::milliseconds>(p->options->ask_within);
    const auto within = f.time == 0 || f.time > static_cast<std::uint64_t>(most.count())
                            ? most
                            : std::chrono::milliseconds{static_cast<std::int64_t>(f.time)};
    p->self.spawn_task(run_ask(one_more_ask{p}, f.correlation, *to, within, *std::move(content)));
}

task<> run_find(one_more_ask held, std::uint64_t correlation, std::string path) {
    page& p = *held.p;
    auto who = co_await p.as_page.find(path);
    if (who) p.found(correlation, *who, std::move(path));
    else if (who.error().text().empty()) p.fail(correlation, {who.error().code(), std::move(path)});
    else p.fail(correlation, who.error());
}

void find(const page_ptr& p, frame f) {
    if (!allows(p->options->reach, f.text))
        return p->fail(f.correlation, not_allowed("reach", f.text, "reach"));
    if (p->asks >= p->options->asks)
        return p->fail(f.correlation, at_limit("asks of a page are under way", p->options->asks, "asks"));
    p->self.spawn_task(run_find(one_more_ask{p}, f.correlation, std::move(f.text)));
}

void answer(page& p, const frame& f) {
    auto asked = p.take_owed(f.correlation);
    if (!asked) return;  // it is answered already: its asker has given up, or the session has in its name
    if (f.kind == frame_kind::failure) {
        const bool is_own = f.code == 0 || f.code > as_number(errc::too_large);
        return asked.fail(error{is_own ? errc::failed : static_cast<errc>(f.code), f.text});
    }
    auto content = p.content_of(f);
    if (content) asked.reply(*std::move(content));
    else asked.fail(error{content.error().code(), "the page's answer: " + content.error().what()});
}

void join(page& p, const frame& f) {
    if (!allows(p.options->join, f.text))
        return p.fail(f.correlation, not_allowed("join the group", f.text, "join"));
    if (!p.groups.contains(f.text) && p.groups.size() >= p.options->groups)
        return p.fail(f.correlation, at_limit("groups may a page be in", p.options->groups, "groups"));
    if (auto joined = p.as_page.join(f.text); !joined)
        return p.fail(f.correlation,
                      joined.error().text().empty() ? error{joined.error().code(), f.text} : joined.error());
    p.groups.insert(f.text);
    p.answer(f.correlation, value{});
}

void leave(page& p, const frame& f) {
    if (p.groups.erase(f.text) != 0) p.self.leave(f.text);
    p.answer(f.correlation, value{});
}

void publish(page& p, const frame& f) {
    if (!allows(p.options->publish, f.text))
        return p.fail(f.correlation, not_allowed("publish to the group", f.text, "publish"));
    auto content = p.content_of(f);
    if (!content) return p.fail(f.correlation, content.error());
    const auto taken = p.as_page.publish(f.text, *content);
    if (taken) p.answer(f.correlation, std::uint64_t{*taken});
    else p.fail(f.correlation, taken.error());
}

void monitor(page& p, const frame& f) {
    const auto who = p.reachable(f.actor);
    if (!who) return p.fail(f.correlation, who.error());
    if (p.monitors.contains(f.correlation)) return;
    if (p.monitors.size() >= p.options->monitors)
        return p.fail(f.correlation, at_limit("monitors may a page have", p.options->monitors, "monitors"));
    const auto number = p.as_page.monitor(*who);
    if (!number) return p.fail(f.correlation, number.error());
    p.monitors.emplace(f.correlation, std::pair{*number, f.actor});
}

void demonitor(page& p, const frame& f) {
    const auto at = p.monitors.find(f.correlation);
    if (at == p.monitors.end()) return;
    p.self.demonitor(at->second.first);
    p.monitors.erase(at);
}

}  // namespace

bool act_for_page(const page_ptr& p, frame f) {
    switch (f.kind) {
    case frame_kind::mail: return send(*p, f), true;
    case frame_kind::ask: return ask(p, f), true;
    case frame_kind::answer:
    case frame_kind::failure: return answer(*p, f), true;
    case frame_kind::join: return join(*p, f), true;
    case frame_kind::leave: return leave(*p, f), true;
    case frame_kind::publish: return publish(*p, f), true;
    case frame_kind::find: return find(p, std::move(f)), true;
    case frame_kind::monitor: return monitor(*p, f), true;
    case frame_kind::demonitor: return demonitor(*p, f), true;
    default: return false;
    }
}

}  // namespace coppice::actors::browser_parts
