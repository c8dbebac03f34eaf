#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the kernel's TCP does with one bulk connection, beside bulk-bench: iperf3 over loopback and over a veth pair, with the
device's segmentation offloads and without, both processes on one processor and free. Namespaces are made here and removed.

usage: kernel_reference.py [--seconds N] [--json FILE]     needs root, iperf3, ip, ethtool
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

CLIENT, SERVER = f"hfbulk{os.getpid()}c", f"hfbulk{os.getpid()}s"
OFFLOADS = ["tso", "gso", "gro"]


def must(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def inside(namespace, *command):
    return ["ip", "netns", "exec", namespace, *command]


def set_up():
    must("ip", "netns", "add", CLIENT)
    must("ip", "netns", "add", SERVER)
    must("ip", "link", "add", "hf0", "netns", CLIENT, "type", "veth", "peer", "name", "hf0", "netns", SERVER)
    for namespace, address in ((CLIENT, "10.0.0.2/24"), (SERVER, "10.0.0.1/24")):
        must(*inside(namespace, "ip", "address", "add", address, "dev", "hf0"))
        must(*inside(namespace, "ip", "link", "set", "hf0", "up"))
        must(*inside(namespace, "ip", "link", "set", "lo", "up"))


def tear_down():
    for namespace in (CLIENT, SERVER):
        subprocess.run(["ip", "netns", "del", namespace], capture_output=True)


def set_offloads(device, on):
    for namespace in {CLIENT, SERVER} if device == "hf0" else {SERVER}:
        for feature in OFFLOADS:
            # Loopback has no GRO to switch.
            subprocess.run(inside(namespace, "ethtool", "-K", device, feature, "on" if on else "off"), capture_output=True)


def measure(device, processor, seconds):
    client, target = (CLIENT, "10.0.0.1") if device == "hf0" else (SERVER, "127.0.0.1")
    pin = ["taskset", "-c", str(processor)] if processor is not None else []
    server = subprocess.Popen(inside(SERVER, *pin, "iperf3", "-s", "-1"), stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    done = subprocess.run(inside(client, *pin, "iperf3", "-c", target, "-t", str(seconds), "-O", "0.5", "-C", "cubic", "-J"),
                          capture_output=True, text=True)
    server.wait(10)
    report = json.loads(done.stdout)
    if "error" in report:
        sys.exit(f"iperf3: {report['error']}")
    bits = report["end"]["sum_received"]["bits_per_second"]
    use = report["end"]["cpu_utilization_percent"]
    # What the two processes were charged for, so that a busy machine does not matter; the kernel works for them in their own
    # time, but for what it defers to its own threads.
    return bits, (use["host_total"] + use["remote_total"]) / 100


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    for tool in ("iperf3", "ip", "ethtool", "taskset"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is missing")
    rows = []
    try:
        set_up()
        print(f"{'device':9} {'mtu':>6} {'offloads':9} {'on':8} {'Gbit/s':>8} {'Gbyte/cpu s':>13}")
        for device, name, mtu in (("lo", "loopback", 65536), ("lo", "loopback", 1500), ("hf0", "veth", 1500)):
            for namespace in (CLIENT, SERVER) if device == "hf0" else (SERVER,):
                must(*inside(namespace, "ip", "link", "set", device, "mtu", str(mtu)))
            for on in (True, False):
                set_offloads(device, on)
                for processor in (0, None):
                    bits, cores = measure(device, processor, options.seconds)
                    row = {"device": name, "mtu": mtu, "offloads": on, "one_processor": processor is not None,
                           "gbit": bits / 1e9, "gbyte_per_cpu_second": bits / 8e9 / cores}
                    rows.append(row)
                    print(f"{name:9} {mtu:6} {'on' if on else 'off':9} {'one cpu' if processor is not None else 'free':8} "
                          f"{row['gbit']:8.2f} {row['gbyte_per_cpu_second']:13.3f}", flush=True)
    finally:
        tear_down()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
