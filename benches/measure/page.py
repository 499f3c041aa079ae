"""Writes docs/performance.md: what lies between markers is made here, the rest by people."""

from . import plot, targets, verdicts
from .build import PACKAGES, ROOT
from .figures import number, wrongs

PAGE = ROOT / "docs/performance.md"


def table(header, rows):
    cells = [[str(cell).replace("|", "/").replace("\n", " ") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *cells])


def put(marker, content):
    """Replaces what is between the markers."""
    start, end = f"<!-- {marker} -->", f"<!-- /{marker} -->"
    PAGE.parent.mkdir(exist_ok=True)
    old = PAGE.read_text() if PAGE.exists() else "# Performance\n"
    if start not in old:
        old = f"{old.rstrip()}\n\n{start}\n{end}\n"
    before, rest = old.split(start, 1)
    PAGE.write_text(f"{before}{start}\n\n{content.strip()}\n\n{end}{rest.split(end, 1)[1]}")


def draw(name, svg):
    """Writes a plot beside the page; returns how the page shows it."""
    (PAGE.parent / f"performance-{name}.svg").write_text(svg)
    title = svg.split("<title>", 1)[1].split("</title>", 1)[0]
    return f"![{title}](performance-{name}.svg)"


def measured_on(machine):
    """Where, when and of what."""
    user = "root, so that each session has a user of its own" if machine["root"] else "an ordinary user"
    quiet = "" if machine["load"] < 0.5 else f" **The machine was not quiet: its load was {machine['load']:.1f} at the start.**"
    return (f"{machine['date']} UTC, commit `{machine['commit']}`, as {user}: {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['rustc']}, Node {machine['node']}, "
            f"Python {machine['python']}.{quiet}")


def peers(figures):
    """Everything that benches/peers measures."""
    found = verdicts.every(figures)
    met = sum(1 for one in found if one.met)
    missed = sum(1 for one in found if one.met is False)
    runs = len(figures.runs)
    versions = ", ".join(f"{package} {version} ({registry})" for registry, package, version in PACKAGES.values())
    parts = [
        f"{measured_on(figures.machine)} Peers: {versions}. Medians of {runs} run{'s' if runs > 1 else ''}; every ratio is taken within a run.",
        "### Targets",
        f"{met} met, {missed} missed, {len(found) - met - missed} not measured.",
        table(["what", "target", "measured", "", ""], [one.row() for one in found]),
        "### Side by side",
        throughput(figures), rest(figures), *plots(figures),
        "### Who shares what",
        table(["row", "what", "its sessions share", "children of 10 sessions"],
              [[name, *targets.ABOUT[name], figures.children(name) or "–"] for name in figures.targets]),
        "### What went wrong", gone_wrong(figures),
    ]
    return "\n\n".join(parts)


def throughput(figures):
    columns = [("1 session", "echo_s1"), ("on one core", "echo_s1_1cpu"), ("10 sessions", "echo_s10"),
               ("100 sessions", "echo_s100"), ("1 session, 32 in flight", "echo_s1_c32"), ("1 MB", "echo_1mb")]

    def cell(name, workload):
        rate = figures.median(name, workload, "calls_per_s")
        mark = " !" if any(wrongs(line) for line in figures.lines(name, workload)) else ""
        spread = figures.spread(name, workload, "calls_per_s")
        between = f" ({number(spread[0])} – {number(spread[1])})" if spread and len(figures.runs) > 1 else ""
        return number(rate) + between + mark if rate is not None else "–"
    rows = [[name, *(cell(name, workload) for _, workload in columns)]
            for name in figures.targets if "warm" not in name]
    return ("Echo of 200 bytes (the last column: of 1 MB), calls a second, median (least – most); "
            "`!`: something went wrong.\n\n" + table(["", *(head for head, _ in columns)], rows))


def rest(figures):
    columns = [
        ("p50 / p99 ms, 1 session", "echo_s1", ("p50_ms", "p99_ms")), ("100 sessions", "echo_s100", ("p50_ms", "p99_ms")),
        ("10 sessions", "echo_s10", ("p50_ms", "p99_ms")),
        ("10 sessions beside one with 4 MiB messages", "beside_4mib", ("p50_ms", "p99_ms")),
        ("gateway CPU µs a call, 100 sessions", "echo_s100", ("cpu_us_per_call",)),
        ("notifications/s", "burst", ("notes_per_s",)), ("set-up p50 ms", "setup", ("setup_p50_ms",)),
        ("churn/s", "churn_200", ("calls_per_s",)), ("PSS of 100 idle sessions: gateway / children KiB", "idle_100",
                                                     ("pss_kib", "children_pss_kib")),
    ]

    def cell(name, workload, keys):
        values = [figures.median(name, workload, key) for key in keys]
        return "–" if None in values else " / ".join(number(value) for value in values)
    rows = [[name, *(cell(name, workload, keys) for _, workload, keys in columns)] for name in figures.targets]
    return table(["", *(head for head, _, _ in columns)], rows)


def kind(name):
    known = (("lockgate", "ours"), ("floor", "floor"), ("pipe", "pipe"))
    return next((one for prefix, one in known if name.startswith(prefix)), "peer")


def plots(figures):
    def chart(name, title, workload, key, unit, scale=1):
        rows = []
        for target in figures.targets:
            value = figures.median(target, workload, key)
            if value is not None and figures.lines(target, workload):
                rows.append((target, kind(target), value / scale, number(value / scale)))
        return draw(name, plot.bars(title, unit, rows)) if rows else ""
    charts = [
        chart("calls", "Echo of 200 bytes, 100 sessions: calls a second", "echo_s100", "calls_per_s", "/s"),
        chart("latency", "Echo of 200 bytes, 100 sessions: 99th percentile", "echo_s100", "p99_ms", " ms"),
        chart("cpu", "Processor time of the gateway for a call, 100 sessions", "echo_s100", "cpu_us_per_call", " µs"),
        chart("memory", "100 idle sessions: proportional memory of the gateway", "idle_100", "pss_kib", " MiB", 1024),
    ]
    return [one for one in charts if one]


def gone_wrong(figures):
    found = {}
    for run, name, workload in figures.keys():
        wrong = wrongs(figures.line(run, name, workload))
        if wrong:
            entry = found.setdefault((name, workload), {})
            for key, value in wrong.items():
                counts = isinstance(value, (int, float)) and not isinstance(value, bool)
                entry[key] = entry.get(key, 0) + value if counts else value
    rows = [[name, workload, ", ".join(f"{key} {value}" for key, value in wrong.items())[:160]]
            for (name, workload), wrong in sorted(found.items())]
    return table(["row", "workload", "what, summed over the runs"], rows) if rows else "Nothing."
