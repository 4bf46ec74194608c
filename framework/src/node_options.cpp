// The options of a node: by their names, from the environment, the command line and a deployment file; see option_table.hpp.
// Any thread; the environment is read at the call.
#include "option_table.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <string>

#include "coppice/deployment.hpp"

namespace coppice::detail {

namespace {

template <class Integer>
bool parse_number(std::string_view text, Integer& out) {
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out);
    return failed == std::errc{} && end == text.data() + text.size();
}

constexpr std::size_t shortest_secret = 16;  // bytes

constexpr known_option option_names[] = {
    {"deployment", option_form::text},      {"schedulers", option_form::number},
    {"poll-us", option_form::number},       {"log-level", option_form::text},
    {"log-levels", option_form::levels},    {"log-terminal", option_form::on_off},
    {"log-format", option_form::text},      {"log-file", option_form::text},
    {"log-file-bytes", option_form::bytes}, {"log-files", option_form::number},
    {"mailbox", option_form::number},       {"offload-threads", option_form::number},
    {"listen", option_form::list},          {"connect", option_form::list},
    {"children", option_form::list},        {"parent", option_form::text},
    {"allow", option_form::list},           {"secret-file", option_form::text},
    {"secret-env", option_form::text},      {"hold-ms", option_form::number},
    {"linger-ms", option_form::number},     {"shortcuts", option_form::on_off},
    {"control", option_form::on_off}};

// "text" or "json", and a descriptor behind a colon. Of the command line alone: whatever else hears of it would not start.
result<check_wanted> read_check(std::string_view value) {
    check_wanted wanted;
    if (value.empty()) return wanted;
    const auto colon = value.find(':');
    const std::string_view form = value.substr(0, colon);
    if ((form != "text" && form != "json") ||
        (colon != std::string_view::npos &&
         (!parse_number(value.substr(colon + 1), wanted.to) || wanted.to < 0)))
        return error{errc::invalid_argument,
                     "option check='" + std::string{value} +
                         "': expected text or json, or one with a descriptor: json:3"};
    wanted.form = form == "json" ? tree_form::json : tree_form::text;
    return wanted;
}

}  // namespace

std::span<const known_option> known_options() noexcept { return option_names; }

std::optional<std::string> secret_in_file(const std::string& file) {
    std::ifstream in{file};
    std::string line;
    std::getline(in, line);
    return line.size() < shortest_secret ? std::nullopt : std::optional{std::move(line)};
}

// One option by its name as in node_options' comments; the error says what would be right.
result<void> set_option(node_options& o, std::string_view name, std::string_view value) {
    const auto bad = [&](std::string_view wanted) {
        return error{errc::invalid_argument, "option " + std::string{name} + "='" + std::string{value} +
                                                 "': expected " + std::string{wanted}};
    };
    bool known = true;
    if (name == "schedulers") {
        if (!parse_number(value, o.schedulers) || o.schedulers > 512)
            return bad("a number from 0 (one a core) to 512");
    } else if (name == "poll-us") {
        std::uint32_t us = 0;
        if (!parse_number(value, us) || us > 1000) return bad("microseconds, 0 to 1000");
        o.poll = std::chrono::microseconds{us};
    } else if (name == "log-level") {
        o.level = level_of(value, known);
        if (!known) return bad("trace, debug, info, warn, error or off");
    } else if (name == "log-levels") {
        while (!value.empty()) {
            const auto comma = value.find(',');
            const auto part = value.substr(0, comma);
            const auto equals = part.find('=');
            const level l = level_of(
                equals == std::string_view::npos ? std::string_view{} : part.substr(equals + 1), known);
            if (!known || part.front() != '/') return bad("/path=level,/path=level");
            o.levels.emplace_back(part.substr(0, equals), l);
            value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
        }
    } else if (name == "log-terminal") {
        if (value != "on" && value != "off") return bad("on or off");
        o.log_terminal = value == "on";
    } else if (name == "log-format") {
        if (value != "text" && value != "json") return bad("text or json");
        o.log_format = value == "json" ? log_format::json : log_format::text;
    } else if (name == "log-file") {
        o.log_file = value;
    } else if (name == "log-file-bytes") {
        if (!parse_number(value, o.log_file_bytes) || o.log_file_bytes < 4096)
            return bad("bytes, at least 4096");
    } else if (name == "log-files") {
        if (!parse_number(value, o.log_files) || o.log_files < 1) return bad("a number from 1");
    } else if (name == "mailbox") {
        if (!parse_number(value, o.mailbox) || o.mailbox < 1) return bad("messages, at least 1");
    } else if (name == "offload-threads") {
        if (!parse_number(value, o.offload_threads) || o.offload_threads < 1 || o.offload_threads > 512)
            return bad("a number from 1 to 512");
    } else if (name == "listen" || name == "connect" || name == "children" || name == "allow") {
        auto& list = name == "listen"     ? o.network.listen
                     : name == "connect"  ? o.network.connect
                     : name == "children" ? o.network.children
                                          : o.network.allow;
        list.clear();
        while (!value.empty()) {
            const auto comma = value.find(',');
            list.emplace_back(value.substr(0, comma));
            value = comma == std::string_view::npos ? std::string_view{} : value.substr(comma + 1);
        }
    } else if (name == "parent") {
        o.network.parent = value;
    } else if (name == "deployment") {
        o.deployment = value;
    } else if (name == "secret-env") {
        const char* secret = std::getenv(std::string{value}.c_str());
        o.network.secret = secret ? secret : "";
        if (o.network.secret.size() < shortest_secret)
            return bad("the name of a variable of the environment with at least 16 bytes");
    } else if (name == "secret-file") {
        auto secret = secret_in_file(std::string{value});
        if (!secret) return bad("a readable file whose first line has at least 16 bytes");
        o.network.secret = *std::move(secret);
    } else if (name == "hold-ms") {
        std::uint32_t ms = 0;
        if (!parse_number(value, ms) || ms < 1) return bad("milliseconds, at least 1");
        o.network.hold = std::chrono::milliseconds{ms};
    } else if (name == "linger-ms") {
        std::uint32_t ms = 0;
        if (!parse_number(value, ms)) return bad("milliseconds");
        o.network.linger = std::chrono::milliseconds{ms};
    } else if (name == "shortcuts") {
        if (value != "on" && value != "off") return bad("on or off");
        o.network.shortcuts = value == "on";
    } else if (name == "control") {
        if (value != "on" && value != "off") return bad("on or off");
        o.control = value == "on";
    } else {
        return error{errc::invalid_argument, "there is no option --coppice-" + std::string{name}};
    }
    return {};
}

result<void> read_environment(node_options& o, options_set& outside) {
    for (const known_option& option : option_names) {
        std::string variable = "COPPICE_";
        for (const char c : option.name) variable += c == '-' ? '_' : static_cast<char>(c - 'a' + 'A');
        if (const char* value = std::getenv(variable.c_str())) {
            outside.emplace_back(option.name);
            if (auto set = set_option(o, option.name, value); !set)
                return error{errc::invalid_argument, variable + ": " + std::string{set.error().text()}};
        }
    }
    return {};
}

result<void> read_command_line(node_options& o, options_set& outside, std::optional<check_wanted>& check,
                               int& argc, char** argv) {
    constexpr std::string_view prefix = "--coppice-";
    result<void> outcome;
    int kept = 1;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (!word.starts_with(prefix)) {
            argv[kept++] = argv[i];
            continue;
        }
        const auto equals = word.find('=');
        const auto name =
            word.substr(prefix.size(), equals == std::string_view::npos ? equals : equals - prefix.size());
        const auto value = equals == std::string_view::npos ? std::string_view{} : word.substr(equals + 1);
        if (name == "check") {
            auto wanted = read_check(value);
            if (wanted) check = *wanted;
            else if (outcome) outcome = wanted.error();
            continue;
        }
        outside.emplace_back(name);
        if (auto set = set_option(o, name, value); !set && outcome) outcome = set;
    }
    if (argc > 0) {
        argc = kept;
        argv[kept] = nullptr;
    }
    return outcome;
}

result<void> deploy(node_options& o, const options_set& outside, std::size_t own_levels,
                    const std::string& name, supervisor_spec& tree) {
    const auto file = read_deployment(o.deployment);
    if (!file) return file.error();
    const auto is_outside = [&](std::string_view option) {
        return std::find(outside.begin(), outside.end(), option) != outside.end();
    };
    const bool secret_is_outside = is_outside("secret-file") || is_outside("secret-env");
    const auto first_outside = o.levels.begin() + static_cast<std::ptrdiff_t>(own_levels);
    const std::vector<std::pair<std::string, level>> levels_outside{first_outside, o.levels.end()};
    o.levels.erase(first_outside, o.levels.end());
    for (const deployment_option& option : file->options) {
        if (option.name.starts_with("secret-") ? secret_is_outside
                                               : option.name != "log-levels" && is_outside(option.name))
            continue;
        if (auto set = set_option(o, option.name, option.value); !set)
            return error{errc::invalid_argument, file->file + ":" + std::to_string(option.at.line) + ":" +
                                                     std::to_string(option.at.column) + ": " +
                                                     std::string{set.error().text()}};
    }
    o.levels.insert(o.levels.end(), levels_outside.begin(), levels_outside.end());
    if (file->rights) o.network.rights = file->rights;
    return apply(*file, name, tree);
}

}  // namespace coppice::detail
