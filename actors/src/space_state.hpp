// One open space, and one open slot: the mapped memory and what is done with it under its locks, without waiting. Who waits
// calls these again and again (space_access.hpp).
//
//     <base>/NAME.space/          flock: held by the owner while it lives; whoever gets it may wipe what is there
//         control                 byte 0, exclusive: the owner, while it lives. Byte 1: the table's lock
//         slot-INDEX-GENERATION   byte 0: readers shared, the writer alone. Byte 1: the gate, see space_access.hpp
//
// A reservation is cut into two halves, so that the table is not held while memory is got: the first takes an entry and makes
// the file, whose byte 0 it locks; the second sizes the file and makes the entry `used`. An entry that is being made, with a
// file that nobody has locked, is that of a dead process, and the next reservation takes it. Any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/interprocess/mapped_region.hpp>

#include "coppice/actors/space.hpp"
#include "space_layout.hpp"
#include "space_system.hpp"
#include "space_wakeups.hpp"

namespace coppice::actors::space_parts {

inline constexpr std::int64_t owner_byte = 0;
inline constexpr std::int64_t table_byte = 1;
inline constexpr std::int64_t main_byte = 0;
inline constexpr std::int64_t gate_byte = 1;

/// A whole file in memory, for reading and writing.
result<boost::interprocess::mapped_region> map_file(int fd, std::uint64_t bytes, std::string_view what);
/// Bytes of that file, or 0.
[[nodiscard]] std::uint64_t bytes_of(int fd) noexcept;

class space_state;

/// One slot, mapped. What never changes was checked when it was opened, and is kept here.
class slot_state {
public:
    slot_state(std::shared_ptr<space_state> in, std::uint32_t index, std::uint32_t generation,
               std::string name, std::uint64_t bytes, descriptor file,
               boost::interprocess::mapped_region memory) noexcept;

    [[nodiscard]] slot_header& header() const noexcept {
        return *static_cast<slot_header*>(memory_.get_address());
    }
    [[nodiscard]] int file() const noexcept { return file_.get(); }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
    [[nodiscard]] std::uint32_t generation() const noexcept { return generation_; }
    [[nodiscard]] space_state& in() const noexcept { return *in_; }

    /// Under either lock: the arena as it is now; bad_message if what stands there cannot be.
    [[nodiscard]] result<arena> look() const;
    /// ok while it is reserved, and its space there.
    [[nodiscard]] result<void> still_there() const;
    /// The number of a write whose writer is gone; 0: there is none. Without a lock.
    [[nodiscard]] std::uint64_t broken_write() const noexcept;
    [[nodiscard]] slot_report report() const;
    [[nodiscard]] error damage() const;
    /// "slot image of space studio"
    [[nodiscard]] std::string what() const;

private:
    std::shared_ptr<space_state> in_;
    std::uint32_t index_, generation_;
    std::string name_;
    std::uint64_t bytes_;
    descriptor file_;
    boost::interprocess::mapped_region memory_;
};

/// What the first half of a reservation has taken; given back by destruction unless the second half is done.
class reservation {
public:
    reservation(std::shared_ptr<space_state> in, std::uint32_t index, std::uint32_t generation,
                std::string name, std::uint64_t bytes, descriptor file) noexcept;
    reservation(reservation&&) noexcept = default;
    reservation& operator=(reservation&&) = delete;
    ~reservation();
    /// Takes time in proportion to the slot's size: the kernel clears the memory.
    result<std::shared_ptr<slot_state>> finish();

private:
    std::shared_ptr<space_state> in_;
    std::uint32_t index_, generation_;
    std::string name_;
    std::uint64_t bytes_;
    descriptor file_;
};

class space_state : public std::enable_shared_from_this<space_state> {
public:
    space_state(std::string name, descriptor directory, descriptor control,
                boost::interprocess::mapped_region memory) noexcept;

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] std::uint32_t slots() const noexcept { return slots_; }
    [[nodiscard]] int control() const noexcept { return control_.get(); }
    [[nodiscard]] int directory() const noexcept { return directory_.get(); }
    [[nodiscard]] table_header& header() const noexcept {
        return *static_cast<table_header*>(memory_.get_address());
    }
    [[nodiscard]] table_entry& entry(std::uint32_t index) const noexcept {
        return reinterpret_cast<table_entry*>(static_cast<char*>(memory_.get_address()) +
                                              sizeof(table_header))[index];
    }
    /// closed: its owner has ended it, or died.
    [[nodiscard]] result<void> still_there() const;

    /// Both under the table's lock.
    result<reservation> take_entry(std::string_view name, std::uint64_t bytes);
    result<void> give_up(std::string_view name);

    result<std::shared_ptr<slot_state>> open_slot(std::string_view name);
    result<std::shared_ptr<slot_state>> open_entry(std::uint32_t index);
    [[nodiscard]] std::vector<slot_report> list();
    /// Made with the first wait, ended with the space.
    std::shared_ptr<wakeups> bells();

private:
    /// Nobody makes it any more, though the entry says so.
    [[nodiscard]] bool is_left(std::uint32_t index, std::uint32_t generation) const;

    std::string name_;
    std::uint64_t id_;
    std::uint32_t slots_;
    std::uint64_t slot_bytes_, total_bytes_;
    std::string owner_;
    std::uint32_t owner_pid_;
    descriptor directory_, control_;
    boost::interprocess::mapped_region memory_;
    std::mutex mutex_;
    std::shared_ptr<wakeups> bells_;  // guarded by mutex_
};

[[nodiscard]] std::string file_of(std::uint32_t index, std::uint32_t generation);
/// "/app/camera[4711]", "/app/camera[4711], which is stopped by a signal", "[4711]"
[[nodiscard]] std::string text_of(const slot_holder& who);

}  // namespace coppice::actors::space_parts
