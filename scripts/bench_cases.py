# SPDX-License-Identifier: BSD-3-Clause
# The cases of scripts/bench: which program of ours, beside which other, and what the ratio shall be at most.
# Knows nothing of how they are run.
import os

CONNECTIONS = "bench/connections/connections-bench"
FLOOR = "bench/floor/floor-bench"
KERNEL = "bench/kernel/kernel-bench"
BULK = "bench/bulk/bulk-bench"
# Of the larger of the two programs: both ends' control blocks and tables (or the skeleton's), and the rest.
BYTES_BY_IDLE = 640
BYTES_BESIDES = 1 << 30


class Case:
    """`ours` and `beside`: a program of the build and its words; `beside` may name another case instead, whose median
    counts then. `value`: the field that is compared. `inverse`: larger is better, and the ratio is beside to ours."""

    def __init__(self, name, what, ours, beside=None, goal=None, value="ns", beside_value="ns", idle=0, cores=1, quick=False):
        self.name, self.what, self.ours, self.beside, self.goal = name, what, ours, beside, goal
        self.value, self.beside_value, self.idle, self.cores, self.quick = value, beside_value, idle, cores, quick

    def targets(self):
        return [self.ours[0]] + ([self.beside[0]] if isinstance(self.beside, list) else [])

    def why_not(self):
        """What this machine lacks for the case; empty if nothing."""
        if (os.cpu_count() or 1) < self.cores:
            return f"{self.cores} processors are needed"
        needed = self.idle * BYTES_BY_IDLE + (BYTES_BESIDES if self.idle else 0)
        if self.idle and available_bytes() < needed:
            return f"{needed >> 20} MiB of memory are needed, {available_bytes() >> 20} are available"
        return ""


def available_bytes():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:"))


def idle_name(n):
    return f"{n // 1_000_000}m" if n >= 1_000_000 else f"{n // 1000}k"


def all_cases():
    idles = [100_000, 1_000_000, 10_000_000]
    cases = [Case("one-core", "both ends on one core over rings, the short exchange; beside the yardstick",
                  [CONNECTIONS, "--cores", "1", "--idle", "0"], [FLOOR, "ceiling"], 1.6, quick=True)]
    for n in idles:
        cases.append(Case(f"one-core-idle-{idle_name(n)}", f"the same with {n} idle connections at both ends",
                          [CONNECTIONS, "--cores", "1", "--idle", str(n)], [FLOOR, "ceiling", "--idle", str(n)], 1.3, idle=n))
    cases.append(Case("no-timestamps", "one-core without the timestamps option; beside the same with it",
                      [CONNECTIONS, "--cores", "1", "--idle", "0", "--no-timestamps"],
                      [CONNECTIONS, "--cores", "1", "--idle", "0"], quick=True))
    for link in ("memif", "virtio"):
        for n in [0] + (idles if link == "memif" else []):
            name = f"pair-{link}" + (f"-idle-{idle_name(n)}" if n else "")
            cases.append(Case(name, f"one end per core over {link}, {n} idle connections; beside the yardstick",
                              [CONNECTIONS, "--link", link, "--idle", str(n)], [FLOOR, "pair", link, "--idle", str(n)],
                              1.3, idle=n, cores=2))
    for n in (1, 32, 1024):
        cases.append(Case(f"kept-{n}", f"a request of 64 bytes and its response, {n} connections with one under way on each; "
                          "beside a connection's life", [CONNECTIONS, "--cores", "1", "--keep", str(n)],
                          [CONNECTIONS, "--cores", "1", "--idle", "0"], 0.4, quick=True))
    cases.append(Case("flood", "a spoofed SYN, answered by a cookie; goal: 60 ns and 0 bytes", [CONNECTIONS, "--flood"], quick=True))
    cases.append(Case("bulk-mss", "a segment of bulk, MSS-sized (1448 bytes), one core, software checksums",
                      [BULK, "--cores", "1"], quick=True))
    cases.append(Case("bulk-large", "a segment of bulk handed over whole by the ring: up to 16 KiB, its buffers (not 64); by segment",
                      [BULK, "--cores", "1", "--segmentation-offload"], quick=True))
    cases.append(Case("kernel", "the short exchange on one core, in processor time of both ends; beside the kernel's epoll pair",
                      [CONNECTIONS, "--cores", "1", "--idle", "0"], [KERNEL], 1 / 150, beside_value="both_ns", quick=True))
    return cases
