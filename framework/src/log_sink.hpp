// Makes the spdlog logger that a node writes to: terminal and rotating file, by its options; and records as JSON, which the
// command line writes, too. Any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "coppice/node.hpp"

namespace spdlog {
class logger;
}

namespace coppice::detail {
/// Throws spdlog::spdlog_ex if the file cannot be opened.
std::shared_ptr<spdlog::logger> make_log(const node_options& options);
/// An object in one line: {"time":"2026-11-22T07:28:12.031245Z","level":"info","path":"/app/x","pid":4711,"text":"..."}.
/// `time`: nanoseconds since 1970, UTC.
std::string log_record_as_json(std::int64_t time, level l, std::string_view path, std::uint32_t pid,
                               std::string_view text);
std::int64_t log_time_now() noexcept;
}  // namespace coppice::detail
