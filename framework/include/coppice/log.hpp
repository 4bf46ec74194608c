// Logging as actors see it: self.log.info("{} is up", name). A record carries the actor's path; whether a level is on is
// decided per subtree of the actor tree (node_options::levels, node::set_level). Formatting is fmt's; files, rotation and
// the terminal are spdlog's, behind node.hpp. Any actor, its own thread only; a record is written whole.
#pragma once
#include <cstdint>
#include <string_view>

#include <fmt/core.h>

namespace coppice {

enum class level : std::uint8_t { trace = 0, debug = 1, info = 2, warn = 3, error = 4, off = 6 };

[[nodiscard]] std::string_view to_string(level l) noexcept;
/// The level of that name, or `off` for an unknown one with `known` set to false.
[[nodiscard]] level level_of(std::string_view name, bool& known) noexcept;

namespace detail {
struct cell;
bool log_enabled(cell* c, level l) noexcept;
void log_write(cell* c, level l, fmt::string_view format, fmt::format_args args) noexcept;
}  // namespace detail

class logger {
public:
    explicit logger(detail::cell* c) noexcept : cell_{c} {}

    template <class... Args>
    void trace(fmt::format_string<Args...> format, Args&&... args) const {
        write(level::trace, format, args...);
    }
    template <class... Args>
    void debug(fmt::format_string<Args...> format, Args&&... args) const {
        write(level::debug, format, args...);
    }
    template <class... Args>
    void info(fmt::format_string<Args...> format, Args&&... args) const {
        write(level::info, format, args...);
    }
    template <class... Args>
    void warn(fmt::format_string<Args...> format, Args&&... args) const {
        write(level::warn, format, args...);
    }
    template <class... Args>
    void error(fmt::format_string<Args...> format, Args&&... args) const {
        write(level::error, format, args...);
    }
    [[nodiscard]] bool enabled(level l) const noexcept { return detail::log_enabled(cell_, l); }

private:
    template <class... Args>
    void write(level l, fmt::string_view format, Args&... args) const {
        if (detail::log_enabled(cell_, l))
            detail::log_write(cell_, l, format, fmt::make_format_args(args...));
    }

protected:
    detail::cell* cell_;
};

}  // namespace coppice
