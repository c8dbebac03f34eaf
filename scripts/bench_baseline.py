# SPDX-License-Identifier: BSD-3-Clause
# The guard against getting slower, for scripts/bench --check and --record: bench/baseline.json holds the one-core case
# as a ratio to the yardstick with its spread, and the instructions of one connection's life.
import json
import pathlib

import bench_cases
import bench_run
import bench_stages

FEW, MANY = 2000, 6000
INSTRUCTIONS_ALLOWED = 0.01
LEAST_SPREAD = 0.05  # of the ratio: a baseline of five quiet runs would else cry wolf on a busy machine
MOST_SPREAD = 0.15  # beyond it a baseline guards little, and --record says so
STALE = 0.03  # instructions that have been saved since: the guard would let as many come back


def compiler():
    version = bench_run.command(["g++", "-dumpfullversion"], "g++", capture_output=True).stdout.strip()
    return "g++ " + version


def instructions(root):
    """Of one connection's life, both ends; the difference of two counts, so that starting up is no part of it."""
    # The port of two functions takes each frame from the heap: that is no part of the stack.
    totals = [sum(count for path, count in bench_stages.callgrind_files(root, n).items() if "malloc" not in path)
              for n in (FEW, MANY)]
    return (totals[1] - totals[0]) / (MANY - FEW)


def measure(root, options):
    case = next(case for case in bench_cases.all_cases() if case.name == "one-core")
    bench_run.build(root, case.targets())
    result = bench_run.measure(root, case, options.repeats, options.seconds)
    return {"one_core": result["ratio"], "instructions": round(instructions(root), 1), "compiler": compiler()}


def ratio_allowed(was):
    """The worst of the recorded pairs, or a little above their median where they agreed better than that."""
    return max(was["most"], was["median"] * (1 + LEAST_SPREAD))


def complaints(before, now):
    """What has got worse, a sentence each."""
    found = []
    was, ratio = before["one_core"], now["one_core"]["median"]
    if ratio > ratio_allowed(was):
        found.append(f"the short connection on one core costs {ratio:.2f} times the yardstick, and it was {was['median']:.2f} "
                     f"({was['least']:.2f}..{was['most']:.2f}; up to {ratio_allowed(was):.2f} is allowed).")
    count, counted = now["instructions"], before["instructions"]
    if now["compiler"] == before["compiler"] and count > counted * (1 + INSTRUCTIONS_ALLOWED):
        found.append(f"a connection's life takes {count:.0f} instructions, and it took {counted:.0f} "
                     f"({100 * (count / counted - 1):.1f} % more, 1 % is allowed).")
    return found


def remarks(recorded, now=None):
    """What makes a baseline worth less than it could be; a sentence each."""
    found = []
    ratio = recorded["one_core"]
    if ratio["most"] - ratio["least"] > MOST_SPREAD * ratio["median"]:
        found.append(f"the recorded ratios are {100 * (ratio['most'] / ratio['least'] - 1):.0f} % apart: on a quieter machine "
                     "scripts/bench --record would make a sharper guard.")
    if now and now["compiler"] == recorded["compiler"] and now["instructions"] < recorded["instructions"] * (1 - STALE):
        found.append(f"{100 * (1 - now['instructions'] / recorded['instructions']):.0f} % of the instructions were saved since the baseline: "
                     "scripts/bench --record keeps them saved.")
    return found


def main(root, options):
    path = pathlib.Path(root) / "bench/baseline.json"
    if options.check and not path.exists():
        raise bench_run.Failure("there is no bench/baseline.json: write one with scripts/bench --record.")
    now = measure(root, options)
    ratio = now["one_core"]
    print(f"one core: {ratio['median']:.2f} times the yardstick ({ratio['least']:.2f}..{ratio['most']:.2f}); "
          f"{now['instructions']:.0f} instructions a connection ({now['compiler']})")
    if options.record:
        path.write_text(json.dumps(now, indent=2) + "\n")
        print("recorded in bench/baseline.json")
        print_remarks(remarks(now))
        return 0
    before = json.loads(path.read_text())
    if now["compiler"] != before["compiler"]:
        print(f"instructions are not compared: the baseline is of {before['compiler']}")
    found = complaints(before, now)
    for sentence in found:
        print("worse: " + sentence)
    if not found:
        print(f"no worse than the baseline: {before['one_core']['median']:.2f} times, {before['instructions']:.0f} instructions")
    print_remarks(remarks(before, now))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"baseline": before, "now": now, "worse": found}, indent=1) + "\n")
    return 1 if found else 0


def print_remarks(sentences):
    for sentence in sentences:
        print("remark: " + sentence)


def self_test():
    before = {"one_core": {"median": 4.0, "least": 3.5, "most": 4.3}, "instructions": 10_000, "compiler": "a"}
    agreeing = {**before, "one_core": {"median": 4.0, "least": 3.9, "most": 4.1}}

    def now(ratio, count, which="a"):
        return {"one_core": {"median": ratio}, "instructions": count, "compiler": which}

    expected = [(now(4.0, 10_000), 0), (now(4.29, 10_000), 0), (now(4.31, 10_000), 1), (now(4.0, 10_099), 0), (now(4.0, 10_101), 1),
                (now(4.0, 20_000, "b"), 0), (now(9.0, 20_000), 2), (now(1.0, 1), 0)]
    wrong = [(given, count, "complaints") for given, count in expected if len(complaints(before, given)) != count]
    wrong += [(given, count, "complaints") for given, count in [(now(4.19, 10_000), 0), (now(4.21, 10_000), 1)]
              if len(complaints(agreeing, given)) != count]
    wrong += [(given, count, "remarks") for given, count in [((before,), 1), ((agreeing,), 0), ((agreeing, now(4.0, 9_600)), 1),
                                                             ((agreeing, now(4.0, 9_800)), 0), ((before, now(4.0, 9_000, "b")), 1)]
              if len(remarks(*given)) != count]
    for given, count, what in wrong:
        print(f"self-test: {given}: expected {count} {what}")
    return 1 if wrong else 0
