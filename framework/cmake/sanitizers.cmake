# coppice_instrument(target): sanitizer, fuzzer and coverage flags, as COPPICE_SANITIZE, _FUZZ and _COVERAGE say.
#
# They are PUBLIC on the framework, so that everything that links it is instrumented alike: half-instrumented
# programs give false reports. The macro COPPICE_SANITIZED is 1 in such a build and undefined otherwise; headers and
# user code thus agree on it. COPPICE_TIME_SCALE is the factor by which tests may be slower than in a plain build.
include_guard(GLOBAL)

set(COPPICE_SANITIZER_FLAGS "")
set(COPPICE_SANITIZER_DEFINITIONS "")
set(COPPICE_TIME_SCALE 1)

if(COPPICE_FUZZ)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "COPPICE_FUZZ needs clang (libFuzzer): configure with -DCMAKE_CXX_COMPILER=clang++-19")
    endif()
    if(COPPICE_SANITIZE STREQUAL "thread")
        message(FATAL_ERROR "COPPICE_FUZZ works with COPPICE_SANITIZE=address only, not with thread")
    endif()
    set(COPPICE_SANITIZE address)
endif()

if(COPPICE_SANITIZE STREQUAL "address")
    # Without -fno-sanitize-recover undefined behaviour is only printed, and the test passes.
    set(COPPICE_SANITIZER_FLAGS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
elseif(COPPICE_SANITIZE STREQUAL "thread")
    set(COPPICE_SANITIZER_FLAGS -fsanitize=thread -fno-omit-frame-pointer)
elseif(NOT COPPICE_SANITIZE STREQUAL "")
    message(FATAL_ERROR "COPPICE_SANITIZE is \"${COPPICE_SANITIZE}\": it must be empty, address or thread")
endif()
if(COPPICE_SANITIZER_FLAGS)
    set(COPPICE_SANITIZER_DEFINITIONS COPPICE_SANITIZED=1)
    set(COPPICE_TIME_SCALE 5)
endif()

if(COPPICE_COVERAGE)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        message(FATAL_ERROR "COPPICE_COVERAGE needs clang: configure with -DCMAKE_CXX_COMPILER=clang++-19")
    endif()
    list(APPEND COPPICE_SANITIZER_FLAGS -fprofile-instr-generate -fcoverage-mapping)
endif()

function(coppice_instrument target)
    get_target_property(type ${target} TYPE)
    set(scope PUBLIC)
    if(type STREQUAL "INTERFACE_LIBRARY")
        set(scope INTERFACE)
    endif()
    if(COPPICE_SANITIZER_FLAGS)
        target_compile_options(${target} ${scope} ${COPPICE_SANITIZER_FLAGS})
        target_link_options(${target} ${scope} ${COPPICE_SANITIZER_FLAGS})
        target_compile_definitions(${target} ${scope} ${COPPICE_SANITIZER_DEFINITIONS})
    endif()
    if(COPPICE_FUZZ)
        # Coverage feedback for the code under test; the driver itself is linked by each fuzz target.
        target_compile_options(${target} ${scope} $<BUILD_INTERFACE:-fsanitize=fuzzer-no-link>)
    endif()
endfunction()
