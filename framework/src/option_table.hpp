// The options of a node by their names: one table for deployment file, environment and command line, which say the same
// in texts. node_options.cpp has it. Any thread.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/deployment.hpp"
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

/// The first line of that file, a secret; nothing if it cannot be read, or is shorter than the 16 bytes that a secret has at least.
[[nodiscard]] std::optional<std::string> secret_in_file(const std::string& file);

/// The names of options that were set from outside: a deployment file leaves them alone.
using options_set = std::vector<std::string>;

/// A tree is to be told and not started: how, and to which descriptor.
struct check_wanted {
    tree_form form = tree_form::text;
    int to = 1;
};

/// From COPPICE_SCHEDULERS and so on.
result<void> read_environment(node_options& o, options_set& outside);
/// From --coppice-schedulers=2 and so on, which are taken out of the arguments. The first error; the others are read all the same.
result<void> read_command_line(node_options& o, options_set& outside, std::optional<check_wanted>& check,
                               int& argc, char** argv);
/// Options and tree as the deployment file says, except for what came from outside. Levels of the log are many options:
/// those of the file stand between the program's, of which there are `own_levels`, and those from outside; the later one
/// counts.
result<void> deploy(node_options& o, const options_set& outside, std::size_t own_levels,
                    const std::string& name, supervisor_spec& tree);

}  // namespace coppice::detail
