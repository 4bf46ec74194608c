# Makes a C++ source of a file: cmake -DFROM=observer.html -DTO=page.cpp -P embed.cmake. As numbers, because a string literal
# may have no more than 64 KiB.
file(READ "${FROM}" hex HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" lines "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${lines}")
file(
    WRITE "${TO}"
    "// Made of actors/web/observer.html by actors/cmake/embed.cmake.
#include \"observer_page.hpp\"

namespace coppice::actors::observing {
namespace {
constexpr unsigned char page[] = {
${bytes}};
}  // namespace
std::span<const std::byte> page_bytes() noexcept { return std::as_bytes(std::span{page}); }
}  // namespace coppice::actors::observing
"
)
