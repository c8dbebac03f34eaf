#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# The program from outside: what it answers to wrong words, its exit codes, a short demo and its report.
# Usage: cli_test.py HANDFAST SOURCE_ROOT. Needs neither root nor huge pages nor a network.
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

handfast, root = sys.argv[1], pathlib.Path(sys.argv[2])
failures = []


def run(*words, timeout=50):
    return subprocess.run([handfast, *words], capture_output=True, text=True, timeout=timeout)


def check(name, condition, result):
    print(("ok      " if condition else "FAILED  ") + name)
    if not condition:
        failures.append(name)
        print(f"  exit {result.returncode}\n  stdout: {result.stdout}\n  stderr: {result.stderr}")


def refuses(name, words, *parts, code=2):
    """Exits with `code`, says nothing on stdout, and one line on stderr with all of `parts`."""
    result = run(*words)
    said = all(part in result.stderr for part in parts)
    sentences = result.stderr.startswith("handfast: ") and result.stderr.rstrip().endswith(".")
    check(name, result.returncode == code and said and sentences and result.stderr.count("\n") == 1, result)


def lists_commands(name, words):
    result = run(*words)
    listed = all(f"  {word} " in result.stderr for word in ("serve", "load", "demo", "doctor"))
    check(name, result.returncode == 2 and listed, result)


lists_commands("no command: the list", [])
lists_commands("unknown command: the list", ["frobnicate"])
refuses("unknown option", ["demo", "--frobnicate"], "--frobnicate", "handfast demo --help")
refuses("unknown service", ["serve", "gopher"], '"gopher"', "http, echo, discard, chargen")
refuses("no service", ["serve"], "http, echo, discard, chargen")
refuses("bad address", ["--address", "10.0.0.300/24", "serve", "echo"], "--address", "10.0.0.300/24", "10.0.0.2/24")
refuses("address without its network", ["serve", "echo", "--address", "10.0.0.2"], "--address", "10.0.0.2/24")
refuses("address that no host has", ["--dev", "null", "--address", "127.0.0.1/24", "serve", "echo"], "address")
refuses("bad gateway", ["--gateway", "10.0.0", "serve", "echo"], "--gateway", "10.0.0.1")
refuses("bad port word", ["--dev", "eth:0", "serve", "echo"], "--dev", "tap:")
refuses("bad MAC", ["--mac", "02:00", "serve", "echo"], "--mac", "02:00:00:00:00:01")
refuses("number out of range", ["--cores", "65", "serve", "echo"], "--cores", "from 1 to 64")
refuses("time without a unit", ["demo", "--duration", "10"], "--duration", "10")
refuses("port out of range", ["serve", "echo", "--listen", "65536"], "--listen", "65535")
refuses("directory that is not there", ["serve", "http", "--dir", "/nowhere/at/all"], "/nowhere/at/all", code=3)
refuses("file of options that is not there", ["--config", "/nowhere.conf", "demo"], "/nowhere.conf")
refuses("load without a target", ["load"], "--target")
refuses("target without a port", ["load", "--target", "10.0.0.1"], "--target", "10.0.0.1:80")
refuses("both loops", ["load", "--target", "10.0.0.1:80", "--rate", "5", "--concurrency", "5"], "--rate", "--concurrency")
refuses("neither loop ends", ["load", "--target", "10.0.0.1:80", "--duration", "0s"], "--count")
refuses("who closes", ["load", "--target", "10.0.0.1:80", "--who-closes", "nobody"], "client", "server")
refuses("how", ["load", "--target", "10.0.0.1:80", "--how", "gently"], "fin", "rst")
refuses("request", ["load", "--target", "10.0.0.1:80", "--request", "what"], "--request")
refuses("interface that is not there", ["--dev", "veth:nosuchif0", "serve", "echo"], "nosuchif0", code=3)

# The examples: the words after them are wrong in a way that is only found once the file has been taken.
refuses("config/server.conf", ["--config", str(root / "config/server.conf"), "serve", "gopher"], '"gopher"')
refuses("config/client.conf", ["--config", str(root / "config/client.conf"), "load", "--concurrency", "5"], "--rate is")
result = run("doctor", "--plan", "1M", "--rate", "10k")
check("doctor --plan: the rows, the sum, and that there is enough", result.returncode == 0 and "control blocks" in result.stdout
      and "244.1 MiB" in result.stdout and "600,000" in result.stdout and "enough" in result.stdout, result)
result = run("doctor", "--plan", "10k", "--rate", "10k", "--time-wait", "20k")
check("doctor --plan: a table that cuts TIME-WAIT short", result.returncode == 0 and "cut short after 2.00 s" in result.stdout, result)
result = run("doctor", "--plan", "16G", "--cores", "64")
check("doctor --plan: not enough memory is exit code 5", result.returncode == 5 and "not enough" in result.stdout, result)
refuses("doctor --plan: no number", ["doctor", "--plan", "many"], "--plan", "many")
refuses("doctor --plan: none", ["doctor", "--plan", "0"], "--plan", "from 1 to")
refuses("doctor --plan: more than tables hold", ["doctor", "--plan", "1G"], "connections", "--cores")
refuses("doctor --rate without --plan", ["doctor", "--rate", "10k"], "--plan")

with tempfile.TemporaryDirectory() as directory:
    wrong = pathlib.Path(directory) / "wrong.conf"
    wrong.write_text('[load]\ntargte = "10.0.0.1:80"\n')
    refuses("unknown name in a file", ["--config", str(wrong), "--dev", "null", "load", "--target", "10.0.0.1:80"], "targte")

result = run("--help")
check("--help", result.returncode == 0 and "--address" in result.stdout and "doctor" in result.stdout, result)
result = run("--version")
check("--version", result.returncode == 0 and result.stdout.startswith("handfast "), result)
result = run("doctor")
check("doctor", result.returncode == 0 and "tap:" in result.stdout and "huge pages" in result.stdout, result)

with tempfile.TemporaryDirectory() as directory:
    path = pathlib.Path(directory) / "report.json"
    result = run("demo", "--duration", "2s", "--concurrency", "32", "--one-core", "--json", str(path))
    lines = result.stdout.count(" s ")
    check("demo: a line each second and the report", result.returncode == 0 and lines >= 2
          and "connections per second" in result.stdout, result)
    report = json.loads(path.read_text())
    check("demo: nothing failed, every connection is accounted for",
          report["failed"] == 0 and report["opened"] == report["closed"] > 100 and report["loop"] == "closed", result)

process = subprocess.Popen([handfast, "demo", "--duration", "1h", "--one-core"], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
time.sleep(2)
process.send_signal(signal.SIGINT)
out, err = process.communicate(timeout=20)
result = subprocess.CompletedProcess([], process.returncode, out, err)
check("SIGINT: the report, and no failure", process.returncode == 0 and "connections per second" in out
      and "failed                                 0" in out, result)

# A port that swallows everything: nobody answers ARP.
result = run("--dev", "null", "load", "--target", "10.0.0.9:80", "--duration", "1s", "--concurrency", "2")
check("load: nothing succeeded is exit code 4", result.returncode == 4 and "no connection succeeded" in result.stderr
      and "ARP" in result.stderr, result)

sys.exit(1 if failures else 0)
