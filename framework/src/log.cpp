// The log: levels by subtree, and records written whole through spdlog, tagged once with the actor's path.
// A record goes to the terminal, a rotating file and a hook, as node_options say. Any thread.
#include "coppice/log.hpp"

#include <unistd.h>

#include <chrono>
#include <ctime>
#include <mutex>

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include "json_text.hpp"
#include "log_sink.hpp"
#include "node_core.hpp"

namespace coppice {

std::string_view to_string(level l) noexcept {
    switch (l) {
    case level::trace: return "trace";
    case level::debug: return "debug";
    case level::info: return "info";
    case level::warn: return "warn";
    case level::error: return "error";
    case level::off: return "off";
    }
    return "off";
}

level level_of(std::string_view name, bool& known) noexcept {
    known = true;
    for (const level l : {level::trace, level::debug, level::info, level::warn, level::error, level::off})
        if (name == to_string(l)) return l;
    known = false;
    return level::off;
}

namespace detail {

std::shared_ptr<spdlog::logger> make_log(const node_options& options) {
    std::vector<spdlog::sink_ptr> sinks;
    if (options.log_terminal) sinks.push_back(std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    if (!options.log_file.empty())
        sinks.push_back(std::make_shared<spdlog::sinks::rotating_file_sink_mt>(
            options.log_file, options.log_file_bytes, options.log_files));
    auto log = std::make_shared<spdlog::logger>("coppice", sinks.begin(), sinks.end());
    log->set_level(spdlog::level::trace);  // levels are decided before a record gets here
    log->flush_on(spdlog::level::warn);
    log->set_pattern(options.log_format == log_format::json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %^%-5l%$ %v");
    return log;
}

std::int64_t log_time_now() noexcept {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::string log_record_as_json(std::int64_t time, level l, std::string_view path, std::uint32_t pid,
                               std::string_view text) {
    constexpr std::int64_t second = 1'000'000'000;
    const std::time_t seconds = time / second;
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    return fmt::format(
        R"({{"time":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z","level":{},"path":{},"pid":{},"text":{}}})",
        utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
        time % second / 1000, json_text(to_string(l)), json_text(path), pid, json_text(text));
}

void node_core::set_level(std::string subtree, level l) {
    const std::unique_lock lock{level_mutex};
    while (subtree.size() > 1 && subtree.back() == '/') subtree.pop_back();
    levels[subtree] = l;
    auto lowest = options.level;
    for (const auto& [path, at] : levels) lowest = std::min(lowest, at);
    lowest_level.store(static_cast<std::uint8_t>(lowest), std::memory_order_relaxed);
    level_version.fetch_add(1, std::memory_order_release);
}

// The entry of the longest subtree that the path is in.
level node_core::level_at(std::string_view path) const {
    const std::shared_lock lock{level_mutex};
    for (std::string_view prefix = path; !prefix.empty();) {
        if (const auto at = levels.find(prefix); at != levels.end()) return at->second;
        const auto cut = prefix.rfind('/');
        prefix = prefix.substr(0, cut == std::string_view::npos ? 0 : cut);
    }
    const auto everywhere = levels.find("/");
    return everywhere != levels.end() ? everywhere->second : options.level;
}

void node_core::write_log(level l, std::string_view path, std::string_view text, std::uint32_t pid) noexcept {
    try {
        if (options.log_hook) options.log_hook(l, path, text);
        followed_log.put(l, path, text, pid);
        if (log_upward) return log_upward(l, path, text, pid);
        if (!sink) return;
        static constexpr spdlog::level::level_enum map[] = {
            spdlog::level::trace, spdlog::level::debug,    spdlog::level::info, spdlog::level::warn,
            spdlog::level::err,   spdlog::level::critical, spdlog::level::off};
        if (options.log_format == log_format::json)
            return sink->log(map[static_cast<std::size_t>(l)],
                             log_record_as_json(log_time_now(), l, path,
                                                pid ? pid : static_cast<std::uint32_t>(::getpid()), text));
        fmt::memory_buffer line;
        // One record is one line: line breaks in the text are written as an escape.
        fmt::format_to(std::back_inserter(line), "{}", path.empty() ? std::string_view{"-"} : path);
        if (pid) fmt::format_to(std::back_inserter(line), "[{}]", pid);
        line.push_back(' ');
        for (const char c : text) {
            if (c == '\n') line.append(std::string_view{"\\n"});
            else if (c == '\r') line.append(std::string_view{"\\r"});
            else line.push_back(c);
        }
        sink->log(map[static_cast<std::size_t>(l)], spdlog::string_view_t{line.data(), line.size()});
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "coppice: a log record could not be written: %s\n", failure.what());
    }
}

bool log_enabled(cell* c, level l) noexcept {
    node_core& node = *c->sched->node;
    if (static_cast<std::uint8_t>(l) < node.lowest_level.load(std::memory_order_relaxed)) return false;
    const std::uint32_t version = node.level_version.load(std::memory_order_acquire);
    if (c->level_version != version) {
        c->level_cache = static_cast<std::uint8_t>(node.level_at(path_of(c)));
        c->level_version = version;
    }
    return static_cast<std::uint8_t>(l) >= c->level_cache;
}

void log_write(cell* c, level l, fmt::string_view format, fmt::format_args args) noexcept {
    try {
        c->sched->node->write_log(l, path_of(c), fmt::vformat(format, args));
    } catch (const std::exception& failure) {
        c->sched->node->write_log(level::error, path_of(c),
                                  std::string{"a log record could not be formatted: "} + failure.what());
    }
}

}  // namespace detail
}  // namespace coppice
