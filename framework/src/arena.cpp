// Making, dividing and mapping arenas; see arena.hpp. Linux: memfd and its seals.
// The pages of an arena cannot be given back to the system once it is sealed against being written by others, so it keeps
// what it ever needed.
#include "arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "coppice/options.hpp"
#include "coppice/transport.hpp"
#include "process_state.hpp"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // Linux 5.1
#endif

namespace coppice::detail {

namespace {

#ifndef MFD_NOEXEC_SEAL
constexpr unsigned MFD_NOEXEC_SEAL = 8;  // Linux 6.3
#endif

constexpr int size_seals = F_SEAL_SHRINK | F_SEAL_GROW;
constexpr std::size_t growth_step = std::size_t{1} << 20;  // bytes that are allocated at a time

error failed(const char* what) {
    const int number = errno;
    const bool limit = number == ENOSPC || number == ENOMEM || number == EMFILE || number == ENFILE;
    return {limit ? errc::limit_reached : errc::io, std::string{what} + ": " + std::strerror(number)};
}

error refused(const char* why) {
    return {errc::bad_message, std::string{"memory to be lent from is refused: "} + why};
}

}  // namespace

std::atomic<arena*> arena::own_{nullptr};

result<std::unique_ptr<arena>> arena::create(std::size_t bytes) {
    std::unique_ptr<arena> made{new arena};
    made->size_ = (bytes + page - 1) / page * page + page;
    made->fd_ = ::memfd_create("coppice-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (made->fd_ < 0 && errno == EINVAL)
        made->fd_ = ::memfd_create("coppice-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (made->fd_ < 0) return failed("creating memory to lend from");
    if (::ftruncate(made->fd_, static_cast<off_t>(made->size_)) != 0)
        return failed("sizing memory to lend from");
    void* at = ::mmap(nullptr, made->size_, PROT_READ | PROT_WRITE, MAP_SHARED, made->fd_, 0);
    if (at == MAP_FAILED) return failed("mapping memory to lend from");
    made->memory_ = static_cast<std::byte*>(at);
    if (!made->allocate(page)) return failed("allocating memory to lend from");
    // Whoever gets the descriptor reads; and may rely on the size.
    if (::fcntl(made->fd_, F_ADD_SEALS, size_seals | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) != 0)
        return failed("sealing memory to lend from");
    do
        if (::getrandom(&made->id_, sizeof made->id_, 0) != static_cast<ssize_t>(sizeof made->id_))
            return failed("drawing a random number");
    while (made->id_ == 0);
    arena_header header;
    header.size = made->size_;
    header.id = made->id_;
    std::memcpy(made->memory_, &header, sizeof header);
    made->free_.emplace(page, made->size_ / page - 1);
    return made;
}

arena::~arena() {
    if (memory_) ::munmap(memory_, size_);
    if (fd_ >= 0) ::close(fd_);
}

arena* arena::open() noexcept {
    static arena* const one = [] {
        auto made = create(limits::arena);
        if (made) own_.store(made->release(), std::memory_order_release);
        return opened();
    }();
    return one;
}

bool arena::allocate(std::uint64_t until) noexcept {
    if (until <= allocated_) return true;
    const std::uint64_t goal =
        until == page ? page
                      : std::min<std::uint64_t>((until + growth_step - 1) / growth_step * growth_step, size_);
    int failure = 0;
    do
        failure =
            ::posix_fallocate(fd_, static_cast<off_t>(allocated_), static_cast<off_t>(goal - allocated_));
    while (failure == EINTR);
    errno = failure;
    if (failure == 0) allocated_ = goal;
    return failure == 0;
}

std::shared_ptr<std::byte> arena::take(std::size_t bytes) noexcept {
    const std::size_t pages = (bytes + page - 1) / page;
    std::vector<blob> left;  // dropped after the lock: they come back here
    try {
        std::unique_lock lock{mutex_};
        std::uint64_t offset = find(pages);
        if (offset == 0 && !kept_.empty()) {
            std::erase_if(kept_, [&](kept& k) {
                if (!process_ended(k.process)) return false;
                std::move(k.blobs.begin(), k.blobs.end(), std::back_inserter(left));
                return true;
            });
            lock.unlock();
            left.clear();
            lock.lock();
            offset = find(pages);
        }
        if (offset == 0) return nullptr;
        if (!allocate(offset + pages * page)) {
            free_.emplace(offset, pages);
            join_all();
            return nullptr;
        }
        used_ += pages;
        lock.unlock();
        return {memory_ + offset, [this, offset, pages](std::byte*) { give(offset, pages); }};
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

// 0: there is no room. With the lock.
std::uint64_t arena::find(std::size_t pages) {
    if (const auto same = returned_.find(pages); same != returned_.end() && !same->second.empty()) {
        const std::uint64_t offset = same->second.back();
        same->second.pop_back();
        return offset;
    }
    for (const bool joined : {false, true}) {
        if (joined) join_all();
        // The lowest that is large enough, so that the end stays untouched for long.
        const auto fits =
            std::find_if(free_.begin(), free_.end(), [=](const auto& f) { return f.second >= pages; });
        if (fits == free_.end()) continue;
        const auto [offset, all] = *fits;
        free_.erase(fits);
        if (all > pages) free_.emplace(offset + pages * page, all - pages);
        return offset;
    }
    return 0;
}

void arena::join_all() {
    for (auto& [pages, offsets] : returned_)
        for (const std::uint64_t offset : offsets) free_.emplace(offset, pages);
    returned_.clear();
    for (auto at = free_.begin(); at != free_.end();) {
        const auto next = std::next(at);
        if (next != free_.end() && at->first + at->second * page == next->first) {
            at->second += next->second;
            free_.erase(next);
        } else {
            at = next;
        }
    }
}

void arena::give(std::uint64_t offset, std::size_t pages) noexcept {
    const std::lock_guard lock{mutex_};
    used_ -= pages;
    try {
        returned_[pages].push_back(offset);
    } catch (const std::bad_alloc&) {
        // No memory to note that there is some: these pages are not used again.
    }
}

bool arena::holds(std::span<const std::byte> bytes, std::uint64_t& offset) const noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(bytes.data());
    const auto begin = reinterpret_cast<std::uintptr_t>(memory_);
    if (at < begin + page || at >= begin + size_ || bytes.size() > size_ - (at - begin)) return false;
    offset = at - begin;
    return true;
}

void arena::keep_while_alive(std::uint32_t process, std::vector<blob> blobs) {
    if (blobs.empty()) return;
    const std::lock_guard lock{mutex_};
    kept_.push_back({process, std::move(blobs)});
}

std::size_t arena::used() noexcept {
    const std::lock_guard lock{mutex_};
    return used_ * page;
}

// ---------------------------------------------------------------- another process's

result<std::shared_ptr<const mapped_arena>> mapped_arena::map(int descriptor) {
    // The seals first: what fstat says is for good then, and no read can meet the end.
    const int has = ::fcntl(descriptor, F_GET_SEALS);
    if (has < 0 || (has & size_seals) != size_seals) return refused("its size is not sealed");
    struct stat is{};
    if (::fstat(descriptor, &is) != 0) return failed("looking at memory to be lent from");
    const auto size = static_cast<std::uint64_t>(is.st_size);
    if (!S_ISREG(is.st_mode)) return refused("it is no memory");
    if (size < 2 * arena::page || size % arena::page != 0) return refused("it is no number of pages");
    if (size > limits::arena_largest + arena::page) return refused("it is larger than limits::arena_largest");
    std::shared_ptr<mapped_arena> made{new mapped_arena};
    void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (at == MAP_FAILED) return failed("mapping memory to be lent from");
    made->memory_ = static_cast<const std::byte*>(at);
    made->size_ = size;
    arena_header header;
    std::memcpy(&header, made->memory_, sizeof header);
    if (header.magic != arena_header::its_magic) return refused("wrong magic");
    if (header.version != 1 || header.header_bytes != arena::page) return refused("it has another layout");
    if (header.size != size || header.id == 0) return refused("its header does not fit it");
    made->id_ = header.id;
    return std::shared_ptr<const mapped_arena>{std::move(made)};
}

mapped_arena::~mapped_arena() {
    if (memory_) ::munmap(const_cast<std::byte*>(memory_), size_);
}

std::span<const std::byte> mapped_arena::bytes(std::uint64_t offset, std::uint64_t size) const noexcept {
    if (offset < arena::page || offset >= size_ || size > size_ - offset) return {};
    return {memory_ + offset, static_cast<std::size_t>(size)};
}

}  // namespace coppice::detail

namespace coppice {

int lending_memory() noexcept {
    const detail::arena* own = detail::arena::open();
    return own ? own->descriptor() : -1;
}

}  // namespace coppice
