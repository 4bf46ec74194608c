// Limits and defaults of Coppice, each with its unit and its reason.
// What happens at a limit is said beside it; docs/semantics.md tells the same in prose.
// Constants here are compile-time; what a deployment may change at run time stands in node_options (node.hpp).
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace coppice::limits {

/// Messages that a mailbox holds before its overflow policy acts. Large enough for bursts, small enough that a
/// forgotten actor costs at most 4 MiB of 64-byte envelopes.
inline constexpr std::uint32_t mailbox = 65'536;

/// How long an `ask` waits when its caller gives no deadline.
inline constexpr std::chrono::nanoseconds ask_deadline = std::chrono::seconds{5};

/// How long a child may take from its start to `ready` before the start counts as failed.
inline constexpr std::chrono::nanoseconds start_deadline = std::chrono::seconds{5};

/// How long a child may take to end after it was asked to; then it is killed.
inline constexpr std::chrono::nanoseconds shutdown_deadline = std::chrono::seconds{5};

/// How long a killed child may take to reach an await before it is reported as stuck and abandoned by name.
inline constexpr std::chrono::nanoseconds kill_grace = std::chrono::seconds{1};

/// How often a process child and its parent tell each other that they live, and after how many such periods without a sign, or
/// with the same handler running, one counts as silent or stuck.
inline constexpr std::chrono::nanoseconds heartbeat = std::chrono::seconds{1};
inline constexpr std::uint32_t heartbeat_misses = 5;

/// How long a process that is killed has after SIGTERM before SIGKILL. Shorter than kill_grace.
inline constexpr std::chrono::nanoseconds terminate_grace = std::chrono::milliseconds{500};

/// Processes that an agent runs at once, unless its options say otherwise (agent_options::most).
inline constexpr std::uint32_t agent_processes = 64;

/// Bytes of what a process of an agent's has said that may be on their way to its supervisor's node. Beyond it log records, lines
/// of outputs and signs of life are dropped, the first two with their number told; a process that says more than this of what
/// cannot be dropped is killed. Small enough that many processes leave room in a flow, large enough for bursts of log.
inline constexpr std::size_t agent_window = 256u << 10;

/// How often a start that waits for its agent's node looks for it again.
inline constexpr std::chrono::nanoseconds agent_search = std::chrono::milliseconds{100};

/// Bytes of one message object. Larger payloads belong behind a pointer or in a vector inside the message:
/// a message is moved when it is handed over.
inline constexpr std::size_t message_bytes = 64 * 1024;

/// Bytes of one name, and of a whole path; longer ones are refused with `bad_name`.
inline constexpr std::size_t name_bytes = 255;
inline constexpr std::size_t path_bytes = 4'096;

/// Names given up that a node remembers, so that refs by them reach whoever takes the name next. Beyond that a ref by the
/// oldest of them reports `down` for good.
inline constexpr std::size_t released_names = 65'536;

/// Log records that wait to be sent to those who follow the log from afar (`coppice log`). Beyond that records are dropped for
/// them; they are told how many.
inline constexpr std::size_t log_lines_waiting = 4'096;

/// Messages that wait to be told to one who follows an actor's mail (control::follow_mail), and bytes of their contents. Beyond
/// either, messages are not told; the follower is told how many. As many as a follower on a slow link takes in a moment.
inline constexpr std::size_t mail_records_waiting = 4'096;
inline constexpr std::size_t mail_bytes_waiting = 4u << 20;

/// Bytes of one message that a follower is told; of a larger one the type and the size. A followed actor writes them on its own
/// thread, so this bounds what following costs it for each message.
inline constexpr std::size_t mail_content = 1u << 20;

/// Bytes of contents that go to a follower in one message, beside at least one record: what is a piece to a link.
inline constexpr std::size_t mail_batch = 256u << 10;

/// How long a follower may take to answer a batch before it counts as missed. It may wait for a person, but not for ever.
inline constexpr std::chrono::nanoseconds mail_batch_deadline = std::chrono::hours{24};

/// Followers of mail on one node at a time; one more is refused with `limit_reached`. What waits for all is some hundred megabytes
/// at worst.
inline constexpr std::size_t mail_followers = 64;

/// Schedulers of one OS process, those of threads of their own included; one more is refused with `limit_reached`.
inline constexpr std::uint32_t schedulers = 1'022;

/// Actors alive on one scheduler; one more is refused with `limit_reached`. 22 bits of every actor id.
inline constexpr std::uint32_t actors_per_scheduler = 1u << 22;

/// Dead letters that a node remembers in full; older ones remain in the counters.
inline constexpr std::size_t dead_letters_kept = 256;

/// Causes that an exit reason prints; deeper chains are cut with an ellipsis.
inline constexpr std::size_t cause_depth = 16;

/// Coroutine resumptions and messages of one scheduler turn; then I/O and timers are served.
inline constexpr int turn_budget = 512;

/// Messages collected for another scheduler before they are handed over; what is collected is always handed over
/// when the run queue is empty or the turn ends.
inline constexpr int remote_batch = 32;

/// Messages under way from one scheduler to another before `send_wait` waits; bounds the sender's overshoot.
inline constexpr std::uint64_t remote_window = 2'048;

/// Wait-for edges that the deadlock search follows; longer cycles end by their deadline instead.
inline constexpr int deadlock_depth = 64;

/// Worker threads for `offload` of one node, when node_options does not say otherwise.
inline constexpr unsigned offload_threads = 4;

/// Jobs that wait for an offload thread; one more is refused with `limit_reached`.
inline constexpr std::size_t offload_queue = 65'536;

/// Bytes of a deployment file, and entries of actors in it; more are refused. A thousand times what people write. And
/// mistakes that its error tells; of more it tells the number.
inline constexpr std::size_t deployment_bytes = 1u << 20;
inline constexpr std::size_t deployment_actors = 4'096;
inline constexpr std::size_t deployment_errors = 20;

// ---- between nodes

/// Bytes of one message on the wire; a larger one is refused with `too_large`: it is streamed as many. What the wire's
/// envelope can say is the bound.
inline constexpr std::size_t wire_message = (std::size_t{1} << 29) - 64;

/// Lists, records and maps within one another that a message may hold, its own record counted. A deeper one is refused
/// with `too_large` where it is sent, and with `bad_message` where it comes from a peer. Deep enough for data that
/// people wrote, shallow enough for the stack.
inline constexpr int wire_nesting = 32;

/// Bytes of one text or one array of bytes in a message, exclusive: a list of Cap'n Proto has at most 2^29 - 1
/// elements, and a text has its zero.
inline constexpr std::uint64_t wire_text_bytes = (std::uint64_t{1} << 29) - 1;

/// 8-byte words of a whole message: 4 GiB. Pointers of Cap'n Proto reach no further.
inline constexpr std::uint64_t wire_words = (std::uint64_t{1} << 29) - 1;

/// Bytes of a message that travel in one record; larger ones are cut, so that small mail passes between the pieces.
inline constexpr std::size_t fragment = 32 * 1024;

/// Bytes that a node may have sent to another without their having been taken: what it grants, and must have room for.
inline constexpr std::uint64_t flow_window = 4u << 20;

/// Records that a node may have sent to another without their having been taken. A small message costs more in memory than on
/// the wire: what waits for room in mailboxes stays within some megabytes. Several milliseconds of the fastest sender.
inline constexpr std::uint64_t flow_window_records = 32'768;

/// Bytes that wait in a flow to be sent, acknowledged or not, before `send` tells `mailbox_full`.
inline constexpr std::size_t flow_queue = 8u << 20;

/// The same for the priority lane, window and queue: little waits there, or it would not be urgent.
inline constexpr std::size_t flow_priority = 1u << 20;
inline constexpr std::uint64_t flow_priority_records = 8'192;

/// Bytes that wait to go out, from which on `send_wait` waits; it goes on at half of them. Small enough that what is written
/// is still in the processor's cache when the link takes it.
inline constexpr std::size_t flow_ready = 256u << 10;

/// Bytes that wait in all flows of a node together, beyond which a flow holds no more than its share: a hundred peers that do
/// not read cost no more than a few. Replies and control records pass.
inline constexpr std::size_t flows_all = 256u << 20;
inline constexpr std::size_t flow_share = 1u << 20;

/// Bytes of one field from which on a message larger than a fragment is not copied together: what is small is written, these
/// follow from where they are. And the least that a blob shares of the memory that a message came in, of which it is at
/// least an eighth: a small part must not keep a large message.
inline constexpr std::size_t bulk_piece = 4 * 1024;

/// Bytes that blobs have left and that wait for the next ones.
inline constexpr std::size_t blobs_kept = 16u << 20;

/// Bytes of the memory that a process lends blobs from, and of the largest that it maps of another one. Address space, until
/// blobs are made in it. When it is full, blobs are made elsewhere, and are copied when they are sent.
inline constexpr std::size_t arena = 64u << 20;
inline constexpr std::size_t arena_largest = std::size_t{1} << 30;

/// Blobs that one node may have lent to another at a time; more are copied.
inline constexpr std::size_t loans = 16'384;

/// Nodes that one node remembers, by its links and by the refs that came to it; refs to more lead nowhere (`unreachable`).
inline constexpr std::size_t nodes = 65'536;

/// Memberships of other nodes' actors in groups that a node remembers, as each of its neighbours tells them; more are logged, and get
/// nothing of what is published there. About 100 bytes each.
inline constexpr std::size_t memberships = 1u << 20;

/// Lookups by name of other nodes that wait here for an answer; to more the answer is that nobody has the name.
inline constexpr std::size_t searches = 4096;

/// Bytes of large messages of one lane that wait for one node, before the next is refused with `mailbox_full`. One is always taken.
inline constexpr std::size_t flow_bulk = 64u << 20;

/// Bytes that wait to be passed on over one link to other nodes; more is dropped, and sent again by its source later.
inline constexpr std::size_t relay_queue = 16u << 20;

/// Links that a frame may pass, and the depth of a tree: one that is further away is unreachable.
inline constexpr unsigned hops = 16;

/// How long a relay keeps quiet about a node that it has just lost the way to: a link that was cut is back within that time,
/// and what was sent meanwhile is sent again. After it a request is answered by `unreachable` at once. And of how many pairs
/// of nodes it remembers that one sent to the other meanwhile.
inline constexpr std::chrono::nanoseconds route_grace = std::chrono::seconds{2};
inline constexpr std::size_t missed = 4096;

/// Time and bytes that a peer has to say who it is, and peers that may be at it at once.
inline constexpr std::chrono::nanoseconds handshake_deadline = std::chrono::seconds{5};
inline constexpr std::size_t handshake_bytes = 4 * 1024;
inline constexpr std::size_t handshakes = 64;

/// Silence after which a link is asked for a sign of life, and after which it counts as down.
inline constexpr std::chrono::nanoseconds ping_after = std::chrono::seconds{1};
inline constexpr std::chrono::nanoseconds silence = std::chrono::seconds{5};

/// How long a flow may make no progress, though its node can be reached, before it counts as stalled: that is logged, and told to
/// actors that watch flows. Longer than a link takes to be found dead.
inline constexpr std::chrono::nanoseconds flow_stall = std::chrono::seconds{5};

/// How long a scheduler may be in one handler, or have work that it does not come to, before it counts as stuck: that is logged,
/// shown by inspect, and told to the neighbours.
inline constexpr std::chrono::nanoseconds scheduler_stuck = std::chrono::seconds{5};

/// The longest turns that a scheduler keeps by name, and for how long: they are of this window and of the one before it.
inline constexpr std::size_t slow_turns = 4;
inline constexpr std::chrono::nanoseconds slow_turn_window = std::chrono::seconds{30};

/// The least time between two reports in the log that a scheduler here, or a neighbour, is stuck; the later one tells how often
/// it was meanwhile. Its end is always told.
inline constexpr std::chrono::nanoseconds stuck_report = std::chrono::seconds{60};

/// Monitors, and links, that the actors of one other node may have of actors here. The watcher of one more gets `down`, or its
/// link ends it, with exit_kind::limit_reached. As many as can all be told at once that what they watch has ended: that waits in
/// flow_queue.
inline constexpr std::size_t watches = 16'384;

/// How long a node that ends waits for others to acknowledge what was sent to them, when node_options does not say otherwise: long
/// enough for a busy machine and a link that is dialled again, shorter than a process child has to be gone (shutdown_deadline).
inline constexpr std::chrono::nanoseconds linger = std::chrono::seconds{2};

/// How long what is received may stay unacknowledged, if nothing else goes the other way.
inline constexpr std::chrono::nanoseconds acknowledge_after = std::chrono::milliseconds{5};

/// What one node sends another within the window before the relay that leads to it suggests a shortcut: so much that a link of
/// its own pays. And pairs of nodes that a relay counts for; more are not counted.
inline constexpr std::uint32_t shortcut_frames = 256;
inline constexpr std::uint64_t shortcut_bytes = 1u << 20;
inline constexpr std::chrono::nanoseconds shortcut_window = std::chrono::seconds{10};
inline constexpr std::size_t shortcut_pairs = 4096;

/// Shortcuts of one node, those that are being made included; no more are offered, taken or accepted. Each costs a descriptor
/// and its buffers.
inline constexpr std::size_t shortcuts = 256;

/// How long an offer of a shortcut holds; then its token is refused.
inline constexpr std::chrono::nanoseconds shortcut_offer = std::chrono::seconds{10};

/// After an offer that led to nothing: the wait until the next one to the same node, doubled each time up to the second.
inline constexpr std::chrono::nanoseconds shortcut_retry = std::chrono::seconds{10};
inline constexpr std::chrono::nanoseconds shortcut_longest_retry = std::chrono::hours{1};

/// A shortcut that carried no mail for so long is closed, if there is another way: that all once talked to all leaves no
/// links behind.
inline constexpr std::chrono::nanoseconds shortcut_idle = std::chrono::seconds{60};

}  // namespace coppice::limits
