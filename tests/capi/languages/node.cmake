# Node.js, with koffi from npm's registry.
find_program(COPPICE_NODE NAMES node nodejs DOC "Node.js, for the tests of its binding")
set(missing "")
if(NOT COPPICE_NODE)
    set(missing "Node.js is not installed: tools/setup --languages node")
elseif(NOT EXISTS "${bindings}/node/node_modules/koffi/package.json")
    set(missing "koffi is not in framework/bindings/node/node_modules: tools/setup --languages node")
endif()
coppice_language(
    Node
    MISSING "${missing}"
    CHILD "${COPPICE_NODE}" "${bindings}/node/test/child.js"
    ECHO "${COPPICE_NODE}" "${bindings}/node/examples/echo.js"
    FAILURE "Error: no flour"
)
coppice_language_test(
    node
    MISSING "${missing}"
    COMMAND "${COPPICE_NODE}" --expose-gc --test "${bindings}/node/test/coppice.test.js"
)
