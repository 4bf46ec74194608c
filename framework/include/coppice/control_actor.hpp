// What a node can be asked by tools: every node that others can link to, that is a process of its own, or that the command line
// can find (node_options::control) runs an actor for it, its control actor, at "/<node>/$node". Plain messages, which have
// a wire form; the command `coppice` (docs/command_line.md) uses nothing else of a tree but these and what all actors understand.
//
//     auto there = co_await self.resolve<control_protocol>("/app/$node");
//     auto seen = co_await self.ask<control::describe>(*there, 5s);      // a node_description
//
// What each asks of who is not of the tree (rights.hpp) is what its needs() says; where that names nothing, it is the control actor's own path.
//
// The actor is the root's first child and ends as the last one; inspect does not show it. It never waits for a scheduler: one
// that does not answer in time is named in what it replies.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/inspect.hpp"
#include "coppice/log.hpp"
#include "coppice/protocol.hpp"
#include "coppice/ref.hpp"
#include "coppice/rights.hpp"
#include "coppice/value.hpp"

namespace coppice {

/// A node, as it describes itself.
struct node_description {
    node_info seen;
    std::uint32_t pid = 0;
    std::chrono::nanoseconds at{
        0};  ///< by its own clock: what lies between two descriptions is their difference
};

namespace control {

/// What runs there. Schedulers that do not answer within that limit are told as such.
struct describe {
    std::chrono::nanoseconds within = std::chrono::seconds{1};
    using reply = node_description;
    [[nodiscard]] demand needs() const { return {right::inspect, {}}; }
};

/// The names of the message types that the actor of that path handles; empty: that any actor of the node handles. In order.
struct message_types {
    std::string path;
    using reply = std::vector<std::string>;
    [[nodiscard]] demand needs() const { return {right::inspect, path}; }
};

/// Who is in a group: of that node's actors, and of those that were taken into it there by join_group.
struct group_members {
    std::string group;
    using reply = std::vector<ref<>>;
    [[nodiscard]] demand needs() const { return {right::join, group}; }
};

/// Takes an actor, of whatever node, into a group, for what is published on that node, until it ends or its node is lost. `bad_name` for what is no
/// name, and for an actor that is nobody.
struct join_group {
    std::string group;
    ref<> who;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::join, group}; }
};

/// A record of the log.
struct log_line {
    coppice::level level = coppice::level::info;
    std::string path;  ///< of the actor that wrote it; may be empty
    std::string text;
    std::uint32_t pid = 0;      ///< of the process child that it comes from; 0: of the node itself
    std::uint64_t dropped = 0;  ///< records before it that there was no room for
    std::int64_t time = 0;      ///< nanoseconds since 1970, UTC, when the node wrote it
};
using log_reader = protocol<log_line>;

/// Sends that actor what the subtree logs from now on, at that level and above, until it ends. What is not logged is not
/// sent: see set_level. At most limits::log_lines_waiting wait to be sent; more are dropped, counted, and told.
struct follow_log {
    std::string subtree = "/";
    level least = level::trace;
    ref<log_reader> to;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::inspect, subtree}; }
};

/// As node::set_level.
struct set_level {
    std::string subtree = "/";
    level to = level::info;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::stop, subtree}; }
};

/// Pauses or resumes an actor of that node, and all below it (actor::pause); answered when the actor itself has heard of it.
/// `not_found`.
struct set_paused {
    std::string path;
    bool paused = true;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::stop, path}; }
};

/// What a record has of a message.
enum class mail_content : std::uint8_t {
    none,       ///< nothing: its type cannot leave the process
    value,      ///< its wire form, which content_of() reads
    capnp,      ///< its wire form: a struct that Cap'n Proto generated
    too_large,  ///< nothing: it is larger than limits::mail_content
};

/// A message that a followed actor has taken from its mailbox.
struct mail_record {
    std::chrono::nanoseconds at{0};  ///< when, by the clock of its node as of that turn
    ref<> sender;                    ///< nobody: no actor sent it
    /// The qualified C++ name; "#" and the id in 16 hexadecimal digits where the node knows no more; "coppice::value" for what is
    /// of no type.
    std::string type;
    std::uint64_t type_id = 0;  ///< under which it travels
    bool asked = false;         ///< somebody waits for the answer
    bool own = false;           ///< the actor sent it to itself, as its timers do
    bool again = false;         ///< it was told already: the actor had put it aside (actor::stash)
    mail_content content = mail_content::none;
    std::uint64_t size = 0;  ///< of its wire form, bytes; 0: none, or too large for any
    std::vector<std::byte> bytes;
    std::uint64_t missed = 0;  ///< messages before it that there was no room for
};

/// Some of them, in the order in which the actor took them. A request: the next comes when the reader has answered this one.
struct mail_batch {
    std::string path;  ///< of the actor, if it has one
    std::vector<mail_record> records;
    std::uint64_t missed = 0;  ///< messages after these that there was no room for
    bool ended = false;        ///< the actor is gone for good: nothing follows
    using reply = void;
};
using mail_reader = protocol<mail_batch>;

/// Sends that reader every message that the actor takes from its mailbox from now on, in the order in which its handlers see them, also
/// of its later incarnations, until the reader ends or the actor is gone for good. Replies to its own asks are no mail. The actor
/// never waits: at most limits::mail_records_waiting and mail_bytes_waiting wait to be sent; more are missed, counted, and told.
/// What followers are told (mail_batch) is told to no follower. A batch may come before the answer.
/// `not_found`; `invalid_argument` for an actor that is followed by its own node alone, as one in a process of its own is;
/// `limit_reached` beyond limits::mail_followers; `denied` for the control actor itself.
struct follow_mail {
    std::string path;  ///< or, if it is empty:
    ref<> who;         ///< an actor of that node
    ref<mail_reader> to;
    using reply = void;
    /// Who names no path needs the right to inspect whatever it may be.
    [[nodiscard]] demand needs() const {
        return {right::inspect, path.empty() ? std::string_view{"an actor by its ref"} : path};
    }
};

/// The message of a record as a value; a record says as its type the one that it travels as. `not_portable` if it has none that is
/// a value, `bad_message` if it is none. Any thread.
[[nodiscard]] result<value> content_of(const mail_record& r);

}  // namespace control

using control_protocol =
    protocol<control::describe, control::message_types, control::group_members, control::join_group,
             control::follow_log, control::set_level, control::set_paused, control::follow_mail>;

/// The last part of its path. No actor of a user's can have that name.
inline constexpr const char* control_name = "$node";

}  // namespace coppice
