// rights: what those may do in a tree who are not of it. A node that links is told by what it can show (its user, its certificate, its
// name with a secret): that gives it a role, and the role's rules say what it may do, to what. What no rule allows is denied. Scripts, and pages in browsers, get
// theirs by name and by token.
//
//     options.network.rights = *coppice::parse_rights(
//         "role viewer\n"
//         "  who uid:1000\n"
//         "  may inspect /**\n"
//         "  may ask /app/status\n");
//
// Most trees have them in their deployment file (docs/rights.md), as [[role]]s. The nodes of a tree are not asked for rights: those that
// it started, that its nodes dial as parent or as children, that know the tree's secret and have no role, or a role that may all.
// Plain data and pure functions; any thread.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/error.hpp"

namespace coppice {

/// What there is to be allowed. Of each, what its pattern is matched with.
enum class right : std::uint8_t {
    send,     ///< mail without an answer; the receiver's path
    ask,      ///< a request; the receiver's path
    join,     ///< to have actors in a group, and to see who else is; the group
    publish,  ///< to send to the members of a group, and to see who they are; the group
    spawn,    ///< to have processes started by an agent; the agent's path
    monitor,  ///< to monitor and to link; the path
    inspect,  ///< to find it, to see it, to follow its log; the path
    stop,     ///< to stop, kill, pause, resume it and to set its log level; the path
    read,     ///< a slot of the space; its name
    write,    ///< a slot of the space; its name
    transit,  ///< to reach a node by way of another one; "/" and the node's name
};
inline constexpr std::size_t right_count = 11;

/// Its name, as above.
[[nodiscard]] std::string_view to_string(right what) noexcept;
[[nodiscard]] std::optional<right> right_of(std::string_view name) noexcept;

/// What a message needs beside being sent: a message type says so by a member `demand needs() const`, and is then allowed by that right alone,
/// not by `send` or `ask` of its receiver. For actors that do something to others on request.
struct demand {
    right what = right::ask;
    std::string_view object;  ///< a path, group or slot, as `what` has it; valid as long as the message
};

/// Whether a path, or the name of a group or slot, is one that the pattern means. `*` stands for any characters within a part, `**` as a part of its own for any
/// number of parts, none included: "/app/**" means "/app" and all below it. Takes time in proportion to the product of both lengths at most.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name) noexcept;

/// What somebody has shown: "uid:1000" (attested by the operating system), "certificate:ops.example" (verified), "name:ops-1"
/// (a node's, with a proof of a secret, or over a transport that attests this user). For whom an actor of the tree acts (on_behalf.hpp):
/// "script:watch" (its file's name without .lua), "token:kiosk" (the name of a token that it has shown to a gateway's port).
using principals = std::span<const std::string>;

/// The outcome for one action, and why, for people.
struct verdict {
    bool allowed = false;
    std::string because;  ///< "role viewer may ask /app/* (app.toml:12)"; "no rule of role viewer allows it"
};

struct rights_rule {
    std::uint16_t rights = 0;  ///< a bit for each `right`
    std::string pattern;
    bool allows = true;  ///< false: denies, whatever else allows it
    std::string place;   ///< where it is written, for people: "app.toml:12"
    [[nodiscard]] bool is_about(right what) const noexcept {
        return rights >> static_cast<unsigned>(what) & 1u;
    }
};

struct rights_role {
    std::string name;
    std::vector<std::string>
        who;  ///< patterns of principals, as of matches(); "anyone" is who shows nothing else
    std::vector<rights_rule> rules;
    std::string
        secret_file;  ///< its first line is the secret of nodes that have this role by their name; empty: the tree's
};

/// Who may do what.
class rights_table {
public:
    /// Number of a role, counted from 1. 0 is for nodes of the tree, of whom nothing is asked; `nobody` for who has no role.
    using role_number = std::uint8_t;
    static constexpr role_number of_the_tree = 0;
    static constexpr role_number nobody = 15;
    /// A role's number has 4 bits in a frame.
    static constexpr std::size_t most_roles = 14;

    std::vector<rights_role> roles;

    /// The first role, in their order, that one of those has; `nobody` if none has.
    [[nodiscard]] role_number role_of(principals shown) const;
    /// The role that a node of that name would have by its name; null: none.
    [[nodiscard]] const rights_role* role_by_name(std::string_view node_name) const;
    /// Whether that role may do that: a rule allows it, and none denies it.
    [[nodiscard]] verdict decide(role_number role, right what, std::string_view object) const;
    /// As decide(), without the words.
    [[nodiscard]] bool allows(role_number role, right what, std::string_view object) const noexcept;
    /// Whether that role is the tree's own: it may all for `**`, and nothing is denied to it. Who has it counts as of the tree.
    [[nodiscard]] bool is_of_the_tree(role_number role) const noexcept;
    /// "role viewer"; "of the tree"; "without a role".
    [[nodiscard]] std::string name_of(role_number role) const;

private:
    [[nodiscard]] const rights_rule* deciding(role_number role, right what,
                                              std::string_view object) const noexcept;
};

/// Reads the text form, a statement a line: `role NAME`, then for that role any number of `who PRINCIPAL`, `may RIGHTS PATTERN`, `never RIGHTS
/// PATTERN` and `secret-file PATH`. RIGHTS are names with commas between, or `all`. Empty lines, and what follows a `#`, mean nothing.
/// The error, `invalid_argument`, tells the line: "rights:3: there is no right 'snd'; ...".
[[nodiscard]] result<rights_table> parse_rights(std::string_view text, std::string_view file_name = "rights");
/// The same in that form, from which parse_rights() makes an equal table, but for `place`.
[[nodiscard]] std::string to_text(const rights_table& table);
/// Rules with those rights for that pattern. The error's text says what is wrong with them, without a place.
[[nodiscard]] result<rights_rule> make_rule(std::string_view rights, std::string_view pattern, bool allows,
                                            std::string place);
/// Whether that can stand behind `who`.
[[nodiscard]] result<void> check_principal(std::string_view who);

}  // namespace coppice
