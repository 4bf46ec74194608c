#!/usr/bin/env python3
"""Runs ctest with a progress line, and sums up per label; the last line is 'N passed, M failed[, K skipped]'.

Usage: run_ctest.py build_folder ctest-arguments...   (called by tools/test)
Shows the whole output of a test that fails, and of the rest only how far things are. The exit status is 0 if at least
one test ran and none failed. Standard library only.
"""
import json
import os
import re
import subprocess
import sys
import time
import xml.sax.saxutils

KNOWN_LABELS = "unit conformance sim property stress integration samples compile_fail tidy fuzz"
PROGRESS_SECONDS = 10  # where no terminal overwrites the line

# "Test", in the first run of several, comes without the running number.
RESULT = re.compile(r"^\s*(?:(\d+)/(\d+))?\s*Test\s+#\d+: (.+?)(?:\s+# GetParam\(\).*?)? \.*\s*(Passed|\*\*\*[A-Z][A-Za-z ]*)")
NOISE = re.compile(
    r"^(Test project |\s+Start\s+\d+:|\d+% tests passed|Label Time Summary|\w+ += +[\d.]+ sec\*proc|Total Test time"
    r"|The following tests (FAILED|did not run):|\t\s*\d+ - |Errors while running CTest|No tests were found)"
)


def labels_of_tests(ctest):
    """The label of every test, by the test's name."""
    shown = subprocess.run(ctest + ["--show-only=json-v1"], stdout=subprocess.PIPE, text=True, check=False)
    labels = {}
    for test in json.loads(shown.stdout or "{}").get("tests", []):
        for prop in test.get("properties", []):
            if prop["name"] == "LABELS":
                labels[test["name"]] = prop["value"][0]
    return labels


class Progress:
    """One line that a terminal overwrites; elsewhere one line every few seconds."""

    def __init__(self):
        self.terminal = sys.stdout.isatty()
        self.shown_at = time.monotonic()
        self.failed = 0

    def show(self, done, total, name):
        text = f"[{done}/{total}, {self.failed} failed] {name}"
        if self.terminal:
            print("\r\033[K" + text[:110], end="", flush=True)
        elif time.monotonic() - self.shown_at >= PROGRESS_SECONDS:
            self.shown_at = time.monotonic()
            print(text, flush=True)

    def line(self, text):
        print(("\r\033[K" if self.terminal else "") + text, flush=True)


def run(ctest):
    """Runs ctest and passes on what matters of its output, as it comes."""
    progress = Progress()
    with subprocess.Popen(
        ctest, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        done, total, blank = "0", "?", False
        for raw in process.stdout:
            text = raw.rstrip("\n")
            match = RESULT.match(text)
            if match:
                done, total = match.group(1) or done, match.group(2) or total
                name, outcome = match.group(3), match.group(4).strip("* ")
                if outcome not in ("Passed", "Skipped"):
                    progress.failed += 1
                    progress.line(f"FAILED {name} ({outcome.strip()})")
                progress.show(done, total, name)
            elif not text.strip():
                blank = True
            elif not NOISE.match(text):
                progress.line(("\n" if blank else "") + text)
                blank = False
    if progress.terminal:
        print("\r\033[K", end="")


def outcomes(junit):
    """Yields (name, passed | failed | skipped). Read line by line: what tests print may make the file invalid XML."""
    with open(junit, encoding="utf-8", errors="replace") as file:
        text = file.read()
    case = re.compile(r'<testcase name="([^"]*)"[^>]* status="(\w+)">(?:\s*<(skipped) message="([^"]*)")?')
    for name, status, _, message in case.findall(text):
        name = xml.sax.saxutils.unescape(name, {"&quot;": '"', "&apos;": "'"})
        if status == "run":
            yield name, "passed"
        elif status == "disabled" or (status == "notrun" and message.startswith("SKIP_")):
            yield name, "skipped"
        else:
            yield name, "failed"


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    build_folder, ctest = arguments[0], ["ctest"] + arguments[1:]
    junit = os.path.join(os.path.abspath(build_folder), "Testing", "tools_test.xml")
    os.makedirs(os.path.dirname(junit), exist_ok=True)
    if os.path.exists(junit):
        os.remove(junit)

    started = time.monotonic()
    labels = labels_of_tests(ctest)
    run(ctest + ["--output-on-failure", "--output-junit", junit])
    seconds = time.monotonic() - started

    counts, failures, skips = {}, [], []
    for name, outcome in outcomes(junit) if os.path.exists(junit) else []:
        count = counts.setdefault(labels.get(name, "(no label)"), {"passed": 0, "failed": 0, "skipped": 0})
        count[outcome] += 1
        if outcome == "failed":
            failures.append(name)
        elif outcome == "skipped":
            skips.append(name)

    passed, failed, skipped = (sum(count[key] for count in counts.values()) for key in ("passed", "failed", "skipped"))
    if passed + failed == 0:
        print(f"\nNo test ran, which counts as a failure. Labels: {KNOWN_LABELS}; tools/test --list shows the tests.")
        print("0 passed, 1 failed")
        return 1

    print(f"\n{'label':<14}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for label in sorted(counts):
        count = counts[label]
        print(f"{label:<14}{count['passed']:>8}{count['failed']:>8}{count['skipped']:>9}")
    for title, names in (("skipped", skips), ("failed", failures)):
        if names:
            print(f"\n{title}:")
            print("\n".join(f"  {name}" for name in names))
    print(f"\nin {seconds:.0f} s; all output is in {os.path.relpath(junit)}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
