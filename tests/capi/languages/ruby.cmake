# Ruby 3.1 or newer, with fiddle and minitest, which come with it.
find_program(COPPICE_RUBY ruby DOC "Ruby, for the tests of its binding")
set(missing "")
if(COPPICE_RUBY)
    execute_process(
        COMMAND "${COPPICE_RUBY}" -e "require 'fiddle'; require 'minitest'; exit RUBY_VERSION >= '3.1'"
        RESULT_VARIABLE outcome
        OUTPUT_QUIET ERROR_QUIET
    )
else()
    set(outcome 1)
endif()
if(NOT outcome EQUAL 0)
    set(missing "Ruby, 3.1 or newer, with minitest is not installed: tools/setup --languages ruby")
endif()
set(ruby "${COPPICE_RUBY}" -w -I "${bindings}/ruby/lib")
coppice_language(
    Ruby
    MISSING "${missing}"
    CHILD ${ruby} "${bindings}/ruby/tests/child.rb"
    ECHO ${ruby} "${bindings}/ruby/examples/echo.rb"
    FAILURE "RuntimeError: no flour"
)
coppice_language_test(ruby MISSING "${missing}" COMMAND ${ruby} "${bindings}/ruby/tests/test_coppice.rb")
