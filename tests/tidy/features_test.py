"""tools/features on results made for it: which rows pass, and what it ends with. Reads docs/features.md, writes nothing."""
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
RESULTS = """<testsuite>
<testcase name="unit.W1AThread" status="run"/>
<testcase name="capi.CActors.P1EachKind/unix" status="run"/>
<testcase name="capi.CActors.P1EachKind/shm" status="notrun"><skipped message="no shm"/></testcase>
<testcase name="net.O2.ADuplicate/tcp" status="run"/>
<testcase name="net.O2.ADuplicate/tls" status="fail"><failure message=""/></testcase>
<testcase name="unit.Of/S3.Skipped" status="notrun"><skipped message=""/></testcase>
<testcase name="unit.W100IsNoRow" status="run"/>
<testcase name="unit.NoS12Row" status="run"/>
</testsuite>"""


def features(*arguments):
    done = subprocess.run([ROOT / "tools/features", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


def expect(holds, what):
    if not holds:
        sys.exit(f"features_test: {what}")


with tempfile.TemporaryDirectory() as directory:
    file = pathlib.Path(directory) / "results.xml"
    file.write_text(RESULTS, encoding="utf-8")
    status, lines, _ = features(file)
    said = {line.split()[0]: line for line in lines[:-1]}
    expect(status == 1, "rows without a test are no success")
    expect(lines[-1] == f"2 of {len(said)}", f"ends with {lines[-1]}")
    expect(said["W1"].endswith(" 1 passed"), said["W1"])
    expect(said["P1"].endswith(" 1 passed, 1 skipped"), said["P1"])
    expect(said["O2"].endswith(" 1 passed, 1 failed"), said["O2"])
    expect(said["S3"].endswith(" 1 skipped"), said["S3"])
    for one in ("W10", "S12", "F1"):
        expect(said[one].endswith(" no test"), said[one])
    _, missing, _ = features("--missing", file)
    expect(not any(line.startswith(("W1 ", "P1 ")) for line in missing), "what passes is not missing")
    expect(len(missing) == len(lines) - 2, "all else is")
    status, _, text = features(pathlib.Path(directory) / "none.xml")
    expect(status == 2 and "run tools/test first" in text, "results that are not there are told")
