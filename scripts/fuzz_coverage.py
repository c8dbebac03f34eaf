# SPDX-License-Identifier: BSD-3-Clause
"""Writes what the corpora reach, and what the tests reach besides, into the generated section of docs/fuzzing.md.

Reads llvm-cov's listings of the sources, one of the corpora and one of both; knows those, the goals and the section's two
marks, nothing of the targets. A branch is a side of a condition, whichever instance of a template took it. Left out is what
nobody can reach: an assertion's other side, the cases that are there to be asserted away, tables that the compiler makes.
With --missing it prints what nothing reached.
"""

import argparse
import pathlib
import re

BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
PARSERS = ("src/wire/", "apps/common/http_", "apps/common/duration_text", "src/dpdk/port_spec", "src/base/value_text")
FOLDERS = ("src/base/", "src/wire/", "src/ds/", "src/tcp/", "src/shard/", "src/api/", "include/handfast/")
GOALS = {"parsers": (100.0, 98.0), "core": (95.0, 90.0)}
# The cold end of an assertion: who reaches it cannot tell.
LEFT_OUT = ("src/base/assert.cpp",)
LINE = re.compile(r"^ *(\d+)\| *([\d.]+[kMGTPEZY]?)?\|")
CASE = re.compile(r"^\s*case [\w:]+:\s*(//.*)?$")
TABLE = re.compile(r"^constexpr .*\bmake_\w+\(")
BRANCH = re.compile(r"Branch \((\d+):(\d+)\): \[(?:True: ([\d.]+)\w?, False: ([\d.]+)\w?|Folded)")


class Source:
    """One file: a count for each line with code, and for each condition whether either side was taken."""

    def __init__(self):
        self.lines, self.sides, self.texts = {}, {}, {}

    def read(self, text):
        if found := LINE.match(text):
            self.texts[int(found[1])] = text[found.end():]
            if found[2] is not None:
                self.lines[int(found[1])] = found[2] != "0"
        elif (found := BRANCH.search(text)) and found[3] is not None:
            taken = self.sides.setdefault((int(found[1]), int(found[2])), [False, False])
            taken[0] |= found[3] != "0"
            taken[1] |= found[4] != "0"

    def leave_out(self):
        """The cases above `HF_ASSERT(false)`, and functions that run when the program is made."""
        gone, inside = set(), False
        for number, text in sorted(self.texts.items()):
            inside = inside or TABLE.match(text) is not None
            if inside:
                gone.add(number)
            inside = inside and not text.startswith("}")
            if text.strip() == "HF_ASSERT(false);":
                gone.add(number)
                above = number - 1
                while CASE.match(self.texts.get(above, "")):
                    gone.add(above)
                    above -= 1
        self.lines = {number: ran for number, ran in self.lines.items() if number not in gone}
        self.sides = {place: taken for place, taken in self.sides.items() if place[0] not in gone}

    def sums(self):
        sides = [side for taken in self.sides.values() for side in taken]
        return [sum(self.lines.values()), len(self.lines), sum(sides), len(sides)]


def read_listing(path, root):
    """A listing's files, by their names below the root."""
    named, source = {}, None
    for text in path.read_text(errors="replace").splitlines():
        if text.startswith("/") and text.endswith(":"):
            name = pathlib.Path(text[:-1]).resolve()
            source = Source()
            if name.is_relative_to(root):
                named[str(name.relative_to(root))] = source
        elif source is not None:
            source.read(text)
    for found in named.values():
        found.leave_out()
    return {name: found for name, found in sorted(named.items()) if found.lines and name not in LEFT_OUT}


def add(files):
    return [sum(column) for column in zip(*(found.sums() for found in files), strict=True)] or [0, 0, 0, 0]


def share(covered, count):
    return 100.0 * covered / count if count else 100.0


def cell(covered, count):
    return f"{covered} of {count}, {share(covered, count):.1f} %" if count else "-"


def row(name, *sums):
    return f"| {name} | " + " | ".join(f"{cell(*each[:2])} | {cell(*each[2:])}" for each in sums) + " |"


def table(corpora, both):
    def matching(files, starts):
        return [found for name, found in files.items() if name.startswith(starts)]

    def rows(name, starts):
        return row(name, add(matching(corpora, starts)), add(matching(both, starts)))

    lines = ["| | corpora: lines | branches | with the tests: lines | branches |", "|---|---|---|---|---|",
             rows("**parsers**", PARSERS), rows("**core**", FOLDERS)]
    lines += [rows(f"`{folder}`", folder) for folder in FOLDERS]
    below = []
    for name in both:
        if not name.startswith(PARSERS + FOLDERS):
            continue
        goal = GOALS["parsers" if name.startswith(PARSERS) else "core"]
        sums = corpora[name].sums() if name in corpora else [0, 0, 0, 0]
        if share(*sums[:2]) < goal[0] or share(*sums[2:]) < goal[1]:
            below.append(row(f"`{name}`", sums, both[name].sums()))
    return lines + ["", "Files whose corpora alone are below the goal:", ""] + lines[:2] + below


def missing(files):
    """Lines that nothing ran, and sides that nothing took."""
    for name, found in files.items():
        if not name.startswith(PARSERS + FOLDERS):
            continue
        for number in sorted(number for number, ran in found.lines.items() if not ran):
            print(f"{name}:{number}: not run")
        for (number, column), taken in sorted(found.sides.items()):
            if not all(taken) and found.lines.get(number, True):
                never = "neither" if not any(taken) else "never true" if not taken[0] else "never false"
                print(f"{name}:{number}:{column}: {never}")


def main():
    words = argparse.ArgumentParser()
    words.add_argument("corpora", type=pathlib.Path)
    words.add_argument("both", type=pathlib.Path)
    words.add_argument("doc", type=pathlib.Path)
    words.add_argument("--missing", action="store_true")
    given = words.parse_args()
    root = pathlib.Path.cwd().resolve()
    corpora, both = read_listing(given.corpora, root), read_listing(given.both, root)
    if given.missing:
        return missing(both)
    lines = table(corpora, both)
    text = given.doc.read_text()
    head, rest = text.split(BEGIN, 1)
    given.doc.write_text(head + "\n".join([BEGIN, "", *lines, "", END]) + rest.split(END, 1)[1])
    print("\n".join(lines[2:4 + len(FOLDERS)]))


if __name__ == "__main__":
    main()
