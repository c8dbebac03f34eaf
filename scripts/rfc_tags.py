# SPDX-License-Identifier: BSD-3-Clause
"""What RFCs demand, and where code and tests say that they meet it: the reading half of rfc-table, which explains the tags.

Reads docs/rfc/*.txt, docs/rfc-exceptions.md and the comments of include/, src/, tests/ and scripts/check-*. Knows nothing of
results and writes nothing.
"""

import collections
import fnmatch
import re

MAIN = "9293"
BINDING = ("MUST", "SHLD", "SHOULD")
LABEL = re.compile(r"\b(MUST|SHLD|MAY|REC)-(\d+)\b(?!\.\.)")
NUMBER = r"\(?(\d+(?:\.\d+)*[a-z]?)\b\)?"
CITATION = re.compile(r"\b[Rr][Ff][Cc] ?(\d{4})(?:\)|'s)?,? \(?(?:section |sections )?" + NUMBER)
MORE = re.compile(r"(?:,| and|, and)\s+(?=\(?\d+(?:\.\d|[a-z]\b))" + NUMBER)
IDENTIFIER = re.compile(r"\b(\d{4})-(\d+(?:\.\d+)*[a-z]?)\b")
TEST = re.compile(r"^TEST(?:_F|_P)?\((\w+),\s*(\w+)\)")
SOURCES = {".cpp", ".hpp", ".h"}
Requirement = collections.namedtuple("Requirement", "id rfc level section sentence")


class Problems(list):
    def add(self, where, what):
        self.append(f"{where}: {what}")


# --- what is demanded --------------------------------------------------------------------------------------------------

def rows_of(path, columns, problems):
    """Yields (line number, cells) of a file of lines `a | b | c`; '#' begins a comment."""
    if not path.exists():
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) != columns or not all(cells):
            problems.add(f"{path.name}:{number}", f"{columns} columns were expected")
        else:
            yield number, cells


class Demands:
    """All requirements, by id; the titles of the RFCs; what is pending."""

    def __init__(self, root, problems):
        self.all, self.titles, self.pending = {}, {}, {}
        folder = root / "docs" / "rfc"
        for number, (label, section, sentence) in rows_of(folder / "9293.txt", 3, problems):
            self.add(f"9293.txt:{number}", Requirement(label, MAIN, label.split("-")[0], section, sentence), problems)
        for number, cells in rows_of(folder / "companions.txt", 3, problems):
            where = f"companions.txt:{number}"
            name, level, sentence = cells
            if level == "RFC":
                self.titles[name] = sentence
                continue
            rfc, _, section = name.partition("-")
            if rfc not in self.titles:
                problems.add(where, f"{name}: no line `{rfc} | RFC | title` before it")
            if level not in ("MUST", "SHOULD", "MAY"):
                problems.add(where, f"{name}: the level is MUST, SHOULD or MAY, not {level}")
            self.add(where, Requirement(name, rfc, level, section, sentence), problems)
        for number, (name, what) in rows_of(folder / "pending.txt", 2, problems):
            named = fnmatch.filter(self.all, name)
            if not named:
                problems.add(f"pending.txt:{number}", f"no requirement is called {name}")
            self.pending.update(dict.fromkeys(named, what))
        self.lettered = collections.defaultdict(list)
        for name in self.all:
            if name[-1].isalpha():
                self.lettered[name[:-1]].append(name)
        for name in self.lettered:
            if name in self.all:
                problems.add("companions.txt", f"{name} and {self.lettered[name][0]}: give all of them letters")

    def add(self, where, requirement, problems):
        if requirement.id in self.all:
            problems.add(where, f"{requirement.id} stands twice")
        self.all[requirement.id] = requirement


# --- tags --------------------------------------------------------------------------------------------------------------

def tags_in(text, demands):
    """Returns (known ids, unknown ones, sections that have several statements) named in `text`."""
    known, unknown, ambiguous = set(), set(), set()
    for match in LABEL.finditer(text):
        (known if match.group(0) in demands.all else unknown).add(match.group(0))

    def cite(rfc, section, certain):
        if rfc == MAIN or rfc not in demands.titles:
            return
        name = f"{rfc}-{section}"
        while "." in section and name not in demands.all and name not in demands.lettered and section[-1].isdigit():
            section = section.rpartition(".")[0]  # 4.1.2 is part of 4.1
            name = f"{rfc}-{section}" if f"{rfc}-{section}" in demands.all else name
        if name in demands.all:
            known.add(name)
        elif name in demands.lettered:
            ambiguous.add(name)
        elif section[-1].isalpha() and certain:
            unknown.add(name)  # a letter is ours: it must exist. A section without statements is an ordinary citation

    for match in CITATION.finditer(text):
        rfc, section, end = match.group(1), match.group(2), match.end()
        cite(rfc, section, True)
        while more := MORE.match(text, end):
            cite(rfc, more.group(1), True)
            end = more.end()
    for match in IDENTIFIER.finditer(text):
        cite(match.group(1), match.group(2), match.group(1) in demands.titles)
    return known, unknown, ambiguous


def unwrapped(lines):
    """Comments are wrapped: `RFC 6298` at one line's end and `(5.4)` on the next belong together."""
    return " ".join(re.sub(r"^\s*(//+|#+)!?<?", " ", line).strip() for line in lines)


def tests_of(lines):
    """Yields (line number, Suite.name, lines of the comment above and the body) of each test of a C++ file."""
    at = 0
    while at < len(lines):
        match = TEST.match(lines[at])
        if not match:
            at += 1
            continue
        above = at
        while above > 0 and lines[above - 1].startswith("//"):
            above -= 1
        end = at
        one_line = lines[at].rstrip().endswith("}") and lines[at].count("{") == lines[at].count("}")
        while not one_line and end + 1 < len(lines) and not lines[end].startswith("}"):
            end += 1
        yield at + 1, f"{match.group(1)}.{match.group(2)}", lines[above:end + 1]
        at = end + 1


class Tree:
    """Where each requirement is tagged: code[id] is a set of paths, tests[id] a set of tests; all_tests: every test."""

    def __init__(self, root, demands, problems):
        self.root, self.demands, self.problems = root, demands, problems
        self.code, self.tests = collections.defaultdict(set), collections.defaultdict(set)
        self.all_tests, self.file_of, self.ambiguous = set(), {}, []
        for top in ("include", "src"):
            for path in sorted((root / top).rglob("*")):
                if path.suffix in SOURCES:
                    self.read_code(path)
        for path in sorted((root / "tests").rglob("*")):
            if path.suffix in SOURCES:
                self.read_tests(path)
            elif path.suffix == ".trace":
                self.read_whole(path, f"{path.parent.name}.{path.stem}")
        meson = root / "tests" / "meson.build"
        for path in sorted((root / "scripts").glob("check-*")):
            name = path.name.removeprefix("check-")
            if meson.exists() and f"test('{name}'" in meson.read_text():
                self.read_whole(path, name)

    def note(self, where, lines, add):
        known, unknown, ambiguous = tags_in(unwrapped(lines), self.demands)
        for name in known:
            add(name)
        for name in sorted(unknown):
            self.problems.add(where, f"no requirement is called {name}")
        return ambiguous

    def read_code(self, path):
        short = str(path.relative_to(self.root))
        self.note(short, path.read_text().splitlines(), lambda name: self.code[name].add(short))

    def read_tests(self, path):
        short, lines = str(path.relative_to(self.root)), path.read_text().splitlines()
        for number, test, text in tests_of(lines):
            if test.split(".")[1].startswith("DISABLED_"):
                continue
            self.all_tests.add(test)
            self.file_of[test] = short
            ambiguous = self.note(f"{short}:{number}", text, lambda name: self.tests[name].add(test))
            self.ambiguous += [(f"{short}:{number}", test, name) for name in sorted(ambiguous)]
        if any(TEST.match(line) for line in lines) and not self.is_built(path):
            self.problems.add(short, f"is not in {path.parent.name}/meson.build: its tests are in no program")

    def is_built(self, path):
        build = path.parent / "meson.build"
        return build.exists() and path.name in build.read_text()

    def read_whole(self, path, test):
        short = str(path.relative_to(self.root))
        text = path.read_text(errors="replace").splitlines()
        self.all_tests.add(test)
        self.file_of[test] = short
        ambiguous = self.note(short, text, lambda name: self.tests[name].add(test))
        self.ambiguous += [(short, test, name) for name in sorted(ambiguous)]


# --- exceptions ----------------------------------------------------------------------------------------------------------

def exceptions_of(root, demands, problems):
    """{id: (test, what)}: the second column names requirements, the last one the test in backquotes."""
    found = {}
    path = root / "docs" / "rfc-exceptions.md"
    if not path.exists():
        return found
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        test = re.fullmatch(r"`([\w.:/-]+)`", cells[-1])
        if not line.startswith("|") or len(cells) != 4 or not test:
            continue
        where = f"docs/rfc-exceptions.md:{number}"
        text = re.sub(r"^(\d{4}) ", r"rfc\1 ", cells[1])
        known, unknown, _ = tags_in(text, demands)
        for name in sorted(unknown):
            problems.add(where, f"no requirement is called {name}")
        for name in known:
            found[name] = (test.group(1), cells[0])
    return found
