# Free Pascal, whose programs are linked with the library. Each is compiled in a folder of its own: fpc puts the units there.
find_program(COPPICE_FPC NAMES fpc DOC "Free Pascal, for the tests of its binding")
set(missing "")
set(targets "")
set(built "${CMAKE_CURRENT_BINARY_DIR}/pascal")
if(NOT COPPICE_FPC)
    set(missing "Free Pascal is not installed: tools/setup --languages pascal")
else()
    set(programs "")
    foreach(source tests/child examples/echo examples/hello tests/coppice_test)
        get_filename_component(program "${source}" NAME)
        set(units "${built}/units/${program}")
        add_custom_command(
            OUTPUT "${built}/${program}"
            COMMAND "${CMAKE_COMMAND}" -E make_directory "${units}"
            COMMAND
                "${CMAKE_COMMAND}" -E chdir "${units}" "${COPPICE_FPC}" -v0w -l- -Sew -O1 "-Fu${bindings}/pascal"
                "-Fl$<TARGET_FILE_DIR:coppice_c>" "-k-rpath=$<TARGET_FILE_DIR:coppice_c>" "-FU${units}"
                "-o${built}/${program}" "${bindings}/pascal/${source}.pas"
            DEPENDS coppice_c "${bindings}/pascal/${source}.pas" "${bindings}/pascal/coppice.pas"
                    "${bindings}/pascal/coppiceabi.pas"
            COMMENT "Compiling ${program} in Pascal"
            VERBATIM
        )
        list(APPEND programs "${built}/${program}")
    endforeach()
    add_custom_target(capi_pascal DEPENDS ${programs})
    set(targets capi_pascal)
endif()
coppice_language(
    Pascal
    MISSING "${missing}"
    CHILD "${built}/child"
    ECHO "${built}/echo"
    FAILURE "Exception: no flour"
    DEPENDS ${targets}
)
coppice_language_test(
    pascal
    MISSING "${missing}"
    COMMAND "${built}/coppice_test" "${built}/hello"
    DEPENDS ${targets}
)
