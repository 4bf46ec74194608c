# coppice_warnings: the warnings that Coppice's own code is compiled with.
#
# An INTERFACE target that the targets of this project link inside $<BUILD_INTERFACE:...>. It is not exported: what
# a user wants to be warned about is the user's choice.
include_guard(GLOBAL)

set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wcast-align -Wunused -Wnull-dereference
             -Wdouble-promotion -Wformat=2 -Wimplicit-fallthrough)
set(cxx_warnings -Wnon-virtual-dtor -Woverloaded-virtual -Wold-style-cast)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    list(APPEND warnings -Wunreachable-code)
    list(APPEND cxx_warnings -Wextra-semi -Wthread-safety -Wdeprecated
                             # A designated initializer that leaves fields at their default is how specs are written here.
                             -Wno-missing-designated-field-initializers)
endif()

add_library(coppice_warnings INTERFACE)
target_compile_options(coppice_warnings INTERFACE ${warnings} "$<$<COMPILE_LANGUAGE:CXX>:${cxx_warnings}>")
if(COPPICE_WERROR)
    target_compile_options(coppice_warnings INTERFACE -Werror)
endif()
