# Refuses a compiler that miscompiles coroutines: compiles and runs the known breakers in self_test/.
#
# g++ 12.2, Debian 12's compiler, builds ordinary coroutine code that never runs or frees twice, without a warning, at
# every level of optimization. Such a program fails far from the cause, so the place to find out is here. The module
# stands alone: it is installed with the package, and find_package(Coppice) runs it for the user's compiler.
# A pass is cached under compiler, version, flags and the tests' text; a failure is tested again.
include_guard(GLOBAL)

set(_coppice_self_test_dir "${CMAKE_CURRENT_LIST_DIR}/self_test")

# What goes wrong in a program if the self-test of that name fails.
set(_coppice_self_test_meaning_body_without_declaration
    "a coroutine whose body declares nothing and awaits in a condition never runs, and nobody is told"
)
set(_coppice_self_test_meaning_aggregate_temporary
    "an aggregate temporary in an expression with co_await is destroyed twice: a double free"
)
set(_coppice_self_test_meaning_lambda_temporary
    "a lambda that captures, written inside an expression with co_await, has its captures destroyed twice: a double free"
)

# coppice_compiler_self_test(<variable>): sets it to "" if the compiler is sound, else to a message for people.
function(coppice_compiler_self_test result)
    set(${result} "" PARENT_SCOPE)
    if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
        message(STATUS "Coroutine self-test skipped: cross-compiling, and what it builds cannot run here")
        return()
    endif()

    file(GLOB tests "${_coppice_self_test_dir}/*.cpp")
    if(NOT tests)
        message(FATAL_ERROR "Coppice's compiler self-test found no programs in ${_coppice_self_test_dir}")
    endif()
    list(SORT tests)
    set(key "${CMAKE_CXX_COMPILER};${CMAKE_CXX_COMPILER_VERSION};${CMAKE_CXX_COMPILER_ARG1};${CMAKE_CXX_FLAGS}")
    foreach(test IN LISTS tests)
        file(SHA256 "${test}" hash)
        string(APPEND key ";${hash}")
    endforeach()
    string(SHA256 key "${key}")
    if("${COPPICE_SELF_TEST_PASSED}" STREQUAL key)
        return()
    endif()

    separate_arguments(flags UNIX_COMMAND "${CMAKE_CXX_COMPILER_ARG1} ${CMAKE_CXX_FLAGS}")
    set(build_dir "${CMAKE_BINARY_DIR}/CMakeFiles/coppice_self_test")
    file(MAKE_DIRECTORY "${build_dir}")
    message(STATUS "Coroutine self-test of ${CMAKE_CXX_COMPILER}")
    set(complaints "")
    foreach(test IN LISTS tests)
        get_filename_component(name "${test}" NAME_WE)
        set(failed "")
        foreach(level -O0 -O2)
            set(program "${build_dir}/${name}${level}")
            execute_process(
                COMMAND "${CMAKE_CXX_COMPILER}" ${flags} -std=c++20 ${level} "${test}" -o "${program}"
                RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output TIMEOUT 120
            )
            if(NOT status EQUAL 0)
                string(APPEND failed " (does not compile at ${level})")
                file(WRITE "${program}.log" "${output}")
                continue()
            endif()
            # A miscompiled program may crash or hang just as well as return a failure.
            execute_process(
                COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} "${program}"
                RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output TIMEOUT 20
            )
            if(NOT status EQUAL 0)
                string(APPEND failed " (at ${level}: ${status})")
            endif()
        endforeach()
        if(failed)
            string(APPEND complaints "\n  ${name}: ${_coppice_self_test_meaning_${name}}${failed}")
        endif()
    endforeach()

    if(complaints)
        string(
            CONCAT text
            "The C++ compiler ${CMAKE_CXX_COMPILER} (${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION}) fails "
            "Coppice's coroutine self-test:${complaints}\n"
            "Every actor is a coroutine: what this compiler builds would hang or corrupt memory at run time.\n"
            "What to do, one of:\n"
            "  install a sound compiler:    apt-get install clang-19   (or run tools/setup)\n"
            "  and configure with it:       -DCMAKE_CXX_COMPILER=clang++-19, in a fresh build folder\n"
            "  or go on at your own risk:   -DCOPPICE_ALLOW_BROKEN_COMPILER=ON"
        )
        set(${result} "${text}" PARENT_SCOPE)
    else()
        message(STATUS "Coroutine self-test passed")
        set(COPPICE_SELF_TEST_PASSED "${key}" CACHE INTERNAL "Key of the last compiler that passed the self-test")
    endif()
endfunction()

# Stops the configuration unless the compiler is sound or COPPICE_ALLOW_BROKEN_COMPILER is set.
function(coppice_require_sound_compiler)
    coppice_compiler_self_test(complaint)
    if(complaint AND COPPICE_ALLOW_BROKEN_COMPILER)
        message(WARNING "${complaint}\nCOPPICE_ALLOW_BROKEN_COMPILER is set: going on.")
    elseif(complaint)
        message(FATAL_ERROR "${complaint}")
    endif()
endfunction()
