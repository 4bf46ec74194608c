#!/usr/bin/env bash
# A program in C11 is built outside: by a CMake project of its own, which has no C++; and by pkg-config alone, with the C compiler
# of the build and with gcc, with the shared and with the static library.
#
# install.sh build_folder scratch_folder c_compiler
# Installs the build, moves the prefix (the packages are relocatable), builds sample.c in all ways and runs it.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=$1
scratch=$2
compiler=$3

rm -rf "$scratch"
mkdir -p "$scratch"
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

cmake --install "$build" --prefix "$scratch/first" >"$scratch/install.log" || { cat "$scratch/install.log"; exit 1; }
mv "$scratch/first" "$scratch/moved"
PKG_CONFIG_PATH=$(find "$scratch/moved" -name coppice-c.pc -printf '%h')
export PKG_CONFIG_PATH
library=$(pkg-config --variable=libdir coppice-c)

expect_sample() { # PROGRAM: prints what sample.expected has
    LD_LIBRARY_PATH=$library "$1" >"$1.txt" || fail "$1: status $?"
    diff "$here/sample.expected" "$1.txt" || fail "$1 printed something else"
}

printf '== find_package, in a project without C++\n'
cmake -S "$here/outside" -B "$scratch/cmake" -G Ninja -DCMAKE_C_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$scratch/moved" \
    -DSAMPLE="$here/sample.c"
cmake --build "$scratch/cmake"
expect_sample "$scratch/cmake/outside"
readelf -d "$scratch/cmake/outside" | grep -q 'libcoppice\.so\.1' || fail "outside is not linked with libcoppice.so.1"

compilers=("$compiler")
command -v gcc >/dev/null && compilers+=(gcc)
for module in coppice-c coppice-c-static; do
    read -ra flags <<<"$(pkg-config --cflags --libs "$module")"
    for one in "${compilers[@]}"; do
        printf '== %s with %s: %s\n' "$module" "$one" "${flags[*]}"
        "$one" -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror "$here/sample.c" \
            -o "$scratch/$module" "${flags[@]}"
        expect_sample "$scratch/$module"
    done
done
readelf -d "$scratch/coppice-c" | grep -q 'libcoppice\.so\.1' || fail "coppice-c is not linked with libcoppice.so.1"
! readelf -d "$scratch/coppice-c-static" | grep -q libcoppice || fail "coppice-c-static needs libcoppice.so"
# What a program in C loads is what it uses: the ready-made actors' own libraries are not among it.
! readelf -d "$library"/libcoppice.so | grep -q 'NEEDED.*lua' || fail "libcoppice.so needs Lua"
printf 'passed\n'
