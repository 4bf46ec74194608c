#!/usr/bin/env bash
# The configure-time self-test refuses Debian 12's g++ with a helpful text, and accepts the compiler of this build.
#
# compiler_self_test.sh scratch_folder sound_compiler
# Configures the project in compiler_self_test/, which includes that one module, and looks at status and output.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
scratch=$1
sound=$2

rm -rf "$scratch"
mkdir -p "$scratch"
fail() { printf 'FAILED: %s\n' "$*"; exit 1; }

# configure <folder> <expected: 0 or 1> cmake-arguments...: the output, its line breaks made spaces, is left in $output
configure() {
    local folder=$1 expected=$2 status=0
    shift 2
    cmake -S "$here/compiler_self_test" -B "$scratch/$folder" -G Ninja "$@" >"$scratch/$folder.log" 2>&1 || status=$?
    cat "$scratch/$folder.log"
    output=$(tr -s ' \n' ' ' <"$scratch/$folder.log")
    ((status == 0)) || status=1
    ((status == expected)) || fail "$folder: cmake ended with $status, expected $expected"
}
says() { [[ $output == *"$1"* ]] || fail "the output (above) does not contain: $1"; }
says_not() { [[ $output != *"$1"* ]] || fail "the output (above) contains: $1"; }

command -v g++-12 >/dev/null ||
    fail "g++-12 is not installed, so there is no broken compiler to refuse; tools/setup installs it"

printf '== g++-12 is refused\n'
configure gcc 1 -DCMAKE_CXX_COMPILER=g++-12
says "fails Coppice's coroutine self-test"
says "body_without_declaration:"
says "aggregate_temporary:"
says "lambda_temporary:"
says "apt-get install clang-19"
says "-DCMAKE_CXX_COMPILER=clang++-19"
says "-DCOPPICE_ALLOW_BROKEN_COMPILER=ON"

printf '== and taken at the risk of who insists\n'
configure gcc_at_own_risk 0 -DCMAKE_CXX_COMPILER=g++-12 -DCOPPICE_ALLOW_BROKEN_COMPILER=ON
says "COPPICE_ALLOW_BROKEN_COMPILER is set: going on."

printf '== %s is accepted\n' "$sound"
configure sound 0 -DCMAKE_CXX_COMPILER="$sound"
says "Coroutine self-test passed"

printf '== and not tested again\n'
configure sound 0
says_not "Coroutine self-test of"

printf '== until its flags change\n'
configure sound 0 -DCMAKE_CXX_FLAGS=-fno-omit-frame-pointer
says "Coroutine self-test passed"
printf 'passed\n'
