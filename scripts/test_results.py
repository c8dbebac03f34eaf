# SPDX-License-Identifier: BSD-3-Clause
"""Chooses tests by name and adds up what meson and GoogleTest wrote about a run.

A case that several builds ran counts once, and as failed if it failed in any of them. A test program that crashed
is a failure, whatever it had written before. Knows meson's logs and GoogleTest's XML; nothing of what is tested.
"""

import argparse
import glob
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

RANK = {"skipped": 0, "passed": 1, "failed": 2}


def forget(build):
    """Removes the last run's results, so that a crash is never mistaken for what the run before it did."""
    for path in glob.glob(os.path.join(build, "*.xml")) + [os.path.join(build, "meson-logs", "testlog.json")]:
        if os.path.exists(path):
            os.remove(path)


def introspect(build):
    listing = subprocess.run(["meson", "introspect", "--tests", build], check=True, capture_output=True, text=True)
    return json.loads(listing.stdout)


def select(build, text):
    """Prints "names" and the tests with `text` in their name; if there are none, "cases" and all GoogleTests."""
    tests = introspect(build)
    names = sorted({test["name"] for test in tests if text in test["name"]})
    if names:
        print("names", *names, sep="\n")
    else:
        print("cases", *sorted({test["name"] for test in tests if test["protocol"] == "gtest"}), sep="\n")


def targets(build, suite):
    """Prints the files that the tests of a suite need, for ninja."""
    listing = subprocess.run(["meson", "introspect", "--targets", build], check=True, capture_output=True, text=True)
    files = {target["id"]: target["filename"] for target in json.loads(listing.stdout)}
    needed = {name for test in introspect(build) if any(s.split(":")[-1] == suite for s in test["suite"]) for name in test["depends"]}
    print(*sorted(os.path.relpath(path, build) for name in needed for path in files[name]), sep="\n")


def last_line(text):
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return lines[-1] if lines else "no reason given"


def gtest_cases(path):
    """Yields (name, result, reason) for each case that ran or was skipped."""
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skipped is not None or case.get("status") == "notrun":
            message = skipped.get("message") if skipped is not None else "disabled"
            yield name, "skipped", last_line(message)
        else:
            yield name, "passed", ""


def run_cases(build):
    """Yields (name, result, reason) for everything that one build's last run did."""
    log = os.path.join(build, "meson-logs", "testlog.json")
    if not os.path.exists(log):
        return
    with open(log, encoding="utf-8", errors="replace") as lines:
        tests = [json.loads(line) for line in lines if line.strip()]
    gtests = {test["name"] for test in introspect(build) if test["protocol"] == "gtest"}
    for test in tests:
        name = test["name"].split(" / ", 1)[-1]  # "project:suite / name"
        good = test["result"] in ("OK", "EXPECTEDFAIL")
        xml = os.path.join(build, f"{name}.xml")  # where meson has GoogleTest put it
        if name not in gtests or (test["result"] == "SKIP" and not os.path.exists(xml)):
            output = last_line((test.get("stdout") or "") + "\n" + (test.get("stderr") or ""))
            result = "skipped" if test["result"] == "SKIP" else "passed" if good else "failed"
            yield name, result, output if result == "skipped" else ""
            continue
        failed = False
        try:
            for case, result, reason in gtest_cases(xml):
                failed = failed or result == "failed"
                yield f"{name}: {case}", result, reason
        except (OSError, ElementTree.ParseError):
            good = False
        if not good and not failed:
            yield f"{name}: the program itself ({test['result'].lower()})", "failed", ""


def count(builds, broken):
    worst = {name: ("failed", "") for name in broken}
    for build in builds:
        in_build = dict.fromkeys(RANK, 0)
        for name, result, reason in run_cases(build):
            in_build[result] += 1
            if result == "failed":
                reason = f"in {build}"
            if name not in worst or RANK[result] > RANK[worst[name][0]]:
                worst[name] = (result, reason)
        print(f"{build}: {in_build['passed']} passed, {in_build['failed']} failed, {in_build['skipped']} skipped")
    for wanted in ("skipped", "failed"):
        for name, (result, reason) in sorted(worst.items()):
            if result == wanted:
                print(f"{wanted}: {name}{': ' if reason else ''}{reason}")
    totals = [sum(result == wanted for result, _ in worst.values()) for wanted in ("passed", "failed", "skipped")]
    nothing_ran = totals[0] + totals[1] == 0
    if nothing_ran:
        print("No test ran: that is a failure, too.")
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] or nothing_ran else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    words = parser.add_subparsers(dest="word", required=True)
    words.add_parser("forget").add_argument("build")
    selecting = words.add_parser("select")
    selecting.add_argument("build")
    selecting.add_argument("text")
    needing = words.add_parser("targets")
    needing.add_argument("build")
    needing.add_argument("suite")
    counting = words.add_parser("count")
    counting.add_argument("--broken", action="append", default=[], help="a build that failed")
    counting.add_argument("builds", nargs="*")
    arguments = parser.parse_args()
    if arguments.word == "forget":
        forget(arguments.build)
    elif arguments.word == "select":
        select(arguments.build, arguments.text)
    elif arguments.word == "targets":
        targets(arguments.build, arguments.suite)
    else:
        return count(arguments.builds, arguments.broken)
    return 0


if __name__ == "__main__":
    sys.exit(main())
