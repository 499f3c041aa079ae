"""How Lockgate grows: with sessions, and with cores."""

import json
import os
import resource
import statistics
import time

from . import laws, page as pages, plot, targets
from .build import machine
from .figures import metrics, number, read, wrongs
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
# With so many sessions, cores are compared; so far, what they show is drawn out.
CORES_AT, FAR = 100, 16


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
    """All points; the last are on fewer cores than there are."""
    args.raw.parent.mkdir(parents=True, exist_ok=True)
    all_cores = len(os.sched_getaffinity(0))
    points = [(sessions, all_cores) for sessions in args.sessions]
    points += [(CORES_AT, cores) for cores in range(1, all_cores + 1) if (CORES_AT, cores) not in points]
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
                          f"p99 {found.get('p99_ms')} ms, set-up {found.get('setup_per_s')}/s, "
                          f"pss {found.get('pss_kib')} KiB, {found.get('fds')} fds {wrongs(line) or ''}"[:300], flush=True)


def fitting(need):
    """How many sessions this process may have the descriptors for, if each needs so many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # Of the gateway's descriptors, half may be connections, of which a session has two.
    most = min((hard - 500) / need if need else hard, (hard / 2 - 50) / 2)
    return max(100, int(most / 100) * 100)


class Points:
    """Medians over the runs."""

    def __init__(self, path):
        self.machine, self.lines = read(path)
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
    rows = [[NAMES[short], spaced(sessions), *(number(points.get(short, sessions, key)) for key in keys),
             points.wrong(short, sessions) or "nothing"]
            for short in points.transports for sessions in points.sessions
            if points.of(short, sessions, points.cores)]
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
        by_cores_plot(points),
    ]


def by_cores_plot(points):
    """What was measured on so many cores, and what Amdahl's law makes of it."""
    measured, computed = [], []
    for short in points.transports:
        some = by_cores(points, short)
        serial = laws.serial_fraction(some)
        if serial is not None:
            measured.append((NAMES[short], some))
            computed.append((f"{NAMES[short]}, law", [(n, laws.amdahl(some[0][1], serial, n)) for n in range(1, FAR + 1)]))
    if not measured:
        return ""
    title = f"Calls a second of {CORES_AT} sessions by cores, measured and by Amdahl's law"
    svg = plot.curves(title, "cores", measured + computed, [name for name, _ in computed])
    return pages.draw("scale-cores", svg)


def spaced(value):
    return f"{value:,.0f}".replace(",", " ")


def outlook(points, short):
    """Where it bends, and what more cores would bring."""
    return f"**{NAMES[short]}.** {knee(points, short)} {more_cores(points, short)}"


def knee(points, short):
    law = laws.fit_usl(points.curve(short, "calls_per_s"))
    if not law:
        return "Too few numbers of sessions were measured to fit a law."
    bend = law.knee()
    there = (f"at {spaced(bend)} sessions (the knee), with {spaced(law.at(bend))} calls/s" if bend
             else "at no number of sessions: more of them do not slow it down")
    return (f"The universal scalability law, fitted to calls/s over sessions, has contention {law.sigma:.4f} and "
            f"coherence {law.kappa:.2e}; its greatest throughput is {there}.")


def by_cores(points, short):
    return [(cores, rate) for cores in range(1, points.cores + 1)
            if (rate := points.get(short, CORES_AT, "calls_per_s", cores))]


def more_cores(points, short):
    some = by_cores(points, short)
    serial = laws.serial_fraction(some)
    if serial is None:
        return "How it grows with cores was not measured."
    one = some[0][1]
    far = laws.amdahl(one, serial, FAR)
    measured = ", ".join(f"{number(rate)} on {cores}" for cores, rate in some)
    return (f"With {CORES_AT} sessions, calls/s by cores: {measured}. By Amdahl's law that is a serial fraction of "
            f"{serial * 100:.1f} %, which would allow {spaced(far)} calls/s on {FAR} cores, {far / one:.1f} times one "
            "core's. The load generator, on a single thread, and the children run on the same cores, and "
            f"{len(some)} points say nothing of what only shows on more cores: it is no promise.")
