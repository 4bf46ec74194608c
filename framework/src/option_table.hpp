// The options of a node by their names: one table for deployment file, environment and command line, which say the same
// in texts. node.cpp has it. Any thread.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>

#include "coppice/error.hpp"
#include "coppice/node.hpp"

namespace coppice::detail {

/// What an option's text holds, which tells how a deployment file writes it.
enum class option_form : std::uint8_t {
    text,
    number,
    bytes,   ///< a number of them
    on_off,  ///< on, off
    list,    ///< texts, with commas
    levels,  ///< /path=level, with commas
};

struct known_option {
    std::string_view name;
    option_form form;
};
[[nodiscard]] std::span<const known_option> known_options() noexcept;

/// Sets one of them; `invalid_argument` says what would be right.
[[nodiscard]] result<void> set_option(node_options& options, std::string_view name, std::string_view value);

}  // namespace coppice::detail
