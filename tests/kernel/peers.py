#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Handfast against peers that nobody here wrote: the Linux kernel's TCP with curl, wrk, nc, nginx and Python, over a TAP
port in a user and network namespace that this script makes itself; and Handfast against itself in two processes.

usage: peers.py HANDFAST SCENARIO      exit code 0: passed, 77: this machine cannot (and why), 1: failed
Every TAP run is captured, and tshark must find no malformed segment and no bad checksum in it.
"""

import hashlib
import json
import os
import re
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

KERNEL, STACK, DEVICE = "10.0.0.1", "10.0.0.2", "hf0"
HANDFAST = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else ""
SCENARIOS = {}


def scenario(*tools, tap=True):
    def register(function):
        SCENARIOS[function.__name__] = (function, tools, tap)
        return function
    return register


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def fail(message):
    print(f"FAILED: {message}")
    sys.exit(1)


def run(*command, timeout=120, **more):
    return subprocess.run(command, timeout=timeout, capture_output=True, text=True, **more)


def must(*command, **more):
    done = run(*command, **more)
    if done.returncode != 0:
        fail(f"{' '.join(command)} exited {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}")
    return done.stdout


def wait_until(what, condition, seconds=15.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    fail(f"{what} did not happen within {seconds:.0f} s")


class Handfast:
    """One handfast process; its output goes to a file that is shown when something fails."""

    def __init__(self, work, name, *arguments):
        self.log = os.path.join(work, f"{name}.log")
        self.name = name
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([HANDFAST, *arguments], stdout=log, stderr=subprocess.STDOUT)

    def output(self):
        with open(self.log) as log:
            return log.read()

    def finish(self, timeout, expect=0):
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            fail(f"{self.name} did not end within {timeout} s:\n{self.output()[-2000:]}")
        if code != expect:
            fail(f"{self.name} exited {code}, not {expect}:\n{self.output()[-2000:]}")
        return self.output()

    def stop(self):
        if self.process.poll() is not None:
            fail(f"{self.name} ended by itself with {self.process.returncode}:\n{self.output()[-2000:]}")
        self.process.send_signal(signal.SIGINT)
        return self.finish(15)


class Tap:
    """The kernel's end of a Handfast process' TAP, and what crosses it."""

    def __init__(self, work, handfast, capture_mib=64, capture=True):
        self.work, self.handfast = work, handfast
        must("ip", "link", "set", "lo", "up")
        wait_until("the TAP device", lambda: handfast.process.poll() is not None or run("ip", "link", "show", DEVICE).returncode == 0)
        if handfast.process.poll() is not None:
            fail(f"{handfast.name} ended at once:\n{handfast.output()}")
        must("ip", "address", "add", f"{KERNEL}/24", "dev", DEVICE)
        # The capture is taken before the device would fill in sums and cut segments: let the kernel do both.
        run("ethtool", "-K", DEVICE, "tx", "off", "tso", "off", "gso", "off", "gro", "off")
        must("ip", "link", "set", DEVICE, "up")
        if not capture:
            return
        self.pcap = os.path.join(work, "capture.pcapng")
        self.dumpcap = subprocess.Popen(
            ["dumpcap", "-q", "-i", DEVICE, "-w", self.pcap, "-a", f"filesize:{capture_mib * 1024}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until("the capture", lambda: os.path.exists(self.pcap))

    def stop(self):
        """Ends the capture, while the device is still there, and then the server."""
        time.sleep(0.3)
        self.end_capture()
        self.handfast.stop()
        self.check_capture()

    def end_capture(self):
        if self.dumpcap.poll() is None:
            self.dumpcap.send_signal(signal.SIGINT)
        self.dumpcap.wait(20)

    def check_capture(self):
        self.end_capture()
        # A sum of 0xffff says the same as 0x0000 (RFC 1624 section 3); the kernel and DPDK's TAP driver write it, tshark
        # does not like it.
        bad = must("tshark", "-n", "-r", self.pcap, "-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y",
                   "(tcp.checksum.status == 0 && tcp.checksum != 0xffff) || ip.checksum.status == 0 || _ws.malformed", timeout=300)
        if bad.strip():
            fail("tshark found bad segments:\n" + "\n".join(bad.splitlines()[:10]))
        count = must("capinfos", "-c", "-M", self.pcap)
        packets = int(re.search(r"packets:\s+(\d+)", count).group(1))
        if packets < 10:
            fail("the capture is empty")
        print(f"capture: {packets} packets, none malformed, no bad checksum")


def serve(work, what, port, *more):
    return Handfast(work, f"serve-{what}", "serve", what, "--dev", f"tap:{DEVICE}", "--address", f"{STACK}/24",
                    "--listen", str(port), *more)


def load(work, port, *more):
    report = os.path.join(work, "report.json")
    return Handfast(work, "load", "load", "--dev", f"tap:{DEVICE}", "--address", f"{STACK}/24", "--target", f"{KERNEL}:{port}",
                    "--json", report, *more), report


def check_report(path, count):
    with open(path) as file:
        report = json.load(file)
    if report["established"] != count or report["failed"] != 0 or report["closed"] != count:
        fail(f"of {count} connections {report['established']} were established, {report['closed']} closed, "
             f"{report['failed']} failed: {report['failed_by_cause']}")
    print(f"{count} connections, none failed, {report['retransmits']} retransmits")


@scenario("curl")
def curl_fetches_a_page(work):
    server = serve(work, "http", 80, "--size", "1000")
    tap = Tap(work, server)
    body = must("curl", "-s", "-S", "-m", "10", f"http://{STACK}/")
    if len(body) != 1000:
        fail(f"curl got {len(body)} bytes, not 1000")
    head = must("curl", "-s", "-I", "-m", "10", f"http://{STACK}/")
    if not head.startswith("HTTP/1.1 200"):
        fail(f"curl -I got {head!r}")
    tap.stop()


@scenario("wrk")
def wrk_makes_10000_connections(work):
    server = serve(work, "http", 80)
    tap = Tap(work, server)
    done = 0
    for _ in range(12):
        out = must("wrk", "-t1", "-c64", "-d2", "-H", "Connection: close", f"http://{STACK}/")
        if "Socket errors" in out or "Non-2xx" in out:
            fail(f"wrk saw errors:\n{out}")
        done += int(re.search(r"(\d+) requests in", out).group(1))
        if done >= 10000:
            break
    print(f"wrk: {done} connections, no error")
    if done < 10000:
        fail("that is fewer than 10000")
    tap.stop()


@scenario("wrk")
def wrk_keeps_connections(work):
    server = serve(work, "http", 80)
    tap = Tap(work, server)
    out = must("wrk", "-t1", "-c64", "-d2", f"http://{STACK}/")
    if "Socket errors" in out or "Non-2xx" in out:
        fail(f"wrk saw errors:\n{out}")
    print(out.splitlines()[-2].strip())
    tap.stop()


@scenario()
def sigterm_in_mid_transfer(work):
    """Each client has got the beginning of its answer and reads no further; then the server is told to end."""
    count, size = (10000, 12000) if os.environ.get("HANDFAST_LONG") else (500, 12000)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < count + 100:
        skip(f"only {hard} files may be open")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 100, hard))
    server = serve(work, "http", 80, "--size", str(size), "--backlog", "16384")
    Tap(work, server, capture=False)
    got, clients = {}, selectors.EpollSelector()
    for _ in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        client.settimeout(20)
        client.connect((STACK, 80))
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        got[client] = 0
    for client in got:
        got[client] = len(client.recv(1000))
        client.setblocking(False)
        clients.register(client, selectors.EVENT_READ)
    start = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    whole = cut = resets = 0
    while clients.get_map() and time.monotonic() < start + 30:
        for key, _ in clients.select(1):
            client = key.fileobj
            try:
                data = client.recv(65536)
            except ConnectionResetError:
                data = None
            if data:
                got[client] += len(data)
                continue
            clients.unregister(client)
            resets += data is None
            # The head comes on top of the body.
            whole += data is not None and got[client] > size
            cut += data is not None and got[client] <= size
    seconds = time.monotonic() - start
    print(f"of {count}: {whole} whole, {cut} cut short, {resets} reset; over {seconds:.2f} s after SIGTERM")
    if clients.get_map():
        fail(f"{len(clients.get_map())} never ended")
    if cut or whole == 0:
        fail("answers were cut short by a FIN")
    if resets and seconds < 2:  # StackConfig::drain_limit
        fail("connections were reset within the time they have to end")
    server.finish(15)


@scenario("wrk")
def listing_while_it_serves(work):
    server = serve(work, "http", 80)
    tap = Tap(work, server)
    wrk = subprocess.Popen(["wrk", "-t1", "-c32", "-d3", f"http://{STACK}/"], stdout=subprocess.DEVNULL)
    time.sleep(1)
    for _ in range(10):
        server.process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
    wrk.wait(20)
    listings = re.findall(r"\d+ connections.* (\d+) ESTABLISHED", server.output())
    if len(listings) < 5 or "32" not in listings:
        fail(f"32 established connections were to be listed ten times:\n{server.output()[-1500:]}")
    tap.stop()


def echo_through_nc(work, size, timeout):
    """`size` random bytes to the echo service and back; nc -N sends FIN at the end of its input (half-close)."""
    source = os.path.join(work, "source")
    with open(source, "wb") as file:
        left = size
        while left:
            block = os.urandom(min(left, 1 << 22))
            file.write(block)
            left -= len(block)
    sent = hashlib.sha256()
    with open(source, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            sent.update(block)
    start = time.monotonic()
    with open(source, "rb") as file:
        nc = subprocess.Popen(["nc", "-N", "-w", "20", STACK, "7"], stdin=file, stdout=subprocess.PIPE)
        got, received = hashlib.sha256(), 0
        for block in iter(lambda: nc.stdout.read(1 << 20), b""):
            got.update(block)
            received += len(block)
        nc.wait(timeout)
    seconds = time.monotonic() - start
    os.unlink(source)
    if received != size or got.digest() != sent.digest():
        fail(f"sent {size} bytes, {received} came back, SHA-256 {'equal' if got.digest() == sent.digest() else 'different'}")
    print(f"{size} bytes each way in {seconds:.1f} s, SHA-256 equal")


@scenario("nc")
def nc_half_closes(work):
    server = serve(work, "echo", 7)
    tap = Tap(work, server)
    for size in (1, 1000, 100000):
        echo_through_nc(work, size, 30)
    tap.stop()


@scenario("nc")
def gibibyte_each_way(work):
    server = serve(work, "echo", 7)
    tap = Tap(work, server)
    echo_through_nc(work, 1 << 30, 300)
    tap.stop()


def lose(percent):
    rules = f"""table inet hf {{
  chain in {{ type filter hook input priority 0; iifname {DEVICE} numgen random mod 100 < {percent} drop; }}
  chain out {{ type filter hook output priority 0; oifname {DEVICE} ip protocol tcp numgen random mod 100 < {percent} drop; }}
}}"""
    done = run("nft", "-f", "-", input=rules)
    if done.returncode != 0:
        skip(f"nft cannot drop packets here: {done.stderr.strip().splitlines()[-1]}")


@scenario("nc", "nft", "curl")
def two_percent_loss(work):
    server = serve(work, "echo", 7)
    tap = Tap(work, server)
    lose(2)
    echo_through_nc(work, 16 << 20, 240)
    for _ in range(20):
        echo_through_nc(work, 3000, 60)
    tap.stop()


def nginx(work):
    root = os.path.join(work, "www")
    os.mkdir(root)
    os.chmod(work, 0o755)
    with open(os.path.join(root, "index.html"), "w") as file:
        file.write("hello\n")
    conf = os.path.join(work, "nginx.conf")
    with open(conf, "w") as file:
        file.write(f"""daemon off; master_process off; user root root; worker_processes 1; pid {work}/nginx.pid; error_log {work}/nginx.err;
events {{ worker_connections 4096; }}
http {{ access_log off; client_body_temp_path {work}/t1; proxy_temp_path {work}/t2; fastcgi_temp_path {work}/t3;
  uwsgi_temp_path {work}/t4; scgi_temp_path {work}/t5;
  server {{ listen 8080 backlog=4096; root {root}; }} }}""")
    return subprocess.Popen(["nginx", "-p", work, "-c", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def load_against(work, server, count, concurrency, port=8080):
    try:
        wait_until(f"a server on port {port}", lambda: run("curl", "-s", "-o", "/dev/null", "-m", "1", f"http://127.0.0.1:{port}/").returncode == 0)
        client, report = load(work, port, "--count", str(count), "--concurrency", str(concurrency), "--duration", "120s")
        tap = Tap(work, client)
        client.finish(150)
        check_report(report, count)
        tap.check_capture()
    finally:
        server.kill()


@scenario("nginx", "curl")
def load_against_nginx(work):
    must("ip", "link", "set", "lo", "up")
    load_against(work, nginx(work), 10000, 64)


@scenario("curl")
def load_against_python(work):
    must("ip", "link", "set", "lo", "up")
    root = os.path.join(work, "www")
    os.mkdir(root)
    with open(os.path.join(root, "index.html"), "w") as file:
        file.write("hello\n")
    server = subprocess.Popen([sys.executable, "-m", "http.server", "8080", "--directory", root, "--bind", "0.0.0.0"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    load_against(work, server, 10000, 4)


@scenario()
def load_against_nobody(work):
    client, report = load(work, 9, "--count", "50", "--concurrency", "5", "--duration", "10s")
    Tap(work, client, capture=False)
    client.finish(30, expect=4)
    with open(report) as file:
        causes = json.load(file)["failed_by_cause"]
    if causes.get("refused") != 50:
        fail(f"50 refused connections were expected, not {causes}")


def between_processes(work, server_dev, client_dev, server_first=True):
    server_args = ("serve", "http", "--dev", server_dev, "--address", "10.1.0.1/24", "--listen", "80")
    report = os.path.join(work, "report.json")
    client_args = ("load", "--dev", client_dev, "--address", "10.1.0.2/24", "--target", "10.1.0.1:80", "--count", "20000",
                   "--concurrency", "64", "--duration", "60s", "--json", report)
    server = Handfast(work, "server", *server_args)
    time.sleep(1.0)
    client = Handfast(work, "client", *client_args)
    client.finish(90)
    check_report(report, 20000)
    server.process.send_signal(signal.SIGINT)
    server.finish(15)


@scenario(tap=False)
def vhost_to_virtio(work):
    path = os.path.join(work, "vhost.sock")
    between_processes(work, f"vhost:{path}", f"virtio:{path}")


@scenario(tap=False)
def memif_to_memif(work):
    path = os.path.join(work, "memif.sock")
    between_processes(work, f"memif:{path},role=server", f"memif:{path},role=client")


def main():
    if len(sys.argv) != 3 or sys.argv[2] not in SCENARIOS:
        print(__doc__, "\nscenarios:", " ".join(SCENARIOS))
        sys.exit(2)
    function, tools, tap = SCENARIOS[sys.argv[2]]
    needed = [*tools, *(("ip", "dumpcap", "tshark", "capinfos", "unshare") if tap else ())]
    missing = [tool for tool in needed if shutil.which(tool) is None]
    if missing:
        skip(f"not installed: {' '.join(missing)}")
    if tap and "HANDFAST_IN_NAMESPACE" not in os.environ:
        if not os.path.exists("/dev/net/tun"):
            skip("there is no /dev/net/tun")
        if run("unshare", "-Urn", "true").returncode != 0:
            skip("user namespaces are not allowed: sysctl kernel.unprivileged_userns_clone=1")
        os.environ["HANDFAST_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-Urn", "--kill-child", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory(prefix="handfast-") as work:
        try:
            function(work)
        finally:
            for name in sorted(os.listdir(work)):
                if name.endswith(".log") and sys.exc_info()[0] not in (None,):
                    with open(os.path.join(work, name)) as log:
                        print(f"--- {name}\n{log.read()[-3000:]}")
            for child in re.findall(r"\d+", run("pgrep", "-P", str(os.getpid())).stdout):
                try:
                    os.kill(int(child), signal.SIGKILL)
                except ProcessLookupError:
                    pass


main()
