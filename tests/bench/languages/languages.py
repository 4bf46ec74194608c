#!/usr/bin/env python3
"""The programs of suite languages, by the name that this file is called by: ours_, cxx_, pyzmq_ and zeromqjs_languages.

    PROGRAM [--row NAME]... [--json] [--quick] [--list]

A row is LANGUAGE_KIND_WORK_64. It is played by two processes of one language, each on a core of its own: the side "far PLACE"
says "ready" when it can be reached and answers messages whose first byte is not 0 with how many it has got since the last
answer; the side "near PLACE rtt|oneway SECONDS" plays and prints its figure. All messages have 64 bytes.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BUILT = pathlib.Path(__file__).resolve().parent
SOURCES = pathlib.Path("@CMAKE_CURRENT_SOURCE_DIR@/languages")
BINDINGS = pathlib.Path("@PROJECT_SOURCE_DIR@/framework/bindings")
PYTHON = "/usr/bin/python3"  # whose packages Debian has
ZEROMQJS = BUILT / "zeromqjs"  # where tools/bench installs it

SIDES = {  # program: language of its rows: command
    "ours": {
        "c": [BUILT / "c_side"],
        "python": [PYTHON, SOURCES / "python_side.py"],
        "node": ["node", SOURCES / "node_side.mjs"],
    },
    "cxx": {"c": [BUILT / "cxx_side"]},
    "pyzmq": {"python": [PYTHON, SOURCES / "pyzmq_side.py"]},
    "zeromqjs": {"node": ["node", SOURCES / "zeromqjs_side.cjs"]},
}
KINDS = {"ours": ["unix", "shm", "tcp"], "cxx": ["unix", "shm", "tcp"], "pyzmq": ["unix", "tcp"], "zeromqjs": ["unix", "tcp"]}
UNITS = {"rtt": "us", "oneway": "1/s"}


def rows_of(program):
    return [
        f"{language}_{kind}_{work}_64" for language in SIDES[program] for kind in KINDS[program] for work in UNITS
    ]  # fmt: skip


def place(program, kind, directory):
    port = 20000 + os.getpid() % 10000
    if program in ("ours", "cxx"):
        return f"tcp://127.0.0.1:{port}" if kind == "tcp" else f"{kind}://far"
    return f"tcp://127.0.0.1:{port}" if kind == "tcp" else f"ipc://{directory}/far"


def play(program, row, quick):
    language, kind, work, _ = row.split("_")
    command = [str(word) for word in SIDES[program][language]]
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="coppice-bench-") as directory:
        os.chmod(directory, 0o700)
        environment = dict(
            os.environ,
            COPPICE_RUN_DIR=directory,
            COPPICE_LIBRARY=str(BUILT.parent.parent / "framework/capi/libcoppice.so.1"),
            COPPICE_BINDING=str(BINDINGS / "node/index.js"),
            PYTHONPATH=str(BINDINGS / "python"),
            NODE_PATH=str(ZEROMQJS / "node_modules"),
        )
        where = place(program, kind, directory)

        def side(core, *arguments):
            return subprocess.Popen(
                [*command, *arguments], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )  # fmt: skip

        with contextlib.ExitStack() as ends:
            far = side(cores[-1], "far", where)
            ends.callback(far.wait)
            ends.callback(far.kill)
            if far.stdout.readline().strip() != "ready":
                sys.exit(f"{command[0]}: the far side did not begin")
            near = side(cores[0], "near", where, work, "0.2" if quick else "2")
            ends.callback(near.wait)
            ends.callback(near.kill)
            said, _ = near.communicate(timeout=120)
            if near.returncode != 0:
                sys.exit(f"{command[0]}: the near side ended with exit status {near.returncode}")
            return float(said.split()[-1])


def missing(program, language):
    if language == "node" and not shutil.which("node"):
        return "Node.js is not installed"
    if program == "ours" and language == "node" and not (BINDINGS / "node/node_modules/koffi").exists():
        return "koffi is not installed: tools/setup --languages node"
    return ""


def main(arguments):
    program = pathlib.Path(sys.argv[0]).name.removesuffix("_languages")
    rows = rows_of(program)
    if "--list" in arguments:
        print("\n".join(rows))
        return
    wanted = [arguments[i + 1] for i, word in enumerate(arguments) if word == "--row"] or rows
    for row in wanted:
        if row not in rows:
            sys.exit(f"{program}_languages has no row {row}")
        why = missing(program, row.split("_")[0])
        line = {"row": row, "skip": why} if why else None
        if not line:
            line = {"row": row, "value": play(program, row, "--quick" in arguments), "unit": UNITS[row.split("_")[2]]}
        print(json.dumps(line) if "--json" in arguments else f"{row:<22} {line.get('value', why)} {line.get('unit', '')}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
