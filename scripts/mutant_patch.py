# SPDX-License-Identifier: BSD-3-Clause
# Patches that break the stack on purpose: read from tests/mutants, applied to a copy of the sources. Used by
# scripts/mutants. Line numbers are ignored: what a hunk replaces must stand in its file exactly once, with as much
# of its context as that takes.
import pathlib
import re


class DoesNotApply(Exception):
    pass


class Hunk:
    def __init__(self):
        self.lines = []  # (" ", "-" or "+", text)

    def replaced(self, front, back):
        """(before, after) without the first `front` and the last `back` lines, which are context."""
        lines = self.lines[front:len(self.lines) - back]
        return ([text for kind, text in lines if kind != "+"], [text for kind, text in lines if kind != "-"])

    def context(self):
        kinds = [kind for kind, _ in self.lines]
        front = next((i for i, kind in enumerate(kinds) if kind != " "), len(kinds))
        back = next((i for i, kind in enumerate(reversed(kinds)) if kind != " "), len(kinds))
        return front, back

    def apply(self, lines, where):
        front, back = self.context()
        # With all of the context first; then without its outermost lines, as long as the place stays the only one.
        for drop in range(max(front, back) + 1):
            before, after = self.replaced(min(drop, front), min(drop, back))
            if not before:
                break
            places = [i for i in range(len(lines) - len(before) + 1) if lines[i:i + len(before)] == before]
            if len(places) == 1:
                return lines[:places[0]] + after + lines[places[0] + len(before):]
            if places:
                raise DoesNotApply(f"{where}: {len(places)} places for the hunk at {before[0].strip()!r}")
        first = next(text for kind, text in self.lines if kind != " ")
        raise DoesNotApply(f"{where}: no place for the hunk at {first.strip()!r}")


class Patch:
    """`breaks`, `seen_by`: what the header says. `recompile`: the sources that a changed header is compiled into, where
    these are not all that include it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.name = self.path.stem
        self.files = {}  # path: [Hunk]
        self.header = {}
        current = hunk = None
        for line in self.path.read_text().splitlines():
            if line.startswith("+++ b/"):
                current = self.files.setdefault(line[6:], [])
            elif line.startswith("@@ "):
                hunk = Hunk()
                current.append(hunk)
            elif line.startswith("--- a/"):
                hunk = None
            elif hunk is not None:
                hunk.lines.append((line[:1] or " ", line[1:]))
            elif said := re.match(r"# ([A-Z][a-z ]+): (.*)", line):
                self.header[said[1]] = said[2]
        if not self.files or not all(self.files.values()):
            raise DoesNotApply(f"{self.path.name}: no hunk in it")
        for word in ("Breaks", "Seen by"):
            if word not in self.header:
                raise DoesNotApply(f"{self.path.name}: its header does not say \"{word}:\"")
        self.breaks, self.seen_by = self.header["Breaks"], self.header["Seen by"]
        self.recompile = self.header.get("Recompile", "").split()

    def apply(self, root):
        """{path: new text} of what changes; `root` is left alone."""
        changed = {}
        for path, hunks in self.files.items():
            source = root / path
            if not source.is_file():
                raise DoesNotApply(f"{self.path.name}: there is no {path}")
            text = source.read_text()
            lines = text.split("\n")
            for hunk in hunks:
                lines = hunk.apply(lines, f"{self.path.name}: {path}")
            changed[path] = "\n".join(lines)
            if changed[path] == text:
                raise DoesNotApply(f"{self.path.name}: {path} stays as it was")
        return changed


def all_patches(folder):
    return [Patch(path) for path in sorted(pathlib.Path(folder).glob("*.patch"))]
