// How the command `coppice` ends, and which error leads to which code. docs/command_line.md has the same table.
#pragma once
#include <stdexcept>
#include <string>

#include "coppice/error.hpp"

namespace coppice::command {

enum class exit_code : int {
    ok = 0,           ///< done
    failed = 1,       ///< it was asked for, and the tree answered that it did not work
    usage = 2,        ///< the command line, or a deployment file, was not understood
    not_found = 3,    ///< there is no such tree, actor or file
    unreachable = 4,  ///< the tree or the actor does not answer, or ended meanwhile
    refused = 5,      ///< it does not take this message, or not from this user, or has no room
};

inline exit_code code_of(errc code) noexcept {
    switch (code) {
    case errc::ok: return exit_code::ok;
    case errc::invalid_argument:
    case errc::bad_name: return exit_code::usage;
    case errc::not_found: return exit_code::not_found;
    case errc::timeout:
    case errc::down:
    case errc::unreachable:
    case errc::stopping:
    case errc::closed:
    case errc::node_lost:
    case errc::outcome_unknown: return exit_code::unreachable;
    case errc::mailbox_full:
    case errc::denied:
    case errc::no_handler:
    case errc::wrong_protocol:
    case errc::name_refused:
    case errc::wrong_secret:
    case errc::wrong_version:
    case errc::not_portable:
    case errc::bad_message:
    case errc::too_large: return exit_code::refused;
    default: return exit_code::failed;
    }
}

/// Ends the command with a code, and a line for people.
class command_failed : public std::runtime_error {
public:
    command_failed(exit_code code, const std::string& text) : std::runtime_error{text}, code_{code} {}
    command_failed(const std::string& what, const error& why)
        : std::runtime_error{what + ": " + why.what()}, code_{code_of(why.code())} {}
    [[nodiscard]] exit_code code() const noexcept { return code_; }

private:
    exit_code code_;
};

/// A deployment file has mistakes. Its lines are printed as they are: they begin with the place.
class mistaken_file : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

}  // namespace coppice::command
