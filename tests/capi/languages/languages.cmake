# The bindings of other languages, one file a language beside this one. Each file calls
#
#     coppice_language(Name MISSING why CHILD command... ECHO command... [ENVIRONMENT NAME=text...] FAILURE text
#                      [DEPENDS target...])
#         A row of the table of languages_test.cpp. CHILD: its tests/child program (languages_test.cpp says what that does);
#         ECHO: the echo of its examples; FAILURE: what its child tells of an exception with the text "no flour".
#     coppice_language_test(name MISSING why COMMAND command... [ENVIRONMENT NAME=text...] [DEPENDS target...])
#         Tests of its own, within one process, as one entry: capi.<name>.
#
# MISSING: what is not installed, and what installs it (tools/setup --languages); empty if all is there. What is missing is
# named, and skipped. Commands may hold generator expressions; all of them run with COPPICE_LIBRARY, the library to load.
set(bindings "${PROJECT_SOURCE_DIR}/framework/bindings")
set(language_rows "")

macro(coppice_language name)
    cmake_parse_arguments(row "" "FAILURE;MISSING" "CHILD;ECHO;ENVIRONMENT;DEPENDS" ${ARGN})
    string(APPEND language_rows "{R\"t(${name})t\", ")
    foreach(part CHILD ECHO ENVIRONMENT)
        string(APPEND language_rows "{")
        foreach(word IN LISTS row_${part})
            string(APPEND language_rows "R\"t(${word})t\", ")
        endforeach()
        string(APPEND language_rows "}, ")
    endforeach()
    string(APPEND language_rows "R\"t(${row_FAILURE})t\", R\"t(${row_MISSING})t\"},\n")
    if(row_DEPENDS)
        add_dependencies(tests_capi ${row_DEPENDS})
    endif()
endmacro()

function(coppice_language_test name)
    cmake_parse_arguments(of "" "MISSING" "COMMAND;ENVIRONMENT;DEPENDS" ${ARGN})
    if(of_MISSING)
        message(STATUS "The tests of ${name} are skipped. ${of_MISSING}")
        add_test(NAME capi.${name} COMMAND sh -c "echo \"$0\"; exit 77" "${of_MISSING}")
    else()
        add_test(NAME capi.${name} COMMAND ${of_COMMAND})
        if(of_DEPENDS)
            coppice_tests_of(capi ${of_DEPENDS})
        endif()
    endif()
    set_tests_properties(
        capi.${name}
        PROPERTIES LABELS capi TIMEOUT ${COPPICE_TEST_TIMEOUT} SKIP_RETURN_CODE 77
                   ENVIRONMENT "${of_ENVIRONMENT};COPPICE_LIBRARY=$<TARGET_FILE:coppice_c>"
    )
endfunction()

file(GLOB language_files CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/*.cmake")
list(REMOVE_ITEM language_files "${CMAKE_CURRENT_LIST_FILE}")
foreach(language_file IN LISTS language_files)
    include("${language_file}")
endforeach()

file(GENERATE OUTPUT "${CMAKE_CURRENT_BINARY_DIR}/languages.inc" CONTENT "${language_rows}")
set_property(SOURCE languages_test.cpp APPEND PROPERTY INCLUDE_DIRECTORIES "${CMAKE_CURRENT_BINARY_DIR}")
set_property(SOURCE languages_test.cpp APPEND PROPERTY OBJECT_DEPENDS "${CMAKE_CURRENT_BINARY_DIR}/languages.inc")
target_compile_definitions(tests_capi PRIVATE C_LIBRARY="$<TARGET_FILE:coppice_c>")
add_dependencies(tests_capi coppice_c)
