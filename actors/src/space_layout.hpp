// The memory that the processes of a space share: what stands where in the table and in a slot's file. Fixed sizes, no
// pointers, magic and version first; the page docs/space.md shows the same.
//
// Every word that somebody may change while another process looks is an atomic. Who reads one checks it before use: the
// other process may be broken. Which lock guards which word stands at the word; the locks themselves are the kernel's
// (space_system.hpp), so nothing in here can hang or crash who takes one.
#pragma once
#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace coppice::actors::space_parts {

inline constexpr std::uint32_t layout_version = 1;
inline constexpr std::array<char, 8> table_magic{'c', 'o', 'p', 'p', 's', 'p', 'a', 'c'};
inline constexpr std::array<char, 8> slot_magic{'c', 'o', 'p', 'p', 's', 'l', 'o', 't'};
/// Before the arena of a slot, which so begins on a page, at every address that it is mapped to.
inline constexpr std::uint64_t slot_header_bytes = 4096;
/// Readers of one slot that are named; further ones read as well, without their names.
inline constexpr std::size_t named_readers = 24;

/// A text of at most 8 * Words bytes. Read while it is written it may be a mixture of both, but never too long, and
/// without control characters.
template <std::size_t Words>
struct shared_text {
    std::array<std::atomic<std::uint64_t>, Words> words;

    void store(std::string_view text) noexcept {
        for (std::size_t i = 0; i < Words; ++i) {
            std::uint64_t word = 0;
            const std::size_t at = std::min(i * 8, text.size());
            std::memcpy(&word, text.data() + at, std::min<std::size_t>(8, text.size() - at));
            words[i].store(word, std::memory_order_relaxed);
        }
    }
    [[nodiscard]] std::string load() const {
        std::string text(Words * 8, '\0');
        for (std::size_t i = 0; i < Words; ++i) {
            const std::uint64_t word = words[i].load(std::memory_order_relaxed);
            std::memcpy(text.data() + i * 8, &word, 8);
        }
        text.resize(std::min(text.find('\0'), text.size()));
        for (char& c : text)
            if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
        return text;
    }
};

/// Who holds, or waits for, a slot: for reports alone, never to decide who may.
struct holder_record {
    std::atomic<std::uint32_t> pid;    // 0: nobody. Taken by readers with a compare-exchange
    std::atomic<std::uint32_t> doing;  // holder_kind
    std::atomic<std::uint64_t> start;  // of the process, as /proc/PID/stat has it: a pid is used again
    shared_text<14> who;               // the actor's path; a long one has lost its beginning
};
static_assert(sizeof(holder_record) == 128);

/// The beginning of the file `control`; the entries follow. Written before anybody can open it, but for `closed`.
struct table_header {
    std::array<char, 8> magic;
    std::uint32_t version;
    std::uint32_t slots;
    std::uint64_t id;  // of this life of the space; not 0
    std::uint64_t slot_bytes;
    std::uint64_t total_bytes;
    std::uint32_t owner_pid;
    std::atomic<std::uint32_t> closed;  // 1: the owner has ended it
    std::uint64_t owner_start;
    shared_text<9> owner;
};
static_assert(sizeof(table_header) == 128);

enum class entry_state : std::uint32_t { free = 0, making = 1, used = 2 };

/// One slot of the table. Changed under the table's lock; but `making` to `used`, or back, by whoever makes it.
struct table_entry {
    std::atomic<entry_state> state;
    std::atomic<std::uint32_t> generation;  // how often it was reserved
    std::atomic<std::uint64_t> bytes;
    shared_text<8> name;
    std::array<std::uint64_t, 6> unused;
};
static_assert(sizeof(table_entry) == 128);

/// The beginning of a slot's file.
struct slot_header {
    // Written before the entry is `used`; then never again.
    std::array<char, 8> magic;
    std::uint32_t version;
    std::uint32_t index;
    std::uint64_t id;  // the space's
    std::uint32_t generation;
    std::uint32_t unused1;
    std::uint64_t bytes;
    // Of who has the write lock.
    std::atomic<std::uint64_t> writes;   // write locks so far
    std::atomic<std::uint64_t> writing;  // 0: whole. Else the number of the write that has not ended
    std::atomic<std::uint64_t> used;     // bytes of the arena
    std::atomic<std::uint32_t> filling;  // how often the arena was emptied, from 1
    std::uint32_t unused2;
    // Added to by whoever unlocks (release), read by whoever has locked (acquire): what the kernel's lock orders anyway
    // is ordered for the compiler and its tools, too.
    std::atomic<std::uint64_t> turns;
    std::array<std::uint64_t, 6> unused3;
    holder_record writer;  // of who has the gate alone
    std::array<holder_record, named_readers>
        readers;  // of who has the read lock; who has the write lock clears all
    std::array<std::byte, 768> unused4;
};
static_assert(sizeof(slot_header) == slot_header_bytes);
static_assert(offsetof(slot_header, writes) == 40 && offsetof(slot_header, writer) == 128);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);

}  // namespace coppice::actors::space_parts
