#!/usr/bin/env bash
# What is installed is enough for an outside program, by CMake and by pkg-config, wherever it is moved to.
#
# install.sh build_folder scratch_folder compiler
# Installs the build, moves the prefix (both packages are relocatable), then builds and runs the program in install/
# in three ways: find_package, pkg-config, pkg-config --static. A broken compiler is refused by find_package, too.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1
scratch=$2
compiler=$3

rm -rf "$scratch"
mkdir -p "$scratch"
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }
expect_hello() {
    local printed
    printed=$("$1") || fail "$1 ended with status $?"
    printf '%s\n' "$printed"
    [[ $printed == *"hello from outside"* ]] || fail "$1 did not say hello"
}

printf '== what a user builds is configured without tests and samples\n'
cmake -S "$here/../.." -B "$scratch/bare" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCOPPICE_BUILD_TESTS=OFF \
    -DCOPPICE_BUILD_SAMPLES=OFF >"$scratch/bare.log" 2>&1 || { cat "$scratch/bare.log"; fail "see above"; }

printf '== install, then move\n'
cmake --install "$build" --prefix "$scratch/first" >"$scratch/install.log" || { cat "$scratch/install.log"; exit 1; }
mv "$scratch/first" "$scratch/moved"
prefix=$scratch/moved
if grep -rIl -e "$scratch/first" -e "$(cd "$here/../.." && pwd)" "$prefix"; then
    fail "the files above name the folder in which Coppice was built"
fi

printf '== find_package\n'
cmake -S "$here/install" -B "$scratch/cmake" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$prefix"
cmake --build "$scratch/cmake"
expect_hello "$scratch/cmake/outside"
expect_hello "$scratch/cmake/outside_service"

printf '== find_package with a compiler that miscompiles coroutines\n'
if command -v g++-12 >/dev/null; then
    if cmake -S "$here/install" -B "$scratch/gcc" -G Ninja -DCMAKE_CXX_COMPILER=g++-12 \
        -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/gcc.log" 2>&1; then
        fail "find_package(Coppice) accepted g++-12"
    fi
    grep -q "body_without_declaration:" "$scratch/gcc.log" || { cat "$scratch/gcc.log"; fail "refused for another reason"; }
fi

pc=$(find "$prefix" -name coppice.pc -printf '%h')
export PKG_CONFIG_PATH=$pc
for static in "" --static; do
    printf '== pkg-config %s\n' "$static"
    read -ra flags <<<"$(pkg-config $static --cflags --libs coppice)"
    printf '  %s\n' "${flags[*]}"
    "$compiler" -std=c++20 "$here/install/main.cpp" -o "$scratch/outside$static" "${flags[@]}"
    expect_hello "$scratch/outside$static"
done
printf 'passed\n'
