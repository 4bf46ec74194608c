# The packages that Coppice is built on, all from Debian 12.
#
# coppice_require(package debian_package [find_package arguments...]) is find_package(... REQUIRED), except that what
# is missing is named together with the one command that installs it. A folder that needs a package of its own
# (a transport: NATS) calls it in its own CMakeLists.txt.
include_guard(GLOBAL)

# A macro, so that the variables and targets of the package arrive in the caller's scope.
macro(coppice_require package debian_package)
    find_package(${package} ${ARGN} QUIET)
    if(NOT ${package}_FOUND)
        string(JOIN " " _coppice_wanted ${package} ${ARGN})
        message(
            FATAL_ERROR
            "Coppice: package \"${_coppice_wanted}\" was not found (Debian package ${debian_package}).\n"
            "Run tools/setup, which installs everything that the build needs, or: apt-get install ${debian_package}"
        )
    endif()
endmacro()

coppice_require(Threads g++)
coppice_require(fmt libfmt-dev CONFIG)
coppice_require(spdlog libspdlog-dev CONFIG)
# Debian has several Boosts; the version is part of the package's name. Only headers are used: Asio, PFR, Interprocess.
coppice_require(Boost libboost1.81-dev 1.81 CONFIG COMPONENTS headers)
# libcrypto only: the handshake's HMAC. Transports with TLS use libssl from the same package.
coppice_require(OpenSSL libssl-dev 3.0)
# The library; its schema compiler is looked for in schemas.cmake. project() lists C for its sake.
coppice_require(CapnProto libcapnp-dev CONFIG)
# Deployment files. Its headers alone are used, in one source file: an installed Coppice needs nothing of it.
coppice_require(tomlplusplus libtomlplusplus-dev CONFIG)
# Scripts (coppice/actors/script.hpp). The build of it as C++, which no package of CMake's own finds: FindCoppiceLua.cmake.
list(APPEND CMAKE_MODULE_PATH "${CMAKE_CURRENT_LIST_DIR}")
coppice_require(CoppiceLua liblua5.4-dev)
