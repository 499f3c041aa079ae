"""What Lockgate is to reach, and whether it does: each row computed from figures of the same run."""

from dataclasses import dataclass

from .figures import number, wrongs

TRANSPORTS = (("sse", "SSE"), ("stream", "Streamable"))
MIB = 1024
WARM = "lockgate-warm-sse"


@dataclass(frozen=True)
class Verdict:
    """One row. `value` is None where it was not measured."""

    what: str
    least: bool  # the target is the least that will do; else the most
    target: float
    value: float | None
    unit: str = ""
    detail: str = ""

    @property
    def met(self):
        if self.value is None:
            return None
        return self.value >= self.target if self.least else self.value <= self.target

    def row(self):
        wanted = f"{'≥' if self.least else '≤'} {number(self.target)}{self.unit}"
        return [self.what, wanted, "–" if self.value is None else f"{number(self.value)}{self.unit}",
                self.judged(), self.detail]

    def judged(self):
        if self.met is None:
            return "not measured"
        if self.met:
            return "met"
        off = abs(self.value / self.target - 1) if self.target else 0
        return f"**missed** by {off * 100:.0f} %" if self.target else "**missed**"


def limit(figures, run, transport, workload):
    """What HTTP and stdio would allow, one behind the other."""
    floor = figures.get(run, f"floor-{transport}", workload, "calls_per_s")
    pipe = figures.get(run, "pipe", workload, "calls_per_s")
    return 1 / (1 / floor + 1 / pipe) if floor and pipe else None


def ratio(figures, workload, key, of, to):
    """The median of in-run ratios; `to` is a target's name, or what a run gives."""
    def of_run(run):
        one = figures.get(run, of, workload, key)
        other = to(run) if callable(to) else figures.get(run, to, workload, key)
        return one / other if one is not None and other else None
    return figures.over_runs(of_run)


def peers(figures, own_children):
    """Names of the peers; with `own_children` only those whose sessions share nothing."""
    others = ("lockgate", "floor", "pipe")
    names = [name for name in figures.targets if not name.startswith(others)]
    return [name for name in names if not own_children or figures.children(name) == 10]


def best(figures, workload, own_children):
    """The most that a peer reaches in a run, without errors."""
    def of_run(run):
        found = [figures.get(run, name, workload, "calls_per_s") for name in peers(figures, own_children)
                 if (line := figures.line(run, name, workload)) and not wrongs(line)]
        return max((value for value in found if value), default=None)
    return of_run


def throughput(figures):
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"
        share = ratio(figures, "echo_s1_1cpu", "calls_per_s", us,
                      lambda run, short=short: limit(figures, run, short, "echo_s1_1cpu"))
        rate = figures.median(us, "echo_s1_1cpu", "calls_per_s")
        yield Verdict(f"{name}: calls/s, 1 session on one core, of the limit", True, 0.75, share, "",
                      f"{number(rate)} calls/s")
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"

        def both(run, short=short):
            parts = [figures.get(run, one, "echo_s1", "p50_ms") for one in (f"floor-{short}", "pipe")]
            return sum(parts) if None not in parts else None
        yield Verdict(f"{name}: p50 of one call in flight, to floor and pipe together", False, 1.3,
                      ratio(figures, "echo_s1", "p50_ms", us, both), "×",
                      f"{number(figures.median(us, 'echo_s1', 'p50_ms'))} ms")
    for short, name in TRANSPORTS:
        us, floor = f"lockgate-{short}", f"floor-{short}"
        share = ratio(figures, "echo_s100", "calls_per_s", us,
                      lambda run, short=short: limit(figures, run, short, "echo_s100"))
        rate = figures.median(us, "echo_s100", "calls_per_s")
        yield Verdict(f"{name}: calls/s, 100 sessions, of the limit", True, 0.6, share, "", f"{number(rate)} calls/s")
        cost = figures.median(us, "echo_s100", "cpu_us_per_call")
        yield Verdict(f"{name}: gateway CPU a call, 100 sessions, to the floor's", False, 2.5,
                      ratio(figures, "echo_s100", "cpu_us_per_call", us, floor), "×", f"{number(cost)} µs")
        yield Verdict(f"{name}: p99, 100 sessions, to the floor's", False, 2,
                      ratio(figures, "echo_s100", "p99_ms", us, floor), "×",
                      f"{number(figures.median(us, 'echo_s100', 'p99_ms'))} ms")


def remote(figures):
    """In front of the floor: HTTP twice, one behind the other, is what there is at least."""
    for short, name in TRANSPORTS:
        us, floors = f"lockgate-remote-{short}", (f"floor-{short}", "floor-stream")

        def both(run, key, workload, floors=floors):
            parts = [figures.get(run, one, workload, key) for one in floors]
            return parts if None not in parts else None

        def at_most(run, workload, both=both):
            parts = both(run, "calls_per_s", workload)
            return 1 / sum(1 / part for part in parts) if parts else None
        rate = figures.median(us, "echo_s1_1cpu", "calls_per_s")
        yield Verdict(f"{name}: calls/s to a remote server, on one core, of what HTTP allows twice", True, 0.5,
                      ratio(figures, "echo_s1_1cpu", "calls_per_s", us,
                            lambda run, at_most=at_most: at_most(run, "echo_s1_1cpu")), "", f"{number(rate)} calls/s")
        yield Verdict(f"{name}: p50 of one call to a remote server, to two of the floor's", False, 1.5,
                      ratio(figures, "echo_s1", "p50_ms", us,
                            lambda run, both=both: sum(both(run, "p50_ms", "echo_s1") or []) or None), "×",
                      f"{number(figures.median(us, 'echo_s1', 'p50_ms'))} ms")
        rate = figures.median(us, "echo_s100", "calls_per_s")
        yield Verdict(f"{name}: calls/s to a remote server, 100 sessions, of what HTTP allows twice", True, 0.5,
                      ratio(figures, "echo_s100", "calls_per_s", us,
                            lambda run, at_most=at_most: at_most(run, "echo_s100")), "", f"{number(rate)} calls/s")


def beside(figures):
    """Small calls while another session sends large ones; the floor has the same two loads, and the same cores."""
    def slower(target):
        def of_run(run):
            loaded, alone = (figures.get(run, target, workload, "p99_ms") for workload in ("beside_4mib", "echo_s10"))
            return loaded / alone if loaded and alone else None
        return number(figures.over_runs(of_run))

    def large(target):
        return number(figures.median(target, "beside_4mib", "beside_per_s"))
    for short, name in TRANSPORTS:
        us, floor = f"lockgate-{short}", f"floor-{short}"
        yield Verdict(f"{name}: p99 of 10 sessions while another one sends 4 MiB messages, to the floor's", False, 2,
                      ratio(figures, "beside_4mib", "p99_ms", us, floor), "×",
                      f"{number(figures.median(us, 'beside_4mib', 'p99_ms'))} ms, {slower(us)}× that without (the floor's "
                      f"{slower(floor)}×); {large(us)} such messages/s (the floor {large(floor)})")


def against_peers(figures):
    for workload, sessions in (("echo_s1", "1 session"), ("echo_s10", "10 sessions"), ("echo_s100", "100 sessions")):
        for short, name in TRANSPORTS:
            yield Verdict(f"{name}: calls/s, {sessions}, to the best peer with a child a session", True, 8,
                          ratio(figures, workload, "calls_per_s", f"lockgate-{short}", best(figures, workload, True)), "×")
    for short, name in TRANSPORTS:
        yield Verdict(f"{name}: notifications/s, of the pipe's", True, 0.3,
                      ratio(figures, "burst", "notes_per_s", f"lockgate-{short}", "pipe"), "",
                      f"{number(figures.median(f'lockgate-{short}', 'burst', 'notes_per_s'))}/s")
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"
        rate = f"{number(figures.median(us, 'echo_1mb', 'calls_per_s'))}/s"
        share = ratio(figures, "echo_1mb", "calls_per_s", us,
                      lambda run, short=short: limit(figures, run, short, "echo_1mb"))
        yield Verdict(f"{name}: round trips of 1 MB, of the limit", True, 0.5, share, "", rate)
        yield Verdict(f"{name}: round trips of 1 MB, to the best peer", True, 3,
                      ratio(figures, "echo_1mb", "calls_per_s", us, best(figures, "echo_1mb", False)), "×", rate)


def sessions(figures):
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"

        def each(run, us=us):
            full, base = (figures.get(run, us, "idle_long", key) for key in ("pss_kib", "base_pss_kib"))
            return (full - base) / 100 if full and base else None

        def busy(run, us=us):
            spent = figures.get(run, us, "idle_long", "cpu_s")
            return spent / 30 * 100 if spent is not None else None
        yield Verdict(f"{name}: memory of an idle session, the gateway alone (PSS)", False, 48,
                      figures.over_runs(each), " KiB")
        yield Verdict(f"{name}: CPU of 100 idle sessions, of a core", False, 0.2, figures.over_runs(busy), " %")
    base = figures.median("lockgate-sse", "idle_long", "base_pss_kib")
    yield Verdict("memory of the gateway without sessions (PSS)", False, 12, base and base / MIB, " MiB")
    for short, name in TRANSPORTS:
        yield Verdict(f"{name}: open to `initialize` result, default sandbox, median", False, 4,
                      figures.median(f"lockgate-{short}", "setup", "setup_p50_ms"), " ms")
    for short, name in TRANSPORTS:
        warm = f"lockgate-warm-{short}"
        note = "" if warm in figures.targets else "when `warm` is a setting of servers"
        yield Verdict(f"{name}: open to `initialize` result, warm, median", False, 1.5,
                      figures.median(warm, "setup", "setup_p50_ms"), " ms", note)
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"
        yield Verdict(f"{name}: connect, initialize, call, disconnect", True, 300,
                      figures.median(us, "churn_1000", "calls_per_s"), "/s")
        lines = figures.lines(us, "churn_1000")
        left = max((remains(line) for line in lines), default=None)
        yield Verdict(f"{name}: processes and directories left by 1 000 of those", False, 0, left)


def remains(line):
    """What a gateway has not cleared away: while it lived, and when it had ended."""
    ended = line["ended"]
    return ended["left"] + ended["orphans"] + ended["directories"]


def program(figures):
    size = figures.machine.get("binary_bytes")
    yield Verdict("the binary", False, 20, size and size / 1e6, " MB")
    yield Verdict("cold start to the first accepted request, median of 10", False, 100,
                  figures.median("lockgate-sse", "cold", "cold_start_ms"), " ms")
    stateless = ratio(figures, "echo_s1_1cpu", "calls_per_s", "lockgate-stateless", "lockgate-stream")
    rate = figures.median("lockgate-stateless", "echo_s1_1cpu", "calls_per_s")
    yield Verdict("stateless calls/s on a living child, of a session's", True, 0.9, stateless, "", f"{number(rate)} calls/s")
    for short, name in (*TRANSPORTS, ("stateless", "2026-07-28")):
        us = f"lockgate-bridged-{short}"
        cost = figures.median(us, "echo_s1_1cpu", "cpu_us_per_call")
        yield Verdict(f"{name}: the gateway's CPU for a call between two eras, of one within an era", False, 2,
                      ratio(figures, "echo_s1_1cpu", "cpu_us_per_call", us, f"lockgate-{short}"), "×", f"{number(cost)} µs")


def correctness(figures):
    """Workloads that must pass without anything lost, doubled, foreign or out of order."""
    names = ["isolation", "burst_progress", "burst_s4"]
    names += sorted({key[2] for key in figures.keys() if key[2].startswith("fault_")})
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"
        measured = {one: figures.lines(us, one) for one in names}
        wrong = {one: wrongs(line) for one, lines in measured.items() for line in lines if wrongs(line)}
        done = sum(1 for lines in measured.values() if lines)
        detail = "; ".join(f"{one}: {', '.join(f'{k} {v}' for k, v in found.items())}" for one, found in wrong.items())
        yield Verdict(f"{name}: correctness workloads with anything wrong, of {done}", False, 0,
                      len(wrong) if done else None, "", detail[:200])


def load_errors(figures):
    """The same of everything else that was measured."""
    for short, name in TRANSPORTS:
        us = f"lockgate-{short}"
        found = [(key[2], wrong) for key in figures.keys() if key[1] == us
                 if (wrong := wrongs(figures.line(*key)))]
        detail = "; ".join(f"{one}: {', '.join(f'{k} {v}' for k, v in wrong.items())}" for one, wrong in found)
        yield Verdict(f"{name}: measurements with anything wrong", False, 0, len(found), "", detail[:200])


def every(figures):
    parts = (throughput, remote, beside, against_peers, sessions, program, correctness, load_errors)
    return [verdict for part in parts for verdict in part(figures)]
