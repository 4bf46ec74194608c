#!/usr/bin/env python3
"""Checks of the sources themselves, for what neither compiler nor formatter sees.

Usage: check.py [--root FOLDER] [--fix] check... | all
Each finding is printed as 'file:line: text'. Status: 0 nothing found, 1 something found, 77 nothing to look at yet.
--fix is for doc_code: it writes the present text of the regions into the documents. Standard library only.
"""
import argparse
import os
import re
import subprocess
import sys
import textwrap
import urllib.parse

SKIPPED = 77

# How a file comment begins, by the file's ending. What is not listed needs none: prose, data, expected outputs.
COMMENT_STARTS = {
    ".hpp": ("//", "/*"), ".cpp": ("//", "/*"), ".h": ("//", "/*"), ".c": ("//", "/*"), ".js": ("//", "/*"),
    ".mjs": ("//", "/*"), ".ts": ("//", "/*"), ".css": ("/*",), ".go": ("//",), ".rs": ("//",), ".java": ("//", "/*"),
    ".cs": ("//", "/*"), ".html": ("<!--",), ".lua": ("--",), ".erl": ("%",), ".sh": ("#",), ".py": ("#", '"""'),
    ".rb": ("#",), ".cmake": ("#",), ".capnp": ("#",), ".toml": ("#",), ".yml": ("#",), ".yaml": ("#",),
}
# In these folders the comment says what, why, and on which thread: that takes two lines.
LONGER_COMMENT = ("framework/include/", "framework/src/", "transport/", "actors/")

# Written by programs, or compared byte by byte: their whitespace is not ours to choose.
ANY_WHITESPACE = re.compile(r"\.(expected|patch|diff|bin|png|svg|pem|crt|key|der)$|/corpus/")
TABS_ALLOWED = re.compile(r"\.go$|(^|/)Makefile$|^\.gitmodules$")

# Folders of one machine. A folder of the same name further down in a path is none.
MACHINE_PATH = re.compile(r"(?<![\w.$}>*-])/(home|root|Users|work|workspace|builds)(/[\w.-]+|\b(?![\w-]))")


class tree:
    """The project's files, by path from its root; the text of each is read once."""

    def __init__(self, root):
        self.root = root
        self.texts = {}
        self.files = sorted(self._list())

    def _list(self):
        command = ["git", "-C", self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        try:
            listed = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
            names = {name for name in listed.decode().split("\0") if name}
        except (OSError, subprocess.CalledProcessError):  # an unpacked archive
            names = set()
            for folder, folders, files in os.walk(self.root):
                folders[:] = [f for f in folders if f not in (".git", "build", ".cache", "__pycache__")]
                names.update(os.path.relpath(os.path.join(folder, file), self.root) for file in files)
        return [name for name in names if os.path.isfile(os.path.join(self.root, name))]

    def text(self, name):
        """None if the file is not text."""
        if name not in self.texts:
            with open(os.path.join(self.root, name), "rb") as file:
                data = file.read()
            try:
                self.texts[name] = None if b"\0" in data else data.decode("utf-8")
            except UnicodeDecodeError:
                self.texts[name] = None
        return self.texts[name]

    def lines(self, name):
        """(number, line) of a text file, without line ends."""
        return enumerate((self.text(name) or "").split("\n"), start=1)

    def matching(self, pattern):
        return [name for name in self.files if re.search(pattern, name) and self.text(name) is not None]


# ---- the checks: each yields (file, line number, text) --------------------------------------------------------------


def file_comments(project, _):
    """A source, header, script or CMake file opens with a comment that says what it is and why."""
    for name in project.files:
        text = project.text(name)
        if not text:
            continue
        ending = os.path.splitext(name)[1]
        starts = COMMENT_STARTS.get(ending)
        if os.path.basename(name) == "CMakeLists.txt" or text.startswith("#!"):
            starts = starts or ("#", '"""')
        if name.endswith(".cmake.in"):
            starts = ("#",)
        if not starts:
            continue
        lines = text.split("\n")
        if lines[0].startswith("#!"):
            lines = lines[1:]
        if lines and lines[0].startswith("<!DOCTYPE"):
            lines = lines[1:]
        if not lines or not lines[0].startswith(starts):
            yield name, 1, "does not open with a comment: what it is, why it exists, its threading rule"
        elif name.startswith(LONGER_COMMENT) and ending in (".hpp", ".cpp"):
            is_block = lines[0].startswith("/*")
            if not is_block and (len(lines) < 2 or not lines[1].startswith("//")):
                yield name, 1, "its file comment has one line; say what it is, why it exists, its threading rule"


INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def include_layering(project, _):
    """Every arrow points at framework/; actors, transport and samples see its public headers only."""
    private = {os.path.relpath(n, "framework/src") for n in project.matching(r"^framework/src/.*\.(hpp|h)$")}

    for name in project.matching(r"^(framework|actors|transport|samples)/.*\.(hpp|cpp|h)$"):
        layer = name.split("/")[0]
        public = re.match(r"^(framework|actors|transport)/include/", name) is not None
        for number, line in project.lines(name):
            match = INCLUDE.match(line)
            if not match:
                continue
            quoted, target = match.group(1) == '"', match.group(2)
            beside = os.path.normpath(os.path.join(os.path.dirname(name), target))
            found_beside = quoted and beside in project.files

            leaf = name.startswith("framework/capi/")
            if layer == "framework" and not leaf and target.startswith(("coppice/transport/", "coppice/actors/")):
                yield name, number, f"framework must not know {target}: it declares the interface, others implement it"
            if layer == "framework" and found_beside and not beside.startswith("framework/"):
                yield name, number, f"framework must not include {beside}, which is outside of it"
            if name.startswith(("framework/include/", "framework/src/")) and beside.startswith("framework/capi/"):
                yield name, number, "the C interface is a leaf: the framework must not include it"
            if layer == "actors" and target.startswith("coppice/transport/"):
                yield name, number, f"actors must not know transports: {target}"
            if layer == "transport" and target.startswith("coppice/actors/"):
                yield name, number, f"transport knows no actors: {target}"
            if layer != "framework":
                if target.startswith("coppice/detail/"):
                    yield name, number, f"{target} is a detail of the framework; use its public headers"
                if (target in private and not found_beside) or (found_beside and beside.startswith("framework/src/")):
                    yield name, number, f"{target} is private to the framework; use its public headers"
            if layer == "samples" and target.startswith(("support/", "../tests/")):
                yield name, number, "a sample uses what a user has, not the tests' helpers"
            if public:
                if target.startswith(("boost/asio", "boost/beast", "asio")) and not name.endswith("/coppice/await.hpp"):
                    yield name, number, f"{target}: Asio stays out of public headers; only coppice/await.hpp has it"
                if target.startswith("spdlog"):
                    yield name, number, f"{target}: spdlog stays out of public headers"
                if target in private and not found_beside:
                    yield name, number, f"{target} is private: a public header cannot include it"


FENCE = re.compile(r"^(\s*)(```+|~~~+)\s*([\w+-]*)")
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^()\s>]+(?:\([^)]*\))?)>?(?:\s+[\"'][^)]*)?\)")
LINK_DEFINITION = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*<?(\S+?)>?(\s|$)")


def prose(project, name):
    """(number, line) of a Markdown file without code blocks, and with inline code blanked."""
    fence = None
    for number, line in project.lines(name):
        match = FENCE.match(line)
        if match and fence is None:
            fence = match.group(2)
        elif fence is not None:
            if line.strip().startswith(fence) and not line.strip().strip(fence[0]):
                fence = None
        else:
            yield number, line


def anchors(project, name):
    """What '#...' may point at in a Markdown file: headings, as GitHub names them, and explicit ids."""
    seen, result = {}, set()
    for _, line in prose(project, name):
        result.update(re.findall(r"""<\w+\s[^>]*\b(?:id|name)=["']([^"']+)""", line))
        heading = re.match(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$", line)
        if heading:
            text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading.group(1))
            text = re.sub(r"<[^>]+>", "", text).lower()
            slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
            count = seen.get(slug, 0)
            seen[slug] = count + 1
            result.add(slug if count == 0 else f"{slug}-{count}")
    return result


def live_links(project, _):
    """A relative link in Markdown leads to a file that exists, and its #anchor to a heading."""
    for name in project.matching(r"\.md$"):
        for number, line in prose(project, name):
            line = re.sub(r"(`+)(.+?)\1", lambda m: "`" * len(m.group(0)), line)
            targets = LINK.findall(line) + [m.group(1) for m in [LINK_DEFINITION.match(line)] if m]
            for target in targets:
                if re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]*:", target):
                    continue  # http:, mailto:
                path, _, anchor = urllib.parse.unquote(target).partition("#")
                if path.startswith("/"):
                    yield name, number, f"{target}: write the link relative to this file"
                    continue
                goal = os.path.normpath(os.path.join(os.path.dirname(name), path)) if path else name
                if goal.startswith(".."):
                    yield name, number, f"{target}: leads out of the project"
                elif not os.path.exists(os.path.join(project.root, goal)):
                    yield name, number, f"{target}: no such file"
                elif anchor and goal.endswith(".md") and anchor not in anchors(project, goal):
                    yield name, number, f"{target}: {goal} has no heading for #{anchor}"


def error_codes(project, _):
    """Every errc of error.hpp has its line in docs/errors.md, with the same number, and no line is left over."""
    header, page = "framework/include/coppice/error.hpp", "docs/errors.md"
    if header not in project.files or page not in project.files:
        print(f"{header} or {page} is not there yet")
        sys.exit(SKIPPED)
    body = re.search(r"enum class errc\b[^{]*\{(.*?)\n\};", project.text(header), re.S)
    if not body:
        yield header, 1, "no 'enum class errc { ... };' found"
        return
    first_line = project.text(header)[: body.start(1)].count("\n") + 1
    codes = {}
    for offset, line in enumerate(body.group(1).split("\n")):
        for entry in re.finditer(r"\b([a-z]\w*)\s*=\s*(\d+)", line.split("//")[0]):
            codes[entry.group(1)] = (int(entry.group(2)), first_line + offset)

    documented = set()
    for number, line in project.lines(page):
        named = re.findall(r"`(?:errc::|coppice::errc::)?([a-z]\w*)`", line)
        cells = [cell.strip().strip("`") for cell in line.strip().strip("|").split("|")]
        numbers = [int(cell) for cell in cells if cell.isdigit()]
        if not line.startswith(("|", "#")):
            continue
        # In a row of the table the code is what the first cells name; the others may mention further codes.
        subject = next((n for n in named if n in codes), None)
        if line.startswith("|") and numbers:
            leading = re.findall(r"`(?:coppice::)?(?:errc::)?([a-z]\w*)`", "|".join(line.split("|")[:4]))
            if leading and leading[0] not in codes:
                yield page, number, f"`{leading[0]}` is no errc of {header}"
                continue
            subject = leading[0] if leading else subject
            if subject and codes[subject][0] not in numbers:
                yield page, number, f"`{subject}` is {codes[subject][0]} in {header}, not {numbers[0]}"
        if subject:
            documented.add(subject)
    for code, (_, number) in codes.items():
        if code not in documented:
            yield header, number, f"errc::{code} has no row or heading in {page}"


REGION_SOURCE = re.compile(r"^\s*<!--\s*from:\s*([^#\s]+)(?:#([\w.-]+))?\s*-->\s*$")


def region_text(project, path, region):
    """The dedented lines between '// [region]' and '// [/region]', or the whole file; a str, or an error as (None, why)."""
    if path not in project.files:
        return None, f"{path}: no such file"
    lines = project.text(path).expandtabs(4).split("\n")  # Go has tabs, Markdown has none
    if region is None:
        return "\n".join(lines).strip("\n"), None
    marker = re.compile(r"^\s*(?://|#|--|%|/\*)\s*\[(/?)([\w.-]+)\]\s*(?:\*/)?\s*$")
    taken, inside, seen, closed = [], False, False, False
    for line in lines:
        match = marker.match(line)
        if match:  # markers of other regions are not shown either
            if match.group(2) == region:
                inside = match.group(1) == ""
                seen = seen or inside
                closed = not inside
            continue
        if inside:
            taken.append(line)
    if not seen:
        return None, f"{path} has no line '// [{region}]'"
    if not closed:
        return None, f"{path} has no line '// [/{region}]'"
    return textwrap.dedent("\n".join(taken)).strip("\n"), None


def doc_code(project, fix):
    """C++ shown in Markdown is the text of a region of a file that is compiled; '<!-- from: path#region -->' says which."""
    for name in project.matching(r"\.md$"):
        lines = project.text(name).split("\n")
        output, changed, source, n = [], False, None, 0
        while n < len(lines):
            line = lines[n]
            comment = REGION_SOURCE.match(line)
            fence = FENCE.match(line)
            if not fence:
                if comment:
                    source = (n + 1, comment.group(1), comment.group(2))
                elif line.strip():
                    if source:
                        yield name, source[0], "no code block follows this comment"
                    source = None
                output.append(line)
                n += 1
                continue

            indent, ticks, language = fence.groups()
            end = n + 1
            while end < len(lines) and lines[end].strip() != ticks:
                end += 1
            shown = "\n".join(text[len(indent):] if text.startswith(indent) else text for text in lines[n + 1 : end])
            body = lines[n + 1 : end]
            if end == len(lines):
                yield name, n + 1, "this code block has no end"
            elif source:
                wanted, why = region_text(project, source[1], source[2])
                if wanted is None:
                    yield name, source[0], why
                elif shown.strip("\n") != wanted:
                    if fix:
                        body = [indent + text if text else "" for text in wanted.split("\n")]
                        changed = True
                    else:
                        where = source[1] + (f"#{source[2]}" if source[2] else "")
                        yield name, n + 1, f"differs from {where}; python3 tests/tidy/check.py --fix doc_code updates it"
            elif language == "cpp":
                yield name, n + 1, "C++ without a source: put '<!-- from: path#region -->' before it, so that it is compiled"
            output += [line, *body, *lines[end : end + 1]]
            n, source = end + 1, None
        if changed:
            with open(os.path.join(project.root, name), "w", encoding="utf-8") as file:
                file.write("\n".join(output))
            print(f"wrote {name}")


def whitespace(project, _):
    """No tab, no trailing blank, no carriage return; a file ends with one line end."""
    for name in project.files:
        text = project.text(name)
        if not text or ANY_WHITESPACE.search(name):
            continue
        for number, line in project.lines(name):
            if line.endswith("\r"):
                yield name, number, "carriage return at the end of the line"
            elif line != line.rstrip():
                yield name, number, "blank at the end of the line"
            if "\t" in line and not TABS_ALLOWED.search(name):
                yield name, number, "tab; indent with spaces"
        if not text.endswith("\n"):
            yield name, text.count("\n") + 1, "no line end at the end of the file"
        elif text.endswith("\n\n"):
            yield name, text.count("\n"), "empty line at the end of the file"


def machine_paths(project, _):
    """No path of somebody's machine."""
    for name in project.files:
        if project.text(name) is None:
            continue
        for number, line in project.lines(name):
            match = MACHINE_PATH.search(line)
            if match:
                yield name, number, f"{match.group(0)} is a path of one machine"


CHECKS = (file_comments, include_layering, live_links, error_codes, doc_code, whitespace, machine_paths)


def main():
    by_name = {check.__name__: check for check in CHECKS}
    listed = "\n".join(f"  {check.__name__:<18}{check.__doc__}" for check in CHECKS)
    parser = argparse.ArgumentParser(
        description=__doc__ + "\nChecks:\n" + listed, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."))
    parser.add_argument("--fix", action="store_true", help="doc_code: update the documents")
    parser.add_argument("checks", nargs="+", choices=[*by_name, "all"], metavar="check")
    arguments = parser.parse_args()

    names = list(by_name) if "all" in arguments.checks else arguments.checks
    project = tree(os.path.normpath(arguments.root))
    found = 0
    for name in names:
        for file, number, text in by_name[name](project, arguments.fix):
            print(f"{file}:{number}: {text}")
            found += 1
    print(f"{found} findings" if found else "nothing found")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
