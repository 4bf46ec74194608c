// Loaded images and their parts, by dl_iterate_phdr; see image.hpp.
// No state; any thread.
#include "process/image.hpp"

#include <link.h>

#include <cstring>
#include <functional>
#include <span>

#include "hexadecimal.hpp"

namespace coppice::detail {

namespace {

using visitor = std::function<bool(const dl_phdr_info&, bool is_program)>;

// Calls f for each image, the program first, until it says true.
void each_image(const visitor& f) {
    struct state {
        const visitor& f;
        bool first = true;
    } walk{f};
    ::dl_iterate_phdr(
        [](dl_phdr_info* image, std::size_t, void* data) {
            auto& s = *static_cast<state*>(data);
            return s.f(*image, std::exchange(s.first, false)) ? 1 : 0;
        },
        &walk);
}

bool holds_code(const dl_phdr_info& image, std::uint64_t offset) noexcept {
    for (int i = 0; i < image.dlpi_phnum; ++i) {
        const ElfW(Phdr)& part = image.dlpi_phdr[i];
        if (part.p_type == PT_LOAD && (part.p_flags & PF_X) && offset >= part.p_vaddr &&
            offset - part.p_vaddr < part.p_memsz)
            return true;
    }
    return false;
}

std::string build_of(const dl_phdr_info& image) {
    constexpr std::uint32_t build_id_note = 3;  // NT_GNU_BUILD_ID, elf(5)
    for (int i = 0; i < image.dlpi_phnum; ++i) {
        const ElfW(Phdr)& part = image.dlpi_phdr[i];
        if (part.p_type != PT_NOTE) continue;
        const auto* at = reinterpret_cast<const unsigned char*>(image.dlpi_addr + part.p_vaddr);
        const auto* end = at + part.p_memsz;
        while (static_cast<std::size_t>(end - at) >= sizeof(ElfW(Nhdr))) {
            ElfW(Nhdr) note;
            std::memcpy(&note, at, sizeof note);
            const std::size_t name = (std::size_t{note.n_namesz} + 3) & ~std::size_t{3};
            const std::size_t text = (std::size_t{note.n_descsz} + 3) & ~std::size_t{3};
            at += sizeof note;
            if (static_cast<std::size_t>(end - at) < name + text) break;
            if (note.n_type == build_id_note && note.n_namesz == 4 && std::memcmp(at, "GNU", 4) == 0) {
                return detail::hexadecimal(std::as_bytes(std::span{at + name, note.n_descsz}));
            }
            at += name + text;
        }
    }
    return {};
}

}  // namespace

result<code_place> place_of(const void* code) {
    const auto address = reinterpret_cast<std::uint64_t>(code);
    result<code_place> found =
        error{errc::not_portable, "a function that is in no loaded program or library"};
    each_image([&](const dl_phdr_info& image, bool is_program) {
        const std::uint64_t offset = address - image.dlpi_addr;
        if (!holds_code(image, offset)) return false;
        found =
            code_place{is_program ? std::string{} : std::string{image.dlpi_name}, build_of(image), offset};
        return true;
    });
    return found;
}

result<const void*> code_at(const code_place& place) {
    result<const void*> found =
        error{errc::not_found, "the library " + place.image + " is not loaded in this process"};
    each_image([&](const dl_phdr_info& image, bool is_program) {
        if (is_program ? !place.image.empty() : place.image != image.dlpi_name) return false;
        if (build_of(image) != place.build)
            found = error{errc::wrong_version, (is_program ? std::string{"the program"} : place.image) +
                                                   " was built anew since its parent was started"};
        else if (!holds_code(image, place.offset))
            found = error{errc::bad_message, "a start that names no code"};
        else found = reinterpret_cast<const void*>(image.dlpi_addr + place.offset);
        return true;
    });
    return found;
}

}  // namespace coppice::detail
