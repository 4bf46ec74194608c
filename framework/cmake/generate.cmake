# coppice_generate(): C++ and pages from descriptions of services (docs/service.md).
#
# The same file in Coppice's own build and installed with its package, where COPPICE_SCHEMA_DIR says where the annotations lie.
include_guard(GLOBAL)
# Where it is called, perhaps by a project that has Coppice as a part, the variable is not known.
set_property(GLOBAL PROPERTY COPPICE_SCHEMA_DIR "${COPPICE_SCHEMA_DIR}")

# The files that these schemas import, directly or by way of others, as far as they are found: relative to who imports them or, with
# '/', in one of the FOLDERS.
function(coppice_imports_of result)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SCHEMAS;FOLDERS")
    set(found "")
    set(waiting ${arg_SCHEMAS})
    while(waiting)
        list(POP_FRONT waiting schema)
        if(NOT EXISTS "${schema}")
            continue()
        endif()
        get_filename_component(beside "${schema}" DIRECTORY)
        file(READ "${schema}" text)
        string(REGEX MATCHALL "(import|embed)[ \t\r\n]*\"[^\"]+\"" imports "${text}")
        foreach(import IN LISTS imports)
            string(REGEX REPLACE "^[^\"]*\"(.*)\"$" "\\1" import "${import}")
            set(folders "${beside}")
            if(import MATCHES "^/")
                set(folders ${arg_FOLDERS})
            endif()
            foreach(folder IN LISTS folders)
                get_filename_component(file "${folder}/${import}" ABSOLUTE)
                if(NOT EXISTS "${file}")
                    continue()
                endif()
                if(NOT file IN_LIST found AND NOT file IN_LIST arg_SCHEMAS)
                    list(APPEND found "${file}")
                    if(file MATCHES "\\.capnp$")
                        list(APPEND waiting "${file}")
                    endif()
                endif()
                break()
            endforeach()
        endforeach()
    endwhile()
    set(${result} ${found} PARENT_SCOPE)
endfunction()

# coppice_generate(TARGET target SCHEMAS file.capnp... [PREFIX folder] [IMPORTS folder...])
#
# For each schema makes NAME.coppice.hpp and NAME.md, in a folder of the build that the target includes from: #include
# "NAME.coppice.hpp". PREFIX is the folder that names begin at, the current source folder if it is not given; schemas below it keep
# their folders. IMPORTS are more folders for imports that begin with '/'. An imported schema is listed too, here or for a library
# that the target links. The property COPPICE_GENERATED_DIR of the target is the folder.
function(coppice_generate)
    cmake_parse_arguments(PARSE_ARGV 0 arg "" "TARGET;PREFIX" "SCHEMAS;IMPORTS")
    if(NOT arg_TARGET OR NOT arg_SCHEMAS OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "coppice_generate needs TARGET and SCHEMAS; not understood: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    if(NOT TARGET ${arg_TARGET})
        message(FATAL_ERROR "coppice_generate: there is no target ${arg_TARGET} yet; call it behind add_executable or add_library")
    endif()
    set(beside_capnp "")
    if(CAPNP_EXECUTABLE)
        get_filename_component(beside_capnp "${CAPNP_EXECUTABLE}" DIRECTORY)
    endif()
    find_program(COPPICE_CAPNP NAMES capnp HINTS "${beside_capnp}" DOC "The compiler of Cap'n Proto schemas")
    if(NOT COPPICE_CAPNP)
        message(FATAL_ERROR "coppice_generate: the schema compiler \"capnp\" was not found: apt-get install capnproto")
    endif()
    if(NOT arg_PREFIX)
        set(arg_PREFIX "${CMAKE_CURRENT_SOURCE_DIR}")
    endif()
    get_filename_component(prefix "${arg_PREFIX}" ABSOLUTE)
    set(into "${CMAKE_CURRENT_BINARY_DIR}/${arg_TARGET}_services")
    file(MAKE_DIRECTORY "${into}")
    get_property(folders GLOBAL PROPERTY COPPICE_SCHEMA_DIR)
    foreach(folder IN LISTS arg_IMPORTS)
        get_filename_component(folder "${folder}" ABSOLUTE)
        list(APPEND folders "${folder}")
    endforeach()
    list(TRANSFORM folders PREPEND "-I" OUTPUT_VARIABLE imports)

    set(schemas "")
    set(made "")
    foreach(schema IN LISTS arg_SCHEMAS)
        get_filename_component(schema "${schema}" ABSOLUTE)
        file(RELATIVE_PATH name "${prefix}" "${schema}")
        if(name MATCHES "^\\.\\." OR NOT name MATCHES "\\.capnp$")
            message(FATAL_ERROR "coppice_generate: ${schema} is no .capnp file below ${prefix}; PREFIX says where names begin")
        endif()
        if(schema IN_LIST schemas)
            continue()
        endif()
        string(REGEX REPLACE "\\.capnp$" "" name "${name}")
        list(APPEND schemas "${schema}")
        list(APPEND made "${into}/${name}.coppice.hpp" "${into}/${name}.md")
    endforeach()
    # What they import is in what is made of them. Which files these are is looked up anew when one of all changes.
    coppice_imports_of(imported SCHEMAS ${schemas} FOLDERS ${folders})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${schemas} ${imported})
    # One call for all of them: who imports another sees it as it is now.
    add_custom_command(
        OUTPUT ${made}
        COMMAND "${COPPICE_CAPNP}" compile "-o$<TARGET_FILE:Coppice::capnpc>:${into}" "--src-prefix=${prefix}" ${imports}
                ${schemas}
        DEPENDS ${schemas} ${imported} Coppice::capnpc
        COMMENT "Generating services for ${arg_TARGET}"
        VERBATIM
    )
    target_sources(${arg_TARGET} PRIVATE ${made})
    get_target_property(type ${arg_TARGET} TYPE)
    if(type STREQUAL "EXECUTABLE")
        target_include_directories(${arg_TARGET} PRIVATE "${into}")
    elseif(type STREQUAL "INTERFACE_LIBRARY")
        target_include_directories(${arg_TARGET} INTERFACE "$<BUILD_INTERFACE:${into}>")
    else()
        target_include_directories(${arg_TARGET} PUBLIC "$<BUILD_INTERFACE:${into}>")
    endif()
    set_target_properties(${arg_TARGET} PROPERTIES COPPICE_GENERATED_DIR "${into}")
endfunction()
