// Deployment files: TOML in, plain data out, with the place of every mistake; and what that data changes in a tree.
//
// Each table of the file has a list of fields here: a key's name and how its value is taken. What the lists say is all
// there is: unknown keys, suggestions, and the names that docs/deployment.md is held against, come from them. A mistake
// does not end the reading; it goes to a list, and what is wrong stays unset. Only a syntax error ends it, since the
// parser cannot go on. The only source that includes toml++. Any thread.
#include "coppice/deployment.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <span>
#include <system_error>
#include <type_traits>

namespace {
/// Thrown where toml++ finds its own expectations broken.
struct parser_is_lost {};
}  // namespace

// As headers, and without what writes TOML. In a namespace of ours, since a program may use another toml++ or other
// settings. A value within a value needs stack, in the parser and when it is freed. Some wrong files (a header that
// begins with '[;') break the parser's own assertions, which a release build takes for granted: here they throw, in
// every build.
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define toml coppice_toml
#define TOML_HEADER_ONLY 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 16
#define TOML_ASSERT(condition) ((condition) ? static_cast<void>(0) : throw parser_is_lost{})
#include <toml++/toml.h>
#undef toml
#pragma pop_macro("NDEBUG")
namespace toml = coppice_toml;

#include "coppice/endpoint.hpp"
#include "deployment_keys.hpp"
#include "node_core.hpp"
#include "option_table.hpp"
#include "units.hpp"

namespace coppice {

namespace {

using std::chrono::nanoseconds;

file_place place_of(const toml::source_position& p) { return {std::max(p.line, 1u), std::max(p.column, 1u)}; }

std::string quote(std::string_view text) { return "'" + std::string{text} + "'"; }

std::string joined(const std::vector<std::string_view>& words, std::string_view between = ", ") {
    std::string all;
    for (const std::string_view word : words) (all += all.empty() ? "" : between) += word;
    return all;
}

// ---------------------------------------------------------------- mistakes

/// Mistakes in the order of the file, the first of them in full.
class mistakes {
public:
    explicit mistakes(std::string file) : file_{std::move(file)} {}

    void add(file_place at, std::string_view what) {
        ++count_;
        if (first_.size() == limits::deployment_errors) {
            if (!(at < std::prev(first_.end())->first)) return;
            first_.erase(std::prev(first_.end()));
        }
        // One line, and nothing that a terminal would take for a command.
        std::string line{what};
        for (char& c : line)
            if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
        first_.emplace(at, std::move(line));
    }
    [[nodiscard]] result<void> outcome() const {
        if (count_ == 0) return {};
        std::string text;
        for (const auto& [at, what] : first_) {
            if (!text.empty()) text += '\n';
            text += file_ + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " + what;
        }
        if (count_ > first_.size())
            text += "\n" + file_ + ": and " + std::to_string(count_ - first_.size()) + " more";
        return error{errc::invalid_argument, std::move(text)};
    }

private:
    std::string file_;
    std::multimap<file_place, std::string> first_;
    std::size_t count_ = 0;
};

// Insertions, deletions, replacements and swaps of neighbours that make one word the other ("optimal string
// alignment").
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = std::min(now[j], before[j - 2] + 1);
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

// "; did you mean 'x'?" for what is close to one of the words, else `otherwise`.
std::string suggestion(std::string_view wrong, const std::vector<std::string_view>& words,
                       std::string otherwise) {
    constexpr std::size_t longest = 64;  // that anybody misspells
    std::string_view nearest;
    std::size_t least = SIZE_MAX;
    if (wrong.size() <= longest)
        for (const std::string_view word : words) {
            const std::size_t d = distance(wrong, word);
            if (d < least && d <= std::max<std::size_t>(1, word.size() / 3)) {
                least = d;
                nearest = word;
            }
        }
    return nearest.empty() ? std::move(otherwise) : "; did you mean " + quote(nearest) + "?";
}

// What is wrong in the file may be long.
std::string shown(std::string_view text) {
    constexpr std::size_t longest = 64;
    std::size_t size = std::min(text.size(), longest);
    while (size > 0 && size < text.size() && (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80)
        --size;  // no part of a character
    return std::string{text.substr(0, size)} + (size < text.size() ? "..." : "");
}

// ---------------------------------------------------------------- values

struct reading {
    mistakes wrong;
    std::filesystem::path directory;  // of the file, absolute
};

std::string_view kind_of(const toml::node& node) {
    switch (node.type()) {
    case toml::node_type::string: return "a text";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "true or false";
    case toml::node_type::array: return "an array";
    case toml::node_type::table: return "a table";
    case toml::node_type::none: break;
    default: return "a date or time";
    }
    return "nothing";
}

template <class E>
struct word {
    std::string_view name;
    E meaning;
};

/// A value in the file, with the key that it belongs to.
struct value {
    reading& r;
    const toml::node& node;
    std::string_view key;
    std::string_view section;  // with its brackets; empty: none

    [[nodiscard]] file_place at() const { return place_of(node.source().begin); }
    [[nodiscard]] std::string who() const {
        return quote(shown(key)) + (section.empty() ? "" : " in " + std::string{section});
    }
    void refuse(std::string_view what) const { r.wrong.add(at(), who() + ": " + std::string{what}); }
    void expected(std::string_view what) const {
        refuse("expected " + std::string{what} + ", not " + std::string{kind_of(node)});
    }
    [[nodiscard]] value element(const toml::node& n) const { return {r, n, key, section}; }

    [[nodiscard]] std::optional<std::string> text(std::string_view wanted = "a text") const {
        const auto* s = node.as_string();
        if (!s) return expected(wanted), std::nullopt;
        if (s->get().find('\0') != std::string::npos)
            return refuse("expected a text without zero bytes"), std::nullopt;
        return s->get();
    }
    [[nodiscard]] std::optional<std::string> text_not_empty() const {
        auto s = text();
        if (s && s->empty()) return refuse("is empty"), std::nullopt;
        return s;
    }
    /// A path of the file system, from the directory of the file.
    [[nodiscard]] std::optional<std::string> path() const {
        auto s = text_not_empty();
        if (s) *s = from_here(*s);
        return s;
    }
    [[nodiscard]] std::string from_here(const std::string& path) const {
        return (r.directory / path).lexically_normal().string();
    }
    template <class Integer>
    [[nodiscard]] std::optional<Integer> number(std::int64_t least, std::int64_t most) const {
        const std::string wanted = "a whole number from " + std::to_string(least) +
                                   (most == INT64_MAX ? "" : " to " + std::to_string(most));
        const auto* i = node.as_integer();
        if (!i) return expected(wanted), std::nullopt;
        if (i->get() < least || i->get() > most)
            return refuse("expected " + wanted + ", not " + std::to_string(i->get())), std::nullopt;
        return static_cast<Integer>(i->get());
    }
    [[nodiscard]] std::optional<bool> flag() const {
        if (const auto* b = node.as_boolean()) return b->get();
        return expected("true or false"), std::nullopt;
    }
    [[nodiscard]] std::optional<nanoseconds> duration(nanoseconds least = nanoseconds{0}) const {
        constexpr std::string_view wanted = "a duration with its unit, as \"250ms\", \"2s\" or \"1m30s\"";
        const auto s = text(wanted);
        if (!s) return std::nullopt;
        const auto d = detail::read_duration(*s);
        if (!d) return refuse("expected " + std::string{wanted} + ", not " + quote(shown(*s))), std::nullopt;
        if (*d < least) return refuse("must be longer than 0s"), std::nullopt;
        return d;
    }
    [[nodiscard]] std::optional<std::uint64_t> bytes() const {
        constexpr std::string_view wanted = "bytes, as 65536, \"64KiB\", \"10MiB\" or \"1GiB\"";
        if (const auto* i = node.as_integer(); i && i->get() >= 0)
            return static_cast<std::uint64_t>(i->get());
        if (node.is_integer())
            return refuse("expected " + std::string{wanted} + ", not less than 0"), std::nullopt;
        const auto s = text(wanted);
        if (!s) return std::nullopt;
        const auto b = detail::read_bytes(*s);
        // The largest number stands for "no limit" in process_limits; nobody means it.
        if (!b || *b == UINT64_MAX)
            return refuse("expected " + std::string{wanted} + ", not " + quote(shown(*s))), std::nullopt;
        return b;
    }
    template <class E, std::size_t N>
    [[nodiscard]] std::optional<E> one_of(const word<E> (&words)[N]) const {
        std::vector<std::string_view> names;
        for (const auto& w : words) names.push_back(w.name);
        const auto s = text("one of " + joined(names));
        if (!s) return std::nullopt;
        for (const auto& w : words)
            if (w.name == *s) return w.meaning;
        const std::string list = "there are " + joined(names);
        refuse("there is no " + quote(shown(*s)) + suggestion(*s, names, "; " + list));
        return std::nullopt;
    }
    /// Each element by `take`, which gives an optional; nothing if one is wrong.
    template <class Take>
    [[nodiscard]] auto list(std::string_view wanted, Take take) const
        -> std::optional<std::vector<typename std::invoke_result_t<Take, const value&>::value_type>> {
        std::vector<typename std::invoke_result_t<Take, const value&>::value_type> all;
        const auto* array = node.as_array();
        if (!array) return expected(wanted), std::nullopt;
        bool right = true;
        for (const toml::node& n : *array) {
            if (auto one = take(element(n))) all.push_back(*std::move(one));
            else right = false;
        }
        if (!right) return std::nullopt;
        return all;
    }
};

// ---------------------------------------------------------------- tables and their fields

template <class T>
struct field {
    std::string_view name;
    void (*take)(const value&, T&);
    /// Of a table that has fields: lists their names.
    void (*list)(const std::string& prefix, std::vector<std::string>& out) = nullptr;
};

template <class T, class Fields>
void list_fields(const Fields& fields, const std::string& prefix, std::vector<std::string>& out) {
    for (const field<T>& f : fields) {
        const std::string name = prefix + std::string{f.name};
        if (f.list) f.list(name + ".", out);
        else out.push_back(name);
    }
}

// The keys of a table in the order of the file: a table of toml++ has them in that of their names.
std::vector<std::pair<const toml::key*, const toml::node*>> in_order(const toml::table& table) {
    std::vector<std::pair<const toml::key*, const toml::node*>> all;
    for (auto&& [key, node] : table) all.emplace_back(&key, &node);
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
        return place_of(a.first->source().begin) < place_of(b.first->source().begin);
    });
    return all;
}

// In which table a key is known that is not where it stands.
std::string_view home_of(std::string_view key);

void unknown_key(reading& r, const toml::key& key, std::string_view section,
                 const std::vector<std::string_view>& known) {
    const std::string_view home = home_of(key.str());
    const std::string otherwise =
        home.empty() ? "; there are " + joined(known) : "; it belongs in " + std::string{home};
    r.wrong.add(place_of(key.source().begin),
                "unknown key " + quote(shown(key.str())) +
                    (section.empty() ? " outside of any table" : " in " + std::string{section}) +
                    suggestion(key.str(), known, otherwise));
}

template <class T, class Fields>
void take_fields(reading& r, const toml::table& table, std::string_view section, const Fields& fields, T& out,
                 std::vector<std::pair<std::string, file_place>>* keys = nullptr) {
    for (const auto& [key, node] : in_order(table)) {
        const std::string_view name = key->str();
        const auto known =
            std::find_if(std::begin(fields), std::end(fields), [&](const auto& f) { return f.name == name; });
        if (known == std::end(fields)) {
            std::vector<std::string_view> names;
            for (const auto& f : fields) names.push_back(f.name);
            unknown_key(r, *key, section, names);
            continue;
        }
        if (keys) keys->emplace_back(name, place_of(key->source().begin));
        known->take(value{r, *node, name, section}, out);
    }
}

template <class T, class Fields>
void take_table(const value& v, std::string_view section, const Fields& fields, T& out) {
    if (const auto* table = v.node.as_table()) take_fields(v.r, *table, section, fields, out);
    else v.expected("a table");
}

// ---- words

constexpr word<strategy> strategies[] = {{"one_for_one", strategy::one_for_one},
                                         {"one_for_all", strategy::one_for_all},
                                         {"rest_for_one", strategy::rest_for_one},
                                         {"dynamic", strategy::dynamic}};
constexpr word<carrier_kind> carriers[] = {{"coroutine", carrier_kind::coroutine},
                                           {"thread", carrier_kind::thread},
                                           {"process", carrier_kind::process}};
constexpr word<priority> priorities[] = {{"idle", priority::idle},
                                         {"low", priority::low},
                                         {"normal", priority::normal},
                                         {"high", priority::high},
                                         {"realtime", priority::realtime}};
constexpr word<reaction> reactions[] = {
    {"restart", reaction::restart}, {"report", reaction::report}, {"wait", reaction::wait}};
constexpr word<restart> restarts[] = {
    {"permanent", restart::permanent}, {"transient", restart::transient}, {"temporary", restart::temporary}};
constexpr word<overflow> overflows[] = {{"reject", overflow::reject},
                                        {"drop-oldest", overflow::drop_oldest},
                                        {"drop-newest", overflow::drop_newest},
                                        {"keep-latest", overflow::keep_latest}};
constexpr word<std::uint32_t> schedulers_by_word[] = {{"parent", coroutine_carrier::with_parent},
                                                      {"spread", coroutine_carrier::least_loaded}};
constexpr word<std::string_view> levels[] = {{"trace", "trace"}, {"debug", "debug"}, {"info", "info"},
                                             {"warn", "warn"},   {"error", "error"}, {"off", "off"}};

// ---- [supervisor]

constexpr std::int64_t largest_count = UINT32_MAX;
constexpr nanoseconds shortest{1};

constexpr field<supervisor_changes> backoff_fields[] = {
    {"first", [](const value& v, supervisor_changes& s) { s.backoff_first = v.duration(); }},
    {"most", [](const value& v, supervisor_changes& s) { s.backoff_most = v.duration(); }},
    {"jitter",
     [](const value& v, supervisor_changes& s) {
         const auto share = v.node.is_number() ? v.node.value<double>() : std::nullopt;
         if (!share) return v.expected("a share from 0 to 1");
         if (!(*share >= 0 && *share <= 1)) return v.refuse("expected a share from 0 to 1");
         s.jitter = share;
     }},
};

constexpr field<supervisor_changes> supervisor_fields[] = {
    {"strategy", [](const value& v, supervisor_changes& s) { s.strategy = v.one_of(strategies); }},
    {"restarts",
     [](const value& v, supervisor_changes& s) { s.restarts = v.number<std::uint32_t>(0, largest_count); }},
    {"window", [](const value& v, supervisor_changes& s) { s.window = v.duration(shortest); }},
    {"backoff",
     [](const value& v, supervisor_changes& s) {
         take_table(v, "backoff of " + std::string{v.section}, backoff_fields, s);
         if (s.backoff_first && s.backoff_most && *s.backoff_most < *s.backoff_first)
             v.refuse("'most' is shorter than 'first'");
     },
     [](const std::string& prefix, std::vector<std::string>& out) {
         list_fields<supervisor_changes>(backoff_fields, prefix, out);
     }},
};

// ---- [[actor]]

template <std::uint64_t process_limits::* Limit>
void take_limit(const value& v, actor_changes& a) {
    if (const auto n = v.number<std::uint64_t>(0, INT64_MAX)) a.limits.*Limit = *n;
}
template <std::uint64_t process_limits::* Limit>
void take_limit_of_bytes(const value& v, actor_changes& a) {
    if (const auto n = v.bytes()) a.limits.*Limit = *n;
}
constexpr field<actor_changes> limit_fields[] = {
    {"memory", &take_limit_of_bytes<&process_limits::memory>},
    {"files", &take_limit<&process_limits::files>},
    {"cpu-seconds", &take_limit<&process_limits::cpu_seconds>},
    {"core-bytes", &take_limit_of_bytes<&process_limits::core_bytes>},
    {"processes", &take_limit<&process_limits::processes>},
};

constexpr field<actor_changes> heartbeat_fields[] = {
    {"period", [](const value& v, actor_changes& a) { a.period = v.duration(shortest); }},
    {"misses",
     [](const value& v, actor_changes& a) { a.misses = v.number<std::uint32_t>(1, largest_count); }},
    {"silent", [](const value& v, actor_changes& a) { a.silent = v.one_of(reactions); }},
    {"stuck", [](const value& v, actor_changes& a) { a.stuck = v.one_of(reactions); }},
};

void take_path(const value& v, actor_changes& a) {
    const auto path = v.text();
    if (!path) return;
    a.at = v.at();
    if (!path->starts_with('/')) return v.refuse("begins with '/' and the node's name: \"/app/disk\"");
    if (path->size() > limits::path_bytes) return v.refuse("longer than limits::path_bytes");
    std::string_view rest = std::string_view{*path}.substr(1);
    std::size_t names = 0;
    for (;; ++names) {
        const auto slash = rest.find('/');
        const std::string_view name = rest.substr(0, slash);
        if (!detail::valid_name(name))
            return v.refuse(quote(shown(name)) +
                            " is no name: one has 1 to 255 bytes, none of / : ? # $ or control characters");
        if (slash == std::string_view::npos) break;
        rest = rest.substr(slash + 1);
    }
    if (names == 0) return v.refuse("is that of the root; what is said of the root stands in [supervisor]");
    a.path = *path;
}

void take_environment(const value& v, actor_changes& a) {
    const auto* table = v.node.as_table();
    if (!table) return v.expected("a table of texts");
    for (const auto& [key, node] : in_order(*table)) {
        const std::string_view name = key->str();
        const value one{v.r, *node, name, "environment of [[actor]]"};
        if (name.empty() || name.find('=') != std::string_view::npos ||
            name.find('\0') != std::string_view::npos) {
            one.refuse("a variable's name is not empty and has no '='");
        } else if (auto text = one.text()) {
            a.environment.emplace_back(name, *std::move(text));
        }
    }
}

// A kind with options: an endpoint without the place.
void take_over(const value& v, actor_changes& a) {
    const auto text = v.text_not_empty();
    if (!text) return;
    const auto question = text->find('?');
    const std::string kind = text->substr(0, question);
    const bool plain = std::all_of(kind.begin(), kind.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-';
    });
    if (kind.empty() || !plain || text->find('#') != std::string::npos)
        return v.refuse(
            "expected a kind of transport with its options, as \"unix\" or \"shm?ring=1MiB\", not " +
            quote(shown(*text)));
    const std::string options = question == std::string::npos ? std::string{} : text->substr(question);
    if (const auto parsed = endpoint::parse(kind + "://" + options); !parsed)
        return v.refuse(parsed.error().text());
    a.over = *text;
}

constexpr field<actor_changes> actor_fields[] = {
    {"path", &take_path},
    {"carrier", [](const value& v, actor_changes& a) { a.carrier = v.one_of(carriers); }},
    {"scheduler",
     [](const value& v, actor_changes& a) {
         if (v.node.is_integer()) a.scheduler = v.number<std::uint32_t>(0, limits::schedulers - 1);
         else if (v.node.is_string()) a.scheduler = v.one_of(schedulers_by_word);
         else v.expected("a scheduler's number, \"parent\" or \"spread\"");
     }},
    {"priority", [](const value& v, actor_changes& a) { a.priority = v.one_of(priorities); }},
    {"program",
     [](const value& v, actor_changes& a) {
         a.program = v.text_not_empty();
         if (a.program && a.program->find('/') != std::string::npos) a.program = v.from_here(*a.program);
     }},
    {"arguments",
     [](const value& v, actor_changes& a) {
         a.arguments = v.list("an array of texts", [](const value& e) { return e.text(); });
     }},
    {"directory", [](const value& v, actor_changes& a) { a.directory = v.path(); }},
    {"environment", &take_environment},
    {"over", &take_over},
    {"nice", [](const value& v, actor_changes& a) { a.nice = v.number<int>(-20, 19); }},
    {"cpus",
     [](const value& v, actor_changes& a) {
         a.cpus = v.list("an array of numbers of processors",
                         [](const value& e) { return e.number<std::uint32_t>(0, 1023); });
     }},
    {"limits",
     [](const value& v, actor_changes& a) { take_table(v, "limits of [[actor]]", limit_fields, a); },
     [](const std::string& prefix, std::vector<std::string>& out) {
         list_fields<actor_changes>(limit_fields, prefix, out);
     }},
    {"heartbeat",
     [](const value& v, actor_changes& a) { take_table(v, "heartbeat of [[actor]]", heartbeat_fields, a); },
     [](const std::string& prefix, std::vector<std::string>& out) {
         list_fields<actor_changes>(heartbeat_fields, prefix, out);
     }},
    {"restart", [](const value& v, actor_changes& a) { a.restart = v.one_of(restarts); }},
    {"shutdown", [](const value& v, actor_changes& a) { a.shutdown = v.duration(); }},
    {"mailbox",
     [](const value& v, actor_changes& a) { a.mailbox = v.number<std::uint32_t>(1, largest_count); }},
    {"overflow", [](const value& v, actor_changes& a) { a.overflow = v.one_of(overflows); }},
    {"significant", [](const value& v, actor_changes& a) { a.significant = v.flag(); }},
    {"ready-within", [](const value& v, actor_changes& a) { a.ready_within = v.duration(shortest); }},
    {"supervisor",
     [](const value& v, actor_changes& a) {
         take_table(v, "supervisor of [[actor]]", supervisor_fields, a.supervisor.emplace());
     }},
};

struct key_of_carrier {
    std::string_view key;
    carrier_kind kind;
};
constexpr key_of_carrier keys_of_carriers[] = {
    {"scheduler", carrier_kind::coroutine}, {"priority", carrier_kind::thread},
    {"program", carrier_kind::process},     {"arguments", carrier_kind::process},
    {"directory", carrier_kind::process},   {"environment", carrier_kind::process},
    {"over", carrier_kind::process},        {"nice", carrier_kind::process},
    {"cpus", carrier_kind::process},        {"limits", carrier_kind::process},
    {"heartbeat", carrier_kind::process}};

std::string_view name_of(carrier_kind kind) { return carriers[static_cast<std::size_t>(kind)].name; }

// The keys that mean nothing under that carrier.
void refuse_other_carriers(mistakes& wrong, const actor_changes& a, carrier_kind kind,
                           const std::string& says_so) {
    for (const auto& [key, at] : a.keys)
        for (const key_of_carrier& k : keys_of_carriers)
            if (k.key == key && k.kind != kind)
                wrong.add(at, quote(key) + " is for carrier = \"" + std::string{name_of(k.kind)} + "\"; " +
                                  says_so + " \"" + std::string{name_of(kind)} + "\"");
}

// ---- [node] and [log]: the node's own table of options says which keys there are

constexpr std::string_view log_prefix = "log-";

void option_from(const value& v, std::string_view option, detail::option_form form, deployment& d) {
    std::optional<std::string> text;
    const auto one_of_list = [&](const value& e) -> std::optional<std::string> {
        auto t = e.text_not_empty();
        if (t && t->find(',') != std::string::npos) {
            e.refuse("a comma separates the elements of this option, so none may have one");
            return std::nullopt;
        }
        if (t && option != "allow")
            if (const auto parsed = endpoint::parse(*t); !parsed) {
                e.refuse(parsed.error().text());
                return std::nullopt;
            }
        return t;
    };
    switch (form) {
    case detail::option_form::number:
        if (const auto n = v.number<std::int64_t>(0, INT64_MAX)) text = std::to_string(*n);
        break;
    case detail::option_form::bytes:
        if (const auto n = v.bytes()) text = std::to_string(*n);
        break;
    case detail::option_form::on_off:
        if (const auto on = v.flag()) text = *on ? "on" : "off";
        break;
    case detail::option_form::text:
        if (option == "log-level") {
            if (const auto l = v.one_of(levels)) text = *l;
        } else if (option == "log-file") {
            text = v.path();
        } else if (option == "parent") {
            text = one_of_list(v);
        } else {
            text = v.text();
        }
        break;
    case detail::option_form::list:
        if (v.node.is_string()) {
            text = one_of_list(v);
        } else if (const auto all = v.list("a text or an array of texts", one_of_list)) {
            // To the command line's form an empty list of names is one that allows all.
            if (all->empty() && option == "allow") return v.refuse("names nobody; leave it out to allow all");
            text = joined({all->begin(), all->end()}, ",");
        }
        break;
    case detail::option_form::levels:
        const auto* table = v.node.as_table();
        if (!table) return v.expected("a table of levels by path");
        bool right = true;
        std::string all;
        for (const auto& [key, node] : in_order(*table)) {
            const std::string_view path = key->str();
            const value one{v.r, *node, path, "levels of [log]"};
            const auto l = one.one_of(levels);
            const bool is_path = path.starts_with('/') && path.find_first_of(",=") == std::string_view::npos;
            if (!is_path) one.refuse("is no path: one begins with '/', and here has no ',' and no '='");
            if (!l || !is_path) right = false;
            else all += (all.empty() ? "" : ",") + std::string{path} + "=" + std::string{*l};
        }
        if (right) text = all;
        break;
    }
    if (!text) return;
    node_options scratch;
    if (const auto set = detail::set_option(scratch, option, *text); !set)
        return v.r.wrong.add(v.at(), set.error().text());
    d.options.push_back({std::string{option}, *std::move(text), v.at()});
}

struct secret_source {
    std::optional<std::string> file;
    std::optional<std::string> variable;
};
constexpr field<secret_source> secret_fields[] = {
    {"file", [](const value& v, secret_source& s) { s.file = v.path(); }},
    {"env", [](const value& v, secret_source& s) { s.variable = v.text_not_empty(); }},
};

void take_secret(const value& v, deployment& d) {
    if (!v.node.is_table())
        return v.refuse(
            "a secret does not stand in a deployment file, which is shown, copied and kept with others: "
            "write "
            "{ file = \"...\" } or { env = \"...\" }, a file or a variable of the environment that holds it");
    const auto& table = *v.node.as_table();
    secret_source from;
    take_fields(v.r, table, "secret of [node]", secret_fields, from);
    if (table.contains("file") == table.contains("env"))
        return v.refuse("expected one of { file = \"...\" } and { env = \"...\" }");
    // Not checked here: where a file is checked, the secret need not be.
    if (from.file)
        d.options.push_back({"secret-file", *from.file, place_of(table.get("file")->source().begin)});
    if (from.variable)
        d.options.push_back({"secret-env", *from.variable, place_of(table.get("env")->source().begin)});
}

struct option_key {
    std::string_view key;
    const detail::known_option* option;  // null: the secret
};

std::vector<option_key> option_keys(bool of_log) {
    std::vector<option_key> keys;
    for (const detail::known_option& option : detail::known_options()) {
        if (option.name == "deployment" || option.name.starts_with("secret-")) continue;
        if (option.name.starts_with(log_prefix) != of_log) continue;
        keys.push_back({option.name.substr(of_log ? log_prefix.size() : 0), &option});
    }
    if (!of_log) keys.push_back({"secret", nullptr});
    return keys;
}

void take_options(const value& v, bool of_log, deployment& d) {
    const std::string_view section = of_log ? "[log]" : "[node]";
    const auto* table = v.node.as_table();
    if (!table) return v.expected("a table");
    const std::vector<option_key> known = option_keys(of_log);
    for (const auto& [key, node] : in_order(*table)) {
        const std::string_view name = key->str();
        const value one{v.r, *node, name, section};
        const auto found =
            std::find_if(known.begin(), known.end(), [&](const option_key& k) { return k.key == name; });
        if (found == known.end()) {
            std::vector<std::string_view> names;
            for (const option_key& k : known) names.push_back(k.key);
            unknown_key(v.r, *key, section, names);
        } else if (found->option) {
            option_from(one, found->option->name, found->option->form, d);
        } else {
            take_secret(one, d);
        }
    }
}

template <bool OfLog>
void list_options(const std::string& prefix, std::vector<std::string>& out) {
    for (const option_key& k : option_keys(OfLog)) {
        if (k.option) out.push_back(prefix + std::string{k.key});
        else list_fields<secret_source>(secret_fields, prefix + std::string{k.key} + ".", out);
    }
}

// ---- the file

void take_actor(reading& r, const toml::table& entry, deployment& d) {
    actor_changes a;
    a.at = place_of(entry.source().begin);
    const file_place begin = a.at;
    take_fields(r, entry, "[[actor]]", actor_fields, a, &a.keys);
    if (!entry.contains("path")) r.wrong.add(begin, "an [[actor]] without 'path'");
    if (a.program && a.supervisor)
        r.wrong.add(begin, "an [[actor]] is a program or a supervisor, not both: a program has its own tree");
    if (!a.carrier && a.program) a.carrier = carrier_kind::process;
    if (a.carrier) refuse_other_carriers(r.wrong, a, *a.carrier, "this entry says");
    if (!a.path.empty()) d.actors.push_back(std::move(a));
}

constexpr field<deployment> file_fields[] = {
    {"name",
     [](const value& v, deployment& d) {
         d.name_at = v.at();
         d.name = v.text();
         if (d.name && !detail::valid_name(*d.name))
             v.refuse("a node's name has 1 to 255 bytes, none of / : ? # $ or control characters");
     }},
    {"node", [](const value& v, deployment& d) { take_options(v, false, d); }, &list_options<false>},
    {"log", [](const value& v, deployment& d) { take_options(v, true, d); }, &list_options<true>},
    {"supervisor",
     [](const value& v, deployment& d) { take_table(v, "[supervisor]", supervisor_fields, d.root); },
     [](const std::string& prefix, std::vector<std::string>& out) {
         list_fields<supervisor_changes>(supervisor_fields, prefix, out);
     }},
    {"actor",
     [](const value& v, deployment& d) {
         const auto* entries = v.node.as_array();
         if (!entries) return v.refuse("actors are a list: each begins with [[actor]], in two brackets");
         if (entries->size() > limits::deployment_actors)
             return v.refuse("more than " + std::to_string(limits::deployment_actors) + " entries");
         for (const toml::node& entry : *entries) {
             if (const auto* table = entry.as_table()) take_actor(v.r, *table, d);
             else v.element(entry).expected("a table");
         }
     },
     [](const std::string& prefix, std::vector<std::string>& out) {
         list_fields<actor_changes>(actor_fields, prefix, out);
     }},
};

std::string_view home_of(std::string_view key) {
    const auto has = [&](const auto& fields) {
        return std::any_of(std::begin(fields), std::end(fields),
                           [&](const auto& f) { return f.name == key; });
    };
    const auto is_option = [&](bool of_log) {
        const auto keys = option_keys(of_log);
        return std::any_of(keys.begin(), keys.end(), [&](const option_key& k) { return k.key == key; });
    };
    if (key.starts_with(log_prefix) && !home_of(key.substr(log_prefix.size())).empty())
        return "[log], without 'log-'";
    if (key.starts_with("secret-")) return "[node], as secret = { file = \"...\" } or { env = \"...\" }";
    if (is_option(false)) return "[node]";
    if (is_option(true)) return "[log]";
    if (has(supervisor_fields)) return "[supervisor]";
    if (has(actor_fields)) return "[[actor]]";
    if (has(limit_fields)) return "limits of [[actor]]";
    if (has(heartbeat_fields)) return "heartbeat of [[actor]]";
    return {};
}

// What toml++ 3.3 does not stand is found before it sees it, outside of texts and comments. A key with many dots makes
// as many tables in one another, of which it counts none; freeing them takes stack for each: more than `most` in a line
// are refused. Of a character that is not ASCII, which TOML has nowhere else, it asks whether it is a space, and that
// function has an end which it takes for unreachable.
struct refusal {
    file_place at;
    std::string_view why;
};
std::optional<refusal> unbearable(std::string_view text) {
    constexpr int most = 64;
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    std::string_view why;
    int dots = 0;
    std::size_t i = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
    for (; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') {
            dots = 0;
        } else if (c == '.') {
            if (++dots > most) {
                why = "a key with too many dots";
                break;
            }
        } else if (static_cast<unsigned char>(c) >= 0x80) {
            why = "a character that is not ASCII, outside of a text or comment";
            break;
        } else if (c == '#') {
            i = std::min(text.find('\n', i), text.size()) - 1;
        } else if (c == '"' || c == '\'') {
            const bool long_one = text.substr(i, 3) == std::string(3, c);
            const std::string end(long_one ? 3 : 1, c);
            for (i += end.size(); i < text.size() && text.substr(i, end.size()) != end; ++i) {
                if (!long_one && text[i] == '\n') break;  // no text ends so; the parser says it
                if (c == '"' && text[i] == '\\') ++i;
            }
            // A long text may end with one or two quotes of its own.
            if (i < text.size() && text[i] == c) i += end.size() - 1;
            else --i;
            for (int own = 0; long_one && own < 2 && i + 1 < text.size() && text[i + 1] == c; ++own) ++i;
        }
    }
    if (why.empty()) return std::nullopt;
    file_place at;
    for (const char c : text.substr(0, i)) {
        if (c == '\n') at = {at.line + 1, 1};
        else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) ++at.column;
    }
    return refusal{at, why};
}

// In which line the parser is lost. It reads from front to back, so it is lost in all texts that go beyond that line,
// and in none that ends before: the line is found by halving.
std::uint32_t line_of_loss(std::string_view text) {
    std::vector<std::size_t> ends;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (text[i] == '\n') ends.push_back(i + 1);
    const auto is_lost_in = [&](std::size_t end) {
        try {
            static_cast<void>(toml::parse(text.substr(0, end)));
        } catch (const toml::parse_error&) {
            return false;  // the text ends within something
        } catch (const parser_is_lost&) {
            return true;
        }
        return false;
    };
    const auto first =
        std::partition_point(ends.begin(), ends.end(), [&](std::size_t end) { return !is_lost_in(end); });
    return static_cast<std::uint32_t>(first - ends.begin()) + 1;
}

// ---------------------------------------------------------------- the tree

class changing {
public:
    explicit changing(const deployment& d) : wrong_{d.file} {}

    void root(const supervisor_changes& changes, supervisor_spec& tree) { set(changes, tree); }

    void actor(const actor_changes& a, const std::string& node_name, supervisor_spec& tree) {
        const std::string_view path = a.path;
        const std::string root = "/" + node_name;
        if (!path.starts_with(root + "/"))
            return wrong_.add(a.at, "there is no " + quote(shown(path)) + ": this node is '" + node_name +
                                        "', so its paths begin with '" + root + "/'");
        below(tree, root, path.substr(root.size() + 1), a);
    }
    mistakes& wrong() { return wrong_; }

private:
    // `rest` is the path from the supervisor at `here` on.
    void below(supervisor_spec& supervisor_here, const std::string& here, std::string_view rest,
               const actor_changes& a) {
        const auto slash = rest.find('/');
        const std::string_view name = rest.substr(0, slash);
        auto& children = supervisor_here.children;
        const auto found = std::find_if(children.begin(), children.end(),
                                        [&](const child_spec& c) { return c.name == name; });
        const std::string path = here + "/" + std::string{name};
        if (slash == std::string_view::npos) {
            if (found != children.end()) change(*found, a);
            else add(children, here, name, a);
        } else if (found == children.end()) {
            missing(children, here, name, a);
        } else if (!found->is_supervisor || !found->tree) {
            wrong_.add(a.at, quote(shown(path)) + " is no supervisor: there is no " + quote(shown(a.path)) +
                                 " in the tree that is known at the start");
        } else {
            supervisor_spec inner = *found->tree;
            below(inner, path, rest.substr(slash + 1), a);
            rebuild(*found, std::move(inner));
        }
    }

    // No child of that name at `here`, which is what the entry is about or on the way there.
    void missing(const std::vector<child_spec>& children, const std::string& here, std::string_view name,
                 const actor_changes& a) {
        constexpr std::size_t most = 20;
        std::vector<std::string_view> all;
        for (const child_spec& c : children) all.push_back(c.name);
        const std::string meant = suggestion(name, all, "");
        if (all.size() > most) all.erase(all.begin() + most, all.end()), all.push_back("...");
        wrong_.add(a.at, "there is no " + quote(shown(here + "/" + std::string{name})) + "; " + quote(here) +
                             (all.empty() ? " has no children" : " has the children " + joined(all)) + meant);
    }

    void add(std::vector<child_spec>& children, const std::string& here, std::string_view name,
             const actor_changes& a) {
        if (!a.program && !a.supervisor) return missing(children, here, name, a);
        child_spec made = a.supervisor ? supervisor(std::string{name}, supervisor_spec{})
                                       : child(std::string{name}, process_carrier{});
        // Whoever writes the limit knows that the program calls ready(); of an actor that is there, its code says it.
        if (a.program && a.ready_within) made.tells_ready = true;
        change(made, a);
        children.push_back(std::move(made));
    }

    void change(child_spec& c, const actor_changes& a) {
        const auto is = static_cast<carrier_kind>(c.carrier.index());
        const carrier_kind kind = a.carrier.value_or(is);
        refuse_other_carriers(wrong_, a, kind, quote(shown(a.path)) + " has");
        if (!c.start && kind != carrier_kind::process)
            return wrong_.add(a.at, quote(shown(a.path)) +
                                        " is another program's: it has no function that this one could run");
        if (a.supervisor && !c.is_supervisor)
            return wrong_.add(a.at,
                              quote(shown(a.path)) + " is no supervisor, but the entry has 'supervisor'");
        if (c.is_supervisor)
            for (const auto& [key, at] : a.keys)
                if (key == "shutdown" || key == "ready-within" || key == "program")
                    wrong_.add(at, quote(key) + " is not for supervisors" +
                                       (key == "program" ? ": a program has its own tree"
                                                         : ": their children have limits, which add up"));

        if (kind != is) {
            if (kind == carrier_kind::coroutine) c.carrier = coroutine_carrier{};
            else if (kind == carrier_kind::thread) c.carrier = thread_carrier{};
            else c.carrier = process_carrier{};
        }
        if (auto* coroutine = std::get_if<coroutine_carrier>(&c.carrier)) {
            if (a.scheduler) coroutine->scheduler = *a.scheduler;
        } else if (auto* thread = std::get_if<thread_carrier>(&c.carrier)) {
            if (a.priority) thread->priority = *a.priority;
        } else {
            change(std::get<process_carrier>(c.carrier), a);
        }
        if (a.period) c.beats.period = *a.period;
        if (a.misses) c.beats.misses = *a.misses;
        if (a.silent) c.beats.when_silent = *a.silent;
        if (a.stuck) c.beats.when_stuck = *a.stuck;
        if (a.restart) c.when = *a.restart;
        if (a.shutdown) c.shutdown_within = *a.shutdown;
        if (a.mailbox) c.capacity = *a.mailbox;
        if (a.overflow) c.policy = *a.overflow;
        if (a.significant) c.is_significant = *a.significant;
        if (a.ready_within && !c.is_supervisor) c.start_within = *a.ready_within;
        if (c.is_supervisor) {
            supervisor_spec inner = c.tree ? *c.tree : supervisor_spec{};
            if (a.supervisor) set(*a.supervisor, inner);
            rebuild(c, std::move(inner));
        }
    }

    static void change(process_carrier& p, const actor_changes& a) {
        if (a.program) p.program = *a.program;
        if (a.arguments) p.arguments = *a.arguments;
        if (a.directory) p.directory = *a.directory;
        if (a.over) p.transport = *a.over;
        if (a.nice) p.nice = *a.nice;
        if (a.cpus) p.cpus = *a.cpus;
        for (const auto& [name, text] : a.environment) {
            const auto found = std::find_if(p.environment.begin(), p.environment.end(),
                                            [&](const auto& variable) { return variable.first == name; });
            if (found != p.environment.end()) found->second = text;
            else p.environment.emplace_back(name, text);
        }
        for (auto limit : {&process_limits::memory, &process_limits::files, &process_limits::cpu_seconds,
                           &process_limits::core_bytes, &process_limits::processes})
            if (a.limits.*limit != process_limits::unset) p.limits.*limit = a.limits.*limit;
    }

    static void set(const supervisor_changes& changes, supervisor_spec& s) {
        if (changes.strategy) s.strategy = *changes.strategy;
        if (changes.restarts) s.most_restarts = *changes.restarts;
        if (changes.window) s.window = *changes.window;
        if (changes.backoff_first) s.backoff_first = *changes.backoff_first;
        if (changes.backoff_most) s.backoff_most = *changes.backoff_most;
        if (changes.jitter) s.jitter = *changes.jitter;
    }

    // A supervisor's function has its children as an argument: with other children it is made anew.
    static void rebuild(child_spec& c, supervisor_spec inner) {
        child_spec made = supervisor(c.name, std::move(inner), c.carrier);
        c.start = std::move(made.start);
        c.tree = std::move(made.tree);
        c.portable = made.portable;
    }

    mistakes wrong_;
};

}  // namespace

std::vector<std::string> detail::deployment_keys() {
    std::vector<std::string> all;
    list_fields<deployment>(file_fields, "", all);
    std::sort(all.begin(), all.end());
    return all;
}

result<deployment> parse_deployment(std::string_view text, std::string file_name) {
    std::error_code no_directory;
    auto whole = std::filesystem::absolute(file_name, no_directory);
    reading r{mistakes{file_name}, whole.parent_path()};
    const auto refuse = [&](file_place at, std::string_view what) {
        r.wrong.add(at, what);
        return r.wrong.outcome().error();
    };
    if (text.size() > limits::deployment_bytes)
        return refuse({}, "larger than " + std::to_string(limits::deployment_bytes) + " bytes");
    if (const auto found = unbearable(text)) return refuse(found->at, found->why);
    toml::table table;
    try {
        table = toml::parse(text);
    } catch (const toml::parse_error& failure) {
        return refuse(place_of(failure.source().begin), failure.description());
    } catch (const parser_is_lost&) {
        return refuse({line_of_loss(text), 1}, "this line is no TOML");
    }
    deployment d;
    d.file = std::move(file_name);
    take_fields(r, table, "", file_fields, d);
    std::map<std::string_view, file_place> paths;
    for (const actor_changes& a : d.actors)
        if (const auto [first, is_new] = paths.emplace(a.path, a.at); !is_new)
            r.wrong.add(a.at, "a second entry for " + quote(shown(a.path)) + "; the first is in line " +
                                  std::to_string(first->second.line));
    if (auto outcome = r.wrong.outcome(); !outcome) return outcome.error();
    return d;
}

result<deployment> read_deployment(std::string path) {
    const auto unreadable = [&](int code) {
        return error{errc::invalid_argument,
                     path + ": the deployment file cannot be read: " + std::generic_category().message(code)};
    };
    errno = 0;
    std::ifstream file{path, std::ios::binary};
    if (!file) return unreadable(errno ? errno : EIO);
    std::string text(limits::deployment_bytes + 1, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (file.bad()) return unreadable(errno ? errno : EIO);
    text.resize(static_cast<std::size_t>(file.gcount()));
    return parse_deployment(text, std::move(path));
}

result<void> apply(const deployment& file, const std::string& node_name, supervisor_spec& tree) {
    changing work{file};
    if (file.name && *file.name != node_name)
        work.wrong().add(file.name_at,
                         "the file is for node '" + *file.name + "', and this is '" + node_name + "'");
    supervisor_spec changed = tree;
    work.root(file.root, changed);
    for (const actor_changes& a : file.actors) work.actor(a, node_name, changed);
    auto outcome = work.wrong().outcome();
    if (outcome) tree = std::move(changed);
    return outcome;
}

result<supervisor_spec> tree_of(const deployment& file) {
    if (!file.name)
        return error{errc::invalid_argument,
                     file.file + ":1:1: the file has no 'name', which a tree of programs alone needs"};
    supervisor_spec tree;
    if (auto applied = apply(file, *file.name, tree); !applied) return applied.error();
    return tree;
}

}  // namespace coppice
