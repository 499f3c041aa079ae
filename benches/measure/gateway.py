"""Starts a target, and stops it with everything that it has left."""

import http.client
import os
import shlex
import signal
import socket
import statistics
import subprocess
import time
from pathlib import Path

from . import targets

START_S = 30
FILL_S = 60
STILL_S = 0.1
STOP_S = 30


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def children(binaries):
    """The live processes that run our echo-stdio."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.readlink(entry / "exe") == str(binaries.echo):
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


def memory_kib(pid):
    """What a process alone takes, proportionally."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return None


def processor_time(pid):
    """Clock ticks that a process has used; None if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


class Gateway:
    """A running target. `with` sees to its end, whatever happens."""

    def __init__(self, target, binaries, one_core=False, limit=None):
        self.target, self.binaries = target, binaries
        self.port = free_port()
        self.temporary = binaries.place / "tmp"
        self.temporary.mkdir(exist_ok=True)
        command = targets.command(target, binaries, self.port)
        if one_core:
            command = ["taskset", "-c", "0", *command]
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = kept | {"TMPDIR": str(self.temporary)} | target.environment
        log = open(binaries.place / f"{target.name}.log", "ab")
        with log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, start_new_session=True)
        self.behind = None
        if target.behind:
            words = (["taskset", "-c", "0"] if one_core else []) + shlex.split(target.behind)
            self.behind = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                           stderr=subprocess.DEVNULL, start_new_session=True)
        self.facts = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}{self.target.path}"

    def listens(self):
        """Waits until it takes connections; says whether it does."""
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.2).close()
                return True
            except OSError:
                time.sleep(0.02)
        return False

    def filled(self):
        """Waits until all children that it starts ahead are there and nothing uses the processor; says whether so."""
        end = time.monotonic() + FILL_S
        before = None
        while time.monotonic() < end and self.process.poll() is None:
            found = children(self.binaries)
            now = {pid: processor_time(pid) for pid in (self.process.pid, *found)}
            if len(found) == self.target.warm and now == before:
                return True
            before = now
            time.sleep(STILL_S)
        return False

    def log(self):
        """The last lines that it wrote."""
        text = (self.binaries.place / f"{self.target.name}.log").read_text(errors="replace")
        return text[-400:]

    def stop(self):
        """Ends it; notes how it went and what was left."""
        if self.facts:
            return
        facts = {"alive": self.process.poll() is None}
        self.facts = facts
        start = time.monotonic()
        if facts["alive"]:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                facts["killed"] = True
                self.process.kill()
                self.process.wait()
        if self.behind:
            self.behind.kill()
            self.behind.wait()
        facts["stop_s"] = round(time.monotonic() - start, 2)
        facts["exit"] = self.process.returncode
        time.sleep(0.2)
        facts["orphans"] = 0
        for pid in children(self.binaries):
            facts["orphans"] += 1
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        facts["directories"] = sum(1 for _ in self.temporary.glob("*/*"))


def remains(gateway):
    """Of a gateway whose clients have gone: children, and private directories of sessions."""
    return len(children(gateway.binaries)) + sum(1 for _ in gateway.temporary.glob("*/*/*"))


def cold_start_ms(target, binaries, times=10):
    """From the start of the process to the first request that it accepts: the median."""
    took = []
    for _ in range(times):
        begin = time.monotonic()
        with Gateway(target, binaries) as gateway:
            while time.monotonic() < begin + START_S and gateway.process.poll() is None:
                if ready(gateway.port):
                    took.append((time.monotonic() - begin) * 1000)
                    break
                time.sleep(0.001)
    return round(statistics.median(took), 1) if took else None


def ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
