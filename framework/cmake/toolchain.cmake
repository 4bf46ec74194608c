# Language level, linker, compiler cache: what holds for every target when Coppice is the top-level project.
#
# A project that pulls Coppice in with add_subdirectory keeps its own choices of linker and cache; it only gets
# the language level that the targets themselves require (cxx_std_20, see library.cmake).
include_guard(GLOBAL)
include(CheckLinkerFlag)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# The static libraries end up in shared objects too: the C API, the language bindings.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT PROJECT_IS_TOP_LEVEL)
    return()
endif()

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# lld halves the link time of the test executables.
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    check_linker_flag(CXX -fuse-ld=lld COPPICE_HAVE_LLD)
    if(COPPICE_HAVE_LLD)
        add_link_options(-fuse-ld=lld)
    endif()
    # Ninja captures the output, so the compiler cannot see that a terminal shows it in the end.
    add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fcolor-diagnostics>)
endif()

find_program(COPPICE_CCACHE ccache DOC "Compiler cache; used when found")
if(COPPICE_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
    # What ccache must not look at to know a precompiled header again: its time, and that of the compilation.
    set(CMAKE_CXX_COMPILER_LAUNCHER
        "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${COPPICE_CCACHE}"
    )
    set(CMAKE_C_COMPILER_LAUNCHER "${COPPICE_CCACHE}")
endif()

if(COPPICE_CLANG_TIDY)
    find_program(COPPICE_CLANG_TIDY_PROGRAM NAMES clang-tidy-19 clang-tidy REQUIRED)
    set(CMAKE_CXX_CLANG_TIDY "${COPPICE_CLANG_TIDY_PROGRAM};--quiet")
endif()
