// The table of a space and the files of its slots; see space_state.hpp for who may change what.
// Whatever is read from the shared memory was written by another process, and is checked against what this one has seen with
// its own eyes: the size of a file, its own copy of a header. Any thread.
#include "space_state.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include <boost/interprocess/exceptions.hpp>
#include <fmt/format.h>

namespace coppice::actors::space_parts {

namespace ipc = boost::interprocess;

namespace {

// What Boost.Interprocess maps: a descriptor that is open already, so that what was checked is what is mapped.
struct file_to_map {
    int fd;
    [[nodiscard]] ipc::mapping_handle_t get_mapping_handle() const noexcept { return {fd, false}; }
    [[nodiscard]] ipc::mode_t get_mode() const noexcept { return ipc::read_write; }
};

slot_holder holder_in(const holder_record& record) {
    const process_identity whose{record.pid.load(std::memory_order_relaxed),
                                 record.start.load(std::memory_order_relaxed)};
    slot_holder found;
    found.pid = whose.pid;
    found.who = record.who.load();
    const std::uint32_t doing = record.doing.load(std::memory_order_relaxed);
    found.use = doing == 2 ? slot_use::writing : doing == 3 ? slot_use::waiting_to_write : slot_use::reading;
    const auto state = state_of(whose);
    if (!state) found.pid = 0;
    found.stopped = state == 'T' || state == 't';
    return found;
}

}  // namespace

result<ipc::mapped_region> map_file(int fd, std::uint64_t bytes, std::string_view what) {
    try {
        return ipc::mapped_region{file_to_map{fd}, ipc::read_write, 0, static_cast<std::size_t>(bytes)};
    } catch (const ipc::interprocess_exception& e) {
        return system_error_of(static_cast<int>(e.get_native_error()), fmt::format("map {}", what));
    }
}

std::uint64_t bytes_of(int fd) noexcept {
    struct stat is{};
    return ::fstat(fd, &is) == 0 && S_ISREG(is.st_mode) ? static_cast<std::uint64_t>(is.st_size) : 0;
}

std::string file_of(std::uint32_t index, std::uint32_t generation) {
    return fmt::format("slot-{}-{}", index, generation);
}

std::string text_of(const slot_holder& who) {
    return fmt::format("{}[{}]{}", who.who, who.pid, who.stopped ? ", which is stopped by a signal" : "");
}

// ---------------------------------------------------------------- slots

slot_state::slot_state(std::shared_ptr<space_state> in, std::uint32_t index, std::uint32_t generation,
                       std::string name, std::uint64_t bytes, descriptor file,
                       ipc::mapped_region memory) noexcept
    : in_{std::move(in)},
      index_{index},
      generation_{generation},
      name_{std::move(name)},
      bytes_{bytes},
      file_{std::move(file)},
      memory_{std::move(memory)} {}

std::string slot_state::what() const { return fmt::format("slot {} of space {}", name_, in_->name()); }

result<void> slot_state::still_there() const {
    // A file that was cut would end this process where it touches what is missing.
    if (bytes_of(file_.get()) < slot_header_bytes + bytes_)
        return error{errc::bad_message, fmt::format("{}: its file was cut by somebody; release it", what())};
    const table_entry& e = in_->entry(index_);
    if (e.state.load(std::memory_order_acquire) == entry_state::used &&
        e.generation.load(std::memory_order_relaxed) == generation_)
        return {};
    if (auto there = in_->still_there(); !there) return there.error();
    return error{errc::not_found, fmt::format("{} was released", what())};
}

result<arena> slot_state::look() const {
    slot_header& h = header();
    static_cast<void>(h.turns.load(std::memory_order_acquire));
    const arena found{static_cast<std::byte*>(memory_.get_address()) + slot_header_bytes,
                      bytes_,
                      h.used.load(std::memory_order_relaxed),
                      in_->id(),
                      index_,
                      generation_,
                      h.filling.load(std::memory_order_relaxed)};
    if (found.used <= bytes_ && found.filling != 0) return found;
    return error{
        errc::bad_message,
        fmt::format("{}: its header is damaged ({} of {} bytes are used, filling {}); reset() makes it "
                    "whole and empty",
                    what(), found.used, bytes_, found.filling)};
}

// A writer sets `writing` after it has locked and takes it back before it unlocks. So if it stands there, the lock is free,
// and then it still stands there, nobody will take it back.
std::uint64_t slot_state::broken_write() const noexcept {
    const std::uint64_t number = header().writing.load(std::memory_order_acquire);
    if (number == 0 || is_locked(file_.get(), main_byte, lock_kind::shared)) return 0;
    return header().writing.load(std::memory_order_acquire) == number ? number : 0;
}

error slot_state::damage() const {
    const holder_record& by = header().writer;
    return {errc::bad_message,
            fmt::format(
                "{} is damaged: its writer {}[{}] died, or was ended by an exception, while it was writing; "
                "repair() or reset() makes it whole",
                what(), by.who.load(), by.pid.load(std::memory_order_relaxed))};
}

slot_report slot_state::report() const {
    const slot_header& h = header();
    slot_report told;
    told.name = name_;
    told.bytes = bytes_;
    told.used = std::min(h.used.load(std::memory_order_relaxed), bytes_);
    told.writes = h.writes.load(std::memory_order_relaxed);
    told.damaged = broken_write() != 0;
    if (told.damaged) {
        told.damaged_by = holder_in(h.writer);
        told.damaged_by.pid = h.writer.pid.load(std::memory_order_relaxed);
    } else if (slot_holder who = holder_in(h.writer); who.pid) {
        told.holders.push_back(std::move(who));
    }
    for (const holder_record& r : h.readers)
        if (r.pid.load(std::memory_order_relaxed) != 0)
            if (slot_holder who = holder_in(r); who.pid) told.holders.push_back(std::move(who));
    return told;
}

// ---------------------------------------------------------------- making one

reservation::reservation(std::shared_ptr<space_state> in, std::uint32_t index, std::uint32_t generation,
                         std::string name, std::uint64_t bytes, descriptor file) noexcept
    : in_{std::move(in)},
      index_{index},
      generation_{generation},
      name_{std::move(name)},
      bytes_{bytes},
      file_{std::move(file)} {}

reservation::~reservation() {
    if (!file_) return;
    ::unlinkat(in_->directory(), file_of(index_, generation_).c_str(), 0);
    in_->entry(index_).state.store(entry_state::free, std::memory_order_release);
}

result<std::shared_ptr<slot_state>> reservation::finish() {
    const std::string what = fmt::format("{} bytes for slot {} of space {}", bytes_, name_, in_->name());
    // All of it now: memory that is missing when it is touched would end the process that touches it.
    const int failed = ::posix_fallocate(file_.get(), 0, static_cast<off_t>(slot_header_bytes + bytes_));
    if (failed != 0) return system_error_of(failed, what);
    // By a description of its own: memory that is mapped keeps its description, and so the lock of the reservation.
    auto again = open_again(file_.get());
    if (!again) return again.error();
    auto memory = map_file(again->get(), slot_header_bytes + bytes_, what);
    if (!memory) return memory.error();
    auto& h = *static_cast<slot_header*>(memory->get_address());
    h.magic = slot_magic;
    h.version = layout_version;
    h.index = index_;
    h.id = in_->id();
    h.generation = generation_;
    h.bytes = bytes_;
    h.filling.store(1, std::memory_order_relaxed);
    in_->entry(index_).state.store(entry_state::used, std::memory_order_release);
    file_.reset();
    return std::make_shared<slot_state>(in_, index_, generation_, name_, bytes_, *std::move(again),
                                        *std::move(memory));
}

// ---------------------------------------------------------------- the table

space_state::space_state(std::string name, descriptor directory, descriptor control,
                         ipc::mapped_region memory) noexcept
    : name_{std::move(name)},
      id_{},
      slots_{},
      slot_bytes_{},
      total_bytes_{},
      owner_pid_{},
      directory_{std::move(directory)},
      control_{std::move(control)},
      memory_{std::move(memory)} {
    const table_header& h =
        header();  // never changes from now on, as far as its writer is honest; so it is read once
    id_ = h.id;
    slots_ = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(h.slots, (memory_.get_size() - sizeof(table_header)) / sizeof(table_entry)));
    slot_bytes_ = std::min(h.slot_bytes, most_slot_bytes);
    total_bytes_ = h.total_bytes;
    owner_ = h.owner.load();
    owner_pid_ = h.owner_pid;
}

result<void> space_state::still_there() const {
    if (bytes_of(control_.get()) < memory_.get_size())
        return error{errc::bad_message, fmt::format("space {}: its table was cut by somebody", name_)};
    const bool closed = header().closed.load(std::memory_order_acquire) != 0;
    if (!closed && is_locked(control_.get(), owner_byte, lock_kind::exclusive)) return {};
    return error{errc::closed, fmt::format("space {} has ended: its owner {}[{}] {}", name_, owner_,
                                           owner_pid_, closed ? "has closed it" : "is gone")};
}

bool space_state::is_left(std::uint32_t index, std::uint32_t generation) const {
    const descriptor file{
        ::openat(directory_.get(), file_of(index, generation).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    return !file || !is_locked(file.get(), main_byte, lock_kind::exclusive);
}

result<reservation> space_state::take_entry(std::string_view name, std::uint64_t bytes) {
    if (auto there = still_there(); !there) return there.error();
    std::optional<std::uint32_t> place;
    std::uint64_t sum = 0;
    for (std::uint32_t i = 0; i < slots_; ++i) {
        table_entry& e = entry(i);
        entry_state state = e.state.load(std::memory_order_acquire);
        const std::uint32_t generation = e.generation.load(std::memory_order_relaxed);
        // Its maker stores `used` before it unlocks: who made it to the end since is seen by the exchange.
        if (state != entry_state::free && state != entry_state::used && is_left(i, generation) &&
            e.state.compare_exchange_strong(state, entry_state::free)) {
            ::unlinkat(directory_.get(), file_of(i, generation).c_str(), 0);
            state = entry_state::free;
        }
        if (state == entry_state::free) {
            if (!place) place = i;
            continue;
        }
        if (e.name.load() == name)
            return error{errc::name_taken, fmt::format("space {} has a slot {} already", name_, name)};
        const std::uint64_t its = e.bytes.load(std::memory_order_relaxed);
        sum = its > total_bytes_ - std::min(sum, total_bytes_) ? total_bytes_ : sum + its;
    }
    if (bytes > total_bytes_ - sum)
        return error{
            errc::limit_reached,
            fmt::format("slot {} of {} bytes: space {} has {} of its {} bytes left; release slots, or "
                        "create it with more (space_options::total_bytes)",
                        name, bytes, name_, total_bytes_ - sum, total_bytes_)};
    if (!place)
        return error{
            errc::limit_reached,
            fmt::format("slot {}: all {} slots of space {} are in use; release one, or create it with "
                        "more (space_options::slots)",
                        name, slots_, name_)};
    table_entry& e = entry(*place);
    std::uint32_t generation = e.generation.load(std::memory_order_relaxed);
    // Of one that was killed between giving the place up and removing what was there.
    ::unlinkat(directory_.get(), file_of(*place, generation).c_str(), 0);
    ++generation;
    if (generation == 0) generation = 1;  // 0 is that of no slot
    const std::string file_name = file_of(*place, generation);
    ::unlinkat(directory_.get(), file_name.c_str(), 0);  // of one that died before it wrote the entry
    descriptor file{::openat(directory_.get(), file_name.c_str(),
                             O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR)};
    if (!file) return system_error_of(errno, fmt::format("make slot {} of space {}", name, name_));
    if (!try_lock(file.get(), main_byte, lock_kind::exclusive)) {
        const int failed = errno;
        ::unlinkat(directory_.get(), file_name.c_str(), 0);
        return system_error_of(failed, fmt::format("lock the new slot {} of space {}", name, name_));
    }
    e.generation.store(generation, std::memory_order_relaxed);
    e.bytes.store(bytes, std::memory_order_relaxed);
    e.name.store(name);
    e.state.store(entry_state::making, std::memory_order_release);
    return reservation{shared_from_this(), *place, generation, std::string{name}, bytes, std::move(file)};
}

result<void> space_state::give_up(std::string_view name) {
    if (auto there = still_there(); !there) return there.error();
    for (std::uint32_t i = 0; i < slots_; ++i) {
        table_entry& e = entry(i);
        if (e.state.load(std::memory_order_acquire) != entry_state::used || e.name.load() != name) continue;
        const std::string file_name = file_of(i, e.generation.load(std::memory_order_relaxed));
        e.state.store(entry_state::free, std::memory_order_release);
        ::unlinkat(directory_.get(), file_name.c_str(), 0);
        return {};
    }
    return error{errc::not_found, fmt::format("space {} has no slot {}", name_, name)};
}

result<std::shared_ptr<slot_state>> space_state::open_slot(std::string_view name) {
    if (auto there = still_there(); !there) return there.error();
    for (std::uint32_t i = 0; i < slots_; ++i)
        if (entry(i).state.load(std::memory_order_acquire) == entry_state::used &&
            entry(i).name.load() == name)
            return open_entry(i);
    return error{errc::not_found, fmt::format("space {} has no slot {}", name_, name)};
}

result<std::shared_ptr<slot_state>> space_state::open_entry(std::uint32_t index) {
    const table_entry& e = entry(index);
    const std::uint32_t generation = e.generation.load(std::memory_order_relaxed);
    const std::uint64_t bytes = e.bytes.load(std::memory_order_relaxed);
    std::string name = e.name.load();
    const std::string what = fmt::format("slot {} of space {}", name, name_);
    const error gone{errc::not_found, fmt::format("{} was released", what)};
    descriptor file{
        ::openat(directory_.get(), file_of(index, generation).c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW)};
    if (!file && errno == ENOENT) return gone;
    if (!file) return system_error_of(errno, what);
    if (e.state.load(std::memory_order_acquire) != entry_state::used ||
        e.generation.load(std::memory_order_relaxed) != generation)
        return gone;
    const error bad{errc::bad_message, fmt::format("{} is not what its table says; release it", what)};
    if (bytes == 0 || bytes > slot_bytes_ || bytes_of(file.get()) != slot_header_bytes + bytes) return bad;
    auto memory = map_file(file.get(), slot_header_bytes + bytes, what);
    if (!memory) return memory.error();
    const auto& h = *static_cast<const slot_header*>(memory->get_address());
    if (h.magic != slot_magic || h.version != layout_version || h.index != index || h.id != id_ ||
        h.generation != generation || h.bytes != bytes)
        return bad;
    return std::make_shared<slot_state>(shared_from_this(), index, generation, std::move(name), bytes,
                                        std::move(file), *std::move(memory));
}

std::vector<slot_report> space_state::list() {
    std::vector<slot_report> all;
    for (std::uint32_t i = 0; i < slots_; ++i) {
        if (entry(i).state.load(std::memory_order_acquire) != entry_state::used) continue;
        auto opened = open_entry(i);
        if (opened) {
            all.push_back((*opened)->report());
        } else if (!(opened.error() == errc::not_found)) {
            slot_report bad;
            bad.name = entry(i).name.load();
            bad.bytes = entry(i).bytes.load(std::memory_order_relaxed);
            bad.damaged = true;
            all.push_back(std::move(bad));
        }
    }
    return all;
}

std::shared_ptr<wakeups> space_state::bells() {
    const std::lock_guard lock{mutex_};
    if (!bells_) bells_ = wakeups::of_this_process();
    return bells_;
}

}  // namespace coppice::actors::space_parts
