# coppice_test() and coppice_fuzz_test(): how a test program is built and made known to ctest.
#
# Every test runs under two clocks: a watchdog inside the program (tests/support/watchdog_main.cpp), which names the
# test that hangs and prints the stacks, and ctest's timeout for what the watchdog cannot see. Both are only there so
# that a hang becomes a failure; no test asserts an upper bound of time. Both are scaled in sanitizer builds.
include_guard(GLOBAL)

set(COPPICE_TESTS_DIR "${PROJECT_SOURCE_DIR}/tests")
# Tests share the cores, also with what else runs there: what takes seconds alone may take a minute.
if(COPPICE_SANITIZE)
    set(COPPICE_TEST_WATCHDOG_DEFAULT 400)
    set(COPPICE_TEST_TIMEOUT 600)
else()
    set(COPPICE_TEST_WATCHDOG_DEFAULT 200)
    set(COPPICE_TEST_TIMEOUT 300)
endif()

# Run-time options and suppressions of the sanitizers, for every program that tests run.
add_library(coppice_sanitizer_defaults OBJECT "${COPPICE_TESTS_DIR}/support/sanitizer_defaults.cpp")
target_link_libraries(coppice_sanitizer_defaults PRIVATE coppice_warnings)
coppice_instrument(coppice_sanitizer_defaults)

if(COPPICE_BUILD_TESTS)
    coppice_require(GTest libgmock-dev)
    include(GoogleTest)

    add_library(coppice_test_main OBJECT "${COPPICE_TESTS_DIR}/support/watchdog_main.cpp")
    target_link_libraries(coppice_test_main PRIVATE coppice_warnings GTest::gmock Threads::Threads)
    target_compile_definitions(coppice_test_main PRIVATE COPPICE_TEST_WATCHDOG_DEFAULT=${COPPICE_TEST_WATCHDOG_DEFAULT})
    coppice_instrument(coppice_test_main)
endif()

# coppice_tests_of(label targets...): the target tests_of_<label>, which builds what the tests of that label run.
# tools/test --only LABEL builds it in place of everything.
function(coppice_tests_of label)
    if(NOT TARGET tests_of_${label})
        add_custom_target(tests_of_${label})
    endif()
    if(ARGN)
        add_dependencies(tests_of_${label} ${ARGN})
    endif()
endfunction()

# coppice_unoptimized(target): compiles a program that runs a moment without optimizing, which takes half of the time.
function(coppice_unoptimized target)
    if(NOT CMAKE_BUILD_TYPE STREQUAL "Release")
        target_compile_options(${target} PRIVATE -O0)
    endif()
endfunction()

# coppice_test(NAME n LABEL l SOURCES ... [LIBRARIES ...] [TIMEOUT seconds] [SINGLE])
# Builds tests_<n> and registers each of its GoogleTest cases as <n>.<Suite>.<Case>. SINGLE makes the whole program
# one entry: for a suite of thousands of short cases, where starting the program would cost more than the cases.
function(coppice_test)
    cmake_parse_arguments(PARSE_ARGV 0 arg "SINGLE" "NAME;LABEL;TIMEOUT" "SOURCES;LIBRARIES")
    if(NOT arg_NAME OR NOT arg_LABEL OR NOT arg_SOURCES OR arg_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "coppice_test needs NAME, LABEL and SOURCES; not understood: ${arg_UNPARSED_ARGUMENTS}")
    endif()
    set(timeout ${COPPICE_TEST_TIMEOUT})
    if(arg_TIMEOUT)
        math(EXPR timeout "${arg_TIMEOUT} * ${COPPICE_TIME_SCALE}")
    endif()

    set(target tests_${arg_NAME})
    add_executable(${target} ${arg_SOURCES})
    # Unit tests reach private headers by the names that framework/src uses; test helpers are "support/...".
    target_include_directories(${target} PRIVATE "${COPPICE_TESTS_DIR}" "${PROJECT_SOURCE_DIR}/framework/src")
    target_link_libraries(
        ${target}
        PRIVATE coppice_warnings
                coppice_test_main
                coppice_sanitizer_defaults
                Coppice::coppice
                coppice_schemas
                Boost::headers
                spdlog::spdlog
                GTest::gmock
                GTest::gtest
                ${arg_LIBRARIES}
    )
    if(NOT arg_LABEL MATCHES "^(sim|property|stress)$") # which compute
        coppice_unoptimized(${target})
    endif()
    if(COPPICE_SANITIZE)
        # Two of the eight seconds that a file of tests takes. In the plain builds each file shows that it includes what it needs.
        target_precompile_headers(
            ${target} PRIVATE <gmock/gmock.h> <gtest/gtest.h> <coppice/coppice.hpp> <coppice/testing/world.hpp>
            <coppice/transport/builtin.hpp>
        )
        # It is the same if its text is, whenever it was made: ccache knows it again.
        target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
    endif()
    coppice_tests_of(${arg_LABEL} ${target})
    # Exported symbols give the watchdog's stacks names.
    set_target_properties(${target} PROPERTIES ENABLE_EXPORTS ON)

    if(arg_SINGLE)
        add_test(NAME ${arg_NAME} COMMAND ${target})
        set_tests_properties(
            ${arg_NAME} PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${timeout} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
        )
    else()
        gtest_discover_tests(
            ${target}
            TEST_PREFIX "${arg_NAME}."
            DISCOVERY_MODE PRE_TEST
            DISCOVERY_TIMEOUT 60
            WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
            PROPERTIES LABELS ${arg_LABEL} TIMEOUT ${timeout}
        )
    endif()
endfunction()

# coppice_fuzz_test(tests/fuzz/<name>.cpp): a program around LLVMFuzzerTestOneInput, corpus in tests/fuzz/corpus/<name>.
# With COPPICE_FUZZ it fuzzes for a few seconds; without, it replays the corpus, so that what was found once is tested
# in every build.
function(coppice_fuzz_test source)
    get_filename_component(name "${source}" NAME_WE)
    set(target fuzz_${name})
    set(corpus "${COPPICE_TESTS_DIR}/fuzz/corpus/${name}")
    add_executable(${target} "${source}")
    target_include_directories(${target} PRIVATE "${COPPICE_TESTS_DIR}" "${PROJECT_SOURCE_DIR}/framework/src")
    target_link_libraries(
        ${target} PRIVATE coppice_warnings coppice_sanitizer_defaults Coppice::coppice coppice_schemas Boost::headers
                          spdlog::spdlog
    )
    if(COPPICE_FUZZ)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
        # New inputs go to the build folder, not into the kept corpus.
        set(found "${CMAKE_CURRENT_BINARY_DIR}/corpus_${name}")
        file(MAKE_DIRECTORY "${found}")
        set(seeds "")
        if(EXISTS "${corpus}")
            set(seeds "${corpus}")
        endif()
        add_test(NAME fuzz.${name} COMMAND ${target} -max_total_time=20 -timeout=10 "${found}" ${seeds})
    else()
        target_sources(${target} PRIVATE "${COPPICE_TESTS_DIR}/support/fuzz_replay_main.cpp")
        coppice_unoptimized(${target})
        add_test(NAME fuzz.${name} COMMAND ${target} "${corpus}")
    endif()
    coppice_tests_of(fuzz ${target})
    set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT ${COPPICE_TEST_TIMEOUT})
endfunction()
