#!/usr/bin/env python3
"""Holds what libcoppice.so shows, and the sizes and offsets of the structs of its headers, against a committed list.

Usage: abi.py [--update] abi.txt libcoppice.so c_compiler include_folder scratch_folder
A function that is gone and a struct whose beginning has changed break programs that are there; what is new has to be put on the list
(--update writes it). Needs nm. Standard library only.
"""
import difflib
import os
import re
import subprocess
import sys

HEADERS = ("coppice.h", "coppice_space.h")
STRUCTS = ("coppice_node_options", "coppice_actor_options", "coppice_view", "coppice_space_options", "coppice_slot_pointer")


def functions(library):
    """Names with their version."""
    shown = subprocess.run(["nm", "-D", "--defined-only", "--with-symbol-versions", library], stdout=subprocess.PIPE,
                           check=True, text=True).stdout
    lines = [line.split() for line in shown.splitlines()]
    return sorted(f"{fields[-1]} {fields[-2]}" for fields in lines if fields[-2] != "A")


def declared(header):
    return set(re.findall(r"COPPICE_API[^;(]*?\b(coppice_\w+)\(", header))


def numbers(header, compiler, include, scratch):
    """Sizes and offsets as a C compiler sees them, and the enumerators."""
    lines = []
    for struct in STRUCTS:
        body = re.search(r"typedef struct " + struct + r" \{(.*?)\}", header, re.DOTALL).group(1)
        members = re.findall(r"(\w+)[,;]", re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL))
        lines.append(f'printf("sizeof {struct} %zu\\n", sizeof({struct}));')
        lines += [f'printf("{struct}.{m} %zu\\n", offsetof({struct}, {m}));' for m in members]
    for enum in re.findall(r"enum coppice_\w+ \{(.*?)\};", header, re.DOTALL):
        lines += [f'printf("{name} %d\\n", (int){name});' for name in re.findall(r"\b(COPPICE_\w+) =", enum)]
    source = os.path.join(scratch, "abi.c")
    program = os.path.join(scratch, "abi")
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <stddef.h>\n#include <stdio.h>\n" + "".join(f'#include "{name}"\n' for name in HEADERS) + "int main(void) {\n"
                   + "\n".join(lines) + "\nreturn 0;\n}\n")
    subprocess.run([compiler, "-std=c11", "-Wall", "-Werror", f"-I{include}", source, "-o", program], check=True)
    return subprocess.run([program], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()


def main(arguments):
    update = bool(arguments) and arguments[0] == "--update"
    if update:
        arguments = arguments[1:]
    if len(arguments) != 5:
        sys.exit(__doc__)
    listed, library, compiler, include, scratch = arguments
    header = ""
    for name in HEADERS:
        with open(os.path.join(include, name), encoding="utf-8") as file:
            header += file.read()
    shown = functions(library)
    names = {line.split("@")[0] for line in shown}
    missing = sorted(declared(header) - names)
    extra = sorted(names - declared(header))
    if missing or extra:
        print("declared in its headers and not shown by the library:", *missing)
        print("shown by the library and not declared in its headers:", *extra)
        return 1
    found = "\n".join(shown + numbers(header, compiler, include, scratch)) + "\n"
    if update:
        with open(listed, "w", encoding="utf-8") as file:
            file.write(found)
        return 0
    with open(listed, encoding="utf-8") as file:
        wanted = file.read()
    if found == wanted:
        return 0
    print("\n".join(difflib.unified_diff(wanted.splitlines(), found.splitlines(), listed, "what is built", lineterm="")))
    print("What is new: abi.py --update. What is gone or moved breaks programs that are there: a new major version.")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
