// The files of the observer's page, as they stand in actors/web: bytes that actors/cmake/embed.cmake makes a source file of
// when the library is built, so that a program needs no files beside it. Constant; any thread.
#pragma once
#include <cstddef>
#include <span>

namespace coppice::actors::observing {

struct page_file {
    const char* path;  ///< at the port: "/", "/observer/app.js"
    const char* type;
    std::span<const std::byte> bytes;
};
[[nodiscard]] std::span<const page_file> page_files() noexcept;

}  // namespace coppice::actors::observing
