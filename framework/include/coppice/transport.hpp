// What the framework asks of a transport: bytes, in order, to ONE neighbour and back. Framing, handshake, flows and
// routes stand above it and are the same for every kind; a transport knows no actors. An implementation is one
// class derived from `transport` and one from `byte_link`, and is found by the scheme of an endpoint once it is
// registered.
//
// Threading: a link belongs to one reactor (one thread). Every function of a link, listener or attempt is called
// there, and every event comes from there, never from inside a call of the link's own functions. After close() or
// destruction no event comes any more. The owner does not destroy a link from within one of its events; it may
// close it there.
//
// message_link, at the end, hands over messages as objects; the test world joins its nodes by it.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "coppice/endpoint.hpp"
#include "coppice/error.hpp"

namespace coppice {

namespace detail {
struct envelope;
struct node_core;
}  // namespace detail

// ---------------------------------------------------------------- the thread that a link lives on

/// Something that a reactor's thread looks at whenever it has nothing else to do, and before it sleeps: a ring in
/// shared memory. Calls come on the reactor's thread, not from within one another.
class poller {
public:
    virtual ~poller() = default;
    /// Looks without a system call, and does what there is to do, a bounded part of it. True if there was something.
    virtual bool poll() = 0;
    /// The thread is about to sleep: from now on the other side has to wake it through a file descriptor that the
    /// io_context watches. False: something has come meanwhile, do not sleep. poll() is called again after the next
    /// job, timer or message of the thread: the handler of that file descriptor calls reactor::post() to bring it
    /// about.
    virtual bool prepare_sleep() = 0;
};

/// A timer that has not fired. Destroying it, on the owner thread, cancels it: its function is not called after
/// that. It may be destroyed by that function.
class pending_timer {
public:
    virtual ~pending_timer() = default;
};

/// The thread that links live on, as a transport sees it.
class reactor {
public:
    virtual ~reactor() = default;
    /// The boost::asio::io_context that the thread runs. Null in a test world, which has no I/O.
    virtual void* io_context() noexcept = 0;
    /// The node's clock: nanoseconds since an origin of its own, never less than before. Owner thread.
    [[nodiscard]] virtual std::int64_t now() = 0;
    /// Runs `job` on the owner thread, soon, not within this call. Any thread. A job that comes after the node's end is
    /// destroyed unrun.
    virtual void post(std::function<void()> job) = 0;
    /// Calls `fire` once, `delay` from now or somewhat later. Owner thread.
    [[nodiscard]] virtual std::unique_ptr<pending_timer> after(std::chrono::nanoseconds delay,
                                                               std::function<void()> fire) = 0;
    /// Adds and removes what the thread looks at. The poller stays the caller's. Owner thread; remove() also from
    /// within its own poll().
    virtual void add(poller& p) = 0;
    virtual void remove(poller& p) noexcept = 0;
};

// ---------------------------------------------------------------- links of bytes

/// What a transport knows of the process at the other end, by itself, without the handshake.
struct peer_identity {
    enum class proof : std::uint8_t {
        none,         ///< nothing: plain tcp, pipes
        kernel,       ///< the operating system attests the uid: unix, shm
        certificate,  ///< a verified certificate: tls
        same_process  ///< inproc
    };
    proof by = proof::none;
    bool same_machine = false;  ///< no network in between: loopback, unix, shm, pipe
    std::uint32_t uid = 0;      ///< by kernel
    std::int32_t pid = 0;       ///< by kernel, a hint: it may be another process's by now
    std::string subject;        ///< by certificate: its name
    std::string address;        ///< for people: "127.0.0.1:34712", "unix pid 4711"
};

/// What happens on a link. The owner implements it.
class link_events {
public:
    virtual ~link_events() = default;
    /// Bytes have come: all that were received and not used yet, contiguous. Returns how many are used, at most
    /// bytes.size(); the others are shown again with what follows. The memory is the link's, valid during the call,
    /// and a peer that shares it may change it meanwhile: copy, then check, then use.
    virtual std::size_t received(std::span<const std::byte> bytes) = 0;
    /// How many bytes the owner would like at once, before other handlers of the event loop run: what they bring is worked at next, and
    /// should still be in the caches then. May change with each call of received().
    [[nodiscard]] virtual std::size_t appetite() const noexcept { return std::size_t{1} << 20; }
    /// There is room again, after reserve() gave none.
    virtual void writable() = 0;
    /// The link has ended, by the peer or by failure; what it had received before has been shown. The last event.
    /// error code: `closed` the peer ended it properly, `io` otherwise, with the operating system's words.
    virtual void closed(error why) = 0;
};

/// A connection to one neighbour.
///
///     if (auto room = link.reserve(n); !room.empty()) {  // else writable() follows
///         write(room.first(n));
///         link.commit(n);
///     }
///     link.flush();  // once per turn, not per message
class byte_link {
public:
    virtual ~byte_link() = default;
    /// Begins to deliver events; nothing is lost before. Once. `owner` lives until the link is closed or
    /// destroyed.
    virtual void start(link_events& owner) = 0;
    /// Contiguous room for at least `least` bytes of output, 8-aligned when all commits are multiples of 8; empty
    /// if there is none now, and then writable() follows; empty, too, once the link has ended, and then nothing
    /// follows. Valid until the next call of any function of the link. `least` is at most max_reserve().
    virtual std::span<std::byte> reserve(std::size_t least) = 0;
    /// The first `size` bytes of the reserved room are output now; `size` is at most that room's. May start to
    /// send, needs not. What fails is told by closed(), here as in flush().
    virtual void commit(std::size_t size) = 0;
    /// Sends what was committed, as far as the other side takes it; the rest follows by itself. Never blocks.
    virtual void flush() = 0;
    /// The most bytes that reserve() can ever grant. Constant, at least 1,024.
    [[nodiscard]] virtual std::size_t max_reserve() const noexcept = 0;
    /// Bytes committed that neither the kernel nor the peer has taken yet.
    [[nodiscard]] virtual std::size_t unsent() const noexcept = 0;
    /// Ends the link. What was flushed before still reaches a peer that reads; what was not may be lost. Twice is once.
    virtual void close() noexcept = 0;
    /// Who is at the other end, as far as the transport knows. Constant.
    [[nodiscard]] virtual const peer_identity& peer() const noexcept = 0;
    /// True if the bytes that received() shows lie in memory which the peer can change meanwhile: they are copied
    /// before they are looked into. Constant.
    [[nodiscard]] virtual bool peer_can_write() const noexcept { return false; }
    /// The memory that the process at the other end lends from, by the descriptor that came with the link; -1:
    /// none. Its seals and size are not checked yet. The caller closes it; the second call gives -1.
    [[nodiscard]] virtual int take_lent_memory() noexcept { return -1; }
};

/// The descriptor of the memory that this process lends from, for a transport that can hand descriptors over; it
/// stays the framework's. -1: it has none. Whoever gets it can read everything that this process lends to anybody.
/// Any thread.
[[nodiscard]] int lending_memory() noexcept;

/// A place where connections come in. Destroying it ends the listening and removes what it left in the file system;
/// established links live on.
class listener {
public:
    virtual ~listener() = default;
    /// Where it listens really: port 0 is replaced by the port that was given.
    [[nodiscard]] virtual const endpoint& where() const noexcept = 0;
};

/// An attempt to connect. Destroying it gives up: its callback is not called after that.
class attempt {
public:
    virtual ~attempt() = default;
};

/// Is given a link that came in, which has not been started.
using accepted_function = std::function<void(std::unique_ptr<byte_link>)>;
/// Is given the outcome of an attempt: a link that has not been started, or why there is none. The
/// attempt is not destroyed within it.
using connected_function = std::function<void(result<std::unique_ptr<byte_link>>)>;

/// Where an endpoint of a kind means the same place.
enum class reach : std::uint8_t {
    process,  ///< within one process: inproc
    machine,  ///< on one machine: unix, shm, pipe
    network   ///< wherever its address leads to: tcp, tls
};

/// One kind of transport. Its object is shared by all nodes of the process: const functions, any thread; listen()
/// and connect() on the thread of the reactor that they are given, which outlives what they return.
class transport {
public:
    virtual ~transport() = default;
    /// The scheme that its endpoints begin with.
    [[nodiscard]] virtual std::string_view scheme() const noexcept = 0;
    /// How far away a node may be that is told an endpoint of this kind, to make a shortcut.
    [[nodiscard]] virtual coppice::reach reach() const noexcept { return coppice::reach::process; }
    /// Listens: `accepted` is called for every link that comes in, until the listener is destroyed. What a peer
    /// must show to the transport (a first record, a TLS handshake) is bounded in bytes, time and number before
    /// that; who fails it is closed without an event. Errors: invalid_argument (the endpoint), name_taken (in use),
    /// denied, limit_reached (no more descriptors, memory or disk; the text says what), io.
    [[nodiscard]] virtual result<std::unique_ptr<listener>> listen(reactor& on, const endpoint& where,
                                                                   accepted_function accepted) const = 0;
    /// Connects: `done` is called once, not within this call, with a link or the error: unreachable (nobody
    /// listens; the text says where), denied, invalid_argument, limit_reached, io. No deadline of its own: the
    /// owner gives up by destroying.
    [[nodiscard]] virtual result<std::unique_ptr<attempt>> connect(reactor& on, const endpoint& where,
                                                                   connected_function done) const = 0;
};

/// Makes a kind known in this process, in place of one that had its scheme. Any thread; before nodes use it.
void register_transport(std::shared_ptr<const transport> kind);
/// The kind of that scheme, or not_found, naming the kinds that there are.
result<std::shared_ptr<const transport>> find_transport(std::string_view scheme);

// ---------------------------------------------------------------- links of objects

/// One direction of a connection between two nodes in one address space. Order is kept. Called on the sending
/// node's threads; whoever implements it may delay, and delivers through the message_sink of the receiving side.
class message_link {
public:
    virtual ~message_link() = default;
    /// Takes the envelope and answers `ok`; or says why not, which its sender is told, and leaves it with the
    /// caller. Does not block.
    virtual errc carry(detail::envelope* message) = 0;
};

/// Where a link's messages go at the far end: takes ownership of the envelope. Any thread.
using message_sink = std::function<void(detail::envelope*)>;

/// Joins nodes of one address space: each pair by two links, one for each direction.
class message_transport {
public:
    virtual ~message_transport() = default;
    /// Opens the direction from one named node to another. `arrive` may be called for as long as the link lives.
    virtual std::shared_ptr<message_link> connect(std::string_view from, std::string_view to,
                                                  message_sink arrive) = 0;
};

}  // namespace coppice
