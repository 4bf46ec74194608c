# Perl 5.36 or newer, with FFI::Platypus.
find_program(COPPICE_PERL NAMES perl DOC "Perl, for the tests of its binding")
set(missing "")
if(NOT COPPICE_PERL)
    set(missing "Perl is not installed: tools/setup --languages perl")
else()
    execute_process(
        COMMAND "${COPPICE_PERL}" -e "use v5.36; use FFI::Platypus 2.00; use Test::More;"
        RESULT_VARIABLE perl_result
        OUTPUT_QUIET ERROR_QUIET
    )
    if(NOT perl_result EQUAL 0)
        set(missing "Perl 5.36 with FFI::Platypus 2 is not installed: tools/setup --languages perl")
    endif()
endif()
coppice_language(
    Perl
    MISSING "${missing}"
    CHILD "${COPPICE_PERL}" "${bindings}/perl/tests/child.pl"
    ECHO "${COPPICE_PERL}" "${bindings}/perl/examples/echo.pl"
    ENVIRONMENT "PERL5LIB=${bindings}/perl/lib"
    FAILURE "no flour"
)
coppice_language_test(
    perl
    MISSING "${missing}"
    COMMAND "${COPPICE_PERL}" "${bindings}/perl/tests/coppice.t"
    ENVIRONMENT "PERL5LIB=${bindings}/perl/lib"
)
