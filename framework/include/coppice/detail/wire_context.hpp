// What a message's writing and reading ask of the node that they happen on: refs become what other nodes
// understand and back, blobs are lent, borrowed and shared. And the table of functions by which a message of
// any type gets to bytes and back. The router implements the context (src/net/wire_addresses.hpp); one lives
// for one message, on the thread that writes or reads.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>

#include "coppice/blob.hpp"
#include "coppice/detail/address.hpp"
#include "coppice/detail/wire_cuts.hpp"
#include "coppice/error.hpp"
#include "coppice/wire_reference.hpp"

namespace coppice::detail {

using coppice::wire_reference;

/// Bytes that lie in memory of the sender's process which the receiver has mapped.
struct wire_loan {
    std::uint64_t arena = 0;   // which memory
    std::uint64_t offset = 0;  // there
    std::uint64_t size = 0;
    std::uint64_t number = 0;  // under which it is given back
    friend bool operator==(const wire_loan&, const wire_loan&) = default;
};

/// Turns addresses into what other nodes understand, and back. The router implements it. It is called on the thread
/// that writes or reads, for every reference in a message that is not empty; reading may ask twice for the same
/// reference.
class wire_context {
public:
    virtual ~wire_context() = default;
    virtual wire_reference out(const address& local) = 0;
    virtual address in(const wire_reference& remote) = 0;
    /// Whether the receiver can read a blob where it lies; then only where that is gets written.
    virtual bool lend(const blob&, wire_loan&) { return false; }
    /// What was lent. It may ask twice for the same, and gets the same then. False: it was not lent to this node.
    virtual bool borrow(const wire_loan&, blob&) { return false; }

    /// The memory that a message is read from, if blobs in it may share it: it does not change while the blob is held.
    const blob* within = nullptr;
    /// Bytes that were read, as a blob: sharing `within` where they lie in it and are no small part of it, else a copy.
    [[nodiscard]] blob taken(std::span<const std::byte> bytes) const;
};

/// How messages of one type get to bytes and back. Any thread.
struct wire_functions {
    /// Exact size of the bytes, a multiple of 8; 0 for a message that is too large for any wire form
    /// (limits::wire_*).
    std::size_t (*size)(const void* body);
    /// Writes exactly size() bytes to `out`, which is 8-aligned. The message must not have changed since size().
    void (*write)(const void* body, std::byte* out, wire_context& context);
    /// Reads a message of a peer. `in` must not change meanwhile (copy what a peer can reach); it is 8-aligned where
    /// speed matters. On `ok` there is a message at `where`, raw storage for one; else there is none, and the code is
    /// bad_message. Throws what the message's default constructor throws, and std::bad_alloc.
    errc (*read)(std::span<const std::byte> in, void* where, wire_context& context);
    /// For bodies that stand for messages of other types, else null: the type that this one travels as, and telling one
    /// that was read as which type it came.
    std::uint64_t (*type)(const void* body) noexcept = nullptr;
    void (*set_type)(void* body, std::uint64_t type) noexcept = nullptr;
    /// For messages that may hold bulk data, else null: how much there is, in pieces of at least
    /// limits::bulk_piece, and writing the rest to `out`, which has room for size() without that. The same bytes as
    /// of write(), with the cuts at their places; but for blobs that the context lends, which take 4 words each.
    /// Gives the bytes written.
    wire_bulk (*bulk)(const void* body) = nullptr;
    std::size_t (*write_apart)(const void* body, std::byte* out, wire_context& context,
                               wire_cuts& cuts) = nullptr;
    /// The bytes are a struct that Cap'n Proto generated, and no value (schemas/value.capnp).
    bool is_native = false;
};

}  // namespace coppice::detail
