#!/usr/bin/env bash
# The C interface under valgrind: no wrong access, and at the end nothing lost. Its own nodes and wrong calls included.
#
# valgrind.sh PROGRAM FOLDER: tests_capi, and where a copy of it may lie. The copy has no debug information, which Debian's
# valgrind cannot read as clang writes it; an error names functions all the same. 77: there is no valgrind.
# Not in it: processes and links, whose tests have limits of time that valgrind's slowness would meet, and a forked process,
# which has lost what threads that are not there any more had hold of.
set -euo pipefail
program=$1 folder=$2
command -v valgrind >/dev/null || { echo "valgrind is not installed: tools/setup"; exit 77; }
mkdir -p "$folder"
copy=$folder/tests_capi
strip --strip-debug -o "$copy" "$program"
COPPICE_TEST_WATCHDOG=0 exec valgrind --quiet --error-exitcode=9 --leak-check=full \
    --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \
    "$copy" --gtest_brief=1 \
    --gtest_filter='-*Languages*:*CNodes*:*Children*:*Trees*:*Linger*:*SpacePython*:*Forked*:CSpace.*W17*:CSpace.AGuardThatIsOpenWhen*:CSpace.Pointers*'
