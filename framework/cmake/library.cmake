# How the libraries of Coppice are declared: coppice_library() and coppice_unity_build().
include_guard(GLOBAL)
include(GNUInstallDirs)

# coppice_unity_build(target): in sanitizer builds, eight of its files are compiled as one, which takes a fifth of the
# time. The plain builds see to it that each file compiles by itself.
function(coppice_unity_build target)
    if(COPPICE_SANITIZE)
        set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    endif()
endfunction()

# coppice_library(<name> SOURCES ... [PUBLIC ...] [PRIVATE ...] [FIND ...] [PKG_CONFIG ...])
#
# Declares coppice_<name>, alias Coppice::<name>, as a static library of the sources, with ./include as the public
# and ./src as the private include folder, C++20, Coppice's warnings, and rules for installing. Without sources it is
# an INTERFACE library: a folder that has only headers so far. FIND lists the find_dependency() calls and PKG_CONFIG
# the modules that a user of the installed library needs; install.cmake writes them down.
function(coppice_library name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;PUBLIC;PRIVATE;FIND;PKG_CONFIG")
    if(arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "coppice_library(${name}): unknown arguments ${arg_UNPARSED_ARGUMENTS}")
    endif()

    set(target coppice_${name})
    if(arg_SOURCES)
        add_library(${target} STATIC ${arg_SOURCES})
        set(scope PUBLIC)
        target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/src")
        target_link_libraries(${target} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:coppice_warnings>)
        set_property(GLOBAL APPEND PROPERTY COPPICE_PKG_CONFIG_LIBRARIES ${target})
        coppice_unity_build(${target})
    else()
        add_library(${target} INTERFACE)
        set(scope INTERFACE)
    endif()
    add_library(Coppice::${name} ALIAS ${target})

    target_compile_features(${target} ${scope} cxx_std_20)
    target_include_directories(
        ${target} ${scope} "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include>"
        "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>"
    )
    target_link_libraries(${target} ${scope} ${arg_PUBLIC})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})

    set_property(GLOBAL APPEND PROPERTY COPPICE_FIND_DEPENDENCIES ${arg_FIND})
    set_property(GLOBAL APPEND PROPERTY COPPICE_PKG_CONFIG_REQUIRES ${arg_PKG_CONFIG})
    set_property(GLOBAL APPEND PROPERTY COPPICE_INSTALLED_TARGETS ${target})
    if(EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/include")
        set_property(GLOBAL APPEND PROPERTY COPPICE_INCLUDE_DIRS "${CMAKE_CURRENT_SOURCE_DIR}/include")
    endif()
endfunction()
