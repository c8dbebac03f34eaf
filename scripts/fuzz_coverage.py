# SPDX-License-Identifier: BSD-3-Clause
"""Writes what llvm-cov says of the corpora's coverage into the generated section of docs/fuzzing.md.

Knows llvm-cov's JSON and the section's two marks; nothing of the targets.
"""

import json
import pathlib
import sys

BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
PARSERS = ("src/wire/", "apps/common/http_", "apps/common/duration_text", "src/dpdk/port_spec", "src/base/value_text")
CORE = ("src/base/", "src/wire/", "src/ds/", "src/tcp/", "src/shard/", "src/api/")


def row(name, files):
    cells = [f"| {name} "]
    for what in ("lines", "branches"):
        count = sum(f["summary"][what]["count"] for f in files)
        covered = sum(f["summary"][what]["covered"] for f in files)
        cells.append(f"| {covered} of {count} | {100 * covered / count:.1f} % " if count else "| 0 | - ")
    return "".join(cells) + "|"


def main():
    data, doc = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    root = pathlib.Path.cwd().resolve()
    named = {}
    for entry in json.loads(data.read_text())["data"][0]["files"]:
        path = pathlib.Path(entry["filename"]).resolve()
        if path.is_relative_to(root):
            named[str(path.relative_to(root))] = entry

    def matching(*starts):
        return [entry for name, entry in sorted(named.items()) if name.startswith(starts)]

    lines = [BEGIN, "", "| | lines | | branches | |", "|---|---|---|---|---|",
             row("**the parsers**", matching(*PARSERS)), row("**the core**", matching(*CORE))]
    lines += [row(f"`{folder}`", matching(folder)) for folder in CORE if matching(folder)]
    lines += [row(f"`{name}`", [named[name]]) for name in sorted(named) if name.startswith(PARSERS)]
    lines += [row(f"`{name}`", [named[name]]) for name in sorted(named)
              if name.startswith(("src/tcp/", "src/ds/", "src/shard/")) and name.endswith((".cpp", ".hpp"))]
    lines += ["", END]
    text = doc.read_text()
    head, rest = text.split(BEGIN, 1)
    doc.write_text(head + "\n".join(lines) + rest.split(END, 1)[1])
    print("\n".join(lines[2:8]))


if __name__ == "__main__":
    main()
