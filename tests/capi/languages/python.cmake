# Python, which everything needs: it is always there.
set(python "${Python3_EXECUTABLE}" -B)
coppice_language(
    Python
    CHILD ${python} "${bindings}/python/tests/child.py"
    ECHO ${python} "${bindings}/python/examples/echo.py"
    ENVIRONMENT "PYTHONPATH=${bindings}/python"
    FAILURE "RuntimeError: no flour"
)
# What the test of spaces with a Python process runs.
set_property(
    SOURCE space_python_test.cpp
    PROPERTY COMPILE_DEFINITIONS PYTHON="${Python3_EXECUTABLE}" PYTHON_BINDING="${bindings}/python"
)
coppice_language_test(
    python
    COMMAND ${python} -W error::ResourceWarning -m unittest discover -s "${bindings}/python/tests"
    ENVIRONMENT "PYTHONPATH=${bindings}/python"
)
