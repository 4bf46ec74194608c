// The control plane between nodes as plain structs, and from and to the Cap'n Proto bytes of schemas/control.capnp. Rare and
// evolving, so generated code does the work; the hot path is wire/envelope.hpp.
// Pure functions: any thread. They know no links and no flows.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "coppice/error.hpp"
#include "coppice/exit_reason.hpp"

namespace coppice::net {

/// Version of the protocol that this release speaks.
inline constexpr std::uint16_t protocol_version = 1;

/// Entries of a message's lists. A reader refuses more (bad_message); a writer of more routes or members sends several messages.
/// A tree is far less deep than this, and a protocol far smaller; the routes of so many nodes still fit in 20 MiB.
inline constexpr std::size_t most_ancestors = 256;
inline constexpr std::size_t most_types = 4'096;
inline constexpr std::size_t most_routes = 65'536;
inline constexpr std::size_t most_endpoints = 16;
inline constexpr std::size_t most_returned = 4'096;
inline constexpr std::size_t most_memberships = 4'096;

using node_id = std::uint64_t;
using nonce = std::array<std::byte, 32>;
using mac = std::array<std::byte, 32>;
using token = std::array<std::byte, 16>;  // all zeros: none

/// What a node is to its neighbour.
enum class role : std::uint8_t { peer = 0, child = 1, parent = 2, shortcut = 3 };

// ---- between neighbours

/// The first thing that both sides say.
struct hello {
    std::uint16_t version = protocol_version;
    node_id node = 0;
    std::string name;
    role as = role::peer;            // what the sender is to the receiver
    nonce challenge{};               // fresh for every connection
    bool with_secret = false;        // proofs follow; asserted by both, never negotiated
    std::vector<node_id> ancestors;  // parent first
    std::string machine;             // equal for processes that see one another's process ids; may be empty
    std::uint32_t pid = 0;           // there
    net::token token{};              // of a shortcut: what the receiver has offered
    friend bool operator==(const hello&, const hello&) = default;
};
/// That the sender knows the shared secret: see prove().
struct proof {
    mac code{};
    friend bool operator==(const proof&, const proof&) = default;
};
/// Why the link is not to be. The link ends after it.
struct refusal {
    errc code = errc::denied;
    std::string text;
    friend bool operator==(const refusal&, const refusal&) = default;
};
/// The sender has accepted; after both have, the link carries envelopes.
struct welcome {
    std::string seen_as;  // the receiver's address, as the sender's transport tells it
    friend bool operator==(const welcome&, const welcome&) = default;
};
/// The sender is about to end the link on purpose, for good: its node ends.
struct farewell {
    std::string text;
    friend bool operator==(const farewell&, const farewell&) = default;
};

struct named_node {
    node_id node = 0;
    std::string name;
    friend bool operator==(const named_node&, const named_node&) = default;
};
/// Which nodes can be reached through the sender's subtree: from a child to its parent.
struct routes {
    bool complete = false;  // `added` is all there is: what the receiver knew before goes
    std::vector<named_node> added;
    std::vector<node_id> removed;
    friend bool operator==(const routes&, const routes&) = default;
};
/// That node sends much to the receiver by way of the sender: from a relay to the last node of the way.
struct introduce {
    node_id node = 0;
    friend bool operator==(const introduce&, const introduce&) = default;
};

// ---- from node to node, over any number of hops

/// Who is the node of that name? Travels up until somebody knows.
struct locate {
    std::uint64_t query = 0;
    std::string name;
    friend bool operator==(const locate&, const locate&) = default;
};
struct located {
    std::uint64_t query = 0;
    node_id node = 0;  // 0: nobody has that name
    std::string name;
    friend bool operator==(const located&, const located&) = default;
};
/// Which actor has that path, and does it take all these message types?
struct find {
    std::uint64_t query = 0;
    std::string path;
    std::vector<std::uint64_t> types;
    friend bool operator==(const find&, const find&) = default;
};
struct found {
    std::uint64_t query = 0;
    errc code = errc::ok;
    std::string text;
    std::uint64_t actor = 0;
    std::uint32_t incarnation = 0;
    node_id node = 0;  // of the actor; 0: the sender
    friend bool operator==(const found&, const found&) = default;
};
struct watch_actor {
    std::uint64_t monitor = 0;
    std::uint64_t watcher = 0;
    std::uint64_t target = 0;
    std::uint32_t incarnation = 0;  // 0: whichever lives
    friend bool operator==(const watch_actor&, const watch_actor&) = default;
};
struct unwatch_actor {
    std::uint64_t monitor = 0;
    std::uint64_t watcher = 0;
    std::uint64_t target = 0;
    friend bool operator==(const unwatch_actor&, const unwatch_actor&) = default;
};
struct down_notice {
    std::uint64_t monitor = 0;
    std::uint64_t watcher = 0;
    std::uint64_t target = 0;
    exit_reason reason;
};
struct link_actors {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint32_t incarnation = 0;
    friend bool operator==(const link_actors&, const link_actors&) = default;
};
struct unlink_actors {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    friend bool operator==(const unlink_actors&, const unlink_actors&) = default;
};
/// An actor has ended that `to` is linked to.
struct exit_notice {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    exit_reason reason;
};
/// What is asked of an actor: to end in one of three ways; or to wait, and to go on.
enum class ending : std::uint8_t { stop = 0, shutdown = 1, kill = 2, pause = 3, resume = 4 };
struct end_actor {
    std::uint64_t target = 0;
    ending how = ending::stop;
    std::uint64_t within_ns = 0;  // of shutdown
    friend bool operator==(const end_actor&, const end_actor&) = default;
};
/// The receiver may link to the sender, once and soon: a shortcut.
struct offer {
    net::token token{};                  // to be shown in hello
    std::vector<std::string> endpoints;  // where the sender listens, without options; none: it does not
    std::string machine;                 // of the sender, as in hello
    std::uint32_t pid = 0;
    bool is_answer = false;  // to an offer that could not be used
    friend bool operator==(const offer&, const offer&) = default;
};

/// The receiver's process may lend: the sender has mapped its memory, for as long as it lives.
struct arena_mapped {
    std::uint64_t arena = 0;
    friend bool operator==(const arena_mapped&, const arena_mapped&) = default;
};
/// Loans of the receiver's that are not read any more. At most most_returned.
struct loans_returned {
    std::vector<std::uint64_t> numbers;
    friend bool operator==(const loans_returned&, const loans_returned&) = default;
};

/// A node that is reached over the sender has ended: from neighbour to neighbour, through the whole tree.
struct ended {
    node_id node = 0;
    bool died = false;  // without a farewell
    std::string text;
    friend bool operator==(const ended&, const ended&) = default;
};

struct membership {
    std::string group;
    std::uint64_t actor = 0;  // within its node
    friend auto operator<=>(const membership&, const membership&) = default;
};
/// In which groups the actors of a node are that is reached over the sender: from neighbour to neighbour, through the whole tree.
struct memberships {
    node_id node = 0;       // 0: what the sender knew when the link came up has been said
    bool complete = false;  // `joined` is all there is: what the receiver knew of that node before goes
    std::vector<membership> joined;
    std::vector<membership> left;
    friend bool operator==(const memberships&, const memberships&) = default;
};

using control = std::variant<hello, proof, refusal, welcome, farewell, routes, locate, located, find, found,
                             watch_actor, unwatch_actor, down_notice, link_actors, unlink_actors, exit_notice,
                             end_actor, introduce, offer, arena_mapped, loans_returned, ended, memberships>;

/// The bytes of one control message: a single Cap'n Proto segment without a segment table, a multiple of 8.
[[nodiscard]] std::vector<std::byte> encode(const control& message);
/// Reads one. `bytes` were copied from the peer before and are 8-aligned; at most `limits` of the reader are spent on them.
/// bad_message, with what is wrong; a kind that this release does not know is wrong_version.
[[nodiscard]] result<control> decode(std::span<const std::byte> bytes);

/// From the operating system's generator.
[[nodiscard]] nonce make_nonce();
[[nodiscard]] token make_token();
/// HMAC-SHA-256 (RFC 2104) over the transcript: a label for the direction, then both hellos' bytes, connector's first. Both
/// nonces are in it, so neither side can be made to prove an old one.
[[nodiscard]] mac prove(std::string_view secret, bool by_connector,
                        std::span<const std::byte> connector_hello,
                        std::span<const std::byte> acceptor_hello);
/// In constant time.
[[nodiscard]] bool same(const mac& a, const mac& b) noexcept;
[[nodiscard]] bool same(const token& a, const token& b) noexcept;

}  // namespace coppice::net
