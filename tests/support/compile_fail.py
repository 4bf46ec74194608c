#!/usr/bin/env python3
"""Compiles one file of tests/compile_fail and checks that it fails as it says it will.

Usage: compile_fail.py source.cpp -- compiler flags...
A file named ok_*.cpp must compile. Any other must fail, and every '// EXPECT: regex' among its first lines must be
found in what the compiler says. Standard library only.
"""
import os
import re
import subprocess
import sys

EXPECT_WITHIN_LINES = 20


def main(arguments):
    if len(arguments) < 3 or arguments[1] != "--":
        sys.exit(__doc__)
    source, compiler = arguments[0], arguments[2:]
    with open(source, encoding="utf-8") as file:
        head = file.read().splitlines()[:EXPECT_WITHIN_LINES]
    expected = [line.split("// EXPECT:", 1)[1].strip() for line in head if line.startswith("// EXPECT:")]
    must_compile = os.path.basename(source).startswith("ok_")

    if must_compile and expected:
        sys.exit(f"{source}: an ok_ file must compile, so it cannot have EXPECT lines")
    if not must_compile and not expected:
        sys.exit(f"{source}: no '// EXPECT: regex' in its first {EXPECT_WITHIN_LINES} lines; say why it must fail")

    run = subprocess.run(compiler + [source], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    compiled = run.returncode == 0
    missing = [regex for regex in expected if not re.search(regex, run.stdout)]
    if compiled == must_compile and not missing:
        print("compiles, as it must" if compiled else "is refused for the reason that it states")
        return 0

    print(run.stdout)
    if compiled and not must_compile:
        print(f"{source}: compiles, but must not")
    elif must_compile:
        print(f"{source}: must compile, but does not")
    for regex in missing if not compiled else []:
        print(f"{source}: the compiler's output (above) does not contain: {regex}")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
