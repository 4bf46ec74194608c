# Rust 1.63 or newer, by cargo, which needs no network: the crate depends on nothing.
find_program(COPPICE_CARGO cargo DOC "cargo, for the tests of Rust's binding")
find_program(COPPICE_RUSTC rustc DOC "rustc, for the tests of Rust's binding")
set(missing "")
if(NOT COPPICE_CARGO OR NOT COPPICE_RUSTC)
    set(missing "cargo and rustc are not both installed: tools/setup --languages rust")
endif()

set(rust "${CMAKE_CURRENT_BINARY_DIR}/rust")
set(crate "${bindings}/rust")
set(cargo_options --offline --locked --quiet --manifest-path "${crate}/Cargo.toml")
# All that is written goes below the build folder; the linker and the programs find the library where it was built.
get_filename_component(rust_tools "${COPPICE_RUSTC}" DIRECTORY)
set(rust_environment
    "CARGO_TARGET_DIR=${rust}" "COPPICE_LIB_DIR=$<TARGET_FILE_DIR:coppice_c>" "RUSTC=${COPPICE_RUSTC}"
    "RUSTDOC=${rust_tools}/rustdoc"
)
set(rust_targets "")

if(NOT missing)
    file(
        GLOB_RECURSE rust_sources CONFIGURE_DEPENDS
        "${crate}/src/*.rs" "${crate}/examples/*.rs" "${crate}/tests/*.rs"
    )
    set(with_cargo "${CMAKE_COMMAND}" -E env ${rust_environment} "${COPPICE_CARGO}")
    # cargo leaves what is fresh as it is, so the stamp says when all was looked at.
    add_custom_command(
        OUTPUT "${rust}/built"
        BYPRODUCTS "${rust}/debug/examples/child" "${rust}/debug/examples/echo"
        COMMAND ${with_cargo} build --examples ${cargo_options}
        COMMAND ${with_cargo} test --no-run ${cargo_options}
        COMMAND "${CMAKE_COMMAND}" -E touch "${rust}/built"
        DEPENDS ${rust_sources} "${crate}/Cargo.toml" "${crate}/Cargo.lock" "${crate}/build.rs" coppice_c
        COMMENT "Building Rust's binding"
        VERBATIM
    )
    add_custom_target(capi_rust DEPENDS "${rust}/built")
    set(rust_targets DEPENDS capi_rust)
endif()

coppice_language(
    Rust
    MISSING "${missing}"
    CHILD "${rust}/debug/examples/child"
    ECHO "${rust}/debug/examples/echo"
    FAILURE "no flour"
    ${rust_targets}
)
coppice_language_test(
    rust
    MISSING "${missing}"
    COMMAND "${COPPICE_CARGO}" test ${cargo_options}
    ENVIRONMENT ${rust_environment}
    ${rust_targets}
)
