# Finds Lua 5.4 in its build as C++ and defines CoppiceLua::lua.
#
# Debian has Lua twice in liblua5.4-dev. Only the C++ build unwinds errors by exceptions, so that destructors run on the
# way; the plain one jumps over them. FindLua of CMake knows the plain one. Installed beside CoppiceConfig.cmake too.
find_path(CoppiceLua_INCLUDE_DIR lua.h PATH_SUFFIXES lua5.4)
find_library(CoppiceLua_LIBRARY NAMES lua5.4-c++)
mark_as_advanced(CoppiceLua_INCLUDE_DIR CoppiceLua_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CoppiceLua REQUIRED_VARS CoppiceLua_LIBRARY CoppiceLua_INCLUDE_DIR)
if(CoppiceLua_FOUND AND NOT TARGET CoppiceLua::lua)
    add_library(CoppiceLua::lua UNKNOWN IMPORTED)
    set_target_properties(
        CoppiceLua::lua PROPERTIES IMPORTED_LOCATION "${CoppiceLua_LIBRARY}"
                                   INTERFACE_INCLUDE_DIRECTORIES "${CoppiceLua_INCLUDE_DIR}"
    )
endif()
