// space: named shared memory of a tree. Whoever creates it owns it; every process of the tree opens it by its name. In it
// are slots, each with a name, a size and an arena; what is made in an arena is pointed to by slot_ptr, which travels in
// messages and is valid in every process, wherever the slot is mapped there.
//
//     auto here  = actors::space::create("studio");                                    // the owner: often a space_keeper
//     auto image = co_await here->reserve(self, "image", 1 << 20);
//     auto page  = co_await image->write(self, 100ms);                                 // alone in it, until page is gone
//     auto row   = page->allocate<float>(640);                                         // a slot_ptr<float>
//     ... *page->all(*row) ...; self.send<row_ready>(screen, *row);
//
//     auto seen  = co_await actors::space::open("studio")->open_slot("image")->read(self, 100ms);    // another process
//     if (auto floats = seen->all(row)) show(*floats);                                 // or an error that says why not
//
// A slot has many readers or one writer. Its lock is the kernel's, and gone with the process that holds it: who waits next
// gets the slot, and if the dead one was writing, an error that names it (bad_message), until repair() or reset(). A write
// guard that an exception destroys leaves the slot damaged, too. Nobody waits without a limit, and no scheduler waits.
// A writer that waits lets no new readers in. Processes are trusted to keep to the locks, not to write sense: all that
// is read from the shared memory is checked.
//
// Handles and guards are values for one thread at a time; copies of a handle may be used by several. Knows nothing of nodes
// and transports: processes find a space by its directory (space_options::directory), on one machine, as one user.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "coppice/coppice.hpp"
#include "coppice/rights.hpp"

namespace coppice::actors {

/// Bytes of a space's or a slot's name; they stand in shared memory, in room of a fixed size.
inline constexpr std::size_t space_name_bytes = 64;
/// Slots that a space can be created for; its table takes 128 bytes of memory for each.
inline constexpr std::uint32_t most_slots = 65'536;
/// Bytes that one slot can have: as much address space is taken in each process that opens it.
inline constexpr std::uint64_t most_slot_bytes = std::uint64_t{1} << 40;

struct space_options {
    /// Where the space lies; all processes need the same. Empty: $COPPICE_RUN_DIR, else /dev/shm/coppice-UID. Memory alone
    /// is behind a tmpfs; in a directory of a disk the kernel also writes it there.
    std::string directory;
    /// Slots at once; one more is refused with limit_reached. The table is as large from the beginning.
    std::uint32_t slots = 1024;
    /// Bytes of one slot: a mistaken size is refused (too_large) before it takes the machine's memory.
    std::uint64_t slot_bytes = std::uint64_t{1} << 30;
    /// Bytes of all slots together, for the same reason; limit_reached.
    std::uint64_t total_bytes = std::uint64_t{4} << 30;
    /// Who owns it, in reports and errors: the node's name.
    std::string owner;
};

/// n objects of T in the arena of a slot, from any process of the tree: a plain aggregate of fixed size, which can be a field
/// of a message. Only a guard of its slot turns it into an address. The default one points to nothing.
template <class T>
struct slot_ptr {
    std::uint64_t space = 0;   ///< of this life of the space
    std::uint64_t offset = 0;  ///< in the arena
    std::uint64_t count = 0;   ///< objects
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;  ///< of the slot: how often it was reserved
    std::uint32_t filling = 0;     ///< of the arena: how often it was emptied
    std::uint32_t object_bytes = sizeof(T);
    explicit operator bool() const noexcept { return generation != 0; }
    friend bool operator==(const slot_ptr&, const slot_ptr&) = default;
};
static_assert(sizeof(slot_ptr<char>) == 40);

/// What can lie in a slot: bytes that mean the same in every process. No pointers among them; nobody can check that.
template <class T>
concept in_a_slot =
    std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_const_v<T> && alignof(T) <= 4096;

enum class slot_use : std::uint8_t { reading = 1, writing = 2, waiting_to_write = 3 };
[[nodiscard]] std::string_view to_string(slot_use use) noexcept;

struct slot_holder {
    std::uint32_t pid = 0;
    std::string who;  ///< the actor's path, its end if it is long; empty: no actor
    slot_use use = slot_use::reading;
    bool stopped = false;  ///< its process is stopped by a signal or a debugger
};
struct slot_report {
    std::string name;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;            ///< of the arena, when it was last written
    std::uint64_t writes = 0;          ///< since it was reserved
    std::vector<slot_holder> holders;  ///< that live. Of readers the first 24
    bool damaged = false;
    slot_holder damaged_by;  ///< the writer that died, or was ended by an exception
};

/// An ordinary thread that waits for slots, as an actor does for itself: for programs that have no actor, and other languages.
/// Not for the threads of schedulers, which would stand still meanwhile.
struct space_thread {
    std::string who;  ///< in reports, where an actor has its path
    /// Asked at each look while it waits, at least every 50 ms; true ends the wait with `cancelled`. May be empty.
    std::function<bool()> has_to_end;
};

namespace space_parts {
class space_state;
class ownership;
class slot_state;
class access;

/// The arena as a guard sees it: what was checked when the lock was taken.
struct arena {
    std::byte* begin = nullptr;
    std::uint64_t bytes = 0;
    std::uint64_t used = 0;
    std::uint64_t space = 0;
    std::uint32_t slot = 0;
    std::uint32_t generation = 0;
    std::uint32_t filling = 0;
};
/// A slot_ptr without its type.
struct any_ptr {
    std::uint64_t space, offset, count;
    std::uint32_t slot, generation, filling, object_bytes;
};
result<std::byte*> resolve(const arena& in, const any_ptr& p, std::size_t object_bytes,
                           std::size_t alignment);
result<any_ptr> allocate(arena& in, std::uint64_t count, std::size_t object_bytes, std::size_t alignment);

template <class T>
result<std::span<T>> objects(const arena& in, const slot_ptr<std::remove_const_t<T>>& p) {
    auto at = resolve(in, {p.space, p.offset, p.count, p.slot, p.generation, p.filling, p.object_bytes},
                      sizeof(T), alignof(T));
    if (!at) return at.error();
    return std::span<T>{reinterpret_cast<T*>(*at), static_cast<std::size_t>(p.count)};
}

/// What both kinds of guards are: an access to a slot that they hold, and the arena that it gives. Move-only.
template <bool writes>
class guard {
public:
    template <class T>
    using seen = std::conditional_t<writes, T, const T>;

    /// The objects that p points to, valid while the guard lives. invalid_argument: it points to nothing, or into another slot or
    /// space; not_found: the slot was released, or its arena emptied since; bad_message: it leads out of what is used, or to
    /// objects of another size.
    template <in_a_slot T>
    [[nodiscard]] result<std::span<seen<T>>> all(const slot_ptr<T>& p) const {
        return space_parts::objects<seen<T>>(arena_, p);
    }
    /// The first of them; bad_message also if there is none.
    template <in_a_slot T>
    [[nodiscard]] result<seen<T>*> at(const slot_ptr<T>& p) const {
        auto found = all(p);
        if (!found) return found.error();
        if (found->empty()) return error{errc::bad_message, "the slot pointer leads to no object"};
        return found->data();
    }
    /// All of them as bytes, of objects whose size and alignment (a power of two, up to 4,096) only the program that runs
    /// knows; object_bytes 0: whatever size the pointer says. Errors as those of all().
    [[nodiscard]] result<std::span<seen<std::byte>>>
    objects(const slot_ptr<std::byte>& p, std::uint32_t object_bytes, std::size_t alignment) const;
    [[nodiscard]] std::uint64_t used() const noexcept { return arena_.used; }
    [[nodiscard]] std::uint64_t capacity() const noexcept { return arena_.bytes; }

protected:
    explicit guard(std::unique_ptr<access> held) noexcept;
    guard(guard&& other) noexcept;
    guard& operator=(guard&& other) noexcept;
    ~guard();
    void drop() noexcept;

    std::unique_ptr<access> held_;
    arena arena_;
};
extern template class guard<false>;
extern template class guard<true>;
}  // namespace space_parts

/// The right to read a slot, until destruction or release(). Move-only. It keeps the memory, also of a slot that is released.
class read_guard : public space_parts::guard<false> {
public:
    /// Ends it before its destruction; what it has given is not valid any more.
    void release() noexcept { drop(); }

private:
    friend class slot;
    using guard::guard;
};

/// The right to read and write a slot, alone. Its end publishes what was written; its end by an exception leaves the slot
/// damaged. Move-only.
class write_guard : public space_parts::guard<true> {
public:
    write_guard(write_guard&&) noexcept = default;
    write_guard& operator=(write_guard&&) noexcept;
    ~write_guard();

    /// Room for n objects behind what is used; they hold whatever was there before (zeros in a new slot). All bytes of the
    /// arena can be had. limit_reached: less is left; the text says how much. invalid_argument: n is 0.
    template <in_a_slot T>
    [[nodiscard]] result<slot_ptr<T>> allocate(std::uint64_t n = 1) {
        auto made = space_parts::allocate(arena_, n, sizeof(T), alignof(T));
        if (!made) return made.error();
        return slot_ptr<T>{made->space,      made->offset,  made->count,       made->slot,
                           made->generation, made->filling, made->object_bytes};
    }
    /// Empties the arena; earlier pointers into it are refused from now on.
    void clear() noexcept;
    /// As allocate() and all(), of objects whose size and alignment (a power of two, up to 4,096) only the program that runs
    /// knows. invalid_argument for others.
    [[nodiscard]] result<slot_ptr<std::byte>> allocate_objects(std::uint64_t n, std::uint32_t object_bytes,
                                                               std::size_t alignment);
    /// True in a guard of repair() if the slot was damaged: what is used is what its last whole write left, as far as the one
    /// that died has not written over it.
    [[nodiscard]] bool was_damaged() const noexcept;
    /// Ends it before its destruction, and publishes.
    void release() noexcept;
    /// Ends it as an exception would: nothing is published, and the slot is damaged.
    void abandon() noexcept;

private:
    friend class slot;
    using guard::guard;
};

/// A slot of an open space. The memory stays mapped while a handle or a guard lives.
class slot {
public:
    [[nodiscard]] const std::string& name() const noexcept;
    /// Bytes of the arena: exactly what was reserved.
    [[nodiscard]] std::uint64_t capacity() const noexcept;
    [[nodiscard]] slot_report report() const;

    /// Waits for the right to read, or to write, at most `within`; resumes on the actor's scheduler, and is cancelled as every
    /// await. timeout: the text names who holds it; bad_message: it is damaged; not_found: it was released; closed: the space
    /// has ended; limit_reached: no descriptor is left.
    template <any_protocol P>
    [[nodiscard]] task<result<read_guard>> read(actor<P> self, std::chrono::nanoseconds within) const {
        return read_as(actor<anything>{self.cell()}, state_, within);
    }
    template <any_protocol P>
    [[nodiscard]] task<result<write_guard>> write(actor<P> self, std::chrono::nanoseconds within) const {
        return write_as(actor<anything>{self.cell()}, state_, within, false);
    }
    /// As write, also of a damaged slot, which is whole when the guard ends.
    template <any_protocol P>
    [[nodiscard]] task<result<write_guard>> repair(actor<P> self, std::chrono::nanoseconds within) const {
        return write_as(actor<anything>{self.cell()}, state_, within, true);
    }
    /// Makes it whole and empty, damaged or not.
    template <any_protocol P>
    [[nodiscard]] task<result<void>> reset(actor<P> self, std::chrono::nanoseconds within) const {
        return reset_as(actor<anything>{self.cell()}, state_, within);
    }
    /// The same on an ordinary thread, which waits. cancelled: it had to end.
    [[nodiscard]] result<read_guard> read(const space_thread& me, std::chrono::nanoseconds within) const;
    [[nodiscard]] result<write_guard> write(const space_thread& me, std::chrono::nanoseconds within) const;
    [[nodiscard]] result<write_guard> repair(const space_thread& me, std::chrono::nanoseconds within) const;
    [[nodiscard]] result<void> reset(const space_thread& me, std::chrono::nanoseconds within) const;
    /// The same at once, or timeout; from any thread. A waiting writer goes before these.
    [[nodiscard]] result<read_guard> try_read() const;
    [[nodiscard]] result<write_guard> try_write() const;
    [[nodiscard]] result<write_guard> try_repair() const;

private:
    friend class space;
    explicit slot(std::shared_ptr<space_parts::slot_state> state) noexcept;
    using state = std::shared_ptr<space_parts::slot_state>;
    static task<result<read_guard>> read_as(actor<anything> self, state of, std::chrono::nanoseconds within);
    static task<result<write_guard>> write_as(actor<anything> self, state of, std::chrono::nanoseconds within,
                                              bool damaged_too);
    static task<result<void>> reset_as(actor<anything> self, state of, std::chrono::nanoseconds within);
    state state_;
};

/// An open space. Copies share it. When the last copy of the owner's goes, the space ends: its names are removed, nothing can
/// be reserved or opened in it, and its memory goes with the last handle.
class space {
public:
    /// Makes it and owns it. First it wipes what crashed owners have left in that directory, of any space; never what a
    /// living owner has. May wait 100 ms for another process that does the same. name_taken: it has a living owner, whom the
    /// text names; bad_name, invalid_argument, denied, limit_reached, io.
    [[nodiscard]] static result<space> create(std::string_view name, const space_options& options = {});
    /// Opens one that another has created. not_found: there is none with a living owner; bad_message: its table is damaged;
    /// wrong_version: another release made it; denied, io.
    [[nodiscard]] static result<space> open(std::string_view name, std::string_view directory = {});

    [[nodiscard]] const std::string& name() const noexcept;
    /// Spaces of crashed owners that create() has wiped.
    [[nodiscard]] std::uint32_t wiped() const noexcept;

    /// Makes a slot of that many bytes, of memory that is there: touching it cannot fail later. name_taken, bad_name,
    /// too_large, limit_reached (the text says which limit), invalid_argument for 0 bytes, timeout: another process holds the
    /// table and does not go on; closed.
    template <any_protocol P>
    [[nodiscard]] task<result<slot>>
    reserve(actor<P> self, std::string name, std::uint64_t bytes,
            std::chrono::nanoseconds within = std::chrono::seconds{5}) const {
        return reserve_as(actor<anything>{self.cell()}, state_, std::move(name), bytes, within);
    }
    /// Gives a slot up, its memory when nobody has it open any more. Guards that are held stay valid, nothing else: further
    /// accesses and pointers are refused. not_found, timeout, closed.
    template <any_protocol P>
    [[nodiscard]] task<result<void>>
    release(actor<P> self, std::string name,
            std::chrono::nanoseconds within = std::chrono::seconds{5}) const {
        return release_as(actor<anything>{self.cell()}, state_, std::move(name), within);
    }
    /// The same on an ordinary thread, which waits. cancelled: it had to end.
    [[nodiscard]] result<slot> reserve(const space_thread& me, std::string_view name, std::uint64_t bytes,
                                       std::chrono::nanoseconds within = std::chrono::seconds{5}) const;
    [[nodiscard]] result<void> release(const space_thread& me, std::string_view name,
                                       std::chrono::nanoseconds within = std::chrono::seconds{5}) const;
    /// The same from any thread; timeout at once if another process changes the table at this moment.
    [[nodiscard]] result<slot> try_reserve(std::string_view name, std::uint64_t bytes) const;
    [[nodiscard]] result<void> try_release(std::string_view name) const;
    /// not_found, closed, bad_message. Never waits.
    [[nodiscard]] result<slot> open_slot(std::string_view name) const;
    [[nodiscard]] std::vector<slot_report> list() const;

private:
    friend class slot_watch;
    using state = std::shared_ptr<space_parts::space_state>;
    space(state opened, std::shared_ptr<space_parts::ownership> owned) noexcept;
    static result<slot> slot_of(result<std::shared_ptr<space_parts::slot_state>> made);
    static task<result<slot>> reserve_as(actor<anything> self, state in, std::string name,
                                         std::uint64_t bytes, std::chrono::nanoseconds within);
    static task<result<void>> release_as(actor<anything> self, state in, std::string name,
                                         std::chrono::nanoseconds within);
    state state_;
    std::shared_ptr<space_parts::ownership> owned_;
};

// ---- the actor that owns a space. Who is not of the tree needs the right to read or write the slot (coppice/rights.hpp), or, where none is
// named, that actor.

struct list_slots {
    using reply = std::vector<slot_report>;
    [[nodiscard]] demand needs() const { return {right::read, {}}; }
};
/// The writer of a slot has died, or was ended by an exception, within its write. Told once for each such write.
struct slot_damaged {
    std::string space;
    std::string slot;
    slot_holder by;
};
/// From now on `who` is told of damaged slots, until it ends; first of those that are damaged already.
struct watch_slots {
    ref<protocol<slot_damaged>> who;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::read, {}}; }
};
/// For those that have no space of their own at hand, such as programs in other languages.
struct reserve_slot {
    std::string name;
    std::uint64_t bytes = 0;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::write, name}; }
};
struct release_slot {
    std::string name;
    using reply = void;
    [[nodiscard]] demand needs() const { return {right::write, name}; }
};
/// `down` is of those that watch.
using space_protocol = protocol<list_slots, watch_slots, reserve_slot, release_slot, down>;

/// Owns a space while it lives: child("space", in_coroutine, actors::space_keeper, std::string{"studio"},
/// actors::space_options{}). Ready when the space is there; fails if it cannot be created.
task<> space_keeper(actor<space_protocol> self, std::string name, space_options options);

}  // namespace coppice::actors
