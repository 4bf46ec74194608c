// The handles of users on spaces, slots and guards, and pointers into arenas; see coppice/actors/space.hpp.
// They hold the parts that do the work (space_state.hpp, space_access.hpp, space_home.hpp), and check what users and peers say
// before it is used. On the caller's thread; but memory for a large slot is got by a worker of its node.
#include "coppice/actors/space.hpp"

#include <limits>
#include <utility>

#include <fmt/format.h>

#include "space_access.hpp"
#include "space_home.hpp"
#include "space_state.hpp"

namespace coppice::actors {

namespace space_parts {
namespace {

/// Slots up to this are made where the actor runs; the kernel needs less than a millisecond to clear them.
constexpr std::uint64_t bytes_made_at_once = std::uint64_t{1} << 20;

result<void> check_slot(const space_state& in, std::string_view name, std::uint64_t bytes) {
    if (auto good = check_name("slot", name, space_name_bytes); !good) return good.error();
    if (bytes == 0)
        return error{errc::invalid_argument, fmt::format("slot {}: a slot has at least one byte", name)};
    const std::uint64_t most = std::min(in.header().slot_bytes, most_slot_bytes);
    if (bytes > most)
        return error{errc::too_large,
                     fmt::format("slot {} of {} bytes: space {} has slots of at most {} bytes "
                                 "(space_options::slot_bytes)",
                                 name, bytes, in.name(), most)};
    return {};
}

// The first half of a reservation: with the table's lock, which is free again before memory is got.
task<result<reservation>> take_within(actor<anything> self, std::shared_ptr<space_state> in, std::string name,
                                      std::uint64_t bytes, std::chrono::nanoseconds within) {
    auto lock = co_await table_within(self, in, within);
    if (!lock) co_return lock.error();
    co_return in->take_entry(name, bytes);
}

}  // namespace
}  // namespace space_parts

std::string_view to_string(slot_use use) noexcept {
    switch (use) {
    case slot_use::reading: return "reading";
    case slot_use::writing: return "writing";
    case slot_use::waiting_to_write: return "waiting_to_write";
    }
    return "unknown";
}

// ---------------------------------------------------------------- pointers

namespace space_parts {

result<std::byte*> resolve(const arena& in, const any_ptr& p, std::size_t object_bytes,
                           std::size_t alignment) {
    if (p.generation == 0) return error{errc::invalid_argument, "the slot pointer points to nothing"};
    if (!in.begin) return error{errc::invalid_argument, "the guard has been released"};
    if (p.space != in.space)
        return error{errc::invalid_argument, "the slot pointer is one into another space, or an earlier one"};
    if (p.slot != in.slot)
        return error{errc::invalid_argument,
                     fmt::format("the slot pointer is one into slot number {}, not {}", p.slot, in.slot)};
    if (p.generation != in.generation)
        return error{errc::not_found, "the slot that the pointer led into was released"};
    if (p.filling != in.filling)
        return error{errc::not_found, "the arena was emptied since the slot pointer was made"};
    if (p.object_bytes != object_bytes)
        return error{errc::bad_message,
                     fmt::format("the slot pointer leads to objects of {} bytes, not of {}", p.object_bytes,
                                 object_bytes)};
    if (p.offset % alignment != 0 || p.offset > in.used || p.count > (in.used - p.offset) / object_bytes)
        return error{
            errc::bad_message,
            fmt::format("the slot pointer leads to {} objects of {} bytes at {}: {} bytes are in use",
                        p.count, object_bytes, p.offset, in.used)};
    return in.begin + p.offset;
}

result<any_ptr> allocate(arena& in, std::uint64_t count, std::size_t object_bytes, std::size_t alignment) {
    if (!in.begin) return error{errc::invalid_argument, "the guard has been released"};
    if (count == 0) return error{errc::invalid_argument, "at least one object has to be allocated"};
    const std::uint64_t gap = (alignment - in.used % alignment) % alignment;
    const std::uint64_t left = in.bytes - in.used;
    if (gap > left || count > (left - gap) / object_bytes)
        return error{errc::limit_reached,
                     fmt::format("{} objects of {} bytes: {} of the slot's {} bytes are left", count,
                                 object_bytes, gap > left ? 0 : left - gap, in.bytes)};
    const any_ptr made{in.space,
                       in.used + gap,
                       count,
                       in.slot,
                       in.generation,
                       in.filling,
                       static_cast<std::uint32_t>(object_bytes)};
    in.used += gap + count * object_bytes;
    return made;
}

namespace {

// Bytes of objects of that size, of which there are p.count.
result<std::span<std::byte>> bytes_of_objects(const arena& in, const slot_ptr<std::byte>& p,
                                              std::uint32_t object_bytes, std::size_t alignment) {
    const std::size_t size = object_bytes == 0 ? p.object_bytes : object_bytes;
    if (size == 0 || alignment == 0 || alignment > slot_header_bytes || (alignment & (alignment - 1)) != 0)
        return error{errc::invalid_argument,
                     fmt::format("objects of {} bytes, aligned to {}: they have at least one byte, and an "
                                 "alignment that is a power of two up to {}",
                                 size, alignment, slot_header_bytes)};
    auto at = resolve(in, {p.space, p.offset, p.count, p.slot, p.generation, p.filling, p.object_bytes}, size,
                      alignment);
    if (!at) return at.error();
    return std::span<std::byte>{*at, static_cast<std::size_t>(p.count) * size};
}

}  // namespace

// ---------------------------------------------------------------- guards

template <bool writes>
guard<writes>::guard(std::unique_ptr<access> held) noexcept : held_{std::move(held)}, arena_{held_->seen} {}
template <bool writes>
guard<writes>::guard(guard&& other) noexcept
    : held_{std::move(other.held_)}, arena_{std::exchange(other.arena_, {})} {}
template <bool writes>
guard<writes>& guard<writes>::operator=(guard&& other) noexcept {
    if (this == &other) return *this;
    held_ = std::move(other.held_);
    arena_ = std::exchange(other.arena_, {});
    return *this;
}
template <bool writes>
result<std::span<typename guard<writes>::template seen<std::byte>>>
guard<writes>::objects(const slot_ptr<std::byte>& p, std::uint32_t object_bytes,
                       std::size_t alignment) const {
    auto found = bytes_of_objects(arena_, p, object_bytes, alignment);
    if (!found) return found.error();
    return std::span<seen<std::byte>>{*found};
}
template <bool writes>
guard<writes>::~guard() = default;
template <bool writes>
void guard<writes>::drop() noexcept {
    held_.reset();
    arena_ = {};
}
template class guard<false>;
template class guard<true>;

}  // namespace space_parts

write_guard& write_guard::operator=(write_guard&& other) noexcept {
    if (this == &other) return *this;
    release();
    guard::operator=(std::move(other));
    return *this;
}
write_guard::~write_guard() {
    if (held_ && held_->is_thrown()) held_.reset();  // not published: whoever comes next finds it damaged
    release();
}
void write_guard::clear() noexcept {
    arena_.used = 0;
    if (++arena_.filling == 0) arena_.filling = 1;
}
result<slot_ptr<std::byte>> write_guard::allocate_objects(std::uint64_t n, std::uint32_t object_bytes,
                                                          std::size_t alignment) {
    if (object_bytes == 0 || alignment == 0 || alignment > space_parts::slot_header_bytes ||
        (alignment & (alignment - 1)) != 0)
        return error{errc::invalid_argument,
                     fmt::format("objects of {} bytes, aligned to {}: they have at least one byte, and an "
                                 "alignment that is a power of two up to {}",
                                 object_bytes, alignment, space_parts::slot_header_bytes)};
    const auto made = space_parts::allocate(arena_, n, object_bytes, alignment);
    if (!made) return made.error();
    return slot_ptr<std::byte>{made->space,      made->offset,  made->count,       made->slot,
                               made->generation, made->filling, made->object_bytes};
}
void write_guard::abandon() noexcept {
    drop();  // not published: whoever comes next finds it damaged
}
bool write_guard::was_damaged() const noexcept { return held_ && held_->was_damaged(); }
void write_guard::release() noexcept {
    if (held_) held_->publish(arena_);
    drop();
}

// ---------------------------------------------------------------- slots

slot::slot(std::shared_ptr<space_parts::slot_state> state) noexcept : state_{std::move(state)} {}
const std::string& slot::name() const noexcept { return state_->name(); }
std::uint64_t slot::capacity() const noexcept { return state_->bytes(); }
slot_report slot::report() const { return state_->report(); }

task<result<read_guard>> slot::read_as(actor<anything> self, state of, std::chrono::nanoseconds within) {
    auto got = co_await access_within(self, std::move(of), space_parts::access::aim::read, within);
    if (!got) co_return got.error();
    co_return read_guard{*std::move(got)};
}

task<result<write_guard>> slot::write_as(actor<anything> self, state of, std::chrono::nanoseconds within,
                                         bool damaged_too) {
    const auto aim = damaged_too ? space_parts::access::aim::repair : space_parts::access::aim::write;
    auto got = co_await access_within(self, std::move(of), aim, within);
    if (!got) co_return got.error();
    co_return write_guard{*std::move(got)};
}

task<result<void>> slot::reset_as(actor<anything> self, state of, std::chrono::nanoseconds within) {
    auto got = co_await write_as(self, std::move(of), within, true);
    if (!got) co_return got.error();
    got->clear();
    co_return result<void>{};
}

result<read_guard> slot::read(const space_thread& me, std::chrono::nanoseconds within) const {
    auto got = access_here(state_, space_parts::access::aim::read, me, within);
    if (!got) return got.error();
    return read_guard{*std::move(got)};
}
result<write_guard> slot::write(const space_thread& me, std::chrono::nanoseconds within) const {
    auto got = access_here(state_, space_parts::access::aim::write, me, within);
    if (!got) return got.error();
    return write_guard{*std::move(got)};
}
result<write_guard> slot::repair(const space_thread& me, std::chrono::nanoseconds within) const {
    auto got = access_here(state_, space_parts::access::aim::repair, me, within);
    if (!got) return got.error();
    return write_guard{*std::move(got)};
}
result<void> slot::reset(const space_thread& me, std::chrono::nanoseconds within) const {
    auto got = repair(me, within);
    if (!got) return got.error();
    got->clear();
    return {};
}

result<read_guard> slot::try_read() const {
    auto got = access_now(state_, space_parts::access::aim::read);
    if (!got) return got.error();
    return read_guard{*std::move(got)};
}
result<write_guard> slot::try_write() const {
    auto got = access_now(state_, space_parts::access::aim::write);
    if (!got) return got.error();
    return write_guard{*std::move(got)};
}
result<write_guard> slot::try_repair() const {
    auto got = access_now(state_, space_parts::access::aim::repair);
    if (!got) return got.error();
    return write_guard{*std::move(got)};
}

// ---------------------------------------------------------------- spaces

space::space(state opened, std::shared_ptr<space_parts::ownership> owned) noexcept
    : state_{std::move(opened)}, owned_{std::move(owned)} {}

result<space> space::create(std::string_view name, const space_options& options) {
    state made;
    auto owned = space_parts::create_home(name, options, made);
    if (!owned) return owned.error();
    return space{std::move(made), *std::move(owned)};
}

result<space> space::open(std::string_view name, std::string_view directory) {
    auto opened = space_parts::open_home(name, directory);
    if (!opened) return opened.error();
    return space{*std::move(opened), {}};
}

const std::string& space::name() const noexcept { return state_->name(); }
std::uint32_t space::wiped() const noexcept { return owned_ ? owned_->wiped : 0; }
std::vector<slot_report> space::list() const { return state_->list(); }

result<slot> space::slot_of(result<std::shared_ptr<space_parts::slot_state>> state) {
    if (!state) return state.error();
    return slot{*std::move(state)};
}

result<slot> space::open_slot(std::string_view name) const { return slot_of(state_->open_slot(name)); }

task<result<slot>> space::reserve_as(actor<anything> self, state in, std::string name, std::uint64_t bytes,
                                     std::chrono::nanoseconds within) {
    if (auto good = space_parts::check_slot(*in, name, bytes); !good) co_return good.error();
    auto taken = co_await space_parts::take_within(self, in, name, bytes, within);
    if (!taken) co_return taken.error();
    if (bytes <= space_parts::bytes_made_at_once) co_return slot_of(taken->finish());
    auto made = co_await self.offload([&taken] { return taken->finish(); });
    co_return slot_of(std::move(made));
}

task<result<void>> space::release_as(actor<anything> self, state in, std::string name,
                                     std::chrono::nanoseconds within) {
    auto lock = co_await table_within(self, in, within);
    if (!lock) co_return lock.error();
    co_return in->give_up(name);
}

result<slot> space::reserve(const space_thread& me, std::string_view name, std::uint64_t bytes,
                            std::chrono::nanoseconds within) const {
    if (auto good = space_parts::check_slot(*state_, name, bytes); !good) return good.error();
    auto taken = [&]() -> result<space_parts::reservation> {
        auto lock = space_parts::table_here(state_, me, within);
        if (!lock) return lock.error();
        return state_->take_entry(name, bytes);
    }();
    if (!taken) return taken.error();
    return slot_of(taken->finish());
}

result<void> space::release(const space_thread& me, std::string_view name,
                            std::chrono::nanoseconds within) const {
    auto lock = space_parts::table_here(state_, me, within);
    if (!lock) return lock.error();
    return state_->give_up(name);
}

result<slot> space::try_reserve(std::string_view name, std::uint64_t bytes) const {
    if (auto good = space_parts::check_slot(*state_, name, bytes); !good) return good.error();
    auto taken = [&]() -> result<space_parts::reservation> {
        auto lock = space_parts::table_lock::begin(*state_);
        if (!lock) return lock.error();
        if (!lock->try_once()) return space_parts::table_timed_out(*state_);
        return state_->take_entry(name, bytes);
    }();
    if (!taken) return taken.error();
    return slot_of(taken->finish());
}

result<void> space::try_release(std::string_view name) const {
    auto lock = space_parts::table_lock::begin(*state_);
    if (!lock) return lock.error();
    if (!lock->try_once()) return space_parts::table_timed_out(*state_);
    return state_->give_up(name);
}

}  // namespace coppice::actors
