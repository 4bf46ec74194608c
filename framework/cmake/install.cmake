# Installing: libraries, headers, the CMake package "Coppice" and the pkg-config modules "coppice", "coppice-c", "coppice-c-static".
#
# Both packages are relocatable: they find the prefix from where they lie. The compiler self-test is installed too, so
# that find_package(Coppice) refuses a compiler that would miscompile the user's own coroutines.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/Coppice")
get_property(targets GLOBAL PROPERTY COPPICE_INSTALLED_TARGETS)
get_property(include_dirs GLOBAL PROPERTY COPPICE_INCLUDE_DIRS)

install(TARGETS ${targets} coppice EXPORT CoppiceTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT CoppiceTargets NAMESPACE Coppice:: DESTINATION "${package_dir}")
foreach(dir IN LISTS include_dirs)
    install(DIRECTORY "${dir}/" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.hpp" PATTERN "*.h")
endforeach()
install(FILES "${PROJECT_SOURCE_DIR}/framework/cmake/compiler_self_test.cmake"
              "${PROJECT_SOURCE_DIR}/framework/cmake/generate.cmake"
              "${PROJECT_SOURCE_DIR}/framework/cmake/FindCoppiceLua.cmake" DESTINATION "${package_dir}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/framework/cmake/self_test" DESTINATION "${package_dir}")

# The CMake package.
get_property(dependencies GLOBAL PROPERTY COPPICE_FIND_DEPENDENCIES)
list(REMOVE_DUPLICATES dependencies)
list(TRANSFORM dependencies PREPEND "find_dependency(")
list(TRANSFORM dependencies APPEND ")")
list(JOIN dependencies "\n" COPPICE_FIND_DEPENDENCY_CALLS)
configure_package_config_file(
    "${CMAKE_CURRENT_LIST_DIR}/CoppiceConfig.cmake.in" "${PROJECT_BINARY_DIR}/package/CoppiceConfig.cmake"
    INSTALL_DESTINATION "${package_dir}" PATH_VARS CMAKE_INSTALL_INCLUDEDIR
)
# Before 1.0 a minor version may break the interface.
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/package/CoppiceConfigVersion.cmake" COMPATIBILITY SameMinorVersion
)
install(FILES "${PROJECT_BINARY_DIR}/package/CoppiceConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/CoppiceConfigVersion.cmake" DESTINATION "${package_dir}")

# The pkg-config module. The libraries are static, so what they need is needed by every user: Requires, not
# Requires.private. Users come before what they use on the linker's command line, which is the reverse of the order
# in which the libraries were declared.
get_property(libraries GLOBAL PROPERTY COPPICE_PKG_CONFIG_LIBRARIES)
get_property(requires GLOBAL PROPERTY COPPICE_PKG_CONFIG_REQUIRES)
list(REMOVE_DUPLICATES requires)
list(JOIN requires ", " COPPICE_PC_REQUIRES)
list(REVERSE libraries)
list(TRANSFORM libraries PREPEND "-l")
list(JOIN libraries " " COPPICE_PC_LIBS)
set(flags ${COPPICE_SANITIZER_FLAGS})
list(TRANSFORM COPPICE_SANITIZER_DEFINITIONS PREPEND "-D" OUTPUT_VARIABLE definitions)
list(JOIN flags " " COPPICE_PC_LINK_FLAGS)
list(APPEND flags ${definitions})
list(JOIN flags " " COPPICE_PC_COMPILE_FLAGS)

# "${pcfiledir}/../.." for lib/pkgconfig; one more level where the library folder has one more.
set(COPPICE_PC_PREFIX "${CMAKE_INSTALL_PREFIX}")
set(COPPICE_PC_LIBDIR "${CMAKE_INSTALL_FULL_LIBDIR}")
set(COPPICE_PC_INCLUDEDIR "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}" AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
    file(RELATIVE_PATH up "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
    string(REGEX REPLACE "/$" "" up "${up}")
    set(COPPICE_PC_PREFIX "\${pcfiledir}/${up}")
    set(COPPICE_PC_LIBDIR "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
    set(COPPICE_PC_INCLUDEDIR "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/coppice.pc.in" "${PROJECT_BINARY_DIR}/package/coppice.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/package/coppice.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

# The C interface: its two libraries, its header, and a pkg-config module for each. A C compiler that links the static one needs
# to be told of the C++ runtime.
# The shared one is a set of its own: a project without C++ can take it, and nothing else.
install(TARGETS coppice_c_static EXPORT CoppiceTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS coppice_c EXPORT CoppiceCTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT CoppiceCTargets NAMESPACE Coppice:: DESTINATION "${package_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/framework/capi/coppice.h" "${PROJECT_SOURCE_DIR}/framework/capi/coppice_space.h"
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
)
function(install_c_module name kind libs requires)
    set(COPPICE_PC_NAME "${name}")
    set(COPPICE_PC_LIBRARY_KIND "${kind}")
    set(COPPICE_PC_C_LIBS "${libs}")
    set(COPPICE_PC_C_REQUIRES "${requires}")
    configure_file("${PROJECT_SOURCE_DIR}/framework/cmake/coppice-c.pc.in" "${PROJECT_BINARY_DIR}/package/${name}.pc" @ONLY)
    install(FILES "${PROJECT_BINARY_DIR}/package/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endfunction()
install_c_module(coppice-c "the shared library" "-lcoppice" "")
install_c_module(
    coppice-c-static "the static library" "-l:libcoppice.a ${COPPICE_PC_LIBS} -pthread -lstdc++ -lm"
    "${COPPICE_PC_REQUIRES}"
)
