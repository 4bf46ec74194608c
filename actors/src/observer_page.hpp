// The observer's page, as it stands in actors/web/observer.html: bytes that actors/cmake/embed.cmake makes a source file of
// when the library is built, so that a program needs no files beside it. Constant; any thread.
#pragma once
#include <cstddef>
#include <span>

namespace coppice::actors::observing {

[[nodiscard]] std::span<const std::byte> page_bytes() noexcept;

}  // namespace coppice::actors::observing
