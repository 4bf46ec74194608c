// Making and finding the directories of spaces; see space_home.hpp.
//
//     create:  mkdir NAME.space ──► flock it ──► still the one of that name? ──► write control.new, lock it, rename it to control
//     sweep:   each *.space ──► flock it? no: it has an owner ──► still the one of that name? ──► remove what is in it, and it
//
// The lock on the directory is the right to remove it, so two that create, or sweep, at once cannot take each other's.
#include "space_home.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include <fmt/format.h>

namespace coppice::actors::space_parts {

namespace {

constexpr std::string_view ending = ".space";
constexpr const char* control_name = "control";
constexpr const char* new_control_name = "control.new";
/// How often create() tries, a millisecond apart, while another process makes or wipes the same directory.
constexpr int most_tries = 100;

std::string directory_of(std::string_view name) { return fmt::format("{}{}", name, ending); }

descriptor open_directory(int at, const std::string& name) {
    return descriptor{::openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
}
descriptor open_file(int at, const char* name) {
    return descriptor{::openat(at, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC)};
}

std::vector<std::string> names_in(int directory) {
    std::vector<std::string> names;
    const int again = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* open = again < 0 ? nullptr : ::fdopendir(again);
    if (!open) {
        if (again >= 0) ::close(again);
        return names;
    }
    while (const dirent* entry = ::readdir(open))
        if (const std::string_view one = entry->d_name; one != "." && one != "..") names.emplace_back(one);
    ::closedir(open);
    return names;
}

// The directory is still the one of that name, and not one that its owner has removed meanwhile.
bool is_named(int base, const std::string& name, int directory) {
    struct stat by_name{};
    struct stat opened{};
    return ::fstatat(base, name.c_str(), &by_name, AT_SYMLINK_NOFOLLOW) == 0 &&
           ::fstat(directory, &opened) == 0 && by_name.st_dev == opened.st_dev &&
           by_name.st_ino == opened.st_ino;
}

// By who has its lock. What is no file of a space stays, and so does the directory then.
void take_down(int base, const std::string& name, int directory) noexcept {
    for (const std::string& file : names_in(directory))
        if (file == control_name || file == new_control_name || file.starts_with("slot-"))
            ::unlinkat(directory, file.c_str(), 0);
    ::unlinkat(base, name.c_str(), AT_REMOVEDIR);
}

std::uint32_t sweep(int base) {
    std::uint32_t wiped = 0;
    for (const std::string& name : names_in(base)) {
        if (!name.ends_with(ending)) continue;
        const descriptor directory = open_directory(base, name);
        if (!directory || ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0) continue;
        if (!is_named(base, name, directory.get())) continue;
        if (open_file(directory.get(), control_name)) ++wiped;
        take_down(base, name, directory.get());
    }
    return wiped;
}

std::uint64_t new_id() {
    std::uint64_t id = 0;
    while (id == 0)
        if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
    return id;
}

std::uint64_t table_bytes(std::uint32_t slots) {
    return sizeof(table_header) + std::uint64_t{slots} * sizeof(table_entry);
}

// Of a table that somebody else wrote: the number of its slots if it can be read.
result<std::uint32_t> slots_of(int control, const std::string& what) {
    table_header h{};
    if (::pread(control, static_cast<void*>(&h), sizeof h, 0) != static_cast<ssize_t>(sizeof h) ||
        h.magic != table_magic)
        return error{errc::bad_message, fmt::format("{}: its table is damaged", what)};
    if (h.version != layout_version)
        return error{errc::wrong_version,
                     fmt::format("{} was made by a release with layout {}, this one has {}", what, h.version,
                                 layout_version)};
    if (h.slots == 0 || h.slots > most_slots || h.id == 0 || bytes_of(control) != table_bytes(h.slots))
        return error{errc::bad_message, fmt::format("{}: its table is damaged", what)};
    return h.slots;
}

result<std::shared_ptr<space_state>> open_at(int base, std::string_view name) {
    const std::string what = fmt::format("space {}", name);
    descriptor directory = open_directory(base, directory_of(name));
    descriptor control = directory ? open_file(directory.get(), control_name) : descriptor{};
    if (!control && errno != ENOENT) return system_error_of(errno, what);
    if (!control) return error{errc::not_found, fmt::format("there is no {}", what)};
    auto slots = slots_of(control.get(), what);
    if (!slots) return slots.error();
    auto memory = map_file(control.get(), table_bytes(*slots), what);
    if (!memory) return memory.error();
    auto opened = std::make_shared<space_state>(std::string{name}, std::move(directory), std::move(control),
                                                *std::move(memory));
    if (auto there = opened->still_there(); !there)
        return there.error() == errc::closed ? error{errc::not_found, std::string{there.error().text()}}
                                             : there.error();
    return opened;
}

error taken_by(const space_state& other) {
    return {errc::name_taken,
            fmt::format("space {} is owned by {}[{}], which lives; end that, or choose another name",
                        other.name(), other.header().owner.load(), other.header().owner_pid)};
}

// In the directory that this process has locked. Gives the locked control.
result<descriptor> write_control(int directory, const space_options& options) {
    const std::string what = "make the table of a space";
    ::unlinkat(directory, new_control_name, 0);
    descriptor file{::openat(directory, new_control_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                             S_IRUSR | S_IWUSR)};
    if (!file) return system_error_of(errno, what);
    const std::uint64_t bytes = table_bytes(options.slots);
    if (const int failed = ::posix_fallocate(file.get(), 0, static_cast<off_t>(bytes)))
        return system_error_of(failed, what);
    if (!try_lock(file.get(), owner_byte, lock_kind::exclusive)) return system_error_of(errno, what);
    auto memory = map_file(file.get(), bytes, what);
    if (!memory) return memory.error();
    auto& h = *static_cast<table_header*>(memory->get_address());
    h.magic = table_magic;
    h.version = layout_version;
    h.slots = options.slots;
    h.id = new_id();
    h.slot_bytes = options.slot_bytes;
    h.total_bytes = options.total_bytes;
    h.owner_pid = this_process().pid;
    h.owner_start = this_process().start;
    h.owner.store(options.owner);
    if (::renameat(directory, new_control_name, directory, control_name) != 0)
        return system_error_of(errno, what);
    return file;
}

result<void> check(const space_options& o) {
    const auto wrong = [](std::string text) { return error{errc::invalid_argument, std::move(text)}; };
    if (o.slots == 0 || o.slots > most_slots)
        return wrong(fmt::format("a space has 1 to {} slots, not {}", most_slots, o.slots));
    if (o.slot_bytes == 0 || o.slot_bytes > most_slot_bytes)
        return wrong(
            fmt::format("space_options::slot_bytes is 1 to {}, not {}", most_slot_bytes, o.slot_bytes));
    if (o.total_bytes == 0) return wrong("space_options::total_bytes is at least 1");
    return {};
}

// One try to have the directory of that name, locked. Empty: another process is about to make or to wipe it.
result<std::optional<descriptor>> claim(int base, std::string_view name) {
    using maybe = std::optional<descriptor>;
    const std::string directory_name = directory_of(name);
    if (::mkdirat(base, directory_name.c_str(), S_IRWXU) != 0) {
        if (errno == ENOENT) return maybe{};
        if (errno != EEXIST) return system_error_of(errno, fmt::format("space {}", name));
        auto other = open_at(base, name);
        if (other) return taken_by(**other);
        if (other.error() == errc::wrong_version) return other.error();
    }
    descriptor directory = open_directory(base, directory_name);
    if (!directory || ::flock(directory.get(), LOCK_EX | LOCK_NB) != 0 ||
        !is_named(base, directory_name, directory.get()))
        return maybe{};
    return maybe{std::move(directory)};
}

}  // namespace

ownership::ownership(std::string base, std::shared_ptr<space_state> of, descriptor directory,
                     descriptor alive) noexcept
    : base_{std::move(base)},
      of_{std::move(of)},
      directory_{std::move(directory)},
      alive_{std::move(alive)} {}

ownership::~ownership() {
    of_->header().closed.store(1, std::memory_order_release);
    const descriptor base{::open(base_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (base) take_down(base.get(), directory_of(of_->name()), directory_.get());
    leave_base_directory(base_);
}

result<std::shared_ptr<ownership>> create_home(std::string_view name, const space_options& options,
                                               std::shared_ptr<space_state>& made) {
    if (auto good = check_name("space", name, space_name_bytes); !good) return good.error();
    if (auto good = check(options); !good) return good.error();
    std::uint32_t wiped = 0;
    for (int tries = 0; tries < most_tries; ++tries) {
        if (tries > 0) ::poll(nullptr, 0, 1);
        const auto where = base_directory(options.directory);
        if (!where) return where.error();
        const descriptor base{::open(where->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (!base) continue;
        wiped += sweep(base.get());
        auto directory = claim(base.get(), name);
        if (!directory) return directory.error();
        if (!*directory) continue;
        auto alive = write_control((**directory).get(), options);
        auto opened = alive ? open_at(base.get(), name) : result<std::shared_ptr<space_state>>{alive.error()};
        if (!opened) {
            take_down(base.get(), directory_of(name), (**directory).get());
            return opened.error();
        }
        made = *opened;
        auto owned = std::make_shared<ownership>(*where, *std::move(opened), *std::move(*directory),
                                                 *std::move(alive));
        owned->wiped = wiped;
        return owned;
    }
    return error{
        errc::name_taken,
        fmt::format("space {}: another process makes or wipes it and does not get done; what is in its "
                    "directory may be somebody's own files",
                    name)};
}

result<std::shared_ptr<space_state>> open_home(std::string_view name, std::string_view directory) {
    if (auto good = check_name("space", name, space_name_bytes); !good) return good.error();
    const auto where = base_directory(directory);
    if (!where) return where.error();
    const descriptor base{::open(where->c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!base) return system_error_of(errno, fmt::format("space {}", name));
    return open_at(base.get(), name);
}

}  // namespace coppice::actors::space_parts
