# SPDX-License-Identifier: BSD-3-Clause
# Builds for scripts/bench, runs two programs in turn, and makes medians and ratios of what they print. Knows no case.
import json
import os
import pathlib
import platform
import statistics
import subprocess

BUILD = "build-bench"
LONGEST_RUN_S = 600


class Failure(Exception):
    """One sentence for the user."""


def command(words, what, **more):
    try:
        return subprocess.run(words, check=True, text=True, **more)
    except FileNotFoundError as error:
        raise Failure(f"{error.filename} is missing: install it.") from error
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{what} did not end within {LONGEST_RUN_S} s.") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        raise Failure(f"{what} failed with code {error.returncode}{': ' + said[-1] if said else ''}") from error


def configure(root, directory, *settings):
    """Release; debug information changes no instruction, and tells where one comes from."""
    if not (root / directory / "build.ninja").exists():
        command(["meson", "setup", str(root / directory), str(root), "-Dbuildtype=release", "-Ddebug=true", *settings],
                "meson setup", stdout=subprocess.DEVNULL)


def build(root, targets, directory=BUILD, *settings):
    configure(root, directory, *settings)
    command(["ninja", "-C", str(root / directory), "--quiet", *targets], "the build")


def run_json(root, words, what, directory=BUILD):
    """What the last line of the program's output says."""
    path = root / directory / words[0]
    result = command([str(path), *words[1:]], what, capture_output=True, timeout=LONGEST_RUN_S)
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise Failure(f"{what} printed no figures.")
    figures = json.loads(lines[-1].replace("nan", "null").replace("inf", "null").replace("-null", "null"))
    if None in figures.values():
        raise Failure(f"{what} had nothing to count: give it more --seconds.")
    if "client_ns" in figures and "server_ns" in figures:
        figures["both_ns"] = figures["client_ns"] + figures["server_ns"]
    return figures


def run_ours(root, case, seconds):
    return run_json(root, [*case.ours, "--seconds", str(seconds), "--json"], case.name)


def run_beside(root, case, seconds):
    if case.beside is None:
        return None
    once = ["--repeats", "1"] if case.beside[0].endswith("floor-bench") else []
    return run_json(root, [*case.beside, *once, "--seconds", str(seconds), "--json"], "what stands beside " + case.name)


def summary(values):
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def measure(root, case, repeats, seconds):
    """Pairs of runs, one after the other; each pair has a ratio of its own, so that what drifts drifts in both."""
    ours, beside = [], []
    for turn in range(repeats):
        # Whoever goes first finds another machine than whoever goes second: in turn.
        runs = [lambda: beside.append(run_beside(root, case, seconds)), lambda: ours.append(run_ours(root, case, seconds))]
        for run in runs if turn % 2 == 0 else reversed(runs):
            run()
    return combine(case, ours, beside)


def combine(case, ours, beside):
    values = [run[case.value] for run in ours]
    ratio = reference = None
    if case.beside is not None:
        others = [run[case.beside_value] for run in beside]
        reference = statistics.median(others)
        ratio = summary([a / b for a, b in zip(values, others)])

    def middle(field):
        found = [run[field] for run in ours if field in run]
        return statistics.median(found) if found else None

    return {**summary(values), "reference": reference, "ratio": ratio, "client": middle("client_ns"), "server": middle("server_ns"),
            "packets": middle("packets"), "remarks": remarks(case, ours, beside, ratio), "runs": ours, "beside": beside}


def remarks(case, ours, beside, ratio):
    found = []
    failed = sum(run.get("failed", 0) for run in ours)
    again = sum(run.get("retransmits", 0) for run in ours)
    bad = sum(run.get("bad", 0) for run in beside if run)
    if failed or again or bad:
        found.append(f"not clean: {failed} failed, {again} segments sent again, {bad} bad packets of the yardstick")
    if case.name == "flood":
        found.append(f"{max(run['bytes'] for run in ours):.3f} bytes and {max(run['held'] for run in ours)} entries held at most")
    if "gbit" in ours[0]:
        found.append(f"{statistics.median(run['gbit'] for run in ours):.1f} Gbit/s by the clock, "
                     f"{8 * statistics.median(run['gbyte_cpu'] for run in ours):.1f} by processor time")
    if case.name == "no-timestamps" and ratio:
        found.append(f"switching timestamps off saves {100 * (1 - ratio['median']):.1f} % of a connection")
    if case.name == "kernel" and ratio:
        found.append(f"a connection costs the kernel's pair {1 / ratio['median']:.0f} times as much")
    return found


def machine():
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.machine())
    return {"processor": model, "processors": os.cpu_count(), "kernel": platform.release(), "load": os.getloadavg()[0]}


def machine_line():
    facts = machine()
    busy = facts["load"] > 0.5
    warning = "; others are using it: only ratios count, and of the pairs of processes not even those" if busy else ""
    return (f"{facts['processor']}, {facts['processors']} processors, Linux {facts['kernel']}, load {facts['load']:.1f}{warning}\n"
            "ns by connection (or request, SYN, segment); on one core processor time, over memif and virtio by the clock")


def self_test():
    class Example:
        name, value, beside, beside_value = "example", "ns", ["x"], "ns"

    result = combine(Example, [{"ns": 10}, {"ns": 30}, {"ns": 20}], [{"ns": 10}, {"ns": 10}, {"ns": 10}])
    right = result["median"] == 20 and result["ratio"] == {"median": 2, "least": 1, "most": 3} and result["remarks"] == []
    unclean = combine(Example, [{"ns": 10, "failed": 2}], [{"ns": 10}])["remarks"]
    if right and len(unclean) == 1:
        return 0
    print(f"self-test: combine: {result} {unclean}")
    return 1
