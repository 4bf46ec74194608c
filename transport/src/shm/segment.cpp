// Creating, checking and mapping segments; see segment.hpp.
// Linux: memfd and its seals. No thread, no state beside the object.
#include "segment.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "../support/run_directory.hpp"

namespace coppice::shm {
namespace {

using detail::system_error_of;

#ifndef MFD_NOEXEC_SEAL
constexpr unsigned MFD_NOEXEC_SEAL = 8;  // Linux 6.3
#endif

constexpr int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

std::uint64_t total(ring_sizes sizes) noexcept { return header_bytes + sizes.bytes[0] + sizes.bytes[1]; }

error refused(std::string_view why) {
    return error{errc::bad_message, "shared segment refused: " + std::string{why}};
}

void* map_at(void* where, std::size_t bytes, int handle, std::uint64_t offset) noexcept {
    const int flags = MAP_SHARED | MAP_POPULATE | (where ? MAP_FIXED : 0);
    return ::mmap(where, bytes, PROT_READ | PROT_WRITE, flags, handle, static_cast<off_t>(offset));
}

}  // namespace

bool valid_ring(std::uint64_t bytes) noexcept {
    return std::has_single_bit(bytes) && bytes >= 4096 && bytes <= 64 * 1024 * 1024;
}

segment::segment(segment&& other) noexcept
    : header_{std::exchange(other.header_, nullptr)},
      data_{std::exchange(other.data_[0], nullptr), std::exchange(other.data_[1], nullptr)},
      sizes_{other.sizes_} {}

segment& segment::operator=(segment&& other) noexcept {
    if (this == &other) return *this;
    unmap();
    header_ = std::exchange(other.header_, nullptr);
    for (int i : {0, 1}) data_[i] = std::exchange(other.data_[i], nullptr);
    sizes_ = other.sizes_;
    return *this;
}

void segment::unmap() noexcept {
    if (header_) ::munmap(header_, header_bytes);
    header_ = nullptr;
    for (int i : {0, 1}) {
        if (data_[i]) ::munmap(data_[i], 2 * sizes_.bytes[i]);
        data_[i] = nullptr;
    }
}

result<void> segment::map(int handle, ring_sizes sizes) {
    const auto failed = [](std::string_view what) { return system_error_of(errno, what); };
    // A page size that does not divide the header cannot show the rings; mmap says EINVAL.
    void* page = map_at(nullptr, header_bytes, handle, 0);
    if (page == MAP_FAILED) return failed("mapping a shared segment");
    header_ = static_cast<segment_header*>(page);
    ::madvise(page, header_bytes, MADV_DONTFORK);
    sizes_ = sizes;
    std::uint64_t offset = header_bytes;
    for (int i : {0, 1}) {
        const std::size_t bytes = sizes.bytes[i];
        void* place =
            ::mmap(nullptr, 2 * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (place == MAP_FAILED) return failed("mapping a shared ring");
        data_[i] = static_cast<std::byte*>(place);
        for (int half : {0, 1})
            if (map_at(data_[i] + static_cast<std::size_t>(half) * bytes, bytes, handle, offset) ==
                MAP_FAILED)
                return failed("mapping a shared ring");
        ::madvise(place, 2 * bytes, MADV_DONTFORK);
        offset += bytes;
    }
    return {};
}

result<segment> segment::create(ring_sizes sizes, std::uint64_t nonce, descriptor& handle) {
    COPPICE_ASSERT(valid_ring(sizes.bytes[0]) && valid_ring(sizes.bytes[1]),
                   "a segment's rings have valid sizes");
    int fd = ::memfd_create("coppice-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) fd = ::memfd_create("coppice-shm", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return system_error_of(errno, "creating a shared segment");
    descriptor memory{fd};
    // Allocated now, so that a full machine is an error here and not a signal at the first touch.
    int failure = 0;
    do failure = ::posix_fallocate(fd, 0, static_cast<off_t>(total(sizes)));
    while (failure == EINTR);
    if (failure != 0) return system_error_of(failure, "allocating a shared segment");
    if (::fcntl(fd, F_ADD_SEALS, seals) != 0) return system_error_of(errno, "sealing a shared segment");
    segment made;
    if (auto mapped = made.map(fd, sizes); !mapped) return mapped.error();
    fixed_fields& fixed = (::new (static_cast<void*>(made.header_)) segment_header)->fixed;
    fixed = {.magic = magic,
             .version = version,
             .header_bytes = static_cast<std::uint32_t>(header_bytes),
             .ring_bytes = {sizes.bytes[0], sizes.bytes[1]},
             .nonce = nonce};
    handle = std::move(memory);
    return made;
}

result<segment> segment::attach(int handle, ring_sizes sizes, std::uint64_t nonce) {
    if (!valid_ring(sizes.bytes[0]) || !valid_ring(sizes.bytes[1]))
        return refused("a ring is a power of two from 4 KiB to 64 MiB");
    // The seals first: what fstat says is for good then.
    const int has = ::fcntl(handle, F_GET_SEALS);
    if (has < 0 || (has & seals) != seals) return refused("its size is not sealed");
    struct stat is{};
    if (::fstat(handle, &is) != 0) return system_error_of(errno, "looking at a shared segment");
    if (!S_ISREG(is.st_mode)) return refused("it is no memory");
    if (static_cast<std::uint64_t>(is.st_size) != total(sizes))
        return refused("its size is not that of its rings");
    // Its pages are its creator's to pay for.
    if (static_cast<std::uint64_t>(is.st_blocks) * 512 < total(sizes)) return refused("it is not allocated");
    segment made;
    if (auto mapped = made.map(handle, sizes); !mapped) {
        const error why = mapped.error();
        // Sealed against writing, or opened for reading only.
        return why == errc::denied ? refused("it cannot be written to") : why;
    }
    fixed_fields fixed;
    std::memcpy(&fixed, &made.header_->fixed, sizeof fixed);
    if (fixed.magic != magic) return refused("wrong magic");
    if (fixed.version != version)
        return error{errc::wrong_version, "shared segment of version " + std::to_string(fixed.version) +
                                              ", not " + std::to_string(version)};
    if (fixed.header_bytes != header_bytes || fixed.ring_bytes[0] != sizes.bytes[0] ||
        fixed.ring_bytes[1] != sizes.bytes[1])
        return refused("its header and its hello differ");
    if (fixed.nonce != nonce) return refused("it belongs to another connection");
    return made;
}

}  // namespace coppice::shm
