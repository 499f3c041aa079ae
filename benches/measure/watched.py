"""Calls with and without somebody who looks at the gateway meanwhile."""

import http.client
import os
import socket
import statistics
import threading
import time
from dataclasses import replace

from . import targets
from .figures import number, wrongs
from .gateway import Gateway, free_port
from .load import drive
from .verdicts import Verdict
from .workloads import Workload

SECRET = "benchmark-operator"
# A call may take so much longer while somebody looks.
MOST = 1.05
SCRAPE_S = 1
EVENTS, OVERVIEW = "/admin/events", "/overview"
PATHS = {"sse": "/echo/sse", "stream": "/echo/mcp"}
TRANSPORTS = {"sse": "sse", "stream": "streamable"}


class Failed(Exception):
    """A measurement that says nothing; says why."""


class Eyes:
    """A scrape each second and one operator who looks on, as long as `with` lasts."""

    def __init__(self, port):
        self.port, self.over, self.scrapes, self.seen, self.faults = port, threading.Event(), 0, 0, []
        self.stream = self._has_events()
        self.threads = [threading.Thread(target=self._scrape), threading.Thread(target=self._look)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()

    def _open(self, path, timeout=10):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        connection.request("GET", path, headers={"Authorization": f"Bearer {SECRET}"})
        # The connection forgets its socket where the response ends with it.
        stream = connection.sock
        return connection, connection.getresponse(), stream

    def _has_events(self):
        """Whether this gateway has events to look at; older ones are asked for everything each second."""
        connection, response, _ = self._open(EVENTS)
        connection.close()
        return response.status == 200

    def _get(self, path):
        connection, response, _ = self._open(path)
        try:
            if response.status != 200:
                self.faults.append(f"{path}: {response.status}")
            return len(response.read())
        finally:
            connection.close()

    def _scrape(self):
        while not self.over.is_set():
            try:
                self._get("/metrics")
                self.scrapes += 1
            except OSError as error:
                self.faults.append(f"/metrics: {error}")
            self.over.wait(SCRAPE_S)

    def _look(self):
        try:
            if self.stream:
                return self._read_events()
            while not self.over.is_set():
                self.seen += self._get(OVERVIEW)
                self.over.wait(SCRAPE_S)
        except OSError as error:
            self.faults.append(f"the operator: {error}")

    def _read_events(self):
        connection, response, stream = self._open(EVENTS, timeout=None)
        # Reading waits until there is something; who leaves cuts it off.
        cut = threading.Thread(target=self._cut_off, args=[stream])
        cut.start()
        try:
            while piece := response.read1(65536):
                self.seen += len(piece)
        except (OSError, http.client.HTTPException) as error:
            if not self.over.is_set():
                self.faults.append(f"{EVENTS}: {error}")
        if not self.over.is_set():
            self.faults.append(f"{EVENTS} ended")
        self.over.wait()
        cut.join()
        connection.close()

    def _cut_off(self, stream):
        self.over.wait()
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It has ended by itself.


def target(binaries, name, port):
    """A Lockgate with an admin listener."""
    one = targets.ours(binaries, f"lockgate-{name}", TRANSPORTS[name], PATHS[name])
    own = {"LOCKGATE_ADMIN_SECRET": SECRET, "LOCKGATE__ADMIN__ADDRESS": f"127.0.0.1:{port}"}
    return replace(one, environment=one.environment | own)


def ratios(pairs, key):
    """What calls took while somebody looked, to what they took without, pair by pair."""
    return [watched[key] / alone[key] for alone, watched in pairs]


def judged(name, pairs):
    """Of each percentile: the median of the ratios, with both medians and how far the ratios spread."""
    for key, label in (("p50_ms", "p50"), ("p99_ms", "p99")):
        found = ratios(pairs, key)
        alone, watched = (statistics.median(pair[at][key] for pair in pairs) for at in (0, 1))
        detail = (f"{number(alone)} ms alone, {number(watched)} ms watched; ratios {min(found):.3f} to {max(found):.3f} "
                  f"in {len(found)} pairs")
        yield Verdict(f"{name}: {label} of a call while somebody looks", False, MOST, statistics.median(found), "×", detail)


def compare(binaries, name, count, seconds, sessions=1):
    """Measures pairs, prints what came of it, and says whether both verdicts are met."""
    # The load, the gateway and its children have core 0.
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {0} or {0})
    port = free_port()
    one = target(binaries, name, port)
    work = Workload("watched", "echo", f"-n {sessions} -d {seconds:g} --ids unique", one_core=True)

    def calls(gateway):
        result = drive(binaries, work, one, gateway.url)
        if wrong := wrongs({"result": result}):
            raise Failed(f"{name}: {wrong}")
        return result["calls"]

    def looked_at(gateway):
        with Eyes(port) as eyes:
            found = calls(gateway)
        if eyes.faults or not eyes.scrapes or not eyes.seen:
            raise Failed(f"{name}: nobody looked: {eyes.faults[:3]}")
        return found, eyes
    pairs = []
    with Gateway(one, binaries, one_core=True) as gateway:
        if not gateway.listens():
            raise Failed(f"it does not listen: {gateway.log()}")
        calls(gateway)
        for turn in range(count):
            if turn % 2:
                (watched, eyes), alone = looked_at(gateway), calls(gateway)
            else:
                alone, (watched, eyes) = calls(gateway), looked_at(gateway)
            pairs.append((alone, watched))
            print(f"{name} pair {turn + 1}: p50 {alone['p50_ms']:.3f} ms, watched {watched['p50_ms']:.3f}; "
                  f"p99 {alone['p99_ms']:.3f}, watched {watched['p99_ms']:.3f}; {eyes.scrapes} scrapes", flush=True)
            time.sleep(0.2)
    verdicts = list(judged(name, pairs))
    print(f"{name}: looked at {'by ' + EVENTS if eyes.stream else 'by ' + OVERVIEW + ' each second'} and /metrics")
    for verdict in verdicts:
        print(f"{verdict.what}: {verdict.value:.3f}×, at most {MOST:g}: {verdict.judged().replace('*', '')} ({verdict.detail})")
    return all(verdict.judged() == "met" for verdict in verdicts)
