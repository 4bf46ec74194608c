# Go, with cgo: its programs and tests are built below the build folder, linked with libcoppice.so.
find_program(COPPICE_GO NAMES go DOC "Go, for the tests of its binding")
set(missing "")
set(go_targets "")
set(go "${CMAKE_CURRENT_BINARY_DIR}/go")
set(go_source "${bindings}/go")
# Where Go keeps what it has compiled, and nothing of the user's own settings.
set(go_environment
    "GOCACHE=${go}/cache"
    "GOPATH=${go}/path"
    "GOENV=off"
    "GOWORK=off"
    "GOPROXY=off"
    "GOFLAGS=-buildvcs=false"
    "CGO_ENABLED=1"
)
if(NOT COPPICE_GO)
    set(missing "Go is not installed: tools/setup --languages go")
else()
    # Go does not see that a header outside of its package has changed, but that its flags have.
    set(go_header "${PROJECT_SOURCE_DIR}/framework/capi/coppice.h")
    file(SHA256 "${go_header}" go_header_hash)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${go_header}")
    list(
        APPEND
        go_environment
        "CC=${CMAKE_C_COMPILER}"
        "CGO_CFLAGS=-O2 -DCOPPICE_HEADER_${go_header_hash}"
        "CGO_LDFLAGS=-L$<TARGET_FILE_DIR:coppice_c> -Wl,-rpath,$<TARGET_FILE_DIR:coppice_c>"
    )
    file(GLOB_RECURSE go_files CONFIGURE_DEPENDS "${go_source}/*.go" "${go_source}/go.mod")
    add_custom_command(
        OUTPUT "${go}/built"
        COMMAND "${CMAKE_COMMAND}" -E make_directory "${go}/bin"
        COMMAND "${CMAKE_COMMAND}" -E env ${go_environment} "${COPPICE_GO}" build -o "${go}/bin/" ./examples/hello
                ./examples/echo ./tests/child
        COMMAND "${CMAKE_COMMAND}" -E env ${go_environment} "${COPPICE_GO}" test -c -o "${go}/bin/tests" ./tests
        COMMAND "${CMAKE_COMMAND}" -E touch "${go}/built"
        DEPENDS ${go_files} "${go_header}" coppice_c
        WORKING_DIRECTORY "${go_source}"
        COMMENT "Building the binding for Go"
        VERBATIM
    )
    add_custom_target(capi_go DEPENDS "${go}/built")
    set(go_targets capi_go)
endif()
coppice_language(
    Go
    MISSING "${missing}"
    CHILD "${go}/bin/child"
    ECHO "${go}/bin/echo"
    FAILURE "no flour"
    DEPENDS ${go_targets}
)
coppice_language_test(
    go
    MISSING "${missing}"
    COMMAND "${go}/bin/tests"
    ENVIRONMENT "COPPICE_GO_HELLO=${go}/bin/hello"
    DEPENDS ${go_targets}
)
