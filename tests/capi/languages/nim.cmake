# Nim, which compiles by way of C, and loads the library when a program begins.
find_program(COPPICE_NIM NAMES nim DOC "Nim, for the tests of its binding")
set(missing "")
set(targets "")
set(built "${CMAKE_CURRENT_BINARY_DIR}/nim")
if(NOT COPPICE_NIM)
    set(missing "Nim is not installed: tools/setup --languages nim")
else()
    file(GLOB modules CONFIGURE_DEPENDS "${bindings}/nim/*.nim" "${bindings}/nim/coppice/*.nim")
    set(programs "")
    foreach(source tests/child examples/echo examples/hello tests/coppice_test)
        get_filename_component(program "${source}" NAME)
        add_custom_command(
            OUTPUT "${built}/${program}"
            COMMAND
                "${COPPICE_NIM}" c --mm:orc --threads:on --hints:off --skipUserCfg --skipParentCfg --parallelBuild:1
                "--path:${bindings}/nim" "--nimcache:${built}/cache/${program}" "-o:${built}/${program}"
                "${bindings}/nim/${source}.nim"
            DEPENDS "${bindings}/nim/${source}.nim" ${modules}
            COMMENT "Compiling ${program} in Nim"
            VERBATIM
        )
        list(APPEND programs "${built}/${program}")
    endforeach()
    add_custom_target(capi_nim DEPENDS ${programs})
    set(targets capi_nim coppice_c)
endif()
coppice_language(
    Nim
    MISSING "${missing}"
    CHILD "${built}/child"
    ECHO "${built}/echo"
    FAILURE "CatchableError: no flour"
    DEPENDS ${targets}
)
coppice_language_test(
    nim
    MISSING "${missing}"
    COMMAND "${built}/coppice_test" "${built}/hello"
    DEPENDS ${targets}
)
