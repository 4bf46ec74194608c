#!/usr/bin/env bash
# A program in C11 is built outside, with a C compiler and pkg-config alone, with the shared and with the static library.
#
# install.sh build_folder scratch_folder c_compiler
# Installs the build, moves the prefix (the packages are relocatable), builds sample.c in both ways and runs it.
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

for module in coppice-c coppice-c-static; do
    read -ra flags <<<"$(pkg-config --cflags --libs "$module")"
    printf '== %s: %s\n' "$module" "${flags[*]}"
    "$compiler" -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Wpedantic -Werror "$here/sample.c" \
        -o "$scratch/$module" "${flags[@]}"
    LD_LIBRARY_PATH=$library "$scratch/$module" >"$scratch/$module.txt" || fail "$module: status $?"
    diff "$here/sample.expected" "$scratch/$module.txt" || fail "$module printed something else"
done
readelf -d "$scratch/coppice-c" | grep -q 'libcoppice\.so\.1' || fail "coppice-c is not linked with libcoppice.so.1"
! readelf -d "$scratch/coppice-c-static" | grep -q libcoppice || fail "coppice-c-static needs libcoppice.so"
printf 'passed\n'
