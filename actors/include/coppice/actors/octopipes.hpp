// octopipes: a broker over named pipes that speaks Octopipes' published protocol, and a client of it. Programs that know
// nothing of Coppice join through one common access pipe (CAP), get two private pipes, and send frames to a name or a group;
// actors take part by messages, under names of their own.
//
//     child("pipes", in_coroutine, actors::octopipes::broker, actors::octopipes_options{.directory = "/run/app/pipes"})
//
//     co_await self.ask<actors::octopipes::join>(broker, 5s, "clock", groups, self.me());        // in the broker's tree
//     co_await self.ask<actors::octopipes::publish>(broker, 5s, "clock", "all", blob{"noon"});
//
// Both actors live on their own scheduler's thread alone; the codec is plain values and functions. Needs real pipes, so no
// test world, and Linux (tee, inotify, epoll). docs/octopipes.md has the protocol and what is promised of it.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coppice/blob.hpp"
#include "coppice/coppice.hpp"

namespace coppice::actors::octopipes {

// ---- frames

/// Of the protocol; frames of others are skipped and told.
inline constexpr std::uint8_t protocol_version = 1;
/// Bytes of a name: its length is one byte. A name of no bytes is the broker itself.
inline constexpr std::size_t most_name_bytes = 255;
/// Bytes of a frame beside its names and its data.
inline constexpr std::size_t frame_overhead = 17;
/// Data of a frame, unless its reader is told otherwise: what one frame may make a receiver keep in memory.
inline constexpr std::uint64_t most_frame_data = std::uint64_t{64} << 20;
/// Frames of one sender that wait for their ACKs; of one more publish() is refused with `limit_reached`. A sender that awaits each
/// has one.
inline constexpr std::size_t most_awaited_acks = 4096;
/// Actors that watch a broker; they are programs of its tree, not clients.
inline constexpr std::size_t most_watchers = 64;

/// Bits of a frame's options, from the low one.
enum option : std::uint8_t {
    asks_ack = 1,          ///< the receiver is to answer with an ACK frame
    is_ack = 2,            ///< this is one
    ignores_checksum = 4,  ///< the receiver does not compare the checksum
    keeps_open = 8,        ///< of a subscription, ours alone: its pipes stay open as long as the client lives
};

struct frame {
    std::string from;  ///< empty: the broker
    std::string to;    ///< a client, a group; empty: the broker
    std::uint8_t ttl =
        0;  ///< seconds that the broker keeps it for a receiver that does not read; 0: no such limit
    std::uint8_t options = 0;
    blob data;
};

/// What is wrong with bytes that should be a frame. In all cases the frame is skipped and the next one is found.
enum class fault : std::uint8_t {
    none,
    bad_checksum,     ///< and it does not say that checksums be ignored
    unknown_version,  ///< not protocol_version
    no_end_byte,      ///< its last byte is not 0x03: it was cut, or its size is wrong
    not_a_frame,      ///< bytes that begin no frame
    too_large,        ///< more data than the reader takes
};
[[nodiscard]] std::string_view to_string(fault f) noexcept;

/// The frame's bytes. `bad_name` if a name has more than most_name_bytes.
[[nodiscard]] result<std::vector<std::byte>> encode(const frame& f);
/// What an ACK of that frame carries as its data: a hash of the frame's bytes (FNV-1a, 64 bits).
[[nodiscard]] std::uint64_t id_of(std::span<const std::byte> encoded) noexcept;
/// The ACK for a frame that was received by `by`.
[[nodiscard]] frame ack_for(const frame& received, const std::string& by);

/// Reads frames out of a stream of bytes, piece by piece, without keeping their data: what passes gigabytes on uses it.
///
///     reader.feed(bytes);
///     while (auto seen = reader.next()) ...
class scanner {
public:
    explicit scanner(std::uint64_t most_data = most_frame_data) noexcept : most_{most_data} {}

    enum class kind : std::uint8_t {
        header,  ///< a frame begins: header() and its bytes
        data,    ///< some of its data
        end,     ///< it is complete; `why` is none, bad_checksum or no_end_byte; `bytes` is its last byte
        skipped  ///< a frame, or bytes, that cannot be taken: `why`
    };
    struct event {
        scanner::kind kind;
        fault why = fault::none;
        std::span<const std::byte> bytes{};  ///< valid until the next call of feed()
    };
    struct header_fields {
        std::string from;
        std::string to;
        std::uint8_t version = 0;
        std::uint8_t ttl = 0;
        std::uint8_t options = 0;
        std::uint8_t checksum = 0;
        std::uint64_t size = 0;  ///< of the data
    };

    void feed(std::span<const std::byte> bytes);
    /// The next event; none: more bytes are needed.
    [[nodiscard]] std::optional<event> next();
    /// No more bytes follow those that were fed: what looks like the beginning of a frame is none, and next() goes on behind it.
    void abandon() noexcept;
    /// Of the frame that was begun or skipped last.
    [[nodiscard]] const header_fields& header() const noexcept { return header_; }
    /// True within a frame.
    [[nodiscard]] bool within() const noexcept {
        return state_ != state::between || begin_ != buffer_.size();
    }

private:
    enum class state : std::uint8_t { between, data, end };
    [[nodiscard]] std::optional<event> between();
    [[nodiscard]] std::optional<event> in_data();
    [[nodiscard]] std::optional<event> at_end();
    [[nodiscard]] std::optional<event> skip_junk();
    [[nodiscard]] std::span<const std::byte> take(std::size_t bytes) noexcept;
    [[nodiscard]] std::span<const std::byte> rest() const noexcept {
        return std::span{buffer_}.subspan(begin_);
    }

    std::uint64_t most_;
    std::vector<std::byte> buffer_;
    std::size_t begin_ = 0;
    header_fields header_;
    std::uint64_t left_ = 0;  // of the data
    state state_ = state::between;
    fault verdict_ = fault::none;  // of a frame that is skipped
    std::uint8_t sum_ = 0;
};

/// Reads whole frames out of a stream of bytes, however it was cut.
class decoder {
public:
    explicit decoder(std::uint64_t most_data = most_frame_data) noexcept : scanner_{most_data} {}
    struct outcome {
        fault why = fault::none;  ///< none: `got` is whole
        frame got;                ///< else its names, as far as they were read
        std::uint64_t id = 0;     ///< id_of() its bytes
    };
    void feed(std::span<const std::byte> bytes) { scanner_.feed(bytes); }
    /// The next frame, or what was wrong with it; none: more bytes are needed.
    [[nodiscard]] std::optional<outcome> next();
    /// As in a scanner.
    void abandon() noexcept { scanner_.abandon(); }
    [[nodiscard]] bool within() const noexcept { return scanner_.within(); }

private:
    scanner scanner_;
    std::vector<std::byte> raw_;  // the frame so far
};

// ---- what clients and the broker say to each other in the data of frames whose other end is the broker

struct subscription {
    std::vector<std::string> groups;
};
/// The broker's answer. Paths are the client's: it writes to `send_path`.
struct assignment {
    std::uint8_t error = 0;  ///< one of assignment_error
    std::string send_path;
    std::string receive_path;
};
enum assignment_error : std::uint8_t { accepted = 0, name_is_taken = 1, no_pipe = 2 };

/// `invalid_argument`: more than 255 groups; `bad_name`: one of more than 255 bytes, or of none.
[[nodiscard]] result<blob> encode(const subscription& s);
[[nodiscard]] result<blob> encode(const assignment& a);
[[nodiscard]] blob encode_unsubscription();
/// `bad_message` for what is none.
[[nodiscard]] result<subscription> read_subscription(std::span<const std::byte> data);
[[nodiscard]] result<assignment> read_assignment(std::span<const std::byte> data);
[[nodiscard]] bool is_unsubscription(std::span<const std::byte> data) noexcept;

// ---- messages; the broker takes all of them, a client publish, regroup and leave

/// To a member, and to a client's listener: a frame has come, complete and with the right checksum. If it asks for an ACK, that
/// has been sent already.
struct received_frame {
    octopipes::frame frame;
};
using member_protocol = protocol<received_frame>;

/// Makes an actor a client of the broker, under a name that no other has: from now on it gets the frames for that name and these
/// groups, but its own. It leaves by leave, or by its end. `name_taken`, `bad_name`, `limit_reached`.
struct join {
    std::string id;
    std::vector<std::string> groups;
    ref<member_protocol> member;
    using reply = void;
};
/// Replaces the groups. What is sent before goes by the old ones, what is sent after by the new ones.
/// Errors: `not_found`, `denied` (the asker is not that member), `bad_name`.
struct regroup {
    std::string id;
    std::vector<std::string> groups;
    using reply = void;
};
/// Gives the name up. Errors as for regroup.
struct leave {
    std::string id;
    using reply = void;
};
/// Who got it, as far as it is known.
struct receipt {
    std::uint32_t receivers =
        0;  ///< members and clients that the broker hands it to; 0 from a pipe, where that is not known
    std::string acknowledged_by;  ///< empty, if no ACK was asked for
};
/// Sends a frame under a name of the asker's. Answered when it is handed over; with `within` above 0 it asks for an ACK, and is
/// answered by the first one, or with `timeout`. Errors: `not_found` and `denied` as for regroup; `bad_name`; `invalid_argument`
/// if an ACK is asked of the broker; `too_large`; `limit_reached`, see most_awaited_acks.
struct publish {
    std::string from;  ///< of a client actor: empty, or its name
    std::string to;
    blob data;
    std::uint8_t ttl = 60;  ///< seconds, as frame::ttl
    bool checksum = true;   ///< false: the frame says that its checksum be ignored
    std::chrono::nanoseconds within{0};
    using reply = receipt;
};

struct client_info {
    std::string id;
    std::vector<std::string> groups;   ///< sorted; without its own name
    std::uint64_t joined_unix_ms = 0;  ///< when it joined, milliseconds since 1970
    bool is_actor = false;
    std::uint32_t waiting = 0;  ///< frames that it has not read yet, in the broker
    std::uint64_t sent = 0;     ///< frames from it
    std::uint64_t given = 0;    ///< frames written to its pipe, or sent to the actor
    std::uint64_t lost = 0;     ///< frames for it that were refused, expired, or left when it went
};
/// All clients, by name.
struct list_clients {
    using reply = std::vector<client_info>;
};

/// What happens at the broker, told to those that watch it.
enum class happening : std::uint8_t {
    joined,     ///< `id`
    left,       ///< `id`; text: how
    regrouped,  ///< `id`
    refused,    ///< a frame or a request of `id`, for `to`: text says why
    expired,    ///< a frame of `id` for `to` was not read within its TTL
    unread,     ///< a frame of `id` for `to`, which left, or had no room for it
    nobody,     ///< a frame of `id` for `to`, a name that nobody has: no error
};
[[nodiscard]] std::string_view to_string(happening h) noexcept;
struct broker_event {
    happening what = happening::joined;
    std::string id;
    std::string to;
    std::string text;
    std::uint64_t bytes = 0;  ///< of the frame
};
using watcher_protocol = protocol<broker_event>;
/// From now on that actor is told. Until it ends. `limit_reached`: most_watchers do so already.
struct watch {
    ref<watcher_protocol> who;
    using reply = void;
};

// ---- the broker

struct options {
    /// The broker's folder: made with mode 0700 if it is missing (its parent has to be there), refused if it is open to others.
    /// Its path and the names within are at most 255 bytes.
    std::string directory;
    /// The access pipe; empty: "cap" in the folder.
    std::string cap;
    /// Clients at once, actors included; each over pipes takes two descriptors.
    std::uint32_t most_clients = 1024;
    /// Groups of one client: as many as the protocol can name.
    std::uint32_t most_groups = 255;
    /// What waits for one client: so many frames, of so many bytes together; one is always taken. For one more the oldest gives way,
    /// and is told as unread.
    std::uint32_t queue_frames = 1024;
    std::uint64_t queue_bytes = std::uint64_t{4} << 20;
    /// Frames of more data than this are passed on in pieces while they come; smaller ones are checked first.
    std::uint64_t whole_data = std::uint64_t{256} << 10;
    /// Data of one frame; larger ones are refused. An actor gets frames of up to most_frame_data.
    std::uint64_t most_data = std::uint64_t{4} << 30;
    /// How long a receiver may hold up a frame that is passed on in pieces, and a sender the pieces of one that it has begun. Then
    /// that receiver's copy is cut off, and it is told.
    std::chrono::nanoseconds piece_within = std::chrono::seconds{2};
    /// How long an answer may lie in the access pipe before the broker takes it back: a stock client waits for 5.1 s at most.
    std::chrono::nanoseconds answer_within = std::chrono::seconds{6};
    /// The same for a client that says that it keeps its pipes open, which reads at once, and then opens its pipes.
    std::chrono::nanoseconds own_answer_within = std::chrono::seconds{2};
    /// A stock client closes its pipes again and again, but not for so long while it lives and receives: somebody else gets its
    /// name then.
    std::chrono::nanoseconds quiet_within = std::chrono::seconds{2};
};

using broker_protocol = protocol<join, regroup, leave, publish, list_clients, watch, down>;

/// The broker, an actor function for child() and spawn(). Ready (child_spec::awaits_ready) when the access pipe can be written to.
/// Ends with `failed` if the folder cannot be had: it is open to others, another broker has it (name_taken), no inotify. What a
/// broker left that was killed is removed first. At its end, however it ends, it removes its pipes; clients see the end of theirs.
task<> broker(actor<broker_protocol> self, options o);

// ---- a client, for other processes

/// What its listener is told, each once.
struct sent_frame {  ///< a frame of publish is written to the pipe
    octopipes::frame frame;
};
struct frame_error {  ///< something came that is no whole frame
    fault why = fault::none;
    std::string from;
    std::string to;
};
struct subscribed {  ///< it has joined, or its groups were replaced
    std::string id;
    std::vector<std::string> groups;
};
struct unsubscribed {  ///< it has left, or the broker has gone
    std::string id;
    std::string reason;
};
using listener_protocol = protocol<received_frame, sent_frame, frame_error, subscribed, unsubscribed>;

struct client_options {
    std::string cap;
    std::string id;
    std::vector<std::string> groups;
    /// For the answer to a join, a regroup, a leave.
    std::chrono::nanoseconds within = std::chrono::seconds{5};
    /// Of a frame that it receives; larger ones are skipped, with a frame_error.
    std::uint64_t most_data = most_frame_data;
};
using client_protocol = protocol<publish, regroup, leave>;

/// A client of a broker of another process, or of this one. Ready when it has joined; ends with `failed` if it cannot (no broker,
/// name taken, no answer in time), and when the broker goes. `leave` ends it in order, and so does its stop. It answers with ACKs by
/// itself. The listener is told in the order of events; a slow one slows the reading down, and then the broker's bounds hold.
task<> client(actor<client_protocol> self, client_options o, ref<listener_protocol> listener);

}  // namespace coppice::actors::octopipes

namespace coppice::actors {
using octopipes_options = octopipes::options;
using octopipes_client_options = octopipes::client_options;
}  // namespace coppice::actors
