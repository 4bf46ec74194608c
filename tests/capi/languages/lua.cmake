# Lua 5.4, with a module in C.
find_program(COPPICE_LUA NAMES lua5.4 DOC "Lua 5.4, for the tests of its binding")
find_path(COPPICE_LUA_INCLUDE lua.h PATH_SUFFIXES lua5.4 lua-5.4 DOC "The headers of Lua 5.4")
set(missing "")
set(modules "")
if(NOT COPPICE_LUA)
    set(missing "Lua 5.4 is not installed: tools/setup --languages lua")
elseif(NOT COPPICE_LUA_INCLUDE)
    set(missing "The headers of Lua 5.4 are not installed: tools/setup --languages lua")
else()
    file(GLOB lua_sources CONFIGURE_DEPENDS "${bindings}/lua/src/*.c")
    add_library(coppice_lua MODULE ${lua_sources})
    set_target_properties(coppice_lua PROPERTIES OUTPUT_NAME coppice)
    target_link_libraries(coppice_lua PRIVATE Coppice::c)
    target_link_options(coppice_lua PRIVATE LINKER:-z,nodelete)
    find_package(Threads REQUIRED)
    add_library(coppice_lua_helpers MODULE "${bindings}/lua/tests/helpers.c")
    set_target_properties(coppice_lua_helpers PROPERTIES OUTPUT_NAME helpers)
    target_link_libraries(coppice_lua_helpers PRIVATE Threads::Threads)
    set(modules coppice_lua coppice_lua_helpers)
    set_target_properties(
        ${modules} PROPERTIES PREFIX "" SUFFIX ".so" LIBRARY_OUTPUT_DIRECTORY "${CMAKE_CURRENT_BINARY_DIR}/lua"
                              C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    )
    foreach(module IN LISTS modules)
        target_include_directories(${module} SYSTEM PRIVATE "${COPPICE_LUA_INCLUDE}")
        target_compile_definitions(${module} PRIVATE _POSIX_C_SOURCE=200809L)
        target_compile_options(${module} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Werror)
    endforeach()
endif()
coppice_language(
    Lua
    MISSING "${missing}"
    CHILD "${COPPICE_LUA}" "${bindings}/lua/tests/child.lua"
    ECHO "${COPPICE_LUA}" "${bindings}/lua/examples/echo.lua"
    ENVIRONMENT "LUA_CPATH=${CMAKE_CURRENT_BINARY_DIR}/lua/?.so"
    FAILURE "no flour"
    DEPENDS ${modules}
)
coppice_language_test(
    lua
    MISSING "${missing}"
    COMMAND "${COPPICE_LUA}" "${bindings}/lua/tests/coppice_test.lua"
    ENVIRONMENT "LUA_CPATH=${CMAKE_CURRENT_BINARY_DIR}/lua/?.so"
    DEPENDS ${modules}
)
