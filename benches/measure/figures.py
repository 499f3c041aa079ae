"""The numbers of each measurement; medians over runs, and ratios within a run."""

import json
import statistics


def read(path):
    """The machine and the lines of one file of raw lines."""
    with open(path) as file:
        lines = [json.loads(text) for text in file]
    machines = [line["meta"] for line in lines if "meta" in line]
    return machines[-1] if machines else {}, [line for line in lines if "meta" not in line]


class Figures:
    """Everything of one file of raw lines. A later line of the same run, target and workload wins."""

    def __init__(self, path):
        self.machine, lines = read(path)
        self._lines = {(line["run"], line["target"], line["workload"]): line for line in lines}
        self.runs = sorted({run for run, _, _ in self._lines})
        self.targets = list(dict.fromkeys(target for _, target, _ in self._lines))

    def keys(self):
        """Run, target and workload of every measurement."""
        return list(self._lines)

    def line(self, run, target, workload):
        return self._lines.get((run, target, workload))

    def lines(self, target, workload):
        return [line for run in self.runs if (line := self.line(run, target, workload))]

    def get(self, run, target, workload, key):
        """One number, or None."""
        line = self.line(run, target, workload)
        return metrics(line).get(key) if line else None

    def median(self, target, workload, key):
        return self.over_runs(lambda run: self.get(run, target, workload, key))

    def over_runs(self, of_run):
        """The median of what each run gives; runs that give nothing are left out."""
        values = [value for run in self.runs if (value := of_run(run)) is not None]
        return statistics.median(values) if values else None

    def spread(self, target, workload, key):
        values = [v for run in self.runs if (v := self.get(run, target, workload, key)) is not None]
        return (min(values), max(values)) if values else None

    def children(self, target):
        """Whether sessions have children of their own: as measured with ten sessions."""
        for run in self.runs:
            line = self.line(run, target, "echo_s10")
            if line and "distinct_children" in line["result"]:
                return line["result"]["distinct_children"]
        return None


def metrics(line):
    """The numbers of one measurement, flat."""
    result = line["result"]
    if "calls" not in result:
        return {key: value for key, value in result.items() if isinstance(value, (int, float))}
    calls, setup, proc = result["calls"], result["setup"], result.get("proc", {})
    out = {
        "calls_per_s": calls.get("per_s"), "p50_ms": calls.get("p50_ms"), "p99_ms": calls.get("p99_ms"),
        "setup_p50_ms": setup.get("p50_ms"), "setup_p99_ms": setup.get("p99_ms"), "setup_per_s": setup.get("per_s"),
        "base_pss_kib": result.get("base_pss_kib"),
    }
    if result["mode"] in ("setup", "idle"):
        out = {key: value for key, value in out.items() if key.startswith(("setup", "base"))}
    if "beside" in result:
        out["beside_per_s"] = result["beside"]["calls"].get("per_s")
    if "notifications" in result:
        out["notes_per_s"] = result["notifications"]["per_s"]
    if proc:
        gateway, after = proc["gateway"], proc["after_disconnect"]
        out |= {
            "pss_kib": gateway["pss_kb"], "rss_kib": gateway["rss_kb"], "cpu_s": gateway["cpu_s"],
            "fds": gateway["fds"], "children": proc["children"]["n"], "children_pss_kib": proc["children"]["pss_kb"],
            "helpers": proc["helpers"]["n"], "helpers_pss_kib": proc["helpers"]["pss_kb"],
            "children_after": after["children"], "fds_after": after["gateway_fds"],
        }
        if calls["ok"] and result["mode"] not in ("idle", "setup"):
            out["cpu_us_per_call"] = gateway["cpu_s"] / calls["ok"] * 1e6
    return {key: value for key, value in out.items() if value is not None}


def wrongs(line):
    """What went wrong in a measurement, by name."""
    result = line["result"]
    if "aborted" in result:
        return {"aborted": result["aborted"]}
    if "faults" in result:
        return {fault: text for fault, found in result["faults"].items() if (text := said(found, fault))}
    if "calls" not in result:
        return {}
    names = ("errors", "lost", "late", "mismatched", "duplicates", "foreign", "reordered", "unparsable", "sessions_died")
    wrong = {name: result["calls"][name] for name in names if result["calls"][name]}
    if result["setup"]["failed"]:
        wrong["setup_failed"] = result["setup"]["failed"]
    notes = result.get("notifications", {})
    for name in ("lost", "duplicates", "reordered", "foreign", "damaged"):
        if notes.get(name):
            wrong[f"notifications_{name}"] = notes[name]
    if not result.get("proc", {}).get("alive_at_end", True):
        wrong["gateway_died"] = True
    if not result["ok"] and not wrong:
        wrong["nothing_done"] = True
    if "beside" in result:
        wrong |= {f"beside_{name}": value for name, value in wrongs({"result": result["beside"]}).items()}
    return wrong


def said(found, fault):
    """What a fault led to, in few words; nothing if all was well."""
    if "answer" not in found:
        return f"no session: {found.get('set_up', found)}"[:60]
    # After a crash an answer in reasonable time is all one can ask for.
    crash = fault == "crash"
    good = found["answer"] != "no answer" if crash else found["answer"] == "good"
    parts = [] if good else [f"answer: {found['answer']}"]
    parts += [f"{who}: {found[key]}" for who, key in (
        ("victim", "victim_after"), ("bystander", "bystander_after"), ("new session", "new_session_after"),
    ) if found[key] != "good" and not (crash and who == "victim")]
    parts += [] if found["gateway_alive"] else ["the gateway is dead"]
    parts += ["a grandchild outlives the session"] if found.get("grandchild_outlives_session") else []
    return ", ".join(part[:40] for part in parts)


def number(value):
    """A number for a table."""
    if value is None:
        return "–"
    for least, digits in ((1000, 0), (100, 0), (10, 1), (0.1, 2)):
        if abs(value) >= least:
            return f"{value:,.{digits}f}".replace(",", " ")
    return f"{value:.3f}" if value else "0"
