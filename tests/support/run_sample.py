#!/usr/bin/env python3
"""Runs a sample and compares what it prints on standard output with its .expected file, exactly.

Usage: run_sample.py [--update] expected_file program [arguments...]
Prints a unified diff when they differ. --update writes the file instead of comparing. Standard library only.
"""
import difflib
import os
import subprocess
import sys


def main(arguments):
    update = bool(arguments) and arguments[0] == "--update"
    if update:
        arguments = arguments[1:]
    if len(arguments) < 2:
        sys.exit(__doc__)
    expected_file, command = arguments[0], arguments[1:]

    # Standard error passes through: ctest shows it when the sample fails.
    run = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    printed = run.stdout.decode("utf-8", errors="replace")
    if run.returncode != 0:
        print(printed)
        print(f"{command[0]}: ended with status {run.returncode}, expected 0")
        return 1
    if update:
        with open(expected_file, "w", encoding="utf-8") as file:
            file.write(printed)
        print(f"wrote {expected_file}")
        return 0
    if not os.path.exists(expected_file):
        print(printed)
        print(f"{expected_file} does not exist; the sample printed what stands above. Write it with --update.")
        return 1

    with open(expected_file, encoding="utf-8") as file:
        expected = file.read()
    if printed == expected:
        return 0
    diff = difflib.unified_diff(
        expected.splitlines(keepends=True), printed.splitlines(keepends=True), expected_file, "printed"
    )
    for line in diff:
        print(line, end="" if line.endswith("\n") else "\n\\ no newline at the end\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
