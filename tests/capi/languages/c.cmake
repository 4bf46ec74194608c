# C: what the other languages stand on.
add_executable(capi_child child.c)
set_target_properties(capi_child PROPERTIES C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
target_compile_definitions(capi_child PRIVATE _POSIX_C_SOURCE=200809L)
target_compile_options(capi_child PRIVATE -Wall -Wextra -Wpedantic -Werror)
target_link_libraries(capi_child PRIVATE Coppice::c m)
coppice_language(
    C
    CHILD $<TARGET_FILE:capi_child>
    ECHO $<TARGET_FILE:capi_child> echo
    FAILURE "no flour"
    DEPENDS capi_child
)
