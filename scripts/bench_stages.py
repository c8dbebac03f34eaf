# SPDX-License-Identifier: BSD-3-Clause
# Where a short connection's time goes, by stage, for scripts/bench: samples of the processor's clock (perf), each
# address traced to the source file that it was inlined from; where perf may not run, instructions (callgrind).
import collections
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import bench_run

COUNTED = "bench/instructions/instructions-bench"
# Valgrind's processor has no AVX-512: a target that any machine of today can count for.
COUNTED_BUILD = "build-callgrind"
COUNTED_SETTINGS = ["-Ddpdk=disabled", "-Dmarch=x86-64-v3"]
PROGRAM = "bench/connections/connections-bench"
STAGES = ["parse", "look-up", "state machine", "application", "output", "port", "other"]
# The first that matches a file's path decides. Files of general use (None) say nothing: whoever inlined them does.
RULES = [(re.compile(pattern), stage) for pattern, stage in [
    (r"src/wire/(bytes|checksum|frame)\b", None),
    (r"src/wire/(tcp_writer|tcp_options_writer)", "output"),
    (r"src/wire/", "parse"),
    (r"src/ds/flow_|src/base/(siphash|flow_key)", "look-up"),
    (r"src/(base|ds)/(seq|assert|rng|cache_line|mapping|slab|object_pool|value_text)", None),
    (r"src/ds/", "state machine"),
    (r"src/tcp/(output|dress|segment_builder|tx_segment|large_segment|flight)", "output"),
    (r"src/tcp/", "state machine"),
    (r"src/shard/(loop|cut_segment|io)\b", "output"),
    (r"src/shard/delivery", "application"),
    (r"src/shard/", "state machine"),
    (r"src/dpdk/|/dpdk/|/rte_", "port"),
    (r"include/handfast/(address|time|drop|error|config)", None),
    (r"src/api/|include/handfast/|bench/", "application"),
]]


def stage_of_file(path):
    """A stage; None: ask the frame outside of it."""
    return next((stage for rule, stage in RULES if rule.search(path)), None)


def stage_of_frames(files):
    """Of the files of an address, innermost first."""
    return next((stage for stage in map(stage_of_file, files) if stage), "other")


def shares(root, seconds):
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as directory:
        weights = sample(root, pathlib.Path(directory), max(seconds, 3)) if shutil.which("perf") else None
    if weights:
        return {"by": "samples of the processor's clock", "percent": percent(weights)}
    files = callgrind_files(root, 2000)
    return {"by": "instructions counted by callgrind (perf may not sample here), the port being two functions",
            "percent": percent({stage: sum(n for path, n in files.items() if (stage_of_file(path) or "other") == stage)
                                for stage in STAGES})}


def percent(weights):
    total = sum(weights.values())
    return {stage: 100 * weights.get(stage, 0) / total for stage in STAGES}


def show(result):
    print("\nshares of a short connection, both ends on one core, by " + result["by"])
    print("    " + ", ".join(f"{stage} {share:.1f} %" for stage, share in result["percent"].items()))


def sample(root, directory, seconds):
    """Samples by stage; nothing where the kernel does not permit them."""
    program = root / bench_run.BUILD / PROGRAM
    data = directory / "perf.data"
    recorded = subprocess.run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4000", "-o", str(data), str(program), "--cores", "1",
                               "--idle", "0", "--seconds", str(seconds)], capture_output=True, text=True)
    if recorded.returncode != 0:
        return None
    script = subprocess.run(["perf", "script", "-i", str(data), "--show-mmap-events", "-F", "ip,dso,sym"],
                            capture_output=True, text=True)
    inside, outside = read_samples(script.stdout, program.resolve())
    weights = collections.Counter(outside)
    for address, files in resolve(program, inside).items():
        weights[stage_of_frames(files)] += inside[address]
    return weights if sum(weights.values()) >= 1000 else None


MMAP = re.compile(r"PERF_RECORD_MMAP2.*\[0x([0-9a-f]+)\(0x([0-9a-f]+)\) @ (?:0x)?([0-9a-f]+) .*?r-xp (.*)$")
SAMPLE = re.compile(r"^\s*([0-9a-f]+) (.*) \((.*)\)$")


def read_samples(text, program):
    """Counts by address in the program's file, and by stage for what lies in libraries."""
    inside, outside, shift = collections.Counter(), collections.Counter(), 0
    for line in text.splitlines():
        if found := MMAP.search(line):
            if found.group(4) == str(program):
                shift = int(found.group(1), 16) - int(found.group(3), 16)
        elif found := SAMPLE.match(line):
            library = found.group(3)
            if library == str(program):
                inside[int(found.group(1), 16) - shift] += 1
            elif "librte" in library:
                outside["port"] += 1
            else:
                outside["other"] += 1
    return inside, outside


def resolve(program, addresses):
    """The files of each address (an offset in the program's file), innermost inlined frame first."""
    if not addresses:
        return {}
    offset = text_offset(program)
    tool = shutil.which("llvm-addr2line") or "addr2line"
    asked = "\n".join(hex(address + offset) for address in addresses) + "\n"
    answer = subprocess.run([tool, "-a", "-i", "-e", str(program)], input=asked, capture_output=True, text=True).stdout
    files, current = {}, None
    for line in answer.splitlines():
        if line.startswith("0x"):
            current = files.setdefault(int(line, 16) - offset, [])
        elif current is not None:
            current.append(line.rsplit(":", 1)[0])
    return files


def text_offset(program):
    """What an address in memory has beyond the place in the file, for the executable segment."""
    headers = subprocess.run(["readelf", "-lW", str(program)], capture_output=True, text=True).stdout
    for line in headers.splitlines():
        words = line.split()
        if words[:1] == ["LOAD"] and "E" in words[6:8]:
            return int(words[2], 16) - int(words[1], 16)
    return 0


def callgrind_files(root, connections):
    """Instructions by source file, of so many connections' lives."""
    bench_run.build(root, [COUNTED], COUNTED_BUILD, *COUNTED_SETTINGS)
    program = root / COUNTED_BUILD / COUNTED
    with tempfile.TemporaryDirectory(prefix="handfast-bench-") as directory:
        out = os.path.join(directory, "callgrind")
        bench_run.command(["valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured_lives",
                           f"--callgrind-out-file={out}", str(program), str(connections)], "callgrind", capture_output=True, timeout=600)
        return read_callgrind(pathlib.Path(out).read_text())


def read_callgrind(text):
    """Self cost by file; names are given once and abbreviated to their number afterwards."""
    names, costs, current, skip = {}, collections.Counter(), "", False
    for line in text.splitlines():
        if found := re.match(r"(fl|fi|fe)=\((\d+)\)(?: (.*))?$", line):
            if found.group(3):
                names[found.group(2)] = found.group(3)
            current = names.get(found.group(2), "")
        elif found := re.match(r"cfi=\((\d+)\)(?: (.*))?$|cfl=\((\d+)\)(?: (.*))?$", line):
            number, name = (found.group(1), found.group(2)) if found.group(1) else (found.group(3), found.group(4))
            if name:
                names[number] = name
        elif line.startswith("calls="):
            skip = True  # the line that follows is the called function's
        elif line[:1] in "+-*0123456789" and line:
            words = line.split()
            if not skip and len(words) > 1:
                costs[current] += int(words[1])
            skip = False
    return costs


def self_test():
    listing = ("fl=(1) src/wire/a.cpp\nfn=(1) f\n10 5\n+1 7\nfi=(2) src/ds/flow_table.hpp\n3 2\nfe=(1)\n4 1\ncfi=(3) src/tcp/b.cpp\n"
               "cfn=(2) g\ncalls=1 5\n* 100\n\nfl=(3)\nfn=(2)\n7 9\n")
    costs = read_callgrind(listing)
    right = costs == {"src/wire/a.cpp": 13, "src/ds/flow_table.hpp": 2, "src/tcp/b.cpp": 9}
    program = pathlib.Path("/x/bench")
    text = ("bench 1/1: PERF_RECORD_MMAP2 1/1: [0x5000(0x2000) @ 0x1000 08:01 7 0]: r-xp /x/bench\n"
            "  5010 f (/x/bench)\n  9 g (/usr/lib/librte_eal.so.23)\n  9 memcpy (/usr/lib/libc.so.6)\n")
    inside, outside = read_samples(text, program)
    right = right and inside == {0x1010: 1} and outside == {"port": 1, "other": 1}
    right = right and stage_of_frames(["/usr/include/c++/12/span", "../src/wire/checksum.hpp", "../src/wire/tcp_writer.hpp"]) == "output"
    right = right and stage_of_frames(["../src/wire/fast_parse.hpp"]) == "parse" and stage_of_frames(["memcpy.S"]) == "other"
    if right:
        return 0
    print(f"self-test: stages: {costs} {inside} {outside}")
    return 1
