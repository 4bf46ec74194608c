# Java 17 or newer, over JNI, and JUnit 4 for its tests.
find_program(COPPICE_JAVAC javac HINTS ENV JAVA_HOME PATH_SUFFIXES bin DOC "Java's compiler, for the tests of its binding")
find_file(COPPICE_JUNIT junit4.jar PATHS /usr/share/java NO_DEFAULT_PATH DOC "JUnit 4, for the tests of Java's binding")
find_file(COPPICE_HAMCREST hamcrest.jar PATHS /usr/share/java NO_DEFAULT_PATH DOC "Hamcrest, which JUnit 4 needs")
set(java_home "")
set(java_version 0)
if(COPPICE_JAVAC)
    get_filename_component(java_home "${COPPICE_JAVAC}" REALPATH)
    get_filename_component(java_home "${java_home}" DIRECTORY)
    get_filename_component(java_home "${java_home}" DIRECTORY)
    execute_process(COMMAND "${COPPICE_JAVAC}" -version OUTPUT_VARIABLE said ERROR_VARIABLE said)
    string(REGEX MATCH "[0-9]+" java_version "${said}")
endif()
set(missing "")
if(java_version LESS 17 OR NOT EXISTS "${java_home}/include/jni.h")
    set(missing "The JDK, 17 or newer, is not installed: tools/setup --languages java")
elseif(NOT COPPICE_JUNIT OR NOT COPPICE_HAMCREST)
    set(missing "JUnit 4 is not installed: tools/setup --languages java")
endif()

set(java "${CMAKE_CURRENT_BINARY_DIR}/java")
if(NOT missing)
    add_library(capi_java_native MODULE "${bindings}/java/native/coppice_jni.c")
    set_target_properties(capi_java_native PROPERTIES OUTPUT_NAME coppice_jni)
    target_link_libraries(capi_java_native PRIVATE Coppice::c)
    # It has poll(2) for the tests.
    add_library(capi_java_poll MODULE "${bindings}/java/tests/poll.c")
    set_target_properties(capi_java_poll PROPERTIES OUTPUT_NAME coppice_poll)
    foreach(target capi_java_native capi_java_poll)
        set_target_properties(
            ${target} PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON LIBRARY_OUTPUT_DIRECTORY "${java}"
        )
        target_include_directories(${target} SYSTEM PRIVATE "${java_home}/include" "${java_home}/include/linux")
        target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Werror)
    endforeach()

    # Compiled anew as a whole: what a class was split into before does not stay.
    file(GLOB java_sources CONFIGURE_DEPENDS "${bindings}/java/src/coppice/*.java")
    file(GLOB java_tests CONFIGURE_DEPENDS "${bindings}/java/examples/*.java" "${bindings}/java/tests/*.java"
         "${bindings}/java/tests/coppice/*.java"
    )
    set(compile "${java_home}/bin/javac" --release 17 -encoding UTF-8 -Xlint:all -Werror)
    add_custom_command(
        OUTPUT "${java}/compiled"
        COMMAND "${CMAKE_COMMAND}" -E rm -rf "${java}/classes" "${java}/tests"
        COMMAND "${CMAKE_COMMAND}" -E make_directory "${java}/classes" "${java}/tests"
        COMMAND ${compile} -d "${java}/classes" ${java_sources}
        COMMAND ${compile} -cp "${java}/classes:${COPPICE_JUNIT}" -d "${java}/tests" ${java_tests}
        COMMAND "${CMAKE_COMMAND}" -E touch "${java}/compiled"
        DEPENDS ${java_sources} ${java_tests}
        COMMENT "Compiling the binding of Java and its tests"
        VERBATIM
    )
    add_custom_target(capi_java DEPENDS "${java}/compiled")
    add_dependencies(capi_java capi_java_native capi_java_poll)
    set(java_target DEPENDS capi_java)
else()
    set(java_target "")
endif()

set(run "${java_home}/bin/java" -Xmx512m "-Djava.library.path=${java}" -cp)
coppice_language(
    Java
    MISSING "${missing}"
    CHILD ${run} "${java}/classes:${java}/tests" Child
    ECHO ${run} "${java}/classes:${java}/tests" Echo
    FAILURE "java.lang.RuntimeException: no flour"
    ${java_target}
)
coppice_language_test(
    java
    MISSING "${missing}"
    COMMAND ${run} "${java}/classes:${java}/tests:${COPPICE_JUNIT}:${COPPICE_HAMCREST}" org.junit.runner.JUnitCore
            coppice.CoppiceTest
    ${java_target}
)
