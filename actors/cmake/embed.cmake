# Makes one C++ source of the files of the observer's page: cmake -DFROM=web -DTO=page.cpp -P embed.cmake. As numbers, because a
# string literal may have no more than 64 KiB.
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")

file(GLOB files RELATIVE "${FROM}" "${FROM}/observer.html" "${FROM}/observer/*")
set(number 0)
set(arrays "")
set(rows "")
foreach(name IN LISTS files)
    file(READ "${FROM}/${name}" hex HEX)
    string(REGEX REPLACE "(................................................................)" "\\1\n" lines "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${lines}")
    string(APPEND arrays "// ${name}\nconstexpr unsigned char file_${number}[] = {\n${bytes}};\n")
    string(REGEX REPLACE ".*\\." "" ending "${name}")
    if(NOT DEFINED type_${ending})
        message(FATAL_ERROR "Coppice: ${name}: of which media type are files that end with .${ending}?")
    endif()
    set(path "/${name}")
    if(name STREQUAL "observer.html")
        set(path "/")
    endif()
    string(APPEND rows "    {\"${path}\", \"${type_${ending}}\", std::as_bytes(std::span{file_${number}})},\n")
    math(EXPR number "${number} + 1")
endforeach()
file(
    WRITE "${TO}"
    "// Made of actors/web by actors/cmake/embed.cmake.
#include \"observer_page.hpp\"

namespace coppice::actors::observing {
namespace {
${arrays}
const page_file all_page_files[] = {
${rows}};
}  // namespace
std::span<const page_file> page_files() noexcept { return all_page_files; }
}  // namespace coppice::actors::observing
"
)
