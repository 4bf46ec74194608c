// Rights: patterns, the text form, and who may do what; see rights.hpp. It knows nothing of nodes and links: who has which role, and
// what is refused how, is the gate's affair (net/gate.hpp). Pure functions; any thread.
#include "coppice/rights.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "node_core.hpp"

namespace coppice {

namespace {

constexpr std::string_view right_names[] = {"send",    "ask",  "join", "publish", "spawn",  "monitor",
                                            "inspect", "stop", "read", "write",   "transit"};
static_assert(std::size(right_names) == right_count);

constexpr std::uint16_t all_rights = (1u << right_count) - 1;

constexpr std::string_view kinds_of_principals[] = {"uid", "certificate", "name", "script", "token"};
constexpr std::string_view anyone = "anyone";

std::string quoted(std::string_view text) { return "'" + std::string{text} + "'"; }

error wrong(std::string text) { return error{errc::invalid_argument, std::move(text)}; }

template <class Range>
std::string listed(const Range& words) {
    std::string all;
    for (const std::string_view word : words) (all += all.empty() ? "" : ", ") += word;
    return all;
}

// `*` in `pattern` stands for any characters. The last star is the only one that is ever tried again: what an earlier one could take more
// of, that one can as well.
bool part_matches(std::string_view pattern, std::string_view part) noexcept {
    std::size_t p = 0;
    std::size_t at = 0;
    std::size_t star = std::string_view::npos;
    std::size_t taken = 0;
    while (at < part.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            taken = at;
        } else if (p < pattern.size() && pattern[p] == part[at]) {
            ++p;
            ++at;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            at = ++taken;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

// Parts of a text between slashes, one after the other, by where they begin: "/a/b" has "", "a" and "b".
class parts {
public:
    explicit parts(std::string_view text) noexcept : text_{text} {}
    [[nodiscard]] bool has(std::size_t at) const noexcept { return at <= text_.size(); }
    [[nodiscard]] std::string_view part(std::size_t at) const noexcept {
        return text_.substr(at, text_.find('/', at) - at);
    }
    [[nodiscard]] std::size_t after(std::size_t at) const noexcept { return at + part(at).size() + 1; }

private:
    std::string_view text_;
};

// The next word of a line, which is taken off it.
std::string_view word_of(std::string_view& line) {
    const auto begin = std::min(line.find_first_not_of(" \t\r"), line.size());
    const auto end = std::min(line.find_first_of(" \t\r", begin), line.size());
    const std::string_view word = line.substr(begin, end - begin);
    line.remove_prefix(end);
    return word;
}

std::string_view rest_of(std::string_view line) {
    const auto begin = std::min(line.find_first_not_of(" \t\r"), line.size());
    line.remove_prefix(begin);
    return line.substr(0, line.find_last_not_of(" \t\r") + 1);
}

// A statement within a role.
result<void> read_statement(rights_role& role, std::string_view word, std::string_view line,
                            const std::string& place) {
    if (word == "who") {
        const std::string_view who = rest_of(line);
        if (auto fit = check_principal(who); !fit) return fit;
        role.who.emplace_back(who);
    } else if (word == "may" || word == "never") {
        const std::string_view rights = word_of(line);
        auto rule = make_rule(rights, rest_of(line), word == "may", place);
        if (!rule) return rule.error();
        role.rules.push_back(std::move(*rule));
    } else if (word == "secret-file") {
        role.secret_file = rest_of(line);
        if (role.secret_file.empty()) return wrong("secret-file names no file");
    } else {
        return wrong(quoted(word) + " is no statement: role, who, may, never and secret-file are");
    }
    return {};
}

result<void> read_line(rights_table& table, std::string_view line, const std::string& place) {
    const std::string_view word = word_of(line);
    if (word.empty()) return {};
    if (word != "role") {
        if (table.roles.empty()) return wrong(quoted(word) + " before the first role");
        return read_statement(table.roles.back(), word, line, place);
    }
    const std::string_view name = rest_of(line);
    if (!detail::valid_name(name)) return wrong(quoted(name) + " is no name of a role");
    if (std::ranges::find(table.roles, name, &rights_role::name) != table.roles.end())
        return wrong("there are two roles " + quoted(name));
    if (table.roles.size() == rights_table::most_roles)
        return wrong("more than " + std::to_string(rights_table::most_roles) + " roles");
    table.roles.push_back({std::string{name}, {}, {}, {}});
    return {};
}

std::string rights_text(std::uint16_t rights) {
    if (rights == all_rights) return "all";
    std::string text;
    for (std::size_t i = 0; i < right_count; ++i)
        if (rights >> i & 1u) (text += text.empty() ? "" : ",") += right_names[i];
    return text;
}

}  // namespace

std::string_view to_string(right what) noexcept { return right_names[static_cast<std::size_t>(what)]; }

std::optional<right> right_of(std::string_view name) noexcept {
    const auto* const at = std::ranges::find(right_names, name);
    if (at == std::end(right_names)) return std::nullopt;
    return static_cast<right>(at - std::begin(right_names));
}

// As within a part: of several `**` only the last one is ever tried again.
bool matches(std::string_view pattern, std::string_view name) noexcept {
    const parts wanted{pattern};
    const parts given{name};
    std::size_t w = 0;
    std::size_t g = 0;
    std::size_t star = std::string_view::npos;
    std::size_t taken = 0;
    while (given.has(g)) {
        if (wanted.has(w) && wanted.part(w) == "**") {
            star = w = wanted.after(w);
            taken = g;
        } else if (wanted.has(w) && part_matches(wanted.part(w), given.part(g))) {
            w = wanted.after(w);
            g = given.after(g);
        } else if (star != std::string_view::npos) {
            w = star;
            g = taken = given.after(taken);
        } else {
            return false;
        }
    }
    while (wanted.has(w) && wanted.part(w) == "**") w = wanted.after(w);
    return !wanted.has(w);
}

result<void> check_principal(std::string_view who) {
    if (who == anyone) return {};
    const auto colon = who.find(':');
    if (colon == std::string_view::npos || colon + 1 == who.size() ||
        std::ranges::find(kinds_of_principals, who.substr(0, colon)) == std::end(kinds_of_principals))
        return wrong(quoted(who) + " is nobody: anyone, or one of " + listed(kinds_of_principals) +
                     " with what it is after a colon, as uid:1000");
    return {};
}

result<rights_rule> make_rule(std::string_view rights, std::string_view pattern, bool allows,
                              std::string place) {
    rights_rule rule{0, std::string{pattern}, allows, std::move(place)};
    if (pattern.empty()) return wrong("no pattern after " + quoted(rights));
    for (std::string_view rest = rights; !rest.empty();) {
        const auto comma = rest.find(',');
        const std::string_view name = rest.substr(0, comma);
        const auto what = right_of(name);
        if (!what && name != "all")
            return wrong("there is no right " + quoted(name) + "; there are " + listed(right_names) +
                         ", and all");
        rule.rights |= what ? static_cast<std::uint16_t>(1u << static_cast<unsigned>(*what)) : all_rights;
        rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
    if (!rule.rights) return wrong("no right is named");
    return rule;
}

result<rights_table> parse_rights(std::string_view text, std::string_view file_name) {
    rights_table table;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        const std::string place = std::string{file_name} + ":" + std::to_string(number);
        if (auto read = read_line(table, line.substr(0, line.find('#')), place); !read)
            return wrong(place + ": " + std::string{read.error().text()});
    }
    return table;
}

std::string to_text(const rights_table& table) {
    std::string text;
    for (const rights_role& role : table.roles) {
        text += "role " + role.name + "\n";
        for (const std::string& who : role.who) text += "who " + who + "\n";
        for (const rights_rule& rule : role.rules)
            text += (rule.allows ? "may " : "never ") + rights_text(rule.rights) + " " + rule.pattern + "\n";
        if (!role.secret_file.empty()) text += "secret-file " + role.secret_file + "\n";
    }
    return text;
}

rights_table::role_number rights_table::role_of(principals shown) const {
    const auto has = [&](const std::string& who) {
        return who == anyone ||
               std::ranges::any_of(shown, [&](const std::string& one) { return matches(who, one); });
    };
    for (std::size_t i = 0; i < roles.size(); ++i)
        if (std::ranges::any_of(roles[i].who, has)) return static_cast<role_number>(i + 1);
    return nobody;
}

const rights_role* rights_table::role_by_name(std::string_view node_name) const {
    const std::string shown = "name:" + std::string{node_name};
    for (const rights_role& role : roles)
        if (std::ranges::any_of(role.who, [&](const std::string& who) { return matches(who, shown); }))
            return &role;
    return nullptr;
}

const rights_rule* rights_table::deciding(role_number role, right what,
                                          std::string_view object) const noexcept {
    if (role == of_the_tree || role > roles.size()) return nullptr;
    const rights_rule* allowing = nullptr;
    for (const rights_rule& rule : roles[role - 1u].rules) {
        if (!rule.is_about(what) || !matches(rule.pattern, object)) continue;
        if (!rule.allows) return &rule;
        if (!allowing) allowing = &rule;
    }
    return allowing;
}

bool rights_table::allows(role_number role, right what, std::string_view object) const noexcept {
    if (role == of_the_tree) return true;
    const rights_rule* rule = deciding(role, what, object);
    return rule && rule->allows;
}

bool rights_table::is_of_the_tree(role_number role) const noexcept {
    if (role == of_the_tree || role > roles.size()) return role == of_the_tree;
    const auto& rules = roles[role - 1u].rules;
    return std::ranges::all_of(rules, &rights_rule::allows) &&
           std::ranges::any_of(
               rules, [](const rights_rule& r) { return r.rights == all_rights && r.pattern == "**"; });
}

std::string rights_table::name_of(role_number role) const {
    if (role == of_the_tree) return "of the tree";
    return role > roles.size() ? "without a role" : "role " + roles[role - 1u].name;
}

verdict rights_table::decide(role_number role, right what, std::string_view object) const {
    if (role == of_the_tree) return {true, "nodes of the tree may do everything"};
    const rights_rule* rule = deciding(role, what, object);
    if (!rule)
        return {false, "no rule of who is " + name_of(role) + " allows to " + std::string{to_string(what)} +
                           " " + std::string{object}};
    return {rule->allows, name_of(role) + (rule->allows ? " may " : " may never ") +
                              rights_text(rule->rights) + " " + rule->pattern +
                              (rule->place.empty() ? "" : " (" + rule->place + ")")};
}

}  // namespace coppice
