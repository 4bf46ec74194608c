// What a tree would start, told as text and as JSON: for whoever checks a deployment file. Durations and bytes are written
// as such a file has them. Pure functions of a spec; any thread.
#include <charconv>
#include <string>

#include "coppice/deployment.hpp"
#include "json_text.hpp"

namespace coppice {

namespace {

using detail::json_text;
using std::chrono::nanoseconds;

// Exact, in the largest unit that needs no fraction.
std::string duration(nanoseconds d) {
    constexpr std::pair<std::string_view, std::int64_t> units[] = {{"h", 3'600'000'000'000},
                                                                   {"m", 60'000'000'000},
                                                                   {"s", 1'000'000'000},
                                                                   {"ms", 1'000'000},
                                                                   {"us", 1'000}};
    for (const auto& [name, size] : units)
        if (d.count() != 0 && d.count() % size == 0)
            return std::to_string(d.count() / size) + std::string{name};
    return d.count() == 0 ? "0s" : std::to_string(d.count()) + "ns";
}

std::string_view word(strategy s) {
    switch (s) {
    case strategy::one_for_one: return "one_for_one";
    case strategy::one_for_all: return "one_for_all";
    case strategy::rest_for_one: return "rest_for_one";
    case strategy::dynamic: return "dynamic";
    }
    return "?";
}
std::string_view word(restart r) {
    switch (r) {
    case restart::permanent: return "permanent";
    case restart::transient: return "transient";
    case restart::temporary: return "temporary";
    }
    return "?";
}
std::string_view word(overflow o) {
    switch (o) {
    case overflow::reject: return "reject";
    case overflow::drop_oldest: return "drop-oldest";
    case overflow::drop_newest: return "drop-newest";
    case overflow::keep_latest: return "keep-latest";
    }
    return "?";
}
std::string_view word(reaction r) {
    switch (r) {
    case reaction::restart: return "restart";
    case reaction::report: return "report";
    case reaction::wait: return "wait";
    }
    return "?";
}

std::string_view kind_of(const carrier& c) {
    constexpr std::string_view names[] = {"coroutine", "thread", "process"};
    return names[c.index()];
}

std::string number(std::uint64_t n) { return std::to_string(n); }

std::string share(double of_one) {
    char text[32];
    const auto written = std::to_chars(text, text + sizeof text, of_one);
    return {text, written.ptr};
}

struct limit_word {
    std::string_view name;
    std::uint64_t process_limits::* value;
};
constexpr limit_word limit_words[] = {{"memory", &process_limits::memory},
                                      {"files", &process_limits::files},
                                      {"cpu-seconds", &process_limits::cpu_seconds},
                                      {"core-bytes", &process_limits::core_bytes},
                                      {"processes", &process_limits::processes}};

// ---------------------------------------------------------------- for people

// What a terminal would take for a command is escaped.
std::string quoted(std::string_view text) { return json_text(text); }
std::string plain_or_quoted(std::string_view text) {
    const std::string q = quoted(text);
    return q.size() == text.size() + 2 && text.find(' ') == std::string_view::npos ? std::string{text} : q;
}

std::string text_of(const carrier& c) {
    std::string text{kind_of(c)};
    if (const auto* shared = std::get_if<coroutine_carrier>(&c)) {
        if (shared->scheduler == coroutine_carrier::least_loaded) text += " on the least loaded scheduler";
        else if (shared->scheduler != coroutine_carrier::with_parent)
            text += " on scheduler " + number(shared->scheduler);
    } else if (const auto* own = std::get_if<thread_carrier>(&c)) {
        if (own->priority != priority::normal)
            text += " of " + std::string{to_string(own->priority)} + " priority";
    } else {
        const auto& p = std::get<process_carrier>(c);
        text += p.program.empty() ? " of this program" : " " + plain_or_quoted(p.program);
        for (const std::string& a : p.arguments) text += " " + (a.empty() ? "\"\"" : plain_or_quoted(a));
        text += ", over " + plain_or_quoted(p.transport);
        if (!p.directory.empty()) text += ", in " + plain_or_quoted(p.directory);
        for (const auto& [name, value] : p.environment)
            text += value.empty() ? ", without " + plain_or_quoted(name)
                                  : ", with " + plain_or_quoted(name) + "=" + quoted(value);
        if (p.nice) text += ", nice " + std::to_string(*p.nice);
        if (!p.cpus.empty()) text += ", cpus";
        for (const std::uint32_t cpu : p.cpus) text += " " + number(cpu);
        for (const auto& [name, value] : limit_words)
            if (p.limits.*value != process_limits::unset)
                text += ", " + std::string{name} + " " + number(p.limits.*value);
    }
    return text;
}

std::string text_of(const supervisor_spec& s) {
    std::string text = "supervisor, " + std::string{word(s.strategy)} + ", " + number(s.most_restarts) +
                       " restarts in " + duration(s.window);
    if (s.backoff_most.count() > 0)
        text += ", after " + duration(s.backoff_first) + " to " + duration(s.backoff_most);
    return text;
}

void text_below(std::string& out, const std::string& above, const supervisor_spec& tree, std::size_t depth,
                const std::function<bool(std::string_view)>& elsewhere) {
    for (const child_spec& c : tree.children) {
        const std::string path = above + "/" + c.name;
        out += std::string(2 * depth, ' ') + c.name + "  ";
        if (elsewhere && elsewhere(path)) {
            out += "[as the program has it]";
        } else {
            out += "[" + text_of(c.carrier) + "] " + std::string{word(c.when)};
            if (c.is_supervisor && c.tree) out += ", " + text_of(*c.tree);
            else out += ", ends within " + duration(c.shutdown_within);
            if (c.capacity) out += ", mailbox " + number(c.capacity);
            if (c.policy != overflow::reject) out += " " + std::string{word(c.policy)};
            if (c.is_significant) out += ", significant";
            if (c.tells_ready && !c.is_supervisor) out += ", ready within " + duration(c.start_within);
        }
        out += "\n";
        if (c.is_supervisor && c.tree) text_below(out, path, *c.tree, depth + 1, elsewhere);
    }
}

// ---------------------------------------------------------------- for programs

// "name":text, to be put into an object.
std::string member(std::string_view name, const std::string& text) { return json_text(name) + ":" + text; }
template <class All, class F>
std::string list_of(const All& all, F one) {
    std::string out = "[";
    for (const auto& each : all) out += (out.size() > 1 ? "," : "") + one(each);
    return out + "]";
}

std::string json_of(const carrier& c) {
    std::string out = member("carrier", json_text(kind_of(c)));
    if (const auto* shared = std::get_if<coroutine_carrier>(&c)) {
        const std::uint32_t s = shared->scheduler;
        out += "," + member("scheduler", s == coroutine_carrier::with_parent    ? "\"parent\""
                                         : s == coroutine_carrier::least_loaded ? "\"spread\""
                                                                                : number(s));
        return out;
    }
    if (const auto* own = std::get_if<thread_carrier>(&c))
        return out + "," + member("priority", json_text(to_string(own->priority)));
    const auto& p = std::get<process_carrier>(c);
    out += "," + member("program", json_text(p.program)) + "," +
           member("arguments", list_of(p.arguments, [](const auto& a) { return json_text(a); })) + "," +
           member("over", json_text(p.transport)) + "," + member("directory", json_text(p.directory));
    std::string variables;
    for (const auto& [name, value] : p.environment)
        variables += (variables.empty() ? "" : ",") + member(name, json_text(value));
    out += "," + member("environment", "{" + variables + "}");
    if (p.nice) out += "," + member("nice", std::to_string(*p.nice));
    out += "," + member("cpus", list_of(p.cpus, [](std::uint32_t cpu) { return number(cpu); }));
    std::string limits;
    for (const auto& [name, value] : limit_words)
        if (p.limits.*value != process_limits::unset)
            limits += (limits.empty() ? "" : ",") + member(name, number(p.limits.*value));
    return out + "," + member("limits", "{" + limits + "}");
}

std::string json_of(const supervisor_spec& s) {
    return "{" + member("strategy", json_text(word(s.strategy))) + "," +
           member("restarts", number(s.most_restarts)) + "," +
           member("window", json_text(duration(s.window))) + "," +
           member("backoff", "{" + member("first", json_text(duration(s.backoff_first))) + "," +
                                 member("most", json_text(duration(s.backoff_most))) + "," +
                                 member("jitter", share(s.jitter)) + "}") +
           "}";
}

std::string json_below(const std::string& above, const supervisor_spec& tree,
                       const std::function<bool(std::string_view)>& elsewhere) {
    return list_of(tree.children, [&](const child_spec& c) {
        const std::string path = above + "/" + c.name;
        std::string out = "{" + member("path", json_text(path));
        const bool of_program = elsewhere && elsewhere(path);
        out += "," + member("known", of_program ? "false" : "true");
        if (!of_program) {
            out += "," + json_of(c.carrier) + "," + member("restart", json_text(word(c.when)));
            if (!c.is_supervisor) out += "," + member("shutdown", json_text(duration(c.shutdown_within)));
            out += "," + member("mailbox", c.capacity ? number(c.capacity) : "null") + "," +
                   member("overflow", json_text(word(c.policy))) + "," +
                   member("significant", c.is_significant ? "true" : "false") + "," +
                   member("ready-within",
                          c.tells_ready && !c.is_supervisor ? json_text(duration(c.start_within)) : "null");
            if (std::holds_alternative<process_carrier>(c.carrier) ||
                (c.is_watched && std::holds_alternative<thread_carrier>(c.carrier)))
                out += "," +
                       member("heartbeat", "{" + member("period", json_text(duration(c.beats.period))) + "," +
                                               member("misses", number(c.beats.misses)) + "," +
                                               member("silent", json_text(word(c.beats.when_silent))) + "," +
                                               member("stuck", json_text(word(c.beats.when_stuck))) + "}");
            if (c.is_supervisor && c.tree) out += "," + member("supervisor", json_of(*c.tree));
        }
        if (c.is_supervisor && c.tree) out += "," + member("children", json_below(path, *c.tree, elsewhere));
        return out + "}";
    });
}

}  // namespace

std::string describe_tree(const std::string& node_name, const supervisor_spec& tree, tree_form form,
                          const std::function<bool(std::string_view path)>& elsewhere) {
    const std::string root = "/" + node_name;
    if (form == tree_form::json)
        return "{" + member("path", json_text(root)) + "," + member("supervisor", json_of(tree)) + "," +
               member("children", json_below(root, tree, elsewhere)) + "}\n";
    std::string text = root + "  [" + text_of(tree) + "]\n";
    text_below(text, root, tree, 1, elsewhere);
    return text;
}

}  // namespace coppice
