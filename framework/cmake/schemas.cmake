# coppice_schemas: the code that Cap'n Proto generates from schemas/*.capnp.
#
# coppice_generate_schemas(target) compiles the generated code into the target and makes coppice_schemas, an INTERFACE
# target: who links it can include "envelope.capnp.h" and so on. Both are private to this project: the generated headers
# are not installed, and what is exported links libcapnp and nothing more.
include_guard(GLOBAL)

if(NOT EXISTS "${CAPNP_EXECUTABLE}" OR NOT EXISTS "${CAPNPC_CXX_EXECUTABLE}")
    message(FATAL_ERROR "Coppice: the schema compiler \"capnp\" was not found: apt-get install capnproto")
endif()

function(coppice_generate_schemas target)
    set(from "${PROJECT_SOURCE_DIR}/schemas")
    set(into "${PROJECT_BINARY_DIR}/schemas")
    # Under clang 16 and later Cap'n Proto's own headers need help in C++20; the generated ones bring it along.
    set(compat "#include <coppice/detail/capnp_compat.hpp>")
    file(MAKE_DIRECTORY "${into}")
    file(GLOB schemas CONFIGURE_DEPENDS "${from}/*.capnp")

    set(headers "")
    foreach(schema IN LISTS schemas)
        get_filename_component(name "${schema}" NAME)
        set(header "${into}/${name}.h")
        set(source "${into}/${name}.c++")
        add_custom_command(
            OUTPUT "${header}" "${source}"
            COMMAND "${CAPNP_EXECUTABLE}" compile "-o${CAPNPC_CXX_EXECUTABLE}:${into}" "--src-prefix=${from}" -I
                    "${CAPNP_INCLUDE_DIRECTORY}" "${schema}"
            COMMAND sed -i "1i ${compat}" "${header}"
            DEPENDS "${schema}" ${schemas}
            COMMENT "Generating ${name}.h"
            VERBATIM
        )
        # Generated code is not ours to warn about.
        set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "-w" SKIP_LINTING ON)
        target_sources(${target} PRIVATE "${source}")
        list(APPEND headers "${header}")
    endforeach()

    add_custom_target(coppice_schemas_generated DEPENDS ${headers})
    add_library(coppice_schemas INTERFACE)
    add_dependencies(coppice_schemas coppice_schemas_generated)
    target_include_directories(coppice_schemas SYSTEM INTERFACE "${into}")
    target_link_libraries(coppice_schemas INTERFACE CapnProto::capnp)

    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:coppice_schemas>)
endfunction()
