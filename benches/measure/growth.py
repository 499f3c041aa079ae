"""How Lockgate grows: with sessions, and with cores."""

import json
import os
import resource
import statistics
import time

from . import laws, page as pages, plot, targets
from .build import machine
from .figures import metrics, number, wrongs
from .gateway import Gateway, memory_kib
from .load import drive
from .workloads import Workload

# As many as are asked for, of one tenant, from one address.
LIMITS = """sessions = {n}
sessions_per_tenant = {n}
sessions_per_server = {n}
connections = {connections}
connections_per_address = 0
"""
PATHS = {"sse": ("sse", "/echo/sse"), "stream": ("streamable", "/echo/mcp")}
NAMES = {"sse": "SSE", "stream": "Streamable"}
FAR = 16


def point(binaries, short, sessions, seconds, cores):
    """One gateway with so many sessions on so many cores."""
    limits = LIMITS.format(n=sessions + 50, connections=4 * sessions + 200)
    target = targets.ours(binaries, f"scale-{short}", *PATHS[short], limits=limits)
    arguments = (f"-n {sessions} -d {seconds} --ids unique --connect-parallel {min(sessions, 32)} --timeout 60 "
                 f"--connect-timeout 120 --settle 3 --max-time 280 --warmup 1")
    workload = Workload(f"scale_{sessions}", "echo", arguments)
    # What it starts inherits the cores it may run on.
    all_cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(all_cores)[:cores])
    try:
        with Gateway(target, binaries) as gateway:
            if not gateway.listens():
                return {"ok": False, "aborted": f"it does not listen: {gateway.log()}"}, {}
            base = memory_kib(gateway.process.pid)
            result = drive(binaries, workload, target, gateway.url, gateway.process.pid)
            gateway.stop()
    finally:
        os.sched_setaffinity(0, all_cores)
    return result | {"base_pss_kib": base}, gateway.facts


def sweep(binaries, args):
    """All points; the last are 100 sessions on fewer cores than there are."""
    args.raw.parent.mkdir(parents=True, exist_ok=True)
    all_cores = len(os.sched_getaffinity(0))
    points = [(sessions, all_cores) for sessions in args.sessions]
    points += [(100, cores) for cores in range(1, all_cores + 1) if (100, cores) not in points]
    with open(args.raw, "w") as out:
        about = machine(binaries) | {"date": time.strftime("%Y-%m-%d %H:%M", time.gmtime())}
        out.write(json.dumps({"meta": about}) + "\n")
        for run in range(1, args.runs + 1):
            needs = {}
            for asked, cores in points:
                for short in args.transports:
                    sessions = min(asked, fitting(needs.get(short)))
                    result, ended = point(binaries, short, sessions, args.seconds, cores)
                    line = {"run": run, "transport": short, "sessions": sessions, "asked": asked, "cores": cores,
                            "result": result, "ended": ended}
                    needs[short] = metrics(line).get("fds", 0) / sessions if sessions >= 10 else None
                    out.write(json.dumps(line) + "\n")
                    out.flush()
                    found = metrics(line)
                    print(f"run {run} {short:7} {sessions:5} sessions, {cores} cores: {found.get('calls_per_s')}/s "
                          f"p99 {found.get('p99_ms')} ms, set-up {found.get('setup_per_s')}/s, pss {found.get('pss_kib')} KiB "
                          f"{wrongs(line) or ''}"[:300], flush=True)


def fitting(need):
    """How many sessions this process may have the descriptors for, if each needs so many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Of the gateway's descriptors, half may be connections, of which a session has two.
    most = min((hard - 500) / need if need else hard, (hard / 2 - 50) / 2)
    return max(100, int(most / 100) * 100)


class Points:
    """Medians over the runs."""

    def __init__(self, path):
        self.machine, self.lines = {}, []
        with open(path) as file:
            for text in file:
                line = json.loads(text)
                if "meta" in line:
                    self.machine = line["meta"]
                else:
                    self.lines.append(line)
        self.cores = max(line["cores"] for line in self.lines)
        self.sessions = sorted({line["sessions"] for line in self.lines})
        self.short_of = sorted({line["asked"] for line in self.lines if line["asked"] > line["sessions"]})
        self.transports = list(dict.fromkeys(line["transport"] for line in self.lines))

    def of(self, short, sessions, cores):
        wanted = (short, sessions, cores)
        return [line for line in self.lines if (line["transport"], line["sessions"], line["cores"]) == wanted]

    def get(self, short, sessions, key, cores=None):
        values = [metrics(line).get(key) for line in self.of(short, sessions, cores or self.cores)]
        values = [value for value in values if value is not None]
        return statistics.median(values) if values else None

    def wrong(self, short, sessions):
        found = {}
        for line in self.of(short, sessions, self.cores):
            found |= wrongs(line)
        return ", ".join(f"{key} {value}" for key, value in found.items())[:100]

    def curve(self, short, key, scale=1):
        values = [(sessions, self.get(short, sessions, key)) for sessions in self.sessions]
        return [(sessions, value / scale) for sessions, value in values if value]


def page(path):
    """What the page says of it."""
    points = Points(path)
    runs = len({line["run"] for line in points.lines})
    return "\n\n".join([
        f"{pages.measured_on(points.machine)} Medians of {runs} run{'s' if runs > 1 else ''}.",
        *descriptors(points), growth_table(points), *plots(points), "### Knee and cores", *(outlook(points, short) for short in points.transports),
    ])


def descriptors(points):
    for asked in points.short_of:
        yield (f"{asked:,} sessions were asked for; instead there are as many as the descriptors of one process allow on "
               "that machine (`ulimit -H -n`).").replace(",", " ", 1)


def growth_table(points):
    keys = ("calls_per_s", "p50_ms", "p99_ms", "setup_per_s", "pss_kib", "fds", "children_pss_kib", "helpers")
    heads = ("calls/s", "p50 ms", "p99 ms", "sessions started/s", "gateway PSS KiB", "gateway descriptors",
             "children PSS KiB", "other processes", "wrong")
    rows = [[NAMES[short], f"{sessions:,}".replace(",", " "), *(number(points.get(short, sessions, key)) for key in keys),
             points.wrong(short, sessions) or "nothing"]
            for short in points.transports for sessions in points.sessions if points.of(short, sessions, points.cores)]
    return pages.table(["", "sessions", *heads], rows)


def plots(points):
    def chart(name, title, *curves, dashed=()):
        drawn = [(label, some) for label, some in curves if some]
        return pages.draw(f"scale-{name}", plot.curves(title, "sessions", drawn, dashed)) if drawn else ""

    def both(key, scale=1):
        return [(NAMES[short], points.curve(short, key, scale)) for short in points.transports]
    fitted = []
    for short in points.transports:
        law = laws.fit_usl(points.curve(short, "calls_per_s"))
        if law:
            most = max(points.sessions)
            steps = [most ** (step / 60) for step in range(61)]
            fitted.append((f"{NAMES[short]}, law", [(n, law.at(n)) for n in steps]))
    return [
        chart("calls", "Calls a second, measured and by the fitted law", *both("calls_per_s"), *fitted,
              dashed=[name for name, _ in fitted]),
        chart("latency", "99th percentile of a call, ms", *both("p99_ms")),
        chart("memory", "Proportional memory of the gateway, MiB", *both("pss_kib", 1024)),
        chart("descriptors", "Open descriptors of the gateway", *both("fds")),
        chart("starts", "Sessions started a second", *both("setup_per_s")),
    ]


def outlook(points, short):
    """Where it bends, and what more cores would bring."""
    name = NAMES[short]
    law = laws.fit_usl(points.curve(short, "calls_per_s"))
    bend = law and law.knee()
    text = [f"**{name}.**"]
    if law:
        text.append(f"The universal scalability law, fitted to calls/s over sessions, has contention {law.sigma:.4f} and "
                    f"coherence {law.kappa:.2e}; its greatest throughput is at "
                    + (f"{bend:,.0f} sessions (the knee), {law.at(bend):,.0f} calls/s.".replace(",", " ") if bend else "no number of sessions that was measured: more do not slow it down."))
    by_cores = [(cores, rate) for cores in range(1, points.cores + 1)
                if (rate := points.get(short, 100, "calls_per_s", cores))]
    serial = laws.serial_fraction(by_cores)
    if serial is None:
        text.append("How it grows with cores was not measured.")
    else:
        measured = ", ".join(f"{number(rate)} on {cores}" for cores, rate in by_cores)
        far = laws.amdahl(by_cores[0][1], serial, FAR)
        text.append(f"With 100 sessions, calls/s by cores: {measured}. By Amdahl's law that is a serial fraction of {serial * 100:.1f} %, "
                    f"which would allow {far:,.0f} calls/s on {FAR} cores, {far / by_cores[0][1]:.1f} times one core's. "
                    f"The load generator runs on the same cores, on a thread of its own; {len(by_cores)} points say nothing of "
                    "what only shows on more cores, so this is an upper bound.")
    return " ".join(text)
